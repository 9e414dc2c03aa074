"""The items of a Responses answer → deltas, as far as they have not been told yet.

Of a text, a thought or a call that came in pieces, the event that ends it, the finished item and the final response
all say the same again; each goes through the method of its kind here, and what is in `heard` is told no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from msgspec import Raw

from trunkline.adapters.decoding.calls import says_nothing
from trunkline.adapters.decoding.faults import nonsense
from trunkline.adapters.decoding.logprobs import as_logprobs
from trunkline.adapters.decoding.searches import links, results
from trunkline.adapters.responses.wire import (
    Action,
    Item,
    Look,
    Part,
    decode_action,
    decode_annotation,
    read_item,
    read_look,
)
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import FindInPageAction, Json, OpenPageAction, PageAction, ReasoningFormat
from trunkline.protocol.opaque import ServerItem
from trunkline.stream.deltas import (
    Arguments,
    CallKind,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Opaque,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Slot,
    Text,
)
from trunkline.stream.seals import format_named


class Items:
    """What has been told of each slot of one answer: kind of piece, slot and number, in `heard`.

    A method named after a kind of item or part tells what of it is not told yet.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        # A provider may speak several dialects, and its row names the issuer for another one.
        issuer = format_named(endpoint.quirks.reasoning_format)
        self._format: ReasoningFormat = issuer if issuer.endswith("-responses-v1") else "unknown"
        self._cited: dict[Slot, int] = {}
        self._held: dict[Slot, list[str]] = {}
        self.heard: set[tuple[str, Slot, int]] = set()
        self.images = 0
        self.searches = 0

    @property
    def has_nameless_arguments(self) -> bool:
        """Whether something was said for a call that nobody named."""
        return any(not says_nothing("".join(pieces)) for pieces in self._held.values())

    def begun(self, slot: Slot, raw: Raw) -> list[Delta]:
        """Tell what an item that begins shows already."""
        look = read_look(raw)
        kind = kind_of(look)
        if kind is not None:
            return self.call(slot, read_item(raw), kind)
        match look.type:
            case "web_search_call":
                self.heard.add(("search", slot, 0))
                return [_web_search(slot, "in_progress", decode_action(read_item(raw).action))]
            case "file_search_call":
                self.heard.add(("search", slot, 0))
                return [Search(slot, "file", "in_progress")]
            case "image_generation_call":
                self.heard.add(("sketch", slot, 0))
                return [Image(slot, "", False)]
            case "message" | "reasoning":
                return []
            case _:
                return self.opaque(slot, raw, is_done=False)

    def finished(self, slot: Slot, raw: Raw, look: Look) -> list[Delta] | None:
        """Tell what a finished item has that was not told; None for a kind that the client's side does not have."""
        kind = kind_of(look)
        if kind is not None:
            return self.whole_call(slot, read_item(raw), kind)
        decode = _ITEMS.get(look.type or "")
        return self.opaque(slot, raw, is_done=True) or None if decode is None else decode(self, slot, read_item(raw))

    def opaque(self, slot: Slot, raw: Raw, *, is_done: bool) -> list[Delta]:
        if read_look(raw).type not in _OPENAIS_OWN:
            return []
        self.heard.add(("opaque", slot, 0))
        return [Opaque(slot, ServerItem(msgspec.json.decode(raw)), is_done)]

    def annotation(self, slot: Slot, told: Json) -> list[Delta]:
        self._cited[slot] = self._cited.get(slot, 0) + 1
        annotation = decode_annotation(told)
        return [Citation(slot, annotation)] if annotation else []

    def message(self, slot: Slot, item: Item) -> list[Delta]:
        deltas: list[Delta] = []
        for index, part in enumerate(item.content or ()):
            deltas += self.part(part_slot(slot, index), part)
            if index:
                deltas.append(Closed(part_slot(slot, index)))
        return deltas

    def part(self, slot: Slot, part: Part) -> list[Delta]:
        if part.type == "refusal":
            return [Refusal(slot, part.refusal)] if part.refusal and self._is_news("refusal", slot) else []
        if part.type not in ("output_text", "text"):  # Azure has the shorter names too
            return []
        deltas: list[Delta] = []
        if part.text and self._is_news("text", slot):
            deltas.append(Text(slot, part.text, as_logprobs(part.logprobs) if part.logprobs else ()))
        annotations = part.annotations or ()
        for told in annotations[self._cited.get(slot, 0) :]:
            annotation = decode_annotation(told)
            if annotation:
                deltas.append(Citation(slot, annotation))
        self._cited[slot] = max(self._cited.get(slot, 0), len(annotations))
        return deltas

    def reasoning(self, slot: Slot, item: Item) -> list[Delta]:
        deltas: list[Delta] = []
        for index, part in enumerate(item.summary or ()):
            deltas += self.summary(slot, index, part.text)
        for index, part in enumerate(item.content or ()):
            deltas += self.thought(slot, index, part.text)
        if item.encrypted_content:
            blob, home, origin = item.encrypted_content, self._endpoint.id, item.id or ""
            deltas.append(ReasoningSeal(slot, blob, format=self._format, endpoint_id=home, item_id=origin))
        elif self._format != "unknown" and any(kind in _THOUGHT and at == slot for kind, at, _ in self.heard):
            deltas.append(ReasoningSeal(slot, format=self._format))
        return deltas

    def summary(self, slot: Slot, index: int, text: str | None) -> list[Delta]:
        return [ReasoningSummary(slot, text, index)] if text and self._is_news("summary", slot, index) else []

    def thought(self, slot: Slot, index: int, text: str | None) -> list[Delta]:
        return [Reasoning(slot, text)] if text and self._is_news("reasoning", slot, index) else []

    def whole_call(self, slot: Slot, item: Item, kind: CallKind) -> list[Delta]:
        item.call_id = item.call_id or item.id
        deltas = self.call(slot, item, kind)
        said = {"custom": item.input, "local_shell": item.action}.get(kind, item.arguments) or ""
        if ("call", slot, 0) not in self.heard:
            if not item.name and says_nothing(json_text(said)) and not self._held.get(slot):
                return []
            return [Failed(nonsense("a function call has no name or no call_id"))]
        if said and ("arguments", slot, 0) not in self.heard:
            deltas += self.arguments(slot, json_text(said))
        return deltas

    def call(self, slot: Slot, item: Item, kind: CallKind) -> list[Delta]:
        name = item.name or _NAMES.get(kind, "")
        if not (name and item.call_id) or not self._is_news("call", slot):
            return []
        held = self._held.pop(slot, ())
        call = FunctionCall(slot, item.call_id, name, kind, item.namespace or "")
        return [call, *(Arguments(slot, text) for text in held)]

    def arguments(self, slot: Slot, text: str) -> list[Delta]:
        self.heard.add(("arguments", slot, 0))
        if ("call", slot, 0) in self.heard:
            return [Arguments(slot, text)]
        self._held.setdefault(slot, []).append(text)
        return []

    def web_search(self, slot: Slot, item: Item) -> list[Delta]:
        # Opening a page or looking for a word in it comes as a search call as well, but is not billed as one.
        action = decode_action(item.action)
        if item.status != "failed" and action.type in (None, "search"):
            self.searches += 1
        return [_web_search(slot, "failed" if item.status == "failed" else "completed", action)]

    def file_search(self, slot: Slot, item: Item) -> list[Delta]:
        status: Literal["failed", "completed"] = "failed" if item.status == "failed" else "completed"
        return [Search(slot, "file", status, tuple(item.queries or ()))]

    def image(self, slot: Slot, item: Item) -> list[Delta]:
        if not item.result:
            return []
        self.images += 1
        head, comma, _ = item.result[:64].partition(",")
        if head.startswith("data:") and comma:
            return [Image(slot, item.result[len(head) + 1 :], True, head[5:].partition(";")[0] or "image/png")]
        return [Image(slot, item.result, True, media_type(item.output_format))]

    def _is_news(self, kind: str, slot: Slot, index: int = 0) -> bool:
        key = (kind, slot, index)
        if key in self.heard:
            return False
        self.heard.add(key)
        return True


def _web_search(slot: Slot, status: Literal["in_progress", "failed", "completed"], action: Action) -> Search:
    queries, sources = tuple(action.queries or ()), links(action.sources)
    found = results(action.sources)
    return Search(slot, "web", status, queries, action.query or "", sources, _visit(action), found)


def _visit(action: Action) -> PageAction | None:
    match action.type:
        case "open_page":
            return OpenPageAction(action.url)
        case "find_in_page":
            return FindInPageAction(action.url or "", action.pattern or "")
        case _:
            return None


_THOUGHT = frozenset({"reasoning", "summary"})

_ITEMS: Mapping[str, Callable[[Items, Slot, Item], list[Delta]]] = {
    "message": Items.message,
    "reasoning": Items.reasoning,
    "web_search_call": Items.web_search,
    "file_search_call": Items.file_search,
    "image_generation_call": Items.image,
}


_KINDS: Mapping[str | None, CallKind] = {
    "function_call": "function",
    "custom_tool_call": "custom",
    "tool_search_call": "tool_search",
    "local_shell_call": "local_shell",
}
_NAMES: Mapping[CallKind, str] = {"tool_search": "tool_search", "local_shell": "local_shell"}

_OPENAIS_OWN = frozenset(
    {
        "additional_tools",
        "apply_patch_call",
        "apply_patch_call_output",
        "code_interpreter_call",
        "compaction",
        "computer_call",
        "computer_call_output",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "shell_call",
        "shell_call_output",
        "tool_search_call",
        "tool_search_output",
    }
)
"""Items that pass as they are: of `ResponseOutputItem` in the SDK `openai` 3.54.0 (seen 2026-11-27) those that are not
ours. They come only where a request holds a tool of OpenAI's own. What other servers invent is dropped: clients that
did not ask for it fail at kinds that they do not know."""


def kind_of(look: Look) -> CallKind | None:
    """Which call of the client's an item is; None for what is none, as a search for tools that the server makes."""
    return None if look.type == "tool_search_call" and look.execution == "server" else _KINDS.get(look.type)


def part_slot(slot: Slot, index: int) -> Slot:
    # Offsets of citations count within a part, so a second part must not run on in the first one's slot.
    return (slot, index) if index else slot


def json_text(arguments: Json) -> str:
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


def media_type(output_format: str | None) -> str:
    return f"image/{output_format or 'png'}"
