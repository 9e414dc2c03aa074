"""Who is calling: API keys made, found, revoked, and authenticated on every request.

A key is `tl-` and 43 characters that stand for 32 random bytes. Only its HMAC-SHA-256 under a pepper is kept, so a
copied database opens nothing; with that much randomness a slow password hash would add nothing but load. What a key
may do is its policy (`routing/`); what it may spend is not decided here.

What was read from the store is believed for five seconds; then the next request with that key reads it again. When
the store does not answer, a key that was good within the last five minutes goes on, any other gets a 503 and never a
401. An unknown key is remembered as briefly, in a table of its own, so that a flood of them cannot push good keys out.

Keys are read in rounds: the first one that is wanted at once, those that are wanted meanwhile and in the pause after it
together. So the store is read some fifty times in a second at most, however many keys somebody tries; and those who
would wait in too long a row are told so.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import TypeVar

from trunkline.errors import ServiceUnavailable, Unauthorized
from trunkline.routing.policy import Policy
from trunkline.store.database import Database
from trunkline.store.statements import keys as statements
from trunkline.store.statements.keys import KeyRow

FRESH_S = 5.0
GRACE_S = 300.0
MAX_REMEMBERED = 20_000
MAX_KEY_LENGTH = 256
MIN_KEY_LENGTH = 20
"""Shortest key an operator may bring; with fewer characters a keyed hash is not enough protection."""

ROUND_S = 0.02
MAX_WANTED = 500

DEFAULT_ACCOUNT = "default"
NO_KEY = "No API key was sent. Send one as 'Authorization: Bearer tl-…'."
NO_BEARER = "'Bearer ' is missing. Send the key as 'Authorization: Bearer tl-…'."
SHOWN_LETTERS = 6
"""How much of a key that is refused is told: enough to see which one a program took, too little to be one."""

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Key:
    """A key that may be used now, and the terms that come with it."""

    id: str
    account_id: str
    name: str
    policy: Policy
    expires_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only time its text exists outside the client."""

    text: str
    row: KeyRow


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A key that somebody waits for."""

    mark: bytes
    found: asyncio.Future[Key | None]


class Keys:
    """The keys of one store.

    `clock` is monotonic, `wall_clock` Unix time, both in seconds. `max_attempts` is how many endpoints a request may
    try, whatever its key.
    """

    def __init__(
        self,
        database: Database,
        pepper: bytes,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        max_attempts: int = 3,
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._clock = clock
        self._wall_clock = wall_clock
        self._max_attempts = max_attempts
        self._latest_ms = 0
        self._revocations = 0
        # What is remembered goes by a mark of its own: it is made on every request, and twenty times faster than what
        # the store knows a key by. Good keys go by marks, all else by digests.
        self._mark_key = secrets.token_bytes(32)
        self._good: dict[bytes, tuple[Key, float]] = {}
        self._bad: dict[bytes, float] = {}
        self._wanted: dict[bytes, _Wanted] = {}
        self._rounds: asyncio.Task[None] | None = None

    async def authenticate(self, authorization: str | None) -> Key:
        """Find the key that an `Authorization` header names.

        Raises Unauthorized, with the same body for a key that is unknown, revoked or expired, and ServiceUnavailable
        when only the store knows.
        """
        if authorization is None or authorization[:7].lower() != "bearer " or len(authorization) > MAX_KEY_LENGTH:
            raise Unauthorized(_unreadable(authorization))
        text = authorization[7:].encode("utf-8", "surrogatepass")
        mark = blake2b(text, key=self._mark_key).digest()
        remembered = self._good.get(mark)
        if remembered is not None and self._clock() - remembered[1] < FRESH_S:
            key: Key | None = remembered[0]
        else:
            key = await self._look_up(mark, self._digest(text), remembered)
        if key is None or (key.expires_at_ms is not None and self._now_ms() >= key.expires_at_ms):
            raise Unauthorized(_unknown(authorization[7:]))
        return key

    async def create(self, name: str, *, expires_at_ms: int | None = None) -> NewKey:
        """Make a key and keep its hash."""
        return await self._keep(f"tl-{secrets.token_urlsafe(32)}", name, expires_at_ms)

    async def bootstrap(self, given: str | None) -> NewKey | None:
        """Make the first key: the operator's own, if one is given and new, else one of ours if there is none at all.

        Raises ValueError for a given key that is too short or cannot be sent.
        """
        if given is not None:
            check_given(given)
            digest = self._digest(given.encode())
            known = await self._database.read(partial(statements.find_key, hash=digest))
            return None if known is not None else await self._keep(given, "bootstrap", None)
        if await self._database.read(statements.count_keys):
            return None
        return await self.create("first")

    async def check(self) -> None:
        """Ask the store anything. Raises ServiceUnavailable when it does not answer."""
        await self._database.read(statements.count_keys)

    async def all(self) -> list[KeyRow]:
        """List all keys, oldest first."""
        return await self._database.read(statements.list_keys)

    async def revoke(self, name: str) -> list[KeyRow]:
        """Disable the keys with this id, display prefix or name: here at once, on other nodes within five seconds."""
        found = await self._database.write(partial(statements.disable_keys, name=name))
        self._revocations += 1
        self._good.clear()
        return found

    async def _look_up(self, mark: bytes, digest: bytes, remembered: tuple[Key, float] | None) -> Key | None:
        refused_at = self._bad.get(digest)
        if refused_at is not None and self._clock() - refused_at < FRESH_S:
            return None
        try:
            return await self._read_once(mark, digest)
        except ServiceUnavailable:
            if remembered is not None and self._clock() - remembered[1] < GRACE_S:
                return remembered[0]
            raise

    async def _read_once(self, mark: bytes, digest: bytes) -> Key | None:
        """Read a key from the store; requests that want the same one meanwhile share the answer."""
        wanted = self._wanted.get(digest)
        if wanted is None:
            if len(self._wanted) >= MAX_WANTED:
                raise ServiceUnavailable("Too many keys wait to be looked up.", kind="server", retry_after=1.0)
            wanted = self._wanted[digest] = _Wanted(mark, asyncio.get_running_loop().create_future())
        if self._rounds is None:
            self._rounds = asyncio.create_task(self._read_in_rounds())
        # Shielded: a client that leaves must not fail the others.
        return await asyncio.shield(wanted.found)

    async def _read_in_rounds(self) -> None:
        try:
            while self._wanted:
                await self._read(dict(self._wanted))
                await asyncio.sleep(ROUND_S)
        finally:
            self._rounds = None
            for left in self._wanted.values():  # none, but for a defect: nobody must wait for ever
                left.found.cancel()
            self._wanted.clear()

    async def _read(self, wanted: Mapping[bytes, _Wanted]) -> None:
        # Counted from before the read, so that a key revoked while it runs is not believed for longer.
        started_at, revocations = self._clock(), self._revocations
        try:
            rows = await self._database.read(partial(statements.find_keys, hashes=list(wanted)))
        except ServiceUnavailable as error:
            for digest, each in wanted.items():
                del self._wanted[digest]
                each.found.set_exception(
                    ServiceUnavailable(error.message, kind=error.kind, retry_after=error.retry_after)
                )
                each.found.exception()  # seen here, in case nobody is waiting for it any more
            return
        for digest, each in wanted.items():
            del self._wanted[digest]
            each.found.set_result(self._learn(each.mark, digest, rows.get(digest), started_at, revocations))

    def _learn(self, mark: bytes, digest: bytes, row: KeyRow | None, started_at: float, revocations: int) -> Key | None:
        if row is None or row.disabled:
            self._good.pop(mark, None)
            _remember(self._bad, digest, started_at)
            return None
        policy = Policy(account=row.account_id, max_attempts=self._max_attempts)
        key = Key(row.id, row.account_id, row.name, policy, row.expires_at_ms)
        self._bad.pop(digest, None)
        if revocations == self._revocations:
            _remember(self._good, mark, (key, started_at))
        return key

    async def _keep(self, text: str, name: str, expires_at_ms: int | None) -> NewKey:
        row = KeyRow(
            id=f"key_{secrets.token_hex(8)}",
            account_id=DEFAULT_ACCOUNT,
            name=name,
            prefix=text[:7],
            created_at_ms=int(self._wall_clock() * 1000),
            disabled=False,
            expires_at_ms=expires_at_ms,
        )
        digest = self._digest(text.encode())
        await self._database.write(partial(statements.add_key, row=row, hash=digest))
        self._bad.pop(digest, None)
        return NewKey(text, row)

    def _digest(self, text: bytes) -> bytes:
        return hmac.digest(self._pepper, text, "sha256")

    def _now_ms(self) -> int:
        """Tell the time, never earlier than told before: a clock set back must not revive an expired key."""
        self._latest_ms = max(self._latest_ms, int(self._wall_clock() * 1000))
        return self._latest_ms


def check_given(text: str) -> None:
    """Raise ValueError for a key of the operator's own that is too short or cannot be sent."""
    if not MIN_KEY_LENGTH <= len(text) <= MAX_KEY_LENGTH - 7 or not text.isascii() or not text.isprintable():
        raise ValueError(f"a key has at least {MIN_KEY_LENGTH} letters, digits or signs, and no line break")


def _unreadable(authorization: str | None) -> str:
    if authorization is None or not authorization.strip():
        return NO_KEY
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        return NO_BEARER
    return _unknown(rest)


def _unknown(text: str) -> str:
    """Say that a key is not known, with its first letters: of a short one, or of one that is not plain text, none."""
    if not text.strip():
        return NO_KEY
    begun = text.strip()[:SHOWN_LETTERS]
    is_tellable = len(text.strip()) >= MIN_KEY_LENGTH and begun.isascii() and begun.isprintable()
    hint = f" (it begins with {begun}…)" if is_tellable else ""
    return f"A key was sent that this gateway does not know{hint}. Send one that `trunkline keys list` shows as good."


def _remember(entries: dict[bytes, Entry], digest: bytes, entry: Entry) -> None:
    """Keep an entry as the newest; the oldest makes room."""
    entries.pop(digest, None)
    if len(entries) >= MAX_REMEMBERED:
        del entries[next(iter(entries))]
    entries[digest] = entry
