"""The machine that heals JSON: its laws over made documents, and a table of what it does to each kind of breakage.

`TRUNKLINE_LAW_DOCUMENTS` says over how many documents the laws are shown; `tests/soak/prove_healing.py` takes 10,000.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.plugins.breaking import BREAKS, broken, document, sentence, value, written
from tests.plugins.prefix import begins_json
from trunkline.plugins.healing import MAX_BEFORE_ROOT, MAX_STEPS_WHOLE, Healer, heal
from trunkline.plugins.json_roots import Root
from trunkline.plugins.json_told import MAX_DEPTH, MAX_HELD
from trunkline.plugins.json_words import is_json

DOCUMENTS = int(os.environ.get("TRUNKLINE_LAW_DOCUMENTS", "300"))
EITHER: Root = "{["


def pieces(dice: Random, text: str) -> Iterator[str]:
    """A text cut somehow: by signs, by tokens, by reads."""
    most, at = dice.choice((1, 4, 20, 300)), 0
    while at < len(text):
        length = dice.randint(1, most)
        yield text[at : at + length]
        at += length


def streamed(dice: Random, text: str, root: Root = "{", *, is_cut: bool = False) -> tuple[str, Healer]:
    healer = Healer(root)
    told = "".join([healer.feed(piece) for piece in pieces(dice, text)])
    return told + healer.end(is_cut=is_cut), healer


def whole(text: str, root: Root = "{") -> tuple[str, Healer]:
    healer = Healer(root, sees_all=True)
    return healer.feed(text) + healer.end(is_cut=False), healer


def read(text: str) -> Any:
    return json.loads(text) if is_json(text) else text


def restored(is_whole: bool, each: int) -> dict[str, float]:
    """By kind of breakage, which part of so many broken documents come back as what they stood for."""
    dice, parts = Random(2026), {}
    for kind in BREAKS:
        good = 0
        for _ in range(each):
            text, told = broken(dice, kind)
            healed = whole(text)[0] if is_whole else streamed(dice, text)[0]
            good += read(healed) == told
        parts[kind] = good / each
    return parts


@pytest.mark.law
def test_of_eighteen_kinds_of_breakage_and_more_nearly_all_are_restored() -> None:
    assert len(BREAKS) >= 18
    each = max(10, DOCUMENTS // 20)
    at_once, in_pieces = restored(True, each), restored(False, each)
    assert sum(at_once.values()) / len(BREAKS) >= 0.95, at_once
    assert sum(in_pieces.values()) / len(BREAKS) >= 0.93, in_pieces
    assert min(in_pieces.values()) >= 0.6, in_pieces


@pytest.mark.law
def test_SC_08_what_is_legal_is_never_touched_at_any_cut() -> None:
    dice = Random(7)
    for _ in range(DOCUMENTS):
        told: Any = document(dice) if dice.random() < 0.8 else [value(dice, 3) for _ in range(dice.randint(0, 4))]
        text = dice.choice(("", "\n", "  ")) + written(dice, told) + dice.choice(("", "\n", " \n\t"))
        for root in ("{", "[", EITHER):
            healed, healer = streamed(dice, text, root)
            assert (healed, healer.changed, healer.is_unrepairable) == (text, set(), False)
        healed, healer = whole(text, EITHER)
        assert (healed, healer.changed) == (text, set())


@pytest.mark.parametrize(
    "text", ['"a {b} [1]"', "12", "-0.5e-7 ", "null", '["{\\"a\\": 1}"]', "[1]", "[[]]", "{}", "[ ]", " {\n} "]
)
def test_any_legal_text_is_left_alone(text: str) -> None:
    for root in ("{", "[", EITHER):
        healed, healer = streamed(Random(1), text, root)
        assert (healed, healer.changed) == (text, set())


@pytest.mark.law
def test_what_is_told_is_the_beginning_of_legal_json_at_any_moment() -> None:
    dice = Random(11)
    for _ in range(DOCUMENTS // 3):
        text, _ = broken(dice, dice.choice(list(BREAKS)))
        noise = "".join(dice.choice("{}[]\",:\\/#'“” \n.0a-…") for _ in range(dice.randint(0, 12)))
        at = dice.randint(0, len(text))
        text = text[:at] + noise + text[at:]
        healer, told = Healer("{"), ""
        for piece in pieces(dice, text):
            told += healer.feed(piece)
            assert begins_json(told) or healer.is_unrepairable, (text, told)
        told += healer.end(is_cut=False)
        assert is_json(told) or healer.is_unrepairable, (text, told)


@pytest.mark.law
def test_cuts_decide_about_nothing_but_when() -> None:
    """The same text in other pieces is told the same, to its last sign."""
    dice = Random(13)
    for _ in range(DOCUMENTS // 3):
        text, _ = broken(dice, dice.choice(list(BREAKS)))
        first, by_sign = streamed(dice, text), [Healer("{"), ""]
        healer = Healer("{")
        told = "".join([healer.feed(sign) for sign in text]) + healer.end(is_cut=False)
        assert (told, healer.changed) == (first[0], first[1].changed), (text, by_sign)


@pytest.mark.law
def test_an_answer_that_was_cut_is_not_completed() -> None:
    dice = Random(17)
    for _ in range(DOCUMENTS // 3):
        text = written(dice, document(dice))
        half = text[: dice.randint(0, len(text))]
        healed, healer = streamed(dice, half, is_cut=True)
        assert (healed, healer.changed) == (half, set())


CASES = [
    ('{"a": [1, 2,]}', '{"a": [1, 2]}', {"comma"}),
    ('{"a": 1,, "b": 2}', '{"a": 1, "b": 2}', {"comma"}),
    ("{'it''s': 'don\\'t'}", None, {"quotes"}),
    ("{a: 1}", '{"a": 1}', {"key"}),
    ('{"a": [1;, true; ], "b": 2;}', '{"a": [1, true], "b": 2}', {"stray"}),
    ('{"a": True, "b": None, "c": NaN}', '{"a": true, "b": null, "c": null}', {"literal"}),
    ('{"a": 0x10, "b": +1, "c": .5}', '{"a": 16, "b": 1, "c": 0.5}', {"number"}),
    ('{"a": 1 /* x */, // y\n "b": 2}', '{"a": 1, \n "b": 2}', {"comment"}),
    ('{"a": "the "b" of c"}', '{"a": "the \\"b\\" of c"}', {"quote"}),
    ('{"a": "b\nc"}', '{"a": "b\\nc"}', {"newline"}),
    ('{"a": "\\d+ \\x"}', '{"a": "\\\\d+ \\\\x"}', {"escape"}),
    ('{"a": [1, {"b": 2', '{"a": [1, {"b": 2}]}', {"closer"}),
    ('{"a": [1, 2}', '{"a": [1, 2]}', {"closer"}),
    ('{"a": }', '{"a": null}', {"value"}),
    ('{"a"', '{"a":null}', {"closer"}),
    ('{"a" "b"}', '{"a" :"b"}', {"colon"}),
    ("{“a”: “b”}", '{"a": "b"}', {"quotes"}),
    ('{"a": [1, ...]}', '{"a": [1 ]}', {"comma", "ellipsis"}),
    ('{"a": some words, "b": 1}', '{"a": "some words", "b": 1}', {"text"}),
    ('```json\n{"a": 1}\n```', '{"a": 1}', {"fence"}),
    ('See [1] and {two}: {"a": 1} – done', '{"a": 1}', {"prose"}),
    ('<think>{"b": 2}</think>{"a": 1}', '{"a": 1}', {"thinking"}),
    ('\ufeff{"a":\u00a01}', '{"a":1}', {"control"}),
    ('{"a": 1}\n{"b": 2}', '{"a": 1}', {"roots"}),
    ('{\\n  "a": 1\\n}', '{  "a": 1}', {"escape"}),
]


@pytest.mark.parametrize(("text", "healed", "changed"), CASES, ids=lambda each: each if isinstance(each, str) else "")
def test_each_kind_has_its_name(text: str, healed: str | None, changed: set[str]) -> None:
    for told, healer in (streamed(Random(3), text), whole(text)):
        assert is_json(told)
        assert healed is None or told == healed
        assert healer.changed >= changed if healed is None else healer.changed == changed


@pytest.mark.parametrize("text", ["", " \n", "null", '"a text"', "-1.5e3"])
def test_nothing_and_legal_json_without_brackets_are_not_beyond_repair(text: str) -> None:
    told, healer = streamed(Random(1), text)
    assert (told, healer.changed, healer.is_unrepairable) == (text, set(), False)
    assert heal(text, "{") == (text, set(), False)


def test_a_list_of_numbers_in_prose_is_found_after_a_colon_and_a_mark_is_not() -> None:
    assert streamed(Random(1), "As [1] says: [1, 2, 3] it is.", "[")[0] == "[1, 2, 3]"
    assert streamed(Random(1), "As [1] says, nothing.", "[")[0] == "As [1] says, nothing."


def test_prose_alone_is_told_as_it_is_and_said_to_be_beyond_repair() -> None:
    text = "I cannot answer that."
    told, healer = streamed(Random(1), text)
    assert (told, healer.changed, healer.is_unrepairable) == (text, set(), True)


@pytest.mark.parametrize("text", ['{"a": "', "{", '{"a": [{"b"', '{"text'])
def test_text_that_begins_with_the_root_leaves_with_the_same_piece(text: str) -> None:
    assert Healer("{").feed(text) in (text, text[:-1])


def test_what_stands_in_quotes_is_never_held() -> None:
    healer = Healer("{")
    healer.feed('{"a": "')
    for piece in ("plain words", " with, commas: and {signs}", " é 東京 ", "\\n\\u00e9 \\\\"):
        assert healer.feed(piece) == piece


HOSTILE = {
    "braces": "{",
    "quotes": '"',
    "commas": ",",
    "spaces": " ",
    "backslashes": "\\",
    "lists": "[",
    "objects": '{"a":',
    "quotes and commas": '", ',
    "keys": '"a":',
    "closers": "}",
    "wrong closers": "{]",
    "comments": "/*",
    "words": "a ",
    "numbers": "1",
    "smart quotes": "“",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("begin", ["", '{"a": ', '{"a": "', '["'])
def test_SC_09_hostile_text_costs_steps_by_its_length_and_a_bounded_room(name: str, begin: str) -> None:
    size = 30_000 if begin else 200_000
    text = begin + (HOSTILE[name] * size)[:size]
    healer = Healer(EITHER)
    for at in range(0, len(text), 1000):
        healer.feed(text[at : at + 1000])
        assert len(healer.held) <= max(MAX_HELD, MAX_BEFORE_ROOT)
    healer.end(is_cut=False)
    assert healer.steps <= 2 * len(text) + 1000


def test_SC_09_single_signs_are_not_read_again_and_again() -> None:
    """What is held is bounded, so a text that comes sign by sign costs no more than that bound for each."""
    healer = Healer("{")
    for sign in '{"a": 1' + "," * 3000 + " " * 3000 + '"':
        healer.feed(sign)
    assert healer.steps <= 3 * 6000


@pytest.mark.parametrize("sign", ["{", '"', '{"a', ",", "'a',", "[1,", "{{a:"])
def test_SC_09_ten_megabytes_are_given_up_soon(sign: str) -> None:
    text = "{" + sign * (10_000_000 // len(sign))
    healer = Healer("{", sees_all=True)
    healer.feed(text)
    assert healer.steps <= MAX_STEPS_WHOLE + 1
    assert healer.is_unrepairable
    assert sign != "{" or heal(text, "{").text == text


def test_beyond_its_bounds_all_is_told_as_it_comes() -> None:
    deep = '{"a":' * (MAX_DEPTH + 10) + "1" + "}" * (MAX_DEPTH + 10)
    far = '{"a": 1,' + " " * (MAX_HELD + 10) + '"b": 2,}'
    late = "x" * (MAX_BEFORE_ROOT + 1) + '{"a": 1,}'
    for text in (deep, far, late):
        told, healer = streamed(Random(1), text)
        assert told == text
        assert healer.is_unrepairable


def test_endless_white_space_behind_the_root_is_told() -> None:
    text = '{"a": 1}' + " " * 100_000
    told, healer = streamed(Random(1), text)
    assert (told, healer.changed, healer.is_unrepairable) == (text, set(), False)


def test_a_long_text_in_the_wrong_quotes_is_one_text() -> None:
    said = sentence(Random(3), 400).replace("'", "")
    assert read(streamed(Random(1), f"{{'a': '{said}'}}")[0]) == {"a": said} or "\\" in said
