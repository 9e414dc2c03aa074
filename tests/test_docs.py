"""The documentation is complete, its links lead somewhere, and its examples do what it says.

What is looked at is every Markdown file of the repository. It does not judge prose.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from docs.pages import FOLDER, PAGES, Command, commands, statuses

from tests import document, test_architecture
from tests.catalog.loading import known
from tests.gateway.server import KEY, Gateway, Reply, read_events, running
from tests.upstream.documents.making import simple_pdf
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect
from trunkline.catalog.load import catalog_of
from trunkline.credentials.schemes import SCHEMES
from trunkline.faces.responses.parse import parse
from trunkline.fakeprovider import directives as fake_directives
from trunkline.inventory import shipped_models
from trunkline.protocol.events import Event
from trunkline.routing.meanings import MEANINGS
from trunkline.settings.forms import fields_of
from trunkline.settings.reading import Sources, build_settings
from trunkline.settings.sections import Settings

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "trunkline"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")

NOT_OURS = {".venv", ".git", ".hypothesis", ".peers", "node_modules", "cassettes", "build", "dist"}


def pages() -> Iterator[Path]:
    """Every Markdown file of ours."""
    for folder, inner, names in os.walk(ROOT):
        inner[:] = sorted(set(inner) - NOT_OURS)
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".md"))


MARKDOWN = list(pages())
PROSE = [path for path in MARKDOWN if path.name != "CHANGELOG.md"]
"""What speaks of the present; a changelog may name what is gone."""


@dataclass(frozen=True)
class Example:
    """One fenced block of a page."""

    path: Path
    line: int
    language: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.path.relative_to(ROOT).as_posix()}:{self.line}"


def is_of_a_client(example: Example) -> bool:
    """Whether it is the settings or a program of another project's client, which `tests/clients/` follows."""
    pages = ("agent-sdks.md", "chat-clients.md", "claude-code.md")
    return example.path.name in pages or example.text.startswith("# ~/.codex/")


def examples(language: str) -> list[Example]:
    return [example for path in MARKDOWN for example in blocks(path) if example.language == language]


def blocks(path: Path) -> Iterator[Example]:
    text = path.read_text("utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Example(path, text[: found.start()].count("\n") + 1, found[1], found[2])


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def by_file(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def by_id(example: Example) -> str:
    return example.id


# What there is, is documented


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_what_would_be_made_now(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == PAGES[name](), "run: python -m docs.pages"


def test_every_command_is_in_the_reference() -> None:
    text = page("reference/commands.md")
    assert [name for name, _ in commands() if f"## `{name}" not in text] == []


def test_every_setting_is_in_the_reference() -> None:
    told = set()
    for section in re.split(r"^## ", page("reference/settings.md"), flags=re.MULTILINE)[1:]:
        header = re.match(r"`\[+(.*?)\]+`", section)
        table = header[1].replace(".<slug>", "") + "." if header else ""
        told |= {table + name for name in re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)}
    assert told == set(setting_names(Settings))


def test_every_status_is_in_the_reference_and_in_the_how_to() -> None:
    reference, how_to = page("reference/errors.md"), page("how-to/read-errors.md")
    for error in statuses():
        assert f"| {error.status} | `{error.default_kind}` |" in reference
        assert re.search(rf"^\|[^|]*\b{error.status}\b", how_to, re.MULTILINE), error.status


def test_every_provider_is_in_the_reference() -> None:
    text = page("reference/providers.md")
    rows = re.findall(r"^\[([^\].]+)\]$", (SOURCE / "catalog" / "providers.toml").read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 60
    assert [slug for slug in rows if f"| `{slug}` |" not in text] == []


def test_the_readme_counts_what_is_shipped() -> None:
    counts = Counter(entry.row.provider for entry in known(Settings(), listed=shipped_models()).entries)
    rows = tomllib.loads((SOURCE / "catalog" / "providers.toml").read_text("utf-8"))
    models = len(shipped_models().models) // 100 * 100
    told = f"over {models} models of {len(counts)} providers are listed, {len(rows) - len(counts)} more need your own"
    assert told in " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert f"{len(counts)} providers with models, {len(rows) - len(counts)} need" in page("reference/providers.md")


def test_every_model_and_directive_of_the_fake_provider_is_documented() -> None:
    text = page("reference/fake-provider.md")
    models = re.findall(r'^slug = "(fake/.+)"$', (SOURCE / "catalog" / "models.toml").read_text("utf-8"), re.MULTILINE)
    directives = re.findall(r'^    "(\w+)": ', Path(str(fake_directives.__file__)).read_text("utf-8"), re.MULTILINE)
    assert len(models) > 3
    assert len(directives) > 10
    assert [name for name in models if f"| `{name}` |" not in text] == []
    assert [name for name in directives if f"`!{name}" not in text] == []


def test_every_event_is_explained() -> None:
    text = page("explanation/streams.md")
    assert [event for event in map(event_type, get_args(Event)) if f"`{event}`" not in text] == []


def test_every_path_and_header_is_in_the_reference() -> None:
    text = page("reference/api.md")
    server = "".join(path.read_text("utf-8") for path in sorted((SOURCE / "server").glob("*.py")))
    paths = [path.replace(":path}", "}") for path in re.findall(r'Route\("([^"]+)"', server)]
    headers = set(re.findall(r"\b(x-(?:trunkline|request|generation|session)-[a-z-]+)", server))
    assert len(paths) > 5
    assert len(headers) > 3
    assert [path for path in paths if path not in text] == []
    assert [header for header in headers if f"`{header}`" not in text.lower()] == []


# What is documented, is there


@pytest.mark.parametrize("path", MARKDOWN, ids=by_file)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(path)):
        if not re.match(r"https?:|mailto:", link):
            target, _, anchor = link.partition("#")
            found = (path.parent / target).resolve() if target else path
            assert found.exists(), link
            assert not anchor or anchor in anchors(found), link


@cache
def known_commands() -> dict[str, Command]:
    return dict(commands())


@pytest.mark.parametrize("path", PROSE, ids=by_file)
def test_commands_that_are_named_exist(path: Path) -> None:
    known = known_commands()
    groups = {name.rpartition(" ")[0] for name in known} | {"trunkline"}
    for words, options in re.findall(
        r"(?:`|^ *\$? ?)(trunkline(?: [a-z]+)+)([^`\n]*)", path.read_text("utf-8"), re.MULTILINE
    ):
        name = words
        while name not in known and " " in name and name not in groups:
            name = name.rpartition(" ")[0]
        assert name != "trunkline", words
        if name in known:
            allowed = {option for parameter in known[name].params for option in parameter.opts} | {"--help"}
            assert set(re.findall(r"(?<=\s)--[a-z-]+", options)) <= allowed, words + options
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^ *|… )make ([a-z-]+)", path.read_text("utf-8"), re.MULTILINE)) <= verbs


@pytest.mark.parametrize("path", PROSE, ids=by_file)
def test_settings_that_are_named_exist(path: Path) -> None:
    known = set(setting_names(Settings))
    sections = "|".join(sorted({name.partition(".")[0] for name in known if "." in name}))
    named = re.findall(rf"`((?:{sections})\.[a-z_.]+)`", path.read_text("utf-8"))
    assert [name for name in named if name not in known and not name.endswith((".py", ".toml", ".json"))] == []


@pytest.mark.parametrize("path", PROSE, ids=by_file)
def test_modules_that_are_named_exist(path: Path) -> None:
    named = set(re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|toml|json))`", path.read_text("utf-8")))
    assert [name for name in named if not (SOURCE / name).exists() and not (ROOT / name).exists()] == []


def test_the_layout_of_the_architecture_is_the_tree() -> None:
    here = {
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*") if path.suffix in (".py", ".toml", ".json")
    }
    here = {name for name in here if not name.endswith("__init__.py") and "/migrations/" not in name}
    told = set(laid_out(ARCHITECTURE.partition("## 3. Layout")[2].partition("## 4.")[0]))
    assert {name for name in told if name.endswith((".py", ".toml", ".json"))} == here


def test_the_lines_of_the_architecture_are_those_of_its_test() -> None:
    table = ARCHITECTURE.partition("## 4. ")[2]
    told = {
        part: -1 if level == "–" else int(level)
        for level, parts in re.findall(r"^ ?(\d+|–)  (.+?)(?:  +\(.*)?$", table, re.MULTILINE)
        for part in parts.split(" · ")
    }
    assert told == test_architecture.LEVELS


def test_the_faults_of_the_architecture_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| next( \*model\*)?[^|]*\| (\d+)[^|]*\|$", ARCHITECTURE, re.MULTILINE)
    told = {fault: ("next_model" if model else "next_endpoint", int(status)) for fault, model, status in rows}
    assert told == {fault: (row.then, row.error.status) for fault, row in MEANINGS.items()}


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_readme_counts_the_dialects() -> None:
    assert set(ADAPTERS) == set(get_args(Dialect))
    words = {10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen"}
    spoken = len(ADAPTERS) - len({"fake"})
    assert f"- {words[spoken]} wire languages" in (ROOT / "README.md").read_text("utf-8")


def test_how_to_add_a_provider_lists_the_dialects() -> None:
    listed = re.search(r"^# One of (.*)\.$", page("how-to/add-a-provider.md"), re.MULTILINE)
    assert listed is not None
    assert set(re.findall(r"[a-z]{3,}", listed[1])) - {"for", "pictures"} == set(ADAPTERS) - {"fake"}


# What is shown, works


@pytest.mark.parametrize("example", [each for each in examples("toml") if not is_of_a_client(each)], ids=by_id)
def test_settings_example_is_accepted(example: Example) -> None:
    """A block is read together with those before it on its page, as a reader would write them into one file."""
    written = tomllib.loads(example.text)
    before = [
        each
        for each in blocks(example.path)
        if each.language == "toml" and each.line < example.line and not is_of_a_client(each)
    ]
    for earlier in reversed(before):
        written = joined(tomllib.loads(earlier.text), written)
    settings = build_settings(Sources(file=written, file_name=example.id))
    catalog_of(known(settings, listed=shipped_models(), dialects=frozenset(ADAPTERS), schemes=frozenset(SCHEMES)))


@pytest.mark.parametrize("example", examples("json"), ids=by_id)
def test_json_example_is_json(example: Example) -> None:
    json.loads(example.text)


@dataclass(frozen=True)
class Curl:
    """One `curl` of a page, read as curl would."""

    example: Example
    address: str
    headers: dict[str, str]
    body: str | None

    @property
    def id(self) -> str:
        return f"{self.example.id} {self.body or self.address}"[:90]

    @property
    def is_answered_here(self) -> bool:
        return self.body is None or '"fake/' in self.body


def curls() -> Iterator[Curl]:
    for example in examples("sh"):
        text = example.text.replace("\\\n", " ")
        for command in re.findall(r"^curl .*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL):
            yield read_curl(example, command)


def read_curl(example: Example, command: str) -> Curl:
    address, headers, body = "", {}, None
    words = iter(shlex.split(command)[1:])
    for word in words:
        match word:
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name.lower()] = value.replace("$KEY", KEY)
            case "-d":
                body = next(words)
                headers.setdefault("content-type", "application/x-www-form-urlencoded")
            case "-N" | "-i":
                pass
            case _:
                assert not word.startswith("-"), f"what does curl do with {word}?"
                address = word
    return Curl(example, address.replace("$TRUNKLINE", "http://127.0.0.1:8080/api/v1"), headers, body)


CURLS = list(curls())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway as a newcomer has it: without settings, FakeProvider alone."""
    with running(tmp_path_factory.mktemp("docs"), "") as found:
        yield found


@pytest.mark.parametrize("curl", [curl for curl in CURLS if curl.body is not None], ids=lambda curl: curl.id)
def test_body_of_a_curl_example_is_a_request(curl: Curl) -> None:
    assert curl.body is not None
    asked = parse(curl.body.encode())
    assert asked.input or asked.prompt is not None
    assert curl.headers["content-type"] == "application/json"
    assert curl.headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("curl", [curl for curl in CURLS if curl.is_answered_here], ids=lambda curl: curl.id)
def test_curl_example_is_answered_by_the_gateway(curl: Curl, gateway: Gateway) -> None:
    path = curl.address.partition("127.0.0.1:8080")[2]
    if curl.body is None:
        assert gateway.request("GET", path, None, curl.headers).status == 200
        return
    reply = gateway.request("POST", path, curl.body.encode(), curl.headers)
    if path.endswith("/explain"):
        assert reply.json["why"]
        return
    check_reply(reply, json.loads(curl.body))


def check_reply(reply: Reply, asked: Any) -> None:
    """An example that asks for a status gets it, in the envelope; any other gets a legal answer."""
    wanted = re.search(r"!status (\d+)", str(asked["input"]))
    if wanted is not None:
        assert reply.status == int(wanted[1]), reply.body
        document.validate_error(reply.status, reply.json)
        return
    assert reply.status == 200, reply.body
    if asked.get("stream"):
        events = read_events(reply.body)
        document.check_stream(events)
        assert events[-1]["type"] != "response.failed" or "!cut" in asked["input"]
    else:
        document.validate_response(reply.json)


def test_the_error_that_is_shown_is_what_the_gateway_says(gateway: Gateway) -> None:
    (shown,) = [json.loads(example.text) for example in examples("json") if example.path.name == "read-errors.md"]
    told = gateway.call({"model": "fake/echo", "input": "!status 429 Slow down."}).json
    told["error"]["metadata"]["attempts"][0]["duration_ms"] = 0
    assert told == shown


def test_the_json_that_is_shown_is_what_is_healed(gateway: Gateway) -> None:
    path = ROOT / "docs" / "how-to" / "json-that-parses.md"
    (curl,) = [each for each in CURLS if each.example.path == path]
    (shown,) = [example.text.strip() for example in examples("json") if example.path == path]
    assert curl.body is not None
    told = gateway.call(curl.body.encode())
    assert told.json["output_text"] == shown
    assert f"`x-trunkline-healed: {told.headers['x-trunkline-healed']}`" in path.read_text("utf-8")


@pytest.mark.parametrize(
    "example",
    [
        each
        for each in examples("python")
        if "127.0.0.1:8080" in each.text and "input_file" not in each.text and not is_of_a_client(each)
    ],
    ids=by_id,
)
def test_python_example_runs_against_the_gateway(example: Example, gateway: Gateway) -> None:
    code = example.text.replace("http://127.0.0.1:8080", gateway.url).replace("tl-…", KEY)
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, env={"PATH": os.environ["PATH"]}
    )
    assert ran.returncode == 0, ran.stderr
    (asked,) = re.findall(r'input="([^"]+)"', code)
    assert asked in ran.stdout


def test_what_is_shown_of_files_is_read_from_them(gateway: Gateway, tmp_path: Path) -> None:
    path = ROOT / "docs" / "how-to" / "files.md"
    (curl,) = [each for each in CURLS if each.example.path == path]
    assert curl.body is not None
    assert "[File: kites.html]\n# Kites" in gateway.call(curl.body.encode()).json["output_text"]
    (example,) = [each for each in examples("python") if each.path == path]
    (tmp_path / "report.pdf").write_bytes(simple_pdf("All kites landed."))
    code = example.text.replace("http://127.0.0.1:8080", gateway.url).replace("tl-…", KEY)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "All kites landed." in ran.stdout


def test_the_gateway_shows_the_pages_that_are_named(gateway: Gateway) -> None:
    for path in ("/health/live", "/health/ready", "/openapi.json", "/docs", "/api/v1/models", "/api/v1/providers"):
        assert gateway.request("GET", path).status == 200, path


# Reading


def setting_names(model: Any, prefix: str = "") -> Iterator[str]:
    """The dotted name of every setting, without the slugs of providers."""
    for name, field in fields_of(model).items():
        inner = [each for each in unfolded(field.type) if hasattr(each, "__struct_fields__")]
        nested = [each for each in inner if each.__name__.endswith("Settings")]
        if nested:
            yield from setting_names(nested[0], f"{prefix}{name}.")
        else:
            yield prefix + name


def joined(before: Any, after: Any) -> Any:
    """Two files in one: tables are merged, lists put together, and the later value counts."""
    if isinstance(before, dict) and isinstance(after, dict):
        shared = {name: joined(before[name], after[name]) for name in before.keys() & after.keys()}
        return {**before, **after, **shared}
    return [*before, *after] if isinstance(before, list) and isinstance(after, list) else after


def unfolded(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from unfolded(inner)


def event_type(event: Any) -> str:
    return str(event.__struct_config__.tag)


def without_blocks(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", without_blocks(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def laid_out(tree: str) -> Iterator[str]:
    """The paths that a drawn tree names."""
    folders: list[str] = []
    for margin, name in re.findall(r"^(.*)[├└]── (\S+)", tree, re.MULTILINE):
        # Four characters of margin for each folder.
        del folders[len(margin) // 4 :]
        if name.endswith("/"):
            folders.append(name)
        yield "".join(folders) + ("" if name.endswith("/") else name)
