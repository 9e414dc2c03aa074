"""The assembler: the exact events of each kind of item, how answers end, and the laws over any deltas whatever."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from tests.document import check_stream, independent_fold
from tests.stream.deltas_strategy import (
    ANY_DELTAS,
    ENDED,
    MODEL,
    PRICED,
    STARTED,
    UNSTOPPED_DELTAS,
    answers,
    assemble,
    assembler,
    kind,
    reads,
)
from trunkline.errors import BadGateway, BadRequest, GatewayError, TooManyRequests
from trunkline.faces.responses.assemble import _HEAR
from trunkline.faces.responses.parse import parse
from trunkline.protocol.events import (
    AnnotationAdded,
    ArgumentsDelta,
    ArgumentsDone,
    ContentPartDone,
    Event,
    ImagePartial,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    ReasoningTextDelta,
    RefusalDelta,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    SummaryPartDone,
    SummaryTextDelta,
)
from trunkline.protocol.items import (
    Annotation,
    CustomCallItem,
    FileCitation,
    FileSearchCall,
    FindInPageAction,
    FunctionCallItem,
    ImageGenerationCall,
    LocalShellCallItem,
    Logprob,
    Message,
    OutputItem,
    OutputText,
    ReasoningItem,
    ReasoningText,
    RefusalPart,
    SearchAction,
    SummaryText,
    ToolSearchCallItem,
    UrlCitation,
    WebSearchCall,
    WebSource,
)
from trunkline.protocol.opaque import AnthropicItem, ServerItem
from trunkline.protocol.render import render_event
from trunkline.protocol.response import CostDetails, IncompleteDetails, Response, ResponseError
from trunkline.stream.deltas import (
    Arguments,
    Began,
    CallKind,
    Citation,
    Closed,
    Delta,
    Failed,
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
from trunkline.stream.seals import Seal, seal
from trunkline.wire import Fault

BEGIN = "created in_progress "
COMPLETED, INCOMPLETE, FAILED = " completed", " incomplete", " failed"
HM = b64encode(b"hm").decode()
OPEN, DONE = "output_item.added ", " output_item.done"
PART, PART_DONE = "content_part.added ", " content_part.done"
PAGE = UrlCitation("https://example.org", "Example", 0, 5)


class Case(NamedTuple):
    id: str
    deltas: list[Delta]
    types: str
    """The event types in order, without `response.`, from the first item to the last."""
    output: list[OutputItem]


def message(
    number: int, *parts: OutputText | RefusalPart, status: str = "completed", phase: str | UnsetType = UNSET
) -> Message:
    id = f"msg_{number:06}"
    return Message(id=id, role="assistant", status=status, phase=phase, content=parts)  # type: ignore[arg-type]


def member(item: OutputItem, name: str) -> Any:
    """A member of an item of ours, or of one that passes as it is."""
    return item.get(name) if isinstance(item, dict) else getattr(item, name)


def call(number: int, call_id: str, name: str, arguments: str, status: str = "completed") -> FunctionCallItem:
    return FunctionCallItem(
        id=f"fc_{number:06}",
        call_id=call_id,
        name=name,
        arguments=arguments,
        status=status,  # type: ignore[arg-type]
    )


TEXT_PART = f"{PART}output_text.delta output_text.delta output_text.done{PART_DONE}"
ONE_TEXT_PART = f"{PART}output_text.delta output_text.done{PART_DONE}"
ONE_THOUGHT = f"{PART}reasoning_text.delta reasoning_text.done{PART_DONE}"
ONE_SUMMARY = (
    "reasoning_summary_part.added reasoning_summary_text.delta reasoning_summary_text.done reasoning_summary_part.done"
)
ARGS, ARGS_DONE = "function_call_arguments.delta", "function_call_arguments.done"
INPUT, INPUT_DONE = "custom_tool_call_input.delta", "custom_tool_call_input.done"
MCP_CALL = ServerItem({"type": "mcp_call", "id": "mcp_1", "status": "in_progress"})
MCP_DONE = ServerItem({**MCP_CALL, "status": "completed", "output": "o"})
SHELL_ACTION = {"type": "exec", "command": ["ls"], "env": {}}

CASES = [
    Case("nothing but an end", [], "", []),
    Case(
        "text",
        [Text(0, "Hel"), Text(0, "lo")],
        f"{OPEN}{TEXT_PART}{DONE}",
        [message(0, OutputText("Hello"))],
    ),
    Case(
        "texts of two phases",
        [Phase(0, "commentary"), Text(0, "Hello"), Phase(1, "final_answer"), Text(1, "Hello")],
        " ".join([f"{OPEN}{PART}output_text.delta output_text.done{PART_DONE}{DONE}"] * 2),
        [message(0, OutputText("Hello"), phase="commentary"), message(1, OutputText("Hello"), phase="final_answer")],
    ),
    Case(
        "a phase that is told late",
        [Text(0, "Hello"), Phase(0, "commentary")],
        f"{OPEN}{PART}output_text.delta output_text.done{PART_DONE}{DONE}",
        [message(0, OutputText("Hello"), phase="commentary")],
    ),
    Case(
        "text with a citation",
        [Text(0, "Hello"), Citation(0, PAGE)],
        f"{OPEN}{PART}output_text.delta output_text.annotation.added output_text.done{PART_DONE}{DONE}",
        [message(0, OutputText("Hello", (PAGE,)))],
    ),
    Case(
        "a citation before its text waits in the part",
        [Citation(0, PAGE), Text(0, "Hello")],
        f"{OPEN}{PART}output_text.annotation.added output_text.delta output_text.done{PART_DONE}{DONE}",
        [message(0, OutputText("Hello", (PAGE,)))],
    ),
    Case(
        "a citation of text that is closed has a message of its own",
        [Text(0, "Hello"), Closed(0), Citation(0, PAGE)],
        f"{OPEN}{ONE_TEXT_PART}{DONE} {OPEN}{PART}output_text.annotation.added output_text.done{PART_DONE}{DONE}",
        [message(0, OutputText("Hello")), message(1, OutputText("", (PAGE,)))],
    ),
    Case(
        "a refusal",
        [Refusal(0, "I "), Refusal(0, "won't")],
        f"{OPEN}{PART}refusal.delta refusal.delta refusal.done{PART_DONE}{DONE}",
        [message(0, RefusalPart("I won't"))],
    ),
    Case(
        "text, text of another slot and a refusal share a message",
        [Text(0, "a"), Text(1, "b"), Refusal(1, "c")],
        f"{OPEN}{ONE_TEXT_PART} {ONE_TEXT_PART} {PART}refusal.delta refusal.done{PART_DONE}{DONE}",
        [message(0, OutputText("a"), OutputText("b"), RefusalPart("c"))],
    ),
    Case(
        "text of a slot whose part is over begins a message",
        [Text(0, "a"), Text(1, "b"), Text(0, "c")],
        f"{OPEN}{ONE_TEXT_PART} {ONE_TEXT_PART}{DONE} {OPEN}{ONE_TEXT_PART}{DONE}",
        [message(0, OutputText("a"), OutputText("b")), message(1, OutputText("c"))],
    ),
    Case(
        "text of a closed slot begins a message",
        [Text(0, "a"), Closed(0), Text(0, "b")],
        f"{OPEN}{ONE_TEXT_PART}{DONE} {OPEN}{ONE_TEXT_PART}{DONE}",
        [message(0, OutputText("a")), message(1, OutputText("b"))],
    ),
    Case(
        "another slot after a closed one shares its message",
        [Text(0, "a"), Closed(0), Text(1, "b"), Closed(1)],
        f"{OPEN}{ONE_TEXT_PART} {ONE_TEXT_PART}{DONE}",
        [message(0, OutputText("a"), OutputText("b"))],
    ),
    Case(
        "deltas without text say nothing",
        [Text(0, ""), Refusal(0, ""), Reasoning(0, ""), ReasoningSummary(0, ""), Arguments(0, "")],
        "",
        [],
    ),
    Case(
        "raw thought",
        [Reasoning(0, "hm")],
        f"{OPEN}{ONE_THOUGHT}{DONE}",
        [ReasoningItem(id="rs_000000", content=(ReasoningText("hm"),), status="completed")],
    ),
    Case(
        "a summary in two parts",
        [ReasoningSummary(0, "a", 0), ReasoningSummary(0, "b", 3)],
        f"{OPEN}{ONE_SUMMARY} {ONE_SUMMARY}{DONE}",
        [ReasoningItem(id="rs_000000", summary=(SummaryText("a"), SummaryText("b")), status="completed")],
    ),
    Case(
        "raw thought and summary of one slot share an item",
        [Reasoning(0, "hm"), ReasoningSummary(0, "a")],
        f"{OPEN}{ONE_THOUGHT} {ONE_SUMMARY}{DONE}",
        [
            ReasoningItem(
                id="rs_000000", content=(ReasoningText("hm"),), summary=(SummaryText("a"),), status="completed"
            )
        ],
    ),
    Case(
        "thoughts of two slots are two items",
        [Reasoning(0, "a"), Reasoning(1, "b")],
        f"{OPEN}{ONE_THOUGHT}{DONE} {OPEN}{ONE_THOUGHT}{DONE}",
        [
            ReasoningItem(id="rs_000000", content=(ReasoningText("a"),), status="completed"),
            ReasoningItem(id="rs_000001", content=(ReasoningText("b"),), status="completed"),
        ],
    ),
    Case(
        "a seal, even one after the close, is told with its item",
        [Reasoning(0, "hm"), Closed(0), ReasoningSeal(0, None, "sig", "anthropic-claude-v1", endpoint_id="a:m")],
        f"{OPEN}{ONE_THOUGHT}{DONE}",
        [
            ReasoningItem(
                id="rs_000000",
                content=(ReasoningText("hm"),),
                encrypted_content=seal(Seal(endpoint_id="a:m", signature="sig", form="anthropic-claude-v1", packed=HM)),
                signature="sig",
                format="anthropic-claude-v1",
                status="completed",
            )
        ],
    ),
    Case(
        "a seal alone is an item",
        [
            ReasoningSeal(0, "blob", endpoint_id="a:m", item_id="rs_1"),
            ReasoningSeal(0, signature="sig", format="google-gemini-v1", endpoint_id="a:m"),
        ],
        f"{OPEN}{DONE}",
        [
            ReasoningItem(
                id="rs_000000",
                encrypted_content=seal(
                    Seal(endpoint_id="a:m", blob="blob", signature="sig", item_id="rs_1", form="google-gemini-v1")
                ),
                signature="sig",
                format="google-gemini-v1",
                status="completed",
            )
        ],
    ),
    Case(
        "thought of a closed slot begins an item",
        [Reasoning(0, "a"), Closed(0), Reasoning(0, "b")],
        f"{OPEN}{ONE_THOUGHT}{DONE} {OPEN}{ONE_THOUGHT}{DONE}",
        [
            ReasoningItem(id="rs_000000", content=(ReasoningText("a"),), status="completed"),
            ReasoningItem(id="rs_000001", content=(ReasoningText("b"),), status="completed"),
        ],
    ),
    Case(
        "a thought is over before text begins",
        [Reasoning(0, "hm"), Text(0, "a")],
        f"{OPEN}{ONE_THOUGHT}{DONE} {OPEN}{ONE_TEXT_PART}{DONE}",
        [
            ReasoningItem(id="rs_000000", content=(ReasoningText("hm"),), status="completed"),
            message(1, OutputText("a")),
        ],
    ),
    Case(
        "a call",
        [FunctionCall(0, "c1", "look"), Arguments(0, '{"a"'), Arguments(0, ":1}")],
        f"{OPEN}{ARGS} {ARGS} {ARGS_DONE}{DONE}",
        [call(0, "c1", "look", '{"a":1}')],
    ),
    Case(
        "a call without arguments has an empty object",
        [FunctionCall(0, "c1", "look")],
        f"{OPEN}{ARGS} {ARGS_DONE}{DONE}",
        [call(0, "c1", "look", "{}")],
    ),
    Case(
        "calls interleave and are finished in the order they began",
        [
            FunctionCall(0, "c1", "look"),
            FunctionCall(1, "c2", "sum"),
            Arguments(1, "[1"),
            Arguments(0, "{"),
            Arguments(1, "]"),
            Arguments(0, "}"),
        ],
        f"{OPEN}{OPEN}{ARGS} {ARGS} {ARGS} {ARGS} {ARGS_DONE}{DONE} {ARGS_DONE}{DONE}",
        [call(0, "c1", "look", "{}"), call(1, "c2", "sum", "[1]")],
    ),
    Case(
        "a closed call is finished before the next begins",
        [FunctionCall(0, "c1", "look"), Arguments(0, "{}"), Closed(0), FunctionCall(1, "c2", "sum")],
        f"{OPEN}{ARGS} {ARGS_DONE}{DONE} {OPEN}{ARGS} {ARGS_DONE}{DONE}",
        [call(0, "c1", "look", "{}"), call(1, "c2", "sum", "{}")],
    ),
    Case(
        "text finishes every open call",
        [FunctionCall(0, "c1", "look"), FunctionCall(1, "c2", "sum"), Text(0, "a"), Arguments(1, "lost")],
        f"{OPEN}{OPEN}{ARGS} {ARGS_DONE}{DONE} {ARGS} {ARGS_DONE}{DONE} {OPEN}{ONE_TEXT_PART}{DONE}",
        [call(0, "c1", "look", "{}"), call(1, "c2", "sum", "{}"), message(2, OutputText("a"))],
    ),
    Case(
        "a call begun twice is one call",
        [FunctionCall(0, "c1", "look"), Arguments(0, "{"), FunctionCall(0, "c1", "look"), Arguments(0, "}")],
        f"{OPEN}{ARGS} {ARGS} {ARGS_DONE}{DONE}",
        [call(0, "c1", "look", "{}")],
    ),
    Case(
        "another call in the same slot finishes the first",
        [FunctionCall(0, "c1", "look"), Arguments(0, "[]"), FunctionCall(0, "c2", "look"), Arguments(0, "{}")],
        f"{OPEN}{ARGS} {ARGS_DONE}{DONE} {OPEN}{ARGS} {ARGS_DONE}{DONE}",
        [call(0, "c1", "look", "[]"), call(1, "c2", "look", "{}")],
    ),
    Case(
        "arguments of no call, or after its close, are dropped",
        [Arguments(0, "a"), FunctionCall(0, "c1", "look"), Arguments(0, "{}"), Closed(0), Arguments(0, "b")],
        f"{OPEN}{ARGS} {ARGS_DONE}{DONE}",
        [call(0, "c1", "look", "{}")],
    ),
    Case(
        "a call of a function in a namespace",
        [FunctionCall(0, "c1", "look", "function", "ns"), Arguments(0, "{}")],
        f"{OPEN}{ARGS} {ARGS_DONE}{DONE}",
        [
            FunctionCallItem(
                id="fc_000000", call_id="c1", name="look", arguments="{}", namespace="ns", status="completed"
            )
        ],
    ),
    Case(
        "a call with raw text",
        [FunctionCall(0, "c1", "patch", "custom", "ns"), Arguments(0, "nu"), Arguments(0, "ll")],
        f"{OPEN}{INPUT} {INPUT} {INPUT_DONE}{DONE}",
        [CustomCallItem(id="ctc_000000", call_id="c1", name="patch", input="null", namespace="ns", status="completed")],
    ),
    Case(
        "a call with no raw text, and one that says null",
        [FunctionCall(0, "c1", "patch", "custom"), FunctionCall(1, "c2", "patch", "custom"), Arguments(1, "null")],
        f"{OPEN}{OPEN}{INPUT} {INPUT_DONE}{DONE} {INPUT_DONE}{DONE}",
        [
            CustomCallItem(id="ctc_000000", call_id="c1", name="patch", input="", status="completed"),
            CustomCallItem(id="ctc_000001", call_id="c2", name="patch", input="null", status="completed"),
        ],
    ),
    Case(
        "calls of all kinds side by side",
        [
            FunctionCall(0, "c1", "tool_search", "tool_search"),
            FunctionCall(1, "c2", "local_shell", "local_shell"),
            FunctionCall(2, "c3", "patch", "custom"),
            FunctionCall(3, "c4", "look"),
            Arguments(0, '{"query":'),
            Arguments(1, '{"command":["ls"]}'),
            Arguments(2, "a"),
            Arguments(0, '"q"}'),
        ],
        f"{OPEN}{OPEN}{OPEN}{OPEN}{INPUT} {DONE} {DONE} {INPUT_DONE}{DONE} {ARGS} {ARGS_DONE}{DONE}",
        [
            ToolSearchCallItem(id="tsc_000000", call_id="c1", arguments={"query": "q"}, status="completed"),
            LocalShellCallItem(id="lsh_000001", call_id="c2", action=SHELL_ACTION, status="completed"),
            CustomCallItem(id="ctc_000002", call_id="c3", name="patch", input="a", status="completed"),
            call(3, "c4", "look", "{}"),
        ],
    ),
    Case(
        "a search for tools that says nothing",
        [FunctionCall(0, "c1", "tool_search", "tool_search"), Arguments(0, "null")],
        f"{OPEN}{DONE}",
        [ToolSearchCallItem(id="tsc_000000", call_id="c1", arguments={}, status="completed")],
    ),
    Case(
        "an item that is not ours passes as it is",
        [Opaque(0, MCP_CALL, False), Opaque(0, MCP_DONE, True), Opaque(0, MCP_CALL, True)],
        f"{OPEN}{DONE}",
        [MCP_DONE],
    ),
    Case(
        "a block of Anthropic's own is not told, and ends nothing",
        [Text(0, "a"), Opaque(1, AnthropicItem({"type": "mcp_tool_use", "id": "m"}), True), Text(0, "b")],
        f"{OPEN}{PART}output_text.delta output_text.delta output_text.done{PART_DONE}{DONE}",
        [message(0, OutputText("ab"))],
    ),
    Case(
        "another item ends one that is not ours",
        [Opaque(0, MCP_CALL, False), Text(0, "a"), Opaque(0, MCP_CALL, True)],
        f"{OPEN}{DONE} {OPEN}{ONE_TEXT_PART}{DONE}",
        [ServerItem({**MCP_CALL, "status": "incomplete"}), message(0, OutputText("a"))],
    ),
    Case(
        "a web search",
        [Search(0, "web", "in_progress"), Search(0, "web", "searching"), Search(0, "web", "completed")],
        f"{OPEN}{DONE}",
        [WebSearchCall(id="ws_000000", status="completed", action=SearchAction("", ()))],
    ),
    Case(
        "a web search, told bit by bit, whose sources nobody asked for",
        [
            Search(0, "web", "in_progress", query="q"),
            Search(0, "web", "searching", sources=("https://a.example",)),
            Search(0, "web", "failed"),
        ],
        f"{OPEN}{DONE}",
        [WebSearchCall(id="ws_000000", status="failed", action=SearchAction("q", ("q",)))],
    ),
    Case(
        "a search for several things at once",
        [Search(0, "web", "completed", ("a", "b"))],
        f"{OPEN}{DONE}",
        [WebSearchCall(id="ws_000000", status="completed", action=SearchAction("a", ("a", "b")))],
    ),
    Case(
        "a page that was looked through, known at the end",
        [Search(0, "web", "in_progress"), Search(0, "web", "completed", visit=FindInPageAction(PAGE.url, "kite"))],
        f"{OPEN}{DONE}",
        [WebSearchCall(id="ws_000000", status="completed", action=FindInPageAction(PAGE.url, "kite"))],
    ),
    Case(
        "a file search keeps its queries",
        [Search(0, "file", "searching", ("q",)), Search(0, "file", "failed")],
        f"{OPEN}{DONE}",
        [FileSearchCall(id="fs_000000", queries=("q",), status="failed")],
    ),
    Case(
        "a search is over when text begins, and stays over",
        [Search(0, "web", "searching"), Text(0, "a"), Search(0, "web", "completed"), Text(0, "b")],
        f"{OPEN}{DONE} {OPEN}{TEXT_PART}{DONE}",
        [
            WebSearchCall(id="ws_000000", status="completed", action=SearchAction("", ())),
            message(1, OutputText("ab")),
        ],
    ),
    Case(
        "an image with a sketch",
        [Image(0, "", False), Image(0, "AAAA", False), Image(0, "BBBB", True)],
        f"{OPEN}image_generation_call.in_progress image_generation_call.generating image_generation_call.partial_image "
        f"image_generation_call.completed{DONE}",
        [ImageGenerationCall(id="ig_000000", result="data:image/png;base64,BBBB", status="completed")],
    ),
    Case(
        "an image at once",
        [Image(0, "BBBB", True, "image/webp")],
        f"{OPEN}image_generation_call.in_progress image_generation_call.generating "
        f"image_generation_call.completed{DONE}",
        [ImageGenerationCall(id="ig_000000", result="data:image/webp;base64,BBBB", status="completed")],
    ),
    Case(
        "an image that never came has failed",
        [Image(0, "AAAA", False), Closed(0)],
        f"{OPEN}image_generation_call.in_progress image_generation_call.generating "
        f"image_generation_call.partial_image{DONE}",
        [ImageGenerationCall(id="ig_000000", status="failed")],
    ),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def short_types(events: Sequence[Event]) -> list[str]:
    return [kind(event).removeprefix("response.") for event in events]


def last_response(events: Sequence[Event]) -> Response:
    last = events[-1]
    assert isinstance(last, ResponseCompleted | ResponseIncomplete | ResponseFailed)
    return last.response


@each_case
def test_the_events_of_an_answer(case: Case) -> None:
    events = assemble(Began(MODEL), *case.deltas, Stopped("stop"))
    assert short_types(events) == f"{BEGIN}{case.types}{COMPLETED}".split()
    assert list(last_response(events).output) == case.output


def test_every_event_type_but_error_is_told() -> None:
    told = {kind(event) for case in CASES for event in assemble(*case.deltas, Stopped("stop"))}
    told |= {kind(assemble(Stopped("length"))[-1]), kind(assemble()[-1])}
    assert told == {kind(event_type) for event_type in get_args(Event)} - {"error"}


def test_every_kind_of_delta_is_heard() -> None:
    assert set(_HEAR) == set(get_args(Delta)) - {Text}


# Beginning


def test_the_first_deltas_bring_created_and_in_progress_without_output() -> None:
    events = assembler().feed([Began("other/model")])
    assert [type(event) for event in events] == [ResponseCreated, ResponseInProgress]
    for event in events:
        assert isinstance(event, ResponseCreated | ResponseInProgress)
        response = event.response
        assert (response.model, response.status, response.output) == ("other/model", "in_progress", ())
        assert (response.id, response.created_at, response.completed_at) == ("resp_1", int(STARTED), None)


def test_no_deltas_begin_nothing() -> None:
    assert assembler().feed([]) == []


def test_the_given_model_is_told_when_none_began() -> None:
    assert last_response(assemble(Text(0, "a"), Stopped("stop"))).model == MODEL


def test_the_model_does_not_change_once_told() -> None:
    machine = assembler()
    machine.feed([Began("one/model")])
    machine.feed([Began("two/model"), Stopped("stop")])
    assert last_response(machine.end(ENDED)).model == "one/model"


# What events hold


def test_each_token_is_an_event_of_its_own_with_its_logprobs() -> None:
    logprob = Logprob("b", (98,), -0.5)
    events = assemble(Text(0, "a"), Text(0, "b", (logprob,)), Text(0, "", (logprob,)), Stopped("stop"))
    told = [(event.delta, event.logprobs) for event in events if isinstance(event, OutputTextDelta)]
    assert told == [("a", ()), ("b", (logprob,)), ("", (logprob,))]
    done = next(event for event in events if isinstance(event, OutputTextDone))
    assert (done.text, done.logprobs) == ("ab", (logprob, logprob))
    part = next(event.part for event in events if isinstance(event, ContentPartDone))
    assert part == OutputText("ab", (), (logprob, logprob))


def test_places_are_those_of_the_final_output() -> None:
    events = assemble(
        Reasoning(0, "hm"), Text(0, "a"), Text(1, "b"), Citation(1, PAGE), Citation(1, FileCitation("f", "n", 0)),
        ReasoningSummary(9, "s", 4), ReasoningSummary(9, "t", 5), FunctionCall(0, "c", "n"), Stopped("calls"),
    )  # fmt: skip
    notes = [event for event in events if isinstance(event, AnnotationAdded)]
    assert [(e.item_id, e.output_index, e.content_index, e.annotation_index) for e in notes] == [
        ("msg_000001", 1, 1, 0),
        ("msg_000001", 1, 1, 1),
    ]
    summaries = [event for event in events if isinstance(event, SummaryPartDone)]
    assert [(e.item_id, e.output_index, e.summary_index) for e in summaries] == [
        ("rs_000002", 2, 0),
        ("rs_000002", 2, 1),
    ]
    arguments = [event for event in events if isinstance(event, ArgumentsDone)]
    assert [(e.item_id, e.output_index, e.name) for e in arguments] == [("fc_000003", 3, "n")]


def test_items_begin_empty_and_in_progress() -> None:
    deltas: list[Delta] = [
        Text(0, "a"), Reasoning(0, "a"), FunctionCall(0, "c", "n"), Search(0, "web", "completed"),
        Search(1, "file", "searching", ("q",)), Image(0, "AAAA", True),
    ]  # fmt: skip
    begun = [event.item for event in assemble(*deltas) if isinstance(event, OutputItemAdded)]
    assert begun == [
        message(0, status="in_progress"),
        ReasoningItem(id="rs_000001", status="in_progress"),
        call(2, "c", "n", "", "in_progress"),
        WebSearchCall(id="ws_000003", status="in_progress", action=SearchAction("", ())),
        FileSearchCall(id="fs_000004", queries=("q",), status="in_progress"),
        ImageGenerationCall(id="ig_000005", status="in_progress"),
    ]


def test_sources_are_told_to_those_who_include_them() -> None:
    asked = parse(b'{"input": "a", "model": "m", "include": ["web_search_call.action.sources"]}')
    searched = Search(0, "web", "completed", query="q", sources=("https://a.example", "https://b.example"))
    events = assemble(searched, request=asked)
    added, done = [event.item for event in events if isinstance(event, OutputItemAdded | OutputItemDone)]
    sources = (WebSource("https://a.example"), WebSource("https://b.example"))
    action = SearchAction("q", ("q",), sources)
    assert added == WebSearchCall(id="ws_000000", status="in_progress", action=action)
    assert done == WebSearchCall(id="ws_000000", status="completed", action=action)


def test_sketches_are_counted_and_bare_base64() -> None:
    events = assemble(Image(0, "AAAA", False), Image(0, "BBBB", False))
    told = [(event.partial_image_index, event.partial_image_b64) for event in events if isinstance(event, ImagePartial)]
    assert told == [(0, "AAAA"), (1, "BBBB")]


def test_UP_23_a_call_id_that_is_missing_or_used_is_replaced() -> None:
    deltas = [FunctionCall(0, "", "n"), FunctionCall(1, "c", "n"), FunctionCall(2, "c", "n")]
    output = last_response(assemble(*deltas, Stopped("calls"))).output
    ids = [item.call_id for item in output if isinstance(item, FunctionCallItem)]
    assert ids[1] == "c"
    assert len(set(ids)) == 3
    assert all(id.startswith("call_") for id in (ids[0], ids[2]))


def test_output_text_is_every_text_part_joined() -> None:
    events = assemble(Text(0, "a"), Refusal(0, "no"), Text(1, "b"), Reasoning(0, "hm"), Text(2, "c"), Stopped("stop"))
    assert last_response(events).output_text == "abc"


# Usage


def test_usage_is_all_zeros_when_none_was_heard() -> None:
    usage = last_response(assemble(Text(0, "a"))).usage
    assert usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (0, 0, 0)
    assert usage.cost == 0
    assert not usage.is_byok
    assert usage.cost_details == CostDetails(None, Decimal(0), Decimal(0))


def test_usage_and_tier_are_those_last_heard() -> None:
    spent = Usage(
        input_tokens=10, cache_read_tokens=4, cache_write_tokens=3, output_tokens=7, reasoning_tokens=5, estimated=True
    )
    events = assemble(Spent(Usage(input_tokens=1), service_tier="flex"), Stopped("stop"), Spent(spent, PRICED))
    response = last_response(events)
    usage = response.usage
    assert usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (10, 7, 17)
    assert (usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens) == (4, 3)
    assert usage.output_tokens_details.reasoning_tokens == 5
    assert isinstance(usage.cost_details, CostDetails)
    assert (usage.cost, usage.cost_details.upstream_inference_input_cost) == (Decimal("0.003"), Decimal("0.001"))
    assert response.service_tier == "flex"


def test_an_answer_without_a_price_has_no_cost() -> None:
    usage = last_response(assemble(Spent(Usage(output_tokens=3)), Stopped("stop"))).usage
    assert usage
    assert usage.cost is None
    assert usage.total_tokens == 3


# Ending


class Ending(NamedTuple):
    id: str
    deltas: list[Delta]
    status: str
    statuses: list[str]
    """Of each item of the output."""


PARTIAL_CALL: list[Delta] = [FunctionCall(0, "c", "n"), Arguments(0, '{"a')]
WHOLE_CALL: list[Delta] = [FunctionCall(0, "c", "n"), Arguments(0, '{"a":1}'), Closed(0)]
SCRIPT: list[Delta] = [FunctionCall(0, "c", "n", "custom"), Arguments(0, "{}"), Closed(0)]
ENDINGS = [
    Ending("stop", [Text(0, "a"), Stopped("stop")], "completed", ["completed"]),
    Ending("calls", [FunctionCall(0, "c", "n"), Stopped("calls")], "completed", ["completed"]),
    Ending("length cuts the open item", [Reasoning(0, "a"), Text(0, "a"), Stopped("length")], "incomplete",
           ["completed", "incomplete"]),
    Ending("length cuts a call the provider closed", [*PARTIAL_CALL, Closed(0), Stopped("length")], "incomplete", []),
    Ending("length cuts the last call whatever it looks like", [*WHOLE_CALL, Stopped("length")], "incomplete", []),
    Ending("length leaves a call after which text began", [*WHOLE_CALL, Text(1, "a"), Stopped("length")], "incomplete",
           ["completed", "incomplete"]),
    Ending("length leaves calls closed before the last", [FunctionCall(0, "c", "n"), FunctionCall(1, "d", "n"),
           Arguments(0, "{}"), Closed(0), Arguments(1, "{"), Closed(1), Stopped("length")], "incomplete",
           ["completed"]),
    Ending("length cuts calls that were never closed", [FunctionCall(0, "c", "n"), FunctionCall(1, "d", "n"),
           Stopped("length")], "incomplete", []),
    Ending("a filter cuts the last call", [*WHOLE_CALL, Stopped("content_filter")], "incomplete", []),
    Ending("no end heard after a call", WHOLE_CALL, "failed", ["completed"]),
    Ending("no end heard after a call that was not closed", WHOLE_CALL[:-1], "failed", []),
    Ending("no end heard after a call closed in its middle", [*PARTIAL_CALL, Closed(0)], "failed", []),
    Ending("no end heard after a call closed without arguments", [FunctionCall(0, "c", "n"), Closed(0)], "failed", []),
    Ending("no end heard after raw text, which may be half", SCRIPT, "failed", []),
    Ending("no end heard after raw text that something followed", [*SCRIPT, *PARTIAL_CALL], "failed", ["completed"]),
    Ending("the end heard after raw text", [*SCRIPT, Stopped("calls")], "completed", ["completed"]),
    Ending("a filter cuts the open item", [Text(0, "a"), Stopped("content_filter")], "incomplete", ["incomplete"]),
    Ending("no end heard", [Text(0, "a")], "failed", ["incomplete"]),
    Ending("no end heard while calling", PARTIAL_CALL, "failed", []),
    Ending("no end heard while searching", [Search(0, "web", "searching")], "failed", ["failed"]),
    Ending("no end heard while drawing", [Image(0, "AAAA", False)], "failed", ["failed"]),
    Ending("a search is taken as done when the answer is", [Search(0, "web", "searching"), Stopped("stop")],
           "completed", ["completed"]),
    Ending("length cuts what is not ours", [Opaque(0, MCP_CALL, False), Stopped("length")], "incomplete",
           ["incomplete"]),
    Ending("length leaves what is not ours and has no status",
           [Opaque(0, ServerItem({"type": "mcp_list_tools"}), False), Stopped("length")], "incomplete", ["None"]),
    Ending("the first end heard counts", [Text(0, "a"), Stopped("length"), Stopped("stop")], "incomplete",
           ["incomplete"]),
    Ending("a Failed that should not come leaves the answer cut off", [Text(0, "a"), Failed(Fault("silent", "…"))],
           "failed", ["incomplete"]),
]  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.id)
def test_how_an_answer_ends(ending: Ending) -> None:
    events = assemble(*ending.deltas)
    response = last_response(events)
    assert kind(events[-1]) == f"response.{ending.status}"
    assert response.status == ending.status
    assert [str(member(item, "status")) for item in response.output] == ending.statuses
    assert response.completed_at == (int(ENDED) if ending.status == "completed" else None)
    assert (response.error is not None) == (ending.status == "failed")
    assert (response.incomplete_details is not None) == (ending.status == "incomplete")


def test_ST_29_the_reason_of_an_incomplete_answer() -> None:
    assert last_response(assemble(Stopped("length"))).incomplete_details == IncompleteDetails("max_output_tokens")
    assert last_response(assemble(Stopped("content_filter"))).incomplete_details == IncompleteDetails("content_filter")


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.id)
def test_a_call_is_told_as_done_in_both_ways_or_in_none(ending: Ending) -> None:
    events = assemble(*ending.deltas)
    done = [member(event.item, "id") for event in events if isinstance(event, OutputItemDone)]
    assert [id for id in done if str(id).startswith("fc_")] == [
        event.item_id for event in events if isinstance(event, ArgumentsDone)
    ]
    assert done == [member(item, "id") for item in last_response(events).output]


def test_a_cut_call_is_not_given_arguments() -> None:
    events = assemble(FunctionCall(0, "c", "n"), Stopped("length"))
    assert short_types(events) == f"{BEGIN}{OPEN} incomplete".split()


CUT_SHORT: list[Delta] = [Stopped("length"), Stopped("content_filter"), Failed(Fault("silent", "…"))]


@pytest.mark.parametrize("end", CUT_SHORT, ids=lambda end: str(getattr(end, "reason", "failed")))
@pytest.mark.parametrize("is_closed", [False, True], ids=["left open", "closed"])
@pytest.mark.parametrize("kind_of_call", get_args(CallKind))
def test_a_call_cut_at_any_byte_is_never_done(kind_of_call: CallKind, is_closed: bool, end: Delta) -> None:
    """Though one character less than the whole may be closed by its provider."""
    arguments = json.dumps({"city": 'Paris, "{}" and\n', "deep": [{"a": {}}, None]})
    for at in range(len(arguments)):
        cut: list[Delta] = [FunctionCall(0, "c", "n", kind_of_call), *(Arguments(0, each) for each in arguments[:at])]
        events = assemble(*cut, *([Closed(0)] if is_closed else []), end)
        assert not [event for event in events if isinstance(event, ArgumentsDone | OutputItemDone)], arguments[:at]
        assert last_response(events).output == ()


def test_a_closed_call_is_done_as_soon_as_another_speaks() -> None:
    machine = assembler()
    machine.feed([FunctionCall(0, "c", "n"), FunctionCall(1, "d", "n"), Arguments(1, "{"), Arguments(0, "{}")])
    assert machine.feed([Closed(0)]) == []
    assert short_types(machine.feed([Arguments(1, "}")])) == f"{ARGS_DONE}{DONE} {ARGS}".split()


def test_ST_07_twenty_deltas_and_no_end_is_failed() -> None:
    events = assemble(*[Text(0, "x")] * 20)
    error = last_response(events).error
    assert error is not None
    assert error.code == "server_error"
    assert last_response(events).output == (message(0, OutputText("x" * 20), status="incomplete"),)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TooManyRequests("slow down"), "rate_limit_exceeded"),
        (BadRequest("no"), "invalid_prompt"),
        (BadRequest("no", kind="invalid_prompt"), "invalid_prompt"),
        (BadRequest("no", kind="context_length_exceeded"), "invalid_prompt"),
        (BadRequest("no", kind="image_too_large"), "image_too_large"),
        (BadRequest("no", kind="failed_to_download_image"), "failed_to_download_image"),
        (BadGateway("gone"), "server_error"),
        (BadGateway("gone", kind="something new"), "server_error"),
    ],
)
def test_ST_12_the_code_of_a_failed_answer(error: GatewayError, code: str) -> None:
    machine = assembler()
    machine.feed([Text(0, "a"), Spent(Usage(output_tokens=1))])
    events = machine.fail(error)
    assert short_types(events) == f"output_text.done{PART_DONE}{DONE}{FAILED}".split()
    response = last_response(events)
    assert response.error == ResponseError(code, error.message)  # type: ignore[arg-type]
    assert response.output == (message(0, OutputText("a"), status="incomplete"),)
    assert response.usage
    assert response.usage.output_tokens == 1


def test_a_failure_before_anything_was_heard_still_begins() -> None:
    assert short_types(assembler().fail(BadGateway("gone"))) == f"{BEGIN}{FAILED}".split()


def test_ST_17_nothing_follows_the_end() -> None:
    machine = assembler()
    machine.feed([Text(0, "a"), Stopped("stop")])
    assert machine.end(ENDED)
    assert machine.feed([Text(0, "b"), Stopped("stop")]) == []
    assert machine.end(ENDED) == []
    assert machine.fail(BadGateway("late")) == []


# Laws


def check_grammar(events: Sequence[Event]) -> None:
    """Law 3, by the events alone: numbering, one `done` for each `added`, one terminal event at the end."""
    types = [kind(event) for event in events]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert types[:2] == ["response.created", "response.in_progress"]
    terminal = {"response.completed", "response.incomplete", "response.failed"}
    assert [at for at, name in enumerate(types) if name in terminal] == [len(types) - 1]
    open_items: dict[str, int] = {}
    open_part: str | None = None
    for event in events[2:-1]:
        if isinstance(event, OutputItemAdded):
            together = [*open_items, str(member(event.item, "id"))]
            assert len(together) == 1 or all(id.startswith(("fc_", "ctc_", "tsc_", "lsh_")) for id in together)
            open_items[str(member(event.item, "id"))] = event.output_index
        elif isinstance(event, OutputItemDone):
            assert open_part is None
            assert open_items.pop(str(member(event.item, "id"))) == event.output_index
        else:
            item_id: str = event.item_id  # type: ignore[union-attr]  # every other event inside belongs to an item
            assert item_id in open_items
            if kind(event).endswith("_part.added"):
                assert open_part is None
                open_part = item_id
            elif kind(event).endswith("_part.done"):
                assert open_part == item_id
                open_part = None
    # A call that was cut is left open, and no part of the output.
    response = last_response(events)
    assert not open_items or response.status != "completed"
    assert all(id.startswith(("fc_", "ctc_", "tsc_", "lsh_")) for id in open_items)
    assert open_items.keys().isdisjoint({str(member(item, "id")) for item in response.output})


@given(ANY_DELTAS, st.data())
def test_law_grammar_holds_for_any_deltas_in_any_reads(deltas: list[Delta], data: st.DataObject) -> None:
    machine = assembler()
    events = [event for read in data.draw(reads(deltas)) for event in machine.feed(read)]
    events += machine.end(ENDED) if data.draw(st.booleans()) else machine.fail(BadGateway("gone"))
    check_grammar(events)


@given(ANY_DELTAS)
def test_law_the_reads_make_no_difference(deltas: list[Delta]) -> None:
    machine = assembler()
    one_by_one = [event for delta in deltas for event in machine.feed([delta])]
    assert one_by_one + machine.end(ENDED) == assemble(*deltas)


@given(ANY_DELTAS)
def test_law_fold_the_finished_items_are_the_output(deltas: list[Delta]) -> None:
    events = assemble(*deltas)
    finished = {event.output_index: event.item for event in events if isinstance(event, OutputItemDone)}
    response = last_response(events)
    assert tuple(finished[index] for index in sorted(finished)) == response.output
    added = [event.output_index for event in events if isinstance(event, OutputItemAdded)]
    assert added == list(range(len(added)))
    assert response.status != "completed" or sorted(finished) == added
    assert len({member(item, "id") for item in response.output}) == len(response.output)


@given(ANY_DELTAS)
def test_law_fold_the_pieces_are_the_whole(deltas: list[Delta]) -> None:
    events = assemble(*deltas)
    texts: dict[tuple[str, int], str] = {}
    arguments: dict[str, str] = {}
    for event in events:
        if isinstance(event, OutputTextDelta):
            place = (event.item_id, event.content_index)
            texts[place] = texts.get(place, "") + event.delta
        elif isinstance(event, OutputTextDone):
            assert texts.get((event.item_id, event.content_index), "") == event.text
        elif isinstance(event, ArgumentsDelta):
            arguments[event.item_id] = arguments.get(event.item_id, "") + event.delta
        elif isinstance(event, ArgumentsDone):
            assert arguments.get(event.item_id, "") == event.arguments
    assert "".join(texts.values()) == last_response(events).output_text


@given(ANY_DELTAS)
def test_law_no_text_and_no_citation_is_lost(deltas: list[Delta]) -> None:
    events = assemble(*deltas)
    for heard, told in (Refusal, RefusalDelta), (Reasoning, ReasoningTextDelta), (ReasoningSummary, SummaryTextDelta):
        pieces = [delta.text for delta in deltas if isinstance(delta, heard) and delta.text]
        assert [event.delta for event in events if isinstance(event, told)] == pieces
    said = [delta.text for delta in deltas if isinstance(delta, Text) and (delta.text or delta.logprobs)]
    assert [event.delta for event in events if isinstance(event, OutputTextDelta)] == said
    cited = [delta.annotation for delta in deltas if isinstance(delta, Citation)]
    told_notes = [event.annotation for event in events if isinstance(event, AnnotationAdded)]
    assert {*map(passage, told_notes)} == {*map(passage, cited)}
    left = iter(cited)
    assert all(note in left for note in told_notes), "in another order"
    parts = [part for item in last_response(events).output if isinstance(item, Message) for part in item.content]
    notes = [part.annotations for part in parts if isinstance(part, OutputText)]
    assert [note for each in notes for note in each] == told_notes
    assert all(len({*map(passage, each)}) == len(each) for each in notes), "the same citation twice in one text"


def passage(annotation: Annotation) -> object:
    """What makes two citations the same: the page and the passage, whatever title was told with it."""
    if isinstance(annotation, UrlCitation):
        return annotation.url, annotation.start_index, annotation.end_index
    return annotation


@given(UNSTOPPED_DELTAS)
def test_law_truncation_an_answer_without_an_end_is_failed(deltas: list[Delta]) -> None:
    assert last_response(assemble(*deltas)).status == "failed"


@given(answers(), st.data())
def test_law_truncation_an_answer_cut_before_its_end_is_not_completed(answer: list[Delta], data: st.DataObject) -> None:
    cut = answer[: data.draw(st.integers(0, len(answer) - 1))]
    assert last_response(assemble(*cut)).status == "failed"
    assert last_response(assemble(*answer)).status in ("completed", "incomplete")


@given(answers())
def test_an_answer_that_keeps_the_rules_has_an_item_for_each_piece(answer: list[Delta]) -> None:
    events = assemble(*answer)
    check_grammar(events)
    slots = {delta.slot for delta in answer if hasattr(delta, "slot")}
    output = last_response(events).output
    parts = [len(item.content) if isinstance(item, Message) else 1 for item in output]
    cut = len([event for event in events if isinstance(event, OutputItemAdded)]) - len(output)
    assert sum(parts) + cut == len(slots)
    assert not cut or last_response(events).status == "incomplete"


@given(ANY_DELTAS)
def test_ST_23_deltas_out_of_order_are_repaired_and_never_raise(deltas: list[Delta]) -> None:
    check_grammar(assemble(*deltas))


def on_the_wire(events: Sequence[Event]) -> list[dict[str, object]]:
    return [msgspec.json.decode(render_event(event)) for event in events]


@each_case
def test_law_document_each_kind_of_item_is_valid_on_the_wire(case: Case) -> None:
    check_stream(on_the_wire(assemble(Began(MODEL), *case.deltas, Stopped("stop"))))


@given(ANY_DELTAS)
def test_law_document_whatever_is_heard_is_valid_on_the_wire(deltas: list[Delta]) -> None:
    events = on_the_wire(assemble(*deltas))
    check_stream(events)
    told = events[-1]["response"]
    assert isinstance(told, dict)
    assert independent_fold(events) == {key: told[key] for key in ("output", "output_text")}


@given(ANY_DELTAS)
def test_law_document_a_failed_answer_is_valid_on_the_wire(deltas: list[Delta]) -> None:
    machine = assembler()
    events = [*machine.feed(deltas), *machine.fail(TooManyRequests("slow down"))]
    check_stream(on_the_wire(events))
