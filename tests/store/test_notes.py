"""A record that comes alone is noted: kept at once, posted soon, seen by whoever asks before, found after a kill."""

from __future__ import annotations

import asyncio
import os
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from tests.store import ledger
from tests.store.ledger import (
    START_MS,
    Books,
    count,
    drop,
    make_writer,
    open_books,
    record,
    refuse_writes,
    run,
    until,
    until_posted,
)
from trunkline.catalog.price_texts import write_price
from trunkline.catalog.prices import Price
from trunkline.store import journal as journals
from trunkline.store import notes
from trunkline.store.batch import Outcome
from trunkline.store.rows import GenerationRow, PriceRow
from trunkline.store.statements.records import find_record
from trunkline.store.writer import BEAT_S


def free(id: str) -> GenerationRow:
    """A record of a request for which nothing was held."""
    return record(id, held_nano=None, charged_nano=0)


def begins_with(folder: Path) -> bytes:
    """How the only journal begins."""
    (file,) = (folder / "a.db.journal").iterdir()
    return file.read_bytes()[:8]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes are not posted because of the time, however busy the machine is."""
    monkeypatch.setattr(notes, "NOTED_S", 30.0)


async def rest(books: Books) -> None:
    """Let the writer have nothing to do, and the record before be long ago."""
    await asyncio.sleep(2 * notes.ALONE_S)
    while not books.writer._is_idle:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def settle_alone(books: Books, id: str) -> bool:
    """Settle a record that comes alone; whether it was kept before anybody could have posted it."""
    await rest(books)
    kept = books.writer.settle(free(id))
    is_noted = kept.done()
    await kept
    return is_noted


@pytest.mark.usefixtures("patient")
def test_it_is_kept_at_once_and_posted_with_others(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        for number in range(4):
            assert await settle_alone(books, f"r{number}")
        assert await books.count("generations") == 0
        assert begins_with(tmp_path) != bytes(8)
        books.writer._notes._fall_due()
        await until_posted(books, 4)
        await rest(books)
        assert begins_with(tmp_path) == bytes(8)

    run(scene, tmp_path)


def test_it_is_posted_soon_though_nothing_else_is(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        assert await settle_alone(books, "r")
        async with asyncio.timeout(BEAT_S / 2):  # which would take it along
            await until_posted(books, 1)

    run(scene, tmp_path)


@pytest.mark.usefixtures("patient")
def test_it_is_posted_with_whatever_is_posted_before(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        assert await settle_alone(books, "r")
        assert await books.hold("s") == 10
        assert await books.count("generations") == 1
        assert begins_with(tmp_path) == bytes(8)

    run(scene, tmp_path, a=100)


def test_of_many_at_once_only_the_first_is_noted(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        await rest(books)
        kept = [books.writer.settle(free(f"r{number}")) for number in range(20)]
        assert [each.done() for each in kept] == [True] + [False] * 19
        await asyncio.gather(*kept)
        assert await books.count("generations") == 20

    run(scene, tmp_path)


def test_what_is_charged_or_has_a_claim_is_never_noted(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        assert await books.hold("r") == 10
        await rest(books)
        charged = books.writer.settle(record("r", 10))
        assert not charged.done()
        await charged
        await rest(books)
        claimed = books.writer.settle(free("s"), Outcome(b"mark", "s"))
        assert not claimed.done()
        await claimed

    run(scene, tmp_path, a=100)


def test_what_names_a_price_that_is_not_there_yet_is_posted_with_it(tmp_path: Path) -> None:
    """Prices are in no journal: after a kill the record would name one that nobody knows."""

    async def scene(books: Books) -> None:
        await rest(books)
        books.writer.add_price(
            PriceRow(7, "fake:a", b"7", write_price(Price(input=Decimal(0), output=Decimal(0))), START_MS)
        )
        kept = books.writer.settle(free("r"))
        assert not kept.done()
        await kept
        assert await books.count("prices") == 1
        assert await settle_alone(books, "s")

    run(scene, tmp_path)


def test_notes_are_kept_from_where_they_stand(tmp_path: Path) -> None:
    """Though the file was damaged before, and does not begin where it ends."""

    async def play() -> None:
        journal = journals.open_journal(tmp_path, "boot")
        await journal.append([free("lost")])
        (tmp_path / "boot.journal").write_bytes(b"\xff" * 100)
        assert await journal.read(10) == []
        assert journal.note(free("r"))
        journal.keep_notes()
        await journal.append([free("s")])
        assert await journal.read(10) == [free("r"), free("s")]
        await journal.drop()
        await journal.close()

    asyncio.run(play())


def test_in_memory_nothing_is_noted() -> None:
    async def scene(books: Books) -> None:
        assert not await settle_alone(books, "r")
        assert await books.count("generations") == 1

    run(scene)


def test_nodes_that_share_a_database_note_nothing(
    tmp_path: Path, books_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They read at once what one of them told."""
    monkeypatch.setattr(ledger, "url_in", lambda folder: books_url)

    async def scene(books: Books) -> None:
        assert not await settle_alone(books, "r")
        assert await books.count("generations") == 1

    run(scene, tmp_path)


@pytest.mark.usefixtures("patient")
def test_who_reads_here_sees_it(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        assert await settle_alone(books, "r")
        async with asyncio.timeout(BEAT_S / 2):
            assert await books.writer.read(partial(find_record, id="r")) is not None
        assert await settle_alone(books, "s")
        assert await books.writer.run(partial(count, table="generations")) == 2

    run(scene, tmp_path)


def test_who_reads_from_elsewhere_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "NOTED_S", 1.0)

    async def scene(books: Books) -> None:
        other = make_writer(books, tmp_path, "other:8080")
        async with other:
            assert not await other.wait_for_others()
            assert await settle_alone(books, "r")
            assert await other.wait_for_others()
            assert await books.count("generations") == 1
            assert not await other.wait_for_others()

    run(scene, tmp_path)


@pytest.mark.usefixtures("patient")
def test_DB_08_after_a_kill_it_is_posted_by_whoever_is_next(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        assert await settle_alone(books, "r")
        assert await settle_alone(books, "s")
        await drop(books.writer)
        assert await books.count("generations") == 0
        books.writer = make_writer(books, tmp_path)
        await books.writer.open()
        await until(books, "journal.adopted")
        assert await books.writer.run(partial(count, table="generations")) == 2

    run(scene, tmp_path)


@pytest.mark.usefixtures("patient")
def test_what_was_posted_is_not_posted_again_after_a_kill(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        assert await settle_alone(books, "r")
        assert await books.writer.read(partial(find_record, id="r")) is not None
        await drop(books.writer)
        books.writer = make_writer(books, tmp_path)
        await books.writer.open()
        assert await books.pairs("SELECT model, requests FROM usage_daily") == {"author/name": 1}
        assert "journal.adopted" not in books.alarms

    run(scene, tmp_path)


def test_DB_03_while_the_store_is_down_it_stays_in_the_journal(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        await rest(books)
        await refuse_writes(books, True)
        assert await settle_alone(books, "r")
        await until(books, "store.down")
        late = books.writer.settle(free("s"))
        assert not late.done()
        await late
        await refuse_writes(books, False)
        await until(books, "store.back")
        await until_posted(books, 2)
        assert await books.pairs("SELECT model, requests FROM usage_daily") == {"author/name": 2}

    run(scene, tmp_path)


def test_DB_03_a_note_that_the_store_refused_is_posted_when_it_is_back(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        await rest(books)
        await refuse_writes(books, True)
        assert await settle_alone(books, "r")
        await until(books, "store.down")
        await refuse_writes(books, False)
        async with asyncio.timeout(BEAT_S / 2):  # which would take it along
            await until_posted(books, 1)

    run(scene, tmp_path)


def test_what_the_store_never_took_waits_for_the_next_start(tmp_path: Path) -> None:
    async def play() -> None:
        async with open_books(tmp_path) as books:
            await rest(books)
            await refuse_writes(books, True)
            assert await settle_alone(books, "r")
            await until(books, "store.down")
        async with open_books(tmp_path) as books:
            await until(books, "journal.adopted")
            assert await books.writer.run(partial(count, table="generations")) == 1

    asyncio.run(play())


def test_a_disk_that_is_full_takes_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(books: Books) -> None:
        monkeypatch.setattr(os, "pwrite", lambda handle, data, place: len(data) - 1)
        assert not await settle_alone(books, "r")
        assert await books.count("generations") == 1

    run(scene, tmp_path)


def test_notes_take_no_more_room_than_they_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(books: Books) -> None:
        monkeypatch.setattr(journals, "MAX_NOTED_BYTES", 0)
        assert await settle_alone(books, "r")
        assert not await settle_alone(books, "s")
        assert await books.count("generations") == 2

    run(scene, tmp_path)
