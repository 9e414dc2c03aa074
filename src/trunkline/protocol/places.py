"""The pictures, files, sounds and films of an input, each with the place where it stands.

It says nothing of what they are (`file_types.py`) nor of who takes them (`catalog/abilities.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from trunkline.protocol.items import (
    AgentMessage,
    CustomCallOutput,
    EncryptedText,
    FunctionCallOutput,
    ImageGenerationCall,
    InputAudio,
    InputFile,
    InputImage,
    InputVideo,
    Message,
    MessagePart,
)
from trunkline.protocol.request import Request

Media: TypeAlias = InputImage | InputFile | InputAudio | InputVideo | ImageGenerationCall


class Placed(NamedTuple):
    """A part or a picture made before, and the path to it, as `input[2].content[0]`."""

    part: Media
    path: str


def placed_media(request: Request, *, of_tools: bool = True) -> Iterator[Placed]:
    """Every part of the input that is no text, in order; `of_tools`: those of what tools gave back among them."""
    for place, item in enumerate(request.input):
        match item:
            case Message(content=content) | AgentMessage(content=content):
                yield from _among(content, f"input[{place}].content")
            case FunctionCallOutput(output=tuple() as output) | CustomCallOutput(output=tuple() as output) if of_tools:
                yield from _among(output, f"input[{place}].output")
            case ImageGenerationCall():
                yield Placed(item, f"input[{place}]")
            case _:
                pass


def _among(parts: tuple[MessagePart | EncryptedText, ...], path: str) -> Iterator[Placed]:
    for place, part in enumerate(parts):
        if isinstance(part, Media):
            yield Placed(part, f"{path}[{place}]")
