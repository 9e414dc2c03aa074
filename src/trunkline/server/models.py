"""GET /models, in the shape that clients of OpenRouter expect."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from trunkline.catalog.entries import Catalog, Endpoint, Price


def list_models(catalog: Catalog) -> dict[str, Any]:
    """List every model that can be called now, once, with the terms of its cheapest endpoint."""
    return {"data": [_model(endpoints) for _, endpoints in sorted(catalog.endpoints.items())]}


def _model(endpoints: tuple[Endpoint, ...]) -> dict[str, Any]:
    best = min(endpoints, key=lambda endpoint: _expense(endpoint.price))
    return {
        "id": best.model.slug,
        "canonical_slug": best.model.slug,
        "object": "model",
        "owned_by": best.model.slug.partition("/")[0],
        "name": best.model.name or best.model.slug,
        "description": best.model.description,
        "created": best.model.created_at,
        "context_length": best.context_tokens,
        "architecture": {
            "input_modalities": sorted(best.input_modalities or {"text"}),
            "output_modalities": sorted(best.output_modalities),
        },
        "pricing": prices(best.price),
        "top_provider": {
            "context_length": best.context_tokens,
            "max_completion_tokens": best.max_output_tokens,
            "is_moderated": False,
        },
        "supported_parameters": sorted(set().union(*(endpoint.supports or () for endpoint in endpoints))),
    }


def prices(price: Price | None) -> dict[str, str]:
    """USD per token, image, request or search, as decimal strings; empty when nobody told the price."""
    if price is None:
        return {}
    named = {
        "prompt": price.input,
        "completion": price.output,
        "request": price.request,
        "input_cache_read": price.cache_read,
        "input_cache_write": price.cache_write,
        "internal_reasoning": price.reasoning,
        "audio": price.audio_input,
        "image": price.image_input,
        "image_output": price.image_output,
        "web_search": price.search,
    }
    return {name: f"{amount:f}" for name, amount in named.items() if amount is not None}


def _expense(price: Price | None) -> Decimal:
    return Decimal("Infinity") if price is None else price.input + price.output
