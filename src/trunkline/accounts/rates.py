"""How much a key and its account may ask for in a while: which limits a request has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple, Protocol

MINUTE_S: Final = 60
DAY_S: Final = 86_400


class Rate(NamedTuple):
    """A limit of a key or an account, of which `scope` is the id: `amount` in `period_s` seconds.

    `streams` are requests under way, streamed or not; they have no period. `model` is a glob: each model that it
    matches is counted apart.
    """

    scope: str
    kind: Literal["requests", "tokens", "streams"]
    amount: int
    period_s: int
    model: str | None = None


class Paces(Protocol):
    """The limits in the terms of a key, an account or a model: requests and tokens, by minute and by day."""

    @property
    def rpm(self) -> int | None: ...
    @property
    def tpm(self) -> int | None: ...
    @property
    def rpd(self) -> int | None: ...
    @property
    def tpd(self) -> int | None: ...


class PacedTerms(Paces, Protocol):
    """… with requests under way, and what holds for single models, by globs of their slugs."""

    @property
    def concurrency(self) -> int | None: ...
    @property
    def model_rates(self) -> Mapping[str, Paces]: ...


def rates_of(scope: str, terms: PacedTerms) -> tuple[Rate, ...]:
    """Read the limits off the terms of a key or an account. An amount is 1 at least."""
    found = [*_paced(scope, terms, None)]
    for model, paces in terms.model_rates.items():
        found += _paced(scope, paces, model)
    if terms.concurrency is not None:
        found.append(Rate(scope, "streams", terms.concurrency, 0))
    return tuple(found)


def _paced(scope: str, paces: Paces, model: str | None) -> Iterator[Rate]:
    """The limits of a scope, or of a model in it."""
    if paces.rpm is not None:
        yield Rate(scope, "requests", paces.rpm, MINUTE_S, model)
    if paces.tpm is not None:
        yield Rate(scope, "tokens", paces.tpm, MINUTE_S, model)
    if paces.rpd is not None:
        yield Rate(scope, "requests", paces.rpd, DAY_S, model)
    if paces.tpd is not None:
        yield Rate(scope, "tokens", paces.tpd, DAY_S, model)
