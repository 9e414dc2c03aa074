"""Chat Completions as OpenAI-style clients speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.errors import GatewayError
from trunkline.faces.chat.parse import parse
from trunkline.faces.chat.refusal import refuse
from trunkline.faces.chat.telling import ChatTelling
from trunkline.faces.chat.whole import one_text
from trunkline.faces.contract import Answering, Asked, Lines, Refusal, Telling
from trunkline.faces.whole_telling import WholeTelling
from trunkline.stream.sse import KEEP_ALIVE


class ChatFace:
    """`POST /chat/completions`."""

    name = "chat/completions"
    heeds: frozenset[bytes] = frozenset()
    keep_alive = KEEP_ALIVE

    def parse(self, body: bytes | bytearray, session_id: str | None, said: Mapping[bytes, bytes]) -> Asked:
        return parse(body, session_id, said)

    def telling(self, asked: Asked, answering: Answering) -> Telling:
        if asked.request.stream:
            return ChatTelling(asked, answering)
        return WholeTelling(asked, answering, one_text=one_text, machine=ChatTelling)

    def refuse(self, error: GatewayError, request_id: str, owner: str | None) -> Refusal:
        return refuse(error, request_id, owner)

    def answer_lines(self, request_id: str) -> Lines:
        return b""

    def model_lines(self, model: str) -> Lines:
        return b""  # the answer itself says it


CHAT: Final = ChatFace()
