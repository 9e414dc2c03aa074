"""Errors in the words of the Messages API: which status, which type, and whether to ask again."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import anthropic
import httpx2
import pytest
from anthropic.types import ErrorResponse

from trunkline import errors
from trunkline.errors import GatewayError
from trunkline.faces.messages.refusal import answer_lines, model_lines, refuse


@dataclass(frozen=True)
class Case:
    id: str
    error: GatewayError
    status: int
    named: str
    fails_again: bool
    raised: type[anthropic.APIStatusError]


CASES = [
    Case(
        "a wrong request",
        errors.BadRequest("no"),
        400,
        "invalid_request_error",
        True,
        anthropic.BadRequestError,
    ),
    Case(
        "a request that cannot be done",
        errors.Unprocessable("no"),
        400,
        "invalid_request_error",
        True,
        anthropic.BadRequestError,
    ),
    Case("no key", errors.Unauthorized("no"), 401, "authentication_error", True, anthropic.AuthenticationError),
    Case("no credit", errors.PaymentRequired("no"), 402, "billing_error", True, anthropic.APIStatusError),
    Case("a policy", errors.Forbidden("no"), 403, "permission_error", True, anthropic.PermissionDeniedError),
    Case("no such model", errors.NotFound("no"), 404, "not_found_error", True, anthropic.NotFoundError),
    Case("a wrong method", errors.MethodNotAllowed("no"), 405, "invalid_request_error", True, anthropic.APIStatusError),
    Case("a slow client", errors.RequestTimeout("no"), 504, "timeout_error", False, anthropic.InternalServerError),
    Case(
        "a request under way",
        errors.Conflict("no", retry_after=1),
        409,
        "invalid_request_error",
        False,
        anthropic.ConflictError,
    ),
    Case("a request answered", errors.Conflict("no"), 409, "invalid_request_error", True, anthropic.ConflictError),
    Case(
        "more than a limit ever allows",
        errors.RateLimited("no", limit=1, remaining=0, reset_ms=5),
        429,
        "rate_limit_error",
        True,
        anthropic.RateLimitError,
    ),
    Case(
        "too many bytes", errors.PayloadTooLarge("no"), 413, "request_too_large", True, anthropic.RequestTooLargeError
    ),
    Case("too many requests", errors.TooManyRequests("no"), 429, "rate_limit_error", False, anthropic.RateLimitError),
    Case(
        "a limit smaller than the request",
        errors.RateLimited("no", limit=1, remaining=1, reset_ms=0),
        429,
        "rate_limit_error",
        True,
        anthropic.RateLimitError,
    ),
    Case("a defect", errors.InternalError("no"), 500, "api_error", False, anthropic.InternalServerError),
    Case("a provider that broke off", errors.BadGateway("no"), 502, "api_error", False, anthropic.InternalServerError),
    Case(
        "nobody able to answer",
        errors.ServiceUnavailable("no"),
        529,
        "overloaded_error",
        False,
        anthropic.InternalServerError,
    ),
    Case("a silent provider", errors.EdgeTimeout("no"), 504, "timeout_error", False, anthropic.InternalServerError),
    Case(
        "an overloaded provider",
        errors.ProviderOverloaded("no"),
        529,
        "overloaded_error",
        False,
        anthropic.InternalServerError,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_status_and_type(case: Case) -> None:
    status, lines, body = refuse(case.error, "req_1", "account_1")
    told = json.loads(body)
    assert (status, told["type"], told["error"]["type"], told["error"]["message"], told["request_id"]) == (
        case.status, "error", case.named, "no", "req_1",
    )  # fmt: skip
    if case.status not in (405, 409, 413):  # of which the vendor's types know no more than the status
        assert ErrorResponse.model_validate(told).error.type == case.named
    assert (b"x-should-retry: false\r\n" in lines) is case.fails_again
    assert b"request-id: req_1\r\n" in lines


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_vendors_own_client_raises_what_is_meant_and_asks_again_where_that_may_help(case: Case) -> None:
    status, lines, body = refuse(case.error, "req_1", None)
    fields = dict(line.decode().split(": ", 1) for line in lines.split(b"\r\n")[:-1])
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(status, headers=fields | {"retry-after-ms": "1"}, content=body)

    client = anthropic.Anthropic(
        api_key="k", max_retries=1, http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )
    with pytest.raises(case.raised) as raised:
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}])
    error: anthropic.APIStatusError = raised.value
    assert error.request_id == "req_1"
    assert len(asked) == (1 if case.fails_again else 2)


def test_what_is_known_beside_the_message_stands_in_details() -> None:
    error = errors.BadRequest("no", param="messages.0.content", metadata={"hint": 1})
    told = json.loads(refuse(error, "req_1", None).body)["error"]["details"]
    assert ErrorResponse.model_validate(json.loads(refuse(error, "req_1", None).body))
    assert told == {"error_type": "invalid_request", "param": "messages.0.content", "hint": 1}
    assert "details" not in json.loads(refuse(errors.BadGateway("no"), "req_1", None).body)["error"]


@pytest.mark.parametrize(
    ("message", "told"), [("no", "messages.0.content: no"), ("messages.0.content: no", "messages.0.content: no")]
)
def test_the_message_says_where_what_is_wrong_stands(message: str, told: str) -> None:
    error = errors.BadRequest(message, param="messages.0.content")
    assert json.loads(refuse(error, "req_1", None).body)["error"]["message"] == told


def test_limits_and_keys_are_told_in_the_head() -> None:
    limited = errors.RateLimited("no", limit=60, remaining=0, reset_ms=1_500, retry_after=1.2)
    lines = refuse(limited, "req_1", None).lines
    assert b"retry-after: 2\r\n" in lines
    assert b"x-ratelimit-limit: 60\r\n" in lines
    assert b"www-authenticate: " in refuse(errors.Unauthorized("no"), "req_1", None).lines


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"max_context_tokens": 200_000, "estimated_input_tokens": 208_310}, ("208310", "200000")),
        ({"max_context_tokens": 200_000, "estimated_input_tokens": 199_000}, ("200001", "200000")),
    ],
    ids=["the input alone is too long", "it is too long with its answer"],
)
def test_an_input_that_is_too_long_is_told_in_words_that_claude_code_reads(
    figures: dict[str, object], told: tuple[str, str]
) -> None:
    error = errors.TooLong("Our own words.", metadata=figures)
    status, _, body = refuse(error, "req_1", None)
    message = json.loads(body)["error"]["message"]
    found = re.search(r"prompt is too long: (\d+) tokens > (\d+) maximum", message)
    assert status == 400
    assert found is not None
    assert found.groups() == told
    assert message.endswith("Our own words.")


def test_an_input_of_which_nobody_knows_how_long_it_is_is_too_long_all_the_same() -> None:
    body = refuse(errors.TooLong("No."), "req_1", None).body
    assert json.loads(body)["error"]["message"] == "prompt is too long. No."


def test_an_answer_names_its_request_and_the_model_that_answers() -> None:
    assert answer_lines("req_1") == b"request-id: req_1\r\n"
    assert model_lines("acme/large-1") == b"x-trunkline-model: acme/large-1\r\n"
