"""Every wire that has proofs of thoughts, with an answer of each: as a whole body, and as the same in a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.gateway.test_wire_answers import framed
from tests.gateway.test_wire_requests import COHERE
from tests.gateway.upstream import Script, chunk, completion, head, stream, whole

Json = Any

THOUGHT = 'Hm \u2013  "u\u0308ber"\n\n  3 < 4.\t\n'
"""What a client that trims, joins or normalizes would change."""

STEM = "cHJvb2Y"
"""How every proof begins."""


@dataclass(frozen=True)
class Wire:
    """A wire with proofs, and an answer that holds some: each `PROOF` becomes another one.

    `family`: whose thoughts it answers with. `is_relay`: it serves many makers, and takes back only what it gave.
    """

    id: str
    dialect: str
    answer: Json
    family: str = ""
    model: str = "wire"
    quirks: Mapping[str, Any] = field(default_factory=dict)
    is_relay: bool = False

    @property
    def provider(self) -> str:
        return f"proof-{self.id}"

    @property
    def slug(self) -> str:
        return f"{self.model}{'' if '/' in self.model else '/x'}-{self.id}"

    @property
    def nonce(self) -> str:
        return f"nonce-{self.id}"

    @property
    def body(self) -> Json:
        """The answer; its proofs are unlike any other wire's."""
        name = self.id.replace("-", "")
        first, *rest = json.dumps(self.answer).split("PROOF")
        return json.loads(first + "".join(f"{STEM}{name}{at:02d}{part}" for at, part in enumerate(rest)))

    @property
    def proofs(self) -> list[str]:
        return [text for text in strings(self.body) if text.startswith(STEM)]

    @property
    def carriers(self) -> list[dict[str, str]]:
        """The objects that hold a proof: all texts in them, in the order they stand."""
        return [found for found in objects(self.body) if any(text.startswith(STEM) for text in found.values())]

    @property
    def has_text(self) -> bool:
        """Whether its issuer wants the text of a thought back, and not its proof alone."""
        return self.dialect not in ("responses", "gemini") and THOUGHT in strings(self.body)

    def readable(self, issuer: Wire) -> list[str]:
        """The proofs of an answer of `issuer` that this wire takes back."""
        if self is issuer:
            return self.proofs
        if not issuer.family or issuer.family != self.family or self.is_relay:
            return []
        # In a chat only calls are signed.
        signed = [found for found in issuer.carriers if self.dialect == "chat" and "text" in found]
        return [proof for proof in issuer.proofs if proof not in [found.get("thoughtSignature") for found in signed]]

    def script(self, streams: bool) -> Script:
        return STREAMS[self.dialect](self.body) if streams else whole(self.body)


def strings(value: Json) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(inner)


def objects(value: Json) -> Iterator[dict[str, str]]:
    """All objects in a JSON value, of each the members that are texts."""
    if isinstance(value, dict):
        yield {name: inner for name, inner in value.items() if isinstance(inner, str)}
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


# Answers


def messages(*blocks: Json) -> Json:
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    usage = {"input_tokens": 7, "output_tokens": 3}
    content = [*blocks, call]
    return {"type": "message", "role": "assistant", "content": content, "stop_reason": "tool_use", "usage": usage}


def converse(*blocks: Json) -> Json:
    content = [*blocks, {"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}}]
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use", "usage": {}}


def gemini(*parts: Json) -> Json:
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}


def responses(*thoughts: Json) -> Json:
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}"}
    return {"id": "resp_1", "status": "completed", "output": [*thoughts, call]}


def chat(*calls: Json, **message: Any) -> Json:
    functions = [
        {"id": f"call_{at}", "type": "function", "function": {"name": "look", "arguments": "{}"}, **call}
        for at, call in enumerate(calls or [{}])
    ]
    return completion(message.pop("content", None), "tool_calls", tool_calls=functions, **message)


THINKING = {"type": "thinking", "thinking": THOUGHT, "signature": "PROOF"}
REDACTED = {"type": "redacted_thinking", "data": "PROOF"}
WITHHELD = {"type": "thinking", "thinking": "", "signature": "PROOF"}
SIGNED_THERE = {"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": "PROOF"}}}
REDACTED_THERE = {"reasoningContent": {"redactedContent": "PROOF"}}
SEALED = {
    "type": "reasoning",
    "id": "rs_theirs",
    "summary": [{"type": "summary_text", "text": THOUGHT}],
    "encrypted_content": "PROOF",
}
THOUGHT_PART = {"text": THOUGHT, "thought": True}
SIGNED_CALL = {"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "PROOF"}
PARALLEL_CALL = {"functionCall": {"name": "look", "args": {"at": 2}}}
SIGNED_TEXT = {"text": "Looking.", "thoughtSignature": "PROOF"}
SIGNED_ENTRY = {"type": "reasoning.text", "text": THOUGHT, "signature": "PROOF"}
SEALED_ENTRY = {"type": "reasoning.encrypted", "data": "PROOF", "id": "theirs"}
CLAUDES = {"format": "anthropic-claude-v1"}
OPENAIS = {"format": "openai-responses-v1"}
DETAILS = {"reasoning_replay": "reasoning_details"}
FOREIGN = {"reasoning_replay": "reasoning_content"}
"""A host of other makers' models that speaks another dialect."""

WIRES = (
    Wire("responses", "responses", responses(SEALED)),
    Wire("azure", "responses", responses(SEALED), quirks={"reasoning_format": "azure-openai-responses-v1"}),
    Wire(
        "xai", "responses", responses(SEALED, {**SEALED, "id": "rs_2"}), quirks={"reasoning_format": "xai-responses-v1"}
    ),
    Wire("claude", "messages", messages(THINKING, REDACTED, WITHHELD), "claude"),
    Wire("hidden", "messages", messages(REDACTED), "claude"),
    Wire("stranger", "messages", messages(THINKING), quirks=FOREIGN),
    Wire("stranger-hidden", "messages", messages(REDACTED), quirks=FOREIGN),
    Wire("bedrock", "converse", converse(SIGNED_THERE, REDACTED_THERE), "claude", "anthropic/wire"),
    Wire("nova", "converse", converse(SIGNED_THERE), quirks=FOREIGN),
    Wire("nova-hidden", "converse", converse(REDACTED_THERE), quirks=FOREIGN),
    Wire("gemini", "gemini", gemini(THOUGHT_PART, SIGNED_CALL, PARALLEL_CALL), "gemini"),
    Wire("gemini-text", "gemini", gemini(THOUGHT_PART, SIGNED_TEXT, SIGNED_CALL), "gemini"),
    Wire(
        "gemini-chat",
        "chat",
        chat({"extra_content": {"google": {"thought_signature": "PROOF"}}}, {}),
        "gemini",
        quirks={"reasoning_replay": "thought_signature"},
    ),
    Wire("details", "chat", chat(reasoning_details=[SEALED_ENTRY, SEALED_ENTRY]), quirks=DETAILS, is_relay=True),
    Wire("details-signed", "chat", chat(reasoning_details=[SIGNED_ENTRY]), quirks=DETAILS, is_relay=True),
    Wire(
        "details-claude",
        "chat",
        chat(reasoning_details=[SIGNED_ENTRY | CLAUDES, SEALED_ENTRY | CLAUDES, SIGNED_ENTRY | CLAUDES]),
        "claude",
        quirks=DETAILS,
        is_relay=True,
    ),
    Wire("details-openai", "chat", chat(reasoning_details=[SEALED_ENTRY | OPENAIS]), quirks=DETAILS, is_relay=True),
    Wire(
        "mistral",
        "mistral",
        chat(content=[{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}], "signature": "PROOF"}]),
        quirks=DETAILS,
    ),
)

DEAF = (
    Wire("deaf", "chat", chat(reasoning_details=[SIGNED_ENTRY, SEALED_ENTRY])),
    Wire("deaf-text", "chat", chat(reasoning_details=[SIGNED_ENTRY, SEALED_ENTRY]), quirks=FOREIGN),
)
"""Wires that give proofs and have no words to take them back in."""

COHERES = Wire("cohere", "cohere", COHERE, quirks=FOREIGN)
"""A wire without proofs, to which nobody's may go."""

EVERYBODY = [*WIRES, *DEAF, COHERES]


# The same in a stream


def halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def _messages(body: Json) -> Script:
    events: list[Json] = [{"type": "message_start", "message": {**body, "content": []}}]
    for index, block in enumerate(body["content"]):
        deltas: list[Json] = []
        start = dict(block)
        if block["type"] == "thinking":
            start |= {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": half} for half in halves(block["thinking"])]
            deltas += [{"type": "signature_delta", "signature": block["signature"]}]
        elif block["type"] == "tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": "{}"}]
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": body["stop_reason"]}, "usage": body["usage"]})
    return stream([*events, {"type": "message_stop"}])


def _converse(body: Json) -> Script:
    events: list[tuple[str, Json]] = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(body["output"]["message"]["content"]):
        at = {"contentBlockIndex": index}
        deltas: list[Json] = []
        if "toolUse" in block:
            tool = block["toolUse"]
            start = {"toolUse": {"toolUseId": tool["toolUseId"], "name": tool["name"]}}
            events.append(("contentBlockStart", {**at, "start": start}))
            deltas = [{"toolUse": {"input": "{}"}}]
        elif text := block["reasoningContent"].get("reasoningText"):
            told = [{"text": half} for half in halves(text["text"])]
            deltas = [{"reasoningContent": piece} for piece in (*told, {"signature": text["signature"]})]
        else:
            deltas = [block]
        events += [("contentBlockDelta", {**at, "delta": delta}) for delta in deltas]
        events.append(("contentBlockStop", at))
    events += [("messageStop", {"stopReason": body["stopReason"]}), ("metadata", {"usage": {}})]
    data = b"".join(framed(name, json.dumps(event)) for name, event in events)
    return Script([head(200, "application/vnd.amazon.eventstream"), data])


def _gemini(body: Json) -> Script:
    (candidate,) = body["candidates"]
    parts = candidate["content"]["parts"]
    told: list[Json] = [{"candidates": [{"content": {"role": "model", "parts": [part]}}]} for part in parts]
    return stream([*told, {"candidates": [{"finishReason": "STOP"}]}])


def _responses(body: Json) -> Script:
    events: list[Json] = []
    for index, item in enumerate(body["output"]):
        begun = {**item, "arguments": ""} if item["type"] == "function_call" else {**item, "encrypted_content": "half"}
        events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    return stream([*events, {"type": "response.completed", "response": body}])


def _chat(body: Json) -> Script:
    message = body["choices"][0]["message"]
    details, calls, content = (message.get(name) or [] for name in ("reasoning_details", "tool_calls", "content"))
    chunks = [chunk(reasoning_details=[piece]) for detail in details for piece in _pieces(detail)]
    chunks += [{"choices": [{"index": 0, "delta": {"content": [part]}}]} for part in content]
    chunks += [chunk(tool_calls=[{"index": index, **call}]) for index, call in enumerate(calls)]
    return stream([*chunks, chunk(finish="tool_calls"), "[DONE]"])


def _pieces(detail: Json) -> Iterable[Json]:
    """As Claude's are sent on: the text in pieces, its signature last."""
    if "signature" not in detail:
        return [detail]
    named = {name: value for name, value in detail.items() if name in ("type", "format")}
    return [*({**named, "text": half} for half in halves(detail["text"])), {**named, "signature": detail["signature"]}]


STREAMS = {
    "messages": _messages,
    "converse": _converse,
    "gemini": _gemini,
    "responses": _responses,
    "chat": _chat,
    "mistral": _chat,
}
