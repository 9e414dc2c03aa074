"""Histories that fit: what of an input an endpoint is not told, for `truncation: auto`.

Pure: nobody is asked, and nothing that may not be left out ever is. What goes together is known by `protocol/spans.py`,
what an item takes by `protocol/weighing.py`.

Theory of operation. An endpoint's context has to hold the answer and the input. Where it does not by our estimate,
whole turns are left out, from the oldest on, until it does; then, of the last turn, whole rounds of calls and results,
from the oldest on. What is left out is always the beginning of the same sequence, whatever the context: more room keeps
all that less room keeps, and what fits is the client's own request, the same object. Where even the shortest does not
fit, the endpoint is not asked, unless it shortens by itself: then it gets the shortest, and does the rest.

A refusal shows that the estimate was wrong. The endpoint is then asked once more, as one of four fifths of the context
that it tells, else of what is known of it; and of less in the measure in which it counted more than was estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from trunkline.adapters.decoding.room import told_context
from trunkline.catalog.abilities import truncates
from trunkline.catalog.entries import Endpoint
from trunkline.errors import TooLong
from trunkline.generation import NOTHING_NOTED, Noted
from trunkline.protocol.opaque import Json
from trunkline.protocol.paths import moved
from trunkline.protocol.request import Request
from trunkline.protocol.spans import spans_of
from trunkline.protocol.weighing import (
    NEVER_LEFT_OUT,
    figures,
    item_weight,
    needs_of,
    output_room,
    settings_weight,
    too_long,
)
from trunkline.wire import Fault

_SHARE: Final = 0.8
"""Of a context that was too small, the part that is filled the second time."""


class Cut(NamedTuple):
    """A request as short as it has to be: how many turns, rounds and items it lacks, and what is left takes."""

    request: Request
    turns: int
    rounds: int
    items: int
    tokens: int
    output_tokens: int
    fits: bool

    @property
    def dropped(self) -> tuple[str, ...]:
        """What `x-trunkline-dropped` tells of it."""
        told = (("input.turns", self.turns), ("input.rounds", self.rounds))
        return tuple([f"{name}={count}" for name, count in told if count])


def cut(request: Request, context_tokens: int, output_tokens: int | None) -> Cut:
    """Leave out of a request what does not fit into a context beside an answer of so many tokens."""
    return _Scales(request).cut(context_tokens, output_tokens)


class _Scales:
    """A request with the weights of its items."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._weights = [item_weight(item) for item in request.input]
        self._total = settings_weight(request) + sum(self._weights)

    def cut(self, context_tokens: int, output_tokens: int | None) -> Cut:
        output = output_room(context_tokens, output_tokens)
        request, room, left = self._request, context_tokens - output, self._total
        if left <= room:
            return Cut(request, 0, 0, 0, left, output, fits=True)
        spans = spans_of(request.input)
        gone: set[int] = set()
        count = 0
        for span in (*spans.turns, *spans.rounds):
            if left <= room:
                break
            left -= sum([self._weights[place] for place in span])
            gone.update(span)
            count += 1
        turns = min(count, len(spans.turns))
        if gone:
            places = tuple([place for place in range(len(request.input)) if place not in gone])
            kept = tuple([request.input[place] for place in places])
            request = replace(request, input=kept, measured=None, paths=moved(request.paths, places))
        return Cut(request, turns, count - turns, len(gone), left, output, fits=left <= room)


class Truncating:
    """One request, made to fit each endpoint that is asked.

    `is_clamped`: how long the answer may be is what credit pays for, and no wish of the client's.
    """

    def __init__(self, *, is_clamped: bool) -> None:
        self._is_clamped = is_clamped
        self._cuts: dict[str, tuple[Cut, int]] = {}

    def fitted(self, request: Request, endpoint: Endpoint) -> tuple[Request, tuple[str, ...]]:
        """The request as the endpoint can take it, and the names of what is left out.

        Raises TooLong where it cannot.
        """
        context_tokens = endpoint.context_tokens
        if context_tokens is None:
            return request, ()
        found = cut(request, context_tokens, self._output(request, context_tokens))
        if not found.fits and not truncates(endpoint):
            needs = needs_of(found.request)._replace(output=found.output_tokens)
            message = f"{too_long(context_tokens, needs)} {NEVER_LEFT_OUT}"
            raise TooLong(message, param=request.paths.spelled("input"), metadata=figures(context_tokens, needs))
        self._cuts[endpoint.id] = found, context_tokens
        return found.request, found.dropped

    def narrowed(self, request: Request, endpoint: Endpoint, fault: Fault) -> Endpoint | None:
        """The endpoint as its refusal of an input shows it to be; None where the refusal is of something else."""
        if fault.kind != "too_long":
            return None
        told, noted = told_context(fault.message, fault.raw or ""), self._cuts.get(endpoint.id)
        if noted is None:
            needs = needs_of(request)
            read, output = needs.input, needs.output
        else:
            read, output = noted[0].tokens, noted[0].output_tokens
        sent = read + output
        most = min(told.context or endpoint.context_tokens or sent, sent)
        counted = told.asked or (0 if told.read is None else told.read + output)
        if told.context is not None and counted > sent:
            most = min(most, told.context * sent // counted)
        return replace(endpoint, context_tokens=int(most * _SHARE))

    def noted(self, endpoint: Endpoint) -> Noted:
        """What is told on the record of what an endpoint was not told."""
        found = self._cuts.get(endpoint.id)
        if found is None or not found[0].items:
            return NOTHING_NOTED
        return {"truncation": cut_as_json(*found)}

    def request_at(self, endpoint: Endpoint) -> Request | None:
        """The request as it was made to fit an endpoint; None where that was not asked."""
        found = self._cuts.get(endpoint.id)
        return None if found is None else found[0].request

    def told(self, request: Request, endpoints: Sequence[Endpoint]) -> list[dict[str, Json]]:
        """What each endpoint would be told of a request, as plain values that JSON can hold."""
        scales = _Scales(request)
        found: list[dict[str, Json]] = []
        for endpoint in endpoints:
            if (context := endpoint.context_tokens) is not None:
                short = scales.cut(context, self._output(request, context))
                told = cut_as_json(short, context)
                found.append({"endpoint": endpoint.id, "is_shortened": short.items > 0, "fits": short.fits, **told})
        return found

    def _output(self, request: Request, context_tokens: int) -> int | None:
        most = request.max_output_tokens
        if most is None or not (self._is_clamped or request.limit_is_wish):
            return most
        return min(most, output_room(context_tokens, None))


def cut_as_json(found: Cut, context_tokens: int) -> dict[str, Json]:
    """Put a cut into plain values that JSON can hold."""
    return {
        "dropped_turns": found.turns,
        "dropped_rounds": found.rounds,
        "dropped_items": found.items,
        "estimate": found.tokens,
        "context_tokens": context_tokens,
    }
