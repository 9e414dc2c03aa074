"""A search of a Messages server's own, of which its answer tells one block before and one after → deltas.

The slot is the id of the first block, which the second names and a client may send back.
"""

from __future__ import annotations

from typing import Literal

from trunkline.adapters.decoding.searches import links, queries, results
from trunkline.adapters.messages.blocks import Block
from trunkline.adapters.messages.wire import given_input
from trunkline.stream.deltas import Delta, Search


def open_search(_: object, block: Block) -> list[Delta]:
    """Tell that a search has begun."""
    block.given = given_input(block.head)
    return [Search(block.head.id, "web", "in_progress")] if _is_search(block) else []


def close_search(_: object, block: Block) -> list[Delta]:
    """Tell what is looked for."""
    block.pieces.append(block.given)
    if not _is_search(block):
        return []
    return [Search(block.head.id, "web", "searching", queries("".join(block.pieces)))]


def open_found(_: object, block: Block) -> list[Delta]:
    """Tell what was found, or that the search failed."""
    if not block.head.tool_use_id:
        return []
    found = block.head.content
    status: Literal["failed", "completed"] = "failed" if isinstance(found, dict) else "completed"
    return [Search(block.head.tool_use_id, "web", status, sources=links(found), results=results(found))]


def _is_search(block: Block) -> bool:
    return block.head.name == "web_search" and bool(block.head.id)
