"""A template filled in: what a request says with one.

Pure. Variables are filled in once and what they say is never looked into again: a value with braces, with quotes or
with the words of another role is text in the part that it was given for. How large the result is is known before it is
made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from trunkline.errors import BadRequest, PayloadTooLarge
from trunkline.protocol.checks import with_input
from trunkline.protocol.content import bytes_of
from trunkline.protocol.items import InputFile, InputImage, InputItem, InputText, Message, MessagePart, OutputText
from trunkline.protocol.paths import moved
from trunkline.protocol.prompts import PLACEHOLDER, Prompt, Template
from trunkline.protocol.reading import shown, spelled_path
from trunkline.protocol.request import Request

Part = InputText | InputImage | InputFile

_SHOWN: Final = 20


class Filling(NamedTuple):
    """What is filled into a template: a part for each variable. `body_bytes` is what a body would have that says it."""

    template: Template
    parts: Mapping[str, Part]
    body_bytes: int


def filling_of(
    prompt: Prompt, template: Template, *, template_bytes: int, body_bytes: int, max_body_bytes: int
) -> Filling:
    """Find what is to be filled in for a request of so many bytes.

    Raises BadRequest for what the template does not know, lacks, or has no place for, and PayloadTooLarge.
    """
    given = prompt.variables
    for name in given:
        if name not in template.variables:
            raise _wrong(name, f"is no variable of the template, which has {_named(template)}")
    parts: dict[str, Part] = {}
    for name, default in template.variables.items():
        value = given.get(name, default)
        if value is None:
            raise _wrong(name, "is required")
        part = parts[name] = InputText(value) if isinstance(value, str) else value
        if not isinstance(part, InputText) and name in template.texts:
            raise _wrong(name, "must be text: the template has it within a text")
        # Once it is in the body already, or as a default in the template.
        body_bytes += (template.uses[name] - 1) * _size(part)
    if (body_bytes := body_bytes + template_bytes) > max_body_bytes:
        raise PayloadTooLarge(
            f"With its template filled in the request has {body_bytes} bytes; this gateway takes {max_body_bytes}."
        )
    return Filling(template, parts, body_bytes)


def fill(request: Request, filling: Filling) -> Request:
    """The request with its template filled in: the template's input before its own, whose instructions go first.

    Raises BadRequest for what no request may say.
    """
    template, parts, body_bytes = filling
    input = (*(_filled_item(item, parts) for item in template.input), *request.input)
    if not input:
        raise BadRequest("input is required: the template has none.", param=request.paths.spelled("input"))
    instructions = request.instructions
    if instructions is None and template.instructions is not None:
        instructions = _filled_text(template.instructions, parts)
    filled = replace(
        request,
        paths=moved(request.paths, (*[None] * len(template.input), *range(len(request.input))), else_in="prompt"),
    )
    return with_input(filled, input, instructions, body_bytes=body_bytes)


def _filled_item(item: InputItem, parts: Mapping[str, Part]) -> InputItem:
    if not isinstance(item, Message):
        return item
    content = tuple(_filled_part(part, parts) for part in item.content)
    return replace(item, content=content)


def _filled_part(part: MessagePart, parts: Mapping[str, Part]) -> MessagePart:
    match part:
        case InputText(text=text):
            whole = PLACEHOLDER.fullmatch(text)
            if whole is None:
                return replace(part, text=_filled_text(text, parts))
            filled = parts[whole[1]]
            return filled if part.cache_control is UNSET else replace(filled, cache_control=part.cache_control)
        case OutputText(text=text) if "{{" in text:
            return replace(part, text=_filled_text(text, parts))
        case _:
            return part


def _filled_text(text: str, parts: Mapping[str, Part]) -> str:
    def said(found: re.Match[str]) -> str:
        part = parts[found[1]]
        assert isinstance(part, InputText), "what is no text stands within a text"
        return part.text

    return PLACEHOLDER.sub(said, text)


def _size(part: Part) -> int:
    match part:
        case InputText(text=text):
            return bytes_of(text)
        case InputImage(image_url=url):
            return bytes_of(url)
        case InputFile(filename=name, file_data=data, file_url=url):
            return sum(map(bytes_of, filter(None, (name, data, url))))


def _wrong(name: str, complaint: str) -> BadRequest:
    path = spelled_path(("prompt", "variables", name))
    return BadRequest(f"{path} {complaint}.", param=path)


def _named(template: Template) -> str:
    names = list(template.variables)
    if not names:
        return "none"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(shown, names[:_SHOWN])) + more
