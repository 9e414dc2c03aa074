"""Every kind of search engine as a row of one table; queries encoded and answers decoded by it, as values.

It reads what strangers send: no shape of an answer raises, and what is told of one is bounded, however large it is. A
page whose link is none for the web is left out, and no link is followed. Nothing of an answer is repeated in the words
of a problem, since an engine may say our key back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from email.utils import parsedate
from html import unescape
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from trunkline.adapters.decoding.strange import as_object, read_loosely
from trunkline.catalog.engines import Engine
from trunkline.protocol.addresses import read_link
from trunkline.protocol.opaque import Json
from trunkline.settings.plugin_sections import EngineKind
from trunkline.upstream.engines.domains import Domain, is_within, read_domains
from trunkline.upstream.engines.found import Query, Result
from trunkline.upstream.engines.refusals import refusal_of
from trunkline.wire import UpstreamRequest

MAX_QUERY: Final = 400
MAX_QUERY_WORDS: Final = 50
"""The longest query that every engine takes: Tavily refuses more characters, Brave more of either."""

MAX_RESULTS: Final = 20
MAX_ITEMS: Final = 200
"""How many pages of an answer are looked at, for those that are within the domains of a query."""

MAX_CONTAINERS: Final = 50_000
MAX_COMMAS: Final = 200_000
"""What decoding costs is values, and nobody else runs meanwhile: 4 MB of empty lists would take a second."""

MAX_TITLE: Final = 200
MAX_URL: Final = 2_048
MAX_SENT_DOMAINS: Final = 100
MAX_SITES: Final = 200
"""Of a query, the characters that limit it to sites; a link beyond them is left out all the same."""

MAX_TOLD_USD: Final = 1
"""An engine that says that a search cost more is not believed: the price of the settings holds."""


class Row(NamedTuple):
    """One kind of engine: how it is asked, and where in its answer things stand.

    `asks` are the members of a JSON body, or of the address where it `is_posted` not; the key is written into `header`,
    behind `before_key`. Of a page `text` names the members that are joined, which `are_html` or plain text. An answer
    without `results` is one without pages where it has the member `even_empty`; one without pages is a failure where
    `silent` names sources that did not answer.
    """

    base_url: str
    path: str
    header: str
    before_key: str
    is_posted: bool
    asks: Callable[[Query, Sequence[Domain]], Mapping[str, Json]]
    results: tuple[str, ...]
    text: tuple[str, ...]
    date: str
    cost: tuple[str, ...] = ()
    even_empty: str = ""
    silent: str = ""
    are_html: bool = False


class Answer(NamedTuple):
    """What an engine said: pages, and what the search cost if it told; or a problem, and what to do about it.

    `to_do` is empty where nobody can do anything.
    """

    results: tuple[Result, ...] = ()
    told_usd: Decimal | None = None
    problem: str = ""
    to_do: str = ""


def encode_query(engine: Engine, query: Query) -> UpstreamRequest:
    """Write a search as its engine takes it."""
    row = ROWS[engine.kind]
    asks = row.asks(query, read_domains(query.domains)[:MAX_SENT_DOMAINS])
    url = f"{engine.base_url or row.base_url}{row.path}"
    headers = {"accept": "application/json"}
    if engine.secret is not None and row.header:
        headers[row.header] = f"{row.before_key}{engine.secret.reveal()}"
    if not row.is_posted:
        return UpstreamRequest("GET", f"{url}?{urlencode(asks, quote_via=quote)}", headers, b"")
    headers["content-type"] = "application/json"
    body = json.dumps(asks, ensure_ascii=False, separators=(",", ":")).encode()
    return UpstreamRequest("POST", url, headers, body)


def encode_greeting(engine: Engine) -> UpstreamRequest:
    """A request that any server answers in some way, without a key."""
    return UpstreamRequest("GET", engine.base_url or ROWS[engine.kind].base_url, {}, b"")


def decode_answer(kind: EngineKind, body: bytes, query: Query) -> Answer:
    """Read the body of an answer; what of it is no page for this query is left out."""
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS or body.count(b",") > MAX_COMMAS:
        return Answer(problem="its answer is too large")
    row, told = ROWS[kind], read_loosely(body)
    if not isinstance(told, dict):
        return Answer(problem="its answer is no JSON", to_do="see whether base_url is the address of its API")
    listed = _at(told, row.results)
    if not isinstance(listed, list):
        if not row.even_empty or row.even_empty not in told:
            return Answer(problem="its answer has no list of results")
        listed = []
    if not listed and row.silent and told.get(row.silent):
        return Answer(problem="none of the sources that it asks answered")
    return Answer(tuple(_chosen(row, listed, query)), _told_usd(_at(told, row.cost)) if row.cost else None)


def decode_refusal(engine: Engine, status: int) -> Answer:
    """What an answer means whose status is not 200."""
    setting = f"search.{engine.name}"
    match status:
        case 403 if engine.kind == "searxng":
            return Answer(
                problem="it answers no searches as JSON (403)",
                to_do="add json to search.formats in the settings.yml of your SearXNG, and have its limiter let us in",
            )
        case 422 if engine.kind == "brave":  # what it answers to a key that it does not know, among other things
            return Answer(
                problem="it refuses the search or the key (422)", to_do=f"see whether {setting}.api_key is good"
            )
        case 432 | 433 if engine.kind == "tavily":
            return Answer(
                problem=f"its credit or plan is used up ({status})", to_do="add credit to the engine's account"
            )
        case _:
            found = refusal_of(status, setting, questions="searches", question="search", has_model=False)
            return Answer(problem=found.problem, to_do=found.to_do)


def _asks_exa(query: Query, domains: Sequence[Domain]) -> dict[str, Json]:
    """https://docs.exa.ai/reference/search (2026-11-28)."""
    asks: dict[str, Json] = {
        "query": _text(query),
        "type": "auto",
        "numResults": _count(query),
        "contents": {"text": {"maxCharacters": query.characters}},
    }
    if domains:
        asks["includeDomains"] = [domain.host + domain.path for domain in domains]
    if country := _country(query):
        asks["userLocation"] = country
    return asks


def _asks_searxng(query: Query, domains: Sequence[Domain]) -> dict[str, Json]:
    """https://docs.searxng.org/dev/search_api.html (2026-11-28)."""
    return {"q": _limited_text(query, domains), "format": "json"}


def _asks_brave(query: Query, domains: Sequence[Domain]) -> dict[str, Json]:
    """https://api-dashboard.search.brave.com/app/documentation/web-search/query (2026-11-28)."""
    # What is found elsewhere than at a site is dropped, so more is asked for.
    count = MAX_RESULTS if query.domains else _count(query)
    asks = {"q": _limited_text(query, domains), "count": count, "result_filter": "web", "text_decorations": "false"}
    country = _country(query)
    return {**asks, "country": country} if country in _BRAVE_COUNTRIES else asks


def _asks_tavily(query: Query, domains: Sequence[Domain]) -> dict[str, Json]:
    """https://docs.tavily.com/documentation/api-reference/endpoint/search (2026-11-28)."""
    asks: dict[str, Json] = {"query": _text(query), "max_results": _count(query), "search_depth": "basic"}
    if domains:
        # It knows hosts alone; what lies beside a path is dropped afterwards.
        asks["include_domains"] = list(dict.fromkeys(domain.host for domain in domains))
    return asks


ROWS: Final[Mapping[EngineKind, Row]] = {
    "exa": Row(
        base_url="https://api.exa.ai",
        path="/search",
        header="x-api-key",
        before_key="",
        is_posted=True,
        asks=_asks_exa,
        results=("results",),
        text=("text",),
        date="publishedDate",
        cost=("costDollars", "total"),
    ),
    "searxng": Row(
        base_url="",
        path="/search",
        header="",
        before_key="",
        is_posted=False,
        asks=_asks_searxng,
        results=("results",),
        text=("content",),
        date="publishedDate",
        silent="unresponsive_engines",
    ),
    "brave": Row(
        base_url="https://api.search.brave.com",
        path="/res/v1/web/search",
        header="x-subscription-token",
        before_key="",
        is_posted=False,
        asks=_asks_brave,
        results=("web", "results"),
        text=("description", "extra_snippets"),
        date="page_age",
        even_empty="query",
        are_html=True,
    ),
    "tavily": Row(
        base_url="https://api.tavily.com",
        path="/search",
        header="authorization",
        before_key="Bearer ",
        is_posted=True,
        asks=_asks_tavily,
        results=("results",),
        text=("content",),
        date="published_date",
    ),
}

# It refuses a query with any other.
_BRAVE_COUNTRIES: Final = frozenset(
    re.findall("..", "ARATAUBEBRCACHCLCNDEDKESFIFRGBGRHKIDINITJPKRMXMYNLNONZPHPLPTRUSASETRTWUSZA")
)


def _text(query: Query, room: int = MAX_QUERY, words: int = MAX_QUERY_WORDS) -> str:
    """The query on one line."""
    return " ".join(_UNWELCOME.sub("", query.text[: 4 * MAX_QUERY]).split()[:words])[:room].rstrip()


def _limited_text(query: Query, domains: Sequence[Domain]) -> str:
    """The query with the sites that it is limited to, as most engines read it; they know hosts alone."""
    sites: list[str] = []
    for host in dict.fromkeys(domain.host for domain in domains):
        if len(" OR ".join((*sites, f"site:{host}"))) <= MAX_SITES:
            sites.append(f"site:{host}")
    limit = "" if not sites else f" {sites[0]}" if len(sites) == 1 else f" ({' OR '.join(sites)})"
    return _text(query, MAX_QUERY - len(limit), MAX_QUERY_WORDS - len(limit.split())) + limit


def _count(query: Query) -> int:
    return min(max(query.max_results, 1), MAX_RESULTS)


def _country(query: Query) -> str:
    """The two letters of the client's country; empty where it says none."""
    country = query.location.country if query.location is not None else None
    return country.upper() if country and re.fullmatch(r"[A-Za-z]{2}", country) else ""


def _at(told: Json, path: Sequence[str]) -> Json:
    for name in path:
        told = as_object(told).get(name)
    return told


def _told_usd(told: Json) -> Decimal | None:
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= MAX_TOLD_USD:
        return None
    return Decimal(str(told))


def _chosen(row: Row, listed: Sequence[Json], query: Query) -> Iterator[Result]:
    """Choose the first pages that a query may have, each link once."""
    domains, seen = read_domains(query.domains), set[str]()
    for told in listed[:MAX_ITEMS]:
        result = _result(row, as_object(told), query.characters)
        if result is None or result.url in seen or (query.domains and not is_within(result.url, domains)):
            continue
        seen.add(result.url)
        yield result
        if len(seen) == _count(query):
            return


def _result(row: Row, told: Mapping[str, Json], characters: int) -> Result | None:
    url = told.get("url")
    # A line break or a mark in a link would stand where the model reads marks of ours.
    if not isinstance(url, str) or len(url) > MAX_URL or not url.isprintable():
        return None
    url = url.replace("<", "%3C").replace(">", "%3E")
    try:
        host = read_link(url).host
    except ValueError:
        return None
    title = " ".join(_clean(told.get("title"), MAX_TITLE, row.are_html).split())
    text = "\n".join(part for name in row.text for part in _parts(told.get(name), characters, row.are_html))
    return Result(title or host, url, text[:characters].rstrip(), _day(told.get(row.date)))


def _parts(told: Json, room: int, is_html: bool) -> Iterator[str]:
    """The texts of a member, which may be a list of them."""
    for part in told[:MAX_RESULTS] if isinstance(told, list) else (told,):
        if text := _clean(part, room, is_html):
            yield text


def _clean(told: Json, room: int, is_html: bool) -> str:
    """At most so many characters of a text, without those that show nothing or change how others are shown."""
    if not isinstance(told, str):
        return ""
    text = told[: 2 * room]
    if is_html:
        text = unescape(_EMPHASIS.sub("", text))
    return _UNWELCOME.sub("", _BREAK.sub("\n", text))[:room].strip()


def _day(told: Json) -> str:
    """The day of a date in any of the forms that engines write, as 2026-11-28; empty where there is none."""
    if not isinstance(told, str) or len(told) > 64:
        return ""
    try:
        if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", told):
            day = date.fromisoformat(told[:10])
        else:
            parsed = parsedate(told)
            day = date(*parsed[:3]) if parsed else date.min
    except (ValueError, TypeError, OverflowError, IndexError):
        return ""
    return day.isoformat() if day.year >= 1900 else ""


_EMPHASIS: Final = re.compile("</?(?:strong|b|em)>")
_BREAK: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_UNWELCOME: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, what turns the direction of writing, halves of characters, and letters that nobody sees."""
