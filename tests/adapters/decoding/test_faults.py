"""Error bodies of every shape → Fault."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.decoding.faults import (
    MAX_MESSAGE,
    MAX_RAW,
    fault,
    fault_of_error,
    nonsense,
    retry_after,
    scrubbed,
)
from trunkline.adapters.decoding.faults_table import SAYINGS, Saying
from trunkline.catalog.quirks import Quirks
from trunkline.wire import FaultKind


def openai(message: str, kind: str = "", code: str | int | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


PLAIN = Quirks()


@dataclass(frozen=True)
class Case:
    id: str
    status: int
    body: Any
    kind: FaultKind
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    quirks: Quirks = PLAIN


CASES = [
    # Shapes
    Case("openai", 400, openai("Bad n"), "rejected", "Bad n"),
    Case(
        "flat openai", 422, {"message": "Bad n", "type": "invalid_request_error", "code": "x"}, "unprocessable", "Bad n"
    ),
    Case(
        "anthropic",
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"},
        "overloaded",
        "Overloaded",
    ),
    Case(
        "google rpc in a list",
        429,
        [{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": []}}],
        "limited",
        "Quota",
    ),
    Case(
        "aws names the kind in a header",
        400,
        {"message": "Too fast"},
        "limited",
        "Too fast",
        {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/"},
    ),
    Case("cohere", 400, {"message": "invalid field"}, "rejected", "invalid field"),
    Case(
        "mistral",
        400,
        {"object": "error", "message": "Bad role", "type": "invalid_request_error", "code": 3230},
        "rejected",
        "Bad role",
    ),
    Case("fastapi text", 404, {"detail": "Not Found"}, "missing", "Not Found"),
    Case(
        "fastapi list",
        422,
        {"detail": [{"loc": ["body", "n"], "msg": "field required", "type": "missing"}]},
        "unprocessable",
        "body.n: field required",
    ),
    Case("fastapi object", 400, {"detail": {"message": "Bad n"}}, "rejected", "Bad n"),
    Case(
        "cloudflare",
        429,
        {"success": False, "errors": [{"code": 3036, "message": "Daily limit"}]},
        "limited",
        "Daily limit",
        quirks=Quirks(error_shape="cloudflare"),
    ),
    Case("xai", 400, {"code": "Client specified an invalid argument", "error": "Bad n"}, "rejected", "Bad n"),
    Case("code and message", 400, {"code": 20012, "message": "Model off", "data": None}, "rejected", "Model off"),
    Case("plain text", 401, b"Unauthorized", "credentials", "Unauthorized"),
    Case("a bare JSON string", 404, "404 page not found", "missing", "404 page not found"),
    Case("a page", 502, b"<html><title>502 Bad\n Gateway</title>", "unavailable", "502 Bad Gateway"),
    Case("nothing", 500, b"", "unavailable", "status 500"),
    Case("null", 500, None, "unavailable", "status 500"),
    # Statuses
    Case("400", 400, openai("No"), "rejected", "No"),
    Case("402", 402, openai("No"), "credentials", "No"),
    Case("403 is our key", 403, openai("Your API key may not"), "credentials", "Your API key may not"),
    Case("403 without a word about it", 403, openai("No"), "denied", "No"),
    Case("403 is content policy", 403, openai("Flagged by moderation"), "refused", "Flagged by moderation"),
    Case("408", 408, openai("No"), "silent", "No"),
    Case("413", 413, openai("No"), "too_large", "No"),
    Case("413 of tokens", 413, openai("prompt is too long"), "too_long", "prompt is too long"),
    Case("498 is busy", 498, openai("No"), "limited", "No"),
    Case("498 is a bad token", 498, {"message": "No"}, "credentials", "No", quirks=Quirks(error_shape="cohere")),
    Case("504", 504, openai("No"), "silent", "No"),
    Case("an unknown client error", 418, openai("No"), "rejected", "No"),
    Case("a redirect", 307, b"", "unavailable", "status 307"),
    Case("busy by quirk", 502, openai("No"), "overloaded", "No", quirks=Quirks(overload_statuses=frozenset({502}))),
    # Codes and words
    Case("UP-13 by code", 400, openai("Long", code="context_length_exceeded"), "too_long", "Long"),
    Case(
        "UP-13 by words",
        400,
        openai("This model's maximum context length is 4096 tokens."),
        "too_long",
        "This model's maximum context length is 4096 tokens.",
    ),
    Case("prompt is too long", 400, openai("prompt is too long: 9 > 8"), "too_long", "prompt is too long: 9 > 8"),
    Case(
        "UP-12 credit text",
        400,
        openai("Your credit balance is too low to access the API"),
        "credentials",
        "Your credit balance is too low to access the API",
    ),
    Case("quota is money", 429, openai("Quota", code="insufficient_quota"), "credentials", "Quota"),
    Case("a dotted code", 403, openai("Slow", code="RateLimitExceeded.EndpointTPMExceeded"), "limited", "Slow"),
    Case("a numeric code in text", 429, openai("Balance", code="1113"), "credentials", "Balance"),
    Case("data inspection", 400, openai("Unsafe", code="data_inspection_failed"), "refused", "Unsafe"),
    Case("overload under 429", 429, openai("Busy", "engine_overloaded_error"), "overloaded", "Busy"),
    Case("a key told as a 400", 400, openai("API key not valid."), "credentials", "API key not valid."),
    Case("a 5xx quoting the request", 500, openai("rate limit in prompt"), "unavailable", "rate limit in prompt"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_fault(case: Case) -> None:
    body = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    found = fault(case.status, case.headers, body, case.quirks)
    assert (found.kind, found.message, found.status) == (case.kind, case.message, case.status)


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"error": {"message": "Busy", "type": "overloaded_error"}}, "overloaded", None),
        ({"error": {"message": "No", "code": 429}}, "limited", 429),
        ({"error": "Too many requests", "status_code": 429}, "limited", 429),
        ({"error": {"message": "Bad n", "type": "invalid_request_error"}}, "rejected", None),
        ({"error": {"message": "It broke"}}, "unavailable", None),
        ("It broke", "unavailable", None),
        ({"error": {"message": "Context", "code": "context_length_exceeded"}}, "too_long", None),
        ({}, "unavailable", None),
        (None, "unavailable", None),
    ],
)
def test_ST_11_errors_inside_an_answer(error: Any, kind: FaultKind, status: int | None) -> None:
    found = fault_of_error(error)
    assert (found.kind, found.status) == (kind, status)
    assert found.message


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1002, "limited"),
        (1004, "credentials"),
        (1008, "credentials"),
        (1026, "refused"),
        (1039, "too_long"),
        (2013, "rejected"),
    ],
)
def test_base_resp_codes(code: int, kind: FaultKind) -> None:
    told = {"base_resp": {"status_code": code, "status_msg": "why"}}
    found = fault_of_error(told, Quirks(error_shape="base_resp"))
    assert (found.kind, found.message) == (kind, "why")


DATE = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2),
        ({"retry-after": "0.2"}, 1),
        ({"retry-after": "-1"}, 1),
        ({"retry-after": "abc"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, 3_600),
        ({"retry-after": "inf"}, 3_600),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT", "date": DATE}, 90),
        ({"retry-after": "Sun, 22 Nov 2020 12:01:30 GMT", "date": DATE}, 1),
        ({"retry-after": "Sun, 22 Nov 2099 12:01:30 GMT", "date": DATE}, 3_600),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT", "date": "yesterday"}, None),
        ({"retry-after-ms": "4500", "retry-after": "9"}, 4.5),
    ],
)
def test_UP_09_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_retry_delay_in_the_body_counts_where_no_header_says() -> None:
    body = json.dumps({"error": {"code": 429, "message": "x", "details": [{"retryDelay": "12s"}]}}).encode()
    assert fault(429, {}, body).retry_after == 12
    assert fault(429, {"retry-after": "3"}, body).retry_after == 3


@pytest.mark.parametrize(("status", "seconds"), [(429, 30), (529, 30), (400, None), (500, None)])
def test_F14_a_hint_that_cannot_be_read_counts_as_half_a_minute(status: int, seconds: float | None) -> None:
    assert fault(status, {"retry-after": "abc"}, b"{}").retry_after == seconds
    assert fault(status, {"retry-after": "Sun, 99 Nov 2026 12:01:30 GMT"}, b"{}").retry_after == seconds
    assert fault(status, {"retry-after": ""}, b"{}").retry_after is None
    assert fault(status, {}, b"{}").retry_after is None


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_header_breaks_retry_after(value: str, date: str) -> None:
    found = retry_after({"retry-after": value, "date": date})
    assert found is None or 1 <= found <= 3_600


@given(st.binary(max_size=200), st.integers(300, 599))
def test_UP_22_no_body_breaks_a_fault(body: bytes, status: int) -> None:
    assert fault(status, {}, body).status == status


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["error", "message", "code", "detail", "status", "type", "details"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_no_shape_breaks_a_fault(error: object) -> None:
    assert fault_of_error(error).message


def test_what_is_kept_of_a_body_is_bounded() -> None:
    found = fault(400, {}, json.dumps(openai("x " * 10_000)).encode())
    assert len(found.message) <= MAX_MESSAGE
    assert found.raw is not None
    assert len(found.raw) <= MAX_RAW


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop",
        "gsk_abcdefghij0123456789",
        "AIzaSyA-abcdefghijklmnopqrstuvw",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0a1b2",
    ],
)
def test_secrets_are_masked_wherever_they_stand(secret: str) -> None:
    for text in (f"key {secret} is bad", f'{{"authorization":"Bearer {secret}"}}', f"?key={secret}&x=1", f"({secret})"):
        assert secret not in scrubbed(text)
    assert secret not in (nonsense("bad", secret.encode()).raw or "")
    found = fault(401, {}, json.dumps(openai(f"Incorrect API key provided: {secret}")).encode())
    assert secret not in f"{found.message}{found.raw}"


def test_masking_leaves_ordinary_words_alone() -> None:
    text = "The model `meta-llama/llama-3.3-70b-instruct` at max_tokens: 4096 said req_011CSHoEeqs5C35K2UUqR7Fy"
    assert scrubbed(text) == text


@pytest.mark.parametrize("row", SAYINGS, ids=lambda row: f"{row.kind} {row.codes or row.words or row.statuses}")
def test_a_row_says_of_which_day_it_is(row: Saying) -> None:
    is_standard = row.source.startswith(("RFC", "Cloudflare"))
    assert is_standard or "unverified" in row.source or re.search(r"\b20\d\d-\d\d-\d\d\b", row.source)
