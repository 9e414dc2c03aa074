"""What nodes tell each other through a board: who hears it, what it does there, and what does nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nodes.boards import Boards
from tests.routing.catalogs import NOW
from trunkline import gossip as messages
from trunkline.nodes.gossip import MAX_QUESTIONS, Gossip
from trunkline.routing.health import CONDITIONS, Outcome
from trunkline.routing.meanings import MEANINGS
from trunkline.routing.others import Told
from trunkline.wire import FaultKind

A = "alpha:m/one"
MANY = [f"provider-of-a-long-name:maker/model-of-a-long-name-{number}" for number in range(1000)]
KNOWN = frozenset({A, *MANY})
ID = "resp_" + "0" * 24
GOOD = Outcome(first_token_s=0.5, generation_s=2.0, input_tokens=100, output_tokens=50)
BAD = Outcome(fault="unavailable")


class Node:
    """One node of several, with what it would forget and explain."""

    def __init__(self, name: str, boards: Boards) -> None:
        self.now = NOW
        self.board = boards.board(name)
        self.alarms: list[str] = []
        self.forgotten: list[Collection[str]] = []
        self.explanations: dict[tuple[str, str], bytes] = {}
        self.asked = self.relisted = 0
        self.gossip = Gossip(
            self.board,
            KNOWN,
            clock=lambda: self.now,
            retry_budget=0.2,
            hedges=0.0,
            round_s=0.001,
            forget=self.forgotten.append,
            relisted=self._relist,
            explain=self._explain,
            alarm=lambda event, _: self.alarms.append(event),
        )
        self.board.come()

    def _relist(self) -> None:
        self.relisted += 1

    def round(self, after_s: float = 1.0) -> None:
        self.now += after_s
        self.gossip._tell_round()

    def condition(self) -> str:
        return CONDITIONS[self.gossip.health.condition(A, self.now)]

    def _explain(self, response_id: str, account_id: str) -> bytes | None:
        self.asked += 1
        return self.explanations.get((response_id, account_id))


@pytest.fixture
def boards() -> Boards:
    return Boards()


@pytest.fixture
def nodes(boards: Boards) -> list[Node]:
    return [Node(name, boards) for name in ("one", "two", "three")]


def test_what_sets_an_endpoint_aside_is_told_in_the_same_turn(nodes: list[Node]) -> None:
    async def fail() -> None:
        for _ in range(5):
            nodes[0].gossip.health.record(A, BAD, NOW)
        await asyncio.sleep(0)

    asyncio.run(fail())
    assert [node.condition() for node in nodes] == ["ejected"] * 3


def test_what_changed_is_told_once_in_a_round_and_nothing_when_nothing_did(boards: Boards, nodes: list[Node]) -> None:
    for _ in range(10):
        nodes[0].gossip.health.record(A, GOOD, NOW)
    nodes[0].round()
    nodes[0].round()
    boards.told.clear()
    nodes[0].gossip.health.record(A, GOOD, NOW)
    nodes[0].round()
    nodes[0].round()
    assert len(boards.told) == 1
    assert nodes[1].gossip.health.figures(A, NOW).attempts == 11


def test_an_old_message_that_comes_again_changes_nothing(boards: Boards, nodes: list[Node]) -> None:
    nodes[0].gossip.health.record(A, BAD, NOW)
    nodes[0].gossip.health.record(A, BAD, NOW)
    nodes[0].round()
    old = list(boards.told)
    nodes[0].round(40)
    assert nodes[1].gossip.health._others.words[("one", A)][1].short == (0, 0, 0)
    for _ in range(3):
        for channel, message in old:
            boards.deliver(channel, message)
    assert nodes[1].gossip.health._others.words[("one", A)][1].short == (0, 0, 0)
    nodes[1].now += 200
    nodes[1].gossip.health.forget(nodes[1].now)
    for channel, message in old:
        boards.deliver(channel, message)
    assert nodes[1].condition() == "stable"
    assert nodes[1].gossip.health._others.words == {}


def test_a_clock_that_is_minutes_off_changes_nothing(nodes: list[Node]) -> None:
    nodes[0].now -= 300
    nodes[1].now += 300

    async def cool_down() -> None:
        nodes[0].gossip.health.cool_down(A, 10.0, nodes[0].now)
        await asyncio.sleep(0)

    asyncio.run(cool_down())
    assert [node.condition() for node in nodes] == ["ejected"] * 3
    nodes[1].now += 10.1
    assert nodes[1].condition() == "stable"


def test_who_comes_late_is_told_what_is_known(boards: Boards, nodes: list[Node]) -> None:
    nodes[0].gossip.health.record(A, GOOD, NOW)
    nodes[0].round()
    nodes[0].round()
    late = Node("late", boards)
    late.round()
    nodes[0].round()
    assert late.gossip.health.figures(A, NOW).attempts == 1


def test_what_happens_while_the_board_is_away_is_told_when_it_is_back(nodes: list[Node]) -> None:
    nodes[0].board.is_here = False
    nodes[0].gossip.health.record(A, GOOD, NOW)
    nodes[0].gossip.affinity.keep(b"c" * 16, A, NOW)
    nodes[0].round()
    nodes[0].board.come()
    nodes[0].round()
    assert nodes[1].gossip.health.figures(A, NOW).attempts == 1
    assert nodes[1].gossip.affinity.find(b"c" * 16, NOW) == A


def test_RT_12_a_conversation_finds_its_endpoint_at_another_node(nodes: list[Node]) -> None:
    nodes[0].gossip.affinity.keep(b"c" * 16, A, NOW)
    nodes[0].gossip.affinity.keep(b"d" * 16, MANY[0], NOW)
    nodes[0].round()
    assert nodes[1].gossip.affinity.find(b"c" * 16, NOW) == A
    assert nodes[2].gossip.affinity.find(b"d" * 16, NOW) == MANY[0]
    nodes[1].gossip.affinity.keep(b"c" * 16, MANY[1], NOW)
    assert nodes[1].gossip.affinity.find(b"c" * 16, NOW) == MANY[1]
    nodes[1].round()
    assert nodes[0].gossip.affinity.find(b"c" * 16, NOW) == MANY[1]


def test_old_news_of_a_conversation_are_none(boards: Boards, nodes: list[Node]) -> None:
    for endpoint_id in (A, MANY[0]):
        nodes[0].gossip.affinity.keep(b"c" * 16, endpoint_id, NOW)
        nodes[0].round()
    for channel, message in [*boards.told]:
        boards.deliver(channel, message)
    assert nodes[1].gossip.affinity.find(b"c" * 16, NOW) == MANY[0]


@pytest.mark.law
def test_messages_are_bounded_and_hold_everything(boards: Boards, nodes: list[Node]) -> None:
    for number, endpoint_id in enumerate(MANY):
        for _ in range(3):
            for step in range(60):
                nodes[0].gossip.health.record(endpoint_id, Outcome(first_token_s=1.1**step), NOW)
        nodes[0].gossip.affinity.keep(number.to_bytes(16), endpoint_id, NOW)
        nodes[0].gossip.affinity.keep((number + 5000).to_bytes(16), endpoint_id, NOW)
    boards.told.clear()
    for _ in range(2):
        nodes[0].round()
    assert max(len(message) for _, message in boards.told) <= messages.MAX_BYTES
    assert all(nodes[1].gossip.health.figures(id, NOW).attempts == 180 for id in MANY)
    served = [number for number in range(6000) if nodes[1].gossip.affinity.find(number.to_bytes(16), NOW)]
    assert len(served) == 1000, "the newest are told"


def test_TN_01_the_node_that_knows_explains_to_the_account_whose_request_it_was(nodes: list[Node]) -> None:
    text = b"x" * 200_000
    nodes[2].explanations[ID, "mine"] = text
    assert found(nodes[0]) == [text]
    assert found(nodes[0], account="theirs") == [None]
    assert nodes[0].asked == 0


def test_what_nobody_knows_is_given_up_soon(nodes: list[Node]) -> None:
    began = time.monotonic()
    assert found(nodes[0]) == [None]
    assert 0.15 < time.monotonic() - began < 2
    assert found(nodes[0], "resp_no-id-of-ours") == [None]
    nodes[0].board.is_here = False
    assert found(nodes[0]) == [None]
    assert nodes[1].asked == 1


def test_no_more_than_some_are_asked_for_at_a_time(nodes: list[Node]) -> None:
    assert set(found(nodes[0], times=MAX_QUESTIONS + 20)) == {None}
    assert nodes[1].asked == MAX_QUESTIONS
    assert nodes[0].gossip._questions == {}


def found(node: Node, id: str = ID, account: str = "mine", times: int = 1) -> list[bytes | None]:
    """What a node finds at the others, asked so many times at once."""

    async def ask() -> list[bytes | None]:
        return await asyncio.gather(*(node.gossip.find_explanation(id, account) for _ in range(times)))

    return asyncio.run(ask())


def test_an_explanation_that_is_too_long_for_messages_is_none() -> None:
    assert messages.encode_explained("q", b"x" * (48 * 1024 * 32 + 1)) == ()


@pytest.mark.parametrize("fault", MEANINGS)
def test_what_is_told_of_a_fault_can_be_read(fault: FaultKind) -> None:
    boards = Boards()
    one, other = Node("one", boards), Node("other", boards)
    one.gossip.health._hurry = lambda: None
    for step in range(40):
        one.gossip.health.record(A, Outcome(fault=fault, retry_after_s=1e9 if step % 2 else None), one.now)
        one.round()
    assert ("one", A) in other.gossip.health._others.words


def test_changed_keys_are_forgotten_everywhere(boards: Boards, nodes: list[Node]) -> None:
    boards.deliver(messages.CHANNEL, messages.encode(messages.Changed(("key_1", "acc_1"))))
    assert [node.forgotten for node in nodes] == [[("key_1", "acc_1")]] * 3


def test_another_list_of_models_is_heard_of_everywhere(boards: Boards, nodes: list[Node]) -> None:
    boards.deliver(messages.CHANNEL, messages.encode(messages.Relisted()))
    assert [node.relisted for node in nodes] == [1] * 3


def test_endpoints_of_a_newer_list_are_heard_of_and_those_that_are_gone_are_not(nodes: list[Node]) -> None:
    one, other, _ = nodes
    one.gossip.health.know({"new:m/one"})
    other.gossip.health.know({"new:m/one"})
    for id in ("new:m/one", A):
        one.gossip.health.record(id, GOOD, one.now)
    one.round()
    assert {id for _, id in other.gossip.health._others.words} == {"new:m/one"}


@given(st.binary(max_size=300) | st.builds(bytes.__add__, st.sampled_from([b"\x93\xa6health"]), st.binary(max_size=60)))
def test_what_is_no_message_does_nothing(data: bytes) -> None:
    boards = Boards()
    node = Node("one", boards)
    boards.deliver(messages.CHANNEL, data)
    assert node.gossip.health._others.words == {}


def test_what_is_too_large_is_no_message() -> None:
    data = messages.encode(messages.Explained("q", 0, 1, b"x" * messages.MAX_BYTES))
    assert messages.decode(data) is None


def test_a_newer_node_may_say_more() -> None:
    told = Told(endpoint_id=A, short=(1, 0, 0))
    (data,) = messages.encode_health("one", count(1), [told])
    longer = b"\x95" + data[1:] + b"\x07"
    assert data[:1] == b"\x94"
    assert messages.decode(longer) == messages.HealthTold("one", 1, (told,))


def test_a_round_that_fails_is_told_and_not_the_last(nodes: list[Node]) -> None:
    node, has_told = nodes[0], asyncio.Event()

    def clock() -> float:
        if len(node.alarms) < 2:
            raise RuntimeError("no time")
        has_told.set()
        return NOW

    async def run() -> None:
        (work,) = node.board.works
        rounds = asyncio.create_task(work())
        await has_told.wait()
        rounds.cancel()

    node.gossip.health.record(A, GOOD, NOW)
    node.gossip._clock = clock
    asyncio.run(run())
    assert node.alarms == ["gossip.failed"] * 2
    assert nodes[1].gossip.health.figures(A, NOW).attempts == 1
