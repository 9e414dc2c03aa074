"""One request being written, whatever the dialect: its fields so far, and the names of what had no place.

It knows no wire and decides nothing but what an endpoint was said not to take.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

import msgspec

from trunkline.adapters.thinking import lost_proofs
from trunkline.catalog.abilities import takes_sampling, takes_stop, unspoken
from trunkline.catalog.entries import Endpoint, per_endpoint
from trunkline.protocol.items import Json
from trunkline.protocol.piecemeal import encode_piecemeal
from trunkline.protocol.request import Request
from trunkline.protocol.tools import TextFormat, Tool
from trunkline.wire import Headers, UpstreamRequest

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Draft:
    """The body under `body`, lost parameters under `dropped`, sentences for the instructions under `hints`.

    `streams`: the provider is asked for a stream, as the client asks, unless the endpoint can do only one.
    """

    __slots__ = ("body", "dropped", "endpoint", "hints", "quirks", "request", "streams")

    def __init__(self, request: Request, endpoint: Endpoint) -> None:
        self.request = request
        self.endpoint = endpoint
        self.quirks = quirks = endpoint.quirks
        self.body: dict[str, Json] = {}
        self.dropped: list[str] = []
        self.hints: list[str] = []
        self.streams = quirks.streams == "always" or (
            request.stream and quirks.streams == "both" and (quirks.streams_json or not _asks_for_json(request))
        )

    def takes(self, name: str, feature: str) -> bool:
        """Whether the endpoint knows a parameter (`feature` in the words of its `supports`); notes it if not."""
        supports = self.endpoint.supports
        if name not in self.quirks.drops and (supports is None or feature in supports):
            return True
        self.dropped.append(name)
        return False

    def accepts(self, modality: Literal["image", "file", "audio", "video"]) -> bool:
        if modality == "file" and (told := self.endpoint.quirks.native_files) is not None:
            return told
        known = self.endpoint.input_modalities
        return known is None or modality in known

    def within(self, name: str, value: float, least: float, most: float) -> float:
        """Clamp a number to what the dialect takes; one that had to change is noted."""
        clamped = min(max(value, least), most)
        if clamped != value:
            self.dropped.append(name)
        return clamped

    def stops(self, *, at_most: int | None = None, may_be_blank: bool = True) -> list[str]:
        """The texts at which the provider shall stop; where one is not told, the gateway sees to it alone.

        `at_most` so many are taken. `may_be_blank`: whether one of white space only is.
        """
        if not self.request.stop or not takes_stop(self.endpoint):
            return []
        return [stop for stop in self.request.stop if may_be_blank or not stop.isspace()][:at_most]

    def sampling(self) -> dict[str, Json]:
        """What is said of choosing words beyond the contract and the endpoint takes, under the usual names."""
        said = self.request.sampling
        if said is None:
            return {}
        return {name: value for name, value in said.said().items() if takes_sampling(self.endpoint, name)}

    def tell_user(self, end_user: str | None) -> None:
        """Say who the user is that the client names, in the field of OpenAI's that the endpoint knows, or note it."""
        quirks, body = self.quirks, self.body
        if end_user is None:
            self.dropped += user_names(self.request)
        elif quirks.has_safety_identifier and "safety_identifier" not in quirks.drops:
            body["safety_identifier"] = end_user
        elif quirks.has_user and "user" not in quirks.drops:
            body["user"] = end_user
        else:
            self.dropped += user_names(self.request)

    def posted(self, path: str, headers: Headers = MappingProxyType({})) -> UpstreamRequest:
        """The finished request; fixed fields of the provider go beneath what the client asked, as do `headers`."""
        request, endpoint, fixed = self.request, self.endpoint, self.quirks.extra_body
        if fixed:
            for name, value in fixed.items():
                add_beneath(self.body, name, value)
        proofs = () if request.is_text_alone else lost_proofs(request, endpoint)
        dropped = [*self.dropped, *proofs, *unspoken(request, endpoint)]
        usual, more = _STREAM if self.streams else _WHOLE, self.quirks.extra_headers
        return UpstreamRequest(
            "POST",
            endpoint.base_url + path,
            {**usual, **headers, **more} if headers or more else usual,
            _encode(self.body) if request.size == "usual" else self._encode_large(),
            tuple(dict.fromkeys(dropped)) if dropped else (),
        )

    def _encode_large(self) -> bytes:
        return encode_piecemeal(self.body, _encode, has_long_texts=self.request.size == "long_texts")


_WHOLE: Headers = {"content-type": "application/json", "accept": "application/json"}
_STREAM: Headers = {"content-type": "application/json", "accept": "text/event-stream"}


def _asks_for_json(request: Request) -> bool:
    return request.text is not None and not isinstance(request.text.format, TextFormat)


def fetched(endpoint: Endpoint, path: str, headers: Headers = MappingProxyType({})) -> UpstreamRequest:
    """A request that only asks: without a body, with the provider's fixed headers."""
    headers = {"accept": "application/json", **headers, **endpoint.quirks.extra_headers}
    return UpstreamRequest("GET", endpoint.base_url + path, headers, b"")


def fitted_seed(seed: int) -> int:
    """A seed for those who take no more than 31 bits without a sign: the same for the same, which is all it is for."""
    return seed % 2**31


def user_names(request: Request) -> list[str]:
    """The parameters in which the client names its user; all are lost where an endpoint is not told of one."""
    names = ["safety_identifier"] if request.safety_identifier else []
    if request.user:
        names.append("user")
    return names


def add_beneath(body: dict[str, Json], name: str, value: object) -> None:
    """Add a fixed field without overriding what the request set, one level deep."""
    present = body.get(name)
    if present is None:
        body[name] = value
    elif isinstance(present, dict) and isinstance(value, dict):
        body[name] = {**value, **present}


def beside_tools(
    request: Request, endpoint: Endpoint, kinds: type[Tool] | tuple[type[Tool], ...], *, by_default: bool = False
) -> Endpoint:
    """The endpoint as it is for this request where a schema for the answer and tools of some kinds exclude each other.

    With such a tool it has no schemas, so that the schema becomes one more function (see `tools.answer_tool`).
    `by_default` is what holds in the dialect where the endpoint says nothing.
    """
    told = endpoint.quirks.schema_beside_tools
    if not request.tools or (by_default if told is None else told):
        return endpoint
    return without_schemas(endpoint) if any(isinstance(tool, kinds) for tool in request.tools) else endpoint


@per_endpoint
def without_schemas(endpoint: Endpoint) -> Endpoint:
    """The endpoint as it is where it holds no answer to a form."""
    quirks = msgspec.structs.replace(endpoint.quirks, structured_output="none")
    return msgspec.structs.replace(endpoint, quirks=quirks)
