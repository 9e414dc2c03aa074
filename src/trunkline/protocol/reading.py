"""Readers: small functions that take one JSON value and give it back typed, or raise `Wrong`.

A reader does not know where its value stands. Each container adds its own step to a `Wrong` that passes through it,
so a right value costs nothing for its path. An explicit null member of an object counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from trunkline.protocol.items import Json

T = TypeVar("T")
Reader = Callable[[Json], T]
Step = str | int

_SHOWN_CHARACTERS = 80
_encoder = msgspec.json.Encoder(decimal_format="number")
_PLAIN_STEP = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_NUMBER = 1e12


class Wrong(Exception):
    """A value that cannot be taken.

    `complaint` reads on after the path, as "must be a string, not 5"; `steps` lead to the value, innermost first.
    `kind` is the kind of the error where it is a more exact one than its place tells.
    """

    def __init__(self, complaint: str, *steps: Step, kind: str | None = None) -> None:
        super().__init__(complaint)
        self.complaint = complaint
        self.kind = kind
        self.steps = list(steps)


def mismatch(value: Json, expected: str, *steps: Step) -> Wrong:
    """Make the complaint about a value that is not the `expected`."""
    return Wrong(f"must be {expected}, not {shown(value)}", *steps)


def spelled_path(steps: Iterable[Step]) -> str:
    """Spell a path from the outside in, as `input[2].content[0]`; odd keys are quoted and cut."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _PLAIN_STEP.fullmatch(step):
            path += f".{step}" if path else step
        else:
            path += f"[{shown(step)}]"
    return path


def shown(value: Json) -> str:
    """Write a value for a message: cut to about 80 characters, containers by their kind only."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    head = value[:_SHOWN_CHARACTERS] if isinstance(value, str) else value
    spelled = _encoder.encode(head).decode()
    if len(spelled) > _SHOWN_CHARACTERS or (isinstance(value, str) and len(value) > _SHOWN_CHARACTERS):
        return spelled[: _SHOWN_CHARACTERS - 1] + "…"
    return spelled


def text(*, at_least: int = 0, at_most: int | None = None) -> Reader[str]:
    """Read a string; the bounds are in code points."""
    if not at_least and at_most is None:
        return any_text

    def read(value: Json) -> str:
        if not isinstance(value, str):
            raise mismatch(value, "a string")
        if at_most is not None and len(value) > at_most:
            raise Wrong(f"must have at most {at_most} characters, not {len(value)}")
        if len(value) < at_least:
            raise Wrong("must not be empty")
        return value

    return read


def any_text(value: Json) -> str:
    """Read a string of any length."""
    if not isinstance(value, str):
        raise mismatch(value, "a string")
    return value


def flag(value: Json) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise mismatch(value, "true or false")
    return value


_WHOLE_TYPES: dict[Reader[Any], type] = {any_text: str, flag: bool}
"""The readers that give every value of a type back as it is, so that they need not be asked about one."""


def number(low: float, high: float = _MAX_NUMBER) -> Reader[float]:
    """Read a number within two bounds; without `high` the bound is beyond any use."""
    expected = f"a number from {low:g} to {high:g}" if high < _MAX_NUMBER else f"a number of at least {low:g}"

    def read(value: Json) -> float:
        if type(value) is float and low <= value <= high:
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise mismatch(value, expected)
        return float(value)

    return read


def whole(low: int, high: int) -> Reader[int]:
    """Read a whole number within two bounds; 3.0 is one."""
    expected = f"a whole number from {low} to {high}"

    def read(value: Json) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise mismatch(value, expected)
        return value

    return read


def one_of(names: Iterable[str]) -> Reader[str]:
    """Read one of a few strings."""
    allowed = frozenset(names)
    expected = named(allowed)

    def read(value: Json) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise mismatch(value, expected)
        return value

    return read


def opaque_object(value: Json) -> dict[str, Json]:
    """Read an object whose members are not ours to judge."""
    if not isinstance(value, dict):
        raise mismatch(value, "an object")
    return value


def refuse(complaint: str) -> Reader[None]:
    """Refuse every value."""

    def read(value: Json) -> None:
        raise Wrong(complaint)

    return read


def one_of_or(names: Iterable[str], otherwise: str) -> Reader[str]:
    """Read one of a few strings; any other string is taken for `otherwise`."""
    allowed = frozenset(names)

    def read(value: Json) -> str:
        if not isinstance(value, str):
            raise mismatch(value, "a string")
        return value if value in allowed else otherwise

    return read


def readable(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """Read an array and leave out the entries that its reader does not take."""

    def read(value: Json) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise mismatch(value, "an array")
        entries: list[T] = []
        for entry in value:
            with suppress(Wrong):
                entries.append(reader(entry))
        return tuple(entries)

    return read


def array(reader: Reader[T], *, at_most: int | None = None) -> Reader[tuple[T, ...]]:
    """Read an array whose entries one reader takes."""

    def read(value: Json) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise mismatch(value, "an array")
        if at_most is not None and len(value) > at_most:
            raise Wrong(f"must have at most {at_most} entries, not {len(value)}")
        entries: list[T] = []
        try:
            for entry in value:
                entries.append(reader(entry))
        except Wrong as wrong:
            wrong.steps.append(len(entries))
            raise
        return tuple(entries)

    return read


def mapping(reader: Reader[T]) -> Reader[dict[str, T]]:
    """Read an object with keys of the client's choice, whose values one reader takes; null is a value here."""

    def read(value: Json) -> dict[str, T]:
        if not isinstance(value, dict):
            raise mismatch(value, "an object")
        members: dict[str, T] = {}
        key = ""
        try:
            for key, member in value.items():
                members[key] = reader(member)
        except Wrong as wrong:
            wrong.steps.append(key)
            raise
        return members

    return read


def record(
    build: Callable[..., T],
    readers: Mapping[str, Reader[object]],
    *,
    required: tuple[str, ...] = (),
    closed: bool = False,
) -> Reader[T]:
    """Read an object and build a value of its members, which are the arguments by name.

    Members without a reader are left out, or refused where the object is `closed`.
    """
    whole_types = {key: _WHOLE_TYPES.get(reader) for key, reader in readers.items()}

    def read(value: Json) -> T:
        if not isinstance(value, dict):
            raise mismatch(value, "an object")
        members: dict[str, object] = {}
        key = ""
        try:
            for key, member in value.items():
                if key in readers:
                    if type(member) is whole_types[key]:
                        members[key] = member
                    elif member is not None:
                        members[key] = readers[key](member)
                elif closed:
                    raise Wrong(f"is not known here; known are {', '.join(sorted(readers))}")
        except Wrong as wrong:
            wrong.steps.append(key)
            raise
        for key in required:
            if key not in members:
                raise Wrong("is required", key)
        return build(**members)

    return read


def tagged(
    readers: Mapping[str, Reader[T]],
    *,
    key: str = "type",
    default: str | None = None,
    refused: Mapping[str, str] = {},
) -> Reader[T]:
    """Read an object whose `key` says which reader takes it.

    `refused` holds complaints about well-known tags that have no place here.
    """
    expected = named(readers)

    def read(value: Json) -> T:
        if not isinstance(value, dict):
            raise mismatch(value, "an object")
        tag = value.get(key)
        if tag is None:
            tag = default
        reader = readers.get(tag) if isinstance(tag, str) else None
        if reader is not None:
            return reader(value)
        if isinstance(tag, str) and tag in refused:
            raise Wrong(refused[tag], key)
        if tag is None:
            raise Wrong(f"is required and must be {expected}", key)
        raise mismatch(tag, expected, key)

    return read


def named(names: Iterable[str]) -> str:
    """List what is allowed, for a message."""
    spelled = ", ".join(f'"{name}"' for name in sorted(names))
    return f"one of {spelled}" if "," in spelled else spelled
