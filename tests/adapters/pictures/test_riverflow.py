"""Jobs of Riverflow: states, costs and artifacts."""

from __future__ import annotations

import json
from base64 import b64decode
from decimal import Decimal

import pytest

from tests.adapters.pictures.jobs_played import Played, play
from trunkline.adapters.pictures.riverflow import ADAPTER
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.faces.responses.parse import parse
from trunkline.stream.deltas import Failed, Image, Spent, Stopped, Usage
from trunkline.wire import NONCE

TEXT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PIXEL = b64decode(TEXT)
BASE = "https://design-api.sourceful.example/v2"
ENDPOINT = Endpoint(
    model=Model(slug="sourceful/riverflow-2-fast"),
    provider=Provider(slug="sourceful", name="Sourceful"),
    upstream_model="riverflow-2-fast",
    dialect="riverflow",
    base_url=BASE,
)
REQUEST = parse(b'{"model":"m","input":"A red kite over a fjord"}')
ACCEPTED = b'{"data":{"jobId":"j 1","status":"queued"},"error":null}'


def state(status: str, *artifacts: dict[str, str], cost: object = None, error: str | None = None) -> bytes:
    job = {"id": "j-1", "status": status, "lastErrorMessage": error, "cost": cost}
    return json.dumps({"data": {"job": job, "artifacts": list(artifacts)}}).encode()


def artifact(name: str, type: str = "image", status: str = "ready") -> dict[str, str]:
    return {"type": type, "status": status, "url": f"https://delivery.example/{name}.png"}


def played(*answers: bytes) -> Played:
    return play(ADAPTER, REQUEST, ENDPOINT, answers)


@pytest.mark.parametrize("done", ["completed", "succeeded", "COMPLETED"])
def test_a_job_that_is_done_gives_its_picture_and_its_cost(done: str) -> None:
    cost = {"currency": "USD", "taskCost": "0.02"}
    found = played(ACCEPTED, state("queued"), state(done, artifact("a"), cost=cost), PIXEL)
    assert found.urls == [f"{BASE}/generations/j%201"] * 2 + ["https://delivery.example/a.png"]
    assert [exchange.reach for exchange in found.exchanges] == ["provider", "provider", "anywhere"]
    assert found.deltas == [
        Image(0, TEXT, True, "image/png"),
        Spent(Usage(images=1, upstream_cost_usd=Decimal("0.02"))),
        Stopped("stop"),
    ]


@pytest.mark.parametrize("status", ["created", "queued", "pending", "processing", "running", "generating", "dreaming"])
def test_a_job_that_is_worked_on_is_asked_after_again(status: str) -> None:
    assert len(played(ACCEPTED, state(status)).exchanges) == 2


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("failed", "Flagged by the safety system", "refused"),
        ("cancelled", None, "unavailable"),
        ("error", "internal", "unavailable"),
    ],
)
def test_a_job_that_fails_is_a_fault(status: str, message: str | None, kind: str) -> None:
    deltas = played(ACCEPTED, state(status, error=message)).deltas
    assert isinstance(deltas[-1], Failed)
    assert deltas[-1].fault.kind == kind
    assert deltas[-1].fault.message == message or f"the job is {status}"


def test_only_pictures_that_are_ready_are_fetched() -> None:
    told = (artifact("a", type="mask"), artifact("b", status="failed"), artifact("c"), artifact("d"))
    found = played(ACCEPTED, state("completed", *told), PIXEL, PIXEL)
    assert found.urls[1:] == ["https://delivery.example/c.png", "https://delivery.example/d.png"]
    assert [delta.slot for delta in found.deltas if isinstance(delta, Image)] == [0, 1]
    assert Spent(Usage(images=2)) in found.deltas


@pytest.mark.parametrize("cost", [None, {"currency": "EUR", "taskCost": "0.02"}, {"currency": "USD", "taskCost": "x"}])
def test_a_cost_that_is_no_dollars_is_not_told(cost: object) -> None:
    assert Spent(Usage(images=1)) in played(ACCEPTED, state("completed", artifact("a"), cost=cost), PIXEL).deltas


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"data":null}', b'{"data":{"job":{}}}', state("completed")])
def test_a_state_that_cannot_be_read_is_nonsense(body: bytes) -> None:
    deltas = played(ACCEPTED, body, PIXEL).deltas
    assert isinstance(deltas[-1], Failed)
    assert deltas[-1].fault.kind == "nonsense"


def test_an_order_holds_the_place_of_a_key_that_is_never_used_twice() -> None:
    sent = ADAPTER.encode(REQUEST, ENDPOINT, None)
    assert sent.has_nonce
    assert json.loads(sent.body)["idempotencyKey"] == NONCE
    assert sent.body.count(NONCE.encode()) == 1
