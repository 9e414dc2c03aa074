"""ledger: entries. It loads the store and nothing of the server."""

from __future__ import annotations

from typing import Annotated

import typer

from trunkline.accounts.administration import Accounts
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, failing_as, row_lines, show, time_text
from trunkline.cli.stores import find_account, with_accounts
from trunkline.cli.tree import tree_of
from trunkline.money import usd_text
from trunkline.store.rows import EntryRow

LEDGER = typer.Typer(help="Read the books.", no_args_is_help=True)
TREE = tree_of(LEDGER, "ledger")


@LEDGER.callback()
def root() -> None:
    pass


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
        return await accounts.entries(owner, after, -1 if limit is None else limit)

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
