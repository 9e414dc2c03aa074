"""What hangs on several members of a request, checked once whichever API it came by; and how a wrong one is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from trunkline.errors import BadRequest
from trunkline.protocol.body import MAX_INPUT_ITEMS, too_many_items
from trunkline.protocol.extensions import has_extensions
from trunkline.protocol.extent import extent_of, is_text_alone
from trunkline.protocol.items import InputItem, Message
from trunkline.protocol.marking import has_marks
from trunkline.protocol.parse_items import check_input
from trunkline.protocol.parse_tools import check_tool_choice
from trunkline.protocol.paths import OWN_PATHS, Paths
from trunkline.protocol.piecemeal import SMALL_BYTES
from trunkline.protocol.reading import Wrong
from trunkline.protocol.request import Measured, Request, offered_tools
from trunkline.protocol.tools import SearchChoice, SearchTool

_MANY_ITEMS: Final = 300


def looked_through(request: Request) -> Request:
    """Check what hangs on several members, and note once what would be looked for again and again. Raises Wrong."""
    if request.tools or request.tool_choice is not None or not request.is_text_alone:
        request = _with_calls_checked(request)
    is_marked = bool(request.tools or not request.is_text_alone) and has_marks(request.input, request.tools)
    if is_marked is not request.has_marks:
        request = replace(request, has_marks=is_marked)
    if len(request.input) > _MANY_ITEMS:
        measured = Measured(request.input, request.instructions, extent_of(request))
        request = replace(request, measured=measured)
    return request


def begins_answer(input: Sequence[InputItem]) -> bool:
    """Whether an input ends with words of the assistant, which in some APIs are the beginning of the answer."""
    last = input[-1] if input else None
    return type(last) is Message and last.role == "assistant"


def with_input(request: Request, input: tuple[InputItem, ...], instructions: str | None, *, body_bytes: int) -> Request:
    """The request with another input, as if that had come in a body of so many bytes.

    Raises BadRequest.
    """
    if len(input) > MAX_INPUT_ITEMS:
        raise too_many_items(len(input))
    try:
        check_input(input)
        return looked_through(
            replace(
                request,
                input=input,
                instructions=instructions,
                is_text_alone=is_text_alone(input),
                measured=None,
                # Long texts are looked for wherever there may be some.
                size="long_texts" if body_bytes > SMALL_BYTES else request.size,
            )
        )
    except Wrong as wrong:
        wrong.steps.append("input")
        raise bad_request(wrong, request.paths) from None


def bad_request(wrong: Wrong, paths: Paths = OWN_PATHS) -> BadRequest:
    """Tell what is wrong with a body, and where."""
    path = paths.spelled(*reversed(wrong.steps))
    kind = wrong.kind or ("invalid_prompt" if wrong.steps[-1] == "input" else None)
    return BadRequest(f"{path} {wrong.complaint}.", param=path, kind=kind)


def _with_calls_checked(request: Request) -> Request:
    """Check the choice among the tools, and say whether all of them and all items are what every dialect knows."""
    if has_extensions(request):
        request = replace(request, has_extensions=True)
    if request.tool_choice is not None:
        _check_choice(request)
    return request


def _check_choice(request: Request) -> None:
    tools = offered_tools(request)
    try:
        check_tool_choice(request.tool_choice, tools)
    except Wrong as wrong:
        wrong.steps.append("tool_choice")
        raise
    is_demanded = request.tool_choice == "required" or isinstance(request.tool_choice, SearchChoice)
    if request.max_tool_calls == 0 and is_demanded and all(isinstance(tool, SearchTool) for tool in tools):
        raise Wrong("is 0, but tool_choice asks for a web search", "max_tool_calls")
