"""Paths of an input that was changed on its way lead to where the client wrote it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trunkline.protocol.paths import OWN_PATHS, Paths, moved, split
from trunkline.protocol.reading import Step

LEFT_OUT = moved(OWN_PATHS, (0, 3, 4))
FILLED = moved(OWN_PATHS, (None, 0, 1), else_in="prompt")
PUT_IN = moved(LEFT_OUT, (0, None, 1, 2))
READ = split(OWN_PATHS, {1: (0, 1, 1, 2)})

CASES: tuple[tuple[Paths, tuple[Step, ...], str], ...] = (
    (OWN_PATHS, ("input", 2, "content", 0, "image_url"), "input[2].content[0].image_url"),
    (OWN_PATHS, ("max_output_tokens",), "max_output_tokens"),
    (LEFT_OUT, ("input", 1, "content", 0), "input[3].content[0]"),
    (LEFT_OUT, ("input",), "input"),
    (LEFT_OUT, ("tools", 1), "tools[1]"),
    (LEFT_OUT, ("input", 3, "content", 0), "input"),
    (FILLED, ("input", 0, "content", 0), "prompt"),
    (FILLED, ("input", 1, "content", 0), "input[0].content[0]"),
    (PUT_IN, ("input", 1, "content", 0), "input"),
    (PUT_IN, ("input", 2, "content", 0), "input[3].content[0]"),
    (READ, ("input", 1, "content", 3, "image_url"), "input[1].content[2].image_url"),
    (READ, ("input", 1, "content", 2), "input[1].content[1]"),
    (READ, ("input", 0, "content", 2), "input[0].content[2]"),
    (READ, ("input", 1), "input[1]"),
    (moved(READ, (1,)), ("input", 0, "content", 3), "input[1].content[2]"),
)


@pytest.mark.parametrize(("paths", "steps", "told"), CASES)
def test_a_path_leads_to_where_it_was(paths: Paths, steps: tuple[Step, ...], told: str) -> None:
    assert paths.spelled(*steps) == told


SOURCES = Path(__file__).parent.parent.parent / "src" / "trunkline"
WRITTEN = re.compile(r"""param=f?"(?:input|tools|max_)|f"input\[|f'(?:input|tools)\[""")
BEFORE_A_FACE = ("faces/", "protocol/body.py")


def test_who_stands_behind_all_faces_spells_no_path_by_hand() -> None:
    files = (path for path in SOURCES.rglob("*.py"))
    others = [path for path in files if not path.relative_to(SOURCES).as_posix().startswith(BEFORE_A_FACE)]
    assert [path.name for path in others if WRITTEN.search(path.read_text())] == []
