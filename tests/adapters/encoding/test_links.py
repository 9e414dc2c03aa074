"""Which links travel as links, and what stands in the place of the others."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec.structs import replace

from tests.adapters import served
from trunkline.adapters.encoding.links import Found, Wanted, with_inlined
from trunkline.adapters.encoding.links import links_to_inline as _links_to_inline
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.items import (
    AgentMessage,
    CustomCallOutput,
    EncryptedText,
    FunctionCallOutput,
    ImageGenerationCall,
    InputFile,
    InputImage,
    InputItem,
    InputPart,
    InputText,
    InputVideo,
    Message,
)
from trunkline.protocol.request import Request

PICTURE, PAPER, NOTES, FILM = "https://a.example/p", "http://a.example/p.pdf", "HTTPS://a.example/n.txt?x", "http://f"
DATA = "data:image/png;base64,aGk="
PARTS: tuple[InputPart, ...] = (
    InputText("http://no.link.example/"),
    InputImage(PICTURE),
    InputImage(DATA),
    InputFile(file_url=PAPER),
    InputFile("named", file_data=NOTES),
    InputFile(file_data="aGk="),
    InputVideo(FILM),
)
REQUEST = Request(input=(Message(role="user", content=PARTS),))


def endpoint(dialect: Dialect, quirks: Quirks | None = None) -> Endpoint:
    return served.endpoint(quirks, dialect=dialect)


def links_to_inline(request: Request, to: Endpoint) -> list[Wanted]:
    return _links_to_inline(request, to, ADAPTERS[to.dialect].needs_file)


@pytest.mark.parametrize(
    ("dialect", "quirks", "inlined"),
    [
        ("responses", Quirks(), []),
        ("chat", Quirks(), [PAPER, NOTES]),
        ("chat", Quirks(file_links="file_url"), []),
        ("chat", Quirks(image_urls="inline"), [PICTURE, PAPER, NOTES, FILM]),
        ("messages", Quirks(), [NOTES]),
        ("gemini", Quirks(), [PICTURE, PAPER, NOTES, FILM]),
        ("converse", Quirks(), [PICTURE, PAPER, NOTES, FILM]),
        ("cohere", Quirks(), [PAPER, NOTES]),
        ("mistral", Quirks(), []),
        ("images", Quirks(), [PICTURE]),
        ("fake", Quirks(), []),
    ],
)
def test_an_endpoint_gets_the_files_whose_links_it_cannot_follow(
    dialect: Dialect, quirks: Quirks, inlined: list[str]
) -> None:
    assert [wanted.url for wanted in links_to_inline(REQUEST, endpoint(dialect, quirks))] == inlined


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_every_dialect_has_a_rule(dialect: Dialect) -> None:
    assert links_to_inline(Request(input=()), endpoint(dialect)) == []
    links_to_inline(REQUEST, endpoint(dialect))


def test_google_follows_links_to_its_own_films() -> None:
    request = Request(input=(Message(role="user", content=(InputVideo("https://youtu.be/x"), InputVideo(FILM))),))
    assert [wanted.url for wanted in links_to_inline(request, endpoint("gemini"))] == [FILM]


def test_links_are_found_wherever_they_stand_and_named_by_their_place() -> None:
    request = Request(
        input=(
            ImageGenerationCall(result="https://a.example/made.png", status="completed"),
            ImageGenerationCall(result=DATA, status="completed"),
            FunctionCallOutput(call_id="1", output=(InputText("x"), InputImage(PICTURE))),
            FunctionCallOutput(call_id="2", output="https://text.example/"),
            Message(role="user", content=(InputImage(PICTURE), InputFile(file_data=NOTES))),
        )
    )
    assert links_to_inline(request, endpoint("converse")) == [
        Wanted("https://a.example/made.png", "image", "input[0].result"),
        Wanted(PICTURE, "image", "input[2].output[1].image_url"),
        Wanted(NOTES, "file", "input[4].content[1].file_data"),
    ]


@pytest.mark.parametrize(
    ("asked", "path", "changed"),
    [
        (make(InputImage(PICTURE)), path, make(InputImage(DATA)))
        for make, path in (
            (lambda part: FunctionCallOutput(call_id="1", output=(part,)), "output[0]"),
            (lambda part: CustomCallOutput(call_id="1", output=(part,)), "output[0]"),
            (lambda part: AgentMessage(content=(EncryptedText("Look."), part)), "content[1]"),
        )
    ],
    ids=["function", "custom tool", "agent"],
)
def test_links_of_every_kind_of_item_are_found_and_changed(asked: InputItem, path: str, changed: InputItem) -> None:
    request = Request(input=(asked,))
    assert links_to_inline(request, endpoint("converse")) == [Wanted(PICTURE, "image", f"input[0].{path}.image_url")]
    assert with_inlined(request, {(PICTURE, "image"): DATA}).input == (changed,)


def test_files_stand_in_the_place_of_their_links_and_keep_their_names() -> None:
    pdf, text = "data:application/pdf;base64,aGk=", "data:text/plain;base64,aGk="
    found: Found = {(PICTURE, "image"): DATA, (PAPER, "file"): pdf, (NOTES, "file"): text, (FILM, "video"): DATA}
    message = with_inlined(REQUEST, found).input[0]
    assert isinstance(message, Message)
    assert message.content == (
        InputText("http://no.link.example/"),
        InputImage(DATA),
        InputImage(DATA),
        InputFile("p.pdf", pdf),
        InputFile("named", text),
        InputFile(file_data="aGk="),
        InputVideo(DATA),
    )


def test_what_is_not_given_stays_as_it_is() -> None:
    request = replace(REQUEST, instructions="x")
    assert with_inlined(request, {(PICTURE, "file"): DATA}) == request


def test_a_request_with_a_long_file_put_in_is_written_piece_by_piece() -> None:
    asked = Request(input=(Message(role="user", content=(InputImage(PICTURE),)),))
    for letters, size in ((40, "usual"), (40_000, "long_texts")):
        assert with_inlined(asked, {(PICTURE, "image"): f"data:image/png;base64,{'A' * letters}"}).size == size
