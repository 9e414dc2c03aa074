"""A paused answer gone on with: the request that asks for the rest of it.

Source: https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (2026-11-22).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from trunkline.adapters.contract import Exchange
from trunkline.adapters.decoding.strange import as_object
from trunkline.protocol.items import Json
from trunkline.wire import UpstreamRequest

MAX_PAUSES = 8
"""So often is a paused answer gone on with; each time the provider counts the whole input again."""


def going_on(sent: UpstreamRequest, kept: Sequence[Raw], container: Json) -> Exchange:
    """Ask for the rest behind the content heard so far, in the container in which its tools ran, if there is one."""
    body = msgspec.json.decode(sent.body, type=dict[str, Raw])
    turns = msgspec.json.decode(body["messages"], type=list[Raw])
    turns.append(Raw(msgspec.json.encode({"role": "assistant", "content": kept})))
    body["messages"] = Raw(msgspec.json.encode(turns))
    if (name := as_object(container).get("id")) is not None and "container" not in body:
        body["container"] = Raw(msgspec.json.encode(name))
    return Exchange(msgspec.structs.replace(sent, body=msgspec.json.encode(body)))
