"""opencode, unchanged, set up at each of the three APIs as its page says."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.clients.conftest import HOW_TO, blocks, required
from tests.clients.model import Model, Part, Step, call, say
from tests.clients.running import run
from tests.gateway.server import KEY, Gateway
from tests.npm import OPENCODE

PAGE = HOW_TO / "agent-sdks.md"

pytestmark = pytest.mark.timeout(180)

# Nine seconds of a core each: what wires make of the AI SDK, which it speaks with, other tests see.
AT_EACH_API = [
    ("messages", "opencode", ""),
    ("gemini", "opencode", ""),
    ("messages", "opencode-chat", "@ai-sdk/openai-compatible"),
    ("responses", "opencode-messages", "@ai-sdk/anthropic"),
]


@pytest.mark.parametrize(("wire", "name", "package"), AT_EACH_API)
def test_opencode_runs_a_command_and_the_provider_sees_every_proof(
    wire: str, name: str, package: str, gateway: Gateway, model: Model, tmp_path: Path
) -> None:
    if reason := OPENCODE.absence():
        required(reason)
    command = "echo forty-$((40+2)) | tee ran.txt"
    steps = (call("bash", command=command, description="Counts"), call("read", filePath="ran.txt"), say("Hello."))
    part, title = play(model, f"{wire}-{name}", wire, steps)
    (tmp_path / "opencode.json").write_text(configured(wire, name, package, gateway))
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
        # Chat Completions as of this provider has no place for them.
        assert asked.proofs == ([] if name == "opencode-chat" else part.proofs[:number])


def play(model: Model, worker: str, wire: str, steps: Sequence[Step]) -> tuple[Part, Part]:
    """The part of the model that works, and of the one that names the session."""
    return model.play_part(f"nonce-{worker}", *steps), model.play_part(f"nonce-{wire}-title", say("Counting."))


def configured(wire: str, name: str, package: str, gateway: Gateway) -> str:
    """The settings of the page, with an address and models that are there, and with another package if one is named."""
    (text,) = blocks(PAGE, "json")
    text = text.replace("http://127.0.0.1:8080", gateway.url)
    text = text.replace("anthropic/claude-sonnet-4.5", f"{wire}/{name}")
    text = text.replace("anthropic/claude-haiku-4.5", f"{wire}/title")
    settings = json.loads(text)
    assert settings["small_model"] == f"trunkline/{wire}/title"
    if package:
        assert f'`"npm": "{package}"`' in PAGE.read_text("utf-8")
        provider = settings["provider"]["trunkline"]
        provider["npm"] = package
        for model in provider["models"].values():
            del model["options"]
    return json.dumps(settings)
