"""What tools gave back, as an endpoint can read it.

Routing asks every endpoint for a result with a picture in it, since it stays in the history: a model that cannot see
would be lost to that conversation for good. It reads instead that there was a picture. What the user sends is another
matter, and refused: https://github.com/anomalyco/opencode/issues/39824 and https://github.com/Stack-Cairn/LiveAgent/issues/729,
seen 2026-11-27.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from trunkline.adapters.encoding.draft import Draft
from trunkline.adapters.media import one_line
from trunkline.catalog.abilities import media_shortfall, tells_failures
from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.errors import Unprocessable
from trunkline.protocol.extent import extent_of, modality_of
from trunkline.protocol.items import (
    CustomCallOutput,
    FunctionCallOutput,
    InputFile,
    InputItem,
    InputModality,
    InputPart,
    InputText,
    Json,
)
from trunkline.protocol.marking import mark_of
from trunkline.protocol.paths import Paths, split
from trunkline.protocol.request import Request
from trunkline.wire import Fault

_WORDLESS: Final[Mapping[Dialect, frozenset[InputModality]]] = {
    "messages": frozenset({"audio", "video"}),
    "cohere": frozenset({"file", "audio", "video"}),
    "mistral": frozenset({"video"}),
}
"""The kinds of media that a dialect has no place for, whoever speaks it."""

_DOUBTED: Final[Mapping[Dialect, frozenset[InputModality]]] = {
    "converse": frozenset({"audio", "video"}),
    "responses": frozenset({"video"}),
}
"""Those that a dialect has for some endpoints only, which say so."""

LOST_FAILURE: Final = "input.function_call_output.is_error"
"""How it is named that a tool failed, where it is said in words."""

_ERROR: Final = "Error:"

_REFUSED: Final = frozenset({"rejected", "unprocessable", "missing"})
_UNREAD: Final = re.compile(
    r"\b(?:image_url|input_image|images?|vision|multi-?modal|input_file|files?|pdfs?|audio|videos?)\b", re.IGNORECASE
)
"""What a refusal of a medium names, as "unknown variant `image_url`, expected `text`" (DeepSeek)."""


def readable(request: Request, endpoint: Endpoint) -> tuple[Request, tuple[str, ...]]:
    """The request with a note in the place of what tools gave back and the endpoint cannot read; what was left out.

    That a tool failed is said in words where a dialect has no place for it.

    Where nothing is known of an endpoint it is sent what its dialect has words for, and asked once more with notes
    where it refuses that (`reading_text`).
    """
    # Nearly every request has none, and a look at the types alone costs little.
    if _OUTPUT_KINDS.isdisjoint(map(type, request.input)) or not any(
        isinstance(item, _OUTPUTS) and (type(item.output) is tuple or _failed(item)) for item in request.input
    ):
        return request, ()
    lost: dict[str, None] = {}
    items = tuple(_noted(item, endpoint, lost) for item in request.input)
    return (replace(request, input=items, paths=_shifted(request, items)), tuple(lost)) if lost else (request, ())


def reading_text(request: Request, endpoint: Endpoint, fault: Fault) -> Endpoint | None:
    """The endpoint as one that reads text alone, where that is why it refused; None: the refusal stands.

    What the user sent is not left out, and who is known to read pictures had another reason.
    """
    if fault.kind not in _REFUSED or endpoint.input_modalities is not None or extent_of(request).modalities:
        return None
    if _UNREAD.search(fault.message) is None:
        return None
    return replace(endpoint, input_modalities=frozenset({"text"}))


def encode_returned(draft: Draft, part: InputPart, encode: Callable[[Draft, InputPart], Json]) -> Json:
    """Encode a part of what a tool gave back; a note where the dialect takes nothing of its type."""
    try:
        return encode(draft, part)
    except Unprocessable:
        draft.dropped.append(_lost_name(part))
        return encode(draft, _note(part))


def _note(part: InputPart) -> InputText:
    """What stands for a part that is left out; the model should not ask for it again."""
    noun = _NOUNS[modality_of(part) or "file"]
    name = f" {one_line(part.filename)}" if isinstance(part, InputFile) and part.filename else ""
    return InputText(f"[{noun}{name} left out: this model cannot read it]", mark_of(part))


def _lost_name(part: InputPart) -> str:
    """How a part that is left out is named among what was dropped."""
    return f"input.function_call_output.{part.__struct_config__.tag}"


_OUTPUTS = (FunctionCallOutput, CustomCallOutput)
_OUTPUT_KINDS: Final[frozenset[type]] = frozenset(_OUTPUTS)
_NOUNS: Final[Mapping[InputModality, str]] = {"image": "Image", "file": "File", "audio": "Sound", "video": "Film"}


def _noted(item: InputItem, endpoint: Endpoint, lost: dict[str, None]) -> InputItem:
    if not isinstance(item, _OUTPUTS):
        return item
    if _failed(item) and not tells_failures(endpoint):
        lost[LOST_FAILURE] = None
        item = replace(item, output=_as_error(item.output))
    if isinstance(item.output, str):
        return item
    parts: list[InputPart] = []
    for part in item.output:
        if not _reads(endpoint, part):
            lost[_lost_name(part)] = None
            part = _note(part)
        parts.append(part)
    return replace(item, output=tuple(parts))


def _shifted(request: Request, items: Sequence[InputItem]) -> Paths:
    """The paths where a part was put before those of a result, to say that it is an error."""
    found: dict[int, tuple[int, ...]] = {}
    for place, (before, told) in enumerate(zip(request.input, items, strict=True)):
        if not isinstance(before, _OUTPUTS) or not isinstance(told, _OUTPUTS) or isinstance(told.output, str):
            continue
        if len(told.output) > len(before.output):
            found[place] = (0, *range(len(before.output)))
    return split(request.paths, found) if found else request.paths


def _failed(item: CustomCallOutput | FunctionCallOutput) -> bool:
    return type(item) is FunctionCallOutput and item.is_error is True


def _as_error(output: str | tuple[InputPart, ...]) -> str | tuple[InputPart, ...]:
    """A result that says first of all that it is an error, unless it does already."""
    if isinstance(output, str):
        return output if output.lstrip()[: len(_ERROR)].lower() == _ERROR.lower() else f"{_ERROR} {output}".rstrip()
    first = output[0] if output else None
    if isinstance(first, InputText):
        return (replace(first, text=_as_error(first.text)), *output[1:])
    return (InputText(_ERROR), *output)


def _reads(endpoint: Endpoint, part: InputPart) -> bool:
    kind = modality_of(part)
    if kind is None or isinstance(part, InputText):
        return True
    known = endpoint.input_modalities
    if kind in _WORDLESS.get(endpoint.dialect, ()):
        return False
    if kind == "file" and (told := endpoint.quirks.native_files) is not None:
        return told
    if kind not in known if known is not None else kind in _DOUBTED.get(endpoint.dialect, ()):
        return False
    return media_shortfall(endpoint, part) is None
