"""Members of a Chat Completions body and the requests they become; wrong ones and the one short message they get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from tests.faces.chat.chatting import HI, asked, parsed, refused
from trunkline.faces.chat.form import ChatForm
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.preferences import ProviderPreferences, WebPlugin
from trunkline.protocol.request import Effort, ReasoningConfig, Request, Sampling
from trunkline.protocol.tools import JsonObjectFormat, JsonSchemaFormat, TextConfig, TextFormat

PLAIN = Request(input=(Message(role="user", content=(InputText("Hi"),)),), is_text_alone=True)
SCHEMA = {"type": "object", "properties": {}}


# What is taken


@dataclass(frozen=True)
class Taken:
    id: str
    members: dict[str, Any]
    expected: dict[str, Any] = field(default_factory=dict)


OPTIONAL = [
    "audio",
    "cache_control",
    "chat_template_kwargs",
    "debug",
    "frequency_penalty",
    "function_call",
    "functions",
    "image_config",
    "include_reasoning",
    "enable_thinking",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "min_p",
    "modalities",
    "model",
    "models",
    "moderation",
    "n",
    "parallel_tool_calls",
    "plugins",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "provider",
    "reasoning",
    "reasoning_effort",
    "repetition_penalty",
    "response_format",
    "route",
    "safety_identifier",
    "seed",
    "service_tier",
    "session_id",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "thinking",
    "thinking_budget",
    "tool_choice",
    "tools",
    "top_a",
    "top_k",
    "top_logprobs",
    "top_p",
    "trace",
    "transforms",
    "truncation",
    "usage",
    "user",
    "verbosity",
    "web_search_options",
]

TAKEN = [
    Taken("no more than messages", {}),
    Taken("null is as good as nothing, in every member", dict.fromkeys(OPTIONAL)),
    Taken(
        "plain members",
        {
            "model": "a/b",
            "models": ["a/b", "c/d", "a/b"],
            "metadata": {"k": "v"},
            "parallel_tool_calls": False,
            "temperature": 0,
            "top_p": 1,
            "top_k": 5,
            "presence_penalty": -2,
            "frequency_penalty": 2,
            "prompt_cache_key": "k",
            "safety_identifier": "s",
            "stream": True,
            "route": "fallback",
            "user": "u",
            "session_id": "s",
            "service_tier": "fast",
            "modalities": ["image", "text"],
            "image_config": {"aspect_ratio": "1:1"},
            "provider": {"order": ["x"]},
            "plugins": [{"id": "web", "max_results": 3}],
        },
        {
            "model": "a/b",
            "models": ("a/b", "c/d"),
            "metadata": {"k": "v"},
            "parallel_tool_calls": False,
            "temperature": 0.0,
            "top_p": 1.0,
            "top_k": 5,
            "presence_penalty": -2.0,
            "frequency_penalty": 2.0,
            "prompt_cache_key": "k",
            "safety_identifier": "s",
            "stream": True,
            "route": "fallback",
            "user": "u",
            "session_id": "s",
            "service_tier": "priority",
            "modalities": ("image", "text"),
            "image_config": {"aspect_ratio": "1:1"},
            "provider": ProviderPreferences(order=("x",)),
            "plugins": (WebPlugin(max_results=3),),
        },
    ),
    Taken("the older name of the limit", {"max_tokens": 5}, {"max_output_tokens": 5}),
    Taken("the newer one", {"max_completion_tokens": 6}, {"max_output_tokens": 6}),
    Taken("of both the newer one", {"max_tokens": 5, "max_completion_tokens": 6}, {"max_output_tokens": 6}),
    Taken("of both the one that is said", {"max_tokens": 5, "max_completion_tokens": None}, {"max_output_tokens": 5}),
    Taken("a stop text", {"stop": "END"}, {"stop": ("END",)}),
    Taken("stop texts", {"stop": ["a", "", "b"]}, {"stop": ("a", "b")}),
    Taken(
        "ways of choosing words",
        {"seed": 7, "min_p": 0.1, "top_a": 0, "repetition_penalty": 1.1, "logit_bias": {"50256": -100}},
        {"sampling": Sampling(seed=7, min_p=0.1, top_a=0.0, repetition_penalty=1.1, logit_bias={"50256": -100.0})},
    ),
    Taken("log probabilities of the tokens alone", {"logprobs": True}, {"logprobs": True}),
    Taken("… and of none beside them", {"logprobs": True, "top_logprobs": 0}, {"logprobs": True, "top_logprobs": 0}),
    Taken("… and of some", {"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    Taken("… of which only the number is said", {"top_logprobs": 3}, {"top_logprobs": 3}),
    Taken("… which are not wanted", {"logprobs": False, "top_logprobs": 3}),
    Taken("one answer", {"n": 1}),
    Taken("what it will be", {"prediction": {"type": "content", "content": "a"}}, {"prediction": "a"}),
    Taken("who asks, as Open WebUI's pipelines say it", {"user": {"id": "u", "role": "admin"}}, {"user": "u"}),
    Taken("OpenRouter's older way to shorten histories", {"transforms": ["middle-out"]}, {"truncation": "auto"}),
    Taken("… turned off", {"transforms": []}),
    Taken("text", {"response_format": {"type": "text"}}, {"text": TextConfig(TextFormat())}),
    Taken("JSON", {"response_format": {"type": "json_object"}}, {"text": TextConfig(JsonObjectFormat())}),
    Taken(
        "JSON by a schema where some hosts have it",
        {"response_format": {"type": "json_object", "schema": SCHEMA}},
        {"text": TextConfig(JsonSchemaFormat("response", SCHEMA))},
    ),
    Taken(
        "JSON by a schema",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": SCHEMA, "strict": True, "description": "d"},
            }
        },
        {"text": TextConfig(JsonSchemaFormat("n", SCHEMA, "d", True))},
    ),
    Taken(
        "JSON by a schema without a name, and how much to say",
        {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}, "verbosity": "low"},
        {"text": TextConfig(JsonSchemaFormat("response", SCHEMA), "low")},
    ),
    Taken("how much to say", {"verbosity": "high"}, {"text": TextConfig(verbosity="high")}),
    Taken(
        "a model named to think",
        {"model": "a/b:thinking"},
        {"model": "a/b:thinking", "reasoning": ReasoningConfig(enabled=True)},
    ),
    # What is not known
    Taken(
        "what single hosts take is named", {"num_ctx": 1, "keep_alive": "5m"}, {"ignored": ("keep_alive", "num_ctx")}
    ),
    Taken("what asks for nothing is not", {"store": False, "moderation": None, "usage": {"include": True}}),
    Taken("a store is", {"store": True}, {"ignored": ("store",)}),
    Taken(
        "of many names a few, as they are kept on record",
        {f"x{number:02}": 1 for number in range(40)},
        {"ignored": tuple(f"x{number:02}" for number in range(16))},
    ),
    Taken("long and odd names", {"x" * 100: 1, "a\nb": 1, "é": 1}, {"ignored": ("x" * 64,)}),
    Taken("who speaks", {"messages": [{**HI, "name": "Ann"}]}, {"ignored": ("messages.name",)}),
    # How much to think
    *(
        Taken(f"the effort {effort}", {"reasoning_effort": effort}, {"reasoning": ReasoningConfig(effort=effort)})
        for effort in get_args(Effort)
    ),
    Taken("the effort that a model makes by itself", {"reasoning_effort": "default"}),
    Taken(
        "OpenRouter's thinking, by effort",
        {"reasoning": {"effort": "low", "summary": "auto"}},
        {"reasoning": ReasoningConfig(effort="low", summary="auto")},
    ),
    Taken("… by tokens", {"reasoning": {"max_tokens": 9}}, {"reasoning": ReasoningConfig(max_tokens=9)}),
    Taken("… off", {"reasoning": {"enabled": False}}, {"reasoning": ReasoningConfig(enabled=False)}),
    Taken(
        "… which goes before an effort beside it",
        {"reasoning": {"max_tokens": 9}, "reasoning_effort": "high", "enable_thinking": False},
        {"reasoning": ReasoningConfig(max_tokens=9)},
    ),
    Taken(
        "… which an effort completes",
        {"reasoning": {"summary": "auto"}, "reasoning_effort": "high"},
        {"reasoning": ReasoningConfig(effort="high", summary="auto")},
    ),
    Taken(
        "Anthropic's thinking",
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"reasoning": ReasoningConfig(max_tokens=1024)},
    ),
    Taken("DeepSeek's", {"thinking": {"type": "enabled"}}, {"reasoning": ReasoningConfig(enabled=True)}),
    Taken("… off", {"thinking": {"type": "disabled"}}, {"reasoning": ReasoningConfig(effort="none")}),
    Taken(
        "… off, whatever the effort",
        {"thinking": {"type": "disabled"}, "reasoning_effort": "high"},
        {"reasoning": ReasoningConfig(effort="none")},
    ),
    Taken(
        "… adaptive, with an effort",
        {"thinking": {"type": "adaptive"}, "reasoning_effort": "high"},
        {"reasoning": ReasoningConfig(effort="high")},
    ),
    Taken("Qwen's", {"enable_thinking": True}, {"reasoning": ReasoningConfig(enabled=True)}),
    Taken("… off", {"enable_thinking": False}, {"reasoning": ReasoningConfig(effort="none")}),
    Taken(
        "… by tokens",
        {"enable_thinking": True, "thinking_budget": 900},
        {"reasoning": ReasoningConfig(max_tokens=900)},
    ),
    Taken(
        "… off, whatever the tokens",
        {"enable_thinking": False, "thinking_budget": 900},
        {"reasoning": ReasoningConfig(effort="none")},
    ),
    Taken("a budget of nothing", {"thinking_budget": 0}, {"reasoning": ReasoningConfig(effort="none")}),
    Taken("a budget that the model makes", {"thinking_budget": -1}),
    Taken("thinking that the model sees to", {"thinking": {"type": "auto"}}),
    Taken(
        "vLLM's",
        {"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "high"},
        {"reasoning": ReasoningConfig(effort="none")},
    ),
    Taken("… on", {"chat_template_kwargs": {"thinking": True}}, {"reasoning": ReasoningConfig(enabled=True)}),
    Taken(
        "… beside what a template alone knows",
        {"chat_template_kwargs": {"enable_thinking": True, "add_vision_id": True}},
        {"reasoning": ReasoningConfig(enabled=True), "ignored": ("chat_template_kwargs",)},
    ),
    Taken(
        "… as no switch",
        {"chat_template_kwargs": {"enable_thinking": "no"}},
        {"ignored": ("chat_template_kwargs",)},
    ),
    Taken("… as no object", {"chat_template_kwargs": 1}, {"ignored": ("chat_template_kwargs",)}),
]


def test_who_offers_functions_is_told_a_call_in_their_form() -> None:
    functions = [{"name": "f"}]
    assert asked(functions=functions)[1].calls_function
    assert not asked(functions=[])[1].calls_function
    assert not asked(tools=[{"type": "function", "function": each} for each in functions])[1].calls_function


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in TAKEN])
def test_taken(case: Taken) -> None:
    assert parsed(**case.members) == replace(PLAIN, **case.expected)


@pytest.mark.parametrize(
    ("members", "form"),
    [
        pytest.param({}, ChatForm(), id="nothing said"),
        pytest.param({"stream_options": {"include_usage": True}}, ChatForm(include_usage=True), id="usage wanted"),
        pytest.param({"stream_options": {"include_usage": False}}, ChatForm(), id="usage not wanted"),
        pytest.param({"stream_options": {"include_obfuscation": True}}, ChatForm(), id="other options"),
        # OpenRouter's `usage` is told anyhow; a chunk without choices breaks clients that did not ask for one.
        pytest.param({"usage": {"include": True}}, ChatForm(), id="usage wanted in OpenRouter's words"),
        pytest.param({"reasoning": {"exclude": True}}, ChatForm(tells_thoughts=False), id="thoughts left out"),
        pytest.param({"include_reasoning": False}, ChatForm(tells_thoughts=False), id="… in older words"),
        pytest.param({"include_reasoning": True, "reasoning": {"exclude": False}}, ChatForm(), id="thoughts wanted"),
    ],
)
def test_how_the_answer_is_told(members: dict[str, Any], form: ChatForm) -> None:
    assert asked(**members)[1] == form


def test_leaving_thoughts_out_asks_for_no_other_amount_of_them() -> None:
    assert parsed(reasoning={"exclude": True, "effort": "low"}).reasoning == ReasoningConfig(effort="low")


# What is not


@dataclass(frozen=True)
class Refused:
    id: str
    members: dict[str, Any]
    param: str
    words: str


REFUSED = [
    Refused("no messages", {"messages": None}, "messages", "is required: an array of messages"),
    Refused("no message", {"messages": []}, "messages", "must not be empty"),
    Refused("a string of messages", {"messages": "Hi"}, "messages", "an array of messages"),
    Refused("a body of Responses", {"messages": None, "input": "Hi"}, "messages", "POST /api/v1/responses"),
    Refused("a body of the older Completions", {"messages": None, "prompt": "Hi"}, "messages", "Completions API"),
    Refused("several answers", {"n": 2}, "n", "must be 1"),
    Refused("whether there is an answer", {"n": True}, "n", "must be 1"),
    Refused("a spoken answer", {"modalities": ["text", "audio"]}, "modalities[1]", '"audio"'),
    Refused("a voice", {"audio": {"voice": "alloy", "format": "wav"}}, "audio", "answers are told as text"),
    Refused("an unknown format", {"response_format": {"type": "grammar"}}, "response_format.type", '"grammar"'),
    Refused("no schema", {"response_format": {"type": "json_schema"}}, "response_format.json_schema", "is required"),
    Refused(
        "a schema that is none",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": 1}}},
        "response_format.json_schema.schema",
        "an object",
    ),
    Refused("an odd verbosity", {"verbosity": "huge"}, "verbosity", '"huge"'),
    Refused("options that are none", {"stream_options": True}, "stream_options", "an object"),
    Refused("usage wanted in a word", {"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage", ""),
    Refused("an odd effort", {"reasoning_effort": "hard"}, "reasoning_effort", '"hard"'),
    Refused("two amounts of thought", {"reasoning": {"effort": "low", "max_tokens": 1}}, "reasoning", "only one"),
    Refused("odd thinking", {"thinking": {"type": "on"}}, "thinking.type", '"on"'),
    Refused(
        "a budget below nothing", {"thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking.budget_tokens", ""
    ),
    Refused("nobody who asks", {"user": {"name": "x"}}, "user.id", "is required"),
    Refused("somebody with a long name", {"user": {"id": "x" * 129}}, "user.id", "at most 128"),
    Refused("another transform", {"transforms": ["x"]}, "transforms[0]", '"middle-out"'),
    Refused("both limits, of which one is wrong", {"max_tokens": 0, "max_completion_tokens": 5}, "max_tokens", ""),
    Refused("a mark that is none", {"cache_control": {"type": "forever"}}, "cache_control.type", '"ephemeral"'),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in REFUSED])
def test_refused(case: Refused) -> None:
    error = refused(**case.members)
    assert error.param == case.param
    assert error.message.startswith(f"{case.param} ")
    assert case.words in error.message
    assert error.kind == ("invalid_prompt" if case.param.startswith("messages") else "invalid_request")
