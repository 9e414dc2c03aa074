"""One attempt's answer, from bytes to deltas: framing, decoding, what counts as output, and when it is over.

A machine without a socket and without a clock. Whoever drives it reads bytes and says what came (`feed`, `ended`, or
`whole` for both), gives the deltas on, and then looks at what is to be done: nothing more (`is_over`, and `fault` says
whether it went wrong), another request whose answer belongs to this one (`exchange`), or to read on.

Theory of operation. An answer takes one exchange, or several where the decoder asks on: a turn that the provider
paused, a job that is waited for. *Reading*: bytes are framed and decoded; the first deltas get `Began` before them. It
ends with the dialect's own end mark, a `Failed` delta, bytes that break the framing, or the cap on output. *Ended*: the
body is over or broke off. What the framing held back is decoded, and the decoder may name another exchange; else it
says the rest. Of a stream that broke off it may have heard the finish, and then the answer is whole; a whole body that
broke off says nothing. An answer that nothing stopped was cut off, which is a fault.

*At a stop text* of the client's the answer is over as well, and well (`stream/stopping.py`): the list in which it is
heard is given on up to it, `Stopped` behind it, and the connection is dropped. Such an answer may be empty.

*Over the cap*: some servers go on after as many tokens as they were asked for. How many they sent is not known before
they count them, so the cap counts what no tokenizer makes fewer of (`Cap`). The list in which it is passed is given on
whole, `Stopped` behind it, and the connection is dropped. An answer that comes whole is not cut: it is there and paid.

*A run of text*: most reads only go on with the text that was told last. `continued` hears them as texts, without
deltas, where nothing of the above can come of it; any other bytes it leaves to `feed`, untouched.

Two things are told of output, since providers keep connections open with pieces that say nothing: `has_progressed`,
whether the last bytes brought some, and `has_spoken`, whether a client has seen something ever. Text that a decoder
holds back is progress that no client sees.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trunkline.adapters.contract import Decoder, Exchange, begin
from trunkline.adapters.decoding.answer_ids import read_answer_id
from trunkline.catalog.entries import Endpoint
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Delta,
    Failed,
    Phase,
    Reasoning,
    ReasoningSummary,
    Refusal,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.stream.framing import BODY, JSON_TYPE, MAX_BODY_BYTES, Framing, framing_for, is_telling, usual_framing
from trunkline.stream.stopping import StopWords
from trunkline.wire import Fault, Malformed, UpstreamRequest, WireMessage

_SILENT_KINDS = frozenset({Began, Phase, Spent})
"""Deltas that a client does not see: until another comes, the next endpoint may still be asked."""

_WORDED_KINDS = frozenset({Text, Refusal, Reasoning, ReasoningSummary, Arguments})
"""Deltas that a client sees only when their text is not empty."""

_QUIET_KINDS = _SILENT_KINDS | _WORDED_KINDS

_NOTED_KINDS = frozenset({Spent, Stopped, Failed})
"""Deltas that say how the attempt goes."""

_TOGETHER = 12
"""So many messages are asked at once whether they only go on with a text."""

_MUCH = 1 << 40
_MOST_CHARACTERS_PER_TOKEN = 8
_LEAST_RUN = 8
_LITTLE_ROOM = 1024
_RUN = re.compile(rf"(.)\1{{{_LEAST_RUN - 1},}}", re.DOTALL)

_MAX_NAMED_BYTES = 1024 * 1024
"""Larger answers are pictures, which no API names, and reading them once more would hold the loop."""

_CUT_OFF = Fault("nonsense", "the answer was cut off")


class Cap:
    """How many tokens an answer may have, against what is known of how many it has at the least.

    `room` is how many characters more may be told before the limit is passed, at the least: runs, which make it more,
    are looked for once it gets short, as in most answers it never does.
    """

    __slots__ = ("_max_tokens", "_unsearched", "room")

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._unsearched: list[str] = []
        self.room = (max_tokens + 1) * _MOST_CHARACTERS_PER_TOKEN - 1

    def count(self, texts: Sequence[str]) -> None:
        """Count what is told."""
        self.room -= sum(map(len, texts))
        self._unsearched += texts
        if self.room < _LITTLE_ROOM:
            self._allow_for_runs()

    def _allow_for_runs(self) -> None:
        """Count a run of one character once: it may be a single token, however long: an indent, a line of a table."""
        for text in self._unsearched:
            if len(text) >= _LEAST_RUN:
                self.room += len(text) - len(_RUN.sub("x", text))
        self._unsearched.clear()

    def place_of_end(self, batch: list[Delta], usage: Usage | None) -> int | None:
        """How many of these deltas may be told, where the limit is passed by them; None where it is not.

        How much of an answer comes in one read must not decide how far it goes beyond its limit.
        """
        texts = [delta.text for delta in batch if type(delta) in _WORDED_KINDS]  # type: ignore[union-attr]
        if self.room - sum(map(len, texts)) < 0:
            self._allow_for_runs()
        room = self.room
        self.count(texts)
        if self.room < 0:
            self.room = room
            for place, delta in enumerate(batch, 1):
                self.count([delta.text] if type(delta) in _WORDED_KINDS else ())  # type: ignore[union-attr]
                if self.room < 0:
                    return place
        is_told = usage is not None and usage.output_tokens > self._max_tokens and not usage.estimated
        return len(batch) if is_told else None


class Hearing:
    """What one attempt hears.

    `sent` is the request whose answer is heard at the moment, `exchange` the one to make next, `usage` what the
    provider says was spent so far, `answer_id` what it calls the answer. `fault` is how the answer failed, once it is
    over, `refusal` is it where that is all that the answer says, and cost nothing. `has_end_mark`: the provider said
    itself that nothing follows, so the connection may be used again.
    """

    __slots__ = (
        "_broken",
        "_cap",
        "_decoder",
        "_endpoint",
        "_fault",
        "_framing",
        "_has_begun",
        "_has_stopped",
        "_held_back",
        "_is_whole",
        "_max_output_tokens",
        "_media_type",
        "_start",
        "_stops",
        "_told_last",
        "answer_id",
        "exchange",
        "has_end_mark",
        "has_progressed",
        "has_spoken",
        "is_over",
        "refusal",
        "sent",
        "usage",
    )

    def __init__(
        self,
        decoder: Decoder,
        endpoint: Endpoint,
        sent: UpstreamRequest,
        media_type: str,
        max_output_tokens: int | None = None,
        stop: Sequence[str] = (),
    ) -> None:
        self._decoder = decoder
        self._stops = StopWords(stop) if stop else None
        self._max_output_tokens = max_output_tokens
        self._cap: Cap | None = None
        self._endpoint = endpoint
        self._media_type = media_type
        self._framing: Framing | None = None
        self._start = b""
        self._broken: Fault | None = None
        self._fault: Fault | None = None
        self._has_begun = False
        self._has_stopped = False
        self._is_whole = False
        self._held_back = 0
        self._told_last: Text | None = None
        self.sent = sent
        self.answer_id: str | None = None
        self.exchange: Exchange | None = None
        self.usage: Usage | None = None
        self.refusal: Fault | None = None
        self.is_over = False
        self.has_progressed = False
        self.has_spoken = False
        self.has_end_mark = False

    @property
    def fault(self) -> Fault | None:
        """What went wrong. Of an answer that broke off the decoder knows only that it has no end."""
        if self._fault is not None:
            return self._broken or self._fault
        return None if self._has_stopped else self._broken or _CUT_OFF

    @property
    def has_failed_whole(self) -> bool:
        """Whether the answer came whole and says of itself that it broke off, so that all of it may still be given up.

        Of a stream this is never so: where the network cuts it must not decide what becomes of it.
        """
        return self._is_whole and self.is_over and self.fault is not None

    def whole(self, body: bytes) -> list[Delta]:
        """Hear all that is left of the body, which ended well: what `feed` and `ended` say of it together."""
        is_json = body.startswith(BODY) and self._media_type.startswith(JSON_TYPE) and len(body) <= MAX_BODY_BYTES
        if not is_json or self._start or self._framing is not None:
            batch = self.feed(body) if body else []
            return batch if self.is_over else batch + self.ended()
        self._is_whole = True
        return self._closed(self._read_whole(body), None)

    def feed(self, piece: bytes) -> list[Delta]:
        """Hear bytes of the body, of which there are some."""
        framing = self._framing
        if framing is None:
            # Blanks before an answer say nothing, and are not kept: some servers send them without end.
            piece = self._start = (self._start + piece).lstrip()
            framing = usual_framing(self._media_type, piece)
            if framing is None:
                if not is_telling(piece):
                    self.has_progressed = False
                    return []
                framing = framing_for(self._media_type, piece)
            self._framing = framing
            self._is_whole = framing.is_whole
        # Of a whole body nothing is known until its end; blanks only keep it alive.
        self.has_progressed = framing.is_whole and not piece.isspace()
        batch: list[Delta] = []
        try:
            batch += self._decoded(framing.feed(piece))
        except Malformed as error:
            batch.append(Failed(Fault("nonsense", str(error))))
        self.is_over = self.has_end_mark = self._decoder.is_done
        if batch:
            batch = self._heard(batch)
        if not self.has_progressed and self._decoder.held_back > self._held_back:
            # A client sees nothing yet, but the model goes on.
            self._held_back, self.has_progressed = self._decoder.held_back, True
        return batch

    def continued(self, piece: bytes) -> list[str] | None:
        """Hear bytes of the body that only go on with the text told last: its next pieces, none of them empty.

        None for any other bytes, of which nothing was heard: they are for `feed`.
        """
        told, framing, cap = self._told_last, self._framing, self._cap
        if told is None or framing is None or self.is_over:
            return None
        # A character takes a byte at the least.
        if cap is not None and len(piece) > cap.room:
            return None
        messages = framing.messages_in(piece)
        texts = None if messages is None else self._decoder.continues(messages, told.slot)
        if texts is not None:
            self.has_progressed = True
            if cap is not None:
                cap.count(texts)
        return texts

    @property
    def loose_members(self) -> tuple[bytes, bytes]:
        """The members, as JSON, whose numbers may differ between messages alike: their count, and what was spent."""
        return self._decoder.number_member, self._decoder.usage_member

    @property
    def room(self) -> int:
        """How many characters of text may go on before they are to be counted."""
        return _MUCH if self._cap is None else self._cap.room

    def went_on(self, texts: Sequence[str], latest: bytes) -> None:
        """Hear that bytes came which are those that `continued` heard last, but for these texts and loose numbers.

        `latest` are the last of them, where their numbers say what was spent.
        """
        framing = self._framing
        messages = framing.messages_in(latest) if latest and framing is not None else None
        self._decoder.went_on(texts, messages[-1] if messages else None)
        self.has_progressed = True
        if self._cap is not None:
            self._cap.count(texts)

    def ended(self, broken: Fault | None = None) -> list[Delta]:
        """Hear that the body is over, or how it broke off."""
        self.has_progressed = False
        self._broken = broken
        batch: list[Delta] = []
        framing = self._framing
        if framing is None:
            framing = framing_for(self._media_type, self._start)
        try:
            if self._framing is None:
                framing.feed(self._start)
            if broken is None:
                batch += self._rest(framing)
        except Malformed as error:
            batch.append(Failed(Fault("nonsense", str(error))))
        return self._closed(batch, broken, is_told=broken is None or not framing.is_whole)

    def resume(self, media_type: str) -> None:
        """Hear the answer to `exchange`, whose head has come."""
        assert self.exchange is not None
        self.sent, self.exchange, self._broken = self.exchange.request, None, None
        self._media_type, self._framing, self._start, self._is_whole = media_type, None, b"", False

    def refused(self, fault: Fault) -> bool:
        """Hear that `exchange` got no answer; False when the attempt fails with that."""
        assert self.exchange is not None
        self.exchange = self._decoder.next_exchange(self.exchange.request, fault)
        return self.exchange is not None

    def _decoded(self, messages: Sequence[WireMessage]) -> list[Delta]:
        """Decode the messages of one read; of many, those that only go on with a text are heard together."""
        batch: list[Delta] = []
        place, end = 0, len(messages)
        if not self._has_begun and messages and self.answer_id is None:
            self.answer_id = read_answer_id(messages[0].data)
        while place < end:
            last = batch[-1] if batch else None
            if type(last) is Text:
                slot, some = last.slot, messages[place : place + _TOGETHER]
                texts = self._decoder.continues(some, slot)
                if texts is not None:
                    batch += [Text(slot, text) for text in texts]
                    place += len(some)
                    continue
                for message in some[:-1]:
                    batch += self._decoder.message(message)
                place += len(some) - 1
            batch += self._decoder.message(messages[place])
            place += 1
        return batch

    def _rest(self, framing: Framing) -> list[Delta]:
        """What is left to decode when the body has ended; all of it, where the body is no stream."""
        batch: list[Delta] = []
        for message in framing.flush():
            batch += self._read_whole(message.data) if framing.is_whole else self._decoder.message(message)
        return batch

    def _read_whole(self, body: bytes) -> list[Delta]:
        if self.answer_id is None and len(body) <= _MAX_NAMED_BYTES:
            self.answer_id = read_answer_id(body)
        return list(self._decoder.whole(body))

    def _closed(self, batch: list[Delta], broken: Fault | None, *, is_told: bool = True) -> list[Delta]:
        """Hear what the end of the body leaves to say, or that more is to be asked.

        Of a whole body that broke off nothing is said.
        """
        decoder = self._decoder
        self.exchange = decoder.next_exchange(self.sent, broken)
        if self.exchange is None:
            self.is_over = True
            self.has_end_mark = decoder.is_done
            if is_told:
                batch += decoder.end()
        batch = self._heard(batch) if batch else batch
        if self._stops is not None and self.exchange is None:
            batch += self._stops.rest()
        return batch

    def _heard(self, batch: list[Delta]) -> list[Delta]:
        if not self._has_begun:
            told, self._has_begun = batch, True
            batch = begin(told, self._endpoint, may_be_empty=self._stops is not None)
            if type(batch[0]) is Failed:
                # Nobody is told of a failure that stands alone; what its provider says that it spent is billed.
                self._note(told)
                self.refusal = batch[0].fault if self.usage is None else None
        if self._stops is not None:
            batch = self._held_to(self._stops, batch)
        kinds = set(map(type, batch))
        if kinds & _NOTED_KINDS:
            batch = self._note(batch)
        first_text: str = getattr(batch[0], "text", "") if batch else ""
        if first_text or (batch and (not kinds <= _QUIET_KINDS or _has_text(batch))):
            self.has_progressed = self.has_spoken = True
        is_going_on = not (self._has_stopped or self.is_over)
        if is_going_on and self._max_output_tokens is not None:
            # Whole answers need none.
            if self._cap is None:
                self._cap = Cap(self._max_output_tokens)
            place = self._cap.place_of_end(batch, self.usage)
            if place is not None:
                self._has_stopped = self.is_over = True
                spent = (delta for delta in batch[place:] if type(delta) is Spent)
                batch = [*batch[:place], *spent, Stopped("length")]
        last = batch[-1] if batch else None
        # Where text is looked at for the client's stop texts, all of it has to be.
        self._told_last = last if type(last) is Text and last.text and self._stops is None else None
        return batch

    def _held_to(self, stops: StopWords, batch: list[Delta]) -> list[Delta]:
        batch = stops.hear(batch)
        if stops.is_over:
            self.is_over, self.has_end_mark, self.exchange = True, False, None
        elif stops.is_holding:
            self.has_progressed = True
        return batch

    def _note(self, batch: list[Delta]) -> list[Delta]:
        """Keep what was spent and that the answer stopped; cut the list where the provider broke off."""
        for index, delta in enumerate(batch):
            if type(delta) not in _NOTED_KINDS:
                continue
            match delta:
                case Spent():
                    self.usage = delta.usage
                case Stopped():
                    self._has_stopped = True
                case Failed():
                    self._fault, self.is_over, self.exchange = delta.fault, True, None
                    return batch[:index]
        return batch


def _has_text(batch: list[Delta]) -> bool:
    """Whether one of these deltas has a text; a provider may send empty pieces only to keep a connection."""
    return any(getattr(delta, "text", "") for delta in batch)
