"""A run of several partitions writes one file for each, its fan-outs too, and tells of each."""

import os
import signal
import threading

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import assets, customers, failure, materializations, slow, until, write
from test_partitions import backfill  # noqa: F401

from dagster_customer_health.report import CHECKS

DAILY = {"partition_type": "daily", "partition_start": "2025-01-01"}


def days(first: int, last: int) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": f"2025-01-{first:02}",
        "dagster/asset_partition_range_end": f"2025-01-{last:02}",
    }


def fill(project, count: int = 5) -> None:
    for day in range(1, count + 1):
        write(customers(day), project.data / f"customers/2025-01-{day:02}.parquet")


def ranged(project, first: int, last: int, *others, instance=None, resources=None, **attributes) -> dg.ExecuteInProcessResult:
    """Runs the component alone over a range of days."""
    days_of = dg.DailyPartitionsDefinition("2025-01-01")

    @dg.asset(partitions_def=days_of, name="customers")
    def upstream_customers(): ...

    with project.attributes(**{"customer_data_asset_key": "customers", **DAILY, **attributes}).load() as defs:
        whole = dg.Definitions.merge(defs, dg.Definitions(assets=[upstream_customers, *others], resources=resources))
        names = ["customer_health_scores", *(f"customer_health_scores_{name}" for name in attributes.get("fan_out", {}))]
        return dg.materialize(
            assets(whole), selection=names, tags=days(first, last), raise_on_error=False, instance=instance
        )


def test_each_partition_has_its_file_its_fan_outs_and_its_metadata(project):
    fill(project)
    result = ranged(project, 2, 4, fan_out={"churn_risk": True, "expansion": True})
    assert result.success, failure(result)
    for name in ("customer_health_scores", "customer_health_scores_churn_risk", "customer_health_scores_expansion"):
        assert sorted(path.name for path in (project.data / name).iterdir()) == [f"2025-01-{day:02}.parquet" for day in (2, 3, 4)]
        found = {event.materialization.partition: event.materialization for event in materializations(result, name)}
        assert set(found) == {"2025-01-02", "2025-01-03", "2025-01-04"}
        for key, event in found.items():
            rows = pq.read_table(str(project.data / name / f"{key}.parquet")).num_rows
            assert event.metadata["dagster/partition_row_count"].value == rows
    scores = {event.materialization.partition: event.materialization for event in materializations(result)}
    assert [scores[f"2025-01-0{day}"].metadata["customer/rows_read"].value for day in (2, 3, 4)] == [2, 3, 4]
    assert len({event.metadata["as_of"].value for event in scores.values()}) == 3
    assert len({event.tags["dagster/data_version"] for event in scores.values()}) == 1
    checks = {event.check_name: event for event in result.get_asset_check_evaluations()}
    assert set(checks) == set(CHECKS)
    assert checks["row_count_positive"].passed
    assert checks["row_count_positive"].description == "in all 3 partitions: 2 rows"
    assert checks["neutral_share"].description.startswith("in 3 of 3 partitions, `2025-01-02`, `2025-01-03`, `2025-01-04`: ")


def test_a_check_that_fails_in_one_partition_fails(project):
    fill(project)
    write(customers(0), project.data / "customers/2025-01-03.parquet")
    result = ranged(project, 2, 4)
    (check,) = [event for event in result.get_asset_check_evaluations() if event.check_name == "row_count_positive"]
    assert not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    assert check.description.startswith("in 1 of 3 partitions, `2025-01-03`: ")


def test_a_range_of_one_partition(project):
    fill(project)
    result = ranged(project, 2, 2)
    assert result.success, failure(result)
    (event,) = materializations(result)
    assert event.materialization.partition == "2025-01-02"
    assert event.materialization.metadata["dagster/partition_row_count"].value == 2


def test_the_trend_of_a_range_finds_the_day_before(project):
    for day in range(1, 5):
        write(customers(2, last_login_days=[day, day]), project.data / f"customers/2025-01-{day:02}.parquet")
    assert ranged(project, 1, 4, calculate_trend=True).success
    read = lambda day: pq.read_table(str(project.data / f"customer_health_scores/2025-01-{day:02}.parquet"))  # noqa: E731
    assert read(1)["previous_health_score"].null_count == 2
    for day in (2, 3, 4):
        assert read(day)["previous_health_score"].to_pylist() == read(day - 1)["health_score"].to_pylist()


def test_what_was_published_before_a_failure_is_told(project):
    fill(project)
    (project.data / "customers/2025-01-04.parquet").unlink()
    result = ranged(project, 2, 5, fan_out={"churn_risk": True})
    assert "NOT_FOUND" in failure(result)
    for name in ("customer_health_scores", "customer_health_scores_churn_risk"):
        assert [event.materialization.partition for event in materializations(result, name)] == ["2025-01-02", "2025-01-03"]
        assert len(list((project.data / name).iterdir())) == 2
    (first, _) = materializations(result)
    assert len(first.materialization.tags["dagster/data_version"]) == 64
    assert first.materialization.metadata["dagster/partition_row_count"].value == 2


def test_a_range_over_two_dimensions(project):
    table = customers(6).append_column("region", pa.array(["eu", "us", "eu", "us", "us", "us"]))
    write(table, project.data / "customers.parquet")
    project.attributes(
        customer_data_asset_key="customers",
        partition_type="multi",
        partition_start="2025-01-01",
        partition_values="eu,us",
        partition_static_dim="region",
        partition_static_column="region",
    )
    tags = {"dagster/asset_partition_range_start": "2025-01-01|eu", "dagster/asset_partition_range_end": "2025-01-02|us"}
    result = project.materialize(tags=tags)
    assert result.success, failure(result)
    found = sorted(str(path.relative_to(project.data / "customer_health_scores")) for path in project.data.rglob("20*/*.parquet"))
    assert found == ["2025-01-01/eu.parquet", "2025-01-01/us.parquet", "2025-01-02/eu.parquet", "2025-01-02/us.parquet"]
    rows = {event.materialization.partition: event.materialization.metadata["dagster/partition_row_count"].value
            for event in materializations(result)}
    assert rows == {"2025-01-01|eu": 2, "2025-01-01|us": 4, "2025-01-02|eu": 2, "2025-01-02|us": 4}


class Frames(dg.IOManager):
    """Keeps a frame for each day."""

    def handle_output(self, context, obj): ...

    def load_input(self, context):
        found = {key: pd.DataFrame({"customer_id": [key], "last_login_days": [int(key[-2:])]}) for key in context.asset_partition_keys}
        return found if len(found) > 1 else next(iter(found.values()))


def test_frames_of_a_range_are_scored_day_by_day(project, tmp_path):
    arguments = {"data_dir": None, "output": str(tmp_path / "scores.parquet")}
    result = ranged(project, 2, 4, resources={"io_manager": Frames()}, **arguments)
    assert result.success, failure(result)
    for day in (2, 3, 4):
        key = f"2025-01-{day:02}"
        assert pq.read_table(str(tmp_path / f"scores/{key}.parquet"))["customer_id"].to_pylist() == [key]


def test_a_table_for_an_io_manager_is_of_one_partition(project):
    result = ranged(project, 2, 4, resources={"io_manager": Frames()}, data_dir=None)
    assert "the run has 3 partitions" in failure(result) and "data_dir" in failure(result)


@pytest.mark.parametrize("trend", [False, True])
def test_a_backfill_of_sixty_days_in_one_run(project, serve, backfill, trend):  # noqa: F811
    keys = [str(day.date()) for day in pd.date_range("2025-01-01", periods=60)]
    for key in keys:
        write(customers(3), project.data / f"activity/{key}.parquet")
    _, address = serve("--allow", str(project.root))
    project.attributes(
        customer_data_asset_key="activity",
        backfill_policy="single_run",
        calculate_trend=trend,
        service={"target": address},
        **DAILY,
    )
    instance, asked = backfill(keys, "customer_health_scores")
    assert sum(asked) == 1
    assert set(instance.get_materialized_partitions(dg.AssetKey("customer_health_scores"))) == set(keys)
    assert len(list((project.data / "customer_health_scores").iterdir())) == 60


def test_a_range_that_is_cancelled_tells_what_it_has_published(project, instance):
    fill(project)
    slow(project, path=project.data / "customers/2025-01-03.parquet")
    made = project.data / "customer_health_scores"

    def cancel() -> None:
        # The third day's table is being written, under a name that is not its own yet.
        if until(lambda: made.is_dir() and any("2025-01-03" in name for name in os.listdir(made)), 120):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=cancel)
    thread.start()
    result = ranged(project, 1, 5, instance=instance)
    thread.join()
    assert not result.success and "DagsterExecutionInterruptedError" in failure(result)
    assert instance.get_materialized_partitions(dg.AssetKey("customer_health_scores")) == {"2025-01-01", "2025-01-02"}
    assert [day for day in range(1, 6) if (made / f"2025-01-{day:02}.parquet").exists()] == [1, 2]
    (run,) = instance.get_runs()
    said = [entry.user_message for entry in instance.all_logs(run.run_id)]
    told = "partition 2025-01-03 was not finished: the run is cancelled; 2 of 5 were published before it"
    assert told in said, said
