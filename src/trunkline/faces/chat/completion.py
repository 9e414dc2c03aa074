"""A whole answer: the fold of what a stream would have told, rendered as one body.

It decides nothing: what is told is `telling.py`'s, for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from trunkline.errors import GatewayError
from trunkline.faces.chat.refusal import told_error
from trunkline.faces.chat.spelling import (
    Annotation,
    ChoiceDelta,
    Detail,
    EncryptedDetail,
    Ending,
    FinishReason,
    Function,
    Logprobs,
    Message,
    Picture,
    SummaryDetail,
    TextDetail,
    ToolCall,
    told_tier,
    told_usage,
)
from trunkline.protocol.items import Logprob
from trunkline.protocol.render import render_document
from trunkline.stream.deltas import Spent

Kept = TypeVar("Kept")


class Completion:
    """What one answer said so far."""

    __slots__ = (
        "_annotations",
        "_calls",
        "_constant",
        "_details",
        "_function",
        "_images",
        "_logprobs",
        "_refusal",
        "_texts",
        "_thoughts",
    )

    def __init__(self) -> None:
        self._constant: Mapping[str, object] = {}
        self._texts: list[str] = []
        self._refusal: list[str] = []
        self._thoughts: list[str] = []
        self._details: dict[tuple[int, type[Detail]], _JoinedDetail] = {}
        self._calls: list[_JoinedCall] = []
        self._function: list[Function] = []
        self._annotations: list[Annotation] = []
        self._images: list[Picture] = []
        self._logprobs: list[Logprob] = []

    def begin(self, id: str, created: int, model: str) -> None:
        """Learn what every answer says."""
        self._constant = begun(id, created, model)

    def say_texts(self, texts: Sequence[str]) -> None:
        """Hear more of the content."""
        self._texts += texts

    def go_on(self, texts: Sequence[str]) -> bytes:
        """Hear more of the content, and give nothing before the end."""
        self._texts += texts
        return b""

    def say(self, delta: ChoiceDelta, logprobs: Sequence[Logprob] = ()) -> None:
        """Hear anything else that the answer says."""
        for said, kept in (
            (delta.content, self._texts),
            (delta.refusal, self._refusal),
            (delta.reasoning, self._thoughts),
        ):
            if said is not UNSET:
                kept.append(said)
        self._logprobs += logprobs
        self._annotations += _said(delta.annotations)
        self._images += _said(delta.images)
        for detail in _said(delta.reasoning_details):
            self._hear_detail(detail)
        for call in _said(delta.tool_calls):
            self._hear_call(call)
        if delta.function_call is not UNSET:
            self._function.append(delta.function_call)

    def take(self) -> bytes:
        """Give nothing before the end."""
        return b""

    def finish(self, ending: Ending) -> bytes:
        """Tell the whole answer. A call that was cut is not in it: clients make every call that they are told."""
        calls: list[ToolCall] = []
        if self._calls:
            calls = [call.whole() for index, call in enumerate(self._calls) if index not in ending.cut]
        function = _joined(self._function) if self._function and 0 not in ending.cut else UNSET
        logprobs = Logprobs(self._logprobs) if self._logprobs else None
        message = self._message(calls, function)
        return written(self._constant, message, ending.finish_reason, ending.spent, logprobs)

    def fail(self, error: GatewayError, spent: Spent | None) -> bytes:
        """Tell that the answer failed, and nothing of it: whoever looks for no error would take half for the whole."""
        usage = {} if spent is None else {"usage": told_usage(spent)}
        return render_document({**self._constant, "choices": [], "error": told_error(error), **usage})

    def _message(self, calls: Sequence[ToolCall], function: Function | UnsetType) -> Message:
        text = "".join(self._texts)
        refusal = "".join(self._refusal) if self._refusal else ""
        thought = "".join(self._thoughts) if self._thoughts else ""
        details = [detail.whole() for detail in self._details.values()] if self._details else UNSET
        has_else = bool(calls or refusal or function is not UNSET)
        return Message(
            content=None if has_else and not text else text,
            refusal=refusal or None,
            reasoning=thought or UNSET,
            reasoning_content=thought or UNSET,
            reasoning_details=details,
            tool_calls=calls or UNSET,
            function_call=function,
            annotations=self._annotations or UNSET,
            images=self._images or UNSET,
        )

    def _hear_detail(self, detail: Detail) -> None:
        key = (detail.index, type(detail))
        joined = self._details.get(key)
        if joined is None:
            self._details[key] = _JoinedDetail(detail)
        else:
            joined.hear(detail)

    def _hear_call(self, call: ToolCall) -> None:
        if call.id is not UNSET:
            self._calls.append(_JoinedCall(call))
        elif call.index is not UNSET:
            self._calls[call.index].hear(call)


def begun(id: str, created: int, model: str) -> dict[str, object]:
    """What every answer says. A client refuses one without a fingerprint: LangChain's ChatOpenRouter."""
    return {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "system_fingerprint": None,
    }


def written(
    constant: Mapping[str, object],
    message: Message,
    reason: FinishReason,
    spent: Spent | None,
    logprobs: Logprobs | None = None,
) -> bytes:
    """The body of a whole answer."""
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": reason,
        "native_finish_reason": reason,
        "logprobs": logprobs,
    }
    return render_document({**constant, "choices": [choice], "usage": told_usage(spent), **told_tier(spent)})


class _JoinedDetail:
    """All that is said of one thought in one way: its text is joined, of anything else the last counts."""

    __slots__ = ("_last", "_texts")

    def __init__(self, first: Detail) -> None:
        self._last = first
        self._texts = [_text_of(first)]

    def hear(self, detail: Detail) -> None:
        self._texts.append(_text_of(detail))
        said = {
            name: value
            for name in ("signature", "format", "data", "id")
            if (value := getattr(detail, name, UNSET)) is not UNSET
        }
        if said:
            self._last = replace(self._last, **said)

    def whole(self) -> Detail:
        text = "".join(self._texts)
        match self._last:
            case TextDetail() as detail:
                return replace(detail, text=text)
            case SummaryDetail() as detail:
                return replace(detail, summary=text)
            case EncryptedDetail() as detail:
                return detail


def _text_of(detail: Detail) -> str:
    match detail:
        case TextDetail(text=text) | SummaryDetail(summary=text):
            return text
        case EncryptedDetail():
            return ""


class _JoinedCall:
    """A call as it began, and the pieces of what it is called with."""

    __slots__ = ("_begun", "_pieces")

    def __init__(self, begun: ToolCall) -> None:
        self._begun = begun
        self._pieces: list[str] = []

    def hear(self, call: ToolCall) -> None:
        if call.function is not UNSET:
            self._pieces.append(call.function.arguments)
        if call.custom is not UNSET:
            self._pieces.append(call.custom.input)

    def whole(self) -> ToolCall:
        text, begun = "".join(self._pieces), self._begun
        if begun.custom is not UNSET:
            return ToolCall(id=begun.id, type="custom", custom=replace(begun.custom, input=text))
        assert begun.function is not UNSET, "a call is of one of two types"
        return ToolCall(id=begun.id, type="function", function=replace(begun.function, arguments=text))


def _joined(pieces: Sequence[Function]) -> Function:
    return replace(pieces[0], arguments="".join([piece.arguments for piece in pieces]))


def _said(told: tuple[Kept, ...] | UnsetType) -> tuple[Kept, ...]:
    return () if told is UNSET else told
