"""ledger: entries, audit, rerate, reconcile. It loads the store and nothing of the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Annotated

import typer

from trunkline.accounts.administration import Accounts
from trunkline.accounts.audit import Audit, audit_now
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, failing_as, member_lines, row_lines, show, time_text
from trunkline.cli.reconciling import print_reconciliation
from trunkline.cli.rerating import print_rerating
from trunkline.cli.stores import find_account, with_accounts, with_database
from trunkline.cli.tree import tree_of
from trunkline.money import usd_text
from trunkline.store.rows import EntryRow
from trunkline.store.statements.credits import ALL

LEDGER = typer.Typer(help="Read the books, and compare them.", no_args_is_help=True)
AUDIT_S = 3600.0
"""How long the books may take to be read: some 25 s for ten million records."""


@LEDGER.command("entries")
def list_entries(
    account: Annotated[
        str | None, typer.Option(metavar="ID", help="Only those of this account and its keys, by its id or name.")
    ] = None,
    after: Annotated[int, typer.Option(min=0, metavar="SEQ", help="Only those behind this one.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most so many; all when absent.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what was posted, oldest first.

    That is what accounts were given, and what each generation was charged.
    """

    async def work(accounts: Accounts) -> list[EntryRow]:
        owner = None if account is None else (await find_account(accounts, account)).id
        return await accounts.entries(owner, after, ALL if limit is None else limit)

    with failing_as(as_json):
        settings, _ = read_settings(config)
        found = list(map(_document, with_accounts(settings, work)))
        columns = {
            "SEQ": "seq",
            "AT": "at",
            "KIND": "kind",
            "DEBIT": "debit",
            "CREDIT": "credit",
            "USD": "amount_usd",
            "OF": "of",
        }
        rows = [{**entry, "of": entry["generation"] or entry["reference"]} for entry in found]
        show({"entries": found}, as_json, row_lines(rows, columns, "><<<<><"))


@LEDGER.command("audit")
def audit_ledger(config: Config = None, as_json: AsJson = False) -> None:
    """Check the books, and end with 1 where a sum is wrong.

    What is summed up somewhere is compared with what it was summed from: budgets with entries, entries with
    generations, held credit with holds, days with records. It may run while gateways do, and mends nothing.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        work = partial(audit_now, here_ms=int(time.time() * 1000))
        found = with_database(settings, lambda database: database.read(work), timeout=AUDIT_S)
        show(found.document(), as_json, _audit_lines(found))
        if not found.is_ok:
            raise typer.Exit(1)


LEDGER.command("rerate")(print_rerating)
LEDGER.command("reconcile")(print_reconciliation)
TREE = tree_of(LEDGER, "ledger")


def _audit_lines(found: Audit) -> Iterator[str]:
    document = found.document()
    columns = {"CHECK": "check", "SUBJECT": "subject", "EXPECTED": "expected", "FOUND": "found"}
    rows = document.pop("differences")
    yield from member_lines(document)
    if isinstance(rows, list) and rows:
        yield ""
        yield from row_lines(rows, columns, "<<>>")


def _document(entry: EntryRow) -> Document:
    return {
        "seq": entry.seq,
        "at": time_text(entry.at_ms),
        "kind": entry.kind,
        "debit": entry.debit,
        "credit": entry.credit,
        "amount_usd": usd_text(entry.amount_nano),
        "generation": entry.charge_of,
        "reference": entry.reference,
        "note": entry.note,
    }
