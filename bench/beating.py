"""The gateway with a heart: its loop is asked every millisecond whether it is free, and the longest wait is kept.

The figures stand in a shared file, so that asking for them costs the gateway nothing. Does not say what held the loop.
"""

import asyncio
import mmap
import runpy
import sys
import time
from pathlib import Path

import uvloop

BEAT_S = 0.001
FIGURES_BYTES = 16
"""Two doubles, in seconds: the longest time between two beats beyond `BEAT_S`, and the most CPU of the whole process
between two, which other processes of a busy machine add nothing to."""


def figures(file: Path) -> "memoryview[float]":
    """The figures in a shared file, which whoever looks at them may set back."""
    with file.open("r+b") as opened:
        return memoryview(mmap.mmap(opened.fileno(), FIGURES_BYTES)).cast("d")


def _beat(loop: asyncio.AbstractEventLoop, longest: "memoryview[float]", due: float, spent: float) -> None:
    now, spent_now = time.perf_counter(), time.process_time()
    longest[0] = max(longest[0], now - due)
    longest[1] = max(longest[1], spent_now - spent)
    loop.call_later(BEAT_S, _beat, loop, longest, now + BEAT_S, spent_now)


def main(file: str) -> None:
    """Run the command line with a loop that beats."""
    make = uvloop.new_event_loop

    def make_beating() -> uvloop.Loop:
        loop = make()
        loop.call_soon(_beat, loop, figures(Path(file)), time.perf_counter(), time.process_time())
        return loop

    uvloop.new_event_loop = make_beating
    runpy.run_module("trunkline", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv.pop(1))
