"""Jobs of Black Forest Labs: ordered, asked after, fetched; and where the key goes meanwhile."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest

from tests.adapters.pictures.jobs_played import Played, play
from trunkline.adapters.pictures.bfl import ADAPTER
from trunkline.adapters.pictures.jobs import MAX_FAULTS
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.faces.responses.parse import parse
from trunkline.stream.deltas import Failed, Image, Spent, Stopped, Usage
from trunkline.wire import Fault

TEXT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PIXEL = b64decode(TEXT)
ENDPOINT = Endpoint(
    model=Model(slug="black-forest-labs/flux-2-pro"),
    provider=Provider(slug="black-forest-labs", name="Black Forest Labs"),
    upstream_model="flux-2-pro",
    dialect="bfl",
    base_url="https://api.bfl.example/v1",
    quirks=Quirks(follow_hosts=frozenset({".bfl.example"})),
)
POLL = "https://api.us1.bfl.example/v1/get_result?id=t-1"
ACCEPTED = json.dumps({"id": "t-1", "polling_url": POLL}).encode()
PENDING = b'{"id":"t-1","status":"Pending","result":null,"progress":null}'
SAMPLE = "https://delivery.example/abc.png?sig=x"
READY = json.dumps({"id": "t-1", "status": "Ready", "result": {"sample": SAMPLE, "seed": 7}}).encode()
BUSY = Fault("overloaded", "busy", 503)

REQUESTS = {
    stream: parse(json.dumps({"model": "m", "input": "A red kite over a fjord", "stream": stream}).encode())
    for stream in (True, False)
}
PICTURE = [Image(0, TEXT, True, "image/png"), Spent(Usage(images=1)), Stopped("stop")]


def played(*answers: bytes | Fault, stream: bool = False) -> Played:
    return play(ADAPTER, REQUESTS[stream], ENDPOINT, answers)


def test_a_job_is_asked_after_until_its_picture_is_there() -> None:
    found = played(ACCEPTED, PENDING, PENDING, READY, PIXEL)
    assert found.deltas == [*PICTURE]
    assert found.urls == [POLL, POLL, POLL, SAMPLE]
    assert [exchange.reach for exchange in found.exchanges] == ["provider"] * 3 + ["anywhere"]
    assert found.fault is None


def test_a_client_that_streams_hears_at_once_that_the_order_was_taken() -> None:
    found = played(ACCEPTED, PENDING, READY, PIXEL, stream=True)
    assert found.deltas == [Image(0, "", False), *PICTURE]


def test_waits_grow_up_to_what_the_reference_allows() -> None:
    waits = [exchange.wait_s for exchange in played(ACCEPTED, *[PENDING] * 20, READY, PIXEL).exchanges]
    assert waits[:3] == [0.5, 0.625, 0.78125]
    assert waits[-3:] == [1.5, 1.5, 0.0]
    assert waits[:-1] == sorted(waits[:-1])


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/get_result?id=t-1", "http://api.bfl.example/v1/get_result?id=t-1", "", None],
)
def test_the_key_does_not_follow_a_polling_url_to_a_stranger(url: str | None) -> None:
    found = played(json.dumps({"id": "t/1&x", "polling_url": url}).encode(), PENDING)
    assert found.urls[0] == "https://api.bfl.example/v1/get_result?id=t%2F1%26x"


def test_a_result_at_a_host_of_the_provider_is_asked_for_directly() -> None:
    own = READY.replace(b"delivery.example", b"delivery.bfl.example")
    assert played(ACCEPTED, own, PIXEL).exchanges[-1].reach == "own_host"


def test_a_busy_server_is_borne_while_the_job_runs() -> None:
    slow = Fault("limited", "slow down", 429, retry_after=12.0)
    found = played(ACCEPTED, BUSY, slow, PENDING, BUSY, READY, BUSY, PIXEL)
    assert found.deltas == [*PICTURE]
    assert found.urls == [POLL] * 5 + [SAMPLE] * 2
    assert found.exchanges[2].wait_s == 12.0
    assert found.exchanges[-1].reach == "anywhere"


def test_faults_without_end_are_not_borne() -> None:
    found = played(ACCEPTED, *[BUSY] * 50)
    assert found.fault == BUSY
    assert len(found.exchanges) == 1 + MAX_FAULTS


@pytest.mark.parametrize("kind", ["rejected", "credentials", "refused", "missing", "nonsense"])
def test_a_fault_that_will_not_pass_ends_the_attempt(kind: str) -> None:
    fault = Fault(kind, "no")  # type: ignore[arg-type]  # a parameter of the test
    assert played(ACCEPTED, fault, READY).fault == fault


def test_a_fault_before_the_order_was_taken_is_not_borne() -> None:
    assert played(BUSY).fault == BUSY


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("Request Moderated", "refused"),
        ("Content Moderated", "refused"),
        ("Error", "unavailable"),
        ("Task not found", "unavailable"),
    ],
)
def test_a_job_that_fails_is_a_fault(status: str, kind: str) -> None:
    found = played(ACCEPTED, json.dumps({"id": "t-1", "status": status, "result": None}).encode(), PIXEL)
    assert isinstance(found.deltas[-1], Failed)
    assert found.deltas[-1].fault.kind == kind
    assert found.urls == [POLL]


@pytest.mark.parametrize(
    "answers",
    [
        (b"<html>",),
        (b"[]",),
        (b"\xff",),
        (ACCEPTED, b"<html>"),
        (ACCEPTED, b'{"status":7}'),
        (ACCEPTED, b'{"status":"Ready"}'),
        (ACCEPTED, b'{"status":"Ready","result":{"sample":null}}'),
        (ACCEPTED, READY, b"<Error>expired</Error>"),
        (ACCEPTED, READY, b""),
    ],
)
def test_bodies_that_cannot_be_read_are_nonsense_and_end_it(answers: tuple[bytes, ...]) -> None:
    found = played(*answers, PIXEL)
    assert isinstance(found.deltas[-1], Failed)
    assert found.deltas[-1].fault.kind == "nonsense"
    assert len(found.exchanges) == len(answers) - 1


def test_an_answer_that_is_given_up_has_no_end() -> None:
    assert not any(isinstance(delta, Stopped) for delta in played(ACCEPTED, PENDING).deltas)


def test_a_picture_keeps_its_own_type() -> None:
    jpeg = b"\xff\xd8\xff" + b"0" * 30
    found = played(ACCEPTED, READY, jpeg)
    assert found.deltas[0] == Image(0, b64encode(jpeg).decode(), True, "image/jpeg")
