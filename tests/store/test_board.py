"""The board: whose reply is whose, how long anybody waits for it, and what becomes of it when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Coroutine

import pytest
import uvloop

from tests.servers.valkey import Valkey
from tests.store.boards import Told, board_at, opened, speaking, until
from trunkline.settings.reading import SettingsError
from trunkline.store.board import DEADLINE_S, Board, BoardAway, Broken, Script
from trunkline.store.breaker import MOST_FAILURES, OPEN_S, PAUSE_S, WINDOW_S, Breaker
from trunkline.store.opening import make_board
from trunkline.store.valkey import Dialer

ECHO = Script("return ARGV[1]")
COUNT = Script("return redis.call('INCR', KEYS[1])")


async def is_away(board: Board) -> bool:
    try:
        await board.run(ECHO, (), ("x",))
    except BoardAway:
        return True
    return False


class TestBreaker:
    def test_the_third_failure_within_ten_seconds_opens_it_once(self) -> None:
        breaker = Breaker()
        assert not breaker.fail(100.0)
        assert breaker.wait_s(100.0) == 0
        assert not breaker.fail(101.0)
        assert breaker.wait_s(101.0) == pytest.approx(PAUSE_S)
        assert breaker.fail(102.0)
        assert breaker.is_open
        assert breaker.wait_s(102.0) == pytest.approx(OPEN_S)
        assert not breaker.fail(108.0)
        assert breaker.wait_s(108.0) == pytest.approx(OPEN_S)

    def test_failures_far_apart_do_not(self) -> None:
        breaker = Breaker()
        for number in range(20):
            assert not breaker.fail(number * (WINDOW_S / (MOST_FAILURES - 1) + 0.1))
            breaker.succeed()

    def test_it_closes_with_the_first_success_and_opens_again_after_three_failures(self) -> None:
        breaker = Breaker()
        for _ in range(MOST_FAILURES):
            breaker.fail(100.0)
        assert breaker.succeed()
        assert not breaker.is_open
        assert not breaker.succeed()
        assert [breaker.fail(101.0 + number) for number in range(MOST_FAILURES)] == [False, False, True]


@pytest.mark.usefixtures("patient")
class TestReplies:
    def test_DB_16_no_reply_goes_to_another_caller_however_many_are_cancelled(self, redis_url: str) -> None:
        dice = random.Random(16)
        heard = {"tenant_1": 0, "tenant_2": 0}
        unheard: list[bytes] = []

        async def call(board: Board, tenant: str, number: int) -> None:
            own = f"{tenant} {number}"
            try:
                reply = await board.run(ECHO, (), (own,), unheard.append)
            except BoardAway:
                pytest.fail("the board was away")
            assert reply == own.encode()
            heard[tenant] += 1

        async def round_of_calls(board: Board, number: int) -> None:
            calls = [asyncio.create_task(call(board, tenant, number)) for tenant in heard for _ in range(5)]
            for each in calls:
                if dice.random() < 0.5:
                    asyncio.get_running_loop().call_later(dice.random() * 0.0005, each.cancel)
            for result in await asyncio.gather(*calls, return_exceptions=True):
                assert result is None or isinstance(result, asyncio.CancelledError), result

        async def play() -> None:
            async with opened(redis_url) as board:
                for begin in range(0, 1_000, 4):
                    await asyncio.gather(*(round_of_calls(board, begin + each) for each in range(4)))

        asyncio.run(play())
        assert min(heard.values()) > 1_000
        # Of those that left some had been sent; nobody else was given what they were told.
        assert unheard
        assert sum(heard.values()) + len(unheard) <= 10_000

    def test_a_script_that_the_server_forgot_is_sent_again(self, redis_server: Valkey) -> None:
        async def play() -> None:
            async with opened(redis_server.url) as board:
                for expected in (1, 2):
                    assert await board.run(COUNT, ("trunkline:n",), ()) == expected
                redis_server.run("SCRIPT", "FLUSH")
                replies = await asyncio.gather(*(board.run(COUNT, ("trunkline:n",), ()) for _ in range(5)))
                assert sorted(replies) == [3, 4, 5, 6, 7]

        asyncio.run(play())

    def test_what_nobody_waits_for_comes_before_what_is_asked_later(self, redis_url: str) -> None:
        async def play() -> None:
            async with opened(redis_url) as board:
                for _ in range(3):
                    board.send(COUNT, ("trunkline:n",), ())
                assert await board.run(COUNT, ("trunkline:n",), ()) == 4
                board.send(COUNT, ("trunkline:n",), ())
            async with opened(redis_url) as board:  # the first board sent what waited before it ended
                assert await board.run(COUNT, ("trunkline:n",), ()) == 6

        asyncio.run(play())


@pytest.mark.usefixtures("patient")
class TestMessages:
    def test_all_who_hear_a_channel_are_told_and_hear_again_after_a_failure(self, redis_server: Valkey) -> None:
        async def play() -> None:
            heard: list[bytes] = []
            one, two = board_at(redis_server.url), board_at(redis_server.url, node="boot_two")
            one.hear("trunkline:news", heard.append)
            one.hear("trunkline:news", heard.append)
            one.hear("trunkline:other", lambda message: pytest.fail("not told"))
            await one.open()
            await two.open()

            async def told(message: bytes) -> None:
                async with asyncio.timeout(10):
                    while message not in heard:
                        two.tell("trunkline:news", message)
                        await asyncio.sleep(0.02)

            await told(b"first \xff")
            redis_server.run("CLIENT", "KILL", "TYPE", "pubsub")
            await told(b"second")
            await one.close()
            await two.close()
            two.tell("trunkline:news", b"nobody")

        asyncio.run(play())


class TestAway:
    def test_nobody_is_there_and_nobody_waits(self) -> None:
        async def play() -> None:
            told = Told()
            board = board_at("redis://127.0.0.1:1/0", told)
            await board.open()
            assert not board.is_here
            began = time.monotonic()
            assert await is_away(board)
            assert time.monotonic() - began < 1
            await until(lambda: bool(told.events))
            assert told.events == [("board.away", "connection refused")]
            await board.close()

        asyncio.run(play())

    def test_RL_04_callers_of_a_frozen_server_are_answered_in_time(self, redis_server: Valkey) -> None:
        took: list[float] = []

        async def call(board: Board) -> None:
            began = time.monotonic()
            assert await is_away(board)
            took.append(time.monotonic() - began)

        async def play() -> None:
            async with opened(redis_server.url) as board:
                with redis_server.paused():
                    for _ in range(20):
                        await asyncio.gather(*(call(board) for _ in range(50)))
                        await asyncio.sleep(0.01)
                await until(lambda: board.is_here)

        asyncio.run(play())
        took.sort()
        assert took[-1] < 1
        # Only those who came first waited at all.
        assert took[len(took) // 2] < DEADLINE_S

    def test_a_process_that_was_held_up_itself_finds_no_fault_with_the_server(self, redis_server: Valkey) -> None:
        told = Told()

        async def play() -> None:
            async with opened(redis_server.url, told) as board:
                for _ in range(2 * MOST_FAILURES):
                    await until(lambda: board.is_here)
                    with redis_server.paused():
                        asking = asyncio.create_task(is_away(board))
                        for _ in range(5):
                            await asyncio.sleep(0)
                        time.sleep(DEADLINE_S + 0.1)  # noqa: ASYNC251 – that is what is tried
                        assert await asking

        asyncio.run(play())
        assert not told.events

    @pytest.mark.usefixtures("patient")
    def test_nobody_waits_behind_what_was_kept(self, redis_server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("trunkline.store.board.MAX_CALLS", 10)
        counts: list[object] = []

        async def play() -> None:
            board = board_at(redis_server.url)
            for _ in range(1_000):
                board.send(COUNT, ("trunkline:n",), ())
            board.when_here(lambda: board.send(COUNT, ("trunkline:n",), ()))
            opening = asyncio.create_task(board.open())
            while not opening.done():
                await asyncio.sleep(0)
                if not await is_away(board):
                    counts.append(await board.run(COUNT, ("trunkline:n",), ()))
            counts.append(await board.run(COUNT, ("trunkline:n",), ()))
            await board.close()

        asyncio.run(play())
        assert isinstance(counts[0], int)
        assert counts[0] >= 1_002

    @pytest.mark.usefixtures("patient")
    def test_RL_03_a_server_that_was_killed_is_told_once_and_is_used_again(
        self, redis_server: Valkey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trunkline.store.breaker.OPEN_S", 0.1)
        told, returns = Told(), []

        async def play() -> None:
            board = board_at(redis_server.url, told)
            board.when_here(lambda: returns.append(told.names[:]))
            await board.open()
            with redis_server.gone():
                await until(lambda: bool(told.events))
                assert await is_away(board)
                board.send(COUNT, ("trunkline:n",), ())
                board.tell("trunkline:news", b"nobody hears it")
            await until(lambda: board.is_here)
            assert await board.run(COUNT, ("trunkline:n",), ()) == 2  # what was to be sent meanwhile came first
            await board.close()

        asyncio.run(play())
        assert told.names == ["board.away", "board.back"]
        assert returns == [[], ["board.away", "board.back"]]

    @pytest.mark.parametrize(
        "reply",
        [
            b"-READONLY You can't write against a read only replica.\r\n",
            b"-MOVED 866 127.0.0.1:7002\r\n",
            b"-LOADING Redis is loading the dataset in memory\r\n",
            b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
            b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
            b"-NOPERM this user has no permissions to run 'evalsha', with args beginning with: sekret\r\n",
            b"-BUSY Redis is busy running a script.\r\n",
            b"-ERR user_script:1: attempt to index a nil value sekret\r\n",
            b"$10\r\ncut",
            b"nonsense\r\n",
            b"$sekret\r\n",
            b":sekret\r\n",
            b"*1\r\n" * 5_000,
            b"$99999999999999999999\r\n",
            b"",
        ],
        ids=lambda reply: reply[:9].decode().strip() or "closed",
    )
    def test_RL_11_whatever_a_server_says_is_the_board_being_away(self, reply: bytes) -> None:
        told = Told()

        async def play() -> None:
            async with speaking(reply) as url:
                board = board_at(url, told)
                await board.open()
                assert board.is_here
                async with asyncio.timeout(20):
                    # More often than the breaker needs where this machine is busy: what is late here does not count.
                    while not told.events:
                        await until(lambda: board.is_here or bool(told.events))
                        assert await is_away(board)
                assert await is_away(board)
                await board.close()

        asyncio.run(play())
        ((event, detail),) = told.events
        assert event == "board.away"
        assert "sekret" not in detail
        assert len(detail) < 40

    @pytest.mark.parametrize("writes", [0, 1, 2])
    def test_a_connection_that_closed_is_broken_whatever_it_is_told(self, redis_server: Valkey, writes: int) -> None:
        """The loop of the gateway says so in words of its own, and not as asyncio's does."""

        async def play() -> None:
            link = await Dialer(redis_server.url)()
            redis_server.run("CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.05)
            for _ in range(writes):  # the first to write finds it closed
                with contextlib.suppress(ConnectionError):
                    link._wire._writer.write(b"x")  # type: ignore[attr-defined]
                await asyncio.sleep(0.05)
            async with asyncio.timeout(5):
                with pytest.raises(Broken):
                    await link.exchange([("PING",)])
            await link.close()

        uvloop.run(play())

    @pytest.mark.usefixtures("patient")
    def test_RL_11_a_script_that_a_server_never_knows_does_not_go_round_for_ever(self) -> None:
        async def play() -> None:
            async with speaking(b"-NOSCRIPT No matching script.\r\n") as url, opened(url) as board:
                assert await is_away(board)

        asyncio.run(play())

    def test_RL_11_a_server_that_may_not_be_written_is_away_from_the_start(self, redis_server: Valkey) -> None:
        told = Told()

        async def play() -> None:
            redis_server.run("REPLICAOF", "127.0.0.1", "1")
            try:
                async with opened(redis_server.url, told) as board:
                    assert not board.is_here
                    await until(lambda: bool(told.events))
            finally:
                redis_server.run("REPLICAOF", "NO", "ONE")

        asyncio.run(play())
        assert told.events == [("board.away", "READONLY")]

    @pytest.mark.usefixtures("patient")
    def test_a_server_that_takes_no_messages_counts_all_the_same(self, redis_server: Valkey) -> None:
        """A user of Redis 7 has no channels unless they are given to it."""
        told = Told()

        async def play() -> None:
            redis_server.run("ACL", "SETUSER", "mute", "on", ">word", "~trunkline:*", "+@all", "resetchannels")
            board = board_at(f"redis://mute:word@127.0.0.1:{redis_server.port}/0", told)
            board.hear("trunkline:news", lambda message: pytest.fail("nobody is told"))
            await board.open()
            for expected in range(1, 6):
                board.tell("trunkline:news", b"unheard")
                assert await board.run(COUNT, ("trunkline:n",), ()) == expected
            await until(lambda: len(told.events) == 2)
            assert board.is_here
            await board.close()

        asyncio.run(play())
        assert sorted(told.events) == [("board.unheard", "NOPERM"), ("board.untold", "NOPERM")]

    @pytest.mark.usefixtures("patient")
    def test_one_connection_that_breaks_is_made_anew_without_a_word(self, redis_server: Valkey) -> None:
        told = Told()

        async def play() -> None:
            async with opened(redis_server.url, told) as board:
                assert await board.run(ECHO, (), ("x",)) == b"x"
                redis_server.run("CLIENT", "KILL", "TYPE", "normal")
                assert await is_away(board)
                await until(lambda: board.is_here)
                assert await board.run(ECHO, (), ("x",)) == b"x"

        asyncio.run(play())
        assert not told.events

    @pytest.mark.usefixtures("patient")
    def test_with_too_many_waiting_one_more_does_not_wait(
        self, redis_server: Valkey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("trunkline.store.board.MAX_WAITING", 3)

        async def play() -> None:
            async with opened(redis_server.url) as board:
                calls: list[Coroutine[None, None, bool]] = [is_away(board) for _ in range(5)]
                assert await asyncio.gather(*calls) == [False] * 3 + [True] * 2

        asyncio.run(play())


@pytest.mark.usefixtures("patient")
class TestAddress:
    def test_a_password_and_a_database_are_used(self, redis_server: Valkey) -> None:
        async def play() -> None:
            told = Told()
            redis_server.run("ACL", "SETUSER", "nodes", "on", ">pass:/word", "~trunkline:*", "+@all")
            address = f"127.0.0.1:{redis_server.port}"
            async with opened(f"valkey://nodes:pass%3A%2Fword@{address}/7") as board:
                assert await board.run(COUNT, ("trunkline:n",), ()) == 1
                assert b"trunkline:n" not in redis_server.run("KEYS", "*")
            async with opened(f"redis://nodes:wrong-sekret@{address}/7", told) as board:
                assert await is_away(board)
                await until(lambda: bool(told.events))
            assert told.events == [("board.away", "WRONGPASS")]

        asyncio.run(play())

    def test_without_the_library_it_is_said_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "trunkline.store.valkey")
        monkeypatch.setitem(sys.modules, "redis.asyncio.connection", None)
        with pytest.raises(SettingsError) as raised:
            make_board("redis://h/0", "boot_one", Told())
        (problem,) = raised.value.problems
        assert problem == "store.counters needs a library that is not there; run pip install 'trunkline[cluster]'"

    @pytest.mark.parametrize(
        "url", ["redis://h:port/0", "unix:///tmp/x", "redis://h?socket_timeout=x", "redis://h?a=1"]
    )
    def test_another_one_is_refused(self, url: str) -> None:
        with pytest.raises(SettingsError) as raised:
            Dialer(url)
        assert all("store.counters" in problem for problem in raised.value.problems)
