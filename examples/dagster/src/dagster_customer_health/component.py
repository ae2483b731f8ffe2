"""The component: one YAML block becomes an asset whose table the service writes."""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from dagster.components.core.defs_module import find_defs_or_component_yaml
from google.protobuf import json_format
from pydantic import Field

from . import access, dates, earlier, fields, frames, loading, partitions, paths, ranges, report, source, subset, upstream
from ._proto import component_pb2, inspect_pb2, report_pb2, run_pb2, stream_pb2
from .editor import Documented, scored
from .scaffold import CustomerHealthScoreScaffolder
from .service import HealthScoreClient, HealthScoreServiceResource, ServiceError

_log = logging.getLogger("dagster.customer_health")

# The attributes of the community component, by the input that each stands for.
_UPSTREAM = {
    "customer": ("customer_data_asset_key", "customer_data_asset"),
    "subscription": ("subscription_data_asset_key", "subscription_data_asset"),
    "usage": ("product_usage_asset_key", "product_usage_asset"),
    "support": ("support_ticket_asset_key", "support_ticket_asset"),
}
_FAN_OUT = {"churn_risk": component_pb2.TABLE_CHURN_RISK, "expansion": component_pb2.TABLE_EXPANSION}
_DESCRIPTIONS = {
    "churn_risk": "The customers at churn risk, lowest score first.",
    "expansion": "The customers that are expansion opportunities, highest score first.",
}
_MOST_PREVIEW_ROWS = 500

# How values are typed for people who write Python; the service says what is right.
_Number, _Flag, _Mapping = scored(float | str | None), scored(bool | str | None), scored(Mapping[str, Any] | None)
_Threshold = scored(float | str | Mapping[str, int | str] | None)
_Name = scored(str | None)


def _as_the_resource(name: str) -> str:
    """Description of a setting, which is the resource's own."""
    return HealthScoreServiceResource.model_fields[name].description or ""


class ServiceSettings(dg.Model, Documented):
    """Where the service is, as `HealthScoreServiceResource` takes it."""

    target: fields.Text | None = Field(default=None, description=_as_the_resource("target"))
    tls: bool = Field(default=False, description=_as_the_resource("tls"))
    ca_file: fields.Text | None = Field(default=None, description=_as_the_resource("ca_file"))
    cert_file: fields.Text | None = Field(default=None, description=_as_the_resource("cert_file"))
    key_file: fields.Text | None = Field(default=None, description=_as_the_resource("key_file"))
    token: fields.Text | None = Field(default=None, description=_as_the_resource("token"))
    metadata: fields.TextMap = Field(default_factory=dict, description=_as_the_resource("metadata"))
    timeout_seconds: fields.number(float, 0) | None = Field(default=None, description=_as_the_resource("timeout_seconds"))
    ready_timeout_seconds: fields.number(float, 0) = Field(default=30, description=_as_the_resource("ready_timeout_seconds"))
    load_timeout_seconds: fields.number(float, 0) = Field(default=2, description=_as_the_resource("load_timeout_seconds"))
    binary: fields.Text | None = Field(default=None, description=_as_the_resource("binary"))
    allow: fields.Texts = Field(default_factory=list, description=_as_the_resource("allow"))
    memory_limit: fields.Text | None = Field(default=None, description=_as_the_resource("memory_limit"))


class PartitionDimension(dg.Model, Documented):
    """One dimension of a partitioned asset."""

    name: fields.Text | None = Field(default=None, description="Name of the dimension, such as `date` or `region`.")
    type: fields.choice(*partitions.AXES) = Field(description="daily, weekly, monthly, hourly, static or dynamic.")
    start: fields.Text | None = Field(default=None, description="First day of a dimension in time.")
    end: fields.Text | None = Field(default=None, description="Day before which a dimension in time ends.")
    timezone: fields.Text | None = Field(default=None, description="Time zone of a dimension in time; UTC if left out.")
    values: fields.Texts | None = Field(default=None, description="Keys of a static dimension.")
    dynamic_partition_name: fields.Text | None = Field(default=None, description="Name of a dynamic dimension.")
    column: fields.Text | None = Field(default=None, description="Column of the inputs that tells which rows belong to a key.")


class CustomerHealthScoreError(dg.DagsterInvalidDefinitionError):
    """A component that is not right, with the places of all that is wrong."""


@dataclass(frozen=True)
class _Input:
    """One of the four tables, as it is connected."""

    name: str
    key: dg.AssetKey | None
    path: str | None
    """As the YAML gives it."""
    frame: bool
    """Whether the upstream asset is loaded by its IO manager and sent along."""

    @property
    def number(self) -> int:
        return frames.names()[self.name]

    @property
    def nowhere(self) -> str:
        """A path that leads to nothing, for looking at a component without its tables."""
        return f".in-memory/{self.name}.parquet"


@dg.scaffold_with(CustomerHealthScoreScaffolder)
class CustomerHealthScoreComponent(dg.Component, dg.Model, Documented):
    """Scores customers from up to four tables: one row per customer with a health score of 0-100, a risk category, and flags
    for churn risk and expansion opportunity. The work is done by the customer-health service, which reads the same file.
    """

    # --- The asset -----------------------------------------------------------------------------------------------------
    asset_name: fields.Key = Field(default="customer_health_scores", description="Key of the asset; `/` stands between its parts.")
    description: fields.Text | None = Field(default=None, description="What the asset is, for people.")
    group_name: fields.Text | None = Field(default=None, description="Group that the asset is shown in.")
    owners: fields.Texts | None = Field(default=None, description="Owners: e-mail addresses or `team:NAME`.")
    asset_tags: fields.Tags | None = Field(default=None, description="Tags of the asset.")
    kinds: fields.Texts | None = Field(default=None, description="Kinds of the asset; parquet if left out, and none where an IO manager stores it.")
    deps: fields.Keys | None = Field(default=None, description="Further upstream assets.")
    column_lineage: dict[str, list[str]] | None = Field(
        default=None, description="Lineage of columns in place of what the service finds: column, columns of the first upstream asset."
    )

    # --- Where the tables come from, and where they go -----------------------------------------------------------------
    customer_data_asset_key: fields.Key | None = Field(default=None, description="Asset that the customer input comes from.")
    customer_data_asset: fields.Key | None = Field(default=None, description="The same as `customer_data_asset_key`.")
    subscription_data_asset_key: fields.Key | None = Field(default=None, description="Asset that the subscription input comes from.")
    subscription_data_asset: fields.Key | None = Field(default=None, description="The same as `subscription_data_asset_key`.")
    product_usage_asset_key: fields.Key | None = Field(default=None, description="Asset that the usage input comes from.")
    product_usage_asset: fields.Key | None = Field(default=None, description="The same as `product_usage_asset_key`.")
    support_ticket_asset_key: fields.Key | None = Field(default=None, description="Asset that the support input comes from.")
    support_ticket_asset: fields.Key | None = Field(default=None, description="The same as `support_ticket_asset_key`.")
    data_dir: fields.Text | None = Field(
        default=None,
        description="Folder or URI of the assets' tables, `{data_dir}/{asset/key}[/{partition}].parquet`, as UPathIOManager and "
        "PolarsParquetIOManager have them. Without it, and without paths, frames are loaded from and given to IO managers.",
    )
    io_manager_key: fields.Text | None = Field(default=None, description="IO manager with which downstream assets load the tables.")
    frame: Literal["pandas", "polars", "arrow"] | None = Field(
        default=None,
        description="Kind of the frame that the asset's IO manager is given where all is in memory; that of the upstream frame, "
        "the customers' first, if left out.",
    )
    inputs: _Mapping = Field(default=None, description="The tables to score from: customer, subscription, usage, support.")
    output: _Name = Field(default=None, description="Parquet file to write, in place of the one in `data_dir`.")
    fan_out: _Mapping = Field(default=None, description="Tables beside the scores, each an asset: churn_risk, expansion.")
    customers_from: _Name = None
    history: _Name = Field(default=None, description="Earlier scores for the trend; the previous partition's if left out.")

    # --- The score: as the schema of the service's component.yaml describes it -----------------------------------------
    scorecard: _Name = None
    components: _Mapping = None
    engagement_weight: _Number = None
    product_usage_weight: _Number = None
    payment_health_weight: _Number = None
    support_health_weight: _Number = None
    analysis_period_days: scored(int | str | None) = None
    min_health_score: _Number = None
    max_health_score: _Number = None
    churn_risk_threshold: _Threshold = None
    expansion_opportunity_threshold: _Threshold = None
    risk_categories: scored(Sequence[Mapping[str, Any]] | None) = None
    missing_component: _Number = None
    combine: _Name = None
    population: scored(Mapping[str, Any] | str | None) = None
    include_factor_breakdown: _Flag = None
    calculate_trend: _Flag = Field(
        default=None, description="Whether to add the trend columns: from `history`, or the partition or the run before."
    )
    trend_tolerance: _Number = None
    include_drivers: _Flag = None

    # --- Partitions ----------------------------------------------------------------------------------------------------
    partition_type: fields.choice(*partitions.KINDS) | None = Field(default=None, description="daily, weekly, monthly, hourly, static, dynamic or multi.")
    partition_start: fields.Text | None = Field(default=None, description="First day, such as '2025-01-01'.")
    partition_end: fields.Text | None = Field(
        default=None, description="Day before which the last partition ends; without end if left out."
    )
    partition_timezone: fields.Text | None = Field(
        default=None, description="Time zone whose days the partitions are, such as Europe/Berlin; UTC if left out."
    )
    partition_values: fields.Texts | None = Field(default=None, description="Keys of static partitions, with commas between.")
    dynamic_partition_name: fields.Text | None = Field(default=None, description="Name of dynamic partitions.")
    backfill_policy: fields.Policy | None = Field(
        default=None,
        description="single_run, multi_run, or `{type: multi_run, max_partitions_per_run: 10}`: how many partitions a run of a "
        "backfill has; one if left out.",
    )
    partition_dimensions: list[PartitionDimension] | None = Field(default=None, description="Dimensions, in place of the above.")
    partition_static_dim: fields.Text | None = Field(default=None, description="Name of the static dimension of `multi`; static_dim.")
    partition_date_column: fields.Text | None = Field(
        default=None, description="Column of the inputs in time: only rows of the partition count. Inputs without it count whole."
    )
    partition_static_column: fields.Text | None = Field(
        default=None, description="Column of the inputs that has the static or dynamic key: only rows with it count."
    )
    partition_window: fields.choice("period", "partition") = Field(
        default="period",
        description="`period`: the analysis period ends with the partition, whatever the partition's length. `partition`: the "
        "analysis period is the partition itself.",
    )

    allow_missing_partitions: bool = Field(
        default=False, description="Whether partitions of upstream assets that are not there are left out; else a run fails."
    )

    # --- How it runs ---------------------------------------------------------------------------------------------------
    service: ServiceSettings | None = Field(default=None, description="Where the service is; a local one is started if left out.")
    resource_key: fields.Text | None = Field(default=None, description="Resource of the definitions to use when it runs.")
    asset_checks: bool = Field(default=True, description="Whether the service checks the table, as asset checks.")
    include_preview_metadata: bool = Field(default=False, description="Whether to show the first rows.")
    preview_rows: fields.number(int, 1, _MOST_PREVIEW_ROWS) = Field(default=25, description="How many of them.")
    allow_empty: bool = Field(
        default=False, description="Whether a table without customers may take the place of one that has some."
    )
    freshness_max_lag_minutes: fields.number(int, 0) | None = Field(default=None, description="Older than this is stale.")
    freshness_cron: fields.Text | None = Field(default=None, description="When the asset has to be there, such as '0 9 * * *'.")
    retry_policy_max_retries: fields.number(int, 0) | None = Field(default=None, description="How often to try again.")
    retry_policy_delay_seconds: fields.number(float, 0) | None = Field(default=None, description="Seconds before another try; 1.")
    retry_policy_backoff: fields.choice("linear", "exponential") = Field(default="exponential", description="linear or exponential.")
    scoring_method: fields.choice("heuristic") = Field(default="heuristic", description="`heuristic` only.")
    execution_mode: str = Field(default="python", description="Without meaning here: the service does the work.")

    # --- Definitions ---------------------------------------------------------------------------------------------------

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        columns = [self.partition_date_column, *(axis.column for axis in self.partition_dimensions or [] if axis.type == "hourly")]
        if self.partition_window == "partition" and partitions.is_hourly(self.partitions_def) and not any(columns):
            raise CustomerHealthScoreError(
                "partition_window: an analysis period has whole days, and a partition is an hour: name the column that tells "
                "its rows in `partition_date_column`"
            )
        if self.fan_out and self.streams_back:
            raise CustomerHealthScoreError("fan_out: give `data_dir` or `output`, so that the tables have a place")
        component = self._source(context)
        return dg.Definitions(assets=[self._asset(component, self._validate(component))])

    @cached_property
    def key(self) -> dg.AssetKey:
        return dg.AssetKey.from_user_string(self.asset_name)

    @cached_property
    def fan_out_keys(self) -> dict[str, dg.AssetKey]:
        """Assets beside the scores, by their name under `fan_out:`."""
        asked = self.fan_out if isinstance(self.fan_out, dict) else {}
        parts = self.key.path
        return {name: dg.AssetKey([*parts[:-1], f"{parts[-1]}_{name}"]) for name in _FAN_OUT if asked.get(name)}

    @cached_property
    def connected(self) -> list[_Input]:
        """The tables that are connected, in the service's order."""
        given = self.inputs if isinstance(self.inputs, dict) else {}
        found = []
        for name, attributes in _UPSTREAM.items():
            named = next((value for attribute in attributes if (value := getattr(self, attribute))), None)
            entry = given.get(name)
            path = entry if isinstance(entry, str) else entry.get("path") if isinstance(entry, dict) else None
            if named or path:
                key = dg.AssetKey.from_user_string(named) if named else None
                found.append(_Input(name, key, path, frame=not path and not self.data_dir))
        return found

    @cached_property
    def streams_back(self) -> bool:
        """Whether the table is given to the asset's IO manager, for lack of a place to publish it."""
        return not self.output and not self.data_dir and any(table.frame for table in self.connected)

    @cached_property
    def partitions_def(self) -> dg.PartitionsDefinition | None:
        return partitions.definition(
            self.partition_type,
            self.partition_start,
            self.partition_values,
            self.dynamic_partition_name,
            self.partition_static_dim,
            [axis.model_dump() for axis in self.partition_dimensions or []],
            self.partition_end,
            self.partition_timezone,
        )

    def _source(self, context: dg.ComponentLoadContext) -> source.Source:
        root = str(context.project_root.resolve())
        file = context.path if context.path.is_file() else find_defs_or_component_yaml(context.path)
        if file is not None and file.suffix in (".yaml", ".yml"):
            index = context.component_path.instance_key
            text = source.read(file.read_text(), index if isinstance(index, int) else 0, _DAGSTERS)
            base, name = str(file.parent.resolve()), os.path.relpath(file, context.project_root)
        else:
            text = source.dump({name: value for name in sorted(_SERVICES) if (value := getattr(self, name)) is not None})
            base, name = str((file or context.path).parent.resolve() if file else context.path.resolve()), "component.yaml"
        return source.Source(text, name, base, source.variables(text, root))

    def _validate(self, component: source.Source) -> inspect_pb2.ValidateComponentResponse:
        """What the service thinks of the component: the hash of its settings and the columns of its tables, which are known
        before any input is; nothing where it was not told. A process that builds the definitions again, to show or to run
        them, has it from the one that loaded them, and asks nothing.
        """

        def ask() -> str | None:
            told = loading.ask(
                self._resource(None), self._allow(component), component.file, lambda client: self._look(client, component)
            )
            return json_format.MessageToJson(told, indent=None) if told else None

        try:
            told = loading.once(self.key, ask)
        except ServiceError as error:
            raise CustomerHealthScoreError(f"{component.file}: {error}") from error
        return json_format.Parse(told or "{}", inspect_pb2.ValidateComponentResponse(), ignore_unknown_fields=True)

    def _look(self, client: HealthScoreClient, component: source.Source) -> inspect_pb2.ValidateComponentResponse | None:
        sent = _message(component)
        history = self._history(component, None)
        try:
            try:
                answer = client.validate(sent, self._expected(component), history)
            except ServiceError as error:
                if error.reason != "INVALID_INPUT":
                    raise
                # A table that cannot be read now may be another when it runs; the settings do not hang on it.
                nowhere = [component_pb2.InputOverride(input=table.number, path=table.nowhere) for table in self.connected]
                answer = client.validate(sent, nowhere, history)
        except ServiceError as error:
            if error.reason not in ("NOT_FOUND", "INVALID_INPUT"):
                raise
            return None
        if not answer.valid:
            told = "\n".join(_problem(problem) for problem in answer.problems)
            raise CustomerHealthScoreError(f"the component is not valid\n{told}")
        for warning in answer.warnings:
            _log.debug("%s: %s", component.file, warning)
        return inspect_pb2.ValidateComponentResponse(config_hash=answer.config_hash, columns=answer.columns)

    def _asset(self, component: source.Source, told: inspect_pb2.ValidateComponentResponse) -> dg.AssetsDefinition:
        metadata = {"dagster/column_schema": report.column_schema(told.columns)} if told.columns else {}
        upstream = [table.key for table in self.connected if table.key]
        further = [dg.AssetKey.from_user_string(key) for key in self.deps or []]
        common = dict(
            group_name=self.group_name,
            owners=self.owners,
            tags=self.asset_tags or {},
            kinds=set(self.kinds or ([] if self.streams_back else [report.STORAGE])),
            code_version=told.config_hash or None,
            freshness_policy=self._freshness(),
        )
        loads = {"allow_missing_partitions": True} if self.allow_missing_partitions else None
        frames_in = {table.name: dg.AssetIn(key=table.key, metadata=loads) for table in self.connected if table.frame}
        runs = dict(
            ins=frames_in,
            partitions_def=self.partitions_def,
            backfill_policy=self.backfill_policy,
            retry_policy=self._retry(),
            required_resource_keys={self.resource_key} if self.resource_key else set(),
        )
        runs |= dict(name=fields.op_name(self.key), check_specs=report.check_specs(self.key) if self.asset_checks else [])
        if self.streams_back:
            # The table is a value, which needs an output that may have one.
            spec = dg.AssetSpec(self.key, description=self.description, metadata=metadata, **common)
            out = dg.AssetOut.from_spec(spec, io_manager_key=self.io_manager_key, dagster_type=dg.Any)

            @dg.multi_asset(outs={"scores": out}, deps=[*further, *self._earlier_partition()], **runs)
            def customer_health_frame(context: dg.AssetExecutionContext, **loaded: Any) -> Iterator[dg.MaterializeResult]:
                yield from self._materialize(context, component, loaded)

            return customer_health_frame
        deps = [*dict.fromkeys([*upstream, *further]), *self._earlier_partition()]

        def spec(key: dg.AssetKey, deps: list[Any], description: str | None) -> dg.AssetSpec:
            return dg.AssetSpec(key, deps=deps, description=description, metadata=metadata | report.table_address(key), **common)

        specs = [spec(self.key, deps, self.description)]
        specs += [spec(key, [self.key], _DESCRIPTIONS[name]) for name, key in self.fan_out_keys.items()]
        if self.io_manager_key:
            specs = [spec.with_io_manager_key(self.io_manager_key) for spec in specs]

        @dg.multi_asset(specs=specs, can_subset=True, **runs)
        def customer_health_tables(context: dg.AssetExecutionContext, **loaded: Any) -> Iterator[Any]:
            yield from self._materialize(context, component, loaded)

        return customer_health_tables

    def _earlier_partition(self) -> list[dg.AssetDep]:
        """The trend reads the partition before, so that a backfill has to go in the order of time. Dagster does not carry out
        backfills of several assets of one step where one of them says so.
        """
        if not self.calculate_trend or self.history or self.fan_out_keys:
            return []
        before = partitions.previous_of(self.partitions_def)
        return [dg.AssetDep(self.key, partition_mapping=before)] if before else []

    def _freshness(self) -> dg.FreshnessPolicy | None:
        lag = timedelta(minutes=self.freshness_max_lag_minutes) if self.freshness_max_lag_minutes else None
        if self.freshness_cron:
            return dg.FreshnessPolicy.cron(deadline_cron=self.freshness_cron, lower_bound_delta=lag or timedelta(hours=1))
        return dg.FreshnessPolicy.time_window(fail_window=lag) if lag else None

    def _retry(self) -> dg.RetryPolicy | None:
        if not self.retry_policy_max_retries:
            return None
        backoff = dg.Backoff.LINEAR if self.retry_policy_backoff == "linear" else dg.Backoff.EXPONENTIAL
        return dg.RetryPolicy(self.retry_policy_max_retries, delay=self.retry_policy_delay_seconds or 1, backoff=backoff)

    # --- A run ---------------------------------------------------------------------------------------------------------

    def _materialize(
        self, context: dg.AssetExecutionContext, component: source.Source, loaded: Mapping[str, Any]
    ) -> Iterator[dg.MaterializeResult | dg.AssetMaterialization]:
        selection = subset.Selection.of(context, self.key, self.fan_out_keys)
        component = selection.component(component)
        parts: list[Any] = self._parts(context) if self.partitions_def else [None]
        if len(parts) > 1 and not selection.scores and selection.checks:
            raise dg.Failure(
                description=f"{self.key.to_user_string()}: checks alone are of one partition, and the run has {len(parts)}",
                allow_retries=False,
            )
        if len(parts) > 1 and self.streams_back:
            raise dg.Failure(
                description=f"{self.key.to_user_string()}: the run has {len(parts)} partitions, and an IO manager is given the "
                "table of one\n  hint: give `data_dir` or `output`, or start a backfill of one run for each partition",
                allow_retries=False,
            )
        kind = self.frame or next((kind for table in self.connected if (kind := frames.kind_of(loaded.get(table.name)))), None)
        done: list[ranges.Done] = []
        try:
            with ExitStack() as beside:
                before = self._before(context, component, parts[0], beside) if self.streams_back else None
                allowed = [*self._allow(component, create=True), *([os.path.dirname(before)] if before else [])]
                client = beside.enter_context(self._resource(context).connect(allowed))
                for part in parts:
                    with ExitStack() as opened:
                        tables = self._tables(context, component, part, len(parts) > 1, loaded)
                        places = self._places(context, client, component, part, tables, opened)
                        request = self._request(context, client, component, part, places, tables, selection)
                        request.history = before or request.history
                        if not selection.scores:
                            request.output = selection.staged(context, request.output, component.base_dir, opened)
                        result, table = self._events(context, client, request, tables)
                    value = None if table is None else frames.to_kind(table, kind)
                    told = self._results(context, result, value, part, selection)
                    done.append(ranges.Done(part, list(selection.results(told, self.key))))
                    if len(parts) > 1:
                        context.log.info(f"partition {part.key} is done: {len(done)} of {len(parts)}")
        except GeneratorExit:
            raise
        except BaseException as error:  # a run that is cancelled is told of what it has published like one that fails
            if done and not self.streams_back:
                context.log.error(ranges.left_at(parts, done, isinstance(error, Exception)))
                yield from ranges.published(done)
            if not isinstance(error, ServiceError):
                raise
            names = [self._named(context, table) for table in self.connected if table.key and f"`{table.name}`" in str(error)]
            named = "".join(f"\n  {name}" for name in names)
            raise ServiceError(error.reason, error.code, f"{error}{named}").failure() from error
        yield from done[0].results if len(done) == 1 else ranges.together(context, done)

    def _tables(
        self,
        context: dg.AssetExecutionContext,
        component: source.Source,
        part: partitions.Slice | None,
        is_one_of_many: bool,
        loaded: Mapping[str, Any],
    ) -> dict[int, Any]:
        """The inputs that IO managers loaded, as Arrow tables; of a run of several partitions those of this one."""
        tables = {}
        for table in self.connected:
            if not table.frame:
                continue
            frame = loaded[table.name]
            if is_one_of_many and isinstance(frame, dict):
                frame = self._upstream(context, component).chosen(table.name, table.key, part, frame)
            tables[table.number] = self._arrow(context, table, frame)
        return tables

    def _arrow(self, context: dg.AssetExecutionContext, table: _Input, frame: Any) -> Any:
        """What an upstream asset's IO manager has loaded, as it is sent."""
        named = self._named(context, table, alone=not isinstance(frame, dict))
        try:
            found = frames.to_arrow(frame, lambda told: context.log.warning(f"{named}: {told}"))
        except frames.FrameError as error:
            raise dg.Failure(f"{named}: {error}", allow_retries=False) from error
        if not found.column_names:
            raise dg.Failure(f"{named}: it has no rows, and no columns to read: give a frame, which has them", allow_retries=False)
        return found

    def _named(self, context: dg.AssetExecutionContext, table: _Input, alone: bool = True) -> str:
        """An input as the asset that it is, with its partition where it is `alone`."""
        named = f"input `{table.name}` is upstream asset {table.key.to_user_string() if table.key else '?'}"
        if alone and table.frame and context.get_step_execution_context().has_asset_partitions_for_input(table.name):
            return f"{named}, partition {', '.join(context.asset_partition_keys_for_input(table.name))}"
        return f"{named}, for partition {context.partition_key}" if alone and not table.frame and context.has_partition_key else named

    def _places(
        self,
        context: dg.AssetExecutionContext,
        client: HealthScoreClient,
        component: source.Source,
        part: partitions.Slice | None,
        tables: dict[int, Any],
        opened: ExitStack,
    ) -> dict[str, str]:
        """Paths of the inputs that come from assets, by input; those that have to be sent along are added to `tables`."""

        def is_there(name: str, path: str) -> bool:
            asked = component_pb2.ComponentSource(text=f"inputs: {{{name}: asked-about.parquet}}", base_dir=component.base_dir)
            try:
                answer = client.validate(asked, [component_pb2.InputOverride(input=frames.names()[name], path=path)])
            except ServiceError as error:
                if error.reason not in ("NOT_FOUND", "INVALID_INPUT"):
                    raise
                return error.reason == "INVALID_INPUT"
            return answer.inputs_checked or not answer.inputs_note

        found = {}
        assets = self._upstream(context, component, is_there)
        for table in self.connected:
            if self.data_dir and table.key and not table.path:
                place = assets.read(table.name, table.key, part, opened)
                if isinstance(place, str):
                    found[table.name] = place
                else:
                    tables[table.number] = place
        return found

    def _upstream(
        self, context: dg.AssetExecutionContext, component: source.Source, is_there: Callable[[str, str], bool] | None = None
    ) -> upstream.Upstream:
        return upstream.Upstream(
            context, self.key, self.data_dir or "", component.base_dir, self.allow_missing_partitions, is_there
        )

    def _parts(self, context: dg.AssetExecutionContext) -> list[partitions.Slice]:
        """The partitions of the run, in the order in which they are scored."""
        if not context.has_partition_key and not context.has_partition_key_range:
            raise dg.Failure(
                description=f"{self.key.to_user_string()}: the run names no partition, without which there is nothing to check\n"
                "  hint: the checks of a partition are made when it is materialized",
                allow_retries=False,
            )
        columns = {axis.name or "": axis.column for axis in self.partition_dimensions or [] if axis.column}
        date, static = self.partition_date_column, self.partition_static_column
        try:
            with dg.partition_loading_context(dynamic_partitions_store=context.instance):
                parts = [partitions.slice_of(self.partitions_def, key, date, static, columns) for key in context.partition_keys]
        except paths.UnsafeKey as error:
            raise dg.Failure(description=f"{self.key.to_user_string()}: {error}", allow_retries=False) from None
        return ranges.in_order(parts)

    def _request(
        self,
        context: dg.AssetExecutionContext,
        client: HealthScoreClient,
        component: source.Source,
        part: partitions.Slice | None,
        places: Mapping[str, str],
        tables: Mapping[int, Any],
        selection: subset.Selection,
    ) -> run_pb2.MaterializeRequest:
        run_id = "/".join([context.run_id, self.asset_name, *([part.key] if part else [])])
        request = run_pb2.MaterializeRequest(
            component=_message(component),
            run_id=hashlib.sha256(run_id.encode()).hexdigest() if len(run_id.encode()) > 200 else run_id,
            tags={
                "dagster/run_id": context.run_id,
                "dagster/job": context.job_name,
                "dagster/asset_key": self.key.to_user_string(),
            },
            run_checks=bool(selection.checks),
            preview_rows=self.preview_rows if self.include_preview_metadata else 0,
            allow_empty=self.allow_empty,
        )
        if tables:
            request.run_id += f"/{context.retry_number}"[: 200 - len(request.run_id.encode())]
        place = part.path if part else None
        filters = self._filters(context, client, component, part, places, tables)
        for table in self.connected:
            request.inputs.append(_override(table, places.get(table.name), filters.get(table.name)))
        if output := self._output(place, component.base_dir, component.variables):
            request.output = output
        for name in selection.fan_outs:
            if path := self._fan_out_path(name, place, component.variables):
                request.outputs.append(component_pb2.OutputOverride(table=_FAN_OUT[name], path=path))
        if part:
            request.partition_key = part.key
            if as_of := self._as_of(context, client, component, part, places, tables):
                request.as_of.FromDatetime(as_of)
            if part.days and self.partition_window == "partition":
                request.analysis_period_days = part.days
        request.history = self._history(component, part) or ""
        return request

    def _as_of(
        self,
        context: dg.AssetExecutionContext,
        client: HealthScoreClient,
        component: source.Source,
        part: partitions.Slice,
        places: Mapping[str, str],
        tables: Mapping[int, Any],
    ) -> datetime | None:
        """The moment that a partition ends at, for what the inputs' timestamps are."""
        if not dates.matter(part):
            return part.as_of
        dated = {}
        given = dates.columns(self.inputs)
        for table in (table for table in self.connected if table.name in given):
            column = source.render(given[table.name], component.variables) or given[table.name]
            if table.number in tables:
                dated[table.name] = dates.in_table(tables[table.number], column)
            else:
                place, asked = places.get(table.name), dates.predicate(column)
                dated[table.name] = self._fits(client, component, part, table, place, asked)
        return dates.as_of(context, part, dated)

    def _before(
        self, context: dg.AssetExecutionContext, component: source.Source, part: partitions.Slice | None, opened: ExitStack
    ) -> str | None:
        """A file of the scores that the trend starts from, where the asset's IO manager has them. `opened` tidies up."""
        asked = (source.render(str(self.calculate_trend), component.variables) or "").lower() == "true"
        if not asked or self.history:
            return None
        if self._resource(context).target:
            context.log.warning(
                "calculate_trend: the earlier scores are with the IO manager, where a service that has a `target` cannot read "
                "them, so that the trend is empty: give `history`, or `data_dir` or `output`"
            )
            return None
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="customer-health-"))
        return earlier.write(context, self.key, part, Path(folder))

    def _events(
        self,
        context: dg.AssetExecutionContext,
        client: HealthScoreClient,
        request: run_pb2.MaterializeRequest,
        tables: dict[int, Any],
    ) -> tuple[run_pb2.MaterializeResult, Any]:
        """Carries out the run, its events being logged as they come."""
        if tables:
            delivery = stream_pb2.DELIVERY_STREAM if self.streams_back else stream_pb2.DELIVERY_PUBLISH
            events: Any = client.materialize_stream(frames.parts(request, tables, delivery))
        else:
            events = client.materialize(request)
        result, chunks, stage = None, [], None
        with contextlib.closing(events):
            for event in events:
                kind = event.WhichOneof("event")
                if kind == "log":
                    context.log.info(event.log.message)
                elif kind == "warning":
                    context.log.warning(event.warning.message)
                elif kind == "progress":
                    name = report_pb2.Stage.Name(event.progress.stage).removeprefix("STAGE_").lower()
                    if event.progress.rows:
                        context.log.info(f"{name}: {event.progress.rows:,} rows")
                    elif name != stage:
                        context.log.debug(f"stage {name}")
                    stage = name
                elif kind == "chunk":
                    chunks.append(event.chunk.data)
                elif kind == "result":
                    result = event.result
        if result is None:
            raise ServiceError("INTERNAL", "INTERNAL", "the service ended the call without a result")
        return result, frames.from_chunks(chunks) if chunks else None

    def _results(
        self,
        context: dg.AssetExecutionContext,
        result: run_pb2.MaterializeResult,
        table: Any,
        part: partitions.Slice | None,
        selection: subset.Selection,
    ) -> Iterator[dg.MaterializeResult]:
        told = result.report
        outputs = {output.table: output for output in result.outputs} or {component_pb2.TABLE_SCORES: told.output}
        scores = outputs[component_pb2.TABLE_SCORES]
        metadata = report.output_metadata(scores, part is not None) | report.run_metadata(told)
        lineage = self._lineage(scores)
        if lineage:
            metadata["dagster/column_lineage"] = lineage
        if self.include_preview_metadata:
            metadata["preview"] = report.preview(told.preview_json, scores.columns)
        arguments: dict[str, Any] = {}
        if self.streams_back:
            metadata["dagster/partition_row_count" if part else "dagster/row_count"] = told.customers
            arguments["value"] = table
        yield dg.MaterializeResult(
            asset_key=self.key,
            metadata=metadata,
            data_version=dg.DataVersion(told.data_version),
            check_results=report.checks(told.checks, self.key) if selection.checks else [],
            **arguments,
        )
        for name, key in selection.fan_outs.items():
            output = outputs[_FAN_OUT[name]]
            same = {column.name: [dg.TableColumnDep(asset_key=self.key, column_name=column.name)] for column in output.columns}
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    **report.output_metadata(output, part is not None),
                    "dagster/column_lineage": dg.TableColumnLineage(same),
                },
                data_version=dg.DataVersion(_hash(f"{told.data_version} {name}")),
            )

    def _lineage(self, scores: report_pb2.OutputReport) -> dg.TableColumnLineage | None:
        upstream = {table.number: table.key for table in self.connected if table.key}
        found = report.column_lineage(scores.lineage, upstream)
        if not self.column_lineage or not upstream:
            return found
        first = next(iter(upstream.values()))
        given = {
            column: [dg.TableColumnDep(asset_key=first, column_name=name) for name in names]
            for column, names in self.column_lineage.items()
        }
        return dg.TableColumnLineage({**(found.deps_by_column if found else {}), **given})

    # --- Places --------------------------------------------------------------------------------------------------------

    def _resource(self, context: dg.AssetExecutionContext | None) -> HealthScoreServiceResource:
        if context is not None and self.resource_key:
            return getattr(context.resources, self.resource_key)
        return HealthScoreServiceResource(**(self.service.model_dump() if self.service else {}))

    def _expected(self, component: source.Source) -> list[component_pb2.InputOverride]:
        """Where the inputs will be, as far as it can be told without a run."""
        overrides = []
        for table in self.connected:
            path = table.nowhere if table.frame else None
            if self.data_dir and table.key and not table.path:
                folder = paths.folder(self.data_dir, table.key.path)
                is_folder = not access.is_store(folder) and access.local(folder, component.base_dir).is_dir()
                path = folder if is_folder else paths.table(self.data_dir, table.key.path)
            overrides.append(_override(table, path, None))
        return overrides

    def _output(
        self, place: str | None, base_dir: str, variables: Mapping[str, str] | None = None
    ) -> str | None:
        """Path of the scores; none where the YAML's own is right, or where they come back to the IO manager."""
        if self.streams_back:
            return None
        if self.output:
            given = source.render(str(self.output), variables or {}) or str(self.output)
            return paths.partition_of(given, place)
        return paths.table(self.data_dir, self.key.path, place) if self.data_dir else None

    def _history(self, component: source.Source, part: partitions.Slice | None) -> str | None:
        """Path of the scores that the trend starts from: those of the partition before, or of the run before; none where
        there is no trend, or the YAML says it.
        """
        if not self.calculate_trend or self.history:
            return None
        if self.streams_back:
            return ".in-memory/history.parquet"
        place = part.path if part else None
        if part and part.window:
            place = part.previous or f"{part.path}.before"
            if paths.is_wild(place):
                place = paths.exactly(place)
        return self._output(place, component.base_dir, component.variables)

    def _fan_out_path(self, name: str, place: str | None, variables: Mapping[str, str]) -> str | None:
        given = self.fan_out.get(name)
        if isinstance(given, str) and given.lower() != "true":
            return paths.partition_of(source.render(given, variables) or given, place)
        if self.output:
            folder = (source.render(str(self.output), variables) or str(self.output)).rpartition("/")[0]
            beside = "/".join(filter(None, [folder, f"{self.fan_out_keys[name].path[-1]}{paths.EXTENSION}"]))
            return paths.partition_of(beside, place)
        return paths.table(self.data_dir, self.fan_out_keys[name].path, place) if self.data_dir else None

    def _filters(
        self,
        context: dg.AssetExecutionContext,
        client: HealthScoreClient,
        component: source.Source,
        part: partitions.Slice | None,
        places: Mapping[str, str],
        tables: Mapping[int, Any],
    ) -> dict[str, str]:
        """The partition's predicates, for each input those whose column it has."""
        if not part or not part.filters:
            return {}
        chosen: dict[str, list[str]] = {}
        for column, predicate in part.filters.items():
            having = [
                table.name
                for table in self.connected
                if self._has(client, component, part, table, places.get(table.name), tables, column, predicate)
            ]
            lacking = [table.name for table in self.connected if table.name not in having]
            if not having:
                raise dg.Failure(f"no input has the column `{column}` that tells the partition", allow_retries=False)
            if lacking:
                context.log.warning(f"without a column `{column}`, and so read whole: {', '.join(lacking)}")
            for name in having:
                chosen.setdefault(name, []).append(f"({predicate})")
        return {name: " AND ".join(predicates) for name, predicates in chosen.items()}

    def _has(
        self,
        client: HealthScoreClient,
        component: source.Source,
        part: partitions.Slice,
        table: _Input,
        place: str | None,
        tables: Mapping[int, Any],
        column: str,
        predicate: str,
    ) -> bool:
        if table.number in tables:
            return column in tables[table.number].column_names
        return self._fits(client, component, part, table, place, predicate)

    def _fits(
        self,
        client: HealthScoreClient,
        component: source.Source,
        part: partitions.Slice,
        table: _Input,
        place: str | None,
        predicate: str,
    ) -> bool:
        """Whether an input has the columns, and of such types, that a predicate asks for."""
        answer = client.validate(_message(component), [_override(table, place, predicate)], self._history(component, part))
        return not any(problem.path == f"inputs.{table.name}.where" for problem in answer.problems)

    def _allow(self, component: source.Source, create: bool = False) -> list[str]:
        """Folders and prefixes of object stores that a local service needs."""
        own = [path for path in (self.output, self.data_dir) if path]
        own += [path for path in (self.fan_out or {}).values() if isinstance(path, str)] if isinstance(self.fan_out, dict) else []
        if create:
            try:
                access.make([path for path in map(str, own) if path.lower() != "true"], component)
            except OSError as error:
                raise dg.Failure(f"cannot make the folder {error.filename}: {error.strerror}", allow_retries=False) from error
        named = [*own, self.history, self.scorecard, self.population, *(table.path for table in self.connected)]
        project = component.variables.get(source.PROJECT_ROOT, component.base_dir)
        return [project, component.base_dir, *access.allowed([path for path in named if isinstance(path, str)], component)]


# Attributes that the service reads; all others are Dagster's, and blanks to the service.
_SERVICES = frozenset(
    """
    asset_name customer_data_asset_key customer_data_asset
    subscription_data_asset_key subscription_data_asset product_usage_asset_key product_usage_asset support_ticket_asset_key
    support_ticket_asset inputs customers_from output fan_out history scorecard components engagement_weight product_usage_weight
    payment_health_weight support_health_weight analysis_period_days min_health_score max_health_score churn_risk_threshold
    expansion_opportunity_threshold risk_categories missing_component combine population include_factor_breakdown
    calculate_trend trend_tolerance include_drivers
    """.split()
)
_DAGSTERS = frozenset(CustomerHealthScoreComponent.model_fields) - _SERVICES


def _override(table: _Input, path: str | None, where: str | None) -> component_pb2.InputOverride:
    return component_pb2.InputOverride(input=table.number, path=path or "", where=where or "")


def _message(component: source.Source) -> component_pb2.ComponentSource:
    return component_pb2.ComponentSource(
        text=component.text, file=component.file, base_dir=component.base_dir, variables=component.variables
    )


def _problem(problem: Any) -> str:
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    hint = f"\n  hint: {problem.hint}" if problem.hint else ""
    return f"{place}: {problem.message}{hint}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


__all__: Sequence[str] = ("CustomerHealthScoreComponent", "CustomerHealthScoreError", "PartitionDimension", "ServiceSettings")
