"""`trunkline catalog`: newer lists fetched, refused, kept and taken back."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from tools.models.merge import written
from trunkline.catalog.rows import ModelsFile, PriceRow, SourceRow
from trunkline.inventory import shipped_models

SHIPPED = shipped_models()
Run = Callable[..., Any]


class Site(NamedTuple):
    """A web server with one file."""

    url: str
    state: dict[str, Any]

    def puts(self, file: ModelsFile | bytes, etag: str = '"1"', status: int = 200) -> None:
        data = file if isinstance(file, bytes) else written(file)
        self.state.update(data=data, etag=etag, status=status)


@pytest.fixture
def site() -> Iterator[Site]:
    state: dict[str, Any] = {}

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.headers["if-none-match"] == state["etag"]
            self.send_response(304 if is_known else state["status"])
            self.send_header("etag", state["etag"])
            self.end_headers()
            if not is_known:
                self.wfile.write(state["data"])

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}/models.json", state)
    server.shutdown()
    thread.join(5)
    server.server_close()


def newer(**changes: Any) -> ModelsFile:
    """The shipped list a day later, with one model more."""
    extra = replace(SHIPPED.models[0], slug="acme/new")
    sources = (SourceRow(name="models.dev", date="2027-01-01", licence="MIT", url="https://models.dev"),)
    return replace(SHIPPED, **{"models": (*SHIPPED.models, extra), "sources": sources, **changes})


def repriced(factor: int) -> ModelsFile:
    def dearer(price: PriceRow | None) -> PriceRow | None:
        return price and replace(price, input=price.input * factor, output=price.output * factor)

    models = tuple(
        replace(model, endpoints=tuple(replace(row, price=dearer(row.price)) for row in model.endpoints))
        for model in SHIPPED.models
    )
    return newer(models=models)


class TestUpdate:
    @pytest.fixture
    def command(self, run: Run, site: Site) -> Run:
        def command(*arguments: str) -> Any:
            return run("catalog", *arguments, text=f'[catalog]\nurl = "{site.url}"\n')

        return command

    def known(self, run: Run) -> set[str]:
        return {entry["model"] for entry in json.loads(run("models", "--json").out)}

    def test_a_newer_list_is_fetched_used_and_taken_back(self, command: Run, run: Run, site: Site) -> None:
        site.puts(newer())
        ran = command("update")
        assert ran.code == 0, ran.err
        assert "1 endpoints added, 0 removed" in ran.out or "endpoints added, 0 removed" in ran.out
        assert "acme/new" in self.known(run)
        assert "2027-01-01" in command("show").out
        assert "has not changed" in command("update").out
        ran = command("rollback")
        assert "the list that came with this version" in ran.out
        assert "acme/new" not in self.known(run)
        assert command("rollback").code == 2

    def test_the_list_before_comes_back(self, command: Run, run: Run, site: Site) -> None:
        site.puts(newer())
        command("update")
        site.puts(newer(models=SHIPPED.models), '"2"')
        command("update")
        assert "acme/new" not in self.known(run)
        command("rollback")
        assert "acme/new" in self.known(run)

    def test_diff_changes_nothing(self, command: Run, run: Run, site: Site, tmp_path: Path) -> None:
        site.puts(newer())
        assert "+ acme/new" in command("diff").out
        assert [path.name for path in tmp_path.iterdir()] == ["trunkline.toml"]

    @pytest.mark.parametrize(
        ("file", "reason"),
        [
            (newer(models=SHIPPED.models[:200]), "endpoints are gone"),
            (repriced(10), "prices change by a factor of 10 or more"),
            (b"<html>not here</html>", "it is no file of models"),
            (b'{"format": 99}', "it has format 99"),
            (b'{"models": [{"slug": "a/b", "endpoints": [{"provider": "x", "price": {"input": "?"}}]}]}', "it is no"),
            (b"[" * 11_000_000, "is larger than 10 MiB"),
        ],
    )
    def test_an_implausible_list_is_refused_with_the_reason(
        self, command: Run, site: Site, tmp_path: Path, file: ModelsFile | bytes, reason: str
    ) -> None:
        site.puts(file)
        ran = command("update")
        assert ran.code == 2
        assert "refused" in ran.err
        assert reason in ran.err
        assert [path.name for path in tmp_path.iterdir()] == ["trunkline.toml"]

    def test_force_takes_a_plausible_shape_all_the_same(self, command: Run, site: Site) -> None:
        site.puts(newer(models=SHIPPED.models[:200]))
        assert command("update", "--force").code == 0

    def test_a_server_that_fails_is_told(self, command: Run, site: Site) -> None:
        site.puts(b"", status=503)
        assert "the server answers 503" in command("update").err

    def test_nobody_there_is_told(self, run: Run) -> None:
        ran = run("catalog", "update", text='[catalog]\nurl = "http://127.0.0.1:9/models.json"\n')
        fetching = "trunkline: cannot fetch http://127.0.0.1:9/models.json: "
        assert (ran.code, ran.err) == (2, f"{fetching}cannot connect to 127.0.0.1:9: Connection refused\n")

    def test_without_an_address_it_says_what_to_set(self, run: Run) -> None:
        assert "set catalog.url" in run("catalog", "update").err

    def test_a_list_is_not_fetched_over_an_open_line(self, run: Run) -> None:
        assert "catalog.url" in run("catalog", "update", text='[catalog]\nurl = "http://example.com/m.json"\n').err


class TestKept:
    @pytest.mark.parametrize(
        ("content", "note"),
        [
            (b"{", "trunkline-models.json is not used: it is no file of models"),
            (
                written(replace(SHIPPED, sources=(SourceRow(name="x", date="2026-01-01"),))),
                "trunkline-models.json is not used: the list that came with this version is newer",
            ),
        ],
    )
    def test_a_list_that_is_no_good_gives_way_to_the_shipped_one_loudly(
        self, run: Run, tmp_path: Path, content: bytes, note: str
    ) -> None:
        (tmp_path / "trunkline-models.json").write_bytes(content)
        ran = run("check")
        assert ran.code == 0
        assert f"warning: {note}" in ran.err
        out = run("catalog", "show").out
        assert "the list that came with this version" in out
        assert "prices on which they differ" in out

    def test_the_operators_entry_wins_over_a_fetched_one(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "trunkline-models.json").write_bytes(written(repriced(3)))
        text = """
        [[endpoints]]
        provider = "openai"
        model = "openai/gpt-5-mini"
        price = { input = "7", output = "8" }
        """
        entries = json.loads(run("models", "--json", "gpt-5-mini", "--provider", "openai", text=text).out)
        prices = {entry["id"]: entry["price"]["input"] for entry in entries}
        assert prices["openai:openai/gpt-5-mini"] == "7"
        assert (
            json.loads(run("models", "--json", "gpt-5-nano", "--provider", "openai").out)[0]["price"]["input"] == "0.15"
        )
