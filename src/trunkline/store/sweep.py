"""Holds of processes that are gone, expired: what their requests cost nobody knows, and the house bears it.

A process is gone when it was not seen for a minute, or when one of the same place has started since. The latter is so
at once, unless the older one still has its journal: then it is about to end, and ends its requests itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from trunkline import failpoints
from trunkline.days import DAY_MS
from trunkline.store.batch import Batch
from trunkline.store.connection import Connection
from trunkline.store.posting import post
from trunkline.store.rows import BootRow
from trunkline.store.statements import boots, budgets

DEAD_MS = 60_000
MAX_EXPIRED = 500


class Swept(NamedTuple):
    """How many holds were expired, and how many processes there are, this one included."""

    expired: int
    living: int


def sweep(connection: Connection, boot: BootRow, now_ms: int, is_running: Callable[[str], bool]) -> Swept:
    """Expire some holds of boots that are gone, the oldest first; when it is fewer than `MAX_EXPIRED`, it is all."""
    others = [other for other in boots.list_boots(connection) if other.id != boot.id]
    replaced = {other.id for other in others if other.node == boot.node and not is_running(other.id)}
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
    return Swept(len(holds), 1 + sum(other.id not in replaced | unseen for other in others))
