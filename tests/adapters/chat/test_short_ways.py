"""What most chat requests and whole answers are takes a short way, and comes out as by the long one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.adapters.served import endpoint
from trunkline.adapters.chat.request import ADAPTER
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.items import InputText, Message, OutputText, RefusalPart
from trunkline.protocol.request import Request

Json = Any

QUIRKS = [
    {},
    {"system_role": "developer"},
    {"system_role": "user"},
    {"alternates_turns": True},
    {"has_late_system": False},
    {"prefill": "prefix"},
    {"reasoning_replay": "reasoning_content", "reasoning_replay_is_required": True},
    {"reasoning_replay": "thought_signature", "reasoning_replay_is_required": True},
]
TEXTS = st.sampled_from(["", " ", "Hi", "No\n", "“so”"])
PARTS = st.one_of(st.builds(InputText, TEXTS), st.builds(OutputText, TEXTS), st.builds(RefusalPart, TEXTS))
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "system", "developer"]),
    content=st.lists(PARTS, min_size=1, max_size=2).map(tuple),
)


@given(
    st.lists(MESSAGES, min_size=1, max_size=4).map(tuple),
    st.sampled_from([None, "", "Be brief."]),
    st.sampled_from(QUIRKS),
    st.booleans(),
)
def test_a_conversation_of_texts_is_written_as_any_other(
    messages: tuple[Message, ...], instructions: str | None, quirks: dict[str, Json], has_prefill: bool
) -> None:
    request = Request(input=messages, instructions=instructions, has_prefill=has_prefill)
    short = ADAPTER.encode(replace(request, is_text_alone=True), endpoint(Quirks(**quirks)), None)
    assert short == ADAPTER.encode(request, endpoint(Quirks(**quirks)), None)


USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


@pytest.mark.parametrize("finish", ["stop", "length", "tool_calls", "content_filter", "STOP", "error", "odd", "", None])
@pytest.mark.parametrize(
    "message",
    [
        {"content": "Hi."},
        {"content": ""},
        {"content": [{"type": "text", "text": "Hi."}]},
        {"content": "Hi.", "refusal": None, "annotations": [], "tool_calls": [], "audio": None},
        {"content": "Hi.", "refusal": "No."},
        {"content": "Hi.", "reasoning": "Hm."},
    ],
)
@pytest.mark.parametrize(
    "fields",
    [
        {"usage": USAGE},
        {"usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 3}}, "service_tier": "flex"},
        {"usage": {"prompt_tokens": 9.5}},
        {"usage": {}},
        {"usage": USAGE, "service_tier": 3},
        {},
    ],
)
@pytest.mark.parametrize("stop", [(), ("###",)])
def test_a_whole_answer_is_read_as_any_other(
    finish: str | None, message: Json, fields: Json, stop: tuple[str, ...]
) -> None:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, "stop_reason": "###"}
    answer = {"choices": [choice], **fields}
    request = Request(input=(Message(role="user", content=(InputText("Hi"),)),), stop=stop)
    told = []
    # No answer with a list of sources takes the short way, even if none is in it.
    for body in (answer, {**answer, "citations": []}):
        decoder = ADAPTER.decoder(request, endpoint())
        told.append([*decoder.whole(json.dumps(body).encode()), *decoder.end()])
    assert told[0] == told[1]
