"""What providers are asked with, put together: for the gateway, and for commands that ask by themselves."""

from __future__ import annotations

import hmac
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from trunkline.catalog.entries import Catalog
from trunkline.credentials.schemes import credentials
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Health
from trunkline.settings.sections import Settings
from trunkline.upstream.aside import Aside
from trunkline.upstream.asking import Upstream
from trunkline.upstream.http import HttpClient
from trunkline.upstream.lines import Lines
from trunkline.upstream.links.fetch import Fetcher, Limits
from trunkline.upstream.links.late import LateLinkClient
from trunkline.upstream.names import Names
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.stage import Stage
from trunkline.upstream.tokens import Report, Tokens, hidden_texts, sources


@asynccontextmanager
async def asking(settings: Settings, catalog: Catalog) -> AsyncIterator[Upstream]:
    """What is needed to ask providers and nothing else: no store, no key, no listener."""
    pepper, untold = secrets.token_bytes(32), lambda provider, problem: None  # who asks hears of it in the answer
    upstream, connections = build_upstream(settings, catalog, Health(), Affinity(), pepper, untold)
    async with connections:
        yield upstream


def build_upstream(
    settings: Settings,
    catalog: Catalog,
    health: Health,
    affinity: Affinity,
    pepper: bytes,
    report: Report,
    sharers: Callable[[], int] = lambda: 1,
) -> tuple[Upstream, AbstractAsyncContextManager[None]]:
    """Build what providers are asked with; also the span in which its connections are open.

    `sharers` tells how many processes share what providers take.
    """
    timeouts = settings.routing.timeouts
    limits = Timeouts(timeouts.connect, timeouts.first_byte, timeouts.idle, timeouts.thinking)
    names = Names()
    http, links = HttpClient(limits, names), LateLinkClient(timeouts.connect)
    tokens = Tokens(
        credentials(catalog),
        sources(catalog, os.environ, http),
        clock=time.monotonic,
        report=report,
        hidden=hidden_texts(catalog, os.environ),
        specs={slug: standing.provider.credential for slug, standing in catalog.standings.items()},
    )
    routing = settings.routing
    lines = Lines(routing.queue_wait, routing.queue_length, time.monotonic, sharers)
    lines.add_limits(catalog)
    upstream = Upstream(
        transports={"http": http, "https": http, "fake": Stage(limits)},
        tokens=tokens,
        fetcher=Fetcher(links, Limits(max_bytes=settings.server.max_body), names.link),
        health=health,
        affinity=affinity,
        aside=Aside(),
        end_user_secret=hmac.digest(pepper, b"end user", "sha256"),
        clock=time.monotonic,
        wall_clock=time.time,
        is_hedging=settings.routing.hedge,
        lines=lines,
    )
    return upstream, _opened(http, links, tokens)


@asynccontextmanager
async def _opened(http: HttpClient, links: LateLinkClient, tokens: Tokens) -> AsyncIterator[None]:
    http.open()
    tokens.open()
    try:
        yield
    finally:
        await tokens.close()
        await links.close()
        await http.close()
