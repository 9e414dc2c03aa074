"""How much of a context things take, as a table: what is said, and between which bounds the weight lies."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.protocol.test_content import file, picture, request, text
from trunkline.protocol.items import ReasoningItem, SummaryText
from trunkline.protocol.request import Request
from trunkline.protocol.weighing import (
    Needs,
    item_weight,
    needs_of,
    output_room,
    rough_needs,
    too_long,
    wanted_room,
)

CASES: dict[str, tuple[Any, int, int]] = {
    "1,000 letters": (text("a" * 1_000), 250, 260),
    "1,000 letters of Russian": (text("п" * 1_000), 500, 510),
    "1,000 signs of Chinese": (text("中" * 1_000), 1_000, 1_010),
    "1,000 signs of Japanese": (text("あ" * 1_000), 1_000, 1_010),
    "1,000 signs of Korean": (text("한" * 1_000), 1_000, 1_010),
    "1,000 rare signs": (text("𠀀" * 1_000), 1_000, 1_010),
    "signs and letters": (text("中a" * 1_000), 1_250, 1_260),
    "a picture, whatever its size": (picture(500_000), 2_000, 2_010),
    "a document by its size": (file("a.pdf", "application/pdf", b"%PDF-" + bytes(160_000)), 9_000, 11_000),
    "a text file as its text": (file("a.txt", "text/plain", b"word " * 800), 1_000, 1_020),
}


@pytest.mark.parametrize("name", CASES)
def test_what_an_item_weighs(name: str) -> None:
    part, least, most = CASES[name]
    assert least <= item_weight(request(part).input[0]) <= most


def test_a_thought_weighs_what_is_told_of_it_or_its_seal() -> None:
    summary = (SummaryText("t" * 400),)
    assert item_weight(ReasoningItem(summary=summary)) == 104
    assert item_weight(ReasoningItem(summary=summary, encrypted_content="s" * 400)) == 104
    assert item_weight(ReasoningItem(summary=summary, encrypted_content="s" * 4_000)) == 750


def test_tools_are_told_apart_from_all_else() -> None:
    tool = {"type": "function", "name": "look", "description": "c" * 800, "parameters": {"type": "object"}}
    needs = needs_of(request(text("a" * 400), tools=[tool], max_output_tokens=50))
    assert 200 <= needs.tools <= 250
    assert needs.text == 104
    assert needs.output == 50
    assert needs.input == needs.text + needs.tools


def test_a_large_request_is_weighed_roughly_where_nobody_may_wait() -> None:
    small, large = request(text("中" * 400)), request(text("中" * 400_000))
    assert rough_needs(small) == needs_of(small)
    assert rough_needs(large) == Needs(100_000, 0, 0)


def test_an_answer_of_no_told_length_is_left_an_eighth() -> None:
    assert output_room(32_768, None) == 4_096
    assert output_room(32_768, 100) == 100


def test_of_a_mere_wish_no_more_is_left_than_is_usual() -> None:
    wish = Request(input=(), max_output_tokens=32_000, limit_is_wish=True)
    assert wanted_room(32_768, wish) == 4_096
    assert wanted_room(32_768, replace(wish, max_output_tokens=100)) == 100
    assert wanted_room(32_768, replace(wish, limit_is_wish=False)) == 32_000
    assert needs_of(wish).output == rough_needs(wish).output == 0


def test_what_is_too_long_is_said_in_the_words_that_clients_read() -> None:
    assert too_long(1_000, Needs(800, 100, 300)) == (
        "This endpoint's maximum context length is 1000 tokens. However, you requested about 1200 tokens (800 of text "
        "input, 100 of tool input, 300 in the output). Please reduce the length of either one."
    )
