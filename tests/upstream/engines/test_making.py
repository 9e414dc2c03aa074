"""What a gateway makes for its search engines: nothing where there are none, a warning for one without its key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys, time
from trunkline.app import create
from trunkline.cli.configuration import read_settings
from trunkline.inventory import load_catalog
from trunkline.stopping import Stopping
settings, _ = read_settings(None)
create(settings, load_catalog(settings), Stopping(1.0, time.monotonic))
ASKING = ("trunkline.upstream.engines.", "trunkline.stepping", "trunkline.plugins.truncating")
print(sorted(name for name in sys.modules if name.startswith(ASKING)))
"""

SETTINGS = """
[log]
format = "json"
[search.exa]
kind = "exa"
api_key = { env = "EXA_API_KEY" }
"""


def made(folder: Path, text: str, **environ: str) -> tuple[str, list[dict[str, str]]]:
    """The modules that are loaded, and the events that are logged."""
    (folder / "trunkline.toml").write_text(text)
    environ = {"PATH": os.environ["PATH"], **environ}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=False, env=environ
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.stdout, [json.loads(line) for line in ran.stderr.splitlines()]


def test_where_no_engine_is_set_nothing_is_loaded_that_asks_one(tmp_path: Path) -> None:
    values = [f"trunkline.upstream.engines.{name}" for name in ("domains", "found", "judged")]
    assert made(tmp_path, "") == (f"{values}\n", [])


@pytest.mark.parametrize(("key", "is_on"), [("exa-canary-1f2e", True), (" ", False)])
def test_an_engine_without_its_key_is_off_and_the_start_says_so(key: str, is_on: bool, tmp_path: Path) -> None:
    modules, events = made(tmp_path, SETTINGS, EXA_API_KEY=key)
    assert "trunkline.upstream.engines.search" in modules
    told = [(event["event"], event["level"], event["engine"], event["reason"]) for event in events]
    off = ("engine.off", "warning", "exa", "EXA_API_KEY is not set or empty; set it to the key")
    assert told == ([] if is_on else [off])
    assert "canary" not in json.dumps(events)
