"""How hard a prompt is, by terms that anybody can check, and which of several models answers it well enough for least.

Pure, and total: any request has a difficulty. The words are in `router_words.py`, the weights below were fitted to half
of the prompts in `bench/auto_prompts.json`, as `python -m bench.auto` tells. Who may be chosen is `auto_router.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import inf, log2
from typing import Final, Literal, NamedTuple

from trunkline.plugins.router_words import (
    EASY,
    EASY_ANYWHERE,
    HARD,
    HARD_ANYWHERE,
    TECHNICAL,
    WORKING,
    WORKING_ANYWHERE,
)
from trunkline.protocol.extent import extent_of
from trunkline.protocol.items import FunctionCallItem, InputFile, InputImage, InputText, Message
from trunkline.protocol.request import ReasoningConfig, Request
from trunkline.protocol.tools import JsonObjectFormat, JsonSchemaFormat

Tier = Literal["cheap", "middle", "strong"]
TIERS: Final[tuple[Tier, ...]] = ("cheap", "middle", "strong")

MOST_CHARACTERS: Final = 3_000
"""So much of what is asked is read, half of it from the end; the rest counts as long input."""

MOST_WORDS: Final = 80
"""So many words are compared with the lists, half of them from the end: what stands between is what is worked on."""

WEIGHTS: Final[dict[str, float]] = {
    "hard_words": 4.9,
    "working_words": 0.5,
    "easy_forms": -1.3,
    "technical_words": 0.95,
    "length": 0.55,
    "requirements": 0.1,
    "code": 0.1,
    "maths": 0.35,
    "reasoning": 3.25,
    "pictures": 0.45,
    "files": 0.65,
    "long_input": 0.3,
    "tools": 0.4,
    "schema": 0.2,
    "turns": 0.3,
}
"""What one of each is worth."""

STEPS: Final = (0.35, 4.55)
"""Where middle and strong begin."""

NEEDS: Final[dict[Tier, float]] = {"cheap": 0.0, "middle": 0.35, "strong": 0.72}
"""The quality that is asked of a model."""

SHIFT: Final = 0.2
"""By how much the need changes at the most with the preference."""

_REMEMBERED: Final = 8_192
_EFFORTS: Final = {"none": 0.0, "minimal": 0.0, "low": 0.5, "medium": 1.0, "high": 2.0}
_WORD: Final = re.compile(r"[^\W\d_]+(?:[-+][^\W\d_]+)*\+*")
_REQUIREMENT: Final = re.compile(r"[,;:.?!]\s|\n\s*(?:[-*]|\d+[.)])\s")
_CODE: Final = re.compile(r"```|[{};]\s*\n|\w\(\w*\)|=>|::|</\w|\w\.\w+\(")
_MATHS: Final = re.compile(
    r"\w\^[\w{(]|[∫∑√≤≥≠∈∀∃→]|\\(?:frac|int|sum)|[a-z0-9]\s*[-+*/=]\s*[a-z0-9(]+\s*=|\b[a-z]\([a-z]", re.I
)


class Features(NamedTuple):
    """What the difficulty of a request is made of, by the names of `WEIGHTS`."""

    hard_words: float
    working_words: float
    easy_forms: float
    technical_words: float
    length: float
    requirements: float
    code: float
    maths: float
    reasoning: float
    pictures: float
    files: float
    long_input: float
    tools: float
    schema: float
    turns: float


class Term(NamedTuple):
    """One part of a difficulty: how much there is of something, and the points that this makes."""

    name: str
    value: float
    points: float


class Difficulty(NamedTuple):
    """The sum of its terms, and the tier that this is."""

    points: float
    tier: Tier
    terms: tuple[Term, ...]


class Contender(NamedTuple):
    """A model that may answer: its quality from 0 to 1 and who says so, and what the request is expected to cost.

    `is_fit`: it can do what the request would like; `usd` is None where no price is known.
    """

    model: str
    quality: float
    source: str
    usd: float | None
    is_fit: bool = True


class Choice(NamedTuple):
    """The chosen model and those to ask next, and the order in which all were considered."""

    models: tuple[str, ...]
    need: float
    considered: tuple[Contender, ...]
    reason: str


def _tables() -> tuple[dict[str, int], dict[str, int]]:
    """Words as they are, and beginnings of words, each with its kinds as bits."""
    whole: dict[str, int] = {}
    stems: dict[str, int] = {}
    for bit, words in enumerate((HARD, WORKING, EASY, TECHNICAL)):
        for word in words.split():
            table, key = (stems, word[:-1]) if word.endswith("*") else (whole, word)
            table[key] = table.get(key, 0) | 1 << bit
    return whole, stems


_WHOLE, _STEMS = _tables()
_LONGEST_STEM: Final = max(map(len, _STEMS))
_PHRASES: Final = (HARD_ANYWHERE, WORKING_ANYWHERE, EASY_ANYWHERE, ())
_ASCII_PHRASES: Final = tuple([phrase for phrase in HARD_ANYWHERE if phrase.isascii()])


def features(request: Request) -> Features:
    """Read off a request what its difficulty is made of."""
    asked, turns, pictures, files, has_called = _asked(request)
    text = asked if len(asked) <= MOST_CHARACTERS else asked[: MOST_CHARACTERS // 2] + asked[-MOST_CHARACTERS // 2 :]
    lower = text.lower()
    words = _WORD.findall(lower)
    if len(words) > MOST_WORDS:
        words = words[: MOST_WORDS // 2] + words[-MOST_WORDS // 2 :]
    hard, working, easy, technical = _counts(words, lower)
    count = len(text.split())
    requirements = len(_REQUIREMENT.findall(text))
    tokens = extent_of(request).characters / 4
    return Features(
        hard_words=min(hard, 3),
        working_words=min(working, 3),
        easy_forms=min(easy, 2) * (1.0 if count <= 9 else 0.5 if count <= 18 else 0.0),
        technical_words=min(technical, 3),
        length=log2(1 + min(count, 40) / 8),
        requirements=min(requirements, 3),
        code=min(len(_CODE.findall(text)), 2),
        maths=min(len(_MATHS.findall(text)), 2),
        reasoning=_reasoning(request.reasoning),
        pictures=min(pictures, 2),
        files=min(files, 2),
        long_input=log2(1 + tokens / 2_000) if tokens > 1_000 else 0.0,
        tools=(min(len(request.tools), 8) ** 0.5 - 1 if request.tools else 0.0) + has_called,
        schema=_schema(request),
        turns=log2(1 + turns),
    )


def difficulty(found: Features) -> Difficulty:
    """Sum up what makes a request hard; terms that are nothing are left out."""
    terms = tuple(
        [
            Term(name, round(value, 3), round(value * WEIGHTS[name], 4))
            for name, value in zip(Features._fields, found, strict=True)
            if value and WEIGHTS[name]
        ]
    )
    points = round(sum([term.points for term in terms]), 4)
    return Difficulty(points, tier_of(points), terms)


def weighed(request: Request) -> Difficulty:
    """Say how hard a request is."""
    return difficulty(features(request))


def tier_of(points: float) -> Tier:
    """The tier of a difficulty."""
    middle, strong = STEPS
    return "cheap" if points < middle else "middle" if points < strong else "strong"


def need_of(tier: Tier, preference: float) -> float:
    """The quality that is asked of a model: the preference, from 0 for cheap to 1 for good, moves it by ±0.2."""
    return round(min(max(NEEDS[tier] + (preference - 0.5) * 2 * SHIFT, 0.0), 1.0), 4)


def choose(contenders: Sequence[Contender], need: float, fallbacks: int) -> Choice:
    """Take the cheapest that is good enough, of equals the better; where none is, the best.

    Who does not fit is taken only where nobody does. Next are asked the other good ones by price, then the rest by
    quality. `contenders` are not empty, and go before others in their own order where all else is equal.
    """
    fit = [each for each in contenders if each.is_fit] or list(contenders)
    able = sorted([each for each in fit if each.quality >= need], key=_by_price)
    rest = sorted([each for each in fit if each.quality < need], key=_by_quality)
    considered = (*able, *rest)
    first = considered[0]
    reason = (
        f"{first.model} is the cheapest of {len(able)} with a quality of {need:.2f} or more"
        if able
        else f"none has a quality of {need:.2f}; {first.model} is the best of {len(rest)}"
    )
    return Choice(tuple([each.model for each in considered[: 1 + fallbacks]]), need, considered, reason)


def _by_price(each: Contender) -> tuple[float, float]:
    return (inf if each.usd is None else each.usd, -each.quality)


def _by_quality(each: Contender) -> tuple[float, float]:
    return (-each.quality, inf if each.usd is None else each.usd)


def _asked(request: Request) -> tuple[str, int, int, int, int]:
    """The last that the user says, and how many turns, pictures, files there are; 1 where tools were called already."""
    text, turns, pictures, files, has_called = "", -1, 0, 0, 0
    for item in request.input:
        if type(item) is Message:
            if item.role != "user":
                continue
            turns += 1
            said = []
            for part in item.content:
                if type(part) is InputText:
                    said.append(part.text)
                elif type(part) is InputImage:
                    pictures += 1
                elif type(part) is InputFile:
                    files += 1
            text = "\n".join(said)
        elif type(item) is FunctionCallItem:
            has_called = 1
    return text, max(turns, 0), pictures, files, has_called


def _counts(words: Iterable[str], lower: str) -> tuple[int, int, int, int]:
    """How many different words of each kind there are: hard, working, easy and technical ones."""
    hard, working, easy, technical = _anywhere(lower)
    for kinds in map(_kinds_of, set(words)):
        if kinds:
            hard += kinds & 1
            working += kinds >> 1 & 1
            easy += kinds >> 2 & 1
            technical += kinds >> 3
    return hard, working, easy, technical


def _anywhere(lower: str) -> list[int]:
    """How many phrases of each kind stand in a text; most scripts have spaces, and few phrases are looked for there."""
    if lower.isascii():
        return [sum([phrase in lower for phrase in _ASCII_PHRASES]), 0, 0, 0]
    return [sum([phrase in lower for phrase in phrases]) for phrases in _PHRASES]


@lru_cache(_REMEMBERED)
def _kinds_of(word: str) -> int:
    """Of which kinds a word is, as bits."""
    kinds = _WHOLE.get(word, 0)
    for size in range(2, min(len(word), _LONGEST_STEM) + 1):
        kinds |= _STEMS.get(word[:size], 0)
    return kinds


def _reasoning(config: ReasoningConfig | None) -> float:
    if config is None:
        return 0.0
    if config.effort is not None:
        return _EFFORTS.get(config.effort, 2.0)
    return 1.0 if config.enabled or config.max_tokens else 0.0


def _schema(request: Request) -> float:
    text = request.text
    return 1.0 if text is not None and isinstance(text.format, JsonSchemaFormat | JsonObjectFormat) else 0.0
