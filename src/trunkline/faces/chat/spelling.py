"""How the API spells what an answer says: the members of a delta and of a message, and usage.

The names are those of OpenAI's reference and, for thoughts, pictures and money, of OpenRouter's (the types of `openai`
3.54.0 and `@openrouter/sdk` 1.3.19, seen 2026-11-28). When something is told is `telling.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from trunkline.money import dollars_of
from trunkline.protocol.items import Logprob, ReasoningFormat, UrlCitation
from trunkline.stream.deltas import Cost, Spent, Usage

FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "function_call"]
Format = ReasoningFormat | UnsetType
ServiceTier = Literal["auto", "default", "flex", "priority", "scale"]


# Thoughts


class TextDetail(Struct, frozen=True, gc=False, tag_field="type", tag="reasoning.text"):
    """Raw thought, its signature, or both; `index` counts thoughts."""

    text: str
    index: int
    signature: str | UnsetType = UNSET
    format: Format = UNSET


class SummaryDetail(Struct, frozen=True, gc=False, tag_field="type", tag="reasoning.summary"):
    summary: str
    index: int
    format: Format = UNSET


class EncryptedDetail(Struct, frozen=True, gc=False, tag_field="type", tag="reasoning.encrypted"):
    """The proof of a thought, or a thought that nobody but its maker can read; `id` is what its maker calls it."""

    data: str
    index: int
    format: Format = UNSET
    id: str | UnsetType = UNSET


Detail = TextDetail | SummaryDetail | EncryptedDetail


# Calls


class Function(Struct, frozen=True, gc=False):
    arguments: str
    name: str | UnsetType = UNSET


class Custom(Struct, frozen=True, gc=False):
    input: str
    name: str | UnsetType = UNSET


class ToolCall(Struct, frozen=True, gc=False):
    """A call that begins, more of one, or, without an `index`, a whole one."""

    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: Function | UnsetType = UNSET
    custom: Custom | UnsetType = UNSET


def as_function(call: ToolCall) -> Function:
    """Spell a call, or more of one, in the older form, which knows but functions."""
    if call.custom is not UNSET:
        return Function(call.custom.input, call.custom.name)
    assert call.function is not UNSET, "a call is of one of two types"
    return call.function


# Notes and pictures


class _Page(Struct, frozen=True, gc=False):
    url: str
    title: str
    start_index: int
    end_index: int


class Annotation(Struct, frozen=True, gc=False, tag_field="type", tag="url_citation"):
    """A page that is cited; `openai` 3.54.0 breaks off a stream whose lists have entries without an `index`."""

    url_citation: _Page
    index: int


def cite(said: UrlCitation, start: int, index: int) -> Annotation:
    """Cite a page in a text that begins at `start` of the content; code points."""
    return Annotation(_Page(said.url, said.title, start + said.start_index, start + said.end_index), index)


class _Address(Struct, frozen=True, gc=False):
    url: str


class Picture(Struct, frozen=True, gc=False, tag_field="type", tag="image_url"):
    image_url: _Address
    index: int


def picture(media_type: str, base64: str, index: int) -> Picture:
    """Tell a picture, which is in its own address."""
    return Picture(_Address(f"data:{media_type};base64,{base64}"), index)


# Deltas and messages


class ChoiceDelta(Struct, frozen=True, gc=False):
    """What is new in a chunk. Plain text is told by the shorter way of `frames.py`."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    refusal: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning_details: tuple[Detail, ...] | UnsetType = UNSET
    tool_calls: tuple[ToolCall, ...] | UnsetType = UNSET
    function_call: Function | UnsetType = UNSET
    annotations: tuple[Annotation, ...] | UnsetType = UNSET
    images: tuple[Picture, ...] | UnsetType = UNSET


class Message(Struct, frozen=True, kw_only=True):
    """What a whole answer says. Clients demand `content` and `refusal`, and take no empty list for no calls."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: str | None
    reasoning: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning_details: Sequence[Detail] | UnsetType = UNSET
    tool_calls: Sequence[ToolCall] | UnsetType = UNSET
    function_call: Function | UnsetType = UNSET
    annotations: Sequence[Annotation] | UnsetType = UNSET
    images: Sequence[Picture] | UnsetType = UNSET


class Logprobs(Struct, frozen=True):
    content: Sequence[Logprob]
    refusal: None = None


# The end


class PromptDetails(Struct, frozen=True):
    cached_tokens: int
    cache_write_tokens: int
    audio_tokens: int


class CompletionDetails(Struct, frozen=True):
    reasoning_tokens: int


class CostDetails(Struct, frozen=True):
    """USD. `upstream_inference_cost` is null unless the client's own provider key paid."""

    upstream_inference_cost: Decimal | None
    upstream_inference_prompt_cost: Decimal
    upstream_inference_completions_cost: Decimal


class Searches(Struct, frozen=True):
    web_search_requests: int


class CompletionUsage(Struct, frozen=True):
    """Tokens and USD; `cost` is null when the endpoint has no price."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails
    cost: Decimal | None
    is_byok: bool
    cost_details: CostDetails
    server_tool_use: Searches | UnsetType = UNSET


CUTS: Final[Mapping[str, FinishReason]] = {"length": "length", "content_filter": "content_filter"}
"""How an answer ended that was cut, by what stopped it."""


class Ending(Struct, frozen=True, gc=False):
    """How an answer ended that has an end. `cut` are the indices of its calls that were cut."""

    finish_reason: FinishReason
    spent: Spent | None
    cut: frozenset[int]


_NO_COST = Cost(total=0, input=0, output=0)
_NOT_KNOWN = Cost(total=None, input=0, output=0)


def told_usage(spent: Spent | None) -> CompletionUsage:
    """Tell usage and cost; all zeros when nothing was heard."""
    usage = Usage() if spent is None else spent.usage
    cost = _NO_COST if spent is None else spent.cost or _NOT_KNOWN
    return CompletionUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=PromptDetails(
            usage.cache_read_tokens, usage.cache_write_tokens, usage.audio_input_tokens
        ),
        completion_tokens_details=CompletionDetails(usage.reasoning_tokens),
        cost=None if cost.total is None else dollars_of(cost.total),
        is_byok=cost.is_byok,
        cost_details=CostDetails(
            None if cost.upstream is None else dollars_of(cost.upstream),
            dollars_of(cost.input),
            dollars_of(cost.output),
        ),
        server_tool_use=Searches(usage.searches) if usage.searches else UNSET,
    )


def told_tier(spent: Spent | None) -> Mapping[str, ServiceTier]:
    """The member that says in which tier of service the answer was made, where that is known."""
    tier = None if spent is None else spent.service_tier
    if tier is None:
        return {}
    return {"service_tier": "priority" if tier == "ultrafast" else tier}
