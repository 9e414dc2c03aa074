"""What an endpoint can do of what a request may ask, where its dialect or a quirk says so and no list does.

Routing refuses by it and adapters leave out by it, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.protocol.request import Search

_DRAWING: Final = (
    "temperature",
    "top_p",
    "top_k",
    "top_logprobs",
    "presence_penalty",
    "frequency_penalty",
    "max_tokens",
    "reasoning",
    "verbosity",
    "parallel_tool_calls",
)

UNSPOKEN: Final[Mapping[Dialect, tuple[str, ...]]] = {
    "responses": ("top_k", "presence_penalty", "frequency_penalty"),
    "messages": ("presence_penalty", "frequency_penalty", "top_logprobs", "verbosity"),
    "converse": ("presence_penalty", "frequency_penalty", "top_logprobs", "verbosity", "parallel_tool_calls"),
    "gemini": ("verbosity", "parallel_tool_calls"),
    "cohere": ("verbosity", "parallel_tool_calls"),
    "images": _DRAWING,
    "bfl": _DRAWING,
    "riverflow": _DRAWING,
}
"""The parameters, by their names in `supports`, for which a dialect has no place."""


def has_place(endpoint: Endpoint, parameter: str) -> bool:
    """Whether a parameter, by its name in `supports`, can be said in the endpoint's dialect, with its quirks."""
    if parameter in UNSPOKEN.get(endpoint.dialect, ()):
        return False
    quirks = endpoint.quirks
    match parameter:
        case "top_k":
            return quirks.has_top_k or endpoint.dialect not in ("chat", "mistral", "messages", "converse")
        case "top_logprobs" | "logprobs":
            return quirks.logprobs != "never" and "top_logprobs" not in UNSPOKEN.get(endpoint.dialect, ())
        case "parallel_tool_calls":
            return quirks.has_parallel_switch
        case "verbosity":
            # A list that names it goes before the quirk, which is for servers without one.
            is_listed = endpoint.supports is not None and endpoint.dialect == "responses"
            return quirks.has_verbosity or is_listed
        case "reasoning":
            is_chat = endpoint.dialect in ("chat", "mistral", "responses")
            return (quirks.reasoning_request if is_chat else quirks.thinking_style) != "none"
        case "response_format":
            return quirks.structured_output != "none"
        case "structured_outputs":
            return quirks.structured_output == "json_schema"
        case _:
            return True


def truncates(endpoint: Endpoint) -> bool:
    """Whether the provider itself shortens an input that is too long, when asked to."""
    return endpoint.dialect == "responses" and "truncation" not in endpoint.quirks.drops


def search_shortfall(endpoint: Endpoint, search: Search) -> str | None:
    """Why an endpoint cannot make a search as it is asked for, to be read after its name; None where it can."""
    if not _searches(endpoint):
        return "has no web search"
    if search.domains and not _keeps_domains(endpoint):
        return "cannot keep a web search to allowed_domains"
    if search.is_beside_others and endpoint.dialect == "gemini":
        # It is a 400, or wants parts replayed that a client has no place for.
        return "takes no web search beside other tools"
    return None


def _searches(endpoint: Endpoint) -> bool:
    quirks = endpoint.quirks
    match endpoint.dialect:
        case "responses":
            return True
        case "chat":
            return quirks.web_search != "none"
        case "messages" | "gemini":
            return bool(quirks.search_tool)
        case "converse":
            return bool(quirks.search_tool) and not quirks.search_tool.startswith("web_search")
        case "fake":
            return endpoint.upstream_model == "search"
        case "cohere" | "mistral" | "images" | "bfl" | "riverflow":
            return False


def _keeps_domains(endpoint: Endpoint) -> bool:
    is_filtered_chat = endpoint.dialect == "chat" and endpoint.quirks.web_search == "search_domain_filter"
    return endpoint.dialect in ("responses", "messages") or is_filtered_chat
