"""What Alembic runs around the revisions: on the connection it is handed, in the transaction that is open."""

from __future__ import annotations

from alembic import context

from trunkline.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
