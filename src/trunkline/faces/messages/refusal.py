"""Errors in the words of the Messages API, and the header lines that its answers have.

The statuses are Anthropic's where it has one of that meaning: its clients tell by them whether to ask again.

Source: https://platform.claude.com/docs/en/api/errors, seen 2026-11-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.errors import GatewayError
from trunkline.faces.contract import Lines, Refusal
from trunkline.faces.lines import line, refusal_lines
from trunkline.protocol.items import Json
from trunkline.protocol.render import render_document

_STATUSES: Final[Mapping[int, int]] = {408: 504, 422: 400, 503: 529, 524: 504}
"""From our status to theirs, where it is another."""

_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""By their status; what else is the client's fault is `invalid_request_error`, all others are `api_error`."""


def refuse(error: GatewayError, request_id: str, owner: str | None) -> Refusal:
    """Tell an error whole. It has no place for the `owner` of the key."""
    lines = refusal_lines(error) + line(b"request-id", request_id)
    body = {**error_body(error), "request_id": request_id}
    return Refusal(_status(error), lines, render_document(body))


def answer_lines(request_id: str) -> Lines:
    """Header lines of every answer."""
    return line(b"request-id", request_id)


def model_lines(model: str) -> Lines:
    """Which slug answers: the answer itself has no other place for it."""
    return line(b"x-trunkline-model", model)


def error_body(error: GatewayError) -> dict[str, Json]:
    """An error as it stands in a body, or in a stream that has begun."""
    told: dict[str, Json] = {"type": _type(error), "message": _message(error)}
    if error.metadata:
        told["details"] = {"error_type": error.kind, **error.metadata}
    return {"type": "error", "error": told}


def _status(error: GatewayError) -> int:
    return _STATUSES.get(error.status, error.status)


def _type(error: GatewayError) -> str:
    status = _status(error)
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def _message(error: GatewayError) -> str:
    """What is wrong. An input that is too long is told in the words in which Claude Code looks for both numbers.

    2.1.197, seen 2026-11-28; it knows no others.
    """
    if error.kind != "context_length_exceeded":
        # Its clients read the message alone, and of those that say where what is wrong stands not all begin with it.
        param = error.metadata.get("param")
        return error.message if not isinstance(param, str) or param in error.message else f"{param}: {error.message}"
    most, asked = (error.metadata.get(name) for name in ("max_context_tokens", "estimated_input_tokens"))
    if not (isinstance(most, int) and isinstance(asked, int)):
        return f"prompt is too long. {error.message}"
    # It may be too long with its answer alone, or by what the provider counts and we only estimate.
    return f"prompt is too long: {max(asked, most + 1)} tokens > {most} maximum. {error.message}"
