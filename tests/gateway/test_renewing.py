"""A gateway that runs takes a newer list of models: what clients see of it, and of a list that is no good."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.lists import SHIPPED, Site, mock_model, newer, served
from tests.gateway.checks import ask, error_of, events_of, response_of, text_of
from tests.gateway.server import COMMAND, KEY, PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.tenants import Store
from tests.gateway.upstream import (
    Script,
    Seen,
    Upstream,
    chunk,
    completion,
    head,
    ordinary,
    sse,
    stream,
    usage_chunk,
    whole,
)
from tests.gateway.waiting import eventually
from trunkline.catalog.rows import ModelsFile
from trunkline.store.rows import ListRow
from trunkline.store.statements.model_lists import keep_list

CONFIG = """
[catalog]
url = "{list}"
[providers.mock]
dialect = "chat"
base_url = "{url}/chat/v1"
api_key = {{ env = "MOCK_KEY" }}
[[endpoints]]
provider = "mock"
model = "mock/own"
price = {{ input = "1", output = "1" }}
[search.exa]
kind = "exa"
base_url = "{url}/exa"
api_key = {{ env = "MOCK_KEY" }}
timeout = "20 s"
"""
WITHIN_S = 8.0
"""Five seconds, and what a busy machine adds."""


def listed(**prices: str) -> ModelsFile:
    """The shipped list with these models of ours: the price of a million tokens, in or out, in USD."""
    ours = [mock_model(f"mock/{name}", "mock", price) for name, price in prices.items()]
    return newer(models=(*SHIPPED.models, *ours))


@dataclass
class Scene:
    """A gateway, the server of its lists and the commands beside it."""

    gateway: Gateway
    store: Store
    site: Site
    folder: Path
    fetched: int = 0

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "catalog", *words, "--config", "trunkline.toml"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "MOCK_KEY": PROVIDER_KEY},
        )

    def update(self, file: ModelsFile, *options: str) -> subprocess.CompletedProcess[str]:
        """Have the command fetch a list."""
        self.fetched += 1
        self.site.puts(file, f'"{self.fetched}"')
        return self.run("update", *options)

    def take(self, file: ModelsFile, *models: str) -> None:
        """Have the gateway use a list, of which these are ours."""
        ran = self.update(file)
        assert ran.returncode == 0, ran.stderr
        self.await_models(*models)

    def await_models(self, *models: str) -> None:
        wanted = {"mock/own", *models}
        eventually(lambda: self.models() == wanted, f"it does not serve {wanted} alone", WITHIN_S)

    def models(self) -> set[str]:
        reply = self.get("models")
        assert reply.status == 200
        return {model["id"] for model in reply.json["data"] if model["id"].startswith("mock/")}

    def get(self, path: str) -> Reply:
        return self.gateway.request("GET", f"/api/v1/{path}", headers={"authorization": f"Bearer {KEY}"})

    def cost(self, model: str) -> Decimal:
        """What a request for a model is charged: seven tokens in and three out."""
        usage = response_of(self.gateway.call(ask(model)))["usage"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (7, 3)
        return Decimal(str(usage["cost"]))

    def log(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.gateway.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


@pytest.fixture(scope="module")
def scene(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("renewing")
    with served() as site:
        config = CONFIG.format(url=upstream.url, list=site.url)
        with running(folder, config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as gateway:
            yield Scene(gateway, Store(gateway, folder / "trunkline.db"), site, folder)


@pytest.mark.usefixtures("nothing_left")
def test_a_newer_list_is_served_from_and_charged_by_while_requests_go_on(scene: Scene, upstream: Upstream) -> None:
    error_of(scene.gateway.call(ask("mock/new")), 404)
    scene.take(listed(new="100", old="100"), "mock/new", "mock/old")
    assert scene.cost("mock/new") == Decimal("0.001")

    began, rest = (
        sse([chunk("", role="assistant"), chunk("Hel")]),
        sse([chunk("lo."), chunk(finish="stop"), usage_chunk(), "[DONE]"]),
    )
    nonce = upstream.play("nonce-under-way", Script([head(200, "text/event-stream"), began, 6.0, rest]))
    under_way: list[Reply] = []
    asking = threading.Thread(target=lambda: under_way.append(scene.gateway.call(ask("mock/old", nonce, stream=True))))
    asking.start()
    eventually(lambda: bool(upstream.seen(nonce)), "nobody is asked")
    scene.take(listed(new="300"), "mock/new")

    assert scene.cost("mock/new") == Decimal("0.003")
    assert error_of(scene.gateway.call(ask("mock/old")), 404)["metadata"]["error_type"] == "not_found"
    assert scene.get("models/mock/old").status == 404
    asking.join(20)
    events = events_of(under_way[0])
    assert text_of(events) == "Hello."
    assert Decimal(str(events[-1]["response"]["usage"]["cost"])) == Decimal("0.001")
    assert scene.cost("mock/own") == Decimal("0.00001")
    first, second = scene.log("catalog.changed")[:2]
    assert (first["added"], first["removed"], first["repriced"]) == (2, 0, 0)
    assert (second["added"], second["removed"], second["repriced"]) == (0, 1, 1)


@pytest.mark.usefixtures("nothing_left")
def test_an_answer_keeps_model_and_price_over_its_search(scene: Scene, upstream: Upstream) -> None:
    scene.take(listed(gone="100", dearer="100"), "mock/gone", "mock/dearer")
    cases = [("gone", True), ("gone", False), ("dearer", True)]
    replies: dict[tuple[str, bool], Reply] = {}

    def call(model: str, is_stream: bool) -> None:
        nonce = f"nonce-searching-{model}-{is_stream}".lower()
        function = {"name": "web_search", "arguments": json.dumps({"query": nonce})}
        called = [{"index": 0, "id": "call_0", "type": "function", "function": function}]
        turn = stream(
            [chunk("Let me see."), chunk(tool_calls=called), chunk(finish="tool_calls"), usage_chunk(), "[DONE]"]
        )
        if not is_stream:
            turn = whole(completion("Let me see.", "tool_calls", tool_calls=called))
        upstream.play(nonce, turn, ordinary(Seen("/", {}, json.dumps({"stream": is_stream}).encode())), host="chat")
        upstream.play(nonce, Script([head(), 7.0, b'{"results":[]}']), host="exa")
        body = ask(f"mock/{model}", nonce, stream=is_stream, tools=[{"type": "web_search"}])
        replies[model, is_stream] = scene.gateway.call(body)

    asking = [threading.Thread(target=call, args=each) for each in cases]
    for each in asking:
        each.start()
    eventually(lambda: len(upstream.seen("nonce-searching", "exa")) == len(cases), "nobody searches")
    scene.take(listed(dearer="300"), "mock/dearer")
    for each in asking:
        each.join(30)
    for (model, is_stream), reply in replies.items():
        response = events_of(reply)[-1]["response"] if is_stream else response_of(reply)
        assert [item["type"] for item in response["output"]] == ["message", "web_search_call", "message"]
        assert (model, Decimal(str(response["usage"]["cost"]))) == (model, Decimal("0.002"))
    error_of(scene.gateway.call(ask("mock/gone")), 404)
    assert scene.cost("mock/dearer") == Decimal("0.003")


def test_a_step_back_is_taken_too_and_an_implausible_list_is_not(scene: Scene) -> None:
    assert scene.update(listed(first="1")).returncode == 0
    scene.take(listed(second="1"), "mock/second")
    refused = scene.update(newer(models=SHIPPED.models[:100]))
    assert (refused.returncode, "refused" in refused.stderr) == (2, True)
    assert scene.run("rollback").returncode == 0
    scene.await_models("mock/first")
    assert scene.cost("mock/first") == Decimal("0.00001")


@pytest.mark.usefixtures("nothing_left")
def test_a_list_that_is_damaged_is_told_once_and_the_one_in_use_goes_on(scene: Scene) -> None:
    before = scene.models()
    with scene.store.opened() as connection:
        keep_list(connection, ListRow("other", b"\1\2", scene.site.url, "", 1))
    eventually(lambda: bool(scene.log("catalog.refused")), "it is not told", WITHIN_S)
    assert scene.models() == before
    scene.take(listed(better="1"), "mock/better")
    (told,) = scene.log("catalog.refused")
    assert told["problem"].startswith("it is damaged")
    assert "the one in use goes on" in told["advice"]
