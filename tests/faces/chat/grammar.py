"""An independent reading of the API: the oracle for what a chat completion may be, as a stream and whole.

It knows nothing of the types in `trunkline`. The shapes are those of the public clients, held strictly: the models of
`openai` and `openrouter`, and the way in which the first collects a stream. Neither knows custom calls in all places.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openrouter.components import ChatResponse, ChatStreamingResponseChunkData

Json = Any

DONE = b"data: [DONE]\n\n"
CUTS = ("length", "content_filter")
DETAILS = {"reasoning.text": "text", "reasoning.summary": "summary", "reasoning.encrypted": "data"}
USAGE = {
    "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details", "cost",
    "is_byok", "cost_details",
}  # fmt: skip
ERROR = {"message", "type", "param", "code", "metadata"}


def read_chunks(stream: bytes) -> list[Json]:
    """Cut a whole stream: one `data:` line each, no other fields, `[DONE]` last and once."""
    assert stream.endswith(DONE), stream[-200:]
    frames = stream.removesuffix(DONE).decode().split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith("data: {") and "\n" not in frame for frame in frames)
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def check_chunks(chunks: Sequence[Json], *, asks_usage: bool = False) -> None:
    """Check that chunks are a whole answer: one role, one reason, usage once where it belongs, or an error."""
    for chunk in chunks:
        _check_chunk(chunk)
    for member in ("id", "object", "created", "model"):
        assert len({chunk[member] for chunk in chunks}) == 1, f"the answer changes its {member}"
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert all("role" not in choice["delta"] and choice["delta"] for choice in choices[1:-1])
    ends = [place for place, choice in enumerate(choices) if choice["finish_reason"] is not None]
    last = chunks[-1]
    if "error" in last:
        assert not ends, "an answer that failed has a reason for its end"
        assert last["choices"] == []
        check_error(last["error"])
    else:
        assert ends == [len(choices) - 1], f"reasons at {ends} of {len(choices)}"
        assert choices[-1]["delta"] == {}
        _check_usage(chunks, asks_usage=asks_usage)
        message = _Message(choices)
        _check_reason(choices[-1]["finish_reason"], message.calls, message.function)
    assert not any("error" in chunk for chunk in chunks[:-1])
    assert all(chunk["choices"] for chunk in chunks[:-1])
    _check_with_clients(chunks)


def check_completion(body: Json) -> None:
    """Check a whole body."""
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("gen-")
    assert "system_fingerprint" in body
    if "error" in body:
        check_error(body["error"])
        assert body["choices"] == []
        return
    ChatCompletion.model_validate(body, strict=True)
    assert body["usage"].keys() - {"server_tool_use"} == USAGE
    [choice] = body["choices"]
    message = choice["message"]
    assert message["role"] == "assistant"
    if not (_has_custom(message.get("tool_calls", ())) or "function_call" in message):
        ChatResponse.model_validate(body)
    assert message.get("tool_calls") != []
    for call in message.get("tool_calls", ()):
        assert call.keys() == {"id", "type", call["type"]}
    function = message.get("function_call")
    assert message["content"] is not None or message.get("tool_calls") or function or message["refusal"]
    _check_reason(choice["finish_reason"], message.get("tool_calls", ()), function)


def check_error(error: Json) -> None:
    """Check an error: all named members, and a code that is a string or null."""
    assert error.keys() == ERROR
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    assert isinstance(error["code"], str | None)
    assert isinstance(error["metadata"]["status"], int)


def fold(chunks: Sequence[Json]) -> Json:
    """Collect the message that chunks tell, with the calls as they came, and the logprobs."""
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    return _Message(choices).whole()


@dataclass
class _Message:
    """A message as it is collected; `calls` are all that began, whole or not."""

    choices: Sequence[Json]
    said: dict[str, str] = field(default_factory=dict)
    details: dict[tuple[int, str], Json] = field(default_factory=dict)
    calls: list[Json] = field(default_factory=list)
    function: Json = None
    lists: dict[str, list[Json]] = field(default_factory=dict)
    logprobs: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        for choice in self.choices:
            self._hear(choice["delta"])
            self.logprobs += (choice["logprobs"] or {}).get("content", [])

    def _hear(self, delta: Json) -> None:
        for name, value in delta.items():
            match name:
                case "content" | "refusal" | "reasoning" | "reasoning_content":
                    self.said[name] = self.said.get(name, "") + value
                case "reasoning_details":
                    for detail in value:
                        self._hear_detail(detail)
                case "tool_calls":
                    for call in value:
                        self._hear_call(call)
                case "function_call":
                    self._hear_function(value)
                case "annotations" | "images":
                    entries = self.lists.setdefault(name, [])
                    assert [entry["index"] for entry in value] == [len(entries)]
                    entries += value
                case _:
                    assert name == "role"

    def _hear_detail(self, told: Json) -> None:
        key, text = (told["index"], told["type"]), DETAILS[told["type"]]
        assert told["index"] <= len({index for index, _ in self.details}), "a thought skips an index"
        before = self.details.get(key)
        self.details[key] = told if before is None else {**before, **told}
        if before is not None and text != "data":
            self.details[key][text] = before[text] + told[text]

    def _hear_call(self, told: Json) -> None:
        if "id" in told:
            assert told["index"] == len(self.calls), "a call skips an index"
            assert told["id"]
            assert told["id"] not in [call["id"] for call in self.calls], "an id is used twice"
            inner = told[told["type"]]
            assert inner["name"]
            assert not inner.get("arguments", inner.get("input"))
            self.calls.append({name: told[name] for name in ("id", "type", told["type"])})
            return
        assert told.keys() == {"index", self.calls[told["index"]]["type"]}, "more of a call says what it is again"
        call = self.calls[told["index"]]
        for name, text in told[call["type"]].items():
            inner = call[call["type"]]
            call[call["type"]] = {**inner, name: inner[name] + text}

    def _hear_function(self, told: Json) -> None:
        assert not self.calls, "a call in the older form beside one in the newer"
        if self.function is None:
            assert told["name"]
            assert not told["arguments"]
            self.function = told
        else:
            assert told.keys() == {"arguments"}, "more of a call says its name again"
            self.function = {**self.function, "arguments": self.function["arguments"] + told["arguments"]}

    def whole(self) -> Json:
        content, refusal = self.said.get("content", ""), self.said.get("refusal")
        assert self.said.get("reasoning") == self.said.get("reasoning_content")
        message = {
            "role": "assistant",
            "content": None if not content and (refusal or self.calls or self.function) else content,
            "refusal": refusal,
            "reasoning": self.said.get("reasoning"),
            "reasoning_content": self.said.get("reasoning_content"),
            "reasoning_details": list(self.details.values()),
            "tool_calls": self.calls,
            "function_call": self.function,
            **self.lists,
        }
        told = {name: value for name, value in message.items() if value or name in ("content", "refusal")}
        return {"message": told, "logprobs": {"content": self.logprobs, "refusal": None} if self.logprobs else None}


def _check_chunk(chunk: Json) -> None:
    assert chunk["object"] == "chat.completion.chunk"
    assert chunk["id"].startswith("gen-")
    # OpenRouter's own client refuses these where they are null.
    assert None not in (chunk.get("usage", 0), chunk.get("system_fingerprint", 0), chunk.get("error", 0))
    assert len(chunk["choices"]) <= 1
    for choice in chunk["choices"]:
        assert choice["index"] == 0
        assert {"delta", "finish_reason", "logprobs"} <= choice.keys()


def _check_usage(chunks: Sequence[Json], *, asks_usage: bool) -> None:
    told = [place for place, chunk in enumerate(chunks) if "usage" in chunk]
    assert told == [len(chunks) - 1], "usage is told once, and last"
    assert bool(chunks[-1]["choices"]) != asks_usage
    assert chunks[-1]["usage"].keys() - {"server_tool_use"} == USAGE


def _check_reason(reason: str, calls: Sequence[Json], function: Json) -> None:
    assert reason in ("stop", "tool_calls", "function_call", *CUTS)
    if reason not in CUTS:
        assert (reason == "tool_calls") == bool(calls), f"{reason} with {len(calls)} calls"
        assert (reason == "function_call") == bool(function), f"{reason} with {function}"


def _check_with_clients(chunks: Sequence[Json]) -> None:
    """Read the chunks as clients do, none of which knows of custom calls in a stream."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    if _has_custom(_Message([choice for chunk in chunks for choice in chunk["choices"]]).calls):
        return
    is_older = any("function_call" in choice["delta"] for chunk in chunks for choice in chunk["choices"])
    for chunk in chunks:
        if not ("error" in chunk or is_older):  # its code is a number at OpenRouter
            ChatStreamingResponseChunkData.model_validate(chunk)
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk, strict=True)))
    if "error" in chunks[-1]:
        return
    collected, told = state.current_completion_snapshot.choices[0].message, fold(chunks)["message"]
    assert (collected.content or None) == (told["content"] or None)
    assert (collected.refusal or None) == told["refusal"]
    function = collected.function_call
    assert (None if function is None else {"name": function.name, "arguments": function.arguments}) == told.get(
        "function_call"
    )
    calls = [(call.id, call.function.name, call.function.arguments) for call in collected.tool_calls or ()]
    names = ("name", "arguments")
    assert calls == [(c["id"], *(c["function"][name] for name in names)) for c in told.get("tool_calls", ())]


def _has_custom(calls: Sequence[Json]) -> bool:
    return any(call["type"] == "custom" for call in calls)
