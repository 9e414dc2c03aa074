"""When a running gateway looks for a newer list, and what it makes of one: on a store, with made-up catalogues."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from trunkline.catalog.entries import Catalog
from trunkline.catalog.renewal import Counts, count_changes
from trunkline.errors import ServiceUnavailable
from trunkline.inventory import load_catalog, relist_catalog
from trunkline.renewing import LOOKS_EVERY_S, Renewed, Renewing
from trunkline.routing.health import Health
from trunkline.routing.plan import Planner
from trunkline.settings.sections import EndpointSettings, PriceSettings, ProviderSettings, Settings
from trunkline.store.database import Database, open_database
from trunkline.store.lists import pack_list
from trunkline.store.rows import ListRow
from trunkline.store.statements.model_lists import keep_list, roll_back_list
from trunkline.upstream.aside import Aside

T = TypeVar("T")
NO_COUNTS = Counts(models=0, endpoints=0, added=0, removed=0, repriced=0)


def catalog(stored: str = "") -> Catalog:
    return Catalog(standings={}, models={}, endpoints={}, offers={}, provider_slugs={}, pairs={}, stored_list=stored)


class Scene:
    """A store, a planner, and what keeps the planner's catalogue new. A list whose text is `bad` cannot be used."""

    def __init__(self, path: Path, looks_every_s: float) -> None:
        self.database: Database = open_database(f"sqlite:///{path}/t.db", 5.0)
        self.planner = Planner(catalog(), Health(), lambda: 0.5, lambda: 0.0)
        self.told = asyncio.Event()
        self.is_bad_good = False
        self.made: list[str] = []
        self.took: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.renewing = Renewing(
            self.database,
            self.planner,
            Aside(),
            self._make,
            self._take,
            self.refused.append,
            self.told,
            looks_every_s=looks_every_s,
        )

    def _make(self, before: Catalog, row: ListRow | None) -> Renewed:
        self.made.append("" if row is None else row.url)
        if row is not None and row.url == "bad" and not self.is_bad_good:
            raise ValueError("it is bad")
        return Renewed(catalog("" if row is None else row.digest), NO_COUNTS)

    def _take(self, before: Catalog, renewed: Renewed) -> None:
        if self.made[-1] == "untaken":
            raise RuntimeError("a defect")
        self.took.append((before.stored_list, renewed.catalog.stored_list))

    async def keep(self, name: str, now_ms: int = 1) -> str:
        """Keep a list of this name; its digest."""
        row = pack_list(name.encode(), name, "", now_ms)
        await self.database.write(partial(keep_list, row=row))
        return row.digest

    async def until(self, claim: Callable[[], bool]) -> None:
        for _ in range(2000):
            if claim():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("it does not come true")


def play(path: Path, act: Callable[[Scene], Coroutine[None, None, T]], looks_every_s: float = 0.02) -> T:
    async def run() -> T:
        scene = Scene(path, looks_every_s)
        try:
            async with scene.renewing:
                return await act(scene)
        finally:
            await scene.database.close()

    return asyncio.run(run())


def test_it_is_looked_often_enough_for_a_list_to_be_in_use_within_five_seconds() -> None:
    assert LOOKS_EVERY_S <= 4


def test_another_list_is_used_and_one_that_is_gone_is_not_any_more(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        digest = await scene.keep("one")
        await scene.until(lambda: scene.planner.catalog.stored_list == digest)
        await scene.database.write(roll_back_list)
        await scene.until(lambda: scene.planner.catalog.stored_list == "")
        await scene.keep("one")
        await scene.until(lambda: len(scene.took) == 3)
        await asyncio.sleep(0.1)
        assert scene.made == ["one", "", "one"]  # and not once more while nothing changed
        assert scene.took == [("", digest), (digest, ""), ("", digest)]

    play(tmp_path, act)


def test_a_defect_of_who_is_told_of_a_list_ends_no_rounds(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.keep("untaken")
        await scene.until(lambda: scene.refused == ["a defect"])
        digest = await scene.keep("one", 2)
        await scene.until(lambda: scene.planner.catalog.stored_list == digest)
        assert scene.refused == ["a defect"]

    play(tmp_path, act)


def test_who_is_told_looks_at_once(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        for number in range(3):
            digest = await scene.keep(str(number))
            scene.told.set()
            await scene.until(lambda digest=digest: scene.planner.catalog.stored_list == digest)  # type: ignore[misc]

    play(tmp_path, act, looks_every_s=1000.0)


def test_what_was_kept_before_the_start_is_found_with_the_first_look(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.until(lambda: bool(scene.took))

    async def keep() -> None:
        scene = Scene(tmp_path, 1.0)
        await scene.keep("one")
        await scene.database.close()

    asyncio.run(keep())
    play(tmp_path, act, looks_every_s=1000.0)


def test_a_list_that_cannot_be_used_is_refused_once_and_changes_nothing(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        good = await scene.keep("good")
        await scene.until(lambda: scene.planner.catalog.stored_list == good)
        await scene.keep("bad")
        await scene.until(lambda: bool(scene.refused))
        await asyncio.sleep(0.1)
        assert scene.planner.catalog.stored_list == good
        assert scene.refused == ["it is bad"]
        assert scene.made == ["good", "bad"]
        better = await scene.keep("better")
        await scene.until(lambda: scene.planner.catalog.stored_list == better)

    play(tmp_path, act)


def test_the_same_list_kept_again_is_looked_at_anew_where_it_was_refused(tmp_path: Path) -> None:
    """What was damaged is fetched once more, and is the same list."""

    async def act(scene: Scene) -> None:
        await scene.keep("bad")
        await scene.until(lambda: bool(scene.refused))
        scene.is_bad_good = True
        digest = await scene.keep("bad", now_ms=2)
        await scene.until(lambda: scene.planner.catalog.stored_list == digest)

    play(tmp_path, act)


def test_while_the_store_is_away_the_catalogue_stays(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        digest = await scene.keep("one")
        await scene.until(lambda: scene.planner.catalog.stored_list == digest)
        await scene.database.write(lambda it: it.execute("ALTER TABLE model_lists RENAME TO away"))
        await asyncio.sleep(0.1)
        with pytest.raises(ServiceUnavailable):
            await scene.keep("two")
        assert (scene.planner.catalog.stored_list, scene.refused) == (digest, [])
        await scene.database.write(lambda it: it.execute("ALTER TABLE away RENAME TO model_lists"))
        two = await scene.keep("two")
        await scene.until(lambda: scene.planner.catalog.stored_list == two)

    play(tmp_path, act)


def test_a_catalogue_that_is_made_anew_of_the_same_list_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers and their keys are those of the start, whatever the environment says meanwhile."""
    own = EndpointSettings(
        provider="openai", model="openai/of-ours", price=PriceSettings(input=Decimal(1), output=Decimal(2))
    )
    settings = Settings(endpoints=[own], providers={"fake-provider": ProviderSettings(enabled=True)})
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "sk-of-the-start")
    before = load_catalog(settings)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("GROQ_API_KEY", "sk-new")
    after = relist_catalog(before, settings, None)
    assert after.standings is before.standings
    for name in set(Catalog.__struct_fields__) - {"keyless", "spellings"}:
        assert getattr(after, name) == getattr(before, name), name
    assert dict(after.keyless) == dict(before.keyless)
    assert count_changes(before, after) == replace(count_changes(before, before), added=0, removed=0, repriced=0)


def test_plans_of_before_are_forgotten_with_their_catalogue() -> None:
    planner = Planner(catalog("one"), Health(), lambda: 0.5, lambda: 0.0)
    planner._known["asked"] = None  # type: ignore[assignment]  # whatever is remembered
    planner.use(catalog("two"))
    assert (planner.catalog.stored_list, planner._known) == ("two", {})
