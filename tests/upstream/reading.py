"""Documents read by children, seen while they are: which children, which processes, what is left of them."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import pytest

from trunkline.upstream.children import PROGRAM
from trunkline.upstream.documents.frames import ORDER_BYTES, Said, answer_of
from trunkline.upstream.parsing import Cause, Kind, Parsed, Parser, ParserLimits, Unparsed

LIMITS = ParserLimits(memory_bytes=150 * 10**6, cpu_s=1.0)
SAYS_X = Parsed('<page n="1">\nx\n</page>', 1, 0)

STAND_IN = (
    f"import os, sys, time, signal\nread = sys.stdin.buffer.read\nhead = read({ORDER_BYTES})\nif not head: sys.exit()\n"
)
"""How programs begin that stand in for a child: they have what goes before the document."""

ANSWERS = f"os.write(1, {answer_of(Said(SAYS_X.text, 1, 0))!r})"
"""How one answers, whatever it was given."""


def stand_in(words: str) -> tuple[str, ...]:
    return ("-c", STAND_IN + words)


class Reading:
    """A parser with what it is seen doing."""

    def __init__(
        self,
        limits: ParserLimits,
        program: tuple[str, ...],
        wall_s: float,
        spare_s: float,
        missing: Mapping[Kind, str | None] | None,
    ) -> None:
        self.children: list[tuple[str, int]] = []
        self.begun = asyncio.Event()
        self.parser = Parser(
            limits,
            asyncio.get_running_loop().time,
            program=program,
            wall_s=wall_s,
            spare_s=spare_s,
            on_child=self._note,
            missing=missing,
        )

    def _note(self, account: str, pid: int) -> None:
        self.children.append((account, pid))
        self.begun.set()

    async def read(self, document: bytes, kind: Kind = "pdf", account: str = "a", within_s: float = 30.0) -> Parsed:
        return await self.parser.parse(kind, document, account, asyncio.get_running_loop().time() + within_s)

    async def cause(self, document: bytes, kind: Kind = "pdf", account: str = "a", within_s: float = 30.0) -> Cause:
        with pytest.raises(Unparsed) as refused:
            await self.read(document, kind, account, within_s)
        assert refused.value.message
        assert "/" not in refused.value.message
        return refused.value.cause


@asynccontextmanager
async def reading(
    limits: ParserLimits = LIMITS,
    program: tuple[str, ...] = PROGRAM,
    wall_s: float = 30.0,
    spare_s: float = 60.0,
    missing: Mapping[Kind, str | None] | None = None,
) -> AsyncIterator[Reading]:
    """A parser; at its end no child is left, and nothing open that was not before."""
    await asyncio.sleep(0)
    before = open_files()
    told = Reading(limits, program, wall_s, spare_s, missing)
    async with told.parser:
        yield told
    assert not [pid for _, pid in told.children if is_there(pid)]
    await until(lambda: open_files() <= before)


def open_files() -> int:
    return sum(1 for name in os.listdir("/proc/self/fd") if "epoll" not in link(f"/proc/self/fd/{name}"))


def link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def is_there(pid: int) -> bool:
    """Whether a process is on the system's list, be it as one that nobody asked about."""
    return Path(f"/proc/{pid}").exists()


def is_running(pid: int) -> bool:
    """Whether a process does anything yet; one that is not ours is taken off the list by somebody else, at leisure."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children() -> list[int]:
    """The processes that this one has."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


async def until(holds: Callable[[], bool]) -> None:
    ends = monotonic() + 10
    while not holds():
        assert monotonic() < ends
        await asyncio.sleep(0.005)


def let_go(gate: bytes) -> None:
    Path(os.fsdecode(gate)).touch()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
