"""What only Anthropic's own servers know, put into a Messages request beside what every server of them takes.

It does not decide whom it is told: `encoding/offers.py` leaves it out of what anybody else is asked.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from trunkline.adapters.encoding.draft import Draft, add_beneath
from trunkline.protocol.items import Json
from trunkline.protocol.opaque import AnthropicTool
from trunkline.protocol.request import Request
from trunkline.protocol.tools import SearchTool
from trunkline.wire import UpstreamRequest

_BETAS = "anthropic-beta"
_is_beta = re.compile(r"[A-Za-z0-9._:-]{1,128}").fullmatch


def with_own_tools(request: Request, written: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """The tools of a request: those written for every server with what is said of each beyond that, then its own."""
    said = {} if request.anthropic is None else request.anthropic.tools
    ours = [{**tool, **said.get(str(tool["name"]), {})} for tool in written] if said else written
    return [*ours, *(dict(tool) for tool in request.tools if isinstance(tool, AnthropicTool))]


def add_own_members(draft: Draft) -> None:
    """Add members beneath those that are there, and before the system text the line that says which program calls."""
    said, body = draft.request.anthropic, draft.body
    if said is None:
        return
    for name, value in said.members.items():
        add_beneath(body, name, value)
    if said.billing is not None:
        system = body.get("system") or []
        blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
        body["system"] = [{"type": "text", "text": said.billing}, *blocks]


def with_betas(request: Request, sent: UpstreamRequest) -> UpstreamRequest:
    """The request with the client's betas behind those that the provider's row asks for, each once."""
    said = () if request.anthropic is None else request.anthropic.betas
    if not said:
        return sent
    ours = [value for name, value in sent.headers.items() if name.lower() == _BETAS]
    betas = (beta.strip() for told in (*ours, *said) for beta in told.split(","))
    named = ",".join(dict.fromkeys(beta for beta in betas if _is_beta(beta)))
    others = {name: value for name, value in sent.headers.items() if name.lower() != _BETAS}
    return replace(sent, headers={**others, _BETAS: named} if named else others)


def knows_own(request: Request) -> bool:
    """Whether the client speaks this language itself, and so knows blocks of an answer that are none of ours."""
    return request.anthropic is not None or any(isinstance(tool, AnthropicTool) for tool in request.tools)


def may_pause(request: Request) -> bool:
    """Whether the provider runs tools itself, and so may want to be asked to go on."""
    if request.anthropic is not None and request.anthropic.members.get("mcp_servers"):
        return True
    return any(
        isinstance(tool, SearchTool) or (isinstance(tool, AnthropicTool) and not tool.is_clients)
        for tool in request.tools
    )
