"""Every documented deviation of a provider or endpoint from its dialect, as a named value.

A quirk is added when a recorded case needs it. One that needs code of its own is a new dialect.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ErrorShape = Literal[
    "openai",
    "flat-openai",
    "anthropic",
    "google-rpc",
    "aws",
    "cohere",
    "mistral",
    "fastapi-detail",
    "cloudflare",
    "base_resp",
    "xai",
    "code-message",
]


class Quirks(Struct, frozen=True, kw_only=True):
    """What differs from the dialect as `dialects.md` describes it; the defaults are the plain dialect."""

    path: str = ""
    """Path under the base URL when it is not the dialect's own, as `/chat/completions`."""

    extra_headers: dict[str, str] = {}
    """Fixed headers the provider asks for (an API version, a beta name)."""

    extra_body: dict[str, object] = {}
    """Fixed body fields the provider needs; they never override a field that the request sets."""

    drops: frozenset[str] = frozenset()
    """Our parameter names that lead to a 4xx there; left out and named in `x-trunkline-dropped`."""

    streams: Literal["both", "never", "always"] = "both"
    """Whether the endpoint can do only one of streaming and whole answers."""

    usage_in_stream: Literal["on_request", "always", "never"] = "on_request"
    """`on_request`: usage comes only if `stream_options.include_usage` is sent; elsewhere that field is a 400."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The name of the output limit; OpenAI's reasoning models refuse `max_tokens`."""

    system_role: Literal["system", "developer", "user"] = "system"
    """The role of instructions; `user` folds them into the first user turn."""

    reasoning_request: Literal[
        "effort", "none", "thinking", "enable_thinking", "template_kwargs", "reasoning_object", "thinking_and_effort"
    ] = "effort"
    """How thinking is asked for: `reasoning_effort`, or the provider's own field."""

    reasoning_efforts: tuple[str, ...] = ()
    """The efforts the endpoint takes, weakest first; empty means all. The nearest lower one is sent."""

    reasoning_replay: Literal["never", "reasoning_content", "reasoning", "reasoning_details"] = "never"
    """The assistant-message field in which earlier thought is sent back."""

    reasoning_replay_is_required: bool = False
    """With tools a turn without its thought is a 400; a blank is sent where the client kept none."""

    think_tags: Literal["never", "tagged", "opened"] = "never"
    """`tagged`: thought comes inside `<think>` in the content; `opened`: the template wrote the opening tag."""

    tool_choices: frozenset[str] = frozenset({"auto", "none", "required", "function"})
    """The forms of `tool_choice` the endpoint takes; the others are approximated."""

    has_parallel_switch: bool = True
    """Whether `parallel_tool_calls` is known."""

    has_strict_tools: bool = True
    """Whether a function tool may carry `strict`."""

    structured_output: Literal["json_schema", "json_object", "none"] = "json_schema"
    """The strongest `response_format` the endpoint takes."""

    json_object_needs_word: bool = False
    """`json_object` is a 400 unless the prompt holds the word "json"."""

    has_top_k: bool = True
    """Whether `top_k` is taken; OpenAI refuses it."""

    logprobs: Literal["openai", "count", "never"] = "openai"
    """`count`: `logprobs` is a number instead of a flag (Together)."""

    has_verbosity: bool = False
    """Whether `verbosity` is taken."""

    has_cache_key: bool = False
    """Whether `prompt_cache_key` is taken."""

    has_safety_identifier: bool = False
    """Whether `safety_identifier` is taken."""

    max_temperature: float = 2.0
    """Higher values are clamped; a 400 there would otherwise fail over for nothing."""

    image_urls: Literal["forward", "inline"] = "forward"
    """`inline`: the provider does not download, so links are fetched and sent as data URLs."""

    has_image_detail: bool = True
    """Whether an image part may carry `detail`."""

    image_output: Literal["none", "modalities"] = "none"
    """`modalities`: pictures are asked for by `modalities` and come as `message.images`."""

    error_shape: ErrorShape = "openai"
    """The form of error bodies."""

    overload_statuses: frozenset[int] = frozenset({503, 529})
    """Statuses that mean busy."""

    reasoning_format: str = ""
    """The `format` a reasoning item gets from this issuer (`openai-responses-v1`, …); empty means `unknown`."""

    supports_include: bool = True
    """Whether a Responses server takes `include`."""

    forwards_metadata: bool = False
    """Whether a Responses server takes `metadata`."""
