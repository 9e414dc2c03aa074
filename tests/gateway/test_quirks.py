"""Every quirk, as an operator sets it and as a provider or client notices it.

One gateway serves two endpoints for each row of `ROWS`, alike but for the quirk. The same request goes to both, and
what the row looks at must be one thing without the quirk and another with it: a quirk that does nothing fails, and so
does one that has no row, and one of whose words no row sets.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

import pytest

from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.upstream import Script, Seen, Upstream, chunk, completion, stream, whole
from tests.upstream.documents.making import simple_pdf
from trunkline.catalog.quirks import Quirks


@dataclass(frozen=True)
class Course:
    """What became of one request: what the provider saw of it, and what the client got."""

    sent: list[Seen]
    got: Reply


Look = Callable[[Course], Any]


@dataclass(frozen=True)
class Row:
    """A quirk and what it changes; `beside` are quirks that both endpoints have, `asked` is added to the request.

    `later` answers further calls to the provider.
    """

    quirk: str
    value: Any
    look: Look
    without: Any
    with_it: Any
    asked: Mapping[str, Any] = field(default_factory=dict)
    dialect: str = "chat"
    beside: Mapping[str, Any] = field(default_factory=dict)
    answer: Script | None = None
    later: tuple[Script, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.quirk}={self.value if isinstance(self.value, str) else json.dumps(self.value)} in {self.dialect}"


def body(*path: str | int) -> Look:
    """Look at one value of the body that the provider got; None where there is none."""
    return lambda course: at(course.sent[0].json, path)


def bodies(*names: str) -> Look:
    """Look at those of some fields that the provider got."""
    return lambda course: {name: course.sent[0].json[name] for name in names if name in course.sent[0].json}


def header(name: str) -> Look:
    return lambda course: course.sent[0].headers.get(name)


def path(course: Course) -> str:
    """Look at the path behind the provider's base URL."""
    return course.sent[0].path.partition("/v1")[2]


def got(*path: str | int) -> Look:
    """Look at one value of the client's answer."""
    return lambda course: at(course.got.json, path)


def kind(course: Course) -> Any:
    """Look at what the gateway took the provider's error for."""
    return at(course.got.json, ("error", "metadata", "attempts", 0, "kind"))


def both(first: Look, second: Look) -> Look:
    return lambda course: (first(course), second(course))


def is_searching(course: Course) -> bool:
    """Whether the provider is asked for a search, in any words."""
    return any(word in json.dumps(course.sent[0].json) for word in ("web_search", "nova_grounding"))


def dropped(course: Course) -> str | None:
    """Look at the parameters that the client is told were lost."""
    return course.got.headers.get("x-trunkline-dropped")


def is_answered(course: Course) -> bool:
    return course.got.status == 200


def is_hashed(*path: str | int) -> Look:
    """Look whether there is the hash of a user."""
    return lambda course: len(str(body(*path)(course))) == 64


def holds(words: str, *path: str | int) -> Look:
    return lambda course: words in str(body(*path)(course))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


CONFIG = """
[server]
deadline = "2500 ms"
[routing]
retry_budget = 1.0
"""

ANSWERS: dict[str, Any] = {
    "messages": {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "gpt-x",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"},
            {"type": "text", "text": "Hello."},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 7, "output_tokens": 3},
    },
    "converse": {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10},
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3},
    },
    "responses": {
        "id": "resp_up",
        "object": "response",
        "status": "completed",
        "model": "gpt-x",
        "output": [
            {
                "type": "message",
                "id": "msg_up",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Hello.", "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    },
    "chat": completion(),
    "bfl": {"id": "NONCE", "polling_url": "http://127.77.0.80/get_result"},
}
"""What a provider answers, whole, in each dialect; `NONCE` stands for that of the request."""

THINK = {"reasoning": {"effort": "high"}}
NO_THOUGHT = {"reasoning": {"effort": "none"}}
THOUGHT_FIELDS = (
    "reasoning_effort",
    "thinking",
    "enable_thinking",
    "chat_template_kwargs",
    "reasoning",
    "prompt_mode",
)
"""The fields of a chat request that ask for thought, but for its budget."""
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "name": "look", "parameters": SCHEMA, "strict": True}
TOOLS = {"tools": [TOOL]}
MUST_CALL = {**TOOLS, "tool_choice": "required"}
AS_SCHEMA = {"text": {"format": {"type": "json_schema", "name": "form", "schema": SCHEMA, "strict": True}}}
AS_JSON = {"text": {"format": {"type": "json_object"}}}
SEARCH = {"tools": [{"type": "web_search"}]}
SEARCH_BESIDE = {"tools": [TOOL, {"type": "web_search"}]}
SEARCH_FIELDS = ("web_search_options", "venice_parameters")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def said(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """A conversation of one turn with more in it than text."""
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "NONCE"}, *parts]}]}


def picture(url: str, **more: str) -> dict[str, Any]:
    return said({"type": "input_image", "image_url": url, **more})


THOUGHT_BEFORE = {
    "input": [
        {"role": "user", "content": "NONCE"},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm."}],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
        {"role": "user", "content": "And now?"},
    ]
}
CALL_BEFORE: dict[str, Any] = {
    "input": [
        {"role": "user", "content": "NONCE"},
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "Nothing."},
    ],
    **TOOLS,
}
SIGNED_CALL_BEFORE = {
    **CALL_BEFORE,
    "input": [
        CALL_BEFORE["input"][0],
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "signature": "c2lnbmVk",
            "format": "google-gemini-v1",
        },
        *CALL_BEFORE["input"][1:],
    ],
}
KEPT_LONG = {
    "input": [
        {
            "role": "system",
            "content": [
                {"type": "input_text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ],
        },
        {"role": "user", "content": "NONCE"},
    ]
}
SAID = {"role": "assistant", "content": "{"}
BEGUN = {"input": [{"role": "user", "content": "NONCE"}, {**SAID, "prefix": True}]}
TWO_TURNS = {"input": [{"role": "user", "content": "NONCE"}, {"role": "user", "content": "And now?"}]}
LINK = "http://files.invalid/page.pdf"
PDF = base64.b64encode(simple_pdf("Kites fly.")).decode()
DOCUMENT = said({"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"})


def holds_pdf(course: Course) -> bool:
    """Whether the provider got a file, and not what it says."""
    sent = json.dumps(course.sent[0].json)
    assert (PDF in sent) != ("Kites fly." in sent)
    return PDF in sent


ROWS = (
    Row("path", "/at/{model}", path, "/chat/completions", "/at/gpt-x"),
    Row("path", "/at/{model}", path, "/responses", "/at/gpt-x", dialect="responses"),
    Row("stream_path", "/at/{model}", path, "/messages", "/at/gpt-x", {"stream": True}, dialect="messages"),
    Row("extra_headers", {"x-beta": "on"}, header("x-beta"), None, "on"),
    Row(
        "extra_headers",
        {"User-Agent": "mine"},
        lambda course: course.sent[0].headers["user-agent"].partition("/")[0],
        "trunkline",
        "mine",
    ),
    Row(
        "extra_headers",
        {"x-user-agent": "user-agent: mine"},
        lambda course: (
            course.sent[0].headers["user-agent"].partition("/")[0],
            course.sent[0].headers.get("x-user-agent"),
        ),
        ("trunkline", None),
        ("trunkline", "user-agent: mine"),
    ),
    Row("extra_body", {"safe": True}, body("safe"), None, True),
    Row("drops", ["top_p"], both(body("top_p"), dropped), (0.5, None), (None, "top_p"), {"top_p": 0.5}),
    Row("streams", "never", body("stream"), True, None, {"stream": True}),
    Row("streams", "always", body("stream"), None, True),
    Row("streams_json", False, body("stream"), True, None, {"stream": True, **AS_SCHEMA}),
    Row("usage_in_stream", "always", body("stream_options", "include_usage"), True, None, {"stream": True}),
    Row(
        "max_tokens_field",
        "max_completion_tokens",
        bodies("max_tokens", "max_completion_tokens"),
        {"max_tokens": 99},
        {"max_completion_tokens": 99},
        {"max_output_tokens": 99},
    ),
    Row("system_role", "developer", body("messages", 0, "role"), "system", "developer", {"instructions": "Be brief."}),
    Row("system_role", "user", body("messages", 0, "role"), "system", "user", {"instructions": "Be brief."}),
    *(
        Row("reasoning_request", value, bodies(*THOUGHT_FIELDS), {"reasoning_effort": "high"}, written, THINK)
        for value, written in (
            ("none", {}),
            ("thinking", {"thinking": {"type": "enabled"}}),
            ("enable_thinking", {"enable_thinking": True}),
            ("template_kwargs", {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}}),
            ("reasoning_object", {"reasoning": {"enabled": True, "effort": "high"}}),
            ("thinking_and_effort", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
            ("prompt_mode", {"prompt_mode": "reasoning"}),
        )
    ),
    Row(
        "thinking_needs_budget",
        True,
        body("thinking_budget"),
        None,
        16_000,
        {"reasoning": {"enabled": True}},
        beside={"reasoning_request": "enable_thinking"},
    ),
    Row("reasoning_efforts", ["low"], body("reasoning_effort"), "high", "low", THINK),
    Row(
        "reasoning_effort_map",
        {"medium": "high"},
        body("reasoning_effort"),
        "low",
        "high",
        {"reasoning": {"effort": "medium"}},
        beside={"reasoning_efforts": ["low", "high"]},
    ),
    *(
        Row(
            "thinking_budgets",
            [128, 32768],
            both(body("thinking_budget"), dropped),
            (asked, None),
            (sent, lost),
            {"reasoning": {"max_tokens": asked}, "max_output_tokens": 100_000},
            beside={"reasoning_request": "enable_thinking"},
        )
        for asked, sent, lost in ((40_000, 32_768, "reasoning.max_tokens"), (9, 128, "reasoning.max_tokens"))
    ),
    Row(
        "has_openai_tools",
        True,
        body("tools", 0, "type"),
        "function",
        "custom",
        {"tools": [{"type": "custom", "name": "apply_patch"}]},
        dialect="responses",
    ),
    Row(
        "has_reasoning_context",
        True,
        body("reasoning"),
        None,
        {"context": "all_turns"},
        {"reasoning": {"context": "all_turns"}},
        dialect="responses",
    ),
    Row(
        "min_thinking_budget",
        128,
        body("generationConfig", "thinkingConfig", "thinkingBudget"),
        512,
        128,
        {"reasoning": {"effort": "minimal"}, "max_output_tokens": 1000},
        dialect="gemini",
    ),
    *(
        Row("reasoning_replay", value, body("messages", 1, value), None, replayed, THOUGHT_BEFORE)
        for value, replayed in (
            ("reasoning_content", "Hm."),
            ("reasoning", "Hm."),
            ("reasoning_details", [{"type": "reasoning.text", "text": "Hm."}]),
        )
    ),
    Row(
        "reasoning_replay_is_required",
        True,
        body("messages", 1, "reasoning_content"),
        None,
        " ",
        CALL_BEFORE,
        beside={"reasoning_replay": "reasoning_content"},
    ),
    Row(
        "reasoning_replay_is_required",
        True,
        lambda course: "thoughtSignature" in body("contents", 1, "parts", 0)(course),
        False,
        True,
        CALL_BEFORE,
        dialect="gemini",
    ),
    Row(
        "think_tags",
        "tagged",
        got("output", -1, "content", 0, "text"),
        "<think>Hm.</think>Hello.",
        "Hello.",
        answer=whole(completion("<think>Hm.</think>Hello.")),
    ),
    Row(
        "think_tags",
        "opened",
        got("output", -1, "content", 0, "text"),
        "Hm.</think>Hello.",
        "Hello.",
        answer=whole(completion("Hm.</think>Hello.")),
    ),
    Row(
        "think_tag",
        "mm:think",
        got("output", -1, "content", 0, "text"),
        "<mm:think>Hm.</mm:think>Hello.",
        "Hello.",
        beside={"think_tags": "tagged"},
        answer=whole(completion("<mm:think>Hm.</mm:think>Hello.")),
    ),
    Row(
        "deltas",
        "cumulative",
        got("output", -1, "content", 0, "text"),
        "HelHello",
        "Hello",
        beside={"streams": "always"},
        answer=stream([chunk("Hel"), chunk("Hello"), chunk(finish="stop"), "[DONE]"]),
    ),
    Row(
        "has_late_system",
        True,
        lambda course: [message["role"] for message in course.sent[0].json["messages"]],
        ["system", "user", "user"],
        ["system", "user", "system"],
        {
            "instructions": "Be brief.",
            "input": [{"role": "user", "content": "NONCE"}, {"role": "developer", "content": "Be kind."}],
        },
    ),
    Row(
        "has_call_ids",
        True,
        both(
            body("contents", 1, "parts", 0, "functionCall", "id"),
            body("contents", 2, "parts", 0, "functionResponse", "id"),
        ),
        (None, None),
        ("call_1", "call_1"),
        CALL_BEFORE,
        dialect="gemini",
    ),
    Row(
        "reasoning_replay",
        "thought_signature",
        body("messages", 1, "tool_calls", 0, "extra_content"),
        None,
        {"google": {"thought_signature": "c2lnbmVk"}},
        SIGNED_CALL_BEFORE,
    ),
    Row("tool_choices", ["auto", "none"], body("tool_choice"), "required", "auto", MUST_CALL),
    Row("thinking_forbids_forced_tools", True, body("tool_choice"), "required", "auto", {**MUST_CALL, **THINK}),
    Row(
        "thinking_forbids_json",
        True,
        both(body("response_format", "type"), holds("JSON", "messages", 0)),
        ("json_object", False),
        (None, True),
        {**AS_JSON, **THINK},
    ),
    Row(
        "has_parallel_switch",
        False,
        body("parallel_tool_calls"),
        False,
        None,
        {**TOOLS, "parallel_tool_calls": False},
    ),
    Row("has_strict_tools", False, body("tools", 0, "function", "strict"), True, None, TOOLS),
    Row(
        "structured_output",
        "json_object",
        body("response_format", "type"),
        "json_schema",
        "json_object",
        {**TOOLS, **AS_SCHEMA},
    ),
    Row("structured_output", "none", body("response_format", "type"), "json_object", None, AS_JSON),
    Row("json_object_needs_word", True, holds("JSON", "messages"), False, True, AS_JSON),
    Row("has_top_k", False, body("top_k"), 7, None, {"top_k": 7}),
    Row("sampling", ["top_a"], bodies("seed", "top_a"), {"seed": 7}, {"top_a": 0.5}, {"seed": 7, "top_a": 0.5}),
    Row("service_tiers", {"flex": "slow"}, body("service_tier"), None, "slow", {"service_tier": "flex"}),
    Row("logprobs", "count", bodies("logprobs"), {"logprobs": True}, {"logprobs": 2}, {"top_logprobs": 2}),
    Row("logprobs", "never", bodies("logprobs"), {"logprobs": True}, {}, {"top_logprobs": 2}),
    Row("has_verbosity", True, body("verbosity"), None, "low", {"text": {"verbosity": "low"}}),
    Row("has_cache_key", True, body("prompt_cache_key"), None, "talk", {"prompt_cache_key": "talk"}),
    Row("has_safety_identifier", True, is_hashed("safety_identifier"), False, True, {"safety_identifier": "alice"}),
    Row("has_user", True, is_hashed("user"), False, True, {"user": "alice"}),
    Row("min_temperature", 0.5, body("temperature"), 0.1, 0.5, {"temperature": 0.1}),
    Row("max_temperature", 1.0, body("temperature"), 1.5, 1, {"temperature": 1.5}),
    Row(
        "alternates_turns",
        True,
        lambda course: [message["role"] for message in course.sent[0].json["messages"]],
        ["user", "user"],
        ["user"],
        TWO_TURNS,
    ),
    Row("web_search", "web_search_options", bodies(*SEARCH_FIELDS), {}, {"web_search_options": {}}, SEARCH_BESIDE),
    Row(
        "web_search",
        "search_domain_filter",
        body("search_domain_filter"),
        None,
        ["a.example"],
        {"tools": [TOOL, {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}}]},
    ),
    Row(
        "web_search",
        "venice_parameters",
        bodies(*SEARCH_FIELDS),
        {},
        {"venice_parameters": {"enable_web_search": "auto", "enable_web_citations": True}},
        SEARCH_BESIDE,
    ),
    Row("web_search", "web_search_tool", body("tools", 1, "type"), None, "web_search", SEARCH_BESIDE),
    *(
        Row(
            "native_search",
            False,
            both(is_searching, dropped),
            (True, None),
            (False, "tools.web_search"),
            SEARCH_BESIDE,
            dialect=dialect,
            beside=beside,
        )
        for dialect, beside in (
            ("chat", {"web_search": "web_search_tool"}),
            ("messages", {}),
            ("responses", {}),
            ("converse", {"search_tool": "nova_grounding"}),
        )
    ),
    Row(
        "audio_data",
        "data_url",
        body("messages", 0, "content", 1, "input_audio", "data"),
        "UklGRg==",
        "data:;base64,UklGRg==",
        said({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    ),
    Row(
        "audio_formats",
        ["flac", "wav"],
        lambda course: course.sent and body("messages", 0, "content", 1, "input_audio", "format")(course),
        [],
        "flac",
        said({"type": "input_audio", "input_audio": {"data": "ZkxhQwAA", "format": "flac"}}),
    ),
    Row(
        "has_stored_links",
        True,
        lambda course: course.sent and body("contents", 0, "parts", 1, "fileData")(course),
        [],
        {"mimeType": "image/png", "fileUri": "gs://bucket/cat.png"},
        picture("gs://bucket/cat.png"),
        dialect="gemini",
    ),
    Row(
        "file_links",
        "file_url",
        lambda course: course.sent and body("messages", 0, "content", 1, "file_url", "url")(course),
        [],
        LINK,
        said({"type": "input_file", "file_url": LINK}),
        beside={"image_urls": "forward"},
    ),
    *(
        Row(
            "native_files",
            dialect == "chat",
            holds_pdf,
            dialect != "chat",
            dialect == "chat",
            DOCUMENT,
            dialect=dialect,
        )
        for dialect in ("chat", "responses", "messages", "gemini", "converse")
    ),
    Row(
        "image_urls",
        "forward",
        lambda course: course.sent and body("messages", 0, "content", 1, "image_url", "url")(course),
        [],
        LINK,
        picture(LINK),
        beside={"image_urls": "inline"},
    ),
    Row(
        "image_urls",
        "inline",
        lambda course: len(course.sent),
        1,
        0,
        picture(LINK),
        beside={"image_urls": "forward"},
    ),
    Row(
        "has_image_detail",
        False,
        body("messages", 0, "content", 1, "image_url", "detail"),
        "high",
        None,
        picture(f"data:image/png;base64,{PIXEL}", detail="high"),
    ),
    Row(
        "image_output",
        "modalities",
        body("modalities"),
        None,
        ["image", "text"],
        {"modalities": ["image", "text"]},
    ),
    Row(
        "adds_reasoning_tokens",
        True,
        got("usage", "output_tokens"),
        3,
        8,
        answer=whole(
            completion()
            | {
                "usage": {
                    "prompt_tokens": 7,
                    "completion_tokens": 3,
                    "total_tokens": 15,
                    "completion_tokens_details": {"reasoning_tokens": 5},
                }
            }
        ),
    ),
    Row(
        "bills_as_told",
        True,
        got("usage", "cost"),
        13e-6,
        0.25,
        answer=whole(completion() | {"usage": {"prompt_tokens": 7, "completion_tokens": 3, "cost": 0.25}}),
    ),
    Row(
        "error_shape",
        "base_resp",
        kind,
        "rejected",
        "too_long",
        answer=whole({"base_resp": {"status_code": 1039, "status_msg": "No."}}, 400),
    ),
    Row(
        "error_shape",
        "cloudflare",
        kind,
        "rejected",
        "limited",
        answer=whole({"errors": [{"code": 3040, "message": "No."}]}, 400),
    ),
    Row("error_shape", "cohere", kind, "limited", "credentials", answer=whole({"message": "No."}, 498)),
    Row("overload_statuses", [500], kind, "unavailable", "overloaded", answer=whole({"message": "No."}, 500)),
    Row(
        "reasoning_format",
        "unknown",
        got("output", 0, "format"),
        "anthropic-claude-v1",
        "unknown",
        dialect="messages",
    ),
    Row("supports_include", False, body("include"), ["reasoning.encrypted_content"], None, THINK, dialect="responses"),
    Row("forwards_metadata", True, body("metadata"), None, {"a": "b"}, {"metadata": {"a": "b"}}, dialect="responses"),
    Row("thinking_style", "adaptive", body("thinking", "type"), "enabled", "adaptive", THINK, dialect="messages"),
    Row("thinking_style", "none", body("thinking", "type"), "enabled", None, THINK, dialect="messages"),
    *(
        Row("thinking_style", value, body("additionalModelRequestFields", name), None, written, THINK, "converse")
        for value, name, written in (
            ("effort", "reasoning_effort", "high"),
            ("nova", "reasoningConfig", {"type": "enabled", "maxReasoningEffort": "high"}),
        )
    ),
    Row(
        "thinking_style",
        "level",
        body("generationConfig", "thinkingConfig", "thinkingLevel"),
        None,
        "HIGH",
        THINK,
        dialect="gemini",
    ),
    Row(
        "can_stop_thinking",
        False,
        both(body("enable_thinking"), dropped),
        (False, None),
        (None, "reasoning.effort"),
        NO_THOUGHT,
        beside={"reasoning_request": "enable_thinking"},
    ),
    Row(
        "can_stop_thinking",
        False,
        body("thinking", "type"),
        "disabled",
        "enabled",
        NO_THOUGHT,
        dialect="messages",
    ),
    Row(
        "temperature_excludes_top_p",
        True,
        body("top_p"),
        0.5,
        None,
        {"temperature": 0.5, "top_p": 0.5},
        dialect="messages",
    ),
    Row(
        "search_tool",
        "web_search_20260101",
        body("tools", 0, "type"),
        "web_search_20250305",
        "web_search_20260101",
        SEARCH,
        dialect="messages",
    ),
    Row("model_in_body", False, body("model"), "gpt-x", None, dialect="messages"),
    Row(
        "has_cache_points",
        True,
        holds("cachePoint", "messages"),
        False,
        True,
        {"prompt_cache_key": "talk"},
        dialect="converse",
    ),
    Row(
        "has_result_status",
        False,
        both(holds("'status': 'error'", "messages"), holds("Error: Nothing.", "messages")),
        (True, False),
        (False, True),
        {**CALL_BEFORE, "input": [*CALL_BEFORE["input"][:2], {**CALL_BEFORE["input"][2], "is_error": True}]},
        dialect="converse",
    ),
    Row(
        "has_prediction",
        True,
        body("prediction", "content"),
        None,
        "x = 1",
        {"prediction": {"type": "content", "content": "x = 1"}},
    ),
    *(Row("prefill", word, is_answered, False, True, BEGUN) for word in ("sent", "prefix", "partial")),
    *(
        Row("prefill", flag, body("messages", 1), SAID, {**SAID, flag: True}, BEGUN, beside={"prefill": "sent"})
        for flag in ("prefix", "partial")
    ),
    Row(
        "has_cache_hours",
        True,
        holds("'ttl': '1h'", "system"),
        False,
        True,
        KEPT_LONG,
        dialect="converse",
        beside={"has_cache_points": True},
    ),
    Row(
        "has_cache_marks",
        True,
        both(holds("cache_control", "messages"), dropped),
        (False, "cache_control"),
        (True, None),
        KEPT_LONG,
    ),
    Row(
        "has_tool_cache_points",
        False,
        both(holds("cachePoint", "toolConfig"), holds("cachePoint", "messages")),
        (True, True),
        (False, False),
        CALL_BEFORE,
        dialect="converse",
        beside={"has_cache_points": True},
    ),
    Row(
        "schema_beside_tools",
        False,
        body("response_format", "type"),
        "json_schema",
        None,
        {**TOOLS, **AS_SCHEMA},
    ),
    Row(
        "schema_beside_tools",
        True,
        body("generationConfig", "responseMimeType"),
        None,
        "application/json",
        {**TOOLS, **AS_SCHEMA},
        dialect="gemini",
    ),
    Row(
        "schema_keywords",
        "openapi",
        lambda course: sorted(course.sent[0].json["generationConfig"]),
        ["responseJsonSchema", "responseMimeType"],
        ["responseMimeType", "responseSchema"],
        AS_SCHEMA,
        dialect="gemini",
    ),
    # Nobody listens at the other address; what the row shows is that the provider's own is not asked in its place.
    Row(
        "follow_hosts",
        ["127.77.0.80"],
        lambda course: [seen.path.partition("?")[0] for seen in course.sent[1:]],
        ["/bfl/v1/get_result"],
        [],
        dialect="bfl",
        later=(whole({"status": "Error"}),),
    ),
)
"""The table, in the order of `Quirks` where it helps."""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One provider for each dialect, and two endpoints for each row: `plain/<number>` and `quirk/<number>`."""
    config = CONFIG
    for dialect in sorted({row.dialect for row in ROWS}):
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
    for number, row in enumerate(ROWS):
        for name, quirks in (("plain", row.beside), ("quirk", {**row.beside, row.quirk: row.value})):
            config += ENDPOINT.format(provider=f"wire-{row.dialect}", model=f"{name}/{number}")
            config += 'output_modalities = ["image", "text"]\n'
            config += f"quirks = {as_toml(quirks)}\n"
    with running(tmp_path_factory.mktemp("quirks"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def as_toml(value: Any) -> str:
    """Write a value in one line of TOML; but for tables, and lists of them, it is as in JSON."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {as_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value)


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row.id for row in ROWS])
def test_a_quirk_makes_its_difference(number: int, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    row = ROWS[number]
    assert row.without != row.with_it
    assert sent_by(f"plain/{number}", row, gateway, upstream, f"{nonce}-plain") == row.without
    assert sent_by(f"quirk/{number}", row, gateway, upstream, f"{nonce}-quirk") == row.with_it


def sent_by(model: str, row: Row, gateway: Gateway, upstream: Upstream, nonce: str) -> Any:
    """Ask a model and look."""
    if not row.asked.get("stream") or row.dialect != "chat":
        body = json.dumps(ANSWERS[row.dialect]).replace("NONCE", nonce).encode()
        upstream.play(nonce, row.answer or whole(body), *row.later)
    asked = {"model": model, "input": "NONCE", **row.asked}
    reply = gateway.call(json.dumps(asked).replace("NONCE", nonce).encode())
    return row.look(Course(upstream.seen(nonce), reply))


ELSEWHERE = {"has_anthropic_members"}
"""What no client of this API can say anything about: `tests/adapters/test_anthropics_own.py`."""


def test_every_quirk_has_a_row() -> None:
    assert {row.quirk for row in ROWS} == set(Quirks.__struct_fields__) - ELSEWHERE


def test_every_word_of_a_quirk_has_a_row() -> None:
    """A quirk that is one of several words has a row for each but the plain one."""
    plain = Quirks()
    words = {
        (name, word)
        for name, kind in get_type_hints(Quirks).items()
        for word in get_args(kind)
        if isinstance(word, str) and word != getattr(plain, name)
    }
    assert words <= {(row.quirk, row.value) for row in ROWS if isinstance(row.value, str)}
