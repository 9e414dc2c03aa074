"""`trunkline requests` and `trunkline usage`, on stores whose records are known."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.recorded import DAY, keep, opened, record
from trunkline.days import DAY_MS
from trunkline.store.database import open_database
from trunkline.store.rows import GenerationRow

ATTEMPTS = '[{"endpoint":"slow:acme/large","kind":"silent","status":null,"ms":1500,"is_byok":false,"cost_nano":12}]'


@pytest.fixture
def store(run: Run, tmp_path: Path) -> Path:
    """A new store where commands run, with two accounts; one has two keys."""
    path = tmp_path / "trunkline.db"
    asyncio.run(open_database(f"sqlite:///{path}", 1.0).close())
    with opened(path) as connection:
        for id, name in (("default", "default"), ("acc_b", "Beta")):
            connection.execute("INSERT INTO accounts (id, name, created_at_ms) VALUES (?, ?, 0)", (id, name))
        for id, account, name, prefix in (
            ("key_1", "default", "laptop", "tl-aaaa"),
            ("key_2", "acc_b", "robot", "tl-bbbb"),
            ("key_3", "acc_b", "twin", "tl-cccc"),
            ("key_4", "default", "twin", "tl-dddd"),
        ):
            connection.execute(
                "INSERT INTO keys (id, account_id, name, hash, prefix, created_at_ms) VALUES (?, ?, ?, ?, ?, 0)",
                (id, account, name, id.encode(), prefix),
            )
    return path


def written(path: Path, *rows: GenerationRow) -> None:
    with opened(path) as connection:
        keep(connection, rows)


@pytest.fixture
def four(store: Path) -> Path:
    """Four records, a second apart."""
    written(
        store,
        record("resp_1", cost_nano=5),
        record("resp_2", created_at_ms=DAY + 1000, model="acme/small", status="failed", key_id="key_4"),
        record("resp_3", created_at_ms=DAY + 2000, account_id="acc_b", key_id="key_2", model="other/one"),
        record("resp_4", created_at_ms=DAY + 3000, account_id="acc_b", key_id="key_3", status="cancelled"),
    )
    return store


def ids(run: Run, *options: str) -> list[str]:
    ran = run("requests", *options, "--json")
    assert ran.code == 0, ran.err
    return [each["id"] for each in json.loads(ran.out)["requests"]]


class TestRequests:
    @pytest.mark.usefixtures("four")
    @pytest.mark.parametrize(
        ("options", "found"),
        [
            ((), "1234"),
            (("--limit", "2"), "34"),
            (("--account", "acc_b"), "34"),
            (("--account", "Beta"), "34"),
            (("--key", "robot"), "3"),
            (("--key", "tl-bbbb…"), "3"),
            (("--key", "key_1"), "1"),
            (("--model", "acme/small"), "2"),
            (("--model", "acme/*"), "124"),
            (("--status", "cancelled"), "4"),
            (("--status", "completed", "--account", "default", "--limit", "1"), "1"),
            (("--status", "lost"), ""),
        ],
    )
    def test_the_newest_that_are_asked_for_the_last_one_last(
        self, run: Run, options: tuple[str, ...], found: str
    ) -> None:
        assert ids(run, *options) == [f"resp_{number}" for number in found]

    @pytest.mark.usefixtures("four")
    def test_people_see_a_table(self, run: Run) -> None:
        header, *lines = run("requests").out.splitlines()
        assert header.split()[:4] == ["TIME", "ID", "KEY", "MODEL"]
        assert [line.split()[2] for line in lines] == ["resp_1", "resp_2", "resp_3", "resp_4"]
        assert lines[0].startswith("2024-10-04 00:00:00")
        assert lines[0].endswith("0.000000005")

    @pytest.mark.usefixtures("store")
    def test_nothing_on_record_is_said(self, run: Run) -> None:
        assert run("requests").out == "there is none on record\n"
        assert json.loads(run("requests", "--json").out) == {"requests": []}

    @pytest.mark.usefixtures("four")
    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (("--account", "nobody"), "there is no account 'nobody'"),
            (("--key", "nothing"), "there is no key 'nothing'"),
            (("--key", "twin"), "'twin' is the name of 2 keys; use one of their ids: key_3, key_4"),
            (("--status", "good"), "--status is one of completed, incomplete, failed, cancelled, lost, not 'good'"),
            (("show", "resp_9"), "there is no record 'resp_9'"),
        ],
    )
    def test_what_is_wrong_is_said(self, run: Run, options: tuple[str, ...], problem: str) -> None:
        plain = run("requests", *options)
        assert plain.code != 0
        assert plain.err.startswith(f"trunkline: {problem}")
        told = run("requests", *options, "--json")
        assert (told.code, told.out) == (1, "")
        assert json.loads(told.err)["error"]["message"].startswith(problem)

    def test_a_store_that_is_not_there_is_not_made(self, run: Run, tmp_path: Path) -> None:
        told = run("requests", "--json")
        assert told.code == 1
        assert "there is no database" in json.loads(told.err)["error"]["message"]
        assert not (tmp_path / "trunkline.db").exists()

    def test_show_tells_all_of_one(self, run: Run, store: Path) -> None:
        row = record(
            "resp_all",
            attempts=ATTEMPTS,
            dropped="seed,top_k",
            held_nano=10**9,
            charged_nano=10**9,
            house_nano=5 * 10**8,
            cost_nano=15 * 10**8,
            cost_input_nano=15 * 10**8,
            upstream_id="up_7",
            first_token_ms=12,
        )
        written(store, row)
        told = json.loads(run("requests", "show", "req_all", "--json").out)
        for name in ("resp_all", "gen-all", "msg_all"):  # as each API names it
            assert json.loads(run("requests", "show", name, "--json").out) == told
        assert told["attempts"] == json.loads(ATTEMPTS)
        assert told["dropped"] == ["seed", "top_k"]
        assert (told["held_usd"], told["charged_usd"], told["house_usd"]) == ("1", "1", "0.5")
        assert (told["cost_usd"], told["total_cost_usd"], told["upstream_usd"]) == ("1.5", "1", None)
        assert (told["created_at"], told["streamed"]) == ("2024-10-04T00:00:00.000Z", False)
        names = {name.replace("_nano", "_usd").replace("created_at_ms", "created_at") for name in row._fields}
        assert told.keys() == names | {"total_cost_usd"}
        sheet = run("requests", "show", "resp_all").out
        for words in ("resp_all", "up_7", "slow:acme/large", "silent", "1500", "seed top_k", "first output", "0.5"):
            assert words in sheet
        assert "searches" not in sheet

    def test_show_tells_what_ran_around_the_model(self, run: Run, store: Path) -> None:
        ran = {"web": {"engine": "exa", "turns": [{"endpoint": "slow:acme/large", "cost_usd": "0.1"}]}, "fees": []}
        written(store, record("resp_ran", plugins=json.dumps(ran)), record("resp_plain"))
        assert json.loads(run("requests", "show", "resp_ran", "--json").out)["plugins"] == ran
        assert json.loads(run("requests", "show", "resp_plain", "--json").out)["plugins"] == {}
        sheet = run("requests", "show", "resp_ran").out
        for words in ("what ran around the model", '"engine": "exa"', "slow:acme/large"):
            assert words in sheet

    def test_a_sheet_tells_a_terminal_nothing_to_do(self, run: Run, store: Path) -> None:
        written(store, record("resp_sly", user="\x1b[2J\x9bevil\nid  other", session_id="naïve – fine"))
        sheet = run("requests", "show", "resp_sly").out
        assert "\\x1b[2J\\x9bevil\\nid  other" in sheet
        assert "naïve – fine" in sheet
        assert all(character.isprintable() for character in sheet.replace("\n", ""))

    def test_follow_prints_what_comes_and_only_what_is_wanted(self, four: Path) -> None:
        following = subprocess.Popen(
            [sys.executable, "-m", "trunkline", "requests", "--follow", "--json", "--account", "Beta", "--limit", "1"],
            cwd=four.parent,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert following.stdout is not None
            assert json.loads(following.stdout.readline())["id"] == "resp_4"
            written(four, record("resp_5"), record("resp_6", account_id="acc_b", created_at_ms=DAY - 1))
            assert json.loads(following.stdout.readline())["id"] == "resp_6"
        finally:
            following.send_signal(2)
            following.wait(10)
            following.stdout.close() if following.stdout else None
        assert following.returncode == 0


class TestUsage:
    @pytest.fixture(autouse=True)
    def used(self, store: Path) -> None:
        """Three days of two accounts."""
        written(
            store,
            record("resp_1", cost_nano=5, cache_read_tokens=4),
            record("resp_2", cost_nano=7, key_id="key_4", status="failed"),
            record("resp_3", created_at_ms=DAY + DAY_MS, cost_nano=11, model="acme/small"),
            record("resp_4", created_at_ms=DAY + 2 * DAY_MS, cost_nano=13),
            record("resp_5", account_id="acc_b", key_id="key_2", is_byok=True, upstream_nano=2000, cost_nano=0),
        )

    DAYS = ("--from", "2024-10-04", "--to", "2024-10-05")

    def rows(self, run: Run, *options: str) -> list[dict[str, Any]]:
        ran = run("usage", *self.DAYS, *options, "--json")
        assert ran.code == 0, ran.err
        found: list[dict[str, Any]] = json.loads(ran.out)["rows"]
        return found

    def test_by_day_both_days_included(self, run: Run) -> None:
        first, second = self.rows(run, "--account", "default")
        assert first == {
            "day": "2024-10-04",
            "requests": 2,
            "input_tokens": 200,
            "cached_tokens": 4,
            "output_tokens": 20,
            "reasoning_tokens": 0,
            "cost_usd": "0.000000012",
            "upstream_usd": "0",
        }
        assert (second["day"], second["requests"]) == ("2024-10-05", 1)

    def test_by_model_the_dearest_first(self, run: Run) -> None:
        rows = self.rows(run, "--by", "model", "--account", "default")
        assert [(row["model"], row["cost_usd"]) for row in rows] == [
            ("acme/large", "0.000000012"),
            ("acme/small", "0.000000011"),
        ]

    def test_by_key_of_all_accounts(self, run: Run) -> None:
        rows = self.rows(run, "--by", "key")
        assert [(row["key"], row["name"], row["requests"]) for row in rows] == [
            ("key_1", "laptop", 2),
            ("key_4", "twin", 1),
            ("key_2", "robot", 1),
        ]
        assert rows[-1]["upstream_usd"] == "0.000002"

    def test_of_one_key(self, run: Run) -> None:
        (row,) = self.rows(run, "--key", "key_4")
        assert row["cost_usd"] == "0.000000007"

    def test_csv_has_the_same_figures(self, run: Run) -> None:
        ran = run("usage", *self.DAYS, "--by", "key", "--csv")
        found = list(csv.DictReader(io.StringIO(ran.out)))
        assert found == [{name: str(value) for name, value in row.items()} for row in self.rows(run, "--by", "key")]

    def test_people_see_a_table(self, run: Run) -> None:
        header, first, second = run("usage", *self.DAYS, "--account", "default").out.splitlines()
        assert header.startswith("DAY")
        assert first.split()[:2] == ["2024-10-04", "2"]
        assert second.split()[-2] == "0.000000011"

    def test_without_days_the_last_thirty_and_today(self, run: Run, store: Path) -> None:
        today = int(time.time() * 1000)
        for before in (0, 30, 31):
            written(store, record(f"resp_t{before}", created_at_ms=today - before * DAY_MS))
        rows = json.loads(run("usage", "--json").out)["rows"]
        assert [row["requests"] for row in rows] == [1, 1]

    def test_nothing_used_is_said(self, run: Run) -> None:
        assert run("usage", "--from", "2020-01-01", "--to", "2020-01-02").out == "nothing was used on these days\n"

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            (("--from", "2024-10-05", "--to", "2024-10-04"), "--from 2024-10-05 is after --to 2024-10-04"),
            (("--from", "soon"), "--from is a day as 2026-11-27, in UTC, not 'soon'"),
            (("--by", "hour"), "--by is one of day, model, key, not 'hour'"),
            (("--csv",), "--csv and --json: leave one of them out"),
        ],
    )
    def test_what_is_wrong_is_said(self, run: Run, options: tuple[str, ...], problem: str) -> None:
        told = run("usage", *options, "--json")
        assert (told.code, told.out) == (1, "")
        assert json.loads(told.err)["error"]["message"] == problem
