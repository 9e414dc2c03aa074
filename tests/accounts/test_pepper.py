"""The secret under all key hashes: made once, private, never replaced in silence."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from trunkline.accounts.pepper import read_pepper, reveal
from trunkline.settings.fields import SecretSource
from trunkline.settings.reading import SettingsError
from trunkline.settings.secret import Secret


def test_it_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    pepper = read_pepper(None, database, {})
    database.touch()
    file = tmp_path / "a.db.pepper"
    assert len(pepper) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_pepper(None, database, {}) == pepper
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db", "a.db.pepper"]


def test_nodes_that_start_together_agree(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    found: set[bytes] = set()

    def start() -> None:
        barrier.wait()
        found.add(read_pepper(None, tmp_path / "a.db", {}))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.db.pepper"]


def test_a_lost_one_is_not_replaced_while_its_database_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    with pytest.raises(SettingsError, match=r"put it back, or set store\.pepper"):
        read_pepper(None, tmp_path / "a.db", {})


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="create its directory"):
        read_pepper(None, tmp_path / "nowhere" / "a.db", {})


def test_a_directory_that_cannot_be_written_is_told_with_the_reason(tmp_path: Path) -> None:
    """F14. As root, every directory can be written but one of the system's own."""
    with pytest.raises(
        SettingsError, match=r"cannot write /proc/a\.db\.pepper \(\w+: .+\); create its directory or set"
    ):
        read_pepper(None, Path("/proc/a.db"), {})


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db.pepper").write_text("\n")
    with pytest.raises(SettingsError, match="too short"):
        read_pepper(None, tmp_path / "a.db", {})


def test_the_settings_win(tmp_path: Path) -> None:
    source = SecretSource(env="PEPPER")
    assert read_pepper(source, tmp_path / "a.db", {"PEPPER": " 0123456789abcdef\n"}) == b"0123456789abcdef"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SettingsError, match="at least 16"):
        read_pepper(source, None, {"PEPPER": "short"})


def test_a_store_in_memory_needs_none_kept() -> None:
    assert read_pepper(None, None, {}) != read_pepper(None, None, {})


def test_a_secret_is_read_from_its_place(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("from a file\n")
    assert reveal(SecretSource(file=str(tmp_path / "s")), {}) == "from a file"
    assert reveal(SecretSource(inline=Secret("itself")), {}) == "itself"
    with pytest.raises(SettingsError, match="the secret from NAME is empty"):
        reveal(SecretSource(env="NAME"), {})
    with pytest.raises(SettingsError, match="FileNotFoundError"):
        reveal(SecretSource(file=str(tmp_path / "t")), {})
