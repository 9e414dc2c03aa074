"""A made-up provider takes only lines in trunkline.toml: the example of docs/how-to/add-a-provider.md, run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI
from openrouter import OpenRouter

from tests.gateway.server import KEY, Gateway, running
from tests.gateway.upstream import Upstream

PAGE = Path(__file__).parent.parent.parent / "docs/how-to/add-a-provider.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway with the page's first two examples, of which only the address is another."""
    config = "\n".join(EXAMPLES[:2]).replace("https://api.acme.example", f"{upstream.url}/acme")
    with running(tmp_path_factory.mktemp("added"), config, ACME_API_KEY="sk-acme") as server:
        yield server


def test_the_example_answers_and_costs_what_it_says(gateway: Gateway, upstream: Upstream) -> None:
    reply = gateway.call({"model": "acme/rocket-1", "input": "nonce-added", "provider": {"only": ["Acme Cloud"]}})
    assert reply.status == 200
    assert reply.json["output"][0]["content"][0]["text"] == "Hello."
    assert reply.json["usage"]["cost"] == pytest.approx((7 * 0.40 + 3 * 1.60) / 1e6)
    (seen,) = upstream.seen("nonce-added", "acme")
    assert seen.path == "/acme/v1/chat/completions"
    assert seen.headers["authorization"] == "Bearer sk-acme"
    assert seen.json["model"] == "rocket-1-large"


def test_public_clients_see_it(gateway: Gateway) -> None:
    with OpenRouter(api_key=KEY, server_url=gateway.url + "/api/v1") as client:
        models = {model.id: model for model in client.models.list().data}
        assert models["acme/rocket-1"].pricing.prompt == "0.0000004"
        endpoints = client.endpoints.list(author="acme", slug="rocket-1").data.endpoints
        assert [end.provider_name for end in endpoints] == ["Acme Cloud"]
        assert [provider.slug for provider in client.providers.list().data] == ["acme"]
        assert client.models.count().data.count == len(models) == 2
    with OpenAI(api_key=KEY, base_url=gateway.url + "/api/v1") as openai:
        assert {model.id for model in openai.models.list()} == set(models)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/capabilities?model=acme/rocket-1", 200),
        ("/api/v1/capabilities?model=ACME/Rocket-1", 200),
        ("/api/v1/capabilities", 400),
        ("/api/v1/capabilities?model=acme/nothing", 404),
        ("/api/v1/models/acme/rocket-1/endpoints", 200),
        ("/api/v1/models/openai/gpt-5-mini/endpoints", 404),
        ("/api/v1/models/acme/a/b/c/endpoints", 404),
    ],
)
def test_what_is_asked_of_the_catalog_is_answered(gateway: Gateway, path: str, status: int) -> None:
    reply = gateway.request("GET", path)
    assert reply.status == status, reply.body
    if status == 200 and "capabilities" in path:
        (entry,) = reply.json["data"]
        assert entry["parameters"]["tools"] is True
        assert entry["parameters"]["top_k"] is False
    if status == 404:
        assert reply.json["error"]["code"] == 404


def test_the_other_examples_are_settings_too(upstream: Upstream, tmp_path: Path) -> None:
    quirky = EXAMPLES[2].replace("[providers.acme]\n", "")
    first = EXAMPLES[0].replace("https://api.acme.example", f"{upstream.url}/acme")
    config = first.replace("[[endpoints]]", quirky + "\n[[endpoints]]")
    with running(tmp_path, config, ACME_API_KEY="sk-acme") as gateway:
        assert gateway.call({"model": "acme/rocket-1", "input": "nonce-quirky", "max_output_tokens": 20}).status == 200
    (seen,) = upstream.seen("nonce-quirky")
    assert (seen.headers["x-api-key"], seen.headers["x-team"]) == ("sk-acme", "research")
    assert seen.json["max_completion_tokens"] == 20
