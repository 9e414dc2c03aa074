"""Messages and the items they become; wrong ones and the place that is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.faces.chat.chatting import HI, call, calling, parsed, refused, result, said
from trunkline.protocol.items import (
    CustomCallItem,
    CustomCallOutput,
    FunctionCallItem,
    FunctionCallOutput,
    ImageGenerationCall,
    InputAudio,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    InputVideo,
    Message,
    OutputText,
    ReasoningItem,
    RefusalPart,
    UrlCitation,
)
from trunkline.protocol.marks import CacheMark
from trunkline.stream.seals import GEMINI_FORMAT

PICTURE = "data:image/png;base64,iVBORw0KGgo="
LINK = "https://example.org/a"
USER = Message(role="user", content=(InputText("Hi"),))
CALL = FunctionCallItem(call_id="c1", name="f", arguments="{}")
RESULT = FunctionCallOutput(call_id="c1", output="sunny")
MARK = CacheMark()
NOTHING: tuple[Any, ...] = ("", None, [])
MARKED: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}


def of_user(*parts: Any) -> Message:
    return Message(role="user", content=parts)


def of_model(*parts: Any) -> Message:
    return Message(role="assistant", content=parts)


@dataclass(frozen=True)
class Read:
    id: str
    messages: list[Any]
    items: list[InputItem]


def by_user(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


READ = [
    Read(
        "messages of every role, each in its place",
        [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            HI,
            {"role": "assistant", "content": "c"},
            {"role": "system", "content": "d"},
        ],
        [
            Message(role="system", content=(InputText("a"),)),
            Message(role="developer", content=(InputText("b"),)),
            USER,
            of_model(OutputText("c")),
            Message(role="system", content=(InputText("d"),)),
        ],
    ),
    # Parts
    Read(
        "texts, of which some are empty",
        by_user({"type": "text", "text": "a"}, {"type": "text", "text": ""}),
        [of_user(InputText("a"), InputText(""))],
    ),
    Read("a picture by its link", by_user({"type": "image_url", "image_url": LINK}), [of_user(InputImage(LINK))]),
    Read(
        "a picture with a wish for detail",
        by_user({"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}}),
        [of_user(InputImage(PICTURE, "low"))],
    ),
    Read(
        "a sound",
        by_user({"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}),
        [of_user(InputAudio("AA==", "mp3"))],
    ),
    Read(
        "a film, by either name",
        by_user(
            {"type": "video_url", "video_url": {"url": LINK, "processing": "static"}},
            {"type": "input_video", "video_url": LINK},
        ),
        [of_user(InputVideo(LINK), InputVideo(LINK))],
    ),
    Read(
        "a file",
        by_user({"type": "file", "file": {"filename": "a.pdf", "file_data": "AA=="}}),
        [of_user(InputFile("a.pdf", "AA=="))],
    ),
    Read(
        "a file by its link, in every place where clients put it",
        by_user(
            # `@openrouter/ai-sdk-provider` 2.10, which has an empty name where it knows none.
            {"type": "file", "file": {"filename": "", "file_data": LINK}},
            {"type": "file", "file": {"file_url": LINK}},
            {"type": "file", "file": {"url": LINK}},
            {"type": "file_url", "file_url": {"url": LINK}},
        ),
        [of_user(*[InputFile(file_url=LINK)] * 4)],
    ),
    Read(
        "marks on parts, by either name",
        by_user(
            {"type": "text", "text": "a", **MARKED},
            {"type": "image_url", "image_url": LINK, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "file", "file": {"file_data": "AA=="}, **MARKED},
            {"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "text", "text": "c", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            {"type": "text", "text": "d", "cache_control": None},
        ),
        [
            of_user(
                InputText("a", MARK),
                InputImage(LINK, cache_control=CacheMark("1h")),
                InputFile(file_data="AA==", cache_control=MARK),
                InputText("b", MARK),
                InputText("c", CacheMark("1h")),
                InputText("d"),
            )
        ],
    ),
    Read("a mark on a message, as Open WebUI has it", [{**HI, **MARKED}], [of_user(InputText("Hi", MARK))]),
    Read(
        "marks on a message that calls, on one that speaks and on a result, as AI SDK has them",
        [
            HI,
            {"role": "assistant", "content": "a", **MARKED},
            HI,
            calling(call(), **MARKED),
            result(**MARKED),
        ],
        [
            USER,
            of_model(OutputText("a", cache_control=MARK)),
            USER,
            FunctionCallItem(call_id="c1", name="f", arguments="{}", cache_control=MARK),
            FunctionCallOutput(call_id="c1", output="sunny", cache_control=MARK),
        ],
    ),
    # The assistant
    Read(
        "an answer in parts, and a refusal",
        [HI, {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]}],
        [USER, of_model(OutputText("a"), RefusalPart("b"))],
    ),
    Read(
        "a refusal beside no content",
        [HI, {"role": "assistant", "content": None, "refusal": "No."}],
        [USER, of_model(RefusalPart("No."))],
    ),
    Read("answers that say nothing", [HI, *({"role": "assistant", "content": nothing} for nothing in NOTHING)], [USER]),
    Read(
        "pictures that the model drew, beside its text and within",
        [
            HI,
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PICTURE}}],
                "images": [{"type": "image_url", "image_url": {"url": PICTURE}, "index": 0}, {"image_url": PICTURE}],
            },
        ],
        [USER, of_model(OutputText("a")), *[ImageGenerationCall(result=PICTURE, status="completed")] * 3],
    ),
    Read(
        "citations, but for those of a shape that is not known",
        [
            HI,
            {
                "role": "assistant",
                "content": "a",
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1},
                    },
                    {"type": "url_citation", "url_citation": {"url": "u"}},
                    {"type": "file", "file": {"hash": "h"}},
                ],
            },
        ],
        [USER, of_model(OutputText("a", (UrlCitation("u", "t", 0, 1),)))],
    ),
    Read(
        "everything of an answer as OpenAI's SDK writes it back",
        [
            HI,
            {
                "role": "assistant",
                "content": "a",
                "refusal": None,
                "annotations": [],
                "audio": None,
                "function_call": None,
                "tool_calls": None,
            },
        ],
        [USER, of_model(OutputText("a"))],
    ),
    # Calls
    Read("a call and its result", [HI, calling(call()), result()], [USER, CALL, RESULT]),
    Read(
        "what is said before a call",
        [HI, calling(call(), content="Let me see."), result()],
        [USER, of_model(OutputText("Let me see.")), CALL, RESULT],
    ),
    Read(
        "calls side by side, answered in another order",
        [HI, calling(call("a"), call("b", "g")), result("b", "2"), result("a", "1")],
        [
            USER,
            FunctionCallItem(call_id="a", name="f", arguments="{}"),
            FunctionCallItem(call_id="b", name="g", arguments="{}"),
            FunctionCallOutput(call_id="b", output="2"),
            FunctionCallOutput(call_id="a", output="1"),
        ],
    ),
    Read(
        "calls as clients bend them: without a type, with an index, without arguments",
        [HI, calling({"id": "c1", "index": 0, "function": {"name": "f", "arguments": ""}}), result(name="f")],
        [USER, CALL, RESULT],
    ),
    Read(
        "arguments that are not JSON, which the model wrote",
        [HI, calling(call(arguments="{")), result()],
        [USER, FunctionCallItem(call_id="c1", name="f", arguments="{"), RESULT],
    ),
    Read(
        "a result in parts",
        [
            HI,
            calling(call()),
            result(content=[{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PICTURE}}]),
        ],
        [USER, CALL, FunctionCallOutput(call_id="c1", output=(InputText("a"), InputImage(PICTURE)))],
    ),
    Read(
        "a result in one marked part",
        [HI, calling(call()), result(content=[{"type": "text", "text": "a", **MARKED}])],
        [USER, CALL, FunctionCallOutput(call_id="c1", output=(InputText("a", MARK),))],
    ),
    Read(
        "a call of a custom tool, whose result is of its kind",
        [HI, calling({"id": "c1", "type": "custom", "custom": {"name": "g", "input": "x"}}), result()],
        [USER, CustomCallItem(call_id="c1", name="g", input="x"), CustomCallOutput(call_id="c1", output="sunny")],
    ),
    Read(
        "an id that comes again, with another kind of call",
        [
            HI,
            calling({"id": "c1", "type": "custom", "custom": {"name": "g", "input": "x"}}),
            result(),
            calling(call()),
            result(),
        ],
        [
            USER,
            CustomCallItem(call_id="c1", name="g", input="x"),
            CustomCallOutput(call_id="c1", output="sunny"),
            CALL,
            RESULT,
        ],
    ),
    Read(
        "the older form of calls, whose results may be null",
        [
            HI,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": None},
            {"role": "assistant", "content": "a", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "sunny"},
        ],
        [
            USER,
            FunctionCallItem(call_id="call_1_f", name="f", arguments="{}"),
            FunctionCallOutput(call_id="call_1_f", output=""),
            of_model(OutputText("a")),
            FunctionCallItem(call_id="call_4_f", name="f", arguments="{}"),
            FunctionCallOutput(call_id="call_4_f", output="sunny"),
        ],
    ),
    Read(
        "a call in both forms is one",
        [HI, calling(call(), function_call={"name": "f", "arguments": "{}"}), result()],
        [USER, CALL, RESULT],
    ),
    Read(
        "a call that was interrupted",
        [HI, calling(call()), HI],
        [USER, CALL, USER],
    ),
    Read(
        "Gemini's signature on a call",
        [HI, calling({**call(), "extra_content": {"google": {"thought_signature": "S"}}}), result()],
        [USER, ReasoningItem(signature="S", format=GEMINI_FORMAT), CALL, RESULT],
    ),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in READ])
def test_read(case: Read) -> None:
    request = said(*case.messages)
    assert list(request.input) == case.items
    kinds = {type(part) for item in case.items if isinstance(item, Message) for part in item.content}
    is_plain = kinds <= {InputText, OutputText, RefusalPart} and not request.has_marks
    assert request.is_text_alone == (is_plain and all(isinstance(item, Message) for item in case.items))


def test_a_mark_for_all_stands_on_the_last_that_can_carry_one() -> None:
    request = parsed(messages=[HI, calling(call()), result()], **MARKED)
    assert request.input[:2] == (USER, CALL)
    assert request.input[2] == FunctionCallOutput(call_id="c1", output="sunny", cache_control=MARK)
    sound = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}
    assert parsed(messages=[*by_user({"type": "text", "text": "a"}, sound)], **MARKED).input == (
        of_user(InputText("a", MARK), InputAudio("AA==", "mp3")),
    )


def test_a_mark_of_its_own_goes_before_one_for_all() -> None:
    hour = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert said({"role": "user", "content": [{"type": "text", "text": "a", **hour}], **MARKED}).input == (
        of_user(InputText("a", CacheMark("1h"))),
    )


def test_the_same_history_gets_the_same_ids() -> None:
    older = [
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "sunny"},
    ]
    assert said(*older, HI).input[:3] == said(*older).input


@pytest.mark.parametrize("word", ["prefix", "partial"])
def test_an_answer_that_the_client_began_is_known_by_its_word_alone(word: str) -> None:
    begun = {"role": "assistant", "content": "a"}
    assert said(HI, {**begun, word: True}).has_prefill
    assert not said(HI, begun).has_prefill
    assert not said(HI, {**begun, word: True}, HI).has_prefill
    assert not said({**HI, word: True}).has_prefill


# What is wrong, and where


@dataclass(frozen=True)
class Wrong:
    id: str
    messages: list[Any]
    param: str
    words: str


def in_user(part: Any) -> list[Any]:
    return [{"role": "user", "content": [part]}]


PART = "messages[0].content[0]"
WRONG = [
    Wrong("a message that is none", ["Hi"], "messages[0]", "must be an object"),
    Wrong("no role", [{"content": "Hi"}], "messages[0].role", 'is required and must be one of "assistant"'),
    Wrong("an unknown role", [HI, {"role": "bot", "content": "Hi"}], "messages[1].role", 'not "bot"'),
    Wrong("a role that is none", [{"role": 1, "content": "Hi"}], "messages[0].role", "not 1"),
    Wrong("no content", [{"role": "user"}], "messages[0].content", "is required"),
    Wrong("content that is null", [{"role": "system", "content": None}], "messages[0].content", "is required"),
    Wrong(
        "content that is an object", [{"role": "user", "content": {}}], "messages[0].content", "a string or an array"
    ),
    Wrong("nothing said at all", [{"role": "user", "content": ""}], "messages[0].content", "must not be empty"),
    Wrong("an answer of nothing alone", [{"role": "assistant", "content": ""}], "messages[0].content", "must not be"),
    Wrong("a part without a type", in_user({"text": "a"}), f"{PART}.type", "is required"),
    Wrong("an unknown part", in_user({"type": "audio_url"}), f"{PART}.type", 'not "audio_url"'),
    Wrong("a part of Responses", in_user({"type": "input_text", "text": "a"}), f"{PART}.type", 'send "text"'),
    Wrong("a part of Messages", in_user({"type": "image"}), f"{PART}.type", 'send "image_url"'),
    Wrong("a text that is none", in_user({"type": "text", "text": 1}), f"{PART}.text", "must be a string, not 1"),
    Wrong("no text", in_user({"type": "text"}), f"{PART}.text", "is required"),
    Wrong("no picture", in_user({"type": "image_url"}), f"{PART}.image_url", "is required"),
    Wrong("no link", in_user({"type": "image_url", "image_url": {}}), f"{PART}.image_url.url", "is required"),
    Wrong(
        "a link nobody follows", in_user({"type": "image_url", "image_url": "ftp://a/b"}), f"{PART}.image_url", "http"
    ),
    Wrong(
        "a private address",
        in_user({"type": "image_url", "image_url": {"url": "http://10.0.0.1/a"}}),
        f"{PART}.image_url.url",
        "leads to no public address",
    ),
    Wrong(
        "an odd detail",
        in_user({"type": "image_url", "image_url": {"url": LINK, "detail": "fine"}}),
        f"{PART}.image_url.detail",
        '"fine"',
    ),
    Wrong(
        "a sound of an unknown kind",
        in_user({"type": "input_audio", "input_audio": {"data": "AA==", "format": "x"}}),
        f"{PART}.input_audio.format",
        '"x"',
    ),
    Wrong("no file", in_user({"type": "file"}), f"{PART}.file", "is required"),
    Wrong("a file of nothing", in_user({"type": "file", "file": {}}), f"{PART}.file", "exactly one of"),
    Wrong("a file elsewhere", in_user({"type": "file", "file": {"file_id": "x"}}), f"{PART}.file.file_id", "stored"),
    Wrong(
        "a file that is no base64",
        in_user({"type": "file", "file": {"file_data": "\u00e9"}}),
        f"{PART}.file.file_data",
        "base64",
    ),
    Wrong(
        "a file behind a private link",
        in_user({"type": "file", "file": {"file_data": "http://localhost/a"}}),
        f"{PART}.file.file_data",
        "no public address",
    ),
    Wrong(
        "a film that is none",
        in_user({"type": "video_url", "video_url": {"url": 1}}),
        f"{PART}.video_url.url",
        "must be a string",
    ),
    Wrong(
        "a mark that is none",
        in_user({"type": "text", "text": "a", "cache_control": {"type": "x"}}),
        f"{PART}.cache_control.type",
        '"ephemeral"',
    ),
    Wrong(
        "a picture said by the model, of nothing",
        [HI, {"role": "assistant", "content": None, "images": [{"image_url": {}}]}],
        "messages[1].images[0].image_url.url",
        "is required",
    ),
    Wrong(
        "a sound said by the model",
        [HI, {"role": "assistant", "content": None, "audio": {"id": "x"}}],
        "messages[1].audio",
        "no sounds are stored",
    ),
    Wrong(
        "a sound among what the model said",
        [HI, {"role": "assistant", "content": [{"type": "input_audio"}]}],
        "messages[1].content[0].type",
        "has no place in a message of the assistant",
    ),
    Wrong(
        "a call without an id",
        [HI, calling({"function": {"name": "f"}})],
        "messages[1].tool_calls[0].id",
        "is required",
    ),
    Wrong("a call with an empty id", [HI, calling(call(""))], "messages[1].tool_calls[0].id", "must not be empty"),
    Wrong("a call of nothing", [HI, calling({"id": "c"})], "messages[1].tool_calls[0].function", "is required"),
    Wrong("an unknown call", [HI, calling({"id": "c", "type": "x"})], "messages[1].tool_calls[0].type", '"x"'),
    Wrong(
        "arguments that are an object",
        [HI, calling({"id": "c", "function": {"name": "f", "arguments": {}}})],
        "messages[1].tool_calls[0].function.arguments",
        "a string",
    ),
    Wrong("a result without an id", [HI, {"role": "tool", "content": "a"}], "messages[1].tool_call_id", "is required"),
    Wrong("a result of nothing", [HI, {"role": "tool", "tool_call_id": "c"}], "messages[1].content", "is required"),
    Wrong(
        "a result without its call", [HI, result("x")], "messages[1].tool_call_id", "the id of an open call before it"
    ),
    Wrong(
        "another result of one call",
        [HI, calling(call()), result(), result(content="rainy")],
        "messages[3].tool_call_id",
        "the id of an open call",
    ),
    Wrong(
        "a call without its result, among others",
        [HI, calling(call("a"), call("b")), result("a")],
        "messages[1].tool_calls[1]",
        'send a tool message with tool_call_id "b"',
    ),
    Wrong(
        "a call without its result, behind a thought and a text",
        [HI, calling(call("a"), content="x", reasoning="y")],
        "messages[1].tool_calls[0]",
        "is a call without its result",
    ),
    Wrong(
        "two calls with one id",
        [HI, calling(call("a"), call("a")), result("a")],
        "messages[1].tool_calls[1].id",
        "unlike the id of a call still open",
    ),
    Wrong(
        "an older call without its result",
        [HI, {"role": "assistant", "content": "a", "function_call": {"name": "f", "arguments": "{}"}}],
        "messages[1].function_call",
        "is a call without its result",
    ),
    Wrong(
        "an older result without its call",
        [HI, {"role": "function", "name": "f", "content": "a"}],
        "messages[1].name",
        "the name of an open function_call",
    ),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in WRONG])
def test_wrong(case: Wrong) -> None:
    error = refused(messages=case.messages)
    assert error.param == case.param
    assert error.message.startswith(f"{case.param} ")
    assert case.words in error.message


def test_the_same_result_said_again_is_no_fault() -> None:
    assert said(HI, calling(call()), result(), result()).input[2:] == (RESULT, RESULT)
