"""Children that do what they like: whatever one does, the next document is read, and nothing can be opened in one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
import uvloop

from tests.upstream.documents.making import simple_pdf
from tests.upstream.reading import (
    ANSWERS,
    LIMITS,
    SAYS_X,
    reading,
    stand_in,
)
from trunkline.upstream.children import PROGRAM
from trunkline.upstream.parsing import leaves_network

T = TypeVar("T")


class Run(Protocol):
    def __call__(self, play: Coroutine[Any, Any, T], /) -> T: ...


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    runner: Run = request.param
    return runner


# Children that do what they like

AFTER = (
    "document = read(int.from_bytes(head[2:], 'big'))\nif document.startswith(b'fine'): " + ANSWERS + "; sys.exit()\n"
)

DEATHS = (
    ("SIGSEGV", "os.kill(os.getpid(), signal.SIGSEGV)", "died"),
    ("SIGKILL", "os.kill(os.getpid(), signal.SIGKILL)", "died"),
    ("SIGXCPU", "os.kill(os.getpid(), signal.SIGXCPU)", "late"),
    ("an end without an answer", "sys.exit()", "died"),
    ("half an answer", "os.write(1, b'DOC1\\0\\0\\0')", "died"),
    ("nonsense", "os.write(1, b'nonsense'); time.sleep(60)", "died"),
    ("nonsense without end", "while True: os.write(1, b'x' * 65536)", "died"),
    (
        "an answer that goes on without end",
        "os.write(1, b'DOC1' + bytes(9) + b'\\x7f\\xff\\xff\\xff')\ntime.sleep(60)",
        "died",
    ),
    ("text that is none", "os.write(1, b'DOC1' + bytes(9) + b'\\0\\0\\0\\2\\xff\\xff'); time.sleep(60)", "died"),
    ("a standing still", "time.sleep(60)", "late"),
    ("a way out that is closed", "os.close(1); time.sleep(60)", "died"),
)


def test_DO_06_however_a_child_ends_the_next_document_is_read(run: Run) -> None:
    async def play() -> None:
        for name, words, cause in DEATHS:
            wall_s = 0.4 if cause == "late" else 30.0
            async with reading(program=stand_in(AFTER + words), wall_s=wall_s) as told:
                assert await told.cause(b"x" * 200_000) == cause, name
        async with reading(program=stand_in(AFTER + DEATHS[0][1])) as told:
            assert await told.cause(b"x") == "died"
            assert await told.read(b"fine") == SAYS_X

    run(play())


def test_a_child_that_does_not_read_holds_up_nobody(run: Run) -> None:
    async def play() -> None:
        async with reading(program=stand_in(ANSWERS)) as told:
            assert await told.read(b"x" * 2_000_000) == SAYS_X

    run(play())


def test_DO_06_a_child_out_of_memory_has_died() -> None:
    async def play() -> None:
        async with reading(LIMITS._replace(memory_bytes=60 * 10**6)) as told:
            assert await told.cause(b"<p>" + b"x" * 20_000_000, "html") == "died"
            assert await told.read(simple_pdf("x")) == SAYS_X

    asyncio.run(play())


HOSTILE = """
import errno, socket, subprocess
from trunkline.upstream.documents.child import warm_up
from trunkline.upstream.documents.confining import confine
assert warm_up()
confine(int(sys.argv[1]), int(sys.argv[2]))
if not read(6): sys.exit()

def fails(work, *arguments):
    try:
        work(*arguments)
    except (OSError, ValueError) as error:
        return errno.errorcode.get(getattr(error, "errno", None), type(error).__name__)
    return "works"

import resource
told = [
    fails(socket.socket), fails(socket.socketpair), fails(open, "/etc/passwd"), fails(open, "/tmp/x", "w"),
    fails(os.pipe), fails(os.dup, 1), fails(os.fork), fails(os.listdir, "/"),
    fails(resource.setrlimit, resource.RLIMIT_NOFILE, (9, 9)),
    fails(os.kill, os.getppid(), 0),
]
os.close(2)
told.append(fails(socket.socket))
text = " ".join(told).encode()
import struct
os.write(1, b"DOC1" + struct.pack(">BIII", 0, 1, 0, len(text)) + text)
"""


def test_a_child_opens_nothing_and_starts_nothing_once_it_is_confined() -> None:
    root = str(Path(PROGRAM[-1]))
    begin = f"import os, sys\nsys.path.insert(0, {root!r})\nread = sys.stdin.buffer.read\n"

    async def play() -> None:
        async with reading(program=("-c", begin + HOSTILE)) as told:
            text = (await told.read(b"x")).text.split()
        *opened, copied, started, listed, raised, signalled, again = text
        assert opened == ["EMFILE"] * 5
        assert (copied, listed, again) == ("EINVAL", "EMFILE", "EMFILE")
        assert (started, raised) == ("EAGAIN", "ValueError")
        assert signalled == "EPERM" or os.getuid() != 0  # who is nobody before is nobody else after

    asyncio.run(play())


def test_a_child_has_no_environment_and_nothing_open_but_its_ways_in_and_out() -> None:
    words = (
        "import struct\n"
        "text = repr((sorted(os.listdir('/proc/self/fd'), key=int)[:-1], dict(os.environ).keys() - {'LC_CTYPE'},"
        " os.getcwd(), os.getsid(0) == os.getpid())).encode()\n"
        "os.write(1, b'DOC1' + struct.pack('>BIII', 0, 1, 0, len(text)) + text)"
    )

    async def play() -> None:
        with open("/dev/null") as kept:  # noqa: ASYNC230
            os.set_inheritable(kept.fileno(), True)
            async with reading(program=stand_in(words)) as told:
                assert (await told.read(b"x")).text == "(['0', '1', '2'], set(), '/', True)"

    asyncio.run(play())


def test_whether_a_child_can_leave_the_network_is_told() -> None:
    assert leaves_network() in (True, False)
