"""Scores of before that an IO manager keeps: what the trend starts from where the tables have no files."""

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.execution.plan.outputs import StepOutputHandle

from . import frames, partitions

if TYPE_CHECKING:
    import pyarrow

# What the service writes into the footers of its own tables, and the metadata that has the same.
_FACTS = {
    "customer_health.as_of": "as_of",
    "customer_health.scorecard": "scorecard",
    "customer_health.scorecard_hash": "scorecard_hash",
}


def write(context: dg.AssetExecutionContext, asset: dg.AssetKey, part: partitions.Slice | None, folder: Path) -> str | None:
    """The scores of the partition before, or of the run before, as a file that the service can read; none where there are none."""
    import pyarrow.parquet as pq

    if part and part.window and not part.before:
        return None  # the first one
    partition = (part.before if part.window else part.key) if part else None
    asked = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[partition] if partition else None)
    records = context.instance.fetch_materializations(asked, limit=1).records
    if not records:
        return None
    table = _loaded(context, asset, partition)
    if table is None:
        return None
    metadata = records[0].asset_materialization.metadata  # type: ignore[union-attr]
    facts = {fact: _text(metadata[name].value) for fact, name in _FACTS.items() if name in metadata}
    path = folder / "earlier.parquet"
    pq.write_table(table.replace_schema_metadata(facts), path)
    return str(path)


def _loaded(context: dg.AssetExecutionContext, asset: dg.AssetKey, partition: str | None) -> "pyarrow.Table | None":
    """What the run's own IO manager has of the asset."""
    step = context.get_step_execution_context()
    output = context.assets_def.get_output_name_for_asset_key(asset)
    manager = step.get_io_manager(StepOutputHandle(step.step.key, output))
    asked = dg.build_input_context(
        asset_key=asset,
        partition_key=partition,
        asset_partition_key_range=dg.PartitionKeyRange(partition, partition) if partition else None,
        asset_partitions_def=context.assets_def.partitions_def if partition else None,
        upstream_output=dg.build_output_context(
            name=output, asset_key=asset, op_def=context.op_def, definition_metadata=dict(context.assets_def.specs_by_key[asset].metadata)
        ),
        dagster_type=context.op_def.output_def_named(output).dagster_type,
        instance=context.instance,
    )
    named = f"calculate_trend: the earlier scores{f' of partition {partition}' if partition else ''}"
    try:
        frame = manager.load_input(asked)
    except (FileNotFoundError, KeyError):
        context.log.warning(f"{named} are no longer there: the trend is empty")
        return None
    except Exception as error:  # of whatever the IO manager is made of
        raise dg.Failure(f"{named} cannot be loaded by the asset's IO manager: {error}", allow_retries=True) from error
    try:
        return frames.to_arrow(frame, context.log.warning)
    except frames.FrameError as error:
        raise dg.Failure(f"{named}: {error}", allow_retries=False) from error


def _text(value: Any) -> str:
    return datetime.fromtimestamp(value, timezone.utc).isoformat() if isinstance(value, float) else str(value)
