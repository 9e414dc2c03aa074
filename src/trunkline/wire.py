"""The upstream side as values: what goes out, what comes in, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import UNSET, MsgspecError, Struct, UnsetType
from msgspec.structs import replace

Headers = Mapping[str, str]
"""Header fields by lower-case name."""

FaultKind = Literal[
    "rejected",
    "unprocessable",
    "too_large",
    "too_long",
    "refused",
    "credentials",
    "denied",
    "missing",
    "limited",
    "overloaded",
    "unavailable",
    "silent",
    "nonsense",
]
"""What they mean and what follows from each is one table, in `routing/meanings.py`."""


NONCE = "trunkline-once"
"""Stands in a body for a text that is never used twice; whoever sends the request puts one there."""


class UpstreamRequest(Struct, frozen=True):
    """One HTTP request to a provider.

    `dropped` names the client's parameters that have no place on this wire and were left out. `has_nonce` says that
    the body holds NONCE.
    """

    method: str
    url: str
    headers: Headers
    body: bytes
    dropped: tuple[str, ...] = ()
    has_nonce: bool = False


class WireMessage(Struct, frozen=True, gc=False):
    """One framed piece of an upstream answer; `name` is the event name where the framing has one."""

    name: str | None
    data: bytes


class Fault(Struct, frozen=True):
    """An upstream failure, classified.

    `status` is the upstream's own, `retry_after` in seconds, `raw` the start of the upstream's body with secrets
    masked, for `metadata.raw`. `code` is its code where the API's contract has that too and it says more than the kind.
    `detail` is for the operator's log alone: it may name a host.
    """

    kind: FaultKind
    message: str
    status: int | None = None
    retry_after: float | None = None
    raw: str | None = None
    detail: str | None = None
    code: str | UnsetType = UNSET

    def hinted(self, retry_after: float | None) -> Fault:
        """The same fault with another `retry_after`."""
        return replace(self, retry_after=retry_after)


UNREADABLE = (MsgspecError, ValueError, RecursionError)
"""What a stranger's JSON may raise where it is read: it is none, of the wrong kind, no UTF-8, or nested too deep."""


class Malformed(Exception):
    """Upstream bytes break the framing or a size bound; the attempt ends as a `nonsense` fault."""
