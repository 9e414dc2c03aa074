"""The npm package `@copilotkit/aimock`, an upstream that this project did not write: started, asked.

`python -m tests.npm` installs it beside this file where Node is present. It runs on a free loopback port in a process
of its own, which ends when this one does.
"""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.npm import AIMOCK

FOLDER = Path(__file__).parent

_START_S = 40


@dataclass(frozen=True)
class Seen:
    """One request as the mock got it; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Aimock:
    """The running mock."""

    url: str

    def seen(self, mark: str) -> list[Seen]:
        """The requests whose body holds `mark`, in the order of their end."""
        with urlopen(f"{self.url}/seen/{mark}", timeout=10) as answer:
            return [Seen(**one) for one in json.load(answer)]


def absence() -> str:
    """Say why the mock cannot be started; empty if it can."""
    if shutil.which("node") is None:
        return "Node is not installed; the mock of the providers' wires needs Node 20.15 or later"
    return AIMOCK.absence()


@contextlib.contextmanager
def running(fixtures: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[Aimock]:
    """Start the mock with these fixtures, the first that fits answers; `folder` is for what it reads and logs."""
    file = folder / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures}))
    log = folder / "aimock.log"
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            ["node", str(FOLDER / "serve.mjs"), str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            is_ready = select.select([process.stdout], [], [], _START_S)[0]
            url = process.stdout.readline().decode().strip() if is_ready else ""
            assert url.startswith("http://127.0.0.1:"), f"the mock did not start: {url} {log.read_text()[-2000:]}"
            yield Aimock(url)
        finally:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
