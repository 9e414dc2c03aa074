"""The board: the Valkey or Redis server that the nodes of one installation share, if the settings name one.

What is on it may be lost at any time, and it may be away: nobody who asks it waits for more than `DEADLINE_S`, and
whoever gets `BoardAway` goes on without it.

Theory of operation. One coroutine drives one connection. It takes the calls that are there, sends them as one pipeline,
and gives out the replies, which come in the order of the calls; then it takes what has come meanwhile. So all calls of
one turn of the loop go out together. A call whose caller has left is answered like any other, and its reply given to
nobody. What goes wrong in the middle of a pipeline ends the connection: a reply that was not read can then never be
taken for that of another call.

    here    Calls are sent. Within `DEADLINE_S` of the oldest of them all of a pipeline are answered, or the connection
            is given up, and everybody who waits is told that the board is away.
    away    Calls are refused at once. The driver makes a new connection, when `breaker.py` says, writes a key to see
            that it may, sends what was kept, and is *here* again.

What nobody waits for – `send`, not `tell` – is kept while the board is away, as far as there is room, and sent when it
is back; what was on its way when the connection broke is not sent again, for it may have been done. Messages come over
a second connection, which is made anew by itself; what is told while there is none is lost. A server that takes no
messages, or lets none be heard, is none the less here: the operator is told once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from hashlib import sha1
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

from trunkline.store.alarms import Alarm
from trunkline.store.breaker import Breaker

DEADLINE_S: Final = 0.05
CONNECT_S: Final = 1.0
TRIAL_S: Final = 0.2
"""Who is slower than that with the first call would fail with the others."""

BEAT_S: Final = 1.0
"""After so long without a call the connection is tried, so that no caller is the first to find it broken."""

LEAST_S: Final = 0.01
"""So long a pipeline has in any case, which may be that much longer than the deadline for the first in it."""

LAG_S: Final = 0.01
"""A deadline that is noticed so late was missed by this process, which says nothing of the board."""

_SILENT: Final = "it does not answer"

MAX_CALLS: Final = 512
MAX_WAITING: Final = 10_000
PAUSE_S: Final = 0.25
DEAF_S: Final = 5.0
"""So long a server that lets this node hear nothing is not asked again."""

Value = str | bytes | int
Command = tuple[Value, ...]


class BoardAway(Exception):
    """The board does not answer now; says why, in words that repeat no value."""


class Broken(Exception):
    """A connection is of no more use; says why, in words that repeat no value."""


class Deaf(Broken):
    """The server lets this node hear nothing; says why, in words that repeat no value."""


class _Late(Broken):
    """This process was held up for so long that it cannot tell whether the server was."""


class Refusal(NamedTuple):
    """A reply that is an error, by its code: `READONLY`, `NOSCRIPT`, … or `ERR`."""

    code: str


class Script:
    """A script in Lua, which the server runs as a whole. Its keys all begin with `trunkline:`."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Link(Protocol):
    """One connection to the server. Everything but `close` raises Broken, and none of it ends by itself."""

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go and read the reply to each; an error is a Refusal."""
        ...

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Have messages of these channels come. Raises Deaf too."""
        ...

    async def next_message(self) -> tuple[str, bytes]:
        """The next message, and the channel that it came on."""
        ...

    async def close(self) -> None: ...


class _Asked:
    """One call. `reply` is None where nobody waits; `unheard` is given the reply where whoever waited has left."""

    __slots__ = ("command", "reply", "script", "since", "unheard")

    def __init__(
        self,
        command: Command,
        script: Script | None,
        reply: asyncio.Future[Any] | None,
        since: float,
        unheard: Callable[[Any], None] | None = None,
    ) -> None:
        self.command = command
        self.script = script
        self.reply = reply
        self.since = since
        self.unheard = unheard

    @property
    def is_message(self) -> bool:
        """Whether it is told to whoever hears it: one that is refused says nothing of calls."""
        return self.command[0] == "PUBLISH"

    @property
    def is_left(self) -> bool:
        return self.reply is not None and self.reply.done()

    def tell(self, reply: Any) -> None:
        """Give the reply to whoever waits for it."""
        if self.reply is None:
            return
        if not self.reply.done():
            self.reply.set_result(reply)
        elif self.unheard is not None:
            self.unheard(reply)

    def refuse(self, reason: str) -> None:
        """Tell whoever waits that there is no reply."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_exception(BoardAway(reason))

    def leave(self) -> None:
        """Whoever waited has left; the reply may have come at the same moment."""
        reply = self.reply
        if reply is not None and reply.done() and not reply.cancelled() and reply.exception() is None:
            self.tell(reply.result())


class Board:
    """The board of a node, whose boot has the id `node`; `dial` makes a connection. `store/opening.py` makes one."""

    def __init__(self, node: str, dial: Callable[[], Awaitable[Link]], alarm: Alarm) -> None:
        self.node = node
        self.is_here = False
        """Whether calls are sent at the moment."""
        self._dial = dial
        self._alarm = alarm
        self._breaker = Breaker()
        self.reason = "The board is not open yet."
        """Why it was away last."""
        self._asked: deque[_Asked] = deque()
        self._kept: deque[_Asked] = deque(maxlen=MAX_WAITING)
        self._waking: asyncio.Future[None] | None = None
        self._hearers: dict[str, list[Callable[[bytes], None]]] = {}
        self._returns: list[Callable[[], None]] = []
        self._works: list[Callable[[], Coroutine[None, None, None]]] = [self._drive]
        self._tasks: list[asyncio.Task[None]] = []
        self._has_tried = asyncio.Event()
        self._said: set[tuple[str, str]] = set()

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        values: Sequence[Value],
        unheard: Callable[[Any], None] | None = None,
    ) -> Any:
        """Run a script, and give what it returns: bytes, an int, a list of these, or None.

        `unheard` is given the same where the caller was cancelled meanwhile. Raises BoardAway.
        """
        return await self._ask(("EVALSHA", script.sha, len(keys), *keys, *values), script, unheard)

    def send(self, script: Script, keys: Sequence[str], values: Sequence[Value]) -> None:
        """Run a script for which nobody waits; while the board is away it is kept, as far as there is room."""
        asked = _Asked(("EVALSHA", script.sha, len(keys), *keys, *values), script, None, 0.0)
        if self.is_here:
            self._add(asked)
        else:
            self._kept.append(asked)

    def tell(self, channel: str, message: bytes) -> None:
        """Send a message to all who hear a channel, this node among them; it is lost while the board is away."""
        if self.is_here:
            self._add(_Asked(("PUBLISH", channel, message), None, None, 0.0))

    def hear(self, channel: str, take: Callable[[bytes], None]) -> None:
        """Have all messages of a channel taken from now on; to be said before the board is opened."""
        self._hearers.setdefault(channel, []).append(take)

    def when_here(self, act: Callable[[], None]) -> None:
        """Have something done each time the board is here, or here again."""
        self._returns.append(act)

    def beside(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Have something run for as long as the board is open; to be said before that."""
        self._works.append(work)

    async def open(self) -> None:
        """Begin to connect, and wait for the first trial. A board that is away keeps nobody from starting."""
        loop = asyncio.get_running_loop()
        works = [*self._works, self._listen] if self._hearers else self._works
        self._tasks += [loop.create_task(work()) for work in works]
        await self._has_tried.wait()

    async def close(self) -> None:
        """Send what waits, and end."""
        with contextlib.suppress(BoardAway):
            await self._ask(("PING",), None)
        self.is_here = False
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._refuse_all("The gateway is stopping.")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, command: Command, script: Script | None, unheard: Callable[[Any], None] | None = None) -> Any:
        if not self.is_here or len(self._asked) >= MAX_WAITING:
            raise BoardAway(self.reason)
        loop = asyncio.get_running_loop()
        asked = _Asked(command, script, loop.create_future(), loop.time(), unheard)
        self._add(asked)
        assert asked.reply is not None
        try:
            return await asked.reply
        except asyncio.CancelledError:
            asked.leave()
            raise

    def _add(self, asked: _Asked) -> None:
        self._asked.append(asked)
        self._wake()

    def _wake(self) -> None:
        if self._waking is not None and not self._waking.done():
            self._waking.set_result(None)

    async def _drive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._breaker.wait_s(loop.time()))
            link = None
            try:
                async with asyncio.timeout(CONNECT_S):
                    link = await self._connect()
                known: set[str] = set()
                await self._catch_up(link, known)
                self._come()
                await self._serve(link, known)
            except _Late as error:
                self._go(str(error), counts=False)
            except (Broken, TimeoutError) as error:
                self._go(str(error) or _SILENT)
            except Exception as error:  # a defect; limits must not depend on there being none
                self._go(f"defect: {type(error).__name__}: {error}")
            finally:
                self.is_here = False
                self._has_tried.set()
                if link is not None:
                    await link.close()

    async def _connect(self) -> Link:
        link = await self._dial()
        try:
            # A server that is full or a replica takes connections, and would fail with the first call.
            async with asyncio.timeout(TRIAL_S):
                (reply,) = await link.exchange([("SET", f"trunkline:here:{self.node}", 1, "PX", 60_000)])
            if isinstance(reply, Refusal):
                raise Broken(reply.code)
        except BaseException:
            await link.close()
            raise
        return link

    async def _catch_up(self, link: Link, known: set[str]) -> None:
        """Send what was kept, before anybody is made to wait behind it. Raises Broken, TimeoutError.

        Also before what is done then: if the board forgot all of before, that is not to be taken from what came since.
        """
        while self._kept:
            calls = [self._kept.popleft() for _ in range(min(len(self._kept), MAX_CALLS))]
            async with asyncio.timeout(CONNECT_S):
                refused = await self._exchange(link, calls, known)
            if refused is not None:
                raise Broken(refused)

    def _come(self) -> None:
        if self._breaker.succeed():
            self._alarm("board.back", "")
        self.is_here = True
        self._has_tried.set()
        for act in self._returns:
            act()

    def _go(self, reason: str, *, counts: bool = True) -> None:
        self.is_here = False
        self.reason = f"The board is away: {reason}."
        self._refuse_all(self.reason)
        if counts and self._breaker.fail(asyncio.get_running_loop().time()):
            self._alarm("board.away", reason)

    def _say_once(self, event: str, reason: str) -> None:
        """Tell the operator what stays as it is until he changes it."""
        if (event, reason) not in self._said:
            self._said.add((event, reason))
            self._alarm(event, reason)

    def _refuse_all(self, reason: str) -> None:
        for asked in self._asked:
            asked.refuse(reason)
            if asked.reply is None and asked.script is not None:
                self._kept.append(asked)
        self._asked.clear()

    async def _serve(self, link: Link, known: set[str]) -> None:
        """Send what is asked until the connection breaks. Raises Broken."""
        loop = asyncio.get_running_loop()
        while True:
            calls = await self._next_calls()
            now = loop.time()
            oldest = min((asked.since for asked in calls if asked.reply is not None), default=now)
            # Who waited behind a slow pipeline is not to break the next one by himself.
            due = max(oldest + DEADLINE_S, now + LEAST_S)
            try:
                async with asyncio.timeout_at(due):
                    refused = await self._exchange(link, calls, known)
            except TimeoutError:
                raise (_Late if loop.time() - due > LAG_S else Broken)(_SILENT) from None
            finally:
                for asked in calls:
                    asked.refuse("The board does not answer.")
            if refused is not None:
                raise Broken(refused)

    async def _exchange(self, link: Link, calls: Sequence[_Asked], known: set[str]) -> str | None:
        """Send calls, and give out their replies; gives the code of an error among them. Raises Broken.

        A script that is not among the `known` ones of this connection is sent whole, so that the server knows it after.
        """
        commands = [_command(asked, known) for asked in calls]
        replies = await link.exchange(commands)
        forgotten: list[_Asked] = []
        refused = None
        for asked, command, reply in zip(calls, commands, replies, strict=True):
            if not isinstance(reply, Refusal):
                asked.tell(reply)
            elif reply.code == "NOSCRIPT" and command[0] == "EVALSHA":
                forgotten.append(asked)
            elif asked.is_message:
                self._say_once("board.untold", reply.code)
            else:
                refused = reply.code
                asked.refuse(f"The board refuses: {reply.code}.")
        if forgotten:
            known.clear()
            return await self._exchange(link, forgotten, known) or refused
        return refused

    async def _next_calls(self) -> list[_Asked]:
        """The calls that are there, once there are some; after a while without any, one of our own."""
        if not self._asked:
            loop = asyncio.get_running_loop()
            self._waking = loop.create_future()
            timer = loop.call_later(BEAT_S, self._wake)
            await self._waking
            timer.cancel()
            self._waking = None
        calls: list[_Asked] = []
        while self._asked and len(calls) < MAX_CALLS:
            asked = self._asked.popleft()
            if not asked.is_left:
                calls.append(asked)
        return calls or [_Asked(("PING",), None, None, 0.0)]

    async def _listen(self) -> None:
        while True:
            await asyncio.sleep(0 if self.is_here else PAUSE_S)
            if not self.is_here:
                continue
            link = None
            try:
                async with asyncio.timeout(CONNECT_S):
                    link = await self._dial()
                    await link.subscribe([*self._hearers])
                while True:
                    channel, message = await link.next_message()
                    for take in self._hearers.get(channel, ()):
                        take(message)
            except Deaf as error:
                self._say_once("board.unheard", str(error))
                await asyncio.sleep(DEAF_S)
            except (Broken, TimeoutError):
                await asyncio.sleep(PAUSE_S)
            except Exception as error:  # a defect of who hears; the next message may be a better one
                self._alarm("board.unheard", f"{type(error).__name__}: {error}")
                await asyncio.sleep(PAUSE_S)
            finally:
                if link is not None:
                    await link.close()


def _command(asked: _Asked, known: set[str]) -> Command:
    script = asked.script
    if script is None or script.sha in known:
        return asked.command
    known.add(script.sha)
    return ("EVAL", script.text, *asked.command[2:])
