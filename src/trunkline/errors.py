"""The errors a client can be told: one class for each status, and some in `routing/refusal.py` that also say why.

    GatewayError
    ├── ClientError               the client can fix it
    │   ├── Refused               nobody may serve it, and why; these five are in `routing/refusal.py`
    │   │   ├── NoContext         also a BadRequest
    │   │   ├── NoMedium          also a BadRequest
    │   │   ├── NoSearch          also a BadRequest
    │   │   ├── NoPrefill         also a BadRequest
    │   │   └── NoEndpoint        also a NotFound
    │   ├── BadRequest 400
    │   │   └── TooLong           an endpoint cannot take the input, however short it is made
    │   ├── Unauthorized 401
    │   ├── PaymentRequired 402   `metadata` says what is needed and what is there
    │   ├── Forbidden 403         moderation and guardrails only; the contract does not list it
    │   ├── NotFound 404
    │   ├── MethodNotAllowed 405  the contract does not list it
    │   ├── RequestTimeout 408
    │   ├── Conflict 409          of an `Idempotency-Key`; the contract does not list it
    │   ├── PayloadTooLarge 413
    │   ├── Unprocessable 422
    │   └── TooManyRequests 429
    │       └── RateLimited       by a limit of the client's own key or account
    ├── UpstreamError             a provider failed
    │   ├── BadGateway 502
    │   ├── ServiceUnavailable 503
    │   ├── EdgeTimeout 524
    │   └── ProviderOverloaded 529
    └── InternalError 500         ours

A class says whose fault it is. The wire form is made in `protocol/render.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class GatewayError(Exception):
    """Anything that ends a request without an answer.

    `kind` is the string kind told in `metadata.error_type`; `retry_after` is in seconds.
    """

    status: ClassVar[int] = 500
    default_kind: ClassVar[str] = "server"

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        metadata: Mapping[str, object] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or self.default_kind
        self.metadata: dict[str, object] = dict(metadata or {})
        self.retry_after = retry_after


class ClientError(GatewayError):
    """The client can fix it."""


class BadRequest(ClientError):
    """The request is wrong; `param` is the path of the offending value, as `input[2].content[0]`."""

    status = 400
    default_kind = "invalid_request"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        kind: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, kind=kind, metadata=metadata)
        self.param = param
        if param is not None:
            self.metadata.setdefault("param", param)


class TooLong(BadRequest):
    """The input does not fit into the context of an endpoint, without all that may be left out of it."""

    default_kind = "context_length_exceeded"


class Unauthorized(ClientError):
    """No key, or not one of ours."""

    status = 401
    default_kind = "authentication"


class PaymentRequired(ClientError):
    """The credit, the key's limit or the cap on the cost does not pay for the request; `metadata` says what would."""

    status = 402
    default_kind = "payment_required"


class Forbidden(ClientError):
    """Content policy refuses the request."""

    status = 403
    default_kind = "content_policy_violation"


class NotFound(ClientError):
    """No such thing, or no endpoint is left after the filters."""

    status = 404
    default_kind = "not_found"


class MethodNotAllowed(ClientError):
    """The path is known, and takes other methods; `Allow` names them."""

    status = 405
    default_kind = "method_not_allowed"


class RequestTimeout(ClientError):
    """The client was too slow to send its request."""

    status = 408
    default_kind = "timeout"


class Conflict(ClientError):
    """A request with this `Idempotency-Key` is under way, or was answered and cannot be told again."""

    status = 409
    default_kind = "conflict"


class PayloadTooLarge(ClientError):
    """The request is larger than the gateway takes."""

    status = 413
    default_kind = "payload_too_large"


class Unprocessable(ClientError):
    """The request is well formed but cannot be done."""

    status = 422
    default_kind = "unprocessable"


class TooManyRequests(ClientError):
    """A limit is reached: the client's own, or that of every provider asked."""

    status = 429
    default_kind = "rate_limit_exceeded"


class RateLimited(TooManyRequests):
    """A limit of the client's own key or account is reached; `metadata` says which, headers its figures."""

    def __init__(
        self,
        message: str,
        *,
        limit: int,
        remaining: int,
        reset_ms: int,
        metadata: Mapping[str, object] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, metadata=metadata, retry_after=retry_after)
        self.figures = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(reset_ms),
        }
        self.metadata["headers"] = self.figures


class UpstreamError(GatewayError):
    """A provider failed; `metadata["attempts"]` lists what was tried."""

    status = 502
    default_kind = "provider_unavailable"


class BadGateway(UpstreamError):
    """A provider broke off or spoke nonsense."""


class ServiceUnavailable(UpstreamError):
    """No endpoint is able to answer now."""

    status = 503
    default_kind = "provider_unavailable"


class EdgeTimeout(UpstreamError):
    """A provider stayed silent, or the deadline passed."""

    status = 524
    default_kind = "timeout"


class ProviderOverloaded(UpstreamError):
    """Every provider asked is overloaded."""

    status = 529
    default_kind = "provider_overloaded"


class InternalError(GatewayError):
    """A defect of the gateway."""
