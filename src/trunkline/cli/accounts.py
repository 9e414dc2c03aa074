"""accounts: create, list, show, set, disable, enable. It loads the store and nothing of the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from trunkline.accounts.administration import Accounts, available_nano, is_unlimited
from trunkline.accounts.terms import MAX_WEIGHT, members_of
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, amount_of, failing_as, row_lines, show, time_text
from trunkline.cli.stores import find_account, tell_nodes, with_accounts
from trunkline.cli.term_options import UNSET_WORDS, Terms, with_terms, without
from trunkline.cli.tree import tree_of
from trunkline.money import usd_text
from trunkline.settings.reading import SettingsError
from trunkline.store.rows import AccountRow

ACCOUNTS = typer.Typer(help="Make accounts, which keys belong to, and see what they spend.", no_args_is_help=True)
TREE = tree_of(ACCOUNTS, "accounts")

Account = Annotated[str, typer.Argument(help="The account's id, or its name where no other has it.")]
Weight = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=MAX_WEIGHT, help="So many turns for one of another account's, where providers are busy."
    ),
]
MAX_NAME = 256


@ACCOUNTS.command("create")
@with_terms
def create_account(
    name: Annotated[str, typer.Argument(help="What it is called; shown in lists.")],
    credit: Annotated[str | None, typer.Option(metavar="USD", help="What it may spend, to begin with.")] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", metavar="", help="It may spend whatever it likes.")] = False,
    weight: Weight = None,
    *,
    terms: Terms,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make an account.

    With neither --credit nor --unlimited it has no credit yet; `credits add` gives it some.
    """
    with failing_as(as_json):
        if credit is not None and unlimited:
            raise SettingsError(["--credit and --unlimited exclude each other; leave one out"])
        check_name(name)
        amount = None if unlimited else amount_of("--credit", credit or "0")
        settings, _ = read_settings(config)
        made = with_accounts(settings, lambda accounts: accounts.create(name, amount, _weighted(terms, weight)))
        show(account_document(made), as_json)


@ACCOUNTS.command("list")
def list_accounts(config: Config = None, as_json: AsJson = False) -> None:
    """List the accounts.

    Amounts are in USD; of one that is unlimited it is told what its requests cost.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        found = list(map(account_document, with_accounts(settings, lambda accounts: accounts.all())))
        columns = {
            "ID": "id",
            "NAME": "name",
            "UNLIMITED": "unlimited",
            "CREDITED": "credited_usd",
            "CHARGED": "charged_usd",
            "HELD": "held_usd",
            "AVAILABLE": "available_usd",
            "DISABLED": "disabled",
        }
        show({"accounts": found}, as_json, row_lines(found, columns, "<<<>>>><", ("UNLIMITED", "CREDITED")))


@ACCOUNTS.command("show")
def show_account(account: Account, config: Config = None, as_json: AsJson = False) -> None:
    """Show one account.

    Amounts are in USD; of one that is unlimited it is told what its requests cost.
    """
    _tell(account, config, as_json, None)


@ACCOUNTS.command("set")
@with_terms
def set_account(
    account: Account,
    unlimited: Annotated[bool, typer.Option("--unlimited", metavar="", help="It may spend whatever it likes.")] = False,
    limited: Annotated[
        bool, typer.Option("--limited", metavar="", help="It may spend its credit, and has none if it never had any.")
    ] = False,
    weight: Weight = None,
    unset: Annotated[list[str] | None, typer.Option(metavar="NAME", help=UNSET_WORDS)] = None,
    *,
    terms: Terms,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Change an account; what is not named stays as it is.

    Its terms hold for all its keys, beside those of each. Running gateways know within five seconds.
    """
    with failing_as(as_json):
        if unlimited and limited:
            raise SettingsError(["--unlimited and --limited exclude each other; leave one out"])
        changes, gone = without(_weighted(terms, weight), unset, {"weight": "weight"})
        if gone and weight is not None:
            raise SettingsError(["--weight is set and unset at once; leave one out"])
        changes |= dict.fromkeys(gone)
        is_unlimited = unlimited if unlimited or limited else None
        _tell(account, config, as_json, lambda accounts, id: accounts.change(id, unlimited=is_unlimited, terms=changes))


@ACCOUNTS.command("disable")
def disable_account(account: Account, config: Config = None, as_json: AsJson = False) -> None:
    """Refuse all keys of an account.

    Running gateways do within five seconds; what is under way goes on to its end.
    """
    _tell(account, config, as_json, lambda accounts, id: accounts.change(id, disabled=True))


@ACCOUNTS.command("enable")
def enable_account(account: Account, config: Config = None, as_json: AsJson = False) -> None:
    """Take the keys of an account again.

    One that is revoked stays so.
    """
    _tell(account, config, as_json, lambda accounts, id: accounts.change(id, disabled=False))


def account_document(account: AccountRow) -> Document:
    """Tell an account. One that is unlimited has nothing available to tell; what its requests cost is summed up."""
    unlimited = is_unlimited(account)
    return {
        "id": account.id,
        "name": account.name,
        "unlimited": unlimited,
        "credited_usd": usd_text(account.credited_nano or 0),
        "charged_usd": usd_text(account.cost_nano if unlimited else account.charged_nano or 0),
        "held_usd": usd_text(account.held_nano or 0),
        "available_usd": None if unlimited else usd_text(available_nano(account)),
        "disabled": account.disabled,
        "created_at": time_text(account.created_at_ms),
        "terms": {name: value for name, value in members_of(account.terms).items() if name != "unlimited"},
    }


def _weighted(terms: Terms, weight: int | None) -> Terms:
    return terms if weight is None else {**terms, "weight": weight}


def check_name(name: str) -> None:
    """Raise SettingsError for what no list can show."""
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME:
        raise SettingsError([f"a name has 1 to {MAX_NAME} characters, and no line break"])


def _tell(
    name: str, config: Config, as_json: bool, change: Callable[[Accounts, str], Awaitable[AccountRow]] | None
) -> None:
    """Find an account, change it if that is wanted, and tell what it is then."""

    async def work(accounts: Accounts) -> AccountRow:
        account = await find_account(accounts, name)
        return account if change is None else await change(accounts, account.id)

    with failing_as(as_json):
        settings, _ = read_settings(config)
        found = with_accounts(settings, work)
        if change is not None:
            tell_nodes(settings, found.id)
        show(account_document(found), as_json)
