"""Deltas → a chat completion, as chunks or whole: the machine that decides indices and ids, and how an answer ends.

It never hears of a provider. How things are spelled is `spelling.py`'s; what is told goes to the chunks of a stream
(`frames.py`) or to the fold of them that is a whole answer (`completion.py`), and neither decides anything.

Theory of operation
-------------------

**Begin.** The first deltas fed bring a chunk with the role. The model told is that of `Began`, or the one given where
the first delta is another. From then on each delta is told at once, in a chunk of its own.

**There is one message.** Nothing in it is opened or closed: text, thoughts, calls and pictures are told in the order
they come, and may come in any. What is kept of each is what later deltas refer to:

- Text: all of it is one content. A citation counts from the beginning of the text in its slot, so it is told moved by
  all that was said before that. A text begins when its slot is another than that of the text before, when something
  else was said in between, or when the slot was closed. A page cited twice at one place is told once. Of files there is
  nothing to tell: the API has no words for them.
- Reasoning, ReasoningSummary: the thought that is open, if it has that slot, else a new one; anything else that is
  said ends a thought. They have indices from 0.
- ReasoningSeal: the last thought of its slot, however long ago it was told; else a new one without text. One that is
  awaited says nothing yet. Who asked for no thoughts is told no proofs.
- FunctionCall: a new call, with the next index. Said again word for word while it is open, it is ignored. An id that
  is missing, or was used in this answer before, is replaced by one of ours. The kinds of calls that other APIs have
  are told as functions: nobody can have asked for them here. To who offered `functions`, the older form, the first call
  is told in that form, and no other: there is no place for one, and they were asked not to be made.
- Arguments: the last call of that slot, also after something else was said; ignored if there is none or it is closed.
- Image: the final one; sketches are not told.
- Search, Opaque, Phase: nothing.

Deltas without text say nothing.

**End.** What ends an answer is told only once nothing more is heard, since usage often comes last; what is heard with
`Stopped` or after it waits for it and leaves with it. The first `Stopped` decides, but for one thing: a client that
hears anything else than `tool_calls` makes no calls, so that is the reason wherever there is a call and nothing was
cut, whatever the provider says, and nowhere else. None heard: the answer was cut off, and failed. Usage is told once,
as last heard. After the end everything is ignored.

**Cut calls.** An answer that ran into a limit may end in half a call. Nothing says so in a stream but the reason, which
then is never `tool_calls`; in a whole answer the call is left out. A call may be half, unless something else was said
after it, or it was closed and another call spoke or began after it: some providers close what ran into the limit
before they say so. A call of a function that was told nothing, or `null`, says `{}` at the end, unless it was cut.

**Failure.** A chunk with the error, which clients raise, and no reason for an end anywhere. A whole answer that failed
is the error and no choice at all: whoever looks for no error would take half an answer for the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from trunkline.errors import BadGateway, GatewayError
from trunkline.faces.chat.completion import Completion
from trunkline.faces.chat.form import ChatForm
from trunkline.faces.chat.frames import Chunks
from trunkline.faces.chat.spelling import CUTS, ChoiceDelta, Ending, FinishReason, ToolCall, as_function, cite, picture
from trunkline.faces.chat.told_calls import ToldCalls
from trunkline.faces.chat.told_thoughts import Thought
from trunkline.faces.contract import CUT_OFF, Answering, Asked, Send
from trunkline.protocol.items import UrlCitation
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

_CLOSED: Final = object()
"""The slot of no text."""


class ChatTelling:
    """Tells one answer; `length` is that of the content so far, in code points."""

    __slots__ = (
        "_answering", "_calls", "_calls_function", "_cited", "_has_begun", "_images", "_last_thought", "_sink",
        "_slot", "_spent", "_start", "_stop", "_tells_thoughts", "_thought", "_thoughts", "failure", "is_over",
        "is_stream", "length",
    )  # fmt: skip

    def __init__(self, asked: Asked, answering: Answering) -> None:
        form = asked.form if isinstance(asked.form, ChatForm) else ChatForm()
        self._answering = answering
        self._tells_thoughts, self._calls_function = form.tells_thoughts, form.calls_function
        self.is_stream = asked.request.stream
        self._sink: Chunks | Completion = Chunks(asks_usage=form.include_usage) if self.is_stream else Completion()
        self._has_begun = self.is_over = False
        self.length = 0
        self._slot: Slot = _CLOSED
        self._start = 0
        # What not every answer has is made for the first: an idle stream is to be small.
        self._cited: set[tuple[str, int, int]] | None = None
        self._thought: Thought | None = None
        self._last_thought: Thought | None = None
        self._thoughts: dict[Slot, Thought] | None = None
        self._calls: ToldCalls | None = None
        self._images = 0
        self._spent: Spent | None = None
        self._stop: Stopped | None = None
        self.failure: GatewayError | None = None

    @property
    def is_ending(self) -> bool:
        """Whether it is settled how the answer ends: its end leaves in one piece."""
        return self.is_over

    def feed(self, batch: Sequence[Delta]) -> bytes:
        """Tell what was heard; nothing where it waits for the end, or the answer is asked whole."""
        if self.is_over or not batch:
            return b""
        self._hear(batch)
        return self._sink.take() if self._stop is None else b""

    def go_on(self, texts: Sequence[str]) -> bytes:
        """Tell more of the text that was heard last, none of it empty: what `feed` would tell of it as `Text`."""
        for text in texts:  # nearly always one
            self.length += len(text)
        return self._sink.go_on(texts)

    def run(self, send: Send) -> ChatRun:
        """The same for one text at a time, sent at once, until anything else is told; `go_on` has told one before."""
        assert isinstance(self._sink, Chunks), "nothing is sent of a whole answer before its end"
        return ChatRun(self, self._sink.text_head, send)

    def end(self, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and the end: what is left of a stream, or the whole body."""
        if self.is_over:
            return b""
        if rest or not self._has_begun:
            self._hear(rest)
        if self._stop is None:
            return self.fail(BadGateway(CUT_OFF))
        ending = self._conclude(self._stop)
        self.is_over = True
        return self._sink.finish(ending)

    def fail(self, error: GatewayError, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the last that was heard, and that the answer failed."""
        if self.is_over:
            return b""
        self._hear(rest)
        self.is_over = True
        self.failure = error
        return self._sink.fail(error, self._spent)

    def more(self) -> bytes:
        """Give nothing: the end leaves in one piece, since it repeats nothing."""
        return b""

    # Hearing

    def _hear(self, batch: Sequence[Delta]) -> None:
        if not self._has_begun:
            self._begin(batch[0] if batch else None)
        for kind, run in groupby(batch, type):
            if kind is Text:
                self._hear_texts(list(run))  # type: ignore[arg-type]  # kind is their type
            elif kind is not Began:
                hear = _HEAR[kind]
                for delta in run:
                    hear(self, delta)

    def _begin(self, first: Delta | None) -> None:
        self._has_begun = True
        answering = self._answering
        model = first.model if isinstance(first, Began) else answering.model
        self._sink.begin("gen-" + answering.id.removeprefix("resp_"), int(answering.created_at), model)

    def _hear_texts(self, deltas: Sequence[Text]) -> None:
        # Not one by one as the others: nearly all deltas are texts, and come in dozens where a provider is fast.
        slot = deltas[0].slot
        texts = [delta.text for delta in deltas if delta.slot == slot and delta.text and not delta.logprobs]
        if len(texts) < len(deltas):
            self._hear_mixed_texts(deltas)
            return
        if slot != self._slot:
            self._begin_text(slot)
        self._say_texts(texts)

    def _hear_mixed_texts(self, deltas: Sequence[Text]) -> None:
        """Hear texts of several slots, of which some are empty, or come with log probabilities."""
        texts: list[str] = []
        for delta in deltas:
            if delta.slot == self._slot and not delta.logprobs:
                if delta.text:
                    texts.append(delta.text)
            elif delta.text or delta.logprobs:
                self._say_texts(texts)
                texts = []
                if delta.slot != self._slot:
                    self._begin_text(delta.slot)
                if delta.logprobs:
                    self.length += len(delta.text)
                    self._sink.say(ChoiceDelta(content=delta.text), delta.logprobs)
                else:
                    texts.append(delta.text)
        self._say_texts(texts)

    def _say_texts(self, texts: Sequence[str]) -> None:
        if texts:
            self.length += len(texts[0] if len(texts) == 1 else "".join(texts))
            self._sink.say_texts(texts)

    def _begin_text(self, slot: Slot) -> None:
        self._leave()
        self._slot, self._start = slot, self.length

    def _hear_citation(self, delta: Citation) -> None:
        said = delta.annotation
        if not isinstance(said, UrlCitation):
            return
        if delta.slot != self._slot:
            self._begin_text(delta.slot)
        place = (said.url, self._start + said.start_index, self._start + said.end_index)
        if self._cited is None:
            self._cited = set()
        if place not in self._cited:
            self._sink.say(ChoiceDelta(annotations=(cite(said, self._start, len(self._cited)),)))
            self._cited.add(place)

    def _hear_refusal(self, delta: Refusal) -> None:
        if delta.text:
            self._leave()
            self._sink.say(ChoiceDelta(refusal=delta.text))

    def _hear_reasoning(self, delta: Reasoning) -> None:
        if delta.text and (thought := self._thought_for(delta.slot)) is not None:
            self._sink.say(thought.think(delta.text))

    def _hear_summary(self, delta: ReasoningSummary) -> None:
        if delta.text and (thought := self._thought_for(delta.slot)) is not None:
            self._sink.say(thought.sum_up(delta.text, delta.part))

    def _hear_seal(self, delta: ReasoningSeal) -> None:
        thought = None if self._thoughts is None else self._thoughts.get(delta.slot)
        if thought is None and (delta.encrypted or delta.signature):
            thought = self._thought_for(delta.slot)
        told = None if thought is None else thought.seal(delta)
        if told is not None:
            self._sink.say(told)

    def _hear_call(self, delta: FunctionCall) -> None:
        if self._calls is None:
            self._calls = ToldCalls(self._answering.ids)
        told = self._calls.begin(delta)
        if told is not None:
            self._slot, self._thought = _CLOSED, None
            self._tell_call(told)

    def _hear_arguments(self, delta: Arguments) -> None:
        told = None if self._calls is None else self._calls.hear(delta)
        if told is not None:
            self._tell_call(told)

    def _tell_call(self, told: ToolCall) -> None:
        if not self._calls_function:
            self._sink.say(ChoiceDelta(tool_calls=(told,)))
        elif told.index == 0:
            self._sink.say(ChoiceDelta(function_call=as_function(told)))

    def _hear_image(self, delta: Image) -> None:
        self._leave()
        if delta.final and delta.base64:
            self._sink.say(ChoiceDelta(images=(picture(delta.media_type, delta.base64, self._images),)))
            self._images += 1

    def _hear_closed(self, delta: Closed) -> None:
        if delta.slot == self._slot:
            self._slot = _CLOSED
        if self._thought is not None and self._thought.slot == delta.slot:
            self._thought = None
        if self._calls is not None:
            self._calls.close(delta.slot)

    def _hear_spent(self, delta: Spent) -> None:
        self._spent = delta

    def _hear_stopped(self, delta: Stopped) -> None:
        self._stop = self._stop or delta

    def _pass(self, delta: Search | Opaque) -> None:
        """Tell nothing of something that is said between others."""
        self._leave()

    def _ignore(self, delta: Phase | Failed) -> None:
        """Tell nothing: a phase has no words, and `Failed` is caught before."""

    # What is open, and the end

    def _leave(self) -> None:
        """End the text and the thought that are open, for something else; what was called before is whole."""
        self._slot, self._thought = _CLOSED, None
        if self._calls is not None:
            self._calls.leave()

    def _thought_for(self, slot: Slot) -> Thought | None:
        """Find or begin the thought that goes on in a slot; None for who asked for none."""
        thought = self._thought
        if thought is not None and thought.slot == slot:
            return thought
        self._leave()
        if not self._tells_thoughts:
            return None
        calls = 0 if self._calls is None else len(self._calls)
        if self._thoughts is None:
            self._thoughts = {}
        before = self._last_thought
        index, has_said = (0, False) if before is None else (before.index + 1, before.has_said)
        thought = Thought(slot, index, after_text=self.length > 0, calls_before=calls, has_said=has_said)
        self._thought = self._last_thought = self._thoughts[slot] = thought
        return thought

    def _conclude(self, stop: Stopped) -> Ending:
        reason: FinishReason = "stop"
        cut: frozenset[int] = frozenset()
        if self._calls is not None:
            reason = "function_call" if self._calls_function else "tool_calls"
            rest, cut = self._calls.end(is_cut=stop.reason in CUTS)
            for call in rest:
                self._tell_call(call)
        return Ending(CUTS.get(stop.reason, reason), self._spent, cut)


class ChatRun:
    """A text that goes on, told piece by piece: what is left of a token when nothing but its text is new."""

    __slots__ = ("_head", "_send", "_telling")

    def __init__(self, telling: ChatTelling, head: bytes, send: Send) -> None:
        self._telling = telling
        self._head = head
        self._send = send

    def send(self, text: str, inner: bytes) -> bool:
        """Send the chunk of a text, which is not empty; say whether there is room for more."""
        self._telling.length += len(text)
        return self._send(b'%b"%b"%b' % (self._head, inner, Chunks.text_tail))


_HEAR: Final[Mapping[type, Callable[[ChatTelling, Any], None]]] = {
    Reasoning: ChatTelling._hear_reasoning,
    ReasoningSummary: ChatTelling._hear_summary,
    ReasoningSeal: ChatTelling._hear_seal,
    Refusal: ChatTelling._hear_refusal,
    FunctionCall: ChatTelling._hear_call,
    Arguments: ChatTelling._hear_arguments,
    Citation: ChatTelling._hear_citation,
    Image: ChatTelling._hear_image,
    Closed: ChatTelling._hear_closed,
    Search: ChatTelling._pass,
    Opaque: ChatTelling._pass,
    Spent: ChatTelling._hear_spent,
    Stopped: ChatTelling._hear_stopped,
    Phase: ChatTelling._ignore,
    Failed: ChatTelling._ignore,
}
"""By type of delta, who hears it, but for texts, and for `Began`; one look-up instead of a ladder."""
