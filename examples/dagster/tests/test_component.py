"""One YAML block is an asset: its definition, its run, its metadata, its checks."""

import json
import subprocess
from datetime import timedelta

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import REPOSITORY, TYPE, assets, customers, logs, materializations, metadata, run, spec, write
from dagster._core.definitions.metadata.metadata_set import TableMetadataSet

from dagster_customer_health import CustomerHealthScoreComponent, CustomerHealthScoreError, report
from dagster_customer_health.component import _DAGSTERS, _SERVICES


def preview(result: dg.ExecuteInProcessResult) -> dg.TableMetadataValue:
    (event,) = materializations(result)
    return event.materialization.metadata["preview"]


def test_a_run_publishes_the_table_and_tells_about_it(project, instance):
    write(customers(), project.data / "crm/customers.parquet")
    project.attributes(
        customer_data_asset_key="crm/customers",
        include_preview_metadata=True,
        preview_rows=3,
        fan_out={"churn_risk": True, "expansion": True},
    )
    result = project.materialize(instance=instance)
    assert result.success

    table = pq.read_table(project.data / "customer_health_scores.parquet")
    assert table.num_rows == 20
    told = metadata(result)
    assert told["dagster/row_count"] == 20
    assert told["dagster/uri"] == (project.data / "customer_health_scores.parquet").as_uri()
    assert told["average_health_score"] == pytest.approx(sum(table["health_score"].to_pylist()) / 20)
    assert told["churn_risk_count"] == sum(table["is_churn_risk"].to_pylist()) > 0
    assert told["expansion_opportunity_count"] == sum(table["is_expansion_opportunity"].to_pylist())
    categories = {name: told[f"category/{name}"] for name in ("high_risk", "moderate", "healthy")}
    assert categories == {name: table["risk_category"].to_pylist().count(name) for name in categories}
    assert [told[f"customer/{name}"] for name in ("rows_read", "customers", "duplicates_merged", "dropped")] == [20, 20, 0, 0]
    assert told["customer/unmatched"] in (0, 20)  # no other table to match
    assert len(told["scorecard_hash"]) == len(told["config_hash"]) == 64
    assert [column.name for column in preview(result).schema.columns] == table.column_names
    assert [record.data["customer_id"] for record in preview(result).records] == table["customer_id"].to_pylist()[:3]
    assert preview(result).records[0].data["health_score"] == pytest.approx(table["health_score"][0].as_py(), abs=0.005)

    schema = told["dagster/column_schema"]
    assert [column.name for column in schema.columns] == table.column_names
    assert (schema.columns[1].type, schema.columns[1].constraints.nullable) == ("Float64", False)
    lineage = told["dagster/column_lineage"].deps_by_column
    crm = dg.AssetKey(["crm", "customers"])
    assert {dep.asset_key for dep in lineage["health_score"]} == {crm}
    assert {dep.column_name for dep in lineage["customer_id"]} == {"customer_id"}

    (event,) = materializations(result)
    tags = event.materialization.tags
    assert len(tags["dagster/data_version"]) == 64 and tags["dagster/code_version"] == told["config_hash"]

    # the fan-out tables are assets of their own
    risk = pq.read_table(project.data / "customer_health_scores_churn_risk.parquet")
    assert metadata(result, "customer_health_scores_churn_risk")["dagster/row_count"] == risk.num_rows == told["churn_risk_count"]
    assert risk["health_score"].to_pylist() == sorted(risk["health_score"].to_pylist())
    assert (project.data / "customer_health_scores_expansion.parquet").is_file()

    # what happened stands in the run's log, before the materialization
    logged = logs(instance, result)
    published = next(at for at, line in enumerate(logged) if line.startswith("customer_health_scores: 20 rows,"))
    assert "input `customer`: 20 rows, of which 20 count" in logged[:published]
    assert "20 customers scored" in logged[:published]
    assert any("reads inputs that are not connected" in line for line in logged)
    assert next(at for at, line in enumerate(logged) if "Materialized value" in line) > published


def test_checks_come_with_the_run(project):
    write(customers(), project.data / "customers.parquet")
    result = project.attributes(customer_data_asset_key="customers").materialize()
    checks = {event.check_name: event for event in result.get_asset_check_evaluations()}
    error, warn = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    assert {name: check.severity for name, check in checks.items()} == {
        "customer_id_unique_not_null": error,
        "scores_in_range": error,
        "flags_match_category": error,
        "row_count_positive": error,
        "weights_sum_to_one": warn,
        "inputs_have_expected_columns": warn,
        "neutral_share": warn,
        "texts_mapped": warn,
        "categories_match_flags": warn,
    }
    assert {name for name, check in checks.items() if not check.passed} == {"neutral_share"}
    assert checks["row_count_positive"].metadata["rows"].value == 20
    assert checks["neutral_share"].description.startswith("more than half of the customers")


def test_checks_that_do_not_pass_are_told_and_hold_back_what_follows(project):
    write(customers(0), project.data / "customers.parquet")
    project.attributes(customer_data_asset_key="customers", engagement_weight=0.5)
    after = []

    @dg.asset(deps=["customer_health_scores"])
    def after_the_scores():
        after.append(1)

    result = project.materialize(after_the_scores)
    failed = {event.check_name for event in result.get_asset_check_evaluations() if not event.passed}
    assert {"row_count_positive", "weights_sum_to_one"} <= failed
    assert metadata(result)["dagster/row_count"] == 0
    assert not after  # an ERROR check blocks


def test_a_preview_of_as_many_rows_as_the_community_component_shows(project):
    write(customers(600), project.data / "customers.parquet")
    result = project.attributes(
        customer_data_asset_key="customers", include_preview_metadata=True, preview_rows=500
    ).materialize()
    assert len(preview(result).records) == 500


def test_a_preview_has_the_columns_that_its_rows_lack(project):
    """A value that is null is left out of a row; the first customers, or all of them, may have none."""
    write(customers(3), project.data / "customers.parquet")
    before = pa.table({"customer_id": ["c001"], "health_score": [10.0]})
    write(before, project.data / "before.parquet")
    result = project.attributes(
        customer_data_asset_key="customers",
        calculate_trend=True,
        history="{{ context.project_root }}/data/before.parquet",
        include_drivers=True,
        include_preview_metadata=True,
    ).materialize()
    table = pq.read_table(project.data / "customer_health_scores.parquet")
    found = preview(result)
    assert [column.name for column in found.schema.columns] == table.column_names
    rows = {record.data["customer_id"]: record.data for record in found.records}
    assert [rows[name]["previous_health_score"] for name in ("c000", "c001", "c002")] == [None, 10.0, None]
    assert isinstance(rows["c000"]["drivers"], str) and rows["c000"]["is_churn_risk"] in (True, False)


def test_a_preview_of_no_rows(project):
    write(customers(0), project.data / "customers.parquet")
    result = project.attributes(customer_data_asset_key="customers", include_preview_metadata=True).materialize()
    assert preview(result).records == [] and preview(result).schema.columns[0].name == "customer_id"


def test_a_preview_alone():
    found = report.preview('[{"a": 1}, {"b": "x|y\\nz", "c": [1.25]}, {"a": null, "d": 0.126}]', [])
    assert [column.name for column in found.schema.columns] == ["a", "b", "c", "d"]
    assert [list(record.data.values()) for record in found.records] == [
        [1, None, None, None], [None, "x|y\nz", "[1.25]", None], [None, None, None, 0.13]
    ]


def test_without_checks(project):
    write(customers(), project.data / "customers.parquet")
    result = project.attributes(customer_data_asset_key="customers", asset_checks=False).materialize()
    assert result.success and not result.get_asset_check_evaluations()


def address(spec: dg.AssetSpec) -> tuple[str | None, str] | None:
    """What Dagster itself makes of the names of a table and its storage."""
    found = TableMetadataSet.extract_storage_address(spec.metadata)
    return found and (found.storage_kind, found.table_name)


def test_a_table_of_an_io_manager_has_no_address_and_no_kind_of_ours(project):
    project.attributes(data_dir=None, customer_data_asset_key="people")

    @dg.asset
    def people(): ...

    with project.load() as defs:
        found = spec(dg.Definitions.merge(defs, dg.Definitions([people])), "customer_health_scores")
        assert address(found) is None and found.kinds == set()


def test_the_facts_of_the_asset(project):
    project.attributes(
        asset_name="success/customer_health_scores",
        description="Health.",
        group_name="success",
        owners=["team:success", "success@example.com"],
        asset_tags={"domain": "customer", "gold": True},
        kinds=["parquet", "rust"],
        customer_data_asset_key="customers",
        support_ticket_asset="desk/tickets",
        deps=["extra/one"],
        freshness_max_lag_minutes=90,
        retry_policy_max_retries=3,
        retry_policy_delay_seconds=5,
        retry_policy_backoff="linear",
        fan_out={"churn_risk": True},
        io_manager_key="warehouse",
    )
    (project.folder / "warehouse.py").write_text(
        "import dagster as dg\n\n\n@dg.definitions\ndef warehouse():\n"
        "    return dg.Definitions(resources={'warehouse': dg.FilesystemIOManager()})\n"
    )
    move(project)
    with project.load() as defs:
        found = spec(defs, "success/customer_health_scores")
        assert (found.description, found.group_name) == ("Health.", "success")
        assert list(found.owners) == ["team:success", "success@example.com"]
        assert address(found) == ("parquet", "success.customer_health_scores")
        assert address(spec(defs, "success/customer_health_scores_churn_risk")) == (
            "parquet", "success.customer_health_scores_churn_risk"
        )
        assert {name: value for name, value in found.tags.items() if not name.startswith("dagster/")} == {
            "domain": "customer",
            "gold": "true",
        }
        assert found.kinds == {"parquet", "rust"}
        assert {dep.asset_key.to_user_string() for dep in found.deps} == {"customers", "desk/tickets", "extra/one"}
        assert found.freshness_policy.fail_window.to_timedelta() == timedelta(minutes=90)
        assert found.metadata["dagster/io_manager_key"] == "warehouse"
        risk = spec(defs, "success/customer_health_scores_churn_risk")
        assert [dep.asset_key for dep in risk.deps] == [found.key]
        (asset,) = assets(defs)
        policy = asset.op.retry_policy
        assert (policy.max_retries, policy.delay, policy.backoff) == (3, 5, dg.Backoff.LINEAR)


def test_freshness_by_cron(project):
    project.attributes(customer_data_asset_key="customers", freshness_cron="0 9 * * *", freshness_max_lag_minutes=30)
    with project.load() as defs:
        policy = spec(defs, "customer_health_scores").freshness_policy
        assert policy.deadline_cron == "0 9 * * *"
        assert policy.lower_bound_delta == timedelta(minutes=30)


def test_code_version_is_about_the_score(project):
    write(customers(), project.data / "customers.parquet")

    def version(**attributes) -> str:
        with project.attributes(customer_data_asset_key="customers", **attributes).load() as defs:
            return spec(defs, "customer_health_scores").code_version

    first = version()
    assert len(first) == 64
    assert version(description="Another.", freshness_max_lag_minutes=5) == first
    assert version(churn_risk_threshold=30) != first


def test_code_version_does_not_wait_for_the_inputs(project):
    """The asset is not out of date because its upstream asset ran for the first time, or wrote what cannot be read."""
    path = project.data / "customers.parquet"
    project.attributes(customer_data_asset_key="customers", churn_risk_threshold=35)

    def version() -> str:
        with project.load() as defs:
            return spec(defs, "customer_health_scores").code_version

    before = version()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not a table")
    assert version() == before
    write(customers(), path)
    assert version() == before
    result = project.materialize()
    assert metadata(result)["config_hash"] == before


def test_data_version_is_about_inputs_and_settings(project):
    path = write(customers(), project.data / "customers.parquet")

    def version(**attributes) -> str:
        (event,) = materializations(project.attributes(customer_data_asset_key="customers", **attributes).materialize())
        return event.materialization.tags["dagster/data_version"]

    first = version()
    # the as-of time of a run is part of what is scored only where rows are chosen by it
    write(customers(21), path)
    second = version()
    assert second != first
    assert version(churn_risk_threshold=30) != second


WRONG = """\
type: dagster_customer_health.CustomerHealthScoreComponent
attributes:
  # Dagster's own keys do not move the lines
  partition_type: daily
  partition_start: "2025-01-01"
  customer_data_asset_key: customers
  data_dir: "{{ context.project_root }}/data"
  engagement_weight: -1
  components:
    engagemnt: {weight: 1}
"""


def test_what_is_wrong_is_told_at_load_with_line_and_column(project):
    project.text(WRONG)
    with pytest.raises(Exception) as caught, project.load():
        pass
    told = "".join(str(error) for error in chain(caught.value))
    assert "defs.yaml:8:22: " in told
    assert "defs.yaml:10:16: " in told and "did you mean `engagement`?" in told


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"scoring_method": "ml"}, "scoring_method"),
        ({"partition_type": "daily"}, "partition_start"),
        ({"partition_type": "static"}, "partition_values"),
        ({"partition_type": "dynamic"}, "dynamic_partition_name"),
        ({"partition_type": "yearly", "partition_start": "2025-01-01"}, "`yearly` is none of"),
        ({"partition_window": "all"}, "partition_window"),
        ({"preview_rows": 501}, "preview_rows"),
        ({"retry_policy_max_retries": 1, "retry_policy_backoff": "random"}, "retry_policy_backoff"),
        ({"data_dir": None, "fan_out": {"churn_risk": True}}, "fan_out"),
    ],
)
def test_what_is_wrong_on_dagsters_side(project, attributes, message):
    project.attributes(customer_data_asset_key="customers", **attributes)
    with pytest.raises(Exception) as caught, project.load():
        pass
    assert message in "".join(str(error) for error in chain(caught.value))


def test_templates_resolve_in_both(project, monkeypatch):
    monkeypatch.setenv("HEALTH_ASSET", "from_env")
    monkeypatch.setenv("HEALTH_FOLDER", "crm")
    write(customers(), project.root / "crm/customers.parquet")
    project.text(
        f"""\
type: {TYPE}
attributes:
  asset_name: "{{{{ env.HEALTH_ASSET }}}}"
  inputs:
    customer: "{{{{ context.project_root }}}}/{{{{ env('HEALTH_FOLDER') }}}}/customers.parquet"
  output: "{{{{ context.project_root }}}}/out/scores.parquet"
  churn_risk_threshold: "{{{{ env('HEALTH_NOT_SET', 35) }}}}"
"""
    )
    result = project.materialize()
    assert result.success
    assert metadata(result, "from_env")["dagster/row_count"] == 20
    scores = pq.read_table(project.root / "out/scores.parquet")
    assert all(row["is_churn_risk"] == (row["health_score"] < 35) for row in scores.to_pylist())


@pytest.mark.parametrize("template", ["{{ now() }}", "{{ dg.AutomationCondition.eager() }}", "{{ context.build_defs }}"])
def test_any_other_template_in_a_scoring_attribute_is_an_error_by_name(project, template):
    project.attributes(customer_data_asset_key="customers", analysis_period_days=template)
    with pytest.raises(Exception) as caught, project.load():
        pass
    told = "".join(str(error) for error in chain(caught.value))
    assert "defs.yaml:2:25: template not understood" in told


def test_envelope_and_further_documents_are_left_to_dagster(project):
    write(customers(), project.data / "customers.parquet")
    (project.folder / "template_vars.py").write_text(
        "import dagster as dg\n\n\n@dg.template_var\ndef health_group():\n    return 'from_template_vars'\n"
    )
    (project.folder / "__init__.py").write_text("")
    project.text(
        f"""\
type: {TYPE}
template_vars_module: .template_vars
requirements:
  env: [PATH]
attributes:
  group_name: plain
  customer_data_asset_key: customers
  data_dir: "{{{{ context.project_root }}}}/data"
  freshness_cron: "{{{{ '0 9 * * *' }}}}"
post_processing:
  assets:
    - target: "*"
      attributes:
        group_name: "{{{{ health_group }}}}"
        tags: {{added: later}}
---
type: {TYPE}
attributes:
  asset_name: second_scores
  customer_data_asset_key: customers
  data_dir: "{{{{ context.project_root }}}}/data"
  churn_risk_threshold: 20
"""
    )
    with project.load() as defs:
        assert spec(defs, "customer_health_scores").tags["added"] == "later"
        assert spec(defs, "customer_health_scores").group_name == "from_template_vars"
        assert spec(defs, "second_scores").code_version != spec(defs, "customer_health_scores").code_version
        result = run(defs)
        assert result.success
    assert (project.data / "second_scores.parquet").is_file()


def test_the_same_file_drives_the_program(project, program):
    write(customers(), project.data / "customers.parquet")
    project.text(
        f"""\
type: {TYPE}
requirements: {{env: [PATH]}}
attributes:
  customer_data_asset_key: customers
  inputs:
    customer: "{{{{ context.project_root }}}}/data/customers.parquet"
  output: "{{{{ context.project_root }}}}/scores.parquet"
  churn_risk_threshold: 45
"""
    )
    result = project.materialize()
    by_dagster = pq.read_table(project.root / "scores.parquet").drop(["calculated_at"])
    (project.root / "pyproject.toml").write_text("")  # what the program takes for the project's root
    answer = subprocess.run(
        [program, "materialize", str(project.folder / "defs.yaml"), "--format", "json"], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    assert pq.read_table(project.root / "scores.parquet").drop(["calculated_at"]).equals(by_dagster)
    assert json.loads(answer.stdout)["report"]["scorecard_hash"] == metadata(result)["scorecard_hash"]


def test_a_component_made_in_python(project):
    write(customers(), project.data / "customers.parquet")
    (project.folder / "component.py").write_text(
        "import dagster as dg\n"
        "from dagster_customer_health import CustomerHealthScoreComponent\n\n\n"
        "@dg.component_instance\n"
        "def scores(context: dg.ComponentLoadContext) -> CustomerHealthScoreComponent:\n"
        f"    return CustomerHealthScoreComponent(data_dir={str(project.data)!r}, customer_data_asset_key='customers',\n"
        "        churn_risk_threshold=45)\n"
    )
    result = project.materialize()
    assert result.success and metadata(result)["dagster/row_count"] == 20


def test_every_attribute_of_the_service_is_one_of_the_component():
    schema = json.loads((REPOSITORY / "component.schema.json").read_text())["$defs"]["Attributes"]["properties"]
    known = set(schema) - {"type"}
    missing = known - set(CustomerHealthScoreComponent.model_fields)
    assert not missing
    assert _SERVICES <= known and not (_DAGSTERS & _SERVICES)


COMMUNITY = """
    asset_name customer_data_asset_key subscription_data_asset_key product_usage_asset_key support_ticket_asset_key
    scoring_method execution_mode analysis_period_days engagement_weight product_usage_weight payment_health_weight
    support_health_weight min_health_score max_health_score churn_risk_threshold expansion_opportunity_threshold
    include_factor_breakdown calculate_trend description include_preview_metadata preview_rows group_name partition_type
    partition_start partition_date_column dynamic_partition_name partition_dimensions partition_values partition_static_dim
    partition_static_column owners asset_tags kinds freshness_max_lag_minutes freshness_cron column_lineage deps
    retry_policy_max_retries retry_policy_delay_seconds retry_policy_backoff
"""


def test_the_community_components_attributes_are_known():
    assert not set(COMMUNITY.split()) - set(CustomerHealthScoreComponent.model_fields)


def test_column_lineage_by_hand(project):
    write(customers(), project.data / "customers.parquet")
    project.attributes(customer_data_asset_key="customers", column_lineage={"health_score": ["login_frequency"]})
    deps = metadata(project.materialize())["dagster/column_lineage"].deps_by_column
    assert [dep.column_name for dep in deps["health_score"]] == ["login_frequency"]
    assert [dep.column_name for dep in deps["customer_id"]] == ["customer_id"]


def test_the_trend_reads_the_table_before(project):
    path = write(customers(), project.data / "customers.parquet")
    project.attributes(customer_data_asset_key="customers", calculate_trend=True)
    assert project.materialize().success
    first = pq.read_table(project.data / "customer_health_scores.parquet")
    assert set(first["trend"].to_pylist()) == {None}
    write(customers(last_login_days=[0] * 20), path)
    assert project.materialize().success
    second = pq.read_table(project.data / "customer_health_scores.parquet")
    before = dict(zip(first["customer_id"].to_pylist(), first["health_score"].to_pylist()))
    assert dict(zip(second["customer_id"].to_pylist(), second["previous_health_score"].to_pylist())) == before
    assert "improving" in second["trend"].to_pylist()


def test_the_text_goes_to_the_service_as_it_stands(project):
    """Whatever the style of the YAML: where the trend starts from is said beside it, templates resolved."""
    write(customers(), project.data / "customers.parquet")
    project.text(
        f"""\
type: {TYPE}
attributes: {{customer_data_asset_key: customers, data_dir: '{{{{ context.project_root }}}}/data', calculate_trend: true,
  output: '{{{{ context.project_root }}}}/out/scores.parquet'}} # the last line
"""
    )
    for _ in range(2):
        assert project.materialize().success
    table = pq.read_table(project.root / "out/scores.parquet")
    assert table["previous_health_score"].null_count == 0 and set(table["trend"].to_pylist()) == {"stable"}
    project.text((project.folder / "defs.yaml").read_text().replace("calculate_trend: true", "calculate_trend: true, trnd: 1"))
    with pytest.raises(Exception) as caught, project.load():
        pass
    assert "trnd" in "".join(str(error) for error in chain(caught.value))


def move(project) -> None:
    """Moves Python files out of the component's folder, where they would not be looked at."""
    for path in project.folder.glob("*.py"):
        path.rename(project.folder.parent / path.name)


def chain(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
