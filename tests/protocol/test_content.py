"""How many tokens a request likely has, as a table: what it says, and between which bounds the estimate lies."""

from __future__ import annotations

import base64
import json
from time import perf_counter
from typing import Any

import pytest

from trunkline.faces.responses.parse import parse
from trunkline.protocol.content import content_of, content_tokens
from trunkline.protocol.request import Request

PNG = b"\x89PNG\r\n\x1a\n0000"


def request(*parts: dict[str, Any], **members: Any) -> Request:
    body = {"model": "a/b", "input": [{"role": "user", "content": list(parts)}], **members}
    return parse(json.dumps(body).encode(), None)


def text(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def picture(size: int = 0) -> dict[str, Any]:
    return {"type": "input_image", "image_url": data_url("image/png", PNG + bytes(size))}


def file(name: str, media_type: str, data: bytes) -> dict[str, Any]:
    return {"type": "input_file", "filename": name, "file_data": data_url(media_type, data)}


CALL = {"type": "function_call", "call_id": "1", "name": "look", "arguments": '{"at": "' + "a" * 400 + '"}'}
SCREEN = {"type": "function_call_output", "call_id": "1", "output": [picture(900_000)]}

CASES = {
    "a word": (request(text("Hi")), 3, 10),
    "1,000 letters": (request(text("a" * 1_000)), 200, 350),
    "1,000 letters of Russian": (request(text("п" * 1_000)), 400, 600),
    "1,000 signs of Chinese": (request(text("中" * 1_000)), 600, 1_100),
    "instructions": (request(text("Hi"), instructions="b" * 1_000), 200, 350),
    "a picture of a few bytes": (request(picture()), 1_400, 2_000),
    "a picture of a megabyte": (request(picture(1_000_000)), 1_400, 2_000),
    "a linked picture": (request({"type": "input_image", "image_url": "https://a.example/b.png"}), 1_400, 2_000),
    "a text file": (request(file("a.txt", "text/plain", b"word " * 1_000)), 1_000, 1_500),
    "a document of a megabyte": (request(file("a.pdf", "application/pdf", b"%PDF-" + bytes(10**6))), 20_000, 130_000),
    "a picture as a file": (request(file("a.png", "image/png", PNG)), 1_400, 2_000),
    "a linked file": (request({"type": "input_file", "file_url": "https://a.example/b.pdf"}), 1_000, 10_000),
    "ten seconds of sound": (
        request({"type": "input_audio", "input_audio": {"data": "A" * 426_668, "format": "wav"}}),
        250,
        400,
    ),
    "a tool": (
        request(
            text("Hi"),
            tools=[{"type": "function", "name": "look", "description": "c" * 800, "parameters": {"type": "object"}}],
        ),
        200,
        300,
    ),
    "a schema": (
        request(
            text("Hi"),
            text={
                "format": {
                    "type": "json_schema",
                    "name": "n",
                    "schema": {"type": "object", "description": "d" * 800},
                }
            },
        ),
        200,
        300,
    ),
    "a call, and a screen as its result": (request(input=[CALL, SCREEN]), 1_500, 2_200),
}


@pytest.mark.parametrize("case", CASES)
def test_an_estimate_is_of_what_is_said(case: str) -> None:
    asked, least, most = CASES[case]
    assert least <= content_tokens(asked) <= most


@pytest.mark.law
def test_a_large_picture_costs_no_time() -> None:
    asked = request(picture(20_000_000))
    started = perf_counter()
    assert content_of(asked).pictures == 1
    assert perf_counter() - started < 0.05
