"""Progress of long work: on a terminal alone, and gone at its end."""

from __future__ import annotations

import sys

import pytest

from trunkline.cli import progress
from trunkline.cli.progress import telling_progress


@pytest.mark.parametrize(
    ("is_terminal", "quiet_s", "shown"),
    [(True, 0.0, "\r\x1b[K5,000 records read\r\x1b[K"), (True, 60.0, ""), (False, 0.0, "")],
)
def test_it_is_told_on_a_terminal_once_work_takes_long(
    is_terminal: bool,
    quiet_s: float,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "QUIET_S", quiet_s)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    with telling_progress() as tell:
        tell(5_000)
        tell(5_001)  # too soon after the first
    assert capsys.readouterr() == ("", shown)
