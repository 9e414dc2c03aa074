"""A provider's invoice, line by line, beside the records of what it answered: what agrees, what differs, what is alone.

Theory of operation. The lines of one id are added up: some invoices have one for the input and one for the output. What
is left is in memory, by id; the records go past it once, and each takes out of it what it answers to. What nobody took
is only in the invoice. An answer of the last second of a month may be billed in the next one: records of some days on
both sides are matched too, and are not missed when the invoice does not have them.
"""

from __future__ import annotations

import csv
import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from trunkline.accounts.rerating import counted
from trunkline.billing import nearest_nano
from trunkline.days import DAY_MS
from trunkline.money import MAX_USD, NanoUsd
from trunkline.store.connection import Connection
from trunkline.store.statements.pricing import Answered, list_answered

MARGIN_MS: Final = 2 * DAY_MS
"""How far outside of the days that are compared a record may be that the invoice names."""

ID_COLUMNS: Final = ("responseid", "generationid", "completionid", "messageid", "requestid", "id")
AMOUNT_COLUMNS: Final = (
    *("amountusd", "costusd", "totalcostusd", "totalusd", "usd"),
    *("amount", "cost", "totalcost", "total"),
)
"""Names of columns, the best first, in small letters and without what is neither letter nor digit."""

_AMOUNT: Final = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d*)?(?:[eE][+-]?\d{1,3})?")
_DELIMITERS: Final = (",", ";", "\t")


class Unreadable(ValueError):
    """A file is no invoice that can be read; the text says where, and what to do."""


class Invoice(NamedTuple):
    """An invoice as it was read: which columns, how many lines, the sum of each id, the lines that have none."""

    id_column: str
    amount_column: str
    lines: int
    amounts: dict[str, NanoUsd]
    lines_without_id: int
    without_id_nano: NanoUsd


class Pair(NamedTuple):
    """One answer, by the provider's id and by ours, and what each side has for it; None where it has nothing."""

    id: str
    generation: str | None
    ours_nano: NanoUsd | None
    theirs_nano: NanoUsd | None

    @property
    def difference_nano(self) -> NanoUsd:
        """What is billed beyond what is on record."""
        return (self.theirs_nano or 0) - (self.ours_nano or 0)


class Group:
    """Pairs that are alike: how many, their sums, and those of them that differ most."""

    def __init__(self, tolerance_nano: NanoUsd, most: int) -> None:
        self._tolerance_nano = tolerance_nano
        self._most = most
        self._kept: list[tuple[int, str, Pair]] = []
        self.count = self.ours_nano = self.theirs_nano = self.beyond = 0

    def add(self, pair: Pair) -> None:
        """Count one, and keep it if it is among those that differ most."""
        self.count += 1
        self.ours_nano += pair.ours_nano or 0
        self.theirs_nano += pair.theirs_nano or 0
        difference = abs(pair.difference_nano)
        if difference <= self._tolerance_nano:
            return
        self.beyond += 1
        heapq.heappush(self._kept, (difference, pair.id, pair))
        if len(self._kept) > self._most:
            heapq.heappop(self._kept)

    def pairs(self) -> list[Pair]:
        """Those that are kept, the largest difference first."""
        return [pair for _, _, pair in sorted(self._kept, key=lambda each: (-each[0], each[1]))]


class Reconciliation(NamedTuple):
    """What came of a comparison. `unnamed`: records of which the provider told no id, and what they are worth."""

    matched: Group
    differing: Group
    only_in_invoice: Group
    only_on_record: Group
    unnamed: Group

    @property
    def is_ok(self) -> bool:
        """Whether nothing differs by more than is tolerated."""
        return not (self.differing.beyond or self.only_in_invoice.beyond or self.only_on_record.beyond)


def read_invoice(lines: Iterable[str], id_column: str | None = None, amount_column: str | None = None) -> Invoice:
    """Read an invoice as CSV with a header; columns that are not named are looked for. Raises Unreadable, csv.Error."""
    source = iter(lines)
    first = next((line for line in source if line.strip()), None)
    if first is None:
        raise Unreadable("it is empty; it begins with a line that names its columns")
    delimiter = max(_DELIMITERS, key=first.count)
    names = [name.strip() for name in next(csv.reader([first.removeprefix("\ufeff")], delimiter=delimiter))]
    id_at = _find_column(names, id_column, ID_COLUMNS, "--id-column", "the provider's id of an answer")
    amount_at = _find_column(names, amount_column, AMOUNT_COLUMNS, "--amount-column", "the amount in USD")
    amounts: dict[str, NanoUsd] = {}
    count = alone = alone_nano = 0
    for number, id, amount in _cells(csv.reader(source, delimiter=delimiter), id_at, amount_at):
        nano = _read_amount(amount, number, names[amount_at])
        count += 1
        if id:
            amounts[id] = amounts.get(id, 0) + nano
        else:
            alone, alone_nano = alone + 1, alone_nano + nano
    return Invoice(names[id_at], names[amount_at], count, amounts, alone, alone_nano)


def reconcile(
    connection: Connection,
    tell: Callable[[int], None],
    invoice: Invoice,
    provider: str,
    days_ms: tuple[int, int] | None,
    tolerance_nano: NanoUsd,
    most: int,
) -> Reconciliation:
    """Compare an invoice with the records of a provider: of a time from one moment to before another, or all.

    At most so many pairs of each kind are kept. What an account's own provider key paid is in no invoice of the
    gateway's, and is not missed there.
    """
    from_ms, before_ms = days_ms or (0, 2**62)
    found = Reconciliation(*(Group(tolerance_nano, most) for _ in Reconciliation._fields))
    ours: dict[str, tuple[str, NanoUsd]] = {}
    records: Iterable[Answered] = list_answered(connection, provider, from_ms - MARGIN_MS, before_ms + MARGIN_MS)
    for record in counted(records, tell):
        id, worth = record.upstream_id, record.worth_nano
        if id is not None and id in invoice.amounts:
            # A provider may give two answers one id; they are one on the invoice too.
            generation, known = ours.get(id, (record.id, 0))
            ours[id] = generation, known + worth
        elif worth and not record.is_own and from_ms <= record.created_at_ms < before_ms:
            group = found.unnamed if id is None else found.only_on_record
            group.add(Pair(id or "", record.id, worth, None))
    for id, theirs in invoice.amounts.items():
        if id not in ours:
            found.only_in_invoice.add(Pair(id, None, None, theirs))
            continue
        pair = Pair(id, *ours[id], theirs)
        (found.matched if abs(pair.difference_nano) <= tolerance_nano else found.differing).add(pair)
    return found


def _find_column(names: Sequence[str], given: str | None, usual: Sequence[str], option: str, meaning: str) -> int:
    if given is not None:
        wanted: Sequence[str] = (given.strip(),)
        told = {name: at for at, name in reversed(list(enumerate(names)))}
    else:
        wanted = usual
        told = {_folded(name): at for at, name in reversed(list(enumerate(names)))}
    found = next((told[name] for name in wanted if name in told), None)
    if found is None:
        have = ", ".join(name for name in names if name)
        raise Unreadable(f"no column {given or f'for {meaning}'}; name it with {option}; there are: {have}")
    return found


def _folded(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _cells(rows: Iterator[list[str]], id_at: int, amount_at: int) -> Iterator[tuple[int, str, str]]:
    """The id and the amount of each line that is not empty, with its number after the header."""
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(id_at, amount_at):
            raise Unreadable(f"row {number} below the header has {len(row)} cells, and no amount or id; mend it")
        yield number, row[id_at].strip(), row[amount_at].strip()


def _read_amount(text: str, number: int, column: str) -> NanoUsd:
    written = re.sub(r"^([+-]?)\s*\$|\s*USD$", r"\1", text).strip()
    try:
        if not _AMOUNT.fullmatch(written):
            raise InvalidOperation
        amount = Decimal(written.replace(",", ""))
    except InvalidOperation:
        problem = f"row {number} below the header: {column} is {text!r}, not an amount in USD as 0.25 or 1,234.5"
        raise Unreadable(problem) from None
    if abs(amount) > MAX_USD:
        raise Unreadable(f"row {number} below the header: {column} is {text!r}; an amount is at most {MAX_USD} USD")
    return nearest_nano(amount)
