"""What a key and its account allow, whatever a request says; enforcing it is `filters.py`'s and `ranking.py`'s."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Policy(Struct, frozen=True, kw_only=True, cache_hash=True):
    """The terms that come with a key; the defaults allow everything.

    Providers are slugs, names or `slug/variant`; models are slugs or globs as `anthropic/*`; an empty list allows all.
    `own_keys` holds the slugs of providers for which the account brings its own key, `own_keys_only` those whose
    house key it must not fall back to.

    Keys of today set only two of these; the others are for the administration of accounts and keys that is to come
    (section 13 of docs/architecture.md). They stand here already because a plan is made of all its filters in one
    order, and that order is what the tests of routing hold.
    """

    account: str = ""
    default_model: str | None = None
    allowed_models: tuple[str, ...] = ()
    allowed_providers: tuple[str, ...] = ()
    ignored_providers: tuple[str, ...] = ()
    data_collection: Literal["deny", "allow"] | None = None
    zdr: bool = False
    enforce_distillable_text: bool = False
    regions: tuple[str, ...] = ()
    own_keys: frozenset[str] = frozenset()
    own_keys_only: frozenset[str] = frozenset()
    max_attempts: int = 3
