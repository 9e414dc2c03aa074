"""check: what is in force, who is on, and what `serve` would refuse. What asks providers is loaded with --probe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from trunkline.accounts.opening import missed_board, verify_store
from trunkline.catalog.engines import Engine
from trunkline.catalog.entries import Catalog
from trunkline.catalog.moderators import Moderator
from trunkline.catalog.ocr_engines import OcrEngine
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.keys import database_name
from trunkline.cli.start import load
from trunkline.cli.tree import tree_of
from trunkline.inventory import load_catalog, load_engines, load_moderators, load_ocr_engines
from trunkline.plugins.words import lists_of
from trunkline.server.binding import bind
from trunkline.settings.reading import SettingsError, effective
from trunkline.settings.sections import Settings
from trunkline.upstream.parsing import EXTRA, Kind, find_missing, leaves_network


def check(
    config: Config = None,
    all_providers: Annotated[
        bool, typer.Option("--all", metavar="", help="Also list each provider that only lacks a key.")
    ] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            metavar="",
            help="Also ask each provider that is on for its models, and see whether search engines are there. "
            "It costs nothing.",
        ),
    ] = False,
) -> None:
    """Check the settings, and say what is in force and who is on.

    Each value is printed with where it came from; secrets are hidden. Nothing is started, and without --probe no
    provider is called. What `serve` would refuse is refused, with 2. It ends with 1 when a provider that the settings
    name is off, or one that was asked cannot be reached or refuses its key; so with search and OCR engines and
    moderators.
    """
    settings, sources = read_settings(config)
    catalog = load_catalog(settings)
    moderators = _load_moderators(settings)
    revision = verify_store(settings)
    with bind(settings.server.listen.rpartition(":")[0] + ":0"):
        pass  # whether the host is one of this machine's; the port may be in use by the gateway itself
    rows = list(effective(settings, sources))
    width = max(len(path) for path, _, _ in rows)
    typer.echo("Settings")
    for path, value, origin in rows:
        typer.echo(f"  {path:<{width}}  {value or '–'}  ({origin})")
    state = "tables are made at the start" if revision is None else f"tables of revision {revision}"
    typer.echo(f"Database\n  {database_name(settings)}  ({state})")
    named = {catalog.provider_slug(name) for name, entry in settings.providers.items() if entry.enabled is not False}
    _echo_providers(catalog, named, all_providers)
    engines = list(load_engines(settings).values())
    _echo_engines("Search engines", engines)
    _echo_engines("Moderators", moderators)
    ocr_engines = list(load_ocr_engines(settings).values())
    _echo_engines("OCR engines", ocr_engines)
    echo_documents(find_missing(), is_apart=leaves_network())
    typer.echo(f"Models\n  {len(catalog.endpoints)} served by {sum(map(len, catalog.endpoints.values()))} endpoints")
    for warning in catalog.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if (reason := asyncio.run(missed_board(settings))) is not None:
        typer.echo(f"warning: store.counters: {reason}", err=True)
    is_well = not probe or asyncio.run(_echo_reached(settings, catalog, engines))
    are_on = [catalog.standings[slug].is_on for slug in named] + [engine.is_on for engine in engines]
    are_on += [moderator.is_on for moderator in moderators]
    are_on += [engine.is_on for engine in ocr_engines]
    if not is_well or not all(are_on):
        raise typer.Exit(1)


TREE = tree_of(check)


def echo_documents(missing: Mapping[Kind, str | None], *, is_apart: bool) -> None:
    """Tell which kinds of documents are read; `is_apart`: by processes that leave the network."""
    read = ", ".join(kind.upper() for kind in missing if missing[kind] is None)
    apart = "without network" if is_apart else "which can open no connection"
    typer.echo(f"Documents\n  {read}  (each read by a process of its own, {apart})")
    if unread := ", ".join(kind.upper() for kind in missing if missing[kind] is not None):
        typer.echo(f"  not {unread}  ({EXTRA})")


def _echo_providers(catalog: Catalog, configured: set[str], all_providers: bool) -> None:
    typer.echo("Providers on")
    for slug, standing in catalog.standings.items():
        if standing.is_on:
            typer.echo(f"  {slug}  ({standing.reason})")
    typer.echo("Providers off")
    unused = []
    for slug, standing in catalog.standings.items():
        if standing.is_on:
            continue
        is_meant = slug in configured or standing.secret is not None or standing.provider.credential.scheme == "none"
        if is_meant or all_providers:
            typer.echo(f"  {slug}  ({standing.reason})")
        else:
            unused.append(slug)
    if unused:
        typer.echo(f"  no key for {len(unused)} others; `trunkline check --all` names the variables")


def _load_moderators(settings: Settings) -> list[Moderator]:
    """Raises SettingsError for a pattern that cannot be used."""
    moderators = list(load_moderators(settings).values())
    try:
        lists_of(moderators)
    except ValueError as error:
        raise SettingsError([str(error)]) from None
    return moderators


def _echo_engines(kind: str, engines: Sequence[Engine | OcrEngine] | Sequence[Moderator]) -> None:
    for title, are_on in ((f"{kind} on", True), (f"{kind} off", False)):
        if rows := [engine for engine in engines if engine.is_on == are_on]:
            typer.echo(title)
        for engine in rows:
            typer.echo(f"  {engine.name}  ({engine.kind}, {engine.reason})")


async def _echo_reached(settings: Settings, catalog: Catalog, engines: Sequence[Engine]) -> bool:
    """Tell of each provider and engine what came of asking it; says whether none failed."""
    reaching = load("trunkline.cli.reaching")
    slugs = [slug for slug, standing in catalog.standings.items() if standing.is_on]
    typer.echo(f"Providers asked (at most {reaching.DEADLINE_S:.0f} s)")
    all_found = []
    async for found in reaching.reach(settings, catalog):
        all_found.append(found)
        typer.echo(f"  {found.slug:<{max(map(len, slugs))}}  {found.words}")
    if any(engine.is_on for engine in engines):
        typer.echo("Search engines asked")
        width = max(len(engine.name) for engine in engines)
        async for found in reaching.reach_engines(settings, engines):
            all_found.append(found)
            typer.echo(f"  {found.slug:<{width}}  {found.words}")
    note = reaching.proxy_note(os.environ)
    if note is not None and not all(found.is_connected for found in all_found):
        typer.echo(f"note: {note}", err=True)
    return all(found.works != "no" for found in all_found)
