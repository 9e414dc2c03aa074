"""The fetched list of models on disk: what is in force after which step, and after one that failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trunkline.catalog.rows import ModelsFile
from trunkline.settings.reading import SettingsError
from trunkline.store.lists import Fetched, Kept

HERE, ELSEWHERE = "https://lists.example/models.json", "https://other.example/models.json"
EMPTY = ModelsFile()


def fetched(data: bytes, etag: str = "") -> Fetched:
    return Fetched(data, EMPTY, etag)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "lists" / "models.json")


def test_the_folder_is_made_and_nothing_is_left_beside_the_list(kept: Kept) -> None:
    kept.keep(fetched(b"first"), HERE)
    assert kept.path.read_bytes() == b"first"
    assert sorted(path.name for path in kept.path.parent.iterdir()) == ["models.json", "models.json.state"]


def test_each_step_back_undoes_one_step(kept: Kept) -> None:
    kept.keep(fetched(b"first"), HERE)
    kept.keep(fetched(b"second"), HERE)
    assert "the list before" in kept.roll_back()
    assert kept.path.read_bytes() == b"first"
    assert "came with this version" in kept.roll_back()
    assert not kept.path.exists()
    with pytest.raises(SettingsError, match="nothing to go back to"):
        kept.roll_back()


def test_a_state_is_known_at_the_server_that_told_it_while_the_list_is_there(kept: Kept) -> None:
    assert kept.etag(HERE) == ""
    kept.keep(fetched(b"first", etag='"1"'), HERE)
    assert (kept.etag(HERE), kept.etag(ELSEWHERE)) == ('"1"', "")
    kept.path.unlink()
    assert kept.etag(HERE) == ""


def test_after_a_step_back_the_server_is_asked_for_the_whole_list(kept: Kept) -> None:
    kept.keep(fetched(b"first", etag='"1"'), HERE)
    kept.keep(fetched(b"second", etag='"2"'), HERE)
    kept.roll_back()
    assert kept.etag(HERE) == ""


@pytest.mark.parametrize("state", [b"", b"[1]", b"{", b"\xff", b'{"etag": "1"}'])
def test_a_damaged_state_is_none(kept: Kept, state: bytes) -> None:
    kept.keep(fetched(b"first", etag='"1"'), HERE)
    kept.path.with_name("models.json.state").write_bytes(state)
    assert kept.etag(HERE) == ""


def test_a_place_that_cannot_be_written_is_told_with_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match=r"cannot write .*models.json: .*; set catalog.file"):
        Kept(tmp_path / "file" / "models.json").keep(fetched(b"first"), HERE)


def test_a_disk_that_fails_leaves_the_list_before_in_force(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep(fetched(b"first", etag='"1"'), HERE)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(SettingsError, match="No space left on device"):
                kept.keep(fetched(b"second", etag='"2"'), HERE)
        assert kept.path.read_bytes() == b"first"
        assert kept.etag(HERE) == '"1"'
        assert sorted(path.name for path in kept.path.parent.iterdir()) == ["models.json", "models.json.state"]
