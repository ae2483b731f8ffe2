"""A partition is the request's key, as-of time, window, predicate and paths."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import customers, failure, metadata, run, write
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus, PartitionBackfill
from dagster._core.instance_for_test import instance_for_test
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
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


LOCATION = """
from pathlib import Path

import dagster as dg


@dg.definitions
def defs():
    found = dg.load_from_defs_folder(path_within_project=Path({package!r}))
    return dg.Definitions.merge(found, dg.Definitions(executor=dg.in_process_executor))
"""


@pytest.fixture
def backfill(project, tmp_path, monkeypatch) -> Iterator[Callable[..., tuple[dg.DagsterInstance, list[int]]]]:
    """Backfills as Dagster's daemon does, iteration by iteration, until all is done; each run is made in this process. Gives
    the number of runs that each iteration asked for.
    """
    package = project.folder.parent.parent
    (package / "__init__.py").touch()
    (package.parent.parent / "pyproject.toml").write_text(
        f'[project]\nname = "{package.name}"\nversion = "0"\n[tool.dg]\ndirectory_type = "project"\n'
        f'[tool.dg.project]\nroot_module = "{package.name}"\n'
    )
    file = tmp_path / "location.py"
    file.write_text(LOCATION.format(package=str(package)))
    monkeypatch.syspath_prepend(str(package.parent))
    origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file=str(file), attribute="defs"), location_name="here")
    with ExitStack() as stack:
        instance = stack.enter_context(instance_for_test(synchronous_run_coordinator=True, synchronous_run_launcher=True))

        def start(keys: list[str], *names: str) -> tuple[dg.DagsterInstance, list[int]]:
            target = InProcessWorkspaceLoadTarget(origin)
            workspace = stack.enter_context(create_test_daemon_workspace_context(target, instance))
            context = workspace.create_request_context()
            assert not context.get_location_entry("here").load_error, context.get_location_entry("here").load_error.to_string()
            instance.add_backfill(
                PartitionBackfill.from_asset_partitions(
                    backfill_id="b",
                    asset_graph=context.asset_graph,
                    partition_names=keys,
                    asset_selection=[dg.AssetKey(name) for name in names],
                    backfill_timestamp=time.time(),
                    tags={},
                    dynamic_partitions_store=instance,
                    all_partitions=False,
                    title=None,
                    description=None,
                    run_config=None,
                )
            )
            asked = []
            for _ in range(2 * len(keys) + 2):
                before = instance.get_runs_count()
                for error in execute_backfill_iteration(workspace, logging.getLogger("backfill")):
                    assert error is None, error.to_string()
                asked.append(instance.get_runs_count() - before)
                status = instance.get_backfill("b").status
                if status in BULK_ACTION_TERMINAL_STATUSES:
                    assert status == BulkActionStatus.COMPLETED_SUCCESS
                    return instance, asked
            raise AssertionError(f"the backfill does not end: {status}")

        yield start


def test_a_backfill_of_thirty_days_with_trend(project, serve, backfill):
    """Each day has a file of its own, of the customers' state at its end. The trend reads the day before, so that the daemon
    asks for one day after the other and never for two at once.
    """
    days = [f"2025-06-{day:02}" for day in range(1, 31)]
    for day in days:
        table = pa.table({"customer_id": ["falling", "steady"], "last_login_days": [int(day[-2:]) - 1, 3]})
        write(table, project.data / f"activity/{day}.parquet")
    _, address = serve("--allow", str(project.root))
    project.attributes(
        customer_data_asset_key="activity",
        partition_dimensions=[{"name": "day", "type": "daily", "start": "2025-06-01"}],
        calculate_trend=True,
        asset_checks=False,
        service={"target": address},
    )
    instance, asked = backfill(days, "customer_health_scores")
    assert sum(asked) == 30 and max(asked) == 1
    scores = dg.AssetKey("customer_health_scores")
    assert set(instance.get_materialized_partitions(scores)) == set(days)
    records = instance.fetch_materializations(scores, limit=100).records
    assert len(records) == 30
    for record in records:
        told = {name: value.value for name, value in record.asset_materialization.metadata.items()}
        assert told["dagster/partition_row_count"] == 2 and "dagster/row_count" not in told
        end = moment(2025, 6, int(record.partition_key[-2:])) + timedelta(days=1) - END
        assert told["as_of"] == pytest.approx(end.timestamp(), abs=1e-6)

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


@pytest.mark.parametrize(
    ("kind", "start", "key", "window"),
    [
        ("hourly", "2025-01-01", "2025-01-01-05:00", (moment(2025, 1, 1, 5), moment(2025, 1, 1, 6))),
        ("daily", "2025-01-01", "2025-01-31", (moment(2025, 1, 31), moment(2025, 2, 1))),
        ("weekly", "2025-01-05", "2025-01-12", (moment(2025, 1, 12), moment(2025, 1, 19))),
        ("monthly", "2024-01-01", "2024-02-01", (moment(2024, 2, 1), moment(2024, 3, 1))),
    ],
)
def test_each_kind_of_partition_in_time_runs_on_its_own_rows(project, kind, start, key, window):
    """From the window's start to before its end, and what is scored is as of its last moment."""
    first, end = (at.replace(tzinfo=None) for at in window)
    table = pa.table(
        {
            "customer_id": ["before", "first", "last", "after"],
            "at": pa.array([first - END, first, end - END, end], pa.timestamp("us")),
            "login_frequency": [1, 1, 1, 1],
        }
    )
    write(table, project.data / "events.parquet")
    result = project.attributes(
        customer_data_asset_key="events",
        partition_type=kind,
        partition_start=start,
        partition_date_column="at",
        partition_window="partition",
    ).materialize(partition_key=key)
    assert result.success, failure(result)
    told = metadata(result)
    assert told["as_of"] == pytest.approx((window[1] - END).timestamp(), abs=1e-6)
    assert (told["customer/rows_read"], told["customer/rows_kept"], told["dagster/partition_row_count"]) == (4, 2, 2)
    scores = pq.read_table(project.data / f"customer_health_scores/{key}.parquet")
    assert sorted(scores["customer_id"].to_pylist()) == ["first", "last"]


def test_an_hour_is_no_analysis_period(project):
    project.attributes(
        customer_data_asset_key="events", partition_type="hourly", partition_start="2025-01-01", partition_window="partition"
    )
    with pytest.raises(Exception) as caught, project.load():
        pass
    assert "partition_date_column" in str(caught.value.__cause__ or caught.value)


def test_dimensions_with_columns_of_their_own(project):
    """A month of a region: the rows of both, as of the month's end."""
    days = ["2025-01-31", "2025-02-01", "2025-02-28", "2025-02-28", "2025-03-01"]
    table = customers(5).append_column("day", pa.array(days)).append_column("land", pa.array(["eu", "eu", "us", "eu", "eu"]))
    write(table, project.data / "customers.parquet")
    result = project.attributes(
        customer_data_asset_key="customers",
        partition_dimensions=[
            {"name": "month", "type": "monthly", "start": "2025-01-01", "column": "day"},
            {"name": "region", "type": "static", "values": ["eu", "us"], "column": "land"},
        ],
    ).materialize(partition_key=dg.MultiPartitionKey({"month": "2025-02-01", "region": "eu"}))
    assert result.success, failure(result)
    told = metadata(result)
    assert told["as_of"] == pytest.approx((moment(2025, 3, 1) - END).timestamp(), abs=1e-6)
    assert (told["customer/rows_read"], told["dagster/partition_row_count"]) == (5, 2)
    scores = pq.read_table(project.data / "customer_health_scores/2025-02-01/eu.parquet")
    assert sorted(scores["customer_id"].to_pylist()) == ["c001", "c003"]


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
            told = metadata(result)
            assert told["dagster/partition_row_count"] == 3
            end = moment(2025, 1, int(day[-2:])) + timedelta(days=1) - END
            assert told["as_of"] == pytest.approx(end.timestamp(), abs=1e-6)
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


def test_quotes_in_columns_and_keys():
    part = partitions.slice_of(dg.StaticPartitionsDefinition(["it's"]), "it's", static_column='a"b')
    assert part.filters == {'a"b': """CAST("a""b" AS VARCHAR) = 'it''s'"""}
