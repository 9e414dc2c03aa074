"""What of a request is judged, in which order and up to what size, who judges it, and what is told of a verdict."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.accounts.terms import NO_TERMS, Terms, moderation_of
from trunkline.errors import BadRequest, ServiceUnavailable
from trunkline.faces.responses.parse import parse
from trunkline.plugins.moderating import (
    MAX_BYTES,
    MAX_PASSAGES,
    MAX_PICTURES,
    ModerationStep,
    checked_of,
    input_note,
    moderation_step,
    refusal,
    shortened,
)
from trunkline.plugins.words import Words
from trunkline.protocol.request import Request
from trunkline.settings.reading import build_settings, read_sources
from trunkline.settings.sections import Settings
from trunkline.upstream.engines.judged import Passage, Verdict

LINK, DATA = "https://pictures.example/a.png", "data:image/png;base64,iVBORw0KGgo="


def request(given: Any, **more: Any) -> Request:
    return parse(json.dumps({"model": "a/b", "input": given, **more}).encode(), None)


def user(*parts: Any) -> Any:
    return {"role": "user", "content": [{"type": "input_text", "text": p} if isinstance(p, str) else p for p in parts]}


def picture(url: str) -> Any:
    return {"type": "input_image", "image_url": url, "detail": "auto"}


def texts(request: Request) -> list[str]:
    return [passage.text for passage in checked_of(request, "none").passages]


def test_how_the_client_began_the_answer_goes_before_all() -> None:
    begun = {"role": "assistant", "content": [{"type": "output_text", "text": "Sure, first you"}]}
    assert texts(request([user("first"), {**begun, "prefix": True}])) == ["Sure, first you", "first"]
    assert texts(request([user("first"), begun])) == ["first"]


def test_the_last_turn_goes_first_then_instructions_then_what_was_before() -> None:
    given = [
        user("first"),
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "by the developer"}]},
        {"type": "message", "role": "assistant", "id": "m", "content": [{"type": "output_text", "text": "no"}]},
        {"type": "function_call", "id": "f0", "call_id": "c0", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c0", "output": "old result"},
        user("second"),
        user("last", "part"),
        {"type": "function_call", "id": "f1", "call_id": "c1", "name": "look", "arguments": '{"no": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "result"},
    ]
    said = ["result", "last\npart", "instructions", "by the developer", "second", "first"]
    assert texts(request(given, instructions="instructions")) == said


def test_text_files_are_text_and_other_files_are_counted() -> None:
    data = "data:text/plain;base64," + base64.b64encode("in a file é".encode()).decode()
    parts = ({"type": "input_file", "filename": "a.txt", "file_data": data}, picture(LINK))
    pdf = {"type": "input_file", "filename": "a.pdf", "file_data": base64.b64encode(b"%PDF-1.4 x").decode()}
    checked = checked_of(request([user("see", *parts, pdf)]), "none")
    assert checked.passages == (Passage("see\nin a file é"),)
    assert (checked.checked_bytes, checked.unchecked_bytes, checked.unchecked_media) == (16, 0, 2)


@pytest.mark.parametrize(("takes", "taken", "left"), [("none", [], 2), ("data", [DATA], 1), ("all", [LINK, DATA], 0)])
def test_pictures_are_judged_where_they_are_taken(takes: Any, taken: list[str], left: int) -> None:
    checked = checked_of(request([user("see", picture(LINK), picture(DATA))]), takes)
    assert checked.passages == (Passage("see"), *(Passage("see", url) for url in taken))
    assert checked.unchecked_media == left


def test_of_many_pictures_the_newest_are_judged() -> None:
    given = [user(picture(f"{LINK}?{number}")) for number in range(MAX_PICTURES + 3)]
    checked = checked_of(request(given), "all")
    assert [each.picture[-2:].strip("?") for each in checked.passages[:2]] == ["10", "9"]
    assert (len(checked.passages), checked.unchecked_media) == (MAX_PICTURES, 3)


words = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=8)
longer = st.builds(lambda word, times: word * times, words, st.integers(1, 8_000))


@given(st.lists(longer, min_size=1, max_size=8))
def test_no_more_is_judged_than_there_is_room_for_and_no_byte_is_lost_count_of(said: list[str]) -> None:
    asked = request([user(text) for text in said])
    checked = checked_of(asked, "none")
    total = sum(len(text.encode()) for text in said)
    assert checked.checked_bytes == min(total, MAX_BYTES)
    assert checked.checked_bytes + checked.unchecked_bytes == total
    assert sum(len(each.text.encode()) for each in checked.passages) <= MAX_BYTES
    if said[-1].strip() and len(said[-1].encode()) < MAX_BYTES:
        assert checked.passages[0].text == said[-1]


def test_many_small_texts_are_asked_for_in_few_passages() -> None:
    found = checked_of(request([user(f"text {number}") for number in range(500)]), "none").passages
    assert len(found) == MAX_PASSAGES
    assert [f"text {number}" in "\n".join(each.text for each in found) for number in (0, 250, 499)] == [True] * 3


def test_a_picture_is_judged_however_many_texts_are_older() -> None:
    older, newer = ([user(f"text {number}") for number in range(count)] for count in (5, MAX_PASSAGES - 2))
    checked = checked_of(request([*older, user("see", picture(DATA)), *newer]), "data")
    assert [each.picture for each in checked.passages if each.picture] == [DATA]
    assert (len(checked.passages), checked.unchecked_media) == (MAX_PASSAGES + 1, 0)


SETTINGS = '[moderation.list]\nkind = "words"\nwords = ["x"]\n'


def settings(more: str = "") -> Settings:
    return build_settings(read_sources(file_text=SETTINGS + more, file_name="t.toml"))


ASKED: Any = {"plugins": [{"id": "moderation"}]}
SILENT: Any = {}
DEFAULT = '[plugins]\ndefaults = ["moderation"]\n'
PASS = '[plugins.moderation]\non_failure = "pass"\noutput = true\n'
STEPS: list[tuple[str, Any, Any, str, ModerationStep | None]] = [
    ("nobody asks", SILENT, None, "", None),
    ("a key's word about failures asks for nothing", SILENT, "block", "", None),
    ("the request", ASKED, None, "", ModerationStep("list", True, False)),
    ("the gateway", SILENT, None, DEFAULT, ModerationStep("list", True, False)),
    ("the key", SILENT, "always", PASS, ModerationStep("list", True, True)),
    ("as it is configured", ASKED, None, PASS, ModerationStep("list", False, True)),
    ("the key's word", ASKED, "block", PASS, ModerationStep("list", True, True)),
    ("the key's other word", ASKED, "pass", "", ModerationStep("list", False, False)),
]


@pytest.mark.parametrize(("id", "asked", "wish", "more", "step"), STEPS, ids=[each[0] for each in STEPS])
def test_who_asks_and_what_holds(id: str, asked: Any, wish: Any, more: str, step: ModerationStep | None) -> None:
    assert moderation_step(request("Hi", **asked), wish, settings(more), ["list"]) == step


@pytest.mark.parametrize(
    ("asked", "wish", "more", "error"),
    [
        (ASKED, None, "", BadRequest),
        (ASKED, "pass", PASS, BadRequest),
        (ASKED, "always", PASS, ServiceUnavailable),
        (SILENT, "always", "", ServiceUnavailable),
        (SILENT, None, DEFAULT + PASS, ServiceUnavailable),
    ],
)
def test_an_engine_that_is_off_judges_nothing_and_passes_nothing(
    asked: Any, wish: Any, more: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        moderation_step(request("Hi", **asked), wish, settings(more), [])


@pytest.mark.parametrize("account", [None, "pass", "block", "always"])
@pytest.mark.parametrize("key", [None, "pass", "block", "always"])
def test_the_stricter_word_holds(account: Any, key: Any) -> None:
    scale = [None, "pass", "block", "always"]
    found = moderation_of(Terms(moderation=account), Terms(moderation=key))
    assert found == scale[max(scale.index(account), scale.index(key))]
    assert moderation_of(NO_TERMS, NO_TERMS) is None


def test_a_client_is_told_what_was_flagged_and_not_more_of_it_than_is_allowed() -> None:
    verdict = Verdict("mine", 0.1, True, ("hate",), 1)
    passages = [Passage("fine"), Passage("x" * 80 + "\n" + "y" * 80), Passage("beside", LINK), Passage("see", DATA)]
    told = refusal(verdict, passages, "a/b").metadata
    assert told["flagged_input"] == "x" * 49 + "..." + "y" * 48
    assert {name: told[name] for name in ("reasons", "provider_name", "model_slug")} == {
        "reasons": ["hate"],
        "provider_name": "mine",
        "model_slug": "a/b",
    }
    assert refusal(verdict._replace(place=2), passages, "").metadata["flagged_input"] == LINK
    assert refusal(verdict._replace(place=3), passages, "").metadata["flagged_input"] == "see"


@given(st.text(max_size=2_000))
def test_what_is_shown_is_short_and_on_one_line(text: str) -> None:
    shown = shortened(text)
    assert len(shown) <= 100
    assert len(shown.splitlines()) <= 1
    if len(" ".join(text.split())) <= 100 and len(text) <= 400:
        assert shown == " ".join(text.split())


def test_the_record_says_what_was_judged_and_what_was_not() -> None:
    checked = checked_of(request([user("see", picture(LINK))]), "none")
    passed = {"engine": "mine", "ms": 20, "result": "passed", "checked_bytes": 3, "unchecked_bytes": 0}
    assert input_note(Verdict("mine", 0.02), checked) == {**passed, "unchecked_media": 1}
    failed = input_note(Verdict("mine", 0.02, problem="it failed (500)", record="resp_1"), checked)
    assert failed["result"] == "unjudged"
    assert (failed["problem"], failed["record"]) == ("it failed (500)", "resp_1")


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_word_is_found_wherever_it_stands(before: str, after: str) -> None:
    (found,) = Words(["gelignite"])([f"{before} GeLiGnItE {after}"])
    assert found == ("words",)


@given(st.text(max_size=100))
def test_no_text_raises(text: str) -> None:
    assert Words(["gelignite", " "])([text, ""])[1] is None
