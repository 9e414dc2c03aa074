"""What Codex and other agents send beyond the contract, as each dialect's provider gets it from the running gateway.

One law for all cases and dialects: every name is one that the vendor takes, no two tools have one name, what the
conversation calls is called as it is offered, and the same request is told the same way twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway import agents
from tests.gateway.agents import BODIES, DOTTED, HI, LARK, LONG, function
from tests.gateway.checks import error_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.test_quirks import CONFIG
from tests.gateway.test_wire_requests import WHOLE
from tests.gateway.upstream import Upstream, completion, whole

COMMON = re.compile(r"[A-Za-z0-9_-]{1,64}")
GEMINI = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@dataclass
class Told:
    """What a provider was told: its tools, the choice, and of the conversation the calls, their results, the rest."""

    tools: dict[str, tuple[str, Any]] = field(default_factory=dict)
    choice: Any = None
    calls: list[tuple[str, Any]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    said: str = ""

    def tool(self, name: str, description: str | None, parameters: Any) -> None:
        assert name not in self.tools
        self.tools[name] = (description or "", parameters)


def _responses(body: Any) -> Told:
    told = Told(choice=body.get("tool_choice"))
    for tool in body.get("tools", ()):
        assert tool["type"] == "function"
        told.tool(tool["name"], tool.get("description"), tool["parameters"])
    for item in body["input"]:
        match item["type"]:
            case "function_call":
                assert item.keys() == {"type", "call_id", "name", "arguments"}
                told.calls.append((item["name"], json.loads(item["arguments"])))
            case "function_call_output":
                told.results.append(item["output"])
            case "message":
                told.said += json.dumps(item["content"])
            case kind:
                raise AssertionError(kind)
    return told


def _chat(body: Any) -> Told:
    told = Told(choice=body.get("tool_choice"))
    for tool in body.get("tools", ()):
        one = tool["function"]
        told.tool(one["name"], one.get("description"), one["parameters"])
    for message in body["messages"]:
        for call in message.get("tool_calls") or ():
            told.calls.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
        if message["role"] == "tool":
            told.results.append(_text(message["content"]))
        else:
            told.said += json.dumps(message.get("content"))
    return told


def _messages(body: Any) -> Told:
    told = Told(choice=body.get("tool_choice"))
    for tool in body.get("tools", ()):
        told.tool(tool["name"], tool.get("description"), tool["input_schema"])
    for block in (block for message in body["messages"] for block in message["content"]):
        match block["type"]:
            case "tool_use":
                told.calls.append((block["name"], block["input"]))
            case "tool_result":
                told.results.append(_text(block["content"]))
            case _:
                told.said += json.dumps(block)
    return told


def _converse(body: Any) -> Told:
    config = body.get("toolConfig", {})
    told = Told(choice=config.get("toolChoice"))
    for tool in config.get("tools", ()):
        one = tool["toolSpec"]
        told.tool(one["name"], one.get("description"), one["inputSchema"]["json"])
    for block in (block for message in body["messages"] for block in message["content"]):
        if "toolUse" in block:
            told.calls.append((block["toolUse"]["name"], block["toolUse"]["input"]))
        elif "toolResult" in block:
            told.results.append(_text(block["toolResult"]["content"]))
        else:
            told.said += json.dumps(block)
    return told


def _gemini(body: Any) -> Told:
    told = Told(choice=body.get("toolConfig", {}).get("functionCallingConfig"))
    for one in (one for tool in body.get("tools", ()) for one in tool["functionDeclarations"]):
        told.tool(one["name"], one.get("description"), one.get("parametersJsonSchema"))
    names = []
    for part in (part for content in body["contents"] for part in content["parts"]):
        if "functionCall" in part:
            names.append(part["functionCall"]["name"])
            told.calls.append((part["functionCall"]["name"], part["functionCall"]["args"]))
        elif "functionResponse" in part:
            assert part["functionResponse"]["name"] in names
            told.results.append(next(iter(part["functionResponse"]["response"].values())))
        else:
            told.said += json.dumps(part)
    return told


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part["text"] for part in content)


READERS: Mapping[str, Callable[[Any], Told]] = {
    "responses": _responses,
    "chat": _chat,
    "mistral": _chat,
    "messages": _messages,
    "converse": _converse,
    "gemini": _gemini,
    "cohere": _chat,
}
MUST_CALL: Mapping[str, Any] = {
    "responses": "required",
    "chat": "required",
    "mistral": "any",
    "messages": "any",
    "converse": "any",
    "gemini": "ANY",
    "cohere": "REQUIRED",
}


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A model `offer/<dialect>` at a provider of each, `offer/own` at one of OpenAI's kind, `offer/both` at two."""
    config = CONFIG
    for dialect in READERS:
        config += PROVIDER.format(name=f"offer-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"offer-{dialect}", model=f"offer/{dialect}") + 'prompt_caching = "off"\n'
    config += PROVIDER.format(name="offer-own", dialect="responses", url=f"{upstream.url}/own/v1")
    config += "quirks.has_openai_tools = true\n"
    for name in ("own", "both"):
        config += ENDPOINT.format(provider="offer-own", model=f"offer/{name}")
    config += ENDPOINT.format(provider="offer-chat", model="offer/both")
    with running(tmp_path_factory.mktemp("offers"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def asked(gateway: Gateway, upstream: Upstream, nonce: str, dialect: str, body: Mapping[str, Any]) -> tuple[Reply, Any]:
    """Ask twice; gives the last answer, and what the provider was told, which must be the same both times."""
    upstream.play(nonce, whole(WHOLE.get(dialect, WHOLE["responses"])))
    for _ in range(2):
        request = json.loads(json.dumps({"model": f"offer/{dialect}", **body}).replace("NONCE", nonce))
        reply = gateway.call(request)
        response_of(reply)
    first, second = upstream.seen(nonce)
    assert first.json == second.json
    return reply, second.json


RAW = {"apply_patch", "exec"}

OFFERED: Mapping[str, list[str]] = {
    "namespace": ["multi_agent_v1__spawn_agent", "multi_agent_v1__close_agent", "collab__close_agent", "close_agent"],
    "custom": ["apply_patch", "exec"],
    "tool_search": ["tool_search", "f"],
    "allowed_tools": ["g", "apply_patch"],
    "dotted name": ["files_read_all_v1_now", "files_read_all_v1_now_db3c99ef"],
    "long name": [
        "read_the_whole_of_a_very_long_file_from_a_place_that_is_2008a2e0",
        "read_the_whole_of_a_very_long_file_from_a_place_that_is_d5fdbec1",
        "f",
    ],
    "mixed parallel calls": [
        "f",
        "apply_patch",
        "local_shell",
        "multi_agent_v1__spawn_agent",
        "multi_agent_v1__close_agent",
        "tool_search",
        "mcp__weather__get_weather",
    ],
    "additional_tools": ["exec", "wait", "multi_agent_v1__spawn_agent", "multi_agent_v1__close_agent"],
    "tool_search_output": ["tool_search", "mcp__weather__get_weather"],
    "agent_message": ["f"],
    "local_shell": ["local_shell"],
    "leading digit": ["3d_render"],
}
"""The tools of each case, as they are told where a vendor's rule is the common one."""

PATCHED = ("apply_patch", {"input": '*** Begin Patch\n"x"'})
LISTED = ("local_shell", {"command": ["ls", "-l"], "env": {}})
SEARCHED = ("tool_search", {"query": "weather"})
CALLED: Mapping[str, list[tuple[str, Any]]] = {
    "namespace": [("multi_agent_v1__close_agent", {})],
    "custom": [PATCHED],
    "dotted name": [("files_read_all_v1_now", {})],
    "long name": [(OFFERED["long name"][1], {})],
    "mixed parallel calls": [PATCHED, SEARCHED, LISTED, ("f", {"a": 1}), ("multi_agent_v1__close_agent", {})],
    "tool_search_output": [SEARCHED, ("mcp__weather__get_weather", {})],
    "local_shell": [LISTED],
}
FOUND = "These tools were found and can be called from now on:\n- mcp__weather__get_weather"
RESULTS: Mapping[str, list[str]] = {
    "namespace": ["closed"],
    "custom": ["patched"],
    "dotted name": ["read"],
    "long name": ["read"],
    "mixed parallel calls": ["closed", "ok", "a b", FOUND, "patched"],
    "tool_search_output": [FOUND, "sunny"],
    "local_shell": ["a b"],
}


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("dialect", READERS)
def test_a_provider_of_functions_is_told_functions(
    dialect: str, case: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    reply, body = asked(gateway, upstream, nonce, dialect, BODIES[case])

    told = READERS[dialect](body)
    expected = [f"_{name}" if dialect == "gemini" and name[0].isdigit() else name for name in OFFERED[case]]
    # Cohere's chat can force no tool by its name, so that one alone is offered.
    assert list(told.tools) == (expected[:1] if (dialect, case) == ("cohere", "dotted name") else expected)
    assert all((GEMINI if dialect == "gemini" else COMMON).fullmatch(name) for name in told.tools)
    assert told.calls == CALLED.get(case, [])
    assert sorted(told.results) == sorted(RESULTS.get(case, []))
    assert {name for name, _ in told.calls} <= told.tools.keys()
    for name in RAW & told.tools.keys():
        description, parameters = told.tools[name]
        assert parameters["properties"]["input"]["type"] == "string"
        assert parameters["required"] == ["input"]
        assert (LARK in description) == (name == "apply_patch")
    if case == "allowed_tools":
        assert MUST_CALL[dialect] in json.dumps(told.choice)
    if case == "dotted name" and dialect != "cohere":
        assert '"files_read_all_v1_now"' in json.dumps(told.choice) or MUST_CALL[dialect] in json.dumps(told.choice)
    assert ("Sender: /root/x" in told.said) == ("Done." in told.said) == (case == "agent_message")
    assert "gAAAA" not in told.said
    assert _said(reply.json["tools"]) == _said(BODIES[case].get("tools", []))
    assert reply.json["tool_choice"] == BODIES[case].get("tool_choice", "auto")


@pytest.mark.parametrize("case", BODIES)
def test_openais_own_servers_are_told_everything_as_it_came(
    case: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    _, body = asked(gateway, upstream, nonce, "own", BODIES[case])

    said = json.loads(json.dumps(BODIES[case]).replace("NONCE", nonce))
    renamed = {DOTTED: "files_read_all_v1_now", LONG: OFFERED["long name"][0], f"{LONG}2": OFFERED["long name"][1]}
    if case == "dotted name":
        said["tools"][1]["name"] = OFFERED[case][1]
    for kind in ("tools", "input"):
        told = body.get(kind, [])
        assert len(told) == len(said.get(kind, []))
        for mine, theirs in zip(said.get(kind, []), told, strict=True):
            if mine.get("name") in renamed:
                mine["name"] = renamed[mine["name"]]
            if "role" in mine and "content" in mine:
                continue
            assert _known(theirs) == _known(mine)
    if "tool_choice" in said and body.get("tools"):
        choice = said["tool_choice"]
        if case == "dotted name":
            choice = {"type": "function", "name": "files_read_all_v1_now"}
        assert body["tool_choice"] == choice


def _said(tools: Any) -> Any:
    """Tools without what is null because the client left it out."""
    if isinstance(tools, list):
        return [_said(each) for each in tools]
    if not isinstance(tools, dict):
        return tools
    return {name: _said(value) for name, value in tools.items() if value is not None}


def _known(said: Any) -> Any:
    """What has to be the same: no ids and statuses of items but those that name a call, and no defaults."""
    if isinstance(said, list):
        return [_known(each) for each in said]
    if not isinstance(said, dict):
        return said
    left_out = {"strict"} if said.get("type") == "function" else set()
    is_named_by_id = str(said.get("type")).startswith(("local_shell", "agent_message"))
    left_out |= set() if is_named_by_id else {"id", "status"}
    return {name: _known(value) for name, value in said.items() if name not in left_out}


SERVERS: list[Any] = [
    {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.example", "authorization": "Bearer t0ken"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {"type": "image_generation", "quality": "low"},
    {"type": "computer_use_preview", "environment": "linux", "display_width": 1, "display_height": 1},
    {"type": "computer"},
    {"type": "shell"},
    {"type": "apply_patch"},
    {"type": "tool_search"},
]


def test_what_openais_servers_run_goes_to_them_and_its_secrets_do_not_come_back(
    gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    items = [
        HI,
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"},
        {"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "{}", "server_label": "wiki", "output": "x"},
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        HI,
    ]
    choice = {"type": "mcp", "server_label": "wiki"}
    # Of the two providers of this model only OpenAI's may be asked.
    reply, body = asked(gateway, upstream, nonce, "both", {"input": items, "tools": SERVERS, "tool_choice": choice})

    assert [seen.path.split("/")[1] for seen in upstream.seen(nonce)] == ["own", "own"]
    assert body["tools"] == SERVERS
    assert body["tool_choice"] == choice
    assert body["input"][1:4] == items[1:4]
    assert b"t0ken" not in reply.body
    assert reply.json["tools"][1:] == SERVERS[1:]


def test_names_that_openai_refuses_are_others_there_too_in_choices_and_in_what_comes_back(
    gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    inner = [function("a.b"), {"type": "custom", "name": "c d"}]
    spaces = [{"type": "namespace", "name": name, "tools": inner} for name in ("good", "my server")]
    allowed = [{"type": "function", "name": "a.b", "namespace": "good"}, {"type": "function", "name": "f.g"}]
    body = {
        "input": [{"role": "user", "content": nonce}],
        "tools": [*spaces, function("f.g")],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": allowed},
    }
    answer = {**WHOLE["responses"]}
    answer["output"] = [
        {"type": "function_call", "id": "fc_1", "call_id": "u1", "name": "good__a_b", "namespace": "good"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "u2", "name": "my_server__c_d", "input": '{"input": 1}'},
    ]
    answer["output"][0]["arguments"] = "{}"
    upstream.play(nonce, whole(answer))

    response = response_of(gateway.call({"model": "offer/own", **body}))

    told = upstream.seen(nonce)[0].json
    assert [tool["name"] for tool in told["tools"]] == ["good", "my_server__a_b", "my_server__c_d", "f_g"]
    assert [tool["name"] for tool in told["tools"][0]["tools"]] == ["good__a_b", "good__c_d"]
    assert [each["name"] for each in told["tool_choice"]["tools"]] == ["good__a_b", "f_g"]
    call, custom = response["output"]
    assert (call["name"], call["namespace"]) == ("a.b", "good")
    assert (custom["name"], custom["namespace"], custom["input"]) == ("c d", "my server", '{"input": 1}')


def test_a_choice_among_tools_that_stand_in_the_input_is_told(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    said = {"tool_choice": "required", "parallel_tool_calls": False}

    _, body = asked(gateway, upstream, nonce, "own", {"input": [agents.ADDITIONAL, HI], **said})

    assert "tools" not in body
    assert {name: body[name] for name in said} == said


def test_a_tool_that_draws_stands_for_a_wish_for_pictures(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    tools = [{"type": "image_generation", "quality": "low"}]

    _, body = asked(gateway, upstream, nonce, "own", {"input": [HI], "tools": tools, "modalities": ["text"]})

    assert body["tools"] == tools


@pytest.mark.parametrize("dialect", READERS)
def test_elsewhere_one_400_names_all_of_it(dialect: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, whole(WHOLE[dialect]))
    more = {"type": "additional_tools", "role": "developer", "tools": [function("g"), {"type": "shell"}]}
    body = {
        "input": [more, {"role": "user", "content": nonce}, {"type": "context_compaction", "encrypted_content": "g"}],
        "tools": [function("f"), SERVERS[0], {"type": "web_search"}, {"type": "computer"}, {"type": "tool_search"}],
    }

    error = error_of(gateway.call({"model": f"offer/{dialect}", **body}), 400)

    for named in (
        'tools[1] "mcp"',
        'tools[3] "computer"',
        'tools[4] "tool_search"',
        'input[0].tools[1] "shell"',
        'input[2] "context_compaction"',
    ):
        assert named in error["message"]
    assert not upstream.seen(nonce)


@pytest.mark.parametrize("dialect", READERS)
def test_what_is_lost_on_the_way_is_named(dialect: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    tools = [
        function("f", defer_loading=True, allowed_callers=["direct"], output_schema={"type": "object"}),
        {**agents.PATCH, "async": True},
    ]
    items = [HI, {"type": "configuration_update", "reasoning": {"effort": "low"}}]

    reply, body = asked(gateway, upstream, nonce, dialect, {"input": items, "tools": tools})

    lost = set(reply.headers["x-trunkline-dropped"].split(", "))
    assert lost >= {
        "tools.defer_loading",
        "tools.allowed_callers",
        "tools.output_schema",
        "tools.async",
        "input.configuration_update",
    }
    assert list(READERS[dialect](body).tools) == ["f", "apply_patch"]


@pytest.mark.parametrize(("name", "passes"), [("own", True), ("responses", False)])
def test_members_of_the_web_search_that_only_openai_knows(
    name: str, passes: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    search = {"type": "web_search", "external_web_access": False, "search_content_types": ["text", "image"]}

    reply, body = asked(gateway, upstream, nonce, name, {"input": [HI], "tools": [search, function("f")]})

    assert body["tools"][0] == (search if passes else {"type": "web_search"})
    dropped = reply.headers.get("x-trunkline-dropped", "")
    assert ("tools.external_web_access" in dropped) == ("tools.search_content_types" in dropped) == (not passes)


def test_six_hundred_tools_of_namespaces_have_names_of_their_own(
    gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    children = [function(f"{'a' * 50}.{n}") for n in range(100)]
    spaces = [{"type": "namespace", "name": f"space-{n}" * 6, "description": "S.", "tools": children} for n in range(6)]

    _, body = asked(gateway, upstream, nonce, "chat", {"input": [HI], "tools": spaces})

    told = _chat(body)
    assert len(told.tools) == 600
    assert all(COMMON.fullmatch(name) for name in told.tools)


@pytest.mark.parametrize("dialect", ["own", "chat"])
def test_the_name_of_a_schema_is_one_that_is_taken(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    form = {"type": "json_schema", "name": "The answer, in full", "schema": {"type": "object", "properties": {}}}

    _, body = asked(gateway, upstream, nonce, dialect, {"input": [HI], "text": {"format": form}})

    told = body["text"]["format"] if dialect == "own" else body["response_format"]["json_schema"]
    assert told["name"] == "The_answer__in_full"


def _calls(*calls: tuple[str, str]) -> dict[str, Any]:
    tool_calls = [
        {"id": f"u{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]
    return completion(None, "tool_calls", tool_calls=tool_calls)


def test_calls_come_back_as_the_client_knows_them(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    said = '*** Begin Patch\n"x"\n'
    answer = _calls(
        ("apply_patch", json.dumps({"input": said})),
        ("multi_agent_v1__close_agent", '{"id": 1}'),
        ("tool_search", '{"query": "weather"}'),
        ("local_shell", '{"command": ["ls"]}'),
        ("files_read_all_v1_now", "{}"),
        ("f", "{}"),
    )
    upstream.play(nonce, whole(answer))
    tools = [function("f"), agents.PATCH, agents.SHELL, agents.AGENTS, agents.TOOL_SEARCH, function(DOTTED)]

    reply = gateway.call({"model": "offer/chat", "input": nonce, "tools": tools})

    left_out = ("id", "call_id", "status")
    told = [{k: v for k, v in item.items() if k not in left_out} for item in response_of(reply)["output"]]
    assert told == [
        {"type": "custom_tool_call", "name": "apply_patch", "input": said},
        {"type": "function_call", "name": "close_agent", "namespace": "multi_agent_v1", "arguments": '{"id": 1}'},
        {"type": "tool_search_call", "execution": "client", "arguments": {"query": "weather"}},
        {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}},
        {"type": "function_call", "name": DOTTED, "arguments": "{}"},
        {"type": "function_call", "name": "f", "arguments": "{}"},
    ]


def test_fakeprovider_is_offered_functions_too(gateway: Gateway) -> None:
    said = {"role": "user", "content": "Call apply_patch now."}

    reply = gateway.call({"model": "fake/echo", "input": [agents.ADDITIONAL, said], "tools": [agents.PATCH]})

    assert "custom_tool_call" in {item["type"] for item in response_of(reply)["output"]}
