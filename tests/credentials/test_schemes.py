"""Where each scheme puts the key, and that it is seen nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest

from trunkline.catalog.entries import Catalog, CredentialScheme, CredentialSpec, Provider, Standing
from trunkline.credentials import sigv4
from trunkline.credentials.schemes import (
    SCHEMES,
    Credential,
    credential,
    credentials,
    own_credential,
    secrets_of,
    sign,
)
from trunkline.credentials.sigv4 import AwsCredential
from trunkline.settings.secret import Secret
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
        ("google", "", REQUEST.url, {"authorization": "Bearer k&1"}),
        ("azure", "", REQUEST.url, {"api-key": "k&1"}),
    ],
)
def test_a_scheme_puts_the_key_in_its_place(
    scheme: CredentialScheme, name: str, url: str, headers: dict[str, str]
) -> None:
    signed = sign(REQUEST, Credential(scheme, name, Secret("k&1")), NOW.timestamp())
    assert (signed.method, signed.url) == ("POST", url)
    assert signed.headers == {"accept": "*/*", **headers}
    assert signed.body is REQUEST.body
    assert signed.dropped == ("seed",)
    assert REQUEST.headers == {"accept": "*/*"}


def test_the_first_query_parameter_begins_the_query() -> None:
    request = UpstreamRequest("GET", "https://a.example/v1", {}, b"")
    assert sign(request, Credential("query", "key", Secret("k")), NOW.timestamp()).url == "https://a.example/v1?key=k"


def test_a_key_replaces_one_that_is_there() -> None:
    request = UpstreamRequest("GET", "https://a", {"authorization": "Bearer other"}, b"")
    assert sign(request, Credential("bearer", "", Secret("k")), NOW.timestamp()).headers == {
        "authorization": "Bearer k"
    }


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


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1/bedrock"),
        ("bedrock-mantle.eu-west-1.api.aws", "eu-west-1/bedrock-mantle"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1/bedrock"),
        ("vpce-0a1b-2c.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com:443", "ap-southeast-2/bedrock"),
        ("127.0.0.1:8080", "us-east-1/bedrock"),
        ("bedrock.internal.example", "us-east-1/bedrock"),
    ],
)
def test_aws_requests_are_signed_for_the_region_and_service_that_the_address_names(host: str, scope: str) -> None:
    request = UpstreamRequest("POST", f"https://{host}/model/m/converse", {}, b"{}")
    signed = sign(
        request, Credential("sigv4", "", Secret(""), AwsCredential("AKID", Secret("x"), "us-east-1")), NOW.timestamp()
    )
    region, _, service = scope.partition("/")
    assert f"/{scope}/aws4_request" in signed.headers["authorization"]
    assert signed == sigv4.sign(request, AwsCredential("AKID", Secret("x"), region, service=service), NOW)


def test_every_scheme_of_the_catalog_can_be_signed() -> None:
    assert SCHEMES.keys() == set(get_args(CredentialScheme))


AWS_KEYS = '{"access_key_id": "AKIA0", "secret_access_key": "s3cret/key", "session_token": "t0ken"}'


@pytest.mark.parametrize(
    ("scheme", "text", "headers"),
    [
        ("bearer", "sk-own", {"authorization": "Bearer sk-own"}),
        ("header", "sk-own", {"x-key": "sk-own"}),
        ("azure", "sk-own", {"api-key": "sk-own"}),
        ("sigv4", "bedrock-key", {"authorization": "Bearer bedrock-key"}),
    ],
)
def test_an_own_key_is_sent_as_the_provider_wants_it(
    scheme: CredentialScheme, text: str, headers: dict[str, str]
) -> None:
    own = own_credential(CredentialSpec(scheme, "X-Key"), Secret(text))
    assert sign(REQUEST, own, NOW.timestamp()).headers == {"accept": "*/*", **headers}
    assert secrets_of(own) == [text]


def test_own_keys_of_aws_sign() -> None:
    own = own_credential(CredentialSpec("sigv4"), Secret(AWS_KEYS))
    assert own.aws == AwsCredential("AKIA0", Secret("s3cret/key"), "us-east-1", Secret("t0ken"))
    assert {"s3cret/key", "t0ken"} <= set(secrets_of(own))
    request = UpstreamRequest("POST", "https://bedrock-runtime.eu-central-1.amazonaws.com/m", {}, b"{}")
    signed = sign(request, own, NOW.timestamp()).headers
    assert "Credential=AKIA0/20261122/eu-central-1/bedrock/aws4_request" in signed["authorization"]
    assert signed["x-amz-security-token"] == "t0ken"


@pytest.mark.parametrize(
    ("scheme", "text", "words"),
    [
        ("none", "sk-own", "needs no key"),
        ("google", '{"type": "service_account"}', "tokens that Google gives"),
        ("bearer", '{"key": "sk-own"}', "one text"),
        ("bearer", "", "one text"),
        ("bearer", "sk own", "one text"),
        ("header", "sk-ówn", "one text"),
        ("query", "sk\nown", "one text"),
        ("azure", '{"tenant": "t"}', "no Entra application"),
        ("sigv4", "bedrock key", "Bedrock API key, or JSON"),
        ("sigv4", '{"access_key_id": "AKIA0"}', "access_key_id and secret_access_key"),
        ("sigv4", '{"access_key_id": "AKIA0", "secret_access_key": "s", "role": "r"}', "one object of JSON"),
        ("sigv4", '{"access_key_id": "AKIA0", "secret_access_key": ""}', "no part"),
        ("sigv4", '{"access_key_id": "AKIA0", "secret_access_key": "a b"}', "no part"),
        ("sigv4", '{"access_key_id": 7, "secret_access_key": "s"}', "one object of JSON"),
        ("sigv4", "{", "one object of JSON"),
    ],
)
def test_an_own_key_that_cannot_be_sent_is_refused(scheme: CredentialScheme, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        own_credential(CredentialSpec(scheme, "x-key"), Secret(text))
    assert "own" not in str(refused.value).replace("gateway's own", "")
