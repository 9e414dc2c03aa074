"""How many tokens an input has, asked of the provider that would read it: a question that costs nothing.

What is asked is the adapters' to say. Nothing is asked twice, no health is noted, and a provider that does not say has
said nothing: whoever asks has an estimate of its own.
"""

from __future__ import annotations

from trunkline.accounts.provider_keys import Owner
from trunkline.adapters.encoding.offers import offered
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Endpoint
from trunkline.errors import ClientError
from trunkline.protocol.request import Request
from trunkline.upstream.asking import Upstream
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import UpstreamRequest

_MAX_BYTES = 64 * 1024


async def count_at(
    upstream: Upstream,
    request: Request,
    endpoint: Endpoint,
    deadline: float,
    *,
    owner: Owner | None = None,
    is_dear: bool = False,
) -> int | None:
    """Count the tokens of an input at an endpoint, with the owner's key where one is given.

    None where its dialect knows no such question, where the request cannot be said to it, and where it does not answer.
    `deadline` is on the loop's clock.
    """
    adapter = ADAPTERS[endpoint.dialect]
    try:
        question = await upstream.aside.run(_encoded, request, endpoint) if is_dear else _encoded(request, endpoint)
        if question is None:
            return None
        reply = await upstream.send(question, endpoint.provider.slug, deadline, owner=owner)
        try:
            await upstream.raise_for_status(reply, adapter, endpoint)
            return adapter.decode_count(await reply.body(_MAX_BYTES))
        finally:
            reply.close()
    except (UpstreamFailure, ClientError):
        return None


def _encoded(request: Request, endpoint: Endpoint) -> UpstreamRequest | None:
    return ADAPTERS[endpoint.dialect].encode_count(offered(request, endpoint).request, endpoint)
