"""A chat completion that is one text, written at once for a client that wants no stream.

What any other comes to is `telling.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.faces.chat.completion import begun, written
from trunkline.faces.chat.spelling import CUTS, Message
from trunkline.faces.contract import Answering, Asked
from trunkline.stream.deltas import Began, Closed, Delta, Spent, Stopped, Text


def one_text(asked: Asked, answering: Answering, heard: Sequence[Delta]) -> bytes | None:
    """The body of an answer that is text alone, and ended; None for any other. All text of an answer is one content."""
    texts: list[str] = []
    spent: Spent | None = None
    stop: Stopped | None = None
    for delta in heard:
        if type(delta) is Text:
            if delta.logprobs:
                return None
            texts.append(delta.text)
        elif type(delta) is Spent:
            spent = delta
        elif type(delta) is Stopped:
            stop = stop or delta
        elif type(delta) is not Began and type(delta) is not Closed:
            return None
    if stop is None:
        return None
    first = heard[0]
    model = first.model if type(first) is Began else answering.model
    constant = begun("gen-" + answering.id.removeprefix("resp_"), int(answering.created_at), model)
    message = Message(content="".join(texts), refusal=None)
    return written(constant, message, CUTS.get(stop.reason, "stop"), spent)
