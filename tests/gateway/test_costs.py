"""What answers cost, in every dialect: its wire counts on one side, the formula of `tests/cost_formula.py` on another.

A case is an endpoint with a price in the operator's own words, an answer of its provider, and the usage that it means.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.cost_formula import dollars, parts_of
from tests.gateway.checks import events_of, response_of
from tests.gateway.conftest import PROVIDER
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, Reply, post, running
from tests.gateway.tenants import Store, sized
from tests.gateway.test_quirks import PIXEL, as_toml
from tests.gateway.test_wire_answers import framed
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, whole
from tests.gateway.waiting import eventually
from trunkline.catalog.prices import Price, PriceTier
from trunkline.stream.deltas import Usage

Json = Any

ENDPOINT = """
[[endpoints]]
provider = "{name}"
model = "{model}"
upstream_model = "gpt-x"
quirks = {quirks}
output_modalities = {made}
"""

USUAL: Mapping[str, Json] = {
    "input": "3",
    "output": "15",
    "cache_read": "0.3",
    "cache_write": "3.75",
    "cache_write_1h": "6",
    "audio": "7",
    "image_token": "30",
    "image": "0.039",
    "search": "0.01",
    "request": "0.002",
    "tiers": [{"above_input_tokens": 200_000, "input": "6", "output": "22.5"}],
    "service_tiers": {"flex": "0.5", "priority": "1.75"},
}
COUNTS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "audio_input_tokens",
    "audio_cached_tokens", "output_tokens", "reasoning_tokens", "image_output_tokens", "images", "searches",
)  # fmt: skip
LARGE_BODY = 1_000_000
APIECE: Mapping[str, Json] = {"input": "0.3", "output": "2.5", "image": "0.04"}


@dataclass(frozen=True)
class Case:
    """`usage` is what `answers` say, in the order they are asked for; `told` is the cost that the provider names."""

    id: str
    dialect: str
    answers: tuple[Json, ...]
    usage: Usage
    price: Mapping[str, Json] | None = field(default_factory=lambda: USUAL)
    tier: str | None = None
    quirks: Mapping[str, Json] = field(default_factory=dict)
    told: str | None = None
    made: tuple[str, ...] = ("text",)


def chat(usage: Json, **members: Json) -> Json:
    return {**completion(), "usage": usage, **members}


def messages(usage: Json) -> Json:
    text = [{"type": "text", "text": "Hello."}]
    return {"type": "message", "role": "assistant", "content": text, "stop_reason": "end_turn", "usage": usage}


def gemini(usage: Json, *parts: Json, queries: tuple[str, ...] = ()) -> Json:
    content = {"role": "model", "parts": list(parts) or [{"text": "Hello."}]}
    grounding = {"groundingMetadata": {"webSearchQueries": list(queries)}} if queries else {}
    return {"candidates": [{"content": content, "finishReason": "STOP", **grounding}], "usageMetadata": usage}


def converse(usage: Json, **members: Json) -> Json:
    message = {"role": "assistant", "content": [{"text": "Hello."}]}
    return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, **members}


def responses(usage: Json, **members: Json) -> Json:
    text = {"type": "output_text", "text": "Hello.", "annotations": []}
    message = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [text]}
    return {"id": "r1", "status": "completed", "output": [message], "usage": usage, **members}


def cohere(usage: Json) -> Json:
    message = {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]}
    return {"id": "c1", "message": message, "finish_reason": "COMPLETE", "usage": usage}


PICTURE = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
DRAWS: Json = {"made": ("text", "image")}

CASES = [
    Case(
        "chat: cached, written for an hour, reasoning",
        "chat",
        (
            chat(
                {
                    "prompt_tokens": 9_000,
                    "completion_tokens": 500,
                    "prompt_tokens_details": {
                        "cached_tokens": 4_000,
                        "cache_creation_input_tokens": 3_000,
                        "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
                    },
                    "completion_tokens_details": {"reasoning_tokens": 100},
                }
            ),
        ),
        Usage(
            input_tokens=9_000,
            cache_read_tokens=4_000,
            cache_write_tokens=3_000,
            cache_write_1h_tokens=2_000,
            output_tokens=500,
            reasoning_tokens=100,
        ),
    ),
    Case(
        "chat: sound of which some is cached, and a drawn picture",
        "chat",
        (
            chat(
                {
                    "prompt_tokens": 9_000,
                    "completion_tokens": 1_300,
                    "prompt_tokens_details": {
                        "audio_tokens": 6_000,
                        "cached_tokens": 5_000,
                        "cached_tokens_details": {"audio_tokens": 4_000},
                    },
                    "completion_tokens_details": {"image_tokens": 1_290},
                }
            ),
        ),
        Usage(
            input_tokens=9_000,
            cache_read_tokens=5_000,
            audio_input_tokens=6_000,
            audio_cached_tokens=4_000,
            output_tokens=1_300,
            image_output_tokens=1_290,
        ),
    ),
    Case(
        "chat: the cheaper tier",
        "chat",
        (chat({"prompt_tokens": 1_000, "completion_tokens": 100}, service_tier="flex"),),
        Usage(input_tokens=1_000, output_tokens=100),
        tier="flex",
    ),
    Case(
        "chat: a picture that nobody counted",
        "chat",
        (
            {
                **completion(images=[{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]),
                "usage": {"prompt_tokens": 100, "completion_tokens": 20},
            },
        ),
        Usage(input_tokens=100, output_tokens=20, images=1),
        price=APIECE,
        **DRAWS,
    ),
    Case(
        "responses: a tier that the contract has no word for",
        "responses",
        (responses({"input_tokens": 1_000, "output_tokens": 10}, service_tier="ultrafast"),),
        Usage(input_tokens=1_000, output_tokens=10),
        price={"input": "5", "output": "30", "service_tiers": {"ultrafast": "6"}},
        tier="ultrafast",
    ),
    Case(
        "chat: Groq's name of the usual tier",
        "chat",
        (chat({"prompt_tokens": 1_000, "completion_tokens": 100}, service_tier="on_demand"),),
        Usage(input_tokens=1_000, output_tokens=100),
    ),
    Case(
        "chat: thought and sources beside the answer (row 4)",
        "chat",
        (
            chat(
                {
                    "prompt_tokens": 33,
                    "completion_tokens": 7_163,
                    "citation_tokens": 20_016,
                    "reasoning_tokens": 95_305,
                    "num_search_queries": 18,
                }
            ),
        ),
        Usage(input_tokens=20_049, output_tokens=102_468, reasoning_tokens=95_305, searches=18),
        price={"input": "2", "output": "8", "reasoning": "3", "search": "0.005"},
        quirks={"adds_reasoning_tokens": True},
    ),
    Case(
        "chat: billed as told (row 5)",
        "chat",
        (chat({"prompt_tokens": 14, "completion_tokens": 265, "cost": {"total_cost": 0.005279}}),),
        Usage(input_tokens=14, output_tokens=265),
        price={"input": "1", "output": "1", "request": "0.012"},
        quirks={"bills_as_told": True},
        told="0.005279",
    ),
    Case(
        "chat: where thought makes the whole answer dearer (row 15)",
        "chat",
        (
            chat(
                {
                    "prompt_tokens": 100,
                    "completion_tokens": 1_300,
                    "completion_tokens_details": {"reasoning_tokens": 1_000},
                }
            ),
        ),
        Usage(input_tokens=100, output_tokens=1_300, reasoning_tokens=1_000),
        price={"input": "0.4", "output": "1.2", "reasoning": "4", "reasoning_per": "answer"},
    ),
    Case(
        "messages: written for an hour, searches (row 6)",
        "messages",
        (
            messages(
                {
                    "input_tokens": 100,
                    "cache_read_input_tokens": 700,
                    "cache_creation_input_tokens": 12_000,
                    "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 10_000},
                    "output_tokens": 500,
                    "server_tool_use": {"web_search_requests": 2},
                    "service_tier": "standard",
                }
            ),
        ),
        Usage(
            input_tokens=12_800,
            cache_read_tokens=700,
            cache_write_tokens=12_000,
            cache_write_1h_tokens=10_000,
            output_tokens=500,
            searches=2,
        ),
    ),
    Case(
        "messages: the dearer tier",
        "messages",
        (messages({"input_tokens": 1_000, "output_tokens": 100, "service_tier": "priority"}),),
        Usage(input_tokens=1_000, output_tokens=100),
        tier="priority",
    ),
    Case(
        "gemini: sound of which some is cached (row 9)",
        "gemini",
        (
            gemini(
                {
                    "promptTokenCount": 10_000,
                    "cachedContentTokenCount": 2_000,
                    "candidatesTokenCount": 50,
                    "thoughtsTokenCount": 30,
                    "promptTokensDetails": [
                        {"modality": "TEXT", "tokenCount": 1_000},
                        {"modality": "AUDIO", "tokenCount": 9_000},
                    ],
                    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 2_000}],
                }
            ),
        ),
        Usage(
            input_tokens=10_000,
            cache_read_tokens=2_000,
            audio_input_tokens=9_000,
            audio_cached_tokens=2_000,
            output_tokens=80,
            reasoning_tokens=30,
        ),
    ),
    Case(
        "gemini: a picture is its tokens (row 7)",
        "gemini",
        (
            gemini(
                {
                    "promptTokenCount": 100,
                    "candidatesTokenCount": 1_310,
                    "candidatesTokensDetails": [
                        {"modality": "TEXT", "tokenCount": 20},
                        {"modality": "IMAGE", "tokenCount": 1_290},
                    ],
                },
                PICTURE,
            ),
        ),
        Usage(input_tokens=100, output_tokens=1_310, image_output_tokens=1_290, images=1),
        **DRAWS,
    ),
    Case(
        "gemini: a picture apiece, whose tokens are not paid again (row 7)",
        "gemini",
        (gemini({"promptTokenCount": 100, "candidatesTokenCount": 1_290}, PICTURE),),
        Usage(input_tokens=100, output_tokens=1_290, image_output_tokens=1_290, images=1),
        price=APIECE,
        **DRAWS,
    ),
    Case(
        "gemini: three queries, one fee (row 16)",
        "gemini",
        (gemini({"promptTokenCount": 100, "candidatesTokenCount": 50}, queries=("a", "b", "c")),),
        Usage(input_tokens=100, output_tokens=50, searches=3),
        price={"input": "0.3", "output": "2.5", "search": "0.035", "search_per": "request"},
    ),
    Case(
        "gemini: each query that is one",
        "gemini",
        (gemini({"promptTokenCount": 100, "candidatesTokenCount": 50}, queries=("a", "", "b", "a")),),
        Usage(input_tokens=100, output_tokens=50, searches=2),
    ),
    Case(
        "gemini: the tier in Vertex's words (row 14)",
        "gemini",
        (gemini({"promptTokenCount": 100, "candidatesTokenCount": 50, "trafficType": "ON_DEMAND_PRIORITY"}),),
        Usage(input_tokens=100, output_tokens=50),
        tier="priority",
    ),
    Case(
        "gemini: the tier in Google's own words",
        "gemini",
        (gemini({"promptTokenCount": 100, "candidatesTokenCount": 50, "serviceTier": "flex"}),),
        Usage(input_tokens=100, output_tokens=50),
        tier="flex",
    ),
    Case(
        "converse: written for an hour, the cheaper tier (row 6)",
        "converse",
        (
            converse(
                {
                    "inputTokens": 100,
                    "outputTokens": 50,
                    "cacheReadInputTokens": 900,
                    "cacheWriteInputTokens": 3_000,
                    "cacheDetails": [{"ttl": "1h", "inputTokens": 2_000}, {"ttl": "5m", "inputTokens": 1_000}],
                },
                serviceTier={"type": "flex"},
            ),
        ),
        Usage(
            input_tokens=4_000,
            cache_read_tokens=900,
            cache_write_tokens=3_000,
            cache_write_1h_tokens=2_000,
            output_tokens=50,
        ),
        tier="flex",
    ),
    Case(
        "responses: above a tier, cached, the cheaper service tier (rows 8 and 14)",
        "responses",
        (
            responses(
                {
                    "input_tokens": 300_000,
                    "output_tokens": 1_000,
                    "input_tokens_details": {"cached_tokens": 290_000},
                    "output_tokens_details": {"reasoning_tokens": 400},
                },
                service_tier="flex",
            ),
        ),
        Usage(input_tokens=300_000, cache_read_tokens=290_000, output_tokens=1_000, reasoning_tokens=400),
        tier="flex",
    ),
    Case(
        "responses: what xAI charged",
        "responses",
        (responses({"input_tokens": 1_000, "output_tokens": 10, "cost_in_usd_ticks": 37_756_000}),),
        Usage(input_tokens=1_000, output_tokens=10),
        quirks={"bills_as_told": True},
        told="0.0037756",
    ),
    Case(
        "cohere: cached, searches",
        "cohere",
        (
            cohere(
                {
                    "tokens": {"input_tokens": 980, "output_tokens": 40},
                    "cached_tokens": 100,
                    "billed_units": {"input_tokens": 5, "output_tokens": 40, "search_units": 2},
                }
            ),
        ),
        Usage(input_tokens=980, cache_read_tokens=100, output_tokens=40, searches=2),
    ),
    Case(
        "mistral: cached",
        "mistral",
        (chat({"prompt_tokens": 900, "completion_tokens": 40, "num_cached_tokens": 300}),),
        Usage(input_tokens=900, cache_read_tokens=300, output_tokens=40),
    ),
    Case(
        "images: drawn tokens and text (row 7)",
        "images",
        (
            {
                "data": [{"b64_json": PIXEL}],
                "usage": {
                    "input_tokens": 50,
                    "output_tokens": 4_200,
                    "output_tokens_details": {"image_tokens": 4_160, "text_tokens": 40},
                },
            },
        ),
        Usage(input_tokens=50, output_tokens=4_200, image_output_tokens=4_160, images=1),
        price={"input": "5", "output": "10", "image_token": "32"},
        made=("image",),
    ),
    Case(
        "images: apiece",
        "images",
        ({"data": [{"b64_json": PIXEL}, {"b64_json": PIXEL}]},),
        Usage(images=2),
        price=APIECE,
        made=("image",),
    ),
    Case(
        "bfl: no price, what its maker says (row 10)",
        "bfl",
        (
            {"id": "NONCE", "polling_url": "URL/NONCE/get_result", "cost": 13},
            {"status": "Ready", "result": {"sample": "URL/NONCE/sample.png"}},
            "PNG",
        ),
        Usage(images=1),
        price=None,
        told="0.13",
        made=("image",),
    ),
    Case(
        "riverflow: no price, what its maker says (row 10)",
        "riverflow",
        (
            {"data": {"jobId": "NONCE"}},
            {
                "data": {
                    "job": {"status": "completed", "cost": {"currency": "USD", "taskCost": "0.13"}},
                    "artifacts": [{"type": "image", "status": "ready", "url": "URL/NONCE/sample.png"}],
                }
            },
            "PNG",
        ),
        Usage(images=1),
        price=None,
        told="0.13",
        made=("image",),
    ),
]


HELLO = "Hi there, what is this?"
LARGE_PICTURE = {
    "type": "input_image",
    "image_url": f"data:image/png;base64,{base64.b64encode(base64.b64decode(PIXEL) + bytes(100_000)).decode()}",
}
"""Which is no text, however many letters it has (row 3)."""

PIECE = "four" * 10
"""Ten tokens of ours."""


def events(*named: Json) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode()) for each in named)


LEFT: Mapping[str, Script] = {
    "chat": Script([head(200, "text/event-stream"), sse([chunk(PIECE)] * 100)], "stall"),
    "mistral": Script([head(200, "text/event-stream"), sse([chunk(PIECE)] * 100)], "stall"),
    "messages": Script(
        [
            head(200, "text/event-stream"),
            events(
                {"type": "message_start", "message": {"usage": {"input_tokens": 20, "output_tokens": 1}}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": PIECE}}] * 100,
            ),
        ],
        "stall",
    ),
    "gemini": Script(
        [
            head(200, "text/event-stream"),
            sse(
                [
                    {
                        "candidates": [{"content": {"role": "model", "parts": [{"text": PIECE}]}}],
                        "usageMetadata": {"promptTokenCount": 20},
                    }
                ]
                * 100
            ),
        ],
        "stall",
    ),
    "cohere": Script(
        [
            head(200, "text/event-stream"),
            events(
                {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
                {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
                *[{"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": PIECE}}}}] * 100,
            ),
        ],
        "stall",
    ),
    "converse": Script(
        [
            head(200, "application/vnd.amazon.eventstream"),
            framed("messageStart", '{"role": "assistant"}'),
            framed("contentBlockDelta", json.dumps({"contentBlockIndex": 0, "delta": {"text": PIECE}})) * 100,
        ],
        "stall",
    ),
    "responses": Script(
        [
            head(200, "text/event-stream"),
            events(
                {"type": "response.created", "response": {"id": "r1", "status": "in_progress", "output": []}},
                {
                    "type": "response.output_item.added",
                    "output_index": 0,
                    "item": {
                        "type": "message",
                        "id": "m1",
                        "role": "assistant",
                        "status": "in_progress",
                        "content": [],
                    },
                },
                {
                    "type": "response.content_part.added",
                    "output_index": 0,
                    "content_index": 0,
                    "item_id": "m1",
                    "part": {"type": "output_text", "text": "", "annotations": []},
                },
                *[
                    {
                        "type": "response.output_text.delta",
                        "output_index": 0,
                        "content_index": 0,
                        "item_id": "m1",
                        "delta": PIECE,
                    }
                ]
                * 100,
            ),
        ],
        "stall",
    ),
}
"""What a provider says before its client leaves: 4,000 letters, and no count of them."""


def nonce_of(number: int) -> str:
    return f"nonce-cost-{number}"


@pytest.fixture(scope="module")
def costs(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = '[server]\ndeadline = "6 s"\n[log]\nlevel = "debug"\n'
    for number, case in enumerate(CASES):
        name = f"cost-{number}"
        url = f"{upstream.url}/{nonce_of(number)}/v1"
        config += PROVIDER.format(name=name, dialect=case.dialect, url=url)
        config += ENDPOINT.format(
            name=name, model=f"cost/{number}", quirks=as_toml(case.quirks), made=json.dumps(case.made)
        )
        config += f"price = {as_toml(case.price)}\n" if case.price is not None else ""
    for dialect in LEFT:
        config += PROVIDER.format(
            name=f"left-{dialect}", dialect=dialect, url=f"{upstream.url}/nonce-left-{dialect}/v1"
        )
        config += ENDPOINT.format(name=f"left-{dialect}", model=f"left/{dialect}", quirks="{}", made='["text"]')
        config += 'price = { input = "3", output = "15" }\n'
    config += PROVIDER.format(name="faulty", dialect="chat", url=f"{upstream.url}/faulty/v1")
    config += ENDPOINT.format(name="faulty", model="faulty/chat", quirks="{}", made='["text"]')
    config += 'price = { input = "3", output = "15" }\ncontext_tokens = 128000\n'
    with running(tmp_path_factory.mktemp("costs"), config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def priced(told: Mapping[str, Json]) -> Price:
    """The price as its words in the operator's file mean it."""
    names = {"audio": "audio_input", "image": "image_output"}
    apiece = ("image", "search", "request")
    amounts = {
        names.get(name, name): Decimal(value) / (1 if name in apiece else 1_000_000)
        for name, value in told.items()
        if isinstance(value, str) and not name.endswith("_per")
    }
    tiers = tuple(
        PriceTier(
            above_input_tokens=tier["above_input_tokens"],
            input=Decimal(tier["input"]) / 1_000_000,
            output=Decimal(tier["output"]) / 1_000_000,
        )
        for tier in told.get("tiers", ())
    )
    ways = {name: value for name, value in told.items() if name.endswith("_per")}
    factors = tuple((name, Decimal(factor)) for name, factor in told.get("service_tiers", {}).items())
    fields: Json = {**amounts, **ways, "tiers": tiers, "service_tiers": factors}
    return Price(**fields)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_MO_19_an_answer_costs_what_the_formula_says(case: Case, costs: Gateway, upstream: Upstream) -> None:
    """So say the answer, its record and the entry of the ledger; the body is large, so that enough is held."""
    tenant = Store(costs, costs.log.with_name("trunkline.db")).tenant(10**13)
    number = CASES.index(case)
    nonce = nonce_of(number)
    upstream.play(nonce, *(_script(answer, nonce, upstream) for answer in case.answers))
    modalities = {"modalities": [*case.made]} if "image" in case.made else {}
    reply = tenant.call(sized({"model": f"cost/{number}", "input": "Hi", **modalities}, LARGE_BODY))
    usage = response_of(reply)["usage"]
    assert usage["input_tokens"] == case.usage.input_tokens
    assert usage["output_tokens"] == case.usage.output_tokens
    assert usage["output_tokens_details"]["reasoning_tokens"] == case.usage.reasoning_tokens
    assert usage["input_tokens_details"]["cached_tokens"] == case.usage.cache_read_tokens
    total = _exact(reply, "cost")
    record = tenant.record(reply)
    told = tenant.get(f"generation?id={record['id']}").body
    assert json.loads(told, parse_float=Decimal)["data"]["total_cost"] == total
    ((charged,),) = tenant.store.rows("SELECT amount_nano FROM entries WHERE charge_of = ?", record["id"])
    assert dollars(charged) == total
    assert {name: record[name] for name in COUNTS} == {name: getattr(case.usage, name) for name in COUNTS}
    if case.told is not None:
        assert total == Decimal(case.told)
        return
    assert case.price is not None
    expected = parts_of(case.usage, priced(case.price), case.tier)
    assert total == dollars(expected.total)
    parts = [record[f"cost_{part}_nano"] for part in ("input", "output", "fees")]
    assert parts == [expected.input, expected.output, expected.fees]
    assert record["cost_nano"] == expected.total == sum(parts)
    assert _exact(reply, "upstream_inference_input_cost") == dollars(expected.input)
    assert _exact(reply, "upstream_inference_output_cost") == dollars(expected.output)


@pytest.mark.parametrize("dialect", LEFT)
def test_MO_14_rows_1_and_2_what_was_heard_before_a_client_left_is_charged(
    dialect: str, costs: Gateway, upstream: Upstream
) -> None:
    upstream.play(f"nonce-left-{dialect}", LEFT[dialect])
    has_picture = dialect in ("chat", "responses")
    asked: Json = {"model": f"left/{dialect}", "stream": True, "input": [{"role": "user", "content": HELLO}]}
    if has_picture:
        asked["input"][0]["content"] = [{"type": "input_text", "text": HELLO}, LARGE_PICTURE]
    with costs.connect() as client:
        client.send(post(asked))
        client.read_until(PIECE.encode(), 100)
        name = client.gathered.partition(b"x-generation-id: ")[2].partition(b"\r\n")[0].decode()

    def ended() -> list[Json]:
        lines = [line for line in costs.log.read_text().splitlines() if "request.ended" in line and name in line]
        return [json.loads(line) for line in lines]

    eventually(lambda: len(ended()) == 1, "no end was noted")
    [end] = ended()
    assert end["output_tokens"] == 1_000
    least, most = (1_500, 2_000) if has_picture else (5, 20)
    assert least <= end["input_tokens"] <= most
    cost = Decimal(end["cost_usd"])
    assert cost == (Decimal(3) * end["input_tokens"] + Decimal(15) * 1_000) / 1_000_000
    eventually(lambda: _on_record(costs, name) == cost, "its record tells another cost")


def _on_record(gateway: Gateway, id: str, name: str = "total_cost") -> Json:
    """What the record of an answer tells, of its cost or what is named; nothing where there is none yet."""
    reply = gateway.request("GET", f"/api/v1/generation?id={id}", headers={"authorization": f"Bearer {KEY}"})
    return json.loads(reply.body, parse_float=Decimal).get("data", {}).get(name)


HEARD = [chunk("Hello, "), chunk("world!"), chunk(finish="stop")]


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        pytest.param([{"prompt_tokens": -500, "completion_tokens": 40}], (10, 40), id="MO-08 negative input"),
        pytest.param([{"prompt_tokens": 40, "completion_tokens": -500}], (40, 4), id="MO-08 negative output"),
        pytest.param(
            [{"prompt_tokens": 40, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": -3}}],
            (40, 9),
            id="MO-08 negative cached",
        ),
        pytest.param(
            [{"prompt_tokens": 40, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 99}}],
            (40, 9),
            id="MO-08 more cached than read",
        ),
        pytest.param([{"prompt_tokens": 2**63, "completion_tokens": 9}], (128_000, 9), id="MO-09 2^63"),
        pytest.param([{"prompt_tokens": 1e308, "completion_tokens": 1e308}], (128_000, 128_000), id="MO-09 1e308"),
        pytest.param([{"prompt_tokens": "123", "completion_tokens": 1.5}], (123, 1), id="MO-09 a text, a fraction"),
        pytest.param([{"prompt_tokens": None, "completion_tokens": None}], (10, 4), id="MO-09 null"),
        pytest.param([], (10, 4), id="MO-10 no usage"),
        pytest.param([{"prompt_tokens": 40, "completion_tokens": 9}] * 2, (40, 9), id="MO-12 twice"),
    ],
)
@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
def test_a_strange_count_costs_no_more_than_can_be(
    usage: list[Json], counted: tuple[int, int], streams: bool, costs: Gateway, upstream: Upstream, nonce: str
) -> None:
    frames = [{**chunk(), "choices": [], "usage": each} for each in usage]
    told = {"usage": usage[-1]} if usage else {}
    answer = {name: value for name, value in completion("Hello, world!").items() if name != "usage"} | told
    upstream.play(nonce, stream([*HEARD, *frames, "[DONE]"]) if streams else whole(answer))
    reply = costs.call({"model": "faulty/chat", "input": nonce[:24].ljust(24), "stream": streams})
    response = events_of(reply)[-1]["response"] if streams else response_of(reply)
    found = response["usage"]
    assert (found["input_tokens"], found["output_tokens"]) == counted
    assert Decimal(str(found["cost"])) == (Decimal(3) * counted[0] + Decimal(15) * counted[1]) / 1_000_000
    # What was cut or completed is flagged; parts that outgrow their whole are only cut.
    assert _on_record(costs, response["id"], "is_estimated") == (counted not in ((40, 9), (123, 1)))


def _script(answer: Json, nonce: str, upstream: Upstream) -> Script:
    if answer == "PNG":
        return Script([head(200, "image/png"), base64.b64decode(PIXEL)])
    return whole(json.loads(json.dumps(answer).replace("NONCE", nonce).replace("URL", upstream.url)))


def _exact(reply: Reply, name: str) -> Decimal:
    """A number as it is written in the answer."""
    found = re.findall(rb'"%b":([0-9.eE+-]+)' % name.encode(), reply.body)
    assert len(found) == 1, reply.body
    return Decimal(found[0].decode())
