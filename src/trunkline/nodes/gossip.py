"""What this node tells others over the board, and what it makes of what they tell. It decides nothing about endpoints.

Every `ROUND_S` it tells how endpoints do and which of them served which conversation, as far as that changed; what sets
an endpoint aside it tells in the same turn of the loop. Who comes to the board, or comes back, says so in the rounds
that follow, and is told everything anew. An explanation that is not here is asked for: the node that knows answers to
the asker alone, if the account is the one whose request it was, and the others say nothing.

Messages may be lost, late or told twice, and the board may be away: then each node goes by its own figures, asks for no
explanation, and finds changed keys and another list of models in the store as it always does.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Collection, Container, Coroutine
from itertools import count
from typing import Final, Protocol

from trunkline import gossip as messages
from trunkline.routing.affinity import JointAffinity
from trunkline.routing.joint import JointHealth
from trunkline.routing.others import MAX_NODES

ROUND_S: Final = 1.0
ANSWER_S: Final = 0.2
CAME_ROUNDS: Final = 2
"""So often a node says that it came: it may hear the others somewhat later than they hear it."""

MAX_QUESTIONS: Final = 50
"""So many explanations are asked for at a time; who asks for one more is told that none is known."""

_RESPONSE_ID: Final = re.compile("resp_[0-9a-f]{24}")


class Board(Protocol):
    """What gossip needs of the board; `node` is the id of this node's boot."""

    node: str
    is_here: bool

    def tell(self, channel: str, message: bytes) -> None: ...

    def hear(self, channel: str, take: Callable[[bytes], None]) -> None: ...

    def when_here(self, act: Callable[[], None]) -> None: ...

    def beside(self, work: Callable[[], Coroutine[None, None, None]]) -> None: ...


class Gossip:
    """This node's part in what nodes tell each other, made before the board is opened.

    `health` and `affinity` are the joint ones, for routing. `forget` is given the ids of keys and accounts that were
    changed, `explain` that of a response and of the account that asks for its explanation. `relisted` is called when
    the store keeps another list of models.
    """

    def __init__(
        self,
        board: Board,
        known: Container[str],
        *,
        clock: Callable[[], float],
        retry_budget: float,
        hedges: float,
        forget: Callable[[Collection[str]], None],
        relisted: Callable[[], None],
        explain: Callable[[str, str], bytes | None],
        alarm: Callable[[str, str], None],
        round_s: float = ROUND_S,
    ) -> None:
        self.health = JointHealth(known, self._hurry, retry_budget=retry_budget, hedges=hedges)
        self.affinity = JointAffinity()
        self._board = board
        self._clock = clock
        self._alarm = alarm
        self._round_s = round_s
        self._forget = forget
        self._relisted = relisted
        self._explain = explain
        self._numbers = count(1)
        self._served_numbers: dict[str, int] = {}
        self._questions: dict[str, _Question] = {}
        self._is_hurried = False
        self._came_rounds = 0
        board.hear(messages.CHANNEL, self._take)
        board.hear(_answers_to(board.node), self._take)
        board.when_here(self._come)
        board.beside(self._tell_in_rounds)

    async def find_explanation(self, response_id: str, account_id: str) -> bytes | None:
        """Ask the other nodes for the explanation of an account's request; None where none of them knows it in time."""
        is_none = not self._board.is_here or _RESPONSE_ID.fullmatch(response_id) is None
        if is_none or len(self._questions) >= MAX_QUESTIONS:
            return None
        name = secrets.token_hex(8)
        question = self._questions[name] = _Question()
        asked = messages.Asked(self._board.node, name, response_id, account_id)
        self._board.tell(messages.CHANNEL, messages.encode(asked))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await question.answer
        except TimeoutError:
            return None
        finally:
            del self._questions[name]

    async def _tell_in_rounds(self) -> None:
        while True:
            await asyncio.sleep(self._round_s)
            try:
                self._tell_round()
            except Exception as error:  # a defect; the next round may be a better one
                self._alarm("gossip.failed", f"{type(error).__name__}: {error}")

    def _tell_round(self) -> None:
        now = self._clock()
        self.health.forget(now)
        if not self._board.is_here:
            return
        if self._came_rounds:
            self._came_rounds -= 1
            self._board.tell(messages.CHANNEL, messages.encode(messages.Came(self._board.node)))
        for message in messages.encode_health(self._board.node, self._numbers, self.health.tell(now)):
            self._board.tell(messages.CHANNEL, message)
        for message in messages.encode_served(self._board.node, self._numbers, self.affinity.tell()):
            self._board.tell(messages.CHANNEL, message)

    def _hurry(self) -> None:
        """Tell what is urgent when the present turn of the loop is over, for there may be more of it."""
        if not self._is_hurried:
            self._is_hurried = True
            asyncio.get_running_loop().call_soon(self._tell_urgent)

    def _tell_urgent(self) -> None:
        self._is_hurried = False
        told = self.health.tell_urgent(self._clock())
        for message in messages.encode_health(self._board.node, self._numbers, told):
            self._board.tell(messages.CHANNEL, message)

    def _come(self) -> None:
        self.health.retell()
        self._came_rounds = CAME_ROUNDS

    def _take(self, data: bytes) -> None:
        """Take a message. This node's own come back as well, and say nothing new to it."""
        message = messages.decode(data)
        match message:
            case messages.HealthTold():
                if message.node != self._board.node:
                    self.health.hear(message.node, message.number, message.told, self._clock())
            case messages.Served():
                self._take_served(message)
            case messages.Came():
                if message.node != self._board.node:
                    self.health.retell()
            case messages.Asked():
                self._answer(message)
            case messages.Explained():
                if (question := self._questions.get(message.name)) is not None:
                    question.take(message)
            case messages.Changed():
                self._forget(message.owner_ids)
            case messages.Relisted():
                self._relisted()
            case None:
                pass

    def _take_served(self, message: messages.Served) -> None:
        numbers = self._served_numbers
        if message.node == self._board.node or message.number <= numbers.get(message.node, 0):
            return
        numbers.pop(message.node, None)
        if len(numbers) >= MAX_NODES:
            del numbers[next(iter(numbers))]
        numbers[message.node] = message.number
        now = self._clock()
        for name, endpoint_id in messages.decode_served(message):
            self.affinity.hear(name, endpoint_id, now)

    def _answer(self, asked: messages.Asked) -> None:
        if asked.node == self._board.node:
            return
        text = self._explain(asked.response_id, asked.account_id)
        if text is not None:
            for message in messages.encode_explained(asked.name, text):
                self._board.tell(_answers_to(asked.node), message)


class _Question:
    """An explanation that is waited for, and the parts of it that have come."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._parts: dict[int, bytes] = {}

    def take(self, explained: messages.Explained) -> None:
        """Take a part; with the last that was missing the answer is there."""
        self._parts[explained.part] = explained.text
        if not self.answer.done() and all(part in self._parts for part in range(explained.parts)):
            self.answer.set_result(b"".join(self._parts[part] for part in range(explained.parts)))


def _answers_to(node: str) -> str:
    return f"{messages.CHANNEL}:{node}"
