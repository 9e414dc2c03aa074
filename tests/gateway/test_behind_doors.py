"""Routing and plugins hold for all doors alike: what is meant in the words of each goes where it goes at the others."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.clients.wires import WIRES, Answer, Asked, Call
from tests.gateway.conftest import CONFIG, PROVIDER
from tests.gateway.meanings import CHAT, MESSAGES, RESPONSES, WAYS, Document, Heard, Meaning, Tool, Way
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.upstream import Script, Upstream, chunk, completion, stream, whole
from tests.upstream.documents.making import simple_pdf

Json = Any

PROVIDERS = {
    # dialect, USD per million tokens in and out, what it does with prompts
    "cheap": ("chat", "1", "2", "trains = true, zdr = false, retains_days = 30"),
    "dear": ("messages", "5", "10", "trains = false, zdr = true, retains_days = 0"),
}
ENDPOINT = """
[[endpoints]]
provider = "{provider}"
model = "{model}"
upstream_model = "gpt-x"
price = {{ input = "{into}", output = "{out}", cache_read = "0.1" }}
context_tokens = 64000
quirks = {{ native_search = false }}
"""
SETTINGS = """
[search.exa]
kind = "exa"
base_url = "{url}/exa"
api_key = {{ env = "MOCK_KEY" }}
price = "0.007"
[moderation.list]
kind = "words"
words = ["gelignite"]
[plugins.moderation]
output = true
[plugins.auto_router]
models = ["b/spare", "b/plain"]
quality = {{ "b/plain" = 0.9, "b/spare" = 0.1 }}
"""
MODELS = 160
EACH = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
FORMS = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
_models = iter(range(MODELS))
_numbers = itertools.count()


@pytest.fixture(scope="module")
def house(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Models `b/<number>` at both providers, `b/plain` at the dear one and `b/spare` at the cheap one."""
    config = CONFIG
    for name, (dialect, into, out, policy) in PROVIDERS.items():
        config += PROVIDER.format(name=name, dialect=dialect, url=f"{upstream.url}/{name}/v1")
        config += f"data_policy = {{ {policy} }}\n"
        models = [*(f"b/{number}" for number in range(MODELS)), "b/plain" if name == "dear" else "b/spare"]
        config += "".join(ENDPOINT.format(provider=name, model=model, into=into, out=out) for model in models)
    config += SETTINGS.format(url=upstream.url)
    with running(tmp_path_factory.mktemp("behind"), config, MOCK_KEY=PROVIDER_KEY) as gateway:
        yield gateway
    assert "nonce-" not in gateway.log.read_text(), "a prompt is in the log"


@pytest.fixture
def fresh() -> str:
    return f"b/{next(_models)}"


def answers(host: str, *said: Answer, streams: bool) -> list[Script]:
    """What a provider says, one answer for each time that it is asked."""
    wire = WIRES[PROVIDERS[host][0]]
    if streams:
        return [stream(wire.stream(each, Asked())) for each in said]
    return [whole(wire.whole(each, Asked())) for each in said]


@dataclass
class Scene:
    """One conversation through one door, with both providers scripted."""

    way: Way
    gateway: Gateway
    upstream: Upstream
    tenant: Tenant
    mark: str

    def play(self, *said: Answer, streams: bool = False, host: str = "") -> None:
        for name in [host] if host else PROVIDERS:
            self.upstream.play(self.mark, *answers(name, *said, streams=streams), host=name)

    def meaning(self, model: str, text: str = "Say hello.", **more: Json) -> Meaning:
        return Meaning(model, f"{text} {self.mark}", **more)

    def send(self, meaning: Meaning, end: str = "", **headers: str) -> Reply:
        body = self.way.body(meaning)
        return self.gateway.call(body, key=self.tenant.text, path=self.way.path + end, **headers)

    def hear(self, meaning: Meaning, **headers: str) -> Heard:
        return self.way.heard(self.send(meaning, **headers))

    @property
    def hosts(self) -> list[str]:
        """Who was asked, in order."""
        return [seen.path.split("/")[1] for seen in self.upstream.seen(self.mark)]


@pytest.fixture
def scene(way: Way, house: Gateway, upstream: Upstream) -> Scene:
    tenant = Store(house, house.log.with_name("trunkline.db")).tenant(10**10)
    return Scene(way, house, upstream, tenant, f"nonce-behind-{next(_numbers)}")


# Routing


@dataclass(frozen=True)
class Case:
    """What a client says of who is to be asked, who of them is broken, and who is asked then."""

    id: str
    hosts: list[str]
    beside: dict[str, Json] = field(default_factory=dict)
    broken: str = ""
    model: str = "{fresh}"


CASES = (
    Case("what is cheapest", ["cheap"], {"provider": {"sort": "price"}}),
    Case("an order", ["dear"], {"provider": {"order": ["dear", "cheap"]}}),
    Case("an order, and its first is down", ["dear", "cheap"], {"provider": {"order": ["dear", "cheap"]}}, "dear"),
    Case("one alone", ["dear"], {"provider": {"only": ["dear"]}}),
    Case("one not", ["dear"], {"provider": {"ignore": ["cheap"]}}),
    Case("a highest price", ["cheap"], {"provider": {"order": ["dear"], "max_price": {"prompt": "2.50"}}}),
    Case("nobody who keeps prompts", ["dear"], {"provider": {"zdr": True}}),
    Case("nobody who learns of prompts", ["dear"], {"provider": {"data_collection": "deny"}}),
    Case("the cheapest, by a suffix", ["cheap"], model="{fresh}:floor"),
    Case("the fastest, by a suffix", ["dear"], {"provider": {"only": ["dear"]}}, model="{fresh}:nitro"),
    Case("another model after it", ["dear"], {"models": ["b/plain"], "provider": {"only": ["dear"]}}, model="b/spare"),
    Case("a model that is chosen for the prompt", ["dear"], model="openrouter/auto"),
)


@EACH
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_said_of_providers_and_models_is_heeded(case: Case, scene: Scene, fresh: str) -> None:
    scene.play(Answer("Hello."))
    if case.broken:
        scene.upstream.play(scene.mark, whole({"error": {"message": "Out of order."}}, 500), host=case.broken)
    reply = scene.send(scene.meaning(case.model.format(fresh=fresh), HARD, beside=case.beside))
    assert scene.way.heard(reply).text == "Hello."
    assert list(dict.fromkeys(scene.hosts)) == case.hosts
    assert reply.headers["x-trunkline-provider"] == case.hosts[-1]


HARD = "Prove the theorem, derive its generalisation and refactor the distributed proof checker without downtime."


@pytest.mark.parametrize("way", [CHAT, MESSAGES], ids=lambda way: way.name)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_plan_is_explained_as_for_responses(case: Case, scene: Scene, fresh: str) -> None:
    meaning = scene.meaning(case.model.format(fresh=fresh), HARD, beside=case.beside)
    own, other = (
        replace(scene, way=way).send(meaning, "/explain", **{"x-trunkline-dice": "0.5,0.5,0.5,0.5"})
        for way in (scene.way, RESPONSES)
    )
    assert own.status == 200, own.body
    told, wanted = own.json, other.json
    # A hold goes by the length of the body.
    assert told.pop("estimate").keys() == wanted.pop("estimate").keys()
    if scene.way is MESSAGES:
        # A limit that has to be named is a wish there, and rules nobody out.
        wanted["filters"].remove("max_output_tokens")
    assert told == wanted
    assert told["order"]
    assert scene.hosts == []


@EACH
@pytest.mark.parametrize("how", ["member", "header"])
def test_a_conversation_stays_where_its_cache_is(how: str, scene: Scene, fresh: str) -> None:
    scene.play(Answer("Hello."))
    session: Json = {"session_id": scene.mark} if how == "member" else {}
    headers: Json = {} if how == "member" else {"x-session-id": scene.mark}
    for provider in ({"only": ["dear"]}, {"sort": "price"}, {"sort": "price"}):
        scene.hear(scene.meaning(fresh, beside={"provider": provider, **session}), **headers)
    assert scene.hosts == ["dear"] * 3
    scene.hear(scene.meaning(fresh, beside={"provider": {"sort": "price"}}))
    assert scene.hosts[3:] == ["cheap"]


@pytest.mark.parametrize("way", [MESSAGES], ids=lambda way: way.name)
@pytest.mark.parametrize("how", ["header", "user"])
def test_a_session_of_claude_code_is_a_conversation(how: str, scene: Scene, fresh: str) -> None:
    scene.play(Answer("Hello."))
    headers = {"x-claude-code-session-id": scene.mark} if how == "header" else {}
    user = json.dumps({"device_id": "d", "session_id": scene.mark}) if how == "user" else ""
    for provider in ({"only": ["dear"]}, {"sort": "price"}):
        scene.hear(scene.meaning(fresh, user=user, beside={"provider": provider}), **headers)
    assert scene.hosts == ["dear"] * 2


@EACH
@FORMS
def test_a_key_s_own_model_answers_who_names_none(streams: bool, scene: Scene) -> None:
    scene.play(Answer("Hello."), streams=streams)
    terms = {"default_model": "b/plain", "preferences": {"only": ["dear"]}}
    scene = replace(scene, tenant=scene.tenant.store.tenant(terms=json.dumps(terms)))
    body = scene.way.body(scene.meaning("", streams=streams))
    del body["model"]
    reply = scene.gateway.call(body, key=scene.tenant.text, path=scene.way.path)
    assert scene.way.heard(reply).text == "Hello."
    assert b'"model":"b/plain"' in reply.body
    nobody = scene.gateway.call(body, path=scene.way.path)
    assert "No model is named" in scene.way.problem(nobody, 400).message


@EACH
def test_which_model_was_chosen_is_told(scene: Scene) -> None:
    scene.play(Answer("Hello."))
    reply = scene.send(scene.meaning("openrouter/auto", HARD))
    # A message has the name that was asked for: Claude Code wants it back.
    name = "openrouter/auto" if scene.way is MESSAGES else "b/plain"
    assert (reply.status, reply.json["model"]) == (200, name)
    assert reply.headers.get("x-trunkline-model") == ("b/plain" if scene.way is MESSAGES else None)
    kept = scene.tenant.data(f"generation?id={reply.json['id']}")
    assert kept["model"] == "b/plain"
    assert kept["plugins"]["auto_router"]["candidates"]


@EACH
def test_what_nobody_may_serve_is_one_404_that_says_why(scene: Scene, fresh: str) -> None:
    problem = scene.way.problem(scene.send(scene.meaning(fresh, beside={"provider": {"only": ["nobody"]}})), 404)
    assert problem.more["excluded_by"] == {"only": ["cheap", "dear"]}
    assert scene.hosts == []


# Plugins

PAGE = "https://kites.example/a"
FOUND = whole({"results": [{"title": "Kites", "url": PAGE, "text": "They fly."}]})
TEXT = f"See [Kites]({PAGE})."


def searched(scene: Scene, streams: bool, *more: Call) -> None:
    """A model that searches, says what it found, and then calls what else is asked for."""
    search = Answer(calls=[Call("web_search", {"query": f"kites {scene.mark}"}, "call_0")])
    scene.play(search, Answer("" if more else TEXT, more), Answer("Done."), streams=streams)
    scene.upstream.play(scene.mark, FOUND, host="exa")


@EACH
@FORMS
@pytest.mark.parametrize("host", PROVIDERS)
def test_a_search_of_the_gateways_is_one_answer_with_its_pages(
    host: str, streams: bool, scene: Scene, fresh: str
) -> None:
    searched(scene, streams)
    beside = {"provider": {"only": [host]}}
    reply = scene.send(scene.meaning(fresh, streams=streams, searches=True, beside=beside))
    heard = scene.way.heard(reply)
    assert (heard.text, heard.stop, heard.cited) == (TEXT, "stop", (PAGE,))
    # Pages that nobody cites have a place in Messages alone.
    assert heard.found == ((PAGE,) if scene.way is MESSAGES else None)
    assert heard.calls == ()
    assert scene.hosts == [host, "exa", host]
    kept = scene.tenant.data(f"generation?id={heard.id}")
    assert (kept["num_searches"], kept["web_search_engine"], kept["fees_cost"]) == (1, "exa", 0.007)
    assert (heard.cost, heard.read, heard.written) == (kept["usage"], kept["tokens_prompt"], kept["tokens_completion"])


@EACH
@FORMS
def test_what_a_search_found_comes_back_with_the_clients_own_call(streams: bool, scene: Scene, fresh: str) -> None:
    searched(scene, streams, Call("look", {}, "call_1"))
    tool = Tool("look")
    meaning = scene.meaning(fresh, streams=streams, searches=True, tool=tool, beside={"provider": {"only": ["cheap"]}})
    reply = scene.send(meaning)
    heard = scene.way.heard(reply)
    assert (heard.calls, heard.stop) == (("look",), "calls")
    body = scene.way.go_on(scene.way.body(meaning), reply, "A result.")
    again = scene.gateway.call(body, key=scene.tenant.text, path=scene.way.path)
    assert scene.way.heard(again).text == "Done."
    assert scene.hosts == ["cheap", "exa", "cheap", "cheap"]
    sent = scene.upstream.last(scene.mark).json["messages"]
    results = {each["tool_call_id"]: each["content"] for each in sent if each["role"] == "tool"}
    assert len(results) == 2
    assert any(PAGE in result for result in results.values())
    assert "A result." in results.values()


@EACH
def test_no_more_searches_are_made_than_the_client_allows(scene: Scene, fresh: str) -> None:
    searches = [Answer(calls=[Call("web_search", {"query": f"{n} {scene.mark}"}, f"c{n}")]) for n in range(2)]
    scene.play(*searches, Answer(TEXT))
    scene.upstream.play(scene.mark, FOUND, host="exa")
    body = scene.way.body(scene.meaning(fresh, searches=True, beside={"provider": {"only": ["cheap"]}}))
    if scene.way is MESSAGES:
        body["tools"][0]["max_uses"] = 1
    else:
        body["max_tool_calls"] = 1
    reply = scene.gateway.call(body, key=scene.tenant.text, path=scene.way.path)
    assert reply.status == 200, reply.body
    assert scene.hosts.count("exa") == 1
    assert scene.tenant.data(f"generation?id={reply.json['id']}")["num_searches"] == 1


@EACH
@pytest.mark.parametrize("model", ["{fresh}:online", "{fresh}"])
def test_a_search_by_the_plugin_comes_before_the_model(model: str, scene: Scene, fresh: str) -> None:
    scene.play(Answer(TEXT))
    scene.upstream.play(scene.mark, FOUND, host="exa")
    beside: Json = {"provider": {"only": ["cheap"]}}
    if "online" not in model:
        beside["plugins"] = [{"id": "web"}]
    heard = scene.hear(scene.meaning(model.format(fresh=fresh), beside=beside))
    assert (heard.text, heard.cited) == (TEXT, (PAGE,))
    assert scene.hosts == ["exa", "cheap"]
    assert PAGE in json.dumps(scene.upstream.last(scene.mark).json)


DOCUMENTS = (
    Document("kites.pdf", "application/pdf", simple_pdf("Kites fly high.")),
    Document("kites.html", "text/html", b"<!doctype html><h1>Kites</h1><p>fly high."),
    Document("kites.txt", "text/plain", b"Kites fly high."),
)


@EACH
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_document_is_read_for_a_model_that_takes_none(document: Document, scene: Scene, fresh: str) -> None:
    scene.play(Answer("They do."))
    meaning = scene.meaning(fresh, document=document, beside={"provider": {"only": ["cheap"]}})
    assert scene.hear(meaning).text == "They do."
    sent = json.dumps(scene.upstream.last(scene.mark).json)
    assert "fly high." in sent
    assert document.base64 not in sent


SCHEMA = {
    "type": "object",
    "properties": {"big": {"type": "boolean"}},
    "required": ["big"],
    "additionalProperties": False,
}


@EACH
@FORMS
def test_json_is_healed_by_its_schema(streams: bool, scene: Scene, fresh: str) -> None:
    scene.play(Answer("Sure:\n```json\n{'big': True,}\n```\n"), streams=streams)
    beside = {"plugins": [{"id": "response-healing"}], "provider": {"only": ["cheap"]}}
    reply = scene.send(scene.meaning(fresh, streams=streams, schema=SCHEMA, beside=beside))
    assert json.loads(scene.way.heard(reply).text) == {"big": True}
    sent = scene.upstream.last(scene.mark).json["response_format"]["json_schema"]
    assert sent["schema"] == SCHEMA
    if not streams:
        assert {"comma", "fence", "literal"} <= {*reply.headers["x-trunkline-healed"].split(",")}


@EACH
@FORMS
def test_what_a_function_is_called_with_is_healed(streams: bool, scene: Scene, fresh: str) -> None:
    called = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{'big': True,}"}}
    if streams:
        script = stream([chunk(tool_calls=[{"index": 0, **called}]), chunk(finish="tool_calls"), "[DONE]"])
    else:
        script = whole(completion(None, "tool_calls", tool_calls=[called]))
    scene.upstream.play(scene.mark, script, host="cheap")
    beside = {"plugins": [{"id": "response-healing"}], "provider": {"only": ["cheap"]}}
    heard = scene.hear(scene.meaning(fresh, streams=streams, tool=Tool("look", SCHEMA), beside=beside))
    assert (heard.calls, heard.arguments, heard.stop) == (("look",), ({"big": True},), "calls")


MODERATED = {"plugins": [{"id": "moderation"}], "provider": {"only": ["cheap"]}}
FORBIDDEN = {"responses": "403", "chat": "permission_error", "messages": "permission_error"}


@EACH
@FORMS
def test_a_request_that_is_flagged_reaches_nobody(streams: bool, scene: Scene, fresh: str) -> None:
    reply = scene.send(scene.meaning(fresh, "Mix the gelignite.", streams=streams, beside=MODERATED))
    problem = scene.way.problem(reply, 403)
    assert problem.kind == FORBIDDEN[scene.way.name]
    assert (problem.more["reasons"], problem.more["provider_name"]) == (["words"], "list")
    assert "gelignite" in problem.more["flagged_input"]
    assert scene.hosts == []
    assert scene.tenant.settled().charged == 0


@EACH
@FORMS
def test_an_answer_that_is_flagged_ends_as_filtered_and_is_paid(streams: bool, scene: Scene, fresh: str) -> None:
    scene.play(Answer("Take the gelignite."), streams=streams)
    heard = scene.hear(scene.meaning(fresh, streams=streams, beside=MODERATED))
    assert heard.stop == "content_filter"
    assert ("gelignite" in heard.text) is streams
    kept = scene.tenant.data(f"generation?id={heard.id}")
    assert (kept["finish_reason"], kept["usage"]) == ("content_filter", heard.cost)
    assert heard.cost


@EACH
def test_a_history_that_is_too_long_is_made_shorter(scene: Scene, fresh: str) -> None:
    scene.play(Answer("Yes."))
    meaning = scene.meaning(fresh, "And now?", limit=100, beside={"provider": {"only": ["cheap"]}})
    body = scene.way.body(meaning)
    history = "input" if scene.way is RESPONSES else "messages"
    last = {"role": "user", "content": meaning.text}
    talk = [{"role": role, "content": "word " * 9_000} for _ in range(5) for role in ("user", "assistant")]
    body[history] = [*talk, last]

    def send(**more: Json) -> Reply:
        return scene.gateway.call({**body, **more}, key=scene.tenant.text, path=scene.way.path)

    assert scene.way.heard(send()).text == "Yes."  # nobody knows for sure that it is too long
    assert len(scene.upstream.last(scene.mark).json["messages"]) == len(body[history])
    reply = send(truncation="auto")
    assert scene.way.heard(reply).text == "Yes."
    assert "input.turns=" in reply.headers["x-trunkline-dropped"]
    sent = scene.upstream.last(scene.mark).json["messages"]
    assert len(sent) < len(talk)
    assert sent[-1]["content"] == meaning.text


@pytest.mark.parametrize("way", [CHAT, MESSAGES], ids=lambda way: way.name)
def test_a_template_is_for_responses_alone_and_named_elsewhere(scene: Scene, fresh: str) -> None:
    scene.play(Answer("Hello."))
    meaning = scene.meaning(fresh, beside={"prompt": {"id": "digest"}, "provider": {"only": ["cheap"]}})
    assert "prompt" in scene.send(meaning).headers["x-trunkline-dropped"].split(", ")
