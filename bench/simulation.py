"""An hour of routing in one process: endpoints that fail, stall and recover, and what the real planner makes of it.

    python -m bench.simulation            an hour at 100 requests per second, every scenario, plots into docs/
    python -m bench.simulation 300 20     five minutes at 20 per second

There is no network and no sleeping: time is a number, chance is seeded, and the same arguments print the same figures.
Planning, health and fallback are those that serve; only the providers are made up.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Final, Literal

from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.prices import Price
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.preferences import ProviderPreferences, Sort
from trunkline.protocol.request import Request
from trunkline.routing.fallback import Attempted, next_attempt
from trunkline.routing.health import Health, Outcome
from trunkline.routing.plan import Plan, Planner, Policy
from trunkline.wire import Fault, FaultKind

MODEL: Final = "model/one"
PRICES: Final = {"cheap": 1, "fair": 2, "twin": 3, "other": 3, "dear": 5}
PROVIDERS: Final = {"cheap": "alpha", "twin": "alpha", "fair": "beta", "dear": "beta", "other": "gamma"}
COLORS: Final = {"cheap": "#1b7f4d", "fair": "#2a6fb8", "twin": "#c77d0a", "other": "#8a4fb0", "dear": "#b3352d"}
START: Final = 1_000_000.0
TIMEOUT_S: Final = 10.0
SAMPLE_S: Final = 10

Way = Literal["dead", "silent", "cuts", "slow"]


@dataclass(frozen=True)
class Trouble:
    """What is wrong with some endpoints from one moment to another, as shares of the whole time."""

    names: tuple[str, ...]
    way: Way
    begin: float
    end: float
    share: float = 1.0


@dataclass(frozen=True)
class Scenario:
    """One hour: its troubles, and what the requests ask for."""

    name: str
    title: str
    troubles: tuple[Trouble, ...]
    sort: Sort | None = None


@dataclass
class Report:
    """What came of a scenario; `served` counts answers by name for each sample of ten seconds."""

    scenario: Scenario
    seconds: float
    requests: int = 0
    failed: int = 0
    spent: float = 0.0
    least_possible: float = 0.0
    asked: list[dict[str, int]] = field(default_factory=list)
    served: list[dict[str, int]] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)

    @property
    def success(self) -> float:
        """The share of requests that were answered."""
        return 1 - self.failed / self.requests

    @property
    def mean_price(self) -> float:
        """What an answer cost on average, where an answer of `cheap` costs 1."""
        return self.spent / (self.requests - self.failed)

    @property
    def least_mean_price(self) -> float:
        """The same, had every request gone to the cheapest endpoint that was up."""
        return self.least_possible / self.requests

    def always_available(self) -> float:
        """The price of the cheapest endpoint that nothing befell."""
        befallen = {name for trouble in self.scenario.troubles for name in trouble.names}
        return min(price for name, price in PRICES.items() if name not in befallen)

    def load(self, names: Sequence[str], begin: float, end: float) -> float:
        """Attempts for each request in a stretch of time: at all endpoints when `names` is empty, else at those."""
        window = range(int(begin * self.seconds / SAMPLE_S), int(end * self.seconds / SAMPLE_S))
        attempts = sum(self.asked[at].get(name, 0) for at in window for name in (names or PRICES))
        return attempts / sum(self.arrived[at] for at in window)

    def recovery_s(self, name: str, moment: float) -> float:
        """Seconds from a moment until an endpoint serves four fifths of the share it served at the very beginning."""
        first = 60 // SAMPLE_S
        usual = sum(each.get(name, 0) for each in self.served[:first]) / sum(self.arrived[:first])
        begin = int(moment * self.seconds / SAMPLE_S)
        for at in range(begin, len(self.served)):
            if self.arrived[at] and self.served[at].get(name, 0) / self.arrived[at] >= 0.8 * usual:
                return float((at - begin + 1) * SAMPLE_S)
        return float("inf")


ALPHA: Final = ("cheap", "twin")
SCENARIOS: Final = (
    Scenario(
        "hour",
        "An hour of trouble: the cheapest dies, stalls and slows down; a twin cuts streams",
        (
            Trouble(("cheap",), "dead", 0.10, 0.25),
            Trouble(("cheap",), "silent", 0.40, 0.50),
            Trouble(("cheap",), "slow", 0.60, 0.70),
            Trouble(("twin",), "cuts", 0.30, 0.60, share=0.5),
            Trouble(("other",), "slow", 0.50, 0.80),
        ),
    ),
    Scenario(
        "price",
        "The same hour with sort: price",
        (
            Trouble(("cheap",), "dead", 0.10, 0.25),
            Trouble(("cheap",), "silent", 0.40, 0.50),
            Trouble(("twin",), "cuts", 0.30, 0.60, share=0.5),
        ),
        Sort("price"),
    ),
    Scenario("dead", "One provider of three is dead for half of the time", (Trouble(ALPHA, "dead", 0.20, 0.70),)),
    Scenario(
        "cuts", "One provider of three cuts 20 % of its streams before output", (Trouble(ALPHA, "cuts", 0, 1, 0.2),)
    ),
    Scenario("all", "Everybody is dead for a while", (Trouble(tuple(PRICES), "dead", 0.40, 0.50),)),
)


def simulate(scenario: Scenario, seconds: float = 3600.0, per_second: float = 100.0, seed: int = 1) -> Report:
    """Live through a scenario."""
    world = _World(scenario, seconds, random.Random(seed))
    samples = int(seconds / SAMPLE_S) + 2
    report = Report(scenario, seconds, asked=[{} for _ in range(samples)], served=[{} for _ in range(samples)])
    report.arrived = [0] * samples
    total = int(seconds * per_second)
    for number in range(total):
        arrival = number / per_second
        world.advance(arrival, report)
        report.requests += 1
        report.arrived[int(arrival / SAMPLE_S)] += 1
        report.least_possible += world.cheapest(arrival)
        world.arrive(arrival, report)
    world.advance(float("inf"), report)
    return report


class _Catalog:
    default_model = MODEL

    def __init__(self) -> None:
        self._endpoints = tuple(_endpoint(name) for name in PRICES)

    def endpoints_of(self, model: str, own_keys: Collection[str] = ()) -> tuple[Endpoint, ...]:
        return self._endpoints

    def provider_slug(self, name: str) -> str:
        return name


@dataclass
class _Call:
    """A request on its way."""

    plan: Plan
    made: list[Attempted] = field(default_factory=list)


class _World:
    """Providers that behave as the scenario says, and the calls that wait for them."""

    def __init__(self, scenario: Scenario, seconds: float, chance: random.Random) -> None:
        self._scenario = scenario
        self._seconds = seconds
        self._chance = chance
        self._health = Health()
        self._catalog = _Catalog()
        self._request = Request(
            model=MODEL,
            input=(Message(role="user", content=(InputText("word " * 250),)),),
            provider=ProviderPreferences(sort=scenario.sort),
        )
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._tickets = count()

    def arrive(self, now: float, report: Report) -> None:
        """A client asks."""
        planner = Planner(self._catalog, self._health, self._chance.random, lambda: START + now)
        chosen = planner.plan(self._request, Policy())
        self._attempt(_Call(chosen), now, report)

    def advance(self, until: float, report: Report) -> None:
        """Let everything happen that ends before a moment."""
        while self._waiting and self._waiting[0][0] <= until:
            heappop(self._waiting)[2]()

    def cheapest(self, now: float) -> int:
        """The price of the cheapest endpoint that answers at a moment, or of the cheapest at all."""
        up = [
            price for name, price in PRICES.items() if not any(t.way in ("dead", "silent") for t in self._at(name, now))
        ]
        return min(up, default=min(PRICES.values()))

    def _attempt(self, call: _Call, now: float, report: Report) -> None:
        place = next_attempt(call.plan, call.made, self._health, now=START + now)
        if place is None:
            report.failed += 1
            return
        endpoint = call.plan.attempts[place]
        name = endpoint.upstream_model
        _count(report.asked[min(int(now / SAMPLE_S), len(report.asked) - 1)], name)
        self._health.started(endpoint.id, START + now, is_first=not call.made)
        fault, wait, outcome = self._behaviour(name, now)
        ended = now + wait

        def end() -> None:
            self._health.record(endpoint.id, outcome, START + ended)
            if fault is None:
                report.spent += PRICES[name]
                _count(report.served[min(int(now / SAMPLE_S), len(report.served) - 1)], name)
                return
            call.made.append(Attempted(endpoint=endpoint, fault=Fault(fault, "it broke"), started=now, ended=ended))
            self._attempt(call, ended, report)

        def begin() -> None:
            self._health.answered(endpoint.id, START + began)

        if fault is None:
            began = now + (outcome.first_token_s or 0.0)
            heappush(self._waiting, (began, next(self._tickets), begin))
        heappush(self._waiting, (ended, next(self._tickets), end))

    def _behaviour(self, name: str, now: float) -> tuple[FaultKind | None, float, Outcome]:
        """How an attempt goes: its fault, when it is over, and what is noted."""
        first = 0.4 * self._chance.lognormvariate(0, 0.3)
        for trouble in self._at(name, now):
            match trouble.way:
                case "dead":
                    return "unavailable", 0.05, Outcome(fault="unavailable")
                case "silent":
                    return "silent", TIMEOUT_S, Outcome(fault="silent")
                case "cuts":
                    if self._chance.random() < trouble.share:
                        return "nonsense", first, Outcome(fault="nonsense")
                case "slow":
                    first *= 10
        outcome = Outcome(first_token_s=first, generation_s=2.0, output_tokens=100, input_tokens=300)
        return None, first + 2.0, outcome

    def _at(self, name: str, now: float) -> Iterator[Trouble]:
        moment = now / self._seconds
        return (each for each in self._scenario.troubles if name in each.names and each.begin <= moment < each.end)


def _endpoint(name: str) -> Endpoint:
    usd = Decimal(PRICES[name]).scaleb(-6)
    return Endpoint(
        model=Model(slug=MODEL),
        provider=Provider(slug=PROVIDERS[name], name=PROVIDERS[name].title()),
        upstream_model=name,
        dialect="chat",
        base_url="https://provider.invalid",
        price=Price(input=usd, output=usd),
        tag=f"{PROVIDERS[name]}/{name}",
    )


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def plot(report: Report, width: int = 860, height: int = 250) -> str:
    """Draw who served how much, over time, as SVG; troubles are shaded in the color of whom they befell."""
    canvas = _Canvas(report, width, height)
    return "\n".join([*canvas.frame(), *canvas.troubles(), *canvas.shares(), "</svg>", ""])


class _Canvas:
    """The parts of a plot."""

    def __init__(self, report: Report, width: int, height: int) -> None:
        self._report = report
        self._size = (width, height)
        self._left, self._top = 46, 34
        self._wide, self._high = width - self._left - 90, height - self._top - 28

    def frame(self) -> Iterator[str]:
        (width, height), style = self._size, 'font-family="sans-serif" font-size="11"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>'
        yield f'<rect width="{width}" height="{height}" fill="white"/>'
        yield f'<text x="{self._left}" y="18" font-size="13">{self._report.scenario.title}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            y, minutes = self._y(share), self._report.seconds / 60 * share
            yield f'<path d="M{self._left} {y:.1f}h{self._wide}" stroke="#ddd"/>'
            yield f'<text x="{self._left - 6}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>'
            yield f'<text x="{self._x(share):.1f}" y="{height - 8}" text-anchor="middle">{minutes:.0f} min</text>'

    def troubles(self) -> Iterator[str]:
        for place, trouble in enumerate(self._report.scenario.troubles):
            x, wide = self._x(trouble.begin), self._wide * (trouble.end - trouble.begin)
            names = "all" if len(trouble.names) == len(PRICES) else " and ".join(trouble.names)
            color = COLORS[trouble.names[0]]
            area = f'x="{x:.1f}" y="{self._top}" width="{wide:.1f}" height="{self._high}"'
            yield f'<rect {area} fill="{color}" opacity="0.1"/>'
            y = self._top + 11 + 12 * (place % 3)
            yield f'<text x="{x + 3:.1f}" y="{y}" fill="#555">{names}: {trouble.way}</text>'

    def shares(self) -> Iterator[str]:
        report = self._report
        samples = int(report.seconds / SAMPLE_S)
        step = max(1, samples // 120)
        for place, (name, color) in enumerate(COLORS.items()):
            points = []
            for at in range(0, samples, step):
                served = sum(each.get(name, 0) for each in report.served[at : at + step])
                share = served / (sum(report.arrived[at : at + step]) or 1)
                points.append(f"{self._x((at + step / 2) / samples):.1f},{self._y(min(share, 1)):.1f}")
            yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="1.6"/>'
            x, y = self._left + self._wide + 8, self._top + 12 + 16 * place
            yield f'<text x="{x}" y="{y}" fill="{color}">{name} (${PRICES[name]})</text>'

    def _x(self, moment: float) -> float:
        return self._left + self._wide * moment

    def _y(self, share: float) -> float:
        return self._top + self._high * (1 - share)


def told(report: Report) -> Iterator[str]:
    """Put a report into lines."""
    scenario = report.scenario
    yield f"{scenario.title}: {report.requests} requests"
    yield f"  answered      {report.success:.4%}"
    yield f"  mean price    {report.mean_price:.3f}; {report.least_mean_price:.3f} from the cheapest that is up"
    for trouble in scenario.troubles:
        there = report.load(trouble.names, trouble.begin, trouble.end)
        total = report.load((), trouble.begin, trouble.end)
        line = (
            f"  {' and '.join(trouble.names)} {trouble.way}: {there:.3f} attempts there a request, {total:.3f} in all"
        )
        if trouble.way in ("dead", "silent") and trouble.end < 1:
            line += f"; full weight again after {report.recovery_s(trouble.names[0], trouble.end):.0f} s"
        yield line


def main(arguments: Sequence[str]) -> None:
    """Live through all scenarios and print their figures; draw those of the whole hour."""
    seconds, per_second = (float(each) for each in arguments) if arguments else (3600.0, 100.0)
    for scenario in SCENARIOS:
        report = simulate(scenario, seconds, per_second)
        print("\n".join(told(report)))
        if not arguments:
            Path(f"docs/explanation/routing-{scenario.name}.svg").write_text(plot(report), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
