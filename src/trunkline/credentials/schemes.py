"""Signing an upstream request: the provider's key put where the provider wants it.

Each scheme is one entry in one table, and is apart from the dialects: any may be combined with any. Finding the
key is the catalog's part, and a scheme that needs a token first has it fetched in `upstream/tokens.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeAlias, assert_never
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.entries import Catalog, CredentialScheme, CredentialSpec
from trunkline.credentials import sigv4
from trunkline.credentials.sigv4 import AwsCredential
from trunkline.settings.secret import Secret
from trunkline.wire import UNREADABLE, UpstreamRequest

AZURE_KEY_HEADER = "api-key"

_AWS_REGION = re.compile(r"(?<![a-z0-9-])[a-z]{2}(?:-[a-z]+)+-[0-9]+(?![a-z0-9-])")

_UNSENDABLE = re.compile(r"[^\x21-\x7e]")

_MANTLE = "bedrock-mantle"
"""The hosts with OpenAI's and Anthropic's dialects are a service of their own."""


class Credential(Struct, frozen=True, dict=True):
    """A key and the way it is sent; `name` is the header, in lower case, or the query parameter that carries it.

    `aws` holds the keys of the scheme `sigv4`, which has no `secret` of its own.
    """

    scheme: CredentialScheme
    name: str
    secret: Secret
    aws: AwsCredential | None = None

    @cached_property
    def field(self) -> dict[str, str]:
        """The header field that carries the key, where that is all there is to the scheme; else nothing."""
        match self.scheme:
            case "bearer" | "google":
                return {"authorization": f"Bearer {self.secret.reveal()}"}
            case "header":
                return {self.name: self.secret.reveal()}
            case "azure":
                return {AZURE_KEY_HEADER: self.secret.reveal()}
            case "none" | "query" | "sigv4":
                return {}
            case _:
                assert_never(self.scheme)


Scheme: TypeAlias = Callable[[UpstreamRequest, Credential, float], UpstreamRequest]


def sign(request: UpstreamRequest, credential: Credential, now: float) -> UpstreamRequest:
    """Return the request with its credential, at a Unix time; the body is shared, not copied.

    Raises KeyError for a scheme that is not in the table; the catalog turns such providers off.
    """
    scheme = SCHEMES[credential.scheme]
    if scheme is not None:
        return scheme(request, credential, now)
    headers = {**request.headers, **credential.field}
    return UpstreamRequest(request.method, request.url, headers, request.body, request.dropped)


def credential(spec: CredentialSpec, secret: Secret | None) -> Credential:
    """Join what a provider wants with the key the operator has."""
    name = spec.name if spec.scheme == "query" else spec.name.lower()
    return Credential(spec.scheme, name, secret or Secret(""))


def credentials(catalog: Catalog) -> dict[str, Credential]:
    """List the credentials of all providers that may be called, by provider slug; those with tokens lack the token."""
    return {
        slug: credential(standing.provider.credential, standing.secret)
        for slug, standing in catalog.standings.items()
        if standing.is_callable
    }


class _AwsParts(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of one AWS identity, as an account's own are given."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    region: str = "us-east-1"


def own_credential(spec: CredentialSpec, secret: Secret) -> Credential:
    """Join what a provider wants with a key that an account brings: its text, or for AWS's keys an object of JSON.

    Raises ValueError, saying what the provider takes, for one that cannot be sent there.
    """
    text = secret.reveal()
    match spec.scheme:
        case "none":
            raise ValueError("it needs no key")
        case "google":
            raise ValueError("it is asked with tokens that Google gives for a service account; only the gateway's own")
        case "sigv4" if text.startswith("{"):
            return _aws_credential(text)
        case "sigv4":
            _check_sendable(text, "its key is a Bedrock API key, or JSON with access_key_id and secret_access_key")
            return Credential("bearer", "", secret)
        case "azure":
            _check_sendable(text, "its key is the API key of the resource that is asked; no Entra application")
        case "bearer" | "header" | "query":
            _check_sendable(text, "its key is one text, without white space")
        case _:
            assert_never(spec.scheme)
    return credential(spec, secret)


def _aws_credential(text: str) -> Credential:
    try:
        parts = msgspec.json.decode(text, type=_AwsParts)
    except UNREADABLE:
        wanted = "access_key_id and secret_access_key, and session_token and region where there are any"
        raise ValueError(f"its keys are one object of JSON with {wanted}") from None
    for each in (parts.access_key_id, parts.secret_access_key, parts.session_token or "-", parts.region):
        _check_sendable(each, "no part of its keys is empty or has white space in it")
    token = Secret(parts.session_token) if parts.session_token else None
    keys = AwsCredential(parts.access_key_id, Secret(parts.secret_access_key), parts.region, token)
    return Credential("sigv4", "", Secret(""), keys)


def _check_sendable(text: str, words: str) -> None:
    if not text or text.startswith("{") or _UNSENDABLE.search(text):
        raise ValueError(words)


def secrets_of(credential: Credential) -> list[str]:
    """List what of a credential nobody may be told."""
    found = [credential.secret.reveal()]
    if credential.aws is not None:
        found.append(credential.aws.secret_key.reveal())
        found += [credential.aws.session_token.reveal()] if credential.aws.session_token else []
    return found


def _sign_none(request: UpstreamRequest, credential: Credential, now: float) -> UpstreamRequest:
    return request


def _sign_query(request: UpstreamRequest, credential: Credential, now: float) -> UpstreamRequest:
    joint = "&" if "?" in request.url else "?"
    url = f"{request.url}{joint}{quote(credential.name, safe='')}={quote(credential.secret.reveal(), safe='')}"
    return UpstreamRequest(request.method, url, request.headers, request.body, request.dropped)


def _sign_sigv4(request: UpstreamRequest, credential: Credential, now: float) -> UpstreamRequest:
    """Sign for the region and the service that the address names; the operator's usual region may be another."""
    keys = credential.aws
    if keys is None:
        raise AssertionError("a credential of scheme sigv4 holds AWS keys")
    host = urlsplit(request.url).netloc
    found = _AWS_REGION.search(host)
    region = keys.region if found is None else found[0]
    service = _MANTLE if host.startswith(f"{_MANTLE}.") else keys.service
    return sigv4.sign(request, replace(keys, region=region, service=service), datetime.fromtimestamp(now, UTC))


SCHEMES: Mapping[CredentialScheme, Scheme | None] = {
    "none": _sign_none,
    "bearer": None,
    "header": None,
    "query": _sign_query,
    "sigv4": _sign_sigv4,
    "google": None,
    "azure": None,
}
"""None where the field with the key is all there is to it (`Credential.field`).

With `azure` a key goes into its own header; an Entra token is an ordinary bearer credential."""
