"""A board in memory for several nodes, which loses, delays and repeats what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

Take = Callable[[bytes], None]


class Boards:
    """What all nodes tell; `told` holds every message, with its channel, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.boards: list[DoubleBoard] = []

    def board(self, node: str) -> DoubleBoard:
        made = DoubleBoard(node, self)
        self.boards.append(made)
        return made

    def deliver(self, channel: str, message: bytes) -> None:
        """Give a message to all who are there."""
        for board in self.boards:
            if board.is_here:
                for take in board.takes.get(channel, ()):
                    take(message)


class DoubleBoard:
    """The board as one node sees it."""

    def __init__(self, node: str, boards: Boards) -> None:
        self.node = node
        self.is_here = False
        self.takes: dict[str, list[Take]] = {}
        self.works: list[Callable[[], Coroutine[None, None, None]]] = []
        self._boards = boards
        self._returns: list[Callable[[], None]] = []

    def come(self) -> None:
        self.is_here = True
        for act in self._returns:
            act()

    def tell(self, channel: str, message: bytes) -> None:
        if self.is_here:
            self._boards.told.append((channel, message))
            self._boards.deliver(channel, message)

    def hear(self, channel: str, take: Take) -> None:
        self.takes.setdefault(channel, []).append(take)

    def beside(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        self.works.append(work)

    def when_here(self, act: Callable[[], None]) -> None:
        self._returns.append(act)
