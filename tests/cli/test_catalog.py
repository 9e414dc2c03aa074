"""`trunkline catalog`: newer lists fetched, refused, kept and taken back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.catalog.lists import SHIPPED, Site, newer, served
from tools.models.merge import written
from trunkline.catalog.rows import ModelsFile, PriceRow, SourceRow
from trunkline.store.database import open_database
from trunkline.store.lists import pack_list
from trunkline.store.rows import ListRow
from trunkline.store.statements.model_lists import keep_list

Run = Callable[..., Any]


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as site:
        yield site


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The store that the settings name when they say nothing, as a first start makes it."""
    asyncio.run(open_database(f"sqlite:///{tmp_path}/trunkline.db", 5.0).close())
    return tmp_path / "trunkline.db"


def kept(store: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute("SELECT place, etag FROM model_lists ORDER BY place").fetchall()


def put(store: Path, row: ListRow) -> None:
    """Have the store keep a list, whatever is in it."""

    async def do() -> None:
        database = open_database(f"sqlite:///{store}", 5.0)
        await database.write(partial(keep_list, row=row))
        await database.close()

    asyncio.run(do())


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
    def command(self, run: Run, site: Site, store: Path) -> Run:
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
        shown = command("show").out
        assert shown.startswith("the list in the store (no other is newer)")
        assert "2027-01-01" in shown
        assert "has not changed" in command("update").out
        ran = command("rollback")
        assert "the list that came with this version" in ran.out
        assert "acme/new" not in self.known(run)
        ran = command("rollback")
        assert (ran.code, "there is nothing to go back to" in ran.err) == (2, True)

    def test_the_list_before_comes_back(self, command: Run, run: Run, site: Site) -> None:
        site.puts(newer())
        command("update")
        site.puts(newer(models=SHIPPED.models), '"2"')
        command("update")
        assert "acme/new" not in self.known(run)
        command("rollback")
        assert "acme/new" in self.known(run)

    def test_after_a_step_back_the_server_is_asked_for_the_whole_list(
        self, command: Run, store: Path, site: Site
    ) -> None:
        site.puts(newer())
        command("update")
        assert kept(store) == [("present", '"1"')]
        site.puts(newer(models=SHIPPED.models), '"2"')
        command("update")
        assert kept(store) == [("before", '"1"'), ("present", '"2"')]
        command("rollback")
        assert kept(store) == [("present", "")]

    def test_a_name_of_a_state_that_no_store_has_room_for_is_not_kept(
        self, command: Run, store: Path, site: Site
    ) -> None:
        site.puts(newer(), f'"{"e" * 300}"')
        assert command("update").code == 0
        assert kept(store) == [("present", "")]

    @pytest.mark.parametrize("packed", ["x'00'", "'text'"])
    def test_a_list_that_is_damaged_in_the_store_is_fetched_anew(
        self, command: Run, run: Run, store: Path, site: Site, packed: str
    ) -> None:
        site.puts(newer())
        command("update")
        with closing(sqlite3.connect(store)) as connection, connection:
            connection.execute(f"UPDATE model_lists SET packed = {packed}")
        ran = run("models")
        assert ran.code == 0
        assert "warning: the list in the store is not used: it is damaged" in ran.err
        assert "acme/new" not in self.known(run)
        assert command("update").code == 0
        assert "acme/new" in self.known(run)

    def test_diff_and_what_only_asks_change_nothing(self, command: Run, run: Run, site: Site, store: Path) -> None:
        site.puts(newer())
        before = store.read_bytes()
        assert "+ acme/new" in command("diff").out
        self.known(run)
        command("show")
        assert store.read_bytes() == before

    def test_without_a_store_nothing_is_fetched_and_none_is_made(self, run: Run, site: Site, tmp_path: Path) -> None:
        site.puts(newer())
        text = f'[catalog]\nurl = "{site.url}"\n'
        ran = run("catalog", "update", text=text)
        assert (ran.code, "there is no database" in ran.err) == (2, True)
        assert "keeps no list" in run("catalog", "update", text=text + '[store]\nurl = "sqlite:///:memory:"\n').err
        assert self.known(run)
        assert [path.name for path in tmp_path.iterdir()] == ["trunkline.toml"]

    @pytest.mark.parametrize(
        ("file", "reason"),
        [
            (newer(models=SHIPPED.models[:200]), "endpoints are gone"),
            (repriced(10), "prices change by a factor of 10 or more"),
            (b"<html>not here</html>", "it is no file of models"),
            (b'{"format": 99}', "it has format 99"),
            (
                b'{"models": [{"slug": "a/b", "endpoints": [{"provider": "x", "price": {"input": "?"}}]}]}',
                "it is no file of models: models[0]: ",
            ),
            (
                b'{"format": 2, "models": [{"slug": "a/b", "endpoints": [{"provider": "x", "quirks_set": 3}]}]}',
                "a/b at x refers to a set that the file does not have",
            ),
            (b"[" * 11_000_000, "is larger than 10 MiB"),
            (b'{"format": 2, "models": ' + b"[" * 100_000, "it is no file of models: "),
        ],
    )
    def test_an_implausible_list_is_refused_with_the_reason(
        self, command: Run, site: Site, store: Path, file: ModelsFile | bytes, reason: str
    ) -> None:
        site.puts(file)
        ran = command("update")
        assert ran.code == 2
        assert "refused" in ran.err
        assert reason in ran.err
        assert kept(store) == []

    def test_force_takes_a_plausible_shape_all_the_same(self, command: Run, site: Site) -> None:
        site.puts(newer(models=SHIPPED.models[:200]))
        assert command("update", "--force").code == 0

    def test_a_server_that_fails_is_told(self, command: Run, site: Site) -> None:
        site.puts(b"", status=503)
        assert "the server answers 503" in command("update").err

    def test_nobody_there_is_told(self, run: Run, store: Path) -> None:
        ran = run("catalog", "update", text='[catalog]\nurl = "http://127.0.0.1:9/models.json"\n')
        fetching = "trunkline: cannot fetch http://127.0.0.1:9/models.json: "
        assert (ran.code, ran.err) == (2, f"{fetching}cannot connect to 127.0.0.1:9: Connection refused\n")

    def test_without_an_address_it_says_what_to_set(self, run: Run) -> None:
        assert "set catalog.url" in run("catalog", "update").err

    def test_a_list_is_not_fetched_over_an_open_line(self, run: Run) -> None:
        assert "catalog.url" in run("catalog", "update", text='[catalog]\nurl = "http://example.com/m.json"\n').err


def dated(day: str, **changes: Any) -> bytes:
    return written(newer(sources=(SourceRow(name="x", date=day),), **changes))


class TestInForce:
    """The newest of three; of equals the store's before the file's before the shipped one."""

    @pytest.mark.parametrize(
        ("stored", "on_disk", "where", "why"),
        [
            (None, None, "that came with this version", "none is in the store; none is in trunkline-models.json"),
            ("2027-01-02", None, "in the store", "no other is newer"),
            ("2027-01-02", "2027-01-02", "in the store", "no other is newer"),
            ("2027-01-02", "2027-01-03", "in trunkline-models.json", "the one in the store is older"),
            (None, "2027-01-03", "in trunkline-models.json", "none is in the store"),
            (
                "2020-01-01",
                "2020-01-02",
                "that came with this version",
                "the one in the store is older; the one in trunkline-models.json is older",
            ),
        ],
    )
    def test_which_one_and_why(
        self, run: Run, store: Path, stored: str | None, on_disk: str | None, where: str, why: str
    ) -> None:
        if stored is not None:
            put(store, pack_list(dated(stored), "https://x", "", 1))
        if on_disk is not None:
            store.with_name("trunkline-models.json").write_bytes(dated(on_disk))
        ran = run("catalog", "show")
        assert ran.out.splitlines()[0] == f"the list {where} ({why})"
        assert ran.err.count("is newer") == why.count("is older")

    def test_a_store_that_cannot_be_read_is_told_and_the_one_below_it_counts(self, run: Run, store: Path) -> None:
        store.write_bytes(b"no database" * 100)
        ran = run("models")
        assert (ran.code, "acme/new" in ran.out) == (0, False)
        assert "warning: the list in the store is not used: store.url: cannot open" in ran.err
        shown = run("catalog", "show")
        assert "the one in the store cannot be used" in shown.out
        assert "warning: the list in the store is not used: store.url: cannot open" in shown.err

    def test_one_kept_that_does_not_count_is_told_by_update(self, run: Run, site: Site, store: Path) -> None:
        store.with_name("trunkline-models.json").write_bytes(dated("2028-01-01"))
        site.puts(newer())
        ran = run("catalog", "update", text=f'[catalog]\nurl = "{site.url}"\n')
        assert ran.code == 0
        assert "note: the list in trunkline-models.json stays in force (the one in the store is older)" in ran.err


class TestOnDisk:
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
        assert f"warning: the list in {note}" in ran.err
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
