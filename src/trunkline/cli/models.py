"""`trunkline models`: every known endpoint, narrowed and sorted as wished."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import typer

from trunkline.catalog.entries import Endpoint
from trunkline.catalog.load import Offer, offers_of
from trunkline.catalog.lookup import fold_name
from trunkline.catalog.prices import Price
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.table import table
from trunkline.cli.tree import tree_of
from trunkline.inventory import gather_known
from trunkline.settings.reading import SettingsError

MILLION = Decimal(1_000_000)


class Sorting(NamedTuple):
    """How endpoints are put in order, and what the option is called."""

    name: str
    key: Callable[[Offer], Any]


SORTINGS = {
    sorting.name: sorting
    for sorting in (
        Sorting("model", lambda offer: (offer.endpoint.model.slug, offer.endpoint.id)),
        Sorting("price", lambda offer: (_expense(offer.endpoint), offer.endpoint.id)),
        Sorting("context", lambda offer: (-(offer.endpoint.context_tokens or 0), offer.endpoint.id)),
        Sorting("newest", lambda offer: (-offer.endpoint.model.created_at, offer.endpoint.id)),
    )
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which endpoints are asked for. An empty set asks for nothing in particular; `max_price` is USD per million."""

    text: str
    providers: frozenset[str]
    supports: frozenset[str]
    reads: frozenset[str]
    writes: frozenset[str]
    min_context: int
    max_price: Decimal | None
    only_on: bool
    only_unpriced: bool
    only_disputed: bool

    def takes(self, offer: Offer) -> bool:
        """Whether an endpoint is among them."""
        end = offer.endpoint
        return (
            any(self.text in name.lower() for name in (end.model.slug, end.model.name, end.upstream_model))
            and (not self.providers or end.provider.slug in self.providers)
            and (end.supports or frozenset()) >= self.supports
            and (end.input_modalities or frozenset()) >= self.reads
            and end.output_modalities >= self.writes
            and (end.context_tokens or 0) >= self.min_context
            and self._takes_price(end.price)
            and not (self.only_on and offer.obstacle)
            and (end.is_disputed or not self.only_disputed)
        )

    def _takes_price(self, price: Price | None) -> bool:
        if price is None:
            return self.max_price is None
        return not self.only_unpriced and (self.max_price is None or price.input * MILLION <= self.max_price)


def list_models(  # an option of the command is a parameter
    search: Annotated[str, typer.Argument(help="Text that must be in the model's slug, name or upstream name.")] = "",
    provider: Annotated[list[str] | None, typer.Option(help="Only this provider; may be repeated.")] = None,
    supports: Annotated[list[str] | None, typer.Option(help="Only with this parameter, as tools or reasoning.")] = None,
    reads: Annotated[list[str] | None, typer.Option(help="Only with this input, as image or audio.")] = None,
    writes: Annotated[list[str] | None, typer.Option(help="Only with this output, as image.")] = None,
    min_context: Annotated[int, typer.Option(help="Only with a context of so many tokens.")] = 0,
    max_price: Annotated[str | None, typer.Option(help="Only up to so many USD per million input tokens.")] = None,
    on: Annotated[bool, typer.Option("--on", metavar="", help="Only what can be called now.")] = False,
    no_price: Annotated[bool, typer.Option("--no-price", metavar="", help="Only what has no known price.")] = False,
    disputed: Annotated[bool, typer.Option("--disputed", metavar="", help="Only where lists differ on it.")] = False,
    sort: Annotated[str, typer.Option(help=f"One of {', '.join(SORTINGS)}.")] = "model",
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="One JSON object for each endpoint.")] = False,
    config: Config = None,
) -> None:
    """List every known endpoint: a model at a provider.

    Prices are in USD per million tokens; `on` marks what can be called now.
    """
    settings, _ = read_settings(config)
    known = gather_known(settings)
    for note in known.notes:
        typer.echo(f"warning: {note}", err=True)
    if sort not in SORTINGS:
        raise SettingsError([f"--sort is one of {', '.join(SORTINGS)}"])
    wanted = Wanted(
        text=search.lower(),
        providers=frozenset(known.slugs.get(fold_name(name), name) for name in provider or ()),
        supports=frozenset(supports or ()),
        reads=frozenset(reads or ()),
        writes=frozenset(writes or ()),
        min_context=min_context,
        max_price=_price_limit(max_price),
        only_on=on,
        only_unpriced=no_price,
        only_disputed=disputed,
    )
    offers = sorted(filter(wanted.takes, offers_of(known)), key=SORTINGS[sort].key)
    if as_json:
        lines = [json.dumps(endpoint_entry(offer), ensure_ascii=False) for offer in offers]
        typer.echo("[" + ",\n ".join(lines) + "]")
        return
    header = ("MODEL", "PROVIDER", "ON", "IN", "OUT", "CONTEXT", "MAX OUT", "FEATURES")
    for line in table(header, [_row(offer) for offer in offers], "<<<>>>><"):
        typer.echo(line)


TREE = tree_of(list_models, "models")


def endpoint_entry(offer: Offer) -> dict[str, Any]:
    """Say everything of one endpoint in plain values; prices in USD per million tokens, fees in USD apiece."""
    end = offer.endpoint
    return {
        "id": end.id,
        "model": end.model.slug,
        "name": end.model.name,
        "provider": end.provider.slug,
        "tag": end.tag or end.provider.slug,
        "upstream_model": end.upstream_model,
        "dialect": end.dialect,
        "is_on": not offer.obstacle,
        "obstacle": offer.obstacle or None,
        "price": _price_entry(end),
        "is_disputed": end.is_disputed,
        "disputed_prices": [
            {
                "source": claim.source,
                "source_date": claim.source_date or None,
                "input": _usd(claim.input * MILLION),
                "output": _usd(claim.output * MILLION),
            }
            for claim in end.claims
        ],
        "context_tokens": end.context_tokens,
        "max_output_tokens": end.max_output_tokens,
        "input_modalities": sorted(end.input_modalities) if end.input_modalities is not None else None,
        "output_modalities": sorted(end.output_modalities),
        "supported_parameters": sorted(end.supports) if end.supports is not None else None,
        "reasoning_efforts": list(end.reasoning_efforts),
        "quantization": end.quantization,
        "is_deprecated": end.is_deprecated,
        "deprecated_on": end.deprecated_on or None,
        "source": end.source,
        "source_date": end.source_date or None,
    }


def _price_entry(end: Endpoint) -> dict[str, Any] | None:
    price = end.price
    if price is None:
        return None
    each = {
        "input": price.input,
        "output": price.output,
        "cache_read": price.cache_read,
        "cache_write": price.cache_write,
        "reasoning": price.reasoning,
        "cache_write_1h": price.cache_write_1h,
        "audio": price.audio_input,
        "audio_cached": price.audio_cached,
        "image_token": price.image_token,
    }
    apiece = {
        "image": price.image_output,
        "request": price.request,
        "search": price.search,
    }
    entry: dict[str, Any] = {name: _usd(amount * MILLION) for name, amount in each.items() if amount is not None}
    entry |= {name: _usd(amount) for name, amount in apiece.items() if amount}
    entry |= {"reasoning_per": "answer"} if price.reasoning_per == "answer" else {}
    entry |= {"search_per": "request"} if price.search_per == "request" else {}
    if price.service_tiers:
        entry["service_tiers"] = {name: _usd(factor) for name, factor in price.service_tiers}
    if price.tiers:
        entry["tiers"] = [
            {
                "above_input_tokens": tier.above_input_tokens,
                "input": _usd(tier.input * MILLION),
                "output": _usd(tier.output * MILLION),
            }
            for tier in price.tiers
        ]
    return entry


def _row(offer: Offer) -> tuple[str, ...]:
    end, price = offer.endpoint, offer.endpoint.price
    supports = end.supports or frozenset()
    features: list[str] = [word for word in ("tools", "structured_outputs", "reasoning") if word in supports]
    features += sorted((end.input_modalities or frozenset({"text"})) - {"text"})
    features += [f"→{kind}" for kind in sorted(end.output_modalities - {"text"})]
    features += [_dispute(end)] if end.is_disputed else []
    features += [f"until {end.deprecated_on}"] if end.deprecated_on else ["deprecated"] if end.is_deprecated else []
    return (
        end.model.slug,
        end.tag or end.provider.slug,
        "" if offer.obstacle else "on",
        "–" if price is None else _usd(price.input * MILLION),
        "–" if price is None else _usd(price.output * MILLION),
        "–" if end.context_tokens is None else str(end.context_tokens),
        "–" if end.max_output_tokens is None else str(end.max_output_tokens),
        " ".join(features),
    )


def _dispute(end: Endpoint) -> str:
    """Say which lists differ about a price, the one in force first, as `disputed: litellm 0.3/2.5, …`."""
    figures = (f"{claim.source} {_usd(claim.input * MILLION)}/{_usd(claim.output * MILLION)}" for claim in end.claims)
    return f"disputed: {', '.join(figures)}" if end.claims else "disputed"


def _expense(end: Endpoint) -> Decimal:
    return Decimal("Infinity") if end.price is None else end.price.input + end.price.output


def _price_limit(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except ArithmeticError:
        raise SettingsError([f"--max-price is a number of USD, not {text!r}"]) from None


def _usd(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
