"""What is found wrong after a body was read is told where the client wrote it, whichever API it speaks.

A table of errors, each with a body for every API that can make it, and the path that the error has there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream

Json = Any

DOORS = {
    "responses": "/api/v1/responses",
    "chat": "/api/v1/chat/completions",
    "messages": "/api/v1/messages",
}

NOWHERE = "http://no.such.name.example/x.png"
STORED = "gs://bucket/x.png"
BROKEN = base64.b64encode(b"PK\x03\x04 no archive").decode()
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SCHEMA: Json = {"type": "object"}
LONG = "kite " * 2_000


@dataclass(frozen=True)
class Body:
    """What is sent by one API beside the model, where the error says that it is wrong, and words of its message."""

    members: dict[str, Json]
    path: str
    words: str = ""


@dataclass(frozen=True)
class Case:
    id: str
    model: str
    bodies: dict[str, Body]
    status: int = 400
    is_planned: bool = field(default=True)
    """Found before anybody is asked, so that an explanation tells it, too."""


def user(*content: Json) -> Json:
    return {"role": "user", "content": list(content)}


def part(text: str, kind: str = "text") -> Json:
    return {"type": kind, "text": text}


def picture(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


def shown(url: str) -> Json:
    return {"type": "image", "source": {"type": "url", "url": url}}


def pictures(url: str) -> dict[str, Body]:
    """A link to a picture as the second part of what is said after a turn with a call."""
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "sunny"}
    asked = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}
    responses = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Wait."},
        call,
        result,
        user(part("And", "input_text"), {"type": "input_image", "image_url": url}),
    ]
    chat = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Wait.", "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
        user(part("And"), picture(url)),
    ]
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [part("Wait."), {"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        user({"type": "tool_result", "tool_use_id": "c", "content": "sunny"}, part("And"), shown(url)),
    ]
    return {
        "responses": Body({"input": responses}, "input[4].content[1].image_url"),
        "chat": Body({"messages": chat}, "messages[3].content[1].image_url"),
        "messages": Body({"system": "Be kind.", "messages": messages}, "messages.2.content.2.source"),
    }


def results(url: str) -> dict[str, Body]:
    """A link to a picture in what a tool gave back."""
    output = [part("Look", "input_text"), {"type": "input_image", "image_url": url}]
    responses = [
        {"role": "user", "content": "Hi"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": output},
    ]
    asked = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}
    chat = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "c", "content": [part("Look"), picture(url)]},
    ]
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        user({"type": "tool_result", "tool_use_id": "c", "content": [part("Look"), shown(url)]}),
    ]
    return {
        "responses": Body({"input": responses}, "input[2].output[1].image_url"),
        "chat": Body({"messages": chat}, "messages[3].content[1].image_url"),
        "messages": Body({"messages": messages}, "messages.2.content.0.content.1.source"),
    }


def failed_results(url: str) -> dict[str, Body]:
    """A link in what a tool gave back that failed, which is said to this provider by one more part."""
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        user({"type": "tool_result", "tool_use_id": "c", "is_error": True, "content": [shown(url)]}),
    ]
    return {"messages": Body({"messages": messages}, "messages.2.content.0.content.0.source")}


def files(data: str) -> dict[str, Body]:
    """A damaged file, behind a document that came to two parts."""
    url = f"data:{WORD};base64,{data}"
    file = {"type": "input_file", "filename": "a.docx", "file_data": url}
    source = {"type": "base64", "media_type": WORD, "data": data}
    text = {"type": "text", "media_type": "text/plain", "data": "Kites."}
    messages = user(
        {"type": "document", "source": text, "context": "of kites"},
        {"type": "document", "title": "a.docx", "source": source},
    )
    return {
        "responses": Body({"input": [user(part("Read", "input_text"), file)]}, "input[0].content[1]"),
        "chat": Body(
            {"messages": [user(part("Read"), {"type": "file", "file": {"filename": "a.docx", "file_data": url}})]},
            "messages[0].content[1]",
        ),
        "messages": Body({"messages": [messages]}, "messages.0.content.1"),
    }


def texts(text: str, **members: Json) -> dict[str, dict[str, Json]]:
    """One text by each API."""
    messages = [{"role": "user", "content": text}]
    return {
        "responses": {"input": text, **members},
        "chat": {"messages": messages, **members},
        "messages": {"messages": messages, **members},
    }


def at(paths: dict[str, str], bodies: dict[str, dict[str, Json]], words: str = "") -> dict[str, Body]:
    return {door: Body(bodies[door], path, words) for door, path in paths.items()}


HI = [{"role": "user", "content": "Hi"}]
BEGUN = [*HI, {"role": "assistant", "content": "It is"}]

CASES = [
    Case("a link that leads nowhere", "wire/sees", pictures(NOWHERE), is_planned=False),
    Case("a link that a tool gave back", "wire/sees", results(NOWHERE), is_planned=False),
    Case("a link that a failed tool gave back", "wire/sees", failed_results(NOWHERE), is_planned=False),
    Case("a link that nobody takes", "wire/sees", pictures(STORED)),
    Case("a damaged file", "wire/blind", files(BROKEN), is_planned=False),
    Case(
        "an input that is too long",
        "wire/small",
        at({"responses": "input", "chat": "messages", "messages": "messages"}, texts(LONG)),
    ),
    Case(
        "an answer that begins for who does not go on with it",
        "wire/sees",
        {
            "responses": Body({"input": [HI[0], {**BEGUN[1], "prefix": True}]}, "input"),
            "chat": Body({"messages": [HI[0], {**BEGUN[1], "prefix": True}]}, "messages"),
            "messages": Body({"messages": BEGUN}, "messages"),
        },
    ),
    Case(
        "a search that nobody can make",
        "wire/sees",
        {
            "responses": Body({"input": "Hi", "tools": [{"type": "web_search"}]}, "tools"),
            "chat": Body({"messages": HI, "tools": [{"type": "web_search"}]}, "tools"),
            "messages": Body(
                {"messages": HI, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools"
            ),
        },
    ),
    Case(
        "a search that is asked for beside the tools",
        "wire/sees",
        {"chat": Body({"messages": HI, "web_search_options": {}}, "web_search_options")},
    ),
    Case(
        "a tool that only its maker knows",
        "wire/sees",
        {
            "responses": Body({"input": "Hi", "tools": [{"type": "code_interpreter", "container": {}}]}, "tools[0]"),
            "messages": Body(
                {
                    "messages": HI,
                    "tools": [
                        {"name": "f", "input_schema": SCHEMA},
                        {"type": "code_execution_20250825", "name": "code_execution"},
                    ],
                },
                "tools.1",
            ),
        },
    ),
    Case(
        "a longer answer than anybody writes",
        "wire/terse",
        {
            "responses": Body({"input": "Hi", "max_output_tokens": 99}, "", "as max_output_tokens asks for"),
            "chat": Body({"messages": HI, "max_completion_tokens": 99}, "", "as max_completion_tokens asks for"),
        },
        status=404,
    ),
    Case(
        "a longer answer than anybody writes, by the older name",
        "wire/terse",
        {"chat": Body({"messages": HI, "max_tokens": 99}, "", "Without max_tokens, ")},
        status=404,
    ),
]


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG + PROVIDER.format(name="wire-chat", dialect="chat", url=f"{upstream.url}/chat/v1")
    for model, more in {
        "sees": 'input_modalities = ["text", "image"]\n',
        "blind": 'input_modalities = ["text"]\n',
        "small": "",
        "short": "",
        "terse": "max_output_tokens = 10\n",
    }.items():
        endpoint = ENDPOINT.format(provider="wire-chat", model=f"wire/{model}") + more
        context_tokens = {"small": 500, "short": 8_000}.get(model, 128_000)
        config += endpoint.replace("context_tokens = 128000", f"context_tokens = {context_tokens}")
    with running(tmp_path_factory.mktemp("paths"), config, MOCK_KEY=PROVIDER_KEY) as found:
        yield found


def cases() -> Iterator[Any]:
    for case in CASES:
        for door in case.bodies:
            yield pytest.param(case, door, id=f"{case.id}, at {door}")


def body_of(case: Case, door: str) -> Json:
    limit = {"max_tokens": 9} if door == "messages" else {}
    return {"model": case.model, **limit, **case.bodies[door].members}


@pytest.mark.parametrize(("case", "door"), [*cases()])
def test_an_error_names_the_place_that_the_client_wrote(case: Case, door: str, gateway: Gateway) -> None:
    asked = case.bodies[door]
    reply = gateway.call(body_of(case, door), path=DOORS[door])
    assert reply.status == case.status, reply.body
    error = reply.json["error"]
    more = error.get("metadata", error.get("details", {}))
    assert more.get("param", "") == asked.path
    if door == "chat":
        assert error["param"] == (asked.path or None)
    if door == "messages":
        assert asked.path in error["message"] or error["message"].startswith("prompt is too long: ")
        assert "truncation" not in error["message"]  # which its clients cannot ask for
    assert asked.words in error["message"]
    foreign = {"responses": "messages", "chat": "input[", "messages": "input["}[door]
    assert foreign not in error["message"]


@pytest.mark.parametrize(("case", "door"), [each for each in cases() if each.values[0].is_planned])
def test_an_explanation_tells_the_same_place(case: Case, door: str, gateway: Gateway) -> None:
    asked = case.bodies[door]
    reply = gateway.call(body_of(case, door), path=f"{DOORS[door]}/explain")
    assert reply.status == 200, reply.body
    error = reply.json["error"]
    assert error["metadata"].get("param", "") == asked.path
    assert asked.words in error["message"]


@pytest.mark.parametrize("door", DOORS)
def test_an_explanation_names_files_where_the_client_wrote_them(door: str, gateway: Gateway) -> None:
    asked = files(BROKEN)[door]
    limit = {"max_tokens": 9} if door == "messages" else {}
    reply = gateway.call({"model": "wire/blind", **limit, **asked.members}, path=f"{DOORS[door]}/explain")
    told = [each["path"] for each in reply.json["plugins"]["files"]]
    assert told == [asked.path]


@pytest.mark.parametrize("door", ["responses", "chat"])
def test_what_is_left_out_of_a_long_input_shifts_no_path(door: str, gateway: Gateway) -> None:
    """The oldest turns go; the link that leads nowhere stands where the client wrote it."""
    turns = [{"role": role, "content": LONG} for _ in range(2) for role in ("user", "assistant")]
    wrong, name, path = {
        "responses": (
            user({"type": "input_image", "image_url": NOWHERE}),
            "input",
            "input[4].content[0].image_url",
        ),
        "chat": (user(picture(NOWHERE)), "messages", "messages[4].content[0].image_url"),
    }[door]
    body = {"model": "wire/short", "truncation": "auto", name: [*turns, wrong]}
    reply = gateway.call(body, path=DOORS[door])
    assert reply.status == 400, reply.body
    assert reply.json["error"]["metadata"]["param"] == path
