"""A model that plays a part: for each request it looks at what is offered and what came back, and takes its next step.

It stands behind the wires of four providers at once, on the scripted provider of the other end-to-end tests, and is the
gateway's search engine too.
"""

from __future__ import annotations

import itertools
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from jsonschema_rs import validator_for

from tests.clients.wires import WIRES, Answer, Asked, Call, Page, Search, Wire
from tests.gateway.upstream import NONCE, Script, Seen, Upstream, head, sse, whole

Step = Callable[[Asked], Answer]


@dataclass
class Part:
    """What the model does in one conversation: its steps, one a request, and the requests that it has got."""

    steps: list[Step]
    asked: list[Asked] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)


class Model(Upstream):
    """The scripted model. A conversation is known by the first nonce in its requests."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: dict[str, Part] = {}
        self._numbers = itertools.count(1)
        self.faults: list[str] = []

    def play_part(self, nonce: str, *steps: Step) -> Part:
        part = self._parts[nonce] = Part(list(steps))
        return part

    def take_faults(self) -> list[str]:
        """What went otherwise than the script says since this was asked last."""
        faults, self.faults = self.faults, []
        return faults

    def _script(self, request: Seen) -> Script:
        try:
            return self._next(request)
        except Exception:
            self.faults.append(traceback.format_exc(limit=-4))
            # No client asks again after this status, so that a test that has failed ends soon.
            return whole({"error": {"message": "The script did not foresee this."}}, 400)

    def _next(self, request: Seen) -> Script:
        if request.path.startswith("/exa/"):
            return whole(FOUND)
        if request.path.endswith("/count_tokens"):
            return whole({"input_tokens": 42})
        wire = WIRES[request.path.split("/")[1]]
        found = NONCE.search(request.text)
        assert found, f"a request of no test: {request.text[:2000]!r}"
        part = self._parts[found.group().decode()]
        body = request.json
        part.bodies.append(body)
        part.heads.append(request.headers)
        asked = wire.read(body)
        part.asked.append(asked)
        assert part.steps, f"a request after the last step: {asked.words[-1:]} {asked.calls[-1:]}"
        answer = self._numbered(part.steps.pop(0)(asked), wire, part)
        is_stream = body.get("stream") or "streamGenerateContent" in request.path
        if not is_stream:
            return whole(wire.whole(answer, asked))
        return Script([head(200, "text/event-stream"), sse(wire.stream(answer, asked))])

    def _numbered(self, answer: Answer, wire: Wire, part: Part) -> Answer:
        """Give each call an id of its own, and each answer of a wire that has proofs a proof of its own."""
        calls = [Call(call.name, call.arguments, f"toolu_{next(self._numbers)}") for call in answer.calls]
        if not wire.has_proofs:
            return replace(answer, calls=calls)
        part.proofs.append(f"cHJvb2Y{next(self._numbers):08d}+/abcd==")
        return replace(answer, calls=calls, proof=part.proofs[-1])


PAGES = (Page("Kites", "https://kites.example/a"), Page("More kites", "https://kites.example/b"))
"""What every search finds."""

FOUND = {"results": [{"title": page.title, "url": page.url, "text": "Kites fly."} for page in PAGES]}
"""The same in the words of the gateway's search engine."""


def say(text: str) -> Step:
    """Say this and nothing more."""
    return lambda asked: Answer(text)


def find(query: str, text: str) -> Step:
    """Search, as providers do that can, and say this of what was found."""
    return lambda asked: Answer(text, search=Search(query, PAGES))


def call(tool: str, **arguments: Any) -> Step:
    """Call a tool that is offered under this name, or under this one behind that of its namespace."""
    return lambda asked: Answer(calls=[called(asked, tool, **arguments)])


def called(asked: Asked, tool: str, **arguments: Any) -> Call:
    """The call of a tool, whose arguments its schema must take."""
    name = offered(asked, tool)
    validator_for(asked.offers[name]).validate(json.loads(json.dumps(arguments)))
    return Call(name, arguments)


def offered(asked: Asked, tool: str) -> str:
    """The name under which a tool is offered."""
    names = [name for name in asked.offers if name == tool or name.endswith(f"_{tool}")]
    assert len(names) == 1, f"{tool} is offered {len(names)} times in {sorted(asked.offers)}"
    return names[0]
