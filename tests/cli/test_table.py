"""Tables line up, and fit the terminal they are shown on."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from trunkline.cli.table import NARROWEST, fitted, table


@pytest.mark.parametrize("widths", [[1], [3, 5], [80, 2, 40], [200, 200, 200], [6, 6]])
@pytest.mark.parametrize("room", [0, 10, 40, 78, 1000])
def test_columns_fit_where_they_can_and_short_ones_are_let_be(widths: list[int], room: int) -> None:
    found = fitted(widths, room, [NARROWEST] * len(widths))
    assert sum(found) <= room or max(found) <= NARROWEST
    assert all(NARROWEST <= new < old or new == old for new, old in zip(found, widths, strict=True))
    assert sum(widths) > room or found == widths


def test_a_pipe_gets_a_line_a_row() -> None:
    assert list(table(("A", "B"), [("x" * 300, "y")])) == ["A" + " " * 301 + "B", "x" * 300 + "  y"]


def test_headers_are_folded_first_and_numbers_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    header, rows = ("WHO IT IS", "INPUT TOKENS"), [("one two three", "1234567")]
    monkeypatch.setenv("COLUMNS", "24")
    assert list(table(header, rows, "<>")) == [
        "WHO IT IS        INPUT",
        "                TOKENS",
        "one two three  1234567",
    ]
    monkeypatch.setenv("COLUMNS", "18")
    assert list(table(header, rows, "<>")) == ["WHO IT     INPUT", "IS        TOKENS", "one two  1234567", "three"]


def test_a_narrow_terminal_is_spared_the_columns_that_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    header, rows, spare = ("ID", "NAME", "N", "SUM"), [("resp_1", "Anna", "12", "0.5")], ("N", "NAME")
    for columns, kept in ((25, "ID NAME N SUM"), (20, "ID NAME SUM"), (14, "ID SUM"), (9, "ID SUM")):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert next(table(header, rows, "<<>>", spare)).split() == kept.split()


@pytest.mark.parametrize(
    ("command", "columns"), [(("providers",), 60), (("providers",), 120), (("models", "gpt-5"), 80)]
)
def test_a_list_is_no_wider_than_its_terminal(columns: int, command: tuple[str, ...], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "trunkline", *command],
        cwd=tmp_path,
        stdout=theirs,
        env={"PATH": os.environ["PATH"]},
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how the end of a terminal is told
        pass
    finally:
        os.close(ours)
    assert process.wait(30) == 0
    lines = shown.decode().splitlines()
    assert len(lines) > 20
    assert max(map(len, lines)) <= columns
