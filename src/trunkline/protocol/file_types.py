"""What a file is: by its first bytes where these tell, else by its label, its name, or because all of it is text.

A label is the client's guess, often made from a name; a picture labelled as another kind is a 400 at every vendor.
"""

from __future__ import annotations

import binascii
import codecs

from trunkline.protocol.data_urls import is_data_url, split_data_url
from trunkline.protocol.items import AudioFormat, InputFile

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
    "aac": "audio/aac",
    "aif": "audio/aiff",
    "aiff": "audio/aiff",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
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

_MAGIC = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xfa", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (0, b"fLaC", "audio/flac"),
    (8, b"AIFF", "audio/aiff"),
    (8, b"AIFC", "audio/aiff"),
)

_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1"), "image/heif"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "audio/mp4"),
    b"qt  ": "video/quicktime",
}
"""What an ISO box file is by its major brand; any other is a film. https://mp4ra.org/registered-types/brands
(2026-11-27)."""

_AUDIO_FORMATS: dict[str, AudioFormat] = {
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/aac": "aac",
    "audio/aiff": "aiff",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    # Most writers of sound give the box file the brand of a film.
    "video/mp4": "m4a",
}

TEXT_LIKE = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
_BINARY = frozenset(_BY_EXTENSION.values()) - TEXT_LIKE
_ZIP = "UEsDB"
"""What a ZIP archive begins with in base64: a Word document is one, and names its members from the start."""
_OGG = "T2dnU"
"""`OggS` in base64; it begins films as well, so that alone it says no type."""
_OTHER_ENDINGS = frozenset({"jpg", "htm", "yml", "aif", "oga"})
_WINDOW = 65_536
"""So many letters of base64 are looked at to see whether a file is text; a multiple of 4."""


def media_type_of(name: str) -> str | None:
    """The media type that a file name or address suggests."""
    stem, dot, extension = name.partition("?")[0].partition("#")[0].rpartition(".")
    return _BY_EXTENSION.get(extension.lower()) if dot and stem else None


def extensions() -> dict[str, str]:
    """The usual extension of each media type, without its dot."""
    return {kind: extension for extension, kind in _BY_EXTENSION.items() if extension not in _OTHER_ENDINGS}


def sniffed(data: str) -> str | None:
    """The media type that the first bytes of base64 `data` show."""
    try:
        start = binascii.a2b_base64(data[:64])
    except ValueError:
        return None
    for offset, mark, media_type in _MAGIC:
        if start.startswith(mark, offset):
            return media_type
    return _BRANDS.get(start[8:12], "video/mp4") if start[4:8] == b"ftyp" else None


def type_of(label: str, data: str, name: str = "") -> str:
    """The media type of base64 `data` in its strict form; `label` is what the client says, empty for nothing.

    Pictures and PDF documents are known by their bytes. What has no label that is known, is UTF-8 and holds no NUL is
    `text/plain`.
    """
    shown = sniffed(data)
    family = label.partition("/")[0]
    is_silent = label in ("", "application/octet-stream") or "*" in label
    if shown is not None:
        is_sure = shown.startswith("image/") or shown == "application/pdf"
        # The same bytes begin a film and its sound; there the label knows more.
        if is_sure or is_silent or family not in ("audio", "video"):
            return shown
    if is_silent and (named := media_type_of(name)) is not None:
        return named
    if is_silent and data.startswith(_ZIP) and b"word/" in _start_of(data):
        return _BY_EXTENSION["docx"]
    if not is_silent and (family in ("text", "image", "audio", "video") or label in _BINARY or label in TEXT_LIKE):
        return "image/jpeg" if label == "image/jpg" else label
    return "text/plain" if _is_text(data) else label or "application/octet-stream"


def audio_format(label: AudioFormat, data: str) -> AudioFormat:
    """The format of a sound in base64 `data`: what its first bytes show, else `label`."""
    if data.startswith(_OGG):
        return "ogg"
    return _AUDIO_FORMATS.get(sniffed(data) or "", label)


def is_text(media_type: str) -> bool:
    """Whether a file of a type can be read as text."""
    return media_type.startswith("text/") or media_type in TEXT_LIKE


def kind_of(part: InputFile) -> str:
    """The media type of a file that came with the request, of whose base64 only the beginning is looked at.

    Empty for a link.
    """
    source = part.file_data or part.file_url or ""
    label, start = "", 0
    if is_data_url(source):
        found = split_data_url(source)
        if not found.is_base64:
            return found.media_type or "text/plain"
        label, start = found.media_type, found.start
    elif not part.file_data or source[:8].lower().startswith(("http://", "https://")):
        return ""
    return type_of(label, source[start : start + _WINDOW], part.filename or "")


def _start_of(data: str) -> bytes:
    try:
        return binascii.a2b_base64(data[:_WINDOW] + "==")
    except ValueError:
        return b""


def _is_text(data: str) -> bool:
    try:
        start = binascii.a2b_base64(data[:_WINDOW] + "==")
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except ValueError:
        return False
    return b"\0" not in start
