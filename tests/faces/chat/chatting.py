"""Bodies of Chat Completions as tests write them, and what they are read to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from trunkline.errors import BadRequest
from trunkline.faces.chat.form import ChatForm
from trunkline.faces.chat.parse import parse
from trunkline.protocol.paths import OWN_PATHS
from trunkline.protocol.request import Request

HI = {"role": "user", "content": "Hi"}


def asked(**members: Any) -> tuple[Request, ChatForm]:
    """A body with these members beside a greeting, as it is read, but for where it said what."""
    read = parse(json.dumps({"messages": [HI], **members}).encode(), None, {})
    assert isinstance(read.form, ChatForm)
    return replace(read.request, paths=OWN_PATHS), read.form


def parsed(**members: Any) -> Request:
    return asked(**members)[0]


def said(*messages: Any) -> Request:
    """A body with these messages and no more, as it is read."""
    return parsed(messages=list(messages))


def refusal(body: bytes, session_id: str | None = None) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse(body, session_id, {})
    return caught.value


def refused(**members: Any) -> BadRequest:
    return refusal(json.dumps({"messages": [HI], **members}).encode())


def call(call_id: str = "c1", name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls: Any, **members: Any) -> dict[str, Any]:
    """A message of the assistant that makes calls."""
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **members}


def result(call_id: str = "c1", content: Any = "sunny", **members: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **members}
