"""What can be called, as clients of OpenRouter ask for it: models, the endpoints of one, providers, capabilities.

A model is told in the words of Anthropic's and OpenAI's clients as well, so that one object is what each of them reads.

An answer is rendered once for a catalog and kept as bytes, unless it tells what routing knows at the moment. Prices
are USD per token as decimal strings; one that nobody told is "-1", which is what OpenRouter says of a price that is
not known beforehand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain

from trunkline.catalog.entries import Catalog, Claim, Endpoint, Model
from trunkline.catalog.lookup import is_auto
from trunkline.catalog.prices import Price
from trunkline.protocol.items import Json
from trunkline.routing.health import Figures
from trunkline.server.capabilities import capabilities_of
from trunkline.server.figures import list_figures

UNKNOWN_PRICE = {"prompt": "-1", "completion": "-1"}
_AUTO_MODEL = Model(
    slug="trunkline/auto",
    name="Auto Router",
    description="Chooses a model for each prompt, by how hard that is and what models cost.",
)


Look = Callable[[Sequence[Endpoint]], Figures]
"""Asks routing what it knows of some endpoints, taken together."""


def _nothing_known(_: Sequence[Endpoint]) -> Figures:
    return Figures(condition="stable")


class Listing:
    """The answers about one catalog."""

    def __init__(self, catalog: Catalog, candidates: Callable[[], Sequence[str]] = tuple) -> None:
        """`candidates` are the models among which the auto-router chooses; without any it is not listed."""
        self._catalog = catalog
        self._candidates = candidates
        self._rendered: dict[tuple[str, str], bytes] = {}

    @property
    def catalog(self) -> Catalog:
        """The catalog that the answers are about."""
        return self._catalog

    def models(self) -> bytes:
        """Every model that can be called now, once, with the terms of its cheapest endpoint."""
        return self._once("models", "", lambda: _dump_list(self._models()))

    def count(self) -> bytes:
        """How many models can be called now."""
        return self._once(
            "count", "", lambda: _dump({"data": {"count": len(self._catalog.endpoints) + len(self._auto())}})
        )

    def model(self, name: str) -> bytes:
        """One model, as `models` lists it; raises NotFound."""
        if is_auto(name) and (rows := self._auto()):
            return _dump(rows[0])
        found = self._catalog.endpoints_of(name)
        return self._once("model", found[0].model.slug, lambda: _dump(_model(found)))

    def endpoints(self, model: str, look: Look = _nothing_known) -> bytes:
        """The endpoints of one model, with how they do; raises NotFound."""
        return _dump({"data": list_endpoints(self._catalog.endpoints_of(model), look)})

    def providers(self, look: Look = _nothing_known) -> bytes:
        """The providers that are on, with how they do."""
        return _dump(list_providers(self._catalog, look))

    def capabilities(self, model: str) -> bytes:
        """What each endpoint of a model honours; raises NotFound."""
        found = self._catalog.endpoints_of(model)
        slug = found[0].model.slug
        return self._once(
            "capabilities",
            slug,
            lambda: _dump({"model": slug, "data": [capabilities_of(endpoint) for endpoint in found]}),
        )

    def _models(self) -> Iterator[dict[str, Json]]:
        yield from self._auto()
        yield from list_models(self._catalog)

    def _auto(self) -> Sequence[dict[str, Json]]:
        """The auto-router as a model, with what any of its candidates can do; nothing where it has none."""
        found = [end for slug in self._candidates() for end in self._catalog.endpoints.get(slug, ())]
        return [_auto_row(found)] if found else []

    def _once(self, what: str, of: str, make: Callable[[], bytes]) -> bytes:
        # Only slugs that the catalog knows come here, so the store cannot be filled from outside.
        rendered = self._rendered.get((what, of))
        if rendered is None:
            rendered = self._rendered[what, of] = make()
        return rendered


def _dump(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _dump_list(models: Iterable[dict[str, Json]]) -> bytes:
    """Dump models one at a time: nobody else runs while a dump does, and all at once take 17 ms."""
    ids: list[Json] = []
    dumped: list[bytes] = []
    for model in models:
        ids.append(model["id"])
        dumped.append(_dump(model))
    page = _dump({"has_more": False, "first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None})
    return b'{"object":"list","data":[%b],%b' % (b",".join(dumped), page[1:])


def list_models(catalog: Catalog) -> Iterator[dict[str, Json]]:
    """Every model that can be called now, once, with the terms of its cheapest endpoint."""
    for _, endpoints in sorted(catalog.endpoints.items()):
        yield _model(endpoints)


def list_endpoints(endpoints: Sequence[Endpoint], look: Look) -> dict[str, Json]:
    """List the endpoints of one model."""
    model = endpoints[0].model
    return {
        "id": model.slug,
        "name": model.name or model.slug,
        "created": model.created_at,
        "description": model.description,
        "architecture": _architecture(endpoints),
        "endpoints": [_endpoint(endpoint) | list_figures(look([endpoint])) for endpoint in endpoints],
    }


def list_providers(catalog: Catalog, look: Look) -> dict[str, Json]:
    """List the providers that are on, with what they do with prompts and how they do."""
    served: dict[str, list[Endpoint]] = {}
    for endpoint in chain.from_iterable(catalog.endpoints.values()):
        served.setdefault(endpoint.provider.slug, []).append(endpoint)
    return {
        "data": [
            {
                "name": standing.provider.name,
                "slug": slug,
                "privacy_policy_url": None,
                "terms_of_service_url": None,
                "status_page_url": None,
                "headquarters": standing.provider.headquarters,
                "region": standing.provider.region,
                "data_policy": {
                    "training": standing.provider.data_policy.trains,
                    "zdr": standing.provider.data_policy.zdr,
                    "retention_days": standing.provider.data_policy.retains_days,
                    "sources": list(standing.provider.data_policy.sources),
                    "seen": standing.provider.data_policy.seen or None,
                },
                **list_figures(look(served.get(slug, ()))),
            }
            for slug, standing in catalog.standings.items()
            if standing.is_on
        ]
    }


def prices(price: Price | None) -> dict[str, str]:
    """USD per token, image, request or search, as decimal strings."""
    if price is None:
        return UNKNOWN_PRICE
    named = {
        "prompt": price.input,
        "completion": price.output,
        "request": price.request,
        "input_cache_read": price.cache_read,
        "input_cache_write": price.cache_write,
        "internal_reasoning": price.reasoning,
        "input_cache_write_1h": price.cache_write_1h,
        "audio": price.audio_input,
        "input_audio_cache": price.audio_cached,
        "image_token": price.image_token,
        "image_output": price.image_output,
        "web_search": price.search,
    }
    return {name: f"{amount.normalize():f}" for name, amount in named.items() if amount is not None}


def _model(endpoints: tuple[Endpoint, ...], model: Model | None = None) -> dict[str, Json]:
    best = min(endpoints, key=lambda endpoint: _expense(endpoint.price))
    model = model or best.model
    expirations = [endpoint.deprecated_on for endpoint in endpoints if endpoint.deprecated_on]
    expires_on = min(expirations) if len(expirations) == len(endpoints) else None
    context_tokens = max((endpoint.context_tokens or 0 for endpoint in endpoints), default=0) or None
    return {
        "id": model.slug,
        "canonical_slug": model.slug,
        "object": "model",
        "type": "model",
        "owned_by": model.slug.partition("/")[0],
        "name": model.name or model.slug,
        "display_name": model.name or model.slug,
        "description": model.description,
        "created": model.created_at,
        "created_at": datetime.fromtimestamp(model.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active" if expires_on is None else "deprecated",
        "context_length": context_tokens,
        "max_input_tokens": context_tokens,
        "max_tokens": max((endpoint.max_output_tokens or 0 for endpoint in endpoints), default=0) or None,
        "architecture": _architecture(endpoints),
        "pricing": prices(best.price),
        "top_provider": {
            "context_length": best.context_tokens,
            "max_completion_tokens": best.max_output_tokens,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": sorted(set().union(*(endpoint.supports or () for endpoint in endpoints))),
        "default_parameters": None,
        "expiration_date": expires_on,
    }


def _auto_row(candidates: Sequence[Endpoint]) -> dict[str, Json]:
    """The auto-router as OpenRouter lists its own: with what any candidate can do, at a price that is not known yet."""
    row = _model(tuple(candidates), _AUTO_MODEL)
    unknown = {"context_length": None, "max_completion_tokens": None, "is_moderated": False}
    architecture = {**row["architecture"], "tokenizer": "Router"}
    return {**row, "architecture": architecture, "pricing": UNKNOWN_PRICE, "top_provider": unknown}


def _endpoint(endpoint: Endpoint) -> dict[str, Json]:
    return {
        "name": f"{endpoint.provider.name} | {endpoint.model.slug}",
        "model_id": endpoint.model.slug,
        "model_name": endpoint.model.name or endpoint.model.slug,
        # Clients insist on a number here; 0 says that it is not known.
        "context_length": endpoint.context_tokens or 0,
        "pricing": prices(endpoint.price),
        "provider_name": endpoint.provider.name,
        "tag": endpoint.tag or endpoint.provider.slug,
        "quantization": endpoint.quantization,
        "max_completion_tokens": endpoint.max_output_tokens,
        "max_prompt_tokens": None,
        "supported_parameters": sorted(endpoint.supports or ()),
        "supports_implicit_caching": endpoint.price is not None and endpoint.price.cache_read is not None,
        "source": endpoint.source,
        "source_date": endpoint.source_date or None,
        "is_disputed": endpoint.is_disputed,
        "disputed_prices": [_claim(claim) for claim in endpoint.claims],
    }


def _claim(claim: Claim) -> dict[str, Json]:
    return {
        "source": claim.source,
        "source_date": claim.source_date or None,
        "prompt": f"{claim.input.normalize():f}",
        "completion": f"{claim.output.normalize():f}",
    }


_TOKENIZERS = {
    "amazon": "Nova",
    "anthropic": "Claude",
    "cohere": "Cohere",
    "deepseek": "DeepSeek",
    "google": "Gemini",
    "meta-llama": "Llama3",
    "mistralai": "Mistral",
    "openai": "GPT",
    "qwen": "Qwen",
    "x-ai": "Grok",
}


def _architecture(endpoints: Sequence[Endpoint]) -> dict[str, Json]:
    reads = sorted(set().union(*(endpoint.input_modalities or {"text"} for endpoint in endpoints)))
    writes = sorted(set().union(*(endpoint.output_modalities for endpoint in endpoints)))
    return {
        "modality": f"{'+'.join(reads)}->{'+'.join(writes)}",
        "input_modalities": reads,
        "output_modalities": writes,
        "tokenizer": _TOKENIZERS.get(endpoints[0].model.slug.partition("/")[0], "Other"),
        "instruct_type": None,
    }


def _expense(price: Price | None) -> Decimal:
    return Decimal("Infinity") if price is None else price.input + price.output
