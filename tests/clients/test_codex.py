"""The Codex CLI, unchanged, on providers of four wires: what it does, and what the provider sees of it.

Which tools Codex offers it decides by the model's name, so each scenario asks for the name that has what it needs.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest

from tests.clients.conftest import Codex
from tests.clients.model import Model, Part, Step, call, called, offered, say
from tests.clients.wires import WIRES, Answer, Asked

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PATCH = '*** Begin Patch\n*** Add File: hello.txt\n+Hello "there" \\o/ – é\n*** End Patch\n'
PATCHED = 'Hello "there" \\o/ – é\n'
SCRIPT = 'const ran = await tools.exec_command({cmd: "echo forty-$((40+2)) | tee ran.txt"});\ntext(ran.output);\n'

WEATHER = f"""
[mcp_servers.weather]
command = "{sys.executable}"
args = ["{Path(__file__).with_name("weather.py")}"]
"""

FUNCTIONS_ONLY = tuple(wire for wire in WIRES if wire != "responses")
"""The wires that know functions and nothing else of what Codex offers; the other one gets it as it is."""

on_functions = pytest.mark.parametrize("wire", FUNCTIONS_ONLY)
on_all = pytest.mark.parametrize("wire", WIRES)

pytestmark = pytest.mark.timeout(180)


def assert_whole(model: Model, *parts: Part) -> None:
    """Every step was taken, and the provider that has proofs got each of them back, byte for byte and in order."""
    assert model.take_faults() == []
    for part in parts:
        assert not part.steps
        for number, asked in enumerate(part.asked):
            assert asked.proofs == part.proofs[:number]


@on_functions
def test_a_plain_question_and_a_second_turn(wire: str, codex: Codex, model: Model, nonce: str) -> None:
    part = model.play_part(nonce, say("It is 42."), say("Six times seven."))
    codex.set_up(f"{wire}/gpt-5.5")
    first = codex(f"What is the answer? {nonce}")
    assert first.said == ["It is 42."]
    second = codex("resume", first.thread, "And why?")
    assert_whole(model, part)
    assert second.said == ["Six times seven."]
    assert second.thread == first.thread
    words = part.asked[1].words
    assert words.index("It is 42.") < words.index("And why?")


@on_functions
def test_a_shell_command(wire: str, codex: Codex, model: Model, nonce: str) -> None:
    command = "echo forty-$((40+2)) | tee ran.txt"
    part = model.play_part(nonce, call("exec_command", cmd=command), say("Done."))
    codex.set_up(f"{wire}/gpt-5.5")
    session = codex(nonce)
    assert_whole(model, part)
    assert (codex.work / "ran.txt").read_text() == "forty-42\n"
    assert [ran["exit_code"] for ran in session.items("command_execution")] == [0]
    assert "forty-42" in output_of(part)
    assert session.said == ["Done."]


@on_functions
def test_a_patch(wire: str, codex: Codex, model: Model, nonce: str) -> None:
    part = model.play_part(nonce, call("apply_patch", input=PATCH), say("Done."))
    codex.set_up(f"{wire}/gpt-5.5")
    session = codex(nonce)
    assert_whole(model, part)
    assert (codex.work / "hello.txt").read_text() == PATCHED
    assert [change["status"] for change in session.items("file_change")] == ["completed"]
    assert part.asked[1].calls[0].arguments == {"input": PATCH}
    assert "Success" in output_of(part)


@on_functions
def test_the_view_of_a_picture(wire: str, codex: Codex, model: Model, nonce: str) -> None:
    part = model.play_part(nonce, call("view_image", path="kite.png"), say("A kite."))
    codex.set_up(f"{wire}/gpt-5.5")
    (codex.work / "kite.png").write_bytes(base64.b64decode(PNG))
    session = codex(nonce)
    assert_whole(model, part)
    (picture,) = part.asked[1].pictures
    assert picture.startswith("data:image/png;base64,")
    assert session.said == ["A kite."]


@on_functions
def test_a_tool_that_a_search_finds(wire: str, codex: Codex, model: Model, nonce: str) -> None:
    part = model.play_part(
        nonce, call("tool_search", query="weather"), call("get_weather", city="Oslo"), say("Rain, in Oslo.")
    )
    codex.set_up(f"{wire}/gpt-5.5", WEATHER)
    session = codex(nonce)
    assert_whole(model, part)
    assert not any(name.endswith("get_weather") for name in part.asked[0].offers)
    assert [done["status"] for done in session.items("mcp_tool_call")] == ["completed"]
    assert "4 degrees and rain in Oslo" in output_of(part, 1)
    assert session.said == ["Rain, in Oslo."]


@on_functions
def test_a_tool_of_an_mcp_server(wire: str, codex: Codex, model: Model, nonce: str) -> None:
    part = model.play_part(nonce, call("get_weather", city="Oslo"), say("Rain, in Oslo."))
    codex.set_up(f"{wire}/coder", WEATHER)
    session = codex(nonce)
    assert_whole(model, part)
    assert [done["server"] for done in session.items("mcp_tool_call")] == ["weather"]
    assert "4 degrees and rain in Oslo" in output_of(part)
    assert session.said == ["Rain, in Oslo."]


@on_functions
def test_a_sub_agent(wire: str, codex: Codex, model: Model, nonce: str) -> None:
    def wait(asked: Asked) -> Answer:
        return Answer(calls=[called(asked, "wait_agent", targets=[agent_of(asked)])])

    def close(asked: Asked) -> Answer:
        return Answer(calls=[called(asked, "close_agent", target=agent_of(asked))])

    child = f"{nonce}child"
    part = model.play_part(nonce, call("spawn_agent", message=f"Count. {child}"), wait, close, say("It counted."))
    other = model.play_part(child, say("One, two."))
    codex.set_up(f"{wire}/coder")
    session = codex(nonce)
    assert_whole(model, part, other)
    assert [done["tool"] for done in session.items("collab_tool_call")] == ["spawn_agent", "wait", "close_agent"]
    assert "One, two." in output_of(part, 1)
    assert session.said == ["It counted."]


@on_all
def test_calls_of_all_kinds_at_once(wire: str, codex: Codex, model: Model, nonce: str) -> None:
    def calls(asked: Asked) -> Answer:
        at_once = [
            called(asked, "exec_command", cmd="echo forty-$((40+2))"),
            called(asked, "apply_patch", input=PATCH),
            called(asked, "tool_search", query="weather"),
        ]
        return Answer("Three things.", at_once)

    part = model.play_part(nonce, calls, say("Done."))
    codex.set_up(f"{wire}/gpt-5.5", WEATHER)
    session = codex(nonce)
    assert_whole(model, part)
    assert session.said == ["Three things.", "Done."]
    assert (codex.work / "hello.txt").read_text() == PATCHED
    for number, word in enumerate(("forty-42", "Success", "get_weather")):
        assert word in output_of(part, number)
    assert offered(part.asked[1], "get_weather")


@on_all
def test_a_script_and_a_team_of_the_newest_family(wire: str, codex: Codex, model: Model, nonce: str) -> None:
    """Its tools come inside the input, its shell is a language, and its agents write to each other."""
    child = f"{nonce}child"
    steps: list[Step] = [
        call("exec", input=SCRIPT),
        call("spawn_agent", task_name="counter", message=f"Count. {child}", fork_turns="none"),
        call("wait_agent"),
        say("It counted."),
    ]
    part = model.play_part(nonce, *steps)
    other = model.play_part(child, say("One, two."))
    codex.set_up(f"{wire}/gpt-6.2-sol")
    session = codex(nonce)
    assert_whole(model, part, other)
    assert (codex.work / "ran.txt").read_text() == "forty-42\n"
    assert "forty-42" in output_of(part)
    assert part.asked[1].calls[0].arguments == {"input": SCRIPT}
    assert any("One, two." in words for words in part.asked[3].words)
    assert session.said == ["It counted."]


def output_of(part: Part, number: int = 0) -> str:
    """What the provider was told of a call at the end of the conversation."""
    output = part.asked[-1].calls[number].output
    assert output is not None
    return output


def agent_of(asked: Asked) -> str:
    """The agent that was spawned first, as Codex told it."""
    spawned = asked.calls[0].output
    assert spawned is not None
    found = json.loads(spawned)
    return str(found.get("agent_id") or json.loads(found["output"])["agent_id"])
