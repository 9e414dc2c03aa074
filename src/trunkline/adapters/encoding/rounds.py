"""The conversation as user and assistant taking turns strictly, for dialects that demand it.

It encodes nothing. System messages in the middle and pictures that the model made become the user's.
"""

from __future__ import annotations

from typing import assert_never

from msgspec import Struct

from trunkline.adapters.encoding.turns import (
    AssistantTurn,
    ResultsTurn,
    Said,
    SystemTurn,
    UserTurn,
    images_as_user,
    merged,
    split_system,
    system_as_user,
    turns,
)
from trunkline.protocol.items import FunctionCallOutput, InputPart, InputText, Message, OutputText
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
    if request.is_text_alone and (taken := _taking_turns(request)) is not None:
        return taken
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


def _taking_turns(request: Request) -> tuple[SystemTurn | None, list[Round]] | None:
    """The same of a conversation that takes turns already, one text at a time, as nearly all do; None of any other.

    Nothing of it is to be grouped, joined or left out.
    """
    system = SystemTurn(request.instructions) if request.instructions else None
    found: list[Round] = []
    is_users = True
    for message in request.input:
        if type(message) is not Message or len(message.content) != 1:
            return None
        part, role = message.content[0], message.role
        if not isinstance(part, InputText | OutputText) or not part.text or part.text.isspace():
            return None
        if role == "assistant" and not is_users:
            found.append(AssistantTurn((Said(part.text),)))
        elif type(part) is not InputText:
            return None
        elif role == "user" and is_users:
            found.append(UserRound((), (part,)))
        elif role != "user" and role != "assistant" and system is None and not found:
            system = SystemTurn(part.text)
            continue
        else:
            return None
        is_users = not is_users
    return (system, found) if found else None
