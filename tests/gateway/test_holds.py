"""What a request may spend: credit that is held before anybody is asked, 402, the clamp, and the cap on the cost."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.called import calls
from tests.gateway.checks import error_of, events_of, response_of
from tests.gateway.conftest import PROVIDER
from tests.gateway.owners import Tenants
from tests.gateway.server import BELOW_ASGI, PROVIDER_KEY, THROUGH_ASGI, Reply, post, running
from tests.gateway.speech import SPEECHES
from tests.gateway.tenants import Balance, Store, Tenant, sized
from tests.gateway.test_quirks import PIXEL, at
from tests.gateway.test_supports import LIMITS, TOLD
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, whole
from trunkline.money import nano_of, usd_text

CONFIG = """
[store]
timeout = "700 ms"
[routing]
retry_budget = 1.0
[billing]
byok_fee = 0.05
[providers.fake-provider]
enabled = true
"""
ENDPOINT = """
[[endpoints]]
provider = "{provider}"
model = "{model}"
upstream_model = "{upstream}"
price = {{ input = "1", output = "{output}" }}
context_tokens = 1000000
max_output_tokens = {most}
"""

DRAWN = """
[[endpoints]]
provider = "wire-drawn"
model = "wire/drawn"
upstream_model = "x"
price = { input = "1", output = "2", image = "0.04" }
context_tokens = 1000000
max_output_tokens = 20000
output_modalities = ["image"]
"""
STREAMED_LIMITS = pytest.mark.parametrize(
    ("dialect", "asked"),
    [(dialect, {"max_output_tokens": 5_000} if place % 2 else {}) for place, dialect in enumerate(LIMITS)],
)

MICRO = 1_000
"""A token of input, in nano-dollars: a dollar for a million. One of output costs twice as much."""

SIZE = 400
"""The bytes of every body here, so that each is held for as 200 tokens of input."""

HALF_A_DOLLAR = 500_000_000

READ = SIZE // 2 * MICRO


def held(output_tokens: int) -> int:
    return READ + output_tokens * 2 * MICRO


@pytest.fixture(scope="module")
def store(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """`paid/echo` and `paid/lorem` write up to 10,000 tokens, `paid/large` a million; `wire/<dialect>` is scripted, and
    `wire/two` asked at a dear endpoint that writes much, then at a cheap one that writes little."""
    config = CONFIG
    for name, most in (("echo", 10_000), ("lorem", 10_000), ("large", 1_000_000)):
        fake = "lorem" if name == "large" else name
        config += ENDPOINT.format(provider="fake-provider", model=f"paid/{name}", upstream=fake, output=2, most=most)
    for dialect in LIMITS:
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(
            provider=f"wire-{dialect}", model=f"wire/{dialect}", upstream="x", output=2, most=20_000
        )
    config += ENDPOINT.format(provider="wire-chat", model="wire/unlimited", upstream="x", output=2, most=20_000)
    config += 'rejects = ["max_output_tokens"]\n'
    for name, output, most in (("a", 2, 20_000), ("b", 1, 1_000)):
        config += PROVIDER.format(name=f"mock-{name}", dialect="chat", url=f"{upstream.url}/{name}/v1")
        config += ENDPOINT.format(provider=f"mock-{name}", model="wire/two", upstream="x", output=output, most=most)
    config += PROVIDER.format(name="wire-drawn", dialect="images", url=f"{upstream.url}/drawn/v1")
    config += DRAWN + '[[endpoints]]\nprovider = "wire-chat"\nmodel = "wire/unpriced"\nupstream_model = "x"\n'
    folder = tmp_path_factory.mktemp("holds")
    with running(folder, config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as gateway:
        store = Store(gateway, folder / "trunkline.db")
        yield store
        store.check()


def ask(text: str = "Hi.", model: str = "paid/echo", **more: Any) -> bytes:
    return sized({"model": model, "input": text, **more}, SIZE)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def short_of(reply: Reply, tenant: Tenant) -> dict[str, Any]:
    """The metadata of a 402, which says the same in words."""
    error = error_of(reply, 402)
    assert reply.json["user_id"] == tenant.account_id
    metadata: dict[str, Any] = error["metadata"]
    assert metadata["error_type"] == "payment_required"
    affordable = metadata["affordable_output_tokens"]
    assert f" tokens, but can only afford {affordable}. " in error["message"]
    assert "requires more credits, or fewer max_tokens. You requested up to " in error["message"]
    assert nano_of(metadata["available_usd"]) < nano_of(metadata["needed_usd"])
    return metadata


class TestCredit:
    def test_MO_01_credit_for_ten_calls_lets_ten_of_fifty_pass(self, store: Store) -> None:
        """Each costs all that is held for it, so that no credit comes back."""
        one = held(300)
        tenant = store.tenant(10 * one)
        body = ask("!first 300ms\n!usage input=200 output=300\nHi.", max_output_tokens=300)
        with ThreadPoolExecutor(50) as pool:
            replies = list(pool.map(tenant.call, repeat(body, 50)))
        assert Counter(reply.status for reply in replies) == {200: 10, 402: 40}
        for reply in replies:
            if reply.status == 200:
                assert response_of(reply)["usage"]["cost"] == float(usd_text(one))
            else:
                metadata = short_of(reply, tenant)
                assert metadata["needed_usd"] == usd_text(one)
                assert metadata["limit_source"] == "account"
        assert tenant.settled() == Balance(10 * one, 10 * one, 0)

    def test_MO_02_it_does_so_with_four_processes_on_one_database(
        self, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("shared")
        path = folder / "trunkline.db"
        config = f'[store]\nurl = "sqlite:///{path}"\ntimeout = "10 s"\n[providers.fake-provider]\nenabled = true\n'
        config += ENDPOINT.format(provider="fake-provider", model="paid/echo", upstream="echo", output=2, most=10_000)
        with ExitStack() as processes:

            def started(name: str) -> Store:
                return Store(processes.enter_context(running(_made(folder / name), config)), path)

            with ThreadPoolExecutor(3) as pool:
                # The first one makes the tables.
                stores = [started("a"), *pool.map(started, "bcd")]
            one = held(300)
            tenant = stores[0].tenant(10 * one)
            everywhere = [replace(tenant, store=each) for each in stores]
            body = ask("!first 300ms\n!usage input=200 output=300\nHi.", max_output_tokens=300)
            with ThreadPoolExecutor(50) as pool:
                replies = list(pool.map(lambda number: everywhere[number % 4].call(body), range(50)))
            assert Counter(reply.status for reply in replies) == {200: 10, 402: 40}
            assert tenant.settled() == Balance(10 * one, 10 * one, 0)
            stores[0].check()

    def test_MO_23_the_worst_case_passes_and_a_nano_dollar_less_does_not(self, store: Store) -> None:
        body = ask(max_output_tokens=500)
        response_of(store.tenant(held(500)).call(body))
        tenant = store.tenant(held(500) - 1)
        metadata = short_of(tenant.call(body), tenant)
        assert metadata["needed_usd"] == usd_text(held(500))
        assert metadata["available_usd"] == usd_text(held(500) - 1)
        assert tenant.balance() == Balance(held(500) - 1, 0, 0)

    @pytest.mark.parametrize("credit", [held(1), held(77) + 1, held(4_321) + 999, held(9_999) + 1_999])
    @pytest.mark.parametrize("asked", [{}, {"max_output_tokens": 10_000}], ids=["no limit named", "too much asked"])
    def test_as_many_tokens_as_are_affordable_pass_and_one_more_does_not(
        self, store: Store, credit: int, asked: dict[str, Any]
    ) -> None:
        tenant = store.tenant(credit)
        reply = tenant.call(ask("!usage input=0 output=0\nHi.", **asked))
        if not asked and credit >= held(256):
            tokens = (max(credit // 8, held(256)) - READ) // (2 * MICRO)
            assert reply.headers["x-trunkline-clamped"] == f"max_output_tokens={tokens}"
            return
        affordable = short_of(reply, tenant)["affordable_output_tokens"]
        assert affordable == (credit - READ) // (2 * MICRO)
        body = ask("!usage input=0 output=0\nHi.", max_output_tokens=affordable + 1)
        assert short_of(tenant.call(body), tenant)["affordable_output_tokens"] == affordable
        response_of(tenant.call(ask("!usage input=0 output=0\nHi.", max_output_tokens=affordable)))

    def test_not_even_the_input(self, store: Store) -> None:
        tenant = store.tenant(READ - 1)
        reply = tenant.call(ask(max_output_tokens=1))
        assert short_of(reply, tenant)["affordable_output_tokens"] == 0
        error_of(tenant.get(f"generation?id={reply.headers['x-generation-id']}"), 404)

    @pytest.mark.parametrize(("told", "charged"), [("0.13", 130_000_000), ("0.7", HALF_A_DOLLAR), (None, 0)])
    def test_row_31_without_a_price_half_a_dollar_is_held_and_what_the_provider_tells_is_charged(
        self, told: str | None, charged: int, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        usage = {"prompt_tokens": 7, "completion_tokens": 3, **({} if told is None else {"cost": float(told)})}
        upstream.play(nonce, whole(completion() | {"usage": usage}))
        tenant = store.tenant(HALF_A_DOLLAR - 1)
        assert short_of(tenant.call(ask(nonce, "wire/unpriced")), tenant)["needed_usd"] == "0.5"
        tenant = store.tenant(HALF_A_DOLLAR)
        reply = tenant.call(ask(nonce, "wire/unpriced"))
        assert (response_of(reply)["usage"]["cost"] or 0) == float(usd_text(charged))
        assert tenant.settled().charged == charged
        record = tenant.record(reply)
        assert record["held_nano"] == HALF_A_DOLLAR
        assert record["house_nano"] == (0 if told is None else nano_of(told)) - charged

    def test_what_was_not_used_comes_back(self, store: Store) -> None:
        tenant = store.tenant(held(1_000))
        for _ in range(3):
            response_of(tenant.call(ask("!usage input=10 output=5\nHi.", max_output_tokens=900)))
        assert tenant.settled() == Balance(held(1_000), 3 * 20 * MICRO, 0)

    def test_MO_22_each_of_key_and_account_may_be_short(self, store: Store) -> None:
        body = ask(max_output_tokens=500)
        for tenant, source in (
            (store.tenant(10**12, limit_nano=held(500) - 1), "key"),
            (store.tenant(held(500) - 1, limit_nano=10**12), "account"),
            (store.tenant(None, limit_nano=held(500) - 1, limit_reset="daily"), "key"),
        ):
            metadata = short_of(tenant.call(body), tenant)
            assert (metadata["limit_source"], metadata["available_usd"]) == (source, usd_text(held(500) - 1))
        response_of(store.tenant(held(500), limit_nano=held(500), limit_reset="weekly").call(body))

    @pytest.mark.parametrize("line", ["!status 500", "!status 429", "!error 503 Gone."])
    def test_MO_15_what_fails_before_any_output_costs_nothing(self, store: Store, line: str) -> None:
        tenant = store.tenant(held(500))
        reply = tenant.call(ask(line, max_output_tokens=500))
        assert reply.status >= 400
        assert tenant.settled() == Balance(held(500), 0, 0)

    def test_MO_09_a_usage_beyond_all_bounds_costs_what_was_held(self, store: Store) -> None:
        tenant = store.tenant(10**12)
        reply = tenant.call(ask("!usage input=999999999 output=999999999\nHi.", max_output_tokens=500))
        assert response_of(reply)["usage"]["cost"] == float(usd_text(held(500)))
        assert tenant.settled().charged == held(500)
        record = tenant.record(reply)
        assert (record["held_nano"], record["charged_nano"]) == (held(500), held(500))
        assert record["house_nano"] > 0

    def test_CL_a_client_that_leaves_is_charged_within_its_hold(self, store: Store) -> None:
        tenant = store.tenant(10**12)
        body = ask("!rate 50\n!tokens 1000", "paid/lorem", max_output_tokens=1_000, stream=True)
        with store.gateway.connect() as client:
            client.send(post(body, key=tenant.text))
            client.read_until(b"response.output_text.delta", 20)
            assert tenant.balance().held == held(1_000)
        charged = tenant.settled().charged
        assert 0 < charged <= held(1_000)

    def test_a_store_that_does_not_answer_is_a_503_for_a_limited_key_alone(self, store: Store) -> None:
        limited, unlimited = store.tenant(10**12), store.tenant()
        for tenant in (limited, unlimited):
            response_of(tenant.call(ask()))  # their keys are known from here on
        with store.opened() as connection:
            connection.execute("BEGIN EXCLUSIVE")
            reply = limited.call(ask())
            error_of(reply, 503)
            assert reply.json["user_id"] == limited.account_id
            assert reply.headers["x-generation-id"].startswith("resp_")
        assert limited.settled().charged > 0


class TestClamp:
    """Of a client that names no limit of its answer."""

    def test_MO_24_an_answer_may_use_an_eighth_of_the_credit(self, store: Store) -> None:
        tenant = store.tenant(10**9)
        tokens = (10**9 // 8 - READ) // (2 * MICRO)
        reply = tenant.call(ask("!tokens 3", "paid/large"))
        assert reply.headers["x-trunkline-clamped"] == f"max_output_tokens={tokens}"
        assert response_of(reply)["max_output_tokens"] is None
        assert tenant.record(reply)["held_nano"] == 10**9 // 8

    def test_MO_24_it_ends_where_its_credit_ends(self, store: Store) -> None:
        tenant = store.tenant(held(256))
        reply = tenant.call(ask("!usage input=200 output=256\n!tokens 1000", "paid/lorem"))
        response = response_of(reply, "incomplete")
        assert reply.headers["x-trunkline-clamped"] == "max_output_tokens=256"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert tenant.settled() == Balance(held(256), held(256), 0)
        short = short_of(tenant.call(ask(model="paid/lorem")), tenant)
        assert (short["needed_usd"], short["available_usd"]) == (usd_text(held(256)), "0")

    def test_a_model_that_thinks_needs_more(self, store: Store) -> None:
        tenant = store.tenant(held(2_048) - 1)
        metadata = short_of(tenant.call(ask(reasoning={"effort": "low"})), tenant)
        assert metadata["needed_usd"] == usd_text(held(2_048))
        assert response_of(tenant.call(ask()))["max_output_tokens"] is None

    def test_enough_credit_sets_no_limit(self, store: Store) -> None:
        reply = store.tenant(8 * held(10_000)).call(ask())
        assert "x-trunkline-clamped" not in reply.headers
        reply = store.tenant().call(ask())
        assert "x-trunkline-clamped" not in reply.headers

    def test_a_stream_is_told_it_in_its_head(self, store: Store) -> None:
        reply = store.tenant(held(256)).call(ask("!tokens 1000", "paid/lorem", stream=True))
        assert reply.headers["x-trunkline-clamped"] == "max_output_tokens=256"
        assert events_of(reply, "incomplete")[-1]["response"]["max_output_tokens"] is None

    def test_an_endpoint_is_told_no_more_than_it_writes(self, store: Store, upstream: Upstream, nonce: str) -> None:
        """The dear endpoint sets the clamp; the cheap one, asked next, writes less than that."""
        tenant = store.tenant(8 * held(5_000))
        upstream.play(nonce, whole({"error": {"message": "Broken."}}, 500), whole(completion()))
        reply = tenant.call(ask(nonce, "wire/two", provider={"order": ["mock-a", "mock-b"]}))
        assert reply.headers["x-trunkline-clamped"] == "max_output_tokens=5000"
        response_of(reply)
        assert [at(seen.json, LIMITS["chat"]) for seen in upstream.seen(nonce)] == [5_000, 1_000]

    def test_a_clamp_that_is_refused_gives_way_to_what_the_endpoint_takes(
        self, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        message = "max_tokens is too large: 5000. This model supports at most 4096 completion tokens."
        upstream.play(nonce, whole({"error": {"message": message}}, 400), whole(completion()))
        response_of(store.tenant(8 * held(5_000)).call(ask(nonce, "wire/chat")))
        assert [at(seen.json, LIMITS["chat"]) for seen in upstream.seen(nonce)] == [5_000, 4_096]

    def test_an_endpoint_that_takes_no_limit_is_held_to_it(self, store: Store, upstream: Upstream, nonce: str) -> None:
        """The client named none, so none of its parameters is dropped."""
        pieces = [sse([chunk(f"piece {number} ")]) for number in range(400)]
        upstream.play(
            nonce, Script([head(200, "text/event-stream"), *(step for each in pieces for step in (each, 0.002))])
        )
        tenant = store.tenant(held(256))
        reply = tenant.call(ask(nonce, "wire/unlimited", stream=True))
        assert reply.headers["x-trunkline-clamped"] == "max_output_tokens=256"
        assert "x-trunkline-dropped" not in reply.headers
        assert events_of(reply, "incomplete")[-1]["response"]["usage"]["cost"] <= float(usd_text(held(256)))
        (seen,) = upstream.seen(nonce)
        assert "max_tokens" not in seen.json
        assert seen.is_closed_by_client.wait(5)

    def test_a_client_that_leaves_while_it_waits_for_its_hold_holds_nothing(self, store: Store) -> None:
        tenant = store.tenant(10**9)
        tenant.call(b"{")  # its key is known from here on
        with store.gateway.connect() as client, store.opened() as connection:
            connection.execute("BEGIN EXCLUSIVE")
            client.send(post(ask(), key=tenant.text))
            time.sleep(0.2)
            client.reset()
            time.sleep(0.1)
            connection.execute("ROLLBACK")
        response_of(tenant.call(ask()))  # what was asked before is decided by now
        assert tenant.settled().charged > 0
        assert store.rows("SELECT count(*) FROM generations WHERE account_id = ?", tenant.account_id) == [(1,)]


class TestCap:
    """`x-trunkline-max-cost`, and the key's own."""

    @pytest.mark.parametrize("dialect", LIMITS)
    def test_it_is_sent_as_a_limit(self, store: Store, upstream: Upstream, nonce: str, dialect: str) -> None:
        upstream.play(nonce, whole(TOLD[dialect]))
        reply = store.tenant().call(ask(nonce, f"wire/{dialect}"), x_trunkline_max_cost=usd_text(held(321) + 7))
        assert reply.headers["x-trunkline-clamped"] == "max_output_tokens=321"
        assert response_of(reply)["max_output_tokens"] is None
        (seen,) = upstream.seen(nonce)
        assert at(seen.json, LIMITS[dialect]) == 321

    @pytest.mark.parametrize("dialect", LIMITS)
    def test_an_upstream_that_goes_on_is_cut_and_charged_no_more(
        self, store: Store, upstream: Upstream, nonce: str, dialect: str
    ) -> None:
        cap = held(256)
        called = calls(dialect, [("say", json.dumps({"said": "word and word " * 20}))] * 60)
        first, *pieces = called.streamed(2_000).steps
        upstream.play(nonce, Script([first, *(step for piece in pieces for step in (piece, 0.01))]))
        tenant = store.tenant(10**9)
        tools = [{"type": "function", "name": "say"}]
        body = ask(nonce, f"wire/{dialect}", stream=True, tools=tools)
        reply = tenant.call(body, x_trunkline_max_cost=usd_text(cap))
        response = events_of(reply, "incomplete")[-1]["response"]
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
        assert Decimal(str(response["usage"]["cost"])) <= Decimal(usd_text(cap))
        assert 0 < tenant.settled().charged <= cap
        assert tenant.record(reply)["held_nano"] == cap

    @STREAMED_LIMITS
    def test_an_upstream_that_goes_on_is_cut_for_an_unlimited_key_too(
        self, store: Store, upstream: Upstream, nonce: str, dialect: str, asked: dict[str, Any]
    ) -> None:
        upstream.play(nonce, SPEECHES[dialect].script(["abc " * 100] * 100, pause_s=0.003))
        tenant = store.tenant()
        cap = usd_text(held(256))
        reply = tenant.call(ask(nonce, f"wire/{dialect}", stream=True, **asked), x_trunkline_max_cost=cap)
        response = events_of(reply, "incomplete")[-1]["response"]
        assert upstream.seen(nonce)[0].is_closed_by_client.wait(5)
        assert response["max_output_tokens"] == asked.get("max_output_tokens")
        assert response["usage"]["cost"] == float(cap)
        record = tenant.record(reply)
        assert (record["cost_nano"], record["charged_nano"]) == (held(256), 0)
        worth = record["input_tokens"] * MICRO + record["output_tokens"] * 2 * MICRO
        assert record["house_nano"] == worth - held(256) > 0

    def test_a_thought_that_goes_on_is_cut_as_well(self, store: Store, upstream: Upstream, nonce: str) -> None:
        thoughts = [sse([chunk(reasoning_content="abc " * 100)]) for _ in range(100)]
        steps = [step for thought in thoughts for step in (thought, 0.003)]
        upstream.play(nonce, Script([head(200, "text/event-stream"), *steps]))
        tenant = store.tenant(10**9)
        body = ask(nonce, "wire/chat", stream=True, reasoning={"effort": "high"})
        reply = tenant.call(body, x_trunkline_max_cost=usd_text(held(256)))
        assert events_of(reply, "incomplete")[-1]["response"]["usage"]["cost"] == float(usd_text(held(256)))
        assert upstream.seen(nonce)[0].is_closed_by_client.wait(5)
        assert tenant.settled().charged == held(256)

    @pytest.mark.parametrize(
        ("dialect", "place"),
        [
            ("messages", ("thinking", "budget_tokens")),
            ("converse", ("additionalModelRequestFields", "thinking", "budget_tokens")),
            ("gemini", ("generationConfig", "thinkingConfig", "thinkingBudget")),
            ("cohere", ("thinking", "token_budget")),
        ],
    )
    def test_a_budget_of_thought_fits_into_what_the_cap_leaves(
        self, dialect: str, place: tuple[str, ...], store: Store, upstream: Upstream, nonce: str
    ) -> None:
        upstream.play(nonce, whole(TOLD[dialect]))
        wishes = {"reasoning": {"max_tokens": 2_000}, "max_output_tokens": 4_000}
        reply = store.tenant(10**9).call(
            ask(nonce, f"wire/{dialect}", **wishes), x_trunkline_max_cost=usd_text(held(1_500))
        )
        assert response_of(reply)["max_output_tokens"] == 4_000
        assert reply.headers["x-trunkline-dropped"] == "reasoning.max_tokens"
        (seen,) = upstream.seen(nonce)
        assert at(seen.json, LIMITS[dialect]) == 1_500
        assert 1_024 <= at(seen.json, place) < 1_500

    def test_a_picture_is_drawn_only_where_the_cap_pays_for_it(
        self, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        answer = {"data": [{"b64_json": PIXEL}], "usage": {"input_tokens": 7, "output_tokens": 0}}
        upstream.play(nonce, whole(answer))
        tenant = store.tenant(10**12)
        body = ask(nonce, "wire/drawn", modalities=["image"])
        picture = 40_000_000
        metadata = short_of(tenant.call(body, x_trunkline_max_cost=usd_text(picture + READ)), tenant)
        assert (metadata["limit_source"], metadata["affordable_output_tokens"]) == ("request", 0)
        reply = tenant.call(body, x_trunkline_max_cost=usd_text(picture + held(256)))
        assert response_of(reply)["usage"]["cost"] == float(usd_text(picture + 7 * MICRO))
        record = tenant.record(reply)
        assert (record["held_nano"], record["images"]) == (picture + held(256), 1)

    def test_the_smaller_of_cap_and_hold_is_held(self, store: Store) -> None:
        tenant = store.tenant(10**12)
        reply = tenant.call(ask(max_output_tokens=5_000), x_trunkline_max_cost=usd_text(held(300)))
        assert reply.headers["x-trunkline-clamped"] == "max_output_tokens=300"
        assert response_of(reply)["max_output_tokens"] == 5_000
        assert tenant.record(reply)["held_nano"] == held(300)
        reply = tenant.call(ask(max_output_tokens=5_000), x_trunkline_max_cost="1")
        assert "x-trunkline-clamped" not in reply.headers
        assert tenant.record(reply)["held_nano"] == held(5_000)

    @pytest.mark.parametrize(
        ("asked", "tokens"), [({}, 256), ({"max_output_tokens": 5_000}, 256), ({"max_output_tokens": 40}, 40)]
    )
    def test_row_8_it_is_a_402_only_below_the_input_and_a_few_tokens(
        self, store: Store, asked: dict[str, Any], tokens: int
    ) -> None:
        tenant = store.tenant(10**12)
        least = held(tokens)
        reply = tenant.call(ask(**asked), x_trunkline_max_cost=usd_text(least - 1))
        metadata = short_of(reply, tenant)
        assert metadata["limit_source"] == "request"
        assert (metadata["needed_usd"], metadata["available_usd"]) == (usd_text(least), usd_text(least - 1))
        assert metadata["affordable_output_tokens"] == tokens - 1
        assert tenant.balance() == Balance(10**12, 0, 0)
        response_of(tenant.call(ask(**asked), x_trunkline_max_cost=usd_text(least)))
        response_of(tenant.call(ask(max_output_tokens=tokens - 1), x_trunkline_max_cost=usd_text(least - 1)))

    def test_without_a_hold_it_cuts_the_cost_all_the_same(self, store: Store) -> None:
        tenant = store.tenant()
        body = ask("!usage input=200 output=9000\nHi.")
        reply = tenant.call(body, x_trunkline_max_cost=usd_text(held(300)))
        assert response_of(reply)["usage"]["cost"] == float(usd_text(held(300)))
        record = tenant.record(reply)
        assert (record["cost_nano"], record["charged_nano"], record["held_nano"]) == (held(300), 0, None)

    def test_a_thinking_model_is_no_402_for_it(self, store: Store) -> None:
        body = ask(reasoning={"effort": "low"})
        reply = store.tenant(10**12).call(body, x_trunkline_max_cost=usd_text(held(300)))
        assert reply.headers["x-trunkline-clamped"] == "max_output_tokens=300"

    def test_that_of_the_key_is_for_requests_that_say_none(self, store: Store) -> None:
        tenant = store.tenant(max_cost_nano=held(500))
        for headers, tokens in (
            ({}, 500),
            ({"x_trunkline_max_cost": usd_text(held(300))}, 300),
            ({"x_trunkline_max_cost": usd_text(held(700))}, 700),
        ):
            reply = tenant.call(ask(), **headers)
            assert reply.headers["x-trunkline-clamped"] == f"max_output_tokens={tokens}"

    @pytest.mark.parametrize("text", ["", "-1", "1e-3", "NaN", "1,5", "$1", "0.0000000001", "1000000001", "0x1", "1 2"])
    def test_what_is_no_amount_is_a_400(self, store: Store, text: str) -> None:
        reply = store.tenant().call(ask(), x_trunkline_max_cost=text)
        assert "x-trunkline-max-cost" in error_of(reply, 400)["message"]

    def test_twice_is_a_400(self, store: Store) -> None:
        headers = ("x-trunkline-max-cost: 1", "x-trunkline-max-cost: 2", "connection: close")
        (reply,) = store.gateway.raw(post(ask(), *headers, key=store.tenant().text))
        assert "x-trunkline-max-cost" in error_of(reply, 400)["message"]


class TestOwnKey:
    """A provider key that the account brings: nothing is held for what it pays, but for the fee."""

    def test_MO_25_the_fee_is_held_and_charged(self, store: Store, upstream: Upstream, nonce: str) -> None:
        """With its key alone; with the house's behind it, what that may cost is held."""
        fee = 50 * MICRO  # of what 200 tokens in and 400 out cost
        answer = completion() | {"usage": {"prompt_tokens": 200, "completion_tokens": 400, "total_tokens": 600}}
        for only in (True, False):
            tenant = store.tenant(10**9)
            Tenants(store.path.parent).bring(tenant.account_id, "wire-chat", "sk-of-a-tenant", only=only)
            upstream.play(nonce, whole(answer), whole(answer))
            reply = tenant.call(ask(nonce, "wire/chat", max_output_tokens=1_000))
            usage = response_of(reply)["usage"]
            assert (usage["is_byok"], usage["cost"]) == (True, float(usd_text(fee)))
            assert usage["cost_details"]["upstream_inference_cost"] == float(usd_text(held(400)))
            assert tenant.settled().charged == fee
            assert tenant.record(reply)["held_nano"] == (held(1_000) // 20 + 2 if only else held(1_000))

    def test_it_needs_credit_for_the_fee_alone(self, store: Store, upstream: Upstream, nonce: str) -> None:
        tenant = store.tenant(held(1_000) // 20 + 2)
        Tenants(store.path.parent).bring(tenant.account_id, "wire-chat", "sk-of-a-tenant", only=True)
        response_of(tenant.call(ask(nonce, "wire/chat", max_output_tokens=1_000)))


class TestTheIdOfTheRecord:
    """`x-generation-id`, on all that is answered once credit may be held."""

    @pytest.mark.parametrize("line", ["!status 429", "!status 500", "!status 529", "!status 400"])
    def test_with_the_errors_of_providers(self, store: Store, line: str) -> None:
        for tenant in (store.tenant(10**12), store.tenant()):
            for streams in (False, True):
                reply = tenant.call(ask(line, stream=streams))
                assert reply.status >= 400
                assert reply.json["user_id"] == tenant.account_id
                digits = reply.headers["x-request-id"].removeprefix("req_")
                assert reply.headers["x-generation-id"] == f"resp_{digits}"

    @pytest.mark.parametrize("path", [BELOW_ASGI, THROUGH_ASGI], ids=["below ASGI", "through ASGI"])
    def test_with_a_402(self, store: Store, path: str) -> None:
        tenant = store.tenant(1)
        reply = store.gateway.call(ask(), key=tenant.text, path=path)
        assert reply.headers["x-generation-id"].startswith("resp_")
        short_of(reply, tenant)

    def test_it_is_that_of_the_body(self, store: Store) -> None:
        reply = store.tenant(10**12).call(ask())
        assert reply.headers["x-generation-id"] == response_of(reply)["id"]

    @pytest.mark.parametrize("body", [b"{", ask(model="no/such"), ask(temperature=9)])
    def test_not_with_what_was_not_understood(self, store: Store, body: bytes) -> None:
        reply = store.tenant(10**12).call(body)
        assert reply.status in (400, 404)
        assert "x-generation-id" not in reply.headers
        assert "x-generation-id" not in store.gateway.call(body, key="tl-nobody").headers


def test_an_explanation_tells_what_would_be_held_and_holds_nothing(store: Store) -> None:
    tenant = store.tenant(10)
    path = "/api/v1/responses/explain"
    reply = store.gateway.call(ask(max_output_tokens=500), key=tenant.text, path=path)
    assert reply.json["estimate"] == {
        "input_tokens": SIZE // 2,
        "output_tokens": 500,
        "wanted_usd": float(usd_text(held(500))),
        "least_usd": float(usd_text(held(500))),
    }
    reply = store.gateway.call(ask(), key=tenant.text, path=path)
    assert reply.json["estimate"] == {
        "input_tokens": SIZE // 2,
        "output_tokens": 10_000,
        "wanted_usd": float(usd_text(held(10_000))),
        "least_usd": float(usd_text(held(256))),
    }
    assert tenant.balance() == Balance(10, 0, 0)
