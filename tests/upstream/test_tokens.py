"""Tokens: fetched once, renewed ahead, and what an attempt hears when there is none."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.catalog.loading import known
from tests.upstream.loopback import Asked, answer, saying, serving
from trunkline.accounts.provider_keys import NOBODY, Owner, OwnKey
from trunkline.catalog.entries import Catalog, CredentialScheme, CredentialSpec, Provider, Standing
from trunkline.catalog.load import catalog_of
from trunkline.credentials.entra import Application
from trunkline.credentials.schemes import Credential
from trunkline.credentials.sigv4 import AwsCredential
from trunkline.settings.reading import build_settings, read_sources
from trunkline.settings.secret import Secret
from trunkline.upstream.http import HttpClient
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.tokens import (
    Lease,
    NoToken,
    Source,
    Tokens,
    aws_source,
    entra_application,
    entra_source,
    google_source,
    hidden_texts,
    sources,
)
from trunkline.upstream.transport import UpstreamFailure

T = TypeVar("T")

KEY = Credential("bearer", "", Secret("fixed"))


def token(text: str) -> Credential:
    return Credential("bearer", "", Secret(text))


class Time:
    """A clock that moves only when told; sleepers wake when it has passed their time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps: list[float] = []
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        woken = asyncio.get_running_loop().create_future()
        self._waiting.append((self.now + seconds, woken))
        await woken

    async def pass_by(self, seconds: float) -> None:
        self.now += seconds
        for when, woken in self._waiting:
            if when <= self.now and not woken.done():
                woken.set_result(None)
        await turns()


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def scripted(*steps: Lease | NoToken) -> tuple[Source, list[int]]:
    """A source that gives one step for each fetch, and counts them."""
    fetched: list[int] = []

    async def source() -> Lease:
        step = steps[min(len(fetched), len(steps) - 1)]
        fetched.append(len(fetched))
        if isinstance(step, NoToken):
            raise step
        return step

    return source, fetched


def with_tokens(
    source: Source, script: Callable[[Tokens, Time], Awaitable[None]], report: list[tuple[str, str]] | None = None
) -> None:
    async def play() -> None:
        time = Time()
        told = report if report is not None else []
        tokens = Tokens(
            {"plain": KEY, "cloud": KEY},
            {"cloud": source},
            clock=time.clock,
            sleep=time.sleep,
            report=lambda provider, problem: told.append((provider, problem)),
        )
        tokens.open()
        try:
            await turns()
            await script(tokens, time)
        finally:
            await tokens.close()

    asyncio.run(play())


def test_what_is_held_is_known_without_waiting() -> None:
    source, _ = scripted(Lease(token("t"), 100.0))

    async def script(tokens: Tokens, time: Time) -> None:
        assert (tokens.known("plain"), tokens.known("cloud"), tokens.known("keyless")) == (KEY, token("t"), None)
        time.now += 100.0
        assert (tokens.known("plain"), tokens.known("cloud")) == (KEY, None)

    with_tokens(source, script)


def soon() -> float:
    return asyncio.get_running_loop().time() + 1.0


def run(work: Awaitable[T]) -> T:
    async def play() -> T:
        return await work

    return asyncio.run(play())


# The keeper


def test_a_plain_key_passes_through_and_an_unknown_provider_has_none() -> None:
    async def script(tokens: Tokens, time: Time) -> None:
        assert await tokens.credential("plain", soon()) == KEY
        assert await tokens.credential("nobody", soon()) is None

    with_tokens(scripted(Lease(token("t")))[0], script)


def test_a_token_is_fetched_before_anybody_asks_and_kept() -> None:
    source, fetched = scripted(Lease(token("t"), 3600.0))

    async def script(tokens: Tokens, time: Time) -> None:
        assert fetched == [0]
        for _ in range(3):
            assert await tokens.credential("cloud", soon()) == token("t")
        assert fetched == [0]

    with_tokens(source, script)


@pytest.mark.parametrize(("lasts_s", "renewed_after_s"), [(3600.0, 3300.0), (60.0, 48.0), (0.0, 1.0)])
def test_a_token_is_renewed_before_it_runs_out(lasts_s: float, renewed_after_s: float) -> None:
    source, fetched = scripted(Lease(token("old"), lasts_s), Lease(token("new"), 3600.0))

    async def script(tokens: Tokens, time: Time) -> None:
        await time.pass_by(renewed_after_s - 0.5)
        assert fetched == [0]
        await time.pass_by(0.5)
        assert fetched == [0, 1]
        assert await tokens.credential("cloud", soon()) == token("new")

    with_tokens(source, script)


def test_what_does_not_expire_is_fetched_once() -> None:
    source, fetched = scripted(Lease(token("t")))

    async def script(tokens: Tokens, time: Time) -> None:
        await time.pass_by(10.0**9)
        assert await tokens.credential("cloud", soon()) == token("t")
        assert fetched == [0]
        assert time.sleeps == []

    with_tokens(source, script)


def test_a_failed_renewal_costs_nothing_while_the_old_token_is_good() -> None:
    source, _ = scripted(Lease(token("old"), 3600.0), NoToken("down"), Lease(token("new"), 3600.0))

    async def script(tokens: Tokens, time: Time) -> None:
        await time.pass_by(3300.0)
        assert await tokens.credential("cloud", soon()) == token("old")
        await time.pass_by(1.0)
        assert await tokens.credential("cloud", soon()) == token("new")

    with_tokens(source, script)


def test_a_token_that_ran_out_is_a_credentials_fault_and_nothing_was_sent() -> None:
    source, _ = scripted(Lease(token("old"), 3600.0), NoToken("the token endpoint is down"))

    async def script(tokens: Tokens, time: Time) -> None:
        await time.pass_by(3300.0)
        await time.pass_by(295.0)
        with pytest.raises(UpstreamFailure) as caught:
            await tokens.credential("cloud", soon())
        assert caught.value.fault.kind == "credentials"
        assert caught.value.fault.message == "the token endpoint is down"

    with_tokens(source, script)


def test_failures_are_tried_again_ever_more_slowly_and_reported() -> None:
    told: list[tuple[str, str]] = []
    source, _ = scripted(NoToken("no", "detail with sk-abcdef123456"), *[NoToken("no")] * 20)

    async def script(tokens: Tokens, time: Time) -> None:
        for _ in range(8):
            await time.pass_by(60.0)
        assert time.sleeps == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]

    with_tokens(source, script, told)
    assert told[0] == ("cloud", "no: detail with ***")
    assert told[1] == ("cloud", "no")


def test_many_attempts_wait_for_one_fetch() -> None:
    fetched: list[int] = []
    gate = asyncio.Event()

    async def source() -> Lease:
        fetched.append(1)
        await gate.wait()
        return Lease(token("t"), 60.0)

    async def script(tokens: Tokens, time: Time) -> None:
        waiting = [asyncio.create_task(tokens.credential("cloud", soon())) for _ in range(50)]
        await turns()
        assert not any(task.done() for task in waiting)
        gate.set()
        assert await asyncio.gather(*waiting) == [token("t")] * 50
        assert fetched == [1]

    with_tokens(source, script)


def test_a_wait_for_a_token_ends_at_the_deadline_of_the_request() -> None:
    async def source() -> Lease:
        await asyncio.Event().wait()
        raise AssertionError

    async def script(tokens: Tokens, time: Time) -> None:
        with pytest.raises(UpstreamFailure, match="did not come in time"):
            await tokens.credential("cloud", asyncio.get_running_loop().time())

    with_tokens(source, script)


# Which source


def catalog(scheme: CredentialScheme, secret: str | None, *, is_on: bool = True) -> Catalog:
    provider = Provider(slug="cloud", name="Cloud", credential=CredentialSpec(scheme))
    standing = Standing(provider=provider, is_on=is_on, reason="", secret=Secret(secret) if secret else None)
    return Catalog(standings={"cloud": standing}, models={}, endpoints={}, offers={}, provider_slugs={}, pairs={})


ENTRA = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "made-up"}


@pytest.mark.parametrize(
    ("scheme", "secret", "is_on", "has_source"),
    [
        ("bearer", "k", True, False),
        ("azure", "k", True, False),
        ("azure", "made-up", True, True),
        ("azure", None, True, True),
        ("sigv4", "k", True, True),
        ("google", None, True, True),
        ("google", None, False, False),
    ],
)
def test_only_providers_with_tokens_that_are_on_have_sources(
    scheme: CredentialScheme, secret: str | None, is_on: bool, has_source: bool
) -> None:
    assert bool(sources(catalog(scheme, secret, is_on=is_on), ENTRA, HttpClient(Timeouts()))) is has_source


# AWS


@pytest.mark.parametrize(
    ("key", "environ"),
    [
        ("bedrock-key", {}),
        ("bedrock-key", {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "made-up"}),
        ("AKID", {"AWS_ACCESS_KEY_ID": "AKID", "AWS_BEARER_TOKEN_BEDROCK": "bedrock-key"}),
    ],
)
def test_a_bedrock_api_key_is_an_ordinary_bearer_token(key: str, environ: dict[str, str]) -> None:
    lease = run(aws_source(key, environ)())
    assert lease == Lease(Credential("bearer", "", Secret("bedrock-key")))


def test_aws_keys_in_the_environment_need_no_library() -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_SESSION_TOKEN": "session",
        "AWS_REGION": "eu-west-1",
    }
    lease = run(aws_source("AKID", environ)())
    assert lease.lasts_s is None
    assert lease.credential.scheme == "sigv4"
    keys = lease.credential.aws
    assert keys is not None
    assert (keys.access_key, keys.secret_key, keys.session_token, keys.region) == (
        "AKID",
        Secret("made-up"),
        Secret("session"),
        "eu-west-1",
    )


@pytest.fixture
def aws_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without AWS credentials, but for the files that a test writes."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path


def test_an_aws_profile_is_found_by_botocore(aws_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (aws_home / "credentials").write_text("[work]\naws_access_key_id = AKFILE\naws_secret_access_key = made-up\n")
    monkeypatch.setenv("AWS_PROFILE", "work")
    lease = run(aws_source("work", {"AWS_PROFILE": "work", "AWS_REGION": "eu-west-1"})())
    assert lease.credential.aws is not None
    assert lease.credential.aws.access_key == "AKFILE"
    assert lease.lasts_s is not None


def test_aws_container_credentials_come_from_their_endpoint_and_are_renewed(
    aws_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore asks over real HTTP, in a thread, while the loop serves."""
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"AccessKeyId": "ASROLE", "SecretAccessKey": "made-up", "Token": "session", "Expiration": later}

    async def play() -> Lease:
        async with serving(saying(answer(json.dumps(told).encode()))) as server:
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/role"))
            source = aws_source("", {})
            first = await source()
            assert await source() == first
            assert [asked.target for asked in server.asked] == ["/role"]
            return first

    keys = run(play()).credential.aws
    assert keys is not None
    assert (keys.access_key, keys.session_token) == ("ASROLE", Secret("session"))


def test_no_aws_credentials_anywhere_says_what_to_set(aws_home: Path) -> None:
    with pytest.raises(NoToken, match="set AWS_ACCESS_KEY_ID"):
        run(aws_source("", {})())


def test_an_unknown_aws_profile_is_no_token(aws_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    with pytest.raises(NoToken, match="ProfileNotFound"):
        run(aws_source("", {})())


# Google


def service_account(token_uri: str) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "gateway@project.example",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "token_uri": token_uri,
        }
    )


GRANTED = answer(json.dumps({"access_token": "ya29.made-up", "expires_in": 3600, "token_type": "Bearer"}).encode())


@pytest.mark.parametrize("kept", ["inline", "file"])
def test_a_google_service_account_gets_its_token(kept: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(saying(GRANTED)) as server:
            key = service_account(server.url("/token"))
            if kept == "file":
                (tmp_path / "account.json").write_text(key)
                key = str(tmp_path / "account.json")
            lease = await google_source(key)()
            assert lease.credential == Credential("google", "", Secret("ya29.made-up"))
            assert lease.lasts_s is not None
            assert 3500 < lease.lasts_s <= 3600
            form = parse_qs(server.asked[0].body.decode())
            assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]

    run(play())


def test_a_workload_identity_is_exchanged_for_a_google_token(tmp_path: Path) -> None:
    (tmp_path / "subject").write_text("a token of the cluster")

    async def play() -> None:
        async with serving(saying(GRANTED)) as server:
            told = {
                "type": "external_account",
                "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": server.url("/token"),
                "credential_source": {"file": str(tmp_path / "subject")},
            }
            lease = await google_source(json.dumps(told))()
            assert lease.credential.secret == Secret("ya29.made-up")
            assert parse_qs(server.asked[0].body.decode())["subject_token"] == ["a token of the cluster"]

    run(play())


ASK_THE_MACHINE = """
import asyncio
from trunkline.upstream.tokens import google_source
print(asyncio.run(google_source("")()).credential.secret.reveal())
"""


def test_without_a_key_the_machine_is_asked_for_a_google_token(tmp_path: Path) -> None:
    """In a process of its own: google-auth reads where the metadata server is when it is imported."""

    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        assert "google" in asked.headers["metadata-flavor"].lower()
        told: dict[str, object] = {"access_token": "ya29.made-up", "expires_in": 3600, "email": "e", "scopes": []}
        is_project = "project-id" in asked.target
        writer.write(answer(b"project" if is_project else json.dumps(told).encode(), metadata_flavor="Google"))
        await writer.drain()

    async def play() -> None:
        async with serving(say) as server:
            environ = {
                "PATH": os.environ["PATH"],
                "CLOUDSDK_CONFIG": str(tmp_path),
                "GCE_METADATA_HOST": f"127.0.0.1:{server.port}",
                "GCE_METADATA_IP": f"127.0.0.1:{server.port}",
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", ASK_THE_MACHINE, stdout=asyncio.subprocess.PIPE, env=environ
            )
            printed, _ = await process.communicate()
            assert printed.decode().strip() == "ya29.made-up"

    run(play())


@pytest.mark.parametrize("key", ["{not json", '["a list"]', '{"type": "service_account"}', "/nowhere/at/all.json"])
def test_a_google_credential_that_cannot_be_read_is_no_token_and_is_not_repeated(key: str) -> None:
    with pytest.raises(NoToken, match="Google gave no token") as caught:
        run(google_source(key)())
    assert key not in caught.value.message


def test_a_refusing_google_token_endpoint_is_no_token() -> None:
    async def play() -> None:
        refusal = answer(b'{"error":"invalid_grant","error_description":"bad"}', status=400)
        async with serving(saying(refusal)) as server:
            with pytest.raises(NoToken, match="RefreshError") as caught:
                await google_source(service_account(server.url("/token")))()
            assert "invalid_grant" in caught.value.detail

    run(play())


# Entra


@pytest.mark.parametrize(
    ("key", "environ", "is_found"),
    [
        ("", ENTRA, True),
        ("made-up", ENTRA, True),
        ("an-api-key", ENTRA, False),
        ("", {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"}, False),
    ],
)
def test_an_entra_application_steps_in_where_there_is_no_key(key: str, environ: dict[str, str], is_found: bool) -> None:
    assert (entra_application(key, environ) is not None) is is_found


def entra_lease(said: bytes, asked: list[Any]) -> Lease:
    async def play() -> Lease:
        http = HttpClient(Timeouts())
        http.open()
        try:
            async with serving(saying(said)) as server:
                application = Application("the tenant", "c", Secret("made-up&"), server.url("").rstrip("/"))
                try:
                    return await entra_source(application, http)()
                finally:
                    asked.extend(server.asked)
        finally:
            await http.close()

    return run(play())


def test_entra_gives_a_bearer_token_for_the_application() -> None:
    asked: list[Any] = []
    lease = entra_lease(answer(b'{"token_type":"Bearer","expires_in":"3599","access_token":"ey.made-up"}'), asked)
    assert lease == Lease(Credential("bearer", "", Secret("ey.made-up")), 3599.0)
    assert (asked[0].method, asked[0].target) == ("POST", "/the%20tenant/oauth2/v2.0/token")
    assert parse_qs(asked[0].body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["c"],
        "client_secret": ["made-up&"],
        "scope": ["https://cognitiveservices.azure.com/.default"],
    }


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (answer(b'{"error":"invalid_client"}', status=401), "status 401, invalid_client"),
        (answer(b"<html>", status=503), "status 503"),
        (answer(b"{}"), "without a token"),
        (answer(b'{"access_token":"","expires_in":10}'), "without a token"),
        (answer(b"not json"), "without a token"),
        (b"", "closed before an answer"),
    ],
)
def test_whatever_else_entra_says_is_no_token(said: bytes, message: str) -> None:
    with pytest.raises(NoToken, match=message) as caught:
        entra_lease(said, [])
    assert "made-up" not in caught.value.message + caught.value.detail


# Keys that accounts bring

OWN = Secret("sk-own-of-an-account-0123456789")


def owner(**keys: Secret | None) -> Owner:
    return Owner("acc_1", "key_1", {slug: OwnKey(f"pk_{slug}", slug, False, key) for slug, key in keys.items()})


def with_specs(**schemes: CredentialScheme) -> Tokens:
    specs = {slug: CredentialSpec(scheme, "x-key") for slug, scheme in schemes.items()}
    fixed = {slug: Credential("bearer", "", Secret("the-houses-own-0123456789")) for slug in schemes}
    return Tokens(fixed, {}, clock=lambda: 0.0, specs=specs)


def test_TN_04_who_brings_a_key_is_given_it_as_the_provider_wants_it() -> None:
    tokens = with_specs(plain="bearer", other="header")
    brought = owner(plain=OWN, other=OWN)
    assert tokens.known("plain", brought) == Credential("bearer", "x-key", OWN)
    assert tokens.known("other", brought) == Credential("header", "x-key", OWN)
    assert asyncio.run(tokens.credential("plain", 0.0, brought)) == Credential("bearer", "x-key", OWN)


@pytest.mark.parametrize(
    "brought",
    [
        pytest.param(NOBODY, id="nobody"),
        pytest.param(owner(other=OWN), id="a key for another provider"),
        pytest.param(owner(plain=None), id="a key that cannot be opened"),
        pytest.param(owner(plain=Secret("two words")), id="a key that cannot be sent"),
    ],
)
def test_TN_04_who_brings_none_is_never_given_the_houses(brought: Owner) -> None:
    tokens = with_specs(plain="bearer", other="bearer")
    assert tokens.known("plain", brought) is None
    with pytest.raises(UpstreamFailure) as failed:
        asyncio.run(tokens.credential("plain", 0.0, brought))
    assert failed.value.fault.kind == "credentials"
    assert "own key" in failed.value.fault.message


def test_TN_04_what_a_provider_may_not_tell_back_is_the_houses_key_and_the_own_one() -> None:
    tokens = with_specs(plain="bearer")
    said = f"{OWN.reveal()} or the-houses-own-0123456789"
    assert tokens.mask("plain", owner(plain=OWN)).text(said) == "*** or ***"
    assert tokens.mask("plain", owner(plain=None)).text(said) == f"{OWN.reveal()} or ***"
    assert tokens.mask("plain").text(said) == f"{OWN.reveal()} or ***"


# Secrets


def test_SE_01_what_a_provider_may_not_tell_back_is_its_token_the_one_before_and_what_is_hidden() -> None:
    old, new, house = "aaaabbbbccccdddd", "zzzzyyyyxxxxwwww", "the-operators-own-house-word"
    source, _ = scripted(Lease(token(old), 100.0), Lease(token(new), 100.0))

    async def play() -> None:
        time = Time()
        tokens = Tokens(
            {"plain": KEY}, {"cloud": source}, clock=time.clock, sleep=time.sleep, hidden={"cloud": [house]}
        )
        tokens.open()
        try:
            await turns()
            assert tokens.mask("cloud").text(f"{old} {new} {house}") == f"*** {new} ***"
            await time.pass_by(95.0)
            assert tokens.mask("cloud").text(f"{old} {new} {house}") == "*** *** ***"
            assert tokens.mask("nobody").text(old) == old
        finally:
            await tokens.close()

    asyncio.run(play())


def test_SE_01_the_parts_of_aws_keys_are_secrets_each() -> None:
    keys = AwsCredential("AKIA", Secret("secret-key-of-aws-0123456789"), "eu-west-1", Secret("session-token-of-aws-01"))
    tokens = Tokens({"aws": Credential("sigv4", "", Secret(""), keys)}, {}, clock=lambda: 0.0)
    assert tokens.mask("aws").text("secret-key-of-aws-0123456789 session-token-of-aws-01") == "*** ***"


def test_SE_01_a_problem_is_reported_without_the_secret_a_token_is_asked_for_with() -> None:
    told: list[tuple[str, str]] = []

    async def source() -> Lease:
        raise NoToken("no token", "the client secret 8Q~entra-client-secret-value is wrong")

    async def play() -> None:
        time = Time()
        tokens = Tokens(
            {},
            {"cloud": source},
            clock=time.clock,
            sleep=time.sleep,
            report=lambda provider, problem: told.append((provider, problem)),
            hidden={"cloud": ["8Q~entra-client-secret-value"]},
        )
        tokens.open()
        await turns()
        with pytest.raises(UpstreamFailure) as failed:
            await tokens.credential("cloud", time.clock())
        await tokens.close()
        fault = tokens.mask("cloud").fault(failed.value.fault)
        assert (fault.message, fault.detail) == ("no token", "no token: the client secret *** is wrong")

    asyncio.run(play())
    assert told[0] == ("cloud", "no token: the client secret *** is wrong")


def test_SE_01_secrets_are_found_in_the_settings_and_the_environment() -> None:
    settings = build_settings(
        read_sources(
            file_text="""
            [providers.ours]
            dialect = "chat"
            base_url = "http://me:word-in-address@10.0.0.5/v1"
            api_key = "key-in-the-settings"
            headers = { x-house = "word-in-a-header" }
            [providers.amazon-bedrock]
            enabled = true
            [[endpoints]]
            provider = "ours"
            model = "a/b"
            quirks = { extra_headers = { x-room = "word-of-an-endpoint" } }
            """
        )
    )
    environ = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "aws-secret", "AWS_PROFILE": "house-profile"}
    catalog = catalog_of(known(settings, environ))
    found = hidden_texts(catalog, environ)
    assert set(found["ours"]) == {
        "key-in-the-settings",
        "word-in-address",
        "word-in-a-header",
        "word-of-an-endpoint",
    }
    assert set(found["amazon-bedrock"]) == {"aws-secret"}
