"""keys: create, list, show, set, rotate, revoke. It loads the store and nothing of the server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from trunkline.accounts.administration import Accounts
from trunkline.accounts.budgets import RESETS
from trunkline.accounts.keys import DEFAULT_ACCOUNT, Keys, NewKey
from trunkline.accounts.opening import open_keys
from trunkline.accounts.terms import members_of
from trunkline.cli.accounts import check_name
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, Unknown, amount_of, failing_as, show, some_amount_of, time_text
from trunkline.cli.moments import read_expiry
from trunkline.cli.stores import PATIENCE_S, find_account, require_database, run_work, tell_nodes, the_one
from trunkline.cli.term_options import UNSET_WORDS, Terms, with_terms, without
from trunkline.cli.tree import tree_of
from trunkline.money import usd_text
from trunkline.settings.reading import SettingsError, shown_address
from trunkline.settings.sections import Settings
from trunkline.store.database import Database
from trunkline.store.rows import BudgetRow
from trunkline.store.statements.keys import KeyRow
from trunkline.store.urls import is_shared, sqlite_path

Result = TypeVar("Result")

KEYS = typer.Typer(help="Make, list, change and revoke the API keys of clients.", no_args_is_help=True)
TREE = tree_of(KEYS, "keys")

Named = Annotated[
    str, typer.Argument(metavar="KEY", help="The key's id, first characters or name, as `keys list` shows them.")
]
Limit = Annotated[str | None, typer.Option(metavar="USD", help="What may be spent with it.")]
Reset = Annotated[
    str | None, typer.Option(metavar="PERIOD", help=f"When its limit begins anew, UTC: {', '.join(RESETS)}.")
]
Expires = Annotated[
    str | None, typer.Option(metavar="TIME", help="How long it is good, as 12h or 7d, or until when, in RFC 3339.")
]
MaxCost = Annotated[
    str | None, typer.Option(metavar="USD", help="The most that a request may cost which says nothing itself.")
]
ByokCounts = Annotated[
    bool,
    typer.Option("--byok-counts", metavar="", help="What provider keys of its account pay counts too."),
]
_MEMBERS = {
    "limit": "limit_nano",
    "reset": "limit_reset",
    "expires": "expires_at_ms",
    "max-cost": "max_cost_nano",
    "byok-counts": "byok_counts",
}
"""What `--unset` takes away of a key besides its terms."""


@KEYS.command("create")
@with_terms
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for; shown in lists.")] = "unnamed",
    account: Annotated[
        str, typer.Option(metavar="ID", help="The account it belongs to, by its id or name.")
    ] = DEFAULT_ACCOUNT,
    limit: Limit = None,
    reset: Reset = None,
    expires: Expires = None,
    max_cost: MaxCost = None,
    byok_counts: ByokCounts = False,
    *,
    terms: Terms,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once. Only a hash of it is kept, in the database that is named on standard error."""
    with failing_as(as_json):
        members = _members(name, limit, reset, expires, max_cost, byok_counts)
        if reset is not None and limit is None:
            raise SettingsError(["--reset needs --limit: what may be spent in each period"])
        settings, _ = read_settings(config)

        async def work(database: Database, keys: Keys) -> tuple[NewKey, Document]:
            owner = await _owner(Accounts(database, time.time), account)
            made = await keys.create(account_id=owner, terms=terms, **members)
            return made, key_document(made.row, await keys.spent([made.row]), keys, made.text)

        made, document = _with_both(settings, work)
        if as_json:
            show(document, as_json)
            return
        typer.echo(f"kept in {database_name(settings)}", err=True)
        typer.echo(made.text)


@KEYS.command("list")
def list_keys(
    account: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this account.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the keys: id, first characters, name, day made, state."""
    with failing_as(as_json):
        settings, _ = read_settings(config)

        async def work(database: Database, keys: Keys) -> tuple[list[KeyRow], list[Document]]:
            rows = await keys.all()
            if account is not None:
                owner = await find_account(Accounts(database, time.time), account)
                rows = [row for row in rows if row.account_id == owner.id]
            spent = await keys.spent(rows)
            return rows, [key_document(row, spent, keys) for row in rows]

        rows, documents = _with_both(settings, work)
        show({"keys": documents}, as_json, map(_line, rows))


@KEYS.command("show")
def show_key(key: Named, config: Config = None, as_json: AsJson = False) -> None:
    """Show one key, and never its text.

    Told are whose it is, what it may ask for, when it was last used and what is left of its limit.
    """
    _tell(key, config, as_json, None)


@KEYS.command("set")
@with_terms
def set_key(
    key: Named,
    name: Annotated[str | None, typer.Option(help="What the key is for; shown in lists.")] = None,
    limit: Limit = None,
    reset: Reset = None,
    expires: Expires = None,
    max_cost: MaxCost = None,
    byok_counts: ByokCounts = False,
    unset: Annotated[list[str] | None, typer.Option(metavar="NAME", help=UNSET_WORDS)] = None,
    *,
    terms: Terms,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Change a key; what is not named stays as it is.

    Running gateways know within five seconds. A limit that is lowered below what is spent and held becomes just that.
    """
    with failing_as(as_json):
        given = _members(name, limit, reset, expires, max_cost, byok_counts)
        changes = {member: value for member, value in given.items() if value is not None and value is not False}
        changed_terms, gone = without(terms, unset, _MEMBERS)
        if "limit_nano" in gone:
            gone.add("limit_reset")
        if both := sorted(gone & changes.keys()):
            raise SettingsError([f"{' and '.join(both)}: set and unset at once; leave one out"])
        changes |= {member: False if member == "byok_counts" else None for member in gone}
        _tell(key, config, as_json, lambda keys, row: keys.change(row.id, changes, changed_terms))


@KEYS.command("rotate")
def rotate_key(key: Named, config: Config = None, as_json: AsJson = False) -> None:
    """Give a key another text and print it, once.

    All else stays: its id, its limit, what is spent of it. Running gateways refuse the old text within five seconds.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)

        async def work(_: Database, keys: Keys) -> tuple[NewKey, Document]:
            made = await keys.rotate(await _find(keys, key))
            return made, key_document(made.row, await keys.spent([made.row]), keys, made.text)

        made, document = _with_both(settings, work)
        tell_nodes(settings, made.row.id)
        show(document, as_json, [made.text])


@KEYS.command("revoke")
def revoke_key(key: Named, config: Config = None, as_json: AsJson = False) -> None:
    """Revoke a key for good. Running gateways refuse it within five seconds."""
    with failing_as(as_json):
        revoke: Change = lambda keys, row: keys.change(row.id, {"disabled": True}, {})  # noqa: E731
        _tell(key, config, as_json, revoke, lambda row: f"revoked {row.id} ({row.name})")


Change = Callable[[Keys, KeyRow], Awaitable[KeyRow]]


def key_document(row: KeyRow, spent: Mapping[str, BudgetRow], keys: Keys, text: str | None = None) -> Document:
    """Tell a key; its text only when it is new. Amounts charged, held and available are those of the present period."""
    budget = spent.get(row.id)
    return {
        "id": row.id,
        **({} if text is None else {"key": text}),
        "prefix": row.prefix,
        "account_id": row.account_id,
        "name": row.name,
        "state": state_of(row),
        "disabled": row.disabled,
        "created_at": time_text(row.created_at_ms),
        "expires_at": time_text(row.expires_at_ms),
        "last_used_at": time_text(row.last_used_ms),
        "limit_usd": None if row.limit_nano is None else usd_text(row.limit_nano),
        "limit_reset": row.limit_reset,
        "charged_usd": None if budget is None else usd_text(budget.charged_nano),
        "held_usd": None if budget is None else usd_text(budget.held_nano),
        "available_usd": None if budget is None else usd_text(_left(budget)),
        "max_cost_usd": None if row.max_cost_nano is None else usd_text(row.max_cost_nano),
        "byok_counts": row.byok_counts,
        "pepper": keys.pepper_of(row),
        "terms": members_of(row.terms),
    }


def with_keys(settings: Settings, work: Callable[[Keys], Awaitable[Result]], *, makes: bool = False) -> Result:
    """Open the store, do one thing with its keys, and close it.

    Without `makes` the database must be there: one that is made in another folder would hold keys that the running
    gateway does not know. Raises SettingsError.
    """
    return _with_both(settings, lambda _, keys: work(keys), makes=makes)


def database_name(settings: Settings) -> str:
    """Name the database in full, so that it is seen which of two it is."""
    if is_shared(settings.store.url):
        return shown_address(settings.store.url)
    path = sqlite_path(settings.store.url)
    return "memory" if path is None else str(path.resolve())


def state_of(row: KeyRow) -> str:
    """Say in a word whether a key may be used; `disabled` is one whose account is."""
    if row.disabled:
        return "revoked"
    if row.expires_at_ms is not None and row.expires_at_ms <= time.time() * 1000:
        return "expired"
    return "disabled" if row.account_disabled else "good"


def _with_both(
    settings: Settings, work: Callable[[Database, Keys], Awaitable[Result]], *, makes: bool = False
) -> Result:
    if not makes:
        require_database(settings)

    async def run() -> Result:
        database, keys = open_keys(settings, 0.0 if makes else PATIENCE_S)
        try:
            return await work(database, keys)
        finally:
            await keys.close()
            await database.close()

    return run_work(run())


def _members(
    name: str | None,
    limit: str | None,
    reset: str | None,
    expires: str | None,
    max_cost: str | None,
    byok_counts: bool,
) -> dict[str, Any]:
    """What is given to the options of a key, as members of its row. Raises SettingsError."""
    if name is not None:
        check_name(name)
    if reset is not None and reset not in RESETS:
        raise SettingsError([f"--reset is one of {', '.join(RESETS)}, not {reset!r}"])
    return {
        "name": name,
        "limit_nano": None if limit is None else amount_of("--limit", limit),
        "limit_reset": reset,
        "expires_at_ms": None if expires is None else read_expiry(expires, int(time.time() * 1000)),
        "max_cost_nano": None if max_cost is None else some_amount_of("--max-cost", max_cost),
        "byok_counts": byok_counts,
    }


async def _owner(accounts: Accounts, name: str) -> str:
    """The id of the account that a new key is for; the first one need not be there yet."""
    try:
        return (await find_account(accounts, name)).id
    except Unknown:
        if name != DEFAULT_ACCOUNT:
            raise
        return DEFAULT_ACCOUNT


async def _find(keys: Keys, name: str) -> KeyRow:
    wanted = name.removesuffix("…")
    return the_one("key", wanted, await keys.named(wanted))


def _tell(
    name: str, config: Config, as_json: bool, change: Change | None, line: Callable[[KeyRow], str] | None = None
) -> None:
    """Find a key, change it if that is wanted, and tell what it is then."""

    async def work(_: Database, keys: Keys) -> tuple[KeyRow, Document]:
        row = await _find(keys, name)
        row = row if change is None else await change(keys, row)
        return row, key_document(row, await keys.spent([row]), keys)

    with failing_as(as_json):
        settings, _ = read_settings(config)
        row, document = _with_both(settings, work)
        if change is not None:
            tell_nodes(settings, row.id)
        show(document, as_json, None if line is None else [line(row)])


def _left(budget: BudgetRow) -> int:
    return budget.credited_nano - budget.charged_nano - budget.held_nano


def _line(row: KeyRow) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(row.created_at_ms / 1000))
    return f"{row.id}  {row.prefix}…  {row.name}  {day}  {state_of(row)}"
