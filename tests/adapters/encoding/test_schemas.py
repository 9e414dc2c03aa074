"""Narrowing JSON schemas."""

from __future__ import annotations

from trunkline.adapters.encoding.schemas import MAX_SCHEMAS, inlined, parts_of
from trunkline.protocol.items import Json

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


def test_the_parts_of_a_schema_are_the_schemas_in_it() -> None:
    assert parts_of(SCHEMA) == [*SCHEMA["properties"].values(), *SCHEMA["$defs"].values()]
    assert parts_of({"enum": [{"title": "a"}], "default": {"items": {}}, "const": {"title": "c"}}) == []


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


def test_unknown_references_become_anything() -> None:
    assert inlined({"$ref": "https://schemas.example/a", "description": "x"}) == {"description": "x"}
    assert inlined({"$ref": "#/$defs/none"}) == {}
