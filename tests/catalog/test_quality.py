"""How well models do: the shipped facts, and guesses where there is none."""

from __future__ import annotations

from importlib.resources import files

import msgspec
import pytest

from tests.routing.catalogs import endpoint
from trunkline.catalog.quality import MOST_GUESSED, USUAL_GUESS, QualityFile, guess, read_quality
from trunkline.inventory import load_quality, shipped_models

TEXT = files("trunkline.catalog").joinpath("quality.toml").read_text("utf-8")
FILE = msgspec.toml.decode(TEXT, type=QualityFile)


def test_every_fact_is_about_a_model_of_the_list_and_said_once() -> None:
    known = {model.slug for model in shipped_models().models}
    named = [slug for row in FILE.facts for slug in (*row.models, *row.later)]
    assert set(named) <= known
    assert len(named) == len(set(named))


def test_every_fact_has_a_source_with_a_licence() -> None:
    sources = {source.name: source for source in FILE.sources}
    assert all(row.source in sources and row.date and row.measured for row in FILE.facts)
    assert all(source.licence and source.url and source.seen for source in FILE.sources)
    assert all(0 <= row.value <= 1 for row in FILE.facts)


def test_a_later_model_is_as_good_as_the_measured_one_and_says_so() -> None:
    found = load_quality()
    assert found["openai/gpt-5"] == (0.99, "aider-polyglot 2025-08-25")
    assert found["openai/gpt-5.1"] == (0.99, "aider-polyglot 2025-08-25, of openai/gpt-5")


def test_what_was_measured_goes_before_what_is_said_of_a_later_model() -> None:
    rows = [
        '[[facts]]\nmodels = ["a/one"]\nlater = ["a/two"]\nvalue = 0.1\nmeasured = "x"\nsource = "s"\ndate = "d"\n',
        '[[facts]]\nmodels = ["a/two"]\nvalue = 0.9\nmeasured = "y"\nsource = "s"\ndate = "d"\n',
    ]
    for text in ("".join(rows), "".join(reversed(rows))):
        assert read_quality(text)["a/two"].value == 0.9


@pytest.mark.parametrize(
    ("usd", "context", "value"),
    [
        (("0", "0"), 100_000, USUAL_GUESS),
        (None, None, USUAL_GUESS),
        (("1", "0.05"), 100_000, 0.0),
        (("1", "2"), 100_000, 0.4),
        (("1", "2"), 8_000, 0.32),
        (("1", "2"), None, 0.4),
        (("100", "900"), 100_000, MOST_GUESSED),
    ],
)
def test_a_guess_goes_by_price_and_context(usd: tuple[str, str] | None, context: int | None, value: float) -> None:
    found = guess([endpoint(usd=usd, context=context)])
    assert found.value == pytest.approx(value, abs=0.005)
    assert found.source == "guessed"


def test_the_cheapest_endpoint_and_the_longest_context_count() -> None:
    several = [endpoint(usd="20", context=8_000), endpoint("beta", usd="2", context=100_000)]
    assert guess(several) == guess([endpoint(usd="2", context=100_000)])
