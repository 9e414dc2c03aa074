"""Structured logs: every event the gateway writes, as a function. Prompts and answers are in none of them.

A line neither blocks nor fails: what standard error does not take is dropped and counted (`outlet.py`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Literal

import structlog

from trunkline.catalog.entries import Catalog
from trunkline.generation import Generation
from trunkline.routing.fallback import Attempted, Outrun
from trunkline.stream.deltas import Spent

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def configure(level: Level, form: Literal["auto", "json", "console"]) -> None:
    """Set how logs look and from which level on they are written, to standard error."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json" or (form == "auto" and not sys.stderr.isatty())
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def started(address: str, catalog: Catalog) -> None:
    on = sorted(slug for slug, standing in catalog.standings.items() if standing.is_on)
    _log.info("gateway.started", address=address, providers=on, models=len(catalog.endpoints))
    for warning in catalog.warnings:
        _log.warning("catalog.warning", warning=warning)


def stopping(number: str, requests: int, drain_s: float) -> None:
    """The gateway is told to end, and waits for requests under way."""
    # Elsewhere SIGHUP has settings read anew.
    hint = {"settings": "are read at the start; start anew to change one"} if number == "SIGHUP" else {}
    _log.info("gateway.stopping", signal=number, requests=requests, waits_s=drain_s, again="ends at once", **hint)


def stopped() -> None:
    _log.info("gateway.stopped")


def relay(logger: str) -> None:
    """Write what a library logs through Python's own logging, from errors on, as events of ours."""
    theirs = logging.getLogger(logger)
    theirs.setLevel(logging.ERROR)
    theirs.handlers = [_Relay()]
    theirs.propagate = False


class _Relay(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        _log.error("library.failed", library=record.name, problem=record.getMessage().strip(), exc_info=error)


def dropped(count: int) -> str:
    """Make, and do not write, the line that tells how many lines were lost before it."""
    told: str | None = structlog.wrap_logger(structlog.ReturnLogger()).warning("log.dropped", count=count)
    return "" if told is None else told + "\n"


def attempt_failed(request_id: str, attempted: Attempted) -> None:
    """One endpoint did not answer. The provider's text is left out: it may repeat the prompt; `detail` is ours."""
    _log.warning(
        "attempt.failed",
        request=request_id,
        endpoint=attempted.endpoint.id,
        kind=attempted.fault.kind,
        status=attempted.fault.status,
        detail=attempted.fault.detail,
        took_ms=round((attempted.ended - attempted.started) * 1000),
    )


def token_failed(provider: str, problem: str) -> None:
    """A provider's token could not be fetched; without one its endpoints are passed over."""
    _log.warning("token.failed", provider=provider, problem=problem)


def attempt_outrun(request_id: str, outrun: Outrun, spent: Spent) -> None:
    """One endpoint was given up because another spoke first; its provider may charge what it had spent by then."""
    _log.info(
        "attempt.outrun",
        request=request_id,
        endpoint=outrun.endpoint.id,
        took_ms=round((outrun.ended - outrun.started) * 1000),
        cost_usd=str(spent.cost.total) if spent.cost else None,
        is_estimated=spent.usage.estimated,
    )


def request_observer(level: Level) -> Callable[[Generation], None]:
    """What is told of a request that is over: how its attempts failed and, at `debug`, how it ended."""
    return _request_ended if level == "debug" else _attempts_ended


def _attempts_ended(generation: Generation) -> None:
    for attempt in generation.attempted:
        attempt_failed(generation.id, attempt)
    for slower, lost in generation.outrun:
        attempt_outrun(generation.id, slower, lost)


def _request_ended(generation: Generation) -> None:
    _attempts_ended(generation)
    spent = generation.spent
    _log.debug(
        "request.ended",
        request=generation.id,
        ending=generation.ending,
        endpoint=generation.endpoint.id if generation.endpoint else None,
        input_tokens=spent.usage.input_tokens if spent else None,
        output_tokens=spent.usage.output_tokens if spent else None,
        cost_usd=str(spent.cost.total) if spent and spent.cost else None,
    )


def defect(request_id: str, error: BaseException) -> None:
    """Something of ours raised what it must not; the client was told 500 and this id."""
    _log.error("defect", request=request_id, exc_info=error)
