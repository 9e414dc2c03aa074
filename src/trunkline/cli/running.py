"""The gateway run, once its settings are read and its catalogue is made, to its end."""

from __future__ import annotations

import time
from collections.abc import Sequence

from trunkline.accounts.keys import Keys, NewKey
from trunkline.accounts.opening import verify_bootstrap_key
from trunkline.app import create
from trunkline.catalog.entries import Catalog
from trunkline.cli.greeting import greet, hand_over
from trunkline.cli.keys import state_of, with_keys
from trunkline.server import listener
from trunkline.server.binding import bind
from trunkline.settings.sections import Settings
from trunkline.stopping import Stopping
from trunkline.telemetry import logs
from trunkline.telemetry.outlet import outlets


def run(settings: Settings, catalog: Catalog) -> None:
    """Listen, and serve until a signal ends it."""
    with outlets(logs.dropped), bind(settings.server.listen) as listening:
        new_key, good = with_keys(settings, lambda keys: _bootstrap(keys, settings), makes=True)
        if new_key is not None:
            hand_over(settings, new_key)
        stopping = Stopping(settings.server.drain, time.monotonic)
        application = create(settings, catalog, stopping)
        address = "http://{}:{}".format(*_reachable(listening.getsockname()))
        listener.serve(
            application,
            listening,
            settings.server,
            stopping,
            on_ready=lambda: greet(settings, catalog, address, new_key, good),
        )


async def _bootstrap(keys: Keys, settings: Settings) -> tuple[NewKey | None, int]:
    """Make the first key if there is none; also count the keys that are good now."""
    given = verify_bootstrap_key(settings)
    made = await keys.bootstrap(given)
    good = sum(state_of(row) == "good" for row in await keys.all())
    return (made if given is None else None), good  # a key the operator brought need not be shown


def _reachable(address: Sequence[object]) -> tuple[str, object]:
    """Name a socket's address as a client on this machine reaches it."""
    host = str(address[0])
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return (f"[{host}]" if ":" in host else host), address[1]
