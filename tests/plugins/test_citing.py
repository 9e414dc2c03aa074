"""Citations in the deltas of an answer: each covers its link in the text that the client gets, however it comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest

from tests.stream.deltas_strategy import assemble
from trunkline.plugins.citing import Citing, normalised
from trunkline.protocol.events import AnnotationAdded, ContentPartDone, Event, OutputTextDelta
from trunkline.protocol.items import Message, OutputText, UrlCitation
from trunkline.protocol.opaque import ServerItem
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Citation,
    Closed,
    Delta,
    FunctionCall,
    Opaque,
    Phase,
    Reasoning,
    ReasoningSeal,
    Refusal,
    Search,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.upstream.engines.found import Result

A, B = "https://a.example/x", "https://www.b.example/b/?q=1&utm_source=us#part"
RESULTS = [Result("Page A", A, "…"), Result("", B, "…"), Result("Later", "http://a.example/x/", "…")]


def citing() -> Citing:
    machine = Citing()
    machine.learn(RESULTS)
    return machine


def through(batches: Iterable[Sequence[Delta]]) -> list[Delta]:
    machine = citing()
    return [delta for batch in batches for delta in machine.feed(list(batch))]


def cited_texts(events: Sequence[Event]) -> list[tuple[str, str]]:
    """What is cited, by the text of the part that holds it, and the title."""
    response: Any = events[-1]
    messages = [item for item in response.response.output if isinstance(item, Message)]
    parts = [part for item in messages for part in item.content if isinstance(part, OutputText)]
    notes = [(part.text, note) for part in parts for note in part.annotations if isinstance(note, UrlCitation)]
    return [(text[note.start_index : note.end_index], note.title) for text, note in notes]


LINK = f"[a]({A})"
CASES: dict[str, tuple[list[Delta], list[str]]] = {
    "over several pieces": ([Text(0, "Grüße 🪁 [a"), Text(0, "](https://a.exam"), Text(0, "ple/x).")], [LINK]),
    "at the very end": ([Text(0, f"See {A}")], [A]),
    "two slots": ([Text(0, f"See {A}"), Text(1, f"And {LINK}")], [A, LINK]),
    "a slot that was closed": ([Text(0, f"See {A}"), Closed(0), Text(0, f"And {LINK}")], [A, LINK]),
    "another slot is closed": ([Text(0, "See [a"), Closed(1), Text(0, f"]({A})")], [LINK]),
    "a refusal between": ([Text(0, f"See {A}"), Refusal(0, "No."), Text(0, f"And {LINK}")], [A, LINK]),
    "a thought between": ([Text(0, f"See {A}"), Reasoning(0, "Hm."), Text(0, f"And {LINK}")], [A, LINK]),
    "a call between": (
        [Text(0, f"See {A}"), FunctionCall(0, "c", "f"), Arguments(0, "{}"), Text(0, f"And {LINK}")],
        [A, LINK],
    ),
    "nothing said between": (
        [Text(0, "See [a"), Reasoning(0, ""), Refusal(0, ""), Text(1, ""), Spent(Usage()), Text(0, f"]({A})")],
        [LINK],
    ),
    "a search that is over": (
        [Search(0, "web", "searching"), Text(0, "See [a"), Search(0, "web", "completed"), Text(0, f"]({A})")],
        [LINK],
    ),
    "another search": ([Text(0, f"See {A}"), Search(0, "web", "completed"), Text(0, f"And {LINK}")], [A, LINK]),
    "an item that is over": (
        [
            Opaque(0, ServerItem({"type": "mcp_call"}), True),
            Text(0, "See [a"),
            Opaque(0, ServerItem({"type": "mcp_call"}), True),
            Text(0, f"]({A})"),
        ],
        [LINK],
    ),
    "a proof that was awaited": (
        [
            Reasoning(0, "Hm."), ReasoningSeal(0, is_awaited=True),
            Text(0, "See [a"), ReasoningSeal(0, "p"), Text(0, f"]({A})"),
        ],
        [LINK],
    ),
    "a proof of another thought": ([Text(0, f"See {A}"), ReasoningSeal(1, "p"), Text(0, f"And {LINK}")], [A, LINK]),
    "a phase": ([Phase(0, "commentary"), Text(0, "See [a"), Phase(0, "final"), Text(0, f"]({A})")], [LINK]),
    "a citation of somebody else's": (
        [Text(0, "See [a"), Citation(0, UrlCitation("https://c.example", "C", 0, 3)), Text(0, f"]({A})")],
        ["See", LINK],
    ),
    "what was not found, and a mark": ([Text(0, "[c](https://c.example) [1] https://c.example")], []),
    "another spelling of the same page": (
        [Text(0, "[b](b.example/b?q=1) https://b.example/b/?q=1#top [b](https://b.example/b)")],
        ["[b](b.example/b?q=1)", "https://b.example/b/?q=1#top"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("deltas", "expected"), CASES.values(), ids=CASES)
def test_each_slice_is_its_link_at_any_cut(deltas: list[Delta], expected: list[str]) -> None:
    told = [Began("m"), *deltas, Stopped("stop")]
    events = assemble(*through([told]))
    assert [text for text, _ in cited_texts(events)] == expected
    dice = Random(13)
    for _ in range(300 // len(CASES) + 1):
        pieces = [piece for delta in told for piece in _cut(delta, dice)]
        cuts = sorted(dice.choices(range(len(pieces) + 1), k=3))
        batches = [pieces[start:end] for start, end in zip([0, *cuts], [*cuts, len(pieces)], strict=True)]
        assert cited_texts(assemble(*through(batches))) == cited_texts(events)
    plain = [delta for delta in through([told]) if not isinstance(delta, Citation)]
    assert plain == [delta for delta in told if not isinstance(delta, Citation)]


def _cut(delta: Delta, dice: Random) -> list[Delta]:
    if not isinstance(delta, Text) or not delta.text:
        return [delta]
    cuts = sorted(dice.choices(range(len(delta.text) + 1), k=dice.randint(0, 4)))
    bounds = zip([0, *cuts], [*cuts, len(delta.text)], strict=True)
    return [Text(delta.slot, delta.text[start:end]) for start, end in bounds]


def test_a_citation_follows_its_link_and_comes_before_the_part_is_done() -> None:
    deltas = through([[Began("m"), Text(0, LINK), Text(0, f" and {B}"), Stopped("stop")]])
    told = [type(event) for event in assemble(*deltas)]
    kinds = (OutputTextDelta, AnnotationAdded, ContentPartDone)
    assert [kind for kind in told if kind in kinds] == [
        OutputTextDelta, AnnotationAdded, OutputTextDelta, AnnotationAdded, ContentPartDone
    ]  # fmt: skip


def test_what_a_citation_says() -> None:
    told = [
        d.annotation
        for d in through([[Text(0, f"[x]({A}#s) [y](b.example/b?q=1)"), Closed(0)]])
        if isinstance(d, Citation)
    ]
    assert told == [
        UrlCitation(f"{A}#s", "Page A", 0, len(A) + 7),
        # A scheme that the text leaves out is the page's; without a title its host is one.
        UrlCitation(B, "www.b.example", len(A) + 8, len(A) + 28),
    ]


def test_where_nothing_was_found_the_same_list_goes_on() -> None:
    batch: list[Delta] = [Text(0, LINK)]
    assert Citing().feed(batch) is batch


def test_what_is_learnt_between_two_turns_is_cited_from_there_on() -> None:
    machine = Citing()
    assert machine.feed([Text((1, 0), LINK), Stopped("calls")]) == [Text((1, 0), LINK), Stopped("calls")]
    machine.learn(RESULTS)
    assert [type(delta) for delta in machine.feed([Text((2, 0), LINK)])] == [Text, Citation]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.example", "http://www.A.example/"),
        ("https://a.example/x/?utm_source=a&q=1&utm_medium=b#c", "a.example/x?q=1"),
        ("https://a.example/%C3%A5", "https://a.example/å"),
        ("https://a.example/?", "https://a.example"),
    ],
)
def test_two_spellings_of_one_page(one: str, other: str) -> None:
    assert normalised(one) == normalised(other) != ""


@pytest.mark.parametrize(
    "other", ["https://b.example/x", "https://a.example/X", "https://a.example/x?q=1", "https://x@a.example/x"]
)
def test_two_pages(other: str) -> None:
    assert normalised(other) != normalised(A)


@pytest.mark.parametrize("nowhere", ["", "https://", "#top", "/", "https://#", "?q=1"])
def test_what_leads_nowhere_is_nothing_that_can_be_found(nowhere: str) -> None:
    machine = Citing()
    machine.learn([Result("", nowhere, "")])
    assert normalised(nowhere) == ""
    assert machine._found == {}
