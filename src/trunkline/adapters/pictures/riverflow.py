"""Speaks to Sourceful's Riverflow: one order, then the job is asked after until its pictures are there.

It neither waits nor downloads; `jobs.py` says what is asked next.

Source: https://www.riverflow.ai/developers/docs, and public client code (2026-11-22).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from trunkline.adapters.contract import Adapter
from trunkline.adapters.decoding.faults import fault_of_error, nonsense
from trunkline.adapters.decoding.usage import dollars
from trunkline.adapters.encoding.draft import Draft, user_names
from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.pictures.jobs import Accepted, JobDecoder, Pending, Ready
from trunkline.adapters.pictures.order import ordered, read_order
from trunkline.catalog.entries import Endpoint
from trunkline.protocol.items import Json
from trunkline.protocol.request import Request
from trunkline.wire import NONCE, UNREADABLE, Fault, UpstreamRequest

MAX_REFERENCES: Final = 10

_RESOLUTIONS: Final = frozenset({"1K", "2K", "4K"})
_NAMES: Final = {"aspect_ratio": "aspectRatio", "enhance_prompt": "enhancePrompt"}
_DONE: Final = frozenset({"completed", "succeeded"})
_FAILED: Final = frozenset({"failed", "cancelled", "error"})


class RiverflowAdapter(Adapter):
    """The dialect `riverflow`."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        draft = Draft(request, endpoint)
        order = read_order(draft, max_references=MAX_REFERENCES)
        draft.dropped += user_names(request)
        resolution = str(order.wishes.get("image_size", "1K")).upper()
        if resolution not in _RESOLUTIONS:
            draft.dropped.append("image_config.image_size")
            resolution = "1K"
        draft.body |= {
            "model": endpoint.upstream_model,
            "instruction": order.prompt,
            "resolution": resolution,
            "idempotencyKey": NONCE,
        }
        for name, value in order.wishes.items():
            if name in _NAMES:
                draft.body[_NAMES[name]] = value
            elif name != "image_size":
                draft.dropped.append(f"image_config.{name}")
        if order.references:
            draft.body["imageUrls"] = [reference.url for reference in order.references]
        path = endpoint.quirks.path or f"/generations/{'i2i' if order.references else 't2i'}"
        return msgspec.structs.replace(ordered(draft, path), has_nonce=True)

    def encode_listing(self, endpoint: Endpoint) -> None:
        """Its reference names nothing that costs nothing."""

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        return link.noun == "image"

    def decoder(self, request: Request, endpoint: Endpoint) -> JobDecoder:
        return JobDecoder(request, endpoint, _Reader())


ADAPTER = RiverflowAdapter()


class _Receipt(Struct, frozen=True, rename="camel"):
    job_id: str


class _Receipted(Struct, frozen=True):
    data: _Receipt


class _Cost(Struct, frozen=True, rename="camel"):
    currency: str = ""
    task_cost: Json = None


class _Job(Struct, frozen=True, rename="camel"):
    status: str
    last_error_message: str | None = None
    cost: _Cost | None = None


class _Artifact(Struct, frozen=True):
    type: str = ""
    status: str = ""
    url: str | None = None


class _Progress(Struct, frozen=True):
    job: _Job
    artifacts: tuple[_Artifact, ...] | None = None


class _Progressed(Struct, frozen=True):
    data: _Progress


class _Reader:
    """The bodies of this service."""

    def accepted(self, body: bytes, endpoint: Endpoint) -> Accepted | Fault:
        try:
            receipt = msgspec.json.decode(body, type=_Receipted).data
        except UNREADABLE:
            return nonsense("the order was answered without a job", body)
        url = f"{endpoint.base_url}/generations/{quote(receipt.job_id, safe='')}"
        return Accepted(UpstreamRequest("GET", url, {"accept": "application/json"}, b""))

    def progress(self, body: bytes, endpoint: Endpoint) -> Pending | Ready | Fault:
        try:
            told = msgspec.json.decode(body, type=_Progressed).data
        except UNREADABLE:
            return nonsense("the state of the job cannot be read", body)
        status = told.job.status.lower()
        if status in _FAILED:
            return fault_of_error({"message": told.job.last_error_message or f"the job is {status}"}, endpoint.quirks)
        if status not in _DONE:
            return Pending()
        cost = told.job.cost or _Cost()
        pictures = (each.url for each in told.artifacts or () if (each.type, each.status) == ("image", "ready"))
        return Ready(tuple(url for url in pictures if url), dollars(cost.task_cost) if cost.currency == "USD" else None)
