"""What an endpoint can do of what a request may ask, where its dialect or a quirk says so and no list does.

Routing refuses by it and adapters leave out by it, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Final, get_args

from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.protocol.addresses import is_stored_link
from trunkline.protocol.items import AudioFormat, InputAudio, InputFile, InputImage, InputVideo, Message
from trunkline.protocol.places import Media
from trunkline.protocol.request import Request, Sampling, Search
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


_SAMPLING: Final[Mapping[Dialect, frozenset[str]]] = {
    "chat": frozenset({"seed", "min_p", "repetition_penalty", "logit_bias"}),
    "mistral": frozenset({"seed"}),
    "gemini": frozenset({"seed"}),
    "cohere": frozenset({"seed"}),
    "fake": frozenset(Sampling.__struct_fields__),
}
"""What of `Sampling` each dialect has a place for, and is sent where nothing is told of the endpoint."""

_TOLD_SAMPLING: Final[Mapping[Dialect, frozenset[str]]] = {
    "chat": frozenset({"top_a"}),
    "mistral": frozenset({"repetition_penalty"}),
}
"""What few of its endpoints know, so that it is sent only where it is told of."""

_TIERED: Final[frozenset[Dialect]] = frozenset({"responses", "chat", "mistral", "messages", "gemini", "converse"})
"""The dialects that have a place for a service tier."""

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


def takes_sampling(endpoint: Endpoint, name: str) -> bool:
    """Whether a member of `Sampling` is sent to an endpoint; no list of models speaks of them, so a quirk may."""
    quirks, supports, dialect = endpoint.quirks, endpoint.supports, endpoint.dialect
    tried, told = _SAMPLING.get(dialect, _NOTHING), _TOLD_SAMPLING.get(dialect, _NOTHING)
    if name in quirks.drops or name not in tried | told:
        return False
    if name != "seed" and _is_willful(endpoint):
        return False
    if quirks.sampling is None:
        return name in tried or (supports is not None and name in supports)
    return name in quirks.sampling or (supports is not None and name in supports)


def takes_stop(endpoint: Endpoint) -> bool:
    """Whether `stop` is sent to an endpoint whose dialect has it."""
    # OpenAI's models that reason refuse it too: https://github.com/huggingface/smolagents/pull/1662 (2026-11-27).
    return "stop" not in endpoint.quirks.drops and not (endpoint.dialect == "chat" and _is_willful(endpoint))


def _is_willful(endpoint: Endpoint) -> bool:
    """Whether a model lets nobody choose its words, as OpenAI's that reason; what else there is to that is a 400."""
    supports = endpoint.supports
    return supports is not None and "reasoning" in supports and "temperature" not in supports


def takes_prediction(endpoint: Endpoint) -> bool:
    """Whether an endpoint is told what a client believes that the answer will be."""
    if "prediction" in endpoint.quirks.drops:
        return False
    return endpoint.dialect == "mistral" or (endpoint.dialect == "chat" and endpoint.quirks.has_prediction)


def tier_of(request: Request, endpoint: Endpoint) -> str | None:
    """The service tier that an endpoint is asked for, in its provider's words; None where none is, or it has none."""
    if request.service_tier is None or not has_tiers(endpoint):
        return None
    return endpoint.quirks.service_tiers.get(request.service_tier)


def has_tiers(endpoint: Endpoint) -> bool:
    """Whether an endpoint can be asked for a service tier."""
    quirks = endpoint.quirks
    return endpoint.dialect in _TIERED and bool(quirks.service_tiers) and "service_tier" not in quirks.drops


def unspoken(request: Request, endpoint: Endpoint) -> list[str]:
    """Name, in the contract's words, what a request asks for and the endpoint's dialect has no place for."""
    dialect, names = endpoint.dialect, []
    # Most requests say nothing of all that.
    if _SAYS[dialect](request) != _SAYS_NOTHING[dialect]:
        names = [_WRITTEN.get(name, name) for name in UNSPOKEN[dialect] if _asks(request, name)]
        names += untaken(request, endpoint)
    if dialect == "responses" and "phase" not in endpoint.quirks.drops:
        return names
    for item in request.input:
        if type(item) is Message and item.phase:
            names.append("input.phase")
            break
    return names


def untaken(request: Request, endpoint: Endpoint) -> list[str]:
    """Name what a request says beyond the contract, of what stands beside its input, and an endpoint does not take.

    `stop` is not among it: where nobody else ends the answer there, the gateway does (`stream/stopping.py`).
    """
    names: list[str] = []
    if request.sampling is not None:
        names += [name for name in request.sampling.said() if not takes_sampling(endpoint, name)]
    if request.prediction is not None and not takes_prediction(endpoint):
        names.append("prediction")
    if request.logprobs and not request.top_logprobs and not has_place(endpoint, "logprobs"):
        names.append("logprobs")
    if request.service_tier is not None and tier_of(request, endpoint) is None:
        names.append("service_tier")
    if request.reasoning is not None and request.reasoning.context is not None and not has_context(endpoint):
        names.append("reasoning.context")
    return names


def has_context(endpoint: Endpoint) -> bool:
    """Whether an endpoint can be told which of its earlier thoughts a model is shown again."""
    quirks = endpoint.quirks
    return endpoint.dialect == "responses" and quirks.has_reasoning_context and quirks.reasoning_request != "none"


_NOTHING: Final[frozenset[str]] = frozenset()


_WRITTEN: Final = {"max_tokens": "max_output_tokens", "verbosity": "text.verbosity"}

_BESIDE: Final = ("sampling", "service_tier", "reasoning", "prediction", "logprobs")
_FIELDS: Final = {"max_tokens": "max_output_tokens", "verbosity": "text", "reasoning.summary": "reasoning"}
_SAYS: Final[Mapping[Dialect, Callable[[Request], object]]] = {
    dialect: attrgetter(*_BESIDE, *(_FIELDS.get(name, name) for name in names)) for dialect, names in UNSPOKEN.items()
}
"""The values of the fields in which the parameters are said that an endpoint may not take, or its dialect has no place
for, all at once."""
_SAYS_NOTHING: Final = {dialect: says(Request(input=())) for dialect, says in _SAYS.items()}


def _asks(request: Request, name: str) -> bool:
    match name:
        case "max_tokens":
            return request.max_output_tokens is not None
        case "verbosity":
            return request.text is not None and bool(request.text.verbosity)
        case "reasoning.summary":
            return request.reasoning is not None and request.reasoning.summary is not None
        case "truncation":
            return False  # where the provider does not, the gateway does
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


def goes_on(endpoint: Endpoint) -> bool:
    """Whether an endpoint goes on with an answer that a client began, in the last message of the input."""
    match endpoint.dialect:
        case "messages" | "gemini" | "converse" | "mistral" | "fake":
            return True
        case "chat":
            return endpoint.quirks.prefill != "none"
        case _:
            return False


def takes_marks(endpoint: Endpoint) -> bool:
    """Whether anything of a request is marked for the provider's cache, by the client or by us."""
    quirks = endpoint.quirks
    if endpoint.prompt_caching == "off" or not _MARK_NAMES.isdisjoint(quirks.drops):
        return False
    match endpoint.dialect:
        case "messages":
            return True
        case "converse":
            return quirks.has_cache_points
        case "chat":
            return quirks.has_cache_marks
        case _:
            return False


def tells_failures(endpoint: Endpoint) -> bool:
    """Whether a result can be told to be an error, and not in words alone."""
    return endpoint.dialect == "messages" or (endpoint.dialect == "converse" and endpoint.quirks.has_result_status)


_MARK_NAMES: Final = frozenset({"cache_control", "prompt_cache_key"})
"""What an operator may say that an endpoint refuses, where marks are meant."""


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


def takes_files(endpoint: Endpoint) -> bool | None:
    """Whether an endpoint is sent documents as they are; None where that is not known, and may be tried."""
    if endpoint.dialect in _WITHOUT_FILES:
        return False
    if (told := endpoint.quirks.native_files) is not None:
        return told
    known = endpoint.input_modalities
    if known is not None:
        return "file" in known
    if endpoint.dialect in ("chat", "mistral") and endpoint.quirks.file_links == "none":
        return None
    return True


_WITHOUT_FILES: Final[frozenset[Dialect]] = frozenset({"cohere", "images", "bfl", "riverflow"})
"""The dialects that have no place for a document, whoever speaks them."""


def takes_openai_tools(endpoint: Endpoint) -> bool:
    """Whether OpenAI's own tools and items may be passed on as they are; else there are functions and one search."""
    return endpoint.dialect == "responses" and endpoint.quirks.has_openai_tools


def takes_anthropic_members(endpoint: Endpoint) -> bool:
    """Whether what only Anthropic's own servers know may be passed on as it is."""
    return endpoint.dialect == "messages" and endpoint.quirks.has_anthropic_members


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


def searches_unasked(endpoint: Endpoint) -> bool:
    """Whether an endpoint searches for every request: Perplexity's models, and FakeProvider's `search`."""
    if endpoint.dialect == "fake":
        return endpoint.upstream_model == "search"
    return endpoint.dialect == "chat" and endpoint.quirks.web_search == "search_domain_filter"


def _searches(endpoint: Endpoint) -> bool:
    quirks = endpoint.quirks
    if not quirks.native_search:
        return False
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
