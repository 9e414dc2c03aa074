"""Input and output items, their content parts and annotations, spelled as in the OpenAPI document.

One struct serves an item on both sides: what a client replays has the shape of what it was told. Rendering leaves out
fields that are `UNSET`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from trunkline.protocol.marks import CacheMark as CacheMark
from trunkline.protocol.opaque import AnthropicItem, ServerItem
from trunkline.protocol.opaque import Json as Json
from trunkline.protocol.tools import Tool

Role = Literal["user", "system", "developer", "assistant"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]
SearchStatus = Literal["in_progress", "searching", "completed", "failed"]
ImageStatus = Literal["in_progress", "generating", "completed", "failed"]
AudioFormat = Literal["mp3", "wav", "aac", "aiff", "flac", "m4a", "ogg"]
"""The first two are the contract's; the others are for endpoints that take them."""
ReasoningFormat = Literal[
    "unknown",
    "openai-responses-v1",
    "azure-openai-responses-v1",
    "xai-responses-v1",
    "anthropic-claude-v1",
    "google-gemini-v1",
]


# Content parts of the client's side


class InputText(Struct, frozen=True, gc=False, tag_field="type", tag="input_text"):
    text: str
    cache_control: CacheMark | UnsetType = UNSET


class InputImage(Struct, frozen=True, gc=False, tag_field="type", tag="input_image"):
    """An image by https link or data URL, or by a `gs://` link to Google's storage."""

    image_url: str
    detail: Literal["auto", "high", "low", "original"] = "auto"
    cache_control: CacheMark | UnsetType = UNSET


class InputFile(Struct, frozen=True, gc=False, tag_field="type", tag="input_file"):
    """A file; exactly one of `file_data` (data URL or bare base64) and `file_url` (a link, also `gs://`) is set."""

    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    cache_control: CacheMark | UnsetType = UNSET


class InputAudio(Struct, frozen=True, gc=False, tag_field="type", tag="input_audio"):
    """Audio as base64 without a data URL prefix; `format` is what its bytes say, else what the client says."""

    data: str
    format: AudioFormat


class InputVideo(Struct, frozen=True, gc=False, tag_field="type", tag="input_video"):
    """A video by link, also `gs://`, or data URL."""

    video_url: str


# Content parts of the model's side


class TopLogprob(Struct, frozen=True, gc=False):
    token: str
    bytes: tuple[int, ...]
    logprob: float


class Logprob(Struct, frozen=True, gc=False):
    token: str
    bytes: tuple[int, ...]
    logprob: float
    top_logprobs: tuple[TopLogprob, ...] = ()


class UrlCitation(Struct, frozen=True, gc=False, tag_field="type", tag="url_citation"):
    """A cited page; the indices are a half-open range of code points of the part's text."""

    url: str
    title: str
    start_index: int
    end_index: int


class FileCitation(Struct, frozen=True, gc=False, tag_field="type", tag="file_citation"):
    file_id: str
    filename: str
    index: int


class FilePath(Struct, frozen=True, gc=False, tag_field="type", tag="file_path"):
    file_id: str
    index: int


Annotation = UrlCitation | FileCitation | FilePath


class OutputText(Struct, frozen=True, gc=False, tag_field="type", tag="output_text"):
    text: str
    annotations: tuple[Annotation, ...] = ()
    logprobs: tuple[Logprob, ...] | UnsetType = UNSET
    cache_control: CacheMark | UnsetType = UNSET


class RefusalPart(Struct, frozen=True, gc=False, tag_field="type", tag="refusal"):
    refusal: str


class ReasoningText(Struct, frozen=True, gc=False, tag_field="type", tag="reasoning_text"):
    text: str


class SummaryText(Struct, frozen=True, gc=False, tag_field="type", tag="summary_text"):
    text: str


InputPart = InputText | InputImage | InputFile | InputAudio | InputVideo
MessagePart = InputPart | OutputText | RefusalPart
InputModality = Literal["image", "file", "audio", "video"]
"""What a model must read beside text."""


# Items


class Message(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="message"):
    """What somebody said. The parts of an assistant's message are output parts, those of the others input parts.

    `phase` is OpenAI's word for what a message of the assistant was to the turn, `commentary` or `final_answer`: its
    models stop early where they do not get it back.
    """

    id: str | UnsetType = UNSET
    role: Role
    status: ItemStatus | UnsetType = UNSET
    phase: str | UnsetType = UNSET
    content: tuple[MessagePart, ...]


class ReasoningItem(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="reasoning"):
    """What a model thought: raw text in `content`, the provider's summary in `summary`, opaque proof in the rest."""

    id: str | UnsetType = UNSET
    summary: tuple[SummaryText, ...] = ()
    content: tuple[ReasoningText, ...] | UnsetType = UNSET
    encrypted_content: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    format: ReasoningFormat | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET


class FunctionCallItem(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="function_call"):
    """A call of the client's tool; `arguments` is JSON text, `call_id` joins call and output.

    `namespace` is that of the tool, where it was offered in one. `anthropic` is what Anthropic said of it to a client
    of its own, as `caller`; no answer of ours has it here.
    """

    id: str | UnsetType = UNSET
    call_id: str
    name: str
    arguments: str
    namespace: str | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET
    cache_control: CacheMark | UnsetType = UNSET
    anthropic: dict[str, Json] | UnsetType = UNSET


class FunctionCallOutput(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="function_call_output"):
    """What the client's tool gave back: text, or parts where a client sends them. `is_error`: it says what failed."""

    id: str | UnsetType = UNSET
    call_id: str
    output: str | tuple[InputPart, ...]
    status: ItemStatus | UnsetType = UNSET
    is_error: bool | UnsetType = UNSET
    cache_control: CacheMark | UnsetType = UNSET


class CustomCallItem(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="custom_tool_call"):
    """A call of a client's tool that takes raw text."""

    id: str | UnsetType = UNSET
    call_id: str
    name: str
    input: str
    namespace: str | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET


class CustomCallOutput(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="custom_tool_call_output"):
    """What a client's tool that takes raw text gave back."""

    id: str | UnsetType = UNSET
    call_id: str
    output: str | tuple[InputPart, ...]
    status: ItemStatus | UnsetType = UNSET


class ToolSearchCallItem(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="tool_search_call"):
    """A search for more tools; `arguments` is an object, not text. The client's has a `call_id`, a server's none."""

    id: str | UnsetType = UNSET
    call_id: str | None = None
    execution: Literal["client", "server"] = "client"
    arguments: Json
    status: ItemStatus | UnsetType = UNSET


class ToolSearchOutput(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="tool_search_output"):
    """The tools that a search found; from here on they may be called."""

    id: str | UnsetType = UNSET
    call_id: str | None = None
    execution: Literal["client", "server"] = "client"
    tools: tuple[Tool, ...]
    status: ItemStatus | UnsetType = UNSET


class LocalShellCallItem(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="local_shell_call"):
    """A command for the client's shell; `action` is `{type: "exec", command: [...], ...}`."""

    id: str | UnsetType = UNSET
    call_id: str
    action: Json
    status: ItemStatus | UnsetType = UNSET


class LocalShellCallOutput(
    Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="local_shell_call_output"
):
    """What a command gave back; some clients name the call by `call_id`, OpenAI's schema by `id`."""

    id: str | UnsetType = UNSET
    call_id: str | UnsetType = UNSET
    output: str
    status: ItemStatus | UnsetType = UNSET


class AdditionalTools(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="additional_tools"):
    """Tools that are offered from here on, beside those of the request."""

    id: str | UnsetType = UNSET
    role: Literal["developer"] = "developer"
    tools: tuple[Tool, ...]


class EncryptedText(Struct, frozen=True, gc=False, tag_field="type", tag="encrypted_content"):
    """What an agent was told, as the model that told it wrote it: sealed by OpenAI's models, plain by all others."""

    encrypted_content: str


class AgentMessage(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="agent_message"):
    """What one of several agents says to another, as Codex tells it; the model hears it as words of the user."""

    id: str | UnsetType = UNSET
    author: str | UnsetType = UNSET
    recipient: str | UnsetType = UNSET
    content: tuple[InputPart | EncryptedText, ...]


class WebSource(Struct, frozen=True, gc=False, tag_field="type", tag="url"):
    """A page that a search found."""

    url: str


class Found(Struct, frozen=True, gc=False):
    """A page that a search found; `age` as its searcher says it, `sealed` what the searcher alone can read again."""

    url: str
    title: str = ""
    age: str | None = None
    sealed: str | None = None


class SearchAction(Struct, frozen=True, gc=False, tag_field="type", tag="search"):
    """What was looked for; `query` is empty where nobody says, `queries` are all of several.

    Clients demand the `query`: `openai` and `@openrouter/sdk`, seen 2026-11-28.
    """

    query: str
    queries: tuple[str, ...]
    sources: tuple[WebSource, ...] | UnsetType = UNSET


class OpenPageAction(Struct, frozen=True, gc=False, tag_field="type", tag="open_page"):
    """A page was read; only OpenAI's servers tell of it."""

    url: str | None = None


class FindInPageAction(Struct, frozen=True, gc=False, tag_field="type", tag="find_in_page"):
    """A page was looked through; only OpenAI's servers tell of it."""

    url: str
    pattern: str


PageAction = OpenPageAction | FindInPageAction


class WebSearchCall(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="web_search_call"):
    """A search of the web. Every answer's has an `action`, from its first event on; of a request it is not read.

    Without it a stream ends in the client's parser: https://github.com/openai/openai-java/issues/633 (2026-11-28).
    `results` are what a Messages client sends back of a search; no answer of ours has them here.
    """

    id: str | UnsetType = UNSET
    status: SearchStatus
    action: SearchAction | PageAction | UnsetType = UNSET
    results: tuple[Found, ...] | UnsetType = UNSET


class FileSearchCall(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="file_search_call"):
    id: str | UnsetType = UNSET
    queries: tuple[str, ...] = ()
    status: SearchStatus


class ImageGenerationCall(Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag="image_generation_call"):
    """A generated image; `result` is a data URL once there is one."""

    id: str | UnsetType = UNSET
    result: str | None = None
    status: ImageStatus


PlainItem = (
    Message
    | ReasoningItem
    | FunctionCallItem
    | FunctionCallOutput
    | WebSearchCall
    | FileSearchCall
    | ImageGenerationCall
)
"""The items that every dialect knows; `adapters/encoding/offers.py` tells the others in their words."""

OutputItem = (
    Message
    | ReasoningItem
    | FunctionCallItem
    | CustomCallItem
    | ToolSearchCallItem
    | LocalShellCallItem
    | WebSearchCall
    | FileSearchCall
    | ImageGenerationCall
    | ServerItem
)
InputItem = (
    PlainItem
    | CustomCallItem
    | CustomCallOutput
    | ToolSearchCallItem
    | ToolSearchOutput
    | LocalShellCallItem
    | LocalShellCallOutput
    | AdditionalTools
    | AgentMessage
    | ServerItem
    | AnthropicItem
)
