"""The templates of a store, as requests read them.

What was read is believed for five seconds; a version is never changed, so that all that is missed meanwhile is a newer
one, or that one was removed. Those who want the same template at once share one reading. While the store does not
answer, what was read before serves, however old, and the store is asked again every five seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from trunkline.errors import BadRequest, NotFound, ServiceUnavailable
from trunkline.protocol.parse_kept import parse_template
from trunkline.protocol.prompts import Template
from trunkline.protocol.reading import shown
from trunkline.store.connection import Connection
from trunkline.store.database import Database, unavailable
from trunkline.store.statements.templates import find_template, list_templates

FRESH_S: Final = 5.0
MAX_BYTES: Final = 2**20
"""The largest template that is kept."""

MAX_REMEMBERED_BYTES: Final = 16 * 2**20

_SHOWN: Final = 20
_DIGITS: Final = 18


class Kept(NamedTuple):
    """One version of a template; `body_bytes` and `quotes` say how much it is to read."""

    id: str
    version: str
    template: Template
    body_bytes: int
    quotes: int


class Templates:
    """The templates of one store; `clock` is monotonic, in seconds."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._kept: dict[_Name, tuple[Kept, float]] = {}
        self._kept_bytes = 0
        self._readings: dict[_Name, asyncio.Task[Kept]] = {}

    async def find(self, id: str, version: str | None) -> Kept:
        """Find a version of a template, the newest where None is asked for.

        Raises NotFound, which names the versions that there are, and ServiceUnavailable when only the store knows.
        """
        name = (id, version)
        remembered = self._kept.get(name)
        if remembered is not None and self._clock() - remembered[1] < FRESH_S:
            return remembered[0]
        reading = self._readings.get(name)
        if reading is None:
            reading = self._readings[name] = asyncio.ensure_future(self._read(name))
            reading.add_done_callback(partial(self._end_reading, name))
        # Who leaves takes nothing from those who wait with it.
        return await asyncio.shield(reading)

    async def _read(self, name: _Name) -> Kept:
        began, remembered = self._clock(), self._kept.pop(name, None)
        if remembered is not None:
            self._kept_bytes -= remembered[0].body_bytes
        try:
            kept = await self._database.read(partial(read_template, id=name[0], version=name[1]))
        except ServiceUnavailable:
            if remembered is None:
                raise
            kept, began = remembered[0], self._clock()
        self._remember(name, kept, began)
        return kept

    def _remember(self, name: _Name, kept: Kept, at: float) -> None:
        """Keep a template as the newest; the oldest make room."""
        self._kept[name] = kept, at
        self._kept_bytes += kept.body_bytes
        while self._kept_bytes > MAX_REMEMBERED_BYTES:
            oldest, _ = self._kept.pop(next(iter(self._kept)))
            self._kept_bytes -= oldest.body_bytes

    def _end_reading(self, name: _Name, reading: asyncio.Task[Kept]) -> None:
        del self._readings[name]
        if not reading.cancelled():
            reading.exception()  # nobody may be left to hear it


def read_template(connection: Connection, id: str, version: str | None) -> Kept:
    """Read a version of a template in the thread of the store, as `Templates.find` does.

    Raises NotFound, and ServiceUnavailable for one that this gateway cannot read.
    """
    number = None if version is None else number_of(version)
    row = find_template(connection, id, number)
    if row is None:
        raise _unknown(id, version, [str(each.version) for each in list_templates(connection, id)])
    body = row.body.encode()
    try:
        template = parse_template(body)
    except BadRequest as error:
        raise unavailable(f"Version {row.version} of the template {shown(id)} cannot be read: {error}") from None
    return Kept(id, str(row.version), template, len(body), body.count(b'"'))


def number_of(version: str) -> int:
    """The number that a version is kept by; -1 for what is none."""
    if version.isascii() and version.isdecimal() and version[0] != "0" and len(version) <= _DIGITS:
        return int(version)
    return -1


def _unknown(id: str, version: str | None, known: list[str]) -> NotFound:
    if not known:
        return NotFound(f"prompt: there is no template {shown(id)} here.", metadata={"param": "prompt.id"})
    earlier = f"… {len(known) - _SHOWN} earlier, " if len(known) > _SHOWN else ""
    message = f"prompt: the template {shown(id)} has no version {shown(version)}"
    return NotFound(f"{message}; it has {earlier}{', '.join(known[-_SHOWN:])}.", metadata={"param": "prompt.version"})


_Name = tuple[str, str | None]
