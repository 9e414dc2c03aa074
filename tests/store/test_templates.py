"""Templates as requests read them: what is believed for how long, what is told of others, and the store away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.store import ledger
from tests.store.ledger import START_MS
from trunkline.errors import NotFound, ServiceUnavailable
from trunkline.protocol.items import InputText, Message
from trunkline.store import templates as module
from trunkline.store.connection import Connection
from trunkline.store.database import Database, open_database
from trunkline.store.statements.templates import add_template, remove_template
from trunkline.store.templates import FRESH_S, Templates

pytestmark = pytest.mark.usefixtures("any_database")


class Scene:
    """The templates of a database, a clock of the test's, and how often the database was asked."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = 100.0
        self.reads = 0
        self.templates = Templates(database, lambda: self.now)
        read = database.read

        async def counted(work: Any) -> Any:
            self.reads += 1
            return await read(work)

        database.read = counted  # type: ignore[method-assign]

    async def add(self, id: str, text: str) -> int:
        body = json.dumps({"input": text})
        return await self.database.write(lambda connection: add_template(connection, id, body, START_MS))

    async def remove(self, id: str, version: int | None = None) -> None:
        await self.database.write(lambda connection: remove_template(connection, id, version))

    async def run(self, statement: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(statement)

        await self.database.write(work)

    async def find(self, id: str, version: str | None = None) -> tuple[str, str]:
        """The version that is found, and what it says."""
        kept = await self.templates.find(id, version)
        (item,) = kept.template.input
        assert isinstance(item, Message)
        (part,) = item.content
        assert isinstance(part, InputText)
        return kept.version, part.text


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    """Play a scene on a database of its own."""

    def play(act: Callable[[Scene], Awaitable[None]]) -> None:
        async def played() -> None:
            database = open_database(ledger.url_in(tmp_path), 20.0)
            try:
                await act(Scene(database))
            finally:
                await database.close()

        asyncio.run(played())

    return play


def test_the_newest_version_is_found_and_each_by_its_number(play: Any) -> None:
    async def act(scene: Scene) -> None:
        assert [await scene.add("t", each) for each in ("one", "two", "three")] == [1, 2, 3]
        assert await scene.add("T", "other") == 1
        assert await scene.find("t") == ("3", "three")
        assert [await scene.find("t", each) for each in ("1", "2")] == [("1", "one"), ("2", "two")]
        assert await scene.find("T") == ("1", "other")

    play(act)


def test_what_was_read_is_believed_for_five_seconds(play: Any) -> None:
    async def act(scene: Scene) -> None:
        await scene.add("t", "one")
        assert await scene.find("t") == ("1", "one")
        await scene.add("t", "two")
        scene.now += FRESH_S - 0.1
        assert (await scene.find("t"), scene.reads) == (("1", "one"), 1)
        scene.now += 0.1
        assert (await scene.find("t"), scene.reads) == (("2", "two"), 2)
        assert (await scene.find("t"), scene.reads) == (("2", "two"), 2)

    play(act)


def test_a_version_that_was_removed_is_gone_and_its_number_never_comes_back(play: Any) -> None:
    async def act(scene: Scene) -> None:
        for each in ("one", "two"):
            await scene.add("t", each)
        assert await scene.find("t") == ("2", "two")
        await scene.remove("t", 2)
        scene.now += FRESH_S
        assert await scene.find("t") == ("1", "one")
        with pytest.raises(NotFound, match='the template "t" has no version "2"; it has 1'):
            await scene.find("t", "2")
        assert await scene.add("t", "three") == 3
        await scene.remove("t")
        with pytest.raises(NotFound, match='there is no template "t" here'):
            await scene.find("t", "3")
        assert await scene.add("t", "four") == 4

    play(act)


NO_VERSIONS = ("0", "-1", "01", "9", "23", "1.0", "latest", "\u0661", "9" * 30, " 1")


def test_who_names_no_version_is_told_those_that_are(play: Any) -> None:
    async def act(scene: Scene) -> None:
        for number in range(22):
            await scene.add("t", str(number))
        await scene.remove("t", 9)
        known = ", ".join(str(number) for number in range(2, 23) if number != 9)
        for version in NO_VERSIONS:
            with pytest.raises(NotFound) as caught:
                await scene.find("t", version)
            assert caught.value.metadata["param"] == "prompt.version"
            assert caught.value.message.endswith(f"; it has … 1 earlier, {known}.")
            with pytest.raises(NotFound) as unknown:
                await scene.find("s", version)
            assert unknown.value.metadata["param"] == "prompt.id"

    play(act)


def test_of_two_that_add_at_once_each_has_a_version_of_its_own(play: Any, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        other = Scene(open_database(ledger.url_in(tmp_path), 20.0))
        try:
            made = await asyncio.gather(*(each.add("t", "x") for each in (scene, other) * 5))
        finally:
            await other.database.close()
        assert sorted(made) == list(range(1, 11))

    play(act)


def test_those_who_want_the_same_at_once_share_one_reading(play: Any) -> None:
    async def act(scene: Scene) -> None:
        await scene.add("t", "one")
        wanting = [asyncio.ensure_future(scene.find("t")) for _ in range(20)]
        await asyncio.sleep(0)
        wanting[0].cancel()
        found = await asyncio.gather(*wanting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert (set(found[1:]), scene.reads) == ({("1", "one")}, 1)

    play(act)


def test_while_the_store_is_away_what_was_read_before_serves(play: Any) -> None:
    async def act(scene: Scene) -> None:
        await scene.add("t", "one")
        await scene.find("t")
        await scene.run("ALTER TABLE templates RENAME TO away")
        scene.now += 3600
        assert await scene.find("t") == ("1", "one")
        for _ in range(3):
            assert (await scene.find("t"), scene.reads) == (("1", "one"), 2), "it is not asked again at once"
        with pytest.raises(ServiceUnavailable) as caught:
            await scene.find("t", "1")
        assert caught.value.retry_after is not None
        await scene.run("ALTER TABLE away RENAME TO templates")
        await scene.add("t", "two")
        scene.now += FRESH_S
        assert await scene.find("t") == ("2", "two")

    play(act)


def test_a_template_that_cannot_be_read_is_told_as_the_stores_fault(play: Any) -> None:
    async def act(scene: Scene) -> None:
        await scene.add("t", "one")
        await scene.run("""UPDATE templates SET body = '{"input": [{"role": "CANARY"}]}'""")
        with pytest.raises(ServiceUnavailable, match=r'Version 1 of the template "t" cannot be read: input\[0\].role'):
            await scene.find("t")

    play(act)


def test_no_more_is_remembered_than_there_is_room_for(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED_BYTES", 2 * len(json.dumps({"input": "x" * 100})))

    async def act(scene: Scene) -> None:
        for id in "abc":
            await scene.add(id, id * 100)
        for id in "abc":
            await scene.find(id)
        await scene.find("b")
        await scene.find("c")
        assert scene.reads == 3
        await scene.find("a")
        assert scene.reads == 4

    play(act)
