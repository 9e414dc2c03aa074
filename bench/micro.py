"""Times the stages of one request apart, without sockets: where the microseconds of a call go.

The whole call is all of them with planning, the attempt and the account of its end, and takes far longer than their
sum. How many functions it calls is told beside: with the cold caches of a real server that, not the operations, is what
is paid for, and it is the same in every run. Does not measure the servers, the store or authentication; those are in
`bench.run` only.
"""

import cProfile
import gc
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bench import recordings, wires
from bench.recordings import TEXT, UPSTREAM_MODEL, Api, Case, request_body
from bench.whole import Gateway
from bench.wires import Wire
from trunkline.adapters.contract import Adapter, begin
from trunkline.adapters.table import ADAPTERS
from trunkline.billing import Meter
from trunkline.catalog.entries import Dialect, Endpoint, Model, Provider
from trunkline.catalog.prices import Price
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.frames import write_events
from trunkline.faces.responses.parse import parse
from trunkline.protocol.events import Event
from trunkline.protocol.render import render_response
from trunkline.protocol.response import Response
from trunkline.stream.deltas import Delta
from trunkline.stream.framing import framing_for

Stage = Callable[[], object]

_WHOLE = "the whole call"

_COUNTED = 20
_ROUNDS = 7
_ROUND_SECONDS = 0.03


@dataclass(frozen=True)
class _Side:
    """One upstream language: its adapter, an endpoint that speaks it, and what the mock provider says in it."""

    adapter: Adapter
    endpoint: Endpoint
    wire: Wire


_WIRES: Mapping[Dialect, Callable[[], Wire]] = {
    "chat": lambda: Wire(recordings.chat(with_usage=True)),
    "responses": lambda: Wire(recordings.responses()),
    "messages": wires.messages,
    "gemini": wires.gemini,
    "converse": wires.converse,
    "cohere": wires.cohere,
    "mistral": wires.mistral,
}


def main() -> None:
    """Print the microseconds of every stage, for all upstream languages that talk and each way to answer."""
    for name, wire in _WIRES.items():
        side = _side(name, wire())
        recording = side.wire.recording
        burst = [b"".join((*recording.opening, *recording.tokens, *recording.closing))]
        paced = [b"".join(recording.opening), *recording.tokens, b"".join(recording.closing)]
        _print(f"{name}: JSON call", _whole_stages(side))
        _print(f"{name}: stream of 64 tokens in one read", _stream_stages(side, burst))
        _print(f"{name}: stream of 64 tokens, each in its own read", _stream_stages(side, paced))


def _side(dialect: Dialect, wire: Wire) -> _Side:
    endpoint = Endpoint(
        model=Model(slug=f"mock/{dialect}"),
        provider=Provider(slug="mock", name="mock"),
        upstream_model=UPSTREAM_MODEL,
        dialect=dialect,
        base_url="http://127.0.0.1/v1",
        price=Price(input=Decimal("0.000001"), output=Decimal("0.000002")),
    )
    return _Side(ADAPTERS[dialect], endpoint, wire)


def _whole_stages(side: _Side) -> Mapping[str, Stage]:
    body = request_body(Api.RESPONSES, Case.JSON, side.endpoint.model.slug)
    request = parse(body)

    def decode() -> list[Delta]:
        decoder = side.adapter.decoder(request, side.endpoint)
        return [*decoder.whole(side.wire.recording.body), *decoder.end()]

    deltas = begin(decode(), side.endpoint)

    def price() -> list[Delta]:
        return Meter(request).price(deltas, side.endpoint)

    def assemble() -> Response:
        assembler = Assembler(request, "gen-bench", _ids(), 0.0, side.endpoint.model.slug, is_stream=False)
        assembler.feed(deltas)
        assembler.end(1.0)
        return assembler.response

    response = assemble()
    if response.output_text != TEXT:
        raise AssertionError("the answer lost its text")
    return {
        "parse": lambda: parse(body),
        "encode": lambda: side.adapter.encode(request, side.endpoint, None),
        "decode": decode,
        "price": price,
        "assemble": assemble,
        "render": lambda: render_response(response),
        _WHOLE: _whole(side, "application/json", [side.wire.recording.body], body),
    }


def _stream_stages(side: _Side, reads: Sequence[bytes]) -> Mapping[str, Stage]:
    body = request_body(Api.RESPONSES, Case.BURST, side.endpoint.model.slug)
    request = parse(body)

    def frame() -> list[object]:
        framing = framing_for(side.wire.content_type, reads[0])
        return [framing.feed(read) for read in reads]

    framing = framing_for(side.wire.content_type, reads[0])
    messages = [framing.feed(read) for read in reads]

    def decode() -> list[list[Delta]]:
        decoder = side.adapter.decoder(request, side.endpoint)
        batches = [[delta for message in batch for delta in decoder.message(message)] for batch in messages]
        return [*batches, list(decoder.end())]

    first, *rest = [batch for batch in decode() if batch]
    deltas = [begin(first, side.endpoint), *rest]

    def price() -> list[list[Delta]]:
        meter = Meter(request)
        return [meter.price(batch, side.endpoint) for batch in deltas]

    def assemble() -> list[list[Event]]:
        assembler = Assembler(request, "gen-bench", _ids(), 0.0, side.endpoint.model.slug)
        return [*map(assembler.feed, deltas), assembler.end(1.0)]

    events = [batch for batch in assemble() if batch]
    if TEXT not in write_events(events[-1]).decode():
        raise AssertionError("the answer lost its text")
    return {
        "parse": lambda: parse(body),
        "encode": lambda: side.adapter.encode(request, side.endpoint, None),
        "framing": frame,
        "decode": decode,
        "price": price,
        "assemble": assemble,
        "write": lambda: [write_events(batch) for batch in events],
        _WHOLE: _whole(side, side.wire.content_type, reads, body),
    }


def _whole(side: _Side, content_type: str, reads: Sequence[bytes], body: bytes) -> Stage:
    gateway = Gateway(side.endpoint, content_type, reads)
    if b'"completed"' not in gateway.answer(body):
        raise AssertionError("the whole request did not end well")
    return lambda: gateway.answer(body)


def _ids() -> "itertools.repeat[str]":
    # Making random ids is left out: they come from a pool that is filled apart.
    return itertools.repeat("bench")


def _print(title: str, stages: Mapping[str, Stage]) -> None:
    print(title)
    calls = _calls(stages[_WHOLE])
    spent = {name: _microseconds(stage) for name, stage in stages.items()}
    whole = spent.pop(_WHOLE)
    for name, value in (*spent.items(), ("these", sum(spent.values()))):
        print(f"  {name:<14}{value:9.1f} us")
    print(f"  {_WHOLE:<14}{whole:9.1f} us{calls:8.0f} calls\n")


def _calls(stage: Stage) -> float:
    """How many functions a stage calls once it is warm, built-in ones included."""
    for _ in range(_COUNTED):
        stage()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(_COUNTED):
        stage()
    profile.disable()
    return sum(entry.callcount for entry in profile.getstats()) / _COUNTED


def _microseconds(stage: Stage) -> float:
    """The best of several rounds: what the stage costs when nothing else is in the way."""
    count = _calibrate(stage)
    gc.disable()
    try:
        return min(_seconds(stage, count) for _ in range(_ROUNDS)) / count * 1e6
    finally:
        gc.enable()


def _calibrate(stage: Stage) -> int:
    once = min(_seconds(stage, 3) for _ in range(3)) / 3
    return max(1, int(_ROUND_SECONDS / once))


def _seconds(stage: Stage, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        stage()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
