"""One conversation through all doors and five providers: each gets back what it gave, as it gave it, and nobody else's.

The client asks each turn at another door and another provider than the turn before, and carries its history from one
API's form into the next (`doors.py`). Providers answer with thoughts, calls and words of a turn, which stand for
themselves: what each of them hears later is compared with what it and the others said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.doors import RESPONSES, SYSTEM, Call, Door, Piece, Result, Words, compact
from tests.gateway.proofs import STREAMS
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_quirks import as_toml
from tests.gateway.upstream import Script, Upstream, chunk, completion, stream, whole

Json = Any

DOORS = (RESPONSES,)
TURNS = 15
"""So that each provider is asked three times, and at each of three doors once."""

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


# What providers say in a turn


@dataclass(frozen=True)
class Said:
    """What an answer holds: a thought and its proof, words, and the arguments of calls."""

    turn: int

    @property
    def thought(self) -> str:
        return f"  Hm {self.turn} \u2013 \u201cu\u0308ber\u201d\n\n 3 < 4.\t"

    @property
    def proof(self) -> str:
        return f"cHJvb2Y{self.turn:03d}+/=="

    @property
    def words(self) -> str:
        return "" if self.has_calls else f"word-{self.turn}"

    @property
    def has_calls(self) -> bool:
        """Words end a question: every third turn."""
        return self.turn % 3 != 2

    @property
    def calls(self) -> list[tuple[str, Json]]:
        return (
            [(f"call_{self.turn}_{at}", {"at": f"ask-{self.turn}-{at}"}) for at in range(2)] if self.has_calls else []
        )


def claudes(said: Said) -> Json:
    calls = [{"type": "tool_use", "id": id, "name": "look", "input": asked} for id, asked in said.calls]
    text = [{"type": "text", "text": said.words}] if said.words else []
    thought = {"type": "thinking", "thinking": said.thought, "signature": said.proof}
    return [thought, *text, *calls]


def openais(said: Said) -> Json:
    thought = {
        "type": "reasoning",
        "id": f"rs_{said.turn}",
        "summary": [{"type": "summary_text", "text": said.thought}],
        "encrypted_content": said.proof,
    }
    calls = [
        {"type": "function_call", "call_id": id, "name": "look", "arguments": compact(asked)}
        for id, asked in said.calls
    ]
    text = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said.words}]}
    return [thought, *([text] if said.words else []), *calls]


def geminis(said: Said) -> Json:
    parts: list[Json] = [{"functionCall": {"name": "look", "args": asked}} for _, asked in said.calls]
    parts = parts or [{"text": said.words}]
    return [{**parts[0], "thoughtSignature": said.proof}, *parts[1:]]


def chats(said: Said, **thought: Json) -> Json:
    calls = [
        {"id": id, "type": "function", "function": {"name": "look", "arguments": compact(asked)}}
        for id, asked in said.calls
    ]
    return {"content": said.words or None, **thought, **({"tool_calls": calls} if calls else {})}


def relays(said: Said) -> Json:
    details = [
        {"type": "reasoning.text", "text": said.thought},
        {"type": "reasoning.encrypted", "data": said.proof, "id": f"theirs_{said.turn}"},
    ]
    return chats(said, reasoning_details=details)


def plain(said: Said) -> Json:
    return chats(said, reasoning_content=said.thought)


def messages_stream(body: Json) -> Script:
    events: list[Json] = [{"type": "message_start", "message": {**body, "content": []}}]
    for index, block in enumerate(body["content"]):
        (name, kind), *rest = STREAMED[block["type"]]
        value = compact(block[name]) if name == "input" else block[name]
        deltas = [{"type": f"{kind}_delta", MEMBER.get(name, name): each} for each in (value[:5], value[5:])]
        deltas += [{"type": f"{more}_delta", other: block[other]} for other, more in rest]
        empty = {member: {} if member == "input" else "" for member, _ in STREAMED[block["type"]]}
        events.append({"type": "content_block_start", "index": index, "content_block": {**block, **empty}})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": body["stop_reason"]}, "usage": body["usage"]})
    return stream([*events, {"type": "message_stop"}])


STREAMED = {
    "text": [("text", "text")],
    "thinking": [("thinking", "thinking"), ("signature", "signature")],
    "tool_use": [("input", "input_json")],
}
MEMBER = {"input": "partial_json"}


def chat_stream(message: Json) -> Script:
    chunks = [chunk(reasoning_details=[each]) for each in message.get("reasoning_details", ())]
    if thought := message.get("reasoning_content"):
        chunks += [chunk(reasoning_content=half) for half in (thought[:5], thought[5:])]
    if message["content"]:
        chunks.append(chunk(message["content"]))
    chunks += [chunk(tool_calls=[{"index": at, **call}]) for at, call in enumerate(message.get("tool_calls", ()))]
    return stream([*chunks, chunk(finish="tool_calls" if "tool_calls" in message else "stop"), "[DONE]"])


# Providers


@dataclass(frozen=True)
class Provider:
    """Who answers: what it says of a turn, in the form in which it wants that back, and where its history stands."""

    name: str
    dialect: str
    said: Callable[[Said], Json]
    answer: Callable[[Said], Json]
    history: str
    quirks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nonce(self) -> str:
        return f"nonce-talk-{self.name}"

    @property
    def model(self) -> str:
        return f"talk/{self.name}"

    def script(self, said: Said, streams: bool) -> Script:
        body = self.answer(said)
        if not streams:
            return whole(body)
        match self.dialect:
            case "chat":
                return chat_stream(self.said(said))
            case "messages":
                return messages_stream(body)
            case _:
                return STREAMS[self.dialect](body)

    def heard(self, body: bytes) -> list[bytes]:
        """Its history as it stands in a body, turn by turn, without marks for its cache."""
        whole = json.loads(body)
        told = [compact(each) for each in whole[self.history]]
        return [re.sub(r',"cache_control":\{[^}]*\}', "", each).encode() for each in told]

    def own(self, said: Said, heard: list[bytes]) -> bool:
        """Whether an answer of its own stands in its history as it gave it."""
        wanted = self.said(said)
        told = [json.loads(each) for each in heard]
        match self.dialect:
            case "messages" | "gemini":
                role, name = ("assistant", "content") if self.dialect == "messages" else ("model", "parts")
                return {"role": role, name: wanted} in told
            case "chat":
                return {"role": "assistant", **wanted} in told
            case _:
                known = [_without(each, "status", "annotations") for each in told]
                return any(known[at : at + len(wanted)] == wanted for at in range(len(known)))


def _without(value: Json, *names: str) -> Json:
    if isinstance(value, dict):
        return {name: _without(each, *names) for name, each in value.items() if name not in names}
    return [_without(each, *names) for each in value] if isinstance(value, list) else value


def _messages(said: Said) -> Json:
    reason = "tool_use" if said.has_calls else "end_turn"
    usage = {"input_tokens": 7, "output_tokens": 3}
    return {"type": "message", "role": "assistant", "content": claudes(said), "stop_reason": reason, "usage": usage}


def _gemini(said: Said) -> Json:
    parts = [{"text": said.thought, "thought": True}, *geminis(said)]
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}


def _chat(message: Json) -> Json:
    more = {name: value for name, value in message.items() if name != "content"}
    return completion(message["content"], "tool_calls" if "tool_calls" in message else "stop", **more)


PROVIDERS = (
    Provider("claude", "messages", claudes, _messages, "messages"),
    Provider(
        "openai",
        "responses",
        openais,
        lambda said: {"id": "resp_1", "status": "completed", "output": openais(said)},
        "input",
        {"reasoning_format": "openai-responses-v1"},
    ),
    Provider("gemini", "gemini", geminis, _gemini, "contents"),
    Provider(
        "relay",
        "chat",
        relays,
        lambda said: _chat(relays(said)),
        "messages",
        {"reasoning_replay": "reasoning_details"},
    ),
    Provider(
        "plain",
        "chat",
        plain,
        lambda said: _chat(plain(said)),
        "messages",
        {"reasoning_replay": "reasoning_content"},
    ),
)


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
@pytest.mark.parametrize("first", range(len(DOORS)), ids=[f"from {door.name}" for door in DOORS])
def test_a_conversation_keeps_every_thought_call_and_prefix_from_door_to_door(
    first: int, streams: bool, gateway: Gateway, upstream: Upstream
) -> None:
    talk, answers = Talk(gateway, upstream, streams), list[tuple[Provider, Said]]()
    bodies: dict[str, list[bytes]] = {}
    for turn in range(TURNS):
        door, provider, said = DOORS[(first + turn) % len(DOORS)], PROVIDERS[turn % len(PROVIDERS)], Said(turn)
        talk.go_on(turn)
        marks = talk.marks()
        body = talk.ask(door, provider, said)
        heard = provider.heard(body)
        where = (turn, door.name, provider.name)
        assert MARK.findall(b" ".join(heard).decode()) == marks, where
        for other, earlier in answers:
            if other is provider:
                assert provider.own(earlier, heard), (*where, earlier.turn, heard)
            else:
                assert earlier.proof.encode() not in body, (*where, earlier.turn)
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
