"""The body of `POST /responses` → `Request`, or an error that names the offending path.

The readers of its members are in `protocol/`, for other APIs have them too. Whether a model exists, or can do what is
asked, is not judged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from trunkline.protocol.body import decode_object
from trunkline.protocol.checks import bad_request, begins_answer, looked_through
from trunkline.protocol.extent import is_text_alone
from trunkline.protocol.items import Json
from trunkline.protocol.members import (
    MAX_COUNT,
    SAMPLING,
    SHARED,
    any_text,
    is_thinker_named,
    read_reasoning,
    read_sampling,
    read_session_header,
    tokens,
    with_thinking,
)
from trunkline.protocol.parse_items import read_input
from trunkline.protocol.parse_preferences import keep_exact_prices
from trunkline.protocol.parse_prompts import read_prompt
from trunkline.protocol.parse_tools import read_text_config, read_tool_choice, read_tools
from trunkline.protocol.piecemeal import SMALL_BYTES
from trunkline.protocol.reading import Reader, Wrong, array, one_of, record, shown, whole
from trunkline.protocol.request import SEARCH_SOURCES, Includable, Request

_NOTHING_STORED = "nothing is stored between requests"


def parse(body: bytes | bytearray, session_header: str | None = None) -> Request:
    """Read the body of `POST /responses`; `session_header` counts when the body has no `session_id`.

    Raises BadRequest.
    """
    raw, has_long_texts = decode_object(body)
    has_more = not _BESIDE.isdisjoint(raw)
    try:
        if has_more:
            _prepare(raw, body)
        members = _read_members(raw)
        if "input" not in members:
            if "prompt" not in members:
                raise _no_input(raw)
            members["input"] = ()
        if session_header and "session_id" not in members:
            members["session_id"] = read_session_header(session_header)
        if ("models" in members or ":" in members.get("model", "")) and is_thinker_named(members):
            members["reasoning"] = with_thinking(members.get("reasoning"))
        if has_more:
            _add_what_is_beside(members, raw)
        if len(body) > SMALL_BYTES or has_long_texts:
            members["size"] = "long_texts" if has_long_texts else "large"
        if type(raw.get("input")) is str:
            members["is_text_alone"] = True
        else:
            members["is_text_alone"] = is_text_alone(members["input"])
            if _is_prefix(raw.get("input")):
                members["has_prefill"] = begins_answer(members["input"])
        return looked_through(Request(**members))
    except Wrong as wrong:
        raise bad_request(wrong) from None


def _is_prefix(input: Json) -> bool:
    """Whether the last item says, as in Mistral's and DeepSeek's APIs, that the answer begins with it."""
    return type(input) is list and bool(input) and type(input[-1]) is dict and input[-1].get("prefix") is True


def _prepare(raw: dict[str, Json], body: bytes | bytearray) -> None:
    if not _FIXED.keys().isdisjoint(raw):
        _read_fixed(raw)
    keep_exact_prices(raw, body)


def _add_what_is_beside(members: dict[str, Json], raw: Mapping[str, Json]) -> None:
    if "metadata" in raw and raw["metadata"] is None:
        members["metadata"] = None
    if not SAMPLING.keys().isdisjoint(raw):
        members["sampling"] = read_sampling(raw)
    if _LOGPROBS in (raw.get("include") or ()):
        members["logprobs"] = True
    members["ignored"] = tuple(_ignored(raw))


def _ignored(raw: Mapping[str, Json]) -> Iterator[str]:
    """Name what was said and does nothing here."""
    yield from sorted(name for name in _IGNORED if raw.get(name) is not None)
    if (raw.get("reasoning") or {}).get("mode") not in (None, "standard"):
        yield "reasoning.mode"
    for name in dict.fromkeys(raw.get("include") or ()):
        if name == _RESULTS:
            yield f"include.{name}"


def _no_input(raw: dict[str, Json]) -> Wrong:
    if "messages" in raw:
        return Wrong("is required; messages belongs to the Chat Completions API, send its list as input", "input")
    return Wrong("is required: a string or an array of items", "input")


def _include(value: Json) -> tuple[str, ...]:
    return tuple(name for name in _include_names(value) if name not in _NOT_INCLUDED)


def _false(reason: str) -> Reader[None]:
    def read(value: Json) -> None:
        if value is not False:
            raise Wrong(f"must be false, not {shown(value)}: {reason}")

    return read


def _null(reason: str) -> Reader[None]:
    def read(value: Json) -> None:
        raise Wrong(f"must be null, not {shown(value)}: {reason}")

    return read


_LOGPROBS = "message.output_text.logprobs"
_RESULTS = "web_search_call.results"
_NOT_INCLUDED = (_LOGPROBS, _RESULTS)
"""What OpenAI's clients ask for besides: the first is a member of its own, as in the other APIs; for the text of what
was found a response has no place."""
_include_names = array(one_of((*get_args(Includable), SEARCH_SOURCES, *_NOT_INCLUDED)))

_IGNORED = frozenset(
    {
        "access_programs",
        "background_options",
        "context_management",
        "image",
        "max_completion_tokens",
        "max_tokens",
        "moderation",
        "n",
        "prompt_cache_options",
        "prompt_cache_retention",
        "response_format",
        "transforms",
        "verbosity",
    }
)
"""Members of other APIs, and of a later version of this one, that do something there; whoever sends one must hear that
it did nothing."""

_FIXED: Mapping[str, Reader[object]] = {
    "store": _false(f"{_NOTHING_STORED}; send false or leave it out"),
    "background": _false(f"{_NOTHING_STORED}; use stream instead"),
    "previous_response_id": _null(f"{_NOTHING_STORED}; send the whole conversation as input"),
    "conversation": _null(f"{_NOTHING_STORED}; send the whole conversation as input"),
}
"""Members that the contract knows and that leave no choice."""

_MEMBERS: Mapping[str, Reader[object]] = {
    **SHARED,
    "input": read_input,
    "instructions": any_text,
    "tools": read_tools,
    "tool_choice": read_tool_choice,
    "text": read_text_config,
    "reasoning": read_reasoning,
    "max_output_tokens": tokens,
    "max_tool_calls": whole(0, MAX_COUNT),
    "include": _include,
    "prompt": read_prompt,
    "truncation": one_of(("auto", "disabled")),
}

_BESIDE = _FIXED.keys() | SAMPLING.keys() | _IGNORED | {"include", "metadata", "provider", "reasoning"}
"""Members of which something else becomes than one of the request, wholly or sometimes; most requests have none."""

_read_fixed: Reader[dict[str, Json]] = record(dict, _FIXED)
_read_members: Reader[dict[str, Json]] = record(dict, _MEMBERS)
