"""What routing must know about a request's content: how large it is expected to be, and what it takes to read it.

Tokens are estimated from characters. A tokenizer for each model would cost more than the whole plan and would still
be a guess for most providers.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from trunkline.catalog.entries import Modality
from trunkline.protocol.extent import extent_of
from trunkline.protocol.items import InputText, Message, OutputText
from trunkline.protocol.request import Request

_CHARACTERS_PER_TOKEN: Final = 4
_MOST_CHARACTERS_PER_TOKEN: Final = 8  # prose rarely has more than 5, indented code rarely more than 8
_LEAST_INPUT_TOKENS: Final = 300
_INPUT_TO_OUTPUT: Final = 3
_OPENING_CHARACTERS: Final = 4_096
_FILES: Final[frozenset[Modality]] = frozenset({"file"})


class Measure(Struct, frozen=True, gc=False):
    """The size and the kinds of a request.

    `needed_tokens` is a lower bound of the text's tokens with the output asked for, for refusing; where the input may
    be made shorter, of what stays of it. `input_tokens` and `output_tokens` are what the request is expected to cost,
    for comparing prices: three of input to one of output. `sealed` is the last proof of a thought that the
    client replays.
    """

    needed_tokens: int
    input_tokens: int
    output_tokens: int
    modalities: frozenset[Modality]
    sealed: str | None


def measure(request: Request) -> Measure:
    """Take a request's measure."""
    extent = extent_of(request)
    input_tokens = extent.characters // _CHARACTERS_PER_TOKEN
    if input_tokens < _LEAST_INPUT_TOKENS:
        input_tokens = _LEAST_INPUT_TOKENS
    output_tokens, limit = input_tokens // _INPUT_TO_OUTPUT, request.max_output_tokens
    needed_tokens = extent.least_characters // _MOST_CHARACTERS_PER_TOKEN
    if limit is not None:
        output_tokens = limit if limit < output_tokens else output_tokens
        needed_tokens += 0 if request.limit_is_wish else limit
    modalities = extent.modalities - _FILES if request.reads_files else extent.modalities
    return Measure(needed_tokens, input_tokens, output_tokens, modalities, extent.sealed)


def opening(request: Request) -> str:
    """The text that begins a conversation and stays as it goes on: the first instruction and the first other message.

    At most the first 4,096 characters of each are read.
    """
    instruction = request.instructions
    first: str | None = None
    for item in request.input:
        if type(item) is not Message:
            continue
        text = ""
        for part in item.content:
            if type(part) is InputText or type(part) is OutputText:
                text += part.text[:_OPENING_CHARACTERS]
        if item.role not in ("system", "developer"):
            first = text
            break
        if instruction is None:
            instruction = text
    return f"{(instruction or '')[:_OPENING_CHARACTERS]}\0{(first or '')[:_OPENING_CHARACTERS]}"
