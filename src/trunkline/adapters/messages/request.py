"""Speaks Anthropic's Messages language: Anthropic, Claude on Vertex, Foundry and Bedrock Mantle, and compatible hosts.

It does not look at the answer, which `answer.py` decodes, and knows no model by name: what differs from model
to model is told by the endpoint and its quirks.

Sources: section 4 of the dialects notes; https://platform.claude.com/docs/en/api/messages, seen 2026-11-22; the types
of the anthropic Python package 2.12.0.
"""

from __future__ import annotations

import re
from typing import assert_never
from urllib.parse import quote

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from trunkline.adapters import media
from trunkline.adapters.contract import Adapter, Decoder
from trunkline.adapters.decoding.counts import told_count
from trunkline.adapters.decoding.room import told_room
from trunkline.adapters.encoding.answers import as_json
from trunkline.adapters.encoding.caching import last_user_content, marked, marks_cache
from trunkline.adapters.encoding.call_ids import fitted_call_id
from trunkline.adapters.encoding.claude import Thinking, plan_thinking, replayed
from trunkline.adapters.encoding.draft import Draft, fetched, user_names
from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.encoding.narrowing import with_room
from trunkline.adapters.encoding.results import encode_returned
from trunkline.adapters.encoding.rounds import Round, UserRound, rounds
from trunkline.adapters.encoding.tools import (
    MUST_BE_JSON,
    SEARCH_NAME,
    SEARCHES_BY_SIZE,
    ToolPlan,
    ToolSchema,
    answer_schema,
    arguments_object,
    has_schemas,
    plan_tools,
    tool_schemas,
)
from trunkline.adapters.encoding.turns import AssistantPiece, Said, SystemTurn
from trunkline.adapters.messages.answer import MessagesDecoder
from trunkline.adapters.messages.native import add_own_members, knows_own, may_pause, with_betas, with_own_tools
from trunkline.catalog.abilities import tier_of
from trunkline.catalog.entries import Endpoint, per_endpoint
from trunkline.errors import Unprocessable
from trunkline.protocol.items import (
    FunctionCallItem,
    FunctionCallOutput,
    ImageGenerationCall,
    InputAudio,
    InputFile,
    InputImage,
    InputPart,
    InputText,
    InputVideo,
    Json,
    ReasoningItem,
)
from trunkline.protocol.marking import mark_of
from trunkline.protocol.opaque import AnthropicItem
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, JsonObjectFormat, JsonSchemaFormat, SearchTool
from trunkline.wire import Fault, Headers, UpstreamRequest


class MessagesAdapter(Adapter):
    """The adapter of the `messages` dialect."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        draft = Draft(request, endpoint)
        _encode_body(draft)
        if request.anthropic is not None:
            add_own_members(draft)
        _encode_identity(draft, end_user)
        if draft.streams:
            draft.body["stream"] = True
        whole, streamed, version = _paths(endpoint)
        sent = draft.posted(streamed if draft.streams else whole, version)
        return sent if request.anthropic is None else with_betas(request, sent)

    def encode_count(self, request: Request, endpoint: Endpoint) -> UpstreamRequest | None:
        """Ask Anthropic's own servers; what follows them has mostly no such path.

        Source: https://platform.claude.com/docs/en/api/messages-count-tokens, and the types of the anthropic Python
        package 2.14.0 (`message_count_tokens_params.py`), seen 2026-11-28. Other members are a 400 there.
        """
        if not endpoint.quirks.has_anthropic_members or endpoint.quirks.path:
            return None
        draft = Draft(replace(request, stream=False), endpoint)
        _encode_body(draft)
        add_own_members(draft)
        for name in draft.body.keys() - _COUNTED:
            del draft.body[name]
        return with_betas(request, draft.posted("/messages/count_tokens", _version(endpoint)))

    def decode_count(self, body: bytes) -> int | None:
        return told_count(body, "input_tokens")

    def encode_listing(self, endpoint: Endpoint) -> UpstreamRequest:
        """Source: https://platform.claude.com/docs/en/api/models-list, seen 2026-11-27: a page has up to 1000."""
        return fetched(endpoint, "/models?limit=1000", _version(endpoint))

    def narrowed(self, request: Request, endpoint: Endpoint, fault: Fault) -> Endpoint | None:
        return with_room(request, endpoint, told_room(fault.message))

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        """Links to pictures and to PDF documents are followed, and every document is taken for a PDF."""
        return link.noun == "file" and media.media_type_of(link.url) != "application/pdf"

    def decoder(self, request: Request, endpoint: Endpoint) -> Decoder:
        if request.anthropic is None and not request.tools:
            decoder = MessagesDecoder(endpoint)
        else:
            decoder = MessagesDecoder(endpoint, may_pause=may_pause(request), knows_own=knows_own(request))
        return decoder if request.text is None else as_json(decoder, request, endpoint)


ADAPTER = MessagesAdapter()


@per_endpoint
def _paths(endpoint: Endpoint) -> tuple[str, str, Headers]:
    """Where an answer is asked for whole, and where in a stream; and of which version."""
    whole = endpoint.quirks.path or "/messages"
    model = quote(endpoint.upstream_model, safe="@")
    streamed = (endpoint.quirks.stream_path or whole).replace("{model}", model)
    return whole.replace("{model}", model), streamed, _version(endpoint)


def _version(endpoint: Endpoint) -> Headers:
    """Hosts other than Anthropic take the version in the body."""
    return {} if "anthropic_version" in endpoint.quirks.extra_body else {"anthropic-version": "2023-06-01"}


_COUNTED = frozenset(
    {
        "billing_policy",
        "cache_control",
        "compaction",
        "context_management",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "speed",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
"""The members of a request that are taken where its tokens are counted."""

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASHED_ID_LENGTH = 32
_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_CACHE = {"type": "ephemeral"}


def _encode_body(draft: Draft) -> None:
    request, body = draft.request, draft.body
    system, spoken = rounds(request)
    thinking = plan_thinking(request, draft.endpoint, spoken)
    plan = plan_tools(request, draft.endpoint, may_force=not thinking.is_on)
    draft.dropped += thinking.dropped + plan.dropped
    draft.hints += plan.notes
    tools, output = _encode_tools(draft, plan), _encode_output(draft, thinking)
    sampling = _encode_sampling(draft, thinking)
    if draft.quirks.model_in_body:
        body["model"] = draft.endpoint.upstream_model
    body["max_tokens"] = thinking.max_tokens
    if system is not None and not (system.parts or draft.hints):
        body["system"] = system.text
    elif system is not None or draft.hints:
        body["system"] = _encode_system(draft, system)
    body["messages"] = [_encode_round(draft, part) for part in spoken]
    body |= tools
    if thinking.config is not None:
        body["thinking"] = thinking.config
    if output:
        body["output_config"] = output
    body |= sampling
    # One of white space only is a 400: https://github.com/BerriAI/litellm/issues/3286 (2026-11-27).
    if request.stop and (stops := draft.stops(may_be_blank=False)):
        body["stop_sequences"] = stops
    if request.service_tier is not None and (tier := tier_of(request, draft.endpoint)) is not None:
        body["service_tier"] = tier
    if marks_cache(draft, spoken):
        _mark_cache(body)


def _mark_cache(body: dict[str, Json]) -> None:
    """Mark what the next request of a conversation will repeat; of the four marks that are allowed three are set."""
    tools = body.get("tools") or []
    # One that is loaded later may carry none (https://github.com/decolua/9router/issues/3567, seen 2026-11-28).
    loaded = [place for place, tool in enumerate(tools) if not tool.get("defer_loading")]
    if loaded:
        tools[loaded[-1]] = {**tools[loaded[-1]], "cache_control": _CACHE}
    if (text := body.get("system")) and text.strip():
        body["system"] = [{**_text(text), "cache_control": _CACHE}]
    content = last_user_content(body["messages"])
    for place in reversed(range(len(content))):
        # A mark on an empty text is a 400 (https://github.com/anthropics/claude-code/issues/50082, seen 2026-11-27).
        if content[place]["type"] != "text" or content[place]["text"].strip():
            content[place] = {**content[place], "cache_control": _CACHE}
            return


def _encode_system(draft: Draft, system: SystemTurn | None) -> Json:
    """One text, or where something in it is marked the parts that it is made of."""
    if system is None or not system.parts:
        return "\n\n".join([*([system.text] if system else []), *draft.hints])
    return [*(marked(_text(part.text), part.cache_control) for part in system.parts), *map(_text, draft.hints)]


# Settings


def _encode_identity(draft: Draft, end_user: str | None) -> None:
    if "safety_identifier" in draft.quirks.drops:
        draft.dropped += user_names(draft.request)
    elif end_user is not None:
        draft.body["metadata"] = {"user_id": end_user}


def _encode_sampling(draft: Draft, thinking: Thinking) -> dict[str, Json]:
    request, quirks = draft.request, draft.quirks
    taken: dict[str, Json] = {}
    for name, value in (
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("top_k", request.top_k or None),
    ):
        if value is None:
            continue
        if thinking.is_on or not draft.endpoint.takes(name) or (name == "top_k" and not quirks.has_top_k):
            draft.dropped.append(name)
        else:
            taken[name] = value
    if "temperature" in taken:
        value = taken["temperature"]
        if not 0.0 <= value <= 1.0 or value > quirks.max_temperature:
            taken["temperature"] = draft.within("temperature", value, 0.0, min(quirks.max_temperature, 1.0))
        if quirks.temperature_excludes_top_p and "top_p" in taken:
            del taken["top_p"]
            draft.dropped.append("top_p")
    return taken


# Tools


def _encode_tools(draft: Draft, plan: ToolPlan) -> dict[str, Json]:
    if not (plan.tools or plan.search is not None or draft.request.tools):
        return {}
    can_be_strict = draft.quirks.has_strict_tools and has_schemas(draft.endpoint)
    schemas = tool_schemas(plan.tools, draft.request, draft.endpoint, may_be_strict=can_be_strict)
    written = [_encode_function(draft, tool, schema) for tool, schema in zip(plan.tools, schemas, strict=True)]
    if plan.search is not None:
        written.append(_encode_search(draft, plan.search))
    written = with_own_tools(draft.request, written)
    if not written:
        return {}
    choice = _choose(draft, plan)
    return {"tools": written} | ({"tool_choice": choice} if choice is not None else {})


def _choose(draft: Draft, plan: ToolPlan) -> Json:
    kind = plan.choice.kind if plan.choice is not None else None
    choice: dict[str, Json] | None = {"type": kind} if kind is not None else None
    if plan.choice is not None and kind == "tool":
        choice = {"type": "tool", "name": plan.choice.name}
    if draft.request.parallel_tool_calls is not False or kind == "none":
        return choice
    if not draft.quirks.has_parallel_switch or not draft.endpoint.takes("parallel_tool_calls"):
        draft.dropped.append("parallel_tool_calls")
        return choice
    return {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}


def _encode_function(draft: Draft, tool: FunctionTool, schema: ToolSchema) -> dict[str, Json]:
    draft.dropped += schema.dropped
    written: dict[str, Json] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    written["input_schema"] = schema.parameters
    if schema.is_strict:
        written["strict"] = True
    return marked(written, tool.cache_control)


def _encode_search(draft: Draft, tool: SearchTool) -> dict[str, Json]:
    written: dict[str, Json] = {"type": draft.quirks.search_tool, "name": SEARCH_NAME}
    limits = [draft.request.max_tool_calls, SEARCHES_BY_SIZE.get(str(tool.search_context_size))]
    if uses := [limit for limit in limits if limit is not None]:
        written["max_uses"] = min(uses)
    if tool.filters and tool.filters.allowed_domains:
        written["allowed_domains"] = tool.filters.allowed_domains
    if tool.user_location:
        place = msgspec.to_builtins(tool.user_location)
        written["user_location"] = {name: value for name, value in place.items() if value is not None}
    return marked(written, tool.cache_control)


# The form of the text


def _encode_output(draft: Draft, thinking: Thinking) -> dict[str, Json]:
    output: dict[str, Json] = {}
    if thinking.effort is not None:
        output["effort"] = thinking.effort
    text = draft.request.text
    if text is None:
        return output
    if isinstance(text.format, JsonObjectFormat):
        draft.hints.append(MUST_BE_JSON)
        draft.dropped.append("text.format")
    elif isinstance(text.format, JsonSchemaFormat) and (held := answer_schema(text.format, draft.endpoint)) is not None:
        output["format"] = {"type": "json_schema", "schema": held.schema}
        draft.dropped += held.dropped
    return output


# Rounds


def _encode_round(draft: Draft, part: Round) -> Json:
    if isinstance(part, UserRound):
        content = [_encode_result(draft, each) for each in part.results] if part.results else []
        for each in part.parts:
            if type(each) is InputText and each.cache_control is UNSET:
                content.append({"type": "text", "text": each.text})
            else:
                content.append(_encode_part(draft, each))
        return {"role": "user", "content": content}
    blocks = [block for piece in part.pieces if (block := _encode_piece(draft, piece)) is not None]
    return {"role": "assistant", "content": blocks or [_text("…")]}


def _encode_piece(draft: Draft, piece: AssistantPiece) -> Json:
    match piece:
        case Said(text=text):
            # White space at the end of the last turn is a 400, and means nothing elsewhere.
            text = text if piece.goes_on else text.rstrip()
            return marked(_text(text), piece.mark) if text else None
        case ReasoningItem():
            return _encode_thought(draft, piece)
        case FunctionCallItem():
            used = {
                **(piece.anthropic or {}),
                "type": "tool_use",
                "id": fitted_call_id(piece.call_id, _CALL_ID, _HASHED_ID_LENGTH),
                "name": piece.name,
                "input": arguments_object(piece.arguments),
            }
            return marked(used, piece.cache_control)
        case ImageGenerationCall():
            return None
        case AnthropicItem():
            return dict(piece)
        case _:
            assert_never(piece)


def _encode_thought(draft: Draft, item: ReasoningItem) -> Json:
    thought = replayed(item, draft.endpoint)
    if thought is None:
        return None
    if thought.redacted:
        return {"type": "redacted_thinking", "data": thought.redacted}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def _encode_result(draft: Draft, result: FunctionCallOutput) -> Json:
    output = result.output
    content = output if isinstance(output, str) else [encode_returned(draft, part, _encode_part) for part in output]
    call_id = fitted_call_id(result.call_id, _CALL_ID, _HASHED_ID_LENGTH)
    told: dict[str, Json] = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    if result.is_error is True:
        told["is_error"] = True
    return marked(told, result.cache_control)


def _encode_part(draft: Draft, part: InputPart) -> dict[str, Json]:
    block = _encode_content(draft, part)
    return marked(block, mark_of(part)) if draft.request.has_marks else block


def _encode_content(draft: Draft, part: InputPart) -> dict[str, Json]:
    match part:
        case InputText(text=text):
            return _text(text)
        case InputImage(image_url=url):
            found = media.inline(url)
            if found is None:
                return {"type": "image", "source": {"type": "url", "url": url}}
            return _encode_image(found, draft.endpoint)
        case InputFile():
            return _encode_file(draft, part)
        case InputAudio() | InputVideo():
            kind = "audio" if isinstance(part, InputAudio) else "video"
            raise Unprocessable(f"{draft.endpoint.model.slug} takes no {kind} at {draft.endpoint.provider.name}")
        case _:
            assert_never(part)


def _encode_file(draft: Draft, part: InputFile) -> dict[str, Json]:
    found = media.inline_file(part)
    if found is None:
        source: Json = {"type": "url", "url": media.file_link(part)}
    elif found.media_type.startswith("image/"):
        return _encode_image(found, draft.endpoint)
    elif found.media_type == "application/pdf":
        source = {"type": "base64", "media_type": found.media_type, "data": found.data}
    elif found.is_text:
        source = {"type": "text", "media_type": "text/plain", "data": found.decode_text()}
    else:
        raise Unprocessable(f"{draft.endpoint.model.slug} takes no files of type {found.media_type}")
    return {"type": "document", "source": source} | ({"title": part.filename} if part.filename else {})


def _text(text: str) -> dict[str, Json]:
    return {"type": "text", "text": text}


def _encode_image(found: media.Inline, endpoint: Endpoint) -> dict[str, Json]:
    if found.media_type not in _IMAGE_TYPES:
        raise Unprocessable(f"{endpoint.model.slug} takes no images of type {found.media_type}")
    return {"type": "image", "source": {"type": "base64", "media_type": found.media_type, "data": found.data}}
