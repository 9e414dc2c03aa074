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
from trunkline.protocol.paths import Paths
from trunkline.protocol.reading import Step
from trunkline.protocol.request import Request

Media: TypeAlias = InputImage | InputFile | InputAudio | InputVideo | ImageGenerationCall


class Placed(NamedTuple):
    """A part or a picture made before, and the steps to it, as `"input", 2, "content", 0`."""

    part: Media
    steps: tuple[Step, ...]
    paths: Paths

    @property
    def path(self) -> str:
        """Where the client wrote it."""
        return self.paths.spelled(*self.steps)

    def path_of(self, *members: str) -> str:
        """Where the client wrote what a member of it says."""
        return self.paths.spelled(*self.steps, *members)


def placed_media(request: Request, *, of_tools: bool = True) -> Iterator[Placed]:
    """Every part of the input that is no text, in order; `of_tools`: those of what tools gave back among them."""
    paths = request.paths
    for place, item in enumerate(request.input):
        match item:
            case Message(content=content) | AgentMessage(content=content):
                yield from _among(content, ("input", place, "content"), paths)
            case FunctionCallOutput(output=tuple() as output) | CustomCallOutput(output=tuple() as output) if of_tools:
                yield from _among(output, ("input", place, "output"), paths)
            case ImageGenerationCall():
                yield Placed(item, ("input", place), paths)
            case _:
                pass


def _among(parts: tuple[MessagePart | EncryptedText, ...], steps: tuple[Step, ...], paths: Paths) -> Iterator[Placed]:
    for place, part in enumerate(parts):
        if isinstance(part, Media):
            yield Placed(part, (*steps, place), paths)
