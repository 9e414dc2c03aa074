"""Request bodies made from the OpenAPI document itself, for property tests; it knows nothing of the parser.

`FITTING` draws bodies that fit the document and what the document says in prose only (`SEMANTICS`, `_mend_…`).
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.document import REQUEST_SCHEMAS

Json = Any

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
NAMES = st.sampled_from(["f", "get_weather", "A-1", "x" * 64])
SOURCES = st.sampled_from(["https://example.org/a", "data:image/png;base64,AA=="])
NULL = st.none()
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(TEXTS, below, max_size=3)),
    max_leaves=5,
)
COUNTS = st.one_of(st.integers(1, 10**9), st.integers(1, 1000).map(float))
POSITIONS = st.integers(0, 10**9)
AMOUNTS = st.sampled_from(["0", "1.5", "0.000001", "1e-7"])

SEMANTICS: dict[str, st.SearchStrategy[Json]] = {
    "model": NAMES,
    "models": st.lists(NAMES, max_size=32),
    "max_output_tokens": st.one_of(NULL, COUNTS),
    "max_tokens": st.one_of(NULL, COUNTS),
    "max_tool_calls": st.one_of(NULL, st.integers(0, 10**9)),
    "top_k": st.one_of(st.just(0), COUNTS),
    "top_p": st.one_of(NULL, st.floats(0, 1)),
    "max_results": st.integers(1, 25),
    "previous_response_id": NULL,
    "prompt": st.one_of(
        NULL,
        st.fixed_dictionaries({"id": NAMES, "variables": st.one_of(NULL, st.dictionaries(NAMES, TEXTS, max_size=3))}),
    ),
    "background": st.sampled_from([None, False]),
    "metadata": st.one_of(NULL, st.dictionaries(NAMES, TEXTS)),
    "order": st.lists(NAMES, max_size=2),
    "only": st.lists(NAMES, max_size=2),
    "ignore": st.lists(NAMES, max_size=2),
    "allowed_models": st.lists(NAMES, max_size=2),
    "allowed_domains": st.lists(NAMES, max_size=2),
    "max_price": st.dictionaries(st.sampled_from(["prompt", "completion", "image", "audio", "request"]), AMOUNTS),
    **dict.fromkeys(("p50", "p75", "p90", "p99"), st.one_of(NULL, st.floats(0, 1e6))),
    **dict.fromkeys(("preferred_min_throughput", "preferred_max_latency"), st.one_of(NULL, st.floats(0, 1e6))),
    "call_id": st.sampled_from(["c1", "c2", "c3"]),
    "name": NAMES,
    **dict.fromkeys(("image_url", "file_data", "file_url", "video_url"), SOURCES),
    "result": st.sampled_from(["", "AA==", "iVBORw0KGgo="]),
    "data": st.just("AA=="),
    **dict.fromkeys(("index", "start_index", "end_index"), POSITIONS),
    "bytes": st.lists(st.integers(0, 255), max_size=3),
}
"""What single properties may hold, where the document leaves it to prose."""


def fitting(schema: Json) -> st.SearchStrategy[Json]:
    """Draw values that fit a schema of the document."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return st.deferred(lambda: fitting(REQUEST_SCHEMAS[name]))
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return st.one_of([fitting(alternative) for alternative in schema[key]])
    if "allOf" in schema:
        return fitting(_merged(schema))
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return st.one_of([_of_kind(kind, schema) for kind in kinds])
    return JSON if kinds is None else _of_kind(kinds, schema)


def _merged(schema: Json) -> Json:
    """Make one object of the halves of an `allOf`."""
    merged: dict[str, Json] = {"properties": {}, "required": []}
    for half in schema["allOf"]:
        while "$ref" in half:
            half = REQUEST_SCHEMAS[half["$ref"].rpartition("/")[2]]
        half = _merged(half) if "allOf" in half else half
        merged["properties"] |= half.get("properties", {})
        merged["required"] += half.get("required", [])
        merged |= {key: value for key, value in half.items() if key not in ("properties", "required")}
    return merged


def _of_kind(kind: str, schema: Json) -> st.SearchStrategy[Json]:
    match kind:
        case "string":
            return TEXTS
        case "boolean":
            return st.booleans()
        case "null":
            return NULL
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 100))
        case "number":
            return st.floats(schema.get("minimum", -1e9), schema.get("maximum", 1e9))
        case "array":
            return st.lists(fitting(schema["items"]), max_size=3)
        case "object":
            return _objects(schema)
        case _:
            raise AssertionError(kind)


def _objects(schema: Json) -> st.SearchStrategy[Json]:
    properties = schema.get("properties")
    if not properties:
        return st.dictionaries(TEXTS, fitting(schema.get("additionalProperties", {})), max_size=3)
    members = {name: SEMANTICS.get(name, fitting(inner)) for name, inner in properties.items()}
    required = set(schema.get("required", ()))
    drawn = st.fixed_dictionaries(
        {name: strategy for name, strategy in members.items() if name in required},
        optional={name: strategy for name, strategy in members.items() if name not in required},
    )
    return drawn.map(_mend_object)


def _mend_object(value: dict[str, Json]) -> dict[str, Json]:
    """Keep to the rules between the members of one object."""
    if value.get("type") == "input_file":
        value.pop("file_url", None)
        value["file_id"] = None
        value.setdefault("file_data", "AA==")
    if value.get("type") == "input_image":
        value.setdefault("image_url", "https://example.org/a")
    if value.get("effort") is not None:
        value.pop("max_tokens", None)
    if value.get("role") == "assistant" and isinstance(value["content"], list):
        kinds = ("input_text", "output_text", "refusal")
        value["content"] = [part for part in value["content"] if part["type"] in kinds]
    return value


def _mend_body(body: dict[str, Json]) -> dict[str, Json]:
    """Keep to the rules between the members of the body."""
    if isinstance(body["input"], list):
        body["input"] = [{"role": "user", "content": "Hi"}, *_paired(body["input"])]
    body["input"] = body["input"] or "Hi"
    tools = {tool.get("name", tool["type"]): tool for tool in body.get("tools", [])}
    if "tools" in body:
        body["tools"] = list(tools.values())
    choice = body.get("tool_choice")
    if choice == "required" or isinstance(choice, dict):
        body["tools"] = [{"type": "function", "name": "f", "parameters": None}, {"type": "web_search"}]
        if isinstance(choice, dict) and choice["type"] == "function":
            choice["name"] = "f"
    return body


def _paired(items: list[Json]) -> list[Json]:
    paired = []
    for item in items:
        if item.get("type") != "function_call_output":
            paired.append(item)
        if item.get("type") == "function_call":
            paired.append({"type": "function_call_output", "call_id": item["call_id"], "output": "sunny"})
    return paired


_BODY = REQUEST_SCHEMAS["OpenResponsesRequest"]

FITTING = fitting({**_BODY, "required": ["input"]}).map(_mend_body)
"""Bodies that a parser must take."""


@st.composite
def spoiled(draw: st.DrawFn) -> Json:
    """Draw a fitting body and put any JSON in the place of one value in it."""
    body = draw(FITTING)
    place = body
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not steps:
            return body
        step = draw(st.sampled_from(steps))
        if isinstance(place[step], (dict, list)) and place[step] and draw(st.booleans()):
            place = place[step]
            continue
        place[step] = draw(JSON)
        return body
