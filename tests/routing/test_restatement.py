"""Ten thousand generated requests and catalogues: the plan is what the plain restatement of the rules says."""

from __future__ import annotations

import random

import pytest

from tests.routing.catalogs import NOW, Shelf, plan_at
from tests.routing.generated import a_model, a_past, a_policy, a_request
from tests.routing.restatement import planned
from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest, NotFound
from trunkline.routing.affinity import Affinity, conversation
from trunkline.routing.health import Health

pytestmark = pytest.mark.law

CATALOGS = 10
REQUESTS = 20


@pytest.mark.parametrize("seed", range(20))
def test_plans_are_as_restated(seed: int) -> None:
    chance = random.Random(seed)
    served = 0
    for _ in range(CATALOGS):
        models = [a_model(chance, f"m/{name}") for name in ("one", "two", "three")]
        health = a_past(chance, [one for model in models for one in model])
        for _ in range(REQUESTS):
            served += _agree(chance, models, health)
    assert CATALOGS * REQUESTS / 4 < served < CATALOGS * REQUESTS


def _agree(chance: random.Random, models: list[list[Endpoint]], health: Health) -> bool:
    """Plan one generated request both ways; says whether anybody may serve it."""
    chosen = chance.sample(models, chance.randint(1, 3))
    request = a_request(chance, [model[0].model.slug for model in chosen])
    policy = a_policy(chance)
    affinity = Affinity()
    served_by = chance.choice(chosen[0]).id if chance.random() < 0.4 else None
    if served_by is not None:
        affinity.keep(conversation(request, policy.account, chosen[0][0].model.slug), served_by, NOW - 60)
    dice = [chance.random() for _ in range(60)]
    expected = planned(request, policy, chosen, health, iter(dice), NOW, served_by)
    try:
        found = plan_at(
            request,
            policy,
            Shelf(one for model in chosen for one in model),
            health,
            iter(dice).__next__,
            now=NOW,
            affinity=affinity,
        )
    except (NotFound, BadRequest):
        assert expected == []
        return False
    assert [(one.id, own) for one, own in zip(found.attempts, found.is_byok, strict=True)] == expected
    thrown = found.explanation.dice
    assert thrown == tuple(dice[: len(thrown)])
    return True
