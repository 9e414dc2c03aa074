"""Data URLs, media types and base64: what a file is and in which form it travels.

Does not fetch: a link that a dialect cannot forward is downloaded above the I/O line before encoding.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from trunkline.errors import BadRequest
from trunkline.protocol.data_urls import is_data_url, split_data_url, strict_base64
from trunkline.protocol.items import InputFile

_BY_EXTENSION = {
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "avi": "video/x-msvideo",
    "mkv": "video/x-matroska",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "html": "text/html",
    "htm": "text/html",
    "xml": "text/xml",
    "json": "application/json",
    "yaml": "text/yaml",
    "yml": "text/yaml",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}

_EXTENSIONS = {
    "image/jpeg": "jpeg",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "text/plain": "txt",
    "text/markdown": "md",
} | {media_type: extension for extension, media_type in _BY_EXTENSION.items() if extension not in ("jpg", "htm", "yml")}

_MAGIC = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
)

_TEXT_LIKE = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})


class Inline(Struct, frozen=True):
    """Bytes that came with the request; `data` is base64 without white space."""

    media_type: str
    data: str

    @property
    def url(self) -> str:
        return f"data:{self.media_type};base64,{self.data}"

    @property
    def is_text(self) -> bool:
        return self.media_type.startswith("text/") or self.media_type in _TEXT_LIKE

    @property
    def extension(self) -> str:
        """The usual file name extension without its dot, or the media subtype where none is usual."""
        return _EXTENSIONS.get(self.media_type) or self.media_type.rpartition("/")[2]

    @property
    def size_bytes(self) -> int:
        """How many bytes the data holds; decoding a picture of megabytes to learn that would take long."""
        return len(self.data) * 3 // 4 - (2 if self.data.endswith("==") else self.data.endswith("="))

    def decode(self) -> bytes:
        return base64.b64decode(self.data)

    def decode_text(self) -> str:
        """The bytes as text; what is not UTF-8 becomes replacement characters."""
        return self.decode().decode("utf-8-sig", "replace")


def inline(url: str) -> Inline | None:
    """Read a data URL; None when `url` is a link.

    A type that says nothing is replaced by what the first bytes say. Raises BadRequest when the URL is malformed or
    its base64 is not base64.
    """
    if not is_data_url(url):
        return None
    try:
        found = split_data_url(url)
    except ValueError as error:
        raise BadRequest(f"a part {error}", kind="invalid_base64_image") from None
    media_type, body = found.media_type, url[found.start :]
    data = checked_base64(body) if found.is_base64 else base64.b64encode(unquote_to_bytes(body)).decode("ascii")
    if media_type in ("", "application/octet-stream"):
        media_type = sniffed(data) or media_type or "text/plain"
    return Inline("image/jpeg" if media_type == "image/jpg" else media_type, data)


def inline_file(part: InputFile) -> Inline | None:
    """The bytes of a file part, given as data URL or bare base64 (or as a data URL in `file_url`); None for a link.

    The type comes from the data URL, else from the first bytes, else from the file name. Raises BadRequest.
    """
    source = part.file_data or part.file_url or ""
    found = inline(source)
    if found is None:
        if not part.file_data or part.file_data[:8].lower().startswith(("http://", "https://")):
            return None
        data = checked_base64(part.file_data)
        found = Inline(sniffed(data) or "application/octet-stream", data)
    if found.media_type == "application/octet-stream":
        return Inline(media_type_of(part.filename or "") or found.media_type, found.data)
    return found


def titled_text(part: InputFile, found: Inline) -> str:
    """A text file as text under its name, for dialects that read no files of its type."""
    return f"[File: {part.filename or 'unnamed'}]\n{found.decode_text()}"


def file_link(part: InputFile) -> str | None:
    """The address of a file part that came as a link."""
    source = part.file_url or part.file_data or ""
    return source if source[:8].lower().startswith(("http://", "https://")) else None


def media_type_of(name: str) -> str | None:
    """The media type that a file name or address suggests."""
    stem, dot, extension = name.partition("?")[0].partition("#")[0].rpartition(".")
    return _BY_EXTENSION.get(extension.lower()) if dot and stem else None


def sniffed(data: str) -> str | None:
    """The media type that the first bytes of base64 `data` show."""
    try:
        start = binascii.a2b_base64(data[:64])
    except ValueError:
        return None
    for offset, mark, media_type in _MAGIC:
        if start.startswith(mark, offset):
            return media_type
    return None


def checked_base64(text: str) -> str:
    """Give back the base64 in its strict form: no white space, the plain alphabet, padded.

    Raises BadRequest when it is not base64 or holds nothing.
    """
    try:
        return strict_base64(text)
    except ValueError as error:
        raise BadRequest(f"a part {error}", kind="invalid_base64_image") from None
