"""What providers do with prompts, as shipped and as the operator says, decides whom a request may reach."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.server import Gateway, running
from tests.gateway.upstream import Upstream, completion, whole

pytestmark = pytest.mark.usefixtures("nothing_left")

CONFIG = """
[providers.deepinfra]
dialect = "chat"
base_url = "{url}/v1"
api_key = {{ env = "MOCK_KEY" }}
[providers.novita]
dialect = "chat"
base_url = "{url}/v1"
api_key = {{ env = "MOCK_KEY" }}
[providers.perplexity]
dialect = "chat"
base_url = "{url}/v1"
api_key = {{ env = "MOCK_KEY" }}
data_policy = {{ trains = false }}
"""

WISHES: dict[str, dict[str, Any]] = {"deny": {"data_collection": "deny"}, "zdr": {"zdr": True}}

_calls = itertools.count(1)


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("policies"), CONFIG.format(url=upstream.url), MOCK_KEY="k") as server:
        yield server


@pytest.mark.parametrize(
    ("provider", "model", "deny", "zdr"),
    [
        pytest.param("deepinfra", "google/gemma-3-27b-it", 200, 200, id="a document says so"),
        pytest.param("deepinfra", "google/gemini-2.5-pro", 404, 404, id="the document leaves these models out"),
        pytest.param("novita", "deepseek/deepseek-v3.2", 404, 404, id="no document was found"),
        pytest.param("perplexity", "perplexity/sonar", 200, 200, id="a document and the operator say so"),
        pytest.param("perplexity", "nvidia/nemotron-3.5-super-120b-a12b", 200, 404, id="only the operator says so"),
    ],
)
def test_only_what_is_said_of_a_model_counts(
    gateway: Gateway, upstream: Upstream, provider: str, model: str, deny: int, zdr: int
) -> None:
    assert _ask(gateway, upstream, provider, model, {}) == 200
    assert _ask(gateway, upstream, provider, model, WISHES["deny"]) == deny
    assert _ask(gateway, upstream, provider, model, WISHES["zdr"]) == zdr


def test_a_listing_of_providers_names_document_and_day(gateway: Gateway) -> None:
    listed = {each["slug"]: each["data_policy"] for each in gateway.request("GET", "/api/v1/providers").json["data"]}
    assert listed["deepinfra"]["sources"] == ["https://docs.deepinfra.com/account/data-privacy"]
    assert listed["deepinfra"]["seen"] == "2026-11-27"
    assert (listed["novita"]["training"], listed["novita"]["sources"], listed["novita"]["seen"]) == (None, [], None)


def _ask(gateway: Gateway, upstream: Upstream, provider: str, model: str, wishes: dict[str, Any]) -> int:
    nonce = f"nonce-policy-{next(_calls)}"
    upstream.play(nonce, whole(completion("Hello.")))
    return gateway.call({"model": model, "input": nonce, "provider": {"only": [provider], **wishes}}).status
