"""Progress of long reading: on a terminal alone, and gone at its end; what is interrupted ends."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable

import pytest

from trunkline.cli import progress
from trunkline.cli.progress import Stopped, read_at_length
from trunkline.store.connection import Connection
from trunkline.store.database import open_database

Tell = Callable[[int], None]


@pytest.mark.parametrize(
    ("is_terminal", "quiet_s", "shown"),
    [(True, 0.0, "\r\x1b[K5,000 records read\r\x1b[K"), (True, 60.0, ""), (False, 0.0, "")],
)
def test_it_is_told_on_a_terminal_once_work_takes_long(
    is_terminal: bool,
    quiet_s: float,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "QUIET_S", quiet_s)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)

    def work(connection: Connection, tell: Tell) -> int:
        tell(5_000)
        tell(5_001)  # too soon after the first
        return 7

    async def play() -> None:
        database = open_database("sqlite:///:memory:", 5.0)
        assert await read_at_length(database, work) == 7
        await database.close()

    asyncio.run(play())
    assert capsys.readouterr() == ("", shown)


def test_what_is_interrupted_ends_and_the_database_is_closed() -> None:
    began, ended = threading.Event(), threading.Event()

    def work(connection: Connection, tell: Tell) -> None:
        began.set()
        try:
            for count in range(10_000):
                tell(count)
                time.sleep(0.01)
        except Stopped:
            ended.set()
            raise

    async def play() -> None:
        database = open_database("sqlite:///:memory:", 600.0)
        reading = asyncio.ensure_future(read_at_length(database, work))
        await asyncio.to_thread(began.wait)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await asyncio.wait_for(database.close(), 5.0)
        assert ended.is_set()

    asyncio.run(play())
