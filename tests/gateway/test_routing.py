"""The whole `provider` object from outside, as the public `openrouter` client sends it: three providers that differ in
speed, price, data policy and precision, and who of them is asked."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from openrouter import OpenRouter
from openrouter.errors import OpenRouterError

from tests.gateway.checks import ask, error_of, events_of, response_of
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, usage_chunk, whole
from tests.gateway.waiting import eventually

pytestmark = pytest.mark.usefixtures("nothing_left")

CONFIG = """
[routing.timeouts]
first_byte = "3 s"
[routing]
attempts = {attempts}
hedge = {hedge}
explanations = 50
[log]
level = "debug"
format = "json"
[providers.cheap]
dialect = "chat"
base_url = "{url}/cheap/v1"
api_key = {{ env = "MOCK_KEY" }}
data_policy = {{ trains = true, zdr = false, retains_days = 30 }}
region = "US"
[providers.fair]
dialect = "chat"
base_url = "{url}/fair/v1"
api_key = {{ env = "MOCK_KEY" }}
[providers.dear]
name = "Dear & Private"
dialect = "chat"
base_url = "{url}/dear/v1"
api_key = {{ env = "MOCK_KEY" }}
data_policy = {{ trains = false, zdr = true, retains_days = 0 }}
region = "DE"
"""

MODEL = """
[[endpoints]]
provider = "cheap"
model = "{model}"
price = {{ input = "1", output = "2", cache_read = "0.1" }}
supports = ["tools"]
rejects = ["temperature", "top_k"]
quantization = "int4"
distillable = false
[[endpoints]]
provider = "fair"
model = "{model}"
price = {{ input = "2", output = "4", cache_read = "0.2" }}
quantization = "fp8"
[[endpoints]]
provider = "dear"
model = "{model}"
price = {{ input = "5", output = "10", cache_read = "0.5" }}
supports = ["tools"]
quantization = "bf16"
distillable = true
"""

FRESH = 120
"""So many models are there, one for each test, so that none sees what befell an endpoint in another."""

BROKEN = whole({"error": {"message": "Out of order today."}}, 500)

_models = iter(range(FRESH))
_calls = itertools.count(1)


@pytest.fixture(scope="module")
def router(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with _gateway(upstream, tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="module")
def hedging(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with _gateway(upstream, tmp_path_factory, attempts=2, hedge="true") as server:
        yield server


def _gateway(upstream: Upstream, folders: pytest.TempPathFactory, attempts: int = 3, hedge: str = "false") -> Any:
    models = "".join(MODEL.format(model=f"r/m{number}") for number in range(FRESH))
    config = CONFIG.format(url=upstream.url, attempts=attempts, hedge=hedge) + models
    return running(folders.mktemp("routing"), config, MOCK_KEY=PROVIDER_KEY)


@pytest.fixture(scope="module")
def client(router: Gateway) -> Iterator[OpenRouter]:
    with OpenRouter(api_key=KEY, server_url=router.url + "/api/v1", retry_config=None) as sdk:
        yield sdk


@pytest.fixture
def fresh() -> str:
    return f"r/m{next(_models)}"


@dataclass
class Asking:
    """Sends requests for one model and tells which providers were asked, in order."""

    client: OpenRouter
    upstream: Upstream
    model: str

    def __call__(self, *, broken: Sequence[str] = (), model: str | None = None, **more: Any) -> list[str]:
        nonce = f"nonce-routing-{next(_calls)}"
        for host in broken:
            self.upstream.play(nonce, BROKEN, host=host)
        self.client.beta.responses.send(model=model or self.model, input=nonce, **more)
        return self.upstream_of(nonce)

    def upstream_of(self, nonce: str) -> list[str]:
        return [seen.path.split("/")[1] for seen in self.upstream.seen(nonce)]


@pytest.fixture
def asked(client: OpenRouter, upstream: Upstream, fresh: str) -> Asking:
    return Asking(client, upstream, fresh)


@dataclass(frozen=True)
class Case:
    id: str
    provider: dict[str, Any]
    asked: list[str]
    more: dict[str, Any]
    broken: tuple[str, ...] = ()


def case(name: str, asked: str, broken: str = "", more: dict[str, Any] | None = None, **provider: Any) -> Any:
    return pytest.param(Case(name, provider, asked.split(), more or {}, tuple(broken.split())), id=name)


PREFERENCES = [
    case("only", "fair", only=["fair"]),
    case("only, by name", "dear", only=["Dear & Private"]),
    case("ignore", "fair", ignore=["dear", "cheap"]),
    case("only and ignore", "cheap", only=["cheap", "fair"], ignore=["fair"]),
    case("order", "dear", order=["dear", "cheap"]),
    case("order, whose first is broken", "dear fair", "dear", order=["dear", "fair"]),
    case("order, whose named ones are broken", "dear fair cheap", "dear fair", order=["dear", "fair"]),
    case("sort by price", "cheap", sort="price"),
    case("sort by price, whose first is broken", "cheap fair", "cheap", sort="price"),
    case("sort as an object", "cheap", sort={"by": "price", "partition": "model"}),
    case("quantizations", "fair", quantizations=["fp8"]),
    case("several quantizations", "fair dear", "fair", quantizations=["fp8", "bf16"], sort="price"),
    case("data_collection", "dear", data_collection="deny"),
    case("data_collection allowed", "cheap", data_collection="allow", sort="price"),
    case("zdr", "dear", zdr=True),
    case("enforce_distillable_text", "dear", enforce_distillable_text=True),
    case("max_price", "cheap", max_price={"prompt": "1"}),
    case("max_price of the output", "cheap fair", "cheap", max_price={"completion": "4"}, sort="price"),
    case("require_parameters", "dear", more={"top_k": 7}, require_parameters=True, ignore=["fair"]),
    case("parameters that are not required", "cheap", more={"top_k": 7}, ignore=["fair"], sort="price"),
    case("no preference, two broken", "dear", "", ignore=["cheap", "fair"]),
]


@pytest.mark.parametrize("case", PREFERENCES)
def test_a_preference_is_kept(case: Case, asked: Asking) -> None:
    assert asked(broken=case.broken, provider=case.provider, **case.more) == case.asked


def test_a_header_names_who_answered(router: Gateway, upstream: Upstream, fresh: str, nonce: str) -> None:
    upstream.play(nonce, BROKEN, host="dear")
    reply = router.call(ask(fresh, nonce, provider={"order": ["dear", "fair"]}))
    assert response_of(reply)["model"] == fresh
    assert reply.headers["x-trunkline-provider"] == "fair"


def test_the_default_balance_prefers_the_cheap_and_leaves_nobody_out(asked: Asking) -> None:
    counts = {"cheap": 0, "fair": 0, "dear": 0}
    for _ in range(60):
        (provider,) = asked()
        counts[provider] += 1
    assert counts["cheap"] > counts["dear"]
    assert counts["cheap"] > 30  # 46 are expected, and so few come once in half a million times


def test_allow_fallbacks_false_gives_the_upstreams_own_error(
    client: OpenRouter, upstream: Upstream, fresh: str
) -> None:
    nonce = f"nonce-routing-{next(_calls)}"
    upstream.play(nonce, BROKEN)
    with pytest.raises(OpenRouterError) as caught:
        client.beta.responses.send(model=fresh, input=nonce, provider={"order": ["dear"], "allow_fallbacks": False})
    error = json.loads(caught.value.body)["error"]
    assert (error["code"], error["message"]) == (502, "Dear & Private: Out of order today.")
    assert error["metadata"]["provider_name"] == "Dear & Private"
    assert "Out of order today." in error["metadata"]["raw"]
    assert len(upstream.seen(nonce)) == 1


def test_another_model_is_asked_when_nobody_of_the_first_answers(
    client: OpenRouter, upstream: Upstream, fresh: str, nonce: str
) -> None:
    other = f"r/m{next(_models)}"
    upstream.play(nonce, BROKEN, BROKEN, whole(completion()))
    answer = client.beta.responses.send(models=[fresh, other], input=nonce, provider={"only": ["cheap", "dear"]})
    assert answer.model == other
    assert len(upstream.seen(nonce)) == 3


def test_route_sort_takes_all_models_as_one_list(asked: Asking, router: Gateway, upstream: Upstream) -> None:
    other = f"r/m{next(_models)}"
    reply = router.call(ask(asked.model, models=[asked.model, other], route="sort", provider={"sort": "price"}))
    assert reply.headers["x-trunkline-provider"] == "cheap"


SLOW = Script(
    [
        head(200, "text/event-stream"),
        0.25,
        sse([chunk("Hel")]),
        0.25,
        sse([chunk("lo.", finish="stop"), usage_chunk(7, 20), "[DONE]"]),
    ]
)
"""A quarter of a second to the first token, then 80 tokens per second."""

FAST = stream([chunk("Hel"), chunk("lo.", finish="stop"), usage_chunk(7, 4000), "[DONE]"])


@pytest.fixture
def known(asked: Asking, upstream: Upstream, router: Gateway) -> Asking:
    """A model whose cheap endpoint is known to be slow, and whose dear one to be fast."""
    for host, script in (("cheap", SLOW), ("dear", FAST)):
        nonce = f"nonce-routing-{next(_calls)}"
        upstream.play(nonce, script, host=host)
        events_of(router.call(ask(asked.model, nonce, stream=True, provider={"only": [host]})))
    return asked


@pytest.mark.parametrize(
    ("provider", "first"),
    [
        pytest.param({"sort": "price"}, "cheap", id="without a wish"),
        pytest.param({"sort": "price", "preferred_max_latency": 0.2}, "dear", id="latency"),
        pytest.param({"sort": "price", "preferred_max_latency": {"p90": 0.2}}, "dear", id="a percentile of latency"),
        pytest.param({"sort": "price", "preferred_max_latency": 2}, "cheap", id="a latency that it keeps"),
        pytest.param({"sort": "price", "preferred_min_throughput": 200}, "dear", id="throughput"),
        pytest.param({"sort": "price", "preferred_min_throughput": {"p50": 10}}, "cheap", id="one that it keeps"),
        pytest.param({"sort": "throughput"}, "dear", id="sort by throughput"),
        pytest.param({"sort": "latency"}, "dear", id="sort by latency"),
    ],
)
def test_speed_is_learned_from_traffic(provider: dict[str, Any], first: str, known: Asking) -> None:
    assert known(provider={**provider, "ignore": ["fair"]}) == [first]


@pytest.mark.parametrize(("variant", "first"), [("floor", "cheap"), ("nitro", "dear")])
def test_a_variant_of_the_model_sorts(variant: str, first: str, known: Asking) -> None:
    assert known(model=f"{known.model}:{variant}", provider={"ignore": ["fair"]}) == [first]


def test_RT_12_a_session_stays_where_its_cache_is_until_that_is_down(asked: Asking) -> None:
    assert asked(session_id="s-1", provider={"only": ["dear"]}) == ["dear"]
    assert [asked(session_id="s-1", provider={"sort": "price"}) for _ in range(3)] == [["dear"]] * 3
    assert asked(session_id="s-2", provider={"sort": "price"}) == ["cheap"]
    assert asked(session_id="s-1", provider={"order": ["fair"]}) == ["fair"]
    assert asked(session_id="s-1", provider={"sort": "price"}, broken=["dear"]) == ["dear", "cheap"]
    assert asked(session_id="s-1", provider={"sort": "price"}) == ["cheap"]


def test_RT_16_nobody_else_is_asked_when_all_with_the_right_policy_are_down(
    router: Gateway, upstream: Upstream, fresh: str, nonce: str
) -> None:
    upstream.play(nonce, BROKEN)
    replies = [router.call(ask(fresh, nonce, provider={"zdr": True})) for _ in range(3)]
    assert [reply.status for reply in replies] == [502, 502, 502]
    assert {seen.path.split("/")[1] for seen in upstream.seen(nonce)} == {"dear"}


def test_what_is_in_trouble_is_asked_last(asked: Asking) -> None:
    for _ in range(2):
        assert asked(broken=["cheap"], provider={"sort": "price"}) == ["cheap", "fair"]
    assert asked(provider={"sort": "price"}) == ["fair"]


# 404 and why


REFUSALS = [
    pytest.param({"only": ["nobody"]}, ["only: each of cheap, fair and dear is not listed"], id="only"),
    pytest.param({"ignore": ["cheap", "fair", "dear"]}, ["ignore:"], id="ignore"),
    pytest.param(
        {"zdr": True, "max_price": {"prompt": "2"}},
        [
            "zdr: cheap retains prompts; fair does not say whether it retains prompts.",
            "max_price: dear",
            "Without max_price, dear would serve.",
            "Without zdr, cheap and fair would serve.",
        ],
        id="zdr and max_price",
    ),
    pytest.param(
        {"quantizations": ["fp16"]}, ["fair has quantization fp8", "dear has quantization bf16"], id="weights"
    ),
]


@pytest.mark.parametrize(("provider", "words"), REFUSALS)
def test_RT_15_a_refusal_says_who_was_removed_by_what_and_who_would_serve(
    provider: Any, words: list[str], client: OpenRouter, upstream: Upstream, fresh: str, router: Gateway
) -> None:
    nonce = f"nonce-routing-{next(_calls)}"
    with pytest.raises(OpenRouterError) as caught:
        client.beta.responses.send(model=fresh, input=nonce, provider=provider)
    error = json.loads(caught.value.body)["error"]
    assert error["code"] == 404
    assert all(word in error["message"] for word in words), error["message"]
    assert not upstream.seen(nonce)
    explained = explain(router, ask(fresh, nonce, provider=provider))
    assert explained["error"] == error
    assert explained["why"] == [error["message"]]
    assert {each["provider"] for each in explained["dropped"]} == {"cheap", "fair", "dear"}
    assert explained["order"] == []


# Explanations


def explain(gateway: Gateway, body: Any, **headers: str) -> dict[str, Any]:
    reply = gateway.call(body, path="/api/v1/responses/explain", **headers)
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json
    return found


def test_an_explanation_asks_nobody_and_tells_every_number(
    router: Gateway, upstream: Upstream, fresh: str, nonce: str
) -> None:
    found = explain(router, ask(fresh, nonce, provider={"data_collection": "deny", "ignore": ["fair"]}))
    assert [each["endpoint"] for each in found["order"]] == [f"dear:{fresh}"]
    assert found["order"][0]["expected_usd"] > 0
    assert [(each["provider"], each["filter"]) for each in found["dropped"]] == [
        ("cheap", "data_collection"),
        ("fair", "ignore"),
    ]
    assert found["why"][0] == f"dear:{fresh} is asked first."
    assert found["error"] is None
    assert not upstream.seen(nonce)


def test_an_explanation_changes_nothing(router: Gateway, fresh: str) -> None:
    body = ask(fresh, session_id="s-9", provider={"sort": "price"})
    assert explain(router, body) == explain(router, body)


def test_the_same_dice_give_the_same_order(router: Gateway, fresh: str) -> None:
    first = explain(router, ask(fresh))
    assert len(first["dice"]) == 2
    again = explain(router, ask(fresh), x_trunkline_dice=",".join(map(str, first["dice"])))
    assert again == first
    last = explain(router, ask(fresh), x_trunkline_dice="0.999999,0.999999")
    assert [each["provider"] for each in last["order"]] == ["dear", "fair", "cheap"]
    assert [draw["drawn"] for draw in last["steps"][0]["draws"]] == [f"dear:{fresh}", f"fair:{fresh}"]


@pytest.mark.parametrize("dice", ["1", "-0.1", "nan", "six", "0.5;0.5"])
def test_dice_that_cannot_fall_are_400(dice: str, router: Gateway, fresh: str) -> None:
    error_of(router.call(ask(fresh), path="/api/v1/responses/explain", x_trunkline_dice=dice), 400)


def test_an_explanation_takes_what_a_request_takes(router: Gateway, fresh: str) -> None:
    path = "/api/v1/responses/explain"
    error_of(router.call(ask(fresh), path=path, key=None), 401)
    error_of(router.call(b"{", path=path), 400)
    error_of(router.call(ask(fresh, provider={"only": 3}), path=path), 400)
    assert explain(router, ask("r/nothing-like-it"))["error"]["code"] == 404


def test_every_served_request_can_be_explained_afterwards(
    router: Gateway, upstream: Upstream, fresh: str, nonce: str
) -> None:
    upstream.play(nonce, BROKEN, host="cheap")
    response = response_of(router.call(ask(fresh, nonce, provider={"sort": "price"})))
    found = explanation_of(router, response["id"])
    assert [each["provider"] for each in found["order"]] == ["cheap", "fair", "dear"]
    assert found["answered_by"] == f"fair:{fresh}"
    assert [(each["provider"], each["status"]) for each in found["attempts"]] == [("cheap", 500)]
    assert found["why"][1] == f"Sorted by price: cheap:{fresh}, fair:{fresh}, dear:{fresh}."


def test_a_request_that_failed_is_found_by_the_id_of_its_error(
    router: Gateway, upstream: Upstream, fresh: str, nonce: str
) -> None:
    upstream.play(nonce, BROKEN)
    reply = router.call(ask(fresh, nonce))
    error_of(reply, 502)
    found = explanation_of(router, reply.headers["x-request-id"])
    assert found["answered_by"] is None
    assert len(found["attempts"]) == 3


def test_only_the_last_requests_are_remembered_and_only_with_a_key(router: Gateway, fresh: str) -> None:
    first = response_of(router.call(ask(fresh)))["id"]
    path = f"/api/v1/responses/{first}/explanation"
    assert router.request("GET", path).status == 401
    for _ in range(50):
        router.call(ask(fresh))
    error_of(router.request("GET", path, headers={"authorization": f"Bearer {KEY}"}), 404)


def explanation_of(gateway: Gateway, name: str) -> dict[str, Any]:
    reply = gateway.request("GET", f"/api/v1/responses/{name}/explanation", headers={"authorization": f"Bearer {KEY}"})
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json
    return found


# Listings


def test_the_listings_carry_what_routing_knows(known: Asking, client: OpenRouter, router: Gateway) -> None:
    known(broken=["cheap"], provider={"order": ["cheap", "dear"]})
    author, slug = known.model.split("/")
    ends = {each.tag: each for each in client.endpoints.list(author=author, slug=slug).data.endpoints}
    cheap, fair, dear = ends["cheap"], ends["fair"], ends["dear"]
    assert (cheap.uptime_last_30m, fair.uptime_last_30m, dear.uptime_last_30m) == (50, None, 100)
    assert cheap.latency_last_30m is not None
    assert 230 < cheap.latency_last_30m.p50 < 1500
    assert cheap.throughput_last_30m is not None
    assert dear.throughput_last_30m is not None
    assert cheap.throughput_last_30m.p90 < 100 < dear.throughput_last_30m.p90
    assert (dear.status, dear.quantization) == (0, "bf16")
    providers = {each["slug"]: each for each in router.request("GET", "/api/v1/providers").json["data"]}
    assert providers["dear"]["region"] == "DE"
    policy = {"training": False, "zdr": True, "retention_days": 0, "sources": [], "seen": None}
    assert providers["dear"]["data_policy"] == policy
    assert providers["cheap"]["latency_last_30m"]["p99"] >= cheap.latency_last_30m.p50
    assert providers["cheap"]["uptime_last_30m"] < 100


# Settings: attempts and hedge


def test_the_operator_sets_how_many_attempts_there_are(
    hedging: Gateway, upstream: Upstream, fresh: str, nonce: str
) -> None:
    upstream.play(nonce, BROKEN)
    error = error_of(hedging.call(ask(fresh, nonce)), 502)
    assert len(error["metadata"]["attempts"]) == len(upstream.seen(nonce)) == 2


def test_RT_11_a_silent_stream_is_joined_by_a_second_and_the_slower_is_closed_and_recorded(
    hedging: Gateway, upstream: Upstream, fresh: str, nonce: str
) -> None:
    order: dict[str, Any] = {"provider": {"order": ["cheap", "dear"]}, "stream": True}
    for _ in range(25):  # so many that the endpoint's usual time is known
        events_of(hedging.call(ask(fresh, **order)))
    for _ in range(40):  # and so many that one call may be doubled, but not two; whole answers never are
        response_of(hedging.call(ask(fresh, provider=order["provider"])))
    upstream.play(nonce, Script([head(200, "text/event-stream")], "stall"), host="cheap")
    reply = hedging.call(ask(fresh, nonce, **order))
    response = events_of(reply)[-1]["response"]
    assert reply.headers["x-trunkline-provider"] == "dear"
    slow, won = sorted(upstream.seen(nonce), key=lambda seen: seen.path)
    assert slow.is_closed_by_client.wait(1)
    assert won.path.startswith("/dear")
    assert response["usage"]["cost"] == pytest.approx(7 * 5e-6 + 3 * 10e-6)  # the dear one's, once
    record = explanation_of(hedging, response["id"])
    assert record["answered_by"] == f"dear:{fresh}"
    (outrun,) = record["outrun"]
    assert outrun["provider"] == "cheap"
    assert outrun["is_estimated"]
    assert outrun["cost_usd"] > 0
    eventually(lambda: '"event": "attempt.outrun"' in hedging.log.read_text(), "the slower attempt is not in the log")
    path = f"/api/v1/generation?id={response['id']}"
    kept = hedging.request("GET", path, headers={"authorization": f"Bearer {KEY}"}).json["data"]
    assert kept["total_cost"] == response["usage"]["cost"]
    assert kept["house_cost"] == outrun["cost_usd"]
    assert [(each["kind"], each["cost"]) for each in kept["attempts"]] == [("outrun", outrun["cost_usd"])]
    lines = [json.loads(line) for line in hedging.log.read_text().splitlines() if response["id"] in line]
    told = {line["event"]: line for line in lines}
    assert float(told["attempt.outrun"]["cost_usd"]) == outrun["cost_usd"]
    assert float(told["request.ended"]["cost_usd"]) == response["usage"]["cost"]
    assert told["request.ended"]["attempts"] == 2

    # Two of 67 calls would be more than 2 %: the next slow one is waited for.
    second = f"{nonce}-again"
    upstream.play(second, SLOW, host="cheap")
    assert hedging.call(ask(fresh, second, **order)).headers["x-trunkline-provider"] == "cheap"
    assert len(upstream.seen(second)) == 1


def test_without_hedging_a_silent_stream_is_waited_for(
    router: Gateway, upstream: Upstream, fresh: str, nonce: str
) -> None:
    order: dict[str, Any] = {"provider": {"order": ["cheap", "dear"]}, "stream": True}
    for _ in range(55):
        events_of(router.call(ask(fresh, **order)))
    upstream.play(nonce, SLOW, host="cheap")
    assert router.call(ask(fresh, nonce, **order)).headers["x-trunkline-provider"] == "cheap"
    assert len(upstream.seen(nonce)) == 1
