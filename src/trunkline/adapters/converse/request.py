"""Speaks Bedrock's Converse language, which is one for all models that AWS hosts.

It neither signs (`credentials/sigv4.py`) nor cuts the answer (`stream/aws_events.py`) nor reads it
(`answer.py`), and downloads nothing: media must have come inline. What differs by model family is told by
quirks. Guardrails are the operator's, in `extra_body`.

Sources: section 6 of the dialects notes; https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
seen 2026-11-22; the service model of botocore 1.44.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar, assert_never
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.adapters import media
from trunkline.adapters.contract import Adapter, Decoder
from trunkline.adapters.converse.answer import ConverseDecoder
from trunkline.adapters.decoding.room import told_room
from trunkline.adapters.encoding.answers import as_json
from trunkline.adapters.encoding.caching import LOST_MARK, end_mark, last_user_content, marks_cache
from trunkline.adapters.encoding.call_ids import fitted_call_id
from trunkline.adapters.encoding.claude import (
    Thinking,
    least_effort,
    plan_thinking,
    replayed,
    wanted_effort,
)
from trunkline.adapters.encoding.draft import Draft, fetched, user_names
from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.encoding.narrowing import with_room
from trunkline.adapters.encoding.results import encode_returned
from trunkline.adapters.encoding.rounds import Round, UserRound, rounds
from trunkline.adapters.encoding.tools import (
    MUST_BE_JSON,
    SEARCH_NAME,
    ToolPlan,
    ToolSchema,
    answer_schema,
    arguments_object,
    has_schemas,
    plan_tools,
    tool_schemas,
)
from trunkline.adapters.encoding.turns import AssistantPiece, Said, SystemTurn
from trunkline.adapters.thinking import lost_budget
from trunkline.catalog.abilities import tells_failures, tier_of
from trunkline.catalog.entries import Endpoint
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
from trunkline.protocol.marks import CacheMark
from trunkline.protocol.opaque import AnthropicItem
from trunkline.protocol.request import Effort, Request
from trunkline.protocol.tools import FunctionTool, JsonObjectFormat, JsonSchemaFormat, SearchTool
from trunkline.stream.framing import AWS_EVENT_STREAM
from trunkline.stream.stopping import sole_stop
from trunkline.wire import Fault, UpstreamRequest


class ConverseAdapter(Adapter):
    """The adapter of the `converse` dialect."""

    id_header: ClassVar[str] = "x-amzn-requestid"

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        """Say the request; there is no place for `end_user`."""
        draft = Draft(request, endpoint)
        draft.dropped += user_names(request)
        _encode_body(draft)
        verb = "converse-stream" if draft.streams else "converse"
        path = f"/model/{quote(endpoint.upstream_model, safe='')}/{verb}"
        return draft.posted(path, {"accept": AWS_EVENT_STREAM} if draft.streams else {})

    def encode_listing(self, endpoint: Endpoint) -> UpstreamRequest:
        """The host that tells of models is not the one that runs them.

        Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html, seen 2026-11-27.
        """
        told_at = endpoint.base_url.replace("//bedrock-runtime", "//bedrock", 1)
        return fetched(msgspec.structs.replace(endpoint, base_url=told_at), "/foundation-models")

    def narrowed(self, request: Request, endpoint: Endpoint, fault: Fault) -> Endpoint | None:
        return with_room(request, endpoint, told_room(fault.message))

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        return True

    def decoder(self, request: Request, endpoint: Endpoint) -> Decoder:
        return as_json(ConverseDecoder(endpoint, sole_stop(request.stop)), request, endpoint)


ADAPTER = ConverseAdapter()

_encode = msgspec.json.Encoder(decimal_format="number").encode

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASHED_ID_LENGTH = 32
_CLAUDE = "anthropic-claude-v1"
_MOST_UNASKED = 32_000
"""What Claude's answer may have where the client names no limit: AWS takes it all from the account's quota at once."""

_CACHE_POINT = {"cachePoint": {"type": "default"}}
_EFFORTS = ("low", "medium", "high")

_IMAGE_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_VIDEO_FORMATS = {
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
}


def _encode_body(draft: Draft) -> None:
    request, body = draft.request, draft.body
    system, spoken = rounds(request)
    thinking, fields = _encode_thinking(draft, spoken)
    plan = plan_tools(request, draft.endpoint, may_force=not thinking.is_on, has_none=False)
    draft.dropped += thinking.dropped + plan.dropped
    draft.hints += plan.notes
    tools, output = _encode_tools(draft, plan), _encode_output(draft)
    inference = _encode_sampling(draft, thinking, fields)
    if system is not None or draft.hints:
        body["system"] = _encode_system(draft, system)
    body["messages"] = _encode_messages(draft, spoken)
    # The API takes 2500, and its models as few as four: InferenceConfiguration of the API reference (2026-11-28).
    if stops := draft.stops(at_most=4, may_be_blank=False):
        inference["stopSequences"] = stops
    body |= {"inferenceConfig": inference} if inference else {}
    body |= {"toolConfig": tools} if tools else {}
    body |= {"additionalModelRequestFields": fields} if fields else {}
    body |= {"outputConfig": output} if output else {}
    if (tier := tier_of(request, draft.endpoint)) is not None:
        body["serviceTier"] = {"type": tier}
    if draft.quirks.forwards_metadata and request.metadata:
        body["requestMetadata"] = request.metadata
    if marks_cache(draft, spoken):
        _mark_cache(draft, body)


def _mark_cache(draft: Draft, body: dict[str, Json]) -> None:
    """Set marks behind what the next request of a conversation will repeat."""
    may_follow_tools = draft.quirks.has_tool_cache_points
    if "toolConfig" in body and may_follow_tools:
        body["toolConfig"]["tools"].append(_CACHE_POINT)
    if "system" in body:
        body["system"].append(_CACHE_POINT)
    content = last_user_content(body["messages"])
    # It is a 400 behind a document that is no PDF, https://github.com/strands-agents/harness-sdk/issues/1966, and where
    # nothing of the message stands before it, https://github.com/strands-agents/harness-sdk/pull/3677 (2026-11-27).
    place = next((place for place, block in enumerate(content) if _is_other_document(block)), len(content))
    if place > 0 and (may_follow_tools or "toolResult" not in content[place - 1]):
        content.insert(place, _CACHE_POINT)


def _encode_system(draft: Draft, system: SystemTurn | None) -> list[Json]:
    """One text, or where something in it is marked the parts that it is made of."""
    if system is None or not system.parts:
        return [{"text": "\n\n".join([*([system.text] if system else []), *draft.hints])}]
    said = [block for part in system.parts for block in _with_point(draft, {"text": part.text}, part.cache_control)]
    return [*said, *({"text": hint} for hint in draft.hints)]


def _with_point(
    draft: Draft, block: Json, mark: CacheMark | UnsetType, *, is_of_tools: bool = False
) -> tuple[Json, ...]:
    """A block, and behind it the mark that it carries, where one may stand there."""
    if mark is UNSET:
        return (block,)
    if _is_other_document(block) or (is_of_tools and not draft.quirks.has_tool_cache_points):
        draft.dropped.append(LOST_MARK)
        return (block,)
    if mark.ttl != "1h":
        return block, _CACHE_POINT
    if not draft.quirks.has_cache_hours:
        draft.dropped.append("cache_control.ttl")
        return block, _CACHE_POINT
    return block, {"cachePoint": {"type": "default", "ttl": "1h"}}


def _is_other_document(block: Json) -> bool:
    return "document" in block and block["document"]["format"] != "pdf"


# Thinking and sampling


def _encode_thinking(draft: Draft, spoken: list[Round]) -> tuple[Thinking, dict[str, Json]]:
    """What is said of thinking, and the model's own fields that say it."""
    style = draft.quirks.thinking_style
    level = wanted_effort(draft.request, draft.endpoint)
    if level is not None and style in ("nova", "effort"):
        return _encode_effort(draft, level, is_nova=style == "nova")
    thinking = plan_thinking(draft.request, draft.endpoint, spoken)
    fields: dict[str, Json] = {}
    # The field is unknown to other models; where thinking begins only when asked for, nothing need be said.
    if thinking.config is not None and (thinking.is_on or style == "adaptive"):
        fields["thinking"] = thinking.config
    if thinking.effort is not None:
        fields["output_config"] = {"effort": thinking.effort}
    return thinking, fields


def _encode_effort(draft: Draft, level: Effort, *, is_nova: bool) -> tuple[Thinking, dict[str, Json]]:
    limit = draft.request.max_output_tokens or 0
    if level == "none" and is_nova:
        return Thinking(limit), {"reasoningConfig": {"type": "disabled"}}
    sent = least_effort(level, draft.endpoint, _EFFORTS)
    dropped = (*(() if sent == level else ("reasoning.effort",)), *lost_budget(draft.request.reasoning))
    if is_nova:
        config = {"type": "enabled", "maxReasoningEffort": sent}
        return Thinking(limit, is_on=True, dropped=dropped), {"reasoningConfig": config}
    return Thinking(limit, dropped=dropped), {"reasoning_effort": sent}


def _encode_sampling(draft: Draft, thinking: Thinking, fields: dict[str, Json]) -> dict[str, Json]:
    request, quirks = draft.request, draft.quirks
    taken: dict[str, Json] = {}
    may_limit = draft.endpoint.takes("max_tokens")
    if (request.max_output_tokens is not None and may_limit) or (thinking.config or {}).get("budget_tokens"):
        taken["maxTokens"] = thinking.max_tokens
    elif request.max_output_tokens is not None:
        draft.dropped.append("max_output_tokens")
    elif may_limit and quirks.reasoning_format == _CLAUDE and draft.endpoint.max_output_tokens is not None:
        # Left out it is 4,096 for Claude, https://github.com/BerriAI/litellm/issues/41529 (2026-11-27).
        taken["maxTokens"] = min(thinking.max_tokens, _MOST_UNASKED)
    if _takes(draft, "temperature", thinking):
        most = min(quirks.max_temperature, 1.0)
        taken["temperature"] = min(request.temperature or 0.0, most)
        if request.temperature != taken["temperature"]:
            draft.dropped.append("temperature")
    if _takes(draft, "top_p", thinking):
        if quirks.temperature_excludes_top_p and "temperature" in taken:
            draft.dropped.append("top_p")
        else:
            taken["topP"] = request.top_p
    if request.top_k and _takes(draft, "top_k", thinking):
        is_nova = quirks.thinking_style == "nova"
        fields |= {"inferenceConfig": {"topK": request.top_k}} if is_nova else {"top_k": request.top_k}
    return taken


def _takes(draft: Draft, name: str, thinking: Thinking) -> bool:
    if getattr(draft.request, name) is None:
        return False
    if thinking.is_on or not draft.endpoint.takes(name) or (name == "top_k" and not draft.quirks.has_top_k):
        draft.dropped.append(name)
        return False
    return True


# Tools


def _encode_tools(draft: Draft, plan: ToolPlan) -> dict[str, Json]:
    can_be_strict = draft.quirks.has_strict_tools and has_schemas(draft.endpoint)
    schemas = tool_schemas(plan.tools, draft.request, draft.endpoint, may_be_strict=can_be_strict)
    written: list[Json] = []
    for tool, schema in zip(plan.tools, schemas, strict=True):
        written += _with_point(draft, _encode_function(draft, tool, schema), tool.cache_control, is_of_tools=True)
    if plan.search is not None:
        written.append(_encode_search(draft, plan.search))
    if not written:
        return {}
    if plan.choice is None:
        return {"tools": written}
    if plan.choice.name == SEARCH_NAME and plan.search is not None:
        # The provider's own tool is no name that a choice may tell.
        draft.dropped.append("tool_choice")
        return {"tools": written}
    named = {"name": plan.choice.name} if plan.choice.kind == "tool" else {}
    return {"tools": written, "toolChoice": {plan.choice.kind: named}}


def _encode_function(draft: Draft, tool: FunctionTool, schema: ToolSchema) -> Json:
    draft.dropped += schema.dropped
    written: dict[str, Json] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    written["inputSchema"] = {"json": schema.parameters}
    return {"toolSpec": {**written, "strict": True} if schema.is_strict else written}


def _encode_search(draft: Draft, tool: SearchTool) -> Json:
    lost = {
        "tools.search_context_size": tool.search_context_size,
        "tools.user_location": tool.user_location,
    }
    draft.dropped += [name for name, value in lost.items() if value]
    return {"systemTool": {"name": draft.quirks.search_tool}}


# The form of the text


def _encode_output(draft: Draft) -> dict[str, Json]:
    text = draft.request.text
    if text is None:
        return {}
    form = text.format
    if isinstance(form, JsonObjectFormat):
        draft.hints.append(MUST_BE_JSON)
        draft.dropped.append("text.format")
    if not isinstance(form, JsonSchemaFormat) or (held := answer_schema(form, draft.endpoint)) is None:
        return {}
    draft.dropped += held.dropped
    named: dict[str, Json] = {"name": form.name, "schema": _encode(held.schema).decode()}
    if isinstance(form.description, str):
        named["description"] = form.description
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": named}}}


# Rounds


def _encode_messages(draft: Draft, spoken: list[Round]) -> list[Json]:
    written = [_encode_round(draft, part) for part in spoken]
    _tell_documents_apart((block for part in written for block in part["content"]), set())
    return written


def _encode_round(draft: Draft, part: Round) -> Json:
    if isinstance(part, UserRound):
        content: list[Json] = []
        for result in part.results:
            content += _with_point(draft, _encode_result(draft, result), end_mark(result), is_of_tools=True)
        for each in part.parts:
            content += _with_point(draft, _encode_part(draft, each), mark_of(each))
        if any("document" in block for block in content) and not any("text" in block for block in content):
            # A document without any text beside it is a 400.
            content.append({"text": "(See the document.)"})
        return {"role": "user", "content": content}
    blocks: list[Json] = []
    for piece in part.pieces:
        if (block := _encode_piece(draft, piece)) is not None:
            mark = piece.mark if isinstance(piece, Said) else mark_of(piece)
            blocks += _with_point(draft, block, mark, is_of_tools=isinstance(piece, FunctionCallItem))
    return {"role": "assistant", "content": blocks or [{"text": "…"}]}


def _encode_piece(draft: Draft, piece: AssistantPiece) -> Json:
    match piece:
        case Said(text=text):
            text = text if piece.goes_on else text.rstrip()
            return {"text": text} if text else None
        case ReasoningItem():
            return _encode_thought(draft, piece)
        case FunctionCallItem():
            called = {
                "toolUseId": fitted_call_id(piece.call_id, _CALL_ID, _HASHED_ID_LENGTH),
                "name": piece.name,
                "input": arguments_object(piece.arguments),
            }
            return {"toolUse": called}
        case ImageGenerationCall() | AnthropicItem():
            return None
        case _:
            assert_never(piece)


def _encode_thought(draft: Draft, item: ReasoningItem) -> Json:
    thought = replayed(item, draft.endpoint)
    if thought is None:
        return None
    if thought.redacted:
        return {"reasoningContent": {"redactedContent": thought.redacted}}
    signed = {"signature": thought.signature} if thought.signature else {}
    return {"reasoningContent": {"reasoningText": {"text": thought.text, **signed}}}


def _encode_result(draft: Draft, result: FunctionCallOutput) -> Json:
    output = result.output
    parts = (InputText(output),) if isinstance(output, str) else output
    told = [part for part in parts if not isinstance(part, InputText) or part.text.strip()]
    content = [encode_returned(draft, part, _encode_part) for part in told]
    if draft.request.has_marks and any(mark_of(part) is not UNSET for part in parts[:-1]):
        # Nothing may be marked inside of a result: https://github.com/Portkey-AI/gateway/issues/1762 (2026-11-28).
        draft.dropped.append(LOST_MARK)
    call_id = fitted_call_id(result.call_id, _CALL_ID, _HASHED_ID_LENGTH)
    returned: dict[str, Json] = {"toolUseId": call_id, "content": content or [{"text": "(empty)"}]}
    if result.is_error is True and tells_failures(draft.endpoint):
        returned["status"] = "error"
    return {"toolResult": returned}


# Media


def _encode_part(draft: Draft, part: InputPart) -> Json:
    match part:
        case InputText(text=text):
            return {"text": text}
        case InputImage(image_url=url):
            return _encode_image(draft, _inline(draft, url, "image"))
        case InputFile():
            return _encode_file(draft, part)
        case InputAudio():
            _demand(draft, "audio")
            return {"audio": {"format": part.format, "source": {"bytes": media.sound(part).data}}}
        case InputVideo(video_url=url):
            _demand(draft, "video")
            found = _inline(draft, url, "video")
            return {"video": {"format": _format_of(draft, found, _VIDEO_FORMATS), "source": {"bytes": found.data}}}
        case _:
            assert_never(part)


def _inline(draft: Draft, url: str, kind: str) -> media.Inline:
    found = media.inline(url)
    if found is None:
        raise Unprocessable(f"{draft.endpoint.provider.name} takes no links; send the {kind} as a data URL")
    return found


def _encode_image(draft: Draft, found: media.Inline) -> Json:
    return {"image": {"format": _format_of(draft, found, _IMAGE_FORMATS), "source": {"bytes": found.data}}}


def _encode_file(draft: Draft, part: InputFile) -> Json:
    found = media.inline_file(part)
    if found is None:
        raise Unprocessable(f"{draft.endpoint.provider.name} takes no links; send the file as a data URL")
    if found.media_type.startswith("image/"):
        return _encode_image(draft, found)
    is_plain = found.is_text and found.media_type not in _DOCUMENT_FORMATS
    form = "txt" if is_plain else _format_of(draft, found, _DOCUMENT_FORMATS)
    return {"document": {"format": form, "name": _tidy_title(part.filename), "source": {"bytes": found.data}}}


def _format_of(draft: Draft, found: media.Inline, formats: dict[str, str]) -> str:
    form = formats.get(found.media_type)
    if form is None:
        raise Unprocessable(f"{draft.endpoint.model.slug} takes nothing of type {found.media_type}")
    return form


def _tidy_title(filename: str | None) -> str:
    """A document's name as the dialect wants it: few kinds of characters, single blanks."""
    stem = (filename or "document").rpartition(".")[0] or filename or "document"
    return " ".join(re.sub(r"[^A-Za-z0-9()\[\]-]+", " ", stem).split())[:180] or "document"


def _tell_documents_apart(blocks: Iterable[Json], taken: set[str]) -> None:
    """Number the names of documents of which another has the same: two alike are a 400."""
    for block in blocks:
        if "toolResult" in block:
            _tell_documents_apart(block["toolResult"]["content"], taken)
        elif "document" in block:
            name, number = block["document"]["name"], 2
            title = name
            while title in taken:
                title, number = f"{name} ({number})", number + 1
            block["document"]["name"] = title
            taken.add(title)


def _demand(draft: Draft, modality: str) -> None:
    modalities = draft.endpoint.input_modalities
    if modalities is None or modality not in modalities:
        raise Unprocessable(f"{draft.endpoint.model.slug} takes no {modality} at {draft.endpoint.provider.name}")
