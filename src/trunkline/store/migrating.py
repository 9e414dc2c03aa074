"""Bringing the tables to the newest revision because somebody asked for it, and not at a start."""

from __future__ import annotations

import contextlib
from functools import partial

from trunkline.store.database import load_postgres
from trunkline.store.revisions import Migrated, migrate
from trunkline.store.schema import HEAD
from trunkline.store.sqlite import open_sqlite
from trunkline.store.urls import is_shared


def migrate_database(url: str, timeout: float, *, may_contract: bool = False) -> Migrated:
    """Bring the tables to the newest revision; on PostgreSQL what only older code needs is taken away if it may be.

    Raises SettingsError.
    """
    if is_shared(url):
        work = partial(migrate, may_contract=may_contract)
        migrated: Migrated = load_postgres().once_open(url, timeout, work, is_write=True)
        return migrated
    with contextlib.ExitStack() as opened:
        for connection in filter(None, open_sqlite(url, timeout)):
            opened.callback(connection.close)
    return Migrated(HEAD, None)
