from . import component_pb2 as _component_pb2
from . import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StreamedFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAMED_FORMAT_UNSPECIFIED: _ClassVar[StreamedFormat]
    STREAMED_FORMAT_ARROW_STREAM: _ClassVar[StreamedFormat]
    STREAMED_FORMAT_PARQUET: _ClassVar[StreamedFormat]

class Delivery(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_UNSPECIFIED: _ClassVar[Delivery]
    DELIVERY_PUBLISH: _ClassVar[Delivery]
    DELIVERY_STREAM: _ClassVar[Delivery]
    DELIVERY_PUBLISH_AND_STREAM: _ClassVar[Delivery]
STREAMED_FORMAT_UNSPECIFIED: StreamedFormat
STREAMED_FORMAT_ARROW_STREAM: StreamedFormat
STREAMED_FORMAT_PARQUET: StreamedFormat
DELIVERY_UNSPECIFIED: Delivery
DELIVERY_PUBLISH: Delivery
DELIVERY_STREAM: Delivery
DELIVERY_PUBLISH_AND_STREAM: Delivery

class MaterializeStreamRequest(_message.Message):
    __slots__ = ("start", "chunk")
    START_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    start: StreamStart
    chunk: InputChunk
    def __init__(self, start: _Optional[_Union[StreamStart, _Mapping]] = ..., chunk: _Optional[_Union[InputChunk, _Mapping]] = ...) -> None: ...

class StreamStart(_message.Message):
    __slots__ = ("request", "inputs", "delivery")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    request: _run_pb2.MaterializeRequest
    inputs: _containers.RepeatedCompositeFieldContainer[StreamedInput]
    delivery: Delivery
    def __init__(self, request: _Optional[_Union[_run_pb2.MaterializeRequest, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[StreamedInput, _Mapping]]] = ..., delivery: _Optional[_Union[Delivery, str]] = ...) -> None: ...

class StreamedInput(_message.Message):
    __slots__ = ("input", "format")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    input: _component_pb2.Input
    format: StreamedFormat
    def __init__(self, input: _Optional[_Union[_component_pb2.Input, str]] = ..., format: _Optional[_Union[StreamedFormat, str]] = ...) -> None: ...

class InputChunk(_message.Message):
    __slots__ = ("input", "data", "last")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    input: _component_pb2.Input
    data: bytes
    last: bool
    def __init__(self, input: _Optional[_Union[_component_pb2.Input, str]] = ..., data: _Optional[bytes] = ..., last: bool = ...) -> None: ...

class MaterializeStreamResponse(_message.Message):
    __slots__ = ("progress", "warning", "result", "log", "chunk")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    progress: _run_pb2.Progress
    warning: _run_pb2.Warning
    result: _run_pb2.MaterializeResult
    log: _run_pb2.LogLine
    chunk: OutputChunk
    def __init__(self, progress: _Optional[_Union[_run_pb2.Progress, _Mapping]] = ..., warning: _Optional[_Union[_run_pb2.Warning, _Mapping]] = ..., result: _Optional[_Union[_run_pb2.MaterializeResult, _Mapping]] = ..., log: _Optional[_Union[_run_pb2.LogLine, _Mapping]] = ..., chunk: _Optional[_Union[OutputChunk, _Mapping]] = ...) -> None: ...

class OutputChunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...
