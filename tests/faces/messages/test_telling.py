"""What each kind of delta becomes in the Messages API, and what other translators get wrong, row by row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.faces.messages.grammar import check_stream, fold
from tests.faces.messages.told import ESTIMATE, NAME, brief, stream, telling, whole
from trunkline.errors import BadGateway
from trunkline.protocol.items import FilePath, UrlCitation
from trunkline.protocol.opaque import ServerItem
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Citation,
    Closed,
    Cost,
    Delta,
    FunctionCall,
    Image,
    Opaque,
    Phase,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.stream.seals import is_unsigned, unseal

PAGE = UrlCitation("https://a.example", "A", 0, 4)
BARE = ReasoningSeal(0, signature="sig", format="anthropic-claude-v1", endpoint_id="anthropic:claude")
CALL_A, CALL_B = FunctionCall(0, "call_a", "look"), FunctionCall(1, "call_b", "sum")
STOP, CALLS, LENGTH = Stopped("stop"), Stopped("calls"), Stopped("length")


@dataclass(frozen=True)
class Case:
    id: str
    deltas: list[Delta]
    told: list[str]


CASES = [
    Case(
        "text is one block", [Text(0, "Hel"), Text(0, "lo"), STOP], ["+ text", "text Hel", "text lo", "-", "= end_turn"]
    ),
    Case("an answer that says nothing has no block", [Began("m"), Text(0, ""), STOP], ["= end_turn"]),
    Case(
        "texts of two slots are two blocks",
        [Text(0, "a"), Text(1, "b"), STOP],
        ["+ text", "text a", "-", "+ text", "text b", "-", "= end_turn"],
    ),
    Case(
        "a late text of a slot that ended is a block of its own",
        [Text(0, "a"), Text(1, "b"), Text(0, "c"), STOP],
        ["+ text", "text a", "-", "+ text", "text b", "-", "+ text", "text c", "-", "= end_turn"],
    ),
    Case(
        "a text that was closed goes on in another block",
        [Text(0, "a"), Closed(0), Text(0, "b"), STOP],
        ["+ text", "text a", "-", "+ text", "text b", "-", "= end_turn"],
    ),
    Case(
        "thought after text is a block after it",
        [Text(0, "a"), Reasoning(1, "hm"), Text(0, "b"), STOP],
        [
            "+ text",
            "text a",
            "-",
            "+ thinking",
            "thinking hm",
            "signature tl1.",
            "-",
            "+ text",
            "text b",
            "-",
            "= end_turn",
        ],
    ),
    Case(
        "a thought that nobody proved is signed with our mark",
        [Reasoning(0, "h"), Reasoning(0, "m"), Text(0, "a"), STOP],
        ["+ thinking", "thinking h", "thinking m", "signature tl1.", "-", "+ text", "text a", "-", "= end_turn"],
    ),
    Case(
        "Anthropic's signature stands bare, once, at the end of its thought",
        [Reasoning(0, "h"), BARE, Reasoning(0, "m"), BARE, STOP],
        ["+ thinking", "thinking h", "thinking m", "signature sig", "-", "= end_turn"],
    ),
    Case(
        "Claude's thought that was left out keeps its signature",
        [BARE, Closed(0), Text(0, "a"), STOP],
        ["+ thinking", "signature sig", "-", "+ text", "text a", "-", "= end_turn"],
    ),
    Case(
        "a seal that is awaited says nothing",
        [ReasoningSeal(0, is_awaited=True), Text(0, "a"), STOP],
        ["+ text", "text a", "-", "= end_turn"],
    ),
    Case(
        "parts of a summary are set apart by an empty line",
        [ReasoningSummary(0, "a", 0), ReasoningSummary(0, "b", 0), ReasoningSummary(0, "c", 1), STOP],
        ["+ thinking", "thinking a", "thinking b", "thinking \n\nc", "signature tl1.", "-", "= end_turn"],
    ),
    Case(
        "text before calls ends before them",
        [Text(0, "a"), CALL_A, Arguments(0, "{}"), CALLS],
        ["+ text", "text a", "-", "+ tool_use", "input_json {", "input_json }", "-", "= tool_use"],
    ),
    Case(
        "a call is told as it comes, but for its last sign",
        [CALL_A, Arguments(0, '{"a":'), Arguments(0, '"}"'), Arguments(0, "}\n"), CALLS],
        ["+ tool_use", 'input_json {"a":', 'input_json "}"', "input_json }\n", "-", "= tool_use"],
    ),
    Case(
        "a quote that is escaped across two pieces ends no text",
        [CALL_A, Arguments(0, '{"a":"\\'), Arguments(0, '"}'), CALL_B, Arguments(0, '"}'), CALLS],
        [
            *["+ tool_use", 'input_json {"a":"\\', 'input_json "}', 'input_json "', "input_json }", "-"],
            *["+ tool_use", "input_json {}", "-", "= tool_use"],
        ],
    ),
    Case(
        "a call without arguments says an empty object",
        [CALL_A, Arguments(0, "null"), CALLS],
        ["+ tool_use", "input_json {}", "-", "= tool_use"],
    ),
    Case(
        "calls that interleave come one after the other",
        [CALL_A, CALL_B, Arguments(1, '{"b":'), Arguments(0, '{"a":'), Arguments(1, "2}"), Arguments(0, "1}"), CALLS],
        [
            *["+ tool_use", 'input_json {"a":', "input_json 1", "input_json }", "-"],
            *["+ tool_use", 'input_json {"b":2', "input_json }", "-", "= tool_use"],
        ],
    ),
    Case(
        "what comes between the pieces of a call is told after it, in order",
        [
            CALL_A,
            Arguments(0, "{"),
            Text(5, "x"),
            Reasoning(6, "hm"),
            Text(5, "y"),
            Arguments(0, "}"),
            Text(5, "z"),
            CALLS,
        ],
        [
            *["+ tool_use", "input_json {", "input_json }", "-", "+ text", "text x", "-", "+ thinking"],
            *["thinking hm", "signature tl1.", "-", "+ text", "text y", "text z", "-", "= tool_use"],
        ],
    ),
    Case(
        "a call that is closed ends where something else begins",
        [CALL_A, Closed(0), Text(0, "x"), STOP],
        ["+ tool_use", "input_json {}", "-", "+ text", "text x", "-", "= tool_use"],
    ),
    Case(
        "calls with one index are several all the same",
        [CALL_A, Arguments(0, '{"a":1}'), FunctionCall(0, "call_b", "look"), Arguments(0, '{"a":2}'), CALLS],
        [
            *["+ tool_use", 'input_json {"a":1', "input_json }", "-"],
            *["+ tool_use", 'input_json {"a":2', "input_json }", "-", "= tool_use"],
        ],
    ),
    Case(
        "a call that is said again is one",
        [CALL_A, CALL_A, Arguments(0, "{}"), CALLS],
        ["+ tool_use", "input_json {", "input_json }", "-", "= tool_use"],
    ),
    Case("arguments of no call are nobody's", [Arguments(3, "{}"), STOP], ["= end_turn"]),
    Case(
        "a call of raw text says it as one member",
        [FunctionCall(0, "c", "patch", "custom"), Arguments(0, 'a"\n'), Arguments(0, "}"), CALLS],
        [
            "+ tool_use",
            'input_json {"input":"',
            'input_json a\\"\\n',
            "input_json }",
            'input_json "}',
            "-",
            "= tool_use",
        ],
    ),
    Case(
        "a citation ends the block that it hangs on",
        [Text(0, "It is."), Citation(0, PAGE), Citation(0, PAGE), Text(0, " So"), STOP],
        ["+ text", "text It is.", "citations https://a.example", "-", "+ text", "text  So", "-", "= end_turn"],
    ),
    Case(
        "a citation that comes early waits in a block for its text",
        [Citation(0, PAGE), Text(0, "a"), Text(0, "b"), STOP],
        ["+ text", "citations https://a.example", "text a", "text b", "-", "= end_turn"],
    ),
    Case(
        "a citation that comes late has a block of its own",
        [Text(0, "a"), Text(1, "b"), Citation(0, PAGE), STOP],
        ["+ text", "text a", "-", "+ text", "text b", "-", "+ text", "citations https://a.example", "-", "= end_turn"],
    ),
    Case(
        "a file that was written is no source",
        [Text(0, "a"), Citation(0, FilePath("f", 1)), STOP],
        ["+ text", "text a", "-", "= end_turn"],
    ),
    Case(
        "a picture is a link, and a sketch of it nothing",
        [Image(0, "AAAA", False), Image(0, "BBBB", True), STOP],
        ["+ text", "text ![image](data:image/png;base64,BBBB)", "-", "= end_turn"],
    ),
    Case(
        "a refusal is a text, and the reason",
        [Refusal(0, "I "), Refusal(0, "won't."), STOP],
        ["+ text", "text I ", "text won't.", "-", "= refusal"],
    ),
    Case(
        "a phase and items of OpenAI's are not told",
        [Phase(0, "commentary"), Opaque(1, ServerItem({"type": "mcp_call"}), True), STOP],
        ["= end_turn"],
    ),
    Case("a filter is a refusal", [Text(0, "a"), Stopped("content_filter")], ["+ text", "text a", "-", "= refusal"]),
    Case("a limit is max_tokens", [Text(0, "a"), LENGTH], ["+ text", "text a", "-", "= max_tokens"]),
    Case(
        "a stop text is told as one",
        [Text(0, "a"), Stopped("stop", "END")],
        ["+ text", "text a", "-", "= stop_sequence"],
    ),
    Case(
        "calls are what an answer stopped for, whatever its provider says",
        [CALL_A, Arguments(0, "{}"), STOP],
        ["+ tool_use", "input_json {", "input_json }", "-", "= tool_use"],
    ),
    Case(
        "an answer without calls did not stop for them", [Text(0, "a"), CALLS], ["+ text", "text a", "-", "= end_turn"]
    ),
    Case("the first reason holds", [Text(0, "a"), LENGTH, STOP], ["+ text", "text a", "-", "= max_tokens"]),
    Case("an answer that was cut off is an error", [Text(0, "a")], ["+ text", "text a", "! api_error"]),
    Case(
        "a call that was cut off does not end",
        [CALL_A, Arguments(0, '{"a":1}')],
        ["+ tool_use", 'input_json {"a":1', "! api_error"],
    ),
    Case(
        "a call that ran into the limit is not whole, whatever its JSON looks like",
        [CALL_A, Arguments(0, '{"a":1}'), Closed(0), LENGTH],
        ["+ tool_use", 'input_json {"a":1', "-", "= max_tokens"],
    ),
    Case(
        "a call that had not begun to speak at the limit is not whole",
        [CALL_A, LENGTH],
        ["+ tool_use", "input_json {", "-", "= max_tokens"],
    ),
    Case(
        "a call that was closed before something else came is whole at the limit",
        [CALL_A, Arguments(0, "{}"), Closed(0), CALL_B, Arguments(1, '{"b"'), LENGTH],
        ["+ tool_use", "input_json {", "input_json }", "-", "+ tool_use", 'input_json {"b"', "-", "= max_tokens"],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_events(case: Case) -> None:
    events = stream(*case.deltas)
    assert brief(events) == case.told
    check_stream(events)


SEALED = ReasoningSeal(0, "blob", endpoint_id="openai:gpt", item_id="rs_1", format="openai-responses-v1")


def test_another_makers_proof_is_tagged_with_all_that_it_needs_to_go_back() -> None:
    (block,) = whole(ReasoningSummary(0, "hm"), SEALED, STOP)["content"]
    origin = unseal(block["signature"])
    assert origin is not None
    assert (origin.blob, origin.endpoint_id, origin.item_id) == ("blob", "openai:gpt", "rs_1")


def test_a_proof_without_words_is_a_hidden_thought() -> None:
    late = ReasoningSeal(0, signature="late", endpoint_id="google:gemini", format="google-gemini-v1")
    content = whole(SEALED, Text(0, "a"), late, Text(0, "b"), STOP)["content"]
    assert [block["type"] for block in content] == ["redacted_thinking", "text", "redacted_thinking", "text"]
    first, second = unseal(content[0]["data"]), unseal(content[2]["data"])
    assert first is not None
    assert second is not None
    assert (first.blob, second.signature, second.form) == ("blob", "late", "google-gemini-v1")


def test_what_anthropic_redacted_goes_back_as_it_came() -> None:
    (block,) = whole(ReasoningSeal(0, "redacted", format="anthropic-claude-v1", endpoint_id="a:b"), STOP)["content"]
    assert block == {"type": "redacted_thinking", "data": "redacted"}


def test_no_proof_begins_as_our_mark_does() -> None:
    (block,) = whole(Reasoning(0, "hm"), SEALED, STOP)["content"]
    assert not is_unsigned(block["signature"])


def test_call_ids_are_unique_and_such_as_the_api_takes() -> None:
    said = ["toolu_01", "functions.look:0", "", "toolu_01"]
    deltas: list[Delta] = [
        delta for slot, call_id in enumerate(said) for delta in (FunctionCall(slot, call_id, "look"), Closed(slot))
    ]
    ids = [block["id"] for block in whole(*deltas, CALLS)["content"]]
    assert ids == ["toolu_01", "functions_look_0", "toolu_000000", "toolu_000001"]


def test_arguments_are_kept_to_the_byte_and_wrapped_where_they_are_no_object() -> None:
    machine = telling(is_stream=False)
    machine.feed(
        [CALL_A, Arguments(0, '{"b": 1.50, "a":\t12345678901234567890123}'), CALL_B, Arguments(1, "[1"), CALLS]
    )
    body = machine.end()
    assert b'"input":{"b": 1.50, "a":\t12345678901234567890123}' in body
    assert json.loads(body)["content"][1]["input"] == {"_raw": "[1"}


@pytest.mark.parametrize("is_stream", [False, True])
def test_what_comes_behind_a_whole_call_is_kept_as_it_is_and_not_gone_through_again(is_stream: bool) -> None:
    """Models that write blanks without end are known: each of so many, copied for each that follows, takes minutes."""
    count = 250_000
    machine = telling(is_stream=is_stream)
    machine.feed([CALL_A, Arguments(0, '{"a":1}'), *[Arguments(0, " \n")] * count])
    for _ in range(count):
        machine.feed([Arguments(0, " \n")])
    told = machine.end([Arguments(0, "}"), CALLS])
    blanks = "}" + " \n" * (2 * count)
    if is_stream:
        assert json.dumps(blanks).encode() in told
        assert b'"partial_json":"}"' in told
    else:
        assert json.loads(told)["content"][0]["input"] == {"_raw": '{"a":1' + blanks + "}"}


def test_a_call_that_was_cut_is_no_part_of_a_whole_answer() -> None:
    body = whole(Text(0, "a"), CALL_A, Arguments(0, '{"a":1}'), Closed(0), LENGTH)
    assert ([block["type"] for block in body["content"]], body["stop_reason"]) == (["text"], "max_tokens")


USAGE = Usage(
    input_tokens=100, cache_read_tokens=60, cache_write_tokens=30, cache_write_1h_tokens=10,
    output_tokens=9, reasoning_tokens=4, searches=2,
)  # fmt: skip


def test_usage_counts_what_was_cached_apart() -> None:
    cost = Cost(total=1_500_000, input=500_000, output=1_000_000)
    usage = whole(Text(0, "a"), Spent(Usage()), Spent(USAGE, cost, "priority"), STOP)["usage"]
    assert usage == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "service_tier": "priority",
        "cost": 0.0015,
    }


def test_MO_08_more_cached_than_was_read_makes_no_count_negative() -> None:
    usage = whole(Spent(Usage(input_tokens=5, cache_read_tokens=9, cache_write_tokens=9)), STOP)["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (0, 5, 0)


@pytest.mark.parametrize("spent", [[], [Spent(Usage())]], ids=["no usage", "all-zero usage"])
def test_a_stream_ends_with_an_estimate_where_nobody_counted(spent: list[Delta]) -> None:
    events = stream(Text(0, "a"), STOP, *spent)
    check_stream(events)
    assert [events[0]["message"]["usage"]["input_tokens"], events[-2]["usage"]["input_tokens"]] == [ESTIMATE, ESTIMATE]


def test_a_cost_that_nobody_knows_is_null_and_a_small_one_exact() -> None:
    def told(total: int | None) -> bytes:
        machine = telling(is_stream=False)
        return machine.end([Spent(USAGE, Cost(total=total, input=0, output=0)), STOP])

    assert b'"cost":null' in told(None)
    assert b'"cost":0.000000001' in told(1)
    assert Decimal(json.loads(told(10**18), parse_float=Decimal)["usage"]["cost"]) == 10**9


def test_a_message_goes_by_the_name_that_was_asked_for_and_by_an_id_of_its_own() -> None:
    first = stream(Began("acme/large-1"), STOP)[0]["message"]
    assert (first["model"], first["id"], first["role"]) == (NAME, "msg_a1", "assistant")
    assert stream(Began("acme/large-1"), STOP)[1] == {"type": "ping"}
    other = telling(is_stream=False, answer_id="resp_b2")
    assert json.loads(other.end([STOP]))["id"] == "msg_b2"


def test_a_refusal_is_explained() -> None:
    body = whole(Refusal(0, "I "), Refusal(0, "won't."), STOP)
    assert body["stop_details"] == {"type": "refusal", "category": None, "explanation": "I won't."}
    assert whole(Text(0, "a"), STOP)["stop_details"] is None
    assert whole(Text(0, "a"), Stopped("stop", "END"))["stop_sequence"] == "END"


def test_what_anthropic_says_of_a_call_and_an_answer_is_told() -> None:
    caller = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}
    container = {"id": "container_1", "expires_at": "2026-11-28T10:00:00Z"}
    edits = {"applied_edits": [{"type": "clear_tool_uses_20250919"}]}
    deltas: list[Delta] = [
        FunctionCall(0, "toolu_1", "clock", anthropic={"caller": caller}),
        Closed(0),
        Stopped("calls", None, {"container": container, "context_management": edits}),
    ]
    events = stream(*deltas)
    check_stream(events)
    call = {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}, "caller": caller}
    assert events[2]["content_block"] == call
    ending = events[-2]
    assert (ending["delta"]["container"], ending["context_management"]) == (container, edits)
    body = whole(*deltas)
    assert (body["content"], body["container"], body["context_management"]) == ([call], container, edits)


def test_an_end_of_which_anthropic_says_more_is_told_as_it_says() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "No.", "recommended_model": "m"}
    for own in ({"stop_reason": "compaction"}, {"stop_reason": "refusal", "stop_details": details}):
        deltas: list[Delta] = [Text(0, "a"), Stopped("stop", anthropic=own)]
        ended = next(event["delta"] for event in stream(*deltas) if event["type"] == "message_delta")
        assert {name: ended[name] for name in own} == own
        assert {name: whole(*deltas)[name] for name in own} == own


def test_what_comes_with_the_end_leaves_with_it() -> None:
    machine = telling(is_stream=True)
    pieces = [
        machine.feed([Began("m"), Text(0, "a")]),
        machine.feed([Text(0, "b"), STOP]),
        machine.feed([Spent(USAGE)]),
    ]
    assert [bool(piece) for piece in pieces] == [True, False, False]
    assert (machine.is_ending, machine.is_over) == (False, False)
    last = machine.end()
    assert (machine.is_ending, machine.is_over, machine.failure) == (True, True, None)
    assert last.startswith(b"event: content_block_delta")
    assert last.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
def test_an_answer_that_failed_says_why(is_stream: bool) -> None:
    machine, error = telling(is_stream=is_stream), BadGateway("gone")
    assert b"gone" in machine.fail(error)
    assert machine.failure is error
    cut = telling(is_stream=is_stream)
    cut.feed([Text(0, "a")])
    assert b"cut off" in cut.end()
    assert isinstance(cut.failure, BadGateway)


def test_a_failure_before_anything_was_said_is_the_error_alone() -> None:
    machine = telling(is_stream=True)
    body = machine.fail(BadGateway("gone"))
    assert body == b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"gone"}}\n\n'


def test_a_stream_and_a_whole_answer_are_one() -> None:
    deltas: list[Delta] = [Began("m"), Reasoning(0, "hm"), BARE, Text(0, "Hel"), Text(0, "lo"), Spent(USAGE), STOP]
    assert fold(stream(*deltas)) == whole(*deltas)
