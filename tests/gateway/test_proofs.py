"""Proofs of earlier thoughts: back to whoever gave them, byte for byte, and to nobody else, whatever a client forgot.

Every wire that has proofs answers with some, beside calls; the client replays what it got to every wire, as it came or
without the members that clients leave out. What real clients keep is in docs/decisions/0048.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from tests.gateway.checks import events_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.proofs import DEAF, EVERYBODY, STEM, THOUGHT, WIRES, Wire, objects, strings
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_quirks import as_toml
from tests.gateway.upstream import Upstream
from trunkline.stream.seals import Seal, read_redacted, read_thinking, seal, sign, thought_item, unseal

Item = dict[str, Any]

INSIDE = THOUGHT[8:-8]

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
ASKED = {"input": "Look.", "tools": [TOOL], "reasoning": {"effort": "high"}}

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG
    for wire in EVERYBODY:
        config += PROVIDER.format(name=wire.provider, dialect=wire.dialect, url=f"{upstream.url}/{wire.nonce}/v1")
        config += ENDPOINT.format(provider=wire.provider, model=wire.slug)
        config += f"quirks = {as_toml(wire.quirks)}\n"
    with running(tmp_path_factory.mktemp("proofs"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def said(gateway: Gateway, upstream: Upstream) -> dict[str, list[Item]]:
    """What each wire answered, as a client got it."""
    found: dict[str, list[Item]] = {}
    for wire in EVERYBODY:
        upstream.play(wire.nonce, wire.script(streams=False))
        found[wire.id] = response_of(gateway.call({"model": wire.slug, **ASKED}))["output"]
    return found


# What a client gets


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_client_gets_every_proof_in_encrypted_content(wire: Wire, said: dict[str, list[Item]]) -> None:
    proved = [item for item in said[wire.id] if "encrypted_content" in item]
    assert [item["encrypted_content"].partition(".tl1.")[0] for item in proved] == wire.proofs
    for item, proof in zip(proved, wire.proofs, strict=True):
        assert item["type"] == "reasoning"
        signature = item.get("signature", proof)
        is_bare = item["format"] in ("anthropic-claude-v1", "google-gemini-v1")
        assert signature == proof if is_bare else signature.startswith(proof)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_stream_tells_the_same_proofs(
    wire: Wire, gateway: Gateway, upstream: Upstream, said: dict[str, list[Item]]
) -> None:
    upstream.play(wire.nonce, wire.script(streams=True))
    events = events_of(gateway.call({"model": wire.slug, **ASKED, "stream": True}))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [without_ids(item) for item in done] == [without_ids(item) for item in said[wire.id]]


def without_ids(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in ("id", "call_id")}


# What goes back


def kept(*names: str) -> Callable[[Item], Item]:
    """A client that keeps these members of a thought."""
    return lambda item: {name: value for name, value in item.items() if name in ("type", *names)}


def moved(item: Item) -> Item:
    """A client that shows what was thought as its summary, trimmed."""
    text = "".join(part["text"] for part in [*item.get("content", []), *item["summary"]]).strip()
    return {**kept("id", "encrypted_content")(item), "summary": [{"type": "summary_text", "text": text}]}


def told(item: Item) -> tuple[Seal, str, bool]:
    """A proof as it is told where there is one place for it, the text beside it, and whether that is a summary."""
    origin = unseal(item["encrypted_content"])
    assert origin is not None
    text = "".join(part["text"] for part in [*item.get("content", []), *item["summary"]])
    is_bound = origin.endpoint_id.startswith("proof-details")
    return replace(origin, packed=None, is_bound=is_bound), text, "content" not in item


def as_block(item: Item) -> Item:
    """A client of Messages, which keeps the block that it got."""
    origin, text, _ = told(item)
    is_hidden = not text and not origin.signature
    found = read_redacted(sign(origin, is_data=True)) if is_hidden else read_thinking(text, sign(origin))
    return cast("Item", to_builtins(found))


def as_detail(item: Item) -> Item:
    """A client of Chat Completions, which keeps the details that it got."""
    origin, text, is_summary = told(item)
    proof = {"data": sign(origin, is_data=True)} if origin.blob else {"signature": sign(origin)}
    texts = ("", (text,)) if is_summary and text else (text, ())
    return cast("Item", to_builtins(thought_item(texts[0], summary=texts[1], form=item["format"], **proof)))


KEPT: dict[str, Callable[[Item], Item]] = {
    "everything": dict,
    "no format and no signature": kept("id", "summary", "content", "encrypted_content"),
    "no content either": kept("id", "summary", "encrypted_content"),
    "the text elsewhere": moved,
    "encrypted_content alone": kept("encrypted_content"),
    "a block of Messages": as_block,
    "details of a chat": as_detail,
    "a format that is another's": lambda item: {**item, "format": "xai-responses-v1", "signature": "c3RyYW5nZXI="},
}


WHOLE = ("everything", "encrypted_content alone", "a block of Messages", "details of a chat")


@pytest.mark.parametrize("keep", KEPT.values(), ids=KEPT.keys())
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_proof_goes_back_to_whoever_gave_it_as_it_came(
    wire: Wire, keep: Callable[[Item], Item], gateway: Gateway, upstream: Upstream, said: dict[str, list[Item]]
) -> None:
    dropped, sent = replay(gateway, upstream, wire, said[wire.id], keep)
    assert [found for found in objects(sent) if STEM in "".join(found.values())] == wire.carriers
    assert THOUGHT in strings(sent) or not wire.has_text
    assert "input.reasoning" not in dropped


@pytest.mark.parametrize("keep", [KEPT[each] for each in WHOLE], ids=WHOLE)
@pytest.mark.parametrize("issuer", WIRES, ids=lambda wire: wire.id)
def test_a_proof_goes_to_everybody_who_has_the_model_and_to_nobody_else(
    issuer: Wire, keep: Callable[[Item], Item], gateway: Gateway, upstream: Upstream, said: dict[str, list[Item]]
) -> None:
    for target in EVERYBODY:
        dropped, sent = replay(gateway, upstream, target, said[issuer.id], keep)
        found = [text for text in strings(sent) if STEM in text]
        assert found == target.readable(issuer), target.id
        assert ("input.reasoning" in dropped) is (found != issuer.proofs), target.id
        if found:
            assert THOUGHT in strings(sent) or not issuer.has_text, target.id
        else:
            assert not any(INSIDE in text for text in strings(sent)), target.id


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_model_goes_on_thinking_where_its_proof_came_back(
    wire: Wire, gateway: Gateway, upstream: Upstream, said: dict[str, list[Item]]
) -> None:
    """Claude refuses to think in a turn that does not begin with its thought."""
    thinking = {"reasoning": {"effort": "high"}}
    dropped, sent = replay(gateway, upstream, wire, said[wire.id], kept("encrypted_content"), **thinking)
    assert "reasoning" not in dropped.split(", ")
    if wire.family == "claude" and not wire.is_relay:
        asked = sent["thinking"] if wire.dialect == "messages" else sent["additionalModelRequestFields"]["thinking"]
        assert asked["type"] == "enabled"


@pytest.mark.parametrize("wire", DEAF, ids=lambda wire: wire.id)
def test_a_proof_for_which_a_wire_has_no_words_is_named(
    wire: Wire, gateway: Gateway, upstream: Upstream, said: dict[str, list[Item]]
) -> None:
    dropped, sent = replay(gateway, upstream, wire, said[wire.id], dict)
    assert not any(STEM in text for text in strings(sent))
    assert (THOUGHT in strings(sent)) is (wire.id == "deaf-text")
    assert "input.reasoning" in dropped


@pytest.mark.parametrize("wire", [wire for wire in WIRES if not wire.is_relay], ids=lambda wire: wire.id)
def test_a_signature_alone_goes_back_as_ever(
    wire: Wire, gateway: Gateway, upstream: Upstream, said: dict[str, list[Item]]
) -> None:
    keep = kept("id", "summary", "content", "signature", "format")
    _, sent = replay(gateway, upstream, wire, said[wire.id], keep)
    signed = [item["signature"].partition(".tl1.")[0] for item in said[wire.id] if "signature" in item]
    assert [text for text in strings(sent) if STEM in text] == signed


# What is no proof, or no longer one


def bent(change: Callable[[str], str]) -> Callable[[Item], Item]:
    """A client, or whoever it is, that changes the blob and keeps all else."""
    return lambda item: {**item, "encrypted_content": change(item["encrypted_content"])}


def forged(endpoint_id: str, form: str = "") -> Callable[[str], str]:
    return lambda text: seal(Seal(endpoint_id=endpoint_id, blob=text.partition(".tl1.")[0], form=form))


SPOILT: dict[str, Callable[[str], str]] = {
    "cut at its end": lambda text: text[:-1],
    "cut in its tag": lambda text: text[: text.index(".tl1.") + 20],
    "cut at the mark": lambda text: text[: text.index(".tl1.") + 5],
    "cut at its beginning": lambda text: text[4:],
    "without a proof": lambda text: text[text.index(".tl1.") :],
    "changed by a letter": lambda text: text.replace(STEM, "cHJvb2X", 1),
    "with a wrong tag": lambda text: f"{text.partition('.tl1.')[0]}.tl1.WzFd",
    "with a tag that is no base64": lambda text: f"{text.partition('.tl1.')[0]}.tl1.%%%.00000000",
    "with a deep tag": lambda text: f"{text.partition('.tl1.')[0]}.tl1.{'W1tb' * 20_000}.00000000",
    "joined with another": lambda text: text + text,
    "of a provider that is gone": forged("retired:wire/x"),
    "of OpenAI's that is gone": forged("retired:wire/x", "openai-responses-v1"),
    "of nobody": forged(""),
    "in a format that nobody knows": forged("retired:wire/x", "anything-v9"),
}


@pytest.mark.parametrize("change", SPOILT.values(), ids=SPOILT.keys())
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_proof_that_is_none_any_more_goes_nowhere(
    wire: Wire, change: Callable[[str], str], gateway: Gateway, upstream: Upstream, said: dict[str, list[Item]]
) -> None:
    dropped, sent = replay(gateway, upstream, wire, said[wire.id], bent(change))
    assert not any(f"{wire.id.replace('-', '')}0" in text or INSIDE in text for text in strings(sent))
    assert "input.reasoning" in dropped


STRANGERS = {
    "an untagged blob": {"encrypted_content": "c3RyYW5nZXI="},
    "an untagged blob of nobody": {"encrypted_content": "c3RyYW5nZXI=", "format": "unknown"},
    "an untagged blob of OpenAI's": {"encrypted_content": "c3RyYW5nZXI=", "format": "openai-responses-v1"},
    "a signature": {"signature": "c3RyYW5nZXI="},
    "a signature of nobody": {"signature": "c3RyYW5nZXI=", "format": "unknown"},
    "a signature of xAI's": {"signature": "c3RyYW5nZXI=", "format": "xai-responses-v1"},
}


@pytest.mark.parametrize("thought", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_proof_of_which_nobody_says_whose_it_is_goes_nowhere(
    thought: Mapping[str, str], gateway: Gateway, upstream: Upstream, said: dict[str, list[Item]]
) -> None:
    summary = [{"type": "summary_text", "text": "Hm."}]
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
    for target in EVERYBODY:
        history: list[Item] = [{"type": "reasoning", "summary": summary, **thought}, call]
        dropped, sent = replay(gateway, upstream, target, history, dict)
        assert not any("c3RyYW5nZXI" in text or "Hm." in text for text in strings(sent)), target.id
        assert "input.reasoning" in dropped, target.id


def replay(
    gateway: Gateway, upstream: Upstream, target: Wire, output: list[Item], keep: Callable[[Item], Item], **more: Any
) -> tuple[str, Any]:
    """What a client is told was lost, and what the target got of an answer whose thoughts were kept so."""
    history = [keep(item) if item["type"] == "reasoning" else item for item in output]
    calls = [item["call_id"] for item in output if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": call, "output": "Nothing."} for call in calls]
    asked = [{"role": "user", "content": "Look."}, *history, *results]
    upstream.play(target.nonce, target.script(streams=False))
    reply = gateway.call({"model": target.slug, "input": asked, "tools": [TOOL], **more})
    response_of(reply)
    seen = upstream.last(target.nonce)
    assert b".tl1." not in seen.body
    return reply.headers.get("x-trunkline-dropped", ""), seen.json
