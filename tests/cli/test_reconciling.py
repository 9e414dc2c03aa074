"""`trunkline ledger reconcile`: invoices as providers write them, beside records of known ids and amounts."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.recorded import DAY, keep, opened, record
from trunkline.days import DAY_MS, date_of
from trunkline.store.database import open_database
from trunkline.store.rows import GenerationRow

MICRO = 1000
FIRST = date_of(DAY // DAY_MS).isoformat()

Compare = Callable[..., Any]


@pytest.fixture
def store(run: Run, tmp_path: Path) -> Path:
    """Four answers of one provider, worth 10, 20, 30 and 40 micro-dollars, and one of another."""
    path = tmp_path / "trunkline.db"
    asyncio.run(open_database(f"sqlite:///{path}", 1.0).close())
    written(
        path,
        *(answered(f"a{number}", number * 10 * MICRO) for number in range(1, 5)),
        answered("a1", 99 * MICRO, id="other", provider="other"),
    )
    return path


def answered(upstream_id: str | None, nano: int, **changes: Any) -> GenerationRow:
    usual = {"id": f"gen_{upstream_id}", "upstream_id": upstream_id, "cost_nano": nano, "cost_input_nano": nano}
    return record(**{**usual, **changes})


def written(path: Path, *rows: GenerationRow) -> None:
    with opened(path) as connection:
        keep(connection, rows)


@pytest.fixture
def compare(run: Run, store: Path, tmp_path: Path) -> Compare:
    def compare(text: str, *options: str, code: int) -> Any:
        (tmp_path / "invoice.csv").write_text(text)
        ran = run("ledger", "reconcile", "invoice.csv", "--provider", "acme", *options, "--json")
        assert (ran.code, ran.err) == (code, ""), ran
        return json.loads(ran.out)

    return compare


ALL = "id,usd\na1,0.00001\na2,0.00002\na3,0.00003\na4,0.00004\n"
GROUPS = ("matched", "differing", "only_in_invoice", "only_on_record", "unnamed")


def counts(told: Any) -> list[int]:
    return [told[name]["count"] for name in GROUPS]


def test_each_answer_matches_or_differs_or_is_on_one_side(compare: Compare) -> None:
    told = compare("id,usd\na1,0.00001\na2,0.000025\na9,0.00007\n,0.5\na3,0.000029\n", code=1)
    assert told["ok"] is False
    assert told["columns"] == {"id": "id", "amount": "usd"}
    assert told["invoice"] == {
        "lines": 5,
        "ids": 4,
        "usd": "0.500134",
        "lines_without_id": 1,
        "without_id_usd": "0.5",
    }
    assert counts(told) == [2, 1, 1, 1, 0]
    assert told["matched"] == {"count": 2, "ours_usd": "0.00004", "theirs_usd": "0.000039", "answers": []}
    answers = [(name, each) for name in GROUPS for each in told[name]["answers"]]
    assert answers == [
        (name, dict(zip(("id", "generation", "ours_usd", "theirs_usd", "difference_usd"), values, strict=True)))
        for name, *values in (
            ("differing", "a2", "gen_a2", "0.00002", "0.000025", "0.000005"),
            ("only_in_invoice", "a9", None, None, "0.00007", "0.00007"),
            ("only_on_record", "a4", "gen_a4", "0.00004", None, "-0.00004"),
        )
    ]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (ALL, ()),
        ("\ufeff" + ALL, ()),
        ("\n\n" + ALL.replace("\n", "\r\n\r\n"), ()),
        (ALL.replace(",", ";"), ()),
        (ALL.replace(",", "\t"), ()),
        (ALL.replace("id,usd", "ID,Cost (USD)").replace(",0", ",$0"), ()),
        (ALL.replace("id,usd", "Response ID,TOTAL COST"), ()),
        (ALL.replace("id,usd", "answer,sum"), ("--id-column", "answer", "--amount-column", "sum")),
        ("day,usd,id,request_id\n" + "".join(f"x,0.0000{n},line {n},a{n}\n" for n in range(1, 5)), ()),
        ("id,kind,usd\n" + "".join(f'a{n},"in, out",{n}e-5\n' for n in range(1, 5)), ()),
        # Two lines of one id, and one that gives money back.
        (ALL + "a1,0.000005\na1,-0.000005\n", ()),
        (ALL + "a0,0.00\n", ()),
        (ALL.replace("0.00004", "0.0000409999"), ()),
        (ALL.replace("0.00004", "0.000041001"), ("--tolerance", "0.000001001")),
    ],
)
def test_an_invoice_is_read_as_providers_write_it(text: str, options: tuple[str, ...], compare: Compare) -> None:
    told = compare(text, *options, code=0)
    assert (told["ok"], told["matched"]["count"]) == (True, 4)


def test_what_differs_by_more_than_is_tolerated_differs(compare: Compare) -> None:
    assert counts(compare(ALL.replace("0.00004", "0.000041001"), code=1)) == [3, 1, 0, 0, 0]
    assert counts(compare(ALL.replace("0.00004", "0.000040001"), "--tolerance", "0", code=1)) == [3, 1, 0, 0, 0]


def test_days_bound_what_is_missed_and_those_beside_them_are_matched(compare: Compare, store: Path) -> None:
    written(
        store,
        answered("eve", 5 * MICRO, created_at_ms=DAY - 1),
        answered("late", 6 * MICRO, created_at_ms=DAY + DAY_MS),
        answered("long ago", 7 * MICRO, created_at_ms=DAY - 3 * DAY_MS),
    )
    days = ("--from", FIRST, "--to", FIRST)
    assert counts(compare(ALL, *days, code=0)) == [4, 0, 0, 0, 0]
    assert counts(compare(ALL + "eve,0.000005\nlate,0.000006\n", *days, code=0)) == [6, 0, 0, 0, 0]
    assert counts(compare(ALL + "long ago,0.000007\n", *days, code=1)) == [4, 0, 1, 0, 0]
    assert counts(compare(ALL + "long ago,0.000007\n", code=1)) == [5, 0, 0, 2, 0]


def test_only_what_the_gateway_paid_and_was_named_is_missed(compare: Compare, store: Path) -> None:
    written(
        store,
        answered("own", 0, is_byok=True, upstream_nano=50 * MICRO, cost_input_nano=50 * MICRO),
        answered("failed", 0, status="failed"),
        answered(None, 8 * MICRO),
        # Worth more than its client paid: the provider bills all of it.
        answered("cut", 30 * MICRO, held_nano=20 * MICRO, charged_nano=20 * MICRO, house_nano=10 * MICRO),
        answered("twin", 1 * MICRO),
        answered("twin", 2 * MICRO, id="gen_twin_2"),
    )
    told = compare(ALL + "cut,0.00003\ntwin,0.000003\n", code=0)
    assert counts(told) == [6, 0, 0, 0, 1]
    assert told["unnamed"]["ours_usd"] == "0.000008"
    assert counts(compare(ALL, code=1)) == [4, 0, 0, 3, 1]


def test_the_largest_are_listed_and_all_are_counted(compare: Compare, run: Run) -> None:
    told = compare("id,usd\n" + "".join(f"b{n},{n}\n" for n in range(1, 30)), "--limit", "2", code=1)
    group = told["only_in_invoice"]
    assert (group["count"], group["theirs_usd"]) == (29, "435")
    assert [each["id"] for each in group["answers"]] == ["b29", "b28"]
    out = run("ledger", "reconcile", "invoice.csv", "--provider", "acme", "--limit", "2").out
    assert "only in the invoice, the largest; 27 more\n" in out


def test_people_get_a_table_of_sums_and_of_what_differs(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(ALL.replace("a4,0.00004", "a4,0.00005")))
    ran = run("ledger", "reconcile", "-", "--provider", "acme")
    assert ran.code == 1
    assert [line.split() for line in ran.out.splitlines()] == [
        ["by", "id", "and", "usd"],
        ["ANSWERS", "COUNT", "OURS", "USD", "THEIRS", "USD"],
        ["matched", "3", "0.00006", "0.00006"],
        ["differing", "1", "0.00004", "0.00005"],
        ["only", "in", "the", "invoice", "0", "0", "0"],
        ["only", "on", "record", "0", "0", "0"],
        ["on", "record", "without", "an", "id", "0", "0", "0"],
        ["in", "the", "invoice", "without", "an", "id", "0", "0", "0"],
        [],
        ["differing"],
        ["ITS", "ID", "GENERATION", "OURS", "USD", "THEIRS", "USD", "DIFFERENCE", "USD"],
        ["a4", "gen_a4", "0.00004", "0.00005", "0.00001"],
    ]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("text", "options", "code", "problem"),
    [
        ("", (), "bad_invoice", "invoice.csv: it is empty"),
        ("a,usd\n", (), "bad_invoice", "invoice.csv: no column for the provider's id of an answer; name it with --id-"),
        ("id,sum,day\n", (), "bad_invoice", "invoice.csv: no column for the amount in USD; name it with --amount-colu"),
        ("id,usd\n", ("--id-column", "ID"), "bad_invoice", "invoice.csv: no column ID; name it with --id-column; ther"),
        ("id,usd\na,\n", (), "bad_invoice", "invoice.csv: row 1 below the header: usd is '', not an amount"),
        ("id,usd\na,1\nb,1.000.5\n", (), "bad_invoice", "invoice.csv: row 2 below the header: usd is '1.000.5'"),
        ("id;usd\na;0,5\n", (), "bad_invoice", "invoice.csv: row 1 below the header: usd is '0,5', not an amount"),
        ("id,usd\na,nan\n", (), "bad_invoice", "invoice.csv: row 1 below the header: usd is 'nan'"),
        ("id,usd\na,1e10\n", (), "bad_invoice", "invoice.csv: row 1 below the header: usd is '1e10'; an amount is at"),
        ("id,usd\na\n", (), "bad_invoice", "invoice.csv: row 1 below the header has 1 cells"),
        (b"id,usd\n\xff,1\n", (), "bad_invoice", "invoice.csv: it is not UTF-8 text"),
        ("x" * 140_000 + ",usd\n", (), "bad_invoice", "invoice.csv: it is no CSV"),
        (
            "\x1b[2J,usd\n",
            (),
            "bad_invoice",
            "invoice.csv: no column for the provider's id of an answer",
        ),
        (None, (), "bad_invoice", "invoice.csv: cannot be read: No such file"),
        (
            ALL,
            ("--provider", "nobody"),
            "not_found",
            "there are no records of a provider 'nobody'; there are of acme, ",
        ),
        (ALL, ("--from", FIRST), "invalid", "--from and --to come together"),
        (ALL, ("--tolerance", "-1"), "bad_amount", "--tolerance: write an amount"),
    ],
)
def test_what_cannot_be_compared_is_said(
    text: str | bytes | None, options: tuple[str, ...], code: str, problem: str, run: Run, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "invoice.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    command = ("ledger", "reconcile", "invoice.csv", "--provider", "acme", *options)
    ran = run(*command, "--json")
    assert (ran.code, ran.out) == (1, "")
    error = json.loads(ran.err)["error"]
    assert error["code"] == code
    assert error["message"].startswith(problem)
    plain = run(*command)
    # 1 is for an invoice that differs.
    assert plain.code == (1 if code == "bad_amount" else 2)
    assert plain.err.startswith(f"trunkline: {problem}")
    assert "\x1b" not in plain.err
