"""From a defs.yaml to what the service reads: the same text, line by line.

Keys that only Dagster knows are overwritten with blanks, as are the other documents of the file, so that the service's
messages still name the right line and column.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
import jinja2.nodes
import yaml

PROJECT_ROOT = "context.project_root"


@dataclass(frozen=True)
class Source:
    """The YAML of one component, where it stands, and the values of the templates in it."""

    text: str
    file: str
    base_dir: str
    variables: Mapping[str, str]


def read(text: str, index: int, left_out: Collection[str]) -> str:
    """One document of a file, with blanks in place of all others and of the attributes that are left out."""
    documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    if index >= len(documents) or documents[index] is None:
        raise ValueError(f"the file has no document {index + 1}")
    root = documents[index]
    kept = _blank(text, 0, root.start_mark.index)
    kept = _blank(kept, root.end_mark.index, len(text))
    attributes = _attributes(root)
    if attributes is None:
        return kept
    entries = [(key, value) for key, value in attributes.value]
    for position, (key, value) in enumerate(entries):
        if key.value in left_out:
            end = value.end_mark.index
            if attributes.flow_style and position + 1 < len(entries):
                end = entries[position + 1][0].start_mark.index  # the comma behind it
            kept = _blank(kept, key.start_mark.index, end)
    return kept


def dump(attributes: Mapping[str, Any]) -> str:
    """The YAML of a component that was made in Python and stands in no file."""
    return yaml.safe_dump({"attributes": dict(attributes)}, sort_keys=False, allow_unicode=True)


def variables(text: str, project_root: str) -> dict[str, str]:
    """Values for the templates in a text: the environment variables that it names, and the project's folder."""
    found = {name: os.environ[name] for name in _names(text) if name in os.environ}
    found[PROJECT_ROOT] = project_root
    return found


def render(value: str, variables: Mapping[str, str]) -> str | None:
    """A value with its templates resolved as the service resolves them; none where that is not possible."""

    class Env:
        def __call__(self, name: str, default: Any = "") -> Any:
            return variables.get(name, default)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("jinja"):
                raise AttributeError(name)
            return variables.get(name, "")

    try:
        template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(value)
        return template.render(env=Env(), context={"project_root": variables.get(PROJECT_ROOT, "")})
    except jinja2.TemplateError:
        return None


def _attributes(root: yaml.Node) -> yaml.MappingNode | None:
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "attributes" and isinstance(value, yaml.MappingNode):
                return value
    return None


def _blank(text: str, start: int, end: int) -> str:
    blanks = "".join(character if character in "\r\n" else " " for character in text[start:end])
    return text[:start] + blanks + text[end:]


def _names(text: str) -> set[str]:
    """Names of the variables in `{{ env.X }}` and `{{ env('X') }}`."""
    names: set[str] = set()
    for piece in text.split("{{")[1:]:
        try:
            tree = jinja2.Environment().parse("{{" + piece.partition("}}")[0] + "}}")
        except jinja2.TemplateError:
            continue  # the service tells what is wrong with it
        for node in tree.find_all(jinja2.nodes.Getattr):
            if isinstance(node.node, jinja2.nodes.Name) and node.node.name == "env":
                names.add(node.attr)
        for node in tree.find_all(jinja2.nodes.Call):
            first = node.args[0] if node.args else None
            if isinstance(node.node, jinja2.nodes.Name) and node.node.name == "env" and isinstance(first, jinja2.nodes.Const):
                names.add(str(first.value))
    return names
