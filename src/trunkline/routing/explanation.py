"""Why a plan is as it is: the numbers of every step, as they arose, put together and into words when somebody asks.

Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from trunkline.catalog.entries import Endpoint
from trunkline.protocol.preferences import Partition, SortBy
from trunkline.routing.health import CONDITIONS

By = SortBy | Literal["quality"]

PREFERENCES: Final = ("kept", "unknown", "missed")
"""How an endpoint does against `preferred_max_latency` and `preferred_min_throughput`."""

ISSUED: Final = ("by this endpoint", "by this provider", "elsewhere")


class FilteredOut(Struct, frozen=True, gc=False):
    """An endpoint that a filter removed; `reason` reads on from the endpoint's name."""

    endpoint_id: str
    provider: str
    model: str
    filter: str
    reason: str


class Candidate(Struct, frozen=True, gc=False, kw_only=True):
    """An endpoint that may serve, with all that its place depends on but its price.

    `condition`, `preference` and `issued` are places in `CONDITIONS`, `PREFERENCES` and `ISSUED`, `group` is the
    model's place in the request and `place` the provider's in `order`. `cache_hit_rate` is the share of its input
    that its cache served lately, `figure` the median that `sort` goes by. `lacks_search`: it cannot make the search
    that the request offers. `is_short`: its context likely cannot hold all of the request, which may be made shorter.
    """

    endpoint: Endpoint
    is_byok: bool
    condition: int
    preference: int
    group: int
    place: int
    issued: int
    is_sticky: bool
    cache_hit_rate: float
    figure: float | None
    lacks_search: bool = False
    is_short: bool = False


class Step(Struct, frozen=True, gc=False):
    """Candidates of equal rank, in the catalog's order, as they were put in order: sorted, or drawn with `dice`.

    Those that are yet to be drawn have no `order`.
    """

    by: By | None
    candidates: tuple[Candidate, ...]
    order: tuple[int, ...]
    weights: tuple[float, ...] = ()
    dice: tuple[float, ...] = ()


class Explanation(Struct, frozen=True, gc=False, kw_only=True):
    """What planning did, in its own order; `order` is what came of it.

    `input_tokens` and `output_tokens` are what the request was expected to take, and `prices`, beside `order`, the USD
    that it was expected to cost; None where that is not known.
    """

    models: tuple[str, ...] = ()
    partition: Partition = "model"
    input_tokens: int | None = None
    output_tokens: int | None = None
    filters: tuple[str, ...] = ()
    filtered_out: tuple[FilteredOut, ...] = ()
    steps: tuple[Step, ...] = ()
    order: tuple[Candidate, ...] = ()
    prices: tuple[float | None, ...] = ()

    @property
    def priced(self) -> Iterator[tuple[Candidate, float | None]]:
        """Each candidate in order, with what it was expected to cost."""
        return zip(self.order, self.prices, strict=True)

    @property
    def dice(self) -> tuple[float, ...]:
        """Every value thrown, in order: the same again give the same plan."""
        return tuple(value for step in self.steps for value in step.dice)


def as_json(explanation: Explanation) -> dict[str, object]:
    """Put an explanation into plain values that JSON can hold."""
    return {
        "models": list(explanation.models),
        "partition": explanation.partition,
        "expected_input_tokens": explanation.input_tokens,
        "expected_output_tokens": explanation.output_tokens,
        "filters": list(explanation.filters),
        "dropped": [
            {
                "endpoint": each.endpoint_id,
                "provider": each.provider,
                "model": each.model,
                "filter": each.filter,
                "reason": each.reason,
            }
            for each in explanation.filtered_out
        ],
        "order": [_told(candidate, usd) for candidate, usd in explanation.priced],
        "steps": [_step(step) for step in explanation.steps if len(step.candidates) > 1],
        "dice": list(explanation.dice),
    }


def as_table(explanation: Explanation) -> str:
    """Lay an explanation out for a terminal: who is asked in which order, who is not, and why."""
    rows = [("", "endpoint", "condition", "expected USD", "because")]
    for number, (candidate, usd) in enumerate(explanation.priced, 1):
        price = "unknown" if usd is None else f"{usd:.6f}"
        endpoint_id = candidate.endpoint.id
        rows.append((str(number), endpoint_id, CONDITIONS[candidate.condition], price, _because(candidate, usd)))
    for each in explanation.filtered_out:
        rows.append(("–", each.endpoint_id, "dropped", "", f"{each.filter}: {each.reason}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    lines += [_sentence(step) for step in explanation.steps if len(step.candidates) > 1]
    return "\n".join(line.rstrip() for line in lines)


def why(explanation: Explanation) -> list[str]:
    """Put an explanation into sentences: who is asked in which order, what told them apart, and who is not asked."""
    order = [candidate.endpoint.id for candidate in explanation.order]
    told = [f"{order[0]} is asked first{f', then {_and(order[1:])}' if order[1:] else ''}."] if order else []
    told += [_sentence(step) for step in explanation.steps if len(step.candidates) > 1]
    told += [f"{each.endpoint.id}: {text}." for each, usd in explanation.priced if (text := _because(each, usd))]
    told += [f"{each.endpoint_id} is left out by {each.filter}: it {each.reason}." for each in explanation.filtered_out]
    return told


def draws(step: Step) -> Iterator[tuple[float, dict[str, float], str]]:
    """Go through the draws of a step again: the dice, the weight of everybody left, and who was drawn."""
    names = [candidate.endpoint.id for candidate in step.candidates]
    left = dict(zip(names, step.weights, strict=False))
    # There is one throw less than there are candidates: nobody is drawn last.
    for value, index in zip(step.dice, step.order, strict=False):
        yield value, left.copy(), names[index]
        del left[names[index]]


def _told(candidate: Candidate, usd: float | None) -> dict[str, object]:
    endpoint = candidate.endpoint
    return {
        "endpoint": endpoint.id,
        "provider": endpoint.provider.slug,
        "model": endpoint.model.slug,
        "is_byok": candidate.is_byok,
        "condition": CONDITIONS[candidate.condition],
        "preference": PREFERENCES[candidate.preference],
        "place_of_model": candidate.group,
        "place_in_order": candidate.place,
        "reasoning_issued": ISSUED[candidate.issued],
        "is_sticky": candidate.is_sticky,
        "expected_usd": usd,
        "figure": candidate.figure,
        "because": _because(candidate, usd),
    }


def _because(candidate: Candidate, usd: float | None) -> str:
    causes = [
        ("the account's own key", candidate.is_byok),
        (f"{CONDITIONS[candidate.condition].replace('_', ' ')} lately", candidate.condition > 0),
        (f"performance preference {PREFERENCES[candidate.preference]}", candidate.preference > 0),
        (f"encrypted reasoning issued {ISSUED[candidate.issued]}", candidate.issued < 2),
        ("served this conversation last", candidate.is_sticky),
        ("a context that does not hold all of the input", candidate.is_short),
        ("no known price", usd is None),
    ]
    return ", ".join(text for text, holds in causes if holds)


def _step(step: Step) -> dict[str, object]:
    return {
        "by": step.by or "balance",
        "among": [candidate.endpoint.id for candidate in step.candidates],
        "weights": list(step.weights),
        "draws": [{"dice": value, "weights": weights, "drawn": name} for value, weights, name in draws(step)],
        "order": [step.candidates[index].endpoint.id for index in step.order],
    }


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(step: Step) -> str:
    if step.by is not None:
        return f"Sorted by {step.by}: {', '.join(step.candidates[index].endpoint.id for index in step.order)}."
    told = []
    for value, weights, name in draws(step):
        share = weights[name] / (sum(weights.values()) or 1)
        told.append(f"{name} at {share:.0%} (dice {value:.4f})")
    return f"Drawn among {len(step.candidates)}: {', then '.join(told)}."
