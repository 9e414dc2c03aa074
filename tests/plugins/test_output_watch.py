"""What of an answer is told before it is judged: all but its end, at once."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.plugins.moderating import MAX_BYTES, OUTPUT_STEP
from trunkline.plugins.output_watch import OutputWatch, withheld
from trunkline.stream.deltas import Arguments, Began, Delta, Spent, Stopped, Text, Usage

SPENT, STOPPED = Spent(Usage(7, output_tokens=3)), Stopped("stop")
said = st.builds(Text, st.just(0), st.text(max_size=3_000)) | st.builds(Arguments, st.just(1), st.text(max_size=50))


@given(st.lists(st.lists(said, max_size=4), max_size=6), st.booleans())
def test_all_but_the_end_is_told_at_once_and_in_order(batches: list[list[Delta]], is_flagged: bool) -> None:
    watch = OutputWatch()
    told: list[Delta] = []
    opening: list[Delta] = [Began("a/b")]
    for batch in [opening, *batches]:
        assert watch.feed(batch) == batch
        told += batch
    assert watch.feed([STOPPED, SPENT]) == []
    text = "".join(each.text for each in told if isinstance(each, Text | Arguments))
    assert watch.is_unjudged == bool(text)
    assert watch.is_due == (len(text.encode("utf-8", "surrogatepass")) >= OUTPUT_STEP)
    assert watch.take() == text
    assert not watch.is_unjudged
    assert not watch.is_due
    assert watch.held == [STOPPED, SPENT]
    assert watch.end(is_flagged=is_flagged) == ([SPENT, Stopped("content_filter")] if is_flagged else [STOPPED, SPENT])


def test_what_comes_after_the_end_waits_too_and_a_part_before_it_does_not() -> None:
    watch, text = OutputWatch(), Text(0, "x")
    assert watch.feed([text, STOPPED, text]) == [text]
    assert watch.feed([SPENT]) == []
    assert watch.held == [STOPPED, text, SPENT]


def test_a_very_long_answer_is_judged_in_steps_and_each_with_what_went_before() -> None:
    watch = OutputWatch()
    watch.feed([Text(0, "é" * MAX_BYTES), Text(0, "b" * 10)])
    assert watch.take() == "é" * MAX_BYTES
    assert (watch.is_unjudged, watch.is_due) == (True, False)
    assert watch.take() == "é" * (MAX_BYTES - 10) + "b" * 10
    assert not watch.is_unjudged
    watch.feed([Text(0, "c")])
    assert watch.take() == "é" * (MAX_BYTES - 11) + "b" * 10 + "c"


NUMBERS = "".join(f"{number:05}," for number in range(MAX_BYTES // 2))


@settings(max_examples=30)
@given(st.lists(st.integers(1, MAX_BYTES), max_size=3))
def test_every_letter_of_an_answer_is_judged(sizes: list[int]) -> None:
    watch, judged_to = OutputWatch(), 0
    for end in itertools.accumulate(sizes):
        watch.feed([Text(0, NUMBERS[judged_to:end])])
        while watch.is_unjudged:
            taken = watch.take()
            assert len(taken) <= MAX_BYTES
            start = NUMBERS.index(taken)
            assert start <= judged_to < start + len(taken)
            judged_to = start + len(taken)
        assert judged_to == end


def test_of_a_whole_answer_that_is_flagged_its_cost_is_told() -> None:
    began = Began("a/b")
    assert withheld([began, Text(0, "x"), STOPPED, SPENT]) == [began, SPENT, Stopped("content_filter")]
