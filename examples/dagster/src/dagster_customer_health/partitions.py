"""Partitions as the community component's fields describe them, and what one of them means for a request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dagster as dg
from dagster import TimeWindow, TimeWindowPartitionsDefinition

from . import paths

_TIMED = {
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
    "hourly": dg.HourlyPartitionsDefinition,
}
AXES = (*_TIMED, "static", "dynamic")
KINDS = (*AXES, "multi")


@dataclass(frozen=True)
class Slice:
    """What one partition asks for."""

    key: str
    """As Dagster names it."""
    path: str
    """As the convention for files names it: the dimensions' keys in the order of the dimensions' names, with slashes between."""
    window: TimeWindow | None = None
    """The time that it covers, from its start to before its end."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Predicates that its rows fulfil, by the column that they look at."""
    previous: str | None = None
    """Path of the partition before, where there is one in time."""
    before: str | None = None
    """Its key."""

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
    end: str | None = None,
    zone: str | None = None,
) -> dg.PartitionsDefinition | None:
    """The definition that the fields describe; none where they describe none."""
    if dimensions:
        axes = {}
        for position, axis in enumerate(dimensions):
            name = axis.get("name") or f"dimension_{position + 1}"
            kind = axis.get("type")
            where = f"partition_dimensions.{name}"
            if kind in _TIMED:
                axes[name] = _timed(kind, axis.get("start"), axis.get("end"), axis.get("timezone"), where, "start", "end", "timezone")
            else:
                axes[name] = _axis(kind, axis.get("values"), axis.get("dynamic_partition_name") or name, where)
        return next(iter(axes.values())) if len(axes) == 1 else dg.MultiPartitionsDefinition(axes)
    if not partition_type:
        return None
    where = f"partition_type: {partition_type}"
    names = ("partition_start", "partition_end", "partition_timezone")
    if partition_type == "multi":
        timed = _timed("daily", start, end, zone, where, *names)
        return dg.MultiPartitionsDefinition(
            {"date": timed, static_dimension or "static_dim": _axis("static", values, None, where)}
        )
    if partition_type in _TIMED:
        return _timed(partition_type, start, end, zone, where, *names)
    for name, value in zip(names[1:], (end, zone)):
        if value:
            raise dg.DagsterInvalidDefinitionError(f"{name}: {where} has no partitions in time")
    return _axis(partition_type, values, dynamic_name, where)


def _timed(
    kind: str, start: Any, end: Any, zone: Any, where: str, start_name: str, end_name: str, zone_name: str
) -> dg.PartitionsDefinition:
    if not start:
        raise dg.DagsterInvalidDefinitionError(f"{where}: give the first day, such as `{start_name}: '2025-01-01'`")
    if zone:
        try:
            ZoneInfo(str(zone))
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise dg.DagsterInvalidDefinitionError(f"{zone_name}: `{zone}` is no time zone, such as `Europe/Berlin`") from None
    first, last = (_moment(kind, day, name) for day, name in ((start, start_name), (end, end_name)))
    if last is not None and first is not None and last <= first:
        raise dg.DagsterInvalidDefinitionError(f"{end_name}: {last} is not after {first}, the start")
    return _TIMED[kind](start_date=first, end_date=last, timezone=str(zone) if zone else None)


def _moment(kind: str, day: Any, name: str) -> str | None:
    if not day:
        return None
    text = str(day)
    if kind == "hourly" and len(text) == len("2025-01-01"):
        text += "-00:00"
    form = "%Y-%m-%d-%H:%M" if kind == "hourly" else "%Y-%m-%d"
    try:
        datetime.strptime(text, form)
    except ValueError:
        what = "a day" if name.endswith("end") else "the first day"
        raise dg.DagsterInvalidDefinitionError(f"{name}: `{day}` is no day: give {what}, such as '2025-01-01'") from None
    return text


def _axis(kind: Any, values: Any, dynamic_name: str | None, where: str) -> dg.PartitionsDefinition:
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
        before = _previous(partitions, window)
        return Slice(str(key), path_of(partitions, key), window, _filters(column, window, key), before, before)
    keys = dict(partitions.get_partition_key_from_str(str(key)).keys_by_dimension)
    window, previous, earlier, filters = None, None, None, {}
    for axis in partitions.partitions_defs:
        found = _window(axis.partitions_def, keys[axis.name])
        column = columns.get(axis.name) or (date_column if found else static_column)
        filters |= _filters(column, found, keys[axis.name])
        if found:
            before = _previous(axis.partitions_def, found)
            window = found
            if before:
                previous = _path(partitions, {**keys, axis.name: before})
                earlier = str(dg.MultiPartitionKey({**keys, axis.name: before}))
    return Slice(str(key), _path(partitions, keys), window, filters, previous, earlier)


def path_of(partitions: dg.PartitionsDefinition, key: str) -> str:
    """The path of a partition below the folder of its asset; raises `paths.UnsafeKey` where it has none of its own."""
    if not isinstance(partitions, dg.MultiPartitionsDefinition):
        return paths.of_partition({"": str(key)})
    return _path(partitions, dict(partitions.get_partition_key_from_str(str(key)).keys_by_dimension))


def _path(partitions: dg.MultiPartitionsDefinition, keys: Mapping[str, str]) -> str:
    return paths.of_partition(keys, [axis.name for axis in partitions.partitions_defs if _may_have_slashes(axis.partitions_def)])


def _may_have_slashes(partitions: dg.PartitionsDefinition) -> bool:
    if isinstance(partitions, TimeWindowPartitionsDefinition):
        return "/" in partitions.fmt
    if isinstance(partitions, dg.StaticPartitionsDefinition):
        return any("/" in key for key in partitions.get_partition_keys())
    return True


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
    moments = f"{at} >= TIMESTAMP '{start}' AND {at} < TIMESTAMP '{end}'"
    days = [moment.replace(tzinfo=None) for moment in (window.start, window.end)]
    if not any(moment.utcoffset() for moment in (window.start, window.end)) or any(day.time() != time() for day in days):
        return {str(column): moments}
    # A day without a time is a day of the partitions' own calendar, and no moment of another zone's.
    first, last = (f"DATE '{day:%Y-%m-%d}'" for day in days)
    dates = f"CAST({name} AS DATE) >= {first} AND CAST({name} AS DATE) < {last}"
    return {str(column): f"CASE WHEN character_length(CAST({name} AS VARCHAR)) = 10 THEN {dates} ELSE {moments} END"}
