"""An exchange with a provider, from the request's last byte on: who waits for its answer, how long, who gets its body.

What the bytes of an answer are is `connection.py`'s business, what they mean the adapters'.

Theory of operation. The connection calls `hear` after each read that brought something. Then one of three is true:

- somebody *waits* – `ask` for the head, `read` for a piece: the future that he waits for is set, and what came lies in
  the connection until he takes it;
- somebody *pumps*: what came is given to his `take` at once, in this very call, and he is woken only when `take` says
  no, or raises, or nothing more comes; what is like the read before may go by a lane (`lane.py`), with the same rules;
- nobody does either: what came lies in the connection, which stops reading when it is much.

So both ways take the same pieces out of the same place, and see the same end. `patience.py` says how long it may be
waited, and one alarm for all limits looks, when it rings, at what has come meanwhile; the path of a token notes the
time and no more. A packed body, which nobody asks for, is unpacked in `read`, and pumped by reading.

Who closes a reply before its end drops the connection; but one that was told to `finish` is left to run out for a
while without anybody waiting, since many servers say that they are done and end the body a moment later.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate, parsedate_to_datetime

from trunkline.stream.unpacking import PIECE_BYTES, NotUnpacked, Unpacker
from trunkline.upstream import causes
from trunkline.upstream.connection import Connection, Fields
from trunkline.upstream.lane import Lane
from trunkline.upstream.patience import Patience, Timeouts
from trunkline.upstream.transport import Take, UpstreamFailure
from trunkline.wire import Headers

_MAX_UNPACKED_BYTES = 256 * 1024 * 1024
_LAST_LOOK_S = 0.02


class Unanswered(UpstreamFailure):
    """The connection ended before a byte of an answer came."""


async def ask(
    connection: Connection,
    request: list[bytes],
    deadline: float,
    timeouts: Timeouts,
    *,
    thinks: bool = False,
    has_body: bool = True,
) -> Reply:
    """Send a request over a connection and wait for the head of the answer. Raises UpstreamFailure."""
    now = connection.now()
    reply = Reply(connection, deadline, Patience(timeouts, now, thinks=thinks), now)
    try:
        connection.begin(reply, request, has_body=has_body)
        # Nothing came before the head that `_woken` would have to account for.
        reply._waiter = waiter = connection.loop.create_future()
        await waiter
        reply._read_head()
    except BaseException:
        connection.drop()
        reply.close()
        raise
    return reply


class Reply:
    """An upstream answer whose head has arrived. Must be closed."""

    __slots__ = (
        "_connection",
        "_deadline",
        "_fields",
        "_is_closed",
        "_is_overdue",
        "_lane",
        "_linger_s",
        "_patience",
        "_take",
        "_unpacker",
        "_waiter",
        "content_type",
        "note_output",
        "status",
        "tells_limits",
    )

    def __init__(self, connection: Connection, deadline: float, patience: Patience, now: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._patience = patience
        self._take: Take | None = None
        self._lane: Lane | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._unpacker: Unpacker | None = None
        self._is_closed = False
        self._is_overdue = False
        self._linger_s = 0.0
        self._fields: Fields
        self.status: int
        self.content_type: str
        self.tells_limits: bool
        self.note_output = patience.note_output
        due = patience.due(now)
        connection.alarm.set(due if due < deadline else deadline, self._look)

    @property
    def headers(self) -> Headers:
        """The header fields; where a date counts from the answer's own and there is none, with that of our clock.

        Source: RFC 9110, section 6.6.1, seen 2026-11-27: who receives an answer without `Date` records the time.
        """
        headers = {
            name.decode("latin-1").lower(): value.decode("utf-8", "surrogateescape")
            for name, value in self._fields.items()
        }
        if "retry-after" in headers and not _is_date(headers.get("date", "")):
            headers["date"] = formatdate(usegmt=True)
        return headers

    def rest(self) -> bytes | None:
        """All that is left of the body, if it is here and came well; None where something is to be waited for."""
        connection = self._connection
        if not connection.is_over or connection.fault is not None or self._unpacker is not None or self._is_closed:
            return None
        taken = connection.taken()
        while connection.pieces:
            taken += connection.taken()
        return taken

    async def read(self) -> bytes:
        """Wait for the next piece of the body, unpacked; empty at its end.

        Raises UpstreamFailure when it breaks off, stays silent, or the deadline passes.
        """
        if self._unpacker is not None:
            return await self._unpacked(self._unpacker)
        connection = self._connection
        if not connection.pieces and self._is_awaited():
            await self._woken()
        return self._given()

    async def pump(self, take: Take, lane: Lane | None = None) -> None:
        """Give each piece of the body to `take`, until it says no or the body ends or breaks; `read` tells which.

        What is like the piece before goes by the lane, if one is given.
        """
        if self._unpacker is not None:
            await self._pump_unpacked(take)
            return
        if self._connection.pieces and not (self._is_closed or take(self._given())):
            return
        if self._is_awaited():
            self._take, self._lane = take, lane
            try:
                await self._woken()
            finally:
                self._take = self._lane = self._connection.lane = None

    async def body(self, max_bytes: int) -> bytes:
        """Read at most `max_bytes` of the body; the rest is left."""
        gathered = bytearray()
        while len(gathered) < max_bytes and (piece := await self.read()):
            self.note_output()
            gathered += piece
        return bytes(gathered[:max_bytes])

    async def finish(self, wait_s: float) -> None:
        """Once closed, let a body whose end mark was heard run out, so that the connection can be used again."""
        self._linger_s = wait_s

    def close(self) -> None:
        """Give the connection back if the whole body came, else drop it."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._waiter is not None:
            self._wake()
        connection = self._connection
        if self._linger_s and not connection.is_over:
            self._deadline = connection.now() + self._linger_s
            connection.alarm.set(self._deadline, self._look)
        else:
            connection.end()

    # What the connection tells

    def hear(self) -> bool:
        """The head is here, pieces are, or the end is; say whether somebody has them, or is about to."""
        connection, take, waiter = self._connection, self._take, self._waiter
        if waiter is None or waiter.done():
            return self._let_run_out() if self._is_closed else self._wake()
        if take is None:
            waiter.set_result(None)
            return True
        self._catch_up()
        if connection.pieces:
            self._patience.renew(connection.now())
            try:
                piece = connection.taken()
                goes_on = take(piece)
                while goes_on and connection.pieces:
                    goes_on = take(connection.taken())
                if goes_on and not connection.is_over:
                    if self._lane is not None and self._lane.learn(connection.read, piece):
                        connection.lane = self._lane
                    return True
            except BaseException as error:
                self._break_off(error)
        self._take = None
        self._wake()
        return False  # whoever is woken waits for room first

    def leave_lane(self, error: BaseException | None = None) -> None:
        """The lane is full, or whom it tells a text has raised an error."""
        if error is not None:
            self._break_off(error)
        self._take = self._connection.lane = None
        self._wake()

    def _catch_up(self) -> None:
        """Count the time of what went by a lane; the path of a token only notes it."""
        connection = self._connection
        if connection.went_at:
            self._patience.renew_output(connection.went_at)
            connection.went_at = 0.0

    def _break_off(self, error: BaseException) -> None:
        """End the pumping with an error, which belongs to whoever pumps."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _let_run_out(self) -> bool:
        """Throw away what comes after the reply was closed."""
        self._connection.pieces.clear()
        if self._connection.is_over:
            self._connection.end()
        return True

    def _wake(self) -> bool:
        """Wake whoever waits; say whether anybody does, and takes what is here before much more comes."""
        waiter = self._waiter
        if waiter is None:
            return False
        if waiter.done():
            # uvloop may give megabytes before the one that it woke runs. But of TLS it must: what it has read there and
            # may not give on is lost when the server then closes.
            return self._connection.origin.is_tls
        waiter.set_result(None)
        return True

    async def _woken(self) -> None:
        """Wait for what `hear` hears."""
        connection, patience = self._connection, self._patience
        patience.wait(connection.now())
        self._waiter = connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._catch_up()
            patience.rest(connection.now())

    def _is_awaited(self) -> bool:
        """Whether nothing is here, and something may come."""
        connection = self._connection
        return not connection.pieces and not connection.is_over and not self._is_closed

    def _given(self) -> bytes:
        """What is here, as it came; empty at the end. Raises UpstreamFailure."""
        connection = self._connection
        if self._is_closed:
            return b""
        if connection.pieces:
            self._patience.note_bytes()
            return connection.taken()
        if connection.fault is not None:
            raise UpstreamFailure(connection.fault)
        return b""

    async def _unpacked(self, unpacker: Unpacker) -> bytes:
        try:
            while not (piece := unpacker.take()):
                if self._is_awaited():
                    await self._woken()
                if not (packed := self._given()):
                    unpacker.end()
                    return b""
                unpacker.feed(packed)
        except NotUnpacked:
            self._unpacker = None
            self._connection.spoil(causes.NOT_UNPACKED)
            raise UpstreamFailure(causes.NOT_UNPACKED) from None
        if len(piece) == PIECE_BYTES:
            await asyncio.sleep(0)
        return piece

    async def _pump_unpacked(self, take: Take) -> None:
        try:
            while (piece := await self.read()) and take(piece):
                pass
        except UpstreamFailure:
            return  # `read` tells it again

    def _read_head(self) -> None:
        """Pick out of the head what every answer is asked for. Raises UpstreamFailure where there is none."""
        connection, patience = self._connection, self._patience
        self._waiter = None
        patience.rest(connection.now())
        if not connection.has_head:
            kind = Unanswered if connection.is_unanswered else UpstreamFailure
            raise kind(connection.fault or causes.CLOSED)
        self.status, self._fields = connection.status, connection.head
        if patience.note_head():
            connection.alarm.set(self._due(), self._look)
        names = b"\n".join(self._fields).lower()
        self.tells_limits = b"ratelimit" in names
        media_type = self._fields.get(b"content-type") or self._field(b"content-type", b"Content-Type")
        self.content_type = media_type.decode("latin-1")
        if b"content-encoding" in names:
            self._unpacker = _unpacker(self._field(b"content-encoding", b"Content-Encoding").decode("latin-1"))

    def _field(self, *spellings: bytes) -> bytes:
        """A field by its lower-case name and how else it is mostly written; empty if it is not there."""
        for spelling in spellings:
            if spelling in self._fields:
                return self._fields[spelling]
        found = [value for name, value in self._fields.items() if name.lower() == spellings[0]]
        return found[-1] if found else b""

    def _due(self) -> float:
        self._catch_up()
        return min(self._deadline, self._patience.due(self._connection.now()))

    def _look(self) -> None:
        """Break the exchange off if it has been waited for too long; called by the alarm."""
        connection = self._connection
        if connection.is_over:
            return
        now, due = connection.now(), self._deadline if self._is_closed else self._due()
        if now < due:
            self._is_overdue = False
            connection.alarm.set(due, self._look)
        elif not self._is_overdue or (now < self._deadline and self._is_waking()):
            # A process that was stopped wakes to its timers first. What came meanwhile is read before anybody is
            # blamed for silence.
            self._is_overdue = True
            connection.alarm.set(now + _LAST_LOOK_S, self._look)
        elif self._is_closed:
            connection.end()
        else:
            connection.fail(causes.OVERDUE if now >= self._deadline else self._patience.fault)

    def _is_waking(self) -> bool:
        """Whether something has come, and whoever waits for it has not run since."""
        return self._waiter is not None and self._waiter.done()


def _unpacker(encoding: str) -> Unpacker | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return Unpacker(_MAX_UNPACKED_BYTES)
        case other:
            raise UpstreamFailure(causes.unknown_packing(other))


def _is_date(text: str) -> bool:
    try:
        parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return False
    return True
