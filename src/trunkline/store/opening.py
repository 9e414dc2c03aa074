"""The writer of the store that the settings name."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.alarms import Alarm
from trunkline.store.backlog import Backlog
from trunkline.store.clock import StoreClock, read_clock
from trunkline.store.database import Database, load_postgres
from trunkline.store.journal import journal_folder, open_journal
from trunkline.store.notes import Notes
from trunkline.store.rows import BootRow
from trunkline.store.upkeep import Upkeep
from trunkline.store.urls import is_shared
from trunkline.store.writer import Writer

if TYPE_CHECKING:
    from trunkline.store.board import Board


def make_writer(settings: Settings, database: Database, wall_clock: Callable[[], float], alarm: Alarm) -> Writer:
    """Make the writer of this process, with a boot and a journal of its own; `alarm` is told what operators must know.

    Raises SettingsError.
    """
    shared = is_shared(settings.store.url)
    clock = _store_clock(settings, wall_clock) if shared else None
    wall_clock = clock or wall_clock
    now_ms = int(wall_clock() * 1000)
    boot = BootRow(f"boot_{secrets.token_hex(8)}", node_of(settings), now_ms, now_ms)
    folder = journal_folder(settings)
    try:
        journal = None if folder is None else open_journal(folder, boot.id)
    except OSError as error:
        problem = f"store.journal: cannot write in {folder}: {error.strerror}; name a folder that can be written"
        raise SettingsError([problem]) from None
    # Other nodes look up at once what one of them told, and the CPU of a database server is not this process's.
    notes = Notes(None if shared else journal)
    keep_s = settings.store.keep_records
    upkeep = Upkeep(boot, folder, keep_s, wall_clock, alarm, is_shared=shared, store_clock=clock)
    return Writer(database, boot, Backlog(journal, notes, alarm), notes, upkeep, wall_clock, alarm)


def make_board(url: str, node: str, alarm: Alarm) -> Board:
    """Make the board that a URL names, for the boot of this id; nothing of a board is loaded where there is none.

    Raises SettingsError.
    """
    try:
        return import_module("trunkline.store.valkey").make_board(url, node, alarm)  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        problem = "store.counters needs a library that is not there; run pip install 'trunkline[cluster]'"
        raise SettingsError([problem]) from None


def _store_clock(settings: Settings, wall_clock: Callable[[], float]) -> StoreClock:
    """Make the clock that nodes share, which goes right before the first of them is told of this one."""
    clock = StoreClock(wall_clock)
    url, timeout = settings.store.url, settings.store.timeout
    clock.correct(load_postgres().once_open(url, timeout, read_clock, is_write=False))
    return clock


def node_of(settings: Settings) -> str:
    """Name the place where this process runs. The port is in it: of several processes on a host each has its own."""
    port = settings.server.listen.rpartition(":")[2]
    return settings.store.node or f"{socket.gethostname()}:{port}"
