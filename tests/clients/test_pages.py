"""What README and the pages on clients tell a reader to write and to type, word by word."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import HOW_TO, ROOT, Codex, blocks, required
from tests.clients.model import Model, say
from tests.clients.running import run
from tests.clients.test_agent_sdks import run_node, run_python
from tests.clients.test_claude_code import QUIET
from tests.gateway.server import KEY, Gateway
from tests.npm import AI_SDK, ANTHROPIC_SDK, CLAUDE_CODE, CODEX

pytestmark = pytest.mark.timeout(180)

MODEL = "messages/page"
"""In the place of the model of the pages; a model of Messages as that is."""


def test_the_page_on_codex_works_as_it_is_written(codex: Codex, model: Model) -> None:
    part = model.play_part("nonce-messages-page", say("Hello."), say("Hello again."))
    codex.set_up(MODEL)
    (script,) = blocks(HOW_TO / "codex.md", "sh")
    assert typed(codex, script) == "Hello.\nHello again.\n"
    assert part.asked[1].proofs == part.proofs[:1]
    assert part.bodies[0]["thinking"]


def test_readme_on_codex_works_as_it_is_written(codex: Codex, model: Model) -> None:
    model.play_part("nonce-messages-page", say("Hello."))
    codex.set_up(MODEL)
    (config,) = (block for block in blocks(ROOT / "README.md", "toml") if block.startswith("# ~/.codex/"))
    (codex.folder / ".codex" / "config.toml").write_text(codex.configured(config, MODEL))
    assert "`TRUNKLINE_KEY=tl-… codex`" in (ROOT / "README.md").read_text("utf-8")
    assert typed(codex, "TRUNKLINE_KEY=tl-… codex exec Hello") == "Hello.\n"


def typed(codex: Codex, script: str) -> str:
    """What a shell shows that a reader typed this into, in a folder under Git with `codex` on the path."""
    subprocess.run(["git", "init", "-q"], cwd=codex.work, check=True)
    path = f"{CODEX.folder / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    ran = run(["bash", "-e", "-c", script.replace("tl-…", KEY)], codex.work, HOME=str(codex.folder), PATH=path)
    assert ran.code == 0, ran.err
    return ran.out


def here(text: str, gateway: Gateway) -> str:
    """A text of a page, with an address, a key and a model that are there."""
    text = text.replace("http://127.0.0.1:8080", gateway.url).replace("tl-…", KEY)
    return text.replace("anthropic/claude-sonnet-4.5", MODEL).replace("anthropic/claude-haiku-4.5", MODEL)


def test_the_page_on_claude_code_works_as_it_is_written(gateway: Gateway, model: Model, tmp_path: Path) -> None:
    if reason := CLAUDE_CODE.absence():
        required(reason)
    part = model.play_part("nonce-messages-page", say("Hello."), say("Hello again."))
    (script,) = blocks(HOW_TO / "claude-code.md", "sh")
    path = f"{CLAUDE_CODE.place}:{os.environ['PATH']}"
    ran = run(["bash", "-e", "-c", here(script, gateway)], tmp_path, PATH=path, TMPDIR=str(tmp_path), **QUIET)
    assert model.take_faults() == []
    assert (ran.code, ran.out) == (0, "Hello.\nHello again.\n"), ran.err
    assert "assumes a context window" not in ran.err
    assert part.asked[1].proofs == part.proofs[:1]
    assert part.bodies[0]["thinking"]


PAGES = ("claude-code", "chat-clients")
PACKAGES = {"claude-code": ANTHROPIC_SDK, "chat-clients": AI_SDK}
"""Where what the programs in JavaScript of a page import is installed."""


def test_every_program_in_python_says_hello(gateway: Gateway, model: Model, tmp_path: Path) -> None:
    sources = {f"{page} {number}": source for page in PAGES for number, source in enumerate(sources_of(page, "python"))}
    assert len(sources) == 3
    model.play_part("nonce-messages-page", *(say("Hello.") for _ in sources))
    told = run_python({name: here(source, gateway) for name, source in sources.items()}, tmp_path)
    assert model.take_faults() == []
    assert {name: list(output) for name, output in told.items()} == {name: ["Hello.\n", ""] for name in sources}


@pytest.mark.parametrize("page", PAGES)
def test_every_program_in_javascript_says_hello(page: str, gateway: Gateway, model: Model, tmp_path: Path) -> None:
    sources = sources_of(page, "js")
    assert sources
    model.play_part("nonce-messages-page", *(say("Hello.") for _ in sources))
    told = run_node({source: here(source, gateway) for source in sources}, tmp_path, PACKAGES[page])
    assert model.take_faults() == []
    assert {source: list(output) for source, output in told.items()} == {source: ["Hello.\n", ""] for source in sources}


def sources_of(page: str, language: str) -> list[str]:
    return blocks(HOW_TO / f"{page}.md", language)
