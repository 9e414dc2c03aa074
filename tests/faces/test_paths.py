"""Where a request says something, and where its client wrote that, in the words of its API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from trunkline.faces.chat.face import CHAT
from trunkline.faces.contract import Face
from trunkline.faces.messages.face import MESSAGES
from trunkline.protocol.places import placed_media
from trunkline.protocol.reading import Step

Json = Any

DATA = "iVBORw0KGgo="
URL = f"data:image/png;base64,{DATA}"
PICTURE = {"type": "image_url", "image_url": {"url": URL}}
CALLING = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}
FUNCTION = {"type": "function", "function": {"name": "f"}}
SHOWN = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}
DOCUMENT = {
    "type": "document",
    "context": "of kites",
    "source": {"type": "content", "content": [{"type": "text", "text": "See"}, SHOWN, SHOWN]},
}
USE = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def text(said: str) -> Json:
    return {"type": "text", "text": said}


@dataclass(frozen=True)
class Media:
    """A conversation, and the paths of its media, each with that of the member that holds it."""

    id: str
    face: Face
    messages: Json
    paths: list[tuple[str, str]]


MEDIA = [
    Media(
        "a message that is one item",
        CHAT,
        [{"role": "user", "content": [text("See"), PICTURE]}],
        [("messages[0].content[1]", "messages[0].content[1].image_url")],
    ),
    Media(
        "messages after one that came to several items, and after one that came to none",
        CHAT,
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": "Wait", "reasoning": "Hm", "tool_calls": [CALLING]},
            {"role": "tool", "tool_call_id": "c", "content": [text("See"), PICTURE]},
            {"role": "user", "content": [PICTURE]},
        ],
        [
            ("messages[3].content[1]", "messages[3].content[1].image_url"),
            ("messages[4].content[0]", "messages[4].content[0].image_url"),
        ],
    ),
    Media(
        "a picture of the assistant's, of which the message is certain",
        CHAT,
        [
            {"role": "user", "content": "Draw"},
            {"role": "assistant", "content": "Here", "images": [PICTURE]},
            {"role": "user", "content": "Again"},
        ],
        [("messages[1]", "messages[1]")],
    ),
    Media(
        "blocks of one message",
        MESSAGES,
        [{"role": "user", "content": [text("See"), SHOWN]}],
        [("messages.0.content.1", "messages.0.content.1.source")],
    ),
    Media(
        "blocks that came to several parts, and one after them",
        MESSAGES,
        [{"role": "user", "content": [DOCUMENT, text("And"), SHOWN]}],
        [
            ("messages.0.content.0", "messages.0.content.0.source"),
            ("messages.0.content.0", "messages.0.content.0.source"),
            ("messages.0.content.2", "messages.0.content.2.source"),
        ],
    ),
    Media(
        "blocks after one that is an item of its own",
        MESSAGES,
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [text("Wait"), USE]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c", "content": [text("See"), SHOWN]},
                    text("And"),
                    SHOWN,
                ],
            },
        ],
        [
            ("messages.2.content.0.content.1", "messages.2.content.0.content.1.source"),
            ("messages.2.content.2", "messages.2.content.2.source"),
        ],
    ),
    Media(
        "a result of which the block alone is certain",
        MESSAGES,
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [USE]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [DOCUMENT, SHOWN]}]},
        ],
        [("messages.2.content.0", "messages.2.content.0")] * 3,
    ),
]


def paths_of(face: Face, **members: Json) -> Any:
    return face.parse(json.dumps({"model": "m", **members}).encode(), None, {}).request


@pytest.mark.parametrize("case", MEDIA, ids=lambda case: case.id)
def test_media_are_told_where_the_client_wrote_them(case: Media) -> None:
    limit = {"max_tokens": 9} if case.face is MESSAGES else {}
    request = paths_of(case.face, messages=case.messages, **limit)
    assert [(placed.path, placed.path_of("image_url")) for placed in placed_media(request)] == case.paths


@dataclass(frozen=True)
class Member:
    id: str
    face: Face
    members: Json
    steps: tuple[Step, ...]
    path: str


MEMBERS = [
    Member("the limit where none is said", CHAT, {}, ("max_output_tokens",), "max_completion_tokens"),
    Member("the limit by its older name", CHAT, {"max_tokens": 9}, ("max_output_tokens",), "max_tokens"),
    Member(
        "the limit by both",
        CHAT,
        {"max_tokens": 9, "max_completion_tokens": 9},
        ("max_output_tokens",),
        "max_completion_tokens",
    ),
    Member("the tools", CHAT, {"tools": [FUNCTION]}, ("tools",), "tools"),
    Member("a tool", CHAT, {"tools": [FUNCTION]}, ("tools", 0), "tools[0]"),
    Member("the older functions", CHAT, {"functions": [{"name": "f"}]}, ("tools",), "functions"),
    Member("a search beside nothing", CHAT, {"web_search_options": {}}, ("tools",), "web_search_options"),
    Member("a search beside tools", CHAT, {"tools": [FUNCTION], "web_search_options": {}}, ("tools",), "tools"),
    Member("all that is said", CHAT, {}, ("input",), "messages"),
    Member("a plain message", CHAT, {}, ("input", 0), "messages[0]"),
    Member("what has one name everywhere", CHAT, {}, ("model",), "model"),
    Member("the limit", MESSAGES, {"max_tokens": 9}, ("max_output_tokens",), "max_tokens"),
    Member("a tool of Anthropic's form", MESSAGES, {"max_tokens": 9, "tools": [TOOL]}, ("tools", 0), "tools.0"),
    Member("all messages", MESSAGES, {"max_tokens": 9}, ("input",), "messages"),
    Member("a text, for which no places are kept", MESSAGES, {"max_tokens": 9}, ("input", 0), "messages"),
]


@pytest.mark.parametrize("case", MEMBERS, ids=lambda case: case.id)
def test_members_are_told_by_the_names_that_the_client_used(case: Member) -> None:
    request = paths_of(case.face, **{"messages": [{"role": "user", "content": "Hi"}], **case.members})
    assert request.paths.spelled(*case.steps) == case.path


@pytest.mark.parametrize("face", [CHAT, MESSAGES], ids=lambda face: face.name)
def test_a_conversation_of_texts_keeps_no_places(face: Face) -> None:
    turns = [{"role": role, "content": "Hi"} for _ in range(9) for role in ("user", "assistant")]
    bodies = ({"messages": turns[:count], "max_completion_tokens": 9, "max_tokens": 9} for count in (1, 17))
    short, long = (paths_of(face, **body) for body in bodies)
    assert short.paths == long.paths
