"""Processes that write to one database at once: `python -m tests.store.racing FOLDER PROCESSES HOLDS SPENDS [URL]`.

Without a URL it is a file in the folder. Each opens it, and when all have, asks for holds at once and then spends one
after the other. What each of them got is printed as JSON: how many holds, how many refusals, how often the store
failed. They are forked, since a start takes longer than all of that.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path

from tests.store import ledger
from tests.store.ledger import open_books
from trunkline.errors import ServiceUnavailable

PATIENCE_S = 30.0


async def race(folder: Path, name: str, holds: int, spends: int, meet: Callable[[], object]) -> dict[str, int]:
    """Ask and spend, and stay until the others have: what an ended process holds is anybody's to expire."""
    async with open_books(folder, node=f"here:{name}", patience_s=PATIENCE_S, audits=False) as books:
        meet()
        asked = [books.hold(f"{name}-{number}") for number in range(holds)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failures = sum(isinstance(answer, ServiceUnavailable) for answer in answers)
        granted = sum(isinstance(answer, int) for answer in answers)
        refused = holds - granted - failures
        for number in range(spends):
            try:
                await books.spend(f"{name}-s{number}", 1)
            except ServiceUnavailable:
                failures += 1
        meet()
    return {"granted": granted, "refused": refused, "failures": failures}


def main(folder: str, processes: int, holds: int, spends: int, url: str | None = None) -> None:
    """Run the race."""
    if url is not None:
        ledger.url_in = lambda folder: url
    forking = multiprocessing.get_context("fork")
    barrier, told = forking.Barrier(processes, timeout=120), forking.SimpleQueue()

    def run(number: int) -> None:
        told.put(asyncio.run(race(Path(folder), str(number), holds, spends, barrier.wait)))

    children = [forking.Process(target=run, args=(number,)) for number in range(processes)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    print(json.dumps([told.get() for child in children if child.exitcode == 0]))


if __name__ == "__main__":
    folder, processes, holds, spends, *url = sys.argv[1:]
    main(folder, int(processes), int(holds), int(spends), *url)
