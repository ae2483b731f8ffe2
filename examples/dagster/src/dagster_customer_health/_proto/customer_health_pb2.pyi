from . import inspect_pb2 as _inspect_pb2
from . import run_pb2 as _run_pb2
from . import stream_pb2 as _stream_pb2
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor
