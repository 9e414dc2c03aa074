"""Bytes that an operator wrote once and many requests use: templates, and what requests get that say nothing."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.protocol.body import decode_object
from trunkline.protocol.checks import bad_request
from trunkline.protocol.items import Json
from trunkline.protocol.parse_preferences import keep_exact_prices, read_plugins, read_preferences
from trunkline.protocol.parse_prompts import read_template
from trunkline.protocol.preferences import NO_PREFERENCES, PluginSettings, ProviderPreferences
from trunkline.protocol.prompts import Template
from trunkline.protocol.reading import Reader, Wrong, record


def parse_template(body: bytes) -> Template:
    """Read a template as an operator wrote it.

    Raises BadRequest.
    """
    raw, _ = decode_object(body)
    try:
        return read_template(raw)
    except Wrong as wrong:
        raise bad_request(wrong) from None


def parse_defaults(body: bytes) -> tuple[ProviderPreferences, tuple[PluginSettings, ...]]:
    """Read the `provider` and the `plugins` of a body that has no more, as those of a request are read.

    Raises BadRequest.
    """
    raw, _ = decode_object(body)
    try:
        keep_exact_prices(raw, body)
        members = _read_defaults(raw)
    except Wrong as wrong:
        raise bad_request(wrong) from None
    return members.get("provider", NO_PREFERENCES), members.get("plugins", ())


_DEFAULTS: Mapping[str, Reader[object]] = {"provider": read_preferences, "plugins": read_plugins}
_read_defaults: Reader[dict[str, Json]] = record(dict, _DEFAULTS)
