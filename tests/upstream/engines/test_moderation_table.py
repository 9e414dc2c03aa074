"""Questions to engines that judge and what is made of their answers: nothing that is not a verdict is taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog.moderators import Moderator
from trunkline.settings.secret import Secret
from trunkline.upstream.engines.judged import Answer, Passage
from trunkline.upstream.engines.moderation_table import (
    decode_answer,
    decode_refusal,
    encode_question,
    judgment,
    pictures_of,
    questions,
)

KEY = "key-canary-77aa"
OPENAI = Moderator(name="mine", kind="openai", secret=Secret(KEY))
TEXT, OTHER, PICTURE = Passage("a"), Passage("b"), Passage("beside", "https://pictures.example/a.png")
CLEAN = {"flagged": False, "categories": {"hate": False}}
BAD = {"flagged": True, "categories": {"violence": True, "hate": True, "sexual": False}}


def told(*results: Any, **more: Any) -> bytes:
    return json.dumps({"results": list(results), **more}).encode()


def test_texts_are_asked_for_together_and_each_picture_alone() -> None:
    assert questions([TEXT, PICTURE, OTHER, PICTURE]) == ((0, 2), (1,), (3,))
    assert questions([]) == ()
    asked = encode_question(OPENAI, [TEXT, OTHER])
    assert (asked.method, asked.url) == ("POST", "https://api.openai.com/v1/moderations")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(asked.body) == {"model": "omni-moderation-latest", "input": ["a", "b"]}
    shown = json.loads(encode_question(OPENAI, [PICTURE]).body)["input"]
    assert shown == [{"type": "text", "text": "beside"}, {"type": "image_url", "image_url": {"url": PICTURE.picture}}]


def test_a_server_without_a_key_is_told_none_and_no_link() -> None:
    ours = Moderator(name="ours", kind="openai", base_url="http://10.0.0.5:8000/v1", model="guard")
    asked = encode_question(ours, [TEXT])
    assert "authorization" not in asked.headers
    assert asked.url == "http://10.0.0.5:8000/v1/moderations"
    assert json.loads(asked.body)["model"] == "guard"
    kinds = [ours, OPENAI, Moderator(name="w", kind="words"), Moderator(name="j", kind="judge", model="a/b")]
    assert [pictures_of(each) for each in kinds] == ["data", "all", "none", "none"]


@pytest.mark.parametrize(
    ("result", "flags"),
    [
        (CLEAN, None),
        (BAD, ("hate", "violence")),
        ({"flagged": True, "categories": {}}, ("flagged",)),
        ({"flagged": True}, ("flagged",)),
        ({"flagged": False, "categories": {"hate": True}}, ("hate",)),
        ({"categories": {"pii": True, "law": False}}, ("pii",)),
        ({"categories": {"pii": False}}, None),
        ({"flagged": True, "categories": {"a\nb": True, "x" * 200: True}}, ("flagged",)),
    ],
    ids=repr,
)
def test_a_result_says_what_was_flagged(result: Any, flags: Any) -> None:
    assert decode_answer(told(result), 1) == Answer((flags,))


@pytest.mark.parametrize(
    ("body", "count", "problem"),
    [
        (b"", 1, "its answer is no JSON"),
        (b"<html>", 1, "its answer is no JSON"),
        (b"[]", 1, "its answer is no JSON"),
        (b"{}", 1, "its answer has no result for each text"),
        (told(), 1, "its answer has no result for each text"),
        (told(CLEAN), 2, "its answer has no result for each text"),
        (told(CLEAN, CLEAN), 1, "its answer has no result for each text"),
        (told(CLEAN, {}), 2, "its answer has a result that is none"),
        (told(None), 1, "its answer has a result that is none"),
        (told({"flagged": 0}), 1, "its answer has a result that is none"),
        (told({"flagged": None, "categories": {"hate": False}}), 1, "its answer has a result that is none"),
        (told({"categories": {}}), 1, "its answer has a result that is none"),
        (b"[" * 300_000, 1, "its answer is too large"),
    ],
)
def test_all_else_is_a_problem(body: bytes, count: int, problem: str) -> None:
    answer = decode_answer(body, count)
    assert (answer.flags, answer.problem) == ((), problem)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab") | st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(["flagged", "categories", "x"]), JSONS), max_size=3), st.integers(1, 3))
def test_no_answer_raises_and_none_passes_without_a_word_for_each_text(results: Any, count: int) -> None:
    answer = decode_answer(told(*results), count)
    if answer.problem:
        assert answer.flags == ()
        return
    assert len(answer.flags) == count == len(results)
    for flags, result in zip(answer.flags, results, strict=True):
        assert isinstance(result.get("flagged", False), bool)
        categories = result.get("categories")
        told_so = any(value is True for value in categories.values()) if isinstance(categories, dict) else False
        assert (flags is not None) == (told_so or result.get("flagged") is True)


@given(st.binary(max_size=60))
def test_no_bytes_raise(body: bytes) -> None:
    assert decode_answer(body, 1).problem


@pytest.mark.parametrize("status", [204, 301, 400, 401, 402, 403, 404, 418, 429, 500, 503])
def test_a_refusal_is_a_problem_that_says_nothing_of_the_key(status: int) -> None:
    answer = decode_refusal(OPENAI, status)
    assert str(status) in answer.problem
    assert KEY not in repr(answer)
    assert bool(answer.to_do) == (status in (301, 401, 402, 403, 404))


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        ("safe", None),
        ("\n\nsafe", None),
        ("Safe.", None),
        ("**safe**", None),
        ("safe\n\nNothing in it is harmful.", None),
        ("unsafe\nS1,S10", ("S1", "S10")),
        ("\n\nUnsafe\ns2", ("S2",)),
        ("unsafe", ("unsafe",)),
        ("unsafe. It is about violence.", ("unsafe",)),
    ],
)
def test_a_model_says_safe_or_unsafe(said: str, flags: Any) -> None:
    assert judgment(said) == Answer((flags,))


@pytest.mark.parametrize(
    "said", ["", "I cannot say.", "This is safe", "safely", "safe unsafe", "safe?\nunsafe\nS1", "{}", "saf", "安全"]
)
def test_all_else_that_a_model_says_is_no_verdict(said: str) -> None:
    answer = judgment(said)
    assert answer.flags == ()
    assert answer.problem
