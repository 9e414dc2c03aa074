"""Who may be chosen for a prompt: what is on and up, whose key, what the settings list; and what comes of failures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.catalog.test_load import catalog
from tests.routing.catalogs import NOW, Past, remembered
from trunkline.catalog.entries import Catalog
from trunkline.catalog.quality import Quality
from trunkline.errors import NotFound
from trunkline.faces.responses.parse import parse
from trunkline.plugins.auto_router import AutoRouter
from trunkline.plugins.router import Difficulty
from trunkline.protocol.request import Request
from trunkline.routing.affinity import TTL_S
from trunkline.routing.health import Health
from trunkline.routing.plan import Planner
from trunkline.routing.policy import Policy
from trunkline.settings.router_sections import AutoRouterSettings

Json = Any

FACTS = {"a/good": Quality(0.9, "test"), "a/poor": Quality(0.2, "test"), "fake/echo": Quality(0.9, "test")}
ROWS = """
[providers.house]
dialect = "chat"
base_url = "http://127.0.0.1:9/v1"
[[endpoints]]
provider = "house"
model = "a/good"
price = { input = "1", output = "2" }
[[endpoints]]
provider = "house"
model = "a/poor"
price = { input = "0.1", output = "0.2" }
"""
GROQ = """
[[endpoints]]
provider = "groq"
model = "a/good"
price = { input = "1", output = "2" }
"""
EASY, HARD = "Hello", "Prove the theorem and derive its generalisation."


class Scene:
    """A router over a catalog, at a time that passes when it is told to."""

    def __init__(self, text: str = ROWS, *, health: Health | None = None, **settings: Json) -> None:
        self.now = NOW
        self.router = AutoRouter(AutoRouterSettings(**settings), FACTS)
        self.planner: Planner[Catalog] = Planner(catalog(text), health or Health(), lambda: 0.5, lambda: self.now)

    def route(self, text: str = EASY, policy: Policy | None = None, **more: Json) -> Request:
        request = parse(json.dumps({"model": "trunkline/auto", "input": text, **more}).encode())
        routed = self.router.route(request, policy or Policy(), self.planner, remembers=True)
        self.told: Json = routed.noted["auto_router"]
        return routed.request

    def model(self, text: str = EASY, policy: Policy | None = None, **more: Json) -> str | None:
        return self.route(text, policy, **more).model


def test_measured_models_are_chosen_that_somebody_serves() -> None:
    scene = Scene()
    assert (scene.model(EASY), scene.model(HARD)) == ("a/poor", "a/good")
    assert scene.route(HARD).models == ("a/poor",)
    assert [each["source"] for each in scene.told["candidates"]] == ["test", "test"]


def test_without_any_the_refusal_says_what_to_do() -> None:
    with pytest.raises(NotFound, match=r"\[plugins.auto_router\] models"):
        Scene("").route()


def test_fake_models_are_chosen_where_the_settings_list_them_and_nowhere_else() -> None:
    with pytest.raises(NotFound):
        Scene("").route(plugins=[{"id": "auto-router", "allowed_models": ["fake/echo"]}])
    assert Scene("", models=["fake/echo", "a/gone"]).model(HARD) == "fake/echo"


def test_who_says_that_it_reads_pictures_goes_before_who_says_nothing() -> None:
    picture = {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    shown = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": EASY}, picture]}]
    assert Scene().model(input=shown) == "a/poor"
    said = ROWS.replace('model = "a/good"', 'model = "a/good"\ninput_modalities = ["text", "image"]')
    assert Scene(said).model(input=shown) == "a/good"


def test_a_model_of_a_day_is_no_candidate_beside_the_model_itself() -> None:
    facts = {**FACTS, "a/good-2026-01-31": FACTS["a/good"]}
    scene = Scene(ROWS + ROWS[ROWS.index("[[") : ROWS.rindex("[[")].replace('a/good"', 'a/good-2026-01-31"'))
    scene.router = AutoRouter(AutoRouterSettings(), facts)
    assert scene.router.candidates(scene.planner.catalog) == ("a/good", "a/poor")
    named = [{"id": "auto-router", "allowed_models": ["a/good-2026-01-31"]}]
    assert scene.model(plugins=named) == "a/good-2026-01-31"
    assert scene.told["candidates"][0]["source"] == "test"


def test_a_list_in_the_settings_is_all_there_is() -> None:
    scene = Scene(models=["A/Poor"])
    assert scene.model(HARD) == "a/poor"
    with pytest.raises(NotFound, match="fits none of 1 candidates, as a/poor"):
        scene.route(plugins=[{"id": "auto-router", "allowed_models": ["a/good"]}])


def test_what_the_settings_say_of_quality_goes_before_what_was_published() -> None:
    scene = Scene(quality={"A/poor": 0.8})
    assert scene.model(HARD) == "a/poor"
    assert scene.told["candidates"][0]["source"] == "settings"


@pytest.mark.parametrize(("preference", "model"), [(0.0, "a/good"), (1.0, "a/good")])
def test_the_preference_moves_what_is_needed(preference: float, model: str) -> None:
    scene = Scene(preference=preference)
    assert scene.model(HARD) == model
    assert scene.told["need"] == pytest.approx(0.72 + (preference - 0.5) * 0.4)


def test_a_model_whose_endpoints_are_out_is_passed_over_while_another_is_up() -> None:
    out = remembered([Past("house:a/poor", fault="unavailable", times=20, ago=1)])
    assert Scene(health=out).model(EASY) == "a/good"
    out = remembered([Past(f"house:a/{name}", fault="unavailable", times=20, ago=1) for name in ("poor", "good")])
    assert Scene(health=out).model(EASY) == "a/poor"


def test_an_account_chooses_among_what_its_own_keys_reach_as_well() -> None:
    scene = Scene(GROQ)
    with pytest.raises(NotFound):
        scene.route()
    assert scene.model(EASY, Policy(own_keys=frozenset({"groq"}))) == "a/good"
    with pytest.raises(NotFound):
        scene.route()


def test_a_session_is_forgotten_after_ten_minutes_of_silence() -> None:
    scene = Scene()
    assert scene.model(HARD, session_id="s") == "a/good"
    for _ in range(3):
        scene.now += TTL_S - 1
        assert scene.model(EASY, session_id="s") == "a/good"
    scene.now += TTL_S
    assert scene.model(EASY, session_id="s") == "a/poor"


def test_another_catalog_is_chosen_from_at_once() -> None:
    scene = Scene()
    assert scene.model(HARD) == "a/good"
    scene.planner.use(catalog(ROWS.replace("a/good", "a/other")))
    assert scene.model(HARD) == "a/poor"


def test_a_rule_that_fails_costs_nobody_an_answer() -> None:
    def fails(request: Request) -> Difficulty:
        raise ZeroDivisionError(request.model)

    scene = Scene(models=["a/poor", "a/good"])
    scene.router = AutoRouter(AutoRouterSettings(models=["a/poor", "a/good"]), FACTS, fails)
    assert scene.model(HARD) == "a/poor"
    assert scene.told == {
        "model": "a/poor",
        "models": ["a/poor", "a/good"],
        "why": "its rules failed: ZeroDivisionError",
    }


@pytest.mark.parametrize("suffix", ["nitro", "floor:exacto", "online"])
def test_suffixes_go_along(suffix: str) -> None:
    found = Scene().route(model=f"OpenRouter/auto:{suffix}")
    assert (found.model, found.models) == (f"a/poor:{suffix}", (f"a/good:{suffix}",))


def test_a_variant_leaves_those_that_have_it() -> None:
    with pytest.raises(NotFound, match="No models match"):
        Scene().route(model="trunkline/auto:free")
    free = ROWS.replace('input = "0.1", output = "0.2"', 'input = "0", output = "0"')
    assert Scene(free).model(HARD, model="trunkline/auto:free") == "a/poor:free"
