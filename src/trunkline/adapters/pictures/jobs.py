"""Decodes answers of services that take an order, work on it for a while, and leave the pictures at an address.

What the service's bodies look like is each dialect's own; this is the part that they share. It waits and asks for
nothing itself: it says what to ask next, and when.

Theory of operation. One answer is a row of exchanges, each of whose bodies arrives whole:

    submitting ── accepted ──→ polling ⟲ pending ── ready ──→ downloading ⟲ more pictures ──→ over

A fault at `submitting` ends the attempt as any other fault does, and the next endpoint is asked. Later there is a job
that somebody pays for, so what may pass – a busy server, a broken connection – is borne a number of times in a row.
For a client that streams, the item is opened as soon as the order is accepted; one that waits for the whole answer
hears nothing before the pictures, and can still be given another endpoint's.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from trunkline.adapters.contract import Decoder, Exchange
from trunkline.adapters.decoding.faults import nonsense
from trunkline.adapters.media import sniffed
from trunkline.adapters.pictures.follow import downloading
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Delta, Failed, Image, Spent, Stopped, Usage
from trunkline.wire import Fault, FaultKind, UpstreamRequest, WireMessage

MAX_FAULTS: Final = 8
"""So many faults in a row are borne while a job runs."""

MAX_PICTURES: Final = 16

_PASSING: Final[frozenset[FaultKind]] = frozenset({"limited", "overloaded", "unavailable", "silent"})
_FIRST_WAIT_S: Final = 0.5
_MAX_WAIT_S: Final = 1.5
_WAIT_GROWTH: Final = 1.25
_MAX_FAULT_WAIT_S: Final = 30.0


class Accepted(Struct, frozen=True):
    """The order was taken; `poll` asks how it goes, with the key. `cost_usd` is the service's own figure."""

    poll: UpstreamRequest
    cost_usd: Decimal | None = None


class Pending(Struct, frozen=True):
    """The job is still worked on."""


class Ready(Struct, frozen=True):
    """The job is done; `cost_usd` is the service's own figure."""

    urls: tuple[str, ...]
    cost_usd: Decimal | None = None


class JobReader(Protocol):
    """What differs between services."""

    def accepted(self, body: bytes, endpoint: Endpoint) -> Accepted | Fault: ...

    def progress(self, body: bytes, endpoint: Endpoint) -> Pending | Ready | Fault: ...


class JobDecoder(Decoder):
    """The state of one answer."""

    def __init__(self, request: Request, endpoint: Endpoint, reader: JobReader) -> None:
        self._streams = request.stream
        self._endpoint = endpoint
        self._reader = reader
        self._state: Literal["submitting", "polling", "downloading", "over"] = "submitting"
        self._next: Exchange | None = None
        self._urls: list[str] = []
        self._cost_usd: Decimal | None = None
        self._wait_s = _FIRST_WAIT_S
        self._faults = 0
        self._slot = 0
        self.is_done = False

    def message(self, message: WireMessage) -> Iterable[Delta]:
        return self.whole(message.data)

    def whole(self, body: bytes) -> Iterable[Delta]:
        self._faults = 0
        match self._state:
            case "submitting":
                return self._submitted(body)
            case "polling":
                return self._polled(body)
            case "downloading":
                return self._downloaded(body)
            case "over":
                return ()

    def next_exchange(self, sent: UpstreamRequest, fault: Fault | None) -> Exchange | None:
        """Say what to ask next; after a fault that may pass, the same again."""
        if fault is None or self._next is None:
            return self._next
        if fault.kind not in _PASSING or self._faults >= MAX_FAULTS:
            return None
        self._faults += 1
        return replace(self._next, wait_s=min(fault.retry_after or self._grown_wait(), _MAX_FAULT_WAIT_S))

    def _submitted(self, body: bytes) -> list[Delta]:
        step = self._reader.accepted(body, self._endpoint)
        if isinstance(step, Fault):
            return self._fail(step)
        self._state = "polling"
        self._cost_usd = step.cost_usd
        self._next = Exchange(step.poll, self._grown_wait())
        return [Image(self._slot, "", False)] if self._streams else []

    def _polled(self, body: bytes) -> list[Delta]:
        step = self._reader.progress(body, self._endpoint)
        match step:
            case Fault():
                return self._fail(step)
            case Pending():
                if self._next is not None:
                    self._next = replace(self._next, wait_s=self._grown_wait())
                return []
            case Ready():
                self._state = "downloading"
                self._urls = list(step.urls[:MAX_PICTURES])
                self._cost_usd = self._cost_usd if step.cost_usd is None else step.cost_usd
                return self._ask_for_picture()

    def _downloaded(self, body: bytes) -> list[Delta]:
        text = base64.b64encode(body).decode("ascii")
        media_type = sniffed(text) or ""
        if not media_type.startswith("image/"):
            return self._fail(nonsense("the result is not a picture"))
        picture = Image(self._slot, text, True, media_type)
        self._slot += 1
        return [picture, *self._ask_for_picture()]

    def _ask_for_picture(self) -> list[Delta]:
        if self._urls:
            self._next = downloading(self._urls.pop(0), self._endpoint)
            return []
        if not self._slot:
            return self._fail(nonsense("the job is done and left no picture"))
        self._finish()
        return [Spent(Usage(images=self._slot, upstream_cost_usd=self._cost_usd)), Stopped("stop")]

    def _fail(self, fault: Fault) -> list[Delta]:
        self._finish()
        return [Failed(fault)]

    def _finish(self) -> None:
        self._state = "over"
        self._next = None
        self.is_done = True

    def _grown_wait(self) -> float:
        wait_s = self._wait_s
        self._wait_s = min(wait_s * _WAIT_GROWTH, _MAX_WAIT_S)
        return wait_s
