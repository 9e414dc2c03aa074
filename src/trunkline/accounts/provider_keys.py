"""Provider keys that accounts bring, and single API keys of theirs: kept sealed, opened with the key look-up.

An API key's own goes before its account's. What is opened travels with the request it belongs to (`Owner`) and is
forgotten with what is believed of its key (`keys.py`), after five seconds: so no table says whose turn it is, and a
gateway that runs sees within that time what a command added or removed. A key that cannot be opened, because its
master key is gone, is passed on closed: it fails where it is wanted, and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, NamedTuple

from trunkline.accounts.master_keys import MADE_ID, MasterKeys
from trunkline.credentials.sealing import NONCE_BYTES, MasterKey, Place, Sealed, Unopened, open_sealed, seal
from trunkline.settings.reading import SettingsError
from trunkline.settings.secret import Secret
from trunkline.store.database import Database
from trunkline.store.rows import ProviderKeyRow
from trunkline.store.statements import provider_keys as statements
from trunkline.store.statements.keys import KeyRow

HINT_LENGTH: Final = 4
MIN_HINTED_LENGTH: Final = 16
"""Of a shorter key the last characters would tell too much."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A provider key of an account's or an API key's; `secret` is None where it cannot be opened."""

    id: str
    provider: str
    is_only: bool
    secret: Secret | None


@dataclass(frozen=True)
class Owner:
    """Whose a request is, and the provider keys that come with it, by the provider's slug.

    `weight` is how many turns the account gets for one of another's, where they wait for the same endpoint.
    """

    account_id: str
    key_id: str
    keys: Mapping[str, OwnKey]
    weight: int = 1

    @cached_property
    def ids(self) -> Mapping[str, str]:
        """The ids of the keys, by the provider's slug."""
        return {provider: own.id for provider, own in self.keys.items()}

    @cached_property
    def providers(self) -> frozenset[str]:
        """The slugs of the providers that a key is brought for."""
        return frozenset(self.keys)

    @cached_property
    def only(self) -> frozenset[str]:
        """The slugs of those that are not to be asked with the gateway's key instead."""
        return frozenset(provider for provider, own in self.keys.items() if own.is_only)


NOBODY: Final = Owner("", "", {})
"""Whoever asks without an API key, as commands do."""


def open_own(row: ProviderKeyRow, masters: MasterKeys) -> OwnKey:
    """Open a key that is kept, or pass it on closed; this belongs into the thread of the store."""
    try:
        secret = _opened(row, masters)
    except Unopened:
        secret = None
    return OwnKey(row.id, row.provider, row.only_this, secret)


def owners_among(keys: Iterable[KeyRow], own: Sequence[tuple[str, OwnKey]]) -> dict[str, Owner]:
    """Say whose each API key is and what comes with it, by their ids: a key's own goes before its account's."""
    of_owner: dict[str, dict[str, OwnKey]] = {}
    for owner, each in own:
        of_owner.setdefault(owner, {})[each.provider] = each
    return {
        key.id: Owner(key.account_id, key.id, of_owner.get(key.account_id, {}) | of_owner.get(key.id, {}))
        for key in keys
    }


def hint_of(secret: str) -> str:
    """The last characters of a secret, to tell it by; nothing of a short one."""
    return secret[-HINT_LENGTH:] if len(secret) >= MIN_HINTED_LENGTH else ""


class Rotation(NamedTuple):
    """What a rotation did: the id of the master key that seals now, how many keys it sealed, how many there are."""

    master_id: str | None
    resealed: int
    known: int


class ProviderKeys:
    """The provider keys of one store, as commands keep them. `wall_clock` is Unix time in seconds."""

    def __init__(self, database: Database, masters: MasterKeys, *, wall_clock: Callable[[], float]) -> None:
        self._database = database
        self._masters = masters
        self._wall_clock = wall_clock

    async def add(
        self, owner: str, provider: str, secret: Secret, *, only: bool, hint: str = ""
    ) -> tuple[ProviderKeyRow, bool]:
        """Seal and keep a key in the place of the one its owner had for this provider; also whether there was one.

        `hint` is what it may be told by. Raises SettingsError where there is no master key to seal with.
        """
        known = await self.all()
        master = self._masters.sealing(may_make=all(row.master_id != MADE_ID for row in known))
        empty = ProviderKeyRow(
            id=f"pk_{secrets.token_hex(8)}",
            owner=owner,
            provider=provider,
            master_id="",
            nonce=b"",
            sealed=b"",
            hint=hint,
            only_this=only,
            created_at_ms=int(self._wall_clock() * 1000),
        )
        row = _sealed(empty, secret, master)
        return row, await self._database.write(partial(statements.put_provider_key, row=row))

    async def all(self) -> list[ProviderKeyRow]:
        """List all, oldest first."""
        return await self._database.read(statements.list_provider_keys)

    async def remove(self, id: str) -> ProviderKeyRow | None:
        """Remove a key for good; None where there is none of this id. Running gateways ask with it for 5 s more."""
        return await self._database.write(partial(statements.remove_provider_key, id=id))

    async def rotate(self) -> Rotation:
        """Seal anew, with the first master key, what another one sealed: all or none.

        Raises SettingsError naming those that cannot be opened.
        """
        rows = await self.all()
        if not rows:
            return Rotation(None, 0, 0)
        master = self._masters.sealing(may_make=False)
        anew: list[tuple[ProviderKeyRow, ProviderKeyRow]] = []
        problems: list[str] = []
        for row in rows:
            if row.master_id == master.id:
                continue
            try:
                anew.append((row, _sealed(row, _opened(row, self._masters), master)))
            except Unopened as error:
                problems.append(f"{row.id} cannot be opened: {error}")
        if problems:
            raise SettingsError([*problems, "none was sealed anew; put the master keys back, or remove those keys"])
        resealed = await self._database.write(partial(statements.reseal_provider_keys, rows=anew))
        return Rotation(master.id, resealed, len(rows))


def _opened(row: ProviderKeyRow, masters: MasterKeys) -> Secret:
    """Raises Unopened."""
    try:
        master = masters.find(row.master_id)
    except SettingsError as error:
        raise Unopened("; ".join(error.problems)) from None
    if master is None:
        raise Unopened(f"the master key {row.master_id!r} is not there")
    place = Place(row.owner, row.provider, row.id)
    return open_sealed(Sealed(row.master_id, row.nonce, row.sealed), master, place)


def _sealed(row: ProviderKeyRow, secret: Secret, master: MasterKey) -> ProviderKeyRow:
    """The same row with the key sealed in it; without its old nonce, for none is used twice."""
    sealed = seal(secret, master, secrets.token_bytes(NONCE_BYTES), Place(row.owner, row.provider, row.id))
    return row._replace(master_id=sealed.master_id, nonce=sealed.nonce, sealed=sealed.text)
