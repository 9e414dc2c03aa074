"""What Codex and other agents send beyond the contract, as captured, and in parallel; bodies that tests share."""

from __future__ import annotations

from typing import Any, Final

NOTHING: Final = {"type": "object", "properties": {}}
HI: Final = {"role": "user", "content": "Hi NONCE"}

LARK: Final = 'start: "*** Begin Patch" hunk+ "*** End Patch"'
PATCH: Final = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": LARK},
}
ANY_TEXT: Final = {"type": "custom", "name": "exec", "description": "Runs a script."}
SPAWN: Final = {
    "type": "function",
    "name": "spawn_agent",
    "description": "Starts one.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"task": {"type": "string"}}, "required": ["task"]},
}
CLOSE: Final = {"type": "function", "name": "close_agent", "description": "Ends one.", "parameters": NOTHING}
AGENTS: Final = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Tools for sub-agents.",
    "tools": [SPAWN, CLOSE],
}
OTHER_AGENTS: Final = {"type": "namespace", "name": "collab", "description": "Others.", "tools": [CLOSE]}
WEATHER: Final = {
    "type": "namespace",
    "name": "mcp__weather",
    "description": "A server.",
    "tools": [{"type": "function", "name": "get_weather", "description": "Of a city.", "parameters": NOTHING}],
}
TOOL_SEARCH: Final = {
    "type": "tool_search",
    "execution": "client",
    "description": "Finds tools.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}, "limit": {"type": "number"}}},
}
SHELL: Final = {"type": "local_shell"}
WAIT: Final = {"type": "function", "name": "wait", "description": "Waits.", "parameters": NOTHING}
ADDITIONAL: Final = {
    "type": "additional_tools",
    "id": "at_1",
    "role": "developer",
    "tools": [{"type": "namespace", "name": "functions", "description": "Own.", "tools": [ANY_TEXT, WAIT]}, AGENTS],
}


def function(name: str, **more: Any) -> dict[str, Any]:
    """A function without arguments."""
    return {"type": "function", "name": name, "parameters": NOTHING, **more}


def call(call_id: str, name: str, arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **more}


def output(call_id: str, text: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


CUSTOM_CALL: Final = {
    "type": "custom_tool_call",
    "id": "ctc_1",
    "status": "completed",
    "call_id": "c_patch",
    "name": "apply_patch",
    "input": '*** Begin Patch\n"x"',
}
CUSTOM_OUTPUT: Final = {"type": "custom_tool_call_output", "call_id": "c_patch", "output": "patched"}
SEARCH_CALL: Final = {
    "type": "tool_search_call",
    "id": "tsc_1",
    "call_id": "c_search",
    "status": "completed",
    "execution": "client",
    "arguments": {"query": "weather"},
}
FOUND: Final = {
    "type": "tool_search_output",
    "call_id": "c_search",
    "status": "completed",
    "execution": "client",
    "tools": [WEATHER],
}
SHELL_CALL: Final = {
    "type": "local_shell_call",
    "id": "lsh_1",
    "call_id": "c_shell",
    "status": "completed",
    "action": {"type": "exec", "command": ["ls", "-l"], "env": {}},
}
SHELL_OUTPUT: Final = {"type": "local_shell_call_output", "id": "lsh_1", "output": "a b"}
AGENT_MESSAGE: Final = {
    "type": "agent_message",
    "id": "amsg_1",
    "author": "/root/x",
    "recipient": "/root",
    "content": [
        {"type": "input_text", "text": "Sender: /root/x\nPayload:"},
        {"type": "encrypted_content", "encrypted_content": "Done."},
        {"type": "encrypted_content", "encrypted_content": "gAAAAABsealed"},
    ],
}
LONG: Final = "read_the_whole_of_a_very_long_file_from_a_place_that_is_far_away_and_" + "x" * 20
DOTTED: Final = "files.read/all:v1 now"

BODIES: Final[dict[str, dict[str, Any]]] = {
    "namespace": {
        "input": [HI, call("c1", "close_agent", namespace="multi_agent_v1"), output("c1", "closed")],
        "tools": [AGENTS, OTHER_AGENTS, function("close_agent")],
    },
    "custom": {"input": [HI, CUSTOM_CALL, CUSTOM_OUTPUT], "tools": [PATCH, ANY_TEXT]},
    "tool_search": {"input": [HI], "tools": [TOOL_SEARCH, function("f")]},
    "allowed_tools": {
        "input": [HI],
        "tools": [function("f"), function("g"), AGENTS, PATCH],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "g"}, {"type": "custom", "name": "apply_patch"}],
        },
    },
    "dotted name": {
        "input": [HI, call("c1", DOTTED), output("c1", "read")],
        "tools": [function(DOTTED), function("files_read_all_v1_now")],
        "tool_choice": {"type": "function", "name": DOTTED},
    },
    "long name": {
        "input": [HI, call("c1", LONG + "2"), output("c1", "read")],
        "tools": [function(LONG), function(LONG + "2"), function("f")],
    },
    "mixed parallel calls": {
        "input": [
            HI,
            CUSTOM_CALL,
            SEARCH_CALL,
            SHELL_CALL,
            call("c1", "f", '{"a":1}'),
            call("c2", "close_agent", namespace="multi_agent_v1"),
            output("c2", "closed"),
            output("c1", "ok"),
            SHELL_OUTPUT,
            FOUND,
            CUSTOM_OUTPUT,
        ],
        "tools": [function("f"), PATCH, SHELL, AGENTS, TOOL_SEARCH],
    },
    "additional_tools": {"input": [ADDITIONAL, HI], "tool_choice": "auto"},
    "tool_search_output": {
        "input": [HI, SEARCH_CALL, FOUND, call("c3", "get_weather", namespace="mcp__weather"), output("c3", "sunny")],
        "tools": [TOOL_SEARCH],
        "tool_choice": "auto",
    },
    "agent_message": {"input": [HI, AGENT_MESSAGE], "tools": [function("f")]},
    "local_shell": {"input": [HI, SHELL_CALL, SHELL_OUTPUT], "tools": [SHELL]},
    "leading digit": {"input": [HI], "tools": [function("3d_render")]},
}
"""What is sent beside the model; `NONCE` stands for that of the request."""
