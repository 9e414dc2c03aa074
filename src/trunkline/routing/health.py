"""How endpoints did lately, from real attempts: latency, throughput, faults, cache hits, breakers and budgets.

It decides nothing about order; `ranking.py` does. It has no clock: every call is told the time, in seconds.

Theory of operation. Every attempt is told three times: `started` when it goes out, `answered` when its first token
comes, `record` when it has ended. A fault is one of three sorts (`Meaning.blame`): the provider's, which counts against
it everywhere; a limit (429, or a 403 that may be about the prompt as well as about our key), which cools the endpoint
down and counts as trouble for half a minute, but not against its uptime; and the client's (a 400, a refused or too long
prompt), which counts nowhere.

Each endpoint has a breaker:

    closed ──5 faults in a row, or one bad credential──▶ open ──time is up──▶ half-open
       ▲                                                  ▲                      │
       └──────────────── a first token ──────────────────────────────────────────┤
                                                          └───── a fault ────────┘

An open breaker removes nothing. The endpoint is *ejected*: it goes to the end of every plan, so that it is asked only
when nobody else is left. Half-open, it returns to its place for one attempt at a time, the probe; to all others it
looks ejected until the probe has ended or its lease ran out.

Keys are told apart. What is wrong with an account's own key – it is bad, has no credit, does not reach the model, is at
its limit – counts for that key alone: it is set aside for a while, and the endpoint's figures know nothing of it. And
what is wrong with the gateway's own key, or its limit, does not keep those away who bring theirs: to them the endpoint
is ejected, or in an outage, by faults of the provider's only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from trunkline.routing.meanings import MEANINGS
from trunkline.routing.windows import Distribution, Window
from trunkline.wire import FaultKind

Condition = Literal["stable", "degraded", "fallback_only", "outage", "ejected"]

CONDITIONS: Final[tuple[Condition, ...]] = ("stable", "degraded", "fallback_only", "outage", "ejected")
"""From the best to the worst; a condition is passed around as its place in this list."""

STABLE: Final = 0
DEGRADED: Final = 1
FALLBACK_ONLY: Final = 2
OUTAGE: Final = 3
EJECTED: Final = 4

FAULTS_TO_OPEN: Final = 5
OPEN_S: Final = 30.0
BAD_CREDENTIALS_OPEN_S: Final = 300.0
PROBE_LEASE_S: Final = 60.0
COOL_DOWN_S: Final = (1.0, 3600.0)
OUTAGE_FAULTS: Final = 2
UPTIME_SAMPLES: Final = 100
HEDGE_SAMPLES: Final = 20
HEDGED_SHARE: Final = 0.02
MAX_ENDPOINTS: Final = 10_000
OWN_KEY_REST_S: Final = 30.0
"""So long an account's own key that was refused is set aside: shorter than ours, since its owner pays meanwhile."""

_GOOD, _BAD, _READ, _CACHED, _DOWN = range(5)
_OURS: Final = 2
"""In the short window: faults of our own key or of its limit, which are no faults to who brings another."""
SHORT_WIDTH: Final = 3
LONG_WIDTH: Final = 5
_REQUESTS, _EXTRA = range(2)


class View(NamedTuple):
    """An endpoint's place in `CONDITIONS`, and the share of its input that its cache served lately.

    `own_condition` is its place for who asks with a key of their own.
    """

    condition: int
    cache_hit_rate: float
    own_condition: int = STABLE


_OF_KEYS: Final = frozenset({"credentials", "denied", "missing", "limited"})
"""Faults that may be about the key that was asked with: a model that it does not reach is not there to it."""

_UNKNOWN: Final = View(STABLE, 0.0)
_VIEW_S: Final = 2.0


class Outcome(Struct, frozen=True, gc=False, kw_only=True):
    """How one attempt ended; None where it did not get so far.

    `first_token_s` is the time to the first token, `generation_s` that from the first token to the last.
    """

    fault: FaultKind | None = None
    first_token_s: float | None = None
    generation_s: float | None = None
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    retry_after_s: float | None = None


class Percentiles(Struct, frozen=True):
    """Of throughput, `p90` is what 90 % of the answers reach or surpass; of latency, what 90 % do not exceed."""

    p50: float
    p75: float
    p90: float
    p99: float


class Figures(Struct, frozen=True, kw_only=True):
    """What is known of one endpoint: seconds, tokens per second, shares from 0 to 1; None without samples."""

    condition: Condition
    uptime: float | None = None
    attempts: int = 0
    latency: Percentiles | None = None
    throughput: Percentiles | None = None
    cache_hit_rate: float = 0.0


class Health:
    """The recent past of every endpoint that was asked, and the budgets of what may be asked twice.

    `retry_budget` is the share of the requests that may be followed by an attempt at an endpoint in trouble, `hedges`
    the share of the calls that may be doubled, which with 0 are not counted. Memory is bounded: at most 30 kB for each
    of `MAX_ENDPOINTS`.
    """

    def __init__(self, *, retry_budget: float = 0.2, hedges: float = HEDGED_SHARE) -> None:
        self._tracks: dict[str, Track] = {}
        self._own_keys: dict[tuple[str, str], float] = {}
        self._retry_budget = retry_budget
        self._hedges = hedges
        # Retries come in bursts and are budgeted over ten seconds; hedges are rare, and over five minutes.
        self._retrying = Window(2, slices=5, slice_s=2.0)
        self._hedging = Window(2, slices=5, slice_s=60.0)

    # What attempts tell

    def started(self, endpoint_id: str, now: float, *, is_first: bool = True) -> None:
        """Note that an attempt goes out; `is_first` for the first of its request."""
        track = self._tracks.get(endpoint_id)
        if is_first:
            self._retrying.counts(now)[_REQUESTS] += 1
            if self._hedges:
                self._hedging.counts(now)[_REQUESTS] += 1
        elif track is not None and track.condition(now) >= OUTAGE:
            self._retrying.counts(now)[_EXTRA] += 1
        if track is not None and track.is_open and now >= track.open_until:
            track.probe_until = now + PROBE_LEASE_S
            track.reconsider()

    def answered(self, endpoint_id: str, now: float) -> None:
        """Note that the first token of an attempt has come: a sign of life long before its answer has ended."""
        track = self._tracks.get(endpoint_id)
        if track is not None and (track.faults_in_a_row or track.is_open):
            track.answer(now)

    def record(self, endpoint_id: str, outcome: Outcome, now: float, *, own_key: str | None = None) -> None:
        """Note how an attempt ended, made with the account's own key of this id, or with ours.

        What is wrong with an account's own key says nothing about the endpoint.
        """
        if own_key is not None and outcome.fault in _OF_KEYS:
            self._set_aside(own_key, endpoint_id, outcome, now)
            return
        track = self._tracks.get(endpoint_id) or self._new_track(endpoint_id)
        track.record(outcome, now)

    def outrun(self, endpoint_id: str, waited_s: float, now: float) -> None:
        """Note that an endpoint had not spoken after so long, when another did: it is at least that slow.

        Unnoted, the slow ones would be missing from its percentiles, and it would be doubled ever sooner.
        """
        track = self._tracks.get(endpoint_id)
        if track is not None:
            track.latency.add(waited_s, now)

    def cool_down(self, endpoint_id: str, seconds: float, now: float) -> None:
        """Set an endpoint aside for a while, because its rate-limit headers say that nothing is left."""
        track = self._tracks.get(endpoint_id) or self._new_track(endpoint_id)
        track.cool_down(seconds, now)

    def hedged(self, now: float) -> None:
        """Note that a call was doubled."""
        self._hedging.counts(now)[_EXTRA] += 1

    # What planning asks

    def views(self, endpoint_ids: Iterable[str], now: float) -> list[View]:
        """What planning needs of each endpoint; up to two seconds old where nothing went wrong since."""
        found: list[View] = []
        for endpoint_id in endpoint_ids:
            track = self._tracks.get(endpoint_id)
            if track is None:
                found.append(_UNKNOWN)
            else:
                found.append(track.seen if now < track.seen_until else track.look(now))
        return found

    def condition(self, endpoint_id: str, now: float, *, is_byok: bool = False) -> int:
        """The endpoint's place in `CONDITIONS`, to us or to who brings a key; one that was never asked is stable."""
        track = self._tracks.get(endpoint_id)
        return STABLE if track is None else track.condition(now, is_byok=is_byok)

    def is_ejected(self, endpoint_id: str, now: float, own_key: str | None = None) -> bool:
        """Whether the endpoint's condition is the last of `CONDITIONS`, which is cheaper to say than which it is.

        With an account's own key: also whether that is set aside there.
        """
        track = self._tracks.get(endpoint_id)
        if own_key is None:
            return track is not None and now < track.ejected_until
        if self._own_keys and now < self._own_keys.get((own_key, endpoint_id), 0.0):
            return True
        return track is not None and now < track.own_ejected_until

    def latency(self, endpoint_id: str, share: float, now: float) -> float | None:
        """Seconds to the first token that `share` of the answers did not exceed."""
        track = self._tracks.get(endpoint_id)
        return None if track is None else track.latency.percentile(share, now)

    def throughput(self, endpoint_id: str, share: float, now: float) -> float | None:
        """Tokens per second that `share` of the answers reached or surpassed."""
        track = self._tracks.get(endpoint_id)
        return None if track is None else track.throughput.percentile(1 - share, now)

    def cache_hit_rate(self, endpoint_id: str, now: float) -> float:
        """The share of input tokens that were read from the provider's cache in the last half hour."""
        track = self._tracks.get(endpoint_id)
        return 0.0 if track is None else track.cache_hit_rate(now)

    def may_retry(self, now: float) -> bool:
        """Whether another attempt may go to an endpoint in trouble: at least 3 in ten seconds, else the budget."""
        requests, extra = self._retrying.totals(now)
        return extra < max(3.0, self._retry_budget * requests)

    def hedge_after(self, endpoint_id: str, now: float) -> float | None:
        """Seconds of silence after which a call may be doubled; None when it may not, or too little is known."""
        track = self._tracks.get(endpoint_id)
        requests, hedges = self._hedging.totals(now)
        if track is None or hedges + 1 > self._hedges * requests or track.latency.samples(now) < HEDGE_SAMPLES:
            return None
        return track.latency.percentile(0.95, now)

    # What listings ask

    def figures(self, endpoint_id: str, now: float) -> Figures:
        """All that is known of an endpoint."""
        track = self._tracks.get(endpoint_id)
        return Figures(condition="stable") if track is None else track.figures(now)

    def joint_figures(self, endpoint_ids: Iterable[str], now: float) -> Figures:
        """All that is known of several endpoints taken as one, as a provider's; its condition is that of the best."""
        tracks = [track for each in endpoint_ids if (track := self._tracks.get(each)) is not None]
        if not tracks:
            return Figures(condition="stable")
        known = [track.figures(now) for track in tracks]
        attempts = sum(each.attempts for each in known)
        good = sum((each.uptime or 0.0) * each.attempts for each in known)
        return Figures(
            condition=CONDITIONS[min(CONDITIONS.index(each.condition) for each in known)],
            uptime=good / attempts if attempts else None,
            attempts=attempts,
            latency=_percentiles(Distribution.merged([t.latency for t in tracks], now), now, from_below=True),
            throughput=_percentiles(Distribution.merged([t.throughput for t in tracks], now), now, from_below=False),
        )

    def _set_aside(self, own_key: str, endpoint_id: str, outcome: Outcome, now: float) -> None:
        """Set an account's own key aside at one endpoint; one that is at its limit for as long as it was told."""
        low, high = COOL_DOWN_S
        match outcome.fault:
            case "credentials" | "missing":
                rest_s = OWN_KEY_REST_S
            case "limited" if outcome.retry_after_s is not None and isfinite(outcome.retry_after_s):
                rest_s = min(max(outcome.retry_after_s, low), high)
            case _:
                return
        self._own_keys.pop((own_key, endpoint_id), None)
        if len(self._own_keys) >= MAX_ENDPOINTS:
            del self._own_keys[next(iter(self._own_keys))]
        self._own_keys[own_key, endpoint_id] = now + rest_s

    def _new_track(self, endpoint_id: str) -> Track:
        track = Track()
        self._keep(endpoint_id, track)
        return track

    def _keep(self, endpoint_id: str, track: Track) -> None:
        if len(self._tracks) >= MAX_ENDPOINTS:
            # The one least recently created goes; it comes back as unknown when it is asked again.
            del self._tracks[next(iter(self._tracks))]
        self._tracks[endpoint_id] = track


def is_of_key(fault: FaultKind | None) -> bool:
    """Whether a fault may be about the key that was asked with."""
    return fault in _OF_KEYS


class Track:
    """One endpoint."""

    __slots__ = (
        "cooled_until",
        "ejected_until",
        "faults_in_a_row",
        "is_open",
        "key_open_until",
        "latency",
        "long",
        "open_until",
        "own_cooled_until",
        "own_ejected_until",
        "probe_until",
        "row_began",
        "seen",
        "seen_until",
        "short",
        "throughput",
    )

    def __init__(self, window: type[Window] = Window, distribution: Callable[[], Distribution] = Distribution) -> None:
        self.short = window(SHORT_WIDTH, slices=15, slice_s=2.0)
        self.long = window(LONG_WIDTH, slices=30, slice_s=60.0, typecode="q")
        self.latency = distribution()
        self.throughput = distribution()
        self.faults_in_a_row = 0
        self.is_open = False
        self.row_began = 0.0
        self.open_until = self.probe_until = self.cooled_until = self.ejected_until = 0.0
        self.key_open_until = self.own_cooled_until = self.own_ejected_until = 0.0
        self.seen = _UNKNOWN
        self.seen_until = 0.0

    def look(self, now: float) -> View:
        """Take a new view and keep it for as long as the shortest slice of a window, or until a fault."""
        self.seen = View(self.condition(now), self.cache_hit_rate(now), self.condition(now, is_byok=True))
        # Trouble ends at exact times, so only the view of an endpoint without trouble is kept.
        self.seen_until = now + _VIEW_S if self.seen.condition < OUTAGE else 0.0
        return self.seen

    def reconsider(self) -> None:
        """Work out how long the endpoint is ejected, after one of the times changed, and drop the view of it."""
        self.ejected_until = max(self.cooled_until, self.open_until, self.probe_until)
        is_ours = self.open_until <= self.key_open_until
        self.own_ejected_until = max(self.own_cooled_until, 0.0 if is_ours else max(self.open_until, self.probe_until))
        self.seen_until = 0.0

    def record(self, outcome: Outcome, now: float) -> None:
        first_token_s, generation_s = outcome.first_token_s, outcome.generation_s
        counts = self.long.counts(now)
        if outcome.fault is None:
            self.short.counts(now)[_GOOD] += 1
            counts[_GOOD] += 1
            if self.faults_in_a_row or self.is_open:
                # A long answer that began before things went wrong says nothing about how they are now.
                began = now - (first_token_s or 0.0) - (generation_s or 0.0)
                if began >= self.row_began:
                    self.answer(began)
        else:
            self._fail(outcome.fault, outcome.retry_after_s, now)
        if first_token_s is not None:
            self.latency.add(first_token_s, now)
        if generation_s and outcome.output_tokens:
            self.throughput.add(outcome.output_tokens / generation_s, now)
        counts[_READ] += outcome.input_tokens
        counts[_CACHED] += outcome.cache_read_tokens if outcome.input_tokens else 0

    def answer(self, now: float) -> None:
        """End a row of faults, and close the breaker where its time is up."""
        self.faults_in_a_row = 0
        if self.is_open and now >= self.open_until:
            self.is_open = False
            self.probe_until = 0.0
            self.reconsider()

    def cool_down(self, seconds: float, now: float, *, is_ours: bool = True) -> None:
        low, high = COOL_DOWN_S
        if isfinite(seconds):
            self.cooled_until = max(self.cooled_until, now + min(max(seconds, low), high))
            if not is_ours:
                self.own_cooled_until = self.cooled_until
            self.reconsider()

    def condition(self, now: float, *, is_byok: bool = False) -> int:
        if now < (self.own_ejected_until if is_byok else self.ejected_until):
            return EJECTED
        good, bad, ours = self.short.totals(now)
        bad += 0 if is_byok else ours
        if bad >= OUTAGE_FAULTS and bad >= good:
            return OUTAGE
        good, bad = self.long.totals(now)[: _BAD + 1]
        attempts = good + bad
        if attempts < UPTIME_SAMPLES or good >= 0.95 * attempts:
            return STABLE
        return DEGRADED if good >= 0.8 * attempts else FALLBACK_ONLY

    def cache_hit_rate(self, now: float) -> float:
        read, cached = self.long.totals(now)[_READ : _CACHED + 1]
        return min(cached / read, 1.0) if read else 0.0

    def figures(self, now: float) -> Figures:
        condition = self.condition(now)
        good, bad, _, _, down = self.long.totals(now)
        attempts = good + bad + down
        return Figures(
            condition=CONDITIONS[condition],
            uptime=good / attempts if attempts else None,
            attempts=attempts,
            latency=_percentiles(self.latency, now, from_below=True),
            throughput=_percentiles(self.throughput, now, from_below=False),
            cache_hit_rate=self.cache_hit_rate(now),
        )

    def _fail(self, fault: FaultKind, retry_after_s: float | None, now: float) -> None:
        self.probe_until = 0.0
        self.reconsider()
        blame = MEANINGS[fault].blame
        if blame == "client":
            return
        is_ours = fault in _OF_KEYS
        self.short.counts(now)[_OURS if is_ours else _BAD] += 1
        if retry_after_s is not None:
            self.cool_down(retry_after_s, now, is_ours=is_ours)
        if blame == "limit":
            return
        # A fault of an endpoint that is known to be down says only that it still is. Counted like the others it would
        # keep the endpoint behind for half an hour after it works again.
        self.long.counts(now)[_DOWN if self.is_open else _BAD] += 1
        if not self.faults_in_a_row:
            self.row_began = now
        self.faults_in_a_row += 1
        is_bad_key = fault == "credentials"
        # Faults of attempts that were on their way when the breaker opened do not keep it open for longer.
        if is_bad_key or (self.faults_in_a_row >= FAULTS_TO_OPEN and now >= self.open_until):
            until = now + (BAD_CREDENTIALS_OPEN_S if is_bad_key else OPEN_S)
            if is_ours:
                self.key_open_until = until
            self._open(until)

    def _open(self, until: float) -> None:
        self.is_open = True
        self.open_until = max(self.open_until, until)
        self.reconsider()


def _percentiles(distribution: Distribution, now: float, *, from_below: bool) -> Percentiles | None:
    shares = (0.5, 0.75, 0.9, 0.99) if from_below else (0.5, 0.25, 0.1, 0.01)
    values = [value for share in shares if (value := distribution.percentile(share, now)) is not None]
    return Percentiles(*values) if values else None
