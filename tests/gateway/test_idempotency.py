"""`Idempotency-Key` through the running gateway: asked once, charged once, and told as often as it is asked for."""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.gateway.checks import error_of, events_of, response_of
from tests.gateway.conftest import PROVIDER
from tests.gateway.scenes import Scenes
from tests.gateway.server import BELOW_ASGI, KEY, PROVIDER_KEY, THROUGH_ASGI, Reply, post, running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, usage_chunk, whole
from tests.gateway.waiting import eventually

CONFIG = """
[server]
deadline = "2 s"
[store]
node = "here"
timeout = "700 ms"
[routing]
retry_budget = 1.0
[providers.fake-provider]
enabled = true
"""
ENDPOINT = """
[[endpoints]]
provider = "{provider}"
model = "{model}"
upstream_model = "{upstream}"
price = {{ input = "1", output = "2" }}
context_tokens = 1000000
max_output_tokens = 400000
"""
CREDIT = 10**10
_numbers = count(1)


def config_of(upstream: Upstream) -> str:
    """Models `mock/chat`, scripted, and `paid/echo` and `paid/lorem`, which cost the same."""
    config = CONFIG + PROVIDER.format(name="mock", dialect="chat", url=f"{upstream.url}/chat/v1")
    config += ENDPOINT.format(provider="mock", model="mock/chat", upstream="x")
    for name in ("echo", "lorem"):
        config += ENDPOINT.format(provider="fake-provider", model=f"paid/{name}", upstream=name)
    return config


@pytest.fixture(scope="module")
def store(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("idempotency")
    with running(folder, config_of(upstream), is_measured=True, MOCK_KEY=PROVIDER_KEY) as gateway:
        store = Store(gateway, folder / "trunkline.db")
        yield store
        eventually(lambda: store.rows("SELECT count(*) FROM claims WHERE ended_at_ms IS NULL") == [(0,)], "one is left")
        store.check()


@dataclass(frozen=True)
class House:
    """A gateway, the provider behind it, and room for others."""

    store: Store
    upstream: Upstream
    room: Path

    def folder(self, name: str) -> Path:
        """A folder for another gateway."""
        folder = self.room / name
        folder.mkdir()
        return folder


scenes: Scenes[[House]] = Scenes()


@pytest.fixture(scope="module")
def played(
    store: Store, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], None]]:
    yield from scenes.play(House(store, upstream, tmp_path_factory.mktemp("scenes")))


@pytest.fixture
def key() -> str:
    return f"a key, the {next(_numbers)}th"


def ask(text: str, model: str = "mock/chat", **more: Any) -> dict[str, Any]:
    return {"model": model, "input": text, **more}


def is_replay(reply: Reply, first: Reply) -> bool:
    """Whether an answer is what the first was, to the byte."""
    assert reply.status == 200, reply.body
    assert first.body == reply.body
    names = ("x-generation-id", "content-type")
    assert [reply.headers[name] for name in names] == [first.headers[name] for name in names]
    return reply.headers.get("x-trunkline-replayed") == "true"


def figures(store: Store, tenant: Tenant) -> tuple[int, int, int]:
    """How many records there are of an account, how many charges, and what they come to."""
    ((records,),) = store.rows("SELECT count(*) FROM generations WHERE account_id = ?", tenant.account_id)
    ((charges, nano),) = store.rows(
        "SELECT count(*), coalesce(sum(amount_nano), 0) FROM entries WHERE debit = ? AND kind = 'charge'",
        tenant.account_id,
    )
    return records, charges, nano


ON_BOTH_WAYS = pytest.mark.parametrize("path", [BELOW_ASGI, THROUGH_ASGI], ids=["our own listener", "ASGI"])
ALL_FORMS = pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
LIMITED = pytest.mark.parametrize("credit", [CREDIT, None], ids=["limited", "unlimited"])


class TestAReplay:
    @ALL_FORMS
    @LIMITED
    def test_MO_29_is_the_first_answer_to_the_byte_and_costs_nothing(
        self, store: Store, upstream: Upstream, nonce: str, key: str, is_stream: bool, credit: int | None
    ) -> None:
        tenant = store.tenant(credit)
        body = ask(f"{nonce} Hi.", stream=is_stream)
        first = tenant.call(body, idempotency_key=key)
        assert events_of(first) if is_stream else response_of(first)
        assert "x-trunkline-replayed" not in first.headers
        before = figures(store, tenant)
        for _ in range(2):
            again = tenant.call(body, idempotency_key=key)
            assert is_replay(again, first)
            assert again.headers["x-request-id"] != first.headers["x-request-id"]
        assert figures(store, tenant) == before
        assert before[:2] == (1, 0 if credit is None else 1)
        assert len(upstream.seen(nonce)) == 1

    @ON_BOTH_WAYS
    @ALL_FORMS
    def test_is_told_on_both_ways(self, store: Store, key: str, path: str, is_stream: bool) -> None:
        body = ask("!rate 400\nSay it in pieces, one after the other.", "fake/echo", stream=is_stream)
        first, again = (store.gateway.call(body, path=path, idempotency_key=key) for _ in range(2))
        assert is_replay(again, first)

    def test_is_another_for_another_account_and_another_key(self, store: Store, key: str) -> None:
        body, one, two = ask("Hi.", "fake/echo"), store.tenant(), store.tenant()
        ids = [one.call(body, idempotency_key=key).headers["x-generation-id"]]
        ids.append(two.call(body, idempotency_key=key).headers["x-generation-id"])
        ids.append(one.call(body, idempotency_key=key + "!").headers["x-generation-id"])
        ids.append(one.call(body).headers["x-generation-id"])
        assert len(set(ids)) == 4

    def test_takes_nothing_of_a_rate(self, store: Store, key: str) -> None:
        tenant = store.tenant(CREDIT, terms=json.dumps({"rpm": 1}))
        body = ask("Hi.", "paid/echo")
        first = tenant.call(body, idempotency_key=key)
        assert all(is_replay(tenant.call(body, idempotency_key=key), first) for _ in range(3))
        error_of(tenant.call(body, idempotency_key=key + "!"), 429)

    @ALL_FORMS
    def test_of_an_answer_that_failed_in_the_middle_is_that_failure(
        self, store: Store, upstream: Upstream, nonce: str, key: str, is_stream: bool
    ) -> None:
        """A client that was told so much was told a result; whoever wants another says another key."""
        tenant = store.tenant(CREDIT)
        broken = Script([head(200, "text/event-stream"), sse([chunk("Half of it")])], "reset")
        upstream.play(nonce, broken)
        body = ask(f"{nonce} Hi.", stream=is_stream, provider={"allow_fallbacks": False})
        first = tenant.call(body, idempotency_key=key)
        if is_stream:
            events_of(first, "failed")
        else:
            response_of(first, "failed")
        charged = tenant.settled().charged
        assert charged > 0
        assert is_replay(tenant.call(body, idempotency_key=key), first)
        assert tenant.settled().charged == charged

    def test_of_an_answer_that_is_too_large_is_its_id(self, store: Store, key: str) -> None:
        tenant = store.tenant(CREDIT)
        body = ask("x" * 1_100_000, "paid/echo")
        first = tenant.call(body, idempotency_key=key)
        assert len(first.body) > 2**20
        refused = tenant.call(body, idempotency_key=key)
        error = error_of(refused, 409)
        assert error["metadata"]["generation_id"] == refused.headers["x-generation-id"]
        assert refused.headers["x-generation-id"] == first.headers["x-generation-id"]
        assert figures(store, tenant)[:2] == (1, 1)

    @ALL_FORMS
    def test_of_a_long_answer_is_whole(self, store: Store, key: str, is_stream: bool) -> None:
        """The end of such a stream leaves in pieces, and it has five megabytes, for each token is an event."""
        body = ask("x" * (100_000 if is_stream else 250_000), "fake/echo", stream=is_stream)
        first, again = (store.gateway.call(body, idempotency_key=key) for _ in range(2))
        assert len(first.body) > (5_000_000 if is_stream else 250_000)
        assert is_replay(again, first)

    def test_is_not_for_a_key_that_was_rotated(self, store: Store, key: str) -> None:
        body, tenant = ask("Hi.", "paid/echo"), store.tenant(CREDIT)
        first = tenant.call(body, idempotency_key=key)
        ((mark,),) = store.rows("SELECT mark FROM claims WHERE generation_id = ?", first.headers["x-generation-id"])
        other = store.tenant(CREDIT)
        with store.opened() as connection:
            connection.execute("UPDATE keys SET account_id = ? WHERE id = ?", (tenant.account_id, other.key_id))
        error = error_of(other.call(body, idempotency_key=key), 409)
        assert error["metadata"]["generation_id"] == first.headers["x-generation-id"]
        assert store.rows("SELECT count(*) FROM claims WHERE mark = ?", mark) == [(1,)]
        store.rows("UPDATE keys SET account_id = ? WHERE id = ?", other.account_id, other.key_id)


class TestTheKeyIsFree:
    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (ask("Hi.", temperature=9), 400),
            (ask("Hi.", "no/such-model"), 404),
            (ask("Hi.", "paid/echo", max_output_tokens=400_000), 402),
            (ask("!status 429 Slow down.", "fake/echo"), 429),
            (ask("!status 500 Broken.", "fake/echo", stream=True), 502),
        ],
        ids=["a bad request", "no model", "no credit", "busy", "down"],
    )
    def test_after_an_error_that_cost_nothing(self, store: Store, key: str, body: Any, status: int) -> None:
        tenant = store.tenant(10**8)
        for _ in range(2):
            reply = tenant.call(body, idempotency_key=key)
            error_of(reply, status)
            assert "x-trunkline-replayed" not in reply.headers
        response_of(tenant.call(ask("Hi.", "paid/echo", max_output_tokens=30), idempotency_key=key))

    def test_once_a_provider_that_was_down_is_back(
        self, store: Store, upstream: Upstream, nonce: str, key: str
    ) -> None:
        tenant = store.tenant(CREDIT)
        upstream.play(nonce, whole({"error": {"message": "Down."}}, 500))
        body = ask(f"{nonce} Hi.", provider={"allow_fallbacks": False})
        assert tenant.call(body, idempotency_key=key).status >= 500
        upstream.play(nonce, whole(completion()))
        first = tenant.call(body, idempotency_key=key)
        response_of(first)
        assert is_replay(tenant.call(body, idempotency_key=key), first)


class TestWhoComesSecond:
    @ALL_FORMS
    @LIMITED
    def test_MO_29_waits_and_gets_the_same_answer_however_many_they_are(
        self, store: Store, upstream: Upstream, nonce: str, key: str, is_stream: bool, credit: int | None
    ) -> None:
        tenant = store.tenant(credit)
        begun, said = [chunk("Slowly")], [chunk(" said."), chunk(None, "stop"), usage_chunk()]
        slow = Script([head(200, "text/event-stream"), sse(begun), 0.15, sse(said), b"data: [DONE]\n\n"])
        upstream.play(nonce, slow if is_stream else Script([0.15, *whole(completion()).steps]))
        body = ask(f"{nonce} Hi.", stream=is_stream)
        with ThreadPoolExecutor(50) as pool:
            replies = list(pool.map(lambda _: tenant.call(body, idempotency_key=key), range(50)))
        first = next(reply for reply in replies if "x-trunkline-replayed" not in reply.headers)
        assert sum(is_replay(reply, first) for reply in replies) == 49
        assert len(upstream.seen(nonce)) == 1
        assert figures(store, tenant)[:2] == (1, 0 if credit is None else 1)

    def test_CL_12_a_crowd_that_drops_and_retries_is_one_run_and_one_charge(self, store: Store, key: str) -> None:
        tenant = store.tenant(CREDIT)
        body = ask("!first 200ms\nHi there.", "paid/echo", max_output_tokens=300)
        clients = [store.gateway.connect() for _ in range(60)]
        for client in clients:
            client.send(post(body, f"idempotency-key: {key}", key=tenant.text))
        for client in clients:
            client.reset()
        with ThreadPoolExecutor(30) as pool:
            replies = list(pool.map(lambda _: tenant.call(body, idempotency_key=key), range(60)))
        (id,) = {reply.headers["x-generation-id"] for reply in replies}
        assert {reply.status for reply in replies} == {200}
        tenant.settled()
        asked = store.rows("SELECT id, status, charged_nano FROM generations WHERE account_id = ?", tenant.account_id)
        assert [row[0] for row in asked if row[1] == "completed"] == [id]
        assert [row[0] for row in asked if row[2]] == [id]

    def test_MO_29_with_another_body_is_told_so(self, store: Store, key: str) -> None:
        tenant = store.tenant(CREDIT)
        body = ask("!first 400ms\nHi.", "paid/echo")
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(tenant.call, body, idempotency_key=key)
            eventually(lambda: bool(tenant.balance().held), "it is not under way")
            under_way = tenant.call(ask("Ho.", "paid/echo"), idempotency_key=key)
            response_of(asking.result())
        done = tenant.call(ask("Ho.", "paid/echo"), idempotency_key=key)
        for reply in (under_way, done):
            assert error_of(reply, 422)["metadata"]["header"] == "Idempotency-Key"
            assert "x-generation-id" not in reply.headers
        assert error_of(tenant.call(body, idempotency_key=key, x_trunkline_max_cost="1"), 422)
        assert figures(store, tenant)[:2] == (1, 1)


class TestTheHeader:
    @pytest.mark.parametrize("text", ["", " ", "a" * 256, "tab\tin it", "ø"], ids=repr)
    def test_is_1_to_255_printable_characters(self, store: Store, text: str) -> None:
        error = error_of(store.gateway.call(ask("Hi.", "fake/echo"), idempotency_key=text), 400)
        assert error["metadata"]["header"] == "Idempotency-Key"

    def test_is_sent_once(self, store: Store) -> None:
        lines = ("idempotency-key: a", "idempotency-key: a", "connection: close")
        (reply,) = store.gateway.raw(post(ask("Hi.", "fake/echo"), *lines))
        assert error_of(reply, 400)["metadata"]["header"] == "Idempotency-Key"

    @pytest.mark.parametrize("text", ["!", "~" * 255, '"8e03978e-40d5-43e8-bc93-6894a57f9324"'])
    def test_may_be_all_of_them(self, store: Store, text: str) -> None:
        body, tenant = ask("Hi.", "fake/echo"), store.tenant()
        first, again = (tenant.call(body, idempotency_key=text) for _ in range(2))
        assert is_replay(again, first)

    def test_nothing_of_it_nor_of_what_was_said_is_in_the_store_in_plain(self, store: Store, key: str) -> None:
        body = ask("Cormorants", "fake/echo")
        response_of(store.gateway.call(body, idempotency_key=key))
        data = b"".join(each.read_bytes() for each in store.path.parent.glob("trunkline.db*") if each.is_file())
        assert b"Cormorants" not in data
        assert key.encode() not in data
        assert KEY.encode() not in data


@scenes.add
def once_its_client_left_in_the_middle_the_key_is_free(house: House) -> None:
    """What it heard is charged; whoever asks again is a new request, and its answer is charged as a whole."""
    store, key = house.store, "left"
    tenant = store.tenant(CREDIT)
    body = ask("!rate 100\n" + "word " * 50, "paid/echo", stream=True, max_output_tokens=300)
    with store.gateway.connect() as client:
        client.send(post(body, f"idempotency-key: {key}", key=tenant.text))
        client.read_until(b"output_text.delta", 3)
    eventually(lambda: figures(store, tenant)[0] == 1, "no record of who left")
    again = tenant.call({**body, "input": body["input"]}, idempotency_key=key)
    events_of(again)
    assert "x-trunkline-replayed" not in again.headers
    statuses = store.rows("SELECT status FROM generations WHERE account_id = ?", tenant.account_id)
    assert sorted(statuses) == [("cancelled",), ("completed",)]
    assert is_replay(tenant.call(body, idempotency_key=key), again)


@scenes.add
def who_comes_second_waits_no_longer_than_it_may(house: House) -> None:
    """Here the first is a process that is gone: nobody will end what it began before the sweep does."""
    store, key = house.store, "gone"
    body, tenant = ask("Hi.", "fake/echo"), store.tenant()
    first = tenant.call(body, idempotency_key=key)
    id = first.headers["x-generation-id"]
    store.rows("UPDATE claims SET ended_at_ms = NULL, boot_id = 'gone' WHERE generation_id = ?", id)
    store.rows("INSERT INTO boots VALUES ('gone', 'there', 0, ?)", int(time.time() * 1000) + 600_000)
    refused = tenant.call(body, idempotency_key=key)
    assert error_of(refused, 409)["metadata"]["error_type"] == "conflict"
    assert int(refused.headers["retry-after"]) == 10
    store.rows("DELETE FROM claims WHERE generation_id = ?", id)
    store.rows("DELETE FROM boots WHERE id = 'gone'")


@scenes.add
def a_key_of_an_SDK_is_kept_when_it_tries_again(house: House) -> None:
    store, key, nonce = house.store, "sdk", "nonce-claim-of-sdk"
    tenant = store.tenant(CREDIT)
    house.upstream.play(nonce, whole({"error": {"message": "Down."}}, 500), whole(completion()))
    client = openai.OpenAI(base_url=f"{store.gateway.url}/api/v1", api_key=tenant.text)
    ids = set()
    with client:
        for _ in range(2):
            answer = client.responses.create(
                model="mock/chat",
                input=f"{nonce} Hi.",
                extra_headers={"Idempotency-Key": key},
                extra_body={"provider": {"allow_fallbacks": False}},
            )
            ids.add(answer.id)
    assert len(ids) == 1
    assert tenant.settled().charged > 0
    assert figures(store, tenant)[1] == 1


@scenes.add
def two_processes_on_one_database_answer_once(house: House) -> None:
    upstream, tmp_path, key, nonce = house.upstream, house.folder("two"), "both", "nonce-claim-of-two"
    path = tmp_path / "trunkline.db"
    config = config_of(upstream).replace('node = "here"', f'url = "sqlite:///{path}"').replace("700 ms", "10 s")
    with ExitStack() as processes:
        stores = []
        for name in "ab":
            folder = tmp_path / name
            folder.mkdir()
            config = config.replace('deadline = "2 s"', 'deadline = "20 s"')
            gateway = processes.enter_context(running(folder, config, MOCK_KEY=PROVIDER_KEY))
            stores.append(Store(gateway, path))
        tenant = stores[0].tenant(CREDIT)
        everywhere = [replace(tenant, store=each) for each in stores]
        upstream.play(nonce, Script([0.3, *whole(completion()).steps]))
        body = ask(f"{nonce} Hi.")
        with ThreadPoolExecutor(50) as pool:
            replies = list(pool.map(lambda at: everywhere[at % 2].call(body, idempotency_key=key), range(50)))
        assert Counter(reply.status for reply in replies) == {200: 50}
        assert len({reply.body for reply in replies}) == 1
        assert len(upstream.seen(nonce)) == 1
        assert figures(stores[0], tenant)[:2] == (1, 1)
        stores[0].check()


BEFORE = ("reserve.held", "claim.ended")
AFTER = ("settle.answered",)


@scenes.add
def MO_29_DB_08_killed_at_every_place_nobody_is_charged_twice(house: House) -> None:
    """Each start ends at another place, in the middle of a request. What was not settled is asked anew, for its process
    is known to be gone at the next start; what was settled is told again, though nobody had seen it."""
    upstream, tmp_path, nonce = house.upstream, house.folder("killed"), "nonce-claim-of-killed"
    tenants: list[Tenant] = []
    for place in (*BEFORE, *AFTER):
        with running(tmp_path, config_of(upstream), MOCK_KEY=PROVIDER_KEY, TRUNKLINE_FAILPOINT=place) as gateway:
            tenants.append(Store(gateway, tmp_path / "trunkline.db").tenant(CREDIT))
            with pytest.raises((OSError, http.client.HTTPException)):
                tenants[-1].call(ask(f"{nonce} Hi {place}."), idempotency_key=place)
            assert gateway.process.wait(15) == -signal.SIGKILL
    with running(tmp_path, config_of(upstream), MOCK_KEY=PROVIDER_KEY) as gateway:
        store = Store(gateway, tmp_path / "trunkline.db")
        for place, dead in zip((*BEFORE, *AFTER), tenants, strict=True):
            tenant = replace(dead, store=store)
            again = tenant.call(ask(f"{nonce} Hi {place}."), idempotency_key=place)
            response_of(again)
            assert ("x-trunkline-replayed" in again.headers) == (place in AFTER), place
            assert figures(store, tenant)[1] == 1
        store.check()


@pytest.mark.parametrize("name", scenes.names)
def test_where_it_takes_a_while(played: Callable[[str], None], name: str) -> None:
    played(name)


def test_DB_08_a_store_that_is_down_keeps_no_promise(store: Store, key: str) -> None:
    limited, unlimited = store.tenant(CREDIT), store.tenant()
    for tenant in (limited, unlimited):
        response_of(tenant.call(ask("Hi.", "fake/echo")))
    with store.opened() as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(2) as pool:
            asked = [
                pool.submit(each.call, ask("Hi.", "fake/echo"), idempotency_key=key) for each in (limited, unlimited)
            ]
            refused = [each.result() for each in asked]
        connection.execute("ROLLBACK")
    for reply in refused:
        error_of(reply, 503)
        assert "retry-after" in reply.headers

    def is_back() -> bool:
        return all(t.call(ask("Hi.", "fake/echo"), idempotency_key=key).status == 200 for t in (limited, unlimited))

    eventually(is_back, "the store is not back")


def test_an_answer_that_ended_while_the_store_was_down_is_kept_once_it_is_back(store: Store, key: str) -> None:
    tenant = store.tenant(CREDIT)
    body = ask("!first 300ms\nHi.", "paid/echo")
    with ThreadPoolExecutor(1) as pool, store.opened() as connection:
        asking = pool.submit(tenant.call, body, idempotency_key=key)
        eventually(lambda: bool(tenant.balance().held), "it is not under way")
        connection.execute("BEGIN EXCLUSIVE")
        first = asking.result()
        connection.execute("ROLLBACK")
    response_of(first)
    eventually(lambda: tenant.call(body, idempotency_key=key).status == 200, "the store is not back")
    assert is_replay(tenant.call(body, idempotency_key=key), first)
    assert figures(store, tenant)[:2] == (1, 1)
