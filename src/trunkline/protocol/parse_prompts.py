"""Readers of templates, and of the template that a request names.

What a template says is read as a request's own input is. Whether there is such a template is not judged here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from trunkline.protocol.items import InputFile, InputImage, InputItem, InputText, Json, Message, OutputText
from trunkline.protocol.parse_items import INPUT_PARTS, read_input
from trunkline.protocol.prompts import NAME, NAME_WORDS, PLACEHOLDER, Prompt, Template, Value
from trunkline.protocol.reading import Reader, Step, Wrong, any_text, mapping, mismatch, record, shown, tagged, text

MAX_ID: Final = 64


def _value(value: Json) -> Value:
    """Read what is filled in for a variable."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise mismatch(value, "a string or an input_text, input_image or input_file part")
    return _part(value)


_part: Reader[InputText | InputImage | InputFile] = tagged(
    {kind: INPUT_PARTS[kind] for kind in ("input_text", "input_image", "input_file")}  # type: ignore[misc]
)


def _template(
    *,
    instructions: str | None = None,
    input: tuple[InputItem, ...] = (),
    variables: Mapping[str, Value | None] | None = None,
) -> Template:
    known = variables or {}
    if not instructions and not input:
        raise Wrong("is required where there are no instructions", "input")
    for name in known:
        if NAME.fullmatch(name) is None:
            raise Wrong(f"is no name of a variable, which is {NAME_WORDS}", name, "variables")
    uses, texts = _uses(instructions, input, known)
    for name, default in known.items():
        if name not in uses:
            raise Wrong("stands in no text part and not in the instructions", name, "variables")
        if name in texts and isinstance(default, InputImage | InputFile):
            raise Wrong("must be text: the variable stands within a text", "default", name, "variables")
    return Template(instructions, input, known, uses, texts)


def _uses(
    instructions: str | None, input: tuple[InputItem, ...], known: Mapping[str, object]
) -> tuple[Mapping[str, int], frozenset[str]]:
    """How often each variable stands somewhere, and which of them stand within a text."""
    uses: Counter[str] = Counter()
    texts: set[str] = set()
    for said, may_be_part, steps in _texts(instructions, input):
        for found in PLACEHOLDER.finditer(said):
            name = found[1]
            if NAME.fullmatch(name) is None:
                raise Wrong(f"has {shown(found[0])}, but the name of a variable is {NAME_WORDS}", *steps)
            if name not in known:
                raise Wrong(f"has {shown(found[0])}, which is not among the variables", *steps)
            uses[name] += 1
            if not may_be_part or found[0] != said:
                texts.add(name)
    return uses, frozenset(texts)


def _texts(instructions: str | None, input: tuple[InputItem, ...]) -> Iterator[tuple[str, bool, tuple[Step, ...]]]:
    """Every text that variables may stand in, whether a part may stand there instead, and the path to it."""
    if instructions:
        yield instructions, False, ("instructions",)
    for index, item in enumerate(input):
        if isinstance(item, Message):
            for place, part in enumerate(item.content):
                if isinstance(part, InputText | OutputText):
                    yield part.text, isinstance(part, InputText), ("text", place, "content", index, "input")


def _default(*, default: Value | None = None) -> Value | None:
    return default


read_prompt: Reader[Prompt] = record(
    Prompt,
    {
        "id": text(at_least=1, at_most=MAX_ID),
        "version": text(at_least=1, at_most=MAX_ID),
        "variables": mapping(_value),
    },
    required=("id",),
)

read_template: Reader[Template] = record(
    _template,
    {
        "instructions": any_text,
        "input": read_input,
        "variables": mapping(record(_default, {"default": _value}, closed=True)),
    },
    closed=True,
)
