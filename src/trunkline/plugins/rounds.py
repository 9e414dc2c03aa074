"""Several turns of a model as one answer: its calls of our search are answered by us, and it goes on.

It asks nobody: `course.py` hears the model, makes the searches and gives both here.

Theory of operation
-------------------

**A turn** is what the model says until it stops. Its deltas are told at once, with slots that no other turn has; only
our calls, what it spent and why it stopped are kept. A private assembler folds all of it, as a client would be told it,
for that is what the next turn begins with.

**The turn over** is looked at when all its calls are whole:

    it calls nothing of ours             END, as it ended
    it ran into a limit                  END, as it ended: of a call that was cut nobody knows what it wanted
    it calls ours and the client's       END: the client has to run its own, and could not replay what we find now; so
                                         ours are not made, and the model, asked again, makes them anew
    it was the last, and calls ours      END, as if it had said all it has to say
    else                                 SEARCH, then the next turn

A search is made for each call, but what has to be told instead: that its arguments cannot be read, that no searches are
left, or what the same words found before. What a search finds is told as one item after the other.

**The last turn** comes when no search is left, when three turns in a row brought no new search, or when what is held
for the answer does not pay for more. In it the tools are still declared, because providers want those of the history,
and may not be called. A force to call something holds for the first turn alone.

**What was found** is learnt for the citations of what is said after it. A client that has to run a function of its
own, in a turn after searches, is given it along, as a sealed thought that it replays.

**Ids.** Many hosts count calls from 0 in every answer: a call's id that was used before gets the number of its turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from trunkline.errors import BadGateway
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.echo import CUT_SHORT
from trunkline.generation import Fee
from trunkline.plugins.carried import Pair, pack
from trunkline.plugins.citing import Citing
from trunkline.plugins.searching import SearchStep, later_choice
from trunkline.plugins.web import prompt_text, results_text, within
from trunkline.protocol.content import bytes_of
from trunkline.protocol.items import (
    CustomCallItem,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    InputText,
    Message,
    OutputItem,
)
from trunkline.protocol.items import Found as Page
from trunkline.protocol.opaque import Json
from trunkline.protocol.paths import moved
from trunkline.protocol.request import Request
from trunkline.stream.deltas import (
    Arguments,
    Began,
    Delta,
    Failed,
    FunctionCall,
    ReasoningSeal,
    Search,
    Slot,
    Spent,
    Stopped,
)
from trunkline.upstream.engines.found import Found, Query
from trunkline.wire import UNREADABLE

MOST_IDLE_TURNS: Final = 3

_UNREADABLE: Final = 'This search was not made: its arguments have to be a JSON object with a text "query".'
_NONE_LEFT: Final = "This search was not made: no searches are left. Answer with what you have."


class Asked(NamedTuple):
    """A search to be made, and what it is told as."""

    slot: Slot
    query: Query


class End(NamedTuple):
    """The answer is over; nothing but why is left to tell."""

    deltas: list[Delta]


class Searches(NamedTuple):
    """The searches to be made before the next turn; there may be none."""

    asked: tuple[Asked, ...]


class _Call(NamedTuple):
    """A call of ours: its answer, or where that is yet to be found the words that are searched for."""

    id: str
    answer: str
    words: str = ""


class Rounds:
    """One answer of a request with a search.

    `ids` yields random tokens without end. `request` is that of the turn that runs or is to begin.
    """

    def __init__(self, step: SearchStep, ids: Iterator[str]) -> None:
        self._step = step
        self._ids = ids
        self.request: Request = step.asked
        self.turn = 1
        self._is_last = False
        self._idle_turns = 0
        self._made = 0
        self._held: list[Delta] = []
        self._used_ids = {item.call_id for item in step.asked.input if isinstance(item, FunctionCallItem)}
        self._found: dict[str, Found] = {}
        self._calls: list[_Call] = []
        self._output: tuple[OutputItem, ...] = ()
        self._fees: dict[str, Fee] = {}
        self._ms = 0
        self._results = 0
        self._failed = 0
        self._unmade = 0
        self._added_bytes = 0
        self._citing = Citing()
        self._pairs: list[Pair] = []
        self._is_broke = False
        self._fold: Assembler
        self._stop: Stopped | None
        self._begin_turn()

    @property
    def left(self) -> int:
        """How many searches may still be made."""
        return max(0, self._step.most - self._made)

    @property
    def fees(self) -> tuple[Fee, ...]:
        """What the searches cost until now."""
        return tuple(self._fees.values())

    @property
    def noted(self) -> dict[str, Json]:
        """What is kept on record of the searches."""
        told: dict[str, Json] = {
            "engine": self._step.engine,
            "searches": self._made,
            "results": self._results,
            "ms": self._ms,
        }
        told |= {name: count for name, count in (("failed", self._failed), ("not_made", self._unmade)) if count}
        return told

    # The plugin's own search

    def first_search(self) -> Asked:
        """The search that the plugin makes before the model is asked."""
        self._made += 1
        return Asked((0, "search", 0), self._step.query(self._step.query_text))

    def prompt(self, found: Found) -> None:
        """Put what the first search found before the last turn, as words of the user: those of a system are cached."""
        if found.problem:
            return
        items = self.request.input
        place = next((at for at in range(len(items) - 1, -1, -1) if _is_of_user(items[at])), len(items))
        said = Message(role="user", content=(InputText(prompt_text(self._step.prompt, found)),))
        places = (*range(place), None, *range(place, len(items)))
        self.request = replace(
            self.request,
            input=(*items[:place], said, *items[place:]),
            measured=None,
            paths=moved(self.request.paths, places),
        )

    def hold(self, deltas: list[Delta]) -> None:
        """Keep what is to be told once the model has begun to answer."""
        self._held += deltas

    # A turn

    def feed(self, batch: list[Delta]) -> list[Delta]:
        """Hear what the model says; give what is told of it."""
        told: list[Delta] = []
        heard: list[Delta] = []
        for delta in batch:
            match delta:
                case Spent() | Failed():
                    continue
                case Stopped():
                    self._stop = self._stop or delta
                case Began():
                    if self.turn == 1:
                        told.append(delta)
                case FunctionCall():
                    delta = self._named(delta)
                    if not self._is_ours(delta):
                        told += self._carry()
                        told.append(replace(delta, slot=(self.turn, delta.slot)))
                case Arguments() if delta.slot in self._ours:
                    pass
                case _:
                    told.append(replace(delta, slot=(self.turn, delta.slot)))
            heard.append(delta)
        self._fold.feed(heard)
        if self._held and told:
            # What came before the model began follows what says which model it is.
            at = 1 if type(told[0]) is Began else 0
            told[at:at], self._held = self._held, []
        return self._citing.feed(told)

    def turn_over(self) -> End | Searches:
        """Say what comes after a turn that ended well."""
        self._fold.end(0.0)
        self._output = self._fold.response.output
        calls = [item for item in self._output if isinstance(item, FunctionCallItem) and item.name == self._step.name]
        if not calls or self._stop is None or self._stop.reason in CUT_SHORT or not self._step.is_offered:
            return self._end(self._stop)
        if self._has_clients_call or self._is_last:
            self._unmade += len(calls)
            return self._end(Stopped("calls" if self._has_clients_call else "stop"))
        asked: list[Asked] = []
        self._calls = [self._answer(call, asked) for call in calls]
        self._idle_turns = 0 if asked else self._idle_turns + 1
        return Searches(tuple(asked))

    def refuse(self, asked: tuple[Asked, ...]) -> None:
        """Answer the calls of searches that cannot be paid for; there will be no more."""
        self._made -= len(asked)
        self._is_broke = True
        words = {_words(each.query.text) for each in asked}
        self._calls = [_Call(call.id, _NONE_LEFT) if call.words in words else call for call in self._calls]

    def next_turn(self) -> int:
        """Begin the next turn, when all its searches are made; by how many bytes its request is longer."""
        self._used_ids.update(
            item.call_id for item in self._output if isinstance(item, FunctionCallItem | CustomCallItem)
        )
        answers = [FunctionCallOutput(call_id=call.id, output=self._told(call)) for call in self._calls]
        made = {item.call_id: item for item in self._output if isinstance(item, FunctionCallItem)}
        for item in answers:
            assert isinstance(item.output, str)
            self._pairs.append(Pair(item.call_id, self._step.name, made[item.call_id].arguments, item.output))
        added_bytes = sum(bytes_of(item.output) for item in answers if isinstance(item.output, str))
        self.request = replace(
            self.request,
            input=(*self.request.input, *self._output, *answers),
            tool_choice=later_choice(self.request.tool_choice, self._step.name),
            is_text_alone=False,
            measured=None,
        )
        self._added_bytes += added_bytes
        self.turn += 1
        self._begin_turn()
        return self._added_bytes

    def bound(self, may_search: bool, max_output_tokens: int | None) -> None:
        """Say what the turn that begins may still have."""
        self._is_last = self._is_broke or not may_search or not self.left or self._idle_turns >= MOST_IDLE_TURNS
        choice = "none" if self._is_last else self.request.tool_choice
        self.request = replace(self.request, tool_choice=choice, max_output_tokens=max_output_tokens)

    # A search

    def begun(self, asked: Asked) -> list[Delta]:
        """Tell that a search has begun."""
        return self._citing.feed([Search(asked.slot, "web", "in_progress", (asked.query.text,))])

    def paid(self, found: Found) -> None:
        """Note what an engine answered, at once: it is paid for, whoever is there to be told."""
        self._ms += round(found.took_s * 1000)
        if found.problem:
            self._failed += 1
            return
        before = self._fees.get(found.engine, Fee("search", found.engine, 0, 0))
        self._fees[found.engine] = Fee("search", found.engine, before.count + 1, before.nano + found.fee_nano)

    def ended(self, asked: Asked, found: Found) -> list[Delta]:
        """Tell what came of a search."""
        found = found._replace(results=within(found.results, self._step.domains))
        self._found[_words(asked.query.text)] = found
        self._results += len(found.results)
        sources = tuple(dict.fromkeys(each.url for each in found.results))
        status: Literal["failed", "completed"] = "failed" if found.problem else "completed"
        pages = {each.url: Page(each.url, each.title, each.date or None) for each in reversed(found.results)}
        results = tuple(pages.values())[::-1]
        told = self._citing.feed(
            [Search(asked.slot, "web", status, (asked.query.text,), sources=sources, results=results)]
        )
        self._citing.learn(found.results)
        return told

    def found(self, asked: Asked) -> Found:
        """What came of a search that has ended."""
        return self._found[_words(asked.query.text)]

    # Inside

    def _begin_turn(self) -> None:
        self._fold = Assembler(self.request, "", self._ids, 0.0, "", is_stream=False)
        self._stop = None
        self._ours: set[Slot] = set()
        self._has_clients_call = False

    def _named(self, call: FunctionCall) -> FunctionCall:
        """The call under an id that no earlier turn has used."""
        return replace(call, call_id=f"{call.call_id}_{self.turn}") if call.call_id in self._used_ids else call

    def _is_ours(self, call: FunctionCall) -> bool:
        if self._step.is_offered and call.kind == "function" and call.name == self._step.name and not call.namespace:
            self._ours.add(call.slot)
            return True
        self._ours.discard(call.slot)
        return False

    def _carry(self) -> list[Delta]:
        """Note that the client has to run a call; what was found goes with the first, as it could not be replayed."""
        is_first, self._has_clients_call = not self._has_clients_call, True
        packed = pack(self._pairs) if is_first and self._step.carries_results else ""
        return [ReasoningSeal((self.turn, "found"), packed)] if packed else []

    def _end(self, stop: Stopped | None) -> End:
        return End([] if stop is None else self._citing.feed([stop]))

    def _answer(self, call: FunctionCallItem, asked: list[Asked]) -> _Call:
        """Answer a call, or have its search made."""
        text = _query_of(call.arguments)
        if not text:
            return _Call(call.call_id, _UNREADABLE)
        query = self._step.query(text)
        words = _words(query.text)
        if words not in self._found and words not in {_words(each.query.text) for each in asked}:
            if not self.left:
                return _Call(call.call_id, _NONE_LEFT)
            self._made += 1
            asked.append(Asked((self.turn, "search", len(asked)), query))
        return _Call(call.call_id, "", words)

    def _told(self, call: _Call) -> str:
        return call.answer or results_text(self._found[call.words], call.words)


def error_of(found: Found) -> BadGateway:
    """The error of an answer that is not to go on without a search."""
    return BadGateway(f"The search engine {found.engine} failed: {found.problem}.")


def _words(text: str) -> str:
    return " ".join(text.split()).casefold()


def _is_of_user(item: InputItem) -> bool:
    return isinstance(item, Message) and item.role == "user"


def _query_of(arguments: str) -> str:
    """What a call searches for; nothing where that cannot be read."""
    try:
        query = msgspec.json.decode(arguments, type=_Arguments).query
    except UNREADABLE:
        return ""
    return " ".join(query.split())


class _Arguments(msgspec.Struct):
    query: str
