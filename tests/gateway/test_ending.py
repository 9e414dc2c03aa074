"""The end of the process: who gets what when the gateway is told to stop, and how soon it is gone."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.checks import ask, error_of, events_of, text_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.fronts import FRONTS, Front
from tests.gateway.server import PROVIDER_KEY, Client, Gateway, post, replies, running
from tests.gateway.tenants import Balance, Store
from tests.gateway.upstream import Script, Upstream, chunk, head, sse
from tests.gateway.waiting import eventually
from trunkline.money import usd_text

DRAIN_S = 2.0
CONFIG = """
server.drain = "2 s"
server.grace = "200 ms"
server.keep_alive = "200 ms"
"""
SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name
)


@pytest.fixture
def drain() -> str:
    """How long it waits for what is under way."""
    return "2 s"


@pytest.fixture
def stoppable(upstream: Upstream, tmp_path: Path, drain: str) -> Iterator[Gateway]:
    """A gateway of its own for one test, which stops it."""
    config = (
        CONFIG.replace("2 s", drain)
        + PROVIDER.format(name="mock-chat", dialect="chat", url=f"{upstream.url}/chat/v1")
        + ENDPOINT.format(provider="mock-chat", model="mock/chat")
    )
    with running(tmp_path, config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as gateway:
        yield gateway


def speaks_then_waits(upstream: Upstream, nonce: str) -> None:
    """Let the provider say one word and then nothing, with the connection open."""
    upstream.play(nonce, Script([head(200, "text/event-stream"), sse([chunk("a")])], "stall"))


def says_nothing(upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, Script([], "stall"))


def stop(gateway: Gateway, number: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal and wait until it has arrived."""
    gateway.process.send_signal(number)
    eventually(lambda: "gateway.stopping" in gateway.log.read_text(), "it does not stop")


def times_woken(gateway: Gateway) -> int:
    """How often the thread of the event loop has gone to sleep so far."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.split("voluntary_ctxt_switches:")[1].split()[0])


def test_a_gateway_with_nothing_to_do_sleeps_until_it_is_told_to_stop(stoppable: Gateway) -> None:
    """uvicorn looks ten times a second whether it is to stop."""
    woken = times_woken(stoppable)
    time.sleep(1.5)
    assert times_woken(stoppable) - woken < 10
    stop(stoppable)
    assert stoppable.process.wait(10) == 0


def check_log(gateway: Gateway) -> None:
    """Nothing but the greeting and lines of the log has been written."""
    lines = gateway.log.read_text().splitlines()
    assert all(json.loads(line)["event"] for line in lines if not line.startswith(("Trunkline", "Providers")))


def check_failed(client: Client) -> list[dict[str, Any]]:
    (reply,) = replies(client.read_to_end())
    events = events_of(reply, "failed")
    error = events[-1]["response"]["error"]
    assert error["code"] == "server_error"
    assert "stopping" in error["message"]
    return events


def check_unavailable(client: Client) -> None:
    *_, reply = replies(client.read_to_end())
    assert "stopping" in error_of(reply, 503)["message"]
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.headers["connection"] == "close"


def test_PR_02_what_outlasts_the_drain_is_told_so(stoppable: Gateway, upstream: Upstream, nonce: str) -> None:
    speaks_then_waits(upstream, nonce)
    says_nothing(upstream, f"{nonce}-whole")
    with ExitStack() as stack:
        streams = [stack.enter_context(stoppable.connect()) for _ in range(20)]
        wholes = [stack.enter_context(stoppable.connect()) for _ in range(5)]
        for client in streams:
            client.send(post(ask("mock/chat", nonce, stream=True)))
        for client in wholes:
            client.send(post(ask("mock/chat", f"{nonce}-whole")))
        for client in streams:
            client.read_until(b'"delta":"a"')
        eventually(lambda: len(upstream.seen(f"{nonce}-whole")) == 5, "the calls do not arrive")
        began = time.monotonic()
        stop(stoppable)
        for client in streams:
            assert text_of(check_failed(client)) == "a"
        assert time.monotonic() - began > 1
        for client in wholes:
            check_unavailable(client)
        assert stoppable.process.wait(5) == 0
        assert time.monotonic() - began < DRAIN_S + 0.5
    assert all(seen.is_closed_by_client.wait(1) for seen in upstream.seen(nonce))
    check_log(stoppable)


def test_PR_02_each_door_is_told_of_the_end_in_its_own_words(
    stoppable: Gateway, upstream: Upstream, nonce: str
) -> None:
    speaks_then_waits(upstream, nonce)
    says_nothing(upstream, f"{nonce}-silent")
    with ExitStack() as stack:

        def ask_at(front: Front, text: str, mark: bytes = b"", **more: Any) -> Client:
            client = stack.enter_context(stoppable.connect())
            client.send(post(front.body("mock/chat", text, **more), path=front.path))
            client.read_until(mark)
            return client

        streams = [ask_at(front, nonce, front.delta, stream=True) for front in FRONTS]
        silent = [ask_at(front, f"{nonce}-silent", front.keep_alive, stream=True) for front in FRONTS]
        wholes = [ask_at(front, f"{nonce}-silent") for front in FRONTS]
        eventually(lambda: len(upstream.seen(f"{nonce}-silent")) == 2 * len(FRONTS), "the calls do not arrive")
        stop(stoppable)
        for text, clients in (("a", streams), ("", silent)):
            for front, client in zip(FRONTS, clients, strict=True):
                (reply,) = replies(client.read_to_end())
                heard = front.heard(reply)
                assert (heard.text, heard.ending) == (text, "failed")
                assert "stopping" in heard.error
        for front, client in zip(FRONTS, wholes, strict=True):
            (reply,) = replies(client.read_to_end())
            assert "stopping" in front.refused(reply, 503)
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.headers["connection"] == "close"
        assert stoppable.process.wait(5) == 0
    check_log(stoppable)


def test_PR_02_every_stage_of_a_request_ends_properly(stoppable: Gateway, upstream: Upstream, nonce: str) -> None:
    speaks_then_waits(upstream, nonce)
    says_nothing(upstream, f"{nonce}-silent")
    stream, silent = post(ask("mock/chat", nonce, stream=True)), post(ask("mock/chat", f"{nonce}-silent", stream=True))
    with ExitStack() as stack:
        commented, pipelined, old, reading = (stack.enter_context(stoppable.connect()) for _ in range(4))
        commented.send(silent)
        pipelined.send(stream + post(ask("mock/chat", "never asked")))
        old.send(stream.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        reading.send(post(ask("mock/chat", nonce))[:-5])
        commented.read_until(b": keep-alive", 2)
        pipelined.read_until(b'"delta":"a"')
        old.read_until(b'"delta":"a"')
        stop(stoppable)
        check_failed(commented)
        answered, refused = replies(pipelined.read_to_end())
        events_of(answered, "failed")
        error_of(refused, 503)
        assert refused.headers["connection"] == "close"
        assert old.read_to_end().count(b"event: response.failed") == 1
        assert old.gathered.rstrip(b"0\r\n").endswith(b"data: [DONE]")
        check_unavailable(reading)
        assert stoppable.process.wait(5) == 0
    assert not upstream.seen("never asked")
    check_log(stoppable)


# Told of the end a whole second before it, a busy machine has the time to read the rest.
@pytest.mark.parametrize("drain", ["4 s"])
def test_PR_02_a_client_that_reads_slowly_gets_all_events_and_the_end(
    stoppable: Gateway, upstream: Upstream, nonce: str
) -> None:
    speaks_then_waits(upstream, nonce)
    pieces = sse([chunk("x" * 50_000)] * 20)
    upstream.play(f"{nonce}-long", Script([head(200, "text/event-stream"), pieces], "stall"))
    with stoppable.connect(receive_buffer=65536) as slow, stoppable.connect() as quick:
        slow.send(post(ask("mock/chat", f"{nonce}-long", stream=True)))
        slow.read_until(b"response.output_text.delta")
        quick.send(post(ask("mock/chat", nonce, stream=True)))
        quick.read_until(b'"delta":"a"')
        stop(stoppable)
        check_failed(quick)  # now the end has come, and the other stream could not be told
        text = text_of(check_failed(slow))
    assert set(text) == {"x"}


def test_PR_01_during_the_drain_it_is_not_ready_and_takes_no_call(
    stoppable: Gateway, upstream: Upstream, nonce: str
) -> None:
    speaks_then_waits(upstream, nonce)
    live = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    with ExitStack() as stack:
        busy, probe, late, caller = (stack.enter_context(stoppable.connect()) for _ in range(4))
        busy.send(post(ask("mock/chat", nonce, stream=True)))
        busy.read_until(b'"delta":"a"')
        for client in (probe, late, caller):
            client.send(live)
            client.read_until(b"}")
        began = time.monotonic()
        stoppable.process.send_signal(signal.SIGTERM)
        # Who sent it could not know that the gateway leaves.
        late.send(post(ask("mock/chat", "just asked"), "connection: close"))
        time.sleep(0.05)  # the hundred milliseconds that the signal may take
        probe.send(live.replace(b"live", b"ready"))
        check_unavailable(probe)
        assert replies(late.read_to_end())[-1].status == 200
        eventually(lambda: "gateway.stopping" in stoppable.log.read_text(), "it does not stop")
        caller.send(post(ask("mock/chat", "never asked")))
        check_unavailable(caller)
        assert time.monotonic() - began < 1.5
        check_failed(busy)
    assert not upstream.seen("never asked")


def test_PR_01_who_connected_before_the_end_may_ask_once(stoppable: Gateway, nonce: str) -> None:
    """A balancer that has connected sends its request soon, on a busy machine not at once; and nowhere else."""
    with stoppable.connect() as late, stoppable.connect() as never:
        never.send(b"GET")
        stoppable.process.send_signal(signal.SIGTERM)
        time.sleep(0.25)
        late.send(post(ask("mock/chat", nonce), "connection: close"))
        assert replies(late.read_to_end())[-1].status == 200
    assert stoppable.process.wait(5) == 0


def test_PR_02_what_it_ends_is_settled_first(
    stoppable: Gateway, upstream: Upstream, nonce: str, tmp_path: Path
) -> None:
    """A stream is charged for what its client was told; a whole answer, of which a part had come, is not."""
    speaks_then_waits(upstream, nonce)
    store = Store(stoppable, tmp_path / "trunkline.db")
    streamed, whole, unlimited = store.tenant(10**9), store.tenant(10**9), store.tenant()
    with ExitStack() as stack:
        clients = [stack.enter_context(stoppable.connect()) for _ in range(3)]
        for client, tenant, streams in zip(clients, (streamed, whole, unlimited), (True, False, False), strict=True):
            client.send(post(ask("mock/chat", nonce, max_output_tokens=9, stream=streams), key=tenant.text))
        clients[0].read_until(b'"delta":"a"')
        eventually(lambda: len(upstream.seen(nonce)) == 3, "the calls do not arrive")
        stop(stoppable)
        usage = check_failed(clients[0])[-1]["response"]["usage"]
        for client in clients[1:]:
            check_unavailable(client)
        assert stoppable.process.wait(5) == 0
    store.check()
    charged = 1_000 * usage["input_tokens"] + 2_000
    assert usage["cost"] == float(usd_text(charged))
    assert streamed.balance() == Balance(10**9, charged, 0)
    assert whole.balance() == Balance(10**9, 0, 0)
    columns = "SELECT status, cost_nano, charged_nano, house_nano FROM generations WHERE account_id = ?"
    assert store.rows(columns, streamed.account_id) == [("failed", charged, charged, 0)]
    assert store.rows(columns, whole.account_id) == [("failed", charged, 0, charged)]
    assert store.rows(columns, unlimited.account_id) == [("failed", 0, 0, charged)]
    assert store.rows("SELECT sum(cost_nano) FROM usage_daily") == [(charged,)]


@SIGNALS
def test_PR_03_a_second_signal_ends_it_at_once(
    number: signal.Signals, stoppable: Gateway, upstream: Upstream, nonce: str
) -> None:
    speaks_then_waits(upstream, nonce)
    with stoppable.connect() as client:
        client.send(post(ask("mock/chat", nonce, stream=True)))
        client.read_until(b'"delta":"a"')
        stop(stoppable, number)
        began = time.monotonic()
        stoppable.process.send_signal(number)
        assert stoppable.process.wait(5) == 1
        assert time.monotonic() - began < 1
        client.read_to_end()
    check_log(stoppable)


def test_F5_it_says_what_it_waits_for(stoppable: Gateway, upstream: Upstream, nonce: str) -> None:
    speaks_then_waits(upstream, nonce)
    with stoppable.connect() as client:
        client.send(post(ask("mock/chat", nonce, stream=True)))
        client.read_until(b'"delta":"a"')
        stop(stoppable, signal.SIGHUP)
        check_failed(client)
    (told,) = (line for line in stoppable.log.read_text().splitlines() if "gateway.stopping" in line)
    assert json.loads(told).items() >= {"signal": "SIGHUP", "requests": 1, "waits_s": DRAIN_S}.items()
    assert json.loads(told)["settings"] == "are read at the start; start anew to change one"
