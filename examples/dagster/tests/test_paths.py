"""Each partition has a file of its own, inside of its asset's folder and where UPathIOManager looks for it; or is refused."""

from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import customers, failure, write
from dagster_polars import PolarsParquetIOManager
from upath import UPath

from dagster_customer_health import partitions, paths


def theirs(definition: dg.PartitionsDefinition, key: str) -> str:
    """Where dagster-polars writes a partition."""
    manager = PolarsParquetIOManager(base_dir="/data")
    manager.setup_for_execution(dg.build_init_resource_context())
    manager._base_path = UPath("/data")
    context = dg.build_output_context(
        asset_key=dg.AssetKey(["crm", "scores"]), partition_key=key, asset_partitions_def=definition
    )
    (path,) = manager._get_paths_for_partitions(context).values()
    return str(path)


def ours(definition: dg.PartitionsDefinition, key: str) -> str:
    return paths.table("/data", ["crm", "scores"], partitions.path_of(definition, key))


SAFE = ["eu", "v0.94", "v0.95", "eu/west", "/abs/key", "//a", "a b", "x#1", "100%", "100%25", "a:b", "[x]*", ".hidden", "my..backup", "ü"]


@pytest.mark.parametrize("key", SAFE)
def test_keys_are_where_io_managers_look(key):
    definition = dg.StaticPartitionsDefinition([key])
    assert ours(definition, key) == theirs(definition, key)


def test_no_two_keys_share_a_file():
    definition = dg.StaticPartitionsDefinition(SAFE)
    assert len({ours(definition, key) for key in SAFE}) == len(SAFE)


UNSAFE = ["..", "../victim", "a/../b", ".", "./a", "a/./b", "a//b", "a/", "%2Fabs/key"]


@pytest.mark.parametrize("key", UNSAFE)
def test_keys_that_lead_elsewhere_are_refused(key):
    with pytest.raises(paths.UnsafeKey) as caught:
        ours(dg.StaticPartitionsDefinition([key]), key)
    assert f"partition `{key}`" in str(caught.value)


def both(one: list[str], other: list[str]) -> dg.MultiPartitionsDefinition:
    return dg.MultiPartitionsDefinition(
        {"a": dg.StaticPartitionsDefinition(one), "b": dg.StaticPartitionsDefinition(other)}
    )


def test_dimensions_stand_in_the_order_of_their_names():
    definition = dg.MultiPartitionsDefinition(
        {"region": dg.StaticPartitionsDefinition(["eu/west"]), "date": dg.DailyPartitionsDefinition("2025-01-01")}
    )
    key = dg.MultiPartitionKey({"region": "eu/west", "date": "2025-01-01"})
    assert ours(definition, key) == theirs(definition, key) == "/data/crm/scores/2025-01-01/eu/west.parquet"


def test_slashes_in_several_dimensions_are_refused():
    """`x/y` and `z` would share a file with `x` and `y/z`."""
    definition = both(["x", "x/y"], ["z", "y/z"])
    for one, other in (("x/y", "z"), ("x", "y/z")):
        with pytest.raises(paths.UnsafeKey, match="another partition's file"):
            ours(definition, dg.MultiPartitionKey({"a": one, "b": other}))
    assert ours(definition, dg.MultiPartitionKey({"a": "x", "b": "z"})).endswith("/x/z.parquet")


@pytest.mark.parametrize("pair", [("..", "x"), ("x", ".."), ("x", "/y")])
def test_dimensions_that_lead_elsewhere_are_refused(pair):
    with pytest.raises(paths.UnsafeKey):
        ours(both([pair[0]], [pair[1]]), dg.MultiPartitionKey({"a": pair[0], "b": pair[1]}))


@pytest.mark.parametrize("key", [["..", "victim"], ["", "etc", "passwd"], ["crm", "", "a"]])
def test_asset_keys_that_lead_elsewhere_are_refused(key):
    with pytest.raises(paths.UnsafeKey, match="asset"):
        paths.table("/data", key)


def test_another_assets_file_is_not_overwritten(project, instance):
    victim = write(pa.table({"kept": [1]}), project.data / "victim.parquet")
    write(customers(3), project.data / "customers.parquet")
    instance.add_dynamic_partitions("tenants", ["../victim", "good"])
    project.attributes(customer_data_asset_key="customers", partition_type="dynamic", dynamic_partition_name="tenants")
    result = project.materialize(partition_key="../victim", instance=instance)
    told = failure(result)
    assert "customer_health_scores: partition `../victim`" in told and "out of the folder" in told
    assert pq.read_table(victim).column_names == ["kept"]
    assert project.materialize(partition_key="good", instance=instance).success


@pytest.mark.parametrize("as_uri", [False, True])
def test_each_key_reads_and_writes_its_own_file(project, as_uri):
    keys = ["[x]*", "x1", "eu", "eu/west", "/abs/key", "100%", "a%20b", "a b"]
    folder = project.data / "with space" if as_uri else project.data
    for number, key in enumerate(keys):
        path = paths.table(str(folder), ["people"], paths.of_partition({"": key}))
        write(customers(1, customer_id=[f"c{number}"]), Path(path))
    project.attributes(
        customer_data_asset_key="people",
        partition_type="static",
        partition_values=keys,
        data_dir=folder.as_uri() if as_uri else str(folder),
    )
    with project.load() as defs:
        (scores,) = [asset for asset in defs.resolve_asset_graph().assets_defs if asset.is_executable]
        for number, key in enumerate(keys):
            result = dg.materialize([scores], partition_key=key, raise_on_error=False)
            assert result.success, failure(result)
            table = pq.read_table(str(folder / f"customer_health_scores/{key.replace('/abs', '%2Fabs')}.parquet"))
            assert table["customer_id"].to_pylist() == [f"c{number}"], key


def test_a_missing_file_whose_key_looks_like_a_pattern_is_no_pattern(project):
    for key in ("xa", "xb"):
        write(customers(1), project.data / f"people/{key}.parquet")
    project.attributes(customer_data_asset_key="people", partition_type="static", partition_values=["x*", "xa", "xb"])
    result = project.materialize(partition_key="x*")
    assert "NOT_FOUND" in failure(result)


def test_a_trend_of_a_key_that_looks_like_a_pattern(project):
    """The day before is that of the same key, and of no other that it would match as a pattern."""
    table = customers(2, region=["x*", "xa"], last_login_days=[3, 9])
    write(table, project.data / "people.parquet")
    with project.attributes(
        customer_data_asset_key="people",
        partition_type="multi",
        partition_start="2025-01-01",
        partition_values=["x*", "xa"],
        partition_static_dim="region",
        partition_static_column="region",
        calculate_trend=True,
    ).load() as defs:
        (scores,) = [asset for asset in defs.resolve_asset_graph().assets_defs if asset.is_executable]
        for day, region in (("2025-01-01", "xa"), ("2025-01-02", "x*"), ("2025-01-03", "x*")):
            key = dg.MultiPartitionKey({"date": day, "region": region})
            result = dg.materialize([scores], partition_key=key, raise_on_error=False)
            assert result.success, failure(result)
    read = lambda day: pq.read_table(str(project.data / f"customer_health_scores/{day}/x*.parquet"))  # noqa: E731
    assert read("2025-01-02")["previous_health_score"].null_count == 1
    assert read("2025-01-03")["previous_health_score"].null_count == 0
