"""The composition root: settings → services → ASGI application. The only place that builds services."""

from __future__ import annotations

import hmac
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from trunkline.accounts.keys import Keys
from trunkline.accounts.pepper import read_pepper
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Catalog
from trunkline.catalog.load import load
from trunkline.credentials.schemes import SCHEMES, credentials
from trunkline.pipeline import Services
from trunkline.routing.health import Health
from trunkline.server.responses import Bounds
from trunkline.server.routes import ASGIApp, application
from trunkline.settings import Settings
from trunkline.store.database import Database, open_database, sqlite_path
from trunkline.telemetry import logs
from trunkline.upstream.attempts import Upstream
from trunkline.upstream.http import HttpClient, Timeouts
from trunkline.upstream.stage import Stage


def load_catalog(settings: Settings) -> Catalog:
    """Lay the operator's entries over the shipped ones, with the credentials of this machine.

    Raises SettingsError.
    """
    shipped = files("trunkline.catalog")
    return load(
        shipped.joinpath("providers.toml").read_text("utf-8"),
        shipped.joinpath("models.toml").read_text("utf-8"),
        settings,
        environ=os.environ,
        read_file=lambda path: Path(path).read_text("utf-8"),
        dialects=frozenset(ADAPTERS),
        schemes=frozenset(SCHEMES),
    )


def open_keys(settings: Settings) -> tuple[Database, Keys]:
    """Open the store and what is kept there of keys.

    Raises SettingsError.
    """
    pepper = _pepper(settings)
    database = open_database(settings.store.url, settings.store.timeout)
    return database, Keys(database, pepper, clock=time.monotonic, wall_clock=time.time)


def create(settings: Settings) -> ASGIApp:
    """Build the gateway.

    Raises SettingsError for settings that cannot be used.
    """
    logs.configure(settings.log.level, settings.log.format)
    catalog = load_catalog(settings)
    database, keys = open_keys(settings)
    health = Health(retry_budget=settings.routing.retry_budget)
    timeouts = settings.routing.timeouts
    limits = Timeouts(timeouts.connect, timeouts.first_byte, timeouts.idle)
    http = HttpClient(limits)
    upstream = Upstream(
        {"http": http, "https": http, "fake": Stage(limits)},
        credentials(catalog),
        health,
        end_user_secret=hmac.digest(_pepper(settings), b"end user", "sha256"),
        clock=time.monotonic,
    )
    services = Services(
        keys=keys,
        catalog=catalog,
        health=health,
        upstream=upstream,
        dice=random.SystemRandom().random,
        ids=_tokens(),
        wall_clock=time.time,
        loop_clock=time.monotonic,
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        http.open()
        logs.started(settings.server.listen, catalog)
        yield
        await http.close()
        await database.close()
        logs.stopped()

    server = settings.server
    bounds = Bounds(
        max_body_bytes=server.max_body,
        body_s=server.body_timeout,
        deadline_s=server.deadline,
        grace_s=server.grace,
        keep_alive_s=server.keep_alive,
    )
    return application(services, bounds, lifespan, _tokens())


def _pepper(settings: Settings) -> bytes:
    return read_pepper(settings.store.pepper, sqlite_path(settings.store.url), os.environ)


def _tokens() -> Iterator[str]:
    """Random names without end, 24 hex digits each."""
    while True:
        yield secrets.token_hex(12)
