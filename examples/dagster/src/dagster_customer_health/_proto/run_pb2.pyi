from . import component_pb2 as _component_pb2
from . import report_pb2 as _report_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MaterializeRequest(_message.Message):
    __slots__ = ("component", "inputs", "output", "as_of", "run_id", "partition_key", "tags", "history", "analysis_period_days", "outputs", "run_checks", "preview_rows", "allow_empty")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_PERIOD_DAYS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    RUN_CHECKS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_ROWS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_EMPTY_FIELD_NUMBER: _ClassVar[int]
    component: _component_pb2.ComponentSource
    inputs: _containers.RepeatedCompositeFieldContainer[_component_pb2.InputOverride]
    output: str
    as_of: _timestamp_pb2.Timestamp
    run_id: str
    partition_key: str
    tags: _containers.ScalarMap[str, str]
    history: str
    analysis_period_days: int
    outputs: _containers.RepeatedCompositeFieldContainer[_component_pb2.OutputOverride]
    run_checks: bool
    preview_rows: int
    allow_empty: bool
    def __init__(self, component: _Optional[_Union[_component_pb2.ComponentSource, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[_component_pb2.InputOverride, _Mapping]]] = ..., output: _Optional[str] = ..., as_of: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., run_id: _Optional[str] = ..., partition_key: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., history: _Optional[str] = ..., analysis_period_days: _Optional[int] = ..., outputs: _Optional[_Iterable[_Union[_component_pb2.OutputOverride, _Mapping]]] = ..., run_checks: bool = ..., preview_rows: _Optional[int] = ..., allow_empty: bool = ...) -> None: ...

class MaterializeResponse(_message.Message):
    __slots__ = ("progress", "warning", "result", "log")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    progress: Progress
    warning: Warning
    result: MaterializeResult
    log: LogLine
    def __init__(self, progress: _Optional[_Union[Progress, _Mapping]] = ..., warning: _Optional[_Union[Warning, _Mapping]] = ..., result: _Optional[_Union[MaterializeResult, _Mapping]] = ..., log: _Optional[_Union[LogLine, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("stage", "rows")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    stage: _report_pb2.Stage
    rows: int
    def __init__(self, stage: _Optional[_Union[_report_pb2.Stage, str]] = ..., rows: _Optional[int] = ...) -> None: ...

class Warning(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class MaterializeResult(_message.Message):
    __slots__ = ("asset", "report", "outputs")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    asset: _component_pb2.Asset
    report: _report_pb2.RunReport
    outputs: _containers.RepeatedCompositeFieldContainer[_report_pb2.OutputReport]
    def __init__(self, asset: _Optional[_Union[_component_pb2.Asset, _Mapping]] = ..., report: _Optional[_Union[_report_pb2.RunReport, _Mapping]] = ..., outputs: _Optional[_Iterable[_Union[_report_pb2.OutputReport, _Mapping]]] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("time", "message")
    TIME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    message: str
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., message: _Optional[str] = ...) -> None: ...

class MaterializeSyncRequest(_message.Message):
    __slots__ = ("component", "inputs", "output", "as_of", "run_id", "partition_key", "tags", "history", "analysis_period_days", "outputs", "run_checks", "preview_rows", "allow_empty")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_PERIOD_DAYS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    RUN_CHECKS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_ROWS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_EMPTY_FIELD_NUMBER: _ClassVar[int]
    component: _component_pb2.ComponentSource
    inputs: _containers.RepeatedCompositeFieldContainer[_component_pb2.InputOverride]
    output: str
    as_of: _timestamp_pb2.Timestamp
    run_id: str
    partition_key: str
    tags: _containers.ScalarMap[str, str]
    history: str
    analysis_period_days: int
    outputs: _containers.RepeatedCompositeFieldContainer[_component_pb2.OutputOverride]
    run_checks: bool
    preview_rows: int
    allow_empty: bool
    def __init__(self, component: _Optional[_Union[_component_pb2.ComponentSource, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[_component_pb2.InputOverride, _Mapping]]] = ..., output: _Optional[str] = ..., as_of: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., run_id: _Optional[str] = ..., partition_key: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., history: _Optional[str] = ..., analysis_period_days: _Optional[int] = ..., outputs: _Optional[_Iterable[_Union[_component_pb2.OutputOverride, _Mapping]]] = ..., run_checks: bool = ..., preview_rows: _Optional[int] = ..., allow_empty: bool = ...) -> None: ...

class MaterializeSyncResponse(_message.Message):
    __slots__ = ("run_id", "asset_name", "scorecard_name", "scorecard_hash", "as_of", "calculated_at", "output_path", "rows", "bytes", "customers", "mean_score", "median_score", "categories", "churn_risks", "expansion_opportunities", "warnings", "partition_key", "data_version", "config_hash", "checks", "outputs")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ASSET_NAME_FIELD_NUMBER: _ClassVar[int]
    SCORECARD_NAME_FIELD_NUMBER: _ClassVar[int]
    SCORECARD_HASH_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    CALCULATED_AT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PATH_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    MEAN_SCORE_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_SCORE_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    CHURN_RISKS_FIELD_NUMBER: _ClassVar[int]
    EXPANSION_OPPORTUNITIES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    DATA_VERSION_FIELD_NUMBER: _ClassVar[int]
    CONFIG_HASH_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    asset_name: str
    scorecard_name: str
    scorecard_hash: str
    as_of: _timestamp_pb2.Timestamp
    calculated_at: _timestamp_pb2.Timestamp
    output_path: str
    rows: int
    bytes: int
    customers: int
    mean_score: float
    median_score: float
    categories: _containers.RepeatedCompositeFieldContainer[_report_pb2.CategoryReport]
    churn_risks: int
    expansion_opportunities: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    partition_key: str
    data_version: str
    config_hash: str
    checks: _containers.RepeatedCompositeFieldContainer[_report_pb2.Check]
    outputs: _containers.RepeatedCompositeFieldContainer[_report_pb2.OutputReport]
    def __init__(self, run_id: _Optional[str] = ..., asset_name: _Optional[str] = ..., scorecard_name: _Optional[str] = ..., scorecard_hash: _Optional[str] = ..., as_of: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., calculated_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., output_path: _Optional[str] = ..., rows: _Optional[int] = ..., bytes: _Optional[int] = ..., customers: _Optional[int] = ..., mean_score: _Optional[float] = ..., median_score: _Optional[float] = ..., categories: _Optional[_Iterable[_Union[_report_pb2.CategoryReport, _Mapping]]] = ..., churn_risks: _Optional[int] = ..., expansion_opportunities: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., partition_key: _Optional[str] = ..., data_version: _Optional[str] = ..., config_hash: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[_report_pb2.Check, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[_report_pb2.OutputReport, _Mapping]]] = ...) -> None: ...
