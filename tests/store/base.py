"""A PostgreSQL database that a test looks into by itself."""

from __future__ import annotations

from typing import Any, TypeVar

from trunkline.store.connection import Work
from trunkline.store.postgres import PostgresSession

Result = TypeVar("Result")


class Base:
    """One database of a server, and a session in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = PostgresSession(url, "test", 30.0)

    def do(self, work: Work[Result]) -> Result:
        return self._session.transact(work, True)

    def rows(self, statement: str, *values: Any) -> list[Any]:
        return self.do(lambda connection: connection.execute(statement, values).fetchall())

    def close(self) -> None:
        self._session.close()
