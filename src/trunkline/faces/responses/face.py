"""The Responses API as clients speak it: the contract's own face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.errors import GatewayError
from trunkline.faces.contract import Answering, Asked, Lines, Refusal
from trunkline.faces.lines import refusal_lines
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.parse import parse
from trunkline.faces.responses.telling import ResponsesTelling
from trunkline.protocol.render import render_error
from trunkline.stream.sse import KEEP_ALIVE


class ResponsesFace:
    """`POST /responses`."""

    name = "responses"
    heeds: frozenset[bytes] = frozenset()
    keep_alive = KEEP_ALIVE

    def parse(self, body: bytes | bytearray, session_id: str | None, said: Mapping[bytes, bytes]) -> Asked:
        return Asked(parse(body, session_id))

    def telling(self, asked: Asked, answering: Answering) -> ResponsesTelling:
        request, (id, ids, created_at, model, now) = asked.request, answering
        assembler = Assembler(request, id, ids, created_at, model, is_stream=bool(request.stream))
        return ResponsesTelling(assembler, now)

    def refuse(self, error: GatewayError, request_id: str, owner: str | None) -> Refusal:
        return Refusal(error.status, refusal_lines(error), render_error(error, owner))

    def answer_lines(self, request_id: str) -> Lines:
        return b""

    def model_lines(self, model: str) -> Lines:
        return b""


RESPONSES: Final = ResponsesFace()
