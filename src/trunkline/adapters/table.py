"""The dialects the gateway speaks, and who speaks each."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.adapters import chat, cohere, converse, fake, gemini, messages, mistral, responses
from trunkline.adapters.contract import Adapter
from trunkline.catalog.entries import Dialect

ADAPTERS: Mapping[Dialect, Adapter] = {
    "chat": chat.ADAPTER,
    "cohere": cohere.ADAPTER,
    "converse": converse.ADAPTER,
    "fake": fake.ADAPTER,
    "gemini": gemini.ADAPTER,
    "messages": messages.ADAPTER,
    "mistral": mistral.ADAPTER,
    "responses": responses.ADAPTER,
}
