"""What commands tell, to programs and to people, and how they fail."""

from __future__ import annotations

import json

import pytest
import typer

from trunkline.cli.documents import Refusal, Unknown, failing_as, row_lines, show
from trunkline.errors import ServiceUnavailable
from trunkline.settings.reading import SettingsError


def test_a_document_is_one_line_of_json_or_a_member_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"id": "key_a", "limit_usd": None, "zdr": True, "models": ["a/*", "b"], "rates": {"rpm": 5}, "empty": {}}
    show(document, True)
    assert json.loads(capsys.readouterr().out) == document
    show(document, False)
    assert capsys.readouterr().out.splitlines() == [
        "id         key_a",
        "limit_usd  –",
        "zdr        yes",
        "models     a/* b",
        "rates.rpm  5",
        "empty      –",
    ]


def test_rows_stand_under_their_headers() -> None:
    rows = [{"id": "a", "spent": "12.5"}, {"id": "bcd"}]
    assert list(row_lines(rows, {"ID": "id", "USD": "spent"}, "<>")) == ["ID    USD", "a    12.5", "bcd     –"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Refusal("reference_conflict", "no"), {"code": "reference_conflict", "message": "no"}),
        (Unknown("there is no key 'x'"), {"code": "not_found", "message": "there is no key 'x'"}),
        (SettingsError(["a", "b"]), {"code": "invalid", "message": "a; b"}),
        (ServiceUnavailable("down", kind="server"), {"code": "server", "message": "down"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_a_document_where_one_is_wanted(
    error: Exception, told: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as raised, failing_as(True):
        raise error
    assert raised.value.exit_code == 1
    captured = capsys.readouterr()
    assert (captured.out, json.loads(captured.err)) == ("", {"error": told})
    with pytest.raises(type(error)), failing_as(False):
        raise error
