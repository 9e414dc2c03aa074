"""Readers of the input: items, their content parts, and the pairing of calls with their outputs.

Lenient where clients are known to leave things out: ids, statuses, `type` of messages, `detail`, `annotations`.
Says nothing about what a model or provider can take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, get_args

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from trunkline.protocol.addresses import check_stored_link, is_public_host, is_stored_link, read_link
from trunkline.protocol.data_urls import check_base64, check_data_url, is_data_url, split_data_url
from trunkline.protocol.file_types import audio_format, media_type_of
from trunkline.protocol.items import (
    AdditionalTools,
    Annotation,
    AudioFormat,
    CacheMark,
    EncryptedText,
    FileCitation,
    FilePath,
    FileSearchCall,
    FunctionCallItem,
    FunctionCallOutput,
    ImageGenerationCall,
    ImageStatus,
    InputAudio,
    InputFile,
    InputImage,
    InputItem,
    InputPart,
    InputText,
    InputVideo,
    ItemStatus,
    Json,
    Logprob,
    Message,
    MessagePart,
    OutputText,
    ReasoningFormat,
    ReasoningItem,
    ReasoningText,
    RefusalPart,
    Role,
    SearchStatus,
    SummaryText,
    TopLogprob,
    UrlCitation,
    WebSearchCall,
)
from trunkline.protocol.marking import bare
from trunkline.protocol.pairs import (
    CALL_NAMES,
    OUTPUTS,
    Output,
    answered_call,
    call_id_of,
    is_all_paired,
    is_from_outside,
    last_message,
    pairs_of,
)
from trunkline.protocol.parse_calls import own_items
from trunkline.protocol.parse_tools import read_mark
from trunkline.protocol.parse_usual import MAX_PHASE, usual_item
from trunkline.protocol.reading import (
    Reader,
    T,
    Wrong,
    array,
    flag,
    mismatch,
    number,
    one_of,
    one_of_or,
    readable,
    record,
    refuse,
    shown,
    tagged,
    text,
    whole,
)

_any_text = text()
_some_text = text(at_least=1)
_position = whole(0, 1_000_000_000)
_item_status = one_of(get_args(ItemStatus))
# Of a search nothing is said to anybody but that it was made, so that what became of it may be called anything.
_search_status = one_of_or(get_args(SearchStatus), "completed")


def read_input(value: Json) -> tuple[InputItem, ...]:
    """Read `input`: a string is one user message, an array is the conversation, calls paired with their outputs."""
    if isinstance(value, str):
        return (Message(role="user", content=(InputText(value or _some_text(value)),)),)
    if not isinstance(value, list):
        raise mismatch(value, "a string or an array of items")
    if not value:
        raise Wrong("must not be empty")
    items = _read_items(value)
    check_input(items)
    return items


def check_input(items: tuple[InputItem, ...]) -> None:
    """Check that items say something, and that calls and results belong together. Raises Wrong."""
    _check_pairs(items)
    if not any(_says_something(item) for item in items):
        raise Wrong("must not be empty", "content", 0)


def _says_something(item: InputItem) -> bool:
    """Whether anything is left of an item once empty texts are left out, as they are for every provider."""
    if type(item) is not Message:
        return type(item) is not AdditionalTools
    return any(not isinstance(part, InputText | OutputText) or part.text for part in item.content)


# Content parts


def _source(noun: str, *, may_be_bare: bool = False, may_be_stored: bool = False) -> Reader[str]:
    """Read where bytes come from: a link that anybody may follow, a data URL or, where it may be, bare base64 or a link
    into Google's storage.

    Every dialect and every provider is kept from other schemes and from private addresses here, whoever follows links.
    """

    def read(value: Json) -> str:
        source = _any_text(value)
        try:
            if is_data_url(source):
                check_data_url(source, may_be_text=noun == "file")
            elif may_be_bare and not source[:8].lower().startswith(("http://", "https://")):
                check_base64(source)
            elif may_be_stored and is_stored_link(source):
                check_stored_link(source)
            elif not is_public_host(read_link(source).host):
                raise ValueError("leads to no public address")
        except ValueError as error:
            raise Wrong(str(error), kind=f"invalid_{noun}_url") from None
        return source

    return read


def _sound(value: Json) -> str:
    """Read base64, which may stand in a data URL: clients that make one for pictures make one for sounds too."""
    data = _some_text(value)
    try:
        if is_data_url(data):
            check_data_url(data, may_be_text=False)
            return data[split_data_url(data).start :]
        if ":" in data[:16]:
            raise mismatch(value, "base64 or a data URL (links to sounds are not followed)")
        check_base64(data)
    except ValueError as error:
        raise Wrong(str(error)) from None
    return data


def _picture_made(value: Json) -> str:
    return _made(value) if value else _any_text(value)


_made = _source("image", may_be_bare=True)


def _file(
    *,
    filename: str | None = None,
    file_data: str | None = None,
    file_url: str | None = None,
    cache_control: CacheMark | UnsetType = UNSET,
) -> InputFile:
    if (file_data is None) == (file_url is None):
        raise Wrong("must have exactly one of file_data and file_url")
    if file_url is not None and is_stored_link(file_url):
        _check_type(filename or file_url, "file_url", "file")
    return InputFile(filename, file_data, file_url, cache_control)


def _image(
    *,
    image_url: str,
    detail: Literal["auto", "high", "low", "original"] = "auto",
    cache_control: CacheMark | UnsetType = UNSET,
) -> InputImage:
    if is_stored_link(image_url):
        _check_type(image_url, "image_url", "image")
    return InputImage(image_url, detail, cache_control)


def _video(*, video_url: str) -> InputVideo:
    if is_stored_link(video_url):
        _check_type(video_url, "video_url", "video")
    return InputVideo(video_url)


def _check_type(name: str, member: str, noun: str) -> None:
    """Check that the name of what nobody here can look into says its type: Google takes no such link without one."""
    kind = media_type_of(name)
    if kind is None or (noun != "file" and not kind.startswith(f"{noun}/")):
        example = {"image": ".png", "video": ".mp4", "file": ".pdf; filename may do so too"}[noun]
        raise Wrong(f"must end in the type of its {noun}, as in {example}", member, kind=f"invalid_{noun}_url")


def _heard(*, data: str, format: AudioFormat) -> InputAudio:
    return InputAudio(data, audio_format(format, data))


def _audio(*, input_audio: InputAudio) -> InputAudio:
    return input_audio


def _audio_label(value: Json) -> str:
    return _audio_formats(value.lower() if isinstance(value, str) else value)


_audio_formats = one_of(get_args(AudioFormat))


def _text_or(of_text: Callable[[str], T], parts: Reader[tuple[T, ...]]) -> Reader[tuple[T, ...]]:
    """Read content that is an array of parts, or a string that stands for one text part."""

    def read(value: Json) -> tuple[T, ...]:
        if isinstance(value, str):
            return (of_text(value),)
        if isinstance(value, list):
            return parts(value)
        raise mismatch(value, "a string or an array of parts")

    return read


_MARK: Mapping[str, Reader[object]] = {"cache_control": read_mark}

INPUT_PARTS: Mapping[str, Reader[InputPart]] = {
    "input_text": record(InputText, {"text": _any_text, **_MARK}, required=("text",)),
    "input_image": record(
        _image,
        {
            "image_url": _source("image", may_be_stored=True),
            "detail": one_of(("auto", "high", "low", "original")),
            **_MARK,
            "file_id": refuse("cannot be used: no files are stored; send image_url"),
        },
        required=("image_url",),
    ),
    "input_file": record(
        _file,
        {
            "filename": _any_text,
            "file_data": _source("file", may_be_bare=True),
            "file_url": _source("file", may_be_stored=True),
            **_MARK,
            "file_id": refuse("cannot be used: no files are stored; send file_data or file_url"),
        },
    ),
    "input_audio": record(
        _audio,
        {
            "input_audio": record(_heard, {"data": _sound, "format": _audio_label}, required=("data", "format")),
        },
        required=("input_audio",),
    ),
    "input_video": record(_video, {"video_url": _source("video", may_be_stored=True)}, required=("video_url",)),
}

_ANNOTATIONS: Mapping[str, Reader[Annotation]] = {
    "url_citation": record(
        UrlCitation,
        {"url": _any_text, "title": _any_text, "start_index": _position, "end_index": _position},
        required=("url", "title", "start_index", "end_index"),
    ),
    "file_citation": record(
        FileCitation,
        {"file_id": _any_text, "filename": _any_text, "index": _position},
        required=("file_id", "filename", "index"),
    ),
    "file_path": record(FilePath, {"file_id": _any_text, "index": _position}, required=("file_id", "index")),
}

_TOKEN: Mapping[str, Reader[object]] = {
    "token": _any_text,
    "bytes": array(whole(0, 255)),
    "logprob": number(-1e12),
}
_TOKEN_REQUIRED = ("token", "bytes", "logprob")

_OUTPUT_PARTS: Mapping[str, Reader[MessagePart]] = {
    "output_text": record(
        OutputText,
        {
            "text": _any_text,
            # In history they carry nothing that a model reads; other gateways' have other shapes.
            "annotations": readable(tagged(_ANNOTATIONS)),
            "logprobs": readable(
                record(
                    Logprob,
                    {**_TOKEN, "top_logprobs": array(record(TopLogprob, _TOKEN, required=_TOKEN_REQUIRED))},
                    required=_TOKEN_REQUIRED,
                )
            ),
            **_MARK,
        },
        required=("text",),
    ),
    "refusal": record(RefusalPart, {"refusal": _any_text}, required=("refusal",)),
    "input_text": record(OutputText, {"text": _any_text, **_MARK}, required=("text",)),
}

_encrypted = record(EncryptedText, {"encrypted_content": _any_text}, required=("encrypted_content",))

_CHAT_PARTS = {"text": "input_text", "image_url": "input_image", "file": "input_file", "video_url": "input_video"}
_chat_hints = {
    kind: f'"{kind}" belongs to the Chat Completions API; send "{ours}"' for kind, ours in _CHAT_PARTS.items()
}

_input_content: Reader[tuple[InputPart, ...]] = _text_or(InputText, array(tagged(INPUT_PARTS, refused=_chat_hints)))
_agent_content: Reader[tuple[InputPart | EncryptedText, ...]] = _text_or(
    InputText, array(tagged({**INPUT_PARTS, "encrypted_content": _encrypted}))
)
_output_content: Reader[tuple[MessagePart, ...]] = _text_or(
    OutputText,
    array(
        tagged(
            _OUTPUT_PARTS,
            refused={
                "text": '"text" belongs to the Chat Completions API; send "output_text"',
            }
            | {
                kind: f'"{kind}" has no place in a message of the assistant; send it in a message of the user'
                for kind in INPUT_PARTS.keys() - _OUTPUT_PARTS.keys()
            },
        )
    ),
)


# Items


def _message(role: Role, content: Reader[tuple[MessagePart, ...]], **more: Reader[object]) -> Reader[Message]:
    return record(
        partial(Message, role=role),
        {"id": _any_text, "status": _item_status, "content": content, **more},
        required=("content",),
    )


_phase = text(at_most=MAX_PHASE)
_thought = record(ReasoningText, {"text": _any_text}, required=("text",))


def _call(*, arguments: str = "", **members: Json) -> FunctionCallItem:
    return FunctionCallItem(arguments=arguments or "{}", **members)


def _output(value: Json) -> str | tuple[InputPart, ...]:
    return value if isinstance(value, str) else _input_content(value)


_ITEMS: Mapping[str, Reader[InputItem]] = {
    "message": tagged(
        {
            "user": _message("user", _input_content),
            "system": _message("system", _input_content),
            "developer": _message("developer", _input_content),
            "assistant": _message("assistant", _output_content, phase=_phase),
        },
        key="role",
    ),
    "reasoning": record(
        ReasoningItem,
        {
            "id": _any_text,
            "summary": array(tagged({"summary_text": record(SummaryText, {"text": _any_text}, required=("text",))})),
            "content": array(tagged(dict.fromkeys(("reasoning_text", "text"), _thought))),
            "encrypted_content": _any_text,
            "signature": _any_text,
            # Sessions move between gateways, which have other names for what only its issuer reads.
            "format": one_of_or(get_args(ReasoningFormat), "unknown"),
            # LangChain adds that of one thought to that of the next: "in_progressin_progress".
            "status": one_of_or(get_args(ItemStatus), "completed"),
        },
    ),
    "function_call": record(
        _call,
        {
            "id": _any_text,
            "call_id": _some_text,
            "name": _some_text,
            "namespace": _any_text,
            "arguments": _any_text,
            "status": _item_status,
            **_MARK,
        },
        required=("call_id", "name"),
    ),
    "function_call_output": record(
        FunctionCallOutput,
        {
            "id": _any_text,
            "call_id": _some_text,
            "output": _output,
            "status": _item_status,
            "is_error": flag,
            **_MARK,
        },
        required=("call_id", "output"),
    ),
    "web_search_call": record(partial(WebSearchCall, status="completed"), {"id": _any_text, "status": _search_status}),
    "file_search_call": record(
        partial(FileSearchCall, status="completed"),
        {"id": _any_text, "queries": array(_any_text), "status": _search_status},
    ),
    "image_generation_call": record(
        partial(ImageGenerationCall, status="completed"),
        {"id": _any_text, "result": _picture_made, "status": one_of(get_args(ImageStatus))},
    ),
    **own_items(_output, _agent_content),
}

_NO_REFERENCE = (
    '"item_reference" cannot be used: nothing is stored; send the item itself '
    "(AI SDK: providerOptions.openai.store = false)"
)
_typed_item = tagged(_ITEMS, default="message", refused={"item_reference": _NO_REFERENCE})


def _read_items(values: list[Json]) -> tuple[InputItem, ...]:
    items: list[InputItem] = []
    try:
        for value in values:
            item = usual_item(value)
            items.append(read_closely(value) if item is None else item)
    except Wrong as wrong:
        wrong.steps.append(len(items))
        raise
    return tuple(items)


def read_closely(value: Json) -> InputItem:
    """Read an item member by member, whatever its form."""
    # OpenAI's schema lets a reference go without its type.
    if isinstance(value, dict) and "id" in value and all(name in ("id", "type") or not value[name] for name in value):
        return _typed_item({**value, "type": value.get("type") or "item_reference"})
    return _typed_item(value)


def _check_pairs(items: tuple[InputItem, ...]) -> None:
    """Check that no result is without its call, and no call without its result but one that a message interrupted."""
    found = pairs_of(items)
    if not is_all_paired(items, found):
        check_each_pair(items, found)


def check_each_pair(items: tuple[InputItem, ...], found: Mapping[int, int]) -> None:
    """Check the calls and results of a conversation one by one, given the pairs that there are.

    A `call_id` may come back once its call is answered or interrupted. The same result may be said again.
    """
    calls: dict[str, int] = {}
    answering = dict.fromkeys(found.values())
    last, outside = last_message(items), -1
    for index, item in enumerate(items):
        if (call_id := call_id_of(item)) is not None:
            before = calls.get(call_id)
            if before is not None and before > outside and found.get(before, index) >= index:
                raise mismatch(call_id, "unlike the call_id of a call still open", "call_id", index)
            calls[call_id] = index
        elif index not in answering and (named := answered_call(item, items, calls)) is not None:
            first = found.get(calls.get(named, -1))
            _check_said_again(item, None if first is None else items[first], named, index)
        elif is_from_outside(item):
            outside = index
    for call_id, index in calls.items():
        if index > last and index not in found:
            noun = OUTPUTS[type(items[index])][0].__struct_config__.tag
            raise Wrong(f"is a call without its {noun} in the input; {_IF_INTERRUPTED} {shown(call_id)}", index)


def _check_said_again(item: InputItem, first: InputItem | None, call_id: str, index: int) -> None:
    """Check that a result which answers no open call is the one that its call has already."""
    if not (isinstance(item, Output) and isinstance(first, Output)) or _said(item) != _said(first):
        raise mismatch(call_id, f"the call_id of an open {CALL_NAMES[type(item)]} before it", "call_id", index)


def _said(item: Output) -> Output:
    said = replace(item, id=UNSET, status=UNSET)
    # As a conversation goes on its marks do, too.
    return bare(said) if isinstance(said, FunctionCallOutput) else said


_IF_INTERRUPTED = "if it was interrupted, send one that says so: call_id"
