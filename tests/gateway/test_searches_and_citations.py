"""The same answer streamed and whole: the same items in the same order, and no citation of a passage twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.checks import events_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_quirks import CONFIG, as_toml
from tests.gateway.test_wire_answers import framed
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, whole

PAGE = "https://kites.example/a"
OTHER = "https://kites.example/b"


@dataclass(frozen=True)
class Told:
    """One answer in both forms, and what its items must be: their types, with a text's citations of pages."""

    id: str
    dialect: str
    streamed: Script
    whole: Any
    items: tuple[Any, ...]
    quirks: tuple[tuple[str, Any], ...] = ()


def named(*events: tuple[str, dict[str, Any]]) -> Script:
    """A stream of events with names."""
    data = b"".join(f"event: {name}\n".encode() + sse([{"type": name, **body}]) for name, body in events)
    return Script([head(200, "text/event-stream"), data])


def gemini(*messages: tuple[list[dict[str, Any]], dict[str, Any]]) -> tuple[Script, Any]:
    """Gemini's messages of parts and what stands beside them, as a stream; and the last's parts and all else, whole."""
    told = [{"candidates": [{"content": {"role": "model", "parts": parts}, **more}]} for parts, more in messages]
    told[-1]["candidates"][0]["finishReason"] = "STOP"
    return stream(told), told


def joined(messages: Any) -> Any:
    """The same answer whole: neighbouring texts are one part, with the signature of any of them."""
    parts: list[dict[str, Any]] = []
    beside: dict[str, Any] = {}
    for message in messages:
        (candidate,) = message["candidates"]
        beside |= {name: value for name, value in candidate.items() if name != "content"}
        for part in candidate["content"]["parts"]:
            before = parts[-1] if parts else {}
            if "text" in part and "text" in before and part.get("thought") == before.get("thought"):
                parts[-1] = {**before, **part, "text": before["text"] + part["text"]}
            else:
                parts.append(part)
    return {"candidates": [{"content": {"role": "model", "parts": parts}, **beside}]}


def grounding(*uris: str) -> dict[str, Any]:
    chunks = [{"web": {"uri": uri, "title": "Kites"}} for uri in uris]
    support = {"segment": {"endIndex": 6, "text": "Kites."}, "groundingChunkIndices": [*range(len(uris))]}
    found = {"webSearchQueries": ["kites"], "groundingChunks": chunks, "groundingSupports": [support]}
    return {"groundingMetadata": found}


CITED = ("message", "Kites.", ((PAGE, 0, 6), (OTHER, 0, 6)))
ONCE = ("message", "Kites.", ((PAGE, 0, 6),))
PLAIN = ("message", "Kites.", ())
FOUND = ("web_search_call",)
SEAL = ("reasoning", "", True)

GEMINI: dict[str, tuple[list[Any], tuple[Any, ...]]] = {
    "search at the end": ([([{"text": "Ki"}], {}), ([{"text": "tes."}], grounding(PAGE, PAGE, OTHER))], (CITED, FOUND)),
    "search at the start": ([([{"text": "Ki"}], grounding(PAGE, PAGE)), ([{"text": "tes."}], {})], (ONCE, FOUND)),
    "search before the text": ([([], grounding(PAGE)), ([{"text": "Kites."}], {})], (ONCE, FOUND)),
    "search and thought": (
        [([{"text": "Hm.", "thought": True}], grounding(PAGE)), ([{"text": "Kites."}], {})],
        (("reasoning", "Hm.", False), ONCE, FOUND),
    ),
    "seal on an empty text": (
        [([{"text": "Ki"}], {}), ([{"text": "tes."}], {}), ([{"text": "", "thoughtSignature": "c2ln"}], {})],
        (PLAIN, SEAL),
    ),
    "seal on the last piece": (
        [([{"text": "Ki"}], {}), ([{"text": "tes.", "thoughtSignature": "c2ln"}], {})],
        (PLAIN, SEAL),
    ),
    "seal on the only piece": ([([{"text": "Kites.", "thoughtSignature": "c2ln"}], {})], (PLAIN, SEAL)),
    "seal after a thought": (
        [
            ([{"text": "Hm.", "thought": True}], {}),
            ([{"text": "Ki"}], {}),
            ([{"text": "tes."}], {}),
            ([{"text": "", "thoughtSignature": "c2ln"}], {}),
        ],
        (("reasoning", "Hm.", True), PLAIN),
    ),
    "seal and search": (
        [([{"text": "Kites."}], {}), ([{"text": "", "thoughtSignature": "c2ln"}], grounding(PAGE))],
        (ONCE, SEAL, FOUND),
    ),
    "seal on a text before a call": (
        [
            ([{"text": "Kites.", "thoughtSignature": "c2ln"}], {}),
            ([{"functionCall": {"name": "look", "args": {}}}], {}),
        ],
        (SEAL, PLAIN, ("function_call",)),
    ),
}

WEB = {"type": "url_citation", "url_citation": {"url": PAGE, "title": "Kites", "start_index": 0, "end_index": 6}}
NOTE = {"type": "url_citation", "url": PAGE, "title": "Kites", "start_index": 0, "end_index": 6}
LOCATION = {
    "type": "web_search_result_location",
    "url": PAGE,
    "title": "Kites",
    "cited_text": "A",
    "encrypted_index": "1",
}
FURTHER = {**LOCATION, "cited_text": "B", "encrypted_index": "2"}
PLACE = {"title": "Kites", "source": "", "location": {"web": {"url": PAGE, "domain": "kites.example"}}}
DOCUMENT = {"type": "document", "id": "d", "document": {"id": "d", "title": "Kites", "url": PAGE}}
COHERE = {"start": 0, "end": 6, "text": "Kites.", "sources": [DOCUMENT, DOCUMENT], "type": "TEXT_CONTENT"}
TEXT_PART = {"type": "output_text", "text": "Kites.", "annotations": [NOTE, NOTE]}
MESSAGE_ITEM = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [TEXT_PART]}
RESPONSE = {"id": "r", "object": "response", "status": "completed", "model": "x", "output": [MESSAGE_ITEM]}
SEARCHING = (("web_search", "web_search_options"),)

CASES = (
    *(
        Told(f"gemini, {name}", "gemini", gemini(*messages)[0], joined(gemini(*messages)[1]), items)
        for name, (messages, items) in GEMINI.items()
    ),
    *(
        Told(
            f"{dialect}, annotations",
            dialect,
            stream([chunk("Kites."), chunk(annotations=[WEB]), chunk("", "stop", annotations=[WEB]), "[DONE]"]),
            completion("Kites.", annotations=[WEB, WEB]),
            (ONCE,),
        )
        for dialect in ("chat", "mistral")
    ),
    *(
        Told(
            f"chat, sources {where}",
            "chat",
            stream(
                [
                    {**chunk("Ki[1]"), **(beside if where != "last" else {})},
                    {**chunk("tes[1]"), **(beside if where == "everywhere" else {})},
                    {**chunk(finish="stop"), **(beside if where != "first" else {})},
                    "[DONE]",
                ]
            ),
            {**completion("Ki[1]tes[1]"), **beside},
            (("message", "Ki[1]tes[1]", ((PAGE, 2, 5), (PAGE, 8, 11))), FOUND),
            SEARCHING,
        )
        for where in ("first", "last", "everywhere")
        for beside in ({"search_results": [{"url": PAGE, "title": "Kites"}]},)
    ),
    Told(
        "responses",
        "responses",
        named(
            ("response.output_item.added", {"output_index": 0, "item": {**MESSAGE_ITEM, "content": []}}),
            ("response.output_text.delta", {"output_index": 0, "content_index": 0, "delta": "Kites."}),
            *(
                ("response.output_text.annotation.added", {"output_index": 0, "content_index": 0, "annotation": NOTE})
                for _ in range(2)
            ),
            ("response.output_item.done", {"output_index": 0, "item": MESSAGE_ITEM}),
            ("response.completed", {"response": RESPONSE}),
        ),
        RESPONSE,
        (ONCE,),
    ),
    Told(
        "messages",
        "messages",
        named(
            ("message_start", {"message": {"id": "m", "role": "assistant", "content": [], "usage": {}}}),
            ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": "", "citations": []}}),
            ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "Kites."}}),
            *(
                ("content_block_delta", {"index": 0, "delta": {"type": "citations_delta", "citation": citation}})
                for citation in (LOCATION, FURTHER)
            ),
            ("content_block_stop", {"index": 0}),
            ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}),
            ("message_stop", {}),
        ),
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": "Kites.", "citations": [LOCATION, FURTHER]}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 7, "output_tokens": 3},
        },
        (ONCE,),
    ),
    Told(
        "converse",
        "converse",
        Script(
            [
                head(200, "application/vnd.amazon.eventstream"),
                b"".join(
                    framed(name, data)
                    for name, data in (
                        ("messageStart", '{"role":"assistant"}'),
                        ("contentBlockDelta", '{"contentBlockIndex":0,"delta":{"text":"Kites."}}'),
                        *(
                            (
                                "contentBlockDelta",
                                '{"contentBlockIndex":0,"delta":{"citation":{"title":"Kites","location":'
                                f'{{"web":{{"url":"{PAGE}"}}}}}}}}}}',
                            )
                            for _ in range(2)
                        ),
                        ("contentBlockStop", '{"contentBlockIndex":0}'),
                        ("messageStop", '{"stopReason":"end_turn"}'),
                        ("metadata", '{"usage":{"inputTokens":7,"outputTokens":3,"totalTokens":10}}'),
                    )
                ),
            ]
        ),
        {
            "output": {
                "message": {
                    "role": "assistant",
                    "content": [{"citationsContent": {"content": [{"text": "Kites."}], "citations": [PLACE, PLACE]}}],
                }
            },
            "stopReason": "end_turn",
            "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10},
        },
        (ONCE,),
    ),
    Told(
        "cohere",
        "cohere",
        named(
            ("message-start", {"id": "m", "delta": {"message": {"role": "assistant", "content": []}}}),
            ("content-start", {"index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
            ("content-delta", {"index": 0, "delta": {"message": {"content": {"text": "Kites."}}}}),
            ("citation-start", {"index": 0, "delta": {"message": {"citations": COHERE}}}),
            ("citation-start", {"index": 1, "delta": {"message": {"citations": COHERE}}}),
            ("content-end", {"index": 0}),
            ("message-end", {"delta": {"finish_reason": "COMPLETE"}}),
        ),
        {
            "id": "m",
            "finish_reason": "COMPLETE",
            "message": {
                "role": "assistant",
                "content": [{"type": "text", "text": "Kites."}],
                "citations": [COHERE, COHERE],
            },
        },
        (ONCE,),
    ),
)


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A model `told/<number>` for each case."""
    config = CONFIG
    for number, case in enumerate(CASES):
        name = f"wire-{number}"
        config += PROVIDER.format(name=name, dialect=case.dialect, url=f"{upstream.url}/{name}/v1")
        config += ENDPOINT.format(provider=name, model=f"told/{number}") + f"quirks = {as_toml(dict(case.quirks))}\n"
    with running(tmp_path_factory.mktemp("told"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def shape(item: dict[str, Any]) -> tuple[Any, ...]:
    match item["type"]:
        case "message":
            (part,) = item["content"]
            notes = tuple((note["url"], note["start_index"], note["end_index"]) for note in part["annotations"])
            return "message", part["text"], notes
        case "reasoning":
            return "reasoning", "".join(part["text"] for part in item["summary"]), bool(item.get("signature"))
        case other:
            return (other,)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.id for case in CASES])
def test_an_answer_has_the_same_items_streamed_and_whole(
    number: int, streams: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    case = CASES[number]
    upstream.play(nonce, case.streamed if streams else whole(case.whole))
    reply = gateway.call({"model": f"told/{number}", "input": nonce, "stream": streams})
    events = events_of(reply) if streams else []
    response = events[-1]["response"] if streams else response_of(reply)
    assert tuple(map(shape, response["output"])) == case.items
    told = [event["annotation"] for event in events if event["type"] == "response.output_text.annotation.added"]
    kept = [note for item in response["output"] for part in item.get("content", ()) for note in part["annotations"]]
    assert not streams or told == kept
