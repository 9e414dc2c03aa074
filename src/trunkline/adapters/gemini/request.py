"""Speaks Gemini's generateContent, at AI Studio and on Vertex: the request out, and the adapter.

The answer is read in `answer.py`. No model is known by name: what differs between generations is a quirk.

Sources: section 5 of the dialects notes; https://ai.google.dev/api/generate-content and
https://ai.google.dev/gemini-api/docs/thought-signatures, seen 2026-11-22; the types of the google-genai Python
package 3.4.0.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from msgspec.structs import replace

from trunkline.adapters.contract import Adapter, Decoder
from trunkline.adapters.decoding.counts import told_count
from trunkline.adapters.encoding.answers import as_json
from trunkline.adapters.encoding.draft import Draft, beside_tools, fetched, fitted_seed, user_names
from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.encoding.schema_writer import is_map
from trunkline.adapters.encoding.tools import (
    MUST_BE_JSON,
    Choice,
    ToolPlan,
    ToolSchema,
    answer_schema,
    has_json,
    plan_tools,
    tool_schema,
)
from trunkline.adapters.gemini.answer import GeminiDecoder
from trunkline.adapters.gemini.conversation import encode_turns
from trunkline.adapters.media import is_film_page
from trunkline.adapters.thinking import budget, effort, efforts_of, leaves_effort, lost_budget, nearest_effort
from trunkline.catalog.abilities import has_place, tier_of
from trunkline.catalog.entries import Endpoint, per_endpoint
from trunkline.protocol.items import Json
from trunkline.protocol.request import Effort, ReasoningConfig, Request
from trunkline.protocol.tools import (
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    SearchChoice,
    SearchTool,
    TextFormat,
)
from trunkline.wire import UpstreamRequest

MAX_BUDGET = 24_576
"""Thinking budgets up to this are taken by every model that takes budgets; more is a 400 at some."""

LEVELS = ("low", "high")
"""The thinking levels that every model with levels takes, where the catalog does not say more."""

_GOOGLES = frozenset({"generativelanguage.googleapis.com"})
_MODES = {"auto": "AUTO", "any": "ANY", "tool": "ANY", "none": "NONE"}
_IMAGE_KEYS = {"aspect_ratio": "aspectRatio", "image_size": "imageSize"}


class GeminiAdapter(Adapter):
    """One instance serves every Gemini endpoint."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        draft = _drafted(request, endpoint)
        whole, streamed = _paths(endpoint)
        return draft.posted(streamed if draft.streams else whole)

    def encode_count(self, request: Request, endpoint: Endpoint) -> UpstreamRequest | None:
        """Ask Google AI Studio, where a whole request is counted inside of another; on Vertex it is another question.

        Source: https://ai.google.dev/api/tokens, seen 2026-11-28.
        """
        if endpoint.quirks.path or endpoint.base_url.endswith("/models"):
            return None
        draft = _drafted(replace(request, stream=False), endpoint)
        draft.body = {"generateContentRequest": {"model": f"models/{endpoint.upstream_model}", **draft.body}}
        whole, _ = _paths(endpoint)
        return draft.posted(whole.replace(":generateContent", ":countTokens"))

    def decode_count(self, body: bytes) -> int | None:
        return told_count(body, "totalTokens")

    def encode_listing(self, endpoint: Endpoint) -> UpstreamRequest:
        """On Vertex the place that models are asked at, since its lists are of no project.

        Sources, seen 2026-11-27: https://ai.google.dev/api/rest/v1/models/list (a page has up to 1000);
        https://googleapis.github.io/google-api-python-client/docs/dyn/aiplatform_v1.projects.locations.html (`get`).
        """
        place, is_vertex, _ = endpoint.base_url.partition("/publishers/")
        return fetched(replace(endpoint, base_url=place), "" if is_vertex else "/models?pageSize=1000")

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        """Google's servers follow links to their own files and films; to others only some of them do."""
        return urlsplit(link.url).hostname not in _GOOGLES and not is_film_page(link.url)

    def decoder(self, request: Request, endpoint: Endpoint) -> Decoder:
        request = _callable(request)
        return as_json(GeminiDecoder(request, endpoint), request, _as_asked(request, endpoint))


ADAPTER = GeminiAdapter()


def _drafted(request: Request, endpoint: Endpoint) -> Draft:
    request = _callable(request)
    draft = Draft(request, _as_asked(request, endpoint))
    plan = _plan(draft)
    settings = _encode_sampling(draft)
    if request.reasoning is not None:
        settings |= _encode_thinking(draft, request.reasoning)
    if request.text is not None:
        settings |= _encode_text(draft, request.text.format)
    if request.modalities or request.image_config:
        settings |= _encode_images(draft)
    tools = _encode_tools(draft, plan)
    draft.dropped += user_names(draft.request)
    encode_turns(draft)
    draft.body |= tools
    if settings:
        draft.body["generationConfig"] = settings
    if request.service_tier is not None and (tier := tier_of(request, draft.endpoint)) is not None:
        draft.body["serviceTier"] = tier
    return draft


def _callable(request: Request) -> Request:
    """The request without the functions that a choice of the search keeps from being called: both at once are a 400."""
    if not isinstance(request.tool_choice, SearchChoice):
        return request
    return replace(request, tools=tuple(tool for tool in request.tools if isinstance(tool, SearchTool)))


def _as_asked(request: Request, endpoint: Endpoint) -> Endpoint:
    seen = beside_tools(request, endpoint, (FunctionTool, SearchTool))
    if seen is endpoint or any(isinstance(tool, FunctionTool) for tool in request.tools):
        return seen
    # A search is alone here, so a schema becomes no tool beside it: it is asked for in words.
    return replace(seen, quirks=replace(seen.quirks, drops=seen.quirks.drops | {"tools"}))


@per_endpoint
def _paths(endpoint: Endpoint) -> tuple[str, str]:
    """Where an answer is asked for whole, and where in a stream; the base URL of Vertex ends with `/models` already."""
    quirks, model = endpoint.quirks, quote(endpoint.upstream_model, safe="@")
    path = "/{model}" if endpoint.base_url.endswith("/models") else "/models/{model}"
    whole = quirks.path or f"{path}:generateContent"
    streamed = quirks.stream_path or quirks.path or f"{path}:streamGenerateContent?alt=sse"
    return whole.replace("{model}", model), streamed.replace("{model}", model)


# Settings


def _encode_sampling(draft: Draft) -> dict[str, Json]:
    request, quirks = draft.request, draft.quirks
    settings: dict[str, Json] = {}
    if request.max_output_tokens is not None and draft.takes("max_output_tokens", "max_tokens"):
        settings["maxOutputTokens"] = request.max_output_tokens
    if request.temperature is not None and draft.takes("temperature", "temperature"):
        least, most = quirks.min_temperature, quirks.max_temperature
        settings["temperature"] = draft.within("temperature", request.temperature, least, most)
    if request.top_p is not None and draft.takes("top_p", "top_p"):
        settings["topP"] = request.top_p
    if request.top_k and draft.takes("top_k", "top_k"):
        settings["topK"] = request.top_k
    if request.presence_penalty is not None and draft.takes("presence_penalty", "presence_penalty"):
        settings["presencePenalty"] = request.presence_penalty
    if request.frequency_penalty is not None and draft.takes("frequency_penalty", "frequency_penalty"):
        settings["frequencyPenalty"] = request.frequency_penalty
    if request.top_logprobs and quirks.logprobs != "never" and draft.takes("top_logprobs", "top_logprobs"):
        settings |= {"responseLogprobs": True, "logprobs": request.top_logprobs}
    elif request.top_logprobs:
        draft.dropped.append("top_logprobs")
    elif request.logprobs and has_place(draft.endpoint, "logprobs") and draft.takes("logprobs", "logprobs"):
        settings["responseLogprobs"] = True
    if request.stop and (stops := draft.stops(at_most=5)):
        settings["stopSequences"] = stops
    if request.sampling is not None and "seed" in (said := draft.sampling()):
        settings["seed"] = fitted_seed(said["seed"])
    return settings


def _encode_images(draft: Draft) -> dict[str, Json]:
    request = draft.request
    settings: dict[str, Json] = {}
    if "image" in request.modalities or (request.modalities and "image" in draft.endpoint.output_modalities):
        # A model that draws does so unasked.
        settings["responseModalities"] = [modality.upper() for modality in request.modalities]
    known = {_IMAGE_KEYS[key]: value for key, value in (request.image_config or {}).items() if key in _IMAGE_KEYS}
    if known:
        settings["imageConfig"] = known
    if request.image_config and len(known) < len(request.image_config):
        draft.dropped.append("image_config")
    return settings


# Thinking


def _encode_thinking(draft: Draft, reasoning: ReasoningConfig) -> dict[str, Json]:
    supports = draft.endpoint.supports
    level = effort(reasoning, draft.request.max_output_tokens or draft.endpoint.max_output_tokens)
    is_known = draft.quirks.thinking_style != "none" and (supports is None or "reasoning" in supports)
    if level is None or (level == "none" and not is_known):
        return {}
    if not is_known or not draft.takes("reasoning", "reasoning"):
        draft.dropped.append("reasoning")
        return {}
    config: dict[str, Json] = {"includeThoughts": level != "none"}
    if draft.quirks.thinking_style == "level":
        _ask_by_level(draft, reasoning, level, config)
    else:
        _ask_by_budget(draft, reasoning, level, config)
    return {"thinkingConfig": config}


def _ask_by_level(draft: Draft, reasoning: ReasoningConfig, level: Effort, config: dict[str, Json]) -> None:
    if level != "none" and reasoning.effort is None and reasoning.max_tokens is None:
        return
    allowed = [name for name in efforts_of(draft.endpoint) or LEVELS if name != "none"]
    meant = draft.quirks.reasoning_effort_map
    sent = nearest_effort(level, allowed, meant) or nearest_effort("minimal", allowed, meant)
    if sent is not None:
        config["thinkingLevel"] = sent.upper()
    if sent != level:
        draft.dropped.append("reasoning.effort")
    draft.dropped += lost_budget(reasoning)


def _ask_by_budget(draft: Draft, reasoning: ReasoningConfig, level: Effort, config: dict[str, Json]) -> None:
    least = draft.quirks.min_thinking_budget
    if level == "none":
        config["thinkingBudget"] = 0 if draft.quirks.can_stop_thinking else least
        if not draft.quirks.can_stop_thinking:
            draft.dropped.append("reasoning.effort")
        return
    if leaves_effort(reasoning) and draft.request.max_output_tokens is None:
        config["thinkingBudget"] = -1
        return
    limit = draft.request.max_output_tokens or draft.endpoint.max_output_tokens
    if limit is not None and limit <= least and draft.quirks.can_stop_thinking:
        # Thoughts count against the limit of the answer, and nothing would be left of it.
        config |= {"includeThoughts": False, "thinkingBudget": 0}
        draft.dropped.append("reasoning")
        return
    config["thinkingBudget"] = sent = budget(reasoning, limit, least=least, most=MAX_BUDGET)
    draft.dropped += lost_budget(reasoning, sent)


# Tools and the form of the text


def _plan(draft: Draft) -> ToolPlan:
    plan = plan_tools(draft.request, draft.endpoint, may_force=True)
    draft.hints += plan.notes
    draft.dropped += plan.dropped
    return plan


def _encode_tools(draft: Draft, plan: ToolPlan) -> dict[str, Json]:
    if plan.search is not None:
        if draft.request.tool_choice not in (None, "auto"):
            # The model decides whether it searches.
            draft.dropped.append("tool_choice")
        return {"tools": [_search(draft, plan.search)]}
    if not plan.tools:
        return {}
    can_be_strict = draft.quirks.has_strict_tools
    schemas = [tool_schema(tool, draft.endpoint, may_be_strict=can_be_strict) for tool in plan.tools]
    functions = [_function(draft, tool, schema) for tool, schema in zip(plan.tools, schemas, strict=True)]
    written: dict[str, Json] = {"tools": [{"functionDeclarations": functions}]}
    if calling := _calling(draft, plan, is_strict=any(schema.is_strict for schema in schemas)):
        written["toolConfig"] = {"functionCallingConfig": calling}
    return written


def _calling(draft: Draft, plan: ToolPlan, *, is_strict: bool) -> dict[str, Json]:
    """How calls are chosen; `VALIDATED` holds them to their schemas without forcing one."""
    choice = plan.choice or Choice("auto")
    if is_strict and choice.kind == "auto":
        return {"mode": "VALIDATED"}
    if plan.choice is None:
        return {}
    named = {"allowedFunctionNames": [choice.name]} if choice.kind == "tool" else {}
    return {"mode": _MODES[choice.kind], **named}


def _function(draft: Draft, tool: FunctionTool, schema: ToolSchema) -> Json:
    draft.dropped += schema.dropped
    written: dict[str, Json] = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if schema.parameters.get("properties") or is_map(schema.parameters):
        # An object without properties is refused by some versions; without parameters there are none.
        key = "parameters" if draft.quirks.schema_keywords == "openapi" else "parametersJsonSchema"
        written[key] = schema.parameters
    return written


def _search(draft: Draft, tool: SearchTool) -> Json:
    lost = {
        "tools.search_context_size": tool.search_context_size,
        "tools.user_location": tool.user_location,
    }
    draft.dropped += [name for name, value in lost.items() if value]
    return {"googleSearch": {}}


def _encode_text(draft: Draft, form: TextFormat | JsonObjectFormat | JsonSchemaFormat) -> dict[str, Json]:
    if isinstance(form, JsonObjectFormat):
        is_alone = draft.quirks.schema_beside_tools or not draft.request.tools
        if not is_alone or not has_json(draft.endpoint):
            draft.dropped.append("text.format")
            draft.hints.append(MUST_BE_JSON)
            return {}
        return {"responseMimeType": "application/json"}
    if isinstance(form, JsonSchemaFormat) and (held := answer_schema(form, draft.endpoint)) is not None:
        draft.dropped += held.dropped
        key = "responseSchema" if draft.quirks.schema_keywords == "openapi" else "responseJsonSchema"
        return {"responseMimeType": "application/json", key: held.schema}
    return {}
