"""The composition root: settings → services → ASGI application. The only place that builds services."""

from __future__ import annotations

import hmac
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from pathlib import Path

from trunkline.accounts.opening import open_keys, pepper_of
from trunkline.adapters.table import ADAPTERS
from trunkline.call import Services
from trunkline.catalog.entries import Catalog
from trunkline.catalog.gather import Known, gather, read_models
from trunkline.catalog.load import catalog_of
from trunkline.catalog.renewal import age_of
from trunkline.catalog.rows import ModelsFile
from trunkline.catalog.standings import Surroundings
from trunkline.credentials.schemes import SCHEMES, credentials
from trunkline.generation import Generation
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Health
from trunkline.routing.plan import Planner
from trunkline.server.body import Bounds
from trunkline.server.intake import BodyMemory
from trunkline.server.routes import ASGIApp, application
from trunkline.settings.sections import Settings
from trunkline.stopping import Stopping
from trunkline.telemetry import logs
from trunkline.telemetry.recent import Recent
from trunkline.upstream.aside import Aside
from trunkline.upstream.attempts import Upstream
from trunkline.upstream.http import HttpClient
from trunkline.upstream.links.client import LinkClient
from trunkline.upstream.links.fetch import Fetcher, Limits
from trunkline.upstream.names import Names
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.stage import Stage
from trunkline.upstream.tokens import Report, Tokens, hidden_texts, sources

_TOKEN_DIGITS = 24


def load_catalog(settings: Settings) -> Catalog:
    """Lay the operator's entries over the shipped ones, with the credentials of this machine.

    Raises SettingsError.
    """
    return catalog_of(gather_known(settings))


def gather_known(settings: Settings) -> Known:
    """Gather everything that is known of providers and models, on or off.

    Raises SettingsError.
    """
    shipped = files("trunkline.catalog")
    listed, notes = models_in_force(settings)
    return gather(
        shipped.joinpath("providers.toml").read_text("utf-8"),
        shipped.joinpath("models.toml").read_text("utf-8"),
        settings,
        Surroundings(
            environ=os.environ,
            read_file=lambda path: Path(path).read_text("utf-8"),
            dialects=frozenset(ADAPTERS),
            schemes=frozenset(SCHEMES),
        ),
        listed,
        notes,
        shipped.joinpath("names.toml").read_text("utf-8"),
    )


def shipped_models() -> ModelsFile:
    """Read the list of models that came with this version."""
    return read_models(files("trunkline.catalog").joinpath("models.json").read_bytes())


def models_in_force(settings: Settings) -> tuple[ModelsFile, tuple[str, ...]]:
    """Choose the list that was fetched last, unless it cannot be read or the shipped one is newer; say so then."""
    shipped, path = shipped_models(), Path(settings.catalog.file)
    try:
        fetched = read_models(path.read_bytes())
    except FileNotFoundError:
        return shipped, ()
    except (OSError, ValueError) as error:
        return shipped, (f"{path} is not used: {error}; `trunkline catalog update` fetches another",)
    if age_of(fetched) < age_of(shipped):
        return shipped, (f"{path} is not used: the list that came with this version is newer",)
    return fetched, ()


def create(settings: Settings, catalog: Catalog, stopping: Stopping) -> ASGIApp:
    """Build the gateway; whoever runs it says through `stopping` when it is to end.

    Raises SettingsError for settings that cannot be used.
    """
    logs.configure(settings.log.level, settings.log.format)
    database, keys = open_keys(settings)
    health = Health(retry_budget=settings.routing.retry_budget)
    affinity = Affinity()
    upstream, connections = _upstream(settings, catalog, health, affinity, pepper_of(settings), logs.token_failed)
    recent = Recent(settings.routing.explanations)
    services = Services(
        keys=keys,
        catalog=catalog,
        health=health,
        planner=Planner(catalog, health, random.SystemRandom().random, time.monotonic, affinity),
        upstream=upstream,
        recent=recent,
        note=_noting(logs.request_observer(settings.log.level), recent.keep),
        aside=upstream.aside,
        ids=_tokens(),
        wall_clock=time.time,
        loop_clock=time.monotonic,
        stopping=stopping,
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with connections:
            logs.started(settings.server.listen, catalog)
            yield
        await database.close()
        logs.stopped()

    server = settings.server
    bounds = Bounds(
        max_body_bytes=server.max_body,
        body_s=server.body_timeout,
        whole_body_s=server.whole_body_timeout,
        deadline_s=server.deadline,
        grace_s=server.grace,
        keep_alive_s=server.keep_alive,
    )
    memory = BodyMemory(server.body_memory)
    return application(
        services, bounds, lifespan, _tokens(), memory, has_open_listings=server.open_listings, origins=server.origins
    )


@asynccontextmanager
async def asking(settings: Settings, catalog: Catalog) -> AsyncIterator[Upstream]:
    """What is needed to ask providers and nothing else: no store, no key, no listener."""
    pepper, untold = secrets.token_bytes(32), lambda provider, problem: None  # who asks hears of it in the answer
    upstream, connections = _upstream(settings, catalog, Health(), Affinity(), pepper, untold)
    async with connections:
        yield upstream


def _upstream(
    settings: Settings, catalog: Catalog, health: Health, affinity: Affinity, pepper: bytes, report: Report
) -> tuple[Upstream, AbstractAsyncContextManager[None]]:
    """What providers are asked with, and the span in which its connections are open."""
    timeouts = settings.routing.timeouts
    limits = Timeouts(timeouts.connect, timeouts.first_byte, timeouts.idle, timeouts.thinking)
    names = Names()
    http, links = HttpClient(limits, names), LinkClient(timeouts.connect)
    tokens = Tokens(
        credentials(catalog),
        sources(catalog, os.environ, http),
        clock=time.monotonic,
        report=report,
        hidden=hidden_texts(catalog, os.environ),
    )
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
    )
    return upstream, _opened(http, links, tokens)


@asynccontextmanager
async def _opened(http: HttpClient, links: LinkClient, tokens: Tokens) -> AsyncIterator[None]:
    http.open()
    links.open()
    tokens.open()
    try:
        yield
    finally:
        await tokens.close()
        await links.close()
        await http.close()


def _noting(*observers: Callable[[Generation], None]) -> Callable[[Generation], None]:
    """Tell each observer of every request that is over; a new one is one more argument here."""

    def note(generation: Generation) -> None:
        for observe in observers:
            observe(generation)

    return note


def _tokens() -> Iterator[str]:
    """Random names without end, in hex digits; drawn many at a time, for each draw is a system call."""
    while True:
        drawn = secrets.token_hex(_TOKEN_DIGITS // 2 * 64)
        for start in range(0, len(drawn), _TOKEN_DIGITS):
            yield drawn[start : start + _TOKEN_DIGITS]
