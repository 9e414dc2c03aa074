"""Decodes what Converse answers, streamed or whole, into deltas.

It does not cut frames; `stream/aws_events.py` does, and names each message by its event type.

Theory of operation. As with Messages, an answer is a list of content blocks, opened, filled and closed, and a whole
body runs over blocks that come filled. Two things differ. Blocks of text and thought are never announced, so the first
piece opens them; and usage comes in `metadata` after `messageStop`, so the end is told only then, or when the provider
closes without it. Neighbouring text blocks are one text. Nothing is told before the first piece of content.

    messageStart → (contentBlockStart? → contentBlockDelta* → contentBlockStop)* → messageStop → metadata

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (2026-11-22).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from trunkline.adapters.contract import Decoder
from trunkline.adapters.converse.wire import (
    BROKEN,
    STOPS,
    Block,
    ImageStart,
    Metadata,
    Opening,
    Piece,
    Thought,
    ToolUse,
    decode_citation,
    decode_tier,
    decode_usage,
    joined_base64,
    read_body,
    read_delta,
    read_message_stop,
    read_metadata,
    read_start,
    read_stop,
)
from trunkline.adapters.decoding.calls import NAMELESS, says_nothing
from trunkline.adapters.decoding.faults import fault_of_error, nonsense, unread
from trunkline.adapters.decoding.halves import Halves
from trunkline.adapters.decoding.searches import queries
from trunkline.adapters.decoding.strange import as_object, read_loosely
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Json
from trunkline.stream.aws_events import EXCEPTION
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Reasoning,
    ReasoningSeal,
    Search,
    Slot,
    Spent,
    Stopped,
    Text,
)
from trunkline.stream.seals import format_named
from trunkline.wire import UNREADABLE, Fault, WireMessage


class _Open:
    """One content block being read; `start` and `end` are its place in the running text, in code points."""

    __slots__ = ("citations", "end", "kind", "pieces", "signature", "slot", "start")

    def __init__(self, kind: Literal["text", "thought", "call", "stub", "search", "image"], slot: Slot) -> None:
        self.kind = kind
        self.slot = slot
        self.start = self.end = 0
        self.citations: list[Json] = []
        self.pieces: list[str] = []
        self.signature = ""


class ConverseDecoder(Decoder):
    """The state of one answer; `sequence` is the stop text that is meant where one ended it."""

    def __init__(self, endpoint: Endpoint, sequence: str | None = None) -> None:
        self._endpoint = endpoint
        self._sequence = sequence
        self._format = format_named(endpoint.quirks.reasoning_format)
        self._blocks: dict[int, _Open] = {}
        self._text: _Open | None = None
        self._has_calls = False
        self._reason: str | None = None
        self.is_done = False
        self._halves = Halves()

    def message(self, message: WireMessage) -> Iterable[Delta]:
        if self.is_done:
            return ()
        name = message.name or ""
        try:
            if name == "contentBlockDelta":
                event = read_delta(message.data)
                block = self._text
                text = event.delta.text
                # Nearly every message is a piece of plain text.
                is_next = block is not None and self._blocks.get(event.content_block_index) is block
                if text and block is not None and is_next:
                    block.end += len(text)
                    return (Text(block.slot, text),)
                return self._fill(event.content_block_index, event.delta)
            if name.startswith(EXCEPTION):
                return self._fail(self._exception(name.removeprefix(EXCEPTION), message.data))
            return self._event(name, message.data)
        except UNREADABLE:
            mended = self._halves.mended(message)
            if mended is not None:
                return self.message(mended)
            if self._reason is not None:
                # What cannot be read after the end takes nothing away from the answer.
                return self._ended(Metadata())
            return self._fail(nonsense(f"an event cannot be read: {name}", message.data))

    def whole(self, body: bytes) -> Iterable[Delta]:
        try:
            answer = read_body(body)
            deltas = [
                delta
                for index, block in enumerate(answer.output.message.content)
                for delta in (*self._filled(index, block), *self._close(index))
            ]
        except UNREADABLE:
            return self._fail(self._unread(body))
        if self.is_done:
            return deltas
        self._reason = answer.stop_reason or ""
        return deltas + self._ended(Metadata(answer.usage, answer.service_tier))

    def end(self) -> Iterable[Delta]:
        """Tell the end of an answer whose `metadata` never came."""
        return () if self.is_done or self._reason is None else self._ended(Metadata())

    # Events

    def _event(self, name: str, data: bytes) -> list[Delta]:
        match name:
            case "contentBlockStart":
                event = read_start(data)
                return self._open(event.content_block_index, event.start)
            case "contentBlockStop":
                return self._close(read_stop(data).content_block_index)
            case "messageStop":
                # Without a reason the end mark is the plain end.
                self._reason = read_message_stop(data).stop_reason or ""
                return []
            case "metadata":
                return self._ended(read_metadata(data))
            case _:
                return []

    def _ended(self, metadata: Metadata) -> list[Delta]:
        if self._reason is None:
            return []
        self.is_done = True
        deltas: list[Delta] = []
        if metadata.usage:
            tier = (metadata.service_tier or {}).get("type")
            deltas.append(Spent(decode_usage(metadata.usage), service_tier=decode_tier(tier)))
        if self._reason in BROKEN:
            return [*deltas, Failed(nonsense(f"the model broke off: {self._reason}"))]
        stop = STOPS.get(self._reason, "stop")
        sequence = self._sequence if self._reason == "stop_sequence" else None
        return [*deltas, Stopped("stop" if stop == "calls" and not self._has_calls else stop, sequence)]

    def _fail(self, fault: Fault) -> list[Delta]:
        self.is_done = True
        return [Failed(fault)]

    def _exception(self, kind: str, data: bytes) -> Fault:
        fields = as_object(read_loosely(data))
        # `originalStatusCode` is the model's own and would be taken for ours.
        return fault_of_error({"__type": kind, "message": fields.get("message", "")}, self._endpoint.quirks)

    def _unread(self, body: bytes) -> Fault:
        return unread("the answer cannot be read", body, self._endpoint.quirks)

    # Content blocks

    def _open(self, index: int, start: Opening) -> list[Delta]:
        ended = [*self._close(index), *self._end_text()]
        if start.tool_use is not None:
            tool = start.tool_use
            return ended + self._open_tool(index, tool.tool_use_id, tool.name, tool.type)
        if start.tool_result is not None:
            failed = start.tool_result.status == "error"
            return [*ended, Search(start.tool_result.tool_use_id, "web", "failed" if failed else "completed")]
        if start.image is not None:
            self._blocks[index] = block = _Open("image", index)
            block.signature = start.image.format
            return [*ended, Image(index, "", final=False, media_type=f"image/{start.image.format}")]
        return ended

    def _open_tool(self, index: int, call_id: str, name: str, kind: str | None) -> list[Delta]:
        if kind == "server_tool_use":
            self._blocks[index] = _Open("search", call_id)
            return [Search(call_id, "web", "in_progress")]
        if not name:
            self._blocks[index] = _Open("stub", index)
            return []
        self._blocks[index] = _Open("call", index)
        self._has_calls = True
        return [FunctionCall(index, call_id, name)]

    def _open_text(self, index: int) -> _Open:
        block = self._blocks[index] = _Open("text", index)
        if self._text is not None:
            block.slot, block.start = self._text.slot, self._text.end
        block.end = block.start
        self._text = block
        return block

    def _fill(self, index: int, piece: Piece) -> list[Delta]:
        if piece.text is not None or piece.citation is not None:
            return self._fill_text(index, piece)
        if piece.reasoning_content is not None:
            return self._fill_thought(index, piece.reasoning_content)
        block = self._blocks.get(index)
        if piece.tool_use is not None:
            if block is None:
                return self._fail(nonsense("arguments of a call that never began"))
            return self._argue(block, piece.tool_use.input)
        if piece.image is not None and block is not None and block.kind == "image":
            block.pieces.append(piece.image.source.bytes)
        return []

    def _fill_text(self, index: int, piece: Piece) -> list[Delta]:
        block = self._blocks.get(index) or self._open_text(index)
        if block.kind != "text":
            return []
        if piece.citation is not None:
            block.citations.append(piece.citation)
        if not piece.text:
            return []
        block.end += len(piece.text)
        return [Text(block.slot, piece.text)]

    def _fill_thought(self, index: int, thought: Thought) -> list[Delta]:
        deltas = self._end_text() if index not in self._blocks else []
        block = self._blocks.setdefault(index, _Open("thought", index))
        block.signature += thought.signature or ""
        if thought.redacted_content:
            block.pieces.append(thought.redacted_content)
        return [*deltas, Reasoning(block.slot, thought.text)] if thought.text else deltas

    def _argue(self, block: _Open, text: str) -> list[Delta]:
        if block.kind == "stub" and not says_nothing(text):
            return self._fail(nonsense(NAMELESS))
        if block.kind == "search":
            block.pieces.append(text)
        return [Arguments(block.slot, text)] if text and block.kind == "call" else []

    def _close(self, index: int) -> list[Delta]:
        block = self._blocks.pop(index, None)
        match block.kind if block is not None else None:
            case "text" if block is not None:
                found = (decode_citation(citation, block.start, block.end) for citation in block.citations)
                return [Citation(block.slot, annotation) for annotation in found if annotation is not None]
            case "thought" if block is not None:
                hidden = joined_base64(block.pieces)
                proof = ReasoningSeal(
                    block.slot,
                    encrypted=hidden or None,
                    signature=block.signature or None,
                    format=self._format,
                    endpoint_id=self._endpoint.id,
                )
                return [proof, Closed(block.slot)]
            case "call" | "answer" if block is not None:
                return [Closed(block.slot)]
            case "search" if block is not None:
                return [Search(block.slot, "web", "searching", queries("".join(block.pieces)))]
            case "image" if block is not None:
                picture = joined_base64(block.pieces)
                return [Image(block.slot, picture, final=True, media_type=f"image/{block.signature}")]
            case _:
                return []

    def _end_text(self) -> list[Delta]:
        if self._text is None:
            return []
        slot = self._text.slot
        self._text = None
        return [Closed(slot)]

    def _filled(self, index: int, block: Block) -> list[Delta]:
        """Run a block of a whole body through the same steps."""
        if block.text is not None:
            return self._fill_text(index, Piece(text=block.text))
        if block.citations_content is not None:
            cited = block.citations_content
            pieces = [*cited.content, *(Piece(citation=citation) for citation in cited.citations)]
            return [delta for piece in pieces for delta in self._fill_text(index, piece)]
        if block.reasoning_content is not None:
            thought = block.reasoning_content.reasoning_text or Thought()
            redacted = block.reasoning_content.redacted_content
            return self._fill_thought(index, Thought(thought.text, thought.signature, redacted))
        if block.tool_use is not None:
            return self._called(index, block.tool_use)
        if block.image is not None:
            deltas = self._open(index, Opening(image=ImageStart(block.image.format)))
            return deltas + self._fill(index, Piece(image=block.image))
        return self._open(index, Opening(tool_result=block.tool_result)) if block.tool_result else []

    def _called(self, index: int, tool: ToolUse) -> list[Delta]:
        deltas = [*self._end_text(), *self._open_tool(index, tool.tool_use_id, tool.name, tool.type)]
        arguments = msgspec.json.format(bytes(tool.input), indent=-1).decode()
        return deltas + self._argue(self._blocks[index], arguments)
