"""Who has to make a search by itself: all endpoints where the gateway has no engine, else those that a client names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from tests.routing.catalogs import Shelf, endpoint
from trunkline.catalog.abilities import search_shortfall, searches_unasked
from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.catalog.quirks import Quirks
from trunkline.errors import BadRequest, NotFound
from trunkline.protocol.preferences import ProviderPreferences
from trunkline.protocol.request import Request, Search, search_of
from trunkline.protocol.tools import FunctionTool, SearchFilters, SearchTool
from trunkline.routing.health import Health
from trunkline.routing.plan import Planner, Policy
from trunkline.routing.refusal import NoSearch

WEB, WITHIN = SearchTool("web_search"), SearchTool("web_search", SearchFilters(("a.example",)))
FUNCTION = FunctionTool("look")
BY_ITSELF = Quirks(web_search="web_search_options")
PLAIN = endpoint("alpha", usd="1")
SEARCHING = replace(endpoint("beta", usd="9"), quirks=BY_ITSELF)
BOTH = [PLAIN, SEARCHING]
EVERY = {
    "chat": BY_ITSELF,
    "messages": Quirks(),
    "gemini": Quirks(),
    "responses": Quirks(),
    "converse": Quirks(search_tool="nova_grounding"),
    "fake": Quirks(),
}


@dataclass(frozen=True)
class Case:
    """Who is asked, in this order, with an engine in the gateway and without; None: it is a 400."""

    id: str
    tools: tuple[Any, ...]
    with_engine: str | None
    without: str | None
    endpoints: tuple[Endpoint, ...] = (PLAIN, SEARCHING)
    is_native: bool = False


CASES = [
    Case("a search alone goes by price", (WEB,), "alpha beta", "beta"),
    Case("a search beside a function goes by price", (WEB, FUNCTION), "alpha beta", "beta alpha"),
    Case("nobody is refused for want of one", (WEB,), "alpha", None, (PLAIN,)),
    Case("nor for want of domains", (WITHIN,), "alpha beta", None),
    Case("a search that the provider has to make", (WEB,), "beta", "beta", is_native=True),
    Case("… and nobody can", (WEB,), None, None, (PLAIN,), is_native=True),
    Case("… and nobody keeps to domains", (WITHIN,), None, None, is_native=True),
    Case("… that is only offered", (WEB, FUNCTION), "beta alpha", "beta alpha", is_native=True),
    Case("no search", (FUNCTION,), "alpha beta", "alpha beta"),
]


def planned(case: Case, *, has_engine: bool, **members: Any) -> str | None:
    planner = Planner(Shelf(case.endpoints), Health(), lambda: 0.0, lambda: 0.0, has_engine=has_engine)
    request = Request(model="m/one", input=(), tools=case.tools, **members)
    try:
        plan = planner.plan(request, Policy(), is_native=case.is_native)
    except NoSearch as error:
        told = str(error)
        assert ("no search is configured" in told) is not has_engine
        assert ("web_search: " in told) is not has_engine
        return None
    return " ".join(each.provider.slug for each in plan.attempts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_who_is_asked_for_a_search(case: Case) -> None:
    assert planned(case, has_engine=True) == case.with_engine
    assert planned(case, has_engine=False) == case.without


def test_every_parameter_is_no_demand_on_the_search_where_the_gateway_makes_it() -> None:
    wish = ProviderPreferences(require_parameters=True)
    case = Case("", (WEB, FUNCTION), None, None, (replace(PLAIN, supports=frozenset({"tools"})),))
    assert planned(case, has_engine=True, provider=wish) == "alpha"
    with pytest.raises(NotFound, match="does not support web_search"):
        planned(case, has_engine=False, provider=wish)


def in_dialect(dialect: Dialect, quirks: Quirks) -> Endpoint:
    return replace(PLAIN, dialect=dialect, quirks=quirks, upstream_model="search")


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_one_name_takes_the_search_of_every_dialect_away(dialect: Dialect) -> None:
    search = Search(WEB, True, False)
    quirks = EVERY.get(dialect, Quirks())
    with_it, without = in_dialect(dialect, quirks), in_dialect(dialect, replace(quirks, native_search=False))
    assert (search_shortfall(with_it, search) is None) is (dialect in EVERY)
    assert search_shortfall(without, search) == "has no web search"
    # What it costs to ask a model that searches whether it is asked to or not is as before.
    assert searches_unasked(with_it) == searches_unasked(without)


def test_a_search_that_is_taken_away_is_refused_in_the_same_words() -> None:
    request = Request(model="m/one", input=(), tools=(WEB,))
    taken = replace(SEARCHING, quirks=replace(BY_ITSELF, native_search=False))
    planner = Planner(Shelf([taken]), Health(), lambda: 0.0, lambda: 0.0)
    assert search_of(request) is not None
    with pytest.raises(BadRequest, match="has no web search"):
        planner.plan(request, Policy())
