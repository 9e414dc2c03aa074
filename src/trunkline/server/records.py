"""What is on record, over HTTP: one generation, the activity of an account, its credits, how a key stands.

The paths and fields are OpenRouter's, as its clients read them (Python SDK 0.6.0 and 1.3.84, JavaScript SDK 1.3.19,
seen 2026-11-27): every field that one of them requires is there, null where nothing is known. Our own fields stand
beside them. A key sees the records of its own account and is told of no others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from trunkline.accounts.keys import Key
from trunkline.accounts.records import Limit, Standing
from trunkline.call import Services
from trunkline.catalog.entries import Catalog
from trunkline.days import DAY_MS, date_of, number_of
from trunkline.errors import BadRequest, NotFound
from trunkline.generation import generation_id
from trunkline.money import NanoUsd, nano_of
from trunkline.protocol.render import render_document, render_usd
from trunkline.server.intake import caller
from trunkline.store.rows import GenerationRow
from trunkline.store.statements.records import ActivitySum, Spending

Document = Mapping[str, object]

_UNLIMITED = -1
"""What OpenRouter says of a rate that limits nothing, where its clients want a number."""

_FINISH_REASONS = {"stop": "stop", "length": "length", "content_filter": "content_filter", "calls": "tool_calls"}
"""Why a model stopped, in the words of Chat Completions, which OpenRouter tells it in."""

_FILTERS = ("api_key_hash", "user_id", "workspace_id", "group_by")
"""Wishes of OpenRouter's clients that would change the figures; passing over one would tell wrong ones."""


class RecordRoutes:
    """Answers the paths of records."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def generation(self, request: Request) -> Response:
        """Answer GET /generation?id=…; the id may be that of the answer in any API, or of the request.

        Raises BadRequest, and NotFound for one that is unknown or another account's: nobody can tell which.
        """
        key = await caller(request.scope, self._services)
        asked = request.query_params.get("id", "")
        if not asked:
            raise BadRequest("Say which: /api/v1/generation?id=resp_… (x-generation-id of its answer).", param="id")
        row = await self._services.records.generation(generation_id(asked), key.account_id)
        if row is None:
            raise NotFound(
                f"There is no record {asked[:80]!r} of this account. Send the x-generation-id of an answer; "
                "old records are deleted, and requests that were refused leave none."
            )
        return _rendered(generation_document(row, self._services.catalog))

    async def activity(self, request: Request) -> Response:
        """Answer GET /activity[?date=…]: today and the days before, or one UTC day. Raises BadRequest."""
        key = await caller(request.scope, self._services)
        for name in _FILTERS:
            if name in request.query_params:
                raise BadRequest(f"{name} is not known here; leave it out: a key sees its own account.", param=name)
        rows = await self._services.records.activity(key.account_id, _day(request.query_params.get("date")))
        return _rendered([activity_item(row, self._services.catalog) for row in rows])

    async def credits(self, request: Request) -> Response:
        """Answer GET /credits."""
        key = await caller(request.scope, self._services)
        found = await self._services.records.credits(key.account_id)
        return _rendered({"total_credits": render_usd(found.credited_nano), "total_usage": render_usd(found.used_nano)})

    async def key(self, request: Request) -> Response:
        """Answer GET /key."""
        key = await caller(request.scope, self._services)
        return _rendered(key_document(key, await self._services.records.standing(key)))


def generation_document(row: GenerationRow, catalog: Catalog) -> Document:
    """One record, all that there is of it."""
    attempts: list[dict[str, Any]] = json.loads(row.attempts or "[]")
    return {
        "id": row.id,
        "request_id": "req_" + row.id.removeprefix("resp_"),
        "upstream_id": row.upstream_id,
        "created_at": _moment(row.created_at_ms),
        "model": row.model,
        "provider_name": _provider_name(row.provider, catalog),
        "api_type": "completions",
        "streamed": row.streamed,
        "cancelled": row.status == "cancelled",
        "finish_reason": "error" if row.status == "failed" else _FINISH_REASONS.get(row.stop or "", row.stop),
        "is_byok": row.is_byok,
        "service_tier": row.service_tier,
        "session_id": row.session_id,
        "external_user": row.user,
        **_costs(row),
        **_counts(row),
        **_times(row),
        "provider_responses": _provider_responses(row, attempts, catalog),
        **_NOT_KNOWN,
        **_plugins(row),
        "status": row.status,
        "is_estimated": row.is_estimated,
        "price_id": row.price_id,
        "attempts": [_costed(each) for each in attempts],
        "dropped": [name.strip() for name in row.dropped.split(",")] if row.dropped else [],
    }


_NOT_KNOWN: Document = {
    "native_finish_reason": None,
    "cache_discount": None,
    "data_region": "global",
    "origin": "",
    "app_id": None,
    "http_referer": None,
    "user_agent": None,
    "num_media_prompt": None,
    "num_input_audio_prompt": None,
    "num_fetches": None,
    "preset_id": None,
    "response_cache_source_id": None,
    "router": None,
    "workspace_id": None,
}
"""What OpenRouter's clients want to find and nothing is kept of; two of them must be texts."""


def _plugins(row: GenerationRow) -> Document:
    """What ran around the model; of a provider's own searches nobody says how much they found."""
    told: dict[str, Any] = json.loads(row.plugins or "{}")
    if "fees" in told:
        told["fees"] = list(map(_costed, told["fees"]))
    web = told.get("web", {})
    if "turns" in web:
        web["turns"] = list(map(_costed, web["turns"]))
    return {
        "num_search_results": web.get("results"),
        "web_search_engine": web.get("engine"),
        "moderation_latency": told.get("moderation", {}).get("ms"),
        "plugins": told,
    }


def _costs(row: GenerationRow) -> Document:
    """USD. `usage` is the other name of `total_cost`; the parts add up to what the answer is worth by its price."""
    return {
        "total_cost": render_usd(row.total_nano),
        "usage": render_usd(row.total_nano),
        "upstream_inference_cost": _usd_or_null(row.upstream_nano),
        "input_cost": render_usd(row.cost_input_nano),
        "output_cost": render_usd(row.cost_output_nano),
        "fees_cost": render_usd(row.cost_fees_nano),
        "house_cost": render_usd(row.house_nano),
        "held": _usd_or_null(row.held_nano),
    }


def _counts(row: GenerationRow) -> Document:
    return {
        "tokens_prompt": row.input_tokens,
        "tokens_completion": row.output_tokens,
        "native_tokens_prompt": row.input_tokens,
        "native_tokens_completion": row.output_tokens,
        "native_tokens_reasoning": row.reasoning_tokens,
        "native_tokens_cached": row.cache_read_tokens,
        "native_tokens_completion_images": row.image_output_tokens,
        "num_media_completion": row.images,
        "num_searches": row.searches,
    }


def _times(row: GenerationRow) -> Document:
    """Milliseconds: in all, from the first provider that was asked, to the first output, before any was asked."""
    return {
        "latency": row.total_ms,
        "generation_time": row.total_ms - row.queued_ms,
        "first_token_time": row.first_token_ms,
        "queued_time": row.queued_ms,
    }


def _costed(kept: Mapping[str, Any]) -> Document:
    """An attempt, a turn or a fee as it is kept, but its cost as a number, as all amounts here are."""
    told = dict(kept)
    cost = told.pop("cost_usd", None)
    return {**told, "cost": None if cost is None else render_usd(nano_of(cost))}


def _provider_responses(
    row: GenerationRow, attempts: Sequence[Mapping[str, Any]], catalog: Catalog
) -> Sequence[Document]:
    """Every attempt as OpenRouter tells it, the one that answered last."""
    told = [
        {
            "status": each.get("status"),
            "endpoint_id": each["endpoint"],
            "provider_name": _provider_name(each["endpoint"].partition(":")[0].partition("/")[0], catalog),
            "latency": each["ms"],
            "is_byok": each["is_byok"],
        }
        for each in attempts
    ]
    if row.endpoint_id is not None and row.status in ("completed", "incomplete", "cancelled"):
        answer: dict[str, object] = {
            # Of one whose client left before it said anything nobody knows what it would have said.
            "status": None if row.status == "cancelled" and not row.output_tokens else 200,
            "endpoint_id": row.endpoint_id,
            "model_permaslug": row.model,
            "provider_name": _provider_name(row.provider, catalog),
            "is_byok": row.is_byok,
        }
        told.append(answer if row.upstream_id is None else {"id": row.upstream_id, **answer})
    return told


def activity_item(row: ActivitySum, catalog: Catalog) -> Document:
    """What a day came to, of one model at one provider."""
    return {
        "date": date_of(row.day).isoformat(),
        "model": row.model,
        "model_permaslug": row.model,
        "endpoint_id": f"{row.provider}:{row.model}",
        "provider_name": _provider_name(row.provider, catalog) or "",
        "usage": render_usd(row.cost_nano),
        "byok_usage_inference": render_usd(row.upstream_nano),
        "requests": row.requests,
        "prompt_tokens": row.input_tokens,
        "completion_tokens": row.output_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "cached_tokens": row.cached_tokens,
    }


def key_document(key: Key, standing: Standing) -> Document:
    """How a key stands. Of what is theirs alone, OpenRouter's clients find what says that there is none of it here."""
    limit = standing.limit
    budget = None if limit is None else _key_budget(limit, byok_counts=key.byok_counts)
    return {
        "label": key.name,
        "key_id": key.id,
        "creator_user_id": key.account_id,
        "organization_id": None,
        "workspace_id": None,
        "limit": None if limit is None else render_usd(limit.amount_nano),
        "limit_remaining": None if limit is None else render_usd(limit.amount_nano - limit.spent_nano),
        "limit_reset": None if limit is None else limit.reset,
        "include_byok_in_limit": key.byok_counts,
        "budgets": [] if budget is None else [budget],
        "effective_budget": budget,
        **_spending("usage", standing.spent),
        **_spending("byok_usage", standing.paid_elsewhere),
        "expires_at": None if key.expires_at_ms is None else _moment(key.expires_at_ms),
        "allowed_data_regions": ["global"],
        "is_free_tier": False,
        "is_management_key": False,
        "is_provisioning_key": False,
        "free_model_daily_requests": {"limit": _UNLIMITED, "remaining": _UNLIMITED, "used": 0},
        "rate_limit": {"requests": _UNLIMITED, "interval": "10s", "note": "OpenRouter's old field; it says nothing."},
    }


def _key_budget(limit: Limit, *, byok_counts: bool) -> Document:
    return {
        "scope": "key_limit",
        "budget_id": None,
        "guardrail_id": None,
        "limit_usd": render_usd(limit.amount_nano),
        "spend_usd": render_usd(limit.spent_nano),
        "remaining_usd": render_usd(limit.amount_nano - limit.spent_nano),
        "reset_interval": limit.reset,
        "resets_at": None if limit.begins_anew is None else _moment(limit.begins_anew * DAY_MS),
        "include_byok": byok_counts,
    }


def _spending(name: str, spent: Spending) -> Document:
    return {
        name: render_usd(spent.ever_nano),
        f"{name}_daily": render_usd(spent.daily_nano),
        f"{name}_weekly": render_usd(spent.weekly_nano),
        f"{name}_monthly": render_usd(spent.monthly_nano),
    }


def _provider_name(slug: str | None, catalog: Catalog) -> str | None:
    """A provider's name; its slug where the catalogue does not know it any more."""
    standing = catalog.standings.get(slug or "")
    return slug if standing is None else standing.provider.name


def _usd_or_null(amount: NanoUsd | None) -> object:
    return None if amount is None else render_usd(amount)


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _day(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # The reader takes other spellings too, such as 20261127 and 2026-W48-5.
    if day is None or day.isoformat() != text:
        raise BadRequest("Write date as YYYY-MM-DD, a day in UTC.", param="date")
    return number_of(day)


def _rendered(data: object) -> Response:
    return Response(render_document({"data": data}), media_type="application/json")
