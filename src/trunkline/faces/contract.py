"""What a face is: one API that clients speak, as a parser of requests and a teller of answers, stateless and pure.

Routing, money, plugins, limits and explanations lie behind all faces alike: a face reads a body into a `Request`, and
tells deltas and errors in the words of its API. It knows no dialect, and no other face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

from trunkline.errors import GatewayError
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Delta

CUT_OFF: Final = "The provider's answer was cut off before its end."
"""What an answer without a `Stopped` is told to be."""

Lines = bytes
"""Header fields of an answer as they stand on the wire, each with the end of its line."""

Send = Callable[[bytes], bool]
"""Sends a piece at once; says whether there is room for more."""


class Asked(Struct, frozen=True):
    """A body, as it was read. `form` is what only the telling of the answer needs; nobody else reads it."""

    request: Request
    form: object = None


class Answering(Struct, frozen=True):
    """What is known of an answer when it begins to be told.

    `id` is that of the generation, unique, and begins with `resp_`. `ids` yields random tokens without end.
    `created_at` is Unix time and `now` the clock of it. `model` is the slug that answers.
    """

    id: str
    ids: Iterator[str]
    created_at: float
    model: str
    now: Callable[[], float]


class Run(Protocol):
    """The shortest way of a text that goes on: one piece at a time, until anything else is told."""

    def send(self, text: str, inner: bytes) -> bool:
        """Send the frame of a text that is not empty, and keep what the end needs of it; say whether there is room.

        `inner` is the text as it stands between the quotes of a JSON string.
        """
        ...


class Telling(Protocol):
    """Tells one answer, as a stream or whole: deltas in, bytes out. A machine; who waits for whom is its driver's.

    A whole answer is told by the same machine as a stream: it is the fold of what `feed` heard, and gives nothing
    before its end. Exactly one of `end` and `fail` is called last. After the end nothing is told any more.
    """

    @property
    def is_stream(self) -> bool:
        """Whether the client is told as it comes."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether all of the answer has been given."""
        ...

    @property
    def failure(self) -> GatewayError | None:
        """Why a whole answer failed, once that is known, in an API that tells it by the status alone."""
        ...

    @property
    def is_ending(self) -> bool:
        """Whether it is settled how the answer ends, though not all of that may have left."""
        ...

    def feed(self, batch: Sequence[Delta]) -> bytes:
        """Tell what was heard; nothing where it waits for more, or the answer is asked whole."""
        ...

    def go_on(self, texts: Sequence[str]) -> bytes:
        """Tell more of the text that was heard last, none of it empty: what `feed` would tell of it as `Text`."""
        ...

    def run(self, send: Send) -> Run:
        """The same for one text at a time, sent at once, until anything else is told; `go_on` has told one before."""
        ...

    def end(self, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and the end: what is left of a stream, or the whole body.

        Of a large end only the beginning: the rest is asked for with `more`, until the answer is over.
        """
        ...

    def fail(self, error: GatewayError, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and that the answer failed; if its end is on its way out, the rest of that."""
        ...

    def more(self) -> bytes:
        """Give the next piece of the end."""
        ...


def tell_whole(telling: Telling, error: GatewayError | None, rest: Sequence[Delta]) -> bytes:
    """End a whole answer, and give its body; `error` is what it broke off with, `rest` was heard last.

    Raises a GatewayError where its API has no body for what failed.
    """
    body = telling.end(rest) if error is None else telling.fail(error, rest)
    if telling.failure is not None:
        raise telling.failure
    return body


class Refusal(NamedTuple):
    """An error that is told instead of an answer: status, header lines beside `x-request-id`, and the body."""

    status: int
    lines: Lines
    body: bytes


class Face(Protocol):
    """One API that clients speak.

    `name` is the last part of its path. `heeds` are the header fields, in lower case, that it reads beside those that
    all do. `keep_alive` says in a stream that the connection lives. `answer_lines` go with the head of every answer
    that is none of an error, `model_lines` where the model is known by then.
    """

    name: str
    heeds: frozenset[bytes]
    keep_alive: bytes

    def parse(self, body: bytes | bytearray, session_id: str | None, said: Mapping[bytes, bytes]) -> Asked:
        """Read a body; `session_id` is the header's, `said` are the fields that the face heeds.

        Raises BadRequest, with a path in the words of this API. The request's `paths` say them for what is found later.
        """
        ...

    def telling(self, asked: Asked, answering: Answering) -> Telling:
        """Begin to tell an answer."""
        ...

    def refuse(self, error: GatewayError, request_id: str, owner: str | None) -> Refusal:
        """Tell an error whole; `owner` is the account whose key came along, where that is known."""
        ...

    def answer_lines(self, request_id: str) -> Lines:
        """Header lines of an answer, whoever gives it."""
        ...

    def model_lines(self, model: str) -> Lines:
        """Header lines of an answer of which the slug is known that gives it."""
        ...
