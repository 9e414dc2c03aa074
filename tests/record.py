"""Plays recorded conversations through the pure core and writes down what it makes of them: `make cassettes`.

A cassette is a folder `tests/cassettes/<dialect>/<name as a sentence>/`. By hand: `1-request.json`, one or two of
`3-answer.sse`, `.json`, `.bin`, `source.md` (the public reference and the date it was seen), and where the plain
dialect does not do `endpoint.json`: fields of the endpoint (`quirks`, `supports`, …) and, beneath `answer`, the
`status` and `headers` the upstream gave. Written here: `2-sent.json`, then `4-events.jsonl` and `5-response.json`, or
`4-fault.json` where the attempt fails before the client is told anything.

Knows nothing of retries, prices or HTTP. Ids count from 0 and time stands still.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from tests.fold import fold
from trunkline.adapters.contract import Adapter, Decoder, begin
from trunkline.adapters.encoding.offers import Offer, offered, restoring
from trunkline.adapters.encoding.results import readable
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadGateway, Unprocessable
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.parse import parse
from trunkline.protocol.events import Event
from trunkline.protocol.render import render_event, render_response
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Began, Delta, Failed
from trunkline.stream.framing import Framing, framing_for
from trunkline.wire import Fault, Malformed, UpstreamRequest

ROOT = Path(__file__).parent / "cassettes"

BEGAN_AT = 1_763_800_000.0
ENDED_AT = 1_763_800_002.5
END_USER = "eu-5f2d9c"

MEDIA_TYPES = {
    ".sse": "text/event-stream; charset=utf-8",
    ".json": "application/json",
    ".bin": "application/vnd.amazon.eventstream",
}
WRITTEN = ("2-sent.json", "4-events.jsonl", "4-fault.json", "5-response.json")


@dataclass(frozen=True)
class Cassette:
    """One recorded conversation; `answers` by suffix, the stream first."""

    folder: Path
    request: Request
    endpoint: Endpoint
    answers: Mapping[str, bytes]
    status: int
    headers: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"


@dataclass(frozen=True)
class Heard:
    """What an answer came to: its deltas, and the fault that ended them if one did."""

    deltas: list[Delta]
    fault: Fault | None


@cache
def cassettes(root: Path = ROOT) -> Sequence[Cassette]:
    return [load(path.parent) for path in sorted(root.glob("*/*/1-request.json"))]


def load(folder: Path) -> Cassette:
    told = folder / "endpoint.json"
    fields: dict[str, Any] = json.loads(told.read_bytes()) if told.exists() else {}
    answer = fields.pop("answer", {})
    answers = {suffix: folder / f"3-answer{suffix}" for suffix in (".sse", ".bin", ".json")}
    return Cassette(
        folder=folder,
        request=parse((folder / "1-request.json").read_bytes()),
        endpoint=_endpoint(folder.parent.name, fields),
        answers={suffix: path.read_bytes() for suffix, path in answers.items() if path.exists()},
        status=answer.get("status", 200),
        headers=answer.get("headers", {}),
    )


def _endpoint(dialect: str, fields: Mapping[str, Any]) -> Endpoint:
    defaults = {
        "model": {"slug": "acme/quill-2"},
        "provider": {"slug": "acme", "name": "Acme"},
        "upstream_model": "quill-2",
        "dialect": dialect,
        "base_url": "https://api.acme.example/v1",
    }
    return msgspec.convert({**defaults, **fields}, Endpoint, strict=False)


# Playing


def encode(cassette: Cassette) -> UpstreamRequest:
    request = cassette.request
    names_user = bool(request.user or request.safety_identifier)
    offer = offered(request, cassette.endpoint)
    asked, unread = readable(offer.request, cassette.endpoint)
    sent = _adapter(cassette).encode(asked, cassette.endpoint, END_USER if names_user else None)
    return replace(sent, dropped=tuple(dict.fromkeys((*offer.lost, *unread, *sent.dropped))))


def hear(cassette: Cassette, suffix: str, reads: Iterable[bytes]) -> Heard:
    """Decode the answer, arriving in `reads`, as an attempt does."""
    if cassette.status >= 300:
        fault = _adapter(cassette).fault(cassette.status, cassette.headers, b"".join(reads), cassette.endpoint)
        return Heard([], fault)
    reads = list(reads)
    framing = framing_for(MEDIA_TYPES[suffix], b"".join(reads))
    deltas: list[Delta] = []
    try:
        for delta in _decoded(cassette, framing, reads):
            if isinstance(delta, Failed):
                return Heard(deltas, delta.fault)
            deltas.append(delta)
    except Malformed as error:
        return Heard(deltas, Fault("nonsense", str(error)))
    return Heard(deltas, None)


def _decoded(cassette: Cassette, framing: Framing, reads: Iterable[bytes]) -> Iterator[Delta]:
    try:
        offer = offered(cassette.request, cassette.endpoint)
    except Unprocessable:
        offer = Offer(cassette.request, {}, ())
    decoder = restoring(_adapter(cassette).decoder(offer.request, cassette.endpoint), offer)
    has_begun = False
    for batch in _batches(decoder, framing, reads):
        if batch and not has_begun:
            batch, has_begun = begin(batch, cassette.endpoint), True
        yield from batch


def _batches(decoder: Decoder, framing: Framing, reads: Iterable[bytes]) -> Iterator[list[Delta]]:
    for data in reads:
        for message in framing.feed(data):
            yield list(decoder.message(message))
        if decoder.is_done:
            break
    for message in framing.flush():
        yield list(decoder.whole(message.data) if framing.is_whole else decoder.message(message))
    yield list(decoder.end())


def told(cassette: Cassette, heard: Heard) -> list[Event] | Fault:
    """The events the client gets; the fault alone when nothing had been said yet."""
    if heard.fault is not None and not any(isinstance(delta, Began) for delta in heard.deltas):
        return heard.fault
    return assemble(new_assembler(cassette), heard)


def new_assembler(cassette: Cassette, *, is_stream: bool = True) -> Assembler:
    ids = (f"{number:04d}" for number in count())
    model = cassette.endpoint.model.slug
    return Assembler(cassette.request, "resp_cassette", ids, BEGAN_AT, model, is_stream=is_stream)


def assemble(assembler: Assembler, heard: Heard) -> list[Event]:
    events = [event for delta in heard.deltas for event in assembler.feed([delta])]
    if heard.fault is not None:
        return events + assembler.fail(BadGateway(heard.fault.message))
    return events + assembler.end(ENDED_AT)


def play(cassette: Cassette, suffix: str) -> list[Event] | Fault:
    return told(cassette, hear(cassette, suffix, [cassette.answers[suffix]]))


# Writing


def record(cassette: Cassette) -> dict[str, bytes]:
    """The files that the code makes of a cassette now, by name."""
    try:
        files = {"2-sent.json": _pretty(_sent(encode(cassette)))}
    except Unprocessable as error:
        return {"2-sent.json": _pretty({"refused": error.message})}
    if not cassette.answers:
        return files
    outcome = play(cassette, next(iter(cassette.answers)))
    if isinstance(outcome, Fault):
        files["4-fault.json"] = _pretty(msgspec.to_builtins(outcome))
    else:
        files["4-events.jsonl"] = b"".join(render_event(event) + b"\n" for event in outcome)
        files["5-response.json"] = msgspec.json.format(render_response(fold(outcome)), indent=2) + b"\n"
    return files


def _sent(request: UpstreamRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "dropped": request.dropped,
        "body": json.loads(request.body),
    }


def _pretty(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def _adapter(cassette: Cassette) -> Adapter:
    return ADAPTERS[cassette.endpoint.dialect]


def main(names: list[str]) -> None:
    """Record every cassette, or those whose `dialect/name` begins with one of `names`."""
    for cassette in cassettes():
        if names and not cassette.name.startswith(tuple(names)):
            continue
        files = record(cassette)
        for name in WRITTEN:
            path = cassette.folder / name
            if name not in files:
                path.unlink(missing_ok=True)
            elif not path.exists() or path.read_bytes() != files[name]:
                path.write_bytes(files[name])
                print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
