"""What the URL of a store names: a file of this machine, or a server that nodes share. No driver is loaded for it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trunkline.settings.reading import SettingsError

IN_MEMORY: Final = ":memory:"

_SCHEME: Final = "sqlite:///"


def sqlite_path(url: str) -> Path | None:
    """Name the file of an SQLite database; None for one in memory, and for a database that is no file.

    Raises SettingsError for a URL that says more than that.
    """
    if is_shared(url):
        return None
    database, mark, _ = url.removeprefix(_SCHEME).partition("?")
    if mark:
        raise SettingsError([f"store.url: leave out what follows the ?, as in {_SCHEME}{database}"])
    return None if database in ("", IN_MEMORY) else Path(database)


def is_shared(url: str) -> bool:
    """Whether a URL names a PostgreSQL database, which nodes share and which is no file of this machine."""
    return url.startswith(("postgresql://", "postgres://"))
