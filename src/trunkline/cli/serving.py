"""serve: the gateway, from its settings to its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from trunkline.accounts.keys import Keys, NewKey
from trunkline.accounts.opening import verify_bootstrap_key
from trunkline.app import create
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.greeting import greet, hand_over
from trunkline.cli.keys import state_of, with_keys
from trunkline.cli.tree import tree_of
from trunkline.inventory import load_catalog
from trunkline.server import listener
from trunkline.server.binding import bind
from trunkline.settings.sections import Settings
from trunkline.stopping import Stopping
from trunkline.telemetry import logs
from trunkline.telemetry.outlet import outlets


def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 takes calls from elsewhere.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Start the gateway.

    It needs no settings file: a provider is on when its key is in the environment, as in
    OPENAI_API_KEY=… trunkline serve. The first start makes an API key and shows it once; where standard
    output is no terminal, it writes it to a file beside the database.
    """
    settings, _ = read_settings(config)
    if host is not None or port is not None:
        settings, _ = read_settings(config, {"server": {"listen": _listen(settings.server.listen, host, port)}})
    catalog = load_catalog(settings)
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


TREE = tree_of(serve)


async def _bootstrap(keys: Keys, settings: Settings) -> tuple[NewKey | None, int]:
    """Make the first key if there is none; also count the keys that are good now."""
    given = verify_bootstrap_key(settings)
    made = await keys.bootstrap(given)
    good = sum(state_of(row) == "good" for row in await keys.all())
    return (made if given is None else None), good  # a key the operator brought need not be shown


def _listen(present: str, host: str | None, port: int | None) -> str:
    present_host, _, present_port = present.rpartition(":")
    host = present_host if host is None else f"[{host}]" if ":" in host else host
    return f"{host}:{present_port if port is None else port}"


def _reachable(address: Sequence[object]) -> tuple[str, object]:
    """Name a socket's address as a client on this machine reaches it."""
    host = str(address[0])
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return (f"[{host}]" if ":" in host else host), address[1]
