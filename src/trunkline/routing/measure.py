"""What routing must know about a request's content, read in one pass; the content itself stays unread elsewhere.

Tokens are estimated from characters. A tokenizer for each model would cost more than the whole plan and would still
be a guess for most providers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET, Struct

from trunkline.catalog.entries import Modality
from trunkline.protocol.file_types import is_text, kind_of
from trunkline.protocol.items import (
    FunctionCallItem,
    FunctionCallOutput,
    InputAudio,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    InputVideo,
    Message,
    MessagePart,
    OutputText,
    ReasoningItem,
    RefusalPart,
)
from trunkline.protocol.request import Request

_CHARACTERS_PER_TOKEN: Final = 4
_MOST_CHARACTERS_PER_TOKEN: Final = 8  # prose rarely has more than 5, indented code rarely more than 8
_LEAST_INPUT_TOKENS: Final = 300
_INPUT_TO_OUTPUT: Final = 3
_TEXT_ALONE: Final[frozenset[Modality]] = frozenset()
_MODALITIES: Final[dict[type, Modality]] = {
    InputImage: "image",
    InputAudio: "audio",
    InputVideo: "video",
}


class Measure(Struct, frozen=True, gc=False):
    """The size and the kinds of a request.

    `least_tokens` is a lower bound of the text's tokens, for refusing; `input_tokens` and `output_tokens` are what the
    request is expected to cost, for comparing prices: three of input to one of output. `sealed` is the last encrypted
    thought that the client replays.
    """

    least_tokens: int
    input_tokens: int
    output_tokens: int
    modalities: frozenset[Modality]
    sealed: str | None


def measure(request: Request) -> Measure:
    """Take a request's measure."""
    characters = len(request.instructions or "")
    modalities: set[Modality] = set()
    sealed: str | None = None
    for item in request.input:
        if type(item) is Message:
            characters += _parts(item.content, modalities)
        elif type(item) is ReasoningItem:
            if item.encrypted_content is not UNSET and item.encrypted_content:
                sealed = item.encrypted_content
        else:
            characters += _call(item, modalities)
    input_tokens = max(characters // _CHARACTERS_PER_TOKEN, _LEAST_INPUT_TOKENS)
    output_tokens = input_tokens // _INPUT_TO_OUTPUT
    if request.max_output_tokens is not None:
        output_tokens = min(output_tokens, request.max_output_tokens)
    least_tokens = characters // _MOST_CHARACTERS_PER_TOKEN
    return Measure(
        least_tokens, input_tokens, output_tokens, frozenset(modalities) if modalities else _TEXT_ALONE, sealed
    )


def opening(request: Request) -> str:
    """The text that begins a conversation and stays as it goes on: the first instruction and the first other message.

    At most the first 4,096 characters of each are read.
    """
    instruction = request.instructions
    first: str | None = None
    for item in request.input:
        if type(item) is not Message:
            continue
        if item.role in ("system", "developer"):
            instruction = instruction if instruction is not None else _text(item)
        else:
            first = _text(item)
            break
    return f"{(instruction or '')[:4096]}\0{(first or '')[:4096]}"


def _parts(parts: Iterable[MessagePart], modalities: set[Modality]) -> int:
    characters = 0
    for part in parts:
        kind = type(part)
        if kind is InputText or kind is OutputText:
            characters += len(part.text)  # type: ignore[union-attr]  # narrowed by identity, for speed
        elif kind is RefusalPart:
            characters += len(part.refusal)  # type: ignore[union-attr]
        elif kind is InputFile:
            characters += _file(part, modalities)  # type: ignore[arg-type]
        else:
            modalities.add(_MODALITIES[kind])
    return characters


def _file(part: InputFile, modalities: set[Modality]) -> int:
    """Note what reads a file, as adapters send it: text as text, a picture as a picture. Its characters if text."""
    kind = kind_of(part)
    if is_text(kind):
        return len(part.file_data or part.file_url or "") * 3 // 4
    modalities.add("image" if kind.startswith("image/") else "file")
    return 0


def _call(item: InputItem, modalities: set[Modality]) -> int:
    if isinstance(item, FunctionCallItem):
        return len(item.arguments)
    if isinstance(item, FunctionCallOutput):
        return len(item.output) if isinstance(item.output, str) else _parts(item.output, modalities)
    return 0


def _text(message: Message) -> str:
    return "".join(part.text for part in message.content if isinstance(part, InputText | OutputText))
