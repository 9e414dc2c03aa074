"""`trunkline ledger rerate`: records of known tokens at the prices of now, of before, and of one that was kept."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.gateway.server import KEY, PROVIDER_KEY, running
from tests.gateway.upstream import Upstream
from tests.recorded import DAY, NOW, keep, opened, record
from trunkline.billing import cost
from trunkline.catalog.price_texts import fingerprint_of, write_price
from trunkline.catalog.prices import Price, PriceTier
from trunkline.days import DAY_MS, date_of
from trunkline.store.connection import Connection
from trunkline.store.database import open_database
from trunkline.store.rows import GenerationRow
from trunkline.stream.deltas import Usage

ENDPOINT = "acme:acme/large"
FIRST = date_of(DAY // DAY_MS).isoformat()
NEXT = date_of(DAY // DAY_MS + 1).isoformat()

BEFORE = Price(input=Decimal("0.000001"), output=Decimal("0.000002"))
"""At which the usual record, of 100 tokens in and 10 out, costs 120,000 nano-dollars."""

PROVIDER = """
[providers.acme]
dialect = "chat"
base_url = "{url}"
api_key = {{ env = "MOCK_KEY" }}
"""
MODEL = """
[[endpoints]]
provider = "acme"
model = "{model}"
upstream_model = "gpt-x"
price = {{ input = "{input}", output = "{output}" }}
"""
DEARER = PROVIDER.format(url="http://127.0.0.1:1/v1") + MODEL.format(model="acme/large", input="3", output="4")
"""At which it costs 340,000."""

Rerate = Callable[..., Any]


@pytest.fixture
def store(run: Run, tmp_path: Path) -> Path:
    """A new store, with the price of before under the number 1, and one of another endpoint under 2."""
    path = tmp_path / "trunkline.db"
    asyncio.run(open_database(f"sqlite:///{path}", 1.0).close())
    with opened(path) as connection:
        add_price(connection, 1, ENDPOINT, BEFORE)
        add_price(connection, 2, "acme:acme/small", BEFORE)
    (tmp_path / "trunkline.toml").write_text(DEARER)
    return path


def add_price(connection: Connection, id: int, endpoint_id: str, price: Price) -> None:
    text = write_price(price)
    connection.execute(
        "INSERT INTO prices (id, endpoint_id, fingerprint, price, first_used_ms) VALUES (?, ?, ?, ?, 0)",
        (id, endpoint_id, fingerprint_of(endpoint_id, text), text),
    )


def priced(id: str, **changes: Any) -> GenerationRow:
    """A record that cost what the price of before makes of its tokens, but for what is changed."""
    usual = {"price_id": 1, "cost_nano": 120_000, "cost_input_nano": 100_000, "cost_output_nano": 20_000}
    return record(id, **{**usual, **changes})


def written(path: Path, *rows: GenerationRow) -> None:
    with opened(path) as connection:
        keep(connection, rows)


@pytest.fixture
def rerate(run: Run, store: Path) -> Rerate:
    def rerate(*options: str, first: str = FIRST, last: str = FIRST) -> Any:
        ran = run("ledger", "rerate", "--from", first, "--to", last, *options, "--dry-run", "--json")
        assert (ran.code, ran.err) == (0, ""), ran
        return json.loads(ran.out)

    return rerate


def test_the_sums_are_of_the_days_both_included_and_of_each_account(rerate: Rerate, store: Path) -> None:
    written(
        store,
        priced("eve", created_at_ms=DAY - 1),
        priced("first"),
        priced("last", created_at_ms=DAY + 2 * DAY_MS - 1, account_id="acc_b"),
        priced("after", created_at_ms=DAY + 2 * DAY_MS),
    )
    one = {"generations": 1, "charged_usd": "0.00012", "rerated_usd": "0.00034", "difference_usd": "0.00022"}
    assert rerate(last=NEXT) == {
        "from": FIRST,
        "to": NEXT,
        "prices": "current",
        "generations": 2,
        "charged_usd": "0.00024",
        "rerated_usd": "0.00068",
        "difference_usd": "0.00044",
        "apart": {"unpriced": 0, "own_key": 0, "as_told": 0, "unlisted": 0},
        "kept_from": None,
        "accounts": [{"account_id": "acc_b", **one}, {"account_id": "default", **one}],
    }
    assert one.items() <= rerate().items()


@pytest.mark.parametrize(
    ("changes", "rerated"),
    [
        ({}, 340_000),
        ({"cost_nano": 0, "cost_input_nano": 0, "cost_output_nano": 0, "input_tokens": 0, "output_tokens": 0}, 0),
        ({"held_nano": 500_000, "charged_nano": 120_000}, 340_000),
        ({"held_nano": 200_000, "charged_nano": 120_000}, 200_000),
        ({"held_nano": 90_000, "charged_nano": 90_000, "house_nano": 30_000}, 90_000),
        ({"held_nano": 200_000, "charged_nano": 0, "house_nano": 120_000}, 0),
        ({"cost_nano": 70_000, "house_nano": 50_000}, 70_000),
        ({"told_nano": 119_000}, 340_000),
        ({"told_nano": 120_000}, 340_000),
        ({"price_id": None}, "unpriced"),
        ({"price_id": 99}, "unpriced"),
        ({"is_byok": True, "cost_nano": 6_000, "upstream_nano": 120_000}, "own_key"),
        ({"told_nano": 119_000, "cost_nano": 119_000, "cost_output_nano": 19_000}, "as_told"),
        ({"price_id": 2, "endpoint_id": "acme:acme/small"}, "unlisted"),
    ],
)
def test_each_kind_of_record_is_priced_anew_or_told_apart(
    changes: dict[str, Any], rerated: int | str, rerate: Rerate, store: Path
) -> None:
    written(store, priced("r", **changes))
    told = rerate()
    apart = {name: count for name, count in told["apart"].items() if count}
    if isinstance(rerated, str):
        assert (told["generations"], told["charged_usd"], apart) == (0, "0", {rerated: 1})
        return
    charged = changes.get("charged_nano", changes.get("cost_nano", 120_000))
    found = [told[name] for name in ("charged_usd", "rerated_usd", "difference_usd")]
    assert [round(Decimal(usd) * 10**9) for usd in found] == [charged, rerated, rerated - charged]
    assert (told["generations"], apart) == (1, {})


def test_where_a_provider_bills_what_it_tells_its_word_goes_before_any_price(
    rerate: Rerate, store: Path, tmp_path: Path
) -> None:
    (tmp_path / "trunkline.toml").write_text(DEARER + "quirks = { bills_as_told = true }\n")
    written(store, priced("told", told_nano=120_000), priced("not told"))
    told = rerate()
    assert (told["generations"], told["rerated_usd"], told["apart"]["as_told"]) == (1, "0.00034", 1)
    assert rerate("--prices", "1")["apart"]["as_told"] == 1


def test_one_price_is_of_one_endpoint(rerate: Rerate, store: Path) -> None:
    with opened(store) as connection:
        add_price(connection, 3, ENDPOINT, Price(input=Decimal("0.0000005"), output=Decimal(0)))
    written(store, priced("r"), priced("small", price_id=2, endpoint_id="acme:acme/small"))
    told = rerate("--prices", "3")
    assert (told["prices"], told["generations"]) == ("3", 1)
    assert (told["rerated_usd"], told["difference_usd"]) == ("0.00005", "-0.00007")
    assert told["apart"]["unlisted"] == 0
    assert rerate("--prices", "1")["difference_usd"] == "0"


def test_at_the_prices_of_then_nothing_differs(rerate: Rerate, store: Path) -> None:
    """Whatever was used and held: cached, written, thought and drawn tokens, tiers, fees, holds that cut."""
    dice = random.Random(71)
    kinds = ("input", "output", "cache_read", "reasoning", "audio_input", "image_token")
    per_token: dict[str, Any] = {kind: Decimal(dice.randrange(1, 10**6)).scaleb(-10) for kind in kinds}
    price = Price(
        **per_token,
        request=Decimal("0.0000000015"),
        search=Decimal("0.0100000005"),
        tiers=(PriceTier(above_input_tokens=500, input=Decimal("0.0000123456"), output=Decimal("0.00001")),),
        service_tiers=(("flex", Decimal("0.5")),),
    )
    rows = []
    for number in range(300):
        read, said = dice.randrange(1000), dice.randrange(1000)
        counts: dict[str, Any] = {
            "input_tokens": read,
            "cache_read_tokens": dice.randrange(read + 1),
            "audio_input_tokens": dice.randrange(read + 1),
            "output_tokens": said,
            "reasoning_tokens": dice.randrange(said + 1),
            "image_output_tokens": dice.randrange(said + 1),
            "searches": dice.randrange(3),
        }
        tier = dice.choice((None, "flex", "unheard of"))
        worth = cost(Usage(**counts), price, service_tier=tier)
        assert worth.total is not None
        held = dice.choice((None, worth.total // 2, worth.total, worth.total * 2))
        charged = worth.total if held is None else min(worth.total, held)
        rows.append(
            priced(
                f"r{number}",
                price_id=5,
                service_tier=tier,
                held_nano=held,
                cost_nano=worth.total,
                cost_input_nano=worth.input,
                cost_output_nano=worth.output,
                cost_fees_nano=worth.fees,
                charged_nano=0 if held is None else charged,
                house_nano=worth.total - charged,
                **counts,
            )
        )
    with opened(store) as connection:
        add_price(connection, 5, ENDPOINT, price)
        keep(connection, rows)
    told = rerate("--prices", "5")
    assert told["generations"] == 300
    assert told["charged_usd"] == told["rerated_usd"] != "0"
    assert told["difference_usd"] == "0"


def test_people_get_a_table_and_what_is_apart(run: Run, store: Path) -> None:
    written(store, priced("r"), priced("free", price_id=None))
    with opened(store) as connection:
        connection.execute("INSERT INTO horizons (id, at_ms) VALUES ('records', ?)", (DAY + DAY_MS,))
    lines = run("ledger", "rerate", "--from", FIRST, "--to", NEXT, "--dry-run").out.splitlines()
    assert [line.split() for line in lines] == [
        ["ACCOUNT", "GENERATIONS", "CHARGED", "USD", "RERATED", "USD", "DIFFERENCE", "USD"],
        ["default", "1", "0.00012", "0.00034", "0.00022"],
        ["all", "1", "0.00012", "0.00034", "0.00022"],
        [],
        ["unpriced", "1"],
        ["records", "of", "before", NEXT, "are", "not", "kept", "any", "more"],
    ]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        (("--from", FIRST, "--to", FIRST), "not_posted", "nothing can be posted yet: add --dry-run"),
        (("--from", NEXT, "--to", FIRST, "--dry-run"), "invalid", f"--from {NEXT} is after --to {FIRST}"),
        (("--from", "today", "--to", FIRST, "--dry-run"), "invalid", "--from is a day as 2026-11-27"),
        (("--from", FIRST, "--to", FIRST, "--prices", "9", "--dry-run"), "not_found", "there is no price 9"),
        (("--from", FIRST, "--to", FIRST, "--prices", "old", "--dry-run"), "invalid", "--prices is current or"),
    ],
)
def test_what_cannot_be_is_refused(options: tuple[str, ...], code: str, problem: str, run: Run) -> None:
    ran = run("ledger", "rerate", *options, "--json")
    assert (ran.code, ran.out) == (1, "")
    error = json.loads(ran.err)["error"]
    assert error["code"] == code
    assert error["message"].startswith(problem)


def test_nothing_is_changed(rerate: Rerate, store: Path) -> None:
    written(store, priced("r", held_nano=200_000, charged_nano=120_000))

    def dump() -> list[str]:
        with opened(store) as connection:
            return list(connection.iterdump())

    before = dump()
    rerate()
    assert dump() == before


def test_what_a_gateway_served_is_priced_anew_and_found_on_the_invoice(run: Run, tmp_path: Path) -> None:
    today = date_of(NOW // DAY_MS).isoformat()
    with Upstream() as upstream:
        config = PROVIDER.format(url=f"{upstream.url}/v1") + MODEL.format(model="acme/large", input="1", output="2")
        with running(tmp_path, config, MOCK_KEY=PROVIDER_KEY) as gateway:
            for _ in range(2):
                assert gateway.call({"model": "acme/large", "input": "Hello!"}, key=KEY).status == 200
        days = ("--from", today, "--to", "9999-12-30")

        def rerated() -> list[str]:
            told = json.loads(run("ledger", "rerate", *days, "--dry-run", "--json").out)
            return [str(told["generations"]), told["charged_usd"], told["rerated_usd"], told["difference_usd"]]

        # Twice 7 tokens in and 3 out, and twice the same id.
        assert rerated() == ["2", "0.000026", "0.000026", "0"]
        (tmp_path / "trunkline.toml").write_text(config.replace('"2"', '"1.5"'))
        assert rerated() == ["2", "0.000026", "0.000023", "-0.000003"]
        for usd, code in (("0.000026", 0), ("0.000028", 1)):
            (tmp_path / "invoice.csv").write_text(f"id,cost\nc1,{usd}\n")
            ran = run("ledger", "reconcile", "invoice.csv", "--provider", "acme", *days, "--json")
            assert ran.code == code, ran
            assert json.loads(ran.out)["differing"]["count"] == code
        assert json.loads(run("ledger", "audit", "--json").out)["ok"] is True
