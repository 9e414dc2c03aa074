"""Chat Completions as OpenAI-style clients speak it."""

from __future__ import annotations

from typing import Final

from trunkline.faces.chat.parse import parse
from trunkline.faces.chat.refusal import refuse
from trunkline.faces.chat.telling import ChatTelling
from trunkline.faces.chat.whole import one_text
from trunkline.faces.contract import Answering, Asked, Lines, Telling
from trunkline.faces.whole_telling import WholeTelling
from trunkline.stream.sse import KEEP_ALIVE


class ChatFace:
    """`POST /chat/completions`."""

    name = "chat/completions"
    heeds: frozenset[bytes] = frozenset()
    keep_alive = KEEP_ALIVE

    # Functions as they are: a method around each would be one more call in every request.
    parse = staticmethod(parse)
    refuse = staticmethod(refuse)

    def telling(self, asked: Asked, answering: Answering) -> Telling:
        if asked.request.stream:
            return ChatTelling(asked, answering)
        return WholeTelling(asked, answering, one_text=one_text, machine=ChatTelling)

    def answer_lines(self, request_id: str) -> Lines:
        return b""

    def model_lines(self, model: str) -> Lines:
        return b""  # the answer itself says it


CHAT: Final = ChatFace()
