"""Speaks Mistral's chat: Chat Completions with parts of its own, which are written over what `request.py` writes.

The answer is read by the chat decoder, which knows content in chunks. Nothing is repeated here that the two have in
common; what a Mistral server always does differently is fixed as quirks, so that a row need not say it.

Sources: section 8 of the dialects notes; https://docs.mistral.ai/api/, seen 2026-11-22; the models of the mistralai
Python package 3.7.0.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from trunkline.adapters.chat import request as chat
from trunkline.adapters.encoding.call_ids import fitted_call_id
from trunkline.adapters.encoding.draft import Draft, fitted_seed
from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.encoding.turns import call_names
from trunkline.catalog.entries import Endpoint
from trunkline.errors import Unprocessable
from trunkline.protocol.items import Json
from trunkline.protocol.request import Request
from trunkline.wire import UpstreamRequest

_CALL_ID = re.compile(r"[A-Za-z0-9]{9}")
_CALL_ID_LENGTH = 9

_FIELDS = frozenset(
    {
        "model",
        "messages",
        "temperature",
        "top_p",
        "max_tokens",
        "stop",
        "random_seed",
        "repetition_penalty",
        "service_tier",
        "stream",
        "response_format",
        "tools",
        "tool_choice",
        "presence_penalty",
        "frequency_penalty",
        "parallel_tool_calls",
        "reasoning_effort",
        "prediction",
        "prompt_mode",
        "prompt_cache_key",
        "top_k",
        "logprobs",
        "top_logprobs",
    }
)
"""What may stand in a body; any other field is a 422 (`extra_forbidden`)."""

BRIDGE = {"role": "assistant", "content": "OK"}
"""Stands between a tool's result and the user: `Unexpected role 'user' after role 'tool'` is a 400."""


class MistralAdapter(chat.ChatAdapter):
    """The chat adapter, with the request written over; one instance serves every Mistral endpoint."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        draft = chat.draft(request, _as_chat(endpoint), end_user)
        if "seed" in draft.body:
            draft.body["random_seed"] = fitted_seed(draft.body.pop("seed"))
        for name in [name for name in draft.body if name not in _FIELDS]:
            del draft.body[name]
            draft.dropped.append(name)
        if draft.body.get("tool_choice") == "required":
            draft.body["tool_choice"] = "any"
        draft.body["messages"] = _messages(draft)
        return draft.posted(endpoint.quirks.path or chat.PATH)

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        return False


ADAPTER = MistralAdapter()


def _as_chat(endpoint: Endpoint) -> Endpoint:
    """The endpoint as the chat encoder must see it to write what can be written over.

    System messages are taken only at the start. Details of thought keep the signature beside the text.
    """
    quirks = endpoint.quirks
    fixed = replace(
        quirks,
        usage_in_stream="always",
        max_tokens_field="max_tokens",
        alternates_turns=True,
        has_cache_key=True,
        has_prediction=True,
        has_safety_identifier=False,
        has_user=False,
        json_object_needs_word=True,
        audio_data="base64",
        file_links="file_url",
        reasoning_replay="never" if quirks.reasoning_replay == "never" else "reasoning_details",
    )
    return replace(endpoint, quirks=fixed)


# Messages


def _messages(draft: Draft) -> list[dict[str, Json]]:
    names = call_names(draft.request.input)
    written: list[dict[str, Json]] = []
    for message in draft.body["messages"]:
        role = message["role"]
        if role == "user" and written and written[-1]["role"] == "tool":
            written.append(BRIDGE)
        if role == "tool":
            message["name"] = names.get(message["tool_call_id"], "")
            message["tool_call_id"] = _fitted(message["tool_call_id"])
        elif role == "assistant":
            _rewrite_assistant(message)
        elif isinstance(message["content"], list):
            message["content"] = [_chunk(draft, part) for part in message["content"]]
        written.append(message)
    if written and written[-1]["role"] == "assistant" and "tool_calls" not in written[-1]:
        # An answer begun for the model: without the mark it is a 400.
        written[-1]["prefix"] = True
    return written


def _fitted(call_id: str) -> str:
    return fitted_call_id(call_id, _CALL_ID, _CALL_ID_LENGTH)


def _rewrite_assistant(message: dict[str, Json]) -> None:
    for call in message.get("tool_calls", ()):
        call["id"] = _fitted(call["id"])
    chunks = [_thinking(entry) for entry in message.pop("reasoning_details", ()) if _says(entry)]
    if chunks:
        text = message["content"]
        message["content"] = [*chunks, {"type": "text", "text": text}] if text else chunks


def _says(entry: dict[str, Json]) -> bool:
    return bool(_thought(entry)) or "signature" in entry


def _thought(entry: dict[str, Json]) -> str:
    return entry.get("text") or entry.get("summary") or ""


def _thinking(entry: dict[str, Json]) -> Json:
    signed = {"signature": entry["signature"]} if "signature" in entry else {}
    return {"type": "thinking", "thinking": [{"type": "text", "text": _thought(entry)}], "closed": True, **signed}


def _chunk(draft: Draft, part: dict[str, Any]) -> Json:
    match part["type"]:
        case "input_audio":
            return {"type": "input_audio", "input_audio": part["input_audio"]["data"]}
        case "file_url":
            return {"type": "document_url", "document_url": part["file_url"]["url"]}
        case "file":
            url, name = part["file"]["file_data"], part["file"]["filename"]
            if url.startswith("data:image/"):
                return {"type": "image_url", "image_url": url}
            return {"type": "document_url", "document_url": url, "document_name": name}
        case "video_url":
            raise Unprocessable(f"{draft.endpoint.model.slug} takes no video at {draft.endpoint.provider.name}")
        case _:
            return part
