"""Deltas → the answer of the Messages API, as a stream or whole. A machine; who waits for whom is its driver's.

Theory of operation
-------------------

**One machine, two forms.** The machine makes content blocks, one after the other. A stream has them written as frames
(`frames.py`), a whole answer has them kept (`told_blocks.py`); nothing else differs, so what a stream folds to is what
a client is told whole. The first delta brings `message_start`. Its model is the name that was asked for and its id is
one of this answer alone: Claude Code forgets all thoughts of an answer by another name, and takes two answers of one id
for one (2.1.197, seen 2026-11-28).

**One block is open at a time.** A delta that belongs to another block ends the open one. A block that has ended never
opens again: what comes late for it begins a new one of its kind.

- Text, Refusal: the open block of that kind and slot, else a new one; a citation ends it for text, as it hangs on all
  that its block says.
- Citation: on the open text of its slot, else on a new one; the same page once. A file that was written is no source.
- Reasoning, ReasoningSummary: the open thought of that slot, else a new one. A change between the two, or of a
  summary's `part`, is an empty line.
- ReasoningSeal: of the open thought of that slot, else of a new one. It is kept for the end of that thought, where it
  is told once, just before the block ends. A thought that said nothing is `redacted_thinking`, but for Anthropic's own
  signature, which is only taken back with a thought. A thought that nobody proved is signed with a mark of ours,
  because Claude Code forgets those without a signature.
- Search: told once it has ended, as the call and its result, and only to who offered a search. One of which no pages
  are known waits for the end, where the last such has the pages that were cited; where pages were cited and nobody
  told of a search, one is told with them.
- Image: a text of its own that links to the picture. Sketches are not told.
- Opaque: a block that Anthropic alone knows, as it came, once it is done. Items of others are not told, nor is a phase.

Deltas without text say nothing and open nothing. `Closed` says that no more text belongs to the open block.

**Calls.** While a call is open, all that is not its own waits in order, other calls too, each of which gathers its
arguments meanwhile. The open call ends, and the next in the line is told, when something waits and the call is done:
closed, or its JSON is whole. At the end of the answer every call ends. A missing call id, or one that was used, is
replaced; of one in use at other providers the signs are replaced that this API does not take. A call begun again in
its slot ends the one before; said again word for word it is ignored.

**A call that was cut** must not look done, whatever its JSON looks like: see `faces/responses/assemble.py`, whose rule
this is. In an answer that ends at a limit or filter, a call is cut unless it was closed and something was said after
it. It stays out of a whole answer. In a stream, the last sign of each call's JSON is kept back until the call is done;
one that was cut ends without it, so that its JSON is none, and `stop_reason` says why.

**The end.** What comes with or after the first `Stopped` leaves with the end: the open block's, `message_delta` with
the usage heard last, `message_stop`. Without a `Stopped` the answer was cut off, and failed: a stream ends with
`event: error` and says nothing after it, not even that its block ended; a whole answer is the error.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from trunkline.errors import BadGateway, GatewayError
from trunkline.faces.contract import CUT_OFF, Answering, Asked, Run, Send
from trunkline.faces.messages.form import MessagesForm
from trunkline.faces.messages.frames import Frames
from trunkline.faces.messages.refusal import error_body
from trunkline.faces.messages.told_blocks import Blocks, WholeBlocks, citation_of, new_message, put_whole
from trunkline.faces.messages.told_calls import ToldCall
from trunkline.faces.messages.told_end import CUT_SHORT, told_stop, told_usage
from trunkline.faces.messages.told_searches import searches_of
from trunkline.faces.messages.told_thoughts import ToldThought
from trunkline.protocol.opaque import AnthropicItem
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Opaque,
    Phase,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Slot,
    Spent,
    Stopped,
    Text,
)

_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_-]")
"""What no id of a call has in this API."""


class _OpenText:
    """An open text, or refusal: `is_over` says that no more text belongs to it, `cited` what hangs on it."""

    __slots__ = ("cited", "has_text", "is_over", "is_refusal", "slot")

    def __init__(self, slot: Slot, *, is_refusal: bool = False, has_text: bool = True) -> None:
        self.slot = slot
        self.is_refusal = is_refusal
        self.has_text = has_text
        self.is_over = False
        self.cited: set[object] | None = None  # most texts cite nothing


class MessagesTelling:
    """Tells one answer."""

    __slots__ = (
        "_answering", "_blocks", "_calls", "_calls_told", "_form", "_has_begun", "_has_text", "_heard_slot",
        "_is_closing", "_latest", "_opaque", "_open", "_queue", "_refusal", "_searches", "_spent", "_stop", "_text",
        "_used_ids", "failure", "is_over", "is_stream",
    )  # fmt: skip

    def __init__(self, asked: Asked, answering: Answering) -> None:
        assert isinstance(asked.form, MessagesForm)
        self.is_stream = asked.request.stream
        self.is_over = False
        self.failure: GatewayError | None = None
        self._form = asked.form
        self._answering = answering
        self._blocks: Blocks = Frames() if self.is_stream else WholeBlocks()
        self._has_begun = self._is_closing = self._has_text = False
        self._calls_told = 0
        self._open: _OpenText | ToldThought | ToldCall | None = None
        self._text: _OpenText | None = None  # the open one, as long as text alone goes on with it
        self._heard_slot: Slot = None
        # The others are made for the first that they hold: an idle stream is to be small.
        self._calls: dict[Slot, ToldCall] | None = None
        self._queue: deque[ToldCall | Delta] | None = None
        self._latest: ToldCall | None = None
        self._used_ids: set[str] | None = None
        self._searches = searches_of(asked.request) if asked.request.tools else None
        self._opaque: set[Slot] | None = None
        self._refusal: list[str] | None = None
        self._spent: Spent | None = None
        self._stop: Stopped | None = None

    @property
    def is_ending(self) -> bool:
        """Whether it is settled how the answer ends: then all of it has left."""
        return self.is_over

    def feed(self, batch: Sequence[Delta]) -> bytes:
        """Tell what was heard; nothing where it waits for the end."""
        if self.is_over or not batch:
            return b""
        self._hear(batch)
        return b"" if self._stop is not None else self._blocks.take()

    def go_on(self, texts: Sequence[str]) -> bytes:
        """Tell more of the text that was heard last, none of it empty: what `feed` tells of it as `Text`."""
        if self._text is None or self._text.slot != self._heard_slot or self._stop is not None:
            return self.feed([Text(self._heard_slot, text) for text in texts])
        return self._blocks.go_on(texts)

    def run(self, send: Send) -> Run:
        """The same for one text at a time, sent at once, until anything else is told; `go_on` has told one before."""
        is_plain = self._text is not None and self._text.slot == self._heard_slot and self._stop is None
        return self._blocks.run(send) if is_plain and isinstance(self._blocks, Frames) else _HeldRun(self, send)

    def end(self, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and the end: what is left of a stream, or the whole body."""
        if self.is_over:
            return b""
        if rest:
            self._hear(rest)
        if self._stop is None:
            return self._fail(BadGateway(CUT_OFF))
        self._finish(self._stop)
        self.is_over = True
        ending = told_stop(
            self._stop,
            has_calls=self._calls_told > 0,
            refusal=None if self._refusal is None else "".join(self._refusal),
        )
        usage = told_usage(self._spent, self._form.estimated_input_tokens)
        return self._blocks.end(ending, usage, self._stop.anthropic)

    def fail(self, error: GatewayError, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and that the answer failed."""
        if self.is_over:
            return b""
        if rest:
            self._hear(rest)
        return self._fail(error)

    def more(self) -> bytes:
        """Give nothing: the end leaves in one piece, for it repeats nothing."""
        return b""

    def _fail(self, error: GatewayError) -> bytes:
        self.is_over, self._text = True, None
        self.failure = error
        return self._blocks.fail(error_body(error))

    # Beginning and end

    def _hear(self, batch: Sequence[Delta]) -> None:
        if not self._has_begun:
            self._begin()
        for kind, run in groupby(batch, type):
            if kind is Text:
                self._hear_texts(list(run))  # type: ignore[arg-type]  # kind is their type
            elif kind is not Began:
                hear = _HEAR[kind]
                for delta in run:
                    hear(self, delta)

    def _begin(self) -> None:
        self._has_begun = True
        self._blocks.start(new_message(self._answering, self._form), self._form.estimated_input_tokens)

    def _finish(self, stop: Stopped) -> None:
        """End what is open, and tell what waited for the end."""
        if not self._has_begun:
            self._begin()
        self._is_closing = True
        if self._queue:
            self._advance()
        self._close()
        if self._searches is not None:
            self._searches.end(self._blocks, self._new_search_id, is_cut=stop.reason in CUT_SHORT)

    # One method for each kind of delta

    def _hear_texts(self, deltas: Sequence[Text]) -> None:
        """Hear texts one after the other; where all of them go on with one block, they are told together."""
        slot = deltas[0].slot
        texts = [delta.text for delta in deltas if delta.slot == slot and delta.text]
        if len(texts) == len(deltas):
            if self._open is None:
                self._text = self._begin_text(_OpenText(slot))
            if self._text is not None and self._text.slot == slot:
                self._heard_slot = slot
                self._blocks.add_all(texts)
                return
        for delta in deltas:
            self._hear_text(delta)

    def _hear_text(self, delta: Text) -> None:
        if not delta.text:
            return
        self._heard_slot = delta.slot
        text = self._text
        if text is not None and text.slot == delta.slot:
            self._blocks.add(delta.text)
        elif not self._waits(delta):
            self._text = self._text_for(delta.slot, is_refusal=False)
            self._blocks.add(delta.text)

    def _hear_refusal(self, delta: Refusal) -> None:
        if not delta.text or self._waits(delta):
            return
        self._refusal = self._refusal or []
        self._refusal.append(delta.text)
        self._text_for(delta.slot, is_refusal=True)
        self._blocks.add(delta.text)

    def _hear_citation(self, delta: Citation) -> None:
        told = citation_of(delta.annotation)
        if told is None or self._waits(delta):
            return
        text = self._open
        if not isinstance(text, _OpenText) or text.slot != delta.slot or text.is_refusal:
            text = self._begin_text(_OpenText(delta.slot, has_text=False))
        if text.cited is None:
            text.cited = set()
        source = told.get("url", (told.get("file_id"), told.get("document_title")))
        if source not in text.cited:
            text.cited.add(source)
            self._blocks.cite(told)
        if text.has_text:
            text.is_over, self._text = True, None
        if self._searches is not None:
            self._searches.note(delta.annotation)

    def _hear_thought(self, delta: Reasoning | ReasoningSummary) -> None:
        if delta.text and not self._waits(delta):
            part = delta.part if isinstance(delta, ReasoningSummary) else None
            self._thought_for(delta.slot).hear(delta.text, part, self._blocks)

    def _hear_seal(self, delta: ReasoningSeal) -> None:
        thought = self._open
        if isinstance(thought, ToldThought) and thought.slot == delta.slot:
            thought.seal(delta)
        elif (delta.encrypted or delta.signature) and not self._waits(delta):
            self._begin_thought(delta.slot).seal(delta)

    def _hear_call(self, delta: FunctionCall) -> None:
        if self._calls is None or self._queue is None:
            self._calls, self._queue = {}, deque()
        before = self._calls.get(delta.slot)
        if before is not None:
            if before.said == delta and not before.is_closed:
                return
            before.is_closed = True
        self._calls[delta.slot] = self._latest = call = ToldCall(delta, self._call_id(delta.call_id))
        self._queue.append(call)
        self._advance()

    def _hear_arguments(self, delta: Arguments) -> None:
        call = None if self._calls is None else self._calls.get(delta.slot)
        if call is None or call.is_closed or not delta.text:
            return  # a call without a name cannot be made
        self._latest = call
        call.hear(delta.text)
        if call is self._open:
            call.go_on(self._blocks)
        else:
            self._advance()

    def _hear_search(self, delta: Search) -> None:
        searches = self._searches
        if searches is None or not searches.is_told(delta) or self._waits(delta):
            return
        if (ended := searches.hear(delta)) is not None:
            self._close()
            searches.tell(ended, self._blocks, self._new_search_id())

    def _hear_image(self, delta: Image) -> None:
        if delta.final and delta.base64 and not self._waits(delta):
            self._begin_text(_OpenText(delta.slot))
            self._blocks.add(f"![image](data:{delta.media_type};base64,{delta.base64})")
            self._close()

    def _hear_opaque(self, delta: Opaque) -> None:
        if not delta.is_done or not isinstance(delta.item, AnthropicItem) or self._waits(delta):
            return
        self._opaque = self._opaque or set()
        if delta.slot not in self._opaque:
            self._opaque.add(delta.slot)
            self._close()
            put_whole(self._blocks, delta.item)

    def _hear_closed(self, delta: Closed) -> None:
        call = None if self._calls is None else self._calls.get(delta.slot)
        if call is not None:
            call.is_closed = True
        if not isinstance(self._open, ToldCall):
            self._end_texts(delta.slot)
        elif call is None and self._queue:
            self._queue.append(delta)

    def _hear_spent(self, delta: Spent) -> None:
        self._spent = delta

    def _hear_stopped(self, delta: Stopped) -> None:
        self._stop = self._stop or delta

    def _ignore(self, delta: Began | Phase | Failed) -> None:
        """Tell nothing: `_hear` has begun; no phase has a word here; `Failed` is caught before."""

    # Blocks

    def _waits(self, delta: Delta) -> bool:
        """Put a delta in the line behind an open call; False where it can be told now."""
        if not isinstance(self._open, ToldCall):
            return False
        assert self._queue is not None
        self._queue.append(delta)
        self._advance()
        return True

    def _advance(self) -> None:
        """Tell what waits, in order, as far as no call stands before it."""
        queue, heard_slot = self._queue, self._heard_slot
        while queue and self._is_free():
            waiting = queue.popleft()
            if isinstance(waiting, ToldCall):
                self._close()
                self._open = waiting
                self._calls_told += 1
                waiting.begin(self._blocks)
            elif isinstance(waiting, Closed):
                self._end_texts(waiting.slot)
            else:
                _HEAR[type(waiting)](self, waiting)
        self._heard_slot = heard_slot

    def _is_free(self) -> bool:
        """Whether no call is open, or one that is done and ends now."""
        call = self._open
        if isinstance(call, ToldCall):
            if not (call.is_done or self._is_closing):
                return False
            self._close()
        return True

    def _close(self) -> None:
        """End the open block."""
        block, self._open, self._text = self._open, None, None
        match block:
            case None:
                pass
            case _OpenText():
                self._blocks.finish()
            case ToldThought():
                block.finish(self._blocks)
            case ToldCall():
                is_cut_short = self._is_closing and self._stop is not None and self._stop.reason in CUT_SHORT
                if is_cut_short and not (block.is_closed and block is not self._latest):
                    block.cut(self._blocks)
                else:
                    block.finish(self._blocks)
                block.is_closed = True

    def _end_texts(self, slot: Slot) -> None:
        """Let no more text go to the open block, if it has that slot."""
        block = self._open
        if isinstance(block, _OpenText | ToldThought) and block.slot == slot:
            block.is_over, self._text = True, None

    def _text_for(self, slot: Slot, *, is_refusal: bool) -> _OpenText:
        """Find or begin the block that takes a text."""
        text = self._open
        if not isinstance(text, _OpenText) or text.slot != slot or text.is_refusal is not is_refusal or text.is_over:
            text = self._begin_text(_OpenText(slot, is_refusal=is_refusal))
        text.has_text = True
        return text

    def _begin_text(self, text: _OpenText) -> _OpenText:
        if self._open is not None:
            self._close()
        self._open = text
        self._has_text = True
        self._blocks.begin_text()
        return text

    def _thought_for(self, slot: Slot) -> ToldThought:
        """Find or begin the thought that takes a text."""
        thought = self._open
        if isinstance(thought, ToldThought) and thought.slot == slot and not thought.is_over:
            return thought
        return self._begin_thought(slot)

    def _begin_thought(self, slot: Slot) -> ToldThought:
        self._close()
        thought = ToldThought(slot, after_text=self._has_text, calls_before=self._calls_told)
        self._open = thought
        return thought

    def _call_id(self, said: str) -> str:
        used = self._used_ids = self._used_ids or set()
        call_id = _FOREIGN.sub("_", said)
        if not call_id or call_id in used:
            call_id = "toolu_" + next(self._answering.ids)
        used.add(call_id)
        return call_id

    def _new_search_id(self) -> str:
        return "srvtoolu_" + next(self._answering.ids)


class _HeldRun:
    """Tells texts that go on, one at a time, where more is to be looked at than the text."""

    __slots__ = ("_send", "_telling")

    def __init__(self, telling: MessagesTelling, send: Send) -> None:
        self._telling = telling
        self._send = send

    def send(self, text: str, inner: bytes) -> bool:
        """Tell a text, which is not empty; say whether there is room for more."""
        piece = self._telling.go_on((text,))
        return self._send(piece) if piece else True


_HEAR: Mapping[type, Callable[[MessagesTelling, Any], None]] = {
    Text: MessagesTelling._hear_text,
    Refusal: MessagesTelling._hear_refusal,
    Citation: MessagesTelling._hear_citation,
    Reasoning: MessagesTelling._hear_thought,
    ReasoningSummary: MessagesTelling._hear_thought,
    ReasoningSeal: MessagesTelling._hear_seal,
    FunctionCall: MessagesTelling._hear_call,
    Arguments: MessagesTelling._hear_arguments,
    Search: MessagesTelling._hear_search,
    Image: MessagesTelling._hear_image,
    Opaque: MessagesTelling._hear_opaque,
    Closed: MessagesTelling._hear_closed,
    Spent: MessagesTelling._hear_spent,
    Stopped: MessagesTelling._hear_stopped,
    Began: MessagesTelling._ignore,
    Phase: MessagesTelling._ignore,
    Failed: MessagesTelling._ignore,
}
"""By type of delta, who hears it; one look-up instead of a ladder."""
