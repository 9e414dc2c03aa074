"""`trunkline check` tells which engines are on, and with --probe whether search engines are there, at no cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import Ran
from tests.gateway.conftest import closed_port
from tests.gateway.upstream import Script, Upstream, whole

Run = Callable[..., Ran]

KEY = "exa-canary-8d1f2b3c4a5e"
EXA = '[search.exa]\nkind = "exa"\napi_key = {{ env = "EXA_API_KEY" }}\nbase_url = "{url}"\n'
OURS = '[search.ours]\nkind = "searxng"\nbase_url = "{url}"\n'
FIRST = '[plugins.web]\nengine = "ours"\n'
SOURCES = {"results": [{"url": "https://a.example/", "title": "T", "content": "x"}]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def part(ran: Ran, title: str) -> list[str]:
    """The lines under a title."""
    assert KEY not in ran.out + ran.err
    rest = ran.out.partition(f"{title}\n")[2].splitlines()
    return [line.strip() for line in rest[: next((n for n, line in enumerate(rest) if line[:1] != " "), len(rest))]]


def test_nothing_is_said_of_engines_where_there_are_none(run: Run) -> None:
    assert "Search engines" not in run("check", text="").out


def test_an_engine_without_its_key_is_off_and_the_exit_code_is_1(run: Run) -> None:
    text = EXA.format(url="http://127.0.0.1:9") + OURS.format(url="http://10.0.0.7:8888") + FIRST
    ran = run("check", text=text)
    assert ran.code == 1
    assert part(ran, "Search engines on") == ["ours  (searxng, needs no key)"]
    assert part(ran, "Search engines off") == ["exa  (exa, EXA_API_KEY is not set or empty; set it to the key)"]
    assert run("check", text=text, EXA_API_KEY=KEY).code == 0


def test_an_engine_that_reads_scanned_files_is_told_apart(run: Run) -> None:
    text = '[ocr.ours]\nkind = "mistral"\nbase_url = "http://10.0.0.7:1/v1"\n[ocr.mistral]\nkind = "mistral"\n'
    text += 'api_key = { env = "OCR_KEY" }\n[plugins.file_parser]\nocr = "ours"\n'
    ran = run("check", text=text)
    assert ran.code == 1
    assert part(ran, "OCR engines on") == ["ours  (mistral, needs no key)"]
    assert part(ran, "OCR engines off") == ["mistral  (mistral, OCR_KEY is not set or empty; set it to the key)"]
    assert run("check", text=text, OCR_KEY=KEY).code == 0


def test_a_key_that_no_header_can_carry_is_none(run: Run) -> None:
    ran = run("check", text=EXA.format(url="http://127.0.0.1:9"), EXA_API_KEY=f"{KEY}\tx")
    words = "the key from EXA_API_KEY has white space or characters that no header can carry"
    assert part(ran, "Search engines off") == [f"exa  (exa, {words})"]


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (whole(SOURCES), 0, "ok, 1 results"),
        (
            whole(b"", 403),
            1,
            "it answers no searches as JSON (403); add json to search.formats in the settings.yml of your SearXNG, and "
            "have its limiter let us in",
        ),
        (whole(b"", 500), 1, "it failed (500)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_searxng_is_made_to_search(script: Script, code: int, words: str, run: Run, upstream: Upstream) -> None:
    nonce = f"nonce-engine-{code}-{len(words)}"
    upstream.play(nonce, script)
    ran = run("check", "--probe", text=OURS.format(url=f"{upstream.url}/{nonce}"))
    assert (ran.code, part(ran, "Search engines asked")) == (code, [f"ours  {words}"])
    (asked,) = upstream.seen(nonce)
    assert asked.path == f"/{nonce}/search?q=trunkline&format=json"


def test_an_engine_that_costs_is_only_visited(run: Run, upstream: Upstream) -> None:
    upstream.play("nonce-visited-engine", whole(b"", 404))
    ran = run("check", "--probe", text=EXA.format(url=f"{upstream.url}/nonce-visited-engine"), EXA_API_KEY=KEY)
    assert ran.code == 0
    assert part(ran, "Search engines asked") == ["exa  is there; its key was not tried, since a search costs"]
    (asked,) = upstream.seen("nonce-visited-engine")
    assert KEY not in repr(asked.headers)


def test_an_engine_that_is_not_there_is_named(run: Run) -> None:
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        ran = run("check", "--probe", text=EXA.format(url=url) + OURS.format(url=url) + FIRST, EXA_API_KEY=KEY)
    assert ran.code == 1
    words = f"cannot connect to 127.0.0.1:{port}: Connection refused"
    assert sorted(part(ran, "Search engines asked")) == [f"exa   {words}", f"ours  {words}"]


WORDS = '[moderation.list]\nkind = "words"\nwords = ["x"]\n'
MODERATOR = '[moderation.openai]\nkind = "openai"\napi_key = { env = "MOD_KEY" }\n'
CHOSEN = '[plugins.moderation]\nengine = "list"\n'


def test_a_moderator_without_its_key_is_off(run: Run) -> None:
    ran = run("check", text=WORDS + MODERATOR + CHOSEN)
    assert ran.code == 1
    assert part(ran, "Moderators on") == ["list  (words, needs no key)"]
    assert part(ran, "Moderators off") == ["openai  (openai, MOD_KEY is not set or empty; set it to the key)"]
    assert run("check", text=WORDS + MODERATOR + CHOSEN, MOD_KEY=KEY).code == 0


def test_a_pattern_that_cannot_be_used_is_refused_as_at_the_start(run: Run) -> None:
    ran = run("check", text=WORDS + "patterns = ['a', '(?=b)']\n")
    assert ran.code == 2
    assert "moderation.list.patterns[1] is no pattern that is matched in linear time" in ran.err
