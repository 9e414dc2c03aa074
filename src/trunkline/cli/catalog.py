"""`trunkline catalog`: newer lists of models fetched, compared and taken back.

A fetched list replaces the shipped one as a whole; the operator's own entries always lie over it. It is not believed
when it is implausible (`catalog/renewal.py`). It is kept in the store, and which list is in force is said in
`inventory.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from typing import Annotated, NamedTuple, TypeVar

import typer

from trunkline.catalog.gather import read_models
from trunkline.catalog.renewal import Difference, age_of, compare, described, objections
from trunkline.catalog.rows import ModelsFile
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.probing import told
from trunkline.cli.start import load
from trunkline.cli.stores import with_database
from trunkline.cli.tree import tree_of
from trunkline.inventory import InForce, choose_list, models_in_force
from trunkline.settings.reading import SettingsError, shown_address
from trunkline.settings.sections import Settings
from trunkline.store.connection import Work
from trunkline.store.lists import MAX_BYTES, MAX_ETAG, pack_list, unpack_list
from trunkline.store.rows import ListRow
from trunkline.store.statements.model_lists import find_list, keep_list, roll_back_list
from trunkline.store.urls import is_shared, sqlite_path
from trunkline.upstream.http import HttpClient
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import UpstreamRequest

DEADLINE_S = 60.0
SHOWN = 20
"""How many changes of a kind are listed one by one."""

Result = TypeVar("Result")

CATALOG = typer.Typer(help="Fetch a newer list of models, compare it, take it back.", no_args_is_help=True)
TREE = tree_of(CATALOG, "catalog")


@CATALOG.command()
def update(
    force: Annotated[bool, typer.Option("--force", help="Take it although it is implausible.")] = False,
    config: Config = None,
) -> None:
    """Fetch the list that catalog.url names, and use it.

    It is checked first, and kept in the store, where running gateways find it within five seconds. The list before it
    is kept too: `trunkline catalog rollback` brings it back.
    """
    settings, _ = read_settings(config)
    _address(settings)
    stored = _in_store(settings, find_list)
    fetched = _fetch(settings, "" if stored is None else _etag(stored, settings))
    if fetched is None:
        typer.echo("nothing new: the server says that the list has not changed")
        return
    present = choose_list(settings, stored).file
    reasons = objections(present, fetched.file)
    if reasons and not force:
        raise SettingsError([f"refused: {reasons[0]}", *reasons[1:SHOWN], "--force takes it all the same"])
    _echo_difference(compare(present, fetched.file))
    row = pack_list(fetched.data, shown_address(_address(settings)), fetched.etag, int(time.time() * 1000))
    _in_store(settings, partial(keep_list, row=row), is_write=True)
    _tell(settings)
    typer.echo(f"kept in the store, of {age_of(fetched.file) or 'an unknown day'}; gateways use it within 5 seconds")
    _echo_in_force(choose_list(settings, row), is_expected="in the store")


@CATALOG.command()
def diff(config: Config = None) -> None:
    """Say what `update` would change, and change nothing."""
    settings, _ = read_settings(config)
    fetched = _fetch(settings, "")
    present = models_in_force(settings).file
    if fetched is not None:
        _echo_difference(compare(present, fetched.file))
        for reason in objections(present, fetched.file):
            typer.echo(f"would be refused: {reason}")


@CATALOG.command()
def rollback(config: Config = None) -> None:
    """Go back to the list before the last update.

    To the one in catalog.file, or the shipped one, if there was none.
    """
    settings, _ = read_settings(config)
    before = choose_list(settings, _in_store(settings, find_list))
    if not _in_store(settings, roll_back_list, is_write=True):
        raise SettingsError([f"there is nothing to go back to: the list {before.where} is in force"])
    after = choose_list(settings, _in_store(settings, find_list))
    _tell(settings)
    back_to = "the list before, in the store" if after.stored else f"the list {after.where}"
    typer.echo(f"back to {back_to}; gateways use it within 5 seconds")
    _echo_difference(compare(before.file, after.file))
    _echo_in_force(after, is_expected="in the store" if after.stored else after.where)


@CATALOG.command()
def show(config: Config = None) -> None:
    """Say which list is in force and why, and how old it is.

    And what it was made from.
    """
    settings, _ = read_settings(config)
    found = models_in_force(settings)
    typer.echo(f"the list {found.where} ({found.why})")
    for source in found.file.sources:
        name = f"{source.name} {source.version}".rstrip()
        typer.echo("  " + "  ".join(filter(None, (name, f"of {source.date}", source.licence, source.url))))
    rows = [row for model in found.file.models for row in model.endpoints]
    typer.echo(f"  {len(found.file.models)} models, {len(rows)} endpoints")
    if disputed := sum(row.is_disputed for row in rows):
        typer.echo(f"  {disputed} prices on which they differ by a tenth and more; see `trunkline models --disputed`")
    for note in found.notes:
        typer.echo(f"warning: {note}", err=True)


class Fetched(NamedTuple):
    """A newer list: its bytes as they came, read, and what the server calls this state of it."""

    data: bytes
    file: ModelsFile
    etag: str


def _in_store(settings: Settings, work: Work[Result], *, is_write: bool = False) -> Result:
    """Do something with the lists in the store, in one transaction. Raises SettingsError, ServiceUnavailable."""
    if not is_shared(settings.store.url) and sqlite_path(settings.store.url) is None:
        raise SettingsError(["store.url names a database in memory, which keeps no list; put one in catalog.file"])
    return with_database(settings, lambda database: (database.write if is_write else database.read)(work))


def _etag(stored: ListRow, settings: Settings) -> str:
    """What the server called the list that is kept; empty where that is another server's, or is damaged."""
    try:
        unpack_list(stored)
    except ValueError:
        return ""
    return stored.etag if stored.url == shown_address(_address(settings)) else ""


def _tell(settings: Settings) -> None:
    if settings.store.counters is not None:
        load("trunkline.nodes.telling").tell_relisted(settings)


def _echo_in_force(found: InForce, *, is_expected: str) -> None:
    """Say so where what was kept is not what counts."""
    if found.where != is_expected:
        typer.echo(f"note: the list {found.where} stays in force ({found.why})", err=True)


def _address(settings: Settings) -> str:
    """Where newer lists are. Raises SettingsError where nobody said."""
    if settings.catalog.url is None:
        problem = "set catalog.url to the address of a newer models.json; until then the shipped one is used"
        raise SettingsError([problem])
    return settings.catalog.url


def _fetch(settings: Settings, etag: str) -> Fetched | None:
    """Fetch the list; None when the server knows no newer one than `etag`. Raises SettingsError."""
    url = _address(settings)
    shown = shown_address(url)
    try:
        answer = asyncio.run(_ask(url, etag))
    except UpstreamFailure as failure:
        raise SettingsError([f"cannot fetch {shown}: {told(failure.fault)}"]) from None
    if answer.status == 304:
        return None
    if answer.status != 200:
        raise SettingsError([f"cannot fetch {shown}: the server answers {answer.status}"])
    if len(answer.data) > MAX_BYTES:
        raise SettingsError([f"refused: {shown} is larger than {MAX_BYTES // 2**20} MiB"])
    try:
        return Fetched(answer.data, read_models(answer.data), answer.etag)
    except ValueError as error:
        raise SettingsError([f"refused: what {shown} gives cannot be used: {error}"]) from None


class _Answer(NamedTuple):
    status: int
    etag: str
    data: bytes


async def _ask(url: str, etag: str) -> _Answer:
    """Ask once; one byte more than is taken is read, so that it shows. Raises UpstreamFailure."""
    headers = {"accept": "application/json"} | ({"if-none-match": etag} if etag else {})
    client = HttpClient(Timeouts(10.0, DEADLINE_S, DEADLINE_S))
    client.open()
    try:
        reply = await client.send(UpstreamRequest("GET", url, headers, b""), time.monotonic() + DEADLINE_S)
        try:
            data = b"" if reply.status == 304 else await reply.body(MAX_BYTES + 1)
        finally:
            reply.close()
    finally:
        await client.close()
    told_etag = reply.headers.get("etag", "")
    return _Answer(reply.status, told_etag if len(told_etag) <= MAX_ETAG else "", data)


def _echo_difference(difference: Difference) -> None:
    if difference.is_empty:
        typer.echo("no difference")
        return
    for line in _difference_lines(difference):
        typer.echo(line)


def _difference_lines(difference: Difference) -> Iterator[str]:
    yield (
        f"{len(difference.added)} endpoints added, {len(difference.removed)} removed, "
        f"{len(difference.repriced)} with another price, {difference.kept} in both"
    )
    for sign, places in (("+", difference.added), ("-", difference.removed)):
        for model, provider, tag in places[:SHOWN]:
            yield f"  {sign} {model} at {tag or provider}"
        if len(places) > SHOWN:
            yield f"  {sign} … and {len(places) - SHOWN} more"
    for change in difference.repriced[:SHOWN]:
        model, provider, tag = change.place
        yield f"  $ {model} at {tag or provider}: {described(change.before)} → {described(change.after)}"
    if len(difference.repriced) > SHOWN:
        yield f"  $ … and {len(difference.repriced) - SHOWN} more"
