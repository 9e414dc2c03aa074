"""The Responses language: what goes out, what is made of what comes back, and how little of it is trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from trunkline.adapters.responses.request import ADAPTER
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.errors import Unprocessable
from trunkline.faces.responses.parse import parse
from trunkline.protocol.items import FindInPageAction, Found, Logprob, OpenPageAction, UrlCitation
from trunkline.protocol.opaque import ServerItem
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Citation,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Opaque,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.stream.seals import Seal, seal
from trunkline.wire import WireMessage

Json = Any


def endpoint(**fields: Json) -> Endpoint:
    quirks = Quirks(**fields.pop("quirks", {}))
    slug = fields.pop("provider", "openai")
    return Endpoint(
        model=Model(slug="openai/gpt-5"),
        provider=Provider(slug=slug, name=slug.title()),
        upstream_model="gpt-5",
        dialect="responses",
        base_url="https://api.example.test/v1",
        quirks=quirks,
        **fields,
    )


PLAIN = endpoint()
HOME = PLAIN.id


def request(**fields: Json) -> Request:
    return parse(json.dumps({"model": "openai/gpt-5", "input": "Hello", **fields}).encode())


def sent(asked: Request, to: Endpoint = PLAIN, end_user: str | None = None) -> dict[str, Json]:
    body: dict[str, Json] = json.loads(ADAPTER.encode(asked, to, end_user).body)
    return body


# Request out


class Sent(Struct, frozen=True):
    """Fields of a request and what becomes of them; None means that a field is not sent."""

    id: str
    fields: dict[str, Json]
    body: dict[str, Json]
    dropped: tuple[str, ...] = ()
    to: Endpoint = PLAIN


WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
REASONER = endpoint(supports=frozenset({"reasoning", "tools"}))

SENT = [
    Sent("nothing is stored upstream", {}, {"store": False, "stream": False, "model": "gpt-5"}),
    Sent("a stream is asked for when the client streams", {"stream": True}, {"stream": True}),
    Sent(
        "no stream where the endpoint has none",
        {"stream": True},
        {"stream": False},
        to=endpoint(quirks={"streams": "never"}),
    ),
    Sent(
        "instructions have a field of their own", {"instructions": "Be brief."}, {"instructions": "Be brief."}
    ),
    Sent(
        "where that field is refused they are the first item",
        {"instructions": "Be brief."},
        {
            "instructions": None,
            "input": [
                {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
            ],
        },
        to=endpoint(quirks={"drops": frozenset({"instructions"})}),
    ),
    Sent(
        "parameters without a place are named",
        {"top_k": 5, "presence_penalty": 1, "frequency_penalty": 1},
        {"top_k": None, "presence_penalty": None, "frequency_penalty": None},
        ("top_k", "presence_penalty", "frequency_penalty"),
    ),
    Sent("sampling goes out as it is", {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3, "top_p": 0.5}),
    Sent(
        "a model that reasons takes no sampling",
        {"temperature": 0.3, "reasoning": {"effort": "low"}},
        {"temperature": None, "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]},
        ("temperature",),
    ),
    Sent(
        "a model that was told not to reason takes sampling",
        {"temperature": 0.3, "reasoning": {"effort": "none"}},
        {"temperature": 0.3, "reasoning": {"effort": "none"}, "include": None},
    ),
    Sent("a known reasoner is asked for its seal", {}, {"include": ["reasoning.encrypted_content"]}, to=REASONER),
    Sent(
        "but not where the server knows no include",
        {"reasoning": {"effort": "low"}},
        {"include": None},
        to=endpoint(quirks={"supports_include": False}),
    ),
    Sent(
        "a budget is folded into an effort",
        {"reasoning": {"max_tokens": 800}, "max_output_tokens": 1000},
        {"reasoning": {"effort": "high"}},
        ("reasoning.max_tokens",),
    ),
    Sent("enabled alone is medium", {"reasoning": {"enabled": True}}, {"reasoning": {"effort": "medium"}}),
    Sent(
        "an effort the endpoint lacks becomes the nearest lower one",
        {"reasoning": {"effort": "xhigh", "summary": "auto"}},
        {"reasoning": {"effort": "high", "summary": "auto"}},
        ("reasoning.effort",),
        to=endpoint(reasoning_efforts=("low", "high")),
    ),
    Sent(
        "reasoning is left out for a model without it",
        {"reasoning": {"effort": "low"}},
        {"reasoning": None, "include": None},
        ("reasoning",),
        to=endpoint(supports=frozenset({"tools"})),
    ),
    Sent(
        "logprobs need an include of their own",
        {"top_logprobs": 2},
        {"top_logprobs": 2, "include": ["message.output_text.logprobs"]},
    ),
    Sent(
        "logprobs are named where the server has none",
        {"top_logprobs": 2},
        {"top_logprobs": None, "include": None},
        ("top_logprobs",),
        to=endpoint(quirks={"logprobs": "never"}),
    ),
    Sent(
        "a tool says whether it is strict",
        {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False},
        {
            "tools": [{**WEATHER, "strict": False}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
        },
    ),
    Sent(
        "a named tool where names are unknown is the only one and required",
        {
            "tools": [WEATHER, {**WEATHER, "name": "clock"}],
            "tool_choice": {"type": "function", "name": "clock"},
        },
        {"tools": [{**WEATHER, "name": "clock", "strict": False}], "tool_choice": "required"},
        ("tool_choice",),
        to=endpoint(quirks={"tool_choices": frozenset({"auto", "required"})}),
    ),
    Sent(
        "a search tool goes out as it is",
        {"tools": [{"type": "web_search", "search_context_size": "low"}]},
        {"tools": [{"type": "web_search", "search_context_size": "low"}]},
    ),
    Sent(
        "pictures are made by a tool",
        {"modalities": ["image", "text"], "image_config": {"quality": "low", "aspect_ratio": "1:1"}},
        {
            "tools": [{"type": "image_generation", "quality": "low", "size": "1024x1024"}],
            "modalities": None,
            "image_config": None,
        },
    ),
    Sent(
        "a schema is sent as it is",
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}}},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}}},
    ),
    Sent(
        "a schema goes into the instructions where the format is unknown",
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}},
        {
            "text": {"format": {"type": "json_object"}},
            "instructions": "Answer with one JSON object that fits this JSON schema, and with nothing else:\n"
            '{"type":"object"}',
        },
        ("text.format",),
        to=endpoint(quirks={"structured_output": "json_object"}),
    ),
    Sent(
        "a schema is lost to a model that is known to keep none",
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}},
        {"text": {"format": {"type": "json_object"}}},
        ("text.format",),
        to=endpoint(supports=frozenset({"response_format"})),
    ),
    Sent(
        "no call is forced where thinking forbids it",
        {"tools": [WEATHER], "tool_choice": "required"},
        {"tool_choice": "auto", "instructions": "Answer by calling one of the tools."},
        ("tool_choice",),
        to=endpoint(quirks={"thinking_forbids_forced_tools": True}),
    ),
    Sent(
        "what a model is known to take is sent although it reasons",
        {"temperature": 0.3, "top_p": 0.5},
        {"temperature": 0.3, "top_p": None, "include": ["reasoning.encrypted_content"]},
        ("top_p",),
        to=endpoint(supports=frozenset({"reasoning", "temperature"})),
    ),
    Sent(
        "an effort that cannot be turned off is the weakest",
        {"reasoning": {"enabled": False}},
        {"reasoning": {"effort": "low"}},
        ("reasoning.effort",),
        to=endpoint(reasoning_efforts=("low", "high")),
    ),
    Sent("verbosity is named where it is unknown", {"text": {"verbosity": "low"}}, {"text": None}, ("text.verbosity",)),
    Sent("metadata stays here", {"metadata": {"a": "b"}}, {"metadata": None}),
    Sent(
        "metadata goes where the operator lets it",
        {"metadata": {"a": "b"}},
        {"metadata": {"a": "b"}},
        to=endpoint(quirks={"forwards_metadata": True}),
    ),
    Sent(
        "what the gateway keeps to itself is not sent",
        {"user": "u", "session_id": "s", "provider": {"zdr": True}, "models": ["a/b"], "route": "sort"},
        {"user": None, "session_id": None, "provider": None, "models": None, "route": None}, ("user",),
    ),
    Sent("fixed fields do not override the client's", {"top_p": 0.5}, {"top_p": 0.5, "x": 1},
         to=endpoint(quirks={"extra_body": {"top_p": 0.9, "x": 1}})),
    Sent("a temperature beyond the server's is clamped", {"temperature": 2}, {"temperature": 1.0}, ("temperature",),
         to=endpoint(quirks={"max_temperature": 1.0})),
    Sent("who cannot shorten an input is not asked to", {"truncation": "auto"}, {"truncation": None}, (),
         to=endpoint(quirks={"drops": frozenset({"truncation"})})),
]  # fmt: skip


@pytest.mark.parametrize("case", SENT, ids=lambda case: case.id)
def test_encoding(case: Sent) -> None:
    asked = request(**case.fields)
    body = sent(asked, case.to)
    assert {name: body.get(name) for name in case.body} == case.body
    assert ADAPTER.encode(asked, case.to, None).dropped == case.dropped


def test_the_end_user_goes_out_hashed_and_only_where_there_is_a_place() -> None:
    named = endpoint(quirks={"has_safety_identifier": True})
    assert sent(request(user="alice"), named, "h-1")["safety_identifier"] == "h-1"
    assert "h-1" not in json.dumps(sent(request(user="alice"), PLAIN, "h-1"))


CALLED = {"type": "function_call", "id": "fc_ours", "call_id": "call_7", "name": "weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_7", "output": "4 C"}


def thought(encrypted: str | None = None, **fields: Json) -> dict[str, Json]:
    sealed = {} if encrypted is None else {"encrypted_content": encrypted}
    return {"type": "reasoning", "id": "rs_ours", "summary": [], **sealed, **fields}


def replay(*items: Json, to: Endpoint = PLAIN) -> list[Json]:
    body = sent(request(input=[{"role": "user", "content": "Hi"}, *items]), to)
    return list(body["input"])[1:]


def test_ids_of_ours_never_go_upstream() -> None:
    said = {
        "type": "message",
        "id": "msg_ours",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hm.", "annotations": []}],
    }
    body = json.dumps(replay(said, CALLED, RESULT))
    assert "_ours" not in body
    assert '"call_7"' in body


def test_a_sealed_thought_goes_back_under_its_own_id_without_its_text() -> None:
    item = thought(
        seal(Seal(endpoint_id=HOME, blob="gAAAA==", item_id="rs_theirs")),
        content=[{"type": "reasoning_text", "text": "secret"}],
        signature="s",
        format="openai-responses-v1",
    )
    first, call, _ = replay(item, CALLED, RESULT)
    assert first == {"type": "reasoning", "id": "rs_theirs", "summary": [], "encrypted_content": "gAAAA=="}
    assert call["type"] == "function_call"


@pytest.mark.parametrize(
    "item",
    [
        thought(seal(Seal(endpoint_id="azure:openai/gpt-5", blob="gAAAA==", item_id="rs_1"))),
        thought("gAAAA=="),
        thought(""),
        thought(content=[{"type": "reasoning_text", "text": "secret"}]),
        thought(signature="s", format="anthropic-claude-v1"),
    ],
    ids=["of another provider", "without our tag", "with an empty blob", "without a seal", "signed by another"],
)
def test_a_thought_is_dropped_whole(item: Json) -> None:
    items = replay(item, CALLED, RESULT)
    assert [one["type"] for one in items] == ["function_call", "function_call_output"]
    assert "secret" not in json.dumps(items)


def test_plain_thought_goes_back_where_the_server_wants_it() -> None:
    plain = endpoint(quirks={"reasoning_replay": "reasoning"})
    first, *_ = replay(thought(content=[{"type": "reasoning_text", "text": "Hm."}]), CALLED, RESULT, to=plain)
    assert first == {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}


def test_a_thought_that_nothing_follows_is_dropped() -> None:
    assert replay(
        thought(seal(Seal(endpoint_id=HOME, blob="gAAAA==", item_id="rs_1"))), {"role": "user", "content": "And?"}
    ) == [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And?"}]}]


def test_searches_are_not_replayed_and_pictures_become_the_users() -> None:
    items = replay(
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "data:image/png;base64,AAAA"},
    )
    assert [(one["role"], one["content"][1]["image_url"]) for one in items] == [("user", "data:image/png;base64,AAAA")]


def test_a_bare_file_becomes_a_data_url_with_a_name() -> None:
    part = {"type": "input_file", "file_data": "JVBERi0xLjQK"}
    body = sent(request(input=[{"role": "user", "content": [part]}]))
    assert body["input"][0]["content"] == [
        {"type": "input_file", "filename": "file.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}
    ]


def test_a_video_is_no_word_of_this_language() -> None:
    asked = request(input=[{"role": "user", "content": [{"type": "input_video", "video_url": "https://x.test/v.mp4"}]}])
    with pytest.raises(Unprocessable):
        sent(asked)
    assert sent(asked, endpoint(input_modalities=frozenset({"video"})))["input"]


# Answer in


def decode(*events: Json, to: Endpoint = PLAIN, is_named: bool = True) -> list[Delta]:
    decoder = ADAPTER.decoder(request(), to)
    deltas: list[Delta] = []
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        name = event.get("type") if is_named and isinstance(event, dict) else None
        deltas += decoder.message(WireMessage(name, data))
    return [*deltas, *decoder.end()]


def whole(body: Json, to: Endpoint = PLAIN) -> list[Delta]:
    return list(ADAPTER.decoder(request(), to).whole(json.dumps(body).encode()))


def event(kind: str, **fields: Json) -> dict[str, Json]:
    return {"type": f"response.{kind}", "sequence_number": 9, **fields}


def text(delta: str, index: int = 0, **fields: Json) -> dict[str, Json]:
    return event("output_text.delta", item_id="msg_up", output_index=index, content_index=0, delta=delta, **fields)


def done(item: Json, index: int = 0) -> dict[str, Json]:
    return event("output_item.done", output_index=index, item=item)


def added(item: Json, index: int = 0) -> dict[str, Json]:
    return event("output_item.added", output_index=index, item=item)


def message(said: str, item_id: str = "msg_up", **fields: Json) -> dict[str, Json]:
    part = {"type": "output_text", "text": said, "annotations": [], **fields}
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": [part]}


def call(arguments: Json = '{"a":1}', item_id: str = "fc_up", call_id: str = "call_1") -> dict[str, Json]:
    return {"type": "function_call", "id": item_id, "call_id": call_id, "name": "f", "arguments": arguments}


def custom(said: str) -> dict[str, Json]:
    name = {"name": "patch", "namespace": "ns"}
    return {"type": "custom_tool_call", "id": "ctc_up", "call_id": "call_1", **name, "input": said}


SEARCH = {
    "type": "tool_search_call", "id": "tsc_up", "call_id": "call_1", "execution": "client", "arguments": {"query": "q"}
}  # fmt: skip
SHELL = {
    "type": "local_shell_call", "id": "lsh_up", "call_id": "call_1",
    "action": {"type": "exec", "command": ["ls"], "env": {}},
}  # fmt: skip


def completed(*output: Json, **fields: Json) -> dict[str, Json]:
    return event("completed", response={"id": "resp_up", "status": "completed", "output": list(output), **fields})


STOP = Stopped("stop")


class Heard(Struct, frozen=True):
    id: str
    events: Sequence[Json]
    deltas: Sequence[Delta]


HEARD = [
    Heard(
        "plain text, with padding and numbers that are not ours",
        [event("created", response={}), text("Ra", obfuscation="xx"), text("in"), done(message("Rain")),
         completed(message("Rain"))],
        [Text(0, "Ra"), Text(0, "in"), Closed(0), STOP],
    ),
    Heard(
        "ST_23 text that is only in its done event",
        [event("output_text.done", item_id="m", output_index=0, content_index=0, text="Rain"), completed()],
        [Text(0, "Rain"), STOP],
    ),
    Heard(
        "ST_23 text that is only in the finished item",
        [done(message("Rain")), completed()],
        [Text(0, "Rain"), Closed(0), STOP],
    ),
    Heard(
        "ST_23 output that is only in the last event",
        [event("created", response={}), completed(message("Rain"), call())],
        [
            Text(0, "Rain"),
            Closed(0),
            FunctionCall(1, "call_1", "f"),
            Arguments(1, '{"a":1}'),
            Closed(1),
            Stopped("calls"),
        ],
    ),
    Heard(
        "ST_23 arguments before their call",
        [
            event("function_call_arguments.delta", item_id="fc_up", output_index=0, delta='{"a"'),
            event("function_call_arguments.delta", item_id="fc_up", output_index=0, delta=":1}"),
            done(call()),
            completed(),
        ],
        [
            FunctionCall(0, "call_1", "f"),
            Arguments(0, '{"a"'),
            Arguments(0, ":1}"),
            Closed(0),
            Stopped("calls"),
        ],
    ),
    Heard(
        "ST_23 two calls with the same index, told apart by their ids",
        [
            added(call("", "fc_a", "call_a")),
            added(call("", "fc_b", "call_b")),
            event("function_call_arguments.delta", item_id="fc_a", output_index=0, delta="1"),
            event("function_call_arguments.delta", item_id="fc_b", output_index=0, delta="2"),
            done(call("1", "fc_a", "call_a")),
            done(call("2", "fc_b", "call_b")),
            completed(call("1", "fc_a", "call_a"), call("2", "fc_b", "call_b")),
        ],
        [
            FunctionCall(0, "call_a", "f"),
            FunctionCall((0, 1, "again"), "call_b", "f"),
            Arguments(0, "1"),
            Arguments((0, 1, "again"), "2"),
            Closed(0),
            Closed((0, 1, "again")),
            Stopped("calls"),
        ],
    ),
    Heard(
        "ids that change from event to event",
        [added(call("", "fc_1")), event("function_call_arguments.done", item_id="fc_2", output_index=0, arguments="{}"),
         done(call("{}", "fc_3")), completed(call("{}", "fc_4"))],
        [FunctionCall(0, "call_1", "f"), Arguments(0, "{}"), Closed(0), Stopped("calls")],
    ),
    Heard(
        "arguments that are an object",
        [done(call({"a": 1})), completed()],
        [FunctionCall(0, "call_1", "f"), Arguments(0, '{"a":1}'), Closed(0), Stopped("calls")],
    ),
    Heard(
        "a summary with two parts and a seal",
        [
            added({"type": "reasoning", "id": "rs_up", "summary": [], "encrypted_content": "half"}),
            event("reasoning_summary_text.delta", item_id="rs_up", output_index=0, summary_index=0, delta="One"),
            event("reasoning_summary_text.done", item_id="rs_up", output_index=0, summary_index=0, text="One"),
            event("reasoning_summary_part.done", item_id="rs_up", output_index=0, summary_index=1,
                  part={"type": "summary_text", "text": "Two"}),
            done({"type": "reasoning", "id": "rs_up", "encrypted_content": "gAAA",
                  "summary": [{"type": "summary_text", "text": "One"}, {"type": "summary_text", "text": "Two"}]}),
            completed(),
        ],
        [
            ReasoningSummary(0, "One", 0),
            ReasoningSummary(0, "Two", 1),
            ReasoningSeal(0, "gAAA", endpoint_id=HOME, item_id="rs_up"),
            Closed(0),
            STOP,
        ],
    ),
    Heard(
        "raw thought",
        [event("reasoning_text.delta", output_index=0, content_index=0, delta="Hm"),
         done({"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm"}], "encrypted_content": ""}),
         completed()],
        [Reasoning(0, "Hm"), Closed(0), STOP],
    ),
    Heard(
        "a refusal",
        [event("refusal.delta", output_index=0, content_index=0, delta="No."),
         event("refusal.done", output_index=0, content_index=0, refusal="No."), completed()],
        [Refusal(0, "No."), STOP],
    ),
    Heard(
        "citations, each told once, of the kinds we have",
        [
            text("å x"),
            event("output_text.annotation.added", output_index=0, content_index=0, annotation_index=0,
                  annotation={"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 2,
                              "end_index": 3}),
            done(message("å x", annotations=[
                {"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 2, "end_index": 3},
                {"type": "url_citation", "url": "https://b.test"},
                {"type": "container_file_citation", "file_id": "f"},
            ])),
            completed(),
        ],
        [
            Text(0, "å x"),
            Citation(0, UrlCitation("https://a.test", "A", 2, 3)),
            Citation(0, UrlCitation("https://b.test", "https://b.test", 0, 0)),
            Closed(0),
            STOP,
        ],
    ),
    Heard(
        "logprobs, bytes filled in",
        [text("å", logprobs=[{"token": "å", "logprob": -0.5, "top_logprobs": []}]), completed()],
        [Text(0, "å", (Logprob("å", (195, 165), -0.5),)), STOP],
    ),
    Heard(
        "a search, and a page opened that is no search",
        [
            added({"type": "web_search_call", "id": "ws_1", "status": "in_progress"}),
            event("web_search_call.searching", output_index=0, item_id="ws_1"),
            done({"type": "web_search_call", "id": "ws_1", "status": "completed",
                  "action": {"type": "search", "query": "kites", "queries": ["kites", "drager"], "sources": [
                      {"type": "url", "url": "https://a.example"}, {"type": "api", "name": "oai-weather"}]}}),
            added({"type": "web_search_call", "id": "ws_2", "status": "in_progress",
                   "action": {"type": "open_page", "url": "https://a.example"}}, 1),
            done({"type": "web_search_call", "id": "ws_2", "status": "completed", "action": {"type": "open_page"}}, 1),
            done({"type": "web_search_call", "id": "ws_3", "status": "completed",
                  "action": {"type": "find_in_page", "url": "https://a.example", "pattern": "kite"}}, 2),
            completed(usage={"input_tokens": 3, "output_tokens": 2}),
        ],
        [
            Search(0, "web", "in_progress"),
            Search(0, "web", "completed", ("kites", "drager"), "kites", ("https://a.example",),
                   results=(Found("https://a.example"),)),
            Closed(0),
            Search(1, "web", "in_progress", visit=OpenPageAction("https://a.example")),
            Search(1, "web", "completed", visit=OpenPageAction()),
            Closed(1),
            Search(2, "web", "completed", visit=FindInPageAction("https://a.example", "kite")),
            Closed(2),
            Spent(Usage(input_tokens=3, output_tokens=2, searches=1)),
            STOP,
        ],
    ),
    Heard(
        "a picture with a sketch",
        [
            added({"type": "image_generation_call", "id": "ig_1", "status": "in_progress"}),
            event("image_generation_call.partial_image", output_index=0, partial_image_b64="AA==",
                  partial_image_index=0),
            done({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA",
                  "output_format": "webp"}),
            completed(),
        ],
        [
            Image(0, "", False),
            Image(0, "AA==", False),
            Image(0, "AAAA", True, "image/webp"),
            Closed(0),
            STOP,
        ],
    ),
    Heard(
        "items of OpenAI's own tools pass as they are",
        [added({"type": "mcp_call", "id": "m", "arguments": "{}"}), event("mcp_call.completed", output_index=0),
         done({"type": "mcp_call", "id": "m", "content": "text"}), text("Hi", 1), completed()],
        [Opaque(0, ServerItem({"type": "mcp_call", "id": "m", "arguments": "{}"}), False),
         Opaque(0, ServerItem({"type": "mcp_call", "id": "m", "content": "text"}), True), Closed(0), Text(1, "Hi"),
         STOP],
    ),
    Heard(
        "so does a search for tools that the server makes",
        [done({"type": "tool_search_call", "id": "t", "execution": "server", "arguments": {}}), completed()],
        [Opaque(0, ServerItem({"type": "tool_search_call", "id": "t", "execution": "server", "arguments": {}}), True),
         Closed(0), STOP],
    ),
    Heard(
        "items and events that nobody knows",
        [added({"type": "new_call", "id": "m", "arguments": "{}"}), event("new_call.completed", output_index=0),
         done({"type": "new_call", "id": "m", "content": "text"}), text("Hi", 1), completed()],
        [Text(1, "Hi"), STOP],
    ),
    Heard(
        "raw text for a tool, in pieces",
        [added(custom("")), event("custom_tool_call_input.delta", output_index=0, item_id="ctc_up", delta="*** "),
         event("custom_tool_call_input.delta", output_index=0, item_id="ctc_up", delta="Begin"),
         event("custom_tool_call_input.done", output_index=0, item_id="ctc_up", input="*** Begin"),
         done(custom("*** Begin")), completed(custom("*** Begin"))],
        [FunctionCall(0, "call_1", "patch", "custom", "ns"), Arguments(0, "*** "), Arguments(0, "Begin"), Closed(0),
         Stopped("calls")],
    ),
    Heard(
        "raw text for a tool, only when it is done",
        [added(custom("")), event("custom_tool_call_input.done", output_index=0, item_id="ctc_up", input="a"),
         completed(custom("a"))],
        [FunctionCall(0, "call_1", "patch", "custom", "ns"), Arguments(0, "a"), Closed(0), Stopped("calls")],
    ),
    Heard(
        "raw text for a tool, only in the last event",
        [completed(custom("a"))],
        [FunctionCall(0, "call_1", "patch", "custom", "ns"), Arguments(0, "a"), Closed(0), Stopped("calls")],
    ),
    Heard(
        "the namespace of a function",
        [done({**call(), "namespace": "ns"}), completed()],
        [FunctionCall(0, "call_1", "f", "function", "ns"), Arguments(0, '{"a":1}'), Closed(0), Stopped("calls")],
    ),
    Heard(
        "a search for tools that the client makes",
        [added({**SEARCH, "arguments": {}}), done(SEARCH), completed(SEARCH)],
        [FunctionCall(0, "call_1", "tool_search", "tool_search"), Arguments(0, '{"query":"q"}'), Closed(0),
         Stopped("calls")],
    ),
    Heard(
        "a command for the client's shell",
        [done(SHELL), completed(SHELL)],
        [FunctionCall(0, "call_1", "local_shell", "local_shell"),
         Arguments(0, '{"type":"exec","command":["ls"],"env":{}}'), Closed(0), Stopped("calls")],
    ),
    Heard(
        "a search whose action is broken is a search",
        [done({"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": 5}}), completed()],
        [Search(0, "web", "completed"), Closed(0), STOP],
    ),
    Heard(
        "usage in full, tier and cached parts",
        [text("Hi"), completed(service_tier="flex", usage={
            "input_tokens": 61, "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
            "output_tokens": 29, "output_tokens_details": {"reasoning_tokens": 16}, "total_tokens": 90})],
        [
            Text(0, "Hi"),
            Spent(Usage(input_tokens=61, cache_read_tokens=20, cache_write_tokens=5, output_tokens=29,
                        reasoning_tokens=16), service_tier="flex"),
            STOP,
        ],
    ),
    Heard(
        "a length stop",
        [text("Hi"), event("incomplete", response={"status": "incomplete",
                                                   "incomplete_details": {"reason": "max_output_tokens"}})],
        [Text(0, "Hi"), Stopped("length")],
    ),
    Heard(
        "ST_29 a filter stop",
        [text("Hi"), event("incomplete", response={"incomplete_details": {"reason": "content_filter"}})],
        [Text(0, "Hi"), Stopped("content_filter")],
    ),
    Heard(
        "ST_17 whatever follows the terminal event",
        [text("Hi"), completed(), text("again"), completed(), b"[DONE]", event("failed", response={})],
        [Text(0, "Hi"), STOP],
    ),
    Heard("ST_07 an answer that just ends", [text("Hi"), b"[DONE]"], [Text(0, "Hi")]),
    Heard(
        "a second part of a message, whose citations count from its own start",
        [text("One"), event("output_text.delta", output_index=0, content_index=1, delta="Two"), completed()],
        [Text(0, "One"), Text((0, 1), "Two"), STOP],
    ),
    Heard(
        "a context that fills up while the model speaks",
        [text("Hi"), {"type": "error", "code": "context_length_exceeded", "message": "too long"}],
        [Text(0, "Hi"), Stopped("length")],
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", HEARD, ids=lambda case: case.id)
def test_decoding(case: Heard) -> None:
    assert decode(*case.events) == list(case.deltas)


@pytest.mark.parametrize("case", HEARD, ids=lambda case: case.id)
def test_decoding_does_not_need_event_names(case: Heard) -> None:
    assert decode(*case.events, is_named=False) == list(case.deltas)


def test_a_tool_of_the_servers_at_work_is_no_silence() -> None:
    decoder = ADAPTER.decoder(request(), PLAIN)
    for told in (event("code_interpreter_call_code.delta", delta="1"), event("keepalive"), event("mcp_call.failed")):
        assert list(decoder.message(WireMessage(None, json.dumps(told).encode()))) == []
    assert decoder.held_back == 2


def test_a_whole_answer_says_what_its_stream_says() -> None:
    output = [
        {"type": "reasoning", "id": "rs_up", "summary": [], "encrypted_content": "gAAA"},
        message("Rain"),
        call(item_id="fc_up"),
    ]
    usage = {"input_tokens": 3, "output_tokens": 2}
    streamed = decode(*(done(item, index) for index, item in enumerate(output)), completed(*output, usage=usage))
    assert whole({"status": "completed", "output": output, "usage": usage}) == streamed


def test_the_issuer_is_named_on_its_thoughts() -> None:
    azure = endpoint(provider="azure", quirks={"reasoning_format": "azure-openai-responses-v1"})
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    assert decode(done(item), to=azure)[0] == ReasoningSeal(
        0, "gAAA", format="azure-openai-responses-v1", endpoint_id=azure.id, item_id="rs_1"
    )


def test_an_issuer_of_another_dialect_is_not_named() -> None:
    bedrock = endpoint(quirks={"reasoning_format": "anthropic-claude-v1"})
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    assert decode(done(item), to=bedrock)[0] == ReasoningSeal(0, "gAAA", endpoint_id=bedrock.id, item_id="rs_1")


class Broken(Struct, frozen=True):
    id: str
    event: Json
    kind: str


BROKEN = [
    Broken("ST_12 an error event", {"type": "error", "code": "server_error", "message": "boom"}, "unavailable"),
    Broken("ST_11 an overload", {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, "overloaded"),
    Broken("a response.error", {"type": "response.error", "error": {"code": "rate_limit_exceeded"}}, "limited"),
    Broken("an error without a type", {"error": {"message": "rate limit reached"}}, "limited"),
    Broken("a failed response", event("failed", response={"status": "failed", "error": {
        "code": "rate_limit_exceeded", "message": "slow down"}}), "limited"),
    Broken("a failed response without a reason", event("failed", response={"status": "failed"}), "unavailable"),
    Broken("a prompt that is wrong", event("failed", response={"error": {
        "code": "invalid_prompt", "message": "no"}}), "rejected"),
    Broken("a picture that is refused", event("failed", response={"error": {
        "code": "image_content_policy_violation", "message": "no"}}), "refused"),
    Broken("a cancelled response", completed(status="cancelled"), "unavailable"),
    Broken("ST_13 broken JSON", b'{"type":"response.output_te', "nonsense"),
    Broken("a known event with the wrong types", event("output_text.delta", delta=5), "nonsense"),
    Broken("a call that nobody named", done({"type": "function_call", "arguments": '{"a":1}'}), "nonsense"),
    Broken("arguments that nobody called for", event("function_call_arguments.delta", delta="{"), ""),
    Broken("an empty terminal event", {"type": "response.completed"}, "nonsense"),
    Broken("too deep a nesting", b'{"type":"response.output_item.done","x":' + b"[" * 100_000, "nonsense"),
]  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.id)
def test_failures_before_anything_was_said_are_faults_alone(case: Broken) -> None:
    deltas = decode(event("created", response={}), case.event)
    if not case.kind:
        deltas = decode(case.event, completed())
    assert [type(delta) for delta in deltas] == [Failed]
    assert isinstance(deltas[0], Failed)
    assert deltas[0].fault.kind == (case.kind or "nonsense")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "limited"),
        ({"error": "no credit left", "code": "insufficient_quota"}, "credentials"),
        ({}, "nonsense"),
        ([], "nonsense"),
        (None, "nonsense"),
        ({"status": "in_progress", "output": []}, "nonsense"),
    ],
)
def test_UP_06_and_UP_07_a_success_that_is_none(body: Json, kind: str) -> None:
    [failed] = whole(body)
    assert isinstance(failed, Failed)
    assert failed.fault.kind == kind


@given(st.binary(max_size=60), st.sampled_from([None, "response.completed", "response.output_item.done", "error"]))
def test_no_bytes_make_the_decoder_raise(data: bytes, name: str | None) -> None:
    decoder = ADAPTER.decoder(request(), PLAIN)
    list(decoder.message(WireMessage(name, data)))
    list(ADAPTER.decoder(request(), PLAIN).whole(data))


EVENTS = [one for case in HEARD for one in case.events if isinstance(one, dict)]


@given(st.lists(st.sampled_from(EVENTS), max_size=12))
def test_events_in_any_order_end_at_most_once(events: list[Json]) -> None:
    deltas = decode(*events)
    assert sum(isinstance(delta, Stopped | Failed) for delta in deltas) <= 1
    assert not any(isinstance(delta, Stopped | Failed) for delta in deltas[:-1])


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "rejected"), (401, "credentials"), (429, "limited"), (500, "unavailable")]
)
def test_statuses_become_faults(status: int, kind: str) -> None:
    fault = ADAPTER.fault(status, {"retry-after": "2"}, msgspec.json.encode({"error": {"message": "x"}}), PLAIN)
    assert (fault.kind, fault.retry_after) == (kind, 2.0)
