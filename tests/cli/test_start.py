"""What a command loads before it does anything."""

from __future__ import annotations

import subprocess
import sys


def test_F14_the_keys_commands_load_nothing_of_the_server() -> None:
    script = """
import sys
from trunkline.cli.start import main
try:
    main(["keys", "--help"])
except SystemExit as end:
    assert not end.code
loaded = {name.partition(".")[0] for name in sys.modules} & {"aiohttp", "starlette", "structlog", "uvicorn"}
assert not loaded, loaded
assert "trunkline.app" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "create" in done.stdout
