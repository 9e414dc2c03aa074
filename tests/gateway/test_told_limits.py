"""A limit of output that the gateway chose, and a provider that refuses it: B7, in every dialect that must name one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.gateway.checks import ask, error_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_fault_words import error_in
from tests.gateway.test_quirks import CONFIG, at
from tests.gateway.test_supports import LIMITS, TOLD
from tests.gateway.upstream import Script, Upstream, whole

LIMITED = ("messages", "converse")
"""The dialects in which a limit is named that the client did not: Claude's."""

BUDGETS = {
    "messages": ("thinking", "budget_tokens"),
    "converse": ("additionalModelRequestFields", "thinking", "budget_tokens"),
}

REFUSALS: Mapping[str, tuple[str, int]] = {
    "Claude, all of the context": (
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or "
        "`max_tokens` and try again",
        10_000,
    ),
    "Claude, the model": ("max_tokens: 20000 > 8192, which is the maximum allowed number of output tokens for x", 8192),
    "Bedrock": (
        "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that "
        "is lower than 4096.",
        4096,
    ),
    "vLLM": (
        "'max_tokens' or 'max_completion_tokens' is too large: 20000. This model's maximum context length is 32768 "
        "tokens and your request has 24235 input tokens (20000 > 32768 - 24235). None",
        8533,
    ),
    "DeepSeek, all of the context": (
        "This model's maximum context length is 131072 tokens. However, you requested 131329 tokens (123137 in the "
        "messages, 8192 in the completion). Please reduce the length of the messages or completion.",
        7935,
    ),
    "DeepSeek, the model": ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
    "OpenAI": (
        "max_tokens is too large: 20000. This model supports at most 16384 completion tokens, whereas you provided "
        "20000.",
        16_384,
    ),
}
"""What providers say, and the limit that it tells; the sources are in `adapters/decoding/room.py`."""

CROWDED = "input length and `max_tokens` exceed context limit: 199100 + 20000 > 200000"
THINK = {"reasoning": {"effort": "high"}}


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A provider and a model `told/<dialect>` for each dialect, which may answer with 20,000 tokens."""
    config = CONFIG
    for dialect in LIMITS:
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        for model in (f"told/{dialect}", f"anthropic/claude-{dialect}"):
            config += ENDPOINT.format(provider=f"wire-{dialect}", model=model) + "max_output_tokens = 20000\n"
    config += ENDPOINT.format(provider="wire-converse", model="anthropic/claude-large") + "max_output_tokens = 64000\n"
    config += ENDPOINT.format(provider="wire-chat", model="qwen/chat") + "max_output_tokens = 65536\n"
    config += 'quirks = { reasoning_request = "enable_thinking" }\n'
    with running(tmp_path_factory.mktemp("limits"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def refused(dialect: str, message: str) -> Script:
    return whole(error_in(dialect, message), 400)


def claude(dialect: str) -> str:
    return f"anthropic/claude-{dialect}"


def limits(upstream: Upstream, nonce: str, dialect: str) -> list[Any]:
    return [at(seen.json, LIMITS[dialect]) for seen in upstream.seen(nonce)]


@pytest.mark.parametrize("asked", [{}, THINK], ids=["plain", "thinking"])
@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("dialect", LIMITED)
def test_B7_a_refused_limit_gives_way_to_the_one_that_is_told(
    dialect: str, refusal: str, asked: dict[str, Any], gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    message, room = REFUSALS[refusal]
    upstream.play(nonce, refused(dialect, message), whole(TOLD[dialect]))
    response_of(gateway.call(ask(claude(dialect), nonce, **asked)))
    assert limits(upstream, nonce, dialect) == [20_000, room]
    if asked:
        first, second = (at(seen.json, BUDGETS[dialect]) for seen in upstream.seen(nonce))
        assert (first, second) == (16_000, int(0.8 * room))


@pytest.mark.parametrize("dialect", LIMITED)
def test_B7_the_second_try_streams_as_the_first_does(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, refused(dialect, REFUSALS["Bedrock"][0]), whole(TOLD[dialect]))
    reply = gateway.call(ask(claude(dialect), nonce, stream=True))
    assert reply.events[-1]["type"] == "response.completed"
    first, second = upstream.seen(nonce)
    assert first.json.get("stream") == second.json.get("stream")
    assert first.path == second.path
    assert limits(upstream, nonce, dialect) == [20_000, 4096]


@pytest.mark.parametrize("dialect", LIMITED)
def test_B7_there_is_one_second_try_and_it_blames_nobody_twice(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, refused(dialect, REFUSALS["Claude, the model"][0]), refused(dialect, CROWDED))
    error = error_of(gateway.call(ask(claude(dialect), nonce)), 400)
    assert error["metadata"]["error_type"] == "context_length_exceeded"
    assert [attempt["kind"] for attempt in error["metadata"]["attempts"]] == ["too_long"]
    assert limits(upstream, nonce, dialect) == [20_000, 8192]


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        (REFUSALS["Claude, all of the context"][0], {"max_output_tokens": 20_000}),
        (REFUSALS["Claude, the model"][0], {"max_output_tokens": 20_000}),
        (CROWDED, {}),
        ("max_tokens: 20000 > 20000, which is the maximum allowed number of output tokens for x", {}),
        ("prompt is too long: 210000 tokens > 200000 maximum", {}),
    ],
    ids=["the client's own", "the client's own, of the model", "no room for an answer", "nothing less", "no number"],
)
@pytest.mark.parametrize("dialect", LIMITED)
def test_B7_otherwise_the_refusal_stands(
    dialect: str, message: str, asked: dict[str, Any], gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, refused(dialect, message), whole(TOLD[dialect]))
    error_of(gateway.call(ask(claude(dialect), nonce, **asked)), 400)
    assert limits(upstream, nonce, dialect) == [20_000]


@pytest.mark.parametrize("dialect", sorted(set(LIMITS) - set(LIMITED)))
def test_B7_no_other_dialect_names_a_limit_or_asks_again(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, refused(dialect, REFUSALS["OpenAI"][0]), whole(TOLD[dialect]))
    assert gateway.call(ask(f"told/{dialect}", nonce)).status == 400
    assert limits(upstream, nonce, dialect) == [None]


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("anthropic/claude-converse", {}, 20_000),
        ("anthropic/claude-large", {}, 32_000),
        ("anthropic/claude-large", {"max_output_tokens": 50_000}, 50_000),
        ("anthropic/claude-large", THINK, 64_000),
        ("told/converse", {}, None),
    ],
    ids=["as much as it may", "no more than AWS's quota bears", "the client's own", "with a budget", "not Claude"],
)
def test_claude_at_bedrock_is_not_left_to_a_limit_of_4096(
    model: str, asked: dict[str, Any], sent: int | None, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(TOLD["converse"]))
    reply = gateway.call(ask(model, nonce, **asked))
    assert reply.status == 200
    assert limits(upstream, nonce, "converse") == [sent]
    assert "x-trunkline-dropped" not in reply.headers


ALIBABA = (
    "<400> InternalError.Algo.InvalidParameter: The thinking_budget parameter must be a positive integer and not "
    "greater than "
)
SILICONFLOW = "thinking_budget: Must be less than or equal to "


@pytest.mark.parametrize(
    ("message", "reasoning", "sent"),
    [
        (f"{ALIBABA}38912", {"effort": "high"}, [52_428, 38_912]),
        (f"{SILICONFLOW}32768", {"effort": "high"}, [52_428, 32_768]),
        (f"{ALIBABA}38912", {"max_tokens": 50_000}, [50_000]),
        (f"{ALIBABA}0", {"effort": "high"}, [52_428]),
        ("thinking_budget is too large", {"effort": "high"}, [52_428]),
    ],
    ids=["Alibaba", "SiliconFlow", "the client's own", "none at all", "no number"],
)
def test_a_budget_of_thought_that_nobody_asked_for_gives_way_too(
    message: str, reasoning: dict[str, Any], sent: list[int], gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, refused("chat", message), whole(TOLD["chat"]))
    reply = gateway.call(ask("qwen/chat", nonce, reasoning=reasoning))
    assert reply.status == (200 if len(sent) == 2 else 400)
    assert [seen.json["thinking_budget"] for seen in upstream.seen(nonce)] == sent
