"""YAML as people write it: names, numbers that are text, one value for a list; in the YAML as in Python."""

from datetime import date

import dagster as dg
import pandas as pd
import pytest
import yaml
from conftest import assets, customers, failure, logs, materializations, metadata, spec, write
from test_component import chain

from dagster_customer_health import CustomerHealthScoreComponent, fields


def loaded(project, **attributes):
    """What the project's one asset is made of."""
    project.attributes(**{"customer_data_asset_key": "customers", **attributes})
    with project.load() as defs:
        (asset,) = assets(defs)
        return asset


def refused(project, **attributes) -> str:
    with pytest.raises(Exception) as caught:
        loaded(project, **attributes)
    return "".join(str(error) for error in chain(caught.value))


@pytest.mark.parametrize("name", ["crm/customer-health", "scores.v2", "a/b/c", "team-a.scores/v1.0"])
def test_a_key_as_dagster_takes_it_loads_and_runs(project, name):
    write(customers(), project.data / "crm/customer-list.parquet")
    project.attributes(asset_name=name, customer_data_asset_key="crm/customer-list", fan_out={"churn_risk": True})
    result = project.materialize()
    assert result.success, failure(result)
    assert metadata(result, name)["dagster/row_count"] == 20
    assert materializations(result, f"{name}_churn_risk")
    assert (project.data / f"{name}.parquet").is_file()


@pytest.mark.parametrize("name", ["crm/customer-health", "scores.v2"])
def test_such_a_key_in_memory(project, name):
    @dg.asset(key=["crm", "customer-list.v1"])
    def people() -> pd.DataFrame:
        return customers().to_pandas()

    project.attributes(data_dir=None, asset_name=name, customer_data_asset_key="crm/customer-list.v1")
    result = project.materialize(people, resources={"io_manager": dg.mem_io_manager})
    assert result.success, failure(result)
    assert metadata(result, name)["dagster/row_count"] == 20


def test_two_keys_that_make_one_name(project):
    write(customers(), project.data / "customers.parquet")
    documents = [
        {"type": "dagster_customer_health.CustomerHealthScoreComponent", "attributes": {
            "asset_name": name, "customer_data_asset_key": "customers", "data_dir": str(project.data)}}
        for name in ("a-b", "a.b", "a_b")
    ]
    result = project.text(yaml.safe_dump_all(documents)).materialize()
    assert result.success and all(materializations(result, name) for name in ("a-b", "a.b", "a_b"))


@pytest.mark.parametrize("name", ["customer health", "", "a//b", "/a", "a/", "größe", 'a"b'])
@pytest.mark.parametrize("attribute", ["asset_name", "customer_data_asset_key", "deps"])
def test_what_is_no_key_is_told_with_the_attribute_and_its_place(project, attribute, name):
    told = refused(project, **{attribute: [name] if attribute == "deps" else name})
    assert attribute in told and "no asset key" in told and "defs.yaml:" in told


KEYS = [
    (["2024", "2025"], ["2024", "2025"]),
    ([2024, 2025], ["2024", "2025"]),
    ("2024,2025", ["2024", "2025"]),
    ("2024", ["2024"]),
    (2024, ["2024"]),
    (["0.94", "1.10"], ["0.94", "1.10"]),
    (["007", "1e3", "None", "True", "0x10"], ["007", "1e3", "None", "True", "0x10"]),
    ("['a', 'b']", ["['a'", "'b']"]),
    ("{{ [env('HEALTH_VERSION'), 'b'] }}", ["1.10", "b"]),
    ("{{ env('HEALTH_YEARS') }}", ["2024", "1.10"]),
    (["{{ env('HEALTH_VERSION') }}", "x{{ env('HEALTH_VERSION') }}"], ["1.10", "x1.10"]),
    (["eu", "no"], ["eu", "no"]),  # in quotes
]


@pytest.mark.parametrize(("written", "keys"), KEYS)
def test_keys_of_partitions_stay_as_they_are_written(project, monkeypatch, written, keys):
    monkeypatch.setenv("HEALTH_YEARS", "2024,1.10")
    monkeypatch.setenv("HEALTH_VERSION", "1.10")
    found = loaded(project, partition_type="static", partition_values=written)
    assert found.partitions_def.get_partition_keys() == keys
    dimension = loaded(project, partition_dimensions=[{"name": "key", "type": "static", "values": written}])
    assert dimension.partitions_def.get_partition_keys() == keys


@pytest.mark.parametrize(("written", "told"), [(["eu", False], "put it in quotes"), ([0.94], "put it in quotes"), ([{}], "a mapping")])
def test_what_yaml_has_changed_is_refused(project, written, told):
    assert told in refused(project, partition_type="static", partition_values=written)


@pytest.mark.parametrize("start", ["2025-01", 2025, "01/01/2025", "2025-02-30"])
@pytest.mark.parametrize("kind", ["daily", "weekly", "monthly", "hourly"])
def test_a_start_that_is_no_day(project, kind, start):
    assert "give the first day" in refused(project, partition_type=kind, partition_start=start)
    assert "give the first day" in refused(project, partition_dimensions=[{"type": kind, "start": start}])


def test_facts_as_text_and_numbers(project):
    asset = loaded(
        project,
        group_name=2025,
        description="2025",
        owners="team:success, a@example.com",
        kinds="parquet",
        deps="extra/one, two",
        asset_tags=["gold", "domain=customer", {"year": 2025, "live": True}],
        service={"target": "127.0.0.1:1", "token": "12345678", "metadata": {"team": "007"}, "load_timeout_seconds": 0.2},
    )
    (found,) = asset.specs
    assert (found.group_name, found.description, list(found.owners)) == ("2025", "2025", ["team:success", "a@example.com"])
    assert found.kinds == {"parquet"}
    assert {dep.asset_key.to_user_string() for dep in found.deps} == {"customers", "extra/one", "two"}
    tags = {name: value for name, value in found.tags.items() if not name.startswith("dagster/")}
    assert tags == {"gold": "", "domain": "customer", "year": "2025", "live": "true"}


def test_the_same_in_python():
    made = CustomerHealthScoreComponent(
        asset_name=dg.AssetKey(["crm", "scores-v2"]),
        customer_data_asset_key=dg.AssetKey(["crm", "customers"]),
        owners="team:success",
        kinds=("parquet", "rust"),
        deps=dg.AssetKey(["extra", "one"]),
        asset_tags="gold, domain=customer",
        partition_type="static",
        partition_values=[2024, "2025"],
        partition_start=date(2025, 1, 1),
        backfill_policy="single_run",
    )
    assert (made.key, made.deps) == (dg.AssetKey(["crm", "scores-v2"]), ["extra/one"])
    assert (made.owners, made.kinds) == (["team:success"], ["parquet", "rust"])
    assert made.asset_tags == {"gold": "", "domain": "customer"}
    assert made.partitions_def.get_partition_keys() == ["2024", "2025"]
    assert (made.partition_start, made.backfill_policy) == ("2025-01-01", dg.BackfillPolicy.single_run())


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("single_run", dg.BackfillPolicy.single_run()),
        ("multi_run", dg.BackfillPolicy.multi_run(1)),
        ({"type": "single_run"}, dg.BackfillPolicy.single_run()),
        ({"type": "multi_run", "max_partitions_per_run": 10}, dg.BackfillPolicy.multi_run(10)),
        ({"type": "multi_run", "max_partitions_per_run": "{{ env('HEALTH_MOST', '7') }}"}, dg.BackfillPolicy.multi_run(7)),
    ],
)
def test_backfill_policies(project, written, policy):
    asset = loaded(project, partition_type="daily", partition_start="2025-01-01", backfill_policy=written)
    assert asset.backfill_policy == policy


@pytest.mark.parametrize(
    "written",
    ["one_run", {"max_partitions_per_run": 3}, {"type": "single_run", "max_partitions_per_run": 3}, {"type": "multi_run", "max": 3},
     {"type": "multi_run", "max_partitions_per_run": 0}, {"type": "multi_run", "max_partitions_per_run": True}],
)
def test_what_is_no_backfill_policy(project, written):
    told = refused(project, partition_type="daily", partition_start="2025-01-01", backfill_policy=written)
    assert "backfill_policy" in told and ("max_partitions_per_run" in told or "single_run" in told)


def test_values_alone():
    assert fields.texts("a, b,,") == ["a", "b"] and fields.texts([]) == [] and fields.texts({"a"}) == ["a"]
    assert fields.tags({}) == {} and fields.tags({"a": None, "b": 1.5}) == {"a": "", "b": "1.5"}
    with pytest.raises(ValueError, match="expected a mapping or a list"):
        fields.tags(5)
    with pytest.raises(ValueError, match="found nothing"):
        fields.text(None)
