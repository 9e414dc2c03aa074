"""A decoder around another: it hears what that one decodes, and turns each delta into what is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from trunkline.stream.deltas import Arguments, Delta, Slot, Text
from trunkline.wire import Fault, UpstreamRequest, WireMessage


class Heard(Protocol):
    """A decoder as `contract.py` has it, which this level does not know."""

    is_done: bool

    @property
    def number_member(self) -> bytes: ...

    @property
    def usage_member(self) -> bytes: ...

    @property
    def held_back(self) -> int: ...

    def message(self, message: WireMessage) -> Iterable[Delta]: ...

    def continues(self, messages: Sequence[WireMessage], slot: Slot) -> list[str] | None: ...

    def went_on(self, texts: Sequence[str], latest: WireMessage | None) -> None: ...

    def whole(self, body: bytes) -> Iterable[Delta]: ...

    def end(self) -> Iterable[Delta]: ...

    def next_exchange(self, sent: UpstreamRequest, fault: Fault | None) -> Any: ...


class Around:
    """Hears what another decoder decodes."""

    def __init__(self, inner: Heard) -> None:
        self._inner = inner
        self._held_here = 0
        self.is_done = inner.is_done
        self.held_back = 0

    @property
    def number_member(self) -> bytes:
        return self._inner.number_member

    @property
    def usage_member(self) -> bytes:
        return self._inner.usage_member

    def message(self, message: WireMessage) -> Iterable[Delta]:
        told = self._heard(self._inner.message(message))
        self.is_done = self._inner.is_done
        self.held_back = self._inner.held_back + self._held_here
        return told

    def continues(self, messages: Sequence[WireMessage], slot: Slot) -> list[str] | None:
        return self._inner.continues(messages, slot) if self._passes_text(slot) else None

    def went_on(self, texts: Sequence[str], latest: WireMessage | None) -> None:
        self._inner.went_on(texts, latest)

    def whole(self, body: bytes) -> Iterable[Delta]:
        told = self._heard(self._inner.whole(body))
        self.is_done = self._inner.is_done
        return told

    def end(self) -> Iterable[Delta]:
        return [*self._heard(self._inner.end()), *self._rest()]

    def next_exchange(self, sent: UpstreamRequest, fault: Fault | None) -> Any:
        return self._inner.next_exchange(sent, fault)

    def _heard(self, deltas: Iterable[Delta]) -> list[Delta]:
        told: list[Delta] = []
        for delta in deltas:
            turned = self._turned(delta)
            told += turned
            if not turned and isinstance(delta, Text | Arguments) and delta.text:
                self._held_here += 1
        return told

    def _turned(self, delta: Delta) -> Sequence[Delta]:
        raise NotImplementedError

    def _passes_text(self, slot: Slot) -> bool:
        """Whether more text in a slot is told as it comes, and changes nothing here."""
        return False

    def _rest(self) -> list[Delta]:
        """What was held back of an answer that nothing stopped."""
        raise NotImplementedError
