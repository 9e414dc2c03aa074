"""What goes over the wire to and from FakeProvider: one request, and the messages of its answers.

Only shapes: what the messages mean to a client is `adapters/fake/adapter.py`'s,
who says which of them when is `fakeprovider/script.py`'s.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from trunkline.protocol.items import Json
from trunkline.protocol.request import Effort
from trunkline.stream.deltas import StopReason

MAX_TOKENS = 100_000
"""No answer is longer, whatever is asked for: a whole one is made in memory."""


# The request


class Attachment(Struct, frozen=True):
    """A picture, file, sound or film of the last user message; `bytes` is None for a link."""

    media_type: str
    bytes: int | None = None
    url: str | None = None


class OfferedTool(Struct, frozen=True):
    name: str
    parameters: dict[str, Json]


class ToolResult(Struct, frozen=True):
    name: str
    output: str


class Replayed(Struct, frozen=True):
    """A thought of ours that the client sends back."""

    item_id: str
    blob: str


class FakeRequest(Struct, frozen=True, kw_only=True):
    """What FakeProvider is told of a client's request.

    `results` are those that came after the last user message; `tool` is the name a client insists on; `most_tokens` is
    where an answer is cut, by the client's limit or the model's own.
    """

    model: str
    stream: bool
    text: str
    input_tokens: int
    attachments: tuple[Attachment, ...] = ()
    tools: tuple[OfferedTool, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    tool: str | None = None
    may_call_many: bool = True
    results: tuple[ToolResult, ...] = ()
    form: Literal["text", "json_object", "json_schema"] = "text"
    schema: dict[str, Json] = {}
    effort: Effort | None = None
    wants_summary: bool = False
    wants_text: bool = True
    wants_images: bool = True
    aspect_ratio: str = "1:1"
    replayed: tuple[Replayed, ...] = ()
    stop: tuple[str, ...] | UnsetType = UNSET
    max_output_tokens: int | None = None
    most_tokens: int = MAX_TOKENS


# The answer


class Said(Struct, frozen=True, gc=False, tag_field="say", tag="text"):
    slot: int
    text: str


class Thought(Struct, frozen=True, gc=False, tag_field="say", tag="thought"):
    slot: int
    text: str


class Summed(Struct, frozen=True, gc=False, tag_field="say", tag="summary"):
    slot: int
    text: str
    part: int = 0


class Sealed(Struct, frozen=True, gc=False, tag_field="say", tag="seal"):
    slot: int
    item_id: str
    blob: str


class Called(Struct, frozen=True, gc=False, tag_field="say", tag="call"):
    slot: int
    call_id: str
    name: str


class Argued(Struct, frozen=True, gc=False, tag_field="say", tag="arguments"):
    slot: int
    text: str


class Refused(Struct, frozen=True, gc=False, tag_field="say", tag="refusal"):
    slot: int
    text: str


class Cited(Struct, frozen=True, gc=False, tag_field="say", tag="citation"):
    """A source of the code points `start` to `end` of the slot's text."""

    slot: int
    url: str
    title: str
    start: int
    end: int


class Searched(Struct, frozen=True, tag_field="say", tag="search"):
    slot: int
    status: Literal["in_progress", "completed", "failed"]
    queries: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Drawn(Struct, frozen=True, gc=False, tag_field="say", tag="image"):
    """A PNG as base64, or a sketch of it; an empty sketch says that drawing has begun."""

    slot: int
    base64: str
    is_final: bool


class Finished(Struct, frozen=True, gc=False, tag_field="say", tag="finished"):
    slot: int


class Counted(Struct, frozen=True, gc=False, tag_field="say", tag="usage"):
    input: int
    output: int
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    images: int = 0
    searches: int = 0


class Ended(Struct, frozen=True, gc=False, tag_field="say", tag="end"):
    reason: StopReason


class Broke(Struct, frozen=True, tag_field="say", tag="error"):
    """An error told after the answer began with status 200."""

    status: int
    message: str
    code: str = ""


FakeMessage = (
    Said
    | Thought
    | Summed
    | Sealed
    | Called
    | Argued
    | Refused
    | Cited
    | Searched
    | Drawn
    | Finished
    | Counted
    | Ended
    | Broke
)


class FakeAnswer(Struct, frozen=True):
    """A whole body: what would have been streamed."""

    messages: tuple[FakeMessage, ...]


read_request = msgspec.json.Decoder(FakeRequest).decode
read_message = msgspec.json.Decoder(FakeMessage).decode
read_answer = msgspec.json.Decoder(FakeAnswer).decode
write = msgspec.json.Encoder().encode


def tokens_of(text: str) -> int:
    """The tokens of a text as FakeProvider counts them: four characters each."""
    return -(-len(text) // 4)
