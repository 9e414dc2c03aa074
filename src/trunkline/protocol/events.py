"""The stream events: one type for each of the 27 of the OpenAPI document, and two for calls with raw text.

`sequence_number` counts every event of a stream from 0. Field order is the order on the wire.
"""

from __future__ import annotations

from msgspec import Struct

from trunkline.protocol.items import (
    Annotation,
    Logprob,
    OutputItem,
    OutputText,
    ReasoningText,
    RefusalPart,
    SummaryText,
)
from trunkline.protocol.response import Response

OutputPart = OutputText | RefusalPart | ReasoningText


class ResponseCreated(Struct, frozen=True, tag_field="type", tag="response.created"):
    sequence_number: int
    response: Response


class ResponseInProgress(Struct, frozen=True, tag_field="type", tag="response.in_progress"):
    sequence_number: int
    response: Response


class ResponseCompleted(Struct, frozen=True, tag_field="type", tag="response.completed"):
    sequence_number: int
    response: Response


class ResponseIncomplete(Struct, frozen=True, tag_field="type", tag="response.incomplete"):
    sequence_number: int
    response: Response


class ResponseFailed(Struct, frozen=True, tag_field="type", tag="response.failed"):
    sequence_number: int
    response: Response


class ErrorEvent(Struct, frozen=True, tag_field="type", tag="error"):
    sequence_number: int
    code: str | None
    message: str
    param: str | None


class OutputItemAdded(Struct, frozen=True, tag_field="type", tag="response.output_item.added"):
    sequence_number: int
    output_index: int
    item: OutputItem


class OutputItemDone(Struct, frozen=True, tag_field="type", tag="response.output_item.done"):
    sequence_number: int
    output_index: int
    item: OutputItem


class ContentPartAdded(Struct, frozen=True, tag_field="type", tag="response.content_part.added"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    part: OutputPart


class ContentPartDone(Struct, frozen=True, tag_field="type", tag="response.content_part.done"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    part: OutputPart


class OutputTextDelta(Struct, frozen=True, tag_field="type", tag="response.output_text.delta"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: tuple[Logprob, ...]


class OutputTextDone(Struct, frozen=True, tag_field="type", tag="response.output_text.done"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: tuple[Logprob, ...]


class AnnotationAdded(Struct, frozen=True, tag_field="type", tag="response.output_text.annotation.added"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    annotation_index: int
    annotation: Annotation


class RefusalDelta(Struct, frozen=True, tag_field="type", tag="response.refusal.delta"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str


class RefusalDone(Struct, frozen=True, tag_field="type", tag="response.refusal.done"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    refusal: str


class ArgumentsDelta(Struct, frozen=True, tag_field="type", tag="response.function_call_arguments.delta"):
    sequence_number: int
    item_id: str
    output_index: int
    delta: str


class ArgumentsDone(Struct, frozen=True, tag_field="type", tag="response.function_call_arguments.done"):
    sequence_number: int
    item_id: str
    output_index: int
    name: str
    arguments: str


class CustomInputDelta(Struct, frozen=True, tag_field="type", tag="response.custom_tool_call_input.delta"):
    sequence_number: int
    item_id: str
    output_index: int
    delta: str


class CustomInputDone(Struct, frozen=True, tag_field="type", tag="response.custom_tool_call_input.done"):
    sequence_number: int
    item_id: str
    output_index: int
    input: str


class ReasoningTextDelta(Struct, frozen=True, tag_field="type", tag="response.reasoning_text.delta"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    delta: str


class ReasoningTextDone(Struct, frozen=True, tag_field="type", tag="response.reasoning_text.done"):
    sequence_number: int
    item_id: str
    output_index: int
    content_index: int
    text: str


class SummaryPartAdded(Struct, frozen=True, tag_field="type", tag="response.reasoning_summary_part.added"):
    sequence_number: int
    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText


class SummaryPartDone(Struct, frozen=True, tag_field="type", tag="response.reasoning_summary_part.done"):
    sequence_number: int
    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText


class SummaryTextDelta(Struct, frozen=True, tag_field="type", tag="response.reasoning_summary_text.delta"):
    sequence_number: int
    item_id: str
    output_index: int
    summary_index: int
    delta: str


class SummaryTextDone(Struct, frozen=True, tag_field="type", tag="response.reasoning_summary_text.done"):
    sequence_number: int
    item_id: str
    output_index: int
    summary_index: int
    text: str


class ImageInProgress(Struct, frozen=True, tag_field="type", tag="response.image_generation_call.in_progress"):
    sequence_number: int
    item_id: str
    output_index: int


class ImageGenerating(Struct, frozen=True, tag_field="type", tag="response.image_generation_call.generating"):
    sequence_number: int
    item_id: str
    output_index: int


class ImagePartial(Struct, frozen=True, tag_field="type", tag="response.image_generation_call.partial_image"):
    sequence_number: int
    item_id: str
    output_index: int
    partial_image_index: int
    partial_image_b64: str


class ImageCompleted(Struct, frozen=True, tag_field="type", tag="response.image_generation_call.completed"):
    sequence_number: int
    item_id: str
    output_index: int


Event = (
    ResponseCreated
    | ResponseInProgress
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
    | ErrorEvent
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | OutputTextDone
    | AnnotationAdded
    | RefusalDelta
    | RefusalDone
    | ArgumentsDelta
    | ArgumentsDone
    | CustomInputDelta
    | CustomInputDone
    | ReasoningTextDelta
    | ReasoningTextDone
    | SummaryPartAdded
    | SummaryPartDone
    | SummaryTextDelta
    | SummaryTextDone
    | ImageInProgress
    | ImageGenerating
    | ImagePartial
    | ImageCompleted
)

Terminal = ResponseCompleted | ResponseIncomplete | ResponseFailed | ErrorEvent
