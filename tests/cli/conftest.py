"""Commands run as an operator runs them, in an empty folder and with no key in the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from trunkline.cli.main import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command: exit code, output, errors. `text` becomes trunkline.toml."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.endswith(("_KEY", "_TOKEN", "_PAT")) or name.startswith(("AWS_", "GOOGLE_", "TRUNKLINE_")):
            monkeypatch.delenv(name)

    def run(*arguments: str, text: str | None = None, **environ: str) -> Ran:
        if text is not None:
            (tmp_path / "trunkline.toml").write_text(text)
        with monkeypatch.context() as context:
            for name, value in environ.items():
                context.setenv(name, value)
            with pytest.raises(SystemExit) as raised:
                main(arguments)
        captured = capsys.readouterr()
        return Ran(int(raised.value.code or 0), captured.out, captured.err)

    return run
