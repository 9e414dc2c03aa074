"""What only Anthropic's own servers know: told to them as it came, and to nobody else; what had to be done is refused.

Every member in every dialect: at Anthropic's own endpoint it stands in the body, elsewhere the body is as if it had not
been said, and its name is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.adapters import served
from tests.adapters.test_capabilities import SPEAKERS
from trunkline.adapters.encoding.anthropic_tools import as_function
from trunkline.adapters.encoding.offers import Offer, offered, restoring
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.catalog.quirks import Quirks
from trunkline.errors import Unprocessable
from trunkline.protocol.checks import looked_through
from trunkline.protocol.extensions import has_extensions
from trunkline.protocol.items import (
    Found,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputText,
    Json,
    Message,
    OutputText,
    SearchAction,
    WebSearchCall,
)
from trunkline.protocol.marking import wants_hour
from trunkline.protocol.marks import CacheMark
from trunkline.protocol.opaque import Anthropic, AnthropicItem, AnthropicTool
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionChoice, FunctionTool, SearchTool
from trunkline.stream.deltas import Arguments, Closed, FunctionCall, Opaque, Stopped, Text
from trunkline.wire import UpstreamRequest, WireMessage

HI = Message(role="user", content=(InputText("Draw the time."),))
CLOCK = FunctionTool("clock", "Tells the time.", {"type": "object", "properties": {"zone": {"type": "string"}}})
WEB = SearchTool("web_search")
OWN = "own"
"""The one endpoint here that is Anthropic's own."""
OTHERS = [*SPEAKERS, "fake"]


def endpoint(place: str, **quirks: Any) -> Endpoint:
    """The endpoint of a dialect, or Anthropic's own, which takes all that a Messages client says."""
    dialect: Dialect = "messages" if place == OWN else place  # type: ignore[assignment]
    own = Quirks(has_anthropic_members=place == OWN, has_openai_tools=place == "responses", **quirks)
    return served.endpoint(own, dialect=dialect)


def asked(*items: InputItem, **members: Any) -> Request:
    request = Request(input=items or (HI,), **members)
    return replace(request, has_extensions=has_extensions(request))


def told(place: str, request: Request, **quirks: Any) -> tuple[Offer, UpstreamRequest]:
    at = endpoint(place, **quirks)
    offer = offered(request, at)
    return offer, ADAPTERS[at.dialect].encode(offer.request, at, None)


def body(place: str, request: Request, **quirks: Any) -> Json:
    return msgspec.json.decode(told(place, request, **quirks)[1].body)


def lost(place: str, request: Request) -> list[str]:
    offer, sent = told(place, request)
    return [*dict.fromkeys((*offer.lost, *sent.dropped))]


@dataclass(frozen=True)
class Case:
    """`said` by a client; `own` is what of the body it is at Anthropic's own, `names` how it is called elsewhere."""

    id: str
    said: Anthropic
    own: Mapping[str, Json]
    names: list[str]
    more: Mapping[str, Any] = field(default_factory=dict)


EDITS = {"edits": [{"type": "clear_thinking_20251015"}]}
WITH_CLOCK = {"tools": (CLOCK,)}
WRITTEN = {"name": "clock", "description": "Tells the time.", "input_schema": CLOCK.parameters}

LEFT_OUT = [
    Case(
        "context_management",
        Anthropic(members={"context_management": EDITS}),
        {"context_management": EDITS},
        ["context_management"],
    ),
    Case("speed", Anthropic(members={"speed": "fast"}), {"speed": "fast"}, ["speed"]),
    Case("inference_geo", Anthropic(members={"inference_geo": "us"}), {"inference_geo": "us"}, ["inference_geo"]),
    Case("diagnostics", Anthropic(members={"diagnostics": {}}), {"diagnostics": {}}, ["diagnostics"]),
    Case("betas", Anthropic(betas=("a-2026-01-01",)), {}, ["betas"]),
    Case(
        "members of a tool",
        Anthropic(tools={"clock": {"defer_loading": True, "input_examples": [{"zone": "UTC"}]}}),
        {"tools": [{**WRITTEN, "defer_loading": True, "input_examples": [{"zone": "UTC"}]}]},
        ["tools.defer_loading", "tools.input_examples"],
        WITH_CLOCK,
    ),
    Case("an empty container", Anthropic(members={"container": None}), {"container": None}, ["container"]),
    Case(
        "the line that says which program calls",
        Anthropic(billing="x-anthropic-billing-header: cc_version=2"),
        {
            "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
                {"type": "text", "text": "Be brief."},
            ]
        },
        [],
        {"instructions": "Be brief."},
    ),
]


@pytest.mark.parametrize("case", LEFT_OUT, ids=lambda case: case.id)
def test_anthropics_own_servers_are_told_what_their_clients_say(case: Case) -> None:
    said = asked(anthropic=case.said, **case.more)
    assert {name: body(OWN, said)[name] for name in case.own} == case.own
    assert lost(OWN, said) == []


@pytest.mark.parametrize("place", OTHERS)
@pytest.mark.parametrize("case", LEFT_OUT, ids=lambda case: case.id)
def test_nobody_else_is_told_any_of_it_and_it_is_named(case: Case, place: str) -> None:
    said, plain = asked(anthropic=case.said, **case.more), asked(**case.more)
    assert told(place, said)[1] == told(place, plain)[1]
    assert lost(place, said) == [*case.names, *lost(place, plain)]


BOUND: dict[str, tuple[Mapping[str, Any], str]] = {
    **{
        name: ({"anthropic": Anthropic(members={name: value})}, name)
        for name, value in {
            "container": "container_1",
            "mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "a"}],
            "compaction": {"type": "auto"},
            "fallbacks": [{"model": "b"}],
        }.items()
    },
    **{
        kind: ({"tools": (CLOCK, AnthropicTool(type=kind, name=kind))}, f'tools[1] "{kind}"')
        for kind in (
            "code_execution_20250825",
            "computer_20250124",
            "web_fetch_20250910",
            "tool_search_tool_regex_20251119",
            "mcp_toolset",
            "advisor_20260301",
        )
    },
}


@pytest.mark.parametrize("place", OTHERS)
@pytest.mark.parametrize("name", BOUND)
def test_what_has_to_be_done_is_refused_where_nobody_could_do_it(name: str, place: str) -> None:
    members, named = BOUND[name]
    with pytest.raises(Unprocessable, match="does not take") as refused:
        told(place, asked(**members))
    assert named in str(refused.value)


@pytest.mark.parametrize("name", BOUND)
def test_what_has_to_be_done_goes_to_anthropic_as_it_came(name: str) -> None:
    members, _ = BOUND[name]
    sent = body(OWN, asked(**members))
    for tool in members.get("tools", ())[1:]:
        assert sent["tools"] == [WRITTEN, dict(tool)]
    if "anthropic" in members:
        assert sent[name] == members["anthropic"].members[name]


# Betas


def test_betas_join_those_of_the_row_each_once() -> None:
    said = asked(anthropic=Anthropic(betas=("b-1", "a-1,c-1", "b-1")))
    row = {"extra_headers": {"Anthropic-Beta": "a-1, z-1"}}
    sent = told(OWN, said, **row)[1]
    assert {name.lower(): value for name, value in sent.headers.items()}["anthropic-beta"] == "a-1,z-1,b-1,c-1"
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert len([name for name in sent.headers if name.lower() == "anthropic-beta"]) == 1


@pytest.mark.parametrize("beta", ["", "a b", "a\r\nx-evil: 1", "é", "a" * 129])
def test_what_can_be_no_beta_is_not_sent(beta: str) -> None:
    assert "anthropic-beta" not in told(OWN, asked(anthropic=Anthropic(betas=(beta,))))[1].headers


def test_without_system_text_the_line_of_the_program_is_all_there_is() -> None:
    sent = body(OWN, asked(anthropic=Anthropic(billing="x-anthropic-billing-header: a")))
    assert sent["system"] == [{"type": "text", "text": "x-anthropic-billing-header: a"}]


# Tools that the client runs

BASH = AnthropicTool(type="bash_20250124", name="bash")
EDITOR = AnthropicTool(type="text_editor_20250728", name="str_replace_based_edit_tool", max_characters=9)
OLD_EDITOR = AnthropicTool(type="text_editor_20250124", name="str_replace_editor")
MEMORY = AnthropicTool(type="memory_20250818", name="memory")
CLIENTS = (BASH, EDITOR, OLD_EDITOR, MEMORY)


@pytest.mark.parametrize("tool", CLIENTS, ids=lambda tool: tool.type)
def test_a_tool_that_the_client_runs_is_a_function_for_others(tool: AnthropicTool) -> None:
    function = as_function(tool)
    assert tool.is_clients
    assert function is not None
    assert function.name == tool["name"]
    parameters = function.parameters
    assert parameters is not None
    assert set(parameters["required"]) <= parameters["properties"].keys()
    for place in OTHERS:
        plain = asked(tools=(CLOCK, function), tool_choice=FunctionChoice(function.name))
        assert (
            told(place, asked(tools=(CLOCK, tool), tool_choice=FunctionChoice(function.name)))[1]
            == (told(place, plain)[1])
        ), place


@pytest.mark.parametrize("kind", [kind for kind in BOUND if BOUND[kind][1].startswith("tools")])
def test_a_tool_that_anthropic_runs_is_no_function(kind: str) -> None:
    tool = AnthropicTool(type=kind, name=kind)
    assert not tool.is_clients
    assert as_function(tool) is None


def test_a_tool_that_the_client_runs_is_told_to_anthropic_as_it_is_with_its_calls() -> None:
    call = FunctionCallItem(call_id="toolu_1", name="bash", arguments='{"command":"ls"}')
    answer = FunctionCallOutput(call_id="toolu_1", output="a b")
    sent = body(OWN, asked(HI, call, answer, tools=(BASH, EDITOR)))
    assert sent["tools"] == [dict(BASH), {**EDITOR, "cache_control": {"type": "ephemeral"}}]
    assert sent["messages"][1]["content"][0]["name"] == "bash"


def test_an_editor_of_old_can_undo_and_inserts_what_it_calls_otherwise() -> None:
    commands = {}
    for tool in (EDITOR, OLD_EDITOR):
        function = as_function(tool)
        assert function is not None
        assert function.parameters is not None
        properties = function.parameters["properties"]
        commands[tool["name"]] = ("undo_edit" in properties["command"]["enum"], "insert_text" in properties)
    assert commands == {"str_replace_based_edit_tool": (False, True), "str_replace_editor": (True, False)}


def test_a_name_that_a_vendor_does_not_take_is_told_back_as_the_client_gave_it() -> None:
    tool = AnthropicTool(type="bash_20250124", name="my bash")
    at = endpoint("messages")
    offer = offered(asked(tools=(tool,)), at)
    (function,) = offer.request.tools
    assert isinstance(function, FunctionTool)
    assert function.name == "my_bash"
    decoder = restoring(ADAPTERS["messages"].decoder(offer.request, at), offer)
    called = {"type": "tool_use", "id": "t", "name": "my_bash", "input": {"command": "ls"}}
    heard = decoder.whole(msgspec.json.encode({"content": [called], "stop_reason": "tool_use"}))
    assert [*heard][:2] == [FunctionCall(0, "t", "my bash"), Arguments(0, '{"command":"ls"}')]


@pytest.mark.parametrize(
    ("later", "marked"),
    [((), ["bell"]), (("bell",), ["clock"]), (("clock", "bell"), [])],
    ids=["none", "the last", "all"],
)
def test_no_tool_that_is_loaded_later_is_marked_for_the_cache(later: tuple[str, ...], marked: list[str]) -> None:
    said = Anthropic(tools={name: {"defer_loading": True} for name in later})
    turns = (HI, said_by_model("Which?"), HI)
    sent = body(OWN, asked(*turns, tools=(CLOCK, replace(CLOCK, name="bell")), anthropic=said))
    assert [tool["name"] for tool in sent["tools"] if "cache_control" in tool] == marked


def test_members_of_a_tool_follow_the_name_that_it_has_at_anthropic() -> None:
    said = Anthropic(tools={"my clock": {"defer_loading": True}})
    (tool,) = body(OWN, asked(tools=(replace(CLOCK, name="my clock"),), anthropic=said))["tools"]
    assert (tool["name"], tool["defer_loading"]) == ("my_clock", True)


# Marks

MARK = {"type": "ephemeral"}


def test_of_more_than_four_marks_the_first_go_whoever_carries_them() -> None:
    block = {"type": "compaction", "content": "c", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    tools = (
        replace(CLOCK, cache_control=CacheMark()),
        AnthropicTool(type="bash_20250124", name="bash", cache_control=MARK),
        replace(WEB, cache_control=CacheMark()),
    )
    said = Message(role="user", content=(InputText("Go on.", CacheMark()),))
    request = replace(asked(HI, AnthropicItem(block), said, AnthropicItem(block), tools=tools), has_marks=True)
    assert wants_hour(request)
    offer, told_ = told(OWN, request)
    sent = msgspec.json.decode(told_.body)
    assert offer.lost == ("cache_control",)
    assert [tool["name"] for tool in sent["tools"] if "cache_control" in tool] == ["web_search"]
    blocks = [block for turn in sent["messages"] for block in turn["content"]]
    assert [block["type"] for block in blocks if "cache_control" in block] == ["compaction", "text", "compaction"]
    assert block["cache_control"], "what the client wrote stays as it is"


@pytest.mark.parametrize("place", ["an item", "a tool", "the search"])
def test_who_marks_only_what_anthropic_knows_is_left_alone(place: str) -> None:
    item = AnthropicItem(type="compaction", content="c")
    tool, web = AnthropicTool(type="bash_20250124", name="bash"), WEB
    match place:
        case "an item":
            item["cache_control"] = MARK
        case "a tool":
            tool["cache_control"] = MARK
        case _:
            web = replace(WEB, cache_control=CacheMark())
    request = looked_through(asked(HI, item, said_by_model("Which?"), HI, tools=(tool, web)))
    assert request.has_marks
    assert told(OWN, request)[1].body.count(b'"cache_control"') == 1


def test_a_mark_stays_on_a_tool_that_is_told_as_a_function() -> None:
    tool = AnthropicTool(type="bash_20250124", name="bash", cache_control=MARK)
    (function,) = body("messages", replace(asked(tools=(tool,)), has_marks=True))["tools"]
    assert function["cache_control"] == MARK


# Blocks

RAN = AnthropicItem(type="server_tool_use", id="srvtoolu_1", name="code_execution", input={"code": "1"})
GAVE = AnthropicItem(type="code_execution_tool_result", tool_use_id="srvtoolu_1", content={"stdout": "1"})


def said_by_model(text: str) -> Message:
    return Message(role="assistant", content=(OutputText(text),))


def test_blocks_go_back_to_anthropic_where_they_stood() -> None:
    request = asked(HI, said_by_model("I run."), RAN, GAVE, said_by_model("One."), HI)
    assert body(OWN, request)["messages"][1]["content"] == [
        {"type": "text", "text": "I run."},
        dict(RAN),
        dict(GAVE),
        {"type": "text", "text": "One."},
    ]
    assert lost(OWN, request) == []


@pytest.mark.parametrize("place", OTHERS)
def test_blocks_are_left_out_and_named_elsewhere(place: str) -> None:
    request = asked(HI, said_by_model("I run."), RAN, GAVE, said_by_model("One."), HI)
    plain = asked(HI, said_by_model("I run."), said_by_model("One."), HI)
    assert told(place, request)[1] == told(place, plain)[1]
    assert lost(place, request)[:2] == ["input.server_tool_use", "input.code_execution_tool_result"]


PAGE = Found("https://kites.example", "Kites", "2 days ago", "SEALED")
SEARCHED = WebSearchCall(
    id="srvtoolu_1",
    status="completed",
    action=SearchAction("kites", ("kites",)),
    results=(PAGE, Found("https://b.example")),
)


def test_a_search_goes_back_to_anthropic_as_its_two_blocks() -> None:
    sent = body(OWN, asked(HI, SEARCHED, said_by_model("Kites."), HI, tools=(WEB,)))
    assert sent["messages"][1]["content"] == [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "kites"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [
                {
                    "type": "web_search_result",
                    "url": "https://kites.example",
                    "title": "Kites",
                    "encrypted_content": "SEALED",
                    "page_age": "2 days ago",
                }
            ],
        },
        {"type": "text", "text": "Kites."},
    ]


@pytest.mark.parametrize(
    ("call", "tools"),
    [
        (replace(SEARCHED, results=(Found("https://b.example"),)), (WEB,)),
        (replace(SEARCHED, results=()), (WEB,)),
        (SEARCHED, ()),
    ],
    ids=["results of somebody else", "no results", "no search offered any more"],
)
def test_a_search_that_anthropic_cannot_read_again_is_left_out(call: WebSearchCall, tools: Any) -> None:
    sent = body(OWN, asked(HI, call, said_by_model("Kites."), HI, tools=tools))
    assert sent["messages"][1]["content"] == [{"type": "text", "text": "Kites."}]


@pytest.mark.parametrize("place", SPEAKERS)
def test_a_search_is_left_out_elsewhere(place: str) -> None:
    request = asked(HI, SEARCHED, said_by_model("Kites."), HI)
    assert told(place, request)[1] == told(place, asked(HI, said_by_model("Kites."), HI))[1]


# Answers

USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "code_execution", "input": {"code": "1"}}
RESULT = {"type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {"stdout": "1"}}
MCP = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "f", "server_name": "s", "input": {"a": "ü"}}
SUMMED = {"type": "compaction", "content": "All of it.", "encrypted_content": "E"}
UPLOAD = {"type": "container_upload", "file_id": "file_1"}
BLOCKS: list[dict[str, Any]] = [USE, RESULT, MCP, SUMMED, UPLOAD]
TEXTS = ({"type": "text", "text": "I run."}, {"type": "text", "text": "One."})


def event(kind: str, **fields: Any) -> WireMessage:
    return WireMessage(kind, msgspec.json.encode({"type": kind, **fields}))


def streamed(*blocks: dict[str, Any], reason: str = "end_turn", **start: Any) -> list[WireMessage]:
    """The blocks of an answer as a stream of them, arguments and texts in pieces."""
    out = [event("message_start", message={"content": [], **start})]
    for index, block in enumerate(blocks):
        pieces: list[dict[str, Any]] = []
        begun = dict(block)
        if block["type"] == "text":
            begun["text"] = ""
            pieces = [{"type": "text_delta", "text": letter} for letter in block["text"]]
        elif "input" in block:
            begun["input"] = {}
            said = msgspec.json.encode(block["input"]).decode()
            pieces = [{"type": "input_json_delta", "partial_json": letter} for letter in said]
        elif block["type"] == "compaction":
            begun = {"type": "compaction", "content": None}
            pieces = [{**block, "type": "compaction_delta"}]
        out.append(event("content_block_start", index=index, content_block=begun))
        out += [event("content_block_delta", index=index, delta=piece) for piece in pieces]
        out.append(event("content_block_stop", index=index))
    return [*out, event("message_delta", delta={"stop_reason": reason}), event("message_stop")]


def heard(request: Request, *blocks: dict[str, Any], is_whole: bool) -> list[Any]:
    decoder = ADAPTERS["messages"].decoder(request, endpoint(OWN))
    if is_whole:
        deltas = [*decoder.whole(msgspec.json.encode({"content": blocks, "stop_reason": "end_turn"}))]
    else:
        deltas = [delta for message in streamed(*blocks) for delta in decoder.message(message)]
    joined: list[Any] = []
    for delta in deltas:
        if isinstance(delta, Text) and joined and isinstance(joined[-1], Text):
            delta = Text(delta.slot, joined.pop().text + delta.text)
        joined.append(delta)
    return joined


KNOWING = [
    asked(anthropic=Anthropic(betas=("b",))),
    asked(tools=(AnthropicTool(type="code_execution_20250825", name="code_execution"),)),
]


@pytest.mark.parametrize("is_whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("request_", KNOWING, ids=["by what it says", "by its tools"])
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["type"])
def test_a_block_that_is_anthropics_own_is_told_whole_to_a_client_that_knows_it(
    block: dict[str, Any], request_: Request, is_whole: bool
) -> None:
    assert heard(request_, TEXTS[0], block, TEXTS[1], is_whole=is_whole) == [
        Text(0, "I run."),
        Closed(0),
        Opaque(1, AnthropicItem(block), is_done=True),
        Text(2, "One."),
        Stopped("stop"),
    ]


@pytest.mark.parametrize("is_whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["type"])
def test_other_clients_hear_nothing_of_it(block: dict[str, Any], is_whole: bool) -> None:
    plain = heard(asked(), TEXTS[0], block, TEXTS[1], is_whole=is_whole)
    assert plain == [Text(0, "I run."), Closed(0), Text(2, "One."), Stopped("stop")]


CALLED = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "clock",
    "input": {},
    "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"},
}
CALLER = {"caller": CALLED["caller"]}
CONTAINER = {"id": "container_1", "expires_at": "2026-11-28T10:00:00Z"}
EDITED = {"applied_edits": [{"type": "clear_tool_uses_20250919", "cleared_tool_uses": 1}]}


@pytest.mark.parametrize(("request_", "knows"), [(KNOWING[0], True), (asked(), False)], ids=["its own", "another"])
def test_what_anthropic_says_of_calls_and_answers_is_told_to_its_own_clients(request_: Request, knows: bool) -> None:
    start = event("message_start", message={"content": [], "container": {"id": "earlier"}})
    begun = event("content_block_start", index=0, content_block=CALLED)
    said = {"stop_reason": "tool_use", "container": CONTAINER}
    end = event("message_delta", delta=said, context_management=EDITED)
    stream = [start, begun, event("content_block_stop", index=0), end, event("message_stop")]
    whole = {"content": [CALLED], **said, "context_management": EDITED}
    call = FunctionCall(0, "toolu_1", "clock", anthropic=CALLER if knows else None)
    stopped = Stopped("calls", None, {"container": CONTAINER, "context_management": EDITED} if knows else None)
    decoder = ADAPTERS["messages"].decoder(request_, endpoint(OWN))
    assert [delta for message in stream for delta in decoder.message(message)] == [call, Closed(0), stopped]
    decoder = ADAPTERS["messages"].decoder(request_, endpoint(OWN))
    assert [*decoder.whole(msgspec.json.encode(whole))] == [call, Closed(0), stopped]


@pytest.mark.parametrize("place", [OWN, *OTHERS])
def test_who_called_goes_back_to_anthropic_alone(place: str) -> None:
    plain = FunctionCallItem(call_id="toolu_1", name="clock", arguments="{}")
    answer = FunctionCallOutput(call_id="toolu_1", output="12")
    told_back, without = (asked(HI, call, answer, **WITH_CLOCK) for call in (replace(plain, anthropic=CALLER), plain))
    if place == OWN:
        assert body(place, told_back)["messages"][1]["content"] == [CALLED]
    else:
        assert told(place, told_back)[1] == told(place, without)[1]


def test_who_sends_a_long_block_is_not_silent() -> None:
    decoder = ADAPTERS["messages"].decoder(KNOWING[0], endpoint(OWN))
    told = [(list(decoder.message(message)), decoder.held_back) for message in streamed(USE)]
    assert [deltas for deltas, _ in told[:-3]] == [[]] * (len(told) - 3)
    held = [count for _, count in told]
    assert held == sorted(held)
    assert held[-1] == len(msgspec.json.encode(USE["input"]))


def test_a_block_that_is_cut_by_the_end_is_told_as_far_as_it_came() -> None:
    decoder = ADAPTERS["messages"].decoder(KNOWING[0], endpoint(OWN))
    *begun, _, delta, stop = streamed(RESULT, reason="max_tokens")
    deltas = [each for message in (*begun, delta, stop) for each in decoder.message(message)]
    assert deltas == [Opaque(0, AnthropicItem(RESULT), is_done=True), Stopped("length")]


@pytest.mark.parametrize("is_whole", [False, True], ids=["streamed", "whole"])
def test_a_paused_answer_of_anthropics_tools_goes_on_with_all_its_blocks_in_its_container(is_whole: bool) -> None:
    request = KNOWING[1]
    sent = told(OWN, request)[1]
    decoder = ADAPTERS["messages"].decoder(request, endpoint(OWN))
    container = {"id": "container_1", "expires_at": "2026-11-28T10:00:00Z"}
    if is_whole:
        answer = {"content": BLOCKS, "stop_reason": "pause_turn", "container": container}
        [*decoder.whole(msgspec.json.encode(answer))]
    else:
        for message in streamed(*BLOCKS, reason="pause_turn", container=container):
            [*decoder.message(message)]
    exchange = decoder.next_exchange(sent, None)
    assert exchange is not None
    resent = msgspec.json.decode(exchange.request.body)
    assert resent["messages"][-1] == {"role": "assistant", "content": BLOCKS}
    assert resent["container"] == "container_1"


def test_a_container_that_the_client_names_stays() -> None:
    request = asked(anthropic=Anthropic(members={"container": {"id": "c", "skills": []}, "mcp_servers": [{}]}))
    sent = told(OWN, request)[1]
    decoder = ADAPTERS["messages"].decoder(request, endpoint(OWN))
    [*decoder.whole(msgspec.json.encode({"content": [USE], "stop_reason": "pause_turn", "container": {"id": "d"}}))]
    exchange = decoder.next_exchange(sent, None)
    assert exchange is not None
    assert msgspec.json.decode(exchange.request.body)["container"] == {"id": "c", "skills": []}
