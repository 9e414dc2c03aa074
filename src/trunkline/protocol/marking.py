"""Where a request is marked for a provider's cache.

A mark stands on what it ends, and is kept there or taken away, never moved. What one is tells `marks.py`; who takes
how many is told elsewhere, and every dialect writes them in its own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from trunkline.protocol.items import (
    AdditionalTools,
    AgentMessage,
    CustomCallOutput,
    FunctionCallItem,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    Message,
    OutputText,
    ToolSearchOutput,
)
from trunkline.protocol.marks import CacheMark
from trunkline.protocol.opaque import AnthropicItem, AnthropicTool
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, NamespaceTool, SearchTool, Tool

_Spoken = InputText | InputImage | InputFile | OutputText | FunctionCallItem | FunctionCallOutput
Carrier = _Spoken | FunctionTool | SearchTool | AnthropicTool | AnthropicItem
"""What can carry a mark; the last two carry it as their client wrote it."""

_C = TypeVar("_C", bound=Carrier)
_S = TypeVar("_S", bound=_Spoken)
_T = TypeVar("_T")
_CARRYING_PARTS: Final[frozenset[type]] = frozenset({InputText, InputImage, InputFile, OutputText})


def has_marks(input: Iterable[InputItem], tools: Iterable[Tool]) -> bool:
    """Whether anything carries a mark; on the path of every request, and asked once by whoever reads one."""
    for item in input:
        kind = type(item)
        if kind is Message or kind is AgentMessage:
            if _is_any_marked(item.content):  # type: ignore[union-attr,arg-type]  # narrowed by identity, for speed
                return True
        elif kind is FunctionCallItem:
            if item.cache_control is not UNSET:  # type: ignore[union-attr]
                return True
        elif kind is FunctionCallOutput or kind is CustomCallOutput:
            if type(item.output) is tuple and _is_any_marked(item.output):  # type: ignore[union-attr]
                return True
            if kind is FunctionCallOutput and item.cache_control is not UNSET:  # type: ignore[union-attr]
                return True
        elif kind is AnthropicItem:
            if mark_of(item) is not UNSET:
                return True
        elif (kind is AdditionalTools or kind is ToolSearchOutput) and has_marks((), item.tools):  # type: ignore[union-attr]
            return True
    for tool in tools:
        if type(tool) is NamespaceTool:
            if has_marks((), tool.tools):
                return True
        elif mark_of(tool) is not UNSET:
            return True
    return False


def mark_of(said: object) -> CacheMark | UnsetType:
    """The mark that something carries."""
    if isinstance(said, AnthropicTool | AnthropicItem):
        told = said.get("cache_control")
        return (
            UNSET if told is None else CacheMark("1h" if isinstance(told, dict) and told.get("ttl") == "1h" else None)
        )
    mark: CacheMark | UnsetType = getattr(said, "cache_control", UNSET)
    return mark


def bare(said: _C) -> _C:
    """The same without its mark."""
    if mark_of(said) is UNSET:
        return said
    if isinstance(said, AnthropicTool | AnthropicItem):
        return type(said)({name: value for name, value in said.items() if name != "cache_control"})
    return replace(said, cache_control=UNSET)


def with_mark_at_end(input: Sequence[InputItem], mark: CacheMark) -> tuple[InputItem, ...]:
    """The input with a mark on the last that can carry one, which keeps its own: what one beside the input asks for."""
    for place in range(len(input) - 1, -1, -1):
        marked = _marked_at_end(input[place], mark)
        if marked is not None:
            return (*input[:place], marked, *input[place + 1 :])
    return tuple(input)


def marks_of(request: Request) -> Iterator[CacheMark]:
    """The marks of a request, in the order in which a provider reads what they stand on: tools go first."""
    for said in _carriers(request):
        mark = mark_of(said)
        if mark is not UNSET and not _is_blank(said):
            yield mark


def wants_hour(request: Request) -> bool:
    """Whether a client asks for an hour in the cache, which costs more to write."""
    return request.has_marks and any(mark.ttl == "1h" for mark in marks_of(request))


def with_last_marks(request: Request, most: int) -> tuple[Request, bool]:
    """The request with no more than the last so many of its marks, and whether any of them is lost.

    One on a blank text is always taken away: it is a 400 (https://github.com/anthropics/claude-code/issues/50082, seen
    2026-11-27).
    """
    count = sum(1 for _ in marks_of(request))
    if count <= most and not any(mark_of(said) is not UNSET and _is_blank(said) for said in _carriers(request)):
        return request, False
    taking = _Taking(max(count - most, 0))
    tools = tuple([taking.of_tool(tool) for tool in request.tools])
    items = tuple([taking.of_item(item) for item in request.input])
    return replace(request, tools=tools, input=items, has_marks=min(count, most) > 0, measured=None), True


def _marked_at_end(item: InputItem, mark: CacheMark) -> InputItem | None:
    """An item with a mark on it, or on its last part that can carry one; None where it can carry none."""
    if isinstance(item, FunctionCallItem | FunctionCallOutput):
        return _marked(item, mark)
    if not isinstance(item, Message):
        return None
    for place in range(len(item.content) - 1, -1, -1):
        part = item.content[place]
        if isinstance(part, InputText | InputImage | InputFile | OutputText):
            return replace(item, content=(*item.content[:place], _marked(part, mark), *item.content[place + 1 :]))
    return None


def _marked(said: _S, mark: CacheMark) -> _S:
    return replace(said, cache_control=mark) if said.cache_control is UNSET else said


def _is_any_marked(parts: Iterable[object]) -> bool:
    for part in parts:
        if type(part) not in _CARRYING_PARTS:
            continue
        if part.cache_control is not UNSET:  # type: ignore[attr-defined]
            return True
    return False


def _is_blank(said: Carrier) -> bool:
    return isinstance(said, InputText | OutputText) and not said.text.strip()


def _carriers(request: Request) -> Iterator[Carrier]:
    for tool in request.tools:
        yield from _tools_of(tool)
    for item in request.input:
        match item:
            case Message(content=parts) | AgentMessage(content=parts):
                yield from (part for part in parts if isinstance(part, InputText | InputImage | InputFile | OutputText))
            case FunctionCallItem() | AnthropicItem():
                yield item
            case FunctionCallOutput() | CustomCallOutput():
                parts = item.output if isinstance(item.output, tuple) else ()
                yield from (part for part in parts if isinstance(part, InputText | InputImage | InputFile))
                if isinstance(item, FunctionCallOutput):
                    yield item
            case AdditionalTools(tools=tools) | ToolSearchOutput(tools=tools):
                for tool in tools:
                    yield from _tools_of(tool)
            case _:
                pass


def _tools_of(tool: Tool) -> Iterator[Carrier]:
    match tool:
        case FunctionTool() | SearchTool() | AnthropicTool():
            yield tool
        case NamespaceTool(tools=tools):
            yield from (inner for inner in tools if isinstance(inner, FunctionTool))
        case _:
            pass


class _Taking:
    """Takes the first so many marks away, in the order of `_carriers`, and those on blanks."""

    def __init__(self, count: int) -> None:
        self._left = count

    def of_item(self, item: InputItem) -> InputItem:
        match item:
            case Message(content=parts):
                return replace(item, content=self._of_parts(parts))
            case AgentMessage(content=parts):
                return replace(item, content=self._of_parts(parts))
            case FunctionCallItem() | AnthropicItem():
                return self._of(item)
            case FunctionCallOutput():
                if isinstance(item.output, tuple):
                    item = replace(item, output=self._of_parts(item.output))
                return self._of(item)
            case CustomCallOutput(output=tuple() as parts):
                return replace(item, output=self._of_parts(parts))
            case AdditionalTools(tools=tools) | ToolSearchOutput(tools=tools):
                return replace(item, tools=tuple([self.of_tool(tool) for tool in tools]))
            case _:
                return item

    def of_tool(self, tool: Tool) -> Tool:
        match tool:
            case FunctionTool() | SearchTool() | AnthropicTool():
                return self._of(tool)
            case NamespaceTool(tools=inner):
                told = [self._of(each) if isinstance(each, FunctionTool) else each for each in inner]
                return replace(tool, tools=tuple(told))
            case _:
                return tool

    def _of_parts(self, parts: tuple[_T, ...]) -> tuple[_T, ...]:
        return tuple([self._of(part) if type(part) in _CARRYING_PARTS else part for part in parts])  # type: ignore[type-var]

    def _of(self, said: _C) -> _C:
        if mark_of(said) is UNSET:
            return said
        if _is_blank(said):
            return bare(said)
        if not self._left:
            return said
        self._left -= 1
        return bare(said)
