"""Frames in memory, as the Arrow streams that travel with a call, and back."""

import importlib.util
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from . import merge
from ._proto import component_pb2, run_pb2, stream_pb2
from .merge import FrameError

if TYPE_CHECKING:
    import pyarrow

_log = logging.getLogger("dagster.customer_health")

CHUNK = 1 << 20
KINDS = ("pandas", "polars", "arrow")


def to_arrow(frame: Any, tell: Callable[[str], None] = _log.warning) -> "pyarrow.Table":
    """A pandas, polars or Arrow frame, a list of rows as dictionaries, or a dictionary of these by partition, as an Arrow table.

    No row, column or key is left out; what becomes another type on the way is told.
    """
    if isinstance(frame, dict):
        return merge.tables(_partitions(frame, tell), tell)
    try:
        table = _to_arrow(frame, tell)
    except (FrameError, ImportError):
        raise
    except Exception as error:  # of pandas, polars or pyarrow, each of which has its own
        raise FrameError("; ".join(str(part) for part in error.args) or type(error).__name__) from error
    repeated = sorted(name for name, times in Counter(table.column_names).items() if times > 1)
    if repeated:
        raise FrameError(f"several columns have the name {', '.join(f'`{name}`' for name in repeated)}: give each its own")
    return table


def kind_of(frame: Any) -> str | None:
    """Which of `KINDS` a frame is, or the first of several partitions; none for rows and for all that has no kind."""
    if isinstance(frame, dict):
        return next((kind for part in frame.values() if (kind := kind_of(part))), None)
    if _is(frame, "pandas", "DataFrame"):
        return "pandas"
    if _is(frame, "polars", "DataFrame") or _is(frame, "polars", "LazyFrame"):
        return "polars"
    return "arrow" if hasattr(frame, "__arrow_c_stream__") or _is(frame, "pyarrow", "RecordBatch") else None


def to_kind(table: "pyarrow.Table", kind: str | None) -> Any:
    """An Arrow table as a frame of a kind; without one as a pandas frame where pandas is there."""
    if kind == "polars":
        import polars

        return polars.from_arrow(table)
    if kind == "pandas" or (kind is None and importlib.util.find_spec("pandas")):
        return table.to_pandas()
    return table


def _partitions(frames: dict[Any, Any], tell: Callable[[str], None]) -> dict[str, "pyarrow.Table"]:
    found = {}
    for key, frame in frames.items():
        if frame is None:
            tell(f"partition {key}: there is no table, and so none of its rows")
            continue
        if isinstance(frame, list) and not frame:
            tell(f"partition {key}: there are no rows")
            continue
        try:
            found[str(key)] = to_arrow(frame, lambda told, key=key: tell(f"partition {key}: {told}"))
        except FrameError as error:
            raise FrameError(f"partition {key}: {error}") from error
    if not found:
        raise FrameError("there is no partition with a table")
    return found


def _to_arrow(frame: Any, tell: Callable[[str], None]) -> "pyarrow.Table":
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if _is(frame, "pandas", "DataFrame"):
        return _from_pandas(frame, tell)
    if _is(frame, "polars", "LazyFrame"):
        frame = frame.collect()
    if _is(frame, "polars", "DataFrame"):
        for name, kind in frame.schema.items():
            if str(kind) == "Object":
                raise FrameError(f"column `{name}` has Python objects: give it a type")
        return frame.to_arrow()
    if isinstance(frame, list):
        return _from_rows(frame, tell)
    if hasattr(frame, "__arrow_c_stream__") and not _is(frame, "pandas", "Series") and not _is(frame, "polars", "Series"):
        return pa.table(frame)
    raise FrameError(f"cannot send a {type(frame).__module__}.{type(frame).__qualname__}: give a pandas, polars or Arrow frame")


def _from_pandas(frame: Any, tell: Callable[[str], None]) -> "pyarrow.Table":
    """As pandas' own Parquet has it: an index is a column, but for one that only counts the rows."""
    import pandas as pd
    import pyarrow as pa

    counts = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
    if not counts:
        names = [str(name) if name is not None else f"__index_level_{at}__" for at, name in enumerate(frame.index.names)]
        index = frame.index.to_frame(index=False, allow_duplicates=True) if frame.index.nlevels > 1 else frame.index.to_frame(index=False)
        frame = pd.concat([index.set_axis(names, axis=1), frame.reset_index(drop=True)], axis=1)
    names, arrays = [], []
    for at, name in enumerate(frame.columns):
        column = frame.iloc[:, at]
        if isinstance(column.dtype, pd.PeriodDtype):
            column = column.dt.to_timestamp()
        names.append(str(name))
        if column.dtype == object:
            arrays.append(_column(str(name), column.tolist(), tell, missing=pd.isna))
        else:
            arrays.append(pa.Array.from_pandas(column))
    return pa.table(arrays, names=names) if names else pa.table({})


def _from_rows(rows: list[Any], tell: Callable[[str], None]) -> "pyarrow.Table":
    """Rows as dictionaries: the keys of all of them, in the order in which they come."""
    import pyarrow as pa

    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise FrameError(f"row {at + 1} is no dictionary but a {type(row).__qualname__}: give a pandas, polars or Arrow frame")
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({str(name): _column(str(name), [row.get(name) for row in rows], tell) for name in names})


def _column(
    name: str, values: list[Any], tell: Callable[[str], None], missing: Callable[[Any], Any] = lambda value: value != value
) -> "pyarrow.Array":
    """Values of any types as one column: of the type that they share, else as text where they are text and numbers."""
    import pyarrow as pa

    values = [None if _is_missing(value, missing) else value for value in values]
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        kinds = {type(value) for value in values if value is not None}
        if not all(issubclass(kind, str | int | float | Decimal) and kind is not bool for kind in kinds):
            shown = ", ".join(sorted(kind.__qualname__ for kind in kinds))
            raise FrameError(f"column `{name}` has values that are no one type ({shown}): {error}") from error
        tell(f"column `{name}` has text and numbers, and is taken for text")
        return pa.array([None if value is None else _text(value) for value in values], pa.large_string())


def _is_missing(value: Any, missing: Callable[[Any], Any]) -> bool:
    if value is None:
        return True
    found = missing(value) if not isinstance(value, str | list | tuple | dict) else False
    return found is True or (type(found).__name__ in ("bool", "bool_") and bool(found))


def _text(value: Any) -> str:
    """As it would be without its column's other values: a whole number that a missing value made a fraction is one again."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _is(frame: Any, package: str, name: str) -> bool:
    """Whether a frame is of a class, without importing what may not be there."""
    return any(base.__module__.split(".")[0] == package and base.__name__ == name for base in type(frame).__mro__)


def parts(
    request: run_pb2.MaterializeRequest, tables: dict[int, "pyarrow.Table"], delivery: int
) -> Iterator[stream_pb2.MaterializeStreamRequest]:
    """What a caller sends: the start, then each table in chunks. Only one chunk is in memory at a time."""
    inputs = [stream_pb2.StreamedInput(input=name, format=stream_pb2.STREAMED_FORMAT_ARROW_STREAM) for name in tables]
    yield stream_pb2.MaterializeStreamRequest(start=stream_pb2.StreamStart(request=request, inputs=inputs, delivery=delivery))
    for name, table in tables.items():
        for data in _chunks(table):
            yield stream_pb2.MaterializeStreamRequest(chunk=stream_pb2.InputChunk(input=name, data=data))
        yield stream_pb2.MaterializeStreamRequest(chunk=stream_pb2.InputChunk(input=name, last=True))


def from_chunks(chunks: list[bytes]) -> "pyarrow.Table":
    """The table that came back."""
    import pyarrow as pa

    return pa.ipc.open_stream(b"".join(chunks)).read_all()


def names() -> dict[str, int]:
    """The inputs by the name that they have in the YAML."""
    return {
        "customer": component_pb2.INPUT_CUSTOMER,
        "subscription": component_pb2.INPUT_SUBSCRIPTION,
        "usage": component_pb2.INPUT_USAGE,
        "support": component_pb2.INPUT_SUPPORT,
    }


def _chunks(table: "pyarrow.Table") -> Iterator[bytes]:
    import pyarrow as pa

    class Sink:
        """A file to write to, whose bytes are taken away as they come."""

        closed = False

        def __init__(self) -> None:
            self.pieces: list[bytes] = []
            self.size = 0

        def write(self, data: Any) -> int:
            piece = bytes(data)
            self.pieces.append(piece)
            self.size += len(piece)
            return len(piece)

        def flush(self) -> None:
            pass

        def take(self) -> Iterator[bytes]:
            whole = b"".join(self.pieces)
            self.pieces, self.size = [], 0
            for at in range(0, len(whole), CHUNK):
                yield whole[at : at + CHUNK]

    sink = Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema) as writer:
        for batch in table.to_batches(max_chunksize=64 * 1024):
            writer.write_batch(batch)
            if sink.size >= CHUNK:
                yield from sink.take()
    yield from sink.take()
