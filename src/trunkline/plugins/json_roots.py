"""Where in an answer its JSON begins, when something else stands before it.

Theory of operation. An answer that begins with the wanted bracket is JSON from there. Else the first bracket counts
that what follows makes likely: a key, a quote, another bracket, a closer; prose cites by `[1]` and speaks of `{two}`,
and these are passed over. A bracket after a thought that its tags tell is not looked for before the thought ends.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

Root = Literal["{", "[", "{["]
"""The brackets that the JSON of an answer may begin with."""

PRELUDE: Final = re.compile(r"[\ufeff \t\r\n]*+")
MAX_PROSE: Final = 16 * 1024
"""How far a root is looked for."""

_BRACKETS: Final[dict[Root, re.Pattern[str]]] = {
    "{": re.compile(r"\{"),
    "[": re.compile(r"\["),
    "{[": re.compile(r"[{\[]"),
}
_THOUGHT: Final = re.compile(r"<(think|thinking|thought|reasoning|reflection)>")
_THOUGHT_BEGUN: Final = re.compile(r"<[a-z]{0,10}\Z")
_CLOSED_THOUGHT: Final = "</think>"
_FENCE: Final = re.compile(r"(?:`{3,}+|~{3,}+)[\w-]*+")
_WORD: Final = r"[A-Za-z_$][\w$-]{0,63}+\s*+"
_WITHIN_OBJECT: Final = re.compile(rf"\s*+(?:([\"'“‘`}}]|//|/\*)|{_WORD}(:)|((?:{_WORD}|(?!))?+\Z))")
_WITHIN_ARRAY: Final = re.compile(
    r"\s*+(?:([\"'“‘`{\[\]]|//|/\*)|(-?[\d.]{1,32}+)[ \t]*+([,\n])|((?:-?[\d.]{0,32}+\s*+|(?!))?+\Z))"
)
_LISTED: Final = re.compile(r"(?:[:\n]|```\w*+)[ \t]*+\Z")


class Found(NamedTuple):
    """Where to look on: `at` a root where `is_root`, else where the next may be."""

    at: int
    is_root: bool


def first_sign(text: str) -> int:
    """Where the first sign stands that is no white space."""
    prelude = PRELUDE.match(text)
    assert prelude is not None
    return prelude.end()


def root_in(text: str, root: Root, seen: int, *, is_all: bool) -> Found:
    """Look for the JSON of an answer that does not begin with it; `seen` was looked through before."""
    after = _after_thought(text, is_all=is_all)
    if after is None:
        return Found(0, is_root=False)
    begin = max(seen, after)
    for bracket in _BRACKETS[root].finditer(text, begin, begin + MAX_PROSE):
        at = bracket.start()
        verdict = _is_likely(text, at)
        if verdict or (verdict is None and is_all):
            return Found(at, is_root=True)
        if verdict is None:
            return Found(at, is_root=False)
    return Found(len(text), is_root=False)


def kinds_before(before: str) -> set[str]:
    """What stands before the JSON, as names of changes."""
    kinds = {"control"} if "\ufeff" in before else set()
    if _THOUGHT.match(before, first_sign(before)) or _CLOSED_THOUGHT in before:
        kinds.add("thinking")
        before = before[before.rfind("</") :].partition(">")[2]
    rest, fences = _FENCE.subn("", before)
    if fences:
        kinds.add("fence")
    if rest.strip("\ufeff \t\r\n"):
        kinds.add("prose")
    return kinds


def _after_thought(text: str, *, is_all: bool) -> int | None:
    """Where a thought has ended that the text begins with; None while it has not."""
    begin = first_sign(text)
    opening = _THOUGHT.match(text, begin)
    if opening is None:
        if is_all:
            return text.rfind(_CLOSED_THOUGHT) + 1
        return None if _THOUGHT_BEGUN.match(text, begin) else 0
    closing = f"</{opening[1]}>"
    end = text.find(closing, opening.end())
    if end >= 0:
        return end + len(closing)
    return 0 if is_all else None


def _is_likely(text: str, at: int) -> bool | None:
    """Whether JSON begins at a bracket; None where what follows has not come."""
    within = (_WITHIN_OBJECT if text[at] == "{" else _WITHIN_ARRAY).match(text, at + 1)
    if within is None:
        return False
    if within[within.re.groups] is not None:
        return None
    if text[at] == "[" and within[2]:
        return _LISTED.search(text, max(0, at - 40), at) is not None
    return True
