"""Times planning and the keeping of health, without sockets: what routing adds to a call.

python -m bench.planning
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from itertools import chain, count, cycle
from statistics import median
from typing import Final

from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.prices import Price
from trunkline.generation import Generation
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.preferences import Cutoffs, ProviderPreferences, Sort
from trunkline.protocol.request import Request
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Health, Outcome
from trunkline.routing.plan import Plan, Planner, Policy
from trunkline.telemetry.recent import Recent

ROUNDS: Final = 25
NOW: Final = 1_000_000.0
HELLO: Final = (Message(role="user", content=(InputText("Say hello to all of them. " * 20),)),)
ANSWERED: Final = Outcome(
    first_token_s=0.4, generation_s=3.0, input_tokens=1000, cache_read_tokens=100, output_tokens=200
)


class Shelf:
    """A catalog of 10,000 endpoints: 499 models with 20 each, two with 5, one of them with cheap cache reads, one."""

    default_model = None

    def __init__(self) -> None:
        slugs = {f"many/m{number}": 20 for number in range(499)} | {"few/m": 5, "few/cached": 5, "one/m": 1}
        self._by_model = {slug: tuple(_endpoint(slug, n) for n in range(size)) for slug, size in slugs.items()}

    def endpoints_of(self, model: str, own_keys: Collection[str] = ()) -> tuple[Endpoint, ...]:
        """The endpoints of a model."""
        return self._by_model[model]

    def provider_slug(self, name: str) -> str:
        """The name, as it is."""
        return name


def main() -> None:
    """Print the microseconds of CPU time: the median of many rounds, and the best."""
    shelf, health, dice = Shelf(), Health(), random.Random(1).random
    for endpoint in chain.from_iterable(map(shelf.endpoints_of, ("one/m", "few/m", "few/cached", "many/m0"))):
        for step in range(60):
            health.record(endpoint.id, ANSWERED, NOW - 6 + step / 10)
    wishes = ProviderPreferences(
        sort=Sort("throughput"), preferred_max_latency=Cutoffs(p50=1.0, p90=2.0), ignore=("p3",)
    )
    lengths = [(Message(role="user", content=(InputText("word " * (500 + more)),)),) for more in range(20)]
    few = [Request(model="few/m", input=HELLO)]
    asks = {
        "plan: 1 endpoint": [Request(model="one/m", input=HELLO)],
        "plan: 5 endpoints": few,
        "plan: 5 endpoints with prompt caches": [Request(model="few/cached", input=HELLO)],
        "plan: 5 endpoints, another length each time": [Request(model="few/m", input=input) for input in lengths],
        "plan: 20 endpoints of 10,000": [Request(model="many/m0", input=HELLO)],
        "plan: 20 endpoints, sort, cut-offs, ignore": [Request(model="many/m0", input=HELLO, provider=wishes)],
    }
    for name, requests in asks.items():
        _print(name, _plan(requests, shelf, health, dice), 500)
    recent, names = Recent(1000), (f"resp_{number}" for number in count())
    plan = Planner(shelf, health, dice, lambda: NOW).plan(few[0], Policy())
    _print("recent.keep", lambda: recent.keep(_generation(next(names), plan)), 5000)
    _print("plan.explanation", lambda: plan.explanation, 5000)
    clock = iter(range(10**9))
    _print("health.record", lambda: health.record("p0:few/m", ANSWERED, NOW + next(clock) / 100), 5000)


def _plan(requests: Iterable[Request], shelf: Shelf, health: Health, dice: Callable[[], float]) -> Callable[[], object]:
    policy, planner, each = Policy(), Planner(shelf, health, dice, lambda: NOW, Affinity()), cycle(requests)
    return lambda: planner.plan(next(each), policy)


def _generation(name: str, plan: Plan) -> Generation:
    return Generation(
        id=name,
        account_id="default",
        key_id="key",
        ending="ended",
        plan=plan,
        endpoint=None,
        has_answered=False,
    )


def _print(name: str, work: Callable[[], object], times: int) -> None:
    spent = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(times):
            work()
        spent.append((time.process_time() - begin) / times * 1e6)
    print(f"{name:54} {median(spent):7.1f} µs   best {min(spent):7.1f} µs")


def _endpoint(model: str, number: int) -> Endpoint:
    usd = Decimal(number + 1).scaleb(-6)
    return Endpoint(
        model=Model(slug=model),
        provider=Provider(slug=f"p{number}", name=f"P{number}"),
        upstream_model=model,
        dialect="chat",
        base_url="https://provider.invalid",
        price=Price(input=usd, output=usd * 3, cache_read=usd / 10 if model == "few/cached" else None),
        context_tokens=200_000,
        supports=frozenset({"tools", "max_tokens", "temperature"}),
    )


if __name__ == "__main__":
    main()
