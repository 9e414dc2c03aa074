"""What a search engine is asked and what it found, as values."""

from __future__ import annotations

from typing import NamedTuple

from trunkline.protocol.tools import UserLocation


class Query(NamedTuple):
    """One search: at most `max_results`, of each at most so many `characters`; no `domains` are all of them.

    A domain stands for its subdomains too, and may go on with the path that links begin with.
    """

    text: str
    max_results: int
    characters: int
    domains: tuple[str, ...] = ()
    location: UserLocation | None = None


class Result(NamedTuple):
    """One page that was found; `date` is a day as 2026-11-28, or empty. A stranger wrote all four."""

    title: str
    url: str
    text: str
    date: str = ""


class Found(NamedTuple):
    """What came of a search, and what it costs.

    `problem` says why it failed, for record and log; then there are no results and no fee.
    """

    engine: str
    results: tuple[Result, ...]
    fee_nano: int
    took_s: float
    problem: str = ""
