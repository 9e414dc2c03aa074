"""Every preference, and every pair that interacts, as one row: what is asked, what is known, and who is asked when."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from tests.routing.catalogs import HELLO, NOW, Past, Shelf, ask, endpoint, plan_at, remembered, thrown
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.quirks import Quirks
from trunkline.errors import BadRequest, NotFound
from trunkline.protocol.items import InputFile, InputImage, InputText, Message, ReasoningItem, ReasoningText
from trunkline.protocol.preferences import Cutoffs, MaxPrice, Sort
from trunkline.protocol.tools import FunctionTool, JsonObjectFormat, JsonSchemaFormat, SearchTool, TextConfig
from trunkline.routing.affinity import Affinity, conversation
from trunkline.routing.health import Health
from trunkline.routing.plan import Plan, Policy
from trunkline.stream.seals import Seal, seal

ONE = (endpoint("alpha", usd="1"), endpoint("beta", usd="2"), endpoint("gamma", usd="3"))
TWO = (*ONE, endpoint("alpha", "m/two", usd="1"), endpoint("delta", "m/two", usd="9"))
TOOLS = (FunctionTool("look_up"),)
IMAGE = (Message(role="user", content=(InputText("What is it?"), InputImage("https://example.com/a.png"))),)
LONG = (Message(role="user", content=(InputText("x" * 80_000),)),)
DOWN = Past("alpha:m/one", 2, "unavailable")
EJECTED = Past("alpha:m/one", 5, "unavailable")


class Case(Struct, frozen=True, kw_only=True):
    """`expect` names the attempts in order, by `provider/variant:model`, or by the provider when the model is m/one."""

    id: str
    ask: dict[str, Any] = {}
    endpoints: Sequence[Endpoint] = ONE
    past: Sequence[Past] = ()
    policy: Policy = Policy()
    dice: tuple[float, ...] = ()
    expect: str


def case(id: str, expect: str, *, model: str | None = "m/one", **fields: Any) -> Case:
    own = {name: fields.pop(name) for name in ("endpoints", "past", "policy", "dice") if name in fields}
    return Case(id=id, expect=expect, ask={"model": model, **fields}, **own)


PRICED = [endpoint("alpha", usd="1"), endpoint("beta", usd="2"), endpoint("free", usd="0"), endpoint("gift", usd="0")]
SLOW = [
    Past("alpha:m/one", 10, first_token_s=3.0, tokens_per_s=20),
    Past("beta:m/one", 10, first_token_s=0.3, tokens_per_s=90),
]
POLICIES = [
    endpoint("alpha", trains=True, zdr=False, distillable=False, region="US"),
    endpoint("beta", trains=False, zdr=False, distillable=True, region="EU"),
    endpoint("gamma", trains=False, zdr=True, distillable=True, region="EU"),
    endpoint("delta"),
]
VARIANTS = [
    endpoint("alpha", tag="alpha/fp8", quantization="fp8"),
    endpoint("alpha", tag="alpha/turbo", usd="2", quantization="fp4"),
    endpoint("alpha", tag="alpha/flex", usd="0.5"),
    endpoint("amazon-bedrock", usd="3", quantization="bf16"),
]
PARAMETERS = [
    endpoint("alpha", supports=["tools", "max_tokens", "temperature"]),
    endpoint("beta", supports=["response_format", "structured_outputs", "verbosity", "top_k"], drops=["top_k"]),
    endpoint("gamma"),
]
VERBOSE = [PARAMETERS[0], replace(PARAMETERS[1], quirks=Quirks(has_verbosity=True))]
SEARCHING = [ONE[0], replace(ONE[1], quirks=Quirks(web_search="web_search_options")), ONE[2]]
CACHED = [endpoint("alpha", usd="3", cache_read="0.3"), endpoint("beta", usd="2.5"), endpoint("gamma", usd="1.5")]
BYOK = Policy(own_keys=frozenset({"gamma"}))

CASES = [
    # default balance
    case("the dice fall low and the cheapest goes first", "alpha beta gamma", dice=(0.0, 0.0)),
    case("the dice fall on a dearer one", "beta alpha gamma", dice=(0.8, 0.0)),
    case("the dice fall at the very end", "gamma beta alpha", dice=(0.999, 0.999)),
    case(
        "free endpoints go before all others, evenly drawn", "gift free beta alpha", endpoints=PRICED, dice=(0.5, 0.9)
    ),
    case(
        "who tells no price is drawn like the dearest",
        "alpha beta none",
        endpoints=[*ONE[:2], endpoint("none", usd=None)],
    ),
    case(
        "without any price all are drawn alike",
        "b a",
        endpoints=[endpoint("a", usd=None), endpoint("b", usd=None)],
        dice=(0.5,),
    ),
    case(
        "a price that is no number counts as unknown",
        "beta alpha",
        endpoints=[endpoint("alpha", usd="NaN"), endpoint("beta")],
        sort=Sort("price"),
    ),
    case(
        "a negative price counts as unknown",
        "beta alpha",
        endpoints=[endpoint("alpha", usd="-1"), endpoint("beta")],
        sort=Sort("price"),
    ),
    case("a recent outage sends an endpoint to the end", "beta gamma alpha", past=[DOWN]),
    case("one fault alone is no outage", "alpha beta gamma", past=[Past("alpha:m/one", 1, "unavailable")]),
    case("faults that are less than half are no outage", "alpha beta gamma", past=[DOWN, Past("alpha:m/one", 3)]),
    case(
        "an outage of half a minute ago is forgotten",
        "alpha beta gamma",
        past=[Past("alpha:m/one", 2, "unavailable", ago=35)],
    ),
    case("bad requests are nobody's outage", "alpha beta gamma", past=[Past("alpha:m/one", 50, "rejected")]),
    case(
        "uptime below 95 % comes after, below 80 % last",
        "gamma beta alpha",
        past=[
            Past("alpha:m/one", 100, ago=600),
            Past("alpha:m/one", 30, "nonsense", ago=601, alive=True),
            Past("beta:m/one", 100, ago=600),
            Past("beta:m/one", 10, "nonsense", ago=601, alive=True),
        ],
    ),
    case(
        "uptime of few attempts says nothing",
        "alpha beta gamma",
        past=[Past("alpha:m/one", 60, ago=600), Past("alpha:m/one", 30, "nonsense", ago=601, alive=True)],
    ),
    # who may serve
    case("only keeps the named", "beta", only=("beta",)),
    case("only takes a display name in any case", "amazon-bedrock", endpoints=VARIANTS, only=("Amazon Bedrock",)),
    case(
        "only a base slug means all variants but tiers",
        "alpha/fp8:m/one alpha/turbo:m/one",
        endpoints=VARIANTS,
        only=("ALPHA",),
    ),
    case("only slug/variant means that one", "alpha/turbo:m/one", endpoints=VARIANTS, only=("Alpha/Turbo",)),
    case("a tier serves when it is named", "alpha/flex:m/one", endpoints=VARIANTS, only=("alpha/flex",)),
    case("ignore drops the named", "alpha gamma", ignore=("beta", "nobody")),
    case("a name in both only and ignore is ignored", "alpha", only=("alpha", "beta"), ignore=("beta",)),
    case(
        "ignore slug/variant leaves the others",
        "alpha/fp8:m/one amazon-bedrock",
        endpoints=VARIANTS,
        ignore=("alpha/turbo",),
    ),
    case("empty lists wish nothing", "alpha beta gamma", only=(), ignore=(), order=(), quantizations=()),
    case(
        "only is narrowed by the key's list",
        "alpha",
        only=("alpha", "beta"),
        policy=Policy(allowed_providers=("alpha", "gamma")),
    ),
    case("ignore is widened by the key's list", "gamma", ignore=("alpha",), policy=Policy(ignored_providers=("Beta",))),
    case("quantizations keep the listed", "amazon-bedrock", endpoints=VARIANTS, quantizations=("bf16", "fp16")),
    case("unknown quantization must be listed", "alpha beta gamma", quantizations=("unknown",)),
    case(
        "data_collection deny keeps who surely does not train", "beta gamma", endpoints=POLICIES, data_collection="deny"
    ),
    case("data_collection allow keeps all", "alpha beta gamma delta", endpoints=POLICIES, data_collection="allow"),
    case(
        "a request cannot relax the account's deny",
        "beta gamma",
        endpoints=POLICIES,
        data_collection="allow",
        policy=Policy(data_collection="deny"),
    ),
    case("zdr keeps who surely retains nothing", "gamma", endpoints=POLICIES, zdr=True),
    case("zdr of the account holds", "gamma", endpoints=POLICIES, zdr=False, policy=Policy(zdr=True)),
    case(
        "distillable text keeps whose author allows it", "beta gamma", endpoints=POLICIES, enforce_distillable_text=True
    ),
    case("a region keeps who surely runs there", "beta gamma", endpoints=POLICIES, policy=Policy(regions=("eu",))),
    case(
        "max_price caps prompt and completion apart",
        "alpha",
        endpoints=[endpoint("alpha", usd=("2", "3")), endpoint("beta", usd=("3", "2"))],
        max_price=MaxPrice(prompt=Decimal(2), completion=Decimal(3)),
    ),
    case("a price equal to the cap passes", "alpha beta", max_price=MaxPrice(prompt=Decimal("2.0"))),
    case(
        "max_price caps the request fee",
        "beta",
        endpoints=[endpoint("alpha", request_fee="0.01"), endpoint("beta")],
        max_price=MaxPrice(request=Decimal("0.001")),
    ),
    case(
        "who tells no price is above any cap",
        "alpha",
        endpoints=[endpoint("alpha"), endpoint("beta", usd=None)],
        max_price=MaxPrice(prompt=Decimal(99)),
    ),
    case(
        "a price that is no number is above any cap",
        "beta",
        endpoints=[endpoint("alpha", usd="NaN"), endpoint("beta")],
        max_price=MaxPrice(prompt=Decimal(99)),
    ),
    case(
        "a negative price is above any cap",
        "beta",
        endpoints=[endpoint("alpha", usd="-1"), endpoint("beta")],
        max_price=MaxPrice(prompt=Decimal(99)),
    ),
    case(
        "max_price holds for fallback models too",
        "alpha beta alpha:m/two",
        endpoints=TWO,
        models=("m/two",),
        max_price=MaxPrice(prompt=Decimal(2)),
    ),
    case("tools need who takes them, or does not say", "alpha gamma", endpoints=PARAMETERS, tools=TOOLS),
    case(
        "a search that is demanded needs who can make it",
        "beta",
        endpoints=SEARCHING,
        tools=(SearchTool("web_search"),),
    ),
    case(
        "a search that is offered goes to who can make it first",
        "beta alpha gamma",
        endpoints=SEARCHING,
        tools=(*TOOLS, SearchTool("web_search")),
        dice=(0.0, 0.0, 0.0),
    ),
    case(
        "a search that may not be made needs nobody",
        "alpha beta gamma",
        endpoints=SEARCHING,
        tools=(SearchTool("web_search"),),
        max_tool_calls=0,
    ),
    case(
        "require_parameters holds an offered search as well",
        "beta",
        endpoints=SEARCHING,
        tools=(*TOOLS, SearchTool("web_search")),
        require_parameters=True,
    ),
    case(
        "an image needs who reads images, or does not say",
        "beta gamma",
        endpoints=[endpoint("alpha", reads=["text"]), endpoint("beta", reads=["text", "image"]), endpoint("gamma")],
        input=IMAGE,
    ),
    case(
        "pictures need who makes them",
        "beta",
        endpoints=[endpoint("alpha"), endpoint("beta", makes=["text", "image"])],
        modalities=("image", "text"),
    ),
    case(
        "max_output_tokens needs who writes that much",
        "beta gamma",
        endpoints=[endpoint("alpha", max_output=100), endpoint("beta", max_output=200), endpoint("gamma")],
        max_output_tokens=200,
    ),
    case(
        "an answer that has begun needs who goes on with it",
        "alpha gamma",
        endpoints=[
            replace(endpoint("alpha"), dialect="messages"),
            endpoint("beta"),
            replace(endpoint("gamma"), quirks=Quirks(prefill="prefix")),
        ],
        has_prefill=True,
    ),
    case(
        "a limit that is a wish drops nobody, by their limit or by their context",
        "alpha beta gamma",
        endpoints=[endpoint("alpha", max_output=100), endpoint("beta", context=5_000), endpoint("gamma", usd="9")],
        max_output_tokens=32_000,
        limit_is_wish=True,
        order=("alpha", "beta"),
    ),
    case(
        "require_parameters asks for a place for the limit all the same",
        "beta",
        endpoints=[endpoint("alpha", supports=[]), endpoint("beta", supports=["max_tokens"], max_output=100)],
        max_output_tokens=200,
        limit_is_wish=True,
        require_parameters=True,
    ),
    case(
        "a context that is surely too small drops",
        "beta",
        endpoints=[endpoint("alpha", context=9_000), endpoint("beta", context=10_000)],
        input=LONG,
    ),
    case(
        "output counts against the context",
        "beta",
        endpoints=[endpoint("alpha", context=10_500), endpoint("beta", context=11_000)],
        input=LONG,
        max_output_tokens=1_000,
    ),
    case(
        "truncation auto does not make a context larger",
        "beta",
        endpoints=[endpoint("alpha", context=9_000), endpoint("beta", context=10_000)],
        input=LONG,
        truncation="auto",
    ),
    case(
        "truncation auto asks of a context to hold what is never left out, and who holds all goes first",
        "beta alpha",
        endpoints=[endpoint("alpha", context=9_000), endpoint("beta", context=24_000, usd="9")],
        input=(*LONG, *HELLO),
        truncation="auto",
    ),
    case(
        "the client's own order goes before that",
        "alpha beta",
        endpoints=[endpoint("alpha", context=9_000), endpoint("beta", context=24_000)],
        input=(*LONG, *HELLO),
        truncation="auto",
        order=("alpha",),
    ),
    case(
        "require_parameters needs all that are used",
        "alpha gamma",
        endpoints=PARAMETERS,
        require_parameters=True,
        temperature=1.0,
        max_output_tokens=5,
    ),
    case(
        "require_parameters knows what a quirk leaves out",
        "gamma",
        endpoints=PARAMETERS,
        require_parameters=True,
        top_k=3,
    ),
    case("without require_parameters nothing is needed", "alpha beta gamma", endpoints=PARAMETERS, top_k=3),
    case(
        "a schema is drawn to who takes one",
        "beta gamma",
        endpoints=PARAMETERS,
        text=TextConfig(JsonSchemaFormat("a", {})),
    ),
    case(
        "where nobody takes a schema it is tried",
        "alpha",
        endpoints=PARAMETERS[:1],
        text=TextConfig(JsonObjectFormat()),
    ),
    case("verbosity is drawn to who knows it", "beta", endpoints=VERBOSE, text=TextConfig(verbosity="low")),
    case(
        "a key's models may be globs",
        "alpha:m/two delta:m/two",
        endpoints=TWO,
        models=("m/two",),
        policy=Policy(allowed_models=("m/tw*",)),
    ),
    # order
    case("order names who goes first", "gamma beta alpha", order=("gamma", "beta")),
    case("order leaves the rest to the balance", "gamma beta alpha", order=("gamma",), dice=(0.9,)),
    case("order skips who does not serve the model", "beta alpha gamma", order=("nobody", "beta")),
    case(
        "order takes slug/variant",
        "alpha/turbo:m/one amazon-bedrock alpha/fp8:m/one",
        endpoints=VARIANTS,
        order=("alpha/turbo", "Amazon Bedrock"),
    ),
    case(
        "order may name a tier",
        "alpha/flex:m/one alpha/fp8:m/one alpha/turbo:m/one amazon-bedrock",
        endpoints=VARIANTS,
        order=("alpha/flex", "alpha"),
    ),
    case("order holds against an outage", "alpha beta gamma", order=("alpha",), past=[DOWN]),
    case("order gives way to an open breaker", "beta gamma alpha", order=("alpha",), past=[EJECTED]),
    case("order goes before sort", "gamma alpha beta", order=("gamma",), sort=Sort("price"), dice=(0.0,)),
    case(
        "order is kept inside each model",
        "gamma alpha beta delta:m/two alpha:m/two",
        endpoints=TWO,
        models=("m/two",),
        order=("gamma", "delta"),
    ),
    case("order and only: what is not listed is gone", "beta alpha", order=("gamma", "beta"), only=("alpha", "beta")),
    # allow_fallbacks
    case("no fallbacks: only the first", "alpha", allow_fallbacks=False),
    case(
        "no fallbacks with order: all listed, no other", "gamma alpha", allow_fallbacks=False, order=("gamma", "alpha")
    ),
    case(
        "no fallbacks is about providers, not models",
        "alpha alpha:m/two",
        endpoints=TWO,
        models=("m/two",),
        allow_fallbacks=False,
    ),
    case(
        "no fallbacks with sort: the best of it",
        "gamma",
        allow_fallbacks=False,
        sort=Sort("throughput"),
        past=[Past("gamma:m/one", 3, tokens_per_s=50)],
    ),
    # sort
    case("sort by price", "alpha beta gamma", sort=Sort("price"), dice=(0.99,)),
    case(
        "sort by price puts the unpriced last",
        "beta alpha",
        endpoints=[endpoint("alpha", usd=None), endpoint("beta")],
        sort=Sort("price"),
    ),
    case("sort by throughput, the unknown last", "beta alpha gamma", sort=Sort("throughput"), past=SLOW),
    case("sort by latency, the unknown last", "beta alpha gamma", sort=Sort("latency"), past=SLOW),
    case(
        "sort by latency without samples falls back to price",
        "alpha beta gamma",
        endpoints=ONE[::-1],
        sort=Sort("latency"),
    ),
    case("sort gives way to an outage", "beta gamma alpha", sort=Sort("price"), past=[DOWN]),
    case(
        "partition model keeps the first model in front",
        "alpha beta gamma alpha:m/two delta:m/two",
        endpoints=TWO,
        models=("m/two",),
        sort=Sort("price", "model"),
    ),
    case(
        "partition none makes one list of all models",
        "beta:m/two alpha gamma",
        endpoints=[endpoint("alpha", usd="2"), endpoint("gamma", usd="3"), endpoint("beta", "m/two")],
        models=("m/two",),
        sort=Sort("price", "none"),
    ),
    case(
        "partition none without sort balances over all",
        "beta:m/two alpha",
        endpoints=[endpoint("alpha"), endpoint("beta", "m/two")],
        models=("m/two",),
        sort=Sort(None, "none"),
        dice=(0.6,),
    ),
    case(
        "route sort is partition none",
        "beta:m/two alpha",
        endpoints=[endpoint("alpha"), endpoint("beta", "m/two")],
        models=("m/two",),
        route="sort",
        dice=(0.6,),
    ),
    case(
        "route fallback is partition model",
        "alpha beta:m/two",
        endpoints=[endpoint("alpha"), endpoint("beta", "m/two")],
        models=("m/two",),
        route="fallback",
        dice=(0.6,),
    ),
    case(
        "an explicit partition goes before route",
        "alpha beta:m/two",
        endpoints=[endpoint("alpha"), endpoint("beta", "m/two")],
        models=("m/two",),
        route="sort",
        sort=Sort(None, "model"),
        dice=(0.6,),
    ),
    # soft preferences
    case("a latency kept, unknown, missed", "beta gamma alpha", preferred_max_latency=Cutoffs(p50=1.0), past=SLOW),
    case(
        "a throughput kept, unknown, missed", "beta gamma alpha", preferred_min_throughput=Cutoffs(p90=50.0), past=SLOW
    ),
    case(
        "both must be kept",
        "gamma alpha beta",
        preferred_max_latency=Cutoffs(p50=1.0),
        preferred_min_throughput=Cutoffs(p50=100.0),
        past=SLOW,
    ),
    case(
        "throughput percentiles count from the low side",
        "beta gamma alpha",
        preferred_min_throughput=Cutoffs(p90=50.0),
        past=[
            Past("alpha:m/one", 20, tokens_per_s=30),
            Past("alpha:m/one", 80, tokens_per_s=200),
            Past("beta:m/one", 100, tokens_per_s=60),
        ],
    ),
    case(
        "a preference may bring a fallback model forward",
        "alpha:m/two beta",
        endpoints=[endpoint("beta"), endpoint("alpha", "m/two")],
        models=("m/two",),
        preferred_max_latency=Cutoffs(p50=1.0),
        past=[Past("beta:m/one", 5, first_token_s=4.0), Past("alpha:m/two", 5, first_token_s=0.2)],
    ),
    case(
        "a preference goes before order",
        "beta gamma alpha",
        order=("alpha",),
        preferred_max_latency=Cutoffs(p50=1.0),
        past=SLOW,
    ),
    case(
        "an outage weighs more than a preference",
        "alpha gamma beta",
        preferred_max_latency=Cutoffs(p50=9.0),
        past=[*SLOW, Past("beta:m/one", 10, "silent", ago=4)],
    ),
    case(
        "samples of six minutes ago say nothing",
        "alpha beta gamma",
        preferred_max_latency=Cutoffs(p50=1.0),
        past=[Past("alpha:m/one", 9, ago=360, first_token_s=9.0)],
    ),
    # the account's own keys
    case("own keys first, then the house's", "gamma+ alpha beta gamma", policy=BYOK),
    case("own keys go before order", "gamma+ alpha beta gamma", order=("alpha", "beta"), policy=BYOK),
    case(
        "own keys only: the house's is not used",
        "gamma+ alpha beta",
        policy=Policy(own_keys=BYOK.own_keys, own_keys_only=BYOK.own_keys),
    ),
    case("own keys and no fallbacks: no other key", "gamma+", allow_fallbacks=False, policy=BYOK),
    case(
        "own keys are first in each model",
        "alpha beta gamma delta:m/two+ alpha:m/two delta:m/two",
        endpoints=TWO,
        models=("m/two",),
        policy=Policy(own_keys=frozenset({"delta"})),
    ),
    case(
        "own keys are first across models with partition none",
        "delta:m/two+ alpha alpha:m/two beta gamma delta:m/two",
        endpoints=TWO,
        models=("m/two",),
        sort=Sort("price", "none"),
        policy=Policy(own_keys=frozenset({"delta"})),
    ),
    case("own keys do not excuse from filters", "alpha beta", ignore=("gamma",), policy=BYOK),
    # models and variants
    case(
        "fallback models follow, named once",
        "alpha beta gamma alpha:m/two delta:m/two",
        endpoints=TWO,
        models=("m/two", "m/one"),
    ),
    case("one model in two spellings is asked once", "alpha beta gamma", model="M/One", models=("m/one",)),
    case(":free, then at any price", "free gift alpha beta", model="m/one:free", models=("m/one",), endpoints=PRICED),
    case(
        "a key that is not there cannot be the only one",
        "alpha beta gamma",
        policy=Policy(own_keys_only=frozenset({"beta"})),
    ),
    case("models alone", "alpha:m/two delta:m/two", model=None, endpoints=TWO, models=("m/two",)),
    case(
        "no model: the key's default",
        "alpha:m/two delta:m/two",
        model=None,
        endpoints=TWO,
        policy=Policy(default_model="m/two"),
    ),
    case("no model: the gateway's default", "alpha beta gamma", model=None),
    case("a fallback whose providers are off is passed over", "alpha beta gamma", models=("m/off",)),
    case(":nitro sorts by throughput", "beta alpha gamma", model="m/one:nitro", past=SLOW),
    case(":floor sorts by price", "alpha beta gamma", model="m/one:floor", dice=(0.99,)),
    case(
        "an explicit sort goes before a suffix", "alpha beta gamma", model="m/one:nitro", sort=Sort("price"), past=SLOW
    ),
    case(
        "an explicit order goes before a suffix", "gamma alpha beta", model="m/one:nitro", order=("gamma",), past=SLOW
    ),
    case(
        ":exacto takes tools and full weights first",
        "c b a",
        model="m/one:exacto",
        endpoints=[
            endpoint("a"),
            endpoint("b", supports=["tools"], quantization="fp4"),
            endpoint("c", supports=["tools"], quantization="bf16", usd="9"),
        ],
    ),
    case(
        ":free as a model of its own",
        "alpha:m/one:free",
        model="m/one:free",
        endpoints=[*ONE, endpoint("alpha", "m/one:free", usd="0")],
    ),
    case(":free of a model without such an entry", "free gift", model="m/one:free", endpoints=PRICED),
    case(
        ":extended keeps the longest context",
        "beta",
        model="m/one:extended",
        endpoints=[endpoint("alpha"), endpoint("beta", context=900_000)],
    ),
    case(
        ":thinking keeps who reasons",
        "beta",
        model="m/one:thinking",
        endpoints=[endpoint("alpha", supports=[]), endpoint("beta", supports=["reasoning"])],
    ),
    # effective price
    case(
        "price counts the cache reads of late",
        "alpha gamma beta",
        endpoints=CACHED,
        sort=Sort("price"),
        past=[Past("alpha:m/one", 5, cached=0.9)],
    ),
    case(
        "without cache reads the list price counts",
        "gamma beta alpha",
        endpoints=CACHED,
        sort=Sort("price"),
        past=[Past("alpha:m/one", 5)],
    ),
    # breakers
    case(
        "an open breaker goes last, after any fallback model",
        "beta gamma alpha:m/two delta:m/two alpha",
        endpoints=TWO,
        models=("m/two",),
        past=[EJECTED],
    ),
    case("the last candidate stays", "alpha", only=("alpha",), past=[EJECTED]),
    case(
        "an open breaker closes by itself after half a minute",
        "alpha beta gamma",
        past=[Past("alpha:m/one", 5, "unavailable", ago=31)],
    ),
    case("a bad credential ejects at once", "beta gamma alpha", past=[Past("alpha:m/one", 1, "credentials", ago=200)]),
]


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.id)
def test_plan(row: Case) -> None:
    assert named(planned(row)) == row.expect


def planned(row: Case) -> Plan:
    shelf = Shelf(row.endpoints, default="m/one", off=("m/off",))
    return plan_at(ask(**row.ask), row.policy, shelf, remembered(row.past), thrown(*row.dice).__next__, now=NOW)


def named(found: Plan) -> str:
    """Attempts as in `Case.expect`; `+` marks the account's own key."""
    ids = [one.id.removesuffix(":m/one") if not one.tag else one.id for one in found.attempts]
    return " ".join(name + "+" * own for name, own in zip(ids, found.is_byok, strict=True))


def test_law_7_the_same_dice_give_the_same_plan() -> None:
    for row in CASES:
        assert planned(row) == planned(row)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=3, max_size=3), st.integers(0, len(CASES) - 1))
def test_dice_change_the_order_but_never_who_may_serve(dice: list[float], index: int) -> None:
    row = CASES[index]
    again = plan_at(
        ask(**row.ask),
        row.policy,
        Shelf(row.endpoints, default="m/one", off=("m/off",)),
        remembered(row.past),
        thrown(*dice).__next__,
        now=NOW,
    )
    if row.ask.get("allow_fallbacks", True):
        assert sorted(named(again).split()) == sorted(row.expect.split())
    else:
        assert len(again.attempts) == len(row.expect.split())


def test_the_first_is_drawn_nine_times_as_often_at_a_third_of_the_price() -> None:
    shelf = Shelf([endpoint("alpha", usd="1"), endpoint("gamma", usd="3")])
    firsts = [
        plan_at(ask(), Policy(), shelf, Health(), thrown((step + 0.5) / 1000).__next__, now=NOW)
        .attempts[0]
        .provider.slug
        for step in range(1000)
    ]
    assert firsts.count("alpha") == 900


def test_planning_changes_nothing_in_health() -> None:
    health = remembered([EJECTED, *SLOW])
    before = [health.figures(one.id, NOW) for one in ONE]
    for _ in range(10):
        plan_at(ask(), Policy(), Shelf(ONE), health, thrown().__next__, now=NOW)
    assert [health.figures(one.id, NOW) for one in ONE] == before


# Sticky conversations and sealed thoughts


class Sticky(Struct, frozen=True):
    id: str
    expect: str
    ask: dict[str, Any] = {}
    served_by: str = "alpha:m/one"
    account: str = "a1"
    past: Sequence[Past] = ()
    ago: float = 60.0
    dice: tuple[float, ...] = (0.999, 0.999)


STICKY = [
    Sticky("a conversation returns to who served it", "alpha gamma beta"),
    Sticky("only where cache reads are cheaper", "gamma beta alpha", served_by="beta:m/one"),
    Sticky("not with order", "beta gamma alpha", {"order": ("beta",)}),
    Sticky("also with sort", "alpha gamma beta", {"sort": Sort("price")}),
    Sticky("not after ten minutes", "gamma beta alpha", ago=601.0),
    Sticky("RT-12 not while it is down", "gamma beta alpha", past=[DOWN]),
    Sticky("RT-12 another account with the same session is unaffected", "gamma beta alpha", account="a2"),
]


@pytest.mark.parametrize("row", STICKY, ids=lambda row: row.id)
def test_RT_12_sticky(row: Sticky) -> None:
    affinity = Affinity()
    request = ask(session_id="s", **row.ask)
    affinity.keep(conversation(request, "a1", "m/one"), row.served_by, NOW - row.ago)
    policy = Policy(account=row.account)
    health = remembered(row.past)
    found = plan_at(request, policy, Shelf(CACHED), health, thrown(*row.dice).__next__, now=NOW, affinity=affinity)
    assert named(found) == row.expect
    assert bool(found.conversations) == ("order" not in row.ask)


def test_a_plan_names_the_conversation_that_its_success_keeps() -> None:
    affinity, request = Affinity(), ask(session_id="s")
    first = plan_at(request, Policy(), Shelf(CACHED), Health(), thrown(0.999).__next__, now=NOW, affinity=affinity)
    affinity.keep(first.conversations["m/one"], "alpha:m/one", NOW)
    second = plan_at(request, Policy(), Shelf(CACHED), Health(), thrown(0.999).__next__, now=NOW + 5, affinity=affinity)
    assert second.attempts[0].id == "alpha:m/one"


SEALED = (
    ReasoningItem(encrypted_content=seal(Seal(endpoint_id="gamma:m/one", blob="blob", item_id="rs_1"))),
    Message(role="user", content=(InputText("Go on"),)),
)


@pytest.mark.parametrize(
    ("fields", "past", "expect"),
    [
        ({}, [], "gamma alpha beta"),
        ({"sort": Sort("price")}, [], "gamma alpha beta"),
        ({"order": ("beta",)}, [], "beta alpha gamma"),
        ({}, [Past("gamma:m/one", 2, "silent")], "alpha beta gamma"),
    ],
    ids=["to its issuer first", "before sort", "but order holds", "but not while it is down"],
)
def test_an_encrypted_thought_pulls(fields: dict[str, Any], past: list[Past], expect: str) -> None:
    request = ask(input=SEALED, **fields)
    found = plan_at(
        request,
        Policy(),
        Shelf(ONE),
        remembered(past),
        thrown().__next__,
        now=NOW,
    )
    assert named(found) == expect


OTHERS = ReasoningItem(encrypted_content=seal(Seal(endpoint_id="beta:m/one", blob="blob")))


@pytest.mark.parametrize(
    ("last", "expect"),
    [
        (ReasoningItem(signature=seal(Seal(endpoint_id="gamma:m/one", signature="AAAA"))), "gamma alpha beta"),
        (ReasoningItem(signature="AAAA", format="anthropic-claude-v1"), "alpha beta gamma"),
        (ReasoningItem(content=(ReasoningText("Hm."),)), "beta alpha gamma"),
    ],
    ids=["to the issuer of its signature", "to nobody where that does not tell", "past one without a proof"],
)
def test_the_last_proof_of_a_thought_pulls(last: ReasoningItem, expect: str) -> None:
    request = ask(input=(OTHERS, last, *SEALED[1:]))
    assert named(plan_at(request, Policy(), Shelf(ONE), Health(), thrown().__next__, now=NOW)) == expect


# Nobody is left


class Refusal(Struct, frozen=True, kw_only=True):
    id: str
    ask: dict[str, Any]
    endpoints: Sequence[Endpoint] = ONE
    policy: Policy = Policy()
    says: tuple[str, ...]
    excluded_by: dict[str, list[str]]
    would_serve_without: dict[str, list[str]]


REFUSALS = [
    Refusal(
        id="RT-15 only names nobody who serves",
        ask={"only": ("Delta",)},
        says=(
            "No allowed providers are available for the selected model.",
            "Without only, alpha, beta and gamma would",
        ),
        excluded_by={"only": ["alpha", "beta", "gamma"]},
        would_serve_without={"only": ["alpha", "beta", "gamma"]},
    ),
    Refusal(
        id="RT-15 max_price is below all",
        ask={"max_price": MaxPrice(prompt=Decimal("0.5"))},
        says=("at or below your max_price", "alpha asks 1 for prompt, above 0.5; beta asks 2 for prompt, above 0.5"),
        excluded_by={"max_price": ["alpha", "beta", "gamma"]},
        would_serve_without={"max_price": ["alpha", "beta", "gamma"]},
    ),
    Refusal(
        id="RT-15 nobody has the quantization",
        ask={"quantizations": ("fp8",)},
        says=("quantizations: each of alpha, beta and gamma has quantization unknown.",),
        excluded_by={"quantizations": ["alpha", "beta", "gamma"]},
        would_serve_without={"quantizations": ["alpha", "beta", "gamma"]},
    ),
    Refusal(
        id="preferences that contradict each other each name their part",
        ask={"only": ("alpha",), "zdr": True},
        endpoints=POLICIES,
        says=(
            "only: each of beta, gamma and delta is not listed.",
            "zdr: each of alpha and beta retains prompts; delta does not say",
            "Without only, gamma would serve.",
            "Without zdr, alpha would serve.",
        ),
        excluded_by={"only": ["beta", "delta", "gamma"], "zdr": ["alpha", "beta", "delta"]},
        would_serve_without={"only": ["gamma"], "zdr": ["alpha"]},
    ),
    Refusal(
        id="where two preferences must go, both are named",
        ask={"only": ("alpha",), "ignore": ("alpha",), "zdr": True},
        endpoints=POLICIES[:2],
        says=("alpha would serve without ignore and zdr.",),
        excluded_by={"only": ["beta"], "ignore": ["alpha"], "zdr": ["alpha", "beta"]},
        would_serve_without={},
    ),
    Refusal(
        id="tools nobody takes",
        ask={"tools": TOOLS},
        endpoints=[endpoint("alpha", supports=[])],
        says=("No endpoints found that support tool use.",),
        excluded_by={"tools": ["alpha"]},
        would_serve_without={"tools": ["alpha"]},
    ),
    Refusal(
        id="an answer that nobody goes on with who may serve",
        ask={"has_prefill": True, "ignore": ("gamma",)},
        endpoints=[endpoint("alpha"), replace(endpoint("gamma"), dialect="messages")],
        says=("alpha does not go on with an answer that has begun",),
        excluded_by={"ignore": ["gamma"], "prefill": ["alpha"]},
        would_serve_without={"ignore": ["gamma"], "prefill": ["alpha"]},
    ),
    Refusal(
        id="more output than anybody writes",
        ask={"max_output_tokens": 500},
        endpoints=[endpoint("alpha", max_output=100), endpoint("beta", max_output=200)],
        says=("alpha writes at most 100 tokens; beta writes at most 200 tokens",),
        excluded_by={"max_output_tokens": ["alpha", "beta"]},
        would_serve_without={"max_output_tokens": ["alpha", "beta"]},
    ),
    Refusal(
        id="a file nobody reads",
        ask={"input": (Message(role="user", content=(InputFile(file_url="https://example.com/a.pdf"),)),)},
        endpoints=[endpoint("alpha", reads=["text"])],
        says=("alpha does not read file",),
        excluded_by={"input_modalities": ["alpha"]},
        would_serve_without={"input_modalities": ["alpha"]},
    ),
    Refusal(
        id="the key allows no such model",
        ask={},
        policy=Policy(allowed_models=("other/*",)),
        says=("is no model this key may use",),
        excluded_by={"allowed_models": ["alpha", "beta", "gamma"]},
        would_serve_without={"allowed_models": ["alpha", "beta", "gamma"]},
    ),
]


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.id)
def test_RT_15_nobody_is_left(row: Refusal) -> None:
    with pytest.raises(NotFound) as caught:
        plan_at(ask(**row.ask), row.policy, Shelf(row.endpoints), Health(), thrown().__next__, now=NOW)
    for text in row.says:
        assert text in caught.value.message
    metadata = caught.value.metadata
    assert metadata["excluded_by"] == row.excluded_by
    assert metadata["would_serve_without"] == row.would_serve_without
    assert metadata["available_providers"] == sorted({one.provider.slug for one in row.endpoints})
    assert metadata["requested_providers"] == sorted(row.ask.get("only", ()))


def test_a_context_that_is_too_small_everywhere_is_the_clients_fault() -> None:
    with pytest.raises(BadRequest, match="context of 9000 tokens, and the request needs at least 10000") as caught:
        plan_at(ask(input=LONG), Policy(), Shelf([endpoint(context=9_000)]), Health(), thrown().__next__, now=NOW)
    assert caught.value.kind == "context_length_exceeded"


@pytest.mark.parametrize("model", ["m/oen", "m/oen:nitro", "m/off"])
def test_an_unknown_model_is_not_found(model: str) -> None:
    with pytest.raises(NotFound, match=model.partition(":")[0]):
        plan_at(ask(model), Policy(), Shelf(ONE, off=("m/off",)), Health(), thrown().__next__, now=NOW)


def test_a_mistyped_fallback_is_told() -> None:
    with pytest.raises(NotFound, match="m/oen"):
        plan_at(ask(models=("m/oen",)), Policy(), Shelf(ONE), Health(), thrown().__next__, now=NOW)


def test_no_model_and_no_default() -> None:
    with pytest.raises(BadRequest, match="default"):
        plan_at(ask(None), Policy(), Shelf(ONE), Health(), thrown().__next__, now=NOW)


def test_RT_16_zdr_stays_with_those_who_keep_it_even_when_all_are_down() -> None:
    endpoints = [endpoint("alpha", zdr=True), endpoint("beta", zdr=True, usd="2"), endpoint("gamma")]
    down = [Past("alpha:m/one", 5, "unavailable"), Past("beta:m/one", 5, "unavailable")]
    found = plan_at(ask(zdr=True), Policy(), Shelf(endpoints), remembered(down), thrown().__next__, now=NOW)
    assert named(found) == "alpha beta"
