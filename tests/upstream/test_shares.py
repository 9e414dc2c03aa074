"""Places are shared so that there is one left for whoever has none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from trunkline.upstream.shares import Claim, Places, Shares


def taken(shares: Shares, claim: Claim) -> int:
    """Take places until there are no more for this claim; how many that were."""
    count = 0
    while shares.may_take(claim):
        shares.take(claim)
        count += 1
    return count


def taken_once(shares: Shares, claims: Iterable[Claim]) -> int:
    """Take one place for each claim that may have one; how many that were."""
    count = 0
    for claim in claims:
        if shares.may_take(claim):
            shares.take(claim)
            count += 1
    return count


def test_whoever_is_alone_gets_half_and_the_next_half_of_the_rest() -> None:
    shares = Shares(64)
    requests = [[Claim(account, f"{account}-{number}") for number in range(70)] for account in "abc"]
    got = [taken_once(shares, claims) for claims in requests]
    assert got == [32, 16, 8]


def test_one_request_leaves_the_others_of_its_account_a_share() -> None:
    shares = Shares(64)
    assert taken(shares, Claim("a", 1)) == 16
    assert taken(shares, Claim("a", 2)) > 0
    assert taken(shares, Claim("a", 3)) > 0


def test_a_server_is_bounded_by_a_number_and_a_network_by_what_is_left() -> None:
    shares = Shares(64, per_server=8)
    at_one = [Claim(account, account, ("1.1.1.1 80",), ("1.1.1.1",)) for account in "abcdefgh"]
    assert sum(taken(shares, claim) for claim in at_one) == 8
    at_many = [Claim(n, n, (f"1.1.1.1 {1024 + n}",), ("1.1.1.1",)) for n in range(64)]
    assert taken_once(shares, at_many) == 32 - 8
    assert shares.may_take(Claim("i", "i", ("2.2.2.2 80",), ("2.2.2.2",)))


def test_the_last_place_goes_to_whoever_has_none() -> None:
    shares = Shares(1)
    assert taken(shares, Claim("a", 1)) == 1
    assert not shares.may_take(Claim("b", 2))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=80))
def test_what_is_given_back_is_there_again(steps: list[tuple[int, int, bool]]) -> None:
    shares, held = Shares(10, per_server=4), list[Claim]()
    for account, request, gives_back in steps:
        claim = Claim(account, (account, request), (f"{request}",), (f"{request}",))
        if gives_back and held:
            shares.give_back(held.pop())
        elif shares.may_take(claim):
            shares.take(claim)
            held.append(claim)
        assert len(held) <= 10
    for claim in held:
        shares.give_back(claim)
    assert taken(shares, Claim("x", "x")) == taken(Shares(10), Claim("x", "x"))


def test_a_place_that_comes_free_goes_to_who_holds_the_fewest() -> None:
    async def play() -> list[str]:
        places, order = Places(4), list[str]()

        async def hold(claim: Claim) -> None:
            async with places.taken(claim):
                order.append(str(claim.account))

        first = [Claim("a", 1), Claim("a", 2), Claim("b", 3), Claim("c", 4)]
        for claim in first:
            await places.take(claim)
        waiting = [asyncio.create_task(hold(claim)) for claim in (Claim("a", 5), Claim("a", 6), Claim("d", 7))]
        await asyncio.sleep(0)
        places.give_back(first[2])
        await asyncio.wait(waiting[2:])
        for claim in (first[0], first[1], first[3]):
            places.give_back(claim)
        await asyncio.gather(*waiting)
        return order

    assert run(play()) == ["d", "a", "a"]


def test_whoever_leaves_while_waiting_takes_no_place_with_him() -> None:
    async def play() -> None:
        places = Places(1)
        claim = Claim("a", 1)
        await places.take(claim)
        waiting = asyncio.create_task(places.take(Claim("b", 2)))
        await asyncio.sleep(0)
        places.give_back(claim)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(1.0):
            await places.take(Claim("c", 3))

    run(play())


def run(work: object) -> list[str]:
    return asyncio.run(work)  # type: ignore[arg-type]
