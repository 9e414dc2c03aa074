"""Who the client's user is, and which conversation a request belongs to.

Claude Code says both in one text, and sends it as `metadata.user_id`; nobody is refused for how long that is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from trunkline.protocol.items import Json
from trunkline.protocol.members import read_session_header
from trunkline.protocol.reading import Reader, any_text, record
from trunkline.wire import UNREADABLE

SESSION: Final = b"x-claude-code-session-id"

_MAX_USER: Final = 256
"""Characters that are kept of a user on the record of a request."""

_MAX_SESSION: Final = 128
_OLDER: Final = re.compile(r".*_session_([0-9a-f-]{36})")
"""What Claude Code sent before it sent JSON: `user_…_account_…_session_…`."""


class _UserId(msgspec.Struct):
    session_id: str = ""


_decode: Final = msgspec.json.Decoder(_UserId).decode


def _user(*, user_id: str | None = None) -> str | None:
    return user_id or None


read_metadata: Reader[str | None] = record(_user, {"user_id": any_text})
"""Reads `metadata` as the user that it names."""


def read_session(members: dict[str, Json], header: str | None, said: Mapping[bytes, bytes]) -> str | None:
    """The session of a request: what is said of it by a name that all APIs know, else what Claude Code says.

    The user in `members` is made short enough to be kept. Raises Wrong for a header of ours that cannot be one.
    """
    user: str | None = members.get("user")
    if user is not None and len(user) > _MAX_USER:
        members["user"] = sha256(user.encode()).hexdigest()
    if (own := members.get("session_id")) is not None:
        return str(own)
    if header:
        return read_session_header(header)
    found = (_session_in(user) if user else "") or said.get(SESSION, b"").decode("latin-1")
    return found if 0 < len(found) <= _MAX_SESSION and found.isprintable() else None


def _session_in(user: str) -> str:
    if user.startswith("{"):
        try:
            return _decode(user).session_id
        except UNREADABLE:
            return ""
    older = _OLDER.fullmatch(user) if len(user) <= _MAX_USER else None
    return older[1] if older else ""
