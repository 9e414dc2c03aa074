"""Pull and push are drivers of the same rules: every recorded stream, cut anywhere, gives the same bytes by both."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from bench import recordings, wires
from bench.recordings import TOKENS
from tests.record import MEDIA_TYPES, Cassette, cassettes
from tests.unkept import unkept
from trunkline.accounts.keys import Key
from trunkline.call import NOTHING_RESERVED, Admitted, Call, Services
from trunkline.catalog.entries import Catalog
from trunkline.catalog.quirks import Quirks
from trunkline.errors import GatewayError
from trunkline.faces.responses.parse import parse
from trunkline.generation import Generation
from trunkline.pipeline import respond, told
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Health
from trunkline.routing.plan import Plan, Planner
from trunkline.routing.policy import Policy
from trunkline.stopping import Stopping
from trunkline.telemetry.recent import Recent
from trunkline.upstream.aside import Aside
from trunkline.upstream.asking import Upstream
from trunkline.upstream.lane import Lane
from trunkline.upstream.links.client import LinkClient
from trunkline.upstream.links.fetch import Fetcher, Limits
from trunkline.upstream.names import Names
from trunkline.upstream.tokens import Tokens
from trunkline.upstream.transport import Take, UpstreamFailure
from trunkline.wire import Fault, Headers, UpstreamRequest

STREAMS = [
    (cassette, suffix)
    for cassette in cassettes()
    if cassette.status < 300
    for suffix in cassette.answers
    if suffix != ".json"
]
RECORDINGS = {
    "chat": recordings.chat(with_usage=True),
    "responses": recordings.responses(),
    "messages": wires.messages().recording,
    "gemini": wires.gemini().recording,
}
WORDS = (" the", " line", "x", " é", " 線", "12", ", and", " 🚀")
STRANGE = ('"', "\\", "line\n", "\x07", "\u2028", "delta", "text", "{}", "x" * 40)
BROKEN = Fault("nonsense", "the answer was cut off")
NOW = 1_700_000_000.0

every_stream = pytest.mark.parametrize(
    ("cassette", "suffix"), STREAMS, ids=[cassette.name + suffix for cassette, suffix in STREAMS]
)


class Pulled:
    """An answer that comes in these pieces, and breaks after them if `breaks`."""

    status = 200
    headers: Headers = MappingProxyType({})
    tells_limits = False
    pump = None

    def __init__(self, content_type: str, pieces: Sequence[bytes], *, breaks: bool) -> None:
        self.content_type = content_type
        self.pieces = list(pieces)
        self.breaks = breaks
        self.outputs = 0

    def rest(self) -> None: ...

    async def read(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.breaks:
            raise UpstreamFailure(BROKEN)
        return b""

    def note_output(self) -> None:
        self.outputs += 1

    async def body(self, max_bytes: int) -> bytes:
        return b"".join(self.pieces)[:max_bytes]

    async def finish(self, wait_s: float) -> None: ...

    def close(self) -> None: ...


class Pumped(Pulled):
    """The same, which can be pushed."""

    async def pump(self, take: Take, lane: Lane | None = None) -> None:  # type: ignore[override]
        while self.pieces:
            if not take(self.pieces.pop(0)):
                return


class Laned(Pulled):
    """The same, each piece an HTTP chunk and a read of its own; `went` counts those that go by the lane."""

    went = 0

    async def pump(self, take: Take, lane: Lane | None = None) -> None:  # type: ignore[override]
        assert lane is not None
        is_open = False
        while self.pieces:
            piece = self.pieces.pop(0)
            read = b"%x\r\n%b\r\n" % (len(piece), piece)
            text = lane.text_in(read) if is_open else None
            if text is not None:
                self.note_output()
                self.went += 1
                lane.texts.append(text)
                goes_on = lane.tell(text, lane.inner)
                lane.is_full = not goes_on
            else:
                goes_on = take(piece)
                is_open = goes_on and lane.learn(read, piece)
            if not goes_on:
                return


@dataclass
class Played:
    """What one client got, and what was noted."""

    body: bytes = b""
    error: str = ""
    pushed: int = 0
    outputs: int = 0
    generations: list[Generation] = field(default_factory=list)


class Transport:
    def __init__(self, reply: Pulled) -> None:
        self.reply = reply

    async def send(self, request: UpstreamRequest, deadline: float, *, thinks: bool = False) -> Pulled:
        return self.reply


def services(reply: Pulled, note: list[Generation]) -> Services:
    health, affinity, aside = Health(), Affinity(), Aside()
    upstream = Upstream(
        transports=dict.fromkeys(("http", "https", "fake"), Transport(reply)),
        tokens=Tokens({}, {}, clock=lambda: 0.0),
        fetcher=Fetcher(LinkClient(), Limits(), Names().link),
        health=health,
        affinity=affinity,
        aside=aside,
        end_user_secret=b"s",
        clock=lambda: 0.0,
        wall_clock=lambda: NOW,
    )
    catalog = Catalog(standings={}, models={}, endpoints={}, offers={}, provider_slugs={}, pairs={})
    return Services(
        keys=None,  # type: ignore[arg-type]  # nobody is asked who calls
        rates=None,  # type: ignore[arg-type]  # … nor how often
        records=None,  # type: ignore[arg-type]  # … nor what is on record
        claims=None,  # type: ignore[arg-type]  # … nor for what was asked before
        health=health,
        planner=Planner(catalog, health, lambda: 0.5, lambda: 0.0, affinity),
        upstream=upstream,
        recent=Recent(1),
        note=note.append,
        ledger=unkept(),
        aside=aside,
        ids=(f"{number:04d}" for number in count()),
        wall_clock=lambda: NOW,
        loop_clock=lambda: 0.0,
        stopping=Stopping(1.0, lambda: 0.0),
    )


def play(cassette: Cassette, reply: Pulled, room: Iterator[bool] | None = None) -> Played:
    """Answer one request; `room` says after each pushed piece whether the client has room for another."""
    played = Played()
    made = services(reply, played.generations)
    key = Key("key_t", "t", "t", Policy(account="t"))
    call = Call("resp_t", key, None, lambda: b"", 100, NOW, 600.0)
    request = replace(cassette.request, stream=True)
    plan = Plan(attempts=(cassette.endpoint,), is_byok=(False,), max_attempts=1)

    def push(piece: bytes) -> bool:
        played.body += piece
        played.pushed += 1
        assert room is not None
        return next(room)

    async def answer() -> None:
        try:
            begun = await respond(Admitted(call, request, plan, False), NOTHING_RESERVED, made)
        except GatewayError as error:
            played.error = error.message
            return
        async for piece in told(begun, made, None if room is None else push):
            played.body += piece

    asyncio.run(answer())
    played.outputs = reply.outputs
    return played


def cuts(answer: bytes, dice: random.Random) -> Iterator[list[bytes]]:
    """The answer in its messages, and anywhere."""
    yield [piece + b"\n\n" for piece in answer.split(b"\n\n") if piece]
    pieces, place = [], 0
    while place < len(answer):
        size = dice.randint(1, 100)
        pieces.append(answer[place : place + size])
        place += size
    yield pieces


@every_stream
@pytest.mark.law
@pytest.mark.parametrize("breaks", [False, True])
def test_push_and_pull_give_the_same(cassette: Cassette, suffix: str, breaks: bool) -> None:
    dice = random.Random(cassette.name)
    answer = cassette.answers[suffix]
    if breaks:
        answer = answer[: len(answer) * 2 // 3]
    for pieces in cuts(answer, dice):
        pulled = play(cassette, Pulled(MEDIA_TYPES[suffix], pieces, breaks=breaks))
        for way in (Pumped, Laned):
            room = iter(lambda: dice.random() > 0.2, None)
            pushed = play(cassette, way(MEDIA_TYPES[suffix], pieces, breaks=breaks), room)
            assert (pushed.body, pushed.error) == (pulled.body, pulled.error)
            assert [as_noted(each) for each in pushed.generations] == [as_noted(each) for each in pulled.generations]
            assert pushed.outputs == pulled.outputs


@pytest.mark.law
@pytest.mark.parametrize("dialect", RECORDINGS)
def test_long_streams_go_by_the_lane_and_give_the_same(dialect: str) -> None:
    """Texts of every kind, cut off at every end of an event and some places between."""
    recording, dice = RECORDINGS[dialect], random.Random(dialect)
    endpoint = next(each.endpoint for each, suffix in STREAMS if each.endpoint.dialect == dialect and suffix == ".sse")
    request = parse(b'{"model":"m","input":"hi","max_output_tokens":70,"stream":true}')
    cassette = Cassette(Path(dialect), request, replace(endpoint, quirks=Quirks()), {}, 200, {})
    texts = [dice.choice((*WORDS, *STRANGE)) if dice.random() < 0.2 else dice.choice(WORDS) for _ in recording.tokens]
    tokens = [retold(frame, token, text) for frame, token, text in zip(recording.tokens, TOKENS, texts, strict=True)]
    pieces = [*recording.opening, *tokens, *recording.closing]
    went = 0
    for length in (*range(len(pieces) - 12, len(pieces) + 1), *range(8, 50, 9)):
        breaks = length < len(pieces)
        pulled = play(cassette, Pulled("text/event-stream", pieces[:length], breaks=breaks))
        laned = Laned("text/event-stream", pieces[:length], breaks=breaks)
        pushed = play(cassette, laned, iter(lambda: dice.random() > 0.05, None))
        assert (pushed.body, pushed.error, pushed.outputs) == (pulled.body, pulled.error, pulled.outputs)
        assert [as_noted(each) for each in pushed.generations] == [as_noted(each) for each in pulled.generations]
        went += laned.went
    assert went > 300


def retold(frame: bytes, token: str, text: str) -> bytes:
    """A recorded token with another text, written as it is where JSON allows that."""
    return frame.replace(b":" + json.dumps(token).encode(), b":" + json.dumps(text, ensure_ascii=False).encode())


def as_noted(generation: Generation) -> object:
    return generation.ending, generation.spent, generation.dropped, generation.has_answered


def test_streams_are_pushed_at_all() -> None:
    """Or the law above would hold for nothing."""
    pushed = 0
    for cassette, suffix in STREAMS[:20]:
        pieces = [piece + b"\n\n" for piece in cassette.answers[suffix].split(b"\n\n") if piece]
        pushed += play(cassette, Pumped(MEDIA_TYPES[suffix], pieces, breaks=False), iter(lambda: True, None)).pushed
    assert pushed > 10
