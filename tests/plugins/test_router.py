"""How hard a prompt is and who is chosen for it: laws of the scorer and of the choice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.faces.responses.parse import parse
from trunkline.plugins.router import (
    NEEDS,
    TIERS,
    WEIGHTS,
    Contender,
    Features,
    choose,
    difficulty,
    features,
    need_of,
    tier_of,
)
from trunkline.protocol.request import Request

Json = Any

WORDS = ("prove", "derive", "write", "explain", "hello", "translate", "kubernetes", "x^2=4", "f(x):", "证明", "翻译")
SIGNS = ("докажи", "def", ";", ".", ",", "\n", "```", "7")
prompts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=400),
    st.lists(st.sampled_from(WORDS + SIGNS), max_size=60).map(" ".join),
)
contenders = st.lists(
    st.builds(
        Contender,
        model=st.sampled_from([f"m/{number}" for number in range(50)]),
        quality=st.floats(0, 1),
        source=st.just("test"),
        usd=st.none() | st.floats(0, 10),
        is_fit=st.booleans(),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda each: each.model,
)
needs = st.floats(0, 1)


def asked(prompt: str, **more: Json) -> Request:
    return parse(json.dumps({"model": "trunkline/auto", "input": prompt or " ", **more}).encode())


class TestDifficulty:
    @given(prompts)
    def test_it_is_the_sum_of_what_is_said_of_it(self, prompt: str) -> None:
        hard = difficulty(features(asked(prompt)))
        assert hard.points == pytest.approx(sum(term.points for term in hard.terms))
        assert all(term.points == pytest.approx(term.value * WEIGHTS[term.name], abs=0.01) for term in hard.terms)
        assert hard.tier == tier_of(hard.points)

    @given(prompts)
    def test_the_same_prompt_is_as_hard_again(self, prompt: str) -> None:
        assert features(asked(prompt)) == features(asked(prompt))

    @given(st.floats(-20, 20), st.floats(-20, 20))
    def test_more_points_are_no_lower_a_tier(self, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert TIERS.index(tier_of(low)) <= TIERS.index(tier_of(high))

    def test_every_feature_has_a_weight_and_only_easy_forms_make_it_easier(self) -> None:
        assert tuple(WEIGHTS) == Features._fields
        assert [name for name, weight in WEIGHTS.items() if weight < 0] == ["easy_forms"]

    def test_what_is_pasted_between_is_not_read_for_words(self) -> None:
        before, after = "Count the lines of this text. " * 8, " Say the number alone." * 12
        for inner in ("", "prove derive theorem refactor " * 500):
            assert features(asked(before + inner + after)).hard_words == 0

    @pytest.mark.parametrize(
        ("more", "name"),
        [
            ({"reasoning": {"effort": "high"}}, "reasoning"),
            ({"reasoning": {"max_tokens": 2000}}, "reasoning"),
            ({"text": {"format": {"type": "json_object"}}}, "schema"),
            ({"tools": [{"type": "function", "name": n, "parameters": {"type": "object"}} for n in "abcd"]}, "tools"),
            ({"instructions": "word " * 4000}, "long_input"),
        ],
    )
    def test_what_comes_with_a_prompt_makes_it_harder(self, more: Json, name: str) -> None:
        assert getattr(features(asked("Hello", **more)), name) > 0
        assert getattr(features(asked("Hello")), name) == 0
        assert difficulty(features(asked("Hello", **more))).points > difficulty(features(asked("Hello"))).points

    def test_the_last_turn_of_the_user_is_what_is_asked(self) -> None:
        first = {"type": "message", "role": "user", "content": "Prove the theorem."}
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "c", "output": "derive this theorem"}
        last = {"type": "message", "role": "user", "content": "thanks"}
        body = {"model": "a/b", "input": [first, call, result, last]}
        found = features(parse(json.dumps(body).encode()))
        assert (found.hard_words, found.turns) == (0, 1)
        body["input"] = [first, call, result]
        assert features(parse(json.dumps(body).encode())).hard_words == 2


class TestNeed:
    @given(st.floats(0, 1), st.floats(0, 1))
    def test_it_rises_with_the_preference_and_with_the_tier(self, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert all(need_of(tier, low) <= need_of(tier, high) for tier in TIERS)
        assert need_of("cheap", one) <= need_of("middle", one) <= need_of("strong", one)
        assert all(0 <= need_of(tier, one) <= 1 for tier in TIERS)

    def test_in_the_middle_nothing_is_moved(self) -> None:
        assert {tier: need_of(tier, 0.5) for tier in TIERS} == NEEDS


class TestChoice:
    @given(contenders, needs, st.integers(0, 5))
    def test_the_choice_is_among_the_candidates(self, found: list[Contender], need: float, fallbacks: int) -> None:
        chosen = choose(found, need, fallbacks)
        assert set(chosen.models) <= {each.model for each in found}
        assert 1 <= len(chosen.models) == len(set(chosen.models)) <= 1 + fallbacks
        assert chosen.models[0] == chosen.considered[0].model

    @given(contenders, needs)
    def test_nobody_who_is_good_enough_costs_less(self, found: list[Contender], need: float) -> None:
        first = choose(found, need, 0).considered[0]
        fit = [each for each in found if each.is_fit] or found
        able = [each for each in fit if each.quality >= need]
        if able:
            assert first in able
            assert all(first.usd is not None and first.usd <= each.usd for each in able if each.usd is not None)
        else:
            assert first.quality == max(each.quality for each in fit)

    @given(contenders, needs, needs)
    def test_a_higher_need_chooses_nobody_worse(self, found: list[Contender], one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert choose(found, low, 0).considered[0].quality <= choose(found, high, 0).considered[0].quality

    @given(contenders, needs)
    def test_who_cannot_do_what_is_wished_is_chosen_only_where_nobody_can(
        self, found: list[Contender], need: float
    ) -> None:
        fit = {each.is_fit for each in choose(found, need, 20).considered}
        assert fit == ({True} if any(each.is_fit for each in found) else {False})

    def test_of_equals_the_first_of_the_list_is_chosen(self) -> None:
        found = [Contender(name, 0.5, "test", 1.0) for name in ("m/b", "m/a", "m/c")]
        assert choose(found, 0.4, 1).models == ("m/b", "m/a")
        assert choose(found, 0.9, 1).models == ("m/b", "m/a")

    def test_it_says_why(self) -> None:
        found = [Contender("m/a", 0.5, "test", 1.0), Contender("m/b", 0.6, "test", 2.0)]
        assert choose(found, 0.4, 0).reason == "m/a is the cheapest of 2 with a quality of 0.40 or more"
        assert choose(found, 0.7, 0).reason == "none has a quality of 0.70; m/b is the best of 2"
