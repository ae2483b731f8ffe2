"""Frames in memory, as the Arrow streams that travel with a call, and back."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._proto import component_pb2, run_pb2, stream_pb2

if TYPE_CHECKING:
    import pyarrow

CHUNK = 1 << 20


def to_arrow(frame: Any) -> "pyarrow.Table":
    """A pandas, polars or pyarrow frame, or a list of rows as dictionaries, as an Arrow table."""
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    kind = type(frame).__module__.split(".")[0]
    if kind == "pandas":
        return pa.Table.from_pandas(frame, preserve_index=False)
    if kind == "polars":
        frame = frame.collect() if hasattr(frame, "collect") else frame
        return frame.to_arrow()
    if isinstance(frame, list):
        return pa.Table.from_pylist(frame)
    if isinstance(frame, dict):  # several partitions of an upstream asset
        return pa.concat_tables([to_arrow(part) for part in frame.values()], promote_options="default")
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.table(frame)
    raise TypeError(f"cannot send a {type(frame).__module__}.{type(frame).__qualname__}: give a pandas, polars or Arrow frame")


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
