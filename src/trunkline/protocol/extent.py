"""How much a request says and in what kinds of content, read in one pass.

What follows from it – tokens, prices, who may serve – is for routing and for adapters to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from trunkline.protocol.file_types import is_text, kind_of
from trunkline.protocol.items import (
    AgentMessage,
    CustomCallItem,
    CustomCallOutput,
    EncryptedText,
    FunctionCallItem,
    FunctionCallOutput,
    InputAudio,
    InputFile,
    InputImage,
    InputItem,
    InputModality,
    InputText,
    InputVideo,
    LocalShellCallOutput,
    Message,
    MessagePart,
    OutputText,
    ReasoningItem,
    RefusalPart,
)
from trunkline.protocol.request import Extent, Request
from trunkline.protocol.spans import spans_of

_TEXT_ALONE: Final[frozenset[InputModality]] = frozenset()
_MODALITIES: Final[dict[type, InputModality]] = {InputImage: "image", InputAudio: "audio", InputVideo: "video"}


def extent_of(request: Request) -> Extent:
    """Read a request's extent."""
    known = request.measured
    if known is not None and known.input is request.input and known.instructions is request.instructions:
        return known.extent
    characters = len(request.instructions or "")
    modalities: set[InputModality] = set()
    sealed: str | None = None
    for item in request.input:
        if type(item) is Message:
            for part in item.content:
                # By far most parts are texts.
                if type(part) is InputText or type(part) is OutputText:
                    characters += len(part.text)
                else:
                    characters += _part(part, modalities)
        elif type(item) is ReasoningItem:
            sealed = item.encrypted_content or item.signature or sealed
        else:
            characters += _call(item, modalities)
    least = characters if request.truncation != "auto" else _least_characters(request)
    return Extent(characters, frozenset(modalities) if modalities else _TEXT_ALONE, sealed, least)


def is_text_alone(items: Iterable[InputItem]) -> bool:
    """Whether an input is nothing but messages of text: no medium, no call, no result, no thought, and no mark."""
    for item in items:
        if type(item) is not Message:
            return False
        for part in item.content:
            if type(part) is InputText or type(part) is OutputText:
                if part.cache_control is not UNSET:
                    return False
            elif type(part) is not RefusalPart:
                return False
    return True


def modality_of(part: MessagePart) -> InputModality | None:
    """What reads a part, as adapters send it: text as text, a picture as a picture; None for text."""
    if isinstance(part, InputFile):
        kind = kind_of(part)
        return None if is_text(kind) else "image" if kind.startswith("image/") else "file"
    return _MODALITIES.get(type(part))


def _least_characters(request: Request) -> int:
    """The characters of what is never left out of a request."""
    characters, items = len(request.instructions or ""), request.input
    for place in spans_of(items).fixed:
        item = items[place]
        if type(item) is Message:
            characters += _parts(item.content, set())
        elif type(item) is not ReasoningItem:
            characters += _call(item, set())
    return characters


def _part(part: MessagePart, modalities: set[InputModality]) -> int:
    """The characters of a part. Notes what reads one that is no text."""
    kind = type(part)
    if kind is InputText or kind is OutputText:
        return len(part.text)  # type: ignore[union-attr]  # narrowed by identity, for speed
    if kind is RefusalPart:
        return len(part.refusal)  # type: ignore[union-attr]
    if kind is InputFile:
        return _file(part, modalities)  # type: ignore[arg-type]
    modalities.add(_MODALITIES[kind])
    return 0


def _parts(parts: Iterable[MessagePart], modalities: set[InputModality]) -> int:
    return sum([_part(part, modalities) for part in parts])


def _file(part: InputFile, modalities: set[InputModality]) -> int:
    """Note what reads a file. Its characters if text."""
    kind = modality_of(part)
    if kind is None:
        return len(part.file_data or part.file_url or "") * 3 // 4
    modalities.add(kind)
    return 0


def _call(item: InputItem, modalities: set[InputModality]) -> int:
    match item:
        case FunctionCallItem():
            return len(item.arguments)
        case FunctionCallOutput() | CustomCallOutput():
            return len(item.output) if isinstance(item.output, str) else _parts(item.output, set())
        case CustomCallItem():
            return len(item.input)
        case LocalShellCallOutput():
            return len(item.output)
        case AgentMessage():
            return _parts([part for part in item.content if not isinstance(part, EncryptedText)], modalities)
        case _:
            return 0
