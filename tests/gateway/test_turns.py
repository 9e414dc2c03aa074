"""Requests that wait for their turn where a provider takes no more at once, through the running gateway."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.busy import FOR_EVER, Busy, Desk
from tests.gateway.scenes import Scenes
from tests.gateway.server import Gateway, Reply, post, read_events, running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.waiting import eventually

CONFIG = """
[server]
grace = "300 ms"
keep_alive = "300 ms"
[routing]
queue_wait = "3 s"
queue_length = 400
"""

PROVIDER = """
[providers.{name}]
dialect = "chat"
base_url = "{url}"
{limit}
[[endpoints]]
provider = "{name}"
model = "busy/{model}"
price = {{ input = "1", output = "2" }}
{own}
"""

LIMITS = {
    "flooded": "concurrency = 4",
    "left": "concurrency = 1",
    "shed": "concurrency = 1",
    "commented": "concurrency = 1",
    "told": "concurrency = 1",
    "held": "concurrency = 1",
    "weighed": "concurrency = 1",
    "paced": "requests_per_minute = 60",
    "full": "concurrency = 1",
    "shared": "concurrency = 4",
    "refusing": "",
    "refusing-all": "",
}


@dataclass
class House:
    """A gateway before a provider whose servers take only so many at once."""

    gateway: Gateway
    store: Store
    busy: Busy
    pool: ThreadPoolExecutor
    config: str

    def desk(self, name: str, **fields: Any) -> Desk:
        """What stands behind a provider, set up anew."""
        found = self.busy.desks[name] = Desk(**fields)
        return found

    def tenant(self, **more: Any) -> Tenant:
        return self.store.tenant(**more)

    def later(self, tenant: Tenant, model: str, text: str = "hi", **more: Any) -> Future[tuple[Reply, float]]:
        """Ask in a thread: the answer, and how long it took."""

        def call() -> tuple[Reply, float]:
            began = time.monotonic()
            reply = tenant.call({"model": f"busy/{model}", "input": text, **more})
            return reply, time.monotonic() - began

        return self.pool.submit(call)

    def ask(self, tenant: Tenant, model: str, **more: Any) -> Reply:
        return self.later(tenant, model, **more).result(30)[0]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("turns")
    with Busy() as busy, ThreadPoolExecutor(80) as pool:
        config = CONFIG + "".join(
            PROVIDER.format(name=name, url=busy.url(name), limit=limit, model=name, own="")
            for name, limit in LIMITS.items()
        )
        config += PROVIDER.format(name="spare", url=busy.url("spare"), limit="", model="full", own="")
        config += PROVIDER.format(
            name="streamed", url=busy.url("streamed"), limit="", model="streamed", own="concurrency = 1"
        )
        with running(folder, config, is_measured=True) as gateway:
            store = Store(gateway, Path(folder / "trunkline.db"))
            yield House(gateway, store, busy, pool, config)
            eventually(lambda: not any(desk.active for desk in busy.desks.values()), "a call goes on")
            store.check()


scenes: Scenes[[House]] = Scenes()


@pytest.fixture(scope="module")
def played(house: House) -> Iterator[Callable[[str], None]]:
    yield from scenes.play(house)


@pytest.fixture
def tenant(house: House) -> Tenant:
    return house.tenant()


def occupied(house: House, tenant: Tenant, model: str, clients: ExitStack) -> Callable[[], None]:
    """Have somebody hold the one place of a provider; the way to have him leave."""
    client = clients.enter_context(house.gateway.connect())
    client.send(post({"model": f"busy/{model}", "input": FOR_EVER, "stream": True}, key=tenant.text))
    client.read_until(b"output_text.delta")
    return client.reset


def test_tn_05_a_flood_of_one_account_leaves_another_its_share(house: House) -> None:
    """A has ten requests under way for each that the provider takes; B asks five times a second."""
    flood, calm = house.tenant(), house.tenant()
    desk = house.desk("flooded", takes_s=0.1)

    def ask_steadily(seconds: float) -> list[float]:
        asked = []
        for _ in range(int(seconds * 5)):
            asked.append(house.later(calm, "flooded"))
            time.sleep(0.2)
        told = [each.result(30) for each in asked]
        assert [reply.status for reply, _ in told] == [200] * len(told)
        return sorted(took_s for _, took_s in told)

    alone = ask_steadily(0.6)
    is_over = threading.Event()
    statuses: list[int] = []

    def ask_on() -> None:
        while not is_over.is_set():
            statuses.append(flood.call({"model": "busy/flooded", "input": "hi"}).status)
            is_over.wait(0.02)

    flooding = [house.pool.submit(ask_on) for _ in range(40)]
    eventually(lambda: desk.active == 4, "there is no flood")
    try:
        together = ask_steadily(2)
    finally:
        is_over.set()
        for each in flooding:
            each.result(30)
    # A test's own threads are late at times, so there is some room beyond the service time.
    assert together[-1] <= 2 * alone[-1] + 0.1 + 0.4, (alone, together)
    assert statuses.count(200) > 20, "what B leaves is A's"
    assert set(statuses) <= {200, 429}
    assert desk.most == 4


def test_clients_that_leave_while_they_wait_leave_nothing(house: House) -> None:
    tenant = house.tenant(credit=10**10)
    house.desk("left", takes_s=0.1)
    before = house.gateway.sockets
    with ExitStack() as holder, ExitStack() as clients:
        here = [clients.enter_context(house.gateway.connect()) for _ in range(200)]
        leave = occupied(house, house.tenant(), "left", holder)
        for number, client in enumerate(here):
            body = {"model": "busy/left", "input": "hi", "stream": bool(number % 2), "max_output_tokens": 10}
            client.send(post(body, key=tenant.text))
        eventually(lambda: house.store.rows("SELECT count(*) FROM holds") == [(200,)], "not all of them wait")
        assert tenant.balance().held > 0, "credit is held while they wait"
        clients.close()
        assert tenant.settled().charged == 0
        leave()
    eventually(lambda: house.gateway.sockets <= before, "a socket is left")
    assert len(house.busy.desks["left"].came) == 1
    reply, took_s = house.later(tenant, "left").result(30)
    assert reply.status == 200
    assert took_s < 1


@scenes.add
def who_would_wait_too_long_is_told_at_once_and_nobody_waits_in_vain(house: House) -> None:
    tenant = house.tenant()
    house.desk("shed", takes_s=0.4)
    assert house.ask(tenant, "shed").status == 200
    told = [each.result(30) for each in [house.later(tenant, "shed") for _ in range(20)]]
    refused = [(reply, took_s) for reply, took_s in told if reply.status != 200]
    assert 5 <= len(told) - len(refused) <= 9
    for reply, took_s in refused:
        assert reply.status == 429
        assert took_s < 1.5, "it waited and was refused then"
        assert 2 <= int(reply.headers["retry-after"]) <= 4
        assert reply.json["error"]["metadata"]["provider_name"] == "shed"
        assert reply.json["error"]["metadata"]["error_type"] == "rate_limit_exceeded"
    assert house.busy.desks["shed"].most == 1


@scenes.add
def a_stream_holds_its_place_until_its_client_leaves(house: House) -> None:
    tenant = house.tenant()
    desk = house.desk("streamed")
    with ExitStack() as clients:
        leave = occupied(house, tenant, "streamed", clients)
        waiting = house.later(tenant, "streamed")
        time.sleep(0.3)
        assert not waiting.done()
        assert len(desk.came) == 1
        leave()
        assert waiting.result(5)[0].status == 200
    assert desk.most <= 2, "the provider may hear of the one a little after the other"


@scenes.add
def a_stream_that_waits_is_kept_open_by_comments(house: House) -> None:
    tenant = house.tenant()
    house.desk("commented")
    with ExitStack() as clients:
        leave = occupied(house, tenant, "commented", clients)
        client = clients.enter_context(house.gateway.connect())
        client.send(
            post({"model": "busy/commented", "input": "hi", "stream": True}, "connection: close", key=tenant.text)
        )
        client.read_until(b": keep-alive", times=2)
        assert b"response.created" not in client.gathered
        leave()
        client.read_to_end()
        assert b"response.completed" in client.gathered


@scenes.add
def a_stream_that_waits_in_vain_says_so_in_it(house: House) -> None:
    tenant = house.tenant()
    house.desk("told")
    with ExitStack() as clients:
        occupied(house, tenant, "told", clients)
        reply, took_s = house.later(tenant, "told", stream=True).result(10)
    assert 2.5 < took_s < 6
    (*_, failed) = read_events(reply.body)
    assert failed["type"] == "response.failed"
    assert "takes no more requests now" in failed["response"]["error"]["message"]


@scenes.add
def how_long_a_request_waited_is_on_record(house: House) -> None:
    tenant = house.tenant()
    house.desk("held", takes_s=0.5)
    first = house.later(tenant, "held")
    eventually(lambda: house.busy.desks["held"].active == 1, "nobody is there")
    second = house.ask(tenant, "held")
    assert first.result(5)[0].status == second.status == 200
    eventually(lambda: house.store.rows("SELECT 1 FROM generations WHERE id = ?", second.json["id"]) != [], "no record")
    waited_ms = tenant.record(second)["queued_ms"]
    assert 200 < waited_ms < 2_000
    assert tenant.record(second)["total_ms"] >= waited_ms + 400
    explained = tenant.get(f"responses/{second.json['id']}/explanation").json
    assert explained["queued_ms"] == waited_ms
    assert tenant.record(first.result(5)[0])["queued_ms"] < 200


@scenes.add
def another_endpoint_is_asked_before_anybody_waits(house: House) -> None:
    tenant = house.tenant()
    house.desk("full")
    spare = house.desk("spare")
    wish = {"order": ["full"], "allow_fallbacks": False}
    with ExitStack() as clients:
        client = clients.enter_context(house.gateway.connect())
        body = {"model": "busy/full", "input": FOR_EVER, "stream": True, "provider": wish}
        client.send(post(body, key=tenant.text))
        client.read_until(b"output_text.delta")
        asked = {"model": "busy/full", "input": "hi"}
        told = house.gateway.call(asked, key=tenant.text, path="/api/v1/responses/explain").json
        (turn,) = told["turns"]
        assert (turn["endpoint"], turn["waiting"]) == ("full:busy/full", 0)
        reply = house.ask(tenant, "full", provider={"order": ["full"]})
        assert (reply.status, reply.headers["x-trunkline-provider"]) == (200, "spare")
        waiting = house.later(tenant, "full", provider=wish)
        time.sleep(0.2)
        assert not waiting.done()
        client.reset()
        assert waiting.result(5)[0].headers["x-trunkline-provider"] == "full"
    assert len(spare.came) == 1


@scenes.add
def an_account_of_more_weight_has_more_turns(house: House) -> None:
    light, heavy = house.tenant(), house.tenant()
    with house.store.opened() as connection:
        connection.execute("UPDATE accounts SET terms = ? WHERE id = ?", (json.dumps({"weight": 3}), heavy.account_id))
    house.desk("weighed", takes_s=0.1)
    order: list[str] = []

    def note(name: str) -> Callable[[Future[tuple[Reply, float]]], None]:
        return lambda future: order.append(name)

    with ExitStack() as clients:
        leave = occupied(house, house.tenant(), "weighed", clients)
        for _ in range(8):
            house.later(light, "weighed").add_done_callback(note("light"))
            house.later(heavy, "weighed").add_done_callback(note("heavy"))
        time.sleep(0.5)
        leave()
        eventually(lambda: len(order) == 16, "not all were served")
    assert order[:8].count("heavy") == 6


@scenes.add
def a_pace_is_kept(house: House) -> None:
    tenant = house.tenant()
    desk = house.desk("paced", takes_s=0.01)
    told = [each.result(30)[0] for each in [house.later(tenant, "paced") for _ in range(14)]]
    assert [reply.status for reply in told].count(200) in (12, 13, 14)
    came = [at - desk.came[0] for at in desk.came]
    assert max(came[:10]) < 1, "as much as comes back in ten seconds may come at once"
    assert came[10] > 0.5
    assert came[11] > 1.5


def test_a_second_gateway_on_the_store_has_its_part_of_a_limit(house: House, tenant: Tenant, tmp_path: Path) -> None:
    desk = house.desk("shared", takes_s=0.2)
    with running(tmp_path, house.config + f'[store]\nurl = "sqlite:///{house.store.path}"\n') as other:
        second = House(other, Store(other, house.store.path), house.busy, house.pool, house.config)
        asked = [second.later(replace(tenant, store=second.store), "shared") for _ in range(6)]
        assert [each.result(10)[0].status for each in asked] == [200] * 6
    assert desk.most == 2


@scenes.add
def after_a_429_requests_wait_as_long_as_it_says_and_come_slowly_then(house: House) -> None:
    tenant = house.tenant()
    desk = house.desk("refusing", takes_s=0.2, at_once=4, rests_s=1.0)
    told = [each.result(30) for each in [house.later(tenant, "refusing") for _ in range(8)]]
    assert [reply.status for reply, _ in told] == [200] * 8
    first_refused = sorted(desk.came)[4]
    later = [at - first_refused for at in desk.came if at - first_refused > 0.5]
    assert later
    assert min(later) >= 0.9, "somebody came while the provider rested"
    assert sum(each - later[0] < 0.15 for each in later) == 1, "more than one tried first"


@scenes.add
def a_request_that_is_refused_is_asked_again_while_it_may(house: House) -> None:
    tenant = house.tenant()
    desk = house.desk("refusing-all", at_once=0, rests_s=1.0)
    reply, took_s = house.later(tenant, "refusing-all").result(10)
    assert reply.status == 429
    assert 1.9 < took_s < 4
    assert len(reply.json["error"]["metadata"]["attempts"]) == len(desk.came) == 3


@pytest.mark.parametrize("name", scenes.names)
def test_where_turns_are_waited_for(played: Callable[[str], None], name: str) -> None:
    played(name)
