"""The dialects the gateway speaks, and who speaks each."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.adapters import chat, converse, fake, messages, responses
from trunkline.adapters.contract import Adapter
from trunkline.catalog.entries import Dialect

ADAPTERS: Mapping[Dialect, Adapter] = {
    "chat": chat.ADAPTER,
    "converse": converse.ADAPTER,
    "fake": fake.ADAPTER,
    "messages": messages.ADAPTER,
    "responses": responses.ADAPTER,
}
