"""What an engine that judges texts is given and what it said, as values."""

from __future__ import annotations

from typing import Literal, NamedTuple

Pictures = Literal["none", "data", "all"]
"""Which pictures an engine judges: those by data URL, or those behind links as well."""


class Passage(NamedTuple):
    """A text to be judged, or a picture by link or data URL with the text beside it."""

    text: str
    picture: str = ""


class Verdict(NamedTuple):
    """What came of a question; `reasons` are the categories, sorted, that something was flagged for.

    `place` is that of the first passage that was. `problem` says why there is no verdict; then nothing was flagged.
    `record` is the id of the record that the question has of its own.
    """

    engine: str
    took_s: float = 0.0
    is_flagged: bool = False
    reasons: tuple[str, ...] = ()
    place: int = 0
    problem: str = ""
    record: str = ""


class Answer(NamedTuple):
    """What an engine said of each passage it was asked for: the categories, None where it was not flagged.

    Or a problem, and what to do about it; `to_do` is empty where nobody can do anything.
    """

    flags: tuple[tuple[str, ...] | None, ...] = ()
    problem: str = ""
    to_do: str = ""
    record: str = ""
