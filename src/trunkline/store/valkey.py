"""Connections to a Valkey or Redis server: the one door of redis-py, loaded where the settings name a board.

Of redis-py only a connection is used. Its pool and its client try again by themselves, and a call that is cancelled
there may leave its reply to the next one. Whatever it raises ends a connection: for one that closed the loop has errors
of its own, and what a server says that is no reply may be a ValueError as well as a RecursionError.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any, Final, cast

from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import ResponseError

from trunkline.settings.reading import SettingsError
from trunkline.store.alarms import Alarm
from trunkline.store.board import Board, Broken, Command, Deaf, Link, Refusal

_OPTIONS: Final = frozenset({"host", "port", "db", "username", "password", "connection_class"})


class Dialer:
    """Makes connections to the server that a URL names. Raises SettingsError for one that names none."""

    def __init__(self, url: str) -> None:
        try:
            options = cast("dict[str, Any]", parse_url(re.sub("^valkey", "redis", url)))
        except ValueError:
            raise SettingsError(["store.counters: write it as redis://:password@host:6379/0"]) from None
        if unknown := options.keys() - _OPTIONS:
            raise SettingsError([f"store.counters: leave {min(unknown)} out of the address"])
        self._class = options.pop("connection_class", Connection)
        self._options = options

    async def __call__(self) -> Link:
        """Make a connection. Raises Broken."""
        wire = self._class(
            **self._options, protocol=2, driver_info=None, socket_timeout=None, socket_connect_timeout=None
        )
        try:
            await wire.connect()
        except Exception as error:
            raise Broken(_reason(error)) from None
        return _Link(wire)


def make_board(url: str, node: str, alarm: Alarm) -> Board:
    """Make the board that a URL names. Raises SettingsError."""
    return Board(node, Dialer(url), alarm)


class _Link:
    def __init__(self, wire: Any) -> None:
        self._wire = wire

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go and read the reply to each; an error is a Refusal."""
        wire, replies = self._wire, []
        try:
            await wire.send_packed_command(b"".join(map(_packed, commands)), check_health=False)
            for _ in commands:
                try:
                    replies.append(await wire.read_response(timeout=math.inf))
                except ResponseError as error:
                    replies.append(Refusal(_reason(error)))
        except Exception as error:
            raise Broken(_reason(error)) from None
        return replies

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Have messages of these channels come. Raises Deaf too."""
        # The first word of what it says is enough; those about the other channels are passed over like others.
        wire = self._wire
        try:
            await wire.send_command("SUBSCRIBE", *channels, check_health=False)
            await wire.read_response(timeout=math.inf)
        except ResponseError as error:
            raise Deaf(_reason(error)) from None
        except Exception as error:
            raise Broken(_reason(error)) from None

    async def next_message(self) -> tuple[str, bytes]:
        """The next message, and the channel that it came on."""
        while True:
            try:
                reply = await self._wire.read_response(timeout=math.inf)
            except Exception as error:
                raise Broken(_reason(error)) from None
            if reply[0] == b"message":
                return reply[1].decode(), reply[2]

    async def close(self) -> None:
        """Close the connection without saying so."""
        await self._wire.disconnect(nowait=True)


def _packed(command: Command) -> bytes:
    """A command as it is on the wire; redis-py takes four times as long for it, which was half of what a limit cost."""
    if bytes not in map(type, command):
        text = f"*{len(command)}\r\n" + "".join([f"${len(each)}\r\n{each}\r\n" for each in map(str, command)])
        if text.isascii():
            return text.encode()
    packed = [b"*%d\r\n" % len(command)]
    for value in command:
        data = value if isinstance(value, bytes) else str(value).encode()
        packed.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(packed)


def _reason(error: BaseException) -> str:
    """Say what is wrong by its code: what a server says besides may repeat what it was sent."""
    code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    if re.fullmatch("[A-Z]{3,}", code):
        return str(code)
    return "ERR" if isinstance(error, ResponseError) else _words(error)


def _words(error: BaseException) -> str:
    """Say what the system says, which redis-py puts behind an error of its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return "it closed the connection" if "closed" in str(error) else type(error).__name__
