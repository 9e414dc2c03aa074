"""`trunkline catalog`: newer lists of models fetched, compared and taken back.

A fetched list replaces the shipped one as a whole; the operator's own entries always lie over it. It is not believed
when it is implausible (`catalog/renewal.py`), and a running gateway reads it at its next start.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from trunkline.catalog.gather import read_models
from trunkline.catalog.renewal import Difference, age_of, compare, described, objections
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.probing import told
from trunkline.cli.tree import tree_of
from trunkline.inventory import models_in_force, shipped_models
from trunkline.settings.reading import SettingsError, shown_address
from trunkline.settings.sections import Settings
from trunkline.store.lists import Fetched, Kept
from trunkline.upstream.http import HttpClient
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import UpstreamRequest

MAX_BYTES = 10 * 2**20
"""The largest list that is taken."""

DEADLINE_S = 60.0
SHOWN = 20
"""How many changes of a kind are listed one by one."""

CATALOG = typer.Typer(help="Fetch a newer list of models, compare it, take it back.", no_args_is_help=True)
TREE = tree_of(CATALOG, "catalog")


@CATALOG.command()
def update(
    force: Annotated[bool, typer.Option("--force", help="Take it although it is implausible.")] = False,
    config: Config = None,
) -> None:
    """Fetch the list that catalog.url names, and use it.

    It is checked first, and used from the next start on. The list before it is kept: `trunkline catalog rollback`
    brings it back.
    """
    settings, _ = read_settings(config)
    place = Kept(Path(settings.catalog.file))
    fetched = _fetch(settings, place.etag(settings.catalog.url or ""))
    if fetched is None:
        typer.echo("nothing new: the server says that the list has not changed")
        return
    present, _ = models_in_force(settings)
    reasons = objections(present, fetched.file)
    if reasons and not force:
        raise SettingsError([f"refused: {reasons[0]}", *reasons[1:SHOWN], "--force takes it all the same"])
    _echo_difference(compare(present, fetched.file))
    place.keep(fetched, settings.catalog.url or "")
    typer.echo(f"kept in {place.path}, of {age_of(fetched.file) or 'an unknown day'}; start the gateway anew to use it")


@CATALOG.command()
def diff(config: Config = None) -> None:
    """Say what `update` would change, and change nothing."""
    settings, _ = read_settings(config)
    fetched = _fetch(settings, "")
    present, _ = models_in_force(settings)
    if fetched is not None:
        _echo_difference(compare(present, fetched.file))
        for reason in objections(present, fetched.file):
            typer.echo(f"would be refused: {reason}")


@CATALOG.command()
def rollback(config: Config = None) -> None:
    """Go back to the list before the last update.

    To the shipped one if there was none.
    """
    settings, _ = read_settings(config)
    place = Kept(Path(settings.catalog.file))
    before, _ = models_in_force(settings)
    typer.echo(place.roll_back())
    after, _ = models_in_force(settings)
    _echo_difference(compare(before, after))


@CATALOG.command()
def show(config: Config = None) -> None:
    """Say which list is in force, and how old it is.

    And what it was made from.
    """
    settings, _ = read_settings(config)
    file, notes = models_in_force(settings)
    is_shipped = file == shipped_models()
    typer.echo("the list that came with this version" if is_shipped else f"the list in {settings.catalog.file}")
    for source in file.sources:
        name = f"{source.name} {source.version}".rstrip()
        typer.echo("  " + "  ".join(filter(None, (name, f"of {source.date}", source.licence, source.url))))
    rows = [row for model in file.models for row in model.endpoints]
    typer.echo(f"  {len(file.models)} models, {len(rows)} endpoints")
    if disputed := sum(row.is_disputed for row in rows):
        typer.echo(f"  {disputed} prices on which they differ by a tenth and more; see `trunkline models --disputed`")
    for note in notes:
        typer.echo(f"warning: {note}", err=True)


def _fetch(settings: Settings, etag: str) -> Fetched | None:
    """Fetch the list; None when the server knows no newer one than `etag`. Raises SettingsError."""
    url = settings.catalog.url
    if url is None:
        problem = "set catalog.url to the address of a newer models.json; until then the shipped one is used"
        raise SettingsError([problem])
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
    return _Answer(reply.status, reply.headers.get("etag", ""), data)


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
