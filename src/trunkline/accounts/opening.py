"""The keys of the store that the settings name, for the gateway and for commands that need no more than these."""

from __future__ import annotations

import os
import time

from trunkline.accounts.key_text import check_given
from trunkline.accounts.keys import Keys
from trunkline.accounts.master_keys import MasterKeys
from trunkline.accounts.pepper import given_pepper, read_pepper, reveal
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.database import Database, open_database, verify_database
from trunkline.store.opening import make_board
from trunkline.store.urls import is_shared, sqlite_path


def open_keys(settings: Settings, patience_s: float = 0.0) -> tuple[Database, Keys]:
    """Open the store and what is kept there of keys; a statement may wait so long, `store.timeout` at least.

    Raises SettingsError.
    """
    pepper, previous = pepper_of(settings), _previous_pepper(settings)
    database = open_database(settings.store.url, max(patience_s, settings.store.timeout))
    keys = Keys(
        database,
        pepper,
        clock=time.monotonic,
        wall_clock=time.time,
        max_attempts=settings.routing.attempts,
        previous_pepper=previous,
        masters=masters_of(settings),
    )
    return database, keys


def verify_store(settings: Settings) -> str | None:
    """Find out whether `open_keys` and the first key would be refused, and make nothing.

    It gives the revision of the tables, None where there are none yet. Raises SettingsError with all that is wrong.
    """
    problems: list[str] = []
    for verify in (_verify_pepper, _verify_counters, masters_of, verify_bootstrap_key):
        try:
            verify(settings)
        except SettingsError as error:
            problems += error.problems
    try:
        revision = verify_database(settings.store.url)
    except SettingsError as error:
        problems += error.problems
    if problems:
        raise SettingsError(problems)
    return revision


def verify_bootstrap_key(settings: Settings) -> str | None:
    """Read the key that the operator brings, if any. Raises SettingsError for one that cannot be used."""
    if settings.bootstrap_key is None:
        return None
    text = reveal(settings.bootstrap_key, os.environ)
    try:
        check_given(text)
    except ValueError as error:
        raise SettingsError([f"bootstrap_key: {error}"]) from None
    return text


def _verify_pepper(settings: Settings) -> None:
    _read_pepper(settings, makes=False)
    _previous_pepper(settings)


def _verify_counters(settings: Settings) -> None:
    if (url := counters_url(settings)) is not None:
        make_board(url, "", _untold)


async def missed_board(settings: Settings) -> str | None:
    """Find out whether the board that the settings name can be used now; else why not, and what that means.

    Raises SettingsError.
    """
    if (url := counters_url(settings)) is None:
        return None
    refused: list[str] = []
    async with make_board(url, "check", lambda event, reason: refused.append(reason)) as board:
        if not board.is_here:
            return f"{board.reason} Until it is back each gateway has its share of limits."
        board.tell("trunkline:check", b"")
    if refused:
        return f"It takes no messages: {refused[0]}. Gateways tell each other nothing; give its user the channels too."
    return None


def _untold(event: str, detail: str) -> None:
    """What is found out is told by who asks."""


def counters_url(settings: Settings) -> str | None:
    """Read the address of the board, if there is one; a password may be in it. Raises SettingsError."""
    source = settings.store.counters
    return None if source is None else reveal(source, os.environ)


def _previous_pepper(settings: Settings) -> bytes | None:
    source = settings.store.pepper_previous
    return None if source is None else given_pepper(source, "store.pepper_previous", os.environ)


def pepper_of(settings: Settings) -> bytes:
    """Read the pepper, or make it at the first start. Raises SettingsError."""
    return _read_pepper(settings, makes=True)


def _read_pepper(settings: Settings, *, makes: bool) -> bytes:
    if settings.store.pepper is None and is_shared(settings.store.url):
        problem = "store.pepper is missing: with PostgreSQL it is yours to give, the same on every node"
        advice = 'set store.pepper = { env = "PEPPER" } to what `openssl rand -hex 32` gives'
        raise SettingsError([f"{problem}; {advice}"])
    return read_pepper(settings.store.pepper, sqlite_path(settings.store.url), os.environ, makes=makes)


def masters_of(settings: Settings) -> MasterKeys:
    """Read the master keys that the settings name. Raises SettingsError."""
    return MasterKeys(settings.store.master_keys, sqlite_path(settings.store.url), os.environ)
