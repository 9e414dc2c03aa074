"""RT: one provider standing in for another, seen from outside."""

from __future__ import annotations

import pytest

from tests.gateway.checks import IN_ORDER, ask, error_of, events_of, response_of, text_of
from tests.gateway.conftest import FRESH
from tests.gateway.server import Gateway
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, usage_chunk, whole

pytestmark = pytest.mark.usefixtures("no_socket_left")

HEAD = head(200, "text/event-stream")
BROKEN = whole({"error": {"message": "Broken."}}, 500)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_RT_01_the_second_provider_answers_when_the_first_refuses(
    streams: bool, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, BROKEN, host="a")
    reply = gateway.call(ask(both, nonce, stream=streams, **IN_ORDER))
    assert reply.headers["x-trunkline-provider"] == "mock-b"
    if streams:
        assert text_of(events_of(reply)) == "Hello."
    else:
        assert response_of(reply)["output_text"] == "Hello."
    assert [seen.path.split("/")[1] for seen in upstream.seen(nonce)] == ["a", "b"]


def test_RT_01_the_second_provider_gets_the_same_request(
    gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, BROKEN, host="a")
    response_of(gateway.call(ask(both, nonce, instructions="Be brief.", temperature=0.5, **IN_ORDER)))
    first, second = upstream.seen(nonce)
    assert first.json == second.json


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_RT_02_without_fallbacks_one_provider_is_asked(
    streams: bool, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, BROKEN, host="a")
    preferences = {"order": ["mock-a"], "allow_fallbacks": False}
    error = error_of(gateway.call(ask(both, nonce, stream=streams, provider=preferences)), 502)
    assert [attempt["provider"] for attempt in error["metadata"]["attempts"]] == ["mock-a"]
    assert len(upstream.seen(nonce)) == 1


def test_RT_03_at_most_three_providers_are_asked(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, BROKEN)
    models = [f"mock/both-{FRESH['both'] - place}" for place in (1, 2, 3)]
    error = error_of(gateway.call(ask(models[0], nonce, models=models)), 502)
    assert len(error["metadata"]["attempts"]) == 3
    assert len(upstream.seen(nonce)) == 3


def test_RT_03_another_model_is_asked_when_all_of_the_first_fail(
    gateway: Gateway, upstream: Upstream, both: str, model: str, nonce: str
) -> None:
    upstream.play(nonce, BROKEN, host="a")
    upstream.play(nonce, BROKEN, host="b")
    response = response_of(gateway.call(ask(both, nonce, models=[both, model])))
    assert response["model"] == model
    assert len(upstream.seen(nonce)) in (2, 3)


def test_RT_03_a_request_that_is_wrong_for_one_model_is_tried_with_the_next(
    gateway: Gateway, upstream: Upstream, both: str, model: str, nonce: str
) -> None:
    wrong = whole({"error": {"message": "temperature is not supported", "type": "invalid_request_error"}}, 400)
    upstream.play(nonce, wrong, host="a")
    upstream.play(nonce, wrong, host="b")
    assert response_of(gateway.call(ask(both, nonce, models=[both, model])))["model"] == model
    assert len(upstream.seen(nonce)) == 2  # not the other endpoint of the same model


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(Script([HEAD, sse([chunk("one")])], "end"), id="FIN"),
        pytest.param(Script([HEAD, sse([chunk("one")]), 0.1], "reset"), id="RST"),
        pytest.param(
            stream([chunk("one"), {"error": {"message": "Overloaded", "type": "overloaded_error"}}]), id="error"
        ),
    ],
)
def test_RT_05_after_the_first_delta_there_is_no_second_provider(
    script: Script, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, script, host="a")
    events = events_of(gateway.call(ask(both, nonce, stream=True, **IN_ORDER)), "failed")
    assert text_of(events) == "one"
    assert [seen.path.split("/")[1] for seen in upstream.seen(nonce)] == ["a"]


def test_RT_05_a_beginning_that_says_nothing_is_no_delta(
    gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, Script([HEAD, sse([chunk("", role="assistant")]), 0.1], "reset"), host="a")
    assert text_of(events_of(gateway.call(ask(both, nonce, stream=True, **IN_ORDER)))) == "Hello."
    assert [seen.path.split("/")[1] for seen in upstream.seen(nonce)] == ["a", "b"]


@pytest.mark.parametrize(
    "preferences",
    [
        pytest.param({"only": ["nobody"]}, id="only"),
        pytest.param({"ignore": ["mock-a", "mock-b"]}, id="ignore"),
        pytest.param({"max_price": {"prompt": "0.1"}}, id="max_price"),
        pytest.param({"quantizations": ["int4"]}, id="quantizations"),
        pytest.param({"zdr": True}, id="zdr"),
    ],
)
def test_RT_15_filters_that_leave_nobody_are_404(
    preferences: dict[str, object], gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    error = error_of(gateway.call(ask(both, nonce, provider=preferences)), 404)
    assert "mock-a" in error["message"] or "nobody" in error["message"]
    assert not upstream.seen(nonce)


PARTIAL = [
    pytest.param(whole(completion("one two", finish="error")), id="whole"),
    pytest.param(Script([HEAD, sse([chunk("one "), chunk("two"), usage_chunk()]), 0.1], "reset"), id="cut"),
]


@pytest.mark.parametrize("script", PARTIAL)
def test_a_client_that_wants_no_stream_gets_the_next_answer_when_one_breaks_off(
    script: Script, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, script, host="a")
    reply = gateway.call(ask(both, nonce, **IN_ORDER))
    assert reply.headers["x-trunkline-provider"] == "mock-b"
    assert response_of(reply)["output_text"] == "Hello."
    assert [seen.path.split("/")[1] for seen in upstream.seen(nonce)] == ["a", "b"]


@pytest.mark.parametrize("next_one", [BROKEN, None], ids=["the next fails", "the next may not be asked"])
@pytest.mark.parametrize("script", PARTIAL)
def test_a_client_that_wants_no_stream_gets_what_was_said_when_nobody_answers(
    script: Script, next_one: Script | None, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, script, host="a")
    preferences: dict[str, object] = {"order": ["mock-a"], "allow_fallbacks": False}
    if next_one is not None:
        preferences = IN_ORDER["provider"]
        upstream.play(nonce, next_one, host="b")
    reply = gateway.call(ask(both, nonce, provider=preferences))
    response = response_of(reply, "failed")
    assert response["output_text"] == "one two"
    assert response["output"][0]["status"] == "incomplete"
    assert response["error"]["code"] == "server_error"
    assert ("mock-b" in response["error"]["message"]) is (next_one is not None)
    assert reply.headers["x-trunkline-provider"] == "mock-a"
    usage = response["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (7, 3)
    assert usage["cost"] == pytest.approx((7 * 1 + 3 * 2) / 1e6)
    assert len(upstream.seen(nonce)) == (1 if next_one is None else 2)


def test_a_fault_before_any_output_is_told_by_its_status(
    gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, whole(completion(None, finish="error")), host="a")
    upstream.play(nonce, BROKEN, host="b")
    error_of(gateway.call(ask(both, nonce, **IN_ORDER)), 502)


def test_the_answer_after_a_fallback_tells_nothing_of_the_first_try(
    gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, whole(completion("Never.", finish="error")), host="a")
    reply = gateway.call(ask(both, nonce, **IN_ORDER))
    assert b"Never" not in reply.body
    assert response_of(reply)["usage"]["input_tokens"] == 7
