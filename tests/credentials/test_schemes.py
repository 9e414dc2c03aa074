"""Where each scheme puts the key, and that it is seen nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trunkline.catalog.entries import Catalog, CredentialScheme, CredentialSpec, Provider, Secret, Standing
from trunkline.credentials.schemes import Credential, credential, credentials, sign
from trunkline.wire import UpstreamRequest

NOW = datetime(2026, 11, 22, tzinfo=UTC)
REQUEST = UpstreamRequest("POST", "https://a.example/v1?x=1", {"accept": "*/*"}, b"body" * 1000, ("seed",))


@pytest.mark.parametrize(
    ("scheme", "name", "url", "headers"),
    [
        ("none", "", REQUEST.url, {}),
        ("bearer", "", REQUEST.url, {"authorization": "Bearer k&1"}),
        ("header", "x-api-key", REQUEST.url, {"x-api-key": "k&1"}),
        ("query", "key", "https://a.example/v1?x=1&key=k%261", {}),
    ],
)
def test_a_scheme_puts_the_key_in_its_place(
    scheme: CredentialScheme, name: str, url: str, headers: dict[str, str]
) -> None:
    signed = sign(REQUEST, Credential(scheme, name, Secret("k&1")), NOW)
    assert (signed.method, signed.url) == ("POST", url)
    assert signed.headers == {"accept": "*/*", **headers}
    assert signed.body is REQUEST.body
    assert signed.dropped == ("seed",)
    assert REQUEST.headers == {"accept": "*/*"}


def test_the_first_query_parameter_begins_the_query() -> None:
    request = UpstreamRequest("GET", "https://a.example/v1", {}, b"")
    assert sign(request, Credential("query", "key", Secret("k")), NOW).url == "https://a.example/v1?key=k"


def test_a_key_replaces_one_that_is_there() -> None:
    request = UpstreamRequest("GET", "https://a", {"authorization": "Bearer other"}, b"")
    assert sign(request, Credential("bearer", "", Secret("k")), NOW).headers == {"authorization": "Bearer k"}


def test_a_credential_does_not_print_its_key() -> None:
    assert "canary" not in repr(Credential("bearer", "", Secret("canary")))


def test_header_names_are_lower_case() -> None:
    assert credential(CredentialSpec("header", "X-Key"), Secret("k")).name == "x-key"
    assert credential(CredentialSpec("query", "apiKey"), Secret("k")).name == "apiKey"


def test_only_providers_that_are_on_have_credentials() -> None:
    catalog = Catalog(
        standings={
            "a": Standing(provider=Provider(slug="a", name="A"), is_on=True, reason="", secret=Secret("k")),
            "b": Standing(provider=Provider(slug="b", name="B"), is_on=False, reason="no key"),
        },
        models={},
        endpoints={},
        offers={},
        provider_slugs={},
        pairs={},
    )
    assert credentials(catalog) == {"a": Credential("bearer", "", Secret("k"))}
