"""Secrets taken out of what a provider says, by their value: whole or in part, as they are or encoded.

Which secrets a provider has is `upstream/tokens.py`'s to know. What only looks like a secret is masked by its shape in
`adapters/decoding/faults.py`, whoever's it is.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

from msgspec.structs import replace

from trunkline.wire import Fault

PART_LENGTH: Final = 12
"""So many characters in a row that a text shares with a secret are masked."""

MIN_LENGTH: Final = 8
"""A shorter secret is not looked for: it would be found in innocent words."""

_MASK: Final = "***"
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FOLD: Final = str.maketrans(_UPPER + "-_", _UPPER.lower() + "+/")
"""Hexadecimal and %-codes come in both cases, base64 in two alphabets; lengths stay, so places can be compared."""


class Mask:
    """What all the secrets of one provider have in common with a text; dear to make, cheap to use."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._parts = {part for secret in secrets if len(secret) >= MIN_LENGTH for part in _parts(secret)}
        self._lengths = {len(part) for part in self._parts}

    def fault(self, fault: Fault) -> Fault:
        """Take the secrets out of a fault."""
        texts = {name: self.text(getattr(fault, name) or "") or None for name in ("raw", "detail")}
        return replace(fault, message=self.text(fault.message), **texts)

    def text(self, text: str) -> str:
        """Put `***` in the place of whatever the text shares with a secret, or with an encoded form of one."""
        while True:
            folded = text.translate(_FOLD)
            spans = [
                (start, start + length)
                for length in self._lengths
                for start in range(len(folded) - length + 1)
                if folded[start : start + length] in self._parts
            ]
            if not spans:
                return text
            # Once more: what stands on both sides of a mask may make up a part together with it.
            text = _cut(text, sorted(spans))


def address_secrets(url: str) -> Iterator[str]:
    """List what may be secret in an address: the password, and every value of its query."""
    try:
        place = urlsplit(url)
        password, query = place.password or "", place.query
    except ValueError:
        return
    for value in (password, *(pair.partition("=")[2] for pair in query.split("&"))):
        yield from (value, unquote(value))


def _parts(secret: str) -> Iterator[str]:
    for form in _forms(secret):
        folded = form.translate(_FOLD)
        for start in range(max(len(folded) - PART_LENGTH, 0) + 1):
            yield folded[start : start + PART_LENGTH]


def _forms(secret: str) -> Iterator[str]:
    data = secret.encode("utf-8", "surrogatepass")
    yield from {secret, quote(data, safe=""), quote(data), quote_plus(data)}
    yield from {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1].replace("/", "\\/")}
    yield data.hex()
    # Base64 of a text with the secret in it depends on how many bytes stand before; what they touch is left out.
    for before, touched in ((0, 0), (1, 2), (2, 3)):
        yield b64encode(bytes(before) + data).decode("ascii").rstrip("=")[touched:]


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    """Put one mask in the place of spans that touch or overlap."""
    pieces: list[str] = []
    end = 0
    for start, stop in spans:
        if start > end or not pieces:
            pieces += [text[end:start], _MASK]
        end = max(end, stop)
    return "".join(pieces) + text[end:]
