"""What one transaction of the writer does to the ledger, decided from what the tables hold: values in, values out.

Theory of operation. A hold is HELD when its row is committed, and leaves that state once, by whichever comes first:

    settle with a charge   POSTED    an entry and the record
    settle without         VOID      the record alone
    release                VOID      nothing was sent, so there is no record
    raise                  HELD      the same hold, of a larger amount
    expire                 EXPIRED   the record is `lost`, and nothing is charged

Whoever comes later finds no row and changes nothing, so each of these may be said twice. There is one exception: a
settle that finds its record `lost` overwrites it, and charges what the budgets can still bear (POSTED late).

In a batch the settles come first, for they free credit; then what is released and expired; then the holds, one after
the other, each decided on what those before it left. The caller keeps everybody else from the budgets meanwhile
(SQLite: BEGIN IMMEDIATE). Differences are summed, so that a budget is updated once, however many requests share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from trunkline.days import day_at
from trunkline.store.rows import (
    BLANK,
    BootRow,
    BudgetRow,
    ClaimRow,
    EntryRow,
    GenerationRow,
    HoldRow,
    PriceRow,
    UsageRow,
)

HOUSE = "house"


class Pledge(NamedTuple):
    """What a claim is known by: what stands for its key and account, and for all that was asked with it."""

    mark: bytes
    body_hash: bytes


class Wish(NamedTuple):
    """A hold that is asked for, or a claim, or both; a hold names at least one budget.

    Where somebody has the claim already nothing is held. `key_credit_nano` is what the key's budget begins with where
    it is not there yet. Where `floor_nano` is below `wanted_nano` less than that may be held: an eighth of what is
    available, or the floor if that is more. `is_raise`: the hold of that id is there, and holds so much more then.
    """

    id: str
    account_id: str
    key_id: str
    account_budget: str | None
    key_budget: str | None
    key_credit_nano: int | None
    wanted_nano: int
    floor_nano: int
    created_at_ms: int
    claim: Pledge | None = None
    is_raise: bool = False


class Shortage(NamedTuple):
    """Why a hold was refused: what is available, and whose budget that is."""

    available_nano: int
    source: Literal["account", "key"]


class Claimed(NamedTuple):
    """Why a claim was refused: which response has it."""

    generation_id: str


Answer = int | Shortage | Claimed
"""What is held, or why nothing is."""


class Outcome(NamedTuple):
    """What becomes of a claim: it is free again, or its answer is kept, without a text where that is too large."""

    mark: bytes
    generation_id: str
    is_free: bool = True
    nonce: bytes | None = None
    sealed: bytes | None = None


class Batch(NamedTuple):
    """What is to happen in one transaction.

    `expired` are holds of boots that are gone, `prices` what records of this batch or a later one name.
    """

    settles: Sequence[GenerationRow] = ()
    releases: Sequence[str] = ()
    expired: Sequence[HoldRow] = ()
    wishes: Sequence[Wish] = ()
    prices: Sequence[PriceRow] = ()
    boot: BootRow | None = None
    outcomes: Sequence[Outcome] = ()

    @property
    def is_charging(self) -> bool:
        """Whether it may charge somebody.

        Only that has to outlast the machine: a hold is of no use to a request that went down with it.
        """
        return bool([row for row in self.settles if row.held_nano is not None])


class Facts(NamedTuple):
    """What the tables hold of what a batch names, by id; `claims` by mark, the responses that have them."""

    holds: Mapping[str, HoldRow]
    records: Mapping[str, GenerationRow]
    budgets: Mapping[str, BudgetRow]
    claims: Mapping[bytes, str] = MappingProxyType({})


NO_FACTS = Facts({}, {}, {})
"""What the tables hold of records whose requests held nothing."""


@dataclass(slots=True)
class Changes:
    """What a batch changes, and the answer to each of its wishes: what is held, or why nothing is."""

    held: list[HoldRow] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    records: list[GenerationRow] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    usage: list[UsageRow] = field(default_factory=list)
    begun: list[BudgetRow] = field(default_factory=list)
    moved: list[tuple[int, int, str]] = field(default_factory=list)
    claimed: list[ClaimRow] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


def decide(batch: Batch, facts: Facts, boot_id: str, now_ms: int) -> Changes:
    """Decide what a batch changes. Holds are taken for `boot_id`."""
    decision = _Decision(facts, boot_id, now_ms)
    for row in batch.settles:
        decision.settle(row)
    for id in batch.releases:
        decision.free(id)
    for hold in batch.expired:
        decision.expire(hold)
    for wish in batch.wishes:
        decision.hold(wish)
    return decision.close()


def add_records(rows: Sequence[GenerationRow]) -> Changes:
    """Decide the same of records whose requests held nothing: all are added, of two with one id the first."""
    records: dict[str, GenerationRow] = {}
    for row in rows:
        records.setdefault(row.id, row)
    kept = list(records.values())
    return Changes(records=kept, usage=_sum_up(kept, ()))


class _Balance:
    """One budget within a batch."""

    __slots__ = ("available", "charged", "held", "is_moved")

    def __init__(self, available: int) -> None:
        self.available = available
        self.charged = 0
        self.held = 0
        self.is_moved = False


class _Decision:
    def __init__(self, facts: Facts, boot_id: str, now_ms: int) -> None:
        self._holds = dict(facts.holds)
        self._records = dict(facts.records)
        self._balances = {
            id: _Balance(row.credited_nano - row.charged_nano - row.held_nano) for id, row in facts.budgets.items()
        }
        self._claims = dict(facts.claims) if facts.claims else {}
        self._boot_id = boot_id
        self._now_ms = now_ms
        self._found: list[GenerationRow] = []
        self._changes = Changes()

    def settle(self, row: GenerationRow) -> None:
        if row.held_nano is None:
            if row.id not in self._records:
                self._records[row.id] = row
                self._changes.records.append(row)
            return
        hold = self.free(row.id)
        if hold is not None:
            # Never more than was held, whatever the caller made of it: the rest is the house's.
            self._post(
                row, hold.account_budget, hold.key_budget, min(row.charged_nano, hold.amount_nano), hold.amount_nano
            )
            return
        lost = self._records.get(row.id)
        if lost is not None and lost.status == "lost" and row.status != "lost":
            self._settle_late(row, lost)

    def free(self, id: str) -> HoldRow | None:
        hold = self._holds.pop(id, None)
        if hold is not None:
            self._changes.freed.append(id)
            self._move(hold, -hold.amount_nano)
        return hold

    def expire(self, hold: HoldRow) -> None:
        if self.free(hold.id) is not None:
            self._record(_lost(hold, self._now_ms))

    def hold(self, wish: Wish) -> None:
        pledge = wish.claim
        if pledge is not None and (claimant := self._claims.get(pledge.mark)) is not None:
            self._changes.answers.append(Claimed(claimant))
            return
        granted = self._grant(wish)
        if pledge is not None and isinstance(granted, int):
            self._claims[pledge.mark] = wish.id
            self._changes.claimed.append(ClaimRow(*pledge, wish.id, self._boot_id, wish.created_at_ms))
        self._changes.answers.append(granted)

    def _grant(self, wish: Wish) -> int | Shortage:
        if wish.account_budget is None and wish.key_budget is None:
            return 0  # it is the claim alone that is asked for
        if wish.key_budget is not None and wish.key_budget not in self._balances and wish.key_credit_nano is not None:
            self._balances[wish.key_budget] = _Balance(wish.key_credit_nano)
            self._changes.begun.append(BudgetRow(wish.key_budget, wish.key_credit_nano, 0, 0))
        shortage = self._least(wish.account_budget, wish.key_budget)
        if wish.is_raise and wish.id not in self._holds:
            return Shortage(0, shortage.source)  # it has expired, or is settled: nobody would ever free what is held
        if shortage.available_nano < wish.floor_nano:
            return shortage
        granted = min(wish.wanted_nano, max(shortage.available_nano // 8, wish.floor_nano))
        before = self.free(wish.id) if wish.is_raise else None
        hold = HoldRow(
            wish.id,
            wish.account_id,
            wish.key_id,
            wish.account_budget,
            wish.key_budget,
            granted if before is None else before.amount_nano + granted,
            self._boot_id,
            wish.created_at_ms,
        )
        self._changes.held.append(hold)
        self._move(hold, hold.amount_nano)
        return granted

    def close(self) -> Changes:
        changes = self._changes
        if self._balances:
            # In the order of their ids, as everybody takes them, where a database locks rows.
            moved = sorted([(id, balance) for id, balance in self._balances.items() if balance.is_moved])
            changes.moved = [(balance.charged, balance.held, id) for id, balance in moved]
            changes.begun.sort()
        if changes.records:
            changes.usage = _sum_up(changes.records, self._found)
        return changes

    def _settle_late(self, row: GenerationRow, lost: GenerationRow) -> None:
        account_budget = row.account_id if row.account_id in self._balances else None
        # Where an account has become unlimited meanwhile there is nothing to charge, and the house bears it.
        charged = min(row.charged_nano, max(0, self._least(account_budget, lost.key_budget).available_nano))
        self._changes.overwritten.append(lost.id)
        self._found.append(lost)
        if row.is_byok:
            # What an own key paid is no money of ours: late, nobody looks whether a limit has room for it.
            row = row._replace(key_budget=None)
        self._post(row, account_budget, lost.key_budget, charged, charged)

    def _post(
        self, row: GenerationRow, account_budget: str | None, key_budget: str | None, charged: int, most: int
    ) -> None:
        """Charge both budgets. What an own key paid counts on its key's limit too, up to `most`, or not at all."""
        counted = charged
        if row.is_byok:
            key_budget = None if row.key_budget is None else key_budget
            counted = min(charged + (row.upstream_nano or 0), most)
            if account_budget is None and key_budget is None:
                # Nothing is left that is limited: it is a record like those of a key without limits.
                row, charged = row._replace(charged_nano=0, held_nano=None), 0
        if charged != row.charged_nano:
            row = row._replace(charged_nano=charged, house_nano=row.house_nano + row.charged_nano - charged)
        if key_budget != row.key_budget:
            row = row._replace(key_budget=key_budget)
        debit = account_budget or key_budget
        if charged and debit is not None:
            # Dated as the record is, so that an entry outlives its record by a rule that can be checked.
            entry = EntryRow(0, row.created_at_ms, "charge", debit, HOUSE, charged, row.id, None, None, None)
            self._changes.entries.append(entry)
            self._charge(account_budget, charged)
        if counted:
            self._charge(key_budget, counted)
        self._record(row)

    def _record(self, row: GenerationRow) -> None:
        self._records[row.id] = row
        self._changes.records.append(row)

    def _least(self, account_budget: str | None, key_budget: str | None) -> Shortage:
        """What can be held in both budgets, and whose that is; a budget that is not there has nothing."""
        account = key = None
        if account_budget is not None:
            balance = self._balances.get(account_budget)
            account = 0 if balance is None else balance.available
        if key_budget is not None:
            balance = self._balances.get(key_budget)
            key = 0 if balance is None else balance.available
        if key is not None and (account is None or key < account):
            return Shortage(key, "key")
        return Shortage(account or 0, "account")

    # Nothing can be held in a budget that is not there, but nothing is what a free model wants.

    def _move(self, hold: HoldRow, held_nano: int) -> None:
        for id in (hold.account_budget, hold.key_budget):
            if id is not None and (balance := self._balances.get(id)) is not None:
                balance.held += held_nano
                balance.available -= held_nano
                balance.is_moved = True

    def _charge(self, id: str | None, charged_nano: int) -> None:
        if id is not None and (balance := self._balances.get(id)) is not None:
            balance.charged += charged_nano
            balance.available -= charged_nano
            balance.is_moved = True


def _sum_up(records: Sequence[GenerationRow], found: Sequence[GenerationRow]) -> list[UsageRow]:
    """What records come to, day by day, without what was counted when those that are found now were lost."""
    usage: dict[tuple[object, ...], list[int]] = {}
    for sign, rows in ((1, records), (-1, found)):
        for row in rows:
            key = (row.account_id, day_at(row.created_at_ms), row.key_id, row.model, row.provider or "", row.is_byok)
            sums = usage.get(key)
            if sums is None:
                sums = usage[key] = [0] * 7
            sums[0] += sign
            sums[1] += sign * row.input_tokens
            sums[2] += sign * row.cache_read_tokens
            sums[3] += sign * row.output_tokens
            sums[4] += sign * row.reasoning_tokens
            sums[5] += sign * row.total_nano
            if row.upstream_nano:
                sums[6] += sign * row.upstream_nano
    return [UsageRow(*key, *sums) for key, sums in usage.items()]  # type: ignore[arg-type]


def _lost(hold: HoldRow, now_ms: int) -> GenerationRow:
    """Record a request of which nobody knows how it ended."""
    return BLANK._replace(
        id=hold.id,
        created_at_ms=hold.created_at_ms,
        account_id=hold.account_id,
        key_id=hold.key_id,
        key_budget=hold.key_budget,
        status="lost",
        held_nano=hold.amount_nano,
        total_ms=max(0, now_ms - hold.created_at_ms),
    )
