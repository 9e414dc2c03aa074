"""What an operator does with accounts: makes them, gives and takes credit, changes their terms, disables them.

Whoever asks is an operator already. Each of these is one transaction, so that commands may run while gateways do: a
gateway learns of a change with its next reading of a key, within five seconds. What is given is posted under a
reference from outside, such as the number of a payment: the same again adds nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from trunkline.accounts.terms import change_terms, read_terms
from trunkline.money import NanoUsd, usd_text
from trunkline.store.connection import Connection
from trunkline.store.database import Database
from trunkline.store.rows import AccountRow, EntryRow
from trunkline.store.statements import accounts as statements
from trunkline.store.statements import credits
from trunkline.store.statements.budgets import lock_budgets

WORLD: Final = "world"
"""The other side of what is given and taken back."""

_MOST: Final = 2**63 - 1
"""The largest amount that a budget holds."""


class Declined(Exception):
    """What was asked for cannot be done; `code` says why, for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Posted(NamedTuple):
    """What came of giving or taking credit: the number of its entry, the account after it, and whether it is new."""

    entry: int
    amount_nano: NanoUsd
    account: AccountRow
    is_new: bool


def is_unlimited(account: AccountRow) -> bool:
    """Whether an account may spend whatever it likes: it never had credit, or its terms say so."""
    return account.credited_nano is None or read_terms(account.terms).is_unlimited


class Accounts:
    """The accounts of one store; `wall_clock` is Unix time."""

    def __init__(self, database: Database, wall_clock: Callable[[], float]) -> None:
        self._database = database
        self._wall_clock = wall_clock

    async def all(self) -> list[AccountRow]:
        """List all, oldest first."""
        return await self._database.read(statements.list_accounts)

    async def named(self, name: str) -> list[AccountRow]:
        """Find the account with this id, else those with this name."""
        return await self._database.read(partial(statements.accounts_named, name=name))

    async def create(self, name: str, credit_nano: NanoUsd | None, terms: Mapping[str, Any]) -> AccountRow:
        """Make an account with a credit, which may be 0, or without a bound where that is None.

        Raises Declined for terms that cannot be taken.
        """
        kept, id, now_ms = changed_terms(None, terms), f"acc_{secrets.token_hex(8)}", self._now_ms()

        def work(connection: Connection) -> AccountRow:
            statements.add_account(connection, id, name, now_ms, kept)
            if credit_nano is not None:
                credits.open_budget(connection, id)
            if credit_nano:
                credits.post_credit(connection, _entry("topup", WORLD, id, credit_nano, f"create:{id}", now_ms), id)
            return _found(connection, id)

        return await self._database.write(work)

    async def change(
        self,
        id: str,
        *,
        disabled: bool | None = None,
        unlimited: bool | None = None,
        terms: Mapping[str, Any] | None = None,
    ) -> AccountRow:
        """Change what is not None of an account; a term that becomes None is gone.

        One that is made limited has the credit it had before, or none. Raises Declined for terms that cannot be taken.
        """

        def work(connection: Connection) -> AccountRow:
            statements.lock_account(connection, id)
            account = _found(connection, id)
            changes = dict(terms or {})
            if unlimited is False:
                credits.open_budget(connection, id)
                changes["unlimited"] = None
            elif unlimited and account.credited_nano is not None:
                changes["unlimited"] = True
            kept = changed_terms(account.terms, changes)
            statements.change_account(connection, id, account.disabled if disabled is None else disabled, kept)
            return _found(connection, id)

        return await self._database.write(work)

    async def add_credit(self, id: str, amount_nano: NanoUsd, reference: str) -> Posted:
        """Give an account credit.

        The same account, amount and reference again change nothing. Raises Declined for an account without a bound,
        a reference that stands for something else, and for more than can be counted.
        """
        entry = _entry("topup", WORLD, id, amount_nano, reference, self._now_ms())

        def work(connection: Connection) -> Posted:
            account = _with_credit(connection, id)
            posted = credits.find_posting(connection, reference)
            if posted is not None:
                return _again(connection, posted, entry, id)
            if (account.credited_nano or 0) + amount_nano > _MOST:
                raise Declined("too_much", f"an account holds at most {usd_text(_MOST)} USD")
            seq = credits.post_credit(connection, entry, id)
            return Posted(seq, amount_nano, _found(connection, id), True)

        return await self._database.write(work)

    async def remove_credit(self, id: str, amount_nano: NanoUsd, reference: str) -> Posted:
        """Take credit from an account, at most what is neither charged nor held.

        The same again changes nothing. Raises Declined as `add_credit` does, and where there is nothing to take.
        """
        wanted = _entry("adjust", id, WORLD, amount_nano, reference, self._now_ms())

        def work(connection: Connection) -> Posted:
            account = _with_credit(connection, id)
            posted = credits.find_posting(connection, reference)
            if posted is not None:
                return _again(connection, posted, wanted, id)
            available = available_nano(account)
            if available == 0:
                raise Declined("nothing_left", f"account {id} has no credit that is neither spent nor held")
            entry = wanted
            if available < amount_nano:
                entry = wanted._replace(amount_nano=available, note=_asked(amount_nano))
            seq = credits.post_credit(connection, entry, id)
            return Posted(seq, entry.amount_nano, _found(connection, id), True)

        return await self._database.write(work)

    async def entries(self, id: str | None, after: int, limit: int = credits.ALL) -> list[EntryRow]:
        """List the entries of an account and its keys, or all, behind one, at most so many."""
        return await self._database.read(partial(credits.list_entries, account_id=id, after=after, limit=limit))

    def _now_ms(self) -> int:
        return int(self._wall_clock() * 1000)


def changed_terms(kept: str | None, changes: Mapping[str, Any]) -> str | None:
    """Lay changes over kept terms, as `change_terms` does. Raises Declined."""
    try:
        return change_terms(kept, changes)
    except ValueError as error:
        raise Declined("invalid", str(error)) from None


def available_nano(account: AccountRow) -> NanoUsd:
    """What an account with credit may still spend."""
    return (account.credited_nano or 0) - (account.charged_nano or 0) - (account.held_nano or 0)


def _found(connection: Connection, id: str) -> AccountRow:
    found = statements.accounts_named(connection, id)
    if not found or found[0].id != id:
        raise Declined("not_found", f"there is no account {id!r}")
    return found[0]


def _with_credit(connection: Connection, id: str) -> AccountRow:
    """Find an account, and keep what it has as it is until the transaction is over."""
    statements.lock_account(connection, id)
    lock_budgets(connection, [id])
    account = _found(connection, id)
    if is_unlimited(account):
        raise Declined("unlimited", f"account {id} is unlimited; `trunkline accounts set {id} --limited` comes first")
    return account


def _entry(kind: str, debit: str, credit: str, amount_nano: NanoUsd, reference: str, at_ms: int) -> EntryRow:
    return EntryRow(0, at_ms, kind, debit, credit, amount_nano, None, reference, None, None)


def _again(connection: Connection, posted: EntryRow, wanted: EntryRow, id: str) -> Posted:
    """What a reference stands for already, where it is the same that is asked for now."""
    is_same = posted.amount_nano == wanted.amount_nano or posted.note == _asked(wanted.amount_nano)
    if not is_same or posted[2:5] != wanted[2:5]:
        told = f"{posted.kind} of {usd_text(posted.amount_nano)} USD, {posted.debit} to {posted.credit}"
        raise Declined("reference_conflict", f"reference {wanted.reference!r} is that of entry {posted.seq}: {told}")
    return Posted(posted.seq, posted.amount_nano, _found(connection, id), False)


def _asked(amount_nano: NanoUsd) -> str:
    return f"{usd_text(amount_nano)} USD were to be taken"
