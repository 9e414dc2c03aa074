"""Whether JSON text fits a schema, told by jsonschema-rs where it is installed; nothing is ever fetched for it.

The library is an optional extra, `healing`. A schema comes from a client, so what it refers to outside of itself is
refused (the library's own way would be to open files and addresses), and its patterns are matched in linear time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal

from trunkline.protocol.opaque import Json

Verdict = Literal["fits", "does_not_fit", "unchecked"]
"""`unchecked`: the library is missing, or cannot read the schema."""

MAX_KEPT_BYTES: Final = 64 * 1024
_KEPT: Final = 64


def is_loaded() -> bool:
    """Whether the library is at hand; to load it holds up whoever does for 40 ms."""
    return "jsonschema_rs" in sys.modules


def check(schema: Mapping[str, Json], text: str) -> Verdict:
    """Say whether a text fits a schema; one that is no JSON does not."""
    try:
        value = json.loads(text)
    except ValueError:
        return "does_not_fit"
    except RecursionError:
        return "unchecked"
    try:
        written = json.dumps(schema)
        fits = (_kept if len(written) <= MAX_KEPT_BYTES else _make)(written)
        if fits is None:
            return "unchecked"
        return "fits" if fits(value) else "does_not_fit"
    except (ValueError, RecursionError):
        return "unchecked"


def _make(written: str) -> Callable[[object], bool] | None:
    """What tells whether a value fits; None where the library is missing. Raises ValueError for no schema."""
    try:
        import jsonschema_rs
    except ImportError:
        return None
    try:
        return jsonschema_rs.validator_for(
            json.loads(written), retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions()
        ).is_valid
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise ValueError("no schema") from error


@lru_cache(_KEPT)
def _kept(written: str) -> Callable[[object], bool] | None:
    return _make(written)


def _refuse(uri: str) -> dict[str, Json]:
    raise ValueError(f"{uri} is outside of the schema")
