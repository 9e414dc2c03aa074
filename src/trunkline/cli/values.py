"""What is given to options and arguments → values, where that is plain; all else is left to typer.

Typer asks pydantic whether a text is a text, and loads it for that in every run: a fifth of what a short command
takes. What is refused, and in which words, stays typer's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import typer.core
from typer._coercion import RuntimeParam, TypeDescriptor, build_runtime_param

_UNREAD: Final = object()


def read_plainly() -> None:
    """Have the values of all commands of this process read here."""
    # The one place where typer makes what reads a parameter. Should it move, a test finds pydantic loaded.
    vars(typer.core)["build_runtime_param"] = _Plain


class _Plain:
    """Reads the values of one parameter."""

    def __init__(self, descriptor: TypeDescriptor) -> None:
        self._descriptor = descriptor
        self._by_typer: RuntimeParam | None = None

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value, as the command takes it. Raises what typer raises."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if (found := self._read(value)) is not _UNREAD:
            return found
        self._by_typer = self._by_typer or build_runtime_param(self._descriptor)
        return self._by_typer.coerce(value, param=param, ctx=ctx)

    def _read(self, value: Any) -> Any:
        """Read what needs no check."""
        form, bounds = self._descriptor.annotation, self._descriptor.parameter_info
        if form == list[str] and isinstance(value, tuple | list) and all(map(_is_plain, value)):
            return list(value)
        if form is str and _is_plain(value):
            return value
        if form is Path and _is_plain(value):
            return Path(value)
        if form is int and (type(value) is int or (_is_plain(value) and value.isdecimal())):
            most = bounds.max
            if (bounds.min or 0) <= int(value) and (most is None or int(value) <= most):
                return int(value)
        return _UNREAD


def _is_plain(value: Any) -> bool:
    """Whether it is a text, of letters that every terminal shows; one that is no Unicode is for typer to refuse."""
    return isinstance(value, str) and value.isascii() and value.isprintable()
