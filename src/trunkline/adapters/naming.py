"""What the names that tools have on a wire stand for.

Who writes the names is `encoding/offers.py`, who restores them `decoding/restoring.py`; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from trunkline.stream.deltas import CallKind


class Called(Struct, frozen=True):
    """The tool that a client means: what kind of call it is told as, and its own name and namespace."""

    kind: CallKind
    name: str
    namespace: str = ""


WireNames = Mapping[str, Called]
"""By the name on the wire, those tools whose call has to be told otherwise than it is heard; mostly empty."""

AS_THEY_ARE: WireNames = MappingProxyType({})

INPUT = "input"
"""The one member of the arguments of a function that stands for a tool that takes raw text."""
