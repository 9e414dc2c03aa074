"""Whether JSON fits a schema: nothing outside of it is read, and no pattern takes long."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from trunkline.plugins.schema_check import check

Json = Any


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


def test_without_the_extra_nothing_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    assert check({"type": "object", "title": "never checked before"}, "{}") == "unchecked"
