"""What `dg scaffold defs dagster_customer_health.CustomerHealthScoreComponent` writes: a file that loads, checks and runs as it is."""

import json

import dagster as dg
from pydantic import BaseModel, Field

from . import fields

_UPSTREAM = {
    "customer_data_asset_key": "customers",
    "subscription_data_asset_key": "subscriptions",
    "product_usage_asset_key": "product_usage",
    "support_ticket_asset_key": "support_tickets",
}
_DATA_DIR = "{{ context.project_root }}/data"

_YAML = """\
type: {type}

attributes:
  asset_name: {asset_name}

  # The upstream assets that there are, one at least.
{upstream}

  # Where their tables are and where the scores go: DATA_DIR/ASSET/KEY.parquet, as UPathIOManager and PolarsParquetIOManager
  # have them. Without it, frames come from and go to the assets' IO managers.
  data_dir: {data_dir}

  # How the score is made: from a built-in scorecard (default, plg, enterprise, consumer), or one of your own as a file.
  scorecard: default
  analysis_period_days: 30
  churn_risk_threshold: 40
  expansion_opportunity_threshold: 75

  include_preview_metadata: true
"""

_PYTHON = """\
import dagster as dg
from {module} import {name}


@dg.component_instance
def load(context: dg.ComponentLoadContext) -> {name}:
    return {name}(
        asset_name={asset_name},
{upstream}
        data_dir={data_dir},
        scorecard="default",
        analysis_period_days=30,
        churn_risk_threshold=40,
        expansion_opportunity_threshold=75,
        include_preview_metadata=True,
    )
"""


class ScaffoldParams(BaseModel):
    """Options of the command."""

    asset_name: fields.Key = Field(default="customer_health_scores", json_schema_extra={"type": "string"})
    customer_data_asset_key: fields.Key | None = Field(default=None, json_schema_extra={"type": "string"})
    subscription_data_asset_key: fields.Key | None = Field(default=None, json_schema_extra={"type": "string"})
    product_usage_asset_key: fields.Key | None = Field(default=None, json_schema_extra={"type": "string"})
    support_ticket_asset_key: fields.Key | None = Field(default=None, json_schema_extra={"type": "string"})
    data_dir: str = _DATA_DIR


class CustomerHealthScoreScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes a defs.yaml, or a component.py, that reads the assets that were named; `customers` where none was."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        if request.scaffold_format == "python":
            (request.target_path / "component.py").write_text(_python(request.type_name, request.params), encoding="utf-8")
            return
        text = _yaml(request.type_name, request.params)
        if request.append:
            with request.target_path.open("a", encoding="utf-8") as file:
                file.write(f"---\n{text}")
        else:
            (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")


def _named(params: ScaffoldParams) -> dict[str, str]:
    named = {attribute: key for attribute in _UPSTREAM if (key := getattr(params, attribute))}
    return named or {"customer_data_asset_key": _UPSTREAM["customer_data_asset_key"]}


def _yaml(type_name: str, params: ScaffoldParams) -> str:
    named = _named(params)
    upstream = [
        f"  {attribute}: {_quoted(named[attribute])}" if attribute in named else f"  # {attribute}: {example}"
        for attribute, example in _UPSTREAM.items()
    ]
    return _YAML.format(
        type=type_name, asset_name=_quoted(params.asset_name), upstream="\n".join(upstream), data_dir=_quoted(params.data_dir)
    )


def _python(type_name: str, params: ScaffoldParams) -> str:
    module, _, name = type_name.rpartition(".")
    upstream = [f"        {attribute}={_quoted(key)}," for attribute, key in _named(params).items()]
    own = 'str(context.project_root / "data")' if params.data_dir == _DATA_DIR else _quoted(params.data_dir)
    return _PYTHON.format(
        module=module, name=name, asset_name=_quoted(params.asset_name), upstream="\n".join(upstream), data_dir=own
    )


def _quoted(value: str) -> str:
    """A text as it stands in YAML and in Python alike."""
    return json.dumps(value)
