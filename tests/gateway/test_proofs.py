"""Proofs of earlier thoughts: back to whoever gave them, byte for byte, and to nobody else, whatever a client forgot.

Every wire that has proofs answers with one, beside a call; the client replays what it got to every wire, as it came or
without the members that clients leave out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.gateway.checks import response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_quirks import as_toml
from tests.gateway.test_wire_requests import COHERE
from tests.gateway.upstream import Upstream, completion, whole

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""


@dataclass(frozen=True)
class Wire:
    """A wire with proofs: an answer that has one, `PROOF` in it, and a call. `family`: whose models it has."""

    id: str
    dialect: str
    answer: Mapping[str, Any]
    family: str = ""
    model: str = "wire"
    quirks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def provider(self) -> str:
        return f"proof-{self.id}"

    @property
    def proof(self) -> str:
        """Base64, as all proofs are, and unlike any other wire's."""
        return f"cHJvb2Y{self.id.replace('-', '')}00"

    def body(self) -> Any:
        return json.loads(json.dumps(self.answer).replace("PROOF", self.proof))


def messages(*blocks: Mapping[str, Any]) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    usage = {"input_tokens": 7, "output_tokens": 3}
    return {
        "type": "message",
        "role": "assistant",
        "content": [*blocks, call],
        "stop_reason": "tool_use",
        "usage": usage,
    }


def converse(*blocks: Mapping[str, Any]) -> dict[str, Any]:
    content = [*blocks, {"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}}]
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use", "usage": {}}


def chat(call: Mapping[str, Any], **message: Any) -> dict[str, Any]:
    function = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}, **call}
    return completion(None, "tool_calls", tool_calls=[function], **message)


RESPONSES = {
    "id": "resp_1",
    "status": "completed",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "PROOF"},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}"},
    ],
}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "PROOF"}
HIDDEN = {"type": "redacted_thinking", "data": "PROOF"}
SIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "PROOF"}}}
REDACTED = {"reasoningContent": {"redactedContent": "PROOF"}}
CALL = {"functionCall": {"name": "look", "args": {}}, "thoughtSignature": "PROOF"}
GEMINI = {"candidates": [{"content": {"role": "model", "parts": [CALL]}, "finishReason": "STOP"}]}
SEALED = {"type": "reasoning.encrypted", "data": "PROOF"}
SIGNED_TEXT = {"type": "reasoning.text", "text": "Hm.", "signature": "PROOF"}
DETAILS = {"reasoning_replay": "reasoning_details"}
FOREIGN = {"reasoning_replay": "reasoning_content"}
"""A host of other makers' models that speaks another dialect."""

WIRES = (
    Wire("responses", "responses", RESPONSES),
    Wire("azure", "responses", RESPONSES, quirks={"reasoning_format": "azure-openai-responses-v1"}),
    Wire("claude", "messages", messages(THOUGHT), "claude"),
    Wire("hidden", "messages", messages(HIDDEN), "claude"),
    Wire("stranger", "messages", messages(THOUGHT), quirks=FOREIGN),
    Wire("stranger-hidden", "messages", messages(HIDDEN), quirks=FOREIGN),
    Wire("bedrock", "converse", converse(SIGNED), "claude", "anthropic/wire"),
    Wire("bedrock-hidden", "converse", converse(REDACTED), "claude", "anthropic/wire"),
    Wire("nova", "converse", converse(SIGNED), quirks=FOREIGN),
    Wire("nova-hidden", "converse", converse(REDACTED), quirks=FOREIGN),
    Wire("gemini", "gemini", GEMINI, "gemini"),
    Wire(
        "gemini-chat",
        "chat",
        chat({"extra_content": {"google": {"thought_signature": "PROOF"}}}),
        "gemini",
        quirks={"reasoning_replay": "thought_signature"},
    ),
    Wire(
        "details",
        "chat",
        chat({}, reasoning_details=[{"type": "reasoning.encrypted", "data": "PROOF"}]),
        quirks=DETAILS,
    ),
    Wire(
        "details-signed",
        "chat",
        chat({}, reasoning_details=[{"type": "reasoning.text", "text": "Hm.", "signature": "PROOF"}]),
        quirks=DETAILS,
    ),
)

SILENT = (
    Wire("chat", "chat", chat({})),
    Wire("chat-text", "chat", chat({}), quirks={"reasoning_replay": "reasoning_content"}),
    Wire("cohere", "cohere", COHERE, quirks={"reasoning_replay": "reasoning_content"}),
    Wire("mistral", "mistral", chat({})),
)
"""Wires without proofs, to which nobody's may go."""

EVERYBODY = [*WIRES, *SILENT]

FORGOTTEN = {"nothing": (), "the format": ("format",), "format and signature": ("format", "signature")}
"""What a client leaves out: pydantic-ai and the AI SDK keep `encrypted_content` alone."""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG
    for wire in EVERYBODY:
        config += PROVIDER.format(name=wire.provider, dialect=wire.dialect, url=f"{upstream.url}/nonce-{wire.id}/v1")
        upstream.play(f"nonce-{wire.id}", whole(wire.body()))
        config += ENDPOINT.format(provider=wire.provider, model=model_of(wire))
        config += f"quirks = {as_toml(wire.quirks)}\n"
    with running(tmp_path_factory.mktemp("proofs"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def said(gateway: Gateway) -> dict[str, list[dict[str, Any]]]:
    """What each wire answered, as a client got it."""
    asked = {"input": "Look.", "tools": [TOOL], "reasoning": {"effort": "high"}}
    return {w.id: response_of(gateway.call({"model": model_of(w), **asked}))["output"] for w in WIRES}


def model_of(wire: Wire) -> str:
    return f"{wire.model}{'' if '/' in wire.model else '/x'}-{wire.id}"


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_client_gets_the_proof(wire: Wire, said: dict[str, list[dict[str, Any]]]) -> None:
    (thought, call) = said[wire.id]
    assert (thought["type"], call["type"]) == ("reasoning", "function_call")
    told = thought.get("encrypted_content") or thought["signature"]
    assert told.startswith(wire.proof)
    assert wire.family == "" or ".tl1." not in thought.get("signature", ""), "of these a signature comes as it is"


@pytest.mark.parametrize("forgotten", FORGOTTEN.values(), ids=FORGOTTEN.keys())
@pytest.mark.parametrize("target", EVERYBODY, ids=lambda wire: wire.id)
@pytest.mark.parametrize("issuer", WIRES, ids=lambda wire: wire.id)
def test_a_proof_goes_back_to_whoever_gave_it_and_to_nobody_else(
    issuer: Wire,
    target: Wire,
    forgotten: tuple[str, ...],
    gateway: Gateway,
    upstream: Upstream,
    said: dict[str, list[dict[str, Any]]],
) -> None:
    thought, call = said[issuer.id]
    kept = {name: value for name, value in thought.items() if name not in forgotten}
    dropped, sent = replay(gateway, upstream, target, kept, call)
    is_related = issuer is target or bool(issuer.family and issuer.family == target.family)
    if not (kept.get("encrypted_content") or kept.get("signature")):
        assert issuer.proof not in sent
        return
    is_named = bool(forgotten) and ".tl1." not in (kept.get("encrypted_content") or kept["signature"])
    assert (issuer.proof in sent) is (is_related and not is_named)
    assert ("input.reasoning" in dropped) is (issuer.proof not in sent)
    assert is_related or "Hm." not in sent


STRANGERS = {
    "an untagged blob": {"encrypted_content": "c3RyYW5nZXI="},
    "an untagged blob of nobody": {"encrypted_content": "c3RyYW5nZXI=", "format": "unknown"},
    "an untagged blob of OpenAI's": {"encrypted_content": "c3RyYW5nZXI=", "format": "openai-responses-v1"},
    "a signature": {"signature": "c3RyYW5nZXI="},
    "a signature of nobody": {"signature": "c3RyYW5nZXI=", "format": "unknown"},
    "a signature of xAI's": {"signature": "c3RyYW5nZXI=", "format": "xai-responses-v1"},
    "a blob with a tag that is none": {"encrypted_content": "c3RyYW5nZXI=.tl1.WzFd"},
}


@pytest.mark.parametrize("thought", STRANGERS.values(), ids=STRANGERS.keys())
@pytest.mark.parametrize("target", EVERYBODY, ids=lambda wire: wire.id)
def test_a_proof_of_which_nobody_says_whose_it_is_goes_nowhere(
    target: Wire, thought: Mapping[str, str], gateway: Gateway, upstream: Upstream
) -> None:
    summary = [{"type": "summary_text", "text": "Hm."}]
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
    dropped, sent = replay(gateway, upstream, target, {"type": "reasoning", "summary": summary, **thought}, call)
    assert "c3RyYW5nZXI" not in sent
    assert "Hm." not in sent
    assert "input.reasoning" in dropped


def replay(
    gateway: Gateway, upstream: Upstream, target: Wire, thought: Mapping[str, Any], call: Mapping[str, Any]
) -> tuple[str, str]:
    """What a client is told was lost, and what the target got."""
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Nothing."}
    asked = [{"role": "user", "content": "Look."}, thought, call, output]
    reply = gateway.call({"model": model_of(target), "input": asked, "tools": [TOOL]})
    sent = upstream.seen(f"nonce-{target.id}")[-1].text.decode()
    assert ".tl1." not in sent
    return reply.headers.get("x-trunkline-dropped", ""), sent
