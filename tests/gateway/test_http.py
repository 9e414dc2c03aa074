"""The face of the gateway besides answers: paths, headers, comments, and when a fault is a status and when an event."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import nullcontext
from html.parser import HTMLParser
from itertools import count, repeat
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import pytest

from tests.gateway.checks import IN_ORDER, ask, error_of, events_of, response_of, text_of
from tests.gateway.fronts import Front, at_all
from tests.gateway.server import Gateway, Reply, post
from tests.gateway.upstream import Script, Upstream, chunk, head, sse, whole
from tests.unkept import unkept
from trunkline import settlement
from trunkline.accounts.keys import Key
from trunkline.call import Services
from trunkline.errors import ServiceUnavailable
from trunkline.inventory import load_catalog
from trunkline.routing.health import Health
from trunkline.routing.plan import Plan, Planner
from trunkline.routing.policy import Policy
from trunkline.server.body import Bounds
from trunkline.server.edge import Edge
from trunkline.server.intake import BodyMemory
from trunkline.server.routes import application
from trunkline.settings.sections import ProviderSettings, Settings
from trunkline.stopping import Stopping
from trunkline.stream.deltas import Began, Delta, Text
from trunkline.telemetry.recent import Recent
from trunkline.upstream.aside import Aside

pytestmark = pytest.mark.usefixtures("no_socket_left")

BROKEN = whole({"error": {"message": "Broken."}}, 500)
SLOWLY_BROKEN = Script([0.7, *BROKEN.steps])


READ = "GET, HEAD"
METHODS = {
    "/api/v1/responses": "POST",
    "/v1/responses": "POST",
    "/api/v1/responses/explain": "POST",
    "/api/v1/responses/req_1/explanation": READ,
    "/api/v1/generation": READ,
    "/api/v1/activity": READ,
    "/api/v1/key": READ,
    "/api/v1/credits": READ,
    "/api/v1/models": READ,
    "/api/v1/models/count": READ,
    "/api/v1/models/fake/echo": READ,
    "/api/v1/models/fake/echo/endpoints": READ,
    "/api/v1/providers": READ,
    "/api/v1/capabilities": READ,
    "/": READ,
    "/health": READ,
    "/health/live": READ,
    "/health/ready": READ,
    "/openapi.json": READ,
    "/docs": READ,
}


class TestPaths:
    @pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
    def test_health_needs_no_key(self, path: str, gateway: Gateway) -> None:
        reply = gateway.request("GET", path)
        assert reply.status == 200
        assert reply.json["status"] in ("live", "ready")
        assert gateway.request("HEAD", path).status == 200

    def test_models_are_listed_with_prices(self, gateway: Gateway) -> None:
        reply = gateway.request("GET", "/api/v1/models")
        models = {model["id"]: model for model in reply.json["data"]}
        assert {"fake/echo", "mock/chat", "mock/both", "mock/responses"} <= models.keys()
        chat = models["mock/chat"]
        assert float(chat["pricing"]["prompt"]) == pytest.approx(1e-6)
        assert float(chat["pricing"]["completion"]) == pytest.approx(2e-6)
        assert chat["context_length"] == 128000
        assert "image" in models["mock/pictures"]["architecture"]["output_modalities"]

    def test_a_wrong_path_says_where_the_paths_are_listed(self, gateway: Gateway) -> None:
        assert "/docs" in error_of(gateway.request("POST", "/v1/audio/speech"), 404)["message"]

    @pytest.mark.parametrize(("path", "allow"), METHODS.items(), ids=METHODS.keys())
    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "GET", "DELETE", "POST", "PATCH"])
    def test_CL_16_another_method_on_any_path_is_a_405(
        self, method: str, path: str, allow: str, gateway: Gateway
    ) -> None:
        reply = gateway.request(method, path)
        assert reply.headers["x-request-id"].startswith("req_")
        if method in allow.split(", "):
            assert reply.status != 405
            return
        assert (reply.status, reply.headers["allow"]) == (405, allow)
        assert reply.headers["content-type"] == "application/json"
        if method != "HEAD":
            error = error_of(reply, 405)
            assert method in error["message"]
            assert error["metadata"]["error_type"] == "method_not_allowed"

    def test_every_answer_names_its_request_and_no_two_alike(self, gateway: Gateway) -> None:
        paths = [*METHODS, "/api/v1/nothing", "/v1/models"] * 2
        ids = [gateway.request("GET", path).headers["x-request-id"] for path in paths]
        assert len(set(ids)) == len(paths)


class TestContract:
    @pytest.fixture
    def document(self, gateway: Gateway) -> dict[str, Any]:
        reply = gateway.request("GET", "/openapi.json")
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        document: dict[str, Any] = reply.json
        return document

    def test_it_is_of_version_3_1_and_names_this_gateway(self, document: dict[str, Any]) -> None:
        assert document["openapi"].startswith("3.1")
        assert document["servers"][0]["url"] == "/api/v1"
        assert "post" in document["paths"]["/responses"]

    def test_no_keyword_of_version_3_0_is_left(self, document: dict[str, Any]) -> None:
        assert '"nullable": true' not in json.dumps(document)

    def test_every_schema_is_a_json_schema_that_refers_to_what_there_is(self, document: dict[str, Any]) -> None:
        for name, schema in document["components"]["schemas"].items():
            jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})
            for reference in references(schema):
                assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"], name

    def test_an_answer_with_nulls_fits_it(self, document: dict[str, Any], gateway: Gateway) -> None:
        schema = {
            "$ref": "#/components/schemas/OpenResponsesNonStreamingResponse",
            "components": document["components"],
        }
        answer = response_of(gateway.call(ask("mock/chat")))
        assert None in answer.values()
        jsonschema_rs.Draft202012Validator(schema).validate(answer)

    def test_the_page_is_whole_and_loads_nothing(self, gateway: Gateway) -> None:
        reply = gateway.request("GET", "/docs")
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        page = Page()
        page.feed(reply.body.decode())
        assert not {"script", "img", "link", "iframe"} & page.tags
        assert all(link.startswith("#") and link[1:] in page.names for link in page.links)
        assert b"http://" not in reply.body.replace(b"http://127.0.0.1:8080", b"").replace(
            b"http://json-schema.org", b""
        )

    def test_F14_a_browser_may_only_show_the_page(self, gateway: Gateway) -> None:
        reply = gateway.request("GET", "/docs")
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        style = reply.body.partition(b"<style>")[2].partition(b"</style>")[0]
        assert base64.b64encode(hashlib.sha256(style).digest()).decode() in policy
        assert b" style=" not in reply.body
        assert reply.headers["x-content-type-options"] == "nosniff"


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        fields = dict(attrs)
        if fields.get("id"):
            self.names.add(fields["id"] or "")
        if fields.get("href"):
            self.links.append(fields["href"] or "")


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


class TestHeaders:
    @pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
    def test_an_answer_names_its_request_itself_and_its_provider(self, streams: bool, gateway: Gateway) -> None:
        replies = [gateway.call(ask("mock/chat", stream=streams)) for _ in range(2)]
        for reply in replies:
            response = events_of(reply)[-1]["response"] if streams else response_of(reply)
            assert reply.headers["x-generation-id"] == response["id"]
            assert reply.headers["x-trunkline-provider"] == "mock-chat"
            assert "x-trunkline-dropped" not in reply.headers
        for name in ("x-request-id", "x-generation-id"):
            assert len({reply.headers[name] for reply in replies}) == 2

    def test_an_error_names_its_request_too(self, gateway: Gateway) -> None:
        for reply in (gateway.call(b"{}"), gateway.call(ask("no/model")), gateway.request("GET", "/nothing")):
            assert reply.headers["x-request-id"].startswith("req_")

    def test_what_the_provider_was_not_told_is_named(
        self, gateway: Gateway, upstream: Upstream, messages_model: str, nonce: str
    ) -> None:
        answer = {
            "id": "msg_up",
            "type": "message",
            "role": "assistant",
            "model": "gpt-x",
            "content": [{"type": "text", "text": "Hello."}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 7, "output_tokens": 3},
        }
        upstream.play(nonce, whole(answer))
        for streams in (False, True):
            reply = gateway.call(ask(messages_model, nonce, stream=streams, frequency_penalty=0.5))
            assert reply.status == 200
            assert "frequency_penalty" in reply.headers["x-trunkline-dropped"]

    def test_a_stream_asks_proxies_to_let_it_through(self, gateway: Gateway) -> None:
        reply = gateway.call(ask("mock/chat", stream=True))
        assert reply.headers["cache-control"] == "no-cache, no-transform"
        assert reply.headers["x-accel-buffering"] == "no"

    def test_a_connection_is_used_again_after_an_answer_and_an_error(self, gateway: Gateway) -> None:
        with gateway.connect() as client:
            for body in (ask("fake/echo", "one"), ask("no/model"), ask("fake/echo", "two", stream=True)):
                client.send(post(body))
            client.read_until(b"data: [DONE]\n\n")


class TestGrace:
    """The head of a stream is held back for a while, so that an early fault is still a status."""

    def test_an_early_fault_keeps_its_status(
        self, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        upstream.play(nonce, BROKEN)
        error_of(gateway.call(ask(model, nonce, stream=True)), 502)

    def test_a_late_fault_is_an_event_after_comments(
        self, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        upstream.play(nonce, SLOWLY_BROKEN)
        reply = gateway.call(ask(model, nonce, stream=True))
        assert reply.body.startswith(b": keep-alive\n\n")
        events = events_of(reply, "failed")
        assert events[-1]["response"]["error"]["code"] == "server_error"
        assert reply.headers["x-generation-id"] == events[-1]["response"]["id"]

    def test_a_late_fault_of_the_first_provider_is_still_a_fallback(
        self, gateway: Gateway, upstream: Upstream, both: str, nonce: str
    ) -> None:
        upstream.play(nonce, SLOWLY_BROKEN, host="a")
        reply = gateway.call(ask(both, nonce, stream=True, **IN_ORDER))
        assert reply.body.startswith(b": keep-alive\n\n")
        assert text_of(events_of(reply)) == "Hello."

    def test_a_whole_answer_has_no_comments(self, gateway: Gateway, upstream: Upstream, model: str, nonce: str) -> None:
        upstream.play(nonce, SLOWLY_BROKEN)
        error_of(gateway.call(ask(model, nonce)), 502)

    def test_comments_fill_silence_between_deltas(
        self, gateway: Gateway, upstream: Upstream, model: str, nonce: str
    ) -> None:
        stream: list[bytes | float] = [
            head(200, "text/event-stream"),
            sse([chunk("a")]),
            1.2,
            sse([chunk("b"), chunk(finish="stop"), "[DONE]"]),
        ]
        upstream.play(nonce, Script(stream))
        reply = gateway.call(ask(model, nonce, stream=True))
        before, _, after = reply.body.partition(b": keep-alive\n\n")
        assert b'"delta":"a"' in before
        assert b'"delta":"b"' in after
        assert text_of(events_of(reply)) == "ab"


# Faults of our own, on the application itself


BOUNDS = Bounds(max_body_bytes=1000, body_s=1, whole_body_s=1, deadline_s=1, grace_s=1, keep_alive_s=1)


def answer_to(app: Any, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
    """What an ASGI application says to a request."""
    sent: list[dict[str, Any]] = []
    unread = [body]

    async def receive() -> dict[str, Any]:
        if not unread:
            await asyncio.Event().wait()  # the client stays
        return {"type": "http.request", "body": unread.pop(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": fields}
    asyncio.run(app({**scope, "query_string": b"", "root_path": ""}, receive, send))
    (start, *rest) = sent
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], told, b"".join(message["body"] for message in rest))


def test_DB_01_a_store_that_is_down_makes_the_gateway_not_ready() -> None:
    class Down:
        async def check(self) -> None:
            raise ServiceUnavailable("The store does not answer.")

    services: Any = SimpleNamespace(keys=Down(), catalog=None, stopping=Stopping(1, time.monotonic))
    app = application(services, BOUNDS, lambda: nullcontext(), repeat("id"), BodyMemory(1000))
    error_of(answer_to(app, "/health/ready"), 503)


def test_SE_03_a_defect_is_a_500_that_says_only_its_id() -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret words")

    reply = answer_to(Edge(broken, repeat("req_id"), Stopping(1, time.monotonic)), "/")
    error_of(reply, 500)
    assert b"secret" not in reply.body
    assert b"req_id" in reply.body


@at_all
def test_F5_a_defect_in_mid_stream_ends_the_stream_with_its_last_events(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer breaks inside the gateway after its first word."""

    class BrokenRun:
        attempted, outrun, dropped, held, has_spoken = (), (), (), (), True
        is_byok, spoke, upstream_id, told = False, None, None, None

        def __init__(self, _: object, plan: Plan, *__: object, **___: object) -> None:
            self.endpoint = self.answering = plan.attempts[0]

        async def deltas(self) -> AsyncGenerator[list[Delta], None]:
            yield [Began("fake/echo"), Text("slot", "Hel")]
            raise RuntimeError("secret words")

    class Anybody:
        async def authenticate(self, _: object) -> Key:
            return Key("key", "account", "name", Policy())

    monkeypatch.setattr(settlement, "Run", BrokenRun)
    doubles: Any = SimpleNamespace(keys=Anybody(), rates=None, records=None, claims=None, upstream=None)
    catalog = load_catalog(Settings(providers={"fake-provider": ProviderSettings(enabled=True)}))
    health = Health()
    services = Services(
        keys=doubles.keys,
        rates=doubles.rates,
        records=doubles.records,
        health=health,
        planner=Planner(catalog, health, lambda: 0.5, time.monotonic),
        recent=Recent(1),
        note=lambda _: None,
        ledger=unkept(),
        claims=doubles.claims,
        upstream=doubles.upstream,
        ids=map(str, count()),
        wall_clock=time.time,
        loop_clock=time.monotonic,
        stopping=Stopping(1, time.monotonic),
        aside=Aside(),
    )
    app = application(services, BOUNDS, lambda: nullcontext(), repeat("id"), BodyMemory(1000))
    body = json.dumps(front.body("fake/echo", stream=True)).encode()
    reply = answer_to(app, front.path, "POST", body)
    heard = front.heard(reply)
    assert (heard.text, heard.ending) == ("Hel", "failed")
    assert "req_id" in heard.error
    assert b"secret" not in reply.body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/responses", b"{"),
        ("/api/v1/responses", {"model": "mock/chat", "input": "x", "temperature": 9}),
        ("/api/v1/responses", {"model": "no/such-model", "input": "x"}),
        ("/api/v1/responses", {"model": "fake/status-500", "input": "x"}),
        ("/api/v1/responses/explain", b"{"),
    ],
    ids=["bad JSON", "a bad field", "an unknown model", "another unknown model", "another route"],
)
def test_an_error_names_the_owner_of_the_key(gateway: Gateway, path: str, body: Any) -> None:
    known, unknown = gateway.call(body, path=path), gateway.call(body, path=path, key=None)
    assert known.status in (400, 404)
    assert known.json["user_id"] == "default"
    assert (unknown.status, unknown.json["user_id"]) == (401, None)
