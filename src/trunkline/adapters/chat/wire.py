"""The pieces of a Chat Completions answer as they come over the wire, and what is read from each of them alone.

Keeps no state: how pieces follow one another is `answer.py`'s. What servers disagree on is left opaque in the
structs and read leniently here; nothing in this file raises on any input.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from trunkline.adapters.decoding.logprobs import WireLogprob, as_logprobs
from trunkline.adapters.decoding.strange import as_object, read_loosely
from trunkline.adapters.decoding.usage import (
    MAX_COUNT,
    clean_usage,
    count,
    counts_in,
    only_count,
    rest,
    told_cost,
    writes,
)
from trunkline.protocol.items import Json, Logprob, UrlCitation
from trunkline.stream.deltas import Usage
from trunkline.wire import UNREADABLE


class WireFunction(Struct, gc=False):
    name: str | None = None
    arguments: Json = None


class WireCall(Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: WireFunction | None = None
    extra_content: Json = None


class WirePiece(Struct, gc=False):
    """A `delta` or a `message`; what servers disagree on is left opaque."""

    content: Json = None
    reasoning_content: Json = None
    reasoning: Json = None
    reasoning_details: list[Json] | None = None
    tool_calls: list[WireCall] | None = None
    function_call: WireFunction | None = None
    refusal: str | None = None
    annotations: list[Json] | None = None
    images: list[Json] | None = None
    audio: Json = None


class WireChoice(Struct, gc=False):
    index: int | None = None
    delta: WirePiece | None = None
    message: WirePiece | None = None
    finish_reason: str | None = None
    stop_reason: Json = None
    matched_stop: Json = None
    logprobs: Json = None
    usage: Json = None
    error: Json = None


class WireChunk(Struct, gc=False):
    choices: list[WireChoice] | None = None
    usage: Json = None
    error: Json = None
    x_groq: Json = None
    citations: list[Json] | None = None
    search_results: list[Json] | None = None
    web_search: list[Json] | None = None
    base_resp: Json = None
    service_tier: Json = None


def only_text(chunk: WireChunk) -> str | None:
    """The text of a chunk that says nothing else, and may be empty; None for any other."""
    if not chunk.choices or chunk.usage is not None or chunk.error is not None:
        return None
    choice = chunk.choices[0]
    piece = choice.delta
    if (
        piece is not None
        and piece.content.__class__ is str
        and choice.finish_reason is None
        and choice.logprobs is None
        and piece.tool_calls is None
        and piece.reasoning_content is None
        and piece.reasoning is None
        and piece.reasoning_details is None
        and piece.function_call is None
        and piece.refusal is None
        and piece.annotations is None
        and piece.images is None
        and piece.audio is None
        and choice.usage is None
        and choice.error is None
    ):
        text: str = piece.content
        return text
    return None


def only_message(chunk: WireChunk) -> str | None:
    """The text of a whole answer that says nothing else but how it ended and what was spent; None for any other."""
    if not chunk.choices or chunk.usage is None or chunk.error is not None or chunk.base_resp is not None:
        return None
    if chunk.citations is not None or chunk.search_results is not None or chunk.web_search is not None:
        return None
    choice = chunk.choices[0]
    piece = choice.message
    if (
        piece is not None
        and piece.content.__class__ is str
        and choice.delta is None
        and choice.logprobs is None
        and choice.error is None
        and not piece.tool_calls
        and not piece.reasoning_content
        and not piece.reasoning
        and not piece.reasoning_details
        and not piece.refusal
        and not piece.annotations
        and not piece.images
        and piece.function_call is None
        and piece.audio is None
    ):
        text: str = piece.content
        return text
    return None


read_chunk = msgspec.json.Decoder(WireChunk).decode
_encode_json = msgspec.json.Encoder().encode


# Usage


def decode_usage(usage: Json, adds_reasoning: bool = False, has_searched: bool = False) -> Usage | None:
    """Read a `usage` object in any of the shapes that chat servers have; None when nothing was counted."""
    if type(usage) is not dict:
        return None
    return _usual_usage(usage, adds_reasoning, has_searched) or any_usage(usage, adds_reasoning, has_searched)


_USUAL = frozenset(
    ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details")
)


def _usual_usage(usage: dict[str, Json], adds_reasoning: bool, has_searched: bool) -> Usage | None:
    """Read a usage as most servers tell it, in a third of the time; None where there may be more to it."""
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(read) is not int or type(written) is not int or not usage.keys() <= _USUAL:
        return None
    if not (0 < read <= MAX_COUNT and 0 < written <= MAX_COUNT):
        return None
    cached = only_count(usage.get("prompt_tokens_details"), "cached_tokens")
    reasoning = only_count(usage.get("completion_tokens_details"), "reasoning_tokens")
    if cached is None or reasoning is None:
        return None
    if adds_reasoning:
        written += reasoning
    return Usage(
        input_tokens=read,
        cache_read_tokens=cached if cached < read else read,
        output_tokens=written,
        reasoning_tokens=reasoning if reasoning < written else written,
        searches=int(has_searched),
    )


def any_usage(usage: dict[str, Json], adds_reasoning: bool, has_searched: bool) -> Usage | None:
    """Do as `decode_usage` does, whatever the shape."""
    told = counts_in(usage)
    of_read = counts_in(usage.get("prompt_tokens_details"))
    of_written = counts_in(usage.get("completion_tokens_details"))
    read = told.get("prompt_tokens") or told.get("input_tokens", 0)
    written = told.get("completion_tokens") or told.get("output_tokens", 0)
    reasoning = of_written.get("reasoning_tokens") or told.get("reasoning_tokens", 0)
    if adds_reasoning:
        written += reasoning
    written = written or rest(usage.get("total_tokens"), read)
    if not read and not written:
        return None
    # Perplexity counts the sources that it read beside the prompt, at the same price.
    read += told.get("citation_tokens", 0)
    details = as_object(usage.get("prompt_tokens_details"))
    kept = writes(
        usage.get("cache_creation") or details.get("cache_creation") or details.get("cache_creation_token_details")
    )
    return clean_usage(
        read=read,
        cache_read=of_read.get("cached_tokens")
        or told.get("prompt_cache_hit_tokens")
        or told.get("num_cached_tokens")
        or told.get("cached_tokens")
        or told.get("cache_read_input_tokens", 0),
        cache_write=of_read.get("cache_write_tokens")
        or of_read.get("cache_creation_tokens")
        or of_read.get("cache_creation_input_tokens")
        or told.get("cache_creation_input_tokens")
        or kept.tokens,
        cache_write_1h=kept.hour_tokens,
        written=written,
        reasoning=reasoning,
        drawn=of_written.get("image_tokens", 0),
        audio_read=of_read.get("audio_tokens", 0),
        audio_cached=counts_in(details.get("cached_tokens_details")).get("audio_tokens", 0),
        searches=told.get("num_search_queries") or int(has_searched),
        cost=told_cost(usage),
    )


# Logprobs


def decode_logprobs(logprobs: Json) -> tuple[Logprob, ...]:
    """Read `{content: […]}`, or the parallel lists of older servers; what is unreadable is no logprobs."""
    if not isinstance(logprobs, dict):
        return ()
    content = logprobs.get("content")
    if content is None and isinstance(logprobs.get("tokens"), list):
        pairs = zip(logprobs["tokens"], logprobs.get("token_logprobs") or (), strict=False)
        content = [{"token": token, "logprob": value} for token, value in pairs]
    try:
        entries = msgspec.convert(content or (), tuple[WireLogprob, ...], strict=False)
    except UNREADABLE:
        return ()
    return as_logprobs(entries)


# Opaque pieces


def read_leniently(data: bytes) -> WireChunk | None:
    """Read a chunk whose types are off: numbers as strings, wrong kinds where something optional stands."""
    found = read_loosely(data)
    if not isinstance(found, dict):
        return None
    try:
        return msgspec.convert(found, WireChunk, strict=False)
    except UNREADABLE:
        pass
    try:
        return msgspec.convert(_mended(found), WireChunk, strict=False)
    except UNREADABLE:
        return None


def _mended(chunk: dict[str, Json]) -> dict[str, Json]:
    """Leave out the optional parts that have the wrong kind; the choices themselves must be as promised."""
    mended = {key: value for key, value in chunk.items() if key not in ("citations", "search_results", "web_search")}
    choices = chunk.get("choices")
    if isinstance(choices, list):
        mended["choices"] = [_mended_choice(choice) if isinstance(choice, dict) else choice for choice in choices]
    return mended


def _mended_choice(choice: dict[str, Json]) -> dict[str, Json]:
    mended = {key: value for key, value in choice.items() if key != "index"}
    if not isinstance(choice.get("finish_reason"), str):
        mended.pop("finish_reason", None)
    for key in ("delta", "message"):
        piece = choice.get(key)
        if isinstance(piece, dict):
            kept = {name: value for name, value in piece.items() if not _is_misfit(name, value)}
            if isinstance(kept.get("tool_calls"), list):
                kept["tool_calls"] = [_mended_call(call) for call in kept["tool_calls"] if isinstance(call, dict)]
            mended[key] = kept
        elif piece == "" or isinstance(piece, list):
            mended.pop(key)
    return mended


def _is_misfit(name: str, value: Json) -> bool:
    if name in ("reasoning_details", "annotations", "images", "tool_calls"):
        return not isinstance(value, list)
    if name == "refusal":
        return not isinstance(value, str)
    return name == "function_call" and not isinstance(value, dict)


def _mended_call(call: dict[str, Json]) -> dict[str, Json]:
    """Some servers put name and arguments beside the index instead of under `function`."""
    function = call.get("function")
    if not isinstance(function, dict):
        function = {"name": call.get("name"), "arguments": call.get("arguments")}
    name = function.get("name")
    mended: dict[str, Json] = {"function": {**function, "name": name if isinstance(name, str) else None}}
    mended["extra_content"] = call.get("extra_content")
    return {**mended, "index": call.get("index"), "id": None if call.get("id") is None else str(call["id"])}


def is_success(base_resp: Json) -> bool:
    """Whether a `base_resp` (an error told with HTTP 200) is absent or says success."""
    return not isinstance(base_resp, dict) or not base_resp.get("status_code")


def text_of(value: Json, levels: int = 8) -> str:
    """The text of a string, a part or a list of them; what is nested deeper than any server's parts is no text."""
    if isinstance(value, str):
        return value
    if not levels:
        return ""
    if isinstance(value, dict):
        for key in ("text", "content", "summary"):
            if value.get(key):
                return text_of(value[key], levels - 1)
        return ""
    if isinstance(value, list):
        return "".join(text_of(part, levels - 1) for part in value)
    return "" if value is None or isinstance(value, bool) else str(value)


def arguments_of(value: Json) -> str:
    """Arguments are JSON text; sloppy servers send the object itself."""
    if isinstance(value, str):
        return value
    return _encode_json(value).decode() if isinstance(value, dict | list) else ""


def signature_of(call: WireCall) -> str:
    """The signature of the thought before a call, as Gemini's chat servers send it; empty where there is none.

    Source: https://ai.google.dev/gemini-api/docs/thought-signatures, seen 2026-11-22.
    """
    signature = as_object(as_object(call.extra_content).get("google")).get("thought_signature")
    return signature if isinstance(signature, str) else ""


def decode_citation(annotation: Json) -> UrlCitation | None:
    """Read a citation, nested under `url_citation` or flat; None for an annotation of another kind."""
    if not isinstance(annotation, dict):
        return None
    told = annotation.get("url_citation")
    told = told if isinstance(told, dict) else annotation
    url, title = told.get("url"), told.get("title")
    if not isinstance(url, str) or not url:
        return None
    start, end = count(told.get("start_index")), count(told.get("end_index"))
    return UrlCitation(url, title if isinstance(title, str) else "", start, max(start, end))


def decode_source(source: Json) -> tuple[str, str]:
    """The address and title of one search result, which may be a bare address."""
    if isinstance(source, str):
        return source, ""
    told = as_object(source)
    url, title = told.get("url") or told.get("link"), told.get("title")
    return (url if isinstance(url, str) else ""), (title if isinstance(title, str) else "")


def image_address(image: Json) -> str:
    """The address of an image part, most often a data URL; empty where there is none."""
    told = as_object(image).get("image_url", image)
    url = told if isinstance(told, str) else as_object(told).get("url")
    return url if isinstance(url, str) else ""
