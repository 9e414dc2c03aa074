"""Every answer in `tests/wire_answers/`, as a provider gives it and as a client of the running gateway gets it.

A case is one file whose name says what it is; to add one needs no code here. TOML:

    source   the public report or document, and when it was seen
    dialect  the provider's wire
    quirks   what differs at the endpoint, where something does
    request  what is asked beside the model, as JSON (default: a short text)
    answer   status and headers, and the bytes: `body` as it is, or `frames` of AWS's binary events, each a name and
             its JSON. A `status` of 200 and the media type of the dialect's stream are the default
    expect   how it ends (`status`, default completed) and what the client gets: `output`, an item a line; `usage`,
             those counts of it that matter; `code`, of the error in a failed response; `error`, the HTTP status where
             there is no answer, and `error_type`; `asks_next` where the answer must be the next provider's

The answer is asked for streamed and whole, and both must come to the same. One that breaks off is asked for whole once
more, with a next provider: a client that was told nothing yet gets that one's answer.
"""

from __future__ import annotations

import json
import struct
import tomllib
from binascii import crc32
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.checks import error_of, events_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_quirks import as_toml
from tests.gateway.upstream import Script, Upstream, head

FOLDER = Path(__file__).parent.parent / "wire_answers"
CASES = {path.stem: tomllib.loads(path.read_text()) for path in sorted(FOLDER.glob("*.toml"))}

ASKED = [(name, streams) for name in CASES for streams in (True, False)]
BROKEN = [name for name, case in CASES.items() if case["expect"].get("status") == "failed"]

KEYS = {"source", "dialect", "quirks", "request", "answer", "expect"}
ANSWER_KEYS = {"status", "headers", "body", "frames"}
EXPECT_KEYS = {"status", "output", "usage", "code", "error", "error_type", "asks_next"}

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""

NEXT = "next: Hello."
"""What the next provider's ordinary answer looks like here."""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """For each case a model `wire/<number>` at a provider of its own, and at one more that answers well."""
    config = CONFIG + PROVIDER.format(name="next", dialect="chat", url=f"{upstream.url}/next/v1")
    for number, case in enumerate(CASES.values()):
        name, model = f"wire-{number}", f"wire/{number}"
        config += PROVIDER.format(name=name, dialect=case["dialect"], url=f"{upstream.url}/nonce-wire-{number}/v1")
        config += ENDPOINT.format(provider=name, model=model) + f"quirks = {as_toml(case.get('quirks', {}))}\n"
        config += ENDPOINT.format(provider="next", model=model)
    with running(tmp_path_factory.mktemp("wires"), config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.mark.parametrize(
    ("name", "streams"), ASKED, ids=[f"{name}{'' if streams else ' (whole)'}" for name, streams in ASKED]
)
def test_a_client_gets_what_the_case_expects(name: str, streams: bool, gateway: Gateway, upstream: Upstream) -> None:
    case, number = CASES[name], [*CASES].index(name)
    assert case.keys() <= KEYS
    assert case["answer"].keys() <= ANSWER_KEYS
    assert case["expect"].keys() <= EXPECT_KEYS
    assert "https://" in case["source"]
    expect = case["expect"]
    upstream.play(f"nonce-wire-{number}", script(case["dialect"], case["answer"]))
    asks_next = expect.get("asks_next", False)
    asked = {"input": "Say hello.", **json.loads(case.get("request", "{}"))}
    order = (
        {"order": [f"wire-{number}", "next"], "allow_fallbacks": True} if asks_next else {"only": [f"wire-{number}"]}
    )
    reply = gateway.call({"model": f"wire/{number}", **asked, "stream": streams, "provider": order})
    assert upstream.seen(f"nonce-wire-{number}"), "the provider was not asked"
    if "error" in expect:
        error = error_of(reply, expect["error"])
        assert error["metadata"]["error_type"] == expect.get("error_type", error["metadata"]["error_type"])
        return
    status = expect.get("status", "completed")
    response = events_of(reply, status)[-1]["response"] if streams else response_of(reply, status)
    assert [line(item) for item in response["output"]] == ([NEXT[6:]] if asks_next else expect["output"])
    told = {count: response["usage"][count] for count in expect.get("usage", {})}
    assert told == expect.get("usage", {})
    assert (response["error"] or {}).get("code") == expect.get("code", "server_error" if status == "failed" else None)


@pytest.mark.parametrize("name", BROKEN)
def test_a_client_that_was_told_nothing_yet_gets_the_answer_of_the_next_provider(
    name: str, gateway: Gateway, upstream: Upstream
) -> None:
    case, number = CASES[name], [*CASES].index(name)
    upstream.play(f"nonce-wire-{number}", script(case["dialect"], case["answer"]))
    asked = {"input": "Say hello.", **json.loads(case.get("request", "{}"))}
    reply = gateway.call({"model": f"wire/{number}", **asked, "provider": {"order": [f"wire-{number}", "next"]}})
    assert [line(item) for item in response_of(reply)["output"]] == [NEXT[6:]]
    assert upstream.seen(f"nonce-wire-{number}")


def script(dialect: str, answer: Mapping[str, Any]) -> Script:
    """What the provider sends."""
    headers = {"content-type": "application/vnd.amazon.eventstream" if "frames" in answer else "text/event-stream"}
    headers |= {key.lower(): value for key, value in answer.get("headers", {}).items()}
    body = b"".join(framed(*frame) for frame in answer["frames"]) if "frames" in answer else answer["body"].encode()
    begun = head(answer.get("status", 200), headers.pop("content-type"), **headers)
    return Script([begun, body])


def framed(name: str, data: str) -> bytes:
    """One event in AWS's binary framing."""
    headers = _header(":event-type", name) + _header(":message-type", "event")
    prelude = struct.pack("!II", 16 + len(headers) + len(data.encode()), len(headers))
    unsealed = prelude + struct.pack("!I", crc32(prelude)) + headers + data.encode()
    return unsealed + struct.pack("!I", crc32(unsealed))


def _header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()


def line(item: Mapping[str, Any]) -> str:
    """An output item in a line: a text as it is, a thought in brackets, a call as it would be written."""
    match item["type"]:
        case "message":
            return "".join(part.get("text", part.get("refusal", "")) for part in item["content"])
        case "reasoning":
            thought = "".join(part["text"] for part in [*item.get("content", ()), *item["summary"]])
            proof = item.get("signature") or item.get("encrypted_content")
            return f"[{thought}]" + (f" sealed {item['format']}" if proof else "")
        case "function_call":
            return f"{item['name']}({item['arguments']})"
        case other:
            return str(other)
