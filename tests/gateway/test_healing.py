"""JSON that models write carelessly, through the running gateway: told so that it parses, streamed and whole."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.document import validate_event
from tests.gateway.checks import error_of, events_of, response_of, text_of
from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.speech import SPEECHES, named
from tests.gateway.tenants import Store, Tenant
from tests.gateway.upstream import Script, Upstream, chunk, completion, sse, stream, usage_chunk, whole

Json = Any

DIALECTS = ("chat", "messages", "gemini")
HEALING = [{"id": "response-healing"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "big": {"type": "boolean"}},
    "required": ["city", "big"],
    "additionalProperties": False,
}
FORMAT = {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}
BROKEN = 'Sure:\n\n```json\n{\'city\': "the "big" one", big: True,}\n```\nThat is all.'
MENDED = '{"city": "the \\"big\\" one", "big": true}'
CHANGED = {"comma", "fence", "key", "literal", "prose", "quote", "quotes"}
PIECES = [BROKEN[at : at + 4] for at in range(0, len(BROKEN), 4)]
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
_numbers = itertools.count()

ENDS: dict[str, dict[str, bytes]] = {
    "chat": {reason: sse([chunk(finish=reason), usage_chunk(20, 9), "[DONE]"]) for reason in ("stop", "length")},
    "messages": {
        reason: named(
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": told}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        )
        for reason, told in (("stop", "end_turn"), ("length", "max_tokens"))
    },
    "gemini": {
        reason: sse(
            [
                {
                    "candidates": [{"content": {"role": "model", "parts": []}, "finishReason": told}],
                    "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 9},
                }
            ]
        )
        for reason, told in (("stop", "STOP"), ("length", "MAX_TOKENS"))
    },
}


def whole_answer(dialect: str, text: str) -> Script:
    if dialect == "chat":
        return whole({**completion(text), "usage": {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}})
    if dialect == "messages":
        content = [{"type": "text", "text": text}]
        told = {"id": "m", "type": "message", "role": "assistant", "model": "gpt-x", "content": content}
        return whole({**told, "stop_reason": "end_turn", "usage": {"input_tokens": 20, "output_tokens": 9}})
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}
    return whole({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 9}})


ENGINE = """
[search.exa]
kind = "exa"
base_url = "{url}/exa"
api_key = {{ env = "MOCK_KEY" }}
"""


def config(url: str, more: str = "") -> str:
    paths = {"chat": "/c/v1", "messages": "/m/v1", "gemini": "/g/v1beta"}
    rows = "".join(
        PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=url + paths[dialect])
        + ENDPOINT.format(provider=f"mock-{dialect}", model=f"mock/{dialect}")
        for dialect in DIALECTS
    )
    return CONFIG + rows + more


@pytest.fixture(scope="module")
def house(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(
        tmp_path_factory.mktemp("healing"), config(upstream.url, ENGINE.format(url=upstream.url)), MOCK_KEY=PROVIDER_KEY
    ) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def careful(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that heals each answer, but no stream and no arguments."""
    more = '[plugins]\ndefaults = ["response-healing"]\n[plugins.response_healing]\nstream = false\n'
    more += "tool_arguments = false\n"
    with running(tmp_path_factory.mktemp("careful"), config(upstream.url, more), MOCK_KEY=PROVIDER_KEY) as gateway:
        yield gateway


@pytest.fixture
def mark() -> str:
    return f"nonce-healing-{next(_numbers)}"


def body(mark: str, dialect: str = "chat", **more: Json) -> Json:
    return {"model": f"mock/{dialect}", "input": f"A place, {mark}", "text": FORMAT, "plugins": HEALING, **more}


def noted(tenant: Tenant, reply: Reply) -> Json:
    """What is on record of the healing of an answer."""
    return json.loads(tenant.record(reply)["plugins"])["healing"]


@pytest.fixture
def tenant(house: Gateway) -> Tenant:
    return Store(house, house.log.with_name("trunkline.db")).tenant(10**12)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_SC_07_a_stream_is_healed_as_it_comes(dialect: str, tenant: Tenant, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, SPEECHES[dialect].script(PIECES, rest=ENDS[dialect]["stop"]))
    reply = tenant.call(body(mark, dialect, stream=True))
    events = events_of(reply)
    for event in events:
        validate_event(event)
    assert text_of(events) == MENDED
    response = events[-1]["response"]
    assert response["output_text"] == MENDED
    assert response["usage"]["output_tokens"] == 9
    assert "x-trunkline-healed" not in reply.headers
    assert noted(tenant, reply) == {"changed": sorted(CHANGED), "schema": "fits"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_SC_07_a_whole_answer_is_healed_and_says_so(
    dialect: str, tenant: Tenant, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, whole_answer(dialect, BROKEN))
    reply = tenant.call(body(mark, dialect))
    response = response_of(reply)
    assert response["output_text"] == MENDED
    assert response["usage"]["output_tokens"] == 9
    assert set(reply.headers["x-trunkline-healed"].split(",")) == CHANGED
    assert noted(tenant, reply)["schema"] == "fits"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_that_was_cut_is_not_completed(dialect: str, tenant: Tenant, upstream: Upstream, mark: str) -> None:
    half = '{"city": "the bi'
    upstream.play(mark, SPEECHES[dialect].script([half[:9], half[9:]], rest=ENDS[dialect]["length"]))
    reply = tenant.call(body(mark, dialect, stream=True))
    assert text_of(events_of(reply, "incomplete")) == half
    assert noted(tenant, reply) == {"changed": []}


def test_a_stream_that_breaks_off_fails_with_what_it_said(tenant: Tenant, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, SPEECHES["chat"].script(['{"city": "Ber', 'lin",'], ending="reset"))
    reply = tenant.call(body(mark, stream=True))
    assert text_of(events_of(reply, "failed")) == '{"city": "Berlin",'


def test_legal_json_is_told_word_for_word_with_each_read(tenant: Tenant, upstream: Upstream, mark: str) -> None:
    said = ['{"city": "Ber', "lin and", " more", '", "big": true}']
    upstream.play(mark, SPEECHES["chat"].script(said, pause_s=0.05, rest=ENDS["chat"]["stop"]))
    reply = tenant.call(body(mark, stream=True))
    told = [event["delta"] for event in events_of(reply) if event["type"] == "response.output_text.delta"]
    assert told == said
    assert noted(tenant, reply) == {"changed": [], "schema": "fits"}


def test_the_arguments_of_calls_are_healed(tenant: Tenant, upstream: Upstream, mark: str) -> None:
    def called(index: int, arguments: str, **more: Json) -> Json:
        return chunk(
            tool_calls=[{"index": index, **more, "function": {**more.get("function", {}), "arguments": arguments}}]
        )

    begun = [{"id": f"call_{n}", "type": "function", "function": {"name": "weather"}} for n in range(2)]
    said = [called(0, "", **begun[0]), called(0, "{city: 'Ber"), called(0, "lin',}"), called(1, "", **begun[1])]
    said += [called(1, '{"city": "Ulm"'), chunk(finish="tool_calls"), usage_chunk(), "[DONE]"]
    upstream.play(mark, stream(said))
    reply = tenant.call(body(mark, stream=True, text=None, tools=[WEATHER]))
    calls = events_of(reply)[-1]["response"]["output"]
    assert [each["arguments"] for each in calls] == ['{"city": "Berlin"}', '{"city": "Ulm"}']
    assert noted(tenant, reply) == {"changed": ["closer", "comma", "key", "quotes"]}


@pytest.mark.parametrize("is_stream", [True, False])
def test_the_last_of_several_turns_is_healed(is_stream: bool, tenant: Tenant, upstream: Upstream, mark: str) -> None:
    looks = {"name": "web_search", "arguments": json.dumps({"query": mark})}
    call = [{"index": 0, "id": "call_0", "type": "function", "function": looks}]
    if is_stream:
        said = [chunk("Let me look."), chunk(tool_calls=call), chunk(finish="tool_calls"), usage_chunk(), "[DONE]"]
        turns = (stream(said), SPEECHES["chat"].script(PIECES, rest=ENDS["chat"]["stop"]))
    else:
        turns = (whole(completion("Let me look.", "tool_calls", tool_calls=call)), whole(completion(BROKEN)))
    upstream.play(mark, *turns)
    upstream.play(mark, whole({"results": []}), host="exa")
    reply = tenant.call(body(mark, stream=is_stream, tools=[{"type": "web_search"}]))
    response = events_of(reply)[-1]["response"] if is_stream else response_of(reply)
    texts = [item["content"][0]["text"] for item in response["output"] if item["type"] == "message"]
    assert texts == ["Let me look.", MENDED]
    assert noted(tenant, reply) == {"changed": sorted(CHANGED), "schema": "fits"}


def test_JSON_that_does_not_fit_stands_and_the_record_says_so(tenant: Tenant, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, whole(completion("{'city': 5}")))
    reply = tenant.call(body(mark))
    assert response_of(reply)["output_text"] == '{"city": 5}'
    assert noted(tenant, reply) == {"changed": ["quotes"], "schema": "does_not_fit"}


def test_SC_01_a_schema_that_points_elsewhere_is_not_followed(tenant: Tenant, upstream: Upstream, mark: str) -> None:
    there = {"format": {"type": "json_schema", "name": "x", "schema": {"$ref": f"{upstream.url}/{mark}/schema"}}}
    upstream.play(mark, whole(completion("{'city': 5}")))
    reply = tenant.call(body(mark, text=there))
    assert response_of(reply)["output_text"] == '{"city": 5}'
    assert noted(tenant, reply)["schema"] == "unchecked"
    assert len(upstream.seen(mark)) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_schema_that_doubles_with_each_step_holds_nobody_up(
    dialect: str, tenant: Tenant, upstream: Upstream, mark: str
) -> None:
    doubling = {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(60)} | {"60": {}}
    schema = {"type": "object", "$defs": doubling, "$ref": "#/$defs/0"}
    upstream.play(mark, whole_answer(dialect, "{'city': 5}"))
    reply = tenant.call(body(mark, dialect, text={"format": {"type": "json_schema", "name": "x", "schema": schema}}))
    assert response_of(reply)["output_text"] == '{"city": 5}'
    assert noted(tenant, reply)["schema"] == "unchecked"


def test_prose_and_refusals_are_told_as_they_are(tenant: Tenant, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, stream([chunk("I can"), chunk("not say."), chunk(finish="stop"), usage_chunk(), "[DONE]"]))
    reply = tenant.call(body(mark, stream=True))
    assert text_of(events_of(reply)) == "I cannot say."
    assert noted(tenant, reply) == {"changed": [], "is_unrepairable": True, "schema": "does_not_fit"}


def test_a_large_answer_is_healed_beside_the_loop(tenant: Tenant, upstream: Upstream, mark: str) -> None:
    rows = json.dumps({"city": "Ulm", "big": False, "rows": [{"n": n, "text": "words " * 5} for n in range(4000)]})
    upstream.play(mark, whole(completion(rows[:-1] + ",}")))
    reply = tenant.call(body(mark, text={"format": {"type": "json_object"}}))
    assert response_of(reply)["output_text"] == rows
    assert reply.headers["x-trunkline-healed"] == "comma"


def test_what_nobody_counted_is_estimated_by_what_the_model_wrote(
    tenant: Tenant, upstream: Upstream, mark: str
) -> None:
    prose = "Some words before it. " * 40
    said = [chunk(prose), chunk('{"city": "Ulm", "big": true}'), chunk(finish="stop"), "[DONE]"]
    used = []
    for plugins in (HEALING, []):
        upstream.play(mark, stream(said))
        reply = tenant.call(body(mark, stream=True, plugins=plugins))
        used.append(events_of(reply)[-1]["response"]["usage"]["output_tokens"])
    assert used[0] == used[1] > 200


def test_SC_07_nothing_is_healed_unless_it_is_asked_for(tenant: Tenant, upstream: Upstream, mark: str) -> None:
    without: list[Json] = [{"plugins": []}, {"plugins": [{"id": "response-healing", "enabled": False}]}, {"text": None}]
    for more in without:
        upstream.play(mark, whole(completion(BROKEN)))
        reply = tenant.call(body(mark, **more))
        assert response_of(reply)["output_text"] == BROKEN
        assert "x-trunkline-healed" not in reply.headers


def test_the_gateway_heals_by_default_what_it_is_set_to(careful: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, whole(completion(BROKEN)), SPEECHES["chat"].script(PIECES, rest=ENDS["chat"]["stop"]))
    asked = body(mark)
    del asked["plugins"]
    assert response_of(careful.call(asked))["output_text"] == MENDED
    assert text_of(events_of(careful.call({**asked, "stream": True}))) == BROKEN


def test_an_explanation_says_what_would_be_healed(house: Gateway, mark: str) -> None:
    told = house.call(body(mark, tools=[WEATHER]), path="/api/v1/responses/explain").json
    assert told["plugins"] == {"healing": {"text": True, "tool_arguments": True}}


def test_other_plugins_are_still_refused(house: Gateway, mark: str) -> None:
    error = error_of(house.call(body(mark, plugins=[*HEALING, {"id": "moderation"}])), 400)
    assert "moderation" in error["message"]


class Place(BaseModel):
    city: str
    big: bool


def test_the_openai_client_parses_what_was_healed(
    house: Gateway, tenant: Tenant, upstream: Upstream, mark: str
) -> None:
    with OpenAI(base_url=house.url + "/api/v1", api_key=tenant.text, max_retries=0) as sdk:
        asked: Json = {"model": "mock/chat", "input": f"A place, {mark}", "text_format": Place}
        upstream.play(mark, whole(completion(BROKEN)))
        parsed = sdk.responses.parse(**asked, extra_body={"plugins": HEALING}).output_parsed
        assert parsed == Place(city='the "big" one', big=True)
        upstream.play(mark, SPEECHES["chat"].script(PIECES, rest=ENDS["chat"]["stop"]))
        with sdk.responses.stream(**asked, extra_body={"plugins": HEALING}) as events:
            final: Json = events.get_final_response()
        assert final.output_parsed == parsed
