"""What each kind of fault means and what follows from it: one row a kind, for all who ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from trunkline.errors import (
    BadGateway,
    BadRequest,
    EdgeTimeout,
    Forbidden,
    GatewayError,
    PayloadTooLarge,
    ProviderOverloaded,
    TooManyRequests,
    Unprocessable,
)
from trunkline.wire import FaultKind

Next = Literal["next_endpoint", "next_model", "stop"]

Blame = Literal["provider", "limit", "client"]
"""What a fault counts against: the provider everywhere; its limit, as trouble for a while; nobody."""


class Meaning(Struct, frozen=True):
    """One row: what it is, for the documents; what a client is told where the provider has no words for it; where to go
    before the first delta; what it counts against; and the error if nobody else answers."""

    sense: str
    words: str
    then: Next
    blame: Blame
    error: type[GatewayError]
    kind: str


MEANINGS: Final[Mapping[FaultKind, Meaning]] = {
    "rejected": Meaning(
        "the provider says that the request is wrong",
        "it says that the request is wrong",
        "next_model",
        "client",
        BadRequest,
        "invalid_request",
    ),
    "unprocessable": Meaning(
        "422", "it cannot process the request", "next_model", "client", Unprocessable, "unprocessable"
    ),
    "too_large": Meaning(
        "413 that says nothing of tokens",
        "the request has more bytes than it takes",
        "next_model",
        "client",
        PayloadTooLarge,
        "payload_too_large",
    ),
    "too_long": Meaning(
        "the input does not fit the model's context",
        "the input does not fit its context",
        "next_model",
        "client",
        BadRequest,
        "context_length_exceeded",
    ),
    "refused": Meaning(
        "content policy",
        "its content policy refuses the request",
        "next_model",
        "client",
        Forbidden,
        "content_policy_violation",
    ),
    "credentials": Meaning(
        "our key for the provider is bad, or its credit is used up",
        "it does not accept the credentials",
        "next_endpoint",
        "provider",
        BadGateway,
        "provider_unavailable",
    ),
    "denied": Meaning(
        "403 that says nothing of our key",
        "it denies the request",
        "next_endpoint",
        "limit",
        BadGateway,
        "provider_unavailable",
    ),
    "missing": Meaning(
        "the provider does not know the model",
        "it does not know the model",
        "next_endpoint",
        "provider",
        BadGateway,
        "provider_unavailable",
    ),
    "limited": Meaning(
        "429", "its rate limit is reached", "next_endpoint", "limit", TooManyRequests, "rate_limit_exceeded"
    ),
    "overloaded": Meaning(
        "503, 529", "it is overloaded", "next_endpoint", "provider", ProviderOverloaded, "provider_overloaded"
    ),
    "unavailable": Meaning(
        "no connection, 5xx", "it is not available", "next_endpoint", "provider", BadGateway, "provider_unavailable"
    ),
    "silent": Meaning(
        "no output in time", "it did not answer in time", "next_endpoint", "provider", EdgeTimeout, "timeout"
    ),
    "nonsense": Meaning(
        "its bytes break its own dialect",
        "its answer could not be read",
        "next_endpoint",
        "provider",
        BadGateway,
        "provider_unavailable",
    ),
}
