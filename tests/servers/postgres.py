"""A PostgreSQL of the tests' own: each test or module that asks gets a new database in it."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.found import Programs, postgres_programs
from tests.servers.process import Server, environ_of, owner_of, watched_folder, within_reach

USER = "tests"
PASSWORD = "pw-canary-Xr5Kd8Tn2Wb7"
_numbers = itertools.count(1)

_QUICK = ("fsync=off", "full_page_writes=off")
"""What is lost by these only the machine's end shows, which no test brings about; commits stay what they are else."""

_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=32MB",
    "dynamic_shared_memory_type=mmap",
    "max_connections=100",
    "wal_level=minimal",
    "max_wal_senders=0",
    "jit=off",
    "timezone=GMT",
    "log_timezone=GMT",
)


class Postgres(Server):
    """A PostgreSQL, and SQL run in it from outside."""

    def __init__(self, programs: Programs, folder: Path, settings: Sequence[str]) -> None:
        super().__init__(programs, folder, self._arguments)
        self._programs = programs
        self._settings = settings
        self._data = folder / "data"

    @property
    def url(self) -> str:
        """The address of a database that is always there, and everybody's; `new_database` gives one of one's own."""
        return self.url_of("postgres")

    def new_database(self, like: str = "template1") -> str:
        """Make a database as another one is, to which nobody may be connected; its URL."""
        name = f"t{next(_numbers)}_{os.getpid()}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {like}")
        return self.url_of(name)

    def url_of(self, database: str) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def run(self, statements: str, database: str = "postgres") -> str:
        """Run SQL; what it gives, a line for each row and a tab between values."""
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database]
        ran = subprocess.run(
            [self._programs.path("psql"), "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", *address, "-c", statements],
            capture_output=True,
            text=True,
            check=False,
            env={**environ_of(self._programs), "PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": "20"},
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.rstrip("\n")

    def is_ready(self) -> bool:
        """Whether it says so in the file that tells other programs of it."""
        told = (self._data / "postmaster.pid").read_text().split("\n")
        return told[0] == str(self.pid) and len(told) > 7 and told[7].strip() == "ready"

    def make(self) -> None:
        """Make its files."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        made = subprocess.run(
            [
                *(self._programs.path("initdb"), "-D", str(self._data), "-U", USER, "--no-sync", "--no-instructions"),
                *("--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"),
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env=environ_of(self._programs),
            **owner_of(self.folder),
        )
        assert made.returncode == 0, made.stderr

    def _arguments(self, port: int) -> Sequence[str]:
        told = itertools.chain.from_iterable(("-c", each) for each in (*_SETTINGS, *self._settings))
        return [self._programs.path("postgres"), "-D", str(self._data), "-p", str(port), *told]


@contextlib.contextmanager
def started(programs: Programs | None = None, *, is_durable: bool = False) -> Iterator[Postgres]:
    """Start a PostgreSQL, which is gone at the end. One that is durable waits for its disk at each commit."""
    found = programs or postgres_programs()
    assert found is not None, "there is no PostgreSQL"
    with watched_folder("postgres") as folder, within_reach(found, folder) as reachable:
        server = Postgres(reachable, folder, () if is_durable else _QUICK)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
