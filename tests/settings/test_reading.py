"""What an operator writes → settings or one clear line for each mistake."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.settings.reading import (
    Layer,
    SettingsError,
    Sources,
    build_settings,
    effective,
    read_sources,
    shown_address,
)
from trunkline.settings.sections import Settings


def read(
    text: str = "", environ: dict[str, str] | None = None, command_line: Layer | None = None
) -> tuple[Settings, Sources]:
    sources = read_sources(command_line=command_line, environ=environ, file_text=text, file_name="t.toml")
    return build_settings(sources), sources


def problems(text: str = "", environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as raised:
        read(text, environ)
    return raised.value.problems


def test_nothing_at_all_is_enough() -> None:
    settings, sources = read()
    assert settings.server.listen == "127.0.0.1:8080"
    assert settings.server.max_body == 20_000_000
    assert settings.routing.timeouts.first_byte == 120
    assert {origin for _, _, origin in effective(settings, sources)} == {"default"}


@dataclass(frozen=True)
class Case:
    id: str
    text: str
    problem: str
    environ: dict[str, str] = field(default_factory=dict)


MISTAKES = [
    Case(
        "an unknown table names the nearest one",
        "[servr]\nlisten = 'a:1'",
        "t.toml:1: unknown setting 'servr'; did you mean 'server'?",
    ),
    Case(
        "an unknown key names the nearest one and its line",
        "[server]\n# a comment\nmax_boddy = '1 MB'",
        "t.toml:3: unknown setting 'server.max_boddy'; did you mean 'max_body'?",
    ),
    Case(
        "an unknown key deep inside",
        "[routing.timeouts]\nconect = '1 s'",
        "t.toml:2: unknown setting 'routing.timeouts.conect'; did you mean 'connect'?",
    ),
    Case(
        "an unknown key of a provider",
        "[providers.x]\nbaseurl = 'http://x'",
        "t.toml:2: unknown setting 'providers.x.baseurl'; did you mean 'base_url'?",
    ),
    Case(
        "an unknown price",
        "[[endpoints]]\nprovider='p'\nmodel='a/b'\nprice = { input='1', output='1', cached='1' }",
        "t.toml:4: unknown setting 'endpoints[0].price.cached'; did you mean 'cache_read'?",
    ),
    Case(
        "a plain number has no unit",
        "[server]\nmax_body = 20000000",
        't.toml:2: server.max_body: write a number and its unit, as "512 KB", "20 MB", "20 MiB"',
    ),
    Case(
        "a duration has no such unit",
        "[server]\ndeadline = '10 minutes'",
        't.toml:2: server.deadline: write a number and its unit, as "500 ms", "10 s", "10 min", "1 h"',
    ),
    Case("a deadline is not 0", "[server]\ndeadline = 0", "t.toml:2: server.deadline: input should be greater than 0"),
    Case(
        "CF-06 a price is not NaN",
        "[[endpoints]]\nprovider='p'\nmodel='a/b'\nprice = { input='NaN', output='1' }",
        "t.toml:4: endpoints[0].price.input: a price is a finite number and not below zero, not NaN",
    ),
    Case(
        "CF-06 a price is not negative",
        "[[endpoints]]\nprovider='p'\nmodel='a/b'\nprice = { input='1', output='-1' }",
        "t.toml:4: endpoints[0].price.output: a price is a finite number and not below zero, not -1",
    ),
    Case(
        "a price is no float",
        "[[endpoints]]\nprovider='p'\nmodel='a/b'\nprice = { input=0.1, output='1' }",
        't.toml:4: endpoints[0].price.input: write the price as a string, as "0.15"',
    ),
    Case(
        "an endpoint needs a model",
        "[[endpoints]]\nprovider='p'",
        "t.toml:1: endpoints[0].model is missing; set it",
    ),
    Case(
        "a secret is in one place",
        "[providers.x]\napi_key = { env = 'A', file = 'b' }",
        't.toml:2: providers.x.api_key: name one place, as { env = "NAME" } or { file = "/run/secrets/name" }',
    ),
    Case("a table is no value", "server = 3", "t.toml:1: server is a table of settings, not a single value"),
    Case(
        "text that is no TOML",
        "[server]\nlisten = localhost:8080",
        "t.toml:2: not valid TOML: Invalid value; strings need quotes, tables a [header]",
    ),
    Case(
        "an unknown variable",
        "",
        "TRUNKLINE_SERVER__LISEN: unknown setting 'server.lisen'; did you mean 'listen'?",
        {"TRUNKLINE_SERVER__LISEN": "a:1"},
    ),
    Case(
        "a variable that looks like those of container services but is a wish",
        "",
        "TRUNKLINE_PORT: unknown setting 'port'; known: billing, bootstrap_key, catalog, defaults, endpoints, log, "
        "moderation, ocr, plugins, providers, routing, search, server, store",
        {"TRUNKLINE_PORT": "9000"},
    ),
    Case(
        "a variable that is no list",
        "",
        'TRUNKLINE_ENDPOINTS: write a list or table as in TOML, as ["a", "b"] or { env = "NAME" }',
        {"TRUNKLINE_ENDPOINTS": "[{"},
    ),
    Case(
        "a mistake in a variable is not blamed on the file",
        "[server]\ndeadline = '1 min'",
        "TRUNKLINE_SERVER__DEADLINE: server.deadline: write a number and its unit, "
        'as "500 ms", "10 s", "10 min", "1 h"',
        {"TRUNKLINE_SERVER__DEADLINE": "60"},
    ),
]


WORDS = [
    ("server.max_connections = 1.5", "write a whole number, as 100"),
    ("server.max_connections = inf", "write a whole number, as 100"),
    ("server.max_connections = '1_'", "write a whole number, as 100"),
    ("server.max_connections = -1", "input should be greater than 0"),
    ("routing.attempts = 0", "input should be greater than or equal to 1"),
    ("routing.attempts = '21'", "input should be less than or equal to 20"),
    ("routing.retry_budget = 'a'", "write a number, as 0.2"),
    ("routing.retry_budget = nan", "input should be a finite number"),
    ("routing.retry_budget = 1.1", "input should be less than or equal to 1"),
    ("routing.hedge = 2", "write true or false"),
    ("routing.hedge = []", "write true or false"),
    ("log.level = 'loud'", "input should be 'debug', 'info', 'warning' or 'error'"),
    ("defaults.model = 3", 'write text, in quotes, as "…"'),
    ("defaults.model = ''", "string should have at least 1 character"),
    (f"defaults.model = '{'a' * 257}'", "string should have at most 256 characters"),
    ("server.origins = 'a'", 'write a list, as ["a", "b"]'),
    ("store.pepper = { inline = 3 }", 'write text, in quotes, as "…"'),
    ("server.body_memory = '1 MB'", "body_memory must be at least max_body, which is 20 MB"),
]


@pytest.mark.parametrize(("text", "words"), WORDS)
def test_each_kind_of_value_has_its_words(text: str, words: str) -> None:
    (problem,) = problems(text)
    assert problem.endswith(f": {words}")


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("server.max_connections = '100'", "server.max_connections", "100"),
        ("server.max_connections = ' +1_000.0 '", "server.max_connections", "1000"),
        ("server.max_connections = 100.0", "server.max_connections", "100"),
        ("routing.retry_budget = '0.5'", "routing.retry_budget", "0.5"),
        ("routing.hedge = 'On'", "routing.hedge", "true"),
        ("server.open_listings = 0", "server.open_listings", "false"),
        ("server.origins = ['https://A.example']", "server.origins", "['https://a.example']"),
        ("server.keep_alive = 0", "server.keep_alive", "0"),
        ("server.max_body = '2000 KB'", "server.max_body", "2 MB"),
        ("providers.x.variables = { region = 'a' }", "providers.x.variables.region", "a"),
    ],
)
def test_a_value_is_read_as_its_type_however_it_is_written(text: str, path: str, value: str) -> None:
    settings, sources = read(text)
    assert {name: shown for name, shown, _ in effective(settings, sources)}[path] == value


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case.id)
def test_a_mistake_is_one_line_that_says_where_and_what_to_do(case: Case) -> None:
    assert problems(case.text, case.environ) == (case.problem,)


def test_all_mistakes_are_told_at_once() -> None:
    assert len(problems("[server]\nmax_body = 1\ndeadline = 'x'\n[log]\nlevel = 'loud'")) == 3


def test_a_secret_is_in_no_message() -> None:
    (problem,) = problems("[providers.x]\napi_key = { inline = 'sk-canary', fiel = 'x' }")
    assert "canary" not in problem
    assert "canary" not in problems("bootstrap_key = ['sk-canary']")[0]


def test_stronger_layers_win_one_by_one() -> None:
    text = "[server]\nlisten = 'file:1'\ndeadline = '1 min'\nmax_body = '1 MB'\n"
    environ = {"TRUNKLINE_SERVER__LISTEN": "env:1", "TRUNKLINE_SERVER__DEADLINE": "2 min"}
    settings, sources = read(text, environ, {"server": {"listen": "line:1"}})
    assert (settings.server.listen, settings.server.deadline, settings.server.max_body) == ("line:1", 120, 10**6)
    origins = {path: origin for path, _, origin in effective(settings, sources)}
    assert origins["server.listen"] == "command line"
    assert origins["server.deadline"] == "TRUNKLINE_SERVER__DEADLINE"
    assert origins["server.max_body"] == "t.toml:4"
    assert origins["server.grace"] == "default"


def test_a_provider_is_reached_from_the_environment() -> None:
    environ = {"TRUNKLINE_PROVIDERS__OUR_VLLM__BASE_URL": "http://a/v1", "TRUNKLINE_PROVIDERS__OUR_VLLM__API_KEY": "k1"}
    settings, _ = read("[providers.our-vllm]\ndialect = 'chat'", environ)
    provider = settings.providers["our-vllm"]
    assert (provider.dialect, provider.base_url) == ("chat", "http://a/v1")
    assert provider.api_key is not None
    assert provider.api_key.inline is not None
    assert provider.api_key.inline.reveal() == "k1"


def test_a_list_is_written_in_a_variable_as_in_toml() -> None:
    settings, _ = read(environ={"TRUNKLINE_ENDPOINTS": '[{ provider = "p", model = "a/b", supports = ["tools"] }]'})
    assert settings.endpoints[0].supports == ["tools"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUNKLINE_SERVICE_HOST", "10.0.0.1"),
        ("TRUNKLINE_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("TRUNKLINE_PORT", "tcp://10.0.0.1:8080"),
        ("TRUNKLINE_WEB_SERVICE_PORT_HTTP", "8080"),
        ("TRUNKLINE_CONFIG", "/etc/trunkline.toml"),
        ("TRUNKLINE_BOOTSTRAP_KEY", ""),
        ("TRUNKLINE_SERVER__LISTEN", "  "),
    ],
)
def test_variables_that_are_not_ours_or_empty_are_passed_over(name: str, value: str) -> None:
    assert read(environ={name: value})[0] == Settings()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://10.0.0.5:8000/v1", "http://10.0.0.5:8000/v1"),
        ("http://user:PASS@host/v1", "http://user:(hidden)@host/v1"),
        ("http://user:p/a@ss@host/v1", "http://user:(hidden)@host/v1"),
        ("https://TOKEN@host/v1", "https://(hidden)@host/v1"),
        ("https://host/v1?api-key=PASS&api-version=2024", "https://host/v1?api-key=(hidden)&api-version=2024"),
        ("https://host/v1?a=1&sig=PASS", "https://host/v1?a=1&sig=(hidden)"),
        ("rediss://:PASS@host", "rediss://:(hidden)@host"),
        ("postgresql+asyncpg://me:PASS@db/x", "postgresql+asyncpg://me:(hidden)@db/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("sqlite:////var/lib/a@b.db", "sqlite:////var/lib/a@b.db"),
        ("10 min", "10 min"),
    ],
)
def test_SE_01_an_address_is_shown_without_its_secrets(text: str, shown: str) -> None:
    assert shown_address(text) == shown


def test_secrets_are_hidden_in_the_effective_values() -> None:
    text = """
        bootstrap_key = "canary-1-canary-1-canary"
        [store]
        url = "sqlite:///x.db?password=canary-2"
        [providers.x]
        api_key = "canary-3"
        headers = { x-token = "canary-4" }
        base_url = "http://me:canary-5@host/v1?key=canary-6"
        quirks = { extra_headers = { x-house = "canary-7" } }
        [[endpoints]]
        provider = "x"
        model = "a/b"
        quirks = { extra_headers = { x-house = "canary-8" } }
    """
    settings, sources = read(text)
    shown = list(effective(settings, sources))
    assert "canary" not in repr(shown)
    assert "canary-1" not in repr(settings)
    assert "canary-3" not in repr(settings)
    assert ("store.url", "sqlite:///x.db?password=(hidden)", "t.toml:4") in shown


EITHER = (
    "records are kept in SQLite or PostgreSQL; "
    "write url as sqlite:///trunkline.db or postgresql://user:password@host:5432/name"
)
POSTGRES = (
    "write url as postgresql://user:password@host:5432/name; "
    "where a password has one of / ? # @ % it is %2F %3F %23 %40 %25"
)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://me:canary-9@db/x", EITHER),
        ("canary-9", EITHER),
        ("sqlite://x.db", EITHER),
        ("sqlite:///", "name the file of the database, as sqlite:///trunkline.db"),
        ("postgresql://me:canary-9@db", POSTGRES),
        ("postgresql://me:canary-9@db/", POSTGRES),
        ("postgresql://me:canary-9@db:port/x", POSTGRES),
        ("postgresql://me:canary-9/b@db/x", POSTGRES),
        ("postgresql://me:canary-9?b@db/x", POSTGRES),
        ("postgresql://me:canary 9@db/x", POSTGRES),
    ],
)
def test_SE_01_a_url_of_no_database_is_refused_with_what_to_write_and_without_its_password(
    url: str, problem: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        read(f"[store]\nurl = {url!r}")
    assert raised.value.problems == (f"t.toml:1: store: {problem}",)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:canary-9@db/x", "postgresql://me:(hidden)@db/x"),
        ("postgres://me:canary-9@db:5432/x?sslmode=require", "postgres://me:(hidden)@db:5432/x?sslmode=require"),
        ("postgresql://me:canary-9%40@[::1]:1/x", "postgresql://me:(hidden)@[::1]:1/x"),
        ("postgresql://me@a:1,b:2/x?password=canary-9", "postgresql://me@a:1,b:2/x?password=(hidden)"),
        ("postgresql:///x?host=/run/postgresql", "postgresql:///x?host=/run/postgresql"),
    ],
)
def test_SE_01_a_database_that_is_shared_is_shown_without_its_password(url: str, shown: str) -> None:
    settings, sources = read(f"[store]\nurl = {url!r}")
    assert settings.store.url == url
    assert ("store.url", shown, "t.toml:2") in list(effective(settings, sources))
    assert "canary" not in repr(settings)


def test_what_is_not_set_of_a_provider_is_not_listed() -> None:
    settings, sources = read("[providers.x]\nregion = 'DE'")
    assert [row for row in effective(settings, sources) if row[0].startswith("providers")] == [
        ("providers.x.region", "DE", "t.toml:2")
    ]


@given(st.text(max_size=200))
def test_no_text_brings_the_reader_down(text: str) -> None:
    told: tuple[str, ...] = ()
    try:
        read(text)
    except SettingsError as error:
        told = error.problems
    assert all(problem.startswith("t.toml") for problem in told)
