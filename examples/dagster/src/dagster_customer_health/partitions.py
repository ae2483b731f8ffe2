"""Partitions as the community component's fields describe them, and what one of them means for a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
from dagster import TimeWindow, TimeWindowPartitionsDefinition

_TIMED = {
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
    "hourly": dg.HourlyPartitionsDefinition,
}
KINDS = (*_TIMED, "static", "dynamic", "multi")


@dataclass(frozen=True)
class Slice:
    """What one partition asks for."""

    key: str
    """As Dagster names it."""
    path: str
    """As the convention for files names it: the dimensions' keys in the order of the dimensions' names."""
    window: TimeWindow | None = None
    """The time that it covers, from its start to before its end."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Predicates that its rows fulfil, by the column that they look at."""
    previous: str | None = None
    """Path of the partition before, where there is one in time."""

    @property
    def as_of(self) -> datetime | None:
        """The last moment of the window.

        The service counts what is after the period's start, up to and with this moment; Dagster's window ends before its
        end. A microsecond earlier, both mean the same rows, such as those dated at midnight.
        """
        return self.window.end.astimezone(timezone.utc) - timedelta(microseconds=1) if self.window else None

    @property
    def days(self) -> int | None:
        """Length of the window in days, at least one."""
        return max(1, round((self.window.end - self.window.start) / timedelta(days=1))) if self.window else None


def definition(
    partition_type: str | None,
    start: str | None = None,
    values: str | Sequence[Any] | None = None,
    dynamic_name: str | None = None,
    static_dimension: str | None = None,
    dimensions: Sequence[Mapping[str, Any]] | None = None,
) -> dg.PartitionsDefinition | None:
    """The definition that the fields describe; none where they describe none."""
    if dimensions:
        axes = {}
        for position, axis in enumerate(dimensions):
            name = axis.get("name") or f"dimension_{position + 1}"
            kind = axis.get("type")
            start_, values_ = axis.get("start"), axis.get("values")
            axes[name] = _axis(kind, start_, values_, axis.get("dynamic_partition_name") or name, f"partition_dimensions.{name}")
        return next(iter(axes.values())) if len(axes) == 1 else dg.MultiPartitionsDefinition(axes)
    if not partition_type:
        return None
    if partition_type == "multi":
        return dg.MultiPartitionsDefinition(
            {
                "date": _axis("daily", start, None, None, "partition_type: multi"),
                static_dimension or "static_dim": _axis("static", None, values, None, "partition_type: multi"),
            }
        )
    return _axis(partition_type, start, values, dynamic_name, f"partition_type: {partition_type}")


def _axis(kind: Any, start: Any, values: Any, dynamic_name: str | None, where: str) -> dg.PartitionsDefinition:
    if kind in _TIMED:
        if not start:
            raise dg.DagsterInvalidDefinitionError(f"{where}: give the first day, such as `partition_start: '2025-01-01'`")
        start = str(start)
        try:
            datetime.strptime(start[: len("2025-01-01")], "%Y-%m-%d")
        except ValueError:
            raise dg.DagsterInvalidDefinitionError(f"{where}: `{start}` is no day: give the first day, such as '2025-01-01'") from None
        if kind == "hourly" and len(start) == len("2025-01-01"):
            start += "-00:00"
        return _TIMED[kind](start_date=start)
    if kind == "static":
        keys = [str(value).strip() for value in (values.split(",") if isinstance(values, str) else values or [])]
        keys = [key for key in keys if key]
        if not keys:
            raise dg.DagsterInvalidDefinitionError(f"{where}: give the keys, such as `partition_values: eu,us`")
        return dg.StaticPartitionsDefinition(keys)
    if kind == "dynamic":
        if not dynamic_name:
            raise dg.DagsterInvalidDefinitionError(f"{where}: give `dynamic_partition_name`")
        return dg.DynamicPartitionsDefinition(name=dynamic_name)
    raise dg.DagsterInvalidDefinitionError(f"{where}: `{kind}` is none of {', '.join(KINDS)}")


def previous_of(partitions: dg.PartitionsDefinition | None) -> dg.PartitionMapping | None:
    """How a partition depends on the one before it in time; none where there is none."""
    before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    if isinstance(partitions, TimeWindowPartitionsDefinition):
        return before
    if not isinstance(partitions, dg.MultiPartitionsDefinition):
        return None
    timed = [isinstance(axis.partitions_def, TimeWindowPartitionsDefinition) for axis in partitions.partitions_defs]
    if sum(timed) != 1:
        return None
    mappings = {
        axis.name: dg.DimensionPartitionMapping(axis.name, before if in_time else dg.IdentityPartitionMapping())
        for axis, in_time in zip(partitions.partitions_defs, timed)
    }
    return dg.MultiPartitionMapping(mappings)


def is_hourly(partitions: dg.PartitionsDefinition | None) -> bool:
    """Whether partitions are shorter than the days that an analysis period is counted in."""
    if isinstance(partitions, dg.MultiPartitionsDefinition):
        return any(is_hourly(axis.partitions_def) for axis in partitions.partitions_defs)
    return isinstance(partitions, dg.HourlyPartitionsDefinition)


def slice_of(
    partitions: dg.PartitionsDefinition,
    key: str,
    date_column: str | None = None,
    static_column: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Slice:
    """What a partition key means. `columns` are the columns of single dimensions, by the dimension's name."""
    columns = columns or {}
    if not isinstance(partitions, dg.MultiPartitionsDefinition):
        window = _window(partitions, key)
        column = next(iter(columns.values()), None) or (date_column if window else static_column)
        return Slice(str(key), str(key), window, _filters(column, window, key), _previous(partitions, window))
    keys = dict(partitions.get_partition_key_from_str(str(key)).keys_by_dimension)
    window, previous, filters = None, None, {}
    for axis in partitions.partitions_defs:
        found = _window(axis.partitions_def, keys[axis.name])
        column = columns.get(axis.name) or (date_column if found else static_column)
        filters |= _filters(column, found, keys[axis.name])
        if found:
            before = _previous(axis.partitions_def, found)
            window, previous = found, _path({**keys, axis.name: before}) if before else None
    return Slice(str(key), _path(keys), window, filters, previous)


def _path(keys: Mapping[str, str]) -> str:
    return "/".join(key for _, key in sorted(keys.items()))


def _window(partitions: dg.PartitionsDefinition, key: str) -> TimeWindow | None:
    if isinstance(partitions, TimeWindowPartitionsDefinition):
        return partitions.time_window_for_partition_key(key)
    return None


def _previous(partitions: dg.PartitionsDefinition, window: TimeWindow | None) -> str | None:
    if window is None or not isinstance(partitions, TimeWindowPartitionsDefinition):
        return None
    before = partitions.get_prev_partition_window(window.start)
    return partitions.get_partition_key_range_for_time_window(before).start if before else None


def _filters(column: str | None, window: TimeWindow | None, key: str) -> dict[str, str]:
    if column is None:
        return {}
    name = '"' + str(column).replace('"', '""') + '"'
    if window is None:
        return {str(column): f"CAST({name} AS VARCHAR) = '{key.replace(chr(39), chr(39) * 2)}'"}
    start, end = (moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") for moment in (window.start, window.end))
    at = f"CAST({name} AS TIMESTAMP)"
    return {str(column): f"{at} >= TIMESTAMP '{start}' AND {at} < TIMESTAMP '{end}'"}
