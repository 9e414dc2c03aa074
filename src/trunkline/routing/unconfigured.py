"""What the names of models ask for beside a model: told before routing, whatever the dialect, where it is not there.

What plugins ask for is looked at in `plugins/order.py`, which also takes `:online` away where it can be done; the
auto-router puts models in the place of its own names before anything is planned.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.catalog.entries import Catalog
from trunkline.catalog.lookup import is_auto
from trunkline.errors import BadRequest, NotFound
from trunkline.protocol.request import Request
from trunkline.routing.policy import Policy


def leaves_choice(request: Request, policy: Policy, catalog: Catalog) -> bool:
    """Whether a request names the auto-router, which most do not; by a default, where it names no model."""
    model, models = request.model, request.models
    if model is None and not models:
        model = policy.default_model or catalog.default_model
    return (model is not None and is_auto(model)) or (bool(models) and any(map(is_auto, models)))


def refuse_unconfigured(models: Sequence[str]) -> None:
    """Refuse what these names ask for and is not configured here.

    Raises BadRequest for `:online`, NotFound for the auto-router's model.
    """
    for name in models:
        if is_auto(name):
            message = f"{name!r} needs the auto-router, which does not run here; name a model."
            raise NotFound(message, metadata={"suggestions": []})
        _, colon, suffixes = name.lower().partition(":")
        if colon and "online" in [suffix.strip() for suffix in suffixes.split(":")]:
            message = (
                f"{name!r} asks for the web plugin, which is not configured in this gateway: it needs a search engine "
                "([search.NAME] in the settings). Leave :online out, or offer the tool web_search to a model that "
                "searches by itself."
            )
            raise BadRequest(message, param="model")
