"""Which links lie within the domains that a search is limited to.

A link is read as browsers and our own fetcher read it, never by looking for the domain in its text: what stands before
an `@` or behind a `\\` is no host. What cannot be read so is within nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import unquote

from trunkline.protocol.addresses import read_link

MAX_DOMAINS: Final = 1_000
"""OpenAI takes a hundred. What lies in those beyond is within nothing; each page is held against each."""


class Domain(NamedTuple):
    """A host with all that is below it; `path` is empty, or what the paths of links begin with."""

    host: str
    path: str

    def holds(self, host: str, path: str) -> bool:
        if host != self.host and not host.endswith(f".{self.host}"):
            return False
        return not self.path or path == self.path or path.startswith(f"{self.path}/")


def read_domains(texts: Iterable[str]) -> tuple[Domain, ...]:
    """Read domains as clients write them: `example.com`, `example.com/docs`, also with a scheme, a `*.` or a port.

    What is no domain is left out: nothing lies within it.
    """
    return tuple(domain for text in islice(texts, MAX_DOMAINS) if (domain := _read_domain(text)) is not None)


def is_within(url: str, domains: Iterable[Domain]) -> bool:
    """Whether a link leads to one of the domains."""
    place = _place(url)
    return place is not None and any(domain.holds(*place) for domain in domains)


def _read_domain(text: str) -> Domain | None:
    bare = text.strip().partition("://")[2] or text.strip()
    place = _place("https://" + bare.removeprefix("*").removeprefix("."))
    return None if place is None else Domain(place[0], place[1].rstrip("/"))


def _place(url: str) -> tuple[str, str] | None:
    """The host and the path of a link; None where it has none, or a path that leads up again."""
    try:
        link = read_link(url)
    except ValueError:
        return None
    path = link.target.partition("?")[0]
    is_winding = any(unquote(piece) in (".", "..") for piece in path.split("/"))
    return None if is_winding else (link.host, path)
