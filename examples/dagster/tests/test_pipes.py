"""Without gRPC: `materialize` as a subprocess of Dagster's own Pipes client."""

from pathlib import Path

import dagster as dg

from conftest import customers, metadata, write

CHECKS = ["customer_id_unique_not_null", "scores_in_range", "neutral_share"]


def asset(program: str, folder: Path) -> dg.AssetsDefinition:
    specs = [dg.AssetCheckSpec(name, asset="scores") for name in CHECKS]

    @dg.multi_asset(
        specs=[dg.AssetSpec("scores", deps=["customers"]), dg.AssetSpec("scores_churn_risk")], check_specs=specs
    )
    def scored(context: dg.AssetExecutionContext):
        command = [program, "materialize", "component.yaml"]
        client = dg.PipesSubprocessClient(cwd=str(folder))
        return client.run(command=command, context=context, extras={"checks": CHECKS}).get_results()

    return scored


def component(folder: Path, text: str = "") -> None:
    write(customers(), folder / "c.parquet")
    (folder / "component.yaml").write_text(
        "asset_name: scores\ninputs: {customer: c.parquet}\noutput: out.parquet\nfan_out: {churn_risk: true}\n"
        "customer_data_asset_key: customers\n" + text
    )


def test_materializations_checks_and_logs_arrive(program: str, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    component(tmp_path)
    result = dg.materialize([asset(program, tmp_path)], instance=instance)
    assert result.success
    facts = metadata(result, "scores")
    assert facts["dagster/row_count"] == 20
    assert isinstance(facts["average_health_score"], float)
    assert {column.name for column in facts["dagster/column_schema"].columns} >= {"customer_id", "health_score"}
    assert "health_score" in facts["dagster/column_lineage"].deps_by_column
    assert "dagster/row_count" in metadata(result, "scores_churn_risk")
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert set(found) == set(CHECKS)
    assert found["scores_in_range"].passed and not found["neutral_share"].passed
    assert found["neutral_share"].severity == dg.AssetCheckSeverity.WARN
    event = instance.get_latest_materialization_event(dg.AssetKey("scores"))
    assert len(event.asset_materialization.tags["dagster/data_version"]) == 64


def test_a_failure_fails_the_step_and_reports_nothing(program: str, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    component(tmp_path, "churn_treshold: 40\n")
    result = dg.materialize([asset(program, tmp_path)], instance=instance, raise_on_error=False)
    assert not result.success
    assert instance.get_latest_materialization_event(dg.AssetKey("scores")) is None
    assert not (tmp_path / "out.parquet").exists()
