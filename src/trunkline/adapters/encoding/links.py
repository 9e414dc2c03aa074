"""Links in a request: which of them an endpoint cannot follow itself, and the request with files in their place.

Fetches nothing; `upstream/links/inline.py` does. An adapter encodes the links that are left as its dialect writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from trunkline.adapters.media import file_link, media_type_of
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import (
    AgentMessage,
    CustomCallOutput,
    EncryptedText,
    FunctionCallOutput,
    ImageGenerationCall,
    InputFile,
    InputImage,
    InputItem,
    InputVideo,
    Message,
    MessagePart,
)
from trunkline.protocol.places import placed_media
from trunkline.protocol.request import Request
from trunkline.protocol.scanning import LONG_BYTES

Noun = Literal["image", "file", "video"]
"""What a link leads to; part of the names of errors."""


class Wanted(Struct, frozen=True):
    """A link, what it should lead to, and where in the request it stands, as `input[2].content[0].image_url`."""

    url: str
    noun: Noun
    param: str | None = None


Found: TypeAlias = Mapping[tuple[str, Noun], str]
"""Data URLs by link and what it should lead to."""

Rule: TypeAlias = Callable[[Wanted, Endpoint], bool]
"""Whether an endpoint needs what a link leads to instead of the link: `Adapter.needs_file`."""


def links_to_inline(request: Request, endpoint: Endpoint, needs_file: Rule) -> list[Wanted]:
    """List the links whose files must travel in the request to this endpoint, each once, by its adapter's rule."""
    if not _may_link(request):
        return []
    is_all = endpoint.quirks.image_urls == "inline"
    found: dict[tuple[str, Noun], Wanted] = {}
    for wanted in _links(request):
        if is_all or needs_file(wanted, endpoint):
            found.setdefault((wanted.url, wanted.noun), wanted)
    return list(found.values())


def with_inlined(request: Request, found: Found) -> Request:
    """Put data URLs in the place of links; links that were not found stay."""
    items = tuple(_changed_item(item, found) for item in request.input)
    if items == request.input:
        return request
    is_long = any(len(url) >= LONG_BYTES for url in found.values())
    return replace(request, input=items, size="long_texts" if is_long else request.size)


def _may_link(request: Request) -> bool:
    """Whether a closer look is worth it; on the path of every request, nearly all of which are only text."""
    for item in request.input:
        if type(item) is Message:
            for part in item.content:
                if type(part) in _LINKING:
                    return True
        elif type(item) is FunctionCallOutput or type(item) is CustomCallOutput:
            if type(item.output) is tuple:
                return True
        elif type(item) is ImageGenerationCall or type(item) is AgentMessage:
            return True
    return False


_LINKING = frozenset({InputImage, InputFile, InputVideo})


def _links(request: Request) -> Iterator[Wanted]:
    for placed in placed_media(request):
        match part := placed.part:
            case InputImage(image_url=url) if _is_link(url):
                yield Wanted(url, "image", placed.path_of("image_url"))
            case InputVideo(video_url=url) if _is_link(url):
                yield Wanted(url, "video", placed.path_of("video_url"))
            case InputFile() if link := file_link(part):
                yield Wanted(link, "file", placed.path_of("file_url" if part.file_url else "file_data"))
            case ImageGenerationCall(result=str() as url) if _is_link(url):
                yield Wanted(url, "image", placed.path_of("result"))
            case _:
                pass


def _is_link(url: str) -> bool:
    return url[:8].lower().startswith(("http://", "https://"))


def _changed_item(item: InputItem, found: Found) -> InputItem:
    match item:
        case Message(content=content):
            return replace(item, content=tuple(_changed_part(part, found) for part in content))
        case FunctionCallOutput(output=tuple() as output) | CustomCallOutput(output=tuple() as output):
            return replace(item, output=tuple(_changed_part(part, found) for part in output))
        case AgentMessage(content=content):
            told = (part if isinstance(part, EncryptedText) else _changed_part(part, found) for part in content)
            return replace(item, content=tuple(told))
        case ImageGenerationCall(result=str() as url):
            return replace(item, result=found.get((url, "image"), url))
        case _:
            return item


def _changed_part(part: MessagePart, found: Found) -> MessagePart:
    match part:
        case InputImage(image_url=url):
            return replace(part, image_url=found.get((url, "image"), url))
        case InputVideo(video_url=url):
            return replace(part, video_url=found.get((url, "video"), url))
        case InputFile() if data_url := found.get((link := file_link(part) or "", "file")):
            return InputFile(part.filename or _name(link), data_url, cache_control=part.cache_control)
        case _:
            return part


def _name(url: str) -> str | None:
    """The file name that an address ends in, if it has a known kind."""
    name = urlsplit(url).path.rpartition("/")[2]
    return name if media_type_of(name) else None
