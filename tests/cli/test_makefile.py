"""The first command of all: what `make` says when it cannot do what it is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

OLD = """#!{python}
import sys
sys.version_info = (3, 10, 4, "final", 0)
exec(sys.argv[2])
"""


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
