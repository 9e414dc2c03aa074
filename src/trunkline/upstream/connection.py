"""One connection to a server, for one exchange after the other: a request out, the bytes of its answer in.

Who waits for an answer, for how long, and who takes its body is `reply.py`'s business.

Theory of operation. `begin` writes a request and forgets the last answer. What comes goes to the parser, which fills
`_fields` and `pieces` by itself, without a call of ours for each field and each chunk; it calls us three times in an
answer: where a message begins, after its head, at its end. An interim head (1xx) is passed over. After each read that
brought anything the exchange is told to `hear`, and looks at what there is now:

    nothing → `has_head` → pieces … → `is_over`, with `fault` if the answer broke, without if it came whole

No more comes after `is_over`. A fault is told after the pieces that came before it. An answer without a length ends
with its connection. A connection is kept for another exchange if the answer came whole, both sides want it, and not a
byte came that nobody asked for. Once more than READ_BUFFER_BYTES lie in `pieces` and nobody is about to take them, the
socket is not read. Not before: what uvloop has read of TLS, but may not give on, is lost when the server then closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import accumulate
from typing import Final, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from trunkline.upstream.causes import BROKE, CLOSED, CUT_OFF, NOT_HTTP
from trunkline.upstream.dialing import Origin
from trunkline.upstream.lane import Lane
from trunkline.wire import Fault

MAX_LINE_BYTES: Final = 16 * 1024
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 128
READ_BUFFER_BYTES: Final = 64 * 1024

Fields = dict[bytes, bytes]
"""Header fields as they came; of one that comes twice, the last."""

_NO_FIELDS: Final[Fields] = {}


class Exchange(Protocol):
    """Who a connection's answer is for."""

    def hear(self) -> bool:
        """Something has come; say whether somebody has it, or is about to."""

    def leave_lane(self, error: BaseException | None = None) -> None:
        """The lane is full, or whom it tells a text has raised an error."""


class Keeper(Protocol):
    """Who has a connection between two exchanges."""

    def keep(self, connection: Connection) -> None: ...

    def lose(self, connection: Connection) -> None: ...


class Alarm:
    """Calls back when a time is due: for one exchange after the other over a connection.

    A timer costs more to set and to cancel than to let ring for nothing. So it stays when an exchange is over, and is
    set anew only where it would ring too late; who is called looks at what is due then.
    """

    __slots__ = ("_is_last", "_loop", "_ring", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ring: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_last = False

    def set(self, due: float, ring: Callable[[], None]) -> None:
        """Call `ring` at a time on the loop's clock, or earlier; it is called once."""
        self._ring = ring
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._on_time)

    def stop(self) -> None:
        """Call nobody."""
        self._ring = None
        if self._is_last:
            self.end()

    def end(self) -> None:
        """No other exchange follows."""
        self._is_last = True
        if self._ring is None and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        if self._ring is not None:
            self._ring()


class Connection(asyncio.Protocol):
    """One connection; `pieces` of the body are taken by whoever has the exchange, `alarm` and `now` are for it too.

    `status` and `head` are those of the answer, once it `has_head`. `read` is what is heard at the moment. While there
    is a `lane`, what is like the last read goes past the parser; `went_at` is when something last did, until that is
    accounted for.
    """

    __slots__ = (
        "_exchange",
        "_fields",
        "_has_body",
        "_is_kept",
        "_is_open_ended",
        "_is_paused",
        "_keeper",
        "_parser",
        "_transport",
        "_unheard_bytes",
        "alarm",
        "fault",
        "has_head",
        "head",
        "idle_since",
        "is_lost",
        "is_over",
        "lane",
        "loop",
        "now",
        "on_body",
        "on_header",
        "origin",
        "pieces",
        "read",
        "status",
        "went_at",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: Origin, keeper: Keeper) -> None:
        self.origin = origin
        self.loop = loop
        self.now = loop.time
        self.alarm = Alarm(loop)
        self.pieces: list[bytes] = []
        self.read = b""
        self.lane: Lane | None = None
        self.went_at = 0.0
        self.fault: Fault | None = None
        self.status = 0
        self.head = _NO_FIELDS
        self.has_head = False
        self.is_over = False
        self.is_lost = False
        self.idle_since = 0.0
        self._keeper = keeper
        self._transport: asyncio.Transport
        self._exchange: Exchange | None = None
        self._has_body = True
        self._is_kept = False
        self._is_open_ended = False
        self._is_paused = False
        self._unheard_bytes = 0
        self._fields: Fields = {}
        # What is called for every field and every chunk is C.
        self.on_header = self._fields.__setitem__
        self.on_body = self.pieces.append
        self._parser = HttpResponseParser(self)
        # As servers that pad the sizes of chunks are understood by everybody else.
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)

    @property
    def is_closing(self) -> bool:
        """Whether no exchange can begin."""
        return self._transport.is_closing()

    @property
    def is_unanswered(self) -> bool:
        """Whether the connection ended before a byte came."""
        return self.is_lost and not self._unheard_bytes and not self.has_head

    def begin(self, exchange: Exchange, request: list[bytes], *, has_body: bool = True) -> None:
        """Send a request; its answer, which may have a body or not, is the exchange's."""
        self._exchange = exchange
        self._has_body = has_body
        self.fault = None
        self.has_head = self.is_over = self._is_kept = self._is_open_ended = False
        self._unheard_bytes = 0
        self._transport.writelines(request)

    def taken(self) -> bytes:
        """Take the pieces that are here as one, or the first of them where they are many.

        A read may hold a quarter of a megabyte, of which everybody on the way to a slow client would have a copy.
        """
        pieces = self.pieces
        if len(pieces) == 1:
            piece = pieces.pop()
        elif sum(map(len, pieces)) <= READ_BUFFER_BYTES:
            piece = b"".join(pieces)
            pieces.clear()
        else:
            sizes = accumulate(map(len, pieces))
            count = max(1, sum(size <= READ_BUFFER_BYTES for size in sizes))
            piece = b"".join(pieces[:count])
            del pieces[:count]
        if self._is_paused and not pieces:
            self._is_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return piece

    def fail(self, fault: Fault) -> None:
        """The answer is not waited for any longer, or cannot be understood."""
        if not self.is_over:
            self._break(fault)
            self._transport.abort()

    def spoil(self, fault: Fault) -> None:
        """What came is of no use, whether more comes or not."""
        self.pieces.clear()
        self._is_kept = False
        self._break(fault)
        self._transport.abort()

    def end(self) -> None:
        """The exchange is over, or nobody wants the rest of the answer: the connection is kept, or dropped."""
        self._exchange = None
        self.head = _NO_FIELDS
        self.alarm.stop()
        if not self._is_kept or not self.is_over or self._transport.is_closing():
            self.pieces.clear()
            self._transport.abort()
            return
        while self.pieces:
            self.taken()
        self._keeper.keep(self)

    def drop(self) -> None:
        """Close at once."""
        self._transport.abort()

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or self.is_over:
            # Bytes that nobody asked for.
            self._is_kept = False
            self._transport.abort()
            return
        lane = self.lane
        if lane is not None:
            text = lane.text_in(data)
            if text is not None:
                self.went_at = self.now()
                lane.texts.append(text)
                try:
                    if lane.tell(text, lane.inner):
                        return
                    lane.is_full = True
                    exchange.leave_lane()
                except BaseException as error:
                    exchange.leave_lane(error)
                return
            self.lane = None
        self.read = data
        had_head = self.has_head
        self._unheard_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._is_kept = False
            self.fail(NOT_HTTP)  # unless the answer is whole, and this is what follows it
            if self.fault is not None:
                return
        if self.pieces:
            self._unheard_bytes = 0
        elif not self.is_over:
            if self._unheard_bytes > MAX_HEAD_BYTES:
                self.fail(NOT_HTTP)
                return
            if self.has_head is had_head:
                return
        if not exchange.hear() and not self.is_over:
            self._hold()
        self.read = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.alarm.end()
        self._keeper.lose(self)
        if self._exchange is not None and not self.is_over:
            if not self.has_head:
                self._break(CLOSED if exc is None else BROKE)
            elif not self._is_open_ended:
                self._break(CUT_OFF)
            else:
                self.is_over = True
                self._exchange.hear()
        # The parser holds this object and these hold the parser's: a ring that would wait for the search for garbage.
        del self._parser, self.on_header, self.on_body

    # What the parser tells, apart from fields and pieces

    def on_message_begin(self) -> None:
        if self.is_over:
            raise _Stop
        self._fields.clear()

    def on_headers_complete(self) -> None:
        status, fields = self._parser.get_status_code(), self._fields
        if 100 <= status < 200 and status != 101:
            return
        is_large = self._unheard_bytes > MAX_LINE_BYTES
        if status < 100 or len(fields) > MAX_HEADERS or (is_large and _is_unbearable(fields)):
            raise _Stop
        self.status, self.head = status, fields.copy()  # what follows the body may be written into it
        self.has_head = True
        if not self._has_body:
            # Whatever the head says of a body, none follows; the parser would wait for it.
            self.is_over = True
            raise _Stop
        self._is_kept = status != 101 and self._parser.should_keep_alive()
        self._is_open_ended = not self._is_kept and not _is_delimited(fields)

    def on_message_complete(self) -> None:
        if self.has_head:
            self.is_over = True

    def _hold(self) -> None:
        is_full = not self._is_paused and sum(map(len, self.pieces)) > READ_BUFFER_BYTES
        if is_full and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def _break(self, fault: Fault) -> None:
        self.fault = fault
        self.is_over = True
        if self._exchange is not None:
            self._exchange.hear()


class _Stop(Exception):
    """Has the parser stop where it is; it never leaves it as such."""


def _is_delimited(fields: Fields) -> bool:
    """Whether a body's end is told by itself."""
    lowered = {name.lower(): value for name, value in fields.items()}
    coding = lowered.get(b"transfer-encoding", b"").rpartition(b",")[2]
    return b"content-length" in lowered or coding.strip().lower() == b"chunked"


def _is_unbearable(fields: Fields) -> bool:
    sizes = [len(name) + len(value) for name, value in fields.items()]
    return max(sizes, default=0) > MAX_LINE_BYTES or sum(sizes) > MAX_HEAD_BYTES
