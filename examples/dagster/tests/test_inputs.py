"""Tables come from files by convention, by path, or from memory; downstream assets load the scores with no glue."""

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import customers, failure, metadata, spec, write
from dagster_polars import PolarsParquetIOManager

from dagster_customer_health import frames
from dagster_customer_health._proto import run_pb2, stream_pb2
from dagster_customer_health.report import CHECKS


@dg.asset(key=["crm", "customers"])
def crm_customers() -> pl.DataFrame:
    return pl.from_arrow(customers())


def test_what_polars_io_manager_writes_is_read_and_what_is_written_it_reads(project):
    seen = {}

    @dg.asset
    def expansion_pipeline(customer_health_scores: pl.DataFrame) -> None:
        seen["scores"] = customer_health_scores

    @dg.asset
    def churn_prevention(customer_health_scores_churn_risk: pl.LazyFrame) -> None:
        seen["risk"] = customer_health_scores_churn_risk.collect()

    project.attributes(customer_data_asset_key="crm/customers", fan_out={"churn_risk": True})
    result = project.materialize(
        crm_customers,
        expansion_pipeline,
        churn_prevention,
        resources={"io_manager": PolarsParquetIOManager(base_dir=str(project.data))},
    )
    assert result.success
    assert (project.data / "crm/customers.parquet").is_file()
    assert seen["scores"].height == 20 and seen["scores"]["health_score"].dtype == pl.Float64
    assert seen["risk"].height == seen["scores"]["is_churn_risk"].sum()


def test_explicit_paths_and_mappings(project):
    raw = customers().rename_columns(["account", "idle_days", "logins", "adoption"])
    write(raw, project.folder / "raw/customers.parquet")
    result = project.attributes(
        data_dir=None,
        customer_data_asset_key="crm/customers",
        inputs={"customer": {"path": "raw/customers.parquet", "key": "account", "fields": {"last_login_days": "idle_days"}}},
        output="scores.parquet",
    ).materialize()
    assert result.success
    assert pq.read_table(project.folder / "scores.parquet").num_rows == 20
    deps = metadata(result)["dagster/column_lineage"].deps_by_column["engagement_score"]
    assert [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps] == [("crm/customers", "idle_days")]


FRAMES = {
    "pandas": lambda: customers().to_pandas(),
    "polars": lambda: pl.from_arrow(customers()),
    "polars lazy": lambda: pl.from_arrow(customers()).lazy(),
    "pyarrow": customers,
    "record batch": lambda: customers().to_batches()[0],
    "rows": lambda: customers().to_pylist(),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_in_memory_travel_with_the_call(project, kind):
    @dg.asset
    def people():
        return FRAMES[kind]()

    @dg.asset
    def tickets() -> pd.DataFrame:
        return pd.DataFrame({"customer_id": ["c001"], "ticket_count": [2]})

    project.attributes(
        data_dir=None,
        customer_data_asset_key="people",
        support_ticket_asset_key="tickets",
        output="{{ context.project_root }}/out/scores.parquet",
    )
    result = project.materialize(people, tickets, resources={"io_manager": dg.mem_io_manager})
    assert result.success, failure(result)
    assert pq.read_table(project.root / "out/scores.parquet").num_rows == 20
    told = metadata(result)
    assert (told["customer/rows_read"], told["support/rows_read"]) == (20, 1)
    assert {dep.asset_key.to_user_string() for dep in told["dagster/column_lineage"].deps_by_column["health_score"]} == {
        "people",
        "tickets",
    }
    assert {check.check_name for check in result.get_asset_check_evaluations()} == set(CHECKS)


def test_without_any_place_the_io_manager_gets_the_scores(project):
    """A component of the community moves over by its type alone."""
    seen = {}

    @dg.asset
    def people() -> pd.DataFrame:
        return customers().to_pandas()

    @dg.asset
    def after(customer_health_scores: pd.DataFrame) -> None:
        seen["scores"] = customer_health_scores

    project.attributes(data_dir=None, asset_name="customer_health_scores", customer_data_asset_key="people")
    result = project.materialize(people, after, resources={"io_manager": dg.mem_io_manager})
    assert result.success, failure(result)
    assert len(seen["scores"]) == 20 and seen["scores"]["health_score"].dtype == "float64"
    assert metadata(result)["dagster/row_count"] == 20
    assert {check.check_name for check in result.get_asset_check_evaluations()} == set(CHECKS)


def test_a_value_that_is_no_frame(project):
    @dg.asset
    def people():
        return 42

    project.attributes(data_dir=None, customer_data_asset_key="people")
    result = project.materialize(people, resources={"io_manager": dg.mem_io_manager})
    assert "cannot send a builtins.int" in failure(result)


def test_large_frames_are_sent_in_pieces():
    count = 400_000
    table = pa.table({"customer_id": [str(number) for number in range(count)], "login_frequency": list(range(count))})
    pieces = list(frames.parts(run_pb2.MaterializeRequest(), {1: table}, stream_pb2.DELIVERY_PUBLISH))
    assert pieces[0].HasField("start") and pieces[-1].chunk.last
    data = [piece.chunk.data for piece in pieces[1:]]
    assert len(data) > 4 and max(map(len, data)) <= frames.CHUNK
    assert pa.ipc.open_stream(b"".join(data)).read_all().equals(table)


def test_inputs_that_are_not_there_yet_do_not_keep_the_project_from_loading(project):
    project.attributes(customer_data_asset_key="crm/customers")
    with project.load() as defs:
        assert spec(defs, "customer_health_scores").code_version
    assert "there is nothing at" in failure(project.materialize())
