"""`trunkline providers` and its probe, against FakeProvider and a scripted provider."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.upstream import Upstream, chunk, completion, stream, usage_chunk, whole
from trunkline.cli.keys import with_keys
from trunkline.cli.providers import providers_page
from trunkline.settings.sections import Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "providers.md"
Run = Callable[..., Any]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == providers_page(), "run: make docs"


class TestList:
    def test_there_are_seventy_rows(self, run: Run) -> None:
        ran = run("providers")
        assert ran.code == 0
        *lines, last = ran.out.splitlines()
        assert len(lines) == 1 + 70
        assert last == "52 providers with models, 18 need your own [[endpoints]]"
        assert "groq" in ran.out
        assert "no key; set GROQ_API_KEY" in ran.out

    def test_json_says_all_but_the_keys(self, run: Run) -> None:
        ran = run("providers", "--json", GROQ_API_KEY="gsk-canary")
        entries = {entry["slug"]: entry for entry in json.loads(ran.out)}
        assert len(entries) == 70
        assert entries["groq"]["is_on"]
        assert entries["groq"]["reason"] == "key from GROQ_API_KEY"
        assert entries["groq"]["endpoints"] > 10
        assert not entries["openai"]["is_on"]
        assert entries["deepseek"]["data_policy"]["trains"] is True
        assert "gsk-canary" not in ran.out

    def test_those_that_are_on(self, run: Run) -> None:
        lines = run("providers", "--on", GROQ_API_KEY="k", MISTRAL_API_KEY="k").out.splitlines()[1:-1]
        assert [line.split()[0] for line in lines] == ["groq", "mistral"]


class TestShow:
    def test_what_becomes_of_prompts_is_told_with_document_and_day(self, run: Run) -> None:
        lines = run("providers", "show", "DeepInfra").out.splitlines()
        told = dict(re.split(r"  +", line, maxsplit=1) for line in lines)
        assert told["prompts"] == "no training, zero retention"
        assert re.fullmatch(r"https://docs\.deepinfra\.com/\S+, read \d{4}-\d\d-\d\d", told["says"])
        assert "!google/gemini*" in told["of models"].split()

    def test_a_policy_without_a_document_is_unknown(self, run: Run) -> None:
        out = run("providers", "show", "novita").out
        assert re.search(r"^prompts +unknown$", out, re.MULTILINE)
        assert "no document of the provider was found" in out

    def test_a_provider_without_models_says_why_and_what_to_do(self, run: Run) -> None:
        assert "none: its models are listed under byteplus; add [[endpoints]]" in run("providers", "show", "seed").out

    def test_the_operators_word_is_told_apart_from_the_documents(self, run: Run, tmp_path: Path) -> None:
        config = tmp_path / "trunkline.toml"
        config.write_text("[providers.groq]\ndata_policy = { zdr = true }\n", "utf-8")
        ran = run("providers", "show", "groq", "--json", "--config", str(config))
        policy = json.loads(ran.out)["data_policy"]
        assert (policy["zdr"], policy["told_by_operator"]) == (True, ["zdr"])
        assert policy["sources"], "how long prompts are kept is still the document's word"

    def test_a_mistyped_name_gets_a_suggestion(self, run: Run) -> None:
        ran = run("providers", "show", "grok")
        assert ran.code == 2
        assert "there is no provider 'grok'" in ran.err


MINE = """
[providers.mine]
dialect = "chat"
base_url = "{url}/v1"
api_key = "sk-canary"
[[endpoints]]
provider = "mine"
model = "acme/rocket-1"
upstream_model = "{nonce}"
price = {{ input = "1", output = "2" }}
[[endpoints]]
provider = "mine"
model = "acme/dear"
price = {{ input = "10", output = "20" }}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


class TestWarnings:
    """What is wrong with one provider is told where the whole is checked, and not to who asks for something else."""

    TEXT = (
        MINE
        + """
    [providers.openai]
    api_key = {{ env = "NOT_SET" }}
    [providers.idle]
    dialect = "chat"
    base_url = "http://10.0.0.5/v1"
    [[endpoints]]
    provider = "mine"
    model = "acme/unpriced"
    """
    )

    WARNINGS = (
        "openai is named in the settings and is off",
        "idle is on, but no model is known for it",
        "mine:acme/unpriced has no price",
    )

    @pytest.mark.parametrize(
        "arguments",
        [
            ("providers",),
            ("providers", "--json"),
            ("providers", "probe", "mine"),
            ("models",),
            ("models", "--json"),
            ("route", "explain", "request.json"),
            ("catalog", "show"),
            ("keys", "list"),
        ],
        ids=" ".join,
    )
    def test_who_asks_for_something_else_hears_none(
        self, arguments: tuple[str, ...], run: Run, upstream: Upstream, tmp_path: Path
    ) -> None:
        with_keys(Settings(), lambda keys: keys.all(), makes=True)
        (tmp_path / "request.json").write_text('{"model": "acme/rocket-1", "input": "Hi"}')
        ran = run(*arguments, text=self.TEXT.format(url=upstream.url, nonce="rocket"))
        assert ran.err == ""
        assert not [words for words in self.WARNINGS if words in ran.out]

    @pytest.mark.parametrize("arguments", [("check",), ("check", "--all")], ids=" ".join)
    def test_a_check_tells_each(self, arguments: tuple[str, ...], run: Run, upstream: Upstream) -> None:
        ran = run(*arguments, text=self.TEXT.format(url=upstream.url, nonce="rocket"))
        assert [line.startswith("warning: ") for line in ran.err.splitlines()] == [True] * len(self.WARNINGS)
        assert [words for words in self.WARNINGS if words not in ran.err] == []


class TestProbe:
    @pytest.fixture
    def probe(self, run: Run, upstream: Upstream) -> Run:
        def probe(nonce: str, *scripts: Any, arguments: tuple[str, ...] = ("mine",)) -> Any:
            if scripts:
                upstream.play(nonce, *scripts)
            ran = run("providers", "probe", *arguments, text=MINE.format(url=upstream.url, nonce=nonce))
            assert "sk-canary" not in ran.out + ran.err
            found = {line.split()[0]: line.split()[1] for line in ran.out.splitlines()[3:]}
            return ran.code, found, ran.out + ran.err

        return probe

    def test_all_works(self, probe: Run, upstream: Upstream) -> None:
        call = {"id": "c", "type": "function", "function": {"name": "note", "arguments": '{"word": "hi"}'}}
        code, found, out = probe(
            "nonce-works",
            whole(completion()),
            stream([chunk("Hel"), chunk("lo."), chunk(finish="stop"), usage_chunk(), "[DONE]"]),
            whole(completion(None, "tool_calls", tool_calls=[call])),
            whole(completion('{"word": "hi"}')),
        )
        assert (code, found) == (0, dict.fromkeys(("key", "streaming", "tools", "schema", "usage"), "yes")), out
        assert "acme/rocket-1 as nonce-works" in out
        asked = upstream.seen("nonce-works")
        assert [seen.headers["authorization"] for seen in asked] == ["Bearer sk-canary"] * 4
        assert asked[0].json["max_tokens"] <= 16
        assert asked[2].json["tool_choice"] == "required"

    def test_a_bad_key_ends_it(self, probe: Run, upstream: Upstream) -> None:
        code, found, out = probe("nonce-key", whole({"error": {"message": "bad key"}}, 401))
        assert (code, found) == (1, {"key": "no"}), out
        assert len(upstream.seen("nonce-key")) == 1

    def test_what_does_not_work_is_told_apart_from_what_is_unclear(self, probe: Run) -> None:
        silent = {**completion(), "usage": None}
        code, found, out = probe(
            "nonce-mixed",
            whole(silent),
            stream([chunk("Hello."), chunk(finish="stop"), "[DONE]"]),
            whole(completion("I would rather not.")),
            whole({"error": {"message": "response_format is not supported"}}, 400),
        )
        assert code == 1
        assert found == {"key": "yes", "streaming": "yes", "tools": "unclear", "schema": "no", "usage": "no"}, out
        assert "response_format is not supported" in out

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("think", 'set quirks = { think_tags = "tagged" }'),
            ("mm:think", 'set quirks = { think_tags = "tagged", think_tag = "mm:think" }'),
        ],
    )
    def test_thought_in_the_text_is_noticed(self, name: str, words: str, probe: Run) -> None:
        answer = whole(completion(f"<{name}>Hm.</{name}>Hello."))
        code, found, out = probe(f"nonce-tags-{name.replace(':', '-')}", answer)
        assert (code, found["thought"]) == (1, "no"), out
        assert words in out

    def test_another_model_can_be_asked(self, probe: Run) -> None:
        _, _, out = probe("nonce-other", arguments=("MINE", "--model", "acme/dear"))
        assert "mine: acme/dear" in out

    def test_a_stream_without_an_answer_is_no_stream(self, probe: Run) -> None:
        _, found, _ = probe("nonce-cut", whole(completion()), stream([], "end"), whole(completion()))
        assert found["streaming"] == "no"

    def test_fake_provider_works(self, run: Run) -> None:
        ran = run("providers", "probe", "FakeProvider")
        assert ran.code == 0, ran.out

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("groq",), "groq is off: no key; set GROQ_API_KEY"),
            (("grok",), "there is no provider 'grok'; did you mean 'groq'?"),
            (("FakeProvider", "--model", "a/b"), "fake-provider has no model a/b here"),
        ],
    )
    def test_who_cannot_be_asked_is_told(self, run: Run, arguments: tuple[str, ...], words: str) -> None:
        ran = run("providers", "probe", *arguments)
        assert (ran.code, words in ran.err) == (2, True), ran.err
