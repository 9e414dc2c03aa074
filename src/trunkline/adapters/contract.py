"""What an adapter is: one upstream wire language, stateless and pure.

What most dialects do alike stands here as the body of a method; a dialect that differs writes its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal, Protocol

from msgspec import Struct

from trunkline.adapters.decoding import faults
from trunkline.adapters.encoding.draft import fetched
from trunkline.adapters.encoding.links import Wanted
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Began, Delta, Failed, Slot, Spent, Stopped
from trunkline.wire import Fault, Headers, UpstreamRequest, WireMessage

Reach = Literal["provider", "own_host", "anywhere"]
"""Where a request may go: to the provider, signed; to a host of the provider's, unsigned; to whoever a link names."""


class Exchange(Struct, frozen=True):
    """One more request within the same attempt, and how many seconds to wait before it."""

    request: UpstreamRequest
    wait_s: float = 0.0
    reach: Reach = "provider"


class Decoder(Protocol):
    """Upstream messages of one answer → deltas but the first, `Began` (see `begin`).

    Never raises: what it cannot read becomes a `Failed` delta. Nothing is told before there is something to tell, so
    that a failure in the first message may still lead elsewhere.

    `is_done` turns true when the dialect's own end mark came: nothing after it counts, and the gateway does not wait
    for the provider to close the connection. A dialect without an end mark leaves it false.
    """

    is_done: bool

    @property
    def number_member(self) -> bytes:
        """The name of the member, as JSON and with its colon, that counts messages, where nobody hears it."""
        return b""

    @property
    def usage_member(self) -> bytes:
        """The same of one that stands behind the text and says in each message anew what was spent."""
        return b""

    @property
    def held_back(self) -> int:
        """How many pieces of output were heard and not told, or not yet: who sends them is not silent."""
        return 0

    def message(self, message: WireMessage) -> Iterable[Delta]:
        """Decode one streamed message."""
        ...

    def continues(self, messages: Sequence[WireMessage], slot: Slot) -> list[str] | None:
        """Hear streamed messages that only go on with the text in `slot`: what each adds to it, never empty.

        None where one does anything else, or may do: then nothing was heard, and `message` is to be asked.
        """
        return None

    def went_on(self, texts: Sequence[str], latest: WireMessage | None) -> None:
        """Hear that messages came which are those that `continues` heard last, but for these texts and their numbers.

        Where the numbers say what was spent, `latest` is the last of them.
        """
        return

    def whole(self, body: bytes) -> Iterable[Delta]:
        """Decode the same answer, arrived all at once."""
        ...

    def end(self) -> Iterable[Delta]:
        """Say what was held back when the upstream closed; no `Stopped` here means that the answer was cut off."""
        return ()

    def next_exchange(self, sent: UpstreamRequest, fault: Fault | None) -> Exchange | None:
        """Say what to ask next, whose answer this same decoder must hear; None when nothing more is to be asked.

        Asked each time an exchange ended, and before `end`, which gives up what was not gone on with: a turn that the
        provider paused, a job that is waited for. `sent` is its request, unsigned. `fault` is how it failed, if it did:
        None then lets the attempt fail with it.
        """
        return None


def begin(deltas: list[Delta], endpoint: Endpoint, *, may_be_empty: bool = False) -> list[Delta]:
    """Put the beginning before the first deltas that a decoder tells; whoever calls the decoder asks this once.

    A failure before which nothing was told stands alone, without what was spent: the next endpoint may still be asked.
    So does an answer that ends well without having said anything; one that was cut or filtered may be empty, and so may
    one that the client told where to stop (`may_be_empty`).
    """
    for delta in deltas:
        if type(delta) is Failed:
            return [delta]
        if type(delta) is Stopped and delta.reason in ("stop", "calls") and not may_be_empty:
            return [Failed(faults.nonsense("the provider gave an empty answer"))]
        if type(delta) is not Spent:
            break
    return [Began(endpoint.model.slug), *deltas]


class Adapter(Protocol):
    """One upstream wire language."""

    id_header: ClassVar[str] = ""
    """The header field, in lower case, that names an answer, where its body does not."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        """Say the request in this language; `end_user` is the client's user, hashed for this provider.

        Raises Unprocessable when the language has no words for a part of the request that may not be dropped.
        """
        ...

    def narrowed(self, request: Request, endpoint: Endpoint, fault: Fault) -> Endpoint | None:
        """The endpoint as its refusal tells it to be, where the request may be encoded anew so; None: it may not.

        For a dialect that must name limits which the client left open.
        """
        return None

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        """Whether an endpoint needs what a link leads to in the place of the link; False where links are followed."""
        return False

    def decoder(self, request: Request, endpoint: Endpoint) -> Decoder:
        """Make the state for one answer."""
        ...

    def encode_listing(self, endpoint: Endpoint) -> UpstreamRequest | None:
        """Ask, at an endpoint's provider, what costs nothing and needs its key: which models there are, as OpenAI lists
        them. None where a dialect knows no such question.
        """
        return fetched(endpoint, "/models")

    def encode_count(self, request: Request, endpoint: Endpoint) -> UpstreamRequest | None:
        """Ask how many tokens the input of a request has, which costs nothing; None where nobody counts.

        Raises Unprocessable as `encode` does.
        """
        return None

    def decode_count(self, body: bytes) -> int | None:
        """Read the answer to that; None where it says none."""
        return None

    def fault(self, status: int, headers: Headers, body: bytes, endpoint: Endpoint) -> Fault:
        """Classify an answer whose status is not a success."""
        return faults.fault(status, headers, body, endpoint.quirks)
