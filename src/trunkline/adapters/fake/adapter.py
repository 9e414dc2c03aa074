"""Speaks to FakeProvider, which answers in this process, needs no key and says the same thing every time.

It is an upstream like any other: its requests and answers are bytes and go through the same framing, decoding and
assembling. What it answers is decided in `fakeprovider/script.py` and described in docs/reference/fake-provider.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from msgspec import UNSET
from msgspec.structs import replace

from trunkline.adapters import media
from trunkline.adapters.contract import Adapter, Decoder
from trunkline.adapters.decoding import faults
from trunkline.adapters.encoding.histories import settled
from trunkline.adapters.encoding.tools import tool_schema
from trunkline.adapters.encoding.turns import assistant_text, call_names, result_text
from trunkline.adapters.fake import wire
from trunkline.adapters.fake.wire import Attachment, FakeMessage, FakeRequest, OfferedTool, ToolResult, tokens_of
from trunkline.adapters.thinking import effort, lost_proofs, replayable, thought_text
from trunkline.catalog.abilities import unspoken
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import (
    Found,
    FunctionCallItem,
    FunctionCallOutput,
    InputAudio,
    InputFile,
    InputImage,
    InputVideo,
    Message,
    MessagePart,
    ReasoningItem,
    UrlCitation,
)
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionChoice, FunctionTool, JsonObjectFormat, JsonSchemaFormat
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.wire import UNREADABLE, Fault, UpstreamRequest, WireMessage

ATTACHMENT_TOKENS = 85
"""What every attachment counts, whatever its size."""


class FakeAdapter(Adapter):
    """The adapter of the `fake` dialect."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        return UpstreamRequest(
            method="POST",
            url=f"{endpoint.base_url}/answers",
            headers={"content-type": "application/json"},
            body=wire.write(_encode(request, endpoint)),
            dropped=(*lost_proofs(request, endpoint), *unspoken(request, endpoint)),
        )

    def encode_listing(self, endpoint: Endpoint) -> None:
        """It has no key, and its models are the catalog's."""

    def decoder(self, request: Request, endpoint: Endpoint) -> FakeDecoder:
        return FakeDecoder(endpoint)


ADAPTER = FakeAdapter()


# Request out


def _encode(request: Request, endpoint: Endpoint) -> FakeRequest:
    request = replace(request, input=settled(request.input))
    last = max((at for at, item in enumerate(request.input) if _is_users(item)), default=-1)
    asked = request.input[last] if last >= 0 else None
    parts = asked.content if isinstance(asked, Message) else ()
    choice = request.tool_choice
    form = request.text.format if request.text else None
    wanted = effort(request.reasoning, request.max_output_tokens)
    return FakeRequest(
        model=endpoint.upstream_model,
        stream=request.stream,
        text=assistant_text(parts),
        input_tokens=_input_tokens(request),
        attachments=tuple(_attachments(parts)),
        tools=tuple(
            OfferedTool(tool.name, tool_schema(tool, endpoint, may_be_strict=True).parameters)
            for tool in request.tools
            if isinstance(tool, FunctionTool)
        ),
        tool_choice=choice if isinstance(choice, str) else "auto",
        tool=choice.name if isinstance(choice, FunctionChoice) else None,
        may_call_many=request.parallel_tool_calls is not False,
        results=tuple(_results(request, last)),
        form=_form(form),
        schema=form.schema if isinstance(form, JsonSchemaFormat) else {},
        effort=wanted,
        wants_summary=bool(request.reasoning and request.reasoning.summary),
        wants_text=request.modalities != ("image",),
        wants_images=request.modalities != ("text",),
        aspect_ratio=str((request.image_config or {}).get("aspect_ratio", "1:1")),
        replayed=tuple(_replayed(request, endpoint)),
        stop=request.stop or UNSET,
        max_output_tokens=request.max_output_tokens,
        most_tokens=min(request.max_output_tokens or wire.MAX_TOKENS, endpoint.max_output_tokens or wire.MAX_TOKENS),
    )


_ATTACHED = (InputImage, InputFile, InputAudio, InputVideo)


def _is_users(item: object) -> bool:
    return isinstance(item, Message) and item.role == "user"


def _form(form: object) -> Literal["text", "json_object", "json_schema"]:
    if isinstance(form, JsonSchemaFormat):
        return "json_schema"
    return "json_object" if isinstance(form, JsonObjectFormat) else "text"


def _results(request: Request, last: int) -> Iterator[ToolResult]:
    names = call_names(request.input)
    for item in request.input[last + 1 :]:
        if isinstance(item, FunctionCallOutput):
            yield ToolResult(names.get(item.call_id, "tool"), result_text(item))


def _replayed(request: Request, endpoint: Endpoint) -> Iterator[wire.Replayed]:
    for item in request.input:
        if isinstance(item, ReasoningItem) and item.encrypted_content:
            proof = replayable(item, endpoint)
            if proof is not None and proof.blob:
                yield wire.Replayed(proof.item_id, proof.blob)


def _attachments(parts: Sequence[MessagePart]) -> Iterator[Attachment]:
    for part in parts:
        match part:
            case InputImage():
                yield _attachment(media.inline(part.image_url), part.image_url, "image")
            case InputFile():
                link = media.file_link(part)
                yield _attachment(media.inline_file(part), link or "", media.media_type_of(link or "") or "file")
            case InputAudio():
                yield Attachment(f"audio/{part.format}", len(part.data) * 3 // 4)
            case InputVideo():
                yield _attachment(media.inline(part.video_url), part.video_url, "video")
            case _:
                pass


def _attachment(inline: media.Inline | None, link: str, kind: str) -> Attachment:
    if inline is None:
        return Attachment(kind, url=link)
    return Attachment(inline.media_type, inline.size_bytes)


def _input_tokens(request: Request) -> int:
    """Count the words of the request: instructions, tools and every item."""
    tokens = tokens_of(request.instructions or "")
    for tool in request.tools:
        tokens += tokens_of(wire.write(tool).decode())
    for item in request.input:
        match item:
            case Message():
                tokens += tokens_of(assistant_text(item.content))
                tokens += ATTACHMENT_TOKENS * sum(isinstance(part, _ATTACHED) for part in item.content)
            case FunctionCallItem():
                tokens += tokens_of(item.name) + tokens_of(item.arguments)
            case FunctionCallOutput():
                tokens += tokens_of(result_text(item))
            case ReasoningItem():
                tokens += tokens_of(thought_text([item]))
            case _:
                pass
    return tokens


# Answer in


class FakeDecoder(Decoder):
    """The state of one answer."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.is_done = False

    def message(self, message: WireMessage) -> Iterable[Delta]:
        if self.is_done:
            return ()
        try:
            said = wire.read_message(message.data)
        except UNREADABLE as error:
            return self._failed(faults.nonsense(f"a message could not be read: {error}", message.data))
        return self._decode(said)

    def whole(self, body: bytes) -> Iterable[Delta]:
        try:
            answer = wire.read_answer(body)
        except UNREADABLE as error:
            return self._failed(faults.nonsense(f"the answer could not be read: {error}", body))
        deltas: list[Delta] = []
        for said in answer.messages:
            deltas += self._decode(said)
        return deltas

    def _decode(self, said: FakeMessage) -> Sequence[Delta]:
        if self.is_done:
            return ()
        if type(said) is wire.Broke:
            error = {"code": said.code or None, "status": said.status, "message": said.message}
            return self._failed(faults.fault_of_error(error, self._endpoint.quirks))
        self.is_done = type(said) is wire.Ended
        return (_DECODE[type(said)](said, self._endpoint),)

    def _failed(self, fault: Fault) -> Sequence[Delta]:
        self.is_done = True
        return (Failed(fault),)


def _decode_seal(said: wire.Sealed, endpoint: Endpoint) -> Delta:
    return ReasoningSeal(said.slot, said.blob, endpoint_id=endpoint.id, item_id=said.item_id)


def _decode_citation(said: wire.Cited, endpoint: Endpoint) -> Delta:
    return Citation(said.slot, UrlCitation(said.url, said.title, said.start, said.end))


def _decode_usage(said: wire.Counted, endpoint: Endpoint) -> Delta:
    return Spent(
        Usage(
            input_tokens=said.input,
            cache_read_tokens=said.cached,
            cache_write_tokens=said.cache_write,
            output_tokens=said.output,
            reasoning_tokens=said.reasoning,
            images=said.images,
            searches=said.searches,
        )
    )


_DECODE: dict[type, Callable[..., Delta]] = {
    wire.Said: lambda said, _: Text(said.slot, said.text),
    wire.Thought: lambda said, _: Reasoning(said.slot, said.text),
    wire.Summed: lambda said, _: ReasoningSummary(said.slot, said.text, said.part),
    wire.Sealed: _decode_seal,
    wire.Called: lambda said, _: FunctionCall(said.slot, said.call_id, said.name),
    wire.Argued: lambda said, _: Arguments(said.slot, said.text),
    wire.Refused: lambda said, _: Refusal(said.slot, said.text),
    wire.Cited: _decode_citation,
    wire.Searched: lambda said, _: Search(
        said.slot, "web", said.status, said.queries, sources=said.sources, results=tuple(map(Found, said.sources))
    ),
    wire.Drawn: lambda said, _: Image(said.slot, said.base64, said.is_final),
    wire.Finished: lambda said, _: Closed(said.slot),
    wire.Counted: _decode_usage,
    wire.Ended: lambda said, _: Stopped(said.reason),
}
