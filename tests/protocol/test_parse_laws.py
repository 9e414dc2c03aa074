"""Laws of parsing: what fits the document is taken, everything else gets one short 400 and never another error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from tests.document import validate_request
from tests.protocol.requests_strategy import FITTING, JSON, spoiled
from trunkline.errors import BadRequest
from trunkline.faces.responses.parse import parse

pytestmark = pytest.mark.law

MAX_MESSAGE = 700


@given(FITTING)
@settings(max_examples=200)
def test_bodies_that_fit_the_document_are_taken(body: dict[str, Any]) -> None:
    validate_request(body)
    request = parse(json.dumps(body).encode())
    assert request == parse(json.dumps(body, ensure_ascii=False, indent=1).encode())
    assert request.model == body.get("model")
    assert len(request.input) == (1 if isinstance(body["input"], str) else len(body["input"]))
    assert len(request.tools) == len(body.get("tools", []))
    assert request.temperature == body.get("temperature")


@given(spoiled())
@settings(max_examples=200)
def test_a_body_with_one_value_replaced_is_taken_or_gets_a_short_message(body: Any) -> None:
    try:
        parse(json.dumps(body).encode())
    except BadRequest as error:
        message = error.message
    else:
        return
    assert len(message) < MAX_MESSAGE
    assert message.endswith(".")


@given(JSON)
def test_any_json_is_taken_or_refused_as_a_bad_request(value: Any) -> None:
    for body in (value, {"input": value}, {"input": [value]}, {"input": "Hi", "tools": [value], "provider": value}):
        try:
            parse(json.dumps(body).encode())
        except BadRequest:
            continue
        assert isinstance(body, dict)
