"""What the contract knows and this gateway cannot do yet: told before routing, whatever the dialect.

A step that a client counts on must not be left out in silence: an answer that was not moderated looks like one that
was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trunkline.errors import BadRequest, NotFound
from trunkline.protocol.preferences import AutoRouterPlugin, ModerationPlugin, PluginSettings
from trunkline.protocol.request import Request

AUTO_MODELS: Final = frozenset({"trunkline/auto", "openrouter/auto"})
"""The auto-router's names as a model."""


def refuse_unconfigured(request: Request, models: Sequence[str]) -> None:
    """Refuse what is asked for and not configured here; `models` are the names that are asked for.

    Raises BadRequest for a plugin or `:online`, NotFound for the auto-router's model.
    """
    if request.plugins:
        _refuse_plugins(request.plugins)
    for name in models:
        base, colon, suffixes = name.lower().partition(":")
        if base.strip() in AUTO_MODELS:
            message = f"{name!r} needs the auto-router, which is not configured in this gateway; name a model."
            raise NotFound(message, metadata={"suggestions": []})
        if colon and "online" in [suffix.strip() for suffix in suffixes.split(":")]:
            message = (
                f"{name!r} asks for the web plugin, which is not configured in this gateway; leave :online out, or "
                "offer the tool web_search to a model that searches by itself."
            )
            raise BadRequest(message, param="model")


def _refuse_plugins(plugins: Sequence[PluginSettings]) -> None:
    # The auto-router acts on its own models alone, and those are refused by name.
    asked = [plugin for plugin in plugins if not isinstance(plugin, AutoRouterPlugin) and _is_on(plugin)]
    if asked:
        names = " and ".join(f'"{plugin.__struct_config__.tag}"' for plugin in asked)
        verb = "is" if len(asked) == 1 else "are"
        raise BadRequest(f"plugins: {names} {verb} not configured in this gateway; leave it out.", param="plugins")


def _is_on(plugin: PluginSettings) -> bool:
    return isinstance(plugin, ModerationPlugin) or plugin.enabled
