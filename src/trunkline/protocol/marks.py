"""What a client marks of a request."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class CacheMark(Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="ephemeral"):
    """A wish that all up to what carries it be kept for the next request; without `ttl` as long as is usual."""

    ttl: Literal["5m", "1h"] | None = None
