"""Templates that an operator keeps, and how a request names one: what is filled in, and where.

A variable stands as `{{name}}` in a text, spaces allowed within the braces. What else has braces is text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from trunkline.protocol.items import InputFile, InputImage, InputItem, InputText

Value = str | InputText | InputImage | InputFile
"""What may be filled in; a string is as good as a part that is text."""

PLACEHOLDER: Final = re.compile(r"\{\{ *(\w+) *\}\}")
"""One variable in a text; its name may be none that a variable can have."""

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
NAME_WORDS: Final = "a letter or _, then at most 63 letters, digits and _ of ASCII"


class Prompt(Struct, frozen=True, kw_only=True):
    """The template that a request names; without a `version` its newest."""

    id: str
    version: str | None = None
    variables: Mapping[str, Value] = {}


class Template(Struct, frozen=True):
    """A template, its places counted.

    `variables` are all of its variables with their defaults, None where there is none. `uses` says how often each
    stands somewhere, `texts` which of them stand within a text, where nothing but text fits.
    """

    instructions: str | None
    input: tuple[InputItem, ...]
    variables: Mapping[str, Value | None]
    uses: Mapping[str, int]
    texts: frozenset[str]
