"""An answer of the Messages API that is one text, written at once for a client that wants no stream.

What any other comes to is `telling.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.faces.contract import Answering, Asked
from trunkline.faces.messages.form import MessagesForm
from trunkline.faces.messages.told_blocks import new_message
from trunkline.faces.messages.told_end import told_stop, told_usage
from trunkline.protocol.render import render_document
from trunkline.stream.deltas import Began, Closed, Delta, Slot, Spent, Stopped, Text


def one_text(asked: Asked, answering: Answering, heard: Sequence[Delta]) -> bytes | None:
    """The body of an answer that is one text and ended; None for any other."""
    slot: Slot = None
    texts: list[str] = []
    is_closed = False
    spent: Spent | None = None
    stop: Stopped | None = None
    for delta in heard:
        if type(delta) is Text:
            if is_closed or (texts and delta.slot != slot):
                return None
            if delta.text:
                slot = delta.slot
                texts.append(delta.text)
        elif type(delta) is Spent:
            spent = delta
        elif type(delta) is Stopped:
            stop = stop or delta
        elif type(delta) is Closed:
            is_closed = True
        elif type(delta) is not Began:
            return None
    if stop is None or not texts:
        return None
    assert isinstance(asked.form, MessagesForm)
    message = new_message(answering, asked.form)
    message["content"].append({"type": "text", "text": "".join(texts)})
    ending = told_stop(stop, has_calls=False, refusal=None)
    usage = told_usage(spent, asked.form.estimated_input_tokens)
    return render_document({**message, **ending, "usage": usage, **(stop.anthropic or {})})
