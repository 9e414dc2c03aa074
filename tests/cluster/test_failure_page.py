"""docs/explanation/failure.md walked: each row of its table names the tests that show it, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "failure.md"
PARTS = {
    *("PostgreSQL", "SQLite's disk", "the journal's disk", "Valkey or Redis"),
    *("a provider", "a node", "the network", "a clock"),
}


def rows() -> list[list[str]]:
    """The cells of each row of the first table, without its head."""
    table = PAGE.read_text("utf-8").split("\n| part |")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def names_in(path: str) -> set[str]:
    """The names of the tests in a file, those in classes too."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]} {row[1]}")
def test_a_row_names_tests_that_are_there(row: list[str]) -> None:
    assert len(row) == 5, row
    named = re.findall(r"`(tests/[\w/]+/(?:test|prove)_\w+\.py)::(\w+)`", row[4])
    assert named, "no test shows this row"
    for path, name in named:
        assert name in names_in(path), f"{path} has no {name}"


def test_no_part_is_forgotten() -> None:
    assert {row[0] for row in rows()} >= PARTS


def test_each_test_of_faults_is_on_the_page() -> None:
    """A test of what fails that has no row is a row that a reader misses."""
    page = PAGE.read_text("utf-8")
    for name in ("test_outages.py", "test_limits.py"):
        missing = [each for each in names_in(f"tests/cluster/{name}") if each not in page and "RL_02" not in each]
        assert not missing, f"{name}: {missing}"
