"""What is sealed opens in its place alone, with the key that sealed it, as it was sealed."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trunkline.credentials.sealing import NONCE_BYTES, MasterKey, Place, Sealed, Unopened, open_sealed, seal
from trunkline.settings.secret import Secret

MATERIAL = bytes(range(32))
MASTER = MasterKey("m1", Secret(MATERIAL.hex()))
OTHER = MasterKey("m2", Secret(MATERIAL[::-1].hex()))
PLACE = Place("acc_1", "openai", "pk_1")
SECRET = "sk-canary-Kd8Wm2Qz5Lp9Xr3Tn7Vb1Yc6"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
nonces = st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES)


def sealed(nonce: bytes = b"n" * NONCE_BYTES, secret: str = SECRET) -> Sealed:
    return seal(Secret(secret), MASTER, nonce, PLACE)


@given(texts, nonces, st.binary(min_size=32, max_size=32))
def test_what_is_sealed_opens(text: str, nonce: bytes, material: bytes) -> None:
    master = MasterKey("m", Secret(base64.b64encode(material).decode()))
    found = seal(Secret(text), master, nonce, PLACE)
    assert (found.master_id, found.nonce) == ("m", nonce)
    assert open_sealed(found, master, PLACE).reveal() == text


def test_it_is_aes_256_gcm_with_its_place_as_associated_data() -> None:
    """Whatever opens it elsewhere, as a restored copy, needs no more than the format that is documented."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    found = sealed()
    assert AESGCM(MATERIAL).decrypt(found.nonce, found.text, b"acc_1|openai|pk_1") == SECRET.encode()
    assert len(found.text) == len(SECRET) + 16


def test_any_bit_changed_is_refused() -> None:
    found = sealed()
    for part, field in ((found.text, "text"), (found.nonce, "nonce")):
        for place in range(len(part)):
            for bit in range(8):
                changed = bytearray(part)
                changed[place] ^= 1 << bit
                with pytest.raises(Unopened):
                    open_sealed(replace(found, **{field: bytes(changed)}), MASTER, PLACE)


@given(st.integers(0, len(SECRET) + 15))
def test_a_shortened_one_is_refused(length: int) -> None:
    found = sealed()
    with pytest.raises(Unopened):
        open_sealed(replace(found, text=found.text[:length]), MASTER, PLACE)


@pytest.mark.parametrize(
    "place",
    [
        Place("acc_2", "openai", "pk_1"),
        Place("acc_1", "anthropic", "pk_1"),
        Place("acc_1", "openai", "pk_2"),
        Place("openai", "acc_1", "pk_1"),
        Place("acc_1", "pk_1", "openai"),
        Place("", "acc_1|openai", "pk_1"),
    ],
)
def test_TN_04_in_another_place_it_is_refused(place: Place) -> None:
    with pytest.raises(Unopened) as refused:
        open_sealed(sealed(), MASTER, place)
    assert SECRET not in str(refused.value)


def test_another_master_key_does_not_open_it() -> None:
    with pytest.raises(Unopened, match="'m2'"):
        open_sealed(sealed(), OTHER, PLACE)


def test_nothing_of_it_is_seen_in_what_is_kept_or_printed() -> None:
    found = sealed()
    assert SECRET.encode() not in found.text
    for thing in (found, MASTER, PLACE):
        assert SECRET not in repr(thing)
        assert MATERIAL.hex() not in repr(thing)


@pytest.mark.parametrize(
    "text",
    [
        MATERIAL.hex(),
        MATERIAL.hex().upper(),
        base64.b64encode(b"\xfb\xff" * 16).decode(),
        base64.urlsafe_b64encode(b"\xfb\xff" * 16).decode(),
        base64.b64encode(MATERIAL).decode().rstrip("="),
    ],
)
def test_a_master_key_is_32_bytes_however_they_are_written(text: str) -> None:
    assert len(MasterKey("m", Secret(text)).material) == 32


@pytest.mark.parametrize("text", ["", "x", "0" * 63, "0" * 62, "a passphrase of 32 letters ......", "A" * 42, "é" * 43])
def test_anything_else_is_no_master_key(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32"):
        MasterKey("m", Secret(text)).material  # noqa: B018
