"""What is on record, over HTTP: whose it is, what it comes to, in the shapes that OpenRouter's clients read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from openrouter import OpenRouter
from openrouter.errors import BadRequestResponseError, NotFoundResponseError

from tests.gateway.checks import error_of
from tests.gateway.server import running
from tests.gateway.tenants import Store, Tenant
from tests.recorded import FULL, NOW, TODAY
from trunkline.days import DAY_MS

CONFIG = """
[server]
origins = ["https://console.example"]
[providers.fake-provider]
enabled = true
"""
PATHS = ("generation?id=resp_none", "activity", "key", "credits")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("records")
    with running(folder, CONFIG, is_measured=True) as gateway:
        yield Store(gateway, folder / "trunkline.db")


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """No provider is asked here."""


@pytest.fixture
def new_tenant(store: Store) -> Callable[..., Tenant]:
    return store.tenant


@pytest.fixture
def tenant(new_tenant: Callable[..., Tenant]) -> Tenant:
    return new_tenant()


def test_names_begin_with_when_they_were_drawn(tenant: Tenant) -> None:
    names = [tenant.get("key").headers["x-request-id"] for _ in range(70)]  # of more than one draw
    read = [re.fullmatch(r"req_([0-9a-f]{10})[0-9a-f]{14}", name) for name in names]
    moments = [int(each[1], 16) / 256 for each in read if each is not None]
    assert len(moments) == len(set(names)) == 70
    assert moments == sorted(moments)
    assert time.time() - 3_600 < moments[0] <= moments[-1] <= time.time()


def test_a_record_is_seen_as_soon_as_its_end_is_by_gateway_neighbour_and_command(store: Store, tmp_path: Path) -> None:
    """A record that comes alone is in the database a quarter of a second later."""
    tenant = store.tenant(None)
    config = f'{CONFIG}[store]\nurl = "sqlite:///{store.path}"\n'
    with running(tmp_path, config, key=None) as neighbour:
        for ask_neighbour in (False, True, False, True):
            time.sleep(0.02)  # alone
            reply = tenant.call({"model": "fake/echo", "input": "a"})
            path = f"generation?id={reply.json['id']}"
            if ask_neighbour:
                headers = {"authorization": f"Bearer {tenant.text}"}
                assert neighbour.request("GET", f"/api/v1/{path}", headers=headers).status == 200
            else:
                assert tenant.data(path)["id"] == reply.json["id"]
    reply = tenant.call({"model": "fake/echo", "input": "a"})
    shown = [sys.executable, "-m", "trunkline", "requests", "show", reply.json["id"], "--json"]
    ran = subprocess.run(shown, cwd=store.path.parent, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["id"] == reply.json["id"]


class TestGeneration:
    def test_all_that_is_kept_is_told(self, tenant: Tenant) -> None:
        tenant.keep("resp_full", **FULL)
        told = tenant.data("generation?id=resp_full")
        assert told["id"] == "resp_full"
        assert told["request_id"] == "req_full"
        assert told["created_at"] == f"{date.fromtimestamp(0) + timedelta(days=TODAY)}T00:01:00.000Z"
        assert (told["model"], told["provider_name"], told["upstream_id"]) == ("fake/echo", "FakeProvider", "up_1")
        assert (told["streamed"], told["cancelled"], told["is_byok"], told["is_estimated"]) == (
            True,
            False,
            False,
            True,
        )
        assert (told["finish_reason"], told["service_tier"], told["status"]) == ("tool_calls", "flex", "completed")
        assert (told["tokens_prompt"], told["native_tokens_cached"], told["native_tokens_reasoning"]) == (1000, 400, 20)
        assert (told["tokens_completion"], told["native_tokens_completion_images"]) == (50, 5)
        assert (told["num_media_completion"], told["num_searches"]) == (1, 2)
        assert (told["latency"], told["generation_time"], told["first_token_time"]) == (140, 100, 90)
        assert (told["session_id"], told["external_user"], told["dropped"]) == ("s1", "u1", ["top_k", "seed"])
        assert told["price_id"] == 3

    def test_the_total_is_what_was_charged_of_what_was_held_and_the_rest_the_house_s(self, tenant: Tenant) -> None:
        tenant.keep("resp_sums", **FULL)
        told = tenant.data("generation?id=resp_sums")
        assert told["total_cost"] == told["usage"] == 1.000000001
        assert told["house_cost"] == 0.23456789
        assert told["held"] == 1.000000001
        parts = [Decimal(str(told[name])) for name in ("input_cost", "output_cost", "fees_cost")]
        assert sum(parts) == Decimal("1.234567891")

    def test_where_nothing_is_held_the_total_is_the_cost(self, tenant: Tenant) -> None:
        tenant.keep("resp_unlimited", cost_nano=5, charged_nano=0)
        told = tenant.data("generation?id=resp_unlimited")
        assert (told["total_cost"], told["held"]) == (5e-9, None)

    @pytest.mark.parametrize(
        ("nano", "written"),
        [
            (1, "0.000000001"),
            (0, "0"),
            (10_000_000_000, "10"),
            (123_456_789_123, "123.456789123"),
            (3 * 10**17, "3" + "0" * 8),
        ],
    )
    def test_money_is_exact_and_plain(self, tenant: Tenant, nano: int, written: str) -> None:
        tenant.keep(f"resp_money_{nano}", cost_nano=nano)
        body = tenant.get(f"generation?id=resp_money_{nano}").body.decode()
        assert re.findall(r'"total_cost":([^,}]*)', body) == [written]

    @pytest.mark.parametrize(
        ("status", "stop", "finish", "is_cancelled"),
        [
            ("incomplete", "length", "length", False),
            ("incomplete", "content_filter", "content_filter", False),
            ("failed", None, "error", False),
            ("cancelled", None, None, True),
            ("lost", None, None, False),
        ],
    )
    def test_how_it_ended(
        self, tenant: Tenant, status: str, stop: str | None, finish: str | None, is_cancelled: bool
    ) -> None:
        tenant.keep(f"resp_{status}_{stop}", status=status, stop=stop)
        told = tenant.data(f"generation?id=resp_{status}_{stop}")
        assert (told["status"], told["finish_reason"], told["cancelled"]) == (status, finish, is_cancelled)

    def test_the_id_of_the_request_leads_there_too(self, tenant: Tenant) -> None:
        tenant.keep("resp_both")
        assert tenant.data("generation?id=req_both")["id"] == "resp_both"

    def test_a_failed_request_that_reached_nobody(self, tenant: Tenant) -> None:
        tenant.keep("resp_nobody", status="failed", stop=None, endpoint_id=None, provider=None)
        told = tenant.data("generation?id=resp_nobody")
        assert (told["provider_name"], told["provider_responses"]) == (None, [])

    @pytest.mark.parametrize(
        ("status", "output_tokens", "statuses"),
        [
            ("completed", 0, [503, 200]),
            ("cancelled", 5, [503, 200]),
            ("cancelled", 0, [503, None]),
            ("failed", 0, [503]),
            ("lost", 0, [503]),
        ],
    )
    def test_every_attempt_and_the_answer_last(
        self, tenant: Tenant, status: str, output_tokens: int, statuses: list[int | None]
    ) -> None:
        tried = {"endpoint": "fake-provider/x:m", "kind": "overloaded", "status": 503, "ms": 7, "is_byok": True}
        kept = [{**tried, "cost_usd": "0.000000012"}]
        id = f"resp_tried_{status}_{output_tokens}"
        tenant.keep(id, status=status, output_tokens=output_tokens, attempts=json.dumps(kept))
        told = tenant.data(f"generation?id={id}")
        assert [each["status"] for each in told["provider_responses"]] == statuses
        first = told["provider_responses"][0]
        assert (first["provider_name"], first["latency"], first["is_byok"]) == ("FakeProvider", 7, True)
        assert told["attempts"] == [{**tried, "cost": 12e-9}]

    def test_TN_01_another_tenant_s_record_is_as_unknown_as_one_that_never_was(
        self, new_tenant: Callable[..., Tenant]
    ) -> None:
        owner, other = new_tenant(), new_tenant()
        owner.keep("resp_secret")
        refused, unknown = other.get("generation?id=resp_secret"), other.get("generation?id=resp_nothing")
        assert error_of(refused, 404)["message"].replace("secret", "nothing") == error_of(unknown, 404)["message"]
        assert owner.get("generation?id=resp_secret").status == 200

    def test_TN_06_an_answer_of_another_tenant_is_as_little_known_to_a_request_as_ones_own(
        self, new_tenant: Callable[..., Tenant]
    ) -> None:
        """No answer is kept that could be gone on from: whoever names one is told so, and nothing of it."""
        owner, other = new_tenant(), new_tenant()
        body = {"model": "fake/echo", "input": "Hi."}
        id = owner.call(body).headers["x-generation-id"]
        told = [
            error_of(tenant.call({**body, "previous_response_id": named}), 400)["message"].replace(named, "resp_…")
            for tenant, named in ((owner, id), (other, id), (other, "resp_nothing"))
        ]
        assert "whole conversation" in told[0]
        assert told == told[:1] * 3

    def test_an_unknown_id_says_what_to_send(self, tenant: Tenant) -> None:
        assert "x-generation-id" in error_of(tenant.get("generation?id=resp_nothing"), 404)["message"]

    @pytest.mark.parametrize("query", ["", "?id=", "?generation=resp_1"])
    def test_a_missing_id_is_a_400(self, tenant: Tenant, query: str) -> None:
        error = error_of(tenant.get(f"generation{query}"), 400)
        assert error["metadata"]["param"] == "id"
        assert "/api/v1/generation?id=resp_" in error["message"]

    @pytest.mark.parametrize("id", ["x" * 5000, "%00", "%F0%9F%98%80", "'%3B--", "%FF%FE", "resp_"])
    def test_a_strange_id_is_unknown(self, tenant: Tenant, id: str) -> None:
        error_of(tenant.get(f"generation?id={id}"), 404)


class TestActivity:
    def test_a_day_of_a_model_at_a_provider_is_one_item(self, tenant: Tenant) -> None:
        tenant.keep("resp_a1", **FULL)
        tenant.keep("resp_a2", **{**FULL, "key_id": "key_other"})
        tenant.keep("resp_a3", model="acme/small", provider="acme", is_byok=True, cost_nano=0, upstream_nano=1500)
        byok, fake = tenant.data("activity")
        assert fake == {
            "date": (date(1970, 1, 1) + timedelta(days=TODAY)).isoformat(),
            "model": "fake/echo",
            "model_permaslug": "fake/echo",
            "endpoint_id": "fake-provider:fake/echo",
            "provider_name": "FakeProvider",
            "usage": 2.000000002,
            "byok_usage_inference": 0,
            "requests": 2,
            "prompt_tokens": 2000,
            "completion_tokens": 100,
            "reasoning_tokens": 40,
            "cached_tokens": 800,
        }
        assert (byok["usage"], byok["byok_usage_inference"], byok["provider_name"]) == (0, 0.0000015, "acme")

    def test_without_a_date_thirty_days_and_today_are_told_newest_first(self, tenant: Tenant) -> None:
        for before in (0, 1, 30, 31):
            tenant.keep(f"resp_day_{before}_{tenant.key_id}", created_at_ms=NOW - before * DAY_MS)
        days = [date.fromisoformat(item["date"]) for item in tenant.data("activity")]
        today = datetime.now(UTC).date()
        assert days == [today - timedelta(days=before) for before in (0, 1, 30)]

    def test_one_day_is_a_day_of_utc(self, tenant: Tenant) -> None:
        midnight = (TODAY - 40) * DAY_MS
        for at in (midnight - 1, midnight, midnight + DAY_MS - 1, midnight + DAY_MS):
            tenant.keep(f"resp_at_{at}_{tenant.key_id}", created_at_ms=at)
        day = (date(1970, 1, 1) + timedelta(days=TODAY - 40)).isoformat()
        (item,) = tenant.data(f"activity?date={day}")
        assert (item["date"], item["requests"]) == (day, 2)

    @pytest.mark.parametrize("text", ["", "today", "2026-13-01", "20261127", "2026-W48-5", "2026-11-27T00:00:00Z"])
    def test_a_date_that_is_none_is_a_400(self, tenant: Tenant, text: str) -> None:
        error = error_of(tenant.get(f"activity?date={text}"), 400)
        assert error["metadata"]["param"] == "date"
        assert "YYYY-MM-DD" in error["message"]

    def test_a_wish_that_would_change_the_figures_is_refused(self, tenant: Tenant) -> None:
        assert error_of(tenant.get("activity?api_key_hash=x"), 400)["metadata"]["param"] == "api_key_hash"

    def test_TN_01_another_tenant_s_requests_are_in_no_sum(self, new_tenant: Callable[..., Tenant]) -> None:
        owner, other = new_tenant(), new_tenant()
        owner.keep("resp_mine", cost_nano=9)
        assert other.data("activity") == []
        assert other.data("credits") == {"total_credits": 0, "total_usage": 0}
        assert other.data("key")["usage"] == 0
        assert owner.data("key")["usage"] == 9e-9


class TestCredits:
    def test_an_account_without_limit_has_used_what_its_requests_cost(self, tenant: Tenant) -> None:
        tenant.keep("resp_c1", cost_nano=3)
        tenant.keep("resp_c2", cost_nano=4, created_at_ms=NOW - 400 * DAY_MS, key_id="key_other")
        assert tenant.data("credits") == {"total_credits": 0, "total_usage": 7e-9}

    def test_an_account_with_credits_has_used_what_it_was_charged(self, tenant: Tenant) -> None:
        tenant.store.rows("INSERT INTO budgets VALUES (?, 5000000000, 1000000001, 30)", tenant.account_id)
        assert tenant.data("credits") == {"total_credits": 5, "total_usage": 1.000000001}


class TestKey:
    def test_a_key_without_limit(self, tenant: Tenant) -> None:
        told = tenant.data("key")
        assert (told["limit"], told["limit_remaining"], told["limit_reset"], told["effective_budget"]) == (None,) * 4
        assert (told["budgets"], told["expires_at"], told["include_byok_in_limit"]) == ([], None, False)
        assert (told["key_id"], told["creator_user_id"]) == (tenant.key_id, tenant.account_id)
        assert told["label"].startswith("team ")

    def test_what_it_spent_ever_and_in_this_day_week_and_month(self, tenant: Tenant) -> None:
        today = date(1970, 1, 1) + timedelta(days=TODAY)
        ages = range(45)
        for age in ages:
            changes = {"cost_nano": 10**age if age < 9 else 10**9, "upstream_nano": 1, "is_byok": True}
            tenant.keep(f"resp_s{age}_{tenant.key_id}", created_at_ms=NOW - age * DAY_MS, **changes)
        told = tenant.data("key")
        week = [age for age in ages if age <= today.weekday()]
        month = [age for age in ages if (today - timedelta(days=age)).replace(day=1) == today.replace(day=1)]
        for name, counted in (("", ages), ("_daily", [0]), ("_weekly", week), ("_monthly", month)):
            cost = sum(10 ** min(age, 9) for age in counted)
            assert Decimal(str(told[f"usage{name}"])) == Decimal(cost).scaleb(-9), name
            assert Decimal(str(told[f"byok_usage{name}"])) == Decimal(len(counted)).scaleb(-9), name

    @pytest.mark.parametrize("reset", [None, "daily", "weekly", "monthly"])
    def test_a_limit_and_what_is_left_of_it_in_this_period(
        self, new_tenant: Callable[..., Tenant], reset: str | None
    ) -> None:
        tenant = new_tenant(limit_nano=2 * 10**9, limit_reset=reset, byok_counts=True)
        told = tenant.data("key")
        assert (told["limit"], told["limit_remaining"], told["limit_reset"]) == (2, 2, reset)
        today = date(1970, 1, 1) + timedelta(days=TODAY)
        start = {"daily": today, "weekly": today - timedelta(days=today.weekday()), "monthly": today.replace(day=1)}
        end = {
            "daily": today + timedelta(days=1),
            "weekly": start["weekly"] + timedelta(days=7),
            "monthly": (today.replace(day=1) + timedelta(days=32)).replace(day=1),
        }
        budget = tenant.key_id if reset is None else f"{tenant.key_id}@{start[reset]}"
        tenant.store.rows("INSERT INTO budgets VALUES (?, 2000000000, 300000000, 200000001)", budget)
        told = tenant.data("key")
        assert told["limit_remaining"] == 1.499999999
        assert told["include_byok_in_limit"] is True
        (found,) = told["budgets"]
        assert told["effective_budget"] == found
        assert (found["spend_usd"], found["remaining_usd"], found["scope"]) == (0.500000001, 1.499999999, "key_limit")
        assert found["resets_at"] == (None if reset is None else f"{end[reset]}T00:00:00.000Z")

    def test_a_limit_that_was_lowered_below_what_is_spent_leaves_nothing(
        self, new_tenant: Callable[..., Tenant]
    ) -> None:
        tenant = new_tenant(limit_nano=1)
        tenant.store.rows("INSERT INTO budgets VALUES (?, 500, 300, 200)", tenant.key_id)
        told = tenant.data("key")
        assert (told["limit"], told["limit_remaining"]) == (1e-9, 0)


class TestEveryPath:
    @pytest.mark.parametrize("path", PATHS)
    def test_it_wants_a_key(self, store: Store, path: str) -> None:
        reply = store.gateway.request("GET", f"/api/v1/{path}")
        error_of(reply, 401)

    @pytest.mark.parametrize("path", PATHS)
    def test_it_answers_without_api_too_and_other_methods_are_refused(self, tenant: Tenant, path: str) -> None:
        headers = {"authorization": f"Bearer {tenant.text}"}
        gateway = tenant.store.gateway
        assert gateway.request("GET", f"/v1/{path}", headers=headers).body == tenant.get(path).body
        assert gateway.request("POST", f"/api/v1/{path}", b"{}", headers).status == 405

    @pytest.mark.parametrize("path", PATHS)
    def test_pages_of_named_origins_may_read_it(self, tenant: Tenant, path: str) -> None:
        reply = tenant.get(path, origin="https://console.example")
        assert reply.headers["access-control-allow-origin"] == "https://console.example"

    def test_an_error_names_the_account(self, tenant: Tenant) -> None:
        assert tenant.get("generation?id=resp_none").json["user_id"] == tenant.account_id


class TestThePage:
    """docs/reference/records.md names every field that is told, and no other."""

    PAGE = Path(__file__).parents[2] / "docs" / "reference" / "records.md"

    @pytest.mark.parametrize(
        ("path", "title"),
        [
            ("generation?id=resp_page", "## One"),
            ("activity", "## Day"),
            ("credits", "## The account"),
            ("key", "## The k"),
        ],
    )
    def test_it_names_every_field(self, tenant: Tenant, path: str, title: str) -> None:
        id = f"resp_page_{tenant.key_id}"
        tenant.keep(id, **FULL)
        told = tenant.data(path.replace("resp_page", id))
        fields = set(told[0] if isinstance(told, list) else told)
        (section,) = [
            each for each in re.split(r"^(?=## )", self.PAGE.read_text(), flags=re.MULTILINE) if title in each
        ]
        rows = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
        named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
        beside = section.rpartition("|\n\n")[2]
        named |= fields & set(re.findall(r"`(\w+)`", beside))
        assert named == fields


def client(tenant: Tenant) -> OpenRouter:
    return OpenRouter(api_key=tenant.text, server_url=tenant.store.gateway.url + "/api/v1")


class TestSdk:
    """The public Python client, unchanged, with its own reading of every answer."""

    def test_it_reads_a_generation(self, tenant: Tenant) -> None:
        tenant.keep("resp_sdk", **FULL)
        with client(tenant) as sdk:
            found = sdk.generations.get_generation(id="resp_sdk").data
        assert (found.total_cost, found.usage, found.native_tokens_reasoning) == (1.000000001, 1.000000001, 20)
        assert (found.finish_reason, found.provider_name, found.cancelled) == ("tool_calls", "FakeProvider", False)

    def test_it_knows_a_missing_generation_and_a_bad_date(self, tenant: Tenant) -> None:
        with client(tenant) as sdk:
            with pytest.raises(NotFoundResponseError, match="x-generation-id"):
                sdk.generations.get_generation(id="resp_nothing")
            with pytest.raises(BadRequestResponseError, match="YYYY-MM-DD"):
                sdk.analytics.get_user_activity(date_="yesterday")

    # The client warns of fields of its own, which the API still wants.
    @pytest.mark.filterwarnings("ignore:warning:DeprecationWarning")
    def test_it_reads_activity_credits_and_key(self, new_tenant: Callable[..., Tenant]) -> None:
        tenant = new_tenant(limit_nano=10**9, limit_reset="weekly", expires_at_ms=NOW + 10**9)
        tenant.keep("resp_for_sums", **FULL)
        with client(tenant) as sdk:
            (item,) = sdk.analytics.get_user_activity().data
            credits = sdk.credits.get_credits()
            key = sdk.api_keys.get_current_key_metadata().data
        assert (item.usage, item.requests, item.prompt_tokens) == (1.000000001, 1, 1000)
        assert credits.data.total_usage == 1.000000001
        assert (key.limit, key.limit_remaining, key.limit_reset, key.usage) == (1, 1, "weekly", 1.000000001)
        assert key.expires_at == datetime.fromtimestamp((NOW + 10**9) / 1000, UTC)
