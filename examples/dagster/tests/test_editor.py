"""What editors and `dg check yaml` know of the attributes: descriptions, types, and where a value of another type stands."""

import json
import re
import subprocess

import jsonschema
import pytest
from conftest import REPOSITORY, TYPE
from test_example import dg, example  # noqa: F401

from dagster_customer_health import CustomerHealthScoreComponent, editor
from dagster_customer_health.component import _SERVICES

DEFS = "src/health_project/defs/customer_health/defs.yaml"

# An attribute in YAML that is wrong, and what stands at the wrong place.
WRONG = [
    ("churn_risk_threshold: forty", "forty"),
    ("churn_risk_threshold: {worst: many}", "churn_risk_threshold"),
    ("expansion_opportunity_threshold: [75]", "expansion_opportunity_threshold"),
    ("engagement_weight: heavy", "heavy"),
    ("analysis_period_days: 30.5", "30.5"),
    ("calculate_trend: often", "often"),
    ("missing_component: zero", "zero"),
    ("combine: median", "median"),
    ("risk_categories: low", "low"),
    ("risk_categories: [{below: 30}]", "name"),
    ("components: [engagement]", "engagement"),
    ("components: {engagement: {weigth: 1}}", "weigth"),
    ("inputs: {usage: 5}", "usage"),
    ("inputs: {users: a.parquet}", "users"),
    ("fan_out: everything", "everything"),
    ("output: [scores.parquet]", "scores.parquet"),
    ("preview_rows: many", "many"),
    ("preview_rows: 501", "501"),
    ("include_preview_metadata: sometimes", "sometimes"),
    ("asset_checks: 7", "7"),
    ("partition_type: yearly", "yearly"),
    ("partition_dimensions: {name: day}", "day"),
    ("partition_dimensions: [{name: day, type: hour}]", "hour"),
    ("partition_dimensions: [{name: day}]", "'type' is a required property"),
    ("backfill_policy: one_run", "one_run"),
    ("retry_policy_max_retries: -1", "-1"),
    ("retry_policy_backoff: random", "random"),
    ("column_lineage: [health_score]", "health_score"),
    ("frame: spark", "spark"),
    ("scoring_method: ml", "ml"),
    ("owners: {team: a}", "owners"),
    ("asset_tags: 5", "asset_tags"),
    ("service: here", "here"),
    ("service: {tls: maybe}", "maybe"),
    ("service: {timeout_seconds: soon}", "soon"),
    ("service: {metadata: [a]}", "metadata"),
    ("service: {adress: localhost}", "adress"),
]

# What is wrong inside of a mapping or a list, with the line that it stands in.
INSIDE = """\
type: dagster_customer_health.CustomerHealthScoreComponent
attributes:
  inputs:
    customer:
      path: customers.parquet
      fields: [a]
  components:
    engagement:
      weight: 1
      indicators:
        login_frequency:
          weight: heavy
  partition_dimensions:
    - name: day
      type: daily
    - name: region
      type: statik
  service:
    target: localhost:50051
    tls: perhaps
  backfill_policy:
    type: multi_run
    max_partitions_per_run: 0
"""

RIGHT = """\
type: dagster_customer_health.CustomerHealthScoreComponent
attributes:
  asset_name: crm/health
  owners: team:success, a@example.com
  kinds: [parquet, rust]
  asset_tags: [gold, domain=customer, {year: 2025}]
  deps: one, two
  data_dir: "{{ context.project_root }}/data"
  customer_data_asset_key: customers
  inputs:
    usage: {path: usage.parquet, key: user_id, fields: {session_count: n * 2}}
    support: "{{ env('FOLDER') }}/tickets.parquet"
  output: scores.parquet
  fan_out: {churn_risk: true, expansion: best.parquet}
  components: {engagement: {weight: 2}, support_health: null}
  engagement_weight: 0.3
  analysis_period_days: "{{ env('DAYS', 30) }}"
  churn_risk_threshold: {worst: 10 %}
  expansion_opportunity_threshold: {best: 200}
  risk_categories: [{name: low, below: 30}, {name: high}]
  missing_component: 40
  calculate_trend: "{{ env('TREND', true) }}"
  include_drivers: true
  population: {engagement: {login_frequency: {p90: 12}}}
  partition_type: daily
  partition_start: 2025-01-01
  partition_timezone: Europe/Berlin
  partition_window: "{{ env('WINDOW') }}"
  backfill_policy: {type: multi_run, max_partitions_per_run: "{{ env('MOST', '7') }}"}
  preview_rows: "{{ env('ROWS', 10) }}"
  include_preview_metadata: "{{ env('PREVIEW') }}"
  retry_policy_delay_seconds: 0.5
  freshness_cron: "0 9 * * *"
  column_lineage: {health_score: [login_frequency]}
  service: {target: "localhost:50051", tls: false, metadata: {team: 7}, timeout_seconds: 60, allow: data}
"""


@pytest.fixture(scope="module")
def schema() -> dict:
    found = CustomerHealthScoreComponent.get_model_cls().model_json_schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_every_attribute_is_described(schema):
    models = {"": schema, **schema["$defs"]}
    assert set(models) == {"", "PartitionDimensionModel", "ServiceSettingsModel"}
    lacking = [f"{name}.{key}" for name, model in models.items() for key, of in model["properties"].items() if not of.get("description")]
    assert not lacking
    assert "UNSET" not in json.dumps(schema)


def test_attributes_of_the_service_have_its_types(schema):
    """Each as the service's schema has it, with nothing to look up elsewhere."""
    whole = json.loads((REPOSITORY / "component.schema.json").read_text())
    theirs = jsonschema.Draft202012Validator({"$ref": "#/$defs/Attributes", "$defs": whole["$defs"]})
    values = [None, True, 0, 5, 1.5, -1, "x", "{{ env('X') }}", "10 %", "exclude", "customer", "a.parquet", [], ["a"], {}, {"a": 1},
              {"worst": "10 %"}, {"best": 0}, {"churn_risk": True}, [{"name": "a"}], {"customer": {"path": "a"}}, {"engagement": None}]
    for name in _SERVICES & {key for key, of in CustomerHealthScoreComponent.model_fields.items() if editor._OF_THE_SERVICE in of.metadata}:
        ours = jsonschema.Draft202012Validator(schema["properties"][name])
        for value in values:
            assert ours.is_valid(value) == theirs.is_valid({name: value}), (name, value)


def check(example, text: str) -> subprocess.CompletedProcess:  # noqa: F811
    (example / DEFS).write_text(text)
    return dg(example, "check", "yaml")


def test_what_is_right_passes_dg_check_yaml(example):  # noqa: F811
    answer = check(example, RIGHT)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def rounds() -> list[list[tuple[str, str]]]:
    """The wrong attributes, each once in a file."""
    found: list[dict[str, tuple[str, str]]] = []
    for line, named in WRONG:
        name = line.partition(":")[0]
        free = next((round for round in found if name not in round), None)
        if free is None:
            found.append(free := {})
        free[name] = (line, named)
    return [list(round.values()) for round in found]


@pytest.mark.parametrize("wrong", rounds())
def test_every_value_of_another_type_is_told_at_its_place_by_dg_check_yaml(example, wrong):  # noqa: F811
    lines = [f"type: {TYPE}", "attributes:", *(f"  {line}" for line, _ in wrong)]
    answer = check(example, "\n".join(lines))
    told = answer.stdout + answer.stderr
    assert answer.returncode != 0
    found = dict(re.findall(r"defs\.yaml:(\d+)(.*)", told))
    for number, (line, named) in enumerate(wrong, 3):
        assert str(number) in found, (line, told)
        assert named in found[str(number)], (line, found[str(number)])


def test_what_is_wrong_inside_is_told_where_it_stands(example):  # noqa: F811
    answer = check(example, INSIDE)
    told = answer.stdout + answer.stderr
    wrong = {number for number, line in enumerate(INSIDE.splitlines(), 1) if re.search("\\[a\\]|heavy|statik|perhaps|: 0$", line)}
    assert {int(number) for number in re.findall(r"defs\.yaml:(\d+)", told)} == wrong, told
