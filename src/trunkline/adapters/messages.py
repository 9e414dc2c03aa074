"""Speaks Anthropic's Messages language: Anthropic, Claude on Vertex, Foundry and Bedrock Mantle, and compatible hosts.

It does not look at the answer, which `messages_answer.py` decodes, and knows no model by name: what differs from model
to model is told by the endpoint and its quirks.

Sources: section 4 of the dialects notes; https://platform.claude.com/docs/en/api/messages, seen 2026-11-22; the types
of the anthropic Python package 2.12.0.
"""

from __future__ import annotations

import re
from typing import assert_never
from urllib.parse import quote

import msgspec

from trunkline.adapters import media
from trunkline.adapters.claude_thinking import Thinking, plan_thinking, replayed
from trunkline.adapters.contract import Adapter
from trunkline.adapters.draft import user_names
from trunkline.adapters.links import Wanted
from trunkline.adapters.messages_answer import MessagesDecoder
from trunkline.adapters.rounds import Round, UserRound, rounds
from trunkline.adapters.schemas import Schema, closed, mapped, parameters_of, without
from trunkline.adapters.tool_plan import SEARCH_NAME, ToolPlan, answer_tool, arguments_object, has_schemas, plan_tools
from trunkline.adapters.turns import Said, fitted_call_id
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
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, JsonObjectFormat, JsonSchemaFormat, SearchTool
from trunkline.wire import UpstreamRequest


class MessagesAdapter(Adapter):
    """The adapter of the `messages` dialect."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        quirks = endpoint.quirks
        letter = _Letter(request, endpoint)
        streams = quirks.streams == "always" or (request.stream and quirks.streams == "both")
        body = letter.write(end_user) | ({"stream": True} if streams else {})
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if streams else "application/json",
        }
        if "anthropic_version" not in quirks.extra_body:
            headers["anthropic-version"] = "2023-06-01"
        path = (streams and quirks.stream_path) or quirks.path or "/messages"
        return UpstreamRequest(
            method="POST",
            url=endpoint.base_url + path.replace("{model}", quote(endpoint.upstream_model, safe="@")),
            headers={**headers, **quirks.extra_headers},
            body=_encode({**quirks.extra_body, **body}),
            dropped=tuple(dict.fromkeys(letter.dropped)),
        )

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        """Links to pictures and to PDF documents are followed, and every document is taken for a PDF."""
        return link.noun == "file" and media.media_type_of(link.url) != "application/pdf"

    def decoder(self, request: Request, endpoint: Endpoint) -> MessagesDecoder:
        tool = answer_tool(request, endpoint)
        return MessagesDecoder(
            endpoint,
            answer_tool=tool.name if tool is not None else None,
            may_pause=any(isinstance(tool, SearchTool) for tool in request.tools),
        )


ADAPTER = MessagesAdapter()

_encode = msgspec.json.Encoder(decimal_format="number").encode

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASHED_ID_LENGTH = 32
_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_CACHE = {"type": "ephemeral"}
_SEARCHES_BY_SIZE = {"low": 1, "medium": 3, "high": 5}
_NO_PLACE = ("presence_penalty", "frequency_penalty", "top_logprobs", "image_config")

_UNKNOWN_KEYWORDS = frozenset(
    {
        "contains",
        "dependentSchemas",
        "else",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "if",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "patternProperties",
        "propertyNames",
        "then",
        "uniqueItems",
    }
)
"""Schema keywords that strict mode answers with a 400.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs (2026-11-22).
"""


class _Letter:
    """One request body while it is written, and the names of what had no place in it."""

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self.request = request
        self.endpoint = endpoint
        self.quirks = endpoint.quirks
        self.dropped = [name for name in _NO_PLACE if getattr(request, name)]
        self._notes: list[str] = []
        self._has_marks = request.prompt_cache_key is not None and "prompt_cache_key" not in self.quirks.drops

    def write(self, end_user: str | None) -> dict[str, Json]:
        request, quirks = self.request, self.quirks
        system, spoken = rounds(request)
        thinking = plan_thinking(request, self.endpoint, spoken)
        plan = plan_tools(request, self.endpoint, may_force=not thinking.is_on)
        self.dropped += thinking.dropped + plan.dropped
        self._notes += plan.notes
        tools, output, sampling = self._tools(plan), self._output(thinking), self._sampling(thinking)
        body: dict[str, Json] = {"model": self.endpoint.upstream_model} if quirks.model_in_body else {}
        body["max_tokens"] = thinking.max_tokens
        if text := "\n\n".join(part for part in (system, *self._notes) if part):
            body["system"] = [{**_text(text), "cache_control": _CACHE}] if self._has_marks else text
        body["messages"] = self._messages(spoken)
        body |= tools
        if thinking.config is not None:
            body["thinking"] = thinking.config
        if output:
            body["output_config"] = output
        body |= sampling
        if "safety_identifier" in quirks.drops:
            self.dropped += user_names(request)
        elif end_user is not None:
            body["metadata"] = {"user_id": end_user}
        if request.prompt_cache_key is not None and not self._has_marks:
            self.dropped.append("prompt_cache_key")
        return body

    # Settings

    def _sampling(self, thinking: Thinking) -> dict[str, Json]:
        request, quirks = self.request, self.quirks
        given = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k or None}
        taken: dict[str, Json] = {}
        for name, value in given.items():
            if value is None:
                continue
            if thinking.is_on or not self.endpoint.takes(name) or (name == "top_k" and not quirks.has_top_k):
                self.dropped.append(name)
            else:
                taken[name] = value
        most = min(quirks.max_temperature, 1.0)
        if taken.get("temperature", 0) > most:
            taken["temperature"] = most
            self.dropped.append("temperature")
        if quirks.temperature_excludes_top_p and taken.keys() >= {"temperature", "top_p"}:
            del taken["top_p"]
            self.dropped.append("top_p")
        return taken

    # Tools

    def _tools(self, plan: ToolPlan) -> dict[str, Json]:
        written = [self._function(tool) for tool in plan.tools]
        if plan.search is not None and self.request.max_tool_calls != 0:
            written.append(self._search(plan.search))
        if not written:
            return {}
        if self._has_marks:
            written[-1] = {**written[-1], "cache_control": _CACHE}
        choice = self._choice(plan)
        return {"tools": written} | ({"tool_choice": choice} if choice is not None else {})

    def _choice(self, plan: ToolPlan) -> Json:
        kind = plan.choice.kind if plan.choice is not None else None
        choice: dict[str, Json] | None = {"type": kind} if kind is not None else None
        if plan.choice is not None and kind == "tool":
            choice = {"type": "tool", "name": plan.choice.name}
        if self.request.parallel_tool_calls is not False or kind == "none":
            return choice
        if not self.quirks.has_parallel_switch or not self.endpoint.takes("parallel_tool_calls"):
            self.dropped.append("parallel_tool_calls")
            return choice
        return {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}

    def _function(self, tool: FunctionTool) -> dict[str, Json]:
        schema = parameters_of(tool)
        written: dict[str, Json] = {"name": tool.name}
        if tool.description:
            written["description"] = tool.description
        if tool.strict and self.quirks.has_strict_tools and has_schemas(self.endpoint):
            return {**written, "input_schema": narrowed(schema, is_strict=True), "strict": True}
        if tool.strict:
            self.dropped.append("tools.strict")
        return {**written, "input_schema": schema}

    def _search(self, tool: SearchTool) -> dict[str, Json]:
        if not self.quirks.search_tool:
            raise Unprocessable(f"{self.endpoint.model.slug} cannot search the web at {self.endpoint.provider.name}")
        written: dict[str, Json] = {"type": self.quirks.search_tool, "name": SEARCH_NAME}
        limits = [self.request.max_tool_calls, _SEARCHES_BY_SIZE.get(str(tool.search_context_size))]
        if uses := [limit for limit in limits if limit is not None]:
            written["max_uses"] = min(uses)
        if tool.filters and tool.filters.allowed_domains:
            written["allowed_domains"] = tool.filters.allowed_domains
        if tool.user_location:
            place = msgspec.to_builtins(tool.user_location)
            written["user_location"] = {name: value for name, value in place.items() if value is not None}
        return written

    # The form of the text

    def _output(self, thinking: Thinking) -> dict[str, Json]:
        output: dict[str, Json] = {}
        if thinking.effort is not None:
            output["effort"] = thinking.effort
        text = self.request.text
        if text is None:
            return output
        if text.verbosity:
            self.dropped.append("text.verbosity")
        if isinstance(text.format, JsonObjectFormat):
            self._notes.append("Answer with nothing but one JSON object.")
            self.dropped.append("text.format")
        elif isinstance(text.format, JsonSchemaFormat) and has_schemas(self.endpoint):
            schema = narrowed(text.format.schema, is_strict=bool(text.format.strict))
            output["format"] = {"type": "json_schema", "schema": schema}
        return output

    # Rounds

    def _messages(self, spoken: list[Round]) -> list[Json]:
        written = [self._round(part) for part in spoken]
        if self._has_marks and written and written[-1]["role"] == "user":
            written[-1]["content"][-1] = {**written[-1]["content"][-1], "cache_control": _CACHE}
        return written

    def _round(self, part: Round) -> Json:
        if isinstance(part, UserRound):
            content = [*map(self._result, part.results), *map(self._part, part.parts)]
            return {"role": "user", "content": content}
        blocks = [block for piece in part.pieces if (block := self._piece(piece)) is not None]
        return {"role": "assistant", "content": blocks or [_text("…")]}

    def _piece(self, piece: Said | ReasoningItem | FunctionCallItem | ImageGenerationCall) -> Json:
        match piece:
            case Said(text=text):
                # White space at the end of the last turn is a 400, and means nothing elsewhere.
                return _text(text.rstrip()) if text.rstrip() else None
            case ReasoningItem():
                return self._thought(piece)
            case FunctionCallItem():
                return {
                    "type": "tool_use",
                    "id": fitted_call_id(piece.call_id, _CALL_ID, _HASHED_ID_LENGTH),
                    "name": piece.name,
                    "input": arguments_object(piece.arguments),
                }
            case ImageGenerationCall():
                return None
            case _:
                assert_never(piece)

    def _thought(self, item: ReasoningItem) -> Json:
        thought = replayed(item, self.quirks)
        if thought is None:
            return None
        if thought.redacted:
            return {"type": "redacted_thinking", "data": thought.redacted}
        return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}

    def _result(self, result: FunctionCallOutput) -> Json:
        output = result.output
        content = output if isinstance(output, str) else [self._part(part) for part in output]
        call_id = fitted_call_id(result.call_id, _CALL_ID, _HASHED_ID_LENGTH)
        return {"type": "tool_result", "tool_use_id": call_id, "content": content}

    def _part(self, part: InputPart) -> Json:
        match part:
            case InputText(text=text):
                return _text(text)
            case InputImage(image_url=url):
                found = media.inline(url)
                if found is None:
                    return {"type": "image", "source": {"type": "url", "url": url}}
                return _image(found, self.endpoint)
            case InputFile():
                return self._file(part)
            case InputAudio() | InputVideo():
                kind = "audio" if isinstance(part, InputAudio) else "video"
                raise Unprocessable(f"{self.endpoint.model.slug} takes no {kind} at {self.endpoint.provider.name}")
            case _:
                assert_never(part)

    def _file(self, part: InputFile) -> Json:
        found = media.inline_file(part)
        if found is None:
            source: Json = {"type": "url", "url": media.file_link(part)}
        elif found.media_type.startswith("image/"):
            return _image(found, self.endpoint)
        elif found.media_type == "application/pdf":
            source = {"type": "base64", "media_type": found.media_type, "data": found.data}
        elif found.is_text:
            source = {"type": "text", "media_type": "text/plain", "data": found.decode_text()}
        else:
            raise Unprocessable(f"{self.endpoint.model.slug} takes no files of type {found.media_type}")
        return {"type": "document", "source": source} | ({"title": part.filename} if part.filename else {})


def narrowed(schema: Schema, *, is_strict: bool) -> Schema:
    """What strict mode takes of a schema; it wants every object closed, and says so of required keys only if asked."""
    known = without(schema, _UNKNOWN_KEYWORDS)
    return closed(known) if is_strict else mapped(known, _shut)


def _shut(node: Schema) -> Schema:
    is_object = node.get("type") == "object" or "properties" in node
    return {**node, "additionalProperties": False} if is_object else node


def _text(text: str) -> dict[str, Json]:
    return {"type": "text", "text": text}


def _image(found: media.Inline, endpoint: Endpoint) -> Json:
    if found.media_type not in _IMAGE_TYPES:
        raise Unprocessable(f"{endpoint.model.slug} takes no images of type {found.media_type}")
    return {"type": "image", "source": {"type": "base64", "media_type": found.media_type, "data": found.data}}
