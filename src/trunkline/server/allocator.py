"""What the allocators get from the system and give back: large pieces at once, and what lives long in large pages.

The allocator of glibc maps a large piece on its own and unmaps it when it is freed, but each such piece freed raises
the size that counts as large, up to 32 MiB. From then on bodies are cut out of heaps that one small object in the
wrong place keeps at their largest. A size that is set once does not move.

What a gateway has loaded when it is ready is 40 MB in pages of 4 KiB, and each token of one stream among hundreds walks
over many of them: the processor looks up again where they are. In pages of 2 MiB it need not.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterable, Iterator

LARGE_BYTES = 1048576
_M_MMAP_THRESHOLD = -3
_MADV_COLLAPSE = 25
_HUGE_BYTES = 2 * 2**20
_LEAST_FILLED = 0.8


def give_large_pieces_back() -> None:
    """Have memory of `LARGE_BYTES` and more returned as soon as it is freed; other allocators are left as they are."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)


def use_large_pages() -> None:
    """Move what is in memory now into pages of 2 MiB, where the system can (Linux 6.1 and later).

    Once, and of what is there: to ask for such pages ever after would have what comes later take up to 2 MiB more each
    time. It takes some 15 ms.
    """
    with contextlib.suppress(OSError, AttributeError):
        advise = ctypes.CDLL(None).madvise
        advise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        with open("/proc/self/smaps", encoding="ascii", errors="replace") as lines:
            found = list(filled_mappings(lines))
        for start, end in found:
            first, last = -(-start // _HUGE_BYTES) * _HUGE_BYTES, end // _HUGE_BYTES * _HUGE_BYTES
            if first < last:
                advise(first, last - first, _MADV_COLLAPSE)  # where it cannot, all stays as it is


def filled_mappings(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The places of memory that allocators cut up, each from its first byte to behind its last.

    Of `/proc/PID/smaps`, as proc(5) says. Those that are mostly empty, as a thread's stack, would grow by being full.
    """
    start = end = 0
    for line in smaps:
        word, *values = line.split()
        if not word.endswith(":"):
            first, _, last = word.partition("-")
            is_ours = values[0] == "rw-p" and (len(values) < 5 or values[4] == "[heap]")
            start, end = (int(first, 16), int(last, 16)) if is_ours else (0, 0)
        elif word == "Anonymous:" and end and int(values[0]) * 1024 >= _LEAST_FILLED * (end - start):
            yield start, end
