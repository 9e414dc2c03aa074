"""What an endpoint honours: which parameters reach it, how it takes tools, schemas and thought, what it reads.

Said from the catalog alone. What was left out of one request is told by that answer's `x-trunkline-dropped`.
"""

from __future__ import annotations

from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Json
from trunkline.routing.filters import supports

PARAMETERS = (
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "min_p",
    "top_a",
    "logit_bias",
    "seed",
    "stop",
    "service_tier",
    "logprobs",
    "top_logprobs",
    "response_format",
    "structured_outputs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "include_reasoning",
    "verbosity",
    "web_search_options",
)
"""The words of OpenRouter's `supported_parameters`."""


def capabilities_of(endpoint: Endpoint) -> dict[str, Json]:
    """Say what an endpoint honours. `parameters` is by name; null is unknown, and such a parameter is sent."""
    quirks = endpoint.quirks
    return {
        "id": endpoint.id,
        "provider": endpoint.provider.slug,
        "provider_name": endpoint.provider.name,
        "tag": endpoint.tag or endpoint.provider.slug,
        "dialect": endpoint.dialect,
        "parameters": {name: _is_honoured(endpoint, name) for name in PARAMETERS},
        "streaming": quirks.streams != "never",
        "tool_choices": sorted(quirks.tool_choices) if _is_honoured(endpoint, "tools") is not False else [],
        "strict_tools": quirks.has_strict_tools and quirks.structured_output == "json_schema",
        "structured_output": _structured_output(endpoint),
        "reasoning_efforts": list(endpoint.reasoning_efforts or quirks.reasoning_efforts) or None,
        "input_modalities": sorted(endpoint.input_modalities) if endpoint.input_modalities is not None else None,
        "output_modalities": sorted(endpoint.output_modalities),
        "context_tokens": endpoint.context_tokens,
        "max_output_tokens": endpoint.max_output_tokens,
        "is_deprecated": endpoint.is_deprecated,
        "deprecated_on": endpoint.deprecated_on or None,
    }


def _is_honoured(endpoint: Endpoint, parameter: str) -> bool | None:
    quirks = endpoint.quirks
    if not supports(endpoint, parameter):
        return False
    if parameter == "top_k" and not quirks.has_top_k:
        return False
    if parameter in ("logprobs", "top_logprobs") and quirks.logprobs == "never":
        return False
    # The gateway sees to `stop` where nobody else does.
    return None if endpoint.supports is None and parameter != "stop" else True


def _structured_output(endpoint: Endpoint) -> str:
    """Name the way in which a schema is held to: by the endpoint itself, or by what stands in for that."""
    if endpoint.quirks.structured_output == "json_schema" and supports(endpoint, "structured_outputs"):
        return "native"
    if supports(endpoint, "tools") and endpoint.quirks.tool_choices & {"required", "function"}:
        return "as_tool"
    return "json_object" if endpoint.quirks.structured_output != "none" else "instructed"
