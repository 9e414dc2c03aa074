"""Providers that think aloud: what each says in a turn, and the same as it wants it back in a history.

An answer is a value of its turn, so that whatever a provider hears later can be compared with what was said. No test of
the gateway's own forms is in here, and no client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.gateway.doors import compact
from tests.gateway.proofs import STREAMS
from tests.gateway.upstream import Script, chunk, completion, stream, whole

Json = Any
Shape = Literal["plain", "hidden", "between"]


@dataclass(frozen=True)
class Said:
    """What an answer holds: thoughts and their proofs, words, and calls.

    `shape`: a thought that is told; thoughts of which there is nothing but the proof; words between thought and calls.
    """

    turn: int
    shape: Shape

    @property
    def thought(self) -> str:
        """What a client that trims, joins or normalizes would change."""
        return f"  Hm {self.turn} \u2013 \u201cu\u0308ber\u201d\n\n 3 < 4.\t"

    @property
    def stem(self) -> str:
        return f"cHJvb2Y{self.turn:03d}"

    def proof(self, number: int = 0) -> str:
        return f"{self.stem}+/{number}=="

    @property
    def words(self) -> str:
        return f"word-{self.turn}" if self.shape == "between" or not self.calls else ""

    @property
    def calls(self) -> list[tuple[str, Json]]:
        """Ids and arguments. Words alone end a question, every third turn."""
        if self.turn % 3 == 2 and self.shape != "between":
            return []
        return [(f"call_{self.turn}_{at}", {"at": f"ask-{self.turn}-{at}"}) for at in range(2)]


def claudes(said: Said) -> list[Json]:
    calls = [{"type": "tool_use", "id": id, "name": "look", "input": asked} for id, asked in said.calls]
    text = [{"type": "text", "text": said.words}] if said.words else []
    thought = {"type": "thinking", "thinking": said.thought, "signature": said.proof()}
    hidden = [
        {"type": "thinking", "thinking": "", "signature": said.proof()},
        {"type": "redacted_thinking", "data": said.proof(1)},
    ]
    return [*(hidden if said.shape == "hidden" else [thought]), *text, *calls]


def openais(said: Said) -> list[Json]:
    summary = [] if said.shape == "hidden" else [{"type": "summary_text", "text": said.thought}]
    thoughts = [
        {"type": "reasoning", "id": f"rs_{said.turn}_{at}", "summary": each, "encrypted_content": said.proof(at)}
        for at, each in enumerate([summary, []])
    ]
    calls = [
        {"type": "function_call", "call_id": id, "name": "look", "arguments": compact(asked)}
        for id, asked in said.calls
    ]
    if not said.words:
        return [thoughts[0], *calls]
    text = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": said.words}]}
    return [thoughts[0], text, *([thoughts[1], *calls] if calls else [])]


def geminis(said: Said) -> list[Json]:
    if said.shape == "hidden" and not said.calls:
        # Where it tells no thought, the proof of a text comes at the end of it.
        return [{"text": said.words}, {"text": "", "thoughtSignature": said.proof()}]
    calls: list[Json] = [{"functionCall": {"name": "look", "args": asked}} for _, asked in said.calls]
    parts = [{"text": said.words, "thoughtSignature": said.proof()}] if said.words else []
    return parts + [{**call, "thoughtSignature": said.proof(1)} if not at else call for at, call in enumerate(calls)]


def chats(said: Said, **thought: Json) -> Json:
    calls = [
        {"id": id, "type": "function", "function": {"name": "look", "arguments": compact(asked)}}
        for id, asked in said.calls
    ]
    return {"content": said.words or None, **thought, **({"tool_calls": calls} if calls else {})}


def relays(said: Said) -> Json:
    told = [] if said.shape == "hidden" else [{"type": "reasoning.text", "text": said.thought}]
    sealed = {"type": "reasoning.encrypted", "data": said.proof(), "id": f"theirs_{said.turn}"}
    return chats(said, reasoning_details=[*told, sealed])


def relayed_claudes(said: Said) -> Json:
    text = "" if said.shape == "hidden" else said.thought
    signed = {"type": "reasoning.text", "text": text, "signature": said.proof(), "format": "anthropic-claude-v1"}
    return chats(said, reasoning_details=[signed])


def plain(said: Said) -> Json:
    return chats(said, reasoning_content=said.thought)


def messages_stream(body: Json) -> Script:
    events: list[Json] = [{"type": "message_start", "message": {**body, "content": []}}]
    for index, block in enumerate(body["content"]):
        grown = STREAMED.get(block["type"], [])
        deltas: list[Json] = []
        for name, kind in grown:
            value = compact(block[name]) if name == "input" else block[name]
            halves = [value] if name == "signature" else [value[:5], value[5:]]
            deltas += [{"type": f"{kind}_delta", MEMBER.get(name, name): half} for half in halves]
        empty = {name: {} if name == "input" else "" for name, _ in grown}
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
    """Who answers: what it says of a turn, in the form in which it wants that back, and where its history stands.

    `reads` are those whose proofs it can read beside its own.
    """

    name: str
    dialect: str
    said: Callable[[Said], Json]
    answer: Callable[[Said], Json]
    history: str
    quirks: Mapping[str, Any] = field(default_factory=dict)
    reads: str = ""

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
    reason = "tool_use" if said.calls else "end_turn"
    usage = {"input_tokens": 7, "output_tokens": 3}
    return {"type": "message", "role": "assistant", "content": claudes(said), "stop_reason": reason, "usage": usage}


def _gemini(said: Said) -> Json:
    thought = [] if said.shape == "hidden" else [{"text": said.thought, "thought": True}]
    parts = [*thought, *geminis(said)]
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}


def _chat(message: Json) -> Json:
    more = {name: value for name, value in message.items() if name != "content"}
    return completion(message["content"], "tool_calls" if "tool_calls" in message else "stop", **more)


PROVIDERS = (
    Provider("claude", "messages", claudes, _messages, "messages", reads="relayed-claude"),
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
        "relayed-claude",
        "chat",
        relayed_claudes,
        lambda said: _chat(relayed_claudes(said)),
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
