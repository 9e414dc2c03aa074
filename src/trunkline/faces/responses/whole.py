"""A response that is one text, written at once for a client that wants no stream.

What any other comes to is the assembler's.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.faces.contract import Answering, Asked
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.echo import CUT_SHORT, echo, told_tier, told_usage
from trunkline.faces.responses.telling import ResponsesTelling
from trunkline.protocol.items import Message, OutputText
from trunkline.protocol.render import render_response
from trunkline.stream.deltas import Began, Closed, Delta, ServedTier, Slot, Spent, Stopped, StopReason, Text


def assembled(asked: Asked, answering: Answering) -> ResponsesTelling:
    """Begin to tell any answer whole."""
    id, ids, model = answering.id, answering.ids, answering.model
    assembler = Assembler(asked.request, id, ids, answering.created_at, model, is_stream=False)
    return ResponsesTelling(assembler, answering.now)


def one_text(asked: Asked, answering: Answering, heard: Sequence[Delta]) -> bytes | None:
    """The body of an answer that is one text, complete; None for any other."""
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
    response = echo(
        asked.request,
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
    return render_response(response)
