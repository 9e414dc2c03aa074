"""One of several processes that write to one file: `python -m tests.store.racing FOLDER NAME HOLDS SPENDS`.

It says `ready`, waits for a line, asks for holds all at once, then spends one after the other, and says what came of
it: how many holds it got, how many were refused, how often the store failed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.store.ledger import open_books
from trunkline.errors import ServiceUnavailable


async def race(folder: Path, name: str, holds: int, spends: int) -> dict[str, int]:
    """Ask and spend."""
    async with open_books(folder, node=f"here:{name}", patience_s=20, audits=False) as books:
        print("ready", flush=True)
        sys.stdin.readline()
        asked = [books.hold(f"{name}-{number}") for number in range(holds)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failures = sum(isinstance(answer, ServiceUnavailable) for answer in answers)
        for number in range(spends):
            try:
                await books.spend(f"{name}-s{number}", 1)
            except ServiceUnavailable:
                failures += 1
        granted = sum(isinstance(answer, int) for answer in answers)
        # Until the others are done: what a process that has ended still holds is anybody's to expire.
        print(json.dumps({"granted": granted, "refused": holds - granted - failures, "failures": failures}), flush=True)
        sys.stdin.readline()
    return {}


if __name__ == "__main__":
    asyncio.run(race(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
