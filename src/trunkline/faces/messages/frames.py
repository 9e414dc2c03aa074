"""The events of a Messages stream as bytes: each in a frame of its own, with its name.

Clients pass over a frame without a name: the anthropic Python package 2.14, seen 2026-11-28. What is told, and in which
order, is `telling.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trunkline.faces.messages.told_blocks import INPUT, TEXT, THOUGHT, Block, Growth, new_text
from trunkline.faces.messages.told_end import first_usage
from trunkline.protocol.items import Json
from trunkline.protocol.render import render_document, render_text, render_texts

KEEP_ALIVE: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
"""What a stream says while its answer is silent, and once at its beginning, as Anthropic's does."""

_MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_TAIL: Final = b"}}\n\n"
_OF_END: Final = frozenset({"container", "stop_reason", "stop_details"})


class Frames:
    """An answer as frames."""

    __slots__ = ("_head", "_index", "_told")

    def __init__(self) -> None:
        self._index = -1
        self._head = b""
        self._told: list[bytes] = []

    def start(self, message: Block, estimated_input_tokens: int) -> None:
        usage = first_usage(estimated_input_tokens)
        unended = {"stop_reason": None, "stop_sequence": None, "stop_details": None, "usage": usage}
        self._told += (_frame({"type": "message_start", "message": message | unended}), KEEP_ALIVE)

    def begin_text(self) -> None:
        self._index += 1
        self._told.append(_TEXT_BEGUN % self._index)
        self._head = _HEADS[TEXT] % self._index

    def begin(self, block: Block, growth: Growth | None = None) -> None:
        self._index += 1
        self._told.append(_frame({"type": "content_block_start", "index": self._index, "content_block": block}))
        self._head = b"" if growth is None else _HEADS[growth] % self._index

    def add(self, text: str) -> None:
        self._told.append(b"%b%b%b" % (self._head, render_text(text), _TAIL))

    def add_all(self, texts: Sequence[str]) -> None:
        self._told.append(self.go_on(texts))

    def go_on(self, texts: Sequence[str]) -> bytes:
        head = self._head
        if len(texts) == 1:
            return b"%b%b%b" % (head, render_text(texts[0]), _TAIL)
        # JSON escapes every line end, so that each of these stands between two texts.
        return b"%b%b%b" % (head, render_texts(texts)[:-1].replace(b"\n", _TAIL + head), _TAIL)

    def cite(self, citation: Json) -> None:
        self._piece({"type": "citations_delta", "citation": citation})

    def sign(self, signature: str) -> None:
        self._piece({"type": "signature_delta", "signature": signature})

    def finish(self) -> None:
        self._told.append(
            b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._index
        )

    cut = finish

    def take(self) -> bytes:
        told = self._told
        if len(told) == 1:
            return told.pop()
        written = b"".join(told)
        told.clear()
        return written

    def end(self, ending: Block, usage: Json, own: Block | None) -> bytes:
        event: Block = {"type": "message_delta", "delta": ending, "usage": usage}
        if own:
            event = _with_own(event, own)
        self._told += (_frame(event), _MESSAGE_STOP)
        return self.take()

    def fail(self, error: Json) -> bytes:
        self._told.append(_frame(error))
        return self.take()

    def run(self, send: Callable[[bytes], bool]) -> TextRun:
        """What sends one text after the other that goes on with the block, as long as nothing else is told."""
        return TextRun(self._head, send)

    def _piece(self, piece: Json) -> None:
        self._told.append(_frame({"type": "content_block_delta", "index": self._index, "delta": piece}))


class TextRun:
    """Tells one open text; nothing of it is kept, for the end of a stream repeats nothing."""

    __slots__ = ("_head", "_send")

    def __init__(self, head: bytes, send: Callable[[bytes], bool]) -> None:
        self._head = head
        self._send = send

    def send(self, text: str, inner: bytes) -> bool:
        """Send the frame of a text, which is not empty; say whether there is room for more."""
        return self._send(b'%b"%b"%b' % (self._head, inner, _TAIL))


def _frame(event: Mapping[str, Json]) -> bytes:
    """Write an event by its `type`. No text can break out of its line: JSON escapes every line end."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), render_document(event))


def _with_own(ending: Block, own: Block) -> Block:
    """How a message ended, with what Anthropic says of that; what was done to its context stands beside it."""
    delta = ending["delta"] | {name: value for name, value in own.items() if name in _OF_END}
    beside = {name: value for name, value in own.items() if name == "context_management"}
    return ending | {"delta": delta} | beside


def _head(growth: Growth) -> bytes:
    event = _frame(
        {"type": "content_block_delta", "index": 0, "delta": {"type": growth.piece, growth.piece_member: ""}}
    )
    return event.removesuffix(b'""' + _TAIL).replace(b'"index":0', b'"index":%d')


_TEXT_BEGUN: Final = _frame({"type": "content_block_start", "index": 0, "content_block": new_text()}).replace(
    b'"index":0', b'"index":%d'
)
"""How a text begins, but for the index of its block."""

_HEADS: Final = {growth: _head(growth) for growth in (TEXT, THOUGHT, INPUT)}
"""What stands before the text of a piece, but for the index of its block."""
