"""Provider keys of accounts, encrypted as they are kept: AES-256-GCM under a master key that is kept elsewhere.

What is bound to a sealed key is whose it is, for which provider, and its id: in another row it cannot be opened. Where
master keys come from, and where sealed ones are kept, is `accounts/`' part; the nonce is handed in, 96 random bits.

`cryptography` is loaded at the first use: it takes a twelfth of a second that most starts never need.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from typing import Final

from msgspec import Struct

from trunkline.settings.secret import Secret

NONCE_BYTES: Final = 12
MASTER_BYTES: Final = 32


class Unopened(Exception):
    """A sealed key cannot be opened; the message says why, without anything of it."""


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


def _padded(text: str) -> str:
    """Base64 in one alphabet, with what a shell or a person left off its end."""
    text = text.replace("+", "-").replace("/", "_").rstrip("=")
    return text + "=" * (-len(text) % 4)
