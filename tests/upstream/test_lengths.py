"""The figures beside an error that says that an input is too long: whose they are, where several could tell them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.errors import BadRequest, TooLong
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import Request
from trunkline.protocol.weighing import needs_of
from trunkline.routing.fallback import Attempted
from trunkline.upstream.lengths import measured
from trunkline.wire import Fault

REQUEST = Request(input=(Message(role="user", content=(InputText("word " * 400),)),), max_output_tokens=50)
ESTIMATE = needs_of(REQUEST).input


@dataclass(frozen=True)
class Case:
    id: str
    message: str
    context_tokens: int | None
    most: int | None
    read: int | None


CASES = [
    Case("the provider tells both", "prompt is too long: 208310 tokens > 200000 maximum", 8, 200_000, 208_310),
    Case("the provider tells the context", "range of input length should be [1, 300]", 8, 300, ESTIMATE),
    Case("the provider tells nothing", "Prompt exceeds max length", 400, 400, ESTIMATE),
    Case("nobody knows the context", "Prompt exceeds max length", None, None, None),
]


def failed(message: str, context_tokens: int | None) -> Attempted:
    endpoint = Endpoint(
        model=Model(slug="acme/large-1"),
        provider=Provider(slug="acme", name="Acme"),
        upstream_model="large-1",
        dialect="chat",
        base_url="https://api.acme.example/v1",
        context_tokens=context_tokens,
    )
    return Attempted(endpoint=endpoint, fault=Fault("too_long", message), started=0, ended=1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_figures(case: Case) -> None:
    error = measured(TooLong("Acme: no."), [failed(case.message, case.context_tokens)], REQUEST)
    told = error.metadata
    assert (told.get("max_context_tokens"), told.get("estimated_input_tokens")) == (case.most, case.read)


def test_another_error_has_no_figures() -> None:
    error = BadRequest("no")
    assert measured(error, [failed(CASES[0].message, 8)], REQUEST) is error
    assert error.metadata == {}
