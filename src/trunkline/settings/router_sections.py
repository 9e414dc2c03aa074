"""What an operator may set about the auto-router, which chooses a model for the prompt (`trunkline/auto`)."""

from __future__ import annotations

from trunkline.settings.fields import CountOrNone, Section
from trunkline.settings.quantities import Fraction


class AutoRouterSettings(Section, frozen=True):
    """A model chosen for the prompt, for requests that name `trunkline/auto` or `openrouter/auto`: how, and what it
    makes of thirty prompts, is in [auto-router](../how-to/auto-router.md)."""

    models: list[str] = []
    """The models that may be chosen, in order of preference where all else is equal. Empty: each of which a published
    measurement is known, if a provider that is on serves it. FakeProvider's are chosen only if they are here."""

    quality: dict[str, Fraction] = {}
    """How good models are by your own measure, from 0 to 1, as `{ "author/model" = 0.8 }`. It goes before what was
    published, and makes a candidate of a model that has no published measurement."""

    preference: Fraction = 0.5
    """From 0, cheap, to 1, good: moves the quality that a prompt needs by up to 0.2 either way."""

    fallbacks: CountOrNone = 2
    """How many other candidates may be asked if the chosen one cannot answer."""
