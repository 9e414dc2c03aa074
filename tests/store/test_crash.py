"""Killed at every place, and at random moments: the books are right at the next start (`make crash` does it often)."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.store import ledger
from tests.store.crashing import Nursery, Run, look, open_nursery
from trunkline import failpoints

MOMENTS = 25
OF_POSTGRES = (
    *("batch.begun", "settle.recorded", "hold.added", "commit.before", "commit.after"),
    *("journal.synced", "replay.posted", "adopt.posted", "sweep.expired"),
)
"""A handful of places: what happens between them is decided by the same code."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with open_nursery() as opened:
        yield opened


def test_an_unknown_place_cannot_be_armed() -> None:
    with pytest.raises(ValueError, match=r"there is no place 'nowhere'"):
        failpoints.arm("commit.after:2,nowhere")
    assert not failpoints.is_armed("commit.after")


@pytest.mark.parametrize(("place", "is_there"), [("commit.before", False), ("commit.after", True)])
def test_a_command_dies_where_its_environment_says(place: str, is_there: bool, tmp_path: Path) -> None:
    make = [sys.executable, "-m", "trunkline", "accounts", "create", "one"]
    environment = {**os.environ, "TRUNKLINE_STORE__URL": f"sqlite:///{tmp_path}/a.db"}
    look(tmp_path)  # makes the database
    killed = subprocess.run(make, env={**environment, failpoints.VARIABLE: place}, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        assert connection.execute("SELECT count(*) FROM accounts WHERE name = 'one'").fetchone() == (int(is_there),)


@pytest.mark.parametrize("place", failpoints.OF_STORE)
def test_MO_05_killed_at(place: str, nursery: Nursery, tmp_path: Path) -> None:
    seed = random.randrange(10**9)
    run = Run(str(tmp_path), seed, place, works_s=2.0 if place not in ("close.drained", "retention.deleted") else 0.05)
    assert nursery.play(run) == -signal.SIGKILL, f"{place} is never reached, seed {seed}"
    assert look(tmp_path).problems == [], f"seed {seed}"


@pytest.mark.parametrize("place", OF_POSTGRES)
def test_MO_05_killed_on_postgres_at(
    place: str, nursery: Nursery, tmp_path: Path, books_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.randrange(10**9)
    monkeypatch.setattr(ledger, "url_in", lambda folder: books_url)
    run = Run(str(tmp_path), seed, place, works_s=4.0, url=books_url)
    assert nursery.play(run) == -signal.SIGKILL, f"{place} is never reached, seed {seed}"
    assert look(tmp_path).problems == [], f"seed {seed}"


def test_DB_08_killed_at_random_moments(nursery: Nursery, tmp_path: Path) -> None:
    notes = 0
    for number in range(MOMENTS):
        seed = random.randrange(10**9)
        folder = tmp_path / str(number)
        folder.mkdir()
        nursery.play(Run(str(folder), seed, "", random.Random(seed).random() * 0.2))
        left = look(folder)
        assert left.problems == [], f"seed {seed}"
        notes += left.notes
    assert notes > MOMENTS


def test_an_end_without_a_kill_leaves_nothing(nursery: Nursery, tmp_path: Path) -> None:
    assert nursery.play(Run(str(tmp_path), 1)) == 0
    assert look(tmp_path).problems == []
