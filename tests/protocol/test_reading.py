"""How paths and values are spelled in messages, and how a complaint gathers its path."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trunkline.protocol.reading import Reader, Step, Wrong, array, mapping, record, shown, spelled_path, tagged, text


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        pytest.param((), "", id="nowhere"),
        pytest.param(("input", 2, "content", 0, "image_url"), "input[2].content[0].image_url", id="names and indices"),
        pytest.param(("x-session-id",), "x-session-id", id="a header"),
        pytest.param(("metadata", "a.b"), 'metadata["a.b"]', id="a key with a dot"),
        pytest.param(("metadata", ""), 'metadata[""]', id="an empty key"),
        pytest.param(("metadata", "k" * 200), 'metadata["' + "k" * 78 + "…]", id="a long key"),
    ],
)
def test_paths_are_spelled(steps: tuple[Step, ...], path: str) -> None:
    assert spelled_path(steps) == path


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(None, "null", id="null"),
        pytest.param(True, "true", id="true"),
        pytest.param(Decimal("1.50"), "1.50", id="an exact number"),
        pytest.param({"secret": 1}, "an object", id="an object"),
        pytest.param([1], "an array", id="an array"),
        pytest.param('a "b"\n', '"a \\"b\\"\\n"', id="text with quotes"),
        pytest.param("x" * 78, '"' + "x" * 78 + '"', id="text of 80 with its quotes"),
        pytest.param("x" * 79, '"' + "x" * 78 + "…", id="text of 81 with its quotes"),
        pytest.param(10**4000, "1" + "0" * 78 + "…", id="a very long number"),
    ],
)
def test_values_are_shown_short(value: Any, words: str) -> None:
    assert shown(value) == words


def test_a_complaint_gathers_its_path_from_the_inside_out() -> None:
    kinds: Reader[dict[str, object]] = tagged({"x": record(dict, {"names": mapping(array(text()))})})
    with pytest.raises(Wrong) as caught:
        array(kinds)([{"type": "x"}, {"type": "x", "names": {"a": [], "b": ["", 5]}}])
    assert spelled_path(reversed(caught.value.steps)) == "[1].names.b[1]"
    assert caught.value.complaint == "must be a string, not 5"
