"""What is charged for answers that do not end as they should: clients that leave, providers that break down."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.checks import error_of, events_of, response_of
from tests.gateway.conftest import PROVIDER, full_port
from tests.gateway.server import PROVIDER_KEY, THROUGH_ASGI, Client, Reply, post, running
from tests.gateway.speech import SPEECHES, named
from tests.gateway.tenants import Balance, Store, Tenant
from tests.gateway.test_supports import TOLD
from tests.gateway.upstream import Script, Upstream, completion, head, whole
from tests.gateway.waiting import eventually
from trunkline.money import usd_text

Json = Any

CONFIG = """
[routing]
retry_budget = 1.0
[log]
format = "json"
[store]
timeout = "700 ms"
[providers.fake-provider]
enabled = true
"""
ENDPOINT = """
[[endpoints]]
provider = "{provider}"
model = "{model}"
upstream_model = "{upstream}"
price = {{ input = "1", output = "2", search = "0.01" }}
context_tokens = 128000
max_output_tokens = 20000
"""
TOKEN = "abc "
IN, OUT = 1_000, 2_000
"""Nano-dollars a token."""


STREAMED = pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])


@pytest.fixture(scope="module")
def store(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    config = CONFIG
    for dialect in SPEECHES:
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"wire-{dialect}", model=f"wire/{dialect}", upstream="x")
        for place in "ab":
            name = f"mock-{place}-{dialect}"
            config += PROVIDER.format(name=name, dialect=dialect, url=f"{upstream.url}/{place}/v1")
            config += ENDPOINT.format(provider=name, model=f"two/{dialect}", upstream="x")
    config += ENDPOINT.format(provider="fake-provider", model="paid/echo", upstream="echo")
    folder = tmp_path_factory.mktemp("broken")
    with full_port() as crowd:
        config += PROVIDER.format(name="mock-full", dialect="chat", url=f"http://127.0.0.1:{crowd}/v1")
        config += ENDPOINT.format(provider="mock-full", model="mock/full", upstream="x")
        with running(folder, config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as gateway:
            store = Store(gateway, folder / "trunkline.db")
            yield store
            store.check()


def asked(nonce: str, model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "input": nonce, "max_output_tokens": 1_000, **more}


def id_of(client: Client) -> str:
    """What a stream's head names as its record."""
    return client.gathered.partition(b"x-generation-id: ")[2].partition(b"\r\n")[0].decode()


def kept(tenant: Tenant) -> dict[str, Any]:
    """The one record of a tenant, which holds nothing any more."""
    tenant.settled()
    eventually(lambda: len(tenant.data("activity")) == 1, "there is no record")
    ((id,),) = tenant.store.rows("SELECT id FROM generations WHERE account_id = ?", tenant.account_id)
    return tenant.record(Reply(200, {"x-generation-id": id}, b""))


def ended(store: Store, id: str) -> Json:
    """The line of the log that tells how a request ended."""

    def found() -> list[Json]:
        lines = store.gateway.log.read_text().splitlines()
        return [json.loads(line) for line in lines if '"request.ended"' in line and id in line]

    eventually(lambda: len(found()) == 1, "no end was noted")
    return found()[0]


FOUND = {"type": "web_search_result", "url": "https://a.example/", "title": "A", "encrypted_content": "EqgB"}
BLOCKS: tuple[Json, ...] = (
    {"type": "server_tool_use", "id": "srvtoolu_01", "name": "web_search", "input": {"query": "news"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_01", "content": [FOUND]},
)
LOOK = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "news"}}
SEARCHED = {
    "messages": SPEECHES["messages"].opening
    + named({"type": "content_block_stop", "index": 0})
    + b"".join(
        named(
            {"type": "content_block_start", "index": index, "content_block": block},
            {"type": "content_block_stop", "index": index},
        )
        for index, block in enumerate(BLOCKS, 1)
    ),
    "responses": named(
        {"type": "response.created", "response": {"id": "r1", "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**LOOK, "status": "in_progress"}},
        {"type": "response.output_item.done", "output_index": 0, "item": LOOK},
    ),
}
"""What a provider says that searches: it has found something, and said nothing of it yet."""


_MESSAGE = {"type": "message", "role": "assistant", "stop_reason": "end_turn", "content": []}
EMPTY: dict[str, Json] = {
    **{name: json.loads(json.dumps(TOLD[name]).replace('"Hello."', '""')) for name in SPEECHES if name != "responses"},
    "messages": {**_MESSAGE, "usage": {"input_tokens": 7, "output_tokens": 3}},
}
"""Answers that say nothing, and what they used."""


BROKEN: dict[str, Json] = {
    "chat": completion("Hello.", "error"),
    "cohere": {**TOLD["cohere"], "finish_reason": "ERROR"},
    "converse": {**TOLD["converse"], "stopReason": "malformed_model_output"},
    "responses": {**TOLD["responses"], "status": "failed", "error": {"code": "server_error", "message": "Broken."}},
}
"""Answers that say themselves that they broke off."""


class TestClientsThatLeave:
    @pytest.mark.parametrize("dialect", SPEECHES)
    def test_MO_14_at_100_of_1000_tokens(self, dialect: str, store: Store, upstream: Upstream, nonce: str) -> None:
        speech, tenant = SPEECHES[dialect], store.tenant(10**9)
        upstream.play(nonce, speech.script([TOKEN] * 1_000, pause_s=0.004))
        with store.gateway.connect() as client:
            client.send(post(asked(nonce, f"wire/{dialect}", stream=True), key=tenant.text))
            client.read_until(b"event: response.output_text.delta\n", 100)
        (seen,) = upstream.seen(nonce)
        assert seen.is_closed_by_client.wait(5)
        sent = (seen.bytes_sent - len(head(200, speech.media_type)) - len(speech.opening)) // len(speech.say(TOKEN))
        assert 100 <= sent < 900
        record = kept(tenant)
        assert (record["id"], record["status"], record["is_estimated"]) == (id_of(client), "cancelled", 1)
        worth = record["input_tokens"] * IN + sent * OUT
        assert 0 < record["charged_nano"] <= record["held_nano"]
        assert abs(record["charged_nano"] - worth) <= worth // 4
        assert tenant.balance().charged == record["charged_nano"]
        line = ended(store, record["id"])
        assert (line["status"], line["ending"], line["attempts"]) == ("cancelled", "left", 1)
        assert Decimal(line["cost_usd"]) == Decimal(usd_text(record["charged_nano"]))

    @pytest.mark.parametrize("dialect", SPEECHES)
    def test_MO_14_what_had_come_by_then_is_charged_to_one_that_waits_for_it_whole(
        self, dialect: str, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        speech, tenant = SPEECHES[dialect], store.tenant(10**9)
        upstream.play(nonce, speech.script([TOKEN] * 100, ending="stall"))
        with store.gateway.connect() as client:
            client.send(post(asked(nonce, f"wire/{dialect}"), key=tenant.text))
            eventually(lambda: bool(upstream.seen(nonce)), "nobody was asked")
            time.sleep(0.2)
        assert upstream.seen(nonce)[0].is_closed_by_client.wait(5)
        record = kept(tenant)
        assert (record["status"], record["output_tokens"]) == ("cancelled", 100)
        assert record["charged_nano"] == record["input_tokens"] * IN + 100 * OUT

    def test_MO_14_of_a_turn_that_was_paused_both_parts_are_charged(
        self, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        speech, tenant = SPEECHES["messages"], store.tenant(10**9)
        pause = {"delta": {"stop_reason": "pause_turn"}, "usage": {"output_tokens": 50}}
        ends = named({"type": "content_block_stop", "index": 0}, {"type": "message_delta", **pause})
        first = speech.script([TOKEN] * 50, rest=ends + named({"type": "message_stop"}))
        upstream.play(nonce, first, speech.script([TOKEN] * 100, ending="stall"))
        with store.gateway.connect() as client:
            client.send(
                post(asked(nonce, "wire/messages", stream=True, tools=[{"type": "web_search"}]), key=tenant.text)
            )
            client.read_until(b"event: response.output_text.delta\n", 150)
        record = kept(tenant)
        assert (record["input_tokens"], record["output_tokens"], record["is_estimated"]) == (40, 150, 1)
        assert record["charged_nano"] == 40 * IN + 150 * OUT

    @STREAMED
    def test_MO_14_past_asgi_as_below_it(self, streams: bool, store: Store, upstream: Upstream, nonce: str) -> None:
        tenant = store.tenant(10**9)
        upstream.play(nonce, SPEECHES["chat"].script([TOKEN] * 100, ending="stall"))
        with store.gateway.connect() as client:
            client.send(post(asked(nonce, "wire/chat", stream=streams), key=tenant.text, path=THROUGH_ASGI))
            eventually(lambda: bool(upstream.seen(nonce)), "nobody was asked")
            time.sleep(0.2)
        assert upstream.seen(nonce)[0].is_closed_by_client.wait(5)
        assert kept(tenant)["charged_nano"] == kept(tenant)["input_tokens"] * IN + 100 * OUT

    @STREAMED
    @pytest.mark.parametrize("model", ["mock/full", "wire/chat"], ids=["that is dialled", "that is silent"])
    def test_before_a_provider_has_answered_costs_nothing(
        self, model: str, streams: bool, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        tenant = store.tenant(10**9)
        upstream.play(nonce, Script([], "stall"))
        with store.gateway.connect() as client:
            client.send(post(asked(nonce, model, stream=streams), key=tenant.text))
            eventually(lambda: tenant.balance().held > 0, "nothing is held")
            time.sleep(0.1)
        record = kept(tenant)
        assert (record["status"], record["charged_nano"], record["house_nano"]) == ("cancelled", 0, 0)
        assert ended(store, record["id"])["attempts"] == 1

    @STREAMED
    def test_while_its_request_is_settled_is_charged_once(
        self, streams: bool, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        tenant = store.tenant(10**9)
        upstream.play(nonce, Script([SPEECHES["chat"].opening, 0.0], "stall"))
        tenant.call(b"{")  # its key is known from here on
        upstream.play(nonce, Script([*_delayed(whole(TOLD["chat"]), 0.5)]))
        with store.gateway.connect() as client:
            client.send(post(asked(nonce, "wire/chat", stream=streams), key=tenant.text))
            eventually(lambda: tenant.balance().held > 0, "nothing is held")
            with store.opened() as connection:
                connection.execute("BEGIN EXCLUSIVE")
                time.sleep(0.8)  # the answer has come by now, and waits for the store
                client.reset()
                time.sleep(0.1)
                connection.execute("ROLLBACK")
        record = kept(tenant)
        assert record["charged_nano"] == 7 * IN + 3 * OUT == tenant.balance().charged


def _delayed(script: Script, pause_s: float) -> list[bytes | float]:
    return [pause_s, *script.steps]


class TestProvidersThatBreakDown:
    @STREAMED
    @pytest.mark.parametrize("dialect", SPEECHES)
    @pytest.mark.parametrize("is_told", [True, False], ids=["as it says", "in silence"])
    def test_rows_2_and_34_what_was_heard_is_charged_with_its_input(
        self, dialect: str, is_told: bool, streams: bool, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        speech, tenant = SPEECHES[dialect], store.tenant(10**9)
        rest = speech.break_down if is_told else b""
        upstream.play(nonce, speech.script([TOKEN] * 200, rest=rest, ending="reset"))
        reply = tenant.call(asked(nonce, f"wire/{dialect}", stream=streams))
        response = events_of(reply, "failed")[-1]["response"] if streams else response_of(reply, "failed")
        usage, record = response["usage"], kept(tenant)
        assert usage["output_tokens"] == record["output_tokens"] == 200
        assert usage["input_tokens"] == record["input_tokens"] == (speech.counted or -(-len(nonce) // 4) + 4)
        charged = usage["input_tokens"] * IN + 200 * OUT
        assert (record["charged_nano"], record["house_nano"], record["is_estimated"]) == (charged, 0, 1)
        assert Decimal(str(usage["cost"])) == Decimal(usd_text(charged))
        line = ended(store, response["id"])
        assert (line["status"], line["attempts"], Decimal(line["cost_usd"])) == (
            "failed",
            1,
            Decimal(usd_text(charged)),
        )

    @STREAMED
    @pytest.mark.parametrize("dialect", BROKEN)
    def test_rows_2_and_34_what_it_counts_itself_is_charged_as_counted(
        self, dialect: str, streams: bool, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        """Of an answer that comes whole and says that it broke off."""
        tenant = store.tenant(10**9)
        upstream.play(nonce, whole(BROKEN[dialect]))
        reply = tenant.call(asked(nonce, f"wire/{dialect}", stream=streams))
        response = events_of(reply, "failed")[-1]["response"] if streams else response_of(reply, "failed")
        record = kept(tenant)
        assert (record["charged_nano"], record["house_nano"], record["is_estimated"]) == (7 * IN + 3 * OUT, 0, 0)
        assert response["usage"]["cost"] == float(usd_text(7 * IN + 3 * OUT))
        assert ended(store, response["id"])["attempts"] == 1

    @STREAMED
    @pytest.mark.parametrize("dialect", SPEECHES)
    def test_MO_15_before_any_output_nothing_is_charged(
        self, dialect: str, streams: bool, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        speech, tenant = SPEECHES[dialect], store.tenant(10**9)
        upstream.play(nonce, speech.script([], rest=speech.break_down, ending="reset"))
        reply = tenant.call(asked(nonce, f"wire/{dialect}", stream=streams))
        assert reply.status >= 500
        assert reply.json["user_id"] == tenant.account_id
        record = kept(tenant)
        assert (record["charged_nano"], record["house_nano"], record["status"]) == (0, 0, "failed")
        assert tenant.balance() == Balance(10**9, 0, 0)
        assert store.rows("SELECT count(*) FROM entries WHERE charge_of = ?", record["id"]) == [(0,)]

    @pytest.mark.parametrize("dialect", EMPTY)
    def test_MO_15_what_an_empty_answer_is_told_to_have_used_is_the_house_s(
        self, dialect: str, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        tenant = store.tenant(10**9)
        upstream.play(nonce, whole(EMPTY[dialect]))
        reply = tenant.call(asked(nonce, f"wire/{dialect}"))
        error_of(reply, 502)
        assert (kept(tenant)["charged_nano"], kept(tenant)["house_nano"]) == (0, 7 * IN + 3 * OUT)

    @pytest.mark.parametrize("dialect", SPEECHES)
    def test_MO_13_half_an_answer_that_another_takes_the_place_of_is_the_house_s(
        self, dialect: str, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        speech, tenant = SPEECHES[dialect], store.tenant(10**9)
        upstream.play(nonce, speech.script([TOKEN] * 200, ending="reset"), host="a")
        upstream.play(nonce, whole(TOLD[dialect]), host="b")
        order = {"order": [f"mock-a-{dialect}", f"mock-b-{dialect}"]}
        usage = response_of(tenant.call(asked(nonce, f"two/{dialect}", provider=order)))["usage"]
        record = kept(tenant)
        assert record["charged_nano"] == usage["input_tokens"] * IN + usage["output_tokens"] * OUT
        read = speech.counted or -(-len(nonce) // 4) + 4
        assert record["house_nano"] == read * IN + 200 * OUT
        (failed,) = tenant.data(f"generation?id={record['id']}")["attempts"]
        assert Decimal(str(failed["cost"])) == Decimal(usd_text(record["house_nano"]))
        assert ended(store, record["id"])["attempts"] == 2

    def test_of_two_halves_the_client_pays_the_one_it_is_told(
        self, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        speech, tenant = SPEECHES["messages"], store.tenant(10**9)
        upstream.play(nonce, speech.script([TOKEN] * 200, ending="reset"), host="a")
        upstream.play(nonce, speech.script([TOKEN] * 100, ending="reset"), host="b")
        order = {"order": ["mock-a-messages", "mock-b-messages"]}
        usage = response_of(tenant.call(asked(nonce, "two/messages", provider=order)), "failed")["usage"]
        record = kept(tenant)
        assert (usage["output_tokens"], record["charged_nano"]) == (100, 20 * IN + 100 * OUT)
        assert record["house_nano"] == 20 * IN + 200 * OUT
        assert ended(store, record["id"])["attempts"] == 2

    @STREAMED
    @pytest.mark.parametrize("dialect", SEARCHED)
    def test_MO_26_a_search_that_was_made_is_charged_once(
        self, dialect: str, streams: bool, store: Store, upstream: Upstream, nonce: str
    ) -> None:
        tenant = store.tenant(10**9)
        opening, broken = SEARCHED[dialect], SPEECHES[dialect].break_down
        upstream.play(nonce, Script([head(200, SPEECHES[dialect].media_type), opening, broken]))
        tools = [{"type": "web_search"}]
        reply = tenant.call(asked(nonce, f"wire/{dialect}", stream=streams, tools=tools))
        response = events_of(reply, "failed")[-1]["response"] if streams else response_of(reply, "failed")
        record = kept(tenant)
        assert (record["searches"], record["cost_fees_nano"]) == (1, 10**7)
        worth = record["input_tokens"] * IN + record["output_tokens"] * OUT + 10**7
        assert (record["charged_nano"], record["house_nano"]) == (worth, 0)
        assert Decimal(str(response["usage"]["cost"])) == Decimal(usd_text(worth))
        assert tenant.data(f"generation?id={record['id']}")["num_searches"] == 1

    @pytest.mark.parametrize("line", ["!cut 4", "!error 503 Gone."])
    def test_MO_26_so_is_what_was_said_of_it(self, line: str, store: Store) -> None:
        tenant = store.tenant()
        text = f"!search what is new\n!text There is news of many things.\n{line}"
        reply = tenant.call(asked(text, "paid/echo", stream=True))
        events_of(reply, "failed")
        record = tenant.record(reply)
        assert (record["searches"], record["cost_fees_nano"], record["house_nano"]) == (1, 10**7, 0)
        assert record["cost_nano"] == record["input_tokens"] * IN + record["output_tokens"] * OUT + 10**7


class TestTheLineOfTheLog:
    FIELDS = (
        "request", "key", "model", "endpoint", "attempts", "status", "ending", "first_token_ms", "took_ms",
        "input_tokens", "output_tokens", "cost_usd",
    )  # fmt: skip

    @STREAMED
    @pytest.mark.parametrize("is_limited", [True, False], ids=["limited", "unlimited"])
    def test_it_says_what_is_on_record(self, streams: bool, is_limited: bool, store: Store) -> None:
        tenant = store.tenant(10**9 if is_limited else None)
        text = "!first 50ms\n!usage input=21 output=12\nSay CANARY-of-a-prompt."
        reply = tenant.call(asked(text, "paid/echo", stream=streams))
        id = (events_of(reply)[-1]["response"] if streams else response_of(reply))["id"]
        line, record = ended(store, id), tenant.record(reply)
        assert set(line) == {*self.FIELDS, "event", "level", "timestamp"}
        assert (line["level"], line["request"], line["key"]) == ("info", id, tenant.key_id)
        assert (line["model"], line["endpoint"], line["attempts"]) == (
            "paid/echo",
            "fake-provider:paid/echo",
            1,
        )
        assert (line["status"], line["ending"]) == ("completed", "ended")
        assert (line["input_tokens"], line["output_tokens"], line["cost_usd"]) == (21, 12, "0.000045")
        assert (record["cost_nano"], record["total_ms"], record["first_token_ms"]) == (
            45_000,
            line["took_ms"],
            line["first_token_ms"],
        )
        if streams:
            assert 50 <= line["first_token_ms"] <= line["took_ms"]
        else:
            assert line["first_token_ms"] is None
        assert "CANARY" not in store.gateway.log.read_text()

    def test_its_cost_is_what_is_charged_and_written_without_exponent(self, store: Store) -> None:
        tenant = store.tenant(10**9)
        reply = tenant.call(asked("!usage input=900000 output=900000\nHi.", "paid/echo"))
        record = tenant.record(reply)
        assert record["charged_nano"] == record["held_nano"]
        assert ended(store, record["id"])["cost_usd"] == usd_text(record["charged_nano"])
        reply = tenant.call(asked("!usage input=0 output=0\nHi.", "paid/echo"))
        assert ended(store, response_of(reply)["id"])["cost_usd"] == "0"

    def test_of_a_request_that_failed(self, store: Store) -> None:
        tenant = store.tenant(10**9)
        reply = tenant.call(asked("!status 500", "paid/echo"))
        error_of(reply, 502)
        line = ended(store, reply.headers["x-generation-id"])
        assert (line["status"], line["ending"], line["attempts"]) == ("failed", "failed", 1)
        assert (line["input_tokens"], line["output_tokens"], line["cost_usd"]) == (None, None, None)
