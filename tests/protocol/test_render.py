"""Amounts as documents tell them: numbers that JSON readers read exactly, whatever they are."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol.render import render_document, render_usd


@pytest.mark.law
@given(st.integers(0, 10**18))
def test_an_amount_is_a_plain_number_of_nine_decimals_at_most_and_none_is_lost(nano: int) -> None:
    told = render_document({"cost": render_usd(nano)}).decode()
    written = told.removeprefix('{"cost":').removesuffix("}")
    assert re.fullmatch(r"(0|[1-9]\d*)(\.\d{0,8}[1-9])?", written)
    assert Decimal(written).scaleb(9) == nano
    assert json.loads(told) == {"cost": nano / 10**9}
