"""What statements are given, whichever database it is: a connection that is in a transaction, and how it fails.

A statement is written once where SQL allows that; where not, the connection's `dialect` chooses beside the statement.
Values are text, whole numbers, truths, bytes or None, and stand as `?` or `:name` in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

Result = TypeVar("Result")

Dialect = Literal["sqlite", "postgres"]

Values = Sequence[Any] | Mapping[str, Any]
"""What stands in a statement: in the order of its `?`, or by name."""


class StoreError(Exception):
    """The store failed; why, in words that repeat no value of a statement.

    `is_unclear`: whether it was lost while committing, so that all of the transaction happened or nothing.
    """

    def __init__(self, reason: str, *, is_unclear: bool = False) -> None:
        super().__init__(f"The store failed ({reason}).")
        self.is_unclear = is_unclear


class ValueRefused(StoreError):
    """A constraint or a type refused what one statement said; `detail` names which, and no value."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.detail = detail


class InTheWay(StoreError):
    """Another transaction was in the way, or the tables have changed: it can be run again."""


class Rows(Protocol):
    """What a statement gave: rows as plain tuples; or how many rows it changed."""

    @property
    def rowcount(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """A connection in a transaction. All of it raises StoreError."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def in_transaction(self) -> bool:
        """Whether there is something to roll back; the database may have done that itself."""
        ...

    def execute(self, statement: str, values: Values = (), /) -> Rows:
        """Run one statement."""
        ...

    def executemany(self, statement: str, rows: Iterable[Values], /) -> object:
        """Run one statement that gives no rows, for one set of values after the other."""
        ...

    def read(self, statement: str, values: Values = (), /) -> Iterator[Any]:
        """Read rows a few at a time, of which there may be more than memory takes."""
        ...

    def restart(self) -> None:
        """Undo all that the transaction did, and begin it anew."""
        ...


Work = Callable[[Connection], Result]
"""Statements to run in one transaction. They may be run again where another transaction was in the way."""


class Session(Protocol):
    """How the one thread of a lane reaches the database; it connects when it must. All of it raises StoreError."""

    def transact(self, work: Work[Result], is_write: bool, is_durable: bool = True) -> Result:
        """Run statements in a transaction, and commit it; where one fails nothing has happened.

        What need not be durable outlasts the end of a process on the same machine, and not that of the machine.
        """
        ...

    def close(self) -> None: ...
