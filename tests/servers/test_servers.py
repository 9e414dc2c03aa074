"""The servers that tests start: they serve, freeze, die and come back on request, and nothing of them is left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import fetching, fixtures, valkey, watchdog
from tests.servers.found import Programs
from tests.servers.postgres import Postgres
from tests.servers.process import NOBODY, Server
from tests.servers.valkey import Valkey

ROOT = Path(__file__).parents[2]


def is_answering(server: Server) -> bool:
    """Whether a server answers what each of them answers at once: PostgreSQL a question for TLS, Valkey a PING."""
    question = b"PING\r\n" if isinstance(server, Valkey) else bytes([0, 0, 0, 8, 4, 210, 22, 47])
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as connection:
            connection.sendall(question)
            return bool(connection.recv(1))
    except OSError:
        return False


@pytest.fixture(params=["postgres", "redis_server"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


class TestLife:
    def test_frozen_it_takes_connections_and_answers_nothing(self, server: Server) -> None:
        assert is_answering(server)
        with server.paused():
            assert not is_answering(server)
        assert is_answering(server)

    def test_killed_it_comes_back_where_it_was(self, server: Server) -> None:
        port = server.port
        with server.gone():
            assert not is_answering(server)
            assert watchdog.members(str(server.folder)) == []
        assert is_answering(server)
        assert server.port == port

    def test_it_has_no_rights_of_root(self, server: Server) -> None:
        owner = NOBODY if os.geteuid() == 0 else os.geteuid()
        assert server.folder.stat().st_uid == Path(f"/proc/{server.pid}").stat().st_uid == owner

    def test_it_is_gone_when_the_tests_are_killed_even_while_it_is_frozen(self, server: Server) -> None:
        module = "postgres" if isinstance(server, Postgres) else "valkey"
        code = (
            f"import time; from tests.servers.{module} import started\n"
            "with started() as server:\n    server.pause(); print(server.folder, flush=True); time.sleep(60)"
        )
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            folder = process.stdout.readline().strip()
            assert watchdog.members(folder)
            process.kill()
        until = time.monotonic() + 20
        while (watchdog.members(folder) or Path(folder).exists()) and time.monotonic() < until:
            time.sleep(0.02)
        assert watchdog.members(folder) == []
        assert not Path(folder).exists()


class TestPostgres:
    def test_each_caller_has_a_database_of_its_own(self, postgres: Postgres) -> None:
        first = postgres.new_database().rpartition("/")[2]
        postgres.run("CREATE TABLE things (name text); INSERT INTO things VALUES ('a')", first)
        second = postgres.new_database(like=first).rpartition("/")[2]
        postgres.run("INSERT INTO things VALUES ('b')", second)
        assert postgres.run("SELECT name FROM things", first) == "a"
        assert postgres.run("SELECT name, 1 FROM things ORDER BY 1", second) == "a\t1\nb\t1"

    def test_what_was_committed_is_there_after_a_kill(self, postgres: Postgres) -> None:
        name = postgres.new_database().rpartition("/")[2]
        postgres.run("CREATE TABLE things (name text); INSERT INTO things VALUES ('a')", name)
        with postgres.gone():
            pass
        assert postgres.run("SELECT name FROM things", name) == "a"


class TestValkey:
    def test_killed_it_has_forgotten(self, redis_server: Valkey) -> None:
        redis_server.run("SET", "a", "1")
        redis_server.restart()
        assert redis_server.run("GET", "a") == b"$-1\r\n"

    def test_two_at_once_are_two(self, redis_server: Valkey) -> None:
        with valkey.started() as other:
            redis_server.run("SET", "a", "1")
            assert other.run("GET", "a") == b"$-1\r\n"

    def test_programs_that_its_user_cannot_read_are_copied(self, redis_server: Valkey, tmp_path: Path) -> None:
        bin = tmp_path / "closed" / "usr" / "bin"
        bin.mkdir(parents=True)
        found = redis_server._programs
        (bin / "redis-server").symlink_to(redis_server._command(1)[0])
        (tmp_path / "closed").chmod(0o700)
        with valkey.started(Programs(bin, found.environ)) as server:
            assert server.is_ready()


class TestMissing:
    def test_without_a_server_tests_are_skipped_and_fail_where_nothing_may_be_missing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CI", raising=False)
        with pytest.raises(pytest.skip.Exception, match="install it"):
            fixtures._miss("PostgreSQL")
        monkeypatch.setenv("CI", "1")
        with pytest.raises(pytest.fail.Exception, match="install it"):
            fixtures._miss("PostgreSQL")

    def test_what_cannot_be_fetched_is_said_in_one_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        monkeypatch.delenv("CI", raising=False)
        monkeypatch.setattr(fetching, "SERVERS", (fetching.Wanted("Valkey", ("valkey",), lambda: None),))
        assert fetching.main() == 1
        assert capsys.readouterr().err == (
            "Valkey: it is not installed, and this is no Debian to fetch it from; "
            "the tests that use it will be skipped.\n"
        )
