"""What a Chat Completions request says of its answer alone; only the teller of that reads it."""

from __future__ import annotations

from msgspec import Struct


class ChatForm(Struct, frozen=True, gc=False):
    """How the answer is told: its usage in a chunk of its own, its thoughts at all, a call in the older form."""

    include_usage: bool = False
    tells_thoughts: bool = True
    calls_function: bool = False
