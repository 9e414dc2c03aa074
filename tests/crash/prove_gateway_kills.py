"""A running gateway killed twenty times at every place of a request, and five hundred times at random, under load."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.gateway.crashing import check_books, live, opened_books
from trunkline import failpoints

TIMES = 20
MOMENTS = 500
PER_TEST = 25
OF_GATEWAY = [place for place in failpoints.OF_REQUESTS if place != "topup.entered"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", OF_GATEWAY)
def test_killed_at(place: str, tmp_path: Path) -> None:
    lives = []
    with opened_books(tmp_path) as (_, keys):
        for _ in range(TIMES):
            seed = random.randrange(10**9)
            lives.append(live(tmp_path, keys, seed, failpoint=f"{place}:{random.Random(seed).randrange(1, 60)}"))
            print(
                f"seed {seed} {place} → {lives[-1].gateway.process.returncode}, {len(lives[-1].told)} told", flush=True
            )
            assert lives[-1].gateway.process.returncode == -signal.SIGKILL
    check_books(tmp_path, lives)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(MOMENTS // PER_TEST))
def test_killed_at_random_moments(part: int, tmp_path: Path) -> None:
    lives = []
    with opened_books(tmp_path) as (_, keys):
        for _ in range(PER_TEST):
            seed = random.randrange(10**9)
            after_s = random.Random(seed).uniform(0.02, 0.8)
            lives.append(live(tmp_path, keys, seed, kill_after_s=after_s))
            print(f"seed {seed} after {after_s:.3f} s, {len(lives[-1].told)} told", flush=True)
    check_books(tmp_path, lives)
