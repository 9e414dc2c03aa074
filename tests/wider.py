"""What answers hold beyond the OpenAPI document: OpenAI's later kinds of calls, for clients that offer such tools.

The shapes are those of the SDK `openai` 3.54.0, and of what Codex replays. A search has an action there.
"""

from __future__ import annotations

from typing import Any

Json = Any


def _of(kind: str, **properties: Json) -> Json:
    """The schema of an object of this `type` whose members are all required but the namespace."""
    required = ["type", *(name for name in properties if name != "namespace")]
    fixed = {"type": {"type": "string", "enum": [kind]}}
    return {"type": "object", "properties": {**fixed, **properties}, "required": required}


TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_STATUS = {"type": "string", "enum": ["in_progress", "completed", "incomplete"]}
_CALLED = {"id": TEXT, "call_id": TEXT, "status": _STATUS}
_ACTION = {
    "type": "object",
    "properties": {"type": {"enum": ["exec"]}, "command": {"type": "array", "items": TEXT}, "env": {"type": "object"}},
    "required": ["type", "command", "env"],
}
_BY_CLIENT = {"enum": ["client"]}
WIDER_ITEMS = {
    "custom_tool_call": _of("custom_tool_call", **_CALLED, name=TEXT, input=TEXT, namespace=TEXT),
    "tool_search_call": _of(
        "tool_search_call", **_CALLED, execution={"enum": ["client"]}, arguments={"type": "object"}
    ),
    "local_shell_call": _of("local_shell_call", **_CALLED, action=_ACTION),
}
OPAQUE_ITEMS = frozenset(
    """additional_tools apply_patch_call apply_patch_call_output code_interpreter_call compaction computer_call
    computer_call_output local_shell_call_output mcp_approval_request mcp_approval_response mcp_call mcp_list_tools
    program program_output shell_call shell_call_output tool_search_output""".split()  # noqa: SIM905
)
"""Items of OpenAI's own tools, which pass as they are; also a `tool_search_call` that its servers execute."""

OPAQUE = {
    "anyOf": [
        {"type": "object", "properties": {"type": {"enum": sorted(OPAQUE_ITEMS)}}, "required": ["type"]},
        _of("tool_search_call", execution={"enum": ["server"]}),
    ]
}
_TOLD_OF = {"sequence_number": _NUMBER, "item_id": TEXT, "output_index": _NUMBER}
WIDER_EVENTS = {
    kind: _of(kind, **_TOLD_OF, **{member: TEXT})
    for kind, member in {
        "response.custom_tool_call_input.delta": "delta",
        "response.custom_tool_call_input.done": "input",
    }.items()
}

_SEARCH_ACTIONS = {
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "type": {"enum": ["search"]},
                "query": TEXT,
                "queries": {"type": "array", "items": TEXT},
                "sources": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"type": {"enum": ["url"]}, "url": TEXT}},
                },
            },
            "required": ["type", "query", "queries"],
        },
        {"type": "object", "properties": {"type": {"enum": ["open_page"]}}, "required": ["type"]},
        _of("find_in_page", url=TEXT, pattern=TEXT),
    ]
}
SEARCH_CALL = _of(
    "web_search_call",
    id=TEXT,
    status={"enum": ["in_progress", "searching", "completed", "failed"]},
    action=_SEARCH_ACTIONS,
)
"""A search in an answer, in place of the document's, which has no `action`."""

CALLS = {
    "function_call": "function_call_arguments",
    "custom_tool_call": "custom_tool_call_input",
    "tool_search_call": None,
    "local_shell_call": None,
}
"""Calls of the client's, of which several may be open, and the events that tell what they say; None: none do."""


def _typed(*kinds: str, **properties: Json) -> Json:
    fixed = {"type": {"type": "string", "enum": list(kinds)}}
    return {"type": "object", "properties": {**fixed, **properties}, "required": ["type", *properties]}


SERVER_TOOLS = (
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "mcp",
    "programmatic_tool_calling",
    "shell",
)
"""The tools that only OpenAI's servers know; a response tells them as the client sent them."""

WIDER_TOOLS = [
    _typed("custom", name=TEXT),
    _typed("namespace", name=TEXT, tools={"type": "array", "items": {"type": "object"}}),
    _typed("tool_search", "local_shell", *SERVER_TOOLS),
]
WIDER_CHOICES = [
    _typed("custom", name=TEXT),
    _typed("allowed_tools", mode={"enum": ["auto", "required"]}, tools={"type": "array"}),
    _typed("tool_search", "local_shell", "computer_use", *SERVER_TOOLS),
]
