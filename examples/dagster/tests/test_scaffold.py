"""`dg scaffold defs` writes a file that works as it is, as real `dg` shows."""

import dagster
import pytest
import yaml
from conftest import TYPE
from test_example import dg, example  # noqa: F401

from dagster_customer_health.scaffold import CustomerHealthScoreScaffolder, ScaffoldParams

UPSTREAM = ["--customer-data-asset-key", "customer_activity", "--product-usage-asset-key", "product_usage"]


def scaffold(example, *arguments: str) -> None:  # noqa: F811
    answer = dg(example, "scaffold", "defs", TYPE, "scores", *arguments)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def check(example) -> None:  # noqa: F811
    for what in ("yaml", "defs"):
        answer = dg(example, "check", what)
        assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("kind", ["yaml", "python"])
def test_what_is_scaffolded_checks_and_materializes(example, kind):  # noqa: F811
    scaffold(example, "--format", kind, "--asset-name", "success/scores", *UPSTREAM)
    check(example)
    answer = dg(example, "launch", "--assets", "customer_activity,product_usage,key:success/scores")
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    assert (example / "data/success/scores.parquet").is_file()


def test_without_any_option_in_a_project_without_tables(example):  # noqa: F811
    for other in ("customer_health/defs.yaml", "downstream.py", "sources.py"):
        (example / "src/health_project/defs" / other).unlink()
    scaffold(example)
    check(example)
    text = (example / "src/health_project/defs/scores/defs.yaml").read_text()
    attributes = yaml.safe_load(text)["attributes"]
    assert attributes["customer_data_asset_key"] == "customers" and "product_usage_asset_key" not in attributes
    assert "# product_usage_asset_key: product_usage" in text


def test_what_is_no_key_is_refused(example):  # noqa: F811
    answer = dg(example, "scaffold", "defs", TYPE, "scores", "--asset-name", "customer scores")
    assert answer.returncode != 0 and "no asset key" in answer.stdout + answer.stderr


def test_a_second_component_behind_the_first_in_one_file(tmp_path):
    for append, name in ((False, "one"), (True, "two")):
        request = dagster.ScaffoldRequest(
            type_name=TYPE,
            target_path=tmp_path / "defs.yaml" if append else tmp_path,
            scaffold_format="yaml",
            project_root=tmp_path,
            params=ScaffoldParams(asset_name=name),
            append=append,
        )
        CustomerHealthScoreScaffolder().scaffold(request)
    documents = list(yaml.safe_load_all((tmp_path / "defs.yaml").read_text()))
    assert [(document["type"], document["attributes"]["asset_name"]) for document in documents] == [(TYPE, "one"), (TYPE, "two")]
