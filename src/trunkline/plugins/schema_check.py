"""Whether JSON text fits a schema or any text a pattern, told by jsonschema-rs; nothing is ever fetched for it.

The library is an optional extra, `healing`. A schema comes from a client, so what it refers to outside of itself is
refused (the library's own way would be to open files and addresses), its patterns are matched in linear time, and
where it could make more work than a moment's, nothing is checked: all else waits while the library is at it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias

from trunkline.plugins.schema_cost import parts_of
from trunkline.protocol.opaque import Json

Verdict = Literal["fits", "does_not_fit", "unchecked"]
"""`unchecked`: the library is missing, cannot read the schema or the text, or would take too long over it."""

Pattern: TypeAlias = Callable[[str], bool]
"""Whether a pattern matches somewhere in a text."""

MAX_KEPT_BYTES: Final = 64 * 1024
MAX_WORK: Final = 2_000_000
"""Parts of a schema times values of a text: at the worst some 0.4 s."""
_KEPT: Final = 64


def is_loaded() -> bool:
    """Whether the library is at hand; to load it holds up whoever does for 40 ms."""
    return "jsonschema_rs" in sys.modules


def check(schema: Mapping[str, Json], text: str) -> Verdict:
    """Say whether a text fits a schema; one that is no JSON does not."""
    try:
        value = json.loads(text, parse_constant=_not_json)
    except json.JSONDecodeError:
        return "does_not_fit"
    except (ValueError, RecursionError):
        return "unchecked"  # a number or a nesting beyond what is read here
    try:
        written = json.dumps(schema)
        kept = (_kept if len(written) <= MAX_KEPT_BYTES else _make)(written)
        if kept is None or kept.parts * _values(text) > MAX_WORK:
            return "unchecked"
        return "fits" if kept.fits(value) else "does_not_fit"
    except (ValueError, RecursionError):
        return "unchecked"


def pattern_of(pattern: str) -> Pattern:
    """Read a pattern, to be looked for in linear time.

    Raises ValueError in words for the operator, also where the library is missing.
    """
    try:
        import jsonschema_rs
    except ImportError:
        raise ValueError("needs the extra healing: pip install 'trunkline[healing]'") from None
    try:
        schema = {"pattern": pattern}
        return jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions()).is_valid
    except ValueError:
        raise ValueError("is no pattern that is matched in linear time: no look-around, no back-reference") from None


def _values(text: str) -> int:
    """At least as many as the values of a text, for a comma or a bracket stands before each."""
    return 1 + text.count(",") + text.count("[") + text.count("{")


class _Read(NamedTuple):
    """A schema that is read: what tells whether a value fits, and how many parts it has."""

    fits: Callable[[object], bool]
    parts: int


def _make(written: str) -> _Read | None:
    """Read a schema; None where the library is missing. Raises ValueError for none, and for one that is too large."""
    try:
        import jsonschema_rs
    except ImportError:
        return None
    schema = json.loads(written)
    if (parts := parts_of(schema)) > MAX_WORK:
        raise ValueError("too large a schema")
    try:
        validator = jsonschema_rs.validator_for(schema, retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions())
        return _Read(validator.is_valid, parts)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise ValueError("no schema") from error


@lru_cache(_KEPT)
def _kept(written: str) -> _Read | None:
    return _make(written)


def _refuse(uri: str) -> dict[str, Json]:
    raise ValueError(f"{uri} is outside of the schema")


def _not_json(word: str) -> object:
    raise json.JSONDecodeError("not a value", word, 0)
