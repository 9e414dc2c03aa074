"""The tests, shared out among processes by the file: `python -m tests.sharing 3` runs them all in three.

Each process takes the next file that none has taken, reads it and runs what is in it; what a session sets up serves
all files of the process. It chooses no tests: `python -m pytest` does.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

import pytest

_TAKEN = "TESTS_TAKEN"
"""Names the folder in which a process that takes a file leaves a mark."""

_LONGEST = (
    "tests/adapters/encoding/test_schema_laws.py",
    "tests/gateway/test_first_start.py",
    "tests/test_walk.py",
    "tests/cluster",
    "tests/gateway",
    "tests/clients",
    "tests/providers",
    "tests/upstream",
    "tests/test_cassettes.py",
    "tests/cli",
    "tests/routing",
)
"""Files and folders to begin with, so that no process is left with a long one at the end."""


def main() -> int:
    """Run all tests in as many processes as the first argument says; 1 if one of them failed."""
    with tempfile.TemporaryDirectory() as taken:
        command = [sys.executable, "-m", "pytest", "-p", "tests.sharing", "-o", "console_output_style=classic"]
        processes = [subprocess.Popen(command, env={**os.environ, _TAKEN: taken}) for _ in range(int(sys.argv[1]))]
        codes = [process.wait() for process in processes]
    return int(any(codes))


_files = pytest.StashKey[list[pytest.File]]()


def pytest_collection(session: pytest.Session) -> bool:
    """Find the files without reading them, in place of finding all tests."""
    paths = (
        path.as_posix() for folder in session.config.getini("testpaths") for path in Path(folder).rglob("test_*.py")
    )
    mine = [path for path in paths if "node_modules" not in path]
    found = session.perform_collect(sorted(mine, key=_turn_of), genitems=False)
    session.stash[_files] = [node for node in found if isinstance(node, pytest.File)]
    return True


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the tests of one file after another."""
    for item, following in pairwise(chain(_take_items(session), [None])):
        assert item is not None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    session.testscollected = 1  # a process that came too late for any has not failed
    return True


def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """Say nothing of a test that passed: 18,000 dots from several processes tell nobody anything."""
    return ("passed", "", "") if report.passed and report.when == "call" else None


def _take_items(session: pytest.Session) -> Iterator[pytest.Item]:
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    for file in session.stash[_files]:
        if not _is_taken_now(file):
            continue
        gc.collect()
        gc.disable()  # until `conftest.py` hears that the file was read
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            items = list(session.genitems(file))
        session.config.hook.pytest_collection_modifyitems(session=session, config=session.config, items=items)
        session.config.hook.pytest_collection_finish(session=session)
        reporter.write_line(f"{file.nodeid} {len(items)}")
        yield from items


def _is_taken_now(file: pytest.File) -> bool:
    mark = Path(os.environ[_TAKEN], file.nodeid.replace("/", "+"))
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _turn_of(path: str) -> tuple[int, str]:
    for turn, name in enumerate(_LONGEST):
        if path.startswith(name):
            return turn, path
    return len(_LONGEST), path


if __name__ == "__main__":
    sys.exit(main())
