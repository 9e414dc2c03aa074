"""What a client of Chat Completions is told of single answers, row by row; how they end is `test_telling_end.py`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faces.chat.grammar import check_chunks, check_completion
from tests.faces.chat.play import PLAIN, body_of, chunks_of, told
from tests.stream.deltas_strategy import MODEL, PRICED
from trunkline.faces.chat.form import ChatForm
from trunkline.protocol.items import FileCitation, FilePath, UrlCitation
from trunkline.protocol.opaque import ServerItem
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Citation,
    Closed,
    Delta,
    FunctionCall,
    Image,
    Opaque,
    Phase,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.stream.seals import CLAUDE_FORMAT, Seal, seal

Json = Any
Told = dict[str, Json]
NO_THOUGHTS = ChatForm(tells_thoughts=False)
OLDER = ChatForm(calls_function=True)
STOP, CALLS = Stopped("stop"), Stopped("calls")


def thought(text: str, index: int = 0, *, plain: str | None = None) -> Told:
    detail = {"type": "reasoning.text", "text": text, "index": index}
    return {"reasoning": plain or text, "reasoning_content": plain or text, "reasoning_details": [detail]}


def summary(text: str, index: int = 0, *, plain: str | None = None) -> Told:
    detail = {"type": "reasoning.summary", "summary": text, "index": index}
    return {"reasoning": plain or text, "reasoning_content": plain or text, "reasoning_details": [detail]}


def proof(**detail: Json) -> Told:
    return {"reasoning_details": [{"index": 0, **detail}]}


def begun(index: int, call_id: str, name: str = "look") -> Told:
    call = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    return {"tool_calls": [call]}


def more(index: int, text: str) -> Told:
    return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}


def cited(url: str, start: int, end: int, index: int = 0) -> Told:
    page = {"url": url, "title": "", "start_index": start, "end_index": end}
    return {"annotations": [{"type": "url_citation", "url_citation": page, "index": index}]}


def text(said: str) -> Told:
    return {"content": said}


@dataclass(frozen=True)
class Case:
    """`heard` between `Began` and the end that `stop` is; `told` are the deltas, `message` members of the whole one."""

    id: str
    heard: Sequence[Delta]
    told: Sequence[Told]
    stop: Stopped = STOP
    reason: str = "stop"
    message: Told = field(default_factory=dict)
    form: ChatForm = PLAIN


CLAUDE = CLAUDE_FORMAT
CASES = [
    Case(
        "a call is told in the older form to who offered functions, and no other",
        [FunctionCall(0, "c1", "look"), Arguments(0, '{"a"'), FunctionCall(1, "c2", "see"), Arguments(0, ":1}")],
        [
            {"function_call": {"name": "look", "arguments": ""}},
            {"function_call": {"arguments": '{"a"'}},
            {"function_call": {"arguments": ":1}"}},
        ],
        CALLS,
        "function_call",
        {"content": None, "function_call": {"name": "look", "arguments": '{"a":1}'}},
        OLDER,
    ),
    Case(
        "a call in the older form is called with something",
        [FunctionCall(0, "c1", "look")],
        [{"function_call": {"name": "look", "arguments": ""}}, {"function_call": {"arguments": "{}"}}],
        CALLS,
        "function_call",
        {"function_call": {"name": "look", "arguments": "{}"}},
        OLDER,
    ),
    Case(
        "half a call in the older form is none",
        [FunctionCall(0, "c1", "look"), Arguments(0, '{"a"')],
        [{"function_call": {"name": "look", "arguments": ""}}, {"function_call": {"arguments": '{"a"'}}],
        Stopped("length"),
        "length",
        {"content": ""},
        OLDER,
    ),
    Case("an answer without a word has empty content", [], [], message={"content": ""}),
    Case("text is told as it comes", [Text(0, "Hel"), Text(0, "lo")], [text("Hel"), text("lo")]),
    Case("a text without characters says nothing", [Text(0, "")], []),
    Case("texts of two slots are one content", [Text(0, "a"), Text(1, "b")], [text("a"), text("b")]),
    Case("a phase has no words", [Phase(0, "commentary"), Text(0, "a")], [text("a")]),
    Case("a refusal is told apart from content", [Refusal(0, "No.")], [{"refusal": "No."}], message={"content": None}),
    Case("a raw thought has three names", [Reasoning(0, "hm")], [thought("hm")]),
    Case("a summary is told as one", [ReasoningSummary(0, "hm")], [summary("hm")]),
    Case(
        "a gap stands between the parts of a summary",
        [ReasoningSummary(0, "a", 0), ReasoningSummary(0, "b", 1)],
        [summary("a"), summary("\n\nb")],
    ),
    Case(
        "a gap stands between two thoughts in the plain names, and not in their details",
        [Reasoning(0, "a"), Reasoning(1, "b"), Reasoning(1, "c")],
        [thought("a"), thought("b", 1, plain="\n\nb"), thought("c", 1)],
    ),
    Case(
        "a gap stands before a summary of what was thought",
        [Reasoning(0, "a"), ReasoningSummary(0, "b"), ReasoningSummary(0, "c")],
        [thought("a"), summary("b", plain="\n\nb"), summary("c")],
    ),
    Case(
        "a gap stands between two summaries",
        [ReasoningSummary(0, "a"), ReasoningSummary(1, "b")],
        [summary("a"), summary("b", 1, plain="\n\nb")],
    ),
    Case(
        "a thought after text is another one",
        [Reasoning(0, "a"), Text(1, "b"), Reasoning(0, "c")],
        [thought("a"), text("b"), thought("c", 1, plain="\n\nc")],
    ),
    Case(
        "a thought that was closed does not go on",
        [Reasoning(0, "a"), Closed(0), Reasoning(0, "b")],
        [thought("a"), thought("b", 1, plain="\n\nb")],
    ),
    Case(
        "a signature of Claude's stands bare on its thought",
        [Reasoning(0, "hm"), ReasoningSeal(0, signature="c2ln", format=CLAUDE, endpoint_id="anthropic:m")],
        [thought("hm"), proof(type="reasoning.text", text="", signature="c2ln", format=CLAUDE)],
    ),
    Case(
        "a signature of Claude's without text is one all the same",
        [ReasoningSeal(0, signature="c2ln", format=CLAUDE, endpoint_id="anthropic:m")],
        [proof(type="reasoning.text", text="", signature="c2ln", format=CLAUDE)],
    ),
    Case(
        "a thought that Claude hides is encrypted",
        [ReasoningSeal(0, "YmxvYg", format=CLAUDE, endpoint_id="anthropic:m")],
        [proof(type="reasoning.encrypted", data="YmxvYg", format=CLAUDE)],
    ),
    Case(
        "a blob of another maker's says who gave it, and its id",
        [
            ReasoningSummary(0, "hm"),
            ReasoningSeal(0, "YmxvYg", format="openai-responses-v1", endpoint_id="openai:m", item_id="rs_1"),
        ],
        [
            summary("hm"),
            proof(
                type="reasoning.encrypted",
                data=seal(Seal(endpoint_id="openai:m", blob="YmxvYg", item_id="rs_1", form="openai-responses-v1")),
                format="openai-responses-v1",
                id="rs_1",
            ),
        ],
    ),
    Case(
        "a signature on hidden thought is encrypted, but for Claude's",
        [ReasoningSeal(0, signature="c2ln", format="google-gemini-v1", endpoint_id="google:m")],
        [
            proof(
                type="reasoning.encrypted",
                data=seal(Seal(endpoint_id="google:m", signature="c2ln", form="google-gemini-v1")),
                format="google-gemini-v1",
            )
        ],
    ),
    Case(
        "a late seal goes to its thought",
        [
            ReasoningSummary(0, "hm"),
            ReasoningSeal(0, format="google-gemini-v1", is_awaited=True),
            Text(1, "Hi"),
            ReasoningSeal(0, signature="c2ln", format="google-gemini-v1", endpoint_id="google:m"),
        ],
        [
            summary("hm"),
            text("Hi"),
            proof(
                type="reasoning.encrypted",
                data=seal(Seal(endpoint_id="google:m", signature="c2ln", form="google-gemini-v1")),
                format="google-gemini-v1",
            ),
        ],
    ),
    Case(
        "a proof says what of the answer was before its thought",
        [
            Text(0, "a"),
            FunctionCall(1, "call_a", "look"),
            ReasoningSeal(2, signature="c2ln", format=CLAUDE, endpoint_id="anthropic:m"),
        ],
        [
            text("a"),
            begun(0, "call_a"),
            proof(
                type="reasoning.text",
                text="",
                signature=seal(
                    Seal(endpoint_id="anthropic:m", signature="c2ln", form=CLAUDE, after_text=True, calls_before=1)
                ),
                format=CLAUDE,
            ),
            more(0, "{}"),
        ],
        CALLS,
        "tool_calls",
    ),
    Case(
        "of a seal without a proof the format is told",
        [ReasoningSummary(0, "hm"), ReasoningSeal(0, format="xai-responses-v1")],
        [summary("hm"), proof(type="reasoning.summary", summary="", format="xai-responses-v1")],
    ),
    Case("a seal that says nothing is nothing", [ReasoningSeal(0, "", "")], []),
    Case(
        "who wants no thoughts is told none, nor what seals them",
        [Reasoning(0, "a"), ReasoningSummary(1, "b"), ReasoningSeal(1, "blob"), Text(2, "c")],
        [text("c")],
        form=NO_THOUGHTS,
    ),
    Case(
        "a call begins with its name and goes on without",
        [FunctionCall(0, "call_a", "look"), Arguments(0, '{"a":'), Arguments(0, "1}")],
        [begun(0, "call_a"), more(0, '{"a":'), more(0, "1}")],
        CALLS,
        "tool_calls",
        {
            "content": None,
            "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}],
        },
    ),
    Case(
        "a custom call has its own words",
        [FunctionCall(0, "call_a", "run", "custom"), Arguments(0, "ls")],
        [
            {"tool_calls": [{"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "run", "input": ""}}]},
            {"tool_calls": [{"index": 0, "custom": {"input": "ls"}}]},
        ],
        CALLS,
        "tool_calls",
        {"tool_calls": [{"id": "call_a", "type": "custom", "custom": {"name": "run", "input": "ls"}}]},
    ),
    Case(
        "a custom call may say nothing",
        [FunctionCall(0, "c", "run", "custom")],
        [
            {"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "run", "input": ""}}]},
        ],
        CALLS,
        "tool_calls",
    ),
    Case(
        "a call of another API's tool is told as one of a function",
        [FunctionCall(0, "c", "", "tool_search"), Arguments(0, '{"q":1}')],
        [begun(0, "c", "tool_search"), more(0, '{"q":1}')],
        CALLS,
        "tool_calls",
    ),
    Case(
        "interleaved calls keep their indices",
        [
            FunctionCall("x", "call_a", "look"),
            FunctionCall("y", "call_b", "look"),
            Arguments("x", "{"),
            Arguments("y", "[1"),
            Arguments("x", "}"),
            Arguments("y", "]"),
        ],
        [begun(0, "call_a"), begun(1, "call_b"), more(0, "{"), more(1, "[1"), more(0, "}"), more(1, "]")],
        CALLS,
        "tool_calls",
    ),
    Case(
        "two calls in one slot are two calls",
        [FunctionCall(0, "call_a", "look"), Arguments(0, "1"), FunctionCall(0, "call_b", "look"), Arguments(0, "2")],
        [begun(0, "call_a"), more(0, "1"), begun(1, "call_b"), more(1, "2")],
        CALLS,
        "tool_calls",
    ),
    Case(
        "a call said again word for word is one",
        [FunctionCall(0, "call_a", "look"), Arguments(0, "1"), FunctionCall(0, "call_a", "look")],
        [begun(0, "call_a"), more(0, "1")],
        CALLS,
        "tool_calls",
    ),
    Case(
        "parallel calls without ids, or with one, get ours",
        [FunctionCall(n, call_id, "look") for n, call_id in enumerate(["", "", "same", "same"])],
        [
            *(begun(n, call_id) for n, call_id in enumerate(["call_000000", "call_000001", "same", "call_000002"])),
            *(more(n, "{}") for n in range(4)),
        ],
        CALLS,
        "tool_calls",
    ),
    Case(
        "late arguments reach their call after text",
        [FunctionCall(0, "call_a", "look"), Text(1, "so"), Arguments(0, "{}")],
        [begun(0, "call_a"), text("so"), more(0, "{}")],
        CALLS,
        "tool_calls",
    ),
    Case(
        "text before calls stays",
        [Text(0, "so"), FunctionCall(1, "c", "look"), Arguments(1, "{}")],
        [
            text("so"),
            begun(0, "c"),
            more(0, "{}"),
        ],
        CALLS,
        "tool_calls",
        {"content": "so"},
    ),
    Case("arguments of no call are nobody's", [Arguments(0, "{}")], []),
    Case(
        "arguments after the call was closed are too late",
        [
            FunctionCall(0, "c", "look"),
            Arguments(0, "{}"),
            Closed(0),
            Arguments(0, "x"),
        ],
        [begun(0, "c"), more(0, "{}")],
        CALLS,
        "tool_calls",
    ),
    Case(
        "null for no arguments is an empty object",
        [FunctionCall(0, "c", "look"), Arguments(0, "null")],
        [
            begun(0, "c"),
            more(0, "{}"),
        ],
        CALLS,
        "tool_calls",
    ),
    Case(
        "null among arguments is told",
        [FunctionCall(0, "c", "look"), *(Arguments(0, piece) for piece in ("[", "null", "]"))],
        [begun(0, "c"), *(more(0, piece) for piece in ("[", "null", "]"))],
        CALLS,
        "tool_calls",
    ),
    Case(
        "a call that stops as text does is a call",
        [FunctionCall(0, "c", "look"), Arguments(0, "{}")],
        [
            begun(0, "c"),
            more(0, "{}"),
        ],
        STOP,
        "tool_calls",
    ),
    Case("calls of which there is none are a plain end", [Text(0, "a")], [text("a")], CALLS, "stop"),
    Case(
        "a limit in a call leaves it out of the whole answer",
        [Text(0, "a"), FunctionCall(1, "c", "look"), Arguments(1, '{"a": 1}'), Closed(1)],
        [text("a"), begun(0, "c"), more(0, '{"a": 1}')],
        Stopped("length"),
        "length",
        {"content": "a", "tool_calls": None},
    ),
    Case(
        "a limit in a call that speaks again after text leaves it out",
        [FunctionCall(0, "a", "look"), Arguments(0, "{"), Text(1, "b"), Arguments(0, "1")],
        [begun(0, "a"), more(0, "{"), text("b"), more(0, "1")],
        Stopped("length"),
        "length",
        {"tool_calls": None},
    ),
    Case(
        "a limit in the second call of a slot leaves the first",
        [FunctionCall(0, "a", "look"), Arguments(0, "{}"), FunctionCall(0, "b", "look"), Arguments(0, "{")],
        [begun(0, "a"), more(0, "{}"), begun(1, "b"), more(1, "{")],
        Stopped("length"),
        "length",
        {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
    ),
    Case(
        "of two calls a limit cuts the one that spoke last",
        [*(FunctionCall(name, name, "look") for name in "ab"), Arguments("a", "{"), Closed("a"), Closed("b")],
        [begun(0, "a"), begun(1, "b"), more(0, "{"), more(1, "{}")],
        Stopped("length"),
        "length",
        {"tool_calls": [{"id": "b", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
    ),
    Case(
        "a limit in the second call leaves the first",
        [FunctionCall(0, "a", "look"), Closed(0), FunctionCall(1, "b", "look"), Arguments(1, "{")],
        [begun(0, "a"), begun(1, "b"), more(1, "{"), more(0, "{}")],
        Stopped("content_filter"),
        "content_filter",
        {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
    ),
    Case(
        "a limit in the text after a call leaves the call",
        [FunctionCall(0, "a", "look"), Arguments(0, "{}"), Text(1, "b")],
        [begun(0, "a"), more(0, "{}"), text("b")],
        Stopped("length"),
        "length",
        {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
    ),
    Case("the first reason counts", [Text(0, "a"), Stopped("length")], [text("a")], STOP, "length"),
    Case("a stop text is a stop", [Text(0, "a")], [text("a")], Stopped("stop", "END")),
    Case(
        "a citation counts from the beginning of its own text",
        [
            Text(0, "Öl. "),
            Citation(0, UrlCitation("u:a", "", 0, 2)),
            Search(1, "web", "completed"),
            Text(2, "Gas."),
            Citation(2, UrlCitation("u:b", "", 0, 3)),
        ],
        [text("Öl. "), cited("u:a", 0, 2), text("Gas."), cited("u:b", 4, 7, 1)],
    ),
    Case(
        "a text that goes on after a call counts anew",
        [
            Text(0, "a"),
            FunctionCall(1, "c", "look"),
            Arguments(1, "{}"),
            Text(0, "b"),
            Citation(0, UrlCitation("u:a", "", 0, 1)),
        ],
        [text("a"), begun(0, "c"), more(0, "{}"), text("b"), cited("u:a", 1, 2)],
        CALLS,
        "tool_calls",
    ),
    Case(
        "a text that goes on after it was closed counts anew",
        [Text(0, "a"), Closed(0), Text(0, "b"), Citation(0, UrlCitation("u:a", "", 0, 1))],
        [text("a"), text("b"), cited("u:a", 1, 2)],
    ),
    Case(
        "a page is cited once at one place",
        [Text(0, "a"), *[Citation(0, UrlCitation("u:a", "", 0, 1))] * 2],
        [text("a"), cited("u:a", 0, 1)],
    ),
    Case(
        "a citation before its text waits for it",
        [Text(0, "a"), Citation(1, UrlCitation("u:a", "", 0, 1)), Text(1, "b")],
        [text("a"), cited("u:a", 1, 2), text("b")],
    ),
    Case(
        "files have no words",
        [Text(0, "a"), Citation(0, FileCitation("f", "f.txt", 0)), Citation(0, FilePath("f", 0))],
        [text("a")],
    ),
    Case(
        "a picture is in its address, and sketches are not told",
        [Image(0, "", False), Image(0, "AAAA", False), Image(0, "AAAB", True), Image(1, "AAAC", True, "image/webp")],
        [
            {"images": [{"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}, "index": index}]}
            for index, (kind, data) in enumerate([("image/png", "AAAB"), ("image/webp", "AAAC")])
        ],
        message={"content": ""},
    ),
    Case(
        "what the provider ran is not told",
        [Search(0, "web", "completed", query="q"), Opaque(1, ServerItem({"type": "mcp_call"}), True), Text(2, "a")],
        [text("a")],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_answer_is_told(case: Case) -> None:
    deltas: list[Delta] = [Began(MODEL), *case.heard, case.stop, Spent(Usage(), PRICED)]
    chunks = chunks_of(deltas, case.form)
    check_chunks(chunks)
    assert told(deltas, case.form) == case.told
    assert chunks[-1]["choices"][0]["finish_reason"] == case.reason
    body = body_of(deltas, case.form)
    check_completion(body)
    [choice] = body["choices"]
    assert choice["finish_reason"] == case.reason
    assert {name: choice["message"].get(name) for name in case.message} == case.message
