"""Calls of Codex's tools, whatever an upstream knows of them, come back as the items that Codex acts on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from openai.types import responses as sdk

from tests.gateway.called import DIALECTS, calls, items
from tests.gateway.checks import events_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream, whole

Json = Any

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
[providers.fake-provider]
enabled = true
[providers.openai]
base_url = "{url}/openai/v1"
api_key = {{ env = "MOCK_KEY" }}
"""

LONG = "reads_" + "x" * 70
NOTHING = {"type": "object", "properties": {}}
CLOSE = {"type": "function", "name": "close_agent", "parameters": NOTHING}
TOOLS: list[Json] = [
    {"type": "function", "name": "f", "parameters": NOTHING},
    {"type": "function", "name": "files.read", "parameters": NOTHING},
    {"type": "function", "name": LONG, "parameters": NOTHING},
    {"type": "custom", "name": "apply_patch", "description": "Edits files."},
    {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [
        CLOSE, {"type": "custom", "name": "exec", "description": "Runs."}]},
    {"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": NOTHING},
    {"type": "local_shell"},
]  # fmt: skip

SCRIPT = '*** Begin Patch\n+ "héé" \\d \U0001f600\t{}\n*** End Patch\n'
INPUT = json.dumps({"input": SCRIPT})
ACTION = {"type": "exec", "command": ["ls", "-l"], "env": {}}

CASES: dict[str, tuple[str, str, Json]] = {
    "namespace": (
        "agents__close_agent",
        '{"id": 1}',
        {"type": "function_call", "namespace": "agents", "name": "close_agent", "arguments": {"id": 1}},
    ),
    "namespace with a dot": (
        "agents.close_agent",
        "{}",
        {"type": "function_call", "namespace": "agents", "name": "close_agent", "arguments": {}},
    ),
    "namespace left out": (
        "close_agent",
        "{}",
        {"type": "function_call", "namespace": "agents", "name": "close_agent", "arguments": {}},
    ),
    "custom": ("apply_patch", INPUT, {"type": "custom_tool_call", "name": "apply_patch", "input": SCRIPT}),
    "custom in a namespace": (
        "agents__exec",
        INPUT,
        {"type": "custom_tool_call", "namespace": "agents", "name": "exec", "input": SCRIPT},
    ),
    "tool_search": (
        "tool_search",
        '{"query": "weather", "limit": 2}',
        {"type": "tool_search_call", "execution": "client", "arguments": {"query": "weather", "limit": 2}},
    ),
    "local_shell": ("local_shell", '{"command": ["ls", "-l"]}', {"type": "local_shell_call", "action": ACTION}),
    "dotted name": ("files.read", '{"a": 1}', {"type": "function_call", "name": "files.read", "arguments": {"a": 1}}),
    "long name": (LONG, '{"a": 1}', {"type": "function_call", "name": LONG, "arguments": {"a": 1}}),
    "plain function": ("f", '{"a": 1}', {"type": "function_call", "name": "f", "arguments": {"a": 1}}),
    "invented name": ("g", '{"a": 1}', {"type": "function_call", "name": "g", "arguments": {"a": 1}}),
}
"""Names as a model says them, or as the client does where the wire's is another; arguments; what comes of both."""

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
PIECE_BYTES = {"chat": 1, "responses": 7}


@pytest.fixture(scope="module")
def restoring(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a model `mock/<dialect>` for each dialect that speaks, and `mock/openai` at OpenAI's own row."""
    config = CONFIG.format(url=upstream.url) + ENDPOINT.format(provider="openai", model="mock/openai")
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"mock-{dialect}", model=f"mock/{dialect}")
    with running(tmp_path_factory.mktemp("restoring"), config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def names(restoring: Gateway, upstream: Upstream) -> dict[str, dict[str, str]]:
    """By dialect, the names on its wire of the tools whose own name no vendor takes."""
    found: dict[str, dict[str, str]] = {}
    for dialect in DIALECTS:
        nonce = f"nonce-names-{dialect}"
        upstream.play(nonce, whole(calls(dialect, [("f", "{}")]).body))
        response_of(restoring.call(asked(dialect, nonce)))
        (seen,) = upstream.seen(nonce)
        offered = [name for name in names_in(seen.json) if isinstance(name, str)]
        found[dialect] = {
            "files.read": next(name for name in offered if name.startswith("files")),
            LONG: next(name for name in offered if name.startswith("reads_")),
        }
    return found


def names_in(body: Json) -> Iterator[Json]:
    """Every `name` in a body."""
    if isinstance(body, dict):
        yield body.get("name")
        for value in body.values():
            yield from names_in(value)
    elif isinstance(body, list):
        for value in body:
            yield from names_in(value)


def asked(model: str, nonce: str, **more: Json) -> dict[str, Json]:
    return {"model": f"mock/{model}", "input": nonce, "tools": TOOLS, **more}


def meant(item: dict[str, Json]) -> dict[str, Json]:
    """An item without its ids, whose arguments are read."""
    told = {key: value for key, value in item.items() if key not in ("id", "call_id", "status")}
    if item["type"] == "function_call":
        told["arguments"] = json.loads(told["arguments"])
    return told


@every_dialect
@pytest.mark.parametrize("case", CASES)
def test_a_call_comes_back_as_the_clients_own(
    case: str, dialect: str, restoring: Gateway, upstream: Upstream, nonce: str, names: dict[str, dict[str, str]]
) -> None:
    name, arguments, item = CASES[case]
    answer = calls(dialect, [(names[dialect].get(name, name), arguments)])
    upstream.play(nonce, answer.streamed(PIECE_BYTES.get(dialect, 50)), whole(answer.body))
    events = events_of(restoring.call(asked(dialect, nonce, stream=True)))
    assert [meant(each) for each in events[-1]["response"]["output"]] == [item]
    response = response_of(restoring.call(asked(dialect, nonce)))
    assert [meant(each) for each in response["output"]] == [item]
    assert response["output"][0]["status"] == "completed"
    deltas = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(deltas) == item.get("input", "")


@every_dialect
def test_calls_of_all_kinds_come_back_together(
    dialect: str, restoring: Gateway, upstream: Upstream, nonce: str, names: dict[str, dict[str, str]]
) -> None:
    called = [(names[dialect].get(name, name), arguments) for name, arguments, _ in CASES.values()]
    answer = calls(dialect, called)
    upstream.play(nonce, answer.streamed(100), whole(answer.body))
    expected = [item for _, _, item in CASES.values()]
    events = events_of(restoring.call(asked(dialect, nonce, stream=True)))
    assert [meant(each) for each in events[-1]["response"]["output"]] == expected
    output = response_of(restoring.call(asked(dialect, nonce)))["output"]
    assert [meant(each) for each in output] == expected
    assert len({each["call_id"] for each in output}) == len(output)


class TestHalves:
    """Half a script is a script: what was cut is never told as done, and no item of the output."""

    @pytest.mark.parametrize("dialect", [each for each in DIALECTS if each != "gemini"])
    @pytest.mark.parametrize("said", ['{"input": "rm -r /tmp', '{"input": "rm -r /tmp"', '{"x": 1, "input": "rm'])
    def test_a_limit_inside_raw_text(
        self, said: str, dialect: str, restoring: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        upstream.play(nonce, calls(dialect, [("apply_patch", said)], stop=False).streamed(40))
        events = events_of(restoring.call(asked(dialect, nonce, stream=True)), "incomplete")
        assert not [event for event in events if event["type"].endswith(".done")]
        assert events[-1]["response"]["output"] == []

    @every_dialect
    def test_a_stream_that_breaks_off(self, dialect: str, restoring: Gateway, upstream: Upstream, nonce: str) -> None:
        answer = calls(dialect, [("apply_patch", INPUT)])
        # Gemini tells calls whole; there it breaks off before the reason of its finish.
        place = answer.stream.rfind(b"data:" if dialect == "gemini" else b"Patch")
        upstream.play(nonce, answer.streamed(40, cut=len(answer.stream) - place))
        events = events_of(restoring.call(asked(dialect, nonce, stream=True)), "failed")
        assert "response.custom_tool_call_input.delta" in {event["type"] for event in events}
        assert not [event for event in events if event["type"].endswith(".done")]
        assert events[-1]["response"]["output"] == []

    @pytest.mark.parametrize("dialect", [each for each in DIALECTS if each != "gemini"])
    def test_half_a_call_that_is_said_to_be_whole_is_the_providers_fault(
        self, dialect: str, restoring: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        upstream.play(nonce, calls(dialect, [("apply_patch", '{"input": "rm -r /tmp')]).streamed(40))
        events = events_of(restoring.call(asked(dialect, nonce, stream=True)), "failed")
        assert not [event for event in events if event["type"].endswith(".done")]
        assert events[-1]["response"]["output"] == []


NATIVE: list[Json] = [
    {"type": "custom_tool_call", "id": "ctc_up", "call_id": "c1", "name": "apply_patch", "input": SCRIPT},
    {"type": "function_call", "id": "fc_up", "call_id": "c2", "name": "close_agent", "namespace": "agents",
     "arguments": "{}"},
    {"type": "tool_search_call", "id": "tsc_up", "call_id": "c3", "execution": "client", "arguments": {"query": "q"}},
    {"type": "local_shell_call", "id": "lsh_up", "call_id": "c4", "action": ACTION},
    {"type": "mcp_approval_request", "id": "mcpr_up", "name": "f", "server_label": "s", "arguments": "{}"},
]  # fmt: skip


def test_what_openai_says_of_them_itself_passes(restoring: Gateway, upstream: Upstream, nonce: str) -> None:
    answer = items(*NATIVE)
    upstream.play(nonce, answer.streamed(33), whole(answer.body))
    expected = [{key: value for key, value in item.items() if key != "id"} for item in NATIVE]
    events = events_of(restoring.call(asked("openai", nonce, stream=True)))
    for output in (events[-1]["response"]["output"], response_of(restoring.call(asked("openai", nonce)))["output"]):
        told = [{key: value for key, value in item.items() if key not in ("id", "status")} for item in output]
        assert told == expected
        # A client answers a request for its approval by the id that OpenAI's servers know.
        assert output[-1]["id"] == "mcpr_up"


PARSED = {
    "function_call": sdk.ResponseFunctionToolCall,
    "custom_tool_call": sdk.ResponseCustomToolCall,
    "tool_search_call": sdk.ResponseToolSearchCall,
    "local_shell_call": sdk.response_output_item.LocalShellCall,
}


def test_the_openai_client_reads_them(restoring: Gateway, upstream: Upstream, nonce: str) -> None:
    called = [CASES[name][:2] for name in ("namespace", "custom", "tool_search", "local_shell", "plain function")]
    upstream.play(nonce, calls("messages", called).streamed(100))
    with (
        OpenAI(base_url=restoring.url + "/api/v1", api_key=KEY, max_retries=0) as client,
        client.responses.stream(model="mock/messages", input=nonce, tools=TOOLS) as stream,
    ):
        events = list(stream)
        final = stream.get_final_response()
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert len(done) == len(called)
    assert all(isinstance(item, PARSED[item.type]) for item in done)
    for event in events:
        if event.type.startswith("response.custom_tool_call_input"):
            type(event).model_validate(event.model_dump())
    for item in done:
        PARSED[item.type].model_validate(item.model_dump())
    assert [item.type for item in final.output] == [item.type for item in done]
    assert next(item.input for item in done if item.type == "custom_tool_call") == SCRIPT


def test_fake_provider_calls_them_through_the_same_door(restoring: Gateway) -> None:
    script = f'!call agents__close_agent {{}}\n!call apply_patch {INPUT}\n!call tool_search {{"query": "q"}}\n!call f'
    body = {"model": "fake/echo", "input": script, "tools": TOOLS}
    output = response_of(restoring.call(body))["output"]
    assert [meant(item) for item in output] == [
        CASES["namespace"][2] | {"arguments": {}},
        CASES["custom"][2],
        CASES["tool_search"][2] | {"arguments": {"query": "q"}},
        CASES["plain function"][2] | {"arguments": {}},
    ]
