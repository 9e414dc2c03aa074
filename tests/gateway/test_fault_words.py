"""What a fault is, whoever says it and however: the same words in every dialect, as a status, in a stream, as a whole.

The sources of the wordings stand in the table that they are looked up in, `adapters/decoding/faults_table.py`.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from tests.gateway.checks import IN_ORDER, ask, error_of, events_of, response_of, text_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, usage_chunk, whole
from trunkline.protocol.response import ErrorCode

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""

ALIBABA = """
[providers.alibaba]
base_url = "{url}/alibaba/v1"
api_key = {{ env = "MOCK_KEY" }}
"""
"""The shipped row at another address."""

DIALECTS = ("chat", "responses", "messages", "gemini", "converse", "cohere", "mistral")
FORMS = ("status", "stream", "whole")
MODELS = 160
"""How many models each dialect has, so that no case finds an endpoint that another one brought into trouble."""


@dataclass(frozen=True)
class Words:
    """What a provider says, the status beside it, and the status and kind that a client gets."""

    message: str
    beside: int
    status: int
    kind: str


WORDINGS = (
    Words("Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO", 403, 403, "refused"),
    Words("Content Exists Risk", 400, 403, "refused"),
    Words("Prompt exceeds max length", 400, 400, "too_long"),
    Words("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", 400, 400, "too_long"),
    Words("`inputs` tokens + `max_new_tokens` must be <= 4096", 422, 400, "too_long"),
    Words("Rate limit reached. Please try again in 7.66s.", 429, 429, "limited"),
    Words("Incorrect API key provided", 401, 502, "credentials"),
    Words("The provided model identifier is invalid.", 400, 502, "missing"),
    Words("Model Not Exist", 400, 502, "missing"),
    Words("Invalid model: mistral-x", 400, 502, "missing"),
    Words("Invocation of model ID a.b-v1:0 with on-demand throughput isn\u2019t supported.", 400, 502, "missing"),
    Words("Unable to access non-serverless model acme/one.", 400, 502, "missing"),
    Words("Your team 1 has either used all available credits or reached its limit.", 403, 502, "credentials"),
    Words("Account acme is suspended, possibly due to failure to pay past invoices.", 412, 502, "credentials"),
    Words("The decoder prompt (length 9) is longer than the maximum model length of 8.", 400, 400, "too_long"),
    Words("length of prompt_tokens (57535) must be less than max_seq_len (32768)", 400, 400, "too_long"),
)


@pytest.fixture(scope="module")
def spoken(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with models `mock/<dialect>-<number>` at a provider of each dialect."""
    config = CONFIG
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        for number in range(MODELS):
            config += ENDPOINT.format(provider=f"mock-{dialect}", model=f"mock/{dialect}-{number}")
    config += ENDPOINT.format(provider="mock-messages", model="mock/messages-full").replace("128000", "20000")
    config += "max_output_tokens = 8000\n"
    config += ALIBABA.format(url=upstream.url) + ENDPOINT.format(provider="alibaba", model="mock/alibaba")
    with running(tmp_path_factory.mktemp("spoken"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


_numbers = {dialect: itertools.count() for dialect in DIALECTS}


def fresh(dialect: str) -> str:
    return f"mock/{dialect}-{next(_numbers[dialect])}"


def error_in(dialect: str, message: str) -> dict[str, Any]:
    """An error as a dialect has it in a body."""
    match dialect:
        case "messages":
            return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
        case "gemini":
            return {"error": {"message": message}}
        case "converse" | "cohere":
            return {"message": message}
        case "mistral":
            return {"object": "error", "message": message, "type": "invalid_request_error", "code": None}
        case _:
            return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def aws_exception(message: str) -> bytes:
    """One message of AWS's binary framing that tells an exception."""
    names = {":message-type": "exception", ":exception-type": "validationException"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\7" + struct.pack(">H", len(value)) + value.encode()
        for name, value in names.items()
    )
    payload = json.dumps({"message": message}).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    framed = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return framed + struct.pack(">I", zlib.crc32(framed))


def said(dialect: str, form: str, words: Words) -> Script:
    body = error_in(dialect, words.message)
    match form:
        case "status":
            return whole(body, words.beside)
        case "whole":
            return whole(body)
    if dialect == "converse":
        return Script([head(200, "application/vnd.amazon.eventstream"), aws_exception(words.message)])
    if dialect == "responses":
        body = {"type": "error", "sequence_number": 0, **body["error"], "error": body["error"]}
    if dialect == "messages":
        return Script([head(200, "text/event-stream"), b"event: error\n", sse([body])])
    return Script([head(200, "text/event-stream"), sse([body])])


@pytest.mark.parametrize("words", WORDINGS, ids=lambda words: words.message[:24])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_same_words_are_the_same_fault(
    dialect: str, form: str, words: Words, spoken: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, said(dialect, form, words))
    reply = spoken.call(ask(fresh(dialect), nonce, stream=form == "stream"))
    error = error_of(reply, words.status)
    attempts = error["metadata"]["attempts"]
    assert [(each["kind"], each["message"]) for each in attempts] == [(words.kind, words.message)]
    assert reply.headers.get("retry-after") == ("8" if words.kind == "limited" else None)


SLOW = "Rate limit reached"
UNTYPED: dict[str, Any] = {
    "no type, no code": {"error": {"message": SLOW}},
    "a number beside": {"error": {"message": SLOW, "code": 429}},
    "a text and a status": {"error": SLOW, "status": 429},
    "a type of the event alone": {"type": "error", "error": {"message": SLOW}},
    "a message alone": {"type": "error", "message": SLOW},
    "nulls": {"error": {"type": None, "code": None, "param": None, "message": SLOW}},
    "a list of errors": {"errors": [{"message": SLOW}]},
    "a list": [{"error": {"message": SLOW}}],
    "a detail": {"detail": SLOW},
}
"""Errors without the type or code of their dialect, as proxies tell them. "A text and a status" is that of
https://github.com/Wei-Shaw/claude-relay-service/pull/1144 (seen 2026-11-27), the others are its likes."""


@pytest.mark.parametrize("named", [None, "error"], ids=["a datum", "an event named error"])
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("body", UNTYPED.values(), ids=UNTYPED.keys())
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_without_a_type_is_read_by_its_words(
    dialect: str, body: Any, streams: bool, named: str | None, spoken: Gateway, upstream: Upstream, nonce: str
) -> None:
    script = whole(body)
    if streams and dialect != "converse":
        event = b"" if named is None else f"event: {named}\n".encode()
        script = Script([head(200, "text/event-stream"), event + sse([body])])
    upstream.play(nonce, script)
    attempts = error_of(spoken.call(ask(fresh(dialect), nonce, stream=streams)), 429)["metadata"]["attempts"]
    assert [(each["kind"], each["message"]) for each in attempts] == [("limited", SLOW)]


TOLD = {
    **{code: code for code in get_args(ErrorCode)},
    "vector_store_timeout": "server_error",
    "context_length_exceeded": "invalid_prompt",
    "something_new": "server_error",
}
"""What a provider's failure is called, and what a client hears it called: the same, where the contract has the word."""


def failure(form: str, code: str) -> Script:
    """A provider of Responses, or of chat, that fails after it has said something."""
    error, said = {"code": code, "message": "No."}, {"type": "output_text", "text": "Hel", "annotations": []}
    delta = {
        "type": "response.output_text.delta",
        "item_id": "m",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hel",
    }
    match form:
        case "failed":
            return stream([delta, {"type": "response.failed", "response": {"status": "failed", "error": error}}])
        case "error":
            return stream([delta, {"type": "error", "sequence_number": 1, **error}])
        case "chat":
            return stream([chunk("Hel"), {"error": error}])
    message = {"type": "message", "id": "m", "role": "assistant", "content": [said]}
    return whole({"id": "r", "status": "failed", "error": error, "output": [message]})


@pytest.mark.parametrize("code", TOLD)
@pytest.mark.parametrize("form", ["failed", "error", "chat", "whole"])
def test_a_failure_after_output_is_told_by_the_code_of_the_contract(
    form: str, code: str, spoken: Gateway, upstream: Upstream, nonce: str
) -> None:
    model = fresh("chat" if form == "chat" else "responses")
    upstream.play(nonce, failure(form, code))
    reply = spoken.call(ask(model, nonce, stream=form != "whole"))
    if code == "context_length_exceeded" and form != "chat":
        # What was said until the context was full stands.
        return
    response = response_of(reply, "failed") if form == "whole" else events_of(reply, "failed")[-1]["response"]
    assert response["error"]["code"] == TOLD[code]
    assert response["output_text"] == "Hel"


LLAMA_LONG = "the request exceeds the available context size. try increasing it"
XAI_REFUSAL = {
    "code": "The caller does not have permission to execute the specified operation",
    "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO",
}


def labelled(label: str, body: bytes) -> Script:
    return Script([head(200, label), body])


@pytest.mark.parametrize(
    ("script", "status", "kind"),
    [
        (whole(XAI_REFUSAL, 403), 403, "refused"),
        (whole({"error": {"message": "Model Not Exist", "code": "invalid_request_error"}}, 400), 502, "missing"),
        (whole({"object": "error", "message": "No.", "type": "invalid_model", "code": "1500"}, 400), 502, "missing"),
        (whole({"error": {"code": "1261", "message": "Prompt exceeds max length"}}, 400), 400, "too_long"),
        (
            labelled(
                "text/event-stream",
                f'error: {{"code":400,"message":"{LLAMA_LONG}","type":"invalid_request_error"}}\n\n'.encode()
                + b"data: [DONE]\n\n",
            ),
            400,
            "too_long",
        ),
        (
            whole({"error": {"code": 500, "message": LLAMA_LONG, "type": "exceed_context_size_error"}}, 500),
            400,
            "too_long",
        ),
        (
            whole({"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}, 500),
            400,
            "too_long",
        ),
        (whole({"error": {"message": "You asked: Context size has been exceeded?"}}, 500), 502, "unavailable"),
        (whole({"error": {"message": "No.", "code": "model_not_available"}}, 400), 502, "missing"),
        (labelled("text/event-stream", sse([[{"error": {"code": 429, "message": "Slow."}}]])), 429, "limited"),
        (labelled("text/event-stream", b'{"error":{"code":429,"message":"Slow."}}'), 429, "limited"),
        (whole({"error": {"message": "No."}}, 422), 422, "unprocessable"),
        (whole({"error": {"message": "No."}}, 413), 413, "too_large"),
        (whole({"error": {"message": "prompt is too long: 9 > 8"}}, 413), 400, "too_long"),
        (whole({"error": {"message": "No."}}, 403), 502, "denied"),
        (whole({"error": {"message": "This API key may not."}}, 403), 502, "credentials"),
    ],
    ids=[
        "A1 xAI refuses",
        "A2 DeepSeek knows no such model",
        "A2 Mistral knows no such model",
        "B6 Z.AI has no room",
        "B5 llama.cpp has no room, in a field of events",
        "B5 llama.cpp has no room, as a 500",
        "llama.cpp has no room, in words of a 500",
        "words that a 500 quotes",
        "Together knows no such model",
        "B5 a list as a datum",
        "B4 an error as JSON under the label of events",
        "422",
        "413 of bytes",
        "413 of tokens",
        "403 without a word",
        "403 of our key",
    ],
)
def test_what_a_chat_server_says(
    script: Script, status: int, kind: str, spoken: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, script)
    reply = spoken.call(ask(fresh("chat"), nonce, stream=True))
    assert [each["kind"] for each in error_of(reply, status)["metadata"]["attempts"]] == [kind]


@pytest.mark.parametrize("label", ["application/json", "text/plain", "", "text/event-stream"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_B4_the_bytes_say_what_an_answer_is(
    label: str, streams: bool, spoken: Gateway, upstream: Upstream, nonce: str
) -> None:
    events = sse([chunk("Hel"), chunk("lo."), chunk(finish="stop"), usage_chunk(), "[DONE]"])
    for body in (events, b"\n" + events, json.dumps(completion()).encode(), b" \n" + json.dumps(completion()).encode()):
        upstream.play(nonce, labelled(label, body))
        reply = spoken.call(ask("mock/chat-0", nonce, stream=streams))
        said = text_of(events_of(reply)) if streams else response_of(reply)["output_text"]
        assert said == "Hello."


@pytest.mark.parametrize("refusal", [XAI_REFUSAL, {"error": {"message": "No."}}], ids=["with words", "without a word"])
def test_A1_one_refused_prompt_takes_the_endpoint_from_nobody(
    refusal: Any, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, whole(refusal, 403), host="a")
    gateway.call(ask(both, nonce, **IN_ORDER))
    reply = gateway.call(ask(both, "A harmless prompt.", **IN_ORDER))
    assert response_of(reply)
    assert reply.headers["x-trunkline-provider"] == "mock-a"


@pytest.mark.parametrize(("beside", "status"), [(500, 502), (403, 502), (401, 502), (422, 422)])
def test_the_status_does_not_depend_on_earlier_requests(
    beside: int, status: int, gateway: Gateway, upstream: Upstream, both: str, nonce: str
) -> None:
    upstream.play(nonce, whole({"error": {"message": "No."}}, beside))
    alone = {"provider": {"order": ["mock-a"], "allow_fallbacks": False}}
    for course in (alone, IN_ORDER):
        assert {gateway.call(ask(both, nonce, **course)).status for _ in range(7)} == {status}


@pytest.mark.parametrize("beside", [400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529])
def test_retry_after_comes_only_with_what_passes(
    beside: int, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, whole({"error": {"message": "No."}}, beside, retry_after="7"))
    reply = gateway.call(ask(model, nonce))
    assert reply.headers.get("retry-after") == ("7" if reply.status in (429, 503, 529) else None)


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached for gpt-x. Limit 3, Used 3. Please try again in 7.66s.", "8"),
        ("Rate limit reached. Please try again in 20ms.", "1"),
        ("Rate limit reached for model x. Please try again in 1m30.5s. Need more tokens?", "91"),
        ("Requests have exceeded the token rate limit of your tier. Please retry after 45 seconds.", "45"),
        ("Slow down.", None),
    ],
    ids=["OpenAI", "OpenAI, at once", "Groq", "Azure", "no time"],
)
def test_C_a_delay_in_words_is_told(
    message: str, seconds: str | None, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, whole({"error": {"message": message}}, 429))
    reply = gateway.call(ask(model, nonce))
    assert (reply.status, reply.headers.get("retry-after")) == (429, seconds)


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


@pytest.mark.parametrize(
    ("dialect", "headers"),
    [
        ("chat", {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "1m30s"}),
        ("chat", {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "90"}),
        ("chat", {"ratelimit_remaining": "0", "ratelimit_reset": str(int(time.time()) + 600)}),
        ("messages", {"anthropic_ratelimit_requests_remaining": "0", "anthropic_ratelimit_requests_reset": "RFC"}),
    ],
    ids=["OpenAI's duration", "seconds", "Unix time", "Anthropic's moment"],
)
def test_9_a_reset_is_a_hint_in_every_form(
    dialect: str, headers: dict[str, str], spoken: Gateway, upstream: Upstream, nonce: str
) -> None:
    told = {name: moment(90) if value == "RFC" else value for name, value in headers.items()}
    upstream.play(nonce, whole(error_in(dialect, "Slow."), 429, **told))
    reply = spoken.call(ask(fresh(dialect), nonce))
    assert reply.status == 429
    assert 80 <= int(reply.headers["retry-after"]) <= 600


@pytest.mark.parametrize("dialect", DIALECTS)
def test_C_every_provider_hears_who_asks(dialect: str, spoken: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, whole(error_in(dialect, "No."), 400))
    spoken.call(ask(fresh(dialect), nonce))
    (seen,) = upstream.seen(nonce)
    assert re.fullmatch(r"trunkline/\d+\.\d+\.\d+", seen.headers["user-agent"])


@pytest.mark.parametrize("beside", [{}, {"retry_after": "3"}], ids=["no other hint", "another hint"])
def test_the_reset_of_a_used_up_limit_is_a_hint_where_there_is_no_other(
    beside: dict[str, str], gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    reset = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "6s"}
    upstream.play(nonce, whole({"error": {"message": "Slow."}}, 429, **reset, **beside))
    reply = gateway.call(ask(model, nonce))
    assert (reply.status, reply.headers["retry-after"]) == (429, beside.get("retry_after", "6"))


def test_A5_alibaba_is_always_asked_for_a_stream(spoken: Gateway, upstream: Upstream, nonce: str) -> None:
    response = response_of(spoken.call(ask("mock/alibaba", nonce, reasoning={"effort": "high"})))
    assert response["output_text"] == "Hello."
    assert upstream.seen(nonce)[0].json["stream"] is True


@pytest.mark.parametrize(
    ("characters", "asked", "sent"),
    [(30, None, 8000), (45_000, None, 5000), (59_000, None, 4096), (45_000, 8000, 8000)],
    ids=["room", "some room", "hardly any", "the client's own"],
)
def test_B7_a_limit_that_nobody_asked_for_leaves_room_for_the_input(
    characters: int, asked: int | None, sent: int, spoken: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole({"message": "Stop here."}, 400))
    more = {} if asked is None else {"max_output_tokens": asked}
    spoken.call(ask("mock/messages-full", nonce.ljust(characters), **more))
    assert upstream.seen(nonce)[0].json["max_tokens"] == sent
