"""Makes up a JSON document that fits a JSON schema, always the same for the same schema and number.

Covers what tools and answer formats are written with; a schema that contradicts itself gets a document that fits part
of it. Never fetches, never follows a reference into itself, never runs a pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor

from trunkline.protocol.items import Json

FULL_DEPTH = 4
"""Deeper than this only what must be there is made."""
MAX_DEPTH = 8
MAX_LENGTH = 1_000
"""The most repetitions, characters and items that are made at one place."""
MAX_VALUES = 10_000
"""The most values and schemas that are looked at for one document."""

_FORMATS: Mapping[str, str] = {
    "date": "2026-01-{day:02}",
    "date-time": "2026-01-{day:02}T12:00:00Z",
    "time": "12:00:{day:02}Z",
    "duration": "PT{day}M",
    "email": "reader{day}@example.com",
    "hostname": "host{day}.example.com",
    "ipv4": "192.0.2.{day}",
    "ipv6": "2001:db8::{day}",
    "uri": "https://example.com/{day}",
    "url": "https://example.com/{day}",
    "uri-reference": "/{day}",
    "uuid": "00000000-0000-4000-8000-{day:012}",
    "json-pointer": "/{day}",
    "regex": "^a{{{day}}}$",
}


def example(schema: Mapping[str, Json], number: int = 0) -> Json:
    """Make a document that fits; another `number` gives another document where the schema leaves a choice."""
    return _Maker(schema).value(schema, "value", number, 0)


class _Maker:
    """Counts what it makes: nested lists of many items would otherwise grow without bound."""

    def __init__(self, root: Mapping[str, Json]) -> None:
        self._root = root
        self._room = MAX_VALUES

    def value(self, schema: Json, name: str, number: int, depth: int) -> Json:
        self._room -= 1
        if self._room < 0:
            return None
        schema = self._flat(schema, 0)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return choices[number % len(choices)]
        match _type(schema):
            case "object":
                return self._object(schema, number, depth)
            case "array":
                return self._array(schema, name, number, depth)
            case "string":
                return _string(schema, name, number)
            case "integer":
                return int(_number(schema, number, is_whole=True))
            case "number":
                return _number(schema, number, is_whole=False)
            case "boolean":
                return number % 2 == 0
            case _:
                return None

    def _flat(self, schema: Json, depth: int) -> dict[str, Json]:
        """Lay what it points to, `allOf`, and the first choice of `anyOf` and `oneOf` over the schema."""
        self._room -= 1
        if not isinstance(schema, dict) or depth > MAX_DEPTH or self._room < 0:
            return {}
        parts: list[Json] = list(_list(schema.get("allOf")))
        if "$ref" in schema:
            parts.append(_target(self._root, str(schema["$ref"])))
        for key in ("anyOf", "oneOf"):
            choices = [choice for choice in _list(schema.get(key)) if isinstance(choice, dict)]
            parts += [choice for choice in choices if choice.get("type") != "null"][:1] or choices[:1]
        merged = {key: value for key, value in schema.items() if key not in _COMBINED}
        for part in parts:
            flat = self._flat(part, depth + 1)
            properties = {**_dict(merged.get("properties")), **_dict(flat.get("properties"))}
            required = [*_list(merged.get("required")), *_list(flat.get("required"))]
            merged = {**merged, **flat}
            if properties:
                merged["properties"] = properties
            if required:
                merged["required"] = required
        return merged

    def _object(self, schema: Mapping[str, Json], number: int, depth: int) -> dict[str, Json]:
        properties = _dict(schema.get("properties"))
        required = [key for key in dict.fromkeys(_list(schema.get("required"))) if isinstance(key, str)]
        names = list(dict.fromkeys([*required, *(properties if depth < FULL_DEPTH else ())]))
        extra = schema.get("additionalProperties", {})
        made = {name: self.value(properties.get(name, extra), name, number, depth + 1) for name in names[:MAX_LENGTH]}
        for index in range(len(made), min(_count(schema, "minProperties"), MAX_LENGTH)):
            made[f"property{index}"] = self.value(extra, "value", number, depth + 1)
        return made

    def _array(self, schema: Mapping[str, Json], name: str, number: int, depth: int) -> list[Json]:
        first = [self.value(item, name, number, depth + 1) for item in _list(schema.get("prefixItems"))[:MAX_LENGTH]]
        items = schema.get("items")
        least = max(_count(schema, "minItems"), 0 if first or depth >= FULL_DEPTH else 1)
        most = schema.get("maxItems")
        wanted = min(least, MAX_LENGTH, most if isinstance(most, int) else MAX_LENGTH)
        rest = [self.value(items, name, number + index, depth + 1) for index in range(len(first), wanted)]
        return first + rest


def _target(root: Mapping[str, Json], reference: str) -> Json:
    """Follow a JSON pointer within the document; anything else leads to a schema that takes everything."""
    here: Json = root
    for step in reference.removeprefix("#").split("/")[1:] if reference.startswith("#") else ("nowhere",):
        here = _dict(here).get(step.replace("~1", "/").replace("~0", "~"))
    return here


def _type(schema: Mapping[str, Json]) -> str:
    told = schema.get("type")
    if isinstance(told, list):
        told = next((one for one in told if one != "null"), "null")
    if isinstance(told, str):
        return told
    for kind, keys in _HINTS:
        if any(key in schema for key in keys):
            return kind
    return "object"


_COMBINED = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_HINTS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("object", ("properties", "required", "additionalProperties")),
    ("array", ("items", "prefixItems", "minItems")),
    ("string", ("pattern", "format", "minLength", "maxLength")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)


def _string(schema: Mapping[str, Json], name: str, number: int) -> str:
    pattern = schema.get("pattern")
    form = _FORMATS.get(str(schema.get("format")))
    if isinstance(pattern, str):
        text = fitting(pattern)
    elif form is not None:
        text = form.format(day=number % 28 + 1)
    else:
        text = name if number == 0 else f"{name} {number}"
    if len(text) < (least := min(_count(schema, "minLength"), MAX_LENGTH)):
        text += "x" * (least - len(text))
    most = schema.get("maxLength")
    return text[:most] if isinstance(most, int) and most >= 0 else text


def _number(schema: Mapping[str, Json], number: int, *, is_whole: bool) -> float:
    step = _bound(schema, "multipleOf") or (1 if is_whole else 0)
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    if above is not None:
        ceiling = below if high is None else high
        least = above + step if step else above + 1 if ceiling is None else (above + ceiling) / 2
        low = least if low is None else max(least, low)
    if below is not None:
        most = below - step if step else below - 1 if low is None else (below + low) / 2
        high = most if high is None else min(most, high)
    value = float(low if low is not None else min(1, high) if high is not None else 1) + number * (step or 1)
    if step:
        value = ceil(value / step - 1e-9) * step
    if high is not None and value > high and (low is None or high >= low):
        value = floor(high / step + 1e-9) * step if step else high
    return int(value) if value == int(value) else value


def _bound(schema: Mapping[str, Json], key: str) -> float | None:
    value = schema.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 else None


def _count(schema: Mapping[str, Json], key: str) -> int:
    value = schema.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _dict(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


# Patterns


def fitting(pattern: str) -> str:
    """Make up a text that a plain regular expression matches.

    Knows literals, classes, groups, choices and repetitions, and takes the first or the least of each; assertions
    other than `^` and `$` and back-references are passed over.
    """
    return _Pattern(pattern[:MAX_LENGTH]).choice(0)[:MAX_LENGTH]


_CLASSES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a", "n": "\n", "t": "\t", "r": "\r"}
_NOTHING = frozenset("bBAZzG123456789")
_REPEATS = re.compile(r"\{(\d+)(?:,\d*)?\}")


class _Pattern:
    """Reads a pattern from left to right, once."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def choice(self, depth: int) -> str:
        """The first alternative up to the end or the closing bracket."""
        alternatives = [""]
        while (letter := self._next()) not in ("", ")"):
            if letter == "|":
                alternatives.append("")
            else:
                alternatives[-1] += self._piece(letter, depth) * self._repeats()
                alternatives[-1] = alternatives[-1][:MAX_LENGTH]
        return alternatives[0]

    def _piece(self, letter: str, depth: int) -> str:
        match letter:
            case "^" | "$":
                return ""
            case ".":
                return "a"
            case "[":
                return self._class()
            case "\\":
                escaped = self._next()
                return "" if escaped in _NOTHING else _CLASSES.get(escaped, escaped)
            case "(":
                return self._group(depth)
            case _:
                return letter

    def _group(self, depth: int) -> str:
        is_assertion = False
        if self._pattern.startswith("?", self._at):
            head = re.compile(r"\?(?:P?<\w+>|[:=!>]|<[=!])").match(self._pattern, self._at)
            self._at = head.end() if head else self._at + 1
            is_assertion = bool(head) and ("=" in head[0] or "!" in head[0]) if head else False
        if depth > MAX_DEPTH:
            return ""
        inside = self.choice(depth + 1)
        return "" if is_assertion else inside

    def _class(self) -> str:
        is_negated = self._pattern.startswith("^", self._at)
        self._at += is_negated
        members = list(self._members())
        if not is_negated:
            return members[0] if members else ""
        return next((letter for letter in "axX0-_ " if letter not in members), "a")

    def _members(self) -> Iterator[str]:
        """What a class names; of a range only its ends, and what lies between for a negated one is not needed."""
        is_first = True
        while (letter := self._next()) not in ("", "]") or is_first:
            if letter == "":
                return
            is_first = False
            yield _CLASSES.get(escaped := self._next(), escaped) if letter == "\\" else letter

    def _repeats(self) -> int:
        """How often the piece before comes: the least, but once where it may be left out."""
        counted = _REPEATS.match(self._pattern, self._at)
        if counted:
            self._at = counted.end()
            times = min(int(counted[1][:5]), MAX_LENGTH)
        elif self._pattern[self._at : self._at + 1] in ("*", "+", "?"):
            self._at += 1
            times = 1
        else:
            return 1
        if self._pattern[self._at : self._at + 1] in ("?", "+"):
            self._at += 1
        return times

    def _next(self) -> str:
        letter = self._pattern[self._at : self._at + 1]
        self._at += 1
        return letter
