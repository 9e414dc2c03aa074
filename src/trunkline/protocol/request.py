"""The request body, as read: lenient forms are already made regular, every bound is checked."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from trunkline.protocol.items import InputItem, Json
from trunkline.protocol.preferences import PluginSettings, ProviderPreferences
from trunkline.protocol.tools import TextConfig, Tool, ToolChoice

Effort = Literal["xhigh", "high", "medium", "low", "minimal", "none"]
Includable = Literal[
    "file_search_call.results",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "reasoning.encrypted_content",
    "code_interpreter_call.outputs",
]


class ReasoningConfig(Struct, frozen=True):
    """How much to think. At most one of `effort` and `max_tokens` is set."""

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    max_tokens: int | None = None
    enabled: bool | None = None


class Request(Struct, frozen=True, kw_only=True):
    """One call of `POST /responses`. None means that the client did not say."""

    input: tuple[InputItem, ...]
    model: str | None = None
    models: tuple[str, ...] = ()
    instructions: str | None = None
    metadata: dict[str, str] | None = {}
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    max_tool_calls: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    top_k: int | None = None
    image_config: dict[str, str | float] | None = None
    modalities: tuple[Literal["text", "image"], ...] = ()
    prompt_cache_key: str | None = None
    prompt: dict[str, Json] | None = None
    include: tuple[Includable, ...] = ()
    safety_identifier: str | None = None
    truncation: Literal["auto", "disabled"] | None = None
    stream: bool = False
    provider: ProviderPreferences = ProviderPreferences()
    plugins: tuple[PluginSettings, ...] = ()
    route: Literal["fallback", "sort"] | None = None
    user: str | None = None
    session_id: str | None = None
