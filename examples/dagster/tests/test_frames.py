"""Frames: no row, column or key is lost on the way to the service, and the scores come back as what came in."""

from datetime import date, datetime
from decimal import Decimal

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import customers, failure, logs, materializations, metadata
from test_component import chain

from dagster_customer_health import frames
from dagster_customer_health.frames import FrameError
from dagster_customer_health.report import CHECKS


def rows(frame) -> list[dict]:
    return frames.to_arrow(frame, told.append).to_pylist()


told: list[str] = []


@pytest.fixture(autouse=True)
def _told():
    told.clear()


DF = pd.DataFrame({"customer_id": ["a", "b"], "n": [4, 1]})
PLAIN = [{"customer_id": "a", "n": 4}, {"customer_id": "b", "n": 1}]

SHAPES = {
    "range": (DF, PLAIN),
    "named index": (DF.set_index("customer_id"), PLAIN),
    "named range": (DF[["customer_id"]].set_index(pd.RangeIndex(2, name="n")), [{"n": 0, "customer_id": "a"}, {"n": 1, "customer_id": "b"}]),
    "rows taken out": (DF[DF["n"] == 1], [{"customer_id": "b", "n": 1}]),
    "index without a name": (DF.iloc[1:].set_axis(["r"]), [{"__index_level_0__": "r", "customer_id": "b", "n": 1}]),
    "two indexes": (
        DF.assign(day=["x", "y"]).set_index(["customer_id", "day"]),
        [{"customer_id": "a", "day": "x", "n": 4}, {"customer_id": "b", "day": "y", "n": 1}],
    ),
    "index of times": (
        DF.set_index(pd.DatetimeIndex(["2025-01-01", "2025-01-02"], name="at"))[["n"]],
        [{"at": datetime(2025, 1, 1), "n": 4}, {"at": datetime(2025, 1, 2), "n": 1}],
    ),
    "categories": (DF.astype({"customer_id": "category"}), PLAIN),
    "nullable": (DF.convert_dtypes(), PLAIN),
    "arrow types": (DF.convert_dtypes(dtype_backend="pyarrow"), PLAIN),
    "objects": (DF.astype(object), PLAIN),
    "periods": (
        pd.DataFrame({"customer_id": ["a"], "month": pd.PeriodIndex(["2025-02"], freq="M")}),
        [{"customer_id": "a", "month": datetime(2025, 2, 1)}],
    ),
    "no rows": (DF.iloc[:0], []),
    "numbers as names": (pd.DataFrame({"customer_id": ["a"], 2025: [1]}), [{"customer_id": "a", "2025": 1}]),
    "polars": (pl.from_pandas(DF), PLAIN),
    "lazy": (pl.from_pandas(DF).lazy(), PLAIN),
    "enum": (pl.DataFrame({"customer_id": ["a"]}, schema={"customer_id": pl.Enum(["a"])}), [{"customer_id": "a"}]),
    "arrow": (pa.table(DF), PLAIN),
    "batch": (pa.RecordBatch.from_pylist(PLAIN), PLAIN),
    "reader": (pa.table(DF).to_reader(), PLAIN),
    "rows of dictionaries": (PLAIN, PLAIN),
    "first without a key": (
        [{"customer_id": "a"}, {"customer_id": "b", "n": 4}, {"m": 1}],
        [{"customer_id": "a", "n": None, "m": None}, {"customer_id": "b", "n": 4, "m": None}, {"customer_id": None, "n": None, "m": 1}],
    ),
    "no dictionaries": ([], []),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_all_that_is_in_a_frame_arrives(shape):
    frame, expected = SHAPES[shape]
    assert rows(frame) == expected and not told


@pytest.mark.parametrize("values", [["a", 7, None], ["a", 7.0, float("nan")]])
@pytest.mark.parametrize("make", [lambda values: pd.DataFrame({"id": values}), lambda values: [{"id": value} for value in values]])
def test_text_and_numbers_are_text_and_told(values, make):
    assert rows(make(values)) == [{"id": "a"}, {"id": "7"}, {"id": None}]
    assert told == ["column `id` has text and numbers, and is taken for text"]


WRONG = {
    "two of a name": (pd.DataFrame([["a", 1, 2]], columns=["id", "x", "x"]), "several columns have the name `x`"),
    "two of a name in Arrow": (pa.table([[1], [2]], names=["x", "x"]), "several columns have the name `x`"),
    "a number and its text": (pd.DataFrame([[1, 2]], columns=[1, "1"]), "several columns have the name `1`"),
    "index and column": (DF.set_index("n", drop=False), "several columns have the name `n`"),
    "mixed objects": (pd.DataFrame({"id": ["a", date(2025, 1, 1)]}), "column `id` has values that are no one type (date, str)"),
    "truth and text": ([{"id": "a"}, {"id": True}], "column `id`"),
    "polars objects": (pl.DataFrame({"id": pl.Series([object()], dtype=pl.Object)}), "column `id` has Python objects"),
    "series": (pd.Series([1]), "cannot send a pandas"),
    "polars series": (pl.Series([1]), "cannot send a polars"),
    "list of numbers": ([1, 2], "row 1 is no dictionary but a int"),
    "columns": ({"id": [1, 2]}, "partition id: row 1 is no dictionary"),
    "a number": (42, "cannot send a builtins.int"),
    "nothing": (None, "cannot send a builtins.NoneType"),
    "no partition": ({}, "there is no partition with a table"),
    "no table in any": ({"1": None, "2": []}, "there is no partition with a table"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_sent_is_told_with_its_column(case):
    frame, message = WRONG[case]
    with pytest.raises(FrameError) as caught:
        rows(frame)
    assert message in str(caught.value)


def month(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


BIG = (1 << 62) + 1
MERGED = {
    "whole and missing": ([month(x=[1]), month(x=[None])], [1, None], pa.int64()),
    "whole and whole fractions": ([month(x=[BIG]), month(x=[2.0, None])], [BIG, 2, None], pa.int64()),
    "whole and fractions": ([month(x=[1]), month(x=[2.5])], [1.0, 2.5], pa.float64()),
    "whole and endless": ([month(x=[1]), month(x=[float("inf")])], [1.0, float("inf")], pa.float64()),
    "text and number": ([month(x=["a"]), month(x=[7]), month(x=[8.0, None])], ["a", "7", "8", None], pa.large_string()),
    "text and empty": ([month(x=["a"]), month(x=[float("nan")])], ["a", None], pa.large_string()),
    "category": ([month(x=pd.Categorical(["a"])), month(x=["b"])], ["a", "b"], pa.large_string()),
    "widths": ([pl.DataFrame({"x": [1]}, schema={"x": pl.Int16}), pl.DataFrame({"x": [2]}, schema={"x": pl.Int32})], [1, 2], pa.int64()),
    "no sign": ([pl.DataFrame({"x": [1 << 63]}, schema={"x": pl.UInt64}), pl.DataFrame({"x": [2]}, schema={"x": pl.UInt8})], [1 << 63, 2], pa.uint64()),
    "decimals": ([pa.table({"x": [Decimal("1.50")]}), month(x=[2])], [Decimal("1.50"), Decimal("2.00")], None),
    "precisions": (
        [pa.table({"x": pa.array([0], pa.timestamp("s"))}), pa.table({"x": pa.array([1], pa.timestamp("us"))})],
        [datetime(1970, 1, 1), datetime(1970, 1, 1, 0, 0, 0, 1)], pa.timestamp("us")),
    "day and time": ([pa.table({"x": [date(2025, 1, 1)]}), pa.table({"x": [datetime(2025, 1, 2)]})], [datetime(2025, 1, 1), datetime(2025, 1, 2)], None),
    "zones": (
        [pa.table({"x": pa.array([0], pa.timestamp("us", "UTC"))}), pa.table({"x": pa.array([0], pa.timestamp("us", "Europe/Berlin"))})],
        None, pa.timestamp("us", "UTC")),
    "no rows": ([month(x=["a"]), month(x=pd.Series([], dtype="int64"))], ["a"], pa.large_string()),
    "nothing anywhere": ([month(x=[None]), month(x=[None])], [None, None], None),
    "lists": ([pa.table({"x": [[1]]}), pa.table({"x": [[2.5]]})], [[1.0], [2.5]], None),
    "kinds of frames": ([pl.DataFrame({"x": [1]}), month(x=[2]), [{"x": 3}]], [1, 2, 3], pa.int64()),
}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("case", MERGED)
def test_types_of_partitions_become_one(case, order):
    parts, values, kind = MERGED[case]
    found = frames.to_arrow(dict(list(enumerate(parts))[::order]), told.append)
    if order == 1 and values is not None:
        assert found["x"].to_pylist() == values
    assert kind is None or found["x"].type == kind
    assert found.num_rows == sum(frames.to_arrow(part).num_rows for part in parts)


def test_a_column_that_a_partition_lacks_is_empty_there():
    assert rows({"1": month(id=["a"]), "2": month(id=["b"], x=[2])}) == [{"id": "a", "x": None}, {"id": "b", "x": 2}]
    assert rows({"1": None, "2": month(id=["b"])}) == [{"id": "b"}]
    assert told == ["partition 1: there is no table, and so none of its rows"]


@pytest.mark.parametrize(
    "parts",
    [
        [month(x=["a"]), month(x=[datetime(2025, 1, 1)])],
        [month(x=[True]), month(x=[1])],
        [month(x=[datetime(2025, 1, 1)]), month(x=pd.to_datetime(["2025-01-01"]).tz_localize("UTC"))],
        [pa.table({"x": [b"a"]}), month(x=["a"])],
        [month(x=[BIG]), month(x=[2.5])],
        [pl.DataFrame({"x": [1 << 63]}, schema={"x": pl.UInt64}), month(x=[-1])],
    ],
)
def test_types_that_do_not_go_together_are_told_with_column_and_partition(parts):
    with pytest.raises(FrameError, match=r"column `x`.*partition|partition .: column `x`"):
        rows(dict(enumerate(parts)))


MADE = {
    "pandas": lambda table: table.to_pandas(),
    "polars": lambda table: pl.from_arrow(table),
    "lazy": lambda table: pl.from_arrow(table).lazy(),
    "arrow": lambda table: table,
    "rows": lambda table: table.to_pylist(),
}
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.Table}


def in_memory(project, given, **attributes):
    """The scores that an asset behind them is given, and the run."""
    seen = {}

    @dg.asset
    def people():
        return given

    @dg.asset
    def after(customer_health_scores) -> None:
        seen["scores"] = customer_health_scores

    project.attributes(data_dir=None, customer_data_asset_key="people", **attributes)
    result = project.materialize(people, after, resources={"io_manager": dg.mem_io_manager})
    return seen.get("scores"), result


@pytest.mark.parametrize(("made", "kind"), [("pandas", "pandas"), ("polars", "polars"), ("lazy", "polars"), ("arrow", "arrow"), ("rows", "pandas")])
def test_the_kind_of_frame_that_came_in_goes_out(project, made, kind):
    scores, result = in_memory(project, MADE[made](customers()))
    assert result.success, failure(result)
    assert type(scores) is KINDS[kind] and len(scores) == 20
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert set(checks) == set(CHECKS) and checks["customer_id_unique_not_null"]
    assert metadata(result)["dagster/row_count"] == 20


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_where_it_is_asked_for(project, kind):
    scores, result = in_memory(project, customers().to_pandas(), frame=kind)
    assert result.success and type(scores) is KINDS[kind]


def test_a_kind_that_there_is_not(project):
    with pytest.raises(Exception) as caught:
        in_memory(project, customers(), frame="spark")
    assert "pandas" in "".join(str(error) for error in chain(caught.value))


def test_checks_that_do_not_pass_in_memory_hold_back_what_follows(project):
    scores, result = in_memory(project, customers(0), allow_empty=True)
    failed = {event.check_name for event in result.get_asset_check_evaluations() if not event.passed}
    assert "row_count_positive" in failed and scores is None
    assert materializations(result)


def test_without_checks_in_memory(project):
    scores, result = in_memory(project, customers(), asset_checks=False)
    assert result.success and len(scores) == 20 and not result.get_asset_check_evaluations()


def test_a_key_that_the_first_row_lacks_counts(project):
    """A list of dictionaries whose first has no `login_frequency` scored as if nobody had one."""
    full = customers().to_pylist()
    whole, _ = in_memory(project, full[1:] + full[:1])
    without = [{name: value for name, value in full[0].items() if name != "login_frequency"}, *full[1:]]
    scores, result = in_memory(project, without)
    assert result.success
    expected = dict(zip(whole["customer_id"], whole["health_score"]))
    # the first customer has nothing there, which changes only its own score
    assert {row.customer_id: row.health_score for row in scores.itertuples() if row.customer_id != "c000"} == {
        name: score for name, score in expected.items() if name != "c000"
    }


def test_an_index_is_the_key(project):
    scores, result = in_memory(project, customers().to_pandas().set_index("customer_id"))
    assert result.success, failure(result)
    assert set(scores["customer_id"]) == set(customers()["customer_id"].to_pylist())


STATIC = dg.StaticPartitionsDefinition(["eu", "us"])


def partitioned(project, parts, instance, **attributes):
    @dg.asset(partitions_def=STATIC)
    def people(context: dg.AssetExecutionContext):
        return parts[context.partition_key]

    project.attributes(data_dir=None, customer_data_asset_key="people", **attributes)
    with project.load() as defs:
        manager = {"io_manager": dg.FilesystemIOManager(base_dir=str(project.root / "pickles"))}
        whole = dg.Definitions.merge(defs, dg.Definitions(assets=[people], resources=manager))
        assets = list(whole.resolve_asset_graph().assets_defs)
        for key in parts:
            assert dg.materialize(assets, selection=["people"], partition_key=key, instance=instance).success
        key = "us" if attributes else None
        return dg.materialize(
            assets, selection=["customer_health_scores"], instance=instance, partition_key=key, raise_on_error=False
        )


def test_partitions_of_an_upstream_asset_are_one_table(project, instance):
    ids = customers().to_pandas()
    parts = {"eu": ids[:5].reset_index(drop=True), "us": ids[5:].assign(customer_id=range(15), login_frequency=1.5).reset_index(drop=True)}
    result = partitioned(project, parts, instance)
    assert result.success, failure(result)
    assert metadata(result)["dagster/row_count"] == 20
    assert any("upstream asset people: column `customer_id` is text in partition eu" in line for line in logs(instance, result))


def test_a_failure_names_asset_partition_and_column(project, instance):
    parts = {"eu": customers().to_pandas(), "us": pd.DataFrame({"customer_id": ["a"], "last_login_days": [date(2025, 1, 1)]})}
    told = failure(partitioned(project, parts, instance))
    assert "upstream asset people" in told and "column `last_login_days`" in told and "partition us" in told


def test_a_failure_names_the_one_partition(project, instance):
    parts = {"eu": customers(), "us": [{"customer_id": "a"}, {"customer_id": date(2025, 1, 1)}]}
    told = failure(partitioned(project, parts, instance, partition_type="static", partition_values="eu,us"))
    assert "upstream asset people, partition us" in told and "column `customer_id`" in told


def test_what_the_service_refuses_is_told_with_the_asset(project):
    _, result = in_memory(project, pd.DataFrame({"nobody": [1]}))
    assert "input `customer` is upstream asset people" in failure(result)


def test_no_rows_and_no_columns(project):
    _, result = in_memory(project, [])
    assert "upstream asset people: it has no rows, and no columns to read" in failure(result)
