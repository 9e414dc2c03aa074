"""Deltas for property tests: answers as a decoder may tell them, and deltas in orders no decoder should.

Also the shortest way from deltas to events. It asserts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import get_args

from hypothesis import strategies as st

from trunkline.faces.responses.assemble import Assembler
from trunkline.protocol.events import Event
from trunkline.protocol.items import FileCitation, FilePath, Logprob, TopLogprob, UrlCitation
from trunkline.protocol.opaque import AnthropicItem, ServerItem
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Began,
    CallKind,
    Citation,
    Closed,
    Cost,
    Delta,
    Failed,
    FunctionCall,
    Image,
    Opaque,
    Phase,
    Reasoning,
    ReasoningSeal,
    ReasoningSummary,
    Refusal,
    Search,
    Spent,
    Stopped,
    Text,
    Usage,
)
from trunkline.wire import Fault

MODEL = "acme/large-1"
STARTED, ENDED = 1_700_000_000.75, 1_700_000_009.25

SLOTS = st.integers(0, 2)
TEXTS = st.one_of(st.sampled_from(["", "a", "é", "\n\ndata: x\n\n", "\u2028"]), st.text(max_size=8))
COUNTS = st.integers(0, 10_000)
DOLLARS = st.decimals(0, 100, places=9)
FORMATS = st.sampled_from(["unknown", "openai-responses-v1", "anthropic-claude-v1", "google-gemini-v1"])

LOGPROBS = st.lists(
    st.builds(
        Logprob,
        token=TEXTS,
        bytes=st.just((97,)),
        logprob=st.floats(-9, 0),
        top_logprobs=st.just((TopLogprob("b", (98,), -1.5),)),
    ),
    max_size=2,
).map(tuple)
ANNOTATIONS = st.one_of(
    st.builds(UrlCitation, url=st.just("https://example.org"), title=TEXTS, start_index=COUNTS, end_index=COUNTS),
    st.builds(FileCitation, file_id=TEXTS, filename=TEXTS, index=COUNTS),
    st.builds(FilePath, file_id=TEXTS, index=COUNTS),
)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
)
COSTS = st.builds(
    Cost, total=st.none() | DOLLARS, input=DOLLARS, output=DOLLARS, is_byok=st.booleans(), upstream=st.none() | DOLLARS
)

TEXT = st.builds(Text, SLOTS, TEXTS, LOGPROBS)
REFUSAL = st.builds(Refusal, SLOTS, TEXTS)
REASONING = st.builds(Reasoning, SLOTS, TEXTS)
SUMMARY = st.builds(ReasoningSummary, SLOTS, TEXTS, st.integers(0, 2))
SEAL = st.builds(ReasoningSeal, SLOTS, encrypted=st.none() | TEXTS, signature=st.none() | TEXTS, format=FORMATS)
PHASE = st.builds(Phase, SLOTS, st.none() | st.sampled_from(["commentary", "final_answer"]))
KINDS = st.sampled_from(get_args(CallKind))
CALL = st.builds(
    FunctionCall, SLOTS, st.sampled_from(["", "call_a", "call_b"]), st.sampled_from(["look", "sum"]), KINDS
)
OPAQUE = st.tuples(SLOTS, st.booleans()).map(
    lambda p: Opaque(p[0], ServerItem({"type": "mcp_call", "id": f"mcp_{p[0]}", "status": "completed"}), p[1])
) | st.builds(Opaque, SLOTS, st.just(AnthropicItem({"type": "container_upload", "file_id": "file_1"})), st.just(True))
ARGUMENTS = st.builds(Arguments, SLOTS, TEXTS)
CITATION = st.builds(Citation, SLOTS, ANNOTATIONS)
SEARCH = st.builds(
    Search,
    SLOTS,
    st.sampled_from(["web", "file"]),
    st.sampled_from(["in_progress", "searching", "completed", "failed"]),
    st.lists(TEXTS, max_size=2).map(tuple),
)
IMAGE = st.builds(Image, SLOTS, st.sampled_from(["", "iVBORw0=", "AAAA"]), st.booleans())
CLOSED = st.builds(Closed, SLOTS)
SPENT = st.builds(Spent, USAGES, st.none() | COSTS, st.none() | st.sampled_from(["default", "flex", "priority"]))
STOPPED = st.builds(Stopped, st.sampled_from(["stop", "length", "content_filter", "calls"]))
FAILED = st.just(Failed(Fault("nonsense", "no JSON")))

CONTENT = st.one_of(
    TEXT, REFUSAL, REASONING, SUMMARY, SEAL, PHASE, CALL, ARGUMENTS, CITATION, SEARCH, IMAGE, OPAQUE, CLOSED, SPENT
)
"""What may come between beginning and end, in any order: arguments without a call, pieces after `Closed`, and so on."""

ANY_DELTAS: st.SearchStrategy[list[Delta]] = st.lists(
    st.one_of(CONTENT, CONTENT, CONTENT, STOPPED, FAILED, st.builds(Began, st.just(MODEL))), max_size=30
)
"""Deltas that keep no rule at all."""

UNSTOPPED_DELTAS: st.SearchStrategy[list[Delta]] = st.lists(CONTENT, max_size=30)
"""An answer that was cut off."""


@st.composite
def answers(draw: st.DrawFn) -> list[Delta]:
    """One answer that keeps every rule: whole pieces one after another, each with a slot of its own."""
    deltas: list[Delta] = [Began(MODEL)]
    for slot in range(draw(st.integers(0, 5))):
        deltas += draw(_piece(slot))
        deltas += [Closed(slot)] * draw(st.integers(0, 1))
    return [*deltas, draw(SPENT), draw(STOPPED)]


def _piece(slot: int) -> st.SearchStrategy[list[Delta]]:
    texts = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4)
    return st.one_of(
        texts.map(lambda pieces: [Text(slot, piece) for piece in pieces]),
        texts.map(lambda pieces: [Phase(slot, "commentary"), *(Text(slot, piece) for piece in pieces)]),
        texts.map(lambda pieces: [Refusal(slot, piece) for piece in pieces]),
        texts.map(lambda pieces: [*(Reasoning(slot, piece) for piece in pieces), ReasoningSeal(slot, "blob")]),
        texts.map(lambda pieces: [ReasoningSummary(slot, piece, part) for part, piece in enumerate(pieces)]),
        st.tuples(KINDS, texts).map(
            lambda p: [FunctionCall(slot, f"call_{slot}", "look", p[0]), *(Arguments(slot, piece) for piece in p[1])]
        ),
        texts.map(
            lambda t: [
                Search(slot, "web", "in_progress"),
                Search(slot, "web", "completed", query=t[0], sources=tuple(t[1:])),
            ]
        ),
        st.just([Image(slot, "", False), Image(slot, "AAAA", False), Image(slot, "AAAB", True)]),
    )


@st.composite
def reads(draw: st.DrawFn, deltas: Sequence[Delta]) -> list[list[Delta]]:
    """The same deltas, cut into the lists of several network reads."""
    cuts = sorted(draw(st.lists(st.integers(0, len(deltas)), max_size=6)))
    return [list(deltas[start:end]) for start, end in zip([0, *cuts], [*cuts, len(deltas)], strict=True)]


def tokens() -> Iterator[str]:
    """Ids that are the same in every run."""
    return (f"{number:06}" for number in count())


def assembler(request: Request | None = None, *, is_stream: bool = True) -> Assembler:
    return Assembler(request or Request(input=()), "resp_1", tokens(), STARTED, MODEL, is_stream=is_stream)


def assemble(*deltas: Delta, request: Request | None = None) -> list[Event]:
    """Every event of one answer, its end included."""
    machine = assembler(request)
    return [*machine.feed(deltas), *machine.end(ENDED)]


def kind(event: Event) -> str:
    """The `type` of an event as on the wire."""
    return str(event.__struct_config__.tag)


PRICED = Cost(total=3_000_000, input=1_000_000, output=2_000_000)
