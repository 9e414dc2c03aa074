"""Searches that the gateway makes: several turns of a model as one answer, what they cost, and what goes wrong."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tests.document import validate_event
from tests.gateway.checks import IN_ORDER, ask, events_of, response_of
from tests.gateway.conftest import CONFIG, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.upstream import Script, Seen, Upstream, chunk, completion, stream, usage_chunk, whole

Json = Any

PRICES = {"mock-a": ("1", "2"), "mock-b": ("3", "5")}
"""USD per million tokens, in and out."""

SEARCH_PRICE = "0.007"
ENDPOINT = """
[[endpoints]]
provider = "{name}"
model = "mock/two"
upstream_model = "gpt-x"
price = {{ input = "{into}", output = "{out}" }}
context_tokens = 128000
max_output_tokens = 4000
"""
SEARCH = """
[search.exa]
kind = "exa"
base_url = "{url}/exa"
api_key = {{ env = "EXA_KEY" }}
price = "{price}"
timeout = "1500 ms"
"""
TOOL = {"type": "web_search"}
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
_numbers = itertools.count()


def config(url: str, more: str = "") -> str:
    providers = "".join(
        PROVIDER.format(name=name, dialect="chat", url=f"{url}/{name[-1]}/v1")
        + ENDPOINT.format(name=name, into=into, out=out)
        for name, (into, out) in PRICES.items()
    )
    return CONFIG + providers + SEARCH.format(url=url, price=SEARCH_PRICE) + more


@pytest.fixture(scope="module")
def house(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("search-loop")
    with running(
        folder, config(upstream.url), is_measured=True, MOCK_KEY=PROVIDER_KEY, EXA_KEY=PROVIDER_KEY
    ) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def strict(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose answers fail with their searches, and that searches for every request."""
    more = '[plugins]\ndefaults = ["web"]\n[plugins.web]\non_failure = "fail"\n'
    folder = tmp_path_factory.mktemp("search-strict")
    with running(folder, config(upstream.url, more), MOCK_KEY=PROVIDER_KEY, EXA_KEY=PROVIDER_KEY) as gateway:
        yield gateway


@pytest.fixture
def mark() -> str:
    return f"nonce-loop-{next(_numbers)}"


class Scene:
    """A model at two providers and a search engine, scripted for one request."""

    def __init__(self, house: Gateway, upstream: Upstream, mark: str, *, credit: int | None = 10**12) -> None:
        self.gateway, self.upstream, self.mark = house, upstream, mark
        self.store = Store(house, house.log.with_name("trunkline.db"))
        self.tenant: Tenant = self.store.tenant(credit)

    def play(self, *turns: Script, host: str = "a") -> None:
        self.upstream.play(self.mark, *turns, host=host)

    def find(self, *answers: Script) -> None:
        self.upstream.play(self.mark, *answers, host="exa")

    def body(self, **more: Json) -> Json:
        return ask("mock/two", f"What of kites, {self.mark}?", **{"tools": [TOOL], **IN_ORDER, **more})

    def ask(self, **more: Json) -> Reply:
        return self.tenant.call(self.body(**more))

    @property
    def asked(self) -> list[Seen]:
        return self.upstream.seen(self.mark, "a")

    @property
    def searched(self) -> list[Seen]:
        return self.upstream.seen(self.mark, "exa")

    def call(self, *words: str, text: str = "", used: tuple[int, int] = (7, 3), stream_: bool = True) -> Script:
        """A turn that searches, each time for other words."""
        made = [("web_search", json.dumps({"query": f"{self.mark} {each}"})) for each in words]
        return self.calls(*made, text=text, used=used, is_stream=stream_)

    def calls(
        self, *made: tuple[str, str], text: str = "", used: tuple[int, int] = (7, 3), is_stream: bool = True
    ) -> Script:
        called = [
            {"index": at, "id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for at, (name, arguments) in enumerate(made)
        ]
        if not is_stream:
            return whole({**completion(text or None, "tool_calls", tool_calls=called), "usage": counts(*used)})
        said = [chunk(text)] if text else []
        said += [chunk(tool_calls=[each]) for each in called]
        return stream([*said, chunk(finish="tool_calls"), usage_chunk(*used), "[DONE]"])


def counts(read: int, written: int) -> Json:
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def says(text: str, used: tuple[int, int] = (7, 3), *, is_stream: bool = True) -> Script:
    if not is_stream:
        return whole({**completion(text), "usage": counts(*used)})
    return stream([chunk(text), chunk(finish="stop"), usage_chunk(*used), "[DONE]"])


def pages(*urls: str, cost: str | None = None) -> Script:
    """What Exa answers."""
    found = [{"title": f"Page {url[-1]}", "url": url, "text": f"Text of {url}."} for url in urls]
    return whole({"results": found, **({} if cost is None else {"costDollars": {"total": float(cost)}})})


A, B, C = (f"https://kites.example/{each}" for each in "abc")


def nano(*turns: tuple[str, tuple[int, int]]) -> int:
    """What turns cost, each at its provider: in fractions of a dollar, rounded at the end of each part."""
    total = 0
    for provider, (read, written) in turns:
        into, out = PRICES[provider]
        total += round(Fraction(into) * read * 1000) + round(Fraction(out) * written * 1000)
    return total


@pytest.fixture
def scene(house: Gateway, upstream: Upstream, mark: str) -> Scene:
    return Scene(house, upstream, mark)


def kinds(response: Json) -> list[str]:
    return [item["type"] for item in response["output"]]


@pytest.mark.parametrize("is_stream", [True, False])
def test_three_turns_are_one_answer(scene: Scene, is_stream: bool) -> None:
    scene.play(
        scene.call("one", "two", text="Let me see.", stream_=is_stream),
        scene.call("three", stream_=is_stream),
        says(f"Kites fly, as [this page]({B}) says.", is_stream=is_stream),
    )
    scene.find(pages(A), pages(B), pages(C))
    reply = scene.ask(stream=is_stream)
    if is_stream:
        events = events_of(reply)
        for event in events:
            validate_event(event)
        response = events[-1]["response"]
    else:
        response = response_of(reply)
    assert kinds(response) == ["message", "web_search_call", "web_search_call", "web_search_call", "message"]
    assert [item["action"]["query"] for item in response["output"][1:4]] == [
        f"{scene.mark} {each}" for each in ("one", "two", "three")
    ]
    assert response["tools"] == [TOOL]
    assert len(scene.asked) == 3
    second = scene.asked[1].json
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool", "tool"]
    assert response["usage"]["total_tokens"] == 30
    assert Decimal(str(response["usage"]["cost"])) == Decimal(nano(*[("mock-a", (7, 3))] * 3) + 3 * 7_000_000) / 10**9


def test_a_second_turn_that_falls_back_is_paid_at_its_own_price(scene: Scene) -> None:
    used = [(700, 30), (900, 20), (1100, 40)]
    scene.play(scene.call("one", used=used[0]), whole({"error": {"message": "down"}}, 500))
    scene.play(scene.call("two", used=used[1]), says("Kites fly.", used[2]), host="b")
    scene.find(pages(A), pages(B, cost="0.0123"))
    reply = scene.ask(stream=True)
    response = events_of(reply)[-1]["response"]
    turns = nano(("mock-a", used[0]), ("mock-b", used[1]), ("mock-b", used[2]))
    expected = turns + 7_000_000 + 12_300_000
    assert round(Decimal(str(response["usage"]["cost"])) * 10**9) == expected
    assert response["usage"]["input_tokens"] == sum(read for read, _ in used)
    record = scene.tenant.record(reply)
    assert record["cost_nano"] == record["charged_nano"] == expected
    assert record["cost_fees_nano"] == 19_300_000
    assert record["cost_input_nano"] + record["cost_output_nano"] == turns
    assert scene.tenant.settled().charged == expected
    scene.store.check()
