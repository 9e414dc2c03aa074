"""Reads what a client wants FakeProvider to do: the lines of its message that begin with `!`.

Only reads; what a directive does is `fakeprovider/script.py`'s. The list is in docs/reference/fake-provider.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from trunkline.adapters.fake.wire import MAX_TOKENS
from trunkline.stream.deltas import StopReason

MAX_WAIT_S = 3_600.0


class BadDirective(ValueError):
    """A line begins with `!` and cannot be read; the message says what would be right."""


Breakage = Literal["cut", "stall", "garble"]


# What is said or happens, in the order of the lines


class Say(Struct, frozen=True):
    text: str


class Think(Struct, frozen=True):
    text: str
    is_summary: bool = False


class Seal(Struct, frozen=True):
    """Seal the thought before it."""


class Call(Struct, frozen=True):
    """Call a tool; without arguments, with ones that fit its schema."""

    name: str
    arguments: str | None = None


class Cite(Struct, frozen=True):
    """Name a source for the text said last."""

    url: str
    title: str


class Look(Struct, frozen=True):
    """Search the web, so to speak."""

    query: str
    sources: tuple[str, ...] = ()


class Draw(Struct, frozen=True):
    words: str


class Refuse(Struct, frozen=True):
    text: str


class Wait(Struct, frozen=True):
    seconds: float


class Noise(Struct, frozen=True):
    """Send what a stream may hold and nobody should hear."""


class Break(Struct, frozen=True):
    """Stop being a good provider."""

    how: Breakage


class Tell(Struct, frozen=True):
    """Tell an error inside the answer."""

    status: int
    message: str


class Stop(Struct, frozen=True):
    reason: StopReason


Act = Say | Think | Seal | Call | Cite | Look | Draw | Refuse | Wait | Noise | Break | Tell | Stop


class Status(Struct, frozen=True):
    """Answer with an HTTP status instead."""

    code: int
    message: str = ""
    error_code: str = ""
    retry_after: str = ""


class Directives(Struct, frozen=True, kw_only=True):
    """What one message asks for; `text` is the message without its directives."""

    text: str
    acts: tuple[Act, ...] = ()
    status: Status | None = None
    first_byte_s: float = 0.0
    token_s: float = 0.0
    tokens: int | None = None
    break_after: tuple[Breakage, int] | None = None
    usage: Mapping[str, int] | None = None
    has_usage: bool = True


def read_directives(message: str) -> Directives:
    """Read the lines that begin with `!`; the others are the text. Raises BadDirective."""
    if "!" not in message:
        return Directives(text=message)
    reader = _Reader()
    plain = []
    for line in message.splitlines():
        if line.startswith("!"):
            reader.read(line[1:])
        else:
            plain.append(line)
    found = Directives(text="\n".join(plain).strip(), acts=tuple(reader.acts))
    return msgspec.structs.replace(found, **reader.settings)


class _Reader:
    """Gathers what the lines say."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.settings: dict[str, object] = {}

    def read(self, line: str) -> None:
        name, _, rest = line.partition(" ")
        rest = rest.strip()
        if name in _SETTINGS:
            self.settings.update(_SETTINGS[name](rest))
        elif name in _ACTS:
            self.acts.append(_ACTS[name](rest))
        elif name in _BREAKS:
            self._break(_BREAKS[name], rest)
        else:
            known = ", ".join(f"!{each}" for each in sorted([*_SETTINGS, *_ACTS, *_BREAKS]))
            raise BadDirective(f"!{name} is no directive of FakeProvider; these are: {known}")

    def _break(self, how: Breakage, rest: str) -> None:
        if rest:
            self.settings["break_after"] = (how, _whole(rest, MAX_TOKENS))
        else:
            self.acts.append(Break(how))


def _whole(text: str, most: int) -> int:
    if not text.isdecimal() or int(text[:9]) > most:
        raise BadDirective(f"a whole number up to {most} is wanted, not {text!r}")
    return int(text[:9])


def _seconds(text: str) -> float:
    number, scale = (text[:-2], 0.001) if text.endswith("ms") else (text.removesuffix("s"), 1.0)
    try:
        seconds = float(number) * scale
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT_S:
        raise BadDirective(f"a time such as 250ms or 2s is wanted, not {text!r}")
    return seconds


def _rate(text: str) -> dict[str, object]:
    return {"token_s": 1.0 / max(1, _whole(text, MAX_TOKENS))}


def _status(text: str) -> dict[str, object]:
    code, *words = text.split()
    if not code.isdecimal() or not 400 <= int(code[:3]) <= 599 or len(code) != 3:
        raise BadDirective(f"a status from 400 to 599 is wanted, not {code!r}")
    named = dict(word.partition("=")[::2] for word in words if word.startswith(("code=", "retry_after=")))
    message = " ".join(word for word in words if word.partition("=")[0] not in named)
    return {"status": Status(int(code), message, named.get("code", ""), named.get("retry_after", ""))}


def _usage(text: str) -> dict[str, object]:
    if text == "none":
        return {"has_usage": False}
    counts: dict[str, int] = {}
    for pair in text.split():
        name, _, number = pair.partition("=")
        if name not in ("input", "output", "cached", "cache_write", "reasoning", "images", "searches"):
            raise BadDirective(f"!usage counts input, output, cached, cache_write, reasoning, …, not {name!r}")
        counts[name] = _whole(number, 999_999_999)
    return {"usage": counts}


def _call(text: str) -> Call:
    name, _, arguments = text.partition(" ")
    if not name:
        raise BadDirective("!call wants the name of a tool")
    return Call(name, arguments.strip() or None)


def _cite(text: str) -> Cite:
    url, _, title = text.partition(" ")
    if not url:
        raise BadDirective("!cite wants an address")
    return Cite(url, title.strip() or url)


def _tell(text: str) -> Tell:
    status, _, message = text.partition(" ")
    return Tell(_whole(status or "500", 599), message.strip() or "The script says so.")


def _stop(text: str) -> Stop:
    try:
        return Stop(msgspec.convert(text, StopReason))
    except msgspec.ValidationError as error:
        raise BadDirective("!stop wants stop, length, content_filter or calls") from error


_BREAKS: Mapping[str, Breakage] = {"cut": "cut", "stall": "stall", "garble": "garble"}

_SETTINGS: Mapping[str, Callable[[str], dict[str, object]]] = {
    "status": lambda text: _status(text or "none"),
    "first": lambda text: {"first_byte_s": _seconds(text)},
    "rate": _rate,
    "delay": lambda text: {"token_s": _seconds(text)},
    "tokens": lambda text: {"tokens": _whole(text, MAX_TOKENS)},
    "usage": _usage,
}

_ACTS: Mapping[str, Callable[[str], Act]] = {
    "text": Say,
    "think": Think,
    "summary": lambda text: Think(text, is_summary=True),
    "seal": lambda _: Seal(),
    "call": _call,
    "cite": _cite,
    "search": Look,
    "draw": Draw,
    "refuse": Refuse,
    "wait": lambda text: Wait(_seconds(text)),
    "noise": lambda _: Noise(),
    "error": _tell,
    "stop": _stop,
}
