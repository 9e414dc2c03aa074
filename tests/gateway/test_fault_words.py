"""What a fault is, whoever says it and however: the same words in every dialect, as a status, in a stream, as a whole.

The sources of the wordings stand in the table that they are looked up in, `adapters/decoding/faults_table.py`.
"""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.checks import ask, error_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Script, Upstream, completion, head, sse, whole

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""

DIALECTS = ("chat", "responses", "messages", "gemini", "converse", "cohere", "mistral")
FORMS = ("status", "stream", "whole")
MODELS = 40
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
)


@pytest.fixture(scope="module")
def spoken(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with models `mock/<dialect>-<number>` at a provider of each dialect."""
    config = CONFIG
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        for number in range(MODELS):
            config += ENDPOINT.format(provider=f"mock-{dialect}", model=f"mock/{dialect}-{number}")
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
