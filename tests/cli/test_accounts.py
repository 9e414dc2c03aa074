"""Accounts, credit, keys and books by commands over a real file: documents for programs, lines for people, refusals."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ran, Run
from trunkline.cli.keys import with_keys
from trunkline.settings.sections import Settings

Ask = Callable[..., Any]


@pytest.fixture
def ask(run: Run) -> Ask:
    """Run a command with --json and read its document, of an error as of an outcome; nothing else is written."""
    with_keys(Settings(), lambda keys: keys.bootstrap("the-key-of-an-earlier-installation"), makes=True)

    def ask(*arguments: str, code: int = 0) -> Any:
        ran = run(*arguments, "--json")
        assert ran.code == code, ran
        told, silent = (ran.out, ran.err) if code == 0 or ran.out else (ran.err, ran.out)
        assert silent == ""
        assert told.count("\n") == 1
        return json.loads(told)

    return ask


def refused(ask: Ask, *arguments: str) -> str:
    """The code of an error, whose message is one line."""
    error = ask(*arguments, code=1)["error"]
    assert error["message"]
    assert "\n" not in error["message"]
    return str(error["code"])


class TestAccounts:
    def test_an_account_is_made_shown_disabled_and_enabled(self, ask: Ask) -> None:
        made = ask("accounts", "create", "acme", "--credit", "25.5")
        assert re.fullmatch("acc_[0-9a-f]{16}", made["id"])
        assert {name: made[name] for name in list(made)[:7]} == {
            "id": made["id"],
            "name": "acme",
            "unlimited": False,
            "credited_usd": "25.5",
            "charged_usd": "0",
            "held_usd": "0",
            "available_usd": "25.5",
        }
        assert ask("accounts", "show", "acme") == ask("accounts", "show", made["id"]) == made
        assert ask("accounts", "disable", "acme") == {**made, "disabled": True}
        assert ask("accounts", "enable", "acme") == made
        assert [each["id"] for each in ask("accounts", "list")["accounts"]] == ["default", made["id"]]

    def test_the_account_of_an_earlier_installation_is_unlimited_and_answers_to_default(self, ask: Ask) -> None:
        found = ask("accounts", "show", "default")
        assert (found["unlimited"], found["charged_usd"], found["available_usd"]) == (True, "0", None)

    @pytest.mark.parametrize(
        ("options", "unlimited", "credited"),
        [((), False, "0"), (("--credit", "0"), False, "0"), (("--unlimited",), True, "0")],
    )
    def test_what_an_account_has_at_first(
        self, options: tuple[str, ...], unlimited: bool, credited: str, ask: Ask
    ) -> None:
        made = ask("accounts", "create", "acme", *options)
        assert (made["unlimited"], made["credited_usd"]) == (unlimited, credited)
        assert ask("ledger", "entries", "--account", "acme") == {"entries": []}

    def test_terms_are_set_and_taken_away(self, ask: Ask, tmp_path: Path) -> None:
        (tmp_path / "preferences.json").write_text('{"sort": "price"}')
        given = ["--models", "a/*", "--models", "b", "--providers", "x", "--ignore-providers", "y", "--regions", "eu"]
        given += ["--rpm", "5", "--tpm", "6", "--rpd", "7", "--tpd", "8", "--concurrency", "9", "--zdr"]
        given += ["--data-collection", "deny", "--default-model", "b", "--preferences", "preferences.json"]
        given += ["--plugins", '[{"id": "response-healing"}]', "--model-rates", '{"a/*": {"rpm": 1}}']
        terms = {
            "models": ["a/*", "b"],
            "providers": ["x"],
            "ignored_providers": ["y"],
            "regions": ["eu"],
            "rpm": 5,
            "tpm": 6,
            "rpd": 7,
            "tpd": 8,
            "concurrency": 9,
            "zdr": True,
            "data_collection": "deny",
            "default_model": "b",
            "preferences": {"sort": "price"},
            "plugins": [{"id": "response-healing"}],
            "model_rates": {"a/*": {"rpm": 1}},
        }
        assert ask("accounts", "create", "acme", *given)["terms"] == terms
        assert ask("keys", "create", "--name", "k", *given)["terms"] == terms
        for group, name in (("accounts", "acme"), ("keys", "k")):
            left = ask(group, "set", name, "--rpm", "50", "--unset", "zdr", "--unset", "ignore-providers")["terms"]
            assert left == {key: value for key, value in terms.items() if key not in ("zdr", "ignored_providers")} | {
                "rpm": 50
            }

    def test_an_account_has_a_weight(self, ask: Ask) -> None:
        assert ask("accounts", "create", "acme", "--weight", "3")["terms"] == {"weight": 3}
        assert ask("accounts", "set", "acme", "--weight", "5", "--rpm", "2")["terms"] == {"rpm": 2, "weight": 5}
        assert refused(ask, "accounts", "set", "acme", "--weight", "7", "--unset", "weight") == "invalid"
        assert ask("accounts", "set", "acme", "--unset", "weight")["terms"] == {"rpm": 2}

    def test_an_account_is_made_limited_and_unlimited_again(self, ask: Ask) -> None:
        assert refused(ask, "credits", "add", "default", "5", "--reference", "r") == "unlimited"
        assert ask("accounts", "set", "default", "--limited")["available_usd"] == "0"
        ask("credits", "add", "default", "5", "--reference", "r")
        assert ask("accounts", "set", "default", "--unlimited")["unlimited"] is True
        assert ask("accounts", "set", "default", "--limited")["available_usd"] == "5"

    def test_people_get_tables(self, run: Run, ask: Ask) -> None:
        made = ask("accounts", "create", "acme", "--credit", "25.5")
        header, default, acme = run("accounts", "list").out.splitlines()
        assert header.split() == ["ID", "NAME", "UNLIMITED", "CREDITED", "CHARGED", "HELD", "AVAILABLE", "DISABLED"]
        assert default.split() == ["default", "default", "yes", "0", "0", "0", "–", "no"]
        assert acme.split() == [made["id"], "acme", "no", "25.5", "0", "0", "25.5", "no"]
        assert "available_usd  25.5\n" in run("accounts", "show", "acme").out
        assert "topup" in run("ledger", "entries").out
        assert run("ledger", "audit").out.startswith("ok                   yes\n")


class TestCredits:
    def test_MO_20_credit_is_given_once_for_each_reference(self, ask: Ask) -> None:
        account = ask("accounts", "create", "acme")["id"]
        add = ("credits", "add", "acme", "0.000000001", "--reference", "payment 1")
        assert ask(*add) == {"entry": 1, "available_usd": "0.000000001", "added": True}
        assert ask(*add) == {"entry": 1, "available_usd": "0.000000001", "added": False}
        assert refused(ask, "credits", "add", "acme", "1", "--reference", "payment 1") == "reference_conflict"
        assert refused(ask, "credits", "add", "nobody", "1", "--reference", "r") == "not_found"
        removed = ask("credits", "remove", account, "5", "--reference", "back 1")
        assert removed == {"entry": 2, "removed_usd": "0.000000001", "available_usd": "0", "removed": True}
        entries = ask("ledger", "entries", "--account", "acme")["entries"]
        assert [(each["seq"], each["kind"], each["debit"], each["credit"], each["amount_usd"]) for each in entries] == [
            (1, "topup", "world", account, "0.000000001"),
            (2, "adjust", account, "world", "0.000000001"),
        ]
        assert all(each["generation"] is None for each in entries)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entries[0]["at"])
        assert [each["seq"] for each in ask("ledger", "entries", "--after", "1")["entries"]] == [2]
        assert [each["seq"] for each in ask("ledger", "entries", "--limit", "1")["entries"]] == [1]

    def test_MO_20_of_two_processes_at_once_one_adds(self, ask: Ask, tmp_path: Path) -> None:
        ask("accounts", "create", "acme")
        command = [sys.executable, "-m", "trunkline", "credits", "add", "acme", "5", "--reference", "r", "--json"]
        running = [
            subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]})
            for _ in range(2)
        ]
        told = [json.loads(each.communicate(timeout=60)[0]) for each in running]
        assert sorted(each["added"] for each in told) == [False, True]
        assert {each["entry"] for each in told} == {1}
        assert ask("accounts", "show", "acme")["available_usd"] == "5"

    @pytest.mark.parametrize(
        "usd", ["0", "0.0", "1000000000.000000001", "0.0000000001", "1e3", "NaN", "five", "$5", "", "-5", "-0.5"]
    )
    def test_MO_20_no_other_amount_is_taken(self, usd: str, ask: Ask) -> None:
        ask("accounts", "create", "acme")
        assert refused(ask, "credits", "add", "acme", usd, "--reference", "r") == "bad_amount"
        assert refused(ask, "credits", "remove", "acme", usd, "--reference", "r") == "bad_amount"
        assert ask("accounts", "show", "acme")["available_usd"] == "0"

    def test_the_most_is_a_thousand_million(self, ask: Ask) -> None:
        ask("accounts", "create", "acme", "--credit", "1000000000")
        assert refused(ask, "accounts", "create", "b", "--credit", "1000000001") == "bad_amount"
        for number in range(8):
            ask("credits", "add", "acme", "1000000000", "--reference", f"r{number}")
        assert refused(ask, "credits", "add", "acme", "1000000000", "--reference", "r8") == "too_much"
        assert ask("accounts", "show", "acme")["available_usd"] == "9000000000"
        assert ask("ledger", "audit")["ok"] is True

    @pytest.mark.parametrize("reference", ["", " ", "a\nb", "x" * 257])
    def test_a_reference_is_one_that_can_be_shown(self, reference: str, ask: Ask) -> None:
        ask("accounts", "create", "acme")
        assert refused(ask, "credits", "add", "acme", "1", "--reference", reference) == "bad_reference"


class TestKeys:
    def test_a_key_with_all_that_is_agreed(self, ask: Ask) -> None:
        account = ask("accounts", "create", "acme", "--credit", "5")["id"]
        made = ask(
            *("keys", "create", "--account", "acme", "--name", "search", "--limit", "2.5", "--reset", "weekly"),
            *("--expires", "7d", "--max-cost", "0.1", "--byok-counts", "--rpm", "60"),
        )
        assert re.fullmatch(r"tl-[\w-]{43}[0-9A-Za-z]{6}", made["key"])
        assert made["prefix"] == made["key"][:7]
        assert {name: made[name] for name in ("account_id", "name", "state", "limit_usd", "limit_reset")} == {
            "account_id": account,
            "name": "search",
            "state": "good",
            "limit_usd": "2.5",
            "limit_reset": "weekly",
        }
        assert (made["available_usd"], made["max_cost_usd"], made["byok_counts"]) == ("2.5", "0.1", True)
        assert made["terms"] == {"rpm": 60}
        shown = ask("keys", "show", "search")
        assert shown == {name: value for name, value in made.items() if name != "key"}
        assert ask("keys", "list", "--account", account) == {"keys": [shown]}
        assert len(ask("keys", "list")["keys"]) == 2

    def test_AU_05_a_key_is_told_once_and_is_in_no_file(self, run: Run, ask: Ask, tmp_path: Path) -> None:
        made = ask("keys", "create", "--name", "k")["key"]
        rotated = ask("keys", "rotate", "k")["key"]
        plain = run("keys", "create").out.strip()
        outputs = [run("keys", *words) for words in (("list",), ("show", "k"), ("set", "k", "--rpm", "1"))]
        outputs += [run("keys", "list", "--json"), run("ledger", "entries"), run("accounts", "list")]
        outputs += [run("keys", "show", made, "--json"), run("keys", "show", made), run("keys", "revoke", "k")]
        with sqlite3.connect(tmp_path / "trunkline.db") as connection:
            dump = "\n".join(connection.iterdump()).encode()
            connection.execute("VACUUM INTO 'backup.db'")
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        for key in (made, rotated, plain):
            for start in range(7, len(key) - 12):
                part = key[start : start + 12]
                assert part.encode() not in files + dump
                assert part.encode().hex().encode() not in dump.lower()
        shown_again = "".join(ran.out + ran.err for ran in outputs if made not in ran.out + ran.err)
        assert rotated[7:] not in shown_again

    def test_a_key_is_changed(self, ask: Ask) -> None:
        id = ask("keys", "create", "--name", "k", "--limit", "5", "--expires", "2099-01-01T00:00:00Z")["id"]
        changed = ask("keys", "set", "k", "--name", "other", "--limit", "3", "--reset", "daily", "--max-cost", "1")
        assert (changed["id"], changed["name"], changed["available_usd"]) == (id, "other", "3")
        assert changed["expires_at"] == "2099-01-01T00:00:00.000Z"
        unset = [word for name in ("limit", "expires", "max-cost") for word in ("--unset", name)]
        changed = ask("keys", "set", "other", *unset)
        assert [changed[f"{name}"] for name in ("limit_usd", "limit_reset", "expires_at", "max_cost_usd")] == [None] * 4

    def test_a_new_text_takes_the_place_of_the_old(self, run: Run, ask: Ask) -> None:
        made = ask("keys", "create", "--name", "k", "--limit", "5")
        printed = run("keys", "rotate", "k").out.strip()
        shown = ask("keys", "show", "k")
        assert (shown["id"], shown["prefix"], shown["limit_usd"]) == (made["id"], printed[:7], "5")
        assert printed != made["key"]
        ask("keys", "revoke", "k")
        assert refused(ask, "keys", "rotate", "k") == "revoked"

    @pytest.mark.parametrize(
        ("text", "seconds"), [("30s", 30), ("15m", 900), ("12h", 43_200), ("7d", 604_800), ("0012h", 43_200)]
    )
    def test_a_key_expires_a_while_from_now(self, text: str, seconds: int, ask: Ask, tmp_path: Path) -> None:
        id = ask("keys", "create", "--expires", text)["id"]
        with sqlite3.connect(tmp_path / "trunkline.db") as connection:
            query = "SELECT expires_at_ms - created_at_ms FROM keys WHERE id = ?"
            (lasts_ms,) = connection.execute(query, (id,)).fetchone()
        assert abs(lasts_ms - seconds * 1000) < 1000

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            (("--expires", "0s"), "invalid"),
            (("--expires", "1w"), "invalid"),
            (("--expires", "2099-01-01"), "invalid"),
            (("--expires", "2001-01-01T00:00:00Z"), "invalid"),
            (("--expires", "999999999d"), "invalid"),
            (("--limit", "-1"), "bad_amount"),
            (("--limit", "0.0000000001"), "bad_amount"),
            (("--max-cost", "0"), "bad_amount"),
            (("--reset", "daily"), "invalid"),
            (("--limit", "1", "--reset", "yearly"), "invalid"),
            (("--name", "a\nb"), "invalid"),
            (("--name", ""), "invalid"),
            (("--account", "nobody"), "not_found"),
            (("--preferences", '{"sort": "beauty"}'), "invalid"),
            (("--preferences", "no-such-file.json"), "invalid"),
            (("--preferences", "{"), "invalid"),
            (("--plugins", '[{"id": "magic"}]'), "invalid"),
            (("--data-collection", "maybe"), "invalid"),
            (("--models", ""), "invalid"),
            (("--model-rates", '{"a": {"rpm": 0}}'), "invalid"),
        ],
    )
    def test_what_cannot_be_is_refused_and_no_key_made(self, options: tuple[str, ...], code: str, ask: Ask) -> None:
        assert refused(ask, "keys", "create", *options) == code
        assert len(ask("keys", "list")["keys"]) == 1

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            (("--unset", "beauty"), "invalid"),
            (("--rpm", "5", "--unset", "rpm"), "invalid"),
            (("--limit", "5", "--unset", "limit"), "invalid"),
            (("--reset", "daily"), "invalid"),
        ],
    )
    def test_what_contradicts_itself_changes_nothing(self, options: tuple[str, ...], code: str, ask: Ask) -> None:
        before = ask("keys", "list")
        assert refused(ask, "keys", "set", "bootstrap", *options) == code
        assert ask("keys", "list") == before

    def test_a_name_of_several_is_told_with_their_ids(self, ask: Ask) -> None:
        for _ in range(2):
            ask("keys", "create", "--name", "k")
            ask("accounts", "create", "a")
        assert refused(ask, "keys", "show", "k") == "not_found"
        assert refused(ask, "accounts", "show", "a") == "not_found"

    def test_an_id_goes_before_a_name_that_is_the_same(self, ask: Ask) -> None:
        first = ask("keys", "create", "--name", "k")["id"]
        second = ask("keys", "create", "--name", first)["id"]
        assert ask("keys", "revoke", first)["state"] == "revoked"
        assert ask("keys", "show", second)["state"] == "good"

    def test_the_state_is_one_word(self, run: Run, ask: Ask, tmp_path: Path) -> None:
        ask("keys", "create", "--name", "late", "--expires", "1d")
        with sqlite3.connect(tmp_path / "trunkline.db") as connection:
            connection.execute("UPDATE keys SET expires_at_ms = 1 WHERE name = 'late'")
        assert [line.split()[-1] for line in run("keys", "list").out.splitlines()] == ["good", "expired"]
        ask("accounts", "disable", "default")
        assert [line.split()[-1] for line in run("keys", "list").out.splitlines()] == ["disabled", "expired"]


def test_an_audit_that_finds_something_is_told_on_standard_output_and_ends_with_1(
    run: Run, ask: Ask, tmp_path: Path
) -> None:
    assert ask("ledger", "audit") == {
        "ok": True,
        "checked": {"accounts": 1, "entries": 0, "holds": 0, "generations": 0},
        "open_holds": 0,
        "differences": [],
    }
    ask("accounts", "create", "acme", "--credit", "5")
    with sqlite3.connect(tmp_path / "trunkline.db") as connection:
        connection.execute("UPDATE budgets SET credited_nano = 6000000000")
    told: Ran = run("ledger", "audit", "--json")
    assert (told.code, told.err) == (1, "")
    assert json.loads(told.out)["ok"] is False
    assert {"expected": "5", "found": "6"}.items() <= json.loads(told.out)["differences"][0].items()
    assert "EXPECTED" in run("ledger", "audit").out


def test_without_json_a_refusal_is_one_line(run: Run, ask: Ask) -> None:
    ask("accounts", "create", "acme")
    assert run("credits", "add", "acme", "0", "--reference", "r") == (
        1,
        "",
        "trunkline: USD: the amount is to be more than 0\n",
    )
    assert run("accounts", "show", "nobody") == (
        2,
        "",
        "trunkline: there is no account 'nobody'; see `trunkline accounts list`\n",
    )


class TestAnotherFolder:
    """A relative database is beside the settings file, wherever a command is typed."""

    def test_a_command_finds_the_database_of_the_settings_file_it_names(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
        for folder in (home, elsewhere):
            folder.mkdir()
        (home / "trunkline.toml").write_text("")
        monkeypatch.chdir(home)
        with_keys(Settings(), lambda keys: keys.all(), makes=True)
        monkeypatch.chdir(elsewhere)
        for name in (str(home / "trunkline.toml"), "../home/trunkline.toml"):
            made = run("keys", "create", "--config", name)
            assert (made.code, made.err) == (0, f"kept in {home / 'trunkline.db'}\n")
        assert run("accounts", "list", TRUNKLINE_CONFIG=str(home / "trunkline.toml")).code == 0
        assert list(elsewhere.iterdir()) == []

    def test_a_database_of_before_stays_in_use(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf" / "trunkline.toml").write_text("")
        with_keys(Settings(), lambda keys: keys.all(), makes=True)
        assert run("keys", "create", "--config", "conf/trunkline.toml").err == f"kept in {tmp_path / 'trunkline.db'}\n"
