"""What Alembic runs around the revisions: on the connection it is handed, in the transaction that is open.

Where it is handed none it writes SQL for PostgreSQL, which others run.
"""

from __future__ import annotations

from alembic import context

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", transactional_ddl=False)
else:
    context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
