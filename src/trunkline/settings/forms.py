"""One plain value → a setting, by the type that `sections.py` gives it, and back to what an operator would write.

A type is one of Python's, a table of settings, or `Annotated` with the form that a value is written in and the bounds
it keeps to. Where values are from, and in what words a mistake is told, is not known here but for a value's own words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo

from trunkline.settings.secret import Secret

Json: TypeAlias = Any
Path: TypeAlias = tuple[str | int, ...]


class Written(NamedTuple):
    """How a value is written.

    `read` makes of it what is then read as the type, or raises ValueError with what to write; `write` goes back.
    """

    read: Callable[[object], object]
    write: Callable[[Any], str] | None = None


class Problem(NamedTuple):
    """What is wrong with the value at a path; `words` say it of a `value`."""

    path: Path
    kind: Literal["unknown", "missing", "table", "value"]
    words: str = ""


class Unreadable(Exception):
    """A table cannot be read; every problem in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(len(problems))
        self.problems = tuple(problems)


def read_table(kind: type[Struct], value: Json) -> Any:
    """Read nested plain values as a table of settings.

    Raises Unreadable with all problems at once.
    """
    problems: list[Problem] = []
    table = _read_table(kind, value, (), problems)
    if problems:
        raise Unreadable(problems)
    return table


def write_value(kind: Any, value: Any) -> Json:
    """Write a setting as plain values; secrets stay as they are."""
    if value is None:
        return None
    kind, forms = _taken_apart(kind)
    for form in forms:
        if isinstance(form, Written) and form.write is not None:
            return form.write(value)
    if isinstance(value, Struct):
        return {name: write_value(field.type, getattr(value, name)) for name, field in fields_of(type(value)).items()}
    inner = get_args(kind)
    if isinstance(value, dict) and inner:
        return {name: write_value(inner[1], each) for name, each in value.items()}
    return [write_value(inner[0], each) for each in value] if isinstance(value, list) and inner else value


@cache
def fields_of(kind: type[Struct]) -> Mapping[str, FieldInfo]:
    """The settings of a table, in their order."""
    return {field.name: field for field in msgspec.structs.fields(kind)}


def default_of(field: FieldInfo) -> Json:
    """What a setting is when nobody sets it, as written; None where that is nothing."""
    return None if field.default is msgspec.NODEFAULT else write_value(field.type, field.default)


def fields_at(kind: type[Struct], path: Path) -> list[str]:
    """List the names known in the table at a path."""
    found: Any = kind
    for part in path:
        field = fields_of(found).get(str(part)) if _is_table(found) else None
        inner = get_args(found)[-1] if field is None else field.type  # else an entry of dict[str, X] or list[X]
        found, _ = _taken_apart(inner)
    return list(fields_of(found)) if _is_table(found) else []


def _read_table(kind: type[Struct], value: Json, path: Path, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, "table"))
        return None
    before = len(problems)
    fields, found = fields_of(kind), {}
    for name, field in fields.items():
        if name in value:
            found[name] = _read(field.type, value[name], (*path, name), problems)
        elif field.required:
            problems.append(Problem((*path, name), "missing"))
    problems.extend(Problem((*path, name), "unknown") for name in value if name not in fields)
    if len(problems) > before:
        return None
    try:
        return kind(**found)
    except Unreadable as error:  # of settings in several tables together
        problems.extend(problem._replace(path=(*path, *problem.path)) for problem in error.problems)
    except ValueError as error:  # of several settings together
        problems.append(Problem(path, "value", str(error)))
    return None


def _read(kind: Any, value: Json, path: Path, problems: list[Problem]) -> Any:
    """Read a value of any type; what comes back beside a problem means nothing."""
    kind, forms = _taken_apart(kind)
    try:
        for form in forms:
            if isinstance(form, Written):
                value = form.read(value)
        if _is_table(kind):
            return _read_table(kind, value, path, problems)
        if get_origin(kind) in (list, dict):
            return _read_each(kind, value, path, problems)
        read = _read_choice(get_args(kind), value) if get_origin(kind) is Literal else _READERS[kind](value)
        for form in forms:
            if isinstance(form, Meta):
                _check_bounds(form, read)
        return read
    except ValueError as error:
        problems.append(Problem(path, "value", str(error)))
        return None


def _read_each(kind: Any, value: Json, path: Path, problems: list[Problem]) -> Any:
    inner = get_args(kind)[-1]
    if get_origin(kind) is list:
        if isinstance(value, list):
            return [_read(inner, each, (*path, index), problems) for index, each in enumerate(value)]
        raise ValueError('write a list, as ["a", "b"]')
    if isinstance(value, Mapping):
        return {name: _read(inner, each, (*path, name), problems) for name, each in value.items()}
    problems.append(Problem(path, "table"))
    return None


def _taken_apart(kind: Any) -> tuple[Any, tuple[object, ...]]:
    """Take `| None` and `Annotated` off a type; no file and no variable can say None."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if get_origin(kind) is Annotated:
        kind, *forms = get_args(kind)
        return kind, tuple(forms)
    return kind, ()


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _read_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    raise ValueError('write text, in quotes, as "…"')


def _read_whole(value: Json) -> int:
    # Of variables all values are texts.
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    if not isinstance(value, int | float) or not math.isfinite(value) or value % 1:
        raise ValueError("write a whole number, as 100")
    return int(value)


def _read_number(value: Json) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        number = None
    if number is None:
        raise ValueError("write a number, as 0.2")
    if not math.isfinite(number):
        raise ValueError("input should be a finite number")
    return number


def _read_claim(value: Json) -> bool:
    word = value.lower() if isinstance(value, str) else value
    for claim, words in ((True, _YES), (False, _NO)):
        if word in words:
            return claim
    raise ValueError("write true or false")


def _read_choice(choices: Sequence[str], value: Json) -> str:
    for choice in choices:
        if value == choice:
            return choice
    *most, last = map(repr, choices)
    raise ValueError(f"input should be {', '.join(most)} or {last}" if most else f"input should be {last}")


def _check_bounds(bounds: Meta, value: Any) -> None:
    for is_kept, words in (
        (bounds.gt is None or value > bounds.gt, f"be greater than {bounds.gt}"),
        (bounds.ge is None or value >= bounds.ge, f"be greater than or equal to {bounds.ge}"),
        (bounds.le is None or value <= bounds.le, f"be less than or equal to {bounds.le}"),
        (bounds.min_length is None or len(value) >= bounds.min_length, f"have at least {_letters(bounds.min_length)}"),
        (bounds.max_length is None or len(value) <= bounds.max_length, f"have at most {_letters(bounds.max_length)}"),
    ):
        if not is_kept:
            raise ValueError(f"{'string' if isinstance(value, str) else 'input'} should {words}")


def _letters(count: int | None) -> str:
    return f"{count} character{'' if count == 1 else 's'}"


_WHOLE = re.compile(r"[+-]?[0-9]{1,30}(_[0-9]+)*(\.0*)?")
_YES = (True, 1, "1", "true", "t", "yes", "y", "on")
_NO = (False, 0, "0", "false", "f", "no", "n", "off")

_READERS: Mapping[Any, Callable[[Json], Any]] = {
    str: _read_text,
    int: _read_whole,
    float: _read_number,
    bool: _read_claim,
    Secret: lambda value: Secret(_read_text(value)),
    # What its form has read already, and what is read elsewhere.
    Decimal: lambda value: value,
    Any: lambda value: value,
}
