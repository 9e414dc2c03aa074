"""Signing an upstream request: the provider's key put where the provider wants it.

Each scheme is one function in one table, and is apart from the dialects: any may be combined with any. Finding the
key is the catalog's part, and a scheme that needs a token first has it fetched in `upstream/tokens.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias
from urllib.parse import quote

from msgspec import Struct

from trunkline.catalog.entries import Catalog, CredentialScheme, CredentialSpec, Secret
from trunkline.wire import UpstreamRequest


class Credential(Struct, frozen=True):
    """A key and the way it is sent; `name` is the header, in lower case, or the query parameter that carries it."""

    scheme: CredentialScheme
    name: str
    secret: Secret


Scheme: TypeAlias = Callable[[UpstreamRequest, Credential, datetime], UpstreamRequest]


def sign(request: UpstreamRequest, credential: Credential, now: datetime) -> UpstreamRequest:
    """Return the request with its credential; the body is shared, not copied.

    Raises KeyError for a scheme that is not in the table; the catalog turns such providers off.
    """
    return SCHEMES[credential.scheme](request, credential, now)


def credential(spec: CredentialSpec, secret: Secret | None) -> Credential:
    """Join what a provider wants with the key the operator has."""
    name = spec.name if spec.scheme == "query" else spec.name.lower()
    return Credential(spec.scheme, name, secret or Secret(""))


def credentials(catalog: Catalog) -> dict[str, Credential]:
    """List the credentials of all providers that are on, by provider slug."""
    return {
        slug: credential(standing.provider.credential, standing.secret)
        for slug, standing in catalog.standings.items()
        if standing.is_on
    }


def _sign_none(request: UpstreamRequest, credential: Credential, now: datetime) -> UpstreamRequest:
    return request


def _sign_bearer(request: UpstreamRequest, credential: Credential, now: datetime) -> UpstreamRequest:
    return _with_header(request, "authorization", f"Bearer {credential.secret.reveal()}")


def _sign_header(request: UpstreamRequest, credential: Credential, now: datetime) -> UpstreamRequest:
    return _with_header(request, credential.name, credential.secret.reveal())


def _sign_query(request: UpstreamRequest, credential: Credential, now: datetime) -> UpstreamRequest:
    joint = "&" if "?" in request.url else "?"
    url = f"{request.url}{joint}{quote(credential.name, safe='')}={quote(credential.secret.reveal(), safe='')}"
    return UpstreamRequest(request.method, url, request.headers, request.body, request.dropped)


def _with_header(request: UpstreamRequest, name: str, value: str) -> UpstreamRequest:
    headers = {**request.headers, name: value}
    return UpstreamRequest(request.method, request.url, headers, request.body, request.dropped)


SCHEMES: Mapping[CredentialScheme, Scheme] = {
    "none": _sign_none,
    "bearer": _sign_bearer,
    "header": _sign_header,
    "query": _sign_query,
}
