"""What an endpoint can do of what a request may ask, where its dialect or a quirk says so and no list does.

Routing refuses by it and adapters leave out by it, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.protocol.addresses import is_stored_link
from trunkline.protocol.items import AudioFormat, InputAudio, InputFile, InputImage, InputVideo
from trunkline.protocol.places import Media
from trunkline.protocol.request import Request, Search
from trunkline.protocol.tools import SearchTool

_PENALTIES: Final = ("presence_penalty", "frequency_penalty")
_RESPONSES_ONLY: Final = ("truncation", "reasoning.summary")
_CHAT: Final = (*_RESPONSES_ONLY, "max_tool_calls")
_GEMINI: Final = (*_CHAT, "prompt_cache_key", "parallel_tool_calls", "verbosity")
_DRAWING: Final = (
    "temperature",
    "top_p",
    "top_k",
    "top_logprobs",
    *_PENALTIES,
    "max_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "truncation",
    "verbosity",
)

UNSPOKEN: Final[Mapping[Dialect, tuple[str, ...]]] = {
    "responses": ("top_k", *_PENALTIES),
    "chat": _CHAT,
    "mistral": _CHAT,
    "messages": (*_PENALTIES, *_RESPONSES_ONLY, "top_logprobs", "verbosity", "image_config"),
    "converse": (*_PENALTIES, *_CHAT, "top_logprobs", "verbosity", "parallel_tool_calls", "image_config"),
    "gemini": _GEMINI,
    "cohere": (*_GEMINI, "image_config"),
    "images": _DRAWING,
    "bfl": _DRAWING,
    "riverflow": _DRAWING,
    "fake": ("truncation",),
}
"""The parameters for which a dialect has no place, by their names in `supports` or else the contract's."""


_AUDIO_OF_ALL: Final[frozenset[AudioFormat]] = frozenset({"mp3", "wav"})
_AUDIO: Final[Mapping[Dialect, frozenset[AudioFormat]]] = {
    # https://ai.google.dev/gemini-api/docs/audio (2026-11-27).
    "gemini": _AUDIO_OF_ALL | {"aac", "aiff", "flac", "ogg"},
    # https://docs.aws.amazon.com/sdk-for-python/v1/reference/clients/bedrock-runtime/enums/AudioFormat (2026-11-27).
    "converse": _AUDIO_OF_ALL | {"aac", "flac", "m4a", "ogg"},
    "fake": frozenset(get_args(AudioFormat)),
}
"""The formats of sound that each dialect has, the contract's two where nothing is said."""


def has_place(endpoint: Endpoint, parameter: str) -> bool:
    """Whether a parameter, by its name in `supports`, can be said in the endpoint's dialect, with its quirks."""
    if parameter in UNSPOKEN[endpoint.dialect]:
        return False
    quirks = endpoint.quirks
    match parameter:
        case "top_k":
            return quirks.has_top_k or endpoint.dialect not in ("chat", "mistral", "messages", "converse")
        case "top_logprobs" | "logprobs":
            return quirks.logprobs != "never" and "top_logprobs" not in UNSPOKEN[endpoint.dialect]
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
        case "json_object":
            # Messages and Converse hold an answer to a schema, and have only words for JSON without one.
            return quirks.structured_output != "none" and endpoint.dialect not in ("messages", "converse")
        case "structured_outputs":
            return quirks.structured_output == "json_schema"
        case _:
            return True


def unspoken(request: Request, endpoint: Endpoint) -> list[str]:
    """Name, in the contract's words, what a request asks for and the endpoint's dialect has no place for."""
    return [_WRITTEN.get(name, name) for name in UNSPOKEN[endpoint.dialect] if _asks(request, name)]


_WRITTEN: Final = {"max_tokens": "max_output_tokens", "verbosity": "text.verbosity"}


def _asks(request: Request, name: str) -> bool:
    match name:
        case "max_tokens":
            return request.max_output_tokens is not None
        case "verbosity":
            return request.text is not None and bool(request.text.verbosity)
        case "reasoning.summary":
            return request.reasoning is not None and request.reasoning.summary is not None
        case "truncation":
            return request.truncation == "auto"
        case "parallel_tool_calls":
            return request.parallel_tool_calls is False and bool(request.tools) and request.tool_choice != "none"
        case "max_tool_calls":
            # It counts searches alone; functions are called by the client.
            return bool(request.max_tool_calls) and any(isinstance(tool, SearchTool) for tool in request.tools)
        case "top_k" | "top_logprobs" | "presence_penalty" | "frequency_penalty" | "image_config":
            # With 0, or with nothing in it, it is as if it had not been said.
            return bool(getattr(request, name))
        case _:
            return getattr(request, name) is not None


def truncates(endpoint: Endpoint) -> bool:
    """Whether the provider itself shortens an input that is too long, when asked to."""
    return has_place(endpoint, "truncation") and "truncation" not in endpoint.quirks.drops


def media_shortfall(endpoint: Endpoint, part: Media) -> str | None:
    """Why an endpoint that reads such a medium does not take this one, to be read after its name; None where it may."""
    match part:
        case InputAudio(format=form):
            taken = endpoint.quirks.audio_formats or _AUDIO.get(endpoint.dialect, _AUDIO_OF_ALL)
            return None if form in taken else f"takes no audio as {form}, but as {' or '.join(sorted(taken))}"
        case InputImage(image_url=url) | InputVideo(video_url=url) | InputFile(file_url=url) if url is not None:
            is_followed = endpoint.dialect == "gemini" and endpoint.quirks.has_stored_links
            return None if is_followed or not is_stored_link(url) else "follows no gs:// link"
        case _:
            return None


def takes_openai_tools(endpoint: Endpoint) -> bool:
    """Whether OpenAI's own tools and items may be passed on as they are; else there are functions and one search."""
    return endpoint.dialect == "responses" and endpoint.quirks.has_openai_tools


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
