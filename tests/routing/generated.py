"""Made-up catalogs, pasts, requests and policies for the laws of routing."""

from __future__ import annotations

import random
from decimal import Decimal

from tests.routing.catalogs import NOW, ask, endpoint
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.preferences import Cutoffs, MaxPrice, Sort
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, JsonSchemaFormat, TextConfig
from trunkline.routing.health import Health, Outcome
from trunkline.routing.policy import Policy

PROVIDERS = ("alpha", "beta", "gamma", "delta", "amazon bedrock", "nobody")
SUPPORTED = ("tools", "max_tokens", "temperature", "top_k", "response_format", "structured_outputs")


def a_model(chance: random.Random, model: str) -> list[Endpoint]:
    """The endpoints of one model."""
    tags = chance.sample(
        ["alpha", "alpha/fast", "alpha/flex", "beta", "gamma", "gamma/eu", "delta", "amazon-bedrock"],
        chance.randint(1, 7),
    )
    maybe = (None, True, False)
    distillable = chance.choice(maybe)
    return [
        endpoint(
            tag.partition("/")[0],
            model,
            tag=tag,
            usd=chance.choice([None, "0", "1", "2", ("1", "4"), ("0.5", "8"), "3", "7.5"]),
            cache_read=chance.choice([None, None, "0.1", "9"]),
            request_fee=chance.choice(["0", "0", "0.001"]),
            context=chance.choice([None, 200, 8_000, 100_000]),
            max_output=chance.choice([None, 100, 4_000]),
            quantization=chance.choice(["unknown", "fp8", "bf16", "int4"]),
            supports=chance.choice([None, SUPPORTED, SUPPORTED[:3], SUPPORTED[1:], chance.sample(SUPPORTED, 3)]),
            trains=chance.choice(maybe),
            zdr=chance.choice(maybe),
            distillable=distillable,
            region=chance.choice([None, "eu", "us"]),
        )
        for tag in tags
    ]


def a_past(chance: random.Random, endpoints: list[Endpoint]) -> Health:
    """What was seen of endpoints until now."""
    health = Health()
    for one in endpoints:
        if chance.random() < 0.3:
            continue
        speed, faults = chance.choice([0.2, 0.5, 2.0]), chance.choice([0.0, 0.0, 0.1, 0.3, 0.7])
        cached = chance.choice([0, 0, 500])
        for _ in range(chance.choice([3, 20, 130])):
            outcome = Outcome(
                fault=chance.choice(["unavailable", "limited", "rejected"]) if chance.random() < faults else None,
                first_token_s=speed * chance.uniform(0.5, 2),
                generation_s=chance.uniform(2, 5) * speed,
                output_tokens=100,
                input_tokens=1000,
                cache_read_tokens=cached,
                retry_after_s=chance.choice([None, None, 20.0]) if faults > 0.5 else None,
            )
            health.record(one.id, outcome, NOW - chance.choice([1, 10, 25, 100, 250, 900]))
    return health


def a_request(chance: random.Random, models: list[str]) -> Request:
    """A request for models, with preferences of every sort."""

    def few() -> tuple[str, ...]:
        names = ["Alpha", "beta", "gamma/eu", "alpha/fast", "alpha/flex", *PROVIDERS]
        return tuple(chance.sample(names, chance.randint(1, 3)))

    fields: dict[str, object] = {}
    for name, share, value in (
        ("only", 0.1, few()),
        ("ignore", 0.15, few()),
        ("order", 0.25, few()),
        ("allow_fallbacks", 0.2, False),
        ("require_parameters", 0.15, True),
        ("data_collection", 0.15, "deny"),
        ("zdr", 0.1, True),
        ("enforce_distillable_text", 0.08, True),
        ("quantizations", 0.1, tuple(chance.sample(["unknown", "fp8", "bf16", "int4"], 2))),
        (
            "sort",
            0.4,
            Sort(chance.choice(["price", "throughput", "latency", None]), chance.choice(["model", "none", None])),
        ),
        ("max_price", 0.15, MaxPrice(prompt=Decimal(chance.randint(0, 4)), completion=Decimal(chance.randint(1, 8)))),
        ("preferred_min_throughput", 0.2, Cutoffs(p50=chance.choice([20.0, 60.0]), p90=chance.choice([None, 10.0]))),
        ("preferred_max_latency", 0.2, Cutoffs(p75=chance.choice([0.3, 1.0, 3.0]))),
        ("route", 0.1, chance.choice(["fallback", "sort"])),
        ("max_output_tokens", 0.2, chance.choice([50, 1_000, 10_000])),
        ("temperature", 0.2, 1.0),
        ("tools", 0.2, (FunctionTool("look_up"),)),
        ("text", 0.15, TextConfig(JsonSchemaFormat("answer", {}))),
        ("limit_is_wish", 0.3, True),
    ):
        if chance.random() < share:
            fields[name] = value
    text = "word " * chance.choice([2, 2, 400, 3_000])
    message = Message(role="user", content=(InputText(text=text),))
    return ask(models[0], models=tuple(models[1:]), input=(message,), **fields)


def a_policy(chance: random.Random) -> Policy:
    """What a key allows; most often all."""
    if chance.random() < 0.6:
        return Policy()
    own = frozenset(chance.sample(["alpha", "beta", "gamma"], chance.randint(0, 2)))
    return Policy(
        account="a1",
        allowed_providers=("alpha", "beta", "amazon-bedrock") if chance.random() < 0.2 else (),
        ignored_providers=("delta",) if chance.random() < 0.3 else (),
        data_collection=chance.choice([None, None, "deny", "allow"]),
        zdr=chance.random() < 0.1,
        regions=("eu",) if chance.random() < 0.1 else (),
        own_keys=own,
        own_keys_only=frozenset(slug for slug in own if chance.random() < 0.3),
    )
