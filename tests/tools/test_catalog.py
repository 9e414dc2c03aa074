"""The builder of the list: Python data read without running it, and how the shipped list came about."""

from __future__ import annotations

import pytest

from tools.catalog import CATALOG, DOCUMENTED, SOURCES, plain_values
from tools.models.documented import documents_named
from trunkline.catalog.gather import read_models

MODULE = """
import datetime
from decimal import Decimal
providers: list[Provider] = [
    Provider(
        id='x',
        models=[
            ModelInfo(
                match=ClauseOr(or_=[ClauseEquals(equals='m'), ClauseContains(contains='n')]),
                deprecated=True,
                description=None,
                when={'processing': 'batch'},
                prices=[ConditionalPrice(
                    constraint=StartDateConstraint(start_date=datetime.date(2026, 3, 9)),
                    prices=ModelPrice(input_mtok=TieredPrices(base=Decimal('0.1'), tiers=[Tier(start=5, price=1)])),
                ), ConditionalPrice(constraint=TimeOfDateConstraint(start_time=datetime.time(0, 30)))],
            )
        ],
    )
]
"""


def test_data_is_read_and_not_run() -> None:
    (provider,) = plain_values(MODULE)
    (model,) = provider["models"]
    assert (provider[""], provider["id"]) == ("Provider", "x")
    assert model["match"]["or_"][1] == {"": "ClauseContains", "contains": "n"}
    assert (model["deprecated"], model["description"], model["when"]) == (True, None, {"processing": "batch"})
    dated, hourly = model["prices"]
    assert dated["constraint"] == {"": "StartDateConstraint", "start_date": "2026-03-09"}
    assert dated["prices"]["input_mtok"] == {
        "": "TieredPrices",
        "base": "0.1",
        "tiers": [{"": "Tier", "start": 5, "price": 1}],
    }
    assert hourly["constraint"][""] == "TimeOfDateConstraint"


def test_data_that_moved_away_is_told() -> None:
    with pytest.raises(SystemExit, match="no longer keeps its data"):
        plain_values("nothing = 1")


def test_the_shipped_list_was_made_from_the_noted_versions() -> None:
    assert read_models((CATALOG / "models.json").read_bytes()).sources == (
        *SOURCES,
        *documents_named(DOCUMENTED.read_text("utf-8")),
    )
