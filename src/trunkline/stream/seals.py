"""Says on an encrypted thought who issued it, so that it goes back there and to nobody else.

A provider can only open its own encrypted reasoning, and only under the item id it gave. Both are forgotten when a
client replays the item with an id of ours, and many clients forget its format too, so they are appended to the blob as
a tag. The tag is no secret and proves
nothing: a forged one leads to a blob that the provider itself will not open.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from msgspec import Struct

from trunkline.wire import UNREADABLE

_MARK = ".tl1."


class Seal(Struct, frozen=True):
    """An issuer's blob, byte for byte, and where it came from.

    An empty `item_id` means that there was none, an empty `form` that the format of its item is not known.
    """

    blob: str
    endpoint_id: str
    item_id: str
    form: str = ""


def seal(blob: str, endpoint_id: str, item_id: str, form: str = "") -> str:
    """Append the issuer's tag to its blob."""
    told = (endpoint_id, item_id) if form in ("", "unknown") else (endpoint_id, item_id, form)
    tag = urlsafe_b64encode(msgspec.json.encode(told)).decode()
    return f"{blob}{_MARK}{tag}"


def unseal(text: str) -> Seal | None:
    """Take the tag off again; None when the text carries none of ours."""
    blob, mark, tag = text.rpartition(_MARK)
    if not (mark and blob):
        return None
    try:
        told = _read_tag(urlsafe_b64decode(tag))
    except UNREADABLE:
        return None
    return Seal(blob, *told) if len(told) in (2, 3) else None


def is_from(origin: Seal, endpoint_id: str) -> bool:
    """Whether the provider behind an endpoint issued the blob."""
    return provider_of(origin.endpoint_id) == provider_of(endpoint_id)


def provider_of(endpoint_id: str) -> str:
    """The provider in an endpoint's id, `provider/variant:model`; the variants of one provider share its keys."""
    return endpoint_id.partition(":")[0].partition("/")[0]


_read_tag = msgspec.json.Decoder(tuple[str, ...]).decode
