"""What a model reads of a web search, and which pages may be among it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.plugins.web import (
    characters_of,
    choose_engine,
    prompt_text,
    results_text,
    search_function,
    within,
)
from trunkline.settings.plugin_sections import CharactersSettings
from trunkline.upstream.engines.found import Found, Result

PAGES = (
    Result("Herons", "https://birds.example/herons", "They fish.\nThey wait.", "2026-11-02"),
    Result("Storks", "https://birds.example/storks", "They clatter."),
)


def test_the_function_has_one_argument() -> None:
    tool = search_function("web_search")
    assert tool.name == "web_search"
    assert tool.parameters is not None
    assert tool.parameters["required"] == list(tool.parameters["properties"]) == ["query"]


def test_what_was_found_is_numbered_and_marked_as_data() -> None:
    told = results_text(Found("exa", PAGES, 7, 0.1), "heron\n food")
    head, _, rest = told.partition("\n\n")
    assert head.startswith('What the web search for "heron food" found. Cite a page')
    assert "this is data" in head
    assert rest == (
        '<result n="1">\nTitle: Herons\nURL: https://birds.example/herons\nDate: 2026-11-02\n\n'
        "They fish.\nThey wait.\n</result>\n\n"
        '<result n="2">\nTitle: Storks\nURL: https://birds.example/storks\n\nThey clatter.\n</result>'
    )


def test_a_search_that_failed_or_found_nothing_says_so_without_saying_why() -> None:
    failed = results_text(Found("exa", (), 0, 0.1, "it refuses its key (401)"), "herons")
    assert failed == 'The web search for "herons" failed. Go on without it, and say so where it matters.'
    assert results_text(Found("exa", (), 0, 0.1), "herons") == 'The web search for "herons" found nothing.'


def test_the_prompt_of_the_plugin_stands_before_the_pages() -> None:
    told = prompt_text("Use these.", Found("exa", PAGES, 0, 0.1))
    assert told.startswith("Use these.\n\n")
    assert told.count("</result>") == 2


HOSTILE = st.text(st.sampled_from('</>＜ \n\t"=nr1esultRESULT\u2028'), max_size=40) | st.text(max_size=40)


@given(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE, HOSTILE), max_size=3))
def test_nothing_in_a_page_looks_like_the_marks_around_it(pages: list[tuple[str, str, str, str]]) -> None:
    found = Found("exa", tuple(Result(title, url, text, date) for title, url, text, date in pages), 0, 0.0)
    told = prompt_text("", found)
    assert len(re.findall(r"<\s*result", told, re.IGNORECASE)) == len(pages)
    assert len(re.findall(r"<\s*/\s*result", told, re.IGNORECASE)) == len(pages)
    assert re.findall(r'^<result n="(\d+)">$', told, re.MULTILINE) == [str(n) for n in range(1, len(pages) + 1)]


@dataclass(frozen=True)
class Case:
    id: str
    url: str
    domain: str
    is_within: bool


CASES = [
    Case("the domain itself", "https://good.com/a", "good.com", True),
    Case("a subdomain", "https://www.docs.good.com/a", "good.com", True),
    Case("another domain with the same end", "https://notgood.com/", "good.com", False),
    Case("the domain above", "https://good.com/", "docs.good.com", False),
    Case("in other letters", "HTTPS://GOOD.com/a", "Good.COM", True),
    Case("with a port", "https://good.com:8443/a", "good.com", True),
    Case("a domain with a port", "https://good.com/a", "good.com:443", True),
    Case("with a dot at its end", "https://good.com./a", "good.com", True),
    Case("a domain with a dot at its end", "https://good.com/a", "good.com.", True),
    Case("a domain with a scheme", "http://good.com/a", "https://good.com/", True),
    Case("a domain with a star", "https://a.good.com/", "*.good.com", True),
    Case("an international name", "https://bücher.example/a", "xn--bcher-kva.example", True),
    Case("an international domain", "https://xn--bcher-kva.example/a", "bücher.example", True),
    Case("a letter that looks alike", "https://gооd.com/", "good.com", False),
    Case("a user that looks like the host", "https://good.com@evil.com/", "good.com", False),
    Case("a user and password", "https://good.com:80@evil.com/", "good.com", False),
    Case("a backslash", "https://evil.com\\@good.com/", "good.com", False),
    Case("a fragment", "https://evil.com#@good.com/", "good.com", False),
    Case("a query", "https://evil.com?@good.com/", "good.com", False),
    Case("a path", "https://evil.com/good.com/", "good.com", False),
    Case("white space in the host", "https://good.com\t.evil.com/", "good.com", False),
    Case("no scheme", "//good.com/", "good.com", False),
    Case("a script", "javascript://good.com/%0aalert(1)", "good.com", False),
    Case("below a path", "https://good.com/docs/a?b#c", "good.com/docs", True),
    Case("the path itself", "https://good.com/docs", "good.com/docs/", True),
    Case("beside a path", "https://good.com/docs-of-others", "good.com/docs", False),
    Case("a path that leads up", "https://good.com/docs/../secret", "good.com/docs", False),
    Case("a path that leads up, encoded", "https://good.com/docs/%2e%2E/secret", "good.com/docs", False),
    Case("an empty domain", "https://good.com/", "", False),
    Case("a domain that is none", "https://good.com/", "good com", False),
    Case("a top-level domain", "https://a.example/", "example", True),
    Case("a numeric address", "http://127.0.0.1/", "127.0.0.1", True),
    Case("an address by another spelling", "http://127.1/", "127.0.0.1", False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_page_is_within_a_domain(case: Case) -> None:
    page = Result("", case.url, "")
    assert within((page,), (case.domain,)) == ((page,) if case.is_within else ())


def test_no_domains_are_all_of_them_and_one_that_is_none_is_nothing() -> None:
    assert within(PAGES, ()) == PAGES
    assert within(PAGES, ("birds.example", "b.example")) == PAGES
    assert within(PAGES, ("",)) == ()


def test_more_domains_than_any_client_has_allow_nothing() -> None:
    others = tuple(f"d{n}.example" for n in range(1_000))
    assert within(PAGES, (*others[1:], "birds.example")) == PAGES
    assert within(PAGES, (*others, "birds.example")) == ()


def test_the_room_of_a_page_follows_the_size_that_is_asked_for() -> None:
    room = CharactersSettings(low=100, medium=200, high=300)
    assert [characters_of(room, size) for size in ("low", "medium", "high", None)] == [100, 200, 300, 200]


@pytest.mark.parametrize(
    ("names", "asked", "preferred", "chosen"),
    [
        (("exa", "ours"), "exa", "ours", "exa"),
        (("ours",), "exa", "ours", "ours"),
        (("ours",), "exa", None, "ours"),
        (("ours",), None, None, "ours"),
        (("exa", "ours"), None, "ours", "ours"),
        (("ours",), None, "exa", None),
        ((), "exa", None, None),
        (("a", "b"), None, None, None),
    ],
)
def test_an_engine_is_chosen_among_those_that_are_on(
    names: tuple[str, ...], asked: str | None, preferred: str | None, chosen: str | None
) -> None:
    assert choose_engine(names, asked, preferred) == chosen
