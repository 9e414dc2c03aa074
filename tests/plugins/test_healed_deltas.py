"""Deltas of an answer with its JSON healed: which texts, when they end, what belongs to them. Streamed, and whole."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from random import Random

import pytest

from trunkline.plugins.healed_deltas import HealedDeltas
from trunkline.plugins.healing_step import HealingStep
from trunkline.protocol.items import Logprob, UrlCitation
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Citation,
    Closed,
    Delta,
    FunctionCall,
    Phase,
    Reasoning,
    ReasoningSeal,
    Refusal,
    Spent,
    Stopped,
    StopReason,
    Text,
    Usage,
)

BOTH = HealingStep("{", None, heals_arguments=True)
BEGAN = Began("m")
DOCUMENT = '{"a": [1, 2], "b": "c, d", "e": null}'


def call(slot: int, name: str = "f") -> FunctionCall:
    return FunctionCall(slot, f"call_{slot}", name)


def texts(slot: object, text: str, size: int = 3) -> list[Delta]:
    return [Text(slot, text[at : at + size]) for at in range(0, len(text), size)]


def arguments(slot: object, text: str, size: int = 3) -> list[Delta]:
    return [Arguments(slot, text[at : at + size]) for at in range(0, len(text), size)]


def healed(
    deltas: Sequence[Delta], step: HealingStep = BOTH, *, is_whole: bool = False
) -> tuple[list[Delta], HealedDeltas]:
    healing = HealedDeltas(step, is_whole=is_whole)
    batches = [deltas] if is_whole else [[delta] for delta in deltas]
    told = list(chain.from_iterable(healing.feed(batch) for batch in batches))
    return told + healing.end(), healing


def said(told: Sequence[Delta], kind: type[Text | Arguments] = Text) -> dict[object, str]:
    """By slot, all of its texts or arguments."""
    joined: dict[object, str] = {}
    for delta in told:
        if isinstance(delta, kind):
            joined[delta.slot] = joined.get(delta.slot, "") + delta.text
    return joined


BOTH_WAYS = pytest.mark.parametrize("is_whole", [False, True], ids=["streamed", "whole"])


@BOTH_WAYS
def test_text_and_arguments_are_healed(is_whole: bool) -> None:
    deltas: list[Delta] = [
        BEGAN,
        *texts(0, "```json\n{'a': 1,}\n```"),
        call(1),
        *arguments(1, '{"x": True'),
        call(2),
        *arguments(2, "{y: 2}"),
        Closed(1),
        Closed(2),
        Stopped("calls"),
    ]
    told, healing = healed(deltas, is_whole=is_whole)
    assert said(told) == {0: '{"a": 1}'}
    assert said(told, Arguments) == {1: '{"x": true}', 2: '{"y": 2}'}
    assert healing.changed == {"fence", "quotes", "comma", "literal", "closer", "key"}
    assert told[-1] == Stopped("calls")
    assert told.index(Closed(1)) > max(at for at, delta in enumerate(told) if delta == call(2))


@BOTH_WAYS
def test_calls_that_interleave_are_healed_each(is_whole: bool) -> None:
    deltas: list[Delta] = [BEGAN, call(0), call(1)]
    for first, second in zip(arguments(0, '{"a": 1,}'), arguments(1, '{"b": 2,}'), strict=True):
        deltas += [first, second]
    told, _ = healed([*deltas, Stopped("calls")], is_whole=is_whole)
    assert said(told, Arguments) == {0: '{"a": 1}', 1: '{"b": 2}'}


@BOTH_WAYS
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_what_was_cut_is_not_completed_though_its_part_was_closed(reason: StopReason, is_whole: bool) -> None:
    """Messages closes each block before it says why the model stopped."""
    half = '{"a": "half'
    for deltas in (
        [BEGAN, *texts(0, half), Closed(0), Spent(Usage()), Stopped(reason)],
        [BEGAN, *texts(0, half), Stopped(reason)],
        [BEGAN, *texts(0, half)],
    ):
        told, healing = healed(deltas, is_whole=is_whole)
        assert said(told) == {0: half}
        assert healing.changed == set()
    told, _ = healed([BEGAN, call(0), *arguments(0, half), Closed(0), Stopped(reason)], is_whole=is_whole)
    assert said(told, Arguments) == {0: half}
    assert told[-2:] == [Closed(0), Stopped(reason)]


def test_of_an_answer_that_was_cut_the_calls_before_are_whole() -> None:
    deltas: list[Delta] = [
        BEGAN,
        call(0),
        *arguments(0, "{a: 1"),
        call(1),
        *arguments(1, '{"b": "ha'),
        Stopped("length"),
    ]
    assert said(healed(deltas)[0], Arguments) == {0: '{"a": 1}', 1: '{"b": "ha'}


def test_legal_deltas_are_given_on_as_they_are() -> None:
    text = '{"words": "and more of them"}'
    deltas: list[Delta] = [
        BEGAN,
        Text(0, '{"words": "and '),
        Text(0, "more of", (Logprob("more of", (), -0.1),)),
        Text(0, ' them"}'),
    ]
    healing = HealedDeltas(BOTH, is_whole=False)
    for delta in deltas:
        (given,) = healing.feed([delta])
        assert given is delta
    assert said(deltas) == {0: text}


def test_text_that_begins_with_the_root_leaves_with_the_same_read() -> None:
    healing = HealedDeltas(BOTH, is_whole=False)
    reads = [[Text(0, piece)] for piece in ('{"a', '": "one', " two", ' three", "b": ', "12", "}")]
    assert [bool(healing.feed(read)) for read in reads] == [True, True, True, True, False, True]


@BOTH_WAYS
def test_text_before_the_last_message_is_told_where_it_is_no_json(is_whole: bool) -> None:
    deltas: list[Delta] = [BEGAN, Text(0, "Let me look."), call(1), *arguments(1, "{}"), Stopped("calls")]
    told, healing = healed(deltas, is_whole=is_whole)
    assert told[1:3] == [Text(0, "Let me look."), call(1)]
    assert not healing.is_unrepairable, "what is said before a call need not be JSON"
    assert healed([BEGAN, Text(0, "No."), Stopped("stop")], is_whole=is_whole)[1].is_unrepairable


def test_commentary_is_no_answer() -> None:
    deltas: list[Delta] = [
        BEGAN,
        Phase(0, "commentary"),
        Text(0, "{'a'"),
        Phase(1, "final_answer"),
        Text(1, "{'a': 1}"),
        Stopped("stop"),
    ]
    assert said(healed(deltas)[0]) == {0: "{'a'", 1: '{"a": 1}'}


def test_custom_tools_refusals_and_thoughts_are_left_alone() -> None:
    deltas: list[Delta] = [
        BEGAN,
        Reasoning(0, "{'a'"),
        Refusal(1, "{'a'"),
        FunctionCall(2, "c", "patch", "custom"),
        Arguments(2, "{'a'"),
        Closed(2),
        Stopped("calls"),
    ]
    assert healed(deltas)[0] == deltas


def test_arguments_are_left_alone_where_that_is_set() -> None:
    deltas: list[Delta] = [BEGAN, call(0), Arguments(0, "{'a'"), Stopped("calls")]
    assert healed(deltas, HealingStep("{"))[0] == deltas
    assert said(healed([BEGAN, Text(0, "{'a'"), Stopped("stop")], HealingStep(None, None, True))[0]) == {0: "{'a'"}


@BOTH_WAYS
def test_null_and_no_arguments_stay_what_they_are(is_whole: bool) -> None:
    deltas: list[Delta] = [BEGAN, call(0), Arguments(0, "null"), call(1), Stopped("calls")]
    told, healing = healed(deltas, is_whole=is_whole)
    assert said(told, Arguments) == {0: "null"}
    assert healing.changed == set()


@BOTH_WAYS
def test_log_probabilities_end_with_the_first_change(is_whole: bool) -> None:
    def spoken(text: str) -> list[Delta]:
        return [Text(0, sign, (Logprob(sign, (), -0.5),)) for sign in text]

    told, _ = healed([BEGAN, *spoken(DOCUMENT), Stopped("stop")], is_whole=is_whole)
    kept = [each.token for delta in told if isinstance(delta, Text) for each in delta.logprobs]
    assert "".join(kept) == DOCUMENT
    told, _ = healed([BEGAN, *spoken('{"a": True, "b": 1}'), Stopped("stop")], is_whole=is_whole)
    kept = [each.token for delta in told if isinstance(delta, Text) for each in delta.logprobs]
    assert "".join(kept) == ("" if is_whole else '{"a": ')


@BOTH_WAYS
def test_citations_hold_in_the_text_or_are_left_out(is_whole: bool) -> None:
    def cited(text: str) -> tuple[list[Delta], HealedDeltas]:
        at = text.index("page")
        citation = Citation(0, UrlCitation("https://a.example", "A", at, at + 4))
        return healed([BEGAN, *texts(0, text), citation, Stopped("stop")], is_whole=is_whole)

    told, _ = cited('{"a": "see page", "b": 1}')
    assert sum(isinstance(delta, Citation) for delta in told) == 1
    told, healing = cited('```\n{"a": "see page"}\n```')
    assert not any(isinstance(delta, Citation) for delta in told)
    assert healing.citations_left_out == 1


def test_a_citation_of_what_is_held_waits_for_it() -> None:
    healing = HealedDeltas(BOTH, is_whole=False)
    citation = Citation(0, UrlCitation("https://a.example", "A", 7, 8))
    assert healing.feed([Text(0, '{"a": 1'), citation]) == [Text(0, '{"a": ')]
    assert healing.feed([Text(0, "}"), Stopped("stop")]) == [Text(0, "1}"), citation, Stopped("stop")]


def test_a_seal_waits_for_the_text_that_its_thought_led_to() -> None:
    seal = ReasoningSeal(0, signature="x")
    deltas: list[Delta] = [BEGAN, Reasoning(0, "Hm."), Text(1, '{"a": 1'), seal, Text(1, "}"), Stopped("stop")]
    told, _ = healed(deltas)
    assert told[-2:] == [seal, Stopped("stop")]
    assert said(told) == {1: '{"a": 1}'}


def test_what_was_left_out_is_counted_and_what_is_held_is_known() -> None:
    healing = HealedDeltas(BOTH, is_whole=False)
    healing.feed([Text(0, "Some prose first, ")])
    assert [delta.text for delta in healing.held] == ["Some prose first, "]
    healing.feed([Text(0, '{"é": 1')])
    assert healing.lost_bytes == len("Some prose first, ") + len("1")


@pytest.mark.law
def test_what_is_legal_is_the_same_in_any_batches() -> None:
    dice = Random(5)
    deltas: list[Delta] = [
        BEGAN,
        Reasoning(0, "Hm."),
        *texts(1, DOCUMENT, 2),
        Closed(1),
        call(2),
        *arguments(2, DOCUMENT, 4),
        call(3),
        *arguments(3, "{}", 1),
        Spent(Usage()),
        Closed(2),
        Closed(3),
        Stopped("calls"),
    ]
    for _ in range(100):
        healing, told, at = HealedDeltas(BOTH, is_whole=False), [], 0
        while at < len(deltas):
            length = dice.randint(1, 9)
            told += healing.feed(deltas[at : at + length])
            at += length
        told += healing.end()
        assert said(told) == {1: DOCUMENT}
        assert said(told, Arguments) == {2: DOCUMENT, 3: "{}"}
        order = [type(delta) for delta in told if not isinstance(delta, Text | Arguments | Spent)]
        assert order == [type(delta) for delta in deltas if not isinstance(delta, Text | Arguments | Spent)]
        assert healing.changed == set()
