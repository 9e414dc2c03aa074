"""Readers of single content blocks: block → content parts, or an item that stands for it.

They do not say which block may stand in whose message, nor in which message a part ends up: `conversation.py` does.
Source: https://platform.claude.com/docs/en/api/messages and the types of the anthropic Python package 2.14.0, seen
2026-11-28.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from trunkline.protocol.items import (
    CacheMark,
    InputFile,
    InputImage,
    InputPart,
    InputText,
    Json,
    OutputText,
)
from trunkline.protocol.members import any_text, some_text
from trunkline.protocol.parse_items import INPUT_PARTS
from trunkline.protocol.parse_tools import MAX_NAME, read_mark
from trunkline.protocol.reading import Reader, Wrong, mismatch, one_of, opaque_object, record, tagged, text

_NO_FILES: Final = "cannot be used: no files are stored; send the file itself, or a link to it"


MARKED: Mapping[str, Reader[object]] = {"cache_control": read_mark}
read_own_mark: Reader[object] = record(dict, MARKED)
"""Checks the mark of what else goes on unread, for marks are counted. Raises Wrong."""


# Texts


read_text: Reader[InputText] = record(InputText, {"text": any_text, **MARKED}, required=("text",))
read_said: Reader[OutputText] = record(OutputText, {"text": any_text, **MARKED}, required=("text",))
"""The text of an assistant; the citations in it are left out, as those of every history are."""


def _text_parts(value: Json) -> tuple[InputPart, ...]:
    return (read_text(value),)


# Pictures and documents


def _checked(kind: str, member: str, source: str, at: str, **more: str) -> Any:
    """Make a part of a source, by the one reader that guards all sources; `at` is where the source stands."""
    try:
        return INPUT_PARTS[kind]({"type": kind, member: source, **more})
    except Wrong as wrong:
        raise Wrong(wrong.complaint, at, kind=wrong.kind) from None


def _data_image(*, media_type: str, data: str) -> InputImage:
    image: InputImage = _checked("input_image", "image_url", f"data:{media_type};base64,{data}", "data")
    return image


def _linked_image(*, url: str) -> InputImage:
    image: InputImage = _checked("input_image", "image_url", url, "url")
    return image


def _image(*, source: InputImage, cache_control: CacheMark | None = None) -> tuple[InputPart, ...]:
    return (source if cache_control is None else replace(source, cache_control=cache_control),)


def _data_file(*, data: str, media_type: str = "application/pdf") -> tuple[InputPart, ...]:
    return (_checked("input_file", "file_data", f"data:{media_type};base64,{data}", "data"),)


def _text_file(*, data: str, media_type: str = "text/plain") -> tuple[InputPart, ...]:
    # Base64, so that no letter of the text has to be spelled as a link spells it.
    packed = b64encode(data.encode()).decode()
    return (_checked("input_file", "file_data", f"data:{media_type};base64,{packed}", "data"),)


def _linked_file(*, url: str) -> tuple[InputPart, ...]:
    return (_checked("input_file", "file_url", url, "url"),)


def _parts_file(*, content: tuple[InputPart, ...]) -> tuple[InputPart, ...]:
    return content


def _document(
    *,
    source: tuple[InputPart, ...],
    title: str | None = None,
    context: str | None = None,
    cache_control: CacheMark | None = None,
) -> tuple[InputPart, ...]:
    """A file under its title, or the parts that a document is made of; what is said about it stands before it."""
    first, *more = source
    if isinstance(first, InputFile):
        source = (replace(first, filename=title), *more)
    elif title:
        source = (InputText(title), *source)
    if context:
        source = (InputText(context), *source)
    if cache_control is None or not isinstance(source[-1], InputText | InputImage | InputFile):
        return source
    return (*source[:-1], replace(source[-1], cache_control=cache_control))


def _content_of_document(value: Json) -> tuple[InputPart, ...]:
    if isinstance(value, str):
        return (InputText(value),)
    parts = joined(value, _texts_and_images)
    if not parts:
        raise Wrong("must not be empty")
    return parts


def joined(value: Json, reader: Reader[tuple[InputPart, ...]]) -> tuple[InputPart, ...]:
    """Read an array of blocks, each of which may become several parts."""
    if not isinstance(value, list):
        raise mismatch(value, "a string or an array of blocks")
    parts: list[InputPart] = []
    for place, block in enumerate(value):
        try:
            parts += reader(block)
        except Wrong as wrong:
            wrong.steps.append(place)
            raise
    return tuple(parts)


def _stored(value: Json) -> Any:
    raise Wrong(_NO_FILES, "type")


_image_block: Reader[tuple[InputPart, ...]] = record(
    _image,
    {
        "source": tagged(
            {
                "base64": record(
                    _data_image, {"media_type": some_text, "data": any_text}, required=("media_type", "data")
                ),
                "url": record(_linked_image, {"url": any_text}, required=("url",)),
                "file": _stored,
            }
        ),
        **MARKED,
    },
    required=("source",),
)
_texts_and_images: Reader[tuple[InputPart, ...]] = tagged({"text": _text_parts, "image": _image_block})
_document_block: Reader[tuple[InputPart, ...]] = record(
    _document,
    {
        "source": tagged(
            {
                "base64": record(_data_file, {"media_type": some_text, "data": any_text}, required=("data",)),
                "text": record(
                    _text_file, {"media_type": one_of(("text/plain",)), "data": some_text}, required=("data",)
                ),
                "content": record(_parts_file, {"content": _content_of_document}, required=("content",)),
                "url": record(_linked_file, {"url": any_text}, required=("url",)),
                "file": _stored,
            }
        ),
        "title": any_text,
        "context": any_text,
        **MARKED,
    },
    required=("source",),
)


def _found(
    *, source: str, title: str, content: tuple[InputPart, ...], cache_control: CacheMark | None = None
) -> tuple[InputPart, ...]:
    """What a client's own search found, as text, which every model can read."""
    head, last = InputText(f"{title}\n{source}"), content[-1] if content else None
    if cache_control is None or not isinstance(last, InputText):
        return (head, *content)
    return (head, *content[:-1], replace(last, cache_control=cache_control))


def _found_texts(value: Json) -> tuple[InputPart, ...]:
    return joined(value, tagged({"text": _text_parts}))


PARTS: Mapping[str, Reader[tuple[InputPart, ...]]] = {
    "text": _text_parts,
    "image": _image_block,
    "document": _document_block,
    "search_result": record(
        _found,
        {"source": any_text, "title": any_text, "content": _found_texts, **MARKED},
        required=("source", "title", "content"),
    ),
}
"""The blocks of a user that are parts of a message."""


def _change(told: str) -> Reader[InputText]:
    """Read that the tools are others from here on, which a model can be told in words; `told` has a place for which."""

    def named(value: Json) -> str:
        tool = opaque_object(value)
        if tool.get("type") == "tool_definition":
            raise Wrong("cannot be defined here: define it in tools", "type")
        return _tool_name(tool.get("name", tool.get("mcp_server_name", tool.get("server_name"))))

    def changed(*, tool: str, cache_control: CacheMark | None = None) -> InputText:
        return InputText(told.format(tool), cache_control or UNSET)

    return record(changed, {"tool": named, **MARKED}, required=("tool",))


_tool_name = text(at_least=1, at_most=MAX_NAME)

SYSTEM_PARTS: Mapping[str, Reader[InputText]] = {
    "text": read_text,
    "tool_addition": _change("The tool {} can be used from here on."),
    "tool_removal": _change("The tool {} cannot be used any more."),
}
"""The blocks of a system message."""
