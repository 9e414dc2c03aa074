"""The public `openai` client, unchanged, against a chat server, a Responses server and FakeProvider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.document import check_stream, validate_response
from tests.gateway.server import KEY, Gateway
from tests.gateway.upstream import Upstream, chunk, completion, stream, usage_chunk, whole

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a place.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Kite(BaseModel):
    colour: str
    height_m: int


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.url + "/api/v1", api_key=KEY, max_retries=0) as sdk:
        yield sdk


RESPONSES_ANSWER: dict[str, Any] = {
    "id": "resp_up",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-x",
    "output": [
        {
            "id": "msg_up",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello.", "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    },
}


def responses_stream(text: str) -> list[dict[str, Any]]:
    """What a Responses server streams for one message."""
    item = {"id": "msg_up", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    at = {"item_id": "msg_up", "output_index": 0, "content_index": 0}
    opening = {**RESPONSES_ANSWER, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": opening},
        {"type": "response.in_progress", "response": opening},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **at, "part": part},
        *({"type": "response.output_text.delta", **at, "delta": letter, "logprobs": []} for letter in text),
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": {**part, "text": text}},
        {"type": "response.output_item.done", "output_index": 0, "item": RESPONSES_ANSWER["output"][0]},
        {"type": "response.completed", "response": RESPONSES_ANSWER},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


class TestCreate:
    def test_a_chat_server_answers(self, client: OpenAI, gateway: Gateway) -> None:
        response = client.responses.create(model="mock/chat", input="Say hello.")
        assert response.output_text == "Hello."
        assert response.status == "completed"
        assert response.usage is not None
        assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 3)
        assert response.usage.model_dump()["cost"] == pytest.approx(0.000013, abs=0)
        validate_response(response.model_dump(exclude_unset=True))

    def test_a_responses_server_answers(self, client: OpenAI, upstream: Upstream, nonce: str) -> None:
        upstream.play(nonce, whole(RESPONSES_ANSWER))
        response = client.responses.create(model="mock/responses", input=f"Say hello. {nonce}")
        assert response.output_text == "Hello."
        assert response.id != "resp_up"
        assert response.output[0].id != "msg_up"

    def test_fake_provider_answers_without_any_upstream(self, client: OpenAI) -> None:
        response = client.responses.create(model="fake/echo", input="Red kite over the fjord")
        assert "Red kite over the fjord" in response.output_text


class TestStream:
    def test_events_of_a_chat_server_arrive_in_order(self, client: OpenAI) -> None:
        with client.responses.stream(model="mock/chat", input="Say hello.") as events:
            seen = list(events)
            final = events.get_final_response()
        assert [event.delta for event in seen if event.type == "response.output_text.delta"] == ["Hel", "lo."]
        assert final.output_text == "Hello."
        check_stream([event.model_dump(exclude_unset=True, exclude={"snapshot", "parsed"}) for event in raw(client)])

    def test_events_of_a_responses_server_arrive_in_order(self, client: OpenAI, upstream: Upstream, nonce: str) -> None:
        upstream.play(nonce, stream(responses_stream("Hello.")))
        with client.responses.stream(model="mock/responses", input=nonce) as events:
            deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == "Hello."
        assert len(deltas) == 6

    def test_fake_provider_streams(self, client: OpenAI) -> None:
        with client.responses.stream(model="fake/echo", input="one two three four") as events:
            deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert len(deltas) > 1
        assert "one two three four" in "".join(deltas)


def raw(client: OpenAI) -> list[Any]:
    return list(client.responses.create(model="mock/chat", input="Say hello.", stream=True))


class TestParse:
    def test_a_schema_is_sent_and_its_json_parsed(self, client: OpenAI, upstream: Upstream, nonce: str) -> None:
        upstream.play(nonce, whole(completion('{"colour": "red", "height_m": 40}')))
        response = client.responses.parse(model="mock/chat", input=f"A kite. {nonce}", text_format=Kite)
        assert response.output_parsed == Kite(colour="red", height_m=40)
        sent = upstream.seen(nonce)[0].json["response_format"]
        assert sent["type"] == "json_schema"
        assert sent["json_schema"]["schema"]["properties"].keys() == {"colour", "height_m"}

    def test_fake_provider_fits_the_schema(self, client: OpenAI) -> None:
        response = client.responses.parse(model="fake/echo", input="A kite.", text_format=Kite)
        assert isinstance(response.output_parsed, Kite)


def call_chunks() -> list[Any]:
    def piece(**function: str) -> dict[str, Any]:
        return chunk(tool_calls=[{"index": 0, "function": function}])

    opening = chunk(
        tool_calls=[{"index": 0, "id": "call_7", "type": "function", "function": {"name": "weather", "arguments": ""}}]
    )
    return [
        opening,
        piece(arguments='{"city"'),
        piece(arguments=': "Oslo"}'),
        chunk(finish="tool_calls"),
        usage_chunk(),
        "[DONE]",
    ]


class TestToolLoop:
    def test_a_chat_server_calls_and_gets_the_result(self, client: OpenAI, upstream: Upstream, nonce: str) -> None:
        upstream.play(nonce, stream(call_chunks()), whole(completion("Rain, 4 °C.")))
        question: Any = {"role": "user", "content": f"Weather in Oslo? {nonce}"}
        with client.responses.stream(model="mock/chat", input=[question], tools=[WEATHER]) as events:
            final = events.get_final_response()
        (call,) = final.output
        assert call.type == "function_call"
        assert json.loads(call.arguments) == {"city": "Oslo"}
        history: Any = [
            question,
            call.model_dump(),
            {"type": "function_call_output", "call_id": call.call_id, "output": "4 C, rain"},
        ]
        answer = client.responses.create(model="mock/chat", input=history, tools=[WEATHER])
        assert answer.output_text == "Rain, 4 °C."
        messages = upstream.seen(nonce)[1].json["messages"]
        assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == "call_7"
        assert messages[2]["content"] == "4 C, rain"

    def test_fake_provider_calls_and_gets_the_result(self, client: OpenAI) -> None:
        question: Any = {"role": "user", "content": "What is the weather in Oslo?"}
        first = client.responses.create(model="fake/echo", input=[question], tools=[WEATHER], tool_choice="required")
        (call,) = (item for item in first.output if item.type == "function_call")
        assert isinstance(json.loads(call.arguments)["city"], str)
        history: Any = [
            question,
            call.model_dump(),
            {"type": "function_call_output", "call_id": call.call_id, "output": "4 C, rain"},
        ]
        second = client.responses.create(model="fake/echo", input=history, tools=[WEATHER])
        assert "4 C, rain" in second.output_text


class TestErrors:
    def test_a_wrong_key_is_401(self, gateway: Gateway) -> None:
        with (
            OpenAI(base_url=gateway.url + "/api/v1", api_key="tl-" + "x" * 43, max_retries=0) as stranger,
            pytest.raises(openai.AuthenticationError),
        ):
            stranger.responses.create(model="fake/echo", input="Hello")

    def test_an_unknown_model_is_404_and_names_the_nearest(self, client: OpenAI) -> None:
        with pytest.raises(openai.NotFoundError, match="mock/chat"):
            client.responses.create(model="mock/chatt", input="Hello")

    def test_a_wrong_value_is_400_and_says_where(self, client: OpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="temperature"):
            client.responses.create(model="fake/echo", input="Hello", temperature=3)
