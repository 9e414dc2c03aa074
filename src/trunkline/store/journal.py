"""Settles that the database did not take, in a file, until it takes them; and notes of those that it takes soon.

There is one file for each boot, locked for as long as its process lives, so that whoever gets the lock knows that
nobody writes it any more, and posts what is in it. Posting the same settle twice changes nothing, so a file may be read
again from its beginning after a crash in the middle. A file ends where its first record is not whole: nobody was told
that a later one is kept.

A note (`notes.py`) looks like any other record, and stands in a file that has no others, before a mark of the end. The
event loop writes it, since it waits for no disk, as its transaction would not. Notes that are posted are taken back by
that mark at the beginning: cutting the file costs more. When something else is to be kept they become records like it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import compress
from operator import ne
from pathlib import Path
from typing import TypeVar

from trunkline import failpoints
from trunkline.packing import pack, unpack
from trunkline.settings.sections import Settings
from trunkline.store.rows import BLANK, GenerationRow
from trunkline.store.urls import is_shared, sqlite_path

Result = TypeVar("Result")

MAX_BYTES = 256 * 2**20
MAX_NOTED_BYTES = 2**20
_SUFFIX = ".journal"
_END = bytes(8)
"""What no record begins with: it has no length, and is not whole."""
_READ_BYTES = 2**20


class Journal:
    """An open journal that this process has the lock of; `path` is where it is."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._begin = 0
        self._read_to = 0
        self._end = os.fstat(handle).st_size
        self._noted_to = 0
        self._jobs = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trunkline-journal")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to post."""
        return self._begin == self._end

    def note(self, row: GenerationRow) -> bool:
        """Note a settle, which a kill does not undo; False where the file has other records, or takes no more."""
        if self._jobs or not self.is_empty or self._noted_to > MAX_NOTED_BYTES:
            return False
        data = pack(_values_of(row))
        try:
            written = os.pwrite(self._handle, data + _END, self._noted_to)
        except OSError:
            return False
        if written < len(data) + len(_END):
            return False
        self._noted_to += len(data)
        failpoints.reach("note.written")
        return True

    def forget_notes(self) -> None:
        """Take back what was noted: it is posted."""
        if self._noted_to:
            self._noted_to = 0
            with contextlib.suppress(OSError):  # else it is posted once more
                os.pwrite(self._handle, _END, 0)

    def keep_notes(self) -> None:
        """Have what was noted be records like others: they are not posted by whoever noted them."""
        if self._noted_to:  # they begin the file, whatever was in it before
            self._begin = self._read_to = 0
            self._end, self._noted_to = self._noted_to, 0

    async def append(self, rows: Iterable[GenerationRow]) -> None:
        """Keep settles; they are on the disk when this returns. Raises OSError, and then none of them is kept.

        Where notes are in the file `keep_notes` comes first.
        """
        await self._run(partial(self._append, b"".join(pack(_values_of(row)) for row in rows)))

    async def read(self, count: int) -> list[GenerationRow]:
        """Read the next settles; those that are not dropped are read again."""
        return await self._run(partial(self._read, count))

    async def drop(self) -> None:
        """Forget what was read last."""
        await self._run(self._drop)

    async def close(self) -> None:
        """Give up the lock; a journal with nothing in it is deleted."""
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], Result]) -> Result:
        self._jobs += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._jobs -= 1

    def _append(self, data: bytes) -> None:
        if self._end + len(data) > MAX_BYTES:
            raise OSError(errno.EFBIG, "the journal is full")
        failpoints.reach("journal.before")
        # At the end of what counts, so that the rest of a record that did not find room is written over.
        place = self._end
        left = memoryview(data)
        if failpoints.is_armed("journal.half"):
            os.pwrite(self._handle, left[: len(left) * 2 // 3], place)
            failpoints.reach("journal.half")
        while left:
            written = os.pwrite(self._handle, left, place)
            left, place = left[written:], place + written
        failpoints.reach("journal.written")
        os.fdatasync(self._handle)
        failpoints.reach("journal.synced")
        self._end = place

    def _read(self, count: int) -> list[GenerationRow]:
        rows: list[GenerationRow] = []
        self._read_to = self._begin
        while len(rows) < count and self._read_to < self._end:
            found = self._read_some(count - len(rows))
            if not found:
                self._end = self._read_to
            rows += found
        return rows

    def _read_some(self, count: int) -> list[GenerationRow]:
        start, size = self._read_to, _READ_BYTES
        while True:
            data = os.pread(self._handle, min(size, self._end - start), start)
            rows = []
            for values, end in unpack(data):
                rows.append(_row_of(values))
                self._read_to = start + end
                if len(rows) == count:
                    break
            if rows or start + size >= self._end:
                return rows
            size *= 2

    def _drop(self) -> None:
        self._begin = self._read_to
        if self._begin == self._end:
            os.ftruncate(self._handle, 0)
            self._begin = self._read_to = self._end = 0

    def _close(self) -> None:
        if self.is_empty:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        os.close(self._handle)


def journal_folder(settings: Settings) -> Path | None:
    """Name the folder of journals; a database in memory has none.

    Beside a database that nodes share there is no place: theirs is where each was started, on a disk of its own.
    """
    if is_shared(settings.store.url):
        return Path(settings.store.journal or "trunkline.journal")
    path = sqlite_path(settings.store.url)
    if path is None:
        return None
    return Path(settings.store.journal) if settings.store.journal else path.with_name(f"{path.name}.journal")


def open_journal(folder: Path, boot_id: str) -> Journal:
    """Make the journal of this boot. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{boot_id}{_SUFFIX}"
    # Locked before it has the name that others look for, so that nobody takes it for that of a dead process.
    unnamed = folder / f".{boot_id}"
    handle = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(unnamed, path)
        _make_durable(folder)
    except BaseException:
        os.close(handle)
        unnamed.unlink(missing_ok=True)
        raise
    return Journal(path, handle)


def adopt_journals(folder: Path) -> Iterator[tuple[str, Journal]]:
    """Take over the journals whose processes are gone, each with the id of its boot. Raises OSError."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if _lock(handle) and _is_at(path, handle):
            yield path.name.removesuffix(_SUFFIX), Journal(path, handle)
        else:
            os.close(handle)


def notes_in(folder: Path) -> Mapping[Path, bytes]:
    """How the notes begin that wait in journals of living processes; another beginning says that these are posted."""
    found = {}
    for path in folder.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            begin = file.read(len(_END))
            if begin.strip(b"\0") and not _lock(file.fileno()):
                found[path] = begin
    return found


def is_running(folder: Path, boot_id: str) -> bool:
    """Whether the process of a boot on this machine still has its journal."""
    try:
        handle = os.open(folder / f"{boot_id}{_SUFFIX}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _lock(handle)
    finally:
        os.close(handle)


def _make_durable(folder: Path) -> None:
    """Have the name of a new file on the disk before anything in it counts as kept."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(path: Path, handle: int) -> bool:
    """Whether an open file still has its name: the one who had the lock before may have deleted it."""
    try:
        return os.stat(path).st_ino == os.fstat(handle).st_ino
    except OSError:
        return False


def _values_of(row: GenerationRow) -> dict[str, object]:
    """Name the values that are there; a later version may know other columns."""
    return dict(compress(zip(GenerationRow._fields, row, strict=True), map(ne, row, BLANK)))


def _row_of(values: dict[str, object]) -> GenerationRow:
    return BLANK._replace(**{name: value for name, value in values.items() if name in GenerationRow._fields})  # type: ignore[arg-type]
