"""Tools, items and choices that the contract does not know: what is made of them, and the one message of a bad one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.work import work_of
from trunkline.errors import BadRequest
from trunkline.faces.responses.parse import parse
from trunkline.protocol.items import (
    AdditionalTools,
    AgentMessage,
    CustomCallItem,
    CustomCallOutput,
    FunctionCallItem,
    InputImage,
    InputText,
    LocalShellCallItem,
    LocalShellCallOutput,
    Message,
    ToolSearchCallItem,
    ToolSearchOutput,
)
from trunkline.protocol.opaque import ServerItem, ServerTool, ServerToolChoice
from trunkline.protocol.request import Request, callable_tools
from trunkline.protocol.tools import (
    AllowedTools,
    CustomChoice,
    CustomTool,
    FunctionChoice,
    FunctionTool,
    Grammar,
    LocalShellTool,
    NamespaceTool,
    OwnChoice,
    RawText,
    Reference,
    SearchTool,
    ToolSearchTool,
)

F = {"type": "function", "name": "f"}
PATCH = {"type": "custom", "name": "patch"}
SPACE = {"type": "namespace", "name": "ns", "description": "Of ns.", "tools": [F, PATCH]}
HI = {"role": "user", "content": "Hi"}
CUSTOM_CALL = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"}
CUSTOM_OUTPUT = {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"}
SEARCH_CALL = {"type": "tool_search_call", "call_id": "c2", "execution": "client", "arguments": {"query": "x"}}
FOUND = {"type": "tool_search_output", "call_id": "c2", "status": "completed", "execution": "client", "tools": [SPACE]}
SHELL_CALL = {"type": "local_shell_call", "id": "ls", "call_id": "c3", "action": {"type": "exec", "command": ["ls"]}}
SHELL_OUTPUT = {"type": "local_shell_call_output", "call_id": "c3", "output": "a b"}
CALL = {"type": "function_call", "call_id": "c4", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c4", "output": "ok"}


def parsed(**members: Any) -> Request:
    return parse(json.dumps({"input": "Hi", **members}).encode())


TOOLS: dict[str, tuple[dict[str, Any], Any]] = {
    "a function with what newer SDKs say": (
        {**F, "defer_loading": True, "allowed_callers": ["direct"], "output_schema": {"type": "object"}, "async": True},
        FunctionTool(
            "f", defer_loading=True, allowed_callers=("direct",), output_schema={"type": "object"}, is_async=True
        ),
    ),
    "a function whose name has other signs": ({**F, "name": "a.b/c:d e"}, FunctionTool("a.b/c:d e")),
    "a custom tool without a format": (PATCH, CustomTool("patch")),
    "a custom tool that takes any text": (
        {**PATCH, "format": {"type": "text"}},
        CustomTool("patch", format=RawText()),
    ),
    "a custom tool with a grammar": (
        {**PATCH, "description": "D", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
        CustomTool("patch", "D", Grammar("lark", "start: x")),
    ),
    "a namespace": (SPACE, NamespaceTool("ns", "Of ns.", (FunctionTool("f"), CustomTool("patch")))),
    "a search for tools": (
        {"type": "tool_search", "execution": "client", "description": "D", "parameters": {"type": "object"}},
        ToolSearchTool("client", "D", {"type": "object"}),
    ),
    "the shell": ({"type": "local_shell"}, LocalShellTool()),
    "a web search with what only OpenAI knows": (
        {"type": "web_search", "external_web_access": False, "search_content_types": ["text", "image"]},
        SearchTool("web_search", external_web_access=False, search_content_types=("text", "image")),
    ),
    "what OpenAI's servers run": (
        {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.example", "x": None},
        ServerTool(type="mcp", server_label="wiki", server_url="https://wiki.example", x=None),
    ),
}


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_is_read_and_told_again_as_it_came(name: str) -> None:
    body, tool = TOOLS[name]

    request = parsed(tools=[body])

    assert request.tools == (tool,)
    assert request.has_extensions
    told = msgspec.json.decode(msgspec.json.encode(request.tools[0]))
    nothing: dict[str, Any] = {"description": None, "parameters": None, "strict": None}
    assert {**nothing, **told} == {**nothing, **body} if isinstance(tool, FunctionTool) else told == body | told


@pytest.mark.parametrize(
    "members", [{}, {"tools": [F], "tool_choice": "required"}, {"tools": [{"type": "web_search"}]}]
)
def test_a_plain_request_is_known_as_one(members: dict[str, Any]) -> None:
    assert not parsed(**members).has_extensions
    assert not parsed(**members, input=[HI, CALL, OUTPUT]).has_extensions


ITEMS = {
    "a custom tool's call": (
        [CUSTOM_CALL, CUSTOM_OUTPUT],
        CustomCallItem(call_id="c1", name="patch", input="*** Begin"),
    ),
    "a custom tool's output": ([CUSTOM_CALL, CUSTOM_OUTPUT], CustomCallOutput(call_id="c1", output="done")),
    "a custom tool's output in parts": (
        [CUSTOM_CALL, {**CUSTOM_OUTPUT, "output": [{"type": "input_text", "text": "done"}]}],
        CustomCallOutput(call_id="c1", output=(InputText("done"),)),
    ),
    "a function's call in a namespace": (
        [{**CALL, "namespace": "ns"}, OUTPUT],
        FunctionCallItem(call_id="c4", name="f", arguments="{}", namespace="ns"),
    ),
    "a search for tools": ([SEARCH_CALL, FOUND], ToolSearchCallItem(call_id="c2", arguments={"query": "x"})),
    "the tools found": (
        [SEARCH_CALL, FOUND],
        ToolSearchOutput(
            call_id="c2",
            status="completed",
            tools=(NamespaceTool("ns", "Of ns.", (FunctionTool("f"), CustomTool("patch"))),),
        ),
    ),
    "a server's search, which has no call_id": (
        [{"type": "tool_search_call", "arguments": {}}, {"type": "tool_search_output", "call_id": None, "tools": [F]}],
        ToolSearchOutput(execution="server", tools=(FunctionTool("f"),)),
    ),
    "a command": (
        [SHELL_CALL, SHELL_OUTPUT],
        LocalShellCallItem(id="ls", call_id="c3", action={"type": "exec", "command": ["ls"]}),
    ),
    "a command's output": ([SHELL_CALL, SHELL_OUTPUT], LocalShellCallOutput(call_id="c3", output="a b")),
    "a command's output that names the item": (
        [SHELL_CALL, {"type": "local_shell_call_output", "id": "ls", "output": "a b"}],
        LocalShellCallOutput(id="ls", output="a b"),
    ),
    "a command answered as a function is": (
        [SHELL_CALL, {**OUTPUT, "call_id": "c3"}],
        LocalShellCallItem(id="ls", call_id="c3", action={"type": "exec", "command": ["ls"]}),
    ),
    "more tools": (
        [{"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [F]}, HI],
        AdditionalTools(id="at_1", tools=(FunctionTool("f"),)),
    ),
    "what an agent says": (
        [{"type": "agent_message", "id": "amsg_1", "author": "/root/x", "recipient": "/root", "content": "Done."}],
        AgentMessage(id="amsg_1", author="/root/x", recipient="/root", content=(InputText("Done."),)),
    ),
    "a summary that is encrypted": (
        [HI, {"type": "compaction", "encrypted_content": "gAAA"}],
        ServerItem(type="compaction", encrypted_content="gAAA"),
    ),
    "a picture as large as it is": (
        [
            CALL,
            {
                **OUTPUT,
                "output": [{"type": "input_image", "image_url": "https://a.example/x.png", "detail": "original"}],
            },
        ],
        None,
    ),
}


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_is_read(name: str) -> None:
    items, item = ITEMS[name]

    request = parsed(input=items)

    if item is None:
        assert request.input[-1].output == (InputImage("https://a.example/x.png", "original"),)  # type: ignore[union-attr]
    else:
        assert item in request.input
        assert request.has_extensions


def test_calls_of_several_kinds_stand_side_by_side() -> None:
    outputs = [OUTPUT, SHELL_OUTPUT, FOUND, CUSTOM_OUTPUT]

    request = parsed(input=[HI, CUSTOM_CALL, SEARCH_CALL, SHELL_CALL, CALL, *outputs, HI])

    assert len(request.input) == 10


CHOICES = {
    "a function of a namespace": (
        {"type": "function", "name": "f", "namespace": "ns"},
        FunctionChoice("f", "ns"),
    ),
    "a custom tool": ({"type": "custom", "name": "patch", "namespace": "ns"}, CustomChoice("patch", "ns")),
    "the search for tools": ({"type": "tool_search"}, OwnChoice("tool_search")),
    "a server's tool": ({"type": "mcp", "server_label": "w"}, ServerToolChoice(type="mcp", server_label="w")),
    "some of the tools": (
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "g"}, {"type": "web_search"}],
        },
        AllowedTools("required", (Reference("function", "g"), Reference("web_search"))),
    ),
}
OFFERED = [
    SPACE,
    {**F, "name": "g"},
    {"type": "tool_search"},
    {"type": "web_search"},
    {"type": "mcp", "server_label": "w"},
]


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_is_read(name: str) -> None:
    body, choice = CHOICES[name]

    request = parsed(tools=OFFERED, tool_choice=body)

    assert request.tool_choice == choice
    assert msgspec.json.decode(msgspec.json.encode(choice)) == body


ALLOWED = {
    "a function by its name": ([{"type": "function", "name": "g"}], [FunctionTool("g")]),
    "one of a namespace": (
        [{"type": "custom", "name": "patch"}],
        [NamespaceTool("ns", "Of ns.", (CustomTool("patch"),))],
    ),
    "one of a namespace that is named": (
        [{"type": "function", "name": "f", "namespace": "ns"}],
        [NamespaceTool("ns", "Of ns.", (FunctionTool("f"),))],
    ),
    "a namespace": (
        [{"type": "namespace", "name": "ns"}],
        [NamespaceTool("ns", "Of ns.", (FunctionTool("f"), CustomTool("patch")))],
    ),
    "a server": ([{"type": "mcp", "server_label": "w"}], [ServerTool(type="mcp", server_label="w")]),
    "a search of any name": ([{"type": "web_search_preview"}], [SearchTool("web_search")]),
    "nothing": ([], []),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_only_what_is_allowed_may_be_called(name: str) -> None:
    references, left = ALLOWED[name]

    request = parsed(tools=OFFERED, tool_choice={"type": "allowed_tools", "mode": "auto", "tools": references})

    assert list(callable_tools(request)) == left


def test_a_choice_among_many_tools_costs_no_more_for_each() -> None:
    few, many = (work_of(lambda count=count: _choose(count)) for count in (50, 400))  # type: ignore[misc]
    assert many <= few * 8 * 1.2


def _choose(count: int) -> None:
    tools = [{**F, "name": f"f{number}"} for number in range(count)]
    allowed = [{"type": "function", "name": each["name"]} for each in tools]
    request = parsed(tools=tools, tool_choice={"type": "allowed_tools", "mode": "auto", "tools": allowed})
    assert len(callable_tools(request)) == count


def test_tools_that_stand_in_the_input_may_be_called_and_chosen() -> None:
    more = {"type": "additional_tools", "role": "developer", "tools": [{**F, "name": "g"}]}

    request = parsed(
        input=[more, HI, SEARCH_CALL, FOUND], tool_choice={"type": "function", "name": "f", "namespace": "ns"}
    )

    assert request.tools == ()
    assert [tool.name for tool in callable_tools(request) if isinstance(tool, FunctionTool | NamespaceTool)] == [
        "g",
        "ns",
    ]


def test_one_name_may_stand_in_two_namespaces_and_beside_them() -> None:
    assert len(parsed(tools=[SPACE, {**SPACE, "name": "other"}, F, PATCH]).tools) == 4


def test_six_hundred_tools_are_taken() -> None:
    tools = [{**F, "name": f"tool_{n}"} for n in range(400)]
    spaces = [{"type": "namespace", "name": f"ns{n}", "tools": [F]} for n in range(200)]

    assert len(parsed(tools=tools + spaces).tools) == 600


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a namespace in a namespace": (
        {"tools": [F, {**SPACE, "tools": [PATCH, {**SPACE, "name": "in"}]}]},
        "tools[1].tools[1].type",
        "must not stand in a namespace; put its tools beside it",
    ),
    "a server's tool in a namespace": (
        {"tools": [{**SPACE, "tools": [{"type": "mcp"}]}]},
        "tools[0].tools[0].type",
        'must be one of "custom", "function", not "mcp"',
    ),
    "one name twice in a namespace": (
        {"tools": [{**SPACE, "tools": [F, {**PATCH, "name": "f"}]}]},
        "tools[0].tools[1].name",
        'must be a name no other tool of its namespace has, not "f"',
    ),
    "one name twice in a namespace in two pieces": (
        {"tools": [SPACE, {**SPACE, "tools": [F]}]},
        "tools[1].tools[0].name",
        'must be a name no other tool of its namespace has, not "f"',
    ),
    "a function and a custom tool of one name": (
        {"tools": [F, {**PATCH, "name": "f"}]},
        "tools[1].name",
        'must be a name no other tool has, not "f"',
    ),
    "a grammar of an unknown kind": (
        {"tools": [{**PATCH, "format": {"type": "grammar", "syntax": "bnf", "definition": ""}}]},
        "tools[0].format.syntax",
        'must be one of "lark", "regex", not "bnf"',
    ),
    "a namespace without tools": ({"tools": [{"type": "namespace", "name": "ns"}]}, "tools[0].tools", "is required"),
    "more tools that are none": (
        {"input": [HI, {"type": "additional_tools", "tools": [F, {"type": "bash"}]}]},
        "input[1].tools[1].type",
        "must be one of",
    ),
    "more tools and nothing else": (
        {"input": [{"type": "additional_tools", "role": "developer", "tools": [F]}]},
        "input[0].content",
        "must not be empty",
    ),
    "an output of another kind": (
        {"input": [CUSTOM_CALL, {**OUTPUT, "call_id": "c1"}]},
        "input[1].call_id",
        'must be the call_id of an open function_call before it, not "c1"',
    ),
    "an output for a call that was never made": (
        {"input": [HI, CUSTOM_OUTPUT]},
        "input[1].call_id",
        'must be the call_id of an open custom_tool_call before it, not "c1"',
    ),
    "tools found that nobody looked for": (
        {"input": [HI, FOUND]},
        "input[1].call_id",
        'must be the call_id of an open tool_search_call before it, not "c2"',
    ),
    "a command's output that names no call": (
        {"input": [SHELL_CALL, {"type": "local_shell_call_output", "output": ""}]},
        "input[1].call_id",
        "is required",
    ),
    "a client's search without its call_id": (
        {"input": [HI, {"type": "tool_search_call", "execution": "client", "arguments": {}}]},
        "input[1].call_id",
        'is required where execution is "client"',
    ),
    "a choice of no custom tool": (
        {"tools": [SPACE], "tool_choice": {"type": "custom", "name": "patch"}},
        "tool_choice.name",
        'must be the name of a custom tool in tools (ns.patch), not "patch"',
    ),
    "a choice of another server's tool": (
        {"tools": OFFERED, "tool_choice": {"type": "image_generation"}},
        "tool_choice",
        'is "image_generation", but tools has none',
    ),
    "a choice of the shell without one": (
        {"tools": [F], "tool_choice": {"type": "local_shell"}},
        "tool_choice",
        'is "local_shell", but tools has none',
    ),
    "allowed tools that are not there": (
        {
            "tools": [F],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [F, {"type": "function", "name": "x"}]},
        },
        "tool_choice.tools[1]",
        "names no tool in tools",
    ),
    "allowed tools in the words of the other API": (
        {"tools": [F], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
        "tool_choice.allowed_tools",
        'belongs to the Chat Completions API; put its members beside "type"',
    ),
    "a call demanded of none": (
        {"tools": [F], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": []}},
        "tool_choice.mode",
        'is "required", but no tools are allowed',
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named_with_its_path(name: str) -> None:
    members, path, complaint = BAD[name]

    with pytest.raises(BadRequest) as caught:
        parsed(**members)

    assert str(caught.value.param).startswith(path)
    assert complaint in str(caught.value)


def test_a_call_of_any_kind_may_be_interrupted_but_not_left_open() -> None:
    assert parsed(input=[CUSTOM_CALL, HI]).input
    with pytest.raises(BadRequest, match="is a call without its custom_tool_call_output in the input"):
        parsed(input=[HI, CUSTOM_CALL])
    assert isinstance(parsed(input=[CUSTOM_CALL, CUSTOM_OUTPUT, HI]).input[-1], Message)
