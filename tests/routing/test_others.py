"""What nodes tell is joined alike in any order, any grouping and any number of times, and what is old fades."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import asdict

from tests.routing.catalogs import NOW
from trunkline.routing.others import FORGET_S, MAX_GONE, MAX_NODES, Others, Told
from trunkline.routing.windows import BUCKETS

A, B = "alpha:m/one", "beta:m/one"
KNOWN = frozenset({A, B})


class Word(Struct, frozen=True):
    node: str
    number: int
    endpoint_id: str


def told(word: Word) -> Told:
    """What a word says, all of it made of its number: a node tells of an endpoint once in a message."""
    n = word.number
    return Told(
        endpoint_id=word.endpoint_id,
        short=(n, 2 * n, 3 * n),
        long=(n, n, 1000 * n, 100 * n, n),
        latency=(n % BUCKETS, n, (n + 7) % BUCKETS, 1),
        throughput=((n + 3) % BUCKETS, 2),
        open_s=float(n % 30),
    )


def heard(words: Sequence[Word], others: Others | None = None) -> Others:
    others = others or Others(KNOWN)
    for word in words:
        others.hear(word.node, word.number, told(word), NOW)
    return others


def state(others: Others) -> object:
    sums = {id: None if (each := others.sums(id)) is None else asdict(each) for id in KNOWN}
    return others.words, sums


WORDS = st.lists(
    st.builds(Word, st.sampled_from(["one", "two", "three"]), st.integers(1, 9), st.sampled_from(sorted(KNOWN))),
    max_size=30,
)


@given(st.data(), WORDS)
def test_words_join_in_any_order(data: st.DataObject, words: list[Word]) -> None:
    assert state(heard(data.draw(st.permutations(words)))) == state(heard(words))


@given(st.data(), WORDS)
def test_words_join_however_often_they_come(data: st.DataObject, words: list[Word]) -> None:
    again = data.draw(st.lists(st.sampled_from(words), max_size=30)) if words else []
    assert state(heard(again, heard(words))) == state(heard(words))


@given(WORDS, WORDS, WORDS)
def test_words_join_however_they_are_put_together(one: list[Word], two: list[Word], three: list[Word]) -> None:
    def newest(words: Sequence[Word]) -> list[Word]:
        """A join, told on as words."""
        return [Word(node, number, id) for (node, id), (number, _) in heard(words).words.items()]

    assert state(heard([*newest([*one, *two]), *three])) == state(heard([*one, *newest([*two, *three])]))


@given(WORDS)
def test_sums_are_those_of_the_newest_words(words: list[Word]) -> None:
    others = heard(words)
    for id in KNOWN:
        newest = [each for (_, endpoint_id), (_, each) in others.words.items() if endpoint_id == id]
        sums = others.sums(id)
        assert (sums is None) is (not newest)
        if sums is not None:
            assert sums.short == [sum(each.short[column] for each in newest) for column in range(3)]
            assert sums.long == [sum(each.long[column] for each in newest) for column in range(5)]
            assert sum(sums.latency) == sum(sum(each.latency[1::2]) for each in newest)
            assert sums.nodes == len(newest)


@given(WORDS)
def test_a_node_that_is_gone_fades_and_its_old_messages_stay_old(words: list[Word]) -> None:
    others = heard(words)
    assert set(others.forget(NOW + FORGET_S)) == {word.endpoint_id for word in words}
    gone = state(others)
    assert gone == state(Others(KNOWN))
    assert state(heard(words, others)) == gone


def test_what_is_told_again_stays_and_what_is_repeated_does_not() -> None:
    others = Others(KNOWN)
    for number, id in ((1, A), (1, B)):
        others.hear("one", number, told(Word("one", number, id)), NOW)
    others.hear("one", 2, told(Word("one", 2, A)), NOW + 40)
    others.hear("one", 1, told(Word("one", 1, B)), NOW + 40)
    assert list(others.forget(NOW + 61)) == [B]
    assert [id for _, id in others.words] == [A]


def test_a_node_that_was_silent_for_long_is_heard_again() -> None:
    others = heard([Word("one", 5, A)])
    list(others.forget(NOW + 100))
    assert not others.hear("one", 5, told(Word("one", 5, A)), NOW + 101)
    assert others.hear("one", 6, told(Word("one", 6, A)), NOW + 101)


@pytest.mark.parametrize(
    "bad",
    [Told(endpoint_id="gamma:m/one"), Told(endpoint_id=A, latency=(3,)), Told(endpoint_id=A, throughput=(BUCKETS, 1))],
    ids=["an endpoint that is not known here", "half a bucket", "a bucket that there is not"],
)
def test_what_makes_no_sense_changes_nothing(bad: Told) -> None:
    others = Others(KNOWN)
    assert not others.hear("one", 1, bad, NOW)
    assert state(others) == state(Others(KNOWN))


@pytest.mark.parametrize(
    "lie",
    [
        {"short": [-1, 0, 0]},
        {"short": [2**40, 0, 0]},
        {"long": [0, 0, -5, 0, 0]},
        {"latency": [-1, 1]},
        {"open_s": 1e9},
        {"open_s": -1.0},
        {"row_s": float("nan")},
        {"cooled_s": float("inf")},
        {"closed_s": "now"},
    ],
    ids=str,
)
def test_numbers_that_cannot_be_are_not_read(lie: dict[str, object]) -> None:
    fields = {**asdict(Told(endpoint_id=A)), **lie}
    data = msgspec.msgpack.encode(list(fields.values()))
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(data, type=Told)


def test_nodes_are_bounded_that_are_there_and_that_are_gone() -> None:
    others = heard([Word(f"node-{number}", 1, A) for number in range(MAX_NODES + 50)])
    assert len(others.words) == MAX_NODES
    for number in range(MAX_GONE + 50):
        others.hear(f"late-{number}", 1, told(Word("", 1, A)), NOW + 100 * number)
        list(others.forget(NOW + 100 * (number + 1)))
    assert len(others._floors) == MAX_GONE
