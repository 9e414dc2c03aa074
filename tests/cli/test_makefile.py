"""The first command of all: what `make` says when it cannot do what it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

OLD = """#!{python}
import sys
sys.version_info = (3, 10, 4, "final", 0)
exec(sys.argv[2])
"""


STUB = """#!/bin/sh
echo "$0 $*" >>"{log}"
case "$1" in
    -c) exit {verdict} ;;
esac
if [ "$1 $2" = "-m venv" ]; then
    rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python"
fi
"""
"""A Python that notes what it is asked, tells by `verdict` whether its version is good, and makes a venv of itself."""


def stub(place: Path, log: Path, verdict: int = 0) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(STUB.format(log=log, verdict=verdict))
    place.chmod(0o755)
    return place


@pytest.mark.parametrize("is_set_up", [False, True], ids=["half made", "set up before"])
@pytest.mark.parametrize(
    ("found", "is_remade"),
    [("none", True), ("too old", True), ("gone", True), ("not to be run", True), ("good", False)],
)
def test_a_venv_of_another_python_is_made_anew(found: str, is_remade: bool, is_set_up: bool, tmp_path: Path) -> None:
    log, venv = tmp_path / "log", tmp_path / "venv"
    inner = venv / "bin" / "python"
    match found:
        case "too old":
            stub(inner, log, verdict=1)
        case "good":
            stub(inner, log)
        case "gone":
            inner.parent.mkdir(parents=True)
            inner.symlink_to(tmp_path / "python-that-was-removed")
        case "not to be run":
            stub(inner, log).chmod(0o644)
        case _:
            venv.mkdir()
    if is_set_up:
        later = time.time() + 60
        for name in (".run", ".dev"):
            (venv / name).touch()
            os.utime(venv / name, (later, later))
    good = stub(tmp_path / "python-of-today", log)
    ran = subprocess.run(
        ["make", "setup", f"PYTHON={good}", f"VENV={venv}"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert ran.returncode == 0, ran.stderr
    asked = log.read_text()
    assert (f"{good} -m venv --clear {venv}\n" in asked) is is_remade
    assert ("pip" in asked) is (is_remade or not is_set_up)
    assert (venv / ".run").exists()
    assert (venv / ".dev").exists() is (is_set_up and not is_remade)


def test_a_python_that_is_too_old_is_told_before_anything_is_made(tmp_path: Path) -> None:
    old = tmp_path / "python-of-old"
    old.write_text(OLD.format(python=sys.executable))
    old.chmod(0o755)
    ran = subprocess.run(
        ["make", "setup", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ran.returncode == 2
    assert f"Python 3.11 or newer is needed; {old} is 3.10. Name another: make PYTHON=python3.12" in ran.stderr
    assert "No matching distribution" not in ran.stderr
    assert not (tmp_path / "venv").exists()
