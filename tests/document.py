"""An independent reading of the OpenAPI document and of the stream's grammar: the oracle other tests ask.

Knows nothing of the types in `trunkline`. The document is OpenAPI 3.1 but says `nullable`, a keyword of 3.0 that JSON
Schema ignores; `_modern` spells it as 3.1 does. Its halves disagree about `reasoning_text` in the two content part
events: the outer half allows it, the inner does not; the outer half holds here, and nowhere else is anything relaxed.
It is widened by what `wider.py` has.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import jsonschema_rs

from tests.wider import (
    CALLS,
    OPAQUE,
    OPAQUE_ITEMS,
    SEARCH_CALL,
    TEXT,
    WIDER_CHOICES,
    WIDER_EVENTS,
    WIDER_ITEMS,
    WIDER_TOOLS,
)

Json = Any

DOCUMENT: dict[str, Json] = json.loads((files("trunkline.server") / "openapi.json").read_bytes())
SCHEMAS: dict[str, Json] = DOCUMENT["components"]["schemas"]

TERMINAL_TYPES = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})

_REF = "#/components/schemas/"
UNLISTED = frozenset({403, 405, 409})
"""What the gateway uses and the document does not list, in the envelope of the others: what an upstream's filter
refuses, a wrong method, and what is said of an `Idempotency-Key` alone, a header that the document does not know."""


class DocumentError(AssertionError):
    """A value breaks the document, or a stream breaks the grammar."""


# The document as JSON Schema


def _modern(schema: Json, *, is_alternative: bool = False) -> Json:
    """Rewrite one schema: `nullable` becomes a type union; alone it means null among alternatives, else nothing."""
    if not isinstance(schema, dict):
        return schema
    new = {key: _modern_member(key, value) for key, value in schema.items() if key != "nullable"}
    if not schema.get("nullable"):
        return new
    if "type" in new:
        new["type"] = [new["type"], "null"]
        if "enum" in new:
            new["enum"] = [*new["enum"], None]
        return new
    if new.keys() & {"$ref", "allOf", "anyOf", "oneOf", "enum"}:
        return {"anyOf": [new, {"type": "null"}]}
    return {"type": "null"} if is_alternative else new


def _modern_member(key: str, value: Json) -> Json:
    match key:
        case "properties":
            return {name: _modern(schema) for name, schema in value.items()}
        case "anyOf" | "oneOf":
            return [_modern(schema, is_alternative=True) for schema in value]
        case "allOf":
            return [_modern(schema) for schema in value]
        case "items" | "additionalProperties":
            return _modern(value)
        case _:
            return value


def _checked_schemas() -> dict[str, Json]:
    schemas = {name: _modern(schema) for name, schema in SCHEMAS.items()}
    for name in ("OpenResponsesContentPartAddedEvent", "OpenResponsesContentPartDoneEvent"):
        schemas[name]["properties"]["part"]["anyOf"].append({"$ref": f"{_REF}ReasoningTextContent"})
    wider = [*WIDER_ITEMS.values(), OPAQUE]
    answer = schemas["OpenAIResponsesNonStreamingResponse"]["properties"]
    told = [answer["output"]["items"]["oneOf"]]
    for name in ("OpenResponsesOutputItemAddedEvent", "OpenResponsesOutputItemDoneEvent"):
        told.append(schemas[name]["properties"]["item"]["oneOf"])
    for kinds in told:
        kinds[kinds.index({"$ref": f"{_REF}OutputItemWebSearchCall"})] = SEARCH_CALL
        kinds += wider
    schemas["ResponsesOutputItem"]["anyOf"] += wider
    schemas["OpenAIResponsesNonStreamingResponse"]["properties"]["tools"]["items"]["oneOf"] += WIDER_TOOLS
    choice = {"$ref": f"{_REF}OpenAIResponsesToolChoice"}
    schemas["OpenAIResponsesNonStreamingResponse"]["properties"]["tool_choice"] = {"anyOf": [choice, *WIDER_CHOICES]}
    schemas["OutputItemFunctionCall"]["properties"]["namespace"] = TEXT
    return schemas


_COMPONENTS = {"schemas": _checked_schemas()}


def _validator(schema: Mapping[str, Json]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": _COMPONENTS})


def _event_types(schema: Mapping[str, Json]) -> list[str]:
    """Find the `type` of an event's schema through its references and halves."""
    if "$ref" in schema:
        return _event_types(SCHEMAS[schema["$ref"].removeprefix(_REF)])
    if "allOf" in schema:
        return [name for half in schema["allOf"] for name in _event_types(half)]
    return list(schema.get("properties", {}).get("type", {}).get("enum", []))


def _event_validators() -> dict[str, jsonschema_rs.Draft202012Validator]:
    validators = {}
    for schema in SCHEMAS["OpenResponsesStreamEvent"]["oneOf"]:
        (name,) = _event_types(schema)
        validators[name] = _validator(_modern(schema))
    return validators | {kind: _validator(schema) for kind, schema in WIDER_EVENTS.items()}


_EVENTS = _event_validators()
_RESPONSE = _validator({"$ref": f"{_REF}OpenResponsesNonStreamingResponse"})
_REQUEST = _validator({"$ref": f"{_REF}OpenResponsesRequest"})
_ERRORS = {
    int(status): _validator(answer["content"]["application/json"]["schema"])
    for status, answer in DOCUMENT["paths"]["/responses"]["post"]["responses"].items()
    if status != "200"
}

REQUEST_SCHEMAS: dict[str, Json] = _COMPONENTS["schemas"]
EVENT_TYPES = frozenset(_EVENTS)
ERROR_STATUSES = frozenset(_ERRORS)


def validate_response(response: Json) -> None:
    """Check the body of a JSON answer, or the response inside an event."""
    _validate(_RESPONSE, response, "response")


def validate_request(request: Json) -> None:
    """Check a request body."""
    _validate(_REQUEST, request, "request")


def validate_event(event: Json) -> None:
    """Check one stream event against the schema its `type` names."""
    kind = event.get("type") if isinstance(event, dict) else None
    if kind not in _EVENTS:
        raise DocumentError(f"no event of the document has the type {kind!r}")
    _validate(_EVENTS[kind], event, kind)


def validate_error(status: int, body: Json) -> None:
    """Check the body of an HTTP error."""
    _validate(_ERRORS[400 if status in UNLISTED else status], body, f"error {status}")
    _demand(body["error"]["code"] == status, f"error.code is {body['error']['code']}, the status {status}")


def _validate(validator: jsonschema_rs.Draft202012Validator, value: Json, what: str) -> None:
    errors = [
        f"{'/'.join(map(str, error.instance_path))}: {error.message[:300]}" for error in validator.iter_errors(value)
    ]
    if errors:
        raise DocumentError(f"{what} breaks the document: " + "; ".join(errors[:3]))


# The grammar of a stream


@dataclass
class _Part:
    """A content or summary part as it has been told so far."""

    kind: str
    deltas: str = ""
    annotations: list[Json] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    is_text_done: bool = False
    last: Json = None


@dataclass
class _Item:
    """An item as it has been told so far; `parts` are by the name of the list they stand in."""

    first: Json
    parts: dict[str, list[_Part]] = field(default_factory=lambda: {"content": [], "summary": []})
    arguments: str = ""
    is_arguments_done: bool = False
    images: list[str] = field(default_factory=list)
    partial_images: int = 0
    last: Json = None


_CALLS = frozenset({"function_call", "custom_tool_call", "tool_search_call", "local_shell_call"})
"""What a client does as soon as it is done."""

_TEXT_KEYS = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text", "summary_text": "text"}
_PART_KINDS = {
    "message": {"content": {"output_text", "refusal"}, "summary": set()},
    "reasoning": {"content": {"reasoning_text"}, "summary": {"summary_text"}},
}
_TEXT_EVENTS = {
    "response.output_text": "output_text",
    "response.refusal": "refusal",
    "response.reasoning_text": "reasoning_text",
    "response.reasoning_summary_text": "summary_text",
}
_IMAGE_STEPS = {"in_progress": None, "generating": "in_progress", "completed": "generating"}


def check_stream(events: Iterable[Json]) -> None:
    """Check that events are a whole stream: valid one by one, numbered, nested, and saying the same thing throughout.

    A lone `error` event is a whole stream too: there was no response to speak of.
    """
    stream = list(events)
    _demand(bool(stream), "the stream is empty")
    for number, event in enumerate(stream):
        validate_event(event)
        _demand(event["sequence_number"] == number, f"event {number} has sequence_number {event['sequence_number']}")
    terminals = [number for number, event in enumerate(stream) if event["type"] in TERMINAL_TYPES]
    _demand(terminals == [len(stream) - 1], f"terminal events stand at {terminals} of {len(stream)}")
    if [event["type"] for event in stream] == ["error"]:
        return
    _check_frame(stream)
    _check_last(stream[-1], _replay(stream))


def independent_fold(events: Iterable[Json]) -> dict[str, Json]:
    """Rebuild `output` and `output_text` from what was added, told in deltas and done; the terminal event is not read.

    What was never done, which a cut call alone may be, is no part of the output.

    Raises DocumentError when these events contradict one another.
    """
    output = [_rebuilt(item) for item in _replay(events) if item.last is not None]
    return {"output": output, "output_text": _output_text(output)}


def _demand(holds: bool, complaint: str) -> None:
    if not holds:
        raise DocumentError(complaint)


NOTHING_USED = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


def _check_frame(stream: list[Json]) -> None:
    kinds = [event["type"] for event in stream]
    _demand(kinds[:2] == ["response.created", "response.in_progress"], f"the stream begins with {kinds[:2]}")
    _demand(kinds.count("response.created") == kinds.count("response.in_progress") == 1, "the response begins twice")
    for event in stream[:2]:
        response = event["response"]
        _demand(response["status"] == "in_progress", f"{event['type']} has status {response['status']}")
        _demand(response["output"] == [], f"{event['type']} has output")
        _demand(response.get("usage") == NOTHING_USED, f"{event['type']} tells usage that nobody knows yet")
    whole = [event["response"] for event in stream if "response" in event]
    for key in ("id", "created_at", "object"):
        _demand(len({response[key] for response in whole}) == 1, f"the response changes its {key}")


def _check_last(event: Json, items: list[_Item]) -> None:
    _demand(event["type"] != "error", "an error event where there is a response that can fail")
    response = event["response"]
    _demand(event["type"] == f"response.{response['status']}", f"{event['type']} has status {response['status']}")
    _demand("cost" in response.get("usage", ()), f"{event['type']} has no usage with a cost")
    done = [item for item in items if item.last is not None]
    for item in items:
        _check_done(item, response["status"])
    _demand(response["output"] == [item.last for item in done], "the last output is not that of the items done")
    _demand(response["output_text"] == _output_text(response["output"]), "output_text is not the text of the output")
    _demand((response["error"] is not None) == (response["status"] == "failed"), "error does not fit the status")
    _demand(
        (response["incomplete_details"] is not None) == (response["status"] == "incomplete"),
        "incomplete_details does not fit the status",
    )
    for item in done:
        _demand(_rebuilt(item) == item.last, f"item {item.first['id']} is not what was told of it")


def _check_done(item: _Item, status: str) -> None:
    """Check that an item is done, but for a call that was cut, which has neither of its `done` events."""
    may_be_cut = item.first["type"] in CALLS and status in ("failed", "incomplete") and not item.is_arguments_done
    _demand(item.last is not None or may_be_cut, f"item {item.first['id']} is never done")
    if item.first["type"] in CALLS and item.last is not None:
        _demand(item.last.get("status", "completed") == "completed", f"the call {item.first['id']} is done, but cut")


def _output_text(output: list[Json]) -> str:
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts if part["type"] == "output_text")


def _replay(events: Iterable[Json]) -> list[_Item]:
    """Follow the items of a stream; they are in the order of `output_index`."""
    items: list[_Item] = []
    for event in events:
        if "output_index" not in event:
            continue
        if event["type"] == "response.output_item.added":
            _open_item(items, event)
        else:
            _tell(_open_one(items, event), event)
    return items


def _open_item(items: list[_Item], event: Json) -> None:
    new = event["item"]
    _demand(event["output_index"] == len(items), f"item {new['id']} is added at {event['output_index']}")
    _demand(new["id"] not in {item.first["id"] for item in items}, f"the id {new['id']} is used twice")
    _demand(new.get("status", "in_progress") == "in_progress", f"item {new['id']} is added as {new.get('status')}")
    told = [new.get(key) for key in ("content", "summary", "arguments", "input", "result")]
    told.append(new.get("action", {}).get("command") if new["type"] == "local_shell_call" else None)
    _demand(_is_opaque(new) or not any(told), f"item {new['id']} is not added empty")
    still_open = {item.first["type"] for item in items if item.last is None}
    # The seal of a thought may come after the text that it led to.
    awaits_seal = still_open == {"reasoning"} and new["type"] == "message"
    _demand(
        not still_open or still_open | {new["type"]} <= CALLS.keys() or awaits_seal,
        f"item {new['id']} is added while {still_open} is open",
    )
    items.append(_Item(first=new))


def _is_opaque(item: Json) -> bool:
    return item["type"] in OPAQUE_ITEMS or item.get("execution") == "server"


def _open_one(items: list[_Item], event: Json) -> _Item:
    index = event["output_index"]
    _demand(index in range(len(items)), f"{event['type']} before the item {index} is added")
    item: _Item = items[index]
    _demand(item.last is None, f"{event['type']} after item {index} is done")
    told_id = event["item"]["id"] if "item" in event else event["item_id"]
    _demand(told_id == item.first["id"], f"item {index} is {item.first['id']}, but {event['type']} says {told_id}")
    return item


def _tell(item: _Item, event: Json) -> None:
    kind: str = event["type"]
    stem, _, step = kind.rpartition(".")
    match stem:
        case "response.output_item":
            _close_item(item, event["item"])
        case "response.content_part":
            _tell_part(item, "content", event["content_index"], step, event["part"])
        case "response.reasoning_summary_part":
            _tell_part(item, "summary", event["summary_index"], step, event["part"])
        case "response.function_call_arguments" | "response.custom_tool_call_input":
            _tell_arguments(item, step, event)
        case "response.image_generation_call":
            _tell_image(item, step, event)
        case "response.output_text.annotation":
            part = _open_part(item, "content", event["content_index"])
            _demand(part.kind == "output_text" and not part.is_text_done, f"{kind} outside of an open text")
            _demand(event["annotation_index"] == len(part.annotations), f"{kind} skips an annotation_index")
            part.annotations.append(event["annotation"])
        case _:
            _tell_text(item, _TEXT_EVENTS[stem], step, event)


def _tell_part(item: _Item, place: str, index: int, step: str, told: Json) -> None:
    parts = item.parts[place]
    if step == "added":
        allowed = _PART_KINDS.get(item.first["type"], {}).get(place, set())
        _demand(told["type"] in allowed, f"a part {told['type']} in {place} of {item.first['type']}")
        _demand(index == len(parts), f"a part is added at {index} in place of {len(parts)}")
        _demand(all(part.last is not None for part in parts), "a part is added while another is open")
        _demand(not told[_TEXT_KEYS[told["type"]]], "a part is not added empty")
        parts.append(_Part(kind=told["type"]))
        return
    part = _open_part(item, place, index)
    _demand(told["type"] == part.kind, f"a part {part.kind} is done as {told['type']}")
    _demand(part.is_text_done, "a part is done before its text is")
    _demand(told[_TEXT_KEYS[part.kind]] == part.deltas, "the part done has not the text of the deltas")
    _demand(told.get("annotations", []) == part.annotations, "the part done has not the annotations told")
    _demand(told.get("logprobs", part.logprobs) == part.logprobs, "the part done has not the logprobs told")
    part.last = told


def _open_part(item: _Item, place: str, index: int) -> _Part:
    parts = item.parts[place]
    _demand(index in range(len(parts)), f"part {index} in {place} is not added")
    _demand(parts[index].last is None, f"part {index} in {place} is done already")
    return parts[index]


def _tell_text(item: _Item, kind: str, step: str, event: Json) -> None:
    is_summary = kind == "summary_text"
    part = _open_part(
        item, "summary" if is_summary else "content", event["summary_index" if is_summary else "content_index"]
    )
    _demand(part.kind == kind and not part.is_text_done, f"{event['type']} outside of an open {kind}")
    if step == "delta":
        part.deltas += event["delta"]
        part.logprobs += event.get("logprobs", [])
        return
    part.is_text_done = True
    _demand(event[_TEXT_KEYS[kind]] == part.deltas, f"{event['type']} has not the text of the deltas")
    _demand(event.get("logprobs", []) == part.logprobs, f"{event['type']} has not the logprobs of the deltas")


def _tell_arguments(item: _Item, step: str, event: Json) -> None:
    kind = item.first["type"]
    _demand(event["type"].startswith(f"response.{CALLS.get(kind) or 'no'}."), f"{event['type']} in {kind}")
    _demand(not item.is_arguments_done, f"{event['type']} after the arguments are done")
    if step == "delta":
        item.arguments += event["delta"]
        return
    item.is_arguments_done = True
    if kind == "custom_tool_call":
        _demand(event["input"] == item.arguments, "the input done is not that of the deltas")
        return
    _demand(event["name"] == item.first["name"], f"the call of {item.first['name']} is done as {event['name']}")
    if not item.arguments and event["arguments"] == "{}":
        item.arguments = "{}"  # a call without arguments, which upstreams tell as no text at all
    _demand(event["arguments"] == item.arguments, "the arguments done are not those of the deltas")


def _tell_image(item: _Item, step: str, event: Json) -> None:
    _demand(item.first["type"] == "image_generation_call", f"{event['type']} in {item.first['type']}")
    if step == "partial_image":
        _demand(item.images[-1:] == ["generating"], "a partial image outside of generating")
        _demand(event["partial_image_index"] == item.partial_images, "a partial_image_index is skipped")
        item.partial_images += 1
        return
    before = item.images[-1] if item.images else None
    _demand(before == _IMAGE_STEPS[step], f"{event['type']} after {before}")
    item.images.append(step)


def _close_item(item: _Item, told: Json) -> None:
    first = item.first
    _demand(told["type"] == first["type"], f"item {first['id']} is added as {first['type']}, done as {told['type']}")
    status = told.get("status", "completed")
    _demand(status in ("completed", "incomplete", "failed"), f"item {first['id']} is done as {status}")
    for part in (part for parts in item.parts.values() for part in parts):
        _demand(part.last is not None, f"item {first['id']} is done before its parts are")
    if first["type"] == "image_generation_call" and status == "completed":
        _demand(item.images[-1:] == ["completed"], f"item {first['id']} is done before its image is")
    if CALLS.get(first["type"]) is not None:
        _demand(item.is_arguments_done, f"item {first['id']} is done before its arguments are")
    for key in ("call_id", "name", "namespace") if first["type"] in CALLS else ():
        _demand(told.get(key) == first.get(key), f"a call changes its {key}")
    item.last = told


def _rebuilt(item: _Item) -> Json:
    """Make the item anew: texts from deltas, the rest (status, proofs, image) from the item done."""
    new = copy.deepcopy(item.last)
    match new["type"]:
        case "message":
            new["content"] = [_rebuilt_part(part) for part in item.parts["content"]]
        case "reasoning":
            new["summary"] = [_rebuilt_part(part) for part in item.parts["summary"]]
            if item.parts["content"] or "content" in new:
                new["content"] = [_rebuilt_part(part) for part in item.parts["content"]]
        case "function_call":
            new["arguments"] = item.arguments
        case "custom_tool_call":
            new["input"] = item.arguments
    return new


def _rebuilt_part(part: _Part) -> Json:
    new: dict[str, Json] = {"type": part.kind, _TEXT_KEYS[part.kind]: part.deltas}
    if part.kind == "output_text":
        new["annotations"] = part.annotations
        if "logprobs" in part.last:
            new["logprobs"] = part.logprobs
    return new
