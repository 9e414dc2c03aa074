"""Puts around a dialect's decoder what the form that its request asked for needs; both know it only from here."""

from __future__ import annotations

from trunkline.adapters.decoding.answers import AnswerDecoder, FenceDecoder
from trunkline.adapters.decoding.around import Heard
from trunkline.adapters.encoding.tools import answer_tool, is_asked_in_words
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.request import Request


def as_json(decoder: Heard, request: Request, endpoint: Endpoint) -> Heard:
    """The decoder where a tool may stand for the answer (see `answer_tool`), or the answer was asked for in words."""
    if request.text is None:
        return decoder
    tool = answer_tool(request, endpoint)
    return in_words(decoder if tool is None else AnswerDecoder(decoder, tool.name), request, endpoint)


def in_words(decoder: Heard, request: Request, endpoint: Endpoint) -> Heard:
    """The decoder where a form was asked for, maybe in words."""
    return FenceDecoder(decoder) if is_asked_in_words(request, endpoint) else decoder
