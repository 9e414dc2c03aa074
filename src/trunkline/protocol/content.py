"""What a request says, measured by what it costs to read: text, pictures, files, sounds, films; and its likely tokens.

Only for estimates, which are marked as such. Base64 is never text: a picture of a megabyte is read as any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from trunkline.protocol.data_urls import is_data_url
from trunkline.protocol.file_types import is_text, kind_of
from trunkline.protocol.items import (
    AdditionalTools,
    AgentMessage,
    CustomCallItem,
    CustomCallOutput,
    EncryptedText,
    FunctionCallItem,
    FunctionCallOutput,
    ImageGenerationCall,
    InputAudio,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    InputVideo,
    Json,
    LocalShellCallItem,
    LocalShellCallOutput,
    Message,
    MessagePart,
    OutputText,
    ReasoningItem,
    RefusalPart,
    ToolSearchCallItem,
    ToolSearchOutput,
)
from trunkline.protocol.opaque import AnthropicItem, ServerItem, leaves_of
from trunkline.protocol.request import Request
from trunkline.protocol.tools import TextFormat

BYTES_PER_TOKEN: Final = 4
"""The usual size of a token in UTF-8: four letters of English, two of Russian, somewhat more than one of Chinese."""

TOKENS_PER_PICTURE: Final = 1_500
TOKENS_PER_SOUND_SECOND: Final = 32
TOKENS_PER_FILM_SECOND: Final = 300
FILE_BYTES_PER_TOKEN: Final = 16
"""Of a document: a page has about 2,000 tokens, and from 15 KB (text alone) to 100 KB (scanned)."""

_TOKENS_PER_ITEM: Final = 4
"""What stands around a message: who says it, where it ends."""

_LINKED_FILE_BYTES: Final = 64_000
_LINKED_FILM_S: Final = 60
_FILM_BYTES_PER_S: Final = 250_000
_SOUND_BYTES_PER_S: Final = {"wav": 32_000, "aiff": 32_000, "flac": 32_000}
_PACKED_SOUND_BYTES_PER_S: Final = 16_000


class Content(Struct):
    """How much of each kind a request holds. `text_bytes` are UTF-8, text files, tools and schemas included."""

    text_bytes: int = 0
    items: int = 0
    pictures: int = 0
    file_bytes: int = 0
    sound_s: int = 0
    film_s: int = 0

    @property
    def tokens(self) -> int:
        """How many tokens these have, likely."""
        return (
            tokens_of(self.text_bytes)
            + self.items * _TOKENS_PER_ITEM
            + self.pictures * TOKENS_PER_PICTURE
            + self.file_bytes // FILE_BYTES_PER_TOKEN
            + self.sound_s * TOKENS_PER_SOUND_SECOND
            + self.film_s * TOKENS_PER_FILM_SECOND
        )

    def add_text(self, text: str) -> None:
        """Measure a text."""
        self.text_bytes += bytes_of(text)


def content_tokens(request: Request) -> int:
    """Estimate the input tokens of a request."""
    return content_of(request).tokens


def tokens_of(text_bytes: int) -> int:
    """Estimate the tokens of so many bytes of text."""
    return -(-text_bytes // BYTES_PER_TOKEN)


def bytes_of(text: str) -> int:
    """The bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def content_of(request: Request) -> Content:
    """Measure what a request says."""
    content = Content()
    add_settings(request, content)
    for item in request.input:
        add_item(item, content)
    return content


def add_settings(request: Request, content: Content) -> None:
    """Measure what a request says beside its input."""
    if request.instructions:
        content.add_text(request.instructions)
        content.items += 1
    if request.tools:
        content.text_bytes += len(msgspec.json.encode(request.tools))
    if request.text is not None and type(request.text.format) is not TextFormat:
        content.text_bytes += len(msgspec.json.encode(request.text.format))


def add_item(item: InputItem, content: Content) -> None:
    """Measure one item of an input."""
    content.items += 1
    if type(item) is Message:
        _add_parts(item.content, content)
    else:
        _add_item(item, content)


def _add_parts(parts: Iterable[MessagePart | EncryptedText], content: Content) -> None:
    for part in parts:
        match part:
            case InputText(text=text) | OutputText(text=text) | RefusalPart(refusal=text):
                content.add_text(text)
            case InputImage():
                content.pictures += 1
            case InputFile():
                _add_file(part, content)
            case InputAudio(data=data, format=kind):
                content.sound_s += _unpacked(data) // _SOUND_BYTES_PER_S.get(kind, _PACKED_SOUND_BYTES_PER_S) + 1
            case InputVideo(video_url=url):
                content.film_s += _unpacked(url) // _FILM_BYTES_PER_S + 1 if is_data_url(url) else _LINKED_FILM_S
            case EncryptedText(encrypted_content=sealed):
                content.add_text(sealed)


def _add_file(part: InputFile, content: Content) -> None:
    kind = kind_of(part)
    # A link says nothing of what is behind it.
    size = _unpacked(part.file_data or part.file_url or "") if kind else _LINKED_FILE_BYTES
    if is_text(kind):
        content.text_bytes += size
    elif kind.startswith("image/"):
        content.pictures += 1
    elif kind.startswith("audio/"):
        content.sound_s += size // _PACKED_SOUND_BYTES_PER_S + 1
    elif kind.startswith("video/"):
        content.film_s += size // _FILM_BYTES_PER_S + 1
    else:
        content.file_bytes += size


def _add_item(item: InputItem, content: Content) -> None:
    match item:
        case FunctionCallItem(name=name, arguments=text) | CustomCallItem(name=name, input=text):
            content.text_bytes += len(name)
            content.add_text(text)
        case FunctionCallOutput(output=output) | CustomCallOutput(output=output) | LocalShellCallOutput(output=output):
            if isinstance(output, str):
                content.add_text(output)
            else:
                _add_parts(output, content)
        case ReasoningItem(content=thoughts, summary=summary):
            # Of a sealed thought the summary is the only thing of which the length says anything.
            texts = [each.text for each in summary]
            texts += () if thoughts is UNSET else [each.text for each in thoughts]
            for text in texts:
                content.add_text(text)
        case AgentMessage(content=parts):
            _add_parts(parts, content)
        case ImageGenerationCall(result=result):
            content.pictures += bool(result)
        case ToolSearchOutput(tools=tools) | AdditionalTools(tools=tools):
            content.text_bytes += len(msgspec.json.encode(tools))
        case ToolSearchCallItem(arguments=told) | LocalShellCallItem(action=told):
            _add_json(told, content)
        case ServerItem() | AnthropicItem():
            _add_json(item, content)
        case _:
            pass


def _add_json(told: Json, content: Content) -> None:
    """Count the texts in JSON of any shape; data in it is a picture, as of a screen."""
    for leaf in leaves_of(told):
        if not isinstance(leaf, str):
            content.text_bytes += BYTES_PER_TOKEN
        elif is_data_url(leaf):
            content.pictures += 1
        else:
            content.add_text(leaf)


def _unpacked(data: str) -> int:
    """The size of what is in base64 or in a data URL."""
    return len(data) * 3 // 4
