"""An answer that is ended at a stop text: the same text wherever it was cut, and as little held back as may be."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol.items import Logprob, UrlCitation
from trunkline.stream.deltas import (
    Citation,
    Closed,
    Delta,
    FunctionCall,
    Reasoning,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.stream.stopping import StopWords, first_stop, place_of_stop

LETTERS = st.text(alphabet="ab\n", max_size=40)
STOPS = st.lists(st.text(alphabet="ab\n", min_size=1, max_size=6), min_size=1, max_size=4).map(tuple)
CUTS = st.sets(st.integers(0, 40))
SPENT = Spent(Usage(input_tokens=3, output_tokens=2))
WEB = Citation(0, UrlCitation("https://a.example", "A", 0, 1))


def heard(stops: tuple[str, ...], *deltas: Delta) -> list[Delta]:
    """What is told of deltas that come one by one."""
    machine = StopWords(stops)
    told = [one for delta in deltas for one in machine.hear([delta])]
    return [*told, *machine.rest()]


def said(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Text))


def pieces(text: str, cuts: set[int]) -> list[str]:
    places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    return [text[start:end] for start, end in itertools.pairwise(places)]


@given(text=LETTERS, stops=STOPS, cuts=CUTS)
def test_wherever_it_is_cut_the_text_is_the_same(text: str, stops: tuple[str, ...], cuts: set[int]) -> None:
    place = place_of_stop(text, stops)
    told = heard(stops, *(Text(0, piece) for piece in pieces(text, cuts)), Stopped("length"))
    assert said(told) == text[:place]
    found = first_stop(text, stops)
    end = Stopped("length") if found is None else Stopped("stop", found[1])
    assert [delta for delta in told if isinstance(delta, Stopped)] == [end]


@given(text=LETTERS, stops=STOPS)
def test_the_text_ends_before_the_first_stop_text_that_is_complete(text: str, stops: tuple[str, ...]) -> None:
    """Said once more, letter by letter, as a model that stops itself would do it."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            assert place_of_stop(text, stops) == end - max(map(len, complete))
            return
    assert place_of_stop(text, stops) is None


@given(text=LETTERS, stops=STOPS, cuts=CUTS)
def test_less_is_held_back_than_the_longest_has(text: str, stops: tuple[str, ...], cuts: set[int]) -> None:
    machine, given_on, come = StopWords(stops), "", ""
    for piece in pieces(text, cuts):
        come += piece
        given_on += said(machine.hear([Text(0, piece)]))
        if machine.is_over:
            return
        assert come.startswith(given_on)
        held = come[len(given_on) :]
        assert len(held) < max(map(len, stops))
        assert not held or any(stop.startswith(held) for stop in stops)
        assert machine.is_holding == bool(held)


@given(text=LETTERS.filter(bool), stops=STOPS, cuts=CUTS)
def test_log_probabilities_stay_with_their_text(text: str, stops: tuple[str, ...], cuts: set[int]) -> None:
    def telling(piece: str) -> Text:
        return Text(0, piece, tuple(Logprob(letter, (), -1.0) for letter in piece))

    told = heard(stops, *map(telling, pieces(text, cuts)), Stopped("stop"))
    tokens = [one.token for delta in told if isinstance(delta, Text) for one in delta.logprobs]
    assert "".join(tokens) == said(told)


def test_of_what_follows_only_the_cost_is_told() -> None:
    machine = StopWords(("END",))
    batch: list[Delta] = [Text(0, "a EN"), WEB, Text(0, "D b"), FunctionCall(1, "c", "f"), SPENT, Stopped("calls")]
    assert machine.hear(batch) == [Text(0, "a "), WEB, SPENT, Stopped("stop", "END")]
    assert machine.is_over
    assert machine.hear([Text(0, "late"), SPENT, Stopped("stop")]) == []


def test_whatever_is_no_text_lets_go_what_was_held_back() -> None:
    for delta in (FunctionCall(1, "c", "f"), Closed(0), Reasoning(0, "hm"), Stopped("stop"), Text(1, "D")):
        assert heard(("END",), Text(0, "EN"), delta) == [Text(0, "EN"), delta]
    assert said(heard(("END",), Text(0, "EN"), WEB, SPENT, Text(0, "D"))) == ""


def test_thoughts_and_arguments_are_not_looked_at() -> None:
    assert heard(("END",), Reasoning(0, "END"), Stopped("stop")) == [Reasoning(0, "END"), Stopped("stop")]


@pytest.mark.parametrize(
    ("stops", "text", "sequence"),
    [
        (("b", "abc"), "xabc", "b"),
        (("c", "bc"), "abc", "bc"),
        (("END", "STOP"), "a STOP b END", "STOP"),
    ],
    ids=["the first that is complete", "the longest of those that end at once", "not the first of the list"],
)
def test_the_end_names_the_stop_text_that_made_it(stops: tuple[str, ...], text: str, sequence: str) -> None:
    assert heard(stops, *(Text(0, letter) for letter in text), Stopped("length"))[-1] == Stopped("stop", sequence)
