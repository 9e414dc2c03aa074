"""The Messages API as Anthropic's clients speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.faces.contract import Answering, Asked, Telling
from trunkline.faces.messages.frames import KEEP_ALIVE
from trunkline.faces.messages.identity import SESSION
from trunkline.faces.messages.parse import BETA, parse
from trunkline.faces.messages.refusal import answer_lines, model_lines, refuse
from trunkline.faces.messages.telling import MessagesTelling
from trunkline.faces.messages.whole import one_text
from trunkline.faces.whole_telling import WholeTelling


class MessagesFace:
    """`POST /messages`; or, where no answer is asked for and so none has a limit, `POST /messages/count_tokens`."""

    name = "messages"
    heeds = frozenset({BETA, SESSION})
    keep_alive = KEEP_ALIVE

    def __init__(self, *, needs_limit: bool = True) -> None:
        self._needs_limit = needs_limit

    def parse(self, body: bytes | bytearray, session_id: str | None, said: Mapping[bytes, bytes]) -> Asked:
        return parse(body, session_id, said, needs_limit=self._needs_limit)

    def telling(self, asked: Asked, answering: Answering) -> Telling:
        if asked.request.stream:
            return MessagesTelling(asked, answering)
        return WholeTelling(asked, answering, one_text=one_text, machine=MessagesTelling)

    # Functions as they are: a method around each would be one more call in every request.
    refuse = staticmethod(refuse)
    answer_lines = staticmethod(answer_lines)
    model_lines = staticmethod(model_lines)


MESSAGES: Final = MessagesFace()
COUNTED: Final = MessagesFace(needs_limit=False)
"""Reads what is to be counted."""
