"""`trunkline check --probe`: whether who is on can be reached and takes its key, at no cost.

One question each, all at once, which `upstream/listing.py` asks; what is found is told in a line as soon as it is
known. Whether a model answers is `providers probe`'s to try out. Of search engines only SearXNG is made to search,
which costs nothing there; at the others it is seen whether somebody is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from trunkline.calling import asking
from trunkline.catalog.engines import Engine
from trunkline.catalog.entries import Catalog, Standing
from trunkline.cli.probing import Works, told
from trunkline.settings.sections import Settings
from trunkline.upstream.aside import Aside
from trunkline.upstream.asking import Upstream
from trunkline.upstream.engines.found import Query
from trunkline.upstream.engines.search import SearchEngines
from trunkline.upstream.listing import Listed, list_models
from trunkline.upstream.names import Names
from trunkline.upstream.transport import UpstreamFailure

DEADLINE_S = 15.0
"""For all of them together, since they are asked at once."""

_NO_SUCH_PATH = (404, 405, 501)

PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


class Reached(NamedTuple):
    """What became of the question to one provider or engine."""

    slug: str
    works: Works
    words: str
    is_connected: bool = True


async def reach(settings: Settings, catalog: Catalog) -> AsyncIterator[Reached]:
    """Ask every provider that is on; each comes as soon as it has answered, or when the time is over."""
    standings = [standing for standing in catalog.standings.values() if standing.is_on]
    async with asking(settings, catalog) as upstream:
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        questions = [_reach_one(upstream, standing, deadline) for standing in standings]
        for found in asyncio.as_completed(questions):
            yield await found


async def reach_engines(settings: Settings, engines: Sequence[Engine]) -> AsyncIterator[Reached]:
    """Ask every search engine that is on; each comes as soon as it has answered, or when the time is over."""
    heard: dict[str, str] = {}
    asked = SearchEngines(
        engines,
        connect_s=settings.routing.timeouts.connect,
        aside=Aside(),
        names=Names(),
        clock=asyncio.get_running_loop().time,
        report=lambda engine, problem, detail, took_s: heard.update({engine: detail or problem}),
        alarm=lambda engine, problem, to_do: heard.update({engine: f"{problem}; {to_do}"}),
    )
    async with asked:
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        questions = [_reach_engine(asked, engine, heard, deadline) for engine in engines if engine.is_on]
        for found in asyncio.as_completed(questions):
            yield await found


async def _reach_engine(engines: SearchEngines, engine: Engine, heard: dict[str, str], deadline: float) -> Reached:
    if engine.kind != "searxng":
        fault = await engines.reach(engine.name, deadline)
        if fault is not None:
            return Reached(engine.name, "no", told(fault), is_connected=fault.detail is None)
        return Reached(engine.name, "unclear", "is there; its key was not tried, since a search costs")
    found = await engines.search(engine.name, Query("trunkline", max_results=5, characters=100), deadline)
    if found.problem:
        return Reached(engine.name, "no", heard[engine.name])
    return Reached(engine.name, "yes", f"ok, {len(found.results)} results")


def proxy_note(environ: Mapping[str, str]) -> str | None:
    """Say that a proxy which the machine has is not used; None where it has none."""
    named = next((name for name in PROXY_VARIABLES if environ.get(name)), None)
    return named and f"{named} is set and not used: the gateway goes through no proxy and must reach providers itself"


async def _reach_one(upstream: Upstream, standing: Standing, deadline: float) -> Reached:
    slug, has_key = standing.provider.slug, standing.provider.credential.scheme != "none"
    try:
        listed = await list_models(upstream, standing.provider, deadline)
    except UpstreamFailure as failure:
        fault = failure.fault
        if fault.status in _NO_SUCH_PATH:
            return Reached(
                slug, "unclear", f"is there, but has no list of models ({fault.status}){_open(slug, has_key)}"
            )
        if fault.kind == "denied":
            return Reached(slug, "unclear", f"{told(fault)}; its key may not list models{_trial(slug)}")
        return Reached(slug, "no", told(fault), is_connected=fault.detail is None)
    if has_key and not listed.tried_key:
        return Reached(slug, "unclear", f"is there{_count(listed)}{_open(slug, has_key)}")
    return Reached(slug, "yes", f"ok{_count(listed)}")


def _count(listed: Listed) -> str:
    if listed.models is None:
        return ""
    least = "" if listed.is_whole else "at least "
    return f", {least}{listed.models} {'model' if listed.models == 1 else 'models'}"


def _open(slug: str, has_key: bool) -> str:
    return f"; its key was not tried{_trial(slug)}" if has_key else _trial(slug)


def _trial(slug: str) -> str:
    return f" (`trunkline providers probe {slug}` asks a model)"
