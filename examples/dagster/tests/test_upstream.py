"""Exactly the partitions of upstream assets that belong to a run are read: those that Dagster's own lineage says."""

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import assets, customers, failure, logs, metadata, write
from dagster_polars import PolarsParquetIOManager

from dagster_customer_health import partitions, paths

DAILY = dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-03-01")
STATIC = dg.StaticPartitionsDefinition
BY_DAY = {"partition_type": "daily", "partition_start": "2025-01-01", "partition_end": "2025-03-01"}
MULTI = {"partition_type": "multi", "partition_start": "2025-01-01", "partition_end": "2025-01-04", "partition_values": "eu,us"}


def multi(end: str = "2025-01-04") -> dg.MultiPartitionsDefinition:
    days = dg.DailyPartitionsDefinition("2025-01-01", end_date=end)
    return dg.MultiPartitionsDefinition({"date": days, "static_dim": STATIC(["eu", "us"])})


MAPPINGS = {
    "equal": (DAILY, BY_DAY, "2025-01-05", 1),
    "an earlier start": (dg.DailyPartitionsDefinition("2024-12-01", end_date="2025-03-01"), BY_DAY, "2025-01-05", 1),
    "an end": (dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-02-01"), BY_DAY, "2025-01-05", 1),
    "no end": (dg.DailyPartitionsDefinition("2026-10-01"), {**BY_DAY, "partition_start": "2026-10-01", "partition_end": None}, "2026-10-05", 1),
    "an end offset": (
        dg.DailyPartitionsDefinition("2026-10-01", end_offset=1),
        {**BY_DAY, "partition_start": "2026-10-01", "partition_end": None},
        "2026-10-05",
        1,
    ),
    "days of a week": (DAILY, {**BY_DAY, "partition_type": "weekly", "partition_start": "2025-01-05"}, "2025-01-26", 7),
    "days of a month": (DAILY, {**BY_DAY, "partition_type": "monthly"}, "2025-02-01", 28),
    "hours of a day": (
        dg.HourlyPartitionsDefinition("2025-01-01-00:00", end_date="2025-01-04-00:00"),
        {**BY_DAY, "partition_end": "2025-01-04"},
        "2025-01-02",
        24,
    ),
    "the week of a day": (dg.WeeklyPartitionsDefinition("2025-01-05", end_date="2025-03-02"), BY_DAY, "2025-01-15", 1),
    "the month of a week": (
        dg.MonthlyPartitionsDefinition("2025-01-01", end_date="2025-04-01"),
        {**BY_DAY, "partition_type": "weekly", "partition_start": "2025-01-05"},
        "2025-01-26",
        2,
    ),
    "days of a zone": (
        dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-03-01", timezone="America/New_York"),
        {**BY_DAY, "partition_timezone": "America/New_York"},
        "2025-01-05",
        1,
    ),
    "the day of several dimensions": (
        dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-01-04"),
        MULTI,
        dg.MultiPartitionKey({"date": "2025-01-02", "static_dim": "eu"}),
        1,
    ),
    "all keys of a day": (multi(), {**BY_DAY, "partition_end": "2025-01-04"}, "2025-01-02", 2),
    "equal dimensions": (multi(), MULTI, dg.MultiPartitionKey({"date": "2025-01-02", "static_dim": "eu"}), 1),
    "equal keys": (STATIC(["eu", "us"]), {"partition_type": "static", "partition_values": "eu,us"}, "eu", 1),
    "more keys": (STATIC(["asia", "eu", "us"]), {"partition_type": "static", "partition_values": "eu,us"}, "eu", 1),
    "all of many": (STATIC(["asia", "eu", "us"]), {}, None, 3),
    "all days": (dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-01-04"), {}, None, 3),
    "none to choose from": (None, BY_DAY, "2025-01-05", 1),
}


def fill(project, definition: dg.PartitionsDefinition | None, name: str = "people") -> None:
    """A file for each of an asset's partitions, and others beside them that no partition has."""
    ids = lambda key: customers(2, customer_id=[f"{key}-{number}" for number in range(2)])  # noqa: E731
    if definition is None:
        write(ids("all"), project.data / f"{name}.parquet")
        return
    for key in definition.get_partition_keys():
        write(ids(key), project.data / name / f"{partitions.path_of(definition, key)}.parquet")
    for stale in ("2099-12-31", "stale/one", "aaa"):
        write(ids(stale), project.data / name / f"{stale}.parquet")


@pytest.mark.parametrize("kind", MAPPINGS)
def test_what_is_read_is_what_dagster_loads(project, kind):
    theirs, attributes, key, files = MAPPINGS[kind]
    fill(project, theirs)

    @dg.asset(partitions_def=theirs)
    def people(): ...

    seen = {}
    with project.attributes(customer_data_asset_key="people", **attributes).load() as defs:
        scores = defs.resolve_asset_graph().get(dg.AssetKey("customer_health_scores")).assets_def

        @dg.asset(partitions_def=scores.partitions_def)
        def reference(people) -> None:
            frames = list(people.values()) if isinstance(people, dict) else [people]
            seen["files"] = len(frames)
            seen["customers"] = sorted(pl.concat(frames)["customer_id"].to_list())

        manager = PolarsParquetIOManager(base_dir=str(project.data))
        others = dg.Definitions(assets=[reference, people], resources={"io_manager": manager})
        whole = dg.Definitions.merge(defs, others)
        selection = ["customer_health_scores", "reference"]
        result = dg.materialize(assets(whole), selection=selection, partition_key=key, raise_on_error=False)
    assert result.success, failure(result)
    place = f"/{paths.of_partition({'': str(key)})}" if key and "|" not in str(key) else ""
    table = next((project.data / "customer_health_scores").rglob("*.parquet")) if key else project.data / "customer_health_scores.parquet"
    assert place in str(table)
    assert sorted(pq.read_table(str(table))["customer_id"].to_pylist()) == seen["customers"]
    assert metadata(result)["customer/rows_read"] == len(seen["customers"]) == 2 * files
    assert seen["files"] == files
    assert not [path.name for path in project.data.iterdir() if path.name.startswith(".")], "links are left"


def run(project, theirs, key=None, instance=None, **attributes) -> dg.ExecuteInProcessResult:
    @dg.asset(partitions_def=theirs)
    def people(): ...

    with project.attributes(customer_data_asset_key="people", **attributes).load() as defs:
        scores = defs.resolve_asset_graph().get(dg.AssetKey("customer_health_scores")).assets_def
        return dg.materialize(
            [scores, people], selection=[scores], partition_key=key, raise_on_error=False, instance=instance
        )


@pytest.mark.parametrize(("attributes", "key"), [(BY_DAY, "2025-01-05"), ({**BY_DAY, "partition_type": "monthly"}, "2025-01-01")])
def test_a_partition_that_is_not_there_is_told(project, attributes, key):
    fill(project, DAILY)
    (project.data / "people/2025-01-05.parquet").unlink()
    told = failure(run(project, DAILY, key, **attributes))
    assert told.startswith("NOT_FOUND: ") and "input `customer`" in told and "2025-01-05" in told
    assert not list((project.data / "customer_health_scores").rglob("*.parquet"))


def test_partitions_that_are_not_there_may_be_left_out(project, instance):
    fill(project, DAILY)
    for day in ("2025-01-05", "2025-01-06"):
        (project.data / f"people/{day}.parquet").unlink()
    monthly = {**BY_DAY, "partition_type": "monthly", "allow_missing_partitions": True}
    result = run(project, DAILY, "2025-01-01", instance, **monthly)
    assert result.success, failure(result)
    assert metadata(result)["customer/rows_read"] == 2 * 29
    assert any("`2025-01-05`, `2025-01-06`: left out" in line for line in logs(instance, result))
    # but not all of them
    for path in (project.data / "people").glob("2025-01-*.parquet"):
        path.unlink()
    assert "which is all that belongs to the run" in failure(run(project, DAILY, "2025-01-01", **monthly))


def test_one_partition_that_is_left_of_several(project):
    fill(project, DAILY)
    for path in (project.data / "people").glob("2025-01-*.parquet"):
        if "2025-01-07" not in path.name:
            path.unlink()
    result = run(project, DAILY, "2025-01-01", **{**BY_DAY, "partition_type": "monthly", "allow_missing_partitions": True})
    assert metadata(result)["customer/rows_read"] == 2


def test_a_partition_that_the_upstream_asset_does_not_have(project):
    """Behind its end there is nothing, whatever files there are."""
    ended = dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-02-01")
    fill(project, DAILY)
    told = failure(run(project, ended, "2025-02-05", **BY_DAY))
    assert told.startswith("NOT_FOUND: asset `people` has no partition `2025-02-05`")
    told = failure(run(project, STATIC(["us"]), "eu", partition_type="static", partition_values="eu,us"))
    assert told.startswith("NOT_FOUND: asset `people` has no partition `eu`")


def test_days_of_another_zone_are_told_to_be_no_answer(project):
    tokyo = dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-03-01", timezone="Asia/Tokyo")
    fill(project, tokyo)
    told = failure(run(project, tokyo, "2025-01-05", **BY_DAY))
    assert "asset `people`" in told and "2025-01-05" in told and "Asia/Tokyo" in told, told


def test_dynamic_partitions(project, instance):
    instance.add_dynamic_partitions("tenants", ["a", "b"])
    theirs = dg.DynamicPartitionsDefinition(name="tenants")
    for tenant, count in (("a", 3), ("b", 4), ("c", 5)):
        write(customers(count), project.data / f"people/{tenant}.parquet")
    own = {"partition_type": "dynamic", "dynamic_partition_name": "tenants"}
    assert metadata(run(project, theirs, "b", instance, **own))["customer/rows_read"] == 4
    assert metadata(run(project, theirs, None, instance))["customer/rows_read"] == 7  # without the one that was never added


def test_partitions_that_have_nothing_to_do_with_each_other_fail_at_load(project):
    @dg.asset(partitions_def=STATIC(["eu"]))
    def people(): ...

    with project.attributes(customer_data_asset_key="people", **BY_DAY).load() as defs:
        with pytest.raises(dg.DagsterInvalidDefinitionError, match="customer_health_scores to people"):
            dg.Definitions.validate_loadable(dg.Definitions.merge(defs, dg.Definitions(assets=[people])))


def test_an_upstream_asset_that_dagster_does_not_know(project):
    project.attributes(customer_data_asset_key="people", **BY_DAY)
    fill(project, DAILY)
    assert metadata(project.materialize(partition_key="2025-01-05"))["customer/rows_read"] == 2
    (project.data / "people/2025-01-05.parquet").unlink()
    assert "NOT_FOUND" in failure(project.materialize(partition_key="2025-01-05"))  # and not all days
    project.attributes(customer_data_asset_key="whole", **BY_DAY)
    write(customers(9), project.data / "whole.parquet")
    assert metadata(project.materialize(partition_key="2025-01-05"))["customer/rows_read"] == 9


def test_files_that_this_machine_has_no_disk_for_are_sent_along(project, tmp_path, serve):
    """As those of an object store are."""
    from upath import UPath

    root = UPath("memory://lake/people")
    root.mkdir(parents=True, exist_ok=True)
    for day in ("2025-01-05", "2025-01-06", "2025-01-07"):
        with (root / f"{day}.parquet").open("wb") as file:
            pq.write_table(customers(2, customer_id=[f"{day}-a", f"{day}-b"]), file)
    _, address = serve("--allow", str(project.root), "--allow", str(tmp_path))
    weekly = {**BY_DAY, "partition_type": "weekly", "partition_start": "2025-01-05", "allow_missing_partitions": True}
    weekly["service"] = {"target": address}
    result = run(project, DAILY, "2025-01-05", data_dir="memory://lake", output=str(tmp_path / "scores.parquet"), **weekly)
    assert result.success, failure(result)
    assert metadata(result)["customer/rows_read"] == 6
    weekly["allow_missing_partitions"] = False
    result = run(project, DAILY, "2025-01-05", data_dir="memory://lake", output=str(tmp_path / "scores.parquet"), **weekly)
    assert "NOT_FOUND" in failure(result) and "`2025-01-08`" in failure(result)


def test_files_of_other_types_are_brought_together(project):
    days = dg.DailyPartitionsDefinition("2025-01-01", end_date="2025-01-04")
    for day, column in (("01", pa.array([1])), ("02", pa.array([2.5])), ("03", pa.array([None], pa.float64()))):
        table = pa.table({"customer_id": [day], "last_login_days": column})
        write(table, project.data / f"people/2025-01-{day}.parquet")
    assert metadata(run(project, days))["customer/rows_read"] == 3


@pytest.mark.parametrize(
    ("column", "rows"),
    [
        ("as dates", ["2025-01-01", "2025-01-02"]),
        ("as moments", ["2025-01-02T04:59:59", "2025-01-02T05:00:00"]),
    ],
)
def test_days_of_a_zone_are_told_by_dates_and_by_moments(project, column, rows):
    """A date is a day of the partitions' calendar; a moment belongs to the day that it was there."""
    values = pa.array(rows)
    values = values.cast(pa.date32()) if column == "as dates" else values.cast(pa.timestamp("us"))
    write(customers(2).append_column("at", values), project.data / "people.parquet")
    result = project.attributes(
        customer_data_asset_key="people", partition_timezone="America/New_York", partition_date_column="at", **BY_DAY
    ).materialize(partition_key="2025-01-01")
    assert result.success, failure(result)
    table = pq.read_table(str(project.data / "customer_health_scores/2025-01-01.parquet"))
    assert table["customer_id"].to_pylist() == ["c000"]
    assert metadata(result)["as_of"] == pytest.approx(1735793999.999999, abs=1e-5)  # 2025-01-02, 5 o'clock in UTC


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({**BY_DAY, "partition_timezone": "Mars/Olympus"}, "`Mars/Olympus` is no time zone"),
        ({**BY_DAY, "partition_end": "2024-01-01"}, "is not after"),
        ({**BY_DAY, "partition_start": "2025-01"}, "`2025-01` is no day"),
        ({"partition_type": "static", "partition_values": "eu", "partition_end": "2025-01-01"}, "no partitions in time"),
        ({"partition_dimensions": [{"type": "daily", "start": "2025-01-01", "end": "soon"}]}, "end: `soon` is no day"),
    ],
)
def test_what_is_no_time(project, attributes, message):
    project.attributes(customer_data_asset_key="people", **attributes)
    with pytest.raises(Exception) as caught, project.load():
        pass
    assert message in str(caught.value.__cause__ or caught.value)


def test_a_folder_whose_uri_has_escapes(project, instance):
    """`data_dir: file:///lake/my%20tables` is the folder `my tables`, for links to several partitions as for one file."""
    project.data = project.root / "my tables"
    fill(project, DAILY)
    weekly = {**BY_DAY, "partition_type": "weekly", "partition_start": "2025-01-05", "data_dir": project.data.as_uri()}
    assert run(project, DAILY, "2025-01-05", instance, **weekly).success
    found = run(project, DAILY, "2025-01-05", instance, **{**BY_DAY, "data_dir": project.data.as_uri()})
    assert metadata(found)["customer/rows_read"] == 2
    assert pq.read_table(str(project.data / "customer_health_scores/2025-01-05.parquet")).num_rows == 2
    assert not (project.root / "my%20tables").exists()
