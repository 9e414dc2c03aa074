"""`trunkline ledger reconcile`: a provider's invoice beside what is on record of its answers."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from trunkline.accounts.invoices import Group, Invoice, Pair, Reconciliation, Unreadable, read_invoice, reconcile
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, Unknown, amount_of, failing_as, printable, row_lines, show
from trunkline.cli.moments import read_days_ms
from trunkline.cli.progress import read_at_length
from trunkline.cli.stores import with_database
from trunkline.money import NanoUsd, usd_text
from trunkline.settings.reading import SettingsError
from trunkline.store.database import Database
from trunkline.store.statements.pricing import list_providers


class BadInvoice(SettingsError):
    """The file is no invoice that can be read. It ends as a wrong option does, and not as a difference."""

    code = "bad_invoice"


RECONCILING_S = 6 * 3600.0
"""How long records may be read."""


def print_reconciliation(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The invoice, as CSV with a header; - reads stdin.")],
    provider: Annotated[str, typer.Option(metavar="SLUG", help="Whose invoice it is, as records name the provider.")],
    from_day: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="The first UTC day that it is of. Default: all records.")
    ] = None,
    to_day: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="The last UTC day, itself included.")
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The column with the provider's id of an answer. Default: looked for, as response_id."
        ),
    ] = None,
    amount_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column with the USD. Default: looked for, as cost_usd.")
    ] = None,
    tolerance: Annotated[
        str, typer.Option(metavar="USD", help="By how much an answer may differ and still match.")
    ] = "0.000001",
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of each kind list at most so many, the largest first.")
    ] = 20,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Compare a provider's invoice with what is on record, and end with 1 where they differ.

    Answers are matched by the id that the provider gave them; the lines of one id are added up. Ours is what the
    answer was worth by its price, whoever bore it. With --from and --to, which come together, only records of these
    days are missed when the invoice lacks them; those of two days on both sides are matched too. What an account's own
    provider key paid is never missed. Nothing is changed.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        if (from_day is None) != (to_day is None):
            raise SettingsError(["--from and --to come together: give both, or none for all records"])
        days_ms = None if from_day is None or to_day is None else read_days_ms(from_day, to_day)
        tolerance_nano = amount_of("--tolerance", tolerance)
        invoice = _read(file, id_column, amount_column)

        async def work(database: Database) -> Reconciliation:
            await _require_provider(database, provider)
            compare = partial(
                reconcile,
                invoice=invoice,
                provider=provider,
                days_ms=days_ms,
                tolerance_nano=tolerance_nano,
                most=limit,
            )
            return await read_at_length(database, compare)

        found = with_database(settings, work, timeout=RECONCILING_S)
        show(_document(found, invoice, provider), as_json, _lines(found, invoice))
    if not found.is_ok:
        raise typer.Exit(1)


def _read(file: Path, id_column: str | None, amount_column: str | None) -> Invoice:
    """Read an invoice, of which no more is kept than a sum for each id. Raises BadInvoice."""
    try:
        if file == Path("-"):
            return read_invoice(sys.stdin, id_column, amount_column)
        with file.open(encoding="utf-8", newline="") as lines:
            return read_invoice(lines, id_column, amount_column)
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text; save it as UTF-8"
    except csv.Error as error:
        problem = f"it is no CSV: {error}"
    except Unreadable as error:
        problem = str(error)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise BadInvoice([f"{file}: {printable(problem)}"])


async def _require_provider(database: Database, provider: str) -> None:
    """Raise Unknown for a provider of which nothing is on record: with it every line would be missed."""
    known = await database.read(list_providers)
    if provider not in known:
        have = f"there are of {', '.join(known)}" if known else "there are none at all"
        raise Unknown(f"there are no records of a provider {provider!r}; {have}")


def _document(found: Reconciliation, invoice: Invoice, provider: str) -> Document:
    return {
        "ok": found.is_ok,
        "provider": provider,
        "columns": {"id": invoice.id_column, "amount": invoice.amount_column},
        "invoice": {
            "lines": invoice.lines,
            "ids": len(invoice.amounts),
            "usd": usd_text(sum(invoice.amounts.values()) + invoice.without_id_nano),
            "lines_without_id": invoice.lines_without_id,
            "without_id_usd": usd_text(invoice.without_id_nano),
        },
        **{name: _group(group) for name, group in found._asdict().items()},
    }


def _group(group: Group) -> Document:
    return {
        "count": group.count,
        "ours_usd": usd_text(group.ours_nano),
        "theirs_usd": usd_text(group.theirs_nano),
        "answers": [_answer(pair) for pair in group.pairs()],
    }


def _answer(pair: Pair) -> Document:
    return {
        "id": pair.id or None,
        "generation": pair.generation,
        "ours_usd": _usd(pair.ours_nano),
        "theirs_usd": _usd(pair.theirs_nano),
        "difference_usd": usd_text(pair.difference_nano),
    }


def _usd(amount: NanoUsd | None) -> str | None:
    return None if amount is None else usd_text(amount)


_WORDS = {
    "matched": "matched",
    "differing": "differing",
    "only_in_invoice": "only in the invoice",
    "only_on_record": "only on record",
    "unnamed": "on record without an id",
}


def _lines(found: Reconciliation, invoice: Invoice) -> Iterator[str]:
    yield f"by {printable(invoice.id_column)} and {printable(invoice.amount_column)}"
    groups = found._asdict()
    told = [{"which": _WORDS[name], **_group(group)} for name, group in groups.items()]
    told.append(
        {
            "which": "in the invoice without an id",
            "count": invoice.lines_without_id,
            "ours_usd": "0",
            "theirs_usd": usd_text(invoice.without_id_nano),
        }
    )
    columns = {"ANSWERS": "which", "COUNT": "count", "OURS USD": "ours_usd", "THEIRS USD": "theirs_usd"}
    yield from row_lines(told, columns, "<>>>")
    for name, group in groups.items():
        yield from _pair_lines(_WORDS[name], group)


def _pair_lines(words: str, group: Group) -> Iterable[str]:
    pairs = group.pairs()
    if not pairs:
        return
    more = group.beyond - len(pairs)
    yield ""
    yield words + (f", the largest; {more} more" if more else "")
    columns = {
        "ITS ID": "id",
        "GENERATION": "generation",
        "OURS USD": "ours_usd",
        "THEIRS USD": "theirs_usd",
        "DIFFERENCE USD": "difference_usd",
    }
    rows = [{**_answer(pair), "id": printable(pair.id)} for pair in pairs]
    yield from row_lines(rows, columns, "<<>>>")
