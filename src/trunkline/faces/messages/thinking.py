"""Readers of `thinking` and `output_config`: how much to think, and the form of the answer's text.

Whether an endpoint can think is not judged: Claude Code asks every model to.
Source: https://platform.claude.com/docs/en/api/messages and the types of the anthropic Python package 2.14.0, seen
2026-11-28.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, get_args

from trunkline.protocol.items import Json
from trunkline.protocol.members import tokens
from trunkline.protocol.reading import Reader, any_text, mismatch, one_of, opaque_object, record, tagged
from trunkline.protocol.request import Effort, ReasoningConfig


class Thinking(NamedTuple):
    """What is said of thinking; `display` is how much of it is to be told.

    Claude Code has said `updates` since 2.1.332 (2026-11-28), which only Anthropic's newest models know.
    """

    type: Literal["adaptive", "between_tools", "disabled", "enabled"]
    budget_tokens: int | None = None
    display: str | None = None


class Output(NamedTuple):
    """What is said of the answer. `others` are members that only Anthropic's own servers know."""

    effort: Effort | None = None
    schema: dict[str, Json] | None = None
    others: dict[str, Json] | None = None


def reasoning_of(thinking: Thinking | None, output: Output | None) -> tuple[ReasoningConfig | None, tuple[str, ...]]:
    """How much to think, and the names of what is lost of it.

    A budget is more exact than an effort beside it. An effort alone asks for thinking, as it does in every other API.
    """
    effort = None if output is None else output.effort
    match thinking:
        case None:
            return (None if effort is None else ReasoningConfig(effort=effort)), ()
        case Thinking("adaptive" | "between_tools"):
            # Without an effort it is the model's own, which is not the same everywhere.
            config = ReasoningConfig(enabled=True) if effort is None else ReasoningConfig(effort=effort)
        case Thinking("enabled"):
            config = ReasoningConfig(max_tokens=thinking.budget_tokens)
        case _:
            config = ReasoningConfig(effort="none")
    return config, tuple(_lost(thinking, is_effort_lost=effort not in (None, config.effort)))


def _lost(thinking: Thinking, *, is_effort_lost: bool) -> Iterator[str]:
    if is_effort_lost:
        yield "output_config.effort"
    if thinking.type == "between_tools":
        yield "thinking.type"  # it is to think there alone, which nobody else can be told
    if thinking.display not in (None, "summarized"):
        yield "thinking.display"


def _output(**members: Json) -> Output:
    return Output(members.get("effort"), members.get("format"))


def _thinking(*, type: Json, **members: Json) -> Thinking:
    return Thinking(type, **members)


def _type(value: Json) -> Json:
    return value


read_thinking: Reader[Thinking] = tagged(
    {
        "adaptive": record(_thinking, {"type": _type, "display": any_text}),
        "between_tools": record(_thinking, {"type": _type, "display": any_text}),
        "disabled": record(_thinking, {"type": _type}),
        "enabled": record(
            _thinking, {"type": _type, "budget_tokens": tokens, "display": any_text}, required=("budget_tokens",)
        ),
    }
)

read_format: Reader[dict[str, Json]] = tagged(
    {"json_schema": record(lambda *, schema: schema, {"schema": opaque_object}, required=("schema",))}
)
"""Reads the form of an answer as its schema, of which there is no other kind."""

_OUTPUT: Mapping[str, Reader[object]] = {"effort": one_of(get_args(Effort)), "format": read_format}
_read_output: Reader[Output] = record(_output, _OUTPUT)


def read_output(value: Json) -> Output:
    """Read `output_config`."""
    if not isinstance(value, dict):
        raise mismatch(value, "an object")
    others = {name: member for name, member in value.items() if member is not None and name not in _OUTPUT}
    return _read_output(value)._replace(others=others or None)
