"""README, quickstart and how-tos walked as a newcomer walks them: each command of a page, word by word, in its order.

What differs from a newcomer's machine is told to the commands, and nothing of them is changed but addresses: another
port than 8080, folders of the test's own, and a scripted server in the place of one in the reader's network.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.catalog.lists import Site, newer, served
from tests.gateway.ports import free_port
from tests.gateway.server import KEY, MEASURED, PROVIDER_KEY, running
from tests.gateway.upstream import Upstream
from tests.recorded import keep, opened, record
from trunkline.money import nano_of

ROOT = Path(__file__).parent.parent
HOW_TOS = sorted((ROOT / "docs" / "how-to").glob("*.md"))
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("make", "bash", "curl"))), reason="a newcomer has make, bash and curl"
)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Every line of a page that begins with the command, in a block or shown after a prompt."""
    return re.findall(r"^(?:    )?(?:\$ )?(trunkline .*)$", page.read_text("utf-8"), re.MULTILINE)


def shell(script: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a reader's shell would, with the command on its path as the quickstart puts it there."""
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": f"{BIN}:{os.environ['PATH']}", "no_proxy": "*", **MEASURED, **environ},
    )


@contextlib.contextmanager
def made_to_run(folder: Path) -> Iterator[tuple[int, str]]:
    """`make run`, as README says, on a terminal, in a checkout whose .venv is there: the port, and what it shows."""
    for name in ("Makefile", "pyproject.toml", "requirements", "src"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "trunkline"):
        (folder / ".venv" / "bin" / name).symlink_to(BIN / name)
    later = time.time() + 60
    (folder / ".venv" / ".run").touch()
    os.utime(folder / ".venv" / ".run", (later, later))
    port = free_port()
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        ["make", "run", f"ARGS=--port {port}"],
        cwd=folder,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], **MEASURED},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown = ""
        while not re.search(r"}'\s+\n", shown):
            assert select.select([ours], [], [], 45)[0], f"nothing more is shown: {shown}"
            shown += os.read(ours, 4096).decode().replace("\r\n", "\n")
        yield port, shown
    finally:
        process.terminate()
        process.wait(15)
        os.close(ours)


@pytest.mark.timeout(180)
def test_readme_and_quickstart_work_as_they_are_written(tmp_path: Path) -> None:
    with made_to_run(tmp_path) as (port, shown):
        (key,) = re.findall(r"Your API key, shown only now: (tl-[\w-]{49})\n", shown)

        def here(text: str) -> str:
            return text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("tl-…", key)

        pasted = shell(shown[shown.index("  curl ") :].partition("\n\n")[0], tmp_path)
        assert '"text":"Hello!"' in pasted.stdout, pasted.stderr
        readme, quickstart = ROOT / "README.md", ROOT / "docs" / "quickstart.md"
        said = [here(example) for page in (readme, quickstart) for example in blocks(page, "python")]
        for example, words in zip(said, ("Hello!", "Say it in pieces."), strict=True):
            ran = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=60)
            assert words in ran.stdout, ran.stderr
        typed = [here(block) for block in blocks(quickstart, "sh") if not block.startswith("make ")]
        assert len(typed) > 4
        # One shell for all: what is exported first is used by what comes after. The page's own shell knows the folder.
        ran = shell("\n".join([*typed, "trunkline check", "trunkline keys create", "trunkline keys list"]), tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert '"error":{' not in ran.stdout
        assert ran.stdout.count('"output_text"') >= 3
        assert "server.listen" in ran.stdout
        assert str(tmp_path / "trunkline.db") in ran.stderr


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_who_is_told_to_type_trunkline_is_told_where_it_is(page: Path) -> None:
    assert not commands(page) or ".venv/bin/trunkline" in page.read_text("utf-8")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A server with a newer list of models."""
    with served() as site:
        site.puts(newer())
        yield site


def billed(invoice: str, folder: Path) -> None:
    """The invoice of a page as a file, and on record what it bills."""
    (folder / "invoice.csv").write_text(invoice)
    in_november = int(datetime(2026, 11, 17, tzinfo=UTC).timestamp() * 1000)
    rows = []
    for line in csv.DictReader(invoice.splitlines()):
        nano = nano_of(line["cost_usd"])
        made = {"created_at_ms": in_november, "cost_nano": nano, "cost_input_nano": nano, "provider": "openai"}
        rows.append(record(line["response_id"], upstream_id=line["response_id"], **made))
    assert rows
    with opened(folder / "trunkline.db") as connection:
        keep(connection, rows)


def settings_of(page: Path, folder: Path, upstream: Upstream, site: Site) -> str:
    """The settings of a page in one file, with folders and servers that are here."""
    for name in ("secrets", "lib"):
        (folder / name).mkdir()
    text = "\n".join(sorted(blocks(page, "toml"), key=lambda block: block.startswith("[")))
    for found in re.findall(r'"/run/secrets/([\w-]+)"', text):
        (folder / "secrets" / found).write_text(PROVIDER_KEY)
    text = text.replace("/run/secrets/", f"{folder}/secrets/").replace("/var/lib/trunkline/", f"{folder}/lib/")
    text = re.sub(r"https?://(10\.0\.0\.5:8000|api\.acme\.example)/", f"{upstream.url}/", text)
    text = text.replace("https://lists.acme.example/models.json", site.url)
    return once(text)


def once(text: str) -> str:
    """A table that a page shows again, with more in it, is one table: the later lines go into the first."""
    tables: dict[str, list[str]] = {}
    for number, part in enumerate(re.split(r"^(?=\[)", text, flags=re.MULTILINE)):
        header, _, body = part.partition("\n") if part.startswith("[") else ("", "", part)
        known = tables.setdefault(f"{header} #{number}" if header.startswith("[[") else header, [])
        for line in body.splitlines():
            name = line.partition("=")[0]
            known[:] = [each for each in known if not name.strip() or each.partition("=")[0] != name]
            known.append(line)
    return "\n".join(line for header, body in tables.items() for line in (header.partition(" #")[0], *body)) + "\n"


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "page",
    # That of many nodes needs servers: `tests/cluster/test_many_nodes_page.py`.
    [page for page in HOW_TOS if commands(page) and page.stem != "many-nodes"],
    ids=lambda page: page.stem,
)
def test_the_commands_of_a_how_to_do_what_it_says(page: Path, tmp_path: Path, upstream: Upstream, site: Site) -> None:
    text = settings_of(page, tmp_path, upstream, site)
    environ = dict.fromkeys(re.findall(r'env = "(\w+)"', text), PROVIDER_KEY)
    (tmp_path / "trunkline.toml").write_text(text)
    (tmp_path / "request.json").write_text('{"model": "fake/echo", "input": "Hello!"}')
    if page.stem in ("manage-keys", "give-out-keys", "check-invoices", "update-models", "templates", "open-webui"):
        with running(tmp_path, text if "[catalog]" in text else ""):
            pass
    for text in blocks(page, "csv"):
        billed(text, tmp_path)
    for name in dict.fromkeys(re.findall(r"< (\S+\.json)", page.read_text("utf-8"))):
        (tmp_path / name).write_text(blocks(page, "json")[0])
    for name in re.findall(r"< (\S+\.key)", page.read_text("utf-8")):
        (tmp_path / name).write_text(PROVIDER_KEY)
    for command in commands(page):
        if "--probe" in command:
            continue  # it would leave this machine; `tests/cli/test_check_probe.py`
        if "pk_0123456789abcdef" in command:
            kept = json.loads(shell("trunkline byok list --json", tmp_path).stdout)["provider_keys"]
            command = command.replace("pk_0123456789abcdef", kept[0]["id"])
        ran = shell(command, tmp_path, **environ)
        # Of the scripted server no more is known than that it answers.
        allowed = (0, 1) if " probe " in command else (0,)
        assert ran.returncode in allowed, f"{command}: {ran.stderr}"
        assert PROVIDER_KEY not in ran.stdout + ran.stderr
        if " probe " in command:
            assert re.search(r"^  key +yes", ran.stdout, re.MULTILINE), ran.stdout


def test_the_copy_of_the_how_to_is_one_that_a_gateway_starts_with(tmp_path: Path) -> None:
    (script,) = [block for block in blocks(ROOT / "docs" / "how-to" / "run-with-a-file.md", "sh") if "copy.db" in block]
    ask = {"model": "fake/echo", "input": "Hello!"}
    with running(tmp_path, "", key=None) as gateway:
        key = (tmp_path / "trunkline.db.first-key").read_text().strip()
        assert gateway.call(ask, key=key).status == 200
        ran = shell(script, tmp_path)
        assert ran.returncode == 0, ran.stderr
    with running(tmp_path, 'store.url = "sqlite:///copy.db"', key=None) as gateway:
        assert gateway.call(ask, key=key).status == 200
        assert gateway.call(ask, key=KEY).status == 401


def test_what_the_how_to_sends_twice_is_answered_once(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "retry-safely.md"
    (script,), (example,) = blocks(page, "sh"), blocks(page, "python")
    with running(tmp_path, "") as gateway:
        ran = shell(script, tmp_path, TRUNKLINE=f"{gateway.url}/api/v1", KEY=KEY)
        first, again = (part.lower() for part in ran.stdout.split("HTTP/1.1 200 OK")[1:])
        assert "x-trunkline-replayed: true" in again
        assert "x-trunkline-replayed" not in first
        assert first.partition("\n\n")[2] == again.partition("\n\n")[2] != ""
        code = example.replace("http://127.0.0.1:8080", gateway.url).replace("tl-…", KEY)
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert said.stdout == "Say this once.\n", said.stderr
