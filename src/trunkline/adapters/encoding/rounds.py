"""The conversation as user and assistant taking turns strictly, for dialects that demand it.

It encodes nothing. System messages in the middle and pictures that the model made become the user's.
"""

from __future__ import annotations

from typing import assert_never

from msgspec import Struct

from trunkline.adapters.encoding.turns import (
    AssistantTurn,
    ResultsTurn,
    SystemTurn,
    UserTurn,
    images_as_user,
    merged,
    split_system,
    system_as_user,
    turns,
)
from trunkline.protocol.items import FunctionCallOutput, InputPart, InputText
from trunkline.protocol.request import Request

OPENING = UserTurn((InputText("(The conversation begins.)"),))
"""Stands before a conversation that the assistant begins, which is a 400."""


class UserRound(Struct, frozen=True, gc=False):
    """What the user's side said between two turns of the model: results of tools first, as a 400 would else follow."""

    results: tuple[FunctionCallOutput, ...] = ()
    parts: tuple[InputPart, ...] = ()


Round = UserRound | AssistantTurn


def rounds(request: Request) -> tuple[SystemTurn | None, list[Round]]:
    """The leading system text and the rounds, which alternate and begin with the user's."""
    system, rest = split_system(turns(request))
    if not rest and system is not None:
        rest = [UserTurn(system.pieces)]
        system = None
    found: list[Round] = []
    results: tuple[FunctionCallOutput, ...] = ()
    parts: tuple[InputPart, ...] = ()
    for turn in merged(images_as_user(system_as_user(rest))):
        match turn:
            case AssistantTurn():
                # Without anything before it, it is the first: the model's own turns are merged.
                found += UserRound(results, parts or (() if results else OPENING.parts)), turn
                results, parts = (), ()
            case ResultsTurn():
                results += turn.results
            case UserTurn():
                parts += turn.parts
            case SystemTurn():
                pass
            case _:
                assert_never(turn)
    if results or parts:
        found.append(UserRound(results, parts))
    return system, found
