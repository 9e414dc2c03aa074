"""What records would have cost at other prices. Nothing is changed by it.

Only what was priced can be priced anew. Told apart are records without a price, those that an account's own provider
key paid, those whose cost is what their provider said, and those whose endpoint has no price any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from trunkline.billing import cost
from trunkline.catalog.price_texts import read_price
from trunkline.catalog.prices import Price
from trunkline.money import NanoUsd
from trunkline.store.connection import Connection
from trunkline.store.statements.pricing import Priced, list_prices, list_used
from trunkline.store.statements.retention import find_horizon
from trunkline.stream.deltas import Usage

TOLD_EVERY = 5_000
"""After how many records whoever waits is told how many it were."""

_COUNTS = Priced._fields[Priced._fields.index("input_tokens") :]

Apart = Literal["unpriced", "own_key", "as_told", "unlisted"]
"""Why a record is not priced anew."""

APART: tuple[Apart, ...] = ("unpriced", "own_key", "as_told", "unlisted")


class Prices(NamedTuple):
    """Prices by the ids of their endpoints. `as_told`: those where what the provider says goes before a price."""

    by_endpoint: Mapping[str, Price]
    as_told: Collection[str] = ()


class Sum(NamedTuple):
    """How many records were priced anew, what they cost, and what they would have."""

    generations: int = 0
    charged_nano: NanoUsd = 0
    rerated_nano: NanoUsd = 0

    def plus(self, charged_nano: NanoUsd, rerated_nano: NanoUsd) -> Sum:
        """The sum with one record more."""
        return Sum(self.generations + 1, self.charged_nano + charged_nano, self.rerated_nano + rerated_nano)


class Rerating(NamedTuple):
    """The sums of each account, the records told apart, and since when all records are kept (0: from the first on)."""

    accounts: Mapping[str, Sum]
    apart: Mapping[Apart, int]
    horizon_ms: int

    @property
    def total(self) -> Sum:
        """What all of them come to."""
        return Sum(*map(sum, zip(Sum(), *self.accounts.values(), strict=True)))


def worth_at(record: Priced, price: Price) -> NanoUsd:
    """What the answer of a record is worth at a price; nothing where there was none, whatever a request costs."""
    counts: dict[str, Any] = dict(zip(_COUNTS, record[-len(_COUNTS) :], strict=True))
    if not record.parts_nano and not any(counts.values()):
        return 0
    rated = cost(Usage(**counts), price, service_tier=record.service_tier)
    return rated.input + rated.output + rated.fees


def is_as_told(record: Priced, price: Price) -> bool:
    """Whether the cost of a record is what its provider said, and not what its price makes of its tokens."""
    return record.parts_nano == record.told_nano and worth_at(record, price) != record.parts_nano


def rerate(
    connection: Connection,
    tell: Callable[[int], None],
    days_ms: tuple[int, int],
    prices: Prices,
    endpoint_id: str | None,
) -> Rerating:
    """Price the records of a time anew, from one moment to before another: of all endpoints, or of one."""
    horizon_ms = find_horizon(connection)
    kept = {id: read_price(text) for id, text in list_prices(connection).items()}
    accounts: dict[str, Sum] = {}
    apart = dict.fromkeys(APART, 0)
    for record in counted(list_used(connection, *days_ms, endpoint_id), tell):
        found = _rerated(record, None if record.price_id is None else kept.get(record.price_id), prices)
        if isinstance(found, str):
            apart[found] += 1
        else:
            accounts[record.account_id] = accounts.get(record.account_id, Sum()).plus(record.total_nano, found)
    return Rerating(accounts, apart, horizon_ms)


def counted(records: Iterable[Any], tell: Callable[[int], None]) -> Iterable[Any]:
    """The same records, of which somebody is told how many have gone by."""
    for count, record in enumerate(records):
        if not count % TOLD_EVERY:
            tell(count)
        yield record


def _rerated(record: Priced, before: Price | None, prices: Prices) -> NanoUsd | Apart:
    if before is None:
        return "unpriced"
    if record.is_byok:
        return "own_key"
    endpoint = record.endpoint_id or ""
    if is_as_told(record, before) or (record.told_nano is not None and endpoint in prices.as_told):
        return "as_told"
    price = prices.by_endpoint.get(endpoint)
    if price is None:
        return "unlisted"
    worth = worth_at(record, price)
    if record.total_nano < record.parts_nano:
        return min(worth, record.total_nano)  # a cap or a hold cut it there already
    return worth if record.held_nano is None else min(worth, record.held_nano)
