"""The rule of an `Idempotency-Key` as a table: what is found, what becomes of it, who can read what is kept."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import pytest

from trunkline.accounts.idempotency import (
    Claim,
    Finding,
    Free,
    Gone,
    Kept,
    Other,
    UnderWay,
    free,
    judge,
    keep,
    make_claim,
    open_kept,
)
from trunkline.credentials.sealing import Unopened, derive_key
from trunkline.settings.secret import Secret
from trunkline.store.batch import Pledge
from trunkline.store.rows import ClaimRow

PEPPER = b"p" * 32
PLEDGE = Pledge(b"m" * 32, b"b" * 32)
ROW = ClaimRow(*PLEDGE, "resp_1", "boot_1", 1)
NONCE = b"n" * 12


def claim(account: str = "acc", text: str = "key", api_key: str = "tl-1", body: bytes = b"{}", more: str = "") -> Claim:
    return make_claim(PEPPER, account, text, Secret(api_key), body, more)


def answered(row: ClaimRow) -> ClaimRow:
    return row._replace(ended_at_ms=2, nonce=NONCE, sealed=b"s")


class Case(NamedTuple):
    id: str
    row: ClaimRow | None
    finding: Finding


OTHER = ROW._replace(body_hash=b"x" * 32)

CASES = [
    Case("nothing", None, Free()),
    Case("the same under way", ROW, UnderWay()),
    Case("the same, answered", answered(ROW), Kept("resp_1", NONCE, b"s")),
    Case("the same, answered and not kept", ROW._replace(ended_at_ms=2), Gone("resp_1")),
    Case("another under way", OTHER, Other(is_under_way=True)),
    Case("another, answered", answered(OTHER), Other(is_under_way=False)),
    Case("another, answered and not kept", OTHER._replace(ended_at_ms=2), Other(is_under_way=False)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_MO_29_what_a_claim_finds(case: Case) -> None:
    assert judge(case.row, PLEDGE) == case.finding


@pytest.mark.parametrize(
    ("other", "has_mark", "has_body"),
    [
        (claim(), True, True),
        (claim(api_key="tl-2"), True, True),
        (claim(account="bcc"), False, True),
        (claim(text="kez"), False, True),
        (claim(account="ac", text="c|key"), False, True),
        (claim(body=b"{ }"), True, False),
        (claim(more="0.5|None"), True, False),
    ],
    ids=["itself", "another API key", "another account", "another key", "cut elsewhere", "another body", "another cap"],
)
def test_what_makes_a_claim_another(other: Claim, has_mark: bool, has_body: bool) -> None:
    assert (other.pledge.mark == claim().pledge.mark) == has_mark
    assert (other.pledge.body_hash == claim().pledge.body_hash) == has_body


@pytest.mark.parametrize("is_stream", [False, True])
def test_what_was_kept_is_what_is_told(is_stream: bool) -> None:
    outcome = keep(claim(), "resp_1", zlib.compress(b"said"), NONCE, is_stream=is_stream)
    assert not outcome.is_free
    assert outcome.sealed is not None
    told = open_kept(claim(), Kept("resp_1", NONCE, outcome.sealed))
    assert told == ("resp_1", is_stream, b"said")


@pytest.mark.parametrize(
    ("who", "id", "nonce"),
    [
        (claim(api_key="tl-2"), "resp_1", NONCE),
        (claim(account="bcc"), "resp_1", NONCE),
        (claim(text="kez"), "resp_1", NONCE),
        (claim(), "resp_2", NONCE),
        (claim(), "resp_1", b"o" * 12),
    ],
    ids=["another API key", "another account", "another key", "another response", "another nonce"],
)
def test_nobody_else_opens_it(who: Claim, id: str, nonce: bytes) -> None:
    sealed = keep(claim(), "resp_1", zlib.compress(b"said"), NONCE, is_stream=False).sealed
    assert sealed is not None
    with pytest.raises(Unopened):
        open_kept(who, Kept(id, nonce, sealed))


def test_what_is_too_large_and_what_failed() -> None:
    assert keep(claim(), "resp_1", None, NONCE, is_stream=True)[2:] == (False, None, None)
    assert free(claim(), "resp_1")[2:] == (True, None, None)


def test_a_key_is_derived_as_RFC_5869_says() -> None:
    """The same as `HKDF(SHA256(), 32, None, info)` of `cryptography` makes."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    assert derive_key(Secret("tl-1"), "for this") == HKDF(SHA256(), 32, None, b"for this").derive(b"tl-1")
