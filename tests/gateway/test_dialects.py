"""What only some dialects can show end to end: one gateway with a provider of each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.checks import ask, error_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream, whole

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
"""

DEEP = b'{"zzz":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

DIALECTS = ("bfl", "images", "riverflow")


@pytest.fixture(scope="module")
def painters(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a provider `mock-<dialect>` and a model `mock/<dialect>` for each of `DIALECTS`."""
    config = CONFIG
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"mock-{dialect}", model=f"mock/{dialect}")
        config += 'output_modalities = ["image"]\n'
    with running(tmp_path_factory.mktemp("painters"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.mark.parametrize("dialect", DIALECTS)
def test_D1_a_deep_answer_is_the_providers_fault(
    dialect: str, painters: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(DEEP))
    for streams in (False, True):
        reply = painters.call(ask(f"mock/{dialect}", nonce, stream=streams, modalities=["image"]))
        error = error_of(reply, 502)
        assert error["metadata"]["attempts"][0]["provider"] == f"mock-{dialect}"
