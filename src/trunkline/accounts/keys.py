"""Who is calling: API keys made, found, changed, revoked, and authenticated on every request.

Of a key only its HMAC-SHA-256 under a pepper is kept, so a copied database opens nothing; with that much randomness
(`key_text.py`) a slow password hash would add nothing but load. While a pepper is being replaced a key is looked for
under the previous one too, and kept under the present one from then on. What a key may do is its policy (`routing/`),
made of its terms (`terms.py`); what it may spend is not decided here. The provider keys that come with it
(`provider_keys.py`) are read with it, and believed for as long.

What was read from the store is believed for five seconds; then the next request with that key reads it again. When
the store does not answer, a key that was good within the last five minutes goes on, unless it has a limit, which only
the store could hold it to; any other gets a 503 and never a 401. An unknown key is remembered as briefly, in a table of
its own, so that a flood of them cannot push good keys out.

Keys are read in rounds: the first one that is wanted at once, those that are wanted meanwhile and in the pause after it
together. So the store is read some fifty times in a second at most, however many keys somebody tries; and those who
would wait in too long a row are told so. What is to be kept of them – when one was last used, a hash under the present
pepper – is written beside the rounds, once a minute for a key at most, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from typing import Final, TypeVar

from trunkline.accounts.administration import Declined, changed_terms
from trunkline.accounts.budgets import period_budget
from trunkline.accounts.key_text import MAX_KEY_LENGTH, check_given, is_mistyped, new_key_text, unknown, unreadable
from trunkline.accounts.key_text import NO_BEARER as NO_BEARER
from trunkline.accounts.key_text import NO_KEY as NO_KEY
from trunkline.accounts.master_keys import MasterKeys
from trunkline.accounts.provider_keys import NOBODY, Owner, open_own, owners_among
from trunkline.accounts.rates import Rate, rates_of
from trunkline.accounts.terms import Moderation, moderation_of, policy_of, read_terms
from trunkline.errors import ServiceUnavailable, Unauthorized
from trunkline.protocol.preferences import PluginSettings, ProviderPreferences
from trunkline.protocol.request import Request, with_defaults
from trunkline.routing.policy import Policy
from trunkline.store.connection import Connection
from trunkline.store.database import Database
from trunkline.store.rows import BudgetRow
from trunkline.store.statements import keys as statements
from trunkline.store.statements.budgets import find_budgets
from trunkline.store.statements.credits import fit_budget
from trunkline.store.statements.keys import KeyRow
from trunkline.store.statements.provider_keys import find_keys_and_own

FRESH_S = 5.0
GRACE_S = 300.0
MAX_REMEMBERED = 20_000

ROUND_S = 0.02
MAX_WANTED = 500

USED_MS: Final = 60_000
"""How exactly it is known when a key was last used."""

DEFAULT_ACCOUNT = "default"

SHOWN: Final = 7
"""How many characters of a key are kept in plain, to tell it by."""

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Key:
    """A key that may be used now, and the terms that come with it.

    `budget` is that of its account, None where that is unlimited; `limit_nano` what the key may spend in all, or in
    each period of `limit_reset`. `preferences` and `plugins` are for requests that say none, `moderation` is for
    all. `owner` holds the provider keys that come with it.
    """

    id: str
    account_id: str
    name: str
    policy: Policy
    expires_at_ms: int | None = None
    budget: str | None = None
    limit_nano: int | None = None
    limit_reset: str | None = None
    max_cost_nano: int | None = None
    byok_counts: bool = False
    rates: tuple[Rate, ...] = ()
    preferences: ProviderPreferences | None = None
    plugins: tuple[PluginSettings, ...] = ()
    moderation: Moderation | None = None
    owner: Owner = NOBODY
    is_bound: bool = field(init=False, repr=False, compare=False)
    """Whether anything of it bounds what a request may use; found out once, for each request asks."""

    def __post_init__(self) -> None:
        is_bound = self.is_limited or bool(self.rates) or self.max_cost_nano is not None
        object.__setattr__(self, "is_bound", is_bound)

    @property
    def is_limited(self) -> bool:
        """Whether what is spent with it is held against a budget first."""
        return self.budget is not None or self.limit_nano is not None

    @property
    def counts_own(self) -> bool:
        """Whether what provider keys of its account pay counts on its limit."""
        return self.byok_counts and self.limit_nano is not None

    def complete(self, request: Request) -> Request:
        """The request with what the key's terms give to those that do not say."""
        if self.preferences is None and not self.plugins:
            return request
        return with_defaults(request, self.preferences, self.plugins)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only time its text exists outside the client."""

    text: str
    row: KeyRow


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A key that somebody waits for."""

    mark: bytes
    previous: bytes | None
    """Its hash under the previous pepper, if there is one."""

    found: asyncio.Future[Key | None]


class Keys:
    """The keys of one store.

    `clock` is monotonic, `wall_clock` Unix time, both in seconds. `max_attempts` is how many endpoints a request may
    try, whatever its key. Keys that are kept under `previous_pepper` are good too. `masters` open the provider keys
    that come with them.
    """

    def __init__(
        self,
        database: Database,
        pepper: bytes,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        max_attempts: int = 3,
        previous_pepper: bytes | None = None,
        masters: MasterKeys | None = None,
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._pepper_id = pepper_id(pepper)
        self._previous_pepper = previous_pepper
        self._clock = clock
        self._wall_clock = wall_clock
        self._max_attempts = max_attempts
        self._open_own = partial(open_own, masters=masters or MasterKeys({}, None, {}))
        self._latest_ms = 0
        self._revocations = 0
        # What is remembered goes by a mark of its own: it is made on every request, and twenty times faster than what
        # the store knows a key by. Good keys go by marks, all else by digests.
        self._mark_key = secrets.token_bytes(32)
        self._good: dict[bytes, tuple[Key, float]] = {}
        self._bad: dict[bytes, float] = {}
        self._wanted: dict[bytes, _Wanted] = {}
        self._rounds: asyncio.Task[None] | None = None
        self._used: dict[str, int] = {}
        self._renewed: list[tuple[str, bytes, bytes]] = []  # id, the hash that was found, the one to keep
        self._noting: asyncio.Task[None] | None = None

    async def authenticate(self, authorization: str | None) -> Key:
        """Find the key that an `Authorization` header names.

        Raises Unauthorized, with the same body for a key that is unknown, revoked or expired, and ServiceUnavailable
        when only the store knows.
        """
        if authorization is None or authorization[:7].lower() != "bearer " or len(authorization) > MAX_KEY_LENGTH:
            raise Unauthorized(unreadable(authorization))
        text = authorization[7:].encode("utf-8", "surrogatepass")
        mark = blake2b(text, key=self._mark_key).digest()
        remembered = self._good.get(mark)
        if remembered is not None and self._clock() - remembered[1] < FRESH_S:
            key: Key | None = remembered[0]
        elif is_mistyped(authorization[7:]):
            key = None
        else:
            key = await self._look_up(mark, text, remembered)
        if key is None or (key.expires_at_ms is not None and self._now_ms() >= key.expires_at_ms):
            raise Unauthorized(unknown(authorization[7:]))
        return key

    async def create(
        self,
        name: str,
        *,
        account_id: str = DEFAULT_ACCOUNT,
        expires_at_ms: int | None = None,
        limit_nano: int | None = None,
        limit_reset: str | None = None,
        byok_counts: bool = False,
        max_cost_nano: int | None = None,
        terms: Mapping[str, object] | None = None,
    ) -> NewKey:
        """Make a key and keep its hash. The account is made too, where it is the default one and new.

        Raises Declined for terms that cannot be taken.
        """
        row = replace(
            self._new_row(name),
            account_id=account_id,
            expires_at_ms=expires_at_ms,
            limit_nano=limit_nano,
            limit_reset=limit_reset,
            byok_counts=byok_counts,
            max_cost_nano=max_cost_nano,
            terms=changed_terms(None, terms or {}),
        )
        return await self._keep(new_key_text(), row)

    async def bootstrap(self, given: str | None) -> NewKey | None:
        """Make the first key: the operator's own, if one is given and new, else one of ours if there is none at all.

        Of several nodes that start together one does. Raises ValueError for a given key that is too short or cannot be
        sent.
        """
        if given is not None:
            check_given(given)
        hashes = [] if given is None else [each for each in self._digests(given.encode()) if each is not None]
        if await self._database.read(partial(statements.has_first_key, hashes=hashes)):
            return None
        text = given or new_key_text()
        row = replace(self._new_row("first" if given is None else "bootstrap"), prefix=text[:SHOWN])
        work = partial(statements.add_first_key, row=row, hash=self._digest(text.encode()), hashes=hashes)
        return NewKey(text, row) if await self._database.write(work) else None

    async def check(self) -> None:
        """Ask the store anything. Raises ServiceUnavailable when it does not answer."""
        await self._database.read(statements.count_keys)

    async def all(self) -> list[KeyRow]:
        """List all keys, oldest first."""
        return await self._database.read(statements.list_keys)

    async def revoke(self, name: str) -> list[KeyRow]:
        """Disable the keys with this id, display prefix or name: here at once, on other nodes within five seconds."""
        found = await self._database.write(partial(statements.disable_keys, name=name))
        self._forget()
        return found

    async def named(self, name: str) -> list[KeyRow]:
        """Find the key with this id, else list those with this display prefix or name."""
        found = await self._database.read(partial(statements.keys_named, name=name))
        return [row for row in found if row.id == name] or found

    async def change(self, id: str, changes: Mapping[str, object], terms: Mapping[str, object]) -> KeyRow:
        """Change members of a key by their names in its row, and its terms: here at once, elsewhere within 5 s.

        A new limit is that of the period that is now too, but never less than what is charged and held in it. Raises
        Declined for terms that cannot be taken, and for a reset without a limit.
        """
        now_ms = self._now_ms()

        def work(connection: Connection) -> KeyRow:
            statements.lock_key(connection, id)
            row = _found(connection, id)
            statements.change_key(connection, id, {**changes, "terms": changed_terms(row.terms, terms)})
            row = _found(connection, id)
            if row.limit_nano is None and row.limit_reset is not None:
                raise Declined("invalid", "a limit that begins anew needs an amount; set --limit too")
            if row.limit_nano is not None and changes.keys() & {"limit_nano", "limit_reset"}:
                fit_budget(connection, period_budget(id, row.limit_reset, now_ms), row.limit_nano)
            return row

        changed = await self._database.write(work)
        self._forget()
        return changed

    async def spent(self, rows: Sequence[KeyRow]) -> dict[str, BudgetRow]:
        """What keys with a limit have in the period that is now, by their ids."""
        now_ms = self._now_ms()
        limits = {
            row.id: BudgetRow(period_budget(row.id, row.limit_reset, now_ms), row.limit_nano, 0, 0)
            for row in rows
            if row.limit_nano is not None
        }
        ids = [budget.id for budget in limits.values()]
        found = await self._database.read(partial(find_budgets, ids=ids))
        return {id: found.get(budget.id, budget) for id, budget in limits.items()}

    async def rotate(self, row: KeyRow) -> NewKey:
        """Give a key a new text; the old one is good for five seconds more on other nodes, and here no longer.

        Raises Declined for a key that is revoked.
        """
        if row.disabled:
            raise Declined("revoked", f"key {row.id} is revoked for good; make another")
        text = new_key_text()
        changes = {"hash": self._digest(text.encode()), "prefix": text[:SHOWN], "pepper_id": self._pepper_id}
        await self._database.write(partial(statements.change_key, id=row.id, changes=changes))
        self._forget()
        return NewKey(text, replace(row, prefix=text[:SHOWN], pepper_id=self._pepper_id))

    def pepper_of(self, row: KeyRow) -> str | None:
        """Which pepper a key is kept under: `current` or `previous`; None where that was not noted yet."""
        if row.pepper_id is None:
            return None
        return "current" if row.pepper_id == self._pepper_id else "previous"

    def forget(self, owner_ids: Collection[str]) -> None:
        """Forget what is remembered of these keys, and of those of these accounts: they were changed elsewhere."""
        self._revocations += 1
        for mark, (key, _) in list(self._good.items()):
            if key.id in owner_ids or key.account_id in owner_ids:
                del self._good[mark]
        # One that was refused may be good now.
        self._bad.clear()

    async def close(self) -> None:
        """Wait for what is being noted."""
        if self._noting is not None:
            await asyncio.wait([self._noting])

    async def _look_up(self, mark: bytes, text: bytes, remembered: tuple[Key, float] | None) -> Key | None:
        digest, previous = self._digests(text)
        refused_at = self._bad.get(digest)
        if refused_at is not None and self._clock() - refused_at < FRESH_S:
            return None
        try:
            return await self._read_once(mark, digest, previous)
        except ServiceUnavailable:
            if remembered is not None and self._clock() - remembered[1] < GRACE_S and not remembered[0].is_limited:
                return remembered[0]
            raise

    async def _read_once(self, mark: bytes, digest: bytes, previous: bytes | None) -> Key | None:
        """Read a key from the store; requests that want the same one meanwhile share the answer."""
        wanted = self._wanted.get(digest)
        if wanted is None:
            if len(self._wanted) >= MAX_WANTED:
                raise ServiceUnavailable("Too many keys wait to be looked up.", kind="server", retry_after=1.0)
            found = asyncio.get_running_loop().create_future()
            wanted = self._wanted[digest] = _Wanted(mark, previous, found)
        if self._rounds is None:
            self._rounds = asyncio.create_task(self._read_in_rounds())
        # Shielded: a client that leaves must not fail the others.
        return await asyncio.shield(wanted.found)

    async def _read_in_rounds(self) -> None:
        try:
            while self._wanted:
                await self._read(dict(self._wanted))
                if (self._used or self._renewed) and self._noting is None:
                    self._noting = asyncio.create_task(self._note())
                await asyncio.sleep(ROUND_S)
        finally:
            self._rounds = None
            for left in self._wanted.values():  # none, but for a defect: nobody must wait for ever
                left.found.cancel()
            self._wanted.clear()

    async def _read(self, wanted: Mapping[bytes, _Wanted]) -> None:
        # Counted from before the read, so that a key revoked while it runs is not believed for longer.
        started_at, revocations = self._clock(), self._revocations
        hashes = [*wanted, *(each.previous for each in wanted.values() if each.previous is not None)]
        try:
            rows, own = await self._database.read(partial(find_keys_and_own, hashes=hashes, opened=self._open_own))
        except ServiceUnavailable as error:
            for digest in wanted:
                self._fail(digest, error)
            return
        owners = owners_among(rows.values(), own)
        for digest, each in wanted.items():
            row = rows.get(digest)
            if row is None and each.previous is not None and (row := rows.get(each.previous)) is not None:
                self._renewed.append((row.id, each.previous, digest))
            try:
                owner = NOBODY if row is None else owners[row.id]
                key = self._learn(each.mark, digest, row, owner, started_at, revocations)
            except ValueError as error:
                self._fail(digest, ServiceUnavailable(f"The terms of this key cannot be read: {error}.", kind="server"))
            else:
                self._wanted.pop(digest).found.set_result(key)

    def _fail(self, digest: bytes, error: ServiceUnavailable) -> None:
        """Tell all who wait for a key that only the store knows whether it is good."""
        found = self._wanted.pop(digest).found
        found.set_exception(ServiceUnavailable(error.message, kind=error.kind, retry_after=error.retry_after))
        found.exception()  # seen here, in case nobody is waiting for it any more

    def _learn(
        self, mark: bytes, digest: bytes, row: KeyRow | None, owner: Owner, started_at: float, revocations: int
    ) -> Key | None:
        """Remember what was read of a key. Raises ValueError for terms that cannot be read."""
        if row is None or row.disabled or row.account_disabled:
            self._good.pop(mark, None)
            _remember(self._bad, digest, started_at)
            return None
        key = _key_of(row, owner, self._max_attempts)
        self._bad.pop(digest, None)
        if revocations == self._revocations:
            _remember(self._good, mark, (key, started_at))
        if row.pepper_id is None:  # it was made before the pepper's id was kept
            self._renewed.append((row.id, digest, digest))
        if row.last_used_ms is None or self._now_ms() - row.last_used_ms >= USED_MS:
            self._used[row.id] = self._now_ms()
        return key

    async def _note(self) -> None:
        """Write down what became known of keys; what cannot be written comes up again with their next reading."""
        used, renewed = list(self._used.items()), self._renewed
        self._used, self._renewed = {}, []
        work = partial(statements.note_keys, used=used, renewed=renewed, pepper_id=self._pepper_id)
        try:
            with contextlib.suppress(ServiceUnavailable):
                await self._database.write(work)
        finally:
            self._noting = None

    def _new_row(self, name: str) -> KeyRow:
        return KeyRow(
            id=f"key_{secrets.token_hex(8)}",
            account_id=DEFAULT_ACCOUNT,
            name=name,
            prefix="",
            created_at_ms=int(self._wall_clock() * 1000),
            disabled=False,
            expires_at_ms=None,
            pepper_id=self._pepper_id,
        )

    async def _keep(self, text: str, row: KeyRow) -> NewKey:
        row = replace(row, prefix=text[:SHOWN])
        digest = self._digest(text.encode())
        await self._database.write(partial(statements.add_key, row=row, hash=digest))
        self._bad.pop(digest, None)
        return NewKey(text, row)

    def _forget(self) -> None:
        self._revocations += 1
        self._good.clear()

    def _digests(self, text: bytes) -> tuple[bytes, bytes | None]:
        """What a key is kept under: with the present pepper, and with the previous one if there is one."""
        previous = self._previous_pepper
        return self._digest(text), None if previous is None else hmac.digest(previous, text, "sha256")

    def _digest(self, text: bytes) -> bytes:
        return hmac.digest(self._pepper, text, "sha256")

    def _now_ms(self) -> int:
        """Tell the time, never earlier than told before: a clock set back must not revive an expired key."""
        self._latest_ms = max(self._latest_ms, int(self._wall_clock() * 1000))
        return self._latest_ms


def pepper_id(pepper: bytes) -> str:
    """What a pepper is called in the store: enough to tell two apart, and nothing to find one by."""
    return hmac.digest(pepper, b"trunkline pepper", "sha256")[:8].hex()


def _found(connection: Connection, id: str) -> KeyRow:
    return next(row for row in statements.keys_named(connection, id) if row.id == id)


def _key_of(row: KeyRow, owner: Owner, max_attempts: int) -> Key:
    account, own = read_terms(row.account_terms), read_terms(row.terms)
    return Key(
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        policy=policy_of(
            row.account_id,
            account,
            own,
            max_attempts=max_attempts,
            own_keys=owner.providers,
            own_keys_only=owner.only,
        ),
        expires_at_ms=row.expires_at_ms,
        budget=row.account_id if row.has_credit and not account.is_unlimited else None,
        limit_nano=row.limit_nano,
        limit_reset=row.limit_reset,
        max_cost_nano=row.max_cost_nano,
        byok_counts=row.byok_counts,
        rates=(*rates_of(row.id, own), *rates_of(row.account_id, account)),
        preferences=own.preferences or account.preferences,
        plugins=own.plugins or account.plugins,
        moderation=moderation_of(account, own),
        owner=owner if account.weight == owner.weight else replace(owner, weight=account.weight),
    )


def _remember(entries: dict[bytes, Entry], digest: bytes, entry: Entry) -> None:
    """Keep an entry as the newest; the oldest makes room."""
    entries.pop(digest, None)
    if len(entries) >= MAX_REMEMBERED:
        del entries[next(iter(entries))]
    entries[digest] = entry
