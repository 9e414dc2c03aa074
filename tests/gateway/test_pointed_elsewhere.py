"""Requests that name other servers, in schemas, members or headers; and tools that are none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.checks import ask, error_of, response_of
from tests.gateway.server import PROVIDER_KEY, Gateway
from tests.gateway.upstream import Upstream, completion, whole


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a server that nobody may come to."""
    with socket.create_server(("127.0.0.1", 0)) as tripwire:
        tripwire.settimeout(0)
        yield f"http://127.0.0.1:{tripwire.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            tripwire.accept()


def function(**members: Any) -> dict[str, Any]:
    return {"type": "function", "name": "f", "parameters": {"type": "object"}, **members}


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([function(parameters=[])], "tools[0].parameters"),
        ([function(parameters="{}")], "tools[0].parameters"),
        ([function(name="a" * 10_000)], "tools[0].name"),
        ([function(name="")], "tools[0].name"),
        ([function(), function()], "tools[1].name"),
    ],
)
def test_SC_12_what_is_no_tool_is_refused(gateway: Gateway, tools: list[Any], param: str) -> None:
    reply = gateway.call({**ask("mock/chat", "never asked"), "tools": tools})
    assert error_of(reply, 400)["metadata"]["param"] == param


def test_SC_12_no_parameters_and_a_name_of_any_signs_are_taken(
    gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    """The contract lets `parameters` be null; a name that providers refuse is told them in a form that they take."""
    upstream.play(nonce, whole(completion()))
    response_of(gateway.call({**ask("mock/chat", nonce), "tools": [function(name="a\nb", parameters=None)]}))
    (told,) = upstream.seen(nonce)[0].json["tools"]
    assert "\n" not in told["function"]["name"]


@pytest.mark.parametrize("place", ["$schema", "$id", "$ref", "$dynamicRef"])
def test_SC_13_no_address_in_a_schema_is_asked(
    gateway: Gateway, upstream: Upstream, elsewhere: str, nonce: str, place: str
) -> None:
    """Neither for a tool nor for the form of the answer, healed or not."""
    schema = {"type": "object", "properties": {}, place: f"{elsewhere}/schema"}
    upstream.play(nonce, whole(completion("{'a': 1}")))
    form = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    body = {**ask("mock/chat", nonce), "tools": [function(parameters=schema)], "text": form}
    for plugins in ([], [{"id": "response-healing"}]):
        assert gateway.call({**body, "plugins": plugins}).status in (200, 400)


@pytest.mark.parametrize("name", ["base_url", "api_base", "api_url", "endpoint", "url", "host"])
def test_FE_22_no_member_says_where_a_provider_is(
    gateway: Gateway, upstream: Upstream, elsewhere: str, nonce: str, name: str
) -> None:
    """Among the preferences an unknown one is refused; anywhere else it is passed over."""
    upstream.play(nonce, whole(completion()))
    response_of(gateway.call({**ask("mock/chat", nonce), name: elsewhere}))
    (asked,) = upstream.seen(nonce)
    assert asked.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    reply = gateway.call({**ask("mock/chat", nonce), "provider": {name: elsewhere}})
    assert error_of(reply, 400)["metadata"]["param"] == f"provider.{name}"


@pytest.mark.parametrize("name", ["host", "x-forwarded-host", "forwarded", "x-original-url", "x-base-url"])
def test_FE_22_no_header_says_where_a_provider_is(
    gateway: Gateway, upstream: Upstream, elsewhere: str, nonce: str, name: str
) -> None:
    upstream.play(nonce, whole(completion()))
    value = f"host={elsewhere}" if name == "forwarded" else elsewhere.removeprefix("http://")
    response_of(gateway.call(ask("mock/chat", nonce), **{name: value}))
    (asked,) = upstream.seen(nonce)
    assert elsewhere.removeprefix("http://") not in repr(asked.headers)
