"""The line of the log that every request ends with, for programs and for people."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time

import pytest

from tests.telemetry.test_recent import generation
from trunkline.stream.deltas import Cost, Spent, Usage
from trunkline.telemetry import logs
from trunkline.telemetry.outlet import Outlet

SPENT = Spent(Usage(input_tokens=96, output_tokens=64), Cost(total=208_000, input=96_000, output=112_000))


def line(form: logs.Form, monkeypatch: pytest.MonkeyPatch, **fields: object) -> str:
    sink = io.StringIO()
    with monkeypatch.context() as context:
        context.setattr(sys, "stderr", sink)
        logs.configure("info", form)
        logs.request_observer("info")(generation(**fields))  # type: ignore[arg-type]
    logs.configure("info", "auto")
    return sink.getvalue()


def test_a_request_is_told_to_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    told = line("json", monkeypatch, spent=SPENT, asked_model='é"m', took_s=0.0084)
    members, _, when = told.rpartition(', "timestamp": ')
    assert members == (
        '{"request": "a", "key": "key", "model": "\\u00e9\\"m", "endpoint": "alpha:m/one", "attempts": 1, '
        '"status": "completed", "ending": "ended", "first_token_ms": null, "took_ms": 8, "input_tokens": 96, '
        '"output_tokens": 64, "cost_usd": "0.000208", "event": "request.ended", "level": "info"'
    )
    assert when.startswith('"2')
    assert when.endswith('Z"}\n')
    unheard = json.loads(line("json", monkeypatch, endpoint=None, has_answered=False, first_token_s=0.25))
    assert [unheard[name] for name in ("endpoint", "input_tokens", "output_tokens", "cost_usd")] == [None] * 4
    assert (unheard["attempts"], unheard["first_token_ms"]) == (0, 250)


def test_a_request_is_told_to_people(monkeypatch: pytest.MonkeyPatch) -> None:
    told = line("console", monkeypatch, spent=SPENT, asked_model="two words")
    assert "[info     ] request.ended                  attempts=1 cost_usd=0.000208 ending=ended endpoint=alpha" in told
    assert "first_token_ms=None" in told
    assert "model='two words'" in told


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_request_is_told_alike_by_way_of_the_queue(form: logs.Form, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"spent": SPENT, "asked_model": 'é"m'}
    reading, writing = os.pipe()
    outlet = Outlet(writing, logs.dropped)
    with monkeypatch.context() as context:
        context.setattr(sys, "stderr", io.TextIOWrapper(outlet, "utf-8", line_buffering=True))
        logs.configure("info", form)
        logs.request_observer("info")(generation(**fields))  # type: ignore[arg-type]
        logs.replayed("b", "a")
    logs.configure("info", "auto")
    outlet.finish(time.monotonic() + 5)
    first, second = os.read(reading, 65536).decode().splitlines(keepends=True)
    os.close(reading)
    os.close(writing)
    assert _timeless(first) == _timeless(line(form, monkeypatch, **fields))
    assert "request.replayed" in second


def _timeless(told: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "", told)
