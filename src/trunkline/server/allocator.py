"""How memory is given back to the system: large pieces at once, and not when the allocator finds it convenient.

The allocator of glibc maps a large piece on its own and unmaps it when it is freed, but each such piece freed raises
the size that counts as large, up to 32 MiB. From then on bodies are cut out of heaps that one small object in the
wrong place keeps at their largest. A size that is set once does not move.
"""

from __future__ import annotations

import contextlib
import ctypes

LARGE_BYTES = 1048576
_M_MMAP_THRESHOLD = -3


def give_large_pieces_back() -> None:
    """Have memory of `LARGE_BYTES` and more returned as soon as it is freed; other allocators are left as they are."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
