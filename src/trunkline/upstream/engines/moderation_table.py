"""How engines that judge texts are asked and what they answer, by kind, as values.

It reads what strangers send: no shape of an answer raises. What is not a verdict on all that was asked is a problem and
never a pass. Nothing of an answer but the names of categories is repeated, since an engine may say our key back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from trunkline.adapters.decoding.strange import as_object, read_loosely
from trunkline.catalog.moderators import Moderator
from trunkline.protocol.addresses import is_public_host
from trunkline.protocol.opaque import Json
from trunkline.upstream.engines.judged import Answer, Passage, Pictures
from trunkline.upstream.engines.refusals import refusal_of
from trunkline.wire import UpstreamRequest

DEFAULT_URL: Final = "https://api.openai.com/v1"
DEFAULT_MODEL: Final = "omni-moderation-latest"
MAX_MARKS: Final = 200_000
"""What decoding costs is values, and nobody else runs meanwhile."""

MAX_CATEGORIES: Final = 100
_CATEGORY: Final = re.compile(r"[\w /.,:&()-]{1,100}")
_VERDICT: Final = re.compile(r"\W*(safe|unsafe)\b", re.IGNORECASE)
_CODE: Final = re.compile(r"\bS[0-9]{1,3}\b", re.IGNORECASE)
_UNSAFE: Final = re.compile(r"\bunsafe\b", re.IGNORECASE)
MAX_JUDGMENT: Final = 2_000


def pictures_of(moderator: Moderator) -> Pictures:
    """Which pictures an engine judges.

    A server in the operator's own network is shown no link that a client wrote: it could reach its neighbours by it.
    """
    if moderator.kind != "openai":
        return "none"
    host = urlsplit(moderator.base_url or DEFAULT_URL).hostname or ""
    return "all" if is_public_host(host) else "data"


def questions(passages: Sequence[Passage]) -> tuple[tuple[int, ...], ...]:
    """The places of the passages that are asked for together: all texts, and each picture alone."""
    texts = tuple(place for place, passage in enumerate(passages) if not passage.picture)
    pictures = [(place,) for place, passage in enumerate(passages) if passage.picture]
    return ((texts,) if texts else ()) + tuple(pictures)


def encode_question(moderator: Moderator, passages: Sequence[Passage]) -> UpstreamRequest:
    """Ask for all of some texts, or for one picture with its text.

    https://platform.openai.com/docs/api-reference/moderations/create (2026-11-28): texts that are asked for together
    are judged one by one, parts are judged as one, and only one of them may be a picture.
    """
    asks: Json
    if passages[0].picture:
        text, picture = passages[0]
        asks = [{"type": "image_url", "image_url": {"url": picture}}]
        if text:
            asks.insert(0, {"type": "text", "text": text})
    else:
        asks = [passage.text for passage in passages]
    headers = {"accept": "application/json", "content-type": "application/json"}
    if moderator.secret is not None:
        headers["authorization"] = f"Bearer {moderator.secret.reveal()}"
    told = {"model": moderator.model or DEFAULT_MODEL, "input": asks}
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return UpstreamRequest("POST", f"{moderator.base_url or DEFAULT_URL}/moderations", headers, body)


def decode_answer(body: bytes, count: int) -> Answer:
    """Read an answer, which must hold a result for each of so many texts."""
    if body.count(b"[") + body.count(b"{") + body.count(b",") > MAX_MARKS:
        return Answer(problem="its answer is too large")
    told = read_loosely(body)
    if not isinstance(told, dict):
        return Answer(problem="its answer is no JSON", to_do="see whether base_url is the address of its API")
    results = told.get("results")
    if not isinstance(results, list) or len(results) != count:
        return Answer(problem="its answer has no result for each text")
    read = [_result(as_object(result)) for result in results]
    if None in read:
        return Answer(problem="its answer has a result that is none")
    return Answer(tuple(each.categories for each in read if each is not None))


def decode_refusal(moderator: Moderator, status: int) -> Answer:
    """What an answer means whose status is not 200."""
    found = refusal_of(status, f"moderation.{moderator.name}", questions="texts", question="question")
    return Answer(problem=found.problem, to_do=found.to_do)


def judgment(said: str) -> Answer:
    """Read what a model said of a text that it was to judge: `safe`, or `unsafe` and codes.

    https://huggingface.co/meta-llama/Llama-Guard-3-8B (2026-11-28), and as other models write it.
    """
    found = _VERDICT.match(said[:MAX_JUDGMENT])
    if found is None:
        return Answer(problem="its answer is neither safe nor unsafe")
    if found[1].lower() == "unsafe":
        codes = {code.upper() for code in _CODE.findall(said[:MAX_JUDGMENT])}
        return Answer((tuple(sorted(codes)) or ("unsafe",),))
    if _UNSAFE.search(said[:MAX_JUDGMENT]):
        return Answer(problem="its answer is safe and unsafe")
    return Answer((None,))


class _Result(NamedTuple):
    categories: tuple[str, ...] | None


def _result(told: Mapping[str, Json]) -> _Result | None:
    """Read what was said of one text; None where that is no verdict.

    Mistral says nothing but the categories: https://docs.mistral.ai/capabilities/guardrailing (2026-11-28).
    """
    is_flagged, categories = told.get("flagged"), told.get("categories")
    if not isinstance(is_flagged, bool) and ("flagged" in told or not as_object(categories)):
        return None
    found = [name for name, value in as_object(categories).items() if value is True]
    if not found and is_flagged is not True:
        return _Result(None)
    named = sorted(name for name in found[:MAX_CATEGORIES] if _CATEGORY.fullmatch(name))
    return _Result(tuple(named) or ("flagged",))
