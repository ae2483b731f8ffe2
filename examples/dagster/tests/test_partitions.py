"""A partition is the request's key, as-of time, window, predicate and paths."""

from datetime import datetime, timedelta, timezone

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import customers, failure, materializations, metadata, run, write
from dagster_polars import PolarsParquetIOManager

from dagster_customer_health import partitions

END = timedelta(microseconds=1)


def moment(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("kind", "start", "key", "as_of", "days", "previous"),
    [
        ("daily", "2025-01-01", "2025-01-31", moment(2025, 2, 1), 1, "2025-01-30"),
        ("daily", "2025-01-31", "2025-01-31", moment(2025, 2, 1), 1, None),
        ("weekly", "2025-01-05", "2025-01-12", moment(2025, 1, 19), 7, "2025-01-05"),
        ("monthly", "2025-01-01", "2025-02-01", moment(2025, 3, 1), 28, "2025-01-01"),
        ("hourly", "2025-01-01", "2025-01-01-05:00", moment(2025, 1, 1, 6), 1, "2025-01-01-04:00"),
    ],
)
def test_partitions_in_time(kind, start, key, as_of, days, previous):
    part = partitions.slice_of(partitions.definition(kind, start), key)
    assert (part.key, part.path, part.as_of, part.days) == (key, key, as_of - END, days)
    assert part.previous == previous


def test_a_backfill_of_thirty_days_with_trend(project, instance):
    """Each day has a file of its own, of the customers' state at its end, and the trend reads the day before."""
    days = [f"2025-06-{day:02}" for day in range(1, 31)]
    daily = dg.DailyPartitionsDefinition("2025-06-01")

    @dg.asset(partitions_def=daily)
    def activity(context: dg.AssetExecutionContext) -> pl.DataFrame:
        day = int(context.partition_key[-2:])
        return pl.DataFrame({"customer_id": ["falling", "steady"], "last_login_days": [day - 1, 3]})

    with project.attributes(
        customer_data_asset_key="activity",
        partition_dimensions=[{"name": "day", "type": "daily", "start": "2025-06-01"}],
        calculate_trend=True,
        asset_checks=False,
    ).load() as defs:
        scores = defs.resolve_asset_graph().get(dg.AssetKey("customer_health_scores")).assets_def
        io_manager = PolarsParquetIOManager(base_dir=str(project.data))
        for day in days:
            result = run(defs, activity, partition_key=day, resources={"io_manager": io_manager}, instance=instance)
            assert result.success, failure(result)
            (event,) = materializations(result)
            assert event.materialization.partition == day
            told = metadata(result)
            assert told["dagster/partition_row_count"] == 2 and "dagster/row_count" not in told
            assert told["as_of"] == pytest.approx((moment(2025, 6, int(day[-2:])) + timedelta(days=1) - END).timestamp())
        assert scores.partitions_def.has_partition_key(days[0])
        assert set(instance.get_materialized_partitions(scores.key)) == set(days)

    files = sorted(path.name for path in (project.data / "customer_health_scores").iterdir())
    assert files == [f"{day}.parquet" for day in days]
    tables = [pl.read_parquet(project.data / f"customer_health_scores/{day}.parquet").sort("customer_id") for day in days]
    assert tables[0]["trend"].to_list() == [None, None]
    for before, now in zip(tables, tables[1:]):
        assert now["previous_health_score"].to_list() == before["health_score"].to_list()
        assert now["trend"].to_list()[1] == "stable"
        assert now["health_score_change"].to_list()[0] < 0


def test_rows_at_midnight_belong_to_the_day_that_they_date(project):
    """With a timestamp, the window of a partition is the partition itself, without the next one's first moment."""
    rows = pa.table(
        {
            "customer_id": ["before", "first", "last", "after"],
            "at": pa.array([datetime(2025, 1, 1), datetime(2025, 1, 2), datetime(2025, 1, 2, 23, 59), datetime(2025, 1, 3)]),
            "login_frequency": [1, 1, 1, 1],
        }
    )
    write(rows, project.folder / "rows.parquet")
    result = project.attributes(
        inputs={"customer": {"path": "rows.parquet", "timestamp": "at"}},
        partition_type="daily",
        partition_start="2025-01-01",
        partition_window="partition",
    ).materialize(partition_key="2025-01-02")
    assert result.success, failure(result)
    scores = pq.read_table(project.data / "customer_health_scores/2025-01-02.parquet")
    assert sorted(scores["customer_id"].to_pylist()) == ["first", "last"]


def test_a_column_tells_the_rows_of_a_time_partition(project):
    table = customers(4).append_column("day", pa.array(["2025-01-01", "2025-01-01", "2025-01-02", "2025-01-08"]))
    write(table, project.data / "customers.parquet")
    write(pa.table({"customer_id": ["c000"], "ticket_count": [1]}), project.data / "tickets.parquet")
    result = project.attributes(
        customer_data_asset_key="customers",
        support_ticket_asset_key="tickets",
        partition_type="weekly",
        partition_start="2024-12-29",
        partition_date_column="day",
    ).materialize(partition_key="2024-12-29")
    assert result.success, failure(result)
    told = metadata(result)
    assert (told["customer/rows_kept"], told["support/rows_kept"]) == (3, 1)


def test_static_partitions(project):
    table = customers(6).append_column("region", pa.array(["eu", "us", "eu", "it's", "us", "eu"]))
    write(table, project.data / "customers.parquet")
    project.attributes(
        customer_data_asset_key="customers",
        partition_type="static",
        partition_values="eu, us, it's",
        partition_static_column="region",
        fan_out={"churn_risk": True},
    )
    for key, count in (("eu", 3), ("us", 2), ("it's", 1)):
        result = project.materialize(partition_key=key)
        assert result.success, failure(result)
        assert metadata(result)["dagster/partition_row_count"] == count
        assert pq.read_table(project.data / f"customer_health_scores/{key}.parquet").num_rows == count
        assert (project.data / f"customer_health_scores_churn_risk/{key}.parquet").is_file()


def test_a_column_that_no_input_has(project):
    write(customers(), project.data / "customers.parquet")
    result = project.attributes(
        customer_data_asset_key="customers", partition_type="static", partition_values="eu", partition_static_column="land"
    ).materialize(partition_key="eu")
    assert "no input has the column `land`" in failure(result)


def test_dynamic_partitions(project, instance):
    table = customers(4).append_column("tenant", pa.array(["a", "b", "a", "a"]))
    write(table, project.data / "customers.parquet")
    instance.add_dynamic_partitions("tenants", ["a", "b"])
    result = project.attributes(
        customer_data_asset_key="customers",
        partition_type="dynamic",
        dynamic_partition_name="tenants",
        partition_static_column="tenant",
    ).materialize(partition_key="a", instance=instance)
    assert result.success, failure(result)
    assert metadata(result)["dagster/partition_row_count"] == 3


def test_multi_partitions(project):
    """Both dimensions count, and the file is where UPathIOManager looks for it."""
    seen = {}
    table = customers(6).append_column("region", pa.array(["eu", "us", "eu", "us", "us", "eu"]))
    write(table, project.data / "customers.parquet")
    project.attributes(
        customer_data_asset_key="customers",
        partition_type="multi",
        partition_start="2025-01-01",
        partition_values="eu,us",
        partition_static_dim="region",
        partition_static_column="region",
        calculate_trend=True,
    )
    with project.load() as defs:
        scores = defs.resolve_asset_graph().get(dg.AssetKey("customer_health_scores")).assets_def

        @dg.asset(partitions_def=scores.partitions_def)
        def after(customer_health_scores: pl.DataFrame) -> None:
            seen["scores"] = customer_health_scores

        resources = {"io_manager": PolarsParquetIOManager(base_dir=str(project.data))}
        for day in ("2025-01-01", "2025-01-02"):
            key = dg.MultiPartitionKey({"date": day, "region": "eu"})
            result = run(defs, after, partition_key=key, resources=resources)
            assert result.success, failure(result)
            assert metadata(result)["dagster/partition_row_count"] == 3
    assert (project.data / "customer_health_scores/2025-01-02/eu.parquet").is_file()
    assert seen["scores"].height == 3
    assert seen["scores"]["previous_health_score"].null_count() == 0  # the day before, of the same region


def test_an_output_of_ones_own_is_a_folder_of_partitions(project):
    write(customers(), project.folder / "customers.parquet")
    result = project.attributes(
        data_dir=None,
        inputs={"customer": "customers.parquet"},
        output="out/scores.parquet",
        fan_out={"expansion": True},
        partition_type="daily",
        partition_start="2025-01-01",
    ).materialize(partition_key="2025-01-02")
    assert result.success, failure(result)
    assert (project.folder / "out/scores/2025-01-02.parquet").is_file()
    assert (project.folder / "out/customer_health_scores_expansion/2025-01-02.parquet").is_file()


def test_an_upstream_asset_of_other_partitions_is_read_whole(project):
    monthly = dg.MonthlyPartitionsDefinition("2025-01-01")

    @dg.asset(partitions_def=monthly)
    def people(): ...

    for month, count in (("2025-01-01", 3), ("2025-02-01", 5)):
        write(customers(count), project.data / f"people/{month}.parquet")
    with project.attributes(
        customer_data_asset_key="people", partition_type="daily", partition_start="2025-01-01"
    ).load() as defs:
        scores = defs.resolve_asset_graph().get(dg.AssetKey("customer_health_scores")).assets_def
        result = dg.materialize(
            [scores, people], selection=[scores], partition_key="2025-02-03", raise_on_error=False
        )
    assert result.success, failure(result)
    assert metadata(result)["customer/rows_read"] == 8


def test_quotes_in_columns_and_keys():
    part = partitions.slice_of(dg.StaticPartitionsDefinition(["it's"]), "it's", static_column='a"b')
    assert part.filters == {'a"b': """CAST("a""b" AS VARCHAR) = 'it''s'"""}
