"""One question to a provider that costs nothing: is it there, does it know the key, how many models does it list.

What is asked is the adapters' to say. Nothing is asked twice, and no health is noted.
"""

from __future__ import annotations

from json import loads
from typing import Any, NamedTuple

from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.upstream.asking import Upstream
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import Fault, UpstreamRequest

_MAX_BYTES = 16 * 2**20
_LISTS = ("data", "models", "modelSummaries")
"""Under which name the lists of OpenAI and Anthropic, of Gemini and Cohere, and of Bedrock stand; some are bare."""

_MORE = ("has_more", "nextPageToken", "next_page_token")


class Listed(NamedTuple):
    """What a provider that is there answered.

    `models`: how many, where it told any; `is_whole`: those are all. `tried_key`: the question is one that is
    answered to who has a key, and to nobody else.
    """

    models: int | None = None
    is_whole: bool = True
    tried_key: bool = False


async def list_models(upstream: Upstream, provider: Provider, deadline: float) -> Listed:
    """Ask a provider, with its key, for its models, in the dialect it prefers; `deadline` is on the loop's clock.

    Raises UpstreamFailure, whose fault is classified as that of a request to a model would be.
    """
    endpoint = _any_endpoint(provider)
    question = ADAPTERS[endpoint.dialect].encode_listing(endpoint)
    if question is None:
        await _reach(upstream, endpoint, deadline)
        return Listed()
    try:
        told = _read(await _answer(upstream, endpoint, question, deadline, with_key=True))
    except UpstreamFailure as failure:
        raise UpstreamFailure(upstream.tokens.mask(provider.slug).fault(failure.fault)) from None
    needs_key = provider.credential.scheme != "none"
    return told._replace(tried_key=needs_key and await _refuses_others(upstream, endpoint, question, deadline))


def _any_endpoint(provider: Provider) -> Endpoint:
    """An endpoint of the provider's that serves no model: the catalog may know none of its models."""
    dialect = next(dialect for dialect in provider.base_urls if dialect in ADAPTERS)
    return Endpoint(
        model=Model(slug=""),
        provider=provider,
        upstream_model="",
        dialect=dialect,
        base_url=provider.base_urls[dialect],
        quirks=provider.quirks_in(dialect),
    )


async def _reach(upstream: Upstream, endpoint: Endpoint, deadline: float) -> None:
    """Ask for the address alone, without the key: whatever is answered, somebody is there."""
    scheme = endpoint.base_url.partition(":")[0]
    if scheme in ("http", "https"):
        reply = await upstream.transports[scheme].send(UpstreamRequest("GET", endpoint.base_url, {}, b""), deadline)
        reply.close()


async def _answer(
    upstream: Upstream, endpoint: Endpoint, question: UpstreamRequest, deadline: float, *, with_key: bool
) -> bytes:
    if with_key:
        reply = await upstream.send(question, endpoint.provider.slug, deadline)
    else:
        reply = await upstream.transports[question.url.partition(":")[0]].send(question, deadline)
    try:
        await upstream.raise_for_status(reply, ADAPTERS[endpoint.dialect], endpoint)
        return await reply.body(_MAX_BYTES)
    finally:
        reply.close()


async def _refuses_others(upstream: Upstream, endpoint: Endpoint, question: UpstreamRequest, deadline: float) -> bool:
    """Whether the same question is refused without a key: only then has the key been tried. Some lists are public."""
    try:
        await _answer(upstream, endpoint, question, deadline, with_key=False)
    except UpstreamFailure as failure:
        status = failure.fault.status
        return status is not None and 400 <= status < 500 and status != 429
    return False


def _read(body: bytes) -> Listed:
    """Raises UpstreamFailure."""
    try:
        told: Any = loads(body)
    except (ValueError, RecursionError):
        # A portal or a proxy on the way answers with a page of its own.
        raise UpstreamFailure(Fault("nonsense", "what answers there is no API: it gave no JSON")) from None
    if isinstance(told, list):
        return Listed(len(told))
    if not isinstance(told, dict):
        return Listed()
    found = next((told[name] for name in _LISTS if isinstance(told.get(name), list)), None)
    return Listed(None if found is None else len(found), is_whole=not any(told.get(name) for name in _MORE))
