"""One request on a client's connection and the answer to it, as the route sees them that serves it.

A route with a body is written against `Cycle` alone. Our own listener has one below ASGI (`direct.py`), where a token
costs one function and one write; any ASGI server is served with the same route through another (`foreign.py`). What
both do is asked for here; what a request means, and what it is told when something fails, is not their business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from trunkline.errors import GatewayError
from trunkline.faces.contract import Face, Lines
from trunkline.faces.responses.face import RESPONSES

Field = tuple[bytes, bytes]
"""A header field of a request: its name in lower case, and its value."""

FaceOf = Callable[[str], Face]
"""Tells in whose words a path is answered, whether it is served or not."""


def any_path(path: str) -> Face:
    """Have all paths answered in the words of the contract."""
    return RESPONSES


class Cycle(Protocol):
    """A request and its answer. One task serves it, which is cancelled when the client leaves.

    `fields` are those of the request; whoever has read them may let them go. `face` is the API that the client speaks.
    `owner` is the account whose key came along, `generation_id` names the record that is made of the request; each is
    set once there is one. `more_body`: not all that is left of the body is here. `break_off` is set by a route whose
    stream can be ended with an error once it has begun. `written_at` is when a piece was given last, by the loop's
    clock. What is written after the client left goes nowhere.
    """

    face: Face
    fields: Sequence[Field]
    request_id: str
    owner: str | None
    generation_id: str | None
    more_body: bool
    break_off: Callable[[GatewayError], None] | None
    written_at: float

    def take(self) -> bytes | bytearray:
        """Give away what is here of the body."""
        ...

    async def wait(self, until: float) -> None:
        """Wait for more of the body, or for its end. Raises TimeoutError when the loop's clock shows `until`."""
        ...

    @property
    def has_started(self) -> bool:
        """Whether the head of the answer is given."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether the client reads too slowly: what is written now only waits here."""
        ...

    def whole(self, status: int, lines: Lines, body: bytes, *, closes: bool = False) -> None:
        """Give the whole answer; `closes` says that no other one follows on the connection."""
        ...

    def begin(self, status: int, lines: Lines) -> None:
        """Give the head of an answer that comes in pieces; it leaves with the first of them."""
        ...

    def write(self, piece: bytes) -> None:
        """Give a piece, which is not empty."""
        ...

    def push(self, piece: bytes) -> bool:
        """Give a piece that nobody waited for; say whether more may come so, or the client reads too slowly."""
        ...

    def end(self, piece: bytes) -> None:
        """Give the last piece."""
        ...

    async def drained(self) -> None:
        """Wait until the client has read."""
        ...


class Route(Protocol):
    """Serves requests of clients that speak one API."""

    @property
    def face(self) -> Face:
        """That API."""
        ...

    async def __call__(self, cycle: Cycle) -> None:
        """Serve a request. May raise anything: what the client is told then is decided in `edge.py`."""
        ...
