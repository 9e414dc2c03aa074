"""What goes between the gateway and a child, held to laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.upstream.documents.frames import (
    JOBS,
    KINDS,
    ORDER_BYTES,
    TOLD,
    Bounds,
    Job,
    Kind,
    Malformed,
    Said,
    Told,
    answer_of,
    order_of,
    read_answer,
    read_order,
)

BOUNDS = Bounds(9, 100)
SAID = st.builds(
    lambda text, pages, silent: Said(text, pages, min(silent, pages)),
    st.text(max_size=8),
    st.integers(0, 9),
    st.integers(0, 9),
)


@given(st.sampled_from(KINDS), st.sampled_from(JOBS), st.integers(0, 2**32 - 1))
def test_an_order_is_read_as_it_was_given(kind: Kind, job: Job, size: int) -> None:
    order = order_of(kind, job, size)
    assert len(order) == ORDER_BYTES
    assert read_order(order) == (kind, job, size)


@given(SAID | st.sampled_from(TOLD), st.binary(max_size=9))
def test_an_answer_is_read_once_it_is_whole_and_no_further(said: Said | Told, more: bytes) -> None:
    told = answer_of(said)
    assert all(read_answer(told[:cut], BOUNDS) is None for cut in range(len(told)))
    assert read_answer(told, BOUNDS) == said
    assert read_answer(told + more, BOUNDS) == said


@given(st.binary(max_size=40))
def test_nonsense_is_never_an_answer(heard: bytes) -> None:
    try:
        assert read_answer(heard, BOUNDS) is None
    except Malformed:
        assert not b"DOC1".startswith(heard[:4])


@pytest.mark.parametrize(
    "said",
    [Said("x" * 101, 1, 0), Said("", 10, 0), Said("", 1, 2)],
    ids=["more text than asked for", "more pages", "more silent pages than pages"],
)
def test_an_answer_beyond_its_bounds_is_none(said: Said) -> None:
    with pytest.raises(Malformed):
        read_answer(answer_of(said), BOUNDS)


def test_an_answer_that_is_no_text_is_none() -> None:
    told = answer_of(Said("ä", 1, 0))
    with pytest.raises(Malformed):
        read_answer(told.replace("ä".encode(), b"\xff\xff"), BOUNDS)
    with pytest.raises(Malformed):
        read_answer(told.replace("ä".encode(), b"\xed\xa0"), BOUNDS)


def test_a_cause_that_nobody_knows_is_none() -> None:
    with pytest.raises(Malformed):
        read_answer(b"DOC1\x63" + bytes(12), BOUNDS)
