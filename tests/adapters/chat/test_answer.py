"""Chat Completions answers where cassettes would say too little: sloppy servers, faults, and that nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.served import endpoint
from trunkline.adapters.chat.request import ADAPTER
from trunkline.adapters.chat.wire import decode_logprobs, decode_usage
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.items import Found, InputText, Message
from trunkline.protocol.request import Request
from trunkline.protocol.tools import JsonSchemaFormat, TextConfig
from trunkline.stream.deltas import (
    Arguments,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Reasoning,
    Refusal,
    Search,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.wire import WireMessage

Json = Any

HI = (Message(role="user", content=(InputText("Hi"),)),)
SCHEMA = JsonSchemaFormat("city", {"type": "object", "properties": {"name": {"type": "string"}}})


def searched(url: str, page: Found | None = None) -> Search:
    """One search that found a page."""
    return Search(1, "web", "completed", sources=(url,), results=(page or Found(url),))


def chunk(delta: Json = None, finish: str | None = None, **fields: Json) -> WireMessage:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return WireMessage(None, json.dumps({"choices": [choice], **fields}).encode())


DONE = WireMessage(None, b"[DONE]")


def hear(sent: Iterable[WireMessage | bytes], quirks: Quirks | None = None, **request: Any) -> list[Delta]:
    decoder = ADAPTER.decoder(Request(input=HI, stream=True, **request), endpoint(quirks))
    heard: list[Delta] = []
    for message in sent:
        heard += decoder.message(WireMessage(None, message) if isinstance(message, bytes) else message)
    return [*heard, *decoder.end()]


def calls(*pieces: Json) -> WireMessage:
    return chunk({"tool_calls": list(pieces)})


def piece(index: int | None = None, id: str | None = None, name: str | None = None, arguments: Json = None) -> Json:
    told = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in told.items() if value is not None}


@dataclass(frozen=True)
class Answer:
    id: str
    sent: list[WireMessage | bytes]
    heard: list[Delta]
    quirks: Quirks = field(default_factory=Quirks)


ANSWERS = [
    Answer(
        "text",
        [chunk({"content": "a"}), chunk({"content": "b"}), chunk({}, "stop"), DONE],
        [Text(0, "a"), Text(0, "b"), Stopped("stop")],
    ),
    Answer("finish and nothing else", [chunk({}, "stop"), DONE], [Stopped("stop")]),
    Answer(
        "a finish at the end of the bytes is good",
        [chunk({"content": "a"}, "stop")],
        [Text(0, "a"), Stopped("stop")],
    ),
    Answer(
        "an unknown finish is a stop",
        [chunk({"content": "a"}, "whatever"), DONE],
        [Text(0, "a"), Stopped("stop")],
    ),
    Answer("ST-07 no finish is no end", [chunk({"content": "a"})], [Text(0, "a")]),
    Answer(
        "ST-17 nothing after the end counts",
        [chunk({"content": "a"}, "stop"), DONE, chunk({"content": "b"}), DONE],
        [Text(0, "a"), Stopped("stop")],
    ),
    Answer(
        "thought, then text, under one chunk",
        [chunk({"reasoning": "t", "content": "a"}, "stop")],
        [Reasoning(0, "t"), Text(1, "a"), Stopped("stop")],
    ),
    Answer(
        "the same thought told twice is heard once",
        [chunk({"reasoning": "t", "reasoning_content": "t"}, "stop")],
        [Reasoning(0, "t"), Stopped("stop")],
    ),
    Answer(
        "a refusal shares the slot of the text",
        [chunk({"content": "a"}), chunk({"refusal": "no"}, "stop")],
        [Text(0, "a"), Refusal(0, "no"), Stopped("stop")],
    ),
    Answer(
        "a call closes the earlier one when its arguments are whole",
        [
            calls(piece(0, "x", "f", "{}")),
            calls(piece(1, "y", "g", '{"a"')),
            calls(piece(1, arguments=":1}")),
            chunk({}, "tool_calls"),
        ],
        [
            FunctionCall(0, "x", "f"),
            Arguments(0, "{}"),
            Closed(0),
            FunctionCall(1, "y", "g"),
            Arguments(1, '{"a"'),
            Arguments(1, ":1}"),
            Stopped("calls"),
        ],
    ),
    Answer(
        "calls that interleave stay open",
        [
            calls(piece(0, "x", "f", "{")),
            calls(piece(1, "y", "g", "{")),
            calls(piece(0, arguments="}")),
            calls(piece(1, arguments="}")),
            chunk({}, "stop"),
        ],
        [
            FunctionCall(0, "x", "f"),
            Arguments(0, "{"),
            FunctionCall(1, "y", "g"),
            Arguments(1, "{"),
            Arguments(0, "}"),
            Arguments(1, "}"),
            Stopped("calls"),
        ],
    ),
    Answer(
        "a call without index goes on with the latest",
        [calls(piece(None, "x", "f", "{")), calls(piece(arguments="}")), chunk({}, "tool_calls")],
        [FunctionCall(0, "x", "f"), Arguments(0, "{"), Arguments(0, "}"), Stopped("calls")],
    ),
    Answer(
        "a call without index and id begins when one was whole",
        [calls(piece(name="f", arguments="{}")), calls(piece(name="g", arguments={"a": 1})), chunk({}, "tool_calls")],
        [
            FunctionCall(0, "", "f"),
            Arguments(0, "{}"),
            Closed(0),
            FunctionCall(1, "", "g"),
            Arguments(1, '{"a":1}'),
            Stopped("calls"),
        ],
    ),
    Answer(
        "a name that comes late is waited for",
        [calls(piece(0, "x", None, "{")), calls(piece(0, None, "f", "}")), chunk({}, "tool_calls")],
        [FunctionCall(0, "x", "f"), Arguments(0, "{"), Arguments(0, "}"), Stopped("calls")],
    ),
    Answer(
        "name and arguments beside the index",
        [calls({"index": "0", "id": 7, "name": "f", "arguments": "{}", "function": "f"}), chunk({}, "stop")],
        [FunctionCall(0, "7", "f"), Arguments(0, "{}"), Stopped("calls")],
    ),
    Answer(
        "text as parts, with thought among them",
        [
            chunk(
                {
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
                        {"type": "text", "text": "a"},
                        "b",
                    ]
                },
                "stop",
            )
        ],
        [Reasoning(0, "t"), Text(1, "a"), Text(1, "b"), Stopped("stop")],
    ),
    Answer(
        "an image by link is told as text",
        [chunk({"images": [{"image_url": {"url": "https://i.example/a.png"}}]}, "stop")],
        [Text(0, "![image](https://i.example/a.png)"), Stopped("stop")],
    ),
    Answer(
        "an image as data",
        [
            chunk(
                {
                    "content": "a",
                    "images": [
                        {"image_url": {"url": "data:image/webp;base64,AAAA"}},
                        {"image_url": "data:image/png;base64,*"},
                    ],
                },
                "stop",
            )
        ],
        [Text(0, "a"), Image(1, "AAAA", True, "image/webp"), Closed(1), Stopped("stop")],
    ),
    Answer(
        "sources that come late are reported after the text",
        [chunk({"content": "a[1]"}), chunk({}, "stop", citations=["https://a.example"]), DONE],
        [Text(0, "a[1]"), searched("https://a.example"), Stopped("stop")],
    ),
    Answer(
        "sources with titles and days are what was found",
        [
            chunk({"content": "a"}),
            chunk({}, "stop", search_results=[{"url": "https://a.example", "title": "A", "date": "2026-11-01"}, {}]),
            DONE,
        ],
        [
            Text(0, "a"),
            searched("https://a.example", Found("https://a.example", "A", "2026-11-01")),
            Stopped("stop"),
        ],
    ),
    Answer(
        "Z.ai names links and days otherwise",
        [
            chunk({"content": "a"}),
            chunk({}, "stop", web_search=[{"link": "https://a.example", "title": "A", "publish_date": "2026-11-01"}]),
            DONE,
        ],
        [
            Text(0, "a"),
            searched("https://a.example", Found("https://a.example", "A", "2026-11-01")),
            Stopped("stop"),
        ],
    ),
    Answer(
        "usage is told as it comes",
        [
            chunk({"content": "a"}, usage={"prompt_tokens": 1, "completion_tokens": 1}),
            chunk({}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 2}, service_tier="flex"),
        ],
        [
            Text(0, "a"),
            Spent(Usage(input_tokens=1, output_tokens=1)),
            Spent(Usage(input_tokens=1, output_tokens=2), service_tier="flex"),
            Stopped("stop"),
        ],
    ),
    Answer(
        "MO-10 no usage is not invented",
        [chunk({"content": "a"}, "stop", usage=None)],
        [Text(0, "a"), Stopped("stop")],
    ),
    Answer(
        "MO-09 usage beyond all sense",
        [chunk({"content": "a"}, "stop", usage={"prompt_tokens": -5, "completion_tokens": "7", "total_tokens": []})],
        [Text(0, "a"), Spent(Usage(output_tokens=7)), Stopped("stop")],
    ),
    Answer(
        "a chunk that says nothing we know is ignored",
        [b'{"type":"ping"}', b"{}", b' {"choices":[]} ', b"", chunk({"content": "a"}, "stop")],
        [Text(0, "a"), Stopped("stop")],
    ),
    Answer(
        "kinds that are off are read leniently",
        [
            b'{"choices":[{"index":"0","delta":{"content":12,"annotations":{}},"finish_reason":false}]}',
            chunk({}, "stop"),
        ],
        [Text(0, "12"), Stopped("stop")],
    ),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.id)
def test_decode(answer: Answer) -> None:
    assert hear(answer.sent, answer.quirks) == answer.heard


FAULTS: list[tuple[str, list[WireMessage | bytes], str, bool]] = [
    ("ST-11 an error first", [b'{"error":{"type":"overloaded_error","message":"x"}}'], "overloaded", False),
    ("ST-12 an error after text", [chunk({"content": "a"}), b'{"error":{"message":"x"}}'], "unavailable", True),
    ("an error named by its event", [WireMessage("error", b'{"message":"x","code":429}')], "limited", False),
    ("an error beside its status", [b'{"error":"x","status_code":429}'], "limited", False),
    ("an error spread over the chunk", [b'{"object":"error","message":"x","code":400}'], "rejected", False),
    ("an error inside the choice", [b'{"choices":[{"error":{"message":"x","code":502}}]}'], "unavailable", False),
    ("ST-13 broken JSON", [chunk({"content": "a"}), b'{"choices":[', chunk({"content": "b"})], "nonsense", True),
    ("not even an object", [b"[1]"], "nonsense", False),
    ("choices of a wrong kind", [b'{"choices":{"delta":{}}}'], "nonsense", False),
    ("UP-22 ten thousand levels", [b'{"choices":' + b"[" * 10_000], "nonsense", False),
    ("UP-22 a number of 5,000 digits", [b'{"usage":' + b"9" * 5_000 + b"}"], "nonsense", False),
    ("ST-28 nothing but the end mark", [DONE], "nonsense", False),
    ("ST-28 a blank finish", [chunk({"content": ""}, ""), DONE], "nonsense", False),
    ("ST-28 no bytes at all", [], "nonsense", False),
    ("a broken finish", [chunk({"content": "a"}), chunk({}, "error")], "unavailable", True),
    ("a call without a name", [calls(piece(0, "x", None, '{"a":1}')), chunk({}, "tool_calls")], "nonsense", False),
]


@pytest.mark.parametrize(
    ("said", "sequence"),
    [
        ({"stop_reason": "END"}, "END"),
        ({"matched_stop": "END"}, "END"),
        ({"stop_reason": 2}, None),
        ({"matched_stop": "</s>"}, None),
        ({"stop_reason": None}, None),
        ({"stop_reason": {"type": "eos"}}, None),
    ],
    ids=["vLLM", "SGLang", "a token", "a text that is the server's", "none", "something else"],
)
def test_which_stop_text_ended_an_answer_is_told_where_a_server_names_it(said: Json, sequence: str | None) -> None:
    choice = {"index": 0, "finish_reason": "stop", **said}
    last = WireMessage(None, json.dumps({"choices": [{**choice, "delta": {}}]}).encode())
    assert hear([chunk({"content": "a"}), last], stop=("X", "END"))[-1] == Stopped("stop", sequence)
    whole = json.dumps({"choices": [{**choice, "message": {"content": "a"}}]}).encode()
    reader = ADAPTER.decoder(Request(input=HI, stop=("X", "END")), endpoint())
    assert [*reader.whole(whole)][-1] == Stopped("stop", sequence)


@pytest.mark.parametrize(("sent", "kind", "has_begun"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS])
def test_faults_end_the_answer(sent: list[WireMessage | bytes], kind: str, has_begun: bool) -> None:
    heard = hear(sent)
    last = heard[-1]
    assert isinstance(last, Failed)
    assert last.fault.kind == kind
    assert any(not isinstance(delta, Failed | Spent) for delta in heard) == has_begun


def test_nothing_is_heard_after_a_fault() -> None:
    heard = hear([chunk({"content": "a"}), b"{", chunk({"content": "b"}, "stop"), DONE])
    assert [type(delta) for delta in heard] == [Text, Failed]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "nonsense"),
        (b"null", "nonsense"),
        (b"<html></html>", "nonsense"),
        (b'{"choices":[{"message":{"content":"a"', "nonsense"),
        (b'{"choices":[]}', "nonsense"),
        (b'{"id":"x"}', "nonsense"),
        (b'{"error":{"message":"x","code":429}}', "limited"),
        (b'{"code":"20012","message":"Model does not exist"}', "missing"),
        (b'{"success":false,"errors":[{"code":7000,"message":"x"}]}', "unavailable"),
        (b'{"base_resp":{"status_code":9,"status_msg":"x"}}', "unavailable"),
    ],
)
def test_UP_06_and_UP_07_bodies_that_are_no_answer(body: bytes, kind: str) -> None:
    deltas = list(ADAPTER.decoder(Request(input=HI), endpoint()).whole(body))
    assert len(deltas) == 1
    assert isinstance(deltas[0], Failed)
    assert deltas[0].fault.kind == kind


def test_a_whole_body_without_a_finish_is_an_answer_all_the_same() -> None:
    body = b'\n\n{"choices":[{"message":{"tool_calls":[{"id":"x","function":{"name":"f","arguments":"{}"}}]}}]}'
    decoder = ADAPTER.decoder(Request(input=HI), endpoint())
    assert list(decoder.whole(body)) == [FunctionCall(0, "x", "f"), Arguments(0, "{}"), Stopped("calls")]
    assert not list(decoder.end())


def test_text_beside_a_forced_tool_counts_only_if_the_tool_is_not_called() -> None:
    quirks = Quirks(structured_output="json_object")
    text = TextConfig(SCHEMA)
    called = [
        chunk({"content": "Sure."}),
        calls(piece(0, "x", "city", '{"name":')),
        calls(piece(0, arguments='"Oslo"}')),
    ]
    finish = chunk({}, "tool_calls")
    expected = [Text(1, '{"name":'), Text(1, '"Oslo"}'), Stopped("stop")]
    assert hear([*called, finish], quirks, text=text) == expected
    spoken = hear([chunk({"content": "{}"}), chunk({}, "stop")], quirks, text=text)
    assert spoken == [Text(0, "{}"), Stopped("stop")]


def test_the_end_mark_is_told_so_that_nobody_waits_for_the_connection() -> None:
    decoder = ADAPTER.decoder(Request(input=HI), endpoint())
    list(decoder.message(chunk({"content": "a"}, "stop")))
    assert not decoder.is_done
    list(decoder.message(DONE))
    assert decoder.is_done


# Usage and logprobs


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input_tokens=9, cache_read_tokens=4, output_tokens=5, reasoning_tokens=3, audio_input_tokens=2),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 8},
            Usage(input_tokens=9, cache_read_tokens=8, output_tokens=5),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 8},
            Usage(input_tokens=9, cache_read_tokens=8, output_tokens=5),
        ),
        ({"prompt_tokens": 9, "total_tokens": 14}, Usage(input_tokens=9, output_tokens=5)),
        ({"input_tokens": 9, "output_tokens": 5}, Usage(input_tokens=9, output_tokens=5)),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "cost": {"total_cost": 0.006}, "num_search_queries": 2},
            Usage(input_tokens=9, output_tokens=5, searches=2, upstream_cost_usd=Decimal("0.006")),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "estimated_cost": "0.1"},
            Usage(input_tokens=9, output_tokens=5, upstream_cost_usd=Decimal("0.1")),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 9},
            },
            Usage(input_tokens=3, cache_read_tokens=3, output_tokens=5),
        ),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({}, None),
        ("many", None),
    ],
)
def test_MO_08_usage_of_every_shape_is_one_clean_vector(told: Json, usage: Usage | None) -> None:
    assert decode_usage(told) == usage


def test_reasoning_that_comes_on_top_is_added() -> None:
    told = {"prompt_tokens": 9, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 30}}
    assert decode_usage(told, adds_reasoning=True) == Usage(input_tokens=9, output_tokens=35, reasoning_tokens=30)


def test_logprobs_of_both_shapes() -> None:
    told = {
        "content": [{"token": "å", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "a", "logprob": -1}]}]
    }
    (entry,) = decode_logprobs(told)
    assert (entry.token, entry.bytes, entry.top_logprobs[0].bytes) == ("å", (0xC3, 0xA5), (97,))
    (old,) = decode_logprobs({"tokens": ["a"], "token_logprobs": [-0.1]})
    assert (old.token, old.logprob) == ("a", -0.1)
    assert decode_logprobs({"content": [{"token": 3}]}) == ()
    assert decode_logprobs("none") == ()


# Nothing breaks the decoder

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "url", "type", "a"]), inner),
    max_leaves=6,
)
piece_fields = ["content", "reasoning", "reasoning_content", "reasoning_details", "tool_calls", "function_call"]
more_fields = ["refusal", "annotations", "images", "audio"]
wire_calls = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "index": json_values,
            "id": st.text(max_size=3),
            "function": st.fixed_dictionaries({}, optional={"name": st.text(max_size=3), "arguments": json_values}),
        },
    ),
    max_size=3,
)
wire_pieces = st.dictionaries(st.sampled_from(piece_fields + more_fields), json_values | wire_calls, max_size=4)
wire_choices = st.fixed_dictionaries(
    {},
    optional={
        "index": json_values,
        "delta": wire_pieces | json_values,
        "message": wire_pieces,
        "finish_reason": json_values | st.sampled_from(["stop", "error"]),
        "logprobs": json_values,
        "usage": json_values,
    },
)
wire_chunks = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(wire_choices, max_size=2) | json_values,
        "usage": json_values,
        "error": json_values,
        "citations": json_values,
        "base_resp": json_values,
        "x_groq": json_values,
        "service_tier": json_values,
    },
)
any_quirks = st.builds(
    Quirks,
    think_tags=st.sampled_from(["never", "tagged", "opened"]),
    web_search=st.sampled_from(["none", "web_search_options"]),
    structured_output=st.sampled_from(["json_schema", "json_object"]),
)


@given(st.lists(wire_chunks, max_size=5), any_quirks)
def test_UP_22_no_answer_breaks_the_decoder(chunks: list[Json], quirks: Quirks) -> None:
    heard = hear([*(json.dumps(told).encode() for told in chunks), DONE], quirks, text=TextConfig(SCHEMA))
    kinds = [type(delta) for delta in heard]
    assert sum(kind in (Stopped, Failed) for kind in kinds) == 1
    assert kinds[-1] in (Stopped, Failed)
