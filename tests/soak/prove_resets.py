"""Two thousand calls whose client or provider is cut at a random byte leave nothing behind."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, get_args

import pytest

from tests.gateway.checks import ask
from tests.gateway.server import Gateway, post, replies
from tests.gateway.upstream import Break, Script, Upstream
from tests.gateway.waiting import eventually
from tests.soak.provider import DIALECTS, Framing, answers_right, everywhere, good, outcome_of, pieces, serving

CALLS = 2000
AT_ONCE = 16
PLACES = 48
"""How many clients may be connected: so few that places which are not given back are missed soon."""

MEMORY_KIB = 6 * 1024
"""How much may be kept of the second half of the calls: what is remembered of the last requests."""

SERVER = f"""
max_connections = {PLACES}
max_body = "100 KB"
body_memory = "100 KB"
"""


@dataclass(frozen=True)
class Trial:
    """One call. `at` is the share of the answer, or of the request when it `is_early`, after which it is cut."""

    number: int
    dialect: str
    streams: bool
    framing: Framing
    cut: Literal["nobody", "client", "upstream"]
    at: float
    is_early: bool
    ending: Break
    pauses: tuple[int, ...]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("gateway"), everywhere(upstream), SERVER) as server:
        yield server


@pytest.mark.timeout(600)
def test_calls_that_are_cut_anywhere_leave_nothing(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    answers_right(gateway, upstream, nonce)
    upstream.hang_up()
    eventually(lambda: upstream.open_connections == 0, "a connection to the provider is kept")
    before = gateway.sockets
    trials = list(made(random.Random(10)))
    counted: Counter[tuple[str, str]] = Counter()
    kept = []
    for half in (trials[: CALLS // 2], trials[CALLS // 2 :]):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for trial, outcome in zip(half, pool.map(lambda trial: run(trial, gateway, upstream), half), strict=True):
                counted[trial.cut, outcome] += 1
        eventually(lambda: upstream.calls_under_way == 0, "a call to the provider goes on")
        upstream.hang_up()
        eventually(lambda: upstream.open_connections == 0, "a connection to the provider is left over")
        eventually(lambda: gateway.sockets <= before, "a socket is left over")
        kept.append(gateway.memory_kib)
    print(f"\n{CALLS} calls, {AT_ONCE} at once: {report(counted)}")
    print(f"sockets before and after: {before}, {gateway.sockets}; memory after each half, KiB: {kept}")
    assert {outcome for (cut, outcome) in counted if cut == "nobody"} == {"completed"}
    assert counted["upstream", "failed"]
    assert counted["upstream", "error"]
    assert kept[1] - kept[0] <= MEMORY_KIB
    all_places_are_free(gateway, upstream, nonce)
    answers_right(gateway, upstream, nonce)


def made(dice: random.Random) -> Iterator[Trial]:
    """The calls, the same in every run: of nine, four are cut at the client, four at the provider."""
    framings: tuple[Framing, ...] = get_args(Framing)
    endings: tuple[Break, ...] = ("reset", "reset", "end")
    for number in range(CALLS):
        yield Trial(
            number=number,
            dialect=dice.choice(DIALECTS),
            streams=dice.random() < 0.6,
            framing=dice.choice(framings),
            cut=dice.choices(("client", "upstream", "nobody"), (4, 4, 1))[0],
            at=dice.random(),
            is_early=dice.random() < 0.15,
            ending=dice.choice(endings),
            pauses=tuple(dice.sample(range(70), 6)),
        )


def run(trial: Trial, gateway: Gateway, upstream: Upstream) -> str:
    """Make one call and judge what came of it."""
    name = upstream.play(f"nonce-trial-{trial.number}", script(trial))
    request = post(ask(f"soak/{trial.dialect}", name, stream=trial.streams), "connection: close")
    if trial.cut == "client":
        leave(trial, gateway, request)
        return "left"
    with gateway.connect() as client:
        client.send(request)
        [reply] = replies(client.read_to_end())
    return outcome_of(reply)


def script(trial: Trial) -> Script:
    """The provider's answer in packets at random, cut or whole."""
    said = pieces(trial.dialect, trial.framing, streams=trial.streams)
    length = sum(map(len, said))
    end = int(length * trial.at) if trial.cut == "upstream" else length
    steps: list[bytes | float] = []
    for number, piece in enumerate(said):
        steps.append(piece[:end])
        end -= min(end, len(piece))
        if number in trial.pauses:
            steps.append(0.002)
    whole: Break = "end" if trial.framing == "close" else "keep"
    return Script([step for step in steps if step != b""], trial.ending if trial.cut == "upstream" else whole)


def leave(trial: Trial, gateway: Gateway, request: bytes) -> None:
    """Cut a call at the client: in the request, or after so much of the answer."""
    with gateway.connect() as client:
        if trial.is_early:
            client.send(request[: int(len(request) * trial.at)])
        else:
            client.send(request)
            length = 24_000 if trial.streams else 3_000
            while len(client.gathered) < length * trial.at and client.read(512):
                pass
        client.reset()


def all_places_are_free(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    """As many clients as may be connected are answered at the same moment."""
    upstream.play(f"{nonce}-full", Script([0.5, *good("chat", streams=False).steps], "keep"))
    begun = threading.Barrier(PLACES)

    def call(_: int) -> str:
        begun.wait(10)
        return outcome_of(gateway.call(ask("soak/chat", f"{nonce}-full")))

    with ThreadPoolExecutor(PLACES) as pool:
        assert set(pool.map(call, range(PLACES))) == {"completed"}


def report(counted: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{count} {outcome} (cut: {cut})" for (cut, outcome), count in sorted(counted.items()))
