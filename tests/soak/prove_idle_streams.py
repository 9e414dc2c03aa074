"""Three thousand streams that are silent are held open at little memory each, and others are answered meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.gateway.checks import ask
from tests.gateway.server import Client, Gateway, post, replies
from tests.gateway.upstream import Script, Upstream
from tests.gateway.waiting import eventually
from tests.soak.provider import DIALECTS, answers_right, everywhere, opening, outcome_of, serving

STREAMS = 3000
AT_ONCE = 16
KIB_EACH = 64


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("gateway"), everywhere(upstream), 'keep_alive = "1 min"') as server:
        yield server


@pytest.mark.timeout(300)
def test_silent_streams_are_cheap_and_end_as_they_should(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    for dialect in DIALECTS:
        upstream.play(f"{nonce}-{dialect}", Script([opening(dialect)], "stall"))
    answers_right(gateway, upstream, nonce)
    sockets, before = gateway.sockets - upstream.open_connections, gateway.memory_kib

    def open_one(number: int) -> Client:
        dialect = DIALECTS[number % len(DIALECTS)]
        client = gateway.connect()
        client.send(post(ask(f"soak/{dialect}", f"{nonce}-{dialect}", stream=True), "connection: close"))
        client.read_until(b"event: response.output_text.delta\n")
        return client

    with ThreadPoolExecutor(AT_ONCE) as pool:
        clients = list(pool.map(open_one, range(STREAMS)))
        assert upstream.calls_under_way == STREAMS
        each = (gateway.memory_kib - before) / STREAMS
        print(f"\n{STREAMS} idle streams: {each:.1f} KiB each")
        answers_right(gateway, upstream, nonce)
        assert each <= KIB_EACH
        for client in clients[::2]:
            client.reset()
        eventually(lambda: upstream.calls_under_way == STREAMS // 2, "a call goes on without its client", 30)
        upstream.hang_up()
        endings = pool.map(lambda client: outcome_of(replies(client.read_to_end())[0]), clients[1::2])
        assert set(endings) == {"failed"}
    for client in clients:
        client.socket.close()
    eventually(lambda: gateway.sockets - upstream.open_connections <= sockets, "a socket is left over")
    print(f"memory in KiB: {before} before, {gateway.memory_kib} after")
    answers_right(gateway, upstream, nonce)
