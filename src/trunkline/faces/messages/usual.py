"""The usual conversation, read in one step: a system text, or none, and messages of texts, in which nothing is wrong.

All else, and all that is wrong, is left to `conversation.py`, which alone says what is wrong and where. What both of
them take is the same from either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.protocol.body import MAX_INPUT_ITEMS
from trunkline.protocol.items import InputText, Json, Message, OutputText

BILLING: Final = "x-anthropic-billing-header:"
"""How the line begins with which Claude Code tells which program calls. It differs between conversations, so that no
cache would find again what stands behind it."""


def usual_conversation(raw: Mapping[str, Json]) -> tuple[Message, ...] | None:
    """Read the conversation of a body; None for every unusual one."""
    system, messages = raw.get("system"), raw.get("messages")
    if type(messages) is not list or not 0 < len(messages) <= MAX_INPUT_ITEMS:
        return None
    texts = usual_texts(messages)
    if texts is None:
        return None
    if system is None:
        return tuple(texts)
    if type(system) is not str or not system or system.startswith(BILLING):
        return None
    return (Message(role="system", content=(InputText(system),)), *texts)


def usual_texts(messages: list[Json]) -> list[Message] | None:
    """Read messages of texts, in which nothing can be wrong; None for all others."""
    found: list[Message] = []
    for value in messages:
        if type(value) is not dict or len(value) != 2:
            return None
        role, content = value.get("role"), value.get("content")
        if type(content) is not str or not content:
            return None
        if role == "user":
            found.append(Message(role="user", content=(InputText(content),)))
        elif role == "assistant":
            found.append(Message(role="assistant", content=(OutputText(content),)))
        else:
            return None
    return found
