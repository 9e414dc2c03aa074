"""Reads a message of the assistant: what it thought, said, showed and called.

A message tells no order between its members, so its items come in that of most models: thoughts, texts and pictures,
calls. A model that thinks between its calls has a proof for each thought, whose tag tells what was before it; there
that order is restored. Whether a proof is of use to anybody is not judged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from trunkline.faces.chat.calls import Made, Named, read_calls, read_named
from trunkline.faces.chat.parts import AnswerPart, read_answer, read_pictures
from trunkline.faces.chat.thoughts import Detail, read_details, thoughts_of
from trunkline.protocol.items import (
    Annotation,
    ImageGenerationCall,
    InputItem,
    Message,
    MessagePart,
    OutputText,
    ReasoningItem,
    RefusalPart,
    UrlCitation,
)
from trunkline.protocol.reading import Reader, any_text, readable, record, refuse, tagged, whole
from trunkline.stream.seals import GEMINI_FORMAT, thought_item, unseal


class Answered(Struct, frozen=True, gc=False, kw_only=True):
    """A message of the assistant, member by member."""

    content: tuple[AnswerPart, ...] = ()
    refusal: str = ""
    tool_calls: tuple[Made, ...] = ()
    function_call: Named | None = None
    reasoning: str = ""
    reasoning_content: str = ""
    reasoning_details: tuple[Detail, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    images: tuple[ImageGenerationCall, ...] = ()
    audio: None = None
    name: str = ""


def items_of(said: Answered) -> Iterator[InputItem]:
    """The items that a message came to, but for a call without an id."""
    thoughts = thoughts_of(said.reasoning_details, said.reasoning_content or said.reasoning)
    first, after_text, after_calls = _by_place(thoughts)
    proofs = {proof for item in thoughts for proof in (item.signature, item.encrypted_content)}
    yield from first
    yield from _said_items(said)
    yield from after_text
    for number, (call, signature) in enumerate(said.tool_calls):
        yield from after_calls.pop(number, ())
        if signature and signature not in proofs:
            yield thought_item(signature=signature, form=GEMINI_FORMAT)
        yield call
    # What is said to stand behind calls that did not come back stands behind the last that did.
    for number in sorted(after_calls):
        yield from after_calls[number]


def _by_place(
    thoughts: Sequence[ReasoningItem],
) -> tuple[list[ReasoningItem], list[ReasoningItem], dict[int, list[ReasoningItem]]]:
    """The thoughts that came first, those after a text, and those after calls by how many those were."""
    first: list[ReasoningItem] = []
    after_text: list[ReasoningItem] = []
    after_calls: dict[int, list[ReasoningItem]] = {}
    for item in thoughts:
        origin = unseal(item.encrypted_content or item.signature or "")
        if origin is not None and origin.calls_before:
            after_calls.setdefault(origin.calls_before, []).append(item)
        else:
            (after_text if origin is not None and origin.after_text else first).append(item)
    return first, after_text, after_calls


def _citation(*, url_citation: UrlCitation) -> UrlCitation:
    return url_citation


_position = whole(0, 1_000_000_000)
_read_citation: Reader[UrlCitation] = tagged(
    {
        "url_citation": record(
            _citation,
            {
                "url_citation": record(
                    UrlCitation,
                    {"url": any_text, "title": any_text, "start_index": _position, "end_index": _position},
                    required=("url", "title", "start_index", "end_index"),
                )
            },
            required=("url_citation",),
        )
    }
)


read_answered = record(
    Answered,
    {
        "content": read_answer,
        "refusal": any_text,
        "tool_calls": read_calls,
        "function_call": read_named,
        "reasoning": any_text,
        "reasoning_content": any_text,
        "reasoning_details": read_details,
        # In history they carry nothing that a model reads, and OpenRouter has kinds of its own.
        "annotations": readable(_read_citation),
        "images": read_pictures,
        "audio": refuse("cannot be used: no sounds are stored; send what was said as content"),
        "name": any_text,
    },
)


def _said_items(said: Answered) -> Iterator[InputItem]:
    """What a message of the assistant says and shows; empty texts are nothing said."""
    parts: list[MessagePart] = []
    refused = (RefusalPart(said.refusal),) if said.refusal else ()
    for part in (*_annotated(said), *refused, *said.images):
        if isinstance(part, ImageGenerationCall):
            if parts:
                yield Message(role="assistant", content=tuple(parts))
                parts = []
            yield part
        elif not isinstance(part, OutputText) or part.text:
            parts.append(part)
    if parts:
        yield Message(role="assistant", content=tuple(parts))


def _annotated(said: Answered) -> tuple[AnswerPart, ...]:
    """The content with its citations on the only text there is; of several it is not told which they mean."""
    if not said.annotations or len(said.content) != 1 or not isinstance(said.content[0], OutputText):
        return said.content
    return (replace(said.content[0], annotations=said.annotations),)
