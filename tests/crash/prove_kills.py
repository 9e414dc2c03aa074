"""Killed twenty times at every place of the store, and five hundred times at random: no difference in the books."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.crashing import Nursery, Run, look, open_nursery
from trunkline import failpoints

TIMES = 20
MOMENTS = 500
PER_TEST = 50
OFTEN = frozenset(place for place in failpoints.OF_STORE if place.startswith(("batch.", "settle.", "hold.", "commit.")))


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with open_nursery() as opened:
        yield opened


def play(nursery: Nursery, folder: Path, run: Run) -> int:
    """Kill one process, and say how much it had been told."""
    folder.mkdir()
    seed = run.seed
    ended = nursery.play(run._replace(folder=str(folder)))
    left = look(folder)
    print(f"seed {seed} {run.failpoint or f'after {run.kill_after_s:.3f} s'} → {ended}, {left.notes} notes", flush=True)
    assert left.problems == [], f"seed {seed}"
    assert not run.failpoint or ended == -signal.SIGKILL, f"{run.failpoint} is not reached, seed {seed}"
    return left.notes


@pytest.mark.parametrize("place", failpoints.OF_STORE)
def test_killed_at(place: str, nursery: Nursery, tmp_path: Path) -> None:
    for number in range(TIMES):
        seed = random.randrange(10**9)
        # What happens often is passed a few times before; what happens once in a life is not.
        passage = random.Random(seed).randrange(1, 30) if place in OFTEN else 1
        works_s = 0.05 if place in ("close.drained", "retention.deleted") else 5.0
        play(nursery, tmp_path / str(number), Run("", seed, f"{place}:{passage}", works_s=works_s))


@pytest.mark.parametrize("part", range(MOMENTS // PER_TEST))
def test_killed_at_random_moments(part: int, nursery: Nursery, tmp_path: Path) -> None:
    notes = 0
    for number in range(PER_TEST):
        seed = random.randrange(10**9)
        after_s = random.Random(seed).random() * 0.5
        notes += play(nursery, tmp_path / str(number), Run("", seed, "", after_s, works_s=0.4))
    assert notes > PER_TEST
