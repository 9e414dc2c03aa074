"""How a tree of commands behaves, whichever part of the program it is loaded with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def new_tree(words: str = "", *, has_completion: bool = True) -> typer.Typer:
    """Make a tree without commands. Its help and its errors are plain text, which every terminal and log can show."""
    return typer.Typer(
        help=words or None,
        no_args_is_help=True,
        add_completion=has_completion,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,  # they print local variables, and with them secrets
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def tree_of(part: Callable[..., Any] | typer.Typer, name: str | None = None) -> typer.Typer:
    """Make a tree with one command in it, or one group, for a run that needs no other."""
    tree = new_tree(has_completion=False)
    tree.callback()(_do_nothing)  # with one command and nothing before it, the word would be taken for an argument
    if isinstance(part, typer.Typer):
        tree.add_typer(part, name=name)
    else:
        tree.command(name)(part)
    return tree


def _do_nothing() -> None:
    """What is to be done before a command."""
