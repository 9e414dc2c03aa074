"""What a process and all its descendants have used, as Linux tells it under /proc.

Does not see a descendant that detached itself to another parent; none of the subjects does that.
"""

import contextlib
from pathlib import Path

_PROC = Path("/proc")


def members(root: int) -> list[int]:
    """The ids of a process and its living descendants, the root first."""
    found = [root]
    for pid in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for children in _PROC.glob(f"{pid}/task/*/children"):
                found += [int(child) for child in children.read_text().split()]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the tree's living threads, to the nanosecond.

    What a thread used that has ended is not in it, so a difference of two is true only while all threads live.
    """
    spent_ns = 0
    for pid in members(root):
        for file in _PROC.glob(f"{pid}/task/*/schedstat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                spent_ns += int(file.read_text().split()[0])
    return spent_ns / 1e9


def cpu_seconds_aside(root: int) -> float:
    """As `cpu_seconds`, of the threads beside the first of the first process."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return cpu_seconds(root) - int((_PROC / f"{root}/task/{root}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def anonymous_bytes(root: int) -> int:
    """Memory of the tree that is its own: RssAnon and VmSwap, summed."""
    total = 0
    for pid in members(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in (_PROC / str(pid) / "status").read_text().splitlines():
                if line.startswith(("RssAnon:", "VmSwap:")):
                    total += int(line.split()[1]) * 1024
    return total
