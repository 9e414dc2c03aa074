"""The gateway killed at every place of a request, and at random: whoever saw an end is on record, and no hold is left.

`make crash` does it often. What is killed inside the store is in `tests/store/test_crash.py`.
"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.gateway.crashing import CONFIG, check_books, live, opened_books
from tests.gateway.server import running
from tests.gateway.tenants import Store
from trunkline import failpoints

SOURCE = Path(failpoints.__file__).parent
OF_GATEWAY = [place for place in failpoints.OF_REQUESTS if place != "topup.entered"]
MOMENTS = 3


def test_every_place_of_a_request_is_in_the_table_and_the_other_way_round() -> None:
    reached = {name for path in SOURCE.rglob("*.py") for name in re.findall(r'reach\("([a-z.]+)"\)', path.read_text())}
    assert reached == failpoints.POINTS.keys()


def test_DB_08_MO_03_MO_04_killed_at_every_place_of_a_request(tmp_path: Path) -> None:
    lives = []
    with opened_books(tmp_path) as (_, keys):
        for place in OF_GATEWAY:
            seed = random.randrange(10**6)
            life = live(tmp_path, keys, seed, failpoint=f"{place}:{random.Random(seed).randrange(1, 20)}")
            assert life.gateway.process.returncode == -signal.SIGKILL, f"{place} is never reached, seed {seed}"
            lives.append(life)
    check_books(tmp_path, lives)
    assert any(life.told for life in lives)


def test_DB_08_killed_at_random_moments(tmp_path: Path) -> None:
    lives = []
    with opened_books(tmp_path) as (_, keys):
        for _ in range(MOMENTS):
            seed = random.randrange(10**6)
            lives.append(live(tmp_path, keys, seed, kill_after_s=random.Random(seed).uniform(0.05, 0.5)))
    check_books(tmp_path, lives)


def test_MO_20_a_top_up_that_is_killed_half_way_is_made_by_the_same_command_again(tmp_path: Path) -> None:
    with running(tmp_path, CONFIG) as gateway:
        tenant = Store(gateway, tmp_path / "trunkline.db").tenant(10**9)
        command = [sys.executable, "-m", "trunkline", "credits", "add", tenant.account_id, "5", "--reference", "r1"]
        killed = subprocess.run(command, cwd=tmp_path, env={"TRUNKLINE_FAILPOINT": "topup.entered"}, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert tenant.balance().credited == 10**9
        for _ in range(2):
            subprocess.run(command, cwd=tmp_path, env={}, check=True, capture_output=True)
        assert tenant.balance().credited == 6 * 10**9
        tenant.store.check()
