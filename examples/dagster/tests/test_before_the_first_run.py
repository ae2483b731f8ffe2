"""What Dagster shows of the assets before anything has run, and before there are tables to read."""

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import customers, metadata, spec, write
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import ModuleTarget
from test_example import example  # noqa: F401

from dagster_customer_health.report import CHECKS

SCORES, RISK = "customer_health_scores", "customer_health_scores_churn_risk"


def columns(defs: dg.Definitions, name: str = SCORES) -> dict[str, dg.TableColumn]:
    return {column.name: column for column in spec(defs, name).metadata["dagster/column_schema"].columns}


@pytest.mark.parametrize("there", ["nothing", "a broken file", "a table"])
def test_columns_are_described_before_there_is_anything_to_read(project, there):
    path = project.data / "customers.parquet"
    if there == "a table":
        write(customers(1), path)
    elif there == "a broken file":
        path.parent.mkdir()
        path.write_text("no table")
    project.attributes(customer_data_asset_key="customers", fan_out={"churn_risk": True}, churn_risk_threshold=33)
    with project.load() as defs:
        found = columns(defs)
        assert list(found) == [
            "customer_id", "health_score", "engagement_score", "product_usage_score", "payment_health_score",
            "support_health_score", "risk_category", "is_churn_risk", "is_expansion_opportunity", "calculated_at",
        ]
        assert found["health_score"].type == "Float64" and found["customer_id"].constraints == dg.TableColumnConstraints(
            nullable=False, unique=True
        )
        assert all(column.description for column in found.values())
        assert "below 33" in found["is_churn_risk"].description
        assert columns(defs, RISK) == found


def test_columns_are_those_of_the_table_that_a_run_writes(project):
    attributes = {
        "customer_data_asset_key": "customers", "calculate_trend": True, "include_drivers": True, "include_factor_breakdown": False
    }
    project.attributes(**attributes)
    with project.load() as defs:
        before = columns(defs)
    write(customers(3), project.data / "customers.parquet")
    result = project.materialize()
    assert list(before) == pq.read_table(project.data / f"{SCORES}.parquet").column_names
    assert {column.name: column for column in metadata(result)["dagster/column_schema"].columns} == before
    assert {"trend", "drivers"} <= set(before) and before["trend"].constraints.nullable


def test_columns_of_a_frame(project):
    @dg.asset
    def people() -> pd.DataFrame:
        return customers().to_pandas()

    project.attributes(data_dir=None, customer_data_asset_key="people")
    with project.load() as defs:
        assert columns(dg.Definitions.merge(defs, dg.Definitions([people])))["customer_id"].description


def test_columns_as_a_web_server_has_them_from_a_code_server(example, tmp_path, monkeypatch):  # noqa: F811
    """A code server builds the definitions anew for what it shows, and asks the service only the first time."""
    monkeypatch.setenv("PYTHONPATH", str(example / "src"))
    origin = ModuleTarget("health_project.definitions", "defs", str(example / "src"), "health")
    (tmp_path / "home").mkdir()
    home = dg.DagsterInstance.local_temp(str(tmp_path / "home"))
    with home as instance, create_test_daemon_workspace_context(origin, instance) as process:
        graph = process.create_request_context().asset_graph
        for name in (SCORES, RISK):
            node = graph.get(dg.AssetKey(name))
            assert node.code_version
            assert "below 40" in node.metadata["dagster/column_schema"].value.columns[7].description


def test_checks_are_described(project):
    with project.attributes(customer_data_asset_key="customers").load() as defs:
        specs = [spec for asset in defs.resolve_asset_graph().assets_defs for spec in asset.check_specs]
    assert {check.name: check.blocking for check in specs} == {
        name: severity == dg.AssetCheckSeverity.ERROR for name, (severity, _) in CHECKS.items()
    }
    assert all(check.description for check in specs)


def test_a_check_that_the_service_makes_only_where_it_applies(project):
    """Thresholds beside named categories may flag other customers than those of the first and last category."""
    write(customers(), project.data / "customers.parquet")

    def checked(**attributes) -> dg.AssetCheckEvaluation:
        result = project.attributes(customer_data_asset_key="customers", **attributes).materialize()
        (found,) = [event for event in result.get_asset_check_evaluations() if event.check_name == "categories_match_flags"]
        return found

    named = [{"name": "low", "below": 30}, {"name": "high"}]
    assert checked().passed and "no thresholds" in checked().description
    found = checked(risk_categories=named, churn_risk_threshold=90)
    assert not found.passed and found.severity == dg.AssetCheckSeverity.WARN and "of 20 customers" in found.description
