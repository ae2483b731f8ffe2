"""Inputs whose `timestamp` is a date, in partitions of a time zone.

A date has no zone, and to the service it is midnight in UTC. East of there that is still within the zone's day of this date; west of
there that day begins later, and it is the next day's date that falls into it. Where all inputs in time have dates, a partition is
therefore as of the end of its last day in the calendar.
"""

from collections.abc import Mapping
from datetime import datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any

import dagster as dg

from .partitions import Slice

if TYPE_CHECKING:
    import pyarrow


def columns(inputs: Any) -> dict[str, str]:
    """The column of each input's `timestamp`, as the YAML has it."""
    found = {}
    for name, given in inputs.items() if isinstance(inputs, dict) else ():
        timestamp = given.get("timestamp") if isinstance(given, dict) else None
        column = timestamp.get("column") if isinstance(timestamp, dict) else timestamp
        if column:
            found[name] = str(column)
    return found


def matter(part: Slice) -> bool:
    """Whether the days of the partition's zone end after the dates of the next ones have begun in UTC."""
    end = part.window.end if part.window else None
    return end is not None and (end.utcoffset() or timedelta(0)) < timedelta(0) and end.time() == time()


def predicate(column: str) -> str:
    """SQL that is right for a date alone: what is left of a moment without a date is no number."""
    name = '"' + column.replace('"', '""') + '"'
    return f"{name} - DATE '2000-01-01' > 0"


def in_table(table: "pyarrow.Table", column: str) -> bool:
    """Whether a column of a frame has dates."""
    import pyarrow as pa

    return column in table.column_names and pa.types.is_date(table.schema.field(column).type)


def as_of(context: dg.AssetExecutionContext, part: Slice, dated: Mapping[str, bool]) -> datetime | None:
    """What a partition is as of, where the inputs in time have dates or moments."""
    if not part.window or not any(dated.values()):
        return part.as_of
    zone = part.window.end.tzname() or str(part.window.end.tzinfo)
    names = {kind: ", ".join(f"`{name}`" for name, found in dated.items() if found == kind) for kind in (True, False)}
    if names[False]:
        raise dg.Failure(
            description=f"partition {part.key}: the timestamp of the input {names[True]} is a date, that of {names[False]} a moment: "
            f"days of {zone} end at another time than dates do, which have no zone\n"
            "  hint: make the dates moments where the table is made, or leave out `partition_timezone`",
            allow_retries=False,
        )
    end = part.window.end.replace(tzinfo=timezone.utc) - timedelta(microseconds=1)
    context.log.info(f"the timestamp of the input {names[True]} is a date, and so the run is as of the end of the day without a zone: {end}")
    return end
