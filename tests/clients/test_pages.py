"""What README and the page on Codex tell a reader to write and to type, word by word."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.clients.conftest import HOW_TO, ROOT, Codex, blocks
from tests.clients.model import Model, say
from tests.clients.running import run
from tests.gateway.server import KEY
from tests.npm import CODEX

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
