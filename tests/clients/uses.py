"""What a user does with a client, whichever it is: what the model plays for it, and what must come of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import PYTHON, python_required, required
from tests.clients.model import PAGES, Model, Part, Step, call, called, find, say
from tests.clients.running import run
from tests.clients.wires import Answer, Asked
from tests.gateway.server import KEY, Gateway
from tests.npm import Package

HERE = Path(__file__).parent

LONG = "Kites fly where the wind is steady. " * 4
WEATHER = {"city": "Oslo", "degrees": 4}
CITIES = ("Oslo", "Bergen", "Tromsø", "Rome")


@dataclass(frozen=True)
class Client:
    """A client, and what it does as no other. `keeps_proofs`: the thoughts go back with what proves them.

    `needs_words`: of an answer without a call it keeps the proof of a thought only if the thought can be read.
    `unknown` is what it makes of a model that is not there, `more` what it is used for besides what all are.
    """

    name: str
    unknown: Sequence[object]
    keeps_proofs: bool = True
    needs_words: bool = False
    more: Sequence[str] = ()


def given(client: Client) -> dict[str, object]:
    """What each use must give."""
    every: dict[str, object] = {
        "plain": "Hello.",
        "stream": LONG,
        "tools": ["Rain everywhere.", "Go to Rome."],
        "parse": WEATHER,
        "error": client.unknown,
    }
    others: dict[str, object] = {
        "streamed_parse": WEATHER,
        "search": [page.url for page in PAGES],
        "count": True,
        "models": True,
    }
    return every | {use: others[use] for use in client.more}


def uses(*clients: Client) -> list[Any]:
    """A parameter for each use of each client."""
    return [pytest.param(client, use, id=f"{client.name}-{use}") for client in clients for use in given(client)]


def steps(use: str, wire: str) -> list[Step]:
    """What the model does in a use."""
    match use:
        case "plain":
            return [say("Hello.")]
        case "stream":
            return [say(LONG)]
        case "tools":
            oslo, rome = call("get_weather", city="Oslo"), call("get_weather", city="Rome")
            return [oslo, _look_at_two, say("Rain everywhere."), rome, say("Go to Rome.")]
        case "parse" | "streamed_parse":
            return [_fill_in]
        case "search":
            return searching("kites", wire)
        case _:
            return []


def searching(query: str, wire: str) -> list[Step]:
    """A search: by the provider, or on a wire that has none by the gateway, for which the model calls it."""
    if wire == "chat":
        return [call("web_search", query=query), say("Found kites.")]
    return [find(query, "Found kites.")]


def _look_at_two(asked: Asked) -> Answer:
    return Answer("Two more.", [called(asked, "get_weather", city=city) for city in CITIES[1:3]])


def _fill_in(asked: Asked) -> Answer:
    """Say what the schema wants, or call the tool that an SDK has made of it."""
    if "json" in asked.offers:
        return Answer(calls=[called(asked, "json", **WEATHER)])
    return Answer(json.dumps(WEATHER))


Told = Mapping[str, Mapping[str, Mapping[str, tuple[object, str]]]]
"""What each use of each client gave on each wire, and how it failed."""


class Uses:
    """Clients that have done on each wire what a user does, all in one process for each program."""

    def __init__(self, model: Model, gateway: Gateway, folder: Path, wires: Sequence[str]) -> None:
        self._model, self._gateway, self._folder, self._wires = model, gateway, folder, wires
        self._parts: dict[tuple[str, str, str], Part] = {}
        self._told: dict[str, Mapping[str, Mapping[str, tuple[object, str]]]] = {}

    def add_python(self, program: Path, *clients: Client, python: Path = PYTHON) -> None:
        python_required(python)
        self._add([str(python), str(program)], clients)

    def add_node(self, program: Path, package: Package, *clients: Client) -> None:
        if reason := package.absence():
            required(reason)
        self._add(["node", str(program)], clients)

    def _add(self, command: list[str], clients: Sequence[Client]) -> None:
        for client in clients:
            for wire in self._wires:
                for use in given(client):
                    nonce = f"nonce-{client.name}-{wire}-{use}".replace("_", "-")
                    self._parts[client.name, wire, use] = self._model.play_part(nonce, *steps(use, wire))
        names = ",".join(client.name for client in clients)
        ran = run([*command, f"{self._gateway.url}/api", KEY, names, *self._wires], self._folder)
        assert ran.code == 0, ran.err
        self._told |= json.loads(ran.out)

    def check(self, client: Client, wire: str, use: str) -> None:
        """Whether the use gave what it must, and the provider was asked what was meant."""
        found, failure = self._told[client.name][wire][use]
        assert failure == "", [failure, self._model.take_faults()]
        assert found == given(client)[use]
        part = self._parts[client.name, wire, use]
        assert not part.steps
        if use == "tools":
            self._check_loop(client, wire, part)

    def _check_loop(self, client: Client, wire: str, part: Part) -> None:
        done = part.asked[-1].calls
        assert [each.arguments for each in done] == [{"city": city} for city in CITIES]
        for city, each in zip(CITIES, done, strict=True):
            assert f"Rain in {city}" in (each.output or "")
        # The thoughts of the responses wire are sealed whole, and its third answer has no call.
        lost = part.proofs[2:3] if client.needs_words and wire == "responses" else []
        for number, asked in enumerate(part.asked):
            kept = [proof for proof in part.proofs[:number] if proof not in lost]
            assert asked.proofs == (kept if client.keeps_proofs else [])
