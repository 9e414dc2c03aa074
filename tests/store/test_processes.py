"""Several processes on one file: each hold is decided once, and nobody is told that the database is locked."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.store import ledger
from tests.store.ledger import START_MS, Books, count, find_budget, open_books
from trunkline.accounts.audit import audit
from trunkline.store.database import open_database

ROOT = Path(__file__).parents[2]


def race(folder: Path, processes: int, holds: int, spends: int) -> list[dict[str, int]]:
    """Have processes start together, and tell what each got."""
    arguments = [str(folder), str(processes), str(holds), str(spends)]
    url = ledger.url_in(folder)
    command = [sys.executable, "-m", "tests.store.racing", *arguments, *([url] if url.startswith("postgresql") else [])]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=150)
    told: list[dict[str, int]] = json.loads(done.stdout)
    assert len(told) == processes, done.stderr
    return told


def make(folder: Path, credit: int) -> None:
    async def play() -> None:
        async with open_books(folder, a=credit):
            pass

    asyncio.run(play())


def look(folder: Path) -> tuple[int, int]:
    """What is charged, and how many records there are, once nothing is wrong in the books."""

    async def play() -> tuple[int, int]:
        database = open_database(ledger.url_in(folder), 5)
        try:
            assert (await database.read(partial(audit, now_ms=START_MS))).differences == ()
            budget = await database.read(find_budget)
            return budget.charged_nano, await database.read(partial(count, table="generations"))
        finally:
            await database.close()

    return asyncio.run(play())


@pytest.mark.usefixtures("any_database")
def test_MO_02_of_fifty_over_four_processes_ten_are_admitted(tmp_path: Path) -> None:
    make(tmp_path, 100)
    told = race(tmp_path, 4, 13, 0)
    assert sum(each["granted"] for each in told) == 10
    assert sum(each["refused"] for each in told) == 42
    assert look(tmp_path)[0] == 0


@pytest.mark.usefixtures("any_database")
def test_DB_10_eight_processes_write_and_nobody_is_told_that_it_is_locked(tmp_path: Path) -> None:
    make(tmp_path, 10_000)
    told = race(tmp_path, 8, 2, 6)
    assert [each["failures"] for each in told] == [0] * 8
    assert [each["granted"] for each in told] == [2] * 8
    assert look(tmp_path)[0] == 8 * 6


def test_processes_that_share_a_file_are_told_so(tmp_path: Path) -> None:
    async def play() -> None:
        async with open_books(tmp_path, node="here:1", a=100) as first:
            assert first.alarms == []
            async with open_books(tmp_path, node="here:2") as second:
                assert second.alarms == ["store.shared"]
                assert second.writer.living == 2
                await _spend_in_turns(first, second)

    asyncio.run(play())


async def _spend_in_turns(first: Books, second: Books) -> None:
    for number in range(5):
        await first.spend(f"f{number}")
        await second.spend(f"s{number}")
    assert (await first.budget()).charged_nano == 100
