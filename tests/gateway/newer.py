"""A version of the program that is newer than this one, for tests in which both use one database."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import trunkline
from trunkline.store.schema import HEAD

EXPANDED = "9998"
"""The revision of tables that nodes of both versions use."""
EXPANDS = """
from alembic import op
revision = "9998"
down_revision = "{head}"
def upgrade():
    op.execute("ALTER TABLE keys ADD COLUMN made_up TEXT")
    op.execute("ALTER TABLE generations ADD COLUMN made_up TEXT")
    op.execute("SELECT pg_sleep(0.7)")
"""
CONTRACTS = """
from alembic import op
revision = "9999"
down_revision = "9998"
contracts = "9998"
def upgrade():
    op.execute("ALTER TABLE keys DROP COLUMN made_up")
"""


@pytest.fixture(scope="session")
def newer_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with two revisions more: one that adds columns, and one that takes one of them away."""
    package = tmp_path_factory.mktemp("newer") / "trunkline"
    shutil.copytree(Path(trunkline.__file__).parent, package)
    store = package / "store"
    (store / "schema.py").write_text((store / "schema.py").read_text().replace(f'HEAD = "{HEAD}"', 'HEAD = "9999"'))
    for name, text in (("9998_expands", EXPANDS), ("9999_contracts", CONTRACTS)):
        (store / "migrations" / "versions" / f"{name}.py").write_text(text.format(head=HEAD))
    return package.parent
