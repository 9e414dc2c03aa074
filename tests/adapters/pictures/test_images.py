"""What cassettes cannot hold: forms with pictures to draw from, and results that are links."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from email import message_from_bytes
from email.message import Message

import pytest

from tests.adapters.pictures.jobs_played import Played, play
from trunkline.adapters.encoding.sizes import ratio
from trunkline.adapters.pictures.images import ADAPTER, MAX_PICTURES, MAX_REFERENCES
from trunkline.adapters.pictures.order import pixels
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.errors import Unprocessable
from trunkline.faces.responses.parse import parse
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Failed, Image, Spent, Stopped, Usage
from trunkline.wire import Fault

TEXT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PIXEL = b64decode(TEXT)
ENDPOINT = Endpoint(
    model=Model(slug="acme/quill"),
    provider=Provider(slug="acme", name="Acme"),
    upstream_model="quill-2",
    dialect="images",
    base_url="https://api.acme.example/v1",
)


def drawing(*urls: str, **fields: object) -> Request:
    content = [{"type": "input_text", "text": "In blüe"}, *({"type": "input_image", "image_url": url} for url in urls)]
    return parse(json.dumps({"model": "m", "input": [{"role": "user", "content": content}], **fields}).encode())


def form(request: Request) -> list[Message]:
    sent = ADAPTER.encode(request, ENDPOINT, None)
    assert sent.url == "https://api.acme.example/v1/images/edits"
    read = message_from_bytes(f"content-type: {sent.headers['content-type']}\r\n\r\n".encode() + sent.body)
    parts = read.get_payload()
    assert isinstance(parts, list)
    return [part for part in parts if isinstance(part, Message)]


def field_of(part: Message) -> tuple[object, object, object]:
    name = part.get_param("name", header="content-disposition")
    return name, part.get_filename(), part.get_payload(decode=True)


def test_pictures_to_draw_from_travel_as_files_of_a_form() -> None:
    jpeg = b"\xff\xd8\xff\r\n--x"
    urls = (f"data:image/png;base64,{TEXT}", f"data:image/jpeg;base64,{b64encode(jpeg).decode()}")
    parts = form(drawing(*urls, image_config={"n": 2}))
    assert [field_of(part) for part in parts] == [
        ("model", None, b"quill-2"),
        ("prompt", None, "In blüe".encode()),
        ("n", None, b"2"),
        ("response_format", None, b"b64_json"),
        ("image[]", "1.png", PIXEL),
        ("image[]", "2.jpeg", jpeg),
    ]
    assert [part.get_content_type() for part in parts[-2:]] == ["image/png", "image/jpeg"]


def test_one_picture_is_a_single_file() -> None:
    assert field_of(form(drawing(f"data:image/png;base64,{TEXT}"))[-1]) == ("image", "1.png", PIXEL)


def test_of_too_many_pictures_the_newest_are_sent() -> None:
    numbered = [f"data:image/png;base64,{b64encode(PIXEL + bytes([n])).decode()}" for n in range(MAX_REFERENCES + 2)]
    request = drawing(*numbered)
    files = [field_of(part)[2] for part in form(request) if part.get_filename()]
    assert files == [PIXEL + bytes([n]) for n in range(2, MAX_REFERENCES + 2)]
    assert ADAPTER.encode(request, ENDPOINT, None).dropped == ("input_image",)


def test_a_link_that_nobody_replaced_is_refused() -> None:
    with pytest.raises(Unprocessable, match="takes no links"):
        ADAPTER.encode(drawing("https://a.example/p.png"), ENDPOINT, None)


def test_no_text_is_no_order() -> None:
    request = parse(
        json.dumps(
            {
                "model": "m",
                "input": [
                    {"role": "user", "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{TEXT}"}]}
                ],
            }
        ).encode()
    )
    with pytest.raises(Unprocessable, match="no text"):
        ADAPTER.encode(request, ENDPOINT, None)


def played(*answers: bytes | Fault) -> Played:
    return play(ADAPTER, drawing(), ENDPOINT, answers)


def links(*names: str) -> bytes:
    return json.dumps({"data": [{"url": f"https://cdn.example/{name}"} for name in names]}).encode()


def test_pictures_that_are_links_are_fetched_one_by_one() -> None:
    found = played(links("a", "b"), PIXEL, PIXEL)
    assert found.urls == ["https://cdn.example/a", "https://cdn.example/b"]
    assert {exchange.reach for exchange in found.exchanges} == {"anywhere"}
    assert found.deltas == [
        Image(0, TEXT, True, "image/png"),
        Image(1, TEXT, True, "image/png"),
        Spent(Usage(images=2)),
        Stopped("stop"),
    ]


def test_a_picture_in_the_body_comes_before_those_that_are_links() -> None:
    body = json.dumps({"data": [{"url": "https://cdn.example/a"}, {"b64_json": TEXT}]}).encode()
    found = played(body, PIXEL)
    assert [type(delta) for delta in found.deltas] == [Image, Image, Spent, Stopped]


def test_a_link_that_leads_to_no_picture_is_nonsense() -> None:
    deltas = played(links("a"), b"<html>").deltas
    assert isinstance(deltas[-1], Failed)


def test_a_download_that_fails_ends_the_attempt() -> None:
    fault = Fault("unavailable", "gone")
    assert played(links("a"), fault).fault == fault


def test_a_server_cannot_have_us_fetch_without_end() -> None:
    assert len(played(links(*"x" * 100), *[PIXEL] * 100).exchanges) == MAX_PICTURES


@pytest.mark.parametrize(
    ("text", "sides"),
    [("16:9", (16, 9)), ("1:1", (1, 1)), ("0:1", None), ("16x9", None), ("1:", None), (7, None), ("1000:1", None)],
)
def test_a_ratio_is_two_numbers(text: object, sides: tuple[int, int] | None) -> None:
    assert ratio(text) == sides


@pytest.mark.parametrize("sides", [(1, 1), (16, 9), (9, 16), (21, 9), (100, 1)])
def test_pixels_never_exceed_their_area(sides: tuple[int, int]) -> None:
    width, height = pixels(1024**2, sides, 16)
    assert width % 16 == height % 16 == 0
    assert 0 < width * height <= 1024**2
