"""What a maker's own API serves: the names that its documents list, and no others.

The public lists keep names long after their maker took them away, spell one model in many ways, and mix up a maker's
names with those of resellers. Names that are gone, and aliases, stand in `catalog/names.toml`, because the gateway
tells clients of them; what else is to be left out stands here. Both go for a maker's own models; a host of other
people's models is looked at here only where its documents say what is not there.

Each page was read on the day in `seen`, many in dated copies: https://github.com/mnfst/modeldeprecations.dev (August
2026). A maker without a rule has no list that was found; what the public lists say of it stands unchecked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from tools.models.naming import MAKERS, Named
from trunkline.catalog.lookup import fold_name
from trunkline.catalog.rows import NamesFile


class Served(Struct, frozen=True, kw_only=True):
    """What a provider serves, as patterns for its own names in lower case; `source` is the page that says so.

    `lists` must match a name whole, where the document is a full list; `lacks` matches the start of one that is none
    of the provider's names, for the reason beside it.
    """

    source: str
    seen: str
    lists: str = ""
    lacks: Mapping[str, str] = {}

    def says(self, name: str) -> bool:
        """Whether the provider serves a model under a name."""
        name = name.lower()
        is_listed = not self.lists or re.fullmatch(self.lists, name) is not None
        return is_listed and not any(re.match(pattern, name) for pattern in self.lacks)


SERVED: Final[Mapping[str, Served]] = {
    "ai21": Served(
        source="https://docs.ai21.com/august-deprecation-notice",
        seen="2026-11-27",
        lacks={"": "its API ended on 9 August 2026"},
    ),
    "alibaba": Served(
        source="https://www.alibabacloud.com/help/en/model-studio/models",
        seen="2026-11-27",
        lacks={r"qwen3-vl-(235b-a22b|30b-a3b)$": "a family: its two models are called -instruct and -thinking"},
    ),
    "anthropic": Served(
        source="https://github.com/anthropics/anthropic-sdk-python/blob/main/src/anthropic/types/model.py",
        seen="2026-11-27",
        lacks={r"claude-opus-4-[67]-20\d{6}": "Claude has no dates in its names from 4.6 on"},
    ),
    "azure": Served(
        source="https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json",
        seen="2026-11-27",
        lacks={r"mistral-large-latest": "an alias at the price and context of a model of 2024"},
    ),
    "byteplus": Served(
        source="https://docs.byteplus.com/en/docs/ModelArk/model-list",
        seen="2026-11-27",
        lacks={r"doubao-": "the names of Volcengine, its sister in China; here they begin with seed-"},
    ),
    "cohere": Served(
        source="https://docs.cohere.com/docs/models",
        seen="2026-11-27",
        lacks={r"command-r7b$": "no name of Cohere's: it has command-r7b-12-2024"},
    ),
    "deepseek": Served(
        source="https://api-docs.deepseek.com/quick_start/pricing",
        seen="2026-11-27",
        lists=r"deepseek-(flash|v4-pro)",
    ),
    "google-ai-studio": Served(
        source="https://ai.google.dev/gemini-api/docs/models",
        seen="2026-11-27",
        lacks={
            r"gemini-exp-|learnlm": "experiments of 2024",
            r"gemini-gemma": "no name of Google's: Gemma has no gemini- before it",
        },
    ),
    # Also listed: MiniMax-M3.1-Flash (20 October 2026): https://runware.ai/docs/models/minimax-m3-1-flash.
    "minimax": Served(
        source="https://platform.minimax.io/docs/api-reference/api-overview",
        seen="2026-11-27",
        lists=r"minimax-m2|minimax-m2\.[157](-highspeed)?|minimax-m3(\.1-flash)?|m2-her",
    ),
    # New since the copy of August: Large 4, Leanstral 1.5.1, GLM 5.3, DeepSeek V4.1 Flash, which two public lists name.
    "mistral": Served(
        source="https://docs.mistral.ai/getting-started/models/models_overview/",
        seen="2026-11-27",
        lacks={
            r"mistral-(vibe-cli|code)": "aliases for Mistral's own programs, which move",
            r"ministral-3-": "a second spelling of ministral-…-2512",
            r"ministral-(3|8)b$": "no names of the API, which has dates in them",
            r"voxtral-small-24b": "the name of the weights: its API has voxtral-small-2507",
            r"mistral-(small|medium)-3[.-]\d-24b|mistral-small-24b": "the names of weights, not of the API",
            r"mistral-medium-3-5$": "a second spelling of mistral-medium-2604",
            r"zai-glm-(5|latest)$|glm-5-2$|zai-glm-5-2$": "aliases, or gone since 31 October 2026",
        },
    ),
    "moonshotai": Served(
        source="https://platform.kimi.ai/docs/models",
        seen="2026-11-27",
        lists=r"kimi-k3|kimi-k2\.7-code(-highspeed)?|kimi-k2\.6|kimi-k3\.1-pro(-highspeed)?",
    ),
    "morph": Served(
        source="https://github.com/juspay/neurolink/pull/1647",
        seen="2026-11-27",
        lacks={r"auto$": "no name that its chat endpoint takes"},
    ),
    "openai": Served(
        source="https://github.com/openai/openai-python/blob/main/src/openai/types/shared/all_models.py",
        seen="2026-11-27",
        lacks={
            r"gpt-oss": "weights that OpenAI does not serve",
            r".*:": "a reseller's variant",
            r"gpt-3\.5-0301$": "no name of OpenAI's: it had gpt-3.5-turbo-0301",
            r"gpt-5\.3$": "no name of OpenAI's: it has gpt-5.3-codex",
            r"daybreak-": "no names of OpenAI's: they begin with gpt-",
            r"gpt-chat-latest$": "no name of OpenAI's: it has chat-latest",
        },
    ),
    # Sonar's own end is disputed: three hosts say that Chat Completions ended on 27 September 2026, as
    # https://www.truefoundry.com/docs/change-announcements/perplexity-agent-api-migration; Perplexity's own page,
    # https://docs.perplexity.ai/docs/agent-api/migrate-from-sonar/overview, that it remains.
    "perplexity": Served(
        source="https://docs.perplexity.ai/docs/resources/changelog",
        seen="2026-11-27",
        lacks={
            r"(codellama|llama|mistral|mixtral)-": "open models that went in 2024 and 2025",
            r"google/gemini-(2\.5-(flash|pro)|3-pro-preview)$": "taken away in March and April 2026",
            r"sonar-pro-search$": "OpenRouter's name for a way of searching of sonar-pro",
        },
    ),
    "upstage": Served(
        source="https://www.upstage.ai/pricing/api",
        seen="2026-11-27",
        lists=r"solar-(mini|pro[234])(-\d{6})?|solar-open2",
    ),
    "xai": Served(
        source="https://github.com/xai-org/xai-sdk-python/blob/main/src/xai_sdk/types/model.py",
        seen="2026-11-27",
    ),
    "xiaomi": Served(source="https://mimo.mi.com/docs/en-US/updates/deprecate", seen="2026-11-27"),
    "z-ai": Served(
        source="https://docs.z.ai/guides/overview/pricing",
        seen="2026-11-27",
        lacks={r"glm-5-code$": "no name of Z.AI's price list"},
    ),
}

UNCHECKED: Final = frozenset({"amazon-nova", "arcee-ai", "black-forest-labs", "inception"})
"""Makers whose own list of names was not found."""

MOVING: Final[Mapping[str, str]] = {
    "chat-latest": "what ChatGPT answers with; OpenAI documents and prices the name itself",
    "chatgpt-image-latest": "likewise; it ends on 1 December 2026",
    "gpt-daybreak-blue-latest": "the only name of its model",
    "gpt-daybreak-red-latest": "the only name of its model",
    "qwen-plus-latest": "Alibaba's newest snapshot, which has no other name in the lists",
    "qwen-turbo-latest": "Alibaba's newest snapshot, which has no other name in the lists",
}
"""Names of models at their makers that move and are asked for all the same, and why."""


class Makers:
    """Decides whether a provider serves a model under a name that the public lists tell of."""

    def __init__(self, names: NamesFile) -> None:
        self._aliases = frozenset(fold_name(name) for row in names.aliases for name in row.names)
        self._retired = frozenset(fold_name(slug) for row in names.retired for slug in row.models)

    def serves(self, provider: str, upstream_model: str, named: Named) -> bool:
        """Whether a provider has a model of this name, as far as its documents say."""
        served = SERVED.get(provider)
        if served is not None and not served.says(upstream_model):
            return False
        author = MAKERS.get(provider, provider)
        if named.slug.partition("/")[0] != author:
            return True
        own = fold_name(f"{author}/{upstream_model}")
        return own not in self._aliases and not self._is_retired((own, *map(fold_name, (named.slug, named.exact))))

    def _is_retired(self, spellings: Iterable[str]) -> bool:
        return any(spelled in self._retired for spelled in spellings)
