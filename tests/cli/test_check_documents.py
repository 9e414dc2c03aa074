"""`trunkline check` tells which documents are read here, and how far a process that reads one is shut in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cli.conftest import Ran
from trunkline.cli import checking
from trunkline.upstream.parsing import find_missing

Run = Callable[..., Ran]


def test_the_kinds_that_are_read_are_told_and_how(run: Run) -> None:
    assert set(find_missing().values()) == {None}
    told = run("check", text="").out.partition("Documents\n")[2].splitlines()[0]
    assert told.startswith("  PDF, DOCX, HTML  (each read by a process of its own, ")
    assert told.endswith(("without network)", "which can open no connection)"))


def test_kinds_whose_library_is_missing_are_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    checking.echo_documents({"pdf": "pypdfium2", "docx": None, "html": "selectolax"}, is_apart=False)
    assert capsys.readouterr().out.splitlines() == [
        "Documents",
        "  DOCX  (each read by a process of its own, which can open no connection)",
        "  not PDF, HTML  (install the gateway with the extra: pip install 'trunkline[files]')",
    ]
