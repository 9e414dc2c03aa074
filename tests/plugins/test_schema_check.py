"""Whether JSON fits a schema: nothing outside of it is read, and no pattern takes long."""

from __future__ import annotations

import json
import sys
from time import process_time
from typing import Any

import pytest

from trunkline.plugins.schema_check import check, pattern_of

Json = Any

NAME = {"$ref": "#/$defs/name"}
NODE = {"type": "object", "required": ["name"], "properties": {"name": NAME, "next": {"$ref": "#/$defs/node"}}}


def test_text_fits_or_does_not() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert check(schema, '{"a": 1}') == "fits"
    assert check(schema, '{"a": "1"}') == "does_not_fit"
    assert check(schema, "[]") == "does_not_fit"
    assert check({"$defs": {"n": {"type": "number"}}, "items": {"$ref": "#/$defs/n"}}, "[1, 2.5]") == "fits"


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/x", "file:///etc/passwd", "https://a.example/s.json", "other.json"]
)
def test_SC_01_SC_02_nothing_outside_of_a_schema_is_read(address: str) -> None:
    assert check({"$ref": address}, "{}") == "unchecked"
    assert check({"$schema": address, "$ref": address}, "{}") == "unchecked"


def test_SC_03_SC_04_a_pattern_takes_linear_time_or_is_none() -> None:
    slow = {"type": "string", "pattern": "^(a+)+$"}
    assert check(slow, '"' + "a" * 5000 + '!"') == "does_not_fit"
    assert check({"pattern": "(?=a)b"}, '"b"') == "unchecked"


def test_SC_06_what_is_nested_too_deep_or_no_schema_is_not_checked() -> None:
    deep: Json = {"type": "object"}
    for _ in range(900):
        deep = {"properties": {"a": deep}}
    assert check(deep, "{}") in ("fits", "unchecked")
    assert check({}, "[" * 5000 + "]" * 5000) == "unchecked"
    assert check({"type": "no such type"}, "{}") == "unchecked"


def doubling(steps: int) -> Json:
    """A schema in which each part refers to the next one twice."""
    next_twice = [{"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(steps)]
    return {"$defs": {str(n): part for n, part in enumerate([*next_twice, {}])}, "$ref": "#/$defs/0"}


def looked_at_again(steps: int) -> Json:
    within: Json = {"type": "object"}
    for _ in range(steps):
        within = {"if": within, "unevaluatedProperties": False}
    return within


@pytest.mark.parametrize(
    "schema",
    [
        doubling(60),
        looked_at_again(60),
        {"$defs": {"x": {"$id": "http://a.example/x", **doubling(60)}, "0": {}}, "$ref": "#/$defs/x"},
        {"$defs": {**doubling(60)["$defs"], "%30": {}}, "$ref": "#/$defs/%30"},
        {"properties": {"a": {"anyOf": [{"$ref": "#"}, {"properties": {"a": {"$ref": "#"}}}]}}},
        {"$defs": {"x": {"$anchor": "x", "allOf": [{"$ref": "#x"}, {"$ref": "#x"}]}}, "$ref": "#x"},
        {"if": {"properties": {"a": {"$ref": "#"}}}, "unevaluatedProperties": False},
        {"$dynamicAnchor": "x", "properties": {"a": {"allOf": [{"$dynamicRef": "#x"}] * 2}}},
        {"items": {"anyOf": [{"const": n} for n in range(2000)]}},
    ],
)
def test_a_schema_that_would_take_long_is_not_checked(schema: Json) -> None:
    began = process_time()
    assert check(schema, json.dumps([{"a": 1}] * 2000)) == "unchecked"
    assert process_time() - began < 1


@pytest.mark.parametrize(
    "schema",
    [
        {**NODE, "properties": {"name": NAME, "next": {"$ref": "#"}}, "$defs": {"name": {"type": "string"}}},
        {"$ref": "#/$defs/node", "$defs": {"node": NODE, "name": {"type": "string"}}},
        {"anyOf": [{"$ref": "#/$defs/node"}] * 3, "$defs": {"node": NODE, "name": {"type": "string"}}},
    ],
)
def test_a_schema_may_refer_to_itself_and_to_its_parts_often(schema: Json) -> None:
    for _ in range(2):
        assert check(schema, '{"name": "a", "next": {"name": "b", "next": {"name": "c"}}}') == "fits"
        assert check(schema, '{"name": "a", "next": {"name": "b", "next": {"name": 3}}}') == "does_not_fit"


def test_what_is_no_JSON_does_not_fit_and_a_number_too_long_to_read_is_not_checked() -> None:
    assert check({"type": "object"}, '{"a": NaN}') == "does_not_fit"
    assert check({"type": "object"}, '{"a": ' + "9" * 5000 + "}") == "unchecked"


def test_without_the_extra_nothing_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    assert check({"type": "object", "title": "never checked before"}, "{}") == "unchecked"
    with pytest.raises(ValueError, match=r"trunkline\[healing\]"):
        pattern_of("a")


def test_a_pattern_is_looked_for_anywhere_in_a_text() -> None:
    matches = pattern_of(r"(?i)\bno\. \d{3}\b")
    assert [matches(text) for text in ("See NO. 123.", "no. 12", "", '{"a": 1}')] == [True, False, False, False]


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", r"\d{1000}{1000}"])
def test_a_pattern_that_is_none_or_takes_long_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern that is matched in linear time"):
        pattern_of(pattern)


def test_a_pattern_that_makes_others_work_for_ever_makes_none_here() -> None:
    assert not pattern_of("(a+)+$")("a" * 100_000 + "!")
