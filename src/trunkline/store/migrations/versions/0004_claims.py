"""Requests with an `Idempotency-Key`: which are under way, and the answers of those that are over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "claims",
        sa.Column("mark", sa.LargeBinary(32), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("generation_id", sa.String(64), nullable=False),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("nonce", sa.LargeBinary(12), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("mark", name="pk_claims"),
    )
    op.create_index("ix_claims_created_at_ms", "claims", ["created_at_ms"])
    # Few are under way, and only of those it is asked whose they are.
    is_under_way = sa.text("ended_at_ms IS NULL")
    op.create_index(
        "ix_claims_boot_id", "claims", ["boot_id"], sqlite_where=is_under_way, postgresql_where=is_under_way
    )


def downgrade() -> None:
    op.drop_table("claims")
