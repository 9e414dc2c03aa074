"""Errors as clients of Chat Completions are told them: a status, four members, and whether to ask again."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.faces.chat.grammar import check_error
from trunkline import errors
from trunkline.errors import GatewayError
from trunkline.faces.chat.face import CHAT
from trunkline.faces.chat.refusal import refuse


@dataclass(frozen=True)
class Case:
    """`may_pass`: the same request may be taken when it is sent again."""

    error: GatewayError
    kind: str
    code: str | None
    may_pass: bool = False

    @property
    def id(self) -> str:
        waits = "" if self.error.retry_after is None else " that may pass"
        return f"{self.error.status} {type(self.error).__name__}{waits}"


def limited(retry_after: float | None = None) -> GatewayError:
    return errors.RateLimited("no", limit=1, remaining=0, reset_ms=5, retry_after=retry_after)


CASES = [
    Case(errors.BadRequest("no", param="messages[2].content"), "invalid_request_error", None),
    Case(errors.TooLong("no"), "invalid_request_error", "context_length_exceeded"),
    Case(errors.Unauthorized("no"), "authentication_error", "invalid_api_key"),
    Case(errors.PaymentRequired("no"), "insufficient_quota", "insufficient_quota"),
    Case(errors.Forbidden("no"), "permission_error", None),
    Case(errors.NotFound("no"), "invalid_request_error", "model_not_found"),
    Case(errors.MethodNotAllowed("no"), "invalid_request_error", None),
    Case(errors.RequestTimeout("no"), "timeout", None, may_pass=True),
    Case(errors.Conflict("no"), "invalid_request_error", None),
    Case(errors.Conflict("no", retry_after=1), "invalid_request_error", None, may_pass=True),
    Case(errors.PayloadTooLarge("no"), "invalid_request_error", None),
    Case(errors.Unprocessable("no"), "invalid_request_error", None),
    Case(errors.TooManyRequests("no"), "rate_limit_error", "rate_limit_exceeded", may_pass=True),
    Case(limited(), "rate_limit_error", "rate_limit_exceeded"),
    Case(limited(3), "rate_limit_error", "rate_limit_exceeded", may_pass=True),
    Case(errors.InternalError("no"), "server_error", None, may_pass=True),
    Case(errors.BadGateway("no"), "server_error", None, may_pass=True),
    Case(errors.ServiceUnavailable("no"), "server_error", "overloaded", may_pass=True),
    Case(errors.EdgeTimeout("no"), "timeout", None, may_pass=True),
    Case(errors.ProviderOverloaded("no"), "server_error", "overloaded", may_pass=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_error_is_told_in_the_words_of_the_api(case: Case) -> None:
    refusal = refuse(case.error, "req_1", None)
    body = json.loads(refusal.body)
    assert body.keys() == {"error"}
    check_error(body["error"])
    assert refusal.status == body["error"]["metadata"]["status"] == case.error.status
    assert (body["error"]["type"], body["error"]["code"]) == (case.kind, case.code)
    assert (b"x-should-retry: false\r\n" in refusal.lines) != case.may_pass


def test_every_error_has_a_row() -> None:
    told = {type(case.error) for case in CASES}
    waiting, statuses = [GatewayError], set()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        statuses.add(kind.status)
    assert statuses == {kind.status for kind in told}


def test_a_path_in_the_request_is_told_as_param() -> None:
    body = json.loads(refuse(errors.BadRequest("no", param="messages[2].content"), "req_1", None).body)
    assert body["error"]["param"] == "messages[2].content"
    assert json.loads(refuse(errors.NotFound("no"), "req_1", None).body)["error"]["param"] is None


def test_all_that_the_gateway_knows_is_in_the_metadata() -> None:
    error = errors.BadGateway("no", metadata={"attempts": [{"provider": "acme"}], "provider_name": "Acme"})
    refusal = refuse(error, "req_1", "default")
    body = json.loads(refusal.body)
    assert body["user_id"] == "default"
    assert body["error"]["metadata"] == {
        "status": 502,
        "error_type": "provider_unavailable",
        "attempts": [{"provider": "acme"}],
        "provider_name": "Acme",
    }


def test_an_error_says_in_its_head_when_to_ask_again_and_how_a_limit_stands() -> None:
    lines = refuse(limited(2.1), "req_1", None).lines
    assert lines.split(b"\r\n") == [
        b"content-type: application/json",
        b"retry-after: 3",
        b"x-ratelimit-limit: 1",
        b"x-ratelimit-remaining: 0",
        b"x-ratelimit-reset: 5",
        b"",
    ]
    assert b'www-authenticate: Bearer realm="trunkline"\r\n' in refuse(errors.Unauthorized("no"), "req_1", None).lines


def test_the_head_of_an_answer_says_no_more_than_the_answer() -> None:
    assert CHAT.answer_lines("req_1") + CHAT.model_lines("acme/large-1") == b""
