"""Runs what a user does with a client, on each wire, and prints what came of it.

`python PROGRAM URL KEY CLIENT,… WIRE…`
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """The gateway, a model of it, and the word by which the model knows who asks."""

    url: str
    key: str
    model: str
    nonce: str


Use = Callable[[Place], object]


def tell(clients: Mapping[str, Mapping[str, Use]]) -> None:
    """Print of the clients that are asked for, by wire and use, what each gave and how it failed."""
    url, key, names, *wires = sys.argv[1:]
    told = {
        client: {
            wire: {
                name: _outcome(use, Place(url, key, f"{wire}/coder", f"nonce-{client}-{wire}-{name}".replace("_", "-")))
                for name, use in uses.items()
            }
            for wire in wires
        }
        for client, uses in clients.items()
        if client in names.split(",")
    }
    print(json.dumps(told))


def _outcome(use: Use, place: Place) -> tuple[object, str]:
    try:
        return use(place), ""
    except Exception:
        return None, traceback.format_exc()
