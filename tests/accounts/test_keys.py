"""Keys against a real SQLite store: the faults of reliability.md, with clocks that the test turns."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from trunkline.accounts.keys import FRESH_S, GRACE_S, MAX_REMEMBERED, MAX_WANTED, NO_BEARER, NO_KEY, Key, Keys
from trunkline.errors import ServiceUnavailable, Unauthorized
from trunkline.store.database import Database, open_database
from trunkline.store.statements import keys as statements

Result = TypeVar("Result")
PEPPER = b"pepper-for-tests"


@dataclass
class Clocks:
    now: float = 100.0
    wall: float = 1_800_000_000.0


@dataclass
class Gate:
    """A store whose reads are counted and can be made to fail."""

    database: Database
    reads: int = 0
    is_down: bool = False
    unlocked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.unlocked.set()

    async def read(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        self.reads += 1
        await self.unlocked.wait()
        if self.is_down:
            raise ServiceUnavailable("down")
        return await self.database.read(work)

    async def write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self.database.write(work)


@dataclass
class Scene:
    keys: Keys
    gate: Gate
    clocks: Clocks
    path: Path

    def another_node(self) -> Keys:
        return Keys(self.gate.database, PEPPER, clock=lambda: self.clocks.now, wall_clock=lambda: self.clocks.wall)

    async def is_good(self, text: str) -> bool:
        try:
            await self.keys.authenticate(f"Bearer {text}")
        except Unauthorized:
            return False
        return True


def play(path: Path, act: Callable[[Scene], Awaitable[Result]]) -> Result:
    async def scene() -> Result:
        database = open_database(f"sqlite:///{path}/a.db", 5.0)
        gate, clocks = Gate(database), Clocks()
        keys = Keys(gate, PEPPER, clock=lambda: clocks.now, wall_clock=lambda: clocks.wall)  # type: ignore[arg-type]
        try:
            return await act(Scene(keys, gate, clocks, path))
        finally:
            await database.close()

    return asyncio.run(scene())


def test_a_key_is_made_and_recognised(tmp_path: Path) -> None:
    async def act(scene: Scene) -> Key:
        made = await scene.keys.create("laptop")
        assert made.text.startswith("tl-")
        assert len(made.text) == 52
        assert made.row.prefix == made.text[:7]
        return await scene.keys.authenticate(f"Bearer {made.text}")

    key = play(tmp_path, act)
    assert (key.name, key.account_id, key.policy.account) == ("laptop", "default", "default")


def test_AU_01_a_bad_header_is_told_by_its_form_and_never_by_what_the_store_knows(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        good = (await scene.keys.create("a")).text
        expired = (await scene.keys.create("b", expires_at_ms=1)).text
        revoked = (await scene.keys.create("c")).text
        await scene.keys.revoke("c")

        async def refusal(header: str | None) -> str:
            with pytest.raises(Unauthorized) as raised:
                await scene.keys.authenticate(header)
            assert raised.value.kind == "authentication"
            assert raised.value.metadata == {}
            return raised.value.message

        for header in (None, "", "Bearer", "Bearer "):
            assert await refusal(header) == NO_KEY
        for header in (f"Basic {good}", good, f"Token {good}"):
            assert await refusal(header) == NO_BEARER
        texts = [expired, revoked, good[:-1], good.upper(), f"{good} ", f"{good}\n", f" {good}", good * 9]
        for text in texts:
            told = await refusal(f"Bearer {text}")
            begun = text.strip()[:6]
            assert told == (
                f"A key was sent that this gateway does not know (it begins with {begun}…)."
                " Send one that `trunkline keys list` shows as good."
            )
        for text in ("\ud800", "é", "é" * 40, "short"):
            assert "begins with" not in await refusal(f"Bearer {text}")
        assert await scene.is_good(good)
        assert (await scene.keys.authenticate(f"bEaReR {good}")).name == "a"

    play(tmp_path, act)


def test_AU_02_a_flood_of_unknown_keys_is_bounded_and_pushes_no_good_key_out(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        good = (await scene.keys.create("a")).text
        assert await scene.is_good(good)
        scene.keys._bad = dict.fromkeys((b"%d" % index for index in range(MAX_REMEMBERED)), 100.0)
        for index in range(20):
            assert not await scene.is_good(f"unknown-{index}")
        assert len(scene.keys._bad) == MAX_REMEMBERED
        reads = scene.gate.reads
        assert await scene.is_good(good)
        assert not await scene.is_good("unknown-19")
        assert scene.gate.reads == reads

    play(tmp_path, act)


@pytest.mark.parametrize("text", ["x' OR '1'='1", "%", "_" * 46, "x" * 1_000_000])
def test_AU_03_no_text_of_a_key_is_an_instruction(tmp_path: Path, text: str) -> None:
    async def act(scene: Scene) -> bool:
        await scene.keys.create("a")
        return await scene.is_good(text)

    assert play(tmp_path, act) is False


def test_AU_05_no_table_file_or_log_of_the_store_holds_a_key(tmp_path: Path) -> None:
    async def act(scene: Scene) -> str:
        made = await scene.keys.create("a")
        await scene.is_good(made.text)
        assert all(made.text[8:] not in repr(row) for row in await scene.keys.all())
        return made.text

    key = play(tmp_path, act)
    for file in tmp_path.iterdir():
        assert key[8:20].encode() not in file.read_bytes()


def test_AU_06_a_revoked_key_is_refused_here_at_once_and_elsewhere_within_five_seconds(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        text = (await scene.keys.create("a")).text
        other = scene.another_node()
        assert (await other.authenticate(f"Bearer {text}")).name == "a"
        assert await scene.is_good(text)
        await scene.keys.revoke("a")
        assert not await scene.is_good(text)
        assert (await other.authenticate(f"Bearer {text}")).name == "a"
        scene.clocks.now += FRESH_S
        with pytest.raises(Unauthorized):
            await other.authenticate(f"Bearer {text}")

    play(tmp_path, act)


def test_AU_07_with_the_store_down_a_seen_key_is_served_and_an_unseen_one_is_a_503(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        seen = (await scene.keys.create("a")).text
        assert await scene.is_good(seen)
        unseen = (await scene.keys.create("b")).text
        scene.gate.is_down = True
        scene.clocks.now += GRACE_S - 1
        assert await scene.is_good(seen)
        with pytest.raises(ServiceUnavailable):
            await scene.keys.authenticate(f"Bearer {unseen}")
        scene.clocks.now += 2
        with pytest.raises(ServiceUnavailable):
            await scene.keys.authenticate(f"Bearer {seen}")
        scene.gate.is_down = False
        assert await scene.is_good(seen)
        assert await scene.is_good(unseen)

    play(tmp_path, act)


def test_AU_09_keys_that_are_equal_at_the_start_have_their_own_owners(tmp_path: Path) -> None:
    async def act(scene: Scene) -> list[str]:
        texts = [f"{'k' * length}{index}" for length in (20, 32, 63) for index in (1, 2)]
        for given in texts:
            assert await scene.keys.bootstrap(given) is not None
        return [(await scene.keys.authenticate(f"Bearer {given}")).id for given in texts]

    assert len(set(play(tmp_path, act))) == 6


def test_AU_10_an_expired_key_stays_expired_when_the_clock_is_set_back(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        expires_at_ms = int(scene.clocks.wall * 1000) + 1000
        text = (await scene.keys.create("a", expires_at_ms=expires_at_ms)).text
        assert await scene.is_good(text)
        scene.clocks.wall += 2
        assert not await scene.is_good(text)
        scene.clocks.wall -= 3600
        assert not await scene.is_good(text)

    play(tmp_path, act)


def test_AU_16_a_key_of_a_disabled_account_is_refused(tmp_path: Path) -> None:
    async def act(scene: Scene) -> bool:
        made = await scene.keys.create("a")
        disable = "UPDATE accounts SET disabled = 1"
        await scene.gate.write(lambda connection: connection.execute(disable) and None)
        return await scene.is_good(made.text)

    assert play(tmp_path, act) is False


def test_a_fresh_key_is_not_read_again_and_a_stale_one_once(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        text = (await scene.keys.create("a")).text
        for _ in range(5):
            assert await scene.is_good(text)
        assert scene.gate.reads == 1
        scene.clocks.now += FRESH_S
        scene.gate.unlocked.clear()
        waiting = [asyncio.create_task(scene.is_good(text)) for _ in range(10)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        scene.gate.unlocked.set()
        assert await asyncio.gather(*waiting[1:]) == [True] * 9
        assert scene.gate.reads == 2

    play(tmp_path, act)


def test_AU_15_many_unknown_keys_are_read_together_and_a_good_one_among_them(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        text = (await scene.keys.create("a")).text
        found = await asyncio.gather(*(scene.is_good(f"tl-{number}") for number in range(100)), scene.is_good(text))
        assert found == [False] * 100 + [True]
        assert scene.gate.reads == 1
        assert not await scene.is_good("tl-another")
        assert not await scene.is_good("tl-a-third")
        assert scene.gate.reads == 3
        assert len(scene.keys._bad) == 102

    play(tmp_path, act)


def test_AU_15_a_row_that_is_too_long_is_503(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.gate.unlocked.clear()
        waiting = [asyncio.create_task(scene.is_good(f"tl-{number}")) for number in range(MAX_WANTED)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceUnavailable, match="Too many keys"):
            await scene.keys.authenticate("Bearer tl-one-more")
        scene.gate.unlocked.set()
        assert await asyncio.gather(*waiting) == [False] * MAX_WANTED
        assert not await scene.is_good("tl-one-more")

    play(tmp_path, act)


def test_a_failed_read_that_nobody_waits_for_any_more_is_quiet(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        scene.gate.unlocked.clear()
        waiting = asyncio.create_task(scene.keys.authenticate("Bearer x"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        scene.gate.is_down = True
        scene.gate.unlocked.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert scene.keys._wanted == {}
        assert complaints == []

    play(tmp_path, act)


class TestBootstrap:
    def test_the_first_start_makes_one_key_and_the_second_none(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            first = await scene.keys.bootstrap(None)
            assert first is not None
            assert await scene.is_good(first.text)
            assert await scene.keys.bootstrap(None) is None

        play(tmp_path, act)

    def test_a_revoked_key_does_not_bring_a_new_one(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            await scene.keys.bootstrap(None)
            await scene.keys.revoke("first")
            assert await scene.keys.bootstrap(None) is None

        play(tmp_path, act)

    def test_the_operators_own_key_is_added_once_and_stays_revoked(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            given = "an-operators-own-key-0001"
            assert await scene.keys.bootstrap(given) is not None
            assert await scene.is_good(given)
            assert await scene.keys.bootstrap(given) is None
            await scene.keys.revoke("bootstrap")
            assert await scene.keys.bootstrap(given) is None
            assert not await scene.is_good(given)

        play(tmp_path, act)

    @pytest.mark.parametrize("given", ["short", "x" * 300, "with a line break\nin the middle", "é" * 30])
    def test_a_key_that_cannot_be_used_is_refused(self, tmp_path: Path, given: str) -> None:
        async def act(scene: Scene) -> None:
            with pytest.raises(ValueError, match="a key has at least"):
                await scene.keys.bootstrap(given)

        play(tmp_path, act)


def test_revoking_by_id_prefix_or_name(tmp_path: Path) -> None:
    async def act(scene: Scene) -> list[bool]:
        made = [await scene.keys.create(name) for name in "abc"]
        await scene.keys.revoke(made[0].row.id)
        await scene.keys.revoke(made[1].row.prefix)
        assert [row.name for row in await scene.keys.revoke("c")] == ["c"]
        assert await scene.keys.revoke("nobody") == []
        return [row.disabled for row in await scene.gate.read(statements.list_keys)]

    assert play(tmp_path, act) == [True, True, True]


def test_another_pepper_recognises_nothing(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        made = await scene.keys.create("a")
        other = Keys(scene.gate.database, b"another", clock=lambda: 0.0, wall_clock=lambda: 0.0)
        with pytest.raises(Unauthorized):
            await other.authenticate(f"Bearer {made.text}")
        assert await scene.gate.read(partial(statements.find_key, hash=b"0" * 32)) is None

    play(tmp_path, act)
