"""A running gateway under load that is killed, and what must be true of its books at the next start."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.gateway.server import KEY, Gateway, running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.waiting import eventually
from trunkline.money import nano_of

CONFIG = """
[store]
node = "here"
[providers.fake-provider]
enabled = true
"""
CLIENTS = 6
CREDIT = 10**12
DEAD_S = 15


@dataclass
class Life:
    """One start of the gateway: what clients were told to the end, and what they know to have been begun."""

    gateway: Gateway
    seed: int
    told: dict[str, Decimal] = field(default_factory=dict)
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask(self, keys: list[str], number: int) -> None:
        """Ask, one request after the other, until the gateway is gone."""
        dice = random.Random(self.seed * CLIENTS + number)
        while not self.is_over.is_set():
            words = " ".join(["word"] * dice.randrange(1, 30))
            body: dict[str, Any] = {"model": "fake/echo", "input": words, "stream": dice.random() < 0.5}
            if dice.random() < 0.3:
                body["max_output_tokens"] = dice.randrange(1, 60)
            try:
                self._ask_once(body, dice.choice(keys))
            except (OSError, http.client.HTTPException):
                return

    def _ask_once(self, body: dict[str, Any], key: str) -> None:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=20)) as connection:
            connection.request("POST", "/api/v1/responses", json.dumps(body), headers)
            with connection.getresponse() as answer:  # which may hold the socket when the connection is closed
                text = answer.read().decode()
        assert answer.status == 200, (answer.status, text)
        if not body["stream"]:
            response = json.loads(text, parse_float=Decimal)
        else:
            # The end was seen once its event was, whether or not what follows it came.
            ended = [line for line in text.split("\n") if line.startswith('data: {"type":"response.')][-1]
            event = json.loads(ended.removeprefix("data: "), parse_float=Decimal)
            if event["type"] not in ("response.completed", "response.incomplete"):
                return
            response = event["response"]
        self.told[response["id"]] = Decimal(response["usage"]["cost"])


@contextmanager
def opened_books(folder: Path) -> Iterator[tuple[Store, list[str]]]:
    """Make a database with two limited keys and the unlimited one; its gateway is not running any more."""
    with running(folder, CONFIG) as gateway:
        store = Store(gateway, folder / "trunkline.db")
        tenants: list[Tenant] = [
            store.tenant(CREDIT),
            store.tenant(CREDIT, limit_nano=CREDIT // 2, limit_reset="daily"),
        ]
    yield store, [KEY, *(tenant.text for tenant in tenants)]


def live(folder: Path, keys: list[str], seed: int, *, failpoint: str = "", kill_after_s: float = DEAD_S) -> Life:
    """Start a gateway, ask it by several clients at once, and wait until it is killed, or kill it."""
    with running(folder, CONFIG, TRUNKLINE_FAILPOINT=failpoint) as gateway:
        life = Life(gateway, seed)
        clients = [threading.Thread(target=life.ask, args=(keys, number)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            gateway.process.wait(kill_after_s)
        except subprocess.TimeoutExpired:
            gateway.process.kill()
        life.is_over.set()
        for client in clients:
            client.join(20)
            assert not client.is_alive()
    return life


def check_books(folder: Path, lives: list[Life]) -> None:
    """Start once more: no hold is left, no sum is wrong, and whoever saw an end finds it on record, at that cost."""
    with running(folder, CONFIG) as gateway:
        store = Store(gateway, folder / "trunkline.db")
        began = time.monotonic()
        eventually(lambda: store.rows("SELECT count(*) FROM holds") == [(0,)], "a hold is left")
        assert time.monotonic() - began < 120
        store.check()
        rows = store.rows("SELECT id, status, held_nano, charged_nano, cost_nano FROM generations")
    kept = {id: (status, cost if held is None else charged) for id, status, held, charged, cost in rows}
    for life in lives:
        for id, cost in life.told.items():
            assert kept.get(id) is not None, f"seed {life.seed}: {id} was told to its end and is not on record"
            status, total_nano = kept[id]
            assert status in ("completed", "incomplete"), f"seed {life.seed}: {id} is {status}"
            assert total_nano == nano_of(f"{cost:f}"), f"seed {life.seed}: {id} was told another cost"
