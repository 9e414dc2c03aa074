"""Every table, as the newest revision has it. Times are UTC milliseconds; a key is in no table, only its keyed hash."""

from __future__ import annotations

HEAD = "0001"
"""The newest revision in `migrations/versions`; a database that names it needs no migration."""

TABLES = (
    """
    CREATE TABLE accounts (
        id VARCHAR(64) NOT NULL,
        name VARCHAR(256) NOT NULL,
        created_at_ms BIGINT NOT NULL,
        disabled BOOLEAN DEFAULT 0 NOT NULL,
        CONSTRAINT pk_accounts PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE keys (
        id VARCHAR(64) NOT NULL,
        account_id VARCHAR(64) NOT NULL,
        name VARCHAR(256) NOT NULL,
        hash BLOB NOT NULL,
        prefix VARCHAR(16) NOT NULL,
        created_at_ms BIGINT NOT NULL,
        disabled BOOLEAN DEFAULT 0 NOT NULL,
        expires_at_ms BIGINT,
        CONSTRAINT pk_keys PRIMARY KEY (id),
        CONSTRAINT fk_keys_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT uq_keys_hash UNIQUE (hash)
    )
    """,
    "CREATE INDEX ix_keys_account_id ON keys (account_id)",
    # Alembic's own table, written and read without Alembic.
    """
    CREATE TABLE alembic_version (
        version_num VARCHAR(32) NOT NULL,
        CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
    )
    """,
)
"""What makes a new SQLite database: the same, to the letter, as all revisions in a row."""
