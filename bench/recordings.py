"""The one conversation every benchmark repeats, in the languages that clients speak, as bytes made beforehand.

Does not vary: the same prompt and the same 64 tokens each time, so that two servers can be compared byte for byte.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Api(StrEnum):
    """A wire language, by the path it is posted to."""

    CHAT = "/v1/chat/completions"
    RESPONSES = "/v1/responses"
    MESSAGES = "/v1/messages"


class Case(StrEnum):
    """How the upstream answers. The value travels in the prompt, which every gateway passes on untouched."""

    JSON = "bench-json"
    BURST = "bench-burst"
    PACED = "bench-paced"
    IDLE = "bench-idle"


@dataclass(frozen=True)
class Recording:
    """What the upstream says in one language: a whole body, or a stream in frames of one event each."""

    body: bytes
    opening: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    closing: tuple[bytes, ...]


TOKEN_COUNT = 64
UPSTREAM_MODEL = "gpt-x"
CREATED = 1_760_000_000

_WORDS = (" the", " line", " carries", " many", " voices", " over", " one", " wire", ",", " and", " each", " arrives")
TOKENS = tuple(_WORDS[index % len(_WORDS)] for index in range(TOKEN_COUNT))
TEXT = "".join(TOKENS)

_INSTRUCTIONS = "You are a careful assistant. Answer in one short paragraph, without lists, headings or links."
_QUESTION = (
    "A telephone exchange of the last century joined every subscriber of a town to every other through a few shared "
    "wires. Explain to a reader who has never seen one how the shared wires were found free, held for the length of a "
    "call and given back, and why a handful of them was enough for thousands of subscribers."
)
INPUT_TOKENS = 96


def request_body(api: Api, case: Case, model: str) -> bytes:
    """What a client posts to have `case` happen."""
    prompt = f"{_QUESTION} ({case})"
    streamed = case is not Case.JSON
    match api:
        case Api.CHAT:
            messages = [{"role": "system", "content": _INSTRUCTIONS}, {"role": "user", "content": prompt}]
            options = {"stream_options": {"include_usage": True}} if streamed else {}
            fields: dict[str, object] = {"messages": messages, "max_tokens": 256, **options}
        case Api.RESPONSES:
            fields = {"instructions": _INSTRUCTIONS, "input": prompt, "max_output_tokens": 256}
        case Api.MESSAGES:
            said = [{"role": "user", "content": prompt}]
            fields = {"system": _INSTRUCTIONS, "messages": said, "max_tokens": 256}
    return _json({"model": model, "temperature": 0.7, "stream": streamed, **fields})


def heard_text(api: Api, case: Case, body: bytes) -> str:
    """The text a client would show for an answer; raises ValueError or LookupError when it is malformed."""
    if case is Case.JSON:
        return _whole_text(api, json.loads(body))
    events = [json.loads(line[5:]) for line in body.split(b"\n") if line.startswith(b"data:") and b"[DONE]" not in line]
    return "".join(_event_text(api, event) for event in events)


def terminal_marks(api: Api, case: Case) -> tuple[bytes, ...]:
    """Byte strings that are all found in an answer that ended well, and not all in one that was cut or failed."""
    match api, case:
        case Api.CHAT, Case.JSON:
            return (b'"finish_reason"', b'"stop"')
        case Api.CHAT, _:
            return (b'"stop"', b"[DONE]")
        case Api.MESSAGES, Case.JSON:
            return (b'"stop_reason"', b'"end_turn"')
        case Api.MESSAGES, _:
            return (b'"end_turn"', b'"message_stop"')
        case _, Case.JSON:
            return (b'"status"', b'"completed"')
        case _:
            return (b'"response.completed"',)


def chat(*, with_usage: bool) -> Recording:
    """The conversation as Chat Completions; the stream tells its usage only if it was asked to."""
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": TOKEN_COUNT,
        "total_tokens": INPUT_TOKENS + TOKEN_COUNT,
        "prompt_tokens_details": {"cached_tokens": 32, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    message: dict[str, object] = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    whole = _completion("chat.completion", [choice]) | {"usage": usage}
    spent = [_chunk([], usage)] if with_usage else []
    unspent = {"usage": None} if with_usage else {}
    return Recording(
        body=_json(whole),
        opening=(_chunk([_choice({"role": "assistant", "content": "", "refusal": None})], **unspent),),
        tokens=tuple(_chunk([_choice({"content": token})], **unspent) for token in TOKENS),
        closing=(_chunk([_choice({}, "stop")], **unspent), *spent, b"data: [DONE]\n\n"),
    )


def responses() -> Recording:
    """The conversation as Responses."""
    part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    item = {"id": "msg_bench", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    at = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    deltas: list[Mapping[str, object]] = [
        {"type": "response.output_text.delta", **at, "delta": token, "logprobs": []} for token in TOKENS
    ]
    opening: list[Mapping[str, object]] = [
        {"type": "response.created", "response": _response("in_progress", [])},
        {"type": "response.in_progress", "response": _response("in_progress", [])},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **at, "part": part | {"text": ""}},
    ]
    closing: list[Mapping[str, object]] = [
        {"type": "response.output_text.done", **at, "text": TEXT, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": _response("completed", [item])},
    ]
    frames = [_event(number, event) for number, event in enumerate(opening + deltas + closing)]
    return Recording(
        body=_json(_response("completed", [item])),
        opening=tuple(frames[: len(opening)]),
        tokens=tuple(frames[len(opening) : -len(closing)]),
        closing=tuple(frames[-len(closing) :]),
    )


def models() -> bytes:
    """The list of models, which some gateways ask for before they route."""
    return _json({"object": "list", "data": [{"id": UPSTREAM_MODEL, "object": "model", "owned_by": "bench"}]})


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _completion(kind: str, choices: Sequence[object]) -> dict[str, object]:
    return {
        "id": "chatcmpl-bench",
        "object": kind,
        "created": CREATED,
        "model": UPSTREAM_MODEL,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
    }


def _choice(delta: Mapping[str, object], finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _chunk(choices: Sequence[object], usage: object = ...) -> bytes:
    spent = {} if usage is ... else {"usage": usage}
    return b"data: " + _json(_completion("chat.completion.chunk", choices) | spent) + b"\n\n"


def _response(status: str, output: Sequence[object]) -> dict[str, object]:
    usage = {
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 32},
        "output_tokens": TOKEN_COUNT,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT_TOKENS + TOKEN_COUNT,
    }
    return {
        "id": "resp_bench",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": _INSTRUCTIONS,
        "max_output_tokens": 256,
        "model": UPSTREAM_MODEL,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 0.7,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if status == "completed" else None,
        "user": None,
        "metadata": {},
    }


def _event(number: int, event: Mapping[str, object]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (
        str(event["type"]).encode(),
        _json({"type": event["type"], "sequence_number": number, **event}),
    )


def _whole_text(api: Api, body: Mapping[str, object]) -> str:
    match api, body:
        case Api.CHAT, {"choices": [{"message": {"content": str(text)}}]}:
            return text
        case Api.MESSAGES, {"content": [{"type": "text", "text": str(text)}]}:
            return text
        case Api.RESPONSES, {"output": [*_, {"type": "message", "content": [{"text": str(text)}]}]}:
            return text
        case _:
            raise ValueError(f"no text in {str(body)[:300]}")


def _event_text(api: Api, event: Mapping[str, object]) -> str:
    match api, event:
        case Api.CHAT, {"choices": [{"delta": {"content": str(text)}}]}:
            return text
        case Api.MESSAGES, {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}}:
            return text
        case Api.RESPONSES, {"type": "response.output_text.delta", "delta": str(text)}:
            return text
        case _:
            return ""
