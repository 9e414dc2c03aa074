"""Health on several nodes: own figures and, beside them, what other nodes told (`others.py`).

Theory of operation. The figures of others join the windows that a condition is made of, and the histograms that
percentiles are read from; what is told to others are own ones alone. A figure is told when it changed, at most
`TELLS_A_ROUND` endpoints in a round, those first that were told of the longest ago; and again every `AGAIN_S`, for what
is not is forgotten elsewhere.

What sets an endpoint aside is told at once, and every `TROUBLED_S` while it does. A cool-down holds on every node. A
breaker that opened elsewhere is *borrowed*:

    closed ──opened elsewhere, and nothing was heard from the endpoint here since its faults began──▶ borrowed
    borrowed ──a probe here, or one elsewhere, got a first token──▶ closed
    borrowed ──a probe here failed──▶ open, by own faults

A node that has had an answer meanwhile knows better: so one whose own way to a provider is broken takes nobody with it.
A borrowed breaker is not told on, and one that opened by own faults is closed by own probes alone: each node probes for
itself, one attempt at a time. What is wrong with the gateway's own key opens no breaker elsewhere, for each node
has its own settings. Of clients' own keys nothing is told.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Final

from trunkline.routing.health import FAULTS_TO_OPEN, HEDGED_SHARE, Health, Outcome, Track, is_of_key
from trunkline.routing.others import Others, Sums, Told
from trunkline.routing.windows import JointDistribution, JointWindow, Window
from trunkline.wire import FaultKind

TELLS_A_ROUND: Final = 500
AGAIN_S: Final = 20.0
TROUBLED_S: Final = 2.0
LONGER_S: Final = 1.0
CLOSED_S: Final = 10.0
"""So long it is told that a probe closed a breaker."""

_NODES_OWN: Final = frozenset({"credentials", "denied", "missing"})
"""Faults that are about the key in this node's settings, which may be another elsewhere."""


class JointHealth(Health):
    """The health of endpoints by own attempts and those of other nodes, of the endpoints that are `known` here.

    `hurry` is called when something is to be told at once. Memory is bounded, by twice as much for an endpoint.
    """

    def __init__(
        self,
        known: Container[str],
        hurry: Callable[[], None],
        *,
        retry_budget: float = 0.2,
        hedges: float = HEDGED_SHARE,
    ) -> None:
        super().__init__(retry_budget=retry_budget, hedges=hedges)
        self._tracks: dict[str, JointTrack] = {}  # type: ignore[assignment]  # the same, with what others told
        self._others = Others(known)
        self._hurry = hurry
        self._changed: dict[str, None] = {}
        self._urgent: dict[str, None] = {}
        self._troubled: dict[str, float] = {}
        # When each endpoint was told of last, with its short counts then; the one longest ago is in front.
        self._told: dict[str, tuple[float, tuple[int, int, int]]] = {}

    # What attempts tell

    def answered(self, endpoint_id: str, now: float) -> None:
        track = self._tracks.get(endpoint_id) or self._new_track(endpoint_id)
        track.answered_at = now
        super().answered(endpoint_id, now)
        if track.is_urgent:
            self._note(endpoint_id, track)

    def record(self, endpoint_id: str, outcome: Outcome, now: float, *, own_key: str | None = None) -> None:
        super().record(endpoint_id, outcome, now, own_key=own_key)
        if own_key is None or not is_of_key(outcome.fault):
            self._note(endpoint_id, self._tracks[endpoint_id])

    def outrun(self, endpoint_id: str, waited_s: float, now: float) -> None:
        super().outrun(endpoint_id, waited_s, now)
        self._changed[endpoint_id] = None

    def cool_down(self, endpoint_id: str, seconds: float, now: float) -> None:
        super().cool_down(endpoint_id, seconds, now)
        self._note(endpoint_id, self._tracks[endpoint_id])

    # What others tell

    def know(self, known: Container[str]) -> None:
        """Hear of these endpoints from now on."""
        self._others.know(known)

    def hear(self, node: str, number: int, told: Iterable[Told], now: float) -> None:
        """Take what a node told in a message of this number."""
        for each in told:
            if not self._others.hear(node, number, each, now):
                continue
            id = each.endpoint_id
            track = self._tracks.get(id) or self._new_track(id)
            track.hear(each, self._others.sums(id), now)

    def forget(self, now: float) -> None:
        """Forget what others told too long ago."""
        for id in self._others.forget(now):
            track = self._tracks.get(id)
            if track is not None:
                track.join(self._others.sums(id))

    # What is told to others

    def tell_urgent(self, now: float) -> list[Told]:
        """What is to be told at once."""
        urgent, self._urgent = self._urgent, {}
        return self._tell(urgent, now)

    def tell(self, now: float) -> list[Told]:
        """What is to be told in a round: what changed, what is in trouble, and what others would forget."""
        troubled = [id for id, at in self._troubled.items() if at <= now - TROUBLED_S]
        due = dict.fromkeys(troubled[:TELLS_A_ROUND])
        fresh = [id for id in self._changed if id not in self._told]
        due.update(dict.fromkeys(fresh[:TELLS_A_ROUND]))
        for id, (told_at, short) in self._told.items():
            if len(due) >= TELLS_A_ROUND:
                break
            track = self._tracks.get(id)
            is_due = track is not None and (
                id in self._changed or told_at <= now - AGAIN_S or (any(short) and track.own_short(now) != short)
            )
            if is_due:
                due[id] = None
        return self._tell(due, now)

    def retell(self) -> None:
        """Tell everything anew in the next rounds: a node came that knows nothing."""
        self._changed.update(dict.fromkeys(self._told))

    def _tell(self, ids: Iterable[str], now: float) -> list[Told]:
        told: list[Told] = []
        for id in ids:
            self._changed.pop(id, None)
            self._told.pop(id, None)
            self._troubled.pop(id, None)
            track = self._tracks.get(id)
            if track is None:
                continue
            word = track.tell(id, now)
            told.append(word)
            if any(word.long) or word.latency or word.throughput or any(word.short):
                self._told[id] = now, word.short
            if word.open_s or word.cooled_s or word.closed_s is not None:
                self._troubled[id] = now
        return told

    def _note(self, endpoint_id: str, track: JointTrack) -> None:
        self._changed[endpoint_id] = None
        if track.is_urgent:
            track.is_urgent = False
            self._urgent[endpoint_id] = None
            self._hurry()

    def _new_track(self, endpoint_id: str) -> JointTrack:
        track = JointTrack()
        self._keep(endpoint_id, track)
        track.join(self._others.sums(endpoint_id))
        return track


class JointTrack(Track):
    """One endpoint, as it is known here and elsewhere.

    `is_borrowed`: its breaker opened elsewhere. `answered_at` is when it spoke here last. `is_urgent`: something is to
    be told of it at once; `urged_until` is how long it was told so that it is set aside. `of_our_key` counts faults of
    the short window that are not told, for they are about this node's key for it.
    """

    __slots__ = (
        "answered_at",
        "closed_at",
        "heard_cooled_until",
        "heard_own_cooled_until",
        "is_borrowed",
        "is_urgent",
        "of_our_key",
        "urged_until",
    )

    short: JointWindow
    long: JointWindow
    latency: JointDistribution
    throughput: JointDistribution

    def __init__(self) -> None:
        super().__init__(JointWindow, JointDistribution)
        self.of_our_key = Window(1, slices=15, slice_s=2.0)
        self.is_borrowed = self.is_urgent = False
        self.answered_at = self.closed_at = float("-inf")
        self.heard_cooled_until = self.heard_own_cooled_until = self.urged_until = 0.0

    def reconsider(self) -> None:
        super().reconsider()
        self.ejected_until = max(self.ejected_until, self.heard_cooled_until)
        self.own_ejected_until = max(self.own_ejected_until, self.heard_own_cooled_until)

    def answer(self, now: float) -> None:
        was_open = self.is_open
        if self.is_borrowed and now >= self.row_began:
            # Faults that only others met are outweighed by any answer here.
            self.open_until = min(self.open_until, now)
        super().answer(now)
        if was_open and not self.is_open:
            self.is_borrowed = False
            self.closed_at = now
            self.is_urgent = True

    def cool_down(self, seconds: float, now: float, *, is_ours: bool = True) -> None:
        super().cool_down(seconds, now, is_ours=is_ours)
        # One that is asked all the same is set aside a little longer each time, of which the rounds tell.
        if self.cooled_until > self.urged_until + LONGER_S:
            self.urged_until = self.cooled_until
            self.is_urgent = True

    def own_short(self, now: float) -> tuple[int, int, int]:
        """What was counted here in the short window, as it is told."""
        good, bad, ours = self.short.own_totals(now)
        return good, bad, ours - self.of_our_key.totals(now)[0]

    def tell(self, endpoint_id: str, now: float) -> Told:
        """Put what is known of it here into a word for others."""
        is_told_open = self.is_open and not self.is_borrowed and self.open_until > self.key_open_until
        return Told(
            endpoint_id=endpoint_id,
            short=self.own_short(now),
            long=tuple(self.long.own_totals(now)),  # type: ignore[arg-type]  # as wide as its window
            latency=self.latency.own_counts(now),
            throughput=self.throughput.own_counts(now),
            open_s=max(0.0, self.open_until - now) if is_told_open else 0.0,
            row_s=min(max(0.0, now - self.row_began), 3600.0) if is_told_open else 0.0,
            closed_s=now - self.closed_at if 0 <= now - self.closed_at < CLOSED_S else None,
            cooled_s=max(0.0, self.cooled_until - now),
            own_cooled_s=max(0.0, self.own_cooled_until - now),
        )

    def hear(self, told: Told, sums: Sums | None, now: float) -> None:
        """Take a new word of another node, and what all of them counted."""
        self.join(sums)
        if told.cooled_s:
            self.heard_cooled_until = max(self.heard_cooled_until, now + told.cooled_s)
            self.heard_own_cooled_until = max(self.heard_own_cooled_until, now + told.own_cooled_s)
        if told.open_s and (self.is_borrowed or not self.is_open) and self.answered_at < now - told.row_s:
            self._borrow(now + told.open_s, now - told.row_s)
        elif told.closed_s is not None and self.is_borrowed and now - told.closed_s >= self.row_began:
            self.is_open = self.is_borrowed = False
            self.probe_until = 0.0
            self.faults_in_a_row = 0
        self.reconsider()

    def join(self, sums: Sums | None) -> None:
        """Take what others counted beside its own."""
        self.short.hear(None if sums is None else sums.short)
        self.long.hear(None if sums is None else sums.long)
        self.latency.hear(None if sums is None else sums.latency)
        self.throughput.hear(None if sums is None else sums.throughput)
        self.seen_until = 0.0

    def _borrow(self, until: float, row_began: float) -> None:
        if not self.is_borrowed:
            self.is_open = self.is_borrowed = True
            # Its first probe that fails opens it by own faults, as it would have if all were its own.
            self.faults_in_a_row = FAULTS_TO_OPEN
        self.row_began = row_began
        self.open_until = max(self.open_until, until)

    def _fail(self, fault: FaultKind, retry_after_s: float | None, now: float) -> None:
        super()._fail(fault, retry_after_s, now)
        if fault in _NODES_OWN:
            self.of_our_key.counts(now)[0] += 1

    def _open(self, until: float) -> None:
        super()._open(until)
        self.is_borrowed = False
        self.is_urgent = True
