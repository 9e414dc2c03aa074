"""One scripted model and one gateway in front of it for all clients, and those that are programs as their pages say."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from tests.clients.model import Model
from tests.clients.running import Session, read_session, run
from tests.clients.wires import WIRES
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, running
from tests.npm import CODEX

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"

PYTHON = Path(sys.prefix) / "clients" / "bin" / "python"
"""Where the clients of Python are installed; `make test` does it."""

OLDER_PYTHON = Path(sys.prefix) / "older-clients" / "bin" / "python"
"""The same for those that want an older client of OpenRouter's."""

MODELS = ("coder", "gpt-5.5", "gpt-6.2-sol")
"""What a model is called decides which tools Codex offers: one set for each of its own families, one for all others."""


def required(reason: str, by: str = "npm") -> NoReturn:
    """Skip a test for want of a client, but never under CI where there is who installs it: no build passes without."""
    (pytest.fail if os.environ.get("CI") and shutil.which(by) else pytest.skip)(reason)


def python_required(python: Path) -> None:
    """The same for what is installed for a Python of its own."""
    if not python.exists():
        required("the clients are not installed; `make test` does it", by=sys.executable)


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    with Model() as scripted:
        yield scripted


@pytest.fixture(scope="session")
def gateway(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("gateway"), settings(model.url), MOCK_KEY=PROVIDER_KEY) as server:
        yield server


PROGRAMS = ("ai-sdk", "openai-agents", "langchain", "pydantic-ai")
"""The programs of the page on agent SDKs, in its order; each has a model of its own, by whose name it is known."""

OPENCODES = ("opencode", "opencode-chat", "opencode-messages")
"""How opencode is set up: the model's name says at which API it is."""

ANTHROPIC = """
[providers.scripted-anthropic]
dialect = "messages"
base_url = "{url}/messages/v1"
api_key = {{ env = "MOCK_KEY" }}
quirks = {{ has_anthropic_members = true }}
[[endpoints]]
provider = "scripted-anthropic"
model = "anthropic/coder"
upstream_model = "scripted"
price = {{ input = "1", output = "2" }}
context_tokens = 400000
"""
"""One who speaks Messages as Anthropic itself does, and is told what its clients say to nobody else."""


def settings(url: str) -> str:
    """A provider for each wire, at each of them every model, and an engine that searches."""
    text = f'[search.exa]\nkind = "exa"\nbase_url = "{url}/exa"\napi_key = {{ env = "MOCK_KEY" }}\n'
    for dialect, wire in WIRES.items():
        text += f"""
[providers.scripted-{dialect}]
dialect = "{dialect}"
base_url = "{url}{wire.path}"
api_key = {{ env = "MOCK_KEY" }}
quirks = {{ {wire.quirks} }}
"""
        upstream_names = dict.fromkeys(MODELS, "scripted")
        upstream_names |= {name: f"nonce-{dialect}-{name}" for name in ("page", "title", *OPENCODES, *PROGRAMS)}
        for name, upstream_name in upstream_names.items():
            text += f"""
[[endpoints]]
provider = "scripted-{dialect}"
model = "{dialect}/{name}"
upstream_model = "{upstream_name}"
price = {{ input = "1", output = "2" }}
context_tokens = 400000
"""
    return text + ANTHROPIC.format(url=url)


@pytest.fixture
def nonce() -> str:
    """A word that is in one conversation's requests only."""
    return f"nonce-{next(_numbers)}-"


_numbers = itertools.count()


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


NO_RETRIES = """request_max_retries = 0
stream_max_retries = 0
"""
"""What the table of the provider holds besides: who fails, fails at once."""


@dataclass(frozen=True)
class Codex:
    """Codex in a folder of its own, with the configuration of its page."""

    folder: Path
    gateway: Gateway

    @property
    def work(self) -> Path:
        """Where it works."""
        return self.folder / "work"

    def set_up(self, model: str, *more: str) -> None:
        config = self.configured(next(iter(blocks(HOW_TO / "codex.md", "toml"))), model)
        (self.folder / ".codex").mkdir()
        (self.folder / ".codex" / "config.toml").write_text("\n".join([config, NO_RETRIES, *more]))
        self.work.mkdir()

    def configured(self, config: str, model: str) -> str:
        """A configuration of a page, with an address and a model that are there."""
        config = config.replace("http://127.0.0.1:8080", self.gateway.url)
        return config.replace('"anthropic/claude-sonnet-4.5"', f'"{model}"')

    def __call__(self, *arguments: str) -> Session:
        """Run it without a sandbox, which no container has room for, until it has nothing more to do."""
        options = ("--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
        command = (str(CODEX.place / "bin" / "codex.js"), "exec", *options, *arguments)
        session = read_session(run(command, self.work, HOME=str(self.folder), TRUNKLINE_KEY=KEY))
        assert session.ran.code == 0, session.complaints
        return session


@pytest.fixture
def codex(gateway: Gateway, tmp_path: Path) -> Codex:
    if reason := CODEX.absence():
        required(reason)
    return Codex(tmp_path, gateway)
