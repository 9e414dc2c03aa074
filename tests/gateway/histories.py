"""What the wire of each dialect says of calls and results, and whether its vendor takes that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple


class Heard(NamedTuple):
    """One thing that a provider hears: the turn it stands in, whose it is, and the id of a call or result, or words.

    Of a call there are its arguments, read.
    """

    turn: int
    kind: str
    told: str
    arguments: Any = None


def readings(dialect: str, body: dict[str, Any]) -> list[Heard]:
    return list(_READ[dialect](body))


def _text(content: Any, key: str = "text") -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get(key) or "media" for part in content or ())


def _chat(body: dict[str, Any]) -> Iterator[Heard]:
    for turn, message in enumerate(body["messages"]):
        role = message["role"]
        if role == "tool":
            yield Heard(turn, "result", message["tool_call_id"])
            continue
        if message.get("content") or not message.get("tool_calls"):
            yield Heard(turn, role, _text(message.get("content")))
        for call in message.get("tool_calls", ()):
            yield Heard(turn, "call", call["id"], json.loads(call["function"]["arguments"]))


def _responses(body: dict[str, Any]) -> Iterator[Heard]:
    for turn, item in enumerate(body["input"]):
        match item["type"]:
            case "function_call":
                yield Heard(turn, "call", item["call_id"], json.loads(item["arguments"]))
            case "function_call_output":
                yield Heard(turn, "result", item["call_id"])
            case "message":
                yield Heard(turn, item["role"], _text(item["content"]))
            case other:
                yield Heard(turn, other, "-")


def _messages(body: dict[str, Any]) -> Iterator[Heard]:
    for turn, message in enumerate(body["messages"]):
        assert message["content"], "a message without content"
        for block in message["content"]:
            match block["type"]:
                case "tool_use":
                    yield Heard(turn, "call", block["id"], block["input"])
                case "tool_result":
                    yield Heard(turn, "result", block["tool_use_id"])
                case _:
                    yield Heard(turn, message["role"], block.get("text", "media"))


def _converse(body: dict[str, Any]) -> Iterator[Heard]:
    for turn, message in enumerate(body["messages"]):
        assert message["content"], "a message without content"
        for block in message["content"]:
            if "toolUse" in block:
                yield Heard(turn, "call", block["toolUse"]["toolUseId"], block["toolUse"]["input"])
            elif "toolResult" in block:
                assert block["toolResult"]["content"]
                yield Heard(turn, "result", block["toolResult"]["toolUseId"])
            else:
                yield Heard(turn, message["role"], block.get("text", "media"))


def _gemini(body: dict[str, Any]) -> Iterator[Heard]:
    """Its calls have no ids before Gemini 3: each result is that of the next call of its name."""
    calls: list[str] = []
    for turn, content in enumerate(body["contents"]):
        assert content["parts"], "a content without parts"
        for number, part in enumerate(content["parts"]):
            if "functionCall" in part:
                calls.append(f"{turn}-{number}")
                yield Heard(turn, "call", calls[-1], part["functionCall"]["args"])
            elif "functionResponse" in part:
                yield Heard(turn, "result", calls.pop(0))
            else:
                yield Heard(turn, {"model": "assistant"}.get(content["role"], "user"), part.get("text", "media"))


_READ = {
    "chat": _chat,
    "mistral": _chat,
    "cohere": _chat,
    "responses": _responses,
    "messages": _messages,
    "converse": _converse,
    "gemini": _gemini,
}

_IDS = {
    "mistral": re.compile("[A-Za-z0-9]{9}"),
    "messages": re.compile("[A-Za-z0-9_-]{1,64}"),
    "converse": re.compile("[A-Za-z0-9_-]{1,64}"),
    "responses": re.compile(".{1,64}", re.DOTALL),
}
_ALTERNATING = frozenset({"messages", "converse", "gemini"})


def check_legal(dialect: str, body: dict[str, Any]) -> None:
    """Check what a vendor refuses: a call without its result right behind, an id used twice, an empty turn."""
    due: list[str] = []
    seen: set[str] = set()
    is_answering = False
    last_result: int | None = None
    for heard in readings(dialect, body):
        assert heard.told.strip() or heard.kind == "result", f"{heard} is empty"
        if heard.kind == "call":
            assert not (is_answering and due), f"{heard} before the results of {due}"
            assert heard.told not in seen, f"the id of {heard} is used twice"
            assert dialect not in _IDS or _IDS[dialect].fullmatch(heard.told), f"the id of {heard} is refused"
            assert isinstance(heard.arguments, dict), f"the arguments of {heard} are no object"
            is_answering = False
            due.append(heard.told)
            seen.add(heard.told)
        elif heard.kind == "result":
            is_answering = True
            assert heard.told in due, f"{heard} answers no call"
            due.remove(heard.told)
            last_result = heard.turn
        elif heard.kind == "assistant" and not is_answering:
            pass  # words of the turn that calls
        else:
            assert not due, f"{heard} stands before the results of {due}"
            assert dialect != "mistral" or heard.kind != "user" or last_result != heard.turn - 1, "a user after a tool"
    assert not due, f"{due} have no results"
    if dialect in _ALTERNATING:
        roles = [turn["role"] for turn in body["contents" if dialect == "gemini" else "messages"]]
        assert roles == [("user", roles[1] if len(roles) > 1 else "")[at % 2] for at in range(len(roles))]
