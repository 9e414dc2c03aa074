"""Structured logs: every event the gateway writes, as a function. Prompts and answers are in none of them.

A line neither blocks nor fails: what standard error does not take is dropped and counted (`outlet.py`).
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TextIO

from trunkline.catalog.entries import Catalog
from trunkline.catalog.renewal import Counts
from trunkline.generation import Generation
from trunkline.money import usd_text
from trunkline.routing.fallback import Attempted, Outrun
from trunkline.stream.deltas import Spent
from trunkline.telemetry.lines import Event, Level, console_line, json_line, quote
from trunkline.telemetry.outlet import Outlet

Form = Literal["auto", "json", "console"]
_LEVELS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Log:
    """Where events go, from which level on, and how they look; without a sink it is whatever standard error is."""

    def __init__(self, level: Level, render: Callable[[Event], str], sink: TextIO | None = None) -> None:
        self._lowest = _LEVELS[level]
        self.render = render
        self._sink = sink
        self._turn = threading.Lock()
        outlet = getattr(sink, "buffer", None)
        self.write_made: Callable[[Callable[[], str]], None] = (
            outlet.write_made if isinstance(outlet, Outlet) else self._write_made_now
        )
        """Writes a line, of a level that is written, that is made when it goes out."""

    def is_enabled_for(self, level: Level) -> bool:
        return _LEVELS[level] >= self._lowest

    def line(self, level: Level, name: str, fields: dict[str, object]) -> str:
        """Make the line of an event; empty when its level is not written."""
        return f"{self.render(Event(name, level, fields, _now_us()))}\n" if self.is_enabled_for(level) else ""

    def write(self, level: Level, name: str, /, **fields: object) -> None:
        if line := self.line(level, name, fields):
            self._put(line)

    def _write_made_now(self, make: Callable[[], str]) -> None:
        self._put(make())

    def _put(self, line: str) -> None:
        sink = self._sink or sys.stderr
        with self._turn:
            sink.write(line)
            if not sink.line_buffering:
                sink.flush()


def _now_us() -> int:
    return time.time_ns() // 1000


_log = _Log("info", json_line)


def configure(level: Level, form: Form) -> None:
    """Set how logs look and from which level on they are written, to standard error."""
    global _log
    is_terminal = sys.stderr.isatty()
    is_json = form == "json" or (form == "auto" and not is_terminal)
    render = json_line if is_json else lambda event: console_line(event, has_colors=is_terminal)
    _log = _Log(level, render, sys.stderr)


def started(address: str, catalog: Catalog) -> None:
    on = sorted(slug for slug, standing in catalog.standings.items() if standing.is_on)
    _log.write("info", "gateway.started", address=address, providers=on, models=len(catalog.endpoints))
    for warning in catalog.warnings:
        _log.write("warning", "catalog.warning", warning=warning)


def catalog_changed(before: Catalog, after: Catalog, counts: Counts) -> None:
    """A newer list of models is in use; what it gives cause to warn of, as far as that is new."""
    _log.write(
        "info",
        "catalog.changed",
        models=counts.models,
        endpoints=counts.endpoints,
        added=counts.added,
        removed=counts.removed,
        repriced=counts.repriced,
    )
    for warning in after.warnings:
        if warning not in before.warnings:
            _log.write("warning", "catalog.warning", warning=warning)


def catalog_refused(problem: str) -> None:
    """The list of models in the store cannot be used."""
    advice = "the one in use goes on; `trunkline catalog rollback` goes back to the list before"
    _log.write("error", "catalog.refused", problem=problem, advice=advice)


def stopping(number: str, requests: int, drain_s: float) -> None:
    """The gateway is told to end, and waits for requests under way."""
    # Elsewhere SIGHUP has settings read anew.
    hint = {"settings": "are read at the start; start anew to change one"} if number == "SIGHUP" else {}
    _log.write(
        "info", "gateway.stopping", signal=number, requests=requests, waits_s=drain_s, again="ends at once", **hint
    )


def stopped() -> None:
    _log.write("info", "gateway.stopped")


def relay(logger: str) -> None:
    """Write what a library logs through Python's own logging, from errors on, as events of ours."""
    theirs = logging.getLogger(logger)
    theirs.setLevel(logging.ERROR)
    theirs.handlers = [_Relay()]
    theirs.propagate = False


class _Relay(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        _log.write("error", "library.failed", library=record.name, problem=record.getMessage().strip(), exc_info=error)


def dropped(count: int) -> str:
    """Make, and do not write, the line that tells how many lines were lost before it."""
    return _log.line("warning", "log.dropped", {"count": count})


def attempt_failed(request_id: str, attempted: Attempted) -> None:
    """One endpoint did not answer. The provider's text is left out: it may repeat the prompt; `detail` is ours."""
    _log.write(
        "warning",
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
    _log.write("warning", "token.failed", provider=provider, problem=problem)


def engine_off(engine: str, reason: str) -> None:
    """An engine that the settings name, for searches or moderation, cannot be asked."""
    _log.write("warning", "engine.off", engine=engine, reason=reason)


def search_failed(engine: str, problem: str, detail: str, took_s: float) -> None:
    """A search engine did not answer. The query is left out: a client wrote it."""
    further = {"detail": detail} if detail else {}
    _log.write("warning", "engine.failed", engine=engine, problem=problem, **further, took_ms=round(took_s * 1000))


def engine_alarm(engine: str, problem: str, to_do: str) -> None:
    """A search engine will not answer until somebody mends what is wrong; told once in a while."""
    _log.write("error", "engine.refused", engine=engine, problem=problem, do=to_do)


def moderation_failed(engine: str, problem: str, detail: str, took_s: float) -> None:
    """A moderator did not answer, or not so that it is understood. What it was asked is left out."""
    further = {"detail": detail} if detail else {}
    _log.write("warning", "moderator.failed", engine=engine, problem=problem, **further, took_ms=round(took_s * 1000))


def moderation_alarm(engine: str, problem: str, to_do: str) -> None:
    """A moderator will not answer until somebody mends what is wrong; told once in a while."""
    _log.write("error", "moderator.refused", engine=engine, problem=problem, do=to_do)


def request_flagged(request_id: str, key_id: str, engine: str, reasons: Sequence[str], where: str) -> None:
    """What a request or its answer says was flagged. The text is left out, and so is all that tells of it but these."""
    told = ",".join(reasons)
    _log.write("warning", "request.flagged", request=request_id, key=key_id, engine=engine, where=where, reasons=told)


def store_alarm(event: str, detail: str) -> None:
    """What the writer of the store tells operators: that the store is down or back, and what became of records."""
    level: Level = "info" if event in _GOOD_NEWS else "warning" if event in _ADVICE else "error"
    _log.write(level, event, **({"problem": detail} if detail else {}))


_GOOD_NEWS = frozenset({"store.back", "board.back", "journal.taken", "journal.adopted", "hold.expired"})
_ADVICE = frozenset({"store.shared", "board.away"})


def attempt_outrun(request_id: str, outrun: Outrun, spent: Spent) -> None:
    """One endpoint was given up because another spoke first; its provider may charge what it had spent by then."""
    _log.write(
        "info",
        "attempt.outrun",
        request=request_id,
        endpoint=outrun.endpoint.id,
        took_ms=round((outrun.ended - outrun.started) * 1000),
        cost_usd=_told_cost(spent),
        is_estimated=spent.usage.estimated,
    )


def _told_cost(spent: Spent | None) -> str | None:
    cost = None if spent is None else spent.cost
    return None if cost is None or cost.total is None else usd_text(cost.total)


def request_observer(level: Level) -> Callable[[Generation], None]:
    """What is told of a request that is over: how its attempts failed and, down to `info`, how it ended."""
    return _request_ended if _LEVELS[level] <= _LEVELS["info"] else _attempts_ended


def _attempts_ended(generation: Generation) -> None:
    for attempt in generation.attempted:
        attempt_failed(generation.id, attempt)
    for slower, lost in generation.outrun:
        attempt_outrun(generation.id, slower, lost)


def _request_ended(generation: Generation) -> None:
    """One line for every request, and nothing of what it says."""
    if generation.attempted or generation.outrun:
        _attempts_ended(generation)
    _log.write_made(partial(_ended_line, generation, time.time_ns(), _log.render))


def _ended_line(generation: Generation, at_ns: int, render: Callable[[Event], str]) -> str:
    endpoint, spent, first_s, charged = (
        generation.endpoint,
        generation.spent,
        generation.first_token_s,
        generation.charged,
    )
    # As JSON at once: what is made by name and encoded then costs three times as much.
    members = (
        f'"request": {quote(generation.id)}, '
        f'"key": {quote(generation.key_id)}, '
        f'"model": {quote(generation.asked_model)}, '
        f'"endpoint": {quote(endpoint.id) if endpoint else "null"}, '
        f'"attempts": {generation.tried:d}, '
        f'"status": "{generation.status}", '
        f'"ending": "{generation.ending}", '
        f'"first_token_ms": {"null" if first_s is None else round(first_s * 1000)}, '
        f'"took_ms": {round(generation.took_s * 1000)}, '
        f'"input_tokens": {spent.usage.input_tokens if spent else "null"}, '
        f'"output_tokens": {spent.usage.output_tokens if spent else "null"}, '
        f'"cost_usd": {"null" if charged is None else quote(usd_text(charged))}'
    )
    return f"{render(Event('request.ended', 'info', _NO_FIELDS, at_ns // 1000, members))}\n"


_NO_FIELDS: dict[str, object] = {}


def replayed(request_id: str, generation_id: str) -> None:
    """A request was told an answer that is kept; there is no record of it, for it cost nothing."""
    _log.write("info", "request.replayed", id=request_id, first=generation_id)


def defect(request_id: str, error: BaseException) -> None:
    """Something of ours raised what it must not; the client was told 500 and this id."""
    _log.write("error", "defect", request=request_id, exc_info=error)
