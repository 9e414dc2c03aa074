"""The terms of an account or a key: what it may ask for and how often, and what its requests get that do not say.

They are kept as JSON in one column, and what the row of a key says beside them – its limit, its expiry – is not here.
Where an account and its key both say something, the stricter of the two holds; of defaults the key's. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from trunkline.errors import BadRequest
from trunkline.protocol.parse_kept import parse_defaults
from trunkline.protocol.preferences import PluginSettings, ProviderPreferences
from trunkline.protocol.reading import Reader, Wrong, array, flag, mapping, one_of, record, spelled_path, text, whole
from trunkline.routing.policy import Policy

Json: TypeAlias = Any

MAX_RATE: Final = 10**12
MAX_WEIGHT: Final = 1_000
MAX_NAMES: Final = 1_000
MAX_CHARACTERS: Final = 65_536
_REMEMBERED: Final = 4_096


Moderation: TypeAlias = Literal["pass", "block", "always"]
"""What becomes of requests that nobody is there to judge, the more lenient first. `always`: every request is to be
judged, whatever it says, and is blocked where nobody can."""

_STRICTNESS: Final[tuple[Moderation | None, ...]] = (None, "pass", "block", "always")


@dataclass(frozen=True, slots=True)
class ModelRates:
    """How often one model may be asked: requests and tokens by the minute and by the day."""

    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    tpd: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed with an account, or for a key; the defaults allow everything.

    `models` are slugs or globs, `providers` slugs, names or `slug/variant`, `regions` country codes; an empty list
    allows all. `preferences` and `plugins` are for requests that say none. `is_unlimited`: an account's credit is not
    looked at. `weight` is an account's, where requests wait for their turn; a key's own says nothing. `model_rates` go
    by globs of models.
    """

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    ignored_providers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    data_collection: Literal["deny", "allow"] | None = None
    zdr: bool = False
    enforce_distillable_text: bool = False
    default_model: str | None = None
    preferences: ProviderPreferences | None = None
    plugins: tuple[PluginSettings, ...] = ()
    moderation: Moderation | None = None
    is_unlimited: bool = False
    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    tpd: int | None = None
    concurrency: int | None = None
    weight: int = 1
    model_rates: Mapping[str, ModelRates] = field(default_factory=dict)


NO_TERMS: Final = Terms()


@lru_cache(_REMEMBERED)
def read_terms(kept: str | None) -> Terms:
    """Read terms as they are kept.

    Raises ValueError, with the path of what is wrong, for a member that is not known or cannot be taken.
    """
    if kept is None:
        return NO_TERMS
    try:
        raw = json.loads(kept)
    except (ValueError, RecursionError):
        raise ValueError("terms are no JSON") from None
    try:
        return _read_terms(raw)
    except Wrong as wrong:
        raise ValueError(f"{spelled_path(reversed(wrong.steps)) or 'terms'} {wrong.complaint}") from None
    except BadRequest as wrong:
        raise ValueError(wrong.message.removesuffix(".")) from None


def members_of(kept: str | None) -> dict[str, Json]:
    """The members of kept terms as plain values, by name."""
    return {} if kept is None else dict(json.loads(kept))


def change_terms(kept: str | None, changes: Mapping[str, Json]) -> str | None:
    """Lay changes over kept terms and give what is to be kept; a member that becomes None is gone.

    Raises ValueError as `read_terms` does.
    """
    members = {name: value for name, value in {**members_of(kept), **changes}.items() if value is not None}
    if not members:
        return None
    changed = json.dumps(members, ensure_ascii=False, sort_keys=True)
    if len(changed) > MAX_CHARACTERS:
        raise ValueError(f"terms have at most {MAX_CHARACTERS} characters as JSON, not {len(changed)}")
    read_terms(changed)
    return changed


def policy_of(
    account_id: str,
    account: Terms,
    key: Terms,
    *,
    max_attempts: int,
    own_keys: frozenset[str] = frozenset(),
    own_keys_only: frozenset[str] = frozenset(),
) -> Policy:
    """What the routing of a request is bound by: the terms of a key within those of its account."""
    return Policy(
        account=account_id,
        default_model=key.default_model or account.default_model,
        allowed_models=key.models or account.models,
        allowed_providers=key.providers or account.providers,
        regions=key.regions or account.regions,
        # Two lists are not one: what a glob and a glob have in common is no glob.
        account_models=account.models if key.models else (),
        account_providers=account.providers if key.providers else (),
        account_regions=account.regions if key.regions else (),
        ignored_providers=tuple(dict.fromkeys((*account.ignored_providers, *key.ignored_providers))),
        data_collection="deny" if "deny" in (account.data_collection, key.data_collection) else None,
        zdr=account.zdr or key.zdr,
        enforce_distillable_text=account.enforce_distillable_text or key.enforce_distillable_text,
        own_keys=own_keys,
        own_keys_only=own_keys_only,
        max_attempts=max_attempts,
    )


def moderation_of(account: Terms, key: Terms) -> Moderation | None:
    """What holds of moderation for a key, the stricter of its own word and its account's; None without one."""
    return max(account.moderation, key.moderation, key=_STRICTNESS.index)


def _preferences(value: Json) -> ProviderPreferences:
    return parse_defaults(json.dumps({"provider": value}).encode())[0]


def _plugins(value: Json) -> tuple[PluginSettings, ...]:
    return parse_defaults(json.dumps({"plugins": value}).encode())[1]


_name = text(at_least=1, at_most=256)
_names = array(_name, at_most=MAX_NAMES)
_rates: Mapping[str, Reader[object]] = dict.fromkeys(("rpm", "tpm", "rpd", "tpd"), whole(1, MAX_RATE))


def _build(*, unlimited: bool = False, **members: Any) -> Terms:
    return Terms(is_unlimited=unlimited, **members)


_read_terms: Reader[Terms] = record(
    _build,
    {
        "models": _names,
        "providers": _names,
        "ignored_providers": _names,
        "regions": _names,
        "data_collection": one_of(("deny", "allow")),
        "zdr": flag,
        "enforce_distillable_text": flag,
        "default_model": _name,
        "preferences": _preferences,
        "plugins": _plugins,
        "moderation": one_of(("pass", "block", "always")),
        "unlimited": flag,
        **_rates,
        "concurrency": whole(1, MAX_RATE),
        "weight": whole(1, MAX_WEIGHT),
        "model_rates": mapping(record(ModelRates, _rates, closed=True)),
    },
    closed=True,
)
