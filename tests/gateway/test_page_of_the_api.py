"""The reference of the API says what is taken beside the document and what is not: each row, sent as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.checks import error_of, events_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Script, Upstream, chunk, head, sse

PAGE = (Path(__file__).parent.parent.parent / "docs/reference/api.md").read_text()
SECTION = PAGE.partition("## Where the gateway is wider")[2].partition("\n## ")[0]
WIDER, NARROWER = SECTION.split("\nRefused, though")


def rows(text: str) -> list[tuple[dict[str, Any], str]]:
    """The members of each row of a table, and its second column."""
    found = re.findall(r"^\| `(\{.*?\})` \| (.*?) \|", text, re.MULTILINE)
    return [(json.loads(members), second) for members, second in found]


def asked(gateway: Gateway, members: dict[str, Any], model: str) -> Any:
    return gateway.call({"model": model, "input": "Hi", **members})


@pytest.fixture(scope="module")
def chatty(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = '[server]\ngrace = "100 ms"\nkeep_alive = "100 ms"\n'
    config += PROVIDER.format(name="page", dialect="chat", url=f"{upstream.url}/page/v1")
    config += ENDPOINT.format(provider="page", model="page/chat")
    with running(tmp_path_factory.mktemp("page"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def test_both_tables_are_found() -> None:
    assert len(rows(WIDER)) == WIDER.count("\n| `{") >= 10
    assert len(rows(NARROWER)) == NARROWER.count("\n| `{") >= 10


@pytest.mark.parametrize(("members", "meaning"), rows(WIDER), ids=lambda value: str(value)[:40])
def test_what_the_page_says_is_taken_is_taken(members: dict[str, Any], meaning: str, chatty: Gateway) -> None:
    response_of(asked(chatty, members, "page/chat"))


@pytest.mark.parametrize(("members", "path"), rows(NARROWER), ids=lambda value: str(value)[:40])
def test_what_the_page_says_is_refused_is_refused(members: dict[str, Any], path: str, chatty: Gateway) -> None:
    error = error_of(asked(chatty, members, "page/chat"), 400)
    assert error["metadata"]["param"] == path.strip("`")


def test_what_an_early_head_lacks_is_told_afterwards(chatty: Gateway, upstream: Upstream, nonce: str) -> None:
    answer = sse([chunk("Hello."), chunk(finish="stop"), "[DONE]"])
    upstream.play(nonce, Script([0.5, head(200, "text/event-stream"), answer]))
    reply = chatty.call({"model": "page/chat", "input": nonce, "stream": True, "reasoning": {"summary": "auto"}})
    events_of(reply)
    assert "x-trunkline-dropped" not in reply.headers
    for name in ("x-request-id", "x-generation-id"):
        path = f"/api/v1/responses/{reply.headers[name]}/explanation"
        told = chatty.request("GET", path, headers={"authorization": f"Bearer {KEY}"}).json
        assert told["answered_by"] == "page:page/chat"
        assert told["dropped_parameters"] == ["reasoning.summary"]
