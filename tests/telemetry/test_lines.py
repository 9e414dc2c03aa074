"""What a line of the log looks like, for programs and for people."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime

import pytest

from trunkline.telemetry import logs
from trunkline.telemetry.lines import Event, console_line, json_line

AT = int(datetime(2026, 11, 27, 8, 5, 1, tzinfo=UTC).timestamp()) * 1_000_000 + 250


def raised() -> ValueError:
    try:
        raise ValueError("ü")
    except ValueError as error:
        return error


def test_a_line_for_programs_is_one_json_object() -> None:
    event = Event("attempt.failed", "warning", {"detail": "a\nü", "status": None, "tags": ["x"], "odd": b"x"}, AT)
    assert json_line(event) == (
        '{"detail": "a\\n\\u00fc", "status": null, "tags": ["x"], "odd": "b\'x\'", "event": "attempt.failed", '
        '"level": "warning", "timestamp": "2026-11-27T08:05:01.000250Z"}'
    )


def test_a_line_for_people_has_its_columns_and_its_fields_by_name() -> None:
    event = Event("gateway.started", "info", {"models": 3, "address": "a:1", "why": "two words", "providers": []}, AT)
    line = console_line(event, has_colors=False)
    assert line == (
        "2026-11-27T08:05:01.000250Z [info     ] gateway.started                "
        "address=a:1 models=3 providers=[] why='two words'"
    )
    coloured = console_line(event, has_colors=True)
    assert "\x1b[32m\x1b[1minfo     \x1b[0m" in coloured
    assert "\x1b[36mmodels\x1b[0m=\x1b[35m3\x1b[0m" in coloured
    assert console_line(Event("gateway.stopped", "info", {}, AT), has_colors=False).endswith("gateway.stopped")


def test_what_was_raised_is_told_with_where() -> None:
    event = Event("defect", "error", {"request": "r", "exc_info": raised()}, AT)
    told = json.loads(json_line(event))
    assert told["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert told["exception"].splitlines()[-1] == "ValueError: ü"
    assert "exc_info" not in told
    assert console_line(event, has_colors=False).endswith("request=r\n" + told["exception"])
    assert "exc_info" not in json_line(Event("library.failed", "error", {"exc_info": None}, AT))


@pytest.mark.parametrize("form", ["json", "console", "auto"])
def test_a_level_is_written_from_the_lowest_on(form: logs.Form, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = io.StringIO()
    with monkeypatch.context() as context:
        context.setattr(sys, "stderr", sink)
        logs.configure("error", form)
        logs.stopped()
        assert logs.dropped(3) == ""
        logs.defect("r", raised())
        logs.configure("info", form)
        assert "log.dropped" in logs.dropped(3)
        assert logs.dropped(3).endswith("\n")
    logs.configure("info", "auto")
    first, *rest = sink.getvalue().splitlines()
    assert ("defect" in first, "gateway.stopped" in sink.getvalue()) == (True, False)
    assert first.startswith("{") == (form != "console")
    assert len(rest) == 0 or form == "console"
