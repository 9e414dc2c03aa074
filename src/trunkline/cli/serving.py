"""serve: the gateway, from its settings to its end."""

from __future__ import annotations

from typing import Annotated

import typer

from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.start import load
from trunkline.cli.tree import tree_of
from trunkline.inventory import load_catalog


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
    # Loaded only now, the server takes the room that making the catalogue left: 2 MB, which nothing else would fill.
    load("trunkline.cli.running").run(settings, catalog)


TREE = tree_of(serve)


def _listen(present: str, host: str | None, port: int | None) -> str:
    present_host, _, present_port = present.rpartition(":")
    host = present_host if host is None else f"[{host}]" if ":" in host else host
    return f"{host}:{present_port if port is None else port}"
