"""Data URLs, media types and base64: what a file is and in which form it travels.

Does not fetch: a link that a dialect cannot forward is downloaded above the I/O line before encoding.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes, urlsplit, urlunsplit

from msgspec import Struct

from trunkline.errors import BadRequest
from trunkline.protocol.data_urls import is_data_url, split_data_url, strict_base64
from trunkline.protocol.file_types import extensions, is_text, type_of
from trunkline.protocol.file_types import media_type_of as media_type_of
from trunkline.protocol.file_types import sniffed as sniffed
from trunkline.protocol.growing import joined, text_from
from trunkline.protocol.items import InputAudio, InputFile

_EXTENSIONS = {
    "image/jpeg": "jpeg",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "text/plain": "txt",
    "text/markdown": "md",
} | extensions()

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_OTHER_SITES = frozenset({"m.youtube.com", "music.youtube.com"})
_FILM_HOSTS = frozenset({"youtube.com", "youtu.be"}) | _OTHER_SITES


class Inline(Struct, frozen=True):
    """Bytes that came with the request; `data` is base64 without white space."""

    media_type: str
    data: str

    @property
    def url(self) -> str:
        return joined("", (f"data:{self.media_type};base64,", self.data))

    @property
    def is_text(self) -> bool:
        return is_text(self.media_type)

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


def inline(url: str, name: str = "") -> Inline | None:
    """Read a data URL of a file of that name, if it has one; None when `url` is a link.

    Its type is what `file_types.type_of` makes of the label and the bytes. Raises BadRequest when the URL is malformed
    or its base64 is not base64.
    """
    if not is_data_url(url):
        return None
    try:
        found = split_data_url(url)
    except ValueError as error:
        raise BadRequest(f"a part {error}", kind="invalid_base64_image") from None
    media_type, body = found.media_type, text_from(url, found.start)
    data = checked_base64(body) if found.is_base64 else base64.b64encode(unquote_to_bytes(body)).decode("ascii")
    return Inline(type_of(media_type, data, name), data)


def tidied(url: str) -> str:
    """A data URL with its true type and strict base64, for dialects that take data URLs; a link as it is."""
    found = inline(url)
    if found is None:
        return url
    # Megabytes that are right already are not copied once more.
    is_right = url.startswith(f"data:{found.media_type};base64,") and url.endswith(found.data)
    return url if is_right else found.url


def inline_file(part: InputFile) -> Inline | None:
    """The bytes of a file part, given as data URL or bare base64 (or as a data URL in `file_url`); None for a link.

    Raises BadRequest.
    """
    name = part.filename or ""
    source = part.file_data or part.file_url or ""
    found = inline(source, name)
    if found is not None or not part.file_data or part.file_data[:8].lower().startswith(("http://", "https://")):
        return found
    data = checked_base64(part.file_data)
    return Inline(type_of("", data, name), data)


def sound(part: InputAudio) -> Inline:
    """The bytes of a sound, under the type that its format goes by. Raises BadRequest."""
    return Inline(f"audio/{part.format}", checked_base64(part.data))


def titled_text(part: InputFile, found: Inline) -> str:
    """A text file as text under its name, for dialects that read no files of its type."""
    return f"{title(part.filename or 'unnamed')}\n{found.decode_text()}"


def title(name: str) -> str:
    """The line under which a file's text stands."""
    return f"[File: {one_line(name)}]"


def one_line(name: str) -> str:
    """A name that cannot leave the line in which it is told."""
    return _BREAKS.sub(" ", name)


def file_link(part: InputFile) -> str | None:
    """The address of a file part that came as a link."""
    source = part.file_url or part.file_data or ""
    return source if source[:8].lower().startswith(("http://", "https://")) else None


def is_film_page(url: str) -> bool:
    """Whether a link leads to a film at YouTube, which is no file: only Google's servers can watch it."""
    return (urlsplit(url).hostname or "").removeprefix("www.") in _FILM_HOSTS


def film_page(url: str) -> str:
    """The address of a film in the form that Google's servers know; those of its other sites are unknown to them."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc="www.youtube.com")) if parts.hostname in _OTHER_SITES else url


def checked_base64(text: str) -> str:
    """Give back the base64 in its strict form: no white space, the plain alphabet, padded.

    Raises BadRequest when it is not base64 or holds nothing.
    """
    try:
        return strict_base64(text)
    except ValueError as error:
        raise BadRequest(f"a part {error}", kind="invalid_base64_image") from None


def fitted_detail(detail: str) -> str:
    """How closely a picture is to be looked at, in the words that were there before `original` was."""
    return "high" if detail == "original" else detail
