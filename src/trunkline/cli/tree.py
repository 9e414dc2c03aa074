"""How a tree of commands behaves, whichever part of the program it is loaded with."""

from __future__ import annotations

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
