"""Three gateways on one store and one board: what one of them learns the others know, and what clients see of that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.checks import ask, error_of, response_of
from tests.gateway.server import COMMAND, KEY, PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.tenants import Store
from tests.gateway.upstream import Upstream, completion, whole
from tests.gateway.waiting import eventually
from tests.servers.valkey import Valkey

pytestmark = pytest.mark.usefixtures("nothing_left")

CONFIG = """
[store]
url = "sqlite:///{folder}/shared.db"
counters = "{board}"
[providers.first]
dialect = "chat"
base_url = "{url}/first/v1"
api_key = {{ env = "MOCK_KEY" }}
[providers.second]
dialect = "chat"
base_url = "{url}/second/v1"
api_key = {{ env = "MOCK_KEY" }}
"""
ENDPOINT = """
[[endpoints]]
provider = "{provider}"
model = "mock/{model}"
upstream_model = "nonce-{model}"
price = {{ input = "1", output = "2", cache_read = "0.1" }}
context_tokens = 128000
"""
MODELS = ("dies", "rests", "own", "sticks", "plain")
IN_ORDER = {"order": ["first", "second"]}
BROKEN = whole({"error": {"message": "Broken."}}, 500)


@dataclass
class Nodes:
    """The gateways, and commands run beside them."""

    folder: Path
    gateways: list[Gateway]
    board: Valkey

    def __getitem__(self, place: int) -> Gateway:
        return self.gateways[place]

    @property
    def store(self) -> Store:
        """What they keep."""
        return Store(self[0], self.folder / "shared.db")

    def run(self, *words: str, said: str = "") -> Any:
        """Run a command with the settings of the first node; the document that it tells."""
        ran = subprocess.run(
            [*COMMAND, *words, "--config", "trunkline.toml", "--json"],
            cwd=self.folder / "0",
            input=said,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "MOCK_KEY": PROVIDER_KEY},
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def conditions(self, model: str, provider: str) -> list[str]:
        """What each node holds of an endpoint."""
        return [_planned(gateway, model)[provider]["condition"] for gateway in self.gateways]


@pytest.fixture(scope="module")
def nodes(upstream: Upstream, shared_redis: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    config = CONFIG.format(folder=folder, board=shared_redis.url, url=upstream.url) + "".join(
        ENDPOINT.format(provider=provider, model=model) for model in MODELS for provider in ("first", "second")
    )
    for place in range(3):
        (folder / str(place)).mkdir()
    with ExitStack() as stack:

        def start(place: int) -> Gateway:
            started = running(folder / str(place), config, is_measured=place == 0, MOCK_KEY=PROVIDER_KEY)
            return stack.enter_context(started)

        # The first makes the database; a key that all bring is added by one.
        gateways = [start(0)]
        with ThreadPoolExecutor() as pool:
            gateways += pool.map(start, (1, 2))
        yield Nodes(folder, gateways, shared_redis)


def test_an_endpoint_that_dies_at_one_node_is_left_alone_by_all(nodes: Nodes, upstream: Upstream) -> None:
    request = ask("mock/dies", provider=IN_ORDER)
    for gateway in nodes.gateways * 4:
        assert gateway.call(request).headers["x-trunkline-provider"] == "first"
    upstream.play("nonce-dies", BROKEN, host="first")
    for _ in range(5):
        assert nodes[0].call(request).headers["x-trunkline-provider"] == "second"
    eventually(lambda: nodes.conditions("mock/dies", "first") == ["ejected"] * 3, "it is not known everywhere")
    asked = len(upstream.seen("nonce-dies", "first"))
    for gateway in nodes.gateways * 20:
        assert gateway.call(request).headers["x-trunkline-provider"] == "second"
    assert len(upstream.seen("nonce-dies", "first")) == asked


def test_a_limit_that_one_node_meets_holds_everywhere_until_it_is_over(nodes: Nodes, upstream: Upstream) -> None:
    request = ask("mock/rests", provider=IN_ORDER)
    limited = whole({"error": {"message": "Slow down."}}, 429, retry_after="2")
    upstream.play("nonce-rests", limited, host="first")
    response_of(nodes[0].call(request))
    eventually(lambda: nodes.conditions("mock/rests", "first") == ["ejected"] * 3, "it is not known everywhere")
    upstream.play("nonce-rests", whole(completion()), host="first")
    eventually(lambda: "ejected" not in nodes.conditions("mock/rests", "first"), "it stays set aside")


def test_what_is_wrong_with_a_clients_own_key_stays_where_it_was_met(nodes: Nodes, upstream: Upstream) -> None:
    tenant = nodes.store.tenant()
    key = tenant.text
    nodes.run(
        "byok", "add", "--account", tenant.account_id, "--provider", "first", "--only", said="sk-own-0123456789abcdef"
    )
    upstream.play("nonce-own", whole({"error": {"message": "Bad key."}}, 401), host="first")
    request = ask("mock/own", provider=IN_ORDER)
    for _ in range(3):
        response_of(nodes[0].call(request, key=key))
    time.sleep(1.2)
    upstream.play("nonce-own", whole(completion()), host="first")
    for gateway in nodes.gateways:
        assert _planned(gateway, "mock/own")["first"]["condition"] == "stable"
    assert nodes[1].call(request, key=key).headers["x-trunkline-provider"] == "first"


def test_RT_12_a_conversation_that_goes_on_elsewhere_finds_its_prompt_cache(nodes: Nodes) -> None:
    def is_sticky(place: int, session: str) -> dict[str, bool]:
        planned = _planned(nodes[place], "mock/sticks", session_id=session)
        return {provider: each["is_sticky"] for provider, each in planned.items()}

    served = nodes[0].call(ask("mock/sticks", session_id="a")).headers["x-trunkline-provider"]
    eventually(lambda: is_sticky(1, "a")[served], "the other node does not know it")
    assert [each for each, sticks in is_sticky(2, "a").items() if sticks] == [served]
    assert not any(is_sticky(1, "b").values())


def test_TN_01_any_node_explains_a_request_to_its_own_account(nodes: Nodes) -> None:
    other = nodes.store.tenant().text
    reply = nodes[0].call(ask("mock/plain"))
    id = response_of(reply)["id"]
    here, there = explanation(nodes[0], id), explanation(nodes[2], id)
    assert here.status == there.status == 200
    assert there.json == here.json
    assert there.json["answered_by"].startswith(("first", "second"))
    assert explanation(nodes[1], reply.headers["x-request-id"]).json == here.json
    error_of(explanation(nodes[1], id, other), 404)
    error_of(explanation(nodes[1], "resp_" + "0" * 24), 404)
    error_of(explanation(nodes[1], "resp_nothing"), 404)


def test_AU_06_a_key_that_is_revoked_is_refused_at_once_by_every_node(nodes: Nodes) -> None:
    tenant = nodes.store.tenant()
    assert _statuses(nodes, tenant.text) == [200] * 3
    nodes.run("keys", "revoke", tenant.key_id)
    _refused(nodes, tenant.text)


def test_AU_06_the_old_text_of_a_key_is_refused_and_the_new_one_taken(nodes: Nodes) -> None:
    tenant = nodes.store.tenant()
    assert _statuses(nodes, tenant.text) == [200] * 3
    rotated = nodes.run("keys", "rotate", tenant.key_id)
    assert _statuses(nodes, rotated["key"]) == [200] * 3
    _refused(nodes, tenant.text)


def test_AU_16_the_keys_of_an_account_are_refused_and_taken_again(nodes: Nodes) -> None:
    tenant = nodes.store.tenant()
    assert _statuses(nodes, tenant.text) == [200] * 3
    nodes.run("accounts", "disable", tenant.account_id)
    _refused(nodes, tenant.text)
    nodes.run("accounts", "enable", tenant.account_id)
    eventually(lambda: _statuses(nodes, tenant.text) == [200] * 3, "it is not taken again", within_s=3)


def test_without_the_board_each_node_goes_by_what_it_knows(nodes: Nodes) -> None:
    id = response_of(nodes[0].call(ask("mock/plain")))["id"]
    tenant = nodes.store.tenant()
    with nodes.board.paused():
        assert nodes.run("keys", "revoke", tenant.key_id)["state"] == "revoked"
        for gateway in nodes.gateways:
            response_of(gateway.call(ask("mock/plain")))
        assert explanation(nodes[0], id).status == 200
        error_of(explanation(nodes[1], id), 404)
    eventually(lambda: explanation(nodes[1], id).status == 200, "the nodes do not hear each other again", within_s=15)


def test_where_no_board_is_set_nothing_of_this_is_loaded(tmp_path: Path) -> None:
    program = """
import sys, time
import trunkline.cli.main
from trunkline.app import create
from trunkline.inventory import load_catalog
from trunkline.cli.configuration import read_settings
from trunkline.stopping import Stopping
settings, _ = read_settings(None)
create(settings, load_catalog(settings), Stopping(1.0, time.monotonic))
ours = ("trunkline.nodes", "trunkline.gossip", "trunkline.routing.joint", "trunkline.routing.others", "redis",
    "trunkline.accounts.shared_rates", "trunkline.store.board", "trunkline.store.breaker", "trunkline.store.valkey")
print(sorted(name for name in sys.modules if name.startswith(ours)))
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout == "[]\n", ran.stderr


def explanation(gateway: Gateway, id: str, key: str = KEY) -> Reply:
    return gateway.request("GET", f"/api/v1/responses/{id}/explanation", headers={"authorization": f"Bearer {key}"})


def _planned(gateway: Gateway, model: str, **more: Any) -> dict[str, dict[str, Any]]:
    """What a node would do with a request, by provider."""
    reply = gateway.call(ask(model, **more), path="/api/v1/responses/explain")
    assert reply.status == 200, reply.body
    return {each["provider"]: each for each in reply.json["order"]}


def _statuses(nodes: Nodes, key: str) -> list[int]:
    return [gateway.call(ask("mock/plain"), key=key).status for gateway in nodes.gateways]


def _refused(nodes: Nodes, key: str) -> None:
    eventually(lambda: _statuses(nodes, key) == [401] * 3, "a node still takes it", within_s=3)
