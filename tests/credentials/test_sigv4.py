"""Signature Version 4, checked against botocore's signer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from trunkline.credentials.sigv4 import AwsCredential, sign
from trunkline.settings.secret import Secret
from trunkline.wire import UpstreamRequest

NOW = datetime(2026, 11, 22, 14, 30, 5, tzinfo=UTC)
HOST = "https://bedrock-runtime.eu-west-1.amazonaws.com"
LASTING = AwsCredential("AKIDEXAMPLE", Secret("made-up-secret"), "eu-west-1")
TEMPORARY = AwsCredential("ASIDEXAMPLE", Secret("made-up-secret"), "us-east-1", Secret("made-up-token"))


def request(path: str, body: bytes = b"{}") -> UpstreamRequest:
    headers = {"content-type": "application/json", "accept": "application/json"}
    return UpstreamRequest("POST", HOST + path, headers, body)


def botocore_authorization(sent: UpstreamRequest, credential: AwsCredential) -> str:
    """Sign the same request with botocore's steps, which take the time that its clock would give."""
    timestamp = NOW.strftime("%Y%m%dT%H%M%SZ")
    token = credential.session_token.reveal() if credential.session_token else None
    headers = {"content-type": sent.headers["content-type"], "X-Amz-Date": timestamp}
    if token is not None:
        headers["X-Amz-Security-Token"] = token
    theirs = AWSRequest(method=sent.method, url=sent.url, headers=headers, data=sent.body)
    theirs.context["timestamp"] = timestamp
    keys = Credentials(credential.access_key, credential.secret_key.reveal(), token)
    signer = SigV4Auth(keys, credential.service, credential.region)
    signature = signer.signature(signer.string_to_sign(theirs, signer.canonical_request(theirs)), theirs)
    names = signer.signed_headers(signer.headers_to_sign(theirs))
    return f"AWS4-HMAC-SHA256 Credential={signer.scope(theirs)}, SignedHeaders={names}, Signature={signature}"


@pytest.mark.parametrize("credential", [LASTING, TEMPORARY], ids=["lasting keys", "temporary keys"])
@pytest.mark.parametrize(
    "path",
    [
        "/model/anthropic.claude-x-v1%3A0/converse",
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.claude/converse-stream",
        "/model/nova/converse?b=2&a=1&a=%20x&c=",
        "",
    ],
)
def test_signs_as_botocore_does(credential: AwsCredential, path: str) -> None:
    sent = request(path, '{"text":"Grüße 🪁"}'.encode())
    assert sign(sent, credential, NOW).headers["authorization"] == botocore_authorization(sent, credential)


@given(st.binary(max_size=100), st.text("abcXYZ019-_~%25", min_size=1, max_size=20))
def test_signs_any_body_and_model_as_botocore_does(body: bytes, model: str) -> None:
    sent = request(f"/model/{model}/converse", body)
    assert sign(sent, LASTING, NOW).headers["authorization"] == botocore_authorization(sent, LASTING)


def test_the_zone_of_the_clock_does_not_matter() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert sign(request("/model/m/converse"), LASTING, elsewhere) == sign(request("/model/m/converse"), LASTING, NOW)


def test_a_temporary_credential_sends_its_token() -> None:
    assert sign(request("/"), TEMPORARY, NOW).headers["x-amz-security-token"] == "made-up-token"
    assert "x-amz-security-token" not in sign(request("/"), LASTING, NOW).headers


def test_signing_changes_only_headers() -> None:
    sent = request("/model/m/converse")
    signed = sign(sent, LASTING, NOW)
    assert (signed.method, signed.url, signed.body, signed.dropped) == (sent.method, sent.url, sent.body, sent.dropped)
    assert signed.headers.items() >= sent.headers.items()


def test_a_printed_credential_shows_no_secret() -> None:
    assert "made-up" not in f"{TEMPORARY!r} {TEMPORARY}"
