"""What the names of models ask for and is not configured here: told before routing, whatever the dialect.

What plugins ask for is looked at in `plugins/order.py`, which also takes `:online` away where it can be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trunkline.errors import BadRequest, NotFound

AUTO_MODELS: Final = frozenset({"trunkline/auto", "openrouter/auto"})
"""The auto-router's names as a model."""


def refuse_unconfigured(models: Sequence[str]) -> None:
    """Refuse what these names ask for and is not configured here.

    Raises BadRequest for `:online`, NotFound for the auto-router's model.
    """
    for name in models:
        base, colon, suffixes = name.lower().partition(":")
        if base.strip() in AUTO_MODELS:
            message = f"{name!r} needs the auto-router, which is not configured in this gateway; name a model."
            raise NotFound(message, metadata={"suggestions": []})
        if colon and "online" in [suffix.strip() for suffix in suffixes.split(":")]:
            message = (
                f"{name!r} asks for the web plugin, which is not configured in this gateway: it needs a search engine "
                "([search.NAME] in the settings). Leave :online out, or offer the tool web_search to a model that "
                "searches by itself."
            )
            raise BadRequest(message, param="model")
