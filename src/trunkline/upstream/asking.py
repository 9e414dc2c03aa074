"""Asks one endpoint: encodes the request, signs it, sends it, and asks on where an answer takes several exchanges.

What the answer says is heard elsewhere (`hearing.py`), who is asked next is decided elsewhere (`attempts.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from trunkline import failpoints
from trunkline.accounts.keys import DEFAULT_ACCOUNT
from trunkline.accounts.provider_keys import Owner
from trunkline.adapters.contract import Adapter, Exchange
from trunkline.adapters.decoding.room import told_room
from trunkline.adapters.encoding.links import Noun, Wanted, links_to_inline
from trunkline.adapters.encoding.narrowing import limited, unlimited, with_room
from trunkline.adapters.encoding.offers import Offer, offered
from trunkline.adapters.encoding.results import readable, reading_text
from trunkline.adapters.table import ADAPTERS
from trunkline.adapters.thinking import effort
from trunkline.catalog.entries import Endpoint
from trunkline.credentials.schemes import sign
from trunkline.errors import TooLong
from trunkline.generation import Noted
from trunkline.protocol.opaque import Json
from trunkline.protocol.request import Request, with_cache_key
from trunkline.routing import limits
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import Health
from trunkline.upstream.aside import DEAR_BYTES, Aside
from trunkline.upstream.hearing import Hearing
from trunkline.upstream.lines import Lines
from trunkline.upstream.links.fetch import Fetcher
from trunkline.upstream.links.inline import Links, LinkTransport
from trunkline.upstream.tokens import Tokens
from trunkline.upstream.transport import Reply, Transport, UpstreamFailure
from trunkline.wire import NONCE, Fault, UpstreamRequest

_MAX_ERROR_BYTES = 64 * 1024
_MAX_EXCHANGES = 2_000
"""So many times may one attempt ask on; the deadline nearly always comes first."""


@dataclass(frozen=True)
class Upstream:
    """Everything that is needed to ask providers; shared by all requests.

    Transports are by URL scheme. `clock` is the loop's, `wall_clock` Unix time. `is_hedging`: a stream whose endpoint
    stays silent may be asked for at a second one. `lines` are where requests wait for their turn; without, none does.
    """

    transports: Mapping[str, Transport]
    tokens: Tokens
    fetcher: Fetcher
    health: Health
    affinity: Affinity
    aside: Aside
    end_user_secret: bytes
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    is_hedging: bool = False
    lines: Lines | None = None

    def send(
        self,
        request: UpstreamRequest,
        provider: str,
        deadline: float,
        *,
        thinks: bool = False,
        owner: Owner | None = None,
    ) -> Awaitable[Reply]:
        """Send to a provider, by its slug, with its credential, or with the owner's. Raises UpstreamFailure."""
        credential = self.tokens.known(provider, owner)
        # A signature may be over the whole body.
        if credential is None or len(request.body) > DEAR_BYTES:
            return self._send_signed(request, provider, deadline, thinks, owner)
        transport = self.transports[request.url.partition(":")[0]]
        return transport.send(sign(request, credential, self.wall_clock()), deadline, thinks=thinks)

    async def _send_signed(
        self, request: UpstreamRequest, provider: str, deadline: float, thinks: bool, owner: Owner | None
    ) -> Reply:
        """The same, where a credential or the signing of a large body is waited for."""
        credential = await self.tokens.credential(provider, deadline, owner)
        if credential is not None:
            request = await self.aside.run(sign, request, credential, self.wall_clock())
        return await self.transports[request.url.partition(":")[0]].send(request, deadline, thinks=thinks)

    async def raise_for_status(self, reply: Reply, adapter: Adapter, endpoint: Endpoint) -> None:
        """Read what an answer that is no success says. Raises UpstreamFailure for such a one."""
        if 200 <= reply.status < 300:
            return
        if 300 <= reply.status < 400:
            raise UpstreamFailure(Fault("nonsense", "the provider redirects, which is not followed", reply.status))
        try:
            body = await reply.body(_MAX_ERROR_BYTES)
        except UpstreamFailure:
            body = b""
        fault = adapter.fault(reply.status, reply.headers, body, endpoint)
        if fault.kind == "limited" and fault.retry_after is None and reply.tells_limits:
            # Groq and others tell the time only in the headers of the limit itself.
            fault = fault.hinted(limits.rest_s(reply.headers, self.wall_clock()))
        raise UpstreamFailure(fault)


class Fitting(Protocol):
    """A request made as short as each endpoint needs it."""

    def fitted(self, request: Request, endpoint: Endpoint) -> tuple[Request, tuple[str, ...]]:
        """The request as an endpoint can take it, and the names of what is left out.

        Raises TooLong where it cannot.
        """
        ...

    def narrowed(self, request: Request, endpoint: Endpoint, fault: Fault) -> Endpoint | None:
        """The endpoint as its refusal of an input shows it to be; None where the refusal is of something else."""
        ...

    def noted(self, endpoint: Endpoint) -> Noted:
        """What is told on the record of what an endpoint was not told."""
        ...

    def request_at(self, endpoint: Endpoint) -> Request | None:
        """The request as it was made to fit an endpoint; None where that was not asked."""
        ...

    def told(self, request: Request, endpoints: Sequence[Endpoint]) -> list[dict[str, Json]]:
        """What each endpoint would be told of a request, as plain values that JSON can hold."""
        ...


class Documents(Protocol):
    """The documents of a request, read for who takes none; `fetched` are data URLs of those behind links."""

    @property
    def fetched(self) -> Mapping[tuple[str, Noun], str]: ...

    async def told(self, request: Request, endpoint: Endpoint) -> tuple[Request, tuple[str, ...]]:
        """The request as an endpoint can read it, and what was left out of it. Raises BadGateway."""
        ...


class Question(NamedTuple):
    """What is asked of whoever answers.

    `deadline` is on the loop's clock. `links` are there unless the request is texts alone. `is_dear`: the request is so
    large that it is encoded beside the loop. `is_clamped`: how long the answer may be is no word of the client's.
    `fitting` is of an input that may be made shorter, `documents` are those of its files that are told in words to some
    endpoints.
    """

    request: Request
    deadline: float
    account: str
    links: Links | None
    is_dear: bool
    is_clamped: bool = False
    fitting: Fitting | None = None
    documents: Documents | None = None


class Asking:
    """One endpoint being asked, in as many exchanges as its answer takes; with an `owner`, by their own key."""

    __slots__ = (
        "_endpoint",
        "_exchanges",
        "_owner",
        "_question",
        "_thinks",
        "_upstream",
        "adapter",
        "offer",
        "waited_s",
    )

    offer: Offer
    """The request as it is offered to the endpoint, once it was asked."""

    def __init__(self, upstream: Upstream, question: Question, endpoint: Endpoint, owner: Owner | None = None) -> None:
        self._upstream = upstream
        self._question = question
        self._endpoint = endpoint
        self.adapter = ADAPTERS[endpoint.dialect]
        self._owner = owner
        may_think = question.request.reasoning is not None or bool(endpoint.reasoning_efforts)
        self._thinks = may_think and _thinks(question.request, endpoint)
        self._exchanges = 1
        self.waited_s = 0.0
        """How long files were read for it: no slowness of its own."""

    async def ask(self) -> tuple[UpstreamRequest, Reply]:
        """Ask; once more, where the endpoint tells what it would take instead.

        That is so where it refuses what the client did not ask for, and where it refuses an input that may be made
        shorter. Raises UpstreamFailure for an answer that is no success, Unprocessable and BadRequest where the request
        cannot be said, TooLong where the endpoint cannot hold it.
        """
        question, endpoint, upstream = self._question, self._endpoint, self._upstream
        if question.is_dear and question.request.has_extensions:
            self.offer = await upstream.aside.run(offered, question.request, endpoint)
        else:
            self.offer = offered(question.request, endpoint)
        sent = self._texts_encoded() or await self._encode(endpoint)
        try:
            slug, deadline = endpoint.provider.slug, question.deadline
            reply = await upstream.send(sent, slug, deadline, thinks=self._thinks, owner=self._owner)
            # Most succeed, and say nothing of limits.
            if reply.tells_limits or reply.status != 200:
                reply = await self._accepted(reply)
        except UpstreamFailure as failure:
            again = await self._less(sent, failure.fault)
            if again is None:
                raise
            sent, reply = again, await self._send(again)
        if failpoints.armed:
            failpoints.reach("dispatch.sent")
        return sent, reply

    async def ask_less(self, sent: UpstreamRequest, refusal: Fault) -> tuple[UpstreamRequest, Reply] | None:
        """Ask once more in the same way, where what was sent is refused in an answer that is a success by its status.

        None where the refusal stands. Raises UpstreamFailure for an answer that is no success.
        """
        again = await self._less(sent, refusal)
        return None if again is None else (again, await self._send(again))

    async def _less(self, sent: UpstreamRequest, refusal: Fault) -> UpstreamRequest | None:
        """What is to be sent instead of what was refused; None where the refusal stands, as the second one does."""
        narrowed = self._narrowed(self.offer.request, refusal) if self._exchanges == 1 else None
        if narrowed is None:
            return None
        try:
            again = await self._encode(narrowed)
        except TooLong:
            return None
        if again.body == sent.body:
            return None
        self._exchanges += 1
        return again

    def _narrowed(self, request: Request, fault: Fault) -> Endpoint | None:
        """The endpoint as its refusal tells it to be, where that is of something that the client leaves open."""
        endpoint, fitting = self._endpoint, self._question.fitting
        is_open = self._question.is_clamped or request.limit_is_wish
        asked = unlimited(request) if is_open else request
        narrowed = self.adapter.narrowed(asked, endpoint, fault) or reading_text(asked, endpoint, fault)
        # Most dialects send no limit but the client's own, so that nothing is told of it otherwise.
        if narrowed is None and is_open:
            narrowed = with_room(asked, endpoint, told_room(fault.message))
        return narrowed or (None if fitting is None else fitting.narrowed(request, endpoint, fault))

    async def ask_on(self, hearing: Hearing) -> Reply:
        """Go on with an answer that takes several exchanges; what fails is asked again as often as the decoder says."""
        while (exchange := hearing.exchange) is not None:
            self._exchanges += 1
            if self._exchanges > _MAX_EXCHANGES:
                raise UpstreamFailure(Fault("nonsense", "the answer takes exchanges without end"))
            await self._wait(exchange.wait_s)
            try:
                reply = await self._exchanged(exchange)
            except UpstreamFailure as failure:
                if not hearing.refused(failure.fault):
                    raise
            else:
                hearing.resume(reply.content_type)
                return reply
        raise AssertionError("nothing more is to be asked")

    def _texts_encoded(self) -> UpstreamRequest | None:
        """Say a request of texts, as most are, for which nothing is read, fetched or awaited; None for any other."""
        question, request, endpoint = self._question, self.offer.request, self._endpoint
        is_plain = question.documents is None and question.fitting is None and not question.is_dear
        if not is_plain or not request.is_text_alone:
            return None
        if request.max_output_tokens is not None:
            request = limited(request, endpoint)
        end_user = self._end_user(endpoint) if request.user or request.safety_identifier else None
        encoded = self.adapter.encode(request, endpoint, end_user)
        return _completed(encoded, ()) if encoded.has_nonce else encoded

    async def _encode(self, endpoint: Endpoint) -> UpstreamRequest:
        """Say the request as this endpoint can take it. Raises a ClientError for a link that leads nowhere.

        Raises TooLong for an input that the endpoint cannot hold.
        """
        question, adapter, aside = self._question, self.adapter, self._upstream.aside
        request = limited(self.offer.request, endpoint)
        left_out: tuple[str, ...] = ()
        if question.documents is not None:
            began = self._upstream.clock()
            request, left_out = await question.documents.told(request, endpoint)
            self.waited_s += self._upstream.clock() - began
        if (fitting := question.fitting) is not None:
            fit = partial(fitting.fitted, request, endpoint)
            request, turns = await aside.run(fit) if question.is_dear else fit()
            left_out += turns
        if question.is_dear:
            readied = await aside.run(_readied, adapter, request, endpoint)
        else:
            readied = _readied(adapter, request, endpoint)
        request, unread, wanted = readied
        unread = (*left_out, *unread) if left_out else unread
        if wanted:
            assert question.links is not None, "texts alone name no link"
            request = await question.links.inlined(request, wanted, question.deadline)
        end_user = self._end_user(endpoint)
        if question.is_dear or wanted:
            return await aside.run(_encoded, adapter, request, endpoint, end_user, unread)
        return _encoded(adapter, request, endpoint, end_user, unread)

    async def _send(self, request: UpstreamRequest) -> Reply:
        """Send to the provider, signed. Raises UpstreamFailure for an answer that is no success."""
        slug, deadline = self._endpoint.provider.slug, self._question.deadline
        reply = await self._upstream.send(request, slug, deadline, thinks=self._thinks, owner=self._owner)
        return await self._accepted(reply)

    async def _accepted(self, reply: Reply) -> Reply:
        """Note what an answer says of limits, and give it on if it is a success. Raises UpstreamFailure for another."""
        upstream, endpoint = self._upstream, self._endpoint
        # What is left of an own key's limit is nothing to others.
        if reply.tells_limits and self._owner is None:
            rest_s = limits.rest_s(reply.headers, upstream.wall_clock())
            if rest_s is not None:
                upstream.health.cool_down(endpoint.id, rest_s, upstream.clock())
                if upstream.lines is not None:
                    upstream.lines.limited(endpoint, rest_s)
        return reply if 200 <= reply.status < 300 else await self._checked(reply)

    async def _exchanged(self, exchange: Exchange) -> Reply:
        request, question = exchange.request, self._question
        match exchange.reach:
            case "provider":
                return await self._send(request)
            case "own_host":
                transport = self._upstream.transports[request.url.partition(":")[0]]
                reply = await transport.send(request, question.deadline)
            case "anywhere":
                links = LinkTransport(self._upstream.fetcher, question.account)
                reply = await links.send(request, question.deadline)
        return await self._checked(reply)

    async def _checked(self, reply: Reply) -> Reply:
        """Give an answer on that is a success, and close every other. Raises UpstreamFailure for that."""
        try:
            await self._upstream.raise_for_status(reply, self.adapter, self._endpoint)
        except BaseException:
            reply.close()
            raise
        return reply

    async def _wait(self, seconds: float) -> None:
        if self._upstream.clock() + seconds >= self._question.deadline:
            raise UpstreamFailure(Fault("silent", "the deadline passed before the answer was ready"))
        await self._upstream.sleep(seconds)

    def _end_user(self, endpoint: Endpoint) -> str | None:
        """The client's user as this provider may know it: stable there, and no name. Its adapter tells it, or not."""
        request = self._question.request
        user = request.safety_identifier or request.user
        if not user:
            return None
        return _pseudonym(self._upstream.end_user_secret, self._question.account, endpoint.provider.slug, user)


def apart(request: Request, account: str, secret: bytes) -> Request:
    """A request whose prompt cache is no other account's, though both name it alike; the first account's stays it."""
    key = request.prompt_cache_key
    if key is None or account in _UNMARKED:
        return request
    return with_cache_key(request, _pseudonym(secret, account, "prompt_cache_key", key))


def _pseudonym(secret: bytes, account: str, *parts: str) -> str:
    """A name that stands for one of the client's, another one for each account."""
    text = "\0".join(parts if account in _UNMARKED else (account, *parts))
    return hmac.new(secret, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


_UNMARKED = frozenset({"", DEFAULT_ACCOUNT})
"""What providers were told of the first account's users, before there was another, stays true."""


def _readied(
    adapter: Adapter, request: Request, endpoint: Endpoint
) -> tuple[Request, tuple[str, ...], Sequence[Wanted]]:
    """The request as an endpoint can read it, what was left out of it, and the links that are wanted as files."""
    if request.is_text_alone:
        return request, (), ()
    request, unread = readable(request, endpoint)
    return request, unread, links_to_inline(request, endpoint, adapter.needs_file)


def _encoded(
    adapter: Adapter, request: Request, endpoint: Endpoint, end_user: str | None, unread: tuple[str, ...]
) -> UpstreamRequest:
    encoded = adapter.encode(request, endpoint, end_user)
    return _completed(encoded, unread) if unread or encoded.has_nonce else encoded


def _completed(encoded: UpstreamRequest, unread: tuple[str, ...]) -> UpstreamRequest:
    """What was encoded, with its nonce, and the names of what else was left out."""
    body = encoded.body
    if encoded.has_nonce:
        body = body.replace(NONCE.encode(), secrets.token_hex(16).encode())
    return UpstreamRequest(encoded.method, encoded.url, encoded.headers, body, (*unread, *encoded.dropped))


def _thinks(request: Request, endpoint: Endpoint) -> bool:
    """Whether thought was asked for, or the model is known to think always."""
    asked = effort(request.reasoning)
    if asked is not None:
        return asked != "none"
    return bool(endpoint.reasoning_efforts) and "none" not in endpoint.reasoning_efforts
