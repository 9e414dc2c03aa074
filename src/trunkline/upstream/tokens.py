"""Credentials that expire: fetched before anybody asks, renewed before they run out, handed out without waiting.

How a credential is put on a request is `credentials/schemes.py`'s. Keys that do not expire pass through untouched.

Theory of operation. Each provider with tokens has one keeper, a task that fetches, sleeps until shortly before the
expiry, and fetches again; a failure is tried again ever more slowly. Because only the keeper fetches, there is never
more than one fetch for a provider. An attempt takes what the keeper holds. When that has run out it waits for a fetch
under way, and if there is none, or it fails, the attempt ends with a `credentials` fault: the next endpoint is asked.

google-auth and botocore do their own I/O, which blocks, so they run in a thread. Both are optional extras.

Keys that accounts bring do not expire and are not kept here: they come along with the request (`Owner`), so that no
request can be given another's. What asks with one is never given the house's key in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from json import loads
from pathlib import Path
from typing import Any, TypeAlias

from trunkline.accounts.provider_keys import Owner
from trunkline.adapters.decoding.faults import scrubbed
from trunkline.catalog.entries import Catalog, CredentialSpec
from trunkline.credentials.entra import AUTHORITY, Application, decode_grant, decode_refusal, encode_grant_request
from trunkline.credentials.masking import Mask, address_secrets
from trunkline.credentials.schemes import Credential, own_credential, secrets_of
from trunkline.credentials.sigv4 import AwsCredential
from trunkline.settings.secret import Secret
from trunkline.upstream.http import HttpClient
from trunkline.upstream.transport import UpstreamFailure
from trunkline.wire import Fault

GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_RENEW_AHEAD_S = 300.0
_RENEW_AHEAD_SHARE = 0.2
_MARGIN_S = 10.0
_MARGIN_SHARE = 0.1
_MAX_BACKOFF_S = 60.0
_MAX_WAIT_S = 15.0
_FETCH_S = 20.0
_MAX_ANSWER_BYTES = 64 * 1024
_AWS_LEASE_S = 540.0
"""botocore renews what has under ten minutes left when it is asked, so what it gives is good for about as long."""


@dataclass(frozen=True)
class Lease:
    """A credential and for how many seconds it is good; None if it does not expire."""

    credential: Credential
    lasts_s: float | None = None


class NoToken(Exception):
    """A fetch failed. `message` may be told to clients; `detail` is for the operator, without secrets."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = scrubbed(detail)[:500]

    @property
    def told(self) -> str:
        """What the operator is told, which is nothing more where there is no detail."""
        return f"{self.message}: {self.detail}" if self.detail else ""


Source: TypeAlias = Callable[[], Awaitable[Lease]]
"""One fetch; raises NoToken."""

Report: TypeAlias = Callable[[str, str], None]
"""Told the provider's slug and the problem, each time a fetch fails."""


class Tokens:
    """The credentials of all providers that are on, as they are now."""

    def __init__(
        self,
        fixed: Mapping[str, Credential],
        sources: Mapping[str, Source],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        report: Report = lambda provider, problem: None,
        hidden: Mapping[str, Collection[str]] = {},
        specs: Mapping[str, CredentialSpec] = {},
    ) -> None:
        """Take credentials and sources by provider slug, where a source goes before; the clock is the loop's.

        `hidden` are the secrets of each provider that are not among these; `specs` says how each wants its key.
        """

        def report_masked(provider: str, problem: str) -> None:
            report(provider, self.mask(provider).text(problem))

        self._fixed = {slug: credential for slug, credential in fixed.items() if slug not in sources}
        self._keepers = {slug: _Keeper(slug, source, clock, sleep, report_masked) for slug, source in sources.items()}
        self._hidden = hidden
        self._specs = specs
        self._masks: dict[str, tuple[frozenset[str], Mask]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Begin to fetch; must be called on the loop."""
        self._tasks = [asyncio.create_task(keeper.keep()) for keeper in self._keepers.values()]

    async def close(self) -> None:
        """Stop fetching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def known(self, provider: str, owner: Owner | None = None) -> Credential | None:
        """The provider's credential where there is nothing to wait for; else `credential` says what there is.

        With an `owner` it is their own, and never the house's.
        """
        if owner is not None:
            return self._own(provider, owner)
        fixed = self._fixed.get(provider)
        if fixed is not None:
            return fixed
        keeper = self._keepers.get(provider)
        return None if keeper is None else keeper.held()

    async def credential(self, provider: str, deadline: float, owner: Owner | None = None) -> Credential | None:
        """Give the provider's credential, None if it needs none; `deadline` bounds the wait for a fetch under way.

        Raises UpstreamFailure with a `credentials` fault.
        """
        credential = self.known(provider, owner)
        if owner is not None:
            if credential is None:
                raise UpstreamFailure(Fault("credentials", "the account's own key for it cannot be opened or used now"))
            return credential
        keeper = self._keepers.get(provider)
        return await keeper.awaited(deadline) if credential is None and keeper is not None else credential

    def mask(self, provider: str, owner: Owner | None = None) -> Mask:
        """Give what takes the provider's secrets out of a text: those of now, the token before, and the owner's."""
        keeper, fixed = self._keepers.get(provider), self._fixed.get(provider)
        known = [fixed] if keeper is None else keeper.latest
        secrets = frozenset(self._hidden.get(provider, ())).union(*map(secrets_of, filter(None, known)))
        if owner is not None:
            # Not kept: it is made when an attempt with an own key fails, and there may be any number of owners.
            own = self._own(provider, owner)
            return Mask(secrets.union(() if own is None else secrets_of(own)))
        kept = self._masks.get(provider)
        if kept is None or kept[0] != secrets:
            kept = self._masks[provider] = secrets, Mask(secrets)
        return kept[1]

    def _own(self, provider: str, owner: Owner) -> Credential | None:
        """The owner's key for a provider as it is sent there; None where it cannot be."""
        own, spec = owner.keys.get(provider), self._specs.get(provider)
        if own is None or own.secret is None or spec is None:
            return None
        try:
            return own_credential(spec, own.secret)
        except ValueError:  # the operator changed how the provider is asked
            return None


class _Keeper:
    """Fetches and keeps the credential of one provider."""

    def __init__(
        self,
        provider: str,
        source: Source,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        report: Report,
    ) -> None:
        self._provider = provider
        self._source = source
        self._clock = clock
        self._sleep = sleep
        self._report = report
        self._credential: Credential | None = None
        self.latest: tuple[Credential | None, ...] = ()
        self._good_until = float("-inf")
        self._problem = NoToken("its token has not been fetched yet")
        self._is_settled = asyncio.Event()

    def held(self) -> Credential | None:
        return self._credential if self._clock() < self._good_until else None

    async def awaited(self, deadline: float) -> Credential:
        """Wait for the fetch that is under way, if one is."""
        latest = min(deadline, asyncio.get_running_loop().time() + _MAX_WAIT_S)
        problem = NoToken("its token did not come in time")
        with suppress(TimeoutError):
            async with asyncio.timeout_at(latest):
                await self._is_settled.wait()
            problem = self._problem
        credential = self.held()
        if credential is None:
            raise UpstreamFailure(Fault("credentials", problem.message, detail=problem.told or None))
        return credential

    async def keep(self) -> None:
        """Fetch for as long as there is something to renew."""
        backoff_s = 1.0
        while True:
            self._is_settled.clear()
            try:
                lease = await self._source()
            except NoToken as problem:
                self._problem = problem
                self._report(self._provider, problem.told or problem.message)
                wait_s, backoff_s = backoff_s, min(backoff_s * 2, _MAX_BACKOFF_S)
            else:
                wait_s, backoff_s = self._take(lease), 1.0
            finally:
                self._is_settled.set()
            if wait_s == float("inf"):
                return
            await self._sleep(wait_s)

    def _take(self, lease: Lease) -> float:
        """Keep a credential; gives the seconds until it should be renewed."""
        self.latest = (self._credential, lease.credential)
        self._credential = lease.credential
        self._problem = NoToken("its token has run out")
        lasts_s = float("inf") if lease.lasts_s is None else max(lease.lasts_s, 0.0)
        self._good_until = self._clock() + lasts_s - min(_MARGIN_S, lasts_s * _MARGIN_SHARE)
        return max(lasts_s - min(_RENEW_AHEAD_S, lasts_s * _RENEW_AHEAD_SHARE), 1.0)


def sources(catalog: Catalog, environ: Mapping[str, str], http: HttpClient) -> dict[str, Source]:
    """Find where the credentials that expire come from, by the slugs of the providers that are on."""
    found: dict[str, Source] = {}
    for slug, standing in catalog.standings.items():
        if not standing.is_on:
            continue
        key = standing.secret.reveal() if standing.secret else ""
        match standing.provider.credential.scheme:
            case "sigv4":
                found[slug] = aws_source(key, environ)
            case "google":
                found[slug] = google_source(key)
            case "azure" if (application := entra_application(key, environ)) is not None:
                found[slug] = entra_source(application, http)
            case _:
                pass
    return found


def hidden_texts(catalog: Catalog, environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """List, by provider slug, what no provider may tell back and no log may hold besides what requests are signed with.

    It is what tokens are asked for with, the operator's fixed headers, and what stands in addresses. The name of a
    profile or of a file is no secret, though it counts as a key.
    """
    found: dict[str, tuple[str, ...]] = {}
    for slug, standing in catalog.standings.items():
        texts = [each.reveal() for each in standing.hidden]
        for url in standing.provider.base_urls.values():
            texts += address_secrets(url)
        key = standing.secret.reveal() if standing.secret else ""
        match standing.provider.credential.scheme:
            case "google":
                texts += [key] if key.startswith("{") else []
            case "sigv4":
                texts += [] if key in {environ.get(name, "").strip() for name in _AWS_VARIABLES} else [key]
                texts += [environ.get(name, "").strip() for name in _AWS_SECRETS]
            case "azure":
                texts += [key, environ.get("AZURE_CLIENT_SECRET", "").strip()]
            case _:
                texts.append(key)
        found[slug] = tuple(filter(None, texts))
    return found


# AWS


def aws_source(key: str, environ: Mapping[str, str]) -> Source:
    """Choose among a Bedrock API key, the keys in the environment, and whatever botocore finds.

    `key` is what the catalog found; a key that is none of the environment's AWS keys is a Bedrock API key.
    """
    bearer = environ.get("AWS_BEARER_TOKEN_BEDROCK", "").strip()
    if not bearer and key and key not in {environ.get(name, "").strip() for name in _AWS_VARIABLES}:
        bearer = key
    if bearer:
        return _fixed(Credential("bearer", "", Secret(bearer)))
    region = _first(environ, "AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1"
    access_key, secret = _first(environ, "AWS_ACCESS_KEY_ID"), _first(environ, "AWS_SECRET_ACCESS_KEY")
    if access_key and secret:
        token = _first(environ, "AWS_SESSION_TOKEN")
        keys = AwsCredential(access_key, Secret(secret), region, Secret(token) if token else None)
        return _fixed(_of_aws(keys))
    return _botocore_source(region)


_AWS_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)

_AWS_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK")


def _botocore_source(region: str) -> Source:
    """Profiles, single sign-on, web identities, containers and instances, in botocore's order."""
    finder: list[Any] = []

    def find() -> Lease:
        try:
            from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
            from botocore.session import Session  # type: ignore[import-untyped]
        except ImportError:
            raise NoToken("AWS profiles and roles need botocore: pip install 'trunkline[aws]'") from None
        try:
            if not finder:
                finder.append(Session().get_credentials())
            if finder[0] is None:
                finder.clear()
                raise NoToken("no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
            found = finder[0].get_frozen_credentials()
        except (BotoCoreError, ClientError, OSError, ValueError, RuntimeError) as error:
            raise NoToken(f"AWS gave no credentials ({type(error).__name__})", str(error)) from None
        if not found.access_key or not found.secret_key:
            raise NoToken("AWS gave credentials without keys")
        token = Secret(found.token) if found.token else None
        return Lease(_of_aws(AwsCredential(found.access_key, Secret(found.secret_key), region, token)), _AWS_LEASE_S)

    return lambda: asyncio.to_thread(find)


def _of_aws(keys: AwsCredential) -> Credential:
    return Credential("sigv4", "", Secret(""), keys)


# Google


def google_source(key: str) -> Source:
    """Choose by what `key` is: the JSON of a credential, the path of a file that holds it, or nothing.

    With nothing google-auth looks where Google's own tools put it and then asks the machine it runs on.
    """
    holder: list[Any] = []

    def find() -> Lease:
        try:
            from google.auth.exceptions import GoogleAuthError
            from google.auth.transport.requests import Request
        except ImportError:
            raise NoToken("Google credentials need google-auth: pip install 'trunkline[google]'") from None
        try:
            if not holder:
                holder.append(_google_credentials(key))
            holder[0].refresh(Request())
        except (GoogleAuthError, OSError, ValueError, TypeError, KeyError) as error:
            raise NoToken(f"Google gave no token ({type(error).__name__})", str(error)) from None
        if not holder[0].token:
            raise NoToken("Google gave an answer without a token")
        return Lease(Credential("google", "", Secret(holder[0].token)), _seconds_left(holder[0].expiry))

    return lambda: asyncio.to_thread(find)


def _google_credentials(key: str) -> Any:
    import google.auth
    from google.auth import aws, identity_pool, impersonated_credentials
    from google.oauth2 import credentials, service_account

    if not key:
        return google.auth.default(scopes=[GOOGLE_SCOPE])[0]
    told = loads(key if key.startswith("{") else Path(key).read_text("utf-8"))
    if not isinstance(told, dict):
        raise TypeError("the credential is not a JSON object")
    is_aws = "aws" in str(told.get("subject_token_type"))
    makers: dict[object, Callable[..., Any]] = {
        "service_account": service_account.Credentials.from_service_account_info,
        "authorized_user": credentials.Credentials.from_authorized_user_info,
        "external_account": (aws if is_aws else identity_pool).Credentials.from_info,
        "impersonated_service_account": impersonated_credentials.Credentials.from_impersonated_service_account_info,
    }
    return makers[told.get("type")](told, scopes=[GOOGLE_SCOPE])


def _seconds_left(expiry: datetime | None) -> float | None:
    """google-auth tells the time of expiry in UTC without saying so."""
    return None if expiry is None else (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()


# Azure


def entra_application(key: str, environ: Mapping[str, str]) -> Application | None:
    """The application that asks Entra for tokens; None when there is none, or an API key of its own goes before it."""
    tenant = _first(environ, "AZURE_TENANT_ID")
    client, secret = _first(environ, "AZURE_CLIENT_ID"), _first(environ, "AZURE_CLIENT_SECRET")
    if not (tenant and client and secret) or key not in ("", secret):
        return None
    authority = (_first(environ, "AZURE_AUTHORITY_HOST") or AUTHORITY).rstrip("/")
    return Application(tenant, client, Secret(secret), authority)


def entra_source(application: Application, http: HttpClient) -> Source:
    """Ask the token endpoint over the gateway's own HTTP client."""
    request = encode_grant_request(application)

    async def find() -> Lease:
        try:
            reply = await http.send(request, asyncio.get_running_loop().time() + _FETCH_S)
            try:
                body = await reply.body(_MAX_ANSWER_BYTES)
            finally:
                reply.close()
        except UpstreamFailure as failure:
            raise NoToken(f"Entra gave no token: {failure.fault.message}", failure.fault.detail or "") from None
        if reply.status != 200:
            named = decode_refusal(body)
            raise NoToken(f"Entra gave no token: status {reply.status}{f', {named}' if named else ''}")
        grant = decode_grant(body)
        if grant is None:
            raise NoToken("Entra gave an answer without a token")
        return Lease(Credential("bearer", "", grant.token), grant.lasts_s)

    return find


def _fixed(credential: Credential) -> Source:
    async def find() -> Lease:
        return Lease(credential)

    return find


def _first(environ: Mapping[str, str], *names: str) -> str:
    return next((text for name in names if (text := environ.get(name, "").strip())), "")
