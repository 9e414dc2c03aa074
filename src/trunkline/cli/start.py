"""Where the command line starts: loads as much of the program as the command needs, and tells errors in a line each.

Half of the time that `trunkline keys create` takes would go into loading a server that it does not start.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

import typer

from trunkline.cli.documents import Refusal
from trunkline.cli.values import read_plainly
from trunkline.errors import GatewayError
from trunkline.settings.reading import SettingsError

_WHOLE = "trunkline.cli.main"
_PARTS = {
    "accounts": "trunkline.cli.accounts",
    "byok": "trunkline.cli.byok",
    "catalog": "trunkline.cli.catalog",
    "check": "trunkline.cli.checking",
    "credits": "trunkline.cli.credits",
    "keys": "trunkline.cli.keys",
    "ledger": "trunkline.cli.ledger",
    "models": "trunkline.cli.models",
    "prompts": "trunkline.cli.prompts",
    "providers": "trunkline.cli.providers",
    "requests": "trunkline.cli.requests",
    "route": "trunkline.cli.route",
    "serve": "trunkline.cli.serving",
    "store": "trunkline.cli.database",
    "usage": "trunkline.cli.usage",
}
"""First words that lead to a tree of their own, in which nothing else is."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with 0, or with 2 for an error, 1 for one of what was asked for."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    tree = _load_tree(given[0] if given else "")
    read_plainly()
    code = 2
    try:
        tree(args=given)
    except SettingsError as error:
        problems = error.problems
        code = 1 if isinstance(error, Refusal) else code
    except GatewayError as error:
        problems = (error.message,)
    try:
        for problem in problems:
            typer.echo(f"trunkline: {problem}", err=True)
    except OSError:
        sys.stderr = None  # what is left in its buffer would change the exit code
    sys.exit(code)


def load(name: str) -> ModuleType:
    """Load a module that few runs need, by name: an import would load it for all."""
    if name not in sys.modules:
        # What is loaded lives to the end: looking for garbage in it, meanwhile and at the end, took a fifth of a start.
        gc.disable()
        try:
            importlib.import_module(name)
        finally:
            gc.freeze()
            gc.enable()
    return sys.modules[name]


def _load_tree(word: str) -> typer.Typer:
    """Load the commands that a first word leads to."""
    tree = load(_PARTS.get(word, _WHOLE)).TREE
    assert isinstance(tree, typer.Typer)
    return tree
