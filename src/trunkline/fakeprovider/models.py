"""What FakeProvider's models do: the acts that a request's directives write out, else those of the model it names.

Plays nothing: how acts become messages is `script.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from trunkline.adapters.fake import wire
from trunkline.adapters.fake.wire import Attachment, FakeRequest
from trunkline.fakeprovider.directives import (
    Act,
    Call,
    Cite,
    Directives,
    Draw,
    Look,
    Noise,
    Refuse,
    Say,
    Seal,
    Think,
    Wait,
)
from trunkline.fakeprovider.examples import example

DEFAULT_TOKENS = 256
MAX_CALLS = 16


class Fill(Struct, frozen=True):
    """Filler text of so many tokens."""

    tokens: int


_CONTENT = (Say, Think, Seal, Call, Cite, Look, Draw, Refuse)


def choose_acts(asked: FakeRequest, script: Directives) -> tuple[Act | Fill, ...]:
    """The acts written out, around those the model chooses where none of them says anything and the client did."""
    written = script.acts
    if any(isinstance(act, _CONTENT) for act in written) or (written and not script.text):
        return written
    before = [act for act in written if isinstance(act, Wait | Noise)]
    after = [act for act in written if not isinstance(act, Wait | Noise)]
    return (*before, *_choose(asked, script), *after)


class UnknownModel(Exception):
    """The catalog sends a model here that does not exist."""


def _choose(asked: FakeRequest, script: Directives) -> tuple[Act | Fill, ...]:
    model = asked.model.rpartition("/")[2]
    behave = _MODELS.get(model)
    if behave is None:
        raise UnknownModel
    if asked.results:
        acts: list[Act | Fill] = [Say("\n".join(f"{result.name} says: {result.output}" for result in asked.results))]
    elif calls := _calls(asked, script.text):
        acts = [*calls]
    elif asked.form != "text":
        document = example(asked.schema) if asked.form == "json_schema" else {"said": script.text}
        acts = [Say(wire.write(document).decode())]
    else:
        acts = behave(asked, script)
    return (*_thoughts(asked, script.text), *acts) if model == "reasoner" else tuple(acts)


def _calls(asked: FakeRequest, text: str) -> list[Act]:
    """The tools to call: those the text names, as often as it names them, else the one that fits it best."""
    offered = [tool.name for tool in asked.tools if asked.tool in (None, tool.name)]
    if not offered or asked.tool_choice == "none":
        return []
    named = "|".join(re.escape(name) for name in sorted(offered, key=len, reverse=True))
    found = re.findall(rf"(?<![\w-])(?:{named})(?![\w-])", text, re.IGNORECASE)
    spelled = {name.lower(): name for name in offered}
    wanted = [spelled[name.lower()] for name in found]
    if not wanted:
        wanted = [max(offered, key=lambda name: _fit(name, text))]
    if times := re.search(r"\b(two|three|four|five|\d{1,2})\s+(?:times|calls)\b", text, re.IGNORECASE):
        wanted = wanted[:1] * max(1, _NUMBERS.get(times[1].lower()) or int(times[1]))
    return [Call(name) for name in wanted[: MAX_CALLS if asked.may_call_many else 1]]


def _fit(name: str, text: str) -> int:
    """How many words of a tool's name the text holds; of tools that fit alike the first is called."""
    said = set(re.findall(r"[^\W_]+", text.lower()))
    return len(said.intersection(re.findall(r"[^\W_]+", name.lower())))


_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5}


def _thoughts(asked: FakeRequest, text: str) -> list[Act]:
    if asked.effort == "none":
        return []
    thought = " ".join(_THOUGHTS[: _DEPTHS.get(asked.effort or "medium", 3)])
    return [Think(f"The user wrote {len(text)} characters. {thought}", asked.wants_summary), Seal()]


_DEPTHS = {"minimal": 1, "low": 2, "medium": 3, "high": 4, "xhigh": 5, "max": 5, "ultra": 5}
_THOUGHTS = (
    "I should answer that.",
    "An echo is the safest answer.",
    "Shorter would be better, but nothing may be lost.",
    "Checking once more that every word is there.",
    "It is; the answer can go out.",
)


def _echo(asked: FakeRequest, script: Directives) -> list[Act | Fill]:
    seen = "\n".join(f"[{_described(attachment)}]" for attachment in asked.attachments)
    return [Say("\n".join(part for part in (script.text, seen) if part) or "You said nothing.")]


def _described(attachment: Attachment) -> str:
    size = f"{attachment.bytes} bytes" if attachment.url is None else attachment.url
    return f"{attachment.media_type}, {size}"


def _lorem(asked: FakeRequest, script: Directives) -> list[Act | Fill]:
    return [Fill(script.tokens if script.tokens is not None else asked.max_output_tokens or DEFAULT_TOKENS)]


def _image(asked: FakeRequest, script: Directives) -> list[Act | Fill]:
    if not asked.wants_images:
        return _echo(asked, script)
    drawn: list[Act | Fill] = [Draw(script.text)]
    return [*drawn, Say("Here is your picture.")] if asked.wants_text else drawn


def _search(asked: FakeRequest, script: Directives) -> list[Act | Fill]:
    return [
        Look(script.text[:200] or "news", ("https://example.com/kites", "https://example.com/%C3%A5")),
        Say("Kites – «drager» på norsk – fly best at 5 °C 🪁 (example.com)."),
        Cite("https://example.com/kites", "Kites"),
        Cite("https://example.com/%C3%A5", "Å"),
    ]


_MODELS: dict[str, Callable[[FakeRequest, Directives], list[Act | Fill]]] = {
    "echo": _echo,
    "lorem": _lorem,
    "reasoner": _echo,
    "image": _image,
    "search": _search,
}

_LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo "
    "consequat. Duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore eu nulla.   "
)
LOREM_TOKENS = tuple(_LOREM[at : at + 4] for at in range(0, len(_LOREM), 4))
