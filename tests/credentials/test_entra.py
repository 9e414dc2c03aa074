"""Asking Entra for a token, and reading what it says."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from trunkline.credentials.entra import Application, Grant, decode_grant, decode_refusal, encode_grant_request
from trunkline.settings.secret import Secret

APPLICATION = Application("contoso/x", "client", Secret("made-up &="))


def test_the_secret_travels_in_the_body_only() -> None:
    request = encode_grant_request(APPLICATION)
    assert request.url == "https://login.microsoftonline.com/contoso%2Fx/oauth2/v2.0/token"
    assert parse_qs(request.body.decode())["client_secret"] == ["made-up &="]
    assert "made-up" not in f"{request.url}{request.headers}{APPLICATION}"


@pytest.mark.parametrize(
    ("body", "grant"),
    [
        (b'{"access_token":"t","expires_in":3599}', Grant(Secret("t"), 3599.0)),
        (b'{"access_token":"t","expires_in":"3599","ext_expires_in":7200}', Grant(Secret("t"), 3599.0)),
        (b'{"access_token":"t","expires_in":-1}', None),
        (b'{"access_token":"","expires_in":5}', None),
        (b'{"expires_in":5}', None),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_a_grant_is_read_or_there_is_none(body: bytes, grant: Grant | None) -> None:
    assert decode_grant(body) == grant


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"error":"invalid_client","error_description":"AADSTS7000215: ..."}', "invalid_client"),
        (b'{"error":"<script>"}', ""),
        (b'{"error":7}', ""),
        (b"<html>", ""),
    ],
)
def test_only_the_name_of_a_refusal_is_passed_on(body: bytes, name: str) -> None:
    assert decode_refusal(body) == name
