"""What a process and all its descendants have used, as Linux tells it under /proc.

Does not see a descendant that detached itself to another parent; none of the subjects does that.
"""

import contextlib
import os
from pathlib import Path

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
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
    """User and system time of the tree, descendants that ended and were waited for included.

    The kernel counts to the nanosecond but tells ticks of 10 ms, for each process.
    """
    ticks = 0
    for pid in members(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The second field is the name in parentheses and may hold spaces; utime is the 14th field.
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks * _TICK_SECONDS


def anonymous_bytes(root: int) -> int:
    """Memory of the tree that is its own: RssAnon and VmSwap, summed."""
    total = 0
    for pid in members(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in (_PROC / str(pid) / "status").read_text().splitlines():
                if line.startswith(("RssAnon:", "VmSwap:")):
                    total += int(line.split()[1]) * 1024
    return total
