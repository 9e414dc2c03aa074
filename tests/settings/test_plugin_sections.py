"""What an operator writes of plugins and search engines → settings, or a line for each mistake."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest

from trunkline.settings.reading import SettingsError, build_settings, effective, read_sources
from trunkline.settings.sections import Settings


def read(text: str) -> Settings:
    return build_settings(read_sources(file_text=text, file_name="t.toml"))


def test_what_an_operator_writes_is_read() -> None:
    settings = read(
        """
        [search.exa]
        kind = "exa"
        api_key = { env = "EXA_API_KEY" }
        price = "0.007"
        [search.ours]
        kind = "searxng"
        base_url = "http://10.0.0.7:8888/"
        timeout = "3 s"
        [plugins]
        defaults = ["web", "response-healing"]
        [plugins.web]
        engine = "ours"
        max_results = 20
        characters = { low = 100 }
        on_failure = "fail"
        [plugins.response_healing]
        stream = false
        """
    )
    assert settings.search["exa"].price == Decimal("0.007")
    assert settings.search["ours"].base_url == "http://10.0.0.7:8888"
    assert settings.search["ours"].timeout == 3
    web = settings.plugins.web
    assert (web.engine, web.max_results, web.max_searches, web.on_failure) == ("ours", 20, 30, "fail")
    assert (web.characters.low, web.characters.medium, web.characters.high) == (100, 5_000, 15_000)
    assert settings.plugins.defaults == ["web", "response-healing"]
    assert not settings.plugins.response_healing.stream


def test_of_an_engine_only_what_is_set_is_listed_and_no_secret() -> None:
    sources = read_sources(file_text='[search.exa]\nkind = "exa"\napi_key = "geheim"\n', file_name="t.toml")
    rows = [row for row in effective(build_settings(sources), sources) if row[0].startswith("search")]
    assert rows == [("search.exa.kind", "exa", "t.toml:2"), ("search.exa.api_key.inline", "(hidden)", "t.toml:3")]


@dataclass(frozen=True)
class Case:
    id: str
    text: str
    problem: str


EXA = '[search.exa]\nkind = "exa"\napi_key = { env = "E" }\n'
OURS = '[search.ours]\nkind = "searxng"\nbase_url = "http://ours:1"\n'

MISTAKES = [
    Case(
        "an unknown kind",
        '[search.x]\nkind = "bing"',
        "t.toml:2: search.x.kind: input should be 'exa', 'searxng', 'brave' or 'tavily'",
    ),
    Case("no kind", '[search.x]\nprice = "1"', "t.toml:1: search.x.kind is missing; set it"),
    Case(
        "SearXNG without an address",
        '[search.x]\nkind = "searxng"',
        't.toml:1: search.x: it needs base_url, the address of your SearXNG, as "http://localhost:8888"',
    ),
    Case(
        "SearXNG with a key",
        OURS + 'api_key = "k"',
        "t.toml:1: search.ours: SearXNG takes no key; leave api_key out",
    ),
    Case(
        "an engine without a key",
        '[search.x]\nkind = "brave"',
        't.toml:1: search.x: it needs api_key, as { env = "BRAVE_API_KEY" }',
    ),
    Case(
        "an address with a password",
        '[search.x]\nkind = "searxng"\nbase_url = "http://me:geheim@ours:1"',
        "t.toml:3: search.x.base_url: write the whole address, as http://localhost:8888, without user, password or "
        "parameters",
    ),
    Case(
        "an address whose port is none",
        '[search.x]\nkind = "searxng"\nbase_url = "http://ours:123456"',
        "t.toml:3: search.x.base_url: write the whole address, as http://localhost:8888",
    ),
    Case(
        "an address with the path of a search",
        '[search.x]\nkind = "searxng"\nbase_url = "http://ours:1/search/"',
        "t.toml:3: search.x.base_url: leave out /search: the gateway adds the path of the engine",
    ),
    Case(
        "a name that is taken",
        EXA.replace("search.exa", "search.native"),
        "t.toml:1: search.native: choose another name: native means the search that a model has itself",
    ),
    Case(
        "a name that no header can carry",
        EXA.replace("search.exa", 'search."Exa!"'),
        "t.toml:1: search.Exa!: the name of an engine has lower-case letters, digits, hyphens and underscores only",
    ),
    Case(
        "two engines and none chosen",
        EXA + OURS,
        "plugins.web.engine: there are several engines; set it to one of exa, ours",
    ),
    Case(
        "an engine that is not there",
        EXA + '[plugins.web]\nengine = "tavily"',
        "t.toml:5: plugins.web.engine: there is no [search.tavily]; set it to one of exa",
    ),
    Case(
        "an engine, and none at all",
        '[plugins.web]\nengine = "exa"',
        "t.toml:2: plugins.web.engine: there is no [search.exa]; add one",
    ),
    Case(
        "a plugin that is not known",
        '[plugins]\ndefaults = ["response-healing", "moderator"]',
        "t.toml:2: plugins.defaults[1]: input should be 'web', 'response-healing', 'moderation' or 'file-parser'",
    ),
    Case(
        "a plugin that is not configured",
        '[plugins]\ndefaults = ["response-healing", "web"]',
        "t.toml:2: plugins.defaults[1]: web needs a search engine; add one, as [search.exa]",
    ),
    Case(
        "an empty prompt",
        '[plugins.web]\nsearch_prompt = ""',
        "t.toml:2: plugins.web.search_prompt: string should have at least 1 character",
    ),
    Case(
        "more results than an engine gives",
        "[plugins.web]\nmax_results = 21",
        "t.toml:2: plugins.web.max_results: input should be less than or equal to 20",
    ),
    Case(
        "no results",
        "[plugins.web]\nmax_results = 0",
        "t.toml:2: plugins.web.max_results: input should be greater than or equal to 1",
    ),
    Case(
        "low above high",
        "[plugins.web]\ncharacters = { low = 9000 }",
        "t.toml:2: plugins.web.characters: low may not be more than medium, nor medium more than high",
    ),
    Case(
        "a setting that is not known",
        "[plugins.response_healing]\nstreams = true",
        "t.toml:2: unknown setting 'plugins.response_healing.streams'; did you mean 'stream'?",
    ),
]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case.id)
def test_a_mistake_is_one_line_that_says_what_to_do(case: Case) -> None:
    with pytest.raises(SettingsError) as raised:
        read(case.text)
    assert raised.value.problems == (case.problem,)


def test_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        read(OURS + EXA.replace("search.exa", "search.native") + '[plugins.web]\nengine = "brave"')
    assert len(raised.value.problems) == 2
