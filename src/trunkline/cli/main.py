"""The tree of commands: what serves, what it serves with, who may ask, what was asked and what that came to.

Each error is one line that says what to do next, and exit code 2 (`start.py`)."""

from __future__ import annotations

from typing import Annotated

import typer

from trunkline.cli.accounts import ACCOUNTS
from trunkline.cli.byok import BYOK
from trunkline.cli.catalog import CATALOG
from trunkline.cli.checking import check
from trunkline.cli.credits import CREDITS
from trunkline.cli.database import STORE
from trunkline.cli.keys import KEYS
from trunkline.cli.ledger import LEDGER
from trunkline.cli.models import list_models
from trunkline.cli.prompts import PROMPTS
from trunkline.cli.providers import PROVIDERS, providers_page
from trunkline.cli.reference import settings_page
from trunkline.cli.requests import REQUESTS
from trunkline.cli.route import ROUTE
from trunkline.cli.serving import serve
from trunkline.cli.start import main as main  # where the installed command of a development folder looks for it
from trunkline.cli.tree import new_tree
from trunkline.cli.usage import print_usage
from trunkline.version import VERSION

TREE = new_tree("A gateway of your own in front of every model provider. Start with: trunkline serve")
DOCS = typer.Typer(help="Print reference pages.", no_args_is_help=True)
TREE.add_typer(KEYS, name="keys")
TREE.add_typer(ACCOUNTS, name="accounts")
TREE.add_typer(CREDITS, name="credits")
TREE.add_typer(LEDGER, name="ledger")
TREE.add_typer(REQUESTS, name="requests")
TREE.add_typer(BYOK, name="byok")
TREE.add_typer(PROMPTS, name="prompts")
TREE.add_typer(PROVIDERS, name="providers")
TREE.add_typer(STORE, name="store")
TREE.add_typer(CATALOG, name="catalog")
TREE.add_typer(ROUTE, name="route")
TREE.add_typer(DOCS, name="docs")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"trunkline {VERSION}")
        raise typer.Exit


@TREE.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


# In the order of help: what one begins with.
TREE.command()(serve)
TREE.command()(check)
TREE.command("models")(list_models)
TREE.command("usage")(print_usage)


@DOCS.command("settings")
def print_settings_page() -> None:
    """Print the reference of all settings as Markdown."""
    typer.echo(settings_page(), nl=False)


@DOCS.command("providers")
def print_providers_page() -> None:
    """Print the reference of all providers as Markdown."""
    typer.echo(providers_page(), nl=False)
