"""What the contract offers is done, refused, or named as lost: one gateway with a provider of each dialect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.gateway.checks import ask, error_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.test_quirks import ANSWERS
from tests.gateway.upstream import Upstream, whole
from trunkline.catalog.abilities import UNSPOKEN
from trunkline.catalog.entries import Dialect

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
[providers.fake-provider]
enabled = true
"""

COHERE = {
    "id": "c1",
    "finish_reason": "COMPLETE",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
    "usage": {"tokens": {"input_tokens": 7, "output_tokens": 3}},
}
ANSWER = {**ANSWERS, "cohere": COHERE, "mistral": ANSWERS["chat"]}


@dataclass(frozen=True)
class Kind:
    """A provider: its dialect, whether it can search, whether it keeps a search to domains, whether it may be forced.

    `beside`: it searches beside functions as well.
    """

    name: str
    dialect: str
    quirks: str = ""
    searches: bool = False
    domains: bool = False
    beside: bool = True
    forced: bool = False

    @property
    def model(self) -> str:
        return self.name if self.dialect == "fake" else f"mock/{self.name}"


KINDS = (
    Kind("chat", "chat"),
    Kind("chat-options", "chat", 'quirks.web_search = "web_search_options"', searches=True),
    Kind("chat-domains", "chat", 'quirks.web_search = "search_domain_filter"', searches=True, domains=True),
    Kind("chat-venice", "chat", 'quirks.web_search = "venice_parameters"', searches=True, forced=True),
    Kind("responses", "responses", searches=True, domains=True, forced=True),
    Kind("messages", "messages", searches=True, domains=True, forced=True),
    Kind("messages-without", "messages", 'quirks.search_tool = ""'),
    Kind("gemini", "gemini", searches=True, beside=False),
    Kind("converse", "converse"),
    Kind("converse-nova", "converse", 'quirks.search_tool = "nova_grounding"', searches=True),
    Kind("cohere", "cohere"),
    Kind("mistral", "mistral"),
    Kind("fake/echo", "fake"),
    Kind("fake/search", "fake", searches=True),
)
MOCKED = [kind for kind in KINDS if kind.dialect != "fake"]

FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
SEARCH = {"type": "web_search"}
WITHIN = {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}}

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
every_mock = pytest.mark.parametrize("kind", MOCKED, ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def house(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a model for each of `KINDS`, and a small one whose context is 1,000 tokens for each dialect."""
    config = CONFIG
    for kind in MOCKED:
        config += PROVIDER.format(name=f"mock-{kind.name}", dialect=kind.dialect, url=f"{upstream.url}/{kind.name}/v1")
        config += kind.quirks + "\n"
        config += ENDPOINT.format(provider=f"mock-{kind.name}", model=kind.model)
        config += ENDPOINT.format(provider=f"mock-{kind.name}", model=f"small/{kind.name}").replace("128000", "1000")
    with running(tmp_path_factory.mktemp("house"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@dataclass
class Asker:
    """Asks one kind of provider, and tells what it saw."""

    gateway: Gateway
    upstream: Upstream
    nonce: str
    kind: Kind = field(default=KINDS[0])

    def ask(self, kind: Kind, model: str = "", **more: Any) -> Reply:
        if kind.dialect != "fake":
            self.upstream.play(self.nonce, whole(ANSWER[kind.dialect]))
        return self.gateway.call({"model": model or kind.model, "input": f"Hello {self.nonce}", **more})

    @property
    def sent(self) -> Any:
        (seen,) = self.upstream.seen(self.nonce)
        return seen.json


@pytest.fixture
def asker(house: Gateway, upstream: Upstream, nonce: str) -> Asker:
    return Asker(house, upstream, nonce)


def dropped(reply: Reply) -> list[str]:
    named = reply.headers.get("x-trunkline-dropped", "")
    return named.split(", ") if named else []


class TestUnconfigured:
    """One clear 400 for what is not configured in this gateway, the same in every dialect."""

    @every_kind
    @pytest.mark.parametrize("name", ["web", "moderation"])
    def test_a_plugin_is_refused(self, name: str, kind: Kind, asker: Asker) -> None:
        error = error_of(asker.ask(kind, plugins=[{"id": name}]), 400)
        assert error["message"].startswith(f'plugins: "{name}" is not configured in this gateway')
        assert error["message"].endswith("; leave it out.")
        assert error["metadata"]["param"] == "plugins"

    @every_kind
    def test_online_is_refused(self, kind: Kind, asker: Asker) -> None:
        error = error_of(asker.ask(kind, f"{kind.model}:online"), 400)
        assert "not configured in this gateway" in error["message"]

    @every_kind
    def test_a_plugin_that_is_off_is_nothing(self, kind: Kind, asker: Asker) -> None:
        off = [{"id": name, "enabled": False} for name in ("web", "file-parser", "response-healing")]
        reply = asker.ask(kind, plugins=[*off, {"id": "auto-router"}])
        response_of(reply)
        assert dropped(reply) == []

    @pytest.mark.parametrize("model", ["trunkline/auto", "openrouter/auto", "OpenRouter/Auto:nitro"])
    def test_the_auto_router_is_no_model(self, model: str, asker: Asker) -> None:
        assert "auto-router" in error_of(asker.ask(KINDS[0], model), 404)["message"]
        assert "auto-router" in error_of(asker.ask(KINDS[0], models=[model]), 404)["message"]

    @every_kind
    def test_a_template_that_nobody_keeps_is_refused(self, kind: Kind, asker: Asker) -> None:
        message = error_of(asker.ask(kind, prompt={"id": "p"}), 404)["message"]
        assert message == 'prompt: there is no template "p" here.'

    @every_mock
    def test_what_is_never_left_out_and_does_not_fit(self, kind: Kind, asker: Asker) -> None:
        reply = asker.ask(kind, f"small/{kind.name}", truncation="auto", instructions="x" * 15_000)
        if kind.dialect == "responses":
            # OpenAI's servers cut by themselves.
            response_of(reply)
            assert asker.sent["truncation"] == "auto"
            return
        error = error_of(reply, 400)
        assert error["message"].startswith("This endpoint's maximum context length is")
        assert error["metadata"]["error_type"] == "context_length_exceeded"

    @every_kind
    def test_an_input_that_fits_is_served_as_it_is(self, kind: Kind, asker: Asker) -> None:
        reply = asker.ask(kind, truncation="auto")
        response_of(reply)
        assert dropped(reply) == []


class TestSearch:
    """Decision x: alone or forced it is made or refused, beside other tools it is made or named; no dialect differs."""

    @every_kind
    @pytest.mark.parametrize("choice", [None, "auto", "required", {"type": "web_search_preview"}], ids=str)
    @pytest.mark.parametrize("type_", ["web_search", "web_search_preview"])
    def test_alone(self, type_: str, choice: Any, kind: Kind, asker: Asker) -> None:
        more = {} if choice is None else {"tool_choice": choice}
        reply = asker.ask(kind, tools=[{"type": type_}], **more)
        if not kind.searches:
            error = error_of(reply, 400)
            assert "no search is configured in this gateway" in error["message"]
            assert asker.upstream.seen(asker.nonce) == []
            return
        response_of(reply)
        is_asked_for = choice not in (None, "auto")
        may_be_lost = is_asked_for and not kind.forced and kind.dialect != "fake"
        is_any_taken = choice == "required" and kind.dialect == "converse"
        assert dropped(reply) == (["tool_choice"] if may_be_lost and not is_any_taken else [])

    @every_kind
    @pytest.mark.parametrize("choice", ["auto", "required"])
    def test_beside_a_function(self, choice: str, kind: Kind, asker: Asker) -> None:
        reply = asker.ask(kind, tools=[FUNCTION, SEARCH], tool_choice=choice)
        assert reply.status == 200, reply.body
        assert dropped(reply) == ([] if kind.searches and kind.beside else ["tools.web_search"])
        if kind.dialect != "fake":
            assert "look" in str(asker.sent)

    @every_kind
    def test_forced_beside_a_function(self, kind: Kind, asker: Asker) -> None:
        reply = asker.ask(kind, tools=[FUNCTION, SEARCH], tool_choice=SEARCH)
        assert reply.status == (200 if kind.searches else 400), reply.body

    @every_kind
    def test_domains_hold_or_it_is_refused(self, kind: Kind, asker: Asker) -> None:
        reply = asker.ask(kind, tools=[WITHIN])
        if kind.domains:
            response_of(reply)
            assert "a.example" in str(asker.sent)
            assert dropped(reply) == []
        else:
            assert error_of(reply, 400)["metadata"]["param"] == "tools"

    @every_kind
    def test_domains_beside_a_function(self, kind: Kind, asker: Asker) -> None:
        reply = asker.ask(kind, tools=[FUNCTION, WITHIN])
        assert reply.status == 200
        assert dropped(reply) == ([] if kind.domains else ["tools.web_search"])

    @every_mock
    @pytest.mark.parametrize("more", [{"max_tool_calls": 0}, {"tool_choice": "none"}], ids=str)
    def test_one_that_may_not_be_made_is_not_offered(self, more: Any, kind: Kind, asker: Asker) -> None:
        reply = asker.ask(kind, tools=[SEARCH], **more)
        response_of(reply)
        assert dropped(reply) == []
        assert "search" not in str({**asker.sent, "messages": None}).lower()

    @every_mock
    def test_a_bound_on_calls_is_told_or_named(self, kind: Kind, asker: Asker) -> None:
        if not kind.searches:
            pytest.skip("it makes no calls")
        reply = asker.ask(kind, tools=[SEARCH], max_tool_calls=2)
        response_of(reply)
        is_told = kind.dialect in ("responses", "messages")
        assert dropped(reply) == ([] if is_told else ["max_tool_calls"])

    @every_kind
    def test_require_parameters_holds_it(self, kind: Kind, asker: Asker) -> None:
        reply = asker.ask(kind, tools=[FUNCTION, SEARCH], provider={"require_parameters": True})
        assert reply.status == (200 if kind.searches and kind.beside else 404), reply.body

    def test_W1_a_place_is_flat_where_the_provider_has_it_flat(self, asker: Asker) -> None:
        place = {"type": "approximate", "city": "Oslo", "country": "NO"}
        asker.ask(next(k for k in KINDS if k.name == "chat-domains"), tools=[{**WITHIN, "user_location": place}])
        assert asker.sent["web_search_options"] == {"user_location": {"city": "Oslo", "country": "NO"}}
        assert asker.sent["search_domain_filter"] == ["a.example"]


@every_mock
@pytest.mark.parametrize(
    "more",
    [
        {"top_k": 5},
        {"presence_penalty": 1},
        {"frequency_penalty": 1},
        {"top_logprobs": 2},
        {"parallel_tool_calls": False, "tools": [FUNCTION]},
        {"text": {"verbosity": "low"}},
        {"text": {"format": {"type": "json_object"}}},
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}},
    ],
    ids=lambda more: next(iter(more)) if "format" not in str(more) else more["text"]["format"]["type"],
)
def test_require_parameters_refuses_what_would_be_named(more: dict[str, Any], kind: Kind, asker: Asker) -> None:
    reply = asker.ask(kind, **more)
    response_of(reply)
    strict = asker.ask(kind, **more, provider={"require_parameters": True})
    assert strict.status == (404 if dropped(reply) else 200), (dropped(reply), strict.body)


@every_mock
def test_a_summary_that_nobody_writes_is_named(kind: Kind, asker: Asker) -> None:
    reply = asker.ask(kind, reasoning={"summary": "auto"})
    response_of(reply)
    assert dropped(reply) == ([] if kind.dialect == "responses" else ["reasoning.summary"])


PLACES: dict[str, dict[str, Any]] = {
    "top_k": {"top_k": 5},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "top_logprobs": {"top_logprobs": 2},
    "parallel_tool_calls": {"parallel_tool_calls": False, "tools": [FUNCTION]},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "image_config": {"image_config": {"aspect_ratio": "1:1"}},
    "reasoning.summary": {"reasoning": {"summary": "auto"}},
    "text.verbosity": {"text": {"verbosity": "low"}},
}
"""What some dialects have no place for."""
NOTHING: dict[str, Any] = {
    "top_k": 0,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "top_logprobs": 0,
    "truncation": "disabled",
}


@every_mock
@pytest.mark.parametrize("name", PLACES)
def test_what_a_dialect_has_no_place_for_is_named_once(name: str, kind: Kind, asker: Asker) -> None:
    reply = asker.ask(kind, **PLACES[name])
    response_of(reply)
    is_unspoken = name.removeprefix("text.") in UNSPOKEN[cast("Dialect", kind.dialect)]
    assert dropped(reply).count(name) == 1 or not is_unspoken


@every_mock
def test_what_says_nothing_is_not_named(kind: Kind, asker: Asker) -> None:
    reply = asker.ask(kind, parallel_tool_calls=False, **NOTHING)
    response_of(reply)
    assert not dropped(reply)


@every_mock
def test_words_of_other_apis_are_named(kind: Kind, asker: Asker) -> None:
    reply = asker.ask(kind, max_tokens=5, context_management=[{"type": "compaction"}])
    response_of(reply)
    assert dropped(reply) == ["context_management", "max_tokens"]


@every_kind
def test_text_alone_is_text_alone(kind: Kind, asker: Asker) -> None:
    assert [item["type"] for item in response_of(asker.ask(kind, modalities=["text"]))["output"]][-1] == "message"


def test_a_model_that_draws_does_not_where_text_is_asked_for(asker: Asker) -> None:
    found = response_of(asker.gateway.call(ask("fake/image", modalities=["text"])))
    assert [item["type"] for item in found["output"]] == ["message"]
    assert found["usage"]["cost"] < 0.01


PICTURE = "data:image/png;base64," + (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@every_mock
@pytest.mark.parametrize("detail", ["low", "high", "original"])
def test_a_detail_of_a_picture_is_told_in_the_words_of_its_dialect(detail: str, kind: Kind, asker: Asker) -> None:
    """`original` is OpenAI's newest; it stays in the history of a session, so that a refusal would end the session."""
    if kind.dialect not in ("chat", "responses", "cohere"):
        pytest.skip("it has no word for it, or fetches the picture")
    part = {"type": "input_image", "image_url": PICTURE, "detail": detail}
    said = [{"role": "user", "content": [{"type": "input_text", "text": asker.nonce}, part]}]
    asker.upstream.play(asker.nonce, whole(ANSWER[kind.dialect]))
    response_of(asker.gateway.call({"model": kind.model, "input": said}))
    told = str(asker.sent)
    if "'detail'" in told:
        assert f"'detail': '{detail if kind.dialect == 'responses' or detail != 'original' else 'high'}'" in told
    else:
        assert PICTURE in told
