"""Claude Code, unchanged, on providers of three wires and on one like Anthropic: what it does, and what they see of it.

Its tools of one kind only are offered at once; the others it finds by a search among them, which its own code makes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import required
from tests.clients.model import PAGES, Model, Part, call, say
from tests.clients.running import Ran, run
from tests.clients.uses import searching
from tests.gateway.server import KEY, Gateway
from tests.npm import CLAUDE_CODE

on_each = pytest.mark.parametrize("wire", ["chat", "messages", "responses", "anthropic"])
"""The last is a Messages server that takes all that Claude Code says to Anthropic alone."""

QUIET = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
"""It looks for newer versions of itself, and tells its maker how it is used."""

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True)
class ClaudeCode:
    """Claude Code in a folder of its own."""

    folder: Path
    gateway: Gateway

    @property
    def work(self) -> Path:
        """Where it works."""
        return self.folder / "work"

    def run(self, model: str, *arguments: str, given: str = "", key: str = KEY) -> Ran:
        """Run it until it has nothing more to do."""
        command = (str(CLAUDE_CODE.place / "claude"), "-p", *arguments, "--model", model)
        environ = {"ANTHROPIC_BASE_URL": f"{self.gateway.url}/api", "ANTHROPIC_AUTH_TOKEN": key, **QUIET}
        return run(command, self.work, given, HOME=str(self.folder), TMPDIR=str(self.folder / "tmp"), **environ)

    def __call__(self, model: str, *arguments: str) -> str:
        """What it says in the end."""
        ran = self.run(model, *arguments)
        assert ran.code == 0, [ran.out, ran.err]
        return ran.out.rstrip("\n")


@pytest.fixture
def claude(gateway: Gateway, tmp_path: Path) -> ClaudeCode:
    if reason := CLAUDE_CODE.absence():
        required(reason)
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    return ClaudeCode(tmp_path, gateway)


def assert_whole(model: Model, *parts: Part) -> None:
    """Every step was taken, and the provider that has proofs got each of them back, byte for byte and in order."""
    assert model.take_faults() == []
    for part in parts:
        assert not part.steps
        for number, asked in enumerate(part.asked):
            assert asked.proofs == part.proofs[:number]


@on_each
def test_a_plain_question_and_a_follow_up(wire: str, claude: ClaudeCode, model: Model, nonce: str) -> None:
    part = model.play_part(nonce, say("It is 42."), say("Six times seven."))
    assert claude(f"{wire}/coder", f"What is the answer? {nonce}") == "It is 42."
    assert claude(f"{wire}/coder", "And why?", "--continue") == "Six times seven."
    assert_whole(model, part)
    words = part.asked[1].words
    assert words.index("It is 42.") < next(at for at, text in enumerate(words) if "And why?" in text)


@on_each
def test_an_edit_of_a_file_and_a_command_that_fails(wire: str, claude: ClaudeCode, model: Model, nonce: str) -> None:
    file = claude.work / "kite.txt"
    file.write_text("A red kite – é.\n")
    part = model.play_part(
        nonce,
        call("Read", file_path=str(file)),
        call("Edit", file_path=str(file), old_string="red kite –", new_string='"blue" kite \\o/'),
        call("Bash", command="echo forty-$((40+2)); exit 3", description="Counts"),
        say("Done."),
    )
    assert claude(f"{wire}/coder", f"Paint it. {nonce}", "--allowedTools", "Read,Edit,Bash") == "Done."
    assert_whole(model, part)
    assert file.read_text() == 'A "blue" kite \\o/ é.\n'
    read, edited, ran = (each.output or "" for each in part.asked[-1].calls)
    assert "A red kite – é." in read
    assert "has been updated" in edited
    assert "Exit code 3\nforty-42" in ran


@on_each
def test_a_search_of_the_web(wire: str, claude: ClaudeCode, model: Model, nonce: str) -> None:
    """The search is a request of its own; its tool is one of those that have to be found first."""
    query = f"kites {nonce}search"
    part = model.play_part(
        nonce,
        call("ToolSearch", query="select:WebSearch", max_results=1),
        call("WebSearch", query=query),
        say("Kites fly."),
    )
    found = model.play_part(f"{nonce}search", *searching(query, wire))
    assert claude(f"{wire}/coder", f"Search. {nonce}", "--allowedTools", "WebSearch") == "Kites fly."
    assert_whole(model, part)
    assert not found.steps
    output = part.asked[-1].calls[1].output or ""
    for page in PAGES:
        assert page.url in output
    assert "Found kites." in output


@on_each
def test_the_title_of_a_session(wire: str, claude: ClaudeCode, model: Model, nonce: str) -> None:
    """It is asked for with a schema, without tools, and as an editor asks for it: beside what the user says."""
    part = model.play_part(nonce, say("Hello."))
    title = model.play_part(f"{nonce}title", say('{"title": "Greetings"}'))
    wish = {"subtype": "generate_session_title", "description": f"{nonce}title", "persist": False}
    said = {"role": "user", "content": f"Say hello. {nonce}"}
    lines = [
        {"type": "control_request", "request_id": "r1", "request": wish},
        {"type": "user", "message": said},
    ]
    ran = claude.run(
        f"{wire}/coder",
        *("--input-format", "stream-json", "--output-format", "stream-json", "--verbose"),
        given="".join(json.dumps(line) + "\n" for line in lines),
    )
    assert model.take_faults() == []
    assert ran.code == 0, ran.err
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert [event["result"] for event in told if event["type"] == "result"] == ["Hello."]
    assert [answer(event) for event in told if event["type"] == "control_response"] == [{"title": "Greetings"}]
    assert not part.steps
    assert not title.steps


def answer(event: Any) -> Any:
    return event["response"]["response"]


@pytest.mark.parametrize("wire", ["messages", "anthropic"])
def test_what_it_says_to_anthropic_alone_reaches_nobody_else(
    wire: str, claude: ClaudeCode, model: Model, nonce: str
) -> None:
    part = model.play_part(nonce, say("It is 42."))
    assert claude(f"{wire}/coder", f"What is the answer? {nonce}") == "It is 42."
    assert_whole(model, part)
    (head,), (body,), is_theirs = part.heads, part.bodies, wire == "anthropic"
    assert ("anthropic-beta" in head) is is_theirs
    assert ("context_management" in body) is is_theirs
    assert body["system"][0]["text"].startswith("x-anthropic-billing-header:") is is_theirs


def test_a_model_that_is_not_there(claude: ClaudeCode) -> None:
    ran = claude.run("no/such-model", "Hello.")
    assert ran.code == 1
    assert "There's an issue with the selected model (no/such-model)" in ran.out


def test_a_key_that_is_not_known_is_said_at_once(claude: ClaudeCode) -> None:
    """It asks for minutes where nobody says that it will fail again."""
    ran = claude.run("chat/coder", "Hello.", key="tl-nobody")
    assert ran.code == 1
    assert "API Error: 401" in ran.out


def test_a_refusal_is_shown_in_the_gateways_words(claude: ClaudeCode, model: Model, nonce: str) -> None:
    """The script does not foresee a request; Claude Code leaves out one new thing of its own after another first."""
    model.play_part(nonce)
    ran = claude.run("chat/coder", f"Hello. {nonce}")
    assert model.take_faults()
    assert ran.code == 1
    assert "API Error: 400" in ran.out
    assert "The script did not foresee this." in ran.out
