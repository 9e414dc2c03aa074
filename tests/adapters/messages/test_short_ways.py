"""What most Messages requests and whole answers are takes a short way, and comes out as by the long one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.adapters.served import endpoint
from trunkline.adapters.messages.answer import MessagesDecoder
from trunkline.adapters.messages.request import ADAPTER
from trunkline.adapters.messages.wire import decode_usage
from trunkline.protocol.items import InputText, Message, OutputText, RefusalPart
from trunkline.protocol.request import Request

Json = Any

TEXTS = st.sampled_from(["", " ", "Hi", "No\n", "“so”"])
PARTS = st.one_of(st.builds(InputText, TEXTS), st.builds(OutputText, TEXTS), st.builds(RefusalPart, TEXTS))
ANY_MESSAGES = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["user", "assistant", "system", "developer"]),
        content=st.lists(PARTS, min_size=1, max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=4,
)
TURNS = st.lists(TEXTS, min_size=1, max_size=4).map(
    lambda texts: [
        Message(role="assistant", content=(OutputText(text),))
        if place % 2
        else Message(role="user", content=(InputText(text),))
        for place, text in enumerate(texts)
    ]
)
SYSTEMS = st.lists(st.builds(lambda text: Message(role="system", content=(InputText(text),)), TEXTS), max_size=1)


@given(
    st.tuples(SYSTEMS, st.one_of(ANY_MESSAGES, TURNS, TURNS)).map(lambda parts: (*parts[0], *parts[1])),
    st.sampled_from([None, None, "", "Be brief."]),
)
def test_a_conversation_of_texts_is_written_as_any_other(
    messages: tuple[Message, ...], instructions: str | None
) -> None:
    request = Request(input=messages, instructions=instructions)
    short = ADAPTER.encode(replace(request, is_text_alone=True), endpoint(dialect="messages"), None)
    assert short == ADAPTER.encode(request, endpoint(dialect="messages"), None)


COUNTS: st.SearchStrategy[Json] = st.one_of(
    st.integers(0, 9), st.sampled_from([None, -1, 2**40, "7", 1.5, True, {}, "standard"])
)
NAMES = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "service_tier", "x"]


@given(st.dictionaries(st.sampled_from(NAMES), COUNTS))
def test_usual_counts_are_read_as_any_others(told: dict[str, Json]) -> None:
    # Nothing with steps in it takes the short way, even if there are none.
    assert decode_usage(told) == decode_usage({**told, "iterations": []})


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence", "max_tokens", "refusal", "tool_use", "odd", None])
@pytest.mark.parametrize(
    "content",
    [
        [],
        [{"type": "text", "text": "Hi."}],
        [{"type": "text", "text": "Hi."}, {"type": "text", "text": ""}, {"type": "text", "text": " So."}],
        [{"type": "text"}, {"type": "text", "text": "Hi.", "citations": None}],
        [{"type": "text", "text": "Hi.", "citations": [{"type": "page_location", "document_index": 0}]}],
        [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "Hi."}],
        [{"type": "text", "text": "Hi."}, {"type": "hologram", "depth": 3}],
        [{"type": "text", "text": 5}],
        [{}],
        None,
    ],
)
@pytest.mark.parametrize(
    "fields",
    [
        {"usage": {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 0}},
        {"stop_sequence": "###", "stop_details": {"explanation": "No."}, "container": {"id": "c"}},
        {"error": {"type": "overloaded_error", "message": "Full."}, "usage": {"input_tokens": 9}},
    ],
)
@pytest.mark.parametrize("knows_own", [False, True])
def test_a_whole_answer_is_read_as_any_other(reason: str | None, content: Json, fields: Json, knows_own: bool) -> None:
    body = json.dumps({"content": content, "stop_reason": reason, **fields}).encode()
    told = []
    # Nothing that may pause takes the short way.
    for may_pause in (False, True):
        decoder = MessagesDecoder(endpoint(dialect="messages"), may_pause=may_pause, knows_own=knows_own)
        told.append([*decoder.whole(body), *decoder.end()])
    assert told[0] == told[1]
