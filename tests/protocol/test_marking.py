"""Where a request is marked: all places are found, the last marks stay where they are, and nothing else changes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.routing.catalogs import endpoint
from trunkline.adapters.encoding.offers import offered
from trunkline.faces.chat.face import CHAT
from trunkline.faces.contract import Face
from trunkline.faces.messages.face import MESSAGES
from trunkline.faces.responses.face import RESPONSES
from trunkline.faces.responses.parse import parse
from trunkline.protocol.marking import has_marks, marks_of, wants_hour, with_last_marks
from trunkline.protocol.request import Request

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
PNG = "data:image/png;base64,iVBORw0KGgo="
USER = {"role": "user", "content": "Hi"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"}


def text(kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": "words"}


def places() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A request with everything that can carry a mark, and all that can, in the order in which it is read."""
    tool, inner, later = ({"type": "function", "name": name} for name in ("f", "inner", "later"))
    system, picture = text(), {"type": "input_image", "image_url": PNG}
    file = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}
    said, call, custom, told = text("output_text"), dict(CALL), text(), text()
    part = text()
    result = {"type": "function_call_output", "call_id": "c1", "output": [part]}
    body = {
        "model": "m/one",
        "tools": [tool, {"type": "namespace", "name": "mcp", "tools": [inner]}, {"type": "custom", "name": "g"}],
        "input": [
            {"role": "system", "content": [system]},
            {"type": "additional_tools", "role": "developer", "tools": [later]},
            {"role": "user", "content": [text(), picture, file]},
            {"role": "assistant", "content": [said]},
            call,
            CUSTOM,
            result,
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [custom]},
            {"type": "agent_message", "content": [told]},
        ],
    }
    carriers = [tool, inner, system, later, picture, file, said, call, part, result, custom, told]
    return body, carriers


COUNT = len(places()[1])


def marked(chosen: set[int], mark: dict[str, str] = MARK) -> Request:
    body, carriers = places()
    for place in chosen:
        carriers[place]["cache_control"] = mark
    return parse(msgspec.json.encode(body))


@pytest.mark.parametrize("place", range(COUNT))
def test_a_mark_is_found_wherever_one_may_stand(place: int) -> None:
    request = marked({place})
    assert request.has_marks
    assert has_marks(request.input, request.tools)
    assert len(list(marks_of(request))) == 1
    assert wants_hour(marked({place}, HOUR))
    assert not wants_hour(request)


@given(st.sets(st.integers(0, COUNT - 1)), st.integers(0, 5))
def test_the_last_marks_stay_and_nothing_else_changes(chosen: set[int], most: int) -> None:
    kept, is_lost = with_last_marks(marked(chosen), most)
    left = set(sorted(chosen)[len(chosen) - min(most, len(chosen)) :])
    assert kept == marked(left)
    assert is_lost == (len(chosen) > most)


def test_a_blank_carries_none() -> None:
    blank = {"type": "input_text", "text": " \n", "cache_control": MARK}
    request = parse(msgspec.json.encode({"model": "m/one", "input": [{"role": "user", "content": [text(), blank]}]}))
    kept, is_lost = with_last_marks(request, 4)
    assert (kept.has_marks, is_lost) == (False, True)
    assert not has_marks(kept.input, kept.tools)


def test_a_request_without_marks_is_asked_nothing_more() -> None:
    """What is offered is the very request that was read: nothing walks through its parts."""
    request = parse(
        msgspec.json.encode({"model": "m/one", "input": [USER], "tools": [{"type": "function", "name": "f"}]})
    )
    assert not request.has_marks
    assert offered(request, endpoint()).request is request
    # Were it looked through, what it says of itself would not be believed.
    marks = marked({6})
    assert offered(replace(marks, has_marks=False, has_extensions=False), endpoint()).lost == ()


MARKED: dict[str, Any] = {"cache_control": MARK}
MARKED_BODIES: dict[str, tuple[Face, dict[str, Any]]] = {
    "responses, a part": (
        RESPONSES,
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a", **MARKED}]}]},
    ),
    "responses, a tool": (RESPONSES, {"input": "a", "tools": [{"type": "function", "name": "f", **MARKED}]}),
    "chat, a part": (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", **MARKED}]}]}),
    "chat, a message": (CHAT, {"messages": [{"role": "user", "content": "a", **MARKED}]}),
    "chat, the whole": (CHAT, {"messages": [{"role": "user", "content": "a"}], **MARKED}),
    "messages, a system block": (
        MESSAGES,
        {"system": [{"type": "text", "text": "a", **MARKED}], "messages": [{"role": "user", "content": "a"}]},
    ),
    "messages, the whole": (MESSAGES, {"messages": [{"role": "user", "content": "a"}], **MARKED}),
}


@pytest.mark.parametrize("body", MARKED_BODIES)
def test_a_mark_is_noticed_at_every_door(body: str) -> None:
    face, members = MARKED_BODIES[body]
    request = face.parse(json.dumps({"model": "m", "max_tokens": 9, **members}).encode(), None, {}).request
    assert request.has_marks
    assert has_marks(request.input, request.tools)
    plain = json.dumps({"model": "m", "max_tokens": 9, **members}).replace(json.dumps(MARKED)[1:-1], '"x": 1')
    assert not face.parse(plain.encode(), None, {}).request.has_marks
