"""What the service reads is what the user wrote, line by line."""

import pytest
import yaml

from dagster_customer_health import source

FILE = """\
# before
type: a.First
attributes:
  one: 1
---
# the second
type: a.Second
attributes:
  partition_type: daily   # Dagster's
  nested:
    deep: [1, 2]
  partition_dimensions:
    - name: x
      type: static
  last: {key: value}
  deps:
post_processing: {}
"""


def places(text: str) -> dict[str, tuple[int, int]]:
    root = yaml.compose(text)
    (attributes,) = [value for key, value in root.value if key.value == "attributes"]
    return {key.value: (key.start_mark.line + 1, key.start_mark.column + 1) for key, _ in attributes.value}


def test_other_documents_and_dagsters_keys_become_blanks():
    text = source.read(FILE, 1, {"partition_type", "partition_dimensions", "deps"})
    assert len(text.splitlines()) == len(FILE.splitlines())
    assert yaml.safe_load(text) == {
        "type": "a.Second",
        "attributes": {"nested": {"deep": [1, 2]}, "last": {"key": "value"}},
        "post_processing": {},
    }
    assert places(text) == {"nested": (10, 3), "last": (15, 3)}
    assert yaml.safe_load(source.read(FILE, 0, {"partition_type"})) == {"type": "a.First", "attributes": {"one": 1}}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("attributes: {a: 1, b: 2, c: 3}", {"a": 1, "c": 3}),
        ("attributes: {b: 2, a: 1}", {"a": 1}),
        ("attributes: {a: 1, b: [2, 3]}", {"a": 1}),
        ("attributes:\n  a: 1\n  b: |\n    text\n    more\n  c: 3\n", {"a": 1, "c": 3}),
        ('attributes:\n  b: "{{ x }}"\n', None),
        ("attributes:\n  b:\n  a: 1\n", {"a": 1}),
    ],
)
def test_keys_in_all_styles(text, left):
    assert yaml.safe_load(source.read(text, 0, {"b"}))["attributes"] == left


def test_a_file_without_that_document():
    with pytest.raises(ValueError, match="no document 3"):
        source.read(FILE, 2, set())


def test_variables_of_all_forms(monkeypatch):
    for name in ("ONE", "TWO", "THREE", "OTHER"):
        monkeypatch.setenv(name, name.lower())
    text = "a: '{{ env.ONE }}/{{ env(\"TWO\") }}'\nb: \"{{ env('THREE', 3) }}\"\nc: '{{ env('MISSING', 1) }} {{ broken'"
    assert source.variables(text, "/srv") == {"ONE": "one", "TWO": "two", "THREE": "three", "context.project_root": "/srv"}


def test_rendering_is_as_in_the_service():
    variables = {"X": "x", "context.project_root": "/srv"}
    assert source.render("{{ context.project_root }}/{{ env.X }}/{{ env('Y', 'y') }}.parquet", variables) == "/srv/x/y.parquet"
    assert source.render("{{ nothing.known() }}", variables) is None
