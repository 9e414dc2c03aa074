"""OpenRouter's newest clients, unchanged, read what is on record: each refuses an answer that lacks a field of its."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import PYTHON, python_required, required
from tests.clients.running import run
from tests.gateway.server import running
from tests.gateway.tenants import Store, Tenant
from tests.npm import OPENROUTER
from tests.recorded import FULL, NOW

CONFIG = "[providers.fake-provider]\nenabled = true\n"
ATTEMPTS = '[{"endpoint":"slow:fake/echo","kind":"silent","status":null,"ms":1500,"is_byok":false}]'

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A tenant whose key has a limit, with one request on record."""
    folder = tmp_path_factory.mktemp("openrouter")
    with running(folder, CONFIG) as gateway:
        store = Store(gateway, folder / "trunkline.db")
        tenant = store.tenant(limit_nano=10**10, limit_reset="monthly", expires_at_ms=NOW + 10**9)
        tenant.keep("resp_sdk", **{**FULL, "attempts": ATTEMPTS})
        yield tenant


def read(command: list[str], tenant: Tenant, folder: Path) -> Any:
    """What a client reads, with the names of the wire."""
    ran = run([*command, tenant.store.gateway.url, tenant.text, "resp_sdk"], folder)
    assert ran.code == 0, ran.err
    return _snake(json.loads(ran.out))


@pytest.fixture(scope="module")
def in_python(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory) -> Any:
    python_required(PYTHON)
    program = OPENROUTER.folder / "read.py"
    return read([str(PYTHON), str(program)], tenant, tmp_path_factory.mktemp("python"))


@pytest.fixture(scope="module")
def in_javascript(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if reason := OPENROUTER.absence():
        required(reason)
    return read(["node", str(OPENROUTER.folder / "read.mjs")], tenant, tmp_path_factory.mktemp("node"))


@pytest.fixture(params=["in_python", "in_javascript"])
def seen(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_a_generation(seen: Any) -> None:
    found = seen["generation"]
    assert (found["id"], found["total_cost"], found["usage"]) == ("resp_sdk", 1.000000001, 1.000000001)
    assert (found["native_tokens_cached"], found["tokens_completion"], found["service_tier"]) == (400, 50, "flex")
    assert (found["finish_reason"], found["session_id"], found["cancelled"]) == ("tool_calls", "s1", False)
    failed, answered = found["provider_responses"]
    assert (failed["endpoint_id"], failed["latency"], failed["status"]) == ("slow:fake/echo", 1500, None)
    assert (answered["id"], answered["provider_name"], answered["status"]) == ("up_1", "FakeProvider", 200)


def test_the_activity(seen: Any) -> None:
    (item,) = seen["activity"]
    assert (item["model"], item["usage"], item["requests"]) == ("fake/echo", 1.000000001, 1)
    assert (item["prompt_tokens"], item["completion_tokens"], item["reasoning_tokens"]) == (1000, 50, 20)


def test_the_credits(seen: Any) -> None:
    assert seen["credits"] == {"total_credits": 0, "total_usage": 1.000000001}


def test_the_key(seen: Any) -> None:
    found = seen["key"]
    assert (found["limit"], found["limit_remaining"], found["limit_reset"]) == (10, 10, "monthly")
    assert (found["usage"], found["usage_monthly"], found["byok_usage"]) == (1.000000001, 1.000000001, 0)
    assert found["free_model_daily_requests"] == {"limit": -1, "remaining": -1, "used": 0}
    assert found["expires_at"].startswith("20")


def test_what_newer_clients_want_besides(in_python: Any) -> None:
    budget = in_python["key"]["effective_budget"]
    assert in_python["key"]["budgets"] == [budget]
    assert (budget["scope"], budget["limit_usd"], budget["remaining_usd"]) == ("key_limit", 10, 10)
    assert in_python["activity"][0]["cached_tokens"] == 400


def test_a_generation_that_is_not_there(seen: Any) -> None:
    assert seen["missing"] == ["NotFoundResponseError", 404]


def _snake(value: Any) -> Any:
    """Names as the wire has them, in place of JavaScript's."""
    if isinstance(value, list):
        return [_snake(each) for each in value]
    if isinstance(value, dict):
        return {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): _snake(inner) for name, inner in value.items()}
    return value
