"""Speaks to services with an image endpoint after OpenAI's: pictures at once, or as a stream of sketches.

Pictures that are given as links are asked for one by one, as `follow.py` allows. Masks and variations have no place.

Theory of operation of the decoder. A whole body names all pictures. Those whose bytes are in it are told at once; the
others are downloaded, and each download is one more body to the same decoder. A stream tells sketches and finished
pictures, and ends with the last of those that were ordered.

Source: https://platform.openai.com/docs/api-reference/images, …/images-streaming (2026-11-22).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trunkline.adapters import media
from trunkline.adapters.contract import Adapter, Decoder, Exchange
from trunkline.adapters.decoding.faults import fault_of_error, nonsense, unread
from trunkline.adapters.decoding.usage import clean_usage, count, told_cost
from trunkline.adapters.encoding.draft import Draft, user_names
from trunkline.adapters.encoding.links import Wanted
from trunkline.adapters.encoding.sizes import nearest_size
from trunkline.adapters.pictures.follow import downloading
from trunkline.adapters.pictures.order import Order, ordered, read_order
from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest
from trunkline.protocol.data_urls import is_data_url
from trunkline.protocol.items import Json
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Delta, Failed, Image, Spent, Stopped
from trunkline.wire import UNREADABLE, Fault, UpstreamRequest, WireMessage

MAX_REFERENCES: Final = 16
MAX_PICTURES: Final = 10


class ImagesAdapter(Adapter):
    """The dialect `images`."""

    def encode(self, request: Request, endpoint: Endpoint, end_user: str | None) -> UpstreamRequest:
        draft = Draft(request, endpoint)
        order = read_order(draft, max_references=MAX_REFERENCES)
        draft.body |= {"model": endpoint.upstream_model, "prompt": order.prompt}
        _encode_wishes(draft, dict(order.wishes))
        if not endpoint.quirks.has_user or "user" in endpoint.quirks.drops:
            draft.dropped += user_names(request)
        elif end_user is not None:
            draft.body["user"] = end_user
        is_streamed = _is_streamed(draft)
        if is_streamed:
            draft.body["stream"] = True
        else:
            draft.body.pop("partial_images", None)
            if "response_format" not in endpoint.quirks.drops:
                draft.body["response_format"] = "b64_json"
        path = endpoint.quirks.path or "/images/generations"
        if order.references:
            return _edited(ordered(draft, "/images/edits", is_streamed=is_streamed), draft, order)
        return ordered(draft, path, is_streamed=is_streamed)

    def needs_file(self, link: Wanted, endpoint: Endpoint) -> bool:
        return link.noun == "image"

    def decoder(self, request: Request, endpoint: Endpoint) -> ImagesDecoder:
        wished = (request.image_config or {}).get("n", 1)
        return ImagesDecoder(endpoint, _pictures(wished))


ADAPTER = ImagesAdapter()


def _is_streamed(draft: Draft) -> bool:
    """A stream is of use only for sketches, and few servers know it."""
    return draft.quirks.streams == "always" or (draft.streams and "partial_images" in draft.body)


def _encode_wishes(draft: Draft, wishes: dict[str, Json]) -> None:
    """Send wishes under their own names; a ratio becomes a size, but where only ratios are known."""
    if "n" in wishes:
        wishes["n"] = _pictures(wishes["n"])
    sides = wishes.pop("aspect_ratio", None)
    if sides is not None and "size" in draft.quirks.drops:
        draft.body["aspect_ratio"] = sides
    elif sides is not None and "size" not in wishes:
        size, is_exact = nearest_size(sides)
        if not is_exact:
            draft.dropped.append("image_config.aspect_ratio")
        if size is not None:
            wishes["size"] = size
    for name, value in wishes.items():
        if name in draft.quirks.drops:
            draft.dropped.append(f"image_config.{name}")
        elif name == "image_size":
            # The contract's `2K`; these services know pixels, and OpenAI answers an unknown field with a 400.
            draft.dropped.append("image_config.image_size")
        elif name not in ("model", "prompt", "stream", "response_format", "user"):
            draft.body[name] = value


def _pictures(wished: Json) -> int:
    return min(max(count(wished), 1), MAX_PICTURES)


def _edited(request: UpstreamRequest, draft: Draft, order: Order) -> UpstreamRequest:
    """Pictures to draw from travel as files of a form; its boundary is a hash of what it must not occur in."""
    boundary = sha256(b"".join(reference.data.encode() for reference in order.references)).hexdigest()
    name = "image" if len(order.references) == 1 else "image[]"
    parts = [_field(field, value) for field, value in draft.body.items()]
    parts += [_file(name, number, reference) for number, reference in enumerate(order.references, 1)]
    mark = f"--{boundary}\r\n".encode()
    body = b"".join(mark + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    headers = {**request.headers, "content-type": f"multipart/form-data; boundary={boundary}"}
    return replace(request, headers=headers, body=body)


def _field(name: str, value: Json) -> bytes:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f'content-disposition: form-data; name="{_quoted(name)}"\r\n\r\n{text}'.encode()


def _file(name: str, number: int, reference: media.Inline) -> bytes:
    file_name = f"{number}.{_quoted(reference.extension)}"
    head = f'content-disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
    return f"{head}content-type: {_quoted(reference.media_type)}\r\n\r\n".encode() + reference.decode()


def _quoted(text: str) -> str:
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


# The answer


class _InputDetails(Struct, frozen=True):
    cached_tokens: Json = 0


class _OutputDetails(Struct, frozen=True):
    image_tokens: Json = 0


class _Usage(Struct, frozen=True):
    input_tokens: Json = 0
    output_tokens: Json = 0
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None
    cost_in_usd_ticks: Json = None


class _Picture(Struct, frozen=True):
    b64_json: str | None = None
    url: str | None = None
    respect_moderation: Json = None


class _Body(Struct, frozen=True):
    data: tuple[_Picture, ...] | None = None
    usage: _Usage | None = None
    error: Json = None


class _Event(Struct, frozen=True):
    type: str = ""
    b64_json: str | None = None
    usage: _Usage | None = None
    error: Json = None


_read_body = msgspec.json.Decoder(_Body).decode
_read_event = msgspec.json.Decoder(_Event).decode


class ImagesDecoder(Decoder):
    """The state of one answer; `expected` pictures were ordered."""

    def __init__(self, endpoint: Endpoint, expected: int) -> None:
        self._endpoint = endpoint
        self._expected = expected
        self._told = 0
        self._urls: list[str] = []
        self._is_downloading = False
        self._usage: _Usage | None = None
        self.is_done = False

    def message(self, message: WireMessage) -> Iterable[Delta]:
        if self.is_done:
            return ()
        try:
            event = _read_event(message.data)
        except UNREADABLE:
            return self._fail(unread("an event cannot be read", message.data, self._endpoint.quirks))
        if event.error is not None or event.type == "error":
            return self._fail(fault_of_error(event.error or "the picture could not be drawn", self._endpoint.quirks))
        self._usage = event.usage or self._usage
        match event.type.rpartition(".")[2]:
            case "partial_image" if event.b64_json:
                return [Image(self._told, event.b64_json, False, _media_type(event.b64_json))]
            case "completed" if event.b64_json:
                return self._finished([self._picture(event.b64_json)])
            case _:
                return ()

    def whole(self, body: bytes) -> Iterable[Delta]:
        if self._is_downloading:
            return self._downloaded(body)
        try:
            answer = _read_body(body)
        except UNREADABLE:
            return self._fail(unread("the answer cannot be read", body, self._endpoint.quirks))
        if answer.error is not None:
            return self._fail(fault_of_error(answer.error, self._endpoint.quirks))
        self._usage = answer.usage
        made = [each for each in answer.data or () if each.url or each.b64_json]
        pictures = [each for each in made if each.respect_moderation is not False][:MAX_PICTURES]
        if not pictures:
            return self._fail(self._withheld(answer, body))
        self._urls = [each.url for each in pictures if each.url and not each.b64_json]
        self._expected = len(pictures)
        return self._finished([self._picture(each.b64_json) for each in pictures if each.b64_json])

    def _withheld(self, answer: _Body, body: bytes) -> Fault:
        """The fault of an answer without pictures: of a list that holds none, the model's or its moderation's doing."""
        found = unread("the answer holds no picture", body, self._endpoint.quirks)
        # xAI leaves out what it moderates, with a 200: https://github.com/vercel/ai/issues/19168 (2026-11-27).
        is_told = found.kind == "nonsense" and answer.data is not None
        return replace(found, kind="refused") if is_told else found

    def next_exchange(self, sent: UpstreamRequest, fault: Fault | None) -> Exchange | None:
        """Ask for the next picture that was given as a link."""
        if fault is not None or not self._urls:
            return None
        self._is_downloading = True
        return downloading(self._urls.pop(0), self._endpoint)

    def _downloaded(self, body: bytes) -> list[Delta]:
        text = base64.b64encode(body).decode("ascii")
        if not (media.sniffed(text) or "").startswith("image/"):
            return self._fail(nonsense("the result is not a picture"))
        return self._finished([self._picture(text)])

    def _picture(self, text: str) -> Delta:
        """A finished picture, or what is wrong with it."""
        try:
            found = media.inline(text) if is_data_url(text) else None
            data = media.checked_base64(text) if found is None else found.data
        except BadRequest:
            return Failed(nonsense("a picture is not base64"))
        self._told += 1
        return Image(self._told - 1, data, True, _media_type(data))

    def _finished(self, deltas: list[Delta]) -> list[Delta]:
        """Tell pictures; the last of those that were ordered ends the answer."""
        if any(isinstance(delta, Failed) for delta in deltas):
            self.is_done = True
        elif self._told >= self._expected:
            self.is_done = True
            deltas += [self._spent(), Stopped("stop")]
        return deltas

    def _spent(self) -> Spent:
        told = self._usage or _Usage()
        details, made = told.input_tokens_details or _InputDetails(), told.output_tokens_details
        written = count(told.output_tokens)
        return Spent(
            clean_usage(
                read=count(told.input_tokens),
                cache_read=count(details.cached_tokens),
                written=written,
                # The models before gpt-image-1.5 write nothing else, and do not say so.
                drawn=written if made is None else count(made.image_tokens),
                images=self._told,
                cost=told_cost({"cost_in_usd_ticks": told.cost_in_usd_ticks}),
            )
        )

    def _fail(self, fault: Fault) -> list[Delta]:
        self.is_done = True
        return [Failed(fault)]


def _media_type(data: str) -> str:
    return media.sniffed(data) or "image/png"
