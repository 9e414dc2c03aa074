"""Statements that compare what is summed up with what it was summed from.

Each gives rows of what is wrong: whose it is, what should be there, and what is. An index serves none of them, so they
are for a command and never for a request.
"""

from __future__ import annotations

from typing import NamedTuple

from trunkline.days import DAY_MS, date_of, day_at
from trunkline.store.connection import Connection
from trunkline.store.rows import UsageRow


class Mismatch(NamedTuple):
    """Two figures that should be the same."""

    subject: str
    expected: int
    found: int


def keep_records(connection: Connection) -> None:
    """Keep weeks of records from being dropped until the end of a transaction, of which this is the first statement.

    PostgreSQL takes a week away from those too that read the state of before, in which it is said to be there.
    """
    if connection.dialect == "postgres":
        connection.execute("LOCK TABLE ONLY generations IN ACCESS SHARE MODE")


def count_rows(connection: Connection, table: str) -> int:
    """Count the rows of a table."""
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def compare_charges(connection: Connection, horizon_ms: int) -> list[Mismatch]:
    """Compare what is charged to accounts with their entries, and what is charged to keys with their records.

    What an own key paid is counted where the record names the key's budget, and no further than it was held; of an
    answer that house keys paid a part of, it is not.
    A key's budget that may be older than the oldest record can only be told to hold less than its records.
    """
    accounts = """
        SELECT budgets.id, coalesce(sums.charged, 0), budgets.charged_nano
        FROM budgets JOIN accounts ON accounts.id = budgets.id
        LEFT JOIN (
            SELECT owner, sum(amount_nano) AS charged FROM (
                SELECT debit AS owner, amount_nano FROM entries WHERE kind IN ('charge', 'carry')
                UNION ALL SELECT credit, -amount_nano FROM entries WHERE kind = 'refund'
            ) AS postings GROUP BY owner
        ) AS sums ON sums.owner = budgets.id
        WHERE coalesce(sums.charged, 0) <> budgets.charged_nano
    """
    keys = """
        SELECT budgets.id, coalesce(sums.charged, 0), budgets.charged_nano
        FROM budgets LEFT JOIN accounts ON accounts.id = budgets.id
        LEFT JOIN (
            SELECT key_budget, sum(CASE WHEN counted < held_nano THEN counted ELSE held_nano END) AS charged FROM (
                SELECT key_budget, held_nano,
                       charged_nano + CASE WHEN is_byok THEN coalesce(upstream_nano, 0) ELSE 0 END AS counted
                FROM generations WHERE key_budget IS NOT NULL AND held_nano IS NOT NULL
            ) AS counts GROUP BY key_budget
        ) AS sums ON sums.key_budget = budgets.id
        WHERE accounts.id IS NULL AND (
            coalesce(sums.charged, 0) > budgets.charged_nano
            OR (
                coalesce(sums.charged, 0) <> budgets.charged_nano
                AND (:after = '' OR (substr(budgets.id, length(budgets.id) - 10) > :after
                                     AND substr(budgets.id, length(budgets.id) - 10, 1) = '@'))
            )
        )
    """
    after = f"@{date_of(day_at(horizon_ms))}" if horizon_ms else ""
    return [*_mismatches(connection, accounts), *_mismatches(connection, keys, after=after)]


def compare_credits(connection: Connection) -> list[Mismatch]:
    """Compare the credit of accounts with what was added and taken back."""
    return _mismatches(
        connection,
        """
        SELECT budgets.id, coalesce(sums.credited, 0), budgets.credited_nano
        FROM budgets JOIN accounts ON accounts.id = budgets.id
        LEFT JOIN (
            SELECT owner, sum(amount_nano) AS credited FROM (
                SELECT credit AS owner, amount_nano FROM entries WHERE kind IN ('topup', 'adjust')
                UNION ALL SELECT debit, -amount_nano FROM entries WHERE kind = 'adjust'
            ) AS postings GROUP BY owner
        ) AS sums ON sums.owner = budgets.id
        WHERE coalesce(sums.credited, 0) <> budgets.credited_nano
        """,
    )


def compare_holds(connection: Connection) -> list[Mismatch]:
    """Compare what is held in budgets with the holds."""
    return _mismatches(
        connection,
        """
        SELECT ids.id, coalesce(sums.held, 0), coalesce(budgets.held_nano, 0)
        FROM (SELECT id FROM budgets UNION SELECT account_budget FROM holds WHERE amount_nano > 0
              UNION SELECT key_budget FROM holds WHERE amount_nano > 0) AS ids
        LEFT JOIN budgets ON budgets.id = ids.id
        LEFT JOIN (
            SELECT id, sum(amount_nano) AS held FROM (
                SELECT account_budget AS id, amount_nano FROM holds
                UNION ALL SELECT key_budget, amount_nano FROM holds
            ) AS parts GROUP BY id
        ) AS sums ON sums.id = ids.id
        WHERE ids.id IS NOT NULL AND coalesce(sums.held, 0) <> coalesce(budgets.held_nano, 0)
        """,
    )


def compare_entries(connection: Connection, horizon_ms: int) -> list[Mismatch]:
    """Compare charges with the records that they are of, as far back as there are records."""
    of_entries = """
        SELECT entries.charge_of, coalesce(generations.charged_nano, 0), entries.amount_nano
        FROM entries LEFT JOIN generations ON generations.id = entries.charge_of
        WHERE entries.kind = 'charge'
            AND entries.amount_nano <> coalesce(generations.charged_nano, 0)
            AND (generations.id IS NOT NULL OR entries.at_ms >= :horizon_ms)
    """
    of_records = """
        SELECT generations.id, generations.charged_nano, 0
        FROM generations LEFT JOIN entries ON entries.charge_of = generations.id
        WHERE generations.charged_nano <> 0 AND entries.seq IS NULL
    """
    return [*_mismatches(connection, of_entries, horizon_ms=horizon_ms), *_mismatches(connection, of_records)]


def compare_parts(connection: Connection) -> list[Mismatch]:
    """Compare the cost of records with its parts.

    Those are of what a client's own key paid, where it did. Of an answer with searches they are of both that and its
    cost, in which the fee for own keys may be told twice. A cap may cut the cost of what nothing was held for.
    """
    return _mismatches(
        connection,
        """
        SELECT id, parts, worth FROM (
            SELECT id, cost_input_nano + cost_output_nano + cost_fees_nano AS parts,
                   CASE WHEN is_byok AND (plugins IS NULL OR cost_nano < coalesce(upstream_nano, 0))
                        THEN coalesce(upstream_nano, 0) ELSE cost_nano END AS worth,
                   CASE WHEN is_byok AND plugins IS NULL THEN coalesce(upstream_nano, 0)
                        ELSE cost_nano + coalesce(upstream_nano, 0)
                             + CASE WHEN held_nano IS NULL THEN house_nano ELSE 0 END END AS most
            FROM generations
        ) AS costs
        WHERE parts < worth OR parts > most
        """,
    )


def compare_bearers(connection: Connection) -> list[Mismatch]:
    """Compare the cost of records with what the client and the house bear of it, where credit was held."""
    return _mismatches(
        connection,
        """
        SELECT id, cost_nano, charged_nano + house_nano FROM generations
        WHERE held_nano IS NOT NULL AND (charged_nano + house_nano < cost_nano OR charged_nano > held_nano)
        """,
    )


def compare_usage(connection: Connection, horizon_ms: int) -> list[Mismatch]:
    """Compare roll-ups with the records of the days of which all are kept; the figure is the first that differs."""
    figures = UsageRow._fields[6:]
    summed_up = f"""
        SELECT account_id, created_at_ms / {DAY_MS} AS day, key_id, model, coalesce(provider, '') AS of, is_byok,
            count(*), sum(input_tokens), sum(cache_read_tokens), sum(output_tokens), sum(reasoning_tokens),
            sum(CASE WHEN held_nano IS NULL THEN cost_nano ELSE charged_nano END), sum(coalesce(upstream_nano, 0))
        FROM generations WHERE created_at_ms >= ? GROUP BY account_id, day, key_id, model, of, is_byok
    """
    rolled_up = f"SELECT {', '.join(UsageRow._fields)} FROM usage_daily WHERE day * {DAY_MS} >= ?"
    made, kept = (
        {" ".join(map(str, (*row[:5], int(row[5])))): row[6:] for row in connection.execute(statement, (horizon_ms,))}
        for statement in (summed_up, rolled_up)
    )
    nothing = (0,) * len(figures)
    found = []
    for subject in sorted(made.keys() | kept.keys()):
        compared = zip(figures, made.get(subject, nothing), kept.get(subject, nothing), strict=True)
        different = [Mismatch(f"{subject} {name}", *pair) for name, *pair in compared if pair[0] != pair[1]]
        found += different[:1]
    return found


def list_dead_holds(connection: Connection, dead_ms: int) -> list[Mismatch]:
    """List holds that should have expired: made before that time by a boot that was not seen since."""
    return _mismatches(
        connection,
        """
        SELECT holds.id, 0, holds.amount_nano FROM holds LEFT JOIN boots ON boots.id = holds.boot_id
        WHERE holds.created_at_ms < :dead_ms AND coalesce(boots.seen_at_ms, 0) < :dead_ms
        """,
        dead_ms=dead_ms,
    )


def compare_owners(connection: Connection) -> list[Mismatch]:
    """Compare what entries gave and took of each owner with its budget; `world` and `house` have none."""
    return _mismatches(
        connection,
        """
        SELECT sums.owner, sums.balance, coalesce(budgets.credited_nano - budgets.charged_nano, 0)
        FROM (
            SELECT owner, sum(amount_nano) AS balance FROM (
                SELECT credit AS owner, amount_nano FROM entries UNION ALL SELECT debit, -amount_nano FROM entries
            ) AS postings GROUP BY owner
        ) AS sums
        LEFT JOIN budgets ON budgets.id = sums.owner
        LEFT JOIN accounts ON accounts.id = sums.owner
        WHERE sums.owner NOT IN ('world', 'house')
            AND CASE WHEN accounts.id IS NULL THEN budgets.id IS NULL
                ELSE sums.balance <> coalesce(budgets.credited_nano - budgets.charged_nano, 0) END
        """,
    )


def list_missing_prices(connection: Connection) -> list[Mismatch]:
    """List records that name a price that is not there."""
    return _mismatches(
        connection,
        """
        SELECT generations.id, generations.price_id, 0
        FROM generations LEFT JOIN prices ON prices.id = generations.price_id
        WHERE generations.price_id IS NOT NULL AND prices.id IS NULL
        """,
    )


def _mismatches(connection: Connection, statement: str, **arguments: int | str) -> list[Mismatch]:
    return [Mismatch(*row) for row in connection.execute(statement, arguments)]
