"""Readers of content parts as Chat Completions spells them, each made into a part of ours by the reader of that.

So all that is checked of a link, of base64 or of a name is checked in `protocol/parse_items.py`; here are the names of
members, and the path to each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from trunkline.protocol.items import (
    ImageGenerationCall,
    InputAudio,
    InputFile,
    InputImage,
    InputPart,
    InputText,
    InputVideo,
    Json,
    OutputText,
    RefusalPart,
)
from trunkline.protocol.marks import CacheMark
from trunkline.protocol.parse_items import INPUT_PARTS
from trunkline.protocol.parse_tools import read_mark
from trunkline.protocol.reading import Reader, Wrong, any_text, array, mismatch, one_of, record, tagged

Markable = TypeVar("Markable", InputImage, InputFile)
AnswerPart = OutputText | RefusalPart | ImageGenerationCall

_LINK_STARTS = ("http://", "https://", "gs://")
_READ_IMAGE, _READ_FILE, _READ_VIDEO = (INPUT_PARTS[f"input_{kind}"] for kind in ("image", "file", "video"))


# Marks


def _breakpoint(*, ttl: str | None = None, mode: str = "explicit") -> CacheMark:
    # OpenAI's 30 minutes and 12 hours are both longer than what is usual elsewhere.
    return CacheMark() if ttl is None else CacheMark("1h")


_read_breakpoint = record(_breakpoint, {"mode": one_of(("explicit",)), "ttl": one_of(("30m", "12h"))})

_MARKS: Mapping[str, Reader[CacheMark]] = {
    "cache_control": read_mark,
    # OpenAI's SDK 3.57, types/chat/chat_completion_content_part_param.py (2026-11-28).
    "prompt_cache_breakpoint": _read_breakpoint,
}


def mark_of(value: Mapping[str, Json]) -> CacheMark | UnsetType:
    """The mark that an object carries, under either name."""
    for name, reader in _MARKS.items():
        said = value.get(name)
        if said is not None:
            try:
                return reader(said)
            except Wrong as wrong:
                wrong.steps.append(name)
                raise
    return UNSET


# Parts


def _text(value: dict[str, Json]) -> InputText:
    return InputText(_text_in(value), mark_of(value))


def _said(value: dict[str, Json]) -> OutputText:
    return OutputText(_text_in(value), cache_control=mark_of(value))


def _text_in(value: dict[str, Json]) -> str:
    text = value.get("text")
    if isinstance(text, str):
        return text
    if text is None:
        raise Wrong("is required", "text")
    raise mismatch(text, "a string", "text")


def _refusal(value: dict[str, Json]) -> RefusalPart:
    return _refusal_record(value)


_refusal_record = record(RefusalPart, {"refusal": any_text}, required=("refusal",))


def _image(value: dict[str, Json]) -> InputImage:
    url, detail, steps = _linked(value, "image_url", "url", beside=("detail",))
    part = _of_ours(_READ_IMAGE, {"image_url": url, **detail}, {"image_url": steps, "detail": ("detail", "image_url")})
    return _marked(cast("InputImage", part), value)


def _video(value: dict[str, Json]) -> InputVideo:
    url, _, steps = _linked(value, "video_url", "url")
    return cast("InputVideo", _of_ours(_READ_VIDEO, {"video_url": url}, {"video_url": steps}))


def _audio(value: dict[str, Json]) -> InputAudio:
    return cast("InputAudio", INPUT_PARTS["input_audio"](value))


def _file(value: dict[str, Json]) -> InputFile:
    """Read a file; its bytes, or a link to it, both stand in `file_data`, as OpenRouter and `@openrouter` have it."""
    file = value.get("file")
    if file is None:
        raise Wrong("is required", "file")
    if not isinstance(file, dict):
        raise mismatch(file, "an object", "file")
    members = {name: file[name] for name in ("filename", "file_data", "file_id") if file.get(name) is not None}
    if not members.get("filename", True):
        del members["filename"]
    places = {name: (name, "file") for name in members}
    for name in ("file_url", "url"):
        if file.get(name) is not None:
            members["file_url"], places["file_url"] = file[name], (name, "file")
    data = members.get("file_data")
    if isinstance(data, str) and data[:8].lower().startswith(_LINK_STARTS) and "file_url" not in members:
        members["file_url"], places["file_url"] = members.pop("file_data"), ("file_data", "file")
    return _marked(cast("InputFile", _of_ours(_READ_FILE, members, places, otherwise=("file",))), value)


def _file_link(value: dict[str, Json]) -> InputFile:
    url, _, steps = _linked(value, "file_url", "url")
    return _marked(cast("InputFile", _of_ours(_READ_FILE, {"file_url": url}, {"file_url": steps})), value)


def _picture(value: dict[str, Json]) -> ImageGenerationCall:
    """Read a picture that the model made, from the content of its message or from `images`."""
    url, _, steps = _linked(value, "image_url", "url")
    part = _of_ours(_READ_IMAGE, {"image_url": url}, {"image_url": steps})
    return ImageGenerationCall(result=cast("InputImage", part).image_url, status="completed")


def _linked(
    value: dict[str, Json], name: str, inner: str, *, beside: Sequence[str] = ()
) -> tuple[Json, dict[str, Json], tuple[str, ...]]:
    """A link that stands alone or in an object, what stands beside it there, and where it stands."""
    held = value.get(name)
    if not isinstance(held, dict):
        return held, {}, (name,)
    return held.get(inner), {key: held[key] for key in beside if key in held}, (inner, name)


def _of_ours(
    reader: Reader[InputPart],
    members: dict[str, Json],
    places: Mapping[str, Sequence[str]],
    otherwise: Sequence[str] = (),
) -> InputPart:
    """Read a part of ours; `places` says where the client wrote each of its members, innermost first."""
    try:
        return reader(members)
    except Wrong as wrong:
        if wrong.steps:
            wrong.steps[-1:] = places.get(str(wrong.steps[-1]), wrong.steps[-1:])
        else:
            wrong.steps.extend(otherwise)
        raise


def _marked(part: Markable, value: dict[str, Json]) -> Markable:
    mark = mark_of(value)
    return part if mark is UNSET else replace(part, cache_control=mark)


_HINTS = {
    kind: f'"{kind}" belongs to the Responses API; send "{ours}"'
    for kind, ours in {
        "input_text": "text",
        "output_text": "text",
        "input_image": "image_url",
        "input_file": "file",
    }.items()
} | {
    kind: f'"{kind}" belongs to the Messages API; send "{ours}"'
    for kind, ours in {"image": "image_url", "document": "file"}.items()
}

_PARTS: Mapping[str, Callable[[dict[str, Json]], InputPart]] = {
    "text": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "file_url": _file_link,
    "video_url": _video,
    # OpenRouter's older name (`@openrouter/sdk`, models/legacychatcontentvideo.js, 2026-11-28).
    "input_video": _video,
}
_ANSWER_PARTS: Mapping[str, Callable[[dict[str, Json]], AnswerPart]] = {
    "text": _said,
    "refusal": _refusal,
    "image_url": _picture,
}
_MISPLACED = {
    kind: f'"{kind}" has no place in a message of the assistant; send it in a message of the user'
    for kind in _PARTS.keys() - _ANSWER_PARTS.keys()
}

_read_part: Reader[InputPart] = tagged(_PARTS, refused=_HINTS)
_read_parts = array(_read_part)
_read_answer_parts: Reader[tuple[AnswerPart, ...]] = array(tagged(_ANSWER_PARTS, refused={**_HINTS, **_MISPLACED}))
read_pictures: Reader[tuple[ImageGenerationCall, ...]] = array(tagged({"image_url": _picture}, default="image_url"))
"""Read `images` of a message of the assistant."""


def read_content(value: Json) -> tuple[InputPart, ...]:
    """Read the content of a message that is not the assistant's: a string, or parts."""
    if isinstance(value, str):
        return (InputText(value),)
    if not isinstance(value, list):
        raise mismatch(value, "a string or an array of parts")
    return _read_parts(value)


def read_answer(value: Json) -> tuple[AnswerPart, ...]:
    """Read the content of a message of the assistant."""
    if isinstance(value, str):
        return (OutputText(value),)
    if not isinstance(value, list):
        raise mismatch(value, "a string or an array of parts")
    return _read_answer_parts(value)


def read_result(value: Json) -> str | tuple[InputPart, ...]:
    """Read what a tool gave back; one text is the same whether it stands in a part or not."""
    if isinstance(value, str):
        return value
    parts = read_content(value)
    if len(parts) == 1 and type(parts[0]) is InputText and parts[0].cache_control is UNSET:
        return parts[0].text
    return parts
