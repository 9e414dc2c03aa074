"""The command line as an operator meets it: what is printed, and one clear line and exit code 2 for each mistake."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.valkey import Valkey
from trunkline.cli.keys import with_keys
from trunkline.cli.main import main
from trunkline.settings.sections import Settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty directory with an empty environment: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, text: str | None = None, **environ: str) -> tuple[int, str, str]:
        if text is not None:
            (tmp_path / "trunkline.toml").write_text(text)
        with monkeypatch.context() as context:
            for name in ("OPENAI_API_KEY", "GROQ_API_KEY", "TRUNKLINE_CONFIG"):
                context.delenv(name, raising=False)
            for name, value in environ.items():
                context.setenv(name, value)
            with pytest.raises(SystemExit) as raised:
                main(arguments)
        captured = capsys.readouterr()
        return int(raised.value.code or 0), captured.out, captured.err

    return run


def mistake(problem: str) -> str:
    """The line about a mistake in the first line of the file."""
    return f"trunkline: trunkline.toml:1: {problem}\n"


LISTEN = mistake("server.listen: write address and port, as 127.0.0.1:8080 or 0.0.0.0:8080")


class TestHelp:
    def test_the_version(self, run: Run) -> None:
        code, out, _ = run("--version")
        assert (code, out.split()[0]) == (0, "trunkline")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--help",), ("serve", "check", "keys", "docs")),
            (("serve", "--help"), ("--config", "--host", "--port", "OPENAI_API_KEY")),
            (("check", "--help"), ("--all", "--config")),
            (("keys", "--help"), ("create", "list", "revoke")),
        ],
    )
    def test_help_names_all_there_is(self, run: Run, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
        code, out, _ = run(*arguments, COLUMNS="120")
        assert code == 0
        assert all(word in out for word in words)

    def test_help_begins_with_what_one_begins_with(self, run: Run) -> None:
        out = run("--help", COLUMNS="120")[1]
        commands = out[out.index("Commands") :]
        assert commands.index(" serve ") < commands.index(" check ") < commands.index(" models ")

    @pytest.mark.parametrize("group", ["", "keys", "requests", "providers", "catalog", "route", "docs"])
    def test_help_on_a_narrow_terminal_is_whole_and_says_nothing_of_types(self, group: str, run: Run) -> None:
        out = run(*group.split(), "--help", COLUMNS="80")[1]
        assert max(map(len, out.splitlines())) <= 80
        assert "..." not in out.partition("\nCommands:")[2]
        assert "<bool>" not in out
        assert "╭" not in out

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_a_shell_can_complete_commands(self, shell: str, tmp_path: Path) -> None:
        environ = {
            "PATH": os.environ["PATH"],
            "_TRUNKLINE_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": "trunkline se",
            "COMP_CWORD": "1",
            "_TYPER_COMPLETE_ARGS": "trunkline se",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        command = str(Path(sys.executable).with_name("trunkline"))
        ran = subprocess.run([command], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        assert "serve" in ran.stdout

    def test_an_unknown_command_is_told(self, run: Run) -> None:
        code, _, err = run("serv")
        assert code == 2
        assert "serve" in err


class TestCheck:
    def test_nothing_set_is_fine(self, run: Run) -> None:
        code, out, err = run("check")
        assert (code, err) == (0, "")
        assert re.search(r"server\.listen +127\.0\.0\.1:8080  \(default\)", out)
        assert "fake-provider  (no other provider is on)" in out

    def test_each_value_is_shown_with_its_origin_and_secrets_are_not(self, run: Run) -> None:
        text = "[server]\nmax_body = '3 MB'\n[providers.openai]\napi_key = 'sk-canary'\n"
        code, out, _ = run("check", text=text, TRUNKLINE_LOG__LEVEL="debug", GROQ_API_KEY="gsk-canary")
        assert code == 0
        assert "3 MB  (trunkline.toml:2)" in out
        assert "debug  (TRUNKLINE_LOG__LEVEL)" in out
        assert "openai  (key from the settings)" in out
        assert "groq  (key from GROQ_API_KEY)" in out
        assert "canary" not in out

    def test_a_board_that_is_away_is_a_warning_and_its_password_is_not_shown(self, run: Run) -> None:
        code, out, err = run("check", text="store.counters = 'redis://:sekret-of-the-board@127.0.0.1:1/0'")
        advice = "Until it is back each gateway has its share of limits."
        assert err == f"warning: store.counters: The board is away: connection refused. {advice}\n"
        assert code == 0
        assert "store.counters.inline" in out
        assert "sekret" not in out

    def test_a_board_that_takes_no_messages_is_a_warning(self, run: Run, redis_server: Valkey) -> None:
        redis_server.run("ACL", "SETUSER", "mute", "on", ">word", "~trunkline:*", "+@all", "resetchannels")
        code, _, err = run("check", text=f"store.counters = 'redis://mute:word@127.0.0.1:{redis_server.port}/0'")
        assert err.startswith("warning: store.counters: It takes no messages: NOPERM. ")
        assert code == 0

    def test_CF_05_a_provider_without_its_secret_says_why_it_is_off(self, run: Run) -> None:
        code, out, err = run("check", text="[providers.openai]\napi_key = { env = 'MY_KEY' }", MY_KEY="")
        assert code == 1
        assert err == (
            "warning: openai is named in the settings and is off: MY_KEY is not set or empty; set it to the key\n"
        )
        assert "openai  (MY_KEY is not set or empty; set it to the key)" in out

    def test_a_provider_whose_file_is_not_there_says_so_and_nobody_steps_in(self, run: Run) -> None:
        code, out, err = run("check", text="[providers.openai]\napi_key = { file = '/nowhere/key' }")
        assert code == 1
        assert "openai is named in the settings and is off: cannot read /nowhere/key (FileNotFoundError)" in err
        assert "fake-provider" not in out.partition("Providers on")[2].partition("Providers off")[0]

    def test_a_provider_that_is_turned_off_on_purpose_is_no_mistake(self, run: Run) -> None:
        code, _, err = run("check", text="[providers.openai]\nenabled = false")
        assert (code, err) == (0, "")

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("store.pepper = { file = '/nowhere/pepper' }", "cannot read /nowhere/pepper (FileNotFoundError)"),
            ("store.pepper = 'short'", "store.pepper is too short for a pepper"),
            ("store.url = 'sqlite:///no/folder/here.db'", "create "),
            ("store.url = 'sqlite:///trunkline.toml'", "file is not a database"),
            ("bootstrap_key = 'short'", "bootstrap_key: a key has at least 20"),
            ("store.url = 'mysql://db.example/trunkline'", "records are kept in SQLite or PostgreSQL"),
            ("store.counters = 'http://:sekret@h:1/0'", "store.counters: write it as redis://:password@host:6379/0\n"),
            ("store.counters = { env = 'NOT_SET' }", "the secret from NOT_SET is empty"),
            ("server.listen = 'nowhere.invalid:80'", "cannot listen on nowhere.invalid"),
        ],
    )
    def test_what_serve_refuses_is_refused(self, run: Run, tmp_path: Path, text: str, problem: str) -> None:
        if "trunkline.toml" in text:
            (tmp_path / "trunkline.toml.pepper").write_text("p" * 64)
        for command in (("check",), ("serve", "--port", "0") if "listen" not in text else ("serve",)):
            code, out, err = run(*command, text=text)
            assert (code, out) == (2, "")
            assert problem in err

    def test_a_check_makes_nothing_and_refuses_a_database_of_a_later_version(self, run: Run, tmp_path: Path) -> None:
        assert run("check")[0] == 0
        assert not list(tmp_path.iterdir())
        with_keys(Settings(), lambda keys: keys.create("first"), makes=True)
        assert run("check")[0] == 0
        with contextlib.closing(sqlite3.connect(tmp_path / "trunkline.db")) as database:
            database.execute("update alembic_version set version_num = '9999'")
            database.commit()
        code, _, err = run("check")
        assert code == 2
        assert "the database was made by another version" in err

    def test_every_variable_is_named_on_request(self, run: Run) -> None:
        assert "GROQ_API_KEY" not in run("check")[1]
        assert "groq  (no key; set GROQ_API_KEY)" in run("check", "--all")[1]

    def test_CF_06_a_missing_price_is_a_warning(self, run: Run) -> None:
        text = "[[endpoints]]\nprovider = 'openai'\nmodel = 'openai/gpt-6'"
        code, _, err = run("check", text=text, OPENAI_API_KEY="k")
        assert code == 0
        assert "warning: openai:openai/gpt-6 has no price" in err

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("server.listen = '0.0.0.0'", LISTEN),
            ("server.listen = 8080", LISTEN),
            ("server.max_connections = 'many'", mistake("server.max_connections: write a whole number, as 100")),
            ("server.max_connections = 1.5", mistake("server.max_connections: write a whole number, as 100")),
            ("server.open_listings = 'perhaps'", mistake("server.open_listings: write true or false")),
            (
                "server.origins = ['https://a.example/path']",
                mistake("server.origins[0]: write an origin as https://app.example.com, without a path, or *"),
            ),
            ("server.origins = '*'", mistake('server.origins: write a list, as ["a", "b"]')),
            ("defaults.model = 3", mistake('defaults.model: write text, in quotes, as "…"')),
            (
                "providers.ours.base_url = 'localhost:11434/v1'",
                mistake("providers.ours.base_url: write the whole address, as http://localhost:11434/v1"),
            ),
            *(
                (
                    f"providers.ours.base_url = 'http://h/v1{path}'",
                    mistake(f"providers.ours.base_url: leave out {path.rstrip('/')}: the dialect adds its own path"),
                )
                for path in ("/chat/completions", "/chat/completions/", "/responses", "/messages")
            ),
            (
                "catalog.url = 'http://example.com/x'",
                mistake(
                    "catalog.url: write an https address, as https://example.com/models.json; http is for this machine"
                    " alone"
                ),
            ),
            (
                "store.board = 'redis://here'",
                "trunkline: trunkline.toml:1: unknown setting 'store.board';"
                " known: counters, journal, keep_records, master_keys, node, pepper, pepper_previous, timeout, url\n",
            ),
            ("[servr]", "trunkline: trunkline.toml:1: unknown setting 'servr'; did you mean 'server'?\n"),
            (
                "[[endpoints]]\nprovider = 'opnai'\nmodel = 'a/b'",
                "trunkline: endpoints[0].provider: unknown provider 'opnai'; did you mean 'openai'?\n",
            ),
        ],
    )
    def test_a_mistake_is_one_line(self, run: Run, text: str, line: str) -> None:
        assert run("check", text=text) == (2, "", line)

    def test_a_named_file_must_be_there(self, run: Run) -> None:
        expected = "trunkline: there is no file no.toml; name another with --config, or leave it out\n"
        assert run("check", "--config", "no.toml") == (2, "", expected)
        assert run("check", TRUNKLINE_CONFIG="no.toml") == (2, "", expected)

    def test_a_file_that_is_no_text_is_one_line(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
        assert run("check", "-c", "bad.toml") == (2, "", "trunkline: bad.toml is not UTF-8 text; save it as UTF-8\n")


class TestKeys:
    @pytest.fixture(autouse=True)
    def store(self, run: Run) -> None:
        """A database as a start of the gateway makes it."""
        with_keys(Settings(), lambda keys: keys.all(), makes=True)

    def test_no_second_database_is_made_in_another_folder(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert f"kept in {tmp_path / 'trunkline.db'}\n" == run("keys", "create")[2]
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        for arguments in (("create",), ("list",), ("revoke", "x")):
            code, out, err = run("keys", *arguments)
            assert (code, out) == (2, "")
            assert f"there is no database {elsewhere / 'trunkline.db'}; run this where `trunkline serve` runs" in err
            assert not list(elsewhere.iterdir())

    def test_a_key_is_made_listed_and_revoked(self, run: Run) -> None:
        code, key, _ = run("keys", "create", "--name", "laptop")
        assert (code, key[:3], len(key.strip())) == (0, "tl-", 52)
        listed = run("keys", "list")[1]
        assert "laptop" in listed
        assert key.strip() not in listed
        assert "revoked key_" in run("keys", "revoke", "laptop")[1]
        assert run("keys", "list")[1].split()[-1] == "revoked"

    def test_an_unknown_key_is_one_line(self, run: Run) -> None:
        assert run("keys", "revoke", "x") == (2, "", "trunkline: there is no key 'x'; see `trunkline keys list`\n")

    def test_a_name_that_two_keys_have_revokes_neither(self, run: Run) -> None:
        run("keys", "create", "--name", "a")
        run("keys", "create", "--name", "a")
        code, _, err = run("keys", "revoke", "a")
        assert code == 2
        assert "is the name of 2 keys; use one of their ids: key_" in err
        assert "revoked" not in run("keys", "list")[1]

    def test_a_lost_pepper_is_one_line(self, run: Run, tmp_path: Path) -> None:
        run("keys", "create")
        (tmp_path / "trunkline.db.pepper").unlink()
        code, _, err = run("keys", "list")
        assert code == 2
        assert err.startswith("trunkline: trunkline.db.pepper is missing")
        assert err.count("\n") == 1


class TestServe:
    """Only what comes before the first request; the rest is in `tests/gateway`."""

    def test_a_mistake_stops_it_before_it_listens(self, run: Run) -> None:
        code, _, err = run("serve", text="[server]\nlisten = 'nonsense'")
        assert code == 2
        assert err.startswith("trunkline: trunkline.toml:2: server.listen:")

    def test_a_bootstrap_key_that_is_too_short_is_one_line(self, run: Run) -> None:
        code, _, err = run("serve", "--port", "0", TRUNKLINE_BOOTSTRAP_KEY="short")
        assert code == 2
        assert err.startswith("trunkline: bootstrap_key: a key has at least 20")

    def test_a_store_that_cannot_be_opened_is_one_line(self, run: Run) -> None:
        code, _, err = run("serve", "--port", "0", TRUNKLINE_STORE__URL="sqlite:///nowhere/a.db")
        assert code == 2
        assert "create its directory or set store.url" in err
        assert err.count("\n") == 1
