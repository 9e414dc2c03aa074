"""What a client believes that the answer will be: said where a dialect has a place for it, and else named."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from msgspec.structs import replace

from tests.routing.catalogs import ask, endpoint
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect
from trunkline.catalog.quirks import Quirks

PLACES: dict[Dialect, Quirks] = {"chat": Quirks(has_prediction=True), "mistral": Quirks()}
"""The dialects that have one, with the quirk that says so."""


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_a_prediction_is_on_the_wire_or_named(dialect: Dialect) -> None:
    makes = ["image"] if dialect in ("images", "bfl", "riverflow") else ["text"]
    plain = replace(endpoint(makes=makes), dialect=dialect)  # type: ignore[arg-type]
    told = replace(plain, quirks=PLACES.get(dialect, Quirks()))
    adapter, request = ADAPTERS[dialect], ask(prediction="def f(): ...")
    encoded = adapter.encode(request, told, None)
    if dialect in PLACES:
        body = msgspec.json.decode(encoded.body)
        assert body["prediction"] == {"type": "content", "content": "def f(): ..."}
        assert encoded.dropped == ()
    else:
        assert encoded.body == adapter.encode(ask(), told, None).body
        assert encoded.dropped == ("prediction",)
    deaf = replace(told, quirks=replace(told.quirks, drops=frozenset({"prediction"})))
    assert adapter.encode(request, deaf, None).dropped == ("prediction",)
    if dialect == "chat":
        assert adapter.encode(request, plain, None).dropped == ("prediction",)
