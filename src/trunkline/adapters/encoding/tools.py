"""Which tools a request puts on the wire and how firmly one is asked for, where a dialect cannot say all we can.

It knows no wire: an adapter writes the plan in its own words.
"""

from __future__ import annotations

import re
from typing import Literal, assert_never, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trunkline.adapters.encoding.schema_limits import Extent, fits, measured
from trunkline.adapters.encoding.schema_roots import Rooted, rooted
from trunkline.adapters.encoding.schema_subsets import refusal_of, subset_of
from trunkline.adapters.encoding.schema_writer import Written, pruned, write_schema
from trunkline.adapters.encoding.schemas import NO_ARGUMENTS, Schema
from trunkline.catalog.entries import Endpoint
from trunkline.errors import Unprocessable
from trunkline.protocol.items import FunctionCallItem, InputText, Json, Message, OutputText
from trunkline.protocol.request import Request
from trunkline.protocol.tools import (
    FunctionChoice,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    PlainChoice,
    SearchChoice,
    SearchTool,
)
from trunkline.wire import UNREADABLE

SEARCH_NAME = "web_search"

SEARCHES_BY_SIZE = {"low": 1, "medium": 3, "high": 5}
"""How many searches, or results of one, a `search_context_size` is worth where a number is asked for."""

MUST_BE_JSON = "Answer with one JSON object and nothing else."
"""Asks for JSON in words, where it cannot be had, or not safely be had, in another way."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Choice(Struct, frozen=True):
    """What may be called; `name` is set for `tool` only."""

    kind: Literal["auto", "any", "tool", "none"]
    name: str = ""


class ToolPlan(Struct, frozen=True):
    """The tools to define and the choice among them; a choice of None leaves it to the provider.

    `notes` are sentences for the system text, in place of what cannot be forced; `dropped` names what was lost.
    """

    tools: tuple[FunctionTool, ...] = ()
    search: SearchTool | None = None
    choice: Choice | None = None
    notes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


_NO_TOOLS = ToolPlan()


def plan_tools(request: Request, endpoint: Endpoint, *, may_force: bool, has_none: bool = True) -> ToolPlan:
    """Plan the tools.

    `may_force` is False where a call cannot be forced, because the model thinks; `has_none` where the dialect has no
    word for "no tool". Raises Unprocessable where the endpoint takes no tools.
    """
    is_unasked = not request.tools and request.text is None and request.tool_choice is None
    if is_unasked and (request.is_text_alone or not _called(request)):
        return _NO_TOOLS
    answer = answer_tool(request, endpoint)
    plan = _planned(request, endpoint, answer, may_force=may_force, has_none=has_none)
    form = request.text.format if request.text is not None else None
    if answer is not None or not isinstance(form, JsonSchemaFormat) or answer_schema(form, endpoint) is not None:
        return plan
    return replace(plan, notes=(*plan.notes, schema_note(form.schema)), dropped=(*plan.dropped, "text.format"))


def _planned(
    request: Request, endpoint: Endpoint, answer: FunctionTool | None, *, may_force: bool, has_none: bool
) -> ToolPlan:
    forms = choice_forms(endpoint) if has_none else choice_forms(endpoint) - {"none"}
    functions = tuple(tool for tool in request.tools if isinstance(tool, FunctionTool))
    if functions:
        demand_tools(endpoint)
    search = next((tool for tool in request.tools if isinstance(tool, SearchTool)), None)
    choice = _wanted(request, answer)
    plan = ToolPlan(
        functions if answer is None else (*functions, answer),
        search,
        choice,
        dropped=() if answer is None else ("text.format",),
    )
    if choice is not None and choice.kind == "tool" and may_force and "function" not in forms:
        only = tuple(tool for tool in plan.tools if tool.name == choice.name)
        plan = replace(plan, tools=only, search=search if choice.name == SEARCH_NAME else None, choice=Choice("any"))
    if plan.choice is not None and plan.choice.kind in ("any", "tool"):
        is_refused = plan.choice.kind == "any" and "required" not in forms
        return _asked(plan, request, forms, answer) if is_refused or not may_force else plan
    return _without_calls(plan, request, forms)


def choice_forms(endpoint: Endpoint) -> frozenset[str]:
    """The forms of `tool_choice` the endpoint takes; none where it does not know the parameter."""
    return endpoint.quirks.tool_choices if endpoint.takes("tool_choice") else frozenset()


def demand_tools(endpoint: Endpoint) -> None:
    """Raise Unprocessable where the endpoint takes no tools: they are never left out in silence."""
    if not endpoint.takes("tools"):
        raise Unprocessable(f"{endpoint.model.slug} takes no tools at {endpoint.provider.name}")


def names_json(request: Request, *, with_instructions: bool) -> bool:
    """Whether the word "json", which some providers want beside `json_object`, stands in the prompt already."""
    said = [request.instructions] if with_instructions and request.instructions else []
    for item in request.input:
        if isinstance(item, Message):
            said += [part.text for part in item.content if isinstance(part, InputText | OutputText)]
    return any("json" in text.lower() for text in said)


def schema_note(schema: Json) -> str:
    """Ask in words for an answer that fits a schema, where it can be had in no other way."""
    told = _encode(schema).decode()
    return f"Answer with one JSON object that fits this JSON schema, and with nothing else:\n{told}"


def answer_tool(request: Request, endpoint: Endpoint) -> FunctionTool | None:
    """The tool whose arguments are the structured answer; None when none is asked for or the endpoint holds the schema.

    None as well where it takes no tools, or where the answer is no object, which arguments must be. Encoder and decoder
    both ask here, so that they agree on its name.
    """
    form = request.text.format if request.text is not None else None
    if not isinstance(form, JsonSchemaFormat) or not endpoint.takes("tools"):
        return None
    if answer_schema(form, endpoint) is not None or not fits_tool(form.schema, endpoint):
        return None
    name = answer_name(form)
    taken = {tool.name for tool in request.tools if isinstance(tool, FunctionTool)}
    while name in taken:
        name += "_"
    description = form.description if isinstance(form.description, str) else "Give the final answer."
    return FunctionTool(name, description, form.schema)


def is_asked_in_words(request: Request, endpoint: Endpoint) -> bool:
    """Whether the answer is to be JSON and no grammar holds it to a schema."""
    form = request.text.format if request.text is not None else None
    if isinstance(form, JsonSchemaFormat):
        return answer_schema(form, endpoint) is None
    return isinstance(form, JsonObjectFormat)


def answer_name(form: JsonSchemaFormat) -> str:
    """The schema's name as tools may be called everywhere; clients give schemas names with spaces in them."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", form.name)[:50] or "answer"


def fits_tool(schema: Schema, endpoint: Endpoint) -> bool:
    """Whether a tool's arguments may be said to have this schema, and nothing else."""
    root = rooted(schema)
    if root is None:
        return False
    subset = subset_of(endpoint)
    if subset is None or not subset.holds_tools:
        return True
    return write_schema(root.schema, subset, is_strict=False) is not None


class AnswerSchema(Struct, frozen=True):
    """The schema of an answer as the endpoint's grammar takes it; `dropped` names what of it is lost."""

    schema: Schema
    is_strict: bool
    dropped: tuple[str, ...] = ()


def answer_schema(form: JsonSchemaFormat, endpoint: Endpoint) -> AnswerSchema | None:
    """Write the schema of an answer; None where the endpoint has no grammar for schemas, or none that can hold it."""
    if not has_schemas(endpoint):
        return None
    subset, is_strict = subset_of(endpoint), bool(form.strict)
    if subset is None or (subset.only_strict and not is_strict):
        given = _as_given(form.schema, endpoint)
        return AnswerSchema(given.schema, is_strict, _lost(given, "", "text.format.schema"))
    written = write_schema(form.schema, subset, is_strict=is_strict)
    if written is not None:
        return AnswerSchema(written.schema, is_strict, _lost(written, "text.format.strict", "text.format.schema"))
    if not subset.only_strict:
        return None
    given = _as_given(form.schema, endpoint)
    return AnswerSchema(given.schema, False, ("text.format.strict", *_lost(given, "", "text.format.schema")))


def _as_given(schema: Schema, endpoint: Endpoint) -> Written:
    """The schema as the client wrote it, but for what the endpoint refuses in any."""
    refusal = refusal_of(endpoint)
    if refusal is None:
        return Written(schema)
    said = _encode(schema)
    for mark in refusal.marks:
        if mark in said:
            return pruned(schema, refusal)
    return Written(schema)


class ToolSchema(Struct, frozen=True):
    """A tool's parameters as the endpoint takes them; `dropped` names what of them is lost."""

    parameters: Schema
    is_strict: bool
    dropped: tuple[str, ...] = ()


def tool_schema(tool: FunctionTool, endpoint: Endpoint, *, may_be_strict: bool) -> ToolSchema:
    """Write a tool's parameters, which are one object at every provider; strict if they are to be, and can be held."""
    is_strict = bool(tool.strict) and may_be_strict
    dropped: tuple[str, ...] = ("tools.strict",) if tool.strict and not may_be_strict else ()
    root = (rooted(tool.parameters) or Rooted(tool.parameters)) if tool.parameters else Rooted(NO_ARGUMENTS)
    dropped += ("tools.parameters",) if root.is_wider else ()
    subset = subset_of(endpoint)
    if subset is not None and (is_strict or subset.holds_tools):
        written = write_schema(root.schema, subset, is_strict=is_strict)
        if written is not None:
            return ToolSchema(written.schema, is_strict, dropped + _lost(written, "tools.strict", "tools.parameters"))
        dropped += ("tools.strict",) if is_strict else ()
        is_strict = False
    if subset is None or not subset.holds_tools:
        given = _as_given(root.schema, endpoint)
        return ToolSchema(given.schema, is_strict, dropped + _lost(given, "", "tools.parameters"))
    cut = write_schema(root.schema, subset, is_strict=False, may_cut=True) or Written(NO_ARGUMENTS)
    return ToolSchema(cut.schema, False, (*dropped, "tools.parameters"))


def tool_schemas(
    tools: tuple[FunctionTool, ...], request: Request, endpoint: Endpoint, *, may_be_strict: bool
) -> list[ToolSchema]:
    """Write the parameters of all tools of a request; those that are too much for one grammar together are not strict.

    The answer's schema, where a grammar holds it, is in the same one and goes first.
    """
    schemas = [tool_schema(tool, endpoint, may_be_strict=may_be_strict) for tool in tools]
    subset = subset_of(endpoint)
    if subset is None or subset.shared is None or not any(schema.is_strict for schema in schemas):
        return schemas
    form = request.text.format if request.text is not None else None
    held = answer_schema(form, endpoint) if isinstance(form, JsonSchemaFormat) else None
    extent, count = Extent() if held is None else measured(held.schema), 0
    for index, schema in enumerate(schemas):
        if not schema.is_strict:
            continue
        more = extent + measured(schema.parameters)
        has_room = subset.max_strict_tools is None or count < subset.max_strict_tools
        if has_room and fits(more, subset.shared):
            extent, count = more, count + 1
        else:
            schemas[index] = tool_schema(tools[index], endpoint, may_be_strict=False)
    return schemas


def _lost(written: Written, strict: str, schema: str) -> tuple[str, ...]:
    return ((strict,) if written.is_closed and strict else ()) + ((schema,) if written.is_wider else ())


def has_schemas(endpoint: Endpoint) -> bool:
    """Whether the endpoint itself holds an answer, or a strict tool's arguments, to a JSON schema."""
    return endpoint.quirks.structured_output == "json_schema" and endpoint.takes("structured_outputs")


def has_json(endpoint: Endpoint) -> bool:
    """Whether the endpoint itself holds an answer to being JSON, of whatever shape."""
    return endpoint.quirks.structured_output != "none" and endpoint.takes("response_format")


def arguments_object(arguments: str) -> Json:
    """A call's arguments as the object that these dialects want; anything else is wrapped."""
    if not arguments.strip():
        return {}
    try:
        read = msgspec.json.decode(arguments)
    except UNREADABLE:
        return {"_raw": arguments}
    return read if isinstance(read, dict) else {"_raw": arguments}


def _wanted(request: Request, answer: FunctionTool | None) -> Choice | None:
    # `offers.py` has told all others in the words of these.
    choice = cast("PlainChoice | None", request.tool_choice)
    match choice:
        case FunctionChoice(name=name):
            return Choice("tool", name)
        case SearchChoice():
            return Choice("tool", SEARCH_NAME)
        case "required":
            return Choice("any")
        case "auto" | "none" | None if answer is not None:
            # With other tools at hand the model may call them first, but has to end with this one.
            return Choice("any") if request.tools and choice != "none" else Choice("tool", answer.name)
        case "auto" | "none":
            return Choice(choice)
        case None:
            return None
        case _:
            assert_never(choice)


def _asked(plan: ToolPlan, request: Request, forms: frozenset[str], answer: FunctionTool | None) -> ToolPlan:
    """Ask in words for a call that cannot be forced."""
    wanted = _wanted(request, answer)
    if answer is not None and request.tool_choice in (None, "auto", "none"):
        note, lost = f"Give your final answer only by calling the tool `{answer.name}`.", "text.format"
    elif wanted is not None and wanted.name:
        note, lost = f"Call the tool `{wanted.name}`.", "tool_choice"
    else:
        note, lost = "Answer by calling one of the tools.", "tool_choice"
    choice = Choice("auto") if "auto" in forms else None
    return replace(plan, choice=choice, notes=(note,), dropped=(*plan.dropped, lost))


def _without_calls(plan: ToolPlan, request: Request, forms: frozenset[str]) -> ToolPlan:
    """Settle a plan that forces nothing: forbid calls where they are, and recall the tools of earlier ones.

    A history of calls without any tool being defined is a 400.
    """
    called = _called(request)
    if plan.choice == Choice("none") and "none" not in forms and not called:
        return ToolPlan()
    if not (plan.tools or plan.search is not None or request.tools) and called:
        recalled = tuple(FunctionTool(name, None, NO_ARGUMENTS) for name in called)
        plan = replace(plan, tools=recalled, choice=Choice("none"))
    if plan.choice == Choice("none") and "none" not in forms:
        return replace(plan, choice=None, notes=("Do not call any tool.",))
    return plan


def _called(request: Request) -> dict[str, None]:
    """The names of what was called before, each once."""
    # A look at the types alone costs little, and most requests call nothing.
    if FunctionCallItem not in map(type, request.input):
        return {}
    return dict.fromkeys(item.name for item in request.input if isinstance(item, FunctionCallItem))
