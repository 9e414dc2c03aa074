"""The shortest way from deltas to an answer of the Messages API. It asserts nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.faces.messages.grammar import Json, read_stream
from tests.stream.deltas_strategy import ENDED, MODEL, STARTED, tokens
from trunkline.faces.contract import Answering, Asked
from trunkline.faces.messages.form import MessagesForm
from trunkline.faces.messages.telling import MessagesTelling
from trunkline.protocol.request import Request
from trunkline.protocol.tools import SearchTool
from trunkline.stream.deltas import Delta

NAME = "claude-as-asked"
ESTIMATE = 77
SEARCHING = (SearchTool(type="web_search"),)


def telling(*, is_stream: bool, searches: bool = False, answer_id: str = "resp_a1") -> MessagesTelling:
    request = Request(input=(), stream=is_stream, tools=SEARCHING if searches else ())
    answering = Answering(answer_id, tokens(), STARTED, MODEL, lambda: ENDED)
    return MessagesTelling(Asked(request, MessagesForm(NAME, ESTIMATE)), answering)


def stream(*deltas: Delta, searches: bool = False) -> list[Json]:
    """The events of a stream, each delta fed alone."""
    return read_stream(stream_bytes([[delta] for delta in deltas], searches=searches))


def stream_bytes(reads: Sequence[Sequence[Delta]], *, searches: bool = False) -> bytes:
    machine = telling(is_stream=True, searches=searches)
    return b"".join([machine.feed(batch) for batch in reads]) + machine.end()


def whole(*deltas: Delta, searches: bool = False) -> Json:
    machine = telling(is_stream=False, searches=searches)
    assert machine.feed(deltas) == b""
    return json.loads(machine.end())


def brief(events: Sequence[Json]) -> list[str]:
    """A stream in one short line for each event between its first and last two."""
    return [_line(event) for event in events if event["type"] not in ("message_start", "ping", "message_stop")]


def _line(event: Json) -> str:
    match event["type"]:
        case "content_block_start":
            return f"+ {event['content_block']['type']}"
        case "content_block_stop":
            return "-"
        case "content_block_delta":
            piece = event["delta"]
            value = next(value for name, value in piece.items() if name != "type")
            return f"{piece['type'].removesuffix('_delta')} {value if isinstance(value, str) else value.get('url')}"
        case "message_delta":
            return f"= {event['delta']['stop_reason']}"
        case _:
            return f"! {event['error']['type']}"
