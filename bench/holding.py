"""What the writer of the ledger costs by itself: holds and settles in a closed loop, without a gateway around it.

Each of those in flight holds, settles what it held, and begins anew. Does not say what a request costs in the gateway,
of which this is a part (`bench.money`).
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trunkline.settings.sections import Settings, StoreSettings
from trunkline.store.batch import Wish
from trunkline.store.connection import Connection
from trunkline.store.database import open_database
from trunkline.store.opening import make_writer
from trunkline.store.rows import BLANK, BudgetRow
from trunkline.store.statements import budgets
from trunkline.store.writer import Writer

_ACCOUNT = "acc_bench"
_KEY = "key_bench"
_CREDIT_NANO = 10**17
_HELD_NANO = 2_000_000
_CHARGED_NANO = 300_000
_TIMEOUT_S = 10.0
_FSYNCS = 200
_PAGE = b"\0" * 4096


@dataclass(frozen=True)
class Held:
    """One closed loop: so many in flight at once. `cpu_us` is of the whole process, for a hold with its settle."""

    in_flight: int
    requests: int
    seconds: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


def fsync_ms(folder: Path) -> tuple[float, float]:
    """How long the disk takes to keep a page that is appended to a file: median and 99th percentile."""
    took = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(_FSYNCS):
            file.write(_PAGE)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took), _percentile(took, 99)


async def measure_writer(in_flight: Sequence[int], seconds: float) -> list[Held]:
    """Load a writer of its own, on a database in a temporary folder, with each number in flight for a while."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        url = f"sqlite:///{folder}/bench.db"
        database = open_database(url, _TIMEOUT_S)
        await database.write(add_credit)
        try:
            async with make_writer(Settings(store=StoreSettings(url=url)), database, time.time, alarm) as writer:
                await load_writer(writer, 8, seconds / 4, "warm")
                return [await load_writer(writer, count, seconds, f"gen-{count}") for count in in_flight]
        finally:
            await database.close()


async def load_writer(writer: Writer, in_flight: int, seconds: float, name: str) -> Held:
    """Hold and settle in a closed loop for a while; `name` begins the ids."""
    took: list[float] = []
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    begun, spent = loop.time(), time.process_time()

    async def go_on(number: int) -> None:
        count = 0
        while loop.time() < ends:
            count += 1
            id = f"{name}-{number}-{count}"
            now_ms = int(time.time() * 1000)
            asked = time.perf_counter()
            held = await writer.hold(Wish(id, _ACCOUNT, _KEY, _ACCOUNT, None, None, _HELD_NANO, _HELD_NANO, now_ms))
            took.append((time.perf_counter() - asked) * 1000)
            assert held == _HELD_NANO, held
            await writer.settle(_RECORD._replace(id=id, created_at_ms=now_ms))

    async with asyncio.TaskGroup() as group:
        for number in range(in_flight):
            group.create_task(go_on(number))
    lasted = loop.time() - begun
    cpu_us = (time.process_time() - spent) / len(took) * 1e6
    return Held(in_flight, len(took), lasted, cpu_us, statistics.median(took), _percentile(took, 99))


_RECORD = BLANK._replace(
    account_id=_ACCOUNT,
    key_id=_KEY,
    model="mock/chat",
    asked_model="mock/chat",
    endpoint_id="mock-chat/mock/chat",
    provider="mock-chat",
    status="completed",
    stop="stop",
    input_tokens=96,
    output_tokens=64,
    cost_nano=_CHARGED_NANO,
    cost_input_nano=100_000,
    cost_output_nano=200_000,
    charged_nano=_CHARGED_NANO,
    held_nano=_HELD_NANO,
    total_ms=12,
)


def add_credit(connection: Connection) -> None:
    """Give the account of the loop more than it can spend."""
    budgets.add_budgets(connection, [BudgetRow(_ACCOUNT, _CREDIT_NANO, 0, 0)])


def alarm(name: str, more: str) -> None:
    """End the measurement: what the operator is told of here is a fault."""
    raise SystemExit(f"the store failed while it was measured: {name} {more}")


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
