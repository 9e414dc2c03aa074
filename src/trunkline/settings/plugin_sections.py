"""What an operator may set about the steps around the model, and about the search engines that one of them asks.

Whether an engine's key is there is not known here; `catalog/engines.py` looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from trunkline.settings.fields import SecretField, Section, address_before, spelled_like
from trunkline.settings.files_sections import FileParserSettings
from trunkline.settings.forms import Problem
from trunkline.settings.moderation_sections import ModerationSettings
from trunkline.settings.quantities import Duration, Usd
from trunkline.settings.router_sections import AutoRouterSettings

_EXAMPLE = "http://localhost:8888"
EngineUrl = Annotated[str, spelled_like(_EXAMPLE), address_before("/search", "/res/v1/web", example=_EXAMPLE)]
EngineKind = Literal["exa", "searxng", "brave", "tavily"]
Characters = Annotated[int, Meta(ge=100, le=100_000)]

DEFAULT_SEARCH_PROMPT = (
    "The web was searched for this conversation; what was found is below. Use it where it helps to answer, and name "
    "your sources: cite a page as a Markdown link whose text is the page's domain, as "
    "[example.com](https://example.com/some-page)."
)


class SearchSettings(Section, frozen=True):
    """A search engine, by a name of your choice. A request that says `engine: "exa"` gets the one that is named `exa`,
    if there is one. Which to choose, and what it is told: [search](../how-to/search.md)."""

    kind: EngineKind
    """Which engine it is."""

    base_url: EngineUrl | None = None
    """Where it answers, without the path of a search. An address in your own network is fine. SearXNG needs it; the
    others have one of their own."""

    api_key: SecretField | None = None
    """Its key. All but SearXNG need one."""

    price: Usd = Decimal(0)
    """USD for each search that it answers. What Exa says that a search cost goes before this."""

    timeout: Duration = 10.0
    """How long it may take; then the search has failed."""

    def __post_init__(self) -> None:
        if self.kind == "searxng":
            if self.base_url is None:
                raise ValueError('it needs base_url, the address of your SearXNG, as "http://localhost:8888"')
            if self.api_key is not None:
                raise ValueError("SearXNG takes no key; leave api_key out")
        elif self.api_key is None:
            raise ValueError(f'it needs api_key, as {{ env = "{self.kind.upper()}_API_KEY" }}')


class CharactersSettings(Section, frozen=True):
    """How much of each page that was found the model reads, by the `search_context_size` of the request."""

    low: Characters = 1_500
    """Characters with `low`."""

    medium: Characters = 5_000
    """Characters with `medium`, and where a request does not say."""

    high: Characters = 15_000
    """Characters with `high`."""

    def __post_init__(self) -> None:
        if not self.low <= self.medium <= self.high:
            raise ValueError("low may not be more than medium, nor medium more than high")


class WebSettings(Section, frozen=True):
    """Searches that the gateway makes: for the tool `web_search` and its kin, the plugin `web`, and `:online`."""

    engine: str | None = None
    """Which engine of `[search]` is asked. It may be left out where there is but one."""

    max_results: Annotated[int, Meta(ge=1, le=20)] = 5
    """How many pages a search finds at the most, where a request does not say."""

    max_searches: Annotated[int, Meta(ge=1, le=100)] = 30
    """How many searches an answer may have; a request's `max_tool_calls` may make it fewer."""

    characters: CharactersSettings = CharactersSettings()
    """How much of each page the model reads."""

    search_prompt: Annotated[str, Meta(min_length=1, max_length=10_000)] = DEFAULT_SEARCH_PROMPT
    """What the plugin `web` says before the pages it found, where a request does not say."""

    on_failure: Literal["continue", "fail"] = "continue"
    """What happens when a search fails. `continue`: the answer goes on without it, and the failed search is shown in
    it. `fail`: the request fails, with 502 or, once its stream has begun, `response.failed`."""

    carry_results: bool = True
    """Whether an answer that ends with calls of the client's own tools, after searches, carries their results along
    in a reasoning item, so that the next request has them still."""


class HealingSettings(Section, frozen=True):
    """JSON that a model wrote carelessly, mended: the plugin `response-healing`."""

    stream: bool = True
    """Whether streamed answers are mended too, while they come."""

    tool_arguments: bool = True
    """Whether the arguments of tool calls are mended too."""


class PluginsSettings(Section, frozen=True):
    """Steps around the model."""

    defaults: list[Literal["web", "response-healing", "moderation", "file-parser"]] = []
    """The plugins that run for each request that does not turn them off with `enabled: false`; moderation cannot be
    turned off."""

    web: WebSettings = WebSettings()
    moderation: ModerationSettings = ModerationSettings()
    response_healing: HealingSettings = HealingSettings()
    file_parser: FileParserSettings = FileParserSettings()
    auto_router: AutoRouterSettings = AutoRouterSettings()


def find_unfit(search: Mapping[str, SearchSettings], plugins: PluginsSettings) -> Iterator[Problem]:
    """Find what does not fit together in the two."""
    for name in search:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
            words = "the name of an engine has lower-case letters, digits, hyphens and underscores only"
            yield Problem(("search", name), "value", words)
        elif name == "native":
            words = "choose another name: native means the search that a model has itself"
            yield Problem(("search", name), "value", words)
    engine, names = plugins.web.engine, ", ".join(sorted(search))
    if engine is None and len(search) > 1:
        yield Problem(("plugins", "web", "engine"), "value", f"there are several engines; set it to one of {names}")
    if engine is not None and engine not in search:
        words = f"there is no [search.{engine}]; " + (f"set it to one of {names}" if names else "add one")
        yield Problem(("plugins", "web", "engine"), "value", words)
    if "web" in plugins.defaults and not search:
        words = "web needs a search engine; add one, as [search.exa]"
        yield Problem(("plugins", "defaults", plugins.defaults.index("web")), "value", words)
