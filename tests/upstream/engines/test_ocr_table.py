"""What an engine for scanned files is sent, and what is read of its answers, whatever they are."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog.ocr_engines import OcrEngine
from trunkline.settings.secret import Secret
from trunkline.upstream.engines.ocr_table import (
    MAX_PICTURES,
    Answer,
    Page,
    decode_answer,
    decode_refusal,
    encode_document,
)

KEY = "sk-secret"
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 40).decode()


def engine(base_url: str | None = None, key: str | None = KEY) -> OcrEngine:
    return OcrEngine(
        name="ours",
        kind="mistral",
        base_url=base_url,
        model="ocr-1",
        price=Decimal("0.002"),
        timeout_s=5.0,
        secret=None if key is None else Secret(key),
        is_on=True,
        reason="",
    )


def told(*pages: Any, **more: Any) -> bytes:
    return json.dumps({"pages": pages, **more}).encode()


def test_a_file_is_sent_as_a_data_url() -> None:
    request = encode_document(engine(), b"%PDF-1.7")
    assert request.url == "https://api.mistral.ai/v1/ocr"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(request.body) == {
        "model": "ocr-1",
        "document": {
            "type": "document_url",
            "document_url": "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7").decode(),
        },
        "include_image_base64": True,
    }


def test_a_server_of_one_s_own_needs_no_key() -> None:
    request = encode_document(engine("http://10.0.0.7:1/v1", None), b"%PDF-1.7")
    assert request.url == "http://10.0.0.7:1/v1/ocr"
    assert "authorization" not in request.headers


PAGES = (
    # what it says, what is read
    (told({"index": 1, "markdown": "b"}, {"index": 0, "markdown": " a\n"}), Answer((Page("a"), Page("b")))),
    (told({"markdown": "a"}, usage_info={"pages_processed": 3}), Answer((Page("a"),), 3)),
    (told({"markdown": "a"}, usage_info={"pages_processed": True}), Answer((Page("a"),))),
    (told({"markdown": "a"}, usage_info={"pages_processed": -3}), Answer((Page("a"),))),
    (told({"markdown": "a\u0000\u001b[31m"}), Answer((Page("a[31m"),))),
    (told({"markdown": 7, "images": 7}, 7, None), Answer((Page(""), Page(""), Page("")))),
    (
        told({"markdown": "", "images": [{"image_base64": PIXEL}, {"image_base64": "PHN2Zz4="}, {}, 7]}),
        Answer((Page("", (f"data:image/png;base64,{PIXEL}",)),)),
    ),
    (
        told({"images": [{"image_base64": f"data:image/jpeg;base64,{PIXEL}"}]}),
        Answer((Page("", (f"data:image/png;base64,{PIXEL}",)),)),
    ),
)


@pytest.mark.parametrize(("body", "answer"), PAGES)
def test_pages_are_read_in_their_order_and_nothing_else(body: bytes, answer: Answer) -> None:
    assert decode_answer(body) == answer


def test_of_all_pages_only_the_first_pictures_are_kept() -> None:
    pictures = [{"image_base64": PIXEL}] * 5
    answer = decode_answer(told({"index": 0, "images": pictures}, {"index": 1, "images": pictures}))
    assert [len(page.pictures) for page in answer.pages] == [5, MAX_PICTURES - 5]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"pages":[]}', b'{"pages":{}}', b"<html>", b"[" * 300_000])
def test_what_is_no_answer_is_a_problem(body: bytes) -> None:
    assert decode_answer(body).problem


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda of: (
            st.lists(of)
            | st.dictionaries(
                st.sampled_from(["pages", "images", "markdown", "index", "usage_info", "image_base64"]), of
            )
        ),
        max_leaves=20,
    )
)
def test_no_shape_of_an_answer_raises(shape: Any) -> None:
    decode_answer(json.dumps({"pages": shape}).encode())
    decode_answer(json.dumps(shape).encode())


@pytest.mark.parametrize("status", [204, 301, 400, 401, 402, 403, 404, 413, 422, 429, 500, 503])
def test_a_refusal_says_what_to_do_and_never_the_key(status: int) -> None:
    answer = decode_refusal(engine(), status)
    assert str(status) in answer.problem
    assert KEY not in answer.problem + answer.to_do
    assert bool(answer.to_do) == (status in (301, 401, 402, 403, 404))
