"""Laws of schemas over thousands of made ones, at every dialect: what goes out is legal, and what is lost is named.

The rules of the vendors are written down here once more, from their documentation and not from the code.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, JsonSchemaFormat, TextConfig

pytestmark = pytest.mark.law

Schema = dict[str, Any]
Rule = Callable[[Schema], None]

MADE = 2_000
HI = (Message(role="user", content=(InputText("Say it as JSON."),)),)
DIALECTS: tuple[tuple[Dialect, Quirks], ...] = (
    ("chat", Quirks()),
    ("mistral", Quirks()),
    ("responses", Quirks()),
    ("messages", Quirks()),
    ("converse", Quirks()),
    ("gemini", Quirks()),
    ("gemini", Quirks(schema_keywords="openapi")),
    ("cohere", Quirks()),
)


# Schemas and documents


def made(rng: random.Random, depth: int = 0, names: tuple[str, ...] = ()) -> Schema:
    kinds = ["string", "integer", "enum", "const", "flag"]
    if depth < 4:
        kinds += ["object", "object", "map", "array", "anyOf", "oneOf", "allOf", "null"]
    kinds += ["$ref"] if names else []

    def inner() -> Schema:
        return made(rng, depth + 1, names)

    match rng.choice(kinds):
        case "string":
            bounds = [("minLength", 2), ("maxLength", 3), ("pattern", "^a"), ("format", "date"), ("format", "regex")]
            return {"type": "string", **dict(rng.sample(bounds, rng.randint(0, 1)))}
        case "integer":
            bounds = [("minimum", 3), ("maximum", 9), ("multipleOf", 2), ("exclusiveMinimum", 4)]
            return {"type": "integer", **dict(rng.sample(bounds, rng.randint(0, 2)))}
        case "enum":
            enums: list[Schema] = [
                {"enum": ["a", 7, None]},
                {"type": "string", "enum": ["a", "bb"]},
                {"enum": [[1], 2]},
            ]
            return rng.choice(enums)
        case "const":
            return {"const": rng.choice(["a", 4, None])}
        case "flag":
            return {"type": ["boolean", "null"], "title": "Flag", "description": "Yes or no.", "default": None}
        case "object":
            return an_object(rng, inner)
        case "map":
            open_ones: list[Schema] = [{"additionalProperties": inner()}, {"additionalProperties": True}, {}]
            return {"type": "object", **rng.choice(open_ones)}
        case "array":
            bounds = [("minItems", 1), ("minItems", 3), ("maxItems", 2), ("uniqueItems", True)]
            return {"type": "array", "items": inner(), **dict(rng.sample(bounds, rng.randint(0, 1)))}
        case "allOf":
            return {
                "allOf": [inner() if rng.random() < 0.3 else an_object(rng, inner) for _ in range(rng.randint(1, 2))]
            }
        case "null":
            return {"anyOf": [inner(), {"type": "null"}]}
        case "$ref":
            reference = {"$ref": f"#/$defs/{rng.choice(names)}"}
            return reference if rng.random() < 0.7 else {**reference, "description": "Another."}
        case union:
            return {union: [inner(), inner()]}


def an_object(rng: random.Random, inner: Callable[[], Schema]) -> Schema:
    properties = {name: inner() for name in rng.sample("abcd", rng.randint(1, 3))}
    required = rng.sample(list(properties), rng.randint(0, len(properties)))
    shut = {"additionalProperties": False} if rng.random() < 0.5 else {}
    return {"type": "object", "properties": properties, "required": required, **shut}


def whole_schema(seed: int) -> Schema:
    rng = random.Random(seed)
    names = ("One", "Two") if rng.random() < 0.5 else ()
    root = an_object(rng, lambda: made(rng, 1, names))
    if rng.random() < 0.1:
        root = rng.choice([{"$ref": "#/$defs/One"}, {"anyOf": [root, an_object(rng, lambda: made(rng, 2, names))]}])
        names = ("One", "Two")
    defs = {"$defs": {name: an_object(rng, lambda: made(rng, 2, names)) for name in names}} if names else {}
    return {**root, **defs}


VALUES: list[Any] = ["", "a", "ab", "bb", "abcdef", "2026-01-02", 0, 4, 5, 7, 8, 99, True, None, [], [1], {}]


def document(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth > 3 or kind < 0.5:
        return rng.choice(VALUES)
    if kind < 0.65:
        return [document(rng, depth + 1) for _ in range(rng.randint(1, 4))]
    return {name: document(rng, depth + 1) for name in rng.sample("abcde", rng.randint(0, 4))}


def fitting(rng: random.Random, schema: Schema, root: Schema, depth: int = 0) -> Any:
    """A document of a schema's shape, whose values keep none of its bounds on purpose."""
    if depth > 8:
        return rng.choice(VALUES)
    if "$ref" in schema:
        return fitting(rng, root["$defs"][schema["$ref"].rpartition("/")[2]], root, depth + 1)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return fitting(rng, rng.choice(choices), root, depth + 1)
    if "enum" in schema or "const" in schema:
        return rng.choice([*schema.get("enum", [schema.get("const")]), "zz"])
    match schema.get("type"):
        case "object":
            return {name: fitting(rng, part, root, depth + 1) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [fitting(rng, schema["items"], root, depth + 1) for _ in range(rng.randint(0, 4))]
        case "string":
            return rng.choice([value for value in VALUES if isinstance(value, str)])
        case "integer":
            return rng.choice([0, 4, 5, 7, 8, 99])
        case _:
            return rng.choice(VALUES)


# What the vendors document


def nodes(schema: Any) -> Iterator[Schema]:
    if not isinstance(schema, dict):
        return
    yield schema
    for key in ("properties", "$defs", "patternProperties"):
        for part in (schema.get(key) or {}).values():
            yield from nodes(part)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for part in schema.get(key) or ():
            yield from nodes(part)
    for key in ("items", "additionalProperties", "not"):
        yield from nodes(schema.get(key))


def says_object(node: Schema) -> bool:
    return "properties" in node or node.get("type") == "object" or "object" in (node.get("type") or ())


def holds_itself(schema: Schema) -> bool:
    def reaches(node: Any, seen: tuple[str, ...]) -> bool:
        bare = {key: value for key, value in node.items() if key != "$defs"}
        for part in nodes(bare):
            if "$ref" in part:
                name = part["$ref"].rpartition("/")[2]
                if name in seen or reaches(schema["$defs"][name], (*seen, name)):
                    return True
        return False

    return reaches(schema, ())


def openai(schema: Schema) -> None:
    assert schema["type"] == "object"
    assert "anyOf" not in schema
    for node in nodes(schema):
        assert not node.keys() & {"allOf", "oneOf", "not", "if", "patternProperties", "default", "minLength"}
        assert not node.keys() & {"maxLength", "uniqueItems", "prefixItems", "nullable"}
        assert node.get("format", "date") in STRING_FORMATS
        assert node.keys() & {"type", "anyOf", "$ref"}
        assert "$ref" not in node or node.keys() <= {"$ref"}
        if says_object(node):
            assert node["additionalProperties"] is False
            assert set(node["required"]) == set(node["properties"])
        if node.get("type") == "array":
            assert isinstance(node["items"], dict)


def claude(schema: Schema) -> None:
    assert not holds_itself(schema)
    bounds = {"minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"}
    for node in nodes(schema):
        assert not node.keys() & (bounds | {"maxItems", "uniqueItems", "oneOf", "allOf", "nullable", "prefixItems"})
        assert node.get("minItems", 0) in (0, 1)
        assert node.get("format", "date") in STRING_FORMATS | {"uri"}
        assert all(not isinstance(value, list | dict) for value in node.get("enum", ()))
        if says_object(node):
            assert node["additionalProperties"] is False


def gemini(schema: Schema) -> None:
    known = {"$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items"}
    known |= {"prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties"}
    known |= {"additionalProperties", "required", "propertyOrdering"}
    for node in nodes(schema):
        assert node.keys() <= known
        assert "$ref" not in node or all(key.startswith("$") for key in node)


def gemini_older(schema: Schema) -> None:
    for node in nodes(schema):
        assert not node.keys() & {"$ref", "$defs", "additionalProperties", "oneOf", "allOf", "const", "multipleOf"}
        assert isinstance(node.get("type", ""), str)
        assert all(isinstance(value, str) for value in node.get("enum", ()))


def cohere(schema: Schema) -> None:
    assert schema["type"] == "object"
    for node in nodes(schema):
        assert not node.keys() & {"allOf", "oneOf", "not", "minimum", "maximum", "minItems", "maxItems", "uniqueItems"}
        assert not node.keys() & {"minLength", "maxLength"}
        assert node.get("format", "date") in {"date", "date-time", "time", "uuid"}
        if node.get("properties"):
            assert node["required"]


STRING_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


# What went out


def sent(dialect: Dialect, quirks: Quirks, **asked: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    endpoint = Endpoint(
        model=Model(slug="acme/one"),
        provider=Provider(slug="acme", name="Acme"),
        upstream_model="one",
        dialect=dialect,
        base_url="https://api.acme.example/v1",
        quirks=quirks,
    )
    request = ADAPTERS[dialect].encode(Request(input=HI, **asked), endpoint, None)
    return json.loads(request.body), request.dropped


def answer_in(dialect: Dialect, body: dict[str, Any]) -> tuple[Schema, bool] | None:
    """The schema of the answer, and whether a grammar holds it; None where there is none of it on the wire."""
    match dialect:
        case "chat" | "mistral":
            form = body.get("response_format", {}).get("json_schema")
            return form and (form["schema"], bool(form.get("strict")))
        case "messages":
            form = body.get("output_config", {}).get("format")
            return form and (form["schema"], True)
        case "converse":
            form = body.get("outputConfig")
            return form and (json.loads(form["textFormat"]["structure"]["jsonSchema"]["schema"]), True)
        case "gemini":
            form = body.get("generationConfig", {})
            found = form.get("responseJsonSchema") or form.get("responseSchema")
            return found and (found, True)
        case "cohere":
            form = body.get("response_format", {}).get("json_schema")
            return form and (form, True)
        case _:
            return body["text"]["format"]["schema"], False


def tool_in(dialect: Dialect, body: dict[str, Any]) -> tuple[Schema, bool]:
    match dialect:
        case "messages":
            return body["tools"][0]["input_schema"], body["tools"][0].get("strict", False)
        case "converse":
            tool = body["toolConfig"]["tools"][0]["toolSpec"]
            return tool["inputSchema"]["json"], tool.get("strict", False)
        case "gemini":
            tool = body["tools"][0]["functionDeclarations"][0]
            return tool.get("parametersJsonSchema") or tool.get("parameters") or {"type": "object"}, True
        case "responses":
            return body["tools"][0]["parameters"], False
        case _:
            tool = body["tools"][0]["function"]
            return tool["parameters"], tool.get("strict", body.get("strict_tools", False))


def rule(dialect: Dialect, quirks: Quirks) -> Rule:
    if dialect == "gemini":
        return gemini_older if quirks.schema_keywords == "openapi" else gemini
    return {"messages": claude, "converse": claude, "cohere": cohere}.get(dialect, openai)


@cache
def valid(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(schema), validate_formats=True)


def keeps_bounds(given: Schema, written: Schema, seed: int) -> None:
    """What fits the schema that went out fits the one that was given."""
    rng = random.Random(seed)
    before, after = valid(json.dumps(given)), valid(json.dumps(written))
    for number in range(14):
        tried = document(rng) if number % 7 == 0 else fitting(rng, written, written)
        assert not after.is_valid(tried) or before.is_valid(tried), tried


@pytest.mark.parametrize(("dialect", "quirks"), DIALECTS, ids=lambda value: getattr(value, "schema_keywords", value))
def test_a_schema_goes_out_legal_and_what_it_lost_is_named(dialect: Dialect, quirks: Quirks) -> None:
    held = 0
    for seed in range(MADE):
        given, is_strict = whole_schema(seed), seed % 2 == 0
        form = JsonSchemaFormat(name="form", schema=given, strict=is_strict)
        body, dropped = sent(dialect, quirks, text=TextConfig(form))
        found = answer_in(dialect, body)
        if found is None:
            assert "text.format" in dropped, given
            continue
        held += 1
        written, is_held = found
        if is_held:
            rule(dialect, quirks)(written)
        elif is_strict and dialect != "responses":
            assert "text.format.strict" in dropped
        # One of is any of there: what fits several branches fits too. The older language is no JSON schema.
        if "text.format.schema" not in dropped and '"oneOf"' not in json.dumps(given) and "openapi" not in str(quirks):
            keeps_bounds(given, written, seed)
    assert held > MADE / 20


@pytest.mark.parametrize(("dialect", "quirks"), DIALECTS, ids=lambda value: getattr(value, "schema_keywords", value))
def test_a_tool_goes_out_legal_and_what_it_lost_is_named(dialect: Dialect, quirks: Quirks) -> None:
    for seed in range(MADE // 4):
        given = whole_schema(seed)
        tool = FunctionTool("look", None, given, strict=seed % 2 == 0)
        body, dropped = sent(dialect, quirks, tools=(tool,))
        written, is_held = tool_in(dialect, body)
        assert written["type"] == "object"
        assert not written.keys() & {"anyOf", "oneOf", "allOf", "$ref"}
        if is_held:
            rule(dialect, quirks)(written)
        elif tool.strict and dialect != "responses":
            assert "tools.strict" in dropped
        if "tools.parameters" not in dropped and '"oneOf"' not in json.dumps(given) and "openapi" not in str(quirks):
            keeps_bounds(given, written, seed)


@pytest.mark.parametrize(("dialect", "quirks"), DIALECTS, ids=lambda value: getattr(value, "schema_keywords", value))
def test_what_is_no_schema_breaks_nothing(dialect: Dialect, quirks: Quirks) -> None:
    keywords = ["type", "properties", "required", "items", "allOf", "anyOf", "oneOf", "enum", "const", "format", "$ref"]
    keywords += ["$defs", "definitions", "minItems", "nullable", "additionalProperties", "description"]
    values: list[Any] = [
        None,
        True,
        7,
        "x",
        [],
        {},
        [{}],
        [7],
        {"a": 7},
        {"a": {}},
        ["object"],
        "object",
        "#/$defs/a",
        "#",
    ]
    rng = random.Random(7)
    for _ in range(MADE):
        schema = {name: rng.choice(values) for name in rng.sample(keywords, rng.randint(1, 4))}
        if rng.random() < 0.5:
            schema = {"type": "object", "properties": {"a": schema}}
        tool = FunctionTool("look", None, schema, strict=rng.random() < 0.5)
        form = JsonSchemaFormat(name="form", schema=schema, strict=rng.random() < 0.5)
        sent(dialect, quirks, tools=(tool,))
        sent(dialect, quirks, text=TextConfig(form))
