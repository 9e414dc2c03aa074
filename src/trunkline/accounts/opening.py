"""The keys of the store that the settings name, for the gateway and for commands that need no more than these."""

from __future__ import annotations

import os
import time

from trunkline.accounts.keys import Keys
from trunkline.accounts.pepper import read_pepper
from trunkline.settings.sections import Settings
from trunkline.store.database import Database, open_database, sqlite_path


def open_keys(settings: Settings) -> tuple[Database, Keys]:
    """Open the store and what is kept there of keys.

    Raises SettingsError.
    """
    pepper = pepper_of(settings)
    database = open_database(settings.store.url, settings.store.timeout)
    keys = Keys(database, pepper, clock=time.monotonic, wall_clock=time.time, max_attempts=settings.routing.attempts)
    return database, keys


def pepper_of(settings: Settings) -> bytes:
    """Read the pepper, or make it at the first start. Raises SettingsError."""
    return read_pepper(settings.store.pepper, sqlite_path(settings.store.url), os.environ)
