"""The body of `POST /messages` → `Request`, or an error with a path as Anthropic writes them: `messages.0.content`.

The readers of the conversation and of the tools are beside. Whether a model exists, or can do what is asked, is not
judged here. What only Anthropic's own servers know is kept apart, unread (`Request.anthropic`).

Source: https://platform.claude.com/docs/en/api/messages and the types of the anthropic Python package 2.14.0, seen
2026-11-28.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from trunkline.errors import BadRequest
from trunkline.faces.contract import Asked
from trunkline.faces.messages.conversation import Conversation
from trunkline.faces.messages.form import MessagesForm
from trunkline.faces.messages.identity import read_metadata, read_session
from trunkline.faces.messages.inputs import Inputs
from trunkline.faces.messages.paths import PATHS_OF_TEXTS, MessagesPaths, spelled
from trunkline.faces.messages.thinking import Output, read_format, read_output, read_thinking, reasoning_of
from trunkline.faces.messages.tools import Choice, Tools, check_choice, read_choice, read_tools
from trunkline.faces.messages.usual import usual_conversation
from trunkline.protocol.body import decode_object
from trunkline.protocol.checks import begins_answer, looked_through
from trunkline.protocol.content import content_tokens
from trunkline.protocol.extent import is_text_alone
from trunkline.protocol.items import Json
from trunkline.protocol.members import (
    MAX_STOP_CHARACTERS,
    SHARED,
    is_thinker_named,
    tokens,
    with_thinking,
)
from trunkline.protocol.opaque import Anthropic
from trunkline.protocol.parse_preferences import keep_exact_prices
from trunkline.protocol.parse_tools import read_mark
from trunkline.protocol.piecemeal import SMALL_BYTES
from trunkline.protocol.reading import Reader, Wrong, array, number, one_of, record, refuse, spelled_path, text
from trunkline.protocol.request import Request
from trunkline.protocol.tools import JsonSchemaFormat, TextConfig

BETA: Final = b"anthropic-beta"

_MAX_STOPS: Final = 64
_MAX_BETAS: Final = 64
_MAX_IGNORED: Final = 20
_MAX_IGNORED_NAME: Final = 64
_BETA: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_INDEX: Final = re.compile(r"\[([0-9]+)\]")


def parse(
    body: bytes | bytearray, session_id: str | None, said: Mapping[bytes, bytes], *, needs_limit: bool = True
) -> Asked:
    """Read a body; `session_id` is that of the header for all APIs, `said` are the header fields of this one.

    `needs_limit`: `max_tokens` is required, as it is wherever an answer is asked for. Raises BadRequest.
    """
    try:
        raw, has_long_texts = decode_object(body)
    except BadRequest as error:
        raise _respelled(error) from None
    try:
        if "provider" in raw:
            keep_exact_prices(raw, body)
        members = _members(raw, said, needs_limit)
        texts = None if "cache_control" in members else usual_conversation(raw)
        if texts is not None:
            members["input"] = texts
            members["is_text_alone"], members["paths"] = True, PATHS_OF_TEXTS
        else:
            _add_conversation(members, raw, body)
        members["has_prefill"] = begins_answer(members["input"])
        if said or session_id or not _NAMING.isdisjoint(members):
            members["session_id"] = read_session(members, session_id, said)
        if len(body) > SMALL_BYTES or has_long_texts:
            members["size"] = "long_texts" if has_long_texts else "large"
        request = looked_through(Request(limit_is_wish=True, **members))
    except Wrong as wrong:
        raise _bad_request(wrong) from None
    return Asked(request, _form(request))


def _add_conversation(members: dict[str, Any], raw: Mapping[str, Json], body: bytes | bytearray) -> None:
    """Read a conversation of any form. Raises Wrong."""
    conversation = Conversation(Inputs(body))
    if raw.get("system") is not None:
        conversation.add_system(raw["system"])
    conversation.add_messages(raw.get("messages"))
    if (mark := members.pop("cache_control", None)) is not None:
        conversation.mark_last(mark)
    members["input"] = tuple(conversation.items)
    members["is_text_alone"] = is_alone = is_text_alone(members["input"])
    members["paths"] = PATHS_OF_TEXTS if is_alone else MessagesPaths(places=tuple(conversation.places))
    if conversation.billing is not None:
        members["anthropic"] = replace(members["anthropic"], billing=conversation.billing)
    members["ignored"] = (*members["ignored"], *conversation.ignored)


def _form(request: Request) -> MessagesForm:
    model = request.model or next(iter(request.models), "")
    return MessagesForm(model, content_tokens(request) if request.stream else 0)


def _respelled(error: BadRequest) -> BadRequest:
    """Tell where a body cannot be read as Anthropic writes it."""
    if error.param is None:
        return error
    path = _INDEX.sub(r".\1", error.param)
    return BadRequest(error.message.replace(error.param, f"{path}:", 1), param=path, kind=error.kind)


def _bad_request(wrong: Wrong) -> BadRequest:
    """Tell what is wrong with a body as Anthropic tells it."""
    path = spelled(reversed(wrong.steps))
    complaint = "Field required" if wrong.complaint == "is required" else wrong.complaint
    kind = wrong.kind or ("invalid_prompt" if wrong.steps[-1] in ("messages", "system") else None)
    return BadRequest(f"{path}: {complaint}.", param=path, kind=kind)


# Members


def _members(raw: Mapping[str, Json], said: Mapping[bytes, bytes], needs_limit: bool) -> dict[str, Any]:
    """Read all but the conversation, under the names that a request has for it."""
    read = _read(raw)
    for name in ("messages", "max_tokens"):
        if raw.get(name) is None and (needs_limit or name != "max_tokens"):
            raise Wrong("is required", name)
    if not said and _USUAL.issuperset(raw) and ":" not in read.get("model", ""):
        read["max_output_tokens"] = read.pop("max_tokens", None)
        read["stop"] = read.pop("stop_sequences", ())
        read["ignored"], read["anthropic"] = (), _SPEAKS
        return read
    offered: Tools = read.pop("tools", Tools())
    choice: Choice = read.pop("tool_choice", Choice())
    output: Output | None = read.pop("output_config", None)
    reasoning, lost = reasoning_of(read.pop("thinking", None), output)
    older = read.pop("output_format", None)
    schema = older if output is None or output.schema is None else output.schema
    members = {
        **{_NAMES.get(name, name): value for name, value in read.items()},
        "tools": offered.tools,
        "tool_choice": check_choice(choice.choice, offered),
        "parallel_tool_calls": choice.parallel,
        "max_tool_calls": offered.max_searches,
        "reasoning": reasoning,
        "ignored": tuple(lost) if _KNOWN.issuperset(raw) else (*_unknown(raw), *lost),
        "anthropic": _anthropic(raw, said, offered, output),
    }
    if schema is not None:
        members["text"] = TextConfig(JsonSchemaFormat("answer", schema, strict=True))
    if is_thinker_named(members):
        members["reasoning"] = with_thinking(reasoning)
    return members


def _unknown(raw: Mapping[str, Json]) -> Iterator[str]:
    """Name what no part of a request becomes of: hosts have members of their own, and clients send them to all."""
    unknown = sorted(name for name, value in raw.items() if value is not None and name not in _KNOWN)
    yield from (spelled_path((name[:_MAX_IGNORED_NAME],)) for name in unknown[:_MAX_IGNORED])


def _anthropic(
    raw: Mapping[str, Json], said: Mapping[bytes, bytes], offered: Tools, output: Output | None
) -> Anthropic:
    """What only Anthropic's own servers know; that it is there says that the client speaks their language."""
    members = {name: raw[name] for name in _ANTHROPICS if raw.get(name) is not None}
    if output is not None and output.others is not None:
        members["output_config"] = output.others
    # That priority is not to be used is a wish of which nobody else knows.
    if raw.get("service_tier") == _STANDARD:
        members["service_tier"] = _STANDARD
    return Anthropic(betas=_betas(raw, said), members=members, tools=dict(offered.members))


def _betas(raw: Mapping[str, Json], said: Mapping[bytes, bytes]) -> tuple[str, ...]:
    """Read the betas of the header and those of the body, which clients of other clouds' servers send there."""
    header = said.get(BETA, b"").decode("latin-1")
    found = [name for each in header.split(",") if (name := each.strip())]
    for member in _BETA_MEMBERS:
        if raw.get(member) is not None:
            try:
                found += _beta_list(raw[member])
            except Wrong as wrong:
                wrong.steps.append(member)
                raise
    betas = tuple(dict.fromkeys(found))
    if len(betas) > _MAX_BETAS or not all(_BETA.fullmatch(name) for name in betas):
        raise Wrong(f"must be at most {_MAX_BETAS} names, with commas between", BETA.decode())
    return betas


def _stop(value: Json) -> tuple[str, ...]:
    """Read the texts that end an answer; an empty one ends nothing."""
    return tuple(dict.fromkeys(stop for stop in _stops(value) if stop))


def _tier(value: Json) -> None:
    """Read the tier: both of Anthropic's are what every provider gives whom it is not asked for another."""
    _tiers(value)


_STANDARD: Final = "standard_only"
_BETA_MEMBERS: Final = ("anthropic_beta", "betas")
_beta_list: Reader[tuple[str, ...]] = array(text(at_least=1))
_stops = array(text(at_most=MAX_STOP_CHARACTERS), at_most=_MAX_STOPS)
_tiers = one_of(("auto", _STANDARD))

_ANTHROPICS: Final = (
    "billing_policy",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "mcp_servers",
    "speed",
)
"""Members that only Anthropic's own servers know; what is in them is theirs to judge."""

_NAMES: Mapping[str, str] = {"max_tokens": "max_output_tokens", "stop_sequences": "stop", "metadata": "user"}

_READERS: Mapping[str, Reader[object]] = {
    **{
        name: SHARED[name]
        for name in (
            "model",
            "models",
            "plugins",
            "prompt_cache_key",
            "provider",
            "route",
            "safety_identifier",
            "session_id",
            "stream",
            "top_k",
            "top_p",
        )
    },
    "cache_control": read_mark,
    "max_tokens": tokens,
    "metadata": read_metadata,
    "output_config": read_output,
    "output_format": read_format,
    "service_tier": _tier,
    "stop_sequences": _stop,
    "temperature": number(0, 1),
    "thinking": read_thinking,
    # An answer has an id of ours, by which nobody there could find it again.
    "thread": refuse("cannot be used: no conversations are stored; send the whole conversation"),
    "tool_choice": read_choice,
    "tools": read_tools,
    "truncation": one_of(("auto", "disabled")),
}
_USUAL: Final = frozenset(
    {"max_tokens", "messages", "model", "stop_sequences", "stream", "system", "temperature", "top_k", "top_p"}
)
"""Members of which nothing hangs on another."""

_NAMING: Final = frozenset({"session_id", "user"})
"""Members that may say which conversation a request belongs to."""

_SPEAKS: Final = Anthropic()
"""Of a client that says no more than that it speaks this language."""

_KNOWN: Final = frozenset((*_READERS, *_ANTHROPICS, *_BETA_MEMBERS, "anthropic_version", "messages", "system"))
_read: Reader[dict[str, Json]] = record(dict, _READERS)
