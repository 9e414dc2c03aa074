"""The law of money: what an answer says it cost is what is kept of it, everywhere, as soon as its end is seen."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.gateway.checks import error_of, events_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Reply, post, running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.test_supports import LIMITS, TOLD
from tests.gateway.upstream import Script, Upstream, chunk, stream, usage_chunk, whole
from tests.gateway.waiting import eventually
from trunkline.store.connection import Connection

CONFIG = """
[store]
timeout = "700 ms"
[routing]
retry_budget = 1.0
[providers.fake-provider]
enabled = true
"""
CREDIT = 10**11
NANO = 10**9
SOON_S = 2.0


@pytest.fixture(scope="module")
def store(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """`wire/<dialect>` at a provider of each dialect; `wire/broken` fails and has no other, `wire/two` is at two,
    `wire/searching` takes a cent for a search."""
    config = CONFIG
    for dialect in (*LIMITS, "broken"):
        spoken = "chat" if dialect == "broken" else dialect
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=spoken, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"wire-{dialect}", model=f"wire/{dialect}")
    config += "".join(ENDPOINT.format(provider=f"wire-{name}", model="wire/two") for name in ("broken", "chat"))
    searching = ENDPOINT.format(provider="wire-broken", model="wire/searching")
    config += searching.replace('output = "2"', 'output = "2", search = "0.01"')
    config += 'quirks.web_search = "search_domain_filter"\n'
    folder = tmp_path_factory.mktemp("kept")
    with running(folder, config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as gateway:
        yield Store(gateway, folder / "trunkline.db")


@pytest.fixture(params=["limited", "unlimited", "limited key"])
def tenant(request: pytest.FixtureRequest, store: Store) -> Tenant:
    if request.param == "limited key":
        return store.tenant(limit_nano=CREDIT)
    return store.tenant(CREDIT if request.param == "limited" else None)


def kept_of(tenant: Tenant, id: str) -> dict[str, float]:
    """What the one request of a tenant cost, in USD, from everywhere that says so."""
    (activity,) = tenant.data("activity")
    assert activity["requests"] == 1
    key, credits = tenant.data("key"), tenant.data("credits")
    generation = tenant.data(f"generation?id={id}")
    ((rolled_up,),) = tenant.store.rows(
        "SELECT sum(cost_nano) FROM usage_daily WHERE account_id = ?", tenant.account_id
    )
    kept = {
        "generation": generation["total_cost"],
        "usage of generation": generation["usage"],
        "activity": activity["usage"],
        "roll-up": rolled_up / NANO,
        "key": key["usage"],
        "key today": key["usage_daily"],
        "credits": credits["total_usage"],
    }
    entries = tenant.store.rows("SELECT amount_nano FROM entries WHERE charge_of = ?", id)
    if generation["held"] is None:
        assert entries == []
        return kept
    assert generation["total_cost"] <= generation["held"]
    ((charged,),) = entries
    kept["entry"] = charged / NANO
    if key["limit"] is not None:
        kept["limit"] = key["limit"] - key["limit_remaining"]
    else:
        assert tenant.balance().charged == charged
        assert tenant.balance().held == 0
    return kept


def assert_kept(tenant: Tenant, id: str, usage: dict[str, Any]) -> None:
    kept = kept_of(tenant, id)
    assert kept == pytest.approx(dict.fromkeys(kept, usage["cost"]), rel=0, abs=1e-12)
    generation, (activity,) = tenant.data(f"generation?id={id}"), tenant.data("activity")
    for counted in (generation["tokens_prompt"], activity["prompt_tokens"]):
        assert counted == usage["input_tokens"]
    for counted in (generation["tokens_completion"], activity["completion_tokens"]):
        assert counted == usage["output_tokens"]


@pytest.mark.parametrize("dialect", LIMITS)
def test_MO_19_a_whole_answer_of_every_dialect(dialect: str, tenant: Tenant, upstream: Upstream) -> None:
    nonce = upstream.play(f"nonce-kept-{next(_numbers)}", whole(TOLD[dialect]), host=dialect)
    reply = tenant.call({"model": f"wire/{dialect}", "input": nonce, "max_output_tokens": 500})
    usage = response_of(reply)["usage"]
    assert usage["cost"] > 0
    assert_kept(tenant, reply.headers["x-generation-id"], usage)


@pytest.mark.parametrize("model", ["fake/echo", "fake/reasoner", "fake/search"])
def test_MO_19_a_stream(model: str, tenant: Tenant) -> None:
    reply = tenant.call({"model": model, "input": "Say it again, and say more.", "stream": True})
    response = events_of(reply)[-1]["response"]
    assert response["usage"]["cost"] > 0
    assert_kept(tenant, response["id"], response["usage"])
    told = tenant.data(f"generation?id={response['id']}")
    assert (told["streamed"], told["cancelled"], told["status"]) == (True, False, "completed")
    assert 0 <= told["first_token_time"] <= told["latency"]


def test_a_client_that_leaves_is_on_record_within_two_seconds(tenant: Tenant) -> None:
    body = {"model": "fake/lorem", "input": "!rate 50\n!tokens 1000\nGo on.", "stream": True}
    with tenant.store.gateway.connect() as client:
        client.send(post(body, key=tenant.text))
        client.read_until(b"response.output_text.delta", 10)
        id = client.gathered.partition(b"x-generation-id: ")[2].partition(b"\r\n")[0].decode()
    left_at = time.monotonic()
    told = _soon(lambda: tenant.get(f"generation?id={id}"))
    assert time.monotonic() - left_at <= SOON_S
    assert (told["cancelled"], told["status"], told["is_estimated"]) == (True, "cancelled", True)
    assert 0 < told["total_cost"] <= (told["held"] or 1)
    kept = kept_of(tenant, id)
    assert kept == pytest.approx(dict.fromkeys(kept, told["total_cost"]), rel=0, abs=1e-12)


def test_a_request_that_failed_is_on_record_and_costs_nothing(tenant: Tenant, upstream: Upstream) -> None:
    nonce = upstream.play(f"nonce-kept-{next(_numbers)}", whole({"error": {"message": "No."}}, 500), host="broken")
    reply = tenant.call({"model": "wire/broken", "input": nonce, "max_output_tokens": 500})
    error_of(reply, 502)
    told = _soon(lambda: tenant.get(f"generation?id={reply.headers['x-generation-id']}"))
    assert (told["status"], told["total_cost"], told["finish_reason"]) == ("failed", 0, "error")
    (attempt,) = told["attempts"]
    assert (attempt["endpoint"], attempt["status"]) == ("wire-broken:wire/broken", 500)
    (tried,) = told["provider_responses"]
    assert (tried["endpoint_id"], tried["status"]) == ("wire-broken:wire/broken", 500)
    assert tenant.data("activity")[0]["requests"] == 1
    assert tenant.data("key")["usage"] == 0


def test_MO_13_the_second_attempt_is_charged_and_what_the_first_had_spent_is_the_houses(
    tenant: Tenant, upstream: Upstream
) -> None:
    nonce = f"nonce-kept-{next(_numbers)}"
    begun = [*stream([chunk("one "), usage_chunk(70, 30)]).steps, 0.1]
    upstream.play(nonce, Script(begun, "reset"), host="broken")
    upstream.play(nonce, stream([chunk("Hello.", "stop"), usage_chunk(7, 3)]), host="chat")
    order = {"order": ["wire-broken", "wire-chat"]}
    reply = tenant.call({"model": "wire/two", "input": nonce, "max_output_tokens": 500, "provider": order})
    usage = response_of(reply)["usage"]
    assert usage["cost"] == pytest.approx((7 + 3 * 2) / 1e6)
    assert_kept(tenant, reply.headers["x-generation-id"], usage)
    told = tenant.data(f"generation?id={reply.headers['x-generation-id']}")
    assert told["house_cost"] == pytest.approx((70 + 30 * 2) / 1e6)
    assert [attempt["endpoint"] for attempt in told["attempts"]] == ["wire-broken:wire/two"]


def test_MO_26_searches_of_an_answer_that_broke_off_are_charged_once(tenant: Tenant, upstream: Upstream) -> None:
    searched = usage_chunk(7, 3, num_search_queries=2)
    begun = [*stream([chunk("one "), searched, searched]).steps, 0.1]
    nonce = upstream.play(f"nonce-kept-{next(_numbers)}", Script(begun, "reset"), host="broken")
    asked = {"model": "wire/searching", "input": nonce, "max_output_tokens": 500, "stream": True}
    failed = events_of(tenant.call(asked), "failed")[-1]["response"]
    assert failed["usage"]["cost"] == pytest.approx((7 + 3 * 2) / 1e6 + 2 * 0.01)
    assert_kept(tenant, failed["id"], failed["usage"])


def test_DB_05_what_ended_while_the_store_was_locked_is_on_record_once_within_ten_seconds(store: Store) -> None:
    limited, unlimited = store.tenant(CREDIT), store.tenant()
    body = {"model": "fake/echo", "input": "Hi."}
    response_of(unlimited.call(body))  # its key is known from here on
    with store.gateway.connect() as client, store.opened() as connection:
        slow = {"model": "fake/lorem", "input": "!rate 20\n!tokens 20", "stream": True}
        client.send(post(slow, "connection: close", key=limited.text))
        client.read_until(b"response.output_text.delta", 5)
        connection.execute("BEGIN EXCLUSIVE")
        assert b"response.completed" in client.read_to_end()
        id = client.gathered.partition(b"x-generation-id: ")[2].partition(b"\r\n")[0].decode()
        replies = [unlimited.call(body) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 200]
        error_of(limited.call(body), 503)
        ids = sorted([id, *(reply.headers["x-generation-id"] for reply in replies)])
        assert _recorded(connection, ids) == []
        connection.execute("COMMIT")
    with store.opened() as connection:
        eventually(lambda: _recorded(connection, ids) == ids, "a record is missing", 10)
    assert store.rows("SELECT count(*) FROM entries WHERE charge_of = ?", id) == [(1,)]
    assert limited.settled().charged > 0
    store.check()


def _recorded(connection: Connection, ids: list[str]) -> list[str]:
    places = ", ".join("?" * len(ids))
    return [id for (id,) in connection.execute(f"SELECT id FROM generations WHERE id IN ({places}) ORDER BY id", ids)]


@pytest.mark.parametrize(
    ("body", "status"), [({"model": "nobody/knows", "input": "Hi."}, 404), ({"model": "fake/echo"}, 400)]
)
def test_a_refused_request_leaves_no_record(tenant: Tenant, body: dict[str, Any], status: int) -> None:
    reply = tenant.call(body)
    error_of(reply, status)
    error_of(tenant.get(f"generation?id={reply.headers['x-request-id']}"), 404)
    assert tenant.data("activity") == []


def test_what_the_endpoint_was_not_told_is_on_record(store: Store, upstream: Upstream) -> None:
    tenant = store.tenant()
    nonce = upstream.play(f"nonce-kept-{next(_numbers)}", whole(TOLD["chat"]), host="chat")
    reply = tenant.call(
        {"model": "wire/chat", "input": nonce, "reasoning": {"summary": "auto"}, "session_id": "s-1", "user": "u-1"}
    )
    response_of(reply)
    told = tenant.data(f"generation?id={reply.headers['x-generation-id']}")
    assert told["dropped"] == [name.strip() for name in reply.headers["x-trunkline-dropped"].split(",")]
    assert (told["session_id"], told["external_user"]) == ("s-1", "u-1")


def _soon(ask: Callable[[], Reply]) -> Any:
    """What an answer tells as soon as it is there."""
    until = time.monotonic() + SOON_S
    while (reply := ask()).status == 404 and time.monotonic() < until:
        time.sleep(0.02)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)["data"]


_numbers = itertools.count()
