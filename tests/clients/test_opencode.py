"""opencode, unchanged and set up as its page says, where `make clients` has installed it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.clients.conftest import HOW_TO, blocks
from tests.clients.model import Model, Part, Step, call, say
from tests.clients.running import run
from tests.clients.wires import WIRES
from tests.gateway.server import KEY, Gateway
from tests.npm import OPENCODE

PAGE = HOW_TO / "agent-sdks.md"

pytestmark = [
    pytest.mark.timeout(180),
    # It is 180 MB and takes nine seconds of a core; what it speaks with is the AI SDK, which is always tested.
    pytest.mark.skipif(OPENCODE.absence() != "", reason="opencode is not installed; `make clients` does it"),
]


@pytest.mark.parametrize("wire", WIRES)
def test_opencode_runs_a_command_and_the_provider_sees_every_proof(
    wire: str, gateway: Gateway, model: Model, tmp_path: Path
) -> None:
    command = "echo forty-$((40+2)) | tee ran.txt"
    steps = (call("bash", command=command, description="Counts"), call("read", filePath="ran.txt"), say("Hello."))
    part, title = play(model, wire, steps)
    (tmp_path / "opencode.json").write_text(configured(wire, gateway))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "opencode").symlink_to(OPENCODE.place / "bin" / "opencode")
    (script,) = blocks(PAGE, "sh")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    ran = run(["bash", "-e", "-c", script.replace("tl-…", KEY)], tmp_path, PATH=path)
    assert model.take_faults() == []
    assert ran.code == 0, ran.err
    assert ran.out == "Hello.\n"
    assert not part.steps
    assert not title.steps
    assert (tmp_path / "ran.txt").read_text() == "forty-42\n"
    assert "forty-42" in (part.asked[-1].calls[1].output or "")
    for number, asked in enumerate(part.asked):
        assert asked.proofs == part.proofs[:number]


def play(model: Model, wire: str, steps: Sequence[Step]) -> tuple[Part, Part]:
    """The part of the model that works, and of the one that names the session."""
    return model.play_part(f"nonce-{wire}-opencode", *steps), model.play_part(f"nonce-{wire}-title", say("Counting."))


def configured(wire: str, gateway: Gateway) -> str:
    """The settings of the page, with an address and models that are there."""
    (text,) = blocks(PAGE, "json")
    text = text.replace("http://127.0.0.1:8080", gateway.url)
    text = text.replace("anthropic/claude-sonnet-4.5", f"{wire}/opencode")
    text = text.replace("anthropic/claude-haiku-4.5", f"{wire}/title")
    assert json.loads(text)["small_model"] == f"trunkline/{wire}/title"
    return text
