"""Laws of schemas over thousands of made ones, at every dialect: what goes out is legal, and what is lost is named.

The rules of the vendors are written down here once more, from their documentation and not from the code; where it is
from stands at each rule, all seen 2026-11-27.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from trunkline.adapters.encoding import schema_subsets
from trunkline.adapters.encoding.schema_subsets import Refusal, Subset
from trunkline.adapters.encoding.schema_writer import write_schema
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, JsonSchemaFormat, TextConfig

pytestmark = pytest.mark.law

Schema = dict[str, Any]
Rule = Callable[[Schema], None]

MADE = 500
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


PATTERNS = ("^a", "a", "[^b]", "(?=a)a", "(?<!b)a", r"\\ba", r"(a)\\1", r"\\d")
FORMATS = ("date", "date-time", "email", "uri", "regex", "uuid")


def made(rng: random.Random, depth: int = 0, names: tuple[str, ...] = ()) -> Schema:
    kinds = ["string", "integer", "enum", "const", "flag"]
    if depth < 4:
        kinds += ["object", "object", "map", "array", "anyOf", "oneOf", "allOf", "null"]
    kinds += ["$ref"] if names else []

    def inner() -> Schema:
        return made(rng, depth + 1, names)

    match rng.choice(kinds):
        case "string":
            bounds: list[tuple[str, Any]] = [("minLength", 2), ("maxLength", 3)]
            bounds += [("pattern", pattern) for pattern in PATTERNS] + [("format", name) for name in FORMATS]
            return {"type": "string", **dict(rng.sample(bounds, rng.randint(0, 1)))}
        case "integer":
            bounds = [("minimum", 3), ("maximum", 9), ("multipleOf", 2), ("exclusiveMinimum", 4)]
            return {"type": "integer", **dict(rng.sample(bounds, rng.randint(0, 2)))}
        case "enum":
            enums: list[Schema] = [
                {"enum": ["a", 7, None]},
                {"type": "string", "enum": ["a", "bb"]},
                {"enum": [[1], 2]},
                {"type": ["string", "null"], "enum": ["a", None]},
                {"type": "boolean", "enum": [True]},
                {"type": "integer", "enum": [4, 5], "title": "Size"},
            ]
            return rng.choice(enums)
        case "const":
            return {"const": rng.choice(["a", 4, None, [1]])}
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
            reference = {"$ref": "#" if rng.random() < 0.1 else f"#/$defs/{rng.choice(names)}"}
            return reference if rng.random() < 0.7 else {**reference, "description": "Another."}
        case union:
            return {union: [inner(), inner()]}


def an_object(rng: random.Random, inner: Callable[[], Schema]) -> Schema:
    properties = {name: inner() for name in rng.sample("abcd", rng.randint(1, 3))}
    required = rng.sample(list(properties), rng.randint(0, len(properties)))
    shut = {"additionalProperties": False} if rng.random() < 0.5 else {}
    return {"type": "object", "properties": properties, "required": required, **shut}


def text(length: int = 1) -> Schema:
    return {"type": "string", "maxLength": length}


def nested(levels: int) -> Schema:
    inner = nested(levels - 1) if levels > 1 else text()
    return {"type": "object", "properties": {"a": inner}, "required": ["a"], "additionalProperties": False}


def wide(count: int, part: Schema, *, is_required: bool) -> Schema:
    properties = {f"p{number}": part for number in range(count)}
    return {"type": "object", "properties": properties, "required": list(properties) if is_required else ["p0"]}


def choice_of(count: int, length: int) -> Schema:
    return {"type": "string", "enum": [str(number).zfill(length) for number in range(count)]}


LARGE: tuple[Callable[[], Schema], ...] = (
    lambda: nested(10),
    lambda: nested(11),
    lambda: wide(25, text(), is_required=False),
    lambda: wide(26, text(), is_required=False),
    lambda: wide(16, {"type": ["string", "null"]}, is_required=True),
    lambda: wide(17, {"anyOf": [{"type": "string"}, {"type": "null"}]}, is_required=True),
    lambda: wide(201, text(), is_required=True),
    lambda: wide(5_000, text(), is_required=True),
    lambda: wide(5_001, text(), is_required=True),
    lambda: wide(1, choice_of(1_000, 5), is_required=True),
    lambda: wide(1, choice_of(1_001, 5), is_required=True),
    lambda: wide(1, choice_of(250, 61), is_required=True),
    lambda: wide(1, choice_of(251, 60), is_required=True),
    lambda: wide(12, choice_of(80, 130), is_required=True),
)
"""Schemas on both sides of every limit that a vendor tells."""


def whole_schema(seed: int) -> Schema:
    rng = random.Random(seed)
    place, rest = divmod(seed, 50)
    if rest == 0 and place < len(LARGE):
        return LARGE[place]()
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


def pointed_at(root: Schema, reference: str) -> Schema:
    found: Schema = root if reference == "#" else root["$defs"][reference.removeprefix("#/$defs/")]
    return found


def fitting(rng: random.Random, schema: Schema, root: Schema, depth: int = 0) -> Any:
    """A document of a schema's shape, whose values keep none of its bounds on purpose."""
    if depth > 8:
        return rng.choice(VALUES)
    if "$ref" in schema:
        return fitting(rng, pointed_at(root, schema["$ref"]), root, depth + 1)
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
                name = part["$ref"]
                if name in seen or reaches(pointed_at(schema, name), (*seen, name)):
                    return True
        return False

    return reaches(schema, ("#",))


def levels(node: Any) -> int:
    """How many objects stand in each other; a reference is not followed."""
    if isinstance(node, list):
        return max((levels(part) for part in node), default=0)
    if not isinstance(node, dict):
        return 0
    parts = [*(node.get("properties") or {}).values(), node.get("items"), *(node.get("anyOf") or ())]
    below = max((levels(part) for part in parts), default=0)
    return max(below + says_object(node), *(levels(part) for part in (node.get("$defs") or {}).values()), 0)


def strings(values: list[Any]) -> int:
    return sum(len(value) for value in values if isinstance(value, str))


def unions(schema: Schema) -> int:
    return sum("anyOf" in node or isinstance(node.get("type"), list) for node in nodes(schema))


def optional(schema: Schema) -> int:
    return sum(len(set(node.get("properties", ())) - set(node.get("required", ()))) for node in nodes(schema))


SHAPE = {"$defs", "$ref", "additionalProperties", "anyOf", "enum", "items", "properties", "required", "type"}
SPOKEN = {"title", "description"}
NUMBERS = {"multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"}
STRING_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def strict(schema: Schema) -> None:
    """What all that follow OpenAI ask of a strict schema; `$ref` alone is what its own clients keep to."""
    assert schema["type"] == "object"
    assert "anyOf" not in schema
    for node in nodes(schema):
        assert node.keys() <= SHAPE | SPOKEN | NUMBERS | {"const", "pattern", "format", "minItems", "maxItems"}
        assert node.keys() & {"type", "anyOf", "$ref"}
        assert "$ref" not in node or node.keys() <= {"$ref"}
        if says_object(node):
            assert node["additionalProperties"] is False
            assert set(node["required"]) == set(node["properties"])
        if node.get("type") == "array":
            assert isinstance(node["items"], dict)


def openai(schema: Schema) -> None:
    """https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas, and vercel/ai#21037."""
    strict(schema)
    assert levels(schema) <= 10
    every = list(nodes(schema))
    enums = [node["enum"] for node in every if "enum" in node]
    names = [name for node in every for key in ("properties", "$defs") for name in node.get(key, ())]
    assert sum(len(node.get("properties", ())) for node in every) <= 5_000
    assert sum(len(values) for values in enums) <= 1_000
    constants = [node["const"] for node in every if "const" in node]
    assert strings(names) + sum(strings(values) for values in enums) + strings(constants) <= 120_000
    assert all(len(values) <= 250 or strings(values) <= 15_000 for values in enums)
    for node in every:
        assert node.get("format", "date") in STRING_FORMATS
        assert not re.search(r"\(\?(<?=|<?!)", node.get("pattern", ""))


def mistral(schema: Schema) -> None:
    """langchain-ai/langchain#29604 and browser-use/browser-use#5704."""
    strict(schema)
    assert not any(node.keys() & {"format", "pattern"} for node in nodes(schema))


def claude(schema: Schema) -> None:
    """https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations."""
    assert not holds_itself(schema)
    assert optional(schema) <= 24
    assert unions(schema) <= 16
    for node in nodes(schema):
        assert node.keys() <= SHAPE | SPOKEN | {"const", "default", "format", "minItems", "pattern"}
        assert node.get("minItems", 0) in (0, 1)
        assert node.get("format", "date") in STRING_FORMATS | {"uri"}
        assert all(not isinstance(value, list | dict) for value in node.get("enum", ()))
        pattern = node.get("pattern", "")
        assert not any(part in pattern for part in ("(?=", "(?!", "(?<=", "(?<!", "\\b", "\\B", "\\1"))
        if says_object(node):
            assert node["additionalProperties"] is False


def gemini(schema: Schema) -> None:
    """https://ai.google.dev/api/generate-content#v1beta.GenerationConfig; lists in loops: juspay/juspay-mcp#132."""
    known = {"$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items"}
    known |= {"prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties"}
    known |= {"additionalProperties", "required", "propertyOrdering"}
    for node in nodes(schema):
        assert node.keys() <= known
        assert "$ref" not in node or all(key.startswith("$") for key in node)
        assert all(type(value) in (str, int, float) for value in node.get("enum", ()))
    assert not goes_round_for_good(schema)


def goes_round_for_good(schema: Schema) -> bool:
    """Whether a loop has neither a property that may be absent nor a list that may be empty."""

    def ends(node: Any, open_ones: tuple[str, ...]) -> bool:
        if "$ref" in node:
            name = node["$ref"]
            return name not in open_ones and ends(pointed_at(schema, name), (*open_ones, name))
        needed = [part for name, part in node.get("properties", {}).items() if name in node.get("required", ())]
        needed += [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("prefixItems", ())]
        needed += [node["items"]] if node.get("minItems") and "items" in node else []
        return all(ends(part, open_ones) for part in needed)

    return not ends(schema, ("#",)) or not all(ends(part, (f"#/$defs/{name}",)) for name, part in defs_of(schema))


def defs_of(schema: Schema) -> list[tuple[str, Schema]]:
    return list(schema.get("$defs", {}).items())


def gemini_older(schema: Schema) -> None:
    """https://ai.google.dev/api/caching#Schema; formats of strings: google-gemini/gemini-cli#3178."""
    known = {"anyOf", "default", "description", "enum", "example", "format", "items", "maxItems", "maxLength"}
    known |= {"maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "nullable", "pattern"}
    known |= {"properties", "propertyOrdering", "required", "title", "type"}
    for node in nodes(schema):
        assert node.keys() <= known
        assert isinstance(node.get("type", ""), str)
        assert all(isinstance(value, str) for value in node.get("enum", ()))
        assert "enum" not in node or node["type"] == "string"
        assert node.get("format", "enum") in ("enum", "date-time") or node["type"] in ("integer", "number")


def cohere(schema: Schema) -> None:
    """https://docs.cohere.com/docs/structured-outputs#parameter-types-support."""
    assert schema["type"] == "object"
    for node in nodes(schema):
        assert not node.keys() & {"allOf", "oneOf", "not", "minimum", "maximum", "minItems", "maxItems", "uniqueItems"}
        assert not node.keys() & {"minLength", "maxLength"}
        assert node.get("format", "date") in {"date", "date-time", "time", "uuid"}
        assert not isinstance(node.get("const"), list | dict)
        assert not re.search(r"(^|[^\[])\^|\$|\?=|\?!", node.get("pattern", ""))
        if node.get("properties"):
            assert node["required"]


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
    named: dict[str, Rule] = {"messages": claude, "converse": claude, "cohere": cohere, "mistral": mistral}
    return named.get(dialect, openai)


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


def strict_tools(count: int, schema: Schema) -> tuple[FunctionTool, ...]:
    return tuple(FunctionTool(f"tool_{number}", None, schema, strict=True) for number in range(count))


NULLABLE = wide(5, {"type": ["string", "null"]}, is_required=True)
ONE_FIELD = wide(1, text(), is_required=True)
LOOSE = wide(10, {"type": "string"}, is_required=False)


@pytest.mark.parametrize(
    ("tools", "strict"),
    [(strict_tools(21, ONE_FIELD), 20), (strict_tools(4, NULLABLE), 3), (strict_tools(2, LOOSE), 2)],
    ids=["more tools than may be strict", "more unions than all may have", "what strict closes is not optional"],
)
@pytest.mark.parametrize("dialect", ["messages", "converse"])
def test_strict_tools_that_are_too_much_together_are_strict_no_longer(
    dialect: Dialect, tools: tuple[FunctionTool, ...], strict: int
) -> None:
    """20 strict tools, 16 unions and 24 optional properties in a request are the most at Claude."""
    body, dropped = sent(dialect, Quirks(), tools=tools)
    found = body.get("tools") or [tool["toolSpec"] for tool in body["toolConfig"]["tools"]]
    assert len(found) == len(tools)
    assert [tool.get("strict", False) for tool in found] == [True] * strict + [False] * (len(tools) - strict)
    assert ("tools.strict" in dropped) == (strict < len(tools) or tools[0].parameters is LOOSE)


@pytest.mark.parametrize("dialect", ["messages", "converse"])
def test_the_answer_takes_its_room_before_the_tools(dialect: Dialect) -> None:
    form = JsonSchemaFormat(name="form", schema=wide(12, {"type": ["string", "null"]}, is_required=True), strict=True)
    body, dropped = sent(dialect, Quirks(), tools=strict_tools(1, NULLABLE), text=TextConfig(form))
    assert answer_in(dialect, body) is not None
    assert not tool_in(dialect, body)[1]
    assert "tools.strict" in dropped


@pytest.mark.parametrize(("count", "is_strict"), [(20, True), (21, False)])
def test_cohere_holds_200_fields_in_all_tools(count: int, is_strict: bool) -> None:
    body, dropped = sent("cohere", Quirks(), tools=strict_tools(count, wide(10, text(), is_required=True)))
    assert body.get("strict_tools", False) is is_strict
    assert is_strict or "tools.strict" in dropped


EMAIL = r"^(?!\.)(?!.*\.\.)[a-z.]+@[a-z.]+$"
MAIL = {"type": "object", "properties": {"to": {"type": "string", "pattern": EMAIL}, "pattern": {"type": "string"}}}


@pytest.mark.parametrize("strict", [True, False, None])
@pytest.mark.parametrize("dialect", ["responses", "chat"])
def test_no_pattern_looks_around_in_the_languages_of_openai(dialect: Dialect, strict: bool | None) -> None:
    """There one such tool makes every request a 400 (anomalyco/opencode#32073)."""
    body, dropped = sent(dialect, Quirks(), tools=(FunctionTool("mail", None, MAIL, strict=strict),))
    properties = tool_in(dialect, body)[0]["properties"]
    assert properties == {"to": {"type": "string"}, "pattern": {"type": "string"}}
    assert "tools.parameters" in dropped
    form = JsonSchemaFormat(name="form", schema=MAIL, strict=strict)
    body, dropped = sent(dialect, Quirks(), text=TextConfig(form))
    found = answer_in(dialect, body)
    assert found is not None
    assert not any("pattern" in node for node in nodes(found[0]))
    assert "text.format.schema" in dropped


def test_a_plain_pattern_is_left_alone() -> None:
    plain = {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z(?]{3}$"}}}
    for dialect in ("responses", "chat"):
        body, dropped = sent(dialect, Quirks(), tools=(FunctionTool("look", None, plain),))
        assert tool_in(dialect, body)[0] == plain
        assert not dropped


def test_mistral_compiles_no_schema_that_names_itself() -> None:
    """BerriAI/litellm#13389; nothing is lost, so nothing is named."""
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://acme.example/look"}
    given = {**named, "type": "object", "properties": {"$id": {"type": "string"}}}
    body, dropped = sent("mistral", Quirks(), tools=(FunctionTool("look", None, given),))
    assert tool_in("mistral", body)[0] == {"type": "object", "properties": {"$id": {"type": "string"}}}
    assert not dropped


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "children",
    [{"type": "array", "items": {"$ref": "#/$defs/Node"}}, {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}],
    ids=["list", "nullable"],
)
def test_a_tree_at_gemini_is_held_and_can_end(children: Schema, strict: bool) -> None:
    node = {"type": "object", "properties": {"name": text(), "children": children}, "required": ["name", "children"]}
    form = JsonSchemaFormat(name="form", schema={"$ref": "#/$defs/Node", "$defs": {"Node": node}}, strict=strict)
    body, dropped = sent("gemini", Quirks(), text=TextConfig(form))
    found = answer_in("gemini", body)
    assert found is not None
    gemini(found[0])
    is_list = "items" in children
    assert ("children" in found[0]["$defs"]["Node"]["required"]) == is_list
    assert "text.format.schema" in dropped


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_schema_that_was_kept_is_what_would_be_written_anew(is_strict: bool) -> None:
    rng = random.Random(61)
    for _ in range(200):
        given = {**made(rng), "description": "d"}
        told = json.dumps(given)
        # So long a schema is never kept.
        anew = write_schema({**given, "description": "d" * 5_000}, schema_subsets.GEMINI, is_strict=is_strict)
        kept = [write_schema(json.loads(told), schema_subsets.GEMINI, is_strict=is_strict) for _ in range(2)]
        assert kept[0] == kept[1]
        assert (anew is None) == (kept[0] is None)
        if anew is not None and kept[0] is not None:
            assert {**anew.schema, "description": "d"} == kept[0].schema
            assert (anew.is_closed, anew.is_wider) == (kept[0].is_closed, kept[0].is_wider)


ROWS = {name: row for name, row in vars(schema_subsets).items() if isinstance(row, Subset | Refusal)}


@pytest.mark.parametrize("name", ROWS)
def test_a_subset_says_where_it_is_from_and_of_which_day(name: str) -> None:
    assert re.search(r"https://|[\w-]+/[\w.-]+#\d", ROWS[name].source)
    assert re.search(r"\b20\d\d-\d\d-\d\d\b", ROWS[name].source)
