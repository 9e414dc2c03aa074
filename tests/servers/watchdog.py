"""Ends what runs in a folder, and removes it, once whoever started this program is gone: `watchdog.py FOLDER`.

It waits for the end of its input, which comes however that process ended. It is a program of its own, which imports
nothing of ours.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time


def members(folder: str) -> list[int]:
    """Find the processes that run in a folder: a server's, those it started, and those that it left behind."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                place = os.readlink(f"/proc/{name}/cwd")
            except OSError:
                continue
            if place == folder or place.startswith(folder + "/"):
                found.append(int(name))
    return found


def end(folder: str) -> None:
    """Have them end by themselves, which frees the memory that they share, and kill what has not after a while."""
    _tell(folder, signal.SIGCONT)
    _tell(folder, signal.SIGINT)
    for _ in range(300):
        if not members(folder):
            return
        time.sleep(0.01)
    kill(folder)


def kill(folder: str) -> None:
    """Kill them all, also those that are stopped, and wait until they are gone but for their parents' notice."""
    for _ in range(500):
        if not _tell(folder, signal.SIGKILL):
            return
        time.sleep(0.01)


def _tell(folder: str, sign: signal.Signals) -> int:
    found = members(folder)
    for pid in found:
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            pass
    return len(found)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(sys.argv[1])
    shutil.rmtree(sys.argv[1], ignore_errors=True)
