from . import component_pb2 as _component_pb2
from . import report_pb2 as _report_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ValidateComponentRequest(_message.Message):
    __slots__ = ("component", "inputs", "history")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    component: _component_pb2.ComponentSource
    inputs: _containers.RepeatedCompositeFieldContainer[_component_pb2.InputOverride]
    history: str
    def __init__(self, component: _Optional[_Union[_component_pb2.ComponentSource, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[_component_pb2.InputOverride, _Mapping]]] = ..., history: _Optional[str] = ...) -> None: ...

class ValidateComponentResponse(_message.Message):
    __slots__ = ("valid", "problems", "warnings", "inputs_checked", "inputs_note", "config_hash", "columns")
    VALID_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_CHECKED_FIELD_NUMBER: _ClassVar[int]
    INPUTS_NOTE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_HASH_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    problems: _containers.RepeatedCompositeFieldContainer[ComponentProblem]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    inputs_checked: bool
    inputs_note: str
    config_hash: str
    columns: _containers.RepeatedCompositeFieldContainer[_report_pb2.ColumnReport]
    def __init__(self, valid: bool = ..., problems: _Optional[_Iterable[_Union[ComponentProblem, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., inputs_checked: bool = ..., inputs_note: _Optional[str] = ..., config_hash: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[_report_pb2.ColumnReport, _Mapping]]] = ...) -> None: ...

class ComponentProblem(_message.Message):
    __slots__ = ("file", "line", "column", "path", "message", "hint")
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str
    def __init__(self, file: _Optional[str] = ..., line: _Optional[int] = ..., column: _Optional[int] = ..., path: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ...) -> None: ...

class DescribeComponentRequest(_message.Message):
    __slots__ = ("component", "inputs", "history")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    component: _component_pb2.ComponentSource
    inputs: _containers.RepeatedCompositeFieldContainer[_component_pb2.InputOverride]
    history: str
    def __init__(self, component: _Optional[_Union[_component_pb2.ComponentSource, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[_component_pb2.InputOverride, _Mapping]]] = ..., history: _Optional[str] = ...) -> None: ...

class DescribeComponentResponse(_message.Message):
    __slots__ = ("asset", "scorecard_name", "scorecard_hash", "output", "columns", "inputs", "components", "analysis_period_days", "min_health_score", "max_health_score", "churn_risk_threshold", "expansion_opportunity_threshold", "warnings", "outputs", "config_hash", "churn_risk_rule", "expansion_opportunity_rule")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    SCORECARD_NAME_FIELD_NUMBER: _ClassVar[int]
    SCORECARD_HASH_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_PERIOD_DAYS_FIELD_NUMBER: _ClassVar[int]
    MIN_HEALTH_SCORE_FIELD_NUMBER: _ClassVar[int]
    MAX_HEALTH_SCORE_FIELD_NUMBER: _ClassVar[int]
    CHURN_RISK_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    EXPANSION_OPPORTUNITY_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_HASH_FIELD_NUMBER: _ClassVar[int]
    CHURN_RISK_RULE_FIELD_NUMBER: _ClassVar[int]
    EXPANSION_OPPORTUNITY_RULE_FIELD_NUMBER: _ClassVar[int]
    asset: _component_pb2.Asset
    scorecard_name: str
    scorecard_hash: str
    output: str
    columns: _containers.RepeatedCompositeFieldContainer[_report_pb2.ColumnReport]
    inputs: _containers.RepeatedCompositeFieldContainer[InputDescription]
    components: _containers.RepeatedCompositeFieldContainer[ComponentDescription]
    analysis_period_days: int
    min_health_score: float
    max_health_score: float
    churn_risk_threshold: float
    expansion_opportunity_threshold: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    outputs: _containers.RepeatedCompositeFieldContainer[_report_pb2.OutputReport]
    config_hash: str
    churn_risk_rule: str
    expansion_opportunity_rule: str
    def __init__(self, asset: _Optional[_Union[_component_pb2.Asset, _Mapping]] = ..., scorecard_name: _Optional[str] = ..., scorecard_hash: _Optional[str] = ..., output: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[_report_pb2.ColumnReport, _Mapping]]] = ..., inputs: _Optional[_Iterable[_Union[InputDescription, _Mapping]]] = ..., components: _Optional[_Iterable[_Union[ComponentDescription, _Mapping]]] = ..., analysis_period_days: _Optional[int] = ..., min_health_score: _Optional[float] = ..., max_health_score: _Optional[float] = ..., churn_risk_threshold: _Optional[float] = ..., expansion_opportunity_threshold: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ..., outputs: _Optional[_Iterable[_Union[_report_pb2.OutputReport, _Mapping]]] = ..., config_hash: _Optional[str] = ..., churn_risk_rule: _Optional[str] = ..., expansion_opportunity_rule: _Optional[str] = ...) -> None: ...

class InputDescription(_message.Message):
    __slots__ = ("input", "path", "key", "fields")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    input: _component_pb2.Input
    path: str
    key: str
    fields: _containers.RepeatedCompositeFieldContainer[FieldDescription]
    def __init__(self, input: _Optional[_Union[_component_pb2.Input, str]] = ..., path: _Optional[str] = ..., key: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[FieldDescription, _Mapping]]] = ...) -> None: ...

class FieldDescription(_message.Message):
    __slots__ = ("component", "indicator", "field", "origin", "source")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    INDICATOR_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    component: str
    indicator: str
    field: str
    origin: _report_pb2.FieldOrigin
    source: str
    def __init__(self, component: _Optional[str] = ..., indicator: _Optional[str] = ..., field: _Optional[str] = ..., origin: _Optional[_Union[_report_pb2.FieldOrigin, str]] = ..., source: _Optional[str] = ...) -> None: ...

class ComponentDescription(_message.Message):
    __slots__ = ("name", "column", "weight", "share", "indicators", "caps")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    INDICATORS_FIELD_NUMBER: _ClassVar[int]
    CAPS_FIELD_NUMBER: _ClassVar[int]
    name: str
    column: str
    weight: float
    share: float
    indicators: _containers.RepeatedCompositeFieldContainer[IndicatorDescription]
    caps: _containers.RepeatedCompositeFieldContainer[CapDescription]
    def __init__(self, name: _Optional[str] = ..., column: _Optional[str] = ..., weight: _Optional[float] = ..., share: _Optional[float] = ..., indicators: _Optional[_Iterable[_Union[IndicatorDescription, _Mapping]]] = ..., caps: _Optional[_Iterable[_Union[CapDescription, _Mapping]]] = ...) -> None: ...

class IndicatorDescription(_message.Message):
    __slots__ = ("name", "input", "field", "aliases", "weight", "scale", "aggregate")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    input: _component_pb2.Input
    field: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    weight: float
    scale: str
    aggregate: str
    def __init__(self, name: _Optional[str] = ..., input: _Optional[_Union[_component_pb2.Input, str]] = ..., field: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., weight: _Optional[float] = ..., scale: _Optional[str] = ..., aggregate: _Optional[str] = ...) -> None: ...

class CapDescription(_message.Message):
    __slots__ = ("when", "at_most")
    WHEN_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_FIELD_NUMBER: _ClassVar[int]
    when: str
    at_most: float
    def __init__(self, when: _Optional[str] = ..., at_most: _Optional[float] = ...) -> None: ...

class ExplainCustomerRequest(_message.Message):
    __slots__ = ("component", "inputs", "customer_id", "as_of", "history")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    component: _component_pb2.ComponentSource
    inputs: _containers.RepeatedCompositeFieldContainer[_component_pb2.InputOverride]
    customer_id: str
    as_of: _timestamp_pb2.Timestamp
    history: str
    def __init__(self, component: _Optional[_Union[_component_pb2.ComponentSource, _Mapping]] = ..., inputs: _Optional[_Iterable[_Union[_component_pb2.InputOverride, _Mapping]]] = ..., customer_id: _Optional[str] = ..., as_of: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., history: _Optional[str] = ...) -> None: ...

class ExplainCustomerResponse(_message.Message):
    __slots__ = ("customer_id", "health_score", "unclipped", "min_health_score", "max_health_score", "risk_category", "is_churn_risk", "is_expansion_opportunity", "data_coverage", "components", "as_of")
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    HEALTH_SCORE_FIELD_NUMBER: _ClassVar[int]
    UNCLIPPED_FIELD_NUMBER: _ClassVar[int]
    MIN_HEALTH_SCORE_FIELD_NUMBER: _ClassVar[int]
    MAX_HEALTH_SCORE_FIELD_NUMBER: _ClassVar[int]
    RISK_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    IS_CHURN_RISK_FIELD_NUMBER: _ClassVar[int]
    IS_EXPANSION_OPPORTUNITY_FIELD_NUMBER: _ClassVar[int]
    DATA_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    customer_id: str
    health_score: float
    unclipped: float
    min_health_score: float
    max_health_score: float
    risk_category: str
    is_churn_risk: bool
    is_expansion_opportunity: bool
    data_coverage: float
    components: _containers.RepeatedCompositeFieldContainer[ComponentExplanation]
    as_of: _timestamp_pb2.Timestamp
    def __init__(self, customer_id: _Optional[str] = ..., health_score: _Optional[float] = ..., unclipped: _Optional[float] = ..., min_health_score: _Optional[float] = ..., max_health_score: _Optional[float] = ..., risk_category: _Optional[str] = ..., is_churn_risk: bool = ..., is_expansion_opportunity: bool = ..., data_coverage: _Optional[float] = ..., components: _Optional[_Iterable[_Union[ComponentExplanation, _Mapping]]] = ..., as_of: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ComponentExplanation(_message.Message):
    __slots__ = ("name", "score", "counted_as", "uncapped", "share", "contribution", "caps_hit", "indicators")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    COUNTED_AS_FIELD_NUMBER: _ClassVar[int]
    UNCAPPED_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    CAPS_HIT_FIELD_NUMBER: _ClassVar[int]
    INDICATORS_FIELD_NUMBER: _ClassVar[int]
    name: str
    score: float
    counted_as: float
    uncapped: float
    share: float
    contribution: float
    caps_hit: _containers.RepeatedCompositeFieldContainer[CapDescription]
    indicators: _containers.RepeatedCompositeFieldContainer[IndicatorExplanation]
    def __init__(self, name: _Optional[str] = ..., score: _Optional[float] = ..., counted_as: _Optional[float] = ..., uncapped: _Optional[float] = ..., share: _Optional[float] = ..., contribution: _Optional[float] = ..., caps_hit: _Optional[_Iterable[_Union[CapDescription, _Mapping]]] = ..., indicators: _Optional[_Iterable[_Union[IndicatorExplanation, _Mapping]]] = ...) -> None: ...

class IndicatorExplanation(_message.Message):
    __slots__ = ("name", "input", "origin", "value", "scale", "score", "weight", "contribution")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    input: _component_pb2.Input
    origin: str
    value: str
    scale: str
    score: float
    weight: float
    contribution: float
    def __init__(self, name: _Optional[str] = ..., input: _Optional[_Union[_component_pb2.Input, str]] = ..., origin: _Optional[str] = ..., value: _Optional[str] = ..., scale: _Optional[str] = ..., score: _Optional[float] = ..., weight: _Optional[float] = ..., contribution: _Optional[float] = ...) -> None: ...

class ListScorecardsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListScorecardsResponse(_message.Message):
    __slots__ = ("scorecards",)
    SCORECARDS_FIELD_NUMBER: _ClassVar[int]
    scorecards: _containers.RepeatedCompositeFieldContainer[ScorecardListing]
    def __init__(self, scorecards: _Optional[_Iterable[_Union[ScorecardListing, _Mapping]]] = ...) -> None: ...

class ScorecardListing(_message.Message):
    __slots__ = ("name", "description", "text")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    text: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...
