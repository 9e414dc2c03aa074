"""What a provider's own search looked for and found, as several dialects tell it."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.adapters.decoding.strange import as_object, read_loosely
from trunkline.protocol.items import Found, Json


def queries(arguments: str) -> tuple[str, ...]:
    """What a search looks for, by its arguments."""
    query = as_object(read_loosely(arguments)).get("query")
    return (query,) if isinstance(query, str) else ()


def links(found: Json) -> tuple[str, ...]:
    """The addresses of pages that were found, each once, of a list of objects with a `url`; what else it holds is
    passed over, as OpenAI's own sources of weather and sports, which have a name and no address."""
    return once(as_object(each).get("url") for each in found) if isinstance(found, list) else ()


def results(found: Json) -> tuple[Found, ...]:
    """The same pages with all that is told of them, each once, as it is told first.

    An entry may be an address alone. The names are those of Anthropic, of Perplexity (`date`) and of Z.ai (`link`,
    `publish_date`).
    """
    told = found if isinstance(found, list) else ()
    return each_once(Found(each) if isinstance(each, str) else _page(as_object(each)) for each in told)


def each_once(pages: Iterable[Found]) -> tuple[Found, ...]:
    """Pages, each once, as it is told first; what has no address is left out."""
    found: dict[str, Found] = {}
    for page in pages:
        if page.url:
            found.setdefault(page.url, page)
    return tuple(found.values())


def _page(told: dict[str, Json]) -> Found:
    return Found(
        _first_text(told, "url", "link"),
        _first_text(told, "title"),
        _first_text(told, "page_age", "date", "publish_date") or None,
        _first_text(told, "encrypted_content") or None,
    )


def _first_text(told: dict[str, Json], *names: str) -> str:
    return next((value for name in names if isinstance(value := told.get(name), str) and value), "")


def once(urls: Iterable[Json]) -> tuple[str, ...]:
    """Addresses, each once; what is none is left out."""
    return tuple(dict.fromkeys(url for url in urls if isinstance(url, str) and url))
