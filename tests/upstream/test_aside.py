"""What is done beside the loop, and for which requests."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

import pytest

from tests.test_push import NOW, Pulled, services
from trunkline.accounts.keys import Key
from trunkline.call import NOTHING_RESERVED, Call, Services
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.credentials.schemes import Credential
from trunkline.pipeline import admit, respond_whole
from trunkline.routing.plan import Planner
from trunkline.routing.policy import Policy
from trunkline.settings.secret import Secret
from trunkline.upstream.aside import DEAR_BYTES, DEAR_MARKS, Aside, is_dear
from trunkline.upstream.tokens import Tokens

P = ParamSpec("P")
R = TypeVar("R")

ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
ENDPOINT = Endpoint(
    model=Model(slug="acme/quill"),
    provider=Provider(slug="acme", name="Acme"),
    upstream_model="quill",
    dialect="chat",
    base_url="http://127.0.0.1/v1",
)
ITEM = {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}}}
QUOTES_OF_AN_ITEM = json.dumps(ITEM).count('"')


class Noting(Aside):
    """Notes what is done beside the loop, and that it is."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    async def run(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        def noted() -> R:
            assert threading.current_thread().name.startswith("trunkline-aside")
            return work(*arguments, **named)

        self.done.append(work.__name__.strip("_"))
        return await super().run(noted)


class OneEndpoint:
    default_model = None

    def endpoints_of(self, model: str, own_keys: Collection[str] = ()) -> tuple[Endpoint, ...]:
        return (ENDPOINT,)

    def provider_slug(self, name: str) -> str:
        return name


def gateway(aside: Aside) -> Services:
    made = services(Pulled("application/json", [json.dumps(ANSWER).encode()], breaks=False), [])
    tokens = Tokens({"acme": Credential("header", "x-key", Secret("k"))}, {}, clock=lambda: 0.0)
    planner = Planner(OneEndpoint(), made.health, lambda: 0.5, lambda: 0.0)
    upstream = replace(made.upstream, aside=aside, tokens=tokens)
    # Nobody but the planner looks into its catalog here.
    return replace(made, planner=planner, upstream=upstream, aside=aside)  # type: ignore[arg-type]


def done_beside_the_loop(**members: Any) -> list[str]:
    """Answer a request; what of it was done beside the loop, in order."""
    body = json.dumps({"model": "acme/quill", **members}).encode()
    key = Key("key_t", "t", "t", Policy(account="t"))
    call = Call("resp_t", key, None, lambda: body, len(body), NOW, 600.0)

    async def answer() -> list[str]:
        aside = Noting()
        made = gateway(aside)
        _, told = await respond_whole(await admit(call, made), NOTHING_RESERVED, made)
        assert b'"completed"' in told
        return aside.done

    return asyncio.run(answer())


def test_a_small_request_never_leaves_the_loop() -> None:
    assert done_beside_the_loop(input="Hi") == []
    assert done_beside_the_loop(input=[ITEM] * (DEAR_MARKS // QUOTES_OF_AN_ITEM - 2)) == []


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"input": [ITEM] * (DEAR_MARKS // QUOTES_OF_AN_ITEM + 1)}, id="many items"),
        pytest.param({"input": "Hi", "tools": [{**TOOL, "name": f"f{at}"} for at in range(200)]}, id="many tools"),
    ],
)
def test_a_request_of_many_values_is_parsed_and_encoded_beside_the_loop(members: dict[str, Any]) -> None:
    assert done_beside_the_loop(**members) == ["parse", "readied", "encoded"]


def test_what_not_every_dialect_knows_is_told_in_other_words_beside_the_loop() -> None:
    tools = [{"type": "custom", "name": "edit"}]
    assert done_beside_the_loop(input=[ITEM] * 1_000, tools=tools) == ["parse", "offered", "readied", "encoded"]


def test_a_request_of_many_bytes_is_signed_beside_the_loop_as_well() -> None:
    assert done_beside_the_loop(input="x" * DEAR_BYTES) == ["parse", "readied", "encoded", "sign"]


@pytest.mark.parametrize(
    ("body", "is_it"),
    [
        (b"x" * DEAR_BYTES, False),
        (b"x" * (DEAR_BYTES + 1), True),
        (b'"' * DEAR_MARKS, False),
        (b'"' * (DEAR_MARKS + 1), True),
        (b"0," * DEAR_MARKS, False),
        (b"0," * (DEAR_MARKS + 1), True),
    ],
)
def test_a_request_is_dear_by_its_bytes_or_by_its_values(body: bytes, is_it: bool) -> None:
    assert is_dear(body) is is_it
