"""Rows as the tables hold them, in the order of their columns. Times are UTC milliseconds, amounts nano-dollars."""

from __future__ import annotations

from typing import NamedTuple, get_type_hints


class AccountRow(NamedTuple):
    """An account with its budget, of which there is none where it never had credit, and what its requests came to.

    `terms` is JSON. `cost_nano` sums what clients were told, of all days that are kept.
    """

    id: str
    name: str
    created_at_ms: int
    disabled: bool
    terms: str | None
    credited_nano: int | None
    charged_nano: int | None
    held_nano: int | None
    cost_nano: int


class HoldRow(NamedTuple):
    """Credit that a request keeps others from spending until it is settled; `id` is that of its response.

    `account_budget` and `key_budget` name what it is held in: of an account with credits, of a key with a limit.
    """

    id: str
    account_id: str
    key_id: str
    account_budget: str | None
    key_budget: str | None
    amount_nano: int
    boot_id: str
    created_at_ms: int


class GenerationRow(NamedTuple):
    """One request that is over. `held_nano` is None where nothing was held; `charged_nano` is never above it.

    `status`: completed, incomplete, failed, cancelled or lost. `charged_nano + house_nano` is what all of it was worth,
    `told_nano` what the provider says it was, `upstream_nano` what a client's own provider key paid. `attempts` and
    `plugins` (what ran around the model) are JSON, `dropped` names parameters, with commas between them.
    """

    id: str
    created_at_ms: int
    account_id: str
    key_id: str
    key_budget: str | None
    model: str
    asked_model: str
    endpoint_id: str | None
    provider: str | None
    upstream_id: str | None
    price_id: int | None
    status: str
    stop: str | None
    streamed: bool
    is_byok: bool
    is_estimated: bool
    service_tier: str | None
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    audio_input_tokens: int
    audio_cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    image_output_tokens: int
    images: int
    searches: int
    cost_nano: int
    cost_input_nano: int
    cost_output_nano: int
    cost_fees_nano: int
    charged_nano: int
    house_nano: int
    upstream_nano: int | None
    told_nano: int | None
    held_nano: int | None
    queued_ms: int
    first_token_ms: int | None
    total_ms: int
    attempts: str | None
    dropped: str | None
    session_id: str | None
    user: str | None
    plugins: str | None = None

    @property
    def total_nano(self) -> int:
        """What its client is told it cost: what was charged, or where nothing was held, what it would have been."""
        return self.cost_nano if self.held_nano is None else self.charged_nano


_EMPTY: dict[object, object] = {int: 0, bool: False, str: ""}
BLANK = GenerationRow(*(_EMPTY.get(kind) for kind in get_type_hints(GenerationRow).values()))  # type: ignore[arg-type]
"""A record of nothing."""


class BudgetRow(NamedTuple):
    """What an account has, or a key may spend in one period; `charged_nano + held_nano` is never above the credit."""

    id: str
    credited_nano: int
    charged_nano: int
    held_nano: int


class BootRow(NamedTuple):
    """One run of a process, and when it was last seen; `node` is the same for every run in the same place."""

    id: str
    node: str
    started_at_ms: int
    seen_at_ms: int


class UsageRow(NamedTuple):
    """All requests of a day that have the first six columns in common; `day` counts from 1970-01-01, UTC.

    `cost_nano` sums what clients are told, `provider` is empty for a request that nobody answered.
    """

    account_id: str
    day: int
    key_id: str
    model: str
    provider: str
    is_byok: bool
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_nano: int
    upstream_nano: int


class EntryRow(NamedTuple):
    """One posting of the ledger, both of its sides: a budget's owner, `world` or `house`.

    `seq` is given by the database, and 0 before that. `kind`: topup, charge, refund, adjust or carry, which is all
    charges of a month whose records are gone. `charge_of` is the response that is charged, `reference` the outside name
    of a top-up; each is there once at most.
    """

    seq: int
    at_ms: int
    kind: str
    debit: str
    credit: str
    amount_nano: int
    charge_of: str | None
    reference: str | None
    actor: str | None
    note: str | None


class PriceRow(NamedTuple):
    """What an endpoint charges, as `catalog/price_texts.py` writes it; `id` is made of its fingerprint."""

    id: int
    endpoint_id: str
    fingerprint: bytes
    price: str
    first_used_ms: int


class ClaimRow(NamedTuple):
    """A request with an `Idempotency-Key`: `mark` stands for the key and its account, both hashes are keyed.

    `ended_at_ms` is None while it is under way in the process `boot_id`. Then its answer is in `sealed`; None where
    there is one that is not kept.
    """

    mark: bytes
    body_hash: bytes
    generation_id: str
    boot_id: str
    created_at_ms: int
    ended_at_ms: int | None = None
    nonce: bytes | None = None
    sealed: bytes | None = None


class TemplateRow(NamedTuple):
    """One version of a template; `body` is the JSON that it was added as."""

    id: str
    version: int
    body: str
    created_at_ms: int


class TemplateStamp(NamedTuple):
    """One version of a template, without what it says."""

    id: str
    version: int
    created_at_ms: int


class ListRow(NamedTuple):
    """A list of models as it was fetched: packed, with the SHA-256 of its bytes in hex.

    `url` is where it was fetched, without what is secret in it, and `etag` what the server there calls this state.
    """

    digest: str
    packed: bytes
    url: str
    etag: str
    kept_at_ms: int

    @property
    def stamp(self) -> ListStamp:
        return ListStamp(self.digest, self.kept_at_ms)


class ListStamp(NamedTuple):
    """Which list is kept, and since when: the same list may be kept again because its bytes were damaged."""

    digest: str
    kept_at_ms: int


NO_LIST = ListStamp("", 0)


class ProviderKeyRow(NamedTuple):
    """A provider key that an account or an API key brings, by its id `owner`; sealed, and read nowhere but in memory.

    `hint` are its last characters, `only_this`: the gateway's own key is not asked with in its place.
    """

    id: str
    owner: str
    provider: str
    master_id: str
    nonce: bytes
    sealed: bytes
    hint: str
    only_this: bool
    created_at_ms: int
