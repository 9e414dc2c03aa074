"""What strangers send, read without trust: JSON of any shape.

It knows no wire; what must have a shape is read into types, beside this.
"""

from __future__ import annotations

import msgspec

from trunkline.protocol.items import Json
from trunkline.wire import UNREADABLE

read_json = msgspec.json.Decoder().decode
"""Read any JSON. Raises what `UNREADABLE` names."""


def read_loosely(data: bytes | str | msgspec.Raw) -> Json:
    """Read any JSON; None where it is none."""
    try:
        return read_json(data)
    except UNREADABLE:
        return None


def as_object(value: Json) -> dict[str, Json]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
