"""Clients as child processes: unchanged, in a folder of their own, with no way to anything but this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOWHERE = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
"""A proxy that is not there for all but loopback: Codex looks for plugins at GitHub when it starts."""

_RUN_S = 100


@dataclass(frozen=True)
class Ran:
    """What a client did."""

    code: int
    out: str
    err: str


def run(command: Sequence[str], folder: Path, given: str = "", **environ: str) -> Ran:
    """Run a client to its end; one that hangs is killed with whatever it has started. `given` is its input."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **NOWHERE, **environ}
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(given, timeout=_RUN_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return Ran(process.returncode, out, err)


@dataclass(frozen=True)
class Session:
    """What `codex exec --json` tells of a session."""

    ran: Ran
    events: Sequence[Mapping[str, Any]]

    @property
    def thread(self) -> str:
        (found,) = (event["thread_id"] for event in self.events if event["type"] == "thread.started")
        return str(found)

    def items(self, kind: str) -> list[Any]:
        """What was done, of this kind."""
        done = (event["item"] for event in self.events if event["type"] == "item.completed")
        return [item for item in done if item["type"] == kind]

    @property
    def complaints(self) -> str:
        """Why it failed, as a text that a report shows whole."""
        told = [str(event) for event in self.events if event["type"] in ("error", "turn.failed")]
        return "\n".join([*told, self.ran.err])

    @property
    def said(self) -> list[str]:
        return [item["text"] for item in self.items("agent_message")]


def read_session(ran: Ran) -> Session:
    return Session(ran, [json.loads(line) for line in ran.out.splitlines()])
