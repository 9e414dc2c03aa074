"""The fetched list of models on disk: kept, told apart from the server's present one, and taken back.

How it is fetched, and whether it is believed, is `cli/catalog.py`'s and `catalog/renewal.py`'s.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from trunkline.catalog.rows import ModelsFile
from trunkline.settings.reading import SettingsError


class Fetched(NamedTuple):
    """A newer list: its bytes as they came, read, and what the server calls this state of it."""

    data: bytes
    file: ModelsFile
    etag: str


class Kept:
    """The fetched list on disk, the one before it, and what the server called it.

    Every file is written beside its place and moved there, so that whoever reads finds an old one or a new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._previous = path.with_name(path.name + ".previous")
        self._state = path.with_name(path.name + ".state")

    def etag(self, url: str) -> str:
        """What the server called the list that is kept; empty when it is another server's, or gone."""
        try:
            state = json.loads(self._state.read_text("utf-8"))
        except (OSError, ValueError):
            return ""
        is_here = self.path.exists() and isinstance(state, dict) and state.get("url") == url
        return str(state.get("etag", "")) if is_here else ""

    def keep(self, fetched: Fetched, url: str) -> None:
        """Put a list in force; raises SettingsError when the disk does not let it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                _replace(self._previous, self.path.read_bytes())
            _replace(self.path, fetched.data)
            _replace(self._state, json.dumps({"url": url, "etag": fetched.etag}).encode())
        except OSError as error:
            raise self._unwritable(error) from None

    def roll_back(self) -> str:
        """Undo the last `keep`, and say what is in force then; raises SettingsError as `keep` does."""
        try:
            return self._undo()
        except OSError as error:
            raise self._unwritable(error) from None

    def _undo(self) -> str:
        self._state.unlink(missing_ok=True)
        if self._previous.exists():
            os.replace(self._previous, self.path)
            return f"back to the list before, in {self.path}"
        if self.path.exists():
            self.path.unlink()
            return "back to the list that came with this version"
        raise SettingsError(["there is nothing to go back to: the list that came with this version is in force"])

    def _unwritable(self, error: OSError) -> SettingsError:
        return SettingsError([f"cannot write {self.path}: {error.strerror}; set catalog.file"])


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
