"""The documents of providers that no public list knows → facts, and where and when each document told them.

`data/documented.toml` is written by hand; the comment at its top explains the keys.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from tools.models.prices import price_row
from tools.models.sources import Fact
from trunkline.catalog.entries import Modality
from trunkline.catalog.rows import SourceRow

DOCUMENTED: Final = "documented"
"""What a fact's source is called until it is written down; then each document goes by its own name."""

Feature: TypeAlias = Literal["tools", "schema", "reasoning"]
FEATURES: Final[tuple[Feature, ...]] = ("tools", "schema", "reasoning")


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million tokens."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None


class Documented(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of a document; `can` is None where the document names no features."""

    id: str
    name: str
    price: Prices
    slug: str = ""
    context: int | None = None
    max_output: int | None = None
    can: tuple[Feature, ...] | None = None
    efforts: tuple[str, ...] = ()
    reads: tuple[Modality, ...] = ()


class Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file, under the provider's slug."""

    url: str
    seen: str
    models: tuple[Documented, ...]


def read_documented(text: str) -> list[Fact]:
    """Read the models of all documents."""
    return [_fact(provider, model) for provider, model in _models(_documents(text))]


def documents_named(text: str) -> tuple[SourceRow, ...]:
    """Name the documents as the shipped file does: by provider, with address and day."""
    found = _documents(text)
    return tuple(SourceRow(name=list_of(slug), date=found[slug].seen, url=found[slug].url) for slug in sorted(found))


def list_of(provider: str) -> str:
    """Name the list that a provider publishes itself."""
    return f"the list of {provider}"


def _documents(text: str) -> Mapping[str, Document]:
    return msgspec.convert(tomllib.loads(text), dict[str, Document])


def _models(documents: Mapping[str, Document]) -> Iterator[tuple[str, Documented]]:
    return ((slug, model) for slug, document in sorted(documents.items()) for model in document.models)


def _fact(provider: str, model: Documented) -> Fact:
    # A document that names features denies those that it does not name.
    can: dict[str, bool] = {} if model.can is None else {feature: feature in model.can for feature in FEATURES}
    return Fact(
        source=DOCUMENTED,
        provider=provider,
        upstream_model=model.id,
        slug=model.slug,
        name=model.name,
        context_tokens=model.context,
        max_output_tokens=model.max_output,
        input_modalities=frozenset({"text", *model.reads}),
        can=can,
        efforts=model.efforts,
        price=price_row(input=model.price.input, output=model.price.output, cache_read=model.price.cache_read),
    )
