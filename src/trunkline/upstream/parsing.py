"""What documents say: each read by a child of its own, which is limited, told nothing else, and never used twice.

Theory of operation. A document that somebody sends is a program for whatever reads it. So it is read by a process that
can do no harm (`documents/confining.py`) and knows nobody else's documents: it ends with its one. As starting takes
longer than reading, a spare is started ahead, warm, when a first document has come, and again whenever one is taken;
one that nobody needs for a while is ended. Few children are at work at once, so many documents wait and no more, turn
by turn between accounts (`fair_queue.py`). Whoever is cancelled leaves at once, and the child with them.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from math import ceil
from typing import Final, Literal, NamedTuple, Self

from trunkline.upstream.children import PROBE, PROGRAM, Child, Ended
from trunkline.upstream.documents.frames import Bounds, Job, Kind, Said, Told
from trunkline.upstream.fair_queue import FairQueue, Ticket

__all__ = ["Cause", "Kind", "Parsed", "Parser", "ParserLimits", "Unparsed"]

WALL_S: Final = 15.0
"""How long a child may take by the clock, whatever it does."""

SPARE_S: Final = 300.0
"""So long a spare is kept for a next document."""

_GONE_S: Final = 5.0
_LEARNING: Final = 1 / 8
_LONGEST_RETRY_S: Final = 60.0

EXTRA: Final = "install the gateway with the extra: pip install 'trunkline[files]'"

Cause = Literal["encrypted", "damaged", "empty", "too_many_pages", "too_much_text", "died", "late", "busy", "missing"]

_LIBRARIES: Final[dict[Kind, str | None]] = {"pdf": "pypdfium2", "docx": None, "html": "selectolax"}


class Parsed(NamedTuple):
    """What a document says.

    Of a PDF each page stands between lines `<page n="1">` and `</page>`, or is one line that says that it has no text.
    The others have one page.
    """

    text: str
    pages: int
    silent_pages: int


class Unparsed(Exception):
    """A document was not read. The message says what to do; `retry_after_s` is there if it is to come again."""

    def __init__(self, cause: Cause, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.message = message
        self.retry_after_s = retry_after_s


class ParserLimits(NamedTuple):
    """How much a document may take: `memory_bytes` and `cpu_s` of a child; `queue` may wait while `children` work."""

    max_pages: int = 1_000
    max_text_bytes: int = 8 * 10**6
    memory_bytes: int = 300 * 10**6
    cpu_s: float = 10.0
    children: int = 2
    queue: int = 50


class Parser:
    """Reads documents. Entered on the loop that it is asked from; its end is the end of all children."""

    def __init__(
        self,
        limits: ParserLimits,
        clock: Callable[[], float],
        *,
        program: Sequence[str] = PROGRAM,
        wall_s: float = WALL_S,
        spare_s: float = SPARE_S,
        on_child: Callable[[str, int], None] = lambda account, pid: None,
        missing: Mapping[Kind, str | None] | None = None,
    ) -> None:
        """Take the limits and the loop's clock.

        `program` is another child's; `on_child` is told which account's document goes to which; `missing` stands for
        what `find_missing` finds.
        """
        self._limits = limits
        self._clock = clock
        self._wall_s = wall_s
        self._spare_s = spare_s
        self._on_child = on_child
        self._missing = find_missing() if missing is None else missing
        numbers = (limits.memory_bytes, ceil(limits.cpu_s), limits.max_pages, limits.max_text_bytes)
        self._program = (*program, *map(str, numbers))
        self._bounds = Bounds(limits.max_pages, limits.max_text_bytes)
        self._queue = FairQueue(limits.children, limits.queue)
        self._served: dict[Ticket, asyncio.Future[None]] = {}
        self._spare: Child | None = None
        self._retiring: asyncio.TimerHandle | None = None
        self._children: set[Child] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._usual_s = 0.5
        self._is_over = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        self._retire()
        for child in tuple(self._children):
            self._end(child)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=_GONE_S)

    async def parse(self, kind: Kind, document: bytes, account: str, deadline: float) -> Parsed:
        """Read a document, until `deadline` on the clock. Raises Unparsed."""
        return Parsed(*await self._ask(kind, "parse", document, account, deadline))

    async def count_pages(self, document: bytes, account: str, deadline: float) -> int:
        """Count the pages of a PDF, until `deadline` on the clock. Raises Unparsed."""
        return (await self._ask("pdf", "count", document, account, deadline)).pages

    def missing(self, kind: Kind) -> str | None:
        """The library that this kind needs and that is not installed; else None."""
        return self._missing[kind]

    async def _ask(self, kind: Kind, job: Job, document: bytes, account: str, deadline: float) -> Said:
        if self.missing(kind) is not None:
            raise self._refusal(kind, "missing")
        if not document:
            raise self._refusal(kind, "empty")
        async with self._place(account, deadline):
            answer = await self._read(kind, job, document, account, deadline)
        if isinstance(answer, str):
            raise self._refusal(kind, answer)
        return answer

    @asynccontextmanager
    async def _place(self, account: str, deadline: float) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises Unparsed."""
        ticket = self._queue.ask(account) if not self._is_over else None
        if ticket is None:
            raise self._busy()
        try:
            if not ticket.is_served:
                await self._wait(ticket, deadline)
            yield
        finally:
            following = self._queue.leave(ticket)
            if following is not None:
                self._served[following].set_result(None)

    async def _wait(self, ticket: Ticket, deadline: float) -> None:
        served = self._served[ticket] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(deadline - self._clock()):
                await asyncio.shield(served)
        except TimeoutError:
            raise self._busy() from None
        finally:
            del self._served[ticket]

    async def _read(self, kind: Kind, job: Job, document: bytes, account: str, deadline: float) -> Said | Told | Ended:
        try:
            child = self._take()
        except OSError:
            raise self._busy() from None
        began = self._clock()
        try:
            self._on_child(account, child.pid)
            self._spare_one()
            async with asyncio.timeout(min(self._wall_s, deadline - began)):
                return await child.read(kind, job, document)
        except TimeoutError:
            if self._clock() < deadline:
                return "late"
            # The request had too little time left, which says nothing of its document.
            raise Unparsed("busy", "the request's time was up before it was read; try again", 1.0) from None
        finally:
            self._usual_s += (self._clock() - began - self._usual_s) * _LEARNING
            self._end(child)

    def _take(self) -> Child:
        """The spare, or a child that is started now. Raises OSError."""
        child, self._spare = self._spare, None
        if child is not None and child.is_alive:
            return child
        if child is not None:
            self._end(child)
        return self._start()

    def _start(self) -> Child:
        child = Child(self._program, self._bounds)
        self._children.add(child)
        return child

    def _spare_one(self) -> None:
        """Have a child warm for the next document, for a while."""
        if self._is_over:
            return
        if self._spare is None:
            try:
                self._spare = self._start()
            except OSError:
                return  # whoever needs one will be told
        if self._retiring is not None:
            self._retiring.cancel()
        self._retiring = asyncio.get_running_loop().call_later(self._spare_s, self._retire)

    def _retire(self) -> None:
        if self._retiring is not None:
            self._retiring.cancel()
            self._retiring = None
        if self._spare is not None:
            self._end(self._spare)
            self._spare = None

    def _end(self, child: Child) -> None:
        if child not in self._children:
            return
        child.end()
        self._children.discard(child)
        task = asyncio.get_running_loop().create_task(_gone(child))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _busy(self) -> Unparsed:
        ahead = self._queue.waiting + self._limits.children
        wait_s = min(_LONGEST_RETRY_S, max(1.0, ahead * self._usual_s / self._limits.children))
        return Unparsed("busy", "too many documents wait to be read; try again later", wait_s)

    def _refusal(self, kind: Kind, cause: Cause) -> Unparsed:
        return Unparsed(cause, _words(kind, cause, self._limits))


def find_missing() -> dict[Kind, str | None]:
    """Which library each kind needs that is not installed; None where there is none."""
    return {
        kind: library if library is not None and find_spec(library) is None else None
        for kind, library in _LIBRARIES.items()
    }


def leaves_network() -> bool:
    """Whether this system lets a child leave the network; it has no sockets either way. It waits, for about 30 ms."""
    try:
        return (
            subprocess.run([sys.executable, "-I", *PROBE], env={}, capture_output=True, timeout=_GONE_S).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


async def _gone(child: Child) -> None:
    await child.wait()


def _words(kind: Kind, cause: Cause, limits: ParserLimits) -> str:
    name = {"pdf": "PDF", "docx": "DOCX", "html": "HTML"}[kind]
    match cause:
        case "encrypted":
            return f"the {name} is encrypted; send it without a password"
        case "damaged":
            return f"it is no {name}, or a damaged one; open and save it anew, or send its text"
        case "empty":
            return f"the {name} is empty; send one that says something"
        case "too_many_pages":
            return f"the {name} has more than {limits.max_pages:,} pages; send fewer"
        case "too_much_text":
            return f"the {name} holds too much text, more than {limits.max_text_bytes:,} bytes; send a part of it"
        case "died":
            return f"the {name} could not be read, it took too much memory; save it anew, or send a part of it"
        case "late":
            return f"the {name} could not be read in time; save it anew, or send a part of it"
        case "busy":
            return "too many documents wait to be read; try again later"
        case "missing":
            return f"{name} is not read here; {EXTRA}"
