"""Data URLs, media types and base64."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.media import Inline, checked_base64, file_link, inline, inline_file, media_type_of, sniffed
from trunkline.errors import BadRequest
from trunkline.protocol.items import InputFile

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n0000").decode()
PDF = base64.b64encode(b"%PDF-1.7\n").decode()
TEXT = base64.b64encode("blåbær".encode()).decode()


@dataclass(frozen=True)
class Case:
    id: str
    url: str
    found: Inline | None


CASES = [
    Case("a link is not inline", "https://pictures.example/a.png", None),
    Case("a data URL", f"data:image/png;base64,{PNG}", Inline("image/png", PNG)),
    Case("upper case and parameters", f"DATA:IMAGE/PNG;name=a.png;BASE64,{PNG}", Inline("image/png", PNG)),
    Case("jpg is jpeg", "data:image/jpg;base64,AAAA", Inline("image/jpeg", "AAAA")),
    Case("a missing type is sniffed", f"data:;base64,{PDF}", Inline("application/pdf", PDF)),
    Case("an empty type is plain text", "data:,h%C3%A5p", Inline("text/plain", "aMOlcA==")),
    Case("percent-encoded text", "data:text/plain,a%20b", Inline("text/plain", "YSBi")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_inline(case: Case) -> None:
    assert inline(case.url) == case.found


@pytest.mark.parametrize(
    "url", ["data:image/png;base64", "data:image/png;base64,", "data:image/png;base64,%%%", "data:a;base64,Æ"]
)
def test_a_broken_data_url_is_the_clients_fault(url: str) -> None:
    with pytest.raises(BadRequest):
        inline(url)


@pytest.mark.parametrize(
    ("part", "found"),
    [
        (InputFile(file_data=PDF), Inline("application/pdf", PDF)),
        (InputFile(file_data=f"data:application/pdf;base64,{PDF}"), Inline("application/pdf", PDF)),
        (InputFile(filename="a.txt", file_data=TEXT), Inline("text/plain", TEXT)),
        (InputFile(file_data=TEXT), Inline("text/plain", TEXT)),
        (InputFile(file_data="AAEC"), Inline("application/octet-stream", "AAEC")),
        (InputFile(file_url=f"data:application/pdf;base64,{PDF}"), Inline("application/pdf", PDF)),
        (InputFile(file_url="https://files.example/a.pdf"), None),
    ],
)
def test_files_come_as_data_url_bare_base64_or_link(part: InputFile, found: Inline | None) -> None:
    assert inline_file(part) == found
    assert (file_link(part) is None) == (found is not None)


def test_text_files_are_read_as_text() -> None:
    found = Inline("text/csv", TEXT)
    assert (found.is_text, found.decode_text(), found.extension) == (True, "blåbær", "csv")
    assert not Inline("application/pdf", PDF).is_text
    assert Inline("application/json", "e30=").is_text


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.PDF", "application/pdf"),
        ("https://x.example/b.jpeg?size=1#top", "image/jpeg"),
        ("pdf", None),
        ("a.unknown", None),
    ],
)
def test_media_type_of_a_name(name: str, media_type: str | None) -> None:
    assert media_type_of(name) == media_type


def test_sniffing() -> None:
    wave = base64.b64encode(b"RIFF\0\0\0\0WAVEfmt ").decode()
    assert [sniffed(data) for data in (PNG, PDF, wave, TEXT, "*")] == [
        "image/png",
        "application/pdf",
        "audio/wav",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("brand", "kind"),
    [
        (b"avif", "image/avif"),
        (b"heic", "image/heic"),
        (b"heix", "image/heic"),
        (b"mif1", "image/heif"),
        (b"M4A ", "audio/mp4"),
        (b"qt  ", "video/quicktime"),
        (b"isom", "video/mp4"),
        (b"mp42", "video/mp4"),
    ],
)
def test_M3_an_iso_box_file_is_what_its_brand_says(brand: bytes, kind: str) -> None:
    data = base64.b64encode(b"\0\0\0\x20ftyp" + brand + bytes(20)).decode()
    assert sniffed(data) == kind
    assert inline(f"data:video/x-m4v;base64,{data}") == Inline(kind if "image/" in kind else "video/x-m4v", data)


@given(st.binary(min_size=1, max_size=60))
def test_every_spelling_of_base64_becomes_the_strict_one(data: bytes) -> None:
    strict = base64.b64encode(data).decode()
    wrapped = "\n".join(strict[i : i + 16] for i in range(0, len(strict), 16))
    for spelling in (strict, strict.rstrip("="), base64.urlsafe_b64encode(data).decode(), wrapped):
        assert checked_base64(spelling) == strict
