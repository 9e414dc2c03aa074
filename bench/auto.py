"""How well the auto-router chooses, on prompts with the tier that a careful operator would pay for.

`python -m bench.auto` prints for each set how many tiers are exact, too weak and too dear, what the choices cost beside
always asking the model that hard prompts get, and how long it takes. `--fit` fits the weights anew, to the half of the
prompts that is there for it, and prints them; `--page` writes the choices for thirty prompts into
`docs/how-to/auto-router.md`.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from trunkline.catalog.entries import Catalog, Endpoint, Model, Provider
from trunkline.catalog.prices import Price
from trunkline.faces.responses.parse import parse
from trunkline.inventory import load_quality
from trunkline.plugins import router
from trunkline.plugins.auto_router import AutoRouter
from trunkline.plugins.router import STEPS, TIERS, WEIGHTS, Features, Tier, difficulty, features
from trunkline.protocol.request import Request
from trunkline.routing.health import Health
from trunkline.routing.plan import Planner
from trunkline.routing.policy import Policy
from trunkline.settings.router_sections import AutoRouterSettings

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "how-to" / "auto-router.md"
BEGIN, END = "<!-- made by python -m bench.auto --page -->", "<!-- end of what is made -->"
ON_PAGE = 30

CANDIDATES: Mapping[str, tuple[str, str]] = {
    "openai/gpt-4.1-nano": ("0.10", "0.40"),
    "openai/gpt-4.1-mini": ("0.40", "1.60"),
    "google/gemini-2.5-flash": ("0.30", "2.50"),
    "openai/gpt-4.1": ("2", "8"),
    "anthropic/claude-sonnet-4.5": ("3", "15"),
    "openai/gpt-5": ("1.25", "10"),
    "anthropic/claude-opus-4.5": ("5", "25"),
}
"""What is chosen among: models with USD per million tokens in and out, as listed in November 2026."""

_PULL = 0.6
"""How strongly fitted weights are drawn to those there were."""

_MISSED_UPWARDS = 1.5
"""How much worse a model that is too weak is than one that is too dear."""


class Prompt(NamedTuple):
    """One prompt, the tier it should get, the set that it belongs to, and its request."""

    text: str
    tier: Tier
    half: str
    request: Request


class Score(NamedTuple):
    """The shares of a set that got the tier they should, a weaker or a dearer one, and of the cost of the best."""

    size: int
    exact: float
    weak: float
    dear: float
    cost: float


def prompts() -> list[Prompt]:
    """Read all prompts there are."""
    rows = [
        row
        for name in ("auto_prompts.json", "auto_prompts_shared.json", "auto_prompts_strangers.json")
        for row in json.loads((FOLDER / name).read_text("utf-8"))["prompts"]
    ]
    return [Prompt(row["prompt"], row["tier"], row["half"], _request(row)) for row in rows]


def _request(row: Mapping[str, Any]) -> Request:
    image = {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    file = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}
    content = [{"type": "input_text", "text": row["prompt"]}]
    content += [image] * row.get("images", 0) + [file] * row.get("files", 0)
    said: list[tuple[str, Any]] = [("user", "Go on."), ("assistant", "Done.")] * row.get("turns", 0)
    items = [{"type": "message", "role": role, "content": each} for role, each in (*said, ("user", content))]
    body: dict[str, Any] = {"model": "trunkline/auto", "input": items}
    if count := row.get("tools", 0):
        body["tools"] = [{"type": "function", "name": f"t{n}", "parameters": {"type": "object"}} for n in range(count)]
    if row.get("schema"):
        body["text"] = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}}
    if effort := row.get("reasoning"):
        body["reasoning"] = {"effort": effort}
    return parse(json.dumps(body).encode())


def planner() -> Planner[Catalog]:
    """Plan over the candidates, each at its maker."""
    endpoints = {slug: (_endpoint(slug, *usd),) for slug, usd in CANDIDATES.items()}
    offers = {slug: (ends[0].provider.slug,) for slug, ends in endpoints.items()}
    catalog = Catalog(standings={}, models={}, endpoints=endpoints, offers=offers, provider_slugs={}, pairs={})
    return Planner(catalog, Health(), lambda: 0.5, time.monotonic)


def _endpoint(slug: str, given: str, taken: str) -> Endpoint:
    author = slug.partition("/")[0]
    return Endpoint(
        model=Model(slug=slug),
        provider=Provider(slug=author, name=author),
        upstream_model=slug,
        dialect="chat",
        base_url="https://provider.invalid/v1",
        price=Price(input=Decimal(given) / 1_000_000, output=Decimal(taken) / 1_000_000),
        context_tokens=200_000,
    )


def chooser() -> Callable[[Request], dict[str, Any]]:
    """Choose for a request, and tell what the record would."""
    chosen, plans = AutoRouter(AutoRouterSettings(models=list(CANDIDATES)), load_quality()), planner()

    def choose(request: Request) -> dict[str, Any]:
        told: dict[str, Any] = chosen.route(request, Policy(), plans, remembers=False).noted["auto_router"]
        return told

    return choose


def cost_of(told: Mapping[str, Any], model: str | None = None) -> float:
    """What the request is expected to cost at the chosen model, or at another."""
    usd = {each["model"]: each["expected_usd"] for each in told["candidates"]}
    return float(usd[model or told["model"]])


def score(found: Sequence[Prompt]) -> Score:
    """Score a set of prompts."""
    choose = chooser()
    told = [choose(each.request) for each in found]
    apart = [TIERS.index(each["tier"]) - TIERS.index(prompt.tier) for each, prompt in zip(told, found, strict=True)]
    strong = next(each["model"] for each in told if each["tier"] == "strong")
    cost = sum(cost_of(each) for each in told) / sum(cost_of(each, strong) for each in told)
    count = len(found)
    exact, weak = apart.count(0) / count, sum(each < 0 for each in apart) / count
    return Score(count, exact, weak, sum(each > 0 for each in apart) / count, cost)


def sets(found: Sequence[Prompt]) -> Iterator[tuple[str, list[Prompt]]]:
    """Put prompts together by the set they belong to."""
    for half in ("fit", "held_out", "shared", "strangers"):
        yield half, [each for each in found if each.half == half]


def page() -> str:
    """Tell the choices for thirty prompts as a table: those of the shared set, and the first held-out ones."""
    choose, found = chooser(), prompts()
    shared = [each for each in found if each.half == "shared"]
    held_out = [each for each in found if each.half == "held_out"]
    # Every eighth, so that there are some of each tier and in several languages.
    lines = ["| prompt | should be | difficulty | model | expected USD | made of |", "|---|---|---|---|---|---|"]
    for each in [*shared, *held_out[:: len(held_out) // (ON_PAGE - len(shared))]][:ON_PAGE]:
        told = choose(each.request)
        terms = sorted(told["terms"], key=lambda term: -abs(term["points"]))[:4]
        because = ", ".join(f"{term['term'].replace('_', ' ')} {term['points']:+.1f}" for term in terms)
        tier = each.tier if each.tier == told["tier"] else f"{each.tier}, got {told['tier']}"
        text = " ".join(each.text.split()).replace("|", "/")
        text = text if len(text) <= 70 else f"{text[:67]}…"
        usd = f"{cost_of(told):.6f}"
        lines.append(f"| {text} | {tier} | {told['difficulty']:.1f} | {told['model']} | {usd} | {because} |")
    lines += [
        "",
        "| set | prompts | exact | too weak | too dear | cost beside always the strong one |",
        "|---|---|---|---|---|---|",
    ]
    for name, some in sets(found):
        made = score(some)
        shares = " | ".join(f"{share:.0%}" for share in (made.exact, made.weak, made.dear, made.cost))
        lines.append(f"| {name.replace('_', ' ')} | {made.size} | {shares} |")
    return "\n".join(lines)


def with_page(text: str) -> str:
    """Put what is made into the text of the page."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{page()}\n\n{END}{rest.partition(END)[2]}"


def fit() -> tuple[dict[str, float], tuple[float, float]]:
    """Fit weights and steps to the half that is there for it, one after the other, by ever smaller steps.

    The loss is that of an ordered logistic regression. Weights keep their sign, and are drawn to what they were.
    """
    names, before = Features._fields, [WEIGHTS[name] for name in Features._fields]
    found = [(features(each.request), TIERS.index(each.tier)) for each in prompts() if each.half == "fit"]

    def loss(values: Sequence[float]) -> float:
        weights, cuts = values[: len(names)], values[len(names) :]
        total = sum([((new - old) / max(abs(old), 0.2)) ** 2 for new, old in zip(weights, before, strict=True)])
        total *= _PULL
        for has, tier in found:
            points = sum([a * b for a, b in zip(has, weights, strict=True)])
            for place, cut in enumerate(cuts):
                apart = 1.6 * (points - cut)
                is_above = tier > place
                total += (_MISSED_UPWARDS if is_above else 1.0) * math.log1p(math.exp(-apart if is_above else apart))
        return total

    values, step = [*before, *STEPS], 0.2
    best = loss(values)
    while step > 0.01:
        has_improved = False
        for place in range(len(values)):
            for change in (step, -step):
                tried = [*values]
                tried[place] += change
                if place < len(names) and tried[place] * before[place] < 0:
                    continue
                if (lost := loss(tried)) < best - 1e-6:
                    best, values, has_improved = lost, tried, True
        step = step if has_improved else step / 2
    rounded = [round(value * 20) / 20 for value in values]
    return dict(zip(names, rounded[: len(names)], strict=True)), (rounded[-2], rounded[-1])


def microseconds(found: Sequence[Prompt]) -> tuple[float, float]:
    """How long the difficulty takes, and the whole choice: medians over the prompts."""
    choose = chooser()

    def median(work: Callable[[Request], object]) -> float:
        took = []
        for _ in range(5):
            for each in found:
                begun = time.perf_counter()
                work(each.request)
                took.append(time.perf_counter() - begun)
        return statistics.median(took) * 1e6

    return median(lambda request: difficulty(features(request))), median(choose)


def main() -> None:
    """Print what is asked for."""
    if "--page" in sys.argv:
        PAGE.write_text(with_page(PAGE.read_text("utf-8")), "utf-8")
        return
    if "--fit" in sys.argv:
        weights, steps = fit()
        print(weights, steps)
        router.WEIGHTS.update(weights)
        router.STEPS = steps  # type: ignore[misc]  # to see what they would be worth
    found = prompts()
    for name, some in sets(found):
        made = score(some)
        print(
            f"{name:9} {made.size:4} prompts  exact {made.exact:.0%}  too weak {made.weak:.0%}  "
            f"too dear {made.dear:.0%}  cost {made.cost:.0%} of always strong"
        )
    alone, whole = microseconds(found)
    print(f"difficulty {alone:.0f} us, choice among {len(CANDIDATES)} models {whole:.0f} us")


if __name__ == "__main__":
    main()
