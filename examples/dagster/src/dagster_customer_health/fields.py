"""Values as people write them in YAML: text that YAML or a template takes for a number, one value in place of a list.

Dagster resolves templates as Python literals, so that even a quoted "2024" arrives as a number. What is a text here stays one.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any

import dagster as dg
from dagster import BackfillPolicy
from jinja2 import Undefined
from jinja2.nativetypes import NativeEnvironment, NativeTemplate
from pydantic import BeforeValidator, WithJsonSchema

from .editor import TEMPLATE

_KEY_PART = re.compile(r"[A-Za-z0-9_.-]+")
_TEXT = {"type": ["string", "integer"]}
_POLICIES = ("single_run", "multi_run")


def text(value: Any) -> str:
    """A text; whole numbers are taken for their digits, all that YAML may have changed is refused."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise ValueError(f"expected text, found the truth value {str(value).lower()}: put it in quotes, such as \"no\"")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        raise ValueError(f"expected text, found the number {value}: put it in quotes, so that it stays as it is written")
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise ValueError(f"expected text, found {_kind(value)}")


def texts(value: Any) -> list[str]:
    """A list of texts, or one text with commas between them."""
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        found = [text(entry).strip() for entry in value]
    else:
        found = [entry.strip() for entry in text(value).split(",")]
    return [entry for entry in found if entry]


def tags(value: Any) -> dict[str, str]:
    """Tags: a mapping; or names, a value behind `=` or without one, as a list or with commas between."""
    if isinstance(value, Mapping):
        return {text(name): _tag_value(given) for name, given in value.items()}
    if isinstance(value, str):
        value = texts(value)
    if not isinstance(value, Sequence):
        raise ValueError(f"expected a mapping or a list of tags, found {_kind(value)}")
    found: dict[str, str] = {}
    for entry in value:
        if isinstance(entry, Mapping):
            found |= tags(entry)
        else:
            name, _, given = text(entry).partition("=")
            found[name.strip()] = given.strip()
    return found


def choice(*names: str) -> Any:
    """A type of an attribute that is one of these names."""

    def read(value: Any) -> str:
        found = text(value)
        if found.lower() not in names:
            raise ValueError(f"`{found}` is none of {', '.join(names)}")
        return found.lower()

    return _field(str, read, _either({"enum": list(names)}, TEMPLATE))


def number(kind: type[int] | type[float], least: float, most: float | None = None) -> Any:
    """A type of an attribute that is a number within bounds; a template gives it as text."""
    schema = {"type": "integer" if kind is int else "number", "minimum": least} | ({} if most is None else {"maximum": most})
    bounds = f"from {least}" if most is None else f"from {least} to {most}"
    expected = f"expected a {'whole number' if kind is int else 'number'} {bounds}"

    def read(value: Any) -> int | float:
        try:
            found = kind(value) if isinstance(value, str | int) or (kind is float and isinstance(value, float)) else None
        except ValueError:
            found = None
        if found is None or isinstance(value, bool) or not least <= found <= (math.inf if most is None else most):
            raise ValueError(f"{expected}, found {value!r}")
        return found

    return _field(kind, read, _either(schema, TEMPLATE))


def key(value: Any) -> str:
    """The key of an asset, `/` between its parts, of the characters that Dagster's names are made from."""
    written = value.to_user_string() if isinstance(value, dg.AssetKey) else text(value)
    for part in dg.AssetKey.from_user_string(written).path:
        if not _KEY_PART.fullmatch(part):
            raise ValueError(
                f"`{written}` is no asset key: each part of one, `/` between them, has letters, digits, `_`, `-` and `.` only"
            )
    return written


def op_name(asset: dg.AssetKey) -> str:
    """A name for what computes an asset, where hyphens and dots may not be: one of its own, however alike keys are."""
    plain = "__".join(asset.path)
    if plain == asset.to_python_identifier() and not any("__" in part for part in asset.path):
        return plain
    return f"{asset.to_python_identifier()}_{hashlib.sha256(asset.to_user_string().encode()).hexdigest()[:8]}"


def keys(value: Any) -> list[str]:
    """Keys of assets, a list of them or with commas between."""
    if isinstance(value, dg.AssetKey):
        return [key(value)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [key(entry) for entry in value]
    return [key(entry) for entry in texts(value)]


def policy(value: Any) -> BackfillPolicy:
    """How many partitions a run of a backfill has: by name, or as Dagster's own components have it, with a maximum."""
    if isinstance(value, BackfillPolicy):
        return value
    given = dict(value) if isinstance(value, Mapping) else {"type": text(value)}
    kind, most = given.pop("type", None), given.pop("max_partitions_per_run", None)
    if kind not in _POLICIES or given:
        raise ValueError("expected single_run, multi_run, or {type: multi_run, max_partitions_per_run: 10}")
    if kind == "single_run":
        if most is not None:
            raise ValueError("max_partitions_per_run: a single run has all partitions; it goes with `type: multi_run`")
        return BackfillPolicy.single_run()
    if most is not None and (isinstance(most, bool) or not str(most).isdigit() or int(most) < 1):
        raise ValueError(f"max_partitions_per_run: expected a number from 1, found {most!r}")
    return BackfillPolicy.multi_run(int(most or 1))


def resolved(context: dg.ResolutionContext, value: Any) -> Any:
    """A value with its templates resolved: to the object that the whole of a template is, else to text, never to a literal."""
    if isinstance(value, Mapping):
        return {name: resolved(context.at_path(name), given) for name, given in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(context.at_path(place), given) for place, given in enumerate(value)]
    if not isinstance(value, str) or "{" not in value:
        return value
    try:
        found = _TEMPLATES.from_string(value).render(**context.scope)
    except Exception:
        return context.resolve_value(value)  # says what is wrong, and where
    return context.resolve_value(value) if isinstance(found, Undefined) else found


def _tag_value(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


def _whole(values: Any) -> Any:
    """A template that is the whole value gives what it stands for; between other text it becomes text."""
    found = list(values)
    return found[0] if len(found) == 1 else "".join(str(value) for value in found)


class _Environment(NativeEnvironment):
    concat = staticmethod(_whole)


class _Template(NativeTemplate):
    environment_class = _Environment


_Environment.template_class = _Template
_TEMPLATES = _Environment()


def _field(kind: Any, read: Any, schema: dict[str, Any]) -> Any:
    """A type of an attribute that is read so from Python and from YAML, with what the YAML may have."""

    def resolve(context: dg.ResolutionContext, value: Any) -> Any:
        found = resolved(context, value)
        return None if found is None else read(found)

    yaml = Annotated[Any, WithJsonSchema(schema)]
    return Annotated[kind, BeforeValidator(read), dg.Resolver(resolve, model_field_type=yaml, inject_before_resolve=False)]


def _either(*schemas: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": list(schemas)}


_LIST = {"type": "array", "items": _TEXT}

Text = _field(str, text, _TEXT)
Texts = _field(list[str], texts, _either(_TEXT, _LIST))
Key = _field(str, key, _TEXT)
Keys = _field(list[str], keys, _either(_TEXT, _LIST))
Tags = _field(
    dict[str, str],
    tags,
    _either(
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
        {"type": "array", "items": _either(_TEXT, {"type": "object"})},
        {"type": "string"},
    ),
)
TextMap = _field(
    dict[str, str],
    lambda value: {text(name): text(given) for name, given in dict(value).items()},
    _either({"type": "object", "additionalProperties": _TEXT}, TEMPLATE),
)
Policy = _field(
    BackfillPolicy,
    policy,
    _either(
        {"enum": list(_POLICIES)},
        TEMPLATE,
        {
            "type": "object",
            "properties": {
                "type": _either({"enum": list(_POLICIES)}, TEMPLATE),
                "max_partitions_per_run": _either({"type": "integer", "minimum": 1}, TEMPLATE),
            },
            "required": ["type"],
            "additionalProperties": False,
        },
    ),
)
