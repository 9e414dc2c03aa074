"""Every table, as the newest revision has it. Times are UTC milliseconds, amounts nano-dollars.

A key of ours is in no table, only its keyed hash; a client's own provider key is there sealed, and so is an answer that
is kept to be told again.
"""

from __future__ import annotations

HEAD = "0007"
"""The newest revision in `migrations/versions`; a database that names it needs no migration."""

TABLES = (
    """
    CREATE TABLE accounts (
        id VARCHAR(64) NOT NULL,
        name VARCHAR(256) NOT NULL,
        created_at_ms BIGINT NOT NULL,
        disabled BOOLEAN DEFAULT 0 NOT NULL,
        terms TEXT,
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
        pepper_id VARCHAR(16),
        limit_nano BIGINT,
        limit_reset VARCHAR(16),
        byok_counts BOOLEAN DEFAULT 0 NOT NULL,
        max_cost_nano BIGINT,
        terms TEXT,
        last_used_ms BIGINT,
        CONSTRAINT pk_keys PRIMARY KEY (id),
        CONSTRAINT fk_keys_account_id FOREIGN KEY(account_id) REFERENCES accounts (id),
        CONSTRAINT uq_keys_hash UNIQUE (hash)
    )
    """,
    "CREATE INDEX ix_keys_account_id ON keys (account_id)",
    """
    CREATE TABLE budgets (
        id VARCHAR(128) NOT NULL,
        credited_nano BIGINT NOT NULL,
        charged_nano BIGINT DEFAULT '0' NOT NULL,
        held_nano BIGINT DEFAULT '0' NOT NULL,
        CONSTRAINT pk_budgets PRIMARY KEY (id),
        CONSTRAINT ck_budgets_covered
            CHECK (charged_nano >= 0 AND held_nano >= 0 AND charged_nano + held_nano <= credited_nano)
    )
    """,
    """
    CREATE TABLE boots (
        id VARCHAR(64) NOT NULL,
        node VARCHAR(256) NOT NULL,
        started_at_ms BIGINT NOT NULL,
        seen_at_ms BIGINT NOT NULL,
        CONSTRAINT pk_boots PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE holds (
        id VARCHAR(64) NOT NULL,
        account_id VARCHAR(64) NOT NULL,
        key_id VARCHAR(64) NOT NULL,
        account_budget VARCHAR(128),
        key_budget VARCHAR(128),
        amount_nano BIGINT NOT NULL,
        boot_id VARCHAR(64) NOT NULL,
        created_at_ms BIGINT NOT NULL,
        CONSTRAINT pk_holds PRIMARY KEY (id),
        CONSTRAINT ck_holds_amount CHECK (amount_nano >= 0)
    )
     WITHOUT ROWID
    """,
    """
    CREATE TABLE entries (
        seq INTEGER NOT NULL,
        at_ms BIGINT NOT NULL,
        kind VARCHAR(16) NOT NULL,
        debit VARCHAR(128) NOT NULL,
        credit VARCHAR(128) NOT NULL,
        amount_nano BIGINT NOT NULL,
        charge_of VARCHAR(64),
        reference VARCHAR(256),
        actor VARCHAR(256),
        note TEXT,
        CONSTRAINT pk_entries PRIMARY KEY (seq),
        CONSTRAINT uq_entries_charge_of UNIQUE (charge_of),
        CONSTRAINT ck_entries_amount CHECK (amount_nano > 0)
    )
    """,
    "CREATE INDEX ix_entries_debit ON entries (debit, seq)",
    "CREATE INDEX ix_entries_credit ON entries (credit, seq) WHERE credit <> 'house'",
    "CREATE UNIQUE INDEX uq_entries_reference ON entries (reference) WHERE reference IS NOT NULL",
    """
    CREATE TABLE prices (
        id INTEGER NOT NULL,
        endpoint_id VARCHAR(256) NOT NULL,
        fingerprint BLOB NOT NULL,
        price TEXT NOT NULL,
        first_used_ms BIGINT NOT NULL,
        CONSTRAINT pk_prices PRIMARY KEY (id),
        CONSTRAINT uq_prices_endpoint_id_fingerprint UNIQUE (endpoint_id, fingerprint)
    )
    """,
    """
    CREATE TABLE generations (
        seq INTEGER NOT NULL,
        id VARCHAR(64) NOT NULL,
        created_at_ms BIGINT NOT NULL,
        account_id VARCHAR(64) NOT NULL,
        key_id VARCHAR(64) NOT NULL,
        key_budget VARCHAR(128),
        model VARCHAR(256) NOT NULL,
        asked_model VARCHAR(256) NOT NULL,
        endpoint_id VARCHAR(256),
        provider VARCHAR(64),
        upstream_id VARCHAR(256),
        price_id BIGINT,
        status VARCHAR(16) NOT NULL,
        stop VARCHAR(32),
        streamed BOOLEAN NOT NULL,
        is_byok BOOLEAN NOT NULL,
        is_estimated BOOLEAN NOT NULL,
        service_tier VARCHAR(32),
        input_tokens BIGINT DEFAULT '0' NOT NULL,
        cache_read_tokens BIGINT DEFAULT '0' NOT NULL,
        cache_write_tokens BIGINT DEFAULT '0' NOT NULL,
        cache_write_1h_tokens BIGINT DEFAULT '0' NOT NULL,
        audio_input_tokens BIGINT DEFAULT '0' NOT NULL,
        audio_cached_tokens BIGINT DEFAULT '0' NOT NULL,
        output_tokens BIGINT DEFAULT '0' NOT NULL,
        reasoning_tokens BIGINT DEFAULT '0' NOT NULL,
        image_output_tokens BIGINT DEFAULT '0' NOT NULL,
        images BIGINT DEFAULT '0' NOT NULL,
        searches BIGINT DEFAULT '0' NOT NULL,
        cost_nano BIGINT DEFAULT '0' NOT NULL,
        cost_input_nano BIGINT DEFAULT '0' NOT NULL,
        cost_output_nano BIGINT DEFAULT '0' NOT NULL,
        cost_fees_nano BIGINT DEFAULT '0' NOT NULL,
        charged_nano BIGINT DEFAULT '0' NOT NULL,
        house_nano BIGINT DEFAULT '0' NOT NULL,
        upstream_nano BIGINT,
        told_nano BIGINT,
        held_nano BIGINT,
        queued_ms BIGINT DEFAULT '0' NOT NULL,
        first_token_ms BIGINT,
        total_ms BIGINT NOT NULL,
        attempts TEXT,
        dropped TEXT,
        session_id VARCHAR(256),
        user VARCHAR(256),
        plugins TEXT,
        CONSTRAINT pk_generations PRIMARY KEY (seq),
        CONSTRAINT uq_generations_id UNIQUE (id)
    )
    """,
    "CREATE INDEX ix_generations_account_id ON generations (account_id, created_at_ms, id)",
    "CREATE INDEX ix_generations_created_at_ms ON generations (created_at_ms)",
    """
    CREATE TABLE usage_daily (
        account_id VARCHAR(64) NOT NULL,
        day BIGINT NOT NULL,
        key_id VARCHAR(64) NOT NULL,
        model VARCHAR(256) NOT NULL,
        provider VARCHAR(64) NOT NULL,
        is_byok BOOLEAN NOT NULL,
        requests BIGINT DEFAULT '0' NOT NULL,
        input_tokens BIGINT DEFAULT '0' NOT NULL,
        cached_tokens BIGINT DEFAULT '0' NOT NULL,
        output_tokens BIGINT DEFAULT '0' NOT NULL,
        reasoning_tokens BIGINT DEFAULT '0' NOT NULL,
        cost_nano BIGINT DEFAULT '0' NOT NULL,
        upstream_nano BIGINT DEFAULT '0' NOT NULL,
        CONSTRAINT pk_usage_daily PRIMARY KEY (account_id, day, key_id, model, provider, is_byok)
    )
     WITHOUT ROWID
    """,
    "CREATE INDEX ix_usage_daily_key_id ON usage_daily (key_id, day)",
    """
    CREATE TABLE provider_keys (
        id VARCHAR(64) NOT NULL,
        owner VARCHAR(64) NOT NULL,
        provider VARCHAR(64) NOT NULL,
        master_id VARCHAR(64) NOT NULL,
        nonce BLOB NOT NULL,
        sealed BLOB NOT NULL,
        hint VARCHAR(16) NOT NULL,
        only_this BOOLEAN DEFAULT 0 NOT NULL,
        created_at_ms BIGINT NOT NULL,
        CONSTRAINT pk_provider_keys PRIMARY KEY (id),
        CONSTRAINT uq_provider_keys_owner_provider UNIQUE (owner, provider)
    )
    """,
    """
    CREATE TABLE horizons (
        id VARCHAR(32) NOT NULL,
        at_ms BIGINT NOT NULL,
        CONSTRAINT pk_horizons PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE claims (
        mark BLOB NOT NULL,
        body_hash BLOB NOT NULL,
        generation_id VARCHAR(64) NOT NULL,
        boot_id VARCHAR(64) NOT NULL,
        created_at_ms BIGINT NOT NULL,
        ended_at_ms BIGINT,
        nonce BLOB,
        sealed BLOB,
        CONSTRAINT pk_claims PRIMARY KEY (mark)
    )
    """,
    "CREATE INDEX ix_claims_created_at_ms ON claims (created_at_ms)",
    "CREATE INDEX ix_claims_boot_id ON claims (boot_id) WHERE ended_at_ms IS NULL",
    """
    CREATE TABLE model_lists (
        place VARCHAR(16) NOT NULL,
        digest VARCHAR(64) NOT NULL,
        packed BLOB NOT NULL,
        url VARCHAR(2048) NOT NULL,
        etag VARCHAR(256) NOT NULL,
        kept_at_ms BIGINT NOT NULL,
        CONSTRAINT pk_model_lists PRIMARY KEY (place)
    )
    """,
    """
    CREATE TABLE templates (
        id VARCHAR(64) NOT NULL,
        version BIGINT NOT NULL,
        body TEXT,
        created_at_ms BIGINT NOT NULL,
        CONSTRAINT pk_templates PRIMARY KEY (id, version)
    )
    """,
    # Alembic's own table, written and read without Alembic.
    """
    CREATE TABLE alembic_version (
        version_num VARCHAR(32) NOT NULL,
        CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
    )
    """,
)
"""What makes a new SQLite database: the same, to the letter, as all revisions in a row."""
