"""A streamed answer: what is told, in chunks. What is told and when is `telling.py`'s.

All chunks of an answer begin alike, and those of a text differ in the text alone, so what stands around it is written
once. A chunk says nothing of `system_fingerprint` and `usage` where it has none: `@openrouter/sdk` 1.3.19 refuses a
chunk in which they are null (seen 2026-11-28), and nobody misses them.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.errors import GatewayError
from trunkline.faces.chat.refusal import told_error
from trunkline.faces.chat.spelling import ChoiceDelta, Ending, Logprobs, told_tier, told_usage
from trunkline.protocol.items import Logprob
from trunkline.protocol.render import render_document, render_text, render_texts
from trunkline.stream.deltas import Spent
from trunkline.stream.sse import DONE

_OPEN = b'"choices":[{"index":0,"delta":'
_CLOSE = b',"finish_reason":null,"logprobs":null}]}\n\n'
_TEXT = _OPEN + b'{"content":'
_TEXT_END = b"}" + _CLOSE
_ROLE = _OPEN + b'{"role":"assistant","content":""}' + _CLOSE


class Chunks:
    """The chunks of one answer, each a piece of the stream; `take` gives those that were written since."""

    __slots__ = ("_asks_usage", "_pieces", "_start", "text_head")

    text_tail = _TEXT_END

    def __init__(self, *, asks_usage: bool) -> None:
        self._asks_usage = asks_usage
        self._pieces: list[bytes] = []
        self._start = self.text_head = b""

    def begin(self, id: str, created: int, model: str) -> None:
        """Learn what all chunks say, and tell who speaks."""
        constant = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._start = b"data: %b," % render_document(constant)[:-1]
        self.text_head = self._start + _TEXT
        self._pieces.append(self._start + _ROLE)

    def say_texts(self, texts: Sequence[str]) -> None:
        """Tell more of the content, in a chunk for each text."""
        self._pieces.append(self._written(texts))

    def go_on(self, texts: Sequence[str]) -> bytes:
        """Give more of the content, where all that was told is given."""
        return self._written(texts)

    def say(self, delta: ChoiceDelta, logprobs: Sequence[Logprob] = ()) -> None:
        """Tell anything else that the answer says."""
        if logprobs:
            choice = {"index": 0, "delta": delta, "finish_reason": None, "logprobs": Logprobs(logprobs)}
            self._chunk({"choices": [choice]})
        else:
            self._pieces.append(b"%b%b%b%b" % (self._start, _OPEN, render_document(delta), _CLOSE))

    def take(self) -> bytes:
        """Give what was told and not given."""
        pieces = self._pieces
        told = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return told

    def finish(self, ending: Ending) -> bytes:
        """Tell the end, and usage once: in a chunk of its own to those who asked, else with the end.

        Many clients never ask and read it all the same; to one that did not ask, a chunk without choices is an error.
        """
        reason, usage = ending.finish_reason, {"usage": told_usage(ending.spent)}
        choice = {"index": 0, "delta": {}, "finish_reason": reason, "logprobs": None, "native_finish_reason": reason}
        self._chunk({"choices": [choice], **told_tier(ending.spent), **({} if self._asks_usage else usage)})
        if self._asks_usage:
            self._chunk({"choices": [], **usage})
        return self.take() + DONE

    def fail(self, error: GatewayError, spent: Spent | None) -> bytes:
        """Tell that the answer failed; what was said of it stays without a reason for its end."""
        usage = {} if spent is None else {"usage": told_usage(spent)}
        self._chunk({"choices": [], "error": told_error(error), **usage})
        return self.take() + DONE

    def _written(self, texts: Sequence[str]) -> bytes:
        head = self.text_head
        if len(texts) == 1:
            return b"%b%b%b" % (head, render_text(texts[0]), _TEXT_END)
        # JSON escapes every line end, so that each of these stands between two texts.
        return b"%b%b%b" % (head, render_texts(texts)[:-1].replace(b"\n", _TEXT_END + head), _TEXT_END)

    def _chunk(self, members: dict[str, object]) -> None:
        self._pieces.append(b"%b%b\n\n" % (self._start, render_document(members)[1:]))
