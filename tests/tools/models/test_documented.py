"""What the documents of providers say of models that no public list has."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tools.catalog import DOCUMENTED as FILE
from tools.models.documented import documents_named, read_documented
from tools.models.merge import Lists, merge
from trunkline.catalog.entries import Modality
from trunkline.catalog.rows import SourceRow

TEXT = """
[small]
url = "https://small.example/models"
seen = "2026-11-01"
[[small.models]]
id = "maker/m-1"
name = "M 1"
context = 8192
price = { input = "0.5", output = "2" }
can = ["tools"]
reads = ["image"]
[[small.models]]
id = "own_name"
slug = "maker/m-2"
name = "M 2"
price = { input = "1", output = "1" }
"""


def test_a_document_that_names_features_denies_the_others_and_one_that_names_none_says_nothing() -> None:
    first, second = read_documented(TEXT)
    assert first.can == {"tools": True, "schema": False, "reasoning": False}
    assert second.can == {}
    assert first.input_modalities == frozenset[Modality]({"text", "image"})
    assert (first.context_tokens, second.context_tokens) == (8192, None)
    assert first.price is not None
    assert (first.price.input, first.price.output) == (Decimal("0.5"), Decimal(2))


def test_a_document_is_named_by_provider_with_address_and_day() -> None:
    expected = SourceRow(name="the list of small", date="2026-11-01", url="https://small.example/models")
    assert documents_named(TEXT) == (expected,)


def test_endpoints_of_a_document_are_told_from_it_and_called_as_it_says() -> None:
    lists = Lists(
        models_dev=b'{"providers": {}}', litellm=b"{}", genai_prices=(), sources=(), day="2026-11-22", documented=TEXT
    )
    providers = "[small]\nname = 'Small'\nurls.chat = 'https://small.example/v1'\n"
    models = {model["slug"]: model for model in msgspec.json.decode(merge(lists, providers))["models"]}
    assert sorted(models) == ["maker/m-1", "maker/m-2"]
    (end,) = models["maker/m-2"]["endpoints"]
    assert (end["upstream_model"], end["source"]) == ("own_name", "the list of small")


@pytest.mark.parametrize(
    "wrong",
    ['price = { input = "0.5" }', 'can = ["tols"]', 'max_tokens = 1\nprice = { input = "1", output = "1" }'],
)
def test_a_slip_in_the_file_is_refused(wrong: str) -> None:
    text = f'[small]\nurl = "u"\nseen = "2026-11-01"\n[[small.models]]\nid = "a"\nname = "A"\n{wrong}\n'
    with pytest.raises(msgspec.ValidationError):
        read_documented(text)


def test_the_shipped_documents_tell_plausible_prices() -> None:
    facts = read_documented(FILE.read_text("utf-8"))
    assert len(facts) > 20
    for fact in facts:
        assert fact.price is not None, fact.upstream_model
        assert 0 < fact.price.input <= fact.price.output
