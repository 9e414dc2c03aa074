"""When a provider is asked to cache a prompt, in every dialect and as an operator sets it.

Where in a request the marks stand is told by `tests/wire_requests/cache-marks*.toml`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_quirks import CONFIG, TOOL
from tests.gateway.test_supports import TOLD
from tests.gateway.upstream import Upstream, whole

MARKED = ("converse", "messages")
"""The dialects that have marks; the other providers cache by themselves, or never."""

SETTINGS: Mapping[str, tuple[str | None, str | None]] = {
    "plain": (None, None),
    "auto": ("auto", None),
    "on_key": ("on_key", None),
    "off": ("off", None),
    "auto at an endpoint": ("off", "auto"),
    "on_key at an endpoint": (None, "on_key"),
    "off at an endpoint": ("on_key", "off"),
}
"""What is set: at the provider, and at its endpoint."""

USER = {"role": "user", "content": "NONCE"}
SAID = {"role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}
CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "Nothing."}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
REQUESTS: Mapping[str, dict[str, Any]] = {
    "one shot": {"instructions": "Be brief.", "input": [USER], "tools": [TOOL]},
    "several messages of the user": {"input": [USER, {"role": "developer", "content": "Be brief."}, USER]},
    "an earlier search alone": {"input": [USER, SEARCH, USER]},
    "one shot with a key": {"input": [USER], "prompt_cache_key": "talk"},
    "an answer": {"input": [USER, SAID, USER]},
    "an answer begun": {"input": [USER, SAID]},
    "a result": {"input": [USER, CALL, RESULT], "tools": [TOOL]},
    "an answer with a key": {"input": [USER, SAID, USER], "prompt_cache_key": "talk"},
}
GOES_ON = {"an answer", "an answer begun", "a result"}


def is_expected(setting: str, request: str) -> bool:
    """The decision, as the settings' reference tells it."""
    provider, endpoint = SETTINGS[setting]
    match endpoint or provider or "auto":
        case "auto":
            return request in GOES_ON or request.endswith("key")
        case "on_key":
            return request.endswith("key")
        case _:
            return False


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A provider and a model `<number>/<dialect>` for each of `SETTINGS` and each dialect, `refuses/<dialect>` too."""
    config = CONFIG
    for number, (provider, endpoint) in enumerate(SETTINGS.values()):
        for dialect in TOLD if number == 0 else MARKED:
            name = f"{dialect}-{number}"
            config += PROVIDER.format(name=name, dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
            config += f'prompt_caching = "{provider}"\n' if provider else ""
            config += ENDPOINT.format(provider=name, model=f"{number}/{dialect}")
            config += f'prompt_caching = "{endpoint}"\n' if endpoint else ""
            config += "quirks = { has_cache_points = true }\n"
    for dialect in MARKED:
        config += ENDPOINT.format(provider=f"{dialect}-0", model=f"refuses/{dialect}")
        config += 'quirks = { has_cache_points = true, drops = ["prompt_cache_key"] }\n'
    with running(tmp_path_factory.mktemp("caching"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def asked(gateway: Gateway, upstream: Upstream, nonce: str, model: str, request: dict[str, Any]) -> tuple[int, str]:
    """Ask, and tell how many marks the provider saw and which parameters the client hears were dropped."""
    dialect = model.partition("/")[2]
    upstream.play(nonce, whole(TOLD[dialect]))
    reply = gateway.call(json.dumps({"model": model, **request}).replace("NONCE", nonce).encode())
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    marks = seen.body.count(b'"cache_control":{"type":"ephemeral"}') + seen.body.count(b'"cachePoint":{')
    return marks, reply.headers.get("x-trunkline-dropped", "")


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("dialect", MARKED)
def test_marks_are_set_as_the_operator_says(
    dialect: str, setting: str, request_name: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    request = REQUESTS[request_name]
    model = f"{list(SETTINGS).index(setting)}/{dialect}"
    marks, dropped = asked(gateway, upstream, nonce, model, request)
    assert marks == (1 + ("tools" in request) if is_expected(setting, request_name) else 0)
    is_lost = "prompt_cache_key" in request and not marks
    assert dropped == ("prompt_cache_key" if is_lost else "")


@pytest.mark.parametrize("dialect", sorted(TOLD.keys() - set(MARKED) - {"bfl"}))
def test_no_other_dialect_has_marks(dialect: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    assert asked(gateway, upstream, nonce, f"0/{dialect}", REQUESTS["a result"]) == (0, "")


@pytest.mark.parametrize("dialect", MARKED)
def test_an_endpoint_that_refuses_the_key_gets_no_marks(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    assert asked(gateway, upstream, nonce, f"refuses/{dialect}", REQUESTS["a result"]) == (0, "")
    key = {"prompt_cache_key": "talk"}
    more = asked(gateway, upstream, f"{nonce}-key", f"refuses/{dialect}", REQUESTS["a result"] | key)
    assert more == (0, "prompt_cache_key")


@pytest.mark.parametrize("dialect", MARKED)
def test_of_the_four_marks_that_claude_takes_three_are_set_however_long_the_talk(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    talk = {"instructions": "Be brief.", "input": [*[USER, SAID] * 9, USER], "tools": [TOOL, {**TOOL, "name": "see"}]}
    assert asked(gateway, upstream, nonce, f"0/{dialect}", talk) == (3, "")
