"""The line of the log that every request ends with, for programs and for people."""

from __future__ import annotations

import io
import json
import sys

import pytest

from tests.telemetry.test_recent import generation
from trunkline.stream.deltas import Cost, Spent, Usage
from trunkline.telemetry import logs

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
