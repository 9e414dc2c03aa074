"""The output of one answer while it is assembled: where each item stands, and that it begins and is finished.

When to open and when to close is `assemble.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.faces.responses.numbering import Events, Tell, tell_nobody
from trunkline.faces.responses.pieces import CallItem, MessageItem, Place, ThoughtItem
from trunkline.faces.responses.tool_pieces import ImageItem, OpaqueItem, SearchItem
from trunkline.protocol.events import OutputItemAdded, OutputItemDone
from trunkline.protocol.items import OutputItem

OpenItem = MessageItem | ThoughtItem | CallItem | SearchItem | ImageItem | OpaqueItem


class Output:
    """The items in the order they began; `ids` yields random tokens without end, without `events` nothing is told.

    `has_message` and `calls_begun` are of all that began so far.
    """

    __slots__ = ("_events", "_ids", "_items", "calls_begun", "has_message", "tell")

    def __init__(self, ids: Iterator[str], events: Events | None) -> None:
        self._ids = ids
        self._events = events
        self.tell: Tell = tell_nobody if events is None else events.tell
        self._items: list[OutputItem | None] = []
        self.has_message = False
        self.calls_begun = 0

    @property
    def length(self) -> int:
        return len(self._items)

    def new_id(self, prefix: str) -> str:
        return prefix + next(self._ids)

    def place(self, prefix: str) -> Place:
        """Where the item stands that begins next."""
        return Place(prefix + next(self._ids), len(self._items))

    def begin(self, item: OpenItem) -> None:
        self._items.append(None)
        if isinstance(item, CallItem):
            self.calls_begun += 1
        elif isinstance(item, MessageItem):
            self.has_message = True
        if self._events is not None:
            self.tell(OutputItemAdded, item.place.output_index, item.begun())

    def finish(self, item: OpenItem, *, is_cut: bool) -> None:
        done = item.finished(is_cut)
        self._items[item.place.output_index] = done
        if self._events is not None:
            self.tell(OutputItemDone, item.place.output_index, done)

    def leave_out(self, call: CallItem) -> None:
        """End a call that was cut: it is never finished."""
        self._items[call.place.output_index] = None

    def whole(self) -> tuple[OutputItem, ...]:
        """The items, all of which are finished or left out."""
        return tuple([item for item in self._items if item is not None])
