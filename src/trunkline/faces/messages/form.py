"""What only the telling of an answer needs of a request."""

from __future__ import annotations

from msgspec import Struct


class MessagesForm(Struct, frozen=True, gc=False):
    """`model` is the name as it was asked for, by which the answer has to go; empty where the gateway chose it.

    Claude Code leaves all thoughts out of the next request where an answer has another name (2.1.197, seen 2026-11-28).
    `estimated_input_tokens` is what a stream tells before anybody has counted; 0 for a whole answer.
    """

    model: str
    estimated_input_tokens: int = 0
