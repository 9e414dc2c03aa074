"""What an operator has to give where nodes share a database: nothing that is kept beside a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.accounts.opening import masters_of, pepper_of
from trunkline.settings.reading import Layer, SettingsError, Sources, build_settings
from trunkline.settings.sections import Settings
from trunkline.store.journal import journal_folder

URL = "postgresql://me:canary-pw@db.example/x?sslmode=require"


def settings_of(**store: object) -> Settings:
    file: Layer = {"store": {"url": URL, **store}}
    return build_settings(Sources(file=file))


def test_a_pepper_is_asked_for() -> None:
    with pytest.raises(SettingsError) as raised:
        pepper_of(settings_of())
    assert raised.value.problems == (
        "store.pepper is missing: with PostgreSQL it is yours to give, the same on every node; "
        'set store.pepper = { env = "PEPPER" } to what `openssl rand -hex 32` gives',
    )


def test_it_is_the_one_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEPPER", "p" * 16)
    assert pepper_of(settings_of(pepper={"env": "PEPPER"})) == b"p" * 16


def test_a_master_key_is_asked_for_where_one_is_needed() -> None:
    with pytest.raises(SettingsError) as raised:
        masters_of(settings_of()).sealing(may_make=True)
    assert raised.value.problems == (
        "provider keys need a master key of yours here, the same on every node; "
        'set store.master_keys.first = { env = "MASTER_KEY" } to what `openssl rand -base64 32` gives',
    )


def test_journals_are_where_it_was_started_or_where_it_is_told() -> None:
    assert journal_folder(settings_of()) == Path("trunkline.journal")
    assert journal_folder(settings_of(journal="/var/lib/x")) == Path("/var/lib/x")
