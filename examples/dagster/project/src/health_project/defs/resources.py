"""Parquet files in the project's folder `data`, for upstream, scores and downstream alike."""

from pathlib import Path

import dagster as dg
from dagster_polars import PolarsParquetIOManager

DATA = Path(__file__).resolve().parents[3] / "data"


@dg.definitions
def resources() -> dg.Definitions:
    return dg.Definitions(
        resources={"io_manager": PolarsParquetIOManager(base_dir=str(DATA))},
        executor=dg.in_process_executor,  # small tables: a process for each would take longer than the work
    )
