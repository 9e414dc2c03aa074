"""Text that is held back from the client, which is no silence of the provider: the limits on waiting do not run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from tests.gateway.checks import events_of, response_of, text_of
from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_silence import HEAD, LIMIT_S, PINGS, named
from tests.gateway.upstream import Script, Upstream, chunk, sse

PAUSE_S = 0.5
PIECES = 5
"""Together they last for longer than `first_byte` and `idle` allow."""

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
FORM = {"text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}}}
AS_JSON = {"text": {"format": {"type": "json_object"}}}
ANSWER = '{"a":"x"}'


def call_of(arguments: str) -> dict[str, Any]:
    return {"index": 0, "id": "t1", "type": "function", "function": {"name": "answer", "arguments": arguments}}


def gemini(*parts: Any, **more: Any) -> dict[str, Any]:
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **more}], "usageMetadata": usage}


def content_of(kind: str, **content: Any) -> dict[str, Any]:
    return {"type": kind, "index": 0, "delta": {"message": content}}


@dataclass(frozen=True)
class Talk:
    """How a dialect says a piece of text beside the answer tool, and then calls it, without an end to `begun`."""

    begun: bytes
    aside: bytes
    called: bytes


TALKS: Mapping[str, Talk] = {
    "chat": Talk(
        b"",
        sse([chunk("Well. ")]),
        sse([chunk(None, tool_calls=[call_of(ANSWER)]), chunk(finish="tool_calls"), "[DONE]"]),
    ),
    "messages": Talk(
        named(
            {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ),
        named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Well. "}}),
        named(
            {"type": "content_block_stop", "index": 0},
            {
                "type": "content_block_start",
                "index": 1,
                "content_block": {"type": "tool_use", "id": "t1", "name": "answer", "input": {}},
            },
            {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ANSWER}},
            {"type": "content_block_stop", "index": 1},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        ),
    ),
    "gemini": Talk(
        b"",
        sse([gemini({"text": "Well. "})]),
        sse([gemini({"functionCall": {"name": "answer", "args": json.loads(ANSWER)}}, finishReason="STOP")]),
    ),
    "cohere": Talk(
        named({"type": "message-start", "id": "m1"}, content_of("content-start", content={"type": "text", "text": ""})),
        named(content_of("content-delta", content={"text": "Well. "})),
        named(
            {"type": "content-end", "index": 0},
            content_of("tool-call-start", tool_calls=call_of("")),
            content_of("tool-call-delta", tool_calls={"function": {"arguments": ANSWER}}),
            {"type": "tool-call-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": {}}},
        ),
    ),
}
TALKS = {**TALKS, "mistral": TALKS["chat"]}


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Models `<number>/<dialect>` that hold no answer to a schema, another for each test, and `both/<dialect>`."""
    config = CONFIG
    for dialect in TALKS:
        for name in ("bare", "spare"):
            address = f"{upstream.url}/{name}-{dialect}/v1"
            config += PROVIDER.format(name=f"{name}-{dialect}", dialect=dialect, url=address)
            config += ENDPOINT.format(provider=f"{name}-{dialect}", model=f"both/{dialect}")
            config += 'quirks = { structured_output = "none" }\n'
        for number in range(3):
            config += ENDPOINT.format(provider=f"bare-{dialect}", model=f"{number}/{dialect}")
            config += 'quirks = { structured_output = "none" }\n'
    with running(tmp_path_factory.mktemp("held"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def asked(model: str, nonce: str, form: dict[str, Any]) -> dict[str, Any]:
    return {"model": model, "input": nonce, "stream": True, **form}


def paused(talk: Talk, piece: Callable[[Talk], bytes]) -> list[bytes | float]:
    return [HEAD, talk.begun, *(step for _ in range(PIECES) for step in (piece(talk), PAUSE_S))]


@pytest.mark.parametrize("dialect", TALKS)
def test_text_beside_the_answer_tool_is_no_silence(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    talk = TALKS[dialect]
    upstream.play(nonce, Script([*paused(talk, lambda talk: talk.aside), talk.called]))
    events = events_of(gateway.call(asked(f"0/{dialect}", nonce, FORM)))
    assert json.loads(text_of(events)) == json.loads(ANSWER)


@pytest.mark.parametrize("dialect", TALKS)
def test_when_it_stops_the_limit_holds(dialect: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    talk = TALKS[dialect]
    upstream.play(
        nonce, Script([HEAD, talk.begun, talk.aside, *(step for _ in range(40) for step in (b": \n\n", 0.2))])
    )
    began = time.monotonic()
    events = events_of(gateway.call(asked(f"1/{dialect}", nonce, FORM)), "failed")
    assert LIMIT_S - 0.1 < time.monotonic() - began < LIMIT_S + 1.0
    assert PINGS in events[-1]["response"]["error"]["message"]
    assert text_of(events) == ""


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("ending", ["end", "reset"])
@pytest.mark.parametrize("dialect", TALKS)
def test_when_it_breaks_off_the_next_endpoint_is_asked(
    dialect: str, ending: Literal["end", "reset"], streams: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    talk = TALKS[dialect]
    upstream.play(nonce, Script([HEAD, talk.begun, talk.aside, 0.1], ending), host=f"bare-{dialect}")
    upstream.play(nonce, Script([HEAD, talk.begun, talk.aside, talk.called]), host=f"spare-{dialect}")
    order = {"order": [f"bare-{dialect}", f"spare-{dialect}"]}
    reply = gateway.call({**asked(f"both/{dialect}", nonce, FORM), "stream": streams, "provider": order})
    said = text_of(events_of(reply)) if streams else response_of(reply)["output_text"]
    assert json.loads(said) == json.loads(ANSWER)
    assert len(upstream.seen(nonce)) == 2


def test_what_may_be_the_end_of_a_fence_is_no_silence(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    blanks = [step for _ in range(PIECES) for step in (sse([chunk("\n")]), PAUSE_S)]
    end = sse([chunk("```"), chunk(finish="stop"), "[DONE]"])
    upstream.play(nonce, Script([HEAD, sse([chunk("```json\n" + ANSWER)]), *blanks, end]))
    assert text_of(events_of(gateway.call(asked("2/chat", nonce, AS_JSON)))) == ANSWER
