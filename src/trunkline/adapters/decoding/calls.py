"""Tool calls that are none: the rule for stubs, whatever the wire calls their parts."""

from __future__ import annotations

NAMELESS = "a tool call has no name"


def says_nothing(arguments: str) -> bool:
    """Whether arguments ask for nothing. A call without a name is then an empty stub, and is read past.

    Such stubs come after a complete answer from servers that fill every field of a chunk.
    """
    return arguments.strip() in ("", "{}", "null")
