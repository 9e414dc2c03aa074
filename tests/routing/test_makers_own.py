"""What only Anthropic's own servers can do: they alone are asked for it, and where there is none, one 400 names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from tests.routing.catalogs import Shelf, endpoint
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.extensions import has_extensions
from trunkline.protocol.opaque import Anthropic, AnthropicTool
from trunkline.protocol.request import Request
from trunkline.routing.health import Health
from trunkline.routing.plan import Planner, Policy
from trunkline.routing.refusal import NoTool

CHEAP = endpoint("alpha", usd="1")
COMPATIBLE = replace(endpoint("beta", usd="2"), dialect="messages")
ANTHROPICS = replace(endpoint("gamma", usd="9"), dialect="messages", quirks=Quirks(has_anthropic_members=True))
ALL = (CHEAP, COMPATIBLE, ANTHROPICS)
RUN = AnthropicTool(type="code_execution_20250825", name="code_execution")
BASH = AnthropicTool(type="bash_20250124", name="bash")


@dataclass(frozen=True)
class Case:
    """Who is asked, in this order, and what a 400 is about where Anthropic's own are not among them; empty: none is."""

    id: str
    asked: str
    param: str = ""
    members: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("betas rule nobody out", "alpha beta gamma", members={"anthropic": Anthropic(betas=("b",))}),
    Case(
        "nor do members that can be left out",
        "alpha beta gamma",
        members={"anthropic": Anthropic(members={"context_management": {}, "speed": "fast", "container": None})},
    ),
    Case("nor does a tool that the client runs", "alpha beta gamma", members={"tools": (BASH,)}),
    Case("a tool that Anthropic runs", "gamma", "tools[1]", {"tools": (BASH, RUN)}),
    Case("a container", "gamma", "container", {"anthropic": Anthropic(members={"container": "c"})}),
    Case("servers that it is to ask", "gamma", "mcp_servers", {"anthropic": Anthropic(members={"mcp_servers": [{}]})}),
    Case("models to fall back to", "gamma", "fallbacks", {"anthropic": Anthropic(members={"fallbacks": [{}]})}),
]


def planned(endpoints: tuple[Endpoint, ...], members: dict[str, Any]) -> str:
    request = Request(model="m/one", input=(), **members)
    request = replace(request, has_extensions=has_extensions(request))
    planner = Planner(Shelf(endpoints), Health(), lambda: 0.0, lambda: 0.0)
    # Once more, for what a planner remembers of usual requests.
    for _ in range(2):
        planner.plan(Request(model="m/one", input=()), Policy())
        plan = planner.plan(request, Policy())
    return " ".join(each.provider.slug for each in plan.attempts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_who_is_asked(case: Case) -> None:
    assert planned(ALL, case.members) == case.asked


@pytest.mark.parametrize("case", [case for case in CASES if case.param], ids=lambda case: case.id)
def test_where_there_is_nobody_the_error_names_what_nobody_can_do(case: Case) -> None:
    with pytest.raises(NoTool, match="only Anthropic's own servers") as refused:
        planned(ALL[:2], case.members)
    assert refused.value.param == case.param
    assert case.param in str(refused.value)
