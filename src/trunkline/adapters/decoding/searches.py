"""What a provider's own search looked for and found, as several dialects tell it."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.adapters.decoding.strange import as_object, read_loosely
from trunkline.protocol.items import Json


def queries(arguments: str) -> tuple[str, ...]:
    """What a search looks for, by its arguments."""
    query = as_object(read_loosely(arguments)).get("query")
    return (query,) if isinstance(query, str) else ()


def links(found: Json) -> tuple[str, ...]:
    """The addresses of pages that were found, each once, of a list of objects with a `url`; what else it holds is
    passed over, as OpenAI's own sources of weather and sports, which have a name and no address."""
    return once(as_object(each).get("url") for each in found) if isinstance(found, list) else ()


def once(urls: Iterable[Json]) -> tuple[str, ...]:
    """Addresses, each once; what is none is left out."""
    return tuple(dict.fromkeys(url for url in urls if isinstance(url, str) and url))
