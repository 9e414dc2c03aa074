"""What newcomers and operators meet first: names without authors, mistyped paths, refused keys, FakeProvider."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.gateway.checks import ask, error_of, response_of
from tests.gateway.conftest import closed_port, full_port
from tests.gateway.fronts import CHAT, MESSAGES, RESPONSES
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, running
from tests.gateway.tls import certificate, listening
from tests.gateway.waiting import eventually

CONFIG = """
[providers.openai]
api_key = { env = "OPENAI_API_KEY" }
base_url = "http://127.0.0.1:9/v1"
dialect = "responses"
[providers.groq]
enabled = false
[routing.timeouts]
connect = "3 s"
"""

HERE = "https://app.example.com"
UNKNOWN = "sk-abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with one real provider, which cannot be reached."""
    with running(tmp_path_factory.mktemp("days"), CONFIG, OPENAI_API_KEY=PROVIDER_KEY) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose one named provider lacks its key."""
    folder = tmp_path_factory.mktemp("keyless")
    with running(folder, "[providers.openai]\napi_key = { env = 'NOT_SET' }") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def browsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that a web page may call."""
    with running(tmp_path_factory.mktemp("browsed"), f"server.origins = ['{HERE}']") as gateway:
        yield gateway


class TestFakeProvider:
    @pytest.mark.parametrize("model", ["fake/echo", "FAKE/echo", "fake/echo:nitro"])
    def test_it_answers_by_name_beside_another_provider(self, gateway: Gateway, model: str) -> None:
        assert response_of(gateway.call(ask(model, "Hi")))["status"] == "completed"

    def test_nothing_lists_it_and_no_other_name_leads_there(self, gateway: Gateway) -> None:
        listed = gateway.request("GET", "/api/v1/models").json["data"]
        assert listed
        assert not [model["id"] for model in listed if model["id"].startswith("fake/")]
        providers = gateway.request("GET", "/api/v1/providers").json["data"]
        assert [provider["slug"] for provider in providers] == ["openai"]
        error_of(gateway.call(ask("echo", "Hi")), 404)

    def test_it_does_not_stand_in_for_a_provider_that_lacks_its_key(self, keyless: Gateway) -> None:
        assert keyless.request("GET", "/api/v1/models").json["data"] == []
        assert response_of(keyless.call(ask("fake/echo", "Hi")))["status"] == "completed"
        told = "openai is named in the settings and is off"
        eventually(lambda: told in keyless.log.read_text(), "the log does not say that it is off")

    def test_it_can_be_turned_off_for_good(self, tmp_path: Path) -> None:
        with running(tmp_path, "[providers.fake-provider]\nenabled = false") as gateway:
            error_of(gateway.call(ask("fake/echo", "Hi")), 404)


class TestRefusedKeys:
    @pytest.mark.parametrize("path", ["/api/v1/responses", "/v1/responses", "/api/v1/responses/explain"])
    @pytest.mark.parametrize(
        ("headers", "words"),
        [
            ({}, "No API key was sent"),
            ({"authorization": ""}, "No API key was sent"),
            ({"authorization": "Bearer "}, "No API key was sent"),
            ({"authorization": UNKNOWN}, "'Bearer ' is missing"),
            ({"authorization": f"Basic {UNKNOWN}"}, "'Bearer ' is missing"),
            ({"authorization": f"Bearer {UNKNOWN}"}, "does not know (it begins with sk-abc…)"),
            ({"authorization": f"bearer {UNKNOWN}"}, "does not know (it begins with sk-abc…)"),
            ({"x-api-key": UNKNOWN}, "does not know (it begins with sk-abc…)"),
            ({"authorization": f"Bearer {UNKNOWN * 9}"}, "does not know (it begins with sk-abc…)"),
            ({"authorization": "Bearer hunter2"}, "that this gateway does not know."),
            ({"authorization": "Bearer \xe9\xe9\xe9\xe9\xe9\xe9" + UNKNOWN}, "that this gateway does not know."),
        ],
    )
    def test_a_401_says_what_was_wrong_and_no_more_of_the_key(
        self, gateway: Gateway, path: str, headers: dict[str, str], words: str
    ) -> None:
        sent = {"content-type": "application/json", **headers}
        reply = gateway.request("POST", path, b"{}", sent)
        error = error_of(reply, 401)
        assert words in error["message"]
        assert UNKNOWN[:8] not in str(reply)
        assert "hunter" not in str(reply)
        assert reply.headers["www-authenticate"].startswith("Bearer")


UNREACHABLE = """
[providers.{name}]
dialect = "chat"
base_url = "{url}"
[[endpoints]]
provider = "{name}"
model = "mock/{name}"
price = {{ input = "1", output = "2" }}
"""


def says(gateway: Gateway, words: str) -> bool:
    """Whether the log does."""
    return words in gateway.log.read_text()


def test_the_log_says_why_there_was_no_connection_and_the_client_is_not_told_where(tmp_path: Path) -> None:
    """The name, the machine, or the trust in it, each with the host."""
    with closed_port() as closed, full_port() as full, listening([], certificate(tmp_path)) as stranger:
        places = {
            "nameless": ("http://nowhere.invalid/v1", "cannot resolve nowhere.invalid: "),
            "closed": (f"http://127.0.0.1:{closed}/v1", f"cannot connect to 127.0.0.1:{closed}: Connection refused"),
            "silent": (f"http://127.0.0.1:{full}/v1", f"no connection to 127.0.0.1:{full} within 3 s"),
            "stranger": (f"https://127.0.0.1:{stranger}/v1", f"TLS with 127.0.0.1:{stranger} failed: its certificate"),
        }
        config = CONFIG + "".join(UNREACHABLE.format(name=name, url=url) for name, (url, _) in places.items())
        with running(tmp_path, config) as gateway:
            for name, (url, detail) in places.items():
                reply = gateway.call(ask(f"mock/{name}", "Hi"))
                assert reply.status in (502, 503, 524), name
                assert url.split("/")[2] not in reply.body.decode(), name
                eventually(partial(says, gateway, detail), f"the log does not say: {detail}")


class TestPaths:
    @pytest.mark.parametrize("path", ["/health", "/healthz", "/health/live"])
    def test_what_probes_ask_for_unless_told_is_there(self, gateway: Gateway, path: str) -> None:
        assert gateway.request("GET", path).json == {"status": "live"}

    @pytest.mark.parametrize(
        ("method", "path", "hint"),
        [
            ("POST", "/responses", "Did you mean /api/v1/responses?"),
            ("POST", "/api/responses", "Did you mean /api/v1/responses?"),
            ("POST", "/v1/v1/responses", "Did you mean /api/v1/responses?"),
            ("POST", "/api/v1/responses//", "Did you mean /api/v1/responses?"),
            ("POST", "/api/v1/response", "Did you mean /api/v1/responses?"),
            ("GET", "/models", "Did you mean /api/v1/models?"),
            ("GET", "/doc", "Did you mean /docs?"),
            ("POST", "/chat/completions", "Did you mean /api/v1/chat/completions?"),
            ("POST", "/messages", "Did you mean /api/v1/messages?"),
            ("POST", "/v1/completions", "use POST /api/v1/responses, with prompt as input"),
            ("GET", "/zzz/qqq", "The paths are listed at /docs."),
            ("GET", "/" + "x" * 5000, "The paths are listed at /docs."),
        ],
    )
    def test_a_mistyped_path_is_told_which_one_was_meant(
        self, gateway: Gateway, method: str, path: str, hint: str
    ) -> None:
        message = {"/chat/completions": CHAT, "/messages": MESSAGES}.get(path, RESPONSES).refused(
            gateway.request(method, path), 404
        )
        assert hint in message
        assert message.startswith(f"There is no {method} {path[:200].rstrip('/') or '/'}")

    @pytest.mark.parametrize("name", ["openai/gpt-4o", "openai%2Fgpt-4o", "gpt-4o", "fake/echo"])
    def test_one_model_is_told_as_the_list_tells_it(self, gateway: Gateway, name: str) -> None:
        one = gateway.request("GET", f"/v1/models/{name}").json
        listed = {each["id"]: each for each in gateway.request("GET", "/v1/models").json["data"]}
        assert one["id"].endswith(name.partition("%2F")[2] or name)
        assert listed.get(one["id"], one) == one

    def test_a_slash_too_many_is_none(self, gateway: Gateway) -> None:
        for path in ("/api/v1/responses/", "/v1/responses/"):
            assert response_of(gateway.call(ask("fake/echo", "Hi"), path=path))["status"] == "completed"
        for path in ("/v1/models/count", "/v1/models/openai/gpt-4o", "/health", "/docs"):
            assert gateway.request("GET", f"{path}/").body == gateway.request("GET", path).body

    def test_somebody_is_at_the_bare_address(self, gateway: Gateway) -> None:
        assert gateway.request("HEAD", "/").status == 200
        assert gateway.request("GET", "/").json["documentation"] == "/docs"

    def test_the_clients_of_openai_and_anthropic_read_the_models(self, gateway: Gateway) -> None:
        by_openai = OpenAI(base_url=f"http://127.0.0.1:{gateway.port}/v1", api_key=KEY)
        by_anthropic = Anthropic(base_url=f"http://127.0.0.1:{gateway.port}", api_key=KEY)
        with by_openai, by_anthropic:
            listed = by_anthropic.models.list()
            assert [model.id for model in by_openai.models.list()] == [model.id for model in listed]
            assert (listed.first_id, listed.last_id) == (listed.data[0].id, listed.data[-1].id)
            one = by_anthropic.models.retrieve("openai/gpt-4o")
            assert by_openai.models.retrieve("openai/gpt-4o").owned_by == "openai"
        ends = gateway.request("GET", "/v1/models/openai/gpt-4o").json["expiration_date"] is not None
        assert (one.type, one.lifecycle) == ("model", "deprecated" if ends else "active")
        assert (one.max_input_tokens, one.max_tokens) == (128_000, 16_384)
        assert one.created_at.year == 2024
        assert one.display_name

    def test_an_unknown_model_is_a_404_with_suggestions(self, gateway: Gateway) -> None:
        error = error_of(gateway.request("GET", "/v1/models/openai/gpt-4oo"), 404)
        assert "openai/gpt-4o" in error["metadata"]["suggestions"]


class TestOrigins:
    PREFLIGHT: ClassVar = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-lang",
    }

    def test_a_page_of_a_named_origin_may_ask_and_read(self, browsed: Gateway) -> None:
        asked = browsed.request("OPTIONS", "/v1/responses", headers={"origin": HERE, **self.PREFLIGHT})
        assert asked.status == 204
        assert asked.headers["access-control-allow-origin"] == HERE
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert "x-stainless-lang" in asked.headers["access-control-allow-headers"]
        for stream in (False, True):
            reply = browsed.call(ask("fake/echo", "Hi", stream=stream), origin=HERE)
            assert reply.status == 200
            assert reply.headers["access-control-allow-origin"] == HERE
            assert reply.headers["vary"] == "origin"
            assert "x-request-id" in reply.headers["access-control-expose-headers"]
        refused = browsed.call(ask("fake/echo", "Hi"), key="tl-unknown", origin=HERE)
        error_of(refused, 401)
        assert refused.headers["access-control-allow-origin"] == HERE

    @pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.com.evil.example", "null"])
    def test_nobody_else_may(self, browsed: Gateway, gateway: Gateway, origin: str) -> None:
        for one in (browsed, gateway):
            error_of(one.request("OPTIONS", "/v1/responses", headers={"origin": origin, **self.PREFLIGHT}), 405)
            reply = one.call(ask("fake/echo", "Hi"), origin=origin)
            assert not [name for name in reply.headers if name.startswith("access-control")]


class TestNames:
    def test_a_name_without_its_author_is_resolved_when_one_author_has_it(self, gateway: Gateway) -> None:
        explained = gateway.call(ask("gpt-4o", "Hi"), path="/api/v1/responses/explain").json
        assert "openai/gpt-4o" in str(explained)

    @pytest.mark.parametrize(
        ("model", "words", "suggested"),
        [
            ("gpt-4o", "No provider that serves openai/gpt-4o is on: openai (set OPENAI_API_KEY)", None),
            ("openai/gpt-4o", "No provider that serves openai/gpt-4o is on: openai (set OPENAI_API_KEY)", None),
            ("gpt4o", "No provider that serves openai/gpt-4o is on: openai (set OPENAI_API_KEY)", None),
            ("open-ai/gpt-4o", "No provider that serves openai/gpt-4o is on: openai (set OPENAI_API_KEY)", None),
            ("gpt-4oo", "Its provider is off: openai (set OPENAI_API_KEY)", "openai/gpt-4o"),
            ("opennai/gpt-4o", "Did you mean", "openai/gpt-4o"),
        ],
    )
    def test_a_model_whose_provider_is_off_is_found_all_the_same(
        self, keyless: Gateway, model: str, words: str, suggested: Any
    ) -> None:
        error = error_of(keyless.call(ask(model, "Hi")), 404)
        assert words in error["message"]
        if suggested is not None:
            assert suggested in error["metadata"]["suggestions"]
