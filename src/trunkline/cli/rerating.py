"""`trunkline ledger rerate`: what requests would have cost at other prices. Nothing is posted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated

import typer

from trunkline.accounts.rerating import Prices, Rerating, Sum, rerate
from trunkline.catalog.price_texts import read_price
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, Refusal, Unknown, failing_as, member_lines, row_lines, show
from trunkline.cli.moments import read_days_ms
from trunkline.cli.progress import read_at_length
from trunkline.cli.start import load
from trunkline.cli.stores import with_database
from trunkline.days import date_of, day_at
from trunkline.money import usd_text
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import Settings
from trunkline.store.database import Database
from trunkline.store.statements.pricing import find_priced_endpoint, list_prices

RERATING_S = 6 * 3600.0
"""How long records may be read."""

CURRENT = "current"


def print_rerating(
    from_day: Annotated[str, typer.Option("--from", metavar="DAY", help="The first UTC day.")],
    to_day: Annotated[str, typer.Option("--to", metavar="DAY", help="The last UTC day, itself included.")],
    prices: Annotated[
        str,
        typer.Option(
            metavar="current|ID",
            help="The prices that the settings and the list of models have now, or one that a record names as its "
            "price_id: then only its endpoint is looked at.",
        ),
    ] = CURRENT,
    is_dry: Annotated[
        bool,
        typer.Option("--dry-run", metavar="", help="Only tell what it would come to; nothing else can be done yet."),
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Tell what requests would have cost at other prices.

    Each record is priced anew by what it used; what was held for it, or bounded it, bounds it still. The difference is
    what it would have cost beyond what it did. Counted apart, and in no sum, are records that had no price (unpriced),
    that an account's own provider key paid (own_key), whose cost is what the provider said (as_told), and whose
    endpoint has no price among those asked for (unlisted). What failed attempts cost the house is not priced anew.

    Nothing is posted: without --dry-run it is refused. Credit is given and taken with `trunkline credits`.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        if not is_dry:
            raise Refusal("not_posted", "nothing can be posted yet: add --dry-run, then use `trunkline credits add`")
        days_ms = read_days_ms(from_day, to_day)
        price_id = _read_id(prices)
        current = _current_prices(settings)

        async def work(database: Database) -> Rerating:
            endpoint, asked = (None, current) if price_id is None else await _kept(database, price_id, current)
            return await read_at_length(database, partial(rerate, days_ms=days_ms, prices=asked, endpoint_id=endpoint))

        found = with_database(settings, work, timeout=RERATING_S)
        show(_document(found, days_ms, prices), as_json, _lines(found, days_ms))


def _read_id(prices: str) -> int | None:
    if prices == CURRENT:
        return None
    if not (prices.isascii() and prices.isdigit() and len(prices) < 20):
        raise SettingsError([f"--prices is {CURRENT} or the price_id of a record, not {prices!r}"])
    return int(prices)


def _current_prices(settings: Settings) -> Prices:
    """The prices of all that is known, whether its provider is on here or not."""
    known = load("trunkline.inventory").gather_known(settings)
    endpoints = [offer.endpoint for offer in load("trunkline.catalog.load").offers_of(known)]
    return Prices(
        {endpoint.id: endpoint.price for endpoint in endpoints if endpoint.price is not None},
        frozenset(endpoint.id for endpoint in endpoints if endpoint.quirks.bills_as_told),
    )


async def _kept(database: Database, id: int, current: Prices) -> tuple[str, Prices]:
    """The endpoint of one of the prices that are kept, and that price. Raises Unknown."""
    endpoint = await database.read(lambda connection: find_priced_endpoint(connection, id))
    if endpoint is None:
        raise Unknown(f"there is no price {id}; `trunkline requests show ID` names that of a request")
    texts = await database.read(list_prices)
    return endpoint, Prices({endpoint: read_price(texts[id])}, current.as_told)


def _document(found: Rerating, days_ms: tuple[int, int], prices: str) -> Document:
    return {
        "from": date_of(day_at(days_ms[0])).isoformat(),
        "to": date_of(day_at(days_ms[1]) - 1).isoformat(),
        "prices": prices,
        **_sum(found.total),
        "apart": dict(found.apart),
        "kept_from": _kept_from(found, days_ms),
        "accounts": [{"account_id": id, **_sum(found.accounts[id])} for id in sorted(found.accounts)],
    }


def _sum(total: Sum) -> Document:
    return {
        "generations": total.generations,
        "charged_usd": usd_text(total.charged_nano),
        "rerated_usd": usd_text(total.rerated_nano),
        "difference_usd": usd_text(total.rerated_nano - total.charged_nano),
    }


def _kept_from(found: Rerating, days_ms: tuple[int, int]) -> str | None:
    """The first day of which records are kept, where that is behind the first that was asked for."""
    return date_of(day_at(found.horizon_ms)).isoformat() if found.horizon_ms > days_ms[0] else None


def _lines(found: Rerating, days_ms: tuple[int, int]) -> Iterator[str]:
    columns = {
        "ACCOUNT": "account_id",
        "GENERATIONS": "generations",
        "CHARGED USD": "charged_usd",
        "RERATED USD": "rerated_usd",
        "DIFFERENCE USD": "difference_usd",
    }
    rows = [{"account_id": id, **_sum(found.accounts[id])} for id in sorted(found.accounts)]
    yield from row_lines([*rows, {"account_id": "all", **_sum(found.total)}], columns, "<>>>>")
    if any(found.apart.values()):
        yield ""
        yield from member_lines({name.replace("_", " "): count for name, count in found.apart.items() if count})
    if day := _kept_from(found, days_ms):
        yield f"records of before {day} are not kept any more"
