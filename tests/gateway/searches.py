"""Answers with a search in them, one of each kind of upstream, and what every client must read in each.

A column of `SEARCHED` is one who searches: a provider by itself, in its own words, or the gateway for a model that only
knows functions, with an engine that finds two pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.clients.wires import WIRES, Answer, Asked, Call
from tests.gateway.test_searches_and_citations import joined, named
from tests.gateway.upstream import Script, chunk, completion, stream, whole

PAGE, OTHER = "https://kites.example/a", "https://kites.example/b"
TEXT = "🪁 Kites fly."
QUERY = "kites 🪁"


@dataclass(frozen=True)
class Searched:
    """One who searches. `query` is empty where nobody says it; `cited` are slices of the text, each with its page.

    Where the gateway searches, `turns` are what the model says to a query, streamed or whole.
    """

    id: str
    dialect: str
    streamed: Script | None
    whole: Any
    query: str = QUERY
    sources: tuple[str, ...] = (PAGE, OTHER)
    text: str = TEXT
    cited: tuple[tuple[str, str], ...] = (("Kites fly", PAGE),)
    quirks: str = ""
    turns: Callable[[str, bool], list[Script]] | None = None


_FOUND = [
    {"type": "web_search_result", "url": url, "title": "Kites", "encrypted_content": "E"} for url in (PAGE, OTHER)
]
_CITED = {
    "type": "web_search_result_location",
    "url": PAGE,
    "title": "Kites",
    "cited_text": "Kites fly",
    "encrypted_index": "E",
}
_USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"}
_RESULT = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": _FOUND}


def _block(index: int, block: dict[str, Any], *deltas: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("content_block_start", {"index": index, "content_block": block}),
        *(("content_block_delta", {"index": index, "delta": delta}) for delta in deltas),
        ("content_block_stop", {"index": index}),
    ]


def _messages() -> Searched:
    usage = {"input_tokens": 7, "output_tokens": 3, "server_tool_use": {"web_search_requests": 1}}
    empty = {"type": "text", "text": ""}
    streamed = named(
        ("message_start", {"message": {"id": "m", "role": "assistant", "content": [], "usage": {}}}),
        *_block(0, {**_USE, "input": {}}, {"type": "input_json_delta", "partial_json": f'{{"query":"{QUERY}"}}'}),
        *_block(1, _RESULT),
        *_block(2, empty, {"type": "text_delta", "text": "🪁 "}),
        *_block(
            3,
            {**empty, "citations": []},
            {"type": "text_delta", "text": "Kites fly"},
            {"type": "citations_delta", "citation": _CITED},
        ),
        *_block(4, empty, {"type": "text_delta", "text": "."}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": usage}),
        ("message_stop", {}),
    )
    content = [
        {**_USE, "input": {"query": QUERY}},
        _RESULT,
        {"type": "text", "text": "🪁 "},
        {"type": "text", "text": "Kites fly", "citations": [_CITED]},
        {"type": "text", "text": "."},
    ]
    message = {"id": "m", "type": "message", "role": "assistant", "content": content}
    return Searched("messages", "messages", streamed, {**message, "stop_reason": "end_turn", "usage": usage})


def _gemini() -> Searched:
    support = {"segment": {"startIndex": 5, "endIndex": 14, "text": "Kites fly"}, "groundingChunkIndices": [0]}
    found = {
        "webSearchQueries": [QUERY],
        "groundingChunks": [{"web": {"uri": url, "title": "Kites"}} for url in (PAGE, OTHER)],
        "groundingSupports": [support],
    }
    pieces: list[tuple[str, dict[str, Any]]] = [("🪁 Ki", {}), ("tes fly.", {"groundingMetadata": found})]
    told = [{"candidates": [{"content": {"role": "model", "parts": [{"text": t}]}, **more}]} for t, more in pieces]
    told[-1]["candidates"][0]["finishReason"] = "STOP"
    return Searched("gemini", "gemini", stream(told), joined(told))


def _responses() -> Searched:
    note = {"type": "url_citation", "url": PAGE, "title": "Kites", "start_index": 2, "end_index": 11}
    sources = [{"type": "url", "url": url} for url in (PAGE, OTHER)]
    action = {"type": "search", "query": QUERY, "queries": [QUERY], "sources": sources}
    search = {"type": "web_search_call", "id": "ws_up", "status": "completed", "action": action}
    part = {"type": "output_text", "text": TEXT, "annotations": [note]}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
    response = {"id": "r", "object": "response", "status": "completed", "model": "x", "output": [search, message]}
    where = {"output_index": 1, "content_index": 0}
    streamed = named(
        ("response.output_item.added", {"output_index": 0, "item": {"type": "web_search_call", "id": "ws_up"}}),
        ("response.web_search_call.searching", {"output_index": 0, "item_id": "ws_up"}),
        ("response.output_item.done", {"output_index": 0, "item": search}),
        ("response.output_item.added", {"output_index": 1, "item": {**message, "content": []}}),
        ("response.output_text.delta", {**where, "delta": TEXT}),
        ("response.output_text.annotation.added", {**where, "annotation": note}),
        ("response.output_item.done", {"output_index": 1, "item": message}),
        ("response.completed", {"response": response}),
    )
    return Searched("responses", "responses", streamed, response, quirks="has_openai_tools = true")


def _chat() -> Searched:
    beside = {"search_results": [{"url": url, "title": "Kites"} for url in (PAGE, OTHER)]}
    text = "🪁 Kites fly.[1]"
    return Searched(
        "chat",
        "chat",
        stream([chunk("🪁 Ki"), {**chunk("tes fly.[1]"), **beside}, {**chunk(finish="stop"), **beside}, "[DONE]"]),
        {**completion(text), **beside},
        query="",
        text=text,
        cited=(("[1]", PAGE),),
        quirks='web_search = "search_domain_filter"',
    )


def _engine(name: str) -> Searched:
    wire = WIRES[name]

    def turns(query: str, streams: bool) -> list[Script]:
        said = [Answer(calls=[Call("web_search", {"query": query}, "call_0")]), Answer(text)]
        if streams:
            return [stream(wire.stream(answer, Asked())) for answer in said]
        return [whole(wire.whole(answer, Asked())) for answer in said]

    text, link = "🪁 See [Kites](https://kites.example/a), [1].", f"[Kites]({PAGE})"
    return Searched(
        f"{name}-engine",
        name,
        None,
        None,
        text=text,
        cited=((link, PAGE),),
        quirks="native_search = false",
        turns=turns,
    )


FOUND = {"results": [{"title": "Kites", "url": url, "text": "They fly."} for url in (PAGE, OTHER)]}
"""What the engine finds, as Exa says it."""

SEARCHED = (
    _chat(),
    _messages(),
    _gemini(),
    _responses(),
    *(_engine(name) for name in ("chat", "messages", "gemini")),
    Searched(
        "fake",
        "fake",
        None,
        None,
        sources=("https://example.com/kites", "https://example.com/%C3%A5"),
        text="Kites – «drager» på norsk – fly best at 5 °C 🪁 (example.com).",
        cited=(("example.com", "https://example.com/kites"), ("example.com", "https://example.com/%C3%A5")),
    ),
)
