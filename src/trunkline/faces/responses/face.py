"""The Responses API as clients speak it: the contract's own face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.errors import GatewayError
from trunkline.faces.contract import Answering, Asked, Lines, Refusal, Telling
from trunkline.faces.lines import refusal_lines
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.parse import parse
from trunkline.faces.responses.telling import ResponsesTelling
from trunkline.faces.responses.whole import assembled, one_text
from trunkline.faces.whole_telling import WholeTelling
from trunkline.protocol.render import render_error
from trunkline.stream.sse import KEEP_ALIVE


class ResponsesFace:
    """`POST /responses`."""

    name = "responses"
    heeds: frozenset[bytes] = frozenset()
    keep_alive = KEEP_ALIVE

    def parse(self, body: bytes | bytearray, session_id: str | None, said: Mapping[bytes, bytes]) -> Asked:
        return Asked(parse(body, session_id))

    def telling(self, asked: Asked, answering: Answering) -> Telling:
        request = asked.request
        if not request.stream:
            return WholeTelling(asked, answering, one_text=one_text, machine=assembled)
        assembler = Assembler(request, answering.id, answering.ids, answering.created_at, answering.model)
        return ResponsesTelling(assembler, answering.now)

    def refuse(self, error: GatewayError, request_id: str, owner: str | None) -> Refusal:
        return Refusal(error.status, refusal_lines(error), render_error(error, owner))

    def answer_lines(self, request_id: str) -> Lines:
        return b""

    def model_lines(self, model: str) -> Lines:
        return b""


RESPONSES: Final = ResponsesFace()
