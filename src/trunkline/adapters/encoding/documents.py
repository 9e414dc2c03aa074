"""Files that the gateway can read: which they are, who takes them as they are, and what they say in their place.

Reads none; `upstream/reading.py` has it done. A document is a PDF, Word or HTML file. What is text in another form
needs no reading, and goes as the dialect sends it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from trunkline.adapters.media import Inline, file_link, title, titled_text
from trunkline.catalog.abilities import takes_files
from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.protocol.addresses import is_stored_link
from trunkline.protocol.extent import modality_of
from trunkline.protocol.file_types import is_text, kind_of, media_type_of, type_of
from trunkline.protocol.items import (
    AgentMessage,
    CustomCallOutput,
    EncryptedText,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputItem,
    InputPart,
    InputText,
    Message,
    MessagePart,
)
from trunkline.protocol.marking import bare
from trunkline.protocol.marks import CacheMark
from trunkline.protocol.paths import Paths, split
from trunkline.protocol.places import placed_media
from trunkline.protocol.preferences import FileParserPlugin
from trunkline.protocol.request import Request
from trunkline.protocol.scanning import LONG_BYTES

Kind = Literal["pdf", "docx", "html"]

Texts: TypeAlias = Mapping[InputFile, Sequence[InputPart]]
"""What stands for a file where it cannot stay as it is."""

KINDS: Final[Mapping[str, Kind]] = {
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/html": "html",
    "application/xhtml+xml": "html",
}

_TAKEN: Final[Mapping[Kind, frozenset[Dialect]]] = {
    "docx": frozenset({"converse", "fake"}),
    "html": frozenset({"fake"}),
}
"""Who has words for a document besides a PDF; elsewhere it would be refused, or told as bare source."""


class Rule(NamedTuple):
    """How the documents of a request are read: by `engine`, or as is best for each; `has_ocr`: one could be asked."""

    engine: Literal["pdf-text", "mistral-ocr"] | None = None
    has_ocr: bool = False

    def is_native(self, endpoint: Endpoint, kind: Kind | None) -> bool:
        """Whether an endpoint is sent a document as it is."""
        return self.engine is None and is_taken(endpoint, kind)

    def wants_ocr(self, kind: Kind) -> bool:
        """Whether a document is read by the engine for scanned ones, and not here."""
        return kind == "pdf" and self.has_ocr and self.engine != "pdf-text"


_PAGE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)


class Placed(NamedTuple):
    """A file of the input that the gateway may have to read.

    `path` is where it stands, as `input[2].content[0]`, `param` the path of the member that holds it. Of a link the
    `kind` is not known. `is_of_tool`: a tool gave it back, so that a note can stand for it.
    """

    part: InputFile
    path: str
    param: str
    kind: Kind | None
    is_of_tool: bool

    @property
    def link(self) -> str | None:
        """Where it is, if it did not come with the request."""
        return file_link(self.part)


def has_files(request: Request) -> bool:
    """Whether there is a file in the input; on the path of every request that is not text alone."""
    if request.is_text_alone:
        return False
    for item in request.input:
        kind = type(item)
        if kind is Message or kind is AgentMessage:
            parts: Sequence[object] = item.content  # type: ignore[union-attr,assignment]  # narrowed by identity, for speed
        elif kind is FunctionCallOutput or kind is CustomCallOutput:
            parts = item.output if type(item.output) is tuple else ()  # type: ignore[union-attr]
        else:
            continue
        for part in parts:
            if type(part) is InputFile:
                return True
    return False


def placed_documents(request: Request) -> list[Placed]:
    """The files of the input that the gateway can read, and links that may lead to such a one, in order."""
    return [placed for placed in _files(request) if _is_readable(placed)]


def rule_of(request: Request, *, has_ocr: bool) -> Rule | None:
    """How the files of a request are read; None where it has none that are, or they are for who takes them alone."""
    if not has_files(request) or not placed_documents(request):
        return None
    plugin: FileParserPlugin | None = None
    for each in request.plugins:
        if isinstance(each, FileParserPlugin):
            plugin = each
    if plugin is None:
        return Rule(None, has_ocr)
    if not plugin.enabled or plugin.engine == "native":
        return None
    return Rule(plugin.engine, has_ocr)


def are_all_readable(request: Request) -> bool:
    """Whether the gateway can read every file of the user's that is neither text nor a picture."""
    return all(
        _is_readable(placed) or placed.is_of_tool or modality_of(placed.part) != "file" for placed in _files(request)
    )


def is_taken(endpoint: Endpoint, kind: Kind | None) -> bool:
    """Whether an endpoint is sent a document as it is; a link is taken for one to a PDF."""
    if not takes_files(endpoint):
        return False
    return kind is None or kind not in _TAKEN or endpoint.dialect in _TAKEN[kind]


def read_type(part: InputFile, label: str, body: bytes) -> str:
    """The media type of a file by its content, else by what its sender or its name says."""
    data = b64encode(body[:48_000]).decode("ascii")
    found = type_of(label, data, file_name(part))
    return "text/html" if is_text(found) and not part.filename and _PAGE.match(body[:6_000]) else found


def document_parts(name: str, text: str, pictures: Sequence[str] = ()) -> tuple[InputPart, ...]:
    """What a document says, under its name, and the pictures in it."""
    told = InputText(f"{title(name)}\n{text}")
    return (told, *(InputImage(url) for url in pictures))


def undocumented_parts(name: str, media_type: str, body: bytes) -> tuple[InputPart, ...]:
    """A file that was fetched and is no document, in the form in which it would have come with the request."""
    found = Inline(media_type, b64encode(body).decode("ascii"))
    if found.is_text:
        return (InputText(titled_text(InputFile(name, found.url), found)),)
    return (InputImage(found.url) if media_type.startswith("image/") else InputFile(name, found.url),)


def file_name(part: InputFile) -> str:
    """What a file is called: by its sender, else by its address."""
    if part.filename:
        return part.filename
    link = file_link(part) or ""
    name = link.partition("?")[0].partition("#")[0].rpartition("/")[2]
    return name if media_type_of(name) else "unnamed"


def with_texts(request: Request, texts: Texts) -> Request:
    """Put what files say in their place; other files stay."""
    if not texts:
        return request
    items = tuple([_told_item(item, texts) for item in request.input])
    is_long = any(len(part.text) >= LONG_BYTES for parts in texts.values() for part in parts if type(part) is InputText)
    size = "long_texts" if is_long else request.size
    paths = _split_paths(request, texts)
    return replace(request, input=items, size=size, measured=None, reads_files=False, paths=paths)


def for_all(request: Request) -> Request:
    """The request for those, too, who take no files, where the gateway reads all of them."""
    return replace(request, reads_files=are_all_readable(request))


def for_takers(request: Request) -> Request:
    """The request for those alone who take its files as they are."""
    return replace(request, reads_files=False)


def _files(request: Request) -> Iterator[Placed]:
    for placed in placed_media(request):
        if isinstance(part := placed.part, InputFile):
            param = placed.path_of("file_data" if part.file_data else "file_url")
            # Marked or not, it is the same file.
            yield Placed(bare(part), placed.path, param, _kind(part), "output" in placed.steps)


def _kind(part: InputFile) -> Kind | None:
    """What a file seems to be by its label, its name and its beginning."""
    found = kind_of(part)
    # A name says more: what is called page.php is source, however it begins.
    if is_text(found) and not part.filename and _begins_a_page(part):
        return "html"
    return KINDS.get(found)


def _begins_a_page(part: InputFile) -> bool:
    """Whether the beginning of a text file is that of a web page."""
    source = part.file_data or part.file_url or ""
    data = source[source.find(",", 0, 300) + 1 :][:8_000] if source[:5].lower() == "data:" else source[:8_000]
    try:
        return _PAGE.match(b64decode(data[: len(data) // 4 * 4])) is not None
    except ValueError:
        return False


def _is_readable(placed: Placed) -> bool:
    if placed.kind is not None:
        return True
    link = placed.link
    return link is not None and not is_stored_link(link)


def _told_item(item: InputItem, texts: Texts) -> InputItem:
    match item:
        case Message(content=content):
            parts = _told_parts(content, texts)
            return item if parts is content else replace(item, content=parts)
        case FunctionCallOutput(output=tuple() as output) | CustomCallOutput(output=tuple() as output):
            return replace(item, output=_told_parts(output, texts))
        case AgentMessage(content=content):
            return replace(item, content=_told_parts(content, texts))
        case _:
            return item


def _split_paths(request: Request, texts: Texts) -> Paths:
    """The paths where a file came to several parts."""
    found: dict[int, tuple[int, ...]] = {}
    for place, item in enumerate(request.input):
        parts = _parts_of(item)
        origins = tuple([origin for origin, part in enumerate(parts) for _ in _told_part(part, texts)])
        if len(origins) != len(parts):
            found[place] = origins
    return split(request.paths, found) if found else request.paths


def _parts_of(item: InputItem) -> Sequence[MessagePart | EncryptedText]:
    match item:
        case Message(content=parts) | AgentMessage(content=parts):
            return parts
        case FunctionCallOutput(output=tuple() as parts) | CustomCallOutput(output=tuple() as parts):
            return parts
        case _:
            return ()


def _marked_last(parts: Sequence[InputPart], mark: CacheMark | UnsetType) -> Sequence[InputPart]:
    """Parts that stand for a file, with its mark behind the last of them."""
    if mark is UNSET or not parts or not isinstance(parts[-1], InputText | InputImage | InputFile):
        return parts
    return (*parts[:-1], replace(parts[-1], cache_control=mark))


def _told_parts(parts: tuple[MessagePart | EncryptedText, ...], texts: Texts) -> tuple[MessagePart, ...]:
    # An AgentMessage alone has parts that are sealed, and keeps them.
    return tuple([told for part in parts for told in _told_part(part, texts)])  # type: ignore[misc]


def _told_part(part: MessagePart | EncryptedText, texts: Texts) -> Sequence[MessagePart | EncryptedText]:
    if type(part) is InputFile and (file := bare(part)) in texts:
        return _marked_last(texts[file], part.cache_control)
    return (part,)
