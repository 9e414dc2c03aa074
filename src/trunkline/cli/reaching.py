"""`trunkline check --probe`: whether each provider that is on can be reached and takes its key, at no cost.

One question each, all at once, which `upstream/listing.py` asks; what is found is told in a line as soon as it is
known. Whether a model answers is `providers probe`'s to try out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from trunkline.calling import asking
from trunkline.catalog.entries import Catalog, Standing
from trunkline.cli.probing import Works, told
from trunkline.settings.sections import Settings
from trunkline.upstream.asking import Upstream
from trunkline.upstream.listing import Listed, list_models
from trunkline.upstream.transport import UpstreamFailure

DEADLINE_S = 15.0
"""For all of them together, since they are asked at once."""

_NO_SUCH_PATH = (404, 405, 501)

PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


class Reached(NamedTuple):
    """What became of one provider's question."""

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
