"""Terms as they are kept, what is refused of them, and what a key within its account may do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.catalogs import Shelf, ask, endpoint
from trunkline.accounts.terms import ModelRates, Terms, change_terms, members_of, policy_of, read_terms
from trunkline.protocol.preferences import MaxPrice, ProviderPreferences, ResponseHealingPlugin, Sort
from trunkline.routing.filters import filters
from trunkline.routing.measure import measure
from trunkline.routing.policy import Policy

WHOLE = """
{
  "models": ["openai/*"], "providers": ["openai"], "ignored_providers": ["azure"], "regions": ["eu"],
  "data_collection": "deny", "zdr": true, "enforce_distillable_text": true, "default_model": "openai/gpt-5",
  "preferences": {"sort": "price", "max_price": {"prompt": 0.1}, "preferred_max_latency": 1.5},
  "plugins": [{"id": "response-healing"}], "moderation": "always", "unlimited": true,
  "rpm": 1, "tpm": 2, "rpd": 3, "tpd": 4, "concurrency": 5, "model_rates": {"openai/*": {"rpm": 6}}
}
"""


def test_every_member_is_read() -> None:
    found = read_terms(WHOLE)
    assert found.preferences is not None
    assert found == Terms(
        models=("openai/*",),
        providers=("openai",),
        ignored_providers=("azure",),
        regions=("eu",),
        data_collection="deny",
        zdr=True,
        enforce_distillable_text=True,
        default_model="openai/gpt-5",
        preferences=found.preferences,
        plugins=(ResponseHealingPlugin(),),
        moderation="always",
        is_unlimited=True,
        rpm=1,
        tpm=2,
        rpd=3,
        tpd=4,
        concurrency=5,
        model_rates={"openai/*": ModelRates(rpm=6)},
    )
    assert found.preferences.sort == Sort("price")
    assert found.preferences.max_price == MaxPrice(prompt=Decimal("0.1"))
    assert read_terms(None) == Terms()


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ("nonsense", "terms are no JSON"),
        ("[]", "terms must be an object, not an array"),
        ('{"modles": []}', "modles is not known here; known are concurrency, data_collection,"),
        ('{"models": "a"}', "models must be an array"),
        ('{"models": [""]}', r"models\[0\] must not be empty"),
        ('{"rpm": 0}', "rpm must be a whole number from 1 to"),
        ('{"rpm": true}', "rpm must be a whole number from 1 to"),
        ('{"data_collection": "maybe"}', "data_collection must be one of"),
        ('{"model_rates": {"a/*": {"concurrency": 1}}}', r'model_rates\["a/\*"\].concurrency is not known here'),
        ('{"preferences": {"sort": "beauty"}}', "provider.sort must be one of"),
        ('{"preferences": {"max_price": {"prompt": "-1"}}}', "provider.max_price.prompt must be an amount in USD"),
        ('{"plugins": [{"id": "magic"}]}', r"plugins\[0\].id must be one of"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_path(kept: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_terms(kept)


def test_changes_are_laid_over_and_none_takes_away() -> None:
    first = change_terms(None, {"rpm": 5, "models": ["a"], "zdr": None})
    assert first == '{"models": ["a"], "rpm": 5}'
    assert members_of(first) == {"models": ["a"], "rpm": 5}
    assert change_terms(first, {"rpm": None, "models": None}) is None
    with pytest.raises(ValueError, match="at most 65536 characters"):
        change_terms(None, {"models": ["x" * 250] * 400})
    with pytest.raises(ValueError, match="models must have at most 1000 entries"):
        change_terms(None, {"models": ["x"] * 1001})


@pytest.mark.parametrize(
    ("account", "key", "policy"),
    [
        ({}, {}, {}),
        ({"models": ["a/*"]}, {}, {"allowed_models": ("a/*",)}),
        ({}, {"models": ["a/*"]}, {"allowed_models": ("a/*",)}),
        ({"models": ["a/*"]}, {"models": ["b"]}, {"allowed_models": ("b",), "account_models": ("a/*",)}),
        ({"providers": ["x"]}, {"providers": ["y"]}, {"allowed_providers": ("y",), "account_providers": ("x",)}),
        ({"regions": ["eu"]}, {"regions": ["us"]}, {"regions": ("us",), "account_regions": ("eu",)}),
        ({"ignored_providers": ["x", "y"]}, {"ignored_providers": ["y", "z"]}, {"ignored_providers": ("x", "y", "z")}),
        ({"zdr": True}, {}, {"zdr": True}),
        ({}, {"zdr": True}, {"zdr": True}),
        ({"data_collection": "deny"}, {"data_collection": "allow"}, {"data_collection": "deny"}),
        ({"data_collection": "allow"}, {"data_collection": "deny"}, {"data_collection": "deny"}),
        ({"enforce_distillable_text": True}, {}, {"enforce_distillable_text": True}),
        ({"default_model": "a"}, {"default_model": "b"}, {"default_model": "b"}),
        ({"default_model": "a"}, {}, {"default_model": "a"}),
    ],
)
def test_the_stricter_of_both_holds_and_of_defaults_the_keys(
    account: dict[str, Any], key: dict[str, Any], policy: dict[str, Any]
) -> None:
    terms = [read_terms(change_terms(None, each)) for each in (account, key)]
    assert policy_of("acc", *terms, max_attempts=3) == Policy(account="acc", **policy)


def test_preferences_are_read_as_those_of_a_request() -> None:
    kept = change_terms(None, {"preferences": {"only": ["openai"], "allow_fallbacks": None}})
    assert read_terms(kept).preferences == ProviderPreferences(only=("openai",))


SHELF = Shelf(
    endpoint(provider, f"{maker}/{name}", region=region, trains=trains, zdr=zdr)
    for maker in "ab"
    for name in ("one", "two")
    for provider, region, trains, zdr in (
        ("alpha", "eu", False, True),
        ("beta", "us", True, None),
        ("gamma", None, None, True),
    )
)
ENDPOINTS = [each for maker in "ab" for name in ("one", "two") for each in SHELF.endpoints_of(f"{maker}/{name}")]

some = st.fixed_dictionaries(
    {},
    optional={
        "models": st.lists(st.sampled_from(["a/*", "b/*", "*/one", "a/two", "*"]), max_size=2),
        "providers": st.lists(st.sampled_from(["alpha", "Beta", "gamma", "nobody"]), max_size=2),
        "ignored_providers": st.lists(st.sampled_from(["alpha", "beta"]), max_size=2),
        "regions": st.lists(st.sampled_from(["eu", "US"]), max_size=2),
        "zdr": st.booleans(),
        "data_collection": st.sampled_from(["deny", "allow"]),
    },
)


def allowed(policy: Policy) -> set[str]:
    """The endpoints that a policy leaves, whatever is asked for."""
    request = ask()
    active = filters(request, policy, SHELF.provider_slug, measure(request))
    return {each.id for each in ENDPOINTS if all(check(each) is None for _, check in active)}


@given(some, some)
def test_AU_13_a_key_may_reach_just_what_it_and_its_account_both_may(
    account: dict[str, Any], key: dict[str, Any]
) -> None:
    terms = [read_terms(change_terms(None, each)) for each in (account, key)]
    both = policy_of("acc", *terms, max_attempts=3)
    one, other = (policy_of("acc", each, Terms(), max_attempts=3) for each in terms)
    assert allowed(both) == allowed(one) & allowed(other)
