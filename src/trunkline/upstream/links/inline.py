"""Links that somebody else wrote: files put in the place of a client's, results fetched for a provider's.

Which links these are is for `adapters/encoding/links.py` and a decoder to say;
how one is fetched without harm, for `fetch.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trunkline.adapters.encoding.links import Noun, Wanted, with_inlined
from trunkline.errors import ClientError
from trunkline.protocol.request import Request
from trunkline.upstream.links.fetch import Fetched, Fetcher
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import Fault, FaultKind, Headers, UpstreamRequest


class Links:
    """The links of one request; what one attempt had fetched serves the next."""

    def __init__(self, fetcher: Fetcher, account: str = "", kept: Mapping[tuple[str, Noun], str] | None = None) -> None:
        """Take what was fetched for the request before, as data URLs."""
        self._fetcher = fetcher
        self._account = account
        self._kept: dict[tuple[str, Noun], str] = {} if kept is None else dict(kept)

    async def inlined(self, request: Request, wanted: Sequence[Wanted], deadline: float) -> Request:
        """Give the request with files in the place of these links.

        Raises BadRequest and PayloadTooLarge, which are the client's whatever other endpoints could do.
        """
        missing = [each for each in wanted if (each.url, each.noun) not in self._kept]
        files = await self._fetcher.fetch(missing, deadline, account=self._account)
        for each, fetched in zip(missing, files, strict=True):
            self._kept[each.url, each.noun] = fetched.data_url
        return with_inlined(request, {(each.url, each.noun): self._kept[each.url, each.noun] for each in wanted})


class LinkTransport:
    """Carries requests for results that a provider left somewhere; only their addresses are sent."""

    def __init__(self, fetcher: Fetcher, account: str = "") -> None:
        self._fetcher = fetcher
        self._account = account

    async def send(self, request: UpstreamRequest, deadline: float) -> FetchedReply:
        """Fetch a picture. Raises UpstreamFailure, because a link that leads nowhere is here not the client's fault."""
        try:
            files = await self._fetcher.fetch([Wanted(request.url, "image")], deadline, account=self._account)
            return FetchedReply(files[0])
        except ClientError as error:
            kind: FaultKind = "unavailable" if error.kind == "failed_to_download_image" else "nonsense"
            raise UpstreamFailure(Fault(kind, f"its result cannot be had: {error.message}")) from None


class FetchedReply:
    """A file in the form of an answer."""

    status = 200
    tells_limits = False

    def __init__(self, fetched: Fetched) -> None:
        self._left = fetched.body
        self.content_type = fetched.media_type
        self.headers: Headers = {"content-type": fetched.media_type}

    pump = None

    def rest(self) -> bytes:
        """Give all that is left."""
        body, self._left = self._left, b""
        return body

    async def read(self) -> bytes:
        """Give all that is left."""
        return self.rest()

    def note_output(self) -> None:
        """Nothing is waited for here."""

    async def body(self, max_bytes: int) -> bytes:
        """Give the beginning."""
        return self._left[:max_bytes]

    async def finish(self, wait_s: float) -> None:
        """Nothing is left open here."""

    def close(self) -> None:
        """Nothing is left open here."""
