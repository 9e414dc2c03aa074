"""The calls of a conversation and their results, in the one order that every provider takes; thoughts as they stood.

It encodes nothing, and leaves an input without calls and thoughts as it is. Clients send what happened: a message that
the user, or the client, put in while a tool ran; a call that was interrupted; ids that come again; arguments cut short.
OpenAI's Chat Completions, DeepSeek, the Messages API and vLLM refuse one or the other, on that turn and on every later
one, since it stays in the history. Seen 2026-11-27:
https://github.com/router-for-me/CLIProxyAPI/pull/3239, https://github.com/MayDay-wpf/snow-app/pull/9,
https://github.com/letta-ai/letta/issues/3308, https://github.com/ducks/claux/issues/40,
https://github.com/vllm-project/vllm/issues/47761, https://github.com/justrach/codegraff/issues/752.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from trunkline.adapters.encoding.call_ids import hashed_id
from trunkline.adapters.encoding.thought_places import placed
from trunkline.adapters.encoding.tools import arguments_object
from trunkline.protocol.items import (
    CustomCallItem,
    CustomCallOutput,
    FunctionCallItem,
    FunctionCallOutput,
    InputItem,
    LocalShellCallItem,
    LocalShellCallOutput,
    ToolSearchCallItem,
    ToolSearchOutput,
)
from trunkline.protocol.pairs import (
    OUTPUTS,
    Call,
    Output,
    answered_call,
    call_id_of,
    is_from_outside,
    last_message,
    pairs_of,
)
from trunkline.wire import UNREADABLE

_read_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

UNANSWERED = "[No result: this call was not answered. It may or may not have been carried out.]"
"""The result of a call that the client sent none for. It does not say that nothing was done, which nobody knows."""


def settled(items: tuple[InputItem, ...]) -> tuple[InputItem, ...]:
    """The input with the results of each round of calls right behind it, one for every call, under ids of their own.

    What stood between a call and its result comes after the results of the round; a call that was interrupted gets a
    result that says so; the same result said twice is said once. Arguments that are no JSON object become one that
    holds them. Thoughts stand where their tags say that they stood.
    """
    items = placed(items)
    if OUTPUTS.keys().isdisjoint(map(type, items)):
        return items
    return tuple(_Settling(items).run())


class _Settling:
    """One input being put in order. `_round` are the places of the calls whose results are due."""

    def __init__(self, items: tuple[InputItem, ...]) -> None:
        self._items = items
        self._ids = [call_id_of(item) for item in items]
        self._results = pairs_of(items)
        self._answering = set(self._results.values())
        self._last_message = last_message(items)
        self._round: list[int] = []
        self._uses: dict[str, int] = {}
        self._found: list[InputItem] = []

    def run(self) -> list[InputItem]:
        for place, (item, call_id) in enumerate(zip(self._items, self._ids, strict=True)):
            if call_id is not None:
                self._round.append(place)
                self._uses[call_id] = self._uses.get(call_id, 0) + 1
                self._found.append(self._named(_with_object(item), call_id))
            elif place in self._answering:
                if self._round:
                    self._end_round()
            elif (named := answered_call(item, self._items, {})) is not None:
                self._end_round()
                if named not in self._uses:
                    self._found.append(item)
            else:
                if is_from_outside(item):
                    self._end_round()
                self._found.append(item)
        self._end_round()
        return self._found

    def _end_round(self) -> None:
        """Put the results behind the calls, in the client's order, and last those that it did not send."""
        calls, self._round = self._round, []
        answered = [(self._results[call], str(self._ids[call])) for call in calls if call in self._results]
        for place, call_id in sorted(answered):
            self._found.append(self._named(self._items[place], call_id))
        if len(answered) == len(calls):
            return
        for call in calls:
            if call not in self._results and call < self._last_message:
                call_id = str(self._ids[call])
                self._found.append(self._named(_unanswered(self._items[call], call_id), call_id))

    def _named(self, item: InputItem, call_id: str) -> InputItem:
        """A call or its result under an id that nothing before its round has."""
        uses = self._uses[call_id]
        if uses == 1 or not isinstance(item, Call | Output):
            return item
        return replace(item, call_id=f"call_{hashed_id(f'{call_id}/{uses}', 20)}")


def _unanswered(call: InputItem, call_id: str) -> InputItem:
    match call:
        case CustomCallItem():
            return CustomCallOutput(call_id=call_id, output=UNANSWERED)
        case ToolSearchCallItem():
            return ToolSearchOutput(call_id=call_id, tools=())
        case LocalShellCallItem():
            return LocalShellCallOutput(call_id=call_id, output=UNANSWERED)
        case _:
            return FunctionCallOutput(call_id=call_id, output=UNANSWERED)


def _with_object(call: InputItem) -> InputItem:
    if not isinstance(call, FunctionCallItem):
        return call
    try:
        _read_object(call.arguments)
    except UNREADABLE:
        return replace(call, arguments=_encode(arguments_object(call.arguments)).decode())
    return call
