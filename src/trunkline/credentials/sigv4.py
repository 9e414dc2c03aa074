"""Signs an upstream request for AWS, Signature Version 4.

It neither finds nor renews credentials, and reads no clock: both are given. A Bedrock API key needs none of this; it is
an ordinary bearer token.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (2026-11-22).
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
from msgspec import Struct

from trunkline.settings.secret import Secret
from trunkline.wire import Headers, UpstreamRequest

_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = ("content-type", "host", "x-amz-date", "x-amz-security-token")
"""The headers that are signed where present, in order; others may be added or changed on the way."""


class AwsCredential(Struct, frozen=True):
    """Keys of one AWS identity and where they are used; `session_token` belongs to temporary ones."""

    access_key: str
    secret_key: Secret
    region: str
    session_token: Secret | None = None
    service: str = "bedrock"


def sign(request: UpstreamRequest, credential: AwsCredential, now: datetime) -> UpstreamRequest:
    """Add the date, token and `authorization` headers; `now` is aware, in any zone."""
    timestamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {**request.headers, "host": urlsplit(request.url).netloc, "x-amz-date": timestamp}
    if credential.session_token is not None:
        headers["x-amz-security-token"] = credential.session_token.reveal()
    scope = f"{timestamp[:8]}/{credential.region}/{credential.service}/aws4_request"
    canonical = sha256(_canonical_request(request, headers).encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{timestamp}\n{scope}\n{canonical}"
    signature = hmac.new(_signing_key(credential, timestamp[:8]), to_sign.encode(), sha256).hexdigest()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credential.access_key}/{scope}, "
        f"SignedHeaders={_signed_names(headers)}, Signature={signature}"
    )
    return msgspec.structs.replace(request, headers=headers)


def _canonical_request(request: UpstreamRequest, headers: Headers) -> str:
    url = urlsplit(request.url)
    # Outside S3 the path is encoded twice: once as it is sent, once more as it is signed.
    path = quote(url.path or "/", safe="/~")
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in _SIGNED if name in headers]
    return "\n".join(
        [request.method, path, _canonical_query(url.query), *lines, "", _signed_names(headers), _digest(request.body)]
    )


def _canonical_query(query: str) -> str:
    pairs = [
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(query, keep_blank_values=True)
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _signed_names(headers: Headers) -> str:
    return ";".join(name for name in _SIGNED if name in headers)


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def _signing_key(credential: AwsCredential, date: str) -> bytes:
    key = f"AWS4{credential.secret_key.reveal()}".encode()
    for part in (date, credential.region, credential.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
