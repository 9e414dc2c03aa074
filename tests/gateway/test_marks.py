"""What clients mark for a provider's cache: each mark is on the wire where it stood, or named, and never elsewhere.

One gateway with providers for each dialect. The table says where each mark goes; what has no place in it is named as
dropped, and the provider gets exactly what it would have got without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.checks import error_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_members import DIALECTS, WHOLE
from tests.gateway.test_quirks import CONFIG, as_toml, at
from tests.gateway.upstream import Upstream, whole

KINDS: dict[str, tuple[str, dict[str, Any], str]] = {
    **{dialect: (dialect, {}, "") for dialect in DIALECTS},
    "marking chat": ("chat", {"has_cache_marks": True}, ""),
    "claude": ("converse", {"has_cache_points": True, "has_cache_hours": True}, ""),
    "old claude": ("converse", {"has_cache_points": True}, ""),
    "nova": ("converse", {"has_cache_points": True, "has_tool_cache_points": False}, ""),
    "deaf messages": ("messages", {}, 'rejects = ["cache_control"]\n'),
    "messages that are off": ("messages", {}, 'prompt_caching = "off"\n'),
}
"""Endpoints: the dialect, quirks, and what else is set."""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG + "[providers.fake-provider]\nenabled = true\n"
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"as-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
    for number, (dialect, quirks, more) in enumerate(KINDS.values()):
        config += ENDPOINT.format(provider=f"as-{dialect}", model=f"marks/{number}")
        config += f"quirks = {as_toml(quirks)}\n{more}"
    with running(tmp_path_factory.mktemp("marks"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@dataclass(frozen=True)
class Told:
    """What the provider got, and what the client heard was lost."""

    sent: Any
    dropped: list[str]


@pytest.fixture
def told(gateway: Gateway, upstream: Upstream, nonce: str) -> Any:
    def run(kind: str, members: dict[str, Any]) -> Told:
        dialect = KINDS[kind][0]
        upstream.play(nonce, whole(WHOLE[dialect]))
        body = json.dumps({"model": f"marks/{list(KINDS).index(kind)}", **members}).replace("NONCE", nonce)
        reply = gateway.call(body.encode())
        response_of(reply)
        dropped = reply.headers.get("x-trunkline-dropped")
        sent = json.loads(upstream.seen(nonce)[-1].body.replace(nonce.encode(), b"NONCE"))
        return Told(sent, dropped.split(", ") if dropped else [])

    return run


MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
POINT = {"cachePoint": {"type": "default"}}
PNG = "data:image/png;base64,iVBORw0KGgo="
USER = {"role": "user", "content": "NONCE"}
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "Nothing."}
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


def said(text: str, mark: dict[str, str] | None = MARK, kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": text} | ({"cache_control": mark} if mark else {})


def block(text: str, mark: dict[str, str] | None = MARK) -> dict[str, Any]:
    return said(text, mark, "text")


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def system(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "system", "content": list(parts)}


Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Case:
    """A marked request, and by endpoint what of the provider's request shows the mark; elsewhere it is lost."""

    id: str
    asked: dict[str, Any]
    places: dict[str, tuple[Place, Any]] = field(default_factory=dict)


TEXT = {"text": "NONCE"}
CASES = [
    Case(
        "words of the user",
        {"input": [user(said("NONCE"), said("Now?", None))]},
        {
            "messages": (("messages", 0, "content"), [block("NONCE"), block("Now?", None)]),
            "marking chat": (("messages", 0, "content"), [block("NONCE"), block("Now?", None)]),
            **dict.fromkeys(
                ("claude", "old claude", "nova"), (("messages", 0, "content"), [TEXT, POINT, {"text": "Now?"}])
            ),
        },
    ),
    Case(
        "one text alone",
        {"input": [user(said("NONCE"))]},
        {
            "messages": (("messages", 0, "content"), [block("NONCE")]),
            "marking chat": (("messages", 0, "content"), [block("NONCE")]),
            **dict.fromkeys(("claude", "old claude", "nova"), (("messages", 0, "content"), [TEXT, POINT])),
        },
    ),
    Case(
        "a picture",
        {"input": [user(said("NONCE", None), {"type": "input_image", "image_url": PNG, "cache_control": MARK})]},
        {
            "messages": (("messages", 0, "content", 1, "cache_control"), MARK),
            "marking chat": (
                ("messages", 0, "content", 1),
                {"type": "image_url", "image_url": {"url": PNG}, "cache_control": MARK},
            ),
            **dict.fromkeys(("claude", "old claude", "nova"), (("messages", 0, "content", 2), POINT)),
        },
    ),
    Case(
        "parts of a system message",
        {"input": [system(said("A ", None), said("B\n"), said("C", None)), USER]},
        {
            "messages": (("system",), [block("A ", None), block("B\n"), block("C", None)]),
            "marking chat": (("messages", 0, "content"), [block("A ", None), block("B\n"), block("C", None)]),
            **dict.fromkeys(
                ("claude", "old claude", "nova"), (("system",), [{"text": "A "}, {"text": "B\n"}, POINT, {"text": "C"}])
            ),
        },
    ),
    Case(
        "a system message behind instructions",
        {"instructions": "I", "input": [system(said("A")), system(said("B", None)), USER]},
        {
            "messages": (("system",), [block("I", None), block("A"), block("B", None)]),
            "marking chat": (("messages", 0, "content"), [block("I", None), block("A"), block("B", None)]),
            **dict.fromkeys(
                ("claude", "old claude", "nova"), (("system",), [{"text": "I"}, {"text": "A"}, POINT, {"text": "B"}])
            ),
        },
    ),
    Case(
        "a system message in the middle",
        {"input": [USER, system(said("A"), said("B", None))]},
        {
            "messages": (
                ("messages", 0, "content"),
                [block("NONCE", None), block("[System note]\nA"), block("B", None)],
            ),
            "marking chat": (("messages", 1, "content"), [block("[System note]\nA"), block("B", None)]),
            **dict.fromkeys(
                ("claude", "old claude", "nova"),
                (("messages", 0, "content"), [TEXT, {"text": "[System note]\nA"}, POINT, {"text": "B"}]),
            ),
        },
    ),
    Case(
        "nothing but a system message",
        {"input": [system(said("NONCE"))]},
        {
            "messages": (("messages", 0, "content"), [block("NONCE")]),
            "marking chat": (("messages", 0), {"role": "system", "content": [block("NONCE")]}),
            **dict.fromkeys(("claude", "old claude", "nova"), (("messages", 0, "content"), [TEXT, POINT])),
        },
    ),
    Case(
        "words of the model, cut where the mark stands",
        {
            "input": [
                USER,
                {
                    "role": "assistant",
                    "content": [
                        said("A", None, "output_text"),
                        said("B \n", MARK, "output_text"),
                        said("C ", None, "output_text"),
                    ],
                },
                user(said("Go on.", None)),
            ]
        },
        {
            "messages": (("messages", 1, "content"), [block("AB \n"), block("C", None)]),
            "marking chat": (("messages", 1, "content"), [block("AB \n"), block("C ", None)]),
            **dict.fromkeys(
                ("claude", "old claude", "nova"),
                (("messages", 1, "content"), [{"text": "AB \n"}, POINT, {"text": "C"}]),
            ),
        },
    ),
    Case(
        "a call",
        {"input": [USER, {**CALL, "cache_control": MARK}, RESULT], "tools": [TOOL]},
        {
            "messages": (("messages", 1, "content", 0, "cache_control"), MARK),
            **dict.fromkeys(("claude", "old claude"), (("messages", 1, "content", 1), POINT)),
        },
    ),
    Case(
        "a result",
        {"input": [USER, CALL, {**RESULT, "cache_control": MARK}], "tools": [TOOL]},
        {
            "messages": (("messages", 2, "content", 0, "cache_control"), MARK),
            "marking chat": (("messages", 2, "content"), [block("Nothing.")]),
            **dict.fromkeys(("claude", "old claude"), (("messages", 2, "content", 1), POINT)),
        },
    ),
    Case(
        "the end of a result in parts",
        {"input": [USER, CALL, {**RESULT, "output": [said("A", None), said("B")]}], "tools": [TOOL]},
        {
            "messages": (("messages", 2, "content", 0, "content"), [block("A", None), block("B")]),
            "marking chat": (("messages", 2, "content"), [block("A\nB")]),
            **dict.fromkeys(("claude", "old claude"), (("messages", 2, "content", 1), POINT)),
        },
    ),
    Case(
        "the middle of a result in parts",
        {"input": [USER, CALL, {**RESULT, "output": [said("A"), said("B", None)]}], "tools": [TOOL]},
        {"messages": (("messages", 2, "content", 0, "content"), [block("A"), block("B", None)])},
    ),
    Case(
        "a tool",
        {"input": [USER], "tools": [{**TOOL, "cache_control": MARK}, {**TOOL, "name": "see"}]},
        {
            "messages": (("tools", 0, "cache_control"), MARK),
            "marking chat": (("tools", 0, "cache_control"), MARK),
            **dict.fromkeys(("claude", "old claude"), (("toolConfig", "tools", 1), POINT)),
        },
    ),
    Case(
        "a tool in words that not all know",
        {
            "input": [USER],
            "tools": [{"type": "namespace", "name": "mcp", "tools": [{**TOOL, "cache_control": MARK}]}],
        },
        {
            "messages": (("tools", 0, "cache_control"), MARK),
            "marking chat": (("tools", 0, "cache_control"), MARK),
            **dict.fromkeys(("claude", "old claude"), (("toolConfig", "tools", 1), POINT)),
        },
    ),
    Case("a blank", {"input": [user(said("NONCE", None), said(" \n"))]}),
]


def unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: unmarked(member) for name, member in value.items() if name != "cache_control"}
    return [unmarked(member) for member in value] if isinstance(value, list) else value


def marks_in(value: Any) -> int:
    if isinstance(value, dict):
        return sum(1 if name in ("cache_control", "cachePoint") else marks_in(each) for name, each in value.items())
    return sum(marks_in(each) for each in value) if isinstance(value, list) else 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_mark_stands_where_it_stood_or_is_named(case: Case, kind: str, told: Any) -> None:
    ran = told(kind, case.asked)
    if kind in case.places:
        place, value = case.places[kind]
        assert at(ran.sent, place) == value
        assert ran.dropped == []
        assert marks_in(ran.sent) == 1, "the client's mark, and none of ours"
    else:
        assert ran.dropped == ["cache_control"]
        # Where other marks are taken, ours are not set in the place of one that is lost.
        assert marks_in(ran.sent) == 0 or case.id == "a blank"
        if kind not in ("marking chat", "nova", "claude", "old claude") and case.id != "a blank":
            before = unmarked(case.asked)
            off = "messages that are off" if kind == "deaf messages" else kind
            assert ran.sent == told(off, before).sent


LONG = {"input": [user(said("NONCE", HOUR), said("Now?", {**MARK, "ttl": "5m"}))]}


def test_how_long_a_mark_lasts_is_told_where_it_is_known(told: Any) -> None:
    assert at(told("messages", LONG).sent, ("messages", 0, "content")) == [
        block("NONCE", HOUR),
        block("Now?", {**MARK, "ttl": "5m"}),
    ]
    points = [{"cachePoint": {"type": "default", "ttl": "1h"}}, POINT]
    assert at(told("claude", LONG).sent, ("messages", 0, "content")) == [TEXT, points[0], {"text": "Now?"}, points[1]]
    for kind in ("old claude", "nova"):
        ran = told(kind, LONG)
        assert at(ran.sent, ("messages", 0, "content")) == [TEXT, POINT, {"text": "Now?"}, POINT]
        assert ran.dropped == ["cache_control.ttl"]


@pytest.mark.parametrize("kind", ["messages", "claude", "marking chat"])
def test_of_more_than_four_marks_the_first_go(kind: str, told: Any) -> None:
    asked = {
        "tools": [{**TOOL, "cache_control": MARK}],
        "input": [system(said("A"), said("B")), user(*(said(text) for text in ("NONCE", "C", "D")))],
    }
    ran = told(kind, asked)
    assert marks_in(ran.sent) == 4
    assert marks_in(ran.sent.get("tools") or ran.sent.get("toolConfig")) == 0
    first = {"messages": ("system", 0), "claude": ("system", 0), "marking chat": ("messages", 0, "content", 0)}[kind]
    assert marks_in(at(ran.sent, first)) == 0
    assert ran.dropped == ["cache_control"]


def test_a_document_that_is_no_pdf_carries_no_mark_at_Bedrock(told: Any) -> None:
    """https://github.com/strands-agents/harness-sdk/issues/1966, seen 2026-11-27."""
    file = {"type": "input_file", "filename": "a.csv", "file_data": "data:text/csv;base64,YSxi", "cache_control": MARK}
    ran = told("claude", {"input": [user(said("NONCE", None), file)]})
    assert (marks_in(ran.sent), ran.dropped) == (0, ["cache_control"])


def test_a_mark_of_the_clients_goes_before_the_key(told: Any) -> None:
    asked = {"input": [user(said("NONCE"), said("Now?", None))], "prompt_cache_key": "talk", "instructions": "I"}
    for kind in ("messages", "claude"):
        ran = told(kind, asked)
        assert (marks_in(ran.sent), ran.dropped) == (1, [])


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"cache_control": {"type": "ephemeral", "ttl": "2h"}}, "input[0].content[0].cache_control.ttl"),
        ({"cache_control": {"type": "forever"}}, "input[0].content[0].cache_control.type"),
        ({"cache_control": "ephemeral"}, "input[0].content[0].cache_control"),
    ],
    ids=["a time that there is not", "a kind that there is not", "no object"],
)
def test_a_mark_that_is_none_is_refused(part: dict[str, Any], path: str, gateway: Gateway) -> None:
    reply = gateway.call({"model": "marks/0", "input": [user({**said("Hi", None), **part})]})
    assert error_of(reply, 400)["metadata"]["param"] == path


def test_no_mark_is_a_null(told: Any) -> None:
    assert told("messages", {"input": [user({**said("NONCE", None), "cache_control": None})]}).dropped == []


def test_FakeProvider_has_no_cache(gateway: Gateway) -> None:
    reply = gateway.call({"model": "fake/echo", "input": [user(said("Hi"))]})
    assert reply.headers["x-trunkline-dropped"] == "cache_control"
