"""Speaks Bedrock's Converse language, which is one for all models that AWS hosts.

It neither signs (`credentials/sigv4.py`) nor cuts the answer (`stream/aws_events.py`) nor reads it
(`converse_answer.py`), and downloads nothing: media must have come inline. What differs by model family is told by
quirks. Guardrails and service tiers are the operator's, in `extra_body`.

Sources: section 6 of the dialects notes; https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
seen 2026-11-22; the service model of botocore 1.44.5.
"""

from __future__ import annotations

import re
from typing import assert_never
from urllib.parse import quote

import msgspec

from trunkline.adapters import media
from trunkline.adapters.claude_thinking import Thinking, fitted_effort, plan_thinking, replayed, wanted_effort
from trunkline.adapters.contract import Adapter
from trunkline.adapters.converse_answer import ConverseDecoder
from trunkline.adapters.draft import user_names
from trunkline.adapters.links import Wanted
from trunkline.adapters.rounds import Round, UserRound, rounds
from trunkline.adapters.schemas import closed, parameters_of
from trunkline.adapters.tool_plan import ToolPlan, answer_tool, arguments_object, has_schemas, plan_tools
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
from trunkline.protocol.request import Effort, Request
from trunkline.protocol.tools import FunctionTool, JsonObjectFormat, JsonSchemaFormat, SearchTool
from trunkline.stream.framing import AWS_EVENT_STREAM
from trunkline.wire import UpstreamRequest


class ConverseAdapter(Adapter):
    """The adapter of the `converse` dialect."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        """Say the request; there is no place for `end_user`."""
        quirks = endpoint.quirks
        letter = _Letter(request, endpoint)
        body = {**quirks.extra_body, **letter.write()}
        streams = quirks.streams == "always" or (request.stream and quirks.streams == "both")
        verb = "converse-stream" if streams else "converse"
        return UpstreamRequest(
            method="POST",
            url=f"{endpoint.base_url}/model/{quote(endpoint.upstream_model, safe='')}/{verb}",
            headers={
                "content-type": "application/json",
                "accept": AWS_EVENT_STREAM if streams else "application/json",
                **quirks.extra_headers,
            },
            body=_encode(body),
            dropped=tuple(dict.fromkeys(letter.dropped)),
        )

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        return True

    def decoder(self, request: Request, endpoint: Endpoint) -> ConverseDecoder:
        tool = answer_tool(request, endpoint)
        return ConverseDecoder(endpoint, answer_tool=tool.name if tool is not None else None)


ADAPTER = ConverseAdapter()

_encode = msgspec.json.Encoder(decimal_format="number").encode

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASHED_ID_LENGTH = 32
_CACHE_POINT = {"cachePoint": {"type": "default"}}
_EFFORTS = ("low", "medium", "high")
_NO_PLACE = ("presence_penalty", "frequency_penalty", "top_logprobs", "image_config")

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


class _Letter:
    """One request body while it is written, and the names of what had no place in it."""

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self.request = request
        self.endpoint = endpoint
        self.quirks = endpoint.quirks
        self.dropped = [name for name in _NO_PLACE if getattr(request, name)]
        self._notes: list[str] = []
        self._has_marks = request.prompt_cache_key is not None and endpoint.quirks.has_cache_points
        self._titles: set[str] = set()

    def write(self) -> dict[str, Json]:
        request, quirks = self.request, self.quirks
        system, spoken = rounds(request)
        thinking, fields = self._thinking(spoken)
        plan = plan_tools(request, self.endpoint, may_force=not thinking.is_on, has_none=False)
        self.dropped += thinking.dropped + plan.dropped
        self._notes += plan.notes
        tools, output, inference = self._tools(plan), self._output(), self._inference(thinking, fields)
        body: dict[str, Json] = {}
        if text := "\n\n".join(part for part in (system, *self._notes) if part):
            body["system"] = [{"text": text}, *([_CACHE_POINT] if self._has_marks else [])]
        body["messages"] = self._messages(spoken)
        body |= {"inferenceConfig": inference} if inference else {}
        body |= {"toolConfig": tools} if tools else {}
        body |= {"additionalModelRequestFields": fields} if fields else {}
        body |= {"outputConfig": output} if output else {}
        self.dropped += user_names(request)
        if quirks.forwards_metadata and request.metadata:
            body["requestMetadata"] = request.metadata
        if request.prompt_cache_key is not None and not self._has_marks:
            self.dropped.append("prompt_cache_key")
        return body

    # Thinking and sampling

    def _thinking(self, spoken: list[Round]) -> tuple[Thinking, dict[str, Json]]:
        """What is said of thinking, and the model's own fields that say it."""
        style = self.quirks.thinking_style
        level = wanted_effort(self.request, self.endpoint)
        if level is not None and style in ("nova", "effort"):
            return self._effort(level, is_nova=style == "nova")
        thinking = plan_thinking(self.request, self.endpoint, spoken)
        fields: dict[str, Json] = {}
        # The field is unknown to other models; where thinking begins only when asked for, nothing need be said.
        if thinking.config is not None and (thinking.is_on or style == "adaptive"):
            fields["thinking"] = thinking.config
        if thinking.effort is not None:
            fields["output_config"] = {"effort": thinking.effort}
        return thinking, fields

    def _effort(self, level: Effort, *, is_nova: bool) -> tuple[Thinking, dict[str, Json]]:
        limit = self.request.max_output_tokens or 0
        if level == "none" and is_nova:
            return Thinking(limit), {"reasoningConfig": {"type": "disabled"}}
        sent = fitted_effort(level, self.endpoint, _EFFORTS)
        dropped = () if sent == level else ("reasoning.effort",)
        if is_nova:
            config = {"type": "enabled", "maxReasoningEffort": sent}
            return Thinking(limit, is_on=True, dropped=dropped), {"reasoningConfig": config}
        return Thinking(limit, dropped=dropped), {"reasoning_effort": sent}

    def _inference(self, thinking: Thinking, fields: dict[str, Json]) -> dict[str, Json]:
        request, quirks = self.request, self.quirks
        taken: dict[str, Json] = {}
        is_limited = request.max_output_tokens is not None and self.endpoint.takes("max_tokens")
        if is_limited or (thinking.config or {}).get("budget_tokens"):
            taken["maxTokens"] = thinking.max_tokens
        elif request.max_output_tokens is not None:
            self.dropped.append("max_output_tokens")
        if self._takes("temperature", thinking):
            most = min(quirks.max_temperature, 1.0)
            taken["temperature"] = min(request.temperature or 0.0, most)
            if request.temperature != taken["temperature"]:
                self.dropped.append("temperature")
        if self._takes("top_p", thinking):
            if quirks.temperature_excludes_top_p and "temperature" in taken:
                self.dropped.append("top_p")
            else:
                taken["topP"] = request.top_p
        if request.top_k and self._takes("top_k", thinking):
            is_nova = quirks.thinking_style == "nova"
            fields |= {"inferenceConfig": {"topK": request.top_k}} if is_nova else {"top_k": request.top_k}
        return taken

    def _takes(self, name: str, thinking: Thinking) -> bool:
        if getattr(self.request, name) is None:
            return False
        if thinking.is_on or not self.endpoint.takes(name) or (name == "top_k" and not self.quirks.has_top_k):
            self.dropped.append(name)
            return False
        return True

    # Tools

    def _tools(self, plan: ToolPlan) -> dict[str, Json]:
        written = [self._tool(tool) for tool in plan.tools]
        if plan.search is not None and self.request.max_tool_calls != 0:
            written.append(self._search(plan.search))
        if not written:
            return {}
        if self._has_marks:
            written.append(_CACHE_POINT)
        if self.request.parallel_tool_calls is False:
            self.dropped.append("parallel_tool_calls")
        if plan.choice is None:
            return {"tools": written}
        named = {"name": plan.choice.name} if plan.choice.kind == "tool" else {}
        return {"tools": written, "toolChoice": {plan.choice.kind: named}}

    def _tool(self, tool: FunctionTool) -> Json:
        schema = parameters_of(tool)
        written: dict[str, Json] = {"name": tool.name}
        if tool.description:
            written["description"] = tool.description
        if tool.strict and self.quirks.has_strict_tools and has_schemas(self.endpoint):
            return {"toolSpec": {**written, "inputSchema": {"json": closed(schema)}, "strict": True}}
        if tool.strict:
            self.dropped.append("tools.strict")
        return {"toolSpec": {**written, "inputSchema": {"json": schema}}}

    def _search(self, tool: SearchTool) -> Json:
        name = self.quirks.search_tool
        if not name or name.startswith("web_search"):
            raise Unprocessable(f"{self.endpoint.model.slug} cannot search the web at {self.endpoint.provider.name}")
        if tool.filters or tool.user_location:
            self.dropped.append("tools.web_search")
        return {"systemTool": {"name": name}}

    # The form of the text

    def _output(self) -> dict[str, Json]:
        text = self.request.text
        if text is None:
            return {}
        if text.verbosity:
            self.dropped.append("text.verbosity")
        form = text.format
        if isinstance(form, JsonObjectFormat):
            self._notes.append("Answer with nothing but one JSON object.")
            self.dropped.append("text.format")
        if not isinstance(form, JsonSchemaFormat) or not has_schemas(self.endpoint):
            return {}
        schema = closed(form.schema) if form.strict else form.schema
        named: dict[str, Json] = {"name": form.name, "schema": _encode(schema).decode()}
        if isinstance(form.description, str):
            named["description"] = form.description
        return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": named}}}

    # Rounds

    def _messages(self, spoken: list[Round]) -> list[Json]:
        written = [self._round(part) for part in spoken]
        if self._has_marks and written and written[-1]["role"] == "user":
            written[-1]["content"].append(_CACHE_POINT)
        return written

    def _round(self, part: Round) -> Json:
        if isinstance(part, UserRound):
            content = [*map(self._result, part.results), *map(self._part, part.parts)]
            if any("document" in block for block in content) and not any("text" in block for block in content):
                # A document without any text beside it is a 400.
                content.append({"text": "(See the document.)"})
            return {"role": "user", "content": content}
        blocks = [block for piece in part.pieces if (block := self._piece(piece)) is not None]
        return {"role": "assistant", "content": blocks or [{"text": "…"}]}

    def _piece(self, piece: Said | ReasoningItem | FunctionCallItem | ImageGenerationCall) -> Json:
        match piece:
            case Said(text=text):
                return {"text": text.rstrip()} if text.rstrip() else None
            case ReasoningItem():
                return self._thought(piece)
            case FunctionCallItem():
                called = {
                    "toolUseId": fitted_call_id(piece.call_id, _CALL_ID, _HASHED_ID_LENGTH),
                    "name": piece.name,
                    "input": arguments_object(piece.arguments),
                }
                return {"toolUse": called}
            case ImageGenerationCall():
                return None
            case _:
                assert_never(piece)

    def _thought(self, item: ReasoningItem) -> Json:
        thought = replayed(item, self.quirks)
        if thought is None:
            return None
        if thought.redacted:
            return {"reasoningContent": {"redactedContent": thought.redacted}}
        signed = {"signature": thought.signature} if thought.signature else {}
        return {"reasoningContent": {"reasoningText": {"text": thought.text, **signed}}}

    def _result(self, result: FunctionCallOutput) -> Json:
        output = result.output
        parts = (InputText(output),) if isinstance(output, str) else output
        content = [self._part(part) for part in parts if not isinstance(part, InputText) or part.text.strip()]
        call_id = fitted_call_id(result.call_id, _CALL_ID, _HASHED_ID_LENGTH)
        return {"toolResult": {"toolUseId": call_id, "content": content or [{"text": "(empty)"}]}}

    # Media

    def _part(self, part: InputPart) -> Json:
        match part:
            case InputText(text=text):
                return {"text": text}
            case InputImage(image_url=url):
                return self._image(self._inline(url, "image"))
            case InputFile():
                return self._file(part)
            case InputAudio():
                self._demand("audio")
                return {"audio": {"format": part.format, "source": {"bytes": part.data}}}
            case InputVideo(video_url=url):
                self._demand("video")
                found = self._inline(url, "video")
                return {"video": {"format": self._named(found, _VIDEO_FORMATS), "source": {"bytes": found.data}}}
            case _:
                assert_never(part)

    def _inline(self, url: str, kind: str) -> media.Inline:
        found = media.inline(url)
        if found is None:
            raise Unprocessable(f"{self.endpoint.provider.name} takes no links; send the {kind} as a data URL")
        return found

    def _image(self, found: media.Inline) -> Json:
        return {"image": {"format": self._named(found, _IMAGE_FORMATS), "source": {"bytes": found.data}}}

    def _file(self, part: InputFile) -> Json:
        found = media.inline_file(part)
        if found is None:
            raise Unprocessable(f"{self.endpoint.provider.name} takes no links; send the file as a data URL")
        if found.media_type.startswith("image/"):
            return self._image(found)
        is_plain = found.is_text and found.media_type not in _DOCUMENT_FORMATS
        form = "txt" if is_plain else self._named(found, _DOCUMENT_FORMATS)
        return {"document": {"format": form, "name": self._title(part.filename), "source": {"bytes": found.data}}}

    def _named(self, found: media.Inline, formats: dict[str, str]) -> str:
        form = formats.get(found.media_type)
        if form is None:
            raise Unprocessable(f"{self.endpoint.model.slug} takes nothing of type {found.media_type}")
        return form

    def _title(self, filename: str | None) -> str:
        """A document's name as the dialect wants it: few kinds of characters, single blanks, no two alike."""
        stem = (filename or "document").rpartition(".")[0] or filename or "document"
        tidy = " ".join(re.sub(r"[^A-Za-z0-9()\[\]-]+", " ", stem).split())[:180] or "document"
        title, number = tidy, 2
        while title in self._titles:
            title, number = f"{tidy} ({number})", number + 1
        self._titles.add(title)
        return title

    def _demand(self, modality: str) -> None:
        modalities = self.endpoint.input_modalities
        if modalities is None or modality not in modalities:
            raise Unprocessable(f"{self.endpoint.model.slug} takes no {modality} at {self.endpoint.provider.name}")
