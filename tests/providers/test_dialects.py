"""Every dialect against a mock this project did not write: what a client of ours sees, and what the mock got.

Whether a request fits the vendor's own types is for `tests/adapters` to say, and odd bytes are for `tests/gateway`.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from openai import OpenAI
from pydantic import BaseModel

from tests.gateway.server import PROVIDER_KEY
from tests.providers.aimock import Aimock
from tests.providers.cases import (
    CASES,
    GAPS,
    KITE_FORMAT,
    LIMIT,
    SHAPE,
    UNMOCKED,
    WEATHER,
    Ask,
    Case,
    called,
    check_loop,
    of,
    results_of,
)
from tests.providers.fixtures import CALLS, INPUT_TOKENS, KITE, OUTPUT_TOKENS, PIXEL, RESULT, TEXT
from tests.providers.readings import READINGS
from tests.providers.wires import AWS_KEY_ID, AWS_REGION, IMAGE_USD, INPUT_USD, OUTPUT_USD, PAINTER, WIRES, Wire
from trunkline.adapters.table import ADAPTERS

pytestmark = pytest.mark.law


class Kite(BaseModel):
    colour: str
    height_m: int


def test_every_dialect_is_tried_or_listed() -> None:
    assert {wire.dialect for wire in (*WIRES, PAINTER)} | UNMOCKED.keys() == ADAPTERS.keys()
    assert not UNMOCKED.keys() & {wire.dialect for wire in WIRES}
    names = {(case.feature, name) for case in CASES for name in (case.id, case.wire.id)}
    assert GAPS.keys() <= names


# What is said


@of("text")
def test_a_text_comes_from_where_it_was_asked(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    answer = ask(case, f"herons {nonce}", instructions="Speak of birds.")
    assert answer.response.output_text == TEXT
    assert answer.response.status == "completed"
    assert answer.response.model == case.wire.model
    (seen,) = mock.seen(nonce)
    assert (seen.method, seen.path) == ("POST", case.wire.arrival(case.stream))
    name, pattern = case.wire.credential
    assert re.fullmatch(pattern, seen.headers[name])
    assert "Speak of birds." in json.dumps(seen.body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_signature_fits_what_arrived_as_botocore_reads_it(stream: bool, ask: Ask, mock: Aimock, nonce: str) -> None:
    bedrock = next(wire for wire in WIRES if wire.id == "converse")
    ask(Case("text", bedrock, stream), f"herons {nonce}")
    (seen,) = mock.seen(nonce)
    signed, _, signature = seen.headers["authorization"].partition("SignedHeaders=")[2].partition(", Signature=")
    headers = {name: seen.headers[name] for name in signed.split(";")}
    url = f"http://{seen.headers['host']}{seen.path}"
    request = AWSRequest(method=seen.method, url=url, headers=headers, data=seen.text.encode())
    request.context["timestamp"] = seen.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(AWS_KEY_ID, PROVIDER_KEY), "bedrock", AWS_REGION)
    assert signature == signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)


@of("text")
def test_a_stream_says_the_text_bit_by_bit(case: Case, ask: Ask, nonce: str) -> None:
    answer = ask(case, f"herons {nonce}")
    deltas = [event["delta"] for event in answer.events if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == (TEXT if case.stream else "")
    assert len(deltas) > 5 or not case.stream


@of("usage")
def test_tokens_are_counted_and_priced_to_the_last_digit(case: Case, ask: Ask, nonce: str) -> None:
    usage = ask(case, f"herons {nonce}").response.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)
    assert usage.total_tokens == INPUT_TOKENS + OUTPUT_TOKENS
    usd = Decimal(INPUT_USD) * INPUT_TOKENS + Decimal(OUTPUT_USD) * OUTPUT_TOKENS
    assert Decimal(repr(usage.model_dump()["cost"])) == usd / 1_000_000


@of("length")
def test_an_answer_cut_by_the_limit_is_incomplete(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    answer = ask(case, f"too-long {nonce}", max_output_tokens=LIMIT)
    assert answer.response.status == "incomplete"
    assert answer.response.incomplete_details is not None
    assert answer.response.incomplete_details.reason == "max_output_tokens"
    assert answer.response.output_text == TEXT
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].limit(seen.body) == LIMIT


@of("filter")
def test_an_answer_stopped_by_a_filter_is_incomplete(case: Case, ask: Ask, nonce: str) -> None:
    answer = ask(case, f"filter {nonce}")
    assert answer.response.status == "incomplete"
    assert answer.response.incomplete_details is not None
    assert answer.response.incomplete_details.reason == "content_filter"


@of("schema")
def test_an_answer_is_held_to_a_schema(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    answer = ask(case, f"kite {nonce}", text=KITE_FORMAT)
    assert json.loads(answer.response.output_text) == json.loads(KITE)
    assert not answer.items("function_call")
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].schema(seen.body) == SHAPE


def test_a_schema_with_spaces_in_its_name_makes_a_tool_without_any(ask: Ask, mock: Aimock, nonce: str) -> None:
    private = next(wire for wire in WIRES if wire.id == "chat-private")
    named = {"format": {**KITE_FORMAT["format"], "name": "A red kite"}}
    answer = ask(Case("schema", private, stream=False), f"kite {nonce}", text=named)
    assert json.loads(answer.response.output_text) == json.loads(KITE)
    (seen,) = mock.seen(nonce)
    assert READINGS["chat"].tools(seen.body) == ["A_red_kite"]


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_the_sdk_parses_an_answer_into_a_model(wire: Wire, client: OpenAI, nonce: str) -> None:
    whole = client.responses.parse(model=wire.model, input=f"kite {nonce}", text_format=Kite)
    with client.responses.stream(model=wire.model, input=f"kite {nonce}", text_format=Kite) as events:
        streamed = events.get_final_response()
    assert whole.output_parsed == streamed.output_parsed == Kite(colour="red", height_m=40)


@of("image")
def test_a_picture_arrives_byte_for_byte(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}
    question = {"role": "user", "content": [{"type": "input_text", "text": f"herons {nonce}"}, picture]}
    assert ask(case, [question]).response.output_text == TEXT
    (seen,) = mock.seen(nonce)
    assert READINGS[case.wire.dialect].image(seen.body) == PIXEL


# Tools


@of("call")
def test_a_tool_is_called_and_its_result_answered(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    question = {"role": "user", "content": f"one-call {nonce}"}
    first = ask(case, [question], tools=[WEATHER])
    assert called(first) == [(name, json.loads(arguments)) for name, arguments in CALLS[:1]]
    second = ask(case, [question, *first.output, *results_of(first)], tools=[WEATHER])
    assert second.response.output_text == f"Rain. {RESULT}"
    asked, told = mock.seen(nonce)
    assert READINGS[case.wire.dialect].tools(asked.body) == ["weather"]
    check_loop(case.wire, told.body, 1)


@of("calls")
def test_parallel_calls_keep_their_ids_and_their_order(case: Case, ask: Ask, mock: Aimock, nonce: str) -> None:
    question = {"role": "user", "content": f"two-calls {nonce}"}
    first = ask(case, [question], tools=[WEATHER])
    assert first.response.output_text == "Let me look."
    assert called(first) == [(name, json.loads(arguments)) for name, arguments in CALLS]
    second = ask(case, [question, *first.output, *results_of(first)], tools=[WEATHER])
    assert second.response.output_text == f"Rain. {RESULT}"
    _, told = mock.seen(nonce)
    check_loop(case.wire, told.body, 2)


@of("mixed")
def test_text_after_a_call_stays_after_it(case: Case, ask: Ask, nonce: str) -> None:
    answer = ask(case, f"mixed {nonce}", tools=[WEATHER])
    assert answer.response.output_text == TEXT
    assert called(answer) == [(name, json.loads(arguments)) for name, arguments in CALLS[:1]]
    order = [item.type for item in answer.response.output if item.type != "reasoning"]
    assert order == ["function_call", "message"]


def test_a_search_of_the_provider_is_told(ask: Ask, mock: Aimock, nonce: str) -> None:
    responses = next(wire for wire in WIRES if wire.id == "responses")
    for stream in (False, True):
        answer = ask(Case("text", responses, stream), f"search {nonce}", tools=[{"type": "web_search"}])
        assert [item.type for item in answer.response.output] == ["web_search_call", "message"]
        assert answer.output[0]["status"] == "completed"
    assert [tool["type"] for tool in mock.seen(nonce)[0].body["tools"]] == ["web_search"]


# Pictures


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_picture_is_painted_and_priced(stream: bool, ask: Ask, mock: Aimock, nonce: str) -> None:
    answer = ask(Case("image", PAINTER, stream), f"paint a kite {nonce}")
    (item,) = answer.output
    assert (item["type"], item["status"]) == ("image_generation_call", "completed")
    assert item["result"] == f"data:image/png;base64,{PIXEL}"
    assert answer.response.usage is not None
    assert Decimal(repr(answer.response.usage.model_dump()["cost"])) == Decimal(IMAGE_USD)
    (seen,) = mock.seen(nonce)
    assert seen.path == PAINTER.path
    assert seen.body["prompt"] == f"paint a kite {nonce}"
