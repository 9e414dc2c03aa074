"""The engines that judge texts: what the settings say of each and the environment → which are on, or why not.

How one is asked is `upstream/engines/moderation_table.py`'s; nothing is called here.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from trunkline.catalog.standings import Surroundings, find_engine_key
from trunkline.settings.moderation_sections import ModeratorKind, ModeratorSettings
from trunkline.settings.secret import Secret


class Moderator(Struct, frozen=True, kw_only=True):
    """One engine that judges; `reason` says why it is on or off. `words` and `patterns` are its own of that kind."""

    name: str
    kind: ModeratorKind
    base_url: str | None = None
    model: str | None = None
    prompt: str = ""
    words: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    timeout_s: float = 10.0
    secret: Secret | None = None
    is_on: bool = True
    reason: str = "needs no key"


def find_moderators(moderation: Mapping[str, ModeratorSettings], around: Surroundings) -> dict[str, Moderator]:
    """Look for the key of every engine; one without it is off, as a provider is."""
    return {name: _moderator(name, settings, around) for name, settings in moderation.items()}


def _moderator(name: str, settings: ModeratorSettings, around: Surroundings) -> Moderator:
    key = find_engine_key(settings.api_key, around)
    return Moderator(
        name=name,
        kind=settings.kind,
        base_url=settings.base_url,
        model=settings.model,
        prompt=settings.prompt,
        words=tuple(settings.words),
        patterns=tuple(settings.patterns),
        timeout_s=settings.timeout,
        secret=key.secret,
        is_on=key.is_on,
        reason=key.reason,
    )
