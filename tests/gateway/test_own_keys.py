"""Provider keys that accounts bring, through the running gateway: who is asked with which, who is told, who pays."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.gateway.checks import ask, error_of
from tests.gateway.conftest import CONFIG, ENDPOINT
from tests.gateway.owners import Tenants
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.tenants import Balance, Store, sized
from tests.gateway.upstream import Upstream, chunk, completion, stream, whole
from tests.gateway.waiting import eventually

OWN = "sk-own-CANARY-of-a-tenant-Hq5Zt8Wb2Nc7"
OTHER = "sk-other-CANARY-of-one-more-Rm3Ys6Kd9Pf1"

PROVIDER = """
[providers.{name}]
dialect = "chat"
base_url = "{url}/{name}/v1"
api_key = {{ env = "{variable}" }}
quirks = {{ has_cache_key = true, has_user = true }}
"""
MODELS = 24
_fresh = iter(f"own/house-{number}" for number in range(1, MODELS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own-keys")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, folder: Path) -> Iterator[Gateway]:
    providers = {"house": "MOCK_KEY", "second": "MOCK_KEY", "bare": "NOT_SET"}
    models: dict[str, tuple[str, ...]] = {"own/bare": ("bare",), "own/bare-or-house": ("house", "bare")}
    models |= {f"own/house-{number}": ("house",) for number in range(MODELS)}
    models |= {f"own/two-{number}": ("house", "second") for number in range(4)}
    config = CONFIG + "".join(
        PROVIDER.format(name=name, url=upstream.url, variable=variable) for name, variable in providers.items()
    )
    config += "".join(ENDPOINT.format(provider=name, model=model) for model, names in models.items() for name in names)
    with running(folder, config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def tenants(gateway: Gateway, folder: Path) -> Tenants:
    return Tenants(folder)


@pytest.fixture
def model() -> str:
    """A model of which nothing bad is known yet."""
    return next(_fresh)


def keys_seen(upstream: Upstream, nonce: str) -> list[str]:
    """With which key each request with this nonce came."""
    return [seen.headers["authorization"].removeprefix("Bearer ") for seen in upstream.seen(nonce)]


def good(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    usage: dict[str, Any] = reply.json["usage"]
    return usage


def test_TN_04_two_tenants_are_never_asked_for_with_each_others_key(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, folder: Path
) -> None:
    secrets = [f"sk-tenant-{name}-CANARY-{name * 24}" for name in "ABC"]
    brought = [tenants.add() for _ in secrets]
    for tenant, secret in zip(brought, secrets, strict=True):
        tenants.bring(tenant.account_id, "house", secret)
    own = tenants.add_key(brought[2])
    tenants.bring(own.key_id, "house", "sk-tenant-D-CANARY-" + "D" * 24)
    texts = [tenant.key for tenant in (*brought, own)] + [KEY]
    wanted = [*secrets, "sk-tenant-D-CANARY-" + "D" * 24, PROVIDER_KEY]

    def call(number: int) -> Reply:
        at = number % len(texts)
        body = ask("own/house-0", f"tenant {at} says nonce-many-{number}", stream=number % 3 == 0)
        return gateway.call(body, key=texts[at])

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(call, range(200)))
    seen = upstream.seen("nonce-many-")
    assert len(seen) == 200
    for each in seen:
        said = each.json["messages"][0]["content"]
        assert each.headers["authorization"] == f"Bearer {wanted[int(said.split()[1])]}", said
    assert {answer.status for answer in answers} == {200}
    told = b"".join(answer.body + repr(answer.headers).encode() for answer in answers)
    for secret in wanted:
        for form in (secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex(), secret[-12:]):
            assert form.encode() not in told
            assert form.encode() not in tenants.texts()


def test_an_own_key_is_asked_with_first_whatever_the_order_and_costs_nothing(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str
) -> None:
    tenant = tenants.add()
    tenants.bring(tenant.account_id, "second", OWN)
    body = ask("own/two-0", nonce, provider={"order": ["house", "second"]})
    usage = good(gateway.call(body, key=tenant.key))
    assert keys_seen(upstream, nonce) == [OWN]
    assert upstream.last(nonce).path.startswith("/second/")
    assert (usage["is_byok"], usage["cost"]) == (True, 0)


@pytest.mark.parametrize("streams", [False, True])
def test_MO_25_what_an_own_key_paid_is_told_and_not_charged(
    gateway: Gateway, tenants: Tenants, nonce: str, streams: bool
) -> None:
    tenant = tenants.add()
    tenants.bring(tenant.account_id, "house", OWN)
    reply = gateway.call(ask("own/house-0", nonce, stream=streams), key=tenant.key)
    usage = reply.events[-1]["response"]["usage"] if streams else good(reply)
    # 7 tokens in at $1 and 3 out at $2 a million
    assert usage["is_byok"] is True
    assert usage["cost"] == 0
    assert usage["cost_details"]["upstream_inference_cost"] == pytest.approx(13e-6)
    house = good(gateway.call(ask("own/house-0", nonce)))
    assert (house["is_byok"], house["cost"]) == (False, pytest.approx(13e-6))
    assert house["cost_details"]["upstream_inference_cost"] is None


REFUSALS = [
    pytest.param(401, "invalid_api_key", 502, id="401"),
    pytest.param(402, "insufficient_quota", 502, id="402"),
    pytest.param(429, "rate_limit_exceeded", 429, id="429"),
]


@pytest.mark.parametrize(("status", "code", "_told"), REFUSALS)
def test_RT_17_a_refused_own_key_makes_way_for_the_house_and_is_no_fault_of_the_endpoint(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str, model: str, status: int, code: str, _told: int
) -> None:
    tenant = tenants.add()
    tenants.bring(tenant.account_id, "house", OWN)
    refusal = whole({"error": {"message": f"bad key {OWN}", "code": code}}, status, retry_after="30")
    upstream.play(nonce, refusal, whole(completion("hi")))
    usage = good(gateway.call(ask(model, nonce), key=tenant.key))
    assert keys_seen(upstream, nonce) == [OWN, PROVIDER_KEY]
    assert (usage["is_byok"], usage["cost"]) == (False, pytest.approx(13e-6))
    # For a while it is not asked with again, but the endpoint is well to all others, and to the house's key.
    upstream.play(nonce, whole(completion("hi")))
    good(gateway.call(ask(model, nonce), key=tenant.key))
    good(gateway.call(ask(model, nonce)))
    neighbour = tenants.add()
    tenants.bring(neighbour.account_id, "house", OTHER)
    assert good(gateway.call(ask(model, nonce), key=neighbour.key))["is_byok"] is True
    assert keys_seen(upstream, nonce)[2:] == [PROVIDER_KEY, PROVIDER_KEY, OTHER]


@pytest.mark.parametrize(("status", "code", "told"), REFUSALS)
def test_RT_17_where_only_the_own_key_may_be_asked_with_its_refusal_is_told(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str, model: str, status: int, code: str, told: int
) -> None:
    tenant = tenants.add()
    tenants.bring(tenant.account_id, "house", OWN, only=True)
    upstream.play(nonce, whole({"error": {"message": f"bad key {OWN}", "code": code}}, status))
    for _ in range(2):
        reply = gateway.call(ask(model, nonce), key=tenant.key)
        error = error_of(reply, told)
        assert error["metadata"]["attempts"][0]["is_byok"] is True
        assert OWN.encode() not in reply.body
        assert "***" in error["message"]
    assert keys_seen(upstream, nonce) == [OWN, OWN], "there is nobody else to ask with"
    upstream.play(nonce, whole(completion("hi")))
    assert good(gateway.call(ask(model, nonce)))["is_byok"] is False


def test_what_is_wrong_with_the_gateways_key_keeps_no_own_key_away(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str, model: str
) -> None:
    upstream.play(nonce, whole({"error": {"message": "no", "code": "invalid_api_key"}}, 401))
    error_of(gateway.call(ask(model, nonce)), 502)
    tenant = tenants.add()
    tenants.bring(tenant.account_id, "house", OWN)
    upstream.play(nonce, whole(completion("hi")))
    assert good(gateway.call(ask(model, nonce), key=tenant.key))["is_byok"] is True
    assert keys_seen(upstream, nonce) == [PROVIDER_KEY, OWN]


def test_limits_that_a_provider_tells_an_own_key_are_not_the_gateways(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str
) -> None:
    tenant = tenants.add()
    tenants.bring(tenant.account_id, "house", OWN)
    spent = whole(completion("hi"), x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="60s")
    upstream.play(nonce, spent)
    order = {"order": ["house", "second"]}
    good(gateway.call(ask("own/two-1", nonce, provider=order), key=tenant.key))
    good(gateway.call(ask("own/two-1", nonce, provider=order)))
    assert [seen.path.split("/")[1] for seen in upstream.seen(nonce)] == ["house", "house"]


def secret_forms(secret: str) -> list[str]:
    data = secret.encode()
    return [secret, secret[-24:], secret[4:16], quote(secret, safe=""), base64.b64encode(data).decode(), data.hex()]


@pytest.mark.parametrize("form", secret_forms(OWN))
@pytest.mark.parametrize("streams", [False, True])
def test_TN_04_what_a_provider_says_of_an_own_key_nobody_hears(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str, form: str, streams: bool
) -> None:
    tenant = _teller(tenants)
    said = {"error": {"message": f"you sent {form}", "detail": form}}
    if streams:
        upstream.play(nonce, stream([chunk("", role="assistant"), chunk("Hel"), said]))
    else:
        upstream.play(nonce, whole(said, 500))
    reply = gateway.call(ask("own/two-2", nonce, stream=streams, provider={"only": ["house"]}), key=tenant)
    assert reply.status == (200 if streams else 502)
    for text in (reply.body, repr(reply.headers).encode(), gateway.log.read_bytes()):
        assert form.encode() not in text
        assert not any(OWN[at : at + 12].encode() in text for at in range(len("sk-own-CANARY-"), len(OWN) - 12))


def _teller(tenants: Tenants, made: list[str] = []) -> str:  # noqa: B006  # one for all cases
    if not made:
        tenant = tenants.add()
        tenants.bring(tenant.account_id, "house", OWN, only=True)
        made.append(tenant.key)
    return made[0]


def test_a_provider_without_a_key_serves_who_brings_one(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str
) -> None:
    plain, tenant = tenants.add(), tenants.add()
    tenants.bring(tenant.account_id, "bare", OWN)
    assert "bare" in error_of(gateway.call(ask("own/bare", nonce), key=plain.key), 404)["message"]
    assert good(gateway.call(ask("own/bare", nonce), key=tenant.key))["is_byok"] is True
    assert good(gateway.call(ask("bare:floor", nonce), key=tenant.key))["is_byok"] is True
    assert keys_seen(upstream, nonce) == [OWN, OWN]
    upstream.play(nonce, whole({"error": {"message": "no"}}, 500), host="bare")
    assert good(gateway.call(ask("own/bare-or-house", nonce), key=tenant.key))["is_byok"] is False
    assert good(gateway.call(ask("own/bare-or-house", nonce), key=plain.key))["is_byok"] is False
    assert keys_seen(upstream, nonce)[2:] == [OWN, PROVIDER_KEY, PROVIDER_KEY], "never without a key"


def test_TN_04_a_large_body_is_signed_with_the_own_key_too(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str
) -> None:
    """It is encoded and signed beside the loop."""
    tenant = tenants.add()
    tenants.bring(tenant.account_id, "house", OWN)
    large = f"{nonce} {'word ' * 100_000}"
    assert good(gateway.call(ask("own/house-0", large), key=tenant.key))["is_byok"] is True
    assert keys_seen(upstream, nonce) == [OWN]


def test_AU_06_a_gateway_that_runs_knows_within_five_seconds(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str
) -> None:
    tenant = tenants.add()

    def is_byok() -> bool:
        return good(gateway.call(ask("own/house-0", nonce), key=tenant.key))["is_byok"] is True

    assert not is_byok()
    id = tenants.bring(tenant.account_id, "house", OWN)
    eventually(is_byok, "a key that was added is not seen", within_s=6)
    tenants.take_back(id)
    eventually(lambda: not is_byok(), "a key that was removed is still asked with", within_s=6)


def test_TN_02_the_same_names_in_two_tenants_are_two(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str
) -> None:
    names = {"prompt_cache_key": "talk", "user": "alice", "safety_identifier": "alice"}
    one, two = tenants.add(), tenants.add()
    for key in (one.key, one.key, two.key, KEY):
        good(gateway.call(ask("own/house-0", nonce, **names), key=key))
    first, again, other, default = ({**seen.json, "messages": 0} for seen in upstream.seen(nonce))
    assert first == again
    assert default["prompt_cache_key"] == "talk", "what the first account always sent"
    for name in ("prompt_cache_key", "user"):
        told = [body[name] for body in (first, other, default) if name in body]
        assert len(set(told)) == len(told) == 3, name
        assert "alice" not in json.dumps(told)
    reply = gateway.call(ask("own/house-0", nonce, **names), key=one.key)
    assert reply.json["prompt_cache_key"] == "talk", "the client is told what it said"


def test_an_own_key_that_cannot_be_opened_is_no_ones(
    gateway: Gateway, upstream: Upstream, tenants: Tenants, nonce: str, folder: Path
) -> None:
    """Its row is moved by hand to another account: that one must not be asked for with it, nor the house pay for it."""
    giver, taker = tenants.add(), tenants.add()
    tenants.bring(giver.account_id, "house", OWN, only=True)
    tenants.move(giver.account_id, taker.account_id)
    error = error_of(gateway.call(ask("own/two-3", nonce, provider={"only": ["house"]}), key=taker.key), 502)
    assert "own key" in error["message"]
    assert keys_seen(upstream, nonce) == []
    assert good(gateway.call(ask("own/two-3", nonce), key=taker.key))["is_byok"] is False
    assert upstream.last(nonce).path.startswith("/second/")


@pytest.fixture(scope="module")
def fee_store(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A gateway that takes a twentieth of what own keys pay."""
    folder = tmp_path_factory.mktemp("fee")
    provider = PROVIDER.format(name="house", url=upstream.url, variable="MOCK_KEY")
    config = CONFIG + "[billing]\nbyok_fee = 0.05\n" + provider + ENDPOINT.format(provider="house", model="own/house-0")
    with running(folder, config, MOCK_KEY=PROVIDER_KEY) as server:
        store = Store(server, folder / "trunkline.db")
        yield store
        store.check()


@pytest.mark.parametrize("credit", [None, 10**9], ids=["unlimited", "with credit"])
def test_MO_25_the_fee_is_charged_and_nothing_else(fee_store: Store, nonce: str, credit: int | None) -> None:
    tenant = fee_store.tenant(credit)
    Tenants(fee_store.path.parent).bring(tenant.account_id, "house", OWN)
    reply = tenant.call(ask("own/house-0", nonce))
    usage = good(reply)
    assert usage["is_byok"] is True
    assert usage["cost"] == pytest.approx(650e-9)
    assert usage["cost_details"]["upstream_inference_cost"] == pytest.approx(13e-6)
    record = tenant.record(reply)
    charged = 0 if credit is None else 650
    assert (record["is_byok"], record["cost_nano"], record["upstream_nano"]) == (1, 650, 13_000)
    assert (record["charged_nano"], record["house_nano"]) == (charged, 0)
    if credit is not None:
        assert tenant.settled().charged == charged


def test_MO_25_without_credit_an_own_key_alone_is_free_only_without_a_fee(
    gateway: Gateway, folder: Path, fee_store: Store, nonce: str
) -> None:
    for store, status in ((Store(gateway, folder / "trunkline.db"), 200), (fee_store, 402)):
        tenant = store.tenant(1)
        Tenants(store.path.parent).bring(tenant.account_id, "house", OWN, only=True)
        assert tenant.call(ask("own/house-0", nonce)).status == status
        assert tenant.settled() == Balance(1, 0, 0)


COUNTED = [
    # credit of the account, the key's limit, whether own keys count; how many of three calls pass, what the limit says
    pytest.param(None, 1_000_000_000, True, 3, 39_000, id="on a limit"),
    pytest.param(None, 1_000_000_000, False, 3, 0, id="not, where it does not say so"),
    pytest.param(1, 1_000_000_000, True, 3, 39_000, id="on a limit, and the account has nothing to do with it"),
    pytest.param(None, 2_105_000, True, 1, 13_000, id="until the limit is reached"),
]


@pytest.mark.parametrize(("credit", "limit", "counts", "passing", "counted"), COUNTED)
def test_MO_25_what_own_keys_pay_counts_on_a_limit_where_it_says_so(
    gateway: Gateway, folder: Path, nonce: str, credit: int | None, limit: int, counts: bool, passing: int, counted: int
) -> None:
    store = Store(gateway, folder / "trunkline.db")
    tenant = store.tenant(credit, limit_nano=limit, byok_counts=counts)
    Tenants(folder).bring(tenant.account_id, "house", OWN, only=True)
    # A thousand tokens at $2 a million, and two hundred bytes of input, are held as 2,100,000 nano-dollars.
    body = sized(ask("own/house-0", nonce, max_output_tokens=1_000), 200)
    statuses = [tenant.call(body).status for _ in range(3)]
    assert statuses == [200] * passing + [402] * (3 - passing)
    store.check()
    found = store.rows("SELECT charged_nano, held_nano FROM budgets WHERE id = ?", tenant.key_id)
    assert found in ([(counted, 0)], [] if not counted else None)
    charged = "SELECT id FROM generations WHERE account_id = ? AND charged_nano <> 0"
    assert store.rows(charged, tenant.account_id) == []


@pytest.fixture(scope="module", autouse=True)
def right_books(gateway: Gateway, folder: Path) -> Iterator[None]:
    """In the end the books are right."""
    yield
    Store(gateway, folder / "trunkline.db").check()
