"""The Mistral adapter: every recorded body against the models of Mistral's own library, and what is left to say.

The answer is read by the chat decoder, whose own tests hold for it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistralai.client.models import ChatCompletionRequest, ChatCompletionResponse, ChatCompletionStreamRequest
from msgspec import Struct

from tests.record import Cassette, cassettes, encode
from trunkline.adapters.chat.mistral import ADAPTER, BRIDGE
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.errors import Unprocessable
from trunkline.faces.responses.parse import parse
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Delta, Reasoning, ReasoningSeal, Stopped, Text
from trunkline.wire import WireMessage

Json = dict[str, Any]

RECORDED = [cassette for cassette in cassettes() if cassette.folder.parent.name == "mistral"]
PLAIN = Quirks()
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}


def endpoint(quirks: Quirks = PLAIN, **fields: Any) -> Endpoint:
    given = {"upstream_model": "mistral-x", "base_url": "https://mistral.example/v1", **fields}
    model, provider = Model(slug="mistralai/mistral-x"), Provider(slug="mistral", name="Mistral")
    return Endpoint(model=model, provider=provider, dialect="mistral", quirks=quirks, **given)


def request(**body: Any) -> Request:
    return parse(msgspec.json.encode({"model": "mistralai/mistral-x", "input": "Weather in Oslo?", **body}))


def sent(asked: Request, at: Endpoint | None = None) -> tuple[Json, tuple[str, ...]]:
    made = ADAPTER.encode(asked, at or endpoint(), "eu-1")
    return msgspec.json.decode(made.body), made.dropped


def validated(body: Json) -> None:
    """Hold a body to the vendor's model and see that nothing of it is left over."""
    model = ChatCompletionStreamRequest if body.get("stream") else ChatCompletionRequest
    assert json.loads(model.model_validate(body).model_dump_json(by_alias=True, exclude_unset=True)) == body


@pytest.mark.parametrize("cassette", RECORDED, ids=lambda cassette: cassette.folder.name)
def test_recorded_bodies_fit_the_vendor_models(cassette: Cassette) -> None:
    try:
        body = encode(cassette).body
    except Unprocessable:
        assert cassette.folder.name.endswith("is-refused")
    else:
        validated(msgspec.json.decode(body))


@pytest.mark.parametrize("cassette", RECORDED, ids=lambda cassette: cassette.folder.name)
def test_recorded_answers_fit_the_vendor_models(cassette: Cassette) -> None:
    answer = cassette.answers.get(".json", b"")
    if cassette.status == 200 and b'"choices"' in answer:
        ChatCompletionResponse.model_validate_json(answer)


class Case(Struct, frozen=True):
    """`sent` holds the fields that matter; a value of None says that the field must be absent."""

    id: str
    asked: Json
    sent: Json
    quirks: Quirks = PLAIN
    dropped: tuple[str, ...] = ()


def turn(role: str, content: Any) -> Json:
    return {"role": role, "content": content}


CASES = [
    Case("the end user is not told", {"user": "u"}, {"user": None, "safety_identifier": None}, dropped=("user",)),
    Case("usage comes without asking", {"stream": True}, {"stream": True, "stream_options": None}),
    Case("required is spelled any", {"tools": [WEATHER], "tool_choice": "required"}, {"tool_choice": "any"}),
    Case(
        "fields that the model may not have",
        {"top_k": 4, "top_logprobs": 2},
        {"top_k": 4, "logprobs": True, "top_logprobs": 2},
    ),
    Case(
        "fields of other hosts",
        {"text": {"format": {"type": "text"}, "verbosity": "low"}, "image_config": {"aspect_ratio": "1:1"}},
        {"verbosity": None, "image_config": None},
        quirks=Quirks(has_verbosity=True, image_output="modalities"),
        dropped=("verbosity", "image_config"),
    ),
    Case(
        "a row's own field goes past the list",
        {},
        {"safe_prompt": True},
        quirks=Quirks(extra_body={"safe_prompt": True}),
    ),
    Case(
        "no prompt mode where no thought is wanted",
        {"reasoning": {"effort": "none"}},
        {"prompt_mode": None, "reasoning_effort": None},
        quirks=Quirks(reasoning_request="prompt_mode"),
    ),
    Case(
        "an answer begun for the model",
        {"input": [turn("user", "A poem"), turn("assistant", "Once")]},
        {"messages": [turn("user", "A poem"), {**turn("assistant", "Once"), "prefix": True}]},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_encode(case: Case) -> None:
    body, dropped = sent(request(**case.asked), endpoint(case.quirks))
    validated(body)
    assert {name: body.get(name) for name in case.sent} == case.sent
    assert set(dropped) == set(case.dropped)


ROUNDS = st.lists(
    st.one_of(
        st.builds(lambda text: [turn("user", text)], st.sampled_from(["Hi", "Go on"])),
        st.builds(lambda text: [turn("system", text)], st.just("Be brief.")),
        st.builds(lambda text: [turn("assistant", text)], st.just("Hello.")),
        st.builds(
            lambda ids: [
                *({"type": "function_call", "call_id": id, "name": "weather", "arguments": "{}"} for id in ids),
                *({"type": "function_call_output", "call_id": id, "output": "rain"} for id in reversed(ids)),
            ],
            st.lists(st.sampled_from(["call_1", "D681PevKs", "ø" * 70, "a b"]), min_size=1, max_size=3, unique=True),
        ),
    ),
    max_size=5,
)


@given(ROUNDS)
def test_any_history_keeps_the_order_of_roles_and_joins_results_with_calls(history: list[list[Json]]) -> None:
    seen: set[str] = set()
    items = [turn("user", "Begin")]
    for number, found in enumerate(history):
        # A call id is used once in a conversation.
        rename = {item["call_id"]: f"{item['call_id']}{number}" for item in found if item.get("call_id") in seen}
        seen |= {item["call_id"] for item in found if "call_id" in item}
        items += [
            {**item, "call_id": rename.get(item["call_id"], item["call_id"])} if "call_id" in item else item
            for item in found
        ]
    body, _ = sent(request(input=items))
    validated(body)
    open_ids: set[str] = set()
    before = ""
    for message in body["messages"]:
        role = message["role"]
        assert (before, role) not in {("tool", "user"), ("tool", "system"), ("assistant", "system")}
        for call in message.get("tool_calls", ()):
            assert re.fullmatch("[A-Za-z0-9]{9}", call["id"])
            open_ids.add(call["id"])
        if role == "tool":
            open_ids.remove(message["tool_call_id"])
            assert message["name"] == "weather"
        before = role
    assert not open_ids


def test_the_bridge_is_not_changed_by_a_request() -> None:
    items = [
        turn("user", "Hi"),
        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "rain"},
        turn("user", "Go on"),
    ]
    body, _ = sent(request(input=items))
    assert body["messages"][-2] == BRIDGE == {"role": "assistant", "content": "OK"}


def test_a_signature_that_comes_with_an_empty_thought_is_kept() -> None:
    reader = ADAPTER.decoder(request(), endpoint())

    def chunk(content: Any, finish: str | None = None) -> list[Delta]:
        data = {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}
        return list(reader.message(WireMessage(None, json.dumps(data).encode())))

    deltas = [
        *chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]),
        *chunk([{"type": "thinking", "thinking": [], "signature": "c2ln"}]),
        *chunk("4", "stop"),
        *reader.message(WireMessage(None, b"[DONE]")),
    ]
    assert deltas == [
        Reasoning(0, "Hm"),
        ReasoningSeal(0, signature="c2ln", endpoint_id=endpoint().id),
        Text(1, "4"),
        Stopped("stop"),
    ]
    assert reader.is_done
