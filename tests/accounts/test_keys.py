"""Keys against a real SQLite store: the faults of reliability.md, with clocks that the test turns."""

from __future__ import annotations

import asyncio
import binascii
import hmac
import random
import string
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from trunkline.accounts.administration import Accounts, Declined
from trunkline.accounts.key_text import checksum, is_mistyped, new_key_text
from trunkline.accounts.keys import FRESH_S, GRACE_S, MAX_REMEMBERED, MAX_WANTED, NO_BEARER, NO_KEY, Key, Keys
from trunkline.accounts.master_keys import MasterKeys
from trunkline.accounts.provider_keys import ProviderKeys
from trunkline.accounts.rates import Rate
from trunkline.errors import ServiceUnavailable, Unauthorized
from trunkline.protocol.preferences import Sort, WebPlugin
from trunkline.routing.policy import Policy
from trunkline.settings.fields import SecretSource
from trunkline.settings.secret import Secret
from trunkline.store.connection import Connection
from trunkline.store.database import Database, open_database
from trunkline.store.rows import BudgetRow
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

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        self.reads += 1
        await self.unlocked.wait()
        if self.is_down:
            raise ServiceUnavailable("down")
        return await self.database.read(work)

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        return await self.database.write(work)


@dataclass
class Scene:
    keys: Keys
    gate: Gate
    clocks: Clocks
    path: Path

    def another_node(self) -> Keys:
        return Keys(self.gate, PEPPER, clock=lambda: self.clocks.now, wall_clock=lambda: self.clocks.wall)  # type: ignore[arg-type]

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


def test_AU_06_a_node_that_is_told_which_keys_changed_forgets_these_at_once(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        texts = [(await scene.keys.create(name)).text for name in ("a", "b")]
        unmade = new_key_text()
        other = scene.another_node()
        for text in texts:
            assert (await other.authenticate(f"Bearer {text}")).account_id == "default"
        with pytest.raises(Unauthorized):
            await other.authenticate(f"Bearer {unmade}")
        (revoked,) = await scene.keys.revoke("a")
        other.forget([revoked.id])
        scene.gate.reads = 0
        assert (await other.authenticate(f"Bearer {texts[1]}")).name == "b"
        assert scene.gate.reads == 0
        with pytest.raises(Unauthorized):
            await other.authenticate(f"Bearer {texts[0]}")
        await Accounts(scene.gate.database, lambda: scene.clocks.wall).change("default", disabled=True)
        other.forget(["default"])
        with pytest.raises(Unauthorized):
            await other.authenticate(f"Bearer {texts[1]}")
        await Accounts(scene.gate.database, lambda: scene.clocks.wall).change("default", disabled=False)
        other.forget(["default"])
        assert (await other.authenticate(f"Bearer {texts[1]}")).name == "b"

    play(tmp_path, act)


def test_a_key_that_is_changed_while_it_is_read_is_not_believed_for_longer(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        text = (await scene.keys.create("a")).text
        scene.gate.unlocked.clear()
        reading = asyncio.create_task(scene.keys.authenticate(f"Bearer {text}"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        scene.keys.forget(["key_of_another"])
        scene.gate.unlocked.set()
        await reading
        scene.gate.reads = 0
        assert await scene.is_good(text)
        assert scene.gate.reads == 1

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
        assert await scene.gate.read(partial(statements.find_keys, hashes=[b"0" * 32])) == {}

    play(tmp_path, act)


class TestChecksum:
    def test_a_new_key_ends_in_its_crc_32_in_base_62(self) -> None:
        assert checksum("") == "000000"
        assert checksum("tl-" + "A" * 43) == "3KB38F"
        digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
        for text in (new_key_text() for _ in range(100)):
            value = sum(digits.index(digit) * 62**place for place, digit in enumerate(reversed(text[46:])))
            assert value == binascii.crc32(text[:46].encode())
            assert not is_mistyped(text)

    def test_AU_03_a_slip_of_one_character_is_401_without_a_look_up(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            text = (await scene.keys.create("a")).text
            scene.gate.is_down = True
            for place in range(3, 52):
                for other in "0aZ_-":
                    if text[place] != other:
                        slip = text[:place] + other + text[place + 1 :]
                        with pytest.raises(Unauthorized, match="does not know"):
                            await scene.keys.authenticate(f"Bearer {slip}")
            assert scene.gate.reads == 0
            # What has another length is looked up, as ever.
            with pytest.raises(ServiceUnavailable):
                await scene.keys.authenticate(f"Bearer {text[:-1]}")
            with pytest.raises(ServiceUnavailable):
                await scene.keys.authenticate(f"Bearer {text}")
            scene.gate.is_down = False
            assert await scene.is_good(text)

        play(tmp_path, act)

    def test_keys_of_other_lengths_and_beginnings_stay_good(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            for given in ("tl-" + "x" * 43, "sk-" + "x" * 49, "x" * 52):
                assert await scene.keys.bootstrap(given) is not None
                assert await scene.is_good(given)
            with pytest.raises(ValueError, match="ends in a checksum, which this one does not"):
                await scene.keys.bootstrap("tl-" + "x" * 49)

        play(tmp_path, act)


async def noted(keys: Keys) -> None:
    """Wait until what became known of keys is written."""
    await asyncio.sleep(0)
    await keys.close()


class TestPeppers:
    def node(self, scene: Scene, pepper: bytes, previous: bytes | None) -> Keys:
        clocks = scene.clocks
        return Keys(
            scene.gate.database,
            pepper,
            clock=lambda: clocks.now,
            wall_clock=lambda: clocks.wall,
            previous_pepper=previous,
        )

    def test_a_key_of_the_previous_pepper_is_good_and_kept_under_the_new_one_from_then_on(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            made = await scene.keys.create("a")
            revoked = await scene.keys.create("b")
            await scene.keys.revoke("b")
            both, new, old = (
                self.node(scene, *peppers) for peppers in ((b"n" * 16, PEPPER), (b"n" * 16, None), (PEPPER, None))
            )
            header = f"Bearer {made.text}"
            with pytest.raises(Unauthorized):
                await new.authenticate(header)
            assert (await both.authenticate(header)).id == made.row.id
            with pytest.raises(Unauthorized):
                await both.authenticate(f"Bearer {revoked.text}")
            await noted(both)
            scene.clocks.now += FRESH_S
            assert (await new.authenticate(header)).id == made.row.id
            assert [both.pepper_of(row) for row in await both.all()] == ["current", "current"]
            with pytest.raises(Unauthorized):
                await new.authenticate(f"Bearer {revoked.text}")
            with pytest.raises(Unauthorized):
                await old.authenticate(header)

        play(tmp_path, act)

    def test_an_operators_key_is_not_added_again_under_a_new_pepper_nor_revived(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            given = "an-operators-own-key-0001"
            await scene.keys.bootstrap(given)
            await scene.keys.revoke("bootstrap")
            both = self.node(scene, b"n" * 16, PEPPER)
            assert await both.bootstrap(given) is None
            with pytest.raises(Unauthorized):
                await both.authenticate(f"Bearer {given}")
            assert len(await both.all()) == 1

        play(tmp_path, act)

    def test_a_key_that_got_a_new_text_meanwhile_does_not_get_its_old_one_back(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            made = await scene.keys.create("a")
            both = self.node(scene, b"n" * 16, PEPPER)
            await both.authenticate(f"Bearer {made.text}")
            rotated = await scene.another_node().rotate(made.row)  # before the other has written what it saw
            await noted(both)
            assert await scene.is_good(rotated.text)
            assert not await scene.is_good(made.text)
            scene.clocks.now += FRESH_S
            with pytest.raises(Unauthorized):
                await both.authenticate(f"Bearer {made.text}")

        play(tmp_path, act)

    def test_a_row_of_before_there_were_ids_of_peppers_gets_one_when_it_is_used(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            made = await scene.keys.create("a")
            await scene.gate.write(lambda connection: connection.execute("UPDATE keys SET pepper_id = NULL") and None)
            assert [scene.keys.pepper_of(row) for row in await scene.keys.all()] == [None]
            assert await scene.is_good(made.text)
            await noted(scene.keys)
            assert [scene.keys.pepper_of(row) for row in await scene.keys.all()] == ["current"]

        play(tmp_path, act)


def test_it_is_noted_when_a_key_was_last_used_once_a_minute_and_never_waited_for(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        made = await scene.keys.create("a")
        unused = await scene.keys.create("b")

        async def last_used() -> list[int | None]:
            await noted(scene.keys)
            return [row.last_used_ms for row in await scene.keys.all() if row.name == "a"]

        def at(later_s: float) -> list[int | None]:
            return [int(1_800_000_000_000 + later_s * 1000)]

        assert await last_used() == [None]
        for later_s, noted_s in ((0, 0), (30, 0), (59, 0), (61, 61), (3600, 3600)):
            scene.clocks.wall = 1_800_000_000.0 + later_s
            scene.clocks.now += FRESH_S
            assert await scene.is_good(made.text)
            assert await last_used() == at(noted_s)
        (row,) = await scene.keys.named(unused.row.id)
        assert row.last_used_ms is None

    play(tmp_path, act)


class TestTerms:
    """What the rows of a key and its account make of the key that is authenticated."""

    def test_all_that_is_agreed_comes_with_the_key(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> Key:
            accounts = Accounts(scene.gate.database, lambda: scene.clocks.wall)
            account = await accounts.create("acme", 5_000_000_000, {"models": ["a/*"], "rpm": 100, "zdr": True})
            made = await scene.keys.create(
                "a",
                account_id=account.id,
                limit_nano=1_000,
                limit_reset="daily",
                max_cost_nano=7,
                byok_counts=True,
                terms={
                    "models": ["b/*"],
                    "rpm": 10,
                    "concurrency": 2,
                    "model_rates": {"b/*": {"tpd": 9}},
                    "preferences": {"sort": "price"},
                    "plugins": [{"id": "web"}],
                },
            )
            return await scene.keys.authenticate(f"Bearer {made.text}")

        key = play(tmp_path, act)
        assert key.is_limited
        assert key.budget == key.account_id
        assert (key.limit_nano, key.limit_reset, key.max_cost_nano, key.byok_counts) == (1_000, "daily", 7, True)
        assert (key.policy.allowed_models, key.policy.account_models, key.policy.zdr) == (("b/*",), ("a/*",), True)
        assert key.preferences is not None
        assert key.preferences.sort == Sort("price")
        assert key.plugins == (WebPlugin(),)
        assert set(key.rates) == {
            Rate(key.id, "requests", 10, 60),
            Rate(key.id, "streams", 2, 0),
            Rate(key.id, "tokens", 9, 86_400, "b/*"),
            Rate(key.account_id, "requests", 100, 60),
        }

    def test_a_key_of_before_there_were_terms_may_all_and_is_unlimited(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> Key:
            made = await scene.keys.create("a")
            return await scene.keys.authenticate(f"Bearer {made.text}")

        key = play(tmp_path, act)
        assert not key.is_limited
        assert key.policy == Policy(account="default", max_attempts=3)
        assert (key.rates, key.preferences, key.plugins, key.budget) == ((), None, (), None)

    def test_AU_07_with_the_store_down_a_key_with_a_limit_is_503_and_one_without_goes_on(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            account = await Accounts(scene.gate.database, lambda: scene.clocks.wall).create("acme", 0, {})
            free = (await scene.keys.create("free")).text
            limited = [
                (await scene.keys.create("own", limit_nano=1)).text,
                (await scene.keys.create("accounts", account_id=account.id)).text,
            ]
            for text in (free, *limited):
                assert await scene.is_good(text)
            scene.gate.is_down = True
            scene.clocks.now += FRESH_S
            assert await scene.is_good(free)
            for text in limited:
                with pytest.raises(ServiceUnavailable):
                    await scene.keys.authenticate(f"Bearer {text}")

        play(tmp_path, act)

    def test_terms_that_cannot_be_read_are_503_for_that_key_alone(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            good, bad = [(await scene.keys.create(name)).text for name in "ab"]
            spoil = "UPDATE keys SET terms = '{\"modles\": []}' WHERE name = 'b'"
            await scene.gate.write(lambda connection: connection.execute(spoil) and None)
            found = await asyncio.gather(
                scene.is_good(good), scene.keys.authenticate(f"Bearer {bad}"), return_exceptions=True
            )
            assert found[0] is True
            assert isinstance(found[1], ServiceUnavailable)
            assert "modles is not known here" in found[1].message

        play(tmp_path, act)

    def test_AU_16_an_account_is_refused_while_it_is_disabled_and_elsewhere_within_five_seconds(
        self, tmp_path: Path
    ) -> None:
        async def act(scene: Scene) -> None:
            accounts = Accounts(scene.gate.database, lambda: scene.clocks.wall)
            text = (await scene.keys.create("a")).text
            assert await scene.is_good(text)
            for disabled in (True, False):
                await accounts.change("default", disabled=disabled)
                assert await scene.is_good(text) is disabled
                scene.clocks.now += FRESH_S
                assert await scene.is_good(text) is not disabled

        play(tmp_path, act)


class TestChange:
    def test_a_new_limit_is_that_of_the_present_period_and_never_below_what_is_spent(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            row = (await scene.keys.create("a", limit_nano=100, limit_reset="daily")).row
            assert await scene.keys.spent([row]) == {row.id: BudgetRow(f"{row.id}@2027-01-15", 100, 0, 0)}
            await scene.keys.change(row.id, {"limit_nano": 50}, {})
            spend = "UPDATE budgets SET charged_nano = 20, held_nano = 10"
            await scene.gate.write(lambda connection: connection.execute(spend) and None)
            for limit, credited in ((40, 40), (5, 30), (200, 200)):
                changed = await scene.keys.change(row.id, {"limit_nano": limit}, {})
                assert changed.limit_nano == limit
                assert (await scene.keys.spent([changed]))[row.id][1:] == (credited, 20, 10)
            scene.clocks.wall += 86_400
            assert (await scene.keys.spent([changed]))[row.id][1:] == (200, 0, 0)
            with pytest.raises(Declined, match="set --limit too"):
                await scene.keys.change(row.id, {"limit_nano": None}, {})
            free = await scene.keys.change(row.id, {"limit_nano": None, "limit_reset": None}, {})
            assert await scene.keys.spent([free]) == {}

        play(tmp_path, act)

    def test_terms_are_laid_over_those_that_are_there(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            row = (await scene.keys.create("a", terms={"rpm": 5, "zdr": True})).row
            changed = await scene.keys.change(row.id, {"name": "b"}, {"rpm": None, "tpm": 7})
            assert (changed.name, changed.terms) == ("b", '{"tpm": 7, "zdr": true}')
            with pytest.raises(Declined, match="tpm must be a whole number"):
                await scene.keys.change(row.id, {"name": "c"}, {"tpm": 0})
            assert [row.name for row in await scene.keys.all()] == ["b"]

        play(tmp_path, act)

    def test_a_key_that_is_revoked_gets_no_new_text(self, tmp_path: Path) -> None:
        async def act(scene: Scene) -> None:
            await scene.keys.create("a")
            (row,) = await scene.keys.revoke("a")
            (row,) = await scene.keys.named(row.id)
            with pytest.raises(Declined, match="revoked for good"):
                await scene.keys.rotate(row)

        play(tmp_path, act)


def test_AU_04_a_look_up_takes_as_long_whatever_the_key_begins_with(tmp_path: Path) -> None:
    """Times of the hash and the statement, which are all that a refused key differs in; Mann and Whitney's U."""

    async def act(scene: Scene) -> list[list[float]]:
        known = [(await scene.keys.create(str(number))).text for number in range(50)]

        texts = [(begun[:7] + new_key_text()[7:], 0) for begun in known * 40]
        texts += [(new_key_text(), 1) for _ in range(2_000)]
        random.Random(4).shuffle(texts)

        def work(connection: Connection) -> list[list[float]]:
            samples: list[list[float]] = [[], []]
            for text, which in texts:
                started = time.perf_counter()
                found = statements.find_keys(connection, [hmac.digest(PEPPER, text.encode(), "sha256")])
                samples[which].append(time.perf_counter() - started)
                assert not found
            return samples

        return await scene.gate.database.read(work)

    one, other = play(tmp_path, act)
    ranked = sorted([(each, 0) for each in one] + [(each, 1) for each in other])
    n = len(one)
    u = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0) - n * (n + 1) / 2
    z = (u - n * n / 2) / (n * n * (2 * n + 1) / 12) ** 0.5
    assert abs(z) < 5


def test_a_key_comes_with_the_provider_keys_of_its_account_for_five_seconds(tmp_path: Path) -> None:
    masters = MasterKeys({"m": SecretSource(inline=Secret("ab" * 32))}, None, {})

    async def act(scene: Scene) -> None:
        clocks, database = scene.clocks, scene.gate.database
        keys = Keys(database, PEPPER, clock=lambda: clocks.now, wall_clock=lambda: clocks.wall, masters=masters)
        brought = ProviderKeys(database, masters, wall_clock=lambda: clocks.wall)
        text = f"Bearer {(await keys.create('a')).text}"
        plain = await keys.authenticate(text)
        assert (plain.owner.account_id, plain.owner.key_id) == ("default", plain.id)
        assert (plain.owner.keys, plain.policy.own_keys, plain.policy.own_keys_only) == ({}, frozenset(), frozenset())
        await brought.add("default", "openai", Secret("sk-of-the-account"), only=False)
        own, _ = await brought.add(plain.id, "groq", Secret("sk-of-the-key"), only=True)
        assert not (await keys.authenticate(text)).owner.keys
        clocks.now += FRESH_S
        key = await keys.authenticate(text)
        assert key.policy.own_keys == {"openai", "groq"}
        assert key.policy.own_keys_only == {"groq"}
        assert {slug: each.secret and each.secret.reveal() for slug, each in key.owner.keys.items()} == {
            "openai": "sk-of-the-account",
            "groq": "sk-of-the-key",
        }
        assert "sk-of" not in repr(key)
        await brought.remove(own.id)
        clocks.now += FRESH_S
        assert (await keys.authenticate(text)).policy.own_keys == {"openai"}
        blind = await scene.another_node().authenticate(text)
        assert blind.policy.own_keys == {"openai"}, "that it brings one is known without what opens it"
        assert blind.owner.keys["openai"].secret is None

    play(tmp_path, act)
