"""Budgets, holds, the ledger, records of requests, roll-ups of them, and clients' own provider keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("terms", sa.Text(), nullable=True))
    for column in (
        sa.Column("pepper_id", sa.String(16), nullable=True),
        sa.Column("limit_nano", sa.BigInteger(), nullable=True),
        sa.Column("limit_reset", sa.String(16), nullable=True),
        sa.Column("byok_counts", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("max_cost_nano", sa.BigInteger(), nullable=True),
        sa.Column("terms", sa.Text(), nullable=True),
        sa.Column("last_used_ms", sa.BigInteger(), nullable=True),
    ):
        op.add_column("keys", column)
    _create_ledger()
    _create_records()
    op.create_table(
        "provider_keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("master_id", sa.String(64), nullable=False),
        sa.Column("nonce", sa.LargeBinary(12), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("hint", sa.String(16), nullable=False),
        sa.Column("only_this", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_provider_keys"),
        sa.UniqueConstraint("owner", "provider", name="uq_provider_keys_owner_provider"),
    )


def _create_ledger() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("credited_nano", sa.BigInteger(), nullable=False),
        sa.Column("charged_nano", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held_nano", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_budgets"),
        sa.CheckConstraint(
            "charged_nano >= 0 AND held_nano >= 0 AND charged_nano + held_nano <= credited_nano",
            name="ck_budgets_covered",
        ),
        # Every request changes a budget: with room left in its page the new version needs no new index entry.
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "boots",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("node", sa.String(256), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=False),
        # Of which revision its code is: what an older process still needs is not dropped.
        *([sa.Column("revision", sa.String(32), nullable=True)] if _is_postgres() else []),
        sa.PrimaryKeyConstraint("id", name="pk_boots"),
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("account_budget", sa.String(128), nullable=True),
        sa.Column("key_budget", sa.String(128), nullable=True),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
        sa.CheckConstraint("amount_nano >= 0", name="ck_holds_amount"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), *_identity(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("debit", sa.String(128), nullable=False),
        sa.Column("credit", sa.String(128), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("charge_of", sa.String(64), nullable=True),
        sa.Column("reference", sa.String(256), nullable=True),
        sa.Column("actor", sa.String(256), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_entries"),
        sa.UniqueConstraint("charge_of", name="uq_entries_charge_of"),
        sa.CheckConstraint("amount_nano > 0", name="ck_entries_amount"),
    )
    op.create_index("ix_entries_debit", "entries", ["debit", "seq"])
    # Nearly every entry is a charge, which has no reference and goes to the house: these stay small.
    _create_partial_index("ix_entries_credit", ["credit", "seq"], "credit <> 'house'")
    _create_partial_index("uq_entries_reference", ["reference"], "reference IS NOT NULL", unique=True)
    op.create_table(
        "prices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("endpoint_id", sa.String(256), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("first_used_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prices"),
        sa.UniqueConstraint("endpoint_id", "fingerprint", name="uq_prices_endpoint_id_fingerprint"),
    )


def _create_records() -> None:
    if _is_postgres():
        op.execute("CREATE SEQUENCE generations_seq")
    op.create_table(
        "generations",
        *(_numbers() if _is_postgres() else [sa.Column("seq", sa.Integer(), nullable=False)]),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("key_budget", sa.String(128), nullable=True),
        *(sa.Column(name, sa.String(256), nullable=False) for name in ("model", "asked_model")),
        sa.Column("endpoint_id", sa.String(256), nullable=True),
        sa.Column("provider", sa.String(64), nullable=True),
        sa.Column("upstream_id", sa.String(256), nullable=True),
        sa.Column("price_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("stop", sa.String(32), nullable=True),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in ("streamed", "is_byok", "is_estimated")),
        sa.Column("service_tier", sa.String(32), nullable=True),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in _COUNTS),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in _AMOUNTS),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in ("upstream_nano", "told_nano", "held_nano")),
        sa.Column("queued_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("first_token_ms", sa.BigInteger(), nullable=True),
        sa.Column("total_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Text(), nullable=True),
        sa.Column("dropped", sa.Text(), nullable=True),
        sa.Column("session_id", sa.String(256), nullable=True),
        sa.Column("user", sa.String(256), nullable=True),
        *(
            [sa.PrimaryKeyConstraint("id", "created_at_ms", name="pk_generations")]
            if _is_postgres()
            else [
                sa.PrimaryKeyConstraint("seq", name="pk_generations"),
                sa.UniqueConstraint("id", name="uq_generations_id"),
            ]
        ),
        postgresql_partition_by="RANGE (created_at_ms)",
    )
    if _is_postgres():
        # Weeks are made ahead by whoever is running; what is in none of them, by a clock that is wrong, is here.
        op.execute("CREATE TABLE generations_default PARTITION OF generations DEFAULT")
        op.create_index("ix_generations_xid", "generations", ["xid", "seq"])
    op.create_index("ix_generations_account_id", "generations", ["account_id", "created_at_ms", "id"])
    op.create_index("ix_generations_created_at_ms", "generations", ["created_at_ms"])
    op.create_table(
        "usage_daily",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("day", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("is_byok", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint("account_id", "day", "key_id", "model", "provider", "is_byok", name="pk_usage_daily"),
        # Kept in the order of its key: the sums of a month stand side by side, and adding to one writes one page.
        sqlite_with_rowid=False,
    )
    op.create_index("ix_usage_daily_key_id", "usage_daily", ["key_id", "day"])


_COUNTS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "audio_cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "image_output_tokens",
    "images",
    "searches",
)
_AMOUNTS = ("cost_nano", "cost_input_nano", "cost_output_nano", "cost_fees_nano", "charged_nano", "house_nano")
_SUMS = ("requests", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_nano", "upstream_nano")


def downgrade() -> None:
    for table in ("provider_keys", "usage_daily", "generations", "prices", "entries", "holds", "boots", "budgets"):
        op.drop_table(table)


def _is_postgres() -> bool:
    return bool(op.get_context().dialect.name == "postgresql")


def _identity() -> list[sa.Identity]:
    return [sa.Identity()] if _is_postgres() else []


def _numbers() -> list[sa.Column]:
    """The numbers that records are followed by: the transaction that wrote one, and its place in there.

    Of several writers one may take a number first and commit last, so that the numbers alone would have it passed over.
    What is in a transaction older than any that is still running has come.
    """
    return [
        sa.Column("seq", sa.BigInteger(), server_default=sa.text("nextval('generations_seq')"), nullable=False),
        sa.Column("xid", sa.BigInteger(), server_default=sa.text("pg_current_xact_id()::text::bigint"), nullable=False),
    ]


def _create_partial_index(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    """Index the entries for which `where` is true."""
    condition = sa.text(where)
    op.create_index(name, "entries", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
