"""Says on the proof of a thought who issued it, so that it goes back there and to nobody else.

A provider can only read its own encrypted reasoning, and only under the item id it gave; a signature holds for the text
it was given with. When a client replays the item it has an id of ours, and many clients keep nothing of a thought but
`encrypted_content` and the summary. So all that its issuer wants back stands there: the proof, and a tag appended to
it. The tag is no secret and proves nothing: a forged one leads to a proof that the provider itself will not take. But
it tells whether a proof arrived whole.

    proof .tl1. base64(JSON of `_Tag`) [. base64(text)] . checksum
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from zlib import crc32

import msgspec
from msgspec import Struct

from trunkline.protocol.items import ReasoningFormat, ReasoningItem
from trunkline.wire import UNREADABLE

GEMINI_FORMAT: ReasoningFormat = "google-gemini-v1"

PORTABLE = frozenset({"anthropic-claude-v1", GEMINI_FORMAT})
"""Formats whose proofs hold wherever the maker's models are served; others only at the provider that gave them."""

_MARK = ".tl1."


class Seal(Struct, frozen=True, kw_only=True):
    """What an issuer gave with a thought, byte for byte, and where it came from.

    There is a `blob`, a `signature` or both. An empty `item_id` means that there was none, an empty `form` that the
    format is not known. `packed` is the text in base64; None: the proof holds for none, or the item itself has it.
    """

    endpoint_id: str
    blob: str = ""
    signature: str = ""
    item_id: str = ""
    form: str = ""
    packed: str | None = None

    @property
    def text(self) -> str | None:
        """The text that the proof holds for. Long ones cost something, and few who read a seal want them."""
        if self.packed is None:
            return None
        try:
            return a2b_base64(self.packed).decode()
        except UNREADABLE:
            return None


class _Tag(Struct, frozen=True, array_like=True):
    """What follows a proof; a later version may append to it. `is_signature`: the proof before it is one.

    `signature` is that beside a blob.
    """

    endpoint_id: str
    item_id: str
    form: str = ""
    is_signature: bool = False
    signature: str = ""


def seal(origin: Seal) -> str:
    """Write a proof with its tag."""
    proof, beside = (origin.blob, origin.signature) if origin.blob else (origin.signature, "")
    tag = _Tag(origin.endpoint_id, origin.item_id, origin.form, not origin.blob, beside)
    told = _packed(msgspec.json.encode(tag)) + ("" if origin.packed is None else f".{origin.packed}")
    return f"{proof}{_MARK}{told}.{_checksum(proof, told)}"


def unseal(text: str) -> Seal | None:
    """Take proof and tag apart; None when the text carries no tag of ours, or one that did not arrive whole."""
    proof, mark, rest = text.rpartition(_MARK)
    told, _, checksum = rest.rpartition(".")
    if not (mark and proof) or checksum != _checksum(proof, told):
        return None
    first, dot, packed = told.partition(".")
    try:
        tag = _read_tag(a2b_base64(first))
    except UNREADABLE:
        return None
    blob, signature = ("", proof) if tag.is_signature else (proof, tag.signature)
    return Seal(
        endpoint_id=tag.endpoint_id,
        blob=blob,
        signature=signature,
        item_id=tag.item_id,
        form=tag.form,
        packed=packed if dot else None,
    )


def has_mark(text: str) -> bool:
    """Whether a proof went through a gateway of this kind, however much of its tag is left."""
    return _MARK in text


def sealed(item: ReasoningItem, origin: Seal) -> ReasoningItem:
    """Put a proof on a thought: all of it in `encrypted_content`, and a signature in its own member too.

    There it is bare where the format says whose it is, so that a client may take it to its maker.
    """
    if not origin.signature:
        return msgspec.structs.replace(item, encrypted_content=seal(origin))
    bare = origin.form in PORTABLE
    alone = Seal(endpoint_id=origin.endpoint_id, signature=origin.signature, form=origin.form)
    if origin.form != GEMINI_FORMAT:
        # Gemini's signature holds for the part that it stands on, every other for the thought it was given with.
        text = "".join(part.text for part in item.content or ())
        origin = msgspec.structs.replace(origin, packed=_packed(text.encode()))
    signature = origin.signature if bare else seal(alone)
    return msgspec.structs.replace(item, encrypted_content=seal(origin), signature=signature)


def is_from(origin: Seal, endpoint_id: str) -> bool:
    """Whether the provider behind an endpoint issued the proof."""
    return provider_of(origin.endpoint_id) == provider_of(endpoint_id)


def provider_of(endpoint_id: str) -> str:
    """The provider in an endpoint's id, `provider/variant:model`; the variants of one provider share its keys."""
    return endpoint_id.partition(":")[0].partition("/")[0]


def _packed(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def _checksum(proof: str, told: str) -> str:
    return f"{crc32(told.encode(errors='surrogatepass'), crc32(proof.encode(errors='surrogatepass'))):08x}"


_read_tag = msgspec.json.Decoder(_Tag).decode
