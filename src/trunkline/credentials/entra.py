"""Microsoft Entra tokens: how an application asks for one, and how the answer is read.

It sends nothing and keeps nothing. Certificates, managed identities and people's accounts have no place here.

Source: https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow (2026-11-22).
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from trunkline.settings.secret import Secret
from trunkline.wire import UNREADABLE, UpstreamRequest

AUTHORITY = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"


class Application(Struct, frozen=True):
    """An application registered in a tenant, and what it wants to use."""

    tenant: str
    client_id: str
    secret: Secret
    authority: str = AUTHORITY
    scope: str = SCOPE


class Grant(Struct, frozen=True):
    """A token and for how many seconds it is good."""

    token: Secret
    lasts_s: float


class _Granted(Struct, frozen=True):
    access_token: str
    expires_in: float


class _Refusal(Struct, frozen=True):
    error: str = ""


def encode_grant_request(application: Application) -> UpstreamRequest:
    """Ask for a token in the application's own name."""
    form = {
        "grant_type": "client_credentials",
        "client_id": application.client_id,
        "client_secret": application.secret.reveal(),
        "scope": application.scope,
    }
    return UpstreamRequest(
        method="POST",
        url=f"{application.authority}/{quote(application.tenant, safe='')}/oauth2/v2.0/token",
        headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
        body=urlencode(form).encode(),
    )


def decode_grant(body: bytes) -> Grant | None:
    """Read the answer to a request for a token; None when it holds none."""
    try:
        granted = msgspec.json.decode(body, type=_Granted, strict=False)
    except UNREADABLE:
        return None
    if not granted.access_token or not granted.access_token.isascii() or granted.expires_in <= 0:
        return None
    return Grant(Secret(granted.access_token), granted.expires_in)


def decode_refusal(body: bytes) -> str:
    """The name of the error, as `invalid_client`; empty when the answer names none."""
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except UNREADABLE:
        return ""
    return error[:100] if error.isidentifier() else ""
