"""Which files the gateway can read, who takes them as they are, and what stands in their place."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from msgspec.structs import replace

from tests.routing.catalogs import endpoint
from trunkline.adapters.encoding.documents import (
    Kind,
    Rule,
    are_all_readable,
    has_files,
    is_taken,
    placed_documents,
    with_texts,
)
from trunkline.catalog.entries import Dialect, Modality
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.items import FunctionCallOutput, InputFile, InputImage, InputText, Message
from trunkline.protocol.marks import CacheMark
from trunkline.protocol.request import Request


def file_of(body: bytes, label: str = "", name: str | None = None) -> InputFile:
    data = base64.b64encode(body).decode()
    return InputFile(name, f"data:{label};base64,{data}" if label else data)


def asks(*parts: Any) -> Request:
    return Request(input=(Message(role="user", content=parts),))


ZIP = b"PK\x03\x04\x14\0" + b"\0" * 24 + b"word/document.xml"
READABLE: tuple[tuple[InputFile, Kind | None], ...] = (
    (file_of(b"%PDF-1.7"), "pdf"),
    (file_of(b"%PDF-1.7", "text/plain", "a.txt"), "pdf"),
    (file_of(b"nothing", "application/pdf"), "pdf"),
    (file_of(ZIP), "docx"),
    (file_of(ZIP, "application/octet-stream", "a.docx"), "docx"),
    (file_of(b"<p>", "text/html"), "html"),
    (file_of(b"<p>", name="a.htm"), "html"),
    (file_of(b" <!DOCTYPE html>"), "html"),
    (InputFile(file_url="https://a.example/x"), None),
)
OTHERS = (
    file_of(b"a,b", "text/csv"),
    file_of(b"<!doctype html><?php", name="page.php"),
    file_of(b"PK\x03\x04\0 xl/workbook.xml"),
    file_of(b"\x89PNG\r\n\x1a\n"),
    InputFile("a.pdf", file_url="gs://bucket/a.pdf"),
)


@pytest.mark.parametrize(("part", "kind"), READABLE)
def test_what_a_file_is_its_bytes_say_then_its_label_then_its_name(part: InputFile, kind: Kind | None) -> None:
    (placed,) = placed_documents(asks(InputText("Read."), part))
    assert (placed.kind, placed.path, placed.is_of_tool) == (kind, "input[0].content[1]", False)
    assert are_all_readable(asks(part))


@pytest.mark.parametrize("part", OTHERS)
def test_what_needs_no_reading_or_cannot_be_read_is_left_alone(part: InputFile) -> None:
    assert placed_documents(asks(part)) == []
    assert has_files(asks(part))


def test_one_file_that_nobody_reads_is_for_those_who_take_it() -> None:
    assert are_all_readable(asks(OTHERS[0], OTHERS[3], file_of(b"{}", "application/json"), READABLE[0][0]))
    assert not are_all_readable(asks(OTHERS[2], READABLE[0][0]))
    assert not are_all_readable(asks(OTHERS[4]))


FILES: frozenset[Modality] = frozenset({"text", "file"})
TEXT: frozenset[Modality] = frozenset({"text"})
TAKERS: tuple[tuple[Dialect, frozenset[Modality] | None, bool | None, Kind, bool], ...] = (
    ("chat", FILES, None, "pdf", True),
    ("chat", TEXT, None, "pdf", False),
    ("chat", None, None, "pdf", False),
    ("chat", None, True, "pdf", True),
    ("chat", FILES, False, "pdf", False),
    ("messages", None, None, "pdf", True),
    ("messages", None, False, "pdf", False),
    ("messages", FILES, None, "docx", False),
    ("converse", FILES, None, "docx", True),
    ("gemini", FILES, None, "html", False),
    ("cohere", FILES, True, "pdf", False),
    ("fake", FILES, None, "html", True),
)


@pytest.mark.parametrize(("dialect", "reads", "quirk", "kind", "takes"), TAKERS)
def test_who_takes_a_file_the_quirk_says_then_the_list_then_the_dialect(
    dialect: Dialect, reads: frozenset[Modality] | None, quirk: bool | None, kind: Kind, takes: bool
) -> None:
    quirks = Quirks(native_files=quirk)
    found = replace(endpoint("a", "m"), dialect=dialect, input_modalities=reads, quirks=quirks)
    assert is_taken(found, kind) is takes
    assert Rule().is_native(found, kind) is takes
    assert not Rule("pdf-text").is_native(found, kind)


def test_texts_stand_in_messages_and_results_where_the_files_stood() -> None:
    part, other = READABLE[0][0], READABLE[3][0]
    texts = {part: (InputText("said"), InputImage("data:image/png;base64,AA"))}
    before = Request(
        input=(
            Message(role="user", content=(InputText("a"), part, InputText("b"), other)),
            FunctionCallOutput(call_id="c", output=(part,)),
            FunctionCallOutput(call_id="d", output="text"),
        ),
        reads_files=True,
    )
    after = with_texts(before, texts)
    first, second, third = after.input
    assert isinstance(first, Message)
    assert isinstance(second, FunctionCallOutput)
    assert first.content == (InputText("a"), *texts[part], InputText("b"), other)
    assert second.output == texts[part]
    assert third is before.input[2]
    assert not after.reads_files
    assert after.paths.spelled("input", 0, "content", 3) == "input[0].content[2]"
    assert after.paths.spelled("input", 1, "output", 1) == "input[1].output[0]"
    assert with_texts(before, {}) is before


def test_a_mark_for_the_cache_stays_behind_what_a_file_says() -> None:
    """The client's cache ends there, whoever reads the file; the same file is read once, marked or not."""
    part, picture = READABLE[0][0], InputImage("data:image/png;base64,AA")
    marked = replace(part, cache_control=CacheMark("1h"))
    before = asks(part, marked)
    assert [placed.part for placed in placed_documents(before)] == [part, part]
    (after,) = with_texts(before, {part: (InputText("said"), picture)}).input
    assert isinstance(after, Message)
    last = replace(picture, cache_control=CacheMark("1h"))
    assert after.content == (InputText("said"), picture, InputText("said"), last)
