"""Error bodies of every shape → Fault: what went wrong, whether it may go better elsewhere, and when.

Does not decide what follows from a fault; that is `routing/fallback.py`. Sources: section 1.9 of the dialects notes
and the error references named there, seen 2026-11-22.

An error is read in two steps. First its facts – message, codes, status – are gathered from whatever shape the body
has, for servers are not true to their own shape. Then the kind is found by the first of three tables that knows: the
codes, the words of the message, the status.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

import msgspec
from msgspec import Struct

from trunkline.catalog.quirks import ErrorShape, Quirks
from trunkline.protocol.items import Json
from trunkline.wire import UNREADABLE, Fault, FaultKind, Headers

MAX_MESSAGE = 500
MAX_RAW = 2_000
MIN_RETRY_AFTER = 1.0
MAX_RETRY_AFTER = 3_600.0
UNREADABLE_RETRY_AFTER = 30.0
"""For a provider that says that it is busy for a while, in a way that nobody can read."""

_PLAIN = Quirks()

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
    is_hinted = kind in ("limited", "overloaded") and bool(headers.get("retry-after"))
    return Fault(
        kind=kind,
        message=scrubbed(facts.message)[:MAX_MESSAGE] or f"status {status}",
        status=status,
        retry_after=retry_after(headers) or facts.retry_after or (UNREADABLE_RETRY_AFTER if is_hinted else None),
        raw=scrubbed(text)[:MAX_RAW] or None,
    )


def fault_of_error(error: Json, quirks: Quirks = _PLAIN) -> Fault:
    """Classify an error told inside an answer whose status was a success: the object, string or whole body."""
    facts = read_error(error)
    try:
        raw = msgspec.json.encode(error).decode()
    except UNREADABLE:
        raw = ""
    return Fault(
        kind=_kind(facts, facts.status, quirks),
        message=scrubbed(facts.message)[:MAX_MESSAGE] or "the provider reported an error",
        status=facts.status,
        retry_after=facts.retry_after,
        raw=scrubbed(raw)[:MAX_RAW] or None,
    )


def nonsense(message: str, raw: bytes = b"") -> Fault:
    """A fault for bytes that break their own dialect."""
    text = scrubbed(raw[:MAX_RAW].decode("utf-8", "replace"))
    return Fault("nonsense", message, raw=text or None)


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

    A date counts from the answer's own `date`, so that no clock is needed; `upstream/http.py` adds one where it lacks.
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


def scrubbed(text: str) -> str:
    """Mask what looks like a key, a token or a signature."""
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return text


_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 ***"),
    (
        re.compile(
            r"(?i)([\"']?\b(?:x-)?(?:api[ _-]?key|key|access[_-]?token|auth[_-]?token|token|authorization|secret"
            r"|password|signature|x-amz-[a-z-]+)\b[\"']?\s*(?:[:=]|\bprovided:)\s*[\"']?)(?!\s)[\w.~+/*=%-]{8,}"
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
    (re.compile(r"(?<![\w/+-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{40,}(?![\w/+-])"), "***"),
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
    own = _CODES_BY_SHAPE.get(quirks.error_shape, {})
    for code in facts.codes:
        for name in (code, *code.split(".")):
            if kind := own.get(name) or _CODES.get(name):
                return kind
    # A server fault may quote the request, whose words say nothing about the fault.
    if status is None or status < 500:
        for pattern, kind in _WORDS:
            if pattern.search(facts.message):
                return kind
    if status is None:
        return _by_type(facts.codes)
    if status in quirks.overload_statuses and status != 429:
        return "overloaded"
    if status == 498 and quirks.error_shape == "cohere":
        return "credentials"
    return _STATUSES.get(status) or ("rejected" if 400 <= status < 500 else "unavailable")


def _by_type(codes: tuple[str, ...]) -> FaultKind:
    for code in codes:
        if kind := _TYPES.get(code):
            return kind
    return "unavailable"


_CODES: dict[str, FaultKind] = {
    "context_length_exceeded": "too_long",
    "string_above_max_length": "too_long",
    "model_max_prompt_tokens_exceeded": "too_long",
    "request_too_large": "too_long",
    "insufficient_quota": "credentials",
    "insufficient_balance": "credentials",
    "billing_not_active": "credentials",
    "billing_hard_limit_reached": "credentials",
    "billing_error": "credentials",
    "exceeded_current_quota_error": "credentials",
    "arrearage": "credentials",
    "accountoverdueerror": "credentials",
    "invalid_api_key": "credentials",
    "api_key_invalid": "credentials",
    "invalid_authentication_error": "credentials",
    "authentication_error": "credentials",
    "permission_error": "credentials",
    "incorrect_api_key_provided": "credentials",
    "unauthenticated": "credentials",
    "permission_denied": "credentials",
    "accessdeniedexception": "credentials",
    "unrecognizedclientexception": "credentials",
    "expiredtokenexception": "credentials",
    "invalidsignatureexception": "credentials",
    "content_filter": "refused",
    "content_policy_violation": "refused",
    "content_policy": "refused",
    "moderation_blocked": "refused",
    "data_inspection_failed": "refused",
    "datainspectionfailed": "refused",
    "responsibleaipolicyviolation": "refused",
    "sensitivecontentdetected": "refused",
    "inputtextsensitivecontentdetected": "refused",
    "invalid_prompt_safety": "refused",
    "model_not_found": "missing",
    "deploymentnotfound": "missing",
    "not_found_error": "missing",
    "not_found": "missing",
    "resourcenotfoundexception": "missing",
    "model_not_supported": "missing",
    "overloaded_error": "overloaded",
    "engine_overloaded_error": "overloaded",
    "service_tier_capacity_exceeded": "overloaded",
    "overloaded": "overloaded",
    "slow_down": "overloaded",
    "serviceunavailableexception": "overloaded",
    "modelnotreadyexception": "overloaded",
    "unavailable": "overloaded",
    "rate_limit_exceeded": "limited",
    "rate_limit_error": "limited",
    "rate_limit_reached_error": "limited",
    "rate_limited": "limited",
    "throttlingexception": "limited",
    "throttling": "limited",
    "ratelimitexceeded": "limited",
    "quotaexceeded": "limited",
    "resource_exhausted": "limited",
    "tokens_limit_reached": "limited",
    "too_many_requests": "limited",
    "servicequotaexceededexception": "limited",
    "timeout_error": "silent",
    "modeltimeoutexception": "silent",
    "deadline_exceeded": "silent",
    "1113": "credentials",
    "1301": "refused",
    "1302": "limited",
    "1303": "limited",
    "1305": "overloaded",
    "1313": "limited",
}

_CODES_BY_SHAPE: dict[ErrorShape, dict[str, FaultKind]] = {
    "base_resp": {
        "1000": "unavailable",
        "1001": "silent",
        "1002": "limited",
        "1004": "credentials",
        "1008": "credentials",
        "1013": "unavailable",
        "1024": "unavailable",
        "1026": "refused",
        "1027": "refused",
        "1033": "unavailable",
        "1039": "too_long",
        "2013": "rejected",
        "2049": "credentials",
        "2056": "limited",
    },
    "cloudflare": {"3036": "limited", "3040": "limited", "5007": "missing", "7000": "missing"},
}

_TYPES: dict[str, FaultKind] = {
    "invalid_request_error": "rejected",
    "invalid_argument": "rejected",
    "validationexception": "rejected",
    "failed_precondition": "rejected",
    "bad_request": "rejected",
    "tool_use_failed": "nonsense",
}

_WORDING: tuple[tuple[str, FaultKind], ...] = (
    (
        r"(maximum|max(imum)? model|model's) context|context (length|window|size)|prompt is too long"
        r"|(input|prompt|request).{0,40} (is too long|exceeds? the (maximum|max|limit)|too many tokens)"
        r"|exceeds? the (maximum|max) number of (input )?tokens|input token count.{0,40}exceeds"
        r"|too many (input )?tokens\b|maximum (allowed )?(input|prompt) length|reduce the length of",
        "too_long",
    ),
    (
        r"credit balance is too low|insufficient (balance|credits?|quota|funds)"
        r"|(exceeded|out of).{0,20} quota.{0,40}(billing|plan)|not enough (credits?|balance)"
        r"|payment required|(account|balance).{0,30}(overdue|arrears)",
        "credentials",
    ),
    (
        r"(incorrect|invalid|expired|missing|no) (api[ -]?key|access token|authentication token|credentials)"
        r"|api[ -]?key (is )?(invalid|not valid|expired|missing|not provided)"
        r"|user location is not supported",
        "credentials",
    ),
    (
        r"content (management )?polic|content filter|safety (system|polic|filter)|usage polic|flagged (as|by|for)"
        r"|inappropriate content|sensitive (content|words?)|moderation",
        "refused",
    ),
    (
        r"(engine|model|server|service|system) (is )?(currently |temporarily )?(overloaded|busy|at capacity)"
        r"|overloaded|no (available|healthy) (capacity|workers?|instances?|upstream)",
        "overloaded",
    ),
    (r"rate limit|too many requests|requests per (minute|second|day)|concurrency limit", "limited"),
    (r"model .{0,80}(does not exist|not found|is not available|not supported|no longer)|unknown model", "missing"),
)

_WORDS = tuple((re.compile(words, re.IGNORECASE), kind) for words, kind in _WORDING)

_STATUSES: dict[int, FaultKind] = {
    401: "credentials",
    402: "credentials",
    403: "credentials",
    404: "missing",
    408: "silent",
    410: "missing",
    413: "too_long",
    423: "overloaded",
    424: "unavailable",
    425: "overloaded",
    429: "limited",
    498: "limited",
    499: "unavailable",
    503: "overloaded",
    504: "silent",
    522: "unavailable",
    524: "silent",
    529: "overloaded",
}
