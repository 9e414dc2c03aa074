"""Every kind of engine that reads scanned files: a file encoded for it, its answer decoded, as values.

It reads what strangers send: no shape of an answer raises, and what is told of one is bounded. Nothing of an answer is
repeated in the words of a problem, since an engine may say our key back.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from trunkline.adapters.decoding.strange import as_object, read_loosely
from trunkline.catalog.ocr_engines import OcrEngine
from trunkline.protocol.data_urls import is_data_url, split_data_url, strict_base64
from trunkline.protocol.file_types import sniffed
from trunkline.protocol.opaque import Json
from trunkline.settings.files_sections import OcrKind
from trunkline.upstream.engines.refusals import refusal_of
from trunkline.wire import UpstreamRequest

MAX_PICTURES: Final = 8
"""Of all pages, as OpenRouter has it: https://openrouter.ai/docs/guides/overview/multimodal/pdfs (2026-11-28)."""

MAX_PICTURE: Final = 5_000_000
"""Letters of base64."""

MAX_CONTAINERS: Final = 200_000
_PICTURES: Final = ("image/png", "image/jpeg", "image/webp", "image/gif")


class Row(NamedTuple):
    """One kind of engine: where it answers, and below which path."""

    base_url: str
    path: str


ROWS: Final[Mapping[OcrKind, Row]] = {"mistral": Row("https://api.mistral.ai/v1", "/ocr")}


class Page(NamedTuple):
    """One page: its text, as Markdown, and its pictures as data URLs. A stranger wrote both."""

    text: str
    pictures: tuple[str, ...] = ()


class Answer(NamedTuple):
    """What an engine said: pages in their order, and how many it bills if it told; or a problem, and what to do.

    `to_do` is empty where nobody can do anything.
    """

    pages: tuple[Page, ...] = ()
    told_pages: int | None = None
    problem: str = ""
    to_do: str = ""


def encode_document(engine: OcrEngine, document: bytes) -> UpstreamRequest:
    """Write a PDF file as its engine takes it: https://docs.mistral.ai/api/endpoint/ocr (2026-11-28)."""
    row = ROWS[engine.kind]
    headers = {"accept": "application/json", "content-type": "application/json"}
    if engine.secret is not None:
        headers["authorization"] = f"Bearer {engine.secret.reveal()}"
    asks = {
        "model": engine.model,
        "document": {"type": "document_url", "document_url": "data:application/pdf;base64,"},
        "include_image_base64": True,
    }
    # The file is put in afterwards: a JSON encoder would look at each of its letters.
    start, end = json.dumps(asks, separators=(",", ":")).encode().split(b"base64,", 1)
    body = b"".join((start, b"base64,", b64encode(document), end))
    return UpstreamRequest("POST", f"{engine.base_url or row.base_url}{row.path}", headers, body)


def decode_answer(body: bytes) -> Answer:
    """Read the body of an answer; what of it is no page is an empty one."""
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        return Answer(problem="its answer is too large")
    told = read_loosely(body)
    if not isinstance(told, dict):
        return Answer(problem="its answer is no JSON", to_do="see whether base_url is the address of its API")
    listed = told.get("pages")
    if not isinstance(listed, list) or not listed:
        return Answer(problem="its answer has no pages")
    pages, left = [], MAX_PICTURES
    for page in sorted(map(as_object, listed), key=_place):
        pictures = tuple(_pictures(page.get("images"), left))
        left -= len(pictures)
        pages.append(Page(_text(page.get("markdown")), pictures))
    billed = as_object(told.get("usage_info")).get("pages_processed")
    is_told = isinstance(billed, int) and not isinstance(billed, bool) and billed >= 0
    return Answer(tuple(pages), billed if is_told else None)


def decode_refusal(engine: OcrEngine, status: int) -> Answer:
    """What an answer means whose status is not 200."""
    found = refusal_of(status, f"ocr.{engine.name}", questions="files", question="file")
    return Answer(problem=found.problem, to_do=found.to_do)


def _place(page: Mapping[str, Json]) -> int:
    index = page.get("index")
    return index if isinstance(index, int) else 0


def _text(told: Json) -> str:
    return _UNWELCOME.sub("", told).strip() if isinstance(told, str) else ""


def _pictures(told: Json, room: int) -> Iterator[str]:
    """The first pictures that are ones."""
    for entry in told if isinstance(told, list) else ():
        if room <= 0:
            return
        data = as_object(entry).get("image_base64")
        if isinstance(data, str) and len(data) <= MAX_PICTURE and (url := _picture(data)):
            room -= 1
            yield url


def _picture(data: str) -> str:
    """A picture as a data URL with its true type; empty where it is none."""
    try:
        tidy = strict_base64(data[split_data_url(data).start :] if is_data_url(data) else data)
    except ValueError:
        return ""
    kind = sniffed(tidy)
    return f"data:{kind};base64,{tidy}" if kind in _PICTURES else ""


_UNWELCOME: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Control characters, and halves of characters, which cannot be sent on."""
