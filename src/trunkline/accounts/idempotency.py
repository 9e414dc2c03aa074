"""What an `Idempotency-Key` means: one answer for one key of an account, however often it is asked for.

Theory of operation. Who comes with a key *claims* it, in the transaction that holds what the request may cost. A claim
has these states, and what whoever comes next finds in each is its *finding*:

    free        nobody has it, or its process is gone: it is claimed and asked   → Free
    under way   it is waited for, up to the deadline of whoever waits            → UnderWay
    kept        its answer is told again; nothing is asked, held or charged      → Kept
    over        it was answered, and the answer is not kept                      → Gone

    free → under way      with the hold, before anybody is asked
    under way → kept      with the settlement, before the client is told the end: of all that a client was told to an
                          end, be that completed, cut short or failed
    under way → over      the same, for an answer that is too large
    under way → free      an error before any output, which costs nothing; a client that left, which heard no end
    kept, over → free     a day after the request

A request that differs in anything from the one that has the key gets none of it, in every state: `Other`.

In the table a key, its account and the request are keyed hashes. An answer is sealed with a key made of the client's
own API key, so nobody reads it who has the database alone, and neither does another key of the account.
"""

from __future__ import annotations

import hmac
import zlib
from dataclasses import dataclass
from typing import Final, NamedTuple

from trunkline.credentials.sealing import derive_key, open_bytes, seal_bytes
from trunkline.errors import Conflict, GatewayError, Unprocessable
from trunkline.settings.secret import Secret
from trunkline.store.batch import Outcome, Pledge
from trunkline.store.rows import ClaimRow

HEADER: Final = "Idempotency-Key"
RETRY_AFTER_S: Final = 10.0

_STREAM, _WHOLE = b"s", b"w"


@dataclass(frozen=True, slots=True)
class Claim:
    """One request with an `Idempotency-Key`: what it is known by, and what its answer is sealed with and bound to."""

    pledge: Pledge
    account_id: str
    text: str
    api_key: Secret


class Free(NamedTuple):
    """Nobody has the key."""


class UnderWay(NamedTuple):
    """Somebody is being answered."""


class Other(NamedTuple):
    """Another request has the key; `is_under_way`: it is not over, as far as the store knows."""

    is_under_way: bool


class Gone(NamedTuple):
    """It was answered, and that is not kept."""

    generation_id: str


class Kept(NamedTuple):
    """It was answered, and here it is, sealed."""

    generation_id: str
    nonce: bytes
    sealed: bytes


Finding = Free | UnderWay | Other | Gone | Kept


class Told(NamedTuple):
    """An answer as it was told the first time, to the byte."""

    generation_id: str
    is_stream: bool
    body: bytes


def make_claim(
    pepper: bytes, account_id: str, text: str, api_key: Secret, asked: bytes | bytearray, more: str
) -> Claim:
    """Claim a key for a request: its body, and whatever else changes its answer."""
    mark = hmac.digest(pepper, f"claim|{account_id}|{text}".encode(), "sha256")
    body_hash = hmac.new(pepper, f"body|{more}|".encode(), "sha256")
    body_hash.update(asked)
    return Claim(Pledge(mark, body_hash.digest()), account_id, text, api_key)


def judge(row: ClaimRow | None, pledge: Pledge) -> Finding:
    """Say what a claim finds in the store."""
    if row is None:
        return Free()
    if not hmac.compare_digest(row.body_hash, pledge.body_hash):
        return Other(row.ended_at_ms is None)
    if row.ended_at_ms is None:
        return UnderWay()
    if row.nonce is None or row.sealed is None:
        return Gone(row.generation_id)
    return Kept(row.generation_id, row.nonce, row.sealed)


def free(claim: Claim, id: str) -> Outcome:
    """Give a claim back: whoever asks again is asked for anew."""
    return Outcome(claim.pledge.mark, id)


def keep(claim: Claim, id: str, packed: bytes | None, nonce: bytes, *, is_stream: bool) -> Outcome:
    """Keep an answer, packed by zlib, or, where it is None, that there was one."""
    if packed is None:
        return Outcome(claim.pledge.mark, id, is_free=False)
    text = (_STREAM if is_stream else _WHOLE) + packed
    sealed = seal_bytes(text, _key(claim, id), nonce, _bound(claim, id))
    return Outcome(claim.pledge.mark, id, is_free=False, nonce=nonce, sealed=sealed)


def open_kept(claim: Claim, kept: Kept) -> Told:
    """Open an answer. Raises Unopened where it was told to another API key."""
    id = kept.generation_id
    text = open_bytes(kept.sealed, _key(claim, id), kept.nonce, _bound(claim, id))
    return Told(id, text[:1] == _STREAM, zlib.decompress(text[1:]))


def other() -> GatewayError:
    """What is told of a key that another request has."""
    return Unprocessable(
        f"This {HEADER} came with another request before. Send the same body again, or a new key.",
        metadata={"header": HEADER},
    )


def too_long_under_way() -> GatewayError:
    """What is told whoever has waited for the first answer as long as a request may take."""
    return Conflict(
        f"A request with this {HEADER} is still under way, or its process was killed, which is noticed within two"
        " minutes. Send it again later.",
        metadata={"header": HEADER},
        retry_after=RETRY_AFTER_S,
    )


def not_kept(generation_id: str) -> GatewayError:
    """What is told of an answer that was too large, or of which only its record is left."""
    return _answered(generation_id, "its answer is too large to be kept, or the store failed just then")


def not_opened(generation_id: str) -> GatewayError:
    """What is told of an answer that was told to another API key, or to this one under its text of before."""
    return _answered(generation_id, "its answer can be read with the API key alone that it was told to")


def _answered(generation_id: str, why: str) -> GatewayError:
    return Conflict(
        f"A request with this {HEADER} was answered, as {generation_id}, and {why}. Send a new key to ask again.",
        metadata={"header": HEADER, "generation_id": generation_id},
    )


def _key(claim: Claim, id: str) -> bytes:
    return derive_key(claim.api_key, f"trunkline answer|{id}")


def _bound(claim: Claim, id: str) -> bytes:
    return f"{claim.account_id}|{claim.text}|{id}".encode()
