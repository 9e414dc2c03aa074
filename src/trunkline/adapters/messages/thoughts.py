"""A thought that a Messages server tells, and its proof → deltas; what is said in between is `answer.py`'s."""

from __future__ import annotations

from trunkline.adapters.decoding.repeats import HeldStart, grown
from trunkline.adapters.messages.blocks import Block
from trunkline.adapters.messages.wire import Piece
from trunkline.catalog.entries import Endpoint
from trunkline.stream.deltas import Delta, ReasoningSeal
from trunkline.stream.seals import format_named


def open_thinking(_: object, block: Block) -> list[Delta]:
    """Hold what the start of a thought says."""
    block.signature = block.head.signature or ""
    if block.head.thinking:
        block.held = HeldStart(block.head.thinking)
    return []


def fill_signature(_: object, block: Block, piece: Piece) -> list[Delta]:
    """Gather the signature, which is told when the thought ends."""
    block.signature = grown(block.signature, piece.signature or "")
    return []


def proof_of(
    block: Block, endpoint: Endpoint, encrypted: str | None = None, signature: str | None = None
) -> ReasoningSeal:
    """What proves a thought to who made it."""
    named = format_named(endpoint.quirks.reasoning_format)
    return ReasoningSeal(block.slot, encrypted, signature, named, endpoint_id=endpoint.id)
