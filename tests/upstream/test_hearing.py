"""One attempt's answer as a machine: the laws over every recorded answer, and what ends it, as a table."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.record import MEDIA_TYPES, Cassette, cassettes, encode
from tests.routing.catalogs import endpoint
from trunkline.adapters.contract import Decoder, Exchange
from trunkline.adapters.table import ADAPTERS
from trunkline.stream.deltas import Began, Delta, Failed, Reasoning, Spent, Stopped, Text, Usage
from trunkline.upstream.hearing import Hearing
from trunkline.wire import Fault, UpstreamRequest, WireMessage

SENT = UpstreamRequest("POST", "https://api.acme.example/v1/x", {}, b"{}")
ANSWERS = [(cassette, suffix) for cassette in cassettes() if cassette.status < 300 for suffix in cassette.answers]
every_answer = pytest.mark.parametrize(
    ("cassette", "suffix"), ANSWERS, ids=[cassette.name + suffix for cassette, suffix in ANSWERS]
)


@dataclass(frozen=True)
class Heard:
    deltas: list[Delta]
    fault: Fault | None
    usage: Usage | None
    has_spoken: bool
    has_end_mark: bool
    asks_on: bool


def hear(hearing: Hearing, reads: Iterable[bytes], broken: Fault | None = None) -> Heard:
    """Drive a machine through one exchange as `attempts.py` does."""
    deltas: list[Delta] = []
    for piece in reads:
        if piece and not hearing.is_over:
            deltas += hearing.feed(piece)
    if not hearing.is_over:
        deltas += hearing.ended(broken)
    asks_on = hearing.exchange is not None
    fault = None if asks_on else hearing.fault
    return Heard(deltas, fault, hearing.usage, hearing.has_spoken, hearing.has_end_mark, asks_on)


def recorded(cassette: Cassette, suffix: str) -> Hearing:
    decoder = ADAPTERS[cassette.endpoint.dialect].decoder(cassette.request, cassette.endpoint)
    return Hearing(decoder, cassette.endpoint, encode(cassette), MEDIA_TYPES[suffix])


@every_answer
@pytest.mark.law
def test_law_1_single_bytes_are_heard_alike(cassette: Cassette, suffix: str) -> None:
    answer = cassette.answers[suffix]
    bytewise = hear(recorded(cassette, suffix), (bytes([byte]) for byte in answer))
    assert bytewise == hear(recorded(cassette, suffix), [answer])


@every_answer
@pytest.mark.law
def test_law_1_what_is_all_here_is_heard_alike(cassette: Cassette, suffix: str) -> None:
    answer, hearing = cassette.answers[suffix], recorded(cassette, suffix)
    deltas = hearing.whole(answer)
    asks_on = hearing.exchange is not None
    fault = None if asks_on else hearing.fault
    told = Heard(deltas, fault, hearing.usage, hearing.has_spoken, hearing.has_end_mark, asks_on)
    assert told == hear(recorded(cassette, suffix), [answer])
    assert hearing.has_failed_whole is (suffix == ".json" and hearing.is_over and fault is not None)


@every_answer
@pytest.mark.law
def test_law_1_any_cuts_are_heard_alike(cassette: Cassette, suffix: str) -> None:
    # Without Hypothesis, which took five times what it asked for: a list of places is not worth making smaller.
    answer, chance = cassette.answers[suffix], random.Random(cassette.name + suffix)
    whole = hear(recorded(cassette, suffix), [answer])
    for _ in range(10):
        places = sorted(chance.choices(range(len(answer) + 1), k=chance.randint(1, 12)))
        reads = [answer[start:end] for start, end in zip([0, *places], [*places, len(answer)], strict=True)]
        assert hear(recorded(cassette, suffix), reads) == whole, places


@every_answer
@pytest.mark.law
def test_an_answer_that_breaks_off_before_its_end_is_a_fault(cassette: Cassette, suffix: str) -> None:
    answer = cassette.answers[suffix]
    whole = hear(recorded(cassette, suffix), [answer])
    broken = Fault("unavailable", "the connection broke")
    for place in range(0, len(answer), max(1, len(answer) // 25)):
        cut = hear(recorded(cassette, suffix), [answer[:place]], broken)
        assert cut.fault is not None or cut.asks_on or any(isinstance(delta, Stopped) for delta in cut.deltas)
        assert cut.has_spoken <= whole.has_spoken or whole.fault is not None


@every_answer
def test_the_first_delta_is_the_beginning_and_nothing_of_a_failure_is_given_on(cassette: Cassette, suffix: str) -> None:
    heard = hear(recorded(cassette, suffix), [cassette.answers[suffix]])
    assert all(isinstance(delta, Began) == (index == 0) for index, delta in enumerate(heard.deltas))
    assert not any(isinstance(delta, Failed) for delta in heard.deltas)


class Scripted(Decoder):
    """Says of each message what a test wants: a word, a pause, a failure, the end."""

    def __init__(self, exchanges: Iterable[Exchange | None] = ()) -> None:
        self.is_done = False
        self._exchanges = iter(exchanges)

    def message(self, message: WireMessage) -> list[Delta]:
        return self.whole(message.data)

    def whole(self, body: bytes) -> list[Delta]:
        out: list[Delta] = []
        for word in body.decode().split():
            match word:
                case "empty":
                    out.append(Text(0, ""))
                case "thought":
                    out.append(Reasoning(1, "hm"))
                case "spent":
                    out.append(Spent(Usage(output_tokens=3)))
                case "stop":
                    out.append(Stopped("stop"))
                case "fail":
                    out.append(Failed(Fault("overloaded", "busy")))
                case "mark":
                    self.is_done = True
                case _:
                    out.append(Text(0, word))
        return out

    def next_exchange(self, sent: UpstreamRequest, fault: Fault | None) -> Exchange | None:
        return next(self._exchanges, None)


def stream(*messages: str) -> list[bytes]:
    return [f"data: {message}\n\n".encode() for message in messages]


BROKEN = Fault("silent", "no byte in time")


@dataclass(frozen=True)
class Case:
    id: str
    reads: list[bytes]
    fault: str | None
    has_spoken: bool
    broken: Fault | None = None
    media_type: str = "text/event-stream"


CASES = [
    Case("it stops and closes", stream("a", "stop"), None, True),
    Case("it says itself that it is over", stream("a", "stop", "mark", "late"), None, True),
    Case("it closes without having stopped", stream("a"), "the answer was cut off", True),
    Case("it breaks off", stream("a"), "no byte in time", True, BROKEN),
    Case("it breaks off after it stopped", stream("a", "stop"), None, True, BROKEN),
    Case("it fails", stream("a", "fail"), "busy", True),
    Case("it fails at once, with what was spent", stream("spent fail"), "busy", False),
    Case("it says nothing but empty pieces", stream("empty", "empty spent"), "the answer was cut off", False),
    Case("it only thinks", stream("thought stop"), None, True),
    Case("a whole body", [b"a ", b"stop"], None, True, None, "application/json"),
    Case(
        "a whole body that breaks off says nothing", [b"a stop"], "no byte in time", False, BROKEN, "application/json"
    ),
    Case("bytes that break the framing", [b"a", b"b" * 4], "the answer was cut off", False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_how_an_answer_ends(case: Case) -> None:
    heard = hear(Hearing(Scripted(), endpoint(), SENT, case.media_type), case.reads, case.broken)
    assert (heard.fault and heard.fault.message) == case.fault
    assert heard.has_spoken is case.has_spoken


def test_only_output_is_progress() -> None:
    hearing = Hearing(Scripted(), endpoint(), SENT, "text/event-stream")
    progress = []
    for piece in [b": ping\n\n", *stream("empty", "spent", "a", "empty")]:
        hearing.feed(piece)
        progress.append(hearing.has_progressed)
    assert progress == [False, False, False, True, False]


def test_blanks_before_a_whole_body_are_no_progress() -> None:
    hearing = Hearing(Scripted(), endpoint(), SENT, "application/json")
    assert hearing.feed(b" \n") == []
    assert not hearing.has_progressed
    hearing.feed(b"a")
    assert hearing.has_progressed


def test_an_answer_may_take_several_exchanges() -> None:
    again = Exchange(UpstreamRequest("GET", "https://api.acme.example/v1/job", {}, b""))
    hearing = Hearing(Scripted([again, again, None]), endpoint(), SENT, "application/json")
    assert hearing.ended() == []
    assert hearing.exchange is again
    assert hearing.refused(BROKEN), "it is asked again"
    hearing.resume("application/json")
    hearing.feed(b"a stop")
    deltas: list[Any] = hearing.ended()
    assert [type(delta) for delta in deltas] == [Began, Text, Stopped]
    assert hearing.is_over
    assert hearing.fault is None
    assert hearing.sent is again.request


@dataclass(frozen=True)
class CapCase:
    id: str
    pieces: list[str]
    is_passed: bool


CAP_CASES = [
    CapCase("as many words as tokens", ["word"] * 100, False),
    CapCase("long words", ["internationalization"] * 40, False),
    CapCase("a table whose lines are a token each", ["-" * 120] * 100, False),
    CapCase("an indent at each line", [" " * 64, "x"] * 50, False),
    CapCase("a thousand words", ["word-12"] * 1_000, True),
    CapCase("an answer in one long piece is given on whole", [f"{'word-12_' * 1_000}"], True),
]


@pytest.mark.parametrize("case", CAP_CASES, ids=lambda case: case.id)
def test_ST_16_an_answer_is_cut_where_it_must_have_passed_its_cap(case: CapCase) -> None:
    hearing = Hearing(Scripted(), endpoint(), SENT, "text/event-stream", 100)
    deltas: list[Delta] = []
    for piece in case.pieces:
        if hearing.is_over:
            break
        deltas += hearing._heard([Text(0, piece)])
    assert hearing.is_over is case.is_passed
    if case.is_passed:
        assert deltas[-1] == Stopped("length")
        assert hearing.fault is None
        assert not hearing.has_end_mark


def test_ST_16_the_providers_own_count_goes_before_the_estimate() -> None:
    hearing = Hearing(Scripted(), endpoint(), SENT, "text/event-stream", 2)
    assert hearing.feed(stream("a spent")[0])[-1] == Stopped("length")
    assert hearing.is_over
