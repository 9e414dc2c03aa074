"""Calls of the client's tools in every dialect: calls that are cut, and histories of calls as clients send them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.calling import CALLINGS
from tests.gateway.checks import ask, events_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Script, Upstream, head, whole

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
[providers.fake-provider]
enabled = true
"""

DIALECTS = tuple(dialect for dialect in CALLINGS if dialect != "fake")
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)

TOOLS = [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]
DONE = {"response.function_call_arguments.done", "response.output_item.done"}


@pytest.fixture(scope="module")
def calling(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a model `mock/<dialect>` for each of `DIALECTS`."""
    config = CONFIG
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"mock-{dialect}", model=f"mock/{dialect}")
    with running(tmp_path_factory.mktemp("calling"), config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


class TestCutCalls:
    """F8: neither `done` event for a call that was cut, and no half of it in the output."""

    @pytest.mark.parametrize("share", [0, 0.5, 1], ids=["at its start", "in its middle", "at its end"])
    @pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if CALLINGS[dialect].before])
    def test_ST_07_a_stream_that_breaks_off_in_a_call(
        self, dialect: str, share: float, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        told = CALLINGS[dialect]
        upstream.play(nonce, Script([head(200, told.content_type), told.cut(int(len(told.pieces) * share))]))
        events = events_of(calling.call(ask(f"mock/{dialect}", nonce, stream=True, tools=TOOLS)), "failed")
        assert "response.output_item.added" in {event["type"] for event in events}
        assert not DONE & {event["type"] for event in events}
        assert events[-1]["response"]["output"] == []

    @pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if CALLINGS[dialect].closed])
    def test_a_stream_that_breaks_off_behind_a_call(
        self, dialect: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        told = CALLINGS[dialect]
        closed = told.cut(len(told.pieces)) + told.closed.replace(b'"incomplete"', b'"completed"')
        upstream.play(nonce, Script([head(200, told.content_type), closed]))
        events = events_of(calling.call(ask(f"mock/{dialect}", nonce, stream=True, tools=TOOLS)), "failed")
        assert [event["type"] for event in events[-3:-1]] == sorted(DONE)
        assert len(events[-1]["response"]["output"]) == 1

    @every_dialect
    def test_a_stream_whose_limit_comes_in_a_call(
        self, dialect: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        told = CALLINGS[dialect]
        limited = told.limited(len(told.pieces) // 2 if told.before else len(told.pieces))
        upstream.play(nonce, Script([head(200, told.content_type), limited]))
        events = events_of(calling.call(ask(f"mock/{dialect}", nonce, stream=True, tools=TOOLS)), "incomplete")
        assert not DONE & {event["type"] for event in events}
        assert events[-1]["response"]["output"] == []
        assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
        assert events[-1]["response"]["usage"]["output_tokens"] == 3

    @every_dialect
    def test_a_whole_answer_whose_limit_comes_in_a_call(
        self, dialect: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        upstream.play(nonce, whole(CALLINGS[dialect].body))
        response = response_of(calling.call(ask(f"mock/{dialect}", nonce, tools=TOOLS)), "incomplete")
        assert response["output"] == []
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}

    @pytest.mark.parametrize("pieces", [1, 3, 5])
    def test_a_call_of_the_fake_provider(self, pieces: int, calling: Gateway) -> None:
        said = f'!call get_weather {{"city":"Paris and a long name"}}\n!cut {pieces}'
        tools = [{**TOOLS[0], "name": "get_weather"}]
        events = events_of(calling.call(ask("fake/echo", said, stream=True, tools=tools)), "failed")
        assert "response.output_item.added" in {event["type"] for event in events}
        assert not DONE & {event["type"] for event in events}

    def test_a_whole_call_before_the_cut_one(self, calling: Gateway, upstream: Upstream, nonce: str) -> None:
        told = CALLINGS["messages"]
        first = told.cut(len(told.pieces)) + told.closed
        second = told.cut(len(told.pieces) // 2).replace(b'"index": 0', b'"index": 1').replace(b"toolu_1", b"toolu_2")
        upstream.play(nonce, Script([head(200, "text/event-stream"), first, second]))
        events = events_of(calling.call(ask("mock/messages", nonce, stream=True, tools=TOOLS)), "failed")
        added = [event["item"]["call_id"] for event in events if event["type"] == "response.output_item.added"]
        assert added == ["toolu_1", "toolu_2"]
        done = [event["item"]["call_id"] for event in events if event["type"] == "response.output_item.done"]
        assert done == ["toolu_1"] == [item["call_id"] for item in events[-1]["response"]["output"]]
