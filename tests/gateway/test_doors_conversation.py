"""One conversation through all doors and six providers: each gets back what it gave, as it gave it, and nobody else's.

The client asks each turn at another door and another provider than the turn before, and carries its history from one
API's form into the next (`doors.py`). What each provider hears is compared with what it and the others said before
(`speakers.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import pytest

from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.doors import CHAT, MESSAGES, RESPONSES, SYSTEM, Call, Door, Piece, Result, Words, compact
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.speakers import PROVIDERS, Provider, Said, Shape
from tests.gateway.test_quirks import as_toml
from tests.gateway.upstream import Upstream

Json = Any

DOORS = (RESPONSES, CHAT, MESSAGES)
WAYS = tuple(permutations(DOORS))
"""Ways through the doors; a history that one cannot keep comes to each of the others."""

SHAPES: tuple[Shape, ...] = ("plain", "hidden", "between", "plain")
"""Of the answers of each round, in which all providers are asked once, each at another door than the round before."""

TOOL = {
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
}

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG
    for each in PROVIDERS:
        url = f"{upstream.url}/{each.nonce}/v1"
        config += PROVIDER.format(name=f"talk-{each.name}", dialect=each.dialect, url=url)
        config += ENDPOINT.format(provider=f"talk-{each.name}", model=each.model)
        config += f"quirks = {as_toml(each.quirks)}\n"
    with running(tmp_path_factory.mktemp("talk"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


# The conversation


@dataclass
class Talk:
    """A conversation: what the client keeps, and what each provider heard."""

    gateway: Gateway
    upstream: Upstream
    streams: bool
    history: list[Piece] = field(default_factory=list)
    heard: dict[str, list[bytes]] = field(default_factory=dict)

    def ask(self, door: Door, provider: Provider, said: Said) -> bytes:
        """Have a turn answered; gives what the provider was sent."""
        self.upstream.play(provider.nonce, provider.script(said, self.streams))
        body = {**door.write(provider.model, self.history, TOOL), "stream": self.streams}
        reply = self.gateway.call(compact(body).encode(), path=door.path)
        self.history += door.told(reply)
        return self.upstream.last(provider.nonce).body

    def go_on(self, turn: int) -> None:
        """What the client says before a turn: its question, or what the calls of the last one gave."""
        asked = [piece for piece in self.history if isinstance(piece, Call)]
        answered = {piece.id for piece in self.history if isinstance(piece, Result)}
        open_calls = [call for call in asked if call.id not in answered]
        self.history += [Result(call.id, json.loads(call.arguments)["at"].replace("ask", "got")) for call in open_calls]
        if not open_calls:
            self.history.append(Words("user", f"user-{turn}"))

    def marks(self) -> list[str]:
        """What was said so far, but for thoughts, in order."""
        return MARK.findall(" ".join(map(repr, self.history)))


MARK = re.compile(r"(?:user|word|ask|got)-\d+(?:-\d+)?")


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("doors", WAYS, ids=[", ".join(door.name for door in way) for way in WAYS])
def test_a_conversation_keeps_every_thought_call_and_prefix_from_door_to_door(
    doors: Sequence[Door], streams: bool, gateway: Gateway, upstream: Upstream
) -> None:
    talk, answers = Talk(gateway, upstream, streams), list[tuple[Provider, Said]]()
    bodies: dict[str, list[bytes]] = {}
    for turn in range(len(SHAPES) * len(PROVIDERS)):
        round, place = divmod(turn, len(PROVIDERS))
        door, provider = doors[(round + turn) % len(doors)], PROVIDERS[place]
        said = Said(turn, SHAPES[round])
        talk.go_on(turn)
        marks = talk.marks()
        body = talk.ask(door, provider, said)
        heard = provider.heard(body)
        where = (turn, door.name, provider.name)
        assert MARK.findall(b" ".join(heard).decode()) == marks, where
        for other, earlier in answers:
            if other is provider:
                assert provider.own(earlier, heard), (*where, earlier.turn, heard)
            elif other.name != provider.reads:
                assert earlier.stem.encode() not in body, (*where, earlier.turn)
        assert b"tl1." not in body, where
        assert SYSTEM.encode() in body, where
        for before in bodies.get(provider.name, ()):
            assert_goes_on(provider, before, body, where)
        bodies.setdefault(provider.name, []).append(body)
        answers.append((provider, said))


def assert_goes_on(provider: Provider, before: bytes, body: bytes, where: object) -> None:
    """A provider's cache holds what was sent before: all that stands before the end of the history is the same."""
    earlier, now = provider.heard(before), provider.heard(body)
    assert now[: len(earlier)] == earlier, where
    for name in ("system", "instructions", "systemInstruction", "tools"):
        assert prefix(before, name) == prefix(body, name), (where, name)


def prefix(body: bytes, name: str) -> str:
    """A member that stands before the history in a prompt; a text is the same there as a list with it alone."""
    value = json.loads(body).get(name)
    told = [{"type": "text", "text": value}] if isinstance(value, str) else value
    return re.sub(r',"cache_control":\{[^}]*\}', "", compact(told))
