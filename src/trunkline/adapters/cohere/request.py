"""Speaks Cohere's chat, version 2: the request out, and the adapter.

The answer is read in `answer.py`. Documents are never sent: what the gateway's own search finds travels in the
instructions, as with every other dialect.

Sources: section 7 of the dialects notes; https://docs.cohere.com/reference/chat, seen 2026-11-22; the types of the
cohere Python package 7.3.1.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from trunkline.adapters.cohere.answer import CohereDecoder
from trunkline.adapters.contract import Adapter, Decoder
from trunkline.adapters.decoding import faults
from trunkline.adapters.encoding.answers import as_json
from trunkline.adapters.encoding.draft import Draft, beside_tools, fetched, fitted_seed, user_names
from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.encoding.tools import (
    MUST_BE_JSON,
    ToolSchema,
    answer_schema,
    has_json,
    plan_tools,
    tool_schema,
    tool_schemas,
)
from trunkline.adapters.encoding.turns import (
    AssistantTurn,
    ResultsTurn,
    SystemTurn,
    Turn,
    UserTurn,
    images_as_user,
    merged,
    result_text,
    results_media_as_user,
    system_joined,
    turns,
)
from trunkline.adapters.media import fitted_detail, inline_file, tidied, titled_text
from trunkline.adapters.thinking import budget, effort, lost_budget, replayable, thought_text
from trunkline.catalog.entries import Endpoint
from trunkline.errors import Unprocessable
from trunkline.protocol.growing import joined
from trunkline.protocol.items import InputAudio, InputFile, InputImage, InputPart, InputText, InputVideo, Json
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, JsonObjectFormat, JsonSchemaFormat
from trunkline.wire import Fault, Headers, UpstreamRequest

_MAX_P = 0.99
_MAX_K = 500


class CohereAdapter(Adapter):
    """One instance serves every Cohere endpoint."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        draft = Draft(request, _as_known(request, endpoint))
        body = draft.body
        body["model"] = endpoint.upstream_model
        body["messages"] = None  # its place on the wire; the settings below may add to the instructions
        if draft.streams:
            body["stream"] = True
        _encode_sampling(draft)
        thinks = _encode_thinking(draft)
        _encode_tools(draft, may_force=not (thinks and draft.quirks.thinking_forbids_forced_tools))
        _encode_text(draft)
        draft.dropped += user_names(request)
        draft.dropped += ["modalities"] if "image" in request.modalities else []
        body["messages"] = _encode_messages(draft)
        return draft.posted(endpoint.quirks.path or "/chat")

    def encode_listing(self, endpoint: Endpoint) -> UpstreamRequest:
        """Source: https://docs.cohere.com/reference/list-models, seen 2026-11-27: version 1 of the API alone has it."""
        version_1 = replace(endpoint, base_url=endpoint.base_url.removesuffix("/v2") + "/v1")
        return fetched(version_1, "/models?page_size=1000")

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        return link.noun == "file"

    def decoder(self, request: Request, endpoint: Endpoint) -> Decoder:
        return as_json(CohereDecoder(request, endpoint), request, _as_known(request, endpoint))

    def fault(self, status: int, headers: Headers, body: bytes, endpoint: Endpoint) -> Fault:
        return faults.fault(status, headers, body, replace(endpoint.quirks, error_shape="cohere"))


ADAPTER = CohereAdapter()


def _as_known(request: Request, endpoint: Endpoint) -> Endpoint:
    """The endpoint with what holds for every Cohere model: no named choice, and no schema beside tools."""
    forms = endpoint.quirks.tool_choices - {"function"}
    fixed = replace(endpoint.quirks, tool_choices=forms, schema_beside_tools=False)
    return beside_tools(request, replace(endpoint, quirks=fixed), FunctionTool)


# Settings


def _encode_sampling(draft: Draft) -> None:
    request, quirks, body = draft.request, draft.quirks, draft.body
    if request.max_output_tokens is not None and draft.takes("max_output_tokens", "max_tokens"):
        body["max_tokens"] = request.max_output_tokens
    if request.temperature is not None and draft.takes("temperature", "temperature"):
        most = min(quirks.max_temperature, 1.0)
        body["temperature"] = draft.within("temperature", request.temperature, quirks.min_temperature, most)
    if request.top_p is not None and draft.takes("top_p", "top_p"):
        body["p"] = draft.within("top_p", request.top_p, 0.01, _MAX_P)
    if request.top_k and draft.takes("top_k", "top_k"):
        body["k"] = int(draft.within("top_k", request.top_k, 0, _MAX_K))
    if request.presence_penalty is not None and draft.takes("presence_penalty", "presence_penalty"):
        body["presence_penalty"] = draft.within("presence_penalty", request.presence_penalty, 0, 1)
    if request.frequency_penalty is not None and draft.takes("frequency_penalty", "frequency_penalty"):
        body["frequency_penalty"] = draft.within("frequency_penalty", request.frequency_penalty, 0, 1)
    asked = "top_logprobs" if request.top_logprobs else "logprobs" if request.logprobs else None
    if asked is not None and draft.takes(asked, "logprobs"):
        # Only the tokens chosen; there is no list of the others.
        body["logprobs"] = True
    if stops := draft.stops(at_most=5):
        body["stop_sequences"] = stops
    if "seed" in (said := draft.sampling()):
        body["seed"] = fitted_seed(said["seed"])


def _encode_thinking(draft: Draft) -> bool:
    """Ask for thought; whether the model will think."""
    reasoning, limit = draft.request.reasoning, draft.request.max_output_tokens or draft.endpoint.max_output_tokens
    level = effort(reasoning, limit)
    supports = draft.endpoint.supports
    if reasoning is None or level is None or (level == "none" and supports is not None and "reasoning" not in supports):
        return False
    if not draft.takes("reasoning", "reasoning"):
        return False
    if level == "none":
        draft.body["thinking"] = {"type": "disabled"}
        return False
    draft.body["thinking"] = {"type": "enabled"}
    if reasoning.effort is not None or reasoning.max_tokens is not None:
        draft.body["thinking"]["token_budget"] = sent = budget(reasoning, limit, least=1)
        draft.dropped += lost_budget(reasoning, sent)
    return True


# Tools and the form of the text


def _encode_tools(draft: Draft, *, may_force: bool) -> None:
    plan = plan_tools(draft.request, draft.endpoint, may_force=may_force)
    draft.hints += plan.notes
    draft.dropped += plan.dropped
    if not plan.tools:
        return
    schemas = _tool_schemas(draft, plan.tools)
    draft.body["tools"] = [_function(tool, schema) for tool, schema in zip(plan.tools, schemas, strict=True)]
    draft.dropped += [name for schema in schemas for name in schema.dropped]
    if all(schema.is_strict for schema in schemas):
        draft.body["strict_tools"] = True
    match plan.choice.kind if plan.choice is not None else "auto":
        case "any" | "tool":
            draft.body["tool_choice"] = "REQUIRED"
        case "none":
            draft.body["tool_choice"] = "NONE"
        case _:
            pass


def _tool_schemas(draft: Draft, tools: tuple[FunctionTool, ...]) -> list[ToolSchema]:
    """Strictness holds for all tools or for none."""
    may_be_strict = draft.quirks.has_strict_tools and all(tool.strict for tool in tools)
    schemas = tool_schemas(tools, draft.request, draft.endpoint, may_be_strict=may_be_strict)
    if may_be_strict and not all(schema.is_strict for schema in schemas):
        return [tool_schema(tool, draft.endpoint, may_be_strict=False) for tool in tools]
    return schemas


def _function(tool: FunctionTool, schema: ToolSchema) -> Json:
    described = {"description": tool.description} if tool.description is not None else {}
    function = {"name": tool.name, **described, "parameters": schema.parameters}
    return {"type": "function", "function": function}


def _encode_text(draft: Draft) -> None:
    form = draft.request.text.format if draft.request.text is not None else None
    if isinstance(form, JsonObjectFormat):
        # Without being told in words as well the model may write blanks for ever.
        draft.hints.append(MUST_BE_JSON)
        if has_json(draft.endpoint):
            draft.body["response_format"] = {"type": "json_object"}
        else:
            draft.dropped.append("text.format")
    elif isinstance(form, JsonSchemaFormat) and (held := answer_schema(form, draft.endpoint)) is not None:
        draft.dropped += held.dropped
        draft.body["response_format"] = {"type": "json_object", "json_schema": held.schema}


# Messages


def _encode_messages(draft: Draft) -> list[Json]:
    found = results_media_as_user(images_as_user(turns(draft.request)))
    if draft.hints:
        found = system_joined(found, draft.hints)
    return [message for turn in merged(found) for message in _encode_turn(draft, turn)]


def _encode_turn(draft: Draft, turn: Turn) -> list[Json]:
    match turn:
        case SystemTurn(text):
            return [{"role": "system", "content": text}]
        case UserTurn(parts):
            return [{"role": "user", "content": _encode_parts(draft, parts)}]
        case AssistantTurn():
            return [_encode_assistant(draft, turn)]
        case ResultsTurn(results):
            return [
                {"role": "tool", "tool_call_id": result.call_id, "content": result_text(result)} for result in results
            ]
        case _:
            assert_never(turn)


def _encode_assistant(draft: Draft, turn: AssistantTurn) -> Json:
    message: dict[str, Json] = {"role": "assistant"}
    (text, thoughts, calls), thought = turn.apart(), ""
    if draft.quirks.reasoning_replay != "never":
        thought = thought_text([item for item in thoughts if replayable(item, draft.endpoint) is not None])
    if calls:
        # What was thought before a call is its plan; both forms come back as one kind of item.
        message["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments or "{}"},
            }
            for call in calls
        ]
        if thought:
            message["tool_plan"] = thought
        if text:
            message["content"] = text
    elif thought:
        message["content"] = [{"type": "thinking", "thinking": thought}, {"type": "text", "text": text}]
    else:
        message["content"] = text
    return message


def _encode_parts(draft: Draft, parts: tuple[InputPart, ...]) -> Json:
    encoded = [_encode_part(draft, part) for part in parts]
    if all(part["type"] == "text" for part in encoded):
        texts = (part["text"] for part in encoded)
        return "\n\n".join(texts) if draft.request.size == "usual" else joined("\n\n", texts)
    return encoded


def _encode_part(draft: Draft, part: InputPart) -> dict[str, Json]:
    match part:
        case InputText(text):
            return {"type": "text", "text": text}
        case InputImage(image_url, detail):
            image = {"url": tidied(image_url)}
            if detail != "auto" and draft.quirks.has_image_detail:
                image["detail"] = fitted_detail(detail)
            return {"type": "image_url", "image_url": image}
        case InputFile():
            found = inline_file(part)
            if found is not None and found.is_text:
                return {"type": "text", "text": titled_text(part, found)}
            if found is not None and found.media_type.startswith("image/"):
                return {"type": "image_url", "image_url": {"url": found.url}}
            raise Unprocessable(f"{draft.endpoint.model.slug} reads no files at {draft.endpoint.provider.name}")
        case InputAudio() | InputVideo():
            kind = "audio" if isinstance(part, InputAudio) else "video"
            raise Unprocessable(f"{draft.endpoint.model.slug} takes no {kind} at {draft.endpoint.provider.name}")
        case _:
            assert_never(part)
