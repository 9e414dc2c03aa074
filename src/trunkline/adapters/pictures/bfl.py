"""Speaks to Black Forest Labs: one order for one picture, then the job is asked after until its picture is there.

It neither waits nor downloads; `jobs.py` says what is asked next. Fill, depth and other tools have no place here.

Source: https://docs.bfl.ai/quick_start/generating_images, https://api.bfl.ai/openapi.json (2026-11-22).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from trunkline.adapters.contract import Adapter
from trunkline.adapters.decoding import faults
from trunkline.adapters.decoding.faults import nonsense
from trunkline.adapters.decoding.usage import dollars
from trunkline.adapters.encoding.draft import Draft, fetched, user_names
from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.encoding.sizes import ratio
from trunkline.adapters.pictures.follow import is_own
from trunkline.adapters.pictures.jobs import Accepted, JobDecoder, Pending, Ready
from trunkline.adapters.pictures.order import ordered, pixels, read_order
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Json
from trunkline.protocol.request import Request
from trunkline.wire import UNREADABLE, Fault, UpstreamRequest

MAX_REFERENCES: Final = 8

_AREAS: Final = {"0.5K": 512**2, "1K": 1024**2, "2K": 2048**2}
"""Pixels by `image_size`; no model draws more than four million."""

_STEP: Final = 16
_SWITCHES: Final = {"true": True, "false": False}
_FORMATS: Final = {"jpg": "jpeg"}


class BflAdapter(Adapter):
    """The dialect `bfl`."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        draft = Draft(request, endpoint)
        order = read_order(draft, max_references=MAX_REFERENCES)
        draft.dropped += user_names(request)
        wishes = dict(order.wishes)
        draft.body["prompt"] = order.prompt
        _encode_size(draft, wishes)
        draft.body |= {name: _switched(value) for name, value in wishes.items() if name not in draft.body}
        draft.body.setdefault("output_format", "png")
        for number, reference in enumerate(order.references, 1):
            draft.body["input_image" if number == 1 else f"input_image_{number}"] = reference.data
        return ordered(draft, endpoint.quirks.path or f"/{quote(endpoint.upstream_model, safe='/')}")

    def encode_listing(self, endpoint: Endpoint) -> UpstreamRequest:
        """It lists no models, but says what is left of the credit.

        Source: https://docs.bfl.ai/api-reference/get-the-users-credits, seen 2026-11-27.
        """
        return fetched(endpoint, "/credits")

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        return link.noun == "image"

    def decoder(self, request: Request, endpoint: Endpoint) -> JobDecoder:
        return JobDecoder(request, endpoint, _Reader())


ADAPTER = BflAdapter()


def _encode_size(draft: Draft, wishes: dict[str, Json]) -> None:
    """A size becomes pixels; without one the ratio alone is sent, and pixels that were asked for go before both."""
    size, sides = wishes.pop("image_size", None), wishes.get("aspect_ratio")
    if "width" in wishes or "height" in wishes:
        wishes.pop("aspect_ratio", None)
        return
    if size is None:
        return
    area = _AREAS.get(str(size).upper())
    if area is None:
        draft.dropped.append("image_config.image_size")
        return
    wishes.pop("aspect_ratio", None)
    draft.body["width"], draft.body["height"] = pixels(area, ratio(sides) or (1, 1), _STEP)


def _switched(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    return _SWITCHES.get(value.lower(), _FORMATS.get(value.lower(), value))


_USD_PER_CREDIT = Decimal("0.01")
"""https://docs.bfl.ai/quick_start/pricing (2026-11-27)."""


class _Task(Struct, frozen=True):
    id: str
    polling_url: str | None = None
    cost: Json = None


class _Result(Struct, frozen=True):
    sample: str | None = None


class _Status(Struct, frozen=True):
    status: str
    result: _Result | None = None
    details: Json = None


class _Reader:
    """The bodies of this service."""

    def accepted(self, body: bytes, endpoint: Endpoint) -> Accepted | Fault:
        try:
            task = msgspec.json.decode(body, type=_Task)
        except UNREADABLE:
            return nonsense("the order was answered without a job", body)
        url = task.polling_url or ""
        if not is_own(url, endpoint):
            # Our key does not go wherever a body says; the address that the reference names holds the same.
            url = f"{endpoint.base_url}/get_result?id={quote(task.id, safe='')}"
        credits = dollars(task.cost)
        cost_usd = None if credits is None else credits * _USD_PER_CREDIT
        return Accepted(UpstreamRequest("GET", url, {"accept": "application/json"}, b""), cost_usd)

    def progress(self, body: bytes, endpoint: Endpoint) -> Pending | Ready | Fault:
        try:
            told = msgspec.json.decode(body, type=_Status)
        except UNREADABLE:
            return nonsense("the state of the job cannot be read", body)
        match told.status:
            case "Ready":
                return Ready((told.result.sample,) if told.result and told.result.sample else ())
            case "Request Moderated" | "Content Moderated":
                return Fault("refused", told.status)
            case "Error" | "Task not found":
                return Fault("unavailable", told.status, raw=faults.scrubbed(body[:500].decode("utf-8", "replace")))
            case _:
                return Pending()
