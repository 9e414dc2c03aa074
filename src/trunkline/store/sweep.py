"""Holds of processes that are gone, expired: what their requests cost nobody knows, and the house bears it.

What they had claimed is free again, for nobody can be told of an answer that did not come to its end.

A process is gone when it was not seen for a minute, or when one of the same place has started since. The latter is so
at once, unless the older one still has its journal: then it is about to end, and ends its requests itself. One that was
seen since goes on somewhere else under the same name, which is an operator's mistake: it is let be, and told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from trunkline import failpoints
from trunkline.days import DAY_MS
from trunkline.store.batch import Batch, Outcome
from trunkline.store.connection import Connection
from trunkline.store.posting import post
from trunkline.store.rows import BootRow, GenerationRow
from trunkline.store.statements import boots, budgets, generations, idempotency

DEAD_MS = 60_000
MAX_EXPIRED = 500
KEPT_MS = DAY_MS
"""How long an answer is kept for an `Idempotency-Key`, from when it was asked for."""
MAX_DELETED = 100
"""Claims deleted in one transaction: an answer may be a megabyte."""


class Swept(NamedTuple):
    """How many holds were expired, how many processes there are, this one included, and whether there may be more.

    `has_double`: another process runs that has the name of this place.
    """

    expired: int
    living: int
    has_more: bool = False
    has_double: bool = False


def sweep(connection: Connection, boot: BootRow, now_ms: int, is_running: Callable[[str], bool]) -> Swept:
    """Expire some holds of boots that are gone, the oldest first, end their claims, and delete claims that are old."""
    others = [other for other in boots.list_boots(connection) if other.id != boot.id]
    namesakes = [other for other in others if other.node == boot.node and not is_running(other.id)]
    doubles = {other.id for other in namesakes if _was_seen_since(other, boot, now_ms)}
    replaced = {other.id for other in namesakes} - doubles
    unseen = {other.id for other in others if other.seen_at_ms < now_ms - DEAD_MS}
    holds = budgets.list_holds(connection, replaced | unseen, MAX_EXPIRED)
    if holds:
        failpoints.reach("sweep.found")
        post(connection, Batch(expired=holds), boot.id, now_ms)
        failpoints.reach("sweep.expired")
    if len(holds) < MAX_EXPIRED:
        # Where a process may only be frozen its row is kept: else whatever it holds would be nobody's when it wakes.
        old = {other.id for other in others if other.seen_at_ms < now_ms - DAY_MS}
        for id in sorted(replaced | old):
            boots.delete_boot(connection, id)
    has_more = _end_strays(connection, replaced | unseen, now_ms) or len(holds) == MAX_EXPIRED
    has_more |= idempotency.delete_claims_before(connection, now_ms - KEPT_MS, MAX_DELETED) == MAX_DELETED
    return Swept(len(holds), 1 + len(others) - len(replaced | unseen), has_more, bool(doubles - unseen))


def _was_seen_since(other: BootRow, boot: BootRow, now_ms: int) -> bool:
    """Whether a boot was seen after another one had started; a clock that was set back shows nothing."""
    return boot.started_at_ms < other.seen_at_ms <= now_ms + DEAD_MS


def _end_strays(connection: Connection, gone: Collection[str], now_ms: int) -> bool:
    """End some claims of processes that are gone, and tell whether there may be more.

    What was answered is not asked again: its record may have come by the journal, where answers are not kept.
    """
    strays = idempotency.list_strays(connection, gone, MAX_EXPIRED)
    records = generations.find_generations(connection, {claim.generation_id for claim in strays})
    outcomes = [
        Outcome(claim.mark, claim.generation_id, is_free=not _is_answered(records.get(claim.generation_id)))
        for claim in strays
    ]
    idempotency.end_claims(connection, outcomes, now_ms)
    return len(strays) == MAX_EXPIRED


def _is_answered(record: GenerationRow | None) -> bool:
    """Whether a client may have been told an answer to its end."""
    if record is None or record.status in ("lost", "cancelled"):
        return False
    return record.status != "failed" or record.charged_nano > 0 or record.output_tokens > 0
