"""Every documented deviation of a provider or endpoint from its dialect, as a named value.

A quirk is added when a recorded case needs it. One that needs code of its own is a new dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

ErrorShape = Literal["openai", "cohere", "cloudflare", "base_resp"]


class Quirks(Struct, frozen=True, kw_only=True):
    """What differs from the dialect as `dialects.md` describes it; the defaults are the plain dialect."""

    path: str = ""
    """Path under the base URL when it is not the dialect's own, as `/chat/completions`; may hold `{model}`."""

    extra_headers: dict[str, str] = {}
    """Fixed headers the provider asks for (an API version, a beta name)."""

    extra_body: dict[str, object] = {}
    """Fixed body fields the provider needs; they never override a field that the request sets."""

    drops: frozenset[str] = frozenset()
    """Our parameter names that lead to a 4xx there; left out and named in `x-trunkline-dropped`."""

    streams: Literal["both", "never", "always"] = "both"
    """Whether the endpoint can do only one of streaming and whole answers."""

    streams_json: bool = True
    """Whether an answer that must be JSON may be streamed; where not it is asked for whole (Groq).

    https://console.groq.com/docs/structured-outputs (2026-11-27); langchain-ai/langchain#23629 has the 400.
    """

    usage_in_stream: Literal["on_request", "always"] = "on_request"
    """`on_request`: usage comes only if `stream_options.include_usage` is sent; `always`: it comes unasked, or never,
    and that field is a 400."""

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The name of the output limit; OpenAI's reasoning models refuse `max_tokens`."""

    system_role: Literal["system", "developer", "user"] = "system"
    """The role of instructions; `user` folds them into the first user turn."""

    reasoning_request: Literal[
        "effort",
        "none",
        "thinking",
        "enable_thinking",
        "template_kwargs",
        "reasoning_object",
        "thinking_and_effort",
        "prompt_mode",
    ] = "effort"
    """How thinking is asked for: `reasoning_effort`, or the provider's own field (`prompt_mode`: Magistral)."""

    thinking_budgets: tuple[int, int] | None = None
    """The least and the most `thinking_budget` that a chat server takes; anything else is a 400 there (SiliconFlow)."""

    thinking_needs_budget: bool = False
    """With `enable_thinking` a `thinking_budget` is sent always; without one it is a 400 (Alibaba)."""

    reasoning_efforts: tuple[str, ...] = ()
    """The efforts the endpoint takes, weakest first; empty means all. The nearest lower one is sent."""

    reasoning_effort_map: dict[str, str] = {}
    """What the vendor says that efforts mean which the endpoint does not take (DeepSeek: `medium` is `high`)."""

    has_reasoning_context: bool = False
    """Whether a Responses server takes `reasoning.context`."""

    reasoning_replay: Literal["never", "reasoning_content", "reasoning", "reasoning_details", "thought_signature"] = (
        "never"
    )
    """The assistant-message field in which earlier thought is sent back.

    `thought_signature`: on the call after the thought, as Gemini's chat servers want its signature.
    """

    reasoning_replay_is_required: bool = False
    """With tools a turn without its thought is a 400; a blank is sent where the client kept none.

    On Gemini 3 and later it is the signature of the thought that a call must carry, and a documented stand-in is sent.
    """

    think_tags: Literal["never", "tagged", "opened"] = "never"
    """`tagged`: thought comes inside `<think>` in the content; `opened`: the template wrote the opening tag."""

    think_tag: str = "think"
    """The name of those tags, as `mm:think` (MiniMax's models in vLLM without a parser)."""

    deltas: Literal["pieces", "cumulative"] = "pieces"
    """`cumulative`: each delta of a chat stream repeats the whole text so far (Alibaba's Coding Plan)."""

    tool_choices: frozenset[str] = frozenset({"auto", "none", "required", "function"})
    """The forms of `tool_choice` the endpoint takes; the others are approximated."""

    thinking_forbids_forced_tools: bool = False
    """While thinking is on `required` and a named function are a 400 (DeepSeek, Alibaba)."""

    thinking_forbids_json: bool = False
    """Where thinking was asked for, a JSON form is a 400 (Alibaba); JSON is then asked for in words."""

    has_call_ids: bool = False
    """Whether Gemini's calls and their results carry an `id` in the conversation; before Gemini 3 that is a 400."""

    has_parallel_switch: bool = True
    """Whether `parallel_tool_calls` is known."""

    has_strict_tools: bool = True
    """Whether a function tool may carry `strict`."""

    has_openai_tools: bool = False
    """Whether a Responses server takes what goes beyond functions: custom tools, namespaces, searches for tools, and
    the tools that OpenAI runs. Servers that follow OpenAI answer them with a 400 or leave them out without a word.

    https://github.com/ollama/ollama/issues/17618, https://github.com/vllm-project/vllm/issues/49493 and
    https://github.com/jundot/omlx/issues/3371 (2026-11-27).
    """

    has_anthropic_members: bool = False
    """Whether a Messages server is Anthropic's own and takes all that its clients say: betas, members such as
    `context_management` and `container`, and tools that Anthropic defines. Elsewhere betas and such members are a 400.

    https://github.com/anthropics/claude-code/issues/49370 and /82549 (Bedrock),
    https://github.com/anthropics/claude-agent-sdk-typescript/issues/307 (Vertex AI), all seen 2026-11-28.
    """

    structured_output: Literal["json_schema", "json_object", "none"] = "json_schema"
    """The strongest `response_format` the endpoint takes."""

    json_object_needs_word: bool = False
    """`json_object` is a 400 unless the prompt holds the word "json"."""

    has_top_k: bool = True
    """Whether `top_k` is taken; OpenAI refuses it."""

    sampling: frozenset[str] | None = None
    """What a server takes of `seed`, `min_p`, `top_a`, `repetition_penalty` and `logit_bias`, where its dialect has a
    place for it. Where nothing is said, all is tried but `top_a` and Mistral's `repetition_penalty`."""

    has_prediction: bool = False
    """Whether a chat server takes `prediction`, what the client believes that the answer will be; few models do.

    https://platform.openai.com/docs/guides/predicted-outputs (2026-11-28).
    """

    service_tiers: dict[str, str] = {}
    """The service tiers that can be asked for by request (`flex`, `priority`, `scale`, `ultrafast`), each with the
    provider's own name for it; a tier that is not among them is a 400 there, and is left out."""

    logprobs: Literal["openai", "count", "never"] = "openai"
    """`count`: `logprobs` is a number instead of a flag (Together)."""

    has_verbosity: bool = False
    """Whether `verbosity` is taken."""

    has_cache_key: bool = False
    """Whether `prompt_cache_key` is taken."""

    has_safety_identifier: bool = False
    """Whether `safety_identifier` is taken."""

    has_user: bool = False
    """Whether `user` is taken; it then carries the hashed end user where there is no `safety_identifier`."""

    min_temperature: float = 0.0
    """Lower values are raised (MiniMax refuses 0, Inception what is below 0.5)."""

    max_temperature: float = 2.0
    """Higher values are clamped; a 400 there would otherwise fail over for nothing."""

    has_late_system: bool = False
    """Whether a chat server takes system messages behind others; else they are sent as marked words of the user.

    The templates of many open models refuse one that is not the first. The leading ones are sent as one anywhere.
    """

    alternates_turns: bool = False
    """User and assistant must alternate, with system text only at the start (Perplexity)."""

    prefill: Literal["none", "sent", "prefix", "partial"] = "none"
    """How a chat server is told to go on with the last message, of the assistant; `none`: it would answer anew.

    `sent`: by that message alone. `prefix` (DeepSeek's beta address) and `partial` (Moonshot AI): by that flag on it.
    https://api-docs.deepseek.com/guides/chat_prefix_completion and
    https://github.com/vercel/ai/releases/tag/@ai-sdk%2Fmoonshotai@2.0.53 (2026-11-28).
    """

    web_search: Literal[
        "none", "web_search_options", "search_domain_filter", "venice_parameters", "web_search_tool"
    ] = "none"
    """How a chat server is asked to search by itself; `none`: it cannot.

    `search_domain_filter` is `web_search_options` with a flat `user_location`, and the domains beside it (Perplexity).
    """

    native_search: bool = True
    """Whether the endpoint's own web search is made use of, in any dialect that has one; `false`: it counts as one
    without. How a search is asked for is `web_search` in chat and `search_tool` in Messages."""

    audio_data: Literal["base64", "data_url"] = "base64"
    """`data_url`: audio needs a `data:` prefix (Alibaba)."""

    audio_formats: frozenset[str] = frozenset()
    """The formats of sound that are taken, as `flac`; empty means those of the dialect."""

    has_stored_links: bool = False
    """Whether a Gemini server follows `gs://` links to Google's storage, with the rights of our credential (Vertex)."""

    native_files: bool | None = None
    """Whether the endpoint is sent documents as they are, in any dialect that has a place for them. Where neither this
    nor a list of what it reads says so, those that speak Responses, Messages, Gemini or Converse are, and chat servers,
    of which few take any, get what the gateway reads in them."""

    file_links: Literal["none", "file_url"] = "none"
    """`file_url`: documents are taken by link as a part of that type (Z.ai, Perplexity)."""

    adds_reasoning_tokens: bool = False
    """Reasoning tokens come on top of `completion_tokens` instead of inside them (xAI)."""

    image_urls: Literal["forward", "inline"] = "forward"
    """`inline`: the provider does not download, or must not, so links are fetched and sent as data URLs.

    It is the default at a private `base_url` (an address, or a name such as `vllm` or `gpu.internal`).
    """

    has_image_detail: bool = True
    """Whether an image part may carry `detail`."""

    image_output: Literal["none", "modalities"] = "none"
    """`modalities`: pictures are asked for by `modalities` and come as `message.images`."""

    error_shape: ErrorShape = "openai"
    """Whose numbers stand in error bodies. All forms are read alike; these give a status or a code a meaning of its
    own."""

    overload_statuses: frozenset[int] = frozenset({503, 529})
    """Statuses that mean busy."""

    reasoning_format: str = ""
    """The `format` a reasoning item gets from this issuer (`openai-responses-v1`, …); empty means `unknown`."""

    supports_include: bool = True
    """Whether a Responses server takes `include`."""

    forwards_metadata: bool = False
    """Whether a Responses server takes `metadata`."""

    thinking_style: Literal["budget", "adaptive", "effort", "nova", "level", "none"] = "budget"
    """How a Messages, Converse or Gemini endpoint is asked to think.

    `budget`: `thinking.budget_tokens`, which the newest Claude models refuse; `adaptive`: `thinking.type: adaptive` and
    `output_config.effort`, which older ones refuse; `effort` and `nova`: the fields of gpt-oss and Nova on Converse.
    https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking (2026-11-22).
    On Gemini `budget` is `thinkingBudget` (2.5) and `level` is `thinkingLevel` (3 and later); both at once are a 400.
    https://ai.google.dev/gemini-api/docs/thinking (2026-11-22).
    """

    can_stop_thinking: bool = True
    """Whether thinking can be off, by `thinking.type: disabled` or `enable_thinking: false`. Some Claude models and
    GLM-5.3 answer that with a 400 and get the least effort; Qwen models that only think are told nothing."""

    min_thinking_budget: int = 512
    """The least `thinkingBudget` of a Gemini model; less is a 400. 512 is that of Flash-Lite, the highest."""

    temperature_excludes_top_p: bool = False
    """`temperature` and `top_p` together are a 400 (Claude since Opus 4.1); `top_p` is then left out."""

    search_tool: str = "web_search_20250305"
    """The dated type of a Messages server's own search tool; empty where it has none and would answer 400."""

    model_in_body: bool = True
    """Whether a Messages body names the model; Vertex has it in the path and refuses it in the body."""

    stream_path: str = ""
    """The path of a streamed request where it differs from `path` (Vertex: `…:streamRawPredict`)."""

    has_result_status: bool = True
    """Whether a Converse model is told by `status` that a tool failed: Claude and Nova are, others would answer 400.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolResultBlock.html (2026-11-28).
    """

    has_cache_points: bool = False
    """Whether a Converse model takes `cachePoint` blocks (Claude from 3.5 Haiku on, and Nova); others answer 400."""

    has_tool_cache_points: bool = True
    """Whether it takes them behind tools and behind their results too; Nova answers 400."""

    has_cache_hours: bool = False
    """Whether such a block may ask for an hour; Claude before 4.5, and Nova, answer 400.

    https://github.com/earendil-works/pi/pull/1570 and https://github.com/timothy-agent/timothy/pull/756 (2026-11-28).
    """

    has_cache_marks: bool = False
    """Whether a chat server takes `cache_control` on parts of messages and on tools, as gateways before Claude do.

    https://openrouter.ai/docs/guides/best-practices/prompt-caching (2026-11-28).
    """

    schema_beside_tools: bool | None = None
    """Whether a model takes a JSON form for its answer and tools at once; before Gemini 3, and at Groq, that is a 400.

    Without it a schema becomes one more tool, or is asked for in words. Where nothing is said, servers that speak
    OpenAI's languages take both and Gemini models do not. Cohere never takes both.
    https://ai.google.dev/gemini-api/docs/structured-output (2026-11-22).
    """

    schema_keywords: Literal["json_schema", "openapi"] = "json_schema"
    """`openapi`: a Gemini server takes schemas only as `responseSchema` and `parameters`, a subset without `$ref`."""

    bills_as_told: bool = False
    """Whether the provider's own figure for the cost of an answer is the cost, whatever price is known (Perplexity,
    whose fee for a request depends on how much is searched)."""

    follow_hosts: frozenset[str] = frozenset()
    """Hosts, besides that of the base URL, to which the provider may send us on with our key; `.a.example` names all
    hosts under it. Any other address is asked without the key, and only if it is a public one."""


def overlaid(quirks: Quirks, given: Mapping[str, object]) -> Quirks:
    """Replace the quirks that are named; a name that is unknown is passed over.

    Raises msgspec.ValidationError for a value of another type.
    """
    known = {name: value for name, value in given.items() if name in Quirks.__struct_fields__}
    changed = msgspec.convert(known, Quirks)
    return replace(quirks, **{name: getattr(changed, name) for name in known})


def joined(quirks: Quirks, special: Mapping[str, object]) -> Quirks:
    """Lay what is special about a model over its provider's quirks: what either refuses is refused."""
    changed = overlaid(quirks, special)
    return replace(changed, drops=changed.drops | quirks.drops)
