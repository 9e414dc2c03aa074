"""What writers come to that share one PostgreSQL, all of them on one account: `python -m bench.sharing URL`.

The database is an empty one, and is left full. Each process is the writer of a node, without a gateway around it, in
the closed loop of `bench.holding`.
"""

import argparse
import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue

from bench.holding import Held, add_credit, alarm, load_writer
from trunkline.settings.sections import Settings, StoreSettings
from trunkline.store.database import open_database
from trunkline.store.opening import make_writer

_TIMEOUT_S = 10.0
_WARM_S = 2.0


def main() -> None:
    """Print a line for each number in flight, which is that of each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    asyncio.run(_prepare(options.url))
    for count in options.in_flight:
        told = _run(options.url, options.processes, count, options.seconds)
        rate = sum(each.requests / each.seconds for each in told)
        each_rate = ", ".join(f"{each.requests / each.seconds:.0f}" for each in told)
        print(
            f"{options.processes} × {count:4} in flight: {rate:6.0f} requests/s ({each_rate}), "
            f"{max(each.p50_ms for each in told):6.1f} ms p50, {max(each.p99_ms for each in told):6.1f} ms p99, "
            f"{sum(each.cpu_us for each in told) / len(told):5.0f} µs of CPU for each"
        )


async def _prepare(url: str) -> None:
    database = open_database(url, _TIMEOUT_S)
    await database.write(add_credit)
    await database.close()


def _run(url: str, processes: int, in_flight: int, seconds: float) -> list[Held]:
    forking = multiprocessing.get_context("fork")
    barrier, told = forking.Barrier(processes), forking.SimpleQueue()
    children = [
        forking.Process(target=_load, args=(url, in_flight, seconds, barrier.wait, told)) for _ in range(processes)
    ]
    for child in children:
        child.start()
    found = [told.get() for _ in children]
    for child in children:
        child.join()
    return found


def _load(url: str, in_flight: int, seconds: float, meet: Callable[[], int], told: "SimpleQueue[Held]") -> None:
    told.put(asyncio.run(_measure(url, in_flight, seconds, meet)))


async def _measure(url: str, in_flight: int, seconds: float, meet: Callable[[], int]) -> Held:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = StoreSettings(url=url, journal=folder, node=f"bench:{os.getpid()}")
        database = open_database(url, _TIMEOUT_S)
        try:
            async with make_writer(Settings(store=store), database, time.time, alarm) as writer:
                await load_writer(writer, 8, _WARM_S, f"warm-{os.getpid()}-{in_flight}")
                meet()
                held = await load_writer(writer, in_flight, seconds, f"gen-{os.getpid()}-{in_flight}")
                meet()
                return held
        finally:
            await database.close()


if __name__ == "__main__":
    main()
