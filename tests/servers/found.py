"""Where programs of servers, and what else tests need, are: here, or unpacked in `.venv/servers` by `fetching.py`."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

UNPACKED = Path(sys.prefix) / "servers"
"""Where packages are unpacked that the machine has not."""


@dataclass(frozen=True)
class Programs:
    """The folder in which a server's programs are, and what they are told to find their libraries."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def path(self, name: str) -> str:
        return str(self.folder / name)


def postgres_programs() -> Programs | None:
    """Find the newest PostgreSQL: `postgres`, `initdb` and `psql`."""
    return _find(("postgres", "initdb", "psql"), "lib/postgresql/*/bin")


def valkey_programs() -> Programs | None:
    """Find Valkey's server, else Redis'; `server_of` tells which."""
    return _find(("valkey-server",), "bin") or _find(("redis-server",), "bin")


def nginx_programs() -> Programs | None:
    """Find nginx."""
    return _find(("nginx",), "sbin")


def server_of(programs: Programs) -> str:
    """The name of the server among what `valkey_programs` found."""
    return "valkey-server" if (programs.folder / "valkey-server").exists() else "redis-server"


def clock_library() -> Path | None:
    """Find libfaketime, which moves the time of day of one process."""
    places = (root.glob("lib/*-linux-*/faketime/libfaketime.so.1") for root in (Path("/usr"), UNPACKED / "usr"))
    return next(chain.from_iterable(places), None)


def _find(names: tuple[str, ...], places: str) -> Programs | None:
    on_path = (Path(found).parent for found in [shutil.which(names[0])] if found)
    machine = _newest(Path("/usr").glob(places))
    if folder := _first([*on_path, *machine], names):
        return Programs(folder)
    if folder := _first(_newest((UNPACKED / "usr").glob(places)), names):
        return Programs(folder, {"LD_LIBRARY_PATH": ":".join(map(str, sorted(UNPACKED.glob("usr/lib/*-linux-*"))))})
    return None


def _first(folders: Iterable[Path], names: tuple[str, ...]) -> Path | None:
    return next((each for each in folders if all(os.access(each / name, os.X_OK) for name in names)), None)


def _newest(folders: Iterable[Path]) -> list[Path]:
    return sorted(folders, key=lambda each: [int(number) for number in re.findall(r"\d+", str(each))], reverse=True)
