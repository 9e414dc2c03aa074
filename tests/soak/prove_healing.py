"""The laws of healing over ten thousand documents, and what a piece of a stream costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import process_time

import pytest

from tests.plugins import test_healing
from trunkline.plugins.healing import Healer

LAWS = (
    test_healing.test_of_eighteen_kinds_of_breakage_and_more_nearly_all_are_restored,
    test_healing.test_SC_08_what_is_legal_is_never_touched_at_any_cut,
    test_healing.test_what_is_told_is_the_beginning_of_legal_json_at_any_moment,
    test_healing.test_cuts_decide_about_nothing_but_when,
    test_healing.test_an_answer_that_was_cut_is_not_completed,
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_over_ten_thousand_documents(law: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_healing, "DOCUMENTS", 10_000)
    law()


def test_a_piece_of_twenty_signs_costs_a_few_microseconds() -> None:
    fact = {"name": "Fact", "text": "The Spree runs through it from the south-east, past the old mills.", "score": 0.5}
    text = json.dumps(
        {"summary": "A city of lakes and music.", "facts": [fact | {"is_sure": True, "tags": ["a", "b"]}] * 60}
    )
    for length in (4, 20):
        cut = [text[at : at + length] for at in range(0, len(text), length)]
        best = min(_seconds(cut) for _ in range(300))
        print(f"{length} signs: {best / len(cut) * 1e6:.2f} µs")


def _seconds(cut: list[str]) -> float:
    began = process_time()
    healer = Healer("{")
    for piece in cut:
        healer.feed(piece)
    healer.end(is_cut=False)
    return process_time() - began
