"""The things a model can say, provider-neutral; what adapters make and the assembler turns into events.

A slot is the provider's own name for a piece of output: deltas with the same slot belong to the same piece. Slots of
text, reasoning and calls share one namespace per kind only, so a decoder may use plain indices.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from trunkline.money import NanoUsd
from trunkline.protocol.items import Annotation, Logprob, PageAction, ReasoningFormat
from trunkline.protocol.items import Found as Found
from trunkline.protocol.opaque import AnthropicItem, Json, ServerItem
from trunkline.wire import Fault

Slot = Hashable
StopReason = Literal["stop", "length", "content_filter", "calls"]
ServedTier = Literal["auto", "default", "flex", "priority", "scale", "ultrafast"]
CallKind = Literal["function", "custom", "tool_search", "local_shell"]
"""Which of the client's tools is called: one that takes JSON, raw text, a search for more tools, or its shell."""


class Usage(Struct, frozen=True):
    """What was consumed, as one vector whose parts are never counted twice by price.

    `input_tokens` holds everything read, cached and cache-written tokens included; `output_tokens` everything
    generated, reasoning included. `cache_write_1h_tokens` are those of `cache_write_tokens` that are kept for an hour,
    `audio_cached_tokens` those of `audio_input_tokens` that stand in `cache_read_tokens` as well, and
    `image_output_tokens` those of `output_tokens` that draw. `images` counts the pictures they make. `estimated` says
    that the provider gave no count that can be believed. `upstream_cost_usd` is the provider's own figure where it
    gives one.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    images: int = 0
    searches: int = 0
    estimated: bool = False
    upstream_cost_usd: Decimal | None = None
    cache_write_1h_tokens: int = 0
    audio_cached_tokens: int = 0
    image_output_tokens: int = 0


class Cost(Struct, frozen=True):
    """What an answer costs its client: `total` is None when the endpoint has no price and its provider told none.

    `input`, `output` and `fees` add up to it; where the client's own key paid, to `upstream`, which is set only then.
    Of several turns they are the sums, with what is paid for searches, whoever paid for each turn.
    `told` is what the provider says it was.
    """

    total: NanoUsd | None
    input: NanoUsd
    output: NanoUsd
    is_byok: bool = False
    upstream: NanoUsd | None = None
    fees: NanoUsd = 0
    told: NanoUsd | None = None


class Began(Struct, frozen=True):
    """The first delta of every answer; `model` is the slug that answers, in our spelling."""

    model: str


class Text(Struct, frozen=True):
    slot: Slot
    text: str
    logprobs: tuple[Logprob, ...] = ()


class Refusal(Struct, frozen=True):
    slot: Slot
    text: str


class Reasoning(Struct, frozen=True):
    """Raw thought."""

    slot: Slot
    text: str


class ReasoningSummary(Struct, frozen=True):
    """A piece of the provider's summary of a thought; a change of `part` begins the next summary part."""

    slot: Slot
    text: str
    part: int = 0


class ReasoningSeal(Struct, frozen=True):
    """Opaque proof that belongs to a reasoning item, byte for byte as it came; opens the item if nothing did.

    `is_awaited` brings none: it says that one may still come, after the text that the thought led to. `endpoint_id` is
    that of who gave it, `item_id` what they call the thought; `is_bound`: it is good nowhere else, whatever its format.
    Tagging it for clients is `seals.py`'s.
    """

    slot: Slot
    encrypted: str | None = None
    signature: str | None = None
    format: ReasoningFormat = "unknown"
    is_awaited: bool = False
    endpoint_id: str = ""
    item_id: str = ""
    is_bound: bool = False


class Phase(Struct, frozen=True):
    """What the message in `slot` is to the turn, as its provider says; told before the message, or while it is open.

    None says that it is nothing told, where the message before it was.
    """

    slot: Slot
    phase: str | None


class FunctionCall(Struct, frozen=True):
    """A call begins; its arguments follow as `Arguments` with the same slot, raw text where it is a `custom` one.

    `anthropic` is what Anthropic says of it to its own clients, as `caller`, which they send back.
    """

    slot: Slot
    call_id: str
    name: str
    kind: CallKind = "function"
    namespace: str = ""
    anthropic: dict[str, Json] | None = None


class Arguments(Struct, frozen=True):
    slot: Slot
    text: str


class Citation(Struct, frozen=True):
    """An annotation of the text in `slot`."""

    slot: Slot
    annotation: Annotation


class Search(Struct, frozen=True):
    """A search that was run; first heard it opens an item, `completed` or `failed` closes it.

    What is looked for is one `query` or several `queries`, known first or last or never; `sources` are the addresses of
    what was found, `results` the same with all that is known of them. `visit`: it was no search, but a page was read or
    looked through.
    """

    slot: Slot
    kind: Literal["web", "file"]
    status: Literal["in_progress", "searching", "completed", "failed"]
    queries: tuple[str, ...] = ()
    query: str = ""
    sources: tuple[str, ...] = ()
    visit: PageAction | None = None
    results: tuple[Found, ...] = ()


class Image(Struct, frozen=True):
    """A picture or a sketch of it, as base64; the first `Image` of a slot opens its item.

    An empty `base64` that is not final says only that work has begun.
    """

    slot: Slot
    base64: str
    final: bool
    media_type: str = "image/png"


class Opaque(Struct, frozen=True):
    """An item that only its maker and clients of that maker's know, as it was heard; the last one of a slot counts."""

    slot: Slot
    item: ServerItem | AnthropicItem
    is_done: bool


class Closed(Struct, frozen=True):
    """The provider says that nothing more comes for `slot`. Optional: what is open when the answer ends is closed."""

    slot: Slot


class Spent(Struct, frozen=True):
    """What the answer consumed so far, and in which tier of service; the last one heard counts.

    The contract has no word for `ultrafast`, which costs several times what `priority` does.
    """

    usage: Usage
    cost: Cost | None = None
    service_tier: ServedTier | None = None


class Stopped(Struct, frozen=True):
    """The model ended its turn. An answer without it was cut off.

    `sequence` is the client's stop text that ended it, where that is known. `anthropic` is what Anthropic says of the
    answer to its own clients: `container`, `context_management` and `diagnostics`, and `stop_reason` and `stop_details`
    where they say more.
    """

    reason: StopReason
    sequence: str | None = None
    anthropic: dict[str, Json] | None = None


class Failed(Struct, frozen=True):
    """The provider broke off; never reaches the assembler."""

    fault: Fault


Delta = (
    Began
    | Text
    | Refusal
    | Reasoning
    | ReasoningSummary
    | ReasoningSeal
    | Phase
    | FunctionCall
    | Arguments
    | Citation
    | Search
    | Image
    | Opaque
    | Closed
    | Spent
    | Stopped
    | Failed
)
