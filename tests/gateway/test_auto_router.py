"""A model chosen for the prompt, through the running gateway: who is chosen, who may be, and what is said of it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from openrouter import OpenRouter

from tests.clients.wires import WIRES, Answer, Asked
from tests.gateway.checks import error_of, events_of, response_of
from tests.gateway.conftest import CONFIG, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.tenants import Store, Tenant
from tests.gateway.upstream import Script, Upstream, stream, whole

Json = Any

EASY = "Hello, who is the king of Spain?"
MIDDLE = "Write a cover letter for a gardener and explain what makes it good."
HARD = "Prove the theorem, derive its generalisation and refactor the distributed proof checker without downtime."

MODELS = {
    # provider, USD per million tokens in and out, quality, what else
    "mock/small": ("chat", "0.1", "0.2", 0.1, 'input_modalities = ["text"]\nsupports = ["temperature"]\n'),
    "mock/twin": ("chat", "0.2", "0.4", 0.2, 'supports = ["tools", "structured_outputs", "reasoning"]\n'),
    "mock/middle": ("messages", "1", "2", 0.5, 'supports = ["tools", "structured_outputs"]\n'),
    "mock/strong": ("messages", "5", "10", 0.9, ""),
    "mock/best": ("chat", "9", "30", 1.0, "context_tokens = 200000\n"),
}
CONTEXT = "context_tokens = 16000\n"
HOSTS = {"chat": "c", "messages": "m"}
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}
SCHEMA = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object", "properties": {}}}}
PICTURE = {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBORw0KGgo="}
_numbers = itertools.count()


def config(url: str) -> str:
    rows = PROVIDER.format(name="mock-chat", dialect="chat", url=f"{url}/c/v1")
    rows += PROVIDER.format(name="mock-messages", dialect="messages", url=f"{url}/m/v1")
    for model, (dialect, into, out, _, more) in MODELS.items():
        rows += f'[[endpoints]]\nprovider = "mock-{dialect}"\nmodel = "{model}"\nupstream_model = "{model[5:]}"\n'
        rows += f'price = {{ input = "{into}", output = "{out}" }}\n{more}'
        rows += "" if "context" in more else CONTEXT
    quality = ", ".join(f'"{model}" = {row[3]}' for model, row in MODELS.items())
    return CONFIG + rows + f"[plugins.auto_router]\nmodels = {json.dumps([*MODELS])}\nquality = {{ {quality} }}\n"


@pytest.fixture(scope="module")
def house(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("auto"), config(upstream.url), MOCK_KEY=PROVIDER_KEY) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def plain(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that is not set up for it: one model that was measured, one that was not, and FakeProvider."""
    rows = PROVIDER.format(name="mock-chat", dialect="chat", url=f"{upstream.url}/c/v1")
    for model in ("openai/gpt-4.1", "acme/own"):
        rows += f'[[endpoints]]\nprovider = "mock-chat"\nmodel = "{model}"\nupstream_model = "{model}"\n'
    rows += '[defaults]\nmodel = "openrouter/auto"\n'
    with running(tmp_path_factory.mktemp("auto-plain"), CONFIG + rows, MOCK_KEY=PROVIDER_KEY) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with nobody but FakeProvider, whose models the settings list."""
    lines = ["[plugins.auto_router]", 'models = ["fake/echo", "fake/reasoner"]', 'quality = { "fake/reasoner" = 0.9 }']
    with running(tmp_path_factory.mktemp("auto-fake"), CONFIG + "\n".join(lines)) as gateway:
        yield gateway


def said(host: str, text: str, *, streams: bool) -> Script:
    wire = WIRES["chat" if host == "c" else "messages"]
    told = Answer(text)
    return stream(wire.stream(told, Asked())) if streams else whole(wire.whole(told, Asked()))


class Scene:
    """An account at a gateway, and models that answer one request after the other."""

    def __init__(self, house: Gateway, upstream: Upstream, **key: Json) -> None:
        self.house, self.upstream = house, upstream
        self.tenant: Tenant = Store(house, house.log.with_name("trunkline.db")).tenant(None, **key)

    def body(self, prompt: str = EASY, /, *, mark: str = "", **more: Json) -> Json:
        given = {"model": "trunkline/auto", "input": f"{prompt}\n{mark}" if mark else prompt, **more}
        return {name: value for name, value in given.items() if value is not None}

    def ask(self, prompt: str = EASY, /, **more: Json) -> Reply:
        mark = f"nonce-auto-{next(_numbers)}"
        for host in HOSTS.values():
            self.upstream.play(mark, said(host, "Done.", streams=bool(more.get("stream"))), host=host)
        self.mark = mark
        return self.tenant.call(self.body(prompt, mark=mark, **more))

    def model(self, prompt: str = EASY, /, **more: Json) -> str:
        chosen: str = response_of(self.ask(prompt, **more))["model"]
        return chosen

    @property
    def called(self) -> list[str]:
        """Who was asked for the last request, by its name upstream."""
        return [each.json["model"] for each in self.upstream.seen(self.mark)]

    def explained(self, prompt: str = EASY, /, **more: Json) -> Json:
        reply = self.house.call(self.body(prompt, **more), key=self.tenant.text, path="/api/v1/responses/explain")
        assert reply.status == 200, reply.body
        return reply.json


@pytest.fixture
def scene(house: Gateway, upstream: Upstream) -> Scene:
    return Scene(house, upstream)


class TestChoice:
    @pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
    @pytest.mark.parametrize(
        ("text", "model"),
        [(EASY, "mock/small"), (MIDDLE, "mock/middle"), (HARD, "mock/strong")],
        ids=["easy", "middle", "hard"],
    )
    def test_the_cheapest_model_that_is_good_enough_answers(
        self, text: str, model: str, streams: bool, scene: Scene
    ) -> None:
        reply = scene.ask(text, stream=streams)
        response = events_of(reply)[-1]["response"] if streams else response_of(reply)
        assert response["model"] == model
        assert scene.called == [model[5:]]
        price = MODELS[model]
        usage = response["usage"]
        usd = (usage["input_tokens"] * float(price[1]) + usage["output_tokens"] * float(price[2])) / 1e6
        assert usage["cost"] == pytest.approx(usd)

    @pytest.mark.parametrize(
        "name", ["openrouter/auto", "Trunkline/AUTO", "openrouter/auto:floor", "trunkline/auto:nitro"]
    )
    def test_it_goes_by_several_names(self, name: str, scene: Scene) -> None:
        assert scene.model(model=name) == "mock/small"

    def test_an_unknown_variant_is_404(self, scene: Scene) -> None:
        assert "variant 'huge'" in error_of(scene.ask(model="trunkline/auto:huge"), 404)["message"]
        assert scene.called == []

    def test_online_is_refused_where_no_search_is_configured(self, scene: Scene) -> None:
        assert "web plugin" in error_of(scene.ask(model="trunkline/auto:online"), 400)["message"]

    def test_fallbacks_answer_when_it_cannot(self, scene: Scene) -> None:
        mark = f"nonce-auto-{next(_numbers)}"
        scene.upstream.play(mark, whole({"error": {"message": "no"}}, 400), said("c", "Hi.", streams=False), host="c")
        reply = scene.tenant.call(scene.body(mark=mark))
        assert response_of(reply)["model"] == "mock/twin"

    def test_the_models_of_the_request_come_after(self, scene: Scene) -> None:
        found = scene.explained(models=["mock/best", "openrouter/auto"])
        assert found["models"] == ["mock/small", "mock/twin", "mock/middle", "mock/best"]
        found = scene.explained(model="mock/best", models=["trunkline/auto"])
        assert found["models"] == ["mock/best", "mock/small", "mock/twin", "mock/middle"]

    def test_a_named_model_is_not_changed(self, scene: Scene) -> None:
        more = {"model": "mock/best", "plugins": [{"id": "auto-router", "allowed_models": ["mock/small"]}]}
        assert scene.model(**more) == "mock/best"
        assert "auto_router" not in json.dumps(scene.explained(**more))


class TestAbilities:
    @pytest.mark.parametrize(
        ("more", "model"),
        [
            ({"tools": [TOOL]}, "mock/twin"),
            ({"text": SCHEMA}, "mock/twin"),
            ({"max_output_tokens": 20_000}, "mock/best"),
            ({"provider": {"only": ["mock-messages"]}}, "mock/middle"),
            ({"provider": {"max_price": {"prompt": 0.15}}}, "mock/small"),
        ],
        ids=["tools", "schema", "length", "provider", "price"],
    )
    def test_only_those_are_chosen_that_can(self, more: Json, model: str, scene: Scene) -> None:
        assert scene.model(**more) == model

    def test_pictures_and_thinking_and_long_inputs(self, scene: Scene) -> None:
        content = [{"type": "input_text", "text": EASY}, PICTURE]
        picture = scene.explained(input=[{"type": "message", "role": "user", "content": content}])
        assert picture["models"][0] == "mock/twin"
        assert scene.explained("Go.", reasoning={"effort": "low"})["models"][0] != "mock/small"
        assert scene.explained("word " * 40_000)["models"] == ["mock/best"]
        for more in ({}, {"truncation": "auto"}):
            # Some 15,000 tokens: a lower bound of them fits into 16,000, what is likely does not with an answer.
            assert scene.explained("word " * 12_000, **more)["models"] == ["mock/best"]

    def test_what_none_can_is_refused_in_the_words_of_routing(self, scene: Scene) -> None:
        error = error_of(scene.ask("words " * 320_000), 400)
        assert error["metadata"]["error_type"] == "context_length_exceeded"
        error = error_of(scene.ask(provider={"only": ["nobody"]}), 404)
        assert error["message"].startswith("No models match your request and model restrictions")
        assert scene.called == []


class TestRestrictions:
    @pytest.mark.parametrize(
        ("patterns", "model"),
        [(["MOCK/m*"], "mock/middle"), ([" mock/best "], "mock/best"), (["*/s*"], "mock/small"), (["*"], "mock/small")],
    )
    def test_allowed_models_are_globs(self, patterns: list[str], model: str, scene: Scene) -> None:
        assert scene.model(plugins=[{"id": "auto-router", "allowed_models": patterns}]) == model

    def test_nothing_that_matches_is_404(self, scene: Scene) -> None:
        reply = scene.ask(plugins=[{"id": "auto-router", "allowed_models": ["anthropic/*"]}])
        assert error_of(reply, 404)["message"].startswith("No models match your request and model restrictions")
        found = scene.explained(plugins=[{"id": "auto-router", "allowed_models": ["anthropic/*"]}])
        assert found["error"]["code"] == 404

    def test_patterns_that_match_in_many_ways_or_are_many_hold_nobody_up(self, scene: Scene) -> None:
        begun = time.monotonic()
        for pattern in ("*/" + "*" * 200 + "x", "m" + "*o*" * 60 + "x"):
            error_of(scene.ask(plugins=[{"id": "auto-router", "allowed_models": [pattern]}]), 404)
        for patterns in (["a/b*"] * 257, ["x" * 257]):
            error_of(scene.ask(plugins=[{"id": "auto-router", "allowed_models": patterns}]), 400)
        assert time.monotonic() - begun < 1

    def test_switched_off_it_takes_the_first_of_the_list(self, scene: Scene) -> None:
        off = {"id": "auto-router", "enabled": False}
        assert scene.model(HARD, plugins=[off]) == "mock/small"
        assert scene.model(HARD, plugins=[{**off, "allowed_models": ["mock/b*"]}]) == "mock/best"

    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"models": ["mock/strong"]},
            {"plugins": [{"id": "auto-router", "allowed_models": ["mock/strong", "mock/small"]}]},
            {"model": None, "models": ["openrouter/auto", "mock/best"]},
        ],
        ids=["auto", "models", "allowed_models", "auto in models"],
    )
    def test_AU_13_only_what_a_key_may_use_is_chosen(self, more: Json, house: Gateway, upstream: Upstream) -> None:
        narrow = Scene(house, upstream, terms=json.dumps({"models": ["mock/small"]}))
        assert narrow.model(HARD, **more) == "mock/small"
        assert narrow.called == ["small"]

    def test_AU_13_a_key_that_may_use_none_of_them_gets_404(self, house: Gateway, upstream: Upstream) -> None:
        narrow = Scene(house, upstream, terms=json.dumps({"models": ["openai/*"]}))
        for more in ({}, {"models": ["mock/best"]}, {"plugins": [{"id": "auto-router", "allowed_models": ["mock/*"]}]}):
            error_of(narrow.ask(**more), 404)
            assert narrow.called == []

    def test_AU_13_it_does_not_fall_back_out_of_what_a_key_may_use(self, house: Gateway, upstream: Upstream) -> None:
        narrow = Scene(house, upstream, terms=json.dumps({"models": ["mock/twin"]}))
        mark = f"nonce-auto-{next(_numbers)}"
        upstream.play(mark, whole({"error": {"message": "no"}}, 500), host="c")
        assert narrow.tenant.call(narrow.body(mark=mark)).status >= 500
        assert {each.json["model"] for each in upstream.seen(mark)} == {"twin"}

    def test_the_default_model_of_a_key_may_be_it(self, house: Gateway, upstream: Upstream) -> None:
        keyed = Scene(house, upstream, terms=json.dumps({"default_model": "openrouter/auto"}))
        assert keyed.model(MIDDLE, model=None) == "mock/middle"


class TestSessions:
    def test_a_session_keeps_its_model_until_something_harder_is_asked(self, scene: Scene) -> None:
        for more in ({"session_id": "one"}, {"prompt_cache_key": "two"}):
            assert [scene.model(text, **more) for text in (MIDDLE, EASY, HARD, MIDDLE, EASY)] == [
                "mock/middle",
                "mock/middle",
                "mock/strong",
                "mock/strong",
                "mock/strong",
            ]

    def test_sessions_are_the_accounts(self, scene: Scene, house: Gateway, upstream: Upstream) -> None:
        assert scene.model(MIDDLE, session_id="ours") == "mock/middle"
        assert Scene(house, upstream).model(session_id="ours") == "mock/small"

    def test_a_model_that_may_not_serve_is_left(self, scene: Scene) -> None:
        assert scene.model(session_id="s") == "mock/small"
        assert scene.model(session_id="s", tools=[TOOL]) == "mock/twin"

    def test_a_session_that_lost_its_strong_model_gets_one_again_for_something_hard(self, scene: Scene) -> None:
        only = {"provider": {"only": ["mock-chat"]}}
        assert scene.model(HARD, session_id="lost") == "mock/strong"
        assert scene.model(session_id="lost", **only) == "mock/small"
        assert scene.model(HARD, session_id="lost") == "mock/strong"

    def test_an_explanation_is_not_remembered(self, scene: Scene) -> None:
        assert scene.explained(HARD, session_id="e")["models"][0] == "mock/strong"
        assert scene.model(session_id="e") == "mock/small"
        assert scene.explained(session_id="e")["plugins"]["auto_router"]["is_kept"]


class TestTold:
    def test_the_explanation_is_what_happens_and_what_is_on_record(self, scene: Scene) -> None:
        for text in (EASY, MIDDLE, HARD):
            before = scene.explained(text)["plugins"]["auto_router"]
            reply = scene.ask(text)
            assert response_of(reply)["model"] == before["model"]
            record = scene.tenant.data(f"generation?id={reply.json['id']}")
            assert record["model"] == before["model"]
            told = record["plugins"]["auto_router"]
            assert (told["model"], told["tier"], told["need"]) == (before["model"], before["tier"], before["need"])
            assert sum(term["points"] for term in told["terms"]) == pytest.approx(told["difficulty"])
            assert {each["model"] for each in told["candidates"]} == set(MODELS)
            assert scene.tenant.record(reply)["asked_model"] == "trunkline/auto"

    def test_each_candidate_has_quality_price_and_source(self, scene: Scene) -> None:
        told = scene.explained(MIDDLE)["plugins"]["auto_router"]
        assert told["candidates"][0] == {
            "model": "mock/middle",
            "quality": 0.5,
            "source": "settings",
            "expected_usd": pytest.approx(0.0005, rel=0.01),
        }
        assert told["why"] == "mock/middle is the cheapest of 3 with a quality of 0.35 or more"

    def test_it_is_listed_as_a_model(self, scene: Scene) -> None:
        listed = scene.tenant.get("models").json["data"]
        assert (listed[0]["id"], listed[0]["display_name"]) == ("trunkline/auto", "Auto Router")
        assert listed[0]["pricing"] == {"prompt": "-1", "completion": "-1"}
        assert listed[0]["context_length"] == 200_000
        assert len(listed) == scene.tenant.get("models/count").json["data"]["count"]
        assert scene.tenant.get("models/openrouter/auto").json == listed[0]


class TestUnconfigured:
    def test_measured_models_are_chosen_and_others_where_they_are_named(
        self, plain: Gateway, upstream: Upstream
    ) -> None:
        scene = Scene(plain, upstream)
        assert scene.model(HARD) == "openai/gpt-4.1"
        assert scene.model(HARD, model=None) == "openai/gpt-4.1"  # by the gateway's default
        assert scene.model(plugins=[{"id": "auto-router", "allowed_models": ["acme/own"]}]) == "acme/own"
        told = scene.explained(plugins=[{"id": "auto-router", "allowed_models": ["acme/own"]}])
        assert told["plugins"]["auto_router"]["candidates"][0]["source"] == "guessed"
        assert error_of(scene.ask(plugins=[{"id": "auto-router", "allowed_models": ["acme/*"]}]), 404)

    def test_fake_models_are_never_chosen_for_another_name(self, plain: Gateway, upstream: Upstream) -> None:
        scene = Scene(plain, upstream)
        for patterns in (["fake/*"], ["fake/echo"]):
            error_of(scene.ask(plugins=[{"id": "auto-router", "allowed_models": patterns}]), 404)

    def test_a_model_that_the_request_names_serves_where_no_candidate_may(
        self, plain: Gateway, upstream: Upstream
    ) -> None:
        narrow = Scene(plain, upstream, terms=json.dumps({"models": ["acme/*"]}))
        for more in ({"models": ["acme/own"]}, {"model": "acme/own", "models": ["trunkline/auto"]}):
            assert narrow.explained(**more)["models"] == ["acme/own"]
            assert narrow.model(**more) == "acme/own"
        error_of(narrow.ask(models=["openai/gpt-4.1"]), 404)

    def test_switched_off_without_a_list_is_400(self, plain: Gateway, upstream: Upstream) -> None:
        reply = Scene(plain, upstream).ask(plugins=[{"id": "auto-router", "enabled": False}])
        assert "[plugins.auto_router] models" in error_of(reply, 400)["message"]


class TestFakeProvider:
    @pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
    def test_models_that_the_settings_list_are_chosen(self, streams: bool, played: Gateway) -> None:
        only = [{"id": "auto-router", "allowed_models": ["fake/e*"]}]
        # Both cost nothing, and then the better answers.
        for plugins, model in (([], "fake/reasoner"), (only, "fake/echo")):
            reply = played.call({"model": "trunkline/auto", "input": EASY, "stream": streams, "plugins": plugins})
            response = events_of(reply)[-1]["response"] if streams else response_of(reply)
            assert response["model"] == model


class TestClients:
    def test_the_openai_client_gets_a_chosen_model(self, scene: Scene) -> None:
        for text, model, host in ((EASY, "mock/small", "c"), (HARD, "mock/strong", "m")):
            mark = f"nonce-auto-{next(_numbers)}"
            scene.upstream.play(mark, said(host, "Lima.", streams=True), host=host)
            with OpenAI(base_url=scene.house.url + "/api/v1", api_key=scene.tenant.text, max_retries=0) as client:
                events = list(client.responses.create(model="openrouter/auto", input=f"{text} {mark}", stream=True))
            last = events[-1]
            assert last.type == "response.completed"
            assert (last.response.model, last.response.output_text) == (model, "Lima.")

    def test_the_openrouter_client_gets_a_chosen_model(self, scene: Scene) -> None:
        mark = f"nonce-auto-{next(_numbers)}"
        scene.upstream.play(mark, said("m", "Dear Sirs.", streams=False), host="m")
        with OpenRouter(api_key=scene.tenant.text, server_url=scene.house.url + "/api/v1") as client:
            found = client.beta.responses.send(
                model="openrouter/auto",
                input=f"{MIDDLE} {mark}",
                plugins=[{"id": "auto-router", "allowed_models": ["mock/*"]}],
            )
        assert found.model == "mock/middle"
