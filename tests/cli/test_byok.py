"""`trunkline byok`: keys come in by standard input, and only their last characters come out."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from trunkline.accounts.opening import open_keys
from trunkline.settings.sections import Settings

SECRET = "sk-CANARY-own-Hq5Zt8Wb2Nc7Rm3Ys6Kd"
AWS = '{"access_key_id": "AKIACANARY0123456", "secret_access_key": "CANARY/Hq5Zt8Wb2Nc7Rm3Ys6Kd9Pf1"}'


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, run: Run) -> Any:
    """Run a command with something on its standard input, and look for the canary in all that comes of it."""

    def run_with(said: str | bytes, *words: str, **more: Any) -> Any:
        data = said.encode() if isinstance(said, str) else said
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        ran = run(*words, **more)
        assert "CANARY" not in ran.out + ran.err
        return ran

    return run_with


@pytest.fixture
def accounts(run: Run) -> list[str]:
    """Two accounts, and a key of the first."""
    first_start()
    found = [json.loads(run("accounts", "create", name, "--json").out)["id"] for name in ("one", "two")]
    return [*found, json.loads(run("keys", "create", "--account", found[0], "--name", "k", "--json").out)["id"]]


def first_start() -> None:
    """Make the database and the pepper, as the first start of a gateway does."""
    database, _ = open_keys(Settings())
    asyncio.run(database.close())


def document(ran: Any) -> Any:
    assert ran.code == 0, ran
    return json.loads(ran.out)


def refusal(ran: Any) -> tuple[str, str]:
    assert (ran.code, ran.out) == (1, ""), ran
    error = json.loads(ran.err)["error"]
    return error["code"], error["message"]


def test_a_key_is_kept_listed_and_removed(given: Any, run: Run, accounts: list[str], tmp_path: Path) -> None:
    one, two, key = accounts
    made = document(given(f"{SECRET}\n", "byok", "add", "--account", one, "--provider", "openai", "--json"))
    assert made["created_at"].endswith("Z")
    told = {name: value for name, value in made.items() if name not in ("id", "created_at")}
    assert told == {
        "account_id": one,
        "key_id": None,
        "provider": "openai",
        "hint": "s6Kd",
        "only": False,
        "master_key": "local",
        "replaced": False,
    }
    words = ("byok", "add", "--account", "one", "--key", key, "--provider", "Amazon Bedrock", "--only", "--json")
    own = document(given(AWS, *words, AWS_REGION="eu-central-1"))
    assert (own["account_id"], own["key_id"], own["provider"], own["only"]) == (one, key, "amazon-bedrock", True)
    assert own["hint"] == "9Pf1", "of the secret part"
    document(given("sk-CANARY-of-two-0123456789", "byok", "add", "--account", two, "--provider", "groq", "--json"))
    again = document(given(f"{SECRET}x", "byok", "add", "--account", one, "--provider", "openai", "--json"))
    assert again["replaced"] is True
    assert again["id"] != made["id"]
    listed = document(run("byok", "list", "--account", "one", "--json"))["provider_keys"]
    assert [(each["id"], each["hint"]) for each in listed] == [(own["id"], own["hint"]), (again["id"], "6Kdx")]
    assert len(document(run("byok", "list", "--json"))["provider_keys"]) == 3
    table = run("byok", "list").out
    assert table.startswith("ID")
    assert "groq" in table
    assert document(run("byok", "remove", own["id"], "--json"))["provider"] == "amazon-bedrock"
    assert refusal(run("byok", "remove", own["id"], "--json"))[0] == "not_found"
    for path in tmp_path.iterdir():
        assert b"CANARY" not in path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("text", "provider", "code", "words"),
    [
        ("", "openai", "bad_key", "< FILE"),
        ("   \n", "openai", "bad_key", "< FILE"),
        (b"\xff\xfe", "openai", "bad_key", "< FILE"),
        ("k" * 20_000, "openai", "bad_key", "< FILE"),
        ("short-1", "openai", "bad_key", "fewer than 8"),
        ("CANARY key of two words", "openai", "bad_key", "one text"),
        (AWS, "openai", "bad_key", "one text"),
        ('{"key": "CANARY-0123456789"}', "openai", "bad_key", "one text"),
        (SECRET, "google-vertex", "provider_off", "its address is not complete"),
        (AWS, "amazon-bedrock", "provider_off", "AWS_REGION"),
        (SECRET, "fake-provider", "bad_key", "needs no key"),
        (SECRET, "opanai", "not_found", "did you mean 'openai'"),
        (SECRET, "gone", "provider_off", "turned off in the settings"),
    ],
)
def test_what_cannot_be_a_key_is_refused(
    given: Any, accounts: list[str], text: str | bytes, provider: str, code: str, words: str
) -> None:
    settings = '[providers.gone]\ndialect = "chat"\nbase_url = "http://gone/v1"\nenabled = false\n'
    ran = given(text, "byok", "add", "--account", "one", "--provider", provider, "--json", text=settings)
    found, message = refusal(ran)
    assert (found, words in message) == (code, True), message


def test_whose_it_is_must_be_there(given: Any, run: Run, accounts: list[str]) -> None:
    for more, code in (
        (("--account", "nobody"), "not_found"),
        (("--account", "one", "--key", "key_0"), "not_found"),
        (("--account", "two", "--key", accounts[2]), "other_account"),
    ):
        assert refusal(given(SECRET, "byok", "add", *more, "--provider", "openai", "--json"))[0] == code
    assert document(run("byok", "list", "--json")) == {"provider_keys": []}


def test_SE_08_master_keys_take_each_others_place(given: Any, run: Run, accounts: list[str], tmp_path: Path) -> None:
    assert document(run("byok", "rotate", "--json")) == {"master_key": None, "resealed": 0, "provider_keys": 0}
    document(given(SECRET, "byok", "add", "--account", "one", "--provider", "openai", "--json"))
    new = f'[store.master_keys]\nnew = "{"ab" * 32}"\n'
    done = document(run("byok", "rotate", "--json", text=new))
    assert done == {"master_key": "new", "resealed": 1, "provider_keys": 1}
    assert document(run("byok", "list", "--json", text=new))["provider_keys"][0]["master_key"] == "new"
    newer = f'[store.master_keys]\nnewer = "{"cd" * 32}"\n'
    code, message = refusal(run("byok", "rotate", "--json", text=newer))
    assert code == "invalid"
    assert "the master key 'new' is not there" in message
    assert document(run("byok", "rotate", "--json", text=newer + f'new = "{"ab" * 32}"\n'))["resealed"] == 1


@pytest.mark.parametrize("command", [("check",), ("byok", "rotate"), ("keys", "list")])
def test_a_master_key_that_is_none_is_told_wherever_it_is_read(run: Run, command: tuple[str, ...]) -> None:
    first_start()
    ran = run(*command, text='[store.master_keys]\nfirst = "CANARY"\n')
    assert ran.code == 2
    assert "store.master_keys.first: a master key is 32 random bytes" in ran.err
    assert "CANARY" not in ran.out + ran.err


def test_a_person_types_it_unseen(run: Run, accounts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked: list[str] = []

    def unseen(prompt: str) -> str:
        asked.append(prompt)
        return SECRET

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("trunkline.cli.byok.getpass", unseen)
    ran = run("byok", "add", "--account", "one", "--provider", "openai")
    assert (ran.code, asked) == (0, ["Provider key: "])
    assert "s6Kd" in ran.out
    assert SECRET not in ran.out + ran.err
