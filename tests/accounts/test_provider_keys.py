"""Provider keys of accounts: kept sealed, found with the key they belong to, sealed anew, and never seen in a file."""

from __future__ import annotations

import asyncio
import secrets
import stat
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from trunkline.accounts.master_keys import MasterKeys
from trunkline.accounts.provider_keys import Owner, ProviderKeys, Rotation, hint_of, open_own, owners_among
from trunkline.settings.fields import SecretSource
from trunkline.settings.reading import SettingsError
from trunkline.settings.secret import Secret
from trunkline.store.connection import Connection
from trunkline.store.database import Database, open_database
from trunkline.store.statements.keys import KeyRow
from trunkline.store.statements.provider_keys import find_keys_and_own

Result = TypeVar("Result")

FIRST = "sk-canary-first-Kd8Wm2Qz5Lp9Xr3Tn7"
SECOND = "sk-canary-second-Vb1Yc6Hj4Gf0Sx8Ae2"
OLD, NEW = SecretSource(inline=Secret("aa" * 32)), SecretSource(inline=Secret("bb" * 32))


class Store:
    """A store on a disk, opened and closed for each thing that is done, as commands do."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a.db"

    def masters(self, named: Mapping[str, SecretSource]) -> MasterKeys:
        return MasterKeys(named, self.path, {})

    def add(
        self, secret: str, owner: str = "acc_1", provider: str = "openai", *, only: bool = False, **named: SecretSource
    ) -> tuple[str, bool]:
        async def work(keys: ProviderKeys, _: Database) -> tuple[str, bool]:
            row, is_other = await keys.add(owner, provider, Secret(secret), only=only)
            return row.id, is_other

        return self.do(work, **named)

    def remove(self, id: str) -> bool:
        async def work(keys: ProviderKeys, _: Database) -> bool:
            return await keys.remove(id) is not None

        return self.do(work)

    def rotate(self, **named: SecretSource) -> Rotation:
        return self.do(lambda keys, _: keys.rotate(), **named)

    def owners(self, *keys: tuple[str, str], **named: SecretSource) -> dict[str, Owner]:
        """What a look-up of these API keys, as account and key, finds."""
        masters = self.masters(named)

        async def work(_: ProviderKeys, database: Database) -> dict[str, Owner]:
            hashes = [key_id.encode() for _, key_id in keys]
            await database.write(partial(put_keys, keys=keys))
            rows, own = await database.read(
                partial(find_keys_and_own, hashes=hashes, opened=partial(open_own, masters=masters))
            )
            found = owners_among(rows.values(), own)
            assert [(owner.account_id, owner.key_id) for owner in found.values()] == [*keys]
            return {key_id: owner for key_id, owner in found.items() if owner.keys}

        return self.do(work, **named)

    def do(self, work: Callable[[ProviderKeys, Database], Awaitable[Result]], **named: SecretSource) -> Result:
        async def run() -> Result:
            database = open_database(f"sqlite:///{self.path}", 5.0)
            try:
                keys = ProviderKeys(database, self.masters(named), wall_clock=lambda: 1_800_000_000.0)
                return await work(keys, database)
            finally:
                await database.close()

        return asyncio.run(run())


def put_keys(connection: Connection, keys: Iterable[tuple[str, str]]) -> None:
    account = "INSERT INTO accounts (id, name, created_at_ms) VALUES (?, ?, 0) ON CONFLICT DO NOTHING"
    key = (
        "INSERT INTO keys (id, account_id, name, hash, prefix, created_at_ms, disabled)"
        " VALUES (?, ?, 'k', ?, 'tl-', 0, 0) ON CONFLICT DO NOTHING"
    )
    for account_id, key_id in keys:
        connection.execute(account, (account_id, account_id))
        connection.execute(key, (key_id, account_id, key_id.encode()))


def told(owner: Owner) -> dict[str, str | None]:
    return {provider: None if own.secret is None else own.secret.reveal() for provider, own in owner.keys.items()}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_keys_own_goes_before_its_accounts(store: Store) -> None:
    store.add(FIRST)
    store.add(FIRST, provider="groq", only=True)
    store.add(SECOND, owner="key_2")
    store.add("sk-of-others-0123456789", owner="acc_2")
    found = store.owners(("acc_1", "key_1"), ("acc_1", "key_2"), ("acc_2", "key_3"), ("acc_3", "key_4"))
    assert {key_id: told(owner) for key_id, owner in found.items()} == {
        "key_1": {"openai": FIRST, "groq": FIRST},
        "key_2": {"openai": SECOND, "groq": FIRST},
        "key_3": {"openai": "sk-of-others-0123456789"},
    }
    assert found["key_2"].providers == {"openai", "groq"}
    assert found["key_2"].only == {"groq"}
    assert set(found["key_1"].ids) == {"openai", "groq"}
    assert found["key_1"].ids["openai"] != found["key_2"].ids["openai"]


def test_another_takes_its_place_and_a_removed_one_is_gone(store: Store) -> None:
    first, was_other = store.add(FIRST)
    second, is_other = store.add(SECOND)
    assert (was_other, is_other) == (False, True)
    assert first != second
    assert told(store.owners(("acc_1", "key_1"))["key_1"]) == {"openai": SECOND}
    assert not store.remove(first)
    assert store.remove(second)
    assert store.owners(("acc_1", "key_1")) == {}


def test_TN_04_it_is_in_no_file(store: Store) -> None:
    store.add(FIRST)
    id, _ = store.add(SECOND, provider="groq")
    store.remove(id)
    files = list(store.path.parent.iterdir())
    assert {path.name for path in files} == {"a.db", "a.db.master"}
    for path in files:
        for secret in (FIRST, SECOND):
            assert secret[:-4].encode() not in path.read_bytes(), path.name


def test_the_master_key_is_made_once_and_only_its_owner_reads_it(store: Store) -> None:
    store.add(FIRST)
    file = store.path.with_name("a.db.master")
    made = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.add(SECOND, provider="groq")
    assert file.read_text() == made


def test_a_master_key_that_is_gone_is_not_made_anew(store: Store) -> None:
    id, _ = store.add(FIRST)
    store.path.with_name("a.db.master").unlink()
    with pytest.raises(SettingsError, match="put it back"):
        store.add(SECOND, provider="groq")
    assert told(store.owners(("acc_1", "key_1"))["key_1"]) == {"openai": None}
    store.remove(id)
    store.add(SECOND)
    assert told(store.owners(("acc_1", "key_1"))["key_1"]) == {"openai": SECOND}


def test_SE_08_of_a_wrong_master_key_only_what_it_sealed_suffers(store: Store) -> None:
    store.add(FIRST, old=OLD)
    store.add(SECOND, provider="groq", new=NEW)
    assert told(store.owners(("acc_1", "key_1"), old=NEW, new=NEW)["key_1"]) == {"openai": None, "groq": SECOND}
    assert told(store.owners(("acc_1", "key_1"), new=NEW)["key_1"]) == {"openai": None, "groq": SECOND}


def test_SE_08_both_are_read_while_one_takes_the_place_of_the_other(store: Store) -> None:
    store.add(FIRST)
    store.add(SECOND, owner="key_1", provider="groq", old=OLD)
    assert told(store.owners(("acc_1", "key_1"), new=NEW, old=OLD)["key_1"]) == {"openai": FIRST, "groq": SECOND}
    assert store.rotate(new=NEW, old=OLD) == Rotation("new", 2, 2)
    assert store.rotate(new=NEW, old=OLD) == Rotation("new", 0, 2)
    store.path.with_name("a.db.master").unlink()
    assert told(store.owners(("acc_1", "key_1"), new=NEW)["key_1"]) == {"openai": FIRST, "groq": SECOND}


def test_rotating_changes_all_or_none(store: Store) -> None:
    store.add(FIRST, old=OLD)
    lost, _ = store.add(SECOND, provider="groq", gone=SecretSource(inline=Secret("cc" * 32)))
    with pytest.raises(SettingsError, match=lost):
        store.rotate(new=NEW, old=OLD)
    assert told(store.owners(("acc_1", "key_1"), old=OLD)["key_1"]) == {"openai": FIRST, "groq": None}


def test_no_nonce_comes_twice(store: Store) -> None:
    async def work(keys: ProviderKeys, _: Database) -> list[bytes]:
        for number in range(20):
            await keys.add("acc_1", f"p{number}", Secret(FIRST), only=False)
        before = [row.nonce for row in await keys.all()]
        await ProviderKeys(keys._database, store.masters({"new": NEW, "old": OLD}), wall_clock=lambda: 0.0).rotate()
        return before + [row.nonce for row in await keys.all()]

    nonces = store.do(work, old=OLD, new=NEW)
    assert len(set(nonces)) == len(nonces) == 40
    assert {len(nonce) for nonce in nonces} == {12}


@pytest.mark.parametrize(("secret", "hint"), [(FIRST, FIRST[-4:]), ("k" * 15, ""), ("k" * 12 + "wxyz", "wxyz")])
def test_a_hint_tells_little(secret: str, hint: str) -> None:
    assert hint_of(secret) == hint


def test_master_keys_that_cannot_be_used_are_told_all_at_once(store: Store) -> None:
    named = {"a": SecretSource(env="NOT_THERE"), "b": SecretSource(inline=Secret("short")), "c": NEW}
    with pytest.raises(SettingsError) as refused:
        store.masters(named)
    assert len(refused.value.problems) == 2
    assert "store.master_keys.b: a master key is 32 random bytes" in refused.value.problems[1]
    assert "short" not in str(refused.value)


def test_a_made_master_key_that_was_damaged_is_told(store: Store) -> None:
    store.add(FIRST)
    store.path.with_name("a.db.master").write_text("0000\n")
    with pytest.raises(SettingsError, match=r"a\.db\.master: a master key is"):
        store.add(SECOND, provider="groq")
    assert told(store.owners(("acc_1", "key_1"))["key_1"]) == {"openai": None}


def test_a_database_in_memory_needs_a_master_key_of_the_settings() -> None:
    with pytest.raises(SettingsError, match="a master key of yours"):
        MasterKeys({}, None, {}).sealing(may_make=True)
    assert MasterKeys({"a": OLD}, None, {}).sealing(may_make=False).id == "a"


def test_every_key_opens_for_its_owner_alone(store: Store) -> None:
    """A row moved by hand to another account, or provider, stays shut."""
    store.add(FIRST)

    async def move(_: ProviderKeys, database: Database) -> None:
        await database.write(lambda connection: connection.execute("UPDATE provider_keys SET owner = 'acc_2'"))

    store.do(move)
    assert told(store.owners(("acc_2", "key_9"))["key_9"]) == {"openai": None}


def test_key_rows_are_those_of_the_plain_look_up(store: Store) -> None:
    masters = store.masters({})

    async def work(_: ProviderKeys, database: Database) -> dict[bytes, KeyRow]:
        await database.write(partial(put_keys, keys=[("acc_1", "key_1")]))
        opened = partial(open_own, masters=masters)
        none, own = await database.read(partial(find_keys_and_own, hashes=[secrets.token_bytes(8)], opened=opened))
        assert (none, own) == ({}, [])
        found, own = await database.read(partial(find_keys_and_own, hashes=[b"key_1"], opened=opened))
        assert own == []
        return found

    assert [row.id for row in store.do(work).values()] == ["key_1"]
