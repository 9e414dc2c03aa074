"""Limits of keys and accounts through the running gateway, over FakeProvider."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.server import COMMAND, Gateway, Reply, post, running
from tests.gateway.tenants import Store
from tests.gateway.waiting import eventually
from tests.servers.valkey import Valkey

CONFIG = """
[server]
grace = "5 s"
[providers.fake-provider]
enabled = true
"""


@dataclass
class House:
    """A gateway, and the hand that gives out its keys."""

    gateway: Gateway
    folder: Path

    def run(self, *words: str) -> Any:
        command = [*COMMAND, *words, "--config", "trunkline.toml", "--json"]
        ran = subprocess.run(command, cwd=self.folder, capture_output=True, check=True)
        return json.loads(ran.stdout)

    def key(self, account: str, *options: str) -> str:
        """A key of an account, made as an operator does."""
        key: str = self.run("keys", "create", "--account", account, "--name", "limited", *options)["key"]
        return key

    def limited(self, **terms: int) -> str:
        """A key of an account of its own, made faster."""
        return Store(self.gateway, self.folder / "trunkline.db").tenant(terms=json.dumps(terms)).text

    def ask(self, key: str, text: str = "hi", **members: object) -> Reply:
        return self.gateway.call({"model": "fake/echo", "input": text, **members}, key=key)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("limits")
    with running(folder, CONFIG) as gateway:
        house = House(gateway, folder)
        yield house
        eventually(lambda: house.run("ledger", "audit")["open_holds"] == 0, "a hold is left")
        assert house.run("ledger", "audit")["ok"]


def hold_to_form(reply: Reply, limit: int, kind: str, source: str = "key") -> dict[str, Any]:
    """Hold a 429 to what every one says, and give its metadata."""
    assert reply.status == 429, reply.body
    metadata: dict[str, Any] = reply.json["error"]["metadata"]
    assert reply.headers["x-ratelimit-limit"] == str(limit)
    assert int(reply.headers["x-ratelimit-remaining"]) >= 0
    assert abs(int(reply.headers["x-ratelimit-reset"]) / 1000 - time.time()) < 86_500
    assert reply.headers["x-generation-id"].startswith("resp_")
    assert reply.json["user_id"].startswith("acc_")
    assert metadata["headers"] == {
        f"X-RateLimit-{name}": reply.headers[f"x-ratelimit-{name.lower()}"] for name in ("Limit", "Remaining", "Reset")
    }
    assert metadata["error_type"] == "rate_limit_exceeded"
    assert (metadata["limit_kind"], metadata["limit_source"]) == (kind, source)
    return metadata


def test_RL_01_the_61st_of_60_a_minute_is_told_when_it_passes(house: House) -> None:
    key = house.limited(rpm=60)
    began = time.monotonic()
    passed = 0
    while (reply := house.ask(key)).status == 200:
        assert not any(name.startswith("x-ratelimit") for name in reply.headers)
        passed += 1
    # One more comes back each second.
    assert 60 <= passed <= 60 + int(time.monotonic() - began)
    metadata = hold_to_form(reply, 60, "requests")
    assert (metadata["limit_amount"], metadata["limit_period_s"], metadata["limit_model"]) == (60, 60, None)
    assert reply.headers["retry-after"] == "1"
    assert "60 requests a minute" in reply.json["error"]["message"]
    time.sleep(1)
    assert house.ask(key).status == 200
    assert house.ask(house.limited()).status == 200


def test_a_stream_is_refused_by_its_status(house: House) -> None:
    key = house.limited(rpm=1)
    assert house.ask(key, stream=True).events[-1]["type"] == "response.completed"
    hold_to_form(house.ask(key, stream=True), 1, "requests")


def test_a_request_that_is_no_request_takes_nothing(house: House) -> None:
    key = house.limited(rpm=1)
    assert house.ask(key, temperature="warm").status == 400
    assert house.ask(key, model="fake/unknown").status == 404
    assert (
        house.gateway.call({"model": "fake/echo", "input": "hi"}, key=key, path="/api/v1/responses/explain").status
        == 200
    )
    assert house.ask(key).status == 200
    assert house.ask(key).status == 429


def test_RL_06_tokens_of_a_stream_that_is_left_are_given_back(house: House) -> None:
    key = house.limited(tpm=10_000)
    body = {"model": "fake/lorem", "input": "!rate 20\n!tokens 1000", "stream": True, "max_output_tokens": 9000}
    with house.gateway.connect() as client:
        client.send(post(body, key=key))
        client.read_until(b"output_text.delta")
        refused = house.ask(key, max_output_tokens=9000)
        hold_to_form(refused, 10_000, "tokens")
        assert 40 <= int(refused.headers["retry-after"]) <= 60
        client.reset()
    eventually(lambda: house.ask(key, max_output_tokens=9000).status == 200, "the tokens are not given back")


def test_a_request_of_more_tokens_than_the_limit_is_not_told_to_wait(house: House) -> None:
    key = house.limited(tpm=1_000)
    reply = house.ask(key, max_output_tokens=2000)
    hold_to_form(reply, 1_000, "tokens")
    assert "retry-after" not in reply.headers
    assert "smaller max_output_tokens" in reply.json["error"]["message"]
    assert house.ask(key, max_output_tokens=500).status == 200


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/api/v1/chat/completions", "max_completion_tokens"),
        ("/api/v1/chat/completions", "max_tokens"),
        ("/api/v1/messages", "max_tokens"),
    ],
)
def test_what_is_to_be_smaller_is_named_as_the_client_names_it(path: str, limit: str, house: House) -> None:
    body = {"model": "fake/echo", "messages": [{"role": "user", "content": "hi"}], limit: 2000}
    reply = house.gateway.call(body, key=house.limited(tpm=1_000), path=path)
    assert reply.status == 429
    assert f"or a smaller {limit}." in reply.json["error"]["message"]


def test_RL_10_a_thousand_disconnects_leave_no_place_taken(house: House) -> None:
    key = house.limited(concurrency=10)
    silent = post({"model": "fake/echo", "input": "!text hi\n!stall", "stream": True}, key=key)

    def leave_some(count: int) -> None:
        left = 0
        while left < count:
            with house.gateway.connect() as client:
                client.send(silent)
                client.read()
                left += b" 200 OK" in client.gathered[:20]
                client.reset()

    leaving = [threading.Thread(target=leave_some, args=(125,)) for _ in range(8)]
    for each in leaving:
        each.start()
    for each in leaving:
        each.join()
    eventually(lambda: house.ask(key).status == 200, "all places stay taken")
    clients = [house.gateway.connect() for _ in range(10)]
    try:
        for client in clients:
            client.send(silent)
            assert b" 200 OK" in client.read_until(b"output_text.delta")
        reply = house.ask(key)
        hold_to_form(reply, 10, "streams")
        assert reply.headers["retry-after"] == "1"
    finally:
        for client in clients:
            client.reset()
    eventually(lambda: house.ask(key).status == 200, "all places stay taken")


def test_RL_10_a_request_gives_its_place_back_however_it_ends(house: House) -> None:
    key = house.limited(concurrency=1)
    for text, stream, status in (
        ("hi", False, 200),
        ("hi", True, 200),
        ("!status 500", False, 502),
        ("!status 500", True, 502),
        ("!text hi\n!cut", False, 502),
        ("!text hi\n!cut", True, 200),
        ("!nonsense", True, 400),
    ):
        assert house.ask(key, text, stream=stream).status == status, text
    with house.gateway.connect() as client:
        client.send(post({"model": "fake/echo", "input": "!stall"}, key=key))
        eventually(lambda: house.ask(key).status == 429, "nothing is under way")
        client.reset()
    eventually(lambda: house.ask(key).status == 200, "its place stays taken")


def test_an_account_s_limits_hold_for_all_its_keys_together(house: House) -> None:
    options = ("--rpd", "2", "--model-rates", '{"fake/lorem": {"rpd": 1}}')
    account = house.run("accounts", "create", "together", "--unlimited", *options)["id"]
    one, two = house.key(account), house.key(account)
    assert house.ask(one, model="fake/lorem").status == 200
    metadata = hold_to_form(house.ask(two, model="fake/lorem"), 1, "requests", "account")
    assert metadata["limit_model"] == "fake/lorem"
    assert house.ask(two).status == 200
    assert hold_to_form(house.ask(one), 2, "requests", "account")["limit_period_s"] == 86_400


def test_a_request_without_credit_takes_of_no_limit(house: House) -> None:
    account = house.run("accounts", "create", "poor")["id"]
    key = house.key(account, "--rpm", "1", "--concurrency", "1")
    assert [house.ask(key, model="fake/lorem").status for _ in range(3)] == [402, 402, 402]


def test_TN_05_a_tenant_far_above_its_limit_harms_no_other(house: House) -> None:
    loud, quiet = house.limited(rpm=30), house.limited()

    def calm() -> list[float]:
        took = []
        for _ in range(15):
            began = time.perf_counter()
            assert house.ask(quiet).status == 200
            took.append(time.perf_counter() - began)
            time.sleep(max(0.0, 0.1 - took[-1]))
        return took

    alone = calm()
    statuses: list[int] = []
    is_over = threading.Event()

    def shout() -> None:
        while not is_over.is_set():
            statuses.append(house.ask(loud).status)
            time.sleep(0.01)  # with two of them far more than ten times what is let through

    shouting = [threading.Thread(target=shout) for _ in range(2)]
    for each in shouting:
        each.start()
    try:
        beside = calm()
    finally:
        is_over.set()
        for each in shouting:
            each.join()
    assert statuses.count(200) <= 31
    assert set(statuses) == {200, 429}
    # The second half is what a machine does that other work comes and goes on.
    assert statistics.median(beside) <= 2 * max(alone) + 0.05


def test_a_second_process_on_the_same_database_has_half_of_a_limit(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = house.limited(rpd=10)
    config = f'{CONFIG}[store]\nurl = "sqlite:///{house.folder}/trunkline.db"\n'
    with running(tmp_path_factory.mktemp("second"), config) as gateway:
        second = House(gateway, house.folder)
        assert [second.ask(key).status for _ in range(5)] == [200] * 5
        metadata = hold_to_form(second.ask(key), 5, "requests")
        assert metadata["limit_amount"] == 10
        (told,) = [json.loads(line) for line in gateway.log.read_text().splitlines() if "store.shared" in line]
        assert told["level"] == "warning"


PASSWORD = "canary-of-the-board-Zt5Qw8"


@dataclass
class Pair:
    """Two gateways on one database and one board."""

    one: House
    two: House
    board: Valkey

    def ask_at_once(self, key: str, count: int) -> list[Reply]:
        """So many requests, half of them to each."""
        with ThreadPoolExecutor(32) as pool:
            houses = [self.one, self.two] * (count // 2)
            return list(pool.map(lambda house: house.ask(key), houses))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, shared_redis: Valkey) -> Iterator[Pair]:
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    config = f'{CONFIG}[store]\nurl = "sqlite:///{one}/trunkline.db"\n'
    config += f'counters = "redis://nodes:{PASSWORD}@127.0.0.1:{shared_redis.port}/0"\n'
    give_password(shared_redis)
    patience = str(Path(__file__).parent / "patience")
    with running(one, config, PYTHONPATH=patience) as first, running(two, config, PYTHONPATH=patience) as second:
        pair = Pair(House(first, one), House(second, one), shared_redis)
        yield pair
        eventually(lambda: pair.one.run("ledger", "audit")["open_holds"] == 0, "a hold is left")
    for folder in (one, two):
        assert PASSWORD not in (folder / "gateway.log").read_text()


class TestOnABoard:
    def test_RL_02_of_200_at_once_at_two_gateways_a_hundred_pass(self, pair: Pair) -> None:
        key = pair.one.limited(rpd=100, tpd=10_000_000, concurrency=300)
        replies = pair.ask_at_once(key, 200)
        assert [reply.status for reply in replies].count(200) == 100
        refused = next(reply for reply in replies if reply.status == 429)
        assert hold_to_form(refused, 100, "requests")["limit_amount"] == 100

    def test_RL_01_the_61st_of_60_a_minute_is_told_when_it_passes(self, pair: Pair) -> None:
        key = pair.one.limited(rpm=60)
        began = time.monotonic()
        passed = [reply.status for reply in pair.ask_at_once(key, 60)].count(200)
        while (reply := pair.two.ask(key)).status == 200:
            passed += 1
        assert 60 <= passed <= 60 + int(time.monotonic() - began)
        hold_to_form(reply, 60, "requests")
        assert reply.headers["retry-after"] == "1"

    def test_RL_06_tokens_of_a_stream_that_is_left_are_given_back(self, pair: Pair) -> None:
        key = pair.one.limited(tpm=10_000)
        body = {"model": "fake/lorem", "input": "!rate 20\n!tokens 1000", "stream": True, "max_output_tokens": 9000}
        with pair.one.gateway.connect() as client:
            client.send(post(body, key=key))
            client.read_until(b"output_text.delta")
            hold_to_form(pair.two.ask(key, max_output_tokens=9000), 10_000, "tokens")
            client.reset()
        eventually(lambda: pair.two.ask(key, max_output_tokens=9000).status == 200, "the tokens are not given back")

    def test_RL_10_disconnects_at_one_leave_no_place_taken_at_the_other(self, pair: Pair) -> None:
        key = pair.one.limited(concurrency=2)
        silent = post({"model": "fake/echo", "input": "!text hi\n!stall", "stream": True}, key=key)
        for _ in range(10):
            clients = [house.gateway.connect() for house in (pair.one, pair.two)]
            try:
                for client in clients:
                    client.send(silent)
                    client.read_until(b"output_text.delta")
                hold_to_form(pair.two.ask(key), 2, "streams")
            finally:
                for client in clients:
                    client.reset()
            eventually(lambda: pair.one.ask(key).status == 200, "all places stay taken")
            eventually(lambda: pair.two.ask(key).status == 200, "all places stay taken")

    def test_a_request_without_credit_takes_of_no_limit(self, pair: Pair) -> None:
        account = pair.one.run("accounts", "create", "poor")["id"]
        key = pair.one.key(account, "--rpm", "1", "--concurrency", "1")
        assert [pair.two.ask(key, model="fake/lorem").status for _ in range(3)] == [402, 402, 402]

    def test_a_request_without_limits_takes_nothing_of_it(self, pair: Pair) -> None:
        key = pair.one.limited()
        before = buckets_on(pair.board)
        assert pair.one.ask(key).status == 200
        assert buckets_on(pair.board) <= before
        assert pair.one.ask(pair.one.limited(rpm=5)).status == 200
        assert not buckets_on(pair.board) <= before

    def test_RL_03_killed_under_load_it_harms_nobody_and_is_exact_again(self, pair: Pair) -> None:
        limited, free = pair.one.limited(rpd=60), pair.one.limited()
        statuses: dict[str, list[int]] = {limited: [], free: []}
        is_over = threading.Event()

        def load(house: House, key: str) -> None:
            while not is_over.is_set():
                statuses[key].append(house.ask(key).status)
                time.sleep(0.005)

        houses = (pair.one, pair.two)
        loading = [threading.Thread(target=load, args=(house, key)) for house in houses for key in statuses]
        for each in loading:
            each.start()
        try:
            with pair.board.gone():
                eventually(lambda: all("board.away" in told_in(house) for house in houses), "nobody is told")
                time.sleep(0.3)
            give_password(pair.board)
            eventually(lambda: all("board.back" in told_in(house) for house in houses), "nobody is told")
            time.sleep(0.3)
        finally:
            is_over.set()
            for each in loading:
                each.join()
        assert set(statuses[free]) == {200}
        assert set(statuses[limited]) == {200, 429}
        # The amount before, once more of shares without the board, and once more when it came back empty.
        assert 60 <= statuses[limited].count(200) <= 3 * 60
        key = pair.one.limited(rpd=20)
        assert [reply.status for reply in pair.ask_at_once(key, 40)].count(200) == 20


def give_password(server: Valkey) -> None:
    """Make the user that the gateways are; the server forgets it when it is killed."""
    said = server.run("ACL", "SETUSER", "nodes", "on", f">{PASSWORD}", "~trunkline:*", "&trunkline:*", "+@all")
    assert said == b"+OK\r\n"


def told_in(house: House) -> str:
    return house.gateway.log.read_text()


def buckets_on(server: Valkey) -> set[bytes]:
    return set(re.findall(rb"trunkline:bucket:\S+", server.run("KEYS", "trunkline:bucket:*")))
