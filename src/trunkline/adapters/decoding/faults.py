"""Error bodies of every shape → Fault: what went wrong, whether it may go better elsewhere, and when.

Does not decide what follows from a fault; that is `routing/fallback.py`.

An error is read in two steps. First its facts – message, codes, status – are gathered from whatever shape the body
has, for servers are not true to their own shape. Then the kind is looked up in the one table of `faults_table.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from trunkline.adapters.decoding.faults_table import kind_of_code, kind_of_status, kind_of_words
from trunkline.adapters.decoding.strange import read_loosely
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.items import Json
from trunkline.protocol.response import ErrorCode
from trunkline.wire import UNREADABLE, Fault, FaultKind, Headers

MAX_MESSAGE = 500
MAX_RAW = 2_000
MIN_RETRY_AFTER = 1.0
MAX_RETRY_AFTER = 3_600.0
UNREADABLE_RETRY_AFTER = 30.0
"""For a provider that says that it is busy for a while, in a way that nobody can read."""

_PLAIN = Quirks()

_PASSING: Final = frozenset({"limited", "overloaded"})
"""The kinds of which one can say when they are over."""

# "Please try again in 7.66s" is OpenAI's (openai/codex#2266, seen 2026-11-27), "in 1m30.5s" Groq's, "Please retry after
# 45 seconds" Azure's (icereed/paperless-gpt#814, 2025-12-08).
_PIECE: Final = r"(\d{1,6}(?:\.\d{1,6})?) ?(ms|milliseconds?|minutes?|mins?|m|seconds?|secs?|s|hours?|hrs?|h)(?![a-z])"
_DELAY: Final = re.compile(
    rf"(?:try again|retry) (?:in|after) ((?:{_PIECE.replace('(?![a-z])', '(?![a-z]{2})')} ?){{1,4}})", re.IGNORECASE
)
_DELAY_PIECE: Final = re.compile(_PIECE, re.IGNORECASE)
_UNIT_S: Final = {"ms": 0.001, "mi": 60.0, "m": 60.0, "se": 1.0, "s": 1.0, "ho": 3600.0, "hr": 3600.0, "h": 3600.0}

_TELLING_CODES: Final[Mapping[str, ErrorCode]] = {
    code: code for code in get_args(ErrorCode) if code not in ("server_error", "rate_limit_exceeded", "invalid_prompt")
}

# Google's own form is the deepest: a list of errors, each with a list of details, of which the last may matter.
_MAX_DEPTH = 5
_MAX_DETAILS = 8


class ErrorFacts(Struct, frozen=True):
    """What an error says: `codes` are all its machine-readable names, lower-case, most telling first."""

    message: str
    codes: tuple[str, ...] = ()
    status: int | None = None
    retry_after: float | None = None


def fault(status: int, headers: Headers, body: bytes, quirks: Quirks = _PLAIN) -> Fault:
    """Classify an answer whose status is not a success."""
    text = body[: MAX_RAW * 4].decode("utf-8", "replace")
    try:
        facts = read_error(msgspec.json.decode(body))
    except UNREADABLE:
        facts = ErrorFacts(_plain_text(text, headers))
    if named := headers.get("x-amzn-errortype"):
        facts = msgspec.structs.replace(facts, codes=(named.partition(":")[0].lower(), *facts.codes))
    kind = _kind(facts, status, quirks)
    is_hinted = kind in _PASSING and bool(headers.get("retry-after"))
    hint = retry_after(headers) or _told_delay(facts, kind)
    return Fault(
        kind=kind,
        message=scrubbed(facts.message)[:MAX_MESSAGE] or f"status {status}",
        status=status,
        retry_after=hint or (UNREADABLE_RETRY_AFTER if is_hinted else None),
        raw=scrubbed(text)[:MAX_RAW] or None,
        code=_contract_code(facts, kind),
    )


def fault_of_error(error: Json, quirks: Quirks = _PLAIN) -> Fault:
    """Classify an error told inside an answer whose status was a success: the object, string or whole body."""
    facts = read_error(error)
    try:
        raw = msgspec.json.encode(error).decode()
    except UNREADABLE:
        raw = ""
    kind = _kind(facts, facts.status, quirks)
    return Fault(
        kind=kind,
        message=scrubbed(facts.message)[:MAX_MESSAGE] or "the provider reported an error",
        status=facts.status,
        retry_after=_told_delay(facts, kind),
        raw=scrubbed(raw)[:MAX_RAW] or None,
        code=_contract_code(facts, kind),
    )


def nonsense(message: str, raw: bytes = b"") -> Fault:
    """A fault for bytes that break their own dialect."""
    text = scrubbed(raw[:MAX_RAW].decode("utf-8", "replace"))
    return Fault("nonsense", message, raw=text or None)


def unread(message: str, raw: bytes, quirks: Quirks = _PLAIN) -> Fault:
    """A fault for bytes that are no message of their dialect: the error that they tell, in whatever shape, or nonsense.

    A server tells errors in shapes that are not its dialect's own: without a `type`, in a list, as a proxy's.
    """
    found = read_loosely(raw)
    if isinstance(found, list):
        found = found[0] if found else None
    if isinstance(found, dict) and (_names_error(found) and read_error(found) != ErrorFacts("")):
        return fault_of_error(found, quirks)
    return nonsense(message, raw)


def stray(raw: bytes, quirks: Quirks = _PLAIN) -> Fault | None:
    """The error that a readable message tells which is none of its dialect's, in whatever shape; None where it is none.

    Words alone are no error: servers send notes too.
    """
    found = read_loosely(raw)
    if isinstance(found, list):
        found = found[0] if found else None
    if not isinstance(found, dict):
        return None
    is_told = any(found.get(key) for key in ("error", "errors", "detail")) or "error" in (
        found.get("type"),
        found.get("object"),
    )
    has_code = bool(found.get("message")) and any(found.get(key) for key in ("code", "status_code", "status"))
    return fault_of_error(found, quirks) if is_told or has_code else None


def _names_error(told: Mapping[str, Json]) -> bool:
    return any(told.get(key) for key in ("error", "errors", "detail", "message", "__type", "base_resp"))


def read_error(body: Json) -> ErrorFacts:
    """Gather the facts of a decoded error body, whatever its shape."""
    found = list(_objects(body))
    if not found:
        return ErrorFacts(body.strip()[:MAX_RAW] if isinstance(body, str) else "")
    message = next((text for part in found if (text := _message(part))), "") or _reason(found)
    codes = tuple(dict.fromkeys(code for part in found for code in _codes(part)))
    status = next((number for part in found if (number := _status(part)) is not None), None)
    delay = next((seconds for part in found if (seconds := _retry_delay(part)) is not None), None)
    return ErrorFacts(message[:MAX_RAW], codes, status, delay)


def retry_after(headers: Headers) -> float | None:
    """Seconds until a retry is welcome, between 1 and 3,600; None when the answer does not say so in a readable way.

    A date counts from the answer's own `date`, so that no clock is needed; `upstream/reply.py` adds one where it lacks.
    """
    if (milliseconds := _seconds(headers.get("retry-after-ms"))) is not None:
        return _clamped(milliseconds / 1000)
    value = headers.get("retry-after")
    if value is None:
        return None
    if (seconds := _seconds(value)) is not None:
        return _clamped(seconds)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return None
    return _clamped(wait.total_seconds())


def _told_delay(facts: ErrorFacts, kind: FaultKind) -> float | None:
    """Seconds until a retry is welcome as the body says, in a field or else in words."""
    if facts.retry_after is not None or kind not in _PASSING:
        return facts.retry_after
    found = _DELAY.search(facts.message)
    if found is None:
        return None
    return _clamped(sum(float(number) * _UNIT_S[unit[:2].lower()] for number, unit in _DELAY_PIECE.findall(found[1])))


def _contract_code(facts: ErrorFacts, kind: FaultKind) -> ErrorCode | UnsetType:
    """The code of our own contract that the error has, where it says more than its kind."""
    if kind not in ("rejected", "refused"):
        return UNSET
    return next((_TELLING_CODES[code] for code in facts.codes if code in _TELLING_CODES), UNSET)


def scrubbed(text: str) -> str:
    """Mask what looks like a key, a token or a signature."""
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return text


_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 ***"),
    (
        re.compile(
            # The letters that these words begin with come first, for speed; so does the length below.
            r"(?i)([\"']?\b(?=[akpstx])(?:x-)?(?:api[ _-]?key|key|access[_-]?token|auth[_-]?token|token|authorization"
            r"|secret|password|signature|x-amz-[a-z-]+)\b[\"']?\s*(?:[:=]|\bprovided:)\s*[\"']?)(?!\s)[\w.~+/*=%-]{8,}"
        ),
        r"\1***",
    ),
    (
        re.compile(
            r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|nvapi|csk|fw|tgp|r8|key|tp|psk|sess)[-_][\w*.-]{6,}"
            r"|\bAIza[\w-]{10,}|\bya29\.[\w.-]+|\b(?:AKIA|ASIA)[A-Z0-9]{8,}|\beyJ[\w-]{8,}\.[\w.-]+"
        ),
        "***",
    ),
    (re.compile(r"(?<![\w/+-])(?=[\w-]{40})(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{40,}(?![\w/+-])"), "***"),
)


# The facts


def _objects(body: Json, depth: int = 0) -> Iterator[dict[str, Json]]:
    """The objects that may hold facts, the innermost error first."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(body, list):
        for part in body[:_MAX_DETAILS]:
            yield from _objects(part, depth + 1)
    elif isinstance(body, dict):
        for key in ("error", "errors", "message", "detail", "details", "base_resp", "response", "metadata"):
            if isinstance(body.get(key), dict | list):
                yield from _objects(body[key], depth + 1)
        yield body


def _message(part: Mapping[str, Json]) -> str:
    for key in ("message", "msg", "status_msg", "detail", "error", "title", "Message", "error_message"):
        value = part.get(key)
        if isinstance(value, str) and value.strip():
            where = part.get("loc")
            if isinstance(where, list) and key == "msg":
                return f"{'.'.join(str(step) for step in where)}: {value.strip()}"
            return value.strip()
    return ""


def _reason(found: list[dict[str, Json]]) -> str:
    """The machine's word for it, where there is none for people."""
    return next((part["reason"].strip() for part in found if isinstance(part.get("reason"), str)), "")


def _codes(part: Mapping[str, Json]) -> Iterator[str]:
    for key in ("code", "type", "status", "status_code", "__type", "error_type", "reason"):
        value = part.get(key)
        if isinstance(value, str) and value:
            yield value.rpartition("#")[2].lower()
        elif isinstance(value, int) and not isinstance(value, bool) and value:
            yield str(value)


def _status(part: Mapping[str, Json]) -> int | None:
    for key in ("status_code", "code", "status", "http_status", "statusCode"):
        value = part.get(key)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return None


def _retry_delay(part: Mapping[str, Json]) -> float | None:
    """Google's RetryInfo says `"retryDelay": "12s"`; some others put a number beside the message."""
    value = part.get("retryDelay", part.get("retry_after"))
    seconds = _seconds(value.removesuffix("s") if isinstance(value, str) else value)
    return None if seconds is None else _clamped(seconds)


def _seconds(value: Json) -> float | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if seconds == seconds else None


def _clamped(seconds: float) -> float:
    return min(max(seconds, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


def _plain_text(text: str, headers: Headers) -> str:
    """A body that is not JSON; a page for people is worth no more than its title."""
    if "html" in headers.get("content-type", "") or text.lstrip()[:1] == "<":
        title = re.search(r"(?is)<title[^>]*>(.*?)</title>", text)
        return " ".join(title[1].split()) if title else "the provider answered with an HTML page"
    return text.strip()


# The kind


def _kind(facts: ErrorFacts, status: int | None, quirks: Quirks) -> FaultKind:
    codes, shape = facts.codes, quirks.error_shape
    told = (
        kind_of_code(codes, shape, "nothing")
        or kind_of_words(facts.message, status)
        or kind_of_code(codes, shape, "words")
    )
    if told is not None:
        return told
    if status is None:
        return kind_of_code(codes, shape, "status") or "unavailable"
    if status in quirks.overload_statuses and status != 429:
        return "overloaded"
    return kind_of_status(status, shape)
