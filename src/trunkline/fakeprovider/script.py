"""Plays FakeProvider's side: the bytes it answers to a request, and how long it waits between them.

Pure: it neither waits nor sends; whoever holds the performance does. Described for users, with examples, in
docs/reference/fake-provider.md.

Theory of operation. A request becomes a list of acts: those that its directives write out, else those that the model
would choose by itself. `_Stage` plays the acts one after the other as messages, four characters of text a token,
until the acts or the tokens that the client allows are used up, and then counts what was said. A streamed answer is
these messages as server-sent events, made while they are asked for; a whole one is all of them in one body after the
sum of their waits.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from trunkline.adapters.fake import wire
from trunkline.adapters.fake.wire import FakeMessage, FakeRequest
from trunkline.fakeprovider.directives import (
    Act,
    BadDirective,
    Break,
    Call,
    Cite,
    Directives,
    Draw,
    Look,
    Noise,
    Refuse,
    Say,
    Seal,
    Status,
    Stop,
    Tell,
    Think,
    Wait,
    read_directives,
)
from trunkline.fakeprovider.examples import example
from trunkline.fakeprovider.models import LOREM_TOKENS, Fill, UnknownModel, choose_acts
from trunkline.fakeprovider.picture import picture, size_of
from trunkline.stream.deltas import StopReason
from trunkline.stream.stopping import place_of_stop
from trunkline.wire import Headers, UpstreamRequest

STEP_BYTES = 4_096
"""Messages without a wait between them leave together up to this size, as they would from a fast server."""


class Step(Struct, frozen=True):
    """Wait, then send."""

    wait_s: float
    data: bytes


class Performance(Struct, frozen=True):
    """One answer: `steps` may be iterated once; then the connection ends well, is cut, or stalls for good."""

    status: int
    headers: Headers
    steps: Iterable[Step]
    ending: Literal["end", "cut", "stall"] = "end"


def perform(request: UpstreamRequest) -> Performance:
    """Answer a request as encoded by `adapters/fake/adapter.py`."""
    try:
        asked = wire.read_request(request.body)
        script = read_directives(asked.text)
        acts = choose_acts(asked, script)
    except (msgspec.MsgspecError, RecursionError) as error:
        return _refusal(Status(400, f"The request cannot be read: {error}"))
    except BadDirective as error:
        return _refusal(Status(400, str(error)))
    except UnknownModel:
        return _refusal(Status(404, f"There is no model {asked.model!r}."))
    if script.status is not None:
        return _refusal(script.status, script.first_byte_s)
    if not all(_is_ours(thought) for thought in asked.replayed):
        return _refusal(Status(400, "The encrypted content could not be verified.", "invalid_encrypted_content"))
    stage = _Stage(asked, script, acts)
    if asked.stream:
        return Performance(200, {"content-type": "text/event-stream"}, _streamed(stage), stage.ending)
    return Performance(200, {"content-type": "application/json"}, _whole(stage), stage.ending)


# Refusals

_STATUSES: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request is wrong."),
    401: ("invalid_api_key", "The key is not valid."),
    402: ("insufficient_quota", "The credit is used up."),
    403: ("permission_error", "This is not allowed."),
    404: ("model_not_found", "There is no such model."),
    408: ("timeout_error", "The request came too slowly."),
    413: ("request_too_large", "The request is too large."),
    422: ("invalid_request_error", "The request cannot be done."),
    429: ("rate_limit_exceeded", "Too many requests."),
    500: ("server_error", "Something broke."),
    502: ("server_error", "Something behind broke."),
    503: ("overloaded", "Too busy now."),
    529: ("overloaded_error", "Overloaded."),
}


def _refusal(status: Status, wait_s: float = 0.0) -> Performance:
    code, message = _STATUSES.get(status.code, ("server_error", f"Status {status.code}."))
    error = {"message": status.message or message, "type": code, "code": status.error_code or code}
    headers = {"content-type": "application/json"}
    if status.retry_after:
        headers["retry-after"] = status.retry_after
    return Performance(status.code, headers, (Step(wait_s, wire.write({"error": error})),))


# Seals


def _seal_of(item_id: str) -> str:
    """The blob that belongs to a thought: nothing to hide, but every byte of it is checked."""
    return b64encode(hashlib.sha256(b"FakeProvider seals " + item_id.encode()).digest()).decode("ascii")


def _is_ours(thought: wire.Replayed) -> bool:
    return thought.blob == _seal_of(thought.item_id)


# The stage


class _Broken(Exception):
    """The script breaks off here."""


class _Raw(Struct, frozen=True):
    """Bytes that are no message; `is_noise` when a reader may pass over them."""

    data: bytes
    is_noise: bool = False


Played = tuple[float, FakeMessage | _Raw]


class _Stage:
    """Plays the acts of one answer."""

    def __init__(self, asked: FakeRequest, script: Directives, acts: Iterable[Act | Fill]) -> None:
        self._asked = asked
        self._script = script
        self._acts = tuple(acts)
        self._slot = -1
        self._live: int | None = None
        self._said = ""
        self._text_slot: int | None = None
        self._thought_tokens = 0
        self._tokens = 0
        self._calls = 0
        self._images = 0
        self._searches = 0
        self._reason: StopReason = "stop"
        self._is_full = self._is_stopped = False
        breaks = [act.how for act in self._acts if isinstance(act, Break)]
        self._breakage = breaks[0] if breaks else script.break_after[0] if script.break_after else None
        self.ending: Literal["end", "cut", "stall"] = (
            "end" if self._breakage is None or self._breakage == "garble" else self._breakage
        )

    @property
    def is_garbled(self) -> bool:
        return self._breakage == "garble"

    def play(self) -> Iterator[Played]:
        """Every message with the wait before it."""
        wait_s = self._script.first_byte_s
        try:
            for pause_s, message in self._play_acts():
                yield wait_s + pause_s, message
                wait_s = 0.0
        except _Broken:
            if self.is_garbled:
                yield wait_s, _Raw(b'{"say":"te')

    def _play_acts(self) -> Iterator[Played]:
        for act in self._acts:
            if self._is_full or self._is_stopped:
                break
            yield from _PLAY[type(act)](self, act)
        if self._breakage and not self._is_stopped:
            raise _Broken
        if self._is_full:
            self._reason = "length"
        yield from self._finish()
        if self._script.has_usage:
            yield 0.0, self._count()
        yield 0.0, wire.Ended(self._reason)

    def _open(self) -> Iterator[Played]:
        yield from self._finish()
        self._slot += 1
        self._live = self._slot

    def _finish(self) -> Iterator[Played]:
        if self._live is not None:
            yield 0.0, wire.Finished(self._live)
            self._live = None

    def _spoken(self, make: Callable[[int, str], FakeMessage], pieces: Iterable[str]) -> Iterator[Played]:
        most = self._asked.most_tokens
        stop_at = self._script.break_after[1] if self._script.break_after else None
        wait_s, slot = self._script.token_s, self._slot
        for piece in pieces:
            if self._tokens == stop_at:
                raise _Broken
            if self._tokens == most:
                self._is_full = True
                return
            self._tokens += 1
            yield wait_s, make(slot, piece)

    def say(self, act: Say) -> Iterator[Played]:
        yield from self._open()
        text = self._until_stop(act.text)
        self._said, self._text_slot = text, self._slot
        yield from self._spoken(wire.Said, _pieces(text))

    def fill(self, act: Fill) -> Iterator[Played]:
        yield from self._open()
        length = len(LOREM_TOKENS)
        words: Iterable[str] = (LOREM_TOKENS[at % length] for at in range(act.tokens))
        if self._asked.stop:
            words = _pieces(self._until_stop("".join(words)))
        yield from self._spoken(wire.Said, words)

    def _until_stop(self, text: str) -> str:
        """The text as far as the client wants it; nothing is played after it where that is not all."""
        place = place_of_stop(text, self._asked.stop or ())
        if place is None:
            return text
        self._is_stopped = True
        return text[:place]

    def think(self, act: Think) -> Iterator[Played]:
        yield from self._open()
        before = self._tokens
        yield from self._spoken(wire.Summed if act.is_summary else wire.Thought, _pieces(act.text))
        self._thought_tokens += self._tokens - before

    def seal(self, act: Seal) -> Iterator[Played]:
        if self._live is None:
            yield from self._open()
        item_id = f"rs_{self._hash('thought', self._slot)}"
        yield 0.0, wire.Sealed(self._slot, item_id, _seal_of(item_id))

    def call(self, act: Call) -> Iterator[Played]:
        yield from self._open()
        arguments = act.arguments
        if arguments is None:
            schema = next((tool.parameters for tool in self._asked.tools if tool.name == act.name), {})
            arguments = wire.write(example(schema, self._calls)).decode()
        self._calls += 1
        self._reason = "calls"
        yield 0.0, wire.Called(self._slot, f"call_{self._hash('call', self._slot)}", act.name)
        yield from self._spoken(wire.Argued, _pieces(arguments))

    def cite(self, act: Cite) -> Iterator[Played]:
        if self._text_slot is None:
            yield from self._open()
            self._text_slot = self._slot
        yield 0.0, wire.Cited(self._text_slot, act.url, act.title, *_cited(self._said, act.url))

    def look(self, act: Look) -> Iterator[Played]:
        yield from self._open()
        self._searches += 1
        yield 0.0, wire.Searched(self._slot, "in_progress", (act.query,))
        yield 0.0, wire.Searched(self._slot, "completed", (act.query,), act.sources)

    def draw(self, act: Draw) -> Iterator[Played]:
        yield from self._open()
        self._images += 1
        yield 0.0, wire.Drawn(self._slot, "", False)
        for longest in (8, 16) if self._asked.stream else ():
            yield 0.0, wire.Drawn(self._slot, self._picture(act.words, longest), False)
        yield 0.0, wire.Drawn(self._slot, self._picture(act.words, 32), True)

    def _picture(self, words: str, longest: int) -> str:
        return picture(words, *size_of(self._asked.aspect_ratio, longest))

    def refuse(self, act: Refuse) -> Iterator[Played]:
        yield from self._open()
        yield from self._spoken(wire.Refused, _pieces(act.text))

    def wait(self, act: Wait) -> Iterator[Played]:
        # A comment carries the wait, so that nothing else has to.
        yield act.seconds, _Raw(b": waited\n\n", is_noise=True)

    def noise(self, act: Noise) -> Iterator[Played]:
        yield 0.0, _Raw(b": noise\n\n:\n\nretry: 10\n\n", is_noise=True)

    def tell(self, act: Tell) -> Iterator[Played]:
        code, _ = _STATUSES.get(act.status, ("server_error", ""))
        yield 0.0, wire.Broke(act.status, act.message, code)

    def stop(self, act: Stop) -> Iterator[Played]:
        self._reason = act.reason
        yield from ()

    def break_off(self, act: Break) -> Iterator[Played]:
        yield from self._finish()
        raise _Broken

    def _count(self) -> wire.Counted:
        counted = wire.Counted(
            input=self._asked.input_tokens,
            output=self._tokens,
            reasoning=self._thought_tokens,
            images=self._images,
            searches=self._searches,
        )
        return msgspec.structs.replace(counted, **self._script.usage) if self._script.usage else counted

    def _hash(self, what: str, slot: int) -> str:
        words = f"{what} {slot} {self._asked.model} {self._asked.input_tokens} {self._asked.text}"
        return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:16]


_PLAY: dict[type, Callable[..., Iterator[Played]]] = {
    Say: _Stage.say,
    Fill: _Stage.fill,
    Think: _Stage.think,
    Seal: _Stage.seal,
    Call: _Stage.call,
    Cite: _Stage.cite,
    Look: _Stage.look,
    Draw: _Stage.draw,
    Refuse: _Stage.refuse,
    Wait: _Stage.wait,
    Noise: _Stage.noise,
    Tell: _Stage.tell,
    Stop: _Stage.stop,
    Break: _Stage.break_off,
}


def _pieces(text: str) -> Iterator[str]:
    return (text[at : at + 4] for at in range(0, len(text), 4))


def _cited(text: str, url: str) -> tuple[int, int]:
    """The code points of the text that name the source's host, else all of it."""
    host = url.partition("://")[2].partition("/")[0]
    at = text.find(host) if host else -1
    return (at, at + len(host)) if at >= 0 else (0, len(text))


# Bytes


def _streamed(stage: _Stage) -> Iterator[Step]:
    gathered = bytearray()
    gathered_wait_s = 0.0
    for wait_s, message in stage.play():
        if gathered and (wait_s or len(gathered) >= STEP_BYTES):
            yield Step(gathered_wait_s, bytes(gathered))
            gathered.clear()
            gathered_wait_s = 0.0
        gathered_wait_s += wait_s
        gathered += _event(message)
    if gathered:
        yield Step(gathered_wait_s, bytes(gathered))


def _event(message: FakeMessage | _Raw) -> bytes:
    if isinstance(message, _Raw):
        return message.data if message.is_noise else b"data: " + message.data + b"\n\n"
    return b"data: " + wire.write(message) + b"\n\n"


def _whole(stage: _Stage) -> Iterator[Step]:
    played = list(stage.play())
    said = tuple(message for _, message in played if not isinstance(message, _Raw))
    body = wire.write(wire.FakeAnswer(said))
    is_broken = stage.is_garbled or stage.ending != "end"
    yield Step(sum(wait_s for wait_s, _ in played), body[: len(body) // 2] if is_broken else body)
