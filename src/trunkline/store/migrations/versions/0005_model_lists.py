"""The fetched list of models, which all nodes have, and the one before it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "model_lists",
        sa.Column("place", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("etag", sa.String(256), nullable=False),
        sa.Column("kept_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_model_lists"),
    )


def downgrade() -> None:
    op.drop_table("model_lists")
