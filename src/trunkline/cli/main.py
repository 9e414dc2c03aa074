"""The tree of commands: serve, check, keys, providers, models, catalog, docs.

Each error is one line that says what to do next, and exit code 2 (`start.py`)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from importlib.metadata import version as package_version
from typing import Annotated

import typer

from trunkline.accounts.keys import Keys, NewKey
from trunkline.accounts.opening import verify_bootstrap_key, verify_store
from trunkline.app import create, load_catalog
from trunkline.catalog.entries import Catalog
from trunkline.cli.catalog import CATALOG
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.greeting import greet, hand_over
from trunkline.cli.keys import KEYS, state_of, with_keys
from trunkline.cli.models import list_models
from trunkline.cli.providers import PROVIDERS, providers_page
from trunkline.cli.reaching import DEADLINE_S, proxy_note, reach
from trunkline.cli.reference import settings_page
from trunkline.cli.route import ROUTE
from trunkline.cli.start import main as main  # where the installed command of a development folder looks for it
from trunkline.cli.tree import new_tree
from trunkline.server import listener
from trunkline.settings.reading import effective
from trunkline.settings.sections import Settings
from trunkline.stopping import Stopping
from trunkline.telemetry import logs
from trunkline.telemetry.outlet import outlets

TREE = new_tree("A gateway of your own in front of every model provider. Start with: trunkline serve")
DOCS = typer.Typer(help="Print reference pages.", no_args_is_help=True)
TREE.add_typer(KEYS, name="keys")
TREE.add_typer(PROVIDERS, name="providers")
TREE.add_typer(CATALOG, name="catalog")
TREE.add_typer(ROUTE, name="route")
TREE.add_typer(DOCS, name="docs")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"trunkline {package_version('trunkline')}")
        raise typer.Exit


@TREE.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


@TREE.command()
def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 takes calls from elsewhere.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Start the gateway.

    It needs no settings file: a provider is on when its key is in the environment, as in
    OPENAI_API_KEY=… trunkline serve. The first start makes an API key and shows it once; where standard
    output is no terminal, it writes it to a file beside the database.
    """
    settings, _ = read_settings(config)
    if host is not None or port is not None:
        settings, _ = read_settings(config, {"server": {"listen": _listen(settings.server.listen, host, port)}})
    catalog = load_catalog(settings)
    with outlets(logs.dropped), listener.bind(settings.server.listen) as listening:
        new_key, good = with_keys(settings, lambda keys: _bootstrap(keys, settings), makes=True)
        if new_key is not None:
            hand_over(settings, new_key)
        stopping = Stopping(settings.server.drain, time.monotonic)
        application = create(settings, catalog, stopping)
        address = "http://{}:{}".format(*_reachable(listening.getsockname()))
        listener.serve(
            application,
            listening,
            settings.server,
            stopping,
            on_ready=lambda: greet(settings, catalog, address, new_key, good),
        )


@TREE.command()
def check(
    config: Config = None,
    all_providers: Annotated[
        bool, typer.Option("--all", metavar="", help="Also list each provider that only lacks a key.")
    ] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", metavar="", help="Also ask each provider that is on for its models, which costs nothing."
        ),
    ] = False,
) -> None:
    """Check the settings, and say what is in force and who is on.

    Each value is printed with where it came from; secrets are hidden. Nothing is started, and without --probe no
    provider is called. What `serve` would refuse is refused, with 2. It ends with 1 when a provider that the settings
    name is off, or one that was asked cannot be reached or refuses its key.
    """
    settings, sources = read_settings(config)
    catalog = load_catalog(settings)
    verify_store(settings)
    with listener.bind(settings.server.listen.rpartition(":")[0] + ":0"):
        pass  # whether the host is one of this machine's; the port may be in use by the gateway itself
    rows = list(effective(settings, sources))
    width = max(len(path) for path, _, _ in rows)
    typer.echo("Settings")
    for path, value, origin in rows:
        typer.echo(f"  {path:<{width}}  {value or '–'}  ({origin})")
    named = {catalog.provider_slug(name) for name, entry in settings.providers.items() if entry.enabled is not False}
    _echo_providers(catalog, named, all_providers)
    typer.echo(f"Models\n  {len(catalog.endpoints)} served by {sum(map(len, catalog.endpoints.values()))} endpoints")
    for warning in catalog.warnings:
        typer.echo(f"warning: {warning}", err=True)
    is_well = not probe or asyncio.run(_echo_reached(settings, catalog))
    if not is_well or not all(catalog.standings[slug].is_on for slug in named):
        raise typer.Exit(1)


TREE.command("models")(list_models)  # here, so that help has it after what one begins with


@DOCS.command("settings")
def print_settings_page() -> None:
    """Print the reference of all settings as Markdown."""
    typer.echo(settings_page(), nl=False)


@DOCS.command("providers")
def print_providers_page() -> None:
    """Print the reference of all providers as Markdown."""
    typer.echo(providers_page(), nl=False)


async def _bootstrap(keys: Keys, settings: Settings) -> tuple[NewKey | None, int]:
    """Make the first key if there is none; also count the keys that are good now."""
    given = verify_bootstrap_key(settings)
    made = await keys.bootstrap(given)
    good = sum(state_of(row) == "good" for row in await keys.all())
    return (made if given is None else None), good  # a key the operator brought need not be shown


def _listen(present: str, host: str | None, port: int | None) -> str:
    present_host, _, present_port = present.rpartition(":")
    host = present_host if host is None else f"[{host}]" if ":" in host else host
    return f"{host}:{present_port if port is None else port}"


def _reachable(address: Sequence[object]) -> tuple[str, object]:
    """Name a socket's address as a client on this machine reaches it."""
    host = str(address[0])
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return (f"[{host}]" if ":" in host else host), address[1]


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


async def _echo_reached(settings: Settings, catalog: Catalog) -> bool:
    """Tell of each provider what came of asking it; says whether none failed."""
    slugs = [slug for slug, standing in catalog.standings.items() if standing.is_on]
    typer.echo(f"Providers asked (at most {DEADLINE_S:.0f} s)")
    all_found = []
    async for found in reach(settings, catalog):
        all_found.append(found)
        typer.echo(f"  {found.slug:<{max(map(len, slugs))}}  {found.words}")
    note = proxy_note(os.environ)
    if note is not None and not all(found.is_connected for found in all_found):
        typer.echo(f"note: {note}", err=True)
    return all(found.works != "no" for found in all_found)
