"""Every request in `tests/wire_requests/`, as a client sends it to the running gateway and as each provider gets it.

A case is one file whose name says what it is; to add one needs no code here. TOML:

    source   the public report or document, and when it was seen
    request  what the client sends beside the model, as JSON
    sent     a list: the `dialect`, the `quirks` of the endpoint where it has some, its `prompt_caching` (off, where a
             case is not about that), and `body`, those fields of the provider's request that matter, as JSON, each of
             which must be exactly so; null where it must be missing
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_quirks import ANSWERS, CONFIG, as_toml
from tests.gateway.upstream import Upstream, completion, whole

FOLDER = Path(__file__).parent.parent / "wire_requests"
CASES = {path.stem: tomllib.loads(path.read_text()) for path in sorted(FOLDER.glob("*.toml"))}
SENT = [(name, number) for name, case in CASES.items() for number in range(len(case["sent"]))]

COHERE = {
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
    "finish_reason": "COMPLETE",
}
WHOLE: dict[str, Any] = {**ANSWERS, "mistral": completion(), "cohere": COHERE}


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One provider for each dialect, and a model `wire/<number>` for each entry of `SENT`."""
    config = CONFIG
    for dialect in sorted(WHOLE):
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
    for number, (name, place) in enumerate(SENT):
        sent = CASES[name]["sent"][place]
        config += ENDPOINT.format(provider=f"wire-{sent['dialect']}", model=f"wire/{number}")
        config += f"quirks = {as_toml(sent.get('quirks', {}))}\n"
        config += f'prompt_caching = "{sent.get("prompt_caching", "off")}"\n'
    with running(tmp_path_factory.mktemp("wires"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.mark.parametrize("number", range(len(SENT)), ids=[f"{name}-{place}" for name, place in SENT])
def test_a_provider_gets_what_the_case_expects(number: int, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    name, place = SENT[number]
    case, sent = CASES[name], CASES[name]["sent"][place]
    assert case.keys() == {"source", "request", "sent"}
    assert sent.keys() <= {"dialect", "quirks", "prompt_caching", "body"}
    assert "https://" in case["source"]
    upstream.play(nonce, whole(WHOLE[sent["dialect"]]))
    assert "NONCE" in case["request"], "by it the provider knows which request it is"
    reply = gateway.call({"model": f"wire/{number}", **json.loads(case["request"].replace("NONCE", nonce))})
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    assert re.fullmatch(r"trunkline/\d+\.\d+\.\d+", seen.headers["user-agent"])
    expected = json.loads(sent["body"].replace("NONCE", nonce))
    assert {field: seen.json.get(field) for field in expected} == expected
