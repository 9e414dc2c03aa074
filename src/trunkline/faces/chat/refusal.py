"""Errors in the words of the API: told instead of an answer, or in one that has begun.

Clients read `type` and `code`, OpenAI's words for the kinds of errors, and some demand that all four named members are
there. The status stands in `metadata`, with all that the gateway says beside the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.errors import BadRequest, GatewayError
from trunkline.faces.contract import Refusal
from trunkline.faces.lines import refusal_lines
from trunkline.protocol.render import render_document

_INVALID: Final = ("invalid_request_error", None)
_WORDS: Final[Mapping[int, tuple[str, str | None]]] = {
    400: _INVALID,
    401: ("authentication_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "model_not_found"),
    405: _INVALID,
    408: ("timeout", None),
    409: _INVALID,
    413: _INVALID,
    422: _INVALID,
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("server_error", "overloaded"),
    524: ("timeout", None),
    529: ("server_error", "overloaded"),
}
"""From the status to `type` and `code`; any other is the server's fault."""

_TOO_LONG: Final = "context_length_exceeded"
"""A kind of error that clients know by this code: they make the conversation shorter and ask again."""


def refuse(error: GatewayError, request_id: str, owner: str | None) -> Refusal:
    """Tell an error whole; `owner` is the account whose key came along, where that is known."""
    body: dict[str, object] = {"error": told_error(error)}
    if owner is not None:
        body["user_id"] = owner
    return Refusal(error.status, refusal_lines(error), render_document(body))


def told_error(error: GatewayError) -> dict[str, object]:
    """Tell an error as the member `error` has it."""
    kind, code = _WORDS.get(error.status, ("server_error", None))
    return {
        "message": error.message,
        "type": kind,
        "param": error.param if isinstance(error, BadRequest) else None,
        "code": _TOO_LONG if error.kind == _TOO_LONG else code,
        "metadata": {"status": error.status, "error_type": error.kind, **error.metadata},
    }
