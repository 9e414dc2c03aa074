"""A gateway on the database of a version that kept no money: its keys stay good, and nothing is limited."""

from __future__ import annotations

import hmac
import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.gateway.checks import response_of
from tests.gateway.server import COMMAND, Gateway, running
from tests.gateway.tenants import Store
from trunkline.store.upgrade import upgrade

CONFIG = """
[providers.fake-provider]
enabled = true
"""
PEPPER = "a" * 64
GOOD, REVOKED = ("tl-" + letter * 43 for letter in "gr")
"""As keys were before they had a checksum."""


def test_its_keys_stay_good_its_account_is_unlimited_and_its_requests_are_on_record(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "trunkline.db", isolation_level=None)) as connection:
        upgrade(connection, "0001")
        connection.execute("INSERT INTO accounts (id, name, created_at_ms) VALUES ('default', 'default', 1)")
        for text, is_disabled in ((GOOD, False), (REVOKED, True)):
            connection.execute(
                "INSERT INTO keys (id, account_id, name, hash, prefix, created_at_ms, disabled)"
                " VALUES (?, 'default', 'old', ?, ?, 1, ?)",
                (f"key_{text[3:9]}", hmac.digest(PEPPER.encode(), text.encode(), "sha256"), text[:7], is_disabled),
            )
    (tmp_path / "trunkline.db.pepper").write_text(f"{PEPPER}\n")
    with running(tmp_path, CONFIG, key=None) as gateway:
        body = {"model": "fake/echo", "input": "hi"}
        cost = response_of(gateway.call(body, key=GOOD))["usage"]["cost"]
        assert gateway.call(body, key=REVOKED).status == 401
        _hold_to_books(gateway, tmp_path, cost)
    assert not (tmp_path / "trunkline.db.first-key").exists()


def _hold_to_books(gateway: Gateway, folder: Path, cost: float) -> None:
    """Commands find the database of the settings file from another folder, and tell what was used."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    command = [*COMMAND, "accounts", "show", "default", "--config", "../trunkline.toml", "--json"]
    told = json.loads(subprocess.run(command, cwd=elsewhere, capture_output=True, check=True).stdout)
    assert (told["unlimited"], told["available_usd"], float(told["charged_usd"])) == (True, None, cost)
    assert cost > 0
    assert not list(elsewhere.iterdir())
    store = Store(gateway, folder / "trunkline.db")
    assert store.rows("SELECT key_id, status, held_nano, charged_nano FROM generations") == [
        ("key_gggggg", "completed", None, 0)
    ]
    store.check()
