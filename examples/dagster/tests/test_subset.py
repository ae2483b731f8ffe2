"""A job may have the scores alone, a table beside them alone, or the checks alone."""

import dagster as dg
import pyarrow.parquet as pq
import pytest
from conftest import customers, failure, logs, materializations, write

from dagster_customer_health.report import CHECKS

SCORES, RISK, EXPANSION = "customer_health_scores", "customer_health_scores_churn_risk", "customer_health_scores_expansion"


def job(project, selection: dg.AssetSelection, instance=None, **attributes) -> dg.ExecuteInProcessResult:
    project.attributes(**{"customer_data_asset_key": "customers", "fan_out": {"churn_risk": True, "expansion": True}, **attributes})
    with project.load() as defs:
        whole = dg.Definitions.merge(defs, dg.Definitions(jobs=[dg.define_asset_job("some", selection)]))
        return whole.resolve_job_def("some").execute_in_process(raise_on_error=False, instance=instance)


def files(project) -> set[str]:
    return {path.name for path in project.data.iterdir()} - {"customers.parquet"}


@pytest.mark.parametrize("names", [[SCORES], [RISK], [EXPANSION], [RISK, EXPANSION], [SCORES, RISK], [SCORES, RISK, EXPANSION]])
def test_what_was_selected_is_written_and_nothing_else(project, names):
    write(customers(), project.data / "customers.parquet")
    result = job(project, dg.AssetSelection.assets(*names))
    assert result.success, failure(result)
    assert files(project) == {f"{name}.parquet" for name in names}
    for name in (SCORES, RISK, EXPANSION):
        assert len(materializations(result, name)) == (name in names)
    assert len(result.get_asset_check_evaluations()) == (len(CHECKS) if SCORES in names else 0)


def test_a_table_beside_the_scores_is_the_same_alone(project, instance):
    write(customers(), project.data / "customers.parquet")
    assert job(project, dg.AssetSelection.assets(SCORES, RISK)).success
    whole = pq.read_table(str(project.data / f"{RISK}.parquet")).drop(["calculated_at"])
    before = (project.data / f"{SCORES}.parquet").read_bytes()
    (project.data / f"{RISK}.parquet").unlink()
    result = job(project, dg.AssetSelection.assets(RISK), instance)
    assert result.success, failure(result)
    assert pq.read_table(str(project.data / f"{RISK}.parquet")).drop(["calculated_at"]).equals(whole)
    assert (project.data / f"{SCORES}.parquet").read_bytes() == before
    assert any("made anew" in line for line in logs(instance, result))


def test_checks_alone(project, instance):
    write(customers(), project.data / "customers.parquet")
    assert job(project, dg.AssetSelection.assets(SCORES)).success
    before = (project.data / f"{SCORES}.parquet").read_bytes()
    result = job(project, dg.AssetSelection.checks_for_assets(SCORES), instance)
    assert result.success, failure(result)
    assert {event.check_name for event in result.get_asset_check_evaluations()} == set(CHECKS)
    assert not materializations(result, SCORES)
    assert (project.data / f"{SCORES}.parquet").read_bytes() == before and files(project) == {f"{SCORES}.parquet"}


def test_one_check_alone(project):
    write(customers(0), project.data / "customers.parquet")
    key = dg.AssetCheckKey(dg.AssetKey(SCORES), "row_count_positive")
    result = job(project, dg.AssetSelection.checks(key))
    (check,) = result.get_asset_check_evaluations()
    assert check.check_name == "row_count_positive" and not check.passed


def test_scores_without_their_checks(project):
    write(customers(), project.data / "customers.parquet")
    result = job(project, dg.AssetSelection.assets(SCORES).without_checks())
    assert result.success and not result.get_asset_check_evaluations() and materializations(result, SCORES)


def test_a_part_of_a_range(project):
    for day in ("2025-01-01", "2025-01-02"):
        write(customers(), project.data / f"customers/{day}.parquet")
    project.attributes(
        customer_data_asset_key="customers", fan_out={"churn_risk": True}, partition_type="daily", partition_start="2025-01-01"
    )
    tags = {"dagster/asset_partition_range_start": "2025-01-01", "dagster/asset_partition_range_end": "2025-01-02"}
    with project.load() as defs:
        (asset,) = [asset for asset in defs.resolve_asset_graph().assets_defs if asset.is_executable]
        result = dg.materialize([asset], selection=[RISK], tags=tags, raise_on_error=False)
    assert result.success, failure(result)
    assert sorted(path.name for path in (project.data / RISK).iterdir()) == ["2025-01-01.parquet", "2025-01-02.parquet"]
    assert not list((project.data / SCORES).glob("**/*.parquet"))


def test_checks_alone_beside_a_folder_whose_uri_has_escapes(project, instance):
    project.data = project.root / "my tables"
    write(customers(), project.data / "customers.parquet")
    checks = dg.AssetSelection.checks_for_assets(SCORES)
    result = job(project, checks, instance, data_dir=project.data.as_uri())
    assert result.success, failure(result)
    assert len(result.get_asset_check_evaluations()) == len(CHECKS)
    assert not (project.root / "my%20tables").exists() and not files(project)
