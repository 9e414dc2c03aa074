"""What a provider says of how many tokens an input has, read without trust."""

from __future__ import annotations

from trunkline.adapters.decoding.strange import as_object, read_loosely
from trunkline.adapters.decoding.usage import count


def told_count(body: bytes, member: str) -> int | None:
    """The count in a member of an answer; None where there is none, since no input has no tokens."""
    return count(as_object(read_loosely(body)).get(member)) or None
