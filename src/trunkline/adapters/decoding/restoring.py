"""The calls of a model, told as calls of the client's own tools.

Around any dialect's decoder, where a request offers tools under other names, or as functions, than the client knows
them. Only there: a request whose tools are all plain costs nothing.

Theory of operation. A call whose name stands for a tool of the client's begins as a call of that tool, of its kind,
name and namespace. Arguments of a function pass; those of another kind go through a machine of `unwrapping.py`, which
says what is left when the call is over: closed, or followed by something that is no call, or the answer stopped. Names
that stand for nothing pass, for models invent names; one that is spelled a little differently is taken for the only
tool it can mean.

A call that plainly is but half is never ended, however the provider ends it: where the answer was cut it stays open,
else it is a fault of the provider's. Dialects close what ran into a limit before they say that it did, so what comes
after a closed half decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec.structs import replace

from trunkline.adapters.decoding.around import Around, Heard
from trunkline.adapters.decoding.faults import nonsense
from trunkline.adapters.decoding.unwrapping import Object, RawText, Unwrapping, as_action, as_query
from trunkline.adapters.naming import Called, WireNames
from trunkline.stream.deltas import (
    Arguments,
    CallKind,
    Closed,
    Delta,
    Failed,
    FunctionCall,
    Reasoning,
    ReasoningSummary,
    Refusal,
    Slot,
    Spent,
    Stopped,
    Text,
)

_MACHINES: Mapping[CallKind, Callable[[], Unwrapping]] = {
    "custom": RawText,
    "tool_search": lambda: Object(as_query),
    "local_shell": lambda: Object(as_action),
}

_SEPARATORS = ("__", ".", "/", ":")
_OPENAI_PREFIX = "functions."
"""What models that were trained on OpenAI's own form put before the name of a function that has no namespace."""

_HALF = Failed(nonsense("the arguments of a call end too early"))


class RestoringDecoder(Around):
    """Tells calls as those of the client's tools; `plain` are the names of those that are offered as they are."""

    def __init__(self, inner: Heard, names: WireNames, plain: Collection[str] = ()) -> None:
        super().__init__(inner)
        self._names = names
        self._plain = plain
        self._said: dict[Slot, FunctionCall] = {}
        self._open: dict[Slot, Unwrapping] = {}
        self._has_half = False

    def _turned(self, delta: Delta) -> Sequence[Delta]:
        match delta:
            case Spent() | Failed():
                return (delta,)
            case Stopped(reason="length" | "content_filter"):
                return (delta,)
            case Closed(slot=slot):
                return self._closed(slot, delta) if slot in self._open else (delta,)
            case _ if self._has_half:
                return (_HALF,)
            case Arguments(slot=slot, text=text):
                machine = self._open.get(slot)
                if machine is None:
                    return (delta,)
                told = machine.feed(text)
                return (Arguments(slot, told),) if told else ()
            case FunctionCall():
                return self._called(delta)
            case Text(text="") | Reasoning(text="") | ReasoningSummary(text="") | Refusal(text=""):
                return (delta,)
            case _:
                return self._followed(delta)

    def _passes_text(self, slot: Slot) -> bool:
        return not self._open and not self._has_half

    def _called(self, call: FunctionCall) -> Sequence[Delta]:
        if call.slot in self._open:
            if self._said[call.slot] == call:
                return ()
            left = self._left(call.slot)
            if left is None:
                return (_HALF,)
        else:
            left = []
        # OpenAI's own servers tell kind and namespace themselves; there only a name can stand for another.
        is_told = call.kind != "function" or bool(call.namespace)
        called = self._names.get(call.name) if is_told else restored(call.name, self._names, self._plain)
        if called is None:
            return [*left, call]
        make = None if is_told else _MACHINES.get(called.kind)
        if make is not None:
            self._open[call.slot], self._said[call.slot] = make(), call
        return [*left, replace(call, kind=called.kind, name=called.name, namespace=called.namespace)]

    def _closed(self, slot: Slot, delta: Closed) -> Sequence[Delta]:
        left = self._left(slot)
        if left is None:
            self._has_half = True
            return ()
        return [*left, delta]

    def _followed(self, delta: Delta) -> Sequence[Delta]:
        """Tell what is no call, which ends those that are open."""
        told: list[Delta] = []
        for slot in list(self._open):
            left = self._left(slot)
            if left is None:
                return [*told, _HALF]
            told += left
        return [*told, delta]

    def _left(self, slot: Slot) -> list[Delta] | None:
        text = self._open.pop(slot).end()
        if text is None:
            return None
        return [Arguments(slot, text)] if text else []

    def _rest(self) -> list[Delta]:
        # Nothing stopped the answer, so nothing in it is whole.
        return []


def restored(name: str, names: WireNames, plain: Collection[str] = ()) -> Called | None:
    """Find the client's tool that a model means by a name; None where that is one as it is, or stands for nothing."""
    called = names.get(name)
    if called is not None or name in plain:
        return called
    said = name.removeprefix(_OPENAI_PREFIX)
    if said in names:
        return names[said]
    tools = set(names.values())
    spelled = {tool for tool in tools if any(said == tool.namespace + mark + tool.name for mark in _SEPARATORS)}
    bare = {tool for tool in tools if said == tool.name}
    for found in (spelled, bare):
        if found:
            return found.pop() if len(found) == 1 else None
    return None
