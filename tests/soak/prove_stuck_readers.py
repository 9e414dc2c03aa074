"""A hundred clients that stop reading a fast, long stream hold little memory each, hold up nobody, and are cut."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from tests.gateway.checks import ask
from tests.gateway.server import Client, Gateway, post
from tests.gateway.upstream import Script, Upstream
from tests.gateway.waiting import eventually
from tests.soak.provider import DIALECTS, answers_right, everywhere, flood, opening, serving

CLIENTS = 100
KIB_EACH = 1024
KEPT_KIB = 8 * 1024
"""How much more memory may be kept after a second crowd than after the first."""

PATIENCE_S = 12


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    # The kernel would hold megabytes for each, which shows nothing of the gateway.
    with Upstream(send_buffer=65536) as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with serving(folder, everywhere(upstream), f'write_timeout = "{PATIENCE_S} s"') as server:
        yield server


@pytest.mark.timeout(300)
def test_clients_that_stop_reading_are_bounded_and_cut(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    answers_right(gateway, upstream, nonce)
    sockets, before, kept = gateway.sockets - upstream.open_connections, gateway.memory_kib, []
    for crowd in ("first", "second"):
        with ExitStack() as stack:
            clients = stuck(gateway, upstream, f"{nonce}-{crowd}", stack)
            each = (gateway.memory_kib - before) / CLIENTS
            answers_right(gateway, upstream, nonce)
            assert upstream.calls_under_way == CLIENTS
            for client in clients[::2]:
                client.reset()
            # The others stay as they are, until the gateway loses patience.
            eventually(lambda: upstream.calls_under_way == 0, "frozen clients are not cut off", 3 * PATIENCE_S)
        eventually(lambda: gateway.sockets - upstream.open_connections <= sockets, "a socket is left over")
        kept.append(gateway.memory_kib)
        print(f"\n{CLIENTS} stuck readers, {crowd} time: {each:.0f} KiB each; KiB before {before}, after {kept[-1]}")
        assert each <= KIB_EACH
    assert kept[1] - kept[0] <= KEPT_KIB


def stuck(gateway: Gateway, upstream: Upstream, nonce: str, stack: ExitStack) -> Sequence[Client]:
    """Clients that read the beginning of a stream of 13 MB and no more, when nothing of it moves any longer."""
    clients = []
    for number in range(CLIENTS):
        dialect = DIALECTS[number % len(DIALECTS)]
        name = upstream.play(f"{nonce}-{dialect}", Script([opening(dialect), *[flood(dialect)] * 200], "stall"))
        client = stack.enter_context(gateway.connect(receive_buffer=4096))
        client.send(post(ask(f"soak/{dialect}", name, stream=True)))
        clients.append(client)
    for client in clients:
        client.read_until(b"event: response.output_text.delta\n")
    was, now = -1, 0
    while now != was:
        time.sleep(0.5)
        was, now = now, sum(seen.bytes_sent for seen in upstream.seen(nonce))
    return clients
