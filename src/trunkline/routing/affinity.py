"""Which endpoint a conversation was last served by, so that it finds its prompt cache again.

It remembers, for ten minutes and in bounded memory; whether to follow is `plan.py`'s decision.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from trunkline.protocol.request import Request
from trunkline.routing.measure import opening

TTL_S: Final = 600.0
MAX_CONVERSATIONS: Final = 50_000
MAX_TOLD: Final = 1_000
"""So many are told to other nodes at a time."""

NAME_BYTES: Final = 16


class Affinity:
    """Conversation → endpoint id. The conversation least recently served is forgotten first."""

    def __init__(self, *, ttl_s: float = TTL_S, max_conversations: int = MAX_CONVERSATIONS) -> None:
        self._ttl_s = ttl_s
        self._most = max_conversations
        # Ordered for its pop at the front: a plain dict would look through all that was deleted before.
        self._served: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def find(self, conversation: bytes, now: float) -> str | None:
        """The endpoint that served a conversation in the last while."""
        served = self._served.get(conversation)
        if served is None or now >= served[1] + self._ttl_s:
            return None
        return served[0]

    def keep(self, conversation: bytes, endpoint_id: str, now: float) -> None:
        """Note that an endpoint served a conversation."""
        self._served.pop(conversation, None)
        if len(self._served) >= self._most:
            self._served.popitem(last=False)
        self._served[conversation] = (endpoint_id, now)


class JointAffinity(Affinity):
    """The same on several nodes: what others served counts as well, unless it was served here since.

    What is served here gathers until it is told, the newest `MAX_TOLD` conversations.
    """

    def __init__(self, *, ttl_s: float = TTL_S, max_conversations: int = MAX_CONVERSATIONS) -> None:
        super().__init__(ttl_s=ttl_s, max_conversations=max_conversations)
        self._fresh: OrderedDict[bytes, str] = OrderedDict()

    def keep(self, conversation: bytes, endpoint_id: str, now: float) -> None:
        super().keep(conversation, endpoint_id, now)
        self._fresh[conversation] = endpoint_id
        self._fresh.move_to_end(conversation)
        if len(self._fresh) > MAX_TOLD:
            self._fresh.popitem(last=False)

    def tell(self) -> Mapping[bytes, str]:
        """What was served here since this was asked last."""
        told, self._fresh = self._fresh, OrderedDict()
        return told

    def hear(self, conversation: bytes, endpoint_id: str, now: float) -> None:
        """Note that an endpoint served a conversation of another node."""
        # What is not told yet was served here within the last second: who came last nobody knows.
        if conversation not in self._fresh and len(conversation) == NAME_BYTES:
            super().keep(conversation, endpoint_id, now)


def conversation(request: Request, account: str, model: str) -> bytes:
    """Name a conversation: by the client's session, else its cache key, else by how it opens.

    The account is part of the name, so that nobody steers another's requests by guessing a session.
    """
    if request.session_id:
        kind, text = "session", request.session_id
    elif request.prompt_cache_key:
        kind, text = "key", request.prompt_cache_key
    else:
        kind, text = "opening", opening(request)
    return blake2b(
        f"{account}\0{model}\0{kind}\0{text}".encode(errors="surrogatepass"), digest_size=NAME_BYTES
    ).digest()
