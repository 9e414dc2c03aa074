"""Decodes what a Messages server answers, streamed or whole, into deltas.

It asks for nothing: an answer that the provider paused is gone on with by whoever holds the connection.

Theory of operation. An answer is a list of content blocks, and each is opened, filled piece by piece and closed; a
whole body runs the first and the last of these steps over blocks that come filled. Neighbouring text blocks are one
text to a client (the provider splits them only to hang citations on them), so they share a slot and their characters
are counted on. Blocks that are none of ours, as those of tools that Anthropic runs, are told to a client that knows
them, whole, when they are closed. Nothing is told before the first piece of content: until then an error may still lead
elsewhere.

    message_start → (content_block_start → content_block_delta* → content_block_stop)* → message_delta → message_stop

`ping` and unknown events may come anywhere and are passed over; `error` may come anywhere and ends all. After
`pause_turn` the same decoder hears the answer to its next exchange: slots count on from where they were, tokens add up.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11-22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

import msgspec
from msgspec import Raw

from trunkline.adapters.contract import Decoder, Exchange
from trunkline.adapters.decoding.calls import NAMELESS, says_nothing
from trunkline.adapters.decoding.faults import fault_of_error, nonsense, unread
from trunkline.adapters.decoding.halves import Halves
from trunkline.adapters.decoding.repeats import HeldStart
from trunkline.adapters.decoding.strange import read_json
from trunkline.adapters.decoding.template import Template
from trunkline.adapters.decoding.usage import added
from trunkline.adapters.messages.blocks import Block, close_own, fill_citations
from trunkline.adapters.messages.pauses import MAX_PAUSES, going_on
from trunkline.adapters.messages.searches import close_search, open_found, open_search
from trunkline.adapters.messages.thoughts import fill_signature, open_thinking, proof_of
from trunkline.adapters.messages.wire import (
    BlockDelta,
    BlockStart,
    BlockStop,
    ErrorEvent,
    Event,
    Head,
    MessageDelta,
    MessageStart,
    MessageStop,
    Piece,
    Ping,
    Stop,
    decode_citation,
    decode_stop,
    decode_tier,
    decode_usage,
    given_input,
    is_known,
    is_own,
    later_usage,
    read_body,
    read_event,
    read_head,
    texts_alone,
    unread_blocks,
)
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Json
from trunkline.protocol.opaque import AnthropicItem
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Reasoning,
    Slot,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.wire import UNREADABLE, Fault, UpstreamRequest, WireMessage


class MessagesDecoder(Decoder):
    """The state of one answer.

    `may_pause` says that the provider runs tools itself and may want to be asked to go on, so that the content is kept.
    `knows_own` says that the client is told blocks that are none of ours, whole; else they are passed over.
    """

    def __init__(self, endpoint: Endpoint, *, may_pause: bool = False, knows_own: bool = False) -> None:
        self._endpoint = endpoint
        self._kept: list[Raw] | None = [] if may_pause else None
        self._knows_own = knows_own
        self._own: dict[str, Json] = {}
        self._blocks: dict[int, Block] = {}
        self._text: Block | None = None
        self._next_slot = self._first_slot = 0
        self._has_told = self._has_calls = self._is_over = self._is_paused = False
        self._stop = Stop()
        self._usage: dict[str, Json] = {}
        self._earlier = Usage()
        self._pauses = self._held_pieces = 0
        self.is_done = False
        self._halves: Halves | None = None
        self._template = Template(b'"text"')

    @property
    def held_back(self) -> int:
        return self._held_pieces

    def message(self, message: WireMessage) -> Iterable[Delta]:
        if self._is_over:
            return ()
        data, block, template = message.data, self._text, self._template
        if block is not None and (text := template.text_in(data)):
            self._add(block, (text,))
            return (Text(block.slot, text),)
        try:
            event = read_event(data)
        except UNREADABLE:
            if self._halves is None:
                self._halves = Halves()
            mended = self._halves.mended(message)
            if mended is not None:
                return self.message(mended)
            # What cannot be read after the stop reason takes nothing away from the answer.
            return () if self._stop.stop_reason is not None else self._unread(data)
        if block is not None and (text := self._only_text(event)):
            # Nearly every message is a piece of plain text.
            template.learn(data, text)
            self._add(block, (text,))
            deltas: list[Delta] = [Text(block.slot, text)]
        else:
            template.forget()
            deltas = self._event(event)
        return deltas if self._has_told else self._count_input(deltas)

    def continues(self, messages: Sequence[WireMessage], slot: Slot) -> list[str] | None:
        block = self._text
        if block is None or block.slot != slot or self._is_over:
            return None
        template = self._template
        if len(messages) > 1 and (alike := template.texts_in(messages)) is not None:
            self._add(block, alike)
            return alike
        texts: list[str] = []
        # What is no text stands at the end most often, where the block ends.
        for message in reversed(messages):
            data = message.data
            text = template.text_in(data) or self._read_text(data)
            if not text:
                return None
            texts.append(text)
        texts.reverse()
        self._add(block, texts)
        return texts

    def went_on(self, texts: Sequence[str], latest: WireMessage | None) -> None:
        assert self._text is not None  # a text went on
        self._add(self._text, texts)

    def _read_text(self, data: bytes) -> str | None:
        try:
            text = self._only_text(read_event(data))
        except UNREADABLE:
            return None
        if text:
            self._template.learn(data, text)
        return text

    def _only_text(self, event: Event) -> str | None:
        """What an event adds to the open text and nothing else; None or nothing for any other."""
        if type(event) is not BlockDelta or self._blocks.get(event.index) is not self._text:
            return None
        piece = event.delta
        return piece.text if self._has_told or piece.type == "text_delta" else None

    def _add(self, block: Block, texts: Sequence[str]) -> None:
        block.end += len(texts[0] if len(texts) == 1 else "".join(texts))
        if self._kept is not None:
            block.pieces += texts

    def whole(self, body: bytes) -> Iterable[Delta]:
        try:
            answer = read_body(body)
            if answer.content is None and answer.error is not None:
                return self._fail(fault_of_error(answer.error, self._endpoint.quirks))
            if answer.content is None:
                return self._fail(unread("the answer has no content", body, self._endpoint.quirks))
            deltas = self._content(answer.content, body)
        except UNREADABLE:
            return self._fail(unread("the answer cannot be read", body, self._endpoint.quirks))
        self._stop = Stop(answer.stop_reason, answer.stop_sequence, answer.stop_details)
        self._usage = later_usage(self._usage, answer.usage)
        self._own |= answer.own
        if answer.error is not None:
            spent = [self._spent()] if self._usage else []
            return [*deltas, *spent, *self._fail(fault_of_error(answer.error, self._endpoint.quirks))]
        return deltas + self._end_all()

    def _content(self, heads: list[Head], body: bytes) -> list[Delta]:
        """Tell the content of a whole answer, which most often is texts alone."""
        texts = texts_alone(heads) if self._kept is None else None
        if texts is not None:
            return [Text(0, text) for text in texts]
        blocks = enumerate(unread_blocks(body))
        return [delta for index, block in blocks for delta in (*self._open(index, block), *self._close(index))]

    def end(self) -> Iterable[Delta]:
        """Say the end of an answer whose `message_stop` never came, or that a paused one was left incomplete."""
        if self._is_over and not self._is_paused:
            return ()
        is_ended = not self._is_over and self._stop.stop_reason is not None
        deltas: list[Delta] = self._end_all() if is_ended else []
        if self._is_paused:
            self._is_paused = False
            deltas += [*([self._spent()] if self._usage else ()), Stopped("length")]
        return self._count_input(deltas)

    def next_exchange(self, sent: UpstreamRequest, fault: Fault | None) -> Exchange | None:
        """Make the request that goes on with a paused answer; None when it was not paused, or too often."""
        if not self._is_paused or self._kept is None or fault is not None or self._pauses >= MAX_PAUSES:
            return None
        self._pauses += 1
        following = going_on(sent, self._kept, self._own.get("container"))
        self._begin_again()
        return following

    def _begin_again(self) -> None:
        self._earlier = self._total()
        self._usage = {}
        self._stop = Stop()
        self._kept = []
        self._blocks.clear()
        self._text = None
        self._first_slot = self._next_slot
        self._is_paused = self._is_over = self._has_told = False

    # Events

    def _unread(self, data: bytes) -> Iterable[Delta]:
        """What is no event: an error without a type, something new, or nonsense."""
        fault = unread("an event cannot be read", data, self._endpoint.quirks)
        return self._fail(fault) if fault.kind != "nonsense" or is_known(data) else ()

    def _event(self, event: Event) -> list[Delta]:
        match event:
            case BlockDelta(index=index, delta=piece):
                return self._fill(index, piece)
            case BlockStart(index=index, content_block=block):
                try:
                    return self._open(index, block)
                except UNREADABLE:
                    return self._fail(nonsense("a content block cannot be read", bytes(block)))
            case BlockStop(index=index):
                return self._close(index)
            case MessageStart(message=start):
                self._usage = later_usage(self._usage, start.usage)
                self._own |= start.own
                return []
            case MessageDelta(delta=stop, usage=usage) as end:
                self._usage = later_usage(self._usage, usage)
                self._own |= end.own
                self._stop = stop if stop.stop_reason is not None else self._stop
                return []
            case MessageStop():
                return self._end_all()
            case ErrorEvent(error=error):
                return self._fail(fault_of_error(error, self._endpoint.quirks))
            case Ping():
                return []
            case _:
                assert_never(event)

    def _count_input(self, deltas: list[Delta]) -> list[Delta]:
        """Put the tokens known by then before the first thing told."""
        if self._has_told or not deltas or type(deltas[0]) is Failed:
            return deltas
        self._has_told = True
        if not self._usage or self._is_over:
            return deltas
        # The output is still to come; should the answer be cut off, somebody has to estimate it.
        return [self._spent(is_final=False), *deltas]

    def _end_message(self) -> list[Delta]:
        self._is_over = True
        self._is_paused = self._stop.stop_reason == "pause_turn"
        deltas: list[Delta] = [self._spent(is_final=not self._is_paused)] if self._usage else []
        self.is_done = not self._is_paused
        if self._is_paused:
            return deltas
        own = self._own if self._knows_own else None
        return deltas + decode_stop(self._stop, own, has_calls=self._has_calls)

    def _fail(self, fault: Fault) -> list[Delta]:
        self._is_over = self.is_done = True
        return [Failed(fault)]

    def _spent(self, *, is_final: bool = True) -> Spent:
        usage = self._total()
        if not is_final:
            usage = msgspec.structs.replace(usage, estimated=True)
        return Spent(usage, None, decode_tier(self._usage))

    def _total(self) -> Usage:
        usage = decode_usage(self._usage)
        return added(self._earlier, usage) if self._pauses else usage

    # Content blocks

    def _open(self, index: int, raw: Raw) -> list[Delta]:
        head = read_head(raw)
        deltas = self._close(index)
        if head.type != "text":
            deltas += self._end_text()
        block = self._blocks[index] = Block(head, self._first_slot + index)
        self._next_slot = max(self._next_slot, self._first_slot + index + 1)
        if self._knows_own and is_own(head):
            block.own = AnthropicItem(read_json(raw))
            return deltas
        if self._kept is not None and head.type not in _CLOSERS:
            self._kept.append(Raw(bytes(raw)))
        opener = _OPENERS.get(head.type)
        return deltas + opener(self, block) if opener else deltas

    def _fill(self, index: int, piece: Piece) -> list[Delta]:
        deltas: list[Delta] = []
        if index not in self._blocks and piece.type in _SILENT_STARTS:
            deltas = self._open(index, Raw(msgspec.json.encode({"type": _SILENT_STARTS[piece.type]})))
        filler = _FILLERS.get(piece.type)
        block = self._blocks.get(index)
        if block is not None and block.own is not None:
            block.hear_own(piece)
            self._held_pieces += 1
            return deltas
        if filler is None:
            return deltas
        if block is None:
            return self._fail(nonsense(f"a piece of a content block that never began: {piece.type}"))
        return deltas + filler(self, block, piece)

    def _end_all(self) -> list[Delta]:
        """End the message, and before it the blocks that the provider left open with something not told yet."""
        if not self._blocks:
            return [] if self._is_over else self._end_message()
        waiting = [index for index, block in self._blocks.items() if block.is_waiting]
        deltas = [delta for index in waiting for delta in self._close(index)]
        return deltas if self._is_over else deltas + self._end_message()

    def _close(self, index: int) -> list[Delta]:
        block = self._blocks.pop(index, None)
        if block is None:
            return []
        closer = close_own if block.own is not None else _CLOSERS.get(block.head.type)
        if closer is None:
            return []
        deltas = closer(self, block)
        is_stub = block.head.type == "tool_use" and not block.head.name
        if self._kept is not None and not is_stub and (again := block.again()) is not None:
            self._kept.append(again)
        return deltas

    # Text

    def _open_text(self, block: Block) -> list[Delta]:
        if self._text is not None:
            block.slot, block.start = self._text.slot, self._text.end
        block.end = block.start
        block.is_text = True
        block.citations += block.head.citations or ()
        if block.head.text:
            block.held = HeldStart(block.head.text)
        else:
            self._text = block
        return []

    def _say(self, block: Block, text: str) -> list[Delta]:
        if not text:
            return []
        self._text = block
        block.end += len(text)
        self._keep(block, text)
        return [Text(block.slot, text)]

    def _fill_text(self, block: Block, piece: Piece) -> list[Delta]:
        return self._go_on(block, piece.text or "") if block.is_text else []

    def _go_on(self, block: Block, text: str) -> list[Delta]:
        """Tell the next piece of a text or thought, and before it what the start of its block held."""
        if block.held is not None:
            told = block.held.feed(text)
            if told is None:
                return []
            block.held, text = None, told
        return self._say(block, text) if block.is_text else self._think(block, text)

    def _release(self, block: Block) -> list[Delta]:
        """Tell what is still held when a block ends."""
        held, block.held = block.held, None
        return self._go_on(block, held.end()) if held is not None else []

    def _close_text(self, block: Block) -> list[Delta]:
        deltas = self._release(block)
        found = (decode_citation(citation, block.start, block.end) for citation in block.citations)
        return deltas + [Citation(block.slot, annotation) for annotation in found if annotation is not None]

    def _end_text(self) -> list[Delta]:
        if self._text is None:
            return []
        slot = self._text.slot
        self._text = None
        return [Closed(slot)]

    # Thought

    def _think(self, block: Block, text: str) -> list[Delta]:
        self._keep(block, text)
        return [Reasoning(block.slot, text)] if text else []

    def _fill_thinking(self, block: Block, piece: Piece) -> list[Delta]:
        return self._go_on(block, piece.thinking or "")

    def _close_thinking(self, block: Block) -> list[Delta]:
        proof = proof_of(block, self._endpoint, signature=block.signature or None)
        return [*self._release(block), proof, Closed(block.slot)]

    def _open_redacted(self, block: Block) -> list[Delta]:
        data = block.head.data
        return [proof_of(block, self._endpoint, encrypted=data), Closed(block.slot)] if data else []

    # Calls

    def _open_call(self, block: Block) -> list[Delta]:
        head = block.head
        block.given = given_input(head)
        if not head.name:
            return []
        self._has_calls = True
        own = head.called if self._knows_own else None
        return [FunctionCall(block.slot, head.id or "", head.name, anthropic=own)]

    def _argue(self, block: Block, text: str) -> list[Delta]:
        if not text:
            return []
        if not block.head.name:
            return [] if says_nothing(text) else self._fail(nonsense(NAMELESS))
        self._keep(block, text)
        return [Arguments(block.slot, text)]

    def _fill_input(self, block: Block, piece: Piece) -> list[Delta]:
        text = piece.partial_json or ""
        if text:
            # As in the vendor's own clients, pieces go before what the start of the block gave.
            block.given = ""
        if block.head.type == "tool_use":
            return self._argue(block, text)
        block.pieces.append(text)
        return []

    def _close_call(self, block: Block) -> list[Delta]:
        deltas = self._argue(block, block.given)
        return [*deltas, Closed(block.slot)] if block.head.name else deltas

    def _keep(self, block: Block, text: str) -> None:
        if self._kept is not None:
            block.pieces.append(text)


_OPENERS: dict[str, Callable[[MessagesDecoder, Block], list[Delta]]] = {
    "text": MessagesDecoder._open_text,
    "thinking": open_thinking,
    "redacted_thinking": MessagesDecoder._open_redacted,
    "tool_use": MessagesDecoder._open_call,
    "server_tool_use": open_search,
    "web_search_tool_result": open_found,
}
_FILLERS: dict[str, Callable[[MessagesDecoder, Block, Piece], list[Delta]]] = {
    "text_delta": MessagesDecoder._fill_text,
    "citations_delta": fill_citations,
    "thinking_delta": MessagesDecoder._fill_thinking,
    "signature_delta": fill_signature,
    "input_json_delta": MessagesDecoder._fill_input,
}
_CLOSERS: dict[str, Callable[[MessagesDecoder, Block], list[Delta]]] = {
    "text": MessagesDecoder._close_text,
    "thinking": MessagesDecoder._close_thinking,
    "tool_use": MessagesDecoder._close_call,
    "server_tool_use": close_search,
}
_SILENT_STARTS = {"text_delta": "text", "thinking_delta": "thinking"}
"""Pieces that may come without their block having been opened, and the block they mean."""
