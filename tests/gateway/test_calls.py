"""Calls of the client's tools in every dialect: calls that are cut, and histories of calls as clients send them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.adapters.calling import CALLINGS
from tests.gateway.checks import ask, error_of, events_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.histories import check_legal, readings
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.test_dialects import PIXEL
from tests.gateway.test_wire_requests import WHOLE
from tests.gateway.upstream import Script, Upstream, head, whole

CONFIG = """
[server]
deadline = "6 s"
[routing]
retry_budget = 1.0
[providers.fake-provider]
enabled = true
"""

DIALECTS = tuple(dialect for dialect in CALLINGS if dialect != "fake")
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)

TOOLS = [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]
DONE = {"response.function_call_arguments.done", "response.output_item.done"}


@pytest.fixture(scope="module")
def calling(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a model `mock/<dialect>` for each of `DIALECTS`, and a `text/<dialect>` that reads text alone."""
    config = CONFIG
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"mock-{dialect}", model=f"mock/{dialect}")
        config += ENDPOINT.format(provider=f"mock-{dialect}", model=f"text/{dialect}") + 'input_modalities = ["text"]\n'
    with running(tmp_path_factory.mktemp("calling"), config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


class TestCutCalls:
    """F8: neither `done` event for a call that was cut, and no half of it in the output."""

    @pytest.mark.parametrize("share", [0, 0.5, 1], ids=["at its start", "in its middle", "at its end"])
    @pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if CALLINGS[dialect].before])
    def test_ST_07_a_stream_that_breaks_off_in_a_call(
        self, dialect: str, share: float, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        told = CALLINGS[dialect]
        upstream.play(nonce, Script([head(200, told.content_type), told.cut(int(len(told.pieces) * share))]))
        events = events_of(calling.call(ask(f"mock/{dialect}", nonce, stream=True, tools=TOOLS)), "failed")
        assert "response.output_item.added" in {event["type"] for event in events}
        assert not DONE & {event["type"] for event in events}
        assert events[-1]["response"]["output"] == []

    @pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if CALLINGS[dialect].closed])
    def test_a_stream_that_breaks_off_behind_a_call(
        self, dialect: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        told = CALLINGS[dialect]
        closed = told.cut(len(told.pieces)) + told.closed.replace(b'"incomplete"', b'"completed"')
        upstream.play(nonce, Script([head(200, told.content_type), closed]))
        events = events_of(calling.call(ask(f"mock/{dialect}", nonce, stream=True, tools=TOOLS)), "failed")
        assert [event["type"] for event in events[-3:-1]] == sorted(DONE)
        assert len(events[-1]["response"]["output"]) == 1

    @every_dialect
    def test_a_stream_whose_limit_comes_in_a_call(
        self, dialect: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        told = CALLINGS[dialect]
        limited = told.limited(len(told.pieces) // 2 if told.before else len(told.pieces))
        upstream.play(nonce, Script([head(200, told.content_type), limited]))
        events = events_of(calling.call(ask(f"mock/{dialect}", nonce, stream=True, tools=TOOLS)), "incomplete")
        assert not DONE & {event["type"] for event in events}
        assert events[-1]["response"]["output"] == []
        assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
        assert events[-1]["response"]["usage"]["output_tokens"] == 3

    @every_dialect
    def test_a_whole_answer_whose_limit_comes_in_a_call(
        self, dialect: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        upstream.play(nonce, whole(CALLINGS[dialect].body))
        response = response_of(calling.call(ask(f"mock/{dialect}", nonce, tools=TOOLS)), "incomplete")
        assert response["output"] == []
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}

    @pytest.mark.parametrize("pieces", [1, 3, 5])
    def test_a_call_of_the_fake_provider(self, pieces: int, calling: Gateway) -> None:
        said = f'!call get_weather {{"city":"Paris and a long name"}}\n!cut {pieces}'
        tools = [{**TOOLS[0], "name": "get_weather"}]
        events = events_of(calling.call(ask("fake/echo", said, stream=True, tools=tools)), "failed")
        assert "response.output_item.added" in {event["type"] for event in events}
        assert not DONE & {event["type"] for event in events}

    def test_a_whole_call_before_the_cut_one(self, calling: Gateway, upstream: Upstream, nonce: str) -> None:
        told = CALLINGS["messages"]
        first = told.cut(len(told.pieces)) + told.closed
        second = told.cut(len(told.pieces) // 2).replace(b'"index": 0', b'"index": 1').replace(b"toolu_1", b"toolu_2")
        upstream.play(nonce, Script([head(200, "text/event-stream"), first, second]))
        events = events_of(calling.call(ask("mock/messages", nonce, stream=True, tools=TOOLS)), "failed")
        added = [event["item"]["call_id"] for event in events if event["type"] == "response.output_item.added"]
        assert added == ["toolu_1", "toolu_2"]
        done = [event["item"]["call_id"] for event in events if event["type"] == "response.output_item.done"]
        assert done == ["toolu_1"] == [item["call_id"] for item in events[-1]["response"]["output"]]


NONCE = {"role": "user", "content": "NONCE"}
USER = {"role": "user", "content": "Go on."}
SAID = {"role": "assistant", "content": "Let me see."}
NOTE = {"role": "developer", "content": "Approved command prefix saved."}
A = {"type": "function_call", "call_id": "call_a", "name": "weather", "arguments": '{"city":"Oslo"}'}
B = {**A, "call_id": "call_b"}
OF_A = {"type": "function_call_output", "call_id": "call_a", "output": "4 C"}
OF_B = {**OF_A, "call_id": "call_b"}
THOUGHT = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
OLD = {"type": "output_text", "text": "As I said."}

HISTORIES: dict[str, list[dict[str, Any]]] = {
    "a round": [NONCE, A, B, OF_A, OF_B],
    "P7 a user's message between a call and its result": [NONCE, A, USER, OF_A],
    "P7 a client's note between a call and its result": [NONCE, A, NOTE, OF_A, USER],
    "P7 a message between the results of parallel calls": [NONCE, A, B, OF_B, USER, OF_A],
    "P7 an interrupted call": [NONCE, A, USER],
    "P7 one of two parallel calls interrupted": [NONCE, A, B, OF_B, USER],
    "P7 interrupted again and again": [NONCE, A, USER, B, USER, SAID, USER],
    "an answer between results": [NONCE, A, B, OF_A, SAID, OF_B],
    "words behind a call": [NONCE, A, SAID, OF_A],
    "calls that overlap": [NONCE, A, USER, B, OF_A, OF_B],
    "the id of an interrupted call": [NONCE, A, USER, A, OF_A],
    "ids counted from zero in each turn": [NONCE, A, OF_A, USER, A, OF_A],
    "a result said twice": [NONCE, A, OF_A, OF_A, USER],
    "thoughts all over": [NONCE, THOUGHT, A, THOUGHT, B, THOUGHT, OF_A, THOUGHT, OF_B, THOUGHT],
    "a thought at the end": [NONCE, SAID, USER, THOUGHT],
    "searches all over": [NONCE, SEARCH, A, SEARCH, OF_A, SEARCH, SAID, USER],
    "an empty answer": [NONCE, {**SAID, "content": ""}, USER],
    "an answer without parts": [NONCE, {**SAID, "content": []}, USER],
    "an answer of blanks": [NONCE, {**SAID, "content": " \n"}, USER],
    "an empty answer between a call and its result": [NONCE, A, {**SAID, "content": ""}, OF_A],
    "two answers in a row": [NONCE, SAID, SAID, USER],
    "an answer first": [SAID, NONCE],
    "a call first": [A, OF_A, NONCE],
    "an answer last": [NONCE, SAID],
    "long and odd ids": [
        NONCE,
        {**A, "call_id": "x" * 125},
        {**A, "call_id": "call.1: é\n"},
        {**OF_A, "call_id": "call.1: é\n"},
        {**OF_A, "call_id": "x" * 125},
    ],
    "empty results": [NONCE, A, B, {**OF_A, "output": ""}, {**OF_B, "output": []}],
    "no arguments, and broken ones": [NONCE, {**A, "arguments": ""}, {**B, "arguments": '{"ci'}, OF_A, OF_B],
    "F14 annotations of another house": [
        NONCE,
        {**SAID, "content": [{**OLD, "annotations": [{"type": "container_file_citation", "file_id": "f"}]}]},
        {**SAID, "content": [{**OLD, "annotations": [{"type": "url_citation", "url": "https://example.org"}]}]},
        USER,
    ],
    "F14 log probabilities without bytes": [
        NONCE,
        {**SAID, "content": [{**OLD, "logprobs": [{"token": "A", "logprob": -1, "bytes": None, "top_logprobs": []}]}]},
        {**SAID, "content": [{**OLD, "annotations": None, "logprobs": None}]},
        USER,
    ],
    "F15 a thought in a format that nobody knows": [NONCE, {**THOUGHT, "format": "anything-v9"}, SAID, USER],
    "F15 a thought whose content is text": [
        NONCE,
        {**THOUGHT, "content": [{"type": "text", "text": "Hm."}]},
        A,
        OF_A,
    ],
}


class TestHistories:
    """Whatever a client sends of earlier turns, each provider gets it as it takes it."""

    @pytest.mark.parametrize("dialect", [*DIALECTS, "fake"])
    @pytest.mark.parametrize("history", HISTORIES)
    def test_a_history_is_legal_on_every_wire(
        self, history: str, dialect: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        items = [{**item, "content": nonce} if item is NONCE else item for item in HISTORIES[history]]
        if dialect == "fake":
            response_of(calling.call({"model": "fake/echo", "input": items, "tools": TOOLS}))
            return
        upstream.play(nonce, whole(WHOLE[dialect]))
        reply = calling.call({"model": f"mock/{dialect}", "input": items, "tools": TOOLS})
        response_of(reply)
        (seen,) = upstream.seen(nonce)
        check_legal(dialect, seen.json)
        told = [heard.kind for heard in readings(dialect, seen.json)]
        assert told.count("call") == sum(item["type"] == "function_call" for item in items if "type" in item)


PICTURE = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
SEEN: dict[str, dict[str, Any]] = {
    "input_image": PICTURE,
    "input_file": {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"},
    "input_audio": {"type": "input_audio", "input_audio": {"data": "SUQzBAAAAAAAAAAA", "format": "mp3"}},
    "input_video": {"type": "input_video", "video_url": "data:video/mp4;base64,AAAAGGZ0eXBpc29tAAAAAGlzb20="},
}
"""What tools give back besides text, by its type."""
NOTES = {
    "input_image": "[Image left out: this model cannot read it]",
    "input_file": "[File a.pdf left out: this model cannot read it]",
    "input_audio": "[Sound left out: this model cannot read it]",
    "input_video": "[Film left out: this model cannot read it]",
}


def returned(*parts: dict[str, Any]) -> dict[str, Any]:
    return {**OF_A, "output": [{"type": "input_text", "text": "Here it is:"}, *parts]}


def as_text(body: bytes) -> str:
    return json.dumps(json.loads(body), ensure_ascii=False).replace("\\\\", "\\")


class TestReturnedMedia:
    """F11: what a tool gives back never keeps a conversation from a model; what the user sends does."""

    def ask(self, gateway: Gateway, model: str, nonce: str, result: dict[str, Any]) -> Reply:
        items = [{**NONCE, "content": nonce}, A, result, {"role": "user", "content": "Never mind, say hello."}]
        return gateway.call({"model": model, "input": items, "tools": TOOLS})

    @pytest.mark.parametrize("kind", SEEN)
    @every_dialect
    def test_a_model_that_cannot_read_it_gets_a_note(
        self, dialect: str, kind: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        upstream.play(nonce, whole(WHOLE[dialect]))
        reply = self.ask(calling, f"text/{dialect}", nonce, returned(SEEN[kind]))
        response_of(reply)
        assert reply.headers["x-trunkline-dropped"] == f"input.function_call_output.{kind}"
        (seen,) = upstream.seen(nonce)
        check_legal(dialect, seen.json)
        assert NOTES[kind] in as_text(seen.body)
        assert "Here it is:" in as_text(seen.body)
        assert b"base64," not in seen.body

    @every_dialect
    def test_one_of_which_nothing_is_known_gets_the_picture(
        self, dialect: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        upstream.play(nonce, whole(WHOLE[dialect]))
        reply = self.ask(calling, f"mock/{dialect}", nonce, returned(PICTURE))
        response_of(reply)
        assert "x-trunkline-dropped" not in reply.headers
        (seen,) = upstream.seen(nonce)
        check_legal(dialect, seen.json)
        assert PIXEL.encode() in seen.body

    @pytest.mark.parametrize("kind", SEEN)
    @every_dialect
    def test_whatever_it_is_an_unknown_model_answers(
        self, dialect: str, kind: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        """With the medium, or with a note where the dialect has no words for it."""
        upstream.play(nonce, whole(WHOLE[dialect]))
        reply = self.ask(calling, f"mock/{dialect}", nonce, returned(SEEN[kind]))
        response_of(reply)
        (seen,) = upstream.seen(nonce)
        is_noted = NOTES[kind] in as_text(seen.body)
        assert is_noted == ("x-trunkline-dropped" in reply.headers)

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "input_image", "image_url": "gs://bucket/a.png"},
            {"type": "input_file", "filename": "a.zip", "file_data": "data:application/zip;base64,UEsDBAAA"},
            {"type": "input_image", "image_url": "data:image/bmp;base64,Qk0AAAAAAAAA"},
        ],
        ids=["a link into storage", "a file of an odd type", "a picture of an odd type"],
    )
    @every_dialect
    def test_nor_does_its_form_keep_anybody_away(
        self, dialect: str, part: dict[str, Any], calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        upstream.play(nonce, whole(WHOLE[dialect]))
        response_of(self.ask(calling, f"mock/{dialect}", nonce, returned(part)))

    @every_dialect
    def test_a_picture_of_the_users_is_refused(self, dialect: str, calling: Gateway, nonce: str) -> None:
        message = {"role": "user", "content": [PICTURE]}
        error_of(calling.call({"model": f"text/{dialect}", "input": [message]}), 404)

    @pytest.mark.parametrize("dialect", ["converse", "gemini"])
    def test_a_link_that_is_left_out_is_not_followed(
        self, dialect: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        """By who else would need the file itself."""
        upstream.play(nonce, whole(WHOLE[dialect]))
        link = {"type": "input_image", "image_url": "https://nobody.invalid/a.png"}
        response_of(self.ask(calling, f"text/{dialect}", nonce, returned(link)))
        (seen,) = upstream.seen(nonce)
        assert NOTES["input_image"] in as_text(seen.body)

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (400, "messages[3]: unknown variant `image_url`, expected `text`"),
            (404, "No endpoints found that support image input"),
            (422, "This model does not support multimodal input."),
        ],
    )
    @every_dialect
    def test_one_that_refuses_the_picture_is_asked_again_without_it(
        self, dialect: str, status: int, message: str, calling: Gateway, upstream: Upstream, nonce: str
    ) -> None:
        refusal = whole({"error": {"message": message, "type": "invalid_request_error"}, "message": message}, status)
        upstream.play(nonce, refusal, whole(WHOLE[dialect]))
        reply = self.ask(calling, f"mock/{dialect}", nonce, returned(PICTURE))
        response_of(reply)
        assert reply.headers["x-trunkline-dropped"] == "input.function_call_output.input_image"
        first, second = upstream.seen(nonce)
        assert PIXEL.encode() in first.body
        assert PIXEL.encode() not in second.body
        assert NOTES["input_image"] in as_text(second.body)

    def test_a_picture_of_the_users_is_not_left_out(self, calling: Gateway, upstream: Upstream, nonce: str) -> None:
        upstream.play(nonce, whole({"error": {"message": "unknown variant `image_url`, expected `text`"}}, 400))
        message = {"role": "user", "content": [{"type": "input_text", "text": nonce}, PICTURE]}
        items = [message, A, returned(PICTURE)]
        error_of(calling.call({"model": "mock/chat", "input": items, "tools": TOOLS}), 400)
        assert len(upstream.seen(nonce)) == 1

    def test_another_refusal_stands(self, calling: Gateway, upstream: Upstream, nonce: str) -> None:
        upstream.play(nonce, whole({"error": {"message": "temperature is out of range"}}, 400))
        error_of(self.ask(calling, "mock/chat", nonce, returned(PICTURE)), 400)
        assert len(upstream.seen(nonce)) == 1
