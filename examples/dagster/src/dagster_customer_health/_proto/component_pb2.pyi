from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Input(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_UNSPECIFIED: _ClassVar[Input]
    INPUT_CUSTOMER: _ClassVar[Input]
    INPUT_SUBSCRIPTION: _ClassVar[Input]
    INPUT_USAGE: _ClassVar[Input]
    INPUT_SUPPORT: _ClassVar[Input]

class Table(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TABLE_UNSPECIFIED: _ClassVar[Table]
    TABLE_SCORES: _ClassVar[Table]
    TABLE_CHURN_RISK: _ClassVar[Table]
    TABLE_EXPANSION: _ClassVar[Table]
INPUT_UNSPECIFIED: Input
INPUT_CUSTOMER: Input
INPUT_SUBSCRIPTION: Input
INPUT_USAGE: Input
INPUT_SUPPORT: Input
TABLE_UNSPECIFIED: Table
TABLE_SCORES: Table
TABLE_CHURN_RISK: Table
TABLE_EXPANSION: Table

class ComponentSource(_message.Message):
    __slots__ = ("text", "name", "file", "base_dir", "variables")
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    BASE_DIR_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    text: str
    name: str
    file: str
    base_dir: str
    variables: _containers.ScalarMap[str, str]
    def __init__(self, text: _Optional[str] = ..., name: _Optional[str] = ..., file: _Optional[str] = ..., base_dir: _Optional[str] = ..., variables: _Optional[_Mapping[str, str]] = ...) -> None: ...

class InputOverride(_message.Message):
    __slots__ = ("input", "path", "where")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    input: Input
    path: str
    where: str
    def __init__(self, input: _Optional[_Union[Input, str]] = ..., path: _Optional[str] = ..., where: _Optional[str] = ...) -> None: ...

class OutputOverride(_message.Message):
    __slots__ = ("table", "path", "table_name")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    TABLE_NAME_FIELD_NUMBER: _ClassVar[int]
    table: Table
    path: str
    table_name: str
    def __init__(self, table: _Optional[_Union[Table, str]] = ..., path: _Optional[str] = ..., table_name: _Optional[str] = ...) -> None: ...

class Asset(_message.Message):
    __slots__ = ("name", "description", "group_name", "owners", "tags", "kinds", "upstream")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    GROUP_NAME_FIELD_NUMBER: _ClassVar[int]
    OWNERS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    group_name: str
    owners: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.ScalarMap[str, str]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    upstream: _containers.RepeatedCompositeFieldContainer[UpstreamAsset]
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., group_name: _Optional[str] = ..., owners: _Optional[_Iterable[str]] = ..., tags: _Optional[_Mapping[str, str]] = ..., kinds: _Optional[_Iterable[str]] = ..., upstream: _Optional[_Iterable[_Union[UpstreamAsset, _Mapping]]] = ...) -> None: ...

class UpstreamAsset(_message.Message):
    __slots__ = ("input", "asset_key")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ASSET_KEY_FIELD_NUMBER: _ClassVar[int]
    input: Input
    asset_key: str
    def __init__(self, input: _Optional[_Union[Input, str]] = ..., asset_key: _Optional[str] = ...) -> None: ...
