"""The shortest way from deltas to what a client of Chat Completions is told. It asserts nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tests.faces.chat.grammar import read_chunks
from tests.stream.deltas_strategy import ENDED, MODEL, STARTED, tokens
from trunkline.faces.chat.form import ChatForm
from trunkline.faces.chat.telling import ChatTelling
from trunkline.faces.contract import Answering, Asked
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Delta

Json = Any
PLAIN = ChatForm()


def telling(*, is_stream: bool, form: ChatForm = PLAIN) -> ChatTelling:
    answering = Answering("resp_1", tokens(), STARTED, MODEL, lambda: ENDED)
    return ChatTelling(Asked(Request(input=(), stream=is_stream), form), answering)


def stream_of(batches: Iterable[Sequence[Delta]], form: ChatForm = PLAIN) -> bytes:
    """All bytes of a stream that hears these batches."""
    machine = telling(is_stream=True, form=form)
    return b"".join([machine.feed(batch) for batch in batches]) + machine.end()


def chunks_of(deltas: Sequence[Delta], form: ChatForm = PLAIN) -> list[Json]:
    return read_chunks(stream_of([deltas], form))


def told(deltas: Sequence[Delta], form: ChatForm = PLAIN) -> list[Json]:
    """What a stream tells between the role and the end: deltas."""
    choices = [chunk["choices"][0] for chunk in chunks_of(deltas, form) if chunk["choices"]]
    return [choice["delta"] for choice in choices[1:] if choice["finish_reason"] is None]


def body_of(deltas: Sequence[Delta], form: ChatForm = PLAIN) -> Json:
    machine = telling(is_stream=False, form=form)
    machine.feed(deltas)
    return json.loads(machine.end())
