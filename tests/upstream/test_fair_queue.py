"""Who has one of a few places and whose turn is next, held to laws over any order of coming and going."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.upstream.fair_queue import FairQueue, Ticket

STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=60)
"""An account that asks; or, where the number is 5 or more, one of those who are there that leaves."""


@given(STEPS, st.integers(1, 3), st.integers(0, 6))
def test_places_are_never_lost_and_waiting_is_bounded(steps: list[tuple[str, int]], places: int, room: int) -> None:
    queue, there = FairQueue(places, room), list[Ticket]()
    for account, number in steps:
        if number < 5:
            ticket = queue.ask(account)
            if ticket is not None:
                there.append(ticket)
        elif there:
            leaving = there.pop(number % len(there))
            was_served = leaving.is_served
            following = queue.leave(leaving)
            assert following is None or (was_served and following in there and following.is_served)
        served = sum(each.is_served for each in there)
        assert served == min(places, len(there))
        assert queue.waiting == len(there) - served <= room
        lines = Counter(each.account for each in there if not each.is_served)
        assert max(lines.values(), default=0) <= max(1, room // 2)


def order(queue: FairQueue, tickets: list[tuple[str, Ticket | None]], first: Ticket) -> str:
    """The names of those that wait, in the order in which they get the place."""
    told, names = "", {id(ticket): name for name, ticket in tickets}
    following = queue.leave(first)
    while following is not None:
        told += names[id(following)]
        following = queue.leave(following)
    return told


@pytest.mark.parametrize(
    ("came", "served"),
    [("aab", "aba"), ("aaabbb", "ababab"), ("aaab", "abaa"), ("abcabc", "abcabc"), ("aaabc", "abcaa")],
)
def test_turns_go_round_among_accounts(came: str, served: str) -> None:
    queue = FairQueue(1, 20)
    first = queue.ask("z")
    assert first is not None
    assert order(queue, [(name, queue.ask(name)) for name in came], first) == served


def test_an_account_has_half_of_what_may_wait_and_others_the_rest() -> None:
    queue = FairQueue(1, 6)
    assert queue.ask("a") is not None
    assert [queue.ask("a") is not None for _ in range(5)] == [True, True, True, False, False]
    assert [queue.ask(name) is not None for name in "bbbc"] == [True, True, True, False]


def test_who_leaves_waits_no_longer() -> None:
    queue = FairQueue(1, 6)
    first, second, third = queue.ask("a"), queue.ask("b"), queue.ask("c")
    assert first is not None
    assert second is not None
    assert queue.leave(second) is None
    assert queue.leave(first) is third
