"""What a key and its account allow, whatever a request says; enforcing it is `filters.py`'s and `ranking.py`'s."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace


class Policy(Struct, frozen=True, kw_only=True, cache_hash=True):
    """The terms that come with a key; the defaults allow everything.

    Providers are slugs, names or `slug/variant`; models are slugs or globs as `anthropic/*`; an empty list allows all.
    Where a key and its account both have a list, the account's is the one that begins with `account_`, and both hold.
    `own_keys` holds the slugs of providers for which the account brings its own key, `own_keys_only` those whose
    house key it must not fall back to.
    """

    account: str = ""
    default_model: str | None = None
    allowed_models: tuple[str, ...] = ()
    allowed_providers: tuple[str, ...] = ()
    account_models: tuple[str, ...] = ()
    account_providers: tuple[str, ...] = ()
    ignored_providers: tuple[str, ...] = ()
    data_collection: Literal["deny", "allow"] | None = None
    zdr: bool = False
    enforce_distillable_text: bool = False
    regions: tuple[str, ...] = ()
    account_regions: tuple[str, ...] = ()
    own_keys: frozenset[str] = frozenset()
    own_keys_only: frozenset[str] = frozenset()
    max_attempts: int = 3


def of_any_model(policy: Policy) -> Policy:
    """The same terms for a request of the gateway's own, whatever models its key may ask for."""
    return replace(policy, allowed_models=(), account_models=(), default_model=None)
