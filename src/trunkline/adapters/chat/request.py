"""Speaks Chat Completions, the language of most providers: the request out, and the adapter.

Messages are written in `conversation.py`, the answer is read in `answer.py`. What differs between providers is a
quirk; no provider is named here.
Sources: section 3 of the dialects notes; https://platform.openai.com/docs/api-reference/chat, seen 2026-11-22.
"""

from __future__ import annotations

from typing import Literal, assert_never, cast

import msgspec
from msgspec import UNSET

from trunkline.adapters.chat.answer import ChatDecoder
from trunkline.adapters.chat.conversation import encode_messages
from trunkline.adapters.chat.thinking import effort_of, encode_reasoning
from trunkline.adapters.contract import Adapter, Decoder
from trunkline.adapters.decoding.room import told_budget
from trunkline.adapters.encoding.answers import in_words
from trunkline.adapters.encoding.caching import marked
from trunkline.adapters.encoding.draft import Draft, beside_tools, without_schemas
from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.encoding.narrowing import with_budget
from trunkline.adapters.encoding.tools import (
    MUST_BE_JSON,
    SEARCHES_BY_SIZE,
    answer_name,
    answer_schema,
    choice_forms,
    demand_tools,
    fits_tool,
    has_json,
    has_schemas,
    names_json,
    schema_note,
    tool_schema,
)
from trunkline.catalog.abilities import takes_prediction, tier_of
from trunkline.catalog.entries import Endpoint, per_endpoint
from trunkline.protocol.items import Json
from trunkline.protocol.request import Request
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    PlainChoice,
    PlainTool,
    SearchChoice,
    SearchTool,
    TextFormat,
)
from trunkline.wire import Fault, UpstreamRequest

PATH = "/chat/completions"

SchemaForm = Literal["native", "tool", "json_object", "instructed"]
"""How JSON that fits a schema is asked for, best first."""

_MUST_CALL = "Answer by calling at least one of the tools, not with text."


class ChatAdapter(Adapter):
    """One instance serves every chat endpoint."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        return draft(request, endpoint, end_user).posted(_path(endpoint) if endpoint.quirks.path else PATH)

    def narrowed(self, request: Request, endpoint: Endpoint, fault: Fault) -> Endpoint | None:
        return with_budget(request, endpoint, told_budget(fault.message))

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        return link.noun == "file" and endpoint.quirks.file_links == "none"

    def decoder(self, request: Request, endpoint: Endpoint) -> Decoder:
        if request.text is None:
            return ChatDecoder(request, endpoint)
        form, asked = None, _as_asked(request, endpoint)
        if isinstance(request.text.format, JsonSchemaFormat):
            form = schema_form(request, asked, request.text.format)
        return in_words(ChatDecoder(request, endpoint, answers_in_tool=form == "tool"), request, asked)


ADAPTER = ChatAdapter()


@per_endpoint
def _path(endpoint: Endpoint) -> str:
    return endpoint.quirks.path.replace("{model}", endpoint.upstream_model) or PATH


def _as_asked(request: Request, endpoint: Endpoint) -> Endpoint:
    if endpoint.quirks.thinking_forbids_json and effort_of(request, endpoint) not in (None, "none"):
        return without_schemas(endpoint)
    return beside_tools(request, endpoint, FunctionTool, by_default=True)


def draft(request: Request, endpoint: Endpoint, end_user: str | None) -> Draft:
    """Write the whole body; the dialects that differ in parts of it go on from here."""
    # Forms and tools alone can be in each other's way.
    is_plain = request.text is None and not request.tools
    draft = Draft(request, endpoint if is_plain else _as_asked(request, endpoint))
    body = draft.body
    body["model"] = endpoint.upstream_model
    body["messages"] = None  # its place on the wire; the settings below may add to the instructions
    _encode_output_limits(draft)
    if request.sampling is not None:
        body |= draft.sampling()
    # OpenAI takes four, and most who speak its language no more.
    if request.stop and (stops := draft.stops(at_most=4)):
        body["stop"] = stops
    if request.prediction is not None and takes_prediction(draft.endpoint):
        body["prediction"] = {"type": "content", "content": request.prediction}
    if request.service_tier is not None and (tier := tier_of(request, draft.endpoint)) is not None:
        body["service_tier"] = tier
    if request.reasoning is not None:
        encode_reasoning(draft)
    if request.tools:
        _encode_tools(draft)
    if request.text is not None:
        _encode_text(draft)
    if request.modalities or request.image_config:
        _encode_images_out(draft)
    if request.user or request.safety_identifier:
        draft.tell_user(end_user)
    if request.prompt_cache_key:
        _encode_cache_key(draft, request.prompt_cache_key)
    body["messages"] = encode_messages(draft)
    if draft.streams:
        body["stream"] = True
        if endpoint.quirks.usage_in_stream == "on_request":
            body["stream_options"] = {"include_usage": True}
    return draft


def schema_form(request: Request, endpoint: Endpoint, form: JsonSchemaFormat) -> SchemaForm:
    """Choose how JSON that fits a schema is asked for; the decoder must know when the answer comes as a call."""
    if has_schemas(endpoint):
        return "native"
    is_forcible = bool(_tool_choices(request, endpoint) & {"required", "function"})
    has_functions = FunctionTool in map(type, request.tools)
    if endpoint.takes("tools") and is_forcible and not has_functions and fits_tool(form.schema, endpoint):
        return "tool"
    return "json_object" if has_json(endpoint) else "instructed"


# Settings


def _encode_output_limits(draft: Draft) -> None:
    request, quirks, body = draft.request, draft.quirks, draft.body
    if request.max_output_tokens is not None and draft.takes("max_output_tokens", "max_tokens"):
        body[quirks.max_tokens_field] = request.max_output_tokens
    if request.temperature is not None and draft.takes("temperature", "temperature"):
        body["temperature"] = clamped = min(max(request.temperature, quirks.min_temperature), quirks.max_temperature)
        if clamped != request.temperature:
            draft.dropped.append("temperature")
    if request.top_p is not None and draft.takes("top_p", "top_p"):
        body["top_p"] = request.top_p
    if request.presence_penalty is not None and draft.takes("presence_penalty", "presence_penalty"):
        body["presence_penalty"] = request.presence_penalty
    if request.frequency_penalty is not None and draft.takes("frequency_penalty", "frequency_penalty"):
        body["frequency_penalty"] = request.frequency_penalty
    if request.top_k:
        if not quirks.has_top_k:
            draft.dropped.append("top_k")
        elif draft.takes("top_k", "top_k"):
            body["top_k"] = request.top_k
    if request.top_logprobs or request.logprobs:
        _encode_logprobs(draft, request.top_logprobs or 0)


def _encode_logprobs(draft: Draft, wanted: int) -> None:
    """Ask for the probabilities of the tokens, and of so many others in the place of each."""
    name = "top_logprobs" if wanted else "logprobs"
    match draft.quirks.logprobs:
        case "never":
            draft.dropped.append(name)
        case "count" if draft.takes(name, "logprobs"):
            draft.body["logprobs"] = wanted or 1
        case "openai" if draft.takes(name, name):
            draft.body["logprobs"] = True
            if wanted:
                draft.body["top_logprobs"] = wanted
        case _:
            pass


def _encode_cache_key(draft: Draft, key: str) -> None:
    if draft.quirks.has_cache_key:
        draft.body["prompt_cache_key"] = key
    else:
        draft.dropped.append("prompt_cache_key")


def _encode_images_out(draft: Draft) -> None:
    request = draft.request
    if draft.quirks.image_output == "modalities":
        if "image" in request.modalities or (request.modalities and "image" in draft.endpoint.output_modalities):
            # A model that draws does so unasked.
            draft.body["modalities"] = request.modalities
        if request.image_config:
            draft.body["image_config"] = request.image_config
        return
    draft.dropped += ["modalities"] if "image" in request.modalities else []
    draft.dropped += ["image_config"] if request.image_config else []


# Tools


def _tool_choices(request: Request, endpoint: Endpoint) -> frozenset[str]:
    """The forms of `tool_choice` that the endpoint takes for this request."""
    forms = choice_forms(endpoint)
    if endpoint.quirks.thinking_forbids_forced_tools and effort_of(request, endpoint) != "none":
        return forms - {"required", "function"}
    return forms


def _encode_tools(draft: Draft) -> None:
    request, body = draft.request, draft.body
    functions: list[FunctionTool] = []
    for tool in cast("tuple[PlainTool, ...]", request.tools):
        if isinstance(tool, FunctionTool):
            functions.append(tool)
        else:
            _encode_search(draft, tool)
    choice = cast("PlainChoice | None", request.tool_choice)
    if not functions:
        if request.tools and (choice == "required" or isinstance(choice, SearchChoice)):
            _force_search(draft)
        return
    demand_tools(draft.endpoint)
    functions, told = _choose(draft, functions, choice)
    if not functions:
        return
    body["tools"] = [*(_encode_function(draft, tool) for tool in functions), *body.get("tools", ())]
    if told is not None:
        body["tool_choice"] = told
    if request.parallel_tool_calls is not None:
        if draft.quirks.has_parallel_switch and draft.endpoint.takes("parallel_tool_calls"):
            body["parallel_tool_calls"] = request.parallel_tool_calls
        elif not request.parallel_tool_calls:
            draft.dropped.append("parallel_tool_calls")


def _encode_function(draft: Draft, tool: FunctionTool) -> Json:
    function: dict[str, Json] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    schema = tool_schema(tool, draft.endpoint, may_be_strict=draft.quirks.has_strict_tools)
    draft.dropped += schema.dropped
    function["parameters"] = schema.parameters
    if schema.is_strict:
        function["strict"] = True
    return marked({"type": "function", "function": function}, tool.cache_control)


def _choose(
    draft: Draft, functions: list[FunctionTool], choice: PlainChoice | None
) -> tuple[list[FunctionTool], Json | None]:
    """The tools to send and the choice among them; what the endpoint cannot be told is approximated.

    Not by `plan_tools`: a schema becomes a tool only where a call of it can be forced (see `schema_form`), and a search
    is a setting here, never a tool among others.
    """
    forms = _tool_choices(draft.request, draft.endpoint)
    match choice:
        case None:
            return functions, None
        case "auto":
            return functions, "auto" if "auto" in forms else None
        case "none":
            return (functions, "none") if "none" in forms else ([], None)
        case "required":
            if "required" in forms:
                return functions, "required"
            _beg_for_call(draft)
            return functions, "auto" if "auto" in forms else None
        case FunctionChoice(name=name):
            if "function" in forms:
                return functions, {"type": "function", "function": {"name": name}}
            named = [tool for tool in functions if tool.name == name]
            if "required" in forms:
                return named, "required"
            _beg_for_call(draft)
            return named, "auto" if "auto" in forms else None
        case SearchChoice():
            _force_search(draft)
            return functions, None
        case _:
            assert_never(choice)


def _beg_for_call(draft: Draft) -> None:
    draft.dropped.append("tool_choice")
    draft.hints.append(_MUST_CALL)


def _force_search(draft: Draft) -> None:
    if draft.quirks.web_search == "venice_parameters":
        draft.body["venice_parameters"]["enable_web_search"] = "on"
    else:
        draft.dropped.append("tool_choice")


def _encode_search(draft: Draft, tool: SearchTool) -> None:
    """Ask for the provider's own search; where there is none the tool was left out before (`offers.py`)."""
    size = tool.search_context_size or None
    location = tool.user_location or None
    match draft.quirks.web_search:
        case "none":
            return
        case "web_search_options" | "search_domain_filter" as form:
            options: dict[str, Json] = {}
            if size:
                options["search_context_size"] = size
            if location:
                told = {key: value for key, value in msgspec.to_builtins(location).items() if value is not None}
                told.pop("type", None)
                is_flat = form == "search_domain_filter"
                options["user_location"] = told if is_flat else {"type": "approximate", "approximate": told}
            draft.body["web_search_options"] = options
            if form == "search_domain_filter" and tool.filters and tool.filters.allowed_domains:
                draft.body["search_domain_filter"] = tool.filters.allowed_domains
        case "venice_parameters":
            draft.body["venice_parameters"] = {"enable_web_search": "auto", "enable_web_citations": True}
        case "web_search_tool":
            search = {"enable": True, "search_result": True, "count": SEARCHES_BY_SIZE[size or "medium"]}
            draft.body.setdefault("tools", []).append({"type": "web_search", "web_search": search})
    if location and "web_search_options" not in draft.body:
        draft.dropped.append("tools.user_location")


# Form of the text


def _encode_text(draft: Draft) -> None:
    text = draft.request.text
    if text is None:
        return
    match text.format:
        case TextFormat():
            pass
        case JsonObjectFormat():
            _encode_json_object(draft)
        case JsonSchemaFormat() as form:
            _encode_schema(draft, form)
        case _:
            assert_never(text.format)
    if text.verbosity:
        if draft.quirks.has_verbosity and draft.endpoint.takes("verbosity"):
            draft.body["verbosity"] = text.verbosity
        else:
            draft.dropped.append("text.verbosity")


def _encode_json_object(draft: Draft) -> None:
    if not has_json(draft.endpoint):
        draft.dropped.append("text.format")
        draft.hints.append(MUST_BE_JSON)
        return
    draft.body["response_format"] = {"type": "json_object"}
    if draft.quirks.json_object_needs_word and not names_json(draft.request, with_instructions=True):
        draft.hints.append(MUST_BE_JSON)


def _encode_schema(draft: Draft, form: JsonSchemaFormat) -> None:
    schema = form.schema
    chosen = schema_form(draft.request, draft.endpoint, form)
    held = answer_schema(form, draft.endpoint)
    if held is not None:
        described: dict[str, Json] = {"name": answer_name(form), "schema": held.schema}
        draft.dropped += held.dropped
        if form.strict is not None and form.strict is not UNSET:
            described["strict"] = held.is_strict
        if form.description:
            described["description"] = form.description
        draft.body["response_format"] = {"type": "json_schema", "json_schema": described}
        return
    draft.dropped.append("text.format")
    if chosen == "tool":
        tool = FunctionTool(answer_name(form), form.description or "Give the answer.", schema)
        _, choice = _choose(draft, [tool], FunctionChoice(tool.name))
        draft.body["tools"] = [*draft.body.get("tools", ()), _encode_function(draft, tool)]
        draft.body["tool_choice"] = choice
        return
    if chosen == "json_object":
        draft.body["response_format"] = {"type": "json_object"}
    draft.hints.append(schema_note(schema))
