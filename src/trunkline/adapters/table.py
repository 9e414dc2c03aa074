"""The dialects the gateway speaks, and who speaks each."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.adapters.chat import mistral
from trunkline.adapters.chat import request as chat
from trunkline.adapters.cohere import request as cohere
from trunkline.adapters.contract import Adapter
from trunkline.adapters.converse import request as converse
from trunkline.adapters.fake import adapter as fake
from trunkline.adapters.gemini import request as gemini
from trunkline.adapters.messages import request as messages
from trunkline.adapters.pictures import bfl, images, riverflow
from trunkline.adapters.responses import request as responses
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
