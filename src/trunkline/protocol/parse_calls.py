"""Readers of the items that the contract does not know: Codex's, and those of OpenAI's own tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from trunkline.protocol.items import (
    AdditionalTools,
    AgentMessage,
    CustomCallItem,
    CustomCallOutput,
    EncryptedText,
    InputItem,
    InputPart,
    ItemStatus,
    Json,
    LocalShellCallItem,
    LocalShellCallOutput,
    ToolSearchCallItem,
    ToolSearchOutput,
)
from trunkline.protocol.opaque import ServerItem
from trunkline.protocol.parse_tools import read_tools
from trunkline.protocol.reading import Reader, Wrong, one_of, opaque_object, record, text

_any_text = text()
_some_text = text(at_least=1)
_item_status = one_of(get_args(ItemStatus))

_SERVER_ITEMS = (
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "configuration_update",
    "context_compaction",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "program",
    "program_output",
    "shell_call",
    "shell_call_output",
)
"""The items of OpenAI's SDK 3.57 (`types/responses/response_input_item_param.py`) and of Codex that only OpenAI's
servers can read."""

_SEARCHED: Mapping[str, Reader[object]] = {
    "id": _any_text,
    "call_id": _some_text,
    "execution": one_of(("client", "server")),
    "status": _item_status,
}


def _arguments(value: Json) -> Json:
    return value


def _tool_search(**members: Json) -> ToolSearchCallItem:
    return ToolSearchCallItem(**_of_somebody(members))


def _tools_found(**members: Json) -> ToolSearchOutput:
    return ToolSearchOutput(**_of_somebody(members))


def _of_somebody(members: dict[str, Json]) -> dict[str, Json]:
    """Say who searches: where it is not said, who names no call is a server."""
    members.setdefault("execution", "client" if "call_id" in members else "server")
    if members["execution"] == "client" and "call_id" not in members:
        raise Wrong('is required where execution is "client"', "call_id")
    return members


def _shell_output(**members: Json) -> LocalShellCallOutput:
    if "call_id" not in members and "id" not in members:
        raise Wrong("is required", "call_id")
    return LocalShellCallOutput(**members)


def own_items(
    output: Reader[str | tuple[InputPart, ...]], content: Reader[tuple[InputPart | EncryptedText, ...]]
) -> Mapping[str, Reader[InputItem]]:
    """The readers by the type of item, given those of what a tool gave back and of what an agent says."""
    return {
        "custom_tool_call": record(
            CustomCallItem,
            {
                "id": _any_text,
                "call_id": _some_text,
                "name": _some_text,
                "namespace": _any_text,
                "input": _any_text,
                "status": _item_status,
            },
            required=("call_id", "name", "input"),
        ),
        "custom_tool_call_output": record(
            CustomCallOutput,
            {"id": _any_text, "call_id": _some_text, "output": output, "status": _item_status},
            required=("call_id", "output"),
        ),
        "tool_search_call": record(
            _tool_search,
            {**_SEARCHED, "arguments": _arguments},
            required=("arguments",),
        ),
        "tool_search_output": record(
            _tools_found,
            {**_SEARCHED, "tools": read_tools},
            required=("tools",),
        ),
        "local_shell_call": record(
            LocalShellCallItem,
            {"id": _any_text, "call_id": _some_text, "action": opaque_object, "status": _item_status},
            required=("call_id", "action"),
        ),
        "local_shell_call_output": record(
            _shell_output,
            {"id": _some_text, "call_id": _some_text, "output": _any_text, "status": _item_status},
            required=("output",),
        ),
        "additional_tools": record(
            AdditionalTools,
            {"id": _any_text, "role": one_of(("developer",)), "tools": read_tools},
            required=("tools",),
        ),
        "agent_message": record(
            AgentMessage,
            {"id": _any_text, "author": _any_text, "recipient": _any_text, "content": content},
            required=("content",),
        ),
        **dict.fromkeys(_SERVER_ITEMS, ServerItem),
    }
