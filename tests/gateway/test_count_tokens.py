"""POST /messages/count_tokens: who counts, what an estimate is marked by, and that nothing is charged or kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, post, running
from tests.gateway.upstream import Script, Upstream, whole
from tests.gateway.waiting import eventually

PATH = "/api/v1/messages/count_tokens"
ESTIMATED = "x-trunkline-estimated"


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`claude/x` is at Anthropic's own servers, `gemini/x` at Google's, `mock/chat` at somebody who does not count."""
    config = CONFIG
    for name, dialect, model in (
        ("own", "messages", "claude/x"),
        ("studio", "gemini", "gemini/x"),
        ("other", "chat", "mock/chat"),
    ):
        config += PROVIDER.format(name=name, dialect=dialect, url=f"{upstream.url}/{name}/v1")
        config += ENDPOINT.format(provider=name, model=model)
        if name == "own":
            config += "quirks = { has_anthropic_members = true }\n"
    config += '[moderation.list]\nkind = "words"\nwords = ["gelignite"]\n'
    with running(tmp_path_factory.mktemp("counting"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def count(gateway: Gateway, model: str, text: str, path: str = PATH, **more: Any) -> Reply:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "system": "Be brief.", **more}
    return gateway.call(body, path=path)


@pytest.mark.parametrize(
    ("model", "path", "answer"),
    [
        ("claude/x", "/own/v1/messages/count_tokens", {"input_tokens": 2095}),
        ("gemini/x", "/studio/v1/models/gpt-x:countTokens", {"totalTokens": 2095}),
    ],
)
@pytest.mark.parametrize("ours", [PATH, "/v1/messages/count_tokens"])
def test_the_provider_counts_where_it_can(
    model: str, path: str, answer: dict[str, Any], ours: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(answer))
    reply = count(gateway, model, nonce, ours, max_tokens=5, stream=True)
    assert (reply.status, reply.json) == (200, {"input_tokens": 2095})
    assert ESTIMATED not in reply.headers
    assert reply.headers["x-trunkline-model"] == model
    assert reply.headers["request-id"] == reply.headers["x-request-id"]
    (asked,) = upstream.seen(nonce)
    assert asked.path == path


def test_others_are_not_asked_and_an_estimate_says_that_it_is_one(
    gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    short, long = (count(gateway, "mock/chat", nonce + " word" * words) for words in (0, 400))
    for reply in (short, long):
        assert (reply.status, reply.headers[ESTIMATED]) == (200, "true")
    assert long.json["input_tokens"] == short.json["input_tokens"] + 500
    assert not upstream.seen(nonce)


@pytest.mark.parametrize("model", ["claude/x", "mock/chat"])
def test_an_input_that_is_too_long_for_an_answer_is_counted_all_the_same(
    model: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    reply = count(gateway, model, nonce + " word" * 200_000)
    assert (reply.status, reply.headers[ESTIMATED]) == (200, "true")
    assert reply.json["input_tokens"] > 128_000
    assert reply.headers["request-id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize("text", ["Mix the flour.", "Mix the gelignite."])
def test_what_is_to_be_moderated_leaves_the_house_for_no_count(
    text: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    reply = count(gateway, "claude/x", f"{text} {nonce}", plugins=[{"id": "moderation"}])
    assert (reply.status, reply.headers[ESTIMATED]) == (200, "true")
    assert not upstream.seen(nonce)


def test_betas_in_several_lines_are_all_told(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, whole({"input_tokens": 5}))
    body = {"model": "claude/x", "messages": [{"role": "user", "content": nonce}]}
    (reply,) = gateway.raw(
        post(body, "anthropic-beta: a-1, b-2", "anthropic-beta: c-3", "connection: close", path=PATH)
    )
    assert reply.status == 200
    assert upstream.last(nonce).headers["anthropic-beta"].split(",")[-3:] == ["a-1", "b-2", "c-3"]


TROUBLES = [
    pytest.param(whole({"error": {"type": "overloaded_error", "message": "busy"}}, 529), id="overloaded"),
    pytest.param(whole({"error": {"message": "no"}}, 400), id="refused"),
    pytest.param(whole(b"<html>"), id="nonsense"),
    pytest.param(whole({"input_tokens": -1}), id="less than nothing"),
    pytest.param(Script([], "reset"), id="cut off"),
]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_who_fails_to_count_is_estimated_for_and_not_asked_again(
    trouble: Script, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, trouble)
    reply = count(gateway, "claude/x", nonce)
    assert (reply.status, reply.headers[ESTIMATED]) == (200, "true")
    assert reply.json["input_tokens"] > 0
    assert len(upstream.seen(nonce)) == 1


def test_what_fails_is_told_as_messages_clients_know_it(gateway: Gateway) -> None:
    body = {"model": "mock/chat", "messages": []}
    for reply, status, kind in (
        (gateway.call(body, path=PATH), 400, "invalid_request_error"),
        (gateway.call(body, path=PATH, key="sk-none"), 401, "authentication_error"),
        (count(gateway, "mock/none", "Hi"), 404, "not_found_error"),
    ):
        assert reply.status == status
        assert reply.json["error"]["type"] == kind


def test_nothing_is_on_record_of_it(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, whole({"input_tokens": 5}))
    counted = count(gateway, "claude/x", nonce).headers["x-request-id"].removeprefix("req_")
    answered = gateway.call({"model": "mock/chat", "input": "Hi"}).headers["x-request-id"].removeprefix("req_")

    def ended() -> list[str]:
        return [line for line in gateway.log.read_text().splitlines() if "request.ended" in line]

    eventually(lambda: any(answered in line for line in ended()), "the answer is not on record")
    assert not any(counted in line for line in ended())
