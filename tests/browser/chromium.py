"""Chromium without a window, told what to do over a pipe; it loads what the test names and nothing else.

The protocol is the browser's own: one JSON object a message, each ended by a zero byte, on descriptors 3 and 4.
Source: https://chromedevtools.github.io/devtools-protocol/, seen 2026-11-27.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")
_ANSWER_S = 60.0

_AS_3_AND_4 = """
import os, sys
theirs, ours, *command = sys.argv[1:]
said, heard = os.dup(int(theirs)), os.dup(int(ours))
os.dup2(said, 3)
os.dup2(heard, 4)
os.set_inheritable(3, True)  # it may have been 3 before
os.set_inheritable(4, True)
os.execv(command[0], command)
"""


def found() -> str | None:
    """Find the browser on this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page of the browser."""

    def __init__(self, said: int, heard: int) -> None:
        self._said = said
        self._heard = heard
        self._gathered = b""
        self._number = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **parameters: Any) -> Any:
        """Have the browser do one thing, and wait until it has."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._said, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def value(self, expression: str) -> Any:
        """Work out a JavaScript expression, and what it promises."""
        told = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def show(self, url: str, *, width: int, scheme: str) -> None:
        """Load a page in a window of this width, for who likes it light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)
        end = time.monotonic() + _ANSWER_S
        while self.value("location.href + document.readyState") != url + "complete":
            assert time.monotonic() < end, "the page did not load"
            time.sleep(0.02)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._gathered:
            assert select.select([self._heard], [], [], _ANSWER_S)[0], "the browser does not answer"
            piece = os.read(self._heard, 65536)
            assert piece, "the browser has ended"
            self._gathered += piece
        one, _, self._gathered = self._gathered.partition(b"\0")
        message: dict[str, Any] = json.loads(one)
        return message


@contextlib.contextmanager
def open_page(browser: str, folder: Path) -> Iterator[Page]:
    """Start the browser with a profile in `folder`, and end it."""
    theirs, said = os.pipe()
    heard, ours = os.pipe()
    process = subprocess.Popen(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _AS_3_AND_4,
            str(theirs),
            str(ours),
            browser,
            *_OPTIONS,
            f"--user-data-dir={folder}",
        ],
        pass_fds=(theirs, ours),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    os.close(ours)
    try:
        yield Page(said, heard)
    finally:
        os.close(said)
        os.close(heard)
        process.terminate()
        process.wait(30)
