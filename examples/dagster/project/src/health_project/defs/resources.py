"""Parquet files in the project's folder `data`, for upstream, scores and downstream alike."""

from pathlib import Path

import dagster as dg
from dagster_polars import PolarsParquetIOManager

DATA = Path(__file__).resolve().parents[3] / "data"


@dg.definitions
def resources() -> dg.Definitions:
    return dg.Definitions(resources={"io_manager": PolarsParquetIOManager(base_dir=str(DATA))})
