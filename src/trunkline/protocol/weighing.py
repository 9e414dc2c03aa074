"""How much of a model's context a request takes, rather too much than too little: for what has to fit.

An estimate, like that of `content.py`, which is for money and goes for the middle. Nobody counts tokens here.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from trunkline.protocol.content import TOKENS_PER_PICTURE, Content, add_item, add_settings, bytes_of, tokens_of
from trunkline.protocol.extent import extent_of
from trunkline.protocol.items import InputItem, ReasoningItem
from trunkline.protocol.request import Request

_MORE_PER_PICTURE: Final = 2_000 - TOKENS_PER_PICTURE
"""Most pictures are small, and the largest take this."""

_OUTPUT_PARTS: Final = 8
"""Of a context, the part that is left for an answer of which nobody said how long it may be."""

_WIDE: Final = re.compile("[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]")
"""The signs of Chinese, Japanese and Korean that have three bytes: each is a token all the same."""


class Weight(Content):
    """A content by what it takes of a context."""

    def add_text(self, text: str) -> None:
        """Weigh a text; a wide sign weighs as if it had the bytes of a token."""
        self.text_bytes += bytes_of(text)
        if not text.isascii():
            self.text_bytes += len(text) - len(_WIDE.sub("", text))

    @property
    def weight(self) -> int:
        """How many tokens it takes."""
        return self.tokens + self.pictures * _MORE_PER_PICTURE


ASK_FOR_LESS: Final = 'With truncation "auto" the gateway leaves out the oldest turns.'
NEVER_LEFT_OUT: Final = (
    'Even truncation "auto" leaves out no instructions, no system message, and nothing of the last turn but rounds of '
    "calls before the latest."
)


class Needs(NamedTuple):
    """What a request takes of a context in all; `tools` are what it says of tools, `text` all else that it says."""

    text: int
    tools: int
    output: int

    @property
    def input(self) -> int:
        return self.text + self.tools


def settings_weight(request: Request) -> int:
    """What a request takes beside its input: instructions, tools, the schema of the answer."""
    weight = Weight()
    add_settings(request, weight)
    return weight.weight


def item_weight(item: InputItem) -> int:
    """What an item takes. Of a thought that is sealed the size of the seal is all that says how long it is."""
    weight = Weight()
    add_item(item, weight)
    if type(item) is ReasoningItem and (sealed := item.encrypted_content) is not UNSET and sealed:
        return max(weight.weight, tokens_of(len(sealed) * 3 // 4))
    return weight.weight


def output_room(context_tokens: int, asked_tokens: int | None) -> int:
    """How much of a context is left for the answer."""
    return context_tokens // _OUTPUT_PARTS if asked_tokens is None else asked_tokens


def wanted_room(context_tokens: int, request: Request) -> int:
    """How much of a context a request wants for its answer: where its limit is a mere wish no more than is usual."""
    asked = output_room(context_tokens, request.max_output_tokens)
    return min(asked, output_room(context_tokens, None)) if request.limit_is_wish else asked


def needs_of(request: Request) -> Needs:
    """Weigh a request as it stands; without a limit of its own an answer takes nothing."""
    tools = tools_weight(request)
    text = settings_weight(request) - tools + sum([item_weight(item) for item in request.input])
    return Needs(max(text, 0), tools, _limit(request))


def rough_needs(request: Request) -> Needs:
    """The same for whoever may not wait: a large request is taken for letters alone."""
    if request.size == "usual" and request.measured is None:
        return needs_of(request)
    return Needs(tokens_of(extent_of(request).characters), tools_weight(request), _limit(request))


def tools_weight(request: Request) -> int:
    """What the tools of a request take."""
    return tokens_of(len(msgspec.json.encode(request.tools))) if request.tools else 0


def _limit(request: Request) -> int:
    return 0 if request.limit_is_wish else request.max_output_tokens or 0


def too_long(context_tokens: int, needs: Needs) -> str:
    """Say that a request does not fit, in the words that clients of OpenAI and OpenRouter look for."""
    return (
        f"This endpoint's maximum context length is {context_tokens} tokens. However, you requested about "
        f"{needs.input + needs.output} tokens ({needs.text} of text input, {needs.tools} of tool input, {needs.output} "
        "in the output). Please reduce the length of either one."
    )


def figures(context_tokens: int, needs: Needs) -> dict[str, object]:
    """The same for programs."""
    return {
        "max_context_tokens": context_tokens,
        "estimated_input_tokens": needs.input,
        "output_tokens": needs.output,
    }
