"""What a command loads before it does anything: libraries cost more of a start than all that is done in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NEVER = frozenset(
    {"alembic", "mako", "pydantic", "pydantic_settings", "rich", "pygments", "sqlalchemy", "structlog"}
    | {"cryptography"}
)
"""What no start needs: some are loaded for an upgrade of the database, some are only in reach of tests."""

SERVER = frozenset({"starlette", "uvicorn", "uvloop", "trunkline.app", "trunkline.server.listener"})
UPSTREAM = frozenset({"httptools", "trunkline.upstream.http", "trunkline.adapters.table"})
LINKS = frozenset({"aiohttp", "yarl", "multidict", "attr", "trunkline.upstream.links.client"})
"""What a gateway needs when the first link is fetched."""

CATALOGUE = frozenset({"trunkline.catalog.gather", "trunkline.inventory"})
STORE = frozenset({"sqlite3", "trunkline.store.database"})

RUNS = [
    (
        "serve --help",
        NEVER | LINKS | SERVER | UPSTREAM | {"trunkline.cli.main", "trunkline.cli.catalog", "trunkline.cli.route"},
    ),
    ("keys create", NEVER | SERVER | UPSTREAM | CATALOGUE),
    ("byok list", NEVER | SERVER | UPSTREAM),
    ("keys create --models a --rpm 5 --zdr --limit 5", NEVER | SERVER | UPSTREAM | CATALOGUE),
    ("accounts list", NEVER | SERVER | UPSTREAM | CATALOGUE),
    ("ledger audit", NEVER | SERVER | UPSTREAM | CATALOGUE),
    ("prompts list", NEVER | SERVER | UPSTREAM | CATALOGUE),
    ("keys --help", NEVER | SERVER | UPSTREAM | CATALOGUE),
    ("requests", NEVER | SERVER | UPSTREAM | CATALOGUE),
    ("usage", NEVER | SERVER | UPSTREAM | CATALOGUE),
    ("check", NEVER | SERVER | UPSTREAM),
    ("models", NEVER | SERVER | UPSTREAM | STORE),
    ("providers", NEVER | SERVER | UPSTREAM | STORE),
    ("route --help", NEVER | SERVER | UPSTREAM | STORE),
    ("catalog show", NEVER | SERVER),
    ("--version", NEVER),
]
"""Commands, and what is not loaded when they are done, whatever they came to."""


@pytest.mark.parametrize(("command", "unneeded"), RUNS, ids=[command for command, _ in RUNS])
def test_F14_a_command_loads_what_it_needs_and_no_more(command: str, unneeded: frozenset[str], tmp_path: Path) -> None:
    script = """
import sys
from trunkline.cli.start import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    print(f"ended with {end.code}", *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *command.split()],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    *words, ending = done.stdout.splitlines()
    assert words or "trunkline: " in done.stderr
    assert "Traceback" not in done.stderr
    loaded = set(ending.split())
    assert "trunkline.cli.start" in loaded
    assert sorted(loaded & unneeded) == []
