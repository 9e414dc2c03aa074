"""The composition root: settings → services → ASGI application. The only place that builds services."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cache, partial
from importlib import import_module
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING

from trunkline.accounts.claims import Claims
from trunkline.accounts.keys import Keys
from trunkline.accounts.ledger import Ledger
from trunkline.accounts.opening import counters_url, open_keys, pepper_of
from trunkline.accounts.rates import Counters
from trunkline.accounts.records import Records
from trunkline.call import Services, SharedCounters
from trunkline.calling import build_upstream
from trunkline.catalog.entries import Catalog
from trunkline.catalog.renewal import count_changes
from trunkline.generation import Generation
from trunkline.inventory import load_engines, load_moderators, load_ocr_engines, load_quality, relist_catalog
from trunkline.renewing import Renewed, Renewing
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import HEDGED_SHARE, Health
from trunkline.routing.plan import Planner
from trunkline.server.body import Bounds
from trunkline.server.explain import past_explanation
from trunkline.server.intake import BodyMemory
from trunkline.server.routes import Application, Lifespan, application
from trunkline.settings.reading import SettingsError
from trunkline.settings.sections import ServerSettings, Settings
from trunkline.stopping import Stopping
from trunkline.store.counters import LocalBuckets
from trunkline.store.database import Database
from trunkline.store.opening import make_board, make_writer
from trunkline.store.rows import ListRow
from trunkline.store.templates import Templates
from trunkline.store.writer import Writer
from trunkline.telemetry import logs
from trunkline.telemetry.recent import Recent
from trunkline.upstream.aside import Aside
from trunkline.upstream.asking import Upstream
from trunkline.upstream.documents_late import LateDocuments
from trunkline.upstream.names import Names

if TYPE_CHECKING:
    from trunkline.accounts.shared_rates import BoardCounters
    from trunkline.catalog.ocr_engines import OcrEngine
    from trunkline.nodes.gossip import Gossip
    from trunkline.plugins.auto_router import AutoRouter
    from trunkline.store.board import Board
    from trunkline.upstream.engines.moderation import Moderators
    from trunkline.upstream.engines.search import SearchEngines
    from trunkline.upstream.reading import Documents

_TOKEN_DIGITS = 24
_MOMENT_DIGITS = 10  # until 2106


def create(settings: Settings, catalog: Catalog, stopping: Stopping) -> Application:
    """Build the gateway; whoever runs it says through `stopping` when it is to end.

    Raises SettingsError for settings that cannot be used.
    """
    logs.configure(settings.log.level, settings.log.format)
    database, keys = open_keys(settings)
    pepper = pepper_of(settings)
    writer = make_writer(settings, database, time.time, logs.store_alarm)
    board = _make_board(settings, writer)
    recent = Recent(settings.routing.explanations)
    relisted = asyncio.Event()
    gossip, health, affinity = _make_health(settings, board, catalog, keys, recent, relisted.set)
    upstream, connections = build_upstream(
        settings, catalog, health, affinity, pepper, logs.token_failed, lambda: writer.living
    )
    engines = _make_engines(settings, upstream.aside)
    services = Services(
        keys=keys,
        rates=_make_counters(board, lambda: writer.living),
        records=Records(writer, time.time),
        health=health,
        planner=_make_planner(catalog, health, affinity, engines),
        upstream=upstream,
        recent=recent,
        note=_noting(logs.request_observer(settings.log.level), recent.keep),
        ledger=Ledger(writer, time.time),
        claims=Claims(database, pepper),
        aside=upstream.aside,
        ids=_tokens(),
        wall_clock=time.time,
        loop_clock=time.monotonic,
        stopping=stopping,
        bounds=settings.billing,
        settings=settings,
        find_explanation=None if gossip is None else gossip.find_explanation,
        engines=engines,
        templates=Templates(database, time.monotonic),
        moderators=_make_moderators(settings, upstream.aside),
        documents=_make_documents(settings, upstream),
        router=_find_router(settings),
    )
    renewing = _renew(settings, services, database, gossip, relisted)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with writer, connections, _opened(board, engines, services.moderators, services.documents), renewing:
            logs.started(settings.server.listen, catalog)
            yield
        await keys.close()
        await database.close()
        logs.stopped()

    return _application(services, settings.server, lifespan)


def _application(services: Services, server: ServerSettings, lifespan: Lifespan) -> Application:
    """The HTTP face of the services."""
    return application(
        services,
        _bounds(server),
        lifespan,
        _tokens(),
        BodyMemory(server.body_memory),
        has_open_listings=server.open_listings,
        origins=server.origins,
    )


@asynccontextmanager
async def _opened(*parts: AbstractAsyncContextManager[object] | None) -> AsyncIterator[None]:
    """The span of those parts that there are."""
    async with AsyncExitStack() as span:
        for part in parts:
            if part is not None:
                await span.enter_async_context(part)
        yield


def _bounds(server: ServerSettings) -> Bounds:
    """What clients are held to."""
    return Bounds(
        max_body_bytes=server.max_body,
        body_s=server.body_timeout,
        whole_body_s=server.whole_body_timeout,
        deadline_s=server.deadline,
        grace_s=server.grace,
        keep_alive_s=server.keep_alive,
    )


def _make_board(settings: Settings, writer: Writer) -> Board | None:
    """Make the board that nodes share, if the settings name one."""
    url = counters_url(settings)
    return None if url is None else make_board(url, writer.boot_id, logs.store_alarm)


def _make_counters(board: Board | None, living: Callable[[], int]) -> Counters | SharedCounters:
    """Make what limits are counted by: nothing of the board is loaded where there is none."""
    if board is None:
        return Counters(LocalBuckets(_now_us), time.time, living)
    shared: BoardCounters = import_module("trunkline.accounts.shared_rates").count_on(board, _now_us, time.time, living)
    return shared


def _make_planner(
    catalog: Catalog, health: Health, affinity: Affinity, engines: SearchEngines | None
) -> Planner[Catalog]:
    """Make what plans requests, with dice of its own."""
    dice = random.Random(secrets.randbits(128)).random
    has_engine = engines is not None and bool(engines.names)
    return Planner(catalog, health, dice, time.monotonic, affinity, has_engine)


def _make_health(
    settings: Settings,
    board: Board | None,
    catalog: Catalog,
    keys: Keys,
    recent: Recent,
    relisted: Callable[[], None],
) -> tuple[Gossip | None, Health, Affinity]:
    """Make what is known of endpoints and conversations, by this node or by all."""
    if board is None:
        return None, Health(retry_budget=settings.routing.retry_budget, hedges=_hedges(settings)), Affinity()
    gossip = _make_gossip(board, catalog, settings, keys, recent, relisted)
    return gossip, gossip.health, gossip.affinity


def _make_gossip(
    board: Board, catalog: Catalog, settings: Settings, keys: Keys, recent: Recent, relisted: Callable[[], None]
) -> Gossip:
    """Make this node's part in what the nodes tell each other that share a board."""
    gossip: type[Gossip] = import_module("trunkline.nodes.gossip").Gossip
    return gossip(
        board,
        _ids(catalog),
        clock=time.monotonic,
        retry_budget=settings.routing.retry_budget,
        hedges=_hedges(settings),
        forget=keys.forget,
        relisted=relisted,
        explain=partial(past_explanation, recent),
        alarm=logs.store_alarm,
    )


def _ids(catalog: Catalog) -> frozenset[str]:
    """What endpoints are called of which nodes tell each other."""
    return frozenset(each.id for each in chain(*catalog.endpoints.values(), *catalog.keyless.values()))


def _hedges(settings: Settings) -> float:
    return HEDGED_SHARE if settings.routing.hedge else 0.0


def _renew(
    settings: Settings, services: Services, database: Database, gossip: Gossip | None, relisted: asyncio.Event
) -> Renewing:
    """Make what takes a newer list of models; whoever goes by the catalogue and keeps more of it is told here."""

    def make(before: Catalog, row: ListRow | None) -> Renewed:
        after = relist_catalog(before, settings, row)
        return Renewed(after, count_changes(before, after), frozenset() if gossip is None else _ids(after))

    def took(before: Catalog, renewed: Renewed) -> None:
        if (lines := services.upstream.lines) is not None:
            lines.add_limits(renewed.catalog)
        if gossip is not None:
            gossip.health.know(renewed.ids)
        logs.catalog_changed(before, renewed.catalog, renewed.counts)

    return Renewing(database, services.planner, services.aside, make, took, logs.catalog_refused, relisted)


def _make_engines(settings: Settings, aside: Aside) -> SearchEngines | None:
    """Make what search engines are asked with: nothing of it is loaded where the settings name none."""
    if settings.search or settings.plugins.defaults:
        import_module("trunkline.stepping")  # else the first request that has steps would keep the loop for it
    if not settings.search:
        return None
    engines = load_engines(settings)
    for engine in engines.values():
        if not engine.is_on:
            logs.engine_off(engine.name, engine.reason)
    make: type[SearchEngines] = import_module("trunkline.upstream.engines.search").SearchEngines
    return make(
        engines.values(),
        connect_s=settings.routing.timeouts.connect,
        aside=aside,
        names=Names(),
        clock=time.monotonic,
        report=logs.search_failed,
        alarm=logs.engine_alarm,
    )


def _make_moderators(settings: Settings, aside: Aside) -> Moderators | None:
    """Make what texts are judged with: nothing of it is loaded where the settings name nobody.

    Raises SettingsError for a pattern that cannot be used.
    """
    if not settings.moderation:
        return None
    for name in ("trunkline.moderation", "trunkline.stepping"):
        import_module(name)  # else the first request that is judged would keep the loop for it
    moderators = load_moderators(settings).values()
    try:
        matchers = import_module("trunkline.plugins.words").lists_of(moderators)
    except ValueError as error:
        raise SettingsError([str(error)]) from None
    for moderator in moderators:
        if not moderator.is_on:
            logs.engine_off(moderator.name, moderator.reason)
    make: type[Moderators] = import_module("trunkline.upstream.engines.moderation").Moderators
    return make(
        moderators,
        matchers,
        connect_s=settings.routing.timeouts.connect,
        aside=aside,
        names=Names(),
        clock=time.monotonic,
        report=logs.moderation_failed,
        alarm=logs.moderation_alarm,
    )


def _make_documents(settings: Settings, upstream: Upstream) -> LateDocuments:
    """Make what reads files, once it is needed."""
    about = settings.plugins.file_parser
    engine: OcrEngine | None = None
    for name, found in (load_ocr_engines(settings) if settings.ocr else {}).items():
        if not found.is_on:
            logs.engine_off(name, found.reason)
        elif about.ocr in (None, name):
            engine = found

    def make(module: ModuleType) -> Documents:
        return module.make_documents(  # type: ignore[no-any-return]  # it was loaded by name
            about, engine, upstream, settings.routing.timeouts.connect, logs.search_failed, logs.engine_alarm
        )

    return LateDocuments(make, "" if engine is None else engine.name)


def _find_router(settings: Settings) -> Callable[[], AutoRouter]:
    """Have the auto-router made once it is asked for; now where the settings name its models."""

    @cache
    def find() -> AutoRouter:
        make: type[AutoRouter] = import_module("trunkline.plugins.auto_router").AutoRouter
        return make(settings.plugins.auto_router, load_quality())

    if settings.plugins.auto_router.models:
        find()
    return find


def _now_us() -> int:
    """Tell the microseconds of a clock that no step of the time of day moves."""
    return time.monotonic_ns() // 1000


def _noting(*observers: Callable[[Generation], None]) -> Callable[[Generation], None]:
    """Tell each observer of every request that is over; a new one is one more argument here."""

    def note(generation: Generation) -> None:
        for observe in observers:
            observe(generation)

    return note


def _tokens() -> Iterator[str]:
    """Names without end, in hex digits: when each was drawn, to the 256th of a second, then at random."""
    return chain.from_iterable(iter(_draw_tokens, None))


def _draw_tokens() -> list[str]:
    """Draw many at a time, for each draw is a system call.

    They begin alike, so that records lie together by their names (docs/decisions/0086): an index is written all over
    by names at random.
    """
    moment = f"{time.time_ns() * 256 // 10**9:0{_MOMENT_DIGITS}x}"
    digits = _TOKEN_DIGITS - _MOMENT_DIGITS
    drawn = secrets.token_hex(digits // 2 * 64)
    return [moment + drawn[start : start + digits] for start in range(0, len(drawn), digits)]
