"""Host names → addresses, by the machine's own resolver, for providers and for clients' links alike.

Which addresses may be asked is `links/fetch.py`'s to say, how they are connected to `dialing.py`'s.

Theory of operation. The C library's look-up blocks, for many seconds where nobody answers, and cannot be called off.
The event loop's own threads for it are few: two names that nobody answers for would hold up every other look-up. So
each look-up has a thread of its own, which nobody waits for at the end of the process. Those who ask for one name at
once share one look-up, and what it found serves for a minute. Providers' names and those in clients' links have
separate bounds: the first are few and come from the operator, the second from anybody, so they are shared out between
accounts and requests (`shares.py`). A look-up holds its place until its thread ends, also when nobody waits any more.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TypeAlias

from trunkline.upstream.shares import Claim, Places

MAX_PROVIDER_LOOKUPS = 256
MAX_LINK_LOOKUPS = 512
"""How many threads may hang at once; each costs some tens of kilobytes, and only while it hangs."""

KEPT_S = 60.0
MAX_KEPT = 4096

LookUp: TypeAlias = Callable[[str], Sequence[str]]
"""Host name → numeric addresses; blocks; raises OSError."""

_Key: TypeAlias = tuple[str, Hashable]


def ask_machine(host: str) -> Sequence[str]:
    """Ask the C library. Raises OSError."""
    # Addresses of a kind that this machine has no way to are of no use (the flag).
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except ValueError as error:
        raise OSError("the host is no name") from error
    return list(dict.fromkeys(_address(place[4]) for place in found))


def _address(place: Sequence[object]) -> str:
    """A link-local address is of no use without the number of its link."""
    address, scope = str(place[0]), place[3] if len(place) == 4 else 0
    return f"{address}%{scope}" if scope and "%" not in address else address


@dataclass(eq=False, slots=True)
class _Asked:
    """A look-up under way: whose places it takes, whether it has one, how many wait for it."""

    host: str
    claim: Claim
    places: Places
    has_place: bool = False
    waiting: int = 0


class Names:
    """What is known of host names, and being looked up."""

    def __init__(self, look_up: LookUp = ask_machine, clock: Callable[[], float] = monotonic) -> None:
        self._look_up = look_up
        self._clock = clock
        self._kept: dict[str, tuple[float, Sequence[str]]] = {}
        self._asked: dict[_Key, tuple[_Asked, asyncio.Task[Sequence[str]]]] = {}
        self._provider_places = Places(MAX_PROVIDER_LOOKUPS)
        self._link_places = Places(MAX_LINK_LOOKUPS)

    async def provider(self, host: str) -> Sequence[str]:
        """Give the numeric addresses of a provider's host. Raises OSError."""
        return await self._found((host, None), Claim(host, host), self._provider_places)

    def forget(self, host: str) -> None:
        """Nobody took a connection where a host was found: look it up anew."""
        self._kept.pop(host, None)

    async def link(self, host: str, claim: Claim) -> Sequence[str]:
        """Give the numeric addresses of a host that a link names. Raises OSError."""
        return await self._found((host, claim.account), claim, self._link_places)

    async def _found(self, key: _Key, claim: Claim, places: Places) -> Sequence[str]:
        until, addresses = self._kept.get(key[0], (0.0, ()))
        if self._clock() < until:
            return addresses
        if key not in self._asked:
            self._begin(key, _Asked(key[0], claim, places))
        asked, task = self._asked[key]
        asked.waiting += 1
        try:
            return await asyncio.shield(task)
        finally:
            asked.waiting -= 1
            if not asked.waiting and not asked.has_place:
                self._leave(key, asked)
                task.cancel()

    def _begin(self, key: _Key, asked: _Asked) -> None:
        def end(task: asyncio.Task[Sequence[str]]) -> None:
            self._leave(key, asked)
            if not task.cancelled():
                task.exception()  # told to whoever waits; perhaps nobody does any more

        task = asyncio.create_task(self._ask(asked))
        task.add_done_callback(end)
        self._asked[key] = asked, task

    def _leave(self, key: _Key, asked: _Asked) -> None:
        if key in self._asked and self._asked[key][0] is asked:
            del self._asked[key]

    async def _ask(self, asked: _Asked) -> Sequence[str]:
        async with asked.places.taken(asked.claim):
            asked.has_place = True
            addresses = await self._in_thread(asked.host)
        self._keep(asked.host, addresses)
        return addresses

    def _keep(self, host: str, addresses: Sequence[str]) -> None:
        self._kept.pop(host, None)
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[host] = self._clock() + KEPT_S, addresses

    async def _in_thread(self, host: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def ask() -> None:
            told: Callable[[], None]
            try:
                told = partial(_tell, answer, self._look_up(host))
            except OSError as error:
                told = partial(_fail, answer, error)
            with suppress(RuntimeError):  # the loop is closed: the process ends
                loop.call_soon_threadsafe(told)

        try:
            threading.Thread(target=ask, name=f"look-up of {host}", daemon=True).start()
        except RuntimeError as error:
            raise OSError("the machine gives no more threads") from error
        return await answer


def _tell(answer: asyncio.Future[Sequence[str]], addresses: Sequence[str]) -> None:
    if not answer.done():
        answer.set_result(addresses)


def _fail(answer: asyncio.Future[Sequence[str]], error: OSError) -> None:
    if not answer.done():
        answer.set_exception(error)
