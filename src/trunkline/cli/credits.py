"""credits: add, remove. It loads the store and nothing of the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from trunkline.accounts.administration import Accounts, Posted, available_nano
from trunkline.cli.accounts import Account
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, Refusal, failing_as, show, some_amount_of
from trunkline.cli.stores import find_account, with_accounts
from trunkline.cli.tree import tree_of
from trunkline.money import usd_text

CREDITS = typer.Typer(help="Give accounts credit, and take it back.", no_args_is_help=True)
TREE = tree_of(CREDITS, "credits")

Amount = Annotated[str, typer.Argument(metavar="USD", help="How much, as 25 or 0.5; at most 9 decimals.")]
Reference = Annotated[
    str, typer.Option(metavar="REF", help="What it is known by outside, as the number of a payment; used once.")
]
MAX_REFERENCE = 256
_SIGNED = {"ignore_unknown_options": True}
"""So that an amount like -5 is refused as one, and not taken for an option."""


@CREDITS.command("add", context_settings=_SIGNED)
def add_credit(
    account: Account, amount: Amount, reference: Reference, config: Config = None, as_json: AsJson = False
) -> None:
    """Give an account credit, once for each reference.

    The same command again adds nothing.
    """

    def document(posted: Posted) -> Document:
        available = usd_text(available_nano(posted.account))
        return {"entry": posted.entry, "available_usd": available, "added": posted.is_new}

    _post(account, amount, reference, config, as_json, Accounts.add_credit, document)


@CREDITS.command("remove", context_settings=_SIGNED)
def remove_credit(
    account: Account, amount: Amount, reference: Reference, config: Config = None, as_json: AsJson = False
) -> None:
    """Take credit back, once for each reference.

    What is spent, or held for requests under way, stays.
    """

    def document(posted: Posted) -> Document:
        return {
            "entry": posted.entry,
            "removed_usd": usd_text(posted.amount_nano),
            "available_usd": usd_text(available_nano(posted.account)),
            "removed": posted.is_new,
        }

    _post(account, amount, reference, config, as_json, Accounts.remove_credit, document)


def _post(
    name: str,
    usd: str,
    reference: str,
    config: Config,
    as_json: bool,
    post: Callable[[Accounts, str, int, str], Awaitable[Posted]],
    document: Callable[[Posted], Document],
) -> None:
    async def work(accounts: Accounts) -> Posted:
        account = await find_account(accounts, name)
        return await post(accounts, account.id, amount, reference)

    with failing_as(as_json):
        amount = some_amount_of("USD", usd)
        if not reference.strip() or not reference.isprintable() or len(reference) > MAX_REFERENCE:
            raise Refusal("bad_reference", f"--reference has 1 to {MAX_REFERENCE} characters, and no line break")
        settings, _ = read_settings(config)
        show(document(with_accounts(settings, work)), as_json)
