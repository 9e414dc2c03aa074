"""Narrowing JSON schemas."""

from __future__ import annotations

import copy

from trunkline.adapters.encoding.schemas import MAX_SCHEMAS, closed, inlined, only, parameters_of, without
from trunkline.protocol.items import Json
from trunkline.protocol.tools import FunctionTool

SCHEMA: dict[str, Json] = {
    "type": "object",
    "title": "Order",
    "properties": {
        "title": {"type": "string", "title": "Name", "minLength": 1},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "note": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"text": {"type": "string"}}}]},
    },
    "required": ["title"],
    "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string"}}}},
}


def test_closing_makes_every_object_strict_and_leaves_the_input_alone() -> None:
    before = copy.deepcopy(SCHEMA)
    strict = closed(SCHEMA)
    assert before == SCHEMA
    assert strict["required"] == ["title", "lines", "note"]
    nested = (strict, strict["properties"]["note"]["anyOf"][1], strict["$defs"]["line"])
    assert all(node["additionalProperties"] is False for node in nested)


def test_keywords_are_left_out_but_properties_of_that_name_stay() -> None:
    bare = without(SCHEMA, {"title", "minLength"})
    assert bare["properties"]["title"] == {"type": "string"}
    assert "title" not in bare
    assert only(SCHEMA, {"type", "properties"})["properties"]["title"] == {"type": "string"}
    assert only(SCHEMA, {"type"}) == {"type": "object"}


def test_values_that_look_like_schemas_are_not_touched() -> None:
    schema: dict[str, Json] = {"enum": [{"title": "a"}], "default": {"title": "b"}, "const": {"title": "c"}}
    assert without(schema, {"title"}) == schema


def test_references_are_replaced_by_what_they_point_to() -> None:
    flat = inlined(SCHEMA)
    assert flat["properties"]["lines"]["items"] == SCHEMA["$defs"]["line"]
    assert "$defs" not in flat


def test_a_schema_that_holds_itself_ends() -> None:
    tree: dict[str, Json] = {
        "$ref": "#/definitions/node",
        "definitions": {"node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/node"}}}},
    }
    assert inlined(tree) == {"type": "object", "properties": {"next": {}}}


def test_references_that_double_at_each_step_stay_bounded() -> None:
    links = {
        f"l{i}": {"properties": {"a": {"$ref": f"#/$defs/l{i + 1}"}, "b": {"$ref": f"#/$defs/l{i + 1}"}}}
        for i in range(40)
    }
    flat = inlined({"$ref": "#/$defs/l0", "$defs": links})

    def size(node: Json) -> int:
        return 1 + sum(size(child) for child in node.get("properties", {}).values())

    assert size(flat) <= 3 * MAX_SCHEMAS


def test_unknown_references_and_deep_schemas_become_anything() -> None:
    assert inlined({"$ref": "https://schemas.example/a", "description": "x"}) == {"description": "x"}
    assert inlined({"$ref": "#/$defs/none"}) == {}
    deep: dict[str, Json] = {}
    for _ in range(200):
        deep = {"type": "array", "items": deep}
    assert without(deep, {"title"})["items"]["items"]["type"] == "array"


def test_a_tool_without_arguments_has_an_empty_object() -> None:
    assert parameters_of(FunctionTool("clock")) == {"type": "object", "properties": {}}
    assert parameters_of(FunctionTool("clock", parameters={"type": "object"})) == {"type": "object", "properties": {}}
    assert parameters_of(FunctionTool("order", parameters=SCHEMA)) is SCHEMA
