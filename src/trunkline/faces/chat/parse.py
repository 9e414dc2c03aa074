"""The body of `POST /chat/completions` → `Request`, or an error that names the offending path.

What has the same name and meaning in the Responses API is read by the readers of that (`protocol/members.py`); whatever
the API does not know is named and left out, as clients send what single hosts take. Whether a model exists, or can do
what is asked, is not judged here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trunkline.faces.chat.form import ChatForm
from trunkline.faces.chat.messages import Conversation, read_messages
from trunkline.faces.chat.paths import CHAT_PATHS, ChatPaths
from trunkline.faces.chat.thinking import READERS, TEMPLATE, is_switch_alone, thinking_of
from trunkline.faces.chat.tools import (
    nesting_of,
    read_choice,
    read_format,
    read_functions,
    read_older_choice,
    read_search_options,
    read_tools,
    read_verbosity,
)
from trunkline.faces.contract import Asked
from trunkline.protocol.body import decode_object
from trunkline.protocol.checks import bad_request, looked_through
from trunkline.protocol.items import Json
from trunkline.protocol.marking import with_mark_at_end
from trunkline.protocol.members import (
    MAX_COUNT,
    SAMPLING,
    SHARED,
    is_thinker_named,
    read_sampling,
    read_session_header,
    tokens,
    with_thinking,
)
from trunkline.protocol.parse_preferences import keep_exact_prices
from trunkline.protocol.parse_tools import read_mark
from trunkline.protocol.piecemeal import SMALL_BYTES
from trunkline.protocol.reading import Reader, Wrong, array, flag, mismatch, one_of, record, refuse, whole
from trunkline.protocol.request import Request
from trunkline.protocol.tools import SearchTool, TextConfig

_MAX_IGNORED: Final = 16
_MAX_NAME: Final = 64


def parse(body: bytes | bytearray, session_id: str | None, said: Mapping[bytes, bytes]) -> Asked:
    """Read a body; `session_id` is the header's, which counts where the body has none.

    Raises BadRequest.
    """
    raw, has_long_texts = decode_object(body)
    try:
        if "provider" in raw:
            keep_exact_prices(raw, body)
        members = _read_members(raw)
        if "messages" not in members:
            raise _no_messages(raw)
        conversation: Conversation = members.pop("messages")
        members["input"] = conversation.items
        members["is_text_alone"] = conversation.is_text_alone
        members["paths"] = _paths(raw, conversation)
        if conversation.begins_answer:
            members["has_prefill"] = True
        form = _made_regular(members, raw)
        if session_id and "session_id" not in members:
            members["session_id"] = read_session_header(session_id)
        if ("models" in members or ":" in members.get("model", "")) and is_thinker_named(members):
            members["reasoning"] = with_thinking(members.get("reasoning"))
        if conversation.names_speakers or TEMPLATE in raw or not _KNOWN.issuperset(raw):
            members["ignored"] = _ignored(raw, conversation)
        if len(body) > SMALL_BYTES or has_long_texts:
            members["size"] = "long_texts" if has_long_texts else "large"
        request = Request(**members)
        return Asked(looked_through(request) if request.tool_choice is None else _looked_through(request, raw), form)
    except Wrong as wrong:
        if wrong.kind is None and wrong.steps[-1] == "messages":
            wrong.kind = "invalid_prompt"
        raise bad_request(wrong) from None


def _no_messages(raw: Mapping[str, Json]) -> Wrong:
    """Say that there are no messages, and where the body belongs that has something else."""
    for name, place in (
        ("input", "the Responses API, POST /api/v1/responses"),
        ("prompt", "the older Completions API"),
    ):
        if raw.get(name) is not None:
            return Wrong(f"is required; {name} belongs to {place}", "messages")
    return Wrong("is required: an array of messages", "messages")


def _paths(raw: Mapping[str, Json], conversation: Conversation) -> ChatPaths:
    """Where the client wrote what it says, under those of several names that it took."""
    firsts, limit, tools = conversation.firsts, CHAT_PATHS.limit, CHAT_PATHS.tools
    if raw.get("max_tokens") is not None and raw.get(limit) is None:
        limit = "max_tokens"
    if firsts is None and _RARE.isdisjoint(raw):
        return CHAT_PATHS if limit != "max_tokens" else _OLDER_LIMIT
    for name in ("functions", "web_search_options"):
        if raw.get(name) is not None and not raw.get("tools"):
            tools = name
    return ChatPaths(firsts=firsts, limit=limit, tools=tools)


def _made_regular(members: dict[str, Any], raw: Mapping[str, Json]) -> ChatForm:
    """Put in the place of what a request has no member for what it means, and say how its answer is told."""
    limit = members.pop("max_tokens", None)
    if "max_completion_tokens" in members:
        limit = members.pop("max_completion_tokens")
    members["max_output_tokens"] = limit
    include_usage: bool = "stream_options" in members and members.pop("stream_options")
    if _RARE.isdisjoint(raw):
        return _WITH_USAGE if include_usage else _PLAIN
    calls_function = bool(members.get("functions"))
    _add_tools(members)
    _add_text(members)
    _add_logprobs(members)
    if not SAMPLING.keys().isdisjoint(raw):
        members["sampling"] = read_sampling(raw)
    if members.pop("transforms", False):
        members["truncation"] = "auto"
    mark = members.pop("cache_control", None)
    if mark is not None:
        members["input"] = with_mark_at_end(members["input"], mark)
        members["is_text_alone"] = False
    is_shown = members.pop("include_reasoning", True) and (raw.get("reasoning") or {}).get("exclude") is not True
    members["reasoning"] = thinking_of(members)
    members.pop("n", None)
    return ChatForm(include_usage=include_usage, tells_thoughts=is_shown, calls_function=calls_function)


def _add_tools(members: dict[str, Any]) -> None:
    """Put the older functions in the place of tools, and a search beside them."""
    functions, choice = members.pop("functions", ()), members.pop("function_call", None)
    tools = members.get("tools", ())
    if functions and tools:
        raise Wrong("must not stand beside tools; functions is their older name", "functions")
    search = members.pop("web_search_options", None)
    if search is not None and not any(isinstance(tool, SearchTool) for tool in tools):
        tools = (*tools, search)
    if functions:
        # In the older form there is a place for one call.
        members["parallel_tool_calls"] = False
    members["tools"] = (*functions, *tools)
    if choice is not None:
        members.setdefault("tool_choice", choice)


def _add_text(members: dict[str, Any]) -> None:
    form, verbosity = members.pop("response_format", None), members.pop("verbosity", None)
    if form is not None:
        members["text"] = TextConfig(form) if verbosity is None else TextConfig(form, verbosity.verbosity)
    elif verbosity is not None:
        members["text"] = verbosity


def _add_logprobs(members: dict[str, Any]) -> None:
    if members.get("logprobs") is False:
        members.pop("top_logprobs", None)


def _looked_through(request: Request, raw: Mapping[str, Json]) -> Request:
    """Check what hangs on several members; a choice is told of where the client wrote it."""
    try:
        return looked_through(request)
    except Wrong as wrong:
        if wrong.steps[-1] == "tool_choice":
            if raw.get("tool_choice") is None:
                wrong.steps[-1] = "function_call"
            elif (kind := nesting_of(raw["tool_choice"])) is not None:
                wrong.steps.insert(-1, kind)
        raise


def _ignored(raw: Mapping[str, Json], conversation: Conversation) -> tuple[str, ...]:
    """Name what was said and does nothing here; a few of many, as they are kept on record."""
    # False asks for nothing: `store` is so at many clients.
    unknown = (name for name, value in raw.items() if name not in _KNOWN and value is not None and value is not False)
    names = sorted(name[:_MAX_NAME] for name in unknown if name.isascii() and name.isprintable())
    if raw.get(TEMPLATE) and not is_switch_alone(raw[TEMPLATE]):
        names.insert(0, TEMPLATE)
    if conversation.names_speakers:
        names.insert(0, "messages.name")
    return tuple(names[:_MAX_IGNORED])


# Readers of single members


def _one(value: Json) -> None:
    if isinstance(value, bool) or value != 1:
        raise mismatch(value, "1, for one answer is told")


def _user(value: Json) -> object:
    """Read who asks; Open WebUI's pipelines send an object that says more (routers/openai.py, 2026-11-28)."""
    return _read_user_object(value) if isinstance(value, dict) else SHARED["user"](value)


def _user_id(*, id: str) -> str:
    return id


def _compresses(value: Json) -> bool:
    """Read `transforms`, OpenRouter's older way to have a history shortened that does not fit."""
    return bool(_read_transforms(value))


def _include_usage(*, include_usage: bool = False) -> bool:
    return include_usage


_read_user_object = record(_user_id, {"id": SHARED["user"]}, required=("id",))
_read_transforms = array(one_of(("middle-out",)))

_OLDER_LIMIT: Final = ChatPaths(limit="max_tokens")

_PLAIN: Final = ChatForm()
_WITH_USAGE: Final = ChatForm(include_usage=True)

_MEMBERS: Mapping[str, Reader[Any]] = {
    **SHARED,
    **READERS,
    "messages": read_messages,
    "user": _user,
    "max_tokens": tokens,
    "max_completion_tokens": tokens,
    "tools": read_tools,
    "tool_choice": read_choice,
    "functions": read_functions,
    "function_call": read_older_choice,
    "web_search_options": read_search_options,
    "response_format": read_format,
    "verbosity": read_verbosity,
    "logprobs": flag,
    "n": _one,
    "audio": refuse("cannot be used: answers are told as text; leave audio out of modalities"),
    "stream_options": record(_include_usage, {"include_usage": flag}),
    "include_reasoning": flag,
    "transforms": _compresses,
    "truncation": one_of(("auto", "disabled")),
    "max_tool_calls": whole(0, MAX_COUNT),
    "cache_control": read_mark,
}
"""The members that are read, by name: those of OpenAI's SDK 3.57, of OpenRouter's (`@openrouter/sdk`,
models/chatrequest.js) and of single hosts, seen 2026-11-28."""

_NAMED_NOWHERE = {"usage"}
"""What asks for what is done anyhow."""

_KNOWN = frozenset(_MEMBERS.keys() | SAMPLING.keys() | _NAMED_NOWHERE)
_USUAL = SHARED.keys() | {"messages", "max_tokens", "max_completion_tokens", "stream_options", "tools", "tool_choice"}
_RARE = frozenset((_MEMBERS.keys() | SAMPLING.keys()) - _USUAL)
"""What has to be made regular beside a limit and the wish for usage; most requests have none."""

_read_members: Reader[dict[str, Any]] = record(dict, _MEMBERS)
