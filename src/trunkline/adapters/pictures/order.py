"""A request as an order for pictures: the text to draw from, the pictures to draw from, and wishes about the result.

For services that draw and do nothing else. It writes no wire: each dialect takes an order apart in its own words.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from trunkline.adapters import media
from trunkline.adapters.encoding.draft import Draft
from trunkline.adapters.encoding.turns import AssistantTurn, SystemTurn, UserTurn, turns
from trunkline.errors import Unprocessable
from trunkline.protocol.items import ImageGenerationCall, InputImage, InputText, Json
from trunkline.protocol.tools import FunctionTool, TextFormat
from trunkline.wire import UpstreamRequest


class Order(Struct, frozen=True):
    """What to draw. `references` are pictures with their bytes, oldest first; `wishes` is `image_config`, tidied."""

    prompt: str
    references: tuple[media.Inline, ...]
    wishes: dict[str, Json]


def read_order(draft: Draft, *, max_references: int) -> Order:
    """Read the order off a request; what has no place is noted in the draft.

    The prompt is the last user turn behind all instructions. Pictures of that turn are references, and where the model
    is known to edit so are those made before. Raises Unprocessable for what may not be lost: tools, forms of text,
    other media.
    """
    request = draft.request
    if any(isinstance(tool, FunctionTool) for tool in request.tools) and request.tool_choice != "none":
        raise Unprocessable(f"{draft.endpoint.model.slug} draws pictures and calls no tools")
    if request.text is not None and not isinstance(request.text.format, TextFormat):
        raise Unprocessable(f"{draft.endpoint.model.slug} draws pictures and writes no JSON")
    if request.tools:
        draft.dropped.append("tools")
    found = turns(request)
    last = next((turn for turn in reversed(found) if isinstance(turn, UserTurn)), UserTurn(()))
    texts = [turn.text for turn in found if isinstance(turn, SystemTurn)]
    texts += [part.text for part in last.parts if isinstance(part, InputText)]
    if not texts:
        raise Unprocessable("there is no text to draw a picture from")
    made = _made(found) if "image" in (draft.endpoint.input_modalities or ()) else []
    references = [_inline(url, draft) for url in (*made, *_given(last, draft))]
    if len(references) > max_references:
        draft.dropped.append("input_image")
        references = references[-max_references:] if max_references else []
    wishes = {name: _tidy(value) for name, value in (request.image_config or {}).items()}
    return Order("\n\n".join(texts), tuple(references), wishes)


def ordered(draft: Draft, path: str, *, is_streamed: bool = False) -> UpstreamRequest:
    """The finished request; most of these services answer whole whatever the client wants."""
    request = draft.posted(path)
    accept = "text/event-stream" if is_streamed else "application/json"
    return replace(request, headers={**request.headers, "accept": accept})


def pixels(area: int, sides: tuple[int, int], step: int) -> tuple[int, int]:
    """Width and height of at most `area` pixels in about the ratio of `sides`, in multiples of `step`."""
    width = max(int((area * sides[0] / sides[1]) ** 0.5 / step), 1) * step
    return width, max(int(width * sides[1] / sides[0] / step), 1) * step


def _made(found: Iterable[object]) -> list[str]:
    pieces = (piece for turn in found if isinstance(turn, AssistantTurn) for piece in turn.pieces)
    return [piece.result for piece in pieces if isinstance(piece, ImageGenerationCall) and piece.result]


def _given(last: UserTurn, draft: Draft) -> list[str]:
    urls = []
    for part in last.parts:
        if isinstance(part, InputImage) and draft.accepts("image"):
            urls.append(part.image_url)
        elif not isinstance(part, InputText):
            kind = type(part).__name__.removeprefix("Input").lower()
            raise Unprocessable(f"{draft.endpoint.model.slug} takes no {kind} at {draft.endpoint.provider.name}")
    return urls


def _inline(url: str, draft: Draft) -> media.Inline:
    found = media.inline(url if ":" in url[:8] else f"data:image/png;base64,{url}")
    if found is None:
        raise Unprocessable(f"{draft.endpoint.provider.name} takes no links; send the image as a data URL")
    return found


def _tidy(value: str | float) -> Json:
    """A number that has no fraction is sent without one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
