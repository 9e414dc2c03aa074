"""What is remembered of usual requests makes no other plan: same dice, same plan as by a planner that knows nothing."""

from __future__ import annotations

import random
from collections.abc import Collection
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.routing.catalogs import NOW, Shelf, ask, endpoint, thrown
from tests.routing.generated import a_model, a_past, a_policy, a_request
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.prices import Price, PriceTier
from trunkline.catalog.quirks import Quirks
from trunkline.errors import BadRequest, ClientError, NotFound
from trunkline.protocol.items import InputImage, InputText, Message, ReasoningItem
from trunkline.protocol.preferences import NO_PREFERENCES, MaxPrice, ModerationPlugin
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, JsonSchemaFormat, SearchTool, TextConfig
from trunkline.routing.affinity import Affinity
from trunkline.routing.explanation import as_json
from trunkline.routing.health import Health, Outcome
from trunkline.routing.plan import MAX_REMEMBERED, Plan, Planner, Policy
from trunkline.stream.seals import Seal, seal

STEPS = 150
USD = Decimal("0.000001")


class Counting(Shelf):
    """A catalog that counts how often it is asked."""

    asked = 0

    def endpoints_of(self, model: str, own_keys: Collection[str] = ()) -> tuple[Endpoint, ...]:
        self.asked += 1
        return super().endpoints_of(model)


@pytest.mark.law
@pytest.mark.parametrize("seed", range(12))
def test_same_dice_same_plan_whatever_is_remembered(seed: int) -> None:
    """Of two planners over one past the second forgets everything before each request."""
    chance = random.Random(seed)
    models = [[_tiered(chance, one) for one in a_model(chance, f"m/{name}")] for name in ("one", "two")]
    endpoints = [one for model in models for one in model]
    health, affinity, now = a_past(chance, endpoints), Affinity(), NOW
    requests = [_request(chance, models) for _ in range(4)]
    policies = [a_policy(chance) for _ in range(2)]
    shelf, remembering = Shelf(endpoints, default="m/two"), random.Random(seed)
    planner = Planner(shelf, health, remembering.random, lambda: now, affinity)
    for _ in range(STEPS):
        now += chance.choice([0.0, 0.01, 0.5, 1.9, 2.0, 31.0, 700.0])
        _happen(chance, health, chance.choice(endpoints), now)
        request, policy = _varied(chance, chance.choice(requests)), chance.choice(policies)
        dice = random.Random()
        dice.setstate(remembering.getstate())
        found = _outcome(planner, request, policy)
        fresh = Planner(shelf, health, dice.random, planner.clock, affinity)
        expected = _outcome(fresh, request, policy)
        assert dice.getstate() == remembering.getstate()
        assert found == expected
        if isinstance(found, Plan):
            assert as_json(found.explanation) == as_json(expected.explanation)  # type: ignore[union-attr]
            assert [one.endpoint for one in found.explanation.order] == list(found.attempts)
            for slug, name in found.conversations.items():
                affinity.keep(name, next(one.id for one in found.attempts if one.model.slug == slug), now)


def _request(chance: random.Random, models: list[list[Endpoint]]) -> Request:
    """Half of them are usual."""
    names = [model[0].model.slug for model in chance.sample(models, chance.choice([1, 1, 2]))]
    if chance.random() < 0.3:
        names[0] += chance.choice([":free", ":nitro", ":floor"])
    request = a_request(chance, names)
    match chance.randint(0, 3):
        case 0 | 1:
            return replace(request, models=(), route=None, provider=NO_PREFERENCES)
        case 2:
            return replace(request, models=(), route=None)
        case _:
            return request


def _tiered(chance: random.Random, one: Endpoint) -> Endpoint:
    """Perhaps the same endpoint with a price that rises with the size of the input."""
    if one.price is None or chance.random() < 0.7:
        return one
    tier = PriceTier(above_input_tokens=1_000, input=one.price.input * 3, output=one.price.output * 3)
    return replace(one, price=replace(one.price, tiers=(tier,)))


def _varied(chance: random.Random, request: Request) -> Request:
    """The same request with another input: longer, in a conversation, with an encrypted thought; or changed."""
    said: list[Message | ReasoningItem] = []
    for _ in range(chance.choice([0, 0, 1, 1, 3])):
        said.append(Message(role="user", content=(InputText(text="word " * chance.choice([1, 300, 1_500, 9_000])),)))
    if chance.random() < 0.2:
        issuer = chance.choice(["alpha:m/one", "beta:m/two", "alpha/fast:m/one"])
        said.append(ReasoningItem(encrypted_content=seal(Seal(endpoint_id=issuer, blob="blob"))))
    changed: dict[str, object] = {"input": (*request.input, *said), "session_id": chance.choice([None, "a", "b"])}
    for name, value in (
        ("text", TextConfig(JsonSchemaFormat("answer", {}))),
        ("temperature", 0.5),
        ("tools", (FunctionTool("look_up"),)),
        ("max_output_tokens", 100),
        ("limit_is_wish", True),
        ("model", None),
    ):
        if chance.random() < 0.1:
            changed[name] = value
    return replace(request, **changed)


def _happen(chance: random.Random, health: Health, one: Endpoint, now: float) -> None:
    """Something that an endpoint's past remembers, or nothing."""
    match chance.randint(0, 6):
        case 0:
            health.started(one.id, now)
        case 1:
            health.answered(one.id, now)
        case 2:
            health.cool_down(one.id, chance.choice([1.0, 20.0]), now)
        case 3:
            for _ in range(chance.choice([1, 5, 120])):
                health.record(one.id, Outcome(fault=chance.choice(["unavailable", "limited", "credentials"])), now)
        case 4:
            for _ in range(chance.choice([1, 120])):
                tokens = chance.choice([0, 800])
                health.record(one.id, Outcome(first_token_s=0.2, input_tokens=999, cache_read_tokens=tokens), now)
        case _:
            pass


def _outcome(planner: Planner[Shelf], request: Request, policy: Policy) -> Plan | tuple[object, ...]:
    """The plan, or what the refusal says."""
    try:
        return planner.plan(request, policy)
    except (NotFound, BadRequest) as error:
        return type(error), error.message, error.metadata


MANY = (
    replace(
        endpoint("alpha", supports=["tools", "structured_outputs"], reads=["text"], context=200), dialect="responses"
    ),
    endpoint("beta", supports=["temperature"], reads=["text", "image"], max_output=50),
    replace(endpoint("gamma", supports=[]), quirks=Quirks(web_search="web_search_options")),
    endpoint("delta", makes=["text", "image"]),
    endpoint("alpha", "m/two"),
)
TIERED = (
    endpoint("alpha", usd="2"),
    replace(
        endpoint("beta"),
        price=Price(input=USD, output=USD, tiers=(PriceTier(above_input_tokens=1_000, input=USD * 9, output=USD * 9),)),
    ),
)
LONG = (Message(role="user", content=(InputText("word " * 1_000),)),)
PICTURE = (Message(role="user", content=(InputImage("https://example.com/a.png"),)),)
DIFFERENT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a longer input", {}, {"input": LONG}),
    ("a picture", {}, {"input": PICTURE}),
    ("another model", {}, {"model": "m/two"}),
    ("a fallback model", {}, {"models": ("m/two",)}),
    ("functions", {}, {"tools": (FunctionTool("look_up"),)}),
    ("a search", {"tools": (FunctionTool("look_up"),)}, {"tools": (SearchTool("web_search"),)}),
    ("a schema", {}, {"text": TextConfig(JsonSchemaFormat("answer", {}))}),
    ("more output", {}, {"max_output_tokens": 100}),
    ("an answer that has begun", {}, {"has_prefill": True}),
    ("a limit that is no wish", {"max_output_tokens": 100, "limit_is_wish": True}, {"max_output_tokens": 100}),
    ("a wish that is none", {"max_output_tokens": 100}, {"max_output_tokens": 100, "limit_is_wish": True}),
    ("pictures to be made", {}, {"modalities": ("image",)}),
    ("a preference", {}, {"ignore": ("beta",)}),
    ("an order", {}, {"order": ("gamma",)}),
    ("a parameter that must be known", {"require_parameters": True}, {"require_parameters": True, "temperature": 1.0}),
    ("a plugin", {}, {"plugins": (ModerationPlugin(),)}),
    ("an input that may be shortened", {"truncation": "auto"}, {"input": LONG, "truncation": "auto"}),
    ("one that may not", {"truncation": "auto"}, {"input": LONG}),
    ("a step of the price", {"max_price": MaxPrice(Decimal(3))}, {"max_price": MaxPrice(Decimal(3)), "input": LONG}),
]


@pytest.mark.parametrize(("first", "second"), [row[1:] for row in DIFFERENT], ids=[row[0] for row in DIFFERENT])
def test_requests_that_differ_do_not_share_who_may_serve(first: dict[str, Any], second: dict[str, Any]) -> None:
    shelf = Shelf(TIERED if "max_price" in first else MANY)
    planner = Planner(shelf, Health(), lambda: 0.5, lambda: NOW)
    for fields in (first, second, first):
        request = ask(**{"model": "m/one", **fields})
        fresh = Planner(shelf, Health(), lambda: 0.5, lambda: NOW)
        assert _outcome(planner, request, Policy()) == _outcome(fresh, request, Policy())


def test_a_second_request_like_the_first_asks_the_catalog_for_nothing() -> None:
    shelf = Counting([endpoint("alpha"), endpoint("beta")])
    planner = Planner(shelf, Health(), thrown().__next__, lambda: NOW, Affinity())
    for text in ("Hello", "Hello again", "word " * 2_000):
        message = Message(role="user", content=(InputText(text=text),))
        assert len(planner.plan(ask(input=(message,)), Policy()).attempts) == 2
    assert shelf.asked == 1


def test_a_longer_input_is_told_who_is_too_small_for_it() -> None:
    """Who was removed by what comes after the context, as a schema it cannot hold, is then removed by its context."""
    shelf = Shelf([endpoint("alpha", supports=["structured_outputs"]), endpoint("beta", supports=[], context=200)])
    planner = Planner(shelf, Health(), thrown().__next__, lambda: NOW)
    removed = []
    for text in ("Hello", "word " * 1_000, "Hello"):
        message = Message(role="user", content=(InputText(text=text),))
        plan = planner.plan(ask(input=(message,), text=TextConfig(JsonSchemaFormat("answer", {}))), Policy())
        removed += [each.filter for each in plan.explanation.filtered_out]
    assert removed == ["structured_outputs", "context_length", "structured_outputs"]


def test_what_is_remembered_is_bounded() -> None:
    shelf = Counting([endpoint("alpha", f"m/{number}") for number in range(MAX_REMEMBERED + 1)])
    planner = Planner(shelf, Health(), thrown().__next__, lambda: NOW)
    for number in (*range(MAX_REMEMBERED + 1), 0, MAX_REMEMBERED):
        planner.plan(ask(f"m/{number}"), Policy())
    assert shelf.asked == MAX_REMEMBERED + 2


@pytest.mark.parametrize(
    "fields",
    [{"only": tuple(f"p{number}" for number in range(9_000))}, {"ignore": ("x" * 9_000,)}],
    ids=["many names", "a long name"],
)
def test_long_preferences_are_not_kept(fields: dict[str, tuple[str, ...]]) -> None:
    shelf = Counting([endpoint("p1"), endpoint("p2")])
    planner = Planner(shelf, Health(), thrown().__next__, lambda: NOW)
    for _ in range(2):
        planner.plan(ask(model="m/one", **fields), Policy())
    assert shelf.asked == 2


def test_a_refusal_is_made_anew() -> None:
    planner = Planner(Shelf([endpoint(supports=[])]), Health(), thrown().__next__, lambda: NOW)
    for _ in range(2):
        with pytest.raises(ClientError, match="is not listed"):
            planner.plan(ask(only=("beta",)), Policy())
