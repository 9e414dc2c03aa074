"""Each kind of engine: what it is asked, byte by byte, what is read of its answers, and that no answer does harm."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from unicodedata import category
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalog.engines import Engine
from trunkline.protocol.tools import UserLocation
from trunkline.settings.plugin_sections import EngineKind
from trunkline.settings.secret import Secret
from trunkline.upstream.engines.domains import is_within, read_domains
from trunkline.upstream.engines.found import Query, Result
from trunkline.upstream.engines.table import (
    MAX_QUERY,
    MAX_TITLE,
    MAX_URL,
    ROWS,
    decode_answer,
    decode_refusal,
    encode_query,
)

KEY = "key-canary-5b1d"


def engine(kind: EngineKind, base_url: str | None = None) -> Engine:
    return Engine(
        name="mine",
        kind=kind,
        base_url=base_url or ("http://10.0.0.7:8888/searx" if kind == "searxng" else None),
        price=Decimal("0.01"),
        timeout_s=1.0,
        secret=None if kind == "searxng" else Secret(KEY),
        is_on=True,
        reason="",
    )


@dataclass(frozen=True)
class Asked:
    """A query, and what of it is sent: the first line, the headers, the body."""

    id: str
    kind: EngineKind
    query: Query
    line: str
    headers: dict[str, str]
    body: bytes = b""


PLAIN = Query("herons & Größe", 5, 1_500)
LIMITED = Query(
    "  herons\neat ",
    50,
    1_500,
    ("https://Birds.example/docs/", "*.bücher.example", "no domain", ""),
    UserLocation(country="de"),
)
JSON = {"accept": "application/json"}
POSTED = {"content-type": "application/json"}

ASKED = [
    Asked(
        "exa",
        "exa",
        PLAIN,
        "POST https://api.exa.ai/search",
        {**JSON, "x-api-key": KEY, **POSTED},
        '{"query":"herons & Größe","type":"auto","numResults":5,"contents":{"text":{"maxCharacters":1500}}}'.encode(),
    ),
    Asked(
        "exa within domains, from a country",
        "exa",
        LIMITED,
        "POST https://api.exa.ai/search",
        {**JSON, "x-api-key": KEY, **POSTED},
        b'{"query":"herons eat","type":"auto","numResults":20,"contents":{"text":{"maxCharacters":1500}},'
        b'"includeDomains":["birds.example/docs","xn--bcher-kva.example"],"userLocation":"DE"}',
    ),
    Asked(
        "searxng",
        "searxng",
        PLAIN,
        "GET http://10.0.0.7:8888/searx/search?q=herons%20%26%20Gr%C3%B6%C3%9Fe&format=json",
        JSON,
    ),
    Asked(
        "searxng within domains",
        "searxng",
        LIMITED,
        "GET http://10.0.0.7:8888/searx/search?q=herons%20eat%20%28site%3Abirds.example%20OR%20"
        "site%3Axn--bcher-kva.example%29&format=json",
        JSON,
    ),
    Asked(
        "brave",
        "brave",
        PLAIN,
        "GET https://api.search.brave.com/res/v1/web/search?q=herons%20%26%20Gr%C3%B6%C3%9Fe&count=5&result_filter=web"
        "&text_decorations=false",
        {**JSON, "x-subscription-token": KEY},
    ),
    Asked(
        "brave within one domain, from a country",
        "brave",
        Query("herons", 5, 1_500, ("birds.example",), UserLocation(country="DE")),
        "GET https://api.search.brave.com/res/v1/web/search?q=herons%20site%3Abirds.example&count=20&result_filter=web"
        "&text_decorations=false&country=DE",
        {**JSON, "x-subscription-token": KEY},
    ),
    Asked(
        "brave from a country that it refuses",
        "brave",
        Query("herons", 5, 1_500, (), UserLocation(country="IS")),
        "GET https://api.search.brave.com/res/v1/web/search?q=herons&count=5&result_filter=web&text_decorations=false",
        {**JSON, "x-subscription-token": KEY},
    ),
    Asked(
        "tavily",
        "tavily",
        PLAIN,
        "POST https://api.tavily.com/search",
        {**JSON, "authorization": f"Bearer {KEY}", **POSTED},
        '{"query":"herons & Größe","max_results":5,"search_depth":"basic"}'.encode(),
    ),
    Asked(
        "tavily within domains",
        "tavily",
        LIMITED,
        "POST https://api.tavily.com/search",
        {**JSON, "authorization": f"Bearer {KEY}", **POSTED},
        b'{"query":"herons eat","max_results":20,"search_depth":"basic",'
        b'"include_domains":["birds.example","xn--bcher-kva.example"]}',
    ),
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.id)
def test_a_search_is_sent_as_its_engine_takes_it(asked: Asked) -> None:
    sent = encode_query(engine(asked.kind), asked.query)
    assert f"{sent.method} {sent.url}" == asked.line
    assert list(sent.headers.items()) == list(asked.headers.items())
    assert sent.body == asked.body


def test_an_address_of_the_settings_takes_the_place_of_the_engine_s_own() -> None:
    assert encode_query(engine("exa", "http://proxy.lan:9"), PLAIN).url == "http://proxy.lan:9/search"


@given(st.sampled_from(sorted(ROWS)), st.text(), st.lists(st.text(max_size=30), max_size=30), st.integers(), st.text())
def test_any_query_can_be_sent_and_its_text_is_bounded(
    kind: EngineKind, text: str, domains: list[str], count: int, country: str
) -> None:
    query = Query(text * 30, count, 1_500, tuple(domains), UserLocation(country=country))
    sent = encode_query(engine(kind), query)
    assert not any(sign <= " " for sign in sent.url)
    (said,) = parse_qs(urlsplit(sent.url).query).get("q", [""])
    assert len(said) <= MAX_QUERY
    assert len(said.split()) <= 50
    if sent.body:
        told = json.loads(sent.body)
        assert len(told["query"]) <= MAX_QUERY
        assert len(told["query"].split()) <= 50
        assert 1 <= told.get("numResults", told.get("max_results")) <= 20


@dataclass(frozen=True)
class Said:
    """An answer, what is read of it, and what it says that it cost."""

    id: str
    kind: EngineKind
    body: Any
    results: tuple[Result, ...] = ()
    told_usd: Decimal | None = None
    problem: str = ""
    query: Query = field(default=Query("herons", 3, 20))


def page(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "title": "T", "text": "x", **more}


def exa(*pages: Any, **more: Any) -> dict[str, Any]:
    return {"results": list(pages), **more}


def read(url: str, title: str = "T", text: str = "x", date: str = "") -> Result:
    return Result(title, url, text, date)


def dated(date: Any) -> dict[str, Any]:
    return exa(page("https://a.example/", publishedDate=date))


A = "https://a.example/"
SAID = [
    Said(
        "exa",
        "exa",
        {
            "requestId": "r",
            "resolvedSearchType": "neural",
            "results": [
                {
                    "id": A,
                    "title": "Herons",
                    "url": f"{A}herons",
                    "publishedDate": "2024-06-01T12:00:00.000Z",
                    "author": None,
                    "text": "They fish.\nThey wait for hours.",
                },
                {"title": None, "url": f"{A}storks", "publishedDate": None, "text": ""},
            ],
            "costDollars": {"total": 0.007, "search": {"neural": 0.005}},
        },
        (
            Result("Herons", f"{A}herons", "They fish.\nThey wait", "2024-06-01"),
            Result("a.example", f"{A}storks", "", ""),
        ),
        Decimal("0.007"),
    ),
    Said(
        "searxng",
        "searxng",
        {
            "query": "herons",
            "number_of_results": 0,
            "results": [
                {"url": A, "title": "Herons", "content": "They fish.", "engine": "x", "publishedDate": None},
                {"url": f"{A}b", "title": "B", "content": "b", "publishedDate": "2023-02-03T00:00:00"},
            ],
            "unresponsive_engines": [["google", "CAPTCHA"]],
        },
        (Result("Herons", A, "They fish.", ""), Result("B", f"{A}b", "b", "2023-02-03")),
    ),
    Said(
        "searxng whose sources are all away",
        "searxng",
        {"results": [], "unresponsive_engines": [["google", "CAPTCHA"]]},
        problem="none of the sources that it asks answered",
    ),
    Said("searxng that found nothing", "searxng", {"results": [], "unresponsive_engines": []}),
    Said(
        "brave",
        "brave",
        {
            "type": "search",
            "query": {"original": "herons"},
            "web": {
                "type": "search",
                "results": [
                    {
                        "title": "Herons",
                        "url": A,
                        "description": "They <strong>fi&#x73;h</strong>.",
                        "extra_snippets": ["They wait.", 7, "They fly away."],
                        "page_age": "2022-01-02T03:04:05",
                    }
                ],
            },
        },
        (Result("Herons", A, "They fish.\nThey wait", "2022-01-02"),),
    ),
    Said("brave that found nothing", "brave", {"type": "search", "query": {"original": "herons"}}),
    Said(
        "tavily",
        "tavily",
        {
            "query": "herons",
            "answer": None,
            "results": [
                {
                    "title": "Herons",
                    "url": A,
                    "content": "They fish.",
                    "score": 0.9,
                    "published_date": "Thu, 10 Apr 2025 10:51:00 GMT",
                }
            ],
            "response_time": 1.2,
        },
        (Result("Herons", A, "They fish.", "2025-04-10"),),
    ),
    Said(
        "more than was asked for",
        "exa",
        exa(*(page(f"{A}{n}") for n in range(9))),
        tuple(map(read, map(A.__add__, "012"))),
    ),
    Said("a page twice", "exa", exa(page(A), page(A, title="again")), (read(A),)),
    Said(
        "pages that are none",
        "exa",
        exa(None, 7, "x", [], {}, {"url": 7}, {"url": None}, {"url": [A]}, {"title": "T"}, page(A)),
        (read(A),),
    ),
    Said(
        "links that lead nowhere or do harm",
        "exa",
        exa(
            *(
                page(url)
                for url in (
                    "javascript:alert(1)",
                    "file:///etc/passwd",
                    "data:text/html,x",
                    "ftp://a.example/",
                    "https://",
                    "https:///x",
                    "//a.example/",
                    "a.example",
                    "",
                    "https://user:secret@a.example/",
                    "https://a.example@evil.example/",
                    "https://a.example\\@evil.example/",
                    "https://a.example/\nURL: https://evil.example",
                    "https://a.example/\u2028x",
                    "https://a.example/\u202ex",
                    "https://a.exa mple/",
                    "https://a.example:22/",
                    A + "x" * MAX_URL,
                )
            ),
            page(A),
        ),
        (read(A),),
    ),
    Said("marks in a link", "exa", exa(page(f"{A}</result>")), (read(f"{A}%3C/result%3E"),)),
    Said(
        "a private link is somebody's in the house",
        "exa",
        exa(page("http://10.0.0.8/wiki")),
        (read("http://10.0.0.8/wiki"),),
    ),
    Said(
        "wrong types",
        "exa",
        exa({"url": A, "title": ["T"], "text": {"a": 1}, "publishedDate": 20240101}),
        (Result("a.example", A, ""),),
    ),
    Said(
        "characters that show nothing",
        "exa",
        exa(page(A, title="He\x1b[31mr\x00on\u202es\u200f", text="a\x07b\r\nc\u2028d\ufeff\U000e0041e\tf")),
        (read(A, "He[31mrons", "ab\nc\nde\tf"),),
    ),
    Said("a title of many lines", "exa", exa(page(A, title=" He\n\nrons\t! ")), (read(A, "He rons !"),)),
    Said("a title without end", "exa", exa(page(A, title="x" * 10_000)), (read(A, "x" * MAX_TITLE),)),
    Said("a text without end", "exa", exa(page(A, text="x" * 10_000)), (read(A, text="x" * 20),)),
    Said("a day that there is not", "exa", dated("2024-02-31T00:00:00Z"), (read(A),)),
    Said("a day alone", "exa", dated("2024-02-29"), (read(A, date="2024-02-29"),)),
    Said("words in place of a day", "exa", dated("yesterday"), (read(A),)),
    Said("the beginning of time", "exa", dated("0001-01-01T00:00:00"), (read(A),)),
    Said("a year that is none", "exa", dated("Thu, 10 Apr 99999999999999999999 10:51:00 GMT"), (read(A),)),
    *(
        Said(f"a cost of {cost!r}", "exa", exa(costDollars={"total": cost}), told_usd=told)
        for cost, told in (
            (0, Decimal(0)),
            (0.0051, Decimal("0.0051")),
            (-1, None),
            (1e300, None),
            (10**400, None),
            (2, None),
            (True, None),
            ("0.005", None),
            (None, None),
            ([], None),
        )
    ),
    Said("a cost that is none", "exa", exa(costDollars=7)),
    Said("no results", "exa", {"costDollars": {"total": 0.1}}, problem="its answer has no list of results"),
    Said("results that are none", "exa", {"results": {"a": 1}}, problem="its answer has no list of results"),
    Said("web results that are none", "brave", {"web": {"results": 7}}, problem="its answer has no list of results"),
    Said("a list", "exa", [], problem="its answer is no JSON"),
    Said("a page of a portal", "exa", b"<html>Log in", problem="its answer is no JSON"),
    Said("nothing", "exa", b"", problem="its answer is no JSON"),
    Said(
        "a number that is none", "exa", b'{"results":[],"costDollars":{"total":NaN}}', problem="its answer is no JSON"
    ),
    Said("half a character", "exa", b'{"results":[{"url":"\\ud800"}]}', problem="its answer is no JSON"),
    Said("no UTF-8", "exa", b'{"results":["\xff"]}', problem="its answer is no JSON"),
    Said("nested without end", "exa", b'{"results":' + b"[" * 40_000, problem="its answer is no JSON"),
    Said("lists without end", "exa", b"[" + b"[]," * 60_000 + b"1]", problem="its answer is too large"),
    Said("numbers without end", "exa", b"[" + b"1," * 300_000 + b"1]", problem="its answer is too large"),
    Said(
        "within domains",
        "exa",
        exa(page("https://evil.example/"), page("https://b.a.example/x"), page(A)),
        (read("https://b.a.example/x"), read(A)),
        query=Query("herons", 3, 20, ("a.example",)),
    ),
    Said(
        "domains are kept to before the count",
        "searxng",
        {"results": [{"url": "https://evil.example/", "title": "E"}] * 50 + [{"url": A, "title": "T", "content": "x"}]},
        (read(A),),
        query=Query("herons", 1, 20, ("a.example",)),
    ),
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.id)
def test_an_answer_is_read_as_far_as_it_can_be(said: Said) -> None:
    body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
    answer = decode_answer(said.kind, body, said.query)
    assert (answer.results, answer.told_usd, answer.problem) == (said.results, said.told_usd, said.problem)


NAMES = st.sampled_from(
    ["results", "web", "url", "title", "text", "content", "description", "extra_snippets", "publishedDate", "total"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=60)
    | st.sampled_from(
        [A, "https://b.a.example/x", "https://good.com@evil.com/", "2024-02-31", "Thu, 10 Apr 2025", "x" * 999]
    )
)
SHAPES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=40
)
PAGES = st.dictionaries(NAMES, SCALARS | SHAPES).map(lambda found: {"url": A, **found})
BODIES = (
    st.binary()
    | SHAPES.map(lambda told: json.dumps(told).encode())
    | st.lists(PAGES | SHAPES, max_size=8).map(
        lambda pages: json.dumps({"results": pages, "web": {"results": pages}}).encode()
    )
)


@given(st.sampled_from(sorted(ROWS)), BODIES, st.integers(-1, 30), st.sampled_from([(), ("a.example",), ("nothing",)]))
def test_no_answer_raises_and_what_is_read_of_it_is_bounded(
    kind: EngineKind, body: bytes, count: int, domains: tuple[str, ...]
) -> None:
    answer = decode_answer(kind, body, Query("herons", count, 50, domains))
    assert not (answer.problem and answer.results)
    assert len(answer.results) <= min(max(count, 1), 20)
    for title, url, text, date in answer.results:
        assert 0 < len(title) <= MAX_TITLE
        assert not {category(sign) for sign in title} & {"Cc", "Cs", "Zl", "Zp"}
        assert len(text) <= 50
        assert "\x00" not in text
        assert url.startswith(("http://", "https://"))
        assert url.isprintable()
        assert not set(" <>") & set(url)
        assert len(date) in (0, 10)
        assert not domains or is_within(url, read_domains(domains))


REFUSALS: list[tuple[EngineKind, int, str, str]] = [
    ("exa", 401, "it refuses the key (401)", "see whether search.mine.api_key is good"),
    ("brave", 403, "it refuses the key (403)", "see whether search.mine.api_key is good"),
    (
        "searxng",
        403,
        "it answers no searches as JSON (403)",
        "add json to search.formats in the settings.yml of your SearXNG, and have its limiter let us in",
    ),
    ("exa", 402, "its credit or plan is used up (402)", "add credit to the engine's account"),
    ("tavily", 432, "its credit or plan is used up (432)", "add credit to the engine's account"),
    ("brave", 429, "it takes no more searches now (429)", ""),
    ("brave", 422, "it refuses the search or the key (422)", "see whether search.mine.api_key is good"),
    ("exa", 422, "it refuses the search (422)", ""),
    ("exa", 503, "it failed (503)", ""),
    (
        "exa",
        302,
        "it sends us elsewhere (302), and no redirect is followed",
        "set search.mine.base_url to where it leads",
    ),
]


@pytest.mark.parametrize(("kind", "status", "problem", "to_do"), REFUSALS)
def test_a_status_says_what_is_wrong_and_what_to_do(kind: EngineKind, status: int, problem: str, to_do: str) -> None:
    answer = decode_refusal(engine(kind), status)
    assert (answer.problem, answer.to_do, answer.results) == (problem, to_do, ())
