"""Tables of several partitions as one, though each has made up its own types: pandas' whole numbers become fractions where a
value is missing, ids become numbers where all of them are digits.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


# Below it, whole numbers in floating point are those that were meant.
_EXACT = float(1 << 53)


class FrameError(Exception):
    """A frame that cannot be sent, with the partition and the column that it is about."""


def tables(parts: Mapping[str, "pyarrow.Table"], tell: Callable[[str], None]) -> "pyarrow.Table":
    """All rows of all partitions: a column of several types has the one that holds all values, one that a partition lacks is
    empty there. Raises a `FrameError` where there is no such type.
    """
    import pyarrow as pa

    names = dict.fromkeys(name for part in parts.values() for name in part.column_names)
    columns, fields = [], []
    for name in names:
        found = {key: _plain(part.column(name)) for key, part in parts.items() if name in part.column_names}
        kind = _common(name, found, tell)
        chunks = []
        for key, part in parts.items():
            if key not in found:
                chunks.append(pa.nulls(part.num_rows, kind))
                continue
            try:
                chunks.extend(found[key].cast(kind).chunks)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise FrameError(f"partition {key}: column `{name}` does not fit into {kind}, as others have it: {error}") from error
        columns.append(pa.chunked_array(chunks, kind))
        fields.append(pa.field(name, kind))
    return pa.table(columns, schema=pa.schema(fields))


def _plain(column: "pyarrow.ChunkedArray") -> "pyarrow.ChunkedArray":
    """Without what is only a way to store it."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_string(kind) or kind == pa.string_view():
        return column.cast(pa.large_string())
    return column


def _common(name: str, columns: Mapping[str, "pyarrow.ChunkedArray"], tell: Callable[[str], None]) -> "pyarrow.DataType":
    """The type that holds all values of a column."""
    import pyarrow as pa

    kinds: dict[pa.DataType, str] = {}
    for key, column in columns.items():
        # A column without a value says nothing about its type: pandas makes it object or float.
        if column.null_count < len(column):
            kinds.setdefault(column.type, key)
    if not kinds:
        return next((column.type for column in columns.values() if not pa.types.is_null(column.type)), pa.null())
    first, *others = kinds
    if not others:
        return first
    numbers = [kind for kind in kinds if _is_number(kind)]
    if len(numbers) == len(kinds):
        return _number(kinds, columns)
    if pa.large_string() in kinds and len(numbers) == len(kinds) - 1:
        tell(f"column `{name}` is text in partition {kinds[pa.large_string()]}, a number in {kinds[numbers[0]]}: taken for text")
        return pa.large_string()
    if all(pa.types.is_temporal(kind) for kind in kinds) and (time := _time(list(kinds))):
        return time
    try:
        if not any(kind in (pa.large_string(), pa.binary(), pa.large_binary()) for kind in kinds):
            return pa.unify_schemas([pa.schema([(name, kind)]) for kind in kinds], promote_options="permissive").field(0).type
    except pa.ArrowException:
        pass
    shown = ", ".join(f"{kind} in partition {key}" for kind, key in kinds.items())
    raise FrameError(f"column `{name}` has no one type: {shown}")


def _is_number(kind: "pyarrow.DataType") -> bool:
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _number(kinds: Mapping["pyarrow.DataType", str], columns: Mapping[str, "pyarrow.ChunkedArray"]) -> "pyarrow.DataType":
    """Whole numbers stay whole, for they may be ids, where the fractions beside them are none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    decimals = [kind for kind in kinds if pa.types.is_decimal(kind)]
    if decimals and not any(pa.types.is_floating(kind) for kind in kinds):
        return pa.decimal128(38, max(kind.scale for kind in decimals))
    fractions = [column for column in columns.values() if pa.types.is_floating(column.type)]
    exact = [pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), _EXACT)) for column in fractions]
    whole = not decimals and all(pc.all(column, skip_nulls=True).as_py() is not False for column in exact)
    if any(pa.types.is_integer(kind) for kind in kinds) and whole:
        return pa.uint64() if all(pa.types.is_unsigned_integer(kind) or pa.types.is_floating(kind) for kind in kinds) else pa.int64()
    return pa.float64()


def _time(kinds: list["pyarrow.DataType"]) -> "pyarrow.DataType | None":
    """Times of several precisions and zones; days are times where there are times beside them."""
    import pyarrow as pa

    stamps = [kind for kind in kinds if pa.types.is_timestamp(kind)]
    if not stamps or not all(pa.types.is_timestamp(kind) or pa.types.is_date(kind) for kind in kinds):
        return None
    zones = {kind.tz for kind in stamps}
    if None in zones and len(zones) > 1 or (None not in zones and len(stamps) < len(kinds)):
        return None  # a time somewhere, and one in a known place
    unit = max((kind.unit for kind in stamps), key=["s", "ms", "us", "ns"].index)
    return pa.timestamp(unit, None if None in zones else next(iter(zones)) if len(zones) == 1 else "UTC")
