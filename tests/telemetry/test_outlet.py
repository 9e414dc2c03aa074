"""Standard error by way of a queue: what is dropped, what is told of it, and what a closed descriptor becomes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import pytest

from trunkline.telemetry.outlet import MAX_WAITING_BYTES, Outlet

LINE = b"x" * 1023 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def report(count: int) -> str:
    return f"dropped {count}\n"


def soon() -> float:
    return time.monotonic() + 5


def read_until(reading: int, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        data += os.read(reading, 65536)
    return data


def test_what_is_written_comes_out_in_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    outlet = Outlet(writing, report)
    for number in range(1000):
        outlet.write(b"%d\n" % number)
    outlet.finish(soon())
    assert read_until(reading, b"999\n") == b"".join(b"%d\n" % number for number in range(1000))


def test_a_line_that_is_made_when_it_goes_out_stands_in_its_turn(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    outlet = Outlet(writing, report)
    outlet.write(b"first\n")
    outlet.write_made(lambda: "s\udc80cond\n")
    outlet.write_made(lambda: f"{1 / 0}\n")  # what cannot be made is lost, and no other
    outlet.write(b"third\n")
    outlet.finish(soon())
    assert read_until(reading, b"third\n") == b"first\ns\\udc80cond\nthird\n"
    assert outlet.dropped == 1


def test_no_other_line_and_no_end_waits_for_as_long_as_a_line_that_comes_often(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    began = time.monotonic()
    outlet = Outlet(writing, report)
    for _ in range(20):
        outlet.write_made(lambda: "often\n")
        outlet.write(b"seldom\n")
        assert read_until(reading, b"seldom\n") == b"often\nseldom\n"
    for _ in range(20):
        outlet.write_made(lambda: "often\n")
        outlet.finish(soon())
        assert read_until(reading, b"often\n") == b"often\n"
        outlet = Outlet(writing, report)
    outlet.finish(soon())
    assert time.monotonic() - began < 5  # a quarter of a second each would make ten


def test_lines_that_come_often_go_out_though_none_follows(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    outlet = Outlet(writing, report)
    for _ in range(3):
        outlet.write_made(lambda: "often\n")
        assert read_until(reading, b"often\n") == b"often\n"
    for number in range(1000):
        outlet.write_made(partial("{}\n".format, number))
    assert read_until(reading, b"999\n") == b"".join(b"%d\n" % number for number in range(1000))
    outlet.finish(soon())


def test_a_slow_reader_has_lines_made_at_once_and_what_they_are_made_of_let_go(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    outlet = Outlet(writing, report)
    made: list[int] = []

    def make(number: int) -> str:
        made.append(number)
        return LINE.decode()

    sent = 2 * MAX_WAITING_BYTES // len(LINE)
    for number in range(sent):
        outlet.write_made(partial(make, number))
    assert sent - len(made) < 500
    data, told = b"", 0
    while data.count(LINE) + told < sent:
        data += os.read(reading, 65536)
        told = sum(map(int, re.findall(rb"dropped (\d+)\n", data)))
    outlet.finish(soon())
    assert sorted(made) == list(range(sent))


def test_PR_14_lines_beyond_the_queue_are_dropped_counted_and_told_once_somebody_reads(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    outlet = Outlet(writing, report)
    sent = 2 * MAX_WAITING_BYTES // len(LINE)
    for _ in range(sent):
        outlet.write(LINE)
    data, told = b"", 0
    while data.count(LINE) + told < sent:
        data += os.read(reading, 65536)
        told = sum(map(int, re.findall(rb"dropped (\d+)\n", data)))
    assert told > 0
    assert data.count(LINE) + told == sent
    outlet.write(b"last\n")
    outlet.finish(soon())
    assert read_until(reading, b"last\n").endswith(b"last\n")


def test_PR_15_lines_that_the_system_does_not_take_are_counted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        outlet = Outlet(full, report)
        for _ in range(3):
            outlet.write(b"lost\n")
        while outlet.dropped < 3:
            time.sleep(0.001)
        os.dup2(writing, full)  # the disk has room again
        outlet.write(b"kept\n")
        outlet.finish(soon())
    finally:
        os.close(full)
    assert read_until(reading, b"dropped") == b"kept\ndropped 3\n"


def test_the_end_does_not_wait_for_a_reader(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1], report)
    outlet.write(LINE * 100)
    began = time.monotonic()
    outlet.finish(began + 0.1)
    assert time.monotonic() - began < 2
    unread = 100 * len(LINE)
    while unread:  # the thread must be gone before its descriptor belongs to somebody else
        unread -= len(os.read(pipe[0], unread))
    outlet.finish(soon())


CLOSED_AT_THE_START = """
import os, sys
os.close(2)
sys.stderr = None
from trunkline.telemetry.outlet import outlets
with outlets(str):
    with open(sys.argv[1], "wb") as opened:
        print("a log line", file=sys.stderr)
        assert opened.fileno() > 2
"""


def test_a_standard_error_closed_at_the_start_is_given_to_no_file(tmp_path: object) -> None:
    path = f"{tmp_path}/opened"
    subprocess.run([sys.executable, "-c", CLOSED_AT_THE_START, path], check=True)
    assert os.path.getsize(path) == 0
