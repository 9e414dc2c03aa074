"""Buckets and places on the board, where all nodes count together: what `counters.py` does, in one step of the server.

Theory of operation. A bucket is a key whose value is the moment at which it is full again, in microseconds on the clock
of the server, so that no node's clock matters; it expires at that moment, and a full bucket is no key. A place is a
sorted set of those who hold it, each until a moment: every node says of its own every `RENEW_S` that they are still
there, in one call, and what a node held that is gone is free again after `HELD_S`. What one request asks is decided by
one script, all of it or nothing. A caller that left before it heard what it got gives that back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from trunkline.store.board import Board, BoardAway, Script, Value
from trunkline.store.counters import Demand, Denied, Granted, Place, Return

HELD_S: Final = 30
RENEW_S: Final = 10.0
MAX_IN_ONE_CALL: Final = 1_000

NEVER_US: Final = 2**53
"""A moment that no clock of a server reaches: what is given back to it is given back whole."""

CLOCK: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""

_KEEP: Final = """
local function keep(key, moment)
    redis.call('SET', key, string.format('%.0f', moment), 'PX', math.ceil((moment - now) / 1000) + more_ms)
end
local function hold(key, holder)
    redis.call('ZADD', key, now + held_ms * 1000, holder)
end
"""

# Keys: buckets, then places. Values: how many buckets, the holder, cost and room of each bucket, places of each place.
_TAKE: Final = """
local count = tonumber(ARGV[1])
for i = count + 1, #KEYS do
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    if redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[2 + count + i]) then
        return 'full ' .. i - count - 1
    end
end
local moments, taken, granted = {}, {}, true
local kept = count > 0 and redis.call('MGET', unpack(KEYS, 1, count))
for i = 1, count do
    local moment, cost = tonumber(kept[i] or now), tonumber(ARGV[1 + 2 * i])
    if moment < now then moment = now end
    taken[i] = string.format('%.0f', moment - now)
    moments[i] = moment + cost
    granted = granted and moments[i] - now <= tonumber(ARGV[2 + 2 * i])
end
if not granted then
    return 'no ' .. table.concat(taken, ' ')
end
for i = 1, count do
    if moments[i] > now then keep(KEYS[i], moments[i]) end
    moments[i] = string.format('%.0f', moments[i])
end
for i = count + 1, #KEYS do
    hold(KEYS[i], ARGV[2])
    redis.call('PEXPIRE', KEYS[i], held_ms + more_ms)
end
return 'yes ' .. table.concat(moments, ' ')
"""

# Keys: buckets, then places. Values: how many buckets, the holder, cost of each bucket and what its taking was told.
_GIVE_BACK: Final = """
local count = tonumber(ARGV[1])
for i = 1, count do
    local moment, cost = tonumber(redis.call('GET', KEYS[i]) or now), tonumber(ARGV[1 + 2 * i])
    if cost < 0 then
        cost = math.max(cost, math.min(now - tonumber(ARGV[2 + 2 * i]), 0))
    end
    moment = math.max(moment, now) + cost
    if moment > now then keep(KEYS[i], moment) else redis.call('DEL', KEYS[i]) end
end
for i = count + 1, #KEYS do
    redis.call('ZREM', KEYS[i], ARGV[2])
end
return 1
"""

# Keys: places. Values: for each how many hold it, and these.
_RENEW: Final = """
local at = 1
for i = 1, #KEYS do
    local last = at + tonumber(ARGV[at])
    for j = at + 1, last do hold(KEYS[i], ARGV[j]) end
    redis.call('PEXPIRE', KEYS[i], held_ms + more_ms)
    at = last + 1
end
return 1
"""


class Scripts(NamedTuple):
    """What the server does for a request that begins, for one that ends, and for all that are under way."""

    take: Script
    give_back: Script
    renew: Script


def write_scripts(clock: str = CLOCK, held_s: float = HELD_S, more_ms: int = 0) -> Scripts:
    """Write the scripts; `clock` tells `now`, and keys live longer than they need to by so much."""
    start = f"{clock}local held_ms, more_ms = {round(held_s * 1000)}, {more_ms}{_KEEP}"
    return Scripts(Script(start + _TAKE), Script(start + _GIVE_BACK), Script(start + _RENEW))


SCRIPTS: Final = write_scripts()

Holders = Mapping[str, Collection[str]]
"""Who holds a place, by the name of the place."""


class BoardBuckets:
    """The buckets and places on a board. `holders` tells who holds which place of this node."""

    def __init__(self, board: Board, holders: Callable[[], Holders], scripts: Scripts = SCRIPTS) -> None:
        self._board = board
        self._holders = holders
        self._scripts = scripts

    @property
    def is_here(self) -> bool:
        """Whether the board is asked at the moment."""
        return self._board.is_here

    async def take(self, demands: Sequence[Demand], places: Sequence[Place], holder: str) -> Granted | Denied:
        """Take all that is asked or nothing. Raises BoardAway."""
        values: list[Value] = [len(demands), holder]
        for demand in demands:
            values += demand[1:]
        values += [place.most for place in places]

        def give_back_unheard(reply: Any) -> None:
            answer = _read(reply, demands, places)
            if isinstance(answer, Granted):
                moments = zip(demands, answer.full_at_us, strict=True)
                returns = [Return(demand.bucket, -demand.cost_us, moment) for demand, moment in moments]
                self.give_back(returns, places, holder)

        keys = _keys(demands, places)
        answer = _read(await self._board.run(self._scripts.take, keys, values, give_back_unheard), demands, places)
        if answer is None:
            raise BoardAway("The board says what no script of ours returns.")
        return answer

    def give_back(self, returns: Sequence[Return], places: Sequence[Place], holder: str) -> None:
        """Correct what was taken, and free the places, now or when the board is back."""
        if not returns and not places:
            return
        values: list[Value] = [len(returns), holder]
        for each in returns:
            values += each[1:]
        self._board.send(self._scripts.give_back, _keys(returns, places), values)

    def renew(self) -> None:
        """Say that all that this node holds is still held."""
        for part in _parts(self._holders()):
            values: list[Value] = []
            for _, holders in part:
                values += [len(holders), *holders]
            self._board.send(self._scripts.renew, [_place_key(name) for name, _ in part], values)

    async def keep(self) -> None:
        """Renew what is held for as long as the node runs, and at once when the board is back."""
        self._board.when_here(self.renew)
        while True:
            await asyncio.sleep(RENEW_S)
            if self.is_here:
                self.renew()


def _keys(buckets: Sequence[Demand | Return], places: Sequence[Place]) -> list[str]:
    keys = ["trunkline:bucket:" + each[0] for each in buckets]
    if places:
        keys += [_place_key(place.name) for place in places]
    return keys


def _place_key(name: str) -> str:
    return "trunkline:place:" + name


def _read(reply: Any, demands: Sequence[Demand], places: Sequence[Place]) -> Granted | Denied | None:
    """Read what a server says; None for what is no answer to what was asked."""
    if not isinstance(reply, bytes):
        return None
    said, *numbers = reply.split() or [b""]
    if not all(map(bytes.isdigit, numbers)):
        return None
    found = [*map(int, numbers)]
    if said == b"full" and len(found) == 1 and found[0] < len(places):
        return Denied((), places[found[0]].name)
    if len(found) != len(demands) or said not in (b"yes", b"no"):
        return None
    return Granted(found) if said == b"yes" else Denied(found)


def _parts(held: Holders) -> Iterator[list[tuple[str, Sequence[str]]]]:
    """What is held, in parts that the server is not kept busy with for long."""
    part: list[tuple[str, Sequence[str]]] = []
    size = 0
    for name, holders in held.items():
        all_of_them = [*holders]
        for start in range(0, len(all_of_them), MAX_IN_ONE_CALL):
            some = all_of_them[start : start + MAX_IN_ONE_CALL]
            part.append((name, some))
            size += len(some) + 2
            if size >= MAX_IN_ONE_CALL:
                yield part
                part, size = [], 0
    if part:
        yield part
