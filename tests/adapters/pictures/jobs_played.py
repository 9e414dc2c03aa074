"""Plays a decoder that needs several exchanges against a list of bodies and faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trunkline.adapters.contract import Adapter, Exchange
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Delta
from trunkline.wire import Fault


@dataclass
class Played:
    """The deltas of all exchanges, what was asked after the first, and the fault that ended it if one did."""

    deltas: list[Delta] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    fault: Fault | None = None

    @property
    def urls(self) -> list[str]:
        return [exchange.request.url for exchange in self.exchanges]


def play(adapter: Adapter, request: Request, endpoint: Endpoint, answers: Sequence[bytes | Fault]) -> Played:
    """Answer each exchange with the next of `answers`, until the decoder asks for no more."""
    played = Played()
    decoder = adapter.decoder(request, endpoint)
    sent = adapter.encode(request, endpoint, None)
    for answer in answers:
        fault = answer if isinstance(answer, Fault) else None
        if isinstance(answer, bytes):
            played.deltas += decoder.whole(answer)
        exchange = decoder.next_exchange(sent, fault)
        if exchange is None:
            played.fault = fault
            break
        played.exchanges.append(exchange)
        sent = exchange.request
    played.deltas += decoder.end()
    return played
