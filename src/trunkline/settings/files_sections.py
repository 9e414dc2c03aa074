"""What an operator may set about files: how documents are read here, and the engine that reads scanned ones.

Whether an engine's key is there is not known here; `catalog/ocr_engines.py` looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from trunkline.settings.fields import Count, SecretField, Section, address_before, spelled_like
from trunkline.settings.forms import Problem, Written
from trunkline.settings.quantities import Duration, Size, Usd, format_size, parse_size

OcrKind = Literal["mistral"]
Room = Annotated[int, Written(parse_size, format_size), Meta(ge=0)]
"""A size that may be 0."""


_EXAMPLE = "https://api.mistral.ai/v1"
OcrUrl = Annotated[str, spelled_like(_EXAMPLE), address_before("/ocr", example=_EXAMPLE)]


class OcrSettings(Section, frozen=True):
    """An engine that reads scanned PDF files, by a name of your choice. A request asks for it by the engine
    `mistral-ocr`, whatever its name here. What it is sent: [files](../how-to/files.md)."""

    kind: OcrKind
    """Which API it has."""

    base_url: OcrUrl | None = None
    """Where it answers, without `/ocr`. An address in your own network is fine."""

    model: Annotated[str, Meta(min_length=1, max_length=256)] = "mistral-ocr-latest"
    """The model that reads."""

    api_key: SecretField | None = None
    """Its key. A server of your own, with a `base_url`, may need none."""

    price: Usd = Decimal(0)
    """USD for each page that it reads."""

    timeout: Duration = 60.0
    """How long it may take for one file; then it has failed."""

    def __post_init__(self) -> None:
        if self.api_key is None and self.base_url is None:
            raise ValueError('it needs api_key, as { env = "MISTRAL_API_KEY" }')


class FileParserSettings(Section, frozen=True):
    """PDF, Word and HTML files read for models that take none: the plugin `file-parser`. The limits hold for each file;
    what is read is kept in memory alone. All of it needs a restart."""

    ocr: str | None = None
    """Which engine of `[ocr]` reads PDF files. It may be left out where there is but one. Without any their text is
    taken out here."""

    max_file: Size = 20 * 10**6
    """The largest file that is read. What comes within a request is also bound by `server.max_body`."""

    max_pages: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    """The most pages of a PDF file."""

    max_text: Size = 8 * 10**6
    """The most text of a file."""

    memory: Size = 300 * 10**6
    """What the process that reads a file may hold. It reads one, and ends."""

    cpu: Duration = 10.0
    """How long it may compute."""

    children: Annotated[int, Meta(ge=1, le=64)] = 2
    """How many such processes work at once."""

    queue: Count = 50
    """How many files may wait for one. One account has half of the places; one more gets a 503."""

    cache: Room = 64 * 10**6
    """Memory for texts of files, each kept for an hour for the account that sent it. `0`: none is kept."""


def find_unfit_ocr(ocr: Mapping[str, OcrSettings], file_parser: FileParserSettings) -> Iterator[Problem]:
    """Find what does not fit together in the two."""
    for name in ocr:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
            words = "the name of an engine has lower-case letters, digits, hyphens and underscores only"
            yield Problem(("ocr", name), "value", words)
    chosen, names = file_parser.ocr, ", ".join(sorted(ocr))
    if chosen is None and len(ocr) > 1:
        yield Problem(
            ("plugins", "file_parser", "ocr"), "value", f"there are several engines; set it to one of {names}"
        )
    if chosen is not None and chosen not in ocr:
        words = f"there is no [ocr.{chosen}]; " + (f"set it to one of {names}" if names else "add one")
        yield Problem(("plugins", "file_parser", "ocr"), "value", words)
