"""Which API a path belongs to: what is wrong there is told in the words of that one.

Which paths are served, and by what, says `routes.py`.
"""

from __future__ import annotations

from typing import Final

from trunkline.faces.chat.face import CHAT
from trunkline.faces.contract import Face
from trunkline.faces.messages.face import MESSAGES
from trunkline.faces.responses.face import RESPONSES

BASE: Final = "/api/v1"
FACES: Final[tuple[Face, ...]] = (RESPONSES, CHAT, MESSAGES)


def path_meant(path: str) -> str:
    """The path that is served for one with /v1 in the place of /api/v1, or with one slash too many at its end."""
    if path.startswith("/v1/"):
        path = "/api" + path
    return path[:-1] if path.endswith("/") and path != "/" else path


def face_of(path: str) -> Face:
    """The face in whose words a path is answered, whether it is served or not: `/v1/messages/batches` is Messages'.

    All that belongs to no other is the contract's own.
    """
    steps = path.partition("?")[0].rstrip("/") + "/"
    return next((face for face in FACES if f"/{face.name}/" in steps), RESPONSES)
