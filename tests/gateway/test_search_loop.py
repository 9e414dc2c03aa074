"""Searches that the gateway makes: several turns of a model as one answer, what they cost, and what goes wrong."""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from openrouter import OpenRouter

from tests.document import validate_event
from tests.gateway.checks import IN_ORDER, ask, error_of, events_of, response_of
from tests.gateway.conftest import CONFIG, PROVIDER
from tests.gateway.owners import Tenants
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, post, replies, running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.upstream import Script, Seen, Upstream, chunk, completion, head, stream, usage_chunk, whole
from tests.gateway.waiting import eventually

Json = Any

PRICES = {"mock-a": ("1", "2"), "mock-b": ("3", "5")}
"""USD per million tokens, in and out."""

SEARCH_PRICE = "0.007"
ENDPOINT = """
[[endpoints]]
provider = "{name}"
model = "{model}"
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
DIALECTS = ("messages", "gemini", "responses")
_numbers = itertools.count()


def config(url: str, more: str = "") -> str:
    providers = "".join(
        PROVIDER.format(name=name, dialect="chat", url=f"{url}/{name[-1]}/v1")
        + ENDPOINT.format(name=name, model="mock/two", into=into, out=out)
        for name, (into, out) in PRICES.items()
    )
    native = PROVIDER.format(name="mock-native", dialect="responses", url=f"{url}/native/v1")
    # It searches by itself, and costs more than who does not.
    native += ENDPOINT.format(name="mock-native", model="mock/mixed", into="9", out="9")
    native += ENDPOINT.format(name="mock-a", model="mock/mixed", into="1", out="2")
    for dialect in DIALECTS:
        native += PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{url}/{dialect}/v1")
        native += ENDPOINT.format(name=f"mock-{dialect}", model=f"mock/{dialect}", into="1", out="2")
        native += "quirks = { native_search = false }\n"
    free = ENDPOINT.format(name="mock-a", model="mock/unpriced", into="1", out="2")
    native += "".join(line for line in free.splitlines(keepends=True) if not line.startswith("price"))
    return CONFIG + providers + native + SEARCH.format(url=url, price=SEARCH_PRICE) + more


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
        given = {"model": "mock/two", "text": f"What of kites, {self.mark}?", "tools": [TOOL], **IN_ORDER, **more}
        return ask(**given)

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


def test_what_was_found_is_cited_where_its_link_stands(scene: Scene) -> None:
    scene.play(scene.call("one"), says(f"Kites fly ([page a]({A})), not [these]({B})."))
    scene.find(pages(A, C))
    response = events_of(scene.ask(stream=True, include=["web_search_call.action.sources"]))[-1]["response"]
    (part,) = response["output"][-1]["content"]
    (note,) = part["annotations"]
    assert part["text"][note["start_index"] : note["end_index"]] == f"[page a]({A})"
    assert (note["url"], note["title"]) == (A, "Page a")
    assert response["output"][0]["action"]["sources"] == [{"type": "url", "url": A}, {"type": "url", "url": C}]


def test_the_record_tells_turns_searches_and_fees(scene: Scene) -> None:
    scene.play(scene.call("one", "two"), says("Kites fly."))
    scene.find(pages(A, B), pages(C))
    reply = scene.ask()
    response_of(reply)
    told = scene.tenant.data(f"generation?id={reply.headers['x-generation-id']}")
    assert (told["num_search_results"], told["web_search_engine"], told["num_searches"]) == (3, "exa", 2)
    web = told["plugins"]["web"]
    assert [turn["endpoint"].split("/")[0].split(":")[0] for turn in web["turns"]] == ["mock-a", "mock-a"]
    assert [turn["cost"] for turn in web["turns"]] == [13e-6, 13e-6]
    assert told["plugins"]["fees"] == [{"kind": "search", "engine": "exa", "count": 2, "cost": 0.014}]
    assert told["fees_cost"] == 0.014
    scene.store.check()


@pytest.mark.parametrize("how", ["plugin", "online", "online beside others"])
def test_the_plugin_searches_once_before_the_model_is_asked(scene: Scene, how: str) -> None:
    scene.play(says(f"Kites fly, says {A}."))
    scene.find(pages(A))
    more: Json = {"plugins": [{"id": "web", "max_results": 2, "search_prompt": "Look:"}], "tools": []}
    if how != "plugin":
        more = {"model": "mock/two:online" if how == "online" else "mock/two:floor:online", "tools": []}
    reply = scene.ask(stream=True, **more)
    response = events_of(reply)[-1]["response"]
    assert kinds(response) == ["web_search_call", "message"]
    assert response["output"][0]["action"]["query"] == f"What of kites, {scene.mark}?"
    assert len(response["output"][1]["content"][0]["annotations"]) == 1
    (seen,) = scene.searched
    assert seen.json["numResults"] == (2 if how == "plugin" else 5)
    found, asked = scene.asked[0].json["messages"]
    assert (found["role"], asked["role"]) == ("user", "user")
    assert A in json.dumps(found)
    assert json.dumps(found).count("Look:") == (how == "plugin")
    assert scene.tenant.record(reply)["asked_model"] == more.get("model", "mock/two")
    assert scene.tenant.settled().charged == nano(("mock-a", (7, 3))) + 7_000_000


@pytest.mark.parametrize("is_stream", [True, False])
def test_an_engine_that_is_down_costs_nothing_and_the_answer_goes_on(scene: Scene, is_stream: bool) -> None:
    scene.play(scene.call("one", stream_=is_stream), says("I do not know.", is_stream=is_stream))
    scene.find(whole({"error": "down"}, 500))
    reply = scene.ask(stream=is_stream)
    response = events_of(reply)[-1]["response"] if is_stream else response_of(reply)
    assert [item.get("status") for item in response["output"]] == ["failed", "completed"]
    assert "failed" in scene.asked[1].json["messages"][-1]["content"]
    assert scene.tenant.settled().charged == 2 * nano(("mock-a", (7, 3)))


class TestOnFailure:
    """A gateway whose operator wants no answer without its search, and a search for every request."""

    @pytest.fixture
    def scene(self, strict: Gateway, upstream: Upstream, mark: str) -> Scene:
        return Scene(strict, upstream, mark)

    def test_before_the_first_word_it_is_an_error(self, scene: Scene) -> None:
        scene.find(whole({"error": "down"}, 500))
        error = error_of(scene.ask(tools=[]), 502)
        assert error["message"].startswith("The search engine exa failed:")
        assert scene.asked == []
        assert scene.tenant.settled().charged == 0

    def test_afterwards_the_stream_fails(self, scene: Scene) -> None:
        scene.play(scene.call("one", text="Let me see."))
        scene.find(pages(A), whole({"error": "down"}, 500))
        response = events_of(scene.ask(stream=True), "failed")[-1]["response"]
        assert [item["status"] for item in response["output"]] == ["completed", "completed", "failed"]
        assert scene.tenant.settled().charged == nano(("mock-a", (7, 3))) + 7_000_000

    def test_the_default_is_turned_off_by_a_request(self, scene: Scene) -> None:
        scene.play(says("Hello."))
        response = events_of(scene.ask(stream=True, tools=[], plugins=[{"id": "web", "enabled": False}]))[-1][
            "response"
        ]
        assert kinds(response) == ["message"]
        assert scene.searched == []


def test_a_second_turn_that_nobody_answers_fails_with_what_was_told(scene: Scene) -> None:
    down = whole({"error": {"message": "down"}}, 500)
    scene.play(scene.call("one", text="Let me see."), down)
    scene.play(down, host="b")
    scene.find(pages(A))
    reply = scene.ask(stream=True)
    response = events_of(reply, "failed")[-1]["response"]
    assert [(item["type"], item["status"]) for item in response["output"]] == [
        ("message", "completed"),
        ("web_search_call", "completed"),
    ]
    assert scene.tenant.settled().charged == nano(("mock-a", (7, 3))) + 7_000_000
    record = scene.tenant.record(reply)
    assert {each["endpoint"].partition(":")[0].partition("/")[0] for each in json.loads(record["attempts"])} == {
        "mock-a", "mock-b",
    }  # fmt: skip


def test_a_client_that_leaves_during_a_search_pays_for_what_was_answered(scene: Scene) -> None:
    stalled = f"{scene.mark}-stalled"
    queries = (("web_search", json.dumps({"query": words})) for words in (scene.mark, stalled))
    scene.play(scene.calls(*queries, text="Let me see."))
    scene.find(pages(A))
    scene.upstream.play(stalled, Script([head(200)], "stall"), host="exa")
    with scene.gateway.connect() as client:
        client.send(post(scene.body(stream=True), key=scene.tenant.text))
        client.read_until(b'"status":"completed"', 2)
        eventually(lambda: len(scene.searched) == 2, "both searches are made")
    (left,) = scene.upstream.seen(stalled, "exa")
    assert left.is_closed_by_client.wait(5)
    assert scene.tenant.settled().charged == nano(("mock-a", (7, 3))) + 7_000_000
    assert len(scene.asked) == 1
    scene.store.check()


def test_searches_beyond_the_fourth_raise_the_hold(scene: Scene) -> None:
    words = "abcdef"
    scene.play(*(scene.call(each) for each in words), says("Enough."))
    scene.find(pages(A))
    reply = scene.ask(max_output_tokens=100)
    response = response_of(reply)
    assert kinds(response) == ["web_search_call"] * 6 + ["message"]
    record = scene.tenant.record(reply)
    assert record["charged_nano"] == 7 * nano(("mock-a", (7, 3))) + 6 * 7_000_000
    assert record["held_nano"] > 6 * 7_000_000
    scene.store.check()


def test_credit_for_four_searches_ends_with_them(house: Gateway, upstream: Upstream, mark: str) -> None:
    scene = Scene(house, upstream, mark, credit=4 * 7_000_000 + 5_000_000)
    scene.play(*(scene.call(each) for each in "abcd"), says("So far."))
    scene.find(pages(A))
    reply = scene.ask(max_output_tokens=100)
    response = response_of(reply)
    assert kinds(response) == ["web_search_call"] * 4 + ["message"]
    assert scene.asked[-1].json["tool_choice"] == "none"
    assert scene.asked[-1].json["tools"]
    record = scene.tenant.record(reply)
    assert record["charged_nano"] == 5 * nano(("mock-a", (7, 3))) + 4 * 7_000_000
    scene.store.check()


def test_the_last_turn_is_paid_by_credit_that_pays_for_no_search_more(
    house: Gateway, upstream: Upstream, mark: str
) -> None:
    scene = Scene(house, upstream, mark, credit=4 * 7_000_000 + 6_900_000)
    scene.play(scene.call(*"abcd", stream_=False), says("So far.", (2800, 600), is_stream=False))
    scene.find(whole({"results": [{"title": "Kites", "url": A, "text": "kite " * 150}]}))
    reply = scene.ask(max_output_tokens=1000, provider={"only": ["mock-a"]})
    response_of(reply)
    last = scene.asked[-1].json
    assert last["tool_choice"] == "none"
    assert last.get("max_tokens", last.get("max_completion_tokens")) > 900
    record = scene.tenant.record(reply)
    cost = nano(("mock-a", (7, 3)), ("mock-a", (2800, 600))) + 4 * 7_000_000
    assert (record["cost_nano"], record["charged_nano"], record["house_nano"]) == (cost, cost, 0)
    scene.store.check()


def test_the_search_of_the_plugin_is_held_for_where_tools_may_not_be_called(scene: Scene) -> None:
    scene.play(says("Kites fly.", is_stream=False))
    scene.find(pages(A))
    reply = scene.ask(plugins=[{"id": "web"}], max_tool_calls=0, max_output_tokens=20)
    assert kinds(response_of(reply)) == ["web_search_call", "message"]
    assert scene.tenant.settled().charged == nano(("mock-a", (7, 3))) + 7_000_000
    scene.store.check()


def test_a_model_without_a_price_leaves_the_searches_to_be_paid(scene: Scene) -> None:
    scene.play(scene.call("one", stream_=False), says("Kites fly.", is_stream=False))
    scene.find(pages(A))
    reply = scene.ask(model="mock/unpriced")
    assert response_of(reply)["usage"]["cost"] == 0.007
    assert scene.tenant.settled().charged == 7_000_000
    scene.store.check()


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("falls_back", [True, False])
def test_searches_beside_an_own_key_are_paid_and_the_books_are_right(
    scene: Scene, counts: bool, falls_back: bool
) -> None:
    scene.tenant = tenant = scene.store.tenant(10**12, limit_nano=10**9, byok_counts=counts)
    Tenants(scene.gateway.log.parent).bring(tenant.account_id, "mock-a", "sk-own-CANARY-of-a-tenant-Hq5Zt8Wb2Nc7")
    last = says("Kites fly.", is_stream=False)
    down = whole({"error": {"message": "down"}}, 500)
    scene.play(scene.call("one", stream_=False), down if falls_back else last)
    scene.play(last, host="b")
    scene.find(pages(A))
    reply = scene.ask()
    usage = response_of(reply)["usage"]
    paid = 7_000_000 + (nano(("mock-b", (7, 3))) if falls_back else 0)
    own = nano(("mock-a", (7, 3))) * (1 if falls_back else 2)
    assert usage["is_byok"] is not falls_back
    assert round(Decimal(str(usage["cost"])) * 10**9) == tenant.settled().charged == paid
    assert scene.tenant.record(reply)["upstream_nano"] == own
    scene.store.check()


def test_what_is_held_bounds_the_turns(house: Gateway, upstream: Upstream, mark: str) -> None:
    scene = Scene(house, upstream, mark, credit=10**12)
    scene.play(scene.call("one", used=(1000, 300)), says("Well."))
    scene.find(pages(A))
    reply = scene.tenant.call(scene.body(max_output_tokens=700, max_tool_calls=2), x_trunkline_max_cost="0.0158")
    response_of(reply)
    last = scene.asked[-1].json
    assert last["tool_choice"] == "none"
    assert last.get("max_tokens", last.get("max_completion_tokens")) < 400


def test_a_limit_of_the_answer_holds_for_all_its_turns(scene: Scene) -> None:
    scene.play(scene.call("one", used=(7, 60)), says("Well.", (7, 40)))
    scene.find(pages(A))
    response_of(scene.ask(max_output_tokens=100))
    limits = [seen.json.get("max_tokens", seen.json.get("max_completion_tokens")) for seen in scene.asked]
    assert limits == [100, 40]


def test_results_go_with_a_call_of_the_clients_and_come_back(scene: Scene) -> None:
    tools = [TOOL, LOOK]
    scene.play(scene.call("one"), scene.calls(("look", "{}")), says("Both."))
    scene.find(pages(A))
    first = events_of(scene.ask(stream=True, tools=tools))[-1]["response"]
    assert kinds(first) == ["web_search_call", "reasoning", "function_call"]
    replayed = [
        {"role": "user", "content": f"What of kites, {scene.mark}?"},
        *first["output"],
        {"type": "function_call_output", "call_id": first["output"][-1]["call_id"], "output": "seen"},
    ]
    events_of(scene.ask(stream=True, tools=tools, input=replayed))
    messages = scene.asked[-1].json["messages"]
    told = [message["content"] for message in messages if message["role"] == "tool"]
    assert any(A in text for text in told)
    assert "seen" in told
    assert len(scene.searched) == 1


def test_explain_says_what_would_run_and_what_is_refused(scene: Scene) -> None:
    def explained(**more: Json) -> Reply:
        path = "/api/v1/responses/explain"
        return scene.gateway.call(scene.body(**more), key=scene.tenant.text, path=path)

    reply = explained(max_tool_calls=7)
    assert reply.status == 200
    assert reply.json["plugins"] == {"web": {"engine": "exa", "most_searches": 7, "is_tool": True}}
    assert "plugins" not in explained(tools=[]).json
    assert (scene.searched, scene.asked) == ([], [])
    assert explained(tool_choice="required", max_tool_calls=0).status == 400


def test_an_engine_that_stays_silent_fails_in_its_own_time(scene: Scene) -> None:
    scene.play(scene.call("one"), says("I do not know."))
    scene.find(Script([], "stall"))
    response = events_of(scene.ask(stream=True))[-1]["response"]
    assert [item["status"] for item in response["output"]] == ["failed", "completed"]


def test_the_end_of_the_process_ends_a_search(upstream: Upstream, tmp_path: Path, mark: str) -> None:
    more = '[server]\ndrain = "1 s"'
    text = config(upstream.url).replace("[server]", more, 1)
    with running(tmp_path, text, MOCK_KEY=PROVIDER_KEY, EXA_KEY=PROVIDER_KEY) as gateway:
        scene = Scene(gateway, upstream, mark)
        scene.play(scene.call("one"))
        scene.find(Script([head(200)], "stall"))
        with gateway.connect() as client:
            client.send(post(scene.body(stream=True), key=scene.tenant.text))
            client.read_until(b"web_search_call")
            gateway.process.send_signal(signal.SIGTERM)
            (reply,) = replies(client.read_to_end())
        response = events_of(reply, "failed")[-1]["response"]
        assert [item["status"] for item in response["output"]] == ["failed"]
        gateway.process.wait(10)
        scene.store.check()
        assert scene.tenant.balance().charged == nano(("mock-a", (7, 3)))


MESSAGE: Json = {
    "type": "message",
    "id": "m1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Kites fly.", "annotations": []}],
}
ANSWER: Json = {
    "id": "r1",
    "status": "completed",
    "output": [MESSAGE],
    "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
}


class TestNative:
    """A model at two providers, of which one searches by itself."""

    def asked(self, scene: Scene, **more: Json) -> Json:
        """What the provider with a search of its own is asked."""
        scene.play(whole(ANSWER), host="native")
        response = response_of(scene.ask(model="mock/mixed", provider={}, **more))
        assert response["tools"] == more.get("tools", [TOOL])
        assert scene.searched == []
        (seen,) = scene.upstream.seen(scene.mark, "native")
        return seen.json

    def test_it_makes_the_search_of_a_tool(self, scene: Scene) -> None:
        assert [tool["type"] for tool in self.asked(scene)["tools"]] == ["web_search"]

    @pytest.mark.parametrize("engine", [{}, {"engine": "native"}])
    def test_it_makes_the_search_of_the_plugin(self, scene: Scene, engine: Json) -> None:
        asked = self.asked(scene, tools=[], plugins=[{"id": "web", **engine}])
        assert [tool["type"] for tool in asked["tools"]] == ["web_search"]

    def test_an_engine_that_is_named_goes_before_it(self, scene: Scene) -> None:
        scene.play(whole(ANSWER), host="native")
        scene.play(says("Kites fly.", is_stream=False))
        scene.find(pages(A))
        plugins = [{"id": "web", "engine": "exa"}]
        response = response_of(scene.ask(model="mock/mixed", provider={}, tools=[], plugins=plugins))
        assert kinds(response) == ["web_search_call", "message"]
        assert len(scene.searched) == 1

    def test_where_it_is_not_asked_the_gateway_searches(self, scene: Scene) -> None:
        scene.play(scene.call("one", stream_=False), says("Kites fly.", is_stream=False))
        scene.find(pages(A))
        response = response_of(scene.ask(model="mock/mixed", provider={"only": ["mock-a"]}))
        assert kinds(response) == ["web_search_call", "message"]

    @pytest.mark.parametrize(
        "more",
        [
            {"model": "mock/mixed", "provider": {"order": ["mock-a", "mock-native"]}},
            {"model": None, "models": ["mock/two", "mock/mixed"], "provider": {"only": ["mock-a", "mock-native"]}},
        ],
    )
    def test_whom_the_client_names_first_is_not_passed_over(self, scene: Scene, more: Json) -> None:
        scene.play(scene.call("one", stream_=False), says("Kites fly.", is_stream=False))
        scene.find(pages(A))
        assert kinds(response_of(scene.ask(**more))) == ["web_search_call", "message"]
        assert len(scene.asked) == 2

    def test_native_alone_is_refused_where_nobody_has_it(self, scene: Scene) -> None:
        error = error_of(scene.ask(tools=[], plugins=[{"id": "web", "engine": "native"}]), 400)
        assert "web search" in error["message"]


def in_dialect(dialect: str, query: str) -> tuple[Json, Json]:
    """An answer that thinks and searches, and one that says something, in a language that is not chat."""
    thought: Json
    match dialect:
        case "messages":
            thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}
            call = {"type": "tool_use", "id": "toolu_1", "name": "web_search", "input": {"query": query}}
            head = {
                "id": "m1",
                "type": "message",
                "role": "assistant",
                "usage": {"input_tokens": 7, "output_tokens": 3},
            }
            return (
                {**head, "content": [thought, call], "stop_reason": "tool_use"},
                {**head, "content": [{"type": "text", "text": "Kites fly."}], "stop_reason": "end_turn"},
            )
        case "gemini":
            used = {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}}
            call = {"functionCall": {"name": "web_search", "args": {"query": query}}, "thoughtSignature": "c2lnbmVk"}
            said = [{"text": "Kites fly."}]
            first, second = (
                {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}], **used}
                for parts in ([call], said)
            )
            return first, second
        case _:
            call = {
                "type": "function_call",
                "id": "f1",
                "call_id": "call_1",
                "name": "web_search",
                "status": "completed",
            }
            thought = {"type": "reasoning", "id": "r1", "summary": [], "encrypted_content": "c2lnbmVk"}
            return {**ANSWER, "output": [thought, {**call, "arguments": json.dumps({"query": query})}]}, ANSWER


@pytest.mark.parametrize("dialect", DIALECTS)
def test_in_every_language_the_model_is_given_back_its_thought_and_call(scene: Scene, dialect: str) -> None:
    scene.play(*map(whole, in_dialect(dialect, f"{scene.mark} one")), host=dialect)
    scene.find(pages(A))
    response = response_of(scene.ask(model=f"mock/{dialect}", provider={}))
    assert [kind for kind in kinds(response) if kind != "reasoning"] == ["web_search_call", "message"]
    first, second = (seen.body.decode() for seen in scene.upstream.seen(scene.mark, dialect))
    assert "c2lnbmVk" in second
    assert A in second
    assert A not in first
    assert '"type":"web_search' not in second


def test_a_model_that_calls_for_ever_is_stopped(scene: Scene) -> None:
    scene.find(pages(A))
    call = json.dumps({"query": scene.mark})
    reply = scene.ask(model="fake/echo", provider={}, text=f"!call web_search {call}", stream=True)
    response = events_of(reply)[-1]["response"]
    assert kinds(response).count("web_search_call") == 1
    assert len(scene.searched) == 1


def test_the_openai_client_reads_searches_and_citations(scene: Scene) -> None:
    scene.play(scene.call("one"), says(f"Kites fly ([page a]({A}))."))
    scene.find(pages(A))
    with OpenAI(base_url=scene.gateway.url + "/api/v1", api_key=scene.tenant.text, max_retries=0) as client:
        events = list(
            client.responses.create(
                model="mock/two",
                input=f"What of kites, {scene.mark}?",
                tools=[{"type": "web_search"}],
                include=["web_search_call.action.sources"],
                stream=True,
                extra_body=IN_ORDER,
            )
        )
    last = events[-1]
    assert last.type == "response.completed"
    search, message = last.response.output
    assert search.type == "web_search_call"
    assert search.action.type == "search"
    assert [source.url for source in search.action.sources or []] == [A]
    assert message.type == "message"
    assert message.content[0].type == "output_text"
    assert [note.url for note in message.content[0].annotations if note.type == "url_citation"] == [A]


def test_the_openrouter_client_reads_a_stream_with_a_search(scene: Scene) -> None:
    scene.play(scene.call("one"), says(f"Kites fly ([page a]({A}))."))
    scene.find(pages(A))
    with (
        OpenRouter(api_key=scene.tenant.text, server_url=scene.gateway.url + "/api/v1") as client,
        client.beta.responses.send(
            model="mock/two",
            input=f"What of kites, {scene.mark}?",
            tools=[{"type": "web_search_preview"}],
            provider={"order": ["mock-a"]},
            stream=True,
        ) as events,
    ):
        seen = list(events)
    assert seen[-1].type == "response.completed"
    assert [item.type for item in seen[-1].response.output] == ["web_search_call", "message"]
