"""Batches posted to the tables: facts read, the decision of `batch.py` written, in the transaction of the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from trunkline import failpoints
from trunkline.store.batch import NO_FACTS, Answer, Batch, Changes, Facts, add_records, decide
from trunkline.store.connection import Connection, StoreError, ValueRefused
from trunkline.store.rows import GenerationRow
from trunkline.store.statements import boots, budgets, generations, idempotency

Result = TypeVar("Result")


class Posted(NamedTuple):
    """The answers to a batch's wishes, None where one failed; and the settles that failed, with what went wrong."""

    answers: list[Answer | None]
    failed: list[tuple[GenerationRow, str]]


def post(connection: Connection, batch: Batch, boot_id: str, now_ms: int) -> Posted:
    """Post a batch. When that fails it is posted once more, operation by operation, and only the guilty ones fail.

    It is the first that a transaction writes, for then the whole of that is undone: a savepoint would keep a copy of
    every page. Raises StoreError when it is the store that fails; then the whole of it is to be undone.
    """
    try:
        return Posted(list(_post(connection, batch, boot_id, now_ms).answers), [])
    except Exception as error:
        if is_of_store(error):
            raise
    connection.restart()
    return _post_singly(connection, batch, boot_id, now_ms)


def is_of_store(error: Exception) -> bool:
    """Whether it is the store that failed, and not one value that it does not take."""
    return isinstance(error, StoreError) and not isinstance(error, ValueRefused)


def _post_singly(connection: Connection, batch: Batch, boot_id: str, now_ms: int) -> Posted:
    if connection.dialect == "postgres":
        # Else one operation after the other would lock, in no order, what other nodes lock in that of the ids.
        _try(connection, lambda: _read(connection, batch, is_alone=False))
    posted = Posted([], [])
    for row in batch.settles:
        problem = _attempt(connection, Batch(settles=(row,)), boot_id, now_ms)
        if isinstance(problem, Exception):
            posted.failed.append((row, _detail(problem)))
            # Nobody would ever free what it holds, as its boot lives; so its request counts as lost.
            held = budgets.find_holds(connection, (row.id,))
            _attempt(connection, Batch(expired=tuple(held.values())), boot_id, now_ms)
    for id in batch.releases:
        _attempt(connection, Batch(releases=(id,)), boot_id, now_ms)
    for hold in batch.expired:
        _attempt(connection, Batch(expired=(hold,)), boot_id, now_ms)
    for wish in batch.wishes:
        changes = _attempt(connection, Batch(wishes=(wish,)), boot_id, now_ms)
        posted.answers.append(None if isinstance(changes, Exception) else changes.answers[0])
    for outcome in batch.outcomes:
        _attempt(connection, Batch(outcomes=(outcome,)), boot_id, now_ms)
    _attempt(connection, Batch(prices=batch.prices, boot=batch.boot), boot_id, now_ms)
    return posted


def _attempt(connection: Connection, batch: Batch, boot_id: str, now_ms: int) -> Changes | Exception:
    """Post a batch, or leave everything as it was."""
    return _try(connection, lambda: _post(connection, batch, boot_id, now_ms, is_alone=True))


def _try(connection: Connection, work: Callable[[], Result]) -> Result | Exception:
    connection.execute("SAVEPOINT batch")
    try:
        result = work()
    except Exception as error:
        if connection.in_transaction:  # else the database has undone it all
            connection.execute("ROLLBACK TO batch")
            connection.execute("RELEASE batch")
        if is_of_store(error):
            raise
        return error
    connection.execute("RELEASE batch")
    return result


def _detail(problem: Exception) -> str:
    return problem.detail if isinstance(problem, ValueRefused) else f"{type(problem).__name__}: {problem}"


def _post(connection: Connection, batch: Batch, boot_id: str, now_ms: int, *, is_alone: bool = False) -> Changes:
    failpoints.reach("batch.begun")
    facts = _read(connection, batch, is_alone)
    changes = add_records(batch.settles) if facts is NO_FACTS else decide(batch, facts, boot_id, now_ms)
    _write(connection, batch, changes)
    if batch.outcomes:
        idempotency.end_claims(connection, batch.outcomes, now_ms)
        failpoints.reach("claim.ended")
    return changes


def _read(connection: Connection, batch: Batch, is_alone: bool) -> Facts:
    """Read what a decision needs.

    Whether a record without a hold is there already is asked only of one that is posted alone: it seldom is, and the
    table refuses it.
    """
    ids = {row.id for row in batch.settles if row.held_nano is not None}
    if not (ids or is_alone or batch.wishes or batch.releases or batch.expired):
        return NO_FACTS
    named: set[str | None] = set()
    marks: list[bytes] = []
    for wish in batch.wishes:
        named |= {wish.account_budget, wish.key_budget}
        if wish.is_raise:
            ids.add(wish.id)
        if wish.claim is not None:
            marks.append(wish.claim.mark)
    ids.update(batch.releases)
    if batch.expired:
        ids.update([hold.id for hold in batch.expired])
    holds = budgets.lock_holds(connection, ids) if ids else {}
    for hold in holds.values():
        named |= {hold.account_budget, hold.key_budget}
    records: dict[str, GenerationRow] = {}
    if is_alone or len(holds) < len(ids):
        # A record is looked for where there is no hold that would tell that its request is settled only now.
        unheld = {row.id for row in batch.settles if (is_alone or row.held_nano is not None) and row.id not in holds}
        records = generations.find_generations(connection, unheld)
    for record in records.values():
        if record.status == "lost":
            named |= {record.account_id, record.key_budget}
    claims = idempotency.lock_claims(connection, marks) if marks else _NOBODY
    return Facts(holds, records, budgets.lock_budgets(connection, {id for id in named if id is not None}), claims)


def _write(connection: Connection, batch: Batch, changes: Changes) -> None:
    if batch.prices:
        generations.add_prices(connection, batch.prices)
    if changes.freed:
        budgets.delete_holds(connection, changes.freed)
        failpoints.reach("settle.freed")
    if changes.entries:
        budgets.add_charges(connection, changes.entries)
        failpoints.reach("settle.entered")
    if changes.overwritten:
        generations.delete_generations(connection, changes.overwritten)
    if changes.records:
        generations.add_generations(connection, changes.records)
        failpoints.reach("settle.recorded")
    if changes.usage:
        generations.add_usage(connection, changes.usage)
        failpoints.reach("settle.counted")
    if changes.overwritten:
        generations.delete_empty_usage(connection, changes.usage)
    if changes.held:
        budgets.add_holds(connection, changes.held)
        failpoints.reach("hold.added")
    if changes.claimed:
        idempotency.add_claims(connection, changes.claimed)
        failpoints.reach("claim.added")
    if changes.begun:
        budgets.add_budgets(connection, changes.begun)
    if changes.moved:
        budgets.move_budgets(connection, changes.moved)
        if changes.held:
            failpoints.reach("hold.moved")
    if batch.boot is not None:
        boots.note_boot(connection, batch.boot)


_NOBODY: dict[bytes, str] = {}
