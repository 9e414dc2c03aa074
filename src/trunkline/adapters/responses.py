"""Speaks OpenAI's Responses language, the one nearest to our own: OpenAI, Azure, xAI and servers that follow them.

Encoding is nearly the identity and keeps nothing of a former answer but its words: ids of items are ours and mean
nothing upstream, so none is sent except the one that an encrypted thought is bound to (`seals.py`). Nothing is stored
upstream. The answer is decoded in `responses_answer.py`.

Sources: section 2 of the dialects notes; https://developers.openai.com/api/reference/responses, seen 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, assert_never

import msgspec
from msgspec import UNSET

from trunkline.adapters import media
from trunkline.adapters.contract import Adapter
from trunkline.adapters.draft import user_names
from trunkline.adapters.responses_answer import ResponsesDecoder
from trunkline.adapters.schemas import parameters_of
from trunkline.adapters.seals import is_from, unseal
from trunkline.adapters.thinking import effort, nearest_effort
from trunkline.adapters.tool_plan import choice_forms, demand_tools, has_json, has_schemas, schema_note
from trunkline.adapters.turns import IMAGE_NOTE
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.quirks import Quirks
from trunkline.errors import Unprocessable
from trunkline.protocol.data_urls import is_data_url
from trunkline.protocol.items import (
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
    Message,
    MessagePart,
    OutputText,
    ReasoningItem,
    RefusalPart,
    Role,
    WebSearchCall,
)
from trunkline.protocol.request import Effort, Request
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    SearchTool,
    TextFormat,
)
from trunkline.wire import UpstreamRequest

ENCRYPTED_REASONING = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"


class ResponsesAdapter(Adapter):
    """The adapter of the `responses` dialect."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        letter = _Letter(request, endpoint)
        letter.write_settings(end_user)
        letter.write_reasoning_and_sampling()
        letter.write_tools()
        letter.write_text()
        letter.write_input()
        quirks = endpoint.quirks
        streams = quirks.streams == "always" or (request.stream and quirks.streams == "both")
        body = {**quirks.extra_body, **letter.body, "stream": streams}
        return UpstreamRequest(
            method="POST",
            url=endpoint.base_url + (quirks.path.replace("{model}", endpoint.upstream_model) or "/responses"),
            headers={
                "content-type": "application/json",
                "accept": "text/event-stream" if streams else "application/json",
                **quirks.extra_headers,
            },
            body=_encode(body),
            dropped=tuple(dict.fromkeys(letter.dropped)),
        )

    def decoder(self, request: Request, endpoint: Endpoint) -> ResponsesDecoder:
        return ResponsesDecoder(endpoint)


ADAPTER = ResponsesAdapter()

_encode = msgspec.json.Encoder(decimal_format="number").encode

_IMAGE_OPTIONS = frozenset(
    {"size", "quality", "background", "output_format", "output_compression", "moderation", "partial_images"}
)
_NO_PLACE = ("top_k", "presence_penalty", "frequency_penalty")
_SAMPLING = ("temperature", "top_p", "top_logprobs")


class _Letter:
    """One request body while it is written, and the names of what had no place in it."""

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self.request = request
        self.endpoint = endpoint
        self.quirks: Quirks = endpoint.quirks
        self.body: dict[str, Json] = {"model": endpoint.upstream_model, "store": False}
        self.dropped: list[str] = []
        self._include: list[str] = []
        self._notes: list[str] = []
        self._effort: str | None = None

    # Settings

    def write_settings(self, end_user: str | None) -> None:
        request, quirks = self.request, self.quirks
        self._put("max_output_tokens", request.max_output_tokens, is_taken=self.endpoint.takes("max_tokens"))
        self._put("max_tool_calls", request.max_tool_calls)
        self._put("truncation", request.truncation)
        self._put("prompt_cache_key", request.prompt_cache_key, is_taken=quirks.has_cache_key)
        if quirks.has_safety_identifier and "safety_identifier" not in quirks.drops:
            self._put("safety_identifier", end_user)
        elif quirks.has_user and "user" not in quirks.drops:
            self._put("user", end_user)
        else:
            self.dropped += user_names(request)
        if quirks.forwards_metadata:
            self._put("metadata", request.metadata or None)
        for name in _NO_PLACE:
            self._put(name, getattr(request, name), is_taken=False)

    def write_reasoning_and_sampling(self) -> None:
        request, supports = self.request, self.endpoint.supports
        wanted = effort(request.reasoning, request.max_output_tokens or self.endpoint.max_output_tokens)
        may_reason = supports is None or "reasoning" in supports
        if may_reason:
            self._effort = self._write_effort(wanted)
        elif wanted not in (None, "none"):
            self.dropped.append("reasoning")
        # Only a server known to reason is asked for what others answer with a 400.
        is_reasoning = may_reason and self._effort != "none" and (supports is not None or "reasoning" in self.body)
        self._include = list(request.include)
        if is_reasoning:
            self._include.append(ENCRYPTED_REASONING)
        for name in _SAMPLING:
            is_taken = not is_reasoning if supports is None else name in supports or self._effort == "none"
            is_taken = is_taken and (name != "top_logprobs" or self.quirks.logprobs != "never")
            self._put(name, getattr(request, name), is_taken=is_taken)
        asked = self.body.get("temperature")
        if asked is not None:
            self.body["temperature"] = min(max(asked, self.quirks.min_temperature), self.quirks.max_temperature)
            if self.body["temperature"] != asked:
                self.dropped.append("temperature")
        if self.body.get("top_logprobs"):
            self._include.append(LOGPROBS)
        if self.quirks.supports_include:
            self._put("include", list(dict.fromkeys(self._include)) or None)

    def _write_effort(self, wanted: Effort | None) -> str | None:
        """Write the `reasoning` object; gives back the effort that is sent."""
        config = self.request.reasoning
        if config is None or self.quirks.reasoning_request == "none":
            self._put("reasoning", config, is_taken=False)
            return None
        allowed = self.endpoint.reasoning_efforts or self.quirks.reasoning_efforts
        sent = None
        if wanted is not None:
            # Where thinking cannot be turned off, the weakest effort is the nearest to it.
            sent = nearest_effort(wanted, allowed) or nearest_effort("minimal", allowed)
        if sent != wanted:
            self.dropped.append("reasoning.effort")
        elif config.max_tokens is not None:
            self.dropped.append("reasoning.max_tokens")
        said = {"effort": sent, "summary": None if sent == "none" else config.summary}
        self._put("reasoning", {name: value for name, value in said.items() if value is not None} or None)
        return sent

    # Tools

    def write_tools(self) -> None:
        request, quirks = self.request, self.quirks
        choice, tools = request.tool_choice, request.tools
        forms = choice_forms(self.endpoint)
        if any(isinstance(tool, FunctionTool) for tool in tools):
            demand_tools(self.endpoint)
        if quirks.thinking_forbids_forced_tools and self._effort != "none":
            forms -= {"required", "function"}
        if isinstance(choice, FunctionChoice) and "function" not in forms:
            tools = tuple(tool for tool in tools if isinstance(tool, FunctionTool) and tool.name == choice.name)
            choice = "required"
            self.dropped.append("tool_choice")
        if choice == "none" and "none" not in forms:
            tools, choice = (), None
        if choice == "required" and "required" not in forms:
            self._notes.append("Answer by calling one of the tools.")
            choice = "auto"
            self.dropped.append("tool_choice")
        if choice == "auto" and "auto" not in forms:
            choice = None
        written = [self._tool(tool) for tool in tools]
        if "image" in request.modalities:
            written.append(self._image_tool())
        elif request.image_config:
            self.dropped.append("image_config")
        self._put("tools", written or None)
        if written:
            self._put("tool_choice", choice)
            is_taken = quirks.has_parallel_switch and self.endpoint.takes("parallel_tool_calls")
            if is_taken or request.parallel_tool_calls is False:
                self._put("parallel_tool_calls", request.parallel_tool_calls, is_taken=is_taken)

    def _tool(self, tool: FunctionTool | SearchTool) -> Json:
        if isinstance(tool, SearchTool):
            return tool
        written: dict[str, Json] = {"type": "function", "name": tool.name, "parameters": parameters_of(tool)}
        if tool.description is not None:
            written["description"] = tool.description
        if self.quirks.has_strict_tools:
            # Left out it would mean true here and false everywhere else.
            written["strict"] = bool(tool.strict)
        return written

    def _image_tool(self) -> Json:
        config = self.request.image_config or {}
        if not config.keys() <= _IMAGE_OPTIONS:
            self.dropped.append("image_config")
        return {"type": "image_generation", **{key: value for key, value in config.items() if key in _IMAGE_OPTIONS}}

    # The form of the text

    def write_text(self) -> None:
        text = self.request.text
        if text is None:
            return
        written: dict[str, Json] = {}
        form = self._format(text.format)
        if form is not None:
            written["format"] = form
        if text.verbosity is not UNSET:
            supports = self.endpoint.supports
            if self.quirks.has_verbosity if supports is None else "verbosity" in supports:
                written["verbosity"] = text.verbosity
            else:
                self.dropped.append("text.verbosity")
        self._put("text", written or None)

    def _format(self, form: TextFormat | JsonObjectFormat | JsonSchemaFormat) -> Json:
        if isinstance(form, TextFormat):
            return None
        if isinstance(form, JsonSchemaFormat):
            if has_schemas(self.endpoint):
                return form
            self._notes.append(schema_note(form.schema))
            self.dropped.append("text.format")
            return JsonObjectFormat() if has_json(self.endpoint) else None
        if not has_json(self.endpoint):
            self.dropped.append("text.format")
        elif not self.quirks.json_object_needs_word:
            return form
        self._notes.append("Answer with nothing but one JSON object.")
        return form if has_json(self.endpoint) else None

    # Input

    def write_input(self) -> None:
        written: list[Json] = []
        said = "\n\n".join(text for text in (self.request.instructions, *self._notes) if text)
        if said and "instructions" not in self.quirks.drops:
            self.body["instructions"] = said
        elif said:
            # Servers that refuse the field take the same words as their first item.
            written.append(_message(self._role("system"), [InputText(said)]))
        thoughts: list[Json] = []
        for item in self.request.input:
            if isinstance(item, ReasoningItem):
                thoughts += self._thought(item)
                continue
            encoded = self._item(item)
            if encoded is None:
                continue
            # A thought whose own item does not follow it is a 400.
            if isinstance(item, FunctionCallItem) or (isinstance(item, Message) and item.role == "assistant"):
                written += thoughts
            thoughts = []
            written.append(encoded)
        self.body["input"] = written

    def _item(self, item: InputItem) -> Json | None:
        match item:
            case Message():
                return _message(self._role(item.role), [self._part(part, item.role) for part in item.content])
            case FunctionCallItem():
                return {
                    "type": "function_call",
                    "call_id": item.call_id,
                    "name": item.name,
                    "arguments": item.arguments,
                }
            case FunctionCallOutput(output=str()):
                return {"type": "function_call_output", "call_id": item.call_id, "output": item.output}
            case FunctionCallOutput():
                parts = [self._part(part, "user") for part in item.output if not isinstance(part, str)]
                return {"type": "function_call_output", "call_id": item.call_id, "output": parts}
            case ImageGenerationCall():
                return self._picture(item)
            case WebSearchCall() | FileSearchCall() | ReasoningItem():
                # A search says nothing without the provider's own id and action, which we do not keep.
                return None
            case _:
                assert_never(item)

    def _thought(self, item: ReasoningItem) -> list[Json]:
        """An earlier thought as its issuer wants it back; nothing for anybody else."""
        summary = list(item.summary)
        if item.encrypted_content:
            origin = unseal(item.encrypted_content)
            if origin is None or not is_from(origin, self.endpoint):
                return []
            sealed: dict[str, Json] = {
                "type": "reasoning",
                "summary": summary,
                "encrypted_content": origin.blob,
            }
            return [{"id": origin.item_id, **sealed} if origin.item_id else sealed]
        if self.quirks.reasoning_replay == "never" or not item.content or item.format not in (UNSET, "unknown"):
            return []
        return [{"type": "reasoning", "summary": summary, "content": list(item.content)}]

    def _picture(self, item: ImageGenerationCall) -> Json | None:
        modalities = self.endpoint.input_modalities
        if not item.result or (modalities is not None and "image" not in modalities):
            return None
        url = item.result if is_data_url(item.result) else f"data:image/png;base64,{item.result}"
        return _message("user", [InputText(IMAGE_NOTE), self._part(InputImage(url), "user")])

    def _part(self, part: MessagePart, role: Role) -> Json:
        match part:
            case InputText():
                return {"type": "output_text", "text": part.text, "annotations": []} if role == "assistant" else part
            case InputImage():
                if self.quirks.has_image_detail:
                    return part
                return {"type": "input_image", "image_url": part.image_url}
            case InputFile():
                return _file(part)
            case InputAudio():
                self._demand("audio", is_known=True)
                return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
            case InputVideo():
                self._demand("video", is_known=False)
                return part
            case OutputText():
                return {"type": "output_text", "text": part.text, "annotations": part.annotations}
            case RefusalPart():
                return part
            case _:
                assert_never(part)

    def _demand(self, modality: Literal["audio", "video"], *, is_known: bool) -> None:
        modalities = self.endpoint.input_modalities
        if not (is_known if modalities is None else modality in modalities):
            raise Unprocessable(f"{self.endpoint.model.slug} takes no {modality} at {self.endpoint.provider.name}")

    def _role(self, role: Role) -> Role:
        if role not in ("system", "developer"):
            return role
        if self.quirks.system_role == "developer":
            return role
        return self.quirks.system_role

    def _put(self, name: str, value: Json, *, is_taken: bool = True) -> None:
        if value is None:
            return
        if is_taken and name not in self.quirks.drops:
            self.body[name] = value
        else:
            self.dropped.append(name)


def _message(role: Role, content: Sequence[Json]) -> Json:
    return {"type": "message", "role": role, "content": content}


def _file(part: InputFile) -> Json:
    inline = media.inline_file(part)
    if inline is None:
        return {"type": "input_file", "file_url": media.file_link(part)}
    name = part.filename or f"file.{inline.extension}"
    return {"type": "input_file", "filename": name, "file_data": inline.url}
