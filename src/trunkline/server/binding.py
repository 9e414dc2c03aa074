"""The socket to listen on. Who connects, and what is said then, is `listener.py`'s."""

from __future__ import annotations

import socket
import sys

from trunkline.settings.reading import SettingsError

UNSENT_BYTES = 32 * 1024
"""How much of an answer the kernel takes in advance of what the client can be sent. Its own bound is megabytes, and
would hide for minutes whether a slow client reads."""

_TCP_NOTSENT_LOWAT = 25  # on Linux; the socket module names it from Python 3.12 on


def bind(listen: str) -> socket.socket:
    """Bind the address that `server.listen` names; port 0 takes any that is free.

    Raises SettingsError.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            listening.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)  # accepted ones inherit it
        listening.bind((host, int(port)))
        listening.setblocking(False)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        problem = f"cannot listen on {listen}: {reason.lower()}; choose another with --host and --port"
        raise SettingsError([problem]) from None
    return listening
