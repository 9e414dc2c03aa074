"""`trunkline models`: what is listed, narrowed and sorted."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from trunkline.inventory import shipped_models

SHIPPED = shipped_models()
Run = Callable[..., Any]


class TestModels:
    def test_every_known_endpoint_is_a_line(self, run: Run) -> None:
        ran = run("models")
        lines = ran.out.splitlines()
        assert (ran.code, lines[0].split()[:2]) == (0, ["MODEL", "PROVIDER"])
        assert len(lines) - 1 >= sum(len(model.endpoints) for model in SHIPPED.models) >= 1500

    def test_json_has_an_entry_for_each_endpoint(self, run: Run) -> None:
        entries = json.loads(run("models", "--json").out)
        assert len(entries) >= 1500
        assert len({entry["id"] for entry in entries}) == len(entries)
        assert all(entry["source"] for entry in entries)
        complete = [entry for entry in entries if entry["price"] and entry["context_tokens"] and entry["source_date"]]
        assert len(complete) >= 1500
        (mini,) = [entry for entry in entries if entry["id"] == "openai:openai/gpt-5-mini"]
        assert mini["price"]["input"] == "0.25"
        assert (mini["is_on"], mini["obstacle"]) == (False, "no key; set OPENAI_API_KEY")

    @pytest.mark.parametrize(
        ("arguments", "claim"),
        [
            (("--provider", "Google AI Studio"), lambda entry: entry["provider"] == "google-ai-studio"),
            (("--supports", "tools", "--reads", "image"), lambda entry: "image" in entry["input_modalities"]),
            (("--writes", "image"), lambda entry: "image" in entry["output_modalities"]),
            (("--min-context", "1000000"), lambda entry: entry["context_tokens"] >= 1_000_000),
            (("--max-price", "0.05"), lambda entry: Decimal(entry["price"]["input"]) <= Decimal("0.05")),
            (("--no-price",), lambda entry: entry["price"] is None),
            (("--disputed",), lambda entry: entry["is_disputed"]),
            (("--on",), lambda entry: entry["provider"] == "fake-provider"),
            (("GPT-5-mini",), lambda entry: "gpt-5-mini" in entry["upstream_model"]),
        ],
    )
    def test_options_narrow_it(self, run: Run, arguments: tuple[str, ...], claim: Callable[[Any], bool]) -> None:
        entries = json.loads(run("models", "--json", *arguments).out)
        assert entries
        assert all(claim(entry) for entry in entries)

    def test_a_disputed_price_is_told_with_each_lists_figure_source_and_day(self, run: Run) -> None:
        entries = [entry for entry in json.loads(run("models", "--json", "--disputed").out) if entry["disputed_prices"]]
        lines = run("models", "--disputed").out
        assert len(entries) > 20
        for entry in entries:
            in_force, *others = entry["disputed_prices"]
            assert (in_force["input"], in_force["output"]) == (entry["price"]["input"], entry["price"]["output"])
            for claim in (in_force, *others):
                assert claim["source_date"]
                assert f"{claim['source']} {claim['input']}/{claim['output']}" in lines

    def test_it_is_sorted_as_wished(self, run: Run) -> None:
        entries = json.loads(run("models", "--json", "--sort", "price", "--provider", "openai").out)
        sums = [Decimal(e["price"]["input"]) + Decimal(e["price"]["output"]) for e in entries if e["price"]]
        assert sums == sorted(sums)

    @pytest.mark.parametrize(("option", "value"), [("--sort", "beauty"), ("--max-price", "cheap")])
    def test_a_wrong_option_is_told(self, run: Run, option: str, value: str) -> None:
        ran = run("models", option, value)
        assert (ran.code, ran.out) == (2, "")
        assert option in ran.err
