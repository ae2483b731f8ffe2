from . import component_pb2 as _component_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CheckSeverity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECK_SEVERITY_UNSPECIFIED: _ClassVar[CheckSeverity]
    CHECK_SEVERITY_WARN: _ClassVar[CheckSeverity]
    CHECK_SEVERITY_ERROR: _ClassVar[CheckSeverity]

class FieldOrigin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIELD_ORIGIN_UNSPECIFIED: _ClassVar[FieldOrigin]
    FIELD_ORIGIN_COLUMN: _ClassVar[FieldOrigin]
    FIELD_ORIGIN_ALIAS: _ClassVar[FieldOrigin]
    FIELD_ORIGIN_EXPRESSION: _ClassVar[FieldOrigin]
    FIELD_ORIGIN_ABSENT: _ClassVar[FieldOrigin]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_OPEN: _ClassVar[Stage]
    STAGE_PROFILE: _ClassVar[Stage]
    STAGE_POPULATION: _ClassVar[Stage]
    STAGE_SCORE: _ClassVar[Stage]
    STAGE_PUBLISH: _ClassVar[Stage]
    STAGE_CHECK: _ClassVar[Stage]
CHECK_SEVERITY_UNSPECIFIED: CheckSeverity
CHECK_SEVERITY_WARN: CheckSeverity
CHECK_SEVERITY_ERROR: CheckSeverity
FIELD_ORIGIN_UNSPECIFIED: FieldOrigin
FIELD_ORIGIN_COLUMN: FieldOrigin
FIELD_ORIGIN_ALIAS: FieldOrigin
FIELD_ORIGIN_EXPRESSION: FieldOrigin
FIELD_ORIGIN_ABSENT: FieldOrigin
STAGE_UNSPECIFIED: Stage
STAGE_OPEN: Stage
STAGE_PROFILE: Stage
STAGE_POPULATION: Stage
STAGE_SCORE: Stage
STAGE_PUBLISH: Stage
STAGE_CHECK: Stage

class RunReport(_message.Message):
    __slots__ = ("run_id", "asset_name", "component_version", "scorecard_name", "scorecard_hash", "as_of", "calculated_at", "output", "customers", "scores", "categories", "churn_risks", "expansion_opportunities", "inputs", "components", "population", "warnings", "hints", "stages", "partition_key", "tags", "data_version", "config_hash", "checks", "preview_json", "churn_risk_cutoff", "expansion_opportunity_cutoff", "flags_beside_categories", "measures", "join")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ASSET_NAME_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    SCORECARD_NAME_FIELD_NUMBER: _ClassVar[int]
    SCORECARD_HASH_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    CALCULATED_AT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    CHURN_RISKS_FIELD_NUMBER: _ClassVar[int]
    EXPANSION_OPPORTUNITIES_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    POPULATION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    HINTS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DATA_VERSION_FIELD_NUMBER: _ClassVar[int]
    CONFIG_HASH_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_JSON_FIELD_NUMBER: _ClassVar[int]
    CHURN_RISK_CUTOFF_FIELD_NUMBER: _ClassVar[int]
    EXPANSION_OPPORTUNITY_CUTOFF_FIELD_NUMBER: _ClassVar[int]
    FLAGS_BESIDE_CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    MEASURES_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    asset_name: str
    component_version: str
    scorecard_name: str
    scorecard_hash: str
    as_of: _timestamp_pb2.Timestamp
    calculated_at: _timestamp_pb2.Timestamp
    output: OutputReport
    customers: int
    scores: ScoreSummary
    categories: _containers.RepeatedCompositeFieldContainer[CategoryReport]
    churn_risks: int
    expansion_opportunities: int
    inputs: _containers.RepeatedCompositeFieldContainer[InputReport]
    components: _containers.RepeatedCompositeFieldContainer[ComponentReport]
    population: _containers.RepeatedCompositeFieldContainer[StatisticReport]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    hints: _containers.RepeatedScalarFieldContainer[str]
    stages: _containers.RepeatedCompositeFieldContainer[StageReport]
    partition_key: str
    tags: _containers.ScalarMap[str, str]
    data_version: str
    config_hash: str
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    preview_json: str
    churn_risk_cutoff: float
    expansion_opportunity_cutoff: float
    flags_beside_categories: int
    measures: _containers.RepeatedCompositeFieldContainer[Measure]
    join: JoinReport
    def __init__(self, run_id: _Optional[str] = ..., asset_name: _Optional[str] = ..., component_version: _Optional[str] = ..., scorecard_name: _Optional[str] = ..., scorecard_hash: _Optional[str] = ..., as_of: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., calculated_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., output: _Optional[_Union[OutputReport, _Mapping]] = ..., customers: _Optional[int] = ..., scores: _Optional[_Union[ScoreSummary, _Mapping]] = ..., categories: _Optional[_Iterable[_Union[CategoryReport, _Mapping]]] = ..., churn_risks: _Optional[int] = ..., expansion_opportunities: _Optional[int] = ..., inputs: _Optional[_Iterable[_Union[InputReport, _Mapping]]] = ..., components: _Optional[_Iterable[_Union[ComponentReport, _Mapping]]] = ..., population: _Optional[_Iterable[_Union[StatisticReport, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., hints: _Optional[_Iterable[str]] = ..., stages: _Optional[_Iterable[_Union[StageReport, _Mapping]]] = ..., partition_key: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., data_version: _Optional[str] = ..., config_hash: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ..., preview_json: _Optional[str] = ..., churn_risk_cutoff: _Optional[float] = ..., expansion_opportunity_cutoff: _Optional[float] = ..., flags_beside_categories: _Optional[int] = ..., measures: _Optional[_Iterable[_Union[Measure, _Mapping]]] = ..., join: _Optional[_Union[JoinReport, _Mapping]] = ...) -> None: ...

class Check(_message.Message):
    __slots__ = ("name", "passed", "severity", "description", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    passed: bool
    severity: CheckSeverity
    description: str
    facts: _containers.ScalarMap[str, float]
    def __init__(self, name: _Optional[str] = ..., passed: bool = ..., severity: _Optional[_Union[CheckSeverity, str]] = ..., description: _Optional[str] = ..., facts: _Optional[_Mapping[str, float]] = ...) -> None: ...

class OutputReport(_message.Message):
    __slots__ = ("path", "rows", "bytes", "columns", "table", "asset_name", "uri", "arrow_schema", "lineage", "table_name")
    PATH_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ASSET_NAME_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    ARROW_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    path: str
    rows: int
    bytes: int
    columns: _containers.RepeatedCompositeFieldContainer[ColumnReport]
    table: _component_pb2.Table
    asset_name: str
    uri: str
    arrow_schema: bytes
    lineage: _containers.RepeatedCompositeFieldContainer[ColumnLineage]
    table_name: str
    def __init__(self, path: _Optional[str] = ..., rows: _Optional[int] = ..., bytes: _Optional[int] = ..., columns: _Optional[_Iterable[_Union[ColumnReport, _Mapping]]] = ..., table: _Optional[_Union[_component_pb2.Table, str]] = ..., asset_name: _Optional[str] = ..., uri: _Optional[str] = ..., arrow_schema: _Optional[bytes] = ..., lineage: _Optional[_Iterable[_Union[ColumnLineage, _Mapping]]] = ..., table_name: _Optional[str] = ...) -> None: ...

class JoinReport(_message.Message):
    __slots__ = ("operator", "unfit_column")
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    UNFIT_COLUMN_FIELD_NUMBER: _ClassVar[int]
    operator: str
    unfit_column: str
    def __init__(self, operator: _Optional[str] = ..., unfit_column: _Optional[str] = ...) -> None: ...

class Measure(_message.Message):
    __slots__ = ("table", "name", "labels", "value")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TABLE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    table: str
    name: str
    labels: _containers.ScalarMap[str, str]
    value: float
    def __init__(self, table: _Optional[str] = ..., name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., value: _Optional[float] = ...) -> None: ...

class ColumnLineage(_message.Message):
    __slots__ = ("column", "sources")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    column: str
    sources: _containers.RepeatedCompositeFieldContainer[SourceColumn]
    def __init__(self, column: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[SourceColumn, _Mapping]]] = ...) -> None: ...

class SourceColumn(_message.Message):
    __slots__ = ("input", "asset_key", "column")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ASSET_KEY_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    input: _component_pb2.Input
    asset_key: str
    column: str
    def __init__(self, input: _Optional[_Union[_component_pb2.Input, str]] = ..., asset_key: _Optional[str] = ..., column: _Optional[str] = ...) -> None: ...

class ColumnReport(_message.Message):
    __slots__ = ("name", "data_type", "nullable", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    NULLABLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    data_type: str
    nullable: bool
    description: str
    def __init__(self, name: _Optional[str] = ..., data_type: _Optional[str] = ..., nullable: bool = ..., description: _Optional[str] = ...) -> None: ...

class ScoreSummary(_message.Message):
    __slots__ = ("mean", "median", "min", "max")
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    mean: float
    median: float
    min: float
    max: float
    def __init__(self, mean: _Optional[float] = ..., median: _Optional[float] = ..., min: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class CategoryReport(_message.Message):
    __slots__ = ("name", "customers")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    customers: int
    def __init__(self, name: _Optional[str] = ..., customers: _Optional[int] = ...) -> None: ...

class InputReport(_message.Message):
    __slots__ = ("input", "path", "files", "bytes", "rows_read", "rows_kept", "dropped", "customers", "duplicates_merged", "unmatched", "key", "fields")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    ROWS_KEPT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_MERGED_FIELD_NUMBER: _ClassVar[int]
    UNMATCHED_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    input: _component_pb2.Input
    path: str
    files: int
    bytes: int
    rows_read: int
    rows_kept: int
    dropped: _containers.RepeatedCompositeFieldContainer[DroppedRows]
    customers: int
    duplicates_merged: int
    unmatched: int
    key: str
    fields: _containers.RepeatedCompositeFieldContainer[FieldReport]
    def __init__(self, input: _Optional[_Union[_component_pb2.Input, str]] = ..., path: _Optional[str] = ..., files: _Optional[int] = ..., bytes: _Optional[int] = ..., rows_read: _Optional[int] = ..., rows_kept: _Optional[int] = ..., dropped: _Optional[_Iterable[_Union[DroppedRows, _Mapping]]] = ..., customers: _Optional[int] = ..., duplicates_merged: _Optional[int] = ..., unmatched: _Optional[int] = ..., key: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[FieldReport, _Mapping]]] = ...) -> None: ...

class DroppedRows(_message.Message):
    __slots__ = ("reason", "rows")
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    rows: int
    def __init__(self, reason: _Optional[str] = ..., rows: _Optional[int] = ...) -> None: ...

class FieldReport(_message.Message):
    __slots__ = ("component", "indicator", "field", "origin", "source", "unparsable", "no_data", "unmapped", "unmapped_texts")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    INDICATOR_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    UNPARSABLE_FIELD_NUMBER: _ClassVar[int]
    NO_DATA_FIELD_NUMBER: _ClassVar[int]
    UNMAPPED_FIELD_NUMBER: _ClassVar[int]
    UNMAPPED_TEXTS_FIELD_NUMBER: _ClassVar[int]
    component: str
    indicator: str
    field: str
    origin: FieldOrigin
    source: str
    unparsable: int
    no_data: bool
    unmapped: int
    unmapped_texts: _containers.RepeatedCompositeFieldContainer[UnmappedText]
    def __init__(self, component: _Optional[str] = ..., indicator: _Optional[str] = ..., field: _Optional[str] = ..., origin: _Optional[_Union[FieldOrigin, str]] = ..., source: _Optional[str] = ..., unparsable: _Optional[int] = ..., no_data: bool = ..., unmapped: _Optional[int] = ..., unmapped_texts: _Optional[_Iterable[_Union[UnmappedText, _Mapping]]] = ...) -> None: ...

class UnmappedText(_message.Message):
    __slots__ = ("text", "count")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    text: str
    count: int
    def __init__(self, text: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class ComponentReport(_message.Message):
    __slots__ = ("name", "weight", "share", "with_data", "missing", "mean")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    WITH_DATA_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    name: str
    weight: float
    share: float
    with_data: int
    missing: int
    mean: float
    def __init__(self, name: _Optional[str] = ..., weight: _Optional[float] = ..., share: _Optional[float] = ..., with_data: _Optional[int] = ..., missing: _Optional[int] = ..., mean: _Optional[float] = ...) -> None: ...

class StatisticReport(_message.Message):
    __slots__ = ("component", "indicator", "statistic", "value", "pinned")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    INDICATOR_FIELD_NUMBER: _ClassVar[int]
    STATISTIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    component: str
    indicator: str
    statistic: str
    value: float
    pinned: bool
    def __init__(self, component: _Optional[str] = ..., indicator: _Optional[str] = ..., statistic: _Optional[str] = ..., value: _Optional[float] = ..., pinned: bool = ...) -> None: ...

class StageReport(_message.Message):
    __slots__ = ("stage", "elapsed")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    elapsed: _duration_pb2.Duration
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., elapsed: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...
