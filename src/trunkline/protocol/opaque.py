"""What passes through unread: JSON of any shape, and what one maker alone knows to do something with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

Json = Any
"""Opaque JSON: schemas, and whatever else passes through unread."""


def leaves_of(told: Json) -> Iterator[Json]:
    """The texts, numbers and other values in JSON of any shape, in no order."""
    waiting = [told]
    while waiting:
        match waiting.pop():
            case dict() as members:
                waiting.extend(members.values())
            case list() | tuple() as elements:
                waiting.extend(elements)
            case leaf:
                yield leaf


class _Opaque(dict[str, Json]):
    """An object as the client wrote it; it has a `type`."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """Which of its kind it is."""
        return str(self["type"])


class ServerTool(_Opaque):
    """A tool that OpenAI's servers run, or whose calls they alone can tell."""

    __slots__ = ()


class ServerToolChoice(_Opaque):
    """The choice of a tool that OpenAI's servers run."""

    __slots__ = ()


class ServerItem(_Opaque):
    """An item that OpenAI's servers alone can read or make, as their own encrypted summary, or a call they run."""

    __slots__ = ()


class AnthropicTool(_Opaque):
    """A tool of a type that Anthropic defines, as a Messages client wrote it."""

    __slots__ = ()

    @property
    def is_clients(self) -> bool:
        """Whether the client runs it and it is but a name and arguments, so that it can be told as a function."""
        return self.type.startswith(("bash_", "text_editor_", "memory_"))


class AnthropicItem(_Opaque):
    """A content block that Anthropic's servers alone can read or make, as it was written."""

    __slots__ = ()


class Anthropic(Struct, frozen=True, kw_only=True):
    """What a Messages client says that Anthropic's own servers alone know.

    `betas` are those of the header. `members` are members of the body, `tools` the same of single tools by their names;
    those of the search stand under `web_search`.
    `billing` is the line with which Claude Code tells which program calls, first in the system text.
    """

    betas: tuple[str, ...] = ()
    members: dict[str, Json] = {}
    tools: dict[str, dict[str, Json]] = {}
    billing: str | None = None
