"""`trunkline route explain`: the plan of a request as a table, as JSON, and what it says when nobody may serve."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SETTINGS = """
[providers.alpha]
dialect = "chat"
base_url = "http://127.0.0.1:1/v1"
data_policy = { zdr = true }
[providers.beta]
dialect = "chat"
base_url = "http://127.0.0.1:1/v1"
[[endpoints]]
provider = "alpha"
model = "m/one"
price = { input = "1", output = "2" }
[[endpoints]]
provider = "beta"
model = "m/one"
price = { input = "2", output = "3" }
quantization = "fp8"
"""

ASK = {"model": "m/one", "input": "Hello"}


def written(tmp_path: Path, **provider: object) -> str:
    (tmp_path / "ask.json").write_text(json.dumps({**ASK, "provider": provider}))
    return "ask.json"


def test_the_plan_is_a_table(run: Run, tmp_path: Path) -> None:
    ran = run("route", "explain", written(tmp_path), "--dice", "0.9", text=SETTINGS)
    assert ran.code == 0
    assert [line.split()[:2] for line in ran.out.splitlines()[1:3]] == [["1", "beta:m/one"], ["2", "alpha:m/one"]]
    assert "dice 0.9000" in ran.out


def test_a_body_comes_from_stdin_and_json_goes_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(ASK).encode())))
    ran = run("route", "explain", "-", "--json", text=SETTINGS)
    told = json.loads(ran.out)
    assert {each["provider"] for each in told["order"]} == {"alpha", "beta"}
    assert len(told["dice"]) == 1
    assert told["refusal"] is None


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_what_the_auto_router_chooses_is_said(options: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    (tmp_path / "ask.json").write_text(json.dumps({"model": "openrouter/auto", "input": "Hello"}))
    settings = SETTINGS + '[plugins.auto_router]\nmodels = ["m/one"]\n'
    ran = run("route", "explain", "ask.json", *options, text=settings)
    assert ran.code == 0
    if options:
        assert json.loads(ran.out)["plugins"]["auto_router"]["model"] == "m/one"
    else:
        assert ran.out.startswith("m/one is the cheapest of 1 with a quality of 0.00 or more; the prompt is cheap.")


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_when_nobody_may_serve_it_says_why_and_ends_with_1(options: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    ran = run("route", "explain", written(tmp_path, zdr=True, quantizations=["fp8"]), *options, text=SETTINGS)
    assert ran.code == 1
    assert "Without zdr, beta would serve." in ran.out
    assert "quantizations" in ran.out


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"model": "m/on", "input": "x"}', "Did you mean m/one?"),
        ("{", "not valid JSON"),
        ('{"model": "m/one", "prompt": {"id": "t"}}', "filled by a gateway that runs"),
    ],
    ids=["unknown model", "no JSON", "a template"],
)
def test_a_request_that_is_wrong_is_one_line(body: str, words: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "ask.json").write_text(body)
    ran = run("route", "explain", "ask.json", text=SETTINGS)
    assert ran.code == 2
    assert words in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("dice", ["1", "nan", "six"])
def test_dice_that_cannot_fall(dice: str, run: Run, tmp_path: Path) -> None:
    assert run("route", "explain", written(tmp_path), "--dice", dice, text=SETTINGS).code == 2


@pytest.mark.parametrize("model", ["openai/gpt-4o", "openai/gpt-4ooo", "nobody/nothing", "m/three"])
def test_the_operator_is_not_sent_to_the_operator(model: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "ask.json").write_text(json.dumps({**ASK, "model": model}))
    ran = run("route", "explain", "ask.json", text=SETTINGS)
    assert ran.code == 2
    assert "operator" not in ran.err
    assert ran.err.count("\n") == 1
