"""What editors, `dg check yaml` and Dagster's UI know of the attributes: their descriptions, and their types as JSON Schema.

Dagster derives a model of the YAML from a class. It lets each field's description give way to that of its resolver, which has
none, and takes any text for any type, as a text may be a template. Here descriptions stay, a text in place of another type has
to be a template, and attributes that the service reads have the types of the service's own schema.
"""

import functools
import importlib.resources
import json
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel, Field, SkipValidation, WithJsonSchema, create_model

TEMPLATE: dict[str, Any] = {"type": "string", "pattern": r"\{\{.*\}\}", "description": "A template that stands for the value."}
"""A text that may stand in place of a value of any type."""

_Template = Annotated[str, WithJsonSchema(TEMPLATE)]
_MODELS: dict[type, type[BaseModel]] = {}


def scored(kind: Any) -> Any:
    """A type of an attribute that the service reads and judges: its value stays as it is written, templates and all, so that
    no rule stands twice. `kind` is for people who write Python.
    """
    as_written = dg.Resolver(lambda _, value: value, model_field_type=Any, inject_before_resolve=False)
    return Annotated[kind, SkipValidation, as_written, _OF_THE_SERVICE]


class Documented(dg.Resolvable):
    """A class whose YAML is described and typed as its fields are. Values are looked at when their templates are resolved."""

    @classmethod
    def model(cls) -> type[BaseModel]:
        if cls not in _MODELS:
            derived = super().model()
            own: dict[str, Any] = cls.model_fields  # type: ignore[attr-defined]
            described = {name: _described(name, found, own[name]) for name, found in derived.model_fields.items()}
            _MODELS[cls] = create_model(derived.__name__, __base__=derived, **described)
        return _MODELS[cls]


@functools.cache
def of_the_service() -> dict[str, dict[str, Any]]:
    """The attributes of the service's component.yaml by name, each as a JSON Schema that refers to nothing outside of it."""
    file = importlib.resources.files(__package__) / "component.schema.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    attributes = whole["$defs"]["Attributes"]["properties"]
    return {name: _spelled_out(schema, whole["$defs"]) for name, schema in attributes.items()}


_OF_THE_SERVICE = object()


def _described(name: str, found: Any, own: Any) -> tuple[Any, Any]:
    """Type and field of an attribute in the model of the YAML."""
    annotation, description = found.annotation, own.description
    if _OF_THE_SERVICE in own.metadata:
        schema = {key: value for key, value in of_the_service()[name].items() if key not in ("default", "description")}
        annotation = Annotated[Any, WithJsonSchema(schema)]
        description = description or of_the_service()[name]["description"].replace("\n", " ")
    elif _is_union(annotation) and not (_is_union(own.annotation) and str in get_args(own.annotation)):
        annotation = _with_templates(get_args(annotation))
    # Nothing at all is no value to suggest, and neither is Dagster's mark for a default that it cannot write.
    has_default = found.default is not None and not own.default_factory
    return annotation, Field(
        default=found.default, description=description, json_schema_extra=lambda schema: _finish(schema, has_default)
    )


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _with_templates(kinds: tuple[Any, ...]) -> Any:
    """A union of types in which a text has to be a template; a type with a schema of its own says so itself."""
    has_own = any(isinstance(each, WithJsonSchema) for kind in kinds for each in getattr(kind, "__metadata__", ()))
    return Union[tuple(_Template if kind is str else kind for kind in kinds if kind is not str or not has_own)]  # noqa: UP007


def _finish(schema: dict[str, Any], has_default: bool) -> None:
    if not has_default:
        schema.pop("default", None)
    if found := schema.pop("anyOf", None):
        schema.update(_told_apart(found))


def _told_apart(alternatives: list[dict[str, Any]]) -> dict[str, Any]:
    """Any of several schemas. Where just one of them is for mappings, or for lists, a fault inside of one is told where it
    stands; `anyOf` would tell the whole value instead.
    """
    flat = [each for schema in alternatives for each in _alternatives(schema)]
    if len(flat) == 1:
        return flat[0]
    for kind in ("object", "array"):
        fitting = [schema for schema in flat if _admits(schema, kind)]
        if len(fitting) == 1 and ("$ref" in fitting[0] or fitting[0].get("type") == kind):
            rest = [schema for schema in flat if schema is not fitting[0]]
            return {"if": {"type": kind}, "then": fitting[0], "else": _told_apart(rest)}
    return {"anyOf": flat}


def _alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """What a schema is any of: itself, or what was told apart already, if it says nothing besides."""
    if schema.keys() - {"if", "then", "else", "anyOf", "description"}:
        return [schema]
    if "if" in schema:
        return [schema["then"], *_alternatives(schema["else"])]
    return schema.get("anyOf", [schema])


def _admits(schema: dict[str, Any], kind: str) -> bool:
    """Whether a schema may hold for a mapping (`object`) or a list (`array`); references are to models, which are mappings."""
    if "enum" in schema or "$ref" in schema:
        return kind == "object" and "$ref" in schema
    kinds = schema.get("type", kind)
    return kind in ([kinds] if isinstance(kinds, str) else kinds)


def _spelled_out(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with its definitions in the place of references to them."""
    if isinstance(schema, list):
        return [_spelled_out(entry, definitions) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _spelled_out(value, definitions) for key, value in schema.items() if key != "$ref"}
    if alternatives := found.pop("anyOf", None):
        found |= _told_apart(alternatives)
    if reference := schema.get("$ref"):
        return {**_spelled_out(definitions[reference.rpartition("/")[2]], definitions), **found}
    return found
