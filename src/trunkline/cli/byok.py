"""byok: add, list, remove, rotate. It loads the store and the providers' rows, nothing of the server."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from getpass import getpass
from typing import Annotated, TypeVar

import typer

from trunkline.accounts.administration import Accounts
from trunkline.accounts.opening import masters_of
from trunkline.accounts.provider_keys import ProviderKeys, hint_of
from trunkline.catalog.entries import Provider
from trunkline.catalog.lookup import fold_name
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.documents import AsJson, Document, Refusal, Unknown, failing_as, row_lines, show, time_text
from trunkline.cli.stores import find_account, tell_nodes, the_one, with_database
from trunkline.cli.tree import tree_of
from trunkline.credentials.masking import MIN_LENGTH
from trunkline.credentials.schemes import own_credential, secrets_of
from trunkline.inventory import gather_providers
from trunkline.settings.reading import suggestion
from trunkline.settings.secret import Secret
from trunkline.settings.sections import Settings
from trunkline.store.database import Database
from trunkline.store.rows import ProviderKeyRow
from trunkline.store.statements import keys as key_statements

Result = TypeVar("Result")

BYOK = typer.Typer(help="Keep provider keys that accounts bring (bring your own key).", no_args_is_help=True)
TREE = tree_of(BYOK, "byok")

MAX_BYTES = 16 * 1024

_COLUMNS = {
    "ID": "id",
    "ACCOUNT": "account_id",
    "KEY": "key_id",
    "PROVIDER": "provider",
    "HINT": "hint",
    "ONLY": "only",
    "MASTER KEY": "master_key",
    "ADDED": "created_at",
}


@BYOK.command("add")
def add_provider_key(
    account: Annotated[str, typer.Option(metavar="ID", help="The account that brings it, by its id or name.")],
    provider: Annotated[str, typer.Option(metavar="SLUG", help="The provider it is for, as `providers` lists it.")],
    key: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The one API key of the account that it is for; else all are."),
    ] = None,
    only: Annotated[
        bool, typer.Option("--only", metavar="", help="Never ask this provider with the gateway's own key instead.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Keep a provider key that an account brings, encrypted. It is read from standard input and never shown again.

    It takes the place of the one there was for this provider. For AWS it is a Bedrock API key, or JSON with
    access_key_id, secret_access_key and, where there are any, session_token and region. Running gateways ask with it
    within five seconds.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        asked = _provider(settings, provider)
        secret = _read_secret()
        hint = _checked_hint(asked, secret)

        async def work(database: Database, keys: ProviderKeys) -> Document:
            owner = await _owner(database, account, key)
            row, is_other = await keys.add(owner, asked.slug, secret, only=only, hint=hint)
            return {**await _document(database, row), "replaced": is_other}

        found = _with_keys(settings, work)
        tell_nodes(settings, str(found["key_id"] or found["account_id"]))
        show(found, as_json)


@BYOK.command("list")
def list_provider_keys(
    account: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this account.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the provider keys that accounts bring: whose, for which provider, and the last characters of each."""
    with failing_as(as_json):
        settings, _ = read_settings(config)

        async def work(database: Database, keys: ProviderKeys) -> list[Document]:
            found = [await _document(database, row) for row in await keys.all()]
            if account is None:
                return found
            id = (await find_account(Accounts(database, time.time), account)).id
            return [each for each in found if each["account_id"] == id]

        found = _with_keys(settings, work)
        show({"provider_keys": found}, as_json, row_lines(found, _COLUMNS))


@BYOK.command("remove")
def remove_provider_key(
    id: Annotated[str, typer.Argument(help="The id of the provider key, as `byok list` shows it.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Remove a provider key for good. Running gateways ask with it for five seconds more."""
    with failing_as(as_json):
        settings, _ = read_settings(config)

        async def work(database: Database, keys: ProviderKeys) -> Document:
            row = await keys.remove(id)
            if row is None:
                raise Unknown(f"there is no provider key {id!r}; see `trunkline byok list`")
            return await _document(database, row)

        found = _with_keys(settings, work)
        tell_nodes(settings, str(found["key_id"] or found["account_id"]))
        show(found, as_json)


@BYOK.command("rotate")
def rotate_master_key(config: Config = None, as_json: AsJson = False) -> None:
    """Encrypt all provider keys with the first of `store.master_keys`, of which the others may be left out then.

    Gateways that run must know the first one already. All are encrypted anew, or none.
    """
    with failing_as(as_json):
        settings, _ = read_settings(config)
        done = _with_keys(settings, lambda _, keys: keys.rotate())
        show({"master_key": done.master_id, "resealed": done.resealed, "provider_keys": done.known}, as_json)


def _with_keys(settings: Settings, work: Callable[[Database, ProviderKeys], Awaitable[Result]]) -> Result:
    masters = masters_of(settings)
    return with_database(
        settings, lambda database: work(database, ProviderKeys(database, masters, wall_clock=time.time))
    )


async def _owner(database: Database, account: str, key: str | None) -> str:
    """The id of the account, or of its key where one is named. Raises Unknown, Refusal."""
    owner = await find_account(Accounts(database, time.time), account)
    if key is None:
        return owner.id
    found = the_one("key", key, await database.read(lambda connection: key_statements.keys_named(connection, key)))
    if found.account_id != owner.id:
        raise Refusal("other_account", f"key {found.id} belongs to the account {found.account_id}, not to {owner.id}")
    return found.id


async def _document(database: Database, row: ProviderKeyRow) -> Document:
    named = await database.read(lambda connection: key_statements.keys_named(connection, row.owner))
    key = next((each for each in named if each.id == row.owner), None)
    return {
        "id": row.id,
        "account_id": row.owner if key is None else key.account_id,
        "key_id": None if key is None else key.id,
        "provider": row.provider,
        "hint": row.hint,
        "only": row.only_this,
        "master_key": row.master_id,
        "created_at": time_text(row.created_at_ms),
    }


def _provider(settings: Settings, name: str) -> Provider:
    """The provider of this name, if it can be asked with a key brought along. Raises Unknown, Refusal."""
    known = gather_providers(settings)
    slug = known.slugs.get(fold_name(name))
    if slug is None:
        raise Unknown(f"there is no provider {name!r}{suggestion(name, sorted(known.standings))}")
    standing = known.standings[slug]
    if not (standing.is_callable or standing.lacks_key):
        raise Refusal("provider_off", f"{slug} cannot be asked with any key: {standing.obstacle}")
    return standing.provider


def _read_secret() -> Secret:
    """Read what standard input holds, or a person types unseen. Raises Refusal."""
    data = getpass("Provider key: ").encode() if sys.stdin.isatty() else sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > MAX_BYTES:
        raise Refusal("bad_key", "standard input held no key; give it as in `trunkline byok add … < FILE`")
    return Secret(text)


def _checked_hint(provider: Provider, secret: Secret) -> str:
    """What a key may be told by. Raises a Refusal for one that cannot be sent, or kept out of what is told."""
    try:
        credential = own_credential(provider.credential, secret)
    except ValueError as error:
        raise Refusal("bad_key", f"this cannot be the key for {provider.slug}: {error}") from None
    parts = list(filter(None, secrets_of(credential)))
    if any(len(part) < MIN_LENGTH for part in parts):
        words = f"a key of fewer than {MIN_LENGTH} characters cannot be told from other text in what a provider says"
        raise Refusal("bad_key", words)
    return hint_of(parts[0])
