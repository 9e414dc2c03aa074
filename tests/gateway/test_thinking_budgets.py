"""How many tokens may be thought, in every wire language: never the whole answer, and what is changed is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.test_quirks import CONFIG, as_toml, at
from tests.gateway.test_supports import TOLD
from tests.gateway.upstream import Seen, Upstream, chunk, completion, stream, whole

LIMIT = 4000
MOST = 3800
"""95 % of it."""


@dataclass(frozen=True)
class Budgeted:
    """A way to ask for thought, and where the budget stands in it; an empty place: it has none."""

    dialect: str
    quirks: Mapping[str, Any] = field(default_factory=dict)
    place: tuple[str, ...] = ()


GEMINI = ("generationConfig", "thinkingConfig", "thinkingBudget")
WAYS: Mapping[str, Budgeted] = {
    "messages": Budgeted("messages", place=("thinking", "budget_tokens")),
    "converse": Budgeted("converse", place=("additionalModelRequestFields", "thinking", "budget_tokens")),
    "gemini": Budgeted("gemini", place=GEMINI),
    "cohere": Budgeted("cohere", place=("thinking", "token_budget")),
    "chat, as Together": Budgeted("chat", {"reasoning_request": "reasoning_object"}, ("reasoning", "max_tokens")),
    "chat, as Qwen": Budgeted("chat", {"reasoning_request": "enable_thinking"}, ("thinking_budget",)),
    "messages, adaptive": Budgeted("messages", {"thinking_style": "adaptive"}),
    "converse, adaptive": Budgeted("converse", {"thinking_style": "adaptive"}),
    "converse, as Nova": Budgeted("converse", {"thinking_style": "nova"}),
    "converse, as gpt-oss": Budgeted("converse", {"thinking_style": "effort"}),
    "gemini, by level": Budgeted("gemini", {"thinking_style": "level", "reasoning_efforts": ["low", "high"]}),
    "chat": Budgeted("chat"),
    "mistral": Budgeted("mistral"),
    "responses": Budgeted("responses"),
    **{
        f"chat, by {way}": Budgeted("chat", {"reasoning_request": way})
        for way in ("thinking", "template_kwargs", "thinking_and_effort", "prompt_mode")
    },
}

SHIPPED = """
[providers.{name}]
base_url = "{url}/{name}/v1"
api_key = {{ env = "MOCK_KEY" }}
"""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A model `way/<number>` for each of `WAYS`, and some at shipped rows that speak as Qwen does."""
    config = CONFIG
    for dialect in sorted({way.dialect for way in WAYS.values()}):
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
    for number, way in enumerate(WAYS.values()):
        config += ENDPOINT.format(provider=f"wire-{way.dialect}", model=f"way/{number}")
        config += f"quirks = {as_toml(way.quirks)}\n"
    for name, limit in (("alibaba", 8000), ("novita", 8000), ("siliconflow", 131_072)):
        config += SHIPPED.format(name=name, url=upstream.url)
        config += ENDPOINT.format(provider=name, model=f"shipped/{name}") + f"max_output_tokens = {limit}\n"
    with running(tmp_path_factory.mktemp("budgets"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def asked(
    gateway: Gateway, upstream: Upstream, nonce: str, way: str, reasoning: dict[str, Any]
) -> tuple[Seen, Reply, Budgeted]:
    told = WAYS[way]
    upstream.play(nonce, whole(TOLD[told.dialect]))
    body = {
        "model": f"way/{list(WAYS).index(way)}",
        "input": nonce,
        "reasoning": reasoning,
        "max_output_tokens": LIMIT,
    }
    reply = gateway.call(body)
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    return seen, reply, told


def dropped(reply: Reply) -> list[str]:
    return reply.headers.get("x-trunkline-dropped", "").split(", ")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wanted", [LIMIT - 1, LIMIT, 2 * LIMIT])
def test_a_budget_leaves_room_for_the_answer_and_is_named(
    way: str, wanted: int, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    seen, reply, told = asked(gateway, upstream, nonce, way, {"max_tokens": wanted})
    assert not told.place or at(seen.json, told.place) == MOST
    assert json.dumps(wanted) not in json.dumps(seen.json).replace(json.dumps(LIMIT), "", 1)
    assert "reasoning.max_tokens" in dropped(reply)


@pytest.mark.parametrize("way", [name for name, way in WAYS.items() if way.place])
@pytest.mark.parametrize("wanted", [MOST, 2000])
def test_a_budget_that_leaves_room_is_kept(
    way: str, wanted: int, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    seen, reply, told = asked(gateway, upstream, nonce, way, {"max_tokens": wanted})
    assert at(seen.json, told.place) == wanted
    assert "x-trunkline-dropped" not in reply.headers


@pytest.mark.parametrize(
    ("reasoning", "is_held"), [({"effort": "high"}, False), ({"enabled": True}, False), ({"effort": "none"}, True)]
)
def test_A5_alibaba_gets_no_form_while_it_thinks(
    reasoning: dict[str, Any], is_held: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, stream([chunk('```json\n{"a":"x"}\n```'), chunk(finish="stop"), "[DONE]"]))
    body = {"model": "shipped/alibaba", "input": nonce, "reasoning": reasoning}
    reply = gateway.call(body | {"text": {"format": {"type": "json_object"}}})
    assert reply.json["output_text"] == '{"a":"x"}'
    (seen,) = upstream.seen(nonce)
    assert ("response_format" in seen.json) == is_held
    assert "JSON" in json.dumps(seen.json["messages"])
    assert ("text.format" in dropped(reply)) == (not is_held)


@pytest.mark.parametrize(
    ("name", "reasoning", "sent"),
    [
        ("alibaba", {"enabled": True}, {"enable_thinking": True, "thinking_budget": 4000}),
        ("alibaba", {"effort": "low"}, {"enable_thinking": True, "thinking_budget": 1600}),
        ("alibaba", {"max_tokens": 1234}, {"enable_thinking": True, "thinking_budget": 1234}),
        ("alibaba", {"enabled": False}, {"enable_thinking": False}),
        ("alibaba", None, {}),
        ("novita", {"enabled": True}, {"enable_thinking": True}),
        ("novita", {"effort": "low"}, {"enable_thinking": True, "thinking_budget": 1600}),
        ("siliconflow", {"effort": "high"}, {"enable_thinking": True, "thinking_budget": 32_768}),
        ("siliconflow", {"effort": "minimal"}, {"enable_thinking": True, "thinking_budget": 13_107}),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_A5_a_shipped_row_gets_the_budget_that_its_maker_takes(
    name: str,
    reasoning: dict[str, Any] | None,
    sent: dict[str, Any],
    streams: bool,
    gateway: Gateway,
    upstream: Upstream,
    nonce: str,
) -> None:
    is_streamed = streams or name == "alibaba"
    upstream.play(
        nonce, stream([chunk("Hello."), chunk(finish="stop"), "[DONE]"]) if is_streamed else whole(completion())
    )
    body = {"model": f"shipped/{name}", "input": nonce, "stream": streams}
    reply = gateway.call(body | ({} if reasoning is None else {"reasoning": reasoning}))
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    assert {field: seen.json[field] for field in ("enable_thinking", "thinking_budget") if field in seen.json} == sent
    assert seen.json.get("stream", False) == is_streamed
    assert "x-trunkline-dropped" not in reply.headers
