"""Statuses at all doors: the same trouble means the same at each, told in its words, with what its clients act on."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import pytest

from tests.gateway.fronts import MESSAGES, OTHERS, RESPONSES, Front, at_all, at_others
from tests.gateway.server import KEY, Gateway, Reply, post
from tests.gateway.test_http import BOUNDS, answer_to
from tests.gateway.test_intake_faults import head_of
from tests.gateway.upstream import Script, Upstream, head, trickle, whole
from trunkline.errors import ServiceUnavailable
from trunkline.server.intake import BodyMemory
from trunkline.server.routes import Application, application
from trunkline.stopping import Stopping

pytestmark = pytest.mark.usefixtures("no_socket_left")

UNKNOWN = "tl-" + "x" * 43
STATUSES = (400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529)
LINES = [f"!status {status} Sorry." for status in STATUSES]
DETAILS = ("retry-after", "x-trunkline-provider", "content-type", "x-should-retry")


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("line", LINES)
def test_a_fault_of_a_provider_means_the_same_at_each_door(line: str, streams: bool, gateway: Gateway) -> None:
    first = gateway.call(RESPONSES.body("fake/echo", line, stream=streams))
    message = RESPONSES.refused(first, first.status)
    for front in OTHERS:
        reply = gateway.call(front.body("fake/echo", line, stream=streams), path=front.path)
        told = front.refused(reply, first.status)
        assert told == message or (status_in(line) == 413 and told.startswith("prompt is too long: "))
        assert [reply.headers.get(name) for name in DETAILS] == [first.headers.get(name) for name in DETAILS]
        assert reply.headers["x-generation-id"].startswith("resp_")


def status_in(line: str) -> int:
    return int(line.split()[1])


def test_they_are_of_many_kinds(gateway: Gateway) -> None:
    statuses = {gateway.call(RESPONSES.body("fake/echo", line)).status for line in LINES}
    assert statuses >= {400, 422, 429, 502, 503, 524, 529}


@at_others
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_policy_is_a_403(
    streams: bool, front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, whole({"error": {"message": "Flagged.", "code": "content_policy_violation"}}, 400))
    reply = gateway.call(front.body(model, nonce, stream=streams), path=front.path)
    assert "Flagged." in front.refused(reply, 403)


@at_all
@pytest.mark.parametrize("end", ["", "/", "?beta=true", "/explain"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no key"),
        pytest.param({"authorization": "Bearer"}, id="AU-01 no text"),
        pytest.param({"authorization": f"Bearer {UNKNOWN}"}, id="an unknown key"),
        pytest.param({"x-api-key": UNKNOWN}, id="an unknown key in x-api-key"),
        pytest.param({"x-api-key": KEY, "authorization": f"Bearer {UNKNOWN}"}, id="AU-12 two keys"),
    ],
)
def test_before_the_key_is_known_nothing_is_said_but_that(
    headers: dict[str, str], end: str, front: Front, gateway: Gateway
) -> None:
    sent = {"content-type": "application/json", **headers}
    reply = gateway.request("POST", front.path + end, b'{"model": "secret/name"', sent)
    assert "secret" not in front.refused(reply, 401)
    assert reply.json.get("user_id") is None


@pytest.mark.parametrize("line", ["x-none: 1", f"authorization: Bearer {UNKNOWN}", f"x-api-key: {UNKNOWN}"])
@pytest.mark.parametrize(
    ("front", "path"),
    [(front, front.path + end) for front in OTHERS for end in ("", "/explain")]
    + [(MESSAGES, "/v1/messages/count_tokens?beta=true")],
)
def test_OV_05_the_key_is_looked_at_before_the_body(front: Front, path: str, line: str, gateway: Gateway) -> None:
    (reply,) = gateway.raw(head_of(1_000_000, line, path=path))
    front.refused(reply, 401)
    assert reply.headers["connection"] == "close"


@at_all
@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_key_is_taken_as_the_clients_of_every_api_send_it(front: Front, header: str, gateway: Gateway) -> None:
    value = f"Bearer {KEY}" if header == "authorization" else KEY
    headers = {"content-type": "application/json", header: value, "anthropic-version": "2023-06-01"}
    body = json.dumps(front.body("fake/echo", "Hi")).encode()
    assert front.heard(gateway.request("POST", front.path, body, headers)).ending == "completed"


@at_all
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_what_the_gateway_refuses_itself(
    streams: bool, front: Front, gateway: Gateway, model: str, nonce: str, upstream: Upstream
) -> None:
    def call(name: str = model, **headers: str) -> Reply:
        return gateway.call(front.body(name, nonce, stream=streams), path=front.path, **headers)

    assert "no/such" in front.refused(call("no/such"), 404)
    front.refused(call(x_trunkline_max_cost="0.000000001"), 402)
    front.refused(call(x_trunkline_max_cost="much"), 400)
    front.refused(call(idempotency_key="ö"), 400)
    front.refused(call("mock/closed"), 502)
    assert not upstream.seen(nonce)
    key = f"{front.name}-{streams}-{nonce}"
    assert front.heard(call(idempotency_key=key)).text == "Hello."
    again = call(idempotency_key=key)
    assert again.headers["x-trunkline-replayed"] == "true"
    assert front.heard(again).text == "Hello."
    other = gateway.call(front.body(model, "other"), path=front.path, idempotency_key=key)
    front.refused(other, 422)
    assert len(upstream.seen(nonce)) == 1


@at_others
def test_CL_12_a_crowd_with_one_idempotency_key_is_one_run(
    front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    body = front.body(model, nonce)

    def call(_: int) -> Reply:
        return gateway.call(body, path=front.path, idempotency_key=f"crowd-{nonce}")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(call, range(8)))
    assert {front.heard(reply).text for reply in found} == {"Hello."}
    assert len({reply.body for reply in found}) == 1
    assert len({reply.headers["x-request-id"] for reply in found}) == 8
    assert len(upstream.seen(nonce)) == 1


@at_others
def test_a_silent_provider_is_524_of_a_whole_answer(
    front: Front, gateway: Gateway, upstream: Upstream, model: str, nonce: str
) -> None:
    upstream.play(nonce, Script([head(), *trickle(b" ", 0.2, 40)], "stall"))
    assert "only pings" in front.refused(gateway.call(front.body(model, nonce), path=front.path), 524)


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
@at_all
def test_an_older_client_is_answered_as_well(version: bytes, front: Front, gateway: Gateway) -> None:
    for streams in (False, True):
        data = post(front.body("fake/echo", "Hi", stream=streams), "connection: close", path=front.path)
        (reply,) = gateway.raw(data.replace(b"HTTP/1.1", version, 1))
        assert front.heard(reply).ending == "completed"


# Defects and pages, on the application itself


ORIGIN = "https://app.example"


class Broken:
    async def authenticate(self, _: object) -> None:
        raise RuntimeError("secret words")


class Down:
    async def authenticate(self, _: object) -> None:
        raise ServiceUnavailable("The store does not answer.", retry_after=2)


def gateway_with(keys: object, stopping: Stopping | None = None) -> Application:
    services: Any = SimpleNamespace(
        keys=keys,
        catalog=None,
        stopping=stopping or Stopping(1, time.monotonic),
        wall_clock=time.time,
        loop_clock=time.monotonic,
    )
    return application(services, BOUNDS, lambda: nullcontext(), repeat("id"), BodyMemory(1000), origins=[ORIGIN])


PATHS = [(front, front.path + end) for front in (RESPONSES, *OTHERS) for end in ("", "/explain")]
PATHS.append((MESSAGES, "/v1/messages/count_tokens"))
ON_EVERY_PATH = pytest.mark.parametrize(("front", "path"), PATHS, ids=[path for _, path in PATHS])


@ON_EVERY_PATH
def test_SE_03_a_defect_is_a_500_that_says_only_its_id(front: Front, path: str) -> None:
    reply = answer_to(gateway_with(Broken()), path, "POST", b"{}")
    message = front.refused(reply, 500)
    assert "req_id" in message
    assert b"secret" not in reply.body
    assert "x-should-retry" not in reply.headers


@ON_EVERY_PATH
def test_DB_01_a_store_that_is_down_is_a_503_with_a_time_to_wait(front: Front, path: str) -> None:
    reply = answer_to(gateway_with(Down()), path, "POST", b"{}")
    assert "store" in front.refused(reply, 503)
    assert reply.headers["retry-after"] == "2"


@ON_EVERY_PATH
def test_PR_01_during_the_drain_every_path_is_refused_in_the_words_of_its_door(front: Front, path: str) -> None:
    stopping = Stopping(1, time.monotonic)
    stopping.begin()
    stopping.refuse()
    reply = answer_to(gateway_with(Broken(), stopping), path, "POST", b"{}")
    assert "stopping" in front.refused(reply, 503)
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.headers["connection"] == "close"


@ON_EVERY_PATH
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_page_of_an_allowed_origin_may_ask_and_read_the_errors(method: str, front: Front, path: str) -> None:
    app = gateway_with(Down())
    asked = "authorization, x-api-key, anthropic-version, anthropic-beta, content-type"
    wish = {"access_control_request_method": "POST", "access_control_request_headers": asked}
    reply = answer_to(app, path, "OPTIONS", b"", origin=ORIGIN, **wish)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-headers"] == asked
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    refused = answer_to(app, path, method, origin=ORIGIN)
    front.refused(refused, 503 if method == "POST" else 405)
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    exposed = refused.headers["access-control-expose-headers"].split(", ")
    assert {"request-id", "x-request-id", "x-trunkline-model", "x-should-retry", "retry-after"} <= {*exposed}
    other = answer_to(app, path, "OPTIONS", b"", origin="https://evil.example", **wish)
    front.refused(other, 405)
    assert "access-control-allow-origin" not in other.headers
