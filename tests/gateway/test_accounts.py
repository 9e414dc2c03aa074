"""What operators agree with accounts and keys, by commands while a gateway runs, binds every request of a client."""

from __future__ import annotations

import io
import itertools
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, Reply, post, running
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, usage_chunk, whole
from tests.gateway.waiting import eventually
from trunkline.cli.main import main

pytestmark = pytest.mark.usefixtures("nothing_left")

CONFIG = """
store.url = "sqlite:///{folder}/trunkline.db"
[defaults]
model = "mock/b"
[providers.mock-a]
dialect = "chat"
base_url = "{url}/a/v1"
api_key = {{ env = "MOCK_KEY" }}
data_policy = {{ trains = false, zdr = true }}
region = "eu"
[providers.mock-b]
dialect = "chat"
base_url = "{url}/b/v1"
api_key = {{ env = "MOCK_KEY" }}
[[endpoints]]
provider = "mock-a"
model = "mock/a"
price = {{ input = "1", output = "2" }}
[[endpoints]]
provider = "mock-b"
model = "mock/a"
price = {{ input = "3", output = "4" }}
[[endpoints]]
provider = "mock-b"
model = "mock/b"
"""

_numbers = itertools.count(1)


@dataclass
class Place:
    """A gateway, the folder it runs in, and its provider."""

    gateway: Gateway
    folder: Path
    upstream: Upstream

    def run(self, *arguments: str) -> Any:
        """Run a command beside the gateway, and read what it tells."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([*arguments, "--config", str(self.folder / "trunkline.toml"), "--json"])
        assert not ended.value.code, err.getvalue()
        return json.loads(out.getvalue())

    def key(self, *options: str) -> str:
        made: str = self.run("keys", "create", *options)["key"]
        return made

    def ask(self, key: str, model: str | None = "mock/a", **members: Any) -> tuple[Reply, list[str]]:
        """Ask once: the answer, and which providers were called for it."""
        nonce = f"nonce-accounts-{next(_numbers)}"
        self.upstream.play(nonce, *[whole(completion("Hello."))] * 3)
        reply = self.gateway.call({"input": nonce, **({} if model is None else {"model": model}), **members}, key=key)
        return reply, [seen.path.split("/")[1] for seen in self.upstream.seen(nonce)]


@pytest.fixture(scope="module")
def place(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("accounts")
    with running(
        folder, CONFIG.format(url=upstream.url, folder=folder), is_measured=True, MOCK_KEY=PROVIDER_KEY
    ) as gateway:
        place = Place(gateway, folder, upstream)
        yield place
        eventually(lambda: place.run("ledger", "audit")["open_holds"] == 0, "a hold is left")
        assert place.run("ledger", "audit")["ok"]


@pytest.fixture(scope="module")
def narrow(place: Place) -> str:
    """A key for one model."""
    return place.key("--models", "mock/a")


WAYS: dict[str, dict[str, Any]] = {
    "by name": {"model": "mock/b"},
    "in models": {"model": None, "models": ["mock/b"]},
    "as default": {"model": None},
    "with a suffix": {"model": "mock/b:floor"},
    "in other letters": {"model": "Mock/B"},
    "route fallback": {"model": "mock/b", "route": "fallback"},
    "route sort": {"model": "mock/b", "models": ["mock/b"], "route": "sort"},
    "by the auto-router": {"model": "trunkline/auto", "plugins": [{"id": "auto-router", "allowed_models": ["mock/b"]}]},
    "with a provider": {"model": "mock/b", "provider": {"only": ["mock-b"]}},
    "a known model": {"model": "openai/gpt-5"},
}


class TestModels:
    @pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
    def test_AU_13_a_model_that_a_key_may_not_use_is_404_by_every_way_and_sees_no_call(
        self, way: dict[str, Any], place: Place, narrow: str
    ) -> None:
        reply, called = place.ask(narrow, **way)
        assert (reply.status, called) == (404, [])

    def test_AU_13_of_several_models_those_are_asked_that_a_key_may_use(self, place: Place, narrow: str) -> None:
        for more in ({}, {"route": "fallback"}, {"route": "sort"}):
            reply, called = place.ask(narrow, "mock/b", models=["mock/b", "mock/a"], **more)
            assert reply.status == 200
            assert reply.json["model"] == "mock/a"
            assert len(called) == 1

    def test_AU_13_a_fallback_does_not_lead_out_of_what_a_key_may_use(self, place: Place, narrow: str) -> None:
        nonce = f"nonce-accounts-{next(_numbers)}"
        place.upstream.play(nonce, *[whole({"error": {"message": "no"}}, 500)] * 9)
        body = {"model": "mock/a", "models": ["mock/a", "mock/b"], "input": nonce}
        assert place.gateway.call(body, key=narrow).status >= 500
        asked = {seen.json["model"] for seen in place.upstream.seen(nonce)}
        assert asked == {"mock/a"}

    def test_AU_13_a_key_within_its_account_has_what_both_allow(self, place: Place) -> None:
        place.run("accounts", "create", "narrow", "--unlimited", "--models", "mock/*", "--providers", "mock-b")
        key = place.key("--account", "narrow", "--models", "mock/a", "--models", "openai/*")
        assert place.ask(key)[1] == ["b"]
        assert place.ask(key, "mock/b")[0].status == 404
        assert place.ask(key, "openai/gpt-5")[0].status == 404
        assert place.ask(key, provider={"only": ["mock-a"]})[0].status == 404

    def test_AU_13_an_explanation_says_so_too(self, place: Place, narrow: str) -> None:
        body = {"model": "mock/b", "input": "Hi"}
        reply = place.gateway.call(body, key=narrow, path="/api/v1/responses/explain")
        assert "allowed_models" in json.dumps(reply.json)


@pytest.mark.parametrize(
    ("options", "providers"),
    [
        (("--providers", "mock-a"), {"a"}),
        (("--ignore-providers", "mock-a"), {"b"}),
        (("--zdr",), {"a"}),
        (("--data-collection", "deny"), {"a"}),
        (("--regions", "eu"), {"a"}),
        (("--preferences", '{"order": ["mock-b"]}'), {"b"}),
        (("--preferences", '{"max_price": {"prompt": 1}}'), {"a"}),
    ],
)
def test_terms_decide_who_is_asked(options: tuple[str, ...], providers: set[str], place: Place) -> None:
    key = place.key(*options)
    assert {place.ask(key)[1][0] for _ in range(3)} == providers


class TestDefaults:
    def test_a_requests_own_preferences_go_before_those_of_its_key_and_its_policy_before_both(
        self, place: Place
    ) -> None:
        key = place.key("--preferences", '{"only": ["mock-b"]}')
        assert place.ask(key)[1] == ["b"]
        assert place.ask(key, provider={"only": ["mock-a"]})[1] == ["a"]
        assert place.ask(key, provider={})[1] == ["b"]
        bound = place.key("--preferences", '{"only": ["mock-b"]}', "--providers", "mock-a")
        assert place.ask(bound)[0].status == 404
        assert place.ask(bound, provider={"only": ["mock-a"]})[1] == ["a"]

    def test_plugins_of_a_key_are_as_if_the_request_had_said_them(self, place: Place) -> None:
        key = place.key("--plugins", '[{"id": "web"}]')
        by_key, said = place.ask(key)[0], place.ask(place.key(), plugins=[{"id": "web"}])[0]
        assert (by_key.status, by_key.json) == (said.status, said.json)
        assert '"web"' in by_key.json["error"]["message"]
        assert place.ask(key, plugins=[{"id": "web", "enabled": False}])[0].status == 200

    def test_the_default_model_is_the_keys(self, place: Place) -> None:
        key = place.key("--default-model", "mock/a")
        reply, _ = place.ask(key, None)
        assert reply.json["model"] == "mock/a"


class TestChanges:
    """What is changed by a command is in force within five seconds, and a new key at once."""

    def test_AU_06_AU_16_a_key_is_refused_after_whatever_ends_it(self, place: Place) -> None:
        account = place.run("accounts", "create", "ended", "--unlimited")["id"]
        names = ("revoked", "rotated", "narrowed", "disabled")
        keys = {name: place.key("--name", name) for name in names[:3]}
        keys["disabled"] = place.key("--name", "disabled", "--account", account)
        keys["expired"] = place.key("--name", "expired", "--expires", "6s")
        began = time.monotonic()
        assert {place.ask(key)[0].status for key in keys.values()} == {200}
        place.run("keys", "revoke", "revoked")
        new = place.run("keys", "rotate", "rotated")["key"]
        place.run("keys", "set", "narrowed", "--models", "mock/b")
        place.run("accounts", "disable", account)
        assert place.ask(new)[0].status == 200
        changed = time.monotonic()
        wanted = {"revoked": 401, "rotated": 401, "narrowed": 404, "disabled": 401, "expired": 401}
        told: dict[str, Reply] = {}

        def are_ended() -> bool:
            told.update({name: place.ask(key)[0] for name, key in keys.items()})
            return {name: reply.status for name, reply in told.items()} == wanted

        eventually(are_ended, "a key goes on", 12)
        assert time.monotonic() - max(changed, began + 6) < 8
        bodies = {
            json.dumps(reply.json).replace(keys[name][:6], "tl-…") for name, reply in told.items() if name != "narrowed"
        }
        assert len(bodies) == 1

    def test_AU_06_a_stream_that_is_open_when_its_key_is_revoked_runs_to_its_end(self, place: Place) -> None:
        key = place.key("--name", "streaming")
        nonce = f"nonce-accounts-{next(_numbers)}"
        begun, rest = sse([chunk("Hel")]), sse([chunk("lo.", "stop"), usage_chunk()])
        place.upstream.play(nonce, Script([head(content_type="text/event-stream"), begun, 1.0, rest]))
        with place.gateway.connect() as client:
            client.send(post({"model": "mock/a", "input": nonce, "stream": True}, "connection: close", key=key))
            client.read_until(b"output_text.delta")
            assert b"lo." not in client.gathered
            place.run("keys", "revoke", "streaming")
            assert b"response.completed" in client.read_to_end()

    def test_it_is_told_when_a_key_was_last_used(self, place: Place) -> None:
        key = place.key("--name", "used")
        assert place.run("keys", "show", "used")["last_used_at"] is None
        assert place.ask(key)[0].status == 200
        eventually(lambda: place.run("keys", "show", "used")["last_used_at"] is not None, "no use is noted", 5)


LONG: dict[str, Any] = {"max_output_tokens": 10_000, "provider": {"only": ["mock-a"]}}
"""A request that may cost two cents, and costs a few millionths of a dollar."""


class TestLimits:
    def refused(self, reply: Reply) -> tuple[int, str, str]:
        assert reply.status == 402, reply.json
        told = reply.json["error"]["metadata"]
        return reply.status, told["limit_source"], told["available_usd"]

    def test_MO_22_a_key_at_its_limit_is_402_however_rich_its_account(self, place: Place) -> None:
        place.run("accounts", "create", "rich", "--credit", "25")
        key = place.key("--account", "rich", "--name", "poor key", "--limit", "0.001", "--reset", "daily")
        reply, called = place.ask(key, **LONG)
        assert self.refused(reply) == (402, "key", "0.001")
        assert called == []
        place.run("keys", "set", "poor key", "--limit", "1")
        reply, _ = place.ask(key, **LONG)
        assert reply.status == 200
        cost = Decimal(str(reply.json["usage"]["cost"]))
        shown, account = place.run("keys", "show", "poor key"), place.run("accounts", "show", "rich")
        assert cost > 0
        assert Decimal(shown["charged_usd"]) == Decimal(account["charged_usd"]) == cost
        (entry,) = [
            each for each in place.run("ledger", "entries", "--account", "rich")["entries"] if each["generation"]
        ]
        assert (entry["generation"], Decimal(entry["amount_usd"])) == (reply.json["id"], cost)
        assert place.run("keys", "set", "poor key", "--limit", "0")["available_usd"] == "0"
        assert self.refused(place.ask(key, **LONG)[0]) == (402, "key", "0")

    def test_MO_22_an_account_without_credit_is_402_however_rich_its_key(self, place: Place) -> None:
        place.run("accounts", "create", "poor", "--credit", "0.001")
        key = place.key("--account", "poor", "--limit", "25")
        reply, called = place.ask(key, **LONG)
        assert self.refused(reply) == (402, "account", "0.001")
        assert called == []
        place.run("credits", "add", "poor", "1", "--reference", "more for the poor")
        assert place.ask(key, **LONG)[0].status == 200
        taken = place.run("credits", "remove", "poor", "5", "--reference", "all of the poor")
        assert taken["available_usd"] == "0"
        assert self.refused(place.ask(key, **LONG)[0])[1:] == ("account", "0")

    def test_a_limit_holds_on_an_unlimited_account_too(self, place: Place) -> None:
        key = place.key("--name", "alone", "--limit", "0.001")
        assert self.refused(place.ask(key, **LONG)[0]) == (402, "key", "0.001")
        place.run("keys", "set", "alone", "--limit", "1")
        reply, _ = place.ask(key, **LONG)
        assert reply.status == 200
        entries = place.run("ledger", "entries", "--account", "default")["entries"]
        assert [each["debit"] for each in entries if each["generation"] == reply.json["id"]] == [
            place.run("keys", "show", "alone")["id"]
        ]

    @pytest.mark.parametrize("group", ["accounts", "keys"])
    def test_a_pace_holds(self, group: str, place: Place) -> None:
        place.run(
            "accounts", "create", f"paced {group}", "--unlimited", *(["--rpm", "1"] if group == "accounts" else [])
        )
        key = place.key("--account", f"paced {group}", *(["--rpm", "1"] if group == "keys" else []))
        assert [place.ask(key)[0].status for _ in range(2)] == [200, 429]


def test_AU_05_no_key_is_in_any_table_log_or_copy(place: Place) -> None:
    keys = [place.key("--name", "secret", "--limit", "5"), place.run("keys", "rotate", "secret")["key"]]
    for key in keys:
        place.ask(key)
    with sqlite3.connect(place.folder / "trunkline.db") as connection:
        dump = "\n".join(connection.iterdump()).lower()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert {"keys", "accounts", "budgets", "holds", "entries", "generations", "usage_daily"} <= tables
        connection.execute(f"VACUUM INTO '{place.folder}/copy.db'")
    files = b"".join(path.read_bytes() for path in place.folder.rglob("*") if path.is_file())
    for key in keys:
        parts = [key[start : start + 12] for start in range(7, len(key) - 12)]
        assert [part for part in parts if part.encode() in files or part.encode().hex() in dump] == []


@pytest.mark.parametrize(
    ("path", "line", "body"),
    [
        ("/api/v1/responses?api_key={key}", "x-nothing: 1", {}),
        ("/api/v1/responses?key={key}&authorization=Bearer%20{key}", "x-nothing: 1", {}),
        ("/api/v1/responses", "cookie: authorization=Bearer {key}", {}),
        ("/api/v1/responses", "proxy-authorization: Bearer {key}", {}),
        ("/api/v1/responses", "x-nothing: 1", {"api_key": "{key}", "authorization": "Bearer {key}"}),
    ],
)
def test_AU_11_a_key_in_any_other_place_is_401_and_in_no_log(
    path: str, line: str, body: dict[str, str], place: Place
) -> None:
    key = place.key()
    members = {name: value.format(key=key) for name, value in body.items()}
    sent = post({"model": "mock/a", "input": "Hi", **members}, line.format(key=key), "connection: close")
    sent = sent.replace(f"authorization: Bearer {KEY}\r\n".encode(), b"").replace(
        b"POST /api/v1/responses ", f"POST {path.format(key=key)} ".encode()
    )
    (reply,) = place.gateway.raw(sent)
    assert reply.status == 401
    assert key[7:].encode() not in reply.body
    assert key[7:] not in place.gateway.log.read_text()


def test_a_typo_in_a_key_is_401_as_an_unknown_one_is(place: Place) -> None:
    key = place.key()
    typo = key[:-1] + ("0" if key[-1] != "0" else "1")
    told, unknown = place.ask(typo)[0], place.ask("tl-" + "x" * 43)[0]
    assert told.status == unknown.status == 401
    assert told.json["error"]["message"].replace(key[:6], "") == unknown.json["error"]["message"].replace("tl-xxx", "")
