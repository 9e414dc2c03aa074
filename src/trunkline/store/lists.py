"""The fetched list of models that the store keeps: as bytes that tell whether they are whole, and read from outside.

How it is fetched, and whether it is believed, is `cli/catalog.py`'s and `catalog/renewal.py`'s; which list is in force,
`inventory.py`'s.
"""

from __future__ import annotations

import zlib
from hashlib import sha256
from importlib import import_module
from typing import Final

from trunkline.store.rows import ListRow
from trunkline.store.statements.model_lists import find_list_if_any
from trunkline.store.urls import is_shared, sqlite_path

MAX_BYTES: Final = 10 * 2**20
"""The largest list that is taken."""

MAX_ETAG: Final = 256
"""The longest name of a state that is kept: PostgreSQL takes no longer one. Without it the whole list is fetched."""

PATIENCE_S: Final = 5.0
"""How long a command that can do without waits for a store on the network."""


def pack_list(data: bytes, url: str, etag: str, now_ms: int) -> ListRow:
    """Make the row that keeps a list."""
    return ListRow(sha256(data).hexdigest(), zlib.compress(data), url, etag, now_ms)


def unpack_list(row: ListRow) -> bytes:
    """Give the bytes of a list as they were fetched. Raises ValueError for a row that is damaged."""
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(row.packed, MAX_BYTES + 1)
    except (zlib.error, TypeError):  # SQLite keeps text in a column for bytes
        data = b""
    if sha256(data).hexdigest() != row.digest:
        raise ValueError("it is damaged: its bytes are not those that were kept")
    return data


def read_list(url: str) -> ListRow | None:
    """Read the list that a store keeps, and make or change nothing there; None where there is none.

    Raises SettingsError for a store that cannot be read.
    """
    # By name, since most commands that ask need no driver where there is no store yet.
    if is_shared(url):
        postgres = import_module("trunkline.store.database").load_postgres()
        return postgres.once_open(  # type: ignore[no-any-return]
            url, 0.0, find_list_if_any, is_write=False, at_least_s=PATIENCE_S
        )
    path = sqlite_path(url)
    if path is None or not path.exists():
        return None
    return import_module("trunkline.store.sqlite").read_once(path, find_list_if_any)  # type: ignore[no-any-return]
