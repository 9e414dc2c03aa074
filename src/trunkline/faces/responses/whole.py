"""An answer for a client that wants no stream: all that was heard, told at its end in one piece.

Theory of operation. Nothing is told before the end, so until then what is heard is only kept. What an answer is the
assembler decides, by all that could come next; but nearly every one is a single text that ended by itself, of which
nothing is left to decide. That one is written as it is told. Both ways come to the same, which is a law of its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trunkline.errors import GatewayError
from trunkline.faces.contract import Answering
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.echo import CUT_SHORT, echo, told_tier, told_usage
from trunkline.faces.responses.telling import ResponsesTelling
from trunkline.faces.responses.text_run import TextRun
from trunkline.protocol.items import Message, OutputText
from trunkline.protocol.render import render_response
from trunkline.protocol.request import Request
from trunkline.protocol.response import Response
from trunkline.stream.deltas import Began, Closed, Delta, ServedTier, Slot, Spent, Stopped, StopReason, Text


class WholeTelling:
    """Tells one answer whole."""

    __slots__ = ("_answering", "_heard", "_request", "is_over")

    is_stream = False
    failure: GatewayError | None = None  # a response tells by itself that it failed

    def __init__(self, request: Request, answering: Answering) -> None:
        self._request = request
        self._answering = answering
        self._heard: list[Delta] = []
        self.is_over = False

    @property
    def is_ending(self) -> bool:
        """Whether it is settled how the answer ends: all of that leaves at once."""
        return self.is_over

    def feed(self, batch: Sequence[Delta]) -> bytes:
        """Keep what was heard."""
        self._heard += batch
        return b""

    def go_on(self, texts: Sequence[str]) -> bytes:
        """Keep more of the text that was heard last."""
        slot = next(said.slot for said in reversed(self._heard) if isinstance(said, Text))
        self._heard += [Text(slot, text) for text in texts]
        return b""

    def run(self, send: Callable[[bytes], bool]) -> TextRun:
        """Nothing is sent before the end."""
        raise AssertionError("a whole answer is told text by text")

    def end(self, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the whole body."""
        if self.is_over:
            return b""
        self.is_over = True
        self._heard += rest
        response = one_text(self._request, self._answering, self._heard)
        return self._assembled().end() if response is None else render_response(response)

    def fail(self, error: GatewayError, rest: Sequence[Delta] = ()) -> bytes:
        """Tell the whole body of an answer that failed."""
        if self.is_over:
            return b""
        self.is_over = True
        self._heard += rest
        return self._assembled().fail(error)

    def more(self) -> bytes:
        """Nothing is left after the end."""
        return b""

    def _assembled(self) -> ResponsesTelling:
        answering = self._answering
        id, ids, model = answering.id, answering.ids, answering.model
        assembler = Assembler(self._request, id, ids, answering.created_at, model, is_stream=False)
        telling = ResponsesTelling(assembler, answering.now)
        telling.feed(self._heard)
        return telling


def one_text(request: Request, answering: Answering, heard: Sequence[Delta]) -> Response | None:
    """The response to an answer that is one text, complete; None for any other."""
    model, is_closed = answering.model, False
    slot: Slot = None
    texts: list[str] = []
    spent: Spent | None = None
    tier: ServedTier | None = None
    stop: StopReason | None = None
    for place, delta in enumerate(heard):
        if isinstance(delta, Text):
            if is_closed or delta.logprobs or (texts and delta.slot != slot):
                return None
            if delta.text:
                slot = delta.slot
                texts.append(delta.text)
        elif isinstance(delta, Spent):
            spent, tier = delta, delta.service_tier or tier
        elif isinstance(delta, Stopped):
            stop = stop or delta.reason
        elif isinstance(delta, Closed):
            is_closed = True
        elif isinstance(delta, Began) and place == 0:
            model = delta.model
        else:
            return None
    if not texts or stop is None or stop in CUT_SHORT:
        return None
    text = "".join(texts)
    message = Message(
        id="msg_" + next(answering.ids), role="assistant", status="completed", content=(OutputText(text),)
    )
    return echo(
        request,
        answering.id,
        answering.created_at,
        model,
        status="completed",
        completed_at=int(answering.now()),
        output=(message,),
        output_text=text,
        usage=told_usage(spent),
        service_tier="default" if tier is None else told_tier(tier),
    )
