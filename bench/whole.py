"""The whole life of a request without a socket: what the stages of `bench.micro` leave out of it is generators,
planning, attempts, health and the account of its end.

Its transport has the whole answer at once, so nothing is waited for and no event loop is needed.
"""

import itertools
import time
from collections.abc import Collection, Coroutine, Iterator, Sequence
from types import MappingProxyType
from typing import TypeVar, cast

from trunkline.accounts.keys import Key
from trunkline.accounts.ledger import Ledger
from trunkline.call import NOTHING_RESERVED, Call, Services
from trunkline.catalog.entries import Endpoint
from trunkline.generation import Generation
from trunkline.pipeline import admit, respond, respond_whole, told
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Health
from trunkline.routing.plan import Planner
from trunkline.routing.policy import Policy
from trunkline.stopping import Stopping
from trunkline.telemetry.recent import Recent
from trunkline.upstream.aside import Aside
from trunkline.upstream.asking import Upstream
from trunkline.upstream.lane import Lane
from trunkline.upstream.lines import Lines
from trunkline.upstream.links.client import LinkClient
from trunkline.upstream.links.fetch import Fetcher, Limits
from trunkline.upstream.names import Names
from trunkline.upstream.tokens import Tokens
from trunkline.upstream.transport import Take
from trunkline.wire import UpstreamRequest

T = TypeVar("T")

_KEY = Key("key_bench", "bench", "bench", Policy(account="bench"))
_DEADLINE_S = 600.0
_REMEMBERED = 100


class Gateway:
    """A gateway with one endpoint, whose provider always answers with the same reads."""

    def __init__(self, endpoint: Endpoint, content_type: str, reads: Sequence[bytes]) -> None:
        health, affinity, aside = Health(), Affinity(), Aside()
        self._recent = Recent(_REMEMBERED)
        upstream = Upstream(
            transports={"http": _Transport(content_type, [read for read in reads if read])},
            tokens=Tokens({}, {}, clock=time.monotonic, report=lambda provider, problem: None),
            fetcher=Fetcher(LinkClient(), Limits(), Names().link),
            health=health,
            affinity=affinity,
            aside=aside,
            end_user_secret=b"bench",
            clock=time.monotonic,
            wall_clock=time.time,
            lines=Lines(10.0, 1_000, time.monotonic),
        )
        self._services = Services(
            keys=None,  # type: ignore[arg-type]  # nobody is asked who calls
            rates=None,  # type: ignore[arg-type]  # … nor how often
            records=None,  # type: ignore[arg-type]  # … nor what is on record
            claims=None,  # type: ignore[arg-type]  # … nor for what was asked before
            health=health,
            # Only the planner looks into the catalog.
            planner=Planner(_Catalog(endpoint), health, lambda: 0.5, time.monotonic, affinity),  # type: ignore[arg-type]
            upstream=upstream,
            recent=self._recent,
            note=self._note,
            ledger=cast("Ledger", _Ledger()),
            aside=aside,
            ids=itertools.repeat("bench"),
            wall_clock=time.time,
            loop_clock=time.monotonic,
            stopping=Stopping(1.0, time.monotonic),
        )
        self._numbers = itertools.count()

    def answer(self, body: bytes) -> bytes:
        """Answer a request from its body to the last byte."""
        return _finished(self._answer(body))

    async def _answer(self, body: bytes) -> bytes:
        id = f"resp_{next(self._numbers)}"
        call = Call(id, _KEY, None, lambda: body, len(body), time.time(), time.monotonic() + _DEADLINE_S)
        admitted = await admit(call, self._services)
        if not admitted.request.stream:
            _, body = await respond_whole(admitted, NOTHING_RESERVED, self._services)
            return body
        answer = await respond(admitted, NOTHING_RESERVED, self._services)
        pieces: list[bytes] = []

        def push(piece: bytes) -> bool:
            pieces.append(piece)
            return True

        async for piece in told(answer, self._services, push):
            pieces.append(piece)
        return b"".join(pieces)

    def _note(self, generation: Generation) -> None:
        self._recent.keep(generation)


class _Ledger:
    async def settle(self, generation: Generation, outcome: object = None) -> None:
        """Nothing is kept."""


class _Catalog:
    default_model = None

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoints = (endpoint,)

    def endpoints_of(self, model: str, own_keys: Collection[str] = ()) -> tuple[Endpoint, ...]:
        return self._endpoints

    def provider_slug(self, name: str) -> str:
        return name


class _Transport:
    def __init__(self, content_type: str, reads: Sequence[bytes]) -> None:
        self._content_type = content_type
        self._reads = reads

    async def send(self, request: UpstreamRequest, deadline: float, *, thinks: bool = False) -> "_Reply":
        return _Reply(self._content_type, iter(self._reads))


class _Reply:
    status = 200
    headers = MappingProxyType[str, str]({})
    tells_limits = False

    def __init__(self, content_type: str, reads: Iterator[bytes]) -> None:
        self.content_type = content_type
        self._reads = reads

    def rest(self) -> bytes:
        return b"".join(self._reads)

    async def read(self) -> bytes:
        return next(self._reads, b"")

    async def pump(self, take: Take, lane: Lane | None = None) -> None:
        for read in self._reads:
            if not take(read):
                return

    def note_output(self) -> None:
        """Nobody measures silence here."""

    async def body(self, max_bytes: int) -> bytes:
        return b"".join(self._reads)[:max_bytes]

    async def finish(self, wait_s: float) -> None:
        """Nothing is left open here."""

    def close(self) -> None:
        """Nothing is left open here."""


def _finished(work: Coroutine[object, None, T]) -> T:
    """Run what never waits to its end."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    raise AssertionError("something was waited for")
