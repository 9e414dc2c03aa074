"""Money, limits, records and replays hold for all doors alike: the same answer costs the same, by whatever name."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.gateway.conftest import CONFIG, PROVIDER
from tests.gateway.meanings import MESSAGES, RESPONSES, WAYS, Way
from tests.gateway.owners import Tenants
from tests.gateway.server import PROVIDER_KEY, Reply, post, running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.test_behind_doors import EACH, ENDPOINT, FORMS, PROVIDERS, Scene
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, usage_chunk, whole
from tests.gateway.waiting import eventually

Json = Any

CREDIT = 10**10
READ, CACHED, WRITTEN = 100, 40, 10
COST_NANO = (READ - CACHED) * 1_000 + CACHED * 100 + WRITTEN * 2_000
USED = {
    "prompt_tokens": READ,
    "completion_tokens": WRITTEN,
    "total_tokens": READ + WRITTEN,
    "prompt_tokens_details": {"cached_tokens": CACHED},
}
ORIGIN = "https://console.example"
MODELS = 120
_models = iter(range(MODELS))
_numbers = itertools.count()


@pytest.fixture(scope="module")
def store(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Models `b/<number>` at the provider `cheap`."""
    config = CONFIG.replace("[server]\n", f'[server]\norigins = ["{ORIGIN}"]\n')
    config += PROVIDER.format(name="cheap", dialect="chat", url=f"{upstream.url}/cheap/v1")
    _, into, out, _ = PROVIDERS["cheap"]
    for number in range(MODELS):
        config += ENDPOINT.format(provider="cheap", model=f"b/{number}", into=into, out=out)
    folder = tmp_path_factory.mktemp("behind-money")
    with running(folder, config, MOCK_KEY=PROVIDER_KEY) as gateway:
        store = Store(gateway, folder / "trunkline.db")
        yield store
        store.check()
    assert "nonce-" not in gateway.log.read_text(), "a prompt is in the log"


@pytest.fixture
def fresh() -> str:
    return f"b/{next(_models)}"


@pytest.fixture
def scene(way: Way, store: Store, upstream: Upstream) -> Scene:
    return Scene(way, store.gateway, upstream, store.tenant(CREDIT), f"nonce-behind-money-{next(_numbers)}")


def said(text: str = "Hello.", *, streams: bool) -> Script:
    """An answer that was counted, a part of what it read in a cache."""
    if not streams:
        return whole({**completion(text), "usage": USED})
    return stream([chunk(text), chunk(finish="stop"), {**usage_chunk(), "usage": USED}, "[DONE]"])


def explained(scene: Scene, id: str) -> Reply:
    return scene.tenant.get(f"responses/{id}/explanation")


@EACH
@FORMS
def test_an_answer_costs_the_same_and_is_found_by_each_of_its_names(streams: bool, scene: Scene, fresh: str) -> None:
    scene.upstream.play(scene.mark, said(streams=streams))
    reply = scene.send(scene.meaning(fresh, streams=streams, user="u-7", beside={"session_id": "s-7"}))
    heard = scene.way.heard(reply)
    assert (heard.text, heard.stop, heard.read, heard.written) == ("Hello.", "stop", READ, WRITTEN)
    assert heard.cost == COST_NANO / 10**9
    headers = reply.headers
    digits = headers["x-request-id"].removeprefix("req_")
    assert (heard.id, headers["x-generation-id"]) == (scene.way.prefix + digits, f"resp_{digits}")
    kept = scene.tenant.data(f"generation?id={headers['x-generation-id']}")
    assert (kept["usage"], kept["tokens_prompt"], kept["tokens_completion"]) == (heard.cost, READ, WRITTEN)
    assert (kept["native_tokens_cached"], kept["streamed"], kept["finish_reason"]) == (CACHED, streams, "stop")
    assert (kept["model"], kept["attempts"], kept["dropped"]) == (fresh, [], ["user"])
    assert (kept["external_user"], kept["session_id"]) == ("u-7", "s-7")
    other = scene.tenant.store.tenant()
    for name in (heard.id, headers["x-request-id"]):
        assert scene.tenant.data(f"generation?id={name}") == kept
        assert explained(scene, name).json == explained(scene, headers["x-generation-id"]).json
        assert other.get(f"generation?id={name}").status == 404
    assert explained(scene, heard.id).json["answered_by"].startswith("cheap")
    assert scene.tenant.settled().charged == COST_NANO
    (day,) = scene.tenant.data("activity")
    assert (day["requests"], day["usage"]) == (1, heard.cost)
    assert (day["prompt_tokens"], day["completion_tokens"], day["cached_tokens"]) == (READ, WRITTEN, CACHED)


def check_readable(reply: Reply) -> None:
    """What the head says beyond what every head does may be read by a page that asks."""
    exposed = set(reply.headers["access-control-expose-headers"].split(", "))
    assert {name for name in reply.headers if name.startswith("x-") or name in ("request-id", "retry-after")} - {
        "x-accel-buffering"
    } <= exposed


@EACH
@FORMS
def test_the_head_says_who_answers(streams: bool, scene: Scene, fresh: str) -> None:
    scene.upstream.play(scene.mark, said(streams=streams))
    reply = scene.send(scene.meaning(fresh, streams=streams, beside={"made_up": 1}), origin=ORIGIN)
    check_readable(reply)
    headers = reply.headers
    assert headers["x-trunkline-provider"] == "cheap"
    # In Responses what nobody knows is passed over; the others have members that only some hosts know.
    assert headers.get("x-trunkline-dropped") == (None if scene.way is RESPONSES else "made_up")
    if scene.way is MESSAGES:
        assert headers["request-id"] == headers["x-request-id"]
        assert headers["x-trunkline-model"] == fresh


@EACH
def test_the_head_of_a_stream_that_is_slow_to_begin_names_it(scene: Scene, fresh: str) -> None:
    """It leaves with a sign of life, before anybody has answered."""
    script = said(streams=True)
    scene.upstream.play(scene.mark, replace(script, steps=[script.steps[0], 0.6, *script.steps[1:]]))
    reply = scene.send(scene.meaning(fresh, streams=True))
    assert scene.way.heard(reply).text == "Hello."
    assert "x-trunkline-provider" not in reply.headers
    named = reply.headers["x-request-id"]
    assert reply.headers["x-generation-id"] == "resp_" + named.removeprefix("req_")
    assert reply.headers.get("request-id") == (named if scene.way is MESSAGES else None)


# What may be spent


@dataclass(frozen=True)
class Purse:
    """Who has little money, and what that is called."""

    id: str
    source: str
    credit: int | None = CREDIT
    key: int | None = None
    cap: str = ""


LITTLE = (
    Purse("the account", "account", credit=10_000),
    Purse("the key", "key", key=10_000),
    Purse("the request", "request", cap="0.00001"),
)
SHORT = {"responses": "402", "chat": "insufficient_quota", "messages": "billing_error"}


def spender(scene: Scene, purse: Purse) -> tuple[Scene, dict[str, str]]:
    """The scene with somebody who has so much, and the header that says so."""
    key = {} if purse.key is None else {"limit_nano": purse.key}
    headers = {"x-trunkline-max-cost": purse.cap} if purse.cap else {}
    return replace(scene, tenant=scene.tenant.store.tenant(purse.credit, **key)), headers


@EACH
@FORMS
@pytest.mark.parametrize("purse", LITTLE, ids=lambda purse: purse.id)
def test_what_cannot_be_paid_is_a_402_and_nobody_is_asked(
    purse: Purse, streams: bool, scene: Scene, fresh: str
) -> None:
    scene, headers = spender(scene, purse)
    reply = scene.send(scene.meaning(fresh, "Say hello. " * 20, streams=streams), origin=ORIGIN, **headers)
    check_readable(reply)
    problem = scene.way.problem(reply, 402)
    assert problem.kind == SHORT[scene.way.name]
    assert "more credits, or fewer max_tokens" in problem.message
    assert problem.more["limit_source"] == purse.source
    assert scene.hosts == []
    assert scene.tenant.balance().held == 0


ENOUGH = (
    Purse("the account", "account", credit=8 * 2_000_000),
    Purse("the key", "key", key=8 * 2_000_000),
    Purse("the request", "request", cap="0.002"),
)


@EACH
@FORMS
@pytest.mark.parametrize("purse", ENOUGH, ids=lambda purse: purse.id)
def test_an_answer_is_clamped_to_what_pays_for_it(purse: Purse, streams: bool, scene: Scene, fresh: str) -> None:
    scene, headers = spender(scene, purse)
    scene.upstream.play(scene.mark, said(streams=streams))
    reply = scene.send(scene.meaning(fresh, streams=streams, limit=None), **headers)
    assert scene.way.heard(reply).cost == COST_NANO / 10**9
    name, most = reply.headers["x-trunkline-clamped"].split("=")
    assert name == "max_output_tokens"
    assert 500 < int(most) <= 1_000
    sent = scene.upstream.last(scene.mark).json
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == int(most)
    assert scene.tenant.settled().charged == COST_NANO


@EACH
def test_a_stream_that_goes_on_ends_where_its_money_does(scene: Scene, fresh: str) -> None:
    words = [chunk("word " * 10) for _ in range(200)]
    scene.upstream.play(scene.mark, stream(words, "stall"))
    reply = scene.send(scene.meaning(fresh, streams=True), **{"x-trunkline-max-cost": "0.001"})
    heard = scene.way.heard(reply)
    assert heard.stop == "length"
    assert 0 < len(heard.text) < 5 * 2_000
    assert heard.cost is not None
    assert 0 < heard.cost <= 0.001
    assert scene.tenant.settled().charged == round(heard.cost * 10**9)


LIMITED = {"responses": "429", "chat": "rate_limit_error", "messages": "rate_limit_error"}


@EACH
@FORMS
def test_a_rate_is_one_for_all_doors_and_told_in_the_head(streams: bool, scene: Scene, fresh: str) -> None:
    scene.upstream.play(scene.mark, said(streams=streams))
    scene = replace(scene, tenant=scene.tenant.store.tenant(terms=json.dumps({"rpm": 1})))
    before = replace(scene, way=WAYS[(WAYS.index(scene.way) + 1) % len(WAYS)])
    before.hear(before.meaning(fresh, streams=streams))
    reply = scene.send(scene.meaning(fresh, streams=streams))
    problem = scene.way.problem(reply, 429)
    assert problem.kind == LIMITED[scene.way.name]
    assert (problem.more["limit_kind"], problem.more["limit_amount"]) == ("requests", 1)
    assert (reply.headers["x-ratelimit-limit"], reply.headers["x-ratelimit-remaining"]) == ("1", "0")
    assert 50 <= int(reply.headers["retry-after"]) <= 60
    assert reply.headers["x-generation-id"].startswith("resp_")
    assert len(scene.hosts) == 1


@EACH
def test_who_means_no_limit_is_not_kept_out_by_a_rate_of_tokens(scene: Scene, fresh: str) -> None:
    """Messages demands a limit, and Claude Code names 32,000 tokens whatever it asks."""
    scene.upstream.play(scene.mark, said(streams=False))
    scene = replace(scene, tenant=scene.tenant.store.tenant(terms=json.dumps({"tpm": 10_000})))
    for _ in range(2):
        assert scene.hear(scene.meaning(fresh, limit=None)).text == "Hello."


@EACH
@FORMS
def test_an_account_s_own_key_pays_itself(streams: bool, scene: Scene, fresh: str) -> None:
    own = f"sk-own-CANARY-{scene.mark}"
    Tenants(scene.tenant.store.path.parent).bring(scene.tenant.account_id, "cheap", own)
    scene.upstream.play(scene.mark, said(streams=streams))
    heard = scene.hear(scene.meaning(fresh, streams=streams))
    assert scene.upstream.last(scene.mark).headers["authorization"] == f"Bearer {own}"
    kept = scene.tenant.data(f"generation?id={heard.id}")
    assert (heard.cost, kept["is_byok"], kept["upstream_inference_cost"]) == (0, True, COST_NANO / 10**9)
    assert heard.is_byok is (None if scene.way is MESSAGES else True)
    assert scene.tenant.settled().charged == 0


# What ends early


def under_way(scene: Scene, script: Script, fresh: str) -> None:
    """Begin a stream, and leave it once its first words have come."""
    scene.upstream.play(scene.mark, script)
    body = scene.way.body(scene.meaning(fresh, streams=True))
    with scene.gateway.connect() as client:
        client.send(post(body, key=scene.tenant.text, path=scene.way.path))
        client.read_until(b"Hello")
        client.reset()


def each_way(store: Store, upstream: Upstream) -> Iterator[Scene]:
    """A scene at each door, whose texts and marks are equally long."""
    for way in WAYS:
        yield Scene(way, store.gateway, upstream, store.tenant(CREDIT), f"nonce-behind-each-{1000 + next(_numbers)}")


def the_one_record(tenant: Tenant, *columns: str) -> tuple[Any, ...]:
    statement = f"SELECT {', '.join(columns)} FROM generations WHERE account_id = ?"
    eventually(lambda: len(tenant.store.rows(statement, tenant.account_id)) == 1, "there is no record")
    (row,) = tenant.store.rows(statement, tenant.account_id)
    return tuple(row)


COLUMNS = ("status", "input_tokens", "output_tokens", "cost_nano", "charged_nano", "is_estimated")


def test_a_client_that_leaves_pays_the_same_at_each_door(store: Store, upstream: Upstream, fresh: str) -> None:
    told = set()
    for scene in each_way(store, upstream):
        under_way(scene, stream([chunk("Hello, "), chunk("and so on.")], "stall"), fresh)
        told.add(the_one_record(scene.tenant, *COLUMNS))
        assert scene.tenant.settled().charged > 0
    ((status, read, written, cost, charged, is_estimated),) = told
    assert (status, bool(is_estimated)) == ("cancelled", True)
    assert read > 0
    assert written > 0
    assert cost == charged > 0


def test_a_stream_that_breaks_costs_the_same_at_each_door(store: Store, upstream: Upstream, fresh: str) -> None:
    broken = {"error": {"message": "Broken.", "code": 502, "type": "server_error"}}
    told = set()
    for scene in each_way(store, upstream):
        upstream.play(scene.mark, Script([head(200, "text/event-stream"), sse([chunk("Hello."), broken])]))
        reply = scene.send(scene.meaning(fresh, streams=True))
        assert reply.status == 200
        assert b"Broken." in reply.body or b"error" in reply.body
        told.add(the_one_record(scene.tenant, *COLUMNS))
    ((status, _, written, cost, charged, _),) = told
    assert status == "failed"
    assert written > 0
    assert cost == charged > 0


@EACH
def test_a_whole_answer_that_breaks_is_paid_where_it_is_told(scene: Scene, fresh: str) -> None:
    """In Responses what came of it is told, as failed; the other APIs have no words for that but an error."""
    scene.upstream.play(scene.mark, whole({**completion("Hello.", finish="error"), "usage": USED}))
    reply = scene.send(scene.meaning(fresh))
    is_told = scene.way is RESPONSES
    assert (reply.status == 200) is is_told
    paid = COST_NANO if is_told else 0
    kept = the_one_record(scene.tenant, "status", "cost_nano", "charged_nano", "house_nano")
    assert kept == ("failed", COST_NANO, paid, COST_NANO - paid)
    assert scene.tenant.settled().charged == paid


# Replays


@EACH
@FORMS
def test_what_was_answered_is_told_again_and_paid_once(streams: bool, scene: Scene, fresh: str) -> None:
    scene.upstream.play(scene.mark, said(streams=streams))
    meaning = scene.meaning(fresh, streams=streams)
    first, again = (scene.send(meaning, origin=ORIGIN, idempotency_key=scene.mark) for _ in range(2))
    check_readable(again)
    assert scene.way.heard(again) == scene.way.heard(first)
    assert again.body == first.body
    assert again.headers["x-trunkline-replayed"] == "true"
    assert again.headers["x-generation-id"] == first.headers["x-generation-id"]
    assert again.headers.get("request-id") == (again.headers["x-request-id"] if scene.way is MESSAGES else None)
    assert len(scene.hosts) == 1
    assert scene.tenant.settled().charged == COST_NANO


@EACH
def test_a_name_of_a_request_is_its_own_at_one_door_alone(scene: Scene, fresh: str) -> None:
    scene.upstream.play(scene.mark, said(streams=False))
    body = {**MESSAGES.body(scene.meaning(fresh)), "input": scene.mark}

    def send(way: Way, **headers: str) -> Reply:
        return scene.gateway.call(body, key=scene.tenant.text, path=way.path, idempotency_key=scene.mark, **headers)

    assert send(scene.way).status == 200
    for way in WAYS:
        if way is not scene.way:
            problem = way.problem(send(way), 400 if way is MESSAGES else 422)
            assert "Idempotency-Key" in problem.message
    assert len(scene.hosts) == 1


def test_what_the_head_says_at_messages_is_part_of_the_request(store: Store, upstream: Upstream, fresh: str) -> None:
    scene = Scene(MESSAGES, store.gateway, upstream, store.tenant(CREDIT), f"nonce-behind-money-{next(_numbers)}")
    upstream.play(scene.mark, said(streams=False))
    meaning = scene.meaning(fresh)
    named = {"idempotency_key": scene.mark}
    assert scene.send(meaning, **named, anthropic_beta="a-2026-01-01").status == 200
    assert scene.send(meaning, **named, anthropic_beta="a-2026-01-01").headers["x-trunkline-replayed"] == "true"
    scene.way.problem(scene.send(meaning, **named, anthropic_beta="b-2026-01-01"), 400)
    assert len(scene.hosts) == 1
