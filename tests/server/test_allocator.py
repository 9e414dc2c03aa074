"""Which memory is moved into large pages, and that it is."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.server.allocator import filled_mappings

_MAPPINGS = """\
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
Size:               8192 kB
Rss:                8000 kB
Anonymous:          8000 kB
VmFlags: rd wr mr mw me ac sd
7f0001000000-7f0001800000 rw-p 00000000 00:00 0
Size:               8192 kB
Anonymous:            48 kB
7f0002000000-7f0002200000 r-xp 00000000 fe:00 131  /usr/lib/libpython3.11.so.1.0
Size:               2048 kB
Anonymous:          2048 kB
7f0003000000-7f0003200000 rw-p 00000000 fe:00 132  /usr/lib/libpython3.11.so.1.0
Size:               2048 kB
Anonymous:          2048 kB
7f0004000000-7f0004200000 rw-s 00000000 00:01 133
Size:               2048 kB
Anonymous:          2048 kB
55e000000000-55e000400000 rw-p 00000000 00:00 0    [heap]
Size:               4096 kB
Anonymous:          4096 kB
7ffc00000000-7ffc00200000 rw-p 00000000 00:00 0    [stack]
Size:               2048 kB
Anonymous:          2048 kB
"""


def test_only_memory_that_allocators_cut_up_and_that_is_mostly_filled_is_moved() -> None:
    assert list(filled_mappings(_MAPPINGS.splitlines())) == [
        (0x7F0000000000, 0x7F0000800000),
        (0x55E000000000, 0x55E000400000),
    ]


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").is_dir()
    or tuple(int(part) for part in platform.release().split(".")[:2]) < (6, 1),
    reason="this kernel moves nothing into large pages when it is told to",
)
def test_what_is_in_memory_is_moved_into_large_pages_and_stays_what_it_was() -> None:
    script = (
        "import trunkline.server.allocator as allocator\n"
        "kept = [bytes([number % 256]) * 1000 for number in range(20_000)]\n"
        "allocator.use_large_pages()\n"
        "assert kept == [bytes([number % 256]) * 1000 for number in range(20_000)]\n"
        "print(next(line.split()[1] for line in open('/proc/self/smaps_rollup') if line.startswith('AnonHugePages')))\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(told.stdout) >= 4 * 2048, told.stdout
