"""Speaks OpenAI's Responses language, the one nearest to our own: OpenAI, Azure, xAI and servers that follow them.

Encoding is nearly the identity and keeps nothing of a former answer but its words: ids of items are ours and mean
nothing upstream, so none is sent except the one that an encrypted thought is bound to (`seals.py`). Nothing is stored
upstream. The answer is decoded in `answer.py`.

Sources: section 2 of the dialects notes; https://developers.openai.com/api/reference/responses, seen 2026-11-22.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Literal, assert_never

from msgspec import UNSET, to_builtins
from msgspec.structs import replace

from trunkline.adapters import media
from trunkline.adapters.contract import Adapter, Decoder
from trunkline.adapters.encoding.answers import in_words
from trunkline.adapters.encoding.call_ids import fitted_call_id
from trunkline.adapters.encoding.draft import Draft, beside_tools
from trunkline.adapters.encoding.histories import settled
from trunkline.adapters.encoding.sizes import nearest_size
from trunkline.adapters.encoding.tools import (
    MUST_BE_JSON,
    answer_name,
    answer_schema,
    choice_forms,
    demand_tools,
    has_json,
    names_json,
    schema_note,
    tool_schema,
)
from trunkline.adapters.encoding.turns import IMAGE_NOTE, assistant_text
from trunkline.adapters.responses.answer import ResponsesDecoder
from trunkline.adapters.thinking import (
    effort,
    efforts_of,
    fitted_effort,
    leaves_effort,
    lost_budget,
    replayable,
    told_summary,
)
from trunkline.catalog.abilities import has_context, has_place, takes_openai_tools, tier_of, truncates
from trunkline.catalog.entries import Endpoint, per_endpoint
from trunkline.errors import Unprocessable
from trunkline.protocol.data_urls import is_data_url
from trunkline.protocol.items import (
    AdditionalTools,
    AgentMessage,
    CustomCallItem,
    CustomCallOutput,
    EncryptedText,
    FileSearchCall,
    FunctionCallItem,
    FunctionCallOutput,
    ImageGenerationCall,
    InputAudio,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    InputVideo,
    Json,
    LocalShellCallItem,
    LocalShellCallOutput,
    Message,
    MessagePart,
    OutputText,
    ReasoningItem,
    RefusalPart,
    Role,
    ToolSearchCallItem,
    ToolSearchOutput,
    WebSearchCall,
)
from trunkline.protocol.opaque import AnthropicItem, ServerItem, ServerTool
from trunkline.protocol.request import SEARCH_SOURCES, Effort, ReasoningConfig, Request, offered_tools
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    NamespaceTool,
    SearchTool,
    TextFormat,
    Tool,
    ToolChoice,
    newer_members,
)
from trunkline.wire import UpstreamRequest

ENCRYPTED_REASONING = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"


class ResponsesAdapter(Adapter):
    """The adapter of the `responses` dialect."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        draft = Draft(request, beside_tools(request, endpoint, FunctionTool, by_default=True))
        draft.body["model"] = endpoint.upstream_model
        draft.body["store"] = False
        _encode_settings(draft, end_user)
        sent_effort = _encode_reasoning_and_sampling(draft)
        _encode_tools(draft, sent_effort)
        _encode_text(draft)
        _encode_input(draft)
        draft.body["stream"] = draft.streams
        return draft.posted(_path(endpoint) if endpoint.quirks.path else "/responses")

    def decoder(self, request: Request, endpoint: Endpoint) -> Decoder:
        if request.text is None:
            return ResponsesDecoder(endpoint)
        asked = beside_tools(request, endpoint, FunctionTool, by_default=True)
        return in_words(ResponsesDecoder(endpoint), request, asked)


ADAPTER = ResponsesAdapter()


@per_endpoint
def _path(endpoint: Endpoint) -> str:
    return endpoint.quirks.path.replace("{model}", endpoint.upstream_model)


_IMAGE_OPTIONS = frozenset(
    {"size", "quality", "background", "output_format", "output_compression", "moderation", "partial_images"}
)
_DONE = (FunctionCallItem, CustomCallItem, ToolSearchCallItem, LocalShellCallItem, ServerItem)
"""What a thought may stand before, besides what the model said."""
# A longer one is a 400, also where the provider gave it: https://github.com/NousResearch/hermes-agent/pull/72006,
# https://github.com/V1ki/dsh-plugin-subscriptions/issues/29, seen 2026-11-27.
_CALL_ID = re.compile(".{1,64}", re.DOTALL)
_HASHED_ID_LENGTH = 32
_SAMPLING = ("temperature", "top_p", "top_logprobs")
_said_of_sampling = attrgetter(*_SAMPLING)


# Settings


def _encode_settings(draft: Draft, end_user: str | None) -> None:
    request, quirks = draft.request, draft.quirks
    if request.max_output_tokens is not None:
        _put(draft, "max_output_tokens", request.max_output_tokens, is_taken=draft.endpoint.takes("max_tokens"))
    if request.max_tool_calls:
        # With 0 the search was left out, and there is nothing to count.
        _put(draft, "max_tool_calls", request.max_tool_calls)
    if request.truncation is not None and truncates(draft.endpoint):
        draft.body["truncation"] = request.truncation
    if request.prompt_cache_key is not None:
        _put(draft, "prompt_cache_key", request.prompt_cache_key, is_taken=quirks.has_cache_key)
    if request.user or request.safety_identifier:
        draft.tell_user(end_user)
    if request.service_tier is not None and (tier := tier_of(request, draft.endpoint)) is not None:
        draft.body["service_tier"] = tier
    if quirks.forwards_metadata and request.metadata:
        _put(draft, "metadata", request.metadata)


def _encode_reasoning_and_sampling(draft: Draft) -> str | None:
    """Write what is asked of thought and of choosing words; gives back the effort that is sent."""
    request, supports = draft.request, draft.endpoint.supports
    may_reason, sent = supports is None or "reasoning" in supports, None
    if request.reasoning is not None:
        wanted = effort(request.reasoning, request.max_output_tokens or draft.endpoint.max_output_tokens)
        sent = _encode_effort(draft, request.reasoning, wanted) if may_reason else None
        if not may_reason and wanted not in (None, "none"):
            draft.dropped.append("reasoning")
    # Only a server known to reason is asked for what others answer with a 400.
    is_reasoning = may_reason and sent != "none" and (supports is not None or "reasoning" in draft.body)
    for name, value in zip(_SAMPLING, _said_of_sampling(request), strict=True):
        if value is None:
            continue
        is_taken = not is_reasoning if supports is None else name in supports or sent == "none"
        is_taken = is_taken and (name != "top_logprobs" or draft.quirks.logprobs != "never")
        _put(draft, name, value, is_taken=is_taken)
    if "temperature" in draft.body:
        least, most = draft.quirks.min_temperature, draft.quirks.max_temperature
        draft.body["temperature"] = draft.within("temperature", draft.body["temperature"], least, most)
    wants_logprobs = _wants_logprobs(draft, is_reasoning=is_reasoning)
    if draft.quirks.supports_include:
        include = [*(_included(draft) if request.include else ()), *([ENCRYPTED_REASONING] if is_reasoning else [])]
        include += [LOGPROBS] if draft.body.get("top_logprobs") or wants_logprobs else []
        if include:
            _put(draft, "include", list(dict.fromkeys(include)))
    return sent


def _wants_logprobs(draft: Draft, *, is_reasoning: bool) -> bool:
    """Whether the tokens that were chosen alone are asked for theirs; noted as lost where they cannot be."""
    request, supports = draft.request, draft.endpoint.supports
    if not request.logprobs or request.top_logprobs:
        return False
    is_taken = not is_reasoning if supports is None else "logprobs" in supports
    is_taken = is_taken and draft.quirks.supports_include and "logprobs" not in draft.quirks.drops
    if is_taken and has_place(draft.endpoint, "logprobs"):
        return True
    draft.dropped.append("logprobs")
    return False


def _included(draft: Draft) -> list[str]:
    """What the client includes; the sources of a search only where OpenAI's own words are known: elsewhere a 400."""
    request = draft.request
    is_told = takes_openai_tools(draft.endpoint) and any(isinstance(tool, SearchTool) for tool in request.tools)
    return [name for name in request.include if is_told or name != SEARCH_SOURCES]


def _encode_effort(draft: Draft, config: ReasoningConfig, wanted: Effort | None) -> str | None:
    """Write the `reasoning` object; gives back the effort that is sent."""
    if draft.quirks.reasoning_request == "none":
        _put(draft, "reasoning", config, is_taken=False)
        return None
    allowed = efforts_of(draft.endpoint)
    sent = None
    is_left = leaves_effort(config) and wanted != "none" and bool(allowed) and "none" not in allowed
    if wanted is not None and not is_left:
        # Where thinking cannot be turned off, the weakest effort is the nearest to it.
        sent = fitted_effort(wanted, draft.endpoint) or fitted_effort("minimal", draft.endpoint)
    if sent != wanted and not is_left:
        draft.dropped.append("reasoning.effort")
    draft.dropped += lost_budget(config)
    context = config.context if has_context(draft.endpoint) else None
    said = {"effort": sent, "summary": None if sent == "none" else config.summary, "context": context}
    _put(draft, "reasoning", {name: value for name, value in said.items() if value is not None} or None)
    return sent


# Tools


def _encode_tools(draft: Draft, sent_effort: str | None) -> None:
    request = draft.request
    if not (
        request.tools or request.tool_choice or request.has_extensions or request.modalities or request.image_config
    ):
        return
    tools, choice = _choose(draft, sent_effort)
    written = [_encode_tool(draft, tool) for tool in tools]
    if any(isinstance(tool, ServerTool) and tool.type == "image_generation" for tool in tools):
        draft.dropped += ["image_config"] if request.image_config else []
    elif "image" in request.modalities:
        written.append(_encode_image_tool(draft))
    elif request.image_config:
        draft.dropped.append("image_config")
    _put(draft, "tools", written or None)
    if written or offered_tools(request):
        _put(draft, "tool_choice", choice)
        is_taken = draft.quirks.has_parallel_switch and draft.endpoint.takes("parallel_tool_calls")
        if is_taken or request.parallel_tool_calls is False:
            _put(draft, "parallel_tool_calls", request.parallel_tool_calls, is_taken=is_taken)


def _choose(draft: Draft, sent_effort: str | None) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """The tools to send and the choice among them; what the endpoint cannot be told is approximated.

    Not by `plan_tools`: here the provider's own search stands among the functions, a choice of it is said as it is, and
    a schema that the endpoint does not know is asked for in words and not by a tool.
    """
    tools, choice = draft.request.tools, draft.request.tool_choice
    forms = choice_forms(draft.endpoint)
    if any(isinstance(tool, FunctionTool) for tool in tools):
        demand_tools(draft.endpoint)
    if draft.quirks.thinking_forbids_forced_tools and sent_effort != "none":
        forms -= {"required", "function"}
    if isinstance(choice, FunctionChoice) and "function" not in forms:
        tools = tuple(tool for tool in tools if isinstance(tool, FunctionTool) and tool.name == choice.name)
        choice = "required"
        draft.dropped.append("tool_choice")
    if choice == "none" and "none" not in forms:
        return (), None
    if choice == "required" and "required" not in forms:
        draft.hints.append("Answer by calling one of the tools.")
        choice = "auto"
        draft.dropped.append("tool_choice")
    return tools, None if choice == "auto" and "auto" not in forms else choice


def _encode_tool(draft: Draft, tool: Tool) -> Json:
    if isinstance(tool, NamespaceTool):
        described = {} if tool.description is UNSET else {"description": tool.description}
        inner = [_encode_tool(draft, each) for each in tool.tools]
        return {"type": "namespace", "name": tool.name, **described, "tools": inner}
    return _encode_function(draft, tool) if isinstance(tool, FunctionTool) else tool


def _encode_function(draft: Draft, tool: FunctionTool) -> Json:
    schema = tool_schema(tool, draft.endpoint, may_be_strict=draft.quirks.has_strict_tools)
    draft.dropped += schema.dropped
    written: dict[str, Json] = {"type": "function", "name": tool.name, "parameters": schema.parameters}
    if tool.description is not None:
        written["description"] = tool.description
    if draft.quirks.has_strict_tools:
        # Left out it would mean true here and false everywhere else.
        written["strict"] = bool(tool.strict)
    if draft.request.has_extensions:
        written |= newer_members(tool)
    return written


def _encode_image_tool(draft: Draft) -> Json:
    wishes: dict[str, Json] = dict(draft.request.image_config or {})
    sides = wishes.pop("aspect_ratio", None)
    if sides is not None:
        size, is_exact = nearest_size(sides)
        if size is not None:
            wishes.setdefault("size", size)
        if not is_exact or wishes.get("size") != size:
            draft.dropped.append("image_config.aspect_ratio")
    draft.dropped += [f"image_config.{name}" for name in wishes if name not in _IMAGE_OPTIONS]
    return {"type": "image_generation", **{key: value for key, value in wishes.items() if key in _IMAGE_OPTIONS}}


# The form of the text


def _encode_text(draft: Draft) -> None:
    text = draft.request.text
    if text is None:
        return
    written: dict[str, Json] = {}
    form = _encode_format(draft, text.format)
    if form is not None:
        written["format"] = form
    if text.verbosity is not UNSET:
        if draft.quirks.has_verbosity and draft.endpoint.takes("verbosity"):
            written["verbosity"] = text.verbosity
        else:
            draft.dropped.append("text.verbosity")
    _put(draft, "text", written or None)


def _encode_format(draft: Draft, form: TextFormat | JsonObjectFormat | JsonSchemaFormat) -> Json:
    if isinstance(form, TextFormat):
        return None
    if isinstance(form, JsonSchemaFormat):
        held = answer_schema(form, draft.endpoint)
        if held is not None:
            draft.dropped += held.dropped
            name = answer_name(form)
            is_same = held.schema is form.schema and name == form.name
            return form if is_same else replace(form, name=name, schema=held.schema)
        draft.hints.append(schema_note(form.schema))
        draft.dropped.append("text.format")
        return JsonObjectFormat() if has_json(draft.endpoint) else None
    if not has_json(draft.endpoint):
        draft.dropped.append("text.format")
        draft.hints.append(MUST_BE_JSON)
        return None
    return form


# Input


def _encode_input(draft: Draft) -> None:
    written: list[Json] = []
    said = "\n\n".join([text for text in (draft.request.instructions, *draft.hints) if text])
    if said and "instructions" not in draft.quirks.drops:
        draft.body["instructions"] = said
    elif said:
        # Servers that refuse the field take the same words as their first item.
        written.append(_message(_role(draft, "system"), [InputText(said)]))
    thoughts: list[Json] = []
    for item in draft.request.input if draft.request.is_text_alone else settled(draft.request.input):
        if isinstance(item, ReasoningItem):
            thoughts += _encode_thought(draft, item)
            continue
        encoded = _encode_item(draft, item)
        if encoded is None:
            continue
        if thoughts:
            # A thought whose own item does not follow it is a 400.
            if isinstance(item, _DONE) or (isinstance(item, Message) and item.role == "assistant"):
                written += thoughts
            thoughts = []
        written.append(encoded)
    if _lacks_word(draft):
        # The word counts in the input only, not in the instructions (OpenAI).
        written.append(_message(_role(draft, "system"), [InputText(MUST_BE_JSON)]))
    draft.body["input"] = written


def _lacks_word(draft: Draft) -> bool:
    text = draft.request.text
    if not draft.quirks.json_object_needs_word or text is None or not isinstance(text.format, JsonObjectFormat):
        return False
    return has_json(draft.endpoint) and not names_json(draft.request, with_instructions=False)


def _encode_item(draft: Draft, item: InputItem) -> Json | None:
    match item:
        case Message():
            if item.role == "assistant" and not assistant_text(item.content).strip():
                return None
            role = item.role
            content = [_encode_part(draft, part, role) for part in item.content]
            message = _message(role if role == "user" or role == "assistant" else _role(draft, role), content)
            if item.phase and "phase" not in draft.quirks.drops:
                message["phase"] = item.phase
            return message
        case FunctionCallItem() | CustomCallItem():
            return replace(item, id=UNSET, status=UNSET, call_id=_fitted(item.call_id))
        case FunctionCallOutput() | CustomCallOutput():
            output: Json = item.output
            if not isinstance(output, str):
                output = [_encode_part(draft, part, "user") for part in output]
            kind = "function_call_output" if isinstance(item, FunctionCallOutput) else "custom_tool_call_output"
            return {"type": kind, "call_id": _fitted(item.call_id), "output": output}
        case ToolSearchOutput() | AdditionalTools():
            kept = replace(item, id=UNSET, tools=())
            return {**to_builtins(kept), "tools": [_encode_tool(draft, tool) for tool in item.tools]}
        case ToolSearchCallItem():
            return replace(item, id=UNSET)
        case AgentMessage():
            said = (p if isinstance(p, EncryptedText) else _encode_part(draft, p, "user") for p in item.content)
            return replace(item, content=tuple(said))
        case LocalShellCallItem() | LocalShellCallOutput() | ServerItem():
            # Their ids belong to them.
            return item
        case ImageGenerationCall():
            return _encode_picture(draft, item)
        case WebSearchCall() | FileSearchCall() | ReasoningItem() | AnthropicItem():
            # A search says nothing without the provider's own id and action, which we do not keep.
            return None
        case _:
            assert_never(item)


def _fitted(call_id: str) -> str:
    return fitted_call_id(call_id, _CALL_ID, _HASHED_ID_LENGTH)


def _encode_thought(draft: Draft, item: ReasoningItem) -> list[Json]:
    """An earlier thought as its issuer wants it back; nothing for anybody else."""
    proof = replayable(item, draft.endpoint)
    if proof is None:
        return []
    summary = list(told_summary(item, proof))
    if proof.blob:
        sealed: dict[str, Json] = {"type": "reasoning", "summary": summary, "encrypted_content": proof.blob}
        return [{"id": proof.item_id, **sealed} if proof.item_id else sealed]
    if draft.quirks.reasoning_replay == "never" or not item.content or item.format not in (UNSET, "unknown"):
        return []
    return [{"type": "reasoning", "summary": summary, "content": list(item.content)}]


def _encode_picture(draft: Draft, item: ImageGenerationCall) -> Json | None:
    modalities = draft.endpoint.input_modalities
    if not item.result or (modalities is not None and "image" not in modalities):
        return None
    url = item.result if is_data_url(item.result) else f"data:image/png;base64,{item.result}"
    return _message("user", [InputText(IMAGE_NOTE), _encode_part(draft, InputImage(url), "user")])


def _encode_part(draft: Draft, part: MessagePart, role: Role) -> Json:
    match part:
        case InputText():
            return {"type": "output_text", "text": part.text, "annotations": []} if role == "assistant" else part
        case InputImage():
            url = media.tidied(part.image_url)
            if draft.quirks.has_image_detail:
                return replace(part, image_url=url)
            return {"type": "input_image", "image_url": url}
        case InputFile():
            return _file(part)
        case InputAudio():
            _demand(draft, "audio", is_known=True)
            return {"type": "input_audio", "input_audio": {"data": media.sound(part).data, "format": part.format}}
        case InputVideo():
            _demand(draft, "video", is_known=False)
            return part
        case OutputText():
            return {"type": "output_text", "text": part.text, "annotations": part.annotations}
        case RefusalPart():
            return part
        case _:
            assert_never(part)


def _demand(draft: Draft, modality: Literal["audio", "video"], *, is_known: bool) -> None:
    modalities = draft.endpoint.input_modalities
    if not (is_known if modalities is None else modality in modalities):
        raise Unprocessable(f"{draft.endpoint.model.slug} takes no {modality} at {draft.endpoint.provider.name}")


def _role(draft: Draft, role: Role) -> Role:
    if role not in ("system", "developer"):
        return role
    if draft.quirks.system_role == "developer":
        return role
    return draft.quirks.system_role


def _put(draft: Draft, name: str, value: Json, *, is_taken: bool = True) -> None:
    if value is None:
        return
    if is_taken and name not in draft.quirks.drops:
        draft.body[name] = value
    else:
        draft.dropped.append(name)


def _message(role: Role, content: Sequence[Json]) -> dict[str, Json]:
    return {"type": "message", "role": role, "content": content}


def _file(part: InputFile) -> Json:
    inline = media.inline_file(part)
    if inline is None:
        return {"type": "input_file", "file_url": media.file_link(part)}
    if inline.media_type.startswith("image/"):
        return {"type": "input_image", "image_url": inline.url}
    name = part.filename or f"file.{inline.extension}"
    return {"type": "input_file", "filename": name, "file_data": inline.url}
