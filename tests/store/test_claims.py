"""Claims in the store: made with the hold, ended with the settlement, freed when their process is gone, forgotten."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from pathlib import Path

import pytest

from tests.store.ledger import START_MS, Books, open_books, record, refuse_writes, run
from trunkline.store import posting
from trunkline.store.batch import Claimed, Outcome, Pledge, Shortage
from trunkline.store.rows import BootRow, ClaimRow, GenerationRow
from trunkline.store.statements import boots, idempotency
from trunkline.store.sweep import KEPT_MS, MAX_DELETED, sweep

pytestmark = pytest.mark.usefixtures("any_database")
PLEDGE = Pledge(b"mark", b"body")
KEPT = Outcome(b"mark", "r1", is_free=False, nonce=b"n", sealed=b"said")


async def found(books: Books, mark: bytes = b"mark") -> ClaimRow | None:
    return await books.read(partial(idempotency.find_claim, mark=mark))


async def swept(books: Books, now_ms: int = START_MS) -> None:
    boot = BootRow("sweeper", "elsewhere", now_ms, now_ms)
    await books.writer.run(partial(sweep, boot=boot, now_ms=now_ms, is_running=lambda _: False))


def test_one_of_many_has_it_and_nothing_is_held_for_the_others(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        assert await books.hold("r1", 10, claim=PLEDGE) == 10
        for _ in range(2):
            assert await books.hold("r2", 10, claim=PLEDGE) == Claimed("r1")
        assert await books.count("holds") == 1
        await books.writer.settle(record("r1", 10), KEPT)
        assert await books.hold("r3", 10, claim=PLEDGE) == Claimed("r1")
        kept = await found(books)
        assert kept is not None
        assert kept[2:] == ("r1", kept.boot_id, START_MS, START_MS, b"n", b"said")

    run(scene, tmp_path, a=100)


def test_who_is_refused_credit_has_no_claim_and_who_needs_none_holds_nothing(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        assert await books.hold("r1", 10, claim=PLEDGE) == Shortage(5, "account")
        assert await found(books) is None
        assert await books.hold("r2", 0, account_budget=None, claim=PLEDGE) == 0
        assert await books.count("holds") == 0
        assert await books.hold("r3", 0, account_budget=None, claim=PLEDGE) == Claimed("r2")
        await books.writer.settle(record("r2", held_nano=None), Outcome(b"mark", "r2"))
        assert await found(books) is None

    run(scene, tmp_path, a=5)


def test_of_what_nodes_claim_at_once_each_is_claimed_once_and_no_batch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come to the nodes in opposite orders; a batch that a constraint refuses would be posted piece by piece."""

    def refused(*_: object) -> None:
        raise AssertionError("a batch was refused")

    monkeypatch.setattr(posting, "_post_singly", refused)

    async def scene(first: Books) -> None:
        async with open_books(tmp_path, node="here:2", audits=False) as second:
            for turn in range(5):
                marks = [hashlib.sha256(b"%d %d" % (turn, number)).digest() for number in range(40)]
                asked = [
                    books.hold(f"{name}-{turn}-{mark.hex()}", 1, claim=Pledge(mark, b""))
                    for books, name, order in ((first, "a", 1), (second, "b", -1))
                    for mark in marks[::order]
                ]
                answers = await asyncio.gather(*asked)
                assert answers.count(1) == len(marks)
                assert sum(isinstance(answer, Claimed) for answer in answers) == len(marks)
            assert [event for books in (first, second) for event in books.alarms if event != "store.shared"] == []

    run(scene, tmp_path, a=1_000)


def test_what_another_claimed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        await books.hold("r1", claim=PLEDGE)
        for outcome in (Outcome(b"mark", "r0"), KEPT._replace(generation_id="r0")):
            books.writer.end_claim(outcome)
        await books.spend("r9")
        claim = await found(books)
        assert claim is not None
        assert (claim.generation_id, claim.ended_at_ms) == ("r1", None)
        await books.writer.settle(record("r1", 10), KEPT)
        books.writer.end_claim(Outcome(b"mark", "r1"))
        await books.spend("r8")
        assert await found(books) is not None

    run(scene, tmp_path, a=100)


def test_an_answer_waits_for_a_store_that_is_down(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        await books.hold("r1", claim=PLEDGE)
        await refuse_writes(books, True)
        await books.writer.settle(record("r1", 10), KEPT)
        await refuse_writes(books, False)
        await books.until("store.back")
        await books.spend("r2")
        claim = await found(books)
        assert claim is not None
        assert claim.sealed == b"said"

    run(scene, tmp_path, a=100)


@pytest.mark.parametrize(
    ("row", "is_free"),
    [
        (None, True),
        (record("r1", status="lost"), True),
        (record("r1", status="cancelled"), True),
        (record("r1", status="failed", output_tokens=0), True),
        (record("r1", status="failed"), False),
        (record("r1", status="incomplete"), False),
        (record("r1"), False),
    ],
    ids=["nothing", "lost", "left", "failed", "failed after output", "cut", "completed"],
)
def test_DB_08_of_a_process_that_is_gone_what_was_answered_is_not_asked_again(
    tmp_path: Path, row: GenerationRow | None, is_free: bool
) -> None:
    async def scene(books: Books) -> None:
        await books.writer.run(lambda c: idempotency.add_claims(c, [ClaimRow(*PLEDGE, "r1", "gone", START_MS)]))
        if row is not None:
            await books.writer.settle(row._replace(held_nano=None, charged_nano=0))
        await swept(books)
        claim = await found(books)
        assert (claim is None) == is_free
        assert claim is None or (claim.ended_at_ms == START_MS and claim.sealed is None)

    run(scene, tmp_path, a=100)


def test_of_a_process_that_lives_it_is_left_alone(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        alive = BootRow("alive", "there", START_MS, START_MS)
        await books.writer.run(lambda c: boots.note_boot(c, alive))
        await books.writer.run(lambda c: idempotency.add_claims(c, [ClaimRow(*PLEDGE, "r1", "alive", START_MS)]))
        await swept(books, START_MS + 59_000)
        assert await found(books) is not None
        await swept(books, START_MS + 61_000)
        assert await found(books) is None

    run(scene, tmp_path, a=100)


def test_of_a_process_that_came_after_the_others_were_listed_it_is_left_alone(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        newcomer = BootRow("newcomer", "there", START_MS, START_MS)
        await books.writer.run(lambda c: boots.note_boot(c, newcomer))
        rows = [
            ClaimRow(mark, b"", mark.decode(), boot, START_MS) for mark, boot in ((b"r1", "newcomer"), (b"r2", "no"))
        ]
        await books.writer.run(lambda c: idempotency.add_claims(c, rows))
        assert await books.read(lambda c: idempotency.list_strays(c, gone=set(), limit=9)) == rows[1:]

    run(scene, tmp_path, a=100)


def test_after_a_day_it_is_forgotten(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        for number in range(MAX_DELETED + 2):
            id, mark = f"r{number}", b"%d" % number
            await books.hold(id, 0, account_budget=None, created_at_ms=START_MS + number, claim=Pledge(mark, b""))
            books.writer.end_claim(KEPT._replace(mark=mark, generation_id=id))
        await books.spend("last")
        await swept(books, START_MS + KEPT_MS)
        assert await books.count("claims") == MAX_DELETED + 2
        await swept(books, START_MS + KEPT_MS + MAX_DELETED + 1)
        assert await books.count("claims") == 2
        await swept(books, START_MS + KEPT_MS + MAX_DELETED + 1)
        assert await books.count("claims") == 1

    run(scene, tmp_path, a=100)


def test_a_waiter_that_left_gives_it_back(tmp_path: Path) -> None:
    async def scene(books: Books) -> None:
        asking = [asyncio.create_task(books.hold(f"r{at}", claim=Pledge(b"%d" % at, b""))) for at in range(20)]
        for at, task in enumerate(asking):
            await asyncio.sleep(0.0005 * (at % 3))
            task.cancel()
        await asyncio.wait(asking)
        stayed = sum(not task.cancelled() for task in asking)
        await books.spend("r99")
        await books.spend("r98")
        assert await books.count("claims") == stayed < len(asking)
        assert await books.count("holds") == stayed

    run(scene, tmp_path, a=1_000)
