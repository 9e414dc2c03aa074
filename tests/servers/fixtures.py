"""The servers as fixtures: each started once in a process of tests, when the first test asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

import pytest

from tests.servers import nginx as nginx_server
from tests.servers import postgres as postgres_server
from tests.servers import valkey as valkey_server
from tests.servers.found import clock_library as found_clock_library
from tests.servers.found import nginx_programs, postgres_programs, valkey_programs
from tests.servers.nginx import Nginx
from tests.servers.postgres import Postgres
from tests.servers.valkey import Valkey


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that runs, in which each test that writes makes a database of its own."""
    programs = postgres_programs()
    if programs is None:
        _miss("PostgreSQL")
    with postgres_server.started(programs) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The address of an empty database of the test's own."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[Valkey]:
    """A Valkey or Redis with whatever the tests before left in it."""
    programs = valkey_programs()
    if programs is None:
        _miss("Valkey or Redis")
    with valkey_server.started(programs) as server:
        yield server


@pytest.fixture
def redis_server(shared_redis: Valkey) -> Valkey:
    """A Valkey or Redis that is empty."""
    shared_redis.clear()
    return shared_redis


@pytest.fixture
def redis_url(redis_server: Valkey) -> str:
    """The address of a Valkey or Redis that is empty."""
    return redis_server.url


@pytest.fixture(scope="session")
def start_nginx() -> Callable[[str], AbstractContextManager[Nginx]]:
    """Starts an nginx with a site."""
    if nginx_programs() is None:
        _miss("nginx")
    return nginx_server.started


@pytest.fixture(scope="session")
def clock_library() -> Path:
    """What moves the time of day of a process that it is loaded into."""
    library = found_clock_library()
    if library is None:
        _miss("libfaketime")
    return library


def _miss(name: str) -> NoReturn:
    """Skip the test, or fail it where nothing may be missing."""
    reason = f"there is no {name}; install it, or run `python -m tests.servers.fetching` as `make test` does"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
