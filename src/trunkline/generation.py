"""What one finished request was: the one thing that whoever observes requests is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from trunkline.catalog.entries import Endpoint
from trunkline.money import NanoUsd, dollars_of
from trunkline.protocol.opaque import Json
from trunkline.routing.explanation import as_json, why
from trunkline.routing.fallback import Attempted, Outrun, attempt_as_json
from trunkline.routing.plan import Plan, Reasons, explained
from trunkline.stream.deltas import Spent, StopReason

Ending = Literal["ended", "failed", "left"]
"""How a request went: to its terminal event, to an error, or its client left."""


class Fee(Struct, frozen=True, gc=False):
    """What steps around the model cost: so many of one kind at one engine, all together."""

    kind: Literal["search", "ocr"]
    engine: str
    count: int
    nano: NanoUsd


Noted = Mapping[str, Json]
"""What steps around the model did, by plugin."""

NOTHING_NOTED: Noted = {}


class Generation(Struct, frozen=True, gc=False):
    """One request that is over.

    `plan` tells its explanation to whoever asks for it. `endpoint` answered, or was asked last where `has_answered` is
    not so. `attempted` failed, `outrun` was given up because another spoke first, each with what it may have cost.
    `dropped` are the parameters that the endpoint was not told. `received_at` is Unix time, `took_s` from then to the
    end, `queued_s` to when the first was asked, `first_token_s` to what a client saw first of a stream. `stop` is why
    the model ended its turn, where it did. `held_nano` was held until the end, in the account's credit and in
    `key_budget`; None where nothing was. All waits for turns are in `queued_s`. `most_nano` is the most that may be
    charged. `plugins` is what ran around the model, by plugin; `fees`, part of what was spent, are what that cost.
    """

    id: str
    account_id: str
    key_id: str
    ending: Ending
    plan: Plan
    endpoint: Endpoint | None
    has_answered: bool
    attempted: Sequence[Attempted] = ()
    outrun: Sequence[tuple[Outrun, Spent]] = ()
    dropped: Sequence[str] = ()
    spent: Spent | None = None
    received_at: float = 0.0
    took_s: float = 0.0
    asked_model: str = ""
    is_stream: bool = False
    is_byok: bool = False
    stop: StopReason | None = None
    held_nano: NanoUsd | None = None
    most_nano: NanoUsd | None = None
    key_budget: str | None = None
    queued_s: float = 0.0
    first_token_s: float | None = None
    upstream_id: str | None = None
    session_id: str | None = None
    user: str | None = None
    plugins: Noted = NOTHING_NOTED
    fees: Sequence[Fee] = ()

    @property
    def status(self) -> str:
        """What the request came to: completed, incomplete, failed or cancelled."""
        if self.ending != "ended":
            return "cancelled" if self.ending == "left" else "failed"
        return "incomplete" if self.stop in _INCOMPLETE else "completed"

    @property
    def charged(self) -> NanoUsd | None:
        """What its client is told that it cost; None where that is not known."""
        cost = None if self.spent is None else self.spent.cost
        if cost is None or cost.total is None or self.most_nano is None:
            return None if cost is None else cost.total
        return min(cost.total, self.most_nano)

    @property
    def has_one_price(self) -> bool:
        """Whether what it was worth is what one price makes of its counts; each turn of several has its own."""
        return not self.fees and (not self.plugins or len(self.plugins.get("web", _NO_TURNS)["turns"]) < 2)

    @property
    def tried(self) -> int:
        """How many endpoints were asked."""
        failed = sum(not each.output_began for each in self.attempted) if self.attempted else 0
        is_cut_short = self.ending == "left" and self.endpoint is not None
        return failed + len(self.outrun) + (self.has_answered or is_cut_short)


_NO_TURNS: Json = {"turns": ()}
_INCOMPLETE: frozenset[StopReason | None] = frozenset({"length", "content_filter"})


def generation_id(name: str) -> str:
    """The id of the generation that is meant by a name: its own, its request's, or its answer's in any API."""
    start = next((start for start in _STARTS if name.startswith(start)), "")
    return "resp_" + name[len(start) :]


_STARTS = ("resp_", "gen-", "msg_", "req_")
"""How ids begin: those of answers in Responses, in Chat and in Messages, and those of requests, as errors name them."""


class Past(Struct, frozen=True, gc=False):
    """Of one generation what its explanation is made of, and nothing of what was spent, which would be most of it."""

    id: str
    account_id: str
    reasons: Reasons | None
    answered: Endpoint | None
    dropped: Sequence[str]
    queued_s: float
    attempted: Sequence[Attempted]
    outrun: Sequence[tuple[Outrun, Spent]]


def past_as_json(past: Past) -> dict[str, object]:
    """Put it into plain values that JSON can hold: why it went where it went, and what became of the plan."""
    explanation = explained(past.reasons)
    return {
        "id": past.id,
        "why": why(explanation),
        **as_json(explanation),
        "answered_by": None if past.answered is None else past.answered.id,
        "dropped_parameters": list(past.dropped),
        "queued_ms": round(past.queued_s * 1000),
        "attempts": [attempt_as_json(each) for each in past.attempted],
        "outrun": [_outrun_as_json(each, spent) for each, spent in past.outrun],
    }


def _outrun_as_json(outrun: Outrun, spent: Spent) -> dict[str, object]:
    total = None if spent.cost is None else spent.cost.total
    return {
        "provider": outrun.endpoint.provider.slug,
        "provider_name": outrun.endpoint.provider.name,
        "model": outrun.endpoint.model.slug,
        "is_byok": outrun.is_byok,
        "duration_ms": round((outrun.ended - outrun.started) * 1000),
        "cost_usd": None if total is None else float(dollars_of(total)),
        "is_estimated": spent.usage.estimated,
    }
