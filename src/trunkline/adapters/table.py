"""The dialects the gateway speaks, and who speaks each."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.adapters import (
    bfl,
    chat,
    cohere,
    converse,
    fake,
    gemini,
    images,
    messages,
    mistral,
    responses,
    riverflow,
)
from trunkline.adapters.contract import Adapter
from trunkline.catalog.entries import Dialect

ADAPTERS: Mapping[Dialect, Adapter] = {
    "bfl": bfl.ADAPTER,
    "chat": chat.ADAPTER,
    "cohere": cohere.ADAPTER,
    "converse": converse.ADAPTER,
    "fake": fake.ADAPTER,
    "gemini": gemini.ADAPTER,
    "images": images.ADAPTER,
    "messages": messages.ADAPTER,
    "mistral": mistral.ADAPTER,
    "responses": responses.ADAPTER,
    "riverflow": riverflow.ADAPTER,
}
