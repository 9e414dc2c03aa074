"""Provider keys of accounts, and answers that are kept, encrypted: AES-256-GCM under a key that is kept elsewhere.

What is bound to a sealed key is whose it is, for which provider, and its id: in another row it cannot be opened. Where
master keys come from, and where sealed ones are kept, is `accounts/`' part; the nonce is handed in, 96 random bits. An
answer is sealed with a key that is made of the client's own API key, for this answer alone, and is kept nowhere.

`cryptography` is loaded at the first use: it takes a twelfth of a second that most starts never need.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import Error
from typing import Final

from msgspec import Struct

from trunkline.settings.secret import Secret

NONCE_BYTES: Final = 12
MASTER_BYTES: Final = 32


class Unopened(Exception):
    """What is sealed cannot be opened; the message says why, without anything of it."""


class MasterKey(Struct, frozen=True):
    """32 bytes, in hexadecimal or base64, and the name that what is sealed with them goes by."""

    id: str
    text: Secret

    @property
    def material(self) -> bytes:
        """The bytes themselves. Raises ValueError, saying what to write, where they are not 32."""
        text = self.text.reveal()
        try:
            found = bytes.fromhex(text) if len(text) == 2 * MASTER_BYTES else b64decode(_padded(text), "-_", True)
        except (ValueError, Error):
            found = b""
        if len(found) != MASTER_BYTES:
            raise ValueError("a master key is 32 random bytes in base64 or hexadecimal, as `openssl rand -base64 32`")
        return found


class Place(Struct, frozen=True):
    """Where a sealed key stands: the account or API key it belongs to, the provider's slug, its own id."""

    owner: str
    provider: str
    id: str

    @property
    def bound(self) -> bytes:
        """What is authenticated with it. None of the three can hold the mark between them."""
        return f"{self.owner}|{self.provider}|{self.id}".encode()


class Sealed(Struct, frozen=True):
    """A sealed key as it is kept: which master key opens it, the nonce, and the encrypted text with its tag."""

    master_id: str
    nonce: bytes
    text: bytes


def seal(secret: Secret, master: MasterKey, nonce: bytes, place: Place) -> Sealed:
    """Encrypt a key for one place; a nonce must never be used again with the same master key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    encrypted = AESGCM(master.material).encrypt(nonce, secret.reveal().encode(), place.bound)
    return Sealed(master.id, nonce, encrypted)


def open_sealed(sealed: Sealed, master: MasterKey, place: Place) -> Secret:
    """Decrypt a key that was sealed for this place. Raises Unopened."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return Secret(AESGCM(master.material).decrypt(sealed.nonce, sealed.text, place.bound).decode())
    except (InvalidTag, ValueError):
        raise Unopened(f"it was not sealed with the master key {master.id!r}, or was changed since") from None


def load() -> None:
    """Load what seals, which holds up the first that is sealed otherwise."""
    from cryptography.hazmat.primitives.ciphers import aead  # noqa: F401


def derive_key(secret: Secret, purpose: str) -> bytes:
    """Make a key of 32 bytes of a secret text, for one purpose: HKDF with SHA-256 (RFC 5869), without a salt."""
    drawn = hmac.digest(bytes(32), secret.reveal().encode("utf-8", "surrogatepass"), "sha256")
    return hmac.digest(drawn, purpose.encode() + b"\x01", "sha256")


def seal_bytes(data: bytes, key: bytes, nonce: bytes, bound: bytes) -> bytes:
    """Encrypt something, bound to what says where it belongs."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key).encrypt(nonce, data, bound)


def open_bytes(sealed: bytes, key: bytes, nonce: bytes, bound: bytes) -> bytes:
    """Decrypt what was sealed so. Raises Unopened."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(nonce, sealed, bound)
    except (InvalidTag, ValueError):
        raise Unopened("it was sealed with another key, or was changed since") from None


def _padded(text: str) -> str:
    """Base64 in one alphabet, with what a shell or a person left off its end."""
    text = text.replace("+", "-").replace("/", "_").rstrip("=")
    return text + "=" * (-len(text) % 4)
