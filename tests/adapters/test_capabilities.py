"""What an endpoint is known not to take is left out and named, in every dialect; tools and schemas never silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.adapters import served
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.catalog.quirks import Quirks
from trunkline.errors import Unprocessable
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import ReasoningConfig, Request
from trunkline.protocol.tools import FunctionChoice, FunctionTool, JsonObjectFormat, JsonSchemaFormat, TextConfig
from trunkline.wire import UpstreamRequest

PAINTERS: frozenset[Dialect] = frozenset({"images", "bfl", "riverflow"})
SPEAKERS = sorted(ADAPTERS.keys() - PAINTERS - {"fake"})
"""FakeProvider takes everything that the contract has."""

HI = (Message(role="user", content=(InputText("Draw the time."),)),)
CLOCK = FunctionTool("clock", "Tells the time.", {"type": "object", "properties": {"zone": {"type": "string"}}})
BELL = FunctionTool("bell", "Rings.", {"type": "object", "properties": {"loud": {"type": "boolean"}}})
FORM = JsonSchemaFormat(name="time", schema={"type": "object", "properties": {"hours_told": {"type": "integer"}}})
LITTLE = frozenset({"max_tokens"})
ABLE = Quirks(has_verbosity=True)


def endpoint(dialect: Dialect, supports: frozenset[str], quirks: Quirks = ABLE) -> Endpoint:
    return served.endpoint(quirks, dialect=dialect, supports=supports)


def asked(**fields: Any) -> Request:
    return Request(input=HI, **fields)


def sent(dialect: Dialect, supports: frozenset[str], **fields: Any) -> UpstreamRequest:
    return ADAPTERS[dialect].encode(asked(**fields), endpoint(dialect, supports), None)


@dataclass(frozen=True)
class Unknown:
    id: str
    fields: Mapping[str, Any]
    name: str


UNKNOWN = [
    Unknown("a temperature", {"temperature": 0.3}, "temperature"),
    Unknown("a nucleus", {"top_p": 0.4}, "top_p"),
    Unknown("a top k", {"top_k": 7}, "top_k"),
    Unknown("a presence penalty", {"presence_penalty": 0.5}, "presence_penalty"),
    Unknown("a frequency penalty", {"frequency_penalty": 0.5}, "frequency_penalty"),
    Unknown("logprobs", {"top_logprobs": 3}, "top_logprobs"),
    Unknown("reasoning", {"reasoning": ReasoningConfig(effort="high")}, "reasoning"),
    Unknown("a verbosity", {"text": TextConfig(verbosity="low")}, "text.verbosity"),
]


@pytest.mark.parametrize("dialect", [*SPEAKERS, *sorted(PAINTERS)])
@pytest.mark.parametrize("case", UNKNOWN, ids=lambda case: case.id)
def test_what_is_not_known_is_as_good_as_not_asked_and_is_named(case: Unknown, dialect: Dialect) -> None:
    with_it = sent(dialect, LITTLE, **case.fields)
    assert with_it.body == sent(dialect, LITTLE).body
    assert with_it.dropped == (case.name,)


@pytest.mark.parametrize("dialect", [*SPEAKERS, *sorted(PAINTERS)])
def test_nothing_is_named_that_was_not_asked(dialect: Dialect) -> None:
    assert sent(dialect, LITTLE).dropped == ()
    assert sent(dialect, frozenset()).dropped == ()


@pytest.mark.parametrize("dialect", [name for name in SPEAKERS if name != "messages"])
def test_a_limit_that_is_not_known_is_named(dialect: Dialect) -> None:
    assert sent(dialect, frozenset(), max_output_tokens=77).dropped == ("max_output_tokens",)
    assert b"77" not in sent(dialect, frozenset(), max_output_tokens=77).body


def test_messages_cannot_do_without_a_limit() -> None:
    assert b'"max_tokens":77' in sent("messages", frozenset(), max_output_tokens=77).body


@pytest.mark.parametrize("dialect", SPEAKERS)
def test_one_call_at_a_time_is_named_where_it_cannot_be_asked_for(dialect: Dialect) -> None:
    told = sent(dialect, frozenset({"tools"}), tools=(CLOCK,), parallel_tool_calls=False)
    assert told.dropped == ("parallel_tool_calls",)
    assert told.body == sent(dialect, frozenset({"tools"}), tools=(CLOCK,)).body


@pytest.mark.parametrize("dialect", [*SPEAKERS, *sorted(PAINTERS)])
def test_tools_are_refused_where_they_are_not_known(dialect: Dialect) -> None:
    with pytest.raises(Unprocessable):
        sent(dialect, LITTLE, tools=(CLOCK,))


@pytest.mark.parametrize("dialect", SPEAKERS)
def test_tools_are_sent_where_they_are_known(dialect: Dialect) -> None:
    told = sent(dialect, frozenset({"tools"}), tools=(CLOCK, BELL))
    assert b'"clock"' in told.body
    assert b'"bell"' in told.body
    assert told.dropped == ()


@pytest.mark.parametrize("dialect", SPEAKERS)
@pytest.mark.parametrize("choice", ["required", FunctionChoice("clock")], ids=["any tool", "one tool"])
def test_a_choice_that_is_not_known_is_asked_for_in_words(choice: Any, dialect: Dialect) -> None:
    told = sent(dialect, frozenset({"tools"}), tools=(CLOCK, BELL), tool_choice=choice)
    assert told.dropped == ("tool_choice",)
    assert b"alling" in told.body or b"Call the tool" in told.body
    assert b"tool_choice" not in told.body
    assert b"toolChoice" not in told.body
    assert b"ANY" not in told.body


@pytest.mark.parametrize("dialect", SPEAKERS)
def test_no_call_means_no_tools_where_the_choice_is_not_known(dialect: Dialect) -> None:
    told = sent(dialect, frozenset({"tools"}), tools=(CLOCK,), tool_choice="none")
    assert b"clock" not in told.body


@pytest.mark.parametrize("dialect", SPEAKERS)
@pytest.mark.parametrize(
    "supports",
    [LITTLE, LITTLE | {"response_format"}, LITTLE | {"tools"}, LITTLE | {"tools", "tool_choice", "response_format"}],
    ids=lambda supports: " ".join(sorted(supports)),
)
def test_a_schema_reaches_the_model_in_one_way_or_another(supports: frozenset[str], dialect: Dialect) -> None:
    told = sent(dialect, supports, text=TextConfig(FORM))
    assert b"hours_told" in told.body
    assert "text.format" in told.dropped
    assert (b'"tools"' in told.body or b"toolConfig" in told.body) <= ("tools" in supports)
    assert (b"response_format" in told.body) <= ("response_format" in supports)


@pytest.mark.parametrize("dialect", SPEAKERS)
def test_a_schema_is_sent_as_one_where_it_is_known(dialect: Dialect) -> None:
    told = sent(dialect, frozenset({"structured_outputs", "response_format"}), text=TextConfig(FORM))
    assert b"hours_told" in told.body
    assert told.dropped == ()


@pytest.mark.parametrize("dialect", SPEAKERS)
def test_json_is_asked_for_in_words_where_its_form_is_not_known(dialect: Dialect) -> None:
    told = sent(dialect, LITTLE, text=TextConfig(JsonObjectFormat()))
    assert told.dropped == ("text.format",)
    assert b"one JSON object" in told.body
    assert b"json_object" not in told.body
    assert b"application/json" not in told.body


@pytest.mark.parametrize("dialect", sorted(PAINTERS))
@pytest.mark.parametrize("form", [FORM, JsonObjectFormat()], ids=["a schema", "JSON"])
def test_who_draws_refuses_to_write(form: Any, dialect: Dialect) -> None:
    with pytest.raises(Unprocessable):
        sent(dialect, LITTLE, text=TextConfig(form))


NAMED = {
    "a user": {"user": "alice"},
    "a safety identifier": {"safety_identifier": "alice"},
    "both": {"user": "alice", "safety_identifier": "bob"},
}

TELLING = {
    "no field": Quirks(),
    "user": Quirks(has_user=True),
    "safety_identifier": Quirks(has_safety_identifier=True),
    "both fields": Quirks(has_user=True, has_safety_identifier=True),
    "fields that are dropped": Quirks(
        has_user=True, has_safety_identifier=True, drops=frozenset({"user", "safety_identifier"})
    ),
}


@pytest.mark.parametrize("dialect", [*SPEAKERS, *sorted(PAINTERS)])
@pytest.mark.parametrize("quirks", TELLING.values(), ids=TELLING)
@pytest.mark.parametrize("fields", NAMED.values(), ids=NAMED)
def test_D2_the_user_is_told_hashed_or_named_as_dropped(
    fields: Mapping[str, Any], quirks: Quirks, dialect: Dialect
) -> None:
    told = ADAPTERS[dialect].encode(asked(**fields), endpoint(dialect, LITTLE, quirks), "hash-1")
    assert b"alice" not in told.body
    assert b"bob" not in told.body
    if b"hash-1" in told.body:
        assert told.dropped == ()
    else:
        assert set(told.dropped) == fields.keys()
    assert (b"hash-1" in told.body) == (dialect in _tellers(quirks))


def _tellers(quirks: Quirks) -> set[Dialect]:
    """The dialects whose endpoints are told of a user."""
    tellers: set[Dialect] = set() if "safety_identifier" in quirks.drops else {"messages"}
    if "user" not in quirks.drops and (quirks.has_user or quirks.has_safety_identifier):
        tellers |= {"chat", "responses"}
    return tellers | ({"images"} if quirks.has_user and "user" not in quirks.drops else set())
