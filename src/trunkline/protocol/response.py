"""The response object, its status and its usage."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from trunkline.protocol.items import Json, OutputItem
from trunkline.protocol.tools import TextConfig, Tool, ToolChoice

ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed"]
ErrorCode = Literal[
    "server_error",
    "rate_limit_exceeded",
    "invalid_prompt",
    "vector_store_timeout",
    "invalid_image",
    "invalid_image_format",
    "invalid_base64_image",
    "invalid_image_url",
    "image_too_large",
    "image_too_small",
    "image_parse_error",
    "image_content_policy_violation",
    "invalid_image_mode",
    "image_file_too_large",
    "unsupported_image_media_type",
    "empty_image_file",
    "failed_to_download_image",
    "image_file_not_found",
]


class InputTokensDetails(Struct, frozen=True):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(Struct, frozen=True):
    reasoning_tokens: int = 0


class CostDetails(Struct, frozen=True):
    """USD. `upstream_inference_cost` is null unless the client's own provider key paid."""

    upstream_inference_cost: Decimal | None
    upstream_inference_input_cost: Decimal
    upstream_inference_output_cost: Decimal


class ResponseUsage(Struct, frozen=True):
    """Tokens and USD; `cost` is null when the endpoint has no price, and not there until the answer has ended."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int
    cost: Decimal | UnsetType | None = UNSET
    is_byok: bool | UnsetType = UNSET
    cost_details: CostDetails | UnsetType = UNSET


NOTHING_USED = ResponseUsage(0, InputTokensDetails(), 0, OutputTokensDetails(), 0)
"""What is told until the answer has ended: its readers want a number, and none is known."""


class ResponseError(Struct, frozen=True):
    code: ErrorCode
    message: str


class IncompleteDetails(Struct, frozen=True):
    reason: Literal["max_output_tokens", "content_filter"]


ToldTier = Literal["auto", "default", "flex", "priority", "scale"]
ToldEffort = Literal["xhigh", "high", "medium", "low", "minimal", "none"]
"""The efforts that a response may tell; a request may ask for more."""


class ReasoningEcho(Struct, frozen=True):
    effort: ToldEffort | None
    summary: Literal["auto", "concise", "detailed"] | UnsetType = UNSET


class Response(Struct, frozen=True, kw_only=True):
    """The answer. Field order is the order on the wire."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: ResponseStatus
    model: str
    output: tuple[OutputItem, ...] = ()
    output_text: str = ""
    error: ResponseError | None = None
    incomplete_details: IncompleteDetails | None = None
    usage: ResponseUsage = NOTHING_USED
    instructions: str | None = None
    metadata: dict[str, str] | None = {}
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    text: TextConfig = TextConfig()
    reasoning: ReasoningEcho | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    truncation: Literal["auto", "disabled"] = "disabled"
    service_tier: ToldTier = "default"
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    previous_response_id: None = None
    prompt: dict[str, Json] | None = None
    background: bool = False
    store: bool = False
