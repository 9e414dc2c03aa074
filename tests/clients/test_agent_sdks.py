"""The programs of the how-to on agent SDKs, word by word, at providers of four wires: two loops of tools each.

The model thinks before every step; the provider must see each proof of it again, byte for byte, in each later request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.conftest import HOW_TO, PROGRAMS, PYTHON, blocks, python_required, required
from tests.clients.model import Model, Part, call, called, say
from tests.clients.running import run
from tests.clients.wires import WIRES, Answer, Asked
from tests.gateway.server import KEY, Gateway
from tests.npm import AI_SDK, Package

HERE = Path(__file__).parent
PAGE = HOW_TO / "agent-sdks.md"
SOURCES = dict(zip(PROGRAMS, [*blocks(PAGE, "js"), *blocks(PAGE, "python")], strict=True))

pytestmark = pytest.mark.timeout(180)

Outputs = Mapping[str, tuple[str, str]]
"""What each program printed, and how it failed, by the name of its model."""


def look_at_two(asked: Asked) -> Answer:
    return Answer("Two more.", [called(asked, "get_weather", city=city) for city in ("Bergen", "Tromsø")])


@pytest.fixture(scope="module")
def parts(model: Model) -> dict[str, Part]:
    """What the model does for each program: three steps for the first question, two for the second."""
    steps = [
        call("get_weather", city="Oslo"),
        look_at_two,
        say("Rain everywhere."),
        call("get_weather", city="Rome"),
        say("Go to Rome."),
    ]
    return {
        f"{dialect}/{name}": model.play_part(f"nonce-{dialect}-{name}", *steps)
        for dialect in WIRES
        for name in PROGRAMS
    }


def sources(names: tuple[str, ...], gateway: Gateway) -> dict[str, str]:
    """The programs of these names for each wire, with an address, a key and a model that are there."""
    return {
        f"{dialect}/{name}": SOURCES[name]
        .replace("http://127.0.0.1:8080", gateway.url)
        .replace("tl-…", KEY)
        .replace("anthropic/claude-sonnet-4.5", f"{dialect}/{name}")
        for dialect in WIRES
        for name in names
    }


@pytest.fixture(scope="module")
def outputs(parts: dict[str, Part], gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """What the programs did, all run once: most of what they take is the reading of what they import."""
    folder = tmp_path_factory.mktemp("programs")
    return {**run_python(sources(PROGRAMS[1:], gateway), folder), **run_node(sources(PROGRAMS[:1], gateway), folder)}


def run_python(programs: Mapping[str, str], folder: Path) -> Outputs:
    python_required(PYTHON)
    ran = run([str(PYTHON), str(HERE / "programs.py")], folder, json.dumps(programs))
    assert ran.code == 0, ran.err
    found: Outputs = json.loads(ran.out)
    return found


def run_node(programs: Mapping[str, str], folder: Path, package: Package = AI_SDK) -> Outputs:
    if reason := package.absence():
        required(reason)
    (folder / "node_modules").symlink_to(package.folder / "node_modules")
    files = {str(folder / f"{number}.mjs"): name for number, name in enumerate(programs)}
    for file, name in files.items():
        Path(file).write_text(programs[name])
    ran = run(["node", str(HERE / "programs.mjs"), *files], folder)
    assert ran.code == 0, ran.err
    return {files[file]: output for file, output in json.loads(ran.out).items()}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("wire", WIRES)
def test_a_program_of_the_page_gets_through_its_loop_and_the_provider_sees_every_proof(
    wire: str, name: str, parts: dict[str, Part], outputs: Outputs, model: Model
) -> None:
    printed, failure = outputs[f"{wire}/{name}"]
    assert failure == "", [failure, model.faults]
    assert printed == "Rain everywhere.\nGo to Rome.\n"
    part = parts[f"{wire}/{name}"]
    assert not part.steps
    cities = ["Oslo", "Bergen", "Tromsø", "Rome"]
    assert [done.arguments for done in part.asked[-1].calls] == [{"city": city} for city in cities]
    for city, done in zip(cities, part.asked[-1].calls, strict=True):
        assert f"4 degrees and rain in {city}" in (done.output or "")
    for number, asked in enumerate(part.asked):
        assert asked.proofs == part.proofs[:number]


def test_the_page_quotes_what_is_said_of_references(gateway: Gateway) -> None:
    asked = [{"type": "item_reference", "id": "rs_1"}, {"role": "user", "content": "And where should I go?"}]
    told = gateway.call({"model": "chat/coder", "input": asked})
    assert told.status == 400
    (quoted,) = re.findall(r"400 `([^`]+)`", PAGE.read_text("utf-8"))
    assert quoted in told.json["error"]["message"]
