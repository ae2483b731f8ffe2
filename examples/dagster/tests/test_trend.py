"""The trend of tables that have no file: it starts from what the asset's IO manager has of before."""

import dagster as dg
import pandas as pd
import polars as pl
import pytest
from conftest import assets, customers, failure, logs, run

SCORES = "customer_health_scores"
DAILY = {"partition_type": "daily", "partition_start": "2025-01-01"}
IDLE = {"idle": 25}


@dg.asset
def people() -> pd.DataFrame:
    return customers(2, last_login_days=[IDLE["idle"], 0]).to_pandas()


@pytest.fixture
def store(tmp_path):
    return {"io_manager": dg.FilesystemIOManager(base_dir=str(tmp_path / "values"))}


def scores(tmp_path, partition: str = "") -> pd.DataFrame:
    return pd.read_pickle(tmp_path / "values" / SCORES / partition).set_index("customer_id").sort_index()


def once(project, idle: int, instance, store, *others, **arguments) -> dg.ExecuteInProcessResult:
    IDLE["idle"] = idle
    result = project.materialize(people, *others, resources=store, instance=instance, **arguments)
    assert result.success, failure(result)
    return result


def warnings(instance, result) -> list[str]:
    return [line for line in logs(instance, result) if "calculate_trend" in line or "history" in line]


def test_the_run_before_is_what_a_run_is_compared_with(project, instance, store, tmp_path):
    """The community's component has `calculate_trend: true` as its default."""
    project.attributes(data_dir=None, customer_data_asset_key="people", calculate_trend=True)
    result = once(project, 25, instance, store)
    first = scores(tmp_path)
    assert first["trend"].isna().all() and first["previous_health_score"].isna().all()
    (told,) = warnings(instance, result)
    assert told.startswith("history: there is nothing at ") and "yet" in told
    result = once(project, 5, instance, store)
    second = scores(tmp_path)
    assert second["previous_health_score"].tolist() == first["health_score"].tolist()
    assert second["trend"].tolist() == ["improving", "stable"]
    assert second["health_score_change"].tolist() == pytest.approx((second["health_score"] - first["health_score"]).tolist())
    assert not warnings(instance, result), "it is known what the earlier scores are as of, and of which scorecard"


def test_other_scorecards_are_told(project, instance, store, tmp_path):
    attributes = {"data_dir": None, "customer_data_asset_key": "people", "calculate_trend": True}
    project.attributes(**attributes)
    once(project, 25, instance, store)
    project.attributes(**attributes, engagement_weight=0.4)
    result = once(project, 25, instance, store)
    assert any("was scored by another scorecard" in line for line in warnings(instance, result))


def test_the_partition_before_is_what_a_partition_is_compared_with(project, instance, store, tmp_path):
    project.attributes(data_dir=None, customer_data_asset_key="people", calculate_trend=True, **DAILY)
    for day, idle in enumerate((25, 20, 5), 1):
        once(project, idle, instance, store, partition_key=f"2025-01-0{day}")
    days = [scores(tmp_path, f"2025-01-0{day}") for day in (1, 2, 3)]
    assert days[0]["trend"].isna().all()
    for before, now in zip(days, days[1:]):
        assert now["previous_health_score"].tolist() == before["health_score"].tolist()
    # The second day anew is compared with the first, and not with itself or the third.
    once(project, 20, instance, store, partition_key="2025-01-02")
    assert scores(tmp_path, "2025-01-02")["previous_health_score"].tolist() == days[0]["health_score"].tolist()
    # A day whose day before was never made has none.
    once(project, 20, instance, store, partition_key="2025-01-09")
    assert scores(tmp_path, "2025-01-09")["trend"].isna().all()


def test_a_backfill_in_memory_goes_in_the_order_of_time(project):
    project.attributes(data_dir=None, customer_data_asset_key="people", calculate_trend=True, **DAILY)
    with project.load() as defs:
        defs = dg.Definitions.merge(defs, dg.Definitions(assets=[people]))
        node = defs.resolve_asset_graph().get(dg.AssetKey(SCORES))
        assert node.has_self_dependency
        (asset,) = [asset for asset in assets(defs) if asset.key == dg.AssetKey(SCORES)]
        mapping = asset.get_partition_mapping(dg.AssetKey(SCORES))
        assert (mapping.start_offset, mapping.end_offset) == (-1, -1)


def test_two_dimensions(project, instance, store, tmp_path):
    project.attributes(
        data_dir=None,
        customer_data_asset_key="people",
        calculate_trend=True,
        partition_type="multi",
        partition_start="2025-01-01",
        partition_values="eu,us",
        partition_static_dim="region",
    )
    for day, region, idle in ((1, "eu", 25), (1, "us", 0), (2, "eu", 5)):
        once(project, idle, instance, store, partition_key=dg.MultiPartitionKey({"date": f"2025-01-0{day}", "region": region}))
    before, now = (scores(tmp_path, f"2025-01-0{day}/eu") for day in (1, 2))
    assert now["previous_health_score"].tolist() == before["health_score"].tolist()
    assert now["trend"].tolist()[0] == "improving"


def test_static_partitions_have_a_run_before(project, instance, store, tmp_path):
    project.attributes(
        data_dir=None,
        customer_data_asset_key="people",
        calculate_trend=True,
        partition_type="static",
        partition_values="eu,us",
    )
    once(project, 25, instance, store, partition_key="eu")
    once(project, 0, instance, store, partition_key="us")
    once(project, 5, instance, store, partition_key="eu")
    assert scores(tmp_path, "eu")["trend"].tolist() == ["improving", "stable"]
    assert scores(tmp_path, "us")["trend"].isna().all()


def test_what_is_no_longer_there_is_told(project, instance, store, tmp_path):
    project.attributes(data_dir=None, customer_data_asset_key="people", calculate_trend=True)
    once(project, 25, instance, store)
    (tmp_path / "values" / SCORES).unlink()
    result = once(project, 5, instance, store)
    assert scores(tmp_path)["trend"].isna().all()
    assert any("are no longer there: the trend is empty" in line for line in warnings(instance, result))


class Broken(dg.IOManager):
    """Keeps what it is given, and gives back all but the scores."""

    def __init__(self):
        self.kept = {}

    def handle_output(self, context, obj):
        self.kept[context.asset_key] = obj

    def load_input(self, context):
        if context.asset_key == dg.AssetKey(SCORES):
            raise OSError("the disk is away")
        return self.kept[context.asset_key]


def test_an_io_manager_that_fails_fails_the_run(project, instance):
    """Better none than scores without the trend that was asked for, which nobody would make anew."""
    project.attributes(data_dir=None, customer_data_asset_key="people", calculate_trend=True)
    once(project, 25, instance, {"io_manager": Broken()})
    result = project.materialize(people, resources={"io_manager": Broken()}, instance=instance)
    told = failure(result)
    assert "calculate_trend" in told and "the disk is away" in told


def test_frames_of_another_kind(project, instance, tmp_path):
    from dagster_polars import PolarsParquetIOManager

    @dg.asset(name="people")
    def polars_people() -> pl.DataFrame:
        return pl.from_arrow(customers(2, last_login_days=[IDLE["idle"], 0]))

    project.attributes(data_dir=None, customer_data_asset_key="people", calculate_trend=True)
    resources = {"io_manager": PolarsParquetIOManager(base_dir=str(tmp_path / "values"))}
    for idle in (25, 5):
        IDLE["idle"] = idle
        result = project.materialize(polars_people, resources=resources, instance=instance)
        assert result.success, failure(result)
    assert pl.read_parquet(tmp_path / f"values/{SCORES}.parquet").sort("customer_id")["trend"].to_list() == ["improving", "stable"]


def test_a_service_elsewhere_cannot_read_them_and_says_so(project, instance, store, serve, tmp_path):
    _, address = serve("--allow", str(project.root))
    project.attributes(data_dir=None, customer_data_asset_key="people", calculate_trend=True, service={"target": address})
    for idle in (25, 5):
        result = once(project, idle, instance, store)
        assert any("so that the trend is empty" in line for line in warnings(instance, result))
    assert scores(tmp_path)["trend"].isna().all()


def test_downstream_assets_have_it(project, instance, store):
    seen = {}

    @dg.asset
    def after(customer_health_scores: pd.DataFrame) -> None:
        seen["scores"] = customer_health_scores

    project.attributes(data_dir=None, customer_data_asset_key="people", calculate_trend=True)
    for idle in (25, 5):
        once(project, idle, instance, store, after)
    assert set(seen["scores"]["trend"]) == {"improving", "stable"}


def test_a_trend_by_template_that_is_off(project, instance, store, tmp_path, monkeypatch):
    monkeypatch.setenv("TREND", "false")
    project.attributes(data_dir=None, customer_data_asset_key="people", calculate_trend="{{ env.TREND }}")
    with project.load() as defs:
        IDLE["idle"] = 5
        result = run(defs, people, resources=store, instance=instance)
    assert result.success, failure(result)
    assert "trend" not in scores(tmp_path).columns
